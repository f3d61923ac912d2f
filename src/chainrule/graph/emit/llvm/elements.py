"""What each elementwise primitive does to single elements, as LLVM instructions.

`a` and `b` are operands in registers, `t` their NumPy type. Arithmetic carries no fast-math flag, so that each
operation rounds as NumPy's does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.graph.emit.llvm.code import BIT, INDEX, Code, type_of
from chainrule.graph.emit.llvm.values import Lazy, Value, broadcast, recipe_of
from chainrule.graph.emit.llvm_functions import FUNCTIONS
from chainrule.graph.ir import Equation, Literal

Element = Callable[..., Any]
"""From code, type and operands in registers to a value in a register."""


def converted(code: Code, value: Any, source: Any, target: Any) -> Any:
    """An element of one NumPy type as one of another."""
    source, target, b = np.dtype(source), np.dtype(target), code.builder
    if source == target:
        return value
    to = type_of(target)
    if target.kind == "b":
        return _nonzero(code, source, value)
    if source.kind == "f":
        if target.kind == "f":
            return b.fpext(value, to) if target.itemsize > source.itemsize else b.fptrunc(value, to)
        if target == np.int64:
            return _truncated(code, value, source)
        return b.fptosi(value, to) if target.kind == "i" else b.fptoui(value, to)
    signed = source.kind == "i"
    if target.kind == "f":
        return b.sitofp(value, to) if signed else b.uitofp(value, to)
    if type_of(source).width == to.width:
        return value
    if type_of(source).width > to.width:
        return b.trunc(value, to)
    return b.sext(value, to) if signed else b.zext(value, to)


def _truncated(code: Code, value: Any, source: Any) -> Any:
    """A float as a 64-bit integer; one that has none becomes the least, as most processors have it."""
    b, limit = code.builder, 2.0**63
    above = b.fcmp_ordered(">=", value, code.constant(-limit, source))
    fits = b.and_(above, b.fcmp_ordered("<", value, code.constant(limit, source)))
    return b.select(fits, b.fptosi(value, INDEX), code.index(-(2**63)))


def _nonzero(code: Code, t: Any, a: Any) -> Any:
    zero = code.constant(0, t)
    if t.kind == "f":
        return code.builder.fcmp_unordered("!=", a, zero)
    return code.builder.icmp_unsigned("!=", a, zero)


# the forms that several primitives share --------------------------------------------------------------------


def _arithmetic(floating: str, integer: str | None = None) -> Element:
    def element(code: Code, t: Any, *operands: Any) -> Any:
        name = floating if t.kind == "f" else integer
        return getattr(code.builder, name)(*operands) if name else NotImplemented

    return element


def _comparison(sign: str) -> Element:
    def element(code: Code, t: Any, a: Any, b: Any) -> Any:
        if t.kind == "f":
            compare = code.builder.fcmp_unordered if sign == "!=" else code.builder.fcmp_ordered
        else:
            compare = code.builder.icmp_signed if t.kind == "i" else code.builder.icmp_unsigned
        return compare(sign, a, b)

    return element


def _intrinsic(name: str, same_for_integers: bool = False) -> Element:
    def element(code: Code, t: Any, *operands: Any) -> Any:
        if t.kind != "f":
            return operands[0] if same_for_integers else NotImplemented
        return code.intrinsic(name, *operands)

    return element


def _extreme(floating: str, integer: str) -> Element:
    def element(code: Code, t: Any, a: Any, b: Any) -> Any:
        if t.kind == "f" and code.assume_finite:  # one instruction, which loses NaNs
            compare = code.builder.fcmp_ordered(">" if floating[:2] == "ma" else "<", a, b)
            return code.builder.select(compare, a, b)
        if t.kind == "f":
            return code.intrinsic(floating, a, b)
        return code.intrinsic(("s" if t.kind == "i" else "u") + integer, a, b)

    return element


def _from_library(name: str) -> Element:
    """A function of the C library, where there is no formula for it."""

    def element(code: Code, t: Any, *operands: Any) -> Any:
        if t.kind != "f":
            return NotImplemented
        return code.call(name + ("f" if t.itemsize == 4 else ""), *operands)

    return element


# single primitives ----------------------------------------------------------------------------------------------


def _absolute(code: Code, t: Any, a: Any) -> Any:
    if t.kind == "f":
        return code.intrinsic("fabs", a)
    if t.kind != "i":
        return a
    b = code.builder
    return b.select(b.icmp_signed("<", a, code.constant(0, t)), b.neg(a), a)


def _sign(code: Code, t: Any, a: Any) -> Any:
    less, more = _comparison("<"), _comparison(">")
    zero, one = code.constant(0, t), code.constant(1, t)
    if t.kind == "u":
        return code.builder.select(more(code, t, a, zero), one, zero)
    negative = code.builder.select(less(code, t, a, zero), code.constant(-1, t), a)
    return code.builder.select(more(code, t, a, zero), one, negative)  # NaN and zero are their own signs


def _reciprocal(code: Code, t: Any, a: Any) -> Any:
    return code.builder.fdiv(code.constant(1, t), a) if t.kind == "f" else NotImplemented


def _relu(code: Code, t: Any, a: Any) -> Any:
    return _extreme("maximum", "max")(code, t, a, code.constant(0, t))


def _limit(code: Code, t: Any, x: Any, low: Any, high: Any) -> Any:
    return MINIMUM(code, t, MAXIMUM(code, t, x, low), high)


def _negative(code: Code, t: Any, a: Any) -> Any:
    return code.builder.fneg(a) if t.kind == "f" else code.builder.neg(a)


def _square(code: Code, t: Any, a: Any) -> Any:
    return _arithmetic("fmul", "mul")(code, t, a, a)


def _is_nan(code: Code, t: Any, a: Any) -> Any:
    return code.builder.fcmp_unordered("uno", a, a) if t.kind == "f" else ir.Constant(BIT, 0)


def _is_infinite(code: Code, t: Any, a: Any) -> Any:
    if t.kind != "f":
        return ir.Constant(BIT, 0)
    return code.builder.fcmp_ordered("==", code.intrinsic("fabs", a), code.constant(math.inf, t))


def _is_finite(code: Code, t: Any, a: Any) -> Any:
    if t.kind != "f":
        return ir.Constant(BIT, 1)
    return code.builder.fcmp_ordered("<", code.intrinsic("fabs", a), code.constant(math.inf, t))


def _has_sign_bit(code: Code, t: Any, a: Any) -> Any:
    if t.kind != "f":
        return code.builder.icmp_signed("<", a, code.constant(0, t)) if t.kind == "i" else ir.Constant(BIT, 0)
    whole = ir.IntType(8 * t.itemsize)
    return code.builder.icmp_signed("<", code.builder.bitcast(a, whole), ir.Constant(whole, 0))


def _heaviside(code: Code, t: Any, a: Any, b: Any) -> Any:
    if t.kind != "f":
        return NotImplemented
    select, zero = code.builder.select, code.constant(0, t)
    step = select(code.builder.fcmp_ordered(">", a, zero), code.constant(1, t), zero)
    return select(_is_nan(code, t, a), a, select(code.builder.fcmp_ordered("==", a, zero), b, step))


def _remainder(code: Code, t: Any, a: Any, b: Any) -> Any:
    """With the sign of the divisor, as Python's."""
    if t.kind != "f":
        return NotImplemented
    build, zero = code.builder, code.constant(0, t)
    left = build.frem(a, b)
    differs = build.xor(build.fcmp_ordered("<", b, zero), build.fcmp_ordered("<", left, zero))
    moved = build.select(differs, build.fadd(left, b), left)
    return build.select(build.fcmp_unordered("!=", left, zero), moved, code.intrinsic("copysign", zero, b))


