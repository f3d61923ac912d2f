"""Random programs: straight lines of 5 to 60 operations that stay away from kinks and poles.

A program is drawn as numbers and decoded by running it in NumPy on fixed inputs: each operation is taken only
where it fits the operands at hand, and results are scaled down where they grow. The same program then runs on
arrays of NumPy, on Tensors and on those of PyTorch, given a namespace `L` of functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from chainrule import ops

INPUTS = [
    np.array([0.7, -1.3, 0.4]),
    np.array([[1.1, -0.6, 0.9], [-1.7, 0.3, 2.1]]),
    np.array([[0.8], [-0.5]]),
    np.array(1.2),
]
MARGIN, LARGEST, MOST = 0.02, 4.0, 48
"""How far from a kink, how large, and how many the elements are."""


class Operation(NamedTuple):
    """How it is run, on how many operands, where it fits, and its parameters, which a number chooses."""

    run: Callable[..., Any]
    count: int
    fits: Callable[..., Any]
    how: Callable[[int, Any], dict[str, Any]]
    smooth: bool


class Step(NamedTuple):
    """One operation of a program, on the results number `operands`; its result is scaled by `factor`."""

    name: str
    operands: tuple[int, ...]
    how: dict[str, Any]
    factor: float


Program = list[Step]
OPERATIONS: dict[str, Operation] = {}


def always(*_: Any) -> bool:
    return True


def nothing(_: int, *__: Any) -> dict[str, Any]:
    return {}


def operation(
    name: str, run: Callable[..., Any], count: int = 1, fits: Callable[..., Any] = always,
    how: Callable[..., dict[str, Any]] = nothing, smooth: bool = True,
) -> None:  # fmt: skip
    OPERATIONS[name] = Operation(run, count, fits, how, smooth)


# where an operation fits ---------------------------------------------------------------------------------


def above(low: float) -> Callable[[Any], Any]:
    return lambda x: (x > low).all()


def away(*places: float) -> Callable[[Any], Any]:
    return lambda x: all((np.abs(x - p) > MARGIN).all() for p in places)


def broadcast(x: Any, y: Any) -> bool:
    pairs = zip(x.shape[::-1], y.shape[::-1], strict=False)
    return all(m == n or 1 in (m, n) for m, n in pairs)


def distinct(x: Any) -> Any:
    return x.size > 1 and x.ndim > 0 and (np.diff(np.sort(x, axis=None)) > MARGIN).all()


def differ(x: Any, y: Any) -> Any:
    return broadcast(x, y) and (np.abs(x - y) > MARGIN).all()


def multiply(x: Any, y: Any) -> Any:
    return x.ndim and 0 < y.ndim < 3 and x.shape[-1] == y.shape[-2 if y.ndim > 1 else 0]


def varies(x: Any) -> Any:
    return x.ndim and min(x.shape) > 1 and min(x.std(axis=a).min() for a in range(x.ndim)) > 0.1


def has_axes(count: int) -> Callable[[Any], bool]:
    return lambda x: x.ndim >= count


# parameters ----------------------------------------------------------------------------------------------


def an_axis(number: int, x: Any) -> dict[str, Any]:
    return {"axis": number % x.ndim}


def axis_and_keepdims(number: int, x: Any) -> dict[str, Any]:
    axis = number // 2 % (x.ndim + 1)
    return {"axis": None if axis == x.ndim else axis, "keepdims": bool(number % 2)}


def a_part(number: int, x: Any) -> dict[str, Any]:
    """An index of the first axis: a slice, an integer, repeated integers or a mask."""
    n = x.shape[0]
    keys = (
        slice(0, max(1, n - 1)),
        slice(number % n, None),
        number % n,
        np.array([0, n - 1, 0]),
        np.arange(n) % 2 == 0,
    )
    return {"key": keys[number // n % len(keys)]}


def a_slice(number: int, x: Any) -> dict[str, Any]:
    return {"key": slice(number % x.shape[0], None)}


# the operations ------------------------------------------------------------------------------------------

for name in ("sin", "cos", "tanh", "exp", "atan", "expm1", "negative", "square"):
    operation(name, lambda L, x, name=name: getattr(L, name)(x))
for name in ("sigmoid", "softplus", "erf", "sinh"):
    operation(name, lambda L, x, name=name: getattr(L, name)(x), smooth=name == "sinh")
for name, low in (("log", 0.3), ("sqrt", 0.3), ("log1p", -0.6)):
    operation(name, lambda L, x, name=name: getattr(L, name)(x), fits=above(low))
operation("reciprocal", lambda L, x: L.reciprocal(x), fits=lambda x: (np.abs(x) > 0.3).all())
# The second derivative of PyTorch's sinc is NaN at 0.
operation("sinc", lambda L, x: L.sinc(x), fits=away(0.0))
operation("cube", lambda L, x: x**3)
operation("root", lambda L, x: x**0.5, fits=above(0.3))
operation("one less", lambda L, x: 1.0 - x)
for name in ("abs", "relu"):
    operation(name, lambda L, x, name=name: getattr(L, name)(x), fits=away(0.0), smooth=False)
operation("clip", lambda L, x: L.clip(x, -0.5, 0.5), fits=away(-0.5, 0.5), smooth=False)

for name in ("add", "subtract", "multiply"):
    operation(name, lambda L, x, y, name=name: getattr(L, name)(x, y), 2, broadcast)
operation("divide", lambda L, x, y: x / y, 2, lambda x, y: broadcast(x, y) and (np.abs(y) > 0.3).all())
operation("pow", lambda L, x, y: x**y, 2, lambda x, y: broadcast(x, y) and (x > 0.3).all())
operation("logaddexp", lambda L, x, y: L.logaddexp(x, y), 2, broadcast, smooth=False)
for name in ("hypot", "atan2"):
    operation(
        name,
        lambda L, x, y, name=name: getattr(L, name)(x, y),
        2,
        lambda x, y: broadcast(x, y) and away(0.0)(x) and away(0.0)(y),
        smooth=False,
    )
for name in ("maximum", "minimum"):
    operation(name, lambda L, x, y, name=name: getattr(L, name)(x, y), 2, differ, smooth=False)
operation("where", lambda L, x, y: L.where(x > y, x * y, y), 2, differ, smooth=False)
operation("matmul", lambda L, x, y: x @ y, 2, multiply)
operation("outer", lambda L, x, y: L.outer(x, y), 2)
operation(
    "inner",
    lambda L, x, y: L.einsum("...i,...i->...", x, y),
    2,
    lambda x, y: x.ndim and y.ndim and x.shape == y.shape,
)
operation("concat", lambda L, x, y: L.concat([x.reshape(-1), y.reshape(-1)]), 2)
operation("stack", lambda L, x, y: L.stack([x, y], axis=0), 2, lambda x, y: x.shape == y.shape)

for name in ("sum", "mean"):
    operation(name, lambda L, x, name=name, **how: getattr(L, name)(x, **how), how=axis_and_keepdims)
operation("prod", lambda L, x, **how: L.prod(x, **how), how=axis_and_keepdims)
operation("var", lambda L, x, **how: L.var(x, **how), fits=has_axes(1), how=an_axis)
operation("std", lambda L, x, **how: L.std(x, **how), how=axis_and_keepdims, smooth=False, fits=varies)
operation("norm", lambda L, x: L.norm(x), fits=lambda x: np.linalg.norm(x) > 0.1, smooth=False)
for name in ("max", "min"):
    operation(
        name,
        lambda L, x, name=name, **how: getattr(L, name)(x, **how),
        fits=distinct,
        how=axis_and_keepdims,
        smooth=False,
    )
operation("sort", lambda L, x, **how: L.sort(x, **how), fits=distinct, how=an_axis, smooth=False)
operation("median", lambda L, x: L.median(x), fits=distinct, smooth=False)
operation("logsumexp", lambda L, x, **how: L.logsumexp(x, **how), how=axis_and_keepdims, smooth=False)
for name in ("softmax", "log_softmax"):
    operation(
        name,
        lambda L, x, name=name, **how: getattr(L, name)(x, **how),
        fits=has_axes(1),
        how=an_axis,
        smooth=False,
    )
operation("cumulative_sum", lambda L, x, **how: L.cumulative_sum(x, **how), fits=has_axes(1), how=an_axis)
# PyTorch divides by the elements, and so loses all digits where one of them is nearly 0.
operation(
    "cumulative_prod",
    lambda L, x, **how: L.cumulative_prod(x, **how),
    fits=lambda x: x.ndim and away(0.0)(x),
    how=an_axis,
)

operation("ravel", lambda L, x: x.reshape(-1))
operation("transpose", lambda L, x: L.swapaxes(x, 0, -1), fits=has_axes(2))
operation("flip", lambda L, x, **how: L.flip(x, **how), fits=has_axes(1), how=an_axis)
operation("roll", lambda L, x, **how: L.roll(x, shift=1, **how), fits=has_axes(1), how=an_axis)
operation("expand", lambda L, x: L.expand_dims(x, axis=0), fits=lambda x: x.ndim < 3)
operation("tril", lambda L, x: L.tril(x), fits=has_axes(2))
operation("repeat", lambda L, x: L.repeat(x, 2, axis=0), fits=has_axes(1))
operation("part", lambda L, x, key: x[key], fits=has_axes(1), how=a_part)
operation("row", lambda L, x: x[..., 0], fits=has_axes(2))


# changes in place, of a copy: a change of what an earlier operation keeps would be refused
def assigned(L: Any, x: Any, y: Any, key: Any) -> Any:
    z = x * 1.0
    z[key] = y
    return z


def added(L: Any, x: Any, y: Any, key: Any) -> Any:
    z = x + 0.0
    z[key] += y
    z -= y
    return z


def scaled_view(L: Any, x: Any, y: Any, key: Any) -> Any:
    z = x * 1.0
    view = z[key]
    inner = view[:1]
    z *= y
    inner += y
    view *= 0.5
    return z + (inner + 0.0).sum()


for name, run in (("assigned", assigned), ("added", added), ("scaled view", scaled_view)):
    operation(name, run, 2, lambda x, y: x.ndim and not y.ndim, a_slice)

# drawing and running -------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 2**16)
DRAWN = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=5, max_size=60)
OF_EVERY_LENGTH = st.integers(5, 60).flatmap(
    lambda count: st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=count, max_size=count)
)
"""As many long programs as short ones; `DRAWN` are mostly short."""


def decoded(drawn: list[tuple[int, int, int, int]], smooth: bool = False) -> Program:
    """The program that numbers stand for; of operations with a complex derivative only if `smooth`."""
    names = [n for n, o in OPERATIONS.items() if o.smooth or not smooth]
    program: Program = []
    values: list[Any] = list(INPUTS)
    for which, *places, number in drawn:
        name = names[which % len(names)]
        step = chosen(name, fitting(OPERATIONS[name], places, values), number, values)
        program.append(step)
        values.append(result_of(step, values, ops))
    return program


def chosen(name: str, operands: tuple[int, ...] | None, number: int, values: list[Any]) -> Step:
    """The step, with a factor that keeps its result small; another one if its result is too long."""
    if operands is None:
        return Step("tanh", (len(values) - 1,), {}, 1.0)
    step = Step(name, operands, OPERATIONS[name].how(number, values[operands[0]]), 1.0)
    result = np.asarray(result_of(step, values, ops))
    if result.size > MOST:
        return Step("tanh", operands[:1], {}, 1.0)
    return step._replace(factor=LARGEST / max(LARGEST, float(np.abs(result).max(initial=0.0))))


def result_of(step: Step, values: list[Any], L: Any) -> Any:
    out = OPERATIONS[step.name].run(L, *(values[i] for i in step.operands), **step.how)
    return out if step.factor == 1.0 else out * step.factor


def fitting(wanted: Operation, places: list[int], values: list[Any]) -> tuple[int, ...] | None:
    """The first operands near those drawn that the operation fits."""
    for shift in range(8):
        # The later results are taken more often, so that programs are deep.
        operands = tuple(math.isqrt((p * (1 + shift)) % len(values) ** 2) for p in places)[: wanted.count]
        if wanted.fits(*(values[i] for i in operands)):
            return operands
    return None


def run(program: Program, inputs: Any, L: Any = ops) -> Any:
    """The sum of all results, each weighted in its own way: none is lost, most are used twice."""
    values = list(inputs)
    for step in program:
        values.append(result_of(step, values, L))
    return sum(((v * math.cos(i)).sum() for i, v in enumerate(values)), 0.0)


def described(program: Program) -> str:
    """The program as text, for the message of a failure."""
    lines = []
    for i, step in enumerate(program, len(INPUTS)):
        operands = ", ".join(f"v{k}" for k in step.operands)
        lines.append(f"v{i} = {step.factor:.3g} * {step.name}({operands}) {step.how or ''}")
    return "\n".join(lines)
