"""Examples of every function of NumPy that chainrule supports: the calls, and their arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.numpy_functions.arguments import name_of


class Row(NamedTuple):
    """An example: what NumPy is asked to do with the arrays."""

    name: str
    call: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]


def is_real(value: Any) -> bool:
    """Whether an argument is one that gradients flow to."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def collected(tree: Any) -> list[np.ndarray]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [array for part in tree for array in collected(part)]
    return [tree] if is_real(tree) else []


def filled(tree: Any, values: Iterator[Any]) -> Any:
    if isinstance(tree, dict):
        return {key: filled(part, values) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)([filled(part, values) for part in tree])
    return next(values) if is_real(tree) else tree


def row(function: Any, *args: Any, **kwargs: Any) -> Row:
    """The function called with these arguments; its floating-point arrays are what gradients flow to."""

    def call(*values: Any) -> Any:
        given = filled((list(args), kwargs), iter(values))
        return function(*given[0], **given[1])

    return Row(name_of(function), call, tuple(collected((list(args), kwargs))))


def case(function: Any, call: Callable[..., Any], *arrays: np.ndarray) -> Row:
    """The function inside a program: for an example that needs more than one call."""
    return Row(name_of(function), call, arrays)


def changed(function: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
    """What a function that changes its first argument makes of a copy."""
    target = np.copy(target)
    function(target, *args, **kwargs)
    return target


# examples ------------------------------------------------------------------------------------------------

rng = np.random.default_rng(7)


def apart(*shape: int) -> np.ndarray:
    """Numbers of both signs that are well apart from each other, from integers, halves and zero."""
    count = int(np.prod(shape))
    return rng.permutation(0.23 + np.arange(count) - count // 2).reshape(shape) * 0.61


A, B, C = apart(3, 4), apart(3, 4) + 0.11, apart(2, 3, 4)
V, W, X3, Y3 = apart(4), apart(4) - 0.07, apart(3), apart(3) + 0.2
POSITIVE = np.abs(apart(3, 4)) + 0.3
INSIDE = rng.uniform(-0.9, 0.9, (3, 4))
SQUARE = rng.normal(size=(3, 3)) + 2 * np.eye(3)
TALL = rng.normal(size=(4, 3))
BATCH = rng.normal(size=(2, 3, 3)) + 2 * np.eye(3)
MASK = np.array([[True, False, True, False], [False, False, True, True], [True, True, False, False]])
WEIGHTS = np.array([0.5, 1.0, 2.0, 0.25])
RISING = np.array([0.0, 0.7, 1.1, 2.0])
NUMBERS = np.array([[3, 1, 2, 1], [0, 2, 5, 4], [7, 1, 1, 2]])
COLUMNS = np.array([2, 0, 3])
PLACES = np.array([[0, 2, 1, 1], [1, 1, 0, 2]])
HOLES = np.eye(3, 4, 1, dtype=bool)


def spoiled(x: Any) -> Any:
    """With some elements NaN."""
    return np.where(HOLES, np.nan, x)


def symmetric(x: Any) -> Any:
    return x + np.transpose(x)


def definite(x: Any) -> Any:
    return x @ np.transpose(x) + np.eye(3)


def ufunc_rows() -> list[Row]:
    anywhere = [
        np.negative, np.positive, np.square, np.cbrt, np.reciprocal, np.absolute, np.fabs, np.sign,
        np.conjugate,
        np.exp, np.exp2, np.expm1, np.sin, np.cos, np.tan, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh,
        np.degrees, np.radians, np.rad2deg, np.deg2rad, np.floor, np.ceil, np.trunc, np.rint, np.modf,
        np.frexp,
        np.spacing, np.isfinite, np.isinf, np.isnan, np.signbit, np.logical_not,
    ]  # fmt: skip
    positive = [np.sqrt, np.log, np.log2, np.log10]
    inside = [np.log1p, np.arcsin, np.arccos, np.arctanh]
    two = [
        np.add, np.subtract, np.multiply, np.divide, np.floor_divide, np.remainder, np.fmod, np.divmod,
        np.logaddexp, np.logaddexp2, np.arctan2, np.hypot, np.copysign, np.maximum, np.minimum, np.fmax,
        np.fmin,
        np.heaviside, np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
        np.logical_and, np.logical_or, np.logical_xor,
    ]  # fmt: skip
    integers = [
        np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift, np.gcd, np.lcm,
    ]  # fmt: skip
    rows = (
        [row(f, A) for f in anywhere]
        + [row(f, POSITIVE) for f in positive]
        + [row(f, INSIDE) for f in inside]
    )
    rows += [row(f, A, B) for f in two] + [row(f, A, W) for f in (np.add, np.multiply, np.divide, np.maximum)]
    rows += [row(f, NUMBERS, NUMBERS % 3) for f in integers] + [
        row(f, NUMBERS) for f in (np.invert, np.bitwise_count)
    ]
    rows += [
        row(np.arccosh, POSITIVE + 1),
        row(np.power, POSITIVE, B), row(np.power, A, 3), row(np.power, A, NUMBERS), row(np.power, 2.0, A),
        row(np.float_power, POSITIVE, B), row(np.ldexp, A, NUMBERS), row(np.copysign, 2.0, A),
        row(np.matmul, A, TALL), row(np.matmul, A, V), row(np.matmul, C, TALL), row(np.vecdot, A, B),
        row(np.vecdot, A, B, axis=0), row(np.add, A, B, dtype=np.float32),
    ]  # fmt: skip
    if hasattr(np, "matvec"):
        rows += [row(np.matvec, C, V), row(np.vecmat, X3, C)]
    return rows


def elementwise_rows() -> list[Row]:
    return [
        row(np.clip, A, -1.0, 1.5), row(np.clip, A, B - 1, B + 1), row(np.clip, A, None, 1.0),
        row(np.round, A), row(np.round, A, 1), row(np.around, A, decimals=1), row(np.fix, A),
        case(np.nan_to_num, lambda x: np.nan_to_num(spoiled(x), nan=2.0), A), row(np.sinc, A / 10),
        row(np.real, A), row(np.imag, A), row(np.real_if_close, A), row(np.angle, A), row(np.unwrap, A * 3),
        row(np.unwrap, A * 3, axis=0, period=4.0),
        row(np.where, MASK, A, B), row(np.where, MASK, A, 0.0), row(np.where, MASK[0], V, A),
        row(np.select, [MASK, NUMBERS > 2], [A, B], V), row(np.select, [MASK, NUMBERS > 2], [A, B]),
        row(np.choose, NUMBERS % 3, [A, B, V]), row(np.choose, NUMBERS, [A, B], mode="wrap"),
        row(np.piecewise, A, [MASK, NUMBERS > 3], [np.sin, lambda x: x * x, 7.0]),
        row(np.piecewise, V, V > 0, [np.square]),
        case(np.piecewise, lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v, k: k * v, 1.0], 3.0), A),
        row(np.astype, A, np.float32), row(np.astype, A, int), row(np.copy, A),
        row(np.linalg.matmul, A, TALL), row(np.linalg.vecdot, A, B), row(np.linalg.vecdot, A, B, axis=0),
    ]  # fmt: skip


