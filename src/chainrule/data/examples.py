"""What a network learns from: arrays in memory, or any other source of mini-batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError


class Source(Protocol):
    """Where mini-batches come from: `Examples` in memory, a file that is streamed, a mixture of several."""

    def batches(self, size: int, order: np.random.Generator | None = None) -> Iterator[Examples]:
        """The mini-batches of one epoch, of `size` rows (the last may have fewer).

        With `order`, the rows come in a random order that it draws; without, as they are.
        """


class Window(Protocol):
    """Rows in memory at places that stay, for native code: all there are, or some, which make room for others.

    Attributes:
        examples: the rows at their places.
        total: how many rows an epoch has.
        size: of mini-batches.
        stays: whether the rows are those of the whole epoch, and a portion too: nothing comes and goes.
    """

    examples: Examples
    total: int
    size: int
    stays: bool

    def portions(self, order: np.random.Generator | None) -> Iterator[NDArray[np.int64]]:
        """The places of the rows of an epoch, in the order to train on them.

        All portions but the last fill mini-batches. When the next one is asked for, the rows of the last are gone.
        """


@runtime_checkable
class WindowedSource(Source, Protocol):
    """A source that native code can train on."""

    @property
    def rows(self) -> int:
        """How many rows an epoch has."""

    def window(self, size: int) -> Window:
        """The rows that are in memory at a time, for mini-batches of a size."""


class Examples(NamedTuple):
    """Arrays to learn from, the first axis rows.

    Attributes:
        features: shape (rows, …), what the model is called with.
        targets: shape (rows, …), what the loss is called with.
        weights: shape (rows,), how much each row counts; None where all count alike.

    >>> examples = Examples(np.arange(5.0)[:, None], np.arange(5))
    >>> [part.rows for part in examples.batches(2)]
    [2, 2, 1]
    """

    features: NDArray[Any]
    targets: NDArray[Any]
    weights: NDArray[Any] | None = None

    def take(self, rows: Any) -> Examples:
        """The examples of the given rows: indices, a mask or a slice."""
        weights = None if self.weights is None else self.weights[rows]
        return Examples(self.features[rows], self.targets[rows], weights)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.features)

    @property
    def amount(self) -> float:
        """How much all rows count together: their number, or the sum of their weights."""
        return self.rows if self.weights is None else float(self.weights.sum())

    def batches(self, size: int, order: np.random.Generator | None = None) -> Iterator[Examples]:
        """The mini-batches of one epoch; `order` shuffles the rows."""
        # One gather for the epoch, so that a mini-batch is a contiguous view.
        rows = self if order is None else self.take(order.permutation(self.rows))
        return (rows.take(slice(start, start + size)) for start in range(0, self.rows, size))

    def window(self, size: int) -> Window:  # that of a source that is not in memory needs it
        """All rows, for mini-batches of a size."""
        return _Everything(self, size)


class _Everything:
    """All rows at once."""

    stays = True

    def __init__(self, examples: Examples, size: int) -> None:
        self.examples, self.total, self.size = examples, examples.rows, size

    def portions(self, order: np.random.Generator | None) -> Iterator[NDArray[np.int64]]:
        yield np.arange(self.total) if order is None else order.permutation(self.total)


class Mixture:
    """Several sources as one: each mini-batch comes from one of them, drawn by its share.

    A source that is through starts again; an epoch ends when every one has been through once.

    Raises:
        DataError: no sources, or shares that are not one positive number each.

    >>> few, many = Examples(np.zeros((4, 1)), np.zeros(4)), Examples(np.ones((40, 1)), np.ones(40))
    >>> parts = list(Mixture([few, many], shares=[1, 1]).batches(2, np.random.default_rng(0)))
    >>> sum(int(part.targets[0]) for part in parts), len(parts)  # each row of `few` came many times
    (20, 37)
    """

    def __init__(self, sources: list[Source], shares: list[float] | None = None) -> None:
        shares = [1.0] * len(sources) if shares is None else [float(share) for share in shares]
        # A source without rows would be waited for without end.
        if any(isinstance(source, Examples) and not source.rows for source in sources):
            raise DataError("a source of the mixture has no rows")
        if not sources or len(shares) != len(sources) or not all(0 < share < np.inf for share in shares):
            raise DataError(
                f"a mixture of {len(sources)} sources needs a positive share for each, not {shares}"
            )
        self.sources, self.shares = list(sources), np.array(shares) / sum(shares)

    def batches(self, size: int, order: np.random.Generator | None = None) -> Iterator[Examples]:
        """The mini-batches of one epoch; without `order` they are drawn by a fixed seed."""
        streams = [source.batches(size, order) for source in self.sources]
        draw, waiting = np.random.default_rng(0) if order is None else order, set(range(len(streams)))
        while waiting:
            chosen = int(draw.choice(len(streams), p=self.shares))
            part = next(streams[chosen], None)
            if part is None:
                waiting.discard(chosen)
                streams[chosen] = self.sources[chosen].batches(size, order)
            else:
                yield part
