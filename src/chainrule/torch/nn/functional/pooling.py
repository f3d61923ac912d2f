"""Pooling: the maximum, mean or norm of windows.

A maximum is found on the values alone, as a flat index; the result reads the input at that index, so that its
derivatives are those of reading. Means are convolutions with a constant kernel.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.nn.functional.common import batched, shown, tensor, tuple_of, unbatched
from chainrule.torch.tensors import is_symbolic

Lengths = tuple[int, ...]


def _places(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The number of windows; with `ceil_mode`, also one that ends beyond the border if it starts before it."""
    room = n + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= n + padding else count


def _check_window(name: str, kernel: Lengths, stride: Lengths, padding: Lengths, dilation: Lengths) -> None:
    if min(stride) <= 0:
        raise OperationError(f"stride must be greater than zero, but got {min(stride)}")
    if min(dilation) <= 0:
        raise OperationError(f"dilation must be greater than zero, but got {min(dilation)}")
    if min(kernel) <= 0:
        raise OperationError("kernel size should be greater than zero")
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        if p < 0:
            raise OperationError(f"{name}: pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise OperationError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}"
            )


def _read(x: Any, index: np.ndarray) -> Any:
    """The elements of (batch, channels, *space) at flat indices into the space of each channel."""
    batch, channels, *space = x._data.shape
    size = math.prod(space)
    planes = np.arange(batch * channels).reshape(batch, channels, *(1,) * len(space)) * size
    flat = ops.getitem(ops.reshape(x, shape=(-1,)), (index + planes).reshape(-1))
    return ops.reshape(flat, shape=index.shape)


