"""`tf.nn`: the functions of neural networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.tensorflow.arrays import elements, is_symbolic
from chainrule.tensorflow.elementwise import TABLE
from chainrule.tensorflow.errors import InvalidArgumentError, missing
from chainrule.tensorflow.linalg import l2_normalize as l2_normalize
from chainrule.tensorflow.random import generator
from chainrule.tensorflow.reductions import axis_of
from chainrule.tensorflow.shapes import gather
from chainrule.tensorflow.tensors import Tensor, binary, convert

sigmoid, tanh, softplus, log_sigmoid = (
    TABLE[name] for name in ("sigmoid", "tanh", "softplus", "log_sigmoid")
)


def relu(features: Any, name: Any = None) -> Any:
    """The positive part."""
    return ops.relu(convert(features))


def relu6(features: Any, name: Any = None) -> Any:
    """The positive part, at most 6."""
    return ops.minimum(relu(features), 6.0)


def leaky_relu(features: Any, alpha: float = 0.2, name: Any = None) -> Any:
    """The positive part, and `alpha` times the negative one."""
    x = convert(features)
    return ops.where(elements(x) > 0, x, alpha * x)


def elu(features: Any, alpha: float = 1.0, name: Any = None) -> Any:
    """The positive part, and alpha (exp(x) - 1) for the negative one."""
    x = convert(features)
    positive = elements(x) > 0
    return ops.where(positive, x, alpha * ops.expm1(ops.where(positive, ops.zeros_like(x), x)))


def selu(features: Any, name: Any = None) -> Any:
    """The scaled exponential linear unit, with its two constants."""
    return 1.0507009873554805 * elu(features, 1.6732632423543772)


def gelu(features: Any, approximate: bool = False, name: Any = None) -> Any:
    """X times the normal distribution function at x."""
    x = convert(features)
    if approximate:
        return 0.5 * x * (1 + ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + ops.erf(x / math.sqrt(2)))


def silu(features: Any, beta: float = 1.0) -> Any:
    """X sigmoid(beta x)."""
    x = convert(features)
    return x * ops.sigmoid(beta * x)


swish = silu


def softmax(logits: Any, axis: Any = -1, name: Any = None) -> Any:
    """Exponentials divided by their sum."""
    return ops.softmax(convert(logits), axis=-1 if axis is None else axis_of(axis))


def log_softmax(logits: Any, axis: Any = -1, name: Any = None) -> Any:
    """The logarithm of softmax."""
    return ops.log_softmax(convert(logits), axis=-1 if axis is None else axis_of(axis))


def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1, name: Any = None) -> Any:
    """The cross-entropy of each row, for labels that are probabilities."""
    logits = convert(logits)
    return ops.cross_entropy_of_logits(logits, convert(labels, logits.dtype), axis=axis)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: Any = None) -> Any:
    """The cross-entropy of each row, for labels that are class numbers."""
    logits, numbers = convert(logits), elements(convert(labels))
    if numbers.dtype.kind not in "iu" or numbers.shape != logits._data.shape[:-1]:
        raise InvalidArgumentError(
            f"labels must be class numbers of shape {logits.shape[:-1]}, but are {numbers.dtype} of shape "
            f"{numbers.shape}; probabilities are for softmax_cross_entropy_with_logits"
        )
    if is_symbolic(numbers):  # a label out of bounds is found where it is used
        numbers = ops.where(numbers < 0, logits._data.shape[-1], numbers)
    elif numbers.size and not (numbers.min() >= 0 and numbers.max() < logits.shape[-1]):
        raise InvalidArgumentError(
            f"Received a label value of {numbers.max() if numbers.min() >= 0 else numbers.min()} which is "
            f"outside the valid range of [0, {logits.shape[-1]})."
        )
    taken = ops.take_along_axis(ops.log_softmax(logits), numbers[..., None], axis=-1)
    return -ops.squeeze(taken, axis=-1)


def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any, name: Any = None) -> Any:
    """The cross-entropy of each element, for two classes."""
    logits = convert(logits)
    return binary("Mul", lambda x, z: ops.softplus(x) - x * z, logits, labels)


def l2_loss(t: Any, name: Any = None) -> Any:
    """Half the sum of squares."""
    return ops.sum(ops.square(convert(t))) / 2


def dropout(x: Any, rate: float, noise_shape: Any = None, seed: int | None = None, name: Any = None) -> Any:
    """A random share `rate` of the elements becomes 0, the others grow in proportion."""
    x = convert(x)
    kept = generator(seed).random(x._data.shape if noise_shape is None else tuple(noise_shape)) >= rate
    return x * Tensor._wrapped((kept / (1 - rate)).astype(x._data.dtype)) if rate else x


def bias_add(value: Any, bias: Any, data_format: Any = None, name: Any = None) -> Any:
    """The sum with a vector along the last axis."""
    return convert(value) + bias


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: Any = None) -> Any:
    """The rows of a table."""
    return gather(params, ids)


def moments(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: Any = None
) -> tuple[Any, Any]:
    """The mean and the variance."""
    x, axis = convert(x), axis_of(axes)
    return ops.mean(x, axis=axis, keepdims=keepdims), ops.var(x, axis=axis, keepdims=keepdims)


def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: float, name: Any = None
) -> Any:
    """The deviations from the mean, divided by the standard deviation, scaled and moved."""
    factor = 1 / ops.sqrt(convert(variance) + variance_epsilon)
    out = (convert(x) - mean) * (factor if scale is None else factor * scale)
    return out if offset is None else out + offset


# images: (rows, height, width, channels) -----------------------------------------------------------------


def pair(value: Any) -> tuple[int, int]:
    """A size in both directions: of a number, of a pair, or of four with 1 at the ends.

    >>> pair(2), pair((1, 2)), pair([1, 3, 3, 1])
    ((2, 2), (1, 2), (3, 3))
    """
    if isinstance(value, int):
        return value, value
    first, second = value if len(value) == 2 else value[1:3] if len(value) == 4 else (value[0], value[0])
    return int(first), int(second)


def _windows(x: Any, size: tuple[int, int], strides: tuple[int, int], padding: str, fill: float) -> list[Any]:
    """For each place in a window, in the order of rows, the elements of all windows at that place."""
    if padding.upper() not in ("SAME", "VALID"):
        raise InvalidArgumentError(f"padding={padding!r}: expected 'same' or 'valid'")
    lengths = x.shape[1:3]
    if padding.upper() == "SAME":
        around = [
            max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(lengths, size, strides, strict=True)
        ]
        if any(around):
            widths = [(0, 0), *((a // 2, a - a // 2) for a in around), (0, 0)]
            x = ops.pad(x, widths, constant_values=fill)
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:3], size, strides, strict=True)]
    if min(counts) < 1:
        raise InvalidArgumentError(f"a window of {size} is larger than the image of {tuple(lengths)}")
    return [
        x[
            :,
            i : i + strides[0] * (counts[0] - 1) + 1 : strides[0],
            j : j + strides[1] * (counts[1] - 1) + 1 : strides[1],
        ]
        for i in range(size[0])
        for j in range(size[1])
    ]


def conv2d(
    input: Any, filters: Any, strides: Any = 1, padding: str = "VALID", data_format: str = "NHWC",
    dilations: Any = 1, name: Any = None,
) -> Any:  # fmt: skip
    """The convolution of images with filters of shape (height, width, channels, features)."""
    x, filters = convert(input), convert(filters)
    if data_format != "NHWC" or pair(dilations) != (1, 1):
        raise InvalidArgumentError("conv2d has only the data format NHWC, and no dilation")
    if x.ndim != 4 or filters.ndim != 4 or x.shape[-1] != filters.shape[2]:
        raise InvalidArgumentError(
            f"conv2d needs images (rows, height, width, channels) and filters (height, width, channels, "
            f"features), but was given shapes {x.shape} and {filters.shape}"
        )
    size = (filters.shape[0], filters.shape[1])
    columns = ops.concat(_windows(x, size, pair(strides), padding, 0.0), axis=-1)
    return columns @ ops.reshape(filters, shape=(-1, filters.shape[-1]))


def max_pool2d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NHWC", name: Any = None
) -> Any:
    """The greatest element of each window."""
    x = convert(input)
    return ops.max(ops.stack(_windows(x, pair(ksize), pair(strides), padding, -math.inf)), axis=0)


max_pool = max_pool2d


def avg_pool2d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NHWC", name: Any = None
) -> Any:
    """The mean of each window; what lies outside the image does not count."""
    x = convert(input)
    total = sum(_windows(x, pair(ksize), pair(strides), padding, 0.0))
    inside = Tensor._wrapped(np.ones(x._data.shape, x._data.dtype))
    return total / sum(_windows(inside, pair(ksize), pair(strides), padding, 0.0))


avg_pool = avg_pool2d


def __getattr__(name: str) -> Any:
    missing("tf.nn", name, globals())
