"""Special functions that NumPy lacks: erf, its inverse, and the gamma family. Values only.

Each function takes an array of float32 or float64 and the namespace `xp` that it belongs to, and returns an
array of the same shape and dtype. They are plain Array API code (2024.12) that never branches on a value, so
they run on other array libraries and can be traced. Every branch of a `where` is computed everywhere;
elements that belong to another branch get a harmless argument, so that no branch warns.

The fitted tables were made for this file with mpmath (60 digits): rational least squares on Chebyshev nodes,
reweighted until the largest error levels out. The errors stated are those of the table in exact arithmetic.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, TypeAlias

Rational: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""The coefficients of a numerator and a denominator, lowest power first."""

# fmt: off
# atanh(erf(x)) / x in x² for 0 <= x <= 6; leaves a relative error of 2e-16 in erf.
_ERF: Rational = (
    (1.1283791670955123, 0.48743616787255933, 0.13724648463220782, 0.023976834800915045,
     0.0030181674198127262, 0.00025657780137627683, 1.4571601412122993e-05, 4.344214229731395e-07,
     2.702754418494804e-09),
    (1.0, 0.340899208163099, 0.09076787588173084, 0.013567975807262161,
     0.0015769464571843232, 0.00011115983792634739, 5.42006826475232e-06, 8.839697763057013e-08,
     1.439066308753574e-10),
)
# erfinv(y) / y in 0.64 - y² for |y| <= 0.8; relative error 3e-18.
_ERFINV_CENTRE: Rational = (
    (1.132742253046029, 8.937324942821338, 26.80359927335704, 38.24513645887162,
     26.58931692077929, 8.245917170878515, 0.8868414525215904, 0.014763647065132496),
    (1.0, 8.498183571884095, 27.958498034908718, 44.94882424184285,
     36.71036918242375, 14.37210001820579, 2.2659776242293757, 0.09108488682834408),
)
# erfinv(y) in sqrt(-log(1 - y)) for 0.8 <= y < 1 (up to the last float64); relative error 5e-17.
_ERFINV_TAIL: Rational = (
    (-0.0007419576186154471, 0.008819891992680651, 0.8379027023804475, 2.142345973571366,
     3.018491785862456, 3.473981304874938, 1.409104089509506, 0.1999152432961068,
     0.008056587065176674),
    (1.0, 2.2370935280586175, 4.298086580084318, 4.476115883771703,
     3.782701976672189, 1.4278046684189742, 0.20000569981139218, 0.008055563886675304,
     8.916366783961515e-09),
)
# lgamma(1 + t) / (t (t - 1)) in t for -0.3 <= t <= 1.5; relative error 1e-16.
_LGAMMA_CENTRE: Rational = (
    (0.5772156649015329, 1.7328547702452275, 1.9941550320614183, 1.1010061817257215,
     0.29782306153635413, 0.03571529842708722, 0.0014007443184985927, 4.0947742036140005e-06),
    (1.0, 3.4269793060887452, 4.641579038523411, 3.1562489270469776,
     1.130951305990543, 0.2047279724316345, 0.01620626888271232, 0.0003827050218579761),
)
# What Stirling's formula about u = x - 1/2 leaves of lgamma(x), times u, in 1/u² for u >= 2; error 3e-18.
_LGAMMA_TAIL: Rational = (
    (-0.04166666666666267, -0.4481737448103966, -1.3939602107181512, -1.4439443109791905,
     -0.4223675345432347, -0.016213592916345075),
    (1.0, 10.81450320875684, 34.06743869941026, 36.45655135504763,
     11.767955724515307, 0.7135935233239259),
)
# (digamma(x) - log(u)) u² with u = x - 1/2, in 1/u² for u >= 3/2; leaves an error of 9e-18 in digamma.
_DIGAMMA_TAIL: Rational = (
    (0.041666666666657234, 0.6392720448420304, 3.122873708326075, 5.921157116901155,
     4.218847489919289, 0.8863094375931133, 0.01922109030300666),
    (1.0, 15.517529076129733, 77.5722746930185, 154.35046023097036,
     122.46489503756402, 33.848202340009536, 2.1898520141318056),
)
# fmt: on

# B₂, B₄, ... B₂₀, as (numerator, denominator): DLMF §24.2(iv).
_BERNOULLI = (
    (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798),
    (-174611, 330),
)  # fmt: skip


def erf(x: Any, xp: Any) -> Any:
    """The error function, 2/√π ∫₀ˣ exp(-t²) dt.

    erf(x) = tanh(x R(x²)): tanh squeezes the error of R, so one fraction serves all x, of either sign.

    >>> import numpy as np
    >>> erf(np.asarray([-0.5, 0.0, 2.0]), np)
    array([-0.52049988,  0.        ,  0.99532227])
    """
    x = xp.maximum(xp.minimum(x, 6.0), -6.0)  # erf(6) rounds to 1
    return xp.tanh(x * _rational(x * x, _ERF))


