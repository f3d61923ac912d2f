"""Differences, integrals, interpolation and polynomials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.functions.arrays import as_array, shape_of
from chainrule.numpy_functions.elementwise import of_type
from chainrule.numpy_functions.shapes import flat
from chainrule.numpy_functions.ufuncs import as_floating
from chainrule.rules.reduce import axes_of, kept_shape
from chainrule.typing import Axis

Function = Callable[..., Any]


def _part(axis: int, start: int | None, stop: int | None) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, slice(start, stop))


def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    a = as_array(a)
    (axis,) = axes_of(axis, len(a.shape))
    ends = [e if e is None or shape_of(e) else _line(e, a, axis) for e in (prepend, append)]
    if prepend is not None or append is not None:
        a = ops.concat([e for e in (ends[0], a, ends[1]) if e is not None], axis=axis)
    subtract = ops.not_equal if np.dtype(a.dtype).kind == "b" else ops.subtract
    for _ in range(n):
        a = subtract(a[_part(axis, 1, None)], a[_part(axis, None, -1)])
    return a


def _line(value: Any, a: Any, axis: int) -> Any:
    return ops.broadcast_to(as_array(value), shape=kept_shape(a.shape, axis))


def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    inside = _diff(flat(ary))
    parts = [to_begin, inside, to_end]
    return of_type(ops.concat([flat(p) for p in parts if p is not None]), inside.dtype)


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_array(y)
    (axis,) = axes_of(axis, len(y.shape))
    width = dx
    if x is not None:
        x = as_array(x)
        width = _diff(x, axis=axis if len(x.shape) > 1 else 0)
        if len(x.shape) == 1:
            width = ops.reshape(width, shape=tuple(-1 if i == axis else 1 for i in range(len(y.shape))))
    height = (y[_part(axis, 1, None)] + y[_part(axis, None, -1)]) / 2.0
    return ops.sum(width * height, axis=axis)


# gradient ------------------------------------------------------------------------------------------------


def _gradient(f: Any, *varargs: Any, axis: Axis = None, edge_order: int = 1) -> Any:
    f = as_floating(f)
    axes = axes_of(axis, len(f.shape))
    spacings = varargs or (1.0,) * len(axes)
    if len(spacings) == 1 and len(axes) > 1 and not shape_of(spacings[0]):
        spacings *= len(axes)
    if len(spacings) != len(axes):
        raise ShapeError(f"np.gradient over {len(axes)} axes was given {len(spacings)} spacings")
    out = tuple(_slope(f, h, a, edge_order) for h, a in zip(spacings, axes, strict=True))
    return out[0] if len(out) == 1 else out


def _slope(f: Any, spacing: Any, axis: int, edge_order: int) -> Any:
    length = f.shape[axis]
    if length < edge_order + 1:
        raise ShapeError(
            f"np.gradient needs {edge_order + 1} elements along axis {axis}, but there are {length}"
        )
    spacing = as_array(spacing)
    widths = _diff(spacing) if spacing.shape else spacing * np.ones(length - 1)
    d, f = of_type(widths, f.dtype), ops.moveaxis(f, axis, -1)
    left, right = d[:-1], d[1:]
    inside = (
        f[..., 2:] * (left / (right * (left + right)))
        + f[..., 1:-1] * ((right - left) / (left * right))
        - f[..., :-2] * (right / (left * (left + right)))
    )
    first = _edge(f[..., :3], d[:2], edge_order)
    last = _edge(ops.flip(f[..., -3:], axis=-1), -ops.flip(d[-2:]), edge_order)
    return ops.moveaxis(ops.concat([first, inside, last], axis=-1), -1, axis)


def _edge(f: Any, d: Any, order: int) -> Any:
    """The slope at the first of the points, from the points after it."""
    if order == 1:
        return (f[..., 1:2] - f[..., :1]) / d[:1]
    a, b = d[:1], d[1:2]
    near, far = (a + b) / (a * b), a / (b * (a + b))
    return f[..., 1:2] * near - f[..., 2:3] * far - f[..., :1] * (near - far)


# interpolation and polynomials ---------------------------------------------------------------------------


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    x, xp, fp = (of_type(v, np.float64) for v in (x, xp, fp))
    below = ops.searchsorted(xp, x, side="right") - 1
    if xp.shape[0] == 1:
        inside = fp[np.zeros(shape_of(x), int)]
    else:
        below = ops.clip(below, 0, xp.shape[0] - 2)
        slopes = _diff(fp) / _diff(xp)
        start, value, slope = (ops.take(each, below, axis=0) for each in (xp, fp, slopes))
        inside = value + slope * (x - start)
    inside = ops.where(x > xp[-1], fp[-1] if right is None else right, inside)
    return ops.where(x < xp[0], fp[0] if left is None else left, inside)


def _polyval(p: Any, x: Any) -> Any:
    p, x = as_array(p), as_array(x)
    out = ops.zeros_like(x)
    for i in range(p.shape[0]):
        out = out * x + p[i]
    return out


def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    x = as_array(x)
    powers = np.arange(x.shape[0] if N is None else N)
    return ops.pow(ops.expand_dims(x, 1), powers if increasing else powers[::-1])


FUNCTIONS: dict[str, Function] = {
    "diff": _diff,
    "ediff1d": _ediff1d,
    "trapezoid": _trapezoid,
    "gradient": _gradient,
    "interp": _interp,
    "polyval": _polyval,
    "vander": _vander,
}
