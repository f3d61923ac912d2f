"""Inverses, equations and norms: the last two dimensions are matrices, those before them a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.dtypes import BY_NUMPY
from chainrule.torch.errors import OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.products import cross_product, matmul
from chainrule.torch.functions.reductions import converted, return_type, sum_, vector_norm_of
from chainrule.torch.functions.registry import dims_of, one_dim, tensor_argument, with_out
from chainrule.torch.functions.shapes import transpose
from chainrule.torch.functions.turning import diagonal as _diagonal
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor


class LinAlgError(OperationError):
    """A matrix for which the operation has no result, such as a singular one."""


EXPORTED: dict[str, Any] = {}


def export(f: Any) -> Any:
    """Make a function one of this module, with `out=`."""
    found = with_out(f)
    EXPORTED[f.__name__] = found
    return found


def matrices(name: str, x: Any, square: bool = False) -> Any:
    """`x`, which must be a batch of floating-point matrices."""
    data = tensor_argument(x, f"linalg.{name}")._data
    if data.ndim < 2:
        raise OperationError(f"linalg.{name}: The input tensor A must have at least 2 dimensions.")
    if square and data.shape[-1] != data.shape[-2]:
        raise OperationError(
            f"linalg.{name}: A must be batches of square matrices, but they are {data.shape[-2]} by "
            f"{data.shape[-1]} matrices"
        )
    if data.dtype.char not in "fd":
        raise OperationError(
            f"linalg.{name}: Expected a floating point or complex tensor as input. Got {BY_NUMPY[data.dtype].title}"
        )
    return x


def same_types(name: str, a: Any, b: Any) -> None:
    """Raise unless two tensors have the same type."""
    if a._data.dtype != b._data.dtype:
        raise OperationError(
            f"linalg.{name}: Expected both tensors to have the same dtype, but got {a.dtype} and {b.dtype}"
        )


def singular(name: str, run: Any) -> Any:
    """What `run()` gives; an error that says so if the matrix is singular."""
    try:
        return run()
    except np.linalg.LinAlgError as error:
        raise LinAlgError(
            f"linalg.{name}: The diagonal element is zero, the operation could not be completed because the "
            "input matrix "
            f"is singular ({error})."
        ) from error


@export
def inv(A: Tensor) -> Any:
    """The inverse."""
    matrices("inv", A, True)
    return singular("inv", lambda: apply(ops.inv, (A,), {}))


INFO = {name: return_type(name, *fields) for name, fields in {
    "inv_ex": ("inverse", "info"), "cholesky_ex": ("L", "info"), "solve_ex": ("result", "info"),
    "slogdet": ("sign", "logabsdet"), "eigh": ("eigenvalues", "eigenvectors"), "qr": ("Q", "R"),
    "svd": ("U", "S", "Vh"), "linalg_lstsq": ("solution", "residuals", "rank", "singular_values"),
}.items()}  # fmt: skip


def fine(shape: tuple[int, ...]) -> Tensor:
    """The error codes of a batch without errors."""
    return Tensor._wrapped(np.zeros(shape, np.int32))  # type: ignore[no-any-return]


@export
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """The inverse, and whether it exists."""
    return INFO["inv_ex"](inv(A), fine(A._data.shape[:-2]))


@export
def det(A: Tensor) -> Any:
    """The determinant."""
    return apply(ops.det, (matrices("det", A, True),), {})


@export
def slogdet(A: Tensor) -> Any:
    """The sign and the logarithm of the absolute value of the determinant."""
    sign, size = apply(ops.slogdet, (matrices("slogdet", A, True),), {})
    return INFO["slogdet"](sign, size)


@export
def cholesky(A: Tensor, *, upper: bool = False) -> Any:
    """The triangular factor of a symmetric positive-definite matrix."""
    matrices("cholesky", A, True)
    try:
        lower = ops.cholesky(A)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(
            "linalg.cholesky: The factorization could not be completed because the input is not "
            f"positive-definite ({error})."
        ) from error
    return transpose(lower, -2, -1) if upper else lower


@export
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """The triangular factor, and whether it exists."""
    return INFO["cholesky_ex"](cholesky(A, upper=upper), fine(A._data.shape[:-2]))


def is_vector(a: Any, b: Any) -> Any:
    """Whether the right side of an equation is a batch of vectors."""
    return b._data.ndim == 1 or (a._data.ndim - 1 == b._data.ndim and b._data.shape == a._data.shape[:-1])


@export
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Any:
    """The solution of A X = B, or of X A = B."""
    matrices("solve", A, True)
    same_types("solve", A, B)
    vector = is_vector(A, B)
    if vector and not left:
        raise OperationError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False."
        )
    if not vector and A._data.shape[-1] != B._data.shape[-2 if left else -1]:
        raise OperationError(
            f"linalg.solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A._data.shape[-2]}x{A._data.shape[-1]} and {B._data.shape[-2]}x{B._data.shape[-1]})"
        )
    if vector:
        if B._data.shape[-1] != A._data.shape[-1]:
            raise OperationError(
                f"linalg.solve: Incompatible shapes of A and B: {list(A.shape)} and {list(B.shape)}"
            )
        out = singular("solve", lambda: ops.solve(A, ops.expand_dims(B, axis=-1)))
        return ops.squeeze(out, axis=-1)
    if left:
        return singular("solve", lambda: ops.solve(A, B))
    return transpose(singular("solve", lambda: ops.solve(transpose(A, -2, -1), transpose(B, -2, -1))), -2, -1)


@export
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """The solution, and whether it exists."""
    out = solve(A, B, left=left)
    return INFO["solve_ex"](
        out, fine(np.broadcast_shapes(A._data.shape[:-2], () if is_vector(A, B) else B._data.shape[:-2]))
    )


@export
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """The solution for a triangular matrix A; its other half is not looked at."""
    matrices("solve_triangular", A, True)
    matrices("solve_triangular", B)
    same_types("solve_triangular", A, B)
    if A._data.shape[-1] != B._data.shape[-2 if left else -1]:
        raise OperationError(
            f"linalg.solve_triangular: Incompatible shapes of A and B: {list(A.shape)} and {list(B.shape)}"
        )
    triangle = apply(
        ops.triu if upper else ops.tril, (A,), {"k": (1 if upper else -1) if unitriangular else 0}
    )
    if unitriangular:
        triangle = triangle + Tensor._wrapped(np.eye(A._data.shape[-1], dtype=A._data.dtype))
    return solve(triangle, B, left=left)


@export
def matrix_power(A: Tensor, n: int) -> Any:
    """The product of `n` equal matrices; of their inverses if `n` is negative."""
    matrices("matrix_power", A, True)
    if n == 0:
        return ops.index_update(A, np.eye(A._data.shape[-1], dtype=A._data.dtype), ...)
    return singular("matrix_power", lambda: ops.matrix_power(A, n))


@export
def multi_dot(tensors: Any) -> Any:
    """The product of several matrices; the first and the last may be vectors."""
    if len(tensors) < 2:
        raise OperationError("multi_dot(): expected at least 2 tensors but got " + str(len(tensors)))
    for i, x in enumerate(tensors):
        if x._data.ndim != 2 and not (x._data.ndim == 1 and i in (0, len(tensors) - 1)):
            raise OperationError(f"multi_dot(): tensor {i} must be 2D but got {x._data.ndim}D")
        if x._data.dtype != tensors[0]._data.dtype:
            raise OperationError("multi_dot(): all tensors must have be the same dtype")
    product = tensors[0]
    for x in tensors[1:]:
        product = matmul(product, x)
    return product


@export
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """The norm of matrices: 'fro', 'nuc', 1, -1, 2, -2, inf or -inf."""
    x = converted(tensor_argument(A, "linalg.matrix_norm"), dtype)
    if x._data.ndim < 2:
        raise OperationError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    if len(dim) != 2:
        raise OperationError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    if x._data.dtype.kind not in "fc":
        raise OperationError(
            "linalg.matrix_norm: Expected a floating point or complex tensor as input. Got "
            f"{BY_NUMPY[x._data.dtype].title}"
        )
    if ord not in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise OperationError(f"linalg.matrix_norm: Order {ord} not supported.")
    a, b = one_dim(dim[0], x._data.ndim), one_dim(dim[1], x._data.ndim)
    if a == b:
        raise OperationError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        return named(vector_norm_of(x, 2.0, (a, b), keepdim), "LinalgVectorNormBackward0")
    return ops.matrix_norm(x, axis=(a, b), keepdims=keepdim, ord=ord)


@export
def vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The norm of vectors: of all elements, or over dimensions."""
    x = converted(tensor_argument(x, "linalg.vector_norm"), dtype)
    if x._data.dtype.kind not in "fc":
        raise OperationError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{BY_NUMPY[x._data.dtype].title}"
        )
    axes = dims_of(dim, x._data.ndim)
    if ord == 0:
        return sum_(apply(ops.abs, (apply(ops.sign, (x,), {}),), {}), dim, keepdim)
    if (ord < 0 or ord == math.inf) and not math.prod(x._data.shape[i] for i in axes):
        raise OperationError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does "
            "not have an identity"
        )
    return vector_norm_of(x, float(ord), axes, keepdim)


