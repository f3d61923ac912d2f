"""Losses: functions of a network's output and the targets, averaged over all rows.

`cross_entropy` and `one_hot` are the engine's own, under the names that people look for here.
"""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.ops import cross_entropy, one_hot
from chainrule.tensor import Tensor

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "mean_squared_error", "one_hot"]


def mean_squared_error(prediction: Any, target: Any) -> Tensor:
    """The mean of (prediction - target)² over all elements; both of the same shape.

    Raises:
        ShapeError: the shapes differ; (n, 1) against (n,) would silently become (n, n).

    >>> import numpy as np
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    2.0
    """
    _require_same_shape("mean_squared_error", prediction, target)
    loss: Tensor = ops.mean_squared_error(prediction, target)
    return loss


def binary_cross_entropy_with_logits(logits: Any, targets: Any) -> Tensor:
    """Mean cross-entropy between sigmoid(logits) and targets in [0, 1], both of the same shape, in nats.

    Raises:
        ShapeError: the shapes differ.

    >>> import numpy as np
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
