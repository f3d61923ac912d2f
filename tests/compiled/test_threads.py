"""Threads of native code: the same bits whatever their number, and nothing of them is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import ops
from chainrule.errors import InputError

pytest.importorskip("llvmlite")
llvm = pytest.importorskip("chainrule.graph.emit.llvm")
from chainrule.graph.emit.llvm import kernel as kernel_module  # noqa: E402
from chainrule.graph.emit.llvm import making, native, program, threads, turning  # noqa: E402

RANDOM = np.random.default_rng(0)
KERNEL = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}


def drawn(*shape: int, dtype: Any = np.float32) -> Any:
    return RANDOM.normal(size=shape).astype(dtype)


@pytest.fixture
def _everything_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "WORTH_THREADS", 0)
    monkeypatch.setattr(turning, "FEWEST", 0)
    monkeypatch.setattr(making, "_KNOWN", {})


def kernel_of(f: Callable[..., Any], *arrays: Any, count: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("CHAINRULE_THREADS", str(count))
    return llvm.build(cr.trace(f, *arrays), keep=False)


def network(*arrays: Any) -> Any:
    X, W1, b1, W2 = arrays
    return ops.cross_entropy(np.tanh(X @ W1 + b1) @ W2, np.arange(len(X)) % W2.shape[1])


def recurrent(x: Any, W: Any, U: Any) -> Any:
    h = x @ W
    for _ in range(70):
        h = np.tanh(h @ U + x @ W)
    return (h * h).mean()


def convolved(X: Any, K: Any) -> Any:
    return (ops.convolution(X, K, **KERNEL) ** 2).mean()


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "chain": (lambda x, y: np.tanh(x * y) + x, (drawn(257, 131), drawn(131))),
    "line": (lambda x: np.exp(-x), (drawn(10007, dtype=np.float64),)),
    "few long rows": (lambda x: x * 2 + 1, (drawn(3, 4999),)),
    "number": (lambda x: x * 2, (drawn(),)),
    "nothing": (lambda x: x * 2, (drawn(0, 5),)),
    "sums": (lambda x: (x.sum(axis=0), x.mean(axis=1, keepdims=True), x.max(axis=(0, 2)), x.sum()),
             (drawn(33, 70, 7),)),
    "positions": (lambda x: (x.argmax(axis=1), x.cumsum(axis=0)), (drawn(67, 41),)),
    "product": (lambda x, y: x @ y, (drawn(67, 45), drawn(45, 83))),
    "transposed": (lambda x, y: (x.T @ y.T, y @ x), (drawn(131, 45, dtype=float), drawn(83, 131, dtype=float))),
    "of a vector": (lambda x, y: (x @ y, y @ x.T), (drawn(1001, 67), drawn(67))),
    "batches": (lambda x, y: x @ y, (drawn(5, 3, 19, 23), drawn(3, 23, 37))),
    "integers": (lambda x, y: x @ y, (np.arange(77 * 5).reshape(77, 5), np.arange(15).reshape(5, 3))),
    "turned": (lambda x: (np.transpose(x, (2, 0, 1)) * 1, np.swapaxes(x, 0, 1) + 1), (drawn(37, 23, 50),)),
    "places": (lambda x, i: (x[i], x[:, i % 30]), (drawn(90, 31), np.arange(200) * 7 % 90)),
    "parts": (lambda x, y: (np.concatenate([x, y], axis=1), np.roll(x, 3, axis=0)), (drawn(65, 9), drawn(65, 40))),
    "network": (cr.value_and_grad(network, (1, 2, 3)), (drawn(150, 40), drawn(40, 66), drawn(66), drawn(66, 5))),
    "long program": (cr.value_and_grad(recurrent, (1, 2)), (drawn(19, 8), drawn(8, 21) / 3, drawn(21, 21) / 5)),
    "convolution": (cr.value_and_grad(convolved, (0, 1)), (drawn(5, 4, 13, 17), drawn(6, 4, 3, 3))),
}  # fmt: skip


@pytest.mark.usefixtures("_everything_is_shared")
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_number_of_threads_changes_no_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f, arrays = PROGRAMS[name]
    monkeypatch.setattr(kernel_module, "memory_for", lambda size: spoilt((size + 64,), np.uint8))
    runs = []
    for count in (1, 2, 3, 7):
        kernel = kernel_of(f, *arrays, count=count, monkeypatch=monkeypatch)
        results = [spoilt(shape, dtype) for shape, dtype in kernel.results]
        kernel.run([*map(np.ascontiguousarray, (*arrays, *kernel.found)), *results])
        runs.append(results)
    eager = [np.asarray(leaf) for leaf in flat(f(*arrays))]
    for one, expected in zip(runs[0], eager, strict=True):
        np.testing.assert_allclose(one, expected, 1e-4, 1e-5)
    for run in runs[1:]:
        assert [a.tobytes() for a in run] == [a.tobytes() for a in runs[0]]


def spoilt(shape: tuple[int, ...], dtype: Any) -> Any:
    """Memory in which it is seen what was not written."""
    array = np.empty(shape, dtype)
    array.reshape(-1).view(np.uint8)[:] = 0xAB
    return array


def flat(tree: Any) -> list[Any]:
    return [leaf for part in tree for leaf in flat(part)] if isinstance(tree, (tuple, list)) else [tree]


BIG = drawn(1200, 1200)


def heavy(x: Any) -> Any:
    return np.tanh(np.exp(np.sin(x @ x)))


def test_only_large_loops_are_shared() -> None:
    large, small = cr.compile(heavy, cache=False), cr.compile(heavy, cache=False)
    large(BIG), small(BIG[:30, :30])
    assert large.report().count("for several threads") == 2
    assert "for several threads" not in small.report()
    assert "ptr @part" not in small.llvm()


def test_columns_are_summed_by_one_thread() -> None:
    x = drawn(3000, 1001)
    for axis, is_shared in ((0, False), (1, True)):
        fast = cr.compile(lambda x: x.sum(axis=axis), cache=False)  # noqa: B023
        fast(x)
        assert ("for several threads" in fast.report()) is is_shared


@pytest.mark.usefixtures("_everything_is_shared")
def test_long_programs_share_too() -> None:
    f, arrays = PROGRAMS["long program"]
    fast = cr.compile(f, cache=False)
    fast(*arrays)
    assert fast.report().count("for several threads") > 100


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_threads_begin_and_end_with_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of(heavy, BIG, count=5, monkeypatch=monkeypatch)
    before = len(os.listdir("/proc/self/task"))
    worker = threading.Thread(target=lambda: [kernel([BIG]) for _ in range(3)])
    worker.start()
    most = 0
    while worker.is_alive():
        most = max(most, len(os.listdir("/proc/self/task")))
    worker.join()
    assert before + 1 < most <= before + 1 + 4
    end = time.monotonic() + 5  # the kernel of the system may take a moment to forget them
    while len(os.listdir("/proc/self/task")) > before and time.monotonic() < end:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/task")) == before


@pytest.mark.usefixtures("_everything_is_shared")
def test_several_threads_of_python_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    f, arrays = PROGRAMS["network"]
    kernel = kernel_of(f, *arrays, count=3, monkeypatch=monkeypatch)
    expected = [a.tobytes() for a in kernel(arrays)]
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(20):
            if [a.tobytes() for a in kernel(arrays)] != expected:
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.usefixtures("_everything_is_shared")
def test_a_fork_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    f, arrays = PROGRAMS["network"]
    kernel = kernel_of(f, *arrays, count=3, monkeypatch=monkeypatch)
    expected = [a.tobytes() for a in kernel(arrays)]
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            kernel(arrays)

    worker = threading.Thread(target=work)
    worker.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a process with threads forks
        child = os.fork()
    if child == 0:
        os._exit([a.tobytes() for a in kernel(arrays)] != expected)
    stop.set()
    worker.join()
    assert os.waitpid(child, 0)[1] == 0
    assert [a.tobytes() for a in kernel(arrays)] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_while_another_thread_compiles() -> None:
    """The child has no such thread, and can compile nevertheless."""
    is_busy = threading.Event()

    def work() -> None:
        with native._LOCK:
            is_busy.set()
            time.sleep(0.1)

    worker = threading.Thread(target=work)
    worker.start()
    is_busy.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a process with threads forks
        child = os.fork()
    if child == 0:
        os._exit(not native._LOCK.acquire(timeout=5))
    worker.join()
    assert os.waitpid(child, 0)[1] == 0
    assert native._LOCK.acquire(timeout=5)
    native._LOCK.release()


WITHOUT_MEMORY = """
import resource
import numpy as np
import chainrule as cr
from chainrule.graph.emit.llvm import build

