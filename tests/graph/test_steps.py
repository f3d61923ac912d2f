"""Training steps that are written out, and run beside the step itself."""

import copy
import textwrap
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import InputError, ShapeError, UnsupportedError
from chainrule.optim import RULES

draw = np.random.default_rng(0)
X, Y = draw.normal(size=(6, 4)), draw.normal(size=(6, 1))
labels = draw.integers(0, 3, 6)
w0 = draw.normal(size=(4, 1))


def loss(W: Any, b: Any = 0.0) -> Any:
    return ((X @ W + b - Y) ** 2).mean()


def sections(source: str) -> list[str]:
    return [line.strip("# ") for line in source.splitlines() if line.startswith("    # ")]


def run(derivation: cr.Derivation, step: Any, count: int, *args: Any) -> dict[str, Any]:
    """Train with the listing beside the step that changes objects; the state of the listing."""
    state: dict[str, Any] = {}
    for _ in range(count):
        found = derivation.function(*args, **state)
        value, state = found if isinstance(found, tuple) else (None, found)
        expected = step(*args)
        if value is not None:
            np.testing.assert_allclose(value, cr.ops.data_of(expected), rtol=1e-13)
    return state


# functions of their parameters -------------------------------------------------------------------------------


def test_a_step_is_written_with_its_three_parts() -> None:
    def step(W: Any, b: Any) -> Any:
        dW, db = cr.grad(loss, (0, 1))(W, b)
        return W - 0.1 * dW, b - 0.1 * db

    derivation = cr.derive(step, w0, 0.5)
    assert sections(derivation.source) == ["forward", "backward", "update"]
    assert "def step(W, b, *, X, Y):" in derivation.source
    assert "new_W = W - 0.1 * dW" in derivation.source
    assert "W, b = step(W, b, X=X, Y=Y)" in derivation.source
    ours: Any = (w0, 0.5)
    theirs = ours
    for _ in range(3):
        ours, theirs = derivation.function(*ours), step(*theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_several_updates_follow_each_other() -> None:
    def train(W: Any) -> Any:
        for _ in range(3):
            W = W - 0.1 * cr.grad(loss)(W)
        return W

    derivation = cr.derive(train, w0)
    assert sections(derivation.source) == ["backward", "forward", "backward", "forward", "backward", "update"]
    np.testing.assert_allclose(derivation.function(w0), train(w0), rtol=1e-13)


def test_what_is_returned_besides_the_parameters_stays() -> None:
    def step(params: Any, rate: Any) -> Any:
        value, g = cr.value_and_grad(lambda p: loss(p["W"], p["b"]))(params)
        return {name: params[name] - rate * g[name] for name in params}, value, "done"

    params: dict[str, Any] = {"W": w0, "b": 0.5}
    new, value, word = cr.derive(step, params, 0.1).function(params, 0.2)
    expected = step(params, 0.2)
    np.testing.assert_allclose(new["W"], expected[0]["W"], rtol=1e-13)
    np.testing.assert_allclose([new["b"], value], [expected[0]["b"], expected[1]], rtol=1e-13)
    assert word == "done"


def test_arguments_that_are_changed_in_place_are_returned() -> None:
    def step(params: Any, w: Any) -> None:
        g = cr.grad(lambda p: loss(p["W"], p["b"]))(params)
        for name in params:
            params[name] = params[name] - 0.1 * g[name]
        w -= 0.1 * cr.grad(loss)(w)

    params: dict[str, Any] = {"W": w0, "b": 0.5}
    w = w0.copy()
    derivation = cr.derive(step, params, w)
    np.testing.assert_array_equal(params["W"], w0)
    np.testing.assert_array_equal(w, w0)
    new = derivation.function(params, w)
    step(params, w)
    np.testing.assert_allclose(new["W"], params["W"], rtol=1e-13)
    np.testing.assert_allclose(new["b"], params["b"], rtol=1e-13)
    np.testing.assert_allclose(new["w"], w, rtol=1e-13)


def test_no_gradient_at_all_writes_the_function_as_it_is() -> None:
    def newton(x: Any) -> Any:
        g = cr.grad(lambda x: x**4 - 3 * x)
        return x - g(x) / cr.grad(g)(x)

    derivation = cr.derive(newton, 2.0, argnums=())
    assert derivation.function(1.5) == pytest.approx(newton(1.5))

    def by_hand(W: Any) -> Any:
        dW = 2 * X.T @ (X @ W - Y) / 6
        return W - 0.1 * dW

    with pytest.raises(ShapeError, match="a gradient is that of a scalar"):
        cr.derive(by_hand, w0)
    written = cr.derive(by_hand, w0, argnums=())
    assert sections(written.source) == []
    np.testing.assert_allclose(written.function(w0), by_hand(w0))


def test_a_penalty_on_the_gradient_is_differentiated_again() -> None:
    def penalty(W: Any) -> Any:
        g = cr.grad(loss)(W)
        return (g**2).sum()

    derivation = cr.derive(penalty, w0)
    assert "d_g = 2 * g" in derivation.source
    np.testing.assert_allclose(derivation.function(w0)[1], cr.grad(penalty)(w0), rtol=1e-12)


# state in objects --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("rule", "options"),
    [*((rule, {}) for rule in RULES), ("sgd", {"momentum": 0.9, "nesterov": True}), ("adam", {"amsgrad": True}),
     ("rmsprop", {"momentum": 0.5, "centered": True}), ("adamw", {"weight_decay": 0.1})],
)  # fmt: skip
def test_a_step_of_every_optimizer(rule: str, options: dict[str, Any], dtype: Any) -> None:
    network = nn.multilayer([4, 3, 3], "tanh", generator=1, dtype=dtype)
    optimizer = optim.Optimizer(network.parameters(), rule, **options)
    x = X.astype(dtype)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        cost = nn.cross_entropy(network(x), labels)
        cost.backward()
        optimizer.step()
        return cost

    before = copy.deepcopy((network.state_dict(), optimizer.state_dict()))
    derivation = cr.derive(step, x)
    after = (network.state_dict(), optimizer.state_dict())
    assert str(before) == str(after)
    assert all(type(p) is cr.Tensor and p.grad is None and p.requires_grad for p in network.parameters())
    assert sections(derivation.source) == ["forward", "backward", "update"]
    state: dict[str, Any] = {}
    for _ in range(4):
        value, state = derivation.function(x, **state)
        np.testing.assert_allclose(value, step(x).data, rtol=1e-12 if dtype is np.float64 else 1e-5)
    for name, parameter in zip(("W1", "b1", "W2", "b2"), network.parameters(), strict=True):
        assert state[name].dtype == dtype
        np.testing.assert_allclose(
            state[name], parameter.data, rtol=1e-9 if dtype is np.float64 else 1e-3, atol=1e-5
        )


