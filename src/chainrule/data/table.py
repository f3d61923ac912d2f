"""Table: named columns of numbers, categories, yes and no, or dates, with missing values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.data.cells import (
    Cells,
    Distinct,
    ListedCells,
    Numbers,
    date_orders,
    date_text,
    dates,
    words_of,
)
from chainrule.errors import DataError
from chainrule.suggestions import did_you_mean

Kind = Literal["numeric", "category", "boolean", "date"]
Place = Callable[[int], str]

FEW, LEAST = 0.05, 10
"""A column of at least `LEAST` numbers, of which all but 5 % (or three) are numbers, is one with mistakes in it."""

LARGEST = 1e100
"""Numbers beyond are refused: deviations and losses are sums of squares."""


@dataclass(frozen=True)
class Form:
    """How the cells of a column are to be read.

    Attributes:
        detail: the words for no and yes of a boolean column; the order of a date.
        lenient: cells that do not fit count as missing, and are no error.
    """

    kind: Kind
    detail: tuple[str, ...] = ()
    lenient: bool = False


@dataclass(frozen=True, eq=False)
class Column:
    """A named column.

    Attributes:
        kind: what the values are.
        values: shape (rows,): float64 with NaN where a value is missing, for ``"boolean"`` 0 and 1; strings with
            ``""`` where one is missing; for ``"date"`` datetime64[s] with NaT.
        detail: as in `Form`.
        note: what had to be decided about its cells.
        coded: of texts, where they are known: the different ones, and the number of each row's.
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    detail: tuple[str, ...] = ()
    note: str = ""
    coded: Distinct | None = field(default=None, repr=False)

    @classmethod
    def of_texts(cls, name: str, coded: Distinct, note: str = "") -> Self:
        """A column of categories, from the different texts and the number of each row's."""
        texts, places = coded
        return cls(name, "category", texts[places], note=note, coded=coded)

    @classmethod
    def from_cells(
        cls, name: str, cells: Sequence[str] | Cells, form: Form | None = None, place: Place | None = None
    ) -> Column:
        """A column of text cells, read in a form, or in the one that fits.

        Raises:
            DataError: an infinite number, a cell that does not fit the form, or a column of numbers with a few other
                cells; the message names column, place and cell. `place` tells where a row stands.

        >>> Column.from_cells("age", ["3", "", "4.5"]).values
        array([3. , nan, 4.5])
        >>> Column.from_cells("city", ["Rome", "?"]).values
        array(['Rome', ''], dtype='<U4')
        >>> Column.from_cells("day", ["2024-02-29", ""]).kind
        'date'
        """
        held: Cells = ListedCells(cells) if isinstance(cells, Sequence) else cells
        where = place or (lambda row: f"row {row + 1}")
        if form is None:
            return _inferred(name, held, where)
        return READERS[form.kind](name, held, form, where)

    @property
    def form(self) -> Form:
        """How more cells of this column are read."""
        return Form(self.kind, self.detail)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.values)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where values are missing, shape (rows,)."""
        missing: NDArray[np.bool_]
        if self.kind == "category":
            missing = self.values == ""
        else:
            missing = np.isnat(self.values) if self.kind == "date" else np.isnan(self.values)
        return missing

    def take(self, rows: ArrayLike) -> Column:
        """The column of the given rows: indices or a mask."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        coded = None if self.coded is None else (self.coded[0], self.coded[1].take(chosen))
        return Column(self.name, self.kind, self.values.take(chosen), self.detail, self.note, coded)

    @property
    def distinct(self) -> Distinct:
        """Different values, and for each row the number of its own; of coded texts, some may be of no row."""
        return np.unique(self.values, return_inverse=True) if self.coded is None else self.coded

    def as_category(self) -> Column:
        """The same values as text.

        >>> Column("label", "numeric", np.array([0.0, 1.0])).as_category().values
        array(['0', '1'], dtype='<U1')
        """
        if self.kind == "category":
            return self
        distinct, places = self.distinct
        return Column.of_texts(
            self.name, (np.array([self._text(value) for value in distinct], dtype=str), places)
        )

    def _text(self, value: Any) -> str:
        if self.kind == "date":
            return "" if np.isnat(value) else date_text(value, self.detail[0])
        if math.isnan(value):
            return ""
        return self.detail[int(value)] if self.kind == "boolean" else f"{value:.15g}"

    def categories(self) -> list[str]:
        """The distinct values, sorted (numbers by size), without the missing."""
        distinct = np.unique(self.values[~self.missing])
        return [str(value) if self.kind == "category" else self._text(value) for value in distinct]


