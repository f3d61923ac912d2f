"""NumPy's universal functions: what stands for their call, their `reduce` and their `accumulate`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.functions.arrays import as_array, data_of
from chainrule.numpy_functions.arguments import on_arrays

Function = Callable[..., Any]


def is_floating(x: Any) -> bool:
    """Whether an array, Tensor or number is of a real floating-point type.

    >>> is_floating(np.float32(1)), is_floating([1, 2])
    (True, False)
    """
    return bool(np.dtype(as_array(x).dtype).kind == "f")


def as_floating(x: Any) -> Any:
    """Integers and booleans as float64; floating-point numbers as they are."""
    x = as_array(x)
    return ops.astype(x, np.float64) if np.dtype(x.dtype).kind in "biu" else x


def _or_numpy(ours: Function, ufunc: np.ufunc) -> Function:
    """`ours` for floating-point numbers; NumPy's own for the other types, which have no derivative."""
    return lambda x: ours(x) if is_floating(x) else on_arrays(ufunc, (x,), {})


def _ldexp(x1: Any, x2: Any) -> Any:
    return ops.multiply(x1, np.ldexp(np.ones((), as_array(x1).dtype), data_of(x2)))


def _modf(x: Any) -> tuple[Any, Any]:
    whole = ops.trunc(x)
    with np.errstate(invalid="ignore"):  # inf - inf, in the branch that is not taken
        return ops.where(ops.isinf(x), 0.0 * ops.sign(whole), x - whole), whole


def _frexp(x: Any) -> tuple[Any, Any]:
    exponent = np.frexp(data_of(x))[1]
    return _ldexp(x, -exponent), on_arrays(lambda like: exponent, (x,), {})


def _vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    if is_floating(x1) or is_floating(x2):
        return ops.vecdot(x1, x2, axis=axis)
    return on_arrays(np.vecdot, (x1, x2), {"axis": axis})


def _matvec(x1: Any, x2: Any) -> Any:
    return ops.matmul(x1, ops.expand_dims(x2, -1))[..., 0]


def _vecmat(x1: Any, x2: Any) -> Any:
    return ops.matmul(ops.expand_dims(x1, -2), x2)[..., 0, :]


_CALLS: dict[str, Function] = {
    # arithmetic
    "add": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "divide": ops.divide,
    "floor_divide": ops.floor_divide, "remainder": ops.remainder, "fmod": ops.fmod, "power": ops.pow,
    "divmod": lambda x1, x2: (ops.floor_divide(x1, x2), ops.remainder(x1, x2)),
    "float_power": lambda x1, x2: ops.pow(ops.astype(as_array(x1), np.float64), x2),
    "negative": ops.negative, "positive": ops.positive, "square": ops.square, "sqrt": ops.sqrt,
    "cbrt": ops.cbrt, "reciprocal": _or_numpy(ops.reciprocal, np.reciprocal),
    "absolute": ops.abs, "fabs": _or_numpy(ops.abs, np.fabs), "sign": ops.sign,
    "conjugate": _or_numpy(ops.positive, np.conjugate),
    # exponentials and logarithms
    "exp": ops.exp, "exp2": ops.exp2, "expm1": ops.expm1, "log": ops.log, "log2": ops.log2,
    "log10": ops.log10, "log1p": ops.log1p, "logaddexp": ops.logaddexp, "logaddexp2": ops.logaddexp2,
    "ldexp": _ldexp, "frexp": _or_numpy(_frexp, np.frexp),
    # trigonometry
    "sin": ops.sin, "cos": ops.cos, "tan": ops.tan, "arcsin": ops.asin, "arccos": ops.acos,
    "arctan": ops.atan, "arctan2": ops.atan2, "hypot": ops.hypot, "sinh": ops.sinh, "cosh": ops.cosh,
    "tanh": ops.tanh, "arcsinh": ops.asinh, "arccosh": ops.acosh, "arctanh": ops.atanh,
    "degrees": _or_numpy(ops.degrees, np.degrees), "rad2deg": _or_numpy(ops.degrees, np.rad2deg),
    "radians": _or_numpy(ops.radians, np.radians), "deg2rad": _or_numpy(ops.radians, np.deg2rad),
    # rounding and selection
    "floor": ops.floor, "ceil": ops.ceil, "trunc": ops.trunc, "modf": _or_numpy(_modf, np.modf),
    "rint": _or_numpy(ops.round, np.rint), "copysign": ops.copysign, "heaviside": ops.heaviside,
    "maximum": ops.maximum, "minimum": ops.minimum, "fmax": ops.fmax, "fmin": ops.fmin,
    # products of matrices
    "matmul": ops.matmul, "matvec": _matvec, "vecmat": _vecmat,
    "vecdot": _vecdot,
    # comparisons, logic and bits
    "equal": ops.equal, "not_equal": ops.not_equal, "less": ops.less, "less_equal": ops.less_equal,
    "greater": ops.greater, "greater_equal": ops.greater_equal, "logical_and": ops.logical_and,
    "logical_or": ops.logical_or, "logical_xor": ops.logical_xor, "logical_not": ops.logical_not,
    "isfinite": ops.isfinite, "isinf": ops.isinf, "isnan": ops.isnan, "signbit": ops.signbit,
    "bitwise_and": ops.bitwise_and, "bitwise_or": ops.bitwise_or, "bitwise_xor": ops.bitwise_xor,
    "invert": ops.bitwise_invert, "left_shift": ops.bitwise_left_shift,
    "right_shift": ops.bitwise_right_shift,
}  # fmt: skip