x = np.random.default_rng(0).normal(size=(600, 600))
graph = cr.trace(lambda x: np.tanh(np.exp(np.sin(x))), x)
kernel = build(graph, keep=False)
assert kernel.threads == 64
found, expected = np.empty_like(x), np.empty_like(x)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + 2**22, limit[1]))
kernel.run([x, found])
resource.setrlimit(resource.RLIMIT_AS, limit)
kernel.threads = 1
kernel.run([x, expected])
assert found.tobytes() == expected.tobytes()
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_a_system_without_more_threads() -> None:
    environment = {**os.environ, "CHAINRULE_THREADS": "64"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("ours", "usual", "expected"),
    [
        ("3", "2", 3),
        ("", "2", 2),
        ("", "4,2", 4),
        ("", "all", 2),
        (" 5 ", "", 5),
        ("100000", "", threads.MOST),
    ],
)
def test_how_many(ours: str, usual: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    monkeypatch.setenv("CHAINRULE_THREADS", ours)
    monkeypatch.setenv("OMP_NUM_THREADS", usual)
    assert threads.threads() == expected


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_number_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_THREADS", text)
    with pytest.raises(InputError, match=f"CHAINRULE_THREADS is '{text}'; expected a number from 1 to 256"):
        threads.threads()
    with pytest.raises(InputError, match="CHAINRULE_THREADS"):
        cr.compile(np.tanh, cache=False)(np.ones(3))


@pytest.mark.usefixtures("_everything_is_shared")
def test_a_loop_with_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.compiled.loop import NativeLoop

    X, y = drawn(60, 9), drawn(60)

    def step(w: Any, batch: Any) -> Any:
        error = np.tanh(batch[0] @ w) - batch[1]
        return w - 0.1 * batch[0].T @ error / len(error), (error**2).mean()

    found = []
    for count in (1, 3):
        monkeypatch.setenv("CHAINRULE_THREADS", str(count))
        loop = NativeLoop(step, np.zeros(9, np.float32), (X, y), cache=False)
        found.append((loop.run(np.arange(60), batch_size=20).tobytes(), loop.state.tobytes()))
    assert found[0] == found[1]