def test_a_trained_optimizer_goes_on_where_it_is() -> None:
    layer = nn.Linear(4, 1, generator=0)
    optimizer = optim.Optimizer(layer.parameters(), "adam")

    def step() -> None:
        optimizer.zero_grad()
        ((layer(X) - Y) ** 2).mean().backward()
        optimizer.step()

    for _ in range(3):
        step()
    derivation = cr.derive(step)
    assert int(derivation.constants["steps"]) == 3
    assert optimizer.states[0]["step"] == 3
    np.testing.assert_allclose(run(derivation, step, 3)["weight"], layer.weight.data, rtol=1e-12)


def test_a_step_that_never_clears_its_gradients_adds_them_up() -> None:
    layer = nn.Linear(4, 1, generator=0)
    optimizer = optim.Optimizer(layer.parameters(), "sgd", rate=0.01)

    def step() -> None:
        ((layer(X) - Y) ** 2).mean().backward()
        optimizer.step()

    derivation = cr.derive(step)
    assert "new_grad_weight = grad_weight + d_weight" in derivation.source
    np.testing.assert_allclose(run(derivation, step, 3)["weight"], layer.weight.data, rtol=1e-12)


def test_a_step_that_clears_them_afterwards_does_not() -> None:
    w = cr.Tensor(w0.copy(), requires_grad=True)

    def step(rate: Any) -> Any:
        value = loss(w)
        value.backward()
        with cr.no_grad():
            w.data -= rate * w.grad.data  # type: ignore[union-attr]
        w.grad = None
        return value.item()

    derivation = cr.derive(step, 0.1)
    assert "grad_" not in derivation.source
    np.testing.assert_allclose(run(derivation, step, 3, 0.1)["w"], w.data, rtol=1e-13)


