"""Classification and regression: the loss, the metric and the baseline of each kind of target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule import nn
from chainrule.data import ClassTarget, NumericTarget
from chainrule.tensor import Tensor
from chainrule.train.metrics import (
    accuracy,
    confusion_table,
    mean_absolute_error,
    r_squared,
    root_mean_squared_error,
)

Metrics = dict[str, float]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network's metrics on held-out rows, beside those of a guess that knows no feature.

    Attributes:
        metrics, baseline: the same names in both.
        guess: what the baseline says, in words.
        confusion: rows actual, columns predicted; None where there are no classes.
    """

    metrics: Metrics
    baseline: Metrics
    guess: str
    confusion: NDArray[np.int64] | None


class Task(Protocol):
    """What the training of a table needs to know of its target."""

    loss_name: ClassVar[str]
    score_name: ClassVar[str]

    @property
    def outputs(self) -> int:
        """How many outputs a network needs."""

    def describe(self) -> str:
        """The target in words, for the summary line."""

    def loss(self, output: Any, targets: Any) -> Tensor:
        """What is minimised."""

    def score(self, output: Any, targets: Any) -> float:
        """The metric that is shown while training."""

    def evaluate(self, output: Any, targets: Any, training_targets: Any) -> Evaluation:
        """All metrics; the baseline is fitted on the training part's targets."""


@dataclass(frozen=True)
class Classification:
    """Classes: cross-entropy of softmax outputs, accuracy; the baseline says the most frequent class.

    >>> task = Classification(ClassTarget("colour", ("black", "grey")))
    >>> task.score(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([0, 0]))
    0.5
    """

    loss_name: ClassVar[str] = "cross-entropy"
    score_name: ClassVar[str] = "accuracy"
    target: ClassTarget

    @property
    def outputs(self) -> int:
        """One for each class."""
        return len(self.target.classes)

    def describe(self) -> str:
        """How many classes."""
        return f"{self.outputs} classes"

    def loss(self, output: Any, targets: Any) -> Tensor:
        """Mean cross-entropy."""
        loss: Tensor = nn.cross_entropy(output, targets)
        return loss

    def score(self, output: Any, targets: Any) -> float:
        """Accuracy."""
        return accuracy(targets, np.argmax(output, axis=-1))

    def evaluate(self, output: Any, targets: Any, training_targets: Any) -> Evaluation:
        """Accuracy, cross-entropy and the confusion table."""
        predicted = np.argmax(output, axis=-1)
        counts = np.bincount(training_targets, minlength=self.outputs)
        commonest = int(np.argmax(counts))
        # A class that training lacks would have an infinite cross-entropy: it gets half a row.
        frequencies = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
        surprise = float(np.mean(-np.log(frequencies[targets])))
        return Evaluation(
            {
                "accuracy": accuracy(targets, predicted),
                "cross-entropy": float(self.loss(output, targets).item()),
            },
            {"accuracy": accuracy(targets, np.full(len(targets), commonest)), "cross-entropy": surprise},
            f"always {self.target.classes[commonest]}",
            confusion_table(targets, predicted, self.outputs),
        )


@dataclass(frozen=True)
class Regression:
    """A number: squared error, MAE, RMSE and R² in the target's unit; the baseline says the mean.

    >>> task = Regression(NumericTarget("mpg", mean=20.0, scale=5.0))
    >>> task.score(np.array([[0.0], [1.0]]), np.array([[0.0], [0.0]]))
    2.5
    """

    loss_name: ClassVar[str] = "squared error"
    score_name: ClassVar[str] = "MAE"
    target: NumericTarget

    @property
    def outputs(self) -> int:
        """One."""
        return 1

    def describe(self) -> str:
        """The target's name."""
        return f"target {self.target.name}"

    def loss(self, output: Any, targets: Any) -> Tensor:
        """Mean squared error of the standardised target."""
        return nn.mean_squared_error(output, targets)

    def score(self, output: Any, targets: Any) -> float:
        """The mean absolute error, in the target's unit."""
        return mean_absolute_error(self.target.decode(targets), self.target.decode(output))

    def evaluate(self, output: Any, targets: Any, training_targets: Any) -> Evaluation:
        """MAE, RMSE and R²."""
        actual = self.target.decode(targets)
        mean = np.full(len(actual), self.target.decode(training_targets).mean())
        return Evaluation(
            _errors(actual, self.target.decode(output)),
            _errors(actual, mean),
            f"always {mean[0]:.4g}, the mean",
            None,
        )


def task_of(target: ClassTarget | NumericTarget) -> Classification | Regression:
    """The task that a target means."""
    return Classification(target) if isinstance(target, ClassTarget) else Regression(target)


def _errors(actual: NDArray[Any], predicted: NDArray[Any]) -> Metrics:
    return {
        "MAE": mean_absolute_error(actual, predicted),
        "RMSE": root_mean_squared_error(actual, predicted),
        "R²": r_squared(actual, predicted),
    }
