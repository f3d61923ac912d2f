"""The reverse sweep: from the cotangent of a result to the cotangents of everything it was made from.

Nodes are numbered as they are made, so a parent's number is always smaller than its child's: taking the
nodes from the largest number down visits each one after everything that used it. No recursion, no sort.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any

import numpy as np

from chainrule.errors import AnomalyError, FreedGraphError, ModifiedError, RuleError
from chainrule.inplace import Change, change_since, changes, next_order
from chainrule.lines import Place, described_place
from chainrule.modes import ANOMALY, mode
from chainrule.namespace import is_array, namespace_of
from chainrule.primitives import Plan, Primitive, described
from chainrule.typing import DType, Shape

Hook = Callable[[Any], Any]


class Node:
    """One application of a primitive: its plan, its parents, the residuals that its rules asked for.

    A leaf is a Node without a plan. `shape` is None for a primitive with several outputs.
    """

    __slots__ = (
        "__weakref__", "dtype", "grad", "hooks", "kept", "order", "parents", "plan", "retains", "shape", "where",
    )  # fmt: skip

    def __init__(
        self,
        plan: Plan | None,
        parents: tuple[Node, ...],
        kept: tuple[Any, ...] | None,
        shape: Shape | None,
        dtype: DType,
        where: Place | None,
    ) -> None:
        self.plan = plan
        self.parents = parents
        self.kept = kept
        self.shape = shape
        self.dtype = dtype
        self.where = where
        self.order = next_order()
        self.retains = plan is None
        self.grad: Any = None
        self.hooks: list[Hook] | None = None

    @property
    def name(self) -> str:
        """The primitive's signature, or "leaf"."""
        return self.plan.primitive.text if self.plan else "leaf"

    @property
    def line(self) -> str:
        """The user's line that made this node."""
        return described_place(self.where) if self.where else "an unknown line"


class Cotangents(tuple[Any, ...]):
    """The cotangents of a primitive with several outputs; None where nothing has arrived."""

    __slots__ = ()

    def __add__(self, other: Any) -> Cotangents:
        return Cotangents(
            a if b is None else b if a is None else a + b for a, b in zip(self, other, strict=True)
        )


