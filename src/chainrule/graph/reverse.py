"""The backward pass of a graph, traced by the rules of its primitives.

The equations are gone through in reverse order; a rule is given Symbols, and what it does is recorded behind the
equations of the forward pass. It is the sweep of `chainrule.backward`, along equations instead of Nodes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.backward import Cotangents, Node, complex_refused, fitted
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable, replaced
from chainrule.graph.recognition import recognised
from chainrule.graph.recording import Trace, current
from chainrule.graph.symbols import Symbol
from chainrule.modes import RECORD, switched
from chainrule.rules.elementwise import where
from chainrule.typing import Shape

SAFE = frozenset({
    "add", "subtract", "negative", "positive", "tanh", "sigmoid", "relu", "softplus", "atan", "erf", "abs", "sign",
    "maximum", "minimum", "where", "limit", "detached", "alias",
})  # fmt: skip
"""Elementwise primitives whose derivative is finite everywhere, at ±inf too: zero stays zero behind a selection."""


def with_gradients(graph: Graph, by: Collection[Variable]) -> tuple[Graph, dict[Variable, Atom]]:
    """The graph with the backward pass of its scalar result behind it, and the cotangents of the Variables `by`.

    A Variable that the result does not depend on has the cotangent 0.
    """
    (out,) = graph.outputs
    return swept(graph, [(out, Literal(1, out.shape, out.dtype))], by)


def swept(
    graph: Graph, seeds: Iterable[tuple[Atom, Atom]], by: Collection[Variable], order: int = 1
) -> tuple[Graph, dict[Variable, Atom]]:
    """The graph with a reverse sweep behind it, which starts from the given cotangents: pairs of a value and its own.

    Also the cotangents of the Variables `by`: 0 for one that no seed leads to. `order` says which sweep it is.
    """
    trace = Trace()
    trace.equations = list(graph.equations)
    token = current.set(trace)
    try:
        started = [(out, _seed(trace, g)) for out, g in seeds if isinstance(out, Variable)]
        totals = Sweep(trace, by, order).run(started)
    finally:
        current.reset(token)
    whole = graph.with_(equations=trace.equations, constants=[*graph.constants, *trace.constants])
    zeros: dict[Variable, Atom] = {v: Literal(0, v.shape, v.dtype) for v in by}
    return whole, zeros | {v: trace.atom(g) for v, g in totals.items()}


def _seed(trace: Trace, g: Atom) -> Symbol:
    return trace.symbol(g) if isinstance(g, Variable) else Symbol._wrapped(np.asarray(g.value))


def inner_sweep(trace: Trace, out: Symbol, seed: Any, by: Collection[Variable]) -> dict[Variable, Any]:
    """A reverse sweep inside of a function that is being traced: its equations become part of the function's."""
    _recognise(trace)
    start = trace.atom(out)
    ends = {v: trace.atom_of(v) for v in by}
    found: dict[Variable, Any] = {}
    if isinstance(start, Variable):
        found = Sweep(trace, [v for v in ends.values() if isinstance(v, Variable)], 1).run([(start, seed)])
    trace.swept = len(trace.equations)
    return {v: found[end] for v, end in ends.items() if isinstance(end, Variable) and end in found}


def _recognise(trace: Trace) -> None:
    """Let what was traced since the last sweep have its textbook form, so that its derivative has it too."""
    tail = trace.equations[trace.swept :]
    made = tuple(v for e in tail for v in e.outputs)
    found = recognised(Graph("", ((), {}), trace.constants, tail, made))
    trace.equations[trace.swept :] = found.equations
    trace.constants += [c for c in found.constants if c not in trace.constants]
    trace.replace({v: atom for v, atom in zip(made, found.result, strict=True) if atom is not v})


class _Namespace:
    """`chainrule.ops`, whose makers of arrays make Symbols."""

    def one_hot(self, labels: Any, classes: int, dtype: Any = np.float64) -> Any:
        """Rows of the identity: labels that are traced stay so."""
        return ops.getitem(Symbol._wrapped(np.eye(classes, dtype=dtype)), key=labels)

    def __getattr__(self, name: str) -> Any:
        function = getattr(ops, name)
        if name not in ("zeros", "ones", "full", "eye", "arange", "linspace", "empty"):
            return function
        maker = getattr(np, name)
        return lambda *args, **kwargs: Symbol._wrapped(maker(*args, **kwargs))


NAMESPACE = _Namespace()


