"""Numbers that a compiled function finds outside: read at each call where they are only reckoned with."""

from __future__ import annotations

import logging
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.compiled import compile  # noqa: A004
from chainrule.tensor import Tensor

pytest.importorskip("llvmlite")

X = np.random.default_rng(0).normal(size=(8, 3))
Y = np.random.default_rng(1).normal(size=(8, 1))
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


@pytest.fixture
def compilations(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    caplog.set_level(logging.DEBUG, "chainrule")
    return lambda: sum("compiled for shapes" in record.getMessage() for record in caplog.records)


def trained(
    rule: str, dtype: Any, make: Callable[..., Any], rates: list[Any]
) -> tuple[list[Any], optim.Optimizer]:
    """The losses and parameters after steps of different rates."""
    random = np.random.default_rng(2)
    parameters = [
        Tensor(random.normal(size=n).astype(dtype), requires_grad=True) for n in ((3, 4), (4,), (4, 1))
    ]
    optimizer = optim.Optimizer(parameters, rule, rate=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = ((np.tanh(x @ parameters[0] + parameters[1]) @ parameters[2] - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    run, losses = make(step), []
    for rate in rates:
        optimizer.rate = rate
        losses.append(np.asarray(getattr(loss := run(X.astype(dtype), Y.astype(dtype)), "data", loss)))
    return [np.array(losses), *(parameter.data for parameter in parameters)], optimizer


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rule", optim.RULES)
def test_a_schedule_compiles_once(rule: str, dtype: Any, compilations: Callable[[], int]) -> None:
    rates = [0.05 * 0.97**i for i in range(100)]
    eager, _ = trained(rule, dtype, lambda step: step, rates)
    fast, optimizer = trained(rule, dtype, compile, rates)
    assert compilations() == 1
    for one, other in zip(fast, eager, strict=True):
        assert one.dtype == other.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE[dtype] * np.abs(other).max())
    assert optimizer.rate == rates[-1]


def test_a_rate_of_another_type_is_right(compilations: Callable[[], int]) -> None:
    rates = [0.1, *np.linspace(0.02, 0.01, 10), 1]
    fast, _ = trained("sgd", float, compile, rates)
    for one, other in zip(fast, trained("sgd", float, lambda step: step, rates)[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert compilations() == 3  # one for each type


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_the_rate_is_read_in_every_backend(backend: str, compilations: Callable[[], int]) -> None:
    rates = [0.1, 0.05, 0.2]
    fast, _ = trained("adam", float, lambda step: compile(step, backend=backend), rates)
    for one, other in zip(fast, trained("adam", float, lambda step: step, rates)[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert compilations() == 1


def test_a_number_that_has_changed_is_read_from_then_on(compilations: Callable[[], int]) -> None:
    rate, holder, table, row = 0.1, types.SimpleNamespace(rate=0.1), {"rate": 0.1}, [0.1]

    def by_cell(w: Any) -> Any:
        return w - 2 * rate * w

    def by_attribute(w: Any) -> Any:
        return w - holder.rate**2 * w / (1 - holder.rate)

    def by_key(w: Any) -> Any:
        return np.where(w > table["rate"], w, -table["rate"])

    def by_position(w: Any) -> Any:
        return cr.grad(lambda w: (w**3).sum() * row[0])(w)

    def by_function_of_numpy(w: Any) -> Any:
        return w * np.float64(holder.rate)  # of a type of its own, which makes the result float64

    fast = compile(by_function_of_numpy)
    for holder.rate in (0.1, 0.2, 0.3):
        found = fast(np.ones(2, np.float32))
        assert found.dtype == float
        np.testing.assert_array_equal(found, holder.rate)
    assert compilations() == 3
    for number, f in enumerate((by_cell, by_attribute, by_key, by_position), 1):
        fast = compile(f)
        for value in (0.1, 0.3, 0.2, 0.7, -0.5, 0.1):
            rate = holder.rate = table["rate"] = row[0] = value
            w = np.linspace(-1, 1, 5, dtype=np.float32)
            found, expected = fast(w), f(w)
            np.testing.assert_allclose(found, expected, rtol=1e-6)
            assert found.dtype == expected.dtype
        assert compilations() == 3 + 2 * number


def test_a_number_that_decides_is_compiled_for(compilations: Callable[[], int]) -> None:
    limit = 0.5
    table = {0.5: 1.0, 0.25: 2.0, 0.75: 3.0}

    def branch(x: Any) -> Any:
        return x * limit if limit > 0.4 else -x

    def kind(x: Any) -> Any:
        return x * limit if isinstance(limit, float) else x

    def lookup(x: Any) -> Any:
        return x * table[limit]

    def python(x: Any) -> Any:
        return x * int(4 * limit)

    def returned(x: Any) -> Any:
        return limit

    for f in (branch, kind, lookup, python, returned):
        fast = compile(f)
        for limit in (0.5, 0.25, 0.75):  # noqa: B007
            np.testing.assert_array_equal(fast(X), f(X))
            assert type(fast(X)) is type(f(X))
    assert compilations() == 15


def test_a_number_that_the_function_changes_itself_is_state(compilations: Callable[[], int]) -> None:
    def make() -> tuple[Any, Callable[..., Any]]:
        holder = types.SimpleNamespace(rate=0.1)

        def f(w: Any) -> Any:
            holder.rate = holder.rate * 0.5
            return w - holder.rate * w

        return holder, f

    (fast_holder, f), (holder, eager) = make(), make()
    fast = compile(f)
    for i in range(6):
        if i == 3:
            fast_holder.rate = holder.rate = 0.4
        np.testing.assert_allclose(fast(X), eager(X), rtol=1e-12)
        assert fast_holder.rate == pytest.approx(holder.rate)
    assert compilations() == 1


def test_the_rate_and_what_else_a_step_reads(compilations: Callable[[], int]) -> None:
    weight = Tensor(np.ones(3), requires_grad=True)
    optimizer = optim.Optimizer([weight], "sgd", rate=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = ((x @ weight) ** 2).mean() * optimizer.rate
        loss.backward()
        optimizer.step()
        return loss, optimizer.rate

    fast = compile(step)
    for rate in (0.1, 0.2, 0.3):
        optimizer.rate = rate
        before = weight.data.copy()
        loss, seen = fast(X)
        np.testing.assert_allclose(loss, ((X @ before) ** 2).mean() * rate, rtol=1e-12)
        np.testing.assert_allclose(weight.data, before - rate * rate * 2 * X.T @ (X @ before) / 8, rtol=1e-12)
        assert seen == rate
    assert compilations() == 1


def test_calls_are_verified_with_the_rate_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_VERIFY", "1")
    rates = [0.1, 0.05, 0.2]
    fast, optimizer = trained("adam", float, compile, rates)
    for one, other in zip(fast, trained("adam", float, lambda step: step, rates)[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert optimizer.rate == 0.2


def test_the_rate_of_a_facade_is_read_after_its_first_change(compilations: Callable[[], int]) -> None:
    torch = pytest.importorskip("chainrule.torch")
    x, y = torch.randn(8, 3), torch.randn(8, 1)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def gradient() -> Any:
        return (
            2
            * ((x.numpy() @ model.weight.detach().numpy().T + model.bias.detach().numpy()) - y.numpy()).mean()
        )

    @compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        optimizer.step()
        return model.bias.detach()

    for rate in (0.1, 0.05, 0.2, 0.3):
        optimizer.param_groups[0]["lr"] = rate
        expected = model.bias.detach().numpy() - rate * gradient()
        step(x, y)
        np.testing.assert_allclose(model.bias.detach().numpy(), expected, rtol=1e-4)
    assert compilations() == 2
