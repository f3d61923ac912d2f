"""Joining tensors, and taking them apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.rules.shape import concatenate, stacked
from chainrule.torch.dtypes import result_type_of
from chainrule.torch.errors import DimensionError, OperationError, ValueOptionError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.registry import (
    function,
    one_dim,
    tensor_argument,
    tensors_argument,
)  # fmt: skip
from chainrule.torch.graph import all_named
from chainrule.torch.tensors import Tensor


def same_kind(tensors: list[Tensor]) -> list[Any]:
    """Tensors converted to the type that they are promoted to."""
    kind = tensors[0]._data.dtype
    if all(x._data.dtype == kind for x in tensors):
        return list(tensors)
    kind = result_type_of([x._data for x in tensors])
    return [ops.astype(x, kind) for x in tensors]


@function("concat", "concatenate", method=False)
def cat(tensors: Any, dim: int = 0) -> Any:
    """Tensors joined along a dimension."""
    parts = tensors_argument(tensors, "cat")
    if not parts:
        raise ValueOptionError("torch.cat(): expected a non-empty list of Tensors")
    if any(not x._data.ndim for x in parts):
        raise OperationError(
            f"zero-dimensional tensor (at position {[x._data.ndim for x in parts].index(0)}) cannot be concatenated"
        )
    full = [x for x in parts if x._data.shape != (0,)] or parts[:1]
    axis = one_dim(dim, full[0]._data.ndim)
    for x in full:
        if x._data.ndim != full[0]._data.ndim:
            raise OperationError(
                f"Tensors must have same number of dimensions: got {full[0]._data.ndim} and {x._data.ndim}"
            )
        for i, (n, m) in enumerate(zip(full[0]._data.shape, x._data.shape, strict=True)):
            if n != m and i != axis:
                raise OperationError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {n} but got size "
                    f"{m} for a tensor in the list."
                )
    return apply(concatenate, tuple(same_kind(full)), {"axis": axis})


@function(method=False)
def stack(tensors: Any, dim: int = 0) -> Any:
    """Tensors joined along a new dimension."""
    parts = tensors_argument(tensors, "stack")
    if not parts:
        raise OperationError("stack expects a non-empty TensorList")
    axis = one_dim(dim, parts[0]._data.ndim + 1)
    for i, x in enumerate(parts):
        if x._data.shape != parts[0]._data.shape:
            raise OperationError(
                f"stack expects each tensor to be equal size, but got {list(parts[0].shape)} at entry 0 and "
                f"{list(x.shape)} at entry {i}"
            )
    return apply(stacked, tuple(same_kind(parts)), {"axis": axis})


def _at_least(count: int) -> Any:
    def f(*tensors: Any) -> Any:
        given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
        out = tuple(raised(tensor_argument(x, f"atleast_{count}d"), count) for x in given)
        return out[0] if len(tensors) == 1 and isinstance(tensors[0], Tensor) else out

    f.__name__ = f.__qualname__ = f"atleast_{count}d"
    f.__doc__ = f"Tensors with at least {count} dimensions."
    return f


def raised(x: Any, count: int) -> Any:
    """`x` with at least `count` dimensions."""
    shape = x._data.shape
    if len(shape) >= count:
        return x
    if count == 3 and len(shape) == 2:
        return ops.reshape(x, shape=(*shape, 1))
    return ops.reshape(
        x, shape=(1, *shape, 1) if count == 3 and len(shape) == 1 else (1,) * (count - len(shape)) + shape
    )


for _count in (1, 2, 3):
    function(method=False)(_at_least(_count))


def _joined(name: str, count: int, axis: int, *aliases: str) -> None:
    def f(tensors: Any) -> Any:
        parts = [raised(x, count) for x in tensors_argument(tensors, name)]
        if not parts:
            raise OperationError(f"{name} expects a non-empty TensorList")
        return cat(parts, 0 if name == "hstack" and parts[0]._data.ndim == 1 else axis)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = "Tensors joined."
    function(*aliases, method=False)(f)


_joined("hstack", 1, 1)
_joined("vstack", 2, 0, "row_stack")
_joined("dstack", 3, 2)


@function(method=False)
def column_stack(tensors: Any) -> Any:
    """Vectors as the columns of a matrix; matrices side by side."""
    parts = tensors_argument(tensors, "column_stack")
    return cat([x if x._data.ndim > 1 else ops.reshape(x, shape=(-1, 1)) for x in parts], 1)


@function(
    "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "split_with_sizes_copy", "split_copy"
)
def split(
    tensor: Tensor,
    split_size_or_sections: Any = None,
    dim: int = 0,
    *,
    split_sizes: Any = None,
    split_size: Any = None,
) -> Any:
    """Parts of a given length (or lengths) along a dimension."""
    given = next(v for v in (split_size_or_sections, split_sizes, split_size) if v is not None)
    if not tensor_argument(tensor, "split")._data.ndim:
        raise OperationError("split expects at least a 1-dimensional tensor")
    axis = one_dim(dim, tensor._data.ndim)
    length = tensor._data.shape[axis]
    if isinstance(given, int):
        if given < 0 or (given == 0 and length):
            raise OperationError(f"split expects split_size be non-negative, but got split_size={given}")
        lengths = [min(given, length - i) for i in range(0, length, given)] if length else [0]
    else:
        lengths = list(given)
        if sum(lengths) != length or any(n < 0 for n in lengths):
            raise OperationError(
                f"split_with_sizes expects split_sizes to sum exactly to {length} (input tensor's size at "
                f"dimension {axis}), "
                f"but got split_sizes={lengths}"
            )
    return _pieces(tensor, lengths, axis)


def _pieces(tensor: Any, lengths: Sequence[int], axis: int) -> Any:
    ends = np.cumsum([0, *lengths]).tolist()
    lead = (slice(None),) * axis
    parts = tuple(ops.getitem(tensor, (*lead, slice(a, b))) for a, b in pairwise(ends))
    return all_named(parts, "SplitBackward0")


@function("unsafe_chunk")
def chunk(input: Tensor, chunks: int, dim: int = 0) -> Any:
    """At most `chunks` parts of equal length."""
    if not tensor_argument(input, "chunk")._data.ndim:
        raise OperationError("chunk expects at least a 1-dimensional tensor")
    if chunks < 1:
        raise OperationError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    axis = one_dim(dim, input._data.ndim)
    length = input._data.shape[axis]
    return split(input, max(-(-length // chunks), 1), axis) if length else _pieces(input, [0] * chunks, axis)


@function()
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None, sections: Any = None
) -> Any:
    """Parts between indices, or that many parts of nearly equal length."""
    given = next(v for v in (indices_or_sections, indices, sections) if v is not None)
    if not tensor_argument(input, "tensor_split")._data.ndim:
        raise OperationError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    axis = one_dim(dim, input._data.ndim)
    if isinstance(given, Tensor):
        if given._data.dtype != np.int64 or given._data.ndim > 1:
            raise OperationError(
                "tensor_split expected tensor_indices_or_sections to be a zero or one dimensional int64 tensor"
            )
        given = given._data.tolist()
    length = input._data.shape[axis]
    if isinstance(given, int):
        if given <= 0:
            raise OperationError(f"number of sections must be larger than 0, got {given}")
        lengths = [length // given + (i < length % given) for i in range(given)]
        return _pieces(input, lengths, axis)
    lead, ends = (slice(None),) * axis, [0, *given, length]
    return tuple(ops.getitem(input, (*lead, slice(a, b))) for a, b in pairwise(ends))


def _split_along(name: str, least: int, axis: int) -> None:
    def f(
        input: Tensor, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
    ) -> Any:
        given = next(v for v in (indices_or_sections, indices, sections) if v is not None)
        count = tensor_argument(input, name)._data.ndim
        if count < least:
            raise OperationError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with "
                f"{count} dimensions!"
            )
        along = 0 if name == "hsplit" and count == 1 else axis
        if isinstance(given, int) and (given <= 0 or input._data.shape[along] % given):
            raise OperationError(
                f"torch.{name} attempted to split along dimension {along}, but the size of the dimension "
                f"{input._data.shape[along]} is not divisible by the split_size {given}!"
            )
        return tensor_split(input, given, along)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"Parts along dimension {axis}."
    function()(f)


_split_along("hsplit", 1, 1)
_split_along("vsplit", 2, 0)
_split_along("dsplit", 3, 2)


@function("unbind_copy")
def unbind(input: Tensor, dim: int = 0) -> Any:
    """The slices along a dimension."""
    if not tensor_argument(input, "unbind")._data.ndim:
        raise DimensionError("Dimension specified as 0 but tensor has no dimensions")
    axis = one_dim(dim, input._data.ndim)
    lead = (slice(None),) * axis
    parts = tuple(ops.getitem(input, (*lead, i, ...)) for i in range(input._data.shape[axis]))
    return all_named(parts, "UnbindBackward0")
