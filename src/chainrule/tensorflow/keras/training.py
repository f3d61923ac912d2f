"""compile, fit, evaluate, predict: how a model is trained on arrays or data sets."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.tensorflow.data import Dataset
from chainrule.tensorflow.errors import InvalidArgumentError, StateError
from chainrule.tensorflow.keras import losses, metrics, optimizers
from chainrule.tensorflow.keras.callbacks import Callback, History
from chainrule.tensorflow.random import generator
from chainrule.tensorflow.tape import GradientTape
from chainrule.tensorflow.tensors import Tensor, convert

Logs = dict[str, float]


class Training:
    """The part of a model that trains it."""

    name: str
    trainable_variables: Any
    optimizer: Any = None
    loss: Any = None

    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """Compute the outputs."""
        return super().__call__(inputs, *args, **options)  # type: ignore[misc]

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None, **unused: Any
    ) -> None:
        """Choose the update rule, the loss and the metrics."""
        self.optimizer = optimizers.get(optimizer)
        self.loss = None if loss is None else losses.get(loss)
        given = metrics if isinstance(metrics, (list, tuple)) else [] if metrics is None else [metrics]
        self._metrics = [_metric(m) for m in given]
        self._mean_loss = _mean_of_losses()

    @property
    def metrics(self) -> list[Any]:
        """The loss and the metrics."""
        return [self._mean_loss, *self._metrics]

    @property
    def metrics_names(self) -> list[str]:
        """Their names."""
        return [m.name for m in self.metrics]

    def _compiled(self) -> None:
        if self.optimizer is None or self.loss is None:
            raise StateError(
                "You must call `compile()` before using the model, with an optimizer and a loss."
            )

    # a step --------------------------------------------------------------------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Any:
        """The loss of a batch."""
        return self.loss(y, y_pred, sample_weight)

    def train_step(self, data: Any) -> Logs:
        """One step of training; may be overridden."""
        x, y = data[:2]
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, *data[2:3])
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return self._noted(loss, y, y_pred)

    def test_step(self, data: Any) -> Logs:
        """The loss and the metrics of a batch."""
        x, y = data[:2]
        y_pred = self(x, training=False)
        return self._noted(self.compute_loss(x, y, y_pred, *data[2:3]), y, y_pred)

    def _noted(self, loss: Any, y: Any, y_pred: Any) -> Logs:
        rows = len(np.atleast_1d(y_pred._data))
        self._mean_loss._add(np.full(rows, loss._data))
        for metric in self._metrics:
            metric.update_state(y, y_pred)
        return self._results()

    def _results(self) -> Logs:
        return {metric.name: float(metric.result()) for metric in self.metrics}

    def _reset(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    # training ------------------------------------------------------------------------------------------

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1,
        verbose: Any = "auto", callbacks: Any = None, validation_split: float = 0.0,
        validation_data: Any = None, shuffle: bool = True, sample_weight: Any = None,
        initial_epoch: int = 0, steps_per_epoch: int | None = None, **unused: Any,
    ) -> History:  # fmt: skip
        """Train for a number of epochs; what is returned has the numbers of each in `history`."""
        self._compiled()
        data = _Batches(x, y, sample_weight, batch_size)
        if validation_split:
            data, validation_data = data.split(validation_split)
        history = History()
        called = [history, *(callbacks or [])]
        _tell(called, "set_model", self)
        self.stop_training = False
        _tell(called, "on_train_begin")
        for epoch in range(initial_epoch, epochs):
            start = time.perf_counter()
            _tell(called, "on_epoch_begin", epoch)
            logs = self._epoch(data.batches(shuffle, steps_per_epoch), called)
            if validation_data is not None:
                logs |= {
                    f"val_{name}": value
                    for name, value in self._evaluated(validation_data, batch_size).items()
                }
            if verbose:
                _report(epoch, epochs, data.steps, time.perf_counter() - start, logs)
            _tell(called, "on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        _tell(called, "on_train_end")
        self.history = history
        return history

    def _epoch(self, batches: Iterator[Any], called: list[Callback]) -> Logs:
        self._reset()
        logs: Logs = {}
        for number, batch in enumerate(batches):
            _tell(called, "on_train_batch_begin", number)
            logs = {name: float(value) for name, value in self.train_step(batch).items()}
            _tell(called, "on_train_batch_end", number, logs)
        return logs

    def _evaluated(self, data: Any, batch_size: int | None) -> Logs:
        batches = data if isinstance(data, _Batches) else _Batches(*_three(data), batch_size)
        self._reset()
        for batch in batches.batches(False, None):
            self.test_step(batch)
        return self._results()

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
        sample_weight: Any = None, return_dict: bool = False, **unused: Any,
    ) -> Any:  # fmt: skip
        """The loss, or a list of the loss and the metrics."""
        self._compiled()
        data = _Batches(x, y, sample_weight, batch_size)
        start = time.perf_counter()
        logs = self._evaluated(data, batch_size)
        if verbose:
            print(_line(data.steps, time.perf_counter() - start, logs))
        values = list(logs.values())
        return logs if return_dict else values if len(values) > 1 else values[0]

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", **unused: Any) -> Any:
        """The outputs as an array."""
        if isinstance(x, Dataset):
            parts = [self(batch[0] if isinstance(batch, tuple) else batch, training=False) for batch in x]
        else:
            rows, size = _array(x), batch_size or 32
            parts = [self(rows[i : i + size], training=False) for i in range(0, max(1, len(rows)), size)]
        return np.concatenate([np.asarray(part._data) for part in parts])

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """One step; the loss, or a list of the loss and the metrics."""
        self._compiled()
        self._reset()
        data = tuple(_array(part) for part in (x, y, sample_weight) if part is not None)
        values = list(self.train_step(data).values())
        return values if len(values) > 1 else values[0]


class _Batches:
    """Rows of arrays in batches, or the batches of a data set."""

    def __init__(self, x: Any, y: Any, weight: Any, batch_size: int | None) -> None:
        self.dataset = x if isinstance(x, Dataset) else None
        self.size = batch_size or 32
        if self.dataset is None:
            self.arrays = [_array(part) for part in (x, y, weight) if part is not None]
            if len(self.arrays) < 2:
                raise InvalidArgumentError(
                    "training needs targets: give x and y, or a tf.data.Dataset of pairs"
                )
            lengths = [len(a) for a in self.arrays]
            if len(set(lengths)) > 1:
                raise InvalidArgumentError(
                    f"Data cardinality is ambiguous. Make sure all arrays contain the same number of "
                    f"samples: {lengths}"
                )

    @property
    def steps(self) -> int:
        """The number of batches."""
        if self.dataset is not None:
            return max(0, self.dataset._count)
        return math.ceil(len(self.arrays[0]) / self.size)

    def split(self, share: float) -> tuple[_Batches, _Batches]:
        """The last rows apart, for validation."""
        if self.dataset is not None:
            raise InvalidArgumentError("validation_split needs arrays; give a data set as validation_data")
        at = int(len(self.arrays[0]) * (1 - share))
        return self._of([a[:at] for a in self.arrays]), self._of([a[at:] for a in self.arrays])

    def _of(self, arrays: list[Any]) -> _Batches:
        return _Batches(*_three(tuple(arrays)), self.size)

    def batches(self, shuffle: bool, steps: int | None) -> Iterator[Any]:
        """The batches of an epoch."""
        if self.dataset is not None:
            for number, batch in enumerate(self.dataset):
                if steps is not None and number >= steps:
                    return
                yield batch
            return
        count = len(self.arrays[0])
        order = generator().permutation(count) if shuffle else np.arange(count)
        for i in range(0, count, self.size):
            yield tuple(Tensor._wrapped(a[order[i : i + self.size]]) for a in self.arrays)


def _three(data: Any) -> tuple[Any, Any, Any]:
    if isinstance(data, Dataset):
        return data, None, None
    parts = (*data, None)
    return parts[0], parts[1], parts[2]


def _array(value: Any) -> Any:
    """Rows as Keras takes them: lists and tables too, float64 as float32."""
    array = np.asarray(convert(np.asarray(value))._data)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _metric(identifier: Any) -> Any:
    return metrics.get(identifier)


def _mean_of_losses() -> Any:
    return metrics.Mean("loss")


def _tell(callbacks: list[Any], event: str, *details: Any) -> None:
    for callback in callbacks:
        getattr(callback, event)(*details)


def _report(epoch: int, epochs: int, steps: int, seconds: float, logs: Logs) -> None:
    print(f"Epoch {epoch + 1}/{epochs}\n{_line(steps, seconds, logs)}")


def _line(steps: int, seconds: float, logs: Logs) -> str:
    numbers = " - ".join(f"{name}: {value:.4f}" for name, value in logs.items())
    return f"{steps}/{steps} - {seconds:.0f}s - {numbers}"
