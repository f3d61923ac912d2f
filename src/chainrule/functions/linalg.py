"""Linear algebra made of primitives."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import OptionError, ShapeError, UnsupportedError
from chainrule.functions.arrays import as_array, example_of, shape_of, zeros_like
from chainrule.functions.index import getitem
from chainrule.functions.shape import concat, diagonal, expand_dims, moveaxis, stack, swapaxes
from chainrule.rules import linalg as rules
from chainrule.rules.elementwise import abs as abs_
from chainrule.rules.elementwise import multiply
from chainrule.rules.linalg import contraction, inv, matmul, thin_svd
from chainrule.rules.reduce import axes_of, count_nonzero, p_norm
from chainrule.rules.reduce import max as max_
from chainrule.rules.reduce import min as min_
from chainrule.rules.reduce import sum as sum_
from chainrule.rules.shape import astype, matrix_transpose, permute_dims, reshape
from chainrule.typing import Axis

# products ------------------------------------------------------------------------------------------------


def dot(x: Any, y: Any) -> Any:
    """NumPy's dot: a product of numbers, vectors or matrices; of more axes, the last by the last but one."""
    x, y = as_array(x), as_array(y)
    if not x.shape or not y.shape:
        return multiply(x, y)
    if len(y.shape) <= 2:
        return matmul(x, y)
    return tensordot(x, y, axes=((-1,), (-2,)))


def inner(x: Any, y: Any) -> Any:
    """The sum of products over the last axes."""
    x, y = as_array(x), as_array(y)
    return multiply(x, y) if not x.shape or not y.shape else tensordot(x, y, axes=((-1,), (-1,)))


def outer(x: Any, y: Any) -> Any:
    """All products of an element of `x` and one of `y`; both are flattened."""
    return multiply(reshape(as_array(x), shape=(-1, 1)), reshape(as_array(y), shape=(1, -1)))


def vecdot(x: Any, y: Any, *, axis: int = -1) -> Any:
    """The sums of products along one axis; the others broadcast."""
    return sum_(multiply(as_array(x), as_array(y)), axis=axis)


def tensordot(x: Any, y: Any, axes: int | Sequence[Any] = 2) -> Any:
    """The sum of products over pairs of axes: the last `axes` of `x` with the first of `y`, or those given."""
    x, y = as_array(x), as_array(y)
    if isinstance(axes, int):
        axes = (tuple(range(len(x.shape) - axes, len(x.shape))), tuple(range(axes)))
    summed_x, summed_y = (axes_of(a, n) for a, n in zip(axes, (len(x.shape), len(y.shape)), strict=True))
    if [x.shape[i] for i in summed_x] != [y.shape[i] for i in summed_y]:
        raise ShapeError(
            f"tensordot: the axes {summed_x} of shape {tuple(x.shape)} and {summed_y} of shape "
            f"{tuple(y.shape)} must have equal lengths in pairs"
        )
    free_x = [i for i in range(len(x.shape)) if i not in summed_x]
    free_y = [i for i in range(len(y.shape)) if i not in summed_y]
    rows, columns = [x.shape[i] for i in free_x], [y.shape[i] for i in free_y]
    depth = math.prod(x.shape[i] for i in summed_x)
    left = reshape(permute_dims(x, axes=(*free_x, *summed_x)), shape=(math.prod(rows), depth))
    right = reshape(permute_dims(y, axes=(*summed_y, *free_y)), shape=(depth, math.prod(columns)))
    return reshape(matmul(left, right), shape=(*rows, *columns))


def kron(x: Any, y: Any) -> Any:
    """The Kronecker product."""
    x, y = as_array(x), as_array(y)
    count = max(len(x.shape), len(y.shape))
    m, n = ((1,) * (count - len(a.shape)) + tuple(a.shape) for a in (x, y))
    apart = multiply(
        reshape(x, shape=tuple(k for i in m for k in (i, 1))),
        reshape(y, shape=tuple(k for j in n for k in (1, j))),
    )
    return reshape(apart, shape=tuple(i * j for i, j in zip(m, n, strict=True)))


def cross(x: Any, y: Any, *, axis: int = -1) -> Any:
    """The vector product along an axis of length 3."""
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ShapeError(
            f"cross(x, y, axis={axis}) needs vectors of 3 elements, but has {x.shape[-1]} and {y.shape[-1]}"
        )
    a, b = ([getitem(v, (..., i)) for i in range(3)] for v in (x, y))
    parts = [a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3] for i in range(3)]
    return moveaxis(stack(parts, axis=-1), -1, axis)


# einsum --------------------------------------------------------------------------------------------------


