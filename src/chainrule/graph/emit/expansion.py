"""Compound primitives, written out in simpler ones by running their own forward functions on Symbols."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import numpy as np

from chainrule.graph.ir import Atom, Equation, Graph, Variable, replaced
from chainrule.graph.recording import Trace, current
from chainrule.graph.reverse import NAMESPACE
from chainrule.graph.rewriting import rewritten
from chainrule.graph.simplification import TIDY
from chainrule.graph.symbols import Symbol
from chainrule.modes import RECORD, switched
from chainrule.primitives import Primitive, names_of
from chainrule.trees import mapped

COMPOUND = frozenset({
    "softmax", "log_softmax", "logsumexp", "var", "std", "p_norm", "standardized", "mean_squared_error",
    "cross_entropy_of_logits", "cross_entropy_of_labels", "negative_log_likelihood", "linear", "affine", "logit",
    "sinc", "squared_error", "standardized_by", "standardized_with_margin", "binary_cross_entropy", "log_sigmoid",
})  # fmt: skip
"""Primitives whose forward functions are array code that says how they are made from others."""


def is_ours(primitive: Primitive) -> bool:
    """Whether a primitive is one of the engine's, which backends know by name: not a user's that is called alike.

    >>> import chainrule as cr
    >>> def moved(x):
    ...     return x + 100
    >>> moved.__module__ = "yours"
    >>> is_ours(cr.ops.square), is_ours(cr.primitive("square(x)", forward=moved, x=lambda g: g))
    (True, False)
    """
    return primitive.known_as == primitive.name


_RULES = {name: rules for name, rules in TIDY.items() if name != ""} | {"": ()}


class _Library:
    """The namespace that a forward function is given: every function of it records an equation."""

    module = None

    def own(self, name: str) -> Any:
        return getattr(NAMESPACE, name)

    __getattr__ = own


def expanded(graph: Graph, compound: Set[str] = COMPOUND) -> Graph:
    """The graph without compound primitives, duplicates and dead equations."""
    for _ in range(4):
        if not any(e.name in compound for e in graph.equations):
            break
        graph = _expanded_once(graph, compound)
    return rewritten(graph, _RULES)


def _expanded_once(graph: Graph, compound: Set[str]) -> Graph:
    trace = Trace()
    trace.backward = True
    symbols: dict[Variable, Symbol] = {}
    became: dict[Variable, Atom] = {}
    for variable in (*graph.inputs, *graph.constants, *(v for e in graph.equations for v in e.outputs)):
        symbols[variable] = trace.symbol(variable)
    token = current.set(trace)
    try:
        with switched(on=RECORD), np.errstate(all="ignore"):
            for equation in graph.equations:
                equation = _substituted(equation, became)
                if equation.name in compound:
                    became[equation.output] = _written_out(equation, trace, symbols)
                else:
                    trace.equations.append(equation)
    finally:
        current.reset(token)
    result = mapped(lambda leaf: became.get(leaf, leaf) if isinstance(leaf, Variable) else leaf, graph.result)
    return graph.with_(
        equations=trace.equations, constants=[*graph.constants, *trace.constants], result=result
    )


def _substituted(equation: Equation, became: dict[Variable, Atom]) -> Equation:
    inputs = tuple(became.get(a, a) if isinstance(a, Variable) else a for a in equation.inputs)
    parameters = {n: replaced(p, lambda v: became.get(v, v)) for n, p in equation.parameters.items()}
    return Equation(equation.primitive, inputs, parameters, equation.outputs, equation.place)


def _written_out(equation: Equation, trace: Trace, symbols: dict[Variable, Symbol]) -> Atom:
    """What the output of a compound primitive becomes, after its parts were recorded."""

    def symbol(atom: Atom) -> Any:
        if not isinstance(atom, Variable):
            return atom.value
        if atom not in symbols:
            symbols[atom] = trace.symbol(atom)
        return symbols[atom]

    forward = equation.primitive.forward
    assert forward is not None
    parameters = {n: replaced(p, symbol) for n, p in equation.parameters.items()}
    given = {"xp": _Library()} if "xp" in names_of(forward) else {}
    out = forward(*(symbol(a) for a in equation.inputs), **given, **parameters)
    atom = trace.atom(out)
    old = equation.output
    if isinstance(atom, Variable) and atom.dtype != old.dtype:
        atom = trace.atom(NAMESPACE.astype(out, dtype=old.dtype))
    return atom
