"""The algebra of what selects elements and puts them back: where, indices, scatter_add."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.graph.factors import split
from chainrule.graph.ir import Atom, Equation, Literal, Variable
from chainrule.graph.rewriting import Builder, New, Rule, is_zero
from chainrule.rules import elementwise as e
from chainrule.rules.shape import concatenate, reshape, stacked
from chainrule.typing import Shape


def _chosen_twice(b: Builder, equation: Equation) -> New | None:
    """where(not c, x, y) is where(c, y, x); where(c, where(c, x, _), y) is where(c, x, y)."""
    condition, x, y = equation.inputs
    inverse = b.rewritable(condition, "logical_not", "bitwise_invert")
    if inverse is not None and inverse.inputs[0].value.dtype == bool:
        return New(e.where, (inverse.inputs[0], y, x), {})
    for i, part in ((1, x), (2, y)):
        taken = _in_branch(b, condition, i, part)
        if taken is not None and np.broadcast_shapes(condition.shape, taken.shape) == equation.output.shape:
            return New(e.where, (condition, taken, y) if i == 1 else (condition, x, taken), {})
        inner = b.rewritable(part, "where")
        if inner is not None and inner.inputs[0] is condition:
            inputs = (condition, inner.inputs[1], y) if i == 1 else (condition, x, inner.inputs[2])
            shapes = [a.shape for a in inputs]
            if np.broadcast_shapes(*shapes) == equation.output.shape:
                return New(e.where, inputs, {})
    return None


def _in_branch(b: Builder, condition: Atom, i: int, part: Atom) -> Atom | None:
    """A product in a branch, of which a factor was chosen by the same condition."""
    made = b.rewritable(part, "multiply", "divide", "negative")
    if made is None:
        return None
    chosen = [b.rewritable(a, "where") for a in made.inputs]
    if made.name == "divide":  # a divisor may be guarded by its where
        chosen[1] = None
    inputs = [
        a if c is None or c.inputs[0] is not condition else c.inputs[i]
        for a, c in zip(made.inputs, chosen, strict=True)
    ]
    if all(x is y for x, y in zip(inputs, made.inputs, strict=True)):
        return None
    taken = b.make(made.primitive, *inputs, like=made.output)
    same = taken.value.dtype == made.output.dtype and taken.shape == made.output.shape
    return taken if same else None


def _sum_of_branches(b: Builder, equation: Equation) -> New | None:
    """where(c, x, 0) + where(c, 0, y) is where(c, x, y)."""
    first, second = (b.rewritable(a, "where") for a in equation.inputs)
    if first is None or second is None or first.inputs[0] is not second.inputs[0]:
        return None
    condition, x, nothing = first.inputs
    _, zero, y = second.inputs
    if not (is_zero(nothing) and is_zero(zero)):
        x, y, nothing, zero = zero, nothing, y, x
    if not (is_zero(nothing) and is_zero(zero)):
        return None
    fits = np.broadcast_shapes(condition.shape, x.shape, y.shape) == equation.output.shape
    return New(e.where, (condition, x, y), {}) if fits else None


def _shared_tie(b: Builder, equation: Equation) -> New | None:
    """where(z == 0, g / 2, where(z > 0, g, 0)) is g times a step, unless g may be infinite."""
    tie, rest = (b.rewritable(equation.inputs[i], name) for i, name in ((0, "equal"), (2, "where")))
    above = None if rest is None else b.rewritable(rest.inputs[0], "greater")
    if tie is None or rest is None or above is None or not is_zero(rest.inputs[2]):
        return None
    (z, zero), g = tie.inputs, rest.inputs[1]
    if above.inputs[0] is not z or not (is_zero(zero) and is_zero(above.inputs[1])):
        return None
    (half, part), (whole, same) = split(b, equation.inputs[1]), split(b, g)
    if part is not same or 2 * half != whole or not _stays_finite(b, g):
        return None
    step = b.make(e.heaviside, z, Literal(0.5), like=equation.output)
    types = {step.value.dtype, g.dtype or step.value.dtype}
    return New(e.multiply, (g, step), {}) if types == {equation.output.dtype} else None


_FINITE = frozenset((
    "add", "subtract", "multiply", "negative", "matmul", "linear", "affine", "contraction", "sum", "mean", "abs",
    "sign", "where", "maximum", "minimum", "heaviside", "relu", "tanh", "sigmoid", "softmax", "exp", "cos", "sin",
    "astype", "reshape", "permute_dims", "matrix_transpose", "broadcast_to", "getitem", "index_update", "scatter_add",
    "concatenate", "stacked", "squared_error", "binary_cross_entropy", "convolution", "convolution_transposed",
    "convolution_weights", "patches", "patches_added",
))  # fmt: skip
"""Primitives that make finite numbers of finite ones, overflow aside."""


def _stays_finite(b: Builder, atom: Atom) -> bool:
    """Whether a cotangent is made without a division, or anything else that has a pole."""
    seen: list[Variable] = []
    waiting = [atom]
    while waiting:
        made = b.definition(waiting.pop())
        if made is None or not made.output.backward:
            continue
        known = b.finite.get(made.output)
        by_number = made.name == "divide" and isinstance(made.inputs[1], Literal) and made.inputs[1].number
        if known is False or not (known or made.name in _FINITE or by_number):
            for variable in seen:
                del b.finite[variable]
            b.finite[atom] = False  # type: ignore[index]  # it has a definition
            return False
        if known is None:
            b.finite[made.output] = True
            seen.append(made.output)
            waiting += made.inputs
    return True


def _scattered_everywhere(b: Builder, equation: Equation) -> New | None:
    """Elements that are written to every place, in order, are only in another shape."""
    (x,), key, out = equation.inputs, equation.parameters["key"], equation.output
    parts = key if isinstance(key, tuple) else (key,)
    basic = all(
        p is None
        or p is ...
        or isinstance(p, int | np.integer)
        or (isinstance(p, slice) and (p.step or 1) > 0)
        for p in parts
    )
    return New(reshape, (x,), {"shape": out.shape}) if basic and x.value.size == out.value.size else None


def _assembled(b: Builder, equation: Equation) -> New | None:
    """Elements, or rows, each written to a place of its own, that fill an array, are stacked."""
    parts: dict[tuple[int, ...], Atom] = {}
    shape = equation.output.shape
    for made in _summands(b, equation, "scatter_add"):
        place = None if made is None else _place(made.parameters["key"], shape)
        if made is None or place is None or place in parts or made.inputs[0].shape != shape[len(place) :]:
            return None
        parts[place] = made.inputs[0]
    depth = len(next(iter(parts)))
    if len(parts) != math.prod(shape[:depth]) or {len(p) for p in parts} != {depth}:
        return None
    rows = [_stack(b, (i,), parts, shape, equation.output) for i in range(shape[0])]
    return New(stacked, tuple(rows), {"axis": 0})


def _side_by_side(b: Builder, equation: Equation) -> New | None:
    """Blocks that are placed next to each other along one axis, and fill an array, are concatenated."""
    blocks: dict[int, tuple[int, Atom]] = {}
    shape, along = equation.output.shape, None
    for placed in _summands(b, equation, "scatter_add"):
        found = None if placed is None else _block(placed.parameters["key"], shape)
        if placed is None or found is None or placed.inputs[0].value.dtype != equation.output.dtype:
            return None
        axis, start, stop = found
        width = (*shape[:axis], stop - start, *shape[axis + 1 :])
        if along not in (None, axis) or start in blocks or placed.inputs[0].shape != width:
            return None
        along, blocks[start] = axis, (stop, placed.inputs[0])
    ordered = [(start, *blocks[start]) for start in sorted(blocks)]
    starts, stops = [start for start, _, _ in ordered], [stop for _, stop, _ in ordered]
    if along is None or [*starts, shape[along]] != [0, *stops]:
        return None
    return New(concatenate, tuple(block for _, _, block in ordered), {"axis": along})


def _block(key: Any, shape: Shape) -> tuple[int, int, int] | None:
    """The axis, the start and the stop of an index that takes whole rows, columns and so on, in their order."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if ... in parts:
        at = parts.index(...)
        parts[at : at + 1] = [slice(None)] * (len(shape) + 1 - len(parts))
    if not all(isinstance(p, slice) for p in parts):
        return None
    spans = [range(*p.indices(n)) for p, n in zip(parts, shape, strict=False)]
    cut = [i for i, span in enumerate(spans) if span != range(shape[i])]
    if len(cut) != 1 or spans[cut[0]].step != 1 or not len(spans[cut[0]]):
        return None
    return cut[0], spans[cut[0]].start, spans[cut[0]].stop


