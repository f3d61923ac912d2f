"""Repeating elements, turning and cutting matrices, and building them from parts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.rules.shape import broadcast_to as _broadcast
from chainrule.torch.errors import DimensionError, OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.joining import raised, same_kind, stack
from chainrule.torch.functions.registry import (
    function,
    one_dim,
    sizes,
    tensor_argument,
)  # fmt: skip
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor


@function()
def tile(input: Tensor, *dims: Any, **how: Any) -> Any:
    """The tensor repeated as a block."""
    wanted = sizes(dims or tuple(how.values()))
    wanted = (1,) * (input._data.ndim - len(wanted)) + wanted
    return repeat(input, wanted)


@function(public=False)
def repeat(input: Tensor, *repeats: Any, **how: Any) -> Any:
    """The tensor repeated as a block along each dimension."""
    wanted, shape = sizes(repeats or tuple(how.values())), input._data.shape
    if len(wanted) < len(shape):
        raise OperationError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    if any(n < 0 for n in wanted):
        raise OperationError(f"Trying to create tensor with negative dimension {min(wanted)}: {list(wanted)}")
    shape = (1,) * (len(wanted) - len(shape)) + shape
    apart = ops.reshape(input, shape=tuple(k for n in shape for k in (1, n)))
    spread = apply(
        _broadcast, (apart,), {"shape": tuple(k for r, n in zip(wanted, shape, strict=True) for k in (r, n))}
    )
    return named(
        ops.reshape(spread, shape=tuple(r * n for r, n in zip(wanted, shape, strict=True))), "RepeatBackward0"
    )


@function()
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Each element (or slice) repeated."""
    if repeats is None:
        return Tensor._wrapped(np.repeat(np.arange(input._data.size), input._data))
    x = ops.reshape(input, shape=(-1,)) if dim is None else input
    axis = 0 if dim is None else one_dim(dim, x._data.ndim)
    x = x if x._data.ndim else ops.reshape(x, shape=(1,))
    counts = repeats._data if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.dtype.kind not in "iu":
        raise OperationError("repeats has to be Long or Int tensor")
    if counts.size and counts.min() < 0:
        raise OperationError("repeats can not be negative")
    if counts.ndim > 1 or (counts.size not in (1, x._data.shape[axis])):
        raise OperationError("repeats must be 0-dim or 1-dim tensor of the size of input along dim")
    index = np.repeat(np.arange(x._data.shape[axis]), counts)
    return ops.take(x, index, axis=axis)


@function()
def flip(input: Tensor, *dims: Any, **how: Any) -> Any:
    """The order of the elements reversed along dimensions."""
    axes = sizes(dims or tuple(how.values()))
    axes = tuple(one_dim(d, tensor_argument(input, "flip")._data.ndim) for d in axes)
    if len(set(axes)) != len(axes):
        raise OperationError(f"dim {axes[-1]} appears multiple times in the list of dims")
    return apply(ops.flip, (input,), {"axis": axes if input._data.ndim else ()})


@function()
def fliplr(input: Tensor) -> Any:
    """The order of the columns reversed."""
    if tensor_argument(input, "fliplr")._data.ndim < 2:
        raise OperationError("Input must be >= 2-d.")
    return flip(input, 1)


@function()
def flipud(input: Tensor) -> Any:
    """The order of the rows reversed."""
    if tensor_argument(input, "flipud")._data.ndim < 1:
        raise OperationError("Input must be >= 1-d.")
    return flip(input, 0)


@function()
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Any:
    """The elements moved round along dimensions."""
    shifts = sizes(shifts if isinstance(shifts, tuple) else (shifts,))
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise OperationError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:0")
        flat = ops.reshape(input, shape=(-1,))
        return ops.reshape(apply(ops.roll, (flat,), {"shift": shifts[0], "axis": 0}), shape=input._data.shape)
    dims = sizes(dims if isinstance(dims, tuple) else (dims,))
    if len(shifts) != len(dims):
        raise OperationError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if not input._data.ndim:
        raise DimensionError("Dimension specified as 0 but tensor has no dimensions")
    axes = tuple(one_dim(d, input._data.ndim) for d in dims)
    return apply(ops.roll, (input,), {"shift": shifts, "axis": axes})


