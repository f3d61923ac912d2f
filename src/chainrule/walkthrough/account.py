"""The account of a graph: a part for each equation, and one for each cotangent that a rule sends back.

The backward pass is the sweep of `graph.reverse`, with a marker at every cotangent that arrives somewhere. Within the
markers a rule's own text is simplified; across them nothing is merged, so that each link of the chain stays a part.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import UnsupportedError
from chainrule.graph.emit import helpers
from chainrule.graph.emit.expressions import Text, Writer, array_text, literal_text
from chainrule.graph.ir import TAKEN, TEXTBOOK, Equation, Graph, Literal, Variable, literal, names_for
from chainrule.graph.recording import Trace, current
from chainrule.graph.reverse import Sweep
from chainrule.graph.rewriting import Builder, New
from chainrule.graph.simplification import EVERYTHING, simplified
from chainrule.graph.symbols import Symbol, detached
from chainrule.primitives import primitive
from chainrule.walkthrough.mathematics import Mathematics

LONGEST = 76
"""A longer formula is written in two parts."""

arrives = primitive("arrives(x, *, to, made, path)", forward=lambda x, to, made, path: np.asarray(x)[...])
"""A cotangent on its way to the Variable `to`, from the equation that made the Variable `made`."""


class Part(NamedTuple):
    """An equation, how it is written, and whose rule it belongs to: an equation of the forward pass, or None."""

    equation: Equation
    formula: str
    through: Equation | None


@dataclass
class Account:
    """The parts in order, the value and the text of every Variable, and the Variables given before the first part.

    `forward` are the equations of the forward pass, which need not be among the parts; `unknown` are Variables in them
    whose values were not kept.
    """

    graph: Graph
    order: int
    parts: list[Part]
    given: list[Variable]
    names: dict[Variable, str]
    texts: dict[Variable, Text]
    values: dict[Variable, Any]
    forward: list[Equation]
    unknown: frozenset[Variable] = frozenset()

    @cached_property
    def by_name(self) -> dict[str, Variable]:
        """The Variable of each name."""
        return {name: variable for variable, name in self.names.items()}

    @cached_property
    def arriving(self) -> dict[Variable, tuple[Variable, Variable]]:
        """The parts of cotangents: of which Variable each is a part, and the Variable that it comes back from."""
        markers = [e for e in self.graph.equations if e.primitive is arrives and e.output.of is None]
        return {e.output: (e.parameters["to"], e.parameters["made"]) for e in markers}

    @cached_property
    def unmarked(self) -> Graph:
        """The graph, of both passes, with plain copies in the place of the markers."""
        equations = []
        in_graph = set(self.graph.equations)
        for equation in (*(e for e in self.forward if e not in in_graph), *self.graph.equations):
            if equation.primitive is arrives:
                (x,) = equation.inputs
                x = literal(int(x.number)) if isinstance(x, Literal) and not x.shape and x.number == 1 else x
                equation = Equation(detached, (x,), {}, equation.outputs, equation.place)
            equations.append(equation)
        made = {v for e in equations for v in e.outputs}
        return self.graph.with_(
            equations=equations, constants=[c for c in self.graph.constants if c not in made]
        )

    @cached_property
    def mathematics(self) -> Mathematics:
        """The account in formulas of LaTeX."""
        return Mathematics(self.unmarked, self.names, self.arriving)

    def formula(self, number: int) -> str:
        """The equation of a part as LaTeX, by its number from 1."""
        return self.mathematics.formula(self.parts[number - 1].equation.outputs)

    @property
    def out(self) -> Variable:
        """The value of the function; where it returns several, the first."""
        return next(o for o in self.graph.outputs if isinstance(o, Variable))

    def is_backward(self, variable: Variable) -> bool:
        """Whether the backward pass made it."""
        return variable.backward == self.order

    def mentioned(self, formula: str) -> list[Variable]:
        """The Variables whose names stand in a formula, in its order."""
        found = [node for node in ast.walk(ast.parse(formula)) if isinstance(node, ast.Name)]
        names = dict.fromkeys(node.id for node in sorted(found, key=lambda node: node.col_offset))
        return [self.by_name[name] for name in names if name in self.by_name]

    @cached_property
    def finished(self) -> dict[Variable, Variable]:
        """The finished cotangent of each Variable that has one."""
        made = (v for part in self.parts for v in part.equation.outputs)
        return {v.of: v for v in made if v.of is not None and self.is_backward(v)}

    def results(self) -> list[Any]:
        """The values of what the graph returns: the value of the function, and gradients."""
        return [self.values[o] if isinstance(o, Variable) else o.value for o in self.graph.outputs]


# the backward pass -----------------------------------------------------------------------------------------


class _MarkedSweep(Sweep):
    """A reverse sweep that marks every cotangent where it arrives."""

    def __init__(self, trace: Trace, by: Collection[Variable], order: int) -> None:
        super().__init__(trace, by, order)
        self.through: list[Equation | None] = []
        self._pulled: Equation | None = None

    def pull(self, equation: Equation) -> None:
        self._pulled = equation
        super().pull(equation)

    def deposit(self, variable: Variable, cotangent: Any, untaken: Any) -> None:
        made = variable if self._pulled is None else self._pulled.outputs[0]  # the first is the seed
        marked = arrives(cotangent, to=variable, made=made, path=len(self.through))
        self.through.append(self._pulled)
        super().deposit(variable, marked, untaken)


def _with_gradients(
    graph: Graph, by: Collection[Variable], order: int
) -> tuple[Graph, list[Equation | None]]:
    """The graph that also returns the cotangents of `by`, and the equation that each marked one came through."""
    (out,) = graph.outputs
    if not isinstance(out, Variable):
        return graph, []
    trace = Trace()
    trace.equations = list(graph.equations)
    sweep = _MarkedSweep(trace, by, order)
    token = current.set(trace)
    try:
        totals = sweep.run([(out, Symbol._wrapped(np.ones(out.shape, out.dtype)))])
    finally:
        current.reset(token)
    whole = graph.with_(
        equations=trace.equations,
        constants=[*graph.constants, *trace.constants],
        result=(graph.result, [trace.atom(totals[v]) for v in by if v in totals]),
    )
    return whole, sweep.through


def _broadcast_by_itself(b: Builder, equation: Equation) -> New | None:
    """np.full((150, 3), np.reshape(s, (1, 1))) needs no reshape."""
    (x,), shape = equation.inputs, equation.output.shape
    inner = b.definition(x, "reshape", named=False)
    if inner is None or not equation.output.backward:
        return None
    source = inner.inputs[0]
    if x.shape != (1,) * (len(x.shape) - len(source.shape)) + source.shape:
        return None
    return New(equation.primitive, (source,), {"shape": shape})


RULES = EVERYTHING | {"broadcast_to": (*EVERYTHING.get("broadcast_to", ()), _broadcast_by_itself)}


def account_of(graph: Graph, by: Collection[Variable]) -> Account:
    """The account of a graph with the gradients by `by`; of its forward pass alone, where there are none."""
    through: list[Equation | None] = []
    # Where a gradient is taken inside of the function, its equations belong to the forward pass of this account.
    order = 1 + max((int(v.backward) for e in graph.equations for v in e.outputs), default=0)
    if by:
        graph, through = _with_gradients(graph, by, order)
    return _Writing(simplified(graph, RULES), through, order).account()


def account_of_sweep(graph: Graph, by: Collection[Variable], known: Collection[Variable]) -> Account:
    """The account of the backward pass alone: the forward pass gives what is `known` of it."""
    whole, through = _with_gradients(graph, by, 1)
    forward = [e for e in whole.equations if not e.outputs[0].backward]
    backward = [e for e in whole.equations if e.outputs[0].backward]
    made = [v for e in forward for v in e.outputs]
    whole = whole.with_(equations=backward, constants=[*whole.constants, *made])
    account = _Writing(simplified(whole, RULES), through, 1).account()
    mentioned = {v for part in account.parts for v in account.mentioned(part.formula)} | {*graph.outputs}
    given = [v for v in account.given if v in mentioned]
    unknown = frozenset({*graph.constants, *made} - {*known})
    if not unknown.isdisjoint(mentioned):
        names = ", ".join(account.names[v] for v in given if v in unknown)
        raise UnsupportedError(
            f"the history does not have the values of {names}; explain the function instead"
        )
    return replace(account, given=given, forward=forward, unknown=unknown)


# the text --------------------------------------------------------------------------------------------------


class _Writing:
    """A graph on its way to an account."""

    def __init__(self, graph: Graph, through: list[Equation | None], order: int) -> None:
        self.graph, self.through, self.order = graph, through, order
        self.definitions = {v: e for e in graph.equations for v in e.outputs}
        self.uses = Counter(v for e in graph.equations for v in set(e.used()))
        markers = [e for e in graph.equations if e.primitive is arrives]
        self.marked = {e.parameters["to"] for e in markers}
        self.handed_on = {e.inputs[0] for e in markers}
        self.inlined = {
            c: t for c in graph.constants if not c.hint and (t := array_text(c.value)) is not None
        }
        self.given = [*graph.inputs, *(c for c in graph.constants if c not in self.inlined)]
        self.stated = {v for v in self.definitions if self._is_stated(v)}

    def account(self) -> Account:
        while True:
            names = self._names()
            parts, texts, too_long = self._parts(names)
            if not too_long:
                forward = [e for e in self.graph.equations if e.outputs[0].backward != self.order]
                return Account(
                    self.graph, self.order, parts, self.given, names, texts, self._values(), forward
                )
            self.stated |= too_long

    def _values(self) -> dict[Variable, Any]:
        """Every value, computed as it is written here."""
        values: dict[Variable, Any] = {v: v.value for v in (*self.graph.inputs, *self.graph.constants)}
        with np.errstate(all="ignore"):
            for equation in self.graph.equations:
                made = map(np.asarray, equation.evaluate(values))
                values.update(zip(equation.outputs, made, strict=True))
        return values

    # what is a part of its own ---------------------------------------------------------------------------------

    def _is_stated(self, variable: Variable) -> bool:
        equation = self.definitions[variable]
        if len(equation.outputs) > 1 or equation.primitive is arrives or variable in self.graph.outputs:
            return True
        if variable.backward != self.order:
            # A transpose or complement of what is only given reads better inside of a formula.
            return bool(variable.hint) or not _is_short(equation) or variable in self.marked
        # What a marker hands on is known by the marker's name from then on.
        is_shared = self.uses[variable] > 1 and variable not in self.handed_on
        return variable.of is not None or (is_shared and not _is_short(equation))

    # names -----------------------------------------------------------------------------------------------------

    def _names(self) -> dict[Variable, str]:
        """The user's names, textbook letters for what has none, `d_` and a name for a cotangent; each once."""
        made = [(v, e.name) for v, e in self.definitions.items() if v in self.stated]
        values = [(v, name) for v, name in made if v.of is None and name != arrives.name]
        by_user = [(v, name) for v, name in values if v.hint or v in self.graph.outputs]
        names = names_for(self.given, by_user, self.graph, {*TAKEN, *helpers.NAMES})
        letters = {v: TEXTBOOK.get(name, "U") for v, name in values if v not in names}
        names |= _distinct(letters, names, "")
        for order in sorted({v.backward for v, _ in made}):  # a gradient inside has its own cotangent
            totals = {v: f"d_{names.get(v.of, 'x')}" for v, _ in made if v.of and v.backward == order}
            names |= _distinct(totals, names, "_")
        arriving = {
            v: self._on_the_way(v, names) for v, name in made if name == arrives.name and v.of is None
        }
        return names | _distinct(arriving, names, "_")

    def _on_the_way(self, variable: Variable, names: dict[Variable, str]) -> str:
        """What a part of a cotangent is called: `d_x_from_S`."""
        parameters = self.definitions[variable].parameters
        to, made = (names.get(parameters[p], p) for p in ("to", "made"))
        return f"d_{to}_from_{made}"

    # formulas --------------------------------------------------------------------------------------------------

    def _parts(self, names: dict[Variable, str]) -> tuple[list[Part], _Texts, set[Variable]]:
        texts = _Texts(self, names)
        parts: list[Part] = []
        too_long: set[Variable] = set()
        for equation in self.graph.equations:
            if equation.outputs[0] not in self.stated:
                continue
            through, formula = None, self._formula(equation, texts)
            if equation.primitive is arrives:
                through = self.through[equation.parameters["path"]]
            parts.append(Part(equation, formula, through))
            is_sum = equation.primitive is not arrives and equation.outputs[0].of is not None
            if len(formula) > LONGEST and not is_sum:
                too_long |= self._longest_part(equation, texts)
            texts.state(equation)
        return self._with_whose_rule(parts), texts, too_long

    def _formula(self, equation: Equation, texts: _Texts) -> str:
        if equation.primitive is not arrives:
            return texts.writer.expression(equation).text
        (cotangent,) = equation.inputs
        if isinstance(cotangent, Literal):
            return literal_text(cotangent, weak=True).text
        return texts[cotangent].text

    def _with_whose_rule(self, parts: list[Part]) -> list[Part]:
        """Backward parts between markers belong to the rule of the next marker; the sums of cotangents to none."""
        found: list[Part] = []
        through: Equation | None = None
        for part in reversed(parts):
            output = part.equation.outputs[0]
            through = part.through or through
            inside = output.of is None and part.equation.primitive is not arrives
            found.append(part._replace(through=through) if inside and output.backward == self.order else part)
        return found[::-1]

    def _longest_part(self, equation: Equation, texts: _Texts) -> set[Variable]:
        """What of a long formula can be a part of its own."""
        lengths, to_see = {}, list(equation.used())
        while to_see:
            variable = to_see.pop()
            made = self.definitions.get(variable)
            if made is None or variable in self.stated:
                continue
            to_see += made.used()
            is_all_of_it = equation.primitive is arrives and variable in equation.inputs
            if not is_all_of_it and not _is_short(made):
                lengths[variable] = len(texts[variable].text)
        fitting = [v for v, length in lengths.items() if 12 < length <= LONGEST]
        return {max(fitting, key=lambda v: lengths[v])} if fitting else set()


