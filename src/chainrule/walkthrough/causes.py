"""Why an operation gives NaN or Inf, or lets nothing through: in a sentence, with the operand and its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.ir import Equation, Literal, Variable
from chainrule.rules.reduce import axes_of
from chainrule.walkthrough.account import Account
from chainrule.walkthrough.numbers import number


class Operand(NamedTuple):
    """An input of an equation: how it is written, and its values, broadcast to the result's shape."""

    text: str
    values: Any


LARGE = 1e10
"""Smaller numbers do not overflow when they are added up or multiplied with each other, but for other reasons."""

Cause = Callable[[Equation, Any, list[Operand]], str]
"""From an equation, where its result is wrong, and its operands to a sentence; empty where it does not apply."""


def places(wrong: Any) -> str:
    """Where a mask is true: ` at [3, 1]`, and of how many places.

    >>> places(np.array([[False, True], [True, False]])), places(np.array(True))
    (' at [0, 1] (2 of 4 places)', '')
    """
    wrong = np.asarray(wrong)
    if not wrong.ndim or not wrong.any():
        return ""
    first = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
    count = int(wrong.sum())
    return f" at [{first}]" + (f" ({count} of {wrong.size} places)" if count > 1 else "")


def cause_of(equation: Equation, output: Variable, account: Account) -> str:
    """Why the result of an equation is not finite."""
    out = np.asarray(account.values[output])
    wrong = ~np.isfinite(out)
    operands = [_operand(a, account, out.shape) for a in equation.inputs]
    causes = (*_CAUSES.get(equation.name, ()), _overflow) if equation.primitive.elementwise else (_too_large,)
    for cause in causes:
        found = cause(equation, wrong, operands)
        if found:
            return found
    shown = ", ".join(o.text for o in operands)
    kind = "NaN" if np.isnan(out).any() else "Inf"
    return f"{equation.name} of {shown} gives {kind}{places(wrong)}"


def _operand(atom: Any, account: Account, shape: tuple[int, ...]) -> Operand:
    if isinstance(atom, Literal):
        return Operand(number(np.asarray(atom.value).flat[0]), np.broadcast_to(atom.value, shape))
    value = np.asarray(account.values[atom])
    with suppress(ValueError):  # of another shape: a reduction, or a product of matrices
        value = np.broadcast_to(value, shape)
    return Operand(account.texts[atom].text, value)


# NaN and Inf -----------------------------------------------------------------------------------------------


def _at(operand: Operand, where: Any) -> str:
    """`A2 is 0 at [3, 1]`: the operand's value where a mask is first true."""
    value = number(operand.values[tuple(np.argwhere(where)[0])])
    return "" if operand.text == value else f": {operand.text} is {value}{places(where)}"


def _logarithm(equation: Equation, wrong: Any, operands: list[Operand]) -> str:
    (x,) = operands
    edge = -1 if equation.name == "log1p" else 0
    for where, what in ((wrong & (x.values == edge), number(edge)), (wrong & (x.values < edge), "")):
        if where.any():
            below = what or ("a number below -1" if edge else "a negative number")
            return f"{equation.name} of {below}{_at(x, where)}"
    return ""


def _division(_: Equation, wrong: Any, operands: list[Operand]) -> str:
    x, y = operands
    for where, what in (
        (wrong & (y.values == 0) & (x.values == 0), "0 / 0"),
        (wrong & (y.values == 0), "division by 0"),
        (wrong & np.isinf(x.values) & np.isinf(y.values), "inf / inf"),
    ):
        if where.any():
            return what + _at(y, where)
    return ""


def _reciprocal(_: Equation, wrong: Any, operands: list[Operand]) -> str:
    (x,) = operands
    where = wrong & (x.values == 0)
    return "division by 0" + _at(x, where) if where.any() else ""


def _difference(equation: Equation, wrong: Any, operands: list[Operand]) -> str:
    x, y = operands
    where = wrong & np.isinf(x.values) & np.isinf(y.values)
    return f"{'inf - inf'}{_at(x, where)}" if where.any() else ""


def _product(_: Equation, wrong: Any, operands: list[Operand]) -> str:
    for zero, infinite in (operands, operands[::-1]):
        where = wrong & (zero.values == 0) & np.isinf(infinite.values)
        if where.any():
            return f"0 * inf{_at(infinite, where)}, and {zero.text} is 0 there"
    return ""


