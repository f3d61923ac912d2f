"""Losses: functions of a network's output and the targets, averaged over all rows.

With `weights`, an array of shape (rows,), the average is a weighted one: a row of weight 2 counts as two rows.
`one_hot` is the engine's own, under the name that people look for here.
"""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.ops import one_hot
from chainrule.tensor import Tensor

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "mean_squared_error",
    "one_hot",
    "weighted_mean",
]


def cross_entropy(logits: Any, labels: Any, weights: Any = None) -> Tensor:
    """Mean cross-entropy between softmax(logits), shape (rows, classes), and labels, in nats.

    Labels are class numbers, shape (rows,), or probabilities of every class, shape (rows, classes).

    Raises:
        ShapeError: shapes that do not fit together, or a label that is no class.

    >>> import numpy as np
    >>> logits = np.array([[0.0, 0.0], [0.0, np.log(3)]])
    >>> round(float(cross_entropy(logits, np.array([1, 1]), weights=np.array([1.0, 0.0]))), 4)  # log(2)
    0.6931
    """
    loss: Tensor
    if weights is None:
        loss = ops.cross_entropy(logits, labels)
        return loss
    labels = labels if labels.shape == logits.shape else one_hot(labels, logits.shape[-1], logits.dtype)
    # The cross-entropy is linear in the probabilities, so the weights may go there.
    loss = ops.sum(ops.cross_entropy_of_logits(logits, labels * weights[:, None])) / ops.sum(weights)
    return loss


def mean_squared_error(prediction: Any, target: Any, weights: Any = None) -> Tensor:
    """The mean of (prediction - target)² over all elements; both of the same shape, the first axis rows.

    Raises:
        ShapeError: the shapes differ; (n, 1) against (n,) would silently become (n, n).

    >>> import numpy as np
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    2.0
    """
    _require_same_shape("mean_squared_error", prediction, target)
    if weights is None:
        loss: Tensor = ops.mean_squared_error(prediction, target)
        return loss
    return weighted_mean((prediction - target) ** 2, weights)


def binary_cross_entropy_with_logits(logits: Any, targets: Any, weights: Any = None) -> Tensor:
    """Mean cross-entropy between sigmoid(logits) and targets in [0, 1], both of the same shape, in nats.

    Raises:
        ShapeError: the shapes differ.

    >>> import numpy as np
    >>> binary_cross_entropy_with_logits(np.array([0.0]), np.array([1.0])).item()  # log(2)
    0.6931471805599453
    """
    _require_same_shape("binary_cross_entropy_with_logits", logits, targets)
    # One softplus for each side: softplus(z) - y z would cancel to nothing where the answer is certain.
    each: Tensor = ops.softplus(-logits) * targets + ops.softplus(logits) * (1 - targets)
    return weighted_mean(each, weights)


def weighted_mean(each: Any, weights: Any = None) -> Tensor:
    """The mean of all elements, shape (rows, …), those of a row with its weight: a part of losses of your own.

    >>> import numpy as np
    >>> weighted_mean(np.array([[1.0], [3.0]]), np.array([3.0, 1.0])).item()
    1.5
    """
    mean: Tensor
    if weights is None:
        mean = ops.mean(each)
        return mean
    rows = weights.reshape(weights.shape + (1,) * (len(each.shape) - 1))
    mean = ops.sum(each * rows) / (ops.sum(weights) * (each.size / each.shape[0]))
    return mean


def _require_same_shape(function: str, output: Any, target: Any) -> None:
    if output.shape != target.shape:
        raise ShapeError(
            f"{function}: the output has shape {output.shape} and the target {target.shape}; "
            "they must be equal (reshape one of them)"
        )
