"""Rewriting a graph: its equations are built again, each through the rules for its primitive.

What is rebuilt is written once only: an equation equal to an earlier one becomes that one, and what nothing needs
is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable, replaced
from chainrule.primitives import Primitive
from chainrule.trees import leaves, mapped


class New(NamedTuple):
    """What a rule puts in the place of an equation: another one, for the same output."""

    primitive: Primitive
    inputs: tuple[Atom, ...]
    parameters: dict[str, Any]


Rule: TypeAlias = "Callable[[Builder, Equation], Atom | New | None]"
"""From an equation to what replaces it: a value that exists, another equation, or None for no change."""

Rules: TypeAlias = Mapping[str, Iterable[Rule]]
"""The rules by the name of the primitive; those under "" are tried for every one."""


REREAD: ContextVar[frozenset[int]] = ContextVar("reread", default=frozenset())
"""The arrays, by id, that the graph's code reads at each call: no rule may decide by what is in them now."""


class Builder:
    """A graph under construction."""

    def __init__(self, rules: Rules, graph: Graph | None = None) -> None:
        self.rules = rules
        self.uses = Counter[Atom](v for e in graph.equations for v in e.used()) if graph else Counter[Atom]()
        self.given = frozenset(graph.constants if graph else ())
        self.equations: list[Equation] = []
        self.constants: list[Variable] = []
        self.definitions: dict[Variable, Equation] = {}
        self.known: dict[Variable, Atom] = {}
        self.finite: dict[Variable, bool] = {}  # what simplification knows of them
        self._seen: dict[Any, tuple[Variable, ...]] = {}

    # what rules ask --------------------------------------------------------------------------------------------

    def is_constant(self, atom: Any) -> bool:
        """Whether a value is an array that the function found, and nobody changes or differentiates by."""
        if not isinstance(atom, Variable) or atom.is_parameter or _is_reread(atom.value):
            return False
        return atom in self.given or atom in self.constants

    def definition(self, atom: Atom, *names: str, named: bool = True) -> Equation | None:
        """The equation of one of the given primitives that made `atom`; with named=False, not of a user's name."""
        equation = self.definitions.get(atom) if isinstance(atom, Variable) else None
        if equation is None or (names and equation.name not in names) or len(equation.outputs) != 1:
            return None
        return None if not named and equation.output.named else equation

    def rewritable(self, atom: Atom, *names: str) -> Equation | None:
        """How an unnamed value of the backward pass was made: it may be written differently."""
        found = self.definition(atom, *names, named=False)
        return found if found is not None and found.output.backward else None

    def existing(
        self, primitive: Primitive, inputs: tuple[Atom, ...], parameters: dict[str, Any]
    ) -> Atom | None:
        """What an earlier equation has computed already."""
        found = self._seen.get(key_of(Equation(primitive, inputs, primitive.defaults | parameters, ())))
        return None if found is None else found[0]

    def make(self, primitive: Primitive, *inputs: Atom, like: Variable, **parameters: Any) -> Atom:
        """A new value, of the side (forward or backward) and the line of `like`."""
        arrays = [a.value for a in inputs]
        given = {n: replaced(p, lambda v: v.value) for n, p in (primitive.defaults | parameters).items()}
        with np.errstate(all="ignore"):
            value = np.asarray(primitive.evaluate(arrays, given))
        output = Variable(value, "", like.place, like.backward)
        return self.add(Equation(primitive, inputs, primitive.defaults | parameters, (output,), like.place))

    # building --------------------------------------------------------------------------------------------------

    def substituted(self, equation: Equation) -> Equation:
        """The equation with what its inputs have become."""
        inputs = tuple(self.known.get(a, a) if isinstance(a, Variable) else a for a in equation.inputs)
        parameters = {n: replaced(p, self._known_variable) for n, p in equation.parameters.items()}
        return Equation(equation.primitive, inputs, parameters, equation.outputs, equation.place)

    def _known_variable(self, variable: Variable) -> Any:
        found = self.known.get(variable, variable)
        return found if isinstance(found, Variable) else found.value

    def add(self, equation: Equation) -> Atom:
        """Add an equation of one output, after the rules; returns what its output has become."""
        for _ in range(50):
            found = self._ruled(equation)
            if found is None:
                break
            if not isinstance(found, New):
                return self._alias(equation.output, found)
            primitive, inputs, parameters = found
            equation = Equation(
                primitive, inputs, primitive.defaults | parameters, equation.outputs, equation.place
            )
        key = key_of(equation)
        seen = self._seen.get(key)
        if seen is not None:
            return self._alias(equation.output, seen[0])
        self._append(equation, key)
        return equation.output

    def _ruled(self, equation: Equation) -> Atom | New | None:
        for name in (equation.name, ""):
            for rule in self.rules.get(name, ()):
                found = rule(self, equation)
                if found is not None:
                    return found
        return None

    def add_several(self, equation: Equation) -> None:
        """Add an equation of several outputs."""
        if equation.name == "handed_on":
            self.known.update(zip(equation.outputs, equation.inputs, strict=True))
            return
        key = key_of(equation)
        seen = self._seen.get(key)
        if seen is not None:
            self.known.update(zip(equation.outputs, seen, strict=True))
        else:
            self._append(equation, key)

    def _append(self, equation: Equation, key: Any) -> None:
        self.equations.append(equation)
        self._seen[key] = equation.outputs
        for output in equation.outputs:
            self.definitions[output] = equation

    def _alias(self, output: Variable, found: Atom) -> Atom:
        """Let `output` be `found` from now on; a name of the user's is handed on to what has none."""
        self.known[output] = found
        if isinstance(found, Variable):
            self.uses[found] += self.uses[output] - 1
        if not isinstance(found, Variable) or found not in self.definitions:
            return found
        if output.backward and not found.backward:
            return found  # a value of the forward pass is not called by the name of a cotangent
        if output.of is not None and not found.backward:
            return found  # a value of the forward pass is not called after a cotangent that is equal to it
        if (not found.hint and found.of is None) or (output.named and not found.named):
            found.hint, found.of = output.hint, output.of
        return found


