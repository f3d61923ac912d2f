"""JAX: loss, gradient and update in one jitted function, called once per step."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks import models
from benchmarks.contestants import Contestant

# Handing each step to another thread and waiting for it takes longer, and now and then three times as long.
jax.config.update("jax_cpu_enable_async_dispatch", False)

Parameters: TypeAlias = list[Array]
Step: TypeAlias = Callable[[Parameters], tuple[Array, Parameters]]


def scalar(model: models.Scalar) -> Contestant:
    return contestant(model, scalar_step(model))


def network(model: models.Network) -> Contestant:
    return contestant(model, network_step(model))


def contestant(model: models.Model, step_of: Step) -> Contestant:
    parameters = [jnp.asarray(each) for each in model.parameters()]
    train = jax.jit(step_of)

    def step() -> object:
        nonlocal parameters
        loss, parameters = jax.block_until_ready(train(parameters))
        return loss

    return Contestant(step, lambda: [np.asarray(each) for each in parameters])


# the steps, which the loop shares ---------------------------------------------------------------------------


def scalar_step(model: models.Scalar) -> Step:
    return descent(model, lambda parameters: parameters[0] ** 2 + 4 * parameters[0])


def network_step(model: models.Network) -> Step:
    X, labels, targets = jnp.asarray(model.inputs), jnp.asarray(model.labels), jnp.asarray(model.targets)
    activate = jnp.tanh if model.hidden == "tanh" else jax.nn.relu

    def loss_of(parameters: Parameters) -> Array:
        W1, b1, W2, b2 = parameters
        Z = activate(X @ W1 + b1) @ W2 + b2
        if model.loss == "squared error":
            return jnp.mean((jax.nn.sigmoid(Z) - targets) ** 2)
        return -jnp.take_along_axis(jax.nn.log_softmax(Z), labels[:, None], axis=1).mean()

    return descent(model, loss_of)


def descent(model: models.Model, loss_of: Callable[[Any], Array]) -> Step:
    def train(parameters: Parameters) -> tuple[Array, Parameters]:
        loss, gradients = jax.value_and_grad(loss_of)(parameters)
        return loss, jax.tree.map(lambda p, gradient: p - model.rate * gradient, parameters, gradients)

    return train
