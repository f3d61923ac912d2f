"""Reading and changing elements by index, and sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.namespace import NUMPY
from chainrule.operators import example_of
from chainrule.primitives import primitive, several
from chainrule.typing import Shape


def is_basic(key: Any) -> bool:
    """Whether an index is made of integers, slices, `...` and newaxis only, and so never repeats an element.

    >>> is_basic((slice(2), 0, ...)), is_basic([0, 0])
    (True, False)
    """
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        p is None or p is ... or (isinstance(p, (int, slice, np.integer)) and not isinstance(p, bool))
        for p in parts
    )


def _scatter_add(g: Any, xp: Any, key: Any, shape: Shape) -> Any:
    if xp is not NUMPY:
        return _scatter_elsewhere(g, xp, key, shape)
    out = np.zeros(shape, np.result_type(g))
    if is_basic(key):
        out[key] = g
    else:
        np.add.at(out, key, g)
    return out


def _scatter_elsewhere(g: Any, xp: Any, key: Any, shape: Shape) -> Any:
    out = xp.zeros(shape, dtype=g.dtype)
    if hasattr(out, "at"):  # JAX: arrays do not change; they are rebuilt
        return out.at[key].add(g)
    return xp.asarray(_scatter_add(np.from_dlpack(g), NUMPY, key, shape))


def _gathered(x: Any, xp: Any, key: Any) -> Any:
    if xp is NUMPY or hasattr(x, "at"):
        return x[key]
    try:
        return x[_spelt_out(key, xp)]
    except IndexError:  # the Array API has few of NumPy's indices
        return xp.asarray(np.from_dlpack(x)[key])


def _spelt_out(key: Any, xp: Any) -> Any:
    """An index as the Array API wants it: its own arrays, and `...` for the axes that are not named."""
    if isinstance(key, np.ndarray) and key.dtype == bool:
        return xp.asarray(key)
    parts = [
        xp.asarray(p) if isinstance(p, np.ndarray) else p for p in (key if isinstance(key, tuple) else (key,))
    ]
    return tuple(parts) if any(p is ... or hasattr(p, "dtype") for p in parts) else (*parts, ...)


getitem = primitive("getitem(x, *, key)", forward=_gathered, view=True,
    x=lambda g, x_shape, key, xp: xp.scatter_add(g, key=key, shape=x_shape))  # fmt: skip
scatter_add = primitive("scatter_add(x, *, key, shape)", forward=_scatter_add,
    x=lambda g, key, xp: xp.getitem(g, key=key))  # fmt: skip


def _index_update(x: Any, y: Any, xp: Any, key: Any) -> Any:
    if hasattr(x, "at"):
        return x.at[key].set(y)
    if xp is not NUMPY:
        return xp.asarray(_index_update(np.from_dlpack(x), _in_numpy(y), NUMPY, key))
    out = np.array(x)
    out[key] = y
    return out


def _in_numpy(y: Any) -> Any:
    return np.from_dlpack(y) if hasattr(y, "__dlpack__") else y


def _without(g: Any, part: Callable[[Any], Any], xp: Any) -> Any:
    """`g` with zeros at the part that was overwritten."""
    rest = xp.copy(g)
    part(rest)[...] = 0.0
    return rest


def _updated_rest(g: Any, key: Any, xp: Any) -> Any:
    return xp.index_update(g, 0.0, key=key)


def _update_of_values(g: Any, x_shape: Shape, y_shape: Shape, key: Any, xp: Any) -> Any:
    """The elements of `g` at `key`; of an element that was written repeatedly, only the last write counts."""
    taken = xp.getitem(g, key=key)
    if not is_basic(key):
        last = _last_writes(x_shape, key)
        taken = taken if last is None else xp.where(xp.asarray(last), taken, xp.zeros_like(taken))
    # NumPy lets a value have extra leading axes of length 1.
    extra = len(y_shape) - len(taken.shape)
    return xp.reshape(taken, (1,) * extra + tuple(taken.shape)) if extra > 0 else taken


def _last_writes(shape: Shape, key: Any) -> Any:
    """Which of the writes to `key` stay; None if all do."""
    writer = np.full(shape, -1)
    numbers = np.arange(writer[key].size).reshape(writer[key].shape)
    writer[key] = numbers
    last = writer[key] == numbers
    return None if last.all() else last


index_update = primitive("index_update(x, y, *, key)", forward=_index_update, broadcasts=True,
    x=_updated_rest, y=_update_of_values)  # fmt: skip


def _view_update(x: Any, y: Any, xp: Any, part: Callable[[Any], Any]) -> Any:
    return x  # a view was changed in place, so the memory of x holds the new elements already


view_update = primitive("view_update(x, y, *, part)", forward=_view_update,
    x=lambda g, part, xp: _without(g, part, xp), y=lambda g, part: part(g))  # fmt: skip


def _sort_rule(g: Any, x: Any, axis: int, xp: Any) -> Any:
    # Of an example too: where a function is traced, a sort is written down as its order, and comes not here.
    if getattr(x, "is_traced", False):  # a façade sweeps back along its own nodes
        return xp.take_along_axis(g, x.argsort(axis=axis).argsort(axis=axis), axis=axis)
    order = np.argsort(np.asarray(example_of(x)), axis=axis, kind="stable")
    return xp.take_along_axis(g, np.argsort(order, axis=axis), axis=axis)


def _sort(x: Any, xp: Any, axis: int) -> Any:
    return np.sort(x, axis=axis, kind="stable") if xp is NUMPY else xp.own("sort")(x, axis=axis)


def _argsort(x: Any, xp: Any, axis: int) -> Any:
    return np.argsort(x, axis=axis, kind="stable") if xp is NUMPY else xp.own("argsort")(x, axis=axis)


sort = primitive("sort(x, *, axis=-1)", forward=_sort, x=_sort_rule)
argsort = primitive("argsort(x, *, axis=-1)", forward=_argsort)
searchsorted = primitive("searchsorted(x, y, *, side='left')")
nonzero = several("nonzero(x)")


def indices_of(key: Any) -> Any:
    """An index in which Tensors are replaced by their arrays and lists by arrays.

    >>> indices_of(([0, 1], slice(2)))
    (array([0, 1]), slice(None, 2, None))
    """
    if isinstance(key, tuple):
        return tuple(indices_of(part) for part in key)
    if isinstance(key, list):
        return np.asarray(key, dtype=None if key else np.intp)
    return example_of(key)
