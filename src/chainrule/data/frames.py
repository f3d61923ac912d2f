"""DataFrames as columns, and polars for files that are large or Parquet. Neither library is needed for a CSV file."""

from __future__ import annotations

import importlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.cells import MISSING, Numbers
from chainrule.data.dialect import BLOCK, Dialect
from chainrule.data.table import Column, number_column, text_column
from chainrule.errors import DataError

BATCH = 50_000
"""Rows of a Parquet file that polars hands over at a time; how parts are cut does not depend on it."""

READ = 1 << 23
"""Bytes of a CSV file that polars parses at a time."""


def _library(name: str, purpose: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(f'{purpose} needs {name}: pip install "chainrule[tables]"') from error


# text -----------------------------------------------------------------------------------------------------------


class FrameCells:
    """A column of text in a polars Series."""

    def __init__(self, series: Any, float_type: Any, decimal_comma: bool = False) -> None:
        self._series, self._float_type, self._decimal_comma = series, float_type, decimal_comma

    def __len__(self) -> int:
        return len(self._series)

    def numbers(self) -> Numbers:
        """The cells as numbers."""
        series = self._series
        if not self._decimal_comma:
            plain = series.cast(self._float_type, strict=False)
            if not plain.null_count() and not plain.is_nan().any():
                return Numbers(plain.to_numpy(), np.zeros(len(plain), bool))
        stripped = series.str.strip_chars()
        missing = stripped.str.to_lowercase().is_in(sorted(MISSING))
        wrong = stripped.str.contains(r"[_.]" if self._decimal_comma else "_")
        texts = stripped.str.replace(",", ".", literal=True) if self._decimal_comma else stripped
        found = texts.cast(self._float_type, strict=False)
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


def csv_batches(path: Path, dialect: Dialect, rows: int) -> Iterator[Sequence[FrameCells]]:
    """The columns of a file for which `is_even`, `rows` rows at a time."""
    polars = _library("polars", "this")
    frames = (
        polars.read_csv(
            block,
            separator=dialect.delimiter,
            has_header=False,
            quote_char=None,
            infer_schema=False,
            empty_string_is_null=False,
        )
        for block in _whole_lines(path, dialect)
    )
    for part in _recut(polars, frames, rows, str(path)):
        yield [FrameCells(series, polars.Float64, dialect.decimal_comma) for series in part.get_columns()]


def _whole_lines(path: Path, dialect: Dialect) -> Iterator[bytes]:
    """The file below the header in blocks that end with a line: polars would map all of it into memory."""
    rest = b""
    with path.open("rb") as file:
        file.seek(len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0)
        if dialect.header:
            file.readline()
        while block := file.read(READ):
            lines, _, rest = (rest + block).rpartition(b"\n")
            if lines:
                yield lines
    if rest:
        yield rest


def has_polars() -> bool:
    """Whether polars is installed; importing it takes too long to ask that way."""
    return find_spec("polars") is not None


def is_even(path: Path, dialect: Dialect, width: int) -> bool:
    """Whether every line has as many cells as the header, none is blank, and none has a quote.

    Only such a file is left to polars, which fills short lines silently; the plain reader says which line it is.
    """
    delimiter, rest = ord(dialect.delimiter), b""
    with path.open("rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            head, newline, tail = (rest + block).rpartition(b"\n")
            lone = b"\r" in block and b"\r" in block.replace(b"\r\n", b"")
            if lone or b'"' in block or not _lines_are_even(head + newline, delimiter, width):
                return False
            rest = tail
    return width > 1 and (not rest or _lines_are_even(rest + b"\n", delimiter, width))


def _lines_are_even(content: bytes, delimiter: int, width: int) -> bool:
    letters = np.frombuffer(content, np.uint8)
    marks = letters[(letters == delimiter) | (letters == ord("\n"))]
    if len(marks) % width:
        return False
    lines = marks.reshape(-1, width)
    return bool((lines[:, -1] == ord("\n")).all() and (lines[:, :-1] == delimiter).all())


def _recut(polars: Any, frames: Iterable[Any], rows: int, name: str) -> Iterator[Any]:
    """The frames in parts of exactly `rows` rows, so that a seed means the same on every machine."""
    waiting: list[Any] = []
    try:
        for batch in frames:
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
    batches = polars.scan_parquet(path).collect_batches(chunk_size=min(rows, BATCH), maintain_order=True)
    for part in _recut(polars, batches, rows, str(path)):
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
