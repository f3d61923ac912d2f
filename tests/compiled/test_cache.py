"""What is kept of compiled functions: found again by what they compute, and never for anything else."""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Case
from compiled.agreement import ORDERS, first

import chainrule as cr
from chainrule.compiled import NativeLoop, compile  # noqa: A004

pytest.importorskip("llvmlite")
from chainrule.graph.emit.llvm import making, native
from chainrule.graph.emit.llvm.likeness import likeness
from chainrule.graph.emit.llvm.making import Source

X = np.arange(6.0).reshape(2, 3) / 7


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own; the source of the engine counts as that which runs, though somebody may be editing it."""
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(making, "_KNOWN", {})
    monkeypatch.setattr(native, "_engine_key", lambda: b"this engine")
    return tmp_path / "cache"


def as_in_a_new_process() -> None:
    making._KNOWN.clear()


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The code that was written, in order."""
    found: list[str] = []
    lowered = making.lowered

    def noted(graph: Any, *rest: Any) -> Any:
        found.append(str(graph))
        return lowered(graph, *rest)

    monkeypatch.setattr(making, "lowered", noted)
    return found


def same(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.asarray(found).dtype == np.asarray(expected).dtype


def entries(folder: Path, ending: str = "*") -> list[Path]:
    return sorted(folder.glob(f"*.{ending}"))


def test_code_is_found_again_without_being_written(cache: Path, compilations: list[str]) -> None:
    weights = [np.full(3, 2.0) + np.arange(3), np.full(3, -3.0) - np.arange(3)]
    same(compile(lambda x: np.tanh(x) * weights[0])(X), np.tanh(X) * weights[0])
    kept = entries(cache)
    for in_memory in (True, False):
        if not in_memory:
            as_in_a_new_process()
        other = compile(lambda y: np.tanh(y) * weights[1])  # other names, other values
        same(other(X + 1), np.tanh(X + 1) * weights[1])
        same(other(X.T.copy().T), np.tanh(X) * weights[1])  # not contiguous
    assert len(compilations) == 1
    assert entries(cache) == kept
    assert "tanh(y)" in other.report()
    assert "define" in other.llvm()


def test_a_loop_of_steps_is_found_again(compilations: list[str]) -> None:
    def step(w: Any, batch: Any) -> Any:
        loss, gradient = cr.value_and_grad(lambda w: ((batch[0] @ w - batch[1]) ** 2).mean())(w)
        return w - 0.1 * gradient, loss

    def trained(seed: int) -> Any:
        x = np.random.default_rng(seed).normal(size=(12, 3))
        loop = NativeLoop(step, np.zeros(3), (x, x @ np.array([1.0, -2.0, seed])))
        return x, loop.run(np.tile(np.arange(12), 300), 4), loop.state

    for seed in (3, 4):
        _, losses, state = trained(seed)
        same(state.round(6), np.array([1.0, -2.0, seed]))
        assert losses[0] > 1e-3 > losses[-1]
        as_in_a_new_process()
    assert len(compilations) == 1


def test_arrays_made_of_numbers_are_kept(compilations: list[str]) -> None:
    def f(x: Any) -> Any:
        return x + cr.ops.cumulative_sum(np.full(3, 2.5), axis=0)

    for _ in range(2):
        same(compile(f)(X), X + np.array([2.5, 5.0, 7.5]))
        as_in_a_new_process()


VARIANTS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "the function": (lambda x: np.tanh(x * 2.0).sum(axis=0), (X,)),
    "a number": (lambda x: np.tanh(x * 2.5).sum(axis=0), (X,)),
    "a number of another type": (lambda x: np.tanh(x * np.float32(2)).sum(axis=0), (X.astype("f4"),)),
    "a parameter": (lambda x: np.tanh(x * 2.0).sum(axis=1), (X,)),
    "an axis kept": (lambda x: np.tanh(x * 2.0).sum(axis=0, keepdims=True), (X,)),
    "an operation": (lambda x: np.sinh(x * 2.0).sum(axis=0), (X,)),
    "a shape": (lambda x: np.tanh(x * 2.0).sum(axis=0), (X[:, :2].copy(),)),
    "a type": (lambda x: np.tanh(x * 2.0).sum(axis=0), (X.astype("f4"),)),
    "an array for a number": (lambda x, y: np.tanh(x * y).sum(axis=0), (X, np.array(2.0))),
    "which result": (lambda x: (np.tanh(x * 2.0).sum(axis=0), x)[1] + 0.0, (X,)),
    "the order of arguments": (lambda x, y: x - y, (X, 2 * X)),
    "the other order": (lambda x, y: y - x, (X, 2 * X)),
    "a zero": (lambda x: np.copysign(1.0, x * 0.0 + 0.0), (X,)),
    "a negative zero": (lambda x: np.copysign(1.0, x * 0.0 + -0.0), (X,)),
    "a slice": (lambda x: x[:, ::2] * 1.5, (X,)),
    "another slice": (lambda x: x[:, ::-2] * 1.5, (X,)),
    "the order of results": (lambda x: np.stack([x * 1.5, x], 0), (X,)),
    "another order": (lambda x: np.stack([x, x * 1.5], 0), (X,)),
    "a derivative": (cr.grad(lambda x: np.tanh(x * 2.0).sum()), (X,)),
}


