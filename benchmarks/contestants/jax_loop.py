"""JAX: many training steps in one jitted call, in `fori_loop`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import models
from benchmarks.contestants import Contestant
from benchmarks.contestants.jax_jit import Step, network_step, scalar_step


def scalar(model: models.Scalar, steps: int) -> Contestant:
    return looped(model, scalar_step(model), steps)


def network(model: models.Network, steps: int) -> Contestant:
    return looped(model, network_step(model), steps)


def looped(model: models.Model, train: Step, steps: int) -> Contestant:
    parameters = [jnp.asarray(each) for each in model.parameters()]

    def body(_: int, carried: Any) -> Any:
        _, parameters = carried
        return train(parameters)

    many = jax.jit(lambda parameters: jax.lax.fori_loop(0, steps, body, (jnp.float32(0), parameters)))

    def step() -> object:
        nonlocal parameters
        loss, parameters = jax.block_until_ready(many(parameters))
        return loss

    return Contestant(step, lambda: [np.asarray(each) for each in parameters], steps)
