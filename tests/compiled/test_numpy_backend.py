"""The NumPy backend: the engine's numbers, memory that is nobody else's, and threads."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import numpy as np
import pytest
from cases import Case
from compiled.agreement import ORDERS, assert_agree, order_id, traced
from hypothesis import given, settings
from random_programs import INPUTS, OF_EVERY_LENGTH, decoded, described, run

import chainrule as cr
from chainrule import primitives
from chainrule.graph.emit.numpy_buffers import build
from chainrule.graph.simplification import simplified

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda d: d.__name__)
@pytest.mark.parametrize(("order", "case"), ORDERS, ids=order_id)
def test_every_row_is_as_eager(order: Any, case: Case, dtype: Any) -> None:
    arrays = case.drawn(dtype)
    graph, expected = traced(order(case), arrays)
    compiled = build(graph)
    for _ in range(2):  # the second call finds what the first one left in memory
        assert_agree(compiled(arrays), expected, TOLERANCE[dtype])


@settings(max_examples=40, deadline=None)
@given(OF_EVERY_LENGTH)
def test_random_programs_are_as_eager(drawn: Any) -> None:
    program = decoded(drawn)

    def f(*inputs: Any) -> Any:
        return run(program, inputs)

    with np.errstate(all="ignore"):
        graph, expected = traced(cr.value_and_grad(f, (0, 1, 2, 3)), INPUTS)
    compiled = build(graph)
    for _ in range(2):
        try:
            assert_agree(compiled(INPUTS), expected, 1e-12)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{described(program)}\n{compiled.__doc__}") from None


def network(W: Any, b: Any, X: Any) -> Any:
    H = cr.ops.sigmoid(X @ W + b)
    return H, H.T, (H * 2).reshape(-1), H[1:], X, W.T, np.exp(H).sum(), b


NETWORK = [np.random.default_rng(0).normal(size=shape) for shape in ((3, 5), (5,), (4, 3))]


def test_results_are_the_callers_own() -> None:
    before = [a.copy() for a in NETWORK]
    compiled = build(cr.trace(network, *NETWORK))
    first = compiled(NETWORK)
    kept = [np.array(r) for r in first]
    second = compiled([2 * a for a in NETWORK])
    for results in (first, second):
        for i, one in enumerate(results):
            others = [*results[:i], *results[i + 1 :], *NETWORK, *compiled.__globals__["pool"][0].arrays]
            assert not any(np.may_share_memory(one, other) for other in others)
    for one, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(one, copy)
    for one, copy in zip(NETWORK, before, strict=True):
        np.testing.assert_array_equal(one, copy)


def test_memory_is_reused() -> None:
    x = np.ones((50, 7))
    compiled = build(cr.trace(lambda x: np.tanh(np.exp(np.sin(x) * 2) + 1) ** 3 - x, x))
    blocks = {a.__array_interface__["data"][0] for a in compiled.__globals__["pool"][0].arrays}
    assert len(blocks) == 1
    np.testing.assert_array_equal(compiled([x])[0], np.tanh(np.exp(np.sin(x) * 2) + 1) ** 3 - x)


def test_a_users_primitive_may_return_its_input() -> None:
    turned = primitives.elementwise("turned(x)", forward=lambda x: x, x=lambda g: -g)
    x = np.linspace(-1, 1, 6)

    def f(x: Any) -> Any:
        y = x * 2
        z = turned(y)
        return np.exp(np.exp(np.sin(y))) * z, turned(x), turned(x * 3)

    compiled = build(cr.trace(f, x))
    first = compiled([x])
    for found, expected in zip(first, f(x), strict=True):
        np.testing.assert_allclose(found, expected)
        assert not np.may_share_memory(found, x)
    kept = [array.copy() for array in first]
    compiled([x + 1])
    assert [array.tobytes() for array in first] == [array.tobytes() for array in kept]


def test_an_operand_that_is_still_needed_is_not_written_over() -> None:
    x = np.linspace(-1, 1, 12).reshape(3, 4)

    def f(x: Any) -> Any:
        a = np.exp(x)
        view = a[1:].T
        b = a + 1
        c = b * a
        return (view.sum() + c) * b

    for _ in range(2):
        np.testing.assert_array_equal(build(cr.trace(f, x))([x])[0], f(x))


def test_arrays_of_any_layout_are_taken() -> None:
    compiled = build(cr.trace(network, *NETWORK))
    expected = compiled(NETWORK)
    for relaid in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2], read_only):
        for found, e in zip(compiled([relaid(a) for a in NETWORK]), expected, strict=True):
            np.testing.assert_allclose(found, e, rtol=1e-14)


def read_only(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


def test_threads_do_not_share_memory() -> None:
    x = np.random.default_rng(0).normal(size=(40, 40))
    compiled = build(cr.trace(lambda x: (np.tanh(x @ x) * x).sum(axis=0), x))
    expected = [compiled([x * k])[0] for k in range(8)]
    wrong = []

    def work(k: int) -> None:
        for _ in range(200):
            if not np.array_equal(compiled([x * k])[0], expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_function_may_call_itself_through_a_primitive() -> None:
    x = np.arange(4.0)
    depth = []

    def forward(y: Any) -> Any:
        if len(depth) < 1:
            depth.append(1)
            inner[:] = compiled([x + 10])
        return y + 1

    again = cr.primitive("again(y)", forward=forward, y=lambda g: g)
    inner: list[Any] = []
    depth.append(1)
    compiled = build(cr.trace(lambda x: np.exp(x * 0.1) * again(np.sin(x)), x))
    depth.clear()
    (outer,) = compiled([x])
    np.testing.assert_array_equal(outer, np.exp(x * 0.1) * (np.sin(x) + 1))
    np.testing.assert_array_equal(inner[0], np.exp((x + 10) * 0.1) * (np.sin(x + 10) + 1))


def test_no_warning_of_floating_point_is_given() -> None:
    x = np.array([-1e5, 0.0, 1e5], np.float32)
    graph = cr.trace(lambda x: (cr.ops.sigmoid(x), np.exp(x), 1 / x), np.ones(3, np.float32))
    sigmoid, exponential, reciprocal = build(graph)([x])
    np.testing.assert_array_equal(sigmoid, np.array([0, 0.5, 1], np.float32))
    np.testing.assert_array_equal(exponential, np.array([0, 1, np.inf], np.float32))
    np.testing.assert_array_equal(reciprocal, np.array([-1e-5, np.inf, 1e-5], np.float32))


def test_an_error_names_the_call_and_spoils_nothing() -> None:
    x = np.eye(2)
    compiled = build(cr.trace(lambda x: np.linalg.inv(x * 2), x))
    with pytest.raises(np.linalg.LinAlgError, match=r"inv\(x: float64 of shape \(2, 2\)\)"):
        compiled([np.zeros((2, 2))])
    np.testing.assert_array_equal(compiled([x])[0], np.eye(2) / 2)


def test_numbers_and_inputs_are_results_too() -> None:
    graph = simplified(cr.trace(lambda x: (x, 3.0, np.ones(2), x.sum() * 0 + 1), np.ones(3)))
    x = np.arange(3.0)
    same, number, ones, one = build(graph)([x])
    assert same is not x
    np.testing.assert_array_equal(same, x)
    assert number == 3.0
    np.testing.assert_array_equal(ones, np.ones(2))
    assert one == 1


@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda d: d.__name__)
@pytest.mark.parametrize("count", [10, 5000])
def test_behind_a_selection_there_is_exactly_zero(count: int, dtype: Any) -> None:
    x = np.resize(np.array([1, -1, 0, np.nan, np.inf, -np.inf, 2, -2, -0.0, 3], dtype), count)
    g = np.resize(np.array([1, np.nan, np.inf, -1, 5, np.inf, -0.0, -3, np.nan, np.inf], dtype), count)

    def f(x: Any, g: Any) -> Any:
        selected = np.where(x > 0, g, 0.0)
        return selected, np.where(x > 0, g, 0.0) * 2 + cr.ops.relu(x), selected + 1

    graph, expected = traced(f, [x, g])
    for found, e in zip(build(graph)([x, g]), expected, strict=True):
        np.testing.assert_array_equal(found, e)
        assert found.dtype == e.dtype
        assert np.array_equal(np.signbit(found[~np.isnan(e)]), np.signbit(e[~np.isnan(e)]))


def test_rows_are_taken_as_an_index_takes_them() -> None:
    table = np.arange(12.0).reshape(4, 3)
    for rows in (np.array([3, 0, -1, -4]), np.array([[2, 2], [1, 3]]), np.array([0, 3], np.uint8)):
        compiled = build(cr.trace(lambda x, rows: (x[rows], x[rows].sum(axis=0) * 2), table, rows))
        taken, total = compiled([table, rows])
        np.testing.assert_array_equal(taken, table[rows])
        np.testing.assert_array_equal(total, table[rows].sum(axis=0) * 2)
        assert "take(" in str(compiled.__doc__)
        for outside in (4, -5 if rows.dtype.kind == "i" else 9):
            with pytest.raises(IndexError):
                compiled([table, np.full_like(rows, outside)])
        np.testing.assert_array_equal(compiled([table, rows])[0], taken)


def test_a_row_that_is_not_there_is_named_as_eager_names_it() -> None:
    table = np.arange(12.0).reshape(4, 3)

    def f(x: Any, rows: Any) -> Any:
        return cr.ops.getitem(x, key=rows) * 2

    compiled = cr.compile(f, backend="numpy")
    compiled(table, np.array([0, 1]))
    messages = []
    for g in (f, compiled):
        with pytest.raises(IndexError) as caught:
            g(table, np.array([0, 4]))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "getitem(x: float64 of shape (4, 3)" in messages[0]


@pytest.mark.parametrize("size", [1, 999, 1000, 1001, 40_000])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda d: d.__name__)
def test_sums_of_all_elements(size: int, dtype: Any) -> None:
    x = np.random.default_rng(size).normal(10, 1, size).astype(dtype)

    def f(x: Any) -> Any:
        y = np.exp(x * 0.1).reshape(-1, 1)
        return x.sum(), y.sum(), y.T.mean(), y[:, ::-1].sum(), (x[::-1] + 1).mean()

    graph, expected = traced(f, [x])
    for found, e in zip(build(graph)([x]), expected, strict=True):
        assert type(found) is type(e)
        np.testing.assert_allclose(found, e, rtol=TOLERANCE[dtype])
    spoilt = x.copy()
    spoilt[-1] = np.inf
    assert build(graph)([spoilt])[0] == np.inf


def test_warnings_stay_as_the_caller_has_them() -> None:
    compiled = build(cr.trace(lambda x: np.log(x), np.ones(3)))
    with np.errstate(all="raise"):
        assert compiled([np.zeros(3)])[0][0] == -np.inf
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(3))


def test_a_users_own_primitive_sees_the_context_of_the_call() -> None:
    unit: contextvars.ContextVar[float] = contextvars.ContextVar("unit", default=1.0)
    scaled = cr.primitive("scaled(x)", forward=lambda x: x * unit.get(), x=lambda g: g * unit.get())
    compiled = build(cr.trace(lambda x: np.exp(scaled(x)), np.ones(3)))
    token = unit.set(0.0)
    try:
        np.testing.assert_array_equal(compiled([np.arange(3.0)])[0], np.ones(3))
        assert compiled([np.full(3, np.inf)])[0].shape == (3,)  # 0 times infinity warns, outside of here
    finally:
        unit.reset(token)
    np.testing.assert_array_equal(compiled([np.arange(3.0)])[0], np.exp(np.arange(3.0)))