def test_whatever_is_another_function_is_compiled_anew(compilations: list[str]) -> None:
    for number, (f, arguments) in enumerate(VARIANTS.values(), 1):
        for _ in range(2):
            same(compile(f)(*arguments), f(*arguments))
            as_in_a_new_process()
        assert len(compilations) == number


def test_another_option_machine_or_engine_is_another_entry(
    compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def f(x: Any) -> Any:
        return np.maximum(x, 0.1).sum()

    def count() -> int:
        as_in_a_new_process()
        same(compile(f)(X), f(X))
        return len(compilations)

    assert (count(), count()) == (1, 1)
    same(compile(f, assume_finite=True)(X), f(X))
    assert len(compilations) == 2
    for name in ("_machine_key", "_engine_key"):
        monkeypatch.setattr(native, name, lambda name=name: b"another " + name.encode())
        before = len(compilations)
        assert (count(), count()) == (before + 1, before + 1)
    monkeypatch.setattr(native, "_engine_key", lambda: None)  # nobody knows which source runs
    before = len(compilations)
    assert (count(), count()) == (before + 1, before + 2)


def test_the_source_of_the_engine_and_the_processor_are_part_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    (tmp_path / "graph").mkdir()
    source = tmp_path / "graph" / "one.py"
    keys = set()
    monkeypatch.setattr(native, "_PACKAGE", tmp_path)
    monkeypatch.setattr(native, "_LOADED", float("inf"))
    for text in ("x = 1", "x = 2", "x = 1"):
        source.write_text(text)
        keys.add(native._engine_key.__wrapped__())
    assert len(keys) == 2
    monkeypatch.setattr(native, "_LOADED", 0.0)  # the source was changed after it was loaded
    assert native._engine_key.__wrapped__() is None
    here = native._machine_key.__wrapped__()
    monkeypatch.setattr(native.llvm, "get_host_cpu_name", lambda: "i486")
    elsewhere = native._machine_key.__wrapped__()
    monkeypatch.setitem(native._PASSES, "loop_unrolling", True)
    assert len({here, elsewhere, native._machine_key.__wrapped__()}) == 3


def test_a_function_that_numpy_computes_a_part_of_is_compiled_each_time(compilations: list[str]) -> None:
    mine = cr.primitive("doubled(x)", forward=lambda x: 2 * x, x=lambda g: 2 * g)
    for _ in range(2):
        same(compile(lambda x: mine(x) + 1)(X), 2 * X + 1)
        as_in_a_new_process()
    assert len(compilations) == 2


@pytest.mark.parametrize("ending", ["graph", "o"])
@pytest.mark.parametrize(
    "damage", ["empty", "short", "one bit", "nonsense", "another entry", "gone", "a folder"]
)
def test_a_damaged_entry_is_made_anew(damage: str, ending: str, cache: Path) -> None:
    def f(x: Any) -> Any:
        return x * 5 + 1

    same(compile(f)(X), f(X))
    sound = {path: path.read_bytes() for path in entries(cache, ending)}
    same(compile(lambda x: x * 6 + 1)(X), X * 6 + 1)
    other = next(path for path in entries(cache, ending) if path not in sound).read_bytes()
    for path, content in sound.items():
        path.unlink()
        if damage == "a folder":
            path.mkdir()
        elif damage != "gone":
            middle = len(content) // 2
            flipped = content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
            path.write_bytes(
                {
                    "empty": b"",
                    "short": content[:-1],
                    "one bit": flipped,
                    "nonsense": b"x" * 99,
                    "another entry": other,
                }[damage]
            )
    for _ in range(2):
        as_in_a_new_process()
        same(compile(f)(X), f(X))
    if damage != "a folder":
        repaired = {path: path.read_bytes() for path in sound if path.is_file()}
        assert any(repaired.get(path) == content for path, content in sound.items())


def test_an_entry_is_data_only(cache: Path) -> None:
    compile(lambda x: x * 5 + 1)(X)
    (entry,) = entries(cache, "graph")
    parts = json.loads(entry.read_bytes()[32:])
    assert (parts["results"], parts["constants"]) == ([[[2, 3], "<f8"]], [])


def test_without_a_folder_to_write_to_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "file" / "cache"))
    same(compile(lambda x: x * 7 + 1)(X), X * 7 + 1)


