"""Reading tables: CSV files in any dialect, Parquet, NumPy's .npz, DataFrames of any library, arrays.

A file gives its rows in parts (`TableFile.tables`), so that one larger than memory can be read; `read_table` takes all.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from chainrule.data.cells import Cells, ListedCells
from chainrule.data.csv_parts import UnevenLinesError, csv_parts
from chainrule.data.dialect import Dialect, dialect_of
from chainrule.data.frames import frame_columns, has_polars, parquet_batches
from chainrule.data.table import Column, Form, Table, checked_names, nearest, number_column, text_column
from chainrule.errors import DataError

LARGE = 8 << 20
"""Bytes from which a CSV file is worth the time that polars takes to start."""

EVERYTHING = 1 << 60

STANDARD_INPUT = "-"

NOT_READ = {
    "is a spreadsheet: save its sheet as CSV": (".xlsx", ".xls", ".xlsm", ".ods", ".numbers"),
    "is compressed: unpack it first": (".gz", ".zip", ".bz2", ".xz", ".zst", ".7z"),
    "is no table of text: save it as CSV or Parquet": (
        ".json",
        ".feather",
        ".arrow",
        ".pkl",
        ".pickle",
        ".db",
    ),
}
"""What to do with files of other kinds, by the endings of their names."""


class TableFile(Protocol):
    """A file of rows, read in parts."""

    path: Path
    name: str
    how: str
    names: list[str]

    def tables(
        self,
        rows: int = EVERYTHING,
        forms: Mapping[str, Form] | None = None,
        skip: Collection[str] = (),
        start: int = 0,
    ) -> Iterator[Table]:
        """The file in tables of `rows` rows, from the row `start` on.

        The form of a column that is not in `forms` is inferred, in each table; columns in `skip` are left out.
        """


def table_file(path: str | Path, header: bool | None = None) -> TableFile:
    """The file at a path, opened as far as its columns' names: .parquet, .npz, or text in any dialect.

    `header` says whether the first line of text has the columns' names; None finds it out.

    Raises:
        DataError: it cannot be read, or is no such file.
    """
    text = str(path)
    if "://" in text:
        raise DataError(
            f"{text} is an address: download it first (curl -LO {text}), then give the file's path"
        )
    path = Path(path)
    _require_file(path)
    reads = FORMATS.get(path.suffix.lower())
    if reads is None:
        return CsvFile(path, dialect_of(path, header))
    if header is False:
        raise DataError(f"{path} names its columns itself: only a file of text can have no header")
    return reads(path)


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} cannot be read: Is a directory; give the path of a file in it")
    if str(path) == STANDARD_INPUT or path.is_fifo():
        raise DataError(
            f"{path} is no file but a stream, which can be read only once: save it first (… > table.csv), and give that"
        )
    for advice, endings in NOT_READ.items():
        if path.suffix.lower() in endings and path.exists():
            raise DataError(f"{path} {advice}, and give that file")


def read_table(
    path: str | Path,
    name: str | None = None,
    forms: Mapping[str, Form] | None = None,
    skip: Collection[str] = (),
    header: bool | None = None,
) -> Table:
    r"""A whole file as a table; the form of a column that is not in `forms` is inferred, those in `skip` left out.

    `header` as in `table_file`.

    Raises:
        DataError: the file cannot be read as a table; the message names file, line, column and cell.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cats.csv"
    ...     _ = path.write_text("age;colour\n3,5;grey\n;black\n")
    ...     table = read_table(path)
    >>> table.how, table.column("age").values
    ("separated by ';', decimal comma", array([3.5, nan]))
    """
    return read_file(table_file(path, header), name, forms, skip)


def read_file(
    file: TableFile,
    name: str | None = None,
    forms: Mapping[str, Form] | None = None,
    skip: Collection[str] = (),
) -> Table:
    """All of an opened file as a table, as `read_table`."""
    require_columns(file, [*(forms or {}), *skip])
    table = next(file.tables(EVERYTHING, forms, skip), None)
    if table is None:
        raise DataError(f"{file.path} has a header, but no rows of data")
    return Table(name or table.name, table.columns, table.how)


def require_columns(file: TableFile, names: Iterable[str]) -> None:
    """Refuse names of columns that a file does not have.

    Raises:
        DataError: the message names the first of them, the nearest, and all that there are.
    """
    for name in names:
        if name not in file.names:
            raise DataError(
                f"{file.name} has no column {name!r}{nearest(name, file.names)}{_without_header(file)}"
            )


def _without_header(file: TableFile) -> str:
    """What to do where a header was not found out to be one."""
    missed = isinstance(file, CsvFile) and not file.dialect.header and not file.dialect.header_told
    return "; its first line was taken for data, and --header yes takes it for the names" if missed else ""


def table_of(data: Any, name: str = "table") -> Table:
    """A table of a path, a DataFrame of any library (through narwhals), or a dict of arrays by column name.

    Text stays text, except dates; numbers in text are read as numbers only from files.

    Raises:
        DataError: something else, or columns of different length.

    >>> table_of({"size": np.array([1.5, np.nan]), "kind": ["a", "b"], "sold": [True, False]}).names
    ['size', 'kind', 'sold']
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, str | Path):
        return read_table(data)
    if not isinstance(data, Mapping):
        return Table(name, frame_columns(data))
    columns = tuple(_column_of(str(key), np.asarray(values)) for key, values in data.items())
    lengths = {column.name: len(column.values) for column in columns}
    if not columns or len(set(lengths.values())) != 1 or not columns[0].values.size:
        raise DataError(
            f"the columns of a table need one and the same number of values, at least one: {lengths}"
        )
    return Table(name, columns)


