"""Functions that move elements, made of the primitives in `rules.shape` and `rules.index`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.functions.arrays import as_array, example_of, shape_of
from chainrule.functions.index import getitem, take
from chainrule.namespace import namespace_of
from chainrule.rules.index import scatter_add
from chainrule.rules.reduce import axes_of
from chainrule.rules.reduce import sum as sum_
from chainrule.rules.shape import broadcast_to, concatenate, flip, permute_dims, reshape, stacked
from chainrule.typing import Shape


def transpose(x: Any, axes: Any = None) -> Any:
    """`x` with its axes permuted; reversed without `axes`."""
    x = as_array(x)
    order = range(len(x.shape))[::-1] if axes is None else axes
    return permute_dims(x, axes=tuple(order))


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """`x` with the axes `source` moved to the places `destination`."""
    x = as_array(x)
    count = len(x.shape)
    source, destination = axes_of(source, count), axes_of(destination, count)
    order = [a for a in range(count) if a not in source]
    for place, axis in sorted(zip(destination, source, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, axes=tuple(order))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """`x` with two axes exchanged."""
    x = as_array(x)
    order = list(range(len(x.shape)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return permute_dims(x, axes=tuple(order))


def expand_dims(x: Any, axis: Any = 0) -> Any:
    """`x` with new axes of length 1 at the places `axis` of the result."""
    x = as_array(x)
    count = len(x.shape) + np.size(axis)
    places = axes_of(axis, count)
    lengths = iter(x.shape)
    return reshape(x, shape=tuple(1 if i in places else next(lengths) for i in range(count)))


def squeeze(x: Any, axis: Any = None) -> Any:
    """`x` without its axes of length 1, or without those given."""
    x = as_array(x)
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else axes_of(axis, len(x.shape))
    long = [i for i in axes if x.shape[i] != 1]
    if long:
        raise ShapeError(
            f"squeeze(x, axis={axis}): axis {long[0]} of shape {tuple(x.shape)} has not length 1"
        )
    return reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """All arrays in the one shape that they broadcast to."""
    shape = np.broadcast_shapes(*(shape_of(a) for a in arrays))
    return [broadcast_to(as_array(a), shape=shape) for a in arrays]


def concat(arrays: Sequence[Any], *, axis: int | None = 0) -> Any:
    """The arrays joined along an existing axis; flattened first with axis=None."""
    arrays = [as_array(a) for a in arrays]
    if axis is None:
        arrays, axis = [reshape(a, shape=(-1,)) for a in arrays], 0
    return concatenate(*arrays, axis=axis)


def stack(arrays: Sequence[Any], *, axis: int = 0) -> Any:
    """The arrays joined along a new axis."""
    return stacked(*(as_array(a) for a in arrays), axis=axis)


def unstack(x: Any, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices of `x` along an axis."""
    x = as_array(x)
    before = (slice(None),) * (axis % len(x.shape))
    return tuple(getitem(x, (*before, i)) for i in range(x.shape[axis]))


def split(x: Any, sections: Any, axis: int = 0) -> list[Any]:
    """`x` cut into equal parts (an integer) or at the given indices along an axis."""
    if isinstance(sections, int) and shape_of(x)[axis] % sections:
        raise ShapeError(f"an axis of length {shape_of(x)[axis]} cannot be split into {sections} equal parts")
    return array_split(x, sections, axis)


def array_split(x: Any, sections: Any, axis: int = 0) -> list[Any]:
    """As `split`, but the parts may differ in length by one."""
    x = as_array(x)
    length = x.shape[axis]
    if isinstance(sections, int):
        size, longer = divmod(length, sections)
        lengths = [size + 1] * longer + [size] * (sections - longer)
        bounds = [0, *np.cumsum(lengths).tolist()]
    else:
        bounds = [0, *(int(i) for i in sections), length]
    before = (slice(None),) * (axis % len(x.shape))
    return [getitem(x, (*before, slice(a, b))) for a, b in pairwise(bounds)]


