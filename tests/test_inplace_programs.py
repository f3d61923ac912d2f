"""Random programs that change arrays in place, through views and behind residuals."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr

SHAPE = (4, 3)
VIEWS: list[Callable[[Any], Any]] = [
    lambda a: a,
    lambda a: a[1:3],
    lambda a: a[::2, 1:],
    lambda a: a[:, 0],
    lambda a: a.T,
    lambda a: a.T[1],
    lambda a: a[::-1, ::-1],
    lambda a: a.reshape(-1)[2:9:3],
    lambda a: a.reshape(2, 6)[1],
    lambda a: a[3, 1:2],
]
VALUES: list[Callable[[Any], Any]] = [
    np.sin,
    np.tanh,
    lambda a: np.exp(-a),
    lambda a: a * a / (1 + a * a),
    lambda a: a / (1 + a),
    lambda a: 1 / np.sqrt(1 + a),
]
"""Bounded, with bounded slopes: differences can be trusted."""


def assign(target: Any, value: Any) -> None:
    target[...] = value


def add(target: Any, value: Any) -> None:
    target += value


def multiply(target: Any, value: Any) -> None:
    target *= value


def divide(target: Any, value: Any) -> None:
    target /= 2 + value * value


def assign_by_index(target: Any, value: Any) -> None:
    index = np.arange(len(target))[::-1][: max(1, len(target) - 1)]
    target[index] = value[: len(index)]


CHANGES = [assign, add, multiply, divide, assign_by_index]

step = st.tuples(
    st.integers(0, 2),
    st.sampled_from(VIEWS),
    st.sampled_from(VALUES),
    st.sampled_from(CHANGES),
    st.integers(0, 2),
)


def run(x: Any, steps: list[Any]) -> Any:
    """Three arrays; each step changes a view of one by a function of its mean and of another's elements."""
    arrays = [x * 1.0, x + 0.5, np.exp(-x)]
    total = 0.0
    for target, view, value, change, source in steps:
        part = view(arrays[target])
        used = value(view(arrays[source]) ** 2 + 0.1)
        total = total + (used * view(arrays[source])).sum()
        change(part, used / used.size + 0.3 * used.mean())
        total = total + (part * part).sum()
    return total + sum((a * a * (i + 1)).sum() for i, a in enumerate(arrays))


@settings(max_examples=150, deadline=None)
@given(st.lists(step, min_size=1, max_size=7))
def test_gradients_of_random_programs(steps: list[Any]) -> None:
    x = np.linspace(-0.9, 0.8, 12).reshape(SHAPE)
    direction = np.cos(np.arange(12.0)).reshape(SHAPE)
    with np.errstate(all="ignore"):
        size = abs(run(x, steps))
    if not np.isfinite(size) or size > 1e6:
        return
    value, gradient = cr.value_and_grad(lambda x: run(x, steps))(x)
    assert value == pytest.approx(run(x, steps), rel=1e-12)
    h = 1e-5
    slope = (run(x + h * direction, steps) - run(x - h * direction, steps)) / (2 * h)
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-5, abs=1e-5 * max(size, 1.0))
    _, derived = cr.derive(lambda x: run(x, steps), x).function(x)
    np.testing.assert_allclose(derived, gradient, rtol=1e-10, atol=1e-10 * max(size, 1.0))
