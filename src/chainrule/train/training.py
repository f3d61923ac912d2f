"""The training loop: mini-batches, a validation part, callbacks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data import Examples, Source, WindowedSource
from chainrule.errors import DataError, DivergedError, InputError, OptionError, UnsupportedError
from chainrule.modes import no_grad
from chainrule.nn import Module
from chainrule.optim import Optimizer, Schedule, clip_norm, schedule
from chainrule.tensor import Tensor
from chainrule.train.native import NativeSteps, checked, network_of, obstacle

logger = logging.getLogger("chainrule")

Model = Callable[[Any], Tensor]
Loss = Callable[..., Tensor]
Score = Callable[[Any, Any], float]


@dataclass(frozen=True)
class Epoch:
    """What is known after one pass over the training part.

    Attributes:
        number: which epoch, counted from 1; `epochs` is how many are planned.
        training_loss: mean over the rows, each measured before the step that used it.
        validation_loss: mean over the held-out rows, after the epoch; NaN where there are none.
        score: the metric on the held-out rows; None where there is none.
        seconds: since training began.
        rate: the learning rate of the epoch.
    """

    number: int
    epochs: int
    training_loss: float
    validation_loss: float
    score: float | None
    seconds: float
    rate: float = math.nan

    @property
    def loss(self) -> float:
        """The loss to judge the epoch by: on the held-out rows if there are any, else on those trained on."""
        return self.training_loss if math.isnan(self.validation_loss) else self.validation_loss


Callback = Callable[[Epoch], object]


@dataclass(eq=False)
class Training:
    """One training run: what is trained, on what, and how far it is.

    `fit` makes one and runs it. Made by hand, it can be saved between two epochs and continued (see
    `save_checkpoint`), with the same result to the last bit.

    Attributes:
        model: called with features; an `nn.Module`, or any function whose parameters the optimizer holds.
        training: examples to learn from, or another source of mini-batches; one for native code has a `window`, as
            `data.WindowedSource` describes it.
        validation: examples to measure on; None for none.
        loss: function (output, targets), or (output, targets, weights) for examples with weights, whose mean over
            a mini-batch is minimised. If it has an attribute `numbers`, a dict, native code calls it with these by
            name, and serves other values too.
        optimizer: holds the parameters.
        epochs: how often to go through the training part.
        batch: rows in a mini-batch; the last one of an epoch may have fewer.
        order: the generator of the order of rows; None keeps them in the order they have.
        score: function (output array, targets) measured on the validation part.
        schedule: the factor on the optimizer's rate, by how much of the training is done.
        clip: the longest gradient, all parameters together; None for no limit.
        accumulate: mini-batches for each step: as one step on a batch so many times as large.
        compile: whether the steps are native code ("yes", "no"), or "auto": where that is possible, and saves more
            time than compiling takes. The result is the same to rounding.
        described: a value that is equal for two runs only if model and loss compute the same. The native code of a
            run is then kept in the process, and used by the next; "auto" counts on that.
        history: the epochs so far.

    A callback with a method `epochs_ahead() -> float` may be called later: so many epochs, the next one included, are
    trained before it is called with each of them. Native code then runs many epochs in one call.
    """

    model: Model
    training: Source
    validation: Examples | None
    loss: Loss
    optimizer: Optimizer
    epochs: int = 200
    batch: int = 16
    order: np.random.Generator | None = None
    score: Score | None = None
    schedule: Schedule = field(default=schedule("constant"))
    clip: float | None = None
    accumulate: int = 1
    compile: str = "auto"
    described: Hashable = None
    history: list[Epoch] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "accumulate"):
            check_amount(name, getattr(self, name))
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise OptionError(f"clip must be a number above 0, not {self.clip!r}: the longest gradient")
        if not isinstance(self.optimizer, Optimizer):
            raise InputError(
                f"optimizer must be an optim.Optimizer(model.parameters(), …), not {self.optimizer!r}"
            )
        for name in ("training", "validation"):
            part = getattr(self, name)
            if type(part) in (tuple, list) or isinstance(part, np.ndarray):
                raise DataError(
                    f"the {name} part is of type {type(part).__name__}; give data.Examples(features, targets)"
                )
            if isinstance(part, Examples) and not part.rows:
                raise DataError(f"the {name} part has no rows")
        self.rate = self.optimizer.rate
        self._native = self._native_steps()

    def _native_steps(self) -> NativeSteps | None:
        """The steps as native code, where that is wanted and possible."""
        if checked(self.compile) == "no":
            return None
        reason = obstacle(self.model, self.training, self.accumulate)
        if reason is not None:
            if self.compile == "yes":
                raise OptionError(f"compile='yes': this training cannot be native code: {reason}")
            return None
        assert isinstance(self.training, WindowedSource)
        assert isinstance(self.model, Module)
        network = network_of(self.described, self.optimizer, self.clip)
        extent = self.training.rows, self.batch, self.epochs
        if self.compile == "auto" and not network.pays(self.optimizer, *extent):
            return None
        return NativeSteps(
            self.model, self.training.window(self.batch), self.loss, self.optimizer, self.clip, network
        )

    def run(self, callbacks: Iterable[Callback] = ()) -> list[Epoch]:
        """Train from the epoch it is at to the last; returns the history.

        Raises:
            DivergedError: the loss became infinite or NaN.
            UnsupportedError: with compile="yes", the loss cannot be traced.
        """
        before = self.history[-1].seconds if self.history else 0.0
        start, callbacks = time.perf_counter() - before, list(callbacks)
        self.prepare()
        try:
            while len(self.history) < self.epochs:
                verdicts: list[object] = []
                for epoch in self._some_epochs(callbacks, start):
                    self.history.append(epoch)
                    verdicts += [watch(epoch) for watch in callbacks]
                if any(verdict is True for verdict in verdicts):
                    break
        finally:
            if self._native is not None:
                self._native.finish()
        return self.history

    @property
    def is_native(self) -> bool:
        """Whether its steps are native code, as far as is known: `prepare` finds out what cannot be compiled."""
        return self._native is not None

    def prepare(self) -> None:
        """Compile the steps, as `run` does first; without native steps, nothing.

        With compile="auto", NumPy does what cannot be compiled, and finds true mistakes too.
        """
        if self._native is None:
            return
        try:
            self._native.prepare(self.batch)
        except Exception as reason:
            if self.compile == "yes":
                raise
            level = logging.DEBUG if isinstance(reason, UnsupportedError) else logging.WARNING
            logger.log(level, "training runs in NumPy, because its step could not be compiled: %s", reason)
            self._native = None

    def _some_epochs(self, callbacks: Sequence[Callback], start: float) -> Iterator[Epoch]:
        """The next epochs: one, or as many as nobody needs to see before they are all done."""
        first, before = len(self.history), time.perf_counter() - start
        rate = self.optimizer.rate = self._rate(first)
        # Overflow is reported once, as DivergedError, not as a warning for each operation.
        with np.errstate(all="ignore"):
            if self._native is None:
                losses = [self._train()]
            else:
                count = self._unseen(callbacks, self._native.most_epochs)
                losses = self._native.epochs(count, self.batch, self.order)
        validation_loss, value = math.nan, None
        if self.validation is not None:
            validation_loss, value = evaluate(self.model, self.validation, self.loss, self.score)
        each = (time.perf_counter() - start - before) / len(losses)
        for i, loss in enumerate(losses, 1):
            yield _finite(
                Epoch(first + i, self.epochs, loss, validation_loss, value, before + i * each, rate)
            )

    def _unseen(self, callbacks: Sequence[Callback], most: int) -> int:
        """How many epochs may be trained at once: those of one rate, with nothing to be done between them."""
        first = len(self.history)
        ahead = [getattr(callback, "epochs_ahead", None) for callback in callbacks]
        if self.validation is not None or None in ahead:
            return 1
        last = int(max(1, min([most, self.epochs - first, *(one() for one in ahead if one)])))
        rate = self._rate(first)
        return next((i for i in range(1, last) if self._rate(first + i) != rate), last)

    def _rate(self, done: int) -> float:
        """The learning rate after so many epochs."""
        return self.rate * self.schedule(done / self.epochs)

    def _train(self) -> float:
        """One epoch, in NumPy; returns the mean loss."""
        _switch(self.model, training=True)
        total = amount = pending = 0.0
        waiting = 0
        for part in self.training.batches(self.batch, self.order):
            if not waiting:
                self.optimizer.zero_grad()
            value = loss_of(self.loss, self.model(part.features), part)
            size = part.amount
            # Weighed by its rows, so that several parts add up to the gradient of one large part.
            (value if self.accumulate == 1 else value * size).backward()
            total, amount = total + float(value.item()) * size, amount + size
            waiting, pending = waiting + 1, pending + size
            if waiting == self.accumulate:
                self._step(pending)
                waiting, pending = 0, 0.0
        if waiting:
            self._step(pending)
        if not amount:
            raise DataError("the training part has no rows")
        return total / amount

    def _step(self, pending: float) -> None:
        if self.accumulate > 1:
            for parameter in self.optimizer.parameters:
                if parameter.grad is not None:
                    parameter.grad.data /= pending
        if self.clip is not None:
            clip_norm(self.optimizer.parameters, self.clip)
        self.optimizer.step()


def fit(
    model: Model,
    training: Source,
    validation: Examples | None = None,
    *,
    loss: Loss,
    optimizer: Optimizer,
    generator: np.random.Generator | int | None = None,
    shuffle: bool = True,
    callbacks: Iterable[Callback] = (),
    **options: Any,
) -> list[Epoch]:
    """Train `model` in place and tell what happened, epoch by epoch.

    `generator`, a NumPy generator or a seed, gives the order of rows: the same seed gives the same result. Each of
    the `callbacks` is called with each `Epoch`; one that returns True ends the training after it. All else is
    described with `Training`: `epochs`, `batch`, `score`, `schedule`, `clip`, `accumulate`,
    `compile`.

    Raises:
        OptionError: an amount below 1.
        InputError: what should be the optimizer is none.
        DataError: a part without rows, or that is no Examples.
        DivergedError: the loss became infinite or NaN.

    >>> from chainrule import nn
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> examples, model = Examples(x, 3 * x), nn.Linear(1, 1, generator=0)
    >>> optimizer = Optimizer(model.parameters(), "sgd", rate=0.5)
    >>> history = fit(model, examples, examples, loss=nn.mean_squared_error, optimizer=optimizer, generator=0)
    >>> len(history), model.weight.data.round(3)
    (200, array([[3.]]))

    Any function will do whose parameters the optimizer has:

    >>> slope = Tensor(np.zeros(()), requires_grad=True)
    >>> optimizer = Optimizer([slope], "sgd", rate=0.5)
    >>> _ = fit(lambda x: slope * x, examples, loss=nn.mean_squared_error, optimizer=optimizer, generator=0)
    >>> round(float(slope.data), 3)
    3.0
    """
    order = np.random.default_rng(generator) if shuffle else None
    return Training(model, training, validation, loss, optimizer, order=order, **options).run(callbacks)


def check_amount(name: str, amount: object) -> None:
    """Raise OptionError for what is no number of epochs, rows or steps.

    >>> check_amount("batch", 0)
    Traceback (most recent call last):
        ...
    chainrule.errors.OptionError: batch must be an integer of at least 1, not 0
    """
    if isinstance(amount, bool) or not isinstance(amount, int | np.integer) or amount < 1:
        raise OptionError(f"{name} must be an integer of at least 1, not {amount!r}")


def _finite(epoch: Epoch) -> Epoch:
    """The epoch, or a DivergedError."""
    if not math.isfinite(epoch.training_loss) or not math.isfinite(epoch.loss):
        worse = epoch.loss if math.isfinite(epoch.training_loss) else epoch.training_loss
        raise DivergedError(
            f"the loss became {worse} in epoch {epoch.number}: the steps are too large; try a smaller learning "
            f"rate than {epoch.rate:g}, such as {epoch.rate / 10:g}"
        )
    return epoch


def evaluate(
    model: Model, examples: Examples, loss: Loss, score: Score | None = None
) -> tuple[float, float | None]:
    """The loss and the score of a model on examples, without training."""
    _switch(model, training=False)
    with no_grad(), np.errstate(all="ignore"):
        output = model(examples.features)
        value = float(loss_of(loss, output, examples).item())
    return value, None if score is None else score(output.data, examples.targets)


def loss_of(loss: Loss, output: Tensor, examples: Examples) -> Tensor:
    """The loss of a model's output; weights are only passed where there are any."""
    weights = () if examples.weights is None else (examples.weights,)
    return loss(output, examples.targets, *weights)


def _switch(model: Model, training: bool) -> None:
    if isinstance(model, Module):
        model.train(training)
