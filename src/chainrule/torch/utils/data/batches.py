"""Collating: samples become a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from chainrule.torch.errors import ArgumentError, OperationError
from chainrule.torch.functions.registry import PUBLIC
from chainrule.torch.tensors import Tensor


def default_collate(batch: Any) -> Any:
    """A batch of samples: tensors are stacked, numbers become tensors, containers hold batches of parts.

    >>> default_collate([(1, {"a": 2.0}), (3, {"a": 4.0})])
    [tensor([1, 3]), {'a': tensor([2., 4.], dtype=torch.float64)}]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, (np.ndarray, np.generic)) and first.dtype.kind in "biufc":
        return _stacked_arrays([np.asarray(one) for one in batch])
    if isinstance(first, float):
        return Tensor._wrapped(np.array(batch, np.float64))
    if isinstance(first, int):
        return PUBLIC["tensor"](batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        parts = {name: default_collate([one[name] for one in batch]) for name in first}
        return _rebuilt_mapping(first, parts)
    if isinstance(first, Sequence):
        return _collated_sequences(first, batch)
    raise ArgumentError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {type(first)}: give the DataLoader a collate_fn"
    )


def _stacked(tensors: Sequence[Any]) -> Any:
    if any(tensor.requires_grad for tensor in tensors):
        return PUBLIC["stack"](list(tensors), 0)
    return _stacked_arrays([tensor._data for tensor in tensors])


def _stacked_arrays(arrays: list[np.ndarray]) -> Tensor:
    shape = arrays[0].shape
    for number, array in enumerate(arrays):
        if array.shape != shape:
            raise OperationError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(array.shape)} at entry {number}"
            )
    return Tensor._wrapped(np.stack(arrays))  # type: ignore[no-any-return]


def _collated_sequences(first: Any, batch: Sequence[Any]) -> Any:
    if any(len(one) != len(first) for one in batch):
        raise OperationError("each element in list of batch should be of equal size")
    parts = [default_collate(samples) for samples in zip(*batch, strict=True)]
    return (
        parts
        if isinstance(first, tuple) and not hasattr(first, "_fields")
        else _rebuilt_sequence(first, parts)
    )


def default_convert(data: Any) -> Any:
    """A sample with its NumPy arrays as tensors: what is done to a sample where there are no batches."""
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind in "biufc":
        return Tensor._wrapped(np.asarray(data))
    if isinstance(data, Mapping):
        return _rebuilt_mapping(data, {name: default_convert(value) for name, value in data.items()})
    if isinstance(data, tuple) and not hasattr(data, "_fields"):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rebuilt_sequence(data, [default_convert(value) for value in data])
    return data


def _rebuilt_mapping(model: Any, parts: dict[Any, Any]) -> Any:
    """A mapping of the same class, or a dict where that cannot be made."""

    def filled() -> Any:
        found = copy.copy(model)
        found.update(parts)
        return found

    return _or(parts, filled if isinstance(model, MutableMapping) else lambda: type(model)(parts))


def _rebuilt_sequence(model: Any, parts: list[Any]) -> Any:
    """A sequence of the same class, or a list where that cannot be made."""
    if hasattr(model, "_fields"):
        return type(model)(*parts)

    def filled() -> Any:
        found = copy.copy(model)
        found[:] = parts
        return found

    return _or(parts, filled if isinstance(model, MutableSequence) else lambda: type(model)(parts))


def _or(plain: Any, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except TypeError:  # the class has another constructor
        return plain
