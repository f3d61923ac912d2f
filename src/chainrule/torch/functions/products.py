"""Products of matrices and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.torch.errors import ArgumentError, OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.registry import function, one_dim, tensor_argument
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor

_BACKWARD = {(1, 1): "DotBackward0", (2, 2): "MmBackward0", (2, 1): "MvBackward0", (1, 2): "SqueezeBackward4"}


def product(x: Any, y: Any) -> Any:
    """X @ y of tensors that fit, under PyTorch's name for it."""
    out = apply(ops.matmul, (x, y), {})
    if out._node is not None:
        named(out, _BACKWARD.get((x._data.ndim, y._data.ndim), "UnsafeViewBackward0"))
    return out


@function()
def matmul(input: Tensor, other: Tensor) -> Any:
    """The product of matrices or vectors; more dimensions are a batch."""
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        tensor_argument(input, "matmul")
        tensor_argument(other, "matmul", "other", 2)
    a, b = input._data, other._data
    if not a.ndim or not b.ndim:
        raise OperationError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    if a.dtype != b.dtype:
        raise OperationError(
            f"expected m1 and m2 to have the same dtype, but got: {input.dtype} != {other.dtype}"
        )
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise OperationError(
            f"mat1 and mat2 shapes cannot be multiplied ({'x'.join(map(str, a.shape))} and "
            f"{'x'.join(map(str, b.shape))})"
        )
    return product(input, other)


def _checked(name: str, dims: tuple[int, ...], *tensors: Any) -> None:
    for i, (x, count) in enumerate(zip(tensors, dims, strict=True)):
        if tensor_argument(x, name, f"argument {i + 1}", i + 1)._data.ndim != count:
            raise OperationError(f"{name}: argument {i + 1} must be {count}-D, but is {x._data.ndim}-D")
        if x._data.dtype != tensors[0]._data.dtype:
            raise OperationError(
                f"{name}: expected all tensors to have the same dtype, but got {tensors[0].dtype} and {x.dtype}"
            )


@function()
def mm(input: Tensor, mat2: Tensor) -> Any:
    """The product of two matrices."""
    _checked("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


@function()
def bmm(input: Tensor, mat2: Tensor) -> Any:
    """The products of two batches of matrices."""
    _checked("bmm", (3, 3), input, mat2)
    if input._data.shape[0] != mat2._data.shape[0] or input._data.shape[2] != mat2._data.shape[1]:
        raise OperationError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{input._data.shape[0]}, "
            f"{input._data.shape[2]}] but got: {list(mat2.shape[:2])}."
        )
    return named(apply(ops.matmul, (input, mat2), {}), "BmmBackward0")


@function()
def mv(input: Tensor, vec: Tensor) -> Any:
    """The product of a matrix and a vector."""
    _checked("mv", (2, 1), input, vec)
    return matmul(input, vec)


@function()
def dot(input: Tensor, tensor: Tensor) -> Any:
    """The sum of the products of two vectors' elements."""
    if (
        tensor_argument(input, "dot")._data.ndim != 1
        or tensor_argument(tensor, "dot", "tensor", 2)._data.ndim != 1
    ):
        raise OperationError(
            f"1D tensors expected, but got {input._data.ndim}D and {tensor._data.ndim}D tensors"
        )
    if input._data.dtype != tensor._data.dtype:
        raise OperationError(
            f"dot : expected both vectors to have same dtype, but found {input.dtype.title} and {tensor.dtype.title}"
        )
    if input._data.shape != tensor._data.shape:
        raise OperationError(
            f"inconsistent tensor size, expected tensor {list(input.shape)} and src {list(tensor.shape)} to "
            "have the same number of elements"
        )
    return product(input, tensor)


@function()
def vdot(input: Tensor, other: Tensor) -> Any:
    """The sum of the products of two vectors' elements."""
    return dot(input, other)


@function()
def inner(input: Tensor, other: Tensor) -> Any:
    """The sums of products over the last dimensions."""
    a, b = tensor_argument(input, "inner")._data, tensor_argument(other, "inner", "other", 2)._data
    if a.ndim and b.ndim and a.shape[-1] != b.shape[-1]:
        raise OperationError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(a.shape)} and "
            f"{list(b.shape)}"
        )
    return ops.inner(input, other)


@function("ger")
def outer(input: Tensor, vec2: Tensor) -> Any:
    """All products of an element of one vector and one of the other."""
    if (
        tensor_argument(input, "outer")._data.ndim != 1
        or tensor_argument(vec2, "outer", "vec2", 2)._data.ndim != 1
    ):
        raise OperationError(
            f"outer: Expected 1-D arguments, but got {input._data.ndim}D and {vec2._data.ndim}D"
        )
    return named(ops.outer(input, vec2), "MulBackward0")


