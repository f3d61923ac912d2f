"""Normalisation."""

from __future__ import annotations

import math
from sys import _getframe
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.inplace import note_change
from chainrule.lines import place
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.nn.functional.common import shown


def _scaled(x: Any, weight: Any, bias: Any, shape: tuple[int, ...] | None = None) -> Any:
    """X times the weight plus the bias, which have one number for each channel (or the given shape)."""
    if weight is not None:
        x = x * (weight if shape is None else ops.reshape(weight, shape=shape))
    if bias is not None:
        x = x + (bias if shape is None else ops.reshape(bias, shape=shape))
    return x


def _per_channel(x: Any) -> tuple[int, ...]:
    return (-1, *(1,) * (x._data.ndim - 2))


def _follow(running: Any, new: Any, momentum: float) -> None:
    """Running = (1 - momentum) running + momentum new, in the memory of `running`."""
    data = running._data
    data *= 1 - momentum
    data += momentum * new
    note_change(data, place(_getframe(1)))


def _check_size(x: Any) -> None:
    shape = x._data.shape
    if shape[0] * math.prod(shape[2:]) == 1:
        raise ValueOptionError(
            f"Expected more than 1 value per channel when training, got input size {x.shape}"
        )


def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Each channel, over the whole batch, with mean 0 and variance 1; then scaled and shifted."""
    x = input._data
    channels = x.shape[1] if x.ndim > 1 else 0
    for name, given in (("running_mean", running_mean), ("weight", weight)):
        if given is not None and given._data.size != channels:
            raise OperationError(f"{name} should contain {channels} elements not {given._data.size}")
    shape = _per_channel(input)
    if training:
        _check_size(input)
        axes = (0, *range(2, x.ndim))
        if running_mean is not None and x.size:
            count = x.size // x.shape[1]
            _follow(running_mean, x.mean(axis=axes), momentum)
            _follow(running_var, x.var(axis=axes) * (count / max(count - 1, 1)), momentum)
        result = ops.standardized(input, axis=axes, eps=float(eps))
    else:
        if running_mean is None or running_var is None:
            raise OperationError("Expected running_mean and running_var to be defined when training=False")
        root = ops.sqrt(running_var + float(eps))
        result = (input - ops.reshape(running_mean, shape=shape)) / ops.reshape(root, shape=shape)
    return shown(_scaled(result, weight, bias, shape), "NativeBatchNormBackward0")


def instance_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Each channel of each sample with mean 0 and variance 1; then scaled and shifted."""
    x = input._data
    shape = _per_channel(input)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise OperationError(
                "Expected running_mean and running_var to be defined when use_input_stats=False"
            )
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(x.shape[2:]) == 1:
        raise ValueOptionError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    axes = tuple(range(2, x.ndim))
    if running_mean is not None:
        count = math.prod(x.shape[2:])
        _follow(running_mean, x.mean(axis=axes).mean(axis=0), momentum)
        _follow(running_var, (x.var(axis=axes) * (count / max(count - 1, 1))).mean(axis=0), momentum)
    return shown(
        _scaled(ops.standardized(input, axis=axes, eps=float(eps)), weight, bias, shape), "ViewBackward0"
    )


def _trailing(input: Any, normalized_shape: Any) -> tuple[int, ...]:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(input._data.shape[-len(shape) :]) != shape:
        raise OperationError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, "
            f"{', '.join(map(str, shape))}], but got "
            f"input of size{list(input.shape)}"
        )
    return tuple(range(-len(shape), 0))


def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """The last dimensions of each sample with mean 0 and variance 1; then scaled and shifted."""
    result = ops.standardized(input, axis=_trailing(input, normalized_shape), eps=float(eps))
    return shown(_scaled(result, weight, bias), "NativeLayerNormBackward0")


def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """The last dimensions of each sample over the root of their mean square."""
    axes = _trailing(input, normalized_shape)
    eps = float(np.finfo(input._data.dtype).eps) if eps is None else float(eps)
    result = input / ops.sqrt(ops.mean(input * input, axis=axes, keepdims=True) + eps)
    return shown(_scaled(result, weight, None), "MulBackward0")


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """The channels of each group of each sample with mean 0 and variance 1; then scaled and shifted."""
    shape = input._data.shape
    if len(shape) < 2:
        raise OperationError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if shape[1] % num_groups:
        raise OperationError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    apart = ops.reshape(input, shape=(shape[0], num_groups, -1)) if input._data.size else input
    result = ops.reshape(ops.standardized(apart, axis=-1, eps=float(eps)), shape=shape)
    return shown(_scaled(result, weight, bias, _per_channel(input)), "NativeGroupNormBackward0")


def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """X over a power of the mean square of the neighbouring channels."""
    shape = input._data.shape
    if len(shape) < 3:
        raise ValueOptionError(f"Expected 3D or higher dimensionality input (got {len(shape)} dimensions)")
    squares = ops.reshape(input * input, shape=(shape[0], 1, shape[1], math.prod(shape[2:])))
    squares = ops.pad(squares, [(0, 0), (0, 0), (size // 2, (size - 1) // 2), (0, 0)])
    window = np.full((1, 1, size, 1), 1 / size, input._data.dtype)
    means = ops.convolution(squares, window, stride=(1, 1), padding=(0, 0), dilation=(1, 1))
    return input / (ops.reshape(means, shape=shape) * float(alpha) + float(k)) ** float(beta)
