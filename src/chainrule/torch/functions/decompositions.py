"""Decompositions of matrices, and what is computed with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.rules.linalg import eigh as _eigh
from chainrule.torch.errors import MissingError, OperationError
from chainrule.torch.functions.elementwise import apply, with_values
from chainrule.torch.functions.linear import (
    INFO,
    cholesky,
    det,
    export,
    inv,
    is_vector,
    matrices,
    matrix_norm,
    matrix_power,
    same_types,
    slogdet,
    solve,
    solve_triangular,
)  # fmt: skip
from chainrule.torch.functions.products import matmul
from chainrule.torch.functions.reductions import return_type, sum_
from chainrule.torch.functions.registry import METHODS, PUBLIC, with_out
from chainrule.torch.functions.shapes import transpose
from chainrule.torch.tensors import Tensor


def _batch_of(A: Any, name: str) -> Any:
    if not A._data.size:
        raise MissingError(f"linalg.{name} of an empty matrix (shape {list(A.shape)}) is not available here")
    return A


def _half(A: Any, lower: bool) -> Any:
    """The symmetric matrix of which one triangle is given; the gradient is that of the whole."""
    side = np.tril(np.ones(A._data.shape[-2:], bool)) if lower else np.triu(np.ones(A._data.shape[-2:], bool))
    return with_values(A, np.where(side, A._data, A._data.mT))


@export
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues, from the smallest up, and eigenvectors of a symmetric matrix."""
    matrices("eigh", A, True)
    if UPLO.upper() not in ("L", "U"):
        raise OperationError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    values, vectors = apply(_eigh, (_half(A, UPLO.upper() == "L"),), {})
    return INFO["eigh"](values, vectors)


