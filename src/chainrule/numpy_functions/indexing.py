"""Functions that pick, order and insert elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import UnsupportedError
from chainrule.functions.arrays import as_array, data_of
from chainrule.numpy_functions.arguments import as_tensors
from chainrule.numpy_functions.shapes import flat, numbered

Function = Callable[..., Any]


def take(a: Any, indices: Any, axis: int | None = None, *, mode: str = "raise") -> Any:
    """The elements of `a` (or its slices along `axis`) at `indices`."""
    return ops.take(a, indices, axis, mode=mode)


def _compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    return take(a, np.flatnonzero(data_of(condition)), axis)


def _extract(condition: Any, arr: Any) -> Any:
    return flat(arr)[np.flatnonzero(data_of(condition))]


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    return flat(arr)[np.delete(numbered(arr), data_of(obj), axis)]


def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr = as_array(arr)
    values = ops.astype(as_array(values), arr.dtype)
    numbers = np.insert(numbered(arr), data_of(obj), numbered(values, start=numbered(arr).size), axis)
    return ops.concat([arr, values], axis=None)[numbers]


def _resize(a: Any, new_shape: Any) -> Any:
    return flat(a)[np.resize(numbered(a), new_shape)]


def _trim_zeros(filt: Any, trim: str = "fb") -> Any:
    filt = as_array(filt)
    if len(filt.shape) != 1:
        raise UnsupportedError("np.trim_zeros has a derivative for vectors only; slice other arrays")
    places = np.flatnonzero(data_of(filt))
    if not places.size:
        return filt[:0]
    start = int(places[0]) if "f" in trim.lower() else 0
    return filt[start : int(places[-1]) + 1 if "b" in trim.lower() else None]


# order ---------------------------------------------------------------------------------------------------


def _sort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Any:
    return ops.sort(flat(a), axis=0) if axis is None else ops.sort(as_array(a), axis=axis)


def _partition(a: Any, kth: Any, axis: int | None = -1) -> Any:
    return ops.take_along_axis(a, np.argpartition(data_of(a), kth, axis), axis)


def _unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True,
) -> Any:  # fmt: skip
    how: dict[str, Any] = {"return_inverse": return_inverse, "return_counts": return_counts, "axis": axis}
    _, index, *rest = np.unique(data_of(ar), return_index=True, equal_nan=equal_nan, **how)
    values = take(ar, index, axis)
    found = (*([index] if return_index else []), *rest)
    return (values, *as_tensors(found)) if found else values


def _unique_like(function: Function) -> Function:
    """One of the Array API's `unique_...`: what it finds, with values that a gradient flows through."""

    def unique(x: Any) -> Any:
        values = flat(x)[np.unique(data_of(x), return_index=True, equal_nan=False)[1]]
        found = function(data_of(x))
        return as_tensors(found)._replace(values=values) if isinstance(found, tuple) else values

    return unique


FUNCTIONS: dict[str, Function] = {
    "take": take,
    "take_along_axis": lambda arr, indices, axis=-1: ops.take_along_axis(arr, indices, axis),
    "compress": _compress,
    "extract": _extract,
    "delete": _delete,
    "insert": _insert,
    "resize": _resize,
    "trim_zeros": _trim_zeros,
    "sort": _sort,
    "partition": _partition,
    "unique": _unique,
    "unique_values": _unique_like(np.unique_values),
    "unique_counts": _unique_like(np.unique_counts),
    "unique_inverse": _unique_like(np.unique_inverse),
    "unique_all": _unique_like(np.unique_all),
}
