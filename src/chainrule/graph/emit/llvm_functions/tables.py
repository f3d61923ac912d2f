"""The constants of `llvm_functions`: coefficients of polynomials, log(2), log(10) and 2/π in parts.

The coefficients are of least largest error; `tests/compiled/approximations.py` makes them, and a test holds these
to it. The errors stated are relative to the function that the polynomial is a part of, in exact arithmetic.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from functools import cache
from typing import TypeAlias

import numpy as np

Table: TypeAlias = dict[str, tuple[float, ...]]
"""Coefficients, lowest power first, for each format."""

# fmt: off
# (exp(r) - 1 - r) / r² in r, |r| <= log(2) / 2; error 3.5e-18 in double and 3.0e-9 in float.
EXP: Table = {
    "double": (
        0.5000000000000011, 0.16666666666666438, 0.04166666666653035, 0.008333333333478648,
        0.0013888888943583673, 0.00019841269540324307, 2.480149315689519e-05, 2.7557556973045525e-06,
        2.763022311293711e-07, 2.5009099009135476e-08,
    ),
    "float": (
        0.499999936309855, 0.16666521470482712, 0.04166833225662192, 0.008368617289634887,
        0.0013817785798225573,
    ),
}
# (log(m) / s - 2) / s² in s², where s = (m - 1) / (m + 1), √½ <= m <= √2; error 1.2e-18 in double and 8.0e-10 in float.
LOG: Table = {
    "double": (
        0.6666666666666735, 0.3999999999941132, 0.2857142874299746, 0.2222219851809799,
        0.18183566967686882, 0.15313986340179828, 0.14796571801487077,
    ),
    "float": (
        0.6666677536387078, 0.39977656602769435, 0.2986890430771814,
    ),
}
# The same less 2/3, divided by s²; error 1.1e-20 in double.
LOG_TAIL: Table = {
    "double": (
        0.40000000000002245, 0.285714285701033, 0.22222222519287302, 0.18181784425614517,
        0.15386754431962343, 0.1325689010647056, 0.13195616900861276,
    ),
}
# (sin(r) / r - 1) / r² in r², |r| <= π / 4; error 3.4e-18 in double and 3.5e-9 in float.
SIN: Table = {
    "double": (
        -0.16666666666666632, 0.008333333333322318, -0.00019841269829746434, 2.755731367446195e-06,
        -2.505075581742663e-08, 1.589668149984769e-10,
    ),
    "float": (
        -0.16666655032643715, 0.008332183070150202, -0.00019517883482069202,
    ),
}
# (cos(r) - 1 + r² / 2) / r⁴ in r², |r| <= π / 4; error 4.6e-20 in double and 9.4e-11 in float.
COS: Table = {
    "double": (
        0.0416666666666666, -0.0013888888888874166, 2.4801587289506962e-05, -2.7557314359698834e-07,
        2.087572433455155e-09, -1.1359706204789424e-11,
    ),
    "float": (
        0.041666646974276536, -0.0013887372378313494, 2.443898612157977e-05,
    ),
}
# (tanh(x) / x - 1) / x² in x², |x| <= 0.55; error 5.7e-19 in double and 1.0e-9 in float.
TANH: Table = {
    "double": (
        -0.333333333333333, 0.13333333333326655, -0.05396825396377951, 0.021869488386347953,
        -0.008863232608835377, 0.003592092099589805, -0.0014555432615954785, 0.0005884460958467403,
        -0.0002333854427867996, 8.332173731965567e-05, -1.9497810040790873e-05,
    ),
    "float": (
        -0.3333331744293318, 0.1333258165275699, -0.05385184328456961, 0.02106987237178114,
        -0.00627189459478977,
    ),
}
# erf(x) / x in x², |x| <= 1; error 7.0e-18 in double and 1.2e-9 in float.
ERF_NEAR: Table = {
    "double": (
        1.1283791670955126, -0.3761263890318355, 0.11283791670945248, -0.026866170643275705,
        0.005223977607419922, -0.000854832598954447, 0.00012055295316390686, -1.4924744592046682e-05,
        1.644751687935376e-06, -1.6209170340140074e-07, 1.3722954234359701e-08, -7.801151158203784e-10,
    ),
    "float": (
        1.1283791658865712, -0.3761262698839956, 0.11283598812294508, -0.02685439775730715,
        0.0051894624744704375, -0.0008020322156397833, 7.887753136268138e-05,
    ),
}
# -log(1 - erf(x)) in x - 1, 1 <= x <= 6; error 6.6e-18 in double and 1.0e-9 in float.
ERF_FAR: Table = {
    "double": (
        1.8496055099332482, 2.638967514234777, 0.843107256359353, 0.041561098026245205,
        -0.010033825190576221, 0.0019779012819379875, -0.00023731667987917436, -2.629571046764398e-05,
        2.7197881898806742e-05, -9.66998724902885e-06, 2.1306475862079563e-06, -2.0393051472693504e-07,
        -5.845102940815964e-08, 3.3549172426052265e-08, -8.558512610470772e-09, 1.3257362662731344e-09,
        -1.1998439001332924e-10, 4.8944004686987006e-12,
    ),
    "float": (
        1.8496055170635544, 2.638966816108697, 0.84311818778764, 0.04150151955238344,
        -0.009892386602625662, 0.0018271704289593439, -0.00018579136424897,
    ),
}
# fmt: on

LOG_2, LOG_10 = (Fraction(Decimal(n).ln(Context(prec=60))) for n in (2, 10))


def rounded(number: Fraction, single: bool) -> float:
    """The nearest double, or the float nearest to that."""
    return float(np.float32(float(number))) if single else float(number)


def parts(number: Fraction, single: bool, bits: int | None = None) -> tuple[float, float]:
    """A number as a sum of two: the first one rounded, or with so many bits behind the point."""
    first = rounded(number, single) if bits is None else round(number * 2**bits) / 2**bits
    return first, rounded(number - Fraction(first), single)


@cache
def two_over_pi(single: bool) -> tuple[tuple[float, ...], ...]:
    """2**i · 2/π modulo 4, for every power of two that is a factor of a large number, in four columns."""
    largest, stored = (127, 23) if single else (1023, 52)
    # Integers that count in 2**-bits: a Fraction would be reduced again and again.
    bits = largest + 200
    row = (2 << 2 * bits) // round(pi(bits) * 2**bits)
    rows = [(row << i) % (4 << bits) for i in range(largest - stored + 1)]
    columns = []
    for _ in range(4):
        column = tuple(rounded(Fraction(row, 1 << bits), single) for row in rows)
        columns.append(column)
        rows = [row - int(Fraction(part) * (1 << bits)) for row, part in zip(rows, column, strict=True)]
    return tuple(columns)


@cache
def pi(bits: int) -> Fraction:
    """π = 16 atan(1/5) - 4 atan(1/239), to so many bits."""

    def inverse_tangent(n: int) -> int:
        power = (1 << bits + 32) // n
        total, k = power, 1
        while power:
            power //= n * n
            k += 2
            total += power // k if k % 4 == 1 else -(power // k)
        return total

    return Fraction(16 * inverse_tangent(5) - 4 * inverse_tangent(239), 1 << bits + 32)
