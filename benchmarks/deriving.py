"""How long `trace` and `derive` take: a network of three layers, and a function of ten thousand operations."""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.report import Finding

ROUNDS = 7
NETWORK_MILLISECONDS = 50
LONG_SECONDS = 5
LONG_LOOPS = 2500  # of four operations


def deriving_time() -> list[Finding]:
    """The medians of a few runs, each from the beginning."""
    import chainrule as cr

    weights, X, Y = network()

    def loss(*weights: Any) -> Any:
        A = X
        for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            A = np.maximum(A @ W + b, 0)
        return ((A @ weights[-2] + weights[-1] - Y) ** 2).mean()

    traced = seconds(lambda: cr.trace(loss, *weights), ROUNDS) * 1e3
    derived = seconds(lambda: cr.derive(loss, *weights), ROUNDS) * 1e3
    whole = seconds(lambda: cr.derive(long, np.ones(4)), 3)
    met = derived < NETWORK_MILLISECONDS
    return [
        Finding("trace a network of 3 layers", f"{traced:.1f} ms", "", None),
        Finding("derive a network of 3 layers", f"{derived:.1f} ms", f"< {NETWORK_MILLISECONDS} ms", met),
        Finding("derive 10,000 operations", f"{whole:.1f} s", f"< {LONG_SECONDS} s", whole < LONG_SECONDS),
    ]


def network() -> tuple[list[Any], Any, Any]:
    """Weights and biases of 4-5-6-3, and 150 rows."""
    draw = np.random.default_rng(0)
    shapes = [(4, 5), (5,), (5, 6), (6,), (6, 3), (3,)]
    return (
        [draw.normal(size=shape) for shape in shapes],
        draw.normal(size=(150, 4)),
        draw.normal(size=(150, 3)),
    )


def long(x: Any) -> Any:
    for _ in range(LONG_LOOPS):
        y = np.sin(x) * 0.9
        x = y + x / 3
    return x.sum()


def seconds(run: Callable[[], Any], rounds: int) -> float:
    run()
    times = []
    for _ in range(rounds):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return median(times)
