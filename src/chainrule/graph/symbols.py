"""Symbol: a Tensor that writes down what is done to it.

A Symbol has the values that the function was traced with, so all that the engine and NumPy's functions ask of an
array has an answer. What an operation was applied to is found by the identity of the arrays; a Trace keeps them
alive.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from sys import _getframe
from types import FrameType
from typing import Any, ClassVar, Self

import numpy as np

from chainrule import namespace, ops
from chainrule.backward import Node
from chainrule.changeable import View
from chainrule.errors import ShapeError, UnsupportedError
from chainrule.functions.index import take_along_axis
from chainrule.graph.ir import Atom, Literal, Variable
from chainrule.graph.naming import names_of_result, traced_frame
from chainrule.graph.recording import ChangedInPlaceError, Trace, current, running, symbol_in
from chainrule.lines import here
from chainrule.modes import RECORD, mode, switched
from chainrule.numpy_functions.arguments import as_tensors
from chainrule.operators import Operators, data_of
from chainrule.primitives import Primitive, elementwise, primitive
from chainrule.rules.index import argsort, index_update, is_basic
from chainrule.rules.shape import matrix_transpose, permute_dims, reshape
from chainrule.tensor import Tensor, _seed
from chainrule.transforms import _as_input
from chainrule.trees import mapped

detached = primitive("detached(x)", forward=lambda x: x)
"""The value without its history: `detach()` and `no_grad()`, written down."""

alias = elementwise("alias(x, *, number)", forward=lambda x, number: x, x=lambda g: g)
"""The value that a derivative is taken by, inside of a traced function: not the same as what else has the value."""

by_hand = primitive(
    "by_hand(*values, name)", forward=lambda *values, name: values[0],
    values=lambda name: _no_rule_known(name),
)  # fmt: skip
"""The first value, whose gradient by the others the user has written: only the façade's own sweep knows it."""


def _no_rule_known(name: str) -> Any:
    raise UnsupportedError(
        f"the gradient of {name} is written by hand, and is no equation to derive from\nCall backward() inside of the "
        f"function, so that it is traced as it runs."
    )


_ONE_PATH = (
    "A graph has one path only. Use np.where for a choice per element; or, if the branch is to be fixed, pass a plain "
    "number of Python that is not differentiated."
)
_TRUTHS = frozenset((np.allclose, np.array_equal, np.array_equiv))
"""Functions whose result is a truth of Python, on which a branch would depend."""

_FROZEN = "Its result would be frozen to the values of this run."
_INDICES = frozenset(("key", "indices", "labels"))
"""Parameters of primitives that may be traced: their rules hand them on as they are."""

