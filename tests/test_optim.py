"""Update rules against their formulas, and the Optimizer that applies them."""

import math
from typing import Any

import numpy as np
import pytest

from chainrule import optim
from chainrule.errors import InputError, OptimizerStateError, OptionError
from chainrule.tensor import Tensor

START = np.array([1.0, -2.0, 3.0])


def descend(name: str, steps: int, **options: Any) -> np.ndarray:
    """The parameter after some steps on the sum of its fourth powers."""
    parameter = Tensor(START.copy(), requires_grad=True)
    optimizer = optim.Optimizer([parameter], name, **options)
    for _ in range(steps):
        optimizer.zero_grad()
        (parameter**4).sum().backward()
        optimizer.step()
    return np.array(parameter.data)


def test_plain_descent() -> None:
    assert np.array_equal(descend("sgd", 1, rate=0.01), START - 0.01 * 4 * START**3)


def test_momentum_sums_decayed_gradients() -> None:
    parameter, velocity = START.copy(), np.zeros(3)
    for _ in range(3):
        velocity = 0.9 * velocity + 4 * parameter**3
        parameter = parameter - 0.001 * velocity
    assert np.allclose(descend("sgd", 3, rate=0.001, momentum=0.9), parameter, rtol=1e-15)


def test_nesterov_looks_ahead() -> None:
    gradient = 4 * START**3
    expected = START - 0.001 * (gradient + 0.9 * gradient)
    assert np.allclose(descend("sgd", 1, rate=0.001, momentum=0.9, nesterov=True), expected, rtol=1e-15)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_starts_with_steps_of_the_rate(name: str) -> None:
    moved = descend(name, 1, rate=0.1, weight_decay=0.0)
    assert np.allclose(moved, START - 0.1 * np.sign(START), rtol=1e-7)


def test_decoupled_decay_does_not_depend_on_the_gradient() -> None:
    state = {"step": 0, "mean": np.zeros(3), "square": np.zeros(3)}
    with_decay, _ = optim.adamw(START, START, state, 0.1, weight_decay=0.5)
    without, _ = optim.adamw(START, START, state, 0.1, weight_decay=0.0)
    assert np.allclose(with_decay - without, -0.05 * START, rtol=1e-14)


@pytest.mark.parametrize("name", optim.RULES)
def test_every_rule_finds_the_minimum(name: str) -> None:
    parameter = Tensor(START.copy(), requires_grad=True)
    optimizer = optim.Optimizer([parameter], name, rate=0.5 if name == "adagrad" else 0.05)
    for _ in range(2000):
        optimizer.zero_grad()
        ((parameter - 1) ** 2).sum().backward()
        optimizer.step()
    assert np.allclose(parameter.data, 1, atol=0.1)


@pytest.mark.parametrize("name", optim.RULES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_rules_are_pure(name: str, weight_decay: float) -> None:
    rule = optim.rule(name)
    options = {"momentum": 0.9} if "momentum" in rule.options else {}
    parameter, gradient = START.copy(), np.ones(3)
    state = rule.first_state(parameter, options)
    results = [
        rule.update(parameter, gradient, state, 0.1, weight_decay=weight_decay, **options) for _ in range(2)
    ]
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(parameter, START)
    assert np.array_equal(gradient, np.ones(3))
    assert all(not np.any(value) for value in state.values())


@pytest.mark.parametrize("name", optim.RULES)
def test_the_parameters_type_is_kept(name: str) -> None:
    parameter = Tensor(START.astype(np.float32), requires_grad=True)
    optimizer = optim.Optimizer([parameter], name)
    (parameter**2).sum().backward()
    optimizer.step()
    assert parameter.dtype == np.float32
    assert {np.asarray(v).dtype for k, v in optimizer.states[0].items() if k != "step"} <= {
        np.dtype(np.float32)
    }


def test_a_parameter_without_gradient_stays() -> None:
    used, unused = (Tensor(START.copy(), requires_grad=True) for _ in range(2))
    optimizer = optim.Optimizer([used, unused], "adam")
    (used**2).sum().backward()
    optimizer.step()
    assert np.array_equal(unused.data, START)
    assert optimizer.states[1]["step"] == 0
    optimizer.zero_grad()
    assert used.grad is None


@pytest.mark.parametrize(
    ("name", "options"), [(name, {}) for name in optim.RULES] + [("sgd", {"momentum": 0.9})]
)
def test_a_saved_state_continues_exactly(name: str, options: dict[str, Any]) -> None:
    parameter = Tensor(START.copy(), requires_grad=True)
    first = optim.Optimizer([parameter], name, rate=0.01, **options)
    for _ in range(3):
        first.zero_grad()
        (parameter**2).sum().backward()
        first.step()
    copy = Tensor(parameter.data.copy(), requires_grad=True)
    second = optim.Optimizer([copy], name, **options)
    second.load_state_dict(first.state_dict())
    for tensor, optimizer in ((parameter, first), (copy, second)):
        optimizer.zero_grad()
        (tensor**2).sum().backward()
        optimizer.step()
    assert np.array_equal(parameter.data, copy.data)


def test_a_state_that_does_not_fit_is_refused() -> None:
    adam = optim.Optimizer([Tensor(START, requires_grad=True)], "adam")
    sgd = optim.Optimizer([Tensor(START, requires_grad=True)], "sgd")
    with pytest.raises(OptimizerStateError, match=r"lacks 0.mean, 0.square, 0.step, and nothing is unknown"):
        adam.load_state_dict(sgd.state_dict())
    state = adam.state_dict() | {"0.mean": np.zeros(4)}
    with pytest.raises(OptimizerStateError, match=r"0.mean has shape \(4,\) in the saved state, but \(3,\)"):
        adam.load_state_dict(state)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adma", {}, "no optimizer 'adma': choose one of sgd, adam"),
        ("sgd", {"beta1": 0.9}, "SGD has no option 'beta1': it has momentum, nesterov, weight_decay"),
        ("sgd", {"rate": -0.1}, "learning rate must be a number above 0, not -0.1"),
        ("sgd", {"rate": math.nan}, "not nan"),
        ("sgd", {"rate": "fast"}, "not 'fast'"),
        ("sgd", {"momentum": -1.0}, "momentum must be at least 0"),
        ("adam", {"beta2": 1.0}, "beta2 must be at least 0 and below 1, not 1.0"),
        ("sgd", {"nesterov": True}, "nesterov needs a momentum"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        optim.Optimizer([Tensor(START, requires_grad=True)], name, **options)


@pytest.mark.parametrize("parameters", [[], [START], [Tensor(START)]])
def test_what_is_no_parameter_is_refused(parameters: list[Any]) -> None:
    with pytest.raises(InputError, match=r"at least one parameter|must be a Tensor with requires_grad=True"):
        optim.Optimizer(parameters)


def test_repr_names_the_rule_and_its_options() -> None:
    optimizer = optim.Optimizer([Tensor(START, requires_grad=True)], "sgd", rate=0.5)
    assert repr(optimizer) == (
        "Optimizer(SGD, 1 parameters, rate=0.5, momentum=0.0, nesterov=False, weight_decay=0.0, dampening=0.0)"
    )
