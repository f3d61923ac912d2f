"""Loops for reductions.

A sum along neighbouring elements is taken in as many parts as the machine's vectors hold, long ones in blocks of
1024; any other in the order of memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from chainrule.graph.emit.llvm.code import INDEX, SUM_FLAGS, Code, widest
from chainrule.graph.emit.llvm.elements import MAXIMUM, MINIMUM, converted
from chainrule.graph.emit.llvm.values import Value, View
from chainrule.graph.ir import Equation
from chainrule.rules.reduce import axes_of

UNROLLED = 8
"""Up to so many elements are reduced without a loop."""
BLOCK = 1024
"""A longer sum is one of blocks, whose errors do not grow with the length."""


class Reduction(NamedTuple):
    """How two elements become one, and what to start from."""

    combine: Callable[[Code, Any, Any, Any], Any]
    start: Callable[[Any], Any]
    operand: Any = None


def _plus(code: Code, t: Any, a: Any, b: Any) -> Any:
    return code.builder.fadd(a, b, flags=SUM_FLAGS) if t.kind == "f" else code.builder.add(a, b)


def _times(code: Code, t: Any, a: Any, b: Any) -> Any:
    return code.builder.fmul(a, b, flags=("reassoc",)) if t.kind == "f" else code.builder.mul(a, b)


def _lowest(t: Any) -> Any:
    return -math.inf if t.kind == "f" else 0 if t.kind == "b" else np.iinfo(t).min


def _highest(t: Any) -> Any:
    return math.inf if t.kind == "f" else 1 if t.kind == "b" else np.iinfo(t).max


def _either(code: Code, t: Any, a: Any, b: Any) -> Any:
    return code.builder.or_(a, b) if t.kind == "b" else MAXIMUM(code, t, a, b)


def _both(code: Code, t: Any, a: Any, b: Any) -> Any:
    return code.builder.and_(a, b) if t.kind == "b" else MINIMUM(code, t, a, b)


REDUCTIONS: dict[str, Reduction] = {
    "sum": Reduction(_plus, lambda t: 0), "mean": Reduction(_plus, lambda t: 0),
    "prod": Reduction(_times, lambda t: 1), "max": Reduction(_either, _lowest), "min": Reduction(_both, _highest),
    "any": Reduction(_either, lambda t: 0, bool), "all": Reduction(_both, lambda t: 1, bool),
    "count_nonzero": Reduction(_plus, lambda t: 0, bool),
}  # fmt: skip


class Axes:
    """Which axes of the operand a reduction keeps, and where its results are."""

    def __init__(self, x: Value, axis: Any, out: View) -> None:
        self.reduced = axes_of(axis, len(x.shape))
        self.kept = [a for a in range(len(x.shape)) if a not in self.reduced]
        self.keepdims = len(out.shape) == len(x.shape)
        self.out = out

    def of_result(self, idx: Sequence[Any]) -> tuple[Any, ...]:
        """The index of the result for an element of the operand."""
        if self.keepdims and self.reduced:
            return tuple(0 if a in self.reduced else i for a, i in enumerate(idx))
        return tuple(idx[a] for a in self.kept)

    def axis_of_result(self, axis: int) -> int:
        """The axis of the result that is a kept one of the operand."""
        return axis if self.keepdims else self.kept.index(axis)


def reduce(code: Code, equation: Equation, x: Value, out: View) -> None:
    """Write the loops of a reduction of `x` into `out`."""
    rule = REDUCTIONS[equation.name]
    t = np.dtype(out.dtype)
    axes = Axes(x, equation.parameters["axis"], out)
    count = math.prod(x.shape[a] for a in axes.reduced)

    def element(idx: Sequence[Any]) -> Any:
        value, source = x.at(code, idx), x.dtype
        if rule.operand is not None:
            value, source = converted(code, value, source, rule.operand), np.dtype(rule.operand)
        return converted(code, value, source, t)

    def finished(value: Any) -> Any:
        return code.builder.fdiv(value, code.constant(count, t)) if equation.name == "mean" else value

    plan = _Plan(code, rule, t, x, axes, element, finished)
    if count <= UNROLLED and x.cost < 40 and count:
        plan.unrolled()
    elif axes.kept and x.order and x.order[-1] in axes.kept and x.shape[x.order[-1]] > 1 and count:
        plan.in_memory()
    else:
        plan.in_registers()


class _Plan:
    """The three ways to reduce."""

    def __init__(
        self, code: Code, rule: Reduction, t: Any, x: Value, axes: Axes, element: Callable[..., Any],
        finished: Callable[[Any], Any],
    ) -> None:  # fmt: skip
        self.code, self.rule, self.t, self.x, self.axes = code, rule, t, x, axes
        self.element, self.finished = element, finished
        self.start = code.constant(rule.start(t), t)
        self.outer = [a for a in x.order if a in axes.kept]
        self.inner = [a for a in x.order if a in axes.reduced]

    def _over_kept(self, body: Callable[[tuple[Any, ...]], Any]) -> None:
        shape = tuple(n if a in self.axes.kept else 1 for a, n in enumerate(self.x.shape))

        def one(idx: tuple[Any, ...]) -> None:
            self.axes.out.store(self.code, self.axes.of_result(idx), self.finished(body(idx)))

        self.code.nest(shape, self.outer, one, shared=widest(shape, self.outer))

    def _merged(self, idx: Sequence[Any], inner: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(inner[a] if a in self.axes.reduced else i for a, i in enumerate(idx))

    def unrolled(self) -> None:
        """A few elements each: no loop."""

        def body(idx: tuple[Any, ...]) -> Any:
            total = None
            for place in np.ndindex(*(self.x.shape[a] for a in self.axes.reduced)):
                inner = dict(zip(self.axes.reduced, map(int, place), strict=True))
                value = self.element([inner.get(a, i) for a, i in enumerate(idx)])
                total = value if total is None else self.rule.combine(self.code, self.t, total, value)
            return total

        self._over_kept(body)

    def in_registers(self) -> None:
        """Neighbouring elements are reduced: one number is carried through the loops."""
        code, shape = self.code, self.x.shape
        lengths = tuple(n if a in self.axes.reduced else 1 for a, n in enumerate(shape))

        def combined(total: Any, value: Any) -> Any:
            return self.rule.combine(code, self.t, total, value)

        def body(idx: tuple[Any, ...]) -> Any:
            def whole(inner: tuple[Any, ...], total: Any) -> list[Any]:
                return [combined(total, self.element(self._merged(idx, inner)))]

            last = self.inner[-1] if self.inner else None
            if last is None or shape[last] <= BLOCK:
                return code.nest(lengths, self.inner, whole, [self.start])[0]
            blocks, rest = divmod(shape[last], BLOCK)

            def part(inner: tuple[Any, ...], first: Any, length: int, total: Any) -> Any:
                def one(i: Any, partial: Any) -> list[Any]:
                    place = [code.plus(first, i) if a == last else v for a, v in enumerate(inner)]
                    return [combined(partial, self.element(self._merged(idx, place)))]

                return combined(total, code.loop(length, one, [self.start])[0])

            def line(inner: tuple[Any, ...], total: Any) -> list[Any]:
                found = code.loop(
                    blocks, lambda i, partial: [part(inner, code.times(i, BLOCK), BLOCK, partial)], [total]
                )[0]
                return [part(inner, blocks * BLOCK, rest, found) if rest else found]

            shortened = tuple(1 if a == last else n for a, n in enumerate(lengths))
            return code.nest(shortened, self.inner[:-1], line, [self.start])[0]

        self._over_kept(body)

    def in_memory(self) -> None:
        """The results are neighbours: they are filled together, in the order of memory."""
        code, out = self.code, self.axes.out
        # Threads that each take some columns go from line to line: that costs more than the others save.
        axis = widest(self.x.shape, [a for a in self.outer if a != self.x.order[-1]])
        of_result = None if axis is None else self.axes.axis_of_result(axis)
        code.nest(out.shape, out.order, lambda idx: out.store(code, idx, self.start), shared=of_result)

        def add(idx: tuple[Any, ...]) -> None:
            place = self.axes.of_result(idx)
            total = self.rule.combine(code, self.t, out.at(code, place), self.element(idx))
            out.store(code, place, total)

        def finish(idx: tuple[Any, ...]) -> None:
            out.store(code, idx, self.finished(out.at(code, idx)))

        code.nest(self.x.shape, self.x.order, add, shared=axis)
        code.nest(out.shape, out.order, finish, shared=of_result)


def find_extreme(code: Code, equation: Equation, x: Value, out: View) -> None:
    """Write the loops of argmax or argmin: the first of the extremes, or of the NaNs."""
    axes, b, t = Axes(x, equation.parameters["axis"], out), code.builder, x.dtype
    kept = tuple(n if a in axes.kept else 1 for a, n in enumerate(x.shape))
    reduced = tuple(n if a in axes.reduced else 1 for a, n in enumerate(x.shape))
    sign = ">" if equation.name == "argmax" else "<"
    strides = [0] * len(x.shape)
    step = 1
    for a in reversed(axes.reduced):
        strides[a], step = step, step * x.shape[a]

    def better(value: Any, best: Any) -> Any:
        if t.kind == "f":
            return b.and_(b.fcmp_unordered(sign, value, best), b.fcmp_ordered("ord", best, best))
        return (b.icmp_signed if t.kind == "i" else b.icmp_unsigned)(sign, value, best)

    def one(idx: tuple[Any, ...]) -> None:
        def step(inner: tuple[Any, ...], best: Any, place: Any) -> list[Any]:
            value = x.at(code, [i if a in axes.reduced else idx[a] for a, i in enumerate(inner)])
            wins = better(value, best)
            return [b.select(wins, value, best), b.select(wins, code.index(code.dot(inner, strides)), place)]

        first = x.at(code, [0 if a in axes.reduced else i for a, i in enumerate(idx)])
        found = code.nest(reduced, axes.reduced, step, [first, ir.Constant(INDEX, 0)])
        out.store(code, axes.of_result(idx), found[1])

    code.nest(kept, axes.kept, one, shared=widest(kept, axes.kept))


def accumulate(code: Code, equation: Equation, x: Value, out: View) -> None:
    """Write the loops of a running sum or product."""
    axis = equation.parameters["axis"] % len(x.shape)
    combine = _plus if equation.name == "cumulative_sum" else _times
    others = [a for a in range(len(x.shape)) if a != axis]
    shape = tuple(1 if a == axis else n for a, n in enumerate(x.shape))

    def line(idx: tuple[Any, ...]) -> None:
        def step(i: Any, total: Any) -> list[Any]:
            place = [i if a == axis else v for a, v in enumerate(idx)]
            value = converted(code, x.at(code, place), x.dtype, out.dtype)
            total = combine(code, out.dtype, total, value)
            out.store(code, place, total)
            return [total]

        start = code.constant(0 if equation.name == "cumulative_sum" else 1, out.dtype)
        code.loop(x.shape[axis], step, [start])

    code.nest(shape, others, line, shared=widest(shape, others))
