"""Mistakes in how contributions are added up: paths left out, signs and constant factors, runs of a loop."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis.edits.candidates import (
    Candidate,
    Family,
    Meaning,
    generator,
    later,
)
from chainrule.diagnosis.scene import Group, Scene
from chainrule.diagnosis.sweep import Contributions, Edit, Site, Values
from chainrule.graph.ir import Variable, replaced
from chainrule.rules.reduce import count_over


class Location(NamedTuple):
    """A place in the sweep whose cotangent may be lost, negated or scaled."""

    scaled: Family
    site: Site | None
    position: int | None
    variable: Variable
    group: Group | None


def _passed_on(site: Site, g: Any, values: Values, position: int, factor: float) -> Contributions:
    """The true contributions, of which one is scaled."""
    found, inputs = site.pull(g, values), site.equation.inputs
    for place in site.positions:
        if inputs[place] is inputs[position]:  # x * x
            found[place] = None if factor == 0 or found[place] is None else found[place] * factor
    return found


def scaled_sites(sites: list[Site], position: int, factor: float) -> Edit:
    """What some sites pass to one input, scaled."""
    return Edit({s.index: partial(_passed_on, position=position, factor=factor) for s in sites})


def _scaled_total(variable: Variable, factor: float) -> Edit:
    return Edit(changes={variable: lambda g, values: g * factor})


def locations(scene: Scene) -> Iterator[Location]:
    """Finished gradients, sums of paths, and what an equation passes to one of several inputs."""
    for parameter in scene.flow.by:
        yield Location(partial(_scaled_total, parameter), None, None, parameter, None)
    for group in scene.each_group():
        sites = scene.sites(group)
        for position in sorted({p for s in sites for p in s.positions}):
            some = [s for s in sites if position in s.positions]
            masked = any(isinstance(a, Variable) and scene.is_mask(a) for a in some[0].equation.inputs)
            if not masked and all(len(s.positions) == 1 and _one_use(scene, s) for s in some):
                continue  # the same as at its output
            passed_to = some[0].equation.inputs[position]
            assert isinstance(passed_to, Variable)
            if passed_to in some[0].equation.inputs[:position]:
                continue  # x * x
            yield Location(partial(scaled_sites, some, position), some[0], position, passed_to, group)
            inner = [s for s in some if s.equation.inputs[position] not in scene.parameters]
            if 0 < len(inner) < len(some):  # a recurrence that begins with a parameter
                made = inner[0].equation.inputs[position]
                assert isinstance(made, Variable)
                yield Location(partial(scaled_sites, inner, position), inner[0], position, made, group)
    if scene.singly:
        return
    yield from _totals_of_loops(scene)
    shared = [v for v, uses in scene.flow.uses.items() if len(uses) > 1 and v not in scene.parameters]
    for variable in [v for v in (scene.flow.result, *shared) if isinstance(v, Variable)]:
        yield Location(
            partial(_scaled_total, variable), scene.flow.made_at.get(variable), None, variable, None
        )


def _totals_of_loops(scene: Scene) -> Iterator[Location]:
    """The finished cotangents of what a line of a loop makes, where several paths meet in them."""
    for group in scene.groups:
        made = [s.equation.output for s in scene.sites(group) if not s.equation.primitive.outputs]
        if len(made) > 1 and any(len(scene.flow.uses.get(v, ())) > 1 for v in made):
            yield Location(partial(_scaled_totals, made), scene.leading(group), None, made[-1], group)


def _scaled_totals(variables: list[Variable], factor: float) -> Edit:
    return Edit(changes={v: lambda g, values: g * factor for v in variables})


def _one_use(scene: Scene, site: Site) -> bool:
    return all(len(scene.flow.uses.get(v, ())) == 1 for v in site.equation.outputs)


@generator
def scaled_and_dropped(scene: Scene) -> Iterator[Candidate]:
    """Missing paths, wrong signs and constant factors, all places at once by solving for the factor."""
    for location in locations(scene):
        judge = partial(_judged_factor, scene, location)
        yield Candidate(None, None, location.site, location.scaled, judge)
        if (
            location.group is not None and len(location.group) > 1
        ):  # along a recurrence it is not linear in the factor
            for factor in (
                0.0,
                -1.0,
                2.0,
                0.5,
                *(f for c in scene.constants.base for f in (c.value, 1 / c.value)),
            ):
                yield Candidate(location.scaled(factor), judge(factor), location.site)


def _judged_factor(scene: Scene, location: Location, factor: float) -> Meaning | None:
    rank = 0.0 if location.group is None else 1.0 + later(location.group)
    if abs(factor - 1) <= 1e-9:
        return None
    if abs(factor) <= 1e-9:
        return _dropped_meaning(scene, location, rank)
    if abs(factor + 1) <= 1e-9:
        return Meaning("CR107", f"the sign is wrong {_at(scene, location)}", rank)
    constant = scene.constants.recognised(factor)
    if constant is None:
        return _mask_factor(scene, location, factor)
    return _constant_meaning(scene, location, factor, constant.words, constant.counts_rows, rank)


def _at(scene: Scene, location: Location) -> str:
    name = scene.name(location.variable)
    if location.position is None:
        return f"in the gradient of {name}"
    assert location.site is not None
    return f"in what {scene.name(location.site.equation.outputs[0])} passes back to {name}"


def _constant_meaning(
    scene: Scene, location: Location, factor: float, words: str, rows: bool, rank: float
) -> Meaning:
    if _is_regulariser(scene, location):
        return Meaning(
            "CR126", f"the regulariser of {_below(scene, location)} has a factor {words} too much", rank
        )
    masked = _mask_factor(scene, location, factor)
    if masked is not None:
        return masked
    alone = location.position is None and location.variable in scene.parameters and len(scene.parameters) > 1
    where = _at(scene, location)
    mean = next(
        (s for s in scene.flow.sites.values() if _is_mean_of(scene, s, location.variable, factor)), None
    )
    if mean is not None:
        out = scene.name(mean.equation.output)
        return Meaning("CR108", f"the division by {factor:.6g} of the mean {out} is missing", rank)
    if alone and rows and abs(factor) < 1:
        name = scene.name(location.variable)
        return Meaning(
            "CR115", f"the gradient of {name} is averaged where the others are summed: a factor {words}", rank
        )
    if alone and rows:
        return Meaning("CR115", f"the gradient of {scene.name(location.variable)} is summed where the others are "
                       f"averaged: a factor {words}", rank)  # fmt: skip
    return Meaning("CR108", f"there is a factor {words} too much {where}", rank + 0.2)


def _is_mean_of(scene: Scene, site: Site, parameter: Variable, count: float) -> bool:
    """Whether a site is a mean over so many elements, of what depends on this parameter only."""
    if site.equation.name != "mean" or scene.flow.below(site.equation.output) != {parameter}:
        return False
    shape = site.equation.inputs[0].shape
    return abs(count_over(shape, site.equation.parameters["axis"]) - count) < 1e-6


def _mask_factor(scene: Scene, location: Location, factor: float) -> Meaning | None:
    """A scale that dropout's mask has, or lacks."""
    site, position = location.site, location.position
    uses = scene.flow.uses.get(location.variable, ())
    if position is None and len(uses) == 1:
        site, position = scene.flow.sites[uses[0][0]], uses[0][1]
    if site is None or site.equation.name != "multiply" or position is None:
        return None
    other = site.equation.inputs[1 - position]
    if not isinstance(other, Variable) or not scene.is_mask(other):
        return None
    scale = float(np.max(scene.values[other]))
    if min(abs(factor * scale - 1), abs(factor - scale)) > 1e-7:
        return None
    return Meaning(
        "CR122", f"dropout's mask {scene.name(other)} is scaled wrongly: a factor {factor:.6g} too much", 0.1
    )


