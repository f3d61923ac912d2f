"""Functions that move elements, and those that read and write them by index."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.tensorflow.arrays import elements
from chainrule.tensorflow.creation import shape_of
from chainrule.tensorflow.errors import InvalidArgumentError
from chainrule.tensorflow.reductions import axis_of
from chainrule.tensorflow.tensors import Tensor, convert


def reshape(tensor: Any, shape: Any, name: Any = None) -> Any:
    """The same elements in another shape; one length may be -1.

    >>> reshape([[1, 2], [3, 4]], 4)
    <tf.Tensor: shape=(4,), dtype=int32, numpy=array([1, 2, 3, 4], dtype=int32)>
    """
    tensor, wanted = convert(tensor), shape_of(shape)
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) > 1 or (-1 not in wanted and known != tensor.size):
        raise InvalidArgumentError(
            f"Input to reshape is a tensor with {tensor.size} values, but the requested shape has {known} "
            f"[Op:Reshape]: {tensor.shape} cannot become {wanted}"
        )
    return ops.reshape(tensor, shape=wanted)


def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: Any = None) -> Any:
    """The axes permuted; reversed without `perm`."""
    return ops.transpose(convert(a), None if perm is None else shape_of(perm))


def concat(values: Any, axis: Any, name: Any = None) -> Any:
    """Tensors joined along an existing axis."""
    return ops.concat(_of_one_type([convert(v) for v in values]), axis=axis_of(axis))


def stack(values: Any, axis: int = 0, name: Any = None) -> Any:
    """Tensors joined along a new axis."""
    return ops.stack(_of_one_type([convert(v) for v in values]), axis=axis)


def _of_one_type(values: list[Tensor]) -> list[Tensor]:
    kinds = list(dict.fromkeys(v.dtype.name for v in values))
    if len(kinds) > 1:
        raise InvalidArgumentError(
            f"tensors of one type are needed, but these are of {', '.join(kinds)}; use tf.cast"
        )
    return values


def unstack(value: Any, num: Any = None, axis: int = 0, name: Any = None) -> list[Any]:
    """The slices along an axis."""
    return list(ops.unstack(convert(value), axis=axis))


def split(value: Any, num_or_size_splits: Any, axis: int = 0, num: Any = None, name: Any = None) -> list[Any]:
    """Equal parts (a number) or parts of the given lengths along an axis."""
    value = convert(value)
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis)
    return ops.array_split(value, np.cumsum(shape_of(num_or_size_splits))[:-1].tolist(), axis)


def squeeze(input: Any, axis: Any = None, name: Any = None) -> Any:
    """Without the axes of length 1."""
    return ops.squeeze(convert(input), axis=axis_of(axis))


def expand_dims(input: Any, axis: int, name: Any = None) -> Any:
    """With a new axis of length 1."""
    return ops.expand_dims(convert(input), axis=int(axis))


def tile(input: Any, multiples: Any, name: Any = None) -> Any:
    """The tensor laid side by side."""
    return ops.tile(convert(input), shape_of(multiples))


def repeat(input: Any, repeats: Any, axis: int | None = None, name: Any = None) -> Any:
    """Each element (or slice along an axis) repeated."""
    return ops.repeat(convert(input), np.asarray(repeats), axis)


def reverse(tensor: Any, axis: Any, name: Any = None) -> Any:
    """The elements in reverse order along some axes."""
    return ops.flip(convert(tensor), axis=axis_of(axis))


def roll(input: Any, shift: Any, axis: Any, name: Any = None) -> Any:
    """The elements moved round along an axis."""
    return ops.roll(convert(input), shift=axis_of(shift), axis=axis_of(axis))


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: Any = None
) -> Any:
    """Elements added at both ends of each axis; `mode` is CONSTANT, REFLECT or SYMMETRIC."""
    options = {"constant_values": constant_values} if mode.upper() == "CONSTANT" else {}
    return ops.pad(convert(tensor), np.asarray(paddings).tolist(), mode.lower(), **options)


def broadcast_to(input: Any, shape: Any, name: Any = None) -> Any:
    """The tensor in a larger shape."""
    return ops.broadcast_to(convert(input), shape=shape_of(shape))


def gather(params: Any, indices: Any, axis: int = 0, name: Any = None) -> Any:
    """The slices at some indices along an axis."""
    return ops.take(convert(params), elements(convert(indices)), axis=axis_of(axis))


def gather_nd(params: Any, indices: Any, name: Any = None) -> Any:
    """The elements at indices, which are the rows of the last axis."""
    places = elements(convert(indices))
    return ops.getitem(convert(params), tuple(np.moveaxis(places, -1, 0)))


def boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: Any = None) -> Any:
    """The elements where the mask is true."""
    return ops.getitem(convert(tensor), (*(slice(None),) * (axis or 0), np.asarray(mask, bool)))


def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: Any = None) -> Any:
    """A copy in which the elements at some indices are others."""
    places = elements(convert(indices))
    return ops.index_update(convert(tensor), convert(updates), tuple(np.moveaxis(places, -1, 0)))


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: Any = None) -> Any:
    """The elements in order along an axis."""
    ordered = ops.sort(convert(values), axis=axis)
    return ops.flip(ordered, axis=axis) if direction == "DESCENDING" else ordered


def argsort(values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False) -> Tensor:
    """The indices that sort along an axis."""
    data = convert(values)._data
    order = np.argsort(-data if direction == "DESCENDING" else data, axis=axis, kind="stable")
    return Tensor._wrapped(order.astype(np.int32))


def unique(x: Any) -> tuple[Tensor, Tensor]:
    """The different elements in the order in which they come first, and for each element which it is."""
    values, first, which = np.unique(convert(x)._data, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.argsort(order)[which]
    return Tensor._wrapped(values[order]), Tensor._wrapped(number.astype(np.int32))


def meshgrid(*args: Any, indexing: str = "xy") -> list[Any]:
    """Coordinate matrices from coordinate vectors."""
    return ops.meshgrid(*(convert(a) for a in args), indexing=indexing)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where values would stand in a sorted sequence."""
    found = np.searchsorted(convert(sorted_sequence)._data, convert(values)._data, side=side)  # type: ignore[call-overload]
    return Tensor._wrapped(np.asarray(found).astype(np.int32))