@export
def eigvalsh(A: Tensor, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric matrix, from the smallest up."""
    return eigh(A, UPLO)[0]


@export
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """The decomposition into a matrix with orthonormal columns and an upper triangular one."""
    matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise OperationError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    rows, columns = A._data.shape[-2:]
    if (mode == "complete" and rows > columns) or mode == "r":
        if A.requires_grad:
            raise MissingError(
                f"linalg.qr(mode={mode!r}) has no derivative here for shape {list(A.shape)}; use mode='reduced'"
            )
        if mode == "r":
            return INFO["qr"](
                Tensor._wrapped(np.zeros(0, A._data.dtype)), Tensor._wrapped(np.linalg.qr(A._data, "r"))
            )
        return INFO["qr"](*(Tensor._wrapped(part) for part in np.linalg.qr(A._data, "complete")))
    return INFO["qr"](*ops.qr(A))


@export
def svd(A: Tensor, full_matrices: bool = True, *, driver: Any = None) -> Any:
    """The singular value decomposition."""
    matrices("svd", A)
    if full_matrices and A._data.shape[-1] != A._data.shape[-2]:
        if not A.requires_grad:
            return INFO["svd"](*(Tensor._wrapped(part) for part in np.linalg.svd(A._data)))
        return INFO["svd"](*_full_svd(A))
    return INFO["svd"](*ops.svd(A, full_matrices=False))


def _full_svd(A: Any) -> Any:
    """The thin decomposition, completed by vectors that have no derivative."""
    u, s, vh = ops.svd(A, full_matrices=False)
    full_u, _, full_vh = np.linalg.svd(A._data)
    count = s._data.shape[-1]
    rest_u, rest_vh = Tensor._wrapped(full_u[..., count:]), Tensor._wrapped(full_vh[..., count:, :])
    return ops.concat([u, rest_u], axis=-1), s, ops.concat([vh, rest_vh], axis=-2)


@export
def svdvals(A: Tensor, *, driver: Any = None) -> Any:
    """The singular values, from the largest down."""
    return ops.svdvals(matrices("svdvals", A))


@export
def cond(A: Tensor, p: Any = None) -> Any:
    """The condition number: the norm of the matrix times that of its inverse."""
    matrices("cond", A, p not in (None, 2, -2))
    if p in (None, 2, -2):
        s = ops.svdvals(A)
        ends = ops.getitem(s, (..., 0)), ops.getitem(s, (..., -1))
        return ends[1] / ends[0] if p == -2 else ends[0] / ends[1]
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def _cutoff(values: np.ndarray, shape: tuple[int, ...], atol: Any, rtol: Any) -> Any:
    """The size below which singular values count as zero."""
    atol, rtol = (v._data if isinstance(v, Tensor) else v for v in (atol, rtol))
    largest = np.abs(values).max(-1, initial=0.0)
    if rtol is None:
        rtol = np.where(
            np.asarray(0.0 if atol is None else atol) > 0, 0.0, max(shape[-2:]) * np.finfo(values.dtype).eps
        )
    return np.maximum(np.asarray(0.0 if atol is None else atol), rtol * largest)


@export
def pinv(A: Tensor, *, atol: Any = None, rtol: Any = None, rcond: Any = None, hermitian: bool = False) -> Any:
    """The pseudo-inverse; singular values below the larger of atol and rtol times the largest count as zero."""
    matrices("pinv", A, hermitian)
    rtol = rcond if rtol is None else rtol
    if not A._data.size:
        return transpose(A, -2, -1)
    if atol is None and not hermitian and (rtol is None or isinstance(rtol, (int, float))):
        size = max(A._data.shape[-2:]) * float(np.finfo(A._data.dtype).eps)
        return apply(ops.pinv, (A,), {"rtol": size if rtol is None else rtol})
    if hermitian:
        A = _half(A, True)
    values = np.linalg.svd(A._data, compute_uv=False)
    limit = _cutoff(values, A._data.shape, atol, rtol)
    relative = limit / np.maximum(values.max(-1), np.finfo(values.dtype).tiny)
    return apply(ops.pinv, (A,), {"rtol": relative})


@export
def matrix_rank(
    A: Tensor, tol: Any = None, *, atol: Any = None, rtol: Any = None, hermitian: bool = False
) -> Any:
    """The number of singular values that do not count as zero."""
    matrices("matrix_rank", A, hermitian)
    if not A._data.size:
        return Tensor._wrapped(np.zeros(A._data.shape[:-2], np.int64))
    values = np.linalg.svd(A._data, compute_uv=False)
    limit = _cutoff(values, A._data.shape, tol if atol is None else atol, rtol if tol is None else 0.0)
    return Tensor._wrapped((values > np.asarray(limit)[..., None]).sum(-1))


@export
def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: Any = None) -> Any:
    """The least-squares solution of A X = B."""
    matrices("lstsq", A)
    same_types("lstsq", A, B)
    if B._data.ndim < 1:
        raise OperationError("torch.linalg.lstsq: other must have at least 1 dimension.")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise OperationError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )
    vector = is_vector(A, B)
    if A._data.shape[-2] != B._data.shape[-1 if vector else -2]:
        raise OperationError("torch.linalg.lstsq: input.size(-2) should match other.size(-2)")
    right = ops.expand_dims(B, axis=-1) if vector else B
    solution = matmul(pinv(A, rtol=rcond), right)
    rows, columns = A._data.shape[-2:]
    empty = Tensor._wrapped(np.zeros(0, A._data.dtype))
    rank = matrix_rank(A) if driver != "gels" else Tensor._wrapped(np.zeros(0, np.int64))
    values = svdvals(A).detach() if driver in ("gelsd", "gelss") else empty
    residuals = ops.getitem(ops.reshape(solution, shape=(-1,)), slice(0))
    if (
        rows > columns
        and (driver == "gels" or (np.linalg.matrix_rank(A._data) == columns).all())
        and driver != "gelsy"
    ):
        error = right - matmul(A, solution)
        residuals = sum_(error * error, -2)
    return INFO["linalg_lstsq"](
        ops.squeeze(solution, axis=-1) if vector else solution, residuals, rank, values
    )


@export
def tensorinv(A: Tensor, ind: int = 2) -> Any:
    """The inverse of a tensor as a map from its last dimensions to its first `ind`."""
    if ind <= 0:
        raise OperationError("Expected a strictly positive integer for 'ind'")
    shape = A._data.shape
    if math.prod(shape[:ind]) != math.prod(shape[ind:]):
        raise OperationError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but "
            f"got {math.prod(shape[ind:])} != {math.prod(shape[:ind])}"
        )
    flat = ops.reshape(A, shape=(math.prod(shape[:ind]), -1))
    return ops.reshape(inv(flat), shape=(*shape[ind:], *shape[:ind]))


@export
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Any:
    """The solution of tensordot(A, X) = B."""
    x = (
        A
        if dims is None
        else ops.moveaxis(A, tuple(dims), tuple(range(A._data.ndim - len(dims), A._data.ndim)))
    )
    rest = x._data.shape[B._data.ndim :]
    if math.prod(rest) != B._data.size:
        raise OperationError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {math.prod(rest)} != {B._data.size}"
        )
    out = solve(ops.reshape(x, shape=(B._data.size, -1)), ops.reshape(B, shape=(-1,)))
    return ops.reshape(out, shape=rest)


@export
def matrix_exp(A: Tensor) -> Any:
    """The exponential of a matrix: by scaling, a Taylor polynomial, and squaring."""
    matrices("matrix_exp", A, True)
    size = float(np.abs(A._data).sum(-2).max(initial=0.0))
    halvings = max(0, math.ceil(math.log2(size)) + 3) if size > 0 else 0
    identity = Tensor._wrapped(np.eye(A._data.shape[-1], dtype=A._data.dtype))
    x = A / 2.0**halvings
    total = identity + x / 18
    for k in range(17, 0, -1):
        total = identity + matmul(x, total) / k
    for _ in range(halvings):
        total = matmul(total, total)
    return total


@export
def householder_product(A: Tensor, tau: Tensor) -> Any:
    """The first columns of a product of Householder reflections."""
    rows, columns = matrices("householder_product", A)._data.shape[-2:]
    if rows < columns:
        raise OperationError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if columns < tau._data.shape[-1]:
        raise OperationError(
            "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if A._data.ndim - tau._data.ndim != 1:
        raise OperationError(
            "torch.linalg.householder_product: Expected tau to have one dimension less than input, but got "
            f"tau.ndim equal to {tau._data.ndim} and input.ndim is equal to {A._data.ndim}"
        )
    if A._data.shape[:-2] != tau._data.shape[:-1]:
        raise OperationError(
            "torch.linalg.householder_product: Expected batch dimensions of tau to be equal to "
            f"input.shape[:-2], but got {list(tau.shape[:-1])}"
        )
    same_types("householder_product", A, tau)
    out = ops.index_update(A, np.eye(rows, columns, dtype=A._data.dtype), ...)
    below = apply(ops.tril, (A,), {"k": -1}) + Tensor._wrapped(np.eye(rows, columns, dtype=A._data.dtype))
    for i in reversed(range(tau._data.shape[-1])):
        v = ops.getitem(below, (..., slice(i, i + 1)))
        t = ops.getitem(tau, (..., slice(i, i + 1)))
        out = out - ops.expand_dims(t, axis=-1) * matmul(v, matmul(transpose(v, -2, -1), out))
    return out


def logdet(input: Tensor) -> Any:
    """The logarithm of the determinant; NaN where it is negative."""
    if input._data.ndim < 2 or input._data.shape[-1] != input._data.shape[-2]:
        raise OperationError("linalg.slogdet: A must be batches of square matrices")
    sign, size = apply(ops.slogdet, (input,), {})
    if (sign._data < 0).any():
        return apply(ops.where, (sign._data < 0, math.nan, size), {})
    return size


def _old_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition U, S, V."""
    u, s, vh = svd(input, not some)
    if not compute_uv:
        rows, columns = input._data.shape[-2:]
        lead = input._data.shape[:-2]
        u, vh = (Tensor._wrapped(np.zeros((*lead, n, n), input._data.dtype)) for n in (rows, columns))
    return _OLD["svd"](u, s, transpose(vh, -2, -1))


_OLD = {
    "svd": return_type("svd", "U", "S", "V"),
    "triangular_solve": return_type("triangular_solve", "solution", "cloned_coefficient"),
}


def _old_qr(input: Tensor, some: bool = True) -> Any:
    """The decomposition into a matrix with orthonormal columns and an upper triangular one."""
    return qr(input, "reduced" if some else "complete")


def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Any:
    """The solution of A X = input, where L is the triangular factor of A."""
    matrices("cholesky_solve", input)
    matrices("cholesky_solve", L, True)
    factor = with_values(L, (np.triu if upper else np.tril)(L._data))
    turned = transpose(factor, -2, -1)
    return solve(matmul(turned, factor) if upper else matmul(factor, turned), input)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Any:
    """The inverse of the matrix whose triangular factor is L."""
    matrices("cholesky_inverse", L, True)
    identity = np.broadcast_to(np.eye(L._data.shape[-1], dtype=L._data.dtype), L._data.shape)
    return cholesky_solve(Tensor._wrapped(identity.copy()), L, upper)


def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """The solution of A X = b for a triangular A."""
    matrix = A.mT if transpose else A
    found = solve_triangular(matrix, b, upper=upper != transpose, unitriangular=unitriangular)
    return _OLD["triangular_solve"](found, A.clone())


MATRIX_FUNCTIONS = {
    "inverse": inv, "det": det, "slogdet": slogdet, "cholesky": lambda input, upper=False: cholesky(input, upper=upper),
    "matrix_power": matrix_power, "matrix_exp": matrix_exp, "logdet": logdet, "svd": _old_svd, "qr": _old_qr,
    "cholesky_solve": cholesky_solve, "cholesky_inverse": cholesky_inverse, "triangular_solve": triangular_solve,
    "pinverse": lambda input, rcond=1e-15: pinv(input, rcond=rcond),
}  # fmt: skip
for _name, _f in MATRIX_FUNCTIONS.items():
    PUBLIC[_name] = with_out(_f)
    METHODS[_name] = _f
