"""Checking gradients against central finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import GradientMismatch, IndependentWarning, InputError
from chainrule.functions.arrays import data_of
from chainrule.modes import no_grad
from chainrule.namespace import is_array
from chainrule.rules.elementwise import multiply
from chainrule.rules.reduce import sum as sum_
from chainrule.tensor import check_differentiable
from chainrule.transforms import check_arguments, sum_of, value_and_grad
from chainrule.trees import leaves, mapped
from chainrule.typing import Tree

Function = Callable[..., Any]

EPSILON = float(np.finfo(np.float64).eps)
STEP = EPSILON ** (1 / 3)
"""The step of a central difference at which truncation and rounding balance, for numbers around 1."""
STEPS = 0.1 * 4.0 ** -np.arange(22)[::-1]
"""Where that step fails (a steep function, a kink nearby, tiny arguments), these are compared."""


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
    a pair of evaluations checks all elements of an argument. A second direction is scaled so that elements
    with small derivatives count as much as the others. Everything is computed in float64, with a step of the
    cube root of the rounding unit; where that disagrees, with a range of steps, of which the largest decides
    that the smaller ones confirm. An error is relative to the size of the derivative.

    Raises GradientMismatch, naming the order, the argument, the element that differs most, both values and
    the step; InputError where there is nothing to compare. Returns the worst error.

    >>> import chainrule as cr
    >>> check_grads(np.sin, (np.array([0.5, 1.0]),), order=2).arrays
    2
    """
    if order < 1:
        raise InputError(f"check_grads(order={order}): the order is 1 or more")
    check_arguments("check_grads", args=args)
    args = _in_float64(tuple(args))
    rng = np.random.default_rng(seed)
    errors: list[float] = []
    size = 0.0
    for level in range(1, order + 1):
        scalar, size = _projected(f, args, rng, size)
        f = _gradients_of(scalar, len(args))
        errors += [_checked(leaf, level, tolerance, rng) for leaf in _leaves(scalar, f, args, size)]
        size /= max([1.0, *(float(np.abs(x).max(initial=0.0)) for _, x in leaves(args))])
    return Comparison(max(errors, default=0.0), len(errors))


# what is compared ----------------------------------------------------------------------------------------


def _in_float64(args: Tree) -> Tree:
    named = {id(leaf): f"check_grads, argument {path}" for path, leaf in leaves(args)}

    def converted(value: Any) -> Any:
        array = np.asarray(data_of(value))
        check_differentiable(array, named[id(value)])
        return array.astype(np.float64)

    return mapped(converted, args)


def _projected(
    f: Function, args: tuple[Tree, ...], rng: np.random.Generator, least: float
) -> tuple[Function, float]:
    """`f` as a function to one number: its outputs weighted by fixed random numbers and added.

    Also the size of the numbers that are added (`least`, or more): what they are rounded by is in proportion.
    """
    with no_grad():
        outputs = _floating(f(*args))
    if not outputs:
        raise InputError("check_grads: the function returned no floating-point numbers to differentiate")
    weights = [rng.uniform(0.5, 1.5, o.shape) * rng.choice([-1.0, 1.0], o.shape) for o in outputs]
    size = sum(float(np.abs(data_of(o) * w).sum()) for o, w in zip(outputs, weights, strict=True))

    def scalar(*values: Any) -> Any:
        return sum_of(sum_(multiply(o, w)) for o, w in zip(_floating(f(*values)), weights, strict=True))

    return scalar, max(least, size)


def _floating(result: Tree) -> list[Any]:
    found = (np.asarray(o) if isinstance(o, float) and not is_array(o) else o for _, o in leaves(result))
    return [o for o in found if is_array(o) and np.dtype(o.dtype).kind == "f"]


def _gradients_of(scalar: Function, count: int) -> Function:
    both = value_and_grad(scalar, tuple(range(count)))

    def gradients(*args: Any) -> Any:
        with warnings.catch_warnings():  # that a derivative is zero is just what is checked here
            warnings.simplefilter("ignore", IndependentWarning)
            return both(*args)[1]

    return gradients


