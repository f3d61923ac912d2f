"""`tf.keras.metrics`: numbers that are collected over batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.tensorflow.errors import InvalidArgumentError, missing
from chainrule.tensorflow.keras import losses
from chainrule.tensorflow.tensors import Tensor, convert


class Metric:
    """A mean over all rows seen since the last `reset_state`."""

    title = "metric"

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or self.title
        self.reset_state()

    def reset_state(self) -> None:
        """Forget what was seen."""
        self.total, self.count = 0.0, 0.0

    reset_states = reset_state

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """See a batch."""
        self._add(self.rows(y_true, y_pred), sample_weight)

    def _add(self, rows: Any, weight: Any = None) -> None:
        rows = np.asarray(rows, dtype=np.float64)
        weights = np.ones_like(rows) if weight is None else np.broadcast_to(np.asarray(weight), rows.shape)
        self.total += float((rows * weights).sum())
        self.count += float(weights.sum())

    def rows(self, y_true: Any, y_pred: Any) -> Any:
        """The number of each row."""
        raise NotImplementedError

    def result(self) -> Tensor:
        """The mean so far."""
        return convert(self.total / self.count if self.count else 0.0)

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        """See a batch; the result so far."""
        self.update_state(*args, **options)
        return self.result()


class Mean(Metric):
    """The mean of the numbers given.

    >>> m = Mean(); m.update_state([1.0, 2.0, 6.0]); m.result()
    <tf.Tensor: shape=(), dtype=float32, numpy=3.0>
    """

    title = "mean"

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """See numbers."""
        self._add(convert(values)._data, sample_weight)


class Sum(Mean):
    """The sum of the numbers given."""

    title = "sum"

    def result(self) -> Tensor:
        """The sum so far."""
        return convert(self.total)


class Accuracy(Metric):
    """How often two numbers are equal."""

    title = "accuracy"

    def rows(self, y_true: Any, y_pred: Any) -> Any:
        """Whether each is right."""
        return np.asarray(convert(y_true)._data) == np.asarray(convert(y_pred)._data)


class BinaryAccuracy(Metric):
    """How often a probability is on the right side of a threshold."""

    title = "binary_accuracy"

    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = threshold

    def rows(self, y_true: Any, y_pred: Any) -> Any:
        """Whether each is right."""
        guess = np.asarray(convert(y_pred)._data)
        actual = np.asarray(convert(y_true)._data)
        actual = actual[..., None] if actual.ndim == guess.ndim - 1 else actual
        return (guess > self.threshold) == (actual > self.threshold)


class CategoricalAccuracy(Metric):
    """How often the likeliest class is the one-hot target's."""

    title = "categorical_accuracy"

    def rows(self, y_true: Any, y_pred: Any) -> Any:
        """Whether each is right."""
        return np.asarray(convert(y_true)._data).argmax(-1) == np.asarray(convert(y_pred)._data).argmax(-1)


class SparseCategoricalAccuracy(Metric):
    """How often the likeliest class has the target's number."""

    title = "sparse_categorical_accuracy"

    def rows(self, y_true: Any, y_pred: Any) -> Any:
        """Whether each is right."""
        guess = np.asarray(convert(y_pred)._data)
        return losses.class_numbers(y_true, guess.ndim - 1)._data == guess.argmax(-1)


class _OfLoss(Metric):
    function: Any

    def rows(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each row."""
        return self.function(y_true, y_pred)._data


class MeanSquaredError(_OfLoss):
    """The mean squared error."""

    title, function = "mean_squared_error", staticmethod(losses.mean_squared_error)


class MeanAbsoluteError(_OfLoss):
    """The mean absolute error."""

    title, function = "mean_absolute_error", staticmethod(losses.mean_absolute_error)


class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean squared error."""

    title = "root_mean_squared_error"

    def result(self) -> Tensor:
        """The root of the mean so far."""
        return convert(float(np.sqrt(self.total / self.count)) if self.count else 0.0)


class _Chosen(Metric):
    """Accuracy of the kind that fits targets and predictions; decided at the first batch."""

    title = "accuracy"

    def rows(self, y_true: Any, y_pred: Any) -> Any:
        """Whether each is right."""
        actual, guess = convert(y_true).shape, convert(y_pred).shape
        if guess[-1:] == (1,) or len(guess) < 2:
            return BinaryAccuracy().rows(y_true, y_pred)
        kind = CategoricalAccuracy if actual == guess else SparseCategoricalAccuracy
        return kind().rows(y_true, y_pred)


BY_NAME: dict[str, type[Metric]] = {
    "accuracy": _Chosen, "acc": _Chosen, "binary_accuracy": BinaryAccuracy, "mse": MeanSquaredError,
    "categorical_accuracy": CategoricalAccuracy, "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "mean_squared_error": MeanSquaredError, "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError, "root_mean_squared_error": RootMeanSquaredError,
}  # fmt: skip


class _OfFunction(Metric):
    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__(getattr(function, "__name__", "metric"))
        self.function = function

    def rows(self, y_true: Any, y_pred: Any) -> Any:
        """The function's numbers."""
        return convert(self.function(y_true, y_pred))._data


def get(identifier: Any) -> Metric:
    """The metric of a name, or of a function."""
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if callable(identifier):
        return _OfFunction(identifier)
    name = str(identifier).lower()
    if name not in BY_NAME:
        raise InvalidArgumentError(f"there is no metric {identifier!r}; there are {', '.join(BY_NAME)}")
    return BY_NAME[name](str(identifier))


def __getattr__(name: str) -> Any:
    missing("tf.keras.metrics", name, globals())
