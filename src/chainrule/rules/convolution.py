"""Convolution in any number of dimensions, and the patches that it is made from.

Arrays are (batch, channels, *space); weights are (outputs, channels of one group, *kernel). As in all libraries
of neural networks, "convolution" is a cross-correlation: the kernel is not flipped. With the cotangent y of its
result, the sum of y times the convolution of x with w is linear in each of x, w and y, so the derivative with
respect to each is one of three functions, and these are each other's derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import wraps
from itertools import product
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.namespace import NUMPY
from chainrule.primitives import primitive
from chainrule.typing import Shape

Lengths = tuple[int, ...]


def _in_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """The forward function `function`, which needs strides, for arrays of every library."""

    @wraps(function)
    def forward(*arrays: Any, xp: Any, **parameters: Any) -> Any:
        if xp is NUMPY:
            return function(*arrays, **parameters)
        return xp.asarray(function(*(np.from_dlpack(a) for a in arrays), **parameters))

    return forward


def output_lengths(
    space: Shape, kernel: Lengths, stride: Lengths, padding: Lengths, dilation: Lengths
) -> Lengths:
    """The number of places along each axis of space at which the kernel fits.

    >>> output_lengths((5, 5), (3, 2), (2, 1), (1, 0), (1, 2))
    (3, 3)
    """
    lengths = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(space, kernel, stride, padding, dilation, strict=True)
    )
    if min(lengths, default=1) < 1:
        raise ShapeError(
            f"a kernel of shape {kernel} (dilation {dilation}) does not fit into a space of shape {tuple(space)} "
            f"with padding {padding}"
        )
    return lengths


def _padded(x: Any, padding: Lengths) -> Any:
    if not any(padding):
        return x
    space = x.shape[2:]
    out: Any = np.zeros((*x.shape[:2], *(n + 2 * p for n, p in zip(space, padding, strict=True))), x.dtype)
    out[(..., *(slice(p, p + n) for n, p in zip(space, padding, strict=True)))] = x
    return out


def _windows(
    x: Any, kernel: Lengths, stride: Lengths, padding: Lengths, dilation: Lengths, places: Lengths
) -> Any:
    """What the kernel covers at each place, as a view (channels, *kernel, batch, *places)."""
    x = _padded(x, padding)
    batch, channel, *steps = x.strides
    inside = (step * d for step, d in zip(steps, dilation, strict=True))
    between = (step * s for step, s in zip(steps, stride, strict=True))
    return np.lib.stride_tricks.as_strided(
        x, (x.shape[1], *kernel, x.shape[0], *places), (channel, *inside, batch, *between), writeable=False
    )


def _columns(x: Any, kernel: Lengths, groups: int, **where: Lengths) -> Any:
    """The windows as one matrix for each group: a row for each weight, a column for each place of each sample."""
    windows = _windows(x, kernel, **where)
    rows = x.shape[1] // max(groups, 1) * math.prod(kernel)
    return windows.reshape(groups, rows, math.prod(windows.shape[1 + len(kernel) :]))


def _by_group(y: Any, groups: int) -> Any:
    """(batch, channels, *space) as a matrix for each group: a row for each channel."""
    moved = y.swapaxes(0, 1)
    return (
        moved.reshape(groups, y.shape[1] // groups, -1)
        if y.size
        else np.zeros((groups, y.shape[1] // groups, 0))
    )


def _batch_chunks(x: Any, kernel: Lengths, places: Lengths) -> Iterator[slice]:
    """Parts of the batch whose windows, written out, take at most some 64 MB."""
    each = max(x.shape[1] * math.prod(kernel) * math.prod(places) * x.dtype.itemsize, 1)
    step = max((1 << 26) // each, 1)
    return (slice(i, i + step) for i in range(0, x.shape[0], step))


def _convolution(x: Any, w: Any, stride: Lengths, padding: Lengths, dilation: Lengths, groups: int) -> Any:
    _check_channels(x, w, groups)
    kernel = w.shape[2:]
    places = output_lengths(x.shape[2:], kernel, stride, padding, dilation)
    out = np.empty((x.shape[0], w.shape[0], *places), np.result_type(x, w))
    flat = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:]))
    for part in _batch_chunks(x, kernel, places):
        columns = _columns(
            x[part], kernel, groups, stride=stride, padding=padding, dilation=dilation, places=places
        )
        found = (flat @ columns).reshape(w.shape[0], -1, *places)
        out[part] = found.swapaxes(0, 1)
    return out


def _check_channels(x: Any, w: Any, groups: int) -> None:
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            f"weights of shape {w.shape} with groups={groups} expect {w.shape[1] * groups} channels and a number "
            f"of outputs divisible by {groups}, but the input has shape {x.shape}"
        )


def _convolution_transposed(
    y: Any, w: Any, stride: Lengths, padding: Lengths, dilation: Lengths, groups: int, space: Shape
) -> Any:
    kernel, channels = w.shape[2:], w.shape[1]
    flat = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:])).swapaxes(1, 2)
    out = np.zeros((y.shape[0], channels * groups, *space), np.result_type(y, w))
    places = y.shape[2:]
    for part in _batch_chunks(out, kernel, places):
        count = out[part].shape[0]
        columns = (flat @ _by_group(y[part], groups)).reshape(groups * channels, *kernel, count, *places)
        out[part] = _added_up(columns, stride, padding, dilation, space)
    return out


def _added_up(columns: Any, stride: Lengths, padding: Lengths, dilation: Lengths, space: Shape) -> Any:
    """The adjoint of `_windows`: each element is added to where it was taken from; (batch, channels, *space)."""
    count = len(space)
    kernel, places = columns.shape[1 : 1 + count], columns.shape[2 + count :]
    whole = tuple(n + 2 * p for n, p in zip(space, padding, strict=True))
    out = np.zeros((columns.shape[0], columns.shape[1 + count], *whole), columns.dtype)
    for offset in product(*map(range, kernel)):
        key = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s)
            for o, d, n, s in zip(offset, dilation, places, stride, strict=True)
        )
        out[(slice(None), slice(None), *key)] += columns[(slice(None), *offset)]
    inside = tuple(slice(p, p + n) for n, p in zip(space, padding, strict=True))
    return out[(slice(None), slice(None), *inside)].swapaxes(0, 1)


def _convolution_weights(
    x: Any, y: Any, stride: Lengths, padding: Lengths, dilation: Lengths, groups: int, kernel: Lengths
) -> Any:
    outputs, channels = y.shape[1], x.shape[1] // groups
    total = np.zeros((groups, outputs // groups, channels * math.prod(kernel)), np.result_type(x, y))
    places = y.shape[2:]
    for part in _batch_chunks(x, kernel, places):
        columns = _columns(
            x[part], kernel, groups, stride=stride, padding=padding, dilation=dilation, places=places
        )
        total += _by_group(y[part], groups) @ columns.swapaxes(1, 2)
    return total.reshape(outputs, channels, *kernel)


def _first_places(out: Any, shape: Shape) -> Any:
    """A transposed convolution may be given more space than it fills; the kernel then fits at more places."""
    return out if tuple(out.shape) == tuple(shape) else out[tuple(slice(n) for n in shape)]


convolution = primitive(
    "convolution(x, w, *, stride, padding, dilation, groups=1)", forward=_in_numpy(_convolution),
    x=lambda g, x_shape, w, stride, padding, dilation, groups, xp: xp.convolution_transposed(
        g, w, stride=stride, padding=padding, dilation=dilation, groups=groups, space=x_shape[2:]),
    w=lambda g, x, w_shape, stride, padding, dilation, groups, xp: xp.convolution_weights(
        x, g, stride=stride, padding=padding, dilation=dilation, groups=groups, kernel=w_shape[2:]),
)  # fmt: skip
"""The kernels `w` slid over `x`, of which the borders are padded with zeros."""

convolution_transposed = primitive(
    "convolution_transposed(y, w, *, stride, padding, dilation, groups=1, space)",
    forward=_in_numpy(_convolution_transposed),
    y=lambda g, y_shape, w, stride, padding, dilation, groups, xp: _first_places(xp.convolution(
        g, w, stride=stride, padding=padding, dilation=dilation, groups=groups), y_shape),
    w=lambda g, y, w_shape, stride, padding, dilation, groups, xp: xp.convolution_weights(
        g, y, stride=stride, padding=padding, dilation=dilation, groups=groups, kernel=w_shape[2:]),
)  # fmt: skip
"""The cotangent of `x`, of the space `space`, for the cotangent `y` of a convolution with `w`."""

convolution_weights = primitive(
    "convolution_weights(x, y, *, stride, padding, dilation, groups=1, kernel)",
    forward=_in_numpy(_convolution_weights),
    x=lambda g, x_shape, y, stride, padding, dilation, groups, xp: xp.convolution_transposed(
        y, g, stride=stride, padding=padding, dilation=dilation, groups=groups, space=x_shape[2:]),
    y=lambda g, x, y_shape, stride, padding, dilation, groups, xp: _first_places(xp.convolution(
        x, g, stride=stride, padding=padding, dilation=dilation, groups=groups), y_shape),
)  # fmt: skip
"""The cotangent of the weights, of the shape `kernel`, for the cotangent `y` of a convolution of `x`."""


def _patches(x: Any, kernel: Lengths, stride: Lengths, padding: Lengths, dilation: Lengths) -> Any:
    places = output_lengths(x.shape[2:], kernel, stride, padding, dilation)
    windows = _windows(x, kernel, stride, padding, dilation, places)
    return np.ascontiguousarray(np.moveaxis(windows, 1 + len(kernel), 0))


def _patches_added(x: Any, stride: Lengths, padding: Lengths, dilation: Lengths, space: Shape) -> Any:
    return np.ascontiguousarray(
        _added_up(np.moveaxis(x, 0, 1 + len(space)), stride, padding, dilation, space)
    )


patches = primitive(
    "patches(x, *, kernel, stride, padding, dilation)", forward=_in_numpy(_patches),
    x=lambda g, x_shape, stride, padding, dilation, xp: xp.patches_added(
        g, stride=stride, padding=padding, dilation=dilation, space=x_shape[2:]),
)  # fmt: skip
"""What a kernel covers at each place: (batch, channels, *kernel, *places)."""

patches_added = primitive(
    "patches_added(x, *, stride, padding, dilation, space)", forward=_in_numpy(_patches_added),
    x=lambda g, x_shape, stride, padding, dilation, xp: xp.patches(
        g, kernel=x_shape[2 : 2 + (len(x_shape) - 2) // 2], stride=stride, padding=padding, dilation=dilation),
)  # fmt: skip
"""Patches put back and added up where they overlap: the adjoint of `patches`."""
