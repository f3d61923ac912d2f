"""The reverse sweep: from the cotangent of a result to the cotangents of everything it was made from.

Nodes are numbered as they are made, so a parent's number is always smaller than its child's: taking the
nodes from the largest number down visits each one after everything that used it. No recursion, no sort.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from heapq import heappop, heappush
from typing import Any

import numpy as np

from chainrule.errors import AnomalyError, FreedGraphError, ModifiedError, RuleError, UnsupportedError
from chainrule.inplace import Change, Seals, change_since, elements_at, latest, next_order, seal
from chainrule.lines import Place, described_place
from chainrule.modes import ANOMALY, mode
from chainrule.namespace import is_array, namespace_of
from chainrule.operators import data_of
from chainrule.primitives import Plan, Primitive, described
from chainrule.typing import DType, Shape

Hook = Callable[[Any], Any]


class Watch:
    """What is unusual about a node: its gradient is kept, there are hooks, or sealed arrays among its residuals."""

    __slots__ = ("grad", "hooks", "retains", "seals")

    def __init__(self, retains: bool) -> None:
        self.grad: Any = None
        self.hooks: tuple[Hook, ...] = ()
        self.retains = retains
        self.seals: Seals = ()


class Node:
    """One application of a primitive: its plan, its parents, the residuals that its rules asked for.

    A leaf is a Node without a plan, and watched. `shape` is None for a primitive with several outputs.
    """

    __slots__ = ("__weakref__", "dtype", "kept", "order", "parents", "plan", "shape", "watch", "where")

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
        self.watch: Watch | None = None

    @classmethod
    def leaf(cls, shape: Shape, dtype: DType) -> Node:
        """The node of a Tensor that the user made."""
        node = cls(None, (), (), shape, dtype, None)
        node.watch = Watch(retains=True)
        return node

    def watched(self) -> Watch:
        """The watch of this node, begun now if there was none."""
        if self.watch is None:
            self.watch = Watch(retains=False)
        return self.watch

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


def sweep(  # noqa: C901 - the hot path
    node: Node,
    g: Any,
    sinks: Collection[Node] = (),
    deposit: Callable[[Watch, Any], None] | None = None,
    residuals: Callable[[Node], tuple[Any, ...]] | None = None,
    retain: bool = False,
) -> dict[Node, Any]:
    """Sweep back from `node` with the cotangent `g`; returns the cotangents of the `sinks`, where it ends.

    `deposit(watch, g)` receives the cotangents of leaves and of nodes that retain theirs. `residuals(node)`,
    where given, returns the residuals as Tensors, so that the sweep itself is recorded. With `retain`, the
    residuals are kept for another sweep.

    This loop is the engine's hot path: the usual case is written out in it, the unusual ones are calls.
    """
    checks_values = mode.get() & ANOMALY
    totals: dict[Node, Any] = {}  # the cotangents of leaves, complete at the end
    pending: dict[int, list[Any]] = {-node.order: [node, g]}
    heap = [-node.order]
    untaken: dict[int, Any] | None = None  # where selections left the cotangents of nodes zero, by order
    if node.plan is None:
        totals, heap = {node: g.copy()}, []
    while heap:
        node, g = pending.pop(heappop(heap))
        if node.watch is not None:
            g = _seen(node.watch, g, deposit)
            _check_seals(node, node.watch)
        if node in sinks:
            totals[node] = g
            continue
        plan, kept = node.plan, node.kept
        if plan is None or kept is None:
            raise FreedGraphError(_freed(node))
        if node.order < latest[0]:
            kept = node.kept = _as_recorded(node, plan, kept)
        if residuals is not None:
            kept = residuals(node)
        xp = _namespace_of_cotangent(g) if plan.wants_xp else None
        if untaken is None and not plan.primitive.selects:
            cotangents = plan.pull(g, xp, kept)
        else:
            untaken = {} if untaken is None else untaken
            cotangents = _pulled_behind_selection(node, plan, g, xp, kept, untaken, pending)
        if checks_values:
            _check_values(node, plan, cotangents)
        if plan.keeps_arrays and not retain:
            node.kept = None
        for parent, cotangent in zip(node.parents, cotangents):  # noqa: B905
            try:
                fits = cotangent.shape == parent.shape and cotangent.dtype == parent.dtype
            except AttributeError:
                fits = False
            if not fits:
                if cotangent is None:
                    continue
                cotangent = fitted(cotangent, parent, node, g)
            if parent.plan is None:
                known = totals.get(parent)
                totals[parent] = _own(cotangent, g, kept) if known is None else known + cotangent
            else:
                key = -parent.order
                entry = pending.get(key)
                if entry is None:
                    pending[key] = [parent, cotangent]
                    heappush(heap, key)
                else:
                    entry[1] = entry[1] + cotangent
    found = {}
    for node, g in totals.items():
        if node.plan is None and node.watch is not None:
            g = _seen(node.watch, g, deposit)
        if node in sinks:
            found[node] = g
    return found


def _seen(watch: Watch, g: Any, deposit: Callable[[Watch, Any], None] | None) -> Any:
    """The cotangent after the hooks; it is deposited if the watch retains it."""
    for hook in watch.hooks:
        changed = hook(g)
        g = g if changed is None else changed
    if watch.retains and deposit is not None:
        deposit(watch, g)
    return g


def _pulled_behind_selection(
    node: Node,
    plan: Plan,
    g: Any,
    xp: Any,
    kept: tuple[Any, ...],
    untaken: dict[int, Any],
    pending: Container[int],
) -> tuple[Any, ...]:
    """What the rules give behind a selection, where a branch that was not taken keeps its cotangent of zero.

    The branch may have an infinite derivative there, and 0 * inf must not become NaN (HIPS/autograd#802). The
    mask of what was not taken goes along with the cotangent as far as the operations are elementwise.
    """
    primitive, mask = plan.primitive, untaken.get(node.order)
    with np.errstate(all="ignore"):
        cotangents: tuple[Any, ...] = plan.pull(g, xp, kept)
    if mask is not None and primitive.elementwise:
        xp = namespace_of(g)
        cotangents = tuple(
            c if c is None or c is g else xp.where(mask, xp.zeros_like(c), c) for c in cotangents
        )
    moved = _moved(plan, mask, kept)
    for index, parent, passed in zip(plan.needed, node.parents, moved, strict=True):
        if primitive.selects:
            passed = _left_out(primitive, index, _values(kept[plan.kinds.index(0)]), node, passed)
        passed = None if passed is None else _as_far_as(passed, parent.shape)
        if -parent.order in pending:  # it is zero only where it is zero on all paths
            known = untaken.get(parent.order)
            passed = None if known is None or passed is None else known & passed
        untaken[parent.order] = passed
    return cotangents


def _moved(plan: Plan, mask: Any, kept: tuple[Any, ...]) -> list[Any]:
    """The mask on the other side of a primitive, for each of its needed inputs.

    Elementwise, it stays where it is. A rule that needs no array only moves and adds elements, so that it takes
    the mask along: left out is what receives nothing of what was taken.
    """
    if mask is None or plan.primitive.elementwise:
        return [mask] * len(plan.needed)
    if plan.keeps_arrays or plan.primitive.outputs:
        return [None] * len(plan.needed)
    xp = namespace_of(mask)
    taken = xp.astype(xp.logical_not(mask), xp.float64)
    return [part == 0 for part in plan.pull(taken, xp, kept)]


def _values(condition: Any) -> Any:
    """The array of a recorded sweep's Tensor; what is traced stays so."""
    return condition if getattr(condition, "is_traced", False) else data_of(condition)


def _left_out(primitive: Primitive, index: int, condition: Any, node: Node, mask: Any) -> Any:
    """Where a selection by its first input did not take input number `index`; and where it was itself left out."""
    xp = namespace_of(condition)
    left_out = xp.broadcast_to(condition if index == 2 else xp.logical_not(condition), node.shape)
    return left_out if mask is None else left_out | mask


def _as_far_as(mask: Any, shape: Shape | None) -> Any:
    """A mask for an input of shape `shape` that was broadcast: an element is left out if all its copies are."""
    if shape is None or mask.shape == shape:
        return None if shape is None else mask
    xp, extra = namespace_of(mask), len(mask.shape) - len(shape)
    if extra < 0:
        return None
    stretched = tuple(i + extra for i, n in enumerate(shape) if n != mask.shape[i + extra])
    return xp.reshape(xp.all(mask, axis=(*range(extra), *stretched)), shape)


def _namespace_of_cotangent(g: Any) -> Any:
    return (
        namespace_of(*(part for part in g if part is not None)) if type(g) is Cotangents else namespace_of(g)
    )


def _own(cotangent: Any, g: Any, kept: tuple[Any, ...]) -> Any:
    """A gradient that nobody else holds.

    A rule may hand on its own cotangent, a view of it, or a residual; a gradient that the user will see is
    copied then, so that changing x.grad changes neither y.grad nor the data.
    """
    if isinstance(cotangent, np.generic):
        return cotangent
    shared = cotangent is g or getattr(cotangent, "base", None) is not None
    for value in kept:
        shared = shared or cotangent is value
    return namespace_of(cotangent).copy(cotangent) if shared else cotangent


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
    broadcasts = node.plan is None or node.plan.primitive.broadcasts
    if broadcasts and extra > 0 and cotangent.shape[extra:] == shape:  # the usual case: a bias
        return namespace_of(cotangent).sum(cotangent, axis=tuple(range(extra)))
    inner = tuple(cotangent.shape[max(extra, 0) :])
    fits = extra >= 0 and all(n in (1, m) for n, m in zip(shape, inner, strict=True))
    if not (fits and broadcasts):
        raise RuleError(
            f"a rule of {node.name} returned a cotangent of shape {tuple(cotangent.shape)} for an input of "
            f"shape {tuple(shape)}; a cotangent has the shape of its input\n  applied at {node.line}"
        )
    stretched = [i + extra for i, (n, m) in enumerate(zip(shape, inner, strict=True)) if n != m]
    xp = namespace_of(cotangent)
    summed = xp.sum(cotangent, axis=(*range(extra), *stretched))
    return xp.reshape(summed, shape) if stretched else summed


def complex_refused(node: Node) -> UnsupportedError:
    """The error for a result that is complex though a gradient is to go through it: the rules are those of reals."""
    return UnsupportedError(
        f"the result of {node.name} is complex, and there are no gradients through complex numbers here\n"
        f"  applied at {node.line}\nCompute real and imaginary parts as two real arrays (np.cos(x) and np.sin(x) "
        f"for np.exp(1j * x)), or pass t.detach() instead of the Tensor t if no gradient is wanted."
    )


def _freed(node: Node) -> str:
    return (
        f"a second reverse sweep reached {node.name}, whose residuals were freed by the first one; "
        f"call the first with retain_graph=True, or run the forward pass again\n  applied at {node.line}"
    )


def _as_recorded(node: Node, plan: Plan, kept: tuple[Any, ...]) -> tuple[Any, ...]:
    """The residuals with the elements that they had when they were kept, whatever was changed in place since."""
    return tuple(
        tuple(_before(node, plan.primitive, part, kind) for part in value)
        if type(value) is tuple and kind is not None
        else _before(node, plan.primitive, value, kind)
        for value, kind in zip(kept, plan.kinds, strict=True)
    )


def _before(node: Node, primitive: Primitive, value: Any, kind: int | None) -> Any:
    change = change_since(value, node.order) if type(value) is np.ndarray else None
    if change is None:
        return value
    if change.final > node.order:
        raise ModifiedError(_modified(node, primitive, value, kind, change))
    return elements_at(value, node.order, change)


def _check_seals(node: Node, watch: Watch) -> None:
    for array, before in watch.seals:
        if seal(array) != before:
            raise ModifiedError(
                f"an array, {described(array)}, is needed for the gradient of {node.name} but was changed in place "
                f"after it was used\n  used at {node.line}\nChange a copy instead, or change it after backward()."
            )


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
            bad = None if part is None else first_bad(data_of(part))
            if bad:
                primitive = plan.primitive
                name = primitive.inputs[0 if primitive.variadic else index]
                raise AnomalyError(
                    f"the cotangent of {name!r} in {primitive.text} is {bad}\n  applied at {node.line}"
                )