def is_zero(atom: Atom) -> bool:
    """Whether an input is the number 0."""
    return isinstance(atom, Literal) and not isinstance(atom.number, bool) and atom.number == 0


def rewritten(graph: Graph, rules: Rules, *, keep_dead: bool = False) -> Graph:
    """The graph after one pass of the rules, without duplicate and (unless they are kept) dead equations."""
    builder = Builder(rules, graph)
    for equation in graph.equations:
        equation = builder.substituted(equation)
        if equation.primitive.outputs:
            builder.add_several(equation)
        else:
            builder.add(equation)
    result = mapped(
        lambda leaf: builder.known.get(leaf, leaf) if isinstance(leaf, Variable) else leaf, graph.result
    )
    for variable in builder.definitions:
        if variable.of is not None and isinstance(builder.known.get(variable.of), Variable):
            variable.of = builder.known[variable.of]  # type: ignore[assignment]
    constants = [*graph.constants, *builder.constants]
    graph = graph.with_(equations=builder.equations, constants=constants, result=result)
    return graph if keep_dead else without_dead(graph)


def without_dead(graph: Graph) -> Graph:
    """The graph without equations and constants that the result does not need."""
    needed = {leaf for _, leaf in leaves(graph.result) if isinstance(leaf, Variable)}
    kept = []
    for equation in reversed(graph.equations):
        if needed.intersection(equation.outputs):
            kept.append(equation)
            needed.update(equation.used())
    constants = [c for c in dict.fromkeys(graph.constants) if c in needed]
    return graph.with_(equations=kept[::-1], constants=constants)


def key_of(equation: Equation) -> Any:
    """What two equations that compute the same have in common."""
    parameters = tuple((n, _key_of(p)) for n, p in sorted(equation.parameters.items()))
    return equation.primitive.text, tuple(_key_of(a) for a in equation.inputs), parameters


def _key_of(value: Any) -> Any:
    if isinstance(value, Literal):
        return value.key
    if isinstance(value, Variable) or callable(value) or isinstance(value, np.ndarray):
        return id(value)
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, *(_key_of(part) for part in value))
    return repr(value)


def _is_reread(array: Any) -> bool:
    """Whether an array, or one that it is a view of, is among those that are read at each call."""
    arrays = REREAD.get()
    while arrays and isinstance(array, np.ndarray):
        if id(array) in arrays:
            return True
        array = array.base
    return False
