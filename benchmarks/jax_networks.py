"""The larger networks in JAX: the same losses, differentiated and updated in one jitted function."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from benchmarks.measure import Step
from benchmarks.networks import NETWORKS, RATE, UNITS

Parameters: TypeAlias = Mapping[str, Array]


def lstm_loss(p: Parameters, X: Array, Y: Array) -> Array:
    h = c = jnp.zeros((X.shape[1], UNITS), jnp.float32)
    for x in X:
        z = x @ p["W"] + h @ p["U"] + p["b"]
        i, f, g, o = (z[:, UNITS * j : UNITS * (j + 1)] for j in range(4))
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return ((h @ p["V"] - Y) ** 2).mean()


def cnn_loss(p: Parameters, X: Array, Y: Array) -> Array:
    H = X
    for K, c in ((p["K1"], p["c1"]), (p["K2"], p["c2"])):
        H = jax.nn.relu(jax.lax.conv(H, K, (1, 1), "SAME") + c)
        rows, channels, height, width = H.shape
        H = H.reshape((rows, channels, height // 2, 2, width // 2, 2)).max(axis=(3, 5))
    Z = H.reshape((len(X), -1)) @ p["W"] + p["b"]
    return -jnp.take_along_axis(jax.nn.log_softmax(Z), Y[:, None], axis=1).mean()


LOSSES: Mapping[str, Callable[..., Array]] = {"lstm": lstm_loss, "cnn": cnn_loss}


def jax_step(name: str) -> Step:
    network = NETWORKS[name]()
    differentiate = jax.value_and_grad(LOSSES[name])
    parameters: Any = {key: jnp.asarray(value) for key, value in network.parameters.items()}
    X, Y = jnp.asarray(network.X), jnp.asarray(network.Y)

    @jax.jit
    def train(parameters: Parameters, X: Array, Y: Array) -> tuple[Array, Parameters]:
        loss, gradients = differentiate(parameters, X, Y)
        return loss, {key: p - RATE * gradients[key] for key, p in parameters.items()}

    def step() -> object:
        nonlocal parameters
        loss, parameters = jax.block_until_ready(train(parameters, X, Y))
        return loss

    return step
