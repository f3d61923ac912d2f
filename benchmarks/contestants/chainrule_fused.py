"""chainrule with the fused primitives of ``chainrule.ops``: the fastest eager spelling."""

from typing import Any

from benchmarks.contestants import Contestant
from benchmarks.models import Network, Scalar
from chainrule import Tensor, ops


def scalar(model: Scalar) -> Contestant:
    x = Tensor(model.parameters()[0], requires_grad=True)

    def step() -> object:
        loss = x**2 + 4 * x
        loss.backward()
        descend([x], model.rate)
        return loss.data

    return Contestant(step, lambda: [x.data.copy()])


def network(model: Network) -> Contestant:
    parameters = [Tensor(each, requires_grad=True) for each in model.parameters()]
    W1, b1, W2, b2 = parameters
    X, labels, targets = model.inputs, model.labels, model.targets
    activate = ops.tanh if model.hidden == "tanh" else ops.relu
    squared_error = model.loss == "squared error"

    def step() -> object:
        H = activate(ops.linear(X, W1, b1))
        Z = ops.linear(H, W2, b2)
        if squared_error:
            loss = ops.mean_squared_error(ops.sigmoid(Z), targets)
        else:
            loss = ops.cross_entropy(Z, labels)
        loss.backward()
        descend(parameters, model.rate)
        return loss.data

    return Contestant(step, lambda: [each.data.copy() for each in parameters])


def descend(parameters: list[Any], rate: float) -> None:
    for parameter in parameters:
        parameter.data -= rate * parameter.grad.data
        parameter.grad = None