def reduction_rows() -> list[Row]:
    rows = [
        row(f, A, *how, **named)
        for f in (np.sum, np.prod, np.max, np.min, np.mean, np.var, np.std, np.amax, np.amin, np.ptp)
        for how, named in [((), {}), ((1,), {}), ((), {"axis": 0, "keepdims": True})]
    ]
    rows += [row(f, C, axis=(0, 2)) for f in (np.sum, np.prod, np.max, np.mean, np.std)]
    rows += [row(f, A, 0, initial=2.0) for f in (np.sum, np.prod, np.max, np.min)]
    rows += [row(f, A, axis=1, where=MASK) for f in (np.sum, np.prod, np.mean)]
    rows += [row(f, A, axis=1, where=MASK, initial=0.4) for f in (np.sum, np.prod, np.max, np.min)]
    rows += [row(f, A, 0, np.float32) for f in (np.sum, np.prod, np.mean, np.cumsum)]
    rows += [row(f, A, ddof=1) for f in (np.var, np.std)] + [
        row(f, A, axis=0, correction=1) for f in (np.var, np.std)
    ]
    rows += [row(f, A) for f in (np.cumsum, np.cumprod)] + [
        row(f, A, axis=1) for f in (np.cumsum, np.cumprod)
    ]
    rows += [row(f, A, axis=1, include_initial=True) for f in (np.cumulative_sum, np.cumulative_prod)]
    rows += [row(f, V) for f in (np.cumulative_sum, np.cumulative_prod)]
    without_nan = [
        np.nansum, np.nanprod, np.nanmax, np.nanmin, np.nanmean, np.nanvar, np.nanstd, np.nancumsum,
        np.nancumprod,
        np.nanmedian,
    ]  # fmt: skip
    rows += [case(f, lambda x, f=f: f(spoiled(x)), A) for f in without_nan]
    rows += [case(f, lambda x, f=f: f(spoiled(x), axis=1), A) for f in without_nan]
    rows += [
        case(f, lambda x, f=f: f(spoiled(x), axis=0, ddof=0.5, keepdims=True), A)
        for f in (np.nanvar, np.nanstd)
    ]
    rows += [
        case(np.nanquantile, lambda x: np.nanquantile(spoiled(x), 0.3, axis=1), A),
        case(np.nanpercentile, lambda x: np.nanpercentile(spoiled(x), [20, 55.0], axis=1, keepdims=True), A),
        case(np.nanpercentile, lambda x: np.nanpercentile(spoiled(x), 20), A),
    ]
    return rows


