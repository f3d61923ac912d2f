"""How a column becomes inputs of a network; fitted on the training part alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.data.summaries import Summary, days
from chainrule.data.table import Column, Form

ONE_HOT = 16
"""Up to so many categories get an input each; more get learned vectors."""

MOST_CATEGORIES = 10_000
"""Beyond that, the rarer ones count as other: their vectors would see too few rows, and take memory."""

COMMON = 5
"""How many rows of training a category needs to be one of its own; fewer in small tables."""

YEAR, WEEK = 365.2425, 7.0


@dataclass(frozen=True)
class NumericFeature:
    """A numeric column standardised; missing values at the mean, which is 0, and marked by a second input.

    Attributes:
        indicator: whether there is that second input: where values were missing in training.
    """

    kind: ClassVar[str] = "numeric"
    name: str
    mean: float
    scale: float
    indicator: bool = False

    @classmethod
    def fit(cls, summary: Summary) -> Self:
        """The mean and standard deviation of the column; a constant column is only centred.

        >>> NumericFeature.fit(Summary.of(Column("x", "numeric", np.array([1.0, np.nan, 3.0]))))
        NumericFeature(name='x', mean=2.0, scale=1.0, indicator=True)
        """
        return cls(summary.name, summary.mean, summary.deviation or 1.0, bool(summary.missing))

    @property
    def form(self) -> Form:
        """How cells of the column are read."""
        return Form("numeric")

    @property
    def width(self) -> int:
        """How many inputs of the network it takes."""
        return 1 + self.indicator

    @property
    def treatment(self) -> str:
        """What is made of the column."""
        return "standardised"

    def encode(self, column: Column) -> NDArray[np.float64]:
        """The inputs, shape (rows, width)."""
        return _standardised(column.values, column.missing, self.mean, self.scale, self.indicator)


def _standardised(
    values: NDArray[Any], missing: NDArray[np.bool_], mean: float, scale: float, indicator: bool
) -> NDArray[np.float64]:
    filled = (np.where(missing, mean, values) - mean) / scale
    return np.stack([filled, missing.astype(np.float64)], axis=1) if indicator else filled[:, None]


@dataclass(frozen=True)
class BooleanFeature:
    """A column of two words as -1 and 1; missing values at 0, and marked where there were any in training."""

    kind: ClassVar[str] = "boolean"
    name: str
    words: tuple[str, ...]
    indicator: bool = False

    @classmethod
    def fit(cls, summary: Summary) -> Self:
        """The words of the column."""
        return cls(summary.name, summary.form.detail, bool(summary.missing))

    @property
    def form(self) -> Form:
        """How cells of the column are read."""
        return Form("boolean", self.words)

    @property
    def width(self) -> int:
        """How many inputs of the network it takes."""
        return 1 + self.indicator

    @property
    def treatment(self) -> str:
        """What is made of the column."""
        return "-1 or 1"

    def encode(self, column: Column) -> NDArray[np.float64]:
        """The inputs, shape (rows, width)."""
        return _standardised(column.values, column.missing, 0.5, 0.5, self.indicator)


@dataclass(frozen=True)
class DateFeature:
    """A date as the days that have passed, standardised, and the places in the year and the week on circles.

    Attributes:
        mean, scale: of the days since 1970 in the training part.
        clock: whether the time of day is a circle too.
    """

    kind: ClassVar[str] = "date"
    name: str
    order: str
    mean: float
    scale: float
    clock: bool = False
    indicator: bool = False

    @classmethod
    def fit(cls, summary: Summary) -> Self:
        """The span of the dates."""
        scale, missing = summary.deviation or 1.0, bool(summary.missing)
        return cls(summary.name, summary.form.detail[0], summary.mean, scale, summary.clock, missing)

    @property
    def form(self) -> Form:
        """How cells of the column are read."""
        return Form("date", (self.order,))

    @property
    def width(self) -> int:
        """How many inputs of the network it takes."""
        return 5 + 2 * self.clock + self.indicator

    @property
    def treatment(self) -> str:
        """What is made of the column."""
        return "days, season, weekday" + (", hour" if self.clock else "")

    def encode(self, column: Column) -> NDArray[np.float64]:
        """The inputs, shape (rows, width)."""
        missing = column.missing
        passed = days(np.where(missing, np.datetime64(0, "s"), column.values))
        angles = [passed / YEAR, np.floor(passed) / WEEK, *([passed] if self.clock else [])]
        circles = [f(2 * math.pi * angle) for angle in angles for f in (np.sin, np.cos)]
        trend = _standardised(passed, missing, self.mean, self.scale, self.indicator)
        return np.concatenate([trend, np.where(missing, 0.0, circles).T], axis=1)


@dataclass(frozen=True)
class CategoryFeature:
    """A column of categories as one input each, 1 where the row is of it; missing is a category of its own.

    Attributes:
        categories: those with an input of their own; ``""`` stands for missing.
        other: whether there is an input for all others: where some were rare in training, which teach it.
        dimension: 0, or the length of the learned vectors that stand for the categories instead of inputs.
    """

    kind: ClassVar[str] = "category"
    name: str
    categories: tuple[str, ...]
    other: bool = False
    dimension: int = 0

    @classmethod
    def fit(cls, summary: Summary) -> Self:
        """The column's categories; the last is ``""`` where a value is missing.

        >>> CategoryFeature.fit(Summary.of(Column("sex", "category", np.array(["male", "", "female"]))))
        CategoryFeature(name='sex', categories=('female', 'male', ''), other=False, dimension=0)
        """
        counts = dict(summary.counts) | ({"": summary.missing} if summary.missing else {})
        enough = min(COMMON, 1 + summary.rows // 100)
        common = sorted((text for text, count in counts.items() if count >= enough), key=counts.__getitem__)
        kept = sorted(common[-MOST_CATEGORIES:], key=lambda text: (text == "", text))
        # The size that fastai's tables found good, from many competitions.
        dimension = min(50, round(1.6 * len(kept) ** 0.56)) if len(kept) > ONE_HOT else 0
        return cls(summary.name, tuple(kept), 0 < len(kept) < len(counts), dimension)

    @property
    def form(self) -> Form:
        """How cells of the column are read."""
        return Form("category")

    @property
    def width(self) -> int:
        """How many columns of the inputs it takes: one for the number of a vector."""
        return 1 if self.dimension else len(self.categories) + self.other

    @property
    def treatment(self) -> str:
        """What is made of the column."""
        rest = " and other" if self.other else ""
        how = f"vectors of {self.dimension}" if self.dimension else "one input each"
        return f"{len(self.categories)} categories{rest}, {how}"

    def codes(self, column: Column) -> NDArray[np.intp]:
        """The number of each row's category, from 1; 0 for any other, shape (rows,)."""
        texts, places = column.as_category().distinct
        return self.codes_of(texts.tolist())[places]

    def codes_of(self, texts: Sequence[str]) -> NDArray[np.intp]:
        """The number of each text's category, from 1; 0 for any other."""
        numbers = {text: number for number, text in enumerate(self.categories, start=1)}
        return np.array([numbers.get(text, 0) for text in texts], dtype=np.intp)

    def encode(self, column: Column) -> NDArray[np.float64]:
        """The inputs, shape (rows, width): one-hot, or the number of the vector."""
        return self.of_codes(self.codes(column))

    def of_codes(self, codes: NDArray[np.intp]) -> NDArray[np.float64]:
        """The inputs of the categories of which `codes` are the numbers."""
        if self.dimension:
            return codes[:, None].astype(np.float64)
        inputs = np.zeros((len(codes), 1 + len(self.categories)))
        inputs[np.arange(len(codes)), codes] = 1.0
        # The others, numbered 0, come last; without an input of their own they are zeros only.
        return np.concatenate([inputs[:, 1:], inputs[:, :1]], axis=1) if self.other else inputs[:, 1:]

    def unknown(self, column: Column) -> list[str]:
        """The values of a column that have no category; rare ones of the training part among them."""
        texts: Sequence[Any] = np.unique(column.as_category().values).tolist()
        known = set(self.categories)
        return [str(text) for text in texts if text not in known]


Feature = NumericFeature | BooleanFeature | DateFeature | CategoryFeature

FEATURES: dict[str, type[Feature]] = {
    one.kind: one for one in (NumericFeature, BooleanFeature, DateFeature, CategoryFeature)
}


def fit_feature(summary: Summary) -> Feature:
    """The encoding of a column, fitted on its summary."""
    return FEATURES[summary.form.kind].fit(summary)
