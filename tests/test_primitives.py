"""The contract of primitives: what a declaration may say, and custom operations."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors


@pytest.mark.parametrize(
    ("signature", "rules", "message"),
    [
        ("sin(x)", {"x": lambda g, y: g}, "asks for 'y'; it may ask for g, out, x, x_shape, xp"),
        ("sin(x)", {"z": lambda g: g}, "rule for 'z', which is no input"),
        ("sin(x", {"x": lambda g: g}, "expected a signature like"),
        ("sin", {}, "expected a signature like"),
        (
            "no_such_function(x)",
            {"x": lambda g: g},
            "NumPy has no function 'no_such_function'; give one as forward=",
        ),
        ("add(x, y)", {"x": lambda y_bar: y_bar, "y": lambda x_bar: x_bar}, "wait for each other"),
        ("add(x, y)", {"x": lambda x_bar: x_bar}, "asks for 'x_bar'"),
    ],
)
def test_a_broken_contract_fails_at_the_declaration(signature: str, rules: dict, message: str) -> None:
    with pytest.raises(errors.ContractError, match=message):
        cr.primitive(signature, **rules)


def test_a_custom_operation_gets_every_order_and_broadcasts_on_request() -> None:
    scaled = cr.primitive(
        "scaled(x, y, *, factor=2.0)", forward=lambda x, y, factor: x * y * factor, broadcasts=True,
        x=lambda g, y, factor: g * y * factor, y=lambda g, x, factor: g * x * factor,
    )  # fmt: skip
    x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -1.0])
    assert cr.check_grads(lambda a, b: scaled(a, b, factor=3.0) ** 2, (x, y), order=2).error < 1e-5
    assert scaled(x, y).tolist() == (x * y * 2).tolist()


def test_a_custom_operation_may_use_the_namespace_and_its_output() -> None:
    swish = cr.primitive(
        "swish(x)", forward=lambda x, xp: x * xp.sigmoid(x),
        x=lambda g, x, out, xp: g * (out + xp.sigmoid(x) * (1 - out)),
    )  # fmt: skip
    assert cr.check_grads(swish, (np.linspace(-3, 3, 7),), order=2).error < 1e-5


def test_a_custom_operation_may_have_variadic_inputs() -> None:
    total = cr.primitive(
        "total(*arrays, weight=1.0)", forward=lambda *arrays, weight: weight * sum(arrays),
        arrays=lambda g, index, weight: g * weight,
    )  # fmt: skip
    assert (
        cr.check_grads(
            lambda a, b, c: total(a, b, c, weight=2.0) ** 2, (np.ones(2), np.ones(2), np.ones(2))
        ).arrays
        == 3
    )


def test_rules_of_inputs_without_gradients_are_not_called() -> None:
    called = []
    product = cr.primitive(
        "product(x, y)", forward=lambda x, y: x * y,
        x=lambda g, y: called.append("x") or g * y, y=lambda g, x: called.append("y") or g * x,
    )  # fmt: skip
    product(cr.Tensor(2.0, requires_grad=True), 3.0).backward()
    assert called == ["x"]


def test_a_missing_rule_means_no_gradient() -> None:
    half = cr.primitive("half_rule(x, y)", forward=lambda x, y: x * y, x=lambda g, y: g * y)
    x, y = (cr.Tensor(v, requires_grad=True) for v in (2.0, 3.0))
    half(x, y).backward()
    assert (float(x.grad), y.grad) == (3.0, None)
    assert not half(2.0, y).requires_grad if isinstance(half(2.0, y), cr.Tensor) else False


def test_what_a_rule_names_is_all_that_is_kept() -> None:
    x, y = (cr.Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    assert (x + y)._node.kept == ()
    assert cr.ops.tanh(x)._node.kept[0] is not x.data
    assert (x * np.ones(3))._node.kept[0] is not x.data
    assert x.sum()._node.kept == ((3,), None)


def test_inputs_and_parameters_may_be_named() -> None:
    x = np.ones((2, 3))
    assert cr.ops.sum(x=x, axis=0).tolist() == [2.0, 2.0, 2.0]
    assert cr.ops.sum(x, 0).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(errors.ContractError, match="too many arguments"):
        cr.ops.sum(x, 0, True, 3)
    with pytest.raises(errors.ContractError, match="misses 'y'"):
        cr.ops.add(x)
    with pytest.raises(errors.ContractError, match="misses 'shape'"):
        cr.ops.reshape(x)


def test_plain_arrays_stay_plain() -> None:
    assert type(cr.ops.exp(np.ones(2))) is np.ndarray
    assert isinstance(cr.ops.exp(1.0), float)
    assert type(cr.ops.sigmoid([0.0, 1.0])) is np.ndarray


def test_an_object_that_is_no_array_is_named() -> None:
    with pytest.raises(errors.InputError, match="'abc' of type builtins.str"):
        cr.ops.exp("abc")
    with pytest.raises(errors.InputError, match="NoneType"):
        cr.ops.add(1.0, None)
