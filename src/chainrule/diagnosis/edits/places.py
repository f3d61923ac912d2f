"""Mistakes in where gradients are put: the stride or the padding of a convolution forgotten."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from chainrule.diagnosis.edits.candidates import Candidate, Meaning, generator
from chainrule.diagnosis.scene import Scene
from chainrule.diagnosis.sweep import Contributions, Edit, Site, Values
from chainrule.graph.ir import Variable, replaced

Key = tuple[Any, ...]


@generator
def forgotten_stride(scene: Scene) -> Iterator[Candidate]:
    """Windows that are some places apart, whose gradients (or whose values, in another's) are taken one apart."""
    for variable, uses in scene.flow.uses.items():
        sites = [scene.flow.sites[i] for i, _ in uses if scene.equations[i].name == "getitem"]
        keys = [_key(scene, site.index) for site in sites]
        if len(sites) < 2 or not all(map(_is_window, keys)):
            continue
        close = _closer(keys)
        if close is None:
            continue
        moved = {site.index: key for site, key in zip(sites, close, strict=True)}
        name = scene.name(variable)
        put = {i: partial(_put, key=key) for i, key in moved.items()}
        says = f"the stride is forgotten: gradients of parts of {name} are put next to each other"
        yield Candidate(Edit(put), Meaning("CR131", says, 2.1), sites[0])
        yield from _read_elsewhere(scene, variable, sites, moved, name)


def _read_elsewhere(
    scene: Scene, variable: Variable, sites: list[Site], moved: dict[int, Key], name: str
) -> Iterator[Candidate]:
    """The operations on the windows, with the windows that are one apart in their gradients."""
    overrides: dict[int, Any] = {}
    for site in sites:
        window = site.equation.output
        for index, _ in scene.flow.uses.get(window, ()):
            if index in scene.flow.sites:
                overrides[index] = partial(_read, window=window, source=variable, key=moved[site.index])
    if overrides:
        says = f"the stride is forgotten: the parts of {name} that are taken are next to each other"
        first = scene.flow.sites[min(overrides)]
        yield Candidate(Edit(overrides), Meaning("CR131", says, 2.2), first)


@generator
def forgotten_padding(scene: Scene) -> Iterator[Candidate]:
    """A padded array of whose gradient the wrong part is taken: the first rows and columns, or the last."""
    for group in scene.each_group():
        for site in scene.sites(group):
            if site.equation.name != "scatter_add" or not _is_window(key := _key(scene, site.index)):
                continue
            shape = site.equation.output.shape
            for first in (True, False):
                part = tuple(_edge(k, n, first) for k, n in zip(key, shape, strict=False))
                if part == key:
                    continue
                word = "first" if first else "last"
                says = f"the padding is forgotten: the {word} part of the padded gradient is taken, not the middle"
                edit = Edit({site.index: partial(_taken, key=part)})
                yield Candidate(edit, Meaning("CR131", says, 2.1), site)


# what is done instead --------------------------------------------------------------------------------------------


def _put(at: Site, g: Any, values: Values, key: Key) -> Contributions:
    out = np.zeros(np.shape(at.arrays(values)[0]))
    out[key] = g
    return [out]


def _read(at: Site, g: Any, values: Values, window: Variable, source: Variable, key: Key) -> Contributions:
    return at.pull(g, ChainMap({window: values[source][key]}, values))  # type: ignore[arg-type]


def _taken(at: Site, g: Any, values: Values, key: Key) -> Contributions:
    return [g[key]]


# windows ---------------------------------------------------------------------------------------------------------


def _key(scene: Scene, index: int) -> Key:
    key = replaced(scene.equations[index].parameters["key"], lambda v: scene.values[v])
    return key if isinstance(key, tuple) else (key,)


def _is_window(key: Key) -> bool:
    """Whether an index is made of plain slices."""
    return all(isinstance(part, slice) and part.step in (None, 1) for part in key)


def _closer(keys: list[Key]) -> list[Key] | None:
    """The windows moved together by the stride that they have along some axes; None where they have none."""
    starts = np.array([[part.start or 0 for part in key] for key in keys])
    strides = [int(np.gcd.reduce(column)) for column in starts.T]
    if max(strides, default=0) < 2:
        return None

    def moved(part: slice, stride: int) -> slice:
        if stride < 2 or part.stop is None:
            return part
        start = part.start or 0
        return slice(start // stride, part.stop - start + start // stride)

    return [tuple(moved(part, stride) for part, stride in zip(key, strides, strict=True)) for key in keys]


def _edge(part: slice, length: int, first: bool) -> slice:
    """The slice of the same length at an end of its axis."""
    start, stop, _ = part.indices(length)
    return slice(0, stop - start) if first else slice(length - (stop - start), length)