def _greatest(
    x: np.ndarray, kernel: Lengths, stride: Lengths, padding: Lengths, dilation: Lengths, ceil_mode: bool
) -> np.ndarray:
    """The flat index of the first maximum of each window, within its channel."""
    space = x.shape[2:]
    places = tuple(
        _places(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(space, kernel, stride, padding, dilation, strict=True)
    )
    if min(places) < 1:
        raise OperationError(
            f"Given input size: {x.shape[1:]}. Calculated output size: {(x.shape[1], *places)}. Output size "
            f"is too small"
        )
    after = [
        max((t - 1) * s + d * (k - 1) + 1 - n - p, 0)
        for n, k, s, p, d, t in zip(space, kernel, stride, padding, dilation, places, strict=True)
    ]
    width = [(0, 0), (0, 0), *zip(padding, after, strict=True)]
    filled = np.pad(x, width, constant_values=-np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    best, found = None, np.zeros((*x.shape[:2], *places), np.int64)
    for offset in product(*map(range, kernel)):
        key = tuple(
            slice(o * d, o * d + (t - 1) * s + 1, s)
            for o, d, t, s in zip(offset, dilation, places, stride, strict=True)
        )
        here = filled[(slice(None), slice(None), *key)]
        at = _flat_places(offset, places, stride, padding, dilation, space)
        if best is None:
            # A window that starts in the padding has its first real element later.
            best, found[:] = here.copy(), at
            continue
        better = (
            (here > best) | np.isnan(here) & ~np.isnan(best) | (best == -np.inf) & (found < 0) & (at >= 0)
        )
        if is_symbolic(better):
            best, found = np.where(better, here, best), np.where(better, at, found)
        else:
            np.copyto(best, here, where=better)
            np.copyto(found, at, where=better)
    return found


def _flat_places(
    offset: Lengths, places: Lengths, stride: Lengths, padding: Lengths, dilation: Lengths, space: Lengths
) -> np.ndarray:
    """The flat index in the unpadded space of one element of each window; -1 outside it."""
    flat, inside = np.zeros((), np.int64), np.ones((), bool)
    for axis, n in enumerate(space):
        line = offset[axis] * dilation[axis] - padding[axis] + np.arange(places[axis]) * stride[axis]
        line = line.reshape(-1, *(1,) * (len(space) - axis - 1))
        flat, inside = flat * n + line, inside & (line >= 0) & (line < n)
    return np.where(inside, flat, -1)


def _max_pooled(
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
    count: int,
) -> Any:
    x, was_batched = batched(input, count, f"max_pool{count}d")
    if 0 in x._data.shape[1:]:
        raise OperationError(
            f"Expected {count + 1}D or {count + 2}D (batch mode) tensor with optional 0 dim batch size for "
            f"input, whose "
            f"non-batch dimensions have positive length, but got {list(input.shape)}"
        )
    kernel = tuple_of(kernel_size, count, "kernel_size")
    strides = kernel if stride is None or stride in ((), []) else tuple_of(stride, count, "stride")
    paddings, dilations = tuple_of(padding, count, "padding"), tuple_of(dilation, count, "dilation")
    _check_window("max_pool", kernel, strides, paddings, dilations)
    index = _greatest(x._data, kernel, strides, paddings, dilations, ceil_mode)
    return chosen(x, index, was_batched, return_indices, _name("MaxPool", count, "WithIndices"))


def _name(what: str, count: int, rest: str = "") -> str:
    return f"{what}{count}D{rest}Backward0" if count > 1 else "SqueezeBackward1"


def chosen(x: Any, index: np.ndarray, was_batched: bool, return_indices: bool, name: str) -> Any:
    """The elements at flat indices and, if they are asked for, the indices."""
    out = shown(unbatched(_read(x, index), was_batched), name)
    return (out, tensor(index if was_batched else index[0])) if return_indices else out


def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of a signal."""
    return _max_pooled(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 1)


def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of an image."""
    return _max_pooled(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 2)


def max_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of a volume."""
    return _max_pooled(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 3)


def _unpooled(
    input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any, count: int
) -> Any:
    x, was_batched = batched(input, count, f"max_unpool{count}d")
    index = indices._data if was_batched else indices._data[None]
    if output_size is None:
        kernel, around = tuple_of(kernel_size, count), tuple_of(padding, count)
        strides = kernel if stride is None else tuple_of(stride, count)
        shapes = zip(x._data.shape[2:], kernel, strides, around, strict=True)
        space: Lengths = tuple((n - 1) * s + k - 2 * p for n, k, s, p in shapes)
    else:
        space = tuple(int(n) for n in output_size)[-count:]
    size = math.prod(space)
    if index.size and not 0 <= index.min() <= index.max() < size:
        raise OperationError(
            f"Found an invalid max index: {index.max()} (output volumes are of size {space})"
        )
    batch, channels = x._data.shape[:2]
    planes = np.arange(batch * channels).reshape(batch, channels, *(1,) * count) * size
    flat = tensor(np.zeros(batch * channels * size, x._data.dtype))
    places, values = (index + planes).reshape(-1), ops.reshape(x, shape=(-1,))
    out = ops.index_update(flat, values, places)
    if values.requires_grad and np.unique(places).size < places.size:
        # Of elements with the same place the last one counts, but as in PyTorch all of them get its gradient.
        added = ops.scatter_add(values, key=places, shape=flat._data.shape)
        out = added + tensor(out._data - added._data)
    return shown(
        unbatched(ops.reshape(out, shape=(batch, channels, *space)), was_batched),
        f"MaxUnpool{count}DBackward0",
    )


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Each element put where `max_pool1d` found it, zeros elsewhere."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Each element put where `max_pool2d` found it, zeros elsewhere."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Each element put where `max_pool3d` found it, zeros elsewhere."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 3)


# means ---------------------------------------------------------------------------------------------------


def _window_sums(x: Any, kernel: Lengths, stride: Lengths, padding: Lengths, places: Lengths) -> Any:
    """The sum of each window, as a convolution of every channel with ones."""
    batch, channels, *space = x._data.shape
    after = [
        (t - 1) * s + k - n - p for t, s, k, n, p in zip(places, stride, kernel, space, padding, strict=True)
    ]
    plane = ops.reshape(x, shape=(batch * channels, 1, *space))
    if any(a != p for a, p in zip(after, padding, strict=True)):
        key = tuple(slice(None, min(n, n + a)) for n, a in zip(space, after, strict=True))
        plane = ops.getitem(plane, (slice(None), slice(None), *key))
        around = [(0, 0), (0, 0), *((p, max(a, 0)) for p, a in zip(padding, after, strict=True))]
        plane, padding = ops.pad(plane, around), (0,) * len(space)
    ones = np.ones((1, 1, *kernel), x._data.dtype)
    sums = ops.convolution(plane, ones, stride=stride, padding=padding, dilation=(1,) * len(space))
    return ops.reshape(sums, shape=(batch, channels, *places))


def _divisors(
    space: Lengths, kernel: Lengths, stride: Lengths, padding: Lengths, places: Lengths, include_padding: bool
) -> np.ndarray:
    """The number of elements of each window, with the padding or without it."""
    total = np.ones((), np.int64)
    for n, k, s, p, t in zip(space, kernel, stride, padding, places, strict=True):
        start = np.arange(t) * s - p
        end = np.minimum(start + k, n + p)
        length = end - start if include_padding else np.minimum(end, n) - np.maximum(start, 0)
        total = total[..., None] * length
    return total


def _mean_pooled(
    input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None, count: int,
) -> Any:  # fmt: skip
    x, was_batched = batched(input, count, f"avg_pool{count}d")
    kernel = tuple_of(kernel_size, count, "kernel_size")
    strides = kernel if stride is None or stride in ((), []) else tuple_of(stride, count, "stride")
    paddings = tuple_of(padding, count, "padding")
    _check_window("avg_pool", kernel, strides, paddings, (1,) * count)
    if divisor_override == 0:
        raise OperationError("divisor must be not zero")
    space = x._data.shape[2:]
    places = tuple(
        _places(n, k, s, p, 1, ceil_mode) for n, k, s, p in zip(space, kernel, strides, paddings, strict=True)
    )
    if min(places) < 1:
        raise OperationError(
            f"Given input size: {x._data.shape[1:]}. Calculated output size: {(x._data.shape[1], *places)}. "
            f"Output size "
            f"is too small"
        )
    sums = _window_sums(x, kernel, strides, paddings, places)
    if divisor_override is not None:
        out = sums / float(divisor_override)
    else:
        counts = _divisors(space, kernel, strides, paddings, places, count_include_pad)
        out = sums / tensor(counts.astype(x._data.dtype))
    return shown(
        unbatched(out, was_batched), f"AvgPool{count}DBackward0" if count > 1 else "SqueezeBackward1"
    )


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of a signal."""
    return _mean_pooled(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of each window of an image."""
    return _mean_pooled(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2
    )


def avg_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of each window of a volume."""
    return _mean_pooled(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3
    )


def _norm_pooled(
    input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool, count: int
) -> Any:
    kernel = tuple_of(kernel_size, count)
    if math.isinf(norm_type):
        largest = (max_pool1d, max_pool2d, max_pool3d)[count - 1]
        size = ops.abs(input) if norm_type > 0 else -ops.abs(input)
        found = largest(size, kernel, stride, 0, 1, ceil_mode)
        return found if norm_type > 0 else -found
    pool = (avg_pool1d, avg_pool2d, avg_pool3d)[count - 1]
    means = pool(input**norm_type, kernel, stride if stride is not None else None, 0, ceil_mode)
    return (ops.sign(means) * ops.relu(ops.abs(means)) * float(math.prod(kernel))) ** (1.0 / norm_type)


def lp_pool1d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """The p-norm of each window of a signal."""
    return _norm_pooled(input, norm_type, kernel_size, stride, ceil_mode, 1)


def lp_pool2d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """The p-norm of each window of an image."""
    return _norm_pooled(input, norm_type, kernel_size, stride, ceil_mode, 2)


def lp_pool3d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """The p-norm of each window of a volume."""
    return _norm_pooled(input, norm_type, kernel_size, stride, ceil_mode, 3)


# a given number of windows ---------------------------------------------------------------------------------


def _wanted(output_size: Any, shape: Lengths, count: int) -> Lengths:
    if len(shape) <= count:
        raise ValueOptionError(
            f"Input dimension should be at least {count + 1}, but got an input of size {list(shape)}"
        )
    space = shape[-count:]
    if 0 in space:
        raise OperationError(
            f"adaptive pooling: expected a space without empty dimensions, but got {list(shape)}"
        )
    given = (
        (output_size,) * count if isinstance(output_size, int) or output_size is None else tuple(output_size)
    )
    given = given * count if len(given) == 1 else given
    if len(given) != count:
        raise OperationError(
            f"adaptive pooling: output_size must have {count} numbers, but got {output_size}"
        )
    wanted = tuple(n if g is None else int(g) for g, n in zip(given, space, strict=True))
    if min(wanted) < 0:
        raise OperationError(f"elements of output_size must be greater than or equal to 0, but got {wanted}")
    return wanted


def _bins(length: int, count: int) -> list[tuple[int, int]]:
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _adaptive_means(input: Any, output_size: Any, count: int) -> Any:
    wanted_lengths = _wanted(output_size, input._data.shape, count)
    x, was_batched = batched(input, count, f"adaptive_avg_pool{count}d")
    for axis, wanted in enumerate(wanted_lengths):
        length = x._data.shape[2 + axis]
        weights = np.zeros((length, wanted), x._data.dtype)
        for place, (start, end) in enumerate(_bins(length, wanted)):
            weights[start:end, place] = 1 / (end - start)
        x = ops.moveaxis(ops.matmul(ops.moveaxis(x, 2 + axis, -1), weights), -1, 2 + axis)
    return shown(
        unbatched(x, was_batched), f"AdaptiveAvgPool{count}DBackward0" if count > 1 else "SqueezeBackward1"
    )


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of `output_size` windows that cover a signal."""
    return _adaptive_means(input, output_size, 1)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The means of a given number of windows that cover an image."""
    return _adaptive_means(input, output_size, 2)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """The means of a given number of windows that cover a volume."""
    return _adaptive_means(input, output_size, 3)


def greatest_in(x: np.ndarray, bins: list[list[tuple[int, int]]]) -> np.ndarray:
    """The flat index of the maximum of each box of the bins along the axes of space."""
    space = x.shape[2:]
    found = np.zeros((*x.shape[:2], *map(len, bins)), np.int64)
    for place in np.ndindex(*map(len, bins)):
        box = [b[i] for b, i in zip(bins, place, strict=True)]
        part = x[(slice(None), slice(None), *(slice(start, end) for start, end in box))]
        at = np.unravel_index(part.reshape(*x.shape[:2], -1).argmax(axis=-1), part.shape[2:])
        moved = tuple(a + start for a, (start, _) in zip(at, box, strict=True))
        found[(..., *place)] = np.ravel_multi_index(moved, space)
    return found


def _adaptive_maxima(input: Any, output_size: Any, return_indices: bool, count: int) -> Any:
    wanted = _wanted(output_size, input._data.shape, count)
    x, was_batched = batched(input, count, f"adaptive_max_pool{count}d")
    bins = [_bins(n, w) for n, w in zip(x._data.shape[2:], wanted, strict=True)]
    return chosen(x, greatest_in(x._data, bins), was_batched, return_indices, _name("AdaptiveMaxPool", count))


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of `output_size` windows that cover a signal."""
    return _adaptive_maxima(input, output_size, return_indices, 1)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of a given number of windows that cover an image."""
    return _adaptive_maxima(input, output_size, return_indices, 2)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of a given number of windows that cover a volume."""
    return _adaptive_maxima(input, output_size, return_indices, 3)
