"""chainrule compiled: many training steps in one native call."""

import numpy as np

from benchmarks.contestants import Contestant
from benchmarks.contestants.compiled import Step, data_of, network_step, scalar_step
from benchmarks.models import Array, Model, Network, Scalar
from chainrule.compiled import NativeLoop


def scalar(model: Scalar, steps: int) -> Contestant:
    def step(parameters: list[Array], batch: Array) -> tuple[list[Array], object]:
        return scalar_step(model)(parameters)

    return looped(model, step, (np.zeros(1, np.float32),), steps)


def network(model: Network, steps: int) -> Contestant:
    one = network_step(model)
    return looped(model, lambda parameters, batch: one(parameters, *batch), data_of(model), steps)


def looped(model: Model, step: Step, data: tuple[Array, ...], steps: int) -> Contestant:
    """All rows are a batch, in another order each time: gathering them is part of a step."""
    loop = NativeLoop(step, model.parameters(), data if len(data) > 1 else data[0])
    rows, draw = len(data[0]), np.random.default_rng(0)
    order = np.concatenate([draw.permutation(rows) for _ in range(steps)])
    return Contestant(lambda: loop.run(order, rows)[-1], lambda: loop.state, steps)