def erfinv(y: Any, xp: Any) -> Any:
    """The inverse of erf: ±inf at ±1, nan outside [-1, 1].

    >>> import numpy as np
    >>> erfinv(np.asarray([-0.5, 0.0, 1.0]), np)
    array([-0.47693628,  0.        ,         inf])
    """
    size = xp.abs(y)
    centre = xp.where(size < 0.8, y, 0.0)
    inner = centre * _rational(0.64 - centre * centre, _ERFINV_CENTRE)
    # 1 - size is exact here: near 1 the result is as good as y itself.
    depth = -xp.log(1.0 - xp.where(size < 1.0, size, 0.0))
    outer = xp.sign(y) * _rational(xp.sqrt(depth), _ERFINV_TAIL)
    beyond = xp.where(size == 1.0, y, math.nan) * math.inf
    return xp.where(size < 0.8, inner, xp.where(size < 1.0, outer, beyond))


def lgamma(x: Any, xp: Any) -> Any:
    """The logarithm of |Γ(x)|: inf at 0, -1, -2, ... and ±inf.

    The relative error is small at the zeros 1 and 2. Near the zeros below -2, which lie close to the poles,
    it is the error relative to lgamma(|x|) that is small.

    >>> import numpy as np
    >>> lgamma(np.asarray([-0.5, 1.0, 10.0]), np)
    array([ 1.26551212,  0.        , 12.80182748])
    """
    size = xp.abs(x)
    log_size = xp.log(xp.where(size == 0.0, 1.0, size))
    overflows = size / float(xp.finfo(x.dtype).max) * (log_size - 1.0) >= 1.0
    fraction = _fraction(x, xp)
    infinite = (fraction == 0.0) | overflows
    x = xp.where(infinite, 1.0, x)
    reflected = x < -0.3
    right = _lgamma_right(xp.where(reflected, -x, x), log_size, xp)
    # Γ(x) Γ(-x) = -π / (x sin πx): DLMF 5.5.1, 5.5.3
    sine = xp.abs(xp.sin(math.pi * xp.where(reflected, fraction, 0.5)))
    left = math.log(math.pi) - log_size - xp.log(sine) - right
    return xp.where(infinite, math.inf, xp.where(reflected, left, right))


def _lgamma_right(x: Any, log_size: Any, xp: Any) -> Any:
    """lgamma(x) for x > -0.3, with log_size = log |x|."""
    central, shifted = x < 2.5, x < 0.7
    t = xp.where(shifted, x, xp.where(central, x, 1.0) - 1.0)  # exact, also near the zeros
    # lgamma(x) = lgamma(1 + x) - log(x); the difference gives 0 at t = 0, the product alone -0
    near = xp.where(shifted, -log_size, 0.0) - t * (1.0 - t) * _rational(t, _LGAMMA_CENTRE)
    # Stirling's formula about x - 1/2, where its terms are odd: DLMF 5.11.8
    u = xp.where(central, 2.5, x) - 0.5
    inverse = 1.0 / u
    correction = inverse * _rational(inverse * inverse, _LGAMMA_TAIL)
    far = u * (xp.log(u) - 1.0) + (0.5 * math.log(2.0 * math.pi) + correction)
    return xp.where(central, near, far)


def digamma(x: Any, xp: Any) -> Any:
    """ψ(x), the derivative of lgamma: ∓inf at ±0, nan at -1, -2, ... where the two sides disagree.

    >>> import numpy as np
    >>> digamma(np.asarray([-0.5, 1.0, 10.0]), np)
    array([ 0.03648997, -0.57721566,  2.25175259])
    """
    fraction = _fraction(x, xp)
    pole = xp.abs(fraction) <= 1.0 / float(xp.finfo(x.dtype).max)
    at_pole = _odd_pole(x, fraction, xp)
    x = xp.where(pole, 1.0, x)
    reflected, small = x < -1.0, x < 2.0
    # ψ(x) = ψ(1 - x) - π / tan πx, or ψ(x) = ψ(x + 3) - 1/x - 1/(x + 1) - 1/(x + 2): DLMF 5.5.4, 5.5.2
    u = xp.where(reflected, 1.0 - x, xp.where(small, x + 3.0, x)) - 0.5
    inverse_square = (1.0 / u) * (1.0 / u)
    right = xp.log(u) + inverse_square * _rational(inverse_square, _DIGAMMA_TAIL)
    t = xp.where(small, x, 1.0)
    steps = ((3.0 * t + 6.0) * t + 2.0) / (t * (t + 1.0) * (t + 2.0))
    cotangent = _cotangent(xp.where(reflected, fraction, 0.25), xp)
    value = right - xp.where(reflected, math.pi * cotangent, xp.where(small, steps, 0.0))
    return xp.where(pole, at_pole, value)


