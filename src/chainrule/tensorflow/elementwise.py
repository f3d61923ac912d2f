"""Functions that work element by element, each with its name in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.tensorflow.arrays import elements
from chainrule.tensorflow.errors import InvalidArgumentError
from chainrule.tensorflow.tensors import Tensor, binary, convert, identity, true_divide

Operation = Callable[..., Any]


def _unary(name: str, operation: Operation, *, floating: bool = True) -> Operation:
    def function(x: Any, name: Any = None) -> Any:
        x = convert(x)
        if floating and x._data.dtype.kind not in "fc":
            raise InvalidArgumentError(
                f"{function.__name__} needs floating-point numbers, but was given {x.dtype.name}; convert "
                f"them with tf.cast(x, tf.float32)"
            )
        return operation(x)

    return _named(function, name)


def _binary(name: str, title: str, operation: Operation) -> Operation:
    def function(x: Any, y: Any, name: Any = None) -> Any:
        return binary(title, operation, x, y)

    return _named(function, name)


def _named(function: Operation, name: str) -> Operation:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`tf.math.{name}`, element by element."
    return function


_FLOATING: dict[str, Operation] = {
    "acos": ops.acos, "acosh": ops.acosh, "asin": ops.asin, "asinh": ops.asinh, "atan": ops.atan,
    "atanh": ops.atanh, "ceil": ops.ceil, "cos": ops.cos, "cosh": ops.cosh, "digamma": ops.digamma,
    "erf": ops.erf, "erfinv": ops.erfinv, "exp": ops.exp, "expm1": ops.expm1, "floor": ops.floor,
    "is_finite": ops.isfinite, "is_inf": ops.isinf, "is_nan": ops.isnan, "lgamma": ops.lgamma,
    "log": ops.log, "log1p": ops.log1p, "reciprocal": ops.reciprocal, "rint": ops.round,
    "sigmoid": ops.sigmoid, "sin": ops.sin, "sinh": ops.sinh, "softplus": ops.softplus, "sqrt": ops.sqrt,
    "tan": ops.tan, "tanh": ops.tanh, "log_sigmoid": lambda x: -ops.softplus(-x),
    "rsqrt": lambda x: ops.reciprocal(ops.sqrt(x)),
}  # fmt: skip
_ANY: dict[str, Operation] = {
    "abs": ops.abs, "negative": ops.negative, "round": ops.round, "sign": ops.sign, "square": ops.square,
    "logical_not": ops.logical_not,
}  # fmt: skip
_BINARY: dict[str, tuple[str, Operation]] = {
    "add": ("AddV2", ops.add), "subtract": ("Sub", ops.subtract), "multiply": ("Mul", ops.multiply),
    "divide": ("RealDiv", true_divide), "truediv": ("RealDiv", true_divide), "pow": ("Pow", ops.pow),
    "floordiv": ("FloorDiv", ops.floor_divide), "floormod": ("FloorMod", ops.remainder),
    "mod": ("FloorMod", ops.remainder), "maximum": ("Maximum", ops.maximum), "minimum": ("Minimum",
    ops.minimum), "atan2": ("Atan2", ops.atan2), "equal": ("Equal", ops.equal), "not_equal": ("NotEqual",
    ops.not_equal), "less": ("Less", ops.less), "less_equal": ("LessEqual", ops.less_equal),
    "greater": ("Greater", ops.greater), "greater_equal": ("GreaterEqual", ops.greater_equal),
    "logical_and": ("LogicalAnd", ops.logical_and), "logical_or": ("LogicalOr", ops.logical_or),
    "logical_xor": ("LogicalXor", ops.logical_xor), "squared_difference": ("SquaredDifference", lambda x,
    y: ops.square(x - y)),
}  # fmt: skip

TABLE: dict[str, Operation] = {
    **{name: _unary(name, operation) for name, operation in _FLOATING.items()},
    **{name: _unary(name, operation, floating=False) for name, operation in _ANY.items()},
    **{name: _binary(name, title, operation) for name, (title, operation) in _BINARY.items()},
}
"""Each function by its name in `tf.math`."""


def divide_no_nan(x: Any, y: Any, name: Any = None) -> Any:
    """The quotient, and 0 where the divisor is 0."""
    x, y = convert(x), convert(y)
    zero = elements(y) == 0
    safe = ops.where(zero, ops.ones_like(y), y)
    return ops.where(zero, ops.zeros_like(x * safe), binary("RealDiv", true_divide, x, safe))


def where(condition: Any, x: Any = None, y: Any = None, name: Any = None) -> Any:
    """`x` where the condition holds, else `y`; without them, the indices where it holds."""
    chosen = elements(convert(condition))
    if x is None and y is None:
        return Tensor._wrapped(np.argwhere(chosen))
    return binary("SelectV2", lambda a, b: ops.where(chosen, convert(a), convert(b)), convert(x), y)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Any:
    """The elements limited to a range."""
    return ops.clip(convert(t), clip_value_min, clip_value_max)


def add_n(inputs: Any, name: Any = None) -> Any:
    """The sum of several tensors."""
    first, *others = [convert(x) for x in inputs]
    total = identity(first)
    for other in others:
        total = total + other
    return total
