"""LaTeX of formulas: how they are put together, with brackets only where they are needed."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

COMPARE, SUM, NEGATIVE, BIG, HADAMARD, PRODUCT, FRACTION, POWER, WHOLE = range(9)
"""How tightly a formula holds together; BIG is a sum sign and what follows it."""


class Formula(NamedTuple):
    """LaTeX, and how tightly it holds together."""

    text: str
    holds: int = WHOLE

    def within(self, holds: int) -> str:
        """The formula as a part of one that holds so tightly."""
        if self.holds == COMPARE and holds > COMPARE:
            return rf"\left[{self.text}\right]"  # Iverson's bracket: 1 where it is true
        return self.text if self.holds >= holds else bracketed(self.text)

    @property
    def positive(self) -> Formula:
        """What stands behind the minus sign of a negative formula."""
        return Formula(self.text.removeprefix("-").lstrip(), PRODUCT)

    def negated(self) -> Formula:
        """The formula with a minus sign."""
        return self.positive if self.holds == NEGATIVE else Formula(f"-{self.within(BIG)}", NEGATIVE)


def bracketed(text: str) -> str:
    """A formula in brackets of its height."""
    tall = re.search(r"\\(frac|sum|prod|sqrt|begin|left)\b", text)
    return rf"\left({text}\right)" if tall else f"({text})"


def product(left: Formula, right: Formula, sign: str = "") -> Formula:
    """Two factors, the minus signs in front."""
    if NEGATIVE in (left.holds, right.holds):
        signs = [f.holds == NEGATIVE for f in (left, right)]
        parts = [f.positive if negative else f for f, negative in zip((left, right), signs, strict=True)]
        positive = product(parts[0], parts[1], sign)
        return positive if all(signs) else positive.negated()
    if left.text == "1" or right.text == "1":
        return right if left.text == "1" else left
    lowest = HADAMARD if sign else PRODUCT
    # 2 (A ⊙ B) is (2 A) ⊙ B.
    ending = min(right.holds, lowest) if right.holds in (BIG, HADAMARD) else lowest
    first = left.within(lowest)
    second = right.within(min(ending, lowest))
    return Formula(f"{first}{sign or _between(first, second)}{second}", ending)


def _between(left: str, right: str) -> str:
    """What keeps two factors apart: numbers by a dot, words by a space."""
    if right[:1].isdigit():
        return r" \cdot "
    return r" \, " if r"\mathrm" in left or right.startswith((r"\mathrm", r"\operatorname")) else " "


def quotient(top: Formula, bottom: Formula) -> Formula:
    """A fraction, the minus sign in front; 1 over a number is a factor in front of all that is no symbol."""
    if top.holds == NEGATIVE:
        return quotient(top.positive, bottom).negated()
    number = bottom.text.isdigit() and top.holds in (BIG, HADAMARD, PRODUCT, SUM)
    if number or (top.holds == FRACTION and not top.text.isdigit()):
        return product(Formula(rf"\frac{{1}}{{{bottom.text}}}", FRACTION), top)
    return Formula(rf"\frac{{{top.text}}}{{{bottom.text}}}", FRACTION)


def power(base: Formula, exponent: str, elementwise: bool) -> Formula:
    """A power; of an array, that of each element."""
    above = rf"\odot {exponent}" if elementwise else exponent
    return Formula(f"{base.within(WHOLE)}^{above if len(above) == 1 else f'{{{above}}}'}", POWER)


# numbers and words -----------------------------------------------------------------------------------------


def number(value: Any) -> Formula:
    r"""A number: an integer, a fraction, a decimal fraction, or one with a power of ten.

    >>> number(Fraction(2, 3)).text, number(1e-05).text, number(-0.5).text
    ('\\frac{2}{3}', '10^{-5}', '-0.5')
    """
    if isinstance(value, bool):
        return Formula(rf"\mathrm{{{value}}}")
    if value < 0 or math.copysign(1, value) < 0:
        return number(-value).negated()
    if isinstance(value, Fraction):
        return Formula(rf"\frac{{{value.numerator}}}{{{value.denominator}}}", FRACTION)
    if not math.isfinite(value):
        return Formula(r"\mathrm{NaN}" if math.isnan(value) else r"\infty")
    text = str(int(value)) if float(value).is_integer() and value < 1e6 else repr(value)
    digits, _, exponent = text.partition("e")
    if not exponent:
        return Formula(text)
    ten = f"10^{{{int(exponent)}}}"
    return Formula(ten, POWER) if digits == "1" else Formula(rf"{digits} \cdot {ten}", PRODUCT)


def array_formula(array: np.ndarray) -> Formula:
    r"""A small constant array: a unit matrix, a column, a matrix.

    >>> array_formula(np.eye(3)).text, array_formula(np.arange(3)).text
    ('I_{3}', '(0, 1, 2)^{\\top}')
    """
    if array.ndim == 2 and array.shape[0] == array.shape[1] and (array == np.eye(len(array))).all():
        return Formula(f"I_{{{len(array)}}}")
    if array.ndim == 0:
        return number(array.item())
    if array.ndim == 1:
        shown = [number(v).text for v in array.tolist()]
        if len(shown) > 6:
            shown = [*shown[:3], r"\ldots", shown[-1]]
        return Formula(rf"({', '.join(shown)})^{{\top}}", POWER)
    if array.ndim == 2:
        lines = r" \\ ".join(" & ".join(number(v).text for v in row) for row in array.tolist())
        return Formula(rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}")
    sizes = r" \times ".join(map(str, array.shape))
    return Formula(rf"\mathrm{{array}}_{{{sizes}}}")


def escaped(text: str) -> str:
    """A word in a formula."""
    return re.sub(r"([_#$%&{}])", r"\\\1", text)
