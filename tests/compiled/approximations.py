"""How the tables of `chainrule.graph.emit.llvm_functions.tables` are made: polynomials of least largest error.

    python tests/compiled/approximations.py

prints them. Each is fitted with mpmath in 60 digits by Lawson's method: least squares on Chebyshev nodes, the
weight of each node multiplied by its error again and again, until the error is level. An error of the polynomial
is worth `weight(x)` times as much in the function that it is a part of, relative to that function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp

mp.mp.dps = 60

HALF_LOG_2 = mp.log(2) / 2 * mp.mpf("1.0001")
"""The largest remainder of exp's argument, with room for its rounding."""
FRACTION = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mp.mpf("1.0001")
"""The largest (m - 1) / (m + 1) for a significand m between √½ and √2."""
EIGHTH = mp.pi / 4 * mp.mpf("1.0001")
"""The largest remainder of the argument of sine and cosine."""
NEAR = mp.mpf(1)
"""Where the error function changes from one formula to the other."""
HALF = mp.mpf("0.55")
"""Where tanh does: beyond, it is more than a half."""


class Fit(NamedTuple):
    """A table: what is approximated, what its error is worth, where, and by how many coefficients."""

    f: Callable[[Any], Any]
    weight: Callable[[Any], Any]
    interval: tuple[Any, Any]
    double: int
    single: int


def exponential(r: Any) -> Any:
    """(exp(r) - 1 - r) / r²."""
    return sum(r**k / mp.factorial(k + 2) for k in range(60))


def logarithm(z: Any) -> Any:
    """(log(m) / s - 2) / z with s = (m - 1) / (m + 1) and z = s²; log(m) is 2 atanh(s)."""
    return 2 * sum(z**k / (2 * k + 3) for k in range(60))


def logarithm_tail(z: Any) -> Any:
    """The same, less its first term 2/3, divided by z."""
    return 2 * sum(z**k / (2 * k + 5) for k in range(60))


def sine(z: Any) -> Any:
    """(sin(r) / r - 1) / z with z = r²."""
    return sum((-1) ** (k + 1) * z**k / mp.factorial(2 * k + 3) for k in range(40))


def cosine(z: Any) -> Any:
    """(cos(r) - 1 + z / 2) / z² with z = r²."""
    return sum((-1) ** k * z**k / mp.factorial(2 * k + 4) for k in range(40))


def error_near(z: Any) -> Any:
    """erf(x) / x with z = x²."""
    return 2 / mp.sqrt(mp.pi) * sum((-1) ** k * z**k / mp.factorial(k) / (2 * k + 1) for k in range(80))


def error_far(t: Any) -> Any:
    """-log(1 - erf(x)) with t = x - 1."""
    return -mp.log(mp.erfc(t + 1))


def tangent(z: Any) -> Any:
    """(tanh(x) / x - 1) / z with z = x²."""
    return (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


FITS = {
    "EXP": Fit(exponential, lambda r: r**2 / mp.exp(r), (-HALF_LOG_2, HALF_LOG_2), 10, 5),
    "LOG": Fit(logarithm, lambda z: z / 2, (0, FRACTION**2), 7, 3),
    "LOG_TAIL": Fit(logarithm_tail, lambda z: z**2 / 2, (0, FRACTION**2), 7, 0),
    "SIN": Fit(sine, lambda z: z, (0, EIGHTH**2), 6, 3),
    "COS": Fit(cosine, lambda z: z**2, (0, EIGHTH**2), 6, 3),
    "TANH": Fit(tangent, lambda z: z * mp.sqrt(z) / mp.tanh(mp.sqrt(z)), (0, HALF**2), 11, 5),
    "ERF_NEAR": Fit(error_near, lambda z: 1, (0, NEAR), 12, 7),
    "ERF_FAR": Fit(error_far, lambda t: mp.erfc(t + 1) / mp.erf(t + 1), (0, 5), 18, 7),
}


def polynomial(coefficients: list[Any], x: Any) -> Any:
    """The value of a polynomial, lowest power first, by Horner's rule."""
    value = mp.mpf(0)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def fitted(fit: Fit, count: int, steps: int = 40) -> tuple[list[Any], Any]:
    """The coefficients, lowest power first, and the largest weighted error."""
    low, high = fit.interval
    points = 4 * count + 8
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (k + 0.5) / points) for k in range(points)]
    values, worth = [fit.f(x) for x in nodes], [fit.weight(x) for x in nodes]
    shares = [mp.mpf(1) / points] * points
    best: tuple[Any, list[Any]] = (mp.inf, [])
    for _ in range(steps):
        scales = [w * mp.sqrt(s) for w, s in zip(worth, shares, strict=True)]
        rows = mp.matrix([[c * x**k for k in range(count)] for x, c in zip(nodes, scales, strict=True)])
        wanted = mp.matrix([c * v for v, c in zip(values, scales, strict=True)])
        found = list(mp.lu_solve(rows.T * rows, rows.T * wanted))
        errors = [abs((polynomial(found, x) - v) * w) for x, v, w in zip(nodes, values, worth, strict=True)]
        best = min(best, (max(errors), found), key=lambda pair: pair[0])
        total = sum(s * e for s, e in zip(shares, errors, strict=True))
        shares = [s * e / total for s, e in zip(shares, errors, strict=True)]
    return best[1], best[0]


def main() -> None:
    for name, fit in FITS.items():
        for kind, count in (("double", fit.double), ("float", fit.single)):
            if count:
                table, error = fitted(fit, count)
                print(f"# {name} {kind}: error {mp.nstr(error, 2)}")
                print(f"{name}_{kind} = ({', '.join(repr(float(c)) for c in table)})")


if __name__ == "__main__":
    main()
