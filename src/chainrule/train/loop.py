"""The training loop: mini-batches, a validation part, callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data import Examples
from chainrule.errors import DataError, DivergedError, OptionError
from chainrule.modes import no_grad
from chainrule.nn import Module
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor

Loss = Callable[[Tensor, Any], Tensor]
Score = Callable[[Any, Any], float]


@dataclass(frozen=True)
class Epoch:
    """What is known after one pass over the training part.

    Attributes:
        number: which epoch, counted from 1; `epochs` is how many are planned.
        training_loss: mean over the rows, each measured before the step that used it.
        validation_loss: mean over the held-out rows, after the epoch.
        score: the metric on the held-out rows; None where there is none.
        seconds: since training began.
    """

    number: int
    epochs: int
    training_loss: float
    validation_loss: float
    score: float | None
    seconds: float


Callback = Callable[[Epoch], object]


class Best:
    """A callback that remembers the parameters of the epoch with the lowest validation loss."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.epoch: Epoch | None = None
        self._state = model.state_dict()

    def __call__(self, epoch: Epoch) -> None:
        """Compare an epoch with the best so far."""
        if self.epoch is None or epoch.validation_loss < self.epoch.validation_loss:
            self.epoch, self._state = epoch, self.model.state_dict()

    def restore(self) -> None:
        """Put those parameters back into the model."""
        self.model.load_state_dict(self._state)


def fit(
    model: Module,
    training: Examples,
    validation: Examples,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int = 200,
    batch: int = 16,
    generator: np.random.Generator | int | None = None,
    score: Score | None = None,
    callbacks: Iterable[Callback] = (),
) -> list[Epoch]:
    """Train `model` in place and tell what happened, epoch by epoch.

    Args:
        model: called with features of shape (rows, inputs).
        training: examples to learn from.
        validation: examples to measure on.
        loss: function (output, targets) whose mean over a mini-batch is minimised.
        optimizer: holds the model's parameters.
        epochs: how often to go through the training part.
        batch: rows in a mini-batch; the last one of an epoch may have fewer.
        generator: a NumPy generator or a seed: the order of rows. The same seed gives the same result.
        score: function (output array, targets) measured on the validation part.
        callbacks: called with each `Epoch`; one that returns True ends the training after it.

    Raises:
        OptionError: epochs or batch below 1.
        DataError: a part without rows.
        DivergedError: the loss became infinite or NaN.

    >>> from chainrule import nn
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> examples, model = Examples(x, 3 * x), nn.Linear(1, 1, generator=0)
    >>> optimizer = Optimizer(model.parameters(), "sgd", rate=0.5)
    >>> history = fit(model, examples, examples, loss=nn.mean_squared_error, optimizer=optimizer, generator=0)
    >>> len(history), model.weight.data.round(3)
    (200, array([[3.]]))
    """
    _check_amounts(epochs, batch, training, validation)
    order, start, history = np.random.default_rng(generator), time.perf_counter(), list[Epoch]()
    watchers = [history.append, *callbacks]
    for number in range(1, epochs + 1):
        training_loss = _train_one_epoch(model, training, loss, optimizer, batch, order)
        validation_loss, value = evaluate(model, validation, loss, score)
        _require_finite(training_loss + validation_loss, number, optimizer.rate)
        seconds = time.perf_counter() - start
        epoch = Epoch(number, epochs, training_loss, validation_loss, value, seconds)
        verdicts = [watch(epoch) for watch in watchers]
        if any(verdict is True for verdict in verdicts):
            break
    return history


def evaluate(
    model: Module, examples: Examples, loss: Loss, score: Score | None = None
) -> tuple[float, float | None]:
    """The loss and the score of a model on examples, without training."""
    model.eval()
    with no_grad(), np.errstate(all="ignore"):
        output = model(examples.features)
        value = float(loss(output, examples.targets).item())
    return value, None if score is None else score(output.data, examples.targets)


def _train_one_epoch(
    model: Module,
    examples: Examples,
    loss: Loss,
    optimizer: Optimizer,
    batch: int,
    order: np.random.Generator,
) -> float:
    model.train()
    # One gather for the epoch, so that a mini-batch is a contiguous view.
    shuffled, total = examples.take(order.permutation(examples.rows)), 0.0
    # Overflow is reported once, as DivergedError, not as a warning for each operation.
    with np.errstate(all="ignore"):
        for start in range(0, examples.rows, batch):
            part = shuffled.take(slice(start, start + batch))
            total += _step(model, part, loss, optimizer) * part.rows
    return total / examples.rows


def _step(model: Module, part: Examples, loss: Loss, optimizer: Optimizer) -> float:
    optimizer.zero_grad()
    value = loss(model(part.features), part.targets)
    value.backward()
    optimizer.step()
    return float(value.item())


def _require_finite(loss: float, epoch: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"the loss became {loss} in epoch {epoch}: the steps are too large; try a smaller learning rate "
            f"than {rate:g}, such as {rate / 10:g}"
        )


def _check_amounts(epochs: int, batch: int, training: Examples, validation: Examples) -> None:
    for name, amount in (("epochs", epochs), ("batch", batch)):
        if isinstance(amount, bool) or not isinstance(amount, int | np.integer) or amount < 1:
            raise OptionError(f"{name} must be an integer of at least 1, not {amount!r}")
    for name, part in (("training", training), ("validation", validation)):
        if not part.rows:
            raise DataError(f"the {name} part has no rows")
