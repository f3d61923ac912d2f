"""Modules, layers, activations, first weights and losses."""

import math
from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import InputError, OptionError, ShapeError, StateError
from chainrule.tensor import Tensor
from chainrule.train import check_parameters


class Tree(nn.Module):
    """Parameters in every kind of place."""

    def __init__(self) -> None:
        self.scale = Tensor(np.array(2.0), requires_grad=True)
        self.layers = [nn.Linear(2, 3, generator=0), nn.Tanh()]
        self.heads = {"mean": nn.Linear(3, 1, generator=1), "spread": nn.Linear(3, 1, generator=2)}
        self.pair = (Tensor(np.zeros(2), requires_grad=True), "no parameter", 3)
        self.running_mean = Tensor(np.ones(3))
        self.parent = self

    def forward(self, x: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        result: Tensor = self.heads["mean"](x) * self.scale
        return result


def test_parameters_are_found_in_order_of_definition() -> None:
    tree = Tree()
    assert [name for name, _ in tree.named_parameters()] == [
        "scale",
        "layers.0.weight",
        "layers.0.bias",
        "heads.mean.weight",
        "heads.mean.bias",
        "heads.spread.weight",
        "heads.spread.bias",
        "pair.0",
    ]
    assert [id(p) for p in tree.parameters()] == [id(p) for _, p in tree.named_parameters()]


def test_tensors_without_gradient_are_saved_but_not_trained() -> None:
    tree = Tree()
    assert "running_mean" in tree.state_dict()
    assert "running_mean" not in dict(tree.named_parameters())


def test_a_shared_layer_counts_once() -> None:
    layer = nn.Linear(2, 2, generator=0)
    assert len(nn.Sequential(layer, nn.Tanh(), layer).parameters()) == 2


def test_training_mode_reaches_every_module() -> None:
    tree = Tree()
    assert tree.eval() is tree
    assert not any(module.training for module in tree.modules())
    tree.train()
    assert all(module.training for module in tree.modules())


def test_state_goes_from_one_module_to_another() -> None:
    first, second = nn.multilayer([3, 4, 2], generator=0), nn.multilayer([3, 4, 2], generator=1)
    second.load_state_dict(first.state_dict())
    x = np.ones((1, 3))
    assert np.array_equal(first(x).data, second(x).data)


def test_a_state_is_a_copy() -> None:
    layer = nn.Linear(2, 2, generator=0)
    state = layer.state_dict()
    state["weight"][:] = 0
    layer.load_state_dict(state)
    state["weight"][:] = 7
    assert not layer.weight.data.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": None}, r"lacks weight; Linear needs weight, bias"),
        ({"wieght": np.zeros(1)}, r"has unknown wieght"),
        ({"weight": np.zeros((3, 2))}, r"weight has shape \(3, 2\) in the state, but \(2, 3\)"),
        ({"bias": np.zeros(3, complex)}, r"bias is complex128 in the state"),
        ({"bias": np.array(["a", "b", "c"])}, r"does not convert to float64"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    change: dict[str, Any], message: str
) -> None:
    layer = nn.Linear(2, 3, generator=0)
    before = layer.state_dict()
    state = {name: value + 1 for name, value in before.items()} | change
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(StateError, match=message):
        layer.load_state_dict(state)
    assert all(np.array_equal(before[name], value) for name, value in layer.state_dict().items())


def test_a_float32_state_keeps_the_modules_type() -> None:
    layer = nn.Linear(2, 3, generator=0)
    layer.load_state_dict({name: value.astype(np.float32) for name, value in layer.state_dict().items()})
    assert layer.weight.dtype == np.float64


def test_repr_shows_the_structure() -> None:
    assert repr(nn.Sequential(nn.Linear(2, 3, bias=False, generator=0), nn.ReLU())) == (
        "Sequential(\n  0: Linear(2, 3, bias=False)\n  1: ReLU()\n)"
    )


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1.0)


def test_linear_is_affine() -> None:
    layer, x = nn.Linear(3, 2, generator=0), np.arange(6.0).reshape(2, 3)
    layer.bias = Tensor(np.array([1.0, -1.0]), requires_grad=True)
    assert np.allclose(layer(x).data, x @ layer.weight.data + [1, -1])
    assert nn.Linear(3, 2, bias=False, generator=0)(x).shape == (2, 2)
    assert nn.Linear(3, 2, generator=0)(np.ones((4, 5, 3))).shape == (4, 5, 2)


def test_linear_refuses_another_width() -> None:
    with pytest.raises(ShapeError, match=r"Linear\(3, 2\) got an input of shape \(4, 5\).*length 3"):
        nn.Linear(3, 2)(np.ones((4, 5)))


@pytest.mark.parametrize("sizes", [(0, 3), (3, -1), (2.0, 3), (True, 3)])
def test_linear_refuses_sizes_that_are_none(sizes: tuple[Any, Any]) -> None:
    with pytest.raises(OptionError, match="integer of at least 1"):
        nn.Linear(*sizes)