def _below(scene: Scene, location: Location) -> str:
    """The parameters that a location passes gradients to."""
    below = scene.flow.below(location.variable)
    return " and ".join(scene.name(v) for v in scene.flow.by if v in below)


def _is_regulariser(scene: Scene, location: Location) -> bool:
    """Whether a location is in a part of the loss that is made of parameters alone."""
    if location.site is None or location.position is None:
        return False
    inside = all(v in scene.regularising for v in location.site.equation.outputs)
    return inside or location.variable in scene.regularising


_STATISTICS = frozenset({"mean", "var", "std", "sum", "standardized"})


def _dropped_meaning(scene: Scene, location: Location, rank: float) -> Meaning | None:
    name, site = scene.name(location.variable), location.site
    if site is None or location.position is None:
        if location.variable in scene.parameters:
            return Meaning("CR116", f"the gradient of {name} is zero: no path to it is followed", rank + 1)
        return Meaning("CR116", f"no gradient arrives at {name}", rank + 2)
    out = scene.name(site.equation.outputs[0])
    if _is_regulariser(scene, location):
        return Meaning(
            "CR125", f"the regulariser's part is missing in the gradient of {_below(scene, location)}", rank
        )
    if site.equation.name in _STATISTICS and len(scene.flow.uses[location.variable]) > 1:
        return Meaning("CR120", f"{out} is held constant: it depends on {name}, too", rank)
    if _is_recurrent(scene, location):
        sums_losses = site.equation.name == "add" and site.equation.output.shape == ()
        says = f"the gradient does not go back in time from {out} to {name}"
        return Meaning("CR124", says, rank + (3.0 if sums_losses else 0.0))
    return Meaning("CR116", f"the path from {out} back to {name} is missing", rank + 0.1)


def _is_recurrent(scene: Scene, location: Location) -> bool:
    """Whether a value of an earlier run of a loop is used in a later one."""
    if location.site is None or location.site.index not in scene.loops:
        return False
    made = {v for s in scene.flow.sites.values() if s.index in scene.loops for v in s.equation.outputs}
    group = next((g for g in scene.groups if location.site.index in g.equations), None)
    if group is None or location.position is None:
        return False
    inputs = [s.equation.inputs[location.position] for s in scene.sites(group)]
    varying = len(set(inputs)) > 1
    return varying and any(
        isinstance(v, Variable) and v in made and _made_before(scene, v, s)
        for v, s in zip(inputs, scene.sites(group), strict=True)
    )


