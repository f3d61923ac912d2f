"""Cotangents that are multiplied by a value once too often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis.edits.candidates import (
    Candidate,
    Meaning,
    function_name,
    generator,
    is_activation,
)
from chainrule.diagnosis.scene import Group, Scene, Series
from chainrule.diagnosis.sweep import Edit, Site, Values
from chainrule.graph.ir import Variable


class Factor(NamedTuple):
    """A value that a cotangent may have been multiplied by."""

    series: Series
    of: Callable[[int, Values], Any]
    name: str
    derivative_of: tuple[Site, ...] = ()


def factors(scene: Scene, group: Group | None, count: int) -> Iterator[Factor]:
    """Every value of the forward pass, and every activation's derivative."""
    for series in scene.pool(1) if group is None else scene.aligned(group, scene.sites(group)):
        yield Factor(series, partial(_value_of, series), scene.series_name(series))
    for other in scene.groups:
        sites = scene.sites(other)
        elementwise = sites[0].equation.primitive.elementwise or sites[0].equation.name == "softmax"
        if len(sites) == count and is_activation(sites[0]) and elementwise:

            def slope(i: int, values: Values, sites: list[Site] = sites) -> Any:
                out = sites[i].out(values)
                if sites[i].equation.name == "softmax":
                    return out * (1 - out)
                return sites[i].pull(np.ones_like(out), values)[sites[i].positions[0]]

            made = tuple(s.equation.output for s in sites)
            name = f"the derivative of the {function_name(sites[0])} at {scene.series_name(made)}"
            yield Factor(made, slope, name, tuple(sites))


def _value_of(series: Series, place: int, values: Values) -> Any:
    return values[series[place]]


def _places_of_totals(scene: Scene) -> Iterator[tuple[Series, Site | None, Group | None]]:
    for variable in scene.flow.by:
        yield (variable,), None, None
    for group in scene.each_group():
        sites = scene.sites(group)
        if not sites[0].equation.primitive.outputs:
            yield tuple(s.equation.output for s in sites), sites[0], group


@generator
def extra_factors(scene: Scene) -> Iterator[Candidate]:
    """A cotangent that is multiplied by a value of the forward pass once too often."""
    for series, site, group in _places_of_totals(scene):
        whole = group is None or group.whole
        if series == (scene.flow.result,):
            continue
        for factor in factors(scene, group, len(series)):
            if not all(_multiplies(f.shape, v) for f, v in zip(factor.series, series, strict=True)):
                continue

            def times(g: Any, values: Values, i: int = 0, factor: Factor = factor) -> Any:
                return g * factor.of(i, values)

            changes = {v: partial(times, i=i) for i, v in enumerate(series)}
            yield Candidate(Edit(changes=changes), _extra_meaning(scene, series, site, factor, whole), site)


def _multiplies(shape: Any, variable: Variable) -> bool:
    if shape == variable.shape:
        return True
    try:
        fits = np.broadcast_shapes(shape, variable.shape) == variable.shape
    except ValueError:
        return False
    return fits and shape != () and int(np.prod(shape)) > 1


def _extra_meaning(scene: Scene, series: Series, site: Site | None, factor: Factor, whole: bool) -> Meaning:
    name, rank = scene.series_name(series), 3.0 if whole else 8.0
    says = f"the gradient of {name} is the true one times {factor.name}, which is not a part of it"
    if factor.derivative_of:
        inputs = {a for s in factor.derivative_of for a in s.equation.inputs}
        near = any(v in inputs for v in series)
        if near and cancels(scene, factor.derivative_of[0]):
            return Meaning(
                "CR118",
                f"with the cross-entropy, {factor.name} cancels, and is multiplied by nevertheless",
                1.2,
            )
        says = f"{factor.name} is multiplied by once more in the gradient of {name}"
        return Meaning("CR102", says, rank - (1.0 if near else 0.2))
    if any(scene.is_mask(f) for f in factor.series):
        return Meaning(
            "CR122", f"dropout's mask {factor.name} is multiplied by in the gradient of {name}", rank
        )
    itself = site is not None and factor.series == series
    return Meaning("CR102", says, rank - (0.3 if itself else 0.0) - (0.1 if factor.series[0].hint else 0.0))


def cancels(scene: Scene, site: Site) -> bool:
    """Whether the output of an activation goes into logarithms, whose derivative cancels its own."""
    pending, seen = [site.equation.outputs[0]], set()
    while pending:
        variable = pending.pop()
        for index, _ in scene.flow.uses.get(variable, ()):
            using = scene.flow.sites[index]
            if using.equation.name in ("log", "log1p", "cross_entropy_of_logits", "cross_entropy_of_labels"):
                return True
            if index not in seen and using.equation.name in (
                "add",
                "subtract",
                "limit",
                "maximum",
                "minimum",
                "getitem",
            ):
                seen.add(index)
                pending.extend(using.equation.outputs)
    return False