def test_a_hook_on_a_parameter_is_part_of_the_step() -> None:
    w = cr.Tensor(w0.copy(), requires_grad=True)
    w.register_hook(lambda g: g * 3)

    def step() -> None:
        w.grad = None
        loss(w).backward()
        w.data = w.data - 0.1 * w.grad.data

    derivation = cr.derive(step)
    np.testing.assert_allclose(run(derivation, step, 2)["w"], w.data, rtol=1e-13)


class Network:
    """A network as people write one with NumPy: parameters, a count, a cache and a history in attributes."""

    def __init__(self) -> None:
        self.W1, self.W2 = draw.normal(size=(4, 3)), draw.normal(size=(3, 1))
        self.velocity = (np.zeros((4, 3)), np.zeros((3, 1)))
        self.steps, self.history, self.hidden = 0, [1.0], None

    def loss(self, W1: Any, W2: Any, x: Any) -> Any:
        self.hidden = np.tanh(x @ W1)
        return ((self.hidden @ W2 - Y) ** 2).mean()

    def step(self, x: Any) -> Any:
        value, (dW1, dW2) = cr.value_and_grad(self.loss, (0, 1))(self.W1, self.W2, x)
        self.steps += 1
        first, second = self.velocity
        self.velocity = (0.9 * first + dW1, 0.9 * second + dW2)
        self.W1 -= 0.1 / self.steps * self.velocity[0]
        self.W2 = self.W2 - 0.1 / self.steps * self.velocity[1]
        self.history.append(value)
        return value


def test_attributes_of_the_users_class_are_state() -> None:
    network = Network()
    before = copy.deepcopy(vars(network))
    derivation = cr.derive(network.step, X)
    assert str(before) == str(vars(network))
    assert set(run(derivation, network.step, 3, X)) == {"W1", "W2", "velocity_0", "velocity_1", "steps"}
    again = cr.derive(network.step, X)  # its own history and cache are longer now
    state = run(again, network.step, 2, X)
    np.testing.assert_allclose(state["W1"], network.W1, rtol=1e-12)
    np.testing.assert_allclose(state["velocity_1"], network.velocity[1], rtol=1e-12)
    assert state["steps"] == network.steps == 5


def test_variables_of_the_enclosing_function_are_state() -> None:
    velocity, count = np.zeros((4, 1)), 0

    def step(W: Any) -> Any:
        nonlocal velocity, count
        velocity = 0.9 * velocity + cr.grad(loss)(W)
        count += 1
        return W - 0.1 / count * velocity

    derivation = cr.derive(step, w0)
    assert count == 0
    W, state = derivation.function(w0)
    W, state = derivation.function(W, **state)
    np.testing.assert_allclose(W, step(step(w0)), rtol=1e-13)
    assert state["count"] == count == 2


def test_state_that_the_first_call_makes_is_noted() -> None:
    class Momentum:
        def __init__(self) -> None:
            self.state: dict[str, Any] = {}

        def __call__(self, W: Any) -> Any:
            self.state["v"] = 0.9 * self.state.get("v", 0.0) + cr.grad(loss)(W)
            return W - 0.1 * self.state["v"]

    step = Momentum()
    derivation = cr.derive(step, w0)
    assert any("first call, which makes state.v" in note for note in derivation.notes)
    assert step.state == {}
    step(w0)
    derivation = cr.derive(step, w0)
    assert derivation.notes == ()
    np.testing.assert_allclose(derivation.function(w0)[0], step(w0), rtol=1e-13)


