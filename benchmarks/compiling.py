"""How long the first call of a compiled training step takes, from nothing and from a warm cache, beside JAX."""

from collections.abc import Callable
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.children import child
from benchmarks.contestants import available, build
from benchmarks.models import MODELS
from benchmarks.report import Finding

NAMES = ("xor", "iris", "small", "mnist")
LONG = ("lstm", "cnn")
RUNS = 3
SECONDS, WARM_SECONDS = 1.0, 0.2


def first_calls() -> list[Finding]:
    """Medians over processes of their own, in which a trivial function was compiled before."""
    findings: list[Finding] = []
    peer = available("jax") is None
    for name in (*NAMES, *LONG):
        runs = [one_round(name, peer) for _ in range(RUNS)]
        cold, warm, *theirs = (median(times) for times in zip(*runs, strict=True))
        limit, shown = SECONDS, f"{cold:.2f} s"
        if theirs:
            limit, shown = min(SECONDS, theirs[0]), f"{shown}, JAX {theirs[0]:.2f} s"
        findings.append(Finding(f"first call, {name}", shown, f"<= {limit:.2f} s", cold <= limit))
        findings.append(
            Finding(
                f"  from a warm cache, {name}", f"{warm:.2f} s", f"<= {WARM_SECONDS} s", warm <= WARM_SECONDS
            )
        )
    return findings


def one_round(name: str, peer: bool) -> list[float]:
    with TemporaryDirectory() as folder:
        times = [child("first", "compiled", name, CHAINRULE_CACHE=folder) for _ in range(2)]
    return [*times, child("first", "jax", name)] if peer else times


def measure_first_call(library: str, name: str) -> float:
    warm_up(library)
    start = perf_counter()
    contestant_of(library, name)()
    return perf_counter() - start


def warm_up(library: str) -> None:
    """What a library loads when it is first used is not counted."""
    if library == "jax":
        import jax

        jax.block_until_ready(jax.jit(lambda x: x + 1)(np.ones(3)))
    else:
        import chainrule as cr

        cr.compile(lambda x: x + 1)(np.ones(3))


def contestant_of(library: str, name: str) -> Callable[[], Any]:
    if name in LONG and library == "jax":
        from benchmarks.jax_networks import jax_step

        return jax_step(name)
    if name in LONG:
        from benchmarks.networks import compiled_step

        return compiled_step(name)
    return build(library, MODELS[name]).step
