r"""A derivation as formulas: the forward pass, and each derivative with the chain rule written out.

    \frac{\partial L}{\partial W_1} &= \frac{\partial L}{\partial Z} \frac{\partial Z}{\partial W_1}
                                     = X^{\top} \frac{\partial L}{\partial Z}

Between two factors, `\odot` says that the second is a derivative element by element; where nothing stands, the sum
is taken over all elements of the value that both have in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from chainrule.graph.emit.expressions import array_text
from chainrule.graph.emit.flow import differentiated_value, flowing, forward_part, is_whole, links
from chainrule.graph.emit.formula import array_formula
from chainrule.graph.emit.latex import Latex
from chainrule.graph.emit.notation import Symbol, symbols
from chainrule.graph.emit.numpy_source import stated_in
from chainrule.graph.ir import TAKEN, Equation, Graph, Variable, names_for

LONGEST = 150
"""A line of more signs, not counting commands, is continued in the next one."""
DEEPEST = 10
"""What is computed in more steps than that is not written as one formula."""
MOST_PATHS = 6
"""Of more paths, the first and the last are written."""


_ELEMENTS = {"b": r"\{0, 1\}", "i": r"\mathbb{Z}", "u": r"\mathbb{N}", "c": r"\mathbb{C}"}


class Line(NamedTuple):
    """A value, the chain rule in symbols (for a cotangent), its formula, and the space that it is in."""

    left: str
    chain: str
    formula: str
    space: str
    sweep: int


def derivation(graph: Graph) -> str:
    r"""The derivation that `derive` made the graph of, as an `align*` block of LaTeX.

    Each line is a value of the forward pass, or a derivative: first by the chain rule, then as it is computed. A
    graph without a backward pass gives the forward formulas. Products of matrices are written next to each other,
    elementwise ones with \odot; vectors are columns; indices in square brackets count from 0, as in the program.

    >>> import numpy as np, chainrule as cr
    >>> print(derivation(cr.trace(lambda x: x**2 + 4 * x, 3.0)))
    \begin{align*}
    f &= x^2 + 4 x
    \end{align*}
    """
    return f"\\begin{{align*}}\n{rows(graph)}\n\\end{{align*}}"


def displayed(graph: Graph) -> str:
    """The derivation as a notebook displays it: `align*` stands for itself, and not every reader knows it there."""
    return f"$$\n\\begin{{aligned}}\n{rows(graph)}\n\\end{{aligned}}\n$$"


def rows(graph: Graph) -> str:
    """The lines of a derivation, without what surrounds them."""
    found: list[str] = []
    before = 0
    for line in _Writing(graph).lines():
        if found:
            # More space where another pass begins.
            found[-1] += r" \\" if line.sweep == before else r" \\[1.5ex]"
        found += _written(line)
        before = line.sweep
    return "\n".join(found)


def _written(line: Line) -> list[str]:
    space = rf" && \in {line.space}" if line.space else ""
    if not line.chain:
        return [f"{line.left} &= {line.formula}{space}"]
    if _signs(line.chain) + _signs(line.formula) <= LONGEST:
        return [f"{line.left} &= {line.chain} = {line.formula}{space}"]
    return [rf"{line.left} &= {line.chain} \\", f"&= {line.formula}{space}"]


def _signs(formula: str) -> int:
    return len(re.sub(r"\\[a-zA-Z]+|[{}_^\s]", "", formula))


class _Writing:
    """One graph on its way to formulas."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.definitions = {v: e for e in graph.equations for v in e.outputs}
        self.stated = _not_too_deep(graph, stated_in(graph))
        inlined = {c: array_formula(c.value) for c in graph.constants if not c.hint and array_text(c.value)}
        self.given = [c for c in graph.constants if c not in inlined]
        made = [(v, e.name) for e in graph.equations for v in e.outputs if v in self.stated]
        names = names_for([*graph.inputs, *self.given], made, graph, TAKEN)
        self.symbols: dict[Variable, Symbol] = symbols(graph, names)
        self.formulas = Latex(self.symbols, self.definitions, inlined)
        self.chains = _Chains(graph, self.stated, self.symbols)

    def lines(self) -> Iterator[Line]:
        for equation in self.graph.equations:
            if equation.outputs[0] not in self.stated:
                continue
            outputs = equation.outputs
            left = ", ".join(str(self.symbols[v]) for v in outputs)
            formula = self.formulas.expression(equation).text
            sweep = int(outputs[0].backward)
            chain = self.chains.of(outputs[0]) if sweep == 1 else ""
            space = "" if sweep else r" \times ".join(dict.fromkeys(filter(None, map(_space, outputs))))
            yield Line(left, chain, formula, space, sweep)


