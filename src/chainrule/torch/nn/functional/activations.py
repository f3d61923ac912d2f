"""Activation functions."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch import random
from chainrule.torch.dtypes import to_numpy_dtype
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.nn.functional.common import in_place, shown, tensor

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def relu(input: Any, inplace: bool = False) -> Any:
    """max(0, x), element by element."""
    return in_place(ops.relu, input, True) if inplace else ops.relu(input)


def relu_(input: Any) -> Any:
    """`relu`, in place."""
    return relu(input, True)


def sigmoid(input: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return ops.sigmoid(input)


def tanh(input: Any) -> Any:
    """The hyperbolic tangent."""
    return ops.tanh(input)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """X limited to the range from `min_val` to `max_val`; the slope at both ends is 0."""
    if min_val > max_val:
        raise ValueOptionError("min_val cannot be greater than max_val")

    def function(x: Any) -> Any:
        data = x._data
        limited = np.clip(data, min_val, max_val).astype(data.dtype, copy=False)
        return shown(ops.where((data > min_val) & (data < max_val), x, tensor(limited)), "HardtanhBackward0")

    return in_place(function, input, inplace)


def hardtanh_(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """`hardtanh`, in place."""
    return hardtanh(input, min_val, max_val, True)


def relu6(input: Any, inplace: bool = False) -> Any:
    """X limited to the range from 0 to 6."""
    return hardtanh(input, 0.0, 6.0, inplace)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """X above 0, alpha (exp(x) - 1) below."""
    return in_place(lambda x: shown(_exponential(x, 1.0, alpha, 1.0), "EluBackward0"), input, inplace)


def elu_(input: Any, alpha: float = 1.0) -> Any:
    """`elu`, in place."""
    return elu(input, alpha, True)


def _exponential(x: Any, scale: float, alpha: float, rate: float) -> Any:
    """Scale x above 0, scale alpha (exp(rate x) - 1) below; the untaken branch never overflows."""
    above = x._data > 0
    below = ops.where(above, tensor(np.zeros((), x._data.dtype)), x)
    curved = ops.expm1(below * rate) if rate != 1 else ops.expm1(below)
    result = ops.where(above, x, curved * alpha)
    return result * scale if scale != 1 else result


def selu(input: Any, inplace: bool = False) -> Any:
    """The scaled `elu` under which activations keep mean 0 and variance 1."""
    return in_place(
        lambda x: shown(_exponential(x, _SELU_SCALE, _SELU_ALPHA, 1.0), "EluBackward0"), input, inplace
    )


def selu_(input: Any) -> Any:
    """`selu`, in place."""
    return selu(input, True)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """X above 0, alpha (exp(x / alpha) - 1) below."""
    if alpha == 0:
        raise OperationError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return in_place(
        lambda x: shown(_exponential(x, 1.0, alpha, 1.0 / alpha), "CeluBackward0"), input, inplace
    )


def celu_(input: Any, alpha: float = 1.0) -> Any:
    """`celu`, in place."""
    return celu(input, alpha, True)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """X above 0, negative_slope x below."""

    def function(x: Any) -> Any:
        return shown(ops.where(x._data > 0, x, x * float(negative_slope)), "LeakyReluBackward0")

    return in_place(function, input, inplace)


def leaky_relu_(input: Any, negative_slope: float = 0.01) -> Any:
    """`leaky_relu`, in place."""
    return leaky_relu(input, negative_slope, True)


def prelu(input: Any, weight: Any) -> Any:
    """`leaky_relu` with a trained slope: one for all, or one for each channel."""
    if weight._data.ndim > 1:
        raise OperationError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight._data.ndim}"
        )
    if weight._data.size > 1:
        channels = input._data.shape[1] if input._data.ndim > 1 else 1
        if input._data.ndim == 0 or channels != weight._data.size:
            raise OperationError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight._data.size} and channel size = {channels}."
            )
        weight = ops.reshape(weight, shape=(-1, *(1,) * (input._data.ndim - 2)))
    else:
        weight = ops.reshape(weight, shape=())
    return shown(ops.where(input._data > 0, input, weight * input), "PreluKernelBackward0")


def rrelu(
    input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Any:
    """`leaky_relu` with a slope drawn for each element while training, and with the mean of them afterwards."""
    if lower > upper:
        raise OperationError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = np.ones(input._data.shape, input._data.dtype)
    below = input._data <= 0
    slopes[below] = random.uniform_(np.empty(int(below.sum())), lower, upper)
    return in_place(lambda x: shown(x * tensor(slopes), "RreluWithNoiseBackward0"), input, inplace)


def rrelu_(input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Any:
    """`rrelu`, in place."""
    return rrelu(input, lower, upper, training, True)


def _above(input: Any, limit: float, value: float, inplace: bool) -> Any:
    def function(x: Any) -> Any:
        return shown(ops.where(x._data > limit, x, _number(value, x)), "ThresholdBackward0")

    return in_place(function, input, inplace)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """X above the threshold, `value` elsewhere."""
    return _above(input, threshold, value, inplace)


def threshold_(input: Any, threshold: float, value: float) -> Any:
    """`threshold`, in place."""
    return _above(input, threshold, value, True)


def _number(value: float, like: Any) -> Any:
    return tensor(np.asarray(value, like._data.dtype))


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """(x + 3) / 6, limited to the range from 0 to 1."""
    return in_place(lambda x: shown(relu6(x + 3.0) / 6.0, "HardsigmoidBackward0"), input, inplace)


def hardswish(input: Any, inplace: bool = False) -> Any:
    """X times `hardsigmoid(x)`."""
    return in_place(lambda x: shown(x * (relu6(x + 3.0) / 6.0), "HardswishBackward0"), input, inplace)


def gelu(input: Any, approximate: str = "none") -> Any:
    """X times the probability that a normal number is below it; "tanh" is a cheaper approximation."""
    if approximate == "none":
        result = input * (ops.erf(input * math.sqrt(0.5)) + 1.0) * 0.5
    elif approximate == "tanh":
        inner = (input + input * input * input * 0.044715) * math.sqrt(2 / math.pi)
        result = input * (ops.tanh(inner) + 1.0) * 0.5
    else:
        raise OperationError("approximate argument must be either none or tanh.")
    return shown(result, "GeluBackward0")


def silu(input: Any, inplace: bool = False) -> Any:
    """X sigmoid(x)."""
    return in_place(lambda x: shown(x * ops.sigmoid(x), "SiluBackward0"), input, inplace)


def mish(input: Any, inplace: bool = False) -> Any:
    """X tanh(softplus(x))."""
    return in_place(lambda x: shown(x * ops.tanh(ops.softplus(x)), "MishBackward0"), input, inplace)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold."""
    scaled = input * float(beta)
    result = ops.where(scaled._data > threshold, input, ops.softplus(scaled) / float(beta))
    return shown(result, "SoftplusBackward0")


