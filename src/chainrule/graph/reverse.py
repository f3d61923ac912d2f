"""The backward pass of a graph, traced by the rules of its primitives.

The equations are gone through in reverse order; a rule is given Symbols, and what it does is recorded behind the
equations of the forward pass. It is the sweep of `chainrule.backward`, along equations instead of Nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.backward import Cotangents, Node, fitted
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable, replaced
from chainrule.graph.symbols import Symbol, Trace, current
from chainrule.modes import RECORD, switched
from chainrule.namespace import is_floating
from chainrule.rules.elementwise import where
from chainrule.typing import Shape

SAFE = frozenset({
    "add", "subtract", "negative", "positive", "tanh", "sigmoid", "relu", "softplus", "atan", "erf", "abs", "sign",
    "maximum", "minimum", "where", "limit", "detached",
})  # fmt: skip
"""Elementwise primitives whose derivative is finite everywhere, at ±inf too: zero stays zero behind a selection."""


def with_gradients(graph: Graph, by: Collection[Variable]) -> tuple[Graph, dict[Variable, Atom]]:
    """The graph with the backward pass of its scalar result behind it, and the cotangents of the inputs `by`.

    An input that the result does not depend on has the cotangent 0.
    """
    sweep = _Sweep(graph, by)
    (out,) = graph.outputs
    if isinstance(out, Variable):
        sweep.run(out)
    made = sweep.trace
    whole = graph.with_(equations=made.equations, constants=[*graph.constants, *made.constants])
    zeros = {v: Literal(0, v.shape, v.dtype) for v in by}
    return whole, zeros | {v: sweep.atom(g) for v, g in sweep.totals.items() if v in zeros}


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


class _Sweep:
    """One reverse sweep over a graph."""

    def __init__(self, graph: Graph, by: Collection[Variable]) -> None:
        self.graph = graph
        self.trace = Trace()
        self.trace.backward = True
        self.trace.equations = list(graph.equations)
        self.active = _active(graph, by)
        self.totals: dict[Variable, Any] = {}
        self.untaken: dict[Variable, Any] = {}
        self.symbols: dict[Variable, Symbol] = {}

    def run(self, out: Variable) -> None:
        token = current.set(self.trace)
        try:
            with switched(on=RECORD), np.errstate(all="ignore"):
                for variable in (*self.graph.inputs, *self.graph.constants):
                    self.symbols[variable] = self.trace.symbol(variable)
                for equation in self.graph.equations:
                    for variable in equation.outputs:
                        self.symbols[variable] = self.trace.symbol(variable)
                self.totals[out] = Symbol._wrapped(np.ones(out.shape, out.dtype))
                for equation in reversed(self.graph.equations):
                    self._pull(equation)
                for variable in self.graph.inputs:
                    self._name(variable)
        finally:
            current.reset(token)

    def atom(self, g: Symbol) -> Atom:
        return self.trace.atom(g)

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
        return self.symbols[atom] if isinstance(atom, Variable) else atom.value

    def _pull(self, equation: Equation) -> None:
        arrived = [self.totals.get(v) for v in equation.outputs]
        if all(g is None for g in arrived):
            return
        for variable in equation.outputs:
            self._name(variable)
        primitive = equation.primitive
        mask = sum(1 << i for i, a in enumerate(equation.inputs) if a in self.active)
        if not mask or not primitive.differentiable:
            return
        plan = primitive.plan(len(equation.inputs), mask)
        several = primitive.outputs
        results = tuple(self.symbols[v] for v in equation.outputs)
        parameters = {n: replaced(p, self._array) for n, p in equation.parameters.items()}
        kept = plan.keep(
            results if several else results[0], tuple(self._symbol(a) for a in equation.inputs), parameters
        )
        g: Any = Cotangents(arrived) if several else arrived[0]
        found = plan.pull(g, NAMESPACE, kept)
        parents = [equation.inputs[i] for i in plan.needed]
        untaken = None if several else self.untaken.get(equation.output)
        if untaken is not None and primitive.elementwise and primitive.name not in SAFE:
            found = tuple(c if c is None else where(untaken, np.zeros(()), c) for c in found)
        made_from = Node(plan, (), None, None if several else equation.output.shape, None, equation.place)
        for index, parent, cotangent in zip(plan.needed, parents, found, strict=True):
            if cotangent is not None and isinstance(parent, Variable):
                passed = self._left_out(equation, index, untaken, parent.shape)
                self._deposit(parent, fitted(cotangent, _node(parent), made_from, _first(arrived)), passed)

    def _array(self, variable: Variable) -> Any:
        """The array of an index, which the trace knows again by its identity; rules may look into it."""
        return self.symbols[variable]._data

    def _deposit(self, variable: Variable, cotangent: Any, untaken: Any) -> None:
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


def _as_far_as(mask: Any, shape: Shape) -> Any:
    """A mask for an input that was broadcast: an element is left out if all its copies are."""
    if mask.shape == shape:
        return mask
    extra = len(mask.shape) - len(shape)
    stretched = tuple(i + extra for i, n in enumerate(shape) if n != mask.shape[i + extra])
    return ops.reshape(ops.all(mask, axis=(*range(extra), *stretched)), shape=shape)


def _active(graph: Graph, by: Iterable[Variable]) -> set[Atom]:
    """The Variables that depend on those of `by` and have gradients."""
    active: set[Atom] = set(by)
    for equation in graph.equations:
        if equation.primitive.differentiable and active.intersection(equation.inputs):
            active.update(v for v in equation.outputs if is_floating(v.value))
    return active


def _node(variable: Variable) -> Node:
    return Node(None, (), None, variable.shape, variable.dtype, variable.place)


def _first(arrived: list[Any]) -> Any:
    return next(g for g in arrived if g is not None)