def _column_of(name: str, values: np.ndarray[Any, Any]) -> Column:
    if values.ndim != 1:
        raise DataError(f"column {name} has shape {values.shape}: a column needs one axis")
    if values.dtype.kind == "M":
        return Column(name, "date", values.astype("datetime64[s]"), ("year-month-day",))
    if values.dtype.kind == "b":
        return Column(name, "boolean", values.astype(np.float64), ("False", "True"))
    if values.dtype.kind in "iuf":
        return number_column(name, values)
    if values.dtype.kind in "UO":
        return text_column(name, values.tolist())
    raise DataError(f"column {name} is of type {values.dtype}: give numbers, text, dates or booleans")


class CsvFile:
    """A text file of cells."""

    def __init__(self, path: Path, dialect: Dialect | None = None) -> None:
        self.path, self.name = path, path.stem
        self.dialect = dialect or dialect_of(path)
        self.how = str(self.dialect)
        first = next(_lines(path, self.dialect), None)
        if first is None:
            raise DataError(f"{path} is empty: a header with the columns' names is needed")
        cells = first[1]
        named = cells if self.dialect.header else [f"column {i}" for i in range(1, len(cells) + 1)]
        self.names = checked_names(str(path), named)

    def tables(
        self,
        rows: int = EVERYTHING,
        forms: Mapping[str, Form] | None = None,
        skip: Collection[str] = (),
        start: int = 0,
    ) -> Iterator[Table]:
        """The file in tables of `rows` rows, from the row `start` on."""
        forms = forms or {}
        for columns in self._parts(rows, forms, skip, start):

            def place(row: int, start: int = start) -> str:
                return f"line {self.line_of(start + row)}"

            try:
                found = tuple(Column.from_cells(n, c, forms.get(n), place) for n, c in columns.items())
            except DataError as error:
                raise DataError(f"{self.path}: {error}") from None
            yield Table(self.name, found, self.how)
            start += len(next(iter(columns.values()), ()))

    def _parts(
        self, rows: int, forms: Mapping[str, Form], skip: Collection[str], start: int
    ) -> Iterator[Mapping[str, Cells]]:
        wanted = [name for name in self.names if name not in skip]
        if self._for_polars:
            numeric = [i for i, n in enumerate(self.names) if n in forms and forms[n].kind == "numeric"]
            try:
                for cells in csv_parts(self.path, self.dialect, len(self.names), rows, numeric, start):
                    yield {name: cells[self.names.index(name)] for name in wanted}
                    start += rows
                return
            except UnevenLinesError:
                pass
        lines = islice(self._rows(), start, None)
        while part := [cells for _, cells in islice(lines, rows if rows < EVERYTHING else None)]:
            columns = dict(zip(self.names, zip(*part, strict=True), strict=True))
            yield {name: ListedCells(columns[name], self.dialect.decimal_comma) for name in wanted}

    @cached_property
    def _for_polars(self) -> bool:
        large = self.path.stat().st_size >= LARGE and self.dialect.encoding == "utf-8-sig"
        return large and has_polars() and len(self.names) > 1

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of each row, all of the same length."""
        for position, (line, cells) in enumerate(_lines(self.path, self.dialect)):
            if len(cells) != len(self.names):
                has = (
                    f"the header has {len(self.names)}"
                    if self.dialect.header
                    else f"others have {len(self.names)}"
                )
                raise DataError(
                    f"{self.path}, line {line}: {len(cells)} cell{'s'[: len(cells) != 1]}, but {has}"
                )
            if position or not self.dialect.header:
                yield line, cells

    def line_of(self, row: int) -> int:
        """The line in which a row ends; counted again, because only a message needs it."""
        return next(islice(self._rows(), row, None))[0]


def _lines(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is not blank, with its number."""
    try:
        with path.open(encoding=dialect.encoding, newline="") as file:
            reader, last = csv.reader(file, strict=True, delimiter=dialect.delimiter), 0
            try:
                for cells in reader:
                    last = reader.line_num
                    if cells:
                        yield last, cells
            except csv.Error as error:
                raise DataError(f"{path}, {_malformed(str(error), last + 1, reader.line_num)}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _malformed(problem: str, first: int, last: int) -> str:
    """What is wrong with a row that begins and ends in these lines, where Python's csv module met a problem."""
    if problem.startswith("unexpected end"):
        return f"line {first}: a cell begins with a quotation mark, and no other ends it"
    if problem.startswith("field larger"):
        return f"line {first}: a cell has more than {csv.field_size_limit():,} characters: is a quotation mark missing?"
    if problem.endswith("expected after '\"'"):
        return f"line {last}: text follows a quotation mark that ends a cell; one inside of a cell is written twice"
    return f"line {last}: {problem}"


class ParquetFile:
    """A Parquet file, read by polars."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.how = path, path.stem, ""
        self.names = checked_names(str(path), [column.name for column in next(self._parts(1)).columns])

    def tables(
        self,
        rows: int = EVERYTHING,
        forms: Mapping[str, Form] | None = None,
        skip: Collection[str] = (),
        start: int = 0,
    ) -> Iterator[Table]:
        """The file in tables of `rows` rows, from the row `start` on."""
        return (_in_forms(part, forms or {}, skip) for part in self._parts(rows, start))

    def _parts(self, rows: int, start: int = 0) -> Iterator[Table]:
        try:
            for columns in parquet_batches(self.path, rows, start):
                yield Table(self.name, columns)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from None


class ArrayFile:
    """NumPy's .npz: a matrix ``X`` and targets ``y``, or an array for each column."""

    how = ""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        except (
            OSError,
            ValueError,
            TypeError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
            NotImplementedError,
        ) as error:
            raise DataError(f"{path} is no .npz file of plain arrays: {error}") from error
        try:
            self._table = table_of(_matrix_as_columns(found), self.name)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        self.names = self._table.names

    def tables(
        self,
        rows: int = EVERYTHING,
        forms: Mapping[str, Form] | None = None,
        skip: Collection[str] = (),
        start: int = 0,
    ) -> Iterator[Table]:
        """The file in tables of `rows` rows, from the row `start` on."""
        whole = _in_forms(self._table, forms or {}, skip)
        step = min(rows, self._table.rows)
        for first in range(start, self._table.rows, step):
            yield whole.take(np.arange(first, min(first + step, self._table.rows)))


def _in_forms(table: Table, forms: Mapping[str, Form], skip: Collection[str]) -> Table:
    kept = table.without(*skip).columns
    return Table(table.name, tuple(in_form(column, forms.get(column.name)) for column in kept))


def _matrix_as_columns(arrays: dict[str, Any]) -> dict[str, Any]:
    matrix = arrays.get("X")
    if matrix is None or matrix.ndim != 2:
        return arrays
    inputs = {f"x{i}": matrix[:, i - 1] for i in range(1, matrix.shape[1] + 1)}
    return inputs | {name: values.reshape(-1) for name, values in arrays.items() if name != "X"}


FORMATS: Mapping[str, Callable[[Path], TableFile]] = {
    ".parquet": ParquetFile,
    ".pq": ParquetFile,
    ".npz": ArrayFile,
}
"""What reads a file, by the ending of its name; anything else is text."""


def in_form(column: Column, form: Form | None) -> Column:
    """A column of typed values in another form: numbers as text, text as numbers or dates.

    >>> in_form(Column("zip", "numeric", np.array([7.0])), Form("category")).values
    array(['7'], dtype='<U1')
    """
    if form is None or column.kind == form.kind:
        return column
    return Column.from_cells(column.name, list(map(str, column.as_category().values)), form)
