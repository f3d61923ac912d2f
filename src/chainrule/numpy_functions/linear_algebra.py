"""Products, and `np.linalg`."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import InputError, UnsupportedError
from chainrule.functions.arrays import as_array, shape_of
from chainrule.numpy_functions.shapes import flat
from chainrule.numpy_functions.ufuncs import as_floating
from chainrule.rules.reduce import axes_of
from chainrule.typing import Axis

Function = Callable[..., Any]


def _einsum(*operands: Any, optimize: Any = False) -> Any:
    """Both of NumPy's forms; the order of contraction is ours, so `optimize` changes nothing."""
    if isinstance(operands[0], str):
        return ops.einsum(*operands)
    arrays, names = operands[: len(operands) // 2 * 2 : 2], operands[1::2]
    inputs = ",".join(_letters(n) for n in names)
    output = "->" + _letters(operands[-1]) if len(operands) % 2 else ""
    return ops.einsum(inputs + output, *arrays)


def _letters(numbers: Sequence[Any]) -> str:
    return "".join("..." if n is Ellipsis else string.ascii_letters[n] for n in numbers)


def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = ops.moveaxis(a, axisa, -1), ops.moveaxis(b, axisb, -1)
    return ops.moveaxis(ops.cross(a, b, axis=-1), -1, axisc)


# results with names --------------------------------------------------------------------------------------


@cache
def _result_of(function: Function) -> Function:
    """The named tuple that a function of `np.linalg` returns."""
    made: Function = type(function(np.eye(1)))
    return made


def _qr(a: Any, mode: str = "reduced") -> Any:
    if mode == "r":
        return ops.qr(a)[1]
    return _result_of(np.linalg.qr)(*ops.qr(a, mode))


def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    out = ops.svd(a, full_matrices, compute_uv)
    return _result_of(np.linalg.svd)(*out) if compute_uv else out


def _cholesky(a: Any, *, upper: bool = False) -> Any:
    return ops.cholesky(ops.matrix_transpose(a) if upper else a, upper=upper)


def _pinv(a: Any, rcond: Any = None, *, rtol: Any = None) -> Any:
    return ops.pinv(a, rtol=rcond if rtol is None else rtol)


# norms ---------------------------------------------------------------------------------------------------


def _norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:  # noqa: A002
    return ops.norm(as_floating(x), ord, axis, keepdims)


def _vector_norm(x: Any, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Any:  # noqa: A002
    return ops.vector_norm(as_floating(x), axis=axis, keepdims=keepdims, ord=ord)


def _matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:  # noqa: A002
    return ops.matrix_norm(as_floating(x), keepdims=keepdims, ord=ord)


def _cond(x: Any, p: Any = None) -> Any:
    x = as_array(x)
    if p in (None, 2, -2):
        s = ops.svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return ops.matrix_norm(x, ord=p) * ops.matrix_norm(ops.inv(x), ord=p)


# equations of tensors ------------------------------------------------------------------------------------


def _tensorinv(a: Any, ind: int = 2) -> Any:
    shape = shape_of(a)
    matrix = ops.reshape(as_array(a), shape=(math.prod(shape[:ind]), -1))
    return ops.reshape(ops.inv(matrix), shape=shape[ind:] + shape[:ind])


def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a = as_array(a)
    count = len(a.shape)
    if axes is not None:
        last = axes_of(axes, count)
        a = ops.permute_dims(a, axes=(*(i for i in range(count) if i not in last), *last))
    shape = tuple(a.shape[len(shape_of(b)) - count :])
    matrix = ops.reshape(a, shape=(-1, math.prod(shape)))
    return ops.reshape(ops.solve(matrix, flat(b)), shape=shape)


# sliding products ----------------------------------------------------------------------------------------


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    a, v = (ops.reshape(as_array(x), shape=(-1,)) for x in (a, v))
    if a.shape[0] < v.shape[0]:
        a, v = v, a
    return _windows(a, v.shape[0], mode) @ ops.flip(v)


def _correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = (ops.reshape(as_array(x), shape=(-1,)) for x in (a, v))
    if a.shape[0] < v.shape[0]:
        return ops.flip(_correlate(v, a, mode))
    return _windows(a, v.shape[0], mode) @ v


def _windows(a: Any, width: int, mode: str) -> Any:
    """As rows, the elements of `a` under a window of `width` that slides over it."""
    if mode not in ("full", "same", "valid"):
        raise InputError(f"convolve and correlate know the modes full, same and valid, but not {mode!r}")
    before, after = {"full": (width - 1,) * 2, "same": (width // 2, (width - 1) // 2), "valid": (0, 0)}[mode]
    padded = ops.pad(a, (before, after))
    starts = np.arange(padded.shape[0] - width + 1)
    return padded[starts[:, None] + np.arange(width)]


def _matrix_power(a: Any, n: int) -> Any:
    # The zeroth power is the identity, whatever the matrix is.
    return ops.matrix_power(a, n) if n else ops.zeros_like(a) + ops.matrix_power(a, 0)


def _outer_of_vectors(x1: Any, x2: Any) -> Any:
    if len(shape_of(x1)) != 1 or len(shape_of(x2)) != 1:
        raise UnsupportedError("np.linalg.outer takes two vectors; np.outer flattens others")
    return ops.outer(x1, x2)


FUNCTIONS: dict[str, Function] = {
    "dot": lambda a, b: ops.dot(a, b),
    "vdot": lambda a, b: ops.dot(flat(a), flat(b)),
    "inner": lambda a, b: ops.inner(a, b),
    "outer": lambda a, b: ops.outer(a, b),
    "linalg.outer": _outer_of_vectors,
    "tensordot": lambda a, b, axes=2: ops.tensordot(a, b, axes),
    "linalg.tensordot": lambda x1, x2, *, axes=2: ops.tensordot(x1, x2, axes),
    "einsum": _einsum,
    "kron": lambda a, b: ops.kron(a, b),
    "cross": _cross,
    "linalg.cross": lambda x1, x2, *, axis=-1: ops.cross(x1, x2, axis=axis),
    "convolve": _convolve,
    "correlate": _correlate,
    "linalg.multi_dot": lambda arrays: ops.multi_dot(list(arrays)),
    "linalg.matrix_power": _matrix_power,
    "linalg.inv": lambda a: ops.inv(as_floating(a)),
    "linalg.pinv": _pinv,
    "linalg.solve": lambda a, b: ops.solve(as_floating(a), as_floating(b)),
    "linalg.lstsq": lambda a, b, rcond=None: ops.lstsq(as_floating(a), as_floating(b), rcond),
    "linalg.tensorinv": _tensorinv,
    "linalg.tensorsolve": _tensorsolve,
    "linalg.det": lambda a: ops.det(as_floating(a)),
    "linalg.slogdet": lambda a: _result_of(np.linalg.slogdet)(*ops.slogdet(as_floating(a))),
    "linalg.cholesky": _cholesky,
    "linalg.qr": _qr,
    "linalg.eigh": lambda a: _result_of(np.linalg.eigh)(*ops.eigh(as_floating(a))),
    "linalg.eigvalsh": lambda a: ops.eigvalsh(as_floating(a)),
    "linalg.svd": _svd,
    "linalg.svdvals": lambda x: ops.svdvals(x),
    "linalg.norm": _norm,
    "linalg.vector_norm": _vector_norm,
    "linalg.matrix_norm": _matrix_norm,
    "linalg.cond": _cond,
}
