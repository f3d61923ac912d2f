"""The numbers in a product, gathered in one factor: 2 * (g / 300) * a is g * a / 150."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.graph.ir import Atom, Equation, Literal, Variable, literal
from chainrule.graph.rewriting import Builder, New, Rule
from chainrule.rules import elementwise as e
from chainrule.rules.reduce import sum as sum_

LARGEST = 10**6
"""Up to here, integers in a factor are kept exact."""


def exact(number: Any) -> Fraction | None:
    """A number as a ratio of small integers, if it is one."""
    if isinstance(number, (int, Fraction)) and not isinstance(number, bool):
        return Fraction(number)
    if isinstance(number, float) and abs(number) <= LARGEST and (64 * number).is_integer():
        return Fraction(number) if number or math.copysign(1, number) == 1 else None  # -0.0 is no Fraction
    return None


def split(b: Builder, atom: Atom) -> tuple[Any, Atom | None]:
    """A value as a number times a rest; None for the rest of a number alone."""
    if isinstance(atom, Literal):
        known = exact(atom.number)
        return (atom.number if known is None else known), None
    inner = b.rewritable(atom, "multiply", "divide", "negative")
    if inner is None or b.uses[atom] > 1:  # it has a line of its own
        return Fraction(1), atom
    if inner.name == "negative":
        return Fraction(-1), inner.inputs[0]
    x, y = inner.inputs
    if isinstance(y, Literal) and isinstance(x, Variable):
        factor = split(b, y)[0]
        return (_ratio(1, factor) if inner.name == "divide" else factor), x
    if isinstance(x, Literal) and isinstance(y, Variable) and inner.name == "multiply":
        return split(b, x)[0], y
    return Fraction(1), atom


def _ratio(x: Any, y: Any) -> Any:
    if isinstance(x, (int, Fraction)) and isinstance(y, (int, Fraction)):
        return Fraction(x) / y if y else math.inf
    return float(x) / float(y) if y else math.inf


def _gathered(b: Builder, equation: Equation) -> Atom | New | None:
    """The numbers of a product in one factor: 2 * (g / 300) * a is a * g / 150."""
    out, (x, y) = equation.output, equation.inputs
    if out.dtype.kind != "f" or any(isinstance(a, Literal) and isinstance(a.number, bool) for a in (x, y)):
        return None
    (c, rest_x), (d, rest_y) = split(b, x), split(b, y)
    if rest_x is None and (rest_y is None or equation.name == "divide"):
        return None
    factor = _ratio(c, d) if equation.name == "divide" else _number(c * d)
    if (rest_x is x and rest_y is y) or not _fits(factor, out.dtype):
        return None
    if rest_x is None or rest_y is None:
        rest = rest_x if rest_y is None else rest_y
    else:
        rest = b.make(equation.primitive, rest_x, rest_y, like=out)
    if rest is None or rest.shape != out.shape or rest.value.dtype != out.dtype:
        return None
    return _scaled(b, rest, factor, equation)


def _fits(factor: Any, dtype: Any) -> bool:
    """Whether a factor is one that the type of the elements can hold: 1e-200 * 1e-200 is none."""
    limits = np.finfo(dtype)
    return bool(limits.tiny <= abs(factor) <= limits.max)


def _number(factor: Any) -> Any:
    """An exact factor as long as its integers are small."""
    small = isinstance(factor, Fraction) and max(abs(factor.numerator), factor.denominator) <= LARGEST
    return factor if small or not isinstance(factor, Fraction) else float(factor)


def _scaled(b: Builder, rest: Atom, factor: Any, equation: Equation) -> Atom | New | None:
    """`factor * rest`, as it is written: over an integer, or times a number."""
    if factor == 1:
        return rest
    if factor == -1:
        return New(e.negative, (rest,), {})
    if isinstance(factor, Fraction) and factor.denominator != 1:
        top, bottom = factor.numerator, factor.denominator
        if bottom == 2 and 1 < abs(top) <= 9:  # 1.5 * x
            return New(e.multiply, (Literal(float(factor)), rest), {})
        if top < 0:
            return New(e.negative, (_over(b, rest, -factor, equation.output),), {})
        if top != 1:
            rest = b.make(e.multiply, Literal(top), rest, like=equation.output)
        found = New(e.divide, (rest, Literal(bottom)), {})
    else:
        found = New(e.multiply, (literal(factor), rest), {})
    same = found.primitive is equation.primitive and all(
        a is c or (isinstance(a, Literal) and isinstance(c, Literal) and a.key == c.key)
        for a, c in zip(found.inputs, equation.inputs, strict=True)
    )
    return None if same else found


def _over(b: Builder, rest: Atom, factor: Fraction, like: Variable) -> Atom:
    top = rest if factor.numerator == 1 else b.make(e.multiply, Literal(factor.numerator), rest, like=like)
    return b.make(e.divide, top, Literal(factor.denominator), like=like)


def _twice(b: Builder, equation: Equation) -> New | None:
    """One factor for what is added to itself: x + x is 2 * x; a * x + b * x is (a + b) * x."""
    out, (x, y) = equation.output, equation.inputs
    before = b.rewritable(x, "add")
    if before is not None and b.uses[x] == 1 and y in before.inputs and y.shape == out.shape == x.shape:
        first, second = before.inputs
        twice = b.make(e.multiply, Literal(2), y, like=out)
        return New(e.add, (first if second is y else second, twice), {})
    (c, rest), (d, other) = split(b, x), split(b, y)
    if x is y:
        c, rest, d, other = Fraction(1), x, Fraction(1), x
    exact_sum = isinstance(c, Fraction) and isinstance(d, Fraction) and c + d != 0
    if rest is None or rest is not other or not exact_sum or out.dtype.kind != "f":
        return None
    if (rest.shape, rest.value.dtype) != (out.shape, out.dtype):
        return None
    found = _scaled(b, rest, _number(c + d), equation)
    return found if isinstance(found, New) else None


def _common_factor(b: Builder, equation: Equation) -> Atom | New | None:
    """One factor for a sum: a / n + b / n is (a + b) / n."""
    out, (x, y) = equation.output, equation.inputs
    (c, rest_x), (d, rest_y) = split(b, x), split(b, y)
    if rest_x is None or rest_y is None or abs(c) != abs(d) or abs(c) == 1 or rest_x is x or rest_y is y:
        return None
    if (
        rest_x.shape != out.shape
        or rest_y.shape != out.shape
        or out.dtype.kind != "f"
        or not _fits(c, out.dtype)
    ):
        return None
    plus = (c == d) == (equation.name == "add")
    total = b.make(e.add if plus else e.subtract, rest_x, rest_y, like=out)
    found = _scaled(b, total, c, equation)
    return found if isinstance(found, New) else None


def _sum_of_scaled(b: Builder, equation: Equation) -> New | None:
    """The number of a scaled array is taken out of its sum."""
    (x,), out = equation.inputs, equation.output
    if isinstance(x, Variable) and x.of is not None:  # d_Z is one step of the derivation, its sum another
        return None
    factor, rest = split(b, x)
    if rest is None or rest is x or rest.shape != x.shape or rest.value.dtype != out.dtype:
        return None
    if out.dtype.kind != "f" or not _fits(factor, out.dtype):
        return None
    total = b.make(sum_, rest, like=out, **equation.parameters)
    found = _scaled(b, total, factor, equation)
    return found if isinstance(found, New) else None


FACTORS: dict[str, tuple[Rule, ...]] = {
    "multiply": (_gathered,), "divide": (_gathered,), "add": (_twice, _common_factor), "subtract": (_common_factor,),
    "sum": (_sum_of_scaled,),
}  # fmt: skip
