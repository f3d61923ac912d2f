"""chainrule compiled: the whole training step (forward, backward, update) as native code, one call for each step."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import llvmlite  # noqa: F401  # without it, this contestant is skipped
import numpy as np

import chainrule as cr
from benchmarks.contestants import Contestant
from benchmarks.models import Array, Model, Network, Scalar

Parameters: TypeAlias = list[Array]
Step: TypeAlias = Callable[..., tuple[Parameters, Any]]


def scalar(model: Scalar, backend: str | None = None) -> Contestant:
    return called(model, scalar_step(model), (), backend)


def network(model: Network, backend: str | None = None) -> Contestant:
    return called(model, network_step(model), data_of(model), backend)


def called(model: Model, step: Step, data: tuple[Array, ...], backend: str | None) -> Contestant:
    train = cr.compile(step, backend=backend)
    parameters: Parameters = model.parameters()

    def one() -> object:
        nonlocal parameters
        parameters, loss = train(parameters, *data)
        return loss

    return Contestant(one, lambda: [np.array(each) for each in parameters])


# the steps, which the loop and the NumPy fallback share ------------------------------------------------------


def scalar_step(model: Scalar) -> Step:
    return descent(model.rate, lambda parameters: parameters[0] ** 2 + 4 * parameters[0])


def network_step(model: Network) -> Step:
    return descent(model.rate, partial(loss_of, model.hidden, model.loss))


def data_of(model: Network) -> tuple[Array, ...]:
    return model.inputs, model.targets if model.loss == "squared error" else model.labels


def loss_of(hidden: str, loss: str, parameters: Any, X: Any, Y: Any) -> Any:
    W1, b1, W2, b2 = parameters
    H = X @ W1 + b1
    H = np.tanh(H) if hidden == "tanh" else cr.ops.relu(H)
    Z = H @ W2 + b2
    if loss == "squared error":
        return ((1 / (1 + np.exp(-Z)) - Y) ** 2).mean()
    return cr.ops.cross_entropy(Z, Y)


def descent(rate: float, loss: Callable[..., Any]) -> Step:
    differentiate = cr.value_and_grad(loss)

    def step(parameters: Parameters, *data: Array) -> tuple[Parameters, Any]:
        value, gradients = differentiate(parameters, *data)
        return [p - rate * g for p, g in zip(parameters, gradients, strict=True)], value

    return step