CONSTANT_UFUNCS = frozenset({np.spacing, np.gcd, np.lcm, np.bitwise_count})
"""Those without a primitive whose derivative is zero, or that know only integers."""

UFUNCS: dict[Any, Function] = {
    getattr(np, name): ours for name, ours in _CALLS.items() if hasattr(np, name)
} | {ufunc: lambda *args, _ufunc=ufunc: on_arrays(_ufunc, args, {}) for ufunc in CONSTANT_UFUNCS}

REDUCTIONS: dict[Any, tuple[Function, Function]] = {
    np.add: (ops.sum, ops.add),
    np.multiply: (ops.prod, ops.multiply),
    np.maximum: (ops.max, ops.maximum),
    np.minimum: (ops.min, ops.minimum),
    np.logaddexp: (ops.logsumexp, ops.logaddexp),
    np.logical_and: (ops.all, ops.logical_and),
    np.logical_or: (ops.any, ops.logical_or),
}
"""What `ufunc.reduce` is, and what joins its result with `initial`."""

ACCUMULATIONS: dict[Any, Function] = {np.add: ops.cumulative_sum, np.multiply: ops.cumulative_prod}

_SCIPY: dict[str, Function] = {
    "expit": ops.sigmoid, "logit": ops.logit, "erf": ops.erf, "erfinv": ops.erfinv, "gammaln": ops.lgamma,
    "psi": ops.digamma, "log_expit": lambda x: ops.negative(ops.softplus(ops.negative(x))),
}  # fmt: skip


def of_scipy(ufunc: Any) -> Function | None:
    """What stands for a universal function of `scipy.special`, if the program has imported that."""
    name = getattr(ufunc, "__name__", "")
    own = getattr(sys.modules.get("scipy.special"), name, None)
    return _SCIPY.get(name) if own is ufunc else None


def outer(ours: Function, x: Any, y: Any) -> Any:
    """`ufunc.outer`: every element of `x` with every element of `y`."""
    x, y = as_array(x), as_array(y)
    return ours(ops.reshape(x, shape=(*x.shape, *(1,) * len(y.shape))), y)


def added_at(x: Any, y: Any, key: Any, *, sign: int) -> Any:
    """`np.add.at` and `np.subtract.at` as functions: `x` with `y` added at `key`, which may repeat."""
    return ops.index_add(x, y if sign > 0 else ops.negative(as_array(y)), key)


ADDITIONS: dict[Any, Function] = {
    np.add: partial(added_at, sign=1), np.subtract: partial(added_at, sign=-1)
}  # fmt: skip