def statistics_rows() -> list[Row]:
    rows = [
        row(np.average, A), row(np.average, A, 1, WEIGHTS),
        row(np.average, A, weights=POSITIVE, returned=True),
        row(np.average, A, 0, weights=POSITIVE, keepdims=True), row(np.median, A), row(np.median, A, axis=1),
        row(np.median, A, axis=0, keepdims=True), row(np.quantile, A, 0.3),
        row(np.quantile, A, [0.1, 0.8], axis=1),
        row(np.percentile, A, 40), row(np.percentile, A, [25, 75], axis=0, keepdims=True),
        row(np.cov, A), row(np.cov, A, rowvar=False), row(np.cov, V, W), row(np.cov, A, bias=True),
        row(np.cov, A, ddof=0), row(np.cov, V), row(np.corrcoef, A), row(np.corrcoef, V, W),
        row(np.bincount, COLUMNS, X3), row(np.bincount, COLUMNS, X3, 6),
    ]  # fmt: skip
    methods = ("lower", "higher", "midpoint", "nearest")
    return rows + [row(np.quantile, A, 0.35, axis=1, method=m) for m in methods]


def shape_rows() -> list[Row]:
    return [
        row(np.reshape, A, (2, 6)), row(np.reshape, A, -1), row(np.reshape, A, (2, 6), order="F"),
        row(np.ravel, A),
        row(np.ravel, A, order="F"), row(np.atleast_1d, np.array(2.5)), row(np.atleast_1d, A, V),
        row(np.atleast_2d, V), row(np.atleast_2d, np.array(2.5)), row(np.atleast_3d, A),
        row(np.atleast_3d, V),
        row(np.atleast_3d, np.array(2.5)), row(np.concatenate, [A, B]), row(np.concatenate, (A, B), axis=1),
        row(np.concatenate, [A, V], axis=None), row(np.concatenate, [A, B], dtype=np.float32),
        row(np.stack, [A, B]), row(np.stack, (A, B), axis=-1), row(np.vstack, [A, V]), row(np.hstack, [A, B]),
        row(np.hstack, [V, X3]), row(np.dstack, [A, B]), row(np.dstack, [V, W]), row(np.column_stack, [V, W]),
        row(np.column_stack, [X3, A]), row(np.block, [[A, B], [np.ones((2, 4)), A[:2]]]),
        row(np.block, [V, W, 3.0]),
        row(np.append, A, V), row(np.append, A, B, axis=0),
        row(np.split, A, 2, axis=1), row(np.split, A, [1, 3], axis=1), row(np.array_split, V, 3),
        row(np.hsplit, A, 2), row(np.hsplit, V, 2), row(np.vsplit, A, [1]), row(np.dsplit, C, 2),
        row(np.unstack, A, axis=1), row(np.transpose, C), row(np.transpose, C, (1, 2, 0)),
        row(np.matrix_transpose, C),
        row(np.linalg.matrix_transpose, C), row(np.moveaxis, C, 0, -1), row(np.moveaxis, C, (0, 1), (-1, 0)),
        row(np.rollaxis, C, 2), row(np.rollaxis, C, 0, 3), row(np.rollaxis, C, -1, 1),
        row(np.swapaxes, C, 0, -1),
        row(np.expand_dims, A, 1), row(np.expand_dims, A, (0, -1)), row(np.squeeze, A[:, None]),
        row(np.squeeze, A[None, :, None], axis=2), row(np.broadcast_to, V, (3, 4)),
        row(np.broadcast_arrays, A, V),
        row(np.meshgrid, V, X3), row(np.meshgrid, V, X3, indexing="ij"), row(np.meshgrid, V, X3, sparse=True),
        row(np.flip, A), row(np.flip, C, (0, 2)), row(np.flipud, A), row(np.fliplr, A), row(np.roll, A, 2),
        row(np.roll, A, (1, -1), axis=(0, 1)), row(np.rot90, A), row(np.rot90, C, 3, axes=(1, 2)),
        row(np.tile, A, 2),
        row(np.tile, V, (2, 3)), row(np.repeat, A, 2), row(np.repeat, A, [1, 0, 3], axis=0),
        row(np.pad, A, 1),
        row(np.pad, A, ((1, 0), (2, 1)), constant_values=3.0), row(np.pad, A, (1, 2), "edge"),
        row(np.pad, A, 2, mode="reflect"), row(np.pad, A, 2, mode="symmetric"),
        row(np.pad, A, 2, mode="wrap"),
        row(np.tril, A), row(np.tril, V, 1), row(np.triu, C, k=-1), row(np.diag, V), row(np.diag, A, 1),
        row(np.diagflat, SQUARE, -1), row(np.diagonal, C, 1, 1, 2), row(np.linalg.diagonal, C, offset=-1),
        row(np.trace, C), row(np.trace, A, offset=1), row(np.linalg.trace, C),
        row(np.apply_along_axis, np.sum, 1, A),
        row(np.apply_along_axis, lambda line: line[:2] * line[1], 1, C),
        row(np.apply_over_axes, np.sum, C, [0, 2]),
        case(np.array, lambda x, y: np.array([x, y], like=x), A, B),
        case(np.asarray, lambda x, y: np.asarray([[x, y], [y, x]], like=x), V, W),
        case(np.asanyarray, lambda x: np.asanyarray(x, like=x), V),
        row(np.full_like, A, 2.5), case(np.full_like, lambda x: np.full_like(x, np.sum(x)), A),
        row(np.linspace, V, W, 5), row(np.linspace, np.array(1.0), 3.0, 4, endpoint=False, retstep=True),
        row(np.linspace, X3, 2.0, 3, axis=-1), row(np.logspace, X3, Y3, 4),
        row(np.geomspace, POSITIVE, 9.0, 4),
        row(np.geomspace, -WEIGHTS, -7.0, 3, axis=1),
    ]  # fmt: skip


