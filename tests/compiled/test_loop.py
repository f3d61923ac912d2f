"""The native loop: the same as the step in a Python loop, interrupted or not."""

from __future__ import annotations

import _thread
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiled import function
from chainrule.errors import InputError, ShapeError
from chainrule.trees import leaves

pytest.importorskip("llvmlite")
from chainrule.compiled.loop import NativeLoop

ROWS = 30


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", "no")


def loss_of(p: Any, x: Any, y: Any) -> Any:
    return cr.ops.cross_entropy(np.tanh(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"], y)


def sgd(p: Any, batch: Any) -> Any:
    loss, g = cr.value_and_grad(loss_of)(p, *batch)
    return {k: p[k] - 0.1 * g[k] for k in p}, loss


def adam(state: Any, batch: Any) -> Any:
    p, m, v, t = state
    loss, g = cr.value_and_grad(loss_of)(p, *batch)
    t = t + 1.0
    m = {k: 0.9 * m[k] + 0.1 * g[k] for k in p}
    v = {k: 0.999 * v[k] + 0.001 * g[k] ** 2 for k in p}
    p = {k: p[k] - 0.01 * (m[k] / (1 - 0.9**t)) / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8) for k in p}
    return (p, m, v, t), loss


def example(dtype: Any = np.float64) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    shapes = {"W1": (4, 8), "b1": (8,), "W2": (8, 3), "b2": (3,)}
    p = {name: rng.normal(size=shape, scale=0.5).astype(dtype) for name, shape in shapes.items()}
    return p, (rng.normal(size=(ROWS, 4)).astype(dtype), rng.integers(0, 3, ROWS))


def adam_state(p: Any) -> Any:
    zeros = {k: np.zeros_like(v) for k, v in p.items()}
    return p, zeros, zeros, np.zeros((), next(iter(p.values())).dtype)


def orders(steps: int, size: int) -> Any:
    return np.random.default_rng(1).integers(0, ROWS, steps * size)


def by_python(step: Any, state: Any, data: Any, order: Any, size: int) -> tuple[Any, list[float]]:
    losses = []
    for i in range(len(order) // size):
        rows = order[i * size : (i + 1) * size]
        state, loss = step(state, tuple(a[rows] for a in data))
        losses.append(loss)
    return state, losses


def assert_same(found: Any, expected: Any, tolerance: float) -> None:
    from chainrule.trees import leaves

    pairs = list(zip(leaves(found), leaves(expected), strict=True))
    assert len(pairs) >= 4
    for (path, f), (other, e) in pairs:
        assert path == other
        np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-4)])
@pytest.mark.parametrize("size", [1, 8, 30])
@pytest.mark.parametrize("method", ["sgd", "adam"])
def test_it_is_the_step_in_a_loop(method: str, size: int, dtype: Any, tolerance: float) -> None:
    p, data = example(dtype)
    step, state = (sgd, p) if method == "sgd" else (adam, adam_state(p))
    order = orders(50, size)
    loop = NativeLoop(step, state, data, cache=False)
    losses = loop.run(order, size)
    expected, wanted = by_python(step, state, data, order, size)
    np.testing.assert_allclose(losses, wanted, rtol=tolerance, atol=tolerance)
    assert losses.dtype == dtype
    assert loop.steps_done == 50
    assert_same(loop.state, expected, tolerance)


def test_batches_of_several_sizes_share_the_state() -> None:
    p, data = example()
    loop = NativeLoop(sgd, p, data, cache=False)
    expected = p
    for size, steps in ((8, 3), (6, 1), (8, 2)):
        order = orders(steps, size)
        loop.run(order, size)
        expected, _ = by_python(sgd, expected, data, order, size)
    assert_same(loop.state, expected, 1e-11)
    assert loop.run(orders(0, 8), 8).shape == (0,)


def test_the_state_is_a_copy() -> None:
    p, data = example()
    loop = NativeLoop(sgd, p, data, cache=False)
    before = loop.state
    loop.run(orders(5, 8), 8)
    assert_same(before, p, 0)
    assert not np.allclose(loop.state["W1"], p["W1"])


