"""Which rows train, and which are held out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import DataError, OptionError


class Split(NamedTuple):
    """Row numbers of the parts, each in random order."""

    training: NDArray[np.intp]
    validation: NDArray[np.intp]


def fold_numbers(
    rows: int, folds: int, generator: np.random.Generator, groups: ArrayLike | None = None
) -> NDArray[np.intp]:
    """A fold for each row, shape (rows,), from 0; with `groups` (a label for each row), each group spread evenly.

    Raises:
        DataError: fewer rows than folds.

    >>> np.bincount(fold_numbers(10, 5, np.random.default_rng(0)))
    array([2, 2, 2, 2, 2])
    """
    if rows < folds:
        raise DataError(f"{rows} rows are too few for {folds} folds")
    labels = np.zeros(rows, int) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    mixed = generator.permutation(rows)
    dealt = mixed[np.argsort(labels[mixed], kind="stable")]
    numbers = np.empty(rows, np.intp)
    numbers[dealt] = np.arange(rows) % folds
    return numbers


def split_rows(
    rows: int, fraction: float, generator: np.random.Generator, groups: ArrayLike | None = None
) -> Split:
    """Hold out a fraction of the rows; with `groups` (a label for each row), of each group alike.

    Every group keeps at least one row for training, and at least one row is held out.

    Raises:
        OptionError: a fraction not between 0 and 1.
        DataError: fewer than two rows, or only groups of one row.

    >>> training, validation = split_rows(10, 0.2, np.random.default_rng(0), groups=[0, 1] * 5)
    >>> len(training), sorted(validation % 2)  # one of each group
    (8, [np.int64(0), np.int64(1)])
    """
    if not 0 < fraction < 1:
        raise OptionError(f"the validation part must be between 0 and 1 (0.2 is usual), not {fraction!r}")
    labels = np.zeros(rows, int) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    members = [
        generator.permutation(np.flatnonzero(labels == label)) for label in range(labels.max(initial=-1) + 1)
    ]
    held_out = _held_out_counts(np.array([len(group) for group in members], int), fraction)
    pairs = list(zip(members, held_out, strict=True))
    training = np.concatenate([group[count:] for group, count in pairs])
    validation = np.concatenate([group[:count] for group, count in pairs])
    return Split(generator.permutation(training), generator.permutation(validation))


def _held_out_counts(sizes: NDArray[Any], fraction: float) -> list[int]:
    """How many to hold out of each group: largest remainders, so that the total is the nearest possible."""
    total = max(1, round(float(fraction * sizes.sum())))
    counts = np.floor(fraction * sizes).astype(int)
    largest_remainders = np.argsort(counts - fraction * sizes, kind="stable")
    counts[largest_remainders[: total - counts.sum()]] += 1
    counts = np.minimum(counts, sizes - 1)
    if counts.sum(initial=0) < 1:
        classes = f": each of the {len(sizes)} classes has one row only" if len(sizes) > 1 else ""
        raise DataError(f"too few rows to train on some and hold out others: {sizes.sum()}{classes}")
    return [int(count) for count in counts]
