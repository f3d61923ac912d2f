"""Symbol: a Tensor that writes down what is done to it.

A Symbol has the values that the function was traced with, so all that the engine and NumPy's functions ask of an
array has an answer. What an operation was applied to is found by the identity of the arrays; a Trace keeps them
alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from sys import _getframe
from types import FrameType
from typing import Any, Self

import numpy as np

from chainrule import namespace, ops
from chainrule.backward import Node
from chainrule.errors import UnsupportedError
from chainrule.functions.index import take_along_axis
from chainrule.graph.ir import Atom, Equation, Literal, Variable
from chainrule.graph.naming import (
    arrays_in_sight,
    name_of_array,
    name_of_attribute,
    names_of_result,
    user_frame,
)
from chainrule.lines import here
from chainrule.modes import RECORD, TRANSFORM, mode, switched
from chainrule.namespace import SCALARS
from chainrule.numpy_functions.arguments import as_tensors
from chainrule.operators import Operators
from chainrule.primitives import Primitive, primitive
from chainrule.rules.elementwise import negative, subtract
from chainrule.rules.index import argsort, getitem, index_update, is_basic
from chainrule.rules.shape import matrix_transpose, permute_dims, reshape
from chainrule.tensor import Tensor
from chainrule.trees import mapped

detached = primitive("detached(x)", forward=lambda x: x)
"""The value without its history: `detach()` and `no_grad()`, written down."""

current: ContextVar[Trace | None] = ContextVar("trace", default=None)


class Trace:
    """The equations recorded so far, and which Variable each array is."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.constants: list[Variable] = []
        self.backward = False
        self._copies: list[tuple[np.ndarray, np.ndarray]] = []
        self._known: dict[int, tuple[Any, Atom]] = {}

    def symbol(self, variable: Variable) -> Symbol:
        """The Symbol of a Variable."""
        array = variable.value
        if id(array) in self._known:
            array = array[...]
        self._known[id(array)] = (array, variable)
        symbol = _bare(array)
        _with_leaf(symbol)
        return symbol

    def atom(self, value: Any, frame: FrameType | None = None) -> Atom:
        """The Variable or Literal that an input of a primitive is; a new constant, if it is none yet."""
        if type(value) is Symbol:
            return self._variable_of(value)
        if type(value) in SCALARS:
            return Literal(value)
        original = value
        if isinstance(value, Tensor):
            node = value._node
            if node is not None and (node.plan is not None or mode.get() & TRANSFORM):
                raise UnsupportedError(
                    f"a Tensor with a history that is not traced met a traced value\n  at {here()}\n"
                    f"Pass what it was computed from as an argument of the traced function, or detach() it."
                )
            value = value._data
        array = np.asarray(value)
        known = self._known.get(id(value))
        return known[1] if known else self._constant(value, array, frame, original)

    def _variable_of(self, symbol: Symbol) -> Atom:
        symbol._refresh(self)
        known = self._known.get(id(symbol._data))
        if known is None:
            raise UnsupportedError(
                f"a traced value met a Tensor, and what came out was not recorded\n  at {here()}\n"
                f"Use the Tensor's array (t.data), or pass the Tensor as an argument of the traced function."
            )
        return known[1]

    def _constant(self, value: Any, array: np.ndarray, frame: FrameType | None, original: Any = None) -> Atom:
        name = ""
        made: Atom | None = None
        if frame is not None and array.ndim:
            known_as = value if original is None else original
            name = name_of_array(known_as, frame) or name_of_attribute(known_as, _getframe(1))
            made = self._made_of_another(array, frame, name)
        number = not name and array.size and array.dtype.kind in "biuf" and (array == array.flat[0]).all()
        if made is None and number:
            made = Literal(array.flat[0].item(), array.shape, array.dtype)
        elif made is None:
            made = Variable(array, name)
            self.constants.append(made)
        self._known[id(value)] = (value, made)
        if isinstance(value, np.ndarray):
            self._copies.append((value, value.copy()))
        return made

    def check_constants(self) -> None:
        """Refuse where an array that the function found, or made with NumPy alone, was changed in place."""
        for array, copy in self._copies:
            if not np.array_equal(array, copy, equal_nan=array.dtype.kind in "fc"):
                raise UnsupportedError(
                    f"an array of shape {array.shape} was used in an operation that is traced, and changed in place "
                    f"after that; make a new array instead"
                )

    def _made_of_another(self, array: np.ndarray, frame: FrameType, name: str) -> Atom | None:
        """A constant that NumPy made of one with a name before anything was traced: 1 - y, y[:, None], X[i]."""
        if array.size < 3 or (name and array.base is None):
            return None
        for source_name, other in arrays_in_sight(frame):
            if other is array or (name and other is not array.base):
                continue
            for operation, before, parameters in _relations(array, other):
                known = self._known.get(id(other))
                source = known[1] if known else Variable(other, source_name)
                if known is None and isinstance(source, Variable):
                    self.constants.append(source)
                    self._known[id(other)] = (other, source)
                out = Variable(array, name, (frame.f_code, frame.f_lasti))
                self.equations.append(Equation(operation, (*before, source), parameters, (out,), out.place))
                return out
        return None

    def parameter(self, value: Any, frame: FrameType | None) -> Any:
        """A parameter, with Variables in the place of its arrays."""
        if type(value) in (tuple, list):
            return type(value)(self.parameter(part, frame) for part in value)
        if isinstance(value, (Symbol, np.ndarray)):
            known = self._known.get(id(value._data if isinstance(value, Symbol) else value))
            if known is not None:
                return known[1] if isinstance(known[1], Variable) else value
            variable = Variable(np.asarray(value), name_of_array(value, frame) if frame is not None else "")
            self.constants.append(variable)
            self._known[id(value)] = (value, variable)
            return variable
        return value

    def record(
        self, primitive: Primitive, inputs: tuple[Atom, ...], parameters: dict[str, Any],
        results: tuple[Symbol, ...], frame: FrameType | None,
    ) -> None:  # fmt: skip
        """Write down an equation whose results are the Symbols `results`."""
        where = None if frame is None else (frame.f_code, frame.f_lasti)
        names = () if frame is None else names_of_result(frame)
        hints = names if len(names) == len(results) else ("",) * len(results)
        if len(results) == 1 and len(names) > 1:  # a, b = one result that is unpacked
            hints = ("",)
        outputs = []
        for result, hint in zip(results, hints, strict=True):
            made = result._data
            array = np.asarray(made)
            known = self._known.get(id(array))
            if known is not None and any(known[1] is atom for atom in inputs):
                array = array[...]  # the forward function handed its input on
            variable = Variable(array, hint, where, self.backward)
            result._data = array
            # Both, because a residual is the number that NumPy returned.
            self._known[id(array)] = (array, variable)
            if made is not array and isinstance(made, np.generic) and type(made) is not np.bool_:
                self._known[id(made)] = (made, variable)
            outputs.append(variable)
        self.equations.append(Equation(primitive, inputs, parameters, tuple(outputs), where))


