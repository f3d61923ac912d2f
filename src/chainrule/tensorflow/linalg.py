"""`tf.linalg`: products, norms, and functions of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.tensorflow.creation import eye as eye
from chainrule.tensorflow.errors import missing
from chainrule.tensorflow.reductions import axis_of
from chainrule.tensorflow.tensors import Tensor, binary, convert, matrix_product


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, name: Any = None) -> Any:
    """The product of matrices, or of stacks of them.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    <tf.Tensor: shape=(1, 1), dtype=float32, numpy=array([[11.]], dtype=float32)>
    """
    a, b = convert(a), convert(b)
    return binary("MatMul", matrix_product, a.mT if transpose_a else a, b.mT if transpose_b else b)


def matvec(a: Any, b: Any, transpose_a: bool = False, name: Any = None) -> Any:
    """The product of a matrix and a vector."""
    a, b = convert(a), convert(b)
    return ops.squeeze(matmul(a, ops.expand_dims(b, -1), transpose_a), axis=-1)


def tensordot(a: Any, b: Any, axes: Any, name: Any = None) -> Any:
    """The sum of products over pairs of axes: a number of them, or two lists."""
    pairs = axes if isinstance(axes, int) else [(v,) if isinstance(v, int) else tuple(v) for v in axes]
    return binary("MatMul", lambda x, y: ops.tensordot(x, y, pairs), convert(a), b)


def einsum(equation: str, *inputs: Any) -> Any:
    """Einstein's summation."""
    return ops.einsum(equation, *(convert(x) for x in inputs))


def matrix_transpose(a: Any, name: Any = None) -> Any:
    """The last two axes exchanged."""
    return convert(a).mT


def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The norm of vectors; of all elements without `axis`."""
    which = 2 if ord in ("euclidean", 2) else math.inf if ord in (np.inf, "inf") else float(ord)
    return ops.vector_norm(convert(tensor), axis=axis_of(axis), keepdims=keepdims, ord=which)


def trace(x: Any, name: Any = None) -> Any:
    """The sum of the diagonal."""
    return ops.trace(convert(x), axis1=-2, axis2=-1)


def diag(diagonal: Any, name: Any = None) -> Any:
    """The matrix with a vector on its diagonal."""
    return ops.diag(convert(diagonal))


def diag_part(input: Any, name: Any = None) -> Any:
    """The diagonal of a matrix."""
    return ops.diagonal(convert(input), axis1=-2, axis2=-1)


def det(input: Any, name: Any = None) -> Any:
    """The determinant."""
    return ops.det(convert(input))


def inv(input: Any, adjoint: bool = False, name: Any = None) -> Any:
    """The inverse."""
    return ops.inv(convert(input))


def pinv(a: Any, name: Any = None) -> Any:
    """The pseudo-inverse."""
    return ops.pinv(convert(a))


def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: Any = None) -> Any:
    """The solution of linear equations."""
    return ops.solve(convert(matrix), convert(rhs))


def cholesky(input: Any, name: Any = None) -> Any:
    """The Cholesky factor."""
    return ops.cholesky(convert(input))


def eigh(tensor: Any, name: Any = None) -> Any:
    """The eigenvalues and eigenvectors of a symmetric matrix."""
    return ops.eigh(convert(tensor))


def svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: Any = None) -> Any:
    """The singular values s, and u and v with tensor = u diag(s) vᵀ."""
    if not compute_uv:
        return ops.svdvals(convert(tensor))
    u, s, vt = ops.svd(convert(tensor), full_matrices=full_matrices)
    return s, u, vt.mT


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: Any = None) -> Any:
    """The tensor divided by its norm along `axis`."""
    x = convert(x)
    square = ops.sum(x * x, axis=axis_of(axis), keepdims=True)
    return x / ops.sqrt(ops.maximum(square, epsilon))


def global_norm(t_list: Any, name: Any = None) -> Any:
    """The norm of all elements of several tensors."""
    parts = [ops.sum(ops.square(convert(t))) for t in t_list if t is not None]
    return ops.sqrt(sum(parts[1:], parts[0]))


def __getattr__(name: str) -> Tensor:
    missing("tf.linalg", name, globals())
