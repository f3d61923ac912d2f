"""Functions that change an array in place: a Tensor with its history, a plain array only without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.functions.arrays import as_array, data_of
from chainrule.numpy_functions.arguments import check_no_gradient, name_of, plain, written
from chainrule.numpy_functions.shapes import numbered
from chainrule.tensor import Tensor

Function = Callable[..., Any]


def _write(function: Function, target: Any, values: Any, write: Callable[[Any, Any], object]) -> None:
    """Let `write(target, values)`, a NumPy function that moves elements into `target`, change a Tensor.

    It is run on the numbers of the elements; the elements themselves follow by indexing.
    """
    if not isinstance(target, Tensor):
        check_no_gradient(name_of(function), target, values)
        write(target, plain(values))
        written(target)
        return
    values = as_array(values)
    numbers = numbered(target)
    write(numbers, numbered(values, start=numbers.size))
    target._replace(lambda old: ops.concat([old, values], axis=None)[numbers], name_of(function))


def _copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    _write(np.copyto, dst, src, lambda into, values: np.copyto(into, values, casting, where=data_of(where)))


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    _write(np.fill_diagonal, a, val, lambda into, values: np.fill_diagonal(into, values, wrap))


def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    _write(np.put, a, v, lambda into, values: np.put(into, data_of(ind), values, mode))  # type: ignore[arg-type]


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    _write(
        np.put_along_axis, arr, values, lambda into, new: np.put_along_axis(into, data_of(indices), new, axis)
    )


def _putmask(a: Any, mask: Any, values: Any) -> None:
    _write(np.putmask, a, values, lambda into, new: np.putmask(into, data_of(mask), new))


def _place(arr: Any, mask: Any, vals: Any) -> None:
    _write(np.place, arr, vals, lambda into, new: np.place(into, data_of(mask), new))


FUNCTIONS: dict[str, Function] = {
    "copyto": _copyto,
    "fill_diagonal": _fill_diagonal,
    "put": _put,
    "put_along_axis": _put_along_axis,
    "putmask": _putmask,
    "place": _place,
}
