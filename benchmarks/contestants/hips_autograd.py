"""HIPS autograd: NumPy functions that are traced."""

import autograd.numpy as np
from autograd import value_and_grad
from autograd.scipy.special import logsumexp

from benchmarks.contestants import Contestant
from benchmarks.models import Array, Network, Scalar


def scalar(model: Scalar) -> Contestant:
    (x,) = model.parameters()
    differentiate = value_and_grad(lambda x: x**2 + 4 * x)

    def step() -> object:
        loss, gradient = differentiate(x)
        np.subtract(x, model.rate * gradient, out=x)
        return loss

    return Contestant(step, lambda: [x.copy()])


def network(model: Network) -> Contestant:
    parameters = model.parameters()
    X = model.inputs
    activate = np.tanh if model.hidden == "tanh" else relu
    loss_of_logits = squared_error if model.loss == "squared error" else cross_entropy
    Y = model.targets if model.loss == "squared error" else model.one_hot

    def loss_of(W1: Array, b1: Array, W2: Array, b2: Array) -> object:
        H = activate(X @ W1 + b1)
        return loss_of_logits(H @ W2 + b2, Y)

    differentiate = value_and_grad(loss_of, argnum=(0, 1, 2, 3))

    def step() -> object:
        loss, gradients = differentiate(*parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= model.rate * gradient
        return loss

    return Contestant(step, lambda: [parameter.copy() for parameter in parameters])


def relu(Z: Array) -> object:
    return np.maximum(Z, 0)


def squared_error(Z: Array, Y: Array) -> object:
    P = 1 / (1 + np.exp(-Z))
    return np.mean((P - Y) ** 2)


def cross_entropy(Z: Array, Y: Array) -> object:
    return np.mean(logsumexp(Z, axis=1)) - np.sum(Z * Y) / len(Y)
