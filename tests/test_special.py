"""Special functions against Python's math, SciPy and mpmath, and at the places where such code breaks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from chainrule import special

Function = Callable[[Any, Any], Any]

FUNCTIONS: dict[str, Function] = {
    "erf": special.erf,
    "erfinv": special.erfinv,
    "lgamma": special.lgamma,
    "digamma": special.digamma,
    **{f"polygamma{n}": partial(special.polygamma, n) for n in range(1, 5)},
}
inf, nan = math.inf, math.nan
tiny, largest = 5e-324, float(np.finfo(np.float64).max)


@pytest.fixture(autouse=True)
def nothing_warns() -> Iterator[None]:
    """Division by zero, overflow and invalid operations raise, though NumPy by itself only warns."""
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        yield


@pytest.fixture(params=FUNCTIONS)
def function(request: pytest.FixtureRequest) -> Function:
    return FUNCTIONS[request.param]


def grid(low: float, high: float, count: int = 2001) -> np.ndarray:
    """Even points, moved off the integers and halves."""
    return np.linspace(low, high, count) + 1e-4 * math.sqrt(2)


def error(found: Any, expected: Any, floor: float = 0.0) -> float:
    """The largest error relative to the expected value, or to `floor` where the value is smaller."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    scale = np.maximum(np.abs(expected), max(floor, tiny))
    return float(np.max(np.abs(found - expected) / scale))


def exactly(name: str, arguments: np.ndarray) -> np.ndarray:
    """The function by mpmath, whose arguments are the floats themselves."""
    mpmath = pytest.importorskip("mpmath")

    def log_abs_gamma(x: Any) -> Any:
        return mpmath.log(abs(mpmath.gamma(x)))

    def inverse_erf(y: Any) -> Any:
        return mpmath.erfinv(y) if abs(y) > 1e-9 else mpmath.sqrt(mpmath.pi) / 2 * y

    functions = {"erf": mpmath.erf, "erfinv": inverse_erf, "lgamma": log_abs_gamma, "digamma": mpmath.digamma}
    functions |= {f"polygamma{n}": partial(mpmath.polygamma, n) for n in range(1, 5)}
    with mpmath.workdps(40):
        return np.array([float(functions[name](mpmath.mpf(float(x)))) for x in arguments])


def by_scipy_or_exactly(name: str, arguments: np.ndarray) -> np.ndarray:
    """The function by SciPy, or by mpmath where SciPy is not installed."""
    try:
        import scipy.special as peer
    except ImportError:
        return exactly(name, arguments)
    functions = {"erf": peer.erf, "erfinv": peer.erfinv, "lgamma": peer.gammaln, "digamma": peer.digamma}
    functions |= {f"polygamma{n}": partial(peer.polygamma, n) for n in range(1, 5)}
    return np.asarray(functions[name](arguments))


# On a grid


def test_erf_is_that_of_the_standard_library() -> None:
    x = np.concatenate([grid(-6.5, 6.5), np.logspace(-300, 0, 200)])
    assert error(special.erf(x, np), [math.erf(value) for value in x]) < 1e-15


def test_lgamma_is_that_of_the_standard_library() -> None:
    x = np.concatenate(
        [grid(2.1, 60.0), grid(-20.0, 0.9), np.logspace(-300, -1, 99), np.logspace(1, 305, 99)]
    )
    assert error(special.lgamma(x, np), [math.lgamma(value) for value in x], floor=1.0) < 1e-14


def test_lgamma_between_the_poles_far_left_of_zero() -> None:
    x = np.array([-1000.5, -1e6 - 0.25, -1e10 - 0.5, -1e15 - 0.5])
    assert error(special.lgamma(x, np), [math.lgamma(value) for value in x]) < 1e-14


def test_erfinv_is_undone_by_erf() -> None:
    y = grid(-0.9999, 0.9998)
    assert error([math.erf(x) for x in special.erfinv(y, np)], y) < 1e-15


@pytest.mark.parametrize(
    ("name", "low", "high", "tolerance"),
    [
        ("erf", -6.5, 6.5, 2e-15),
        ("erfinv", -0.9999, 0.9998, 5e-15),
        ("lgamma", 2.1, 100.0, 1e-14),
        ("lgamma", -2.2, -0.1, 1e-14),
        ("digamma", 1e-3, 50.0, 1e-14),
        *[(f"polygamma{n}", 1e-3, 50.0, 1e-12) for n in range(1, 5)],
    ],
)
def test_a_grid_against_scipy(name: str, low: float, high: float, tolerance: float) -> None:
    x = grid(low, high, 500)
    assert error(FUNCTIONS[name](x, np), by_scipy_or_exactly(name, x), floor=0.01) < tolerance


