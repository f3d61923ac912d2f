"""What is known of a column after its rows went by, in one part or many: all that encodings are fitted from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from chainrule.data.table import Column, Form, Table

MOST_TEXTS = 200_000
"""How many different texts are counted; beyond that, the rarer half is forgotten."""

MOST_NUMBERS = 100
"""How many different numbers are told apart, to know whether they are classes."""

DAY = 86_400


class Summary:
    """A column's statistics, which grow with each part that is added.

    Attributes:
        rows, missing: how many.
        mean, low, high: of the numbers; of dates in days since 1970.
        counts: how often each text comes; each number, while there are at most `MOST_NUMBERS`.
        clock: whether a date comes with a time of day.

    >>> summary = Summary.of(Column("x", "numeric", np.array([1.0, np.nan, 3.0])))
    >>> summary.add(Column("x", "numeric", np.array([5.0])))
    >>> summary.rows, summary.missing, summary.mean, round(summary.deviation, 3)
    (4, 1, 3.0, 1.633)
    """

    def __init__(self, name: str, form: Form) -> None:
        self.name, self.form = name, form
        self.rows = self.missing = self.known = 0
        self.mean, self._squares = 0.0, 0.0
        self.low, self.high = math.inf, -math.inf
        self.counts: Counter[Any] = Counter()
        self.many = self.clock = False

    @classmethod
    def of(cls, column: Column) -> Self:
        """The summary of one column."""
        summary = cls(column.name, column.form)
        summary.add(column)
        return summary

    @property
    def deviation(self) -> float:
        """The standard deviation of the numbers."""
        return math.sqrt(self._squares / self.known) if self.known else 0.0

    @property
    def constant(self) -> bool:
        """Whether all values are known and equal."""
        if self.form.kind == "category":
            return len(self.counts) == 1 and not self.missing
        return self.low == self.high and not self.missing

    def add(self, column: Column) -> None:
        """Take in more rows of the column."""
        missing = column.missing
        self.rows, self.missing = self.rows + len(missing), self.missing + int(missing.sum())
        if column.kind == "category":
            self._count(column.take(~missing) if missing.any() else column)
            return
        known = column.values[~missing] if missing.any() else column.values
        if known.size:
            self._measure(days(known) if column.kind == "date" else known)
            if column.kind == "date":
                self.clock = self.clock or bool(np.any(known != known.astype("datetime64[D]")))
            elif not self.many:
                self._tell_apart(column.name, known)

    def _measure(self, values: Any) -> None:
        # Chan, Golub and LeVeque (1983): the parts' means and squares add up without cancellation.
        count, mean = len(values), float(values.mean())
        squares, total = float(np.square(values - mean).sum()), self.known + count
        self._squares += squares + (mean - self.mean) ** 2 * self.known * count / total
        self.mean += (mean - self.mean) * count / total
        self.known = total
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def _tell_apart(self, name: str, values: Any) -> None:
        # In most columns, a few rows have more different numbers than are told apart.
        for some in np.split(values, [10 * MOST_NUMBERS]):
            if not self.many:
                self._count(Column(name, "numeric", some))
                self.many = len(self.counts) > MOST_NUMBERS

    def _count(self, column: Column) -> None:
        values, places = column.distinct
        numbers = np.bincount(places, minlength=len(values))
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            if number:
                self.counts[value] += number
        if len(self.counts) > MOST_TEXTS:
            self.counts = Counter(dict(self.counts.most_common(MOST_TEXTS // 2)))


def days(times: Any) -> Any:
    """Times as days since 1970, with fractions."""
    seconds = times.astype("datetime64[s]").astype(np.int64)
    return seconds / DAY


def summarise(tables: Iterable[Table]) -> dict[str, Summary]:
    """The summary of each column of a table that comes in parts."""
    found: dict[str, Summary] = {}
    for table in tables:
        for column in table.columns:
            if column.name in found:
                found[column.name].add(column)
            else:
                found[column.name] = Summary.of(column)
    return found
