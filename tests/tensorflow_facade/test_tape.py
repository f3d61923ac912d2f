"""GradientTape: what it records, what it answers, and why it answers None."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import tensorflow as tf
from chainrule.errors import IndependentWarning


def test_the_gradient_of_a_scalar() -> None:
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = x**2 + 4 * x
    assert repr(tape.gradient(y, x)) == "<tf.Tensor: shape=(), dtype=float32, numpy=10.0>"


def test_gradient_descent_on_a_parabola() -> None:
    x = tf.Variable(0.0)
    path = []
    for _ in range(10):
        with tf.GradientTape() as tape:
            y = x**2 + 4 * x
        x.assign_sub(0.1 * tape.gradient(y, x))
        path.append(x.numpy())
    # The numbers of a notebook that was run on a GPU, hence the tolerance of one rounding.
    assert path == pytest.approx(
        [-0.4, -0.72, -0.9760001, -1.1808001, -1.34464, -1.4757121, -1.5805696, -1.6644558, -1.7315646, -1.7852517],
        rel=2e-7,
    )  # fmt: skip


def test_sources_in_any_structure() -> None:
    w, b = tf.Variable([[1.0], [2.0]]), tf.Variable([0.5])
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape(persistent=True) as tape:
        y = tf.reduce_mean(tf.square(x @ w + b))
    residual = 2 * (np.array([[5.0], [11.0]]) + 0.5) / 2
    dw, db = x.numpy().T @ residual, residual.sum(0)
    for sources, found in (
        ([w, b], tape.gradient(y, [w, b])),
        ((w, b), tape.gradient(y, (w, b))),
        ({"w": w, "b": b}, tape.gradient(y, {"w": w, "b": b})),
    ):
        assert type(found) is type(sources)
        first, second = found.values() if isinstance(found, dict) else found
        np.testing.assert_allclose(first, dw, rtol=1e-6)
        np.testing.assert_allclose(second, db, rtol=1e-6)


def test_a_target_of_many_elements_is_summed_and_may_be_weighted() -> None:
    x = tf.Variable([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        y = x * x
        z = 3.0 * x
    assert tape.gradient(y, x).numpy().tolist() == [2.0, 4.0]
    assert tape.gradient(y, x, output_gradients=[1.0, 10.0]).numpy().tolist() == [2.0, 40.0]
    assert tape.gradient([y, z], x).numpy().tolist() == [5.0, 7.0]
    with pytest.raises(ValueError, match="output_gradients has shape"):
        tape.gradient(y, x, output_gradients=[1.0])


def test_a_tape_answers_once_unless_it_is_persistent() -> None:
    x = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match=r"only be used to compute one set of gradients.*persistent=True"):
        tape.gradient(y, x)


def test_constants_are_watched_on_demand() -> None:
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(x**3)
    assert tape.gradient(y, x).numpy().tolist() == [3.0, 12.0]
    with pytest.raises(TypeError, match=r"Passed in object 3\.0 of type 'float'"):
        tf.GradientTape().watch(3.0)
    with pytest.warns(IndependentWarning, match="must be floating"):
        tf.GradientTape().watch(tf.constant(1))


def test_intermediate_results_are_sources_too() -> None:
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = x * x
        z = y * y
    assert tape.gradient(z, [y, x])[0] == 8.0


def test_second_derivatives_with_nested_tapes() -> None:
    x = tf.Variable(3.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = x**3
        dy = inner.gradient(y, x)
    assert (dy.numpy(), outer.gradient(dy, x).numpy()) == (27.0, 18.0)


def test_third_derivatives() -> None:
    x = tf.Variable(1.0)
    with tf.GradientTape() as a:
        with tf.GradientTape() as b:
            with tf.GradientTape() as c:
                y = tf.sin(x)
            first = c.gradient(y, x)
        second = b.gradient(first, x)
    assert a.gradient(second, x).numpy() == pytest.approx(-np.cos(1.0))


def test_the_inner_tape_leaves_the_outer_ones_graph_intact() -> None:
    x = tf.Variable(2.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = x**3
        dy = inner.gradient(y, x)
        z = y + dy
    assert outer.gradient(z, x) == 24.0


def test_stop_recording_and_reset() -> None:
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        with tape.stop_recording():
            factor = x * x
        y = factor * x
    assert tape.gradient(y, x) == 4.0
    with tf.GradientTape() as tape:
        y = x * x
        tape.reset()
        z = 3.0 * x
    assert tape.gradient([y, z], x) == 3.0


def test_stop_gradient_is_a_constant() -> None:
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = tf.stop_gradient(x * x) * x
    assert tape.gradient(y, x) == 4.0


def test_an_assignment_after_the_reading_does_not_matter() -> None:
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = x * x
        x.assign(10.0)
    assert tape.gradient(y, x) == 4.0


def test_jacobians() -> None:
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.stack([x[:, 0] * x[:, 1], x[:, 1] ** 2, x[:, 0]], axis=1)
    full = tape.jacobian(y, x)
    assert full.shape == (2, 3, 2, 2)
    assert full[0, 0].numpy().tolist() == [[2.0, 1.0], [0.0, 0.0]]
    rows = tape.batch_jacobian(y, x)
    assert rows.numpy().tolist() == [[[2, 1], [0, 4], [1, 0]], [[4, 3], [0, 8], [1, 0]]]
    assert tape.jacobian(y, {"x": x})["x"].shape == (2, 3, 2, 2)


def test_a_hessian_is_the_jacobian_of_a_gradient() -> None:
    x = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = x[0] ** 2 * x[1]
        g = inner.gradient(y, x)
    assert outer.jacobian(g, x).numpy().tolist() == [[4.0, 2.0], [2.0, 0.0]]


def test_the_tape_knows_what_it_watches() -> None:
    a, b, c = tf.Variable(1.0), tf.Variable(2.0), tf.Variable(3.0, trainable=False)
    with tf.GradientTape() as tape:
        _ = a * c
    assert [v is a for v in tape.watched_variables()] == [True]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(b)
        y = a * b
    assert [g is None for g in _quietly(tape.gradient, y, [a, b])] == [True, False]


def _quietly(function: Callable[..., Any], *args: Any) -> Any:
    with pytest.warns(IndependentWarning):
        return function(*args)


def _constant() -> Any:
    x = tf.constant(1.0)
    with tf.GradientTape() as tape:
        y = x * x
    return tape, y, x


def _integer() -> Any:
    x = tf.Variable(3)
    with tf.GradientTape() as tape:
        y = tf.cast(x, tf.float32) * 2.0
    return tape, y, x


def _outside() -> Any:
    x = tf.Variable(1.0)
    y = x * x
    with tf.GradientTape() as tape:
        _ = x * 1.0
    return tape, y, x


def _replaced() -> Any:
    w = tf.Variable(1.0)
    w = w - 0.1 * w
    with tf.GradientTape() as tape:
        y = w * w
    return tape, y, w


def _unused() -> Any:
    x, other = tf.Variable(1.0), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = other * other
    return tape, y, x


def _independent() -> Any:
    x, other = tf.Variable(1.0), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        _ = x * 1.0
        y = other * other
    return tape, y, x


def _through_numpy() -> Any:
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = tf.constant(np.square(x.numpy())) * tf.Variable(1.0)
        _ = x * 1.0
    return tape, y, x


def _untrainable() -> Any:
    x = tf.Variable(2.0, trainable=False)
    with tf.GradientTape() as tape:
        y = x * tf.Variable(1.0)
    return tape, y, x


def _unwatched_variable() -> Any:
    x = tf.Variable(2.0)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        y = x * x
    return tape, y, x


def _before() -> Any:
    v = tf.Variable(2.0)
    with tf.GradientTape():
        x = v * v
    with tf.GradientTape() as tape:
        y = x * v
    return tape, y, x


REASONS = [
    (_constant, "a constant, which the tape does not watch; call tape.watch on it first, or use tf.Variable"),
    (_integer, "its type is int32, and integers have no derivatives"),
    (_outside, "the target was computed outside of the tape"),
    (_replaced, r"but a tensor: it was computed from the variable 'Variable:0' at .*test_tape.py, line"),
    (_unused, "the variable was not used while the tape was recording"),
    (_independent, "the target does not depend on it"),
    (_through_numpy, "NumPy's functions, integers"),
    (_untrainable, r"not trainable; call tape.watch\(variable\) first"),
    (_unwatched_variable, "does not watch variables by itself"),
    (_before, "it was computed before the tape began, at .*test_tape.py, line"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "reason"), REASONS, ids=[case[0].__name__[1:] for case in REASONS])
def test_where_the_answer_is_none_a_warning_says_why(make: Callable[[], Any], reason: str) -> None:
    tape, y, x = make()
    with pytest.warns(IndependentWarning, match=reason) as caught:
        assert tape.gradient(y, x) is None
    assert caught[0].filename == __file__


def test_zeros_instead_of_none() -> None:
    x, other = tf.Variable([1.0, 2.0]), tf.Variable(2.0)
    for zero in ("zero", tf.UnconnectedGradients.ZERO):
        with tf.GradientTape() as tape:
            y = other * other
        assert tape.gradient(y, x, unconnected_gradients=zero).numpy().tolist() == [0.0, 0.0]


def test_what_was_computed_under_an_earlier_tape_is_a_constant_to_a_later_one() -> None:
    x = tf.Variable(3.0)
    with tf.GradientTape():
        y = x * x
    with tf.GradientTape() as tape:
        z = y * x
    assert tape.gradient(z, x) == 9.0


def test_outside_of_tapes_nothing_is_recorded() -> None:
    x = tf.Variable(np.ones(10_000, np.float32))
    y = x * x
    gone = weakref.ref(y)
    z = y + 1.0
    del y
    gc.collect()
    assert gone() is None
    assert not z.requires_grad


def test_mistakes_with_tapes_are_named() -> None:
    x = tf.Variable(1.0)
    with tf.GradientTape(persistent=True) as tape:
        y = x * x
        with pytest.raises(RuntimeError, match="still recording"):
            tape.__enter__()
    with pytest.raises(RuntimeError, match="not recording"), tape.stop_recording():
        pass
    with pytest.raises(
        TypeError, match=r"Passed in object 1\.0 of type 'float', not tf.Tensor or tf.Variable"
    ):
        tape.gradient(y, 1.0)
    with pytest.raises(TypeError, match="target of a gradient must be a tensor"):
        tape.gradient(2.0, x)
    with pytest.raises(ValueError, match="rows in pairs"):
        tape.batch_jacobian(tf.zeros((2, 3)), tf.zeros((3, 3)))