def _power(_: Equation, wrong: Any, operands: list[Operand]) -> str:
    x, y = operands
    for where, what in (
        (wrong & (x.values == 0) & (y.values < 0), "0 to a negative power"),
        (
            wrong & (x.values < 0) & (y.values != np.round(y.values)),
            "a negative number to a fractional power",
        ),
    ):
        if where.any():
            return what + _at(x, where)
    return ""


def _domain(equation: Equation, wrong: Any, operands: list[Operand]) -> str:
    (x,) = operands
    where = wrong & np.isfinite(x.values)
    if not where.any():
        return ""
    what = "a negative number" if equation.name == "sqrt" else "a number outside of its domain"
    return f"{equation.name} of {what}{_at(x, where)}"


def _overflow(equation: Equation, wrong: Any, operands: list[Operand]) -> str:
    """Finite operands whose result is too large."""
    finite = wrong & np.logical_and.reduce([np.isfinite(o.values) for o in operands])
    if not finite.any() or not operands:
        return ""
    at = tuple(np.argwhere(finite)[0])
    shown = [number(o.values[at]) for o in operands]
    sign = {"multiply": " * ", "add": " + ", "subtract": " - ", "divide": " / ", "pow": " ** "}.get(
        equation.name
    )
    call = sign.join(shown) if sign else f"{equation.name}({', '.join(shown)})"
    named = [_at(o, finite) for o in operands]
    return f"{call} overflows{next((n for n in named if n), '')}"


def _too_large(equation: Equation, wrong: Any, operands: list[Operand]) -> str:
    """A sum or product over elements that is too large."""
    if not operands or not all(np.isfinite(o.values).all() for o in operands):
        return ""
    largest = max(operands, key=lambda o: float(np.max(np.abs(o.values), initial=0)))
    size = np.max(np.abs(largest.values), initial=0)
    if size < LARGE:
        return ""
    return f"{equation.name} overflows{places(wrong)}: {largest.text} has numbers as large as {number(size)}"


_CAUSES: dict[str, tuple[Cause, ...]] = {
    "divide": (_division,), "reciprocal": (_reciprocal,), "subtract": (_difference,), "add": (_difference,),
    "multiply": (_product,), "pow": (_power,),
} | dict.fromkeys(("log", "log2", "log10", "log1p"), (_logarithm,)) \
  | dict.fromkeys(("sqrt", "asin", "acos", "acosh", "atanh", "erfinv"), (_domain,))  # fmt: skip


# nothing comes through -------------------------------------------------------------------------------------

SATURATED = 1e-6
"""So near to its limit, a function is flat."""

_LIMITS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "erf": (-1.0, 1.0), "softmax": (0.0, 1.0)}
_SLOPES = {
    "sigmoid": "{out} * (1 - {out})", "tanh": "1 - {out} ** 2", "softmax": "{out} * (1 - {out})", "erf": "its slope",
}  # fmt: skip


def flatness(equation: Equation, account: Account) -> str:
    """What is to be said of a function through which nothing comes back; empty where it may be right so."""
    if equation.name == "relu" and account.unknown.isdisjoint(equation.used()):
        (x,) = (_operand(a, account, equation.output.shape) for a in equation.inputs)
        kind = "negative" if (x.values < 0).all() else "negative or 0"
        return f"dead ReLU: all of {x.text} is {kind}"
    if equation.name not in _LIMITS or equation.output in account.unknown:
        return "dead ReLU: all that it was given is negative or 0" if equation.name == "relu" else ""
    out = np.asarray(account.values[equation.output])
    name, limits = account.texts[equation.output].text, _LIMITS[equation.name]
    distances = np.minimum(*(np.abs(out - limit) for limit in limits))
    near = distances <= SATURATED
    if equation.name == "softmax":
        if math.prod(out.shape[i] for i in axes_of(equation.parameters["axis"], out.ndim)) == 1:
            return f"the softmax along an axis of length 1 is always 1, so {name} does not change"
        if not near.all():
            return ""  # what it is given is the same along the axis, and the softmax does not see that
    reached = [number(limit) for limit in limits if (np.abs(out - limit) <= SATURATED).any()]
    widest = float(np.max(distances[near], initial=0))
    how = f"within {widest:.1g} of" if widest else "exactly"
    return (
        f"saturated {equation.name}: {name} is {how} {' or '.join(reached)} in {int(near.sum())} of {out.size} "
        f"places, so {_SLOPES[equation.name].format(out=name)} is {'nearly ' if widest else ''}0"
    )
