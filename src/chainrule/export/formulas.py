"""Functions that ONNX lacks, or that onnxruntime computes with few digits, made of its other operators."""

from __future__ import annotations

import math

import numpy as np

from chainrule.export.values import Value


def where(condition: Value, x: Value, y: Value | float) -> Value:
    """`x` where the condition holds, else `y`."""
    other = y if isinstance(y, Value) else x.nodes.constant(np.array(y, x.dtype))
    return x.nodes.node("Where", condition, x, other).seen_as(x.dtype)


def call(operator: str, *values: Value) -> Value:
    """One operator of values of one type."""
    return values[0].nodes.node(operator, *values)


def log1p(x: Value) -> Value:
    """log(1 + x), to the last digits near 0 too."""
    # Kahan's: what 1 + x loses in rounding, the quotient gives back.
    one = x.nodes.constant(np.array(1, x.dtype))
    sum_ = one + x
    small = sum_.compared("Equal", 1)
    infinite = x.compared("Equal", math.inf)
    quotient = call("Log", sum_) * (x / where(small, one, sum_ - 1))
    return where(small, x, where(infinite, x, quotient))


def expm1(x: Value) -> Value:
    """exp(x) - 1, to the last digits near 0 too."""
    # By the hyperbolic tangent near 0, where exp(x) - 1 would lose digits.
    half = call("Tanh", x * 0.5)
    near = call("Abs", x).compared("Less", 1)
    return where(near, 2 * half / (1 - where(near, half, 0)), call("Exp", x) - 1)


def softplus(x: Value) -> Value:
    """log(1 + exp(x)) without overflow."""
    return call("Relu", x) + log1p(call("Exp", -call("Abs", x)))


def log_add_exp(x: Value, y: Value) -> Value:
    """log(exp(x) + exp(y)) without overflow."""
    top = call("Max", x, y)
    same = x.compared("Equal", y)  # two infinities too
    return top + where(
        same, x.nodes.constant(np.array(math.log(2), x.dtype)), log1p(call("Exp", -call("Abs", x - y)))
    )


def remainder(x: Value, y: Value) -> Value:
    """The remainder that has the sign of `y`."""
    rest = x.nodes.node("Mod", x, y, fmod=1)
    turned = x.nodes.node("Xor", rest.compared("Less", 0), y.compared("Less", 0))
    both = x.nodes.node("And", turned, x.nodes.node("Not", rest.compared("Equal", 0)))
    return where(both, rest + y, rest)


def cube_root(x: Value) -> Value:
    """The cube root, of negative numbers too."""
    root = call("Abs", x) ** (1 / 3)
    # One step of Newton's method makes up for 1/3 being no binary number.
    finite = call("And", root.compared("Greater", 0), root.compared("Less", math.inf))
    safe = where(finite, root, 1)
    better = safe - (safe - call("Abs", x) / (safe * safe)) / 3
    return call("Sign", x) * where(finite, better, root)
