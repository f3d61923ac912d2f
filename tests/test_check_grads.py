"""The checker is checked: it must reject every wrong rule, name where it is wrong, and accuse nobody else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CASES, PRIMITIVES, Case

import chainrule as cr
from chainrule import ops
from chainrule.errors import GradientMismatch, InputError, RuleError
from chainrule.functions.arrays import data_of
from chainrule.primitives import Primitive, names_of

rng = np.random.default_rng(0)
X, Y, W = rng.normal(size=(3, 4)), rng.uniform(0.5, 2.0, (3, 4)), rng.normal(size=(4, 2))

# planted mistakes ----------------------------------------------------------------------------------------

WRONG: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {}
"""What is wrong: the primitive, its arguments, the order at which it shows."""


def wrong(what: str, signature: str, *arguments: Any, order: int = 1, **rules: Any) -> None:
    WRONG[what] = cr.primitive(signature, **rules), arguments, order


def without(g: Any, key: Any, xp: Any, value: float = 0.0) -> Any:
    """The cotangent with another value at some elements."""
    return xp.index_update(g, value, key=key)


# fmt: off
wrong("sign", "sin(x)", X, x=lambda g, x, xp: -g * xp.cos(x))
wrong("sign of one input", "subtract(x, y)", X, Y, x=lambda g: g, y=lambda g: g)
wrong("times 1.001", "sin(x)", X, x=lambda g, x, xp: 1.001 * g * xp.cos(x))
wrong("times 1.001 of the smallest element", "square(x)", np.array([3.0, 0.2, -5.0]),
      x=lambda g, x: 2 * g * x * (1 + 0.001 * (np.abs(x) < 1)))
wrong("half", "square(x)", X, x=lambda g, x: g * x)
wrong("the derivative is dropped", "tanh(x)", X, x=lambda g: g)
wrong("of the input instead of the output", "tanh(x)", X, x=lambda g, x: g * (1 - x * x))
wrong("zero", "exp(x)", X, x=lambda g, xp: xp.zeros_like(g))
wrong("not zero", "floor(x)", X, x=lambda g: g)
wrong("swapped arguments", "divide(x, y)", Y, 1 + Y, x=lambda g, x: g / x, y=lambda g, x, y: -g * y / (x * x))
wrong("swapped factors", "multiply(x, y)", X, Y, x=lambda g, x: g * x, y=lambda g, y: g * y)
wrong("a transposed factor", "matmul(x, y)", X[:, :3], Y[:, :3],
      x=lambda g, y: g @ y, y=lambda g, x: x.mT @ g)
wrong("a forgotten axis", "sum(x, *, axis=0)", X[:, :3],
      x=lambda g, x_shape, xp: xp.broadcast_to(xp.reshape(g, (-1, 1)), x_shape))
wrong("the count of another axis", "mean(x, *, axis=0)", X,
      x=lambda g, x_shape, xp: xp.broadcast_to(g / x_shape[1], x_shape))
wrong("a missing count", "mean(x, *, axis=0)", X, x=lambda g, x_shape, xp: xp.broadcast_to(g, x_shape))
wrong("summed and spread", "exp(x)", X,
      x=lambda g, out, xp: xp.sum(g * out, axis=0, keepdims=True) + 0 * out)
wrong("one row", "sin(x)", X, x=lambda g, x, xp: without(g * xp.cos(x), 1, xp))
wrong("one element among many", "sin(x)", rng.normal(size=1000),
      x=lambda g, x, xp: without(g * xp.cos(x), 777, xp))
wrong("wrong only at order 2", "exp(x)", X, order=2, x=lambda g, out: g * data_of(out))
wrong("wrong only at order 2, by 1.001", "square(x)", X, order=2, x=lambda g, x: g * twice(x))
wrong("wrong only at order 3", "exp(x)", X, order=3, x=lambda g, out: g * same(out))
wrong("NaN", "sqrt(x)", Y, x=lambda g, out: g * np.nan * out)
wrong("NaN in one element", "sin(x)", X, x=lambda g, x, xp: without(g * xp.cos(x), (1, 2), xp, np.nan))
wrong("infinite", "sqrt(x)", Y, x=lambda g, out: g * np.inf * out)
wrong("small beside others", "multiply(x, y)", np.array([1e3, 0.5, 2e3]), np.array([1.0, 2.0, 3.0]),
      x=lambda g, y: g * y, y=lambda g, x: g * x * (1 + (np.abs(x) < 1)))
# fmt: on

twice = cr.primitive("twice(x)", forward=lambda x: 2 * x, x=lambda g: 2.002 * g)
same = cr.primitive("same(x)", forward=lambda x: x * 1.0, x=lambda g, x: g * one(x))
one = cr.primitive("one(x)", forward=lambda x: x * 0.0 + 1.0, x=lambda g: 0.5 * g)


@pytest.mark.parametrize(("function", "arguments", "order"), WRONG.values(), ids=WRONG)
def test_a_wrong_rule_is_rejected(function: Any, arguments: tuple[Any, ...], order: int) -> None:
    if order > 1:
        assert cr.check_grads(function, arguments, order=order - 1).error < 1e-5
    with pytest.raises(GradientMismatch, match=f"the derivative of order {order} by argument"):
        cr.check_grads(function, arguments, order=order)


def test_a_cotangent_of_another_shape_is_rejected_by_the_engine() -> None:
    forgotten = cr.primitive("sum(x, *, axis=0)", x=lambda g: g)
    with pytest.raises(RuleError, match=r"shape \(4,\) for an input of shape \(3, 4\)"):
        cr.check_grads(forgotten, (X,))


def planted() -> list[tuple[str, Case, str]]:
    """Each rule of each primitive that has a derivative other than zero."""
    declared = [c for c in CASES if c.keeps is not None and c.call is None and c.kind in ("smooth", "rough")]
    flat = {("heaviside", "x"), ("heaviside", "y"), ("copysign", "y"), ("astype", "x")}
    return [
        (f"{c.name} by {i}", c, i)
        for c in declared
        for i in PRIMITIVES[c.name].rules
        if (c.name, i) not in flat
    ]


@pytest.mark.parametrize(("case", "which"), [p[1:] for p in planted()], ids=[p[0] for p in planted()])
@pytest.mark.parametrize("factor", [-1.0, 1.001])
def test_a_factor_in_any_rule_is_found(case: Case, which: str, factor: float) -> None:
    right = PRIMITIVES[case.name]
    rule = with_factor(right.rules[which], factor)
    mistaken = Primitive(
        right.text, {**right.rules, which: rule}, right.forward, elementwise=right.elementwise,
        broadcasts=right.broadcasts, view=right.view, selects=right.selects, outputs=right.outputs,
    )  # fmt: skip
    with pytest.raises(GradientMismatch, match="is wrong"):
        cr.check_grads(lambda *x: mistaken(*case.filled(x), **case.parameters), tuple(case.drawn()))


def with_factor(rule: Any, factor: float) -> Any:
    """The rule times a number, with the same names."""
    names = ", ".join(names_of(rule))
    return eval(f"lambda {names}: rule({names}) * factor", {"rule": rule, "factor": factor})


# what is said --------------------------------------------------------------------------------------------


def message_of(function: Any, *arguments: Any, order: int = 1) -> str:
    with pytest.raises(GradientMismatch) as caught:
        cr.check_grads(function, arguments, order=order)
    return str(caught.value)


def test_the_message_names_argument_position_both_values_and_step() -> None:
    mistaken = cr.primitive(
        "scaled(x)", forward=lambda x: 3.0 * x, x=lambda g, xp: without(3.0 * g, (1, 2), xp)
    )
    text = message_of(lambda a, p: ops.sum(mistaken(p["w"])) + ops.sum(a), X, {"w": X, "b": Y})
    assert "of order 1 by argument 1['w'] of shape (3, 4)" in text
    found = re.search(r"worst at \[1, 2\]: computed (\S+), central differences (\S+) with step (\S+)", text)
    assert found is not None
    computed, differences, step = map(float, found.groups())
    assert computed == 0.0
    assert 1.5 <= abs(differences) <= 4.5  # 3 times a weight between 0.5 and 1.5
    assert 0 < step < 1


def test_the_message_names_the_order() -> None:
    function, arguments, _ = WRONG["wrong only at order 2"]
    assert message_of(function, *arguments, order=2).startswith(
        "the derivative of order 2 by argument 0 of shape"
    )


def test_the_message_finds_one_element_among_thousands() -> None:
    mistaken = cr.primitive("sin(x)", x=lambda g, x, xp: without(g * xp.cos(x), 2345, xp))
    assert "worst at [2345]" in message_of(mistaken, rng.normal(size=5000))


def test_the_message_suspects_a_kink() -> None:
    assert "on the other: a kink?" in message_of(ops.relu, np.array([0.0, 1.0]))


def test_the_message_suspects_a_jump_or_a_random_function() -> None:
    noise = np.random.default_rng(0)
    assert "a jump, or a random function?" in message_of(ops.floor, np.array([1.0]))
    assert "a jump, or a random function?" in message_of(lambda x: ops.sum(x) + noise.normal(), X)


# correct functions are left alone ------------------------------------------------------------------------

# fmt: off
RIGHT: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a kink not far away": (lambda x: ops.abs(x) + ops.relu(x), (np.array([1e-4, -1e-4, 3.0]),)),
    "a kink nearer than the step": (lambda x: ops.relu(x), (np.array([1e-7, -1e-7, 3.0]),)),
    "a jump nearby": (lambda x: ops.floor(x) * x, (np.array([1.0 + 1e-7, 2.5]),)),
    "the end of the domain nearby": (ops.log, (np.array([1e-9, 1.0, 1e9]),)),
    "steep": (lambda x: ops.exp(30 * x), (np.array([0.9, -0.9, 0.1]),)),
    "very steep": (lambda x: ops.tanh(1e5 * (x - 0.5)), (np.array([0.5, 0.500001, 0.7]),)),
    "oscillating": (lambda x: ops.sin(1e4 * x), (np.array([1.0, 2.0]),)),
    "a pole nearby": (lambda x: 1 / x, (np.array([1e-6, 1.0]),)),
    "flat": (ops.floor, (np.array([0.5, 1.5]),)),
    "constant": (lambda x: 5.0, (X,)),
    "constant in one argument": (lambda x, y: ops.sum(x), (X, Y)),
    "constant up to rounding": (lambda x: ops.sum(ops.softmax(x)), (X,)),
    "a constant beside a large number": (lambda x: 1e8 + x, (X,)),
    "stationary": (lambda x: (x - 1.0) ** 2, (np.ones(3),)),
    "stationary of order 3": (lambda x: x**3, (np.array([0.0, 1.0]),)),
    "stationary of order 5": (lambda x: x**5, (np.array([0.0]),)),
    "linear": (lambda x: 3.0 * x, (X,)),
    "numbers": (lambda x, y: x * y, (2.0, 3.0)),
    "float32 arguments": (ops.tanh, (X.astype(np.float32),)),
    "empty": (lambda x, y: ops.sum(x) + ops.sum(y), (np.ones((0, 3)), Y)),
    "a tree": (lambda p: {"out": p["w"] @ p["x"][0]}, ({"w": X, "x": [W, np.ones(2)]},)),
    "an integer among the results": (lambda x: (ops.sum(x * x), ops.argmax(x)), (X,)),
    "many elements": (lambda x: ops.sum(ops.sin(x) ** 2), (rng.normal(size=20_000),)),
    "mixed sizes": (lambda x: ops.sum(x * x), (np.array([1e-6, 1.0, 1e6]),)),
    "cancelling": (lambda x: ops.sum(x) - ops.sum(ops.flip(x)), (X,)),
    "derivatives of different size": (lambda x, y: ops.sum(1e6 * x) + ops.sum(1e-3 * y), (X, Y)),
    "changed in place": (lambda x: in_place(x), (X,)),
}
# fmt: on


def in_place(x: Any) -> Any:
    y = x * 1.0
    y[1] *= x[0]
    return y * y


@pytest.mark.parametrize(("function", "arguments"), RIGHT.values(), ids=RIGHT)
def test_a_correct_function_is_left_alone(function: Any, arguments: tuple[Any, ...]) -> None:
    assert cr.check_grads(function, arguments, order=2).error <= 1e-5


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize(
    "name", ["sin", "exp", "tanh", "log", "sqrt", "reciprocal", "square", "softmax", "norm", "std"]
)
def test_a_correct_function_of_any_scale_is_left_alone(name: str, scale: float) -> None:
    function = getattr(ops, name)
    x = np.array([1.0, 2.0, 1.5])
    assert cr.check_grads(lambda x: scale * function(x), (x,), order=2).error <= 1e-5
    assert cr.check_grads(lambda x: function(x / scale), (scale * x,), order=2).error <= 1e-5


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_a_wrong_rule_of_any_scale_is_rejected(scale: float) -> None:
    mistaken = WRONG["times 1.001"][0]
    x = np.array([1.0, 2.0, 1.3])
    for function, at in ((lambda x: scale * mistaken(x), x), (lambda x: mistaken(x / scale), scale * x)):
        with pytest.raises(GradientMismatch):
            cr.check_grads(function, (at,))


# what it returns and refuses -----------------------------------------------------------------------------


def test_it_returns_the_worst_error_and_counts() -> None:
    found = cr.check_grads(lambda x, y: ops.sin(x) * y, (X, Y), order=2)
    assert found.arrays == 4
    assert 0 < found.error < 1e-8


def test_the_tolerance_is_the_users() -> None:
    function, arguments, _ = WRONG["times 1.001"]
    assert 5e-4 < cr.check_grads(function, arguments, tolerance=1e-2).error < 2e-3


def test_the_same_seed_gives_the_same_error() -> None:
    errors = [cr.check_grads(ops.tanh, (X,), seed=s).error for s in (1, 1, 2)]
    assert errors[0] == errors[1] != errors[2]


@pytest.mark.parametrize("argument", [np.arange(3), 3, True, [1, 2], np.ones(2, complex)])
def test_numbers_without_derivatives_are_refused(argument: Any) -> None:
    with pytest.raises(InputError, match=r"check_grads, argument \[1\].* needs floating-point numbers"):
        cr.check_grads(lambda x, y: ops.sum(x), (X, argument))


def test_a_function_without_floating_point_results_is_refused() -> None:
    with pytest.raises(InputError, match="returned no floating-point numbers"):
        cr.check_grads(ops.argmax, (X,))


def test_an_order_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="the order is 1 or more"):
        cr.check_grads(ops.sin, (X,), order=0)


def test_an_array_is_not_taken_for_a_tuple_of_its_rows() -> None:
    W, loss = np.ones((2, 2)), lambda a, b=1.0: (a * b).sum()
    for call in (
        lambda: cr.check_grads(loss, W), lambda: cr.hvp(loss, W, W), lambda: cr.jvp(loss, (W,), W),
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"float64 of shape \(2, 2\); for one argument, write \(x,\)"):
            call()
    assert cr.check_grads(loss, (W,)).arrays == 1
