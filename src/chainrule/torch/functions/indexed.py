"""Reading and changing elements by index along a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.dtypes import category, result_type_of
from chainrule.torch.errors import DimensionError, OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.registry import function, one_dim, tensor_argument
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor, is_symbolic


def index_array(index: Any, name: str, position: int = 3) -> np.ndarray:
    """The array of an index, which must hold integers."""
    data = tensor_argument(index, name, "index", position)._data
    if data.dtype.kind not in "iu" or data.dtype == np.uint8:
        raise OperationError(f"{name}(): Expected dtype int32/int64 for index, but got {index.dtype}")
    return data  # type: ignore[no-any-return]


@function()
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition is true, else `other`; of a condition alone, the indices where it is true."""
    tensor_argument(condition, "where", "condition")
    if input is None:
        return nonzero(condition, as_tuple=True)
    if condition._data.dtype.kind not in "b" and condition._data.dtype != np.uint8:
        raise OperationError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    mask = condition._data.astype(bool, copy=False)
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        kind = result_type_of([input, other])
        return Tensor._wrapped(np.where(mask, input, other).astype(kind))
    return apply(ops.where, (mask, input, other), {})


def where_method(self: Tensor, condition: Tensor, other: Any) -> Any:
    """`self` where the condition is true, else `other`."""
    return where(condition, self, other)