class Sweep:
    """One reverse sweep.

    `sinks` are nodes whose cotangents are wanted; the sweep ends there. `deposit(node, g)` receives those
    of leaves and of nodes that retain their gradient. `residuals(node)`, where given, returns the residuals
    as Tensors, so that the sweep itself is recorded; they are then kept, as they are with `retain`.
    """

    def __init__(
        self,
        *,
        sinks: Iterable[Node] = (),
        deposit: Callable[[Node, Any], None] | None = None,
        residuals: Callable[[Node], tuple[Any, ...]] | None = None,
        retain: bool = False,
    ) -> None:
        self.sinks = set(sinks)
        self.found: dict[Node, Any] = {}
        self.deposit, self.residuals, self.retain = deposit, residuals, retain
        self.pending: dict[int, list[Any]] = {}
        self.heap: list[int] = []
        self.masked: set[int] = set()
        self.checks_values = bool(mode.get() & ANOMALY)

    def run(self, node: Node, g: Any) -> dict[Node, Any]:
        """Sweep from `node` with the cotangent `g`; returns the cotangents of the sinks that it reached."""
        self._arrive(node, g.copy() if node.retains else g)
        pending, heap = self.pending, self.heap
        while heap:
            node, g = pending.pop(heappop(heap))
            if node.hooks:
                g = _hooked(node, g)
            if node in self.sinks:
                self.found[node] = g
            elif node.plan is None:
                if self.deposit:
                    self.deposit(node, g)
            else:
                if node.retains and self.deposit:
                    self.deposit(node, g)
                self._through(node, node.plan, g)
        return self.found

    def _through(self, node: Node, plan: Plan, g: Any) -> None:
        kept = node.kept
        if kept is None:
            raise FreedGraphError(_freed(node))
        if changes:
            _check_unmodified(node, plan, kept)
        if self.residuals is not None:
            kept = self.residuals(node)
        xp = None if not plan.wants_xp else _namespace_of_cotangent(g)
        if self.masked or plan.primitive.selects:
            cotangents = self._masked(node, plan, g, xp, kept)
        else:
            cotangents = plan.pull(g, xp, kept)
        if self.checks_values:
            _check_values(node, plan, cotangents)
        if plan.keeps_arrays and not self.retain:
            node.kept = None
        for parent, cotangent in zip(node.parents, cotangents, strict=True):
            if cotangent is not None:
                cotangent = fitted(cotangent, parent, node, g)
                self._arrive(parent, _own(cotangent, g, kept) if parent.retains else cotangent)

    def _arrive(self, node: Node, g: Any) -> None:
        key = -node.order
        entry = self.pending.get(key)
        if entry is None:
            self.pending[key] = [node, g]
            heappush(self.heap, key)
        else:
            entry[1] = entry[1] + g

    def _masked(self, node: Node, plan: Plan, g: Any, xp: Any, kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """Behind a selection, a cotangent of zero stays zero, whatever it meets.

        Where `where` did not take a branch, the cotangent is 0, and the branch may have an infinite
        derivative there: 0 * inf must not become NaN (HIPS/autograd#802).
        """
        primitive = plan.primitive
        if primitive.selects or node.order in self.masked:
            self.masked.update(parent.order for parent in node.parents)
        with np.errstate(all="ignore"):
            cotangents: tuple[Any, ...] = plan.pull(g, xp, kept)
        if node.order not in self.masked or not primitive.elementwise:
            return cotangents
        xp = namespace_of(g)
        return tuple(c if c is None or c is g else xp.where(g == 0, xp.zeros_like(c), c) for c in cotangents)


def _namespace_of_cotangent(g: Any) -> Any:
    return namespace_of(*(part for part in g if part is not None)) if type(g) is Cotangents else namespace_of(g)


def _own(cotangent: Any, g: Any, kept: tuple[Any, ...]) -> Any:
    """A gradient that nobody else holds.

    A rule may hand on its own cotangent, a view of it, or a residual; a gradient that the user will see is
    copied then, so that changing x.grad changes neither y.grad nor the data.
    """
    shared = cotangent is g or getattr(cotangent, "base", None) is not None or any(cotangent is k for k in kept)
    return cotangent.copy() if shared and hasattr(cotangent, "copy") else cotangent


def fitted(cotangent: Any, parent: Node, node: Node, g: Any) -> Any:
    """A rule's result as a cotangent of the parent: summed to its shape, in its type."""
    shape = parent.shape
    if shape is None:
        return Cotangents(cotangent)
    try:
        if cotangent.shape != shape:
            cotangent = unbroadcast(cotangent, shape, node)
        if cotangent.dtype != parent.dtype:
            cotangent = namespace_of(cotangent).astype(cotangent, parent.dtype)
    except AttributeError:
        if is_array(cotangent):
            raise
        return fitted(namespace_of(g).asarray(cotangent), parent, node, g)
    return cotangent


def unbroadcast(cotangent: Any, shape: Shape, node: Node) -> Any:
    """Sum a cotangent over the axes along which an input of shape `shape` was broadcast.

    >>> unbroadcast(np.ones((2, 3)), (3,), Node(None, (), (), (2, 3), np.float64, None))
    array([2., 2., 2.])
    """
    extra = len(cotangent.shape) - len(shape)
    inner = tuple(cotangent.shape[max(extra, 0) :])
    fits = extra >= 0 and all(n in (1, m) for n, m in zip(shape, inner, strict=True))
    if not (fits and (node.plan is None or node.plan.primitive.broadcasts)):
        raise RuleError(
            f"a rule of {node.name} returned a cotangent of shape {tuple(cotangent.shape)} for an input of "
            f"shape {tuple(shape)}; a cotangent has the shape of its input\n  applied at {node.line}"
        )
    stretched = [i + extra for i, (n, m) in enumerate(zip(shape, inner, strict=True)) if n != m]
    xp = namespace_of(cotangent)
    summed = xp.sum(cotangent, axis=(*range(extra), *stretched))
    return xp.reshape(summed, shape) if stretched else summed


def _hooked(node: Node, g: Any) -> Any:
    for hook in node.hooks or ():
        changed = hook(g)
        g = g if changed is None else changed
    return g


def _freed(node: Node) -> str:
    return (
        f"a second reverse sweep reached {node.name}, whose residuals were freed by the first one; "
        f"call the first with retain_graph=True, or run the forward pass again\n  applied at {node.line}"
    )


def _check_unmodified(node: Node, plan: Plan, kept: tuple[Any, ...]) -> None:
    for value, kind in zip(kept, plan.kinds, strict=True):
        if type(value) is np.ndarray:
            change = change_since(value, node.order)
            if change is not None:
                raise ModifiedError(_modified(node, plan.primitive, value, kind, change))
        elif type(value) is tuple and kind is not None:
            _check_unmodified_parts(node, plan.primitive, value, kind)


def _check_unmodified_parts(node: Node, primitive: Primitive, values: tuple[Any, ...], kind: int) -> None:
    for value in values:
        change = change_since(value, node.order) if type(value) is np.ndarray else None
        if change is not None:
            raise ModifiedError(_modified(node, primitive, value, kind, change))


def _modified(node: Node, primitive: Primitive, value: Any, kind: int | None, change: Change) -> str:
    which = "the result" if kind == -1 else f"the input {primitive.inputs[kind or 0]!r}"
    return (
        f"{which} of {primitive.text}, {described(value)}, is needed for the gradient but was changed in place "
        f"after it was used\n  used at {node.line}\n  changed at {described_place(change.where)}\n"
        f"Change a copy instead, or change it after backward()."
    )


def first_bad(array: Any) -> str | None:
    """The first NaN or Inf of an array and its position, in words; None if all elements are finite.

    >>> first_bad(np.array([1.0, np.nan]))
    'nan at [1]'
    """
    values = np.asarray(array)
    if values.dtype.kind not in "fc" or np.isfinite(values).all():
        return None
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
    return f"{values[index]} at {list(index)}"


def _check_values(node: Node, plan: Plan, cotangents: tuple[Any, ...]) -> None:
    for index, cotangent in zip(plan.needed, cotangents, strict=True):
        parts = cotangent if isinstance(cotangent, tuple) else (cotangent,)
        for part in parts:
            bad = None if part is None else first_bad(getattr(part, "data", part))
            if bad:
                primitive = plan.primitive
                name = primitive.inputs[0 if primitive.variadic else index]
                raise AnomalyError(
                    f"the cotangent of {name!r} in {primitive.text} is {bad}\n  applied at {node.line}"
                )