def test_another_state_can_be_set() -> None:
    p, data = example()
    loop = NativeLoop(sgd, p, data, cache=False)
    order = orders(7, 8)
    loop.run(order, 8)
    other = {name: array * 2 for name, array in p.items()}
    loop.state = other
    assert_same(loop.state, other, 0)
    loop.run(order, 8)
    expected, _ = by_python(sgd, other, data, order, 8)
    assert_same(loop.state, expected, 1e-11)
    with pytest.raises(ShapeError, match=r"float64 \(8,\), not float64 \(9,\)"):
        loop.state = other | {"b1": np.zeros(9)}


def test_a_step_that_numpy_computes_a_part_of() -> None:
    def step(w: Any, batch: Any) -> Any:
        (x,) = batch
        return w - 0.01 * np.linalg.inv(x.T @ x + np.eye(4)) @ w, (w**2).sum()

    _, (x, _) = example()
    w = np.arange(16.0).reshape(4, 4)
    order = orders(9, 6)
    loop = NativeLoop(step, w, (x,), cache=False)
    losses = loop.run(order, 6)
    expected, wanted = by_python(step, w, (x,), order, 6)
    np.testing.assert_allclose(losses, wanted, rtol=1e-12)
    np.testing.assert_allclose(loop.state, expected, rtol=1e-12)


def test_chunks_end_after_a_tenth_of_a_second() -> None:
    p, data = example()
    loop = NativeLoop(sgd, p, data, cache=False)
    loop.run(orders(1, 8), 8)
    start, longest, steps = time.perf_counter(), 0.0, 0
    for losses in loop.chunks(orders(200_000, 8), 8, seconds=0.02):
        now = time.perf_counter()
        longest, start = max(longest, now - start), now
        steps += len(losses)
    assert steps == 200_000
    assert longest < 0.5


def test_interrupted_it_has_the_state_of_the_last_finished_step() -> None:
    p, data = example()
    loop = NativeLoop(sgd, p, data, cache=False)
    loop.run(orders(1, 8), 8)
    order = orders(2_000_000, 8)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        loop.run(order, 8)
    timer.join()
    done = loop.steps_done - 1
    assert 0 < done < 2_000_000
    again = NativeLoop(sgd, p, data, cache=False)
    again.run(orders(1, 8), 8)
    again.run(order[: done * 8], 8)
    assert_same(loop.state, again.state, 0)


def test_bad_requests() -> None:
    p, data = example()
    loop = NativeLoop(sgd, p, data, cache=False)
    with pytest.raises(InputError, match="the order names rows from 0 to 30; the data has 30 rows"):
        loop.run(np.arange(31), 1)
    with pytest.raises(InputError, match="the order names rows from -1"):
        loop.run(np.array([-1]), 1)
    with pytest.raises(InputError, match="batch_size=0"):
        loop.run(np.arange(3), 0)
    with pytest.raises(ShapeError, match=r"\[29, 30\] rows"):
        NativeLoop(sgd, p, (data[0][1:], data[1]))
    with pytest.raises(InputError, match=r"must return \(state, loss\)"):
        NativeLoop(lambda p, batch: p, p, data, cache=False).run(np.arange(3), 3)
    with pytest.raises(ShapeError, match=r"turned its state from float64 \(4,\) into float64 \(2, 4\)"):
        NativeLoop(lambda w, b: (np.stack([w, w]), w.sum()), np.ones(4), data, cache=False).run(
            np.arange(3), 3
        )
    labels = data[1].copy()
    labels[4] = 3
    with pytest.raises(IndexError, match="out of bounds"):
        NativeLoop(sgd, p, (data[0], labels), cache=False).run(np.arange(30), 1)


def test_without_llvmlite_it_is_the_same_loop_in_numpy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    p, data = example()
    native = NativeLoop(adam, adam_state(p), data)
    expected = native.run(orders(7, 5), 5)
    function.say_once.cache_clear()
    for name in [n for n in sys.modules if n.startswith(("llvmlite", "chainrule.graph.emit.llvm"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    loop = NativeLoop(adam, adam_state(p), data)
    np.testing.assert_allclose(loop.run(orders(7, 5), 5), expected, rtol=1e-12)
    for (_, one), (_, other) in zip(leaves(loop.state), leaves(native.state), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)
    assert loop.steps_done == 7 and caplog.text.count("chainrule[jit] is not installed") == 1
    with pytest.raises(InputError, match="no LLVM code to show"):
        loop.llvm(5)