def test_the_seed_fixes_the_first_weights() -> None:
    first, second, other = (nn.multilayer([3, 4, 2], generator=seed) for seed in (5, 5, 6))
    assert np.array_equal(first[0].state_dict()["weight"], second[0].state_dict()["weight"])
    assert not np.array_equal(first[0].state_dict()["weight"], other[0].state_dict()["weight"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_have_the_dtype_asked_for(dtype: Any) -> None:
    network = nn.multilayer([3, 4, 2], generator=0, dtype=dtype)
    assert {parameter.dtype for parameter in network.parameters()} == {np.dtype(dtype)}
    assert network(np.ones((1, 3), dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot-uniform", 2 / 500),
        ("glorot-normal", 2 / 500),
        ("he-uniform", 2 / 300),
        ("he-normal", 2 / 300),
    ],
)
def test_first_weights_have_the_variance_of_their_source(name: str, variance: float) -> None:
    weights = nn.initializer(name)(np.random.default_rng(0), (300, 200), np.float64)
    assert weights.shape == (300, 200)
    assert np.isclose(weights.var(), variance, rtol=0.03)
    assert abs(weights.mean()) < 1e-3


FORMULAS = {
    "identity": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "relu": lambda x: np.maximum(x, 0),
    "leakyrelu": lambda x: np.where(x > 0, x, 0.01 * x),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: np.array([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x]),
}


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_activations(name: str) -> None:
    x = np.array([-3.0, -0.5, 0.7, 4.0])
    module = nn.activation(name.upper())()
    assert np.allclose(module(x), FORMULAS[name](x), rtol=1e-14, atol=1e-14)
    point = Tensor(x, requires_grad=True)
    assert check_parameters(lambda: module(point).sum(), {"x": point}).worst < 1e-8


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(OptionError, match="no activation 'than': choose one of tanh, relu"):
        nn.activation("than")
    with pytest.raises(OptionError, match="no initializer 'xavier': choose one of glorot-uniform"):
        nn.initializer("xavier")
    with pytest.raises(OptionError, match="sizes of its input and its output"):
        nn.multilayer([3])


def test_mean_squared_error_refuses_shapes_that_would_broadcast() -> None:
    with pytest.raises(ShapeError, match=r"\(3, 1\) and the target \(3,\)"):
        nn.mean_squared_error(np.ones((3, 1)), np.ones(3))


def test_cross_entropy_of_labels_and_of_one_hot_rows_is_the_same() -> None:
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    expected = -np.mean(np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[range(5), labels])
    assert np.isclose(nn.cross_entropy(logits, labels).item(), expected, rtol=1e-14)
    assert nn.cross_entropy(logits, nn.one_hot(labels, 3)).item() == nn.cross_entropy(logits, labels).item()


def test_cross_entropy_is_finite_where_exponentials_overflow() -> None:
    logits = Tensor(np.array([[1e4, -1e4], [0.0, 1e4]]), requires_grad=True)
    loss = nn.cross_entropy(logits, np.array([1, 1]))
    loss.backward()
    assert loss.item() == 1e4
    assert logits.grad is not None
    assert np.array_equal(logits.grad.data, [[0.5, -0.5], [0, 0]])


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 3], ShapeError, "labels range from 0 to 3, but there are 3 classes"),
        ([0, -1], ShapeError, "labels range from -1"),
        (["a", "b"], InputError, "labels are integers from 0 to 2"),
        ([0.0, 1.0], InputError, "labels are integers from 0 to 2, but were given as float64"),
        ([0, 1, 2], ShapeError, r"logits have shape \(2, 3\)"),
        (np.ones((2, 2)), ShapeError, r"the labels \(2, 2\)"),
    ],
)
def test_cross_entropy_refuses_labels_that_do_not_fit(
    labels: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        nn.cross_entropy(np.zeros((2, 3)), labels)


def test_binary_cross_entropy_keeps_small_losses_and_large_logits() -> None:
    loss = nn.binary_cross_entropy_with_logits
    assert np.isclose(loss(np.array([40.0]), np.array([1.0])).item(), math.exp(-40), rtol=1e-12)
    assert np.isclose(loss(np.array([-40.0]), np.array([0.0])).item(), math.exp(-40), rtol=1e-12)
    assert loss(np.array([1e5]), np.array([0.0])).item() == 1e5
    with pytest.raises(ShapeError, match="binary_cross_entropy_with_logits"):
        loss(np.ones((3, 1)), np.ones(3))


@pytest.mark.parametrize("name", ["mean_squared_error", "cross_entropy", "binary_cross_entropy_with_logits"])
def test_losses_have_the_right_gradient(name: str) -> None:
    generator = np.random.default_rng(1)
    output = Tensor(generator.normal(size=(6, 3)), requires_grad=True)
    target = np.array([0, 2, 1, 1, 0, 2]) if name == "cross_entropy" else generator.uniform(size=(6, 3))
    assert check_parameters(lambda: getattr(nn, name)(output, target), {"output": output}).worst < 1e-8