_PRIMITIVES: dict[Any, Any] = {
    np.argmax: ops.argmax, np.argmin: ops.argmin,
    np.argsort: lambda a, axis=-1, kind=None: ops.argsort(a, axis=axis),  # ours is stable, as every kind may be
    np.all: ops.all, np.any: ops.any,
    np.count_nonzero: ops.count_nonzero, np.nonzero: ops.nonzero, np.searchsorted: ops.searchsorted,
    np.partition: lambda a, kth, axis=-1: _sorted(a, axis),  # its order beside the element kth is open
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


def _sorted(x: Any, axis: int) -> Any:
    """The sort by its order: an index that is written down, where the rule's own would be frozen."""
    return take_along_axis(x, argsort(x, axis=axis), axis=axis)


LOWERED = {"sort": _sorted}

_ALIASES = _as_input.__code__
"""It makes an alias of a Tensor that a derivative is taken by."""

_VIEW_INVERSES = {
    "getitem": lambda base, new, key: index_update(base, new, key=key),
    "reshape": lambda base, new, shape: reshape(new, shape=base.shape),
    "permute_dims": lambda base, new, axes: permute_dims(new, axes=tuple(int(i) for i in np.argsort(axes))),
    "matrix_transpose": lambda base, new: matrix_transpose(new),
    "detached": lambda base, new: new,
}
"""What a base becomes when a view of it becomes `new`."""


class NoAttributeError(UnsupportedError, AttributeError):
    """An array has this attribute, and what is traced has not."""


class Symbol(Tensor):
    """A Tensor whose operations the current Trace records; values cannot be read from it."""

    __slots__ = ()
    is_traced: ClassVar[bool] = True

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
        return symbol

    @staticmethod
    def _apply(primitive: Primitive, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        trace = running()
        facade = next((type(x) for x in inputs if isinstance(x, Tensor) and x._keeps_its_class), None)
        if facade is not None:
            return facade._apply(primitive, tuple(facade._joined(x) for x in inputs), parameters)
        if primitive.name in LOWERED:
            return LOWERED[primitive.name](*inputs, **parameters)
        frame = None if trace.backward else traced_frame(_getframe(1))
        if primitive.name == "positive" and _getframe(2).f_code is _ALIASES:
            frame = None  # not the user's operation, and its result is not what the user's line names
            primitive, parameters = alias, {"number": len(trace.equations)}
        atoms = tuple(trace.atom(x, frame) for x in inputs)
        with_numbers = not trace.numbers.isdisjoint(atoms)
        if with_numbers:
            inputs = _beside_arrays(trace, inputs, atoms)
            atoms = tuple(trace.atom(x, frame) for x in inputs)
        for name, parameter in parameters.items():
            if isinstance(parameter, Symbol) and name not in _INDICES:
                raise _refusal(f"it was to be the {name} of {primitive.name}", _FROZEN)
        kept = {n: trace.parameter(p, frame) for n, p in parameters.items()}
        parameters = {n: _bare(p) for n, p in parameters.items()}
        out = primitive.evaluate([x._data if isinstance(x, Tensor) else x for x in inputs], parameters)
        results = tuple(trace.bare(part) for part in (out if primitive.outputs else (out,)))
        if (primitive.view or primitive is detached) and type(inputs[0]) is Symbol:
            _note_view(results[0], inputs[0], primitive, parameters)
        trace.record(primitive, atoms, kept, results, frame)
        if with_numbers and primitive.name in _ARITHMETIC and all(_is_number(trace, a) for a in atoms):
            trace.numbers.update(v for v in trace.equations[-1].outputs)
        if not mode.get() & RECORD and primitive is not detached and primitive.differentiable:
            results = tuple(result.detach() for result in results)
        return results if primitive.outputs else results[0]

    def detach(self) -> Self:
        """The same value without its history."""
        return self._apply(detached, (self,), {})  # type: ignore[no-any-return]

    def as_it_is_now(self) -> Self:
        """The same value, which no later change in place of this one reaches."""
        trace = running()
        self._refresh(trace)
        return trace.bare(self._data)  # type: ignore[no-any-return]

    @property
    def flags(self) -> Any:
        """How the elements lie in memory."""
        return self._data.flags

    @property
    def strides(self) -> tuple[int, ...]:
        """How many bytes lie between neighbours along each axis."""
        return self._data.strides  # type: ignore[no-any-return]

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return int(self._data.itemsize)

    def max(self, axis: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
        """The maximum over `axis`; with `initial` or `where`, refused."""
        _check_options("max", options)
        return super().max(axis, keepdims=keepdims)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NoAttributeError(
            f"tracing cannot follow this value further: it has no {name}\n  at {here()}\n{_FROZEN}"
        )

    @property
    def requires_grad(self) -> bool:
        """True, so that every function of NumPy is traced and none runs on the array."""
        return True

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        raise _refusal("requires_grad was set", "Choose what to differentiate by with argnums.")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        for target in options.get("out") or ():
            if type(target) is np.ndarray and (path := running().paths.get(id(target))) is not None:
                raise ChangedInPlaceError(f"an array was changed in place\n  at {here()}", path)
        with _recorded() as finish:
            return finish(super().__array_ufunc__(ufunc, method, *inputs, **options))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in _TRUTHS:
            raise _refusal(f"np.{function.__name__} decides by its values", _ONE_PATH)
        with _recorded() as finish:
            ours = _PRIMITIVES.get(function)
            return finish(
                ours(*args, **kwargs) if ours else super().__array_function__(function, types, args, kwargs)
            )

    def backward(
        self, g: Any = None, *, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Sweep back from here, and add to the `.grad` of the leaves, which are traced too."""
        trace = running()
        leaves = {entry.variable: entry.tensor for entry in trace.adopted if entry.tensor._node is not None}
        by = {node: leaf for leaf in leaves.values() if (node := leaf._current_node()) is not None}
        for node, cotangent in self._sweep(None, _seed(self, g), by, None, create_graph, None).items():
            self._deposit(node.watched(), cotangent)

    def _sweep(
        self, node: Node | None, g: Any, sinks: Collection[Node], deposit: Any, create_graph: bool,
        retain_graph: bool | None,
    ) -> dict[Node, Any]:  # fmt: skip
        """The reverse sweep, along the equations that are traced so far, written down behind them."""
        trace = running()
        if trace.sweep is None:
            raise UnsupportedError(f"a gradient was taken inside of a rule\n  at {here()}")
        if isinstance(g, Tensor) and type(g) is not Symbol and g._node is not None:
            trace.atom(g)  # a derivative by the cotangent is wanted: from now on it is a Symbol
        seed = g if isinstance(g, Symbol) else Symbol._wrapped(np.asarray(data_of(g)))
        ends = {n: trace.atom(trace.owners[n]) for n in sinks if n in trace.owners}
        found = trace.sweep(trace, self, seed, {v for v in ends.values() if isinstance(v, Variable)})
        cotangents = {n: found[v] for n, v in ends.items() if isinstance(v, Variable) and v in found}
        cotangents = {n: trace.hooked(n, c) for n, c in cotangents.items()}
        _name_gradients(trace, ends, cotangents)
        return cotangents if create_graph else {n: c.detach() for n, c in cotangents.items()}

    def by_hand(self, name: str, values: Collection[Any]) -> Any:
        """The same value, of which only the façade's sweep knows the gradient by `values`."""
        with switched(on=RECORD):
            return self._apply(by_hand, (self, *values), {"name": name})

    @contextmanager
    def sweeping(self) -> Iterator[Any]:
        """While a façade sweeps back along its own nodes, what its rules do is traced as a backward pass."""
        trace = running()
        before, trace.backward = trace.backward, 1
        leaves = {id(e.tensor._node.watch): e.variable for e in trace.adopted if e.tensor._node is not None}

        def named(watch: Any, g: Any) -> Any:
            made = trace.atom(g)
            if isinstance(made, Variable) and made.backward and made.of is None:
                made.of = leaves.get(id(watch))
            return g

        try:
            yield named
        finally:
            trace.backward = before
            trace.swept = len(trace.equations)

    def register_hook(self, hook: Any) -> Any:
        """As for every leaf; refused for other values."""
        if any(entry.tensor is self and entry.node is not None for entry in running().adopted):
            return super().register_hook(hook)
        raise _refusal("a hook was registered", "Apply what the hook does to the gradient itself.")

    def retain_grad(self) -> None:
        """Refused: only leaves have a `.grad` while tracing."""
        raise _refusal("retain_grad() was called", "Ask for its gradient with cr.grad.")

    # changes in place: nothing is changed, the Symbol becomes another value ----------------------------------

    def _joined_by(self, other: Any) -> bool:
        """A constant Tensor into which a traced value is written is traced from then on."""
        trace = current.get()
        if trace is None or symbol_in(other) is not None:
            return False
        view = other._view if other._keeps_its_class else None
        trace.adopt(other, "").is_parameter = False
        if view is not None:  # what it shows is changed with it
            self._joined_by(view.base)
            other._data, other._view = view.of(view.base._data), view
        return True

    def _replace(self, change: Any, name: str, key: Any = ...) -> Self:
        trace = current.get()
        if trace is None:
            return super()._replace(change, name, key)
        self._refresh(trace)
        new = change(trace.bare(self._data))
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
        self._data = new._data
        if view is None:
            return
        invert = _VIEW_INVERSES.get(view.primitive.name)
        if invert is None or (view.primitive.name == "getitem" and not is_basic(view.parameters["key"])):
            raise UnsupportedError(f"a change in place of a view by {view.primitive.name}\n  at {here()}")
        base: Any = view.base
        base._become(invert(base, new, **view.parameters))  # type: ignore[operator]
        self._view = view._replace(node=base._data)

    def _current_node(self) -> Node | None:
        """A leaf, by which a sweep knows where to end."""
        trace = current.get()
        if trace is not None:
            self._refresh(trace)
            if self._node is None and self._data.dtype.kind == "f":
                self._node = Node.leaf(self._data.shape, self._data.dtype)
            if self._node is not None:
                trace.owners[self._node] = self
        return self._node

    def _refresh(self, trace: Trace) -> None:
        """Show again what the base has, if it was changed since this view was made."""
        view: Any = self._view
        if view is None:
            return
        view.base._refresh(trace)
        if view.node is not view.base._data:
            fresh = view.of(view.base)
            self._data = fresh._data
            self._view = view._replace(node=view.base._data)

    # values cannot be read -----------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The same value without its history; a change of it in place is one of this."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        """From now on, another value."""
        if value is self:
            return
        with switched(on=RECORD):
            new = value if isinstance(value, Symbol) else Symbol._wrapped(np.asarray(data_of(value)))
            self._become(ops.astype(new, dtype=self.dtype) if new.dtype != self.dtype else new)
        running().name_as_adopted(self)

    def numpy(self) -> Any:
        """The same value without its history: NumPy's functions take it, and it stays traced."""
        return self.detach()

    def item(self) -> Any:
        """The only element without its history, still traced: it stands for the number."""
        if self.size != 1:
            raise ShapeError(f"item() needs exactly one element, but the Tensor has shape {self.shape}")
        return ops.reshape(self.detach(), shape=()) if self.shape else self.detach()

    @property
    def real(self) -> Any:
        """The array itself, of real elements; refused for complex ones."""
        if self._data.dtype.kind == "c":
            raise _refusal(
                "the real part of complex numbers was asked for", "Gradients are of real numbers here."
            )
        return self

    def _values(self) -> Any:
        if current.get() is None:
            return super()._values()
        raise _refusal("a function that has no primitive here was about to read its values", _FROZEN)

    def tolist(self) -> Any:
        """Refused: what is computed from it would not be recorded."""
        raise _refusal("it was to become a list", "Leave it an array.")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise _refusal(
            "it was about to be written into a plain array", "Write a @ x or np.dot(a, x) for a.dot(x), "
            "cr.ops.take(a, i, axis=0) for a[i], build arrays with np.stack, or start from np.zeros_like(x) of a "
            "traced x to assign into."
        )  # fmt: skip

    def __bool__(self) -> bool:
        raise _refusal("a branch depends on its value", _ONE_PATH)

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


def _check_options(method: str, options: dict[str, Any]) -> None:
    if options:
        raise _refusal(f".{method}({next(iter(options))}=...) was called", _FROZEN)


def _refusal(what: str, remedy: str) -> UnsupportedError:
    return UnsupportedError(f"tracing cannot follow this value further: {what}\n  at {here()}\n{remedy}")


def _bare(parameter: Any) -> Any:
    """A parameter, such as an index of several parts, with the arrays of the Symbols in it."""
    if type(parameter) is tuple:
        return tuple(_bare(part) for part in parameter)
    return parameter._data if isinstance(parameter, Symbol) else parameter


_ARITHMETIC = frozenset(("add", "subtract", "multiply", "divide", "pow", "negative"))
"""What makes a number of Python of such numbers."""


def _is_number(trace: Trace, atom: Atom) -> bool:
    return atom in trace.numbers or (isinstance(atom, Literal) and atom.dtype is None and not atom.shape)


def _beside_arrays(trace: Trace, inputs: tuple[Any, ...], atoms: tuple[Atom, ...]) -> tuple[Any, ...]:
    """The inputs, where numbers of Python have the type of the floating arrays beside them."""
    types = [a.dtype for a in atoms if not _is_number(trace, a) and np.dtype(a.dtype).kind == "f"]
    if not types:
        return inputs
    dtype = np.result_type(*types)
    return tuple(
        ops.astype(x, dtype=dtype) if a in trace.numbers and a.dtype != dtype else x
        for x, a in zip(inputs, atoms, strict=True)
    )


def _note_view(result: Symbol, source: Symbol, primitive: Primitive, parameters: dict[str, Any]) -> None:
    shown, whole = getattr(result._data, "base", None), source._data
    if result._data is whole or (shown is not None and (shown is whole or shown is whole.base)):
        result._view = View(source, primitive, parameters, whole)


def _name_gradients(trace: Trace, ends: Mapping[Node, Atom], found: Mapping[Node, Symbol]) -> None:
    """Let gradients have the names under which the user stores them: dW1, dW2 = cr.grad(f, (0, 1))(W1, W2)."""
    frame = traced_frame(_getframe(1))
    names = () if frame is None else names_of_result(frame)
    if len(names) - len(ends) in (0, 1):
        for node, name in zip(ends, names[-len(ends) :], strict=True):
            atom = trace.atom(found[node]) if node in found else None
            if isinstance(atom, Variable) and atom.backward and not atom.hint:
                atom.hint = name


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
Trace.kind = Symbol