def test_the_cache_can_be_switched_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile(lambda x: x * 9 + 1, cache=False)(X)
    assert not entries(cache, "graph")
    monkeypatch.setenv("CHAINRULE_CACHE", "no")
    compile(lambda x: x * 11 + 1)(X)
    assert not entries(cache, "graph")


@pytest.mark.parametrize("case", [case for order, case in ORDERS if order is first], ids=repr)
def test_what_is_alike_becomes_the_same_code(case: Case) -> None:
    """Simplification and lowering ask for nothing that the name of an entry does not tell."""
    with np.errstate(all="ignore"):
        found = [cr.trace(first(case), *(factor * a for a in case.drawn())) for factor in (1, 0.97)]
    keys = [likeness(graph) for graph in found]
    assert keys[0] is not None
    assert keys[0] == keys[1]
    sources = [Source(graph, False, None) for graph in found]
    assert sources[0].text == sources[1].text
    assert sources[0].results == sources[1].results
    for one, other in zip(*(source.constants for source in sources), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_function_is_alike_in_every_process() -> None:
    script = (
        "import hashlib, numpy as np, chainrule as cr\n"
        "from chainrule.graph.emit.llvm.likeness import likeness\n"
        "f = cr.value_and_grad(lambda p, x: np.tanh(x @ p['W'] + p['b'])[:, 1:].sum())\n"
        "graph = cr.trace(f, {'W': np.ones((3, 2)), 'b': np.ones(2)}, np.ones((4, 3)))\n"
        "print(hashlib.sha256(likeness(graph)).hexdigest())"
    )
    assert len({subprocess.check_output([sys.executable, "-c", script]) for _ in range(3)}) == 1


# LLVM in one process with everything else --------------------------------------------------------------------------


def test_threads_compile_at_once_while_others_are_collected() -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(6):
                factor = float(100 * number + i)
                same(compile(lambda x: np.tanh(x * factor) + factor)(X), np.tanh(X * factor) + factor)  # noqa: B023
                making._KNOWN.clear()
        except BaseException as error:
            failures.append(error)

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*before)
    assert not failures


def test_code_lives_as_long_as_a_call_that_has_begun() -> None:
    """Another thread may end a specialisation between two steps of a call."""
    fast = compile(lambda x: np.sinh(x) * 3)
    fast(X)
    call, library = fast._newest().fast, weakref.ref(fast._newest().run.library)
    del fast
    making._KNOWN.clear()
    gc.collect()
    assert library() is not None
    same(call((X,), {}), np.sinh(X) * 3)
    del call
    gc.collect()
    assert library() is None


SCATTERED = """
import ctypes, numpy as np, chainrule as cr
cr.compile(lambda x: x + 1)(np.ones(3))
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
def reserve(size, at=None):
    return libc.mmap(at, size, 0, 0x4022 | (0x100000 if at else 0), -1, 0)
hole = reserve(4096)
for _ in range(20):
    lines = [line.split()[0].split("-") for line in open("/proc/self/maps")]
    ends = [(int(a, 16), int(b, 16)) for a, b in lines]
    gaps = [(b, c - b) for (_, b), (c, _) in zip(ends, ends[1:]) if c > b and c > 0x7E0000000000 and c - b < 1 << 36]
    for start, size in gaps:
        reserve(size, start)
reserve(8 << 30)
libc.munmap(hole, 4096)
x = np.linspace(0, 1, 3)
print(abs(cr.compile(lambda x: np.tanh(x) * np.exp(x) + np.sin(x))(x) - (np.tanh(x) * np.exp(x) + np.sin(x))).max())
"""
"""Between the last free page up there and the next free memory lie 8 GB: code and its constants do not fit together."""


@pytest.mark.skipif(
    sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) < 8, reason="reads Linux's memory map"
)
def test_code_is_loaded_where_memory_is_scattered() -> None:
    found = subprocess.run([sys.executable, "-c", SCATTERED], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-500:]
    assert float(found.stdout) < 1e-12
