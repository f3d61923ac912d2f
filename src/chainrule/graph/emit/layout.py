"""Where the boxes of a directed graph go: in layers, so that no two overlap and no line crosses a box.

The steps are those of Sugiyama, Tagawa and Toda (1981): a layer for each node, by the longest path to it; an order
in each layer with few crossings, by barycentres; places along the layer that make lines straight. An edge over
several layers goes through places that are kept free for it, one for each layer, shared by the edges of one source.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

SIDE, BETWEEN, LANE = 28.0, 52.0, 12.0
"""The gap between neighbours, that between layers, and the width that a passing line needs."""
SWEEPS = 12
STRAIGHT = 8.0
"""How much more a bend in a passing line counts than one between two boxes."""
LONGEST = 100_000
"""What edges pass in all, in layers. With more, the other long edges go straight, whatever is in their way."""


class Point(NamedTuple):
    """A place: along the layer, and across it."""

    along: float
    across: float


class Layout(NamedTuple):
    """The middle of each box, the places that each edge goes through (its ends among them), and the extent."""

    centres: list[Point]
    routes: list[list[tuple[Point, Point]]]
    extent: Point


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """A layout for boxes of these sizes (along the layer, and across it); every edge leads to a later box.

    A route is a list of straight pieces across the layers: its first piece is where it leaves its box, the last
    where it arrives; between two pieces it may bend, as no box is there.

    >>> layered([(40, 20), (60, 20)], [(0, 1)]).centres
    [Point(along=30.0, across=10.0), Point(along=30.0, across=82.0)]
    """
    if not sizes:
        return Layout([], [], Point(0.0, 0.0))
    layers = _layers(len(sizes), edges)
    rows = _Rows(sizes, edges, layers)
    rows.order()
    rows.place()
    return rows.layout()


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest path to each node; what nothing leads to stands just before where it is used first."""
    layers, used, entered = [0] * count, [count] * count, set()
    for source, target in sorted(edges, key=lambda e: e[1]):
        layers[target] = max(layers[target], layers[source] + 1)
        entered.add(target)
    for source, target in edges:
        used[source] = min(used[source], layers[target])
    return [
        layer if i in entered or used[i] == count else used[i] - 1
        for i, layer in enumerate(layers)
    ]  # fmt: skip