# Where floating point is hard, against mpmath

POSITIVE = np.concatenate([grid(0.01, 20.0, 60), np.logspace(-70, 8, 40)])
NEGATIVE = -np.concatenate([grid(0.01, 12.0, 80), [0.5, 1.5, 3.5, 3.4999, 7.5]])


@pytest.mark.parametrize(
    ("name", "arguments", "tolerance"),
    [
        ("erf", np.concatenate([grid(-6.0, 6.0, 80), np.logspace(-300, 0, 40)]), 1e-15),
        ("erfinv", np.concatenate([grid(-0.99, 0.98, 80), np.logspace(-300, -1, 40)]), 5e-15),
        ("erfinv", 1 - np.logspace(-15.9, -0.1, 80), 5e-15),
        ("erfinv", np.array([1 - 2**-53, -1 + 2**-53, 0.8, np.nextafter(0.8, 0.0)]), 5e-15),
        ("lgamma", np.concatenate([grid(0.01, 5.0, 80), -np.logspace(-300, -0.4, 40)]), 1e-14),
        ("lgamma", np.array([0.7, 2.5, np.nextafter(0.7, 0.0), np.nextafter(2.5, 0.0), -0.3]), 1e-14),
        ("lgamma", 1 + np.logspace(-15, -1, 30), 2e-15),
        ("lgamma", 1 - np.logspace(-15, -1, 30), 2e-15),
        ("lgamma", 2 + np.logspace(-15, -1, 30), 2e-15),
        ("lgamma", 2 - np.logspace(-15, -1, 30), 2e-15),
        ("digamma", -np.logspace(-300, -1, 40), 1e-14),
        *[(f"polygamma{n}", POSITIVE, 2e-15) for n in range(1, 5)],
        *[(f"polygamma{n}", NEGATIVE, 5e-15) for n in range(1, 5)],
    ],
)
def test_the_relative_error(name: str, arguments: np.ndarray, tolerance: float) -> None:
    if name == "polygamma3" or name == "polygamma4":
        arguments = arguments[np.abs(arguments) > 1e-60]  # n! / x**(n + 1) is finite
    assert error(FUNCTIONS[name](arguments, np), exactly(name, arguments)) < tolerance


@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_the_error_relative_to_one_left_of_zero(name: str) -> None:
    beside_poles = np.concatenate([-pole + np.array([-1e-3, -1e-9, 1e-12]) for pole in (1.0, 2.0, 7.0)])
    x = np.concatenate([-grid(0.01, 15.0, 100), beside_poles])
    assert error(FUNCTIONS[name](x, np), exactly(name, x), floor=1.0) < 1e-14


# Values known in closed form


def test_digamma_of_whole_numbers_is_harmonic() -> None:
    harmonic = np.cumsum(1 / np.arange(1.0, 40.0))
    expected = np.concatenate([[0.0], harmonic]) - np.euler_gamma
    assert error(special.digamma(np.arange(1.0, 41.0), np), expected, floor=1.0) < 1e-15


@pytest.mark.parametrize(
    ("n", "x", "expected"),
    [
        (0, 0.5, -np.euler_gamma - 2 * math.log(2)),
        (1, 1.0, math.pi**2 / 6),
        (1, 0.5, math.pi**2 / 2),
        (1, -0.5, math.pi**2 / 2 + 4),
        (2, 1.0, -2 * 1.2020569031595942),
        (3, 1.0, math.pi**4 / 15),
        (3, 0.5, math.pi**4),
        (5, 1.0, 8 * math.pi**6 / 63),
        (40, 1.0, -float(math.factorial(40)) * (1 + 0.5**41)),
    ],
)
def test_polygamma_in_closed_form(n: int, x: float, expected: float) -> None:
    assert error(special.polygamma(n, np.asarray(x), np), expected) < 2e-15


def test_polygamma_of_order_0_is_digamma() -> None:
    x = grid(-5.0, 5.0, 100)
    np.testing.assert_array_equal(special.polygamma(0, x, np), special.digamma(x, np))


def test_polygamma_has_no_negative_order() -> None:
    with pytest.raises(ValueError, match="order n >= 0, not -1"):
        special.polygamma(-1, np.ones(3), np)


@pytest.mark.parametrize("n", [1, 2, 5, 20, 100, 170])
def test_polygamma_of_any_order_steps_by_one_power(n: int) -> None:
    x = np.array([2.5, 3.5, 8.25])
    difference = special.polygamma(n, x + 1, np) - special.polygamma(n, x, np)
    assert error(difference, -((-1.0) ** (n + 1)) * (math.factorial(n) / x**n) / x) < 5e-14 * max(1, n / 5)


