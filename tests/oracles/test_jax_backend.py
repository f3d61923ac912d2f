"""The JAX backend: the engine's numbers, in loops, with computed indices, and without touching JAX's settings."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
from cases import Case
from compiled.agreement import ORDERS, assert_agree, first, order_id, traced
from hypothesis import given, settings
from random_programs import INPUTS, OF_EVERY_LENGTH, decoded, described, run

import chainrule as cr
from chainrule.errors import InputError
from chainrule.graph.emit.jax_function import build, loop

jax = pytest.importorskip("jax")


@pytest.mark.parametrize(("order", "case"), ORDERS, ids=order_id)
def test_every_row_is_as_eager(order: Any, case: Case) -> None:
    arrays = case.drawn()
    graph, expected = traced(order(case), arrays)
    assert_agree(build(graph)(arrays), expected, 1e-12)


@pytest.mark.parametrize(("order", "case"), [o for o in ORDERS if o[0] is first], ids=order_id)
def test_every_row_is_as_eager_in_float32(order: Any, case: Case) -> None:
    arrays = case.drawn(np.float32)
    graph, expected = traced(order(case), arrays)
    assert_agree(build(graph)(arrays), expected, 1e-5)


@settings(max_examples=12, deadline=None)
@given(OF_EVERY_LENGTH)
def test_random_programs_are_as_eager(drawn: Any) -> None:
    program = decoded(drawn)
    f = cr.value_and_grad(lambda *inputs: run(program, inputs), (0, 1, 2, 3))
    graph, expected = traced(f, INPUTS)
    try:
        assert_agree(build(graph)(INPUTS), expected, 1e-12)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{described(program)}") from None


# a training step -----------------------------------------------------------------------------------------------


def loss(parameters: Any, X: Any, labels: Any) -> Any:
    W1, b1, W2 = parameters
    return cr.ops.cross_entropy(np.tanh(X @ W1 + b1) @ W2, labels)


def step(parameters: Any, X: Any, labels: Any) -> Any:
    value, gradient = cr.value_and_grad(loss)(parameters, X, labels)
    return value, [p - 0.1 * g for p, g in zip(parameters, gradient, strict=True)]


def start(dtype: Any = np.float64) -> list[Any]:
    rng = np.random.default_rng(0)
    parameters = [rng.normal(size=shape).astype(dtype) for shape in ((4, 5), (5,), (5, 3))]
    return [*parameters, rng.normal(size=(20, 4)).astype(dtype), np.arange(20) % 3]


def graph_of_step(dtype: Any = np.float64) -> Any:
    *parameters, X, labels = start(dtype)
    return cr.trace(step, parameters, X, labels)


def trained(steps: int, dtype: Any = np.float64) -> tuple[list[Any], list[Any]]:
    *parameters, X, labels = start(dtype)
    losses = []
    for _ in range(steps):
        value, parameters = step(parameters, X, labels)
        losses.append(value)
    return losses, parameters


def test_a_loop_on_the_device_is_many_steps() -> None:
    losses, *parameters = loop(graph_of_step(), 7)(start())
    expected, after = trained(7)
    assert_agree([losses, *parameters], [np.array(expected), *after], 1e-12)


def test_which_output_is_carried_can_be_said() -> None:
    graph = cr.trace(lambda a, b: (a + b, a * 2, b + 1), np.array(1.0), np.array(2.0))
    total, twice, b = loop(graph, 3, carried=(None, None, 1))([1.0, 2.0])
    np.testing.assert_array_equal(total, [3.0, 4.0, 5.0])
    np.testing.assert_array_equal(twice, [2.0, 2.0, 2.0])
    assert b == 5.0


@pytest.mark.parametrize(
    ("carried", "message"),
    [
        ((None, 0), "carried has 2 entries; the graph has 4 outputs"),
        ((None, 0, 1, 9), "output 3 cannot become input 9: there are 5 inputs"),
        (
            (None, 1, 0, 2),
            r"output 1, float64 of shape \(4, 5\), cannot become input 1, float64 of shape \(5,\)",
        ),
    ],
)
def test_a_loop_of_wrong_shape_is_refused(carried: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        loop(graph_of_step(), 3, carried)


def test_parameters_stay_on_the_device() -> None:
    run_step = build(graph_of_step(np.float32), as_numpy=False)
    arrays = start(np.float32)
    for _ in range(3):
        value, *parameters = run_step(arrays)
        assert all(isinstance(p, jax.Array) and p.dtype == np.float32 for p in parameters)
        arrays[:3] = parameters
    expected, after = trained(3, np.float32)
    assert_agree([value, *parameters], [expected[-1], *after], 1e-5)


# what JAX does otherwise -----------------------------------------------------------------------------------------


def test_doubles_stay_doubles_and_the_setting_stays_as_it_was() -> None:
    before = jax.config.jax_enable_x64
    with jax.enable_x64(False):
        (out,) = build(cr.trace(lambda x: x / 3, np.ones(2)))([np.ones(2)])
        assert out.dtype == np.float64
        assert jax.numpy.ones(1).dtype == np.float32
    np.testing.assert_array_equal(out, np.ones(2) / 3)
    assert jax.config.jax_enable_x64 == before


def test_integers_become_floats_as_in_numpy() -> None:
    n, x = np.array([2**24 + 1, 3]), np.array([1, 0.1], np.float32)
    graph, expected = traced(lambda x: (n * x, x**2, x > n), [x])
    assert expected[0].dtype == np.float64
    assert_agree(build(graph)([x]), expected, 1e-15)


def test_an_index_outside_of_its_array_gives_nan_and_not_a_neighbour() -> None:
    x, places = np.arange(4.0), np.array([1, 3])
    taken = build(cr.trace(lambda x, places: x[places], x, places))
    np.testing.assert_array_equal(taken([x, np.array([-1, 2])])[0], [3.0, 2.0])
    np.testing.assert_array_equal(taken([x, np.array([0, 4])])[0], [0.0, math.nan])
    nll = build(cr.trace(cr.ops.cross_entropy, np.ones((2, 3)), np.array([0, 2])))
    assert np.isnan(nll([np.ones((2, 3)), np.array([0, 3])])[0])


def test_the_last_write_to_a_place_counts() -> None:
    key = np.array([0, 2, 0, 2, 2])

    def f(x: Any, y: Any) -> Any:
        z = x * 1.0
        z[key] = y
        return z

    graph, expected = traced(f, [np.zeros(3), np.arange(5.0)])
    assert_agree(build(graph)([np.zeros(3), np.arange(5.0)]), expected, 0)


def test_arrays_outside_of_the_function_are_read_at_each_call() -> None:
    outside = np.ones(3)
    compiled = build(cr.trace(lambda x: x * outside, np.ones(3)))
    outside[0] = 5.0
    np.testing.assert_array_equal(compiled([np.ones(3)])[0], [5.0, 1.0, 1.0])


def test_results_can_be_changed() -> None:
    x = np.ones(3)
    compiled = build(cr.trace(lambda x: (x, x + 1), x))
    for out in compiled([x]):
        out += 1
    np.testing.assert_array_equal(x, np.ones(3))
    np.testing.assert_array_equal(compiled([x])[1], np.full(3, 2.0))


def test_what_jax_cannot_trace_runs_on_the_host() -> None:
    cube = cr.primitive("cube(x)", forward=lambda x: np.power(np.asarray(x), 3), x=lambda g, x: 3 * g * x * x)
    x = np.linspace(-1, 1, 5)
    graph, expected = traced(cr.value_and_grad(lambda x: (cube(np.sin(x)) * 2).sum()), [x])
    assert_agree(build(graph)([x]), expected, 1e-14)


def test_without_jax_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(InputError, match=r'pip install "chainrule\[jax\]"'):
        build(cr.trace(np.sin, 1.0))


def test_importing_the_module_does_not_import_jax() -> None:
    import subprocess

    code = "import sys, chainrule.graph.emit.jax_function; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
