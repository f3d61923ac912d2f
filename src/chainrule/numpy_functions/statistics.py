"""Averages with weights, quantiles, and how variables vary together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.functions.arrays import as_array, data_of, example_of, shape_of
from chainrule.functions.reduce import neighbours, reduced_last, share_type
from chainrule.numpy_functions.elementwise import of_type
from chainrule.numpy_functions.ufuncs import as_floating
from chainrule.rules.reduce import axes_of, count_over, kept_shape
from chainrule.typing import Axis

Function = Callable[..., Any]


def _average(
    a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    a = as_floating(a)
    if weights is None:
        out = ops.mean(a, axis=axis, keepdims=keepdims)
        count = count_over(a.shape, axis)
        return (out, np.full(shape_of(out), count, np.dtype(out.dtype))) if returned else out
    weights = as_array(weights)
    if tuple(weights.shape) != tuple(a.shape):
        weights = _along(weights, axis, a.shape)
    total = ops.sum(weights, axis=axis, keepdims=keepdims)
    if np.any(example_of(total) == 0):
        raise ZeroDivisionError("the weights of np.average sum to zero, so they can't be normalized")
    out = ops.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (out, ops.broadcast_to(total, shape=shape_of(out))) if returned else out


def _along(weights: Any, axis: Axis, shape: Any) -> Any:
    """Weights of the axes `axis` alone, spread over the whole shape."""
    axes = axes_of(axis, len(shape)) if shape_of(weights) else ()
    lengths = dict(zip(axes, shape_of(weights), strict=True))
    placed = ops.reshape(weights, shape=tuple(lengths.get(i, 1) for i in range(len(shape))))
    return ops.broadcast_to(placed, shape=tuple(shape))


# quantiles -----------------------------------------------------------------------------------------------


def _quantile(a: Any, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> Any:
    return ops.quantile(a, q, axis=axis, keepdims=keepdims, method=method)


def _nanquantile(a: Any, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> Any:
    """Each line has its own number of elements; sorted, its NaN are at the end."""
    precision = share_type(a, example_of(q))
    q = np.asarray(data_of(q), dtype=np.float64)
    ordered = ops.sort(reduced_last(a, axes_of(axis, len(a.shape))), axis=-1)
    count = np.sum(~np.isnan(data_of(ordered)), axis=-1)
    position = q.reshape(-1, *(1,) * count.ndim) * np.maximum(count - 1, 0)
    low, high, share = neighbours(position, method, precision)
    below, above = (_picked(ordered, index) for index in (low, high))
    shape = kept_shape(a.shape, axis) if keepdims else tuple(ordered.shape[:-1])
    return ops.reshape(below * (1 - share) + above * share, shape=(*q.shape, *shape))


def _picked(lines: Any, index: Any) -> Any:
    """From each line, the elements at its own indices, which are along the first axis."""
    return ops.moveaxis(ops.take_along_axis(lines, np.moveaxis(index, 0, -1), axis=-1), -1, 0)


def _median(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    # Of nothing, NumPy takes the mean: NaN and a warning.
    middle = ops.median if count_over(shape_of(a), axis) else ops.mean
    return middle(a, axis=axis, keepdims=keepdims)


def _percent(quantile: Function) -> Function:
    return lambda a, q, axis=None, *, method="linear", keepdims=False: quantile(
        a, np.true_divide(data_of(q), 100), axis, method=method, keepdims=keepdims
    )


# covariance ----------------------------------------------------------------------------------------------


def _variables(m: Any, rowvar: bool) -> Any:
    """One variable per row."""
    m = as_floating(m)
    if len(m.shape) < 2:
        return ops.reshape(m, shape=(1, -1))
    return m if rowvar else ops.matrix_transpose(m)


def _cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    *,
    dtype: Any = None,
) -> Any:
    X = _variables(m, rowvar)
    if y is not None:
        X = ops.concat([X, _variables(y, rowvar)], axis=0)
    X = of_type(X, dtype or np.result_type(X.dtype, np.float64))
    X = X - ops.mean(X, axis=1, keepdims=True)
    degrees = X.shape[1] - (ddof if ddof is not None else 0 if bias else 1)
    return ops.squeeze(ops.matmul(X, ops.matrix_transpose(X)) / max(degrees, 0))


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = _cov(x, y, rowvar, dtype=dtype)
    if not c.shape:
        return c / c
    scale = ops.sqrt(ops.diagonal(c))
    return ops.clip(c / ops.expand_dims(scale, 1) / ops.expand_dims(scale, 0), -1, 1)


def _histogram_of_weights(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    x = np.asarray(data_of(x))
    length = max(minlength, int(x.max(initial=-1)) + 1)
    return ops.scatter_add(ops.astype(as_array(weights), np.float64), key=(x,), shape=(length,))


def _nanmedian(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    return _nanquantile(a, 0.5, axis, keepdims=keepdims)


FUNCTIONS: dict[str, Function] = {
    "average": _average,
    "median": _median,
    "quantile": _quantile,
    "percentile": _percent(_quantile),
    "nanmedian": _nanmedian,
    "nanquantile": _nanquantile,
    "nanpercentile": _percent(_nanquantile),
    "cov": _cov,
    "corrcoef": _corrcoef,
    "bincount": _histogram_of_weights,
}
