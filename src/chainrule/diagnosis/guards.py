"""Guards: tiny numbers that keep a loss finite, as in log(p + 1e-12), and that people leave out of its derivative."""

from __future__ import annotations

from typing import Any

from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable
from chainrule.graph.rewriting import Builder, Rule, rewritten

SMALL = 1e-6
"""A number up to this size that is added to a value, or bounds it, is a guard."""


def without_guards(graph: Graph) -> Graph | None:
    """The graph as if its guards were not there; None if it has none."""
    found = rewritten(graph, _RULES, keep_dead=True)
    return None if len(found.equations) == len(graph.equations) else found


def _number(atom: Atom) -> float:
    """The number that an input is; 1 for anything else, which is no guard."""
    if isinstance(atom, Variable) and atom.shape == () and atom.dtype.kind == "f" and not atom.is_parameter:
        return float(atom.value)
    return float(atom.number) if isinstance(atom, Literal) and not isinstance(atom.number, complex) else 1.0


def _is_tiny(atom: Atom) -> bool:
    return 0 < abs(_number(atom)) <= SMALL


def _is_almost_one(atom: Atom) -> bool:
    return 0 < 1 - _number(atom) <= 1.001 * SMALL


def _guarded(equation: Equation, is_guard: Any, positions: tuple[int, ...]) -> Atom | None:
    """What a guard is added to, or bounds."""
    for position in positions:
        value = equation.inputs[1 - position]
        if is_guard(equation.inputs[position]) and isinstance(value, Variable):
            return value if value.shape == equation.output.shape else None
    return None


def _added(b: Builder, equation: Equation) -> Atom | None:
    fixed = b.is_constant(equation.inputs[0]) or b.is_constant(equation.inputs[1])
    positions = (0, 1) if equation.name != "subtract" else (1,)
    wanted = tuple(i for i in positions if isinstance(equation.inputs[i], Literal) or fixed)
    return _guarded(equation, _is_tiny, wanted)


def _bounded(b: Builder, equation: Equation) -> Atom | None:
    return _guarded(equation, _is_tiny if equation.name == "maximum" else _is_almost_one, (0, 1))


def _limited(b: Builder, equation: Equation) -> Atom | None:
    value, low, high = equation.inputs
    low_is_guard = _is_tiny(low) or _number(low) == float("-inf")
    high_is_guard = _is_almost_one(high) or _number(high) in (1.0, float("inf"))
    same = isinstance(value, Variable) and value.shape == equation.output.shape
    return value if same and low_is_guard and high_is_guard else None


_RULES: dict[str, list[Rule]] = {
    "add": [_added], "subtract": [_added], "maximum": [_bounded], "minimum": [_bounded], "limit": [_limited],
}  # fmt: skip
