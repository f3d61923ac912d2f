"""From the columns of a table to the arrays that a network takes, and back.

Everything here is fitted on the training part alone: means, scales, categories, classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.data.examples import Examples
from chainrule.data.suggestions import did_you_mean
from chainrule.data.table import Column, Kind, Table, is_missing, parse_number
from chainrule.errors import DataError


@dataclass(frozen=True)
class NumericFeature:
    """A numeric column as one input: standardised, missing values at the mean, which is 0."""

    kind: ClassVar[Kind] = "numeric"
    name: str
    mean: float
    scale: float

    @classmethod
    def fit(cls, column: Column) -> Self:
        """The mean and standard deviation of the column; a constant column is only centred.

        >>> NumericFeature.fit(Column("x", "numeric", np.array([1.0, np.nan, 3.0])))
        NumericFeature(name='x', mean=2.0, scale=1.0)
        """
        known = column.values[~column.missing]
        if not known.size:
            raise DataError(f"column {column.name} has no value in the training part: leave it out")
        return cls(column.name, float(known.mean()), float(known.std()) or 1.0)

    @property
    def width(self) -> int:
        """How many inputs of the network it takes."""
        return 1

    def encode(self, column: Column) -> NDArray[np.float64]:
        """The column standardised, shape (rows, 1)."""
        filled = np.where(column.missing, self.mean, column.values)
        return ((filled - self.mean) / self.scale)[:, None]


@dataclass(frozen=True)
class CategoryFeature:
    """A column of categories as one input each, 1 where the row is of it; missing is a category of its own.

    A category that the training part did not contain gives zeros only.
    """

    kind: ClassVar[Kind] = "category"
    name: str
    categories: tuple[str, ...]

    @classmethod
    def fit(cls, column: Column) -> Self:
        """The column's categories; the last is ``""`` where a value is missing.

        >>> CategoryFeature.fit(Column("sex", "category", np.array(["male", "", "female"])))
        CategoryFeature(name='sex', categories=('female', 'male', ''))
        """
        gap = ("",) if column.missing.any() else ()
        return cls(column.name, (*column.categories(), *gap))

    @property
    def width(self) -> int:
        """How many inputs of the network it takes."""
        return len(self.categories)

    def encode(self, column: Column) -> NDArray[np.float64]:
        """The column one-hot, shape (rows, categories)."""
        values = column.as_category().values
        rows: NDArray[np.bool_] = values[:, None] == np.array(self.categories, dtype=str)
        return rows.astype(np.float64)


Feature = NumericFeature | CategoryFeature


@dataclass(frozen=True)
class ClassTarget:
    """A target of classes, encoded as their numbers."""

    kind: ClassVar[Kind] = "category"
    name: str
    classes: tuple[str, ...]

    @classmethod
    def fit(cls, column: Column) -> Self:
        """The column's classes, in alphabetic order.

        Raises:
            DataError: fewer than two classes.
        """
        classes = tuple(column.categories())
        if len(classes) < 2:
            raise DataError(
                f"target {column.name} has only one class, {classes[0]!r}: there is nothing to tell apart"
            )
        return cls(column.name, classes)

    def encode(self, column: Column) -> NDArray[np.int64]:
        """Each row's class number, shape (rows,).

        Raises:
            DataError: a class that is not known.
        """
        numbers = {name: number for number, name in enumerate(self.classes)}
        encoded = [numbers.get(str(value), -1) for value in column.as_category().values]
        if -1 in encoded:
            unknown = str(column.as_category().values[encoded.index(-1)])
            raise DataError(f"target {self.name}: {unknown!r} is not one of {', '.join(self.classes)}")
        return np.array(encoded, dtype=np.int64)


@dataclass(frozen=True)
class NumericTarget:
    """A numeric target, standardised, so that the same learning rates suit every unit."""

    kind: ClassVar[Kind] = "numeric"
    name: str
    mean: float
    scale: float

    @classmethod
    def fit(cls, column: Column) -> Self:
        """The column's mean and standard deviation.

        Raises:
            DataError: all values are equal.
        """
        mean, scale = float(column.values.mean()), float(column.values.std())
        if not scale > 0:
            raise DataError(f"target {column.name} is {mean:g} in every row: there is nothing to learn")
        return cls(column.name, mean, scale)

    def encode(self, column: Column) -> NDArray[np.float64]:
        """The column standardised, shape (rows, 1)."""
        return ((column.values - self.mean) / self.scale)[:, None]

    def decode(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Standardised values, shape (rows, 1), in the target's own unit, shape (rows,)."""
        return outputs[:, 0] * self.scale + self.mean


