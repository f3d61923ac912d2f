"""Numbers in LLVM under Python's operators: a formula written with them becomes straight-line code.

A `Scalar` is a float or a double, `Bits` an integer of the same width, a `Condition` a truth value. Nothing here
carries a fast-math flag: each operation rounds as IEEE 754 says, and the functions rely on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir


class Format(NamedTuple):
    """A floating-point format: the types, the stored bits of a significand, and the exponent of 1."""

    name: str
    real: Any
    integer: Any
    stored: int
    bias: int

    @property
    def width(self) -> int:
        """All bits of a number."""
        return int(self.integer.width)

    @property
    def limits(self) -> np.finfo[Any]:
        """The smallest and largest numbers."""
        return np.finfo(np.float32 if self.stored == 23 else np.float64)


SINGLE = Format("float", ir.FloatType(), ir.IntType(32), 23, 127)
DOUBLE = Format("double", ir.DoubleType(), ir.IntType(64), 52, 1023)


@cache
def has_fma() -> bool:
    """Whether this machine multiplies and adds with one rounding; elsewhere `llvm.fma` would be a call."""
    if llvm.get_process_triple().startswith(("aarch64", "arm64")):
        return True
    return bool(llvm.get_host_cpu_features().get("fma", False))


_Value = TypeVar("_Value", bound="_Typed")


class _Typed:
    """A value and the place where the next instruction goes."""

    __slots__ = ("builder", "format", "value")

    def __init__(self, builder: Any, value: Any, format: Format) -> None:  # noqa: A002
        self.builder, self.value, self.format = builder, value, format

    def like(self: _Value, value: Any) -> _Value:
        """A value of the same class."""
        return type(self)(self.builder, value, self.format)


class Condition(_Typed):
    """A truth value; `choose` is the conditional without a branch."""

    __slots__ = ()

    def __and__(self, other: Condition) -> Condition:
        return self.like(self.builder.and_(self.value, other.value))

    def __or__(self, other: Condition) -> Condition:
        return self.like(self.builder.or_(self.value, other.value))

    def __invert__(self) -> Condition:
        return self.like(self.builder.not_(self.value))

    def choose(self, yes: Scalar | float, no: Scalar | float) -> Scalar:
        """`yes` where it is true, `no` elsewhere."""
        values = [c.value if isinstance(c, Scalar) else _constant(self.format, c) for c in (yes, no)]
        return Scalar(self.builder, self.builder.select(self.value, *values), self.format)


class Bits(_Typed):
    """The bits of a number as an integer; shifts are logical."""

    __slots__ = ()

    def same(self, other: Bits | int) -> Bits:
        """An operand: a constant of this width, if it is none of them yet."""
        if isinstance(other, Bits):
            return other
        return self.like(ir.Constant(self.format.integer, other % (1 << self.format.width)))

    def __add__(self, other: Bits | int) -> Bits:
        return self.like(self.builder.add(self.value, self.same(other).value))

    def __sub__(self, other: Bits | int) -> Bits:
        return self.like(self.builder.sub(self.value, self.same(other).value))

    def __and__(self, other: Bits | int) -> Bits:
        return self.like(self.builder.and_(self.value, self.same(other).value))

    def __or__(self, other: Bits | int) -> Bits:
        return self.like(self.builder.or_(self.value, self.same(other).value))

    def __xor__(self, other: Bits | int) -> Bits:
        return self.like(self.builder.xor(self.value, self.same(other).value))

    def __lshift__(self, count: int) -> Bits:
        return self.like(self.builder.shl(self.value, self.same(count).value))

    def __rshift__(self, count: int) -> Bits:
        return self.like(self.builder.lshr(self.value, self.same(count).value))

    def equals(self, other: Bits | int) -> Condition:
        """Whether they are equal."""
        return self._compared("==", other)

    def exceeds(self, other: Bits | int) -> Condition:
        """Whether it is larger, both without a sign."""
        return self._compared(">", other)

    def _compared(self, sign: str, other: Bits | int) -> Condition:
        value = self.builder.icmp_unsigned(sign, self.value, self.same(other).value)
        return Condition(self.builder, value, self.format)

    def chosen(self, condition: Condition, other: Bits | int) -> Bits:
        """These bits where the condition is true, `other` elsewhere."""
        return self.like(self.builder.select(condition.value, self.value, self.same(other).value))

    def as_scalar(self) -> Scalar:
        """The number with these bits."""
        return Scalar(self.builder, self.builder.bitcast(self.value, self.format.real), self.format)


def _constant(format: Format, number: float) -> Any:  # noqa: A002
    return ir.Constant(format.real, float(number))


class Scalar(_Typed):
    """A floating-point number. Comparisons are false for NaN."""

    __slots__ = ()

    def same(self, other: Scalar | float) -> Scalar:
        """An operand: a constant of this format, if it is no Scalar yet."""
        return other if isinstance(other, Scalar) else self.like(_constant(self.format, other))

    def _binary(self, operation: str, x: Scalar | float, y: Scalar | float) -> Scalar:
        return self.like(getattr(self.builder, operation)(self.same(x).value, self.same(y).value))

    def __add__(self, other: Scalar | float) -> Scalar:
        return self._binary("fadd", self, other)

    def __radd__(self, other: float) -> Scalar:
        return self._binary("fadd", other, self)

    def __sub__(self, other: Scalar | float) -> Scalar:
        return self._binary("fsub", self, other)

    def __rsub__(self, other: float) -> Scalar:
        return self._binary("fsub", other, self)

    def __mul__(self, other: Scalar | float) -> Scalar:
        return self._binary("fmul", self, other)

    def __rmul__(self, other: float) -> Scalar:
        return self._binary("fmul", other, self)

    def __truediv__(self, other: Scalar | float) -> Scalar:
        return self._binary("fdiv", self, other)

    def __rtruediv__(self, other: float) -> Scalar:
        return self._binary("fdiv", other, self)

    def __neg__(self) -> Scalar:
        return self.like(self.builder.fneg(self.value))

    def __lt__(self, other: Scalar | float) -> Condition:
        return self._compared("<", other)

    def __gt__(self, other: Scalar | float) -> Condition:
        return self._compared(">", other)

    def __ge__(self, other: Scalar | float) -> Condition:
        return self._compared(">=", other)

    def equals(self, other: Scalar | float) -> Condition:
        """Whether they are equal."""
        return self._compared("==", other)

    def _compared(self, sign: str, other: Scalar | float) -> Condition:
        value = self.builder.fcmp_ordered(sign, self.value, self.same(other).value)
        return Condition(self.builder, value, self.format)

    # bits ------------------------------------------------------------------------------------------------

    def bits(self) -> Bits:
        """The bits as an integer."""
        return Bits(self.builder, self.builder.bitcast(self.value, self.format.integer), self.format)

    def __abs__(self) -> Scalar:
        return (self.bits() & ((1 << (self.format.width - 1)) - 1)).as_scalar()

    def sign(self) -> Bits:
        """The sign, all other bits 0."""
        return self.bits() & (1 << (self.format.width - 1))

    def signed_as(self, other: Scalar) -> Scalar:
        """A number that is not negative, with the sign of another."""
        return (self.bits() | other.sign()).as_scalar()

    def is_nan(self) -> Condition:
        """Whether it is no number."""
        return Condition(
            self.builder, self.builder.fcmp_unordered("uno", self.value, self.value), self.format
        )

    # arithmetic ------------------------------------------------------------------------------------------

    def clamped(self, low: float, high: float) -> Scalar:
        """The nearest number from `low` to `high`; NaN stays."""
        return (self < low).choose(low, self.at_most(high))

    def at_most(self, high: float) -> Scalar:
        """The smaller of it and a number; NaN stays."""
        return (self > high).choose(high, self)

    def times_plus(self, factor: Scalar | float, term: Scalar | float) -> Scalar:
        """The sum self * factor + term, with one rounding where the machine can."""
        if not has_fma():
            return self * factor + term
        value = self.builder.fma(self.value, self.same(factor).value, self.same(term).value)
        return self.like(value)

    def polynomial(self, coefficients: Sequence[float]) -> Scalar:
        """The polynomial with these coefficients, lowest power first."""
        total = self.same(coefficients[-1])
        for c in coefficients[-2::-1]:
            total = total.times_plus(self, c)
        return total

    def nearest_integer(self) -> tuple[Scalar, Bits]:
        """The nearest integer, as a Scalar and as Bits (in two's complement), for what is far below 2**stored.

        Added to 1.5 * 2**stored, a number has no bits left for a fraction.
        """
        large = self.same(1.5 * 2.0**self.format.stored)
        shifted = self + large
        return shifted - large, shifted.bits() - large.bits()

    def converted(self, to: Format) -> Scalar:
        """The number in another format."""
        convert = self.builder.fpext if to.width > self.format.width else self.builder.fptrunc
        return Scalar(self.builder, convert(self.value, to.real), to)


class Pair(NamedTuple):
    """A sum that was not rounded: `low` is what `high` lacks."""

    high: Scalar
    low: Scalar


def exact_sum(x: Scalar, y: Scalar) -> Pair:
    """The sum x + y without an error."""
    total = x + y
    part = total - x
    return Pair(total, (x - (total - part)) + (y - part))


def ordered_sum(x: Scalar, y: Scalar) -> Pair:
    """The sum x + y without an error, where x is 0 or at least as large as y."""
    total = x + y
    return Pair(total, y - (total - x))


def exact_product(x: Scalar, y: Scalar) -> Pair:
    """The product x * y without an error, unless it is nearly the largest or the smallest number."""
    product = x * y
    if has_fma():
        return Pair(product, x.times_plus(y, -product))
    (a, b), (c, d) = _halves(x), _halves(y)
    return Pair(product, (((a * c - product) + a * d) + b * c) + b * d)


def _halves(x: Scalar) -> Pair:
    """A number as a sum of two, each with half of the bits, so that their products are exact."""
    scaled = x * (2.0 ** ((x.format.stored + 2) // 2) + 1.0)
    high = scaled - (scaled - x)
    return Pair(high, x - high)
