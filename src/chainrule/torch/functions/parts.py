"""Parts of a tensor replaced, strided, or in windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.inplace import owner_of
from chainrule.torch.errors import DimensionError, OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.indexed import lead
from chainrule.torch.functions.registry import function, one_dim
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor


def _replaced(name: str, input: Tensor, src: Tensor, part: Any) -> Any:
    """A copy of `input` in which a part, given as a function that takes it, is `src`."""
    numbers = part(np.arange(input._data.size).reshape(input._data.shape))
    if numbers.shape != src._data.shape:
        raise OperationError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size "
            f"= {list(numbers.shape)}"
        )
    flat = ops.index_update(
        ops.reshape(input, shape=(-1,)), ops.reshape(src, shape=(-1,)), numbers.reshape(-1)
    )
    return named(ops.reshape(flat, shape=input._data.shape), name)


@function()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Any:
    """A copy of `input` with one slice replaced by `src`."""
    axis = one_dim(dim, input._data.ndim)
    if not -input._data.shape[axis] <= index < input._data.shape[axis]:
        raise DimensionError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {axis}"
        )
    return _replaced("SelectScatterBackward0", input, src, lambda a: a[(*lead(axis), index)])


@function()
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Any:
    """A copy of `input` with slices from `start` to `end` replaced by `src`."""
    axis = one_dim(dim, input._data.ndim)
    return _replaced("SliceScatterBackward0", input, src, lambda a: a[(*lead(axis), slice(start, end, step))])


@function()
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A copy of `input` with a diagonal replaced by `src`."""
    return _replaced("DiagonalScatterBackward0", input, src, lambda a: np.diagonal(a, offset, dim1, dim2))


def strided_numbers(
    input: Tensor, size: Any, stride: Any, storage_offset: Any
) -> tuple[np.ndarray, np.ndarray]:
    """For the elements that sizes and strides name: their places in the memory, and in the flattened tensor (or -1)."""
    if len(size) != len(stride):
        raise OperationError(f"mismatch in length of strides and shape: {list(size)}, {list(stride)}")
    memory = owner_of(input._data)
    start = np.asarray(input.storage_offset() if storage_offset is None else storage_offset)
    for n, s in zip(size, stride, strict=True):
        start = start[..., None] + np.arange(n) * s
    if start.size and not 0 <= start.min() <= start.max() < memory.size:
        raise OperationError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {storage_offset} are out "
            "of bounds "
            f"for storage of {memory.size} elements"
        )
    places = np.asarray(input.storage_offset())
    for n, s in zip(input._data.shape, input.stride(), strict=True):
        places = places[..., None] + np.arange(n) * s
    known = np.full(memory.size, -1)
    known[places.reshape(-1)] = np.arange(input._data.size)
    return start, known[start]


@function("as_strided_copy")
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """The elements at the places in the tensor's memory that sizes and strides name, copied."""
    places, numbers = strided_numbers(input, size, stride, storage_offset)
    if not numbers.size:
        return ops.getitem(ops.reshape(input, shape=(-1,)), numbers)
    out = ops.getitem(ops.reshape(input, shape=(-1,)), np.maximum(numbers, 0))
    if (numbers < 0).any():
        out = apply(ops.where, (numbers >= 0, out, owner_of(input._data).reshape(-1)[places]), {})
    return named(out, "AsStridedBackward0")


@function()
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None
) -> Any:
    """A copy of `input` in which the places that sizes and strides name are `src`."""
    _, numbers = strided_numbers(input, size, stride, storage_offset)
    if numbers.shape != src._data.shape:
        raise OperationError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size "
            f"= {list(size)}"
        )
    flat = ops.index_update(
        ops.reshape(input, shape=(-1,)), ops.reshape(src, shape=(-1,)), numbers.reshape(-1)
    )
    return ops.reshape(flat, shape=input._data.shape)


@function(public=False)
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Any:
    """All windows of `size` slices along a dimension, `step` apart, as a new last dimension."""
    if not input._data.ndim:
        if size > 1:
            raise OperationError(f"maximum size for tensor at dimension 0 is 1 but size is {size}")
        return ops.reshape(input, shape=(size,)) if size else Tensor._wrapped(np.zeros(0, input._data.dtype))
    axis = one_dim(dimension, input._data.ndim)
    length = input._data.shape[axis]
    if size > length:
        raise OperationError(f"maximum size for tensor at dimension {axis} is {length} but size is {size}")
    if step <= 0:
        raise OperationError(f"step is {step} but must be > 0")
    windows = np.arange(0, length - size + 1, step)[:, None] + np.arange(size)
    out = ops.moveaxis(ops.getitem(input, (*lead(axis), windows)), axis + 1, -1)
    return named(out, "UnfoldBackward0")