class Sweep:
    """One reverse sweep over the equations of a trace."""

    def __init__(self, trace: Trace, by: Collection[Variable], order: int) -> None:
        self.trace, self.by, self.order = trace, frozenset(by), order
        self.equations = list(trace.equations)
        self.active = _active(self.equations, by)
        self.totals: dict[Variable, Any] = {}
        self.untaken: dict[Variable, Any] = {}
        self.symbols: dict[Variable, Symbol] = {}

    def run(self, seeds: Iterable[tuple[Variable, Symbol]]) -> dict[Variable, Any]:
        """The cotangents of those of `by` that a seed leads to."""
        before, self.trace.backward = self.trace.backward, self.order
        try:
            with switched(on=RECORD), np.errstate(all="ignore"):
                for out, seed in seeds:
                    self.deposit(out, seed, None)
                for equation in reversed(self.equations):
                    self.pull(equation)
                for variable in self.totals:
                    if variable in self.by:
                        self._name(variable)
        finally:
            self.trace.backward = before
        return {v: g for v, g in self.totals.items() if v in self.by}

    def _name(self, variable: Variable) -> None:
        """Let the finished cotangent of a Variable be called so; the user's name wins over a textbook one."""
        g = self.totals.get(variable)
        made = None if g is None else self.trace.atom(g)
        if (
            isinstance(made, Variable)
            and made.backward
            and (made.of is None or (not made.of.hint and variable.hint))
        ):
            made.of = variable

    def _symbol(self, atom: Atom) -> Any:
        return self._symbol_of(atom) if isinstance(atom, Variable) else atom.value

    def _symbol_of(self, variable: Variable) -> Symbol:
        if variable not in self.symbols:
            self.symbols[variable] = self.trace.symbol(variable)
        return self.symbols[variable]

    def pull(self, equation: Equation) -> None:
        """Send the cotangents of an equation's results back to its inputs."""
        arrived = [self.totals.get(v) for v in equation.outputs]
        if all(g is None for g in arrived):
            return
        for variable in equation.outputs:
            self._name(variable)
        if any(v in self.by for v in equation.outputs):
            return  # what it is made from has no part in it
        primitive = equation.primitive
        mask = sum(1 << i for i, a in enumerate(equation.inputs) if a in self.active)
        if not mask or not primitive.differentiable:
            return
        plan = primitive.plan(len(equation.inputs), mask)
        several = primitive.outputs
        made_from = Node(plan, (), None, None if several else equation.output.shape, None, equation.place)
        if not several and equation.output.dtype.kind == "c":
            raise complex_refused(made_from)
        results = tuple(self._symbol_of(v) for v in equation.outputs)
        parameters = {n: replaced(p, self._array) for n, p in equation.parameters.items()}
        kept = plan.keep(
            results if several else results[0], tuple(self._symbol(a) for a in equation.inputs), parameters
        )
        g: Any = Cotangents(arrived) if several else arrived[0]
        found = plan.pull(g, NAMESPACE, kept)
        parents = [equation.inputs[i] for i in plan.needed]
        untaken = None if several else self.untaken.get(equation.output)
        if untaken is not None and primitive.elementwise and not _keeps_zero(equation):
            found = tuple(c if c is None else where(untaken, np.zeros(()), c) for c in found)
        for index, parent, cotangent in zip(plan.needed, parents, found, strict=True):
            if cotangent is not None and isinstance(parent, Variable):
                passed = self._left_out(equation, index, untaken, parent.shape)
                self.deposit(parent, fitted(cotangent, _node(parent), made_from, _first(arrived)), passed)

    def _array(self, variable: Variable) -> Any:
        """The array of an index, which the trace knows again by its identity; rules may look into it."""
        return self._symbol_of(variable)._data

    def deposit(self, variable: Variable, cotangent: Any, untaken: Any) -> None:
        """Add a cotangent to those of a Variable; `untaken` says where a selection made it zero."""
        known = self.totals.get(variable)
        if known is None:
            self.totals[variable], self.untaken[variable] = cotangent, untaken
            return
        before = self.untaken.get(variable)
        self.totals[variable] = known + cotangent
        self.untaken[variable] = None if before is None or untaken is None else before & untaken

    def _left_out(self, equation: Equation, index: int, untaken: Any, shape: Shape) -> Any:
        """Where the cotangent of an input is zero because a selection took the other branch."""
        primitive = equation.primitive
        passed = untaken if primitive.elementwise else None
        if primitive.selects:
            condition = self._symbol(equation.inputs[0])
            left_out = condition if index == 2 else ops.logical_not(condition)
            left_out = ops.broadcast_to(left_out, shape=equation.output.shape)
            passed = left_out if passed is None else left_out | passed
        return None if passed is None else _as_far_as(passed, shape)


def _keeps_zero(equation: Equation) -> bool:
    """Whether a cotangent of 0 stays 0, whatever the inputs are."""
    if equation.name == "divide":
        divisor = equation.inputs[1]
        return isinstance(divisor, Literal) and divisor.number != 0
    if equation.name == "multiply":
        return any(isinstance(a, Literal) and math.isfinite(a.number) for a in equation.inputs)
    return equation.name in SAFE


def _as_far_as(mask: Any, shape: Shape) -> Any:
    """A mask for an input that was broadcast: an element is left out if all its copies are."""
    if mask.shape == shape:
        return mask
    extra = len(mask.shape) - len(shape)
    stretched = tuple(i + extra for i, n in enumerate(shape) if n != mask.shape[i + extra])
    return ops.reshape(ops.all(mask, axis=(*range(extra), *stretched)), shape=shape)


def _active(equations: Iterable[Equation], by: Iterable[Variable]) -> set[Atom]:
    """The Variables that depend on those of `by` and have gradients."""
    active: set[Atom] = set(by)
    for equation in equations:
        if equation.primitive.differentiable and active.intersection(equation.inputs):
            active.update(v for v in equation.outputs if v.dtype.kind in "fc")
    return active


def _node(variable: Variable) -> Node:
    return Node(None, (), None, variable.shape, variable.dtype, variable.place)


def _first(arrived: list[Any]) -> Any:
    return next(g for g in arrived if g is not None)
