"""Datasets: by index, as a stream, and made of others."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, Generic, TypeVar

from chainrule.torch import random
from chainrule.torch.errors import DimensionError, ValueOptionError
from chainrule.torch.random import Generator, default_generator
from chainrule.torch.tensors import Tensor

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Samples by index: a subclass defines `__getitem__`, and `__len__` where its length is known."""

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Samples as a stream: a subclass defines `__iter__`."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")

    def __add__(self, other: Dataset[Any]) -> Any:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Tensors of the same length; a sample is a tuple with one row of each."""

    def __init__(self, *tensors: Tensor) -> None:
        if any(tensor._data.shape[:1] != tensors[0]._data.shape[:1] for tensor in tensors):
            lengths = ", ".join(
                str(tensor._data.shape[0] if tensor._data.ndim else "0-d") for tensor in tensors
            )
            raise SizeMismatchError(f"Size mismatch between tensors: their lengths are {lengths}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0]._data.shape[0])


class SizeMismatchError(ValueOptionError, AssertionError):
    """Tensors or datasets of different lengths; an AssertionError too, as in PyTorch."""


class StackDataset(Dataset[Any]):
    """Datasets side by side: a sample is a tuple, or with keyword arguments a dict, of one sample of each."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueOptionError(
                "At least one dataset should be passed"
                if not args
                else "Supported either ``tuple``- (via ``args``) or ``dict``- (via ``kwargs``) like output"
            )
        self.datasets: Any = args or kwargs
        lengths = [len(dataset) for dataset in (args or kwargs.values())]
        if len(set(lengths)) != 1:
            raise ValueOptionError(
                f"Size mismatch between datasets: their lengths are {', '.join(map(str, lengths))}"
            )
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[Any]):
    """Datasets one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise SizeMismatchError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise SizeMismatchError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise _OutsideError(f"index {index} is out of range for a dataset of length {len(self)}")
        index %= len(self)
        number = bisect_right(self.cumulative_sizes, index)
        return self.datasets[number][index - (self.cumulative_sizes[number - 1] if number else 0)]


class _OutsideError(DimensionError, ValueOptionError):
    """An index out of range: an IndexError, so that iteration ends, and a ValueError, as in PyTorch."""


class ChainDataset(IterableDataset[Any]):
    """Streams one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


class Subset(Dataset[T]):
    """Some samples of a dataset, by their indices."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Several samples at once."""
        own = [self.indices[i] for i in indices]
        many = getattr(self.dataset, "__getitems__", None)
        return list(many(own)) if callable(many) else [self.dataset[i] for i in own]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = default_generator
) -> list[Subset[Any]]:
    """Split a dataset at random into parts of these lengths, or of these fractions, which then sum up to 1.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    count = len(dataset)
    sizes = (
        _of_fractions(lengths, count)
        if math.isclose(sum(lengths), 1) and sum(lengths) <= 1
        else list(lengths)
    )
    if sum(sizes) != count:
        raise ValueOptionError(
            "Sum of input lengths does not equal the length of the input dataset! The lengths "
            f"{list(lengths)} sum up "
            f"to {sum(lengths)}, and the dataset has {count} samples"
        )
    order = random.randperm(count, generator=generator).tolist()
    return [
        Subset(dataset, order[end - size : end]) for end, size in zip(accumulate(sizes), sizes, strict=True)
    ]


def _of_fractions(fractions: Sequence[float], count: int) -> list[int]:
    """Whole lengths; what rounding down has left goes to the first ones, one each."""
    for number, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueOptionError(f"Fraction at index {number} is not between 0 and 1")
    sizes = [math.floor(count * fraction) for fraction in fractions]
    for number in range(count - sum(sizes)):
        sizes[number % len(sizes)] += 1
    for number, size in enumerate(sizes):
        if size == 0:
            warnings.warn(
                f"Length of split at index {number} is 0. This might result in an empty dataset.",
                stacklevel=3,
            )
    return sizes