def _fmod(code: Code, t: Any, a: Any, b: Any) -> Any:
    return code.builder.frem(a, b) if t.kind == "f" else NotImplemented


def _fmax(code: Code, t: Any, a: Any, b: Any) -> Any:
    return _extreme("maxnum", "max")(code, t, a, b)


MAXIMUM, MINIMUM = _extreme("maximum", "max"), _extreme("minimum", "min")
COMPARISONS: dict[str, Element] = {
    "equal": _comparison("=="), "not_equal": _comparison("!="), "less": _comparison("<"),
    "less_equal": _comparison("<="), "greater": _comparison(">"), "greater_equal": _comparison(">="),
    "isnan": _is_nan, "isinf": _is_infinite, "isfinite": _is_finite, "signbit": _has_sign_bit,
}  # fmt: skip
"""They answer with a truth value; their operands have a type in common."""

LOGIC: dict[str, Element] = {
    "logical_and": lambda code, t, a, b: code.builder.and_(a, b),
    "logical_or": lambda code, t, a, b: code.builder.or_(a, b),
    "logical_xor": lambda code, t, a, b: code.builder.xor(a, b),
    "logical_not": lambda code, t, a: code.builder.not_(a),
}
"""Their operands are truth values."""

PLAIN: dict[str, Element] = {
    "add": _arithmetic("fadd", "add"), "subtract": _arithmetic("fsub", "sub"),
    "multiply": _arithmetic("fmul", "mul"), "divide": _arithmetic("fdiv"), "negative": _negative,
    "positive": lambda code, t, a: a, "copy": lambda code, t, a: a, "detached": lambda code, t, a: a,
    "astype": lambda code, t, a: a, "reciprocal": _reciprocal, "square": _square, "sqrt": _intrinsic("sqrt"),
    "abs": _absolute, "sign": _sign, "floor": _intrinsic("floor", True), "ceil": _intrinsic("ceil", True),
    "trunc": _intrinsic("trunc", True), "copysign": _intrinsic("copysign"), "maximum": MAXIMUM,
    "minimum": MINIMUM, "fmax": _fmax, "fmin": _extreme("minnum", "min"), "relu": _relu, "limit": _limit,
    "heaviside": _heaviside, "remainder": _remainder, "fmod": _fmod,
    "bitwise_and": lambda code, t, a, b: code.builder.and_(a, b),
    "bitwise_or": lambda code, t, a, b: code.builder.or_(a, b),
    "bitwise_xor": lambda code, t, a, b: code.builder.xor(a, b),
    "bitwise_invert": lambda code, t, a: code.builder.not_(a),
}  # fmt: skip
"""Their operands have the type of the result."""

