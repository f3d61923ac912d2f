"""`tf.keras.callbacks`: what happens between epochs."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.tensorflow.errors import missing

Logs = dict[str, float]


class Callback:
    """The base of callbacks; `self.model` is the model that is trained."""

    model: Any = None

    def set_model(self, model: Any) -> None:
        """Tell which model is trained."""
        self.model = model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch, with its numbers."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch."""


class LambdaCallback(Callback):
    """Functions as a callback."""

    def __init__(self, **functions: Any) -> None:
        for name, function in functions.items():
            if function is not None:
                setattr(self, name, function)


class History(Callback):
    """The numbers of every epoch, in `history`."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the numbers."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class EarlyStopping(Callback):
    """Stops when a number has not improved for `patience` epochs."""

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0.0, patience: int = 0, verbose: int = 0,
        mode: str = "auto", restore_best_weights: bool = False, **unused: Any,
    ) -> None:  # fmt: skip
        self.monitor, self.min_delta, self.patience, self.restores = (
            monitor,
            min_delta,
            patience,
            restore_best_weights,
        )
        rising = mode == "max" or (mode == "auto" and monitor.endswith(("acc", "accuracy")))
        self.sign = 1.0 if rising else -1.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self.best, self.waited, self.weights, self.stopped_epoch = -np.inf, 0, None, 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best so far."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            return
        if self.sign * value > self.best + self.min_delta:
            self.best, self.waited = self.sign * value, 0
            self.weights = self.model.get_weights() if self.restores else None
            return
        self.waited += 1
        if self.waited >= max(1, self.patience):
            self.stopped_epoch, self.model.stop_training = epoch, True
            if self.weights is not None:
                self.model.set_weights(self.weights)


def __getattr__(name: str) -> Any:
    missing("tf.keras.callbacks", name, globals())
