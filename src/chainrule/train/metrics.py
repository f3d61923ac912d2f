"""How good predictions are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ShapeError


def accuracy(actual: ArrayLike, predicted: ArrayLike) -> float:
    """The fraction of labels that are equal; both of shape (rows,).

    >>> accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """
    actual, predicted = _pair("accuracy", actual, predicted)
    return float(np.mean(actual == predicted))


def confusion_table(actual: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """How often each actual class (row) was predicted as each class (column); labels 0 … classes - 1.

    >>> confusion_table([0, 1, 1], [0, 0, 1], 2)
    array([[1, 0],
           [1, 1]])
    """
    actual, predicted = _pair("confusion_table", actual, predicted)
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (actual, predicted), 1)
    return table


def balanced_accuracy(actual: ArrayLike, predicted: ArrayLike) -> float:
    """The mean over the classes of the fraction of their rows that is found; both of shape (rows,).

    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    actual, predicted = _pair("balanced_accuracy", actual, predicted)
    return float(np.mean([np.mean(predicted[actual == label] == label) for label in np.unique(actual)]))


def log_loss(actual: ArrayLike, probabilities: ArrayLike) -> float:
    """The mean of -log of the actual class's probability, in nats; shapes (rows,) and (rows, classes).

    A probability of 0 counts as 1e-15, so that the loss stays finite.

    >>> round(log_loss([0, 1], [[0.5, 0.5], [0.0, 1.0]]), 4)
    0.3466
    """
    labels, shares = np.asarray(actual), np.asarray(probabilities, np.float64)
    if labels.ndim != 1 or shares.ndim != 2 or len(labels) != len(shares) or not labels.size:
        raise ShapeError(
            f"log_loss: labels of shape (rows,) and probabilities of shape (rows, classes) are needed, not "
            f"{labels.shape} and {shares.shape}"
        )
    chosen = shares[np.arange(len(labels)), labels]
    return float(np.mean(-np.log(np.maximum(chosen, 1e-15))))


def area_under_roc(positive: ArrayLike, scores: ArrayLike) -> float:
    """The probability that a positive row has a higher score than another one, ties counting half.

    NaN where all rows are positive, or none.

    >>> area_under_roc([False, False, True, True], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    labels, values = _pair("area_under_roc", positive, scores)
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[places]  # equal scores share the mean of their ranks
    labels = labels.astype(bool)
    yes, no = int(labels.sum()), int((~labels).sum())
    if not yes or not no:
        return math.nan
    return float((ranks[labels].sum() - yes * (yes + 1) / 2) / (yes * no))


def mean_absolute_error(actual: ArrayLike, predicted: ArrayLike) -> float:
    """The mean of |actual - predicted|, in the unit of the values.

    >>> mean_absolute_error([1.0, 2.0], [2.0, 4.0])
    1.5
    """
    actual, predicted = _pair("mean_absolute_error", actual, predicted)
    return float(np.mean(np.abs(actual - predicted)))


def root_mean_squared_error(actual: ArrayLike, predicted: ArrayLike) -> float:
    """The root of the mean of (actual - predicted)², in the unit of the values.

    >>> root_mean_squared_error([0.0, 0.0], [3.0, 3.0])
    3.0
    """
    actual, predicted = _pair("root_mean_squared_error", actual, predicted)
    return math.sqrt(float(np.mean((actual - predicted) ** 2)))


def r_squared(actual: ArrayLike, predicted: ArrayLike) -> float:
    """1 - (squared error) / (squared deviation from the mean): 1 is perfect, 0 no better than the mean.

    NaN where all actual values are equal, because the ratio is then undefined.

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    actual, predicted = _pair("r_squared", actual, predicted)
    deviation = float(np.sum((actual - actual.mean()) ** 2))
    return 1 - float(np.sum((actual - predicted) ** 2)) / deviation if deviation else math.nan


def _pair(function: str, actual: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    first, second = np.asarray(actual), np.asarray(predicted)
    if first.shape != second.shape or not first.size:
        raise ShapeError(
            f"{function}: actual and predicted values need one and the same shape and at least one element, "
            f"not {first.shape} and {second.shape}"
        )
    return first, second
