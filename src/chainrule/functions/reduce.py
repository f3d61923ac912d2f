"""Reductions made of primitives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.functions.arrays import as_array, example_of, full_like, ones_like, zeros_like
from chainrule.functions.index import getitem
from chainrule.functions.shape import concat, moveaxis
from chainrule.rules import reduce as rules
from chainrule.rules.elementwise import isnan, where
from chainrule.rules.index import sort
from chainrule.rules.reduce import axes_of, kept_shape
from chainrule.rules.reduce import sum as sum_
from chainrule.rules.shape import reshape
from chainrule.typing import Axis


def cumulative_sum(x: Any, *, axis: int | None = None, include_initial: bool = False) -> Any:
    """Running sums along `axis` (which a vector need not name), from 0 on with `include_initial`."""
    return _running(rules.cumulative_sum, x, axis, include_initial, 0.0)


def cumulative_prod(x: Any, *, axis: int | None = None, include_initial: bool = False) -> Any:
    """Running products along `axis`, from 1 on with `include_initial`."""
    return _running(rules.cumulative_prod, x, axis, include_initial, 1.0)


def _running(primitive: Any, x: Any, axis: int | None, include_initial: bool, start: float) -> Any:
    x = as_array(x)
    if axis is None:
        if len(x.shape) != 1:
            raise OptionError(f"{primitive.name} of an array of shape {tuple(x.shape)} needs an axis")
        axis = 0
    out = primitive(x, axis=axis)
    if not include_initial:
        return out
    first = full_like(sum_(example_of(x), axis=axis, keepdims=True), start)
    return concat([first, out], axis=axis)


def nansum(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum of the elements that are not NaN."""
    x = as_array(x)
    return sum_(where(isnan(x), 0.0, x), axis=axis, keepdims=keepdims)


def nanmean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean of the elements that are not NaN."""
    x = as_array(x)
    counted = where(isnan(x), zeros_like(example_of(x)), ones_like(example_of(x)))
    return nansum(x, axis=axis, keepdims=keepdims) / sum_(counted, axis=axis, keepdims=keepdims)


def median(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The middle element; of an even number, the mean of the two in the middle."""
    return quantile(x, 0.5, axis=axis, keepdims=keepdims)


def quantile(x: Any, q: Any, *, axis: Axis = None, keepdims: bool = False, method: str = "linear") -> Any:
    """The value below which a share `q` of the elements lies; NaN where one of them is NaN.

    `method` is linear, lower, higher, midpoint or nearest, as in NumPy.
    """
    x = as_array(x)
    precision = share_type(x, q)
    q = np.asarray(q, dtype=float)
    ordered = sort(reduced_last(x, axes_of(axis, len(x.shape))), axis=-1)
    low, high, share = neighbours(q * (ordered.shape[-1] - 1), method, precision)
    out = getitem(ordered, (..., low)) * (1 - share) + getitem(ordered, (..., high)) * share
    last = getitem(ordered, (..., -1))  # where NaN are sorted to
    last = reshape(last, shape=(*last.shape, *(1,) * q.ndim))
    out = where(isnan(last), last, out)
    out = moveaxis(out, tuple(range(len(out.shape) - q.ndim, len(out.shape))), tuple(range(q.ndim)))
    return reshape(out, shape=(*q.shape, *kept_shape(x.shape, axis))) if keepdims else out


def share_type(x: Any, q: Any) -> Any:
    """The type in which two neighbours are weighted: that of `x`, unless `q` is an array of a wider one.

    >>> share_type(np.ones(2, np.float32), 0.5), share_type(np.ones(2, np.float32), [0.5])
    (dtype('float32'), dtype('float64'))
    """
    if np.dtype(x.dtype).kind != "f":
        return np.dtype(np.float64)
    return np.dtype(x.dtype) if isinstance(q, (int, float)) else np.result_type(x.dtype, np.asarray(q))


def neighbours(position: Any, method: str, dtype: Any) -> tuple[Any, Any, Any]:
    """The indices below and above a position between sorted elements, and the share of the upper one.

    >>> neighbours(np.array(1.25), "linear", np.float64)
    (array(1), array(2), array(0.25))
    """
    low, high = np.floor(position).astype(int), np.ceil(position).astype(int)
    shares = {
        "linear": position - low,
        "lower": np.zeros_like(position),
        "higher": np.ones_like(position),
        "midpoint": np.where(low == high, 0.0, 0.5),
        "nearest": np.round(position) - low,
    }
    if method not in shares:
        raise OptionError(f"quantile(method={method!r}): expected one of {', '.join(shares)}")
    return np.asarray(low), np.asarray(high), np.asarray(shares[method], dtype)


def reduced_last(x: Any, axes: tuple[int, ...]) -> Any:
    """`x` with the axes that are reduced at the end, merged into one."""
    moved = moveaxis(x, axes, tuple(range(-len(axes), 0))) if axes else x
    rest = tuple(moved.shape[: len(x.shape) - len(axes)])
    return reshape(moved, shape=(*rest, math.prod(x.shape[a] for a in axes)))
