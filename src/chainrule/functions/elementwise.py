"""Elementwise functions made of primitives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.functions.arrays import as_array
from chainrule.namespace import is_array
from chainrule.rules import elementwise as rules
from chainrule.rules import shape as shapes


def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """`x` limited to the range from `min` to `max`; the derivative at the ends is 1."""
    low, high = -math.inf if min is None else min, math.inf if max is None else max
    if min is None and max is None:
        return rules.positive(as_array(x))
    return rules.limit(as_array(x), low, high)


def nan_to_num(x: Any, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """`x` with NaN and Inf replaced; the derivative there is 0."""
    return rules.finite(as_array(x), nan=nan, posinf=posinf, neginf=neginf)


def astype(x: Any, dtype: Any) -> Any:
    """`x` converted; the gradient flows if both types are floating-point."""
    x, dtype = as_array(x), dtype.dtype if is_array(dtype) else dtype
    return shapes.astype(x if _is_floating(dtype) else _detached(x), dtype=dtype)


def _is_floating(dtype: Any) -> bool:
    try:
        return bool(np.dtype(dtype).kind == "f")
    except TypeError:  # the type of another library
        return True


def _detached(x: Any) -> Any:
    return x.detach() if hasattr(x, "detach") else x


def degrees(x: Any) -> Any:
    """Radians to degrees."""
    return rules.multiply(as_array(x), 180 / math.pi)


def radians(x: Any) -> Any:
    """Degrees to radians."""
    return rules.multiply(as_array(x), math.pi / 180)
