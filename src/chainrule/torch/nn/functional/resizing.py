"""Padding, resizing, and moving channels into space and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.errors import MissingError, OperationError, ValueOptionError
from chainrule.torch.nn.functional import pooling
from chainrule.torch.nn.functional.common import shown

_NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """`input` with elements added at both ends of its last dimensions, the last one first; negative: taken away."""
    widths = [int(n) for n in pad]
    dims = input._data.ndim
    if len(widths) % 2:
        raise OperationError("Padding length must be divisible by 2")
    if mode == "constant" and len(widths) // 2 > dims:
        raise OperationError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(widths)} and input of dimension {dims}"
        )
    pairs = [(0, 0)] * (dims - len(widths) // 2) + list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    if mode == "constant":
        return shown(
            _with_constant(input, pairs, 0.0 if value is None else value), "ConstantPadNdBackward0", input
        )
    if mode not in _NUMPY_MODES:
        raise MissingError(f"Unrecognised padding mode {mode}")
    if value not in (None, 0):
        raise ValueOptionError(f'Padding mode "{mode}" doesn\'t take in value argument')
    count = len(widths) // 2
    if dims not in (count + 1, count + 2) or not 1 <= count <= 3:
        raise MissingError(
            f"Padding size {len(widths)} is not supported for {dims}D input tensor: 2 numbers pad the last "
            f"dimension of 2D "
            f"or 3D input, 4 the last two of 3D or 4D, 6 the last three of 4D or 5D"
        )
    _check_widths(input, pairs, mode)
    name = "CopySlices"
    if mode != "circular":
        name = f"{'Reflection' if mode == 'reflect' else 'Replication'}Pad{count}DBackward0"
    return shown(_repeated(input, pairs, mode), name, input)


def _check_widths(input: Any, pairs: list[tuple[int, int]], mode: str) -> None:
    limit = {"reflect": -1, "circular": 0}
    for axis, pair in enumerate(pairs):
        length = input._data.shape[axis]
        if mode in limit and any(pair) and max(pair) > length + limit[mode]:
            text = (
                "Padding size should be less than the corresponding input dimension, but got: padding "
                if mode == "reflect"
                else "Padding value causes wrapping around more than once: padding "
            )
            raise OperationError(
                f"{text}({pair[0]}, {pair[1]}) at dimension {axis} of input {list(input.shape)}"
            )


def _repeated(x: Any, pairs: list[tuple[int, int]], mode: str) -> Any:
    """Each axis read at the padded index; negative widths take away."""
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            if mode == "circular":  # what is taken away does not come back at the other end
                length = x._data.shape[axis]
                x = ops.getitem(x, (*(slice(None),) * axis, slice(max(-before, 0), length - max(-after, 0))))
                before, after = max(before, 0), max(after, 0)
            places = np.pad(
                np.arange(x._data.shape[axis]), (max(before, 0), max(after, 0)), mode=_NUMPY_MODES[mode]
            )  # type: ignore[call-overload]
            places = places[max(-before, 0) : len(places) - max(-after, 0)]
            x = ops.take(x, places, axis=axis)
    return x


def _with_constant(x: Any, pairs: list[tuple[int, int]], value: float) -> Any:
    if any(min(pair) < 0 for pair in pairs):
        key = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x._data.shape, pairs, strict=True))
        x = ops.getitem(x, key)
        pairs = [(max(a, 0), max(b, 0)) for a, b in pairs]
    if not any(max(pair) for pair in pairs):
        return x
    return ops.pad(x, pairs, constant_values=value)


# resizing ------------------------------------------------------------------------------------------------

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}


def interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Any:  # fmt: skip
    """`input` resized to `size` or by `scale_factor`: nearest, nearest-exact, linear, bilinear, trilinear or area."""
    count = input._data.ndim - 2
    if antialias:
        raise MissingError("chainrule.torch interpolates without antialiasing")
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueOptionError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    if mode in _LINEAR and _LINEAR[mode] != count:
        raise MissingError(f"Got {count + 2}D input, but {mode} mode needs {_LINEAR[mode] + 2}D input")
    sizes, scales = _sizes(input._data.shape[2:], size, scale_factor, count, recompute_scale_factor)
    if mode == "area":
        return (pooling.adaptive_avg_pool1d, pooling.adaptive_avg_pool2d, pooling.adaptive_avg_pool3d)[
            count - 1
        ](input, sizes)
    if mode not in (*_LINEAR, "nearest", "nearest-exact"):
        raise MissingError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {count + 2}D) for the mode {mode!r}"
        )
    out = input
    for axis, (wanted, scale) in enumerate(zip(sizes, scales, strict=True), start=2):
        if mode in _LINEAR:
            weights = (_cubic if mode == "bicubic" else _linear)(
                out._data.shape[axis], wanted, scale, bool(align_corners)
            )
            moved = ops.matmul(ops.moveaxis(out, axis, -1), weights.astype(out._data.dtype))
            out = ops.moveaxis(moved, -1, axis)
        else:
            places = _nearest(out._data.shape[axis], wanted, scale, 0.5 if mode == "nearest-exact" else 0.0)
            out = ops.take(out, places, axis=axis)
    name = {
        "bilinear": "UpsampleBilinear2D",
        "trilinear": "UpsampleTrilinear3D",
        "linear": "UpsampleLinear1D",
        "bicubic": "UpsampleBicubic2D",
    }.get(mode, f"UpsampleNearest{'Exact' * (mode == 'nearest-exact')}{count}D")
    return shown(
        out, f"{name}Backward{'1' if scale_factor is not None and not recompute_scale_factor else '0'}", input
    )


def _sizes(
    space: tuple[int, ...], size: Any, scale_factor: Any, count: int, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    if (size is None) == (scale_factor is None):
        raise ValueOptionError(
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined"
        )
    if size is not None:
        sizes = [int(size)] * count if not isinstance(size, (tuple, list)) else [int(n) for n in size]
        if len(sizes) != count:
            raise ValueOptionError(
                f"Input and output must have the same number of spatial dimensions, but got {size}"
            )
        return sizes, [None] * count
    scales = (
        [float(scale_factor)] * count
        if not isinstance(scale_factor, (tuple, list))
        else [float(s) for s in scale_factor]
    )
    sizes = [math.floor(n * s) for n, s in zip(space, scales, strict=True)]
    return sizes, [None] * count if recompute else list(scales)


def _nearest(length: int, wanted: int, scale: float | None, offset: float) -> np.ndarray:
    step = np.float32(1 / scale if scale else length / wanted)
    places = np.floor((np.arange(wanted, dtype=np.float32) + np.float32(offset)) * step)
    nearest: np.ndarray = np.minimum(places.astype(np.int64), length - 1)
    return nearest


def _sources(length: int, wanted: int, scale: float | None, align_corners: bool) -> np.ndarray:
    """Where each new element lies among the old ones."""
    if align_corners:
        return np.arange(wanted) * ((length - 1) / (wanted - 1) if wanted > 1 else 0.0)
    return (np.arange(wanted) + 0.5) * (1 / scale if scale else length / wanted) - 0.5


def _linear(length: int, wanted: int, scale: float | None, align_corners: bool) -> np.ndarray:
    """The shares of the two old elements around each new one: a matrix with two numbers in each column."""
    at = np.maximum(_sources(length, wanted, scale, align_corners), 0.0)
    low = np.minimum(at.astype(np.int64), length - 1)
    share = at - low
    weights = np.zeros((length, wanted))
    np.add.at(weights, (low, np.arange(wanted)), 1 - share)
    np.add.at(weights, (np.minimum(low + 1, length - 1), np.arange(wanted)), share)
    return weights


def _cubic(length: int, wanted: int, scale: float | None, align_corners: bool) -> np.ndarray:
    """The shares of the four old elements around each new one: Keys (1981), with a = -3/4."""
    a, at = -0.75, _sources(length, wanted, scale, align_corners)
    low = np.floor(at).astype(np.int64)
    t = at - low
    weights = np.zeros((length, wanted))
    for offset in (-1, 0, 1, 2):
        d = np.abs(t - offset)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        np.add.at(
            weights, (np.clip(low + offset, 0, length - 1), np.arange(wanted)), np.where(d <= 1, near, far)
        )
    return weights


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: Any = None
) -> Any:
    """The old name of `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode="nearest"."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode="bilinear" and the corners aligned."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# channels and space --------------------------------------------------------------------------------------


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(…, channels × factor², height, width) as (…, channels, height × factor, width × factor)."""
    *batch, channels, height, width = input._data.shape
    factor = int(upscale_factor)
    if factor <= 0 or channels % (factor * factor):
        raise OperationError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            f"upscale_factor, but "
            f"input.size(-3)={channels} is not divisible by {factor * factor}"
        )
    apart = ops.reshape(input, shape=(*batch, channels // factor**2, factor, factor, height, width))
    first = len(batch)
    order = (*range(first + 1), first + 3, first + 1, first + 4, first + 2)
    moved = ops.permute_dims(apart, axes=order)
    out = ops.reshape(moved, shape=(*batch, channels // factor**2, height * factor, width * factor))
    return shown(out, "PixelShuffleBackward0")


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """The inverse of `pixel_shuffle`."""
    *batch, channels, height, width = input._data.shape
    factor = int(downscale_factor)
    if factor <= 0 or height % factor or width % factor:
        raise OperationError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but "
            f"{height}x{width} is not "
            f"divisible by {factor}"
        )
    apart = ops.reshape(input, shape=(*batch, channels, height // factor, factor, width // factor, factor))
    first = len(batch)
    order = (*range(first + 1), first + 2, first + 4, first + 1, first + 3)
    moved = ops.permute_dims(apart, axes=order)
    out = ops.reshape(moved, shape=(*batch, channels * factor**2, height // factor, width // factor))
    return shown(out, "PixelUnshuffleBackward0")


def channel_shuffle(input: Any, groups: int) -> Any:
    """The channels of the groups taken in turn."""
    count, channels, *space = input._data.shape
    if channels % groups:
        raise OperationError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    apart = ops.reshape(input, shape=(count, groups, channels // groups, *space))
    moved = ops.swapaxes(apart, axis1=1, axis2=2)
    return shown(ops.reshape(moved, shape=(count, channels, *space)), "NativeChannelShuffleBackward0")
