"""What values are called in sentences: by the user's name, or by how they were computed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chainrule.errors import ChainruleError
from chainrule.graph.emit.expressions import Text, Writer
from chainrule.graph.ir import Equation, Graph, Variable
from chainrule.lines import position

LONGEST = 40
"""An expression that is longer stands in no sentence."""

_LONG = Text("...")


def spelled(graph: Graph, names: Mapping[Variable, str]) -> dict[Variable, str]:
    """Each value as it stands in a sentence: named, or as an expression of named ones, or by its line."""
    texts = {v: Text(names.get(v, v.hint)) for v in (*graph.inputs, *graph.constants)}
    words = {v: text.text for v, text in texts.items()}
    writer = Writer(texts)
    for equation in graph.equations:
        for variable in equation.outputs:
            texts[variable] = Text(names[variable]) if variable.hint else _expression(writer, equation)
            found = texts[variable].text
            plain = variable.hint or found.isidentifier()
            words[variable] = (
                found if plain else _of_line(equation) if found == _LONG.text else f"`{_rounded(found)}`"
            )
    return words


def _expression(writer: Writer, equation: Equation) -> Text:
    try:
        found = writer.expression(equation)
    except (ChainruleError, KeyError, ValueError, TypeError, AttributeError):
        return _LONG
    return _LONG if len(found.text) > LONGEST or _LONG.text in found.text.replace("[...", "[") else found


def _rounded(text: str) -> str:
    return re.sub(r"\d+\.\d{7,}", lambda number: f"{float(number[0]):.6g}", text)


def _of_line(equation: Equation) -> str:
    return "a value" if equation.place is None else f"a value of line {position(equation.place)[1]}"
