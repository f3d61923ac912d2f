"""What the functions of `nn.functional` share."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor

Numbers = int | tuple[int, ...] | list[int]


def tensor(array: Any) -> Any:
    """A constant Tensor around an array."""
    return Tensor._wrapped(array)


def tuple_of(value: Any, count: int, what: str = "an argument") -> tuple[int, ...]:
    """One number for each of `count` dimensions; a single number is repeated.

    >>> tuple_of(2, 3), tuple_of([1, 2], 2)
    ((2, 2, 2), (1, 2))
    """
    if isinstance(value, (int, np.integer)):
        return (int(value),) * count
    values = tuple(int(v) for v in value)
    if len(values) == 1:
        return values * count
    if len(values) != count:
        raise OperationError(f"{what} should be a number or a tuple of {count} numbers, but got {value}")
    return values


def reduced(values: Any, reduction: str) -> Any:
    """The mean, the sum, or the values themselves."""
    if reduction == "mean":
        return ops.mean(values)
    if reduction == "sum":
        return ops.sum(values)
    check_reduction(reduction)
    return values


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless the reduction is one that there is."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueOptionError(f"{reduction} is not a valid value for reduction")


def legacy_reduction(size_average: Any, reduce: Any, reduction: str, warn: bool = True) -> str:
    """The reduction that the two arguments of old versions of PyTorch mean."""
    if size_average is None and reduce is None:
        return reduction
    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    meant = "none" if not reduce else "mean" if size_average else "sum"
    if warn:
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{meant}' instead.",
            stacklevel=3,
        )
    return meant


def in_place(function: Callable[[Any], Any], x: Any, inplace: bool) -> Any:
    """The function of `x`, written into `x` itself if that is asked for."""
    return x._replace(function, "an operation in place") if inplace else function(x)


def shown(result: Any, name: str, *inputs: Any) -> Any:
    """`result`, shown as made by PyTorch's operation `name`; an input that was handed back stays as it is."""
    return result if any(result is x for x in inputs) else named(result, name)


def batched(x: Any, count: int, what: str) -> tuple[Any, bool]:
    """The input with a batch axis, and whether it was there; `count` is the number of dimensions of space."""
    dims = x._data.ndim
    if dims == count + 2:
        return x, True
    if dims != count + 1:
        raise OperationError(
            f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to {what}, but got input of size: "
            f"{list(x.shape)}"
        )
    return ops.reshape(x, shape=(1, *x._data.shape)), False


def unbatched(x: Any, was_batched: bool) -> Any:
    """The result without the batch axis that `batched` added."""
    return x if was_batched else ops.reshape(x, shape=x._data.shape[1:])
