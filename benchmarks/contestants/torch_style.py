"""A training step in the style of PyTorch's tutorials, for PyTorch itself and for whatever has its names."""

from collections.abc import Callable
from typing import Any, TypeAlias

from benchmarks.contestants import Contestant
from benchmarks.models import Network, Scalar

Step: TypeAlias = Callable[..., Any]


def as_it_is(step: Step) -> Step:
    return step


def scalar(model: Scalar, torch: Any, made: Callable[[Step], Step] = as_it_is) -> Contestant:
    x = torch.tensor(model.parameters()[0], requires_grad=True)

    def step() -> object:
        loss = x**2 + 4 * x
        loss.backward()
        descend(torch, [x], model.rate)
        return loss.detach()

    return Contestant(made(step), lambda: [x.detach().numpy().copy()])


def network(model: Network, torch: Any, made: Callable[[Step], Step] = as_it_is) -> Contestant:
    functional = torch.nn.functional
    # functional.linear takes weights of shape (outputs, inputs), hence the transposes here and at the end.
    parameters = [torch.from_numpy(each.T.copy()).requires_grad_() for each in model.parameters()]
    W1, b1, W2, b2 = parameters
    X = torch.from_numpy(model.inputs)
    activate = torch.tanh if model.hidden == "tanh" else functional.relu
    squared_error = model.loss == "squared error"
    Y = torch.from_numpy(model.targets if squared_error else model.labels)

    def step(X: Any, Y: Any) -> object:
        H = activate(functional.linear(X, W1, b1))
        Z = functional.linear(H, W2, b2)
        loss = functional.mse_loss(torch.sigmoid(Z), Y) if squared_error else functional.cross_entropy(Z, Y)
        loss.backward()
        descend(torch, parameters, model.rate)
        return loss.detach()

    run = made(step)
    return Contestant(lambda: run(X, Y), lambda: [each.detach().numpy().T.copy() for each in parameters])


def descend(torch: Any, parameters: list[Any], rate: float) -> None:
    with torch.no_grad():
        for parameter in parameters:
            parameter -= rate * parameter.grad
            parameter.grad = None
