"""The report on a compiled function: what is measured is what takes the time, and nothing is kept for it."""

from __future__ import annotations

import gc
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import ops

pytest.importorskip("llvmlite")
from chainrule.graph.emit.llvm import making

X = np.random.default_rng(0).normal(size=(400, 400))


def times(report: str) -> dict[str, float]:
    """The microseconds of each equation that has some."""
    found = re.findall(r"^  (.+?) +([0-9.]+) µs +[0-9]+%  ", report, re.MULTILINE)
    return {equation: float(number) for equation, number in found}


def total(report: str) -> float:
    return float(report.splitlines()[1].split()[0])


def test_the_large_product_takes_the_time() -> None:
    fast = cr.compile(lambda x: (x @ x, np.tanh(x[0])), cache=False)
    fast(X)
    report = fast.report()
    spent = times(report)
    (product,) = (number for equation, number in spent.items() if "matmul" in equation)
    assert product > 0.8 * total(report)
    assert sum(spent.values()) == pytest.approx(total(report), abs=0.01 * len(spent))


def test_the_times_are_those_of_a_call() -> None:
    pause = 0.02
    slow = cr.primitive("slow(x)", forward=lambda x: (time.sleep(pause), x * 2)[1], x=lambda g: 2 * g)
    fast = cr.compile(lambda x: np.exp(slow(x)), cache=False)
    fast(X)
    start = time.perf_counter()
    report = fast.report()
    # However busy the machine is, a pause is not shorter, and a part not longer than the whole.
    elapsed = (time.perf_counter() - start) * 1e6
    (measured,) = (number for equation, number in times(report).items() if "slow" in equation)
    assert pause * 1e6 <= measured <= total(report) <= elapsed


def test_what_numpy_computes_is_measured_too() -> None:
    fast = cr.compile(lambda x: np.exp(np.linalg.inv(x + 400 * np.eye(400))) * 2, cache=False)
    fast(X)
    report = fast.report()
    (line,) = (line for line in report.splitlines() if "computed by NumPy" in line)
    assert "inv" in line
    assert next(number for equation, number in times(report).items() if "inv" in equation) > 100
    assert "2 native segments" in report.splitlines()[0]


def test_a_formula_has_no_time_of_its_own() -> None:
    fast = cr.compile(lambda x: (x * 2 + 1).sum(), cache=False)
    fast(X)
    lines = fast.report().splitlines()
    assert [("µs" in line, line.split("  ")[-1].strip()) for line in lines[2:4]] == [
        (False, "written into the loops that use it"),
        (False, "written into the loops that use it"),
    ]
    assert "µs" in lines[4]


def test_results_that_are_arguments_are_copied() -> None:
    fast = cr.compile(lambda x: (x, x * 2), cache=False)
    fast(X)
    assert "copied to where they are returned" in fast.report()
    assert any(equation == "results" for equation in times(fast.report()))


def test_a_long_program() -> None:
    def many(x: Any) -> Any:
        for _ in range(300):
            x = ops.tanh(x * 1.5)
        return x

    fast = cr.compile(many, cache=False)
    fast(X[:20])
    report = fast.report()
    assert len(times(report)) > 5
    assert sum(times(report).values()) == pytest.approx(total(report), abs=0.01 * len(times(report)))


def test_only_numpy() -> None:
    fast = cr.compile(np.linalg.inv, cache=False)
    fast(np.eye(3))
    assert total(fast.report()) > 0


# what is kept -----------------------------------------------------------------------------------------------------


def deep(x: Any) -> Any:
    for _ in range(20):
        x = np.tanh(x * x + 1)
    return x.sum()


def test_the_arrays_of_the_trace_are_not_kept() -> None:
    x = np.ones((500, 500))
    cr.compile(deep, cache=False)(x[:5])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    fast = cr.compile(deep, cache=False)
    fast(x)
    gc.collect()
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert left < 5 * x.nbytes  # sixty times that were computed


def test_from_the_cache_the_code_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    mask = np.ones((3, 3))

    def f(x: Any) -> Any:
        return np.tril(np.ones_like(x)) * deep(x * mask) + np.triu(x)

    texts = []
    for _ in range(2):
        monkeypatch.setattr(making, "_KNOWN", {})
        fast = cr.compile(cr.grad(lambda x: f(x).sum()))
        fast(X[:3, :3])
        texts.append(fast.llvm())
    assert texts[0] == texts[1]
