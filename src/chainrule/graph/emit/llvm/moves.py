"""Primitives that move elements: another view of the same memory, or a formula for where an element comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.graph.emit.llvm.code import Code
from chainrule.graph.emit.llvm.values import Lazy, Value, View, broadcast, permuted, recipe_of
from chainrule.graph.ir import Equation, variables_in
from chainrule.rules.index import is_basic
from chainrule.rules.reduce import axes_of
from chainrule.typing import Shape

Move = Callable[[Equation, Value], Value | None]


def without_units(shape: Shape) -> tuple[int, ...]:
    """The lengths that are not 1."""
    return tuple(n for n in shape if n != 1)


def reshaped(value: Value, shape: Shape) -> Value | None:
    """The elements in another shape; None if they have to be in memory for that."""
    if isinstance(value, View):
        return value.reshaped(shape) if np.prod(shape) else value.with_(shape, (0,) * len(shape))
    if without_units(value.shape) != without_units(shape):
        return None
    new = [a for a, n in enumerate(shape) if n != 1]
    old = [a for a, n in enumerate(value.shape) if n != 1]

    def at(code: Code, idx: Sequence[Any]) -> Any:
        inner: list[Any] = [0] * len(value.shape)
        for o, n in zip(old, new, strict=True):
            inner[o] = idx[n]
        return value.at(code, inner)

    return Lazy(value.dtype, shape, at, value.cost, recipe=recipe_of(("reshaped", tuple(shape)), value))


class Step:
    """How an axis of the source is walked: from `start`, by `step` for each element of axis `axis` of the result."""

    __slots__ = ("axis", "start", "step")

    def __init__(self, axis: int | None, start: int, step: int = 1) -> None:
        self.axis, self.start, self.step = axis, start, step


def walked(key: Any, shape: Shape) -> tuple[list[Step], Shape]:
    """A basic index as one Step for each axis of the source, and the shape of the result."""
    parts = list(key) if isinstance(key, tuple) else [key]
    named = sum(1 for p in parts if p is not None and p is not ...)
    if ... not in parts:
        parts.append(...)
    where = next(i for i, p in enumerate(parts) if p is ...)
    parts[where : where + 1] = [slice(None)] * (len(shape) - named)
    steps: list[Step] = []
    result: list[int] = []
    for part in parts:
        if part is None:
            result.append(1)
            continue
        n = shape[len(steps)]
        if isinstance(part, slice):
            start, stop, step = part.indices(n)
            steps.append(Step(len(result), start, step))
            result.append(len(range(start, stop, step)))
        else:
            steps.append(Step(None, int(part) % n))
    return steps, tuple(result)


def sliced(value: Value, key: Any) -> Value:
    """A basic index of a value."""
    steps, shape = walked(key, value.shape)
    if isinstance(value, View):
        strides, offset = [0] * len(shape), 0
        for s, stride in zip(steps, value.strides, strict=True):
            offset += s.start * stride
            if s.axis is not None:
                strides[s.axis] = s.step * stride
        return value.with_(shape, strides, offset)

    def at(code: Code, idx: Sequence[Any]) -> Any:
        inner = [
            s.start if s.axis is None else code.plus(code.times(idx[s.axis], s.step), s.start) for s in steps
        ]
        return value.at(code, inner)

    walk = tuple((s.axis, s.start, s.step) for s in steps)
    return Lazy(value.dtype, shape, at, value.cost, recipe=recipe_of(("sliced", shape, walk), value))


def flipped(value: Value, axis: Any) -> Value:
    """The elements in the opposite order along axes."""
    axes = axes_of(axis, len(value.shape))
    return sliced(value, tuple(slice(None, None, -1 if i in axes else None) for i in range(len(value.shape))))


def _getitem(equation: Equation, x: Value) -> Value | None:
    key = equation.parameters["key"]
    if any(True for _ in variables_in(key)) or not is_basic(key):
        return None
    return sliced(x, key)


def _triangle(equation: Equation, x: Value) -> Value:
    above, k = equation.name == "triu", equation.parameters["k"]

    def at(code: Code, idx: Sequence[Any]) -> Any:
        row, column = code.index(code.plus(idx[-2], int(k))), code.index(idx[-1])
        kept = code.builder.icmp_signed(">=" if above else "<=", column, row)
        return code.builder.select(kept, x.at(code, idx), code.constant(0, x.dtype))

    return Lazy(x.dtype, x.shape, at, x.cost + 2)


MOVES: dict[str, Move] = {
    "reshape": lambda equation, x: reshaped(x, equation.output.shape),
    "permute_dims": lambda equation, x: permuted(x, [a % len(x.shape) for a in equation.parameters["axes"]]),
    "matrix_transpose": lambda equation, x: permuted(
        x, (*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2)
    ),
    "broadcast_to": lambda equation, x: broadcast(x, equation.output.shape),
    "getitem": _getitem,
    "flip": lambda equation, x: flipped(x, equation.parameters["axis"]),
    "triu": _triangle, "tril": _triangle,
}  # fmt: skip
