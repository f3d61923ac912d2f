"""Trace: what is written down while a function is traced, and which Variable each array is.

Tensors that the function finds outside of its arguments are adopted: until the trace ends, they are traced values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from sys import _getframe
from types import FrameType
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from chainrule.backward import Node
from chainrule.changeable import View
from chainrule.errors import UnsupportedError
from chainrule.graph.ir import Atom, Equation, Literal, Variable
from chainrule.graph.naming import arrays_in_sight, name_of_array, name_of_attribute, names_of_result
from chainrule.inplace import next_order
from chainrule.lines import here
from chainrule.namespace import SCALARS
from chainrule.primitives import Primitive
from chainrule.rules.elementwise import negative, subtract
from chainrule.rules.index import getitem
from chainrule.rules.shape import permute_dims, reshape
from chainrule.tensor import Tensor

current: ContextVar[Trace | None] = ContextVar("trace", default=None)

Sweep: TypeAlias = "Callable[[Trace, Any, Any, Collection[Variable]], dict[Variable, Any]]"
"""From a traced value and its cotangent to the cotangents of Variables, written down behind what is traced."""


class ChangedInPlaceError(UnsupportedError):
    """Plain arrays are to be changed by a traced value, or a gradient by them: trace them from the beginning."""

    def __init__(self, message: str, *paths: Any) -> None:
        super().__init__(message)
        self.paths = frozenset(paths)


class Adopted(NamedTuple):
    """A Tensor of the user's that stands for a Variable while a trace lasts, and what it was before."""

    tensor: Tensor
    variable: Variable
    kind: type[Tensor]
    data: Any
    node: Node | None
    view: View | None


class Trace:
    """The equations recorded so far, and which Variable each array is."""

    kind: ClassVar[type[Tensor]]
    """The class of traced values: `symbols` assigns Symbol to it."""

    def __init__(self, sweep: Sweep | None = None) -> None:
        self.equations: list[Equation] = []
        self.constants: list[Variable] = []
        self.backward = 0
        """Which reverse sweep is under way; 0 in the forward pass."""
        self.sweep = sweep
        self.swept = 0
        """How many equations there were at the end of the last sweep; 0 before the first."""
        self.adopted: list[Adopted] = []
        self.owners: dict[Node, Any] = {}
        self.paths: dict[int, Any] = {}
        """Where arrays are held that may be changed in place, by identity."""
        self.floating: list[Any] = []
        """Where arrays are held by which a gradient may be taken."""
        self.numbers: set[Variable] = set()
        """Values that are numbers of Python where the function runs: beside an array they have its type."""
        self._began = next_order()
        self._copies: list[tuple[np.ndarray, np.ndarray]] = []
        self._known: dict[int, tuple[Any, Atom]] = {}

    # the Tensors that a function finds outside of its arguments ----------------------------------------------

    def adopt(self, tensor: Tensor, name: str, *, given: Variable | None = None) -> Variable:
        """Let a Tensor, wherever it is referred to, be the Symbol of a Variable until `release`.

        That is a parameter, unless it is `given` as an argument or was made while tracing.
        """
        node = tensor._node
        variable = given or Variable(np.asarray(tensor._data).view(), name)
        array = variable.value
        if given is None:
            variable.is_parameter = node is None or node.order < self._began
            self.constants.append(variable)
        kind = type(tensor)
        self.adopted.append(Adopted(tensor, variable, kind, tensor._data, node, tensor._view))
        self._known[id(array)] = (array, variable)
        tensor._data, tensor._node, tensor._view = array, None, None
        if kind._keeps_its_class:
            tensor._data = self.bare(array)
        else:
            tensor.__class__ = self.kind
        if node is not None:
            tensor._node = Node.leaf(array.shape, array.dtype)
            self.owners[tensor._node] = tensor
            if kind._keeps_its_class and node.watch is not None:
                tensor._node.watched().hooks = node.watch.hooks
        return variable

    def like(self, tensor: Tensor, variable: Variable) -> Any:
        """What stands for a Variable beside a Tensor: a Symbol, or for a façade's tensor another that holds one."""
        symbol = self.symbol(variable)
        if not tensor._keeps_its_class:
            return symbol
        beside = tensor._wrapped(variable.value)
        beside._data = symbol
        return beside

    def name_as_adopted(self, symbol: Any) -> None:
        """Let the new value of an adopted Tensor have its name, if it has none of its own."""
        atom = self.atom(symbol)
        for name in (entry.variable.hint for entry in self.adopted if symbol_in(entry.tensor) is symbol):
            if isinstance(atom, Variable) and not atom.hint and not atom.is_input:
                atom.hint = name

    def hooked(self, node: Node, cotangent: Any) -> Any:
        """The cotangent of a leaf after the hooks that the user registered on it."""
        for watch in [
            entry.node.watch for entry in self.adopted if entry.node and entry.tensor._node is node
        ]:
            for hook in (*(watch.hooks if watch else ()), *node.watched().hooks):
                changed = hook(cotangent)
                cotangent = cotangent if changed is None else changed
        return cotangent

    def release(self) -> None:
        """Let all adopted Tensors be what they were."""
        for tensor, _, kind, data, node, view in reversed(self.adopted):
            tensor.__class__ = kind
            tensor._data, tensor._node, tensor._view = data, node, view
        self.adopted = []

    # which Variable is it? ---------------------------------------------------------------------------------

    def symbol(self, variable: Variable) -> Any:
        """The Symbol of a Variable."""
        array = variable.value
        if id(array) in self._known:
            array = array[...]
        self._known[id(array)] = (array, variable)
        return self.bare(array)

    def bare(self, array: Any) -> Any:
        """A traced value around an array that is known, or will be."""
        symbol = self.kind.__new__(self.kind)
        symbol._data, symbol._node, symbol._view = array, None, None
        return symbol

    def atom(self, value: Any, frame: FrameType | None = None) -> Atom:
        """The Variable or Literal that an input of a primitive is; a new constant, if it is none yet."""
        symbol = symbol_in(value)
        if symbol is not None:
            return self._variable_of(symbol)
        if type(value) in SCALARS:
            return Literal(value)
        original = value
        if isinstance(value, Tensor):
            node = value._node
            if node is not None and node.plan is not None:
                message = (
                    f"a Tensor with a history that is not traced met a traced value\n  at {here()}\n"
                    f"Pass what it was computed from as an argument of the traced function, or detach() it."
                )
                raise (
                    ChangedInPlaceError(message, *self.floating)
                    if self.floating
                    else UnsupportedError(message)
                )
            if node is not None:
                name = "" if frame is None else _name_of(value, frame)
                return self.adopt(value, name or f"parameter{len(self.adopted) + 1}")
            value = value._data
        array = np.asarray(value)
        known = self._known.get(id(value))
        return known[1] if known else self._constant(value, array, frame, original)

    def atom_of(self, variable: Variable) -> Atom:
        """What a Variable has become."""
        return self._known[id(variable.value)][1]

    def _variable_of(self, symbol: Any) -> Atom:
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
            name = _name_of(known_as, frame)
        if not name and array.size and array.dtype.kind in "biuf" and (array == array.flat[0]).all():
            made = Literal(array.flat[0].item(), array.shape, array.dtype)
        elif frame is not None and array.ndim:
            made = self._made_of_another(array, frame, name)
        if made is None:
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
                if id(array) in self.paths:
                    raise ChangedInPlaceError("an array was changed in place", self.paths[id(array)])
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
        if isinstance(value, (self.kind, np.ndarray)):
            known = self._known.get(id(value._data if isinstance(value, self.kind) else value))
            if known is not None:
                return known[1] if isinstance(known[1], Variable) else value
            variable = Variable(np.asarray(value), name_of_array(value, frame) if frame is not None else "")
            self.constants.append(variable)
            self._known[id(value)] = (value, variable)
            return variable
        return value

    def record(
        self, primitive: Primitive, inputs: tuple[Atom, ...], parameters: dict[str, Any],
        results: tuple[Any, ...], frame: FrameType | None,
    ) -> None:  # fmt: skip
        """Write down an equation whose results are the Symbols `results`."""
        where = None if frame is None else (frame.f_code, frame.f_lasti)
        names = () if frame is None else names_of_result(frame)
        hints = names if len(names) == len(results) else ("",) * len(results)
        if len(results) == 1 and len(names) > 1:  # a, b = one result that is unpacked
            hints = ("",)
        outputs = []
        for result, hint in zip(results, hints, strict=True):
            hint = "" if hint in ("data", "grad") else hint  # w.data = ... is no name for the value
            array = np.asarray(result._data)
            known = self._known.get(id(array))
            if known is not None and any(known[1] is atom for atom in inputs):
                array = array[...]  # the forward function handed its input on
            variable = Variable(array, hint, where, self.backward)
            result._data = array
            self._known[id(array)] = (array, variable)
            outputs.append(variable)
        self.equations.append(Equation(primitive, inputs, parameters, tuple(outputs), where))

    def replace(self, changed: Mapping[Variable, Atom]) -> None:
        """Let values stand for other Variables: a rewriting found that they are equal."""
        if changed:
            self._known = {
                key: (array, changed.get(atom, atom) if isinstance(atom, Variable) else atom)
                for key, (array, atom) in self._known.items()
            }


