"""Numbers that people multiply gradients by, and what each of them is in this computation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

from chainrule.graph.ir import Graph, Literal, Variable

CLOSE = 1e-7
"""Two factors that differ by less, relatively, are the same number."""


class Constant(NamedTuple):
    """A number that was recognised: its value, in words, and whether it counts the rows (or what the loss averages)."""

    value: float
    words: str
    counts_rows: bool = False


class Constants:
    """The numbers that belong to a graph: 2, ½, lengths of axes, numbers of elements, numbers it is written with."""

    def __init__(self, graph: Graph, parameters: Iterable[Variable], names: Mapping[Variable, str]) -> None:
        self.base = _numbers_of(graph, set(parameters), names)
        self.known = sorted(self._combined(), key=lambda c: len(c.words))

    def _combined(self) -> list[Constant]:
        found = {
            2.0: Constant(2.0, "2"),
            0.5: Constant(0.5, "1/2"),
            4.0: Constant(4.0, "4"),
            0.25: Constant(0.25, "1/4"),
        }
        small = [Constant(1.0, "1"), Constant(2.0, "2")]
        for one in self.base:
            if one.counts_rows:  # 4 may be the number of rows
                found |= {one.value: one, 1 / one.value: Constant(1 / one.value, f"1/({one.words})", True)}
        for one, other in [*product(self.base, small), *product(self.base, self.base)]:
            pure, rows = other.value == 1.0, one.counts_rows
            mixed = rows and other in small
            for value, words, counts in (
                (one.value * other.value, one.words if pure else f"{other.words} times {one.words}", rows),
                (other.value / one.value, f"{other.words}/({one.words})", mixed),
                (one.value / other.value, f"({one.words})/{other.words}", mixed),
            ):
                if value != 1.0:
                    found.setdefault(value, Constant(value, words, counts))
        return list(found.values())

    def recognised(self, factor: float) -> Constant | None:
        """The constant that a factor is, up to its sign; None for a number that means nothing here."""
        size = abs(factor)
        if not np.isfinite(size) or size == 0 or abs(size - 1) <= CLOSE:
            return None
        found = next((c for c in self.known if abs(c.value - size) <= CLOSE * size), None)
        if found is None or factor > 0:
            return found
        return Constant(factor, f"-{found.words}", found.counts_rows)


def _numbers_of(graph: Graph, parameters: set[Variable], names: Mapping[Variable, str]) -> list[Constant]:
    """Lengths and sizes, the data's first; and the numbers that the loss is written with."""
    found: dict[float, Constant] = {}

    def add(number: float, words: str, rows: bool = False) -> None:
        if number > 0 and number not in (1.0, 2.0, 0.5) and np.isfinite(number):
            found.setdefault(float(number), Constant(float(number), words, rows))

    data = [v for v in (*graph.constants, *graph.inputs) if v not in parameters]
    made = [v for e in graph.equations for v in e.outputs]
    for variable in (*data, *parameters, *made):
        name, shape = names.get(variable, "an intermediate value"), variable.shape
        is_data = variable in data
        for axis, length in enumerate(shape):
            what = ("rows" if axis == 0 else "columns") if len(shape) == 2 else f"axis {axis}"
            of = (
                f"the number of {what} of {name}"
                if len(shape) == 2
                else f"the length of {name}"
                if len(shape) == 1
                else f"the length of {what} of {name}"
            )
            add(length, f"{length}, {of}", is_data and axis == 0)
        if len(shape) > 1:
            add(int(np.prod(shape)), f"{int(np.prod(shape))}, the number of elements of {name}", is_data)
    for equation in graph.equations:
        for atom in equation.inputs:
            if isinstance(atom, Literal) and not isinstance(atom.number, (bool, complex)) and not atom.shape:
                add(abs(float(atom.number)), f"{float(atom.number):g}")
    for groups in _repetitions(graph):
        add(groups, f"{groups}, the number of steps of the loop")
    return list(found.values())


def _repetitions(graph: Graph) -> set[int]:
    """How often a line of the user's was run, for each line."""
    counts: dict[tuple[object, ...], int] = {}
    for equation in graph.equations:
        if equation.place is not None:
            key = (*equation.place, equation.name)
            counts[key] = counts.get(key, 0) + 1
    return set(counts.values())
