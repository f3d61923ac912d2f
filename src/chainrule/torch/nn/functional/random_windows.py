"""Pooling of windows at random places: Graham (2014)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.torch import random
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.nn.functional.common import batched, tuple_of
from chainrule.torch.nn.functional.pooling import Lengths, chosen, greatest_in


def _fractional(
    input: Any,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Any,
    count: int,
) -> Any:
    """Graham (2014): windows at places that a pseudo-random sequence chooses, one for each channel and axis."""
    x, was_batched = batched(input, count, f"fractional_max_pool{count}d")
    kernel, space = tuple_of(kernel_size, count), x._data.shape[2:]
    if output_size is None and output_ratio is None:
        raise ValueOptionError(
            "fractional_max_pool requires specifying either an output_size or an output_ratio"
        )
    if output_size is None:
        ratios = (output_ratio,) * count if isinstance(output_ratio, float) else tuple(output_ratio)
        wanted: Lengths = tuple(int(n * r) for n, r in zip(space, ratios, strict=True))
    else:
        wanted = tuple_of(output_size, count)
    batch, channels = x._data.shape[:2]
    if samples is None:
        drawn = random.rand((batch, channels, count), x._data.dtype)
    else:
        drawn = samples._data.reshape(-1, channels, count)[:batch]
    index = np.zeros((batch, channels, *wanted), np.int64)
    order = (1, 0) if count == 2 else (0, 1, 2)  # of an image, the first sample is for the width
    for n, c in np.ndindex(batch, channels):
        lines = [_starts(float(drawn[n, c, order[i]]), space[i], wanted[i], kernel[i]) for i in range(count)]
        bins = [[(start, start + k) for start in line] for line, k in zip(lines, kernel, strict=True)]
        index[n, c] = greatest_in(x._data[n : n + 1, c : c + 1], bins)[0, 0]
    return chosen(x, index, was_batched, return_indices, f"FractionalMaxPool{count}DBackward0")


def _starts(sample: float, length: int, count: int, kernel: int) -> list[int]:
    if kernel + count - 1 > length:
        raise OperationError(
            f"fractional_max_pool: pool size {kernel} too large relative to input size {length}"
        )
    if count == 1:
        return [length - kernel]
    step = (length - kernel) / (count - 1)
    return [int((i + sample) * step) - int(sample * step) for i in range(count - 1)] + [length - kernel]


def fractional_max_pool2d(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:  # fmt: skip
    """The maxima of windows at random places of an image."""
    return _fractional(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 2)


def fractional_max_pool3d(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:  # fmt: skip
    """The maxima of windows at random places of a volume."""
    return _fractional(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 3)