def _inferred(name: str, cells: Cells, place: Place) -> Column:
    numbers = cells.numbers()
    if not numbers.other.any() and not np.isnan(numbers.values).all():
        return _numeric(name, cells, Form("numeric"), place, numbers)
    _refuse_a_few(name, cells, numbers, place)
    texts, places = cells.distinct()
    words = words_of(texts)
    if words:
        return _boolean(name, cells, Form("boolean", words), place)
    orders = date_orders(texts)
    if len(orders) == 1:
        return Column(name, "date", dates(texts, orders[0])[places], (orders[0],))
    note = (
        f"dates that could be {' or '.join(orders)}: taken as text; write them as 2024-12-31"
        if orders
        else ""
    )
    return Column.of_texts(name, (texts, places), note)


def _numeric(name: str, cells: Cells, form: Form, place: Place, numbers: Numbers | None = None) -> Column:
    values, other = numbers or cells.numbers()
    if other.any() and not form.lenient:
        raise DataError(
            f"column {name} should be numbers, but {_shown(cells, other, place)}; in training, --category {name} takes "
            f"the column as text, and --numeric {name} such cells as missing"
        )
    row = _beyond(values)
    if row is not None:
        raise DataError(f"column {name}, {place(row)}: {cells.at(row)!r} {_why_beyond(values[row])}")
    note = f"cells that are no numbers, taken as missing: {int(other.sum())}" if other.any() else ""
    return Column(name, "numeric", values, note=note)


def _beyond(values: NDArray[Any]) -> int | None:
    """The first row whose number cannot be computed with."""
    rows = np.flatnonzero(np.abs(values) > LARGEST)
    return int(rows[0]) if rows.size else None


def _why_beyond(value: float) -> str:
    if math.isinf(value):
        return "is not a finite number"
    return f"is beyond {LARGEST:g}, where its square is too large for a number: divide the column"


def _refuse_a_few(name: str, cells: Cells, numbers: Numbers, place: Place) -> None:
    known, others = int((~np.isnan(numbers.values)).sum()), int(numbers.other.sum())
    if known >= max(LEAST, 5 * others) and 0 < others <= max(3, FEW * known):
        raise DataError(
            f"column {name} is {known} numbers and {others} other {'cell' if others == 1 else 'cells'}, "
            f"{_shown(cells, numbers.other, place)}: mend "
            f"{'it' if others == 1 else 'them'}, or take the column as text with --category {name}, or what is no "
            f"number as missing with --numeric {name}"
        )


def _shown(cells: Cells, chosen: NDArray[np.bool_], place: Place) -> str:
    rows = np.flatnonzero(chosen)
    first = ", ".join(f"{place(int(row))}: {cells.at(int(row))[:40]!r}" for row in rows[:3])
    return first + (" …" if len(rows) > 3 else "")


def _category(name: str, cells: Cells, form: Form, place: Place) -> Column:
    return Column.of_texts(name, cells.distinct())


def _boolean(name: str, cells: Cells, form: Form, place: Place) -> Column:
    texts, places = cells.distinct()
    low, high = form.detail
    wrong = ((texts != low) & (texts != high) & (texts != ""))[places]
    if wrong.any() and not form.lenient:
        raise DataError(f"column {name} should be {low} or {high}, but {_shown(cells, wrong, place)}")
    values = np.where(texts == high, 1.0, np.where(texts == low, 0.0, np.nan))
    return Column(name, "boolean", values[places], form.detail)


def _date(name: str, cells: Cells, form: Form, place: Place) -> Column:
    texts, places = cells.distinct()
    order = form.detail[0] if form.detail else _the_order(name, texts)
    values = dates(texts, order)
    wrong = (np.isnat(values) & (texts != ""))[places]
    if wrong.any() and not form.lenient:
        raise DataError(f"column {name} should be dates ({order}), but {_shown(cells, wrong, place)}")
    return Column(name, "date", values[places], (order,))


def _the_order(name: str, texts: NDArray[Any]) -> str:
    orders = date_orders(texts)
    if len(orders) == 1:
        return orders[0]
    problem = f"could be {' or '.join(orders)}" if orders else "are no dates in one of the usual orders"
    raise DataError(f"column {name}: its cells {problem}; write them as 2024-12-31")


