"""torch.autograd and torch.func."""

from __future__ import annotations

import pytest

from chainrule import torch
from chainrule.torch.autograd import functional


def double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


# the sweep ------------------------------------------------------------------------------------------------


def test_backward_adds_up() -> None:
    x = torch.tensor(4.0, requires_grad=True)
    (x**2).backward()
    (x**3).backward()
    assert x.grad.item() == 8 + 48


def test_backward_of_some_inputs_only() -> None:
    x, y = double(1.0, 2.0), double(3.0, 4.0)
    (x * y).sum().backward(inputs=[x])
    assert x.grad.tolist() == [3.0, 4.0]
    assert y.grad is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: (x * 2).backward(), "scalar outputs"),
        (lambda x: x.detach().sum().backward(), "does not require grad"),
        (lambda x: (x * 2).backward(torch.ones(3, dtype=torch.float64)), "shape"),
        (lambda x: torch.autograd.grad(x.sum(), double(1.0)), "not have been used"),
    ],
)
def test_sweeps_that_cannot_be_done(wrong: object, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        wrong(double(1.0, 2.0))


def test_a_second_sweep_needs_the_graph() -> None:
    x = double(1.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0]
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()


def test_grad_by_a_tensor_and_by_what_it_is_made_from() -> None:
    x = double(3.0)
    y = x * 2
    by_y, by_x = torch.autograd.grad((y * y).sum(), [y, x])
    assert (by_y.item(), by_x.item()) == (12.0, 24.0)


def test_second_derivatives() -> None:
    x = double(2.0)
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert (first.item(), second.item()) == (12.0, 12.0)


def test_unused_inputs() -> None:
    x, y = double(1.0), double(2.0)
    assert torch.autograd.grad(x.sum(), [x, y], allow_unused=True)[1] is None
    assert torch.autograd.grad(x.sum(), [x, y], materialize_grads=True)[1].tolist() == [0.0]


def test_a_batch_of_cotangents() -> None:
    x = double(1.0, 2.0)
    (rows,) = torch.autograd.grad(x**2, x, torch.eye(2, dtype=torch.float64), is_grads_batched=True)
    assert rows.tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_hooks_and_retained_gradients() -> None:
    x = double(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    handle = y.register_hook(lambda g: g * 10)
    y.sum().backward(retain_graph=True)
    assert (y.grad.tolist(), x.grad.tolist()) == ([10.0, 10.0], [20.0, 20.0])
    handle.remove()
    y.sum().backward()
    assert (y.grad.tolist(), x.grad.tolist()) == ([11.0, 11.0], [22.0, 22.0])


def test_the_gradient_of_a_computed_tensor_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="not a leaf"):
        assert (double(1.0) * 2).grad is None


# modes ----------------------------------------------------------------------------------------------------


def test_modes_are_context_managers_and_decorators() -> None:
    x = double(1.0)

    @torch.no_grad()
    def first() -> bool:
        return (x * 2).requires_grad

    @torch.no_grad
    def second() -> bool:
        with torch.enable_grad():
            return (x * 2).requires_grad

    @torch.inference_mode()
    def third() -> bool:
        return torch.is_grad_enabled()

    assert (first(), second(), third(), torch.is_grad_enabled()) == (False, True, False, True)


def test_a_generator_is_decorated_too() -> None:
    @torch.no_grad()
    def numbers():
        yield torch.is_grad_enabled()
        yield torch.is_grad_enabled()

    found = []
    for enabled in numbers():
        found += [enabled, torch.is_grad_enabled()]
    assert found == [False, True, False, True]


def test_set_grad_enabled_acts_at_once() -> None:
    torch.set_grad_enabled(False)
    assert not torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    assert torch.is_grad_enabled()
    with torch.set_grad_enabled(False):
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


def test_anomalies_are_found() -> None:
    with torch.autograd.detect_anomaly(), pytest.raises(ArithmeticError, match="nan"):
        double(-1.0).log()
    with torch.autograd.set_detect_anomaly(True), pytest.raises(ArithmeticError, match="inf"):
        double(0.0).log()
    assert double(0.0).log().item() == -torch.inf


# functions with a backward pass of their own ----------------------------------------------------------------


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * g * x**2


class Both(torch.autograd.Function):
    """Two results, of which one is saved and one has no gradient; a number among the inputs."""

    @staticmethod
    def forward(ctx, x, y, power):
        product = x * y
        ctx.save_for_backward(x, y, product)
        ctx.power = power
        sign = x.sign()
        ctx.mark_non_differentiable(sign)
        return product**power, sign

    @staticmethod
    def backward(ctx, g, _):
        x, y, _ = ctx.saved_tensors
        product = x * y  # what is saved has no history unless it is an input or a result
        assert ctx.needs_input_grad == (True, True, False)
        inner = g * ctx.power * product ** (ctx.power - 1)
        return inner * y, inner * x, None


class Later(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 3


@pytest.mark.parametrize("function", [Cube.apply, lambda x: Both.apply(x, x + 1, 3)[0], Later.apply])
def test_own_functions(function: object) -> None:
    x = double(0.5, 2.0)
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


def test_own_functions_are_named() -> None:
    assert repr(Cube.apply(double(2.0))) == "tensor([8.], dtype=torch.float64, grad_fn=<CubeBackward>)"
    power, sign = Both.apply(double(2.0), double(3.0), 2)
    assert power.requires_grad
    assert not sign.requires_grad
    assert not Cube.apply(torch.ones(1)).requires_grad


def test_a_wrong_backward_is_found() -> None:
    with pytest.raises(torch.autograd.GradcheckError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(Wrong.apply, double(1.0))
    assert not torch.autograd.gradcheck(Wrong.apply, double(1.0), raise_exception=False)


def test_a_saved_tensor_that_was_changed_is_refused() -> None:
    x = double(1.0)
    inner = x * 2
    y = Cube.apply(inner)
    inner.mul_(5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_too_few_gradients_are_refused() -> None:
    class Short(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="expected 2, got 1"):
        Short.apply(double(1.0), double(2.0)).sum().backward()


# derivatives of functions -----------------------------------------------------------------------------------


def cubes(x: torch.Tensor) -> torch.Tensor:
    return (x**3).sum()


def test_functional() -> None:
    x, y = double(1.0, 2.0), double(3.0, 4.0)
    assert functional.jacobian(lambda a: a**2, x).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    by_x, by_y = functional.jacobian(lambda a, b: a * b, (x, y))
    assert (by_x.tolist(), by_y.tolist()) == ([[3.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 2.0]])
    assert functional.hessian(cubes, x).tolist() == [[6.0, 0.0], [0.0, 12.0]]
    for product in (functional.hvp, functional.vhp):
        value, found = product(cubes, x, y.detach())
        assert (value.item(), found.tolist()) == (9.0, [18.0, 48.0])
    assert functional.jvp(lambda a: a**2, x, y.detach())[1].tolist() == [6.0, 16.0]
    assert functional.vjp(lambda a: a**2, x, y.detach())[1].tolist() == [6.0, 16.0]
    with pytest.raises(RuntimeError, match="strict"):
        functional.jacobian(lambda a: torch.ones(2), x, strict=True)


def test_transforms() -> None:
    x = torch.tensor([1.0, 2.0])
    assert torch.func.grad(cubes)(x).tolist() == [3.0, 12.0]
    gradient, value = torch.func.grad_and_value(cubes)(x)
    assert (gradient.tolist(), value.item()) == ([3.0, 12.0], 9.0)
    assert not gradient.requires_grad
    assert torch.func.hessian(cubes)(x).tolist() == [[6.0, 0.0], [0.0, 12.0]]
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        assert jacobian(lambda a: a * a)(x).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    value, along = torch.func.jvp(torch.square, (x,), (torch.ones(2),))
    assert (value.tolist(), along.tolist()) == ([1.0, 4.0], [2.0, 4.0])
    value, pull = torch.func.vjp(torch.square, x)
    assert pull(torch.ones(2))[0].tolist() == [2.0, 4.0]
    assert torch.func.grad(lambda p: (p["w"] * p["b"]).sum())({"w": x, "b": x})["w"].tolist() == [1.0, 2.0]
    assert torch.func.grad(lambda a: (a.sum(), a), has_aux=True)(x)[1].tolist() == [1.0, 2.0]


def test_a_transform_of_tensors_with_a_history_is_differentiable() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    torch.func.grad(cubes)(x).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_vmap() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.vmap(torch.dot)(x, x).tolist() == [5.0, 50.0]
    assert torch.vmap(lambda a, b: a + b, in_dims=(1, None), out_dims=1)(x, torch.ones(2)).shape == (2, 3)
    assert torch.vmap(torch.func.grad(cubes))(x).tolist() == [[0.0, 3.0, 12.0], [27.0, 48.0, 75.0]]
    with pytest.raises(ValueError, match="same size"):
        torch.vmap(torch.add)(torch.ones(2), torch.ones(3))


def test_functional_call() -> None:
    layer = torch.nn.Linear(2, 1)
    values = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
    assert torch.func.functional_call(layer, values, (torch.tensor([2.0, 3.0]),)).tolist() == [5.0]
    assert layer.weight is not values["weight"]
    with pytest.raises(ValueError, match="no parameter"):
        torch.func.functional_call(layer, {"weights": torch.ones(1, 2)}, (torch.ones(2),))
