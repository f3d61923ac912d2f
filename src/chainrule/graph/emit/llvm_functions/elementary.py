"""exp, log, tanh and the rest as straight-line code: no call and no branch, so that a loop over them vectorises.

Each function takes a `Scalar` of either format and returns one. Where a formula keeps an error of rounding apart,
it does so to stay within 2 units in the last place; erf and pow are within 4.
"""

from __future__ import annotations

import math
from fractions import Fraction

from llvmlite import ir

from chainrule.graph.emit.llvm_functions import tables
from chainrule.graph.emit.llvm_functions.scalars import (
    DOUBLE,
    Bits,
    Condition,
    Format,
    Pair,
    Scalar,
    exact_product,
    exact_sum,
    ordered_sum,
)

INFINITY, NAN = math.inf, math.nan


def _is_tiny(x: Scalar) -> Condition:
    """Whether x³ and even x² are nothing beside x; zeros and subnormal numbers are among these."""
    return abs(x) < 2.0 ** (-x.format.stored - 2)


def _log_2(format: Format) -> tuple[float, float]:  # noqa: A002
    """log(2) in two parts, of which the first times any exponent is exact."""
    return _parts(tables.LOG_2, format, 15 if format.stored == 23 else 40)


def _parts(number: Fraction, format: Format, bits: int | None = None) -> tuple[float, float]:  # noqa: A002
    return tables.parts(number, format.stored == 23, bits)


# exponentials ----------------------------------------------------------------------------------------------


def _reduced(x: Scalar, low: Scalar | None = None) -> tuple[Bits, Scalar, Scalar]:
    """n, r and t with exp(x + low) = 2**n (1 + r + t), where t is the smaller."""
    first, second = _log_2(x.format)
    k, n = (x * (1 / math.log(2))).nearest_integer()
    whole = k.times_plus(-first, x)
    rest = k * -second if low is None else k.times_plus(-second, low)
    r = whole + rest
    return n, r, _exp_tail(r, (whole - r) + rest)


def _exp_tail(r: Scalar, low: Scalar) -> Scalar:
    """exp(r + low) - 1 - r for small r."""
    return (r * r).times_plus(r.polynomial(tables.EXP[r.format.name]), low)


def _scaled(x: Scalar, n: Bits) -> Scalar:
    """The product x * 2**n, in two steps: 2**n itself may be too large, or too small."""
    bias, stored = x.format.bias, x.format.stored
    half = (n + 2 * bias) >> 1
    other = n + 2 * bias - half
    return x * (half << stored).as_scalar() * (other << stored).as_scalar()


def _exp_range(format: Format) -> tuple[float, float]:  # noqa: A002
    """Arguments beyond these give 0 and infinity."""
    return (-104.5, 89.0) if format.stored == 23 else (-746.0, 710.0)


def exp(x: Scalar) -> Scalar:
    """The power e**x."""
    n, r, tail = _reduced(x.clamped(*_exp_range(x.format)))
    return _scaled(1.0 + (r + tail), n)


def exp2(x: Scalar) -> Scalar:
    """The power 2**x."""
    low, high = (-151.0, 128.5) if x.format.stored == 23 else (-1076.0, 1024.5)
    k, n = x.clamped(low, high).nearest_integer()
    remainder = x.clamped(low, high) - k
    first, second = _parts(tables.LOG_2, x.format)
    product = exact_product(remainder, x.same(first))
    tail = _exp_tail(product.high, remainder.times_plus(second, product.low))
    return _scaled(1.0 + (product.high + tail), n)


def _quarter(x: Scalar) -> Pair:
    """(exp(x) - 1) / 4: a quarter is still a number where exp(x) is none, but hyperbolic functions are."""
    n, r, tail = _reduced(x)
    power = ((n + (x.format.bias - 2)) << x.format.stored).as_scalar()
    total = ordered_sum(power - 0.25, power * r)
    return ordered_sum(total.high, power.times_plus(tail, total.low))


def expm1(x: Scalar) -> Scalar:
    """exp(x) - 1, without the loss near 0."""
    _, high = _exp_range(x.format)
    return _is_tiny(x).choose(x, 4.0 * _quarter(x.clamped(-50.0, high)).high)