def _sum_of(input: Any, term: Any, beta: Any, alpha: Any, name: str) -> Any:
    shape = term._data.shape
    try:
        fits = np.broadcast_shapes(input._data.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise OperationError(
            f"The expanded size of the tensor must match the existing size: {list(input.shape)} does not "
            f"expand to {list(shape)}"
        )
    if input._data.dtype != term._data.dtype:
        raise OperationError(
            f"self and mat2 must have the same dtype, but got {input.dtype.title} and {term.dtype.title}"
        )
    term = term if alpha == 1 else term * alpha
    out = term + 0 if beta == 0 else (input if beta == 1 else input * beta) + term
    return named(out, name)


@function(inplace=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """Beta * input + alpha * (mat1 @ mat2)."""
    return _sum_of(tensor_argument(input, "addmm"), mm(mat1, mat2), beta, alpha, "AddmmBackward0")


@function(inplace=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """Beta * input + alpha * (mat @ vec)."""
    return _sum_of(tensor_argument(input, "addmv"), mv(mat, vec), beta, alpha, "AddmvBackward0")


@function(inplace=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """Beta * input + alpha * outer(vec1, vec2)."""
    return _sum_of(tensor_argument(input, "addr"), outer(vec1, vec2), beta, alpha, "AddrBackward0")


@function(inplace=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """Beta * input + alpha * bmm(batch1, batch2)."""
    return _sum_of(tensor_argument(input, "baddbmm"), bmm(batch1, batch2), beta, alpha, "BaddbmmBackward0")


@function(inplace=True)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """Beta * input + alpha times the sum of the products of two batches of matrices."""
    return _sum_of(
        tensor_argument(input, "addbmm"), ops.sum(bmm(batch1, batch2), axis=0), beta, alpha, "AddbmmBackward0"
    )


@function(method=False)
def einsum(equation: str, *operands: Any) -> Any:
    """Einstein's summation.

    >>> from chainrule import torch
    >>> torch.einsum("ij,ij->i", torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else operands
    if not given:
        raise ArgumentError("einsum(): must provide at least one operand")
    try:
        return ops.einsum(equation, *(tensor_argument(x, "einsum") for x in given))
    except (ShapeError, IndexError, ValueError) as error:
        raise OperationError(str(error)) from error


@function(method=False)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Any:
    """The sums of products over pairs of dimensions."""
    if isinstance(dims, Tensor):
        dims = dims._data.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise OperationError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a._data.ndim, b._data.ndim):
            raise OperationError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = (list(range(a._data.ndim - dims, a._data.ndim)), list(range(dims)))
    first, second = (list(d) if isinstance(d, (list, tuple)) else [d] for d in dims)
    if len(first) != len(second):
        raise OperationError("both dimension lists should have same length")
    first, second = ([one_dim(d, x._data.ndim) for d in ds] for ds, x in ((first, a), (second, b)))
    for i, j in zip(first, second, strict=True):  # a length of 1 stretches to the other: that is summed first
        n, m = a._data.shape[i], b._data.shape[j]
        if n != m and n == 1:
            b = ops.sum(b, axis=j, keepdims=True)
        elif n != m and m == 1:
            a = ops.sum(a, axis=i, keepdims=True)
    try:
        return ops.tensordot(a, b, axes=(first, second))
    except (ShapeError, ValueError) as error:
        raise OperationError(f"contracted dimensions need to match: {error}") from error


@function()
def kron(input: Tensor, other: Tensor) -> Any:
    """The Kronecker product."""
    return ops.kron(tensor_argument(input, "kron"), tensor_argument(other, "kron", "other", 2))


@function(method=False)
def chain_matmul(*matrices: Tensor) -> Any:
    """The product of several matrices."""
    return ops.multi_dot(list(matrices))


def cross_product(input: Tensor, other: Tensor, dim: int) -> Any:
    """The vector product along a dimension of length 3; the other dimensions broadcast."""
    axis = one_dim(dim, max(input._data.ndim, other._data.ndim))
    if input._data.shape[axis] != 3 or other._data.shape[axis] != 3:
        raise OperationError(
            f"inputs dimension {dim} must have length 3. Got {input._data.shape[axis]} and {other._data.shape[axis]}"
        )
    return named(ops.cross(input, other, axis=axis), "LinalgCrossBackward0")


@function()
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Any:
    """The vector product along a dimension of length 3: the first of that length, if none is given."""
    if tensor_argument(input, "cross")._data.ndim != tensor_argument(other, "cross", "other", 2)._data.ndim:
        raise OperationError("linalg.cross: inputs must have the same number of dimensions.")
    if dim is None:
        found = [i for i, n in enumerate(input._data.shape) if n == 3]
        if not found:
            raise OperationError("no dimension of size 3 in input")
        dim = found[0]
    return cross_product(input, other, dim)


@function()
def trace(input: Tensor) -> Any:
    """The sum of the diagonal of a matrix."""
    if tensor_argument(input, "trace")._data.ndim != 2:
        raise OperationError(f"trace: expected a matrix, but got tensor with dim {input._data.ndim}")
    if input._data.dtype.kind in "iub":
        return Tensor._wrapped(np.trace(input._data, dtype=np.int64))
    return named(ops.trace(input), "TraceBackward0")
