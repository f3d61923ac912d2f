"""Functions that reshape, join, cut, turn and repeat arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import UnsupportedError
from chainrule.functions.arrays import as_array, example_of, shape_of
from chainrule.numpy_functions.elementwise import of_type
from chainrule.rules.reduce import axes_of

Function = Callable[..., Any]


def flat(a: Any) -> Any:
    """All elements along one axis."""
    return ops.reshape(as_array(a), shape=(-1,))


def _reshape(a: Any, shape: Any, order: str = "C") -> Any:
    a = as_array(a)
    if order == "C":
        return ops.reshape(a, shape=shape)
    _check_order("reshape", order)
    backwards = (shape,) if np.isscalar(shape) else tuple(shape)[::-1]
    return ops.transpose(ops.reshape(ops.transpose(a), shape=backwards))


def _ravel(a: Any, order: str = "C") -> Any:
    if order != "C":
        _check_order("ravel", order)
        a = ops.transpose(a)
    return flat(a)


def _check_order(name: str, order: str) -> None:
    if order != "F":
        raise UnsupportedError(
            f"np.{name}(order={order!r}) has no derivative here: the memory's layout is not part of it; "
            f"use order='C' or order='F'"
        )


# at least so many axes -----------------------------------------------------------------------------------


def _atleast(count: int, *arrays: Any) -> Any:
    out = tuple(_with_axes(as_array(a), count) for a in arrays)
    return out[0] if len(out) == 1 else out


def _with_axes(a: Any, count: int) -> Any:
    shape = tuple(a.shape)
    if len(shape) >= count:
        return a
    # A vector becomes a row; for three axes, that row lies in the plane of the first two.
    return ops.reshape(a, shape={0: (1,) * count, 1: (1, *shape, 1)[:count], 2: (*shape, 1)}[len(shape)])


# joining -------------------------------------------------------------------------------------------------


def _concatenate(arrays: Iterable[Any], axis: int | None = 0, *, dtype: Any = None) -> Any:
    return of_type(ops.concat(list(arrays), axis=axis), dtype)


def _stack(arrays: Iterable[Any], axis: int = 0, *, dtype: Any = None) -> Any:
    return of_type(ops.stack(list(arrays), axis=axis), dtype)


def _vstack(tup: Iterable[Any], *, dtype: Any = None) -> Any:
    return _concatenate([_with_axes(as_array(a), 2) for a in tup], 0, dtype=dtype)


def _hstack(tup: Iterable[Any], *, dtype: Any = None) -> Any:
    arrays = [_with_axes(as_array(a), 1) for a in tup]
    return _concatenate(arrays, 0 if len(arrays[0].shape) == 1 else 1, dtype=dtype)


def _dstack(tup: Iterable[Any]) -> Any:
    return _concatenate([_with_axes(as_array(a), 3) for a in tup], 2)


def _column_stack(tup: Iterable[Any]) -> Any:
    return _concatenate(
        [ops.reshape(as_array(a), shape=(-1, 1)) if len(shape_of(a)) < 2 else a for a in tup], 1
    )


def numbered(a: Any, start: int = 0) -> Any:
    """The elements of `a` numbered from `start`: what NumPy does to the numbers, indexing does to `a`."""
    return np.arange(start, start + int(np.prod(shape_of(a)))).reshape(shape_of(a))


def _block(arrays: Any) -> Any:
    if not isinstance(arrays, list):
        return as_array(arrays)
    parts: list[Any] = []

    def number(part: Any) -> Any:
        if isinstance(part, list):
            return [number(p) for p in part]
        parts.append(flat(part))
        return numbered(part, sum(p.shape[0] for p in parts[:-1]))

    numbers = np.block(number(arrays))
    return ops.concat(parts)[numbers]


# cutting -------------------------------------------------------------------------------------------------


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    return ops.split(ary, _sections(indices_or_sections), axis)


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    return ops.array_split(ary, _sections(indices_or_sections), axis)


def _sections(given: Any) -> Any:
    return int(given) if np.ndim(given) == 0 else list(given)


def _hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return _split(ary, indices_or_sections, 0 if len(shape_of(ary)) == 1 else 1)


# axes ----------------------------------------------------------------------------------------------------


def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    count = len(shape_of(a))
    (axis,), start = axes_of(axis, count), start + count if start < 0 else start
    return ops.moveaxis(a, axis, start - 1 if axis < start else start)


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    if not sparse:
        return tuple(ops.meshgrid(*xi, indexing=indexing))
    places = list(range(len(xi)))
    if indexing == "xy" and len(places) > 1:
        places[:2] = [1, 0]
    return tuple(
        ops.reshape(as_array(x), shape=tuple(-1 if i == place else 1 for i in range(len(xi))))
        for x, place in zip(xi, places, strict=True)
    )


def _triangle(part: Function) -> Function:
    """`np.tril` or `np.triu`, which repeat a vector as the rows of a square."""

    def triangle(m: Any, k: int = 0) -> Any:
        shape = shape_of(m)
        return part(as_array(m) if len(shape) > 1 else ops.broadcast_to(as_array(m), shape=shape * 2), k=k)

    return triangle


def _pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise UnsupportedError(
            f"np.pad(mode={mode!r}) has no derivative here; use constant, edge, reflect, symmetric or wrap"
        )
    return ops.pad(array, pad_width, mode, constant_values=constant_values)


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    return ops.trace(of_type(a, dtype), offset, axis1, axis2)


def _apply_along_axis(func1d: Function, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    arr = as_array(arr)
    (axis,) = axes_of(axis, len(arr.shape))
    moved = ops.moveaxis(arr, axis, -1)
    rest = tuple(moved.shape[:-1])
    lines = ops.reshape(moved, shape=(-1, moved.shape[-1]))
    out = ops.stack([func1d(line, *args, **kwargs) for line in ops.unstack(lines)])
    shape = tuple(out.shape[1:])
    out = ops.reshape(out, shape=(*rest, *shape))
    return ops.moveaxis(
        out, tuple(range(len(rest), len(rest) + len(shape))), tuple(range(axis, axis + len(shape)))
    )


def _apply_over_axes(func: Function, a: Any, axes: Any) -> Any:
    out = as_array(a)
    for axis in axes_of(axes, len(out.shape)):
        reduced = func(out, axis)
        out = reduced if len(reduced.shape) == len(out.shape) else ops.expand_dims(reduced, axis)
    return out


# making --------------------------------------------------------------------------------------------------


def _asarray(a: Any, dtype: Any = None) -> Any:
    """`np.asarray(..., like=tensor)`: lists with Tensors in them are stacked, so that gradients flow."""
    a = ops.stack([_asarray(part) for part in a]) if isinstance(a, (list, tuple)) else as_array(a)
    return of_type(a, dtype)


def _array(object: Any, dtype: Any = None) -> Any:  # noqa: A002
    return ops.copy(_asarray(object, dtype))


def _full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    dtype = as_array(a).dtype if dtype is None else dtype
    filled = ops.broadcast_to(as_array(fill_value), shape=shape_of(a))
    return of_type(filled + ops.zeros_like(a, dtype=dtype), dtype)


def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0,
) -> Any:  # fmt: skip
    precision = np.result_type(example_of(start), example_of(stop), 1.0)
    start, stop = ops.broadcast_arrays(of_type(start, precision), of_type(stop, precision))
    share = np.linspace(0.0, 1.0, num, endpoint=endpoint, dtype=precision).reshape(
        -1, *(1,) * len(start.shape)
    )
    out = of_type(ops.moveaxis(start * (1 - share) + stop * share, 0, axis), dtype)
    steps = num - 1 if endpoint else num
    return (out, (stop - start) / (steps or np.nan)) if retstep else out


def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None,
    axis: int = 0,
) -> Any:  # fmt: skip
    return of_type(ops.pow(base, _linspace(start, stop, num, endpoint, axis=axis)), dtype)


def _geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    ratio = ops.divide(as_array(stop), as_array(start))
    powers = ops.pow(ratio, _linspace(np.zeros(shape_of(ratio), ratio.dtype), 1.0, num, endpoint))
    return of_type(ops.moveaxis(start * powers, 0, axis), dtype)


def _transposed(a: Any, axes: Sequence[int] | None = None) -> Any:
    return ops.transpose(a, axes)


FUNCTIONS: dict[str, Function] = {
    "reshape": _reshape,
    "ravel": _ravel,
    "atleast_1d": partial(_atleast, 1),
    "atleast_2d": partial(_atleast, 2),
    "atleast_3d": partial(_atleast, 3),
    "concatenate": _concatenate,
    "stack": _stack,
    "vstack": _vstack,
    "hstack": _hstack,
    "dstack": _dstack,
    "column_stack": _column_stack,
    "block": _block,
    "append": lambda arr, values, axis=None: ops.concat([arr, values], axis=axis),
    "split": _split,
    "array_split": _array_split,
    "hsplit": _hsplit,
    "vsplit": lambda ary, indices_or_sections: _split(ary, indices_or_sections, 0),
    "dsplit": lambda ary, indices_or_sections: _split(ary, indices_or_sections, 2),
    "unstack": lambda x, *, axis=0: ops.unstack(x, axis=axis),
    "transpose": _transposed,
    "matrix_transpose": lambda x: ops.matrix_transpose(x),
    "linalg.matrix_transpose": lambda x: ops.matrix_transpose(x),
    "moveaxis": lambda a, source, destination: ops.moveaxis(a, source, destination),
    "rollaxis": _rollaxis,
    "swapaxes": lambda a, axis1, axis2: ops.swapaxes(a, axis1, axis2),
    "expand_dims": lambda a, axis: ops.expand_dims(a, axis),
    "squeeze": lambda a, axis=None: ops.squeeze(a, axis),
    "broadcast_to": lambda array, shape, subok=False: ops.broadcast_to(
        as_array(array), shape=(shape,) if np.isscalar(shape) else tuple(shape)
    ),
    "broadcast_arrays": lambda *args, subok=False: tuple(ops.broadcast_arrays(*args)),
    "meshgrid": _meshgrid,
    "flip": lambda m, axis=None: ops.flip(m, axis=axis),
    "flipud": lambda m: ops.flip(m, axis=0),
    "fliplr": lambda m: ops.flip(m, axis=1),
    "roll": lambda a, shift, axis=None: ops.roll(a, shift=shift, axis=axis),
    "rot90": lambda m, k=1, axes=(0, 1): ops.rot90(m, k, axes),
    "tile": lambda A, reps: ops.tile(A, reps),
    "repeat": lambda a, repeats, axis=None: ops.repeat(a, repeats, axis),
    "pad": _pad,
    "tril": _triangle(ops.tril),
    "triu": _triangle(ops.triu),
    "diag": lambda v, k=0: ops.diag(v, k),
    "diagflat": lambda v, k=0: ops.diag(flat(v), k),
    "diagonal": lambda a, offset=0, axis1=0, axis2=1: ops.diagonal(a, offset, axis1, axis2),
    "linalg.diagonal": lambda x, *, offset=0: ops.diagonal(x, offset, -2, -1),
    "trace": _trace,
    "linalg.trace": lambda x, *, offset=0, dtype=None: _trace(x, offset, -2, -1, dtype),
    "apply_along_axis": _apply_along_axis,
    "apply_over_axes": _apply_over_axes,
    "array": _array,
    "asarray": _asarray,
    "asanyarray": _asarray,
    "full_like": _full_like,
    "linspace": _linspace,
    "logspace": _logspace,
    "geomspace": _geomspace,
}