Target = ClassTarget | NumericTarget


def fit_feature(column: Column) -> Feature:
    """The encoding of a column of features, fitted on it."""
    return NumericFeature.fit(column) if column.kind == "numeric" else CategoryFeature.fit(column)


def target_kind(column: Column) -> type[ClassTarget] | type[NumericTarget]:
    """What a target means: classes if it is a category, or numbers of which there are at most two.

    >>> target_kind(Column("spam", "numeric", np.array([0.0, 1.0, 1.0]))).__name__
    'ClassTarget'
    """
    few = column.kind == "category" or len(np.unique(column.values)) <= 2
    return ClassTarget if few else NumericTarget


@dataclass(frozen=True)
class Preparation:
    """How each column of a table becomes an input, and what the target is.

    >>> table = Table.from_cells("cats", ["age", "sex", "kind"], [["1", "m", "a"], ["3", "f", "b"]])
    >>> preparation = Preparation.fit(table, ClassTarget.fit(table.column("kind")))
    >>> preparation.inputs
    3
    >>> preparation.features_of(table)
    array([[-1.,  0.,  1.],
           [ 1.,  1.,  0.]])
    """

    features: tuple[Feature, ...]
    target: Target

    @classmethod
    def fit(cls, training: Table, target: Target) -> Self:
        """Fit the encodings of all columns but the target's on the training part.

        Raises:
            DataError: no column is left, or one without any value.
        """
        columns = training.without(target.name).columns
        if not columns:
            raise DataError(f"{training.name} has no column beside the target {target.name}")
        return cls(tuple(fit_feature(column) for column in columns), target)

    @property
    def inputs(self) -> int:
        """How many inputs a network needs."""
        return sum(feature.width for feature in self.features)

    @property
    def names(self) -> list[str]:
        """The columns that a row consists of, in order."""
        return [feature.name for feature in self.features]

    def features_of(self, table: Table) -> NDArray[np.float64]:
        """The inputs of a table's rows, shape (rows, inputs), float64."""
        return np.concatenate(
            [feature.encode(table.column(feature.name)) for feature in self.features], axis=1
        )

    def examples_of(self, table: Table) -> Examples:
        """Features and targets of a table's rows."""
        return Examples(self.features_of(table), self.target.encode(table.column(self.target.name)))

    def table_of(self, rows: Sequence[Sequence[str]]) -> Table:
        """Rows of text cells, in the order of `names`, as a table for `features_of`.

        Raises:
            DataError: a wrong number of cells, no number where one is needed, or an unknown category.
        """
        for row in rows:
            if len(row) != len(self.features):
                raise DataError(
                    f"the row {','.join(row)!r} has {len(row)} values, but the model needs "
                    f"{len(self.features)}: {', '.join(self.names)}"
                )
        columns = zip(*rows, strict=True)
        return Table("rows", tuple(_parsed(*pair) for pair in zip(self.features, columns, strict=True)))


def _parsed(feature: Feature, cells: Sequence[str]) -> Column:
    if isinstance(feature, NumericFeature):
        return Column(feature.name, "numeric", np.array([_number(feature, cell) for cell in cells]))
    return Column(feature.name, "category", np.array([_category(feature, cell) for cell in cells], dtype=str))


def _number(feature: NumericFeature, cell: str) -> float:
    number = parse_number(cell)
    if number is None or np.isinf(number):
        raise DataError(
            f"{feature.name} needs a finite number (or nothing, if it is not known), not {cell!r}"
        )
    return number


def _category(feature: CategoryFeature, cell: str) -> str:
    value = "" if is_missing(cell) else cell.strip()
    if value not in feature.categories:
        known = [category or "nothing (not known)" for category in feature.categories]
        near = did_you_mean(value, feature.categories)
        raise DataError(
            f"{feature.name} was never {value!r} in training{near}: give one of {', '.join(known)}"
        )
    return value