def _not_too_deep(graph: Graph, stated: set[Variable]) -> set[Variable]:
    """The values with lines of their own, more of them where a formula would nest too deep."""
    depths: dict[Variable, int] = {}
    found = set(stated)
    for equation in graph.equations:
        depth = 1 + max((depths.get(v, 0) for v in equation.used()), default=0)
        if depth > DEEPEST:
            found.update(equation.outputs)
        for v in equation.outputs:
            depths[v] = 0 if v in found else depth
    # A derivative by a value is written with its name.
    return found | {v.of for v in found if v.of is not None and v.of in depths}


def _space(variable: Variable) -> str:
    """The set that an array is in; nothing for a number."""
    if not variable.shape:
        return ""
    elements = _ELEMENTS.get(np.dtype(variable.dtype).kind, r"\mathbb{R}")
    sizes = r" \times ".join(map(str, variable.shape))
    return f"{elements}^{{{sizes}}}"


# the chain rule ----------------------------------------------------------------------------------------------


class _Step(NamedTuple):
    """A value with a line of its own that another is used for.

    It is so element by element, or not; and as a whole, where one rule has all that happens between the two, though
    other values on the way have lines too: those of a normalisation.
    """

    to: Variable
    elementwise: bool
    whole: bool


class _Chains:
    """The chain rule along the lines of a forward pass."""

    def __init__(self, graph: Graph, stated: set[Variable], named: dict[Variable, Symbol]) -> None:
        self.stated, self.named = stated, named
        self.out = differentiated_value(graph)
        self.flowing = flowing(graph)
        self.known = {v.of for v in stated if v.of is not None}
        self.users: dict[Variable, list[Equation]] = {}
        for equation in forward_part(graph):
            for v in dict.fromkeys(links(equation)):
                self.users.setdefault(v, []).append(equation)

    def of(self, cotangent: Variable) -> str:
        """The derivative by a value, as a sum over the values that it is used for."""
        of = cotangent.of
        if of is None or of is self.out or self.out is None:
            return ""
        steps = self.steps(of)
        if not steps or {s.to for s in steps} == {self.out}:
            return ""
        return self._sum(of, steps, 0)

    def steps(self, of: Variable, elementwise: bool = True, whole: bool = False) -> list[_Step]:
        """The values with lines that a value is used for next."""
        found: dict[Variable, _Step] = {}
        # In the order in which their cotangents arrive.
        for equation in reversed(self.users.get(of, [])):
            for v in equation.outputs:
                if v not in self.flowing:
                    continue
                each = elementwise and equation.primitive.elementwise and v.shape == of.shape
                all_of_it = whole or is_whole(equation)
                inner = [_Step(v, each, all_of_it)] if v in self.stated else self.steps(v, each, all_of_it)
                for step in inner:
                    same = found.get(step.to, step)
                    each, all_of_it = same.elementwise and step.elementwise, same.whole or step.whole
                    found[step.to] = _Step(step.to, each, all_of_it)
        return list(found.values())

    def _sum(self, of: Variable, steps: list[_Step], depth: int) -> str:
        others = [s.to for s in steps if s.to is not self.out]
        terms = [self._term(of, s, others, depth) for s in steps]
        if len(terms) > MOST_PATHS:
            terms = [*terms[:2], r"\cdots", terms[-1]]
        return " + ".join(terms)

    def _term(self, of: Variable, step: _Step, others: list[Variable], depth: int) -> str:
        if step.to is self.out:  # directly, with the other paths left aside
            fixed = ", ".join(str(self.named[v]) for v in others)
            return rf"\left.{self._partial(step.to, of)}\right|_{{{fixed}}}"
        sign = r" \odot " if step.elementwise and of.shape else r" \, "
        local = self._total(step.to, of) if step.whole else self._partial(step.to, of)
        return f"{self._before(step.to, depth)}{sign}{local}"

    def _before(self, value: Variable, depth: int) -> str:
        """The derivative by a value: a symbol where it has a line, else by the chain rule."""
        steps = self.steps(value)
        if value in self.known or depth > 2 or {s.to for s in steps} == {self.out}:
            return self._partial(self.out, value)
        inner = self._sum(value, steps, depth + 1)
        return rf"\left({inner}\right)" if len(steps) > 1 else inner

    def _partial(self, value: Variable | None, by: Variable) -> str:
        assert value is not None
        return str(self.named[by]._replace(value=str(self.named[value])))

    def _total(self, value: Variable, by: Variable) -> str:
        return rf"\frac{{\mathrm{{d}} {self.named[value]}}}{{\mathrm{{d}} {self.named[by]}}}"
