"""Reading by index, made of the primitives in `rules.index`."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.functions.arrays import as_array, example_of, ones_like
from chainrule.operators import Operators
from chainrule.primitives import Primitive
from chainrule.rules import index as rules
from chainrule.rules.elementwise import multiply
from chainrule.rules.index import indices_of
from chainrule.rules.shape import reshape


def getitem(x: Any, key: Any) -> Any:
    """`x[key]` with everything that NumPy takes as an index; Tensors may be indices too."""
    if type(key) is slice or type(key) is int:
        return rules.getitem(x, key=key)
    return _at(rules.getitem, x, key=key)


def index_update(x: Any, y: Any, key: Any) -> Any:
    """A copy of `x` in which the elements at `key` are those of `y`."""
    return _at(rules.index_update, as_array(x), y, key=key)


def index_add(x: Any, y: Any, key: Any) -> Any:
    """A copy of `x` to whose elements at `key` those of `y` are added, repeated ones repeatedly."""
    x = as_array(x)
    spread = multiply(y, getitem(ones_like(example_of(x)), key))
    return x + _at(rules.scatter_add, spread, key=key, shape=tuple(x.shape))


def _at(primitive: Primitive, *inputs: Any, key: Any, **parameters: Any) -> Any:
    """A primitive with an index, which is recorded where the index alone is traced."""
    given = parameters | {"key": indices_of(key)}
    index = _traced_in(key)
    if index is None or any(isinstance(x, Operators) and x.is_traced for x in inputs):
        return primitive(*inputs, **given)
    return type(index)._apply(primitive, inputs, given)


def _traced_in(key: Any) -> Any:
    """The first index that a function being traced has computed."""
    parts = key if type(key) is tuple else (key,)
    return next((part for part in parts if isinstance(part, Operators) and part.is_traced), None)


def _as_index(indices: Any) -> Any:
    return np.asarray(indices_of(indices)) if _traced_in(indices) is None else indices


def take(x: Any, indices: Any, axis: int | None = None, *, mode: str = "raise") -> Any:
    """The slices of `x` at `indices` along `axis`; of the flattened array without one."""
    x, indices = as_array(x), _as_index(indices)
    if axis is None:
        x, axis = reshape(x, shape=(-1,)), 0
    if mode != "raise":
        length = x.shape[axis]
        indices = indices % length if mode == "wrap" else np.clip(indices, 0, length - 1)
    return getitem(x, (*(slice(None),) * (axis % len(x.shape)), indices))


def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    """The elements of `x` at `indices` along `axis`, each line with its own indices."""
    x, indices = as_array(x), _as_index(indices)
    if axis is None:
        x, axis = reshape(x, shape=(-1,)), 0
    axis %= len(x.shape)
    # The other axes broadcast: a line of indices may serve many lines of x, and the reverse.
    shape = np.broadcast_shapes(
        *(tuple(1 if i == axis else n for i, n in enumerate(s)) for s in (x.shape, indices.shape))
    )
    mesh = [_along(n, i, len(shape)) for i, n in enumerate(shape)]
    return getitem(x, tuple(_fit(m, x.shape[i]) if i != axis else indices for i, m in enumerate(mesh)))


def _along(length: int, axis: int, count: int) -> Any:
    return np.arange(length).reshape(tuple(-1 if i == axis else 1 for i in range(count)))


def _fit(index: Any, length: int) -> Any:
    return index * 0 if length == 1 else index
