"""Making arrays, and what every function here asks of its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.namespace import SCALARS, is_array, namespace_of
from chainrule.operators import data_of as data_of
from chainrule.operators import example_of as example_of
from chainrule.typing import DType, Shape


def as_array(x: Any) -> Any:
    """An array or Tensor as it is; numbers and nested lists as NumPy arrays.

    >>> as_array([1.0, 2.0])
    array([1., 2.])
    """
    return x if is_array(x) else np.asarray(x)


def shape_of(x: Any) -> Shape:
    """The shape of an array, a Tensor or a number.

    >>> shape_of(3.0), shape_of(np.ones((2, 1)))
    ((), (2, 1))
    """
    return () if isinstance(x, SCALARS) else tuple(as_array(x).shape)


def zeros_like(x: Any, *, dtype: DType = None) -> Any:
    """Zeros of the shape of `x`, in its library; a Tensor for a Tensor, so that it can be assigned to."""
    return _filled(x, "zeros_like", dtype)


def ones_like(x: Any, *, dtype: DType = None) -> Any:
    """Ones of the shape of `x`."""
    return _filled(x, "ones_like", dtype)


def empty_like(x: Any, *, dtype: DType = None) -> Any:
    """An array of the shape of `x`, with elements of no particular value."""
    return _filled(x, "empty_like", dtype)


def full_like(x: Any, fill_value: Any, *, dtype: DType = None) -> Any:
    """An array of the shape of `x` in which every element is `fill_value`."""
    out = zeros_like(x, dtype=dtype)
    return out + fill_value if is_array(fill_value) else _constant(x, out, fill_value)


def _constant(x: Any, out: Any, value: Any) -> Any:
    return _wrapped_like(x, namespace_of(example_of(out)).full_like(example_of(out), value))


def _filled(x: Any, name: str, dtype: DType) -> Any:
    data = example_of(x if is_array(x) else np.asarray(x))
    return _wrapped_like(x, getattr(namespace_of(data), name)(data, dtype=dtype))


def _wrapped_like(x: Any, data: Any) -> Any:
    wrap = getattr(type(x), "_wrapped", None)
    return data if wrap is None else wrap(data)