def sinh(x: Scalar) -> Scalar:
    """(exp(x) - exp(-x)) / 2."""
    quarter = _quarter(_hyperbolic(x))
    half, low = 2.0 * quarter.high, 2.0 * quarter.low
    inverse = 1.0 / (2.0 * half + 1.0)
    other = (half < INFINITY).choose(half * inverse, 0.5)
    return _is_tiny(x).choose(x, (half + (other + low.times_plus(inverse * inverse, low))).signed_as(x))


def cosh(x: Scalar) -> Scalar:
    """(exp(x) + exp(-x)) / 2."""
    half = 2.0 * _quarter(_hyperbolic(x)).high
    return half + (0.5 + 0.5 / (2.0 * half + 1.0))


def _hyperbolic(x: Scalar) -> Scalar:
    """|x| as far as cosh is a number, and a little further."""
    return abs(x).clamped(0.0, 89.5 if x.format.stored == 23 else 710.6)


def tanh(x: Scalar) -> Scalar:
    """A polynomial up to a half, and 1 - 2 / (exp(2|x|) + 1) beyond, where its rounding is a half of the result's."""
    limit = 10.0 if x.format.stored == 23 else 20.0
    size = abs(x).at_most(limit)
    square = size * size
    near = (size * square).times_plus(square.polynomial(tables.TANH[x.format.name]), size)
    n, r, tail = _reduced(2.0 * size)
    power = ((n + x.format.bias) << x.format.stored).as_scalar()
    far = 1.0 - 2.0 / power.times_plus(1.0 + (r + tail), 1.0)
    return (size < 0.55).choose(near, far).signed_as(x)


def sigmoid(x: Scalar) -> Scalar:
    """1 / (1 + exp(-x)), also where exp(-x) is infinite."""
    power = exp(-abs(x))
    above = (x < 0.0).choose(power, 1.0)
    return _quotient(Pair(above, x.same(0.0)), ordered_sum(x.same(1.0), power))


def _quotient(x: Pair, y: Pair) -> Scalar:
    """The quotient x / y with one rounding, nearly: one division, and a step that corrects it."""
    inverse = 1.0 / y.high
    quotient = x.high * inverse
    back = exact_product(quotient, y.high)
    left = (x.high - back.high) - back.low + (x.low - quotient * y.low)
    return left.times_plus(inverse, quotient)


def softplus(x: Scalar) -> Scalar:
    """log(1 + exp(x)), also where exp(x) is infinite."""
    return (x > 0.0).choose(x, 0.0) + log1p(exp(-abs(x)))


# logarithms ------------------------------------------------------------------------------------------------


def _split(x: Scalar) -> tuple[Scalar, Scalar]:
    """Numbers k and m with x = 2**k m and m between √½ and √2; x is positive and finite."""
    stored, bias = x.format.stored, x.format.bias
    small = x < float(x.format.limits.smallest_normal)
    bits = small.choose(x * 2.0 ** (stored + 2), x).bits()
    root = x.same(math.sqrt(0.5)).bits()
    moved = bits + (x.same(1.0).bits() - root)
    m = ((moved & ((1 << stored) - 1)) + root).as_scalar()
    # An integer below 2**stored becomes a Scalar as the last bits of 2**stored.
    k = ((moved >> stored) | x.same(2.0**stored).bits()).as_scalar()
    return k - small.choose(2.0**stored + bias + stored + 2, 2.0**stored + bias), m


def _log_of(k: Scalar, m: Scalar, low: Scalar | float) -> Scalar:
    """log(2**k m) + low.

    With f = m - 1 and s = f / (2 + f), log(m) = 2s + s R(s²) is f - (h - s (h + R)), where h = f² / 2: the sum
    begins with f, which is exact.
    """
    first, second = _log_2(m.format)
    f = m - 1.0
    s = f / (2.0 + f)
    z, h = s * s, 0.5 * f * f
    tail = s * (h + z * z.polynomial(tables.LOG[m.format.name])) + k.times_plus(second, low)
    return k * first - ((h - tail) - f)


def log(x: Scalar) -> Scalar:
    """The natural logarithm."""
    k, m = _split(x)
    return _logarithmic(x, 0.0, _log_of(k, m, 0.0))


def log1p(x: Scalar) -> Scalar:
    """log(1 + x), without the loss near 0."""
    total = exact_sum(x.same(1.0), x)
    k, m = _split(total.high)
    return _is_tiny(x).choose(x, _logarithmic(x, -1.0, _log_of(k, m, total.low / total.high)))


