"""`tf.data`: pipelines of elements, made anew at each iteration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np

from chainrule.tensorflow.errors import InvalidArgumentError, missing
from chainrule.tensorflow.random import generator
from chainrule.tensorflow.tensors import Tensor, convert
from chainrule.trees import leaves, mapped

AUTOTUNE = -1
INFINITE = INFINITE_CARDINALITY = -1
UNKNOWN = UNKNOWN_CARDINALITY = -2


class Dataset:
    """A sequence of elements: tensors, or tuples and dicts of them.

    >>> numbers = Dataset.range(5).map(lambda x: x * x).batch(2)
    >>> [batch.numpy().tolist() for batch in numbers]
    [[0, 1], [4, 9], [16]]
    """

    def __init__(self, elements: Callable[[], Iterable[Any]], count: int = UNKNOWN) -> None:
        self._elements, self._count = elements, count

    # sources -------------------------------------------------------------------------------------------

    @classmethod
    def from_tensor_slices(cls, tensors: Any) -> Self:
        """The rows of one tensor, or the rows of several together."""
        rows = _structured(_as_rows, tensors)
        lengths = {len(t) for _, t in leaves(rows)}
        if len(lengths) != 1:
            raise InvalidArgumentError(
                f"from_tensor_slices needs tensors with equally many rows, but they have {sorted(lengths)}"
            )
        (count,) = lengths
        return cls(lambda: (_row(rows, i) for i in range(count)), count)

    @classmethod
    def from_tensors(cls, tensors: Any) -> Self:
        """One element."""
        return cls(lambda: [_structured(convert, tensors)], 1)

    @classmethod
    def from_generator(cls, generator: Callable[..., Any], *, args: Any = (), **signature: Any) -> Self:
        """What a function yields."""
        return cls(lambda: (_structured(convert, element) for element in generator(*args)))

    @classmethod
    def range(cls, *bounds: int) -> Self:
        """Whole numbers, in int64."""
        numbers = range(*bounds)
        return cls(lambda: (Tensor._wrapped(np.int64(n)) for n in numbers), len(numbers))

    @classmethod
    def zip(cls, *datasets: Any) -> Self:
        """The elements of several data sets together."""
        sets = datasets[0] if len(datasets) == 1 else datasets
        return cls(lambda: zip(*sets, strict=False), min(d._count for d in sets))

    # transformations -----------------------------------------------------------------------------------

    def _then(self, change: Callable[[Iterator[Any]], Iterable[Any]], count: int | None = None) -> Dataset:
        return Dataset(lambda: change(iter(self)), self._count if count is None else count)

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None, **options: Any) -> Dataset:
        """A function of each element; a tuple becomes its arguments."""
        return self._then(lambda elements: (_called(map_func, e) for e in elements))

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which a function is true."""
        return self._then(lambda elements: (e for e in elements if _called(predicate, e)), UNKNOWN)

    def batch(self, batch_size: int, drop_remainder: bool = False, **options: Any) -> Dataset:
        """Elements put together along a new first axis."""
        size = int(batch_size)
        count = self._count
        if count >= 0:
            count = count // size if drop_remainder else math.ceil(count / size)
        return self._then(lambda elements: _batches(elements, size, drop_remainder), count)

    def unbatch(self) -> Dataset:
        """The rows of each element."""
        return self._then(
            lambda elements: (row for e in elements for row in Dataset.from_tensor_slices(e)), UNKNOWN
        )

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool = True
    ) -> Dataset:
        """The elements in random order: each time one of the next `buffer_size`."""
        source = generator(seed) if seed is not None else None
        fixed = None if reshuffle_each_iteration else int(generator().integers(2**32))

        def shuffled(elements: Iterator[Any]) -> Iterator[Any]:
            numbers = source if fixed is None else np.random.default_rng(fixed if seed is None else seed)
            return _shuffled(elements, int(buffer_size), numbers or generator())

        return self._then(shuffled)

    def repeat(self, count: int | None = None) -> Dataset:
        """All elements again and again; without a count, without end."""
        if count is None or count < 0:
            return Dataset(
                lambda: itertools.chain.from_iterable(iter(self) for _ in itertools.count()), INFINITE
            )
        total = self._count * count if self._count >= 0 else self._count
        return Dataset(lambda: itertools.chain.from_iterable(iter(self) for _ in range(count)), total)

    def take(self, count: int) -> Dataset:
        """The first elements."""
        if count < 0:
            return self
        known = count if self._count == INFINITE else min(count, self._count) if self._count >= 0 else UNKNOWN
        return self._then(lambda elements: itertools.islice(elements, count), known)

    def skip(self, count: int) -> Dataset:
        """All but the first elements."""
        known = max(0, self._count - count) if self._count >= 0 else self._count
        return self._then(lambda elements: itertools.islice(elements, count, None), known)

    def enumerate(self, start: int = 0) -> Dataset:
        """The elements with their numbers."""
        return self._then(
            lambda elements: ((Tensor._wrapped(np.int64(i)), e) for i, e in enumerate(elements, start))
        )

    def concatenate(self, dataset: Dataset) -> Dataset:
        """The elements of this data set, then those of another."""
        total = self._count + dataset._count if min(self._count, dataset._count) >= 0 else UNKNOWN
        return Dataset(lambda: itertools.chain(self, dataset), total)

    def prefetch(self, buffer_size: Any = AUTOTUNE) -> Dataset:
        """The data set itself: elements are made when they are asked for."""
        return self

    def cache(self, filename: str = "") -> Dataset:
        """The data set itself."""
        return self

    # reading -------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        return iter(self._elements())

    def __len__(self) -> int:
        if self._count < 0:
            raise InvalidArgumentError(
                f"The dataset is {'infinite' if self._count == INFINITE else 'of unknown length'}."
            )
        return self._count

    def cardinality(self) -> Tensor:
        """How many elements there are; -1 without end, -2 if it is not known."""
        return Tensor._wrapped(np.int64(self._count))

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements as NumPy arrays."""
        return (mapped(lambda t: t.numpy(), element) for element in self)

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any]) -> Any:
        """A function of the state so far and the next element, over all elements."""
        state = convert(initial_state)
        for element in self:
            state = reduce_func(state, element)
        return state


def _structured(function: Callable[[Any], Any], value: Any) -> Any:
    """A function of each tensor: tuples and dicts hold several, but a list is one."""
    if isinstance(value, dict):
        return {name: _structured(function, part) for name, part in value.items()}
    return (
        tuple(_structured(function, part) for part in value) if isinstance(value, tuple) else function(value)
    )


def _as_rows(value: Any) -> Any:
    array = np.asarray(convert(value)._data)
    if not array.ndim:
        raise InvalidArgumentError("from_tensor_slices needs tensors with rows, but was given a number")
    return array


def _row(rows: Any, number: int) -> Any:
    return mapped(lambda t: Tensor._wrapped(t[number]), rows)


def _called(function: Callable[..., Any], element: Any) -> Any:
    return function(*element) if isinstance(element, tuple) else function(element)


def _batches(elements: Iterator[Any], size: int, whole: bool) -> Iterator[Any]:
    while rows := list(itertools.islice(elements, size)):
        if len(rows) == size or not whole:
            yield mapped(lambda *parts: Tensor._wrapped(np.stack([np.asarray(p) for p in parts])), *rows)


def _shuffled(elements: Iterator[Any], size: int, numbers: np.random.Generator) -> Iterator[Any]:
    waiting = list(itertools.islice(elements, size))
    for element in elements:
        place = int(numbers.integers(len(waiting)))
        yield waiting[place]
        waiting[place] = element
    numbers.shuffle(waiting)
    yield from waiting


def __getattr__(name: str) -> Any:
    missing("tf.data", name, globals())