class _Rows:
    """The layers with their places: a number below `count` is a box, a larger one a lane for a passing line."""

    def __init__(
        self, sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], layers: list[int]
    ) -> None:
        self.count, self.edges = len(sizes), list(edges)
        self.widths, self.heights = [s[0] for s in sizes], [s[1] for s in sizes]
        self.layer = list(layers)
        self.lanes: dict[tuple[int, int], int] = {}
        self.passed = 0
        self.paths = [self._path(source, target) for source, target in edges]
        self.above: list[list[int]] = [[] for _ in self.layer]
        self.below: list[list[int]] = [[] for _ in self.layer]
        for upper, lower in dict.fromkeys(link for path in self.paths for link in pairwise(path)):
            self.above[lower].append(upper)
            self.below[upper].append(lower)
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer) + 1)]
        for place, layer in enumerate(self.layer):
            self.rows[layer].append(place)
        self.along = [0.0] * len(self.layer)

    def _path(self, source: int, target: int) -> list[int]:
        between = range(self.layer[source] + 1, self.layer[target])
        if self.passed + len(between) > LONGEST:
            return [source, target]
        self.passed += len(between)
        return [source, *(self._lane(source, layer) for layer in between), target]

    def _lane(self, source: int, layer: int) -> int:
        if (source, layer) not in self.lanes:
            self.lanes[source, layer] = len(self.layer)
            self.layer.append(layer)
            self.widths.append(LANE)
            self.heights.append(0.0)
        return self.lanes[source, layer]

    def order(self) -> None:
        """Sort each layer by the mean position of the neighbours, downwards and upwards in turn."""
        position = {place: i for row in self.rows for i, place in enumerate(row)}
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in self.rows if down else reversed(self.rows):
                neighbours = self.above if down else self.below
                middle = {p: _mean([position[n] for n in neighbours[p]], position[p]) for p in row}
                row.sort(key=middle.__getitem__)
                position.update((place, i) for i, place in enumerate(row))

    def place(self) -> None:
        """Move every place towards its neighbours, as far as its row allows: down, up, and at last to all of them."""
        for row in self.rows:
            self._settle(row, [(0.0, 1.0)] * len(row))
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in self.rows if down else reversed(self.rows):
                self._settle(row, [self._wanted(p, self.above[p] if down else self.below[p]) for p in row])
        for row in (*self.rows, *reversed(self.rows)):
            self._settle(row, [self._wanted(p, self.above[p] + self.below[p]) for p in row])
        left = min(a - w / 2 for a, w in zip(self.along, self.widths, strict=True))
        self.along = [a - left for a in self.along]

    def _wanted(self, place: int, neighbours: list[int]) -> tuple[float, float]:
        """Where a place would have straight lines, and how much that counts: most for a line that passes."""
        lane = place >= self.count
        pulls = [STRAIGHT if lane and n >= self.count else 1.0 for n in neighbours]
        if not pulls:
            return self.along[place], 0.1
        return sum(p * self.along[n] for p, n in zip(pulls, neighbours, strict=True)) / sum(pulls), sum(pulls)

    def _settle(self, row: list[int], wanted: list[tuple[float, float]]) -> None:
        """The nearest places to those wanted in which neighbours keep their distance."""
        offsets = [0.0]
        for a, b in pairwise(row):
            offsets.append(offsets[-1] + (self.widths[a] + self.widths[b]) / 2 + SIDE)
        free = [(at - offset, weight) for (at, weight), offset in zip(wanted, offsets, strict=True)]
        for place, at, offset in zip(row, _rising(free), offsets, strict=True):
            self.along[place] = at + offset

    def layout(self) -> Layout:
        tallest = [max(self.heights[p] for p in row) for row in self.rows]
        tops = [sum(tallest[:i]) + BETWEEN * i for i in range(len(tallest))]
        middle = [tops[layer] + tallest[layer] / 2 for layer in self.layer]
        centres = [Point(self.along[p], middle[p]) for p in range(self.count)]
        routes = []
        for path in self.paths:
            pieces = []
            for place in path:
                top, bottom = tops[self.layer[place]], tops[self.layer[place]] + tallest[self.layer[place]]
                # Beside a taller box, a line goes straight to the end of the layer before it bends.
                half = self.heights[place] / 2
                top = middle[place] + half if place == path[0] else top
                bottom = middle[place] - half if place == path[-1] else bottom
                pieces.append((Point(self.along[place], top), Point(self.along[place], bottom)))
            routes.append(pieces)
        extent = Point(
            max(self.along[p] + self.widths[p] / 2 for p in range(len(self.along))), tops[-1] + tallest[-1]
        )
        return Layout(centres, routes, extent)


def _mean(values: list[float] | list[int], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _rising(wanted: list[tuple[float, float]]) -> list[float]:
    """The rising sequence that is nearest by weighted squares: neighbours that are out of order are merged.

    >>> _rising([(1.0, 1.0), (5.0, 3.0), (3.0, 1.0), (9.0, 1.0)])
    [1.0, 4.5, 4.5, 9.0]
    """
    runs: list[tuple[float, float, int]] = []
    for value, weight in wanted:
        mean, count = value, 1
        while runs and runs[-1][0] > mean:
            before, heavier, more = runs.pop()
            mean = (before * heavier + mean * weight) / (heavier + weight)
            weight, count = weight + heavier, count + more
        runs.append((mean, weight, count))
    return [mean for mean, _, count in runs for _ in range(count)]
