"""Sums, products, extremes and means, their running forms, and those that leave NaN out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import OptionError
from chainrule.functions.arrays import as_array, data_of, shape_of
from chainrule.numpy_functions.elementwise import of_type
from chainrule.typing import Axis

Function = Callable[..., Any]


def _selected(a: Any, where: Any, neutral: float) -> Any:
    return a if where is True else ops.where(where, a, np.asarray(neutral, as_array(a).dtype))


def _sum(
    a: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, initial: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    if dtype is not None or where is not True:
        a = of_type(_selected(a, where, 0), dtype)
    out = ops.sum(a, axis=axis, keepdims=keepdims)
    return out if initial is None else out + initial


def _prod(
    a: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, initial: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    if dtype is not None or where is not True:
        a = of_type(_selected(a, where, 1), dtype)
    out = ops.prod(a, axis=axis, keepdims=keepdims)
    return out if initial is None else out * initial


def _extreme(reduce: Function, join: Function) -> Function:
    """`np.max` or `np.min`, whose `where` needs `initial`: of nothing there is no extreme."""

    def extreme(
        a: Any, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Any:
        if where is not True:
            if initial is None:
                raise OptionError("np.max and np.min with where= need an initial value too, as in NumPy")
            a = ops.where(where, a, initial)
        out = reduce(a, axis=axis, keepdims=keepdims)
        return out if initial is None else join(out, initial)

    return extreme


_max, _min = _extreme(ops.max, ops.maximum), _extreme(ops.min, ops.minimum)


def _mean(a: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True) -> Any:
    if where is True:
        return ops.mean(of_type(a, dtype), axis=axis, keepdims=keepdims)
    total = _sum(a, axis, dtype, keepdims=keepdims, where=where)
    count = np.sum(np.broadcast_to(data_of(where), shape_of(a)), axis=axis, keepdims=keepdims)
    return total / count.astype(total.dtype)


def _spread(reduce: Function) -> Function:
    """`np.var` or `np.std`."""

    def spread(
        a: Any, axis: Axis = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False,
        correction: Any = None,
    ) -> Any:  # fmt: skip
        a = of_type(a, dtype)
        return reduce(a, axis=axis, correction=ddof if correction is None else correction, keepdims=keepdims)

    return spread


def _running(accumulate: Function) -> Function:
    """`np.cumsum` or `np.cumprod`: without an axis, of all elements."""

    def running(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
        a = of_type(as_array(a), dtype)
        return (
            accumulate(a, axis=axis) if axis is not None else accumulate(ops.reshape(a, shape=(-1,)), axis=0)
        )

    return running


cumsum, cumprod = _running(ops.cumulative_sum), _running(ops.cumulative_prod)


def _cumulative(accumulate: Function) -> Function:
    """The Array API's `cumulative_sum` or `cumulative_prod`."""
    return lambda x, *, axis=None, dtype=None, include_initial=False: accumulate(
        of_type(as_array(x), dtype), axis=axis, include_initial=include_initial
    )


# without NaN ---------------------------------------------------------------------------------------------


def without_nan(a: Any, value: float) -> Any:
    """`a` with `value` in the place of NaN."""
    return ops.where(ops.isnan(a), value, a)


def _count(a: Any, axis: Axis, keepdims: bool) -> Any:
    """How many elements are not NaN, in the type of `a`."""
    return ops.sum(ops.astype(ops.logical_not(ops.isnan(a)), a.dtype), axis=axis, keepdims=keepdims)


def _nan_extreme(reduce: Function, neutral: float) -> Function:
    def extreme(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
        out = reduce(without_nan(a, neutral), axis=axis, keepdims=keepdims)
        return ops.where(_count(a, axis, keepdims) == 0, np.asarray(np.nan, out.dtype), out)

    return extreme


def _nanmean(a: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    total = ops.sum(without_nan(of_type(a, dtype), 0.0), axis=axis, keepdims=keepdims)
    return total / _count(of_type(a, dtype), axis, keepdims)


def _deviations(a: Any, axis: Axis) -> Any:
    """The distances from the mean; 0 in the place of NaN."""
    return without_nan(a - _nanmean(a, axis, keepdims=True), 0.0)


def _nanvar(a: Any, axis: Axis = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    a = of_type(a, dtype)
    d = _deviations(a, axis)
    return ops.sum(d * d, axis=axis, keepdims=keepdims) / (_count(a, axis, keepdims) - ddof)


def _nanstd(a: Any, axis: Axis = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    # A norm, because that has a derivative where all elements are equal.
    a = of_type(a, dtype)
    norm = ops.vector_norm(_deviations(a, axis), axis=axis, keepdims=keepdims)
    return norm / np.sqrt(_count(a, axis, keepdims) - ddof)


FUNCTIONS: dict[str, Function] = {
    "sum": _sum,
    "prod": _prod,
    "max": _max,
    "amax": _max,
    "min": _min,
    "amin": _min,
    "ptp": lambda a, axis=None, *, keepdims=False: (
        ops.max(a, axis=axis, keepdims=keepdims) - ops.min(a, axis=axis, keepdims=keepdims)
    ),
    "mean": _mean,
    "var": _spread(ops.var),
    "std": _spread(ops.std),
    "cumsum": cumsum,
    "cumprod": cumprod,
    "cumulative_sum": _cumulative(ops.cumulative_sum),
    "cumulative_prod": _cumulative(ops.cumulative_prod),
    "all": lambda a, axis=None, *, keepdims=False: ops.all(a, axis=axis, keepdims=keepdims),
    "any": lambda a, axis=None, *, keepdims=False: ops.any(a, axis=axis, keepdims=keepdims),
    "argmax": lambda a, axis=None, *, keepdims=False: ops.argmax(a, axis=axis, keepdims=keepdims),
    "argmin": lambda a, axis=None, *, keepdims=False: ops.argmin(a, axis=axis, keepdims=keepdims),
    "nansum": lambda a, axis=None, dtype=None, *, keepdims=False: _sum(
        without_nan(a, 0.0), axis, dtype, keepdims=keepdims
    ),
    "nanprod": lambda a, axis=None, dtype=None, *, keepdims=False: _prod(
        without_nan(a, 1.0), axis, dtype, keepdims=keepdims
    ),
    "nanmax": _nan_extreme(ops.max, -np.inf),
    "nanmin": _nan_extreme(ops.min, np.inf),
    "nanmean": _nanmean,
    "nanvar": _nanvar,
    "nanstd": _nanstd,
    "nancumsum": lambda a, axis=None, dtype=None: cumsum(without_nan(a, 0.0), axis, dtype),
    "nancumprod": lambda a, axis=None, dtype=None: cumprod(without_nan(a, 1.0), axis, dtype),
}
