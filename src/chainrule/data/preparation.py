"""From the columns of a table to the arrays that a network takes, and back.

Everything here is fitted on the training part alone: means, scales, categories, classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.data.examples import Examples
from chainrule.data.features import CategoryFeature, Feature, fit_feature
from chainrule.data.summaries import Summary, summarise
from chainrule.data.table import Column, Table
from chainrule.data.targets import Target, target_kind
from chainrule.errors import DataError

LEAST_ROWS = 20
"""In fewer rows, different texts or a running number say nothing."""

IDENTIFIER = re.compile(
    r"(^|[ _.-])(id|index|idx|row|nr|no|number|key|uuid|unnamed)$|[a-z]I[dD]$", re.IGNORECASE
)


@dataclass(frozen=True)
class Preparation:
    """How each column of a table becomes inputs, what is left out, and what the target is.

    The inputs are a matrix: first those of `dense` features, then the number of the vector of each embedded one.

    >>> table = Table.from_cells("cats", ["age", "sex", "kind"], [["1", "m", "a"], ["3", "f", "b"]])
    >>> preparation = Preparation.fit([table], "kind")
    >>> preparation.dense, preparation.vectors
    (3, ())
    >>> preparation.features_of(table)
    array([[-1.,  0.,  1.],
           [ 1.,  1.,  0.]])
    """

    features: tuple[Feature, ...]
    target: Target
    left_out: tuple[tuple[str, str], ...] = ()

    @classmethod
    def fit(
        cls,
        training: Iterable[Table],
        target: str,
        task: str | None = None,
        left_out: Mapping[str, str] | None = None,
    ) -> Self:
        """Fit the encodings of all columns on the training part, which may come in parts.

        Args:
            training: its tables; rows without the target are left out.
            target: the column to predict.
            task: ``"classification"`` or ``"regression"``; None is what fits the target.
            left_out: columns that are no features, with the reason; constant ones are added.

        Raises:
            DataError: no column is left, or a target that cannot be learnt.
        """
        found = summarise(with_known_target(table, target) for table in training)
        if target not in found:
            raise DataError(f"the table has no column {target!r}")
        kind = target_kind(found[target], task)
        reasons = dict(left_out or {})
        reasons |= {
            name: reason
            for name, summary in found.items()
            if name not in reasons and (reason := _useless(summary))
        }
        features = [fit_feature(found[name]) for name in found if name not in reasons and name != target]
        kept = [feature for feature in features if feature.width]
        reasons |= {f.name: "all of its values are rare" for f in features if not f.width}
        reasons.pop(target, None)
        fitted = kind.fit(found[target])
        if not kept:
            why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise DataError(f"no column is left beside the target {target}" + (f" ({why})" if why else ""))
        return cls(tuple(kept), fitted, tuple(reasons.items()))

    @property
    def dense(self) -> int:
        """How many inputs are numbers as they are."""
        return sum(feature.width for feature in self.features if not _embedded(feature))

    @property
    def vectors(self) -> tuple[tuple[int, int], ...]:
        """For each embedded feature, how many vectors it has (that of the others first), and of what length."""
        return tuple(
            (1 + len(feature.categories), feature.dimension)
            for feature in self.features
            if isinstance(feature, CategoryFeature) and feature.dimension
        )

    @property
    def inputs(self) -> int:
        """How many numbers the first layer of weights gets."""
        return self.dense + sum(length for _, length in self.vectors)

    @property
    def names(self) -> list[str]:
        """The columns that a row consists of, in order."""
        return [feature.name for feature in self.features]

    def places(self) -> Iterator[tuple[Feature, slice]]:
        """Each feature with its columns of the matrix of inputs."""
        starts = {False: 0, True: self.dense}
        for feature in self.features:
            embedded = _embedded(feature)
            yield feature, slice(starts[embedded], starts[embedded] + feature.width)
            starts[embedded] += feature.width

    def features_of(self, table: Table) -> NDArray[np.float64]:
        """The inputs of a table's rows, shape (rows, dense + number of vectors), float64."""
        return self.assembled(table.rows, lambda feature: feature.encode(table.column(feature.name)))

    def assembled(self, rows: int, encoded: Callable[[Feature], NDArray[Any]]) -> NDArray[np.float64]:
        """The matrix of inputs, from those of each feature."""
        inputs = np.empty((rows, self.dense + len(self.vectors)))
        for feature, place in self.places():
            inputs[:, place] = encoded(feature)
        return inputs

    def examples_of(self, table: Table) -> Examples:
        """Features and targets of a table's rows."""
        return Examples(self.features_of(table), self.target.encode(table.column(self.target.name)))

    def table_of(self, rows: Sequence[Sequence[str]]) -> Table:
        """Rows of text cells, in the order of `names`, as a table for `features_of`.

        Raises:
            DataError: a wrong number of cells, or one that cannot be read as its column needs.
        """
        for row in rows:
            if len(row) != len(self.features):
                raise DataError(
                    f"the row {','.join(row)!r} has {len(row)} values, but the model needs "
                    f"{len(self.features)}: {', '.join(self.names)}"
                )
        columns = zip(self.features, zip(*rows, strict=True), strict=True)
        return Table("rows", tuple(Column.from_cells(f.name, cells, f.form) for f, cells in columns))

    def unknown(self, table: Table) -> dict[str, list[str]]:
        """The categories of a table's rows that training did not know, by column."""
        found = {
            feature.name: feature.unknown(table.column(feature.name))
            for feature in self.features
            if isinstance(feature, CategoryFeature)
        }
        return {name: texts for name, texts in found.items() if texts}


def _embedded(feature: Feature) -> bool:
    return isinstance(feature, CategoryFeature) and feature.dimension > 0


def _useless(summary: Summary) -> str | None:
    if summary.missing == summary.rows:
        return "it has no values"
    return "it has one value only" if summary.constant else None


def with_known_target(table: Table, target: str) -> Table:
    """The table without the rows that lack the target."""
    missing = table.column(target).missing
    return table.take(~missing) if missing.any() else table


def identifiers(table: Table, keep: Iterable[str] = ()) -> dict[str, str]:
    """The columns that only name the rows, with the reason: texts that all differ, and running numbers.

    A running number is one if its name says so, or if it is the first of three columns or more and starts at 0 or 1.

    >>> cells = [[str(i), f"n{i}", str(i % 3)] for i in range(1, 31)]
    >>> identifiers(Table.from_cells("t", ["row", "name", "x"], cells))
    {'row': 'it counts the rows', 'name': 'its values all differ'}
    """
    if table.rows < LEAST_ROWS:
        return {}
    kept = set(keep)
    several = len(table.columns) > 2
    reasons = {
        c.name: _naming(c, first=i == 0 and several)
        for i, c in enumerate(table.columns)
        if c.name not in kept
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _naming(column: Column, first: bool) -> str | None:
    if column.kind == "category":
        known = column.values[~column.missing]
        if len(known) < LEAST_ROWS or len(np.unique(known)) < len(known):
            return None
        return "its values all differ" + (f"; {column.note}" if column.note else "")
    if column.kind != "numeric" or column.missing.any() or not (np.diff(column.values) == 1).all():
        return None
    named = IDENTIFIER.search(column.name) is not None
    return "it counts the rows" if named or (first and column.values[0] in (0, 1)) else None