READERS: dict[Kind, Callable[[str, Cells, Form, Place], Column]] = {
    "numeric": _numeric,
    "category": _category,
    "boolean": _boolean,
    "date": _date,
}


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of equal length.

    `how` says how its file was read, where that is not the usual way.

    >>> table = Table.from_cells("cats", ["age", "colour"], [["3", "grey"], ["", "black"]])
    >>> table.rows, table.names
    (2, ['age', 'colour'])
    >>> table.column("age").kind, int(table.column("age").missing.sum())
    ('numeric', 1)
    """

    name: str
    columns: tuple[Column, ...]
    how: str = ""

    @classmethod
    def from_cells(
        cls,
        name: str,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        forms: Mapping[str, Form] | None = None,
    ) -> Self:
        """A table of text cells; the form of a column that is not in `forms` is inferred.

        Raises:
            DataError: no rows, no or repeated column names, rows of different length, or cells that cannot be read.
        """
        names = checked_names(name, header)
        if not rows:
            raise DataError(f"{name} has a header, but no rows of data")
        for number, row in enumerate(rows, start=1):
            if len(row) != len(names):
                raise DataError(f"{name}, row {number}: {len(row)} cells, but the header has {len(names)}")
        cells = zip(*rows, strict=True)
        forms = forms or {}
        return cls(
            name, tuple(Column.from_cells(n, c, forms.get(n)) for n, c in zip(names, cells, strict=True))
        )

    @classmethod
    def joined(cls, tables: Sequence[Table]) -> Self:
        """The rows of several tables of the same columns, one after the other."""
        first = tables[0]
        columns = [
            Column(
                c.name,
                c.kind,
                np.concatenate([table.column(c.name).values for table in tables]),
                c.detail,
                c.note,
            )
            for c in first.columns
        ]
        return cls(first.name, tuple(columns), first.how)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.columns[0].rows if self.columns else 0

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
        raise DataError(f"{self.name} has no column {name!r}{nearest(name, self.names)}")

    def without(self, *names: str) -> Table:
        """The table without those columns."""
        return Table(
            self.name, tuple(column for column in self.columns if column.name not in names), self.how
        )

    def take(self, rows: ArrayLike) -> Table:
        """The table of the given rows: indices or a mask."""
        # Indices of a few rows are quicker than a mask for each column.
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return Table(self.name, tuple(column.take(chosen) for column in self.columns), self.how)


def number_column(name: str, values: NDArray[Any]) -> Column:
    """Numbers, NaN where one is missing, as a column.

    Raises:
        DataError: an infinite number, or one beyond `LARGEST`.
    """
    values = values.astype(np.float64)
    row = _beyond(values)
    if row is not None:
        raise DataError(f"column {name}, row {row + 1}: {values[row]} {_why_beyond(values[row])}")
    return Column(name, "numeric", values)


def text_column(name: str, values: Sequence[Any]) -> Column:
    """Texts, None or NaN where one is missing, as a column: of dates if all are, else of text.

    >>> text_column("zip", ["007", None]).values
    array(['007', ''], dtype='<U3')
    """
    cells = ListedCells(["" if value is None or value != value else str(value) for value in values])
    texts, places = cells.distinct()
    orders = date_orders(texts)
    if len(orders) == 1:
        return Column(name, "date", dates(texts, orders[0])[places], (orders[0],))
    return Column.of_texts(name, (texts, places))


def nearest(name: str, names: Sequence[str]) -> str:
    """The end of a message about an unknown column or none: the nearest, and all, or the first twenty."""
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{did_you_mean(name, names) if name else ''}: its columns are {shown}"


def checked_names(table: str, header: Sequence[str]) -> list[str]:
    """The names of a header; a first column without one, as pandas writes its index, becomes ``unnamed``.

    Raises:
        DataError: no name, or one twice.
    """
    names = [cell.strip() for cell in header]
    if not names:
        raise DataError(f"{table} is empty: a header with the columns' names is needed")
    if not names[0] and len(names) > 1 and "unnamed" not in names:
        names[0] = "unnamed"
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{table}: column {position} of the header has no name")
        if name in seen:
            raise DataError(f"{table}: the header names {name!r} twice; every column needs its own name")
        seen.add(name)
    return names
