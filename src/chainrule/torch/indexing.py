"""An index as PyTorch understands it: what is basic is applied first, and gives a view; then what is advanced."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.operators import Operators
from chainrule.torch.errors import ArgumentError, DimensionError, ValueOptionError

_WHOLE = slice(None)
_ARRAYS: Any = (np.ndarray, Operators)
"""Arrays, and what stands for them while a function is traced."""


def _part(part: Any) -> Any:
    """One part of an index, with Tensors as arrays and numbers as ints."""
    if isinstance(part, Operators):
        part = part if part.is_traced else part._data
    elif isinstance(part, (list, tuple, range)):
        part = np.asarray([p._data if isinstance(p, Operators) and not p.is_traced else p for p in part])
        part = part if part.size else part.astype(np.intp)
    if isinstance(part, _ARRAYS):
        if part.dtype.kind == "u" and part.dtype.itemsize == 1:
            part = part.astype(bool)
        if part.dtype.kind not in "iub":
            raise DimensionError(
                f"tensors used as indices must be long, int, byte or bool tensors, but was given {part.dtype}"
            )
        return int(part) if type(part) is np.ndarray and part.ndim == 0 and part.dtype.kind in "iu" else part
    if isinstance(part, np.integer):
        return int(part)
    if isinstance(part, slice):
        if part.step is not None and part.step < 0:
            raise ValueOptionError("step must be greater than zero; use torch.flip to reverse a dimension")
        return slice(*(int(e) if e is not None else None for e in (part.start, part.stop, part.step)))
    if part is None or part is ... or isinstance(part, (bool, int)):
        return np.asarray(part) if isinstance(part, bool) else part
    raise ArgumentError(
        f"only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        f"(got {type(part).__name__})"
    )


def split_index(key: Any, data: np.ndarray) -> tuple[Any, Any]:
    """The basic part of an index (or None) and the advanced part, for what the basic part leaves (or None).

    >>> basic, advanced = split_index((0, slice(None), [0, 1]), np.ones((2, 3, 4)))
    >>> basic
    (0, slice(None, None, None), slice(None, None, None), Ellipsis)
    >>> advanced
    (slice(None, None, None), array([0, 1]), Ellipsis)
    """
    parts = key if isinstance(key, tuple) else (key,)
    parts = tuple(_part(p) for p in parts)
    used = sum(
        p.ndim if isinstance(p, _ARRAYS) and p.dtype == bool else p is not None and p is not ...
        for p in parts
    )
    if used > data.ndim:
        raise DimensionError(f"too many indices for tensor of dimension {data.ndim}")
    if not any(isinstance(p, _ARRAYS) for p in parts):
        if not any(p is ... for p in parts):
            parts = (*parts, ...)
        _check_range(parts, data)
        return parts, None
    if not any(p is ... for p in parts):
        parts = (*parts, ...)
    if all(
        isinstance(p, _ARRAYS) or p is ... or p == _WHOLE for p in parts if p is not None
    ) and None not in [p for p in parts if not isinstance(p, _ARRAYS)]:
        return None, parts
    basic: list[Any] = []
    advanced: list[Any] = []
    for p in parts:
        if isinstance(p, _ARRAYS):
            basic += [_WHOLE] * (p.ndim if p.dtype == bool else 1)
            advanced.append(p)
        else:
            basic.append(p)
            if p is ...:
                advanced.append(p)
            elif not isinstance(p, int):
                advanced.append(_WHOLE)
    return tuple(basic), tuple(advanced)


def _check_range(parts: tuple[Any, ...], data: np.ndarray) -> None:
    dim = 0
    for p in parts[: parts.index(...)]:
        if isinstance(p, int) and not -data.shape[dim] <= p < data.shape[dim]:
            raise DimensionError(
                f"index {p} is out of bounds for dimension {dim} with size {data.shape[dim]}"
            )
        dim += p is not None
