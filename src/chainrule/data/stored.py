"""Rows that come in parts, kept as they were parsed, to be gone through again: in memory, or in a temporary file."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.examples import Examples
from chainrule.data.features import CategoryFeature, Feature
from chainrule.data.preparation import Preparation
from chainrule.data.summaries import MOST_TEXTS
from chainrule.data.table import Column, Kind, Table
from chainrule.data.targets import ClassTarget, Target
from chainrule.errors import DataError

IN_MEMORY = 128 << 20
"""Bytes of rows that are kept in memory; with more, all of them go to a file."""

SPARED = 512 << 20
"""Bytes of the disk that are left to others."""


class StoredRows:
    """The columns of a table's parts: 8 bytes for a number or a date, 4 for a category.

    A part is stored by `add`, and `examples` goes through all of them, as often as wanted. The file, in the folder for
    temporary files (the environment variable TMPDIR names another), is gone with the object.

    >>> rows, table = StoredRows(), Table.from_cells("t", ["x", "y"], [["1", "a"], ["3", "b"], ["1", "a"]])
    >>> rows.add(table)
    >>> [part.targets for part in rows.examples(Preparation.fit([table], "y"))]
    [array([0, 1, 0])]
    """

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}
        self._numbers: dict[str, dict[str, int]] = {}
        self._parts: list[dict[str, NDArray[Any] | _Place]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, table: Table) -> None:
        """Store a part.

        Raises:
            DataError: there is no room for it on the disk, or a column has too many different texts.
        """
        self._kinds |= {column.name: column.kind for column in table.columns}
        part: dict[str, Any] = {column.name: self._plain(column) for column in table.columns}
        self._bytes += sum(array.nbytes for array in part.values())
        self._parts.append(part)
        if self._bytes > IN_MEMORY:
            self._parts = [self._written(one) for one in self._parts]

    @property
    def place(self) -> str:
        """Where they are, in words."""
        size = f"{self._bytes / 2**20:.0f} MB"
        return (
            f"{size} of memory"
            if self._file is None
            else f"a temporary file in {tempfile.gettempdir()} ({size})"
        )

    def examples(self, preparation: Preparation) -> Iterator[Examples]:
        """Each part as features and targets, as `preparation.examples_of` gives them for its table."""
        encoders = {one.name: self._encoder(one) for one in (*preparation.features, preparation.target)}
        for stored in self._parts:
            part = {name: self._read(stored[name]) for name in encoders}

            def encoded(one: Feature | Target, part: Mapping[str, NDArray[Any]] = part) -> NDArray[Any]:
                return encoders[one.name](part[one.name])

            targets = encoded(preparation.target)
            yield Examples(preparation.assembled(len(targets), encoded), targets)

    # columns ---------------------------------------------------------------------------------------------------

    def _plain(self, column: Column) -> NDArray[Any]:
        """The values of a column; of texts, numbers that are the same in all parts."""
        if column.kind == "date":
            return column.values.view(np.int64)
        if column.kind != "category":
            return column.values
        texts, places = column.distinct
        known, codes = self._numbers.setdefault(column.name, {}), np.zeros(len(texts), np.int32)
        present = np.flatnonzero(np.bincount(places, minlength=len(texts)))
        codes[present] = [known.setdefault(text, len(known)) for text in texts[present].tolist()]
        if len(known) > MOST_TEXTS:
            raise DataError(f"column {column.name} has more than {MOST_TEXTS:,} different texts")
        return codes[places]

    def _encoder(self, one: Feature | Target) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """What makes inputs or targets of stored values."""
        kind = self._kinds[one.name]
        if isinstance(one, CategoryFeature | ClassTarget) and kind == "category":
            codes = one.codes_of(list(self._numbers[one.name]))
            return lambda numbers: one.of_codes(codes[numbers])
        dtype = "datetime64[s]" if kind == "date" else np.float64
        return lambda values: one.encode(Column(one.name, kind, values.view(dtype), one.form.detail))

    # the file ----------------------------------------------------------------------------------------------------

    def _written(self, part: dict[str, Any]) -> dict[str, Any]:
        """The part with what is in memory written to the file."""
        arrays = {name: array for name, array in part.items() if isinstance(array, np.ndarray)}
        try:
            _require_room(sum(array.nbytes for array in arrays.values()))
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="chainrule-")  # noqa: SIM115  # it lives as long as this
                weakref.finalize(self, self._file.close)
            self._file.seek(0, os.SEEK_END)
            return part | {name: _write(self._file, array) for name, array in arrays.items()}
        except OSError as error:
            raise DataError(
                f"{tempfile.gettempdir()} cannot be written to: {error.strerror or error}"
            ) from error

    def _read(self, stored: NDArray[Any] | _Place) -> NDArray[Any]:
        if isinstance(stored, np.ndarray):
            return stored
        assert self._file is not None
        self._file.seek(stored.offset)
        array = np.empty(stored.rows, stored.dtype)
        if self._file.readinto(array.view(np.uint8).data) != array.nbytes:  # type: ignore[attr-defined]
            raise DataError(f"the temporary file in {tempfile.gettempdir()} has lost rows")
        return array


class _Place(NamedTuple):
    """Where an array is in the file."""

    offset: int
    rows: int
    dtype: np.dtype[Any]


def _write(file: IO[bytes], array: NDArray[Any]) -> _Place:
    place = _Place(file.tell(), len(array), array.dtype)
    file.write(np.ascontiguousarray(array).data)
    return place


def _require_room(size: int) -> None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < size + SPARED:
        raise DataError(f"{folder} has {free >> 20} MB of room left")
