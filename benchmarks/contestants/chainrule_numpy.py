"""chainrule with NumPy's functions only: the forward pass as somebody writes it who knows no library."""

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.contestants import Contestant
from benchmarks.models import Array, Model, Network, Scalar


def scalar(model: Scalar) -> Contestant:
    return contestant(model, lambda x: x**2 + 4 * x)


def network(model: Network) -> Contestant:
    X, one_hot, targets = model.inputs, model.one_hot, model.targets
    activate = np.tanh if model.hidden == "tanh" else relu

    def loss(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        Z = activate(X @ W1 + b1) @ W2 + b2
        if model.loss == "squared error":
            return ((1 / (1 + np.exp(-Z)) - targets) ** 2).mean()
        return cross_entropy(Z, one_hot)

    return contestant(model, loss)


def contestant(model: Model, loss: Callable[..., Any]) -> Contestant:
    parameters = model.parameters()
    differentiate = cr.value_and_grad(loss, argnums=tuple(range(len(parameters))))

    def step() -> object:
        value, gradients = differentiate(*parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            np.subtract(parameter, model.rate * gradient, out=parameter)
        return value

    return Contestant(step, lambda: [parameter.copy() for parameter in parameters])


def relu(Z: Any) -> Any:
    return np.maximum(Z, 0)


def cross_entropy(Z: Any, one_hot: Array) -> Any:
    shifted = Z - Z.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(log_softmax * one_hot).sum() / len(one_hot)