def log2(x: Scalar) -> Scalar:
    """The logarithm with base 2."""
    return _log_with_base(x, tables.LOG_2)


def log10(x: Scalar) -> Scalar:
    """The logarithm with base 10."""
    return _log_with_base(x, tables.LOG_10)


def _log_with_base(x: Scalar, base: Fraction) -> Scalar:
    """log(x) / base."""
    if x.format.stored == 23:
        return _log_with_base(x.converted(DOUBLE), base).converted(x.format)
    logarithm = _log_pair(x)
    first, second = _parts(1 / base, x.format)
    product = exact_product(logarithm.high, x.same(first))
    rest = logarithm.high.times_plus(second, logarithm.low.times_plus(first, product.low))
    return _logarithmic(x, 0.0, product.high + rest)


def _logarithmic(x: Scalar, pole: float, value: Scalar) -> Scalar:
    """The value of a logarithm: -inf at the pole, NaN below it, inf at inf."""
    inside = x.equals(INFINITY).choose(x, value)
    return (x > pole).choose(inside, x.equals(pole).choose(-INFINITY, NAN))


# sine and cosine -------------------------------------------------------------------------------------------


def sin(x: Scalar) -> Scalar:
    """The sine of x in radians, of whatever size."""
    quadrant, sine, cosine = _in_quadrant(x)
    return _is_tiny(x).choose(x, _turned(quadrant, sine, cosine))


def cos(x: Scalar) -> Scalar:
    """The cosine of x in radians, of whatever size."""
    quadrant, sine, cosine = _in_quadrant(x)
    return _turned(quadrant + 1, sine, cosine)


def _turned(quadrant: Bits, sine: Scalar, cosine: Scalar) -> Scalar:
    """The sine, a number of quarters of a turn further."""
    value = (quadrant & 1).equals(0).choose(sine, cosine)
    return (value.bits() ^ ((quadrant & 2) << (value.format.width - 2))).as_scalar()


def _in_quadrant(x: Scalar) -> tuple[Bits, Scalar, Scalar]:
    """The number of quarters of a turn in x, and the sine and cosine of what is left."""
    quadrant, turn = _quarters(x)
    first, second = _parts(tables.pi(200) / 2, x.format)
    product = exact_product(turn.high, x.same(first))
    rest = turn.high.times_plus(second, turn.low.times_plus(first, product.low))
    r, low = ordered_sum(product.high, rest)
    z = r * r
    half = 0.5 * z
    sine = r + (r * z).times_plus(z.polynomial(tables.SIN[x.format.name]), low - half * low)
    top = 1.0 - half
    tail = (z * z).times_plus(z.polynomial(tables.COS[x.format.name]), -(r * low))
    return quadrant, sine, top + (((1.0 - top) - half) + tail)


def _quarters(x: Scalar) -> tuple[Bits, Pair]:
    """2/π · x as an integer (modulo 4) and a rest of at most about a half.

    A large x is an integer times a power of two, and 2/π times that power, modulo 4, is found in a table. As close
    as x comes to a multiple of π/2, the four products have more bits than cancel each other.
    """
    stored, bias = x.format.stored, x.format.bias
    exponent = abs(x).bits() >> stored
    row = (exponent - (bias + stored)).chosen(exponent.exceeds(bias + stored), 0)
    row = row.chosen(~exponent.exceeds(2 * bias), 0)  # infinity and NaN have no row
    scaled = x * ((row.same(bias) - row) << stored).as_scalar()
    first, second, third = (exact_product(scaled, _entry(row, column)) for column in range(3))
    turns = 1.5 * 2.0 ** (stored + 3)  # added to it, a number below 2**(stored + 3) keeps only multiples of 4
    top = exact_sum(first.high - ((first.high + turns) - turns), first.low)
    whole = exact_sum(top.high, second.high)
    k, n = whole.high.nearest_integer()
    below, further = exact_sum(top.low, whole.low), exact_sum(second.low, third.high)
    middle = exact_sum(below.high, further.high)
    rest = exact_sum(whole.high - k, middle.high)
    last = scaled.times_plus(_entry(row, 3), third.low)
    low = rest.low + (middle.low + (below.low + (further.low + last)))
    return n, ordered_sum(rest.high, low)


