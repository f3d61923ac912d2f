"""DataLoader: a dataset in batches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat
from typing import Any, Generic, TypeVar

import numpy as np

from chainrule.torch.errors import ArgumentError, ValueOptionError
from chainrule.torch.random import Generator
from chainrule.torch.tensors import Tensor
from chainrule.torch.utils.data.batches import default_collate, default_convert
from chainrule.torch.utils.data.dataset import IterableDataset, Subset, TensorDataset
from chainrule.torch.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, drawn_seed

T = TypeVar("T", covariant=True)


class DataLoader(Generic[T]):
    """A dataset in batches, in its order or shuffled. Samples are loaded in this process, when asked for.

    Parameters
    ----------
    dataset
        Samples by index (`__getitem__` and `__len__`), or an IterableDataset.
    batch_size
        How many samples make a batch; None hands out single samples.
    shuffle
        Whether a new random order is drawn for each pass.
    sampler, batch_sampler
        The indices, or lists of them, in their order: instead of `shuffle`, or of all of these options.
    num_workers
        Other processes, in PyTorch. Here a number above 0 is accepted with a warning, and changes nothing.
    collate_fn
        Makes a batch of a list of samples; `default_collate` where there is none.
    drop_last
        Whether a last batch that is not full is left out.
    generator
        Draws the random order; without it, the default generator gives a seed for each pass.
    pin_memory, timeout, worker_init_fn, multiprocessing_context, prefetch_factor, persistent_workers, \
pin_memory_device, in_order
        For other processes and devices: checked, and without an effect.

    >>> [batch.tolist() for batch in DataLoader([1, 2, 3], batch_size=2)]
    [[1, 2], [3]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers, multiprocessing_context)
        self._streams = isinstance(dataset, IterableDataset)
        _check_order(self._streams, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if sampler is None and not self._streams:
            if not hasattr(dataset, "__len__"):
                raise ArgumentError(
                    f"object of type {type(dataset).__name__!r} has no len(): give the DataLoader a sampler"
                )
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif batch_size is not None:
            numbers: Iterable[Any] = repeat(None) if sampler is None else sampler
            batch_sampler = BatchSampler(numbers, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler: Any = sampler
        self.batch_sampler: Any = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.pin_memory_device = pin_memory_device
        self.in_order = in_order

    def __iter__(self) -> Iterator[Any]:
        batched = self.batch_sampler is not None
        indices = iter(()) if self._streams else iter(self.batch_sampler if batched else self.sampler)
        drawn_seed(self.generator)  # PyTorch draws a seed for its workers here, also where there are none
        if not self._streams:
            return map(self._fetcher(batched), indices)
        samples = iter(self.dataset)
        return self._streamed(samples) if batched else map(self.collate_fn, samples)

    def _fetcher(self, batched: bool) -> Callable[[Any], Any]:
        """A function from what the sampler gives to what the loader gives."""
        dataset, collate = self.dataset, self.collate_fn
        if not batched:
            return lambda index: collate(dataset[index])
        rows = _rows_of(dataset) if collate is default_collate else None
        if rows is not None:
            return rows
        many = getattr(dataset, "__getitems__", None)
        if callable(many):
            return lambda batch: collate(many(batch))
        return lambda batch: collate([dataset[index] for index in batch])

    def _streamed(self, samples: Iterator[Any]) -> Iterator[Any]:
        """The batches of a stream, whose length nobody knows."""
        for wanted in self.batch_sampler:
            batch = list(islice(samples, len(wanted)))
            if not batch or (self.drop_last and len(batch) < len(wanted)):
                return
            yield self.collate_fn(batch)
            if len(batch) < len(wanted):
                return

    def __len__(self) -> int:
        if not self._streams:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        count = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else math.ceil(count / self.batch_size)


def _rows_of(dataset: Any) -> Callable[[list[int]], list[Any]] | None:
    """Batches of plain tensors, taken at once instead of stacked row by row; None for other datasets."""
    subsets: list[Any] = []
    while type(dataset) is Subset:
        subsets.append(dataset.indices)
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or any(tensor.requires_grad for tensor in dataset.tensors):
        return None

    def rows(batch: list[int]) -> list[Any]:
        for indices in subsets:
            batch = [indices[i] for i in batch]
        chosen = np.asarray(batch)
        return [Tensor._wrapped(tensor._data[chosen]) for tensor in dataset.tensors]

    return rows


def _check_workers(num_workers: int, timeout: float, prefetch: Any, persistent: bool, context: Any) -> None:
    if num_workers < 0:
        raise ValueOptionError(
            "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueOptionError("timeout option should be non-negative")
    if num_workers == 0:
        for name, value in (("prefetch_factor", prefetch), ("persistent_workers", persistent or None),
                            ("multiprocessing_context", context)):  # fmt: skip
            if value is not None:
                raise ValueOptionError(f"{name} option needs num_workers > 0")
        return
    warnings.warn(
        f"DataLoader(num_workers={num_workers}): chainrule.torch loads all samples in this process, so "
        "batches and their "
        f"order are the same, and worker_init_fn is not called. Use num_workers=0 to silence this.",
        stacklevel=3,
    )


def _check_order(
    streams: bool, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    """Raise ValueError for options that exclude each other."""
    if streams:
        for name, value in (
            ("shuffle", shuffle or None),
            ("sampler", sampler),
            ("batch_sampler", batch_sampler),
        ):
            if value is not None:
                raise ValueOptionError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                    f"{name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueOptionError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueOptionError(
            "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
        )
    if batch_sampler is None and batch_size is None and drop_last:
        raise ValueOptionError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )


def get_worker_info() -> None:
    """What a worker process knows of itself: None, for there are no workers."""
    return None
