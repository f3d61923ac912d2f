"""Which rows train, which choose the epoch to keep, and which only measure the result."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import (
    ClassTarget,
    Examples,
    Preparation,
    Source,
    Summary,
    Table,
    fold_numbers,
    identifiers,
    read_table,
    split_rows,
    target_kind,
    with_known_target,
)
from chainrule.errors import DataError
from chainrule.train.settings import Settings


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a table, encoded.

    Attributes:
        preparation: how, fitted on the training part.
        training: where mini-batches come from; `training_rows` is how many rows.
        sample: rows of the training part in memory: all, or the first of a stream.
        validation: what the epoch to keep is chosen by.
        test: what nothing is chosen by; None for no such part.
        missing: how many values each column of the training part lacks.
        dropped: how many rows lack the target.
        rows: all rows that there are, `dropped` included.
        example: the cells of a row that lacks none, if there is one.
        notes: what is to be told.
    """

    preparation: Preparation
    training: Source
    training_rows: int
    sample: Examples
    validation: Examples
    test: Examples | None
    missing: dict[str, int]
    dropped: int
    rows: int
    example: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A number that changes with the data, so that a run is continued only on what it began with."""
        held = [part for part in (self.sample, self.validation, self.test) if part is not None]
        number = self.rows
        for array in (array for part in held for array in (part.features, part.targets)):
            number = zlib.crc32(np.ascontiguousarray(array).tobytes(), number)
        return f"{number:08x}"


def split_table(table: Table, target: str, settings: Settings) -> Parts:
    """The parts of a table in memory.

    Raises:
        DataError: a table that cannot be learnt from.
    """
    splitting = _splitting(settings)
    complete = known_rows(table, target)
    rest, test = _held_out(complete, target, settings, settings.test, splitting, 1.0)
    used = 0.0 if isinstance(settings.test, str) else settings.test
    training, validation = _held_out(rest, target, settings, settings.validation, splitting, 1 - used)
    if validation is None:
        raise DataError(f"{table.name}: no rows are held out for validation")
    return _encoded(table, target, settings, training, validation, test)


def fold_parts(table: Table, target: str, settings: Settings) -> Iterator[Parts]:
    """For each fold of cross-validation, the parts in which it is the test part."""
    splitting = _splitting(settings)
    complete = known_rows(table, target)
    folds = fold_numbers(complete.rows, settings.folds, splitting, _labels(complete, target, settings))
    for fold in range(settings.folds):
        rest, test = complete.take(folds != fold), complete.take(folds == fold)
        training, validation = _held_out(rest, target, settings, settings.validation, splitting, 1.0)
        assert validation is not None
        yield _encoded(table, target, settings, training, validation, test)


def known_rows(table: Table, target: str) -> Table:
    """The rows that have the target.

    Raises:
        DataError: none has.
    """
    complete = with_known_target(table, target)
    if not complete.rows:
        raise DataError(f"{table.name}: target {target} has no values")
    return complete


def balanced(examples: Examples, target: Any) -> Examples:
    """The examples with weights by which all classes of the training part count alike."""
    counts = np.maximum(np.array(target.counts, float), 1)
    weights = counts.sum() / (len(counts) * counts)
    return examples._replace(weights=weights[examples.targets])


def weighed(examples: Examples, preparation: Preparation, settings: Settings) -> Examples:
    """The examples with the weights that the settings ask for."""
    if settings.class_weight is None:
        return examples
    if not isinstance(preparation.target, ClassTarget):
        raise DataError(
            f"--class-weight: the target {preparation.target.name} is an amount and has no classes; leave the option "
            "out, or take its values as classes with --task classification"
        )
    return balanced(examples, preparation.target)


def _splitting(settings: Settings) -> np.random.Generator:
    # One stream for each purpose, so that for example other layers leave the split as it was.
    return np.random.default_rng(np.random.SeedSequence(settings.seed).spawn(3)[0])


def _task(table: Table, target: str, settings: Settings) -> str:
    """What all rows say that the target is: of a few, two numbers would be classes."""
    kind = target_kind(Summary.of(table.column(target)), settings.task)
    return "classification" if kind is ClassTarget else "regression"


def _labels(table: Table, target: str, settings: Settings) -> NDArray[Any] | None:
    classes = _task(table, target, settings) == "classification"
    return table.column(target).as_category().values if classes else None


def _held_out(
    table: Table,
    target: str,
    settings: Settings,
    part: float | str,
    splitting: np.random.Generator,
    whole: float,
) -> tuple[Table, Table | None]:
    """The table without a part, and the part: a file, or a fraction of what was `whole` of the table."""
    if isinstance(part, str):
        return table, _part_file(part, table, target, settings)
    if not part:
        return table, None
    rows = split_rows(table.rows, part / whole, splitting, _labels(table, target, settings))
    return table.take(rows.training), table.take(rows.validation)


def _part_file(path: str, table: Table, target: str, settings: Settings) -> Table:
    forms = {column.name: column.form for column in table.columns}
    return known_rows(read_table(path, None, forms, header=settings.has_header), target)


def _encoded(
    table: Table, target: str, settings: Settings, training: Table, validation: Table, test: Table | None
) -> Parts:
    named = [*settings.numeric, *settings.category, *settings.date, target]
    preparation = Preparation.fit(
        [training], target, _task(table, target, settings), identifiers(table, named)
    )
    examples, checked = (
        weighed(preparation.examples_of(part), preparation, settings) for part in (training, validation)
    )
    return Parts(
        preparation=preparation,
        training=examples,
        training_rows=training.rows,
        sample=examples,
        validation=checked,
        test=None if test is None else preparation.examples_of(test),
        missing={column.name: int(column.missing.sum()) for column in table.columns},
        dropped=int(table.column(target).missing.sum()),
        rows=table.rows,
        example=example_of(table, preparation),
        notes=tuple(notes_of(table, preparation, settings)),
    )


def notes_of(table: Table, preparation: Preparation, settings: Settings) -> Iterator[str]:
    """What had to be decided about cells and target, in sentences."""
    yield from (f"{column.name}: {column.note}" for column in table.columns if column.note)
    target = preparation.target
    numbers = isinstance(target, ClassTarget) and target.read.kind == "numeric" and len(target.classes) > 2
    if settings.task is None and numbers:
        yield f"{target.name} is a few whole numbers, taken as classes; --task regression takes them as amounts"


def example_of(table: Table, preparation: Preparation) -> tuple[str, ...]:
    """The cells of the first row of a table that lacks none."""
    columns = [table.column(name) for name in preparation.names]
    complete = np.flatnonzero(~np.any([column.missing for column in columns], axis=0))
    row = int(complete[0]) if complete.size else 0
    return tuple(str(column.take([row]).as_category().values[0]) for column in columns)


def without_test(settings: Settings) -> Settings:
    """The settings of the model that is saved after cross-validation: all rows train or choose the epoch."""
    return replace(settings, test=0.0, folds=0)
