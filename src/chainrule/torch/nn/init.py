"""How parameters begin, with PyTorch's own random numbers; every function changes its tensor in place."""

from __future__ import annotations

import math
import warnings
from sys import _getframe
from typing import Any

import numpy as np

from chainrule.inplace import note_change
from chainrule.lines import place
from chainrule.torch import random
from chainrule.torch.errors import ValueOptionError
from chainrule.torch.missing import missing_name

_GAINS = {"sigmoid": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4, "linear": 1.0}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which the weights before a nonlinearity are larger.

    >>> round(calculate_gain("relu"), 6)
    1.414214
    """
    if nonlinearity in _GAINS or nonlinearity.startswith("conv"):
        return _GAINS.get(nonlinearity, 1.0)
    if nonlinearity != "leaky_relu":
        raise ValueOptionError(f"Unsupported nonlinearity {nonlinearity}")
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, (int, float)):
        raise ValueOptionError(f"negative_slope {slope} not a valid number")
    return math.sqrt(2.0 / (1 + slope**2))


def _changed(tensor: Any) -> Any:
    note_change(tensor._data, place(_getframe(2)))
    return tensor


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """Evenly between a and b."""
    random.uniform_(tensor._data, a, b, generator=generator)
    return _changed(tensor)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """Normally, around `mean`."""
    random.normal_(tensor._data, mean, std, generator=generator)
    return _changed(tensor)


def trunc_normal_(
    tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Any:
    """Normally, between a and b only."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be "
            "incorrect.",
            stacklevel=2,
        )
    random.trunc_normal_(tensor._data, mean, std, a, b, generator=generator)
    return _changed(tensor)


def constant_(tensor: Any, val: float) -> Any:
    """The same number everywhere."""
    tensor._data[...] = val
    return _changed(tensor)


def ones_(tensor: Any) -> Any:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Any) -> Any:
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Any) -> Any:
    """The identity matrix."""
    if tensor._data.ndim != 2:
        raise ValueOptionError("Only tensors with 2 dimensions are supported")
    tensor._data[...] = np.eye(*tensor._data.shape)
    return _changed(tensor)


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Kernels of a convolution that hands on its channels."""
    data = tensor._data
    if data.ndim not in (3, 4, 5):
        raise ValueOptionError("Only tensors with 3, 4, or 5 dimensions are supported")
    if data.shape[0] % groups:
        raise ValueOptionError("dim 0 must be divisible by groups")
    each = data.shape[0] // groups
    data[...] = 0
    middle = tuple(n // 2 for n in data.shape[2:])
    for channel in range(min(each, data.shape[1])):
        data[(slice(channel, None, each), channel, *middle)] = 1
    return _changed(tensor)


def _calculate_fan_in_and_fan_out(tensor: Any) -> tuple[int, int]:
    shape = tensor._data.shape
    if len(shape) < 2:
        raise ValueOptionError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _calculate_correct_fan(tensor: Any, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueOptionError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Glorot and Bengio (2010), evenly."""
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    random.uniform_(tensor._data, -bound, bound, generator=generator)
    return _changed(tensor)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Glorot and Bengio (2010), normally."""
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    random.normal_(tensor._data, 0.0, std, generator=generator)
    return _changed(tensor)


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float | None:
    if 0 in tensor._data.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def kaiming_uniform_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """He et al. (2015), evenly."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    random.uniform_(tensor._data, -bound, bound, generator=generator)
    return _changed(tensor)


def kaiming_normal_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """He et al. (2015), normally."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    random.normal_(tensor._data, 0.0, std, generator=generator)
    return _changed(tensor)


def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """A matrix with orthonormal rows or columns: Saxe et al. (2013)."""
    data = tensor._data
    if data.ndim < 2:
        raise ValueOptionError("Only tensors with 2 or more dimensions are supported")
    if not data.size:
        return tensor
    rows, columns = data.shape[0], data.size // data.shape[0]
    drawn = random.normal_(np.empty((rows, columns), data.dtype), 0.0, 1.0, generator=generator)
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * np.sign(np.diagonal(r))
    data[...] = gain * (q.T if rows < columns else q).reshape(data.shape)
    return _changed(tensor)


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Any:
    """Normally, with the same share of zeros in each column: Martens (2010)."""
    data = tensor._data
    if data.ndim != 2:
        raise ValueOptionError("Only tensors with 2 dimensions are supported")
    zeros = math.ceil(sparsity * data.shape[0])
    random.normal_(data, 0.0, std, generator=generator)
    for column in range(data.shape[1]):
        data[random.randperm(data.shape[0])[:zeros], column] = 0
    return _changed(tensor)


def __getattr__(name: str) -> Any:
    raise missing_name(__name__, name, globals())