@function()
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Any:
    """Turned by 90 degrees `k` times in the plane of two dimensions."""
    if len(dims) != 2:
        raise OperationError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input._data.ndim < 2:
        raise OperationError(f"expected total dims >= 2, but got total dims = {input._data.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == input._data.ndim:
        raise OperationError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    axes = tuple(one_dim(d, input._data.ndim) for d in dims)
    return ops.rot90(input, k, (axes[0], axes[1]))


@function(inplace=True)
def tril(input: Tensor, diagonal: int = 0) -> Any:
    """The lower triangle, zeros elsewhere."""
    return _triangle(ops.tril, input, diagonal, "tril")


@function(inplace=True)
def triu(input: Tensor, diagonal: int = 0) -> Any:
    """The upper triangle, zeros elsewhere."""
    return _triangle(ops.triu, input, diagonal, "triu")


def _triangle(primitive: Any, input: Tensor, diagonal: int, name: str) -> Any:
    if tensor_argument(input, name)._data.ndim < 2:
        raise OperationError(f"{name}: input tensor must have at least 2 dimensions")
    return apply(primitive, (input,), {"k": diagonal})


@function("diagonal_copy")
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The diagonal of the plane of two dimensions."""
    count = tensor_argument(input, "diagonal")._data.ndim
    a, b = one_dim(dim1, count), one_dim(dim2, count)
    if a == b:
        raise OperationError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return named(ops.diagonal(input, offset=offset, axis1=a, axis2=b), "DiagonalBackward0")


@function()
def diag(input: Tensor, diagonal: int = 0) -> Any:
    """The diagonal of a matrix, or the matrix with that diagonal."""
    count = tensor_argument(input, "diag")._data.ndim
    if count == 1:
        return diag_embed(input, diagonal)
    if count != 2:
        raise OperationError(f"diag(): Supports 1D or 2D tensors. Got {count}D")
    return named(ops.diagonal(input, offset=diagonal, axis1=0, axis2=1), "DiagonalBackward0")


@function()
def diagflat(input: Tensor, offset: int = 0) -> Any:
    """The matrix with the elements on its diagonal."""
    return diag_embed(ops.reshape(input, shape=(-1,)), offset)


@function()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices in the plane of two dimensions with the given diagonals."""
    count = tensor_argument(input, "diag_embed")._data.ndim + 1
    a, b = one_dim(dim1, count), one_dim(dim2, count)
    if a == b:
        raise OperationError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    length = input._data.shape[-1]
    index = np.arange(length)
    key = (..., index + max(-offset, 0), index + max(offset, 0))
    full = length + abs(offset)
    out = apply(ops.scatter_add, (input,), {"key": key, "shape": (*input._data.shape[:-1], full, full)})
    return named(ops.moveaxis(out, (-2, -1), (a, b)), "DiagEmbedBackward0")


@function(method=False)
def meshgrid(*tensors: Any, indexing: str | None = None) -> Any:
    """Coordinate tensors from coordinate vectors."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if not given:
        raise OperationError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise OperationError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    for x in given:
        if x._data.ndim > 1:
            raise OperationError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {x}")
        if x._data.dtype != given[0]._data.dtype:
            raise OperationError("torch.meshgrid expects all tensors to have the same dtype")
    return tuple(ops.meshgrid(*given, indexing=indexing or "ij"))


@function(method=False)
def cartesian_prod(*tensors: Any) -> Any:
    """All combinations of elements."""
    for x in tensors:
        if x._data.ndim != 1:
            raise OperationError("Expect a 1D vector, but got shape " + str(list(x.shape)))
    if len(tensors) == 1:
        return tensors[0]
    return stack([ops.reshape(m, shape=(-1,)) for m in meshgrid(*tensors)], 1)


@function()
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Any:
    """All combinations of `r` elements."""
    if tensor_argument(input, "combinations")._data.ndim != 1:
        raise OperationError("Expect a 1D vector, but got shape " + str(list(input.shape)))
    if r < 0:
        raise OperationError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return Tensor._wrapped(np.zeros(0, input._data.dtype))
    index = np.array(
        list(
            (itertools.combinations_with_replacement if with_replacement else itertools.combinations)(
                range(input._data.size), r
            )
        ),
        np.intp,
    ).reshape(-1, r)
    return ops.getitem(input, index)


@function(method=False)
def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of a large one."""
    parts = []
    for x in tensors:
        if tensor_argument(x, "block_diag")._data.ndim > 2:
            raise OperationError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input has {x._data.ndim} dimensions"
            )
        parts.append(raised(x, 2))
    parts = same_kind(parts)
    shape = tuple(sum(p._data.shape[i] for p in parts) for i in (0, 1))
    out, row, column = Tensor._wrapped(np.zeros(shape, parts[0]._data.dtype)), 0, 0
    for p in parts:
        height, width = p._data.shape
        key = (slice(row, row + height), slice(column, column + width))
        out = out + apply(ops.scatter_add, (p,), {"key": key, "shape": shape})
        row, column = row + height, column + width
    return out
