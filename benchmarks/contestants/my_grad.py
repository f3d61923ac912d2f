"""MyGrad: tensors over NumPy."""

from typing import Any

import mygrad
import numpy as np
from mygrad.nnet.activations import relu, sigmoid
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.contestants import Contestant
from benchmarks.models import Network, Scalar

# Its documentation advises this for speed, once a program is known not to write into its intermediates.
mygrad.turn_memory_guarding_off()


def scalar(model: Scalar) -> Contestant:
    x: Any = mygrad.tensor(model.parameters()[0])
    four = np.float32(4)  # Python's 4 would make it float64

    def step() -> object:
        loss = x**2 + x * four
        loss.backward()
        descend([x], model.rate)
        return loss

    return Contestant(step, lambda: [x.data.copy()])


def network(model: Network) -> Contestant:
    parameters = [mygrad.tensor(each) for each in model.parameters()]
    W1, b1, W2, b2 = parameters
    X = model.inputs
    activate = mygrad.tanh if model.hidden == "tanh" else relu
    squared_error = model.loss == "squared error"
    labels, targets = model.labels, model.targets

    def step() -> object:
        H = activate(mygrad.matmul(X, W1) + b1)
        Z = mygrad.matmul(H, W2) + b2
        loss = ((sigmoid(Z) - targets) ** 2).mean() if squared_error else softmax_crossentropy(Z, labels)
        loss.backward()
        descend(parameters, model.rate)
        return loss

    return Contestant(step, lambda: [each.data.copy() for each in parameters])


def descend(parameters: list[Any], rate: float) -> None:
    for parameter in parameters:
        # The next forward pass forgets the gradient by itself.
        parameter.data -= rate * parameter.grad
