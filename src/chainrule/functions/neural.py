"""Functions of neural networks made of primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import InputError, ShapeError
from chainrule.functions.arrays import as_array, data_of
from chainrule.rules.neural import cross_entropy_of_logits
from chainrule.rules.reduce import mean


def one_hot(labels: Any, classes: int, dtype: Any = np.float64) -> Any:
    """Rows of zeros with a one in the column of each label.

    >>> one_hot([1, 0], 2)
    array([[0., 1.],
           [1., 0.]])
    """
    labels = np.asarray(data_of(labels))
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels are integers from 0 to {classes - 1}, but were given as {labels.dtype}")
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ShapeError(f"labels range from {labels.min()} to {labels.max()}, but there are {classes} classes")
    return np.eye(classes, dtype=dtype)[labels]


def cross_entropy(logits: Any, labels: Any, *, axis: int = -1) -> Any:
    """The mean cross-entropy of softmax(logits) and labels: class numbers, or probabilities of every class.

    `logits` has shape (…, classes); `labels` the same shape, or that of the rows if they are integers.

    >>> round(float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))), 4)
    0.6931
    """
    logits, labels = as_array(logits), as_array(labels)
    if np.dtype(labels.dtype).kind in "iu":
        labels = np.moveaxis(one_hot(labels, logits.shape[axis], np.dtype(logits.dtype)), -1, axis)
    if tuple(labels.shape) != tuple(logits.shape):
        raise ShapeError(
            f"cross_entropy(logits, labels): logits have shape {tuple(logits.shape)}, the labels (as "
            f"probabilities) {tuple(labels.shape)}; integer labels have the shape of logits without the class axis"
        )
    return mean(cross_entropy_of_logits(logits, labels, axis=axis))
