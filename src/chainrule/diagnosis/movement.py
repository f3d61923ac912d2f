"""How parameters move in steps, beside their true gradients: rates, memory of earlier steps, adaptive rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

SAME = 1e-7
"""Movements that differ by less, relatively, are the same (beside what rounding explains)."""


class Movement:
    """How one parameter moves at several points, and its true gradients there.

    `moves` are before minus after, so that gradient descent is `moves == rate * gradients`.
    """

    def __init__(
        self, name: str, values: Sequence[Any], moves: Sequence[Any], gradients: Sequence[Any], single: bool
    ) -> None:
        self.name, self.shape = name, np.shape(values[0])
        self.values, self.moves, self.gradients = (
            np.array([np.ravel(a) for a in part]) for part in (values, moves, gradients)
        )
        unit = float(np.finfo(np.float32 if single else np.float64).eps)
        self.room = (
            4 * unit * float(np.abs(self.values).max(initial=0.0) + np.abs(self.moves).max(initial=0.0))
        )
        self.near = 1e-3 if single else SAME

    @property
    def rests(self) -> bool:
        """Whether the parameter never moves."""
        return not self.moves.any()

    @property
    def is_free(self) -> bool:
        """Whether the loss does not depend on the parameter."""
        return not self.gradients.any()

    def rate(self) -> float | None:
        """The one number that every movement is the gradient times."""
        size = float((self.gradients**2).sum())
        if not size > 0:
            return None
        rate = float((self.moves * self.gradients).sum()) / size
        return rate if rate and self._fits(rate * self.gradients) else None

    def rates(self) -> Any:
        """The rate of each element, where each has one of its own and some differ; else None."""
        sizes = (self.gradients**2).sum(axis=0)
        if len(self.moves) < 2 or sizes.size < 2 or not (sizes > 0).all():
            return None
        rates = (self.moves * self.gradients).sum(axis=0) / sizes
        return rates.reshape(self.shape) if self._fits(rates * self.gradients) and rates.all() else None

    def decayed(self) -> tuple[float, float] | None:
        """Rate and decay of a movement that is rate * (gradient + decay * parameter)."""
        columns = np.stack([self.gradients.ravel(), self.values.ravel()], axis=1)
        if len(columns) < 3 or not self.gradients.any():
            return None
        (rate, other), *_ = np.linalg.lstsq(columns, self.moves.ravel(), rcond=None)
        if not rate > 0 or not self._fits(rate * self.gradients + other * self.values):
            return None
        decay = float(other / rate)
        return (float(rate), decay) if 1e-9 < decay < 1 else None

    def _fits(self, expected: Any) -> bool:
        gap = float(np.abs(self.moves - expected).max(initial=0.0))
        return gap <= self.near * float(np.abs(self.moves).max(initial=0.0)) + self.room


def adaptive_rate(movements: Sequence[Movement]) -> float | None:
    """The size that every element's first step has in Adam, RMSprop and the like, whatever the gradient's."""
    moves = np.concatenate([m.moves[:, m.gradients.all(axis=0)].ravel() for m in movements])
    sizes = np.abs(moves)
    if sizes.size < 4 or not sizes.min() > 0 or sizes.max() > 1.01 * sizes.min():
        return None
    gradients = np.abs(np.concatenate([m.gradients[:, m.gradients.all(axis=0)].ravel() for m in movements]))
    return float(np.median(sizes)) if gradients.max() > 1.5 * gradients.min() else None


class Memory(NamedTuple):
    """What a step does beside its gradient because of earlier steps.

    `kind` is momentum, Nesterov, accumulation or schedule; `number` is the momentum, or how the rate changes; `first`
    is what multiplies the gradient in the first step.
    """

    kind: str
    number: float
    first: float = 1.0


def remembered(alike: Sequence[Any], apart: tuple[Any, Any], alone: Any) -> Memory | None:
    """The memory of one parameter's movements.

    `alike` are three movements in a row at one point, `apart` two in a row at different points, and `alone` is the
    movement at the second of these without the first.

    >>> g, h = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    >>> remembered([g, 1.9 * g, 2.71 * g], (g, h + 0.9 * g), h)
    Memory(kind='momentum', number=0.9, first=1.0)
    >>> remembered([g, 2 * g, 3 * g], (g, h + g), h)
    Memory(kind='accumulation', number=1.0, first=1.0)
    >>> remembered([g, g, g], (g, h), h) is None
    True
    """
    first, second, third = (np.ravel(a) for a in alike)
    size = float(first @ first)
    if not size > 0:
        return None
    again, more = float(second @ first) / size, float(third @ first) / size
    grew = again - 1
    if abs(grew) < 1e-6:
        return None
    if np.allclose(
        np.ravel(apart[1]), again * np.ravel(alone), rtol=1e-5, atol=1e-5 * float(np.abs(alone).max())
    ):
        return Memory("schedule", again)
    number = round((more - again) / grew, 9)
    if not np.allclose(second, again * first, rtol=1e-5, atol=1e-6 * float(np.abs(first).max())):
        return None
    if abs(number - 1) < 1e-6 and abs(grew - 1) < 1e-6:
        return Memory("accumulation", 1.0)
    if abs(grew - number) < 1e-5 and 0 < number < 1:
        return Memory("momentum", number)
    nesterov = number**2 / (1 + number)
    return Memory("Nesterov", number, 1 + number) if abs(grew - nesterov) < 1e-5 and 0 < number < 1 else None


# rates that differ within a parameter ---------------------------------------------------------------------


def patterns(shape: tuple[int, ...], rates: list[float]) -> Iterator[Any]:
    """Rates that differ from row to row, or from column to column."""
    for axis in range(min(len(shape), 2)):
        if not 2 <= shape[axis] <= 4:
            continue
        along = [1] * len(shape)
        along[axis] = shape[axis]
        for choice in product(rates[:3], repeat=shape[axis]):
            if len(set(choice)) > 1:
                yield np.broadcast_to(np.reshape(choice, along), shape)


def rates_in_words(name: str, rates: Any) -> str:
    """Which rows, columns or elements learn how many times faster than the slowest.

    >>> rates_in_words("W1", np.array([[0.01, 0.01], [0.1, 0.1]]))
    'Row 1 of W1 learns at 0.1, 10 times the rate of row 0.'
    """
    for axis, what in ((0, "row"), (1, "column")):
        if rates.ndim == 2:
            lines = np.moveaxis(rates, axis, 0).reshape(rates.shape[axis], -1)
            if np.allclose(lines, lines[:, :1], rtol=1e-6):
                return _compared(name, lines[:, 0], [f"{what} {i}" for i in range(len(lines))])
    places = [str(list(map(int, index))) for index in np.ndindex(rates.shape)]
    return _compared(name, rates.ravel(), [f"element {p}" for p in places])


def _compared(name: str, rates: Any, places: list[str]) -> str:
    slow = int(np.argmin(np.abs(rates)))
    said = [
        f"{places[i][0].upper()}{places[i][1:]} of {name} learns at {rates[i]:.6g}, {rates[i] / rates[slow]:.4g} times "
        f"the rate of {places[slow]}."
        for i in range(len(rates))
        if abs(rates[i] - rates[slow]) > 1e-6 * abs(rates[slow])
    ]  # fmt: skip
    return " ".join(said[:3]) + (f" And {len(said) - 3} more." if len(said) > 3 else "")