def _summands(b: Builder, equation: Equation, name: str) -> Iterator[Equation | None]:
    """The equations of one primitive that a sum is made of; None where a summand is something else."""
    waiting: list[Atom] = [*equation.inputs]
    while waiting:
        made = b.rewritable(waiting.pop(), "add", name)
        if made is None or made.output.shape != equation.output.shape or made.name != "add":
            yield made if made is not None and made.output.shape == equation.output.shape else None
        else:
            waiting += made.inputs


def _stack(
    b: Builder, front: tuple[int, ...], parts: dict[tuple[int, ...], Atom], shape: Shape, like: Variable
) -> Atom:
    """The part at a place, or the stack of those within it."""
    if front in parts:
        return parts[front]
    inner = [_stack(b, (*front, i), parts, shape, like) for i in range(shape[len(front)])]
    return b.make(stacked, *inner, like=like, axis=0)


def _place(key: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    parts = key if isinstance(key, tuple) else (key,)
    if not parts or not all(isinstance(p, int | np.integer) for p in parts):
        return None
    return tuple(int(p) % n for p, n in zip(parts, shape, strict=False))


def _part_of_sigmoid(b: Builder, equation: Equation) -> New | None:
    """The sigmoid of elements is elements of the sigmoid, where that is there already."""
    chosen = b.definition(equation.inputs[0], "getitem")
    if chosen is None:
        return None
    whole = b.existing(equation.primitive, chosen.inputs, {})
    if whole is None:
        inner = b.definition(chosen.inputs[0], "getitem")
        if inner is None or b.existing(equation.primitive, inner.inputs, {}) is None:
            return None
        whole = b.make(equation.primitive, chosen.inputs[0], like=equation.output)
    return New(chosen.primitive, (whole,), chosen.parameters)


SELECTIONS: dict[str, tuple[Rule, ...]] = {
    "where": (_chosen_twice, _shared_tie), "add": (_assembled, _side_by_side, _sum_of_branches),
    "sigmoid": (_part_of_sigmoid,), "scatter_add": (_scattered_everywhere,),
}  # fmt: skip
