"""LBFGS: limited-memory BFGS, with a line search for the strong Wolfe conditions.

After Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 (the direction), 3.5 and 3.6 (the
search), with the choices of M. Schmidt's minFunc, which PyTorch made its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from sys import _getframe
from typing import Any, NamedTuple

import numpy as np

from chainrule.inplace import note_change
from chainrule.lines import Place, place
from chainrule.torch.errors import ArgumentError, OperationError, ValueOptionError
from chainrule.torch.optim.optimizer import Optimizer, evaluated, number
from chainrule.torch.optim.ruled import check_options
from chainrule.torch.tensors import Tensor

Array = np.ndarray
ARMIJO, CURVATURE = 1e-4, 0.9
"""The constants c1 and c2 of the strong Wolfe conditions."""


class Point(NamedTuple):
    """What is known of one step length: the loss there, its gradient, and the slope along the direction."""

    step: float
    loss: float
    gradient: Array
    slope: float


class History:
    """Changes of the gradient and of the parameters in the last iterations."""

    def __init__(self, changes: list[Array], steps: list[Array], scale: float) -> None:
        self.changes, self.steps, self.scale = changes, steps, scale

    def add(self, change: Array, step: Array, size: int) -> None:
        """Remember one iteration, unless the curvature along it is not positive."""
        curvature = float(change @ step)
        if curvature <= 1e-10:
            return
        del (
            self.changes[: max(0, len(self.changes) - size + 1)],
            self.steps[: max(0, len(self.steps) - size + 1)],
        )
        self.changes.append(change)
        self.steps.append(step)
        self.scale = curvature / float(change @ change)

    def direction(self, gradient: Array) -> Array:
        """The negative gradient times the approximate inverse Hessian."""
        towards, weights = -gradient, []
        inverses = [1.0 / float(y @ s) for y, s in zip(self.changes, self.steps, strict=True)]
        pairs = list(zip(self.changes, self.steps, inverses, strict=True))
        for change, step, inverse in reversed(pairs):
            weights.append(float(step @ towards) * inverse)
            towards = towards - weights[-1] * change
        towards = towards * self.scale
        for (change, step, inverse), weight in zip(pairs, reversed(weights), strict=True):
            towards = towards + step * (weight - float(change @ towards) * inverse)
        return towards


class LBFGS(Optimizer):
    """Limited-memory BFGS. `step` needs a closure that computes the loss and its gradients afresh.

    Parameters
    ----------
    params
        The parameters: one group only.
    lr
        The step length, or with a line search the first one tried.
    max_iter, max_eval
        At most so many iterations and evaluations of the closure in one step.
    tolerance_grad, tolerance_change
        A step ends where no gradient, or no change, is larger.
    history_size
        How many iterations are remembered.
    line_search_fn
        ``"strong_wolfe"``, or None for steps of length `lr`.

    >>> x = Tensor([3.0, -2.0]).requires_grad_()
    >>> optimizer = LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((x - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item(), x.tolist()
    (13.0, [1.0, 1.0])
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_options(lr=lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueOptionError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` iterations; returns the loss from before the first."""
        if closure is None:
            raise ArgumentError(
                "LBFGS.step() needs a closure that clears the gradients, computes the loss and calls "
                "backward()"
            )
        return _Run(self, closure, place(_getframe(1))).run()


class _Run:
    """One call of `step`."""

    def __init__(self, optimizer: LBFGS, closure: Callable[[], Any], where: Place) -> None:
        self.group = group = optimizer.param_groups[0]
        self.parameters, self.closure, self.where = group["params"], closure, where
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise OperationError(f"only 'strong_wolfe' is supported, not {group['line_search_fn']!r}")
        self.state = state = optimizer.state[self.parameters[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        changes, steps = (_arrays(state.get(name, [])) for name in ("old_dirs", "old_stps"))
        self.history = History(changes, steps, float(number(state.get("H_diag", 1))))
        self.evaluations = 0

    def run(self) -> Any:
        """All iterations."""
        group, state = self.group, self.state
        loss = self.evaluate()
        start, value, gradient = self.loss, float(number(loss)), self.gradient()
        if _largest(gradient) <= group["tolerance_grad"]:
            return start
        direction, before = _arrays([state.get(name) for name in ("d", "prev_flat_grad")])
        length, last = float(number(state.get("t", 0))), value
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self.next_direction(direction, length, gradient, before)
            first = 1.0 / float(np.abs(gradient).sum()) if state["n_iter"] == 1 else 1.0
            length = min(1.0, first) * float(number(group["lr"]))
            before, last, slope = gradient, value, float(gradient @ direction)
            if slope > -group["tolerance_change"]:
                break
            value, gradient, length = self.move(
                direction, Point(0.0, value, gradient, slope), length, iteration == group["max_iter"]
            )
            if self.ends(iteration, gradient, direction * length, abs(value - last)):
                break
        self.remember(direction, length, before, last)
        return start

    def next_direction(self, direction: Array, length: float, gradient: Array, before: Array) -> Array:
        """Down the gradient at first; after that with what was learnt from the last move."""
        if self.state["n_iter"] == 1:
            self.history = History([], [], 1.0)
            return -gradient
        self.history.add(gradient - before, direction * length, self.group["history_size"])
        return self.history.direction(gradient)

    def move(
        self, direction: Array, start: Point, length: float, is_last: bool
    ) -> tuple[float, Array, float]:
        """Move along the direction; the loss and gradient there, as far as they are known, and the length."""
        origin = self.values()
        if self.group["line_search_fn"] is not None:
            limit = self.group["max_eval"] - self.evaluations
            found = strong_wolfe(
                lambda step: self.look(origin, direction, step), start, length, _largest(direction), limit
            )
            self.put(origin + found.step * direction)
            return found.loss, found.gradient, found.step
        self.put(origin + length * direction)
        if is_last:  # nobody would use the loss and the gradient
            return start.loss, start.gradient, length
        return float(number(self.evaluate())), self.gradient(), length

    def look(self, origin: Array, direction: Array, step: float) -> Point:
        """What is found a step along the direction; the parameters come back to the origin."""
        self.put(origin + step * direction)
        loss, gradient = float(number(self.evaluate())), self.gradient()
        self.put(origin)
        return Point(step, loss, gradient, float(gradient @ direction))

    def ends(self, iteration: int, gradient: Array, change: Array, difference: float) -> bool:
        """Whether this was the last iteration."""
        group = self.group
        return bool(
            iteration == group["max_iter"]
            or self.evaluations >= group["max_eval"]
            or _largest(gradient) <= group["tolerance_grad"]
            or _largest(change) <= group["tolerance_change"]
            or difference < group["tolerance_change"]
        )

    def evaluate(self) -> Any:
        """Call the closure."""
        self.evaluations += 1
        self.state["func_evals"] += 1
        self.loss = evaluated(self.closure)
        if self.loss is None:
            raise ArgumentError("the closure given to LBFGS.step() returned None: it must return the loss")
        return self.loss

    def gradient(self) -> Array:
        """The gradients of all parameters in one vector; zeros where there is none."""
        found = [(p.grad, p._data) for p in self.parameters]
        return np.concatenate([np.zeros_like(d).ravel() if g is None else g._data.ravel() for g, d in found])

    def values(self) -> Array:
        """All parameters in one vector."""
        return np.concatenate([parameter._data.ravel() for parameter in self.parameters])

    def put(self, values: Array) -> None:
        """Set all parameters from one vector."""
        offset = 0
        for parameter in self.parameters:
            data = parameter._data
            data[...] = values[offset : offset + data.size].reshape(data.shape)
            note_change(data, self.where)
            offset += data.size

    def remember(self, direction: Array, length: float, gradient: Array, loss: float) -> None:
        """Keep what the next step begins with, under PyTorch's names."""
        wrap, history = Tensor._wrapped, self.history
        self.state.update(
            d=wrap(direction), t=length, prev_flat_grad=wrap(gradient), prev_loss=loss, H_diag=history.scale,
            old_dirs=[wrap(y) for y in history.changes], old_stps=[wrap(s) for s in history.steps],
            ro=[wrap(np.asarray(1.0 / (y @ s))) for y, s in zip(history.changes, history.steps, strict=True)],
        )  # fmt: skip


def strong_wolfe(
    look: Callable[[float], Point], start: Point, step: float, largest: float, limit: int
) -> Point:
    """A step length with sufficient decrease and small slope, or the best that `limit` rounds have found.

    `look(step)` evaluates; `start` is at step 0; `largest` is the largest element of the direction.

    >>> parabola = lambda t: Point(t, (t - 3.0) ** 2, np.zeros(0), 2 * (t - 3.0))
    >>> strong_wolfe(parabola, parabola(0.0), 1.0, 1.0, 25).step
    1.0
    >>> strong_wolfe(parabola, parabola(0.0), 100.0, 1.0, 25).step
    3.0
    """
    before, here, rounds = start, look(step), 0
    while rounds < limit:
        if _too_high(here, start) or (rounds > 1 and here.loss >= before.loss):
            return _zoomed(look, start, [before, here], largest, limit - rounds)
        if _flat(here, start):
            return here
        if here.slope >= 0:
            return _zoomed(look, start, [before, here], largest, limit - rounds)
        bounds = here.step + 0.01 * (here.step - before.step), here.step * 10
        before, here = here, look(cubic_minimum(before, here, bounds))
        rounds += 1
    return start if start.loss <= here.loss else here


def _zoomed(
    look: Callable[[float], Point], start: Point, bracket: list[Point], largest: float, limit: int
) -> Point:
    """Narrow a bracket that holds a good step length."""
    low, stuck = _lower(bracket), False
    for _ in range(limit):
        if abs(bracket[1].step - bracket[0].step) * largest < 1e-9:
            break
        step, stuck = _next_step(bracket, stuck)
        here, high = look(step), 1 - low
        if _too_high(here, start) or here.loss >= bracket[low].loss:
            bracket[high] = here
            low = _lower(bracket)
            continue
        if _flat(here, start):
            return here
        if here.slope * (bracket[high].step - bracket[low].step) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = here
    return bracket[low]


def _next_step(bracket: list[Point], stuck: bool) -> tuple[float, bool]:
    """Where to look next, and whether that is close to an end of the bracket, which may happen only once."""
    bounds = smallest, largest = sorted(point.step for point in bracket)
    step, margin = cubic_minimum(bracket[0], bracket[1], bounds), 0.1 * (largest - smallest)
    if min(largest - step, step - smallest) >= margin:
        return step, False
    if not stuck and smallest < step < largest:
        return step, True
    return (largest - margin if abs(step - largest) < abs(step - smallest) else smallest + margin), False


def _too_high(here: Point, start: Point) -> bool:
    return here.loss > start.loss + ARMIJO * here.step * start.slope


def _flat(here: Point, start: Point) -> bool:
    return abs(here.slope) <= -CURVATURE * start.slope


def _lower(bracket: list[Point]) -> int:
    return 0 if bracket[0].loss <= bracket[1].loss else 1


def cubic_minimum(one: Point, other: Point, bounds: Any) -> float:
    """Where the cubic through two points with their slopes is least, inside the bounds.

    Nocedal and Wright, equation 3.59; the middle of the bounds where it has no minimum.
    """
    left, right = sorted((one, other), key=lambda point: point.step)
    lowest, highest = bounds
    if left.step == right.step:
        return float(left.step)
    d1 = left.slope + right.slope - 3 * (left.loss - right.loss) / (left.step - right.step)
    square = d1 * d1 - left.slope * right.slope
    d2 = math.sqrt(square) if square >= 0 else math.nan
    bend = right.slope - left.slope + 2 * d2
    if not bend:
        return float(highest)
    if math.isnan(bend):
        return float(lowest + highest) / 2
    share = (right.slope + d2 - d1) / bend
    return float(min(max(right.step - (right.step - left.step) * share, lowest), highest))


def _largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0.0))


def _arrays(values: list[Any]) -> list[Any]:
    return [value._data if isinstance(value, Tensor) else value for value in values]
