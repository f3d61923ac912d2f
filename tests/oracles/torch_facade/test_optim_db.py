"""Every optimizer and scheduler beside PyTorch's, driven by PyTorch's own table of optimizers and options."""

from __future__ import annotations

import inspect
import sys
import types
import unittest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.torch import optim
from chainrule.torch.tensors import Tensor

torch = pytest.importorskip("torch")

ABSENT = {
    "Muon": "orthogonalises in bfloat16, which NumPy does not have",
    "SparseAdam": "takes sparse gradients only, which chainrule.torch does not have",
}
SHAPES = ((3, 4), (4,), (2, 3, 2), ())


def table() -> list[Any]:
    """PyTorch's table; its module wants a package for tests that it does not use here."""
    stand_in = types.ModuleType("expecttest")
    stand_in.TestCase = unittest.TestCase  # type: ignore[attr-defined]
    sys.modules.setdefault("expecttest", stand_in)
    from torch.testing._internal.common_optimizers import optim_db

    return list(optim_db)


ENTRIES = {info.optim_cls.__name__: info for info in table()}


def wrapped(array: np.ndarray, requires_grad: bool = False) -> Tensor:
    tensor = Tensor._wrapped(array)
    tensor.requires_grad = requires_grad
    return tensor


def translated(value: Any) -> Any:
    """The options of a configuration with our Tensors for PyTorch's."""
    return wrapped(value.numpy().copy()) if isinstance(value, torch.Tensor) else value


def slope(x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The gradient of a valley that is steeper in the middle, and noise on it."""
    return x / 2 + x / np.sqrt(1 + x * x) + noise


def value(x: np.ndarray) -> Any:
    return (x * x / 4 + np.sqrt(1 + x * x)).sum()


class Pair:
    """The same parameters here and in PyTorch, with gradients that are functions of them."""

    def __init__(self, make: Callable[[Any, list[Any]], Any], seed: int = 0) -> None:
        self.noise = np.random.default_rng(seed)
        starts = [self.noise.normal(size=shape) for shape in SHAPES]
        self.ours = [wrapped(start.copy(), True) for start in starts]
        self.theirs = [torch.tensor(start, requires_grad=True) for start in starts]
        self.optimizers = make(optim, self.ours), make(torch.optim, self.theirs)

    def gradients(self) -> None:
        for ours, theirs in zip(self.ours, self.theirs, strict=True):
            noise = 0.1 * self.noise.normal(size=ours._data.shape)
            ours.grad = wrapped(slope(ours._data, noise))
            theirs.grad = torch.tensor(slope(theirs.detach().numpy(), noise))

    def our_loss(self) -> Tensor:
        for p in self.ours:
            p.grad = wrapped(slope(p._data, np.zeros(p._data.shape)))
        return wrapped(np.asarray(sum(value(p._data) for p in self.ours)))

    def their_loss(self) -> Any:
        for p in self.theirs:
            p.grad = torch.tensor(slope(p.detach().numpy(), np.zeros(p.shape)))
        return torch.tensor(sum(value(p.detach().numpy()) for p in self.theirs))

    def step(self) -> None:
        ours, theirs = self.optimizers
        if isinstance(ours, optim.LBFGS):
            first, second = ours.step(self.our_loss), theirs.step(self.their_loss)
            np.testing.assert_allclose(first.item(), second.item(), rtol=1e-10, atol=1e-12)
            return
        self.gradients()
        ours.step()
        theirs.step()

    def compare(self) -> None:
        for ours, theirs in zip(self.ours, self.theirs, strict=True):
            np.testing.assert_allclose(ours._data, theirs.detach().numpy(), rtol=1e-10, atol=1e-10)


def make_of(name: str, options: dict[str, Any]) -> Callable[[Any, list[Any]], Any]:
    def make(library: Any, parameters: list[Any]) -> Any:
        own = {k: translated(v) for k, v in options.items()} if library is optim else options
        return getattr(library, name)(parameters, **own)

    return make


def problems_of(name: str) -> list[str]:
    """The configurations of an entry whose fifty steps are not PyTorch's."""
    found = []
    for config in ENTRIES[name].optim_inputs_func(device="cpu"):
        try:
            pair = Pair(make_of(name, config.kwargs))
            for _ in range(50):
                pair.step()
                pair.compare()
        except Exception as error:  # every kind of failure is one to list
            found.append(f"{name}, {config.desc}: {type(error).__name__}: {error}")
    return found


def test_fifty_steps_are_those_of_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    problems = {name: problems_of(name) for name in ENTRIES if name not in ABSENT}
    passed = [name for name, found in problems.items() if not found]
    with capsys.disabled():
        print(f"\noptim_db: {len(passed)} of {len(ENTRIES)} entries pass")
        for name, reason in ABSENT.items():
            print(f"  {name}: {reason}")
    assert [problem for found in problems.values() for problem in found] == []
    assert set(passed) == set(optim.__all__) - {"Optimizer", "lr_scheduler"}
    assert len(passed) >= 12


@pytest.mark.parametrize("name", sorted(set(ENTRIES) - set(ABSENT)))
def test_signature_and_state_are_those_of_pytorch(name: str) -> None:
    ours, theirs = getattr(optim, name), getattr(torch.optim, name)
    for parameter, other in zip(
        inspect.signature(ours).parameters.values(),
        inspect.signature(theirs).parameters.values(),
        strict=True,
    ):
        assert (parameter.name, parameter.default, parameter.kind) == (other.name, other.default, other.kind)
    pair = Pair(make_of(name, {}))
    for _ in range(2):
        pair.step()
    first, second = (optimizer.state_dict() for optimizer in pair.optimizers)
    assert first["param_groups"] == second["param_groups"]
    assert repr(pair.optimizers[0]) == repr(pair.optimizers[1])
    for key, state in second["state"].items():
        assert list(first["state"][key]) == list(state) or name == "LBFGS"
        for entry, theirs_value in state.items():
            if isinstance(theirs_value, torch.Tensor) and entry != "H_diag":
                ours_value = first["state"][key][entry]._data
                assert str(ours_value.dtype) == str(theirs_value.dtype).removeprefix("torch.")
                np.testing.assert_allclose(ours_value, theirs_value.numpy(), rtol=1e-10, atol=1e-12)


ERRORS = [
    (name, error)
    for name, info in ENTRIES.items()
    if name not in ABSENT
    for error in info.optim_error_inputs_func(device="cpu", dtype=torch.float64)
]


@pytest.mark.parametrize(("name", "error"), ERRORS)
def test_pytorchs_error_inputs(name: str, error: Any) -> None:
    made: dict[int, Tensor] = {}

    def ours(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return made.setdefault(id(value), wrapped(value.detach().numpy(), value.requires_grad))
        if isinstance(value, dict):
            return {k: ours(v) for k, v in value.items()}
        return type(value)(map(ours, value)) if isinstance(value, (list, tuple)) else value

    given = error.optimizer_error_input
    params = [wrapped(np.ones(2), True)] if given.params is None else ours(given.params)
    wanted = pytest.warns if issubclass(error.error_type, Warning) else pytest.raises
    with wanted(error.error_type, match=error.error_regex):
        optimizer = getattr(optim, name)(params, **ours(given.kwargs))
        if error.error_on.name == "STEP_ERROR":
            params[0].grad = wrapped(np.ones_like(params[0]._data))
            optimizer.step()
