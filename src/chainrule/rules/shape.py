"""Functions that move elements without changing them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.namespace import NUMPY
from chainrule.primitives import primitive
from chainrule.typing import Shape


def _from_zero(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a % len(axes) for a in axes)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    places = _from_zero(axes)
    return tuple(places.index(i) for i in range(len(axes)))


def _reshape(x: Any, xp: Any, shape: Any) -> Any:
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    try:
        return x.reshape(shape) if xp is NUMPY and type(x) is np.ndarray else xp.own("reshape")(x, shape)
    except ValueError as error:
        raise ShapeError(
            f"an array of shape {np.shape(x)} ({math.prod(np.shape(x))} elements) cannot be reshaped to {shape}"
        ) from error


def _broadcast_to(x: Any, xp: Any, shape: Shape) -> Any:
    # np.broadcast_to costs more than filling a small array.
    if xp is NUMPY and math.prod(shape) < 10_000:
        filled = np.empty(shape, x.dtype if hasattr(x, "dtype") else np.result_type(x))
        filled[...] = x
        return filled
    return xp.own("broadcast_to")(x, tuple(shape))


reshape = primitive("reshape(x, *, shape)", forward=_reshape, view=True,
    x=lambda g, x_shape, xp: xp.reshape(g, x_shape))  # fmt: skip
permute_dims = primitive("permute_dims(x, *, axes)", view=True,
    forward=lambda x, xp, axes: x.transpose(axes) if xp is NUMPY else xp.own("permute_dims")(x, _from_zero(axes)),
    x=lambda g, axes, xp: xp.permute_dims(g, _inverse(axes)))  # fmt: skip
matrix_transpose = primitive("matrix_transpose(x)", forward=lambda x: x.mT, view=True, x=lambda g: g.mT)
broadcast_to = primitive("broadcast_to(x, *, shape)", forward=_broadcast_to, broadcasts=True, x=lambda g: g)
concatenate = primitive("concatenate(*arrays, axis=0)",
    forward=lambda *arrays, xp, axis: xp.own("concat")(arrays, axis=axis),
    arrays=lambda g, arrays_shape, index, axis: g[_part(arrays_shape, index, axis)])  # fmt: skip
stacked = primitive("stacked(*arrays, axis=0)",
    forward=lambda *arrays, xp, axis: xp.own("stack")(arrays, axis=axis),
    arrays=lambda g, index, axis: g[(*(slice(None),) * (axis % len(g.shape)), index, ...)])  # fmt: skip
flip = primitive("flip(x, *, axis=None)", x=lambda g, axis, xp: xp.flip(g, axis=axis))
roll = primitive(
    "roll(x, *, shift, axis=None)", x=lambda g, shift, axis, xp: xp.roll(g, _negated(shift), axis=axis)
)
triu = primitive("triu(x, *, k=0)", x=lambda g, k, xp: xp.triu(g, k=k))
tril = primitive("tril(x, *, k=0)", x=lambda g, k, xp: xp.tril(g, k=k))
copy = primitive("copy(x)", forward=lambda x, xp: xp.own("asarray")(x, copy=True), x=lambda g: g)
astype = primitive(
    "astype(x, *, dtype)", forward=lambda x, xp, dtype: xp.own("astype")(x, dtype), x=lambda g: g
)


def _part(shapes: tuple[Shape, ...], index: int, axis: int) -> tuple[Any, ...]:
    """Where array number `index` is in the concatenation."""
    axis %= len(shapes[0])
    start = sum(shape[axis] for shape in shapes[:index])
    return (*(slice(None),) * axis, slice(start, start + shapes[index][axis]), ...)


def _negated(shift: int | tuple[int, ...]) -> int | tuple[int, ...]:
    return tuple(-s for s in shift) if isinstance(shift, (list, tuple)) else -shift