def logsigmoid(input: Any) -> Any:
    """log(sigmoid(x))."""
    return shown(-ops.softplus(-input), "LogSigmoidBackward0")


def softsign(input: Any) -> Any:
    """X / (1 + |x|)."""
    return input / (ops.abs(input) + 1.0)


def tanhshrink(input: Any) -> Any:
    """X - tanh(x)."""
    return input - ops.tanh(input)


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """X moved towards 0 by `lambd`; 0 where it is nearer than that."""
    if lambd < 0:
        raise OperationError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    data = input._data
    moved = input - tensor((np.sign(data) * lambd).astype(data.dtype))
    return shown(ops.where(np.abs(data) > lambd, moved, _number(0, input)), "SoftshrinkBackward0")


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """x; 0 where its size is at most `lambd`."""
    data = input._data
    return shown(
        ops.where((data >= -lambd) & (data <= lambd), _number(0, input), input), "HardshrinkBackward0"
    )


def glu(input: Any, dim: int = -1) -> Any:
    """The first half along `dim`, times the sigmoid of the second half."""
    if input._data.ndim == 0:
        raise OperationError("glu does not support 0-dimensional tensors")
    length = input._data.shape[dim]
    if length % 2:
        raise OperationError(
            f"Halving dimension must be even, but dimension {dim % input._data.ndim} is size {length}"
        )
    before = (slice(None),) * (dim % input._data.ndim)
    first, second = (
        ops.getitem(input, (*before, slice(length // 2))),
        ops.getitem(input, (*before, slice(length // 2, None))),
    )
    return shown(first * ops.sigmoid(second), "GluBackward0")


# softmax -------------------------------------------------------------------------------------------------


def _dimension(name: str, dim: int | None, count: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=4,
    )
    return 0 if count in (0, 1, 3) else 1


def _along(function: Any, input: Any, dim: int, dtype: Any) -> Any:
    x = input if dtype is None else ops.astype(input, dtype=to_numpy_dtype(dtype))
    if x._data.ndim == 0:
        return ops.reshape(function(ops.reshape(x, shape=(1,)), axis=0), shape=())
    return function(x, axis=dim)


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """Exponentials over their sum along `dim`."""
    return _along(ops.softmax, input, _dimension("softmax", dim, input._data.ndim), dtype)


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """`softmax` of -x."""
    return _along(ops.softmax, -input, _dimension("softmin", dim, input._data.ndim), dtype)


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The logarithm of `softmax`, without overflow."""
    return _along(ops.log_softmax, input, _dimension("log_softmax", dim, input._data.ndim), dtype)


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Any:
    """A sample from the Gumbel-softmax distribution; with `hard`, one-hot with the gradient of the soft sample."""
    noise = tensor(-np.log(random.exponential_(np.empty_like(logits._data))))
    soft = ops.softmax((logits + noise) / float(tau), axis=dim)
    if not hard:
        return soft
    chosen = np.zeros_like(soft._data)
    np.put_along_axis(chosen, np.expand_dims(soft._data.argmax(axis=dim), dim), 1.0, axis=dim)
    return tensor(chosen) - soft.detach() + soft


# lengths -------------------------------------------------------------------------------------------------


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """X over its p-norm along `dim`."""
    length = ops.vector_norm(input, axis=dim, keepdims=True, ord=p)
    result = input / ops.maximum(length, _number(eps, length))
    if out is None:
        return result
    out._data[...] = result._data
    return out


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along `dim`."""
    shape = np.broadcast_shapes(x1._data.shape, x2._data.shape)
    x1, x2 = (x if x._data.shape == shape else ops.broadcast_to(x, shape=shape) for x in (x1, x2))
    first, second = (x / _at_least(ops.vector_norm(x, axis=dim, keepdims=True), eps) for x in (x1, x2))
    return ops.sum(first * second, axis=dim)


def _at_least(x: Any, smallest: float) -> Any:
    return ops.where(x._data > smallest, x, _number(smallest, x))


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The p-norm of x1 - x2 + eps, along the last dimension."""
    return ops.vector_norm(x1 - x2 + eps, axis=-1, keepdims=keepdim, ord=p)


def pdist(input: Any, p: float = 2.0) -> Any:
    """The distances between all pairs of rows."""
    rows, columns = np.triu_indices(input._data.shape[0], 1)
    difference = ops.getitem(input, rows) - ops.getitem(input, columns)
    if input._data.ndim != 2:
        raise OperationError(f"pdist only supports 2D tensors, got: {input._data.ndim}D")
    if p < 0:
        raise OperationError("pdist only supports non-negative p values")
    lengths = ops.vector_norm(difference, axis=-1, ord=p)
    if p == 0:  # a count, which changes nowhere
        lengths = lengths + ops.sum(difference * 0.0, axis=-1)
    return shown(lengths, "PdistBackward0")