def tile(x: Any, repetitions: Any) -> Any:
    """`x` laid side by side, `repetitions` times along each axis."""
    x = as_array(x)
    times = (int(repetitions),) if np.ndim(repetitions) == 0 else tuple(repetitions)
    count = max(len(times), len(x.shape))
    times = (1,) * (count - len(times)) + times
    lengths = (1,) * (count - len(x.shape)) + tuple(x.shape)
    apart = reshape(x, shape=tuple(n for length in lengths for n in (1, length)))
    spread = broadcast_to(apart, shape=tuple(n for pair in zip(times, lengths, strict=True) for n in pair))
    return reshape(spread, shape=tuple(t * n for t, n in zip(times, lengths, strict=True)))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element (or slice along `axis`) repeated; `repeats` may be one number for each."""
    x = as_array(x)
    if axis is None:
        x, axis = reshape(x, shape=(-1,)), 0
    return take(x, np.repeat(np.arange(x.shape[axis]), np.asarray(repeats)), axis=axis)


def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """`x` turned by `k` quarters in the plane of two axes."""
    a, b = axes
    turned = [
        lambda: x,
        lambda: flip(swapaxes(x, a, b), axis=a),
        lambda: flip(x, axis=(a, b)),
        lambda: swapaxes(flip(x, axis=a), a, b),
    ]
    return turned[k % 4]()


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonals of the planes of two axes, as the last axis; a copy."""
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = _diagonal_index(x.shape[-2], x.shape[-1], offset)
    return getitem(x, (..., rows, columns))


def _diagonal_index(rows: int, columns: int, offset: int) -> tuple[Any, Any]:
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    index = np.arange(length)
    return index - min(offset, 0), index + max(offset, 0)


def diag(x: Any, k: int = 0) -> Any:
    """The diagonal of a matrix, or the matrix with the vector `x` on its diagonal."""
    x = as_array(x)
    if len(x.shape) == 2:
        return diagonal(x, offset=k)
    size = x.shape[0] + abs(k)
    rows, columns = np.arange(x.shape[0]) - min(k, 0), np.arange(x.shape[0]) + max(k, 0)
    return scatter_add(x, key=(rows, columns), shape=(size, size))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal."""
    return sum_(diagonal(x, offset, axis1, axis2), axis=-1)


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """Coordinate matrices from coordinate vectors."""
    vectors = [reshape(as_array(a), shape=(-1,)) for a in arrays]
    places = list(range(len(vectors)))
    if indexing == "xy" and len(places) > 1:
        places[:2] = [1, 0]
    shape = [0] * len(vectors)
    for vector, place in zip(vectors, places, strict=True):
        shape[place] = vector.shape[0]
    ones = [tuple(-1 if i == place else 1 for i in range(len(vectors))) for place in places]
    return [broadcast_to(reshape(v, shape=s), shape=tuple(shape)) for v, s in zip(vectors, ones, strict=True)]


def pad(x: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """`x` with elements added at both ends of each axis.

    `mode` is constant (with `constant_values`), edge, reflect, symmetric or wrap.
    """
    x = as_array(x)
    widths = np.broadcast_to(np.asarray(pad_width), (len(x.shape), 2)).tolist()
    if mode == "constant":
        return _padded_with(x, widths, constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ShapeError(
            f"pad(mode={mode!r}) is not differentiable; use constant, edge, reflect, symmetric or wrap"
        )
    for axis, (before, after) in enumerate(widths):
        if before or after:
            x = take(x, np.pad(np.arange(x.shape[axis]), (before, after), mode=mode), axis=axis)  # type: ignore[call-overload]
    return x


def _padded_with(x: Any, widths: list[list[int]], value: Any) -> Any:
    shape: Shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    key = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))
    inside = scatter_add(x, key=key, shape=shape)
    if np.all(np.asarray(value) == 0):
        return inside
    border = np.pad(np.zeros(tuple(x.shape)), widths, constant_values=value)
    return inside + namespace_of(example_of(x)).asarray(border, dtype=x.dtype)