def _made_before(scene: Scene, variable: Variable, site: Site) -> bool:
    """Whether a value was made in an earlier run of the loop than the one a site is in."""
    made, place = scene.flow.made_at[variable].equation.place, site.equation.place
    return made is not None and place is not None and (made[0] is not place[0] or made[1] >= place[1])


MOST_PATHS = 5
"""Where more paths meet, they are not left out several at a time."""


@generator
def several_dropped(scene: Scene) -> Iterator[Candidate]:
    """Of the paths that meet in a value, two or more are left out: in a loop, those back in time first."""
    for group in scene.each_group():
        made = [v for s in scene.sites(group) for v in s.equation.outputs]
        paths = _paths_into(scene, made)
        back = {
            k: u
            for k, u in paths.items()
            if all(_made_before(scene, v, scene.flow.sites[i]) for v, i, _ in u)
        }
        chosen = [list(back)] if len(back) > 1 else []
        if 2 < len(paths) <= MOST_PATHS:
            chosen += [list(some) for n in range(2, len(paths)) for some in combinations(paths, n)]
        for some in chosen:
            edit = Edit()
            for _, index, position in (use for key in some for use in paths[key]):
                edit = edit | scaled_sites([scene.flow.sites[index]], position, 0.0)
            name, site = scene.series_name(tuple(made)), scene.leading(group)
            if some == list(back):
                says, code = f"the gradient of {name} does not go back in time at all", "CR124"
                rank = 1.5
            else:
                ends = [scene.name(scene.flow.sites[paths[k][-1][1]].equation.outputs[0]) for k in some]
                says, code = f"the paths from {' and from '.join(ends)} back to {name} are missing", "CR116"
                rank = 1.8 + 0.2 * len(some)
            yield Candidate(edit, Meaning(code, says, rank + later(group)), site)


def _paths_into(scene: Scene, made: list[Variable]) -> dict[Any, list[tuple[Variable, int, int]]]:
    """The uses of some values, those by one line together."""
    paths: dict[Any, list[tuple[Variable, int, int]]] = {}
    for variable in made:
        for index, position in scene.flow.uses.get(variable, ()):
            equation = scene.equations[index]
            paths.setdefault((equation.place, equation.name, position), []).append(
                (variable, index, position)
            )
    return paths


@generator
def overwritten(scene: Scene) -> Iterator[Candidate]:
    """A gradient that is assigned in every run of a loop, where it must be added: one run counts."""
    for variable in scene.flow.by:
        for kept, word in ((0, "last"), (-1, "first")):
            drop, site = Edit(), None
            for uses in _repeated_uses(scene, variable):
                lost = [use for i, use in enumerate(uses) if i != kept % len(uses)]
                for index, position in lost:
                    site = scene.flow.sites[index]
                    drop |= scaled_sites([site], position, 0.0)
            if site is not None:
                name = scene.name(variable)
                says = f"of the gradients of {name}, one for each run of the loop, only the {word} one counts"
                yield Candidate(drop, Meaning("CR113", says, 2.0), site)


def _repeated_uses(scene: Scene, variable: Variable) -> Iterator[list[tuple[int, int]]]:
    """The uses of a parameter, or of a part of it, by a line that is run several times."""
    by_line: dict[Any, list[tuple[int, int]]] = {}
    for index, position in scene.flow.uses.get(variable, ()):
        equation = scene.equations[index]
        if equation.name == "getitem":
            yield from _repeated_uses(scene, equation.output)
        by_line.setdefault((equation.place, position), []).append((index, position))
    yield from (uses for uses in by_line.values() if len(uses) > 1)


@generator
def overwritten_parts(scene: Scene) -> Iterator[Candidate]:
    """Slices that overlap, whose gradients are assigned where they must be added: of each element, one stays."""
    for variable, uses in scene.flow.uses.items():
        slices = [scene.flow.sites[i] for i, _ in uses if scene.equations[i].name == "getitem"]
        if len(slices) < 2:
            continue
        for order, word in ((slices, "first"), (slices[::-1], "last")):
            taken = np.zeros(variable.shape, bool)
            overrides = {}
            for site in order:
                free = ~taken
                taken[_key(scene, site.index)] = True
                if not free.all():
                    overrides[site.index] = partial(_only_at, free)
            if any(not o.args[0][_key(scene, i)].all() for i, o in overrides.items()):
                name = scene.name(variable)
                says = f"where parts of {name} overlap, only the {word} one's gradient is kept; they must be added"
                yield Candidate(Edit(overrides), Meaning("CR130", says, 2.0), slices[0])


def _key(scene: Scene, index: int) -> Any:
    return replaced(scene.equations[index].parameters["key"], lambda v: scene.values[v])


def _only_at(free: Any, at: Site, g: Any, values: Values) -> Contributions:
    return [None if c is None else np.where(free, c, 0.0) for c in at.pull(g, values)]