def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein's summation, every form of NumPy's: implicit output, `...`, repeated and broadcast indices.

    >>> float(einsum("ii", np.eye(3)))
    3.0
    """
    arrays = [as_array(o) for o in operands]
    inputs, output = _explicit(subscripts.replace(" ", ""), [len(a.shape) for a in arrays])
    terms = [_on_diagonals(name, array) for name, array in zip(inputs, arrays, strict=True)]
    terms = _without_stretched(terms)
    terms = [_without_lone(i, terms, output) for i in range(len(terms))]
    names = [name for name, _ in terms]
    return contraction(*(a for _, a in terms), subscripts=f"{','.join(names)}->{output}")


def _explicit(subscripts: str, counts: list[int]) -> tuple[list[str], str]:
    """The indices of each operand and of the result, with `...` spelt out in letters."""
    left, arrow, output = subscripts.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(counts):
        raise ShapeError(f"einsum({subscripts!r}) names {len(inputs)} operands, but was given {len(counts)}")
    spare = [c for c in string.ascii_letters if c not in subscripts]
    hidden = [n - len(s.replace("...", "")) for s, n in zip(inputs, counts, strict=True)]
    for text, n, count in zip(inputs, hidden, counts, strict=True):
        if n < 0 or (n > 0 and "..." not in text):
            raise ShapeError(f"einsum({subscripts!r}): {text!r} does not fit an operand with {count} axes")
    batch = "".join(spare[: max([n for s, n in zip(inputs, hidden, strict=True) if "..." in s], default=0)])
    inputs = [s.replace("...", batch[len(batch) - n :]) for s, n in zip(inputs, hidden, strict=True)]
    if arrow:
        return inputs, output.replace("...", batch)
    letters = "".join(inputs)
    once = sorted(c for c in set(letters) - set(batch) if letters.count(c) == 1)
    return inputs, batch + "".join(once)


def _on_diagonals(name: str, array: Any) -> tuple[str, Any]:
    """An operand whose indices are all different: a repeated one takes the diagonal."""
    for letter in dict.fromkeys(name):
        while name.count(letter) > 1:
            first = name.index(letter)
            second = name.index(letter, first + 1)
            if array.shape[first] != array.shape[second]:
                raise ShapeError(
                    f"einsum: the index {letter!r} has the lengths {array.shape[first]} and {array.shape[second]}"
                )
            array = diagonal(array, axis1=first, axis2=second)
            name = name[:first] + name[first + 1 : second] + name[second + 1 :] + letter
    return name, array


def _without_stretched(terms: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """An index of length 1 that is longer elsewhere only stretches its operand: it is dropped there."""
    lengths: dict[str, int] = {}
    for name, array in terms:
        for letter, n in zip(name, array.shape, strict=True):
            if n != 1 and lengths.setdefault(letter, n) != n:
                raise ShapeError(f"einsum: the index {letter!r} has the lengths {lengths[letter]} and {n}")
    return [
        _kept(name, array, [n != 1 or c not in lengths for c, n in zip(name, array.shape, strict=True)])
        for name, array in terms
    ]


def _kept(name: str, array: Any, keep: list[bool]) -> tuple[str, Any]:
    shape = tuple(n for n, k in zip(array.shape, keep, strict=True) if k)
    return "".join(c for c, k in zip(name, keep, strict=True) if k), reshape(array, shape=shape)


def _without_lone(index: int, terms: list[tuple[str, Any]], output: str) -> tuple[str, Any]:
    """An index that is neither in the result nor in another operand is summed at once."""
    name, array = terms[index]
    elsewhere = set(output).union(*(n for i, (n, _) in enumerate(terms) if i != index))
    lone = tuple(i for i, c in enumerate(name) if c not in elsewhere)
    return ("".join(c for c in name if c in elsewhere), sum_(array, axis=lone)) if lone else (name, array)


# norms ---------------------------------------------------------------------------------------------------


def vector_norm(x: Any, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Any:
    """The norm of vectors; its derivative at 0 is taken to be 0."""
    x = as_array(x)
    if ord == math.inf:
        return max_(abs_(x), axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return min_(abs_(x), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum_(abs_(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return astype(count_nonzero(x, axis=axis, keepdims=keepdims), dtype=x.dtype)
    return p_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def matrix_norm(x: Any, *, axis: tuple[int, int] = (-2, -1), keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norm of matrices: 'fro', 'nuc', 1, -1, 2, -2, inf or -inf."""
    x = moveaxis(x, axis, (-2, -1))
    out = _matrix_norm(x, ord)
    return expand_dims(out, tuple(sorted(axes_of(axis, len(x.shape))))) if keepdims else out


