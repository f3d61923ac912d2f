"""Training on a file larger than memory: read in parts, its rows stored as parsed, and shuffled in a buffer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from chainrule.data import (
    Examples,
    Form,
    Preparation,
    StoredRows,
    Table,
    TableFile,
    identifiers,
    require_columns,
    with_known_target,
)
from chainrule.errors import DataError, OptionError
from chainrule.train.parts import Parts, example_of, notes_of, weighed
from chainrule.train.settings import Settings

PART = 50_000
"""Rows that are read at a time; a seed means the same with another `BUFFER`, but not with another part."""

BUFFER = 100_000
"""Rows that wait to be mixed with those that come later."""

HELD = 50_000
"""Rows that are kept in memory of the validation and of the test part: a random sample of them."""

TRAINING, VALIDATION, TEST = range(3)


@dataclass(eq=False)
class Stream:
    """The training rows of a file as a source of mini-batches; what is in memory does not grow with the file.

    Attributes:
        sample: some of the rows, encoded.
        rows: how many there are.
        stored: all of them as they were parsed; None where there was no room, and the file is read again.
    """

    file: TableFile
    target: str
    settings: Settings
    forms: Mapping[str, Form]
    preparation: Preparation
    sample: Examples
    rows: int
    stored: StoredRows | None = None

    def batches(self, size: int, order: np.random.Generator | None = None) -> Iterator[Examples]:
        """The mini-batches of one epoch; `order` shuffles rows within a window of `BUFFER` and a part."""
        window = self.window(size)
        for places in window.portions(order):
            yield from window.examples.take(places).batches(size)

    def window(self, size: int) -> StreamWindow:
        """The rows that are in memory at a time, for mini-batches of a size."""
        return StreamWindow(self, size)

    def parts(self) -> Iterator[Examples]:
        """All rows in their order, in parts."""
        parts = self._read_again() if self.stored is None else self.stored.examples(self.preparation)
        return (weighed(part, self.preparation, self.settings) for part in parts)

    def _read_again(self) -> Iterator[Examples]:
        names = [*self.preparation.names, self.target]
        for table, part in _numbered(self.file, self.settings, self.forms, names):
            yield self.preparation.examples_of(with_known_target(table.take(part == TRAINING), self.target))


class StreamWindow:
    """Rows of a stream in memory, at places that stay; new ones come to the places of those that were trained on.

    Attributes:
        examples: the rows at their places.
        total: how many rows pass by in an epoch.
    """

    stays = False

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self.size, self.total = stream, size, stream.rows
        places = min(stream.rows, BUFFER + PART + size)
        self.examples = Examples(
            *(None if a is None else np.zeros((places, *a.shape[1:]), a.dtype) for a in stream.sample)  # type: ignore[arg-type]
        )

    def portions(self, order: np.random.Generator | None) -> Iterator[NDArray[np.int64]]:
        """The places of the rows to train on next.

        With `order`, they are drawn from all that wait, of which `BUFFER` are left for those that come later.
        """
        free, waiting = np.arange(self.examples.rows), np.empty(0, np.int64)
        for part in self._stream.parts():
            places, free = free[: part.rows], free[part.rows :]
            if len(places) < part.rows:
                raise DataError(f"{self._stream.file.path} has more rows now than when it was first read")
            self._put(part, places)
            waiting = np.concatenate([waiting, places])
            if order is not None:
                waiting = order.permutation(waiting)
            ready = max(0, len(waiting) - (0 if order is None else BUFFER)) // self.size * self.size
            if ready:
                yield waiting[:ready]
            free, waiting = np.concatenate([free, waiting[:ready]]), waiting[ready:]
        if len(waiting):
            yield waiting

    def _put(self, part: Examples, places: NDArray[np.int64]) -> None:
        for array, new in zip(self.examples, part, strict=True):
            if array is not None:
                array[places] = new


@dataclass(eq=False)
class _Held:
    """A random sample of rows that come in parts: those of the smallest random keys."""

    draw: np.random.Generator
    tables: list[Table] = field(default_factory=list)
    keys: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    limit: float = 1.0

    def add(self, table: Table, rows: NDArray[np.int64]) -> None:
        """Draw from these rows of a table."""
        keys = self.draw.random(len(rows))
        chosen = np.flatnonzero(keys < self.limit)
        if chosen.size:
            self.tables.append(table.take(rows[chosen]))
            self.keys = np.concatenate([self.keys, keys[chosen]])
        if len(self.keys) > 2 * HELD:
            self._thin()

    def _thin(self) -> None:
        kept = np.sort(np.argpartition(self.keys, HELD)[:HELD])
        self.tables, self.keys = [Table.joined(self.tables).take(kept)], self.keys[kept]
        # Rows of larger keys are not among the smallest any more, whatever comes.
        self.limit = float(self.keys.max())

    def finished(self) -> Table | None:
        if len(self.keys) > HELD:
            self._thin()
        return Table.joined(self.tables) if self.tables else None


def stream_parts(file: TableFile, target: str, settings: Settings) -> Parts:
    """The parts of a file, whose training part stays on disk; one pass fits the encodings and counts the rows.

    Raises:
        DataError: a file that cannot be learnt from.
        OptionError: a setting that needs all rows in memory.
    """
    if settings.folds or isinstance(settings.validation, str) or isinstance(settings.test, str):
        raise OptionError(
            "--stream: parts are fractions of the one file; --folds and files of rows need it in memory"
        )
    require_columns(file, [target, *settings.forms, *settings.leave_out])
    first = next(file.tables(PART, settings.forms, settings.leave_out), None)
    if first is None:
        raise DataError(f"{file.name} has a header, but no rows of data")
    forms = {column.name: settings.forms.get(column.name, column.form) for column in first.columns}
    out = identifiers(first, [*settings.numeric, *settings.category, *settings.date, target])
    names = [name for name in first.names if name not in out]
    reading = _FirstPass(target, settings)
    numbered = _numbered(file, settings, forms, names, first.without(*out))
    preparation = Preparation.fit(reading.training(numbered), target, settings.task, out)
    beginning, validation, test = reading.parts()
    if not beginning.rows or validation is None:
        raise DataError(f"{file.name} has too few rows to train on some and hold out others")
    encode = preparation.examples_of
    sample = weighed(encode(beginning), preparation, settings)
    return Parts(
        preparation=preparation,
        training=Stream(file, target, settings, forms, preparation, sample, reading.trained, reading.stored),
        training_rows=reading.trained,
        sample=sample,
        validation=weighed(encode(validation), preparation, settings),
        test=None if test is None else encode(test),
        missing={c.name: int(c.missing.sum()) for c in first.columns},
        dropped=reading.dropped,
        rows=reading.rows,
        example=example_of(first, preparation),
        notes=(
            *notes_of(first, preparation, settings),
            f"streamed in parts of {PART:,} rows, shuffled within {PART + BUFFER:,}: mix a file that is sorted",
            reading.storage,
        ),
    )


class _FirstPass:
    """What is noted while the rows go by for the first time: their numbers, and those that are held out."""

    def __init__(self, target: str, settings: Settings) -> None:
        self.target = target
        self.rows = self.dropped = self.trained = 0
        self.stored: StoredRows | None = StoredRows()
        self._reason = ""
        self._beginning: Table | None = None
        self._held = {
            part: _Held(np.random.default_rng([settings.seed, part])) for part in (VALIDATION, TEST)
        }

    def training(self, tables: Iterator[tuple[Table, NDArray[np.int_]]]) -> Iterator[Table]:
        """The training rows of each table, which are stored; of the others a sample is held."""
        for table, part in tables:
            known = ~table.column(self.target).missing
            self.rows += table.rows
            self.dropped += int(table.rows - known.sum())
            for number, sample in self._held.items():
                sample.add(table, np.flatnonzero(known & (part == number)))
            rows = table.take(known & (part == TRAINING))
            self.trained += rows.rows
            self._beginning = self._beginning or rows
            self._store(rows)
            yield rows

    def _store(self, rows: Table) -> None:
        if self.stored is not None and rows.rows:
            try:
                self.stored.add(rows)
            except DataError as error:
                self.stored, self._reason = None, str(error)

    @property
    def storage(self) -> str:
        """Where the rows are while the network is trained."""
        if self.stored is None:
            return f"the file is read again for each epoch: {self._reason}"
        return f"the training rows, as they were read, are kept in {self.stored.place}"

    def parts(self) -> tuple[Table, Table | None, Table | None]:
        """The first rows of the training part, and the other parts."""
        assert self._beginning is not None
        return self._beginning, self._held[VALIDATION].finished(), self._held[TEST].finished()


def _one_ahead(tables: Iterator[Table]) -> Iterator[Table]:
    """The same tables; while one is used, a thread reads the next."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, tables, None)
        while (table := coming.result()) is not None:
            coming = thread.submit(next, tables, None)
            yield table


def _numbered(
    file: TableFile,
    settings: Settings,
    forms: Mapping[str, Form],
    names: list[str],
    first: Table | None = None,
) -> Iterator[tuple[Table, NDArray[np.int_]]]:
    """The columns that are needed, and the part that each row belongs to, which the seed and its place decide.

    The `first` table need not be read where it is known.
    """
    draw = np.random.default_rng(np.random.SeedSequence(settings.seed).spawn(3)[0])
    skip = [name for name in file.names if name not in names]
    validation, test = float(settings.validation), float(settings.test)
    known = [] if first is None else [first]
    rest = _one_ahead(file.tables(PART, forms, skip, sum(table.rows for table in known)))
    for table in chain(known, rest):
        keys = draw.random(table.rows)
        yield table, np.where(keys < test, TEST, np.where(keys < test + validation, VALIDATION, TRAINING))
