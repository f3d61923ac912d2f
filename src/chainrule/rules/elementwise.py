"""Functions that work element by element. The engine sums cotangents over broadcast axes; no rule does."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from chainrule import special
from chainrule.namespace import NUMPY
from chainrule.primitives import elementwise


def zero(g: Any, xp: Any) -> Any:
    """The rule of a function that is constant between its jumps."""
    return xp.zeros_like(g)


# arithmetic: Python's operators, which every array library has, and which are the fastest on NumPy's scalars

add = elementwise("add(x, y)", forward=operator.add, x=lambda g: g,
                                                     y=lambda g: g)  # fmt: skip
subtract = elementwise("subtract(x, y)", forward=operator.sub, x=lambda g: g,
                                                               y=lambda g: -g)  # fmt: skip
multiply = elementwise("multiply(x, y)", forward=operator.mul, x=lambda g, y: g * y,
                                                               y=lambda g, x: g * x)  # fmt: skip
divide = elementwise("divide(x, y)", forward=operator.truediv, x=lambda g, y: g / y,
                                                               y=lambda x_bar, out: -x_bar * out)  # fmt: skip
negative = elementwise("negative(x)", forward=operator.neg, x=lambda g: -g)
positive = elementwise("positive(x)", x=lambda g: g)
reciprocal = elementwise("reciprocal(x)", forward=lambda x: 1 / x, x=lambda g, out: -g * out * out)
square = elementwise("square(x)", x=lambda g, x: 2 * g * x)
sqrt = elementwise("sqrt(x)", x=lambda g, out: 0.5 * g / out)
cbrt = elementwise("cbrt(x)", forward=lambda x, xp: _cbrt(x, xp), x=lambda g, out: g / (3 * out * out))
floor_divide = elementwise("floor_divide(x, y)", x=zero, y=zero)
remainder = elementwise("remainder(x, y)", x=lambda g: g,
                                           y=lambda g, x, y, xp: -g * xp.floor_divide(x, y))  # fmt: skip
fmod = elementwise("fmod(x, y)", x=lambda g: g,
                                 y=lambda g, x, y, xp: -g * _whole_part(x, y, xp))  # fmt: skip


def _whole_part(x: Any, y: Any, xp: Any) -> Any:
    # Not trunc(x / y): 1 / 0.1 rounds to 10, but 0.1 is contained in 1 only 9 times.
    return xp.sign(x) * xp.sign(y) * xp.floor_divide(xp.abs(x), xp.abs(y))


def _cbrt(x: Any, xp: Any) -> Any:
    return np.cbrt(x) if xp is NUMPY else xp.sign(x) * xp.abs(x) ** (1 / 3)


def _power_of_base(g: Any, x: Any, y: Any, xp: Any) -> Any:
    if isinstance(y, (int, float)):
        return zero(g, xp) if y == 0 else g if y == 1 else g * (2 * x) if y == 2 else g * (y * x ** (y - 1))
    # Where y is 0 the power is the constant 1; x ** -1 would make that 0 * inf at x = 0.
    return g * xp.where(y == 0, xp.zeros_like(g), y * x ** xp.where(y == 0, xp.ones_like(y), y - 1))


def _power_of_exponent(g: Any, x: Any, y: Any, out: Any, xp: Any) -> Any:
    # d(0 ** y)/dy is 0 for y > 0 (and, by the same convention as PyTorch's, for y = 0).
    x = xp.asarray(x) if isinstance(x, (int, float)) else x
    vanishes = (x == 0) & (y >= 0)
    return g * out * xp.where(vanishes, xp.zeros_like(x), xp.log(xp.where(vanishes, xp.ones_like(x), x)))


pow = elementwise("pow(x, y)", forward=operator.pow, x=_power_of_base, y=_power_of_exponent)

# exponentials and logarithms -----------------------------------------------------------------------------

exp = elementwise("exp(x)", x=lambda g, out: g * out)
expm1 = elementwise("expm1(x)", x=lambda g, out: g * (out + 1))
exp2 = elementwise("exp2(x)", forward=lambda x, xp: np.exp2(x) if xp is NUMPY else 2.0**x,
                              x=lambda g, out: g * out * math.log(2))  # fmt: skip
log = elementwise("log(x)", x=lambda g, x: g / x)
log1p = elementwise("log1p(x)", x=lambda g, x: g / (1 + x))
log2 = elementwise("log2(x)", x=lambda g, x: g / (x * math.log(2)))
log10 = elementwise("log10(x)", x=lambda g, x: g / (x * math.log(10)))


def _share(part: Any, out: Any, xp: Any) -> Any:
    """exp(part - out), the share of one term; 0 where all terms are exp(-inf)."""
    return xp.exp(part - xp.where(out == -math.inf, xp.zeros_like(out), out))


logaddexp = elementwise("logaddexp(x, y)", x=lambda g, x, out, xp: g * _share(x, out, xp),
                                           y=lambda g, y, out, xp: g * _share(y, out, xp))  # fmt: skip
LOG2 = math.log(2)
logaddexp2 = elementwise("logaddexp2(x, y)", x=lambda g, x, out, xp: g * _share(x * LOG2, out * LOG2, xp),
                                             y=lambda g, y, out, xp: g * _share(y * LOG2, out * LOG2, xp))  # fmt: skip

# trigonometry --------------------------------------------------------------------------------------------

sin = elementwise("sin(x)", x=lambda g, x, xp: g * xp.cos(x))
cos = elementwise("cos(x)", x=lambda g, x, xp: -g * xp.sin(x))
tan = elementwise("tan(x)", x=lambda g, out: g * (1 + out * out))
asin = elementwise("asin(x)", x=lambda g, x, xp: g / xp.sqrt((1 - x) * (1 + x)))
acos = elementwise("acos(x)", x=lambda g, x, xp: -g / xp.sqrt((1 - x) * (1 + x)))
atan = elementwise("atan(x)", x=lambda g, x: g / (1 + x * x))
atan2 = elementwise("atan2(y, x)", y=lambda g, x, y, xp: g * x / _square_of_norm(x, y, xp),
                                   x=lambda g, x, y, xp: -g * y / _square_of_norm(x, y, xp))  # fmt: skip
sinh = elementwise("sinh(x)", x=lambda g, x, xp: g * xp.cosh(x))
cosh = elementwise("cosh(x)", x=lambda g, x, xp: g * xp.sinh(x))
tanh = elementwise("tanh(x)", x=lambda g, out: g * (1 - out * out))
asinh = elementwise("asinh(x)", x=lambda g, x, xp: g / xp.sqrt(x * x + 1))
acosh = elementwise("acosh(x)", x=lambda g, x, xp: g / xp.sqrt((x - 1) * (x + 1)))
atanh = elementwise("atanh(x)", x=lambda g, x: g / ((1 - x) * (1 + x)))


def _square_of_norm(x: Any, y: Any, xp: Any) -> Any:
    """x² + y², and 1 at the origin, where the angle has no derivative, and 0 is taken for one (as PyTorch does)."""
    square = x * x + y * y
    return xp.where(square == 0, xp.ones_like(square), square)


def _over_norm(g: Any, x: Any, out: Any, xp: Any) -> Any:
    """G * x / out, and 0 at the origin, where a norm has no derivative but 0 among its subgradients."""
    return g * x / xp.where(out == 0, xp.ones_like(out), out)


hypot = elementwise("hypot(x, y)", x=_over_norm,
                                   y=lambda g, y, out, xp: _over_norm(g, y, out, xp))  # fmt: skip


def _slope_of_sinc(g: Any, x: Any, out: Any, xp: Any) -> Any:
    # (cos(pi x) - sinc(x)) / x cancels near 0; there, the series of sinc differentiated term by term.
    small = xp.abs(x) < 0.1
    near = xp.where(small, x, xp.zeros_like(x))
    t = near * near * math.pi**2
    series = sum_of_powers(
        t, [(-1) ** k * 2 * k * math.pi**2 / math.factorial(2 * k + 1) for k in range(1, 9)]
    )
    away = xp.where(small, xp.ones_like(x), x)
    return g * xp.where(small, near * series, (xp.cos(math.pi * away) - xp.sinc(away)) / away)


def sum_of_powers(t: Any, coefficients: list[float]) -> Any:
    """The polynomial c0 + c1 t + c2 t² + … (Horner's scheme)."""
    total = t * 0 + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * t + c
    return total


def _sinc(x: Any, xp: Any) -> Any:
    away = math.pi * xp.where(x == 0, xp.ones_like(x), x)
    return xp.where(x == 0, xp.ones_like(x), xp.sin(away) / away)


sinc = elementwise("sinc(x)", forward=_sinc, x=_slope_of_sinc)

# rounding and signs --------------------------------------------------------------------------------------

abs = elementwise("abs(x)", x=lambda g, x, xp: g * xp.sign(x))
sign = elementwise("sign(x)", x=zero)
floor = elementwise("floor(x)", x=zero)
ceil = elementwise("ceil(x)", x=zero)
trunc = elementwise("trunc(x)", x=zero)
round = elementwise(
    "round(x, *, decimals=0)", forward=lambda x, xp, decimals: _round(x, xp, decimals), x=zero
)
copysign = elementwise("copysign(x, y)",
    x=lambda g, x, y, xp: xp.where(xp.signbit(y), -g, g) * xp.sign(x), y=zero)  # fmt: skip
heaviside = elementwise("heaviside(x, y)", x=zero, y=lambda g, x, xp: xp.where(x == 0, g, xp.zeros_like(g)))


def _round(x: Any, xp: Any, decimals: int) -> Any:
    return np.round(x, decimals) if xp is NUMPY else xp.own("round")(x * 10**decimals) / 10**decimals


# selection: never a product with a mask, which would turn an infinite cotangent into NaN -----------------


def _larger(g: Any, x: Any, y: Any, xp: Any) -> Any:
    """Ties share the cotangent, so that the two shares always add up to it."""
    return xp.where(x == y, 0.5 * g, xp.where(x > y, g, xp.zeros_like(g)))


def _larger_number(g: Any, x: Any, y: Any, xp: Any) -> Any:
    """As `_larger`, but a NaN loses against every number."""
    return xp.where(xp.isnan(y), g, _larger(g, x, y, xp))


maximum = elementwise("maximum(x, y)", x=_larger,
                                       y=lambda g, x, y, xp: _larger(g, y, x, xp))  # fmt: skip
minimum = elementwise("minimum(x, y)", x=lambda g, x, y, xp: _larger(g, -x, -y, xp),
                                       y=lambda g, x, y, xp: _larger(g, -y, -x, xp))  # fmt: skip
fmax = elementwise("fmax(x, y)", x=_larger_number,
                                 y=lambda g, x, y, xp: _larger_number(g, y, x, xp))  # fmt: skip
fmin = elementwise("fmin(x, y)", x=lambda g, x, y, xp: _larger_number(g, -x, -y, xp),
                                 y=lambda g, x, y, xp: _larger_number(g, -y, -x, xp))  # fmt: skip
limit = elementwise(
    "limit(x, low, high)", forward=lambda x, low, high, xp: xp.own("clip")(x, low, high),
    x=lambda g, x, low, high, xp: xp.where((x >= low) & (x <= high), g, xp.zeros_like(g)),
    low=lambda g, x, low, xp: xp.where(x < low, g, xp.zeros_like(g)),
    high=lambda g, x, high, xp: xp.where(x > high, g, xp.zeros_like(g)),
)  # fmt: skip
where = elementwise(
    "where(condition, x, y)", selects=True,
    x=lambda g, condition, xp: xp.where(condition, g, xp.zeros_like(g)),
    y=lambda g, condition, xp: xp.where(condition, xp.zeros_like(g), g),
)  # fmt: skip
finite = elementwise(
    "finite(x, *, nan=0.0, posinf=None, neginf=None)",
    forward=lambda x, xp, **instead: np.nan_to_num(x, **instead) if xp is NUMPY else _finite(x, xp, **instead),
    x=lambda g, x, xp: xp.where(xp.isfinite(x), g, xp.zeros_like(g)),
)  # fmt: skip


def _finite(x: Any, xp: Any, nan: float, posinf: float | None, neginf: float | None) -> Any:
    largest = float(xp.finfo(x.dtype).max)
    bounded = xp.where(x == math.inf, largest if posinf is None else posinf, xp.where(xp.isnan(x), nan, x))
    return xp.where(x == -math.inf, -largest if neginf is None else neginf, bounded)


# special functions ---------------------------------------------------------------------------------------

erf = elementwise("erf(x)", forward=special.erf,
                            x=lambda g, x, xp: g * (2 / math.sqrt(math.pi)) * xp.exp(-x * x))  # fmt: skip
erfinv = elementwise("erfinv(x)", forward=special.erfinv,
                                  x=lambda g, out, xp: g * (math.sqrt(math.pi) / 2) * xp.exp(out * out))  # fmt: skip
lgamma = elementwise("lgamma(x)", forward=special.lgamma, x=lambda g, x, xp: g * xp.digamma(x))
digamma = elementwise("digamma(x)", forward=special.digamma, x=lambda g, x, xp: g * xp.polygamma(x, n=1))
polygamma = elementwise("polygamma(x, *, n)", forward=lambda x, xp, n: special.polygamma(n, x, xp),
                                              x=lambda g, x, n, xp: g * xp.polygamma(x, n=n + 1))  # fmt: skip

# comparisons and logic: no derivative --------------------------------------------------------------------

equal = elementwise("equal(x, y)")
not_equal = elementwise("not_equal(x, y)")
less = elementwise("less(x, y)")
less_equal = elementwise("less_equal(x, y)")
greater = elementwise("greater(x, y)")
greater_equal = elementwise("greater_equal(x, y)")
logical_and = elementwise("logical_and(x, y)")
logical_or = elementwise("logical_or(x, y)")
logical_xor = elementwise("logical_xor(x, y)")
logical_not = elementwise("logical_not(x)")
bitwise_and = elementwise("bitwise_and(x, y)")
bitwise_or = elementwise("bitwise_or(x, y)")
bitwise_xor = elementwise("bitwise_xor(x, y)")
bitwise_left_shift = elementwise("bitwise_left_shift(x, y)")
bitwise_right_shift = elementwise("bitwise_right_shift(x, y)")
bitwise_invert = elementwise("bitwise_invert(x)")
isfinite = elementwise("isfinite(x)")
isinf = elementwise("isinf(x)")
isnan = elementwise("isnan(x)")
signbit = elementwise("signbit(x)")
nextafter = elementwise("nextafter(x, y)")
