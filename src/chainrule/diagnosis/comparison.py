"""Claimed gradients against true ones: how far apart, how far apart rounding could bring them, which factor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.diagnosis.sweep import Flow, Values, values_at
from chainrule.graph.ir import Variable

EPSILON = {False: float(np.finfo(np.float64).eps), True: float(np.finfo(np.float32).eps)}
"""The rounding unit, by whether float32 was used."""


def scale_of(claim: Any, truth: Any) -> float:
    """The size of a gradient: its largest element, claimed or true."""
    return max(float(np.abs(a).max(initial=0.0)) for a in (claim, truth))


def relative_error(claim: Any, truth: Any) -> float:
    """The largest difference over the largest true element (or claimed one, where the truth is zero).

    >>> relative_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    0.5
    """
    size = float(np.abs(truth).max(initial=0.0)) or float(np.abs(claim).max(initial=0.0))
    gap = float(np.abs(claim - truth).max(initial=0.0))
    return gap / size if size else 0.0


def noise(
    flow: Flow, values: Values, gradients: Mapping[Variable, Any], single: bool, rng: np.random.Generator
) -> dict[Variable, float]:
    """How far rounding may move each gradient.

    Every input is moved by about one rounding unit, and the largest change is taken many times over: cancellation
    and bad conditioning are in it.
    """
    unit = EPSILON[single]
    largest = dict.fromkeys(flow.by, 0.0)
    for _ in range(3):
        inputs = {v: _moved(values[v], unit, rng) for v in (*flow.graph.inputs, *flow.graph.constants)}
        moved = flow.at(values_at(flow.graph, inputs)).gradients()
        for v in flow.by:
            change = float(np.abs(moved[v] - gradients[v]).max(initial=0.0))
            largest[v] = max(largest[v], change if np.isfinite(change) else 0.0)
    return {v: 100 * change for v, change in largest.items()}


def _moved(value: Any, unit: float, rng: np.random.Generator) -> Any:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return value
    return array * (1 + 2 * unit * rng.choice([-1.0, 1.0], array.shape))


def common_factor(
    claims: Mapping[Any, Any], truths: Mapping[Any, Any], tolerances: Mapping[Any, float]
) -> float | None:
    """The one number that all claimed gradients are the true ones times; None if there is none."""
    sizes = {k: float(np.abs(t).max(initial=0.0)) for k, t in truths.items()}
    known = [k for k, size in sizes.items() if size > tolerances[k]]  # the others are zero but for rounding
    above = sum(float((claims[k] * truths[k]).sum()) / sizes[k] ** 2 for k in known)
    below = sum(float((truths[k] * truths[k]).sum()) / sizes[k] ** 2 for k in known)
    if not known or not np.isfinite(above) or above == 0:
        return None
    factor = above / below
    room = max(1.0, abs(factor))
    fits = all(
        np.abs(c - factor * truths[k]).max(initial=0.0) <= tolerances[k] * room for k, c in claims.items()
    )
    return factor if fits else None
