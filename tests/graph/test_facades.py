"""Functions, modules and training steps in PyTorch's and TensorFlow's style: derived and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graph.facade_table import ROWS, Row, numbers

import chainrule as cr
from chainrule import tensorflow as tf
from chainrule import torch
from chainrule.errors import UnsupportedError
from chainrule.torch import nn

F = nn.functional
X, Y = numbers(5, 4), numbers(5, 2, seed=1)


def arrays(value: Any) -> list[np.ndarray]:
    """The elements of the tensors and numbers in a result, in order."""
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in arrays(part)]
    return [np.asarray(value.detach().numpy() if isinstance(value, torch.Tensor) else value)]


def assert_same(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    mine, theirs = arrays(found), arrays(expected)
    assert [(a.shape, a.dtype) for a in mine] == [(a.shape, a.dtype) for a in theirs]
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# modules and whole training steps ---------------------------------------------------------------------------


def training(
    row: Row, rule: Callable[[Any], Any], kind: Any = torch.float64
) -> tuple[Any, Callable[..., Any]]:
    """A module, always the same one, and its training step."""
    torch.manual_seed(1)
    module = row.module().to(kind)
    optimizer = rule(module.parameters())

    def step(inputs: Any, targets: Any) -> tuple[Any, Any]:
        optimizer.zero_grad()
        outputs = module(inputs)
        loss = row.loss(outputs, targets)
        loss.backward()
        optimizer.step()
        return loss, outputs

    return module, step


def compare_training(
    row: Row, rule: Callable[[Any], Any], kind: Any, tolerance: float, steps: int = 20
) -> None:
    (eager, step), (module, other) = (training(row, rule, kind) for _ in range(2))
    batch = [t.to(kind) if t.is_floating_point() else t for t in (row.inputs, row.targets)]
    compiled = cr.compile(other)
    for _ in range(steps):
        found = compiled(*batch)
        assert_same(found, step(*batch), tolerance)
        assert all(type(tensor) is torch.Tensor and not tensor.requires_grad for tensor in found)
    states = [list(m.state_dict().values()) for m in (module, eager)]
    assert_same(*states, tolerance)
    assert len(compiled._known) == 1


@pytest.mark.parametrize("name", ROWS)
def test_a_compiled_training_step_trains_as_the_eager_one(name: str) -> None:
    compare_training(ROWS[name], lambda p: torch.optim.SGD(p, lr=0.05), torch.float64, 1e-12)


@pytest.mark.parametrize("name", ["linear", "relu", "batch norm", "convolution", "lstm"])
def test_in_single_precision(name: str) -> None:
    compare_training(ROWS[name], lambda p: torch.optim.SGD(p, lr=0.05), torch.float32, 1e-5)


optim = torch.optim
RULES: dict[str, Callable[[Any], Any]] = {
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.01, lr_decay=0.1),
    "adadelta": lambda p: optim.Adadelta(p, lr=0.1),
    "adamax": lambda p: optim.Adamax(p, lr=0.01),
    "rprop": lambda p: optim.Rprop(p, lr=0.01),
}


@pytest.mark.parametrize("name", RULES)
def test_every_update_rule_keeps_its_state(name: str) -> None:
    compare_training(ROWS["linear"], RULES[name], torch.float64, 1e-12)


@pytest.mark.parametrize("rule", [optim.NAdam, optim.RAdam, optim.ASGD])
def test_a_rule_that_decides_by_its_step_is_refused_at_its_line(rule: Any) -> None:
    row = ROWS["linear"]
    _, step = training(row, lambda p: rule(p, lr=0.01))
    compiled = cr.compile(step)
    compiled(row.inputs, row.targets)  # the first step makes the memory of the optimizer, and runs as it is
    with pytest.raises(UnsupportedError, match=r"test_facades.py, line \d+: optimizer.step\(\)"):
        compiled(row.inputs, row.targets)


def test_clipping_a_schedule_and_switching_to_evaluation() -> None:
    def make() -> tuple[Any, Any, Callable[..., Any]]:
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3), nn.Linear(3, 2)).double()
        net[2].weight.requires_grad_(False)
        optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.5, momentum=0.9)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = F.mse_loss(net(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.05)
            optimizer.step()
            return loss

        return net, schedule, step

    (net, slower, step), (other, schedule, twin) = make(), make()
    compiled = cr.compile(twin)
    for i in range(12):
        if i == 8:
            net.eval(), other.eval()
        assert_same(compiled(X, Y), step(X, Y))
        slower.step(), schedule.step()
    assert_same(*[list(m.state_dict().values()) for m in (other, net)])


def test_the_first_call_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_VERIFY", "1")
    compare_training(ROWS["batch norm"], RULES["adam"], torch.float64, 1e-9, steps=3)


def test_memory_that_is_shared_with_a_parameter_is_trained_too() -> None:
    array = np.ones((4, 2))
    weight = torch.from_numpy(array).requires_grad_()

    def step(x: Any, y: Any) -> Any:
        weight.grad = None
        loss = F.mse_loss(x @ weight, y)
        loss.backward()
        with torch.no_grad():
            weight.sub_(0.1 * weight.grad)
        return loss

    before = (X @ weight.detach()).numpy()
    expected = array - 0.1 * 2 * X.numpy().T @ (before - Y.numpy()) / 10
    cr.compile(step)(X, Y)
    np.testing.assert_allclose(array, expected, rtol=1e-12)


def test_a_module_is_derived_by_its_named_parameters() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    loss = F.mse_loss(net(X), Y)
    loss.backward()
    derivation = cr.derive(lambda x, y: F.mse_loss(net(x), y), X, Y)
    value, gradient = derivation.function(X.numpy(), Y.numpy())
    assert list(gradient) == ["W1", "b1", "W2", "b2"]
    np.testing.assert_allclose(value, loss.item(), rtol=1e-13)
    for found, parameter in zip(gradient.values(), net.parameters(), strict=True):
        np.testing.assert_allclose(found, parameter.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_a_derived_step_reads_as_one_of_our_own() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    before = [p.detach().clone() for p in net.parameters()]
    derivation = cr.derive(step, X, Y)
    assert_same(list(net.parameters()), before, 0)
    for line in ("d_W1 = P.T @ x", "new_W1 = W1 - 0.1 * d_W1", "return loss, {'W1': new_W1"):
        assert line in derivation.source
    loss, state = derivation.function(X.numpy(), Y.numpy())
    assert_same(step(X, Y), loss)
    assert_same(list(net.parameters()), list(state.values()))


# functions ------------------------------------------------------------------------------------------------------


def written_into(x: Any) -> Any:
    out = torch.zeros(3, dtype=torch.float64)
    out[0] = x.sum()
    out[1:] += x[:2] * 2
    row = out[1:]
    row *= x[3]
    return (out * out).sum()


def changed_views(x: Any) -> Any:
    y = x * 2
    y += 1
    y[0] = x[1]
    y.view(2, 2)[0] *= 3
    return (y**2).sum()


def without_gradient(x: Any) -> Any:
    with torch.no_grad():
        size = x.sum()
    return (x * size).sum() + (x.detach() * x).prod()


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "written into": written_into, "changed views": changed_views, "without gradient": without_gradient,
    "in place": lambda x: (x * 1).mul_(2).exp_().relu_().sum(),
    "methods": lambda x: x.view(2, -1).sum(dim=1, keepdim=True).T.matmul(x.reshape(2, 2)).pow(2).mean(),
    "index": lambda x: x[torch.tensor([3, 1, 1])].prod() + x[x.argmax()] + x[None, 1:, None].squeeze().sum(),
    "selection": lambda x: torch.where(x > 0, x.abs().sqrt(), x**3).sum() + x.clamp(-0.1, 0.1).sum(),
    "order": lambda x: (x.sort()[0] * x.topk(4)[0]).sum() + x.view(2, 2).max(dim=1)[0].sum(),
    "joined": lambda x: torch.stack([torch.cat([x, 2 * x]), torch.cat([x, x])]).split(3, dim=1)[0].pow(2).sum(),
    "products": lambda x: torch.einsum("i,j->ij", x, x).tril().sum() + torch.outer(x, x).norm(),
    "loop": lambda x: sum((v * i for i, v in enumerate(x)), torch.zeros((), dtype=torch.float64)),
    "numpy inside": lambda x: torch.from_numpy(np.sin(x.detach().numpy())).sum() * x.sum(),
    "single precision": lambda x: (x.float() * 1.5 + torch.ones(4)).sum().double(),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_compiled_and_derived(name: str) -> None:
    f = FUNCTIONS[name]
    x = numbers(4).requires_grad_()
    value = f(x)
    value.backward()
    given = x.detach()
    assert_same(cr.compile(f)(given), value, 1e-6 if name == "single precision" else 1e-12)
    found, gradient = cr.derive(f, given).function(given.numpy())
    np.testing.assert_allclose(found, value.item(), rtol=1e-6)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-6, atol=1e-12)


def twice(x: Any) -> Any:
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (slope**2).sum().backward()
    return x.grad


def hooked(x: Any) -> Any:
    x = x.detach().requires_grad_()
    middle = x * 2
    middle.register_hook(lambda g: g * 10)
    middle.retain_grad()
    (middle**2).sum().backward()
    return x.grad, middle.grad


class Sign(torch.autograd.Function):
    """A function whose gradient is not that of its value."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return torch.sign(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * (x.abs() < 1)