def indexing_rows() -> list[Row]:
    return [
        row(np.take, A, [1, 1, 9]), row(np.take, A, PLACES[0], axis=0),
        row(np.take, A, [5, -7], 1, mode="wrap"),
        row(np.take, A, [5, -7], mode="clip"), row(np.take_along_axis, A, PLACES, 0),
        row(np.take_along_axis, A, NUMBERS % 4, axis=1), row(np.compress, [True, False, True], A, 0),
        row(np.compress, MASK.ravel(), A), row(np.extract, MASK, A), row(np.delete, A, 1, axis=1),
        row(np.delete, A, [0, 5]), row(np.delete, A, slice(0, 2), 0), row(np.insert, V, 1, 5.0),
        row(np.insert, A, 1, X3, axis=1), row(np.insert, A, [0, 2], np.array([[1.0], [2.0]]), axis=0),
        row(np.resize, A, (2, 8)),
        case(np.trim_zeros, lambda x: np.trim_zeros(np.pad(x, 2)), V),
        case(np.trim_zeros, lambda x: np.trim_zeros(np.pad(x, 2), "f"), V),
        row(np.sort, A), row(np.sort, A, axis=None),
        row(np.sort, A, 0), row(np.partition, X3, 1), row(np.partition, TALL, 1, axis=1), row(np.unique, A),
        case(np.unique, lambda x: np.unique(x[[2, 1, 2, 0]], return_inverse=True, return_counts=True), V),
        row(np.unique, A, return_index=True), row(np.unique, A, axis=0),
        case(np.unique_values, lambda x: np.sort(np.unique_values(x)), V),
        row(np.unique_counts, V), row(np.unique_inverse, V), row(np.unique_all, V),
        case(np.copyto, lambda x, y: changed(np.copyto, x, y, where=MASK), A, V),
        case(np.copyto, lambda x, y: changed(np.copyto, x, y), A, B),
        case(np.fill_diagonal, lambda x, v: changed(np.fill_diagonal, x, v), A, X3),
        case(np.put, lambda x, v: changed(np.put, x, [1, 5, 1], v), A, X3),
        case(np.put_along_axis, lambda x, v: changed(np.put_along_axis, x, PLACES, v, 0), A, V[None]),
        case(np.putmask, lambda x, v: changed(np.putmask, x, MASK, v), A, X3),
        case(np.place, lambda x, v: changed(np.place, x, MASK, v), A, X3),
    ]  # fmt: skip


