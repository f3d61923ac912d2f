"""Reductions and running reductions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.namespace import NUMPY
from chainrule.primitives import primitive
from chainrule.typing import Axis, Shape


def axes_of(axis: Axis, count: int) -> tuple[int, ...]:
    """The axes that a reduction goes over, counted from 0.

    >>> axes_of(None, 2), axes_of(-1, 3), axes_of((0, -1), 3)
    ((0, 1), (2,), (0, 2))
    """
    if axis is None:
        return tuple(range(count))
    return (
        tuple(a % count for a in ((axis,) if isinstance(axis, (int, np.integer)) else axis)) if count else ()
    )


def kept_shape(shape: Shape, axis: Axis) -> Shape:
    """The shape after a reduction with keepdims.

    >>> kept_shape((2, 3, 4), 1)
    (2, 1, 4)
    """
    axes = axes_of(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def count_over(shape: Shape, axis: Axis) -> int:
    """How many elements each result of a reduction is made from."""
    return math.prod(shape[a] for a in axes_of(axis, len(shape)))


def spread(g: Any, shape: Shape, axis: Axis, xp: Any) -> Any:
    """Spread the cotangent of a reduction over the axes that were reduced."""
    return xp.broadcast_to(xp.reshape(g, kept_shape(shape, axis)), shape)


def _reducer(name: str) -> Any:
    """NumPy's reduction, straight from its ufunc: the wrapper around it costs more than a small sum."""
    reduce: Any = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[name].reduce

    def forward(x: Any, xp: Any, axis: Axis, keepdims: bool) -> Any:
        if xp is NUMPY:
            return reduce(x, axis=axis, keepdims=keepdims)
        return xp.own(name)(x, axis=axis, keepdims=keepdims)

    return forward


sum = primitive("sum(x, *, axis=None, keepdims=False)", forward=_reducer("sum"),
    x=lambda g, x_shape, axis, xp: spread(g, x_shape, axis, xp))  # fmt: skip
mean = primitive("mean(x, *, axis=None, keepdims=False)", forward=lambda x, xp, **how: _mean(x, xp, **how),
    x=lambda g, x_shape, axis, xp: spread(g / count_over(x_shape, axis), x_shape, axis, xp))  # fmt: skip


def _mean(x: Any, xp: Any, axis: Axis, keepdims: bool) -> Any:
    if xp is not NUMPY or np.asarray(x).dtype.char not in "df":  # float16 and integers need a wider sum
        return xp.own("mean")(x, axis=axis, keepdims=keepdims)
    total: Any = np.add.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    return total / count_over(x.shape, axis)


def _share_of_extreme(g: Any, x: Any, out: Any, x_shape: Shape, axis: Axis, xp: Any) -> Any:
    """The elements that attain the maximum share its cotangent equally."""
    attains = x == xp.reshape(out, kept_shape(x_shape, axis))
    count = xp.sum(xp.where(attains, xp.ones_like(x), xp.zeros_like(x)), axis=axis, keepdims=True)
    share = xp.reshape(g, kept_shape(x_shape, axis)) / xp.where(count == 0, xp.ones_like(count), count)
    return xp.where(attains, share, xp.zeros_like(x))


max = primitive("max(x, *, axis=None, keepdims=False)", forward=_reducer("max"), x=_share_of_extreme)
min = primitive("min(x, *, axis=None, keepdims=False)", forward=_reducer("min"), x=_share_of_extreme)


def _deviation(x: Any, axis: Axis, xp: Any) -> Any:
    return x - xp.mean(x, axis=axis, keepdims=True)


def _variance(x: Any, xp: Any, axis: Axis, correction: float, keepdims: bool) -> Any:
    d = _deviation(x, axis, xp)
    return xp.sum(d * d, axis=axis, keepdims=keepdims) / (count_over(x.shape, axis) - correction)


def _variance_rule(g: Any, x: Any, x_shape: Shape, axis: Axis, correction: float, xp: Any) -> Any:
    scaled = 2 * g / (count_over(x_shape, axis) - correction)
    return spread(scaled, x_shape, axis, xp) * _deviation(x, axis, xp)


def _deviation_rule(g: Any, x: Any, out: Any, x_shape: Shape, axis: Axis, correction: float, xp: Any) -> Any:
    # All elements equal: the standard deviation has a kink there, and 0 is among its subgradients.
    scaled = g / (xp.where(out == 0, xp.ones_like(out), out) * (count_over(x_shape, axis) - correction))
    return spread(scaled, x_shape, axis, xp) * _deviation(x, axis, xp)


var = primitive("var(x, *, axis=None, correction=0.0, keepdims=False)", forward=_variance, x=_variance_rule)
std = primitive(
    "std(x, *, axis=None, correction=0.0, keepdims=False)",
    forward=lambda x, xp, **how: _variance(x, xp, **how) ** 0.5, x=_deviation_rule,
)  # fmt: skip


