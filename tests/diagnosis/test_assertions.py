"""`assert_gradients` and its like: silent where all is right, and else a report as the message."""

from typing import Any

import numpy as np
import pytest

import chainrule.torch as facade
from chainrule.diagnosis import assert_gradients, assert_layer, assert_step, check, check_layer, check_step
from chainrule.errors import GradientMismatch, InputError

Array = Any
X = np.random.default_rng(0).normal(size=(6, 3))
y = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
W = np.array([0.3, -0.2, 0.5])


def loss(w: Array) -> Array:
    return ((np.tanh(X @ w) - y) ** 2).mean()


def gradient(w: Array) -> Array:
    a = np.tanh(X @ w)
    return X.T @ (2 * (a - y) * (1 - a**2)) / len(y)


def without_derivative(w: Array) -> Array:
    return X.T @ (2 * (np.tanh(X @ w) - y)) / len(y)


def forward(x: Array, w: Array) -> Any:
    return x @ w, (x, w)


def backward(dout: Array, cache: Any) -> Any:
    x, w = cache
    return dout @ w.T, x.T @ dout


def transposed(dout: Array, cache: Any) -> Any:
    dx, dw = backward(dout, cache)
    return dx, dw.T


def test_silent_where_all_is_right() -> None:
    assert_gradients(loss, W, gradient(W))
    assert_gradients(loss, W, gradient)
    assert_gradients(loss, facade.tensor(W), facade.tensor(gradient(W)))
    assert_layer(forward, backward, X, np.eye(3))
    assert_step(loss, lambda w: w - 0.1 * gradient(w), W)


def test_the_message_is_the_report() -> None:
    for claimed in (without_derivative, without_derivative(W)):
        with pytest.raises(GradientMismatch) as caught:
            assert_gradients(loss, W, claimed)
        assert isinstance(caught.value, AssertionError)
        assert str(caught.value) == f"the gradient is wrong\n{check(loss, W, claimed)}"
        assert "CR101 missing activation derivative" in str(caught.value)
    with pytest.raises(AssertionError) as layer:
        assert_layer(forward, transposed, X, np.ones((3, 3)))
    assert (
        str(layer.value)
        == f"the backward pass is wrong\n{check_layer(forward, transposed, X, np.ones((3, 3)))}"
    )
    with pytest.raises(AssertionError, match="CR203 ascent"):
        assert_step(loss, lambda w: w + 0.1 * gradient(w), W)


def test_conventions_fail_unless_they_are_muted() -> None:
    with pytest.raises(GradientMismatch, match="CR003"):
        assert_gradients(loss, W, lambda w: len(y) * gradient(w))
    assert_gradients(loss, W, lambda w: len(y) * gradient(w), mute=("CR003",))
    with pytest.raises(GradientMismatch, match="CR004"):
        assert_gradients(loss, W, lambda w: -gradient(w), mute=("CR003",))


def test_a_muted_mistake_passes() -> None:
    assert_gradients(loss, W, without_derivative, mute=("CR101",))
    assert_step(loss, lambda w: w + 0.1 * gradient(w), W, mute=("CR203",))
    assert check_step(loss, lambda w: w + 0.1 * gradient(w), W, mute=("CR203",)).ok


def test_a_tolerance_is_one() -> None:
    nearly = gradient(W) * (1 + 1e-4 * np.array([1.0, -1.0, 1.0]))
    assert_gradients(loss, W, nearly, tolerance=1e-3)
    with pytest.raises(GradientMismatch):
        assert_gradients(loss, W, nearly, seconds=1)


def test_what_cannot_be_checked_is_no_failed_assertion() -> None:
    with pytest.raises(InputError):
        assert_gradients(loss, np.arange(3), gradient(W))
    with pytest.raises(InputError):
        assert_step(loss, 3.0, W)  # type: ignore[arg-type]
