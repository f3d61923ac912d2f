"""Places in sorted sequences, different elements, and counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.torch.errors import DimensionError, OperationError
from chainrule.torch.functions.registry import function
from chainrule.torch.tensors import Tensor


@function()
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Any:
    """The number of the interval between boundaries that each element falls into."""
    values = input._data if isinstance(input, Tensor) else np.asarray(input)
    if boundaries._data.ndim != 1:
        raise OperationError(f"boundaries tensor must be 1 dimension, but got dim({boundaries._data.ndim})")
    found = np.searchsorted(boundaries._data, values, "right" if right else "left")
    return Tensor._wrapped(np.asarray(found, np.int32 if out_int32 else np.int64))


def _check_search(rows: np.ndarray, values: np.ndarray, side: str | None, right: bool, sorter: Any) -> None:
    if rows.ndim > 1 and rows.shape[:-1] != values.shape[:-1]:
        raise OperationError(
            f"torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            f"tensor and input value tensor must match, but we got boundaries tensor {list(rows.shape)} and "
            "input value "
            f"tensor {list(values.shape)}"
        )
    if rows.dtype != values.dtype and isinstance(values, np.ndarray) and values.ndim:
        raise OperationError(
            f"torch.searchsorted(): boundary and input value tensors should have same dtype, but got boundary tensor "
            f"dtype {rows.dtype} and input value tensor dtype {values.dtype}"
        )
    if side not in ("left", "right"):
        raise OperationError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise OperationError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    if sorter is not None and sorter._data.shape != rows.shape:
        raise OperationError("torch.searchsorted(): boundary and sorter must have the same size")
    if sorter is not None and sorter._data.dtype != np.int64:
        raise OperationError(
            f"torch.searchsorted(): sorter must be a tensor of long dtype but got dtype {sorter.dtype}"
        )
    if (
        sorter is not None
        and sorter._data.size
        and not ((sorter._data >= 0) & (sorter._data < rows.shape[-1])).all()
    ):
        raise DimensionError("torch.searchsorted(): sorter index out of range")


@function(method=False)
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None,
) -> Any:  # fmt: skip
    """Where the elements of `input` would go in a sorted sequence."""
    values = input._data if isinstance(input, Tensor) else np.asarray(input)
    side = side or ("right" if right else "left")
    rows = sorted_sequence._data
    _check_search(rows, values, side, right, sorter)
    if sorter is not None:
        rows = np.take_along_axis(rows, sorter._data, -1)
    if rows.ndim <= 1:
        found = np.searchsorted(rows, values, side)  # type: ignore[call-overload]
    else:
        found = np.empty(values.shape, np.int64)
        for place in np.ndindex(rows.shape[:-1]):
            found[place] = np.searchsorted(rows[place], values[place], side)  # type: ignore[call-overload]
    return Tensor._wrapped(np.asarray(found, np.int32 if out_int32 else np.int64))


@function()
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, in order."""
    out = np.unique(input._data, return_inverse=True, return_counts=True, axis=dim)
    values, inverse, counts = (Tensor._wrapped(part) for part in out)
    if dim is None:
        inverse = Tensor._wrapped(inverse._data.reshape(input._data.shape))
    parts = (values, *((inverse,) if return_inverse else ()), *((counts,) if return_counts else ()))
    return parts if len(parts) > 1 else values


@function()
def bincount(input: Tensor, weights: Any = None, minlength: int = 0) -> Any:
    """How often each integer occurs."""
    if (
        input._data.ndim != 1
        or input._data.dtype.kind not in "iu"
        or (input._data.size and input._data.min() < 0)
    ):
        raise OperationError("bincount only supports 1-d non-negative integral inputs.")
    return Tensor._wrapped(np.bincount(input._data, None if weights is None else weights._data, minlength))


@function()
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each element is among others."""
    a, b = (v._data if isinstance(v, Tensor) else np.asarray(v) for v in (elements, test_elements))
    return Tensor._wrapped(np.isin(a, b, assume_unique, invert))
