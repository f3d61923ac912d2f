"""Time several functions side by side: alternating, in small batches, so that noise strikes all alike."""

import gc
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import TypeAlias

Step: TypeAlias = Callable[[], object]
Timings: TypeAlias = Mapping[str, Sequence[float]]

BATCH_SECONDS = 0.004
FEWEST_ROUNDS = 5
FIRST_CALLS = TRIALS = 3


def alternate(steps: Mapping[str, Step], seconds: float) -> Timings:
    """Seconds per call of every step, one number for each round; each round runs a batch of every step.

    Whoever comes first in one round comes last in the next, because the caches are warm with the
    predecessor's data.
    """
    sizes = {name: batch_size(step) for name, step in steps.items()}
    timings: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    # What is alive now (modules, data, peers) is no contestant's garbage: none shall pay for scanning it.
    gc.collect()
    gc.freeze()
    end = perf_counter() + seconds
    while perf_counter() < end or len(timings[order[0]]) < FEWEST_ROUNDS:
        for name in order:
            timings[name].append(time_batch(steps[name], sizes[name]))
        order.append(order.pop(0))
    gc.unfreeze()
    return timings


def batch_size(step: Step) -> int:
    """How many calls last about ``BATCH_SECONDS``; the calls made to find out warm the caches up.

    The first ones are not timed, since they may compile, and of some trials the fastest counts: a batch that an
    interruption has made small would measure cold calls.
    """
    for _ in range(FIRST_CALLS):
        step()
    size = 1
    while (took := min(time_batch(step, size) for _ in range(TRIALS)) * size) < BATCH_SECONDS / 2:
        size *= 2
    return max(1, round(size * BATCH_SECONDS / took))


def time_batch(step: Step, size: int) -> float:
    """Seconds per call. The garbage of earlier batches is collected first, one's own is part of the bill."""
    gc.collect()
    rounds = range(size)
    start = perf_counter()
    for _ in rounds:
        step()
    return (perf_counter() - start) / size


def microseconds(timings: Timings, name: str) -> float:
    return median(timings[name]) * 1e6


def ratio(timings: Timings, name: str, peer: str) -> float:
    """The median over the rounds of time / peer's time *in the same round*."""
    return median(mine / theirs for mine, theirs in zip(timings[name], timings[peer], strict=True))
