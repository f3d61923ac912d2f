"""What can be done after each epoch: keep the best weights, stop early."""

from __future__ import annotations

import math

from chainrule.nn import Module
from chainrule.train.training import Epoch


class Best:
    """A callback that remembers the parameters of the epoch with the lowest loss on the held-out rows."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.epoch: Epoch | None = None
        self.state = model.state_dict()

    def __call__(self, epoch: Epoch) -> None:
        """Compare an epoch with the best so far."""
        if self.epoch is None or epoch.loss < self.epoch.loss:
            self.epoch, self.state = epoch, self.model.state_dict()

    def restore(self) -> None:
        """Put those parameters back into the model."""
        self.model.load_state_dict(self.state)


class EarlyStopping:
    """A callback that ends the training when the loss has not become lower for `patience` epochs.

    An epoch counts as better when its loss is lower than the best by more than `minimum`.

    >>> stop = EarlyStopping(patience=2)
    >>> losses = [1.0, 0.5, 0.6, 0.55, 0.4]
    >>> [stop(Epoch(i, 9, loss, math.nan, None, 0.0)) for i, loss in enumerate(losses, start=1)]
    [False, False, False, True, False]
    """

    def __init__(self, patience: int = 20, minimum: float = 0.0) -> None:
        self.patience, self.minimum = patience, minimum
        self.best, self.waited = math.inf, 0

    def __call__(self, epoch: Epoch) -> bool:
        """Whether to stop."""
        better = epoch.loss < self.best - self.minimum
        self.best, self.waited = (epoch.loss, 0) if better else (self.best, self.waited + 1)
        return self.waited >= self.patience

    def epochs_ahead(self) -> float:
        """How many epochs pass before the training could end."""
        return self.patience - self.waited
