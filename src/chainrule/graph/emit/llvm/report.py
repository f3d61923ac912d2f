"""The report on a kernel: what each equation has become, and how long it takes, measured.

A copy of the code is run that notes the time after each equation.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from time import perf_counter_ns
from typing import NamedTuple

import numpy as np

from chainrule.graph.emit.llvm.making import Source
from chainrule.graph.emit.llvm.native import Library, address_of, object_code
from chainrule.graph.emit.llvm.program import Called, Lowered
from chainrule.graph.emit.llvm.running import fixed_slots, memory_for, run_step
from chainrule.graph.emit.llvm.stamps import Stamps
from chainrule.graph.emit.llvm.writers import lowered
from chainrule.graph.ir import Graph, all_names, text

NANOSECONDS = 100_000_000
"""The copy is run for about so long."""
FEWEST, MOST = 3, 1000
"""And at least and at most so many times."""


class _Measured(NamedTuple):
    """The nanoseconds of each equation, by its number: medians over so many runs."""

    spent: Mapping[int, float]
    runs: int


def report(source: Source, threads: int) -> str:
    """The equations of a kernel, with the time and its share that each takes, and what it has become."""
    graph, stamps = source.graph, Stamps()
    program = lowered(graph, "kernel", source.assume_finite, stamps)
    measured = _measure(graph, program, stamps, threads)
    total = sum(measured.spent.values())
    names = all_names(graph)
    texts = [text(equation, names) for equation in graph.equations]
    notes = list(program.notes)
    if len(texts) in measured.spent:
        texts.append("results")
        notes.append("copied to where they are returned")
    width = max(map(len, texts), default=0)
    head = [
        f"{graph.name}: {_counted(sum(isinstance(s, str) for s in program.steps), 'native segment')}, "
        f"{_counted(threads, 'thread')}, {program.workspace} bytes of memory for intermediate arrays",
        f"{total / 1000:.2f} µs in all, measured: medians of {measured.runs} runs of a copy of the code, "
        f"which notes the time after each equation, on the arrays of the first call",
    ]
    lines = [
        f"  {line:{width}}  {_shown(measured.spent.get(i), total)}  {note}"
        for i, (line, note) in enumerate(zip(texts, notes, strict=True))
    ]
    return "\n".join(head + lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _shown(nanoseconds: float | None, total: float) -> str:
    """The time of an equation, and its share; nothing for one that has no code of its own."""
    if nanoseconds is None:
        return " " * 17
    return f"{nanoseconds / 1000:9.2f} µs {nanoseconds / max(total, 1e-9):4.0%}"


def _measure(graph: Graph, program: Lowered, stamps: Stamps, threads: int) -> _Measured:
    """Run the copy many times on the arrays that the graph was traced with."""
    ticks = np.zeros(len(stamps.numbers) or 1, np.int64)
    once = _Copy(graph, program, ticks, threads)
    once()
    runs: list[tuple[dict[int, int], dict[int, int]]] = []
    begun: list[tuple[int, int]] = []
    while len(runs) < FEWEST or (len(runs) < MOST and begun[-1][0] - begun[0][0] < NANOSECONDS):
        begin = perf_counter_ns()
        by_numpy = once()
        begun.append((begin, int(ticks[0])))
        runs.append((stamps.spent(ticks), by_numpy))
    (begin, first), (end, last) = begun[0], begun[-1]
    tick = (end - begin) / (last - first) if last > first else 0.0
    found = [{number: n * tick for number, n in native.items()} | other for native, other in runs]
    return _Measured({number: median(run[number] for run in found) for number in found[0]}, len(found))


class _Copy:
    """The code that notes the time, into `ticks`; a run of it returns the nanoseconds of what NumPy computes."""

    def __init__(self, graph: Graph, program: Lowered, ticks: np.ndarray, threads: int) -> None:
        self.steps = program.steps
        names = tuple(s for s in self.steps if isinstance(s, str))
        self.library = Library(object_code(str(program.module), keep=False), names) if names else None
        self.addresses = {name: self.library.address(name) for name in names} if self.library else {}
        self.arrays = [np.ascontiguousarray(v.value) for v in (*graph.inputs, *graph.constants)]
        self.arrays += [np.empty(tuple(a.shape), np.asarray(a.value).dtype) for a in graph.outputs]
        self.workspace = memory_for(program.workspace)
        fixed = fixed_slots(self.workspace, threads)
        self.slots = np.array([*map(address_of, self.arrays), *fixed, address_of(ticks)], np.uint64)
        self.numbers = {id(equation): i for i, equation in enumerate(graph.equations)}

    def __call__(self) -> dict[int, int]:
        by_numpy: dict[int, int] = {}
        for step in self.steps:
            begin = perf_counter_ns()
            run_step(step, self.addresses, self.slots, self.arrays, self.workspace)
            if isinstance(step, Called):
                by_numpy[self.numbers[id(step.equation)]] = perf_counter_ns() - begin
        return by_numpy
