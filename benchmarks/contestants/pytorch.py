"""PyTorch, eager, the way its tutorials write a training step."""

from typing import Any

import torch
from torch.nn import functional

from benchmarks.contestants import Contestant
from benchmarks.models import Network, Scalar

torch.set_num_threads(1)


def scalar(model: Scalar) -> Contestant:
    x = torch.tensor(model.parameters()[0], requires_grad=True)

    def step() -> object:
        loss = x**2 + 4 * x
        loss.backward()
        descend([x], model.rate)
        return loss.detach()

    return Contestant(step, lambda: [x.detach().numpy().copy()])


def network(model: Network) -> Contestant:
    # functional.linear takes weights of shape (outputs, inputs), hence the transposes here and at the end.
    parameters = [torch.from_numpy(each.T.copy()).requires_grad_() for each in model.parameters()]
    W1, b1, W2, b2 = parameters
    X = torch.from_numpy(model.inputs)
    activate = torch.tanh if model.hidden == "tanh" else functional.relu
    labels, targets = torch.from_numpy(model.labels), torch.from_numpy(model.targets)
    squared_error = model.loss == "squared error"

    def step() -> object:
        H = activate(functional.linear(X, W1, b1))
        Z = functional.linear(H, W2, b2)
        if squared_error:
            loss = functional.mse_loss(torch.sigmoid(Z), targets)
        else:
            loss = functional.cross_entropy(Z, labels)
        loss.backward()
        descend(parameters, model.rate)
        return loss.detach()

    return Contestant(step, lambda: [each.detach().numpy().T.copy() for each in parameters])


def descend(parameters: list[Any], rate: float) -> None:
    with torch.no_grad():
        for parameter in parameters:
            parameter -= rate * parameter.grad
            parameter.grad = None