class Leaf(NamedTuple):
    """One array among the arguments: the function of it alone, and the derivative that is claimed.

    `size` is that of the numbers whose rounding the function's value shows.
    """

    name: str
    at: Callable[[Any], float]
    x: Any
    g: Any
    size: float

    @property
    def scale(self) -> Any:
        """What the steps of each element are relative to."""
        return np.maximum(np.abs(self.x), 1.0)

    def claimed(self, direction: Any) -> float:
        """The derivative along a direction by the gradient."""
        return float((self.g * direction).sum())

    def slopes(self, direction: Any, h: float) -> tuple[float, float]:
        """The difference quotients to the left and to the right."""
        with np.errstate(all="ignore"):  # a step may leave the domain of the function
            left, middle, right = (self.at(self.x + s * h * direction) for s in (-1, 0, 1))
            return (middle - left) / h, (right - middle) / h

    def noise(self, slopes: tuple[float, float], h: float) -> float:
        """What rounding of the function's value and of the argument may change their mean by."""
        effect = np.abs(self.g * self.x)
        steepest = max(map(abs, slopes)) + float(effect[np.isfinite(effect)].sum())
        return 4 * EPSILON * (self.size + steepest) / h


class Estimate(NamedTuple):
    """A derivative by differences: its distance from that with another step, and what rounding explains."""

    value: float
    gap: float
    noise: float
    step: float

    @property
    def doubt(self) -> float:
        """How far off it may be."""
        return self.gap + self.noise


def _leaves(scalar: Function, gradients: Function, args: tuple[Tree, ...], size: float) -> Iterator[Leaf]:
    found = gradients(*args)
    named = [(f"argument {i}{path}", x) for i, tree in enumerate(args) for path, x in leaves(tree)]
    for k, ((name, x), (_, g)) in enumerate(zip(named, leaves(found), strict=True)):
        if x.size:
            yield Leaf(name, _alone(scalar, args, k), x, np.asarray(g), max(size, 1.0))


def _alone(scalar: Function, args: tuple[Tree, ...], position: int) -> Callable[[Any], float]:
    """The function of the leaf number `position` alone."""

    def at(value: Any) -> float:
        numbers = iter(range(10**9))
        moved = mapped(lambda leaf: value if next(numbers) == position else leaf, args)
        with no_grad():
            return float(scalar(*moved))

    return at


# how it is compared --------------------------------------------------------------------------------------


def _checked(leaf: Leaf, level: int, tolerance: float, rng: np.random.Generator) -> float:
    """The larger relative error of two directions; raises if one is too large."""
    if not np.isfinite(leaf.g).all():
        raise GradientMismatch(_message(leaf, level, np.inf))
    worst = 0.0
    for direction in (rng.normal(size=leaf.x.shape) * leaf.scale, _balanced(leaf, rng)):
        error = _error_along(leaf, direction, tolerance)
        if not error <= tolerance:
            raise GradientMismatch(_message(leaf, level, error))
        worst = max(worst, error)
    return worst


def _balanced(leaf: Leaf, rng: np.random.Generator) -> Any:
    """A direction in which an element with a small derivative, or a small value, counts as much as others."""
    size = np.where(leaf.x == 0, 1.0, np.abs(leaf.x))
    effect = np.abs(leaf.g) * size
    share = np.clip(effect / (effect.max() or 1.0), 1e-3, 1.0)
    direction = rng.choice([-1.0, 1.0], leaf.x.shape) * rng.uniform(0.5, 1.5, leaf.x.shape) * size / share
    return direction / (np.abs(direction) / leaf.scale).max()


