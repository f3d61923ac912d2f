"""DataFrames of any library, and Parquet files, as columns. No library is needed for a CSV file."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.table import Column, number_column, text_column
from chainrule.errors import DataError

BATCH = 50_000
"""Rows of a Parquet file that polars hands over at a time; how parts are cut does not depend on it."""


def library(name: str, purpose: str) -> Any:
    """A library of the extra `tables`.

    Raises:
        DataError: it is not installed; `purpose` says what for.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(f'{purpose} needs {name}: pip install "chainrule[tables]"') from error


def has_polars() -> bool:
    """Whether polars is installed; importing it takes too long to ask that way."""
    return find_spec("polars") is not None


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


def parquet_batches(path: Path, rows: int, start: int = 0) -> Iterator[tuple[Column, ...]]:
    """A Parquet file's columns, `rows` rows at a time, from the row `start` on.

    Raises:
        DataError: polars is not installed, or the file cannot be read.
    """
    polars = library("polars", "a Parquet file")
    if not path.is_file():
        raise DataError(f"{path} cannot be read: No such file or directory")
    empty = True
    wanted = polars.scan_parquet(path).slice(start)
    batches = wanted.collect_batches(chunk_size=min(rows, BATCH), maintain_order=True)
    for part in _recut(polars, batches, rows, str(path)):
        empty = False
        yield frame_columns(part)
    if empty and not start:
        raise DataError("it has no rows of data")


def frame_columns(frame: Any) -> tuple[Column, ...]:
    """The columns of a DataFrame of any library that narwhals knows.

    Raises:
        DataError: it is none, or has no rows.
    """
    narwhals = library("narwhals", "a DataFrame")
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