def _last_axis_first(x: Any, axes: tuple[int, ...], xp: Any) -> tuple[Any, list[int], Shape]:
    """`x` with `axes` moved to the end and merged into one; the permutation and the shape before merging."""
    order = [i for i in range(len(x.shape)) if i not in axes] + list(axes)
    moved = xp.permute_dims(x, tuple(order))
    return xp.reshape(moved, (*moved.shape[: len(order) - len(axes)], -1)), order, moved.shape


def _product_of_others(x: Any, axis: Axis, xp: Any) -> Any:
    """For each element, the product of all the others: exact also where some of them are zero."""
    if math.prod(x.shape) == 0 or not x.shape:
        return xp.ones_like(x)
    merged, order, shape = _last_axis_first(x, axes_of(axis, len(x.shape)), xp)
    before = _exclusive_product(merged, xp)
    after = xp.flip(_exclusive_product(xp.flip(merged, axis=-1), xp), axis=-1)
    back = tuple(order.index(i) for i in range(len(order)))
    return xp.permute_dims(xp.reshape(before * after, shape), back)


def _exclusive_product(x: Any, xp: Any) -> Any:
    """Running products along the last axis, each without its own element."""
    running = xp.cumulative_prod(x, axis=-1)
    return xp.concat([xp.ones_like(running[..., :1]), running[..., :-1]], axis=-1)


def _accumulator(ufunc: Any, name: str) -> Any:
    """NumPy's running reduction, straight from its ufunc, as in `_reducer`."""

    def forward(x: Any, xp: Any, axis: int) -> Any:
        return ufunc.accumulate(x, axis=axis) if xp is NUMPY else xp.own(name)(x, axis=axis)

    return forward


prod = primitive("prod(x, *, axis=None, keepdims=False)", forward=_reducer("prod"),
    x=lambda g, x, x_shape, axis, xp: spread(g, x_shape, axis, xp) * _product_of_others(x, axis, xp))  # fmt: skip
cumulative_sum = primitive("cumulative_sum(x, *, axis=-1)", forward=_accumulator(np.add, "cumulative_sum"),
    x=lambda g, axis, xp: xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis))  # fmt: skip


def _cumulative_prod_rule(g: Any, x: Any, axis: int, xp: Any) -> Any:
    """With p_i the product before i: x_bar_i = p_i s_i, where s_i = g_i + x_{i+1} s_{i+1}. No division."""
    g, x = xp.moveaxis(g, axis, -1), xp.moveaxis(x, axis, -1)
    following = xp.concat([x[..., 1:], xp.zeros_like(x[..., :1])], axis=-1)
    return xp.moveaxis(_exclusive_product(x, xp) * _recurrence(following, g, xp), -1, axis)


def _recurrence(a: Any, b: Any, xp: Any) -> Any:
    """s_i = b_i + a_i s_{i+1} along the last axis, from the right, in log2(n) doubling steps."""
    shift, length = 1, b.shape[-1]
    while shift < length:
        gap = xp.zeros_like(b[..., :shift])
        b, a = (
            b + a * xp.concat([b[..., shift:], gap], axis=-1),
            a * xp.concat([a[..., shift:], gap], axis=-1),
        )
        shift *= 2
    return b


cumulative_prod = primitive("cumulative_prod(x, *, axis=-1)", forward=_accumulator(np.multiply, "cumulative_prod"),
    x=_cumulative_prod_rule)  # fmt: skip


def _vector_norm(x: Any, xp: Any, axis: Axis, keepdims: bool, ord: float) -> Any:
    size = xp.abs(x)
    if ord == 2:
        return xp.sqrt(xp.sum(size * size, axis=axis, keepdims=keepdims))
    return xp.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _vector_norm_rule(g: Any, x: Any, out: Any, x_shape: Shape, axis: Axis, ord: float, xp: Any) -> Any:
    """G x / |x|, and 0 at the origin, where 0 is among the subgradients (HIPS/autograd#586)."""
    length = xp.where(out == 0, xp.ones_like(out), out)
    if ord == 2:
        return spread(g / length, x_shape, axis, xp) * x
    # The mask keeps |x| ** (ord - 1) finite where x is 0 and ord < 1.
    size = xp.where(x == 0, xp.ones_like(x), xp.abs(x))
    slope = xp.sign(x) * (size / spread(length, x_shape, axis, xp)) ** (ord - 1)
    return spread(g, x_shape, axis, xp) * slope


p_norm = primitive(
    "p_norm(x, *, axis=None, keepdims=False, ord=2)", forward=_vector_norm, x=_vector_norm_rule
)

# no derivative -------------------------------------------------------------------------------------------

any = primitive("any(x, *, axis=None, keepdims=False)")
all = primitive("all(x, *, axis=None, keepdims=False)")
argmax = primitive("argmax(x, *, axis=None, keepdims=False)")
argmin = primitive("argmin(x, *, axis=None, keepdims=False)")
count_nonzero = primitive("count_nonzero(x, *, axis=None, keepdims=False)")
