"""PyTorch's promotion of the inputs of a primitive; and the namespace that the rules find their functions in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.operators import Operators
from chainrule.primitives import Primitive
from chainrule.rules.shape import astype
from chainrule.torch.dtypes import default_float, result_type_of
from chainrule.torch.errors import ArgumentError, OperationError

FLOATING = frozenset({
    "divide", "reciprocal", "sqrt", "cbrt", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "logaddexp",
    "logaddexp2", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh",
    "atanh", "hypot", "sinc", "erf", "erfinv", "lgamma", "digamma", "polygamma", "sigmoid", "logit", "softplus",
    "logsumexp", "copysign", "mean", "var", "std",
})  # fmt: skip
"""The primitives that turn integers into floating-point numbers: of the default type."""

KEPT = frozenset({"bitwise_left_shift", "bitwise_right_shift", "astype", "copy", "positive", "finite"})
_LOGIC = frozenset(
    {"logical_and", "logical_or", "logical_xor", "logical_not", "isfinite", "isinf", "isnan", "signbit"}
)
_ARITHMETIC = frozenset({"subtract", "negative"})


def promoted_inputs(primitive: Primitive, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs, converted to the type that PyTorch computes in."""
    name = primitive.name
    if name in _LOGIC or name in KEPT:
        return inputs
    inputs = tuple(_operand(x) for x in inputs)
    start = 1 if name == "where" else 0
    arrays = [x._data if isinstance(x, Operators) else x for x in inputs[start:]]
    kind = result_type_of(arrays)
    if kind.kind not in "fc" and name in FLOATING:
        kind = default_float()
    if kind.kind == "b" and name in _ARITHMETIC:
        raise _no_boolean(name)
    return inputs[:start] + tuple(_converted(x, kind) for x in inputs[start:])


def _no_boolean(name: str) -> Exception:
    sign = {
        "subtract": "Subtraction, the `-` operator, with a bool tensor",
        "negative": "Negation, the `-` operator, on a bool tensor",
    }
    return OperationError(f"{sign[name]} is not supported. Use the `~` or `logical_not()` operator instead.")


def _operand(x: Any) -> Any:
    if isinstance(x, (Operators, bool, int, float, complex, np.ndarray)):
        return x.item() if isinstance(x, np.generic) else x
    if isinstance(x, np.generic):
        return x.item()
    raise ArgumentError(
        f"unsupported operand: expected a Tensor or a number, but was given {type(x).__name__}"
    )


def _converted(x: Any, kind: np.dtype[Any]) -> Any:
    if isinstance(x, Operators):
        return x if x._data.dtype == kind else astype(x, dtype=kind)
    if isinstance(x, np.ndarray):
        return x.astype(kind, copy=False)
    # NumPy's own rule for a Python number agrees unless the number is of a higher category.
    if kind.kind in "iu" and type(x) is int:
        return kind.type(x)
    return kind.type(x) if isinstance(x, bool) or kind.kind == "b" else x


class Names:
    """The namespace of a class of Tensors for the rules: `chainrule.ops`, whose makers of arrays make such Tensors."""

    def __init__(self, wrap: Callable[[Any], Any]) -> None:
        self._wrap = wrap

    def __getattr__(self, name: str) -> Any:
        found = getattr(ops, name)
        if name in ("zeros", "ones", "empty", "full", "arange", "linspace", "eye"):
            make = getattr(np, name)

            def found(*args: Any, **kwargs: Any) -> Any:
                return self._wrap(make(*args, **kwargs))

        setattr(self, name, found)
        return found
