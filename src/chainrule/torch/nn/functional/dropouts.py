"""Dropout: elements or whole channels set to zero at random."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from chainrule.torch import random
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.nn.functional.common import in_place, shown, tensor

_ALPHA = 1.7580993408473766


def _check(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueOptionError(f"dropout probability has to be between 0 and 1, but got {p}")


def _mask(x: Any, p: float, whole_channels: bool) -> Any:
    shape = x.shape if not whole_channels else (*x.shape[:2], *(1,) * (x.ndim - 2))
    return random.dropout_mask(shape, p, dtype=x.dtype)


def _dropped(input: Any, p: float, training: bool, inplace: bool, whole_channels: bool = False) -> Any:
    _check(p)
    if not training or p == 0 or not input._data.size:
        return input
    none = np.zeros((), input._data.dtype)
    factor = none if p == 1 else _mask(input._data, p, whole_channels) / (1 - p)
    return in_place(lambda x: shown(x * tensor(factor), "MulBackward0"), input, inplace)


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Each element set to 0 with probability p, the others divided by 1 - p."""
    return _dropped(input, p, training, inplace)


def _of_channels(input: Any, p: float, training: bool, inplace: bool, count: int) -> Any:
    _check(p)
    dims = input._data.ndim
    if dims not in (count + 1, count + 2):
        if count == 1:
            raise OperationError(f"dropout1d: Expected 2D or 3D input, but received a {dims}D input.")
        warnings.warn(
            f"dropout{count}d: Received a {dims}-D input to dropout{count}d, which is deprecated and will result in an "
            f"error in a future release.",
            stacklevel=3,
        )
    if dims != count + 2 and count != 2:
        batch = input.unsqueeze(0)
        out = _dropped(batch, p, training, False, True)
        return in_place(lambda x: out.squeeze(0), input, True) if inplace else out.squeeze(0)
    return _dropped(input, p, training, inplace, True)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (batch, channels, length) set to 0 with probability p."""
    return _of_channels(input, p, training, inplace, 1)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of images set to 0 with probability p."""
    return _of_channels(input, p, training, inplace, 2)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of volumes set to 0 with probability p."""
    return _of_channels(input, p, training, inplace, 3)


def _alpha_dropped(input: Any, p: float, training: bool, inplace: bool, whole_channels: bool) -> Any:
    """What is dropped becomes SELU's negative limit; then the mean and the variance are restored."""
    _check(p)
    if not training or p == 0 or not input._data.size:
        return input
    if p == 1:
        return in_place(lambda x: x * 0.0, input, inplace)
    kept = _mask(input._data, p, whole_channels)
    scale = 1.0 / np.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    shift = (kept - 1) * (_ALPHA * scale) + _ALPHA * scale * p
    factor, added = (kept * scale).astype(kept.dtype), shift.astype(kept.dtype)
    return in_place(lambda x: x * tensor(factor) + tensor(added), input, inplace)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Dropout that keeps mean and variance of the output of SELU."""
    return _alpha_dropped(input, p, training, inplace, False)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """`alpha_dropout` of whole channels."""
    return _alpha_dropped(input, p, training, inplace, True)