def _relations(
    array: np.ndarray, other: np.ndarray
) -> Iterator[tuple[Primitive, tuple[Literal, ...], dict[str, Any]]]:
    """How `array` can be had from `other`, if it can."""
    if array.base is other:
        if other.ndim == 2 and array.strides == other.strides[::-1] and array.shape == other.shape[::-1]:
            yield permute_dims, (), {"axes": (1, 0)}
        elif array.size == other.size and other.flags.c_contiguous and array.flags.c_contiguous:
            yield reshape, (), {"shape": array.shape}
        elif array.shape == other.shape[1:] and array.strides == other.strides[1:] and other.strides[0] > 0:
            start = array.__array_interface__["data"][0] - other.__array_interface__["data"][0]
            yield getitem, (), {"key": start // other.strides[0]}
    elif other.dtype.kind == "f" and other.shape == array.shape:
        if np.array_equal(1 - other, array):
            yield subtract, (Literal(1),), {}
        if np.array_equal(-other, array):
            yield negative, (), {}


_FROZEN = "Its result would be frozen to the values of this run."
_PRIMITIVES: dict[Any, Any] = {
    np.argmax: ops.argmax, np.argmin: ops.argmin, np.argsort: ops.argsort, np.all: ops.all, np.any: ops.any,
    np.count_nonzero: ops.count_nonzero, np.nonzero: ops.nonzero, np.searchsorted: ops.searchsorted,
    np.zeros_like: ops.zeros_like, np.ones_like: ops.ones_like, np.empty_like: ops.zeros_like,
}  # fmt: skip
"""Functions without a derivative, which run on the arrays of other Tensors, and are traced here."""


@contextmanager
def _recorded() -> Iterator[Callable[[Any], Any]]:
    """Record under `no_grad` too, and let the results have no history then."""
    if mode.get() & RECORD:
        yield lambda result: result
        return
    with switched(on=RECORD):
        yield lambda result: mapped(lambda part: part.detach() if isinstance(part, Symbol) else part, result)


def _with_leaf(symbol: Any) -> None:
    """A node for a Symbol that has none: gradients are taken inside of traced functions too."""
    if symbol._node is None and symbol._view is None and symbol._data.dtype.kind == "f":
        symbol._node = Node.leaf(symbol._data.shape, symbol._data.dtype)


def _sorted(x: Any, axis: int) -> Any:
    """The sort by its order: an index that is written down, where the rule's own would be frozen."""
    return take_along_axis(x, argsort(x, axis=axis), axis=axis)


LOWERED = {"sort": _sorted}

_VIEW_INVERSES = {
    "getitem": lambda base, new, key: index_update(base, new, key=key),
    "reshape": lambda base, new, shape: reshape(new, shape=base.shape),
    "permute_dims": lambda base, new, axes: permute_dims(new, axes=tuple(int(i) for i in np.argsort(axes))),
    "matrix_transpose": lambda base, new: matrix_transpose(new),
}
"""What a base becomes when a view of it becomes `new`."""


class Symbol(Tensor):
    """A Tensor whose operations the current Trace records; values cannot be read from it."""

    __slots__ = ()

    @classmethod
    def _wrapped(cls, data: Any, node: Node | None = None) -> Self:
        symbol = super()._wrapped(data, node)
        trace = current.get()
        if trace is not None:
            if id(data) not in trace._known and _getframe(1).f_code is as_tensors.__code__:
                raise _refusal("a function of NumPy that has no primitive here was given its array", _FROZEN)
            if isinstance(data, np.generic) and id(data) not in trace._known:
                symbol._data = np.asarray(data)
            if id(symbol._data) not in trace._known:
                trace._constant(symbol._data, np.asarray(data), None)
        if node is None:
            _with_leaf(symbol)
        return symbol

    @staticmethod
    def _apply(primitive: Primitive, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        trace = current.get()
        if trace is None:
            raise UnsupportedError(
                f"a traced value was used after its trace had ended\n  at {here()}\nDo not keep it outside of "
                f"the function: return it."
            )
        if primitive.name in LOWERED:
            return LOWERED[primitive.name](*inputs, **parameters)
        frame = None if trace.backward else user_frame(_getframe(1))
        atoms = tuple(trace.atom(x, frame) for x in inputs)
        arrays = tuple(x._data if isinstance(x, Tensor) and type(x) is not Symbol else x for x in inputs)
        _check_frozen(primitive, atoms, trace)
        kept = {n: trace.parameter(p, frame) for n, p in parameters.items()}
        parameters = {n: p._data if isinstance(p, Symbol) else p for n, p in parameters.items()}
        out = Tensor._apply(primitive, arrays, parameters)
        for result in out if primitive.outputs else (out,):
            _with_leaf(result)
        if not primitive.outputs and out._view is not None:
            out._view = out._view._replace(node=out._view.base._data)
        trace.record(primitive, atoms, kept, out if primitive.outputs else (out,), frame)
        if not mode.get() & RECORD and primitive is not detached and primitive.differentiable:
            return tuple(o.detach() for o in out) if primitive.outputs else out.detach()
        return out

    def detach(self) -> Self:
        """The same value without its history."""
        return self._apply(detached, (self,), {})  # type: ignore[no-any-return]

    @property
    def requires_grad(self) -> bool:
        """True, so that every function of NumPy is traced and none runs on the array."""
        return True

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        raise _refusal("requires_grad was set", "Choose what to differentiate by with argnums.")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        with _recorded() as finish:
            return finish(super().__array_ufunc__(ufunc, method, *inputs, **options))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        with _recorded() as finish:
            ours = _PRIMITIVES.get(function)
            return finish(
                ours(*args, **kwargs) if ours else super().__array_function__(function, types, args, kwargs)
            )

    def backward(
        self, g: Any = None, *, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Refused: gradients in `.grad` have no history that could be traced."""
        raise _refusal("backward() was called", "Use cr.grad inside of the function, which is traced.")

    # changes in place: nothing is changed, the Symbol becomes another value ----------------------------------

    def _replace(self, change: Any, name: str) -> Self:
        trace = current.get()
        if trace is None:
            return super()._replace(change, name)
        self._refresh(trace)
        new = change(_bare(self._data, self._node))
        if not isinstance(new, Symbol):
            new = Symbol._wrapped(np.asarray(new, self.dtype))
        if new.dtype != self.dtype:
            new = ops.astype(new, self.dtype)
        if new.shape != self.shape:
            raise UnsupportedError(
                f"{name} would change the shape {self.shape} to {new.shape}\n  at {here()}"
            )
        self._become(new)
        return self

    def _become(self, new: Symbol) -> None:
        view = self._view
        self._data, self._node = new._data, new._node
        if view is None:
            return
        invert = _VIEW_INVERSES.get(view.primitive.name)
        if invert is None or (view.primitive.name == "getitem" and not is_basic(view.parameters["key"])):
            raise UnsupportedError(f"a change in place of a view by {view.primitive.name}\n  at {here()}")
        base: Any = view.base
        base._become(invert(base, new, **view.parameters))  # type: ignore[operator]
        self._view = view._replace(node=base._data)

    def _current_node(self) -> Node | None:
        trace = current.get()
        if trace is not None:
            self._refresh(trace)
        return self._node

    def _refresh(self, trace: Trace) -> None:
        """Show again what the base has, if it was changed since this view was made."""
        view: Any = self._view
        if view is None:
            return
        view.base._refresh(trace)
        if view.node is not view.base._data:
            fresh = view.of(view.base)
            self._data, self._node = fresh._data, fresh._node
            self._view = view._replace(node=view.base._data)

    # values cannot be read -----------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """Refused: what is computed from it would not be recorded."""
        raise _refusal("its array was asked for (.data)", "Use the traced value itself, or detach() it.")

    @data.setter
    def data(self, value: Any) -> None:
        raise _refusal("its array was set (.data)", "Compute a new value instead.")

    def numpy(self) -> np.ndarray:
        """Refused: what is computed from it would not be recorded."""
        raise _refusal("it was to become a NumPy array", "Use NumPy's functions on it, or detach() it.")

    def item(self) -> Any:
        """Refused: what is computed from it would not be recorded."""
        raise _refusal("it was to become a Python number (.item())", "Leave it an array of shape ().")

    def tolist(self) -> Any:
        """Refused: what is computed from it would not be recorded."""
        raise _refusal("it was to become a list", "Leave it an array.")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise _refusal(
            "it was about to be written into a plain array", "Write a @ x or np.dot(a, x) for a.dot(x), build arrays "
            "with np.stack, or start from np.zeros_like(x) of a traced x to assign into."
        )  # fmt: skip

    def __bool__(self) -> bool:
        raise _refusal(
            "a branch depends on its value", "A graph has one path only. Use np.where for a choice per element; or, "
            "if the branch is to be fixed, pass a plain number of Python that is not differentiated."
        )  # fmt: skip

    def _number(self, frame: FrameType) -> Any:
        raise _refusal(
            "it was to become a Python number",
            "Use NumPy's functions, and leave it an array; "
            "to assign elements, start from np.zeros_like(x) of a traced x.",
        )

    def __index__(self) -> int:
        raise _refusal(
            "it was to become an integer", "Index with it, x[i], or pass a plain integer of Python."
        )

    def __repr__(self) -> str:
        return f"Symbol({self.dtype} of shape {self.shape})"

    def __format__(self, specification: str) -> str:
        return format(self._data.item(), specification) if specification else repr(self)


def _refusal(what: str, remedy: str) -> UnsupportedError:
    return UnsupportedError(f"tracing cannot follow this value further: {what}\n  at {here()}\n{remedy}")


def _check_frozen(primitive: Primitive, atoms: tuple[Atom, ...], trace: Trace) -> None:
    """A derivative taken inside of the traced function masks what a selection left out, by value."""
    traced = isinstance(atoms[0], Variable) and atoms[0] not in trace.constants
    if not primitive.selects or trace.backward or traced:
        return
    if any(e.primitive.selects for e in trace.equations) and _inside_sweep():
        raise UnsupportedError(
            f"a gradient was taken inside of the traced function behind a np.where\n  at {here()}\n"
            f"Its masks would be frozen; take the gradient outside of the traced function."
        )


def _inside_sweep() -> bool:
    frame: FrameType | None = _getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "sweep" and frame.f_globals.get("__name__") == "chainrule.backward":
            return True
        frame = frame.f_back
    return False


def _bare(data: Any, node: Node | None = None) -> Symbol:
    """A Symbol of an array that the trace knows."""
    symbol = Symbol.__new__(Symbol)
    symbol._data, symbol._node, symbol._view = data, node, None
    return symbol


def _reflected(name: str) -> Any:
    original = getattr(Operators, name)

    def operator(self: Any, other: Any) -> Any:
        return original(self, other)

    operator.__name__ = name
    return operator


# Python asks the right operand first only where its class defines the operator itself: `tensor @ symbol`.
for _name in [n for n in vars(Operators) if n.startswith("__r") and n not in ("__round__", "__repr__")]:
    setattr(Symbol, _name, _reflected(_name))

namespace.register(Symbol, ops)
