"""Table: named columns of numbers or categories, with missing values."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.data.suggestions import did_you_mean
from chainrule.errors import DataError

Kind = Literal["numeric", "category"]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What a cell of a missing value contains, in lower case."""


@dataclass(frozen=True, eq=False)
class Column:
    """A named column.

    Attributes:
        kind: ``"numeric"`` or ``"category"``.
        values: float64 with NaN where a value is missing, or strings with ``""`` where one is.
    """

    name: str
    kind: Kind
    values: NDArray[Any]

    @classmethod
    def from_cells(cls, name: str, cells: Sequence[str]) -> Self:
        """A column of text cells: numeric if all that are not missing are numbers.

        Raises:
            DataError: an infinite number; the message names its row, counted from 1.

        >>> Column.from_cells("age", ["3", "", "4.5"]).values
        array([3. , nan, 4.5])
        >>> Column.from_cells("city", ["Rome", "?"]).values
        array(['Rome', ''], dtype='<U4')
        """
        numbers = [parse_number(cell) for cell in cells]
        if any(number is None for number in numbers) or all(is_missing(cell) for cell in cells):
            stripped = ["" if is_missing(cell) else cell.strip() for cell in cells]
            return cls(name, "category", np.array(stripped, dtype=str))
        values = np.array(numbers, dtype=np.float64)
        infinite = np.flatnonzero(np.isinf(values))
        if infinite.size:
            row = int(infinite[0])
            raise DataError(f"column {name}, row {row + 1}: {cells[row]!r} is not a finite number")
        return cls(name, "numeric", values)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where values are missing, shape (rows,)."""
        missing: NDArray[np.bool_] = np.isnan(self.values) if self.kind == "numeric" else self.values == ""
        return missing

    def take(self, rows: ArrayLike) -> Column:
        """The column of the given rows: indices or a mask."""
        return Column(self.name, self.kind, self.values[np.asarray(rows)])

    def as_category(self) -> Column:
        """The same values as text.

        >>> Column("label", "numeric", np.array([0.0, 1.0])).as_category().values
        array(['0', '1'], dtype='<U1')
        """
        if self.kind == "category":
            return self
        texts = ["" if math.isnan(value) else f"{value:.15g}" for value in self.values]
        return Column(self.name, "category", np.array(texts, dtype=str))

    def categories(self) -> list[str]:
        """The distinct values in alphabetic order, without the missing."""
        return [str(value) for value in np.unique(self.as_category().values) if value != ""]


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a missing value.

    >>> [is_missing(cell) for cell in ("", " NA ", "0")]
    [True, True, False]
    """
    return cell.strip().lower() in MISSING


def parse_number(cell: str) -> float | None:
    """The number in a cell; NaN where it is missing, None where it is something else.

    >>> parse_number("2.5"), parse_number("NA"), parse_number("two")
    (2.5, nan, None)
    """
    if is_missing(cell):
        return math.nan
    try:
        # Python also reads "1_000", which in a table is rather a name than a number.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of equal length.

    >>> table = Table.from_cells("cats", ["age", "colour"], [["3", "grey"], ["", "black"]])
    >>> table.rows, table.names
    (2, ['age', 'colour'])
    >>> table.column("age").kind, int(table.column("age").missing.sum())
    ('numeric', 1)
    """

    name: str
    columns: tuple[Column, ...]

    @classmethod
    def from_cells(cls, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Self:
        """A table of text cells; each column's kind is inferred.

        Raises:
            DataError: no rows, no or repeated column names, rows of different length, infinite numbers.
        """
        names = _checked_names(name, header)
        if not rows:
            raise DataError(f"{name} has a header, but no rows of data")
        for number, row in enumerate(rows, start=1):
            if len(row) != len(names):
                raise DataError(f"{name}, row {number}: {len(row)} cells, but the header has {len(names)}")
        cells = zip(*rows, strict=True)
        return cls(name, tuple(Column.from_cells(*pair) for pair in zip(names, cells, strict=True)))

    @classmethod
    def from_csv(cls, path: str | Path, name: str | None = None) -> Self:
        """Read a file of comma-separated values in UTF-8; its first line names the columns.

        Raises:
            DataError: the file cannot be read as such a table; the message names it, and the line.
        """
        path = Path(path)
        header, rows = _read_cells(path)
        try:
            return cls.from_cells(name or path.stem, header, rows)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.columns[0].values)

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            DataError: there is none; the message names the nearest, and all.
        """
        for column in self.columns:
            if column.name == name:
                return column
        near = did_you_mean(name, self.names)
        raise DataError(f"{self.name} has no column {name!r}{near}: its columns are {', '.join(self.names)}")

    def without(self, name: str) -> Table:
        """The table without that column."""
        return Table(self.name, tuple(column for column in self.columns if column.name != name))

    def take(self, rows: ArrayLike) -> Table:
        """The table of the given rows: indices or a mask."""
        return Table(self.name, tuple(column.take(rows) for column in self.columns))


def _checked_names(table: str, header: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in header]
    for position, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{table}: column {position} of the header has no name")
        if name in names[: position - 1]:
            raise DataError(f"{table}: the header names {name!r} twice; every column needs its own name")
    if not names:
        raise DataError(f"{table} is empty: a header with the columns' names is needed")
    return names


def _read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _checked_lines(path, csv.reader(file, strict=True))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as a CSV file in UTF-8"
        ) from error


def _checked_lines(path: Path, reader: Any) -> tuple[list[str], list[list[str]]]:
    lines: Iterable[list[str]] = reader
    header: list[str] = []
    rows: list[list[str]] = []
    try:
        for cells in lines:
            if header and cells and len(cells) != len(header):
                counts = f"{len(cells)} cells, but the header has {len(header)}"
                raise DataError(f"{path}, line {reader.line_num}: {counts}")
            if cells:
                rows.append(cells)
            header = header or cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    return header, rows[1:]