_IN_C = (
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
    "cosh", "tanh", "asinh", "acosh", "atanh", "cbrt", "hypot", "pow", "atan2", "erf",
)  # fmt: skip
PLAIN |= {name: _from_library(name) for name in _IN_C}


EXPENSIVE = {*_IN_C, "sigmoid", "softplus", "pow", "remainder", "fmod"}
"""Too much work to be done again for each use."""
MODERATE = {"divide", "sqrt", "reciprocal"}


def _by_formula(name: str) -> Element:
    """A function as straight-line code, which is vectorised."""

    def element(code: Code, t: Any, *operands: Any) -> Any:
        return FUNCTIONS[name](code.builder, *operands) if t.kind == "f" else NotImplemented

    return element


PLAIN |= {name: _by_formula(name) for name in FUNCTIONS}


def cost_of(name: str) -> int:
    """About how many instructions an element takes."""
    return 20 if name in EXPENSIVE else 5 if name in MODERATE else 1


# from equations to formulas -----------------------------------------------------------------------------------


def literal(number: Literal) -> Lazy:
    """A number as a value."""
    value = np.asarray(number.value)
    dtype = value.dtype
    scalar = value.flat[0] if value.size else 0
    recipe = ("number", repr(scalar), dtype.str, number.shape), ()
    return Lazy(dtype, number.shape, lambda code, idx: code.constant(scalar, dtype), 0, recipe=recipe)


_ROUND = _intrinsic("rint", True)


