"""The reverse sweep over a graph with numbers, in which any rule can be replaced by a wrong one.

It is the sweep of `chainrule.backward` along the equations of a Graph, on plain arrays. What each equation passes
to its inputs is kept, so that an edit costs only the equations behind it: those whose cotangent it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from chainrule.backward import Cotangents, Node, fitted
from chainrule.graph.ir import Equation, Graph, Variable, replaced
from chainrule.namespace import NUMPY, is_floating
from chainrule.primitives import Plan, Primitive


class Standing(Variable):
    """A Variable that stands for a number of the graph: the zeros that a recurrence begins with."""

    __slots__ = ()


class Values(dict[Variable, Any]):
    """The value of every Variable of a graph at one point.

    While a sweep goes on, `arrived(variable)` is the cotangent that has arrived at a Variable.
    """

    arrived: Callable[[Variable], Any]

    def __missing__(self, variable: Variable) -> Any:
        if isinstance(variable, Standing):
            return variable.value
        raise KeyError(variable)


Contributions: TypeAlias = "list[Any]"
"""What an equation passes to each of its inputs; None where nothing."""


def values_at(graph: Graph, inputs: Mapping[Variable, Any]) -> Values:
    """The forward pass at a point: the value of every Variable."""
    values = Values({c: c.value for c in graph.constants} | dict(inputs))
    with np.errstate(all="ignore"):
        for equation in graph.equations:
            values.update(zip(equation.outputs, equation.evaluate(values), strict=True))
    return values


class Site:
    """An equation through which gradients flow, prepared to be pulled back with numbers."""

    def __init__(self, index: int, equation: Equation, active: set[Any]) -> None:
        self.index, self.equation = index, equation
        mask = sum(1 << i for i, a in enumerate(equation.inputs) if a in active)
        self.plan = equation.primitive.plan(len(equation.inputs), mask)
        several = equation.primitive.outputs
        self.node = Node(
            self.plan, (), None, None if several else equation.output.shape, None, equation.place
        )
        self.parents = [_leaf(a) if isinstance(a, Variable) else None for a in equation.inputs]
        self.positions = tuple(i for i in self.plan.needed if isinstance(equation.inputs[i], Variable))
        self.behind_selection = True

    def arrays(self, values: Values) -> list[Any]:
        """The values of the inputs."""
        return [values[a] if isinstance(a, Variable) else a.value for a in self.equation.inputs]

    def out(self, values: Values) -> Any:
        """The value of the output; a tuple for several."""
        outputs = tuple(values[v] for v in self.equation.outputs)
        return outputs if self.equation.primitive.outputs else outputs[0]

    def raw(
        self, g: Any, values: Values, *, primitive: Primitive | None = None,
        arrays: Mapping[int, Any] | None = None, out: Any = None,
    ) -> Contributions:  # fmt: skip
        """What the rules return, of another primitive or for other residuals where they are given."""
        plan = self.plan if primitive is None else self._plan_of(primitive)
        given = self.arrays(values)
        for position, array in (arrays or {}).items():
            given[position] = array
        parameters = {n: replaced(p, lambda v: values[v]) for n, p in self.equation.parameters.items()}
        kept = plan.keep(self.out(values) if out is None else out, given, parameters)
        found: Contributions = [None] * len(given)
        for position, cotangent in zip(plan.needed, plan.pull(g, NUMPY, kept), strict=True):
            found[position] = cotangent
        return found

    def _plan_of(self, primitive: Primitive) -> Plan:
        mask = sum(1 << i for i in self.plan.needed)
        return primitive.plan(len(self.equation.inputs), mask)

    def kept(self, values: Values) -> Any:
        """The residuals of the true rule."""
        parameters = {n: replaced(p, lambda v: values[v]) for n, p in self.equation.parameters.items()}
        return self.plan.keep(self.out(values), self.arrays(values), parameters)

    def fit(self, found: Contributions, g: Any) -> Contributions:
        """Cotangents in the shapes of the inputs: summed where the input was broadcast."""
        fits: Contributions = [None] * len(found)
        for position in self.positions:
            if found[position] is not None:
                fits[position] = self.fit_one(found[position], position, g)
        return fits

    def fit_one(self, cotangent: Any, position: int, g: Any) -> Any:
        """A cotangent in the shape of one input."""
        parent = self.parents[position]
        assert parent is not None
        if self.behind_selection and self.equation.primitive.elementwise:
            cotangent = _zero_stays_zero(cotangent, g)
        if getattr(cotangent, "shape", None) == parent.shape and cotangent.dtype == parent.dtype:
            return cotangent
        return fitted(cotangent, parent, self.node, g)

    def pull(self, g: Any, values: Values, **changes: Any) -> Contributions:
        """The contributions to the inputs for the cotangent `g` of the output."""
        return self.fit(self.raw(g, values, **changes), g)


def _leaf(variable: Variable) -> Node:
    return Node(None, (), None, variable.shape, variable.dtype, variable.place)


def _zero_stays_zero(cotangent: Any, g: Any) -> Any:
    """Behind a selection the derivative may be infinite where the cotangent is 0; that is not NaN."""
    if np.isfinite(cotangent).all():
        return cotangent
    return np.where(np.asarray(g) == 0, 0.0, cotangent)


Override: TypeAlias = "Callable[[Site, Any, Values], Contributions]"
"""A wrong rule: the contributions of an equation for the cotangent of its output."""

Change: TypeAlias = "Callable[[Any, Values], Any]"
"""What becomes of the finished cotangent of a Variable."""


class Edit:
    """Rules that are replaced at some equations, and finished cotangents that are changed."""

    __slots__ = ("changes", "overrides")

    def __init__(
        self,
        overrides: Mapping[int, Override] | None = None,
        changes: Mapping[Variable, Change] | None = None,
    ) -> None:
        self.overrides, self.changes = dict(overrides or {}), dict(changes or {})

    def __or__(self, other: Edit) -> Edit:
        """Both edits; where they change the same contribution or cotangent, the other one counts."""
        shared = self.overrides.keys() & other.overrides.keys()
        both = {i: _both(self.overrides[i], other.overrides[i]) for i in shared}
        return Edit(self.overrides | other.overrides | both, self.changes | other.changes)


def _both(first: Override, second: Override) -> Override:
    """Two wrong rules for one equation: that for each input which differs from the true one."""

    def override(site: Site, g: Any, values: Values) -> Contributions:
        rules = (site.pull(g, values), first(site, g, values), second(site, g, values))
        return [a if _same(b, true) else b for true, a, b in zip(*rules, strict=True)]

    return override


def _same(one: Any, other: Any) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


NOTHING = Edit()


class Flow:
    """Where gradients flow in a graph: its sites, and who contributes to the cotangent of each Variable."""

    def __init__(self, graph: Graph, by: Iterable[Variable]) -> None:
        self.graph, self.by = graph, list(by)
        active = self._active()
        (self.result,) = graph.outputs
        self.sites = self._sites_to_the_result(active)
        self.uses: dict[Variable, list[tuple[int, int]]] = {}
        for site in reversed(self.sites.values()):
            for position in site.positions:
                variable = site.equation.inputs[position]
                assert isinstance(variable, Variable)
                self.uses.setdefault(variable, []).append((site.index, position))
        selects = any(s.equation.primitive.selects for s in self.sites.values())
        for site in self.sites.values():
            site.behind_selection = selects
        self.made_at = {v: s for s in self.sites.values() for v in s.equation.outputs}
        self._below = self._parameters_below()

    def _active(self) -> set[Any]:
        """The Variables that depend on the parameters and have gradients."""
        active: set[Any] = set(self.by)
        for equation in self.graph.equations:
            if equation.primitive.differentiable and active.intersection(equation.inputs):
                active.update(v for v in equation.outputs if is_floating(v.value))
        return active

    def _sites_to_the_result(self, active: set[Any]) -> dict[int, Site]:
        needed, found = {self.result}, []
        for index, equation in reversed(list(enumerate(self.graph.equations))):
            flows = active.intersection(equation.inputs) and active.intersection(equation.outputs)
            if flows and needed.intersection(equation.outputs) and equation.primitive.differentiable:
                found.append(Site(index, equation, active))
                needed.update(a for a in equation.inputs if a in active)
        return {site.index: site for site in reversed(found)}

    def _parameters_below(self) -> dict[Variable, frozenset[Variable]]:
        """For each Variable, the parameters that its cotangent flows into."""
        below: dict[Variable, frozenset[Variable]] = {v: frozenset([v]) for v in self.by}
        for site in self.sites.values():
            parts = [below.get(a, frozenset()) for a in site.equation.inputs if isinstance(a, Variable)]
            for v in site.equation.outputs:
                below[v] = frozenset().union(*parts) | below.get(v, frozenset())
        return below

    def below(self, variable: Variable) -> frozenset[Variable]:
        """The parameters that the cotangent of a Variable flows into."""
        return self._below.get(variable, frozenset())

    def reached(self, edit: Edit) -> frozenset[Variable]:
        """The parameters whose gradient an edit can change."""
        found = [self.below(v) for v in edit.changes]
        for index in edit.overrides:
            inputs = self.sites[index].equation.inputs
            found += [self.below(a) for a in inputs if isinstance(a, Variable)]
        return frozenset().union(*found)

    def at(self, values: Values, edit: Edit = NOTHING) -> Swept:
        """The sweep at a point; the true one without an edit."""
        return Swept(self, values, edit)


class Swept:
    """One sweep at one point, the true one or that of an edit: every contribution, every finished cotangent."""

    def __init__(self, flow: Flow, values: Values, base: Edit = NOTHING) -> None:
        self.flow, self.values, self.base = flow, values, base
        self.contributions: dict[tuple[int, int], Any] = {}
        self._residuals: dict[int, Any] = {}
        self.totals: dict[Variable, Any] = {}
        self._run(NOTHING, self.contributions, self.totals, fresh=True)

    def gradients(self) -> dict[Variable, Any]:
        """The gradients of all parameters."""
        return {v: self._filled(self.totals.get(v), v) for v in self.flow.by}

    def edited(self, edit: Edit) -> dict[Variable, Any]:
        """The gradients that a further edit changes."""
        changed: dict[tuple[int, int], Any] = {}
        totals: dict[Variable, Any] = {}
        self._run(edit, changed, totals, fresh=False)
        return {v: self._filled(totals[v], v) for v in self.flow.by if v in totals}

    def _filled(self, total: Any, variable: Variable) -> Any:
        return np.zeros(variable.shape, variable.dtype) if total is None else np.asarray(total)

    def _run(
        self, edit: Edit, changed: dict[tuple[int, int], Any], totals: dict[Variable, Any], *, fresh: bool
    ) -> None:
        dirty: set[Any] = {*edit.changes, self.flow.result} if fresh else set(edit.changes)
        starts = edit.overrides.keys()
        self.values.arrived = lambda v: totals[v] if v in totals else self.totals.get(v)
        edit = self.base | edit
        with np.errstate(all="ignore"):
            for site in reversed(self.flow.sites.values()):
                if not (dirty.intersection(site.equation.outputs) or site.index in starts):
                    continue
                g = self._arrived(site, edit, changed, totals, dirty)
                if g is None:
                    found: Contributions = [None] * len(site.equation.inputs)
                elif site.index in edit.overrides:
                    found = edit.overrides[site.index](site, g, self.values)
                else:
                    found = self._pulled(site, g)
                for position in site.positions:
                    changed[site.index, position] = found[position]
                    dirty.add(site.equation.inputs[position])
            for v in self.flow.by:
                if v in dirty:
                    totals[v] = self._total(v, edit, changed)

    def _pulled(self, site: Site, g: Any) -> Contributions:
        """What the true rule gives; its residuals are the same for every edit."""
        kept = self._residuals.get(site.index)
        if kept is None:
            kept = self._residuals[site.index] = site.kept(self.values)
        found: Contributions = [None] * len(site.equation.inputs)
        for position, cotangent in zip(site.plan.needed, site.plan.pull(g, NUMPY, kept), strict=True):
            if cotangent is not None and site.parents[position] is not None:
                found[position] = site.fit_one(cotangent, position, g)
        return found

    def _arrived(
        self, site: Site, edit: Edit, changed: dict[tuple[int, int], Any], totals: dict[Variable, Any],
        dirty: set[Variable],
    ) -> Any:  # fmt: skip
        """The cotangent of a site's output; None where nothing has arrived."""
        for v in site.equation.outputs:
            totals[v] = self._total(v, edit, changed) if v in dirty else self.totals.get(v)
        arrived = [totals[v] for v in site.equation.outputs]
        if all(g is None for g in arrived):
            return None
        return Cotangents(arrived) if site.equation.primitive.outputs else arrived[0]

    def _total(self, variable: Variable, edit: Edit, changed: dict[tuple[int, int], Any]) -> Any:
        total = self._one() if variable is self.flow.result else None
        for use in self.flow.uses.get(variable, ()):
            part = changed[use] if use in changed else self.contributions.get(use)
            if part is not None:
                total = part if total is None else total + part
        change = edit.changes.get(variable)
        return total if change is None or total is None else change(total, self.values)

    def _one(self) -> Any:
        return np.ones(self.flow.result.shape, self.flow.result.dtype)
