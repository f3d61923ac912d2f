"""Functions that work element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.primitives import Primitive
from chainrule.rules.elementwise import limit
from chainrule.rules.shape import astype
from chainrule.torch.dtypes import BY_NUMPY, default_float, result_type_of
from chainrule.torch.errors import OperationError
from chainrule.torch.functions.registry import function, tensor_argument
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor

apply = Tensor._apply

UNARY: dict[str, tuple[Primitive, tuple[str, ...]]] = {
    "abs": (ops.abs, ("absolute",)), "acos": (ops.acos, ("arccos",)), "acosh": (ops.acosh, ("arccosh",)),
    "asin": (ops.asin, ("arcsin",)), "asinh": (ops.asinh, ("arcsinh",)), "atan": (ops.atan, ("arctan",)),
    "atanh": (ops.atanh, ("arctanh",)), "cos": (ops.cos, ()), "cosh": (ops.cosh, ()), "exp": (ops.exp, ()),
    "exp2": (ops.exp2, ()), "expm1": (ops.expm1, ()), "log": (ops.log, ()), "log10": (ops.log10, ()),
    "log1p": (ops.log1p, ()), "log2": (ops.log2, ()), "neg": (ops.negative, ("negative",)),
    "reciprocal": (ops.reciprocal, ()), "sigmoid": (ops.sigmoid, ()), "sign": (ops.sign, ()), "sin": (ops.sin, ()),
    "sinc": (ops.sinc, ()), "sinh": (ops.sinh, ()), "sqrt": (ops.sqrt, ()), "square": (ops.square, ()),
    "tan": (ops.tan, ()), "tanh": (ops.tanh, ()), "erf": (ops.erf, ()), "erfinv": (ops.erfinv, ()),
    "lgamma": (ops.lgamma, ()), "digamma": (ops.digamma, ()), "relu": (ops.relu, ()), "floor": (ops.floor, ()),
    "ceil": (ops.ceil, ()), "trunc": (ops.trunc, ("fix",)), "isnan": (ops.isnan, ()),
    "isinf": (ops.isinf, ()), "isfinite": (ops.isfinite, ()), "logical_not": (ops.logical_not, ()),
    "bitwise_not": (ops.bitwise_invert, ()), "signbit": (ops.signbit, ()),
}  # fmt: skip
_NAMES = {
    "square": "PowBackward0", "neg": "NegBackward0",
}  # fmt: skip


def _unary(name: str, primitive: Primitive) -> Any:
    shown = _NAMES.get(name)

    def f(input: Tensor) -> Any:
        if not isinstance(input, Tensor):
            tensor_argument(input, name)
        out = apply(primitive, (input,), {})
        return out if shown is None else named(out, shown)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"{primitive.text}, element by element."
    return f


for _name, (_primitive, _aliases) in UNARY.items():
    function(*_aliases, inplace=True)(_unary(_name, _primitive))


BINARY: dict[str, tuple[Primitive, tuple[str, ...]]] = {
    "atan2": (ops.atan2, ("arctan2",)), "copysign": (ops.copysign, ()), "floor_divide": (ops.floor_divide, ()),
    "fmod": (ops.fmod, ()), "remainder": (ops.remainder, ()), "hypot": (ops.hypot, ()),
    "logaddexp": (ops.logaddexp, ()), "logaddexp2": (ops.logaddexp2, ()), "maximum": (ops.maximum, ()),
    "minimum": (ops.minimum, ()), "fmax": (ops.fmax, ()), "fmin": (ops.fmin, ()),
    "eq": (ops.equal, ()), "ne": (ops.not_equal, ("not_equal",)), "lt": (ops.less, ("less",)),
    "le": (ops.less_equal, ("less_equal",)), "gt": (ops.greater, ("greater",)),
    "ge": (ops.greater_equal, ("greater_equal",)), "logical_and": (ops.logical_and, ()),
    "logical_or": (ops.logical_or, ()), "logical_xor": (ops.logical_xor, ()), "bitwise_and": (ops.bitwise_and, ()),
    "bitwise_or": (ops.bitwise_or, ()), "bitwise_xor": (ops.bitwise_xor, ()),
    "bitwise_left_shift": (ops.bitwise_left_shift, ()), "bitwise_right_shift": (ops.bitwise_right_shift, ()),
    "heaviside": (ops.heaviside, ()),
}  # fmt: skip


_NUMBERS = (int, float, complex, np.generic)
NUMBER_FIRST = frozenset({
    "add", "sub", "mul", "div", "pow", "float_power", "remainder", "bitwise_and", "bitwise_or", "bitwise_xor",
    "bitwise_left_shift", "bitwise_right_shift", "xlogy", "xlog1py", "zeta",
})  # fmt: skip
"""The functions whose first operand may be a number."""
NUMBER_SECOND = NUMBER_FIRST | {
    "eq", "ne", "lt", "le", "gt", "ge", "copysign", "floor_divide", "fmod", "rsub", "ldexp",
}  # fmt: skip


def operands(name: str, input: Any, other: Any) -> tuple[Any, Any]:
    """The two operands of a function, of which one at least is a Tensor."""
    if not isinstance(input, Tensor):
        first = isinstance(input, _NUMBERS) and isinstance(other, Tensor) and name in NUMBER_FIRST
        input = input if first else tensor_argument(input, name)
    if not isinstance(other, Tensor) and not (isinstance(other, _NUMBERS) and name in NUMBER_SECOND):
        tensor_argument(other, name, "other", 2)
    return input, other


def _binary(name: str, primitive: Primitive) -> Any:
    def f(input: Any, other: Any) -> Any:
        return apply(primitive, operands(name, input, other), {})

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"{primitive.text}, element by element."
    return f


for _name, (_primitive, _aliases) in BINARY.items():
    function(*_aliases, inplace=True)(_binary(_name, _primitive))


def with_values(x: Any, values: np.ndarray) -> Any:
    """A tensor with other elements, whose gradient is that of `x`.

    For where PyTorch's derivative is not that of its value, or looks at more than the value does.
    """
    return x if np.array_equal(values, x._data) else x + Tensor._wrapped(values - x._data)


@function(inplace=True)
def nextafter(input: Tensor, other: Tensor) -> Any:
    """The next number after each element, in the direction of another."""
    x, y = operands("nextafter", input, other)
    out = Tensor._wrapped(np.nextafter(x._data, y._data))
    if not (x.requires_grad or y.requires_grad):
        return out
    moved = with_values(ops.broadcast_to(x, shape=out._data.shape), out._data)
    return named(apply(ops.where, (x._data != y._data, moved, y * 0 + out), {}), "NextafterBackward0")


def _scaled(other: Any, alpha: Any) -> Any:
    return other if alpha == 1 else other * alpha


@function(inplace=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """Input + alpha * other."""
    return apply(ops.add, operands("add", input, _scaled(other, alpha)), {})


@function("subtract", inplace=True)
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """Input - alpha * other."""
    return apply(ops.subtract, operands("sub", input, _scaled(other, alpha)), {})


@function()
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """Other - alpha * input."""
    operands("rsub", input, other)
    return named(apply(ops.subtract, (other, _scaled(input, alpha)), {}), "RsubBackward0")


@function("multiply", inplace=True)
def mul(input: Any, other: Any) -> Any:
    """Input * other."""
    return apply(ops.multiply, operands("mul", input, other), {})


@function("divide", inplace=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """Input / other; rounded towards zero ("trunc") or down ("floor")."""
    input, other = operands("div", input, other)
    if rounding_mode is None:
        return apply(ops.divide, (input, other), {})
    if rounding_mode == "floor":
        return apply(ops.floor_divide, (input, other), {})
    if rounding_mode != "trunc":
        raise OperationError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    kind = result_type_of([x._data if isinstance(x, Tensor) else x for x in (input, other)])
    return apply(astype, (apply(ops.trunc, (apply(ops.divide, (input, other), {}),), {}),), {"dtype": kind})


@function(inplace=True)
def true_divide(input: Any, other: Any) -> Any:
    """Input / other."""
    return div(input, other)


@function(inplace=True)
def pow_(input: Any, exponent: Any) -> Any:
    """`input` to the power `exponent`."""
    operands("pow", input, exponent)
    out = apply(ops.pow, (input, exponent), {})
    return named(out, "PowBackward1") if isinstance(exponent, Tensor) else out


@function(inplace=True)
def float_power(input: Any, exponent: Any) -> Any:
    """`input` to the power `exponent`, in double precision."""
    operands("float_power", input, exponent)
    return apply(
        ops.pow, tuple(x.double() if isinstance(x, Tensor) else float(x) for x in (input, exponent)), {}
    )


@function(inplace=True)
def round_(input: Tensor, *, decimals: int = 0) -> Any:
    """The elements rounded to even."""
    tensor_argument(input, "round")
    if input._data.dtype.kind in "iu" and decimals == 0:
        return input.clone()
    return apply(ops.round, (input,), {"decimals": decimals})


@function("clip", inplace=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Any:
    """The elements limited to the range from `min` to `max`, which may be numbers or tensors."""
    tensor_argument(input, "clamp")
    if min is None and max is None:
        raise OperationError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        out = input if min is None else _bounded(input, min, below=True)
        return out if max is None else _bounded(out, max, below=False)
    if input._data.dtype.kind in "iu":
        kind = result_type_of([input._data, *(v for v in (min, max) if v is not None)])
        return Tensor._wrapped(np.clip(input._data, min, max).astype(kind))
    return apply(limit, (input, -math.inf if min is None else min, math.inf if max is None else max), {})


def _bounded(x: Any, bound: Any, below: bool) -> Any:
    """`x`, or the bound where x is beyond it; a tie belongs to x."""
    bound = bound if isinstance(bound, Tensor) else Tensor._wrapped(np.asarray(bound, x._data.dtype))
    beyond = np.less(x._data, bound._data) if below else np.greater(x._data, bound._data)
    return named(apply(ops.where, (beyond | np.isnan(bound._data), bound, x), {}), "ClampBackward1")


@function(inplace=True)
def clamp_min(input: Tensor, min: Any) -> Any:
    """The elements, at least `min`."""
    return clamp(input, min=min)


@function(inplace=True)
def clamp_max(input: Tensor, max: Any) -> Any:
    """The elements, at most `max`."""
    return clamp(input, max=max)


@function(inplace=True)
def rsqrt(input: Tensor) -> Any:
    """1 / sqrt(input)."""
    return named(reciprocal_of(apply(ops.sqrt, (tensor_argument(input, "rsqrt"),), {})), "RsqrtBackward0")


def reciprocal_of(x: Any) -> Any:
    """1 / x."""
    return apply(ops.reciprocal, (x,), {})


@function(inplace=True)
def frac(input: Tensor) -> Any:
    """What is behind the point."""
    return named(tensor_argument(input, "frac") - apply(ops.trunc, (input,), {}), "FracBackward0")


@function(inplace=True)
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """The elements with NaN and Inf replaced."""
    tensor_argument(input, "nan_to_num")
    return ops.nan_to_num(input, nan=nan or 0.0, posinf=posinf, neginf=neginf)


@function(inplace=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Any:
    """Input + weight * (end - input)."""
    tensor_argument(input, "lerp")
    _same_dtype("lerp", input, tensor_argument(end, "lerp", "end", 2))
    return named(input + weight * (end - input), f"LerpBackward{int(isinstance(weight, Tensor))}")


def _same_dtype(name: str, *tensors: Any) -> None:
    kinds = {t._data.dtype for t in tensors}
    if len(kinds) > 1:
        shown = ", ".join(BY_NUMPY[k].title for k in sorted(kinds, key=str))
        raise OperationError(f"{name}: expected tensors of the same dtype, but got {shown}")


@function(inplace=True)
def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """Input + value * tensor1 * tensor2."""
    return named(input + _scaled(tensor1 * tensor2, value), "AddcmulBackward0")


@function(inplace=True)
def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """Input + value * tensor1 / tensor2."""
    if all(t._data.dtype.kind not in "fc" for t in (tensor1, tensor2)):
        raise OperationError(
            "Integer division with addcdiv is no longer supported; use torch.div with a rounding mode"
        )
    return named(input + _scaled(tensor1 / tensor2, value), "AddcdivBackward0")


@function(inplace=True)
def logit(input: Tensor, eps: float | None = None) -> Any:
    """log(x / (1 - x)), of x limited to the range from eps to 1 - eps."""
    tensor_argument(input, "logit")
    return apply(ops.logit, (input if eps is None else clamp(input, eps, 1 - eps),), {})


@function(inplace=True)
def deg2rad(input: Tensor) -> Any:
    """Degrees to radians."""
    return tensor_argument(input, "deg2rad") * (math.pi / 180)


@function(inplace=True)
def rad2deg(input: Tensor) -> Any:
    """Radians to degrees."""
    return tensor_argument(input, "rad2deg") * (180 / math.pi)


@function(inplace=True)
def ldexp(input: Tensor, other: Tensor) -> Any:
    """Input * 2 ** other."""
    return tensor_argument(input, "ldexp") * apply(ops.pow, (2.0, other), {})


@function(inplace=True)
def sgn(input: Tensor) -> Any:
    """The signs."""
    return apply(ops.sign, (tensor_argument(input, "sgn"),), {})


@function(inplace=True)
def erfc(input: Tensor) -> Any:
    """1 - erf(x)."""
    return named(1 - apply(ops.erf, (tensor_argument(input, "erfc"),), {}), "ErfcBackward0")


@function()
def positive(input: Tensor) -> Any:
    """The tensor itself."""
    if tensor_argument(input, "positive")._data.dtype == bool:
        raise OperationError("The `+` operator, on a bool tensor is not supported.")
    return input


@function("conj_physical", "resolve_conj", "resolve_neg")
def conj(input: Tensor) -> Any:
    """The tensor itself: its elements are real."""
    return tensor_argument(input, "conj")


@function()
def angle(input: Tensor) -> Any:
    """The angle in the complex plane: 0 or π."""
    x = tensor_argument(input, "angle")._data
    kind = x.dtype if x.dtype.kind == "f" else default_float()
    turned = Tensor._wrapped(np.where(np.isnan(x), x, np.where(x < 0, math.pi, 0.0)).astype(kind))
    return turned + input * 0 if input.requires_grad else turned


@function()
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Any:
    """Whether |input - other| <= atol + rtol * |other|, element by element."""
    _same_dtype("isclose", input, other)
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise OperationError(f"{name} must be greater than or equal to zero, but got {value}")
    return Tensor._wrapped(np.isclose(input._data, other._data, rtol, atol, equal_nan))


@function()
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close."""
    _same_dtype("allclose", input, other)
    return bool(np.isclose(input._data, other._data, rtol, atol, equal_nan).all())