def _name_of(value: Any, frame: FrameType) -> str:
    return name_of_array(value, frame) or name_of_attribute(value, _getframe(1))


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
        elif array.strides == other.strides and other.flags.c_contiguous:
            start = array.__array_interface__["data"][0] - other.__array_interface__["data"][0]
            starts = np.unravel_index(start // other.itemsize, other.shape)
            yield (
                getitem,
                (),
                {"key": tuple(slice(int(i), int(i) + n) for i, n in zip(starts, array.shape, strict=True))},
            )
    elif other.dtype.kind == "f" and (other.shape, other.dtype) == (array.shape, array.dtype):
        if np.array_equal(1 - other, array):
            yield subtract, (Literal(1),), {}
        if np.array_equal(-other, array):
            yield negative, (), {}


def check_not_tracing(what: str) -> None:
    """Raise UnsupportedError while a function is traced, for random numbers: those of one run would be fixed."""
    if current.get() is not None:
        raise UnsupportedError(
            f"{what}, and traced they would be fixed to those of one run\n  at {here()}\nDraw them outside of the "
            f"function and pass them as arguments, a mask for dropout too; or switch dropout off with model.eval()."
        )


def symbol_in(value: Any) -> Any:
    """The Symbol that a value is, or that a façade's tensor holds in the place of its array; None for all others."""
    if isinstance(value, Tensor) and value._keeps_its_class:
        value = value._data
    return value if type(value) is Trace.kind else None


def running() -> Trace:
    """The trace that is under way; refused where a traced value was kept beyond it."""
    trace = current.get()
    if trace is None:
        raise UnsupportedError(
            f"a traced value was used after its trace had ended\n  at {here()}\nDo not keep it outside of "
            f"the function: return it."
        )
    return trace
