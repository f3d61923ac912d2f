"""Tensor: an array that remembers how it was computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from sys import _getframe
from types import FrameType
from typing import Any, ClassVar, Self

import numpy as np
from numpy import ndarray

from chainrule.backward import Hook, Node, Watch, complex_refused, first_bad, sweep
from chainrule.changeable import Changeable, View, copied
from chainrule.errors import (
    AnomalyError,
    BackwardError,
    GradientLostError,
    InputError,
    ShapeError,
)
from chainrule.inplace import Seals, note_change, protected, version
from chainrule.lines import Place, here, place, stores_an_element
from chainrule.modes import ANOMALY, RECORD, TRACE, mode
from chainrule.namespace import NUMPY_TYPES, is_array, is_floating, namespace_of
from chainrule.primitives import Plan, Primitive, described, restated
from chainrule.typing import DType, Shape

_new = object.__new__
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Tensor(Changeable):
    """An array whose operations are recorded, so that gradients can flow back through them.

    Parameters
    ----------
    data
        An array (not copied), a number, or nested lists of numbers. Of any shape; gradients need a
        floating-point type.
    requires_grad
        Whether `backward()` shall leave a gradient in `.grad`.
    dtype
        Convert to this type first.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.])
    """

    __slots__ = ("__weakref__",)

    _keeps_its_class: ClassVar[bool] = False
    """Whether it stays what it is while a function is traced, and holds a Symbol in the place of its array: façades."""

    def __init__(self, data: Any, requires_grad: bool = False, *, dtype: DType = None) -> None:
        self._data = _as_data(data, dtype)
        self._node = self._view = None
        if requires_grad:
            self.requires_grad = True

    # the array -----------------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The array itself; it shares memory with the Tensor and records nothing."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        if value is self._data:  # t.data += 1 changed the memory and hands the same array back
            note_change(value, place(_getframe(1)))
            return
        value = _as_data(value, None)
        if self._node is not None and value.dtype != self._node.dtype:
            raise InputError(
                f"data of a Tensor of type {self._node.dtype} that needs a gradient was set to "
                f"{described(value)}; convert it with .astype({self._node.dtype})"
            )
        self._data = value
        if self.is_leaf and self._node is not None:
            self._node.shape = value.shape

    def _take(self, values: Any, where: Place) -> None:
        """Hold what a compiled function, called at `where`, computed for this Tensor."""
        self.data = np.asarray(values)

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""
        return self._data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._data.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self._data.shape)

    @property
    def nbytes(self) -> int:
        """The memory of the elements, in bytes."""
        return self.size * int(self._data.dtype.itemsize)

    @property
    def device(self) -> Any:
        """The device of the array, as its library names it."""
        return self._data.device

    @property
    def version(self) -> int:
        """How often the memory of this Tensor was changed in place."""
        return version(self._data)

    def numpy(self) -> np.ndarray:
        """The data as a NumPy array that shares memory.

        Raises GradientLostError if the Tensor needs a gradient: use `t.detach().numpy()` or `t.data`.
        """
        if self.requires_grad:
            raise GradientLostError(
                f"a Tensor of shape {self.shape} that needs a gradient cannot become a NumPy array without "
                f"losing it; write t.detach().numpy() if that is meant"
            )
        return np.asarray(self._data)

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item() needs exactly one element, but the Tensor has shape {self.shape}")
        return np.asarray(self._data).item()

    def tolist(self) -> Any:
        """The elements as nested Python lists."""
        return self._data.tolist()

    def detach(self) -> Self:
        """The same array without its history; it shares memory."""
        return self._wrapped(self._data)

    def sweeping(self) -> AbstractContextManager[Callable[[Any, Any], Any]]:
        """While a façade's reverse sweep runs along values like this one: a function that names the gradients."""
        return nullcontext(lambda watch, g: g)

    def as_it_is_now(self) -> Self:
        """Of what is kept for the reverse sweep: what no later change in place reaches."""
        return self

    # the gradient --------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows back to this Tensor."""
        return self._current_node() is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not self.is_leaf:
            if not wanted:
                raise BackwardError("requires_grad of a computed Tensor cannot be cleared; use t.detach()")
        elif not wanted:
            self._node = None
        elif self._node is None:
            check_differentiable(self._data, "requires_grad=True")
            self._node = Node.leaf(self._data.shape, self._data.dtype)

    @property
    def is_leaf(self) -> bool:
        """Whether the Tensor was made by the user and not by an operation on Tensors that need gradients."""
        node = self._current_node()
        return node is None or node.plan is None

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient; None before the first `backward()`."""
        node = self._node
        return None if node is None or node.watch is None else node.watch.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        node = self._node
        if node is None:
            if value is not None:
                raise BackwardError(
                    "grad was set on a Tensor that needs no gradient; set requires_grad first"
                )
            return
        if value is not None:
            value = value if isinstance(value, Tensor) else self._wrapped(_as_data(value, None))
            if value.shape != self.shape:
                raise ShapeError(f"grad of shape {value.shape} was set on a Tensor of shape {self.shape}")
        node.watched().grad = value

    def retain_grad(self) -> None:
        """Keep the gradient of this computed Tensor in `.grad` too."""
        node = self._current_node()
        if node is None:
            raise BackwardError("retain_grad() on a Tensor that needs no gradient")
        node.watched().retains = True

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook(g)` with each gradient that arrives here; what it returns replaces the gradient.

        Returns a function that removes the hook.
        """
        node = self._current_node()
        if node is None:
            raise BackwardError("register_hook() on a Tensor that needs no gradient")
        watch, wrapped = node.watched(), self._hook(hook)
        watch.hooks = (*watch.hooks, wrapped)

        def remove() -> None:
            watch.hooks = tuple(h for h in watch.hooks if h is not wrapped)

        return remove

    def _hook(self, hook: Hook) -> Hook:
        """The user's hook, which sees Tensors, for the sweep, which hands out arrays unless it is recorded."""
        wrap = type(self)._wrapped

        def wrapped(g: Any) -> Any:
            recorded = isinstance(g, Tensor) and not g.is_traced
            changed = hook(g if recorded else wrap(g))
            if changed is None:
                return None
            changed = changed if isinstance(changed, Tensor) else wrap(_as_data(changed, None))
            if changed.shape != g.shape:
                raise ShapeError(
                    f"a hook turned a gradient of shape {g.shape} into one of shape {changed.shape}"
                )
            return changed if recorded else changed._data

        return wrapped

    def backward(
        self, g: Any = None, *, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Sweep back from here and add to the `.grad` of every leaf that this Tensor was made from.

        `g` is the cotangent of this Tensor, of its shape; a scalar needs none. `retain_graph` keeps the
        residuals for another sweep; `create_graph` makes gradients that can be differentiated again.

        Raises BackwardError where there is nothing to sweep, where a non-scalar has no cotangent, where
        residuals were freed (FreedGraphError) or changed in place (ModifiedError).
        """
        node = self._current_node()
        if node is None:
            raise BackwardError(
                f"backward() on a Tensor of shape {self.shape} that does not depend on any Tensor with "
                f"requires_grad=True{'' if mode.get() & RECORD else ' (or was computed under no_grad)'}"
            )
        g = self._one() if g is None and self._data.shape == () else _seed(self, g)
        sweep_from(self, node, g, (), self._deposit, create_graph, retain_graph)

    def _sweep(
        self,
        node: Node,
        g: Any,
        sinks: Collection[Node],
        deposit: Callable[[Watch, Any], None] | None,
        create_graph: bool,
        retain_graph: bool | None,
    ) -> dict[Node, Any]:
        """`sweep_from`, for this class of Tensors."""
        retain = create_graph if retain_graph is None else retain_graph
        if not create_graph and type(g) in NUMPY_TYPES and type(self._data) in NUMPY_TYPES:
            return sweep(node, g, sinks, deposit, None, retain)
        if not isinstance(self._data, Tensor):
            return self._swept(node, g, sinks, deposit, create_graph, retain)
        # A façade's tensor, which holds a Symbol: what the rules do is traced.
        if not isinstance(_held(g), Tensor):
            g = self._data._wrapped(np.asarray(_held(g)))
        with self._data.sweeping() as named:
            to = deposit and (lambda watch, g: deposit(watch, named(watch, g)))
            found = self._swept(node, g, sinks, to, create_graph, retain)
            return {end: named(end.watch, cotangent) for end, cotangent in found.items()}

    def _swept(
        self,
        node: Node,
        g: Any,
        sinks: Collection[Node],
        deposit: Callable[[Watch, Any], None] | None,
        create_graph: bool,
        retain: bool,
    ) -> dict[Node, Any]:
        if not create_graph:
            return sweep(node, _held(g), sinks, deposit, None, retain)
        kind = type(self)
        g = kind._wrapped(g) if _held(g) is g else g
        return sweep(node, g, sinks, deposit, _residuals_of(kind), retain)

    def _one(self) -> Any:
        """The cotangent to start from: ones of this shape and type."""
        data = self._data
        if isinstance(data, np.generic):
            return type(data)(1.0)  # several times faster than ones_like
        return namespace_of(data).ones_like(data)

    @classmethod
    def _deposit(cls, watch: Watch, g: Any) -> None:
        """Add an arriving gradient to what a node's `.grad` holds: to its memory, unless that has a history."""
        if watch.grad is None:
            watch.grad = g if isinstance(g, Tensor) else cls._wrapped(g)
        elif type(g) is np.ndarray and type(watch.grad._data) is np.ndarray and watch.grad._node is None:
            watch.grad._data += g
            note_change(watch.grad._data, place(_getframe(1)))
        else:
            watch.grad = watch.grad + g

    # making Tensors ------------------------------------------------------------------------------------

    @classmethod
    def _wrapped(cls, data: Any, node: Node | None = None) -> Self:
        """A Tensor around an array, unchecked: the constructor of the hot path."""
        tensor = cls.__new__(cls)
        tensor._data = data
        tensor._node = node
        tensor._view = None
        return tensor

    @classmethod
    def _joined(cls, value: Any) -> Any:
        """`value` beside a tensor of this façade: for a Symbol, a tensor that holds it, and that gradients reach."""
        if not (isinstance(value, Tensor) and value.is_traced):
            return value
        tensor = cls._wrapped(np.empty(0))
        tensor._data = value.as_it_is_now()
        if is_floating(value):  # no leaf, which could not be changed in place
            plan = cls._ops.positive.plan(1, 1)
            leaf = Node.leaf(value.shape, value.dtype)
            tensor._node = Node(plan, (leaf,), plan.keep(value, [value], {}), value.shape, value.dtype, None)
        return tensor

    @staticmethod
    def _apply(  # noqa: C901 - the hot path
        primitive: Primitive, inputs: tuple[Any, ...], parameters: dict[str, Any]
    ) -> Any:
        """Apply a primitive: run it on the arrays, and record it if an input needs a gradient.

        Called by the user's line through one function of this package; the engine's other hot path.
        """
        arrays: list[Any] = []
        parents: list[Node] = []
        mask, bit, kind, plain = 0, 1, Tensor, True
        seals: Seals | None = None
        for x in inputs:
            if isinstance(x, Tensor):
                kind = type(x)
                node = x._node if x._view is None else x._current_node()
                if node is not None:
                    mask |= bit
                    parents.append(node)
                x = x._data
            elif type(x) is ndarray:
                seals = ()
            if type(x) not in NUMPY_TYPES:
                plain = False
            arrays.append(x)
            bit += bit
        flags = mode.get()
        if flags & TRACE and (traced := _traced_among(inputs)) is not None:
            return traced._apply(primitive, inputs, parameters)
        try:
            if plain:
                out = primitive.plain(*arrays, **parameters)
            else:
                out = primitive.evaluate(arrays, parameters)
                arrays = [_as_it_is_now(a) for a in arrays]
        except (ValueError, TypeError, IndexError) as error:
            raise restated(primitive, arrays, parameters, error) from error
        if flags & ANOMALY:
            _check_finite(primitive, arrays, out)
        node = None
        if mask and flags & RECORD and primitive.differentiable:
            plan = primitive.plans.get(mask | bit) or primitive.plan(len(arrays), mask)
            if len(parents) != len(plan.needed):
                parents = _parents_of(plan, inputs)
            kept = plan.keep(out if plain else _as_it_is_now(out), arrays, parameters)
            if seals is not None and plan.keeps_arrays:
                kept, seals = protected(kept, plan.given, inputs)
            where = place(_getframe(2))
            if primitive.outputs:
                node = Node(plan, tuple(parents), kept, None, None, where)
            elif parents:
                dtype = out.dtype
                node = Node(plan, tuple(parents), kept, out.shape, dtype, where)
                if dtype is not _FLOAT32 and dtype is not _FLOAT64 and getattr(dtype, "kind", None) == "c":
                    raise complex_refused(node)
            if seals and node is not None:
                node.watched().seals = seals
        if primitive.outputs:
            return _outputs(kind, node, out)
        result: Tensor = _new(kind)
        result._data = out
        result._node = node
        result._view = None
        if primitive.view and (type(out) is np.ndarray or isinstance(out, Tensor)):
            _note_view(result, inputs[0], primitive, parameters)
        return result

    # Python's protocols --------------------------------------------------------------------------------

    def __array__(self, dtype: DType = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad:
            raise GradientLostError(
                f"a Tensor of shape {self.shape} that needs a gradient was about to become a NumPy array, "
                f"and its gradient would be lost\n  at {here()}\nUse NumPy functions on the Tensor itself "
                f"(a @ t for a.dot(t)), build arrays with np.stack or cr.ops.stack instead of np.array([...]), "
                f"start from np.zeros_like(tensor) to assign into, or write t.detach() if no gradient is wanted."
            )
        return np.array(self._data, dtype=dtype, copy=copy)

    def _number(self, frame: FrameType) -> Any:
        """The only element, for Python; refused where it would end up in a plain array."""
        # NumPy turns the v of a[0] = v into a number without asking __array__.
        if stores_an_element(frame) and self.requires_grad:
            raise GradientLostError(
                f"a Tensor that needs a gradient was about to be written into a plain array, and its gradient "
                f"would be lost\n  at {here()}\nWrite into a Tensor, such as one made with np.zeros_like(tensor) or "
                f"cr.ops.zeros(shape), or build the array with np.stack; write t.item() if no gradient is wanted."
            )
        return self.item()

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                f"the truth of a Tensor with shape {self.shape} is ambiguous; use t.any() or t.all(), or "
                f"np.where for a choice per element"
            )
        return bool(self._data)

    def __float__(self) -> float:
        return float(self._number(_getframe(1)))

    def __int__(self) -> int:
        return int(self._number(_getframe(1)))

    def __complex__(self) -> complex:
        return complex(self._number(_getframe(1)))

    @property
    def real(self) -> Any:
        """The real parts; of real elements, the array itself."""
        return type(self)._wrapped(self._data.real) if np.iscomplexobj(self._data) else self

    def conj(self) -> Any:
        """The conjugates; of real elements, the array itself."""
        return type(self)._wrapped(self._data.conj()) if np.iscomplexobj(self._data) else self

    def __index__(self) -> int:
        if np.dtype(self.dtype).kind not in "iu":
            raise InputError(f"only an integer Tensor can be an index, but this is {described(self)}")
        return int(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise InputError("a Tensor of shape () has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __repr__(self) -> str:
        text = np.array2string(np.asarray(self._data), separator=", ", prefix="Tensor(")
        kind = f", dtype={self.dtype}" if self.dtype not in (np.float64, np.int64, np.bool_) else ""
        node = self._current_node()
        history = (
            "" if node is None else ", requires_grad=True" if node.plan is None else f", from={node.name}"
        )
        return f"Tensor({text}{kind}{history})"

    def __format__(self, specification: str) -> str:
        return format(self.item(), specification) if specification else str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.is_leaf:
            raise InputError("a computed Tensor cannot be copied or pickled with its history; use t.detach()")
        return (type(self), (self._data, self.requires_grad))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if not self.is_leaf:
            raise InputError("a computed Tensor cannot be copied with its history; use t.detach()")
        return type(self)(copied(self._data), self.requires_grad)


def _as_data(data: Any, dtype: DType) -> Any:
    """The array behind whatever a Tensor is made from."""
    if isinstance(data, Tensor):
        data = data._data
    if not is_array(data):
        try:
            data = np.asarray(data)
        except ValueError as error:
            raise ShapeError(
                f"a Tensor cannot be made from nested lists of unequal lengths: {error}"
            ) from error
    if getattr(data.dtype, "kind", "f") not in "biufc":
        raise InputError(f"a Tensor holds numbers, but was given {described(data)}: {str(data)[:60]}")
    if dtype is not None:
        data = namespace_of(data).astype(data, dtype)
    return data


def _held(g: Any) -> Any:
    """What a Tensor holds; an array and a Symbol are what they are."""
    return g._data if isinstance(g, Tensor) and not g.is_traced else g


def _traced_among(inputs: tuple[Any, ...]) -> Tensor | None:
    """A Symbol beside Tensors of other classes."""
    return next((x for x in inputs if isinstance(x, Tensor) and x.is_traced), None)


def _as_it_is_now(out: Any) -> Any:
    if isinstance(out, tuple):
        return tuple(_as_it_is_now(part) for part in out)
    return out.as_it_is_now() if isinstance(out, Tensor) else out


def check_differentiable(data: Any, what: str) -> None:
    """Raise InputError unless the array has a type that has gradients.

    >>> check_differentiable(np.arange(3), "grad")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    chainrule.errors.InputError: grad needs floating-point numbers, but was given int64 of shape (3,); ...
    """
    if not is_floating(data):
        mend = (
            "complex gradients are not defined here; split it into real and imaginary parts"
            if getattr(data.dtype, "kind", None) == "c"
            else "convert with .astype(float), or write 3.0 for 3"
        )
        raise InputError(f"{what} needs floating-point numbers, but was given {described(data)}; {mend}")


def _seed(tensor: Tensor, g: Any) -> Any:
    """The cotangent to start from: the one given, or 1 for a scalar."""
    if g is None:
        if tensor.size != 1:
            raise BackwardError(
                f"backward() from a Tensor of shape {tensor.shape} needs a cotangent of that shape; only a "
                f"scalar needs none. Sum or average it first, or pass backward(g)"
            )
        return tensor._one()
    g = g if isinstance(g, Tensor) else _as_data(g, None)
    if g.shape != tensor.shape:
        raise ShapeError(f"backward(g): g has shape {g.shape}, but the Tensor has shape {tensor.shape}")
    return g


def sweep_from(
    tensor: Tensor,
    node: Node,
    g: Any,
    sinks: Collection[Node],
    deposit: Callable[[Watch, Any], None] | None,
    create_graph: bool,
    retain_graph: bool | None,
) -> dict[Node, Any]:
    """Run one reverse sweep from `tensor`, whose node is `node`; with `create_graph`, recorded on Tensors."""
    return tensor._sweep(node, g, sinks, deposit, create_graph, retain_graph)


def _residuals_of(kind: type[Tensor]) -> Callable[[Node], tuple[Any, ...]]:
    """A function that gives a node's residuals as Tensors with their history."""

    def residuals(node: Node) -> tuple[Any, ...]:
        plan = node.plan
        assert plan is not None
        assert node.kept is not None
        sources = dict(zip(plan.needed, node.parents, strict=True))
        return tuple(
            _with_history(kind, v, k, node, sources) for v, k in zip(node.kept, plan.kinds, strict=True)
        )

    return residuals


def _with_history(
    kind: type[Tensor], value: Any, which: int | None, node: Node, sources: dict[int, Node]
) -> Any:
    if which is None:
        return value
    if which == -1:
        if isinstance(value, tuple):
            return _outputs(kind, node, value)
        return kind._wrapped(value, node)
    if isinstance(value, tuple):
        return tuple(kind._wrapped(v, sources[i]) if i in sources else v for i, v in enumerate(value))
    return kind._wrapped(value, sources[which]) if which in sources else value


def _parents_of(plan: Plan, inputs: tuple[Any, ...]) -> list[Node]:
    """The parents where not every input that needs a gradient has a rule."""
    return [node for i in plan.needed if (node := inputs[i]._current_node()) is not None]


_pick = Primitive("pick(x, *, position, count)", {
    "x": lambda g, position, count: tuple(g if i == position else None for i in range(count)),
}, lambda x, position, count: x[position])  # fmt: skip
"""One of several outputs; its cotangent is that output's place in a tuple."""


def _outputs(kind: type[Tensor], node: Node | None, values: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The results of a primitive with several outputs, each a Tensor with a node of its own."""
    return tuple(kind._wrapped(v, _output(node, v, i, len(values))) for i, v in enumerate(values))


def _output(node: Node | None, value: Any, index: int, count: int) -> Node | None:
    if node is None or not is_floating(value):
        return None
    return Node(_pick.plan(1, 1), (node,), (index, count), value.shape, value.dtype, node.where)


def _note_view(result: Tensor, source: Tensor, primitive: Primitive, parameters: dict[str, Any]) -> None:
    if isinstance(result._data, Tensor):  # a Symbol knows itself what it is a view of
        if result._data._view is not None:
            result._view = View(source, primitive, parameters, source._node)
        return
    shown, whole = result._data.base, source._data
    if shown is not None and isinstance(whole, np.ndarray) and (shown is whole or shown is whole.base):
        result._view = View(source, primitive, parameters, source._node)


def _check_finite(primitive: Primitive, arrays: list[Any], out: Any) -> None:
    for value in out if primitive.outputs else (out,):
        bad = first_bad(value)
        if bad:
            names = primitive.inputs * (len(arrays) if primitive.variadic else 1)
            operands = ", ".join(f"{n}: {described(a)}" for n, a in zip(names, arrays, strict=True))
            raise AnomalyError(f"{primitive.text} gave {bad}\n  operands {operands}\n  at {here()}")