def by_hand(x: Any) -> Any:
    x = x.detach().requires_grad_()
    (Sign.apply(x) * x).sum().backward()
    return x.grad


GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "twice": twice, "hooked": hooked, "by hand": by_hand, "transform": cr.grad(lambda x: torch.sin(x).sum()),
    "torch.func": lambda x: torch.func.grad(lambda z: (z**3).sum())(x),
    "hessian": lambda x: torch.autograd.functional.hessian(lambda z: (z**3).sum(), x),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_taken_inside_are_compiled(name: str) -> None:
    f = GRADIENTS[name]
    assert_same(cr.compile(f)(numbers(4)), f(numbers(4)))


def test_arrays_become_tensors_inside_and_gradients_reach_them() -> None:
    def loss(W: Any, x: Any) -> Any:
        return torch.tanh(torch.tensor(x) @ torch.from_numpy(W)).sum()

    def slope(W: Any, x: Any) -> Any:
        leaf = torch.tensor(W, requires_grad=True)
        torch.tanh(torch.tensor(x) @ leaf).sum().backward()
        return leaf.grad

    W, x = numbers(4, 2).numpy(), X.numpy()
    expected = slope(W, x).numpy()
    _, gradient = cr.derive(loss, W, x, argnums=0).function(W, x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    np.testing.assert_allclose(cr.derive(slope, W, x).function(W, x), expected, rtol=1e-12)
    assert_same(cr.compile(slope)(W, x), slope(W, x))


def test_a_label_out_of_bounds_is_refused_as_by_the_eager_function() -> None:
    compiled = cr.compile(lambda x, y: F.cross_entropy(x, y))
    good, bad = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([0, 1, -1, 0, 1])
    assert_same(compiled(Y, good), F.cross_entropy(Y, good))
    ignored = torch.tensor([0, 1, -100, 0, 1])
    assert_same(compiled(Y, ignored), F.cross_entropy(Y, ignored))
    with pytest.raises(IndexError, match="Target -1 is out of bounds"):
        compiled(Y, bad)


# what is refused ------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "random numbers": (lambda x: (x + torch.rand(4)).sum(), "random numbers are drawn"),
    "dropout": (lambda x: F.dropout(x, 0.5).sum(), "random numbers are drawn"),
    "branch": (lambda x: x.sum() if x.sum() > 0 else -x.sum(), "a branch depends on its value"),
    "item": (lambda x: x.sum() if x.sum().item() > 0 else -x.sum(), "a branch depends on its value"),
    "float": (lambda x: x * float(x.sum()), "it was to become a Python number"),
    "list": (lambda x: sum(x.tolist()), "it was to become a list"),
    "array": (lambda x: torch.tensor(np.array(x)).sum(), "written into a plain array"),
    "mask": (lambda x: x[x > 0], "as many elements as a condition is true for"),
    "places": (lambda x: torch.nonzero(x > 0), "as many elements as a condition is true for"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_refused_at_its_line(name: str) -> None:
    f, message = REFUSED[name]
    with pytest.raises(UnsupportedError, match=message) as refusal:
        cr.compile(f)(numbers(4))
    assert "test_facades.py, line" in str(refusal.value)


def test_a_gradient_by_hand_is_not_derived_but_traced() -> None:
    with pytest.raises(UnsupportedError, match="the gradient of Sign is written by hand"):
        cr.derive(lambda x: (Sign.apply(x) * x).sum(), numbers(4))
    found = cr.derive(by_hand, numbers(4)).function(numbers(4).numpy())
    np.testing.assert_allclose(found, by_hand(numbers(4)).numpy(), rtol=1e-13)


def test_a_step_that_stores_more_each_time_is_refused() -> None:
    kept: dict[int, Any] = {}

    def step(x: Any) -> Any:
        kept[len(kept)] = x * 2
        return x.sum()

    compiled = cr.compile(step)
    compiled(X)  # the first call may make what later ones find
    with pytest.raises(UnsupportedError, match="where nothing was before"):
        compiled(X)


# TensorFlow's style ---------------------------------------------------------------------------------------------

keras = tf.keras
TENSORFLOW_RULES: dict[str, Callable[[], Any] | None] = {
    "assign_sub": None, "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01), "adamw": lambda: keras.optimizers.AdamW(0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01), "adagrad": lambda: keras.optimizers.Adagrad(0.1),
}  # fmt: skip


def tape_step(rule: Callable[[], Any] | None) -> tuple[list[Any], Callable[..., Any]]:
    W, b = tf.Variable(numbers(4, 2).numpy()), tf.Variable(np.zeros(2))
    optimizer = rule() if rule else None

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((tf.nn.relu(x @ W + b) - y) ** 2)
        gradients = tape.gradient(loss, [W, b])
        if optimizer is None:
            W.assign_sub(0.1 * gradients[0])
            b.assign_sub(0.1 * gradients[1])
        else:
            optimizer.apply_gradients(zip(gradients, [W, b], strict=True))
        return loss

    return [W, b], step


@pytest.mark.parametrize("name", TENSORFLOW_RULES)
def test_a_step_with_a_tape_trains_as_the_eager_one(name: str) -> None:
    (eager, step), (variables, other) = (tape_step(TENSORFLOW_RULES[name]) for _ in range(2))
    x, y = tf.constant(X.numpy()), tf.constant(Y.numpy())
    compiled = cr.compile(other)
    for _ in range(20):
        loss = compiled(x, y)
        assert isinstance(loss, tf.Tensor)
        np.testing.assert_allclose(loss.numpy(), step(x, y).numpy(), rtol=1e-12)
    for mine, theirs in zip(variables, eager, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-12)
    assert len(compiled._known) == 1


def test_layers_of_keras_are_compiled() -> None:
    x, y = tf.constant(X.numpy().astype(np.float32)), tf.constant([0, 1, 2, 1, 0])
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def make() -> tuple[Any, Callable[..., Any]]:
        tf.random.set_seed(1)
        model = keras.Sequential([
            keras.layers.Dense(8, activation="relu", use_bias=False), keras.layers.BatchNormalization(),
            keras.layers.Dense(3),
        ])  # fmt: skip
        model(x)
        optimizer = keras.optimizers.SGD(0.1)

        def step(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = loss_of(y, model(x, training=True))
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        return model, step

    (eager, step), (model, other) = make(), make()
    compiled = cr.compile(other)
    for _ in range(20):
        np.testing.assert_allclose(compiled(x, y).numpy(), step(x, y).numpy(), rtol=1e-5)
    for mine, theirs in zip(model.variables, eager.variables, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_tensorflow_functions_are_derived_and_what_is_stopped_has_no_gradient() -> None:
    def loss(W: Any, x: Any) -> Any:
        H = tf.sigmoid(tf.matmul(x, W))
        return tf.reduce_sum(tf.square(H) * tf.stop_gradient(H))

    W, x = tf.Variable(numbers(4, 2).numpy()), tf.constant(X.numpy())
    with tf.GradientTape() as tape:
        value = loss(W, x)
    given = tf.constant(W.numpy())
    found, gradient = cr.derive(loss, given, x, argnums=0).function(W.numpy(), X.numpy())
    np.testing.assert_allclose(found, value.numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, tape.gradient(value, W).numpy(), rtol=1e-12)


TENSORFLOW_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "order": lambda x: tf.sort(x)[:, 1] * tf.sort(x, direction="DESCENDING")[:, 0],
    "index": lambda x: tf.one_hot(tf.argmax(x, axis=1), 4, dtype="float64") * x + tf.gather(x, [4, 3, 2, 1, 0]),
    "shapes": lambda x: tf.concat([tf.reshape(x, (4, 5)), tf.zeros_like(tf.transpose(x))], 1) ** 2,
    "selection": lambda x: tf.where(x > 0, x, tf.exp(x)) + tf.clip_by_value(x, -0.5, 0.5) + tf.nn.leaky_relu(x),
    "reduced": lambda x: tf.reduce_max(x, axis=1) * tf.nn.moments(x, [1])[1] + tf.reduce_prod(x, axis=1),
    "classes": lambda x: tf.nn.softmax_cross_entropy_with_logits(labels=tf.nn.softmax(x), logits=x),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORFLOW_FUNCTIONS)
def test_gradients_of_a_tape_are_compiled(name: str) -> None:
    def slope(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(TENSORFLOW_FUNCTIONS[name](x) ** 2)
        return value, tape.gradient(value, x)

    expected = slope(tf.constant(X.numpy()))
    for found, wanted in zip(cr.compile(slope)(tf.constant(X.numpy())), expected, strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-11, atol=1e-12)


def test_random_numbers_of_tensorflow_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="random numbers are drawn"):
        cr.compile(lambda x: x + tf.random.normal((5, 4), dtype="float64"))(tf.constant(X.numpy()))