def _entry(row: Bits, column: int) -> Scalar:
    """A number of the table of 2/π, which is a constant of the module."""
    builder, form = row.builder, row.format
    name = f"two_over_pi_{form.name}_{column}"
    table = builder.module.globals.get(name)
    if table is None:
        numbers = tables.two_over_pi(form.stored == 23)[column]
        kind = ir.ArrayType(form.real, len(numbers))
        table = ir.GlobalVariable(builder.module, kind, name)
        table.linkage, table.global_constant = "internal", True
        table.initializer = ir.Constant(kind, list(numbers))
    zero = ir.Constant(form.integer, 0)
    place = builder.gep(table, [zero, row.value], inbounds=True)
    return Scalar(builder, builder.load(place), form)


# the error function ----------------------------------------------------------------------------------------


def erf(x: Scalar) -> Scalar:
    """The error function: a polynomial up to 1, and 1 - exp of one beyond."""
    size = abs(x).clamped(0.0, 6.0)  # erf(6) rounds to 1
    near = size * (size * size).polynomial(tables.ERF_NEAR[x.format.name])
    n, r, tail = _reduced(-(size - 1.0).polynomial(tables.ERF_FAR[x.format.name]))
    far = 1.0 - _scaled(1.0 + (r + tail), n)
    return (size < 1.0).choose(near, far).signed_as(x)


# powers ----------------------------------------------------------------------------------------------------


def _log_pair(x: Scalar) -> Pair:
    """log(x) with some 12 bits more than a double has; x is positive and finite.

    log(m) = s (2 + z (2/3 + z P(z))) with s = (m - 1) / (m + 1) and z = s², of which all but z P(z) is kept as
    sums of two.
    """
    first, second = _log_2(x.format)
    k, m = _split(x)
    divisor = exact_sum(m, m.same(1.0))
    f = m - 1.0
    s = f / divisor.high
    back = exact_product(s, divisor.high)
    s_low = (((f - back.high) - back.low) - s * divisor.low) / divisor.high
    z = exact_product(s, s)
    z_low = (2.0 * s).times_plus(s_low, z.low)
    inner = ordered_sum(m.same(2 / 3), z.high * z.high.polynomial(tables.LOG_TAIL[x.format.name]))
    inner_low = inner.low + float(Fraction(2, 3) - Fraction(2 / 3))
    t = exact_product(z.high, inner.high)
    t_low = z.high.times_plus(inner_low, z_low.times_plus(inner.high, t.low))
    u = exact_product(s, t.high)
    u_low = s.times_plus(t_low, s_low.times_plus(t.high, u.low))
    whole = ordered_sum(k * first, 2.0 * s)
    total = ordered_sum(whole.high, u.high)
    return ordered_sum(total.high, whole.low + (total.low + (u_low + (2.0 * s_low + k * second))))


def pow(x: Scalar, y: Scalar) -> Scalar:  # noqa: A001
    """The power x**y, with the special values of C's pow; that of floats is computed in doubles."""
    if x.format.stored == 23:
        return pow(x.converted(DOUBLE), y.converted(DOUBLE)).converted(x.format)
    size, exponent = abs(x), abs(y)
    logarithm = _log_pair(size)
    high = (size < INFINITY).choose(size.equals(0.0).choose(-INFINITY, logarithm.high), size)
    low, top = _exp_range(x.format)
    product = exact_product(y, high)
    finite = (product.high > low) & (top > product.high)
    rest = finite.choose(y.times_plus(logarithm.low, product.low), 0.0)
    n, r, tail = _reduced(product.high.clamped(low, top), rest)
    result = _scaled(1.0 + (r + tail), n)
    # Added to 2**stored, an integer below it has its last bit in the last place; from there on all are integers,
    # and from twice that on they are even.
    large = 2.0**x.format.stored
    shifted = exponent + large
    whole = (exponent >= large) | (shifted - large).equals(exponent)
    last = shifted.bits().chosen(exponent < large, exponent.bits()) & 1
    odd = whole & ~last.equals(0) & (exponent < 2.0 * large)
    signed = (result.bits() | x.sign().chosen(odd, 0)).as_scalar()
    refused = (x < 0.0) & (x > -INFINITY) & ~whole & ~y.is_nan()
    one = x.equals(1.0) | y.equals(0.0) | (x.equals(-1.0) & exponent.equals(INFINITY))
    return one.choose(1.0, refused.choose(NAN, signed))
