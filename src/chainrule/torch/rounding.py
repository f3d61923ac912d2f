"""Arithmetic with PyTorch's roundings: fused multiply-add; logarithm, sine and cosine of `randn` in float32.

PyTorch's vectorised code rounds `a * b + c` once, not twice; and where it fills 16 or more normal numbers,
its logarithm, sine and cosine are the polynomials of the Cephes library (S. Moshier; `logf`, `sinf`, `cosf`),
whose last bit is their own. To draw the same numbers, the same operations are done here, in the same order
and each rounded as there. What a comment calls exact needs no fused operation, since nothing is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Single: TypeAlias = NDArray[np.float32]
Double: TypeAlias = NDArray[np.float64]

_BELOW_SINGLE = np.int64((1 << 29) - 1)
"""The bits of a float64 that a float32 has no place for."""
_HALFWAY = np.int64(1 << 28)


def _two_sum(a: Double, b: Double) -> tuple[Double, Double]:
    """The sum, and the exact error of it (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a: Double, b: Double) -> tuple[Double, Double]:
    """The product, and the exact error of it (Dekker), unless something overflows or underflows."""
    product = a * b
    high_a, high_b = a * 134217729.0, b * 134217729.0  # 2²⁷ + 1: the upper and the lower half of the digits
    high_a, high_b = high_a - (high_a - a), high_b - (high_b - b)
    low_a, low_b = a - high_a, b - high_b
    return product, ((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b


def _to_odd(value: Double, error: Double) -> Double:
    """`value + error` rounded such that a later rounding, to fewer bits, is that of the exact sum."""
    bits = value.view(np.int64)
    # An even last bit and an error: the neighbour in the direction of the error is odd.
    step = np.where((error != 0.0) & (bits & 1 == 0), np.where((error > 0.0) == (value > 0.0), 1, -1), 0)
    return (bits + step).view(np.float64)


def fma_single(a: Any, b: Any, c: Any) -> Single:
    """The value of a * b + c in float32, rounded once.

    >>> a = np.float32([1 + 2**-12])
    >>> fma_single(a, a, np.float32(-1)), a * a - np.float32(1)
    (array([0.00048834], dtype=float32), array([0.00048828], dtype=float32))
    """
    product = np.multiply(a, b, dtype=np.float64)  # exact: 48 bits
    total = np.atleast_1d(np.add(product, c, dtype=np.float64))
    doubtful = total.view(np.int64) & _BELOW_SINGLE == _HALFWAY
    if doubtful.any():  # looks like a tie of two float32, but may have been rounded to one
        value, error = _two_sum(
            np.broadcast_to(product, total.shape)[doubtful], np.broadcast_to(c, total.shape)[doubtful]
        )
        total[doubtful] = _to_odd(value, error)
    return total.astype(np.float32)


def fma_double(a: Any, b: Any, c: Any) -> Double:
    """The value of a * b + c in float64, rounded once (S. Boldo and G. Melquiond, 2008).

    >>> a = np.float64([1 + 2**-30])
    >>> fma_double(a, a, -1.0) == 2.0**-29 + 2.0**-60, a * a - 1 == 2.0**-29 + 2.0**-60
    (array([ True]), array([False]))
    """
    a, b, c = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, np.float64)) for x in (a, b, c)))
    high, low = _two_product(a, b)
    tail, rest = _two_sum(low, c)
    total, error = _two_sum(high, tail)
    return total + _to_odd(*_two_sum(error, rest))


def fma(a: Any, b: Any, c: Any, kind: Any) -> NDArray[Any]:
    """The value of a * b + c in the given floating-point type, rounded once."""
    return fma_double(a, b, c) if kind == np.float64 else fma_single(a, b, c)


def each(function: Callable[[float], float], values: NDArray[Any], fallback: Any) -> Double:
    """A function of Python's `math`, which is that of the C library, for every element.

    NumPy's own loops differ from it in the last bit. Where `math` raises, NumPy's `fallback` has the answer.

    >>> each(math.log, np.array([1.0, 0.0]), np.log)
    array([  0., -inf])
    """

    def value(x: float) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError):
            with np.errstate(all="ignore"):
                return float(fallback(x))

    numbers = values.tolist()
    try:
        return np.fromiter(map(function, numbers), np.float64, values.size)
    except (ValueError, OverflowError):
        return np.fromiter(map(value, numbers), np.float64, values.size)


_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LOG_2 = (np.float32(0.693359375), np.float32(-2.12194440e-4))
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_QUARTER = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
"""-π/4 in three parts, of which the first two have few enough bits that small multiples are exact."""


def _polynomial(x: Single, coefficients: tuple[float, ...]) -> Single:
    """Horner's rule, highest power first."""
    y: Single = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y = fma_single(y, x, np.float32(c))
    return y


def log_single(x: Single) -> Single:
    """The logarithm of positive normal float32 numbers.

    >>> log_single(np.float32([1.0, 0.1]))
    array([ 0.       , -2.3025851], dtype=float32)
    """
    fraction, exponent = np.frexp(x)
    small = fraction < np.float32(math.sqrt(0.5))
    power = (exponent - small).astype(np.float32)
    x = np.where(small, fraction + fraction, fraction) - np.float32(1)  # exact
    square = x * x
    y = x * _polynomial(x, _LOG)
    y = fma_single(y, square, power * _LOG_2[1])
    y = y - square * np.float32(0.5)  # the half is exact
    result: Single = (x + y) + power * _LOG_2[0]  # the product is exact
    return result


def sin_cos_single(x: Single) -> tuple[Single, Single]:
    """The sine and the cosine of float32 numbers from 0 to 2π.

    >>> sin_cos_single(np.float32([0.0, 1.0]))
    (array([0.       , 0.84147096], dtype=float32), array([1.        , 0.5403023], dtype=float32))
    """
    octant = (x * np.float32(4 / math.pi)).astype(np.int32)
    octant = (octant + 1) & ~1
    turns = octant.astype(np.float32)
    x = (x + turns * np.float32(_QUARTER[0])) + turns * np.float32(_QUARTER[1])  # the products are exact
    x = fma_single(turns, np.float32(_QUARTER[2]), x)
    square = x * x
    cos = square * _polynomial(square, _COS)
    cos = fma_single(square, cos, square * np.float32(-0.5)) + np.float32(1)
    sin = fma_single(x, square * _polynomial(square, _SIN), x)
    swapped = octant & 2 != 0
    sine, cosine = np.where(swapped, cos, sin), np.where(swapped, sin, cos)
    return np.where(octant & 4 != 0, -sine, sine), np.where((octant - 2) & 4 == 0, -cosine, cosine)
