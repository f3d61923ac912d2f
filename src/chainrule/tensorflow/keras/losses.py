"""`tf.keras.losses`: losses as functions of each row, and as objects that reduce them to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.tensorflow import nn
from chainrule.tensorflow.arrays import elements
from chainrule.tensorflow.creation import cast
from chainrule.tensorflow.errors import InvalidArgumentError, missing
from chainrule.tensorflow.tensors import Tensor, convert

EPSILON = 1e-7
"""What keeps logarithms finite."""


def _both(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets and predictions in one type; targets (rows,) beside predictions (rows, 1) become a column."""
    y_pred = convert(y_pred)
    y_true = cast(y_true, y_pred.dtype)
    if y_true.ndim == y_pred.ndim - 1 and y_pred.shape[-1] == 1:
        y_true = ops.expand_dims(y_true, -1)
    return y_true, y_pred


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of squared differences along the last axis.

    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    <tf.Tensor: shape=(), dtype=float32, numpy=2.0>
    """
    y_true, y_pred = _both(y_true, y_pred)
    return ops.mean(ops.square(y_pred - y_true), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of absolute differences along the last axis."""
    y_true, y_pred = _both(y_true, y_pred)
    return ops.mean(abs(y_pred - y_true), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Squared for differences up to `delta`, linear beyond."""
    y_true, y_pred = _both(y_true, y_pred)
    distance = abs(y_pred - y_true)
    near = elements(distance) <= delta
    return ops.mean(ops.where(near, 0.5 * distance * distance, delta * distance - 0.5 * delta**2), axis=-1)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of max(1 - y p, 0), for targets -1 and 1."""
    y_true, y_pred = _both(y_true, y_pred)
    return ops.mean(ops.relu(1.0 - y_true * y_pred), axis=-1)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """The cross-entropy of two classes."""
    y_true, y_pred = _both(y_true, y_pred)
    y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true
    if from_logits:
        return ops.mean(nn.sigmoid_cross_entropy_with_logits(y_true, y_pred), axis=axis)
    p = ops.clip(y_pred, EPSILON, 1 - EPSILON)
    return ops.mean(-(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p)), axis=axis)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """The cross-entropy of classes, for targets that are probabilities (one-hot)."""
    y_pred = convert(y_pred)
    y_true = cast(y_true, y_pred.dtype)
    if y_true.shape != y_pred.shape:
        raise InvalidArgumentError(
            f"categorical_crossentropy needs targets of the shape of the predictions, {y_pred.shape}, but "
            f"they have {y_true.shape}; class numbers are for sparse_categorical_crossentropy"
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[axis]
    if from_logits:
        return nn.softmax_cross_entropy_with_logits(y_true, y_pred, axis)
    p = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    return -ops.sum(y_true * ops.log(ops.clip(p, EPSILON, 1 - EPSILON)), axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """The cross-entropy of classes, for targets that are class numbers."""
    y_pred, labels = convert(y_pred), class_numbers(y_true, convert(y_pred).ndim - 1)
    if from_logits:
        return nn.sparse_softmax_cross_entropy_with_logits(labels, y_pred)
    logs = ops.log(ops.clip(y_pred, EPSILON, 1 - EPSILON))
    return -ops.squeeze(ops.take_along_axis(logs, labels._data[..., None], axis=-1), axis=-1)


def class_numbers(y_true: Any, axes: int) -> Tensor:
    """Targets as whole numbers, without a last axis of length 1."""
    numbers = elements(convert(y_true))
    if numbers.ndim == axes + 1 and numbers.shape[-1] == 1:
        numbers = numbers[..., 0]
    return Tensor._wrapped(numbers.astype(np.int64))


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """The Kullback-Leibler divergence along the last axis."""
    y_true, y_pred = _both(y_true, y_pred)
    t, p = (ops.clip(v, EPSILON, 1.0) for v in (y_true, y_pred))
    return ops.sum(t * ops.log(t / p), axis=-1)


class Loss:
    """A loss of a batch: the rows' losses, weighted, and averaged or summed."""

    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None) -> None:
        if reduction not in ("sum_over_batch_size", "sum", "none", "auto"):
            raise InvalidArgumentError(f"reduction={reduction!r}: expected sum_over_batch_size, sum or none")
        self.reduction, self.name = reduction, name

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each row."""
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch."""
        rows = convert(self.call(y_true, y_pred))
        if sample_weight is not None:
            rows = rows * cast(sample_weight, rows.dtype)
        if self.reduction == "none":
            return rows
        return ops.sum(rows) if self.reduction == "sum" else ops.mean(rows)


def _loss_class(name: str, function: Callable[..., Any]) -> type[Loss]:
    class Made(Loss):
        def __init__(
            self, *args: Any, reduction: str = "sum_over_batch_size", name: str | None = None, **options: Any
        ):
            super().__init__(reduction, name)
            names = function.__code__.co_varnames[2 : function.__code__.co_argcount]
            self.options = dict(zip(names, args, strict=False)) | options
            unknown = sorted(self.options.keys() - set(names))
            if unknown or len(args) > len(names):
                raise InvalidArgumentError(
                    f"{type(self).__name__} takes no argument {(unknown or [args[-1]])[0]!r}"
                )

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return function(y_true, y_pred, **self.options)

    Made.__name__ = Made.__qualname__ = name
    Made.__doc__ = f"{function.__name__}, of a batch."
    return Made


MeanSquaredError = _loss_class("MeanSquaredError", mean_squared_error)
MeanAbsoluteError = _loss_class("MeanAbsoluteError", mean_absolute_error)
Huber = _loss_class("Huber", huber)
Hinge = _loss_class("Hinge", hinge)
BinaryCrossentropy = _loss_class("BinaryCrossentropy", binary_crossentropy)
CategoricalCrossentropy = _loss_class("CategoricalCrossentropy", categorical_crossentropy)
SparseCategoricalCrossentropy = _loss_class("SparseCategoricalCrossentropy", sparse_categorical_crossentropy)
KLDivergence = _loss_class("KLDivergence", kl_divergence)

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error

BY_NAME: dict[str, type[Loss]] = {
    "mse": MeanSquaredError, "mean_squared_error": MeanSquaredError, "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError, "huber": Huber, "hinge": Hinge,
    "binary_crossentropy": BinaryCrossentropy, "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy, "kl_divergence": KLDivergence,
}  # fmt: skip


class _OfFunction(Loss):
    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)


def get(identifier: Any) -> Loss:
    """The loss of a name; a function is averaged over the rows."""
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if callable(identifier):
        return _OfFunction(identifier)
    name = str(identifier).lower()
    if name not in BY_NAME:
        raise InvalidArgumentError(f"there is no loss {identifier!r}; there are {', '.join(BY_NAME)}")
    return BY_NAME[name]()


def __getattr__(name: str) -> Any:
    missing("tf.keras.losses", name, globals())