def _matrix_norm(x: Any, ord: Any) -> Any:
    if ord in ("fro", None):
        return p_norm(x, axis=(-2, -1))
    if ord in ("nuc", 2, -2):
        s = svdvals(x)
        return sum_(s, axis=-1) if ord == "nuc" else getitem(s, (..., 0 if ord == 2 else -1))
    if ord in (1, -1, math.inf, -math.inf):
        sums = sum_(abs_(x), axis=-2 if ord in (1, -1) else -1)
        return (max_ if ord > 0 else min_)(sums, axis=-1)
    raise OptionError(f"matrix_norm(ord={ord!r}): expected 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """NumPy's norm: of vectors along one axis, of matrices along two, of all elements without one."""
    x = as_array(x)
    if axis is None and ord is None:
        return p_norm(x, keepdims=keepdims)
    axes = axes_of(axis, len(x.shape))
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) == 2:
        return matrix_norm(x, axis=(axes[0], axes[1]), keepdims=keepdims, ord=ord)
    raise ShapeError(
        f"norm(x, axis={axis}) of an array of shape {tuple(x.shape)}: one or two axes are needed"
    )


# decompositions ------------------------------------------------------------------------------------------


def qr(x: Any, mode: str = "reduced") -> tuple[Any, Any]:
    """The decomposition into a matrix with orthonormal columns and an upper triangular one."""
    x = as_array(x)
    if mode != "reduced":
        raise UnsupportedError(f"qr(mode={mode!r}) has no derivative here; use mode='reduced'")
    rows, columns = x.shape[-2:]
    if rows >= columns:
        q, r = rules.tall_qr(x)
        return q, r
    q, r = rules.tall_qr(getitem(x, (..., slice(rows))))
    return q, concat([r, matrix_transpose(q) @ getitem(x, (..., slice(rows, None)))], axis=-1)


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition; a rectangular matrix needs full_matrices=False to be differentiated."""
    x = as_array(x)
    if not compute_uv:
        return svdvals(x)
    if full_matrices and x.shape[-1] != x.shape[-2]:
        raise UnsupportedError(
            f"svd of shape {tuple(x.shape)} with full_matrices=True: the additional vectors are not unique, "
            f"so they have no derivative; use full_matrices=False"
        )
    return thin_svd(x)


def svdvals(x: Any) -> Any:
    """The singular values, from the largest down."""
    return thin_svd(as_array(x))[1]


def eigvalsh(x: Any) -> Any:
    """The eigenvalues of a symmetric matrix, from the smallest up."""
    return rules.eigh(as_array(x))[0]


def cholesky(x: Any, *, upper: bool = False) -> Any:
    """The triangular factor of a positive definite matrix; of which only the symmetric part counts."""
    lower = rules.cholesky(as_array(x))
    return matrix_transpose(lower) if upper else lower


def matrix_power(x: Any, n: int) -> Any:
    """The product of `n` equal square matrices; of their inverses if `n` is negative."""
    x = as_array(x)
    if n < 0:
        return matrix_power(inv(x), -n)
    if n == 0:
        return zeros_like(x) + np.eye(x.shape[-1], dtype=np.dtype(x.dtype))
    half = x if n < 2 else matrix_power(x, n // 2)
    if n < 2:
        return x
    squared = matmul(half, half)
    return matmul(squared, x) if n % 2 else squared


def multi_dot(arrays: Sequence[Any]) -> Any:
    """The product of several matrices, from the left."""
    product = as_array(arrays[0])
    for array in arrays[1:]:
        product = dot(product, array)
    return product


def lstsq(x: Any, y: Any, rcond: float | None = None) -> tuple[Any, Any, Any, Any]:
    """The least-squares solution of `x @ a = y`, with residuals, rank and singular values as in NumPy."""
    x, y = as_array(x), as_array(y)
    rows, columns = shape_of(x)
    values = svdvals(x)
    plain = np.asarray(example_of(values))  # the rank is that of the example, if this is traced
    cutoff = float(np.finfo(plain.dtype).eps) * max(rows, columns) if rcond is None else rcond
    rank = int((plain > cutoff * plain.max(initial=0)).sum())
    solution = matmul(rules.pinv(x, rtol=cutoff), y)
    error = y - matmul(x, solution)
    residuals = sum_(error * error, axis=0) if rank == columns < rows else np.empty(0, plain.dtype)
    if rank == columns < rows and len(y.shape) == 1:
        residuals = reshape(residuals, shape=(1,))
    return solution, residuals, rank, values


def solve(x: Any, y: Any) -> Any:
    """The solution of `x @ a = y`."""
    return rules.solve(as_array(x), as_array(y))


__all__ = [
    "cholesky", "cross", "dot", "eigvalsh", "einsum", "inner", "kron", "lstsq", "matrix_norm", "matrix_power",
    "multi_dot", "norm", "outer", "qr", "solve", "svd", "svdvals", "swapaxes", "tensordot", "vecdot", "vector_norm",
]  # fmt: skip
