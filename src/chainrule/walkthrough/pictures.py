"""The account as a picture of its graph: names, shapes, values and cotangents in the boxes."""

from __future__ import annotations

from chainrule.graph.emit.svg import LONGEST
from chainrule.graph.ir import Literal, Variable
from chainrule.walkthrough.account import Account
from chainrule.walkthrough.numbers import array_lines, is_small, summary

TALLEST = 4
"""A matrix of more rows is summarised in a box."""


def names(account: Account) -> dict[Variable, str]:
    """A name for all that is drawn: for what is no step, its formula."""
    made = (v for e in account.graph.equations for v in e.outputs if not account.is_backward(v))
    unknown = dict.fromkeys((v for e in account.forward for v in e.used()), "…")
    return unknown | {v: account.texts[v].text for v in made} | account.names


def notes(account: Account) -> dict[Variable, list[str]]:
    """The value of each Variable as lines for its box, and of its cotangent."""
    seeds = {e.output for e in account.unmarked.equations if isinstance((*e.inputs, None)[0], Literal)}
    return {v: _lines(name, account.values[v]) for v, name in account.names.items() if v not in seeds}


def _lines(name: str, value: object) -> list[str]:
    lines = array_lines(name, value)
    if is_small(value) and len(lines) <= TALLEST:
        # A picture keeps no spaces but those that do not break.
        return [
            line.replace(" ", "\N{NO-BREAK SPACE}")
            for line in (f"= {lines[0]}", *(f"  {n}" for n in lines[1:]))
        ]
    text = summary(value, digits=3).partition(": ")[2]
    limits, _, rest = text.partition(", ")
    # A box would cut a long line, and half a number says something else.
    return [text] if len(text) <= LONGEST else [limits, rest]
