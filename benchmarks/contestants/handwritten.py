"""NumPy, with the backward pass derived by hand: the floor that an eager engine on NumPy can reach."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from benchmarks.contestants import Contestant
from benchmarks.models import Array, Network, Scalar

LossAndCotangent: TypeAlias = Callable[[Array], tuple[object, Array]]


def scalar(model: Scalar) -> Contestant:
    (x,) = model.parameters()
    rate = np.float32(model.rate)

    def step() -> object:
        loss = x * x + 4 * x
        np.subtract(x, rate * (2 * x + 4), out=x)
        return loss

    return Contestant(step, lambda: [x.copy()])


def network(model: Network) -> Contestant:
    parameters = model.parameters()
    W1, b1, W2, b2 = parameters
    X, rate = model.inputs, np.float32(model.rate)
    activate, pull_back = (tanh, tanh_back) if model.hidden == "tanh" else (relu, relu_back)
    loss_and_cotangent = squared_error(model) if model.loss == "squared error" else cross_entropy(model)

    def step() -> object:
        H = X @ W1
        H += b1
        activate(H)
        Z = H @ W2
        Z += b2
        loss, Z_bar = loss_and_cotangent(Z)
        H_bar = Z_bar @ W2.T
        pull_back(H_bar, H)
        gradients = X.T @ H_bar, H_bar.sum(axis=0), H.T @ Z_bar, Z_bar.sum(axis=0)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            gradient *= rate
            parameter -= gradient
        return loss

    return Contestant(step, lambda: [parameter.copy() for parameter in parameters])


def tanh(Z: Array) -> None:
    np.tanh(Z, out=Z)


def tanh_back(g: Array, out: Array) -> None:
    g *= 1 - out * out


def relu(Z: Array) -> None:
    np.maximum(Z, 0, out=Z)


def relu_back(g: Array, out: Array) -> None:
    g *= out > 0


def squared_error(model: Network) -> LossAndCotangent:
    """Of the sigmoid of the logits: returns the loss and the logits' cotangent."""
    Y = model.targets
    factor = np.float32(2 / Y.size)

    def loss_and_cotangent(Z: Array) -> tuple[object, Array]:
        P = 1 / (1 + np.exp(-Z))
        error = P - Y
        Z_bar = 1 - P
        Z_bar *= P
        Z_bar *= error
        Z_bar *= factor
        return np.square(error).mean(), Z_bar

    return loss_and_cotangent


def cross_entropy(model: Network) -> LossAndCotangent:
    """Of the softmax of the logits: returns the loss and the logits' cotangent."""
    count = np.float32(model.rows)
    target = np.arange(model.rows), model.labels

    def loss_and_cotangent(Z: Array) -> tuple[object, Array]:
        Z -= Z.max(axis=1, keepdims=True)
        P = np.exp(Z)
        total = P.sum(axis=1, keepdims=True)
        loss = (np.log(total).sum() - Z[target].sum()) / count
        P /= total
        P[target] -= 1
        P /= count
        return loss, P

    return loss_and_cotangent