def linear_algebra_rows() -> list[Row]:
    inv, solve = np.linalg.inv, np.linalg.solve
    return [
        row(np.dot, A, TALL), row(np.dot, A, V), row(np.dot, C, C[0].T), row(np.dot, A, 2.0),
        row(np.vdot, A, B),
        row(np.inner, A, B), row(np.outer, A, V), row(np.linalg.outer, V, X3), row(np.tensordot, C, A),
        row(np.tensordot, C, A, ([1, 2], [0, 1])), row(np.linalg.tensordot, C, TALL, axes=1),
        row(np.einsum, "ij,kj->ik", A, B), row(np.einsum, "ii", SQUARE),
        row(np.einsum, A, [0, 1], V, [1], [0]),
        row(np.einsum, "...j,j", C, V, optimize=True), row(np.kron, A, SQUARE), row(np.cross, X3, Y3),
        row(np.cross, TALL, TALL[::-1] + 1), row(np.cross, SQUARE, X3, axisa=0, axisc=0),
        row(np.linalg.cross, SQUARE, SQUARE.T + 1, axis=0), row(np.convolve, V, X3),
        row(np.convolve, X3, V, "same"),
        row(np.convolve, V, X3, mode="valid"), row(np.correlate, V, X3), row(np.correlate, X3, V, "full"),
        row(np.correlate, V, X3, mode="same"), row(np.linalg.multi_dot, [A, TALL, X3]),
        row(np.linalg.matrix_power, SQUARE, 3), row(np.linalg.matrix_power, BATCH, -2), row(inv, BATCH),
        row(np.linalg.matrix_power, SQUARE, 0), row(np.linalg.pinv, TALL),
        row(np.linalg.pinv, TALL.T, rcond=1e-10),
        row(solve, SQUARE, X3), row(solve, BATCH, TALL.T[:, :2]), row(np.linalg.lstsq, TALL, V),
        row(np.linalg.lstsq, TALL, rng.normal(size=(4, 2)), None),
        row(np.linalg.tensorinv, rng.normal(size=(4, 2, 2)), 1),
        row(np.linalg.tensorsolve, rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 3))),
        row(np.linalg.det, BATCH), row(np.linalg.slogdet, BATCH),
        case(np.linalg.cholesky, lambda x: np.linalg.cholesky(definite(x)), SQUARE),
        case(np.linalg.cholesky, lambda x: np.linalg.cholesky(definite(x), upper=True), SQUARE),
        row(np.linalg.qr, TALL), row(np.linalg.qr, TALL.T), row(np.linalg.qr, TALL, mode="r"),
        case(np.linalg.eigh, lambda x: np.linalg.eigh(symmetric(x)), SQUARE),
        case(np.linalg.eigvalsh, lambda x: np.linalg.eigvalsh(symmetric(x)), SQUARE),
        row(np.linalg.svd, SQUARE), row(np.linalg.svd, TALL, full_matrices=False),
        row(np.linalg.svd, TALL, compute_uv=False), row(np.linalg.svdvals, BATCH),
        row(np.linalg.norm, A), row(np.linalg.norm, A, axis=1), row(np.linalg.norm, A, "nuc"),
        row(np.linalg.norm, A, 1, keepdims=True), row(np.linalg.norm, V, 3), row(np.linalg.vector_norm, A),
        row(np.linalg.vector_norm, A, axis=0, ord=np.inf, keepdims=True), row(np.linalg.matrix_norm, C),
        row(np.linalg.matrix_norm, C, ord=2, keepdims=True), row(np.linalg.cond, BATCH),
        row(np.linalg.cond, SQUARE, 1),
    ]  # fmt: skip


