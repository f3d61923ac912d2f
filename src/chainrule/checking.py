"""Checking gradients against central finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import GradientMismatch, InputError
from chainrule.modes import no_grad
from chainrule.namespace import is_array
from chainrule.rules.elementwise import multiply
from chainrule.rules.reduce import sum as sum_
from chainrule.transforms import sum_of, value_and_grad
from chainrule.trees import leaves, mapped
from chainrule.typing import Tree

Function = Callable[..., Any]


class Comparison(NamedTuple):
    """The worst relative error that was found, and how many arrays were compared."""

    error: float
    arrays: int


def check_grads(
    f: Function,
    args: tuple[Any, ...],
    order: int = 1,
    *,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> Comparison:
    """Compare the gradients of `f` at `args` with central differences, up to derivatives of `order`.

    The output of `f` (of any shape, or a tree) is projected on a random direction, and so is each argument:
    one pair of evaluations checks all elements of an argument. Everything is computed in float64, with a
    step of the cube root of the rounding unit. An error is relative to the size of the derivative.

    Raises GradientMismatch, naming the order, the argument, the element that differs most, both values and
    the step; InputError where there is nothing to compare. Returns the worst error.

    >>> import chainrule as cr
    >>> check_grads(np.sin, (np.array([0.5, 1.0]),), order=2).arrays
    2
    """
    if order < 1:
        raise InputError(f"check_grads(order={order}): the order is 1 or more")
    args = mapped(_in_float64, tuple(args))
    rng = np.random.default_rng(seed)
    checked = Comparison(0.0, 0)
    for level in range(1, order + 1):
        scalar = _projected(f, args, rng)
        checked = _merged(checked, _compare(scalar, args, level, tolerance, rng))
        f = value_and_grad(scalar, tuple(range(len(args))))
        f = _second(f)
    return checked


def _second(both: Function) -> Function:
    return lambda *args: both(*args)[1]


def _merged(a: Comparison, b: Comparison) -> Comparison:
    return Comparison(max(a.error, b.error), a.arrays + b.arrays)


def _in_float64(value: Any) -> Any:
    array = np.asarray(value.data if hasattr(value, "requires_grad") else value)
    if array.dtype.kind not in "fiub":
        raise InputError(f"check_grads compares real numbers, but was given {array.dtype}")
    return array.astype(np.float64)


def _projected(f: Function, args: tuple[Tree, ...], rng: np.random.Generator) -> Function:
    """`f` as a function to one number: its outputs weighted by fixed random numbers and added."""
    with no_grad():
        outputs = [np.asarray(getattr(o, "data", o)) for _, o in leaves(f(*args)) if is_array(o) or isinstance(o, float)]
    weights = [rng.uniform(0.5, 1.5, o.shape) * rng.choice([-1.0, 1.0], o.shape) for o in outputs if o.dtype.kind == "f"]

    def scalar(*values: Any) -> Any:
        found = [o for _, o in leaves(f(*values)) if np.dtype(getattr(o, "dtype", float)).kind == "f"]
        return sum_of(sum_(multiply(o, w)) for o, w in zip(found, weights, strict=True))

    return scalar


def _compare(
    scalar: Function, args: tuple[Tree, ...], level: int, tolerance: float, rng: np.random.Generator
) -> Comparison:
    _, gradients = value_and_grad(scalar, tuple(range(len(args))))(*args)
    worst, count = 0.0, 0
    named = [(f"argument {i}{path}", leaf) for i, tree in enumerate(args) for path, leaf in leaves(tree)]
    for k, ((name, x), (_, g)) in enumerate(zip(named, leaves(gradients), strict=True)):
        if x.size == 0:
            continue
        at = _nudged(scalar, args, k)
        error = _along(at, x, np.asarray(g), rng.normal(size=x.shape))
        if not error <= tolerance:
            raise GradientMismatch(_message(at, x, np.asarray(g), name, level, error))
        worst, count = max(worst, error), count + 1
    return Comparison(worst, count)


def _nudged(scalar: Function, args: tuple[Tree, ...], position: int) -> Callable[[Any], float]:
    """The function of the leaf number `position` alone."""

    def at(value: Any) -> float:
        numbers = iter(range(10**9))
        moved = mapped(lambda leaf: value if next(numbers) == position else leaf, args)
        with no_grad():
            return float(scalar(*moved))

    return at


def _step(x: Any) -> float:
    return float(np.finfo(np.float64).eps ** (1 / 3) * max(1.0, np.abs(x).max(initial=0.0)))


def _along(at: Callable[[Any], float], x: Any, g: Any, direction: Any) -> float:
    """The relative error of the derivative along a direction."""
    h = _step(x)
    numeric = (at(x + h * direction) - at(x - h * direction)) / (2 * h)
    claimed = float((g * direction).sum())
    scale = max(abs(numeric), abs(claimed), float(np.abs(g * direction).max(initial=0.0)), 1.0 if not np.any(g) else 0.0)
    return abs(numeric - claimed) / scale if scale else 0.0


def _message(at: Callable[[Any], float], x: Any, g: Any, name: str, level: int, error: float) -> str:
    h = _step(x)
    numeric = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        unit = np.zeros(x.shape)
        unit[index] = h
        numeric[index] = (at(x + unit) - at(x - unit)) / (2 * h)
    difference = np.where(np.isfinite(g), np.abs(numeric - g), np.inf)
    worst = np.unravel_index(int(np.argmax(difference)), x.shape)
    return (
        f"the derivative of order {level} by {name} of shape {x.shape} is wrong: relative error {error:.2g} along a "
        f"random direction\n  worst at {[int(i) for i in worst]}: computed {g[worst]:.10g}, central differences "
        f"{numeric[worst]:.10g} with step {h:.2g}"
    )
