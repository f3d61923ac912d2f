"""Update rules: the same trajectories as PyTorch's optimizers."""

from typing import Any

import numpy as np
import pytest

from chainrule import optim
from chainrule.tensor import Tensor

torch = pytest.importorskip("torch")

BETAS = {"betas": (0.8, 0.99), "eps": 1e-6}
CASES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("sgd", {}, "SGD", {}),
    ("sgd", {"weight_decay": 0.1}, "SGD", {"weight_decay": 0.1}),
    ("sgd", {"momentum": 0.9}, "SGD", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}, "SGD", {"momentum": 0.9, "nesterov": True}),
    (
        "sgd",
        {"momentum": 0.5, "nesterov": True, "weight_decay": 0.01},
        "SGD",
        {"momentum": 0.5, "nesterov": True, "weight_decay": 0.01},
    ),
    ("adam", {}, "Adam", {}),
    ("adam", {"amsgrad": True}, "Adam", {"amsgrad": True}),
    ("adam", {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6}, "Adam", BETAS),
    ("adam", {"weight_decay": 0.1}, "Adam", {"weight_decay": 0.1}),
    ("adamw", {}, "AdamW", {}),
    ("adamw", {"amsgrad": True}, "AdamW", {"amsgrad": True}),
    (
        "adamw",
        {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6, "weight_decay": 0.3},
        "AdamW",
        {**BETAS, "weight_decay": 0.3},
    ),
    ("rmsprop", {}, "RMSprop", {}),
    ("rmsprop", {"centered": True, "momentum": 0.5}, "RMSprop", {"centered": True, "momentum": 0.5}),
    (
        "rmsprop",
        {"decay": 0.9, "epsilon": 1e-6, "weight_decay": 0.1},
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-6, "weight_decay": 0.1},
    ),
    ("rmsprop", {"momentum": 0.9}, "RMSprop", {"momentum": 0.9}),
    ("adagrad", {}, "Adagrad", {}),
    ("adagrad", {"weight_decay": 0.1, "epsilon": 1e-6}, "Adagrad", {"weight_decay": 0.1, "eps": 1e-6}),
]


@pytest.mark.parametrize(("name", "options", "theirs", "their_options"), CASES)
def test_fifty_steps_are_those_of_pytorch(
    name: str, options: dict[str, Any], theirs: str, their_options: dict[str, Any]
) -> None:
    generator = np.random.default_rng(0)
    starts = [generator.normal(size=shape) for shape in ((3, 4), (4,))]
    matrix = generator.normal(size=(4, 4))
    ours = [Tensor(start.copy(), requires_grad=True) for start in starts]
    reference = [torch.tensor(start, requires_grad=True) for start in starts]
    optimizer = optim.Optimizer(ours, name, rate=0.01, **options)
    oracle = getattr(torch.optim, theirs)(reference, lr=0.01, **their_options)
    for _ in range(50):
        optimizer.zero_grad()
        oracle.zero_grad()
        ((ours[0] @ matrix + ours[1]) ** 2).sum().backward()
        ((reference[0] @ torch.tensor(matrix) + reference[1]) ** 2).sum().backward()
        optimizer.step()
        oracle.step()
    for tensor, expected in zip(ours, reference, strict=True):
        np.testing.assert_allclose(tensor.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
