"""Searching a learning rate: a few steps at each, and the one after which the loss is lowest."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

import numpy as np

from chainrule.data import Source
from chainrule.errors import DivergedError
from chainrule.nn import Module
from chainrule.optim import Optimizer
from chainrule.train.training import Loss, Training

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
STEPS = 150
"""For each rate; few, because an order of magnitude shows at once."""


class _Some:
    """So many mini-batches of a source, which starts again where it ends."""

    def __init__(self, source: Source, count: int) -> None:
        self.source, self.count = source, count

    def batches(self, size: int, order: np.random.Generator | None = None):  # type: ignore[no-untyped-def]
        left = self.count
        while left:
            before = left
            for part in islice(self.source.batches(size, order), left):
                left -= 1
                yield part
            if left == before:
                return


def search_rate(
    model: Module,
    training: Source,
    loss: Loss,
    optimizer: Callable[[float], Optimizer],
    batch: int,
    seed: int = 0,
) -> float:
    """The rate among `RATES` whose loss is lowest over the second half of a short training; the model is unchanged.

    Each rate starts from the same weights and sees the same rows.

    Raises:
        DivergedError: the loss becomes infinite at every rate.

    >>> from chainrule import data, nn
    >>> x, model = np.linspace(-1, 1, 64)[:, None], nn.Linear(1, 1, generator=0)
    >>> new = lambda rate: Optimizer(model.parameters(), "sgd", rate=rate)
    >>> search_rate(model, data.Examples(x, 3 * x), nn.mean_squared_error, new, batch=8) >= 0.1
    True
    """
    start, losses = model.state_dict(), {}
    for rate in RATES:
        order = np.random.default_rng(seed)
        run = Training(model, _Some(training, STEPS // 2), None, loss, optimizer(rate), 2, batch, order)
        try:
            losses[rate] = run.run()[-1].training_loss
        except DivergedError:
            losses[rate] = math.inf
        model.load_state_dict(start)
    best = min(losses, key=losses.__getitem__)
    if not math.isfinite(losses[best]):
        raise DivergedError(
            "the loss becomes infinite at every learning rate from 0.0003 to 1: look at the data"
        )
    return best