class Normalised(nn.Module):
    """A layer with running statistics: one in a Tensor that is not trained, one in an array changed in place."""

    def __init__(self) -> None:
        self.scale = cr.Tensor(np.ones(4), requires_grad=True)
        self.mean, self.square = cr.Tensor(np.zeros(4)), np.ones(4)

    def forward(self, x: Any) -> Any:
        mean = x.mean(axis=0)
        self.mean.data = 0.9 * self.mean.data + 0.1 * mean
        self.square *= 0.9
        self.square += 0.1 * np.mean(x * x, axis=0)
        return (x - mean) / np.sqrt(self.square) * self.scale


def test_running_statistics_are_state() -> None:
    layer = Normalised()
    optimizer = optim.Optimizer(layer.parameters(), "sgd", rate=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        value = (layer(x) ** 2).sum()
        value.backward()
        optimizer.step()
        return value

    derivation = cr.derive(step, X)
    np.testing.assert_array_equal(layer.mean.data, np.zeros(4))
    np.testing.assert_array_equal(layer.square, np.ones(4))
    state = run(derivation, step, 3, X)
    np.testing.assert_allclose(state["mean"], layer.mean.data, rtol=1e-12)
    np.testing.assert_allclose(state["square"], layer.square, rtol=1e-12)
    np.testing.assert_allclose(state["scale"], layer.scale.data, rtol=1e-12)


def test_large_arrays_are_not_copied_and_not_changed() -> None:
    data = np.ones((2**19, 5))

    def step(W: Any) -> Any:
        data[0] += 1.0
        return W - cr.grad(lambda W: (W * W).sum())(W)

    with pytest.raises(ValueError, match="read-only"):
        cr.derive(step, w0)
    assert data.flags.writeable
    assert data[0, 0] == 1


def loop_of(derivation: cr.Derivation) -> str:
    """The loop that the docstring shows."""
    lines = derivation.source.splitlines()
    start = lines.index("    To train with it:")
    return textwrap.dedent("\n".join(lines[start + 2 : start + 4]))


def test_the_loop_in_the_docstring_trains_parameters_that_are_arguments() -> None:
    def step(W: Any, b: Any, x: Any, *, rate: Any) -> Any:
        dW, db = cr.grad(lambda W, b: ((x @ W + b - Y) ** 2).mean(), (0, 1))(W, b)
        return W - rate * dW, b - rate * db

    derivation = cr.derive(step, w0, 0.0, X, rate=0.1)
    scope: dict[str, Any] = {"W": w0, "b": 0.0, "x": X, "Y": Y, "rate": 0.1}
    exec(derivation.source, scope)
    exec(loop_of(derivation), scope)
    best = np.linalg.lstsq(np.hstack([X, np.ones((6, 1))]), Y, rcond=None)[0]
    np.testing.assert_allclose(scope["W"], best[:4], atol=1e-6)


def test_the_loop_in_the_docstring_trains_state() -> None:
    layer = nn.Linear(4, 1, generator=0)
    optimizer = optim.Optimizer(layer.parameters(), "adam", rate=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        value = ((layer(x) - Y) ** 2).mean()
        value.backward()
        optimizer.step()
        return value

    derivation = cr.derive(step, X)
    scope: dict[str, Any] = {"x": X, "Y": Y}
    scope["state"] = {name: value for name, value in derivation.constants.items() if name != "Y"}
    exec(derivation.source, scope)
    exec(loop_of(derivation), scope)
    for _ in range(1000):
        step(X)
    np.testing.assert_allclose(scope["state"]["weight"], layer.weight.data, rtol=1e-6)
    assert scope["state"]["steps"] == 1000


# what is said ------------------------------------------------------------------------------------------------


def test_random_batches_are_frozen_and_it_says_so() -> None:
    generator = np.random.default_rng(3)

    def step(W: Any) -> Any:
        rows = generator.permutation(6)[:2]
        return W - 0.1 * cr.grad(lambda W: ((X[rows] @ W - Y[rows]) ** 2).mean())(W)

    assert any("another value each time" in note for note in cr.derive(step, w0).notes)


def test_a_loss_that_changes_something_says_so() -> None:
    running = cr.Tensor(np.zeros(1), requires_grad=True)

    def counted(W: Any) -> Any:
        running.data = 0.9 * running.data + 0.1 * np.mean(W)
        return loss(W)

    derivation = cr.derive(counted, w0)
    assert any("also changes running" in note for note in derivation.notes)
    np.testing.assert_allclose(derivation.function(w0)[1], cr.grad(loss)(w0))
    np.testing.assert_array_equal(running.data, np.zeros(1))


def test_steps_that_cannot_be_traced_are_refused_and_change_nothing() -> None:
    network = nn.Linear(4, 1, generator=0)
    optimizer = optim.Optimizer(network.parameters(), "adam")
    before = str(network.state_dict())

    def stops(x: Any) -> Any:
        cost = ((network(x) - Y) ** 2).mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        if cost < 0.1:
            return None
        return cost

    with pytest.raises(
        UnsupportedError, match=r"a branch depends on its value\n  at .*test_steps.*if cost < 0.1"
    ):
        cr.derive(stops, X)
    assert str(network.state_dict()) == before
    assert type(network.weight) is cr.Tensor
    assert optimizer.states[0]["step"] == 0
    with pytest.raises(InputError, match="cannot be called"):
        cr.derive(stops)
    with pytest.raises(InputError, match="a function is to be traced, but was given 2.0"):
        cr.derive(2.0, 1.0)  # type: ignore[arg-type]


# a network that keeps its own arrays ------------------------------------------------------------------------

SEEN, ROWS = np.random.default_rng(3).normal(size=(8, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]]


class HandMade:
    """Arrays of NumPy as attributes and in a dict, one changed in place, the others replaced."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.W1, self.W2 = rng.normal(size=(4, 5)), rng.normal(size=(5, 3))
        self.velocity = {"W1": np.zeros((4, 5)), "W2": np.zeros((5, 3))}

    def loss(self, W1: Any, W2: Any) -> Any:
        p = np.exp(np.tanh(SEEN @ W1) @ W2)
        p = p / p.sum(axis=1, keepdims=True)
        return -np.mean(np.sum(ROWS * np.log(p), axis=1))

    def step(self) -> Any:
        loss, (g1, g2) = cr.value_and_grad(self.loss, (0, 1))(self.W1, self.W2)
        self.velocity["W1"] = 0.9 * self.velocity["W1"] - 0.1 * g1
        self.velocity["W2"] = 0.9 * self.velocity["W2"] - 0.1 * g2
        self.W1 = self.W1 + self.velocity["W1"]
        self.W2 += self.velocity["W2"]
        return loss


def test_a_network_that_keeps_plain_arrays_is_a_training_loop() -> None:
    network = HandMade()
    derivation = cr.derive(network.step)
    assert "value, state = step(**state, SEEN=SEEN, ROWS=ROWS)" in derivation.source
    assert "Holds for ROWS whose rows sum to 1." in derivation.notes
    np.testing.assert_array_equal(network.W1, HandMade().W1)  # nothing remains changed
    state = {
        "W1": network.W1.copy(), "W2": network.W2.copy(),
        **{f"velocity_{name}": value for name, value in network.velocity.items()},
    }  # fmt: skip
    for _ in range(3):
        expected = network.step()
        value, state = derivation.function(**state)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(state["W1"], network.W1, rtol=1e-12)
    np.testing.assert_allclose(state["W2"], network.W2, rtol=1e-12)


def test_arrays_that_a_step_replaces_one_by_one() -> None:
    network = HandMade()

    def descend() -> None:
        network.W1 = network.W1 - 0.1 * cr.grad(lambda W: network.loss(W, network.W2))(network.W1)

    assert "new_W1 = W1 - 0.1 * " in cr.derive(descend).source