def _error_along(leaf: Leaf, direction: Any, tolerance: float) -> float:
    """The relative error of the derivative along a direction; infinite where differences do not converge."""
    claimed, largest = leaf.claimed(direction), float(np.abs(leaf.g * direction).max())

    def relative(value: float) -> float:
        scale = max(abs(value), abs(claimed), largest)
        return abs(value - claimed) / scale if scale else 0.0

    error = relative(float(np.mean(leaf.slopes(direction, STEP))))
    if error <= tolerance:
        return error
    found, wide = _converged(leaf, direction)
    if abs(found.value - claimed) <= found.noise + 1e-14 * wide:
        return 0.0  # differences cannot tell the two apart
    scale = max(abs(found.value), abs(claimed), largest)
    if not found.gap <= 1e-2 * scale:
        # A derivative of 0 does not converge to it: what is left is the rounding of larger numbers inside.
        return 0.0 if found.gap + scale <= 1e-9 * leaf.size else np.inf
    return relative(found.value) if abs(found.value - claimed) > found.doubt else 0.0


def _converged(leaf: Leaf, direction: Any) -> tuple[Estimate, float]:
    """The derivative by the largest of a range of steps that all smaller ones confirm; and by the widest."""
    slopes = [leaf.slopes(direction, h) for h in STEPS]
    raw = np.array([(left + right) / 2 for left, right in slopes])
    best = Estimate(np.nan, np.inf, 0.0, STEPS[0])
    with np.errstate(all="ignore"):
        values = (16 * raw[:-1] - raw[1:]) / 15  # Richardson: with a quarter of the step, a 16th of the error
        gaps = np.abs(np.diff(values))
    for value, gap, pair, h in zip(values[1:], gaps, slopes[1:], STEPS[1:], strict=False):
        found = Estimate(float(value), float(gap), leaf.noise(pair, h), float(h))
        if np.isfinite(best.value) and not abs(value - best.value) <= 4 * best.doubt:
            break
        if found.doubt < best.doubt:
            best = found
    return best, abs(float(raw[-1])) if np.isfinite(raw[-1]) else 0.0


# what is said about it -----------------------------------------------------------------------------------


def _message(leaf: Leaf, level: int, error: float) -> str:
    index, found = _worst_element(leaf)
    text = (
        f"the derivative of order {level} by {leaf.name} of shape {leaf.x.shape} is wrong: relative error "
        f"{error:.2g} along a random direction\n  worst at {list(index)}: computed {leaf.g[index]:.10g}, "
        f"central differences {found.value:.10g} with step {found.step:.2g}"
    )
    left, right = leaf.slopes(_unit(leaf, np.ravel_multi_index(index, leaf.x.shape)), found.step)
    if not found.gap <= 1e-2 * abs(found.value) + found.noise:
        text += "\n  the differences do not converge as the step shrinks: a jump, or a random function?"
    elif abs(left - right) > 1e-2 * max(abs(left), abs(right)) + 10 * found.noise:
        text += f"\n  the slope is {left:.4g} on one side, {right:.4g} on the other: a kink?"
    return text


def _worst_element(leaf: Leaf) -> tuple[tuple[int, ...], Estimate]:
    """The element that differs most, of at most 200 that the search was narrowed to."""
    places = _suspects(leaf, np.arange(leaf.x.size))
    found = [_converged(leaf, _unit(leaf, i))[0] for i in places]
    gaps = [abs(e.value - g) + e.gap - e.noise for e, g in zip(found, leaf.g.ravel()[places], strict=True)]
    worst = int(np.argmax([gap if np.isfinite(gap) else np.inf for gap in gaps]))
    return tuple(int(k) for k in np.unravel_index(places[worst], leaf.x.shape)), found[worst]


def _suspects(leaf: Leaf, places: Any) -> Any:
    """Of many elements, those of the half that differs more, and so on until few are left."""
    while len(places) > 200:
        halves = np.array_split(places, 2)
        units = [_unit(leaf, half) for half in halves]
        gaps = [abs(float(np.mean(leaf.slopes(u, STEP))) - leaf.claimed(u)) for u in units]
        places = halves[int(np.argmax([gap if np.isfinite(gap) else np.inf for gap in gaps]))]
    return places


def _unit(leaf: Leaf, places: Any) -> Any:
    """The direction in which only some elements change."""
    direction = np.zeros(leaf.x.size)
    direction[places] = 1.0
    return direction.reshape(leaf.x.shape)
