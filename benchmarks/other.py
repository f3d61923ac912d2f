"""Import time, a long chain of operations and installed size; and the list of all that is measured beside the steps.

``python -m benchmarks.other NAME ARGUMENTS`` runs one of the `CHILDREN` and prints its result as JSON: that
is how this module calls itself.
"""

import gc
import json
import marshal
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.children import child, run_python
from benchmarks.compiling import first_calls, measure_first_call
from benchmarks.derived import derived_speed
from benchmarks.deriving import deriving_time
from benchmarks.estimating import estimators
from benchmarks.memory import measure_memory, peak_memory, reset_peak, resident
from benchmarks.networks import larger_networks, measure_network
from benchmarks.report import Finding
from benchmarks.streaming import measure_bare, measure_streamed, streaming

IMPORT_RUNS = 15
IMPORT_MILLISECONDS = 70
INSTALLED_MEGABYTES = 2
CHAIN_LENGTHS = (10**3, 10**4, 10**5, 10**6)
CHAIN_DEVIATION = 0.30
CHAIN_ROUNDS = 5
CHAIN_OPERATIONS = 10**5  # at least so many are timed for every length in each round
CHAIN_WARM_UP = 10**4  # fills Python's lists of free objects, which are not given back


# Import time ------------------------------------------------------------------------------------------------

IMPORT = """
from time import perf_counter
start = perf_counter()
import {module}
print(perf_counter() - start)
"""


def import_time() -> list[Finding]:
    """Of chainrule over NumPy, with bytecode in place (in a directory of its own, made by a first run)."""
    with TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def seconds(module: str) -> float:
            return float(run_python("-c", IMPORT.format(module=module), environment=environment))

        seconds("numpy"), seconds("chainrule")
        runs = [(seconds("numpy"), seconds("chainrule")) for _ in range(IMPORT_RUNS)]
    over = median(both - numpy for numpy, both in runs) * 1e3
    numpy_alone = median(numpy for numpy, _ in runs) * 1e3
    measured = f"{over:.0f} ms (NumPy itself {numpy_alone:.0f} ms)"
    target = f"<= {IMPORT_MILLISECONDS} ms"
    return [Finding("import, over NumPy", measured, target, over <= IMPORT_MILLISECONDS)]


# A long chain -----------------------------------------------------------------------------------------------


def chain() -> list[Finding]:
    """Time per operation of chains of different length, taking turns, and what is left of them afterwards."""
    rounds = [[child("chain", str(length)) for length in CHAIN_LENGTHS] for _ in range(CHAIN_ROUNDS)]
    results = {length: summary(runs) for length, *runs in zip(CHAIN_LENGTHS, *rounds, strict=True)}
    both = {length: result["forward"] + result["backward"] for length, result in results.items()}
    middle = median(both.values())
    deviation = max(abs(each / middle - 1) for each in both.values())
    findings = [chain_finding(length, result) for length, result in results.items()]
    per_operation = ", ".join(f"{seconds * 1e6:.2f}" for seconds in both.values())
    measured = f"±{deviation:.0%} around the median ({per_operation} µs)"
    target = f"within ±{CHAIN_DEVIATION:.0%}"
    return [*findings, Finding("chain, flatness", measured, target, deviation <= CHAIN_DEVIATION)]


def summary(runs: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """The median of each time, and the worst of everything that is left."""
    return {
        name: (median if name in ("forward", "backward") else max)([run[name] for run in runs])
        for name in runs[0]
    }


def chain_finding(length: int, result: Mapping[str, float]) -> Finding:
    forward, backward = result["forward"] * 1e6, result["backward"] * 1e6
    # Python's objects are counted, and memory only shown: the allocator may keep freed pages.
    left = max(result["left_after_backward"], result["left_after_forward"])
    measured = (
        f"{forward:.2f} + {backward:.2f} µs per operation, {left:.3f} objects each and "
        f"{result['resident_left'] / 2**20:.0f} of {result['resident_peak'] / 2**20:.0f} MB left"
    )
    return Finding(f"chain of {length:,} operations", measured, "all freed", left < 0.01)


def measure_chain(length: str) -> Mapping[str, float]:
    """Seconds per operation, forward and backward, without garbage collection; and what stays allocated."""
    operations = int(length)
    gc.disable()
    for _ in range(3):
        run_chain(CHAIN_WARM_UP)
    before_resident, before = resident("VmRSS"), sys.getallocatedblocks()
    reset_peak()
    runs = [run_chain(operations) for _ in range(max(1, CHAIN_OPERATIONS // operations))]
    peak, after_backward = resident("VmHWM"), sys.getallocatedblocks()
    forward_chain(operations)  # and drop it: destructors must not recurse through it either
    return {
        "forward": median(forward for forward, _ in runs) / operations,
        "backward": median(backward for _, backward in runs) / operations,
        "left_after_backward": (after_backward - before) / operations / len(runs),
        "left_after_forward": (sys.getallocatedblocks() - after_backward) / operations,
        "resident_peak": peak - before_resident,
        "resident_left": resident("VmRSS") - before_resident,
    }


def run_chain(operations: int) -> tuple[float, float]:
    start = perf_counter()
    x, y = forward_chain(operations)
    middle = perf_counter()
    y.backward()
    end = perf_counter()
    assert abs(x.grad.data / 1.000001**operations - 1) < 1e-6, "the gradient of the chain is wrong"
    return middle - start, end - middle


def forward_chain(operations: int) -> tuple[Any, Any]:
    x = import_module("chainrule").Tensor(np.ones(()), requires_grad=True)
    y = x
    for _ in range(operations):
        y = y * 1.000001
    return x, y


# Installed size ---------------------------------------------------------------------------------------------


def installed_size() -> list[Finding]:
    """Of the package's files and of the bytecode that an installer compiles."""
    spec = find_spec("chainrule")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    sources = sum(path.stat().st_size for path in files) / 1e6
    bytecode = sum(bytecode_size(path) for path in files if path.suffix == ".py") / 1e6
    measured = f"{sources + bytecode:.2f} MB ({sources:.2f} MB of files, {bytecode:.2f} MB of bytecode)"
    fits = sources + bytecode < INSTALLED_MEGABYTES
    return [Finding("installed size", measured, f"< {INSTALLED_MEGABYTES} MB", fits)]


def bytecode_size(path: Path) -> int:
    return len(marshal.dumps(compile(path.read_bytes(), path.name, "exec")))


CHILDREN: Mapping[str, Callable[..., object]] = {
    "chain": measure_chain,
    "memory": measure_memory,
    "first": measure_first_call,
    "network": measure_network,
    "streamed": measure_streamed,
    "bare": measure_bare,
}

OTHERS: Mapping[str, Callable[[], list[Finding]]] = {
    "import": import_time,
    "chain": chain,
    "memory": peak_memory,
    "size": installed_size,
    "derived": derived_speed,
    "deriving": deriving_time,
    "first-calls": first_calls,
    "networks": larger_networks,
    "estimators": estimators,
    "streaming": streaming,
}


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps(CHILDREN[name](*arguments)))
