"""What is predicted: classes, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.data.summaries import MOST_NUMBERS, Summary
from chainrule.data.table import Column, Form
from chainrule.errors import DataError, OptionError

TEXT = Form("category")

TASKS = ("classification", "regression")

MOST_CLASSES = 1000

FEW_NUMBERS, ROWS_EACH = 20, 20
"""Whole numbers from 0 or 1 on are classes if there are at most so many, with so many rows each on average."""


@dataclass(frozen=True)
class ClassTarget:
    """A target of classes, encoded as their numbers.

    Attributes:
        counts: how many rows of training each class has.
        read: how the column is read.
    """

    kind: ClassVar[str] = "category"
    name: str
    classes: tuple[str, ...]
    counts: tuple[int, ...] = ()
    read: Form = TEXT

    @classmethod
    def fit(cls, summary: Summary) -> Self:
        """The column's classes: words in alphabetic order, numbers by size.

        Raises:
            DataError: fewer than two classes, or very many.
        """
        column = Column(
            summary.name, summary.form.kind, np.array(sorted(summary.counts)), summary.form.detail
        )
        classes = tuple(map(str, column.as_category().values))
        if len(classes) < 2:
            raise DataError(
                f"target {summary.name} has only one class, {classes[0]!r}: there is nothing to tell apart"
                if classes
                else f"target {summary.name} has no values"
            )
        if len(classes) > MOST_CLASSES or summary.many:
            raise DataError(
                f"target {summary.name} has {'more than ' if summary.many else ''}{len(classes)} different values, too "
                f"many for classes (at most {MOST_NUMBERS if summary.many else MOST_CLASSES})"
            )
        counts = tuple(summary.counts[value] for value in sorted(summary.counts))
        return cls(summary.name, classes, counts, summary.form)

    @property
    def form(self) -> Form:
        """How cells of the column are read."""
        return self.read

    def encode(self, column: Column) -> NDArray[np.int64]:
        """Each row's class number, shape (rows,).

        Raises:
            DataError: a class that is not known.
        """
        texts, places = column.as_category().distinct
        present, places = np.unique(places, return_inverse=True)
        return self.codes_of(texts[present].tolist())[places]

    def codes_of(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The class number of each text.

        Raises:
            DataError: a class that is not known.
        """
        numbers = {name: number for number, name in enumerate(self.classes)}
        unknown = [text for text in texts if text not in numbers]
        if unknown:
            known = ", ".join(self.classes[:20])
            raise DataError(f"target {self.name}: {min(unknown)!r} is not one of {known}")
        return np.array([numbers[text] for text in texts], np.int64)

    def of_codes(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """What is predicted for the classes of which `codes` are the numbers: these."""
        return codes


@dataclass(frozen=True)
class NumericTarget:
    """A numeric target, standardised, so that the same learning rates suit every unit."""

    kind: ClassVar[str] = "numeric"
    name: str
    mean: float
    scale: float

    @classmethod
    def fit(cls, summary: Summary) -> Self:
        """The column's mean and standard deviation.

        Raises:
            DataError: no numbers, or all of them equal.
        """
        if summary.form.kind != "numeric":
            raise DataError(f"target {summary.name} is no column of numbers, which a regression needs")
        if not summary.low < summary.high:
            raise DataError(
                f"target {summary.name} is {summary.mean:g} in every row: there is nothing to learn"
            )
        return cls(summary.name, summary.mean, summary.deviation)

    @property
    def form(self) -> Form:
        """How cells of the column are read."""
        return Form("numeric")

    def encode(self, column: Column) -> NDArray[np.float64]:
        """The column standardised, shape (rows, 1)."""
        return ((column.values - self.mean) / self.scale)[:, None]

    def decode(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Standardised values, shape (rows, 1), in the target's own unit, shape (rows,)."""
        return outputs[:, 0] * self.scale + self.mean


Target = ClassTarget | NumericTarget


def target_kind(summary: Summary, task: str | None = None) -> type[ClassTarget] | type[NumericTarget]:
    """What a target means: `task`, or what fits; classes are text, two values, or a few whole numbers from 0 or 1 on.

    >>> target_kind(Summary.of(Column("spam", "numeric", np.array([0.0, 1.0, 1.0])))).__name__
    'ClassTarget'
    """
    if task is not None:
        if task not in TASKS:
            raise OptionError(f"--task {task}: choose {' or '.join(TASKS)}")
        return ClassTarget if task == "classification" else NumericTarget
    few = summary.form.kind != "numeric" or (not summary.many and len(summary.counts) <= 2)
    return ClassTarget if few or are_labels(summary) else NumericTarget


def are_labels(summary: Summary) -> bool:
    """Whether numbers look like the numbers of three or more classes.

    >>> are_labels(Summary.of(Column("digit", "numeric", np.arange(200.0) % 10)))
    True
    """
    if summary.form.kind != "numeric" or summary.many:
        return False
    values = sorted(summary.counts)
    count = len(values)
    consecutive = bool(values) and values[0] in (0, 1) and values == [values[0] + i for i in range(count)]
    return 3 <= count <= FEW_NUMBERS and consecutive and summary.known >= ROWS_EACH * count
