"""The graph as the search for a mistake sees it: sites by source line, series of values, names, constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis.constants import Constants
from chainrule.diagnosis.sweep import Flow, Site, Standing, Swept, Values
from chainrule.diagnosis.wording import spelled
from chainrule.graph.ir import Equation, Literal, Variable, all_names
from chainrule.lines import described_place

Series = tuple[Variable, ...]
"""One Variable for each time that a line was run."""


class Group(NamedTuple):
    """The equations that one operation of the user's source became: one for each time it was run."""

    equations: tuple[int, ...]
    whole: bool = True

    def __len__(self) -> int:
        return len(self.equations)


def _by_order(group: Group, runs: list[int]) -> Iterator[Group]:
    """The parts of a group that is run several times in each of the runs of a loop: first, second, ..."""
    for count in runs:
        times, rest = divmod(len(group), count)
        if rest == 0 and 2 <= times <= 8:
            yield from (Group(group.equations[k::times]) for k in range(times))


class Scene:
    """A traced loss at one point, with all that the generators of edits ask about it."""

    def __init__(self, flow: Flow, values: Values, claims: Mapping[Variable, Any]) -> None:
        self.flow, self.values, self.claims = flow, values, claims
        self.graph = flow.graph
        self.singly = False
        self.swept: Swept = flow.at(values)
        self.names = all_names(self.graph)
        self.constants = Constants(self.graph, flow.by, self.names)
        self.parameters = frozenset(flow.by)
        self.equations = self.graph.equations
        self.made_by: dict[Variable, Equation] = {v: e for e in self.equations for v in e.outputs}
        self._all_groups = self._grouped()
        self.groups = [g for g in self._all_groups if any(i in flow.sites for i in g.equations)]
        self.from_parameters_only = self._from_parameters_only()
        self._truths: dict[int, tuple[Values, dict[Variable, Any]]] = {}
        self.regularising = self._regularising()
        self._claims: dict[int, Mapping[Variable, Any]] = {}
        self._pools: dict[int, list[Series]] = {}
        self._standing: dict[Any, Standing] = {}
        self.loops = frozenset(i for g in self._all_groups if len(g) > 1 for i in g.equations)

    def _grouped(self) -> list[Group]:
        found: dict[Any, list[int]] = {}
        for index, equation in enumerate(self.equations):
            key = (index,) if equation.place is None else (*equation.place, equation.name)
            found.setdefault(key, []).append(index)
        groups = [Group(tuple(indices)) for indices in found.values()]
        runs = Counter(len(g) for g in groups if len(g) > 1).most_common(3)
        split = [p for g in groups for p in (g, *self._by_name(g), *_by_order(g, [n for n, _ in runs]))]
        return list({g.equations: g for g in split}.values())

    def _by_name(self, group: Group) -> Iterator[Group]:
        """The parts of a group whose results have one name: a function that is called for several values."""
        found: dict[str, list[int]] = {}
        for index in group.equations:
            found.setdefault(self.equations[index].outputs[0].hint, []).append(index)
        if len(found) > 1:
            yield from (
                Group(tuple(indices)) for name, indices in found.items() if name and len(indices) < len(group)
            )

    def each_group(self) -> Iterator[Group]:
        """The groups of sites; or, where a line was run several times, each run alone."""
        if not self.singly:
            yield from self.groups
            return
        for group in self.groups:
            if len(group) > 1:
                yield from (Group((i,), whole=False) for i in group.equations if i in self.flow.sites)

    def sites(self, group: Group) -> list[Site]:
        """The sites of a group."""
        return [self.flow.sites[i] for i in group.equations if i in self.flow.sites]

    def leading(self, group: Group) -> Site:
        """The site that stands for a group: one in which gradients flow into as many inputs as in any."""
        return max(self.sites(group), key=lambda s: len(s.positions))

    def aligned(self, group: Group, sites: list[Site]) -> Iterator[Series]:
        """The series that run along with a group, at the given sites of it."""
        places = [group.equations.index(s.index) for s in sites]
        for series in self.pool(len(group)):
            yield tuple(series[i] for i in places)

    def _from_parameters_only(self) -> frozenset[Variable]:
        """What is computed from parameters without data: that is what a regulariser is made of."""
        found: set[Variable] = set(self.parameters)
        for equation in self.equations:
            used = list(equation.used())
            if used and all(v in found for v in used):
                found.update(equation.outputs)
        return frozenset(found)

    def claims_at(self, values: Values) -> Mapping[Variable, Any]:
        """What is claimed at a point."""
        return self._claims.get(id(values), self.claims)

    def also_at(self, values: Values, claims: Mapping[Variable, Any]) -> None:
        """Let the claims at another point be known."""
        self._claims[id(values)] = claims

    def truth(self, values: Values) -> dict[Variable, Any]:
        """The true gradients at a point."""
        if id(values) not in self._truths:
            self._truths[id(values)] = (values, self.flow.at(values).gradients())
        return self._truths[id(values)][1]

    def _regularising(self) -> frozenset[Variable]:
        """The values of the loss's part that is made of parameters alone, up to the number that is added."""
        if not self.from_parameters_only.isdisjoint([self.flow.result]):
            return frozenset()
        found: set[Variable] = set()
        for variable in reversed(self.flow.made_at):
            if variable in self.from_parameters_only:
                users = {
                    v
                    for i, _ in self.flow.uses.get(variable, ())
                    for v in self.flow.sites[i].equation.outputs
                }
                inside = users & self.from_parameters_only
                if inside <= found and (inside or variable.shape == ()):
                    found.add(variable)
        return frozenset(found)

    # values that a person may have written in the place of another ---------------------------------------------

    def pool(self, count: int) -> list[Series]:
        """The series of `count` values: outputs and inputs of lines that were run so often, and what stays the same."""
        known = self._pools.get(count)
        if known is None:
            known = self._pools[count] = list(dict.fromkeys(self._series(count)))
        return known

    def _series(self, count: int) -> Iterator[Series]:
        if count == 1:
            yield from ((v,) for v in (*self.graph.inputs, *self.graph.constants) if _usable(v))
            yield from ((v,) for v in self.made_by if _usable(v) and self._at_hand(v))
            return
        for variable in (*self.graph.inputs, *self.graph.constants):
            if _usable(variable):
                yield (variable,) * count
        for group in self._all_groups:
            if len(group) != count:
                continue
            made = [self.equations[i] for i in group.equations]
            if len(made[0].outputs) == 1 and all(self._at_hand(e.output) for e in made):
                yield tuple(e.output for e in made)
            for position_ in range(len(made[0].inputs)):
                atoms = [e.inputs[position_] for e in made if position_ < len(e.inputs)]
                if len(atoms) == count and any(isinstance(a, Variable) for a in atoms):
                    yield tuple(a if isinstance(a, Variable) else self._standing_for(a) for a in atoms)

    def _standing_for(self, literal: Literal) -> Variable:
        return self._standing.setdefault(literal.key, Standing(np.asarray(literal.value)))

    def _at_hand(self, variable: Variable) -> bool:
        """Whether a person has a value to write: not what is inside of a function that was spelt out."""
        return (
            bool(variable.hint) or variable in self.flow.made_at or not self.depends_on_parameters(variable)
        )

    # words -----------------------------------------------------------------------------------------------------

    def name(self, atom: Any) -> str:
        """What the user calls a value."""
        if isinstance(atom, Variable):
            return self._words.get(atom, "an intermediate value")
        return str(atom.number) if isinstance(atom, Literal) else str(atom)

    @cached_property
    def _words(self) -> dict[Variable, str]:
        return spelled(self.graph, self.names)

    def series_name(self, series: Series) -> str:
        """What a series is called: the one name, or the user's name for all of them."""
        hints = {v.hint for v in series}
        return (
            self.name(series[-1])
            if len(set(series)) == 1 or len(hints) > 1 or not series[0].hint
            else series[0].hint
        )

    def line(self, site: Site | None) -> str | None:
        """The user's line of a site."""
        return None if site is None or site.equation.place is None else described_place(site.equation.place)

    # what values are -------------------------------------------------------------------------------------------

    def is_mask(self, variable: Variable) -> bool:
        """Whether a value looks like a dropout mask: data of zeros and one other number, one for each element."""
        if variable in self.parameters or variable.dtype.kind not in "fb" or variable.value.size < 2:
            return False
        if self.depends_on_parameters(variable):
            return False
        found = np.unique(self.values[variable])
        return len(found) == 2 and found[0] == 0 and not _is_one_hot(self.values[variable])

    def depends_on_parameters(self, variable: Variable) -> bool:
        """Whether any parameter flows into a value, with or without a gradient."""
        pending, seen = [variable], set()
        while pending:
            each = pending.pop()
            if each in self.parameters:
                return True
            if each not in seen and each in self.made_by:
                seen.add(each)
                pending.extend(self.made_by[each].used())
        return False


def _usable(variable: Variable) -> bool:
    return variable.dtype.kind in "fb"


def _is_one_hot(array: Any) -> bool:
    return array.ndim == 2 and bool((np.sum(array != 0, axis=-1) == 1).all())