def polygamma(n: int, x: Any, xp: Any) -> Any:
    """ψ⁽ⁿ⁾(x), the n-th derivative of digamma; n! must be finite in the dtype of x.

    At the poles 0, -1, -2, ...: inf for odd n; for even n as digamma, ∓inf at ±0 and nan elsewhere.

    >>> import numpy as np
    >>> polygamma(1, np.asarray([-0.5, 1.0, 10.0]), np)
    array([8.9348022 , 1.64493407, 0.10516634])
    """
    if n < 0:
        raise ValueError(f"polygamma(n, x) is a derivative of order n >= 0, not {n}")
    if n == 0:
        return digamma(x, xp)
    factorial = float(math.factorial(n))
    fraction = _fraction(x, xp)
    # Below this distance from a pole n! / distance ** (n + 1) overflows; a hair more, for the other terms.
    overflow = 1.001 * (factorial / float(xp.finfo(x.dtype).max)) ** (1.0 / (n + 1))
    pole = xp.where(x < 0.5, xp.abs(fraction), x) <= overflow
    at_pole = math.inf if n % 2 else _odd_pole(x, fraction, xp)
    x = xp.where(pole, 1.0, x)
    reflected = x < 0.0
    zeta = _zeta(n, xp.where(reflected, 1.0 - x, x))  # ψ⁽ⁿ⁾(x) = -(-1)ⁿ n! ζ(n + 1, x): DLMF 25.11.12
    # (-1)ⁿ ψ⁽ⁿ⁾(1 - x) - ψ⁽ⁿ⁾(x) = dⁿ/dxⁿ π / tan πx: DLMF 5.15.6
    cotangent = math.pi * _cotangent(xp.where(reflected, fraction, 0.25), xp)
    left = -zeta - _polynomial(cotangent, _cotangent_derivative(n))
    value = factorial * xp.where(reflected, left, zeta if n % 2 else -zeta)
    return xp.where(pole, at_pole, value)


def _zeta(n: int, x: Any) -> Any:
    """Σ 1 / (x + k)ⁿ⁺¹ over k = 0, 1, 2, ... for x > 0, by Euler and Maclaurin: DLMF §25.11(iii)."""
    terms = 8 + n // 2
    total = x ** -(n + 1)
    for k in range(1, terms):
        total = total + (x + float(k)) ** -(n + 1)
    inverse = 1.0 / (x + float(terms))
    square = inverse * inverse
    rest = 1.0 + 0.5 * n * inverse + square * _polynomial(square, _euler_maclaurin(n))
    return total + inverse**n * rest / n


@cache
def _euler_maclaurin(n: int) -> tuple[float, ...]:
    """B₂ⱼ n (n + 1) ... (n + 2j - 1) / (2j)! for j = 1, 2, ..."""
    return tuple(
        top * math.comb(n + 2 * j - 1, 2 * j) / bottom for j, (top, bottom) in enumerate(_BERNOULLI, start=1)
    )


@cache
def _cotangent_derivative(n: int) -> tuple[float, ...]:
    """The n-th derivative of π cot πx, over n!, as a polynomial in π cot πx; cot′ = -(1 + cot²)."""
    powers = [0, 1]
    for _ in range(n):
        slope = [k * power for k, power in enumerate(powers)][1:]
        powers = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return tuple(power / math.factorial(n) * math.pi ** (n + 1 - k) for k, power in enumerate(powers))


def _fraction(x: Any, xp: Any) -> Any:
    """What x exceeds the nearest integer by, exactly, where x < 1/2; 1/2 elsewhere."""
    x = xp.maximum(xp.minimum(x, 0.5), -1e17)  # every float below is an integer, and inf - inf would be nan
    return x - xp.round(x)


def _cotangent(fraction: Any, xp: Any) -> Any:
    """The cotangent of πf, 0 < |f| <= 1/2: by the complement near its zero 1/2, so it is accurate there."""
    size = xp.abs(fraction)
    steep = size < 0.25
    tangent = xp.tan(math.pi * xp.where(steep, size, 0.5 - size))
    return xp.sign(fraction) * xp.where(steep, 1.0 / xp.where(steep, tangent, 1.0), tangent)


def _odd_pole(x: Any, fraction: Any, xp: Any) -> Any:
    """The value of -1/fraction at a pole: nan at the negative integers, which have no sign as 0 has."""
    negative = x < -0.5
    infinity = -xp.copysign(math.inf, xp.where(negative, fraction, x))
    return xp.where(negative & (fraction == 0.0), math.nan, infinity)


def _rational(x: Any, coefficients: Rational) -> Any:
    numerator, denominator = coefficients
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """The polynomial with at least two coefficients, lowest power first, by Horner's rule."""
    total = coefficients[-1] * x + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        total = total * x + coefficient
    return total