def operand_type(equation: Equation) -> Any:
    """The type in which the elements of the inputs meet."""
    out = equation.output
    if equation.name in LOGIC:
        return np.dtype(bool)
    if equation.name not in COMPARISONS:
        return out.dtype
    arrays = [
        a.value if isinstance(a, Literal) and not a.shape else np.empty(0, a.value.dtype)
        for a in equation.inputs
    ]
    return np.result_type(*arrays)


def elementwise(equation: Equation, inputs: Sequence[Value]) -> Value | None:
    """The formula of an elementwise equation; None if there is no native code for it."""
    name, out = equation.name, equation.output
    if name == "where":
        return _where(equation, inputs)
    if name == "pow":
        special = _power(equation, inputs)
        if special is not None:
            return special
    if name == "round" and equation.parameters["decimals"] == 0:
        element: Element | None = _ROUND
    else:
        element = PLAIN.get(name) or COMPARISONS.get(name) or LOGIC.get(name)
    t = np.dtype(operand_type(equation))
    if element is None or not _fits(element, name, t, inputs):
        return None
    return _combined(element, t, out, inputs, cost_of(name))


def _fits(element: Element, name: str, t: Any, inputs: Sequence[Value]) -> bool:
    """Whether there is code for elements of type `t`: found out on a function that is thrown away."""
    if t.kind == "c" or (
        t.kind == "b"
        and name in ("add", "multiply", "maximum", "minimum", "negative", "abs", "sign", "square")
    ):
        return False
    if name == "astype":
        (x,) = inputs
        # What is out of range is the machine's choice: only for the integers of an index is there one here.
        return not (x.dtype.kind == "f" and t.kind in "iu") or t == np.int64
    return _is_written(element, t, len(inputs))


@cache
def _is_written(element: Element, t: Any, count: int) -> bool:
    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), [type_of(t)] * count), "probe")
    return element(Code(function, 0, lambda: 0), t, *function.args) is not NotImplemented


def _combined(element: Element, t: Any, out: Any, inputs: Sequence[Value], cost: int) -> Lazy:
    operands = [broadcast(x, out.shape) for x in inputs]

    def at(code: Code, idx: Sequence[Any]) -> Any:
        return element(code, t, *(converted(code, x.at(code, idx), x.dtype, t) for x in operands))

    whole = [x for x in inputs if x.shape == out.shape and x.cost]
    order = whole[0].order if whole and len({x.order for x in whole}) == 1 else None
    recipe = recipe_of((element, t.str, out.dtype.str, out.shape), *operands)
    return Lazy(out.dtype, out.shape, at, cost + sum(x.cost for x in operands), order, recipe)


def _where(equation: Equation, inputs: Sequence[Value]) -> Value:
    out = equation.output
    condition, x, y = (broadcast(v, out.shape) for v in inputs)

    def at(code: Code, idx: Sequence[Any]) -> Any:
        chosen = converted(code, condition.at(code, idx), condition.dtype, bool)
        one, other = (converted(code, v.at(code, idx), v.dtype, out.dtype) for v in (x, y))
        return code.builder.select(chosen, one, other)

    recipe = recipe_of(("where", out.dtype.str, out.shape), condition, x, y)
    return Lazy(out.dtype, out.shape, at, 1 + condition.cost + x.cost + y.cost, recipe=recipe)


_POWERS: dict[float, Callable[[Code, Any, Any], Any]] = {
    0.5: lambda code, t, a: code.intrinsic("sqrt", a), -1.0: _reciprocal, 1.0: lambda code, t, a: a, 2.0: _square,
    3.0: lambda code, t, a: code.builder.fmul(code.builder.fmul(a, a), a),
}  # fmt: skip


def _power(equation: Equation, inputs: Sequence[Value]) -> Value | None:
    """Powers with the exponents that NumPy computes without `pow`, and cubes."""
    exponent, out = equation.inputs[1], equation.output
    if not isinstance(exponent, Literal) or out.dtype.kind != "f" or isinstance(exponent.number, bool):
        return None
    element = _POWERS.get(float(exponent.number))
    return None if element is None else _combined(element, out.dtype, out, inputs[:1], 2)
