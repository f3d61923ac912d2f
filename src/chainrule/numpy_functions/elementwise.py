"""Elementwise functions that are no universal functions, and choices between arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.functions.arrays import as_array, data_of, example_of, shape_of
from chainrule.numpy_functions.arguments import replaced
from chainrule.numpy_functions.ufuncs import UFUNCS


def of_type(x: Any, dtype: Any) -> Any:
    """`x` converted to `dtype`; as it is without one."""
    return x if dtype is None else ops.astype(as_array(x), dtype)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    return ops.clip(a, a_min if min is None else min, a_max if max is None else max)


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    return ops.nonzero(as_array(condition)) if x is None and y is None else ops.where(condition, x, y)


def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ShapeError(f"np.select has {len(condlist)} conditions, but {len(choicelist)} choices")
    dtype = np.result_type(*(example_of(c) for c in choicelist), example_of(default))
    out = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = ops.where(condition, choice, out)
    return of_type(out, dtype)


def _choose(a: Any, choices: Any, *, mode: str = "raise") -> Any:
    stacked = ops.stack(ops.broadcast_arrays(*choices))
    index = np.asarray(data_of(a))
    shape = np.broadcast_shapes(index.shape, stacked.shape[1:])
    # NumPy itself decides which choice each element takes, and refuses numbers that are out of range.
    number = np.choose(index, list(range(stacked.shape[0])), mode=mode)  # type: ignore[call-overload]
    wide = ops.broadcast_to(stacked, shape=(stacked.shape[0], *shape))
    return ops.take_along_axis(wide, np.broadcast_to(number, shape)[None], axis=0)[0]


def _piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    x = as_array(x)
    conditions = _conditions(replaced(condlist, data_of), shape_of(x))
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    if len(funclist) != len(conditions):
        raise ShapeError(f"np.piecewise has {len(conditions)} conditions, but {len(funclist)} functions")
    out = ops.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        values = x[condition]
        if values.shape[0]:
            found = function(values, *args, **kw) if callable(function) else function
            out = ops.index_update(out, found, key=condition)
    return out


def _conditions(condlist: Any, shape: tuple[int, ...]) -> list[Any]:
    """The conditions as boolean arrays; a single one need not be in a list."""
    single = np.isscalar(condlist) or (not isinstance(condlist[0], (list, np.ndarray)) and shape != ())
    return [np.broadcast_to(np.asarray(c, dtype=bool), shape) for c in ([condlist] if single else condlist)]


def _unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    values = data_of(p)
    return p + (np.unwrap(values, discont, axis, period=period) - values)


def _rounded(a: Any, decimals: int = 0) -> Any:
    return ops.round(a, decimals=decimals)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "clip": _clip,
    "round": _rounded,
    "around": _rounded,
    "fix": lambda x: ops.trunc(x),
    "nan_to_num": lambda x, *, nan=0.0, posinf=None, neginf=None: ops.nan_to_num(
        x, nan=nan, posinf=posinf, neginf=neginf
    ),
    "sinc": lambda x: ops.sinc(x),
    "real": lambda val: val.real,
    "imag": lambda val: ops.zeros_like(val.real),
    "real_if_close": lambda a: a,
    "unwrap": _unwrap,
    "where": _where,
    "select": _select,
    "choose": _choose,
    "piecewise": _piecewise,
    "astype": lambda x, dtype, *, copy=True: of_type(x, dtype),
    "copy": lambda a, order="K", subok=False: ops.copy(a),
    "linalg.matmul": lambda x1, x2: ops.matmul(x1, x2),
    "linalg.vecdot": lambda x1, x2, *, axis=-1: UFUNCS[np.vecdot](x1, x2, axis=axis),
}
