"""Functions that move elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.rules.shape import broadcast_to as _broadcast
from chainrule.rules.shape import permute_dims
from chainrule.torch.dtypes import Size
from chainrule.torch.errors import OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.registry import (
    dims_of,
    function,
    one_dim,
    sizes,
    tensor_argument,
)  # fmt: skip
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor


def _fitting(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    unknown = [i for i, n in enumerate(shape) if n == -1]
    if len(unknown) > 1:
        raise OperationError("only one dimension can be inferred")
    if any(n < -1 for n in shape):
        raise OperationError(f"invalid shape dimension {min(shape)}")
    rest = math.prod(n for n in shape if n != -1)
    if unknown and rest == 0 and count == 0:
        raise OperationError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 "
            f"can be any value and is ambiguous"
        )
    if (unknown and (rest == 0 or count % rest)) or (not unknown and rest != count):
        raise OperationError(f"shape '{list(shape)}' is invalid for input of size {count}")
    return tuple(count // rest if n == -1 else n for n in shape)


@function()
def reshape(input: Tensor, *shape: Any, **how: Any) -> Any:
    """The same elements in another shape; one length may be -1."""
    wanted = _fitting(sizes(shape or tuple(how.values())), tensor_argument(input, "reshape")._data.size)
    return ops.reshape(input, shape=wanted)


@function(public=False)
def view(input: Tensor, *shape: Any, **how: Any) -> Any:
    """The same memory in another shape; it must be possible without a copy."""
    shape = shape or tuple(how.values())
    if len(shape) == 1 and not isinstance(shape[0], (int, np.integer, tuple, list)):
        return Tensor._wrapped(input._data.view(shape[0].dtype))
    wanted = _fitting(sizes(shape), input._data.size)
    out = ops.reshape(input, shape=wanted)
    if input._data.size and not np.may_share_memory(out._data, input._data):
        raise OperationError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return out


@function(public=False)
def reshape_as(input: Tensor, other: Tensor) -> Any:
    """The same elements in the shape of `other`."""
    return reshape(input, other._data.shape)


@function(public=False)
def view_as(input: Tensor, other: Tensor) -> Any:
    """The same memory in the shape of `other`."""
    return view(input, other._data.shape)


@function()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The dimensions from `start_dim` to `end_dim` merged into one."""
    count = tensor_argument(input, "flatten")._data.ndim
    if not count:
        return ops.reshape(input, shape=(1,))
    first, last = one_dim(start_dim, count), one_dim(end_dim, count)
    if first > last:
        raise OperationError("flatten() has invalid args: start_dim cannot come after end_dim")
    if first == last:
        return input
    shape = input._data.shape
    return ops.reshape(input, shape=(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@function()
def unflatten(input: Tensor, dim: int, sizes: Any) -> Any:
    """One dimension split into several."""
    axis, shape = one_dim(dim, input._data.ndim), input._data.shape
    if not sizes:
        raise OperationError("unflatten: sizes must be non-empty")
    try:
        inner = _fitting(tuple(sizes), shape[axis])
    except OperationError:
        raise OperationError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {axis} "
            f"({shape[axis]}) in the "
            f"input tensor"
        ) from None
    return ops.reshape(input, shape=(*shape[:axis], *inner, *shape[axis + 1 :]))


@function()
def ravel(input: Tensor) -> Any:
    """All elements along one dimension."""
    return ops.reshape(tensor_argument(input, "ravel"), shape=(-1,)) if input._data.ndim != 1 else input


@function("permute_copy")
def permute(input: Tensor, *dims: Any, **how: Any) -> Any:
    """The dimensions in another order."""
    wanted = sizes(dims or tuple(how.values()))
    count = tensor_argument(input, "permute")._data.ndim
    if len(wanted) != count:
        raise OperationError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {count} is not equal to len(dims) = {len(wanted)}"
        )
    axes = tuple(one_dim(d, count) for d in wanted)
    if len(set(axes)) != len(axes):
        raise OperationError("permute(): duplicate dims are not allowed.")
    return apply(permute_dims, (input,), {"axes": axes})


@function("swapaxes", "swapdims", "transpose_copy", inplace=True)
def transpose(input: Tensor, dim0: int, dim1: int) -> Any:
    """Two dimensions exchanged."""
    count = tensor_argument(input, "transpose")._data.ndim
    a, b = one_dim(dim0, count), one_dim(dim1, count)
    axes = list(range(count))
    if count:
        axes[a], axes[b] = b, a
    return named(apply(permute_dims, (input,), {"axes": tuple(axes)}), "TransposeBackward0")


def reversed_dims(input: Tensor, name: str) -> Any:
    """The dimensions in reverse order."""
    out = apply(permute_dims, (input,), {"axes": tuple(range(input._data.ndim))[::-1]})
    return named(out, name)