# Special values


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        (
            "erf",
            [0.0, -0.0, nan, 27.0, 1e300, inf, -1e300, -inf],
            [0.0, -0.0, nan, 1.0, 1.0, 1.0, -1.0, -1.0],
        ),
        ("erfinv", [0.0, -0.0, 1.0, -1.0, nan, 1.5, -1.5, inf, -inf], [0.0, -0.0, inf, -inf] + [nan] * 5),
        ("lgamma", [0.0, -0.0, -1.0, -2.0, -1e15, -1e300, inf, -inf], [inf] * 8),
        ("lgamma", [1.0, 2.0, nan, 2.6e305, largest, -largest], [0.0, 0.0, nan, inf, inf, inf]),
        ("digamma", [0.0, -0.0, tiny, -tiny], [-inf, inf, -inf, inf]),
        ("digamma", [-1.0, -2.0, -1e15, -1e300, -inf, nan, inf], [nan] * 6 + [inf]),
        *[(f"polygamma{n}", [0.0, -0.0, tiny, -tiny, -1.0, -7.0, -inf], [inf] * 7) for n in (1, 3)],
        *[(f"polygamma{n}", [0.0, tiny, -0.0, -tiny], [-inf, -inf, inf, inf]) for n in (2, 4)],
        *[(f"polygamma{n}", [-1.0, -7.0, -inf, -1e300], [nan] * 4) for n in (2, 4)],
        *[(f"polygamma{n}", [nan, inf], [nan, 0.0]) for n in (1, 3)],
        *[(f"polygamma{n}", [nan, inf], [nan, -0.0]) for n in (2, 4)],
    ],
)
def test_special_values(name: str, x: list[float], expected: list[float]) -> None:
    found = FUNCTIONS[name](np.array(x), np)
    np.testing.assert_array_equal(found, expected)
    zero = np.equal(expected, 0.0)
    np.testing.assert_array_equal(np.signbit(found)[zero], np.signbit(expected)[zero])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reciprocal", [False, True])
def test_no_magnitude_warns(function: Function, dtype: type, reciprocal: bool) -> None:
    info = np.finfo(dtype)
    sizes = np.logspace(0, 0.999999 * math.log10(info.max), 997).astype(dtype)
    x = np.concatenate([sizes, -sizes, np.array([info.max, inf, -info.max, -inf], dtype)])
    assert function(1 / x if reciprocal else x, np).dtype == dtype


def test_lgamma_is_finite_up_to_the_last_float_it_can_be() -> None:
    x = np.array([2.5e305, 2.55e305])
    assert error(special.lgamma(x, np), [math.lgamma(value) for value in x]) < 1e-15


# Shapes, dtypes, libraries

MIXED = np.array([-3.7, -1.2, -0.6, -0.05, 0.05, 0.3, 0.75, 0.9, 1.2, 2.2, 2.7, 6.0, 40.0])


def test_float32_stays_float32(function: Function) -> None:
    x = MIXED.astype(np.float32)
    found = function(x, np)
    expected = function(x.astype(np.float64), np)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-6)


def test_every_shape(function: Function) -> None:
    assert function(np.empty((0, 3)), np).shape == (0, 3)
    assert function(np.asarray(0.3, np.float32), np).dtype == np.float32
    expected = function(MIXED, np)
    for x, value in zip(MIXED, expected, strict=True):
        for scalar in (function(x, np), function(np.asarray(x), np)):
            assert np.shape(scalar) == ()
            np.testing.assert_allclose(scalar, value, rtol=1e-14, atol=1e-15)
    x = np.broadcast_to(MIXED[:, None], (13, 2))
    np.testing.assert_allclose(function(x, np), np.stack([expected] * 2, axis=1), rtol=1e-14, atol=1e-15)


def test_the_argument_is_left_as_it_was(function: Function) -> None:
    x = MIXED.copy()
    function(x, np)
    np.testing.assert_array_equal(x, MIXED)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_the_array_api_standard_is_used(function: Function, dtype: str) -> None:
    # Before 2.3.1 its where(condition, float32, 0.0) was float64.
    strict = pytest.importorskip("array_api_strict", minversion="2.3.1")
    values = np.concatenate([MIXED, [0.0, -0.0, -2.0, inf, -inf, nan]]).astype(dtype)
    flags = {"api_version": "2024.12", "boolean_indexing": False, "data_dependent_shapes": False}
    with strict.ArrayAPIStrictFlags(**flags):
        for plain in (values, values[0], values[:0]):
            found = function(strict.asarray(plain), strict)
            assert found.dtype == getattr(strict, dtype)
            np.testing.assert_array_equal(np.from_dlpack(found), function(np.asarray(plain), np))