def calculus_rows() -> list[Row]:
    uneven = np.array([0.0, 0.5, 1.7, 2.0])
    return [
        row(np.diff, A), row(np.diff, A, 2, axis=0), row(np.diff, A, prepend=0.0, append=np.ones((3, 2))),
        row(np.diff, MASK), row(np.ediff1d, A), row(np.ediff1d, V, to_begin=np.array([1.0, 2.0]), to_end=3.0),
        row(np.trapezoid, A), row(np.trapezoid, A, RISING), row(np.trapezoid, A, dx=0.5, axis=0),
        row(np.trapezoid, A, np.sort(A, 0), axis=0), row(np.gradient, V), row(np.gradient, A),
        row(np.gradient, A, 0.5, axis=1), row(np.gradient, A, 0.5, 2.0), row(np.gradient, A, uneven, axis=1),
        row(np.gradient, A, uneven, axis=1, edge_order=2), row(np.gradient, V, edge_order=2),
        row(np.interp, INSIDE * 3, RISING, V), row(np.interp, np.array(1.3), RISING, V, left=-1.0, right=9.0),
        row(np.polyval, V, A), row(np.polyval, [1, 2, 3], A), row(np.vander, V),
        row(np.vander, V, 3, increasing=True),
    ]  # fmt: skip


def constant_rows() -> list[Row]:
    one = [
        np.shape, np.ndim, np.size, np.result_type, np.common_type, np.min_scalar_type, np.iscomplex,
        np.iscomplexobj,
        np.isreal, np.isrealobj, np.array_repr, np.array_str, np.array2string, np.all, np.any, np.isposinf,
        np.isneginf, np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argwhere, np.nonzero,
        np.flatnonzero, np.count_nonzero, np.zeros_like, np.ones_like, np.linalg.matrix_rank,
        np.tril_indices_from, np.triu_indices_from,
    ]  # fmt: skip
    two = [
        np.allclose,
        np.isclose,
        np.array_equal,
        np.array_equiv,
        np.isin,
        np.may_share_memory,
        np.shares_memory,
    ]
    along = [np.all, np.any, np.argmax, np.argmin, np.argsort, np.count_nonzero]
    return [row(f, A) for f in one] + [row(f, A, B) for f in two] + [row(f, A, axis=1) for f in along] + [
        row(np.where, A), row(np.can_cast, np.float32, A.dtype),
        case(np.can_cast, lambda x: np.can_cast(x, int), A),
        row(np.argpartition, X3, 1), row(np.searchsorted, np.sort(V), W), row(np.digitize, V, RISING),
        row(np.lexsort, (V, W)), row(np.einsum_path, "ij,j", A, V), row(np.diag_indices_from, SQUARE),
        row(np.unravel_index, NUMBERS, (3, 4)), row(np.ravel_multi_index, (COLUMNS, COLUMNS), (4, 4)),
        row(np.ix_, COLUMNS, COLUMNS), row(np.packbits, MASK), row(np.unpackbits, COLUMNS.astype(np.uint8)),
        row(np.bincount, COLUMNS, minlength=5), case(np.empty_like, lambda x: np.shape(np.empty_like(x)), A),
        row(np.zeros_like, A, dtype=int, shape=(2, 2)), row(np.argmax, A, 1, keepdims=True),
        *[case(f, lambda x, f=f: f(Discarded(), x), A) for f in (np.save, np.savetxt)],
        *[case(f, lambda x, f=f: f(Discarded(), x), A) for f in (np.savez, np.savez_compressed)],
    ]  # fmt: skip


class Discarded:
    """A file that keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)

    def flush(self) -> None: ...

    def seek(self, *where: int) -> int:
        return 0

    def read(self, *count: int) -> bytes:
        return b""

    def tell(self) -> int:
        return 0


ROWS = [
    *ufunc_rows(), *elementwise_rows(), *reduction_rows(), *statistics_rows(), *shape_rows(),
    *indexing_rows(),
    *linear_algebra_rows(), *calculus_rows(), *constant_rows(),
]  # fmt: skip
