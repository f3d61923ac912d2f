"""Training on a file larger than memory: read again for each epoch, in parts, through a buffer that shuffles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chainrule.data import (
    Examples,
    Form,
    Preparation,
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
    """The training rows of a file as a source of mini-batches; what is in memory does not grow with the file."""

    file: TableFile
    target: str
    settings: Settings
    forms: Mapping[str, Form]
    preparation: Preparation

    def batches(self, size: int, order: np.random.Generator | None = None) -> Iterator[Examples]:
        """The mini-batches of one epoch; `order` shuffles rows within a window of `BUFFER` and a part."""
        pool: Examples | None = None
        names = [*self.preparation.names, self.target]
        for table, part in _numbered(self.file, self.settings, self.forms, names):
            rows = with_known_target(table.take(part == TRAINING), self.target)
            new = weighed(self.preparation.examples_of(rows), self.preparation, self.settings)
            pool = new if pool is None else _joined(pool, new)
            if order is not None:
                pool = pool.take(order.permutation(pool.rows))
            ready = max(0, pool.rows - (0 if order is None else BUFFER)) // size * size
            yield from pool.take(slice(ready)).batches(size)
            pool = pool.take(slice(ready, None))
        if pool is not None:
            yield from pool.batches(size)


def _joined(first: Examples, second: Examples) -> Examples:
    pairs = zip(first, second, strict=True)
    return Examples(*(None if a is None or b is None else np.concatenate([a, b]) for a, b in pairs))  # type: ignore[arg-type]


@dataclass(eq=False)
class _Held:
    """A random sample of rows that come in parts: those of the smallest random keys."""

    draw: np.random.Generator
    table: Table | None = None
    keys: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def add(self, table: Table) -> None:
        if not table.rows:
            return
        self.table = table if self.table is None else Table.joined([self.table, table])
        self.keys = np.concatenate([self.keys, self.draw.random(table.rows)])
        if len(self.keys) > 2 * HELD:
            self._thin()

    def _thin(self) -> None:
        assert self.table is not None
        kept = np.sort(np.argsort(self.keys, kind="stable")[:HELD])
        self.table, self.keys = self.table.take(kept), self.keys[kept]

    def finished(self) -> Table | None:
        if len(self.keys) > HELD:
            self._thin()
        return self.table


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
    preparation = Preparation.fit(
        reading.training(_numbered(file, settings, forms, names)), target, settings.task, out
    )
    beginning, validation, test = reading.parts()
    if not beginning.rows or validation is None:
        raise DataError(f"{file.name} has too few rows to train on some and hold out others")
    encode = preparation.examples_of
    return Parts(
        preparation=preparation,
        training=Stream(file, target, settings, forms, preparation),
        training_rows=reading.trained,
        sample=weighed(encode(beginning), preparation, settings),
        validation=weighed(encode(validation), preparation, settings),
        test=None if test is None else encode(test),
        missing={c.name: int(c.missing.sum()) for c in first.columns},
        dropped=reading.dropped,
        rows=reading.rows,
        example=example_of(first, preparation),
        notes=(
            *notes_of(first, preparation, settings),
            f"streamed in parts of {PART:,} rows, shuffled within {PART + BUFFER:,}: mix a file that is sorted",
        ),
    )


class _FirstPass:
    """What is noted while the rows go by for the first time: their numbers, and those that are held out."""

    def __init__(self, target: str, settings: Settings) -> None:
        self.target = target
        self.rows = self.dropped = self.trained = 0
        self._beginning: Table | None = None
        self._held = {
            part: _Held(np.random.default_rng([settings.seed, part])) for part in (VALIDATION, TEST)
        }

    def training(self, tables: Iterator[tuple[Table, NDArray[np.int_]]]) -> Iterator[Table]:
        """The training rows of each table; the others are kept."""
        for table, part in tables:
            self.rows += table.rows
            self.dropped += int(table.column(self.target).missing.sum())
            for number, sample in self._held.items():
                sample.add(with_known_target(table.take(part == number), self.target))
            rows = with_known_target(table.take(part == TRAINING), self.target)
            self.trained += rows.rows
            self._beginning = self._beginning or rows
            yield rows

    def parts(self) -> tuple[Table, Table | None, Table | None]:
        """The first rows of the training part, and the other parts."""
        assert self._beginning is not None
        return self._beginning, self._held[VALIDATION].finished(), self._held[TEST].finished()


def _numbered(
    file: TableFile, settings: Settings, forms: Mapping[str, Form], names: list[str]
) -> Iterator[tuple[Table, NDArray[np.int_]]]:
    """The columns that are needed, and the part that each row belongs to, which the seed and its place decide."""
    draw = np.random.default_rng(np.random.SeedSequence(settings.seed).spawn(3)[0])
    skip = [name for name in file.names if name not in names]
    validation, test = float(settings.validation), float(settings.test)
    for table in file.tables(PART, forms, skip):
        keys = draw.random(table.rows)
        yield table, np.where(keys < test, TEST, np.where(keys < test + validation, VALIDATION, TRAINING))