@function()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    tensor_argument(other, "equal", "other", 2)
    return input._data.shape == other._data.shape and bool((input._data == other._data).all())


@function()
def isreal(input: Tensor) -> Any:
    """True for every real element."""
    return Tensor._wrapped(np.isreal(input._data))


@function()
def isposinf(input: Tensor) -> Any:
    """Whether an element is +inf."""
    return Tensor._wrapped(np.isposinf(input._data))


@function()
def isneginf(input: Tensor) -> Any:
    """Whether an element is -inf."""
    return Tensor._wrapped(np.isneginf(input._data))


@function()
def xlogy(input: Any, other: Any) -> Any:
    """Input * log(other), and 0 where input is 0."""
    operands("xlogy", input, other)
    zero = np.equal(input._data if isinstance(input, Tensor) else input, 0)
    other = (
        other if isinstance(other, Tensor) else Tensor._wrapped(np.asarray(float(other), input._data.dtype))
    )
    zero = zero & ~np.isnan(other._data)
    log = apply(ops.log, (apply(ops.where, (zero, 1.0, other), {}),), {})
    return named(apply(ops.where, (zero, 0.0, input * log), {}), "XlogyBackward0")


@function(inplace=True)
def mvlgamma(input: Tensor, p: int) -> Any:
    """The multivariate log-gamma function."""
    if p < 1:
        raise OperationError("p has to be greater than or equal to 1")
    total = sum(
        (apply(ops.lgamma, (input - 0.5 * j,), {}) for j in range(1, p)), apply(ops.lgamma, (input,), {})
    )
    return total + p * (p - 1) / 4 * math.log(math.pi)


@function()
def polygamma(n: Any, input: Any) -> Any:
    """The n-th derivative of digamma."""
    if isinstance(n, Tensor):
        n, input = input, n
    if n < 0:
        raise OperationError("polygamma(n, x) does not support negative n.")
    return apply(ops.digamma, (input,), {}) if n == 0 else apply(ops.polygamma, (input,), {"n": int(n)})


@function(method=False)
def real(input: Tensor) -> Any:
    """The real part."""
    return tensor_argument(input, "real").real


@function(method=False)
def imag(input: Tensor) -> Any:
    """The imaginary part of a complex tensor."""
    return tensor_argument(input, "imag").imag
