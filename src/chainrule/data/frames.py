"""DataFrames as columns, and polars for files that are large or Parquet. Neither library is needed for a CSV file."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.cells import MISSING, Numbers
from chainrule.data.dialect import BLOCK, Dialect
from chainrule.data.table import Column, number_column, text_column
from chainrule.errors import DataError

BATCH = 50_000
"""Rows that polars hands over at a time; how parts are cut does not depend on it."""


def _library(name: str, purpose: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(f'{purpose} needs {name}: pip install "chainrule[tables]"') from error


# text -----------------------------------------------------------------------------------------------------------


class FrameCells:
    """A column of text in a polars Series."""

    def __init__(self, series: Any, decimal_comma: bool = False) -> None:
        self._series, self._decimal_comma = series, decimal_comma

    def __len__(self) -> int:
        return len(self._series)

    def numbers(self) -> Numbers:
        """The cells as numbers."""
        series = self._series
        if not self._decimal_comma:
            plain = _as_floats(series)
            if not plain.null_count() and not plain.is_nan().any():
                return Numbers(plain.to_numpy(), np.zeros(len(plain), bool))
        stripped = series.str.strip_chars()
        missing = stripped.str.to_lowercase().is_in(sorted(MISSING))
        wrong = stripped.str.contains(r"[_.]" if self._decimal_comma else "_")
        texts = stripped.str.replace(",", ".", literal=True) if self._decimal_comma else stripped
        found = _as_floats(texts)
        unread = found.is_null() | wrong
        values = np.where((missing | unread).to_numpy(), np.nan, found.fill_null(0.0).to_numpy())
        return Numbers(values, (unread & ~missing).to_numpy())

    def texts(self) -> NDArray[Any]:
        """The cells without spaces around them; ``""`` where a value is missing."""
        found = np.asarray(self._series.str.strip_chars().to_list(), dtype=str)
        distinct, places = np.unique(found, return_inverse=True)
        return np.array(["" if text.lower() in MISSING else text for text in distinct], dtype=str)[places]

    def at(self, row: int) -> str:
        """One cell as it is."""
        return str(self._series[row])


def _as_floats(series: Any) -> Any:
    return series.cast(_library("polars", "this").Float64, strict=False)


def csv_batches(path: Path, dialect: Dialect, width: int, rows: int) -> Iterator[Sequence[FrameCells]] | None:
    """A UTF-8 file's columns, `rows` rows at a time; None where the plain reader is needed.

    That is where polars is not installed, and where a line has another number of cells: polars would fill short
    lines silently, and the plain reader says which line it is.
    """
    try:
        polars = _library("polars", "this")
    except DataError:
        return None
    if not _even(path, dialect, width):
        return None
    scan = polars.scan_csv(
        path,
        separator=dialect.delimiter,
        has_header=False,
        skip_rows=int(dialect.header),
        infer_schema=False,
        empty_string_is_null=False,
    )
    return (
        [FrameCells(series, dialect.decimal_comma) for series in part.get_columns()]
        for part in _recut(polars, scan, rows, str(path))
    )


def _even(path: Path, dialect: Dialect, width: int) -> bool:
    """Whether every line has as many delimiters as the header, and there is no quote, in which they do not count."""
    delimiter, rest = ord(dialect.delimiter), b""
    with path.open("rb") as file:
        for block in chain(iter(lambda: file.read(BLOCK), b""), (b"\n",)):
            head, newline, tail = (rest + block).rpartition(b"\n")
            if b'"' in block or b"\r" in block.replace(b"\r\n", b""):
                return False
            rest = tail
            if newline and not _lines_are_even(np.frombuffer(head + newline, np.uint8), delimiter, width):
                return False
    return True


def _lines_are_even(content: NDArray[np.uint8], delimiter: int, width: int) -> bool:
    ends = np.flatnonzero(content == 10)
    delimiters = np.cumsum(content == delimiter)[ends]
    counts = np.diff(delimiters, prepend=0)
    # The one blank line that may come is the end that the last line already had.
    filled = np.diff(ends, prepend=-1) > 1
    return bool(np.all(counts[filled] == width - 1) and filled[:-1].all())


def _recut(polars: Any, scan: Any, rows: int, name: str) -> Iterator[Any]:
    """The frame in parts of exactly `rows` rows, so that a seed means the same on every machine."""
    waiting: list[Any] = []
    try:
        for batch in scan.collect_batches(chunk_size=min(rows, BATCH), maintain_order=True):
            waiting.append(batch)
            while sum(part.height for part in waiting) >= rows:
                whole = polars.concat(waiting, rechunk=False)
                yield whole.slice(0, rows)
                waiting = [whole.slice(rows)]
    except (polars.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{name} cannot be read: {str(error).splitlines()[0]}") from error
    rest = [part for part in waiting if part.height]
    if rest:
        yield polars.concat(rest, rechunk=True)


# typed columns ------------------------------------------------------------------------------------------------


def parquet_batches(path: Path, rows: int) -> Iterator[tuple[Column, ...]]:
    """A Parquet file's columns, `rows` rows at a time.

    Raises:
        DataError: polars is not installed, or the file cannot be read.
    """
    polars = _library("polars", "a Parquet file")
    if not path.is_file():
        raise DataError(f"{path} cannot be read: No such file or directory")
    empty = True
    for part in _recut(polars, polars.scan_parquet(path), rows, str(path)):
        empty = False
        yield frame_columns(part)
    if empty:
        raise DataError("it has no rows of data")


def frame_columns(frame: Any) -> tuple[Column, ...]:
    """The columns of a DataFrame of any library that narwhals knows.

    Raises:
        DataError: it is none, or has no rows.
    """
    narwhals = _library("narwhals", "a DataFrame")
    try:
        known = narwhals.from_native(frame, eager_only=True)
    except TypeError as error:
        raise DataError(
            f"{type(frame).__name__} is no table: give a path, a DataFrame, or a dict of arrays by column name"
        ) from error
    if not known.shape[0] or not known.shape[1]:
        raise DataError(f"a DataFrame of shape {known.shape} has no rows or no columns")
    return tuple(_frame_column(narwhals, str(name), known[name]) for name in known.columns)


def _frame_column(narwhals: Any, name: str, series: Any) -> Column:
    kind = series.dtype
    if kind == narwhals.Boolean:
        values = series.cast(narwhals.Float64).to_numpy().astype(np.float64)
        return Column(name, "boolean", values, ("False", "True"))
    if kind.is_numeric():
        return number_column(name, series.cast(narwhals.Float64).to_numpy())
    if kind in (narwhals.Date, narwhals.Datetime):
        return Column(name, "date", series.to_numpy().astype("datetime64[s]"), ("year-month-day",))
    return text_column(name, series.to_list())