class _Texts(dict[Variable, Text]):
    """The text of each Variable: its name where it is stated already, otherwise how it is computed."""

    def __init__(self, writing: _Writing, names: dict[Variable, str]) -> None:
        super().__init__({c: Text(t) for c, t in writing.inlined.items()})
        self.update((v, Text(names[v])) for v in writing.given)
        self.writing, self.names, self.writer = writing, names, Writer(self)

    def __missing__(self, variable: Variable) -> Text:
        return self.writer.expression(self.writing.definitions[variable])

    def state(self, equation: Equation) -> None:
        """From here on, the results have names; what a marker hands on is known by the marker's."""
        for variable in equation.outputs:
            self[variable] = Text(self.names[variable])
        (first, *_) = equation.inputs or (None,)
        if equation.primitive is arrives and isinstance(first, Variable) and first not in self.writing.stated:
            self.setdefault(first, Text(self.names[equation.output]))


def _distinct(wanted: dict[Variable, str], taken: dict[Variable, str], joint: str) -> dict[Variable, str]:
    """The wanted names, with numbers behind those that are taken or wanted more than once."""
    used = {*TAKEN, *helpers.NAMES, *taken.values()}
    counts, numbers = Counter(wanted.values()), Counter[str]()
    names: dict[Variable, str] = {}
    for variable, name in wanted.items():
        found = name
        while found in used or (found == name and counts[name] > 1):
            numbers[name] += 1
            found = f"{name}{joint}{numbers[name]}"
        names[variable] = found
        used.add(found)
    return names


def _is_short(equation: Equation) -> bool:
    """What is as short as a name: a transpose, a complement such as 1 - H, a number at every place."""
    if equation.name in ("permute_dims", "matrix_transpose", "reshape", "broadcast_to", "negative"):
        return True
    first = equation.inputs[0] if equation.inputs else None
    return equation.name == "subtract" and isinstance(first, Literal) and not first.shape
