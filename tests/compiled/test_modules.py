"""`compile` with modules and whole training steps: parameters are read, and written, as eager does it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiled import CompiledMismatch, compile  # noqa: A004
from chainrule.errors import UnsupportedError

pytest.importorskip("llvmlite")
rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(20, 4)), rng.integers(0, 3, 20)
BACKENDS = ["llvm", "numpy"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))


def network(seed: int = 0, dtype: Any = np.float64) -> nn.Sequential:
    return nn.multilayer([4, 5, 3], "tanh", generator=seed, dtype=dtype)


def assert_same_parameters(first: Any, second: Any, tolerance: float = 1e-12) -> None:
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        assert p.dtype == q.dtype
        np.testing.assert_allclose(p.data, q.data, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("how", ["closure", "argument", "itself"])
def test_the_parameters_of_a_module_are_those_of_now(how: str, backend: str) -> None:
    model = network()
    fast = compile(
        {"closure": lambda x: model(x), "argument": lambda m, x: m(x), "itself": model}[how], backend=backend
    )
    given = (model, X) if how == "argument" else (X,)
    for _ in range(3):
        for _ in range(2):
            np.testing.assert_allclose(fast(*given), model(X).data, rtol=1e-12)
        model[0].weight.data = model[0].weight.data * 1.5
        model[2].bias.data[0] += 1.0
    assert len(fast._known) == 1


def test_another_module_and_other_shapes_of_parameters_are_seen() -> None:
    model = network()
    fast = compile(lambda m, x: m(x))
    for other in (model, network(1), model):
        np.testing.assert_allclose(fast(other, X), other(X).data, rtol=1e-12)
    layer = nn.Linear(4, 5, generator=0)
    fast = compile(lambda x: layer(x))
    fast(X)
    layer.weight = cr.Tensor(np.ones((4, 2)), requires_grad=True)
    layer.bias = cr.Tensor(np.zeros(2), requires_grad=True)
    np.testing.assert_allclose(fast(X), layer(X).data)
    layer.bias = None
    layer.weight = cr.Tensor(np.ones((4, 2)) * 2, requires_grad=True)
    np.testing.assert_allclose(fast(X), layer(X).data)


def trainer(model: Any, rule: str, **options: Any) -> tuple[Any, optim.Optimizer]:
    optimizer = optim.Optimizer(model.parameters(), rule, rate=0.05, **options)

    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step, optimizer


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
@pytest.mark.parametrize("rule", optim.RULES)
def test_whole_steps_update_parameters_and_the_memory_of_the_optimizer(
    rule: str, dtype: Any, tolerance: float, backend: str
) -> None:
    options = {"momentum": 0.9} if rule == "sgd" else {}
    models = network(dtype=dtype), network(dtype=dtype)
    (eager, first), (step, second) = (trainer(model, rule, **options) for model in models)
    fast, x = compile(step, backend=backend), X.astype(dtype)
    for number in range(8):
        np.testing.assert_allclose(fast(x, LABELS), eager(x, LABELS).data, rtol=tolerance)
        assert_same_parameters(*models, tolerance)
        for s, t in zip(first.states, second.states, strict=True):
            assert s.keys() == t.keys()
            for name in s:
                assert type(s[name]) is type(t[name])
                np.testing.assert_allclose(s[name], t[name], rtol=tolerance, atol=tolerance)
        if number == 3:  # in eager code in between
            eager(x, LABELS), step(x, LABELS)
        if number == 5:
            first.rate = second.rate = 0.01
        if number == 6:
            saved = copy.deepcopy(models[0].state_dict())
            for model in models:
                model.load_state_dict(saved)
    assert len(fast._known) == 1


def test_a_counter_and_a_running_mean_are_kept() -> None:
    class Normalised:
        def __init__(self) -> None:
            self.mean, self.calls = np.zeros(4), 0

        def __call__(self, x: Any) -> Any:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
            self.calls += 1
            return (x - self.mean) / self.calls

    eager, other = Normalised(), Normalised()
    fast = compile(other)
    for i in range(4):
        np.testing.assert_allclose(fast(X * i), eager(X * i), rtol=1e-12)
        np.testing.assert_allclose(other.mean, eager.mean, rtol=1e-12)
        assert other.calls == eager.calls
        assert type(other.calls) is int


def test_changes_that_compiled_code_would_not_make_are_refused() -> None:
    model = network()
    step, _ = trainer(model, "sgd")

    def adds_up(x: Any, labels: Any) -> Any:
        loss = nn.cross_entropy(model(x), labels)
        loss.backward()
        model[0].weight.data = model[0].weight.data - model[0].weight.grad.data
        return loss

    step(X, LABELS)
    with pytest.raises(UnsupportedError, match="adds to grad_"):
        compile(adds_up)(X, LABELS)

    def in_place(x: Any) -> Any:
        x += 1
        return x

    with pytest.raises(UnsupportedError, match="changes its argument x in place"):
        compile(in_place)(X.copy())


def test_dropout_is_refused_while_training() -> None:
    drop = nn.Dropout(0.5, generator=0)
    with pytest.raises(UnsupportedError, match="finds other numbers each time"):
        compile(lambda x: drop(x))(X)
    drop.eval()
    np.testing.assert_array_equal(compile(lambda x: drop(x) * 1.0)(X), X)


def test_steps_are_verified_from_the_same_state(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.graph.emit.llvm import elements, making

    monkeypatch.setenv("CHAINRULE_VERIFY", "1")
    models = network(), network()
    (eager, _), (step, _) = (trainer(model, "adam") for model in models)
    fast = compile(step)
    for _ in range(3):
        fast(X, LABELS), eager(X, LABELS)
        assert_same_parameters(*models)
    monkeypatch.setattr(making, "_KNOWN", {})
    monkeypatch.setitem(elements.PLAIN, "sqrt", lambda code, t, a: a)
    with pytest.raises(CompiledMismatch, match="compiled step gives another result"):
        compile(trainer(network(), "adam")[0], cache=False)(X, LABELS)


def test_a_module_in_pytorchs_spelling_keeps_its_parameters_outside() -> None:
    import chainrule.torch as torch

    layer = torch.nn.Linear(4, 3)
    x = torch.tensor(X, dtype=torch.float32)
    fast = compile(lambda x: layer(x))
    for _ in range(2):  # a tensor that records is not compiled: it is the function itself
        assert type(fast(x)) is type(x)
        np.testing.assert_array_equal(fast(x).detach().numpy(), layer(x).detach().numpy())
        with torch.no_grad():
            layer.weight.mul_(2)
