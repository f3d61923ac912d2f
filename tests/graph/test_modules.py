"""Losses of modules: parameters found in arguments, closures and globals."""

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn

draw = np.random.default_rng(0)
X, Y = draw.normal(size=(6, 4)), draw.normal(size=(6, 1))
network = nn.multilayer([4, 3, 1], "tanh", generator=0)


class Custom(nn.Module):
    """Layers in attributes and in a list, a parameter of its own, and one Tensor that is not trained."""

    def __init__(self) -> None:
        self.encoder, self.heads = nn.Linear(4, 3, generator=0), [nn.Linear(3, 1, generator=1)]
        self.scale = cr.Tensor(np.array(2.0), requires_grad=True)
        self.offset = cr.Tensor(np.arange(3.0))

    def forward(self, x: Any) -> Any:
        return self.heads[0](np.tanh(self.encoder(x)) + self.offset) * self.scale


def of_module(module: Any, x: Any, y: Any) -> Any:
    return ((module(x) - y) ** 2).mean()


def of_network(x: Any, y: Any) -> Any:
    return ((network(x) - y) ** 2).mean()


def gradients(loss: Any, module: nn.Module) -> list[Any]:
    for parameter in module.parameters():
        parameter.grad = None
    loss().backward()
    found = [p.grad.data for p in module.parameters()]  # type: ignore[union-attr]
    for parameter in module.parameters():
        parameter.grad = None
    return found


def test_a_module_outside_is_differentiated_by_its_parameters() -> None:
    derivation = cr.derive(of_network, X, Y)
    assert "def of_network_and_gradient(x, y, *, W1, b1, W2, b2):" in derivation.source
    value, gradient = derivation.function(X, Y)
    assert list(gradient) == ["W1", "b1", "W2", "b2"]
    np.testing.assert_allclose(value, of_network(X, Y).data)
    for found, expected in zip(gradient.values(), gradients(lambda: of_network(X, Y), network), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    other = {name: array + 1 for name, array in derivation.constants.items()}
    assert derivation.function(X, Y, **other)[0] != value
    assert all(type(p) is cr.Tensor and p.requires_grad and p.grad is None for p in network.parameters())


def test_a_module_as_an_argument() -> None:
    module = Custom()
    derivation = cr.derive(of_module, module, X, Y)
    value, gradient = derivation.function(X, Y)
    assert list(gradient) == ["encoder_weight", "encoder_bias", "heads_0_weight", "heads_0_bias", "scale"]
    np.testing.assert_allclose(value, of_module(module, X, Y).data)
    expected = gradients(lambda: of_module(module, X, Y), module)
    for a, b in zip(gradient.values(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_argnums_chooses_between_a_module_and_arrays() -> None:
    _, by_module = cr.derive(of_module, network, X, Y, argnums=0).function(X, Y)
    _, by_x = cr.derive(of_module, network, X, Y, argnums=1).function(X, Y)
    _, (also_module, also_y) = cr.derive(of_module, network, X, Y, argnums=(0, 2)).function(X, Y)
    np.testing.assert_allclose(by_x, cr.grad(lambda x: of_module(network, x, Y))(X), rtol=1e-12)
    np.testing.assert_allclose(also_y, cr.grad(lambda y: of_module(network, X, y))(Y), rtol=1e-12)
    assert by_module.keys() == also_module.keys()
    np.testing.assert_allclose(by_module["W1"], also_module["W1"])


def test_a_loss_without_arguments() -> None:
    value, gradient = cr.derive(lambda: of_network(X, Y)).function()
    np.testing.assert_allclose(value, of_network(X, Y).data)
    assert gradient["W1"].shape == (4, 3)


def test_the_graph_of_a_module_runs_and_prints() -> None:
    graph = cr.trace(of_network, X, Y)
    assert "W1: constant float64 (4, 3)" in str(graph)
    np.testing.assert_allclose(graph(X + 1, Y), of_network(X + 1, Y).data)


def test_second_order_by_parameters_takes_directions_by_name() -> None:
    module = Custom()
    derivation = cr.derive(of_module, module, X, Y, order=2)
    shapes = {name: array.shape for name, array in derivation.constants.items() if name != "offset"}
    directions = {f"v_{name}": draw.normal(size=shape) for name, shape in shapes.items()}
    _, gradient, product = derivation.function(X, Y, **directions)
    step = 1e-6
    moved = {n: derivation.constants[n] + step * directions[f"v_{n}"] for n in gradient}
    back = {n: derivation.constants[n] - step * directions[f"v_{n}"] for n in gradient}
    _, after, _ = derivation.function(X, Y, **directions, **moved)
    _, before, _ = derivation.function(X, Y, **directions, **back)
    for name, found in product.items():
        np.testing.assert_allclose(found, (after[name] - before[name]) / (2 * step), rtol=1e-5, atol=1e-6)


class Slotted:
    """An object whose parts no search finds."""

    __slots__ = ("weight",)

    def __init__(self) -> None:
        self.weight = cr.Tensor(np.full((4, 1), 0.5), requires_grad=True)


def test_parameters_that_are_only_met_are_found_and_their_changes_too() -> None:
    holder = Slotted()

    def loss(x: Any) -> Any:
        return ((x @ holder.weight - Y) ** 2).mean()

    _, gradient = cr.derive(loss, X).function(X)
    np.testing.assert_allclose(next(iter(gradient.values())), 2 * X.T @ (X @ np.full((4, 1), 0.5) - Y) / 6)

    def step(x: Any) -> None:
        holder.weight.grad = None
        loss(x).backward()
        holder.weight.data = holder.weight.data - 0.1 * holder.weight.grad.data  # type: ignore[union-attr]

    (new,) = cr.derive(step, X).function(X).values()
    np.testing.assert_array_equal(holder.weight.data, np.full((4, 1), 0.5))
    step(X)
    np.testing.assert_allclose(new, holder.weight.data, rtol=1e-13)
