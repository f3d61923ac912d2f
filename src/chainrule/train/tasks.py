"""Classification and regression: the loss, the metrics and the baseline of each kind of target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule import nn
from chainrule.data import ClassTarget, NumericTarget
from chainrule.tensor import Tensor
from chainrule.train.metrics import (
    accuracy,
    area_under_roc,
    balanced_accuracy,
    confusion_table,
    log_loss,
    mean_absolute_error,
    r_squared,
    root_mean_squared_error,
)

Metrics = dict[str, float]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network's metrics on rows that were held out, beside those of simpler predictions.

    Attributes:
        part: what rows they are, such as ``"test"``.
        rows: how many.
        metrics: of the network.
        baselines: the same metrics of a linear model, and of a guess that knows no feature, by what they are.
        confusion: rows actual, columns predicted; None where there are no classes.
        outputs, targets: the network's outputs and the encoded targets of these rows.
    """

    part: str
    rows: int
    metrics: Metrics
    baselines: Mapping[str, Metrics]
    confusion: NDArray[np.int64] | None
    outputs: NDArray[Any] = field(repr=False)
    targets: NDArray[Any] = field(repr=False)


def averaged(folds: Sequence[Evaluation], last: Evaluation) -> Evaluation:
    """The evaluation by cross-validation: mean metrics, all rows in one confusion table; outputs of `last`."""
    guess = list(last.baselines)
    columns = [[fold.metrics, *fold.baselines.values()] for fold in folds]
    means = [
        {name: float(np.mean([one[i][name] for one in columns])) for name in last.metrics}
        for i in range(1 + len(guess))
    ]
    tables = [fold.confusion for fold in folds if fold.confusion is not None]
    confusion: NDArray[np.int64] | None = np.sum(tables, axis=0) if tables else None
    rows = sum(fold.rows for fold in folds)
    return replace(
        last,
        part=f"{len(folds)} folds",
        rows=rows,
        metrics=means[0],
        baselines=dict(zip(guess, means[1:], strict=True)),
        confusion=confusion,
    )


class Task(Protocol):
    """What the training of a table needs to know of its target."""

    loss_name: ClassVar[str]
    score_name: ClassVar[str]
    better: ClassVar[int]

    @property
    def outputs(self) -> int:
        """How many outputs a network needs."""

    def describe(self) -> str:
        """The target in words, for the summary line."""

    def loss(self, output: Any, targets: Any, weights: Any = None) -> Tensor:
        """What is minimised."""

    def score(self, output: Any, targets: Any) -> float:
        """The metric that is shown while training; `better` is 1 where more is better, else -1."""

    def metrics(self, output: Any, targets: Any) -> Metrics:
        """All metrics of a network's outputs."""

    def guess(self, rows: int) -> tuple[str, NDArray[Any]]:
        """What one says who knows the training part's targets only: in words, and as a network's outputs."""

    def confusion(self, output: Any, targets: Any) -> NDArray[np.int64] | None:
        """Rows actual, columns predicted; None where there are no classes."""


@dataclass(frozen=True)
class Classification:
    """Classes: cross-entropy of softmax outputs, accuracy; the baseline says the most frequent class.

    >>> task = Classification(ClassTarget("colour", ("black", "grey")))
    >>> task.score(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([0, 0]))
    0.5
    """

    loss_name: ClassVar[str] = "cross-entropy"
    score_name: ClassVar[str] = "accuracy"
    better: ClassVar[int] = 1
    target: ClassTarget

    @property
    def outputs(self) -> int:
        """One for each class."""
        return len(self.target.classes)

    def describe(self) -> str:
        """How many classes."""
        return f"{self.outputs} classes"

    def loss(self, output: Any, targets: Any, weights: Any = None) -> Tensor:
        """Mean cross-entropy."""
        return nn.cross_entropy(output, targets, weights)

    def score(self, output: Any, targets: Any) -> float:
        """Accuracy."""
        return accuracy(targets, np.argmax(output, axis=-1))

    def metrics(self, output: Any, targets: Any) -> Metrics:
        """Accuracy, balanced accuracy, log loss, and the area under the ROC curve (of three classes, their mean)."""
        predicted, shares = np.argmax(output, axis=-1), softmax(output)
        return {
            "accuracy": accuracy(targets, predicted),
            "balanced accuracy": balanced_accuracy(targets, predicted),
            "log loss": log_loss(targets, shares),
            "AUC": self._area(shares, targets),
        }

    def _area(self, shares: NDArray[Any], targets: NDArray[Any]) -> float:
        classes = [1] if self.outputs == 2 else range(self.outputs)
        areas = [area_under_roc(targets == i, shares[:, i]) for i in classes]
        known = [area for area in areas if not math.isnan(area)]
        return float(np.mean(known)) if known else math.nan

    def guess(self, rows: int) -> tuple[str, NDArray[Any]]:
        """The most frequent class, with all classes' frequencies as probabilities."""
        # A class that training lacks would have an infinite loss: it gets half a row.
        counts = np.maximum(self.target.counts or np.ones(self.outputs), 0.5)
        commonest = self.target.classes[int(np.argmax(counts))]
        return f"always {commonest}", np.tile(np.log(counts / counts.sum()), (rows, 1))

    def confusion(self, output: Any, targets: Any) -> NDArray[np.int64] | None:
        """Rows actual, columns predicted."""
        return confusion_table(targets, np.argmax(output, axis=-1), self.outputs)


@dataclass(frozen=True)
class Regression:
    """A number: squared error, MAE, RMSE and R² in the target's unit; the baseline says the mean.

    >>> task = Regression(NumericTarget("mpg", mean=20.0, scale=5.0))
    >>> task.score(np.array([[0.0], [1.0]]), np.array([[0.0], [0.0]]))
    2.5
    """

    loss_name: ClassVar[str] = "squared error"
    score_name: ClassVar[str] = "MAE"
    better: ClassVar[int] = -1
    target: NumericTarget

    @property
    def outputs(self) -> int:
        """One."""
        return 1

    def describe(self) -> str:
        """The target's name."""
        return f"target {self.target.name}"

    def loss(self, output: Any, targets: Any, weights: Any = None) -> Tensor:
        """Mean squared error of the standardised target."""
        return nn.mean_squared_error(output, targets, weights)

    def score(self, output: Any, targets: Any) -> float:
        """The mean absolute error, in the target's unit."""
        return mean_absolute_error(self.target.decode(targets), self.target.decode(output))

    def metrics(self, output: Any, targets: Any) -> Metrics:
        """MAE, RMSE and R²."""
        actual, predicted = self.target.decode(targets), self.target.decode(output)
        return {
            "MAE": mean_absolute_error(actual, predicted),
            "RMSE": root_mean_squared_error(actual, predicted),
            "R²": r_squared(actual, predicted),
        }

    def guess(self, rows: int) -> tuple[str, NDArray[Any]]:
        """The mean of the training part."""
        return f"always {self.target.mean:.4g}, the mean", np.zeros((rows, 1))

    def confusion(self, output: Any, targets: Any) -> NDArray[np.int64] | None:
        """None."""
        return None


def task_of(target: ClassTarget | NumericTarget) -> Classification | Regression:
    """The task that a target means."""
    return Classification(target) if isinstance(target, ClassTarget) else Regression(target)


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Probabilities of the classes, shape (rows, classes), from a network's outputs."""
    # The largest logit becomes 0, so that no exponential overflows.
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[Any] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares
