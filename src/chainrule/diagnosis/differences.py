"""Claims that were computed by finite differences: right within the precision of these."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np

STEPS = (
    *(float(f"{digit}e-{n}") for n in range(2, 10) for digit in (1, 2, 3, 5)),
    2.0**-26,
    2.0 ** (-52 / 3),
)
"""Steps that people take; the last two are the roots of the rounding unit."""

LARGEST_ERROR, LARGEST_NOISE = 1e-2, 5e-6
"""Differences that are further off are no approximation; and what rounding alone may explain."""

SMALL_ERROR = 1e-6
"""Below this no known mistake is expected, so that one element is enough to recognise differences by."""

MOST = 12
"""Of so many elements, each is computed by differences."""


class Differences(NamedTuple):
    """How a claim was made: the scheme and its step."""

    scheme: str
    step: float

    def __str__(self) -> str:
        return f"{self.scheme} differences with a step of {self.step:.2g}"


Along = Callable[[tuple[int, ...], float], float]
"""The loss with one element of a parameter moved."""


def recognised_differences(
    claim: Any, truth: Any, value: Any, along: Along, deadline: float, *, roughly: bool = False
) -> Differences | None:
    """The finite differences that a claim was computed by; None where none explains its error.

    They are recognised by computing them again: that must come a hundred times closer to the claim than the truth
    is. Where the error is small and nothing else explains it, `roughly` allows for what rounding makes of differences.
    """
    size, error = float(np.abs(truth).max(initial=0.0)), claim - truth
    largest = float(np.abs(error).max(initial=0.0))
    if not 0 < largest <= (LARGEST_NOISE if roughly else LARGEST_ERROR) * size:
        return None
    if roughly and not _like_noise(error / largest, truth / size):
        return None
    order = np.argsort(-np.abs(error), axis=None)[:MOST]
    places = [tuple(int(i) for i in np.unravel_index(k, claim.shape)) for k in order]
    for scheme, step in product(("central", "forward", "backward"), STEPS):
        if time.monotonic() > deadline:
            return None
        made = (_difference(scheme, step, along, place) for place in places)
        if all(
            abs(found - float(claim[place])) <= max(1e-2 * largest, rounding if roughly else 0.0)
            for (found, rounding), place in zip(made, places, strict=True)
        ):
            return Differences(scheme, step)
    return None


def _like_noise(error: Any, truth: Any) -> bool:
    """Whether an error is everywhere, and has nothing to do with the truth: that of a mistake is not so."""
    alike = abs(float((error * truth).sum())) / (np.linalg.norm(error) * np.linalg.norm(truth))
    return error.size >= 4 and float(np.median(np.abs(error))) > 0.02 and bool(alike < 0.9)


def _difference(scheme: str, step: float, along: Along, place: tuple[int, ...]) -> tuple[float, float]:
    """The quotient of differences, and how far rounding may move it."""
    up = along(place, 0.0 if scheme == "backward" else step)
    down = along(place, 0.0 if scheme == "forward" else -step)
    width = 2 * step if scheme == "central" else step
    return (up - down) / width, 8 * float(np.finfo(np.float64).eps) * max(abs(up), abs(down)) / width
