"""Peak memory of forward and backward, eager and compiled, beside PyTorch and JAX; each in processes of its own."""

import ctypes
import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.children import child
from benchmarks.contestants import available
from benchmarks.report import Finding

RUNS = 5
LAYERS, WIDTH, ROWS = 20, 512, 512
Pass = Callable[[], object]


def peak_memory() -> list[Finding]:
    """Above what was resident before: the engine beside PyTorch, and compiled functions beside both.

    The engine as it is, and again with a mapping of its own for every array, which shows what the libraries ask for
    without the gaps that malloc leaves between the pieces.
    """
    title = f"peak memory, {LAYERS} layers of {WIDTH}, {ROWS} rows"
    return [
        finding(title, "chainrule"),
        finding(f"{title}, no gaps", "chainrule", MALLOC_MMAP_THRESHOLD_=str(2**18)),
        finding(f"{title}, compiled", "compiled", CHAINRULE_CACHE="no"),
    ]


def finding(title: str, ours: str, **environment: str) -> Finding:
    peers = ["pytorch", *(["jax"] if ours == "compiled" else [])]
    names = [ours, *(peer for peer in peers if available(peer) is None)]
    found = {name: megabytes(name, **environment) for name in names}
    shown = ", ".join(f"{TITLES.get(name, '')}{found[name]:.1f} MB" for name in names)
    if "pytorch" not in found:
        return Finding(title, f"{shown} (PyTorch is missing)", "<= PyTorch", None)
    return Finding(title, shown, "<= PyTorch", found[ours] <= found["pytorch"])


def megabytes(library: str, **environment: str) -> float:
    return median(child("memory", library, **environment) / 2**20 for _ in range(RUNS))


def measure_memory(library: str) -> int:
    """Bytes. A shallow network goes first, so that what a library loads on first use is not counted.

    Compiling is not counted either, but what it leaves behind is: code, and memory that the code keeps.
    """
    prepare = PASSES[library]
    prepare(2, WIDTH, ROWS)()
    run = prepare(LAYERS, WIDTH, ROWS)
    settle()
    before = resident("VmRSS")
    if library in COMPILED:
        run()
        settle()
    reset_peak()
    run()
    return resident("VmHWM") - before


# the networks --------------------------------------------------------------------------------------------------


def layers_and_inputs(layers: int, width: int, rows: int) -> tuple[list[Any], Any]:
    random = np.random.default_rng(0)
    scale = np.float32(width**-0.5)
    weights = [scale * random.standard_normal((width, width), dtype=np.float32) for _ in range(layers)]
    return weights, random.standard_normal((rows, width), dtype=np.float32)


def chainrule_pass(layers: int, width: int, rows: int) -> Pass:
    cr = import_module("chainrule")
    arrays, X = layers_and_inputs(layers, width, rows)
    weights = [cr.Tensor(array, requires_grad=True) for array in arrays]
    biases = [cr.Tensor(np.zeros(width, dtype=np.float32), requires_grad=True) for _ in arrays]

    def run() -> object:
        H = X
        for W, b in zip(weights, biases, strict=True):
            H = cr.ops.relu(H @ W + b)
        H.mean().backward()
        return [parameter.grad.data for parameter in weights + biases]

    return run


def pytorch_pass(layers: int, width: int, rows: int) -> Pass:
    torch = import_module("torch")
    torch.set_num_threads(1)
    arrays, inputs = layers_and_inputs(layers, width, rows)
    weights = [torch.from_numpy(array.T.copy()).requires_grad_() for array in arrays]
    biases = [torch.zeros(width, requires_grad=True) for _ in arrays]
    X = torch.from_numpy(inputs)

    def run() -> object:
        H = X
        for W, b in zip(weights, biases, strict=True):
            H = torch.nn.functional.relu(torch.nn.functional.linear(H, W, b))
        H.mean().backward()
        return [parameter.grad for parameter in weights + biases]

    return run


def mean_output(relu: Callable[[Any], Any], parameters: Any, X: Any) -> Any:
    """The mean output of a network of weights and biases."""
    H = X
    for W, b in zip(*parameters, strict=True):
        H = relu(H @ W + b)
    return H.mean()


def compiled_pass(layers: int, width: int, rows: int) -> Pass:
    cr = import_module("chainrule")
    weights, X = layers_and_inputs(layers, width, rows)
    biases = [np.zeros(width, dtype=np.float32) for _ in weights]

    differentiate = cr.compile(cr.value_and_grad(partial(mean_output, cr.ops.relu)))
    return lambda: differentiate((weights, biases), X)


def jax_pass(layers: int, width: int, rows: int) -> Pass:
    jax = import_module("jax")
    arrays, inputs = layers_and_inputs(layers, width, rows)
    weights = [jax.numpy.asarray(array) for array in arrays]
    biases = [jax.numpy.zeros(width, np.float32) for _ in arrays]
    X = jax.numpy.asarray(inputs)

    differentiate = jax.jit(jax.value_and_grad(partial(mean_output, jax.nn.relu)))
    return lambda: jax.block_until_ready(differentiate((weights, biases), X))


PASSES: Mapping[str, Callable[[int, int, int], Pass]] = {
    "chainrule": chainrule_pass,
    "pytorch": pytorch_pass,
    "compiled": compiled_pass,
    "jax": jax_pass,
}
COMPILED = ("compiled", "jax")
TITLES: Mapping[str, str] = {"pytorch": "PyTorch ", "jax": "JAX "}

# what the system says --------------------------------------------------------------------------------------------


def settle() -> None:
    """Let go of all that is not in use: a run that used it again would seem to need less."""
    gc.collect()
    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def resident(field: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (the most since `reset_peak`) of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/self/status has no {field}")


def reset_peak() -> None:
    """Let ``VmHWM`` begin again at what is resident now (man 5 proc, clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
