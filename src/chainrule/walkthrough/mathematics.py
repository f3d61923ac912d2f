"""The steps of an account as formulas of LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.graph.emit import latex
from chainrule.graph.emit.formula import array_formula
from chainrule.graph.emit.notation import Symbol, symbol, symbols
from chainrule.graph.ir import Graph, Variable
from chainrule.walkthrough.numbers import is_small, number


class Mathematics:
    """The symbols of a graph's Variables, and its equations written with them.

    `arriving` are the parts of cotangents: of which Variable each is a part, and the Variable it comes back from.
    """

    def __init__(
        self,
        graph: Graph,
        names: Mapping[Variable, str],
        arriving: Mapping[Variable, tuple[Variable, Variable]],
    ) -> None:
        named = {v: name for v, name in names.items() if v not in arriving}
        self.symbols: dict[Variable, Symbol] = symbols(graph, named)
        self._name_what_arrives(graph, arriving)
        self.definitions = {v: e for e in graph.equations for v in e.outputs}
        arrays = {c: array_formula(np.asarray(c.value)) for c in graph.constants if c not in names}
        self.writer = latex.Latex(self.symbols, self.definitions, arrays)

    def _name_what_arrives(
        self, graph: Graph, arriving: Mapping[Variable, tuple[Variable, Variable]]
    ) -> None:
        r"""A part of a cotangent is the derivative along one path: `\left.\frac{\partial L}{\partial x}\right|_{S}`."""
        out = next((v for v in graph.outputs if isinstance(v, Variable)), None)
        value = str(self.symbols[out]) if out in self.symbols else "L"
        for variable, (to, made) in arriving.items():
            below, path = (str(self.symbols.get(v) or symbol(v.hint or "x")) for v in (to, made))
            found = rf"\left.\frac{{\partial {value}}}{{\partial {below}}}\right|_{{{path}}}"
            taken = sum(str(s).startswith(found) for s in self.symbols.values())
            self.symbols[variable] = Symbol(found + "'" * taken)

    def formula(self, outputs: tuple[Variable, ...]) -> str:
        """The equation that makes some Variables."""
        left = ", ".join(str(self.symbols[v]) for v in outputs)
        return f"{left} = {self.writer.expression(self.definitions[outputs[0]]).text}"


def value_formula(value: Any) -> str:
    r"""A small number, vector or matrix; nothing for what is shown by a summary.

    >>> value_formula(np.array([1.0, 1e-12]))
    '\\begin{bmatrix} 1 & 1 \\times 10^{-12} \\end{bmatrix}^{\\top}'
    """
    value = np.asarray(value)
    if value.ndim > 2 or not is_small(value):
        return ""
    if value.ndim == 0:
        return number_formula(value)
    rows = r" \\ ".join(" & ".join(map(number_formula, row)) for row in np.atleast_2d(value))
    column = r"^{\top}" if value.ndim == 1 else ""  # vectors are columns
    return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}{column}"


def number_formula(value: Any) -> str:
    r"""A number: `2.5 \times 10^{-7}`, `\infty`."""
    text = number(value)
    known = {"inf": r"\infty", "-inf": r"-\infty", "nan": r"\mathrm{NaN}"}.get(text)
    if known or text in ("True", "False"):
        return known or rf"\mathrm{{{text}}}"
    return re.sub(r"e([+-])0*(\d+)", lambda m: rf" \times 10^{{{m[1].strip('+')}{m[2]}}}", text)