@function()
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not zero: one row each, or one vector per dimension."""
    found = np.nonzero(np.atleast_1d(tensor_argument(input, "nonzero")._data))
    if as_tuple:
        return tuple(Tensor._wrapped(i) for i in found)
    return Tensor._wrapped(np.stack(found, -1)[:, : input._data.ndim])


@function()
def argwhere(input: Tensor) -> Any:
    """The indices of the elements that are not zero, one row each."""
    return nonzero(input)


def _mask_of(mask: Any, name: str) -> np.ndarray:
    data = tensor_argument(mask, name, "mask", 2)._data
    if data.dtype != bool:
        raise OperationError(f"{name}: expected BoolTensor for mask, but got {mask.dtype}")
    return data  # type: ignore[no-any-return]


@function(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Any:
    """`value` where the mask is true."""
    if isinstance(value, Tensor) and value._data.ndim:
        raise OperationError(
            f"masked_fill only supports a 0-dimensional value tensor, but got tensor with {value._data.ndim} "
            "dimension(s)."
        )
    kind = input._data.dtype
    if category(
        result_type_of([np.zeros(1, kind), value._data if isinstance(value, Tensor) else value])
    ) > category(kind):
        raise OperationError(f"value cannot be converted to type {input.dtype.title} without overflow")
    value = value if isinstance(value, Tensor) else kind.type(value)
    value = ops.astype(value, kind) if isinstance(value, Tensor) and value._data.dtype != kind else value
    value = Tensor._wrapped(value) if not isinstance(value, Tensor) else value
    return named(apply(ops.where, (_mask_of(mask, "masked_fill"), value, input), {}), "MaskedFillBackward0")


@function()
def masked_select(input: Tensor, mask: Tensor) -> Any:
    """The elements where the mask is true, along one dimension."""
    flags = _mask_of(mask, "masked_select")
    shape = np.broadcast_shapes(flags.shape, tensor_argument(input, "masked_select")._data.shape)
    spread = input if input._data.shape == shape else ops.broadcast_to(input, shape=shape)
    return named(ops.getitem(spread, np.broadcast_to(flags, shape)), "MaskedSelectBackward0")


@function(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Any:
    """The elements of `source`, one after the other, where the mask is true."""
    if input._data.dtype != tensor_argument(source, "masked_scatter", "source", 3)._data.dtype:
        raise OperationError("masked_scatter: expected self and source to have same dtypes")
    flags = _mask_of(mask, "masked_scatter")
    shape = np.broadcast_shapes(flags.shape, input._data.shape)
    spread = input if input._data.shape == shape else ops.broadcast_to(input, shape=shape)
    flags = np.broadcast_to(flags, shape)
    count = int(flags.sum())
    if count > source._data.size:
        raise OperationError("Number of elements of source < number of ones in mask")
    return named(ops.index_update(spread, ops.getitem(ops.reshape(source, shape=(-1,)), slice(count)), flags),
                 "MaskedScatterBackward0")  # fmt: skip


def lead(dim: int) -> tuple[slice, ...]:
    """The index that passes over the dimensions before `dim`."""
    return (slice(None),) * dim


@function("select_copy")
def select(input: Tensor, dim: int, index: int) -> Any:
    """One slice along a dimension."""
    if not tensor_argument(input, "select")._data.ndim:
        raise DimensionError("select() cannot be applied to a 0-dim tensor.")
    axis = one_dim(dim, input._data.ndim)
    if not -input._data.shape[axis] <= index < input._data.shape[axis]:
        raise DimensionError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {axis}"
        )
    return named(ops.getitem(input, (*lead(axis), int(index), ...)), "SelectBackward0")


@function()
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Any:
    """`length` slices along a dimension, from `start` on."""
    if not tensor_argument(input, "narrow")._data.ndim:
        raise OperationError("narrow() cannot be applied to a 0-dim tensor.")
    axis = one_dim(dim, input._data.ndim)
    if isinstance(start, Tensor):
        if start._data.ndim or start._data.dtype.kind not in "iu":
            raise OperationError("start must be an 0-dim integral Tensor.")
        start = start.item()
    size = input._data.shape[axis]
    if length < 0:
        raise OperationError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise DimensionError(
            f"start out of range (expected to be in range of [-{size}, {size}], but got {start})"
        )
    start = start + size if start < 0 else start
    if start + length > size:
        raise OperationError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return ops.getitem(input, (*lead(axis), slice(start, start + length)))


@function()
def narrow_copy(input: Tensor, dim: int, start: Any, length: int) -> Any:
    """`narrow`, copied."""
    if dim >= input._data.ndim > 0:
        raise OperationError(f"Expected dim < the number of dimensions {input._data.ndim}, but got {dim}")
    return ops.copy(narrow(input, dim, start, length))


@function()
def index_select(input: Tensor, dim: int, index: Tensor) -> Any:
    """The slices at the given indices along a dimension."""
    places = index_array(index, "index_select")
    if places.ndim > 1:
        raise DimensionError("index_select(): Index is supposed to be a vector")
    axis = one_dim(dim, tensor_argument(input, "index_select")._data.ndim)
    places = check_range(places, input._data.shape[axis] if input._data.ndim else 1, "index_select")
    if not input._data.ndim:
        return apply(ops.positive, (input,), {})
    return named(ops.getitem(input, (*lead(axis), np.atleast_1d(places))), "IndexSelectBackward0")


def check_range(places: Any, length: int, name: str, error: type[Exception] = DimensionError) -> Any:
    """The indices; raise unless all are inside a dimension.

    Those that are traced are checked where they are used, and negative ones are made to be outside.
    """
    if is_symbolic(places):
        return ops.where(places < 0, length, places)
    if places.size and not (places.min() >= -0 and places.max() < length):
        bad = places[(places < 0) | (places >= length)].flat[0]
        raise error(f"{name}(): index {bad} is out of bounds for dimension with size {length}")
    return places


@function()
def take(input: Tensor, index: Tensor) -> Any:
    """The elements at indices into the flattened tensor."""
    places = tensor_argument(index, "take", "index", 2)._data
    if places.dtype != np.int64:
        raise OperationError("take(): Expected a long tensor for index, but got " + repr(index.dtype))
    if places.size and not input._data.size:
        raise DimensionError("take(): tried to take from an empty tensor")
    return named(ops.getitem(ops.reshape(input, shape=(-1,)), places), "TakeBackward0")


@function()
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Any:
    """The elements at indices along a dimension, each line with its own."""
    places = tensor_argument(indices, "take_along_dim", "indices", 2)._data
    if places.dtype.kind not in "iu":
        raise OperationError(
            "torch.take_along_dim(): dtype of indices should be Long but got " + repr(indices.dtype)
        )
    if dim is None:
        return ops.getitem(ops.reshape(input, shape=(-1,)), places.reshape(-1))
    if places.ndim != input._data.ndim:
        raise OperationError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._data.ndim} dimensions for input, and {places.ndim} dimensions for indices"
        )
    return ops.take_along_axis(input, places, axis=one_dim(dim, input._data.ndim))
