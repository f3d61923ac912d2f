"""Losses: functions of a network's output and the targets, averaged over all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule import ops
from chainrule.errors import DataError, ShapeError
from chainrule.tensor import Tensor


def mean_squared_error(prediction: Any, target: Any) -> Tensor:
    """The mean of (prediction - target)² over all elements; both of the same shape.

    Raises:
        ShapeError: the shapes differ; (n, 1) against (n,) would silently become (n, n).

    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    2.0
    """
    _require_same_shape("mean_squared_error", prediction, target)
    loss: Tensor = ops.mean(ops.square(prediction - target))
    return loss


def cross_entropy(logits: Any, labels: ArrayLike | Tensor) -> Tensor:
    """Mean cross-entropy between softmax(logits) and the labels, in nats; finite for any finite logits.

    Args:
        logits: shape (..., classes), before softmax.
        labels: integers of shape (...), or probabilities (one-hot rows) of shape (..., classes).

    Raises:
        ShapeError: the shapes do not fit.
        DataError: an integer label is not among 0 … classes - 1.

    >>> cross_entropy(np.zeros((2, 4)), np.array([0, 3])).item()  # log(4)
    1.3862943611198906
    """
    probabilities = _class_probabilities(logits, labels)
    loss: Tensor = -ops.mean(ops.sum(ops.log_softmax(logits, axis=-1) * probabilities, axis=-1))
    return loss


def binary_cross_entropy_with_logits(logits: Any, targets: Any) -> Tensor:
    """Mean cross-entropy between sigmoid(logits) and targets in [0, 1], both of the same shape, in nats.

    Raises:
        ShapeError: the shapes differ.

    >>> binary_cross_entropy_with_logits(np.array([0.0]), np.array([1.0])).item()  # log(2)
    0.6931471805599453
    """
    _require_same_shape("binary_cross_entropy_with_logits", logits, targets)
    # One softplus for each side: softplus(z) - y z would cancel to nothing where the answer is certain.
    loss: Tensor = ops.mean(ops.softplus(-logits) * targets + ops.softplus(logits) * (1 - targets))
    return loss


def _require_same_shape(function: str, output: Any, target: Any) -> None:
    if output.shape != target.shape:
        raise ShapeError(
            f"{function}: the output has shape {output.shape} and the target {target.shape}; "
            "they must be equal (reshape one of them)"
        )


def _class_probabilities(logits: Any, labels: Any) -> Any:
    labels = labels if hasattr(labels, "shape") else np.asarray(labels)
    if labels.shape == logits.shape:
        return labels
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"cross_entropy: logits of shape {logits.shape} need labels of shape {logits.shape[:-1]} "
            f"(integers) or {logits.shape} (probabilities), not {labels.shape}"
        )
    return one_hot(labels, logits.shape[-1], logits.dtype)


def one_hot(labels: ArrayLike, classes: int, dtype: Any = float) -> NDArray[Any]:
    """Rows of zeros with a one at the label: shape (...) of integers to (..., classes).

    Raises:
        DataError: labels that are no integers or not among 0 … classes - 1.

    >>> one_hot([1, 0], 3)
    array([[0., 1., 0.],
           [1., 0., 0.]])
    """
    numbers = np.asarray(labels)
    if not np.issubdtype(numbers.dtype, np.integer):
        raise DataError(f"labels must be integers, not {numbers.dtype}: use labels.astype(int)")
    outside = numbers[(numbers < 0) | (numbers >= classes)]
    if outside.size:
        raise DataError(f"label {outside[0]} is not among the {classes} classes 0 … {classes - 1}")
    rows: NDArray[Any] = np.eye(classes, dtype=dtype)[numbers]
    return rows