@export
def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The norm of vectors, or of matrices where two dimensions are given."""
    x = tensor_argument(A, "linalg.norm")
    if dim is not None and isinstance(dim, int):
        dim = (dim,)
    if dim is not None and len(dim) not in (1, 2):
        raise OperationError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}"
        )
    if isinstance(ord, str) or (ord is not None and (len(dim) if dim is not None else x._data.ndim) == 2):
        if dim is None and x._data.ndim != 2:
            raise OperationError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {x._data.ndim}D."
            )
        return matrix_norm(x, ord, (0, 1) if dim is None else dim, keepdim, dtype=dtype)
    if ord is not None and dim is None and x._data.ndim > 2:
        raise OperationError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {x._data.ndim}D."
        )
    return vector_norm(x, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


@export
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Any:
    """The vector product along a dimension of length 3."""
    if input._data.ndim != other._data.ndim:
        raise OperationError("linalg.cross: inputs must have the same number of dimensions.")
    return cross_product(input, other, dim)


@export
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Any:
    """The sums of products along a dimension."""
    one_dim(dim, max(x._data.ndim, y._data.ndim))
    return ops.vecdot(x, y, axis=dim)


@export
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of matrices."""
    return _diagonal(A, offset, dim1, dim2)


@export
def vander(x: Tensor, *, N: int | None = None) -> Any:
    """The powers 0 to N - 1 of each element."""
    x = x if x._data.ndim else ops.reshape(x, shape=(1,))
    count = x._data.shape[-1] if N is None else N
    if count < 0:
        raise OperationError(f"N must be greater than 1. Got {count}.")
    if x._data.dtype.kind in "iub":
        return Tensor._wrapped(np.power(x._data[..., None].astype(np.int64), np.arange(count)))
    columns = [ops.expand_dims(x, axis=-1)] * (count - 1)
    ones = Tensor._wrapped(np.ones((*x._data.shape, 1), x._data.dtype))
    return ops.cumulative_prod(ops.concat([ones, *columns], axis=-1), axis=-1)