@function("t_copy")
def t(input: Tensor) -> Any:
    """The transpose of a matrix."""
    if tensor_argument(input, "t")._data.ndim > 2:
        raise OperationError(f"t() expects a tensor with <= 2 dimensions, but self is {input._data.ndim}D")
    return reversed_dims(input, "TBackward0")


@function()
def adjoint(input: Tensor) -> Any:
    """The last two dimensions exchanged."""
    return transpose(input, -2, -1)


@function("moveaxis")
def movedim(input: Tensor, source: Any, destination: Any) -> Any:
    """Dimensions moved to other places."""
    count = tensor_argument(input, "movedim")._data.ndim
    source, destination = (dims_of(d, count) if d != () and d != [] else () for d in (source, destination))
    if len(source) != len(destination):
        raise OperationError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain the "
            "same number of "
            f"dims as destination ({list(destination)} dims)"
        )
    return ops.moveaxis(input, source, destination) if source else input


@function("unsqueeze_copy", inplace=True)
def unsqueeze(input: Tensor, dim: int) -> Any:
    """With a dimension of length 1 at `dim`."""
    axis = one_dim(dim, tensor_argument(input, "unsqueeze")._data.ndim + 1)
    shape = input._data.shape
    return named(ops.reshape(input, shape=(*shape[:axis], 1, *shape[axis:])), "UnsqueezeBackward0")


@function("squeeze_copy")
def squeeze(input: Tensor, dim: Any = None) -> Any:
    """Without the dimensions of length 1 (or without those among `dim`)."""
    shape = tensor_argument(input, "squeeze")._data.shape
    axes = tuple(range(len(shape))) if dim is None else () if dim == () else dims_of(dim, len(shape))
    kept = tuple(n for i, n in enumerate(shape) if n != 1 or i not in axes)
    return named(ops.reshape(input, shape=kept), f"SqueezeBackward{0 if dim is None else 1}")


@function("expand_copy")
def expand(input: Tensor, *size: Any, implicit: bool = False, **how: Any) -> Any:
    """The tensor repeated along dimensions of length 1; -1 keeps a length."""
    wanted, shape = sizes(size or tuple(how.values())), tensor_argument(input, "expand")._data.shape
    extra = len(wanted) - len(shape)
    if extra < 0:
        raise OperationError(
            f"expand({list(wanted)}): the number of sizes provided ({len(wanted)}) must be greater or equal to "
            "the number "
            f"of dimensions in the tensor ({len(shape)})"
        )
    full = tuple(shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(wanted))
    for n, m in zip(full[extra:], shape, strict=True):
        if (n != m and m != 1) or n < 0:
            raise OperationError(
                f"The expanded size of the tensor ({n}) must match the existing size ({m}); target sizes: "
                f"{list(wanted)}. Tensor sizes: {list(shape)}"
            )
    if any(n < 0 for n in full):
        raise OperationError(
            f"expand({list(wanted)}): -1 is not allowed in a leading, non-existing dimension"
        )
    return apply(_broadcast, (input,), {"shape": full})


@function()
def broadcast_to(input: Tensor, size: Any) -> Any:
    """The tensor broadcast to a shape."""
    return expand(input, size)


@function(public=False)
def expand_as(input: Tensor, other: Tensor) -> Any:
    """The tensor broadcast to the shape of `other`."""
    return expand(input, other._data.shape)


@function(public=False)
def sum_to_size(input: Tensor, *size: Any) -> Any:
    """The sum over the dimensions that a tensor of that size would be broadcast along."""
    wanted, shape = sizes(size), input._data.shape
    extra = len(shape) - len(wanted)
    if extra < 0 or any(n not in (1, m) for n, m in zip(wanted, shape[extra:], strict=True)):
        raise OperationError(f"size {list(wanted)} is not expandable to size {list(shape)}.")
    axes = (*range(extra), *(i + extra for i, n in enumerate(wanted) if n != shape[i + extra]))
    return ops.reshape(ops.sum(input, axis=axes), shape=wanted) if axes else input


@function(method=False)
def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that shapes are broadcast to."""
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError:
        raise OperationError(
            f"Shape mismatch: objects cannot be broadcast to a single shape: {shapes}"
        ) from None


@function(method=False)
def broadcast_tensors(*tensors: Any) -> Any:
    """Tensors broadcast to their common shape."""
    shape = broadcast_shapes(*(tensor_argument(x, "broadcast_tensors")._data.shape for x in tensors))
    return tuple(expand(x, shape) for x in tensors)


@function()
def clone(input: Tensor, *, memory_format: Any = None) -> Any:
    """A copy that the gradient flows through."""
    return apply(ops.copy, (tensor_argument(input, "clone"),), {})
