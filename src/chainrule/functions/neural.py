"""Functions of neural networks made of primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import InputError, ShapeError
from chainrule.functions.arrays import as_array, example_of
from chainrule.functions.elementwise import astype
from chainrule.functions.shape import expand_dims, moveaxis
from chainrule.operators import Operators
from chainrule.rules.elementwise import equal
from chainrule.rules.neural import cross_entropy_of_labels, cross_entropy_of_logits
from chainrule.rules.reduce import mean


def one_hot(labels: Any, classes: int, dtype: Any = np.float64) -> Any:
    """Rows of zeros with a one in the column of each label.

    >>> one_hot([1, 0], 2)
    array([[0., 1.],
           [1., 0.]])
    """
    plain = np.asarray(example_of(labels))
    _check_labels(plain, classes)
    if isinstance(labels, Operators):
        return astype(equal(expand_dims(labels, axis=-1), np.arange(classes)), dtype)
    labels = plain
    rows = np.zeros((labels.size, classes), dtype)
    rows[np.arange(labels.size), labels.reshape(-1)] = 1
    return rows.reshape((*labels.shape, classes))


def _check_labels(labels: np.ndarray, classes: int) -> None:
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels are integers from 0 to {classes - 1}, but were given as {labels.dtype}")
    if labels.size and not 0 <= np.minimum.reduce(labels, None) <= np.maximum.reduce(labels, None) < classes:
        raise ShapeError(
            f"labels range from {labels.min()} to {labels.max()}, but there are {classes} classes"
        )


def cross_entropy(logits: Any, labels: Any, *, axis: int = -1) -> Any:
    """The mean cross-entropy of softmax(logits) and labels: class numbers, or probabilities of every class.

    `logits` has shape (…, classes); `labels` the same shape, or that of the rows if they are integers.

    >>> round(float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))), 4)
    0.6931
    """
    logits, labels = as_array(logits), as_array(labels)
    if tuple(labels.shape) == tuple(logits.shape):
        return mean(cross_entropy_of_logits(logits, labels, axis=axis))
    labels = np.asarray(example_of(labels))  # handed on, so that a trace knows it again
    logits = logits if axis == -1 else moveaxis(logits, axis, -1)
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"cross_entropy(logits, labels): logits have shape {tuple(logits.shape)}, the labels "
            f"{tuple(labels.shape)}; labels are class numbers, of the shape of logits without the class axis, or "
            f"probabilities, of the same shape"
        )
    if labels.dtype.kind not in "iu" or (labels.size and np.minimum.reduce(labels, None) < 0):
        _check_labels(labels, logits.shape[-1])
    try:
        return cross_entropy_of_labels(logits, labels=labels)
    except IndexError:
        _check_labels(labels, logits.shape[-1])
        raise
