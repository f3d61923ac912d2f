"""A graph as the source of a NumPy function that a person could have written."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.emit import helpers
from chainrule.graph.emit.expressions import Text, Writer, array_text, literal_text, new_axes
from chainrule.graph.ir import TAKEN, Equation, Graph, Literal, Variable, names_for
from chainrule.trees import children, leaves
from chainrule.typing import Tree

LONGEST = 90
"""A longer expression is written in two lines."""


class Line(NamedTuple):
    """A statement and what the comment behind it says."""

    code: str
    comment: str
    backward: int


class Program(NamedTuple):
    """A written function: its name, its source, and the names of the constants it must be given."""

    name: str
    source: str
    constants: dict[str, Variable]


def program(
    graph: Graph, name: str, parameters: list[str], summary: Iterable[str], constants_outside: bool = False
) -> Program:
    """The NumPy source of a graph: one function, with what it needs in front of it.

    `parameters` are the names of the positional arguments; `summary` is the docstring, in which `{name}` stands
    for the name that the program gives to the Variables in `graph.arguments` and `graph.result`. Constants that are
    no expression are arguments too, or with `constants_outside` names that the module must define.
    """
    return _Program(graph, name, parameters, constants_outside).written(list(summary))


class _Program:
    """One graph on its way to source."""

    def __init__(
        self, graph: Graph, name: str, parameters: list[str], constants_outside: bool = False
    ) -> None:
        self.graph, self.name, self.constants_outside = graph, name, constants_outside
        self.positional = dict(zip(parameters, graph.arguments[0], strict=True))
        self.inlined = {
            c: t for c in graph.constants if not c.hint and (t := array_text(c.value)) is not None
        }
        self.given = [c for c in graph.constants if c not in self.inlined]
        self.made = {v for e in graph.equations for v in e.outputs}
        self.stated = stated_in(graph)
        self.names: dict[Variable, str] = {}

    def written(self, summary: list[str]) -> Program:
        for _ in range(6):
            lines, too_long = self._lines()
            if not too_long:
                break
            self.stated |= too_long
        returned = self._returned(lines)
        body = "\n".join([*_aligned(lines), textwrap.indent(returned, "    ")])
        constants = {self.names[c]: c for c in self.given}
        given = [] if self.constants_outside else list(constants)
        head = _wrapped(f"def {self.name}(", self._signature(given), "):")
        unpacked = "".join(f"    {line}\n" for line in self._unpacking())
        described = _docstring(line.format_map(_Shown(self)) for line in summary)
        imports, parts = helpers.written(helpers.used_in(body))
        top = "\n".join(["import numpy as np", *imports])
        function = f"{head}\n{described}\n{unpacked}{body}"
        source = "\n\n\n".join([top, *parts, function]) + "\n"
        return Program(self.name, source, constants)

    # the lines ---------------------------------------------------------------------------------------------

    def _lines(self) -> tuple[list[Line], set[Variable]]:
        made = [(v, e.name) for e in self.graph.equations for v in e.outputs if v in self.stated]
        # What a function is called by, and its helpers, are no names for values.
        taken = {*TAKEN, *helpers.NAMES, self.name, *self._trees()}
        self.names = names_for([*self.graph.inputs, *self.given], made, self.graph, taken)
        texts = {v: Text(n) for v, n in self.names.items()} | {c: Text(t) for c, t in self.inlined.items()}
        writer, lines, too_long = Writer(texts), [], set()
        for equation in self.graph.equations:
            text = writer.expression(equation)
            if equation.outputs[0] in self.stated:
                targets = ", ".join(self.names[v] for v in equation.outputs)
                lines.append(
                    Line(f"{targets} = {text.text}", _shapes(equation), equation.outputs[0].backward)
                )
                if len(text.text) > LONGEST:
                    too_long |= self._longest_part(equation, texts)
            else:
                texts[equation.output] = text
        self.texts = texts
        return lines, too_long

    def _longest_part(self, equation: Equation, texts: Mapping[Variable, Text]) -> set[Variable]:
        inlined = (v for v in equation.used() if v in self.made and v not in self.stated)
        parts = [v for v in inlined if len(texts[v].text) > 12]
        return {max(parts, key=lambda v: len(texts[v].text))} if parts else set()

    def _returned(self, lines: list[Line]) -> str:
        """The result as it is returned; what has no line yet gets one."""
        expected = {leaf for _, leaf in leaves(self.graph.result) if isinstance(leaf, (Variable, Literal))}
        shown = {}
        for leaf in expected:
            shown[leaf] = self.texts[leaf].text if isinstance(leaf, Variable) else literal_text(leaf).text
        text = f"return {_tree_text(self.graph.result, shown)}"
        if len(text) <= LONGEST or not isinstance(self.graph.result, (tuple, dict)):
            return text
        return _spread(self.graph.result, shown)

    # the head ----------------------------------------------------------------------------------------------

    def _trees(self) -> list[str]:
        """The positional arguments that are trees, which are unpacked."""
        return [n for n, tree in self.positional.items() if not isinstance(tree, Variable) and _in_tree(tree)]

    def _signature(self, constants: list[str]) -> list[str]:
        trees = self._trees()
        positional = [n if n in trees else self.names[t] for n, t in self.positional.items() if _in_tree(t)]
        keywords = [n for n, tree in self.graph.arguments[1].items() if _in_tree(tree)]
        only = [*keywords, *constants]
        return [*positional, *(["*", *only] if only else [])]

    def _unpacking(self) -> Iterable[str]:
        keywords = {n: t for n, t in self.graph.arguments[1].items() if not isinstance(t, Variable)}
        for name, tree in (*((n, self.positional[n]) for n in self._trees()), *keywords.items()):
            found = [(p, v) for p, v in leaves(tree) if isinstance(v, Variable)]
            line = f"{', '.join(self.names[v] for _, v in found)} = {', '.join(name + p for p, _ in found)}"
            if found and len(line) <= LONGEST:
                yield line
            elif found:
                yield from (f"{self.names[v]} = {name}{p}" for p, v in found)


def stated_in(graph: Graph) -> set[Variable]:
    """The values that get a line of their own: named ones, those used twice, and all that are returned."""
    stated: set[Variable] = set()
    counts = _uses(graph)
    made = {v for e in graph.equations for v in e.outputs}
    for equation in graph.equations:
        parts = {v for p in equation.parameters.values() for v in _in_tree(p)}
        stated.update(parts & made)
        for variable in equation.outputs:
            # A cotangent that went back through a product is one step of the chain rule.
            step = variable.of is not None and equation.name == "matmul"
            if len(equation.outputs) > 1 or variable.named or step or counts.get(variable, 0) != 1:
                stated.add(variable)
        if len(equation.outputs) == 1 and _is_cheap(equation) and not equation.output.named:
            stated.discard(equation.output)
            if counts.get(equation.output, 0) > 1:
                stated.update(v for v in equation.used() if v in made)
    for equation in graph.equations:
        if _is_complement(equation) and (equation.inputs[1] in stated or equation.inputs[1] not in made):
            stated.discard(equation.outputs[0])
    stated.update(o for o in graph.outputs if isinstance(o, Variable) and o in made)
    # d_Z2 is read beside Z2.
    return stated | {v.of for v in stated if v.of is not None and v.of in made}


def _uses(graph: Graph) -> dict[Variable, int]:
    counts: dict[Variable, int] = {}
    for equation in graph.equations:
        for variable in equation.used():
            counts[variable] = counts.get(variable, 0) + 1
    for output in graph.outputs:
        if isinstance(output, Variable):
            counts[output] = counts.get(output, 0) + 1
    return counts


def _is_cheap(equation: Equation) -> bool:
    """What is as short as a name: a transpose, or a new axis."""
    if not isinstance(equation.inputs[0], Variable):
        return False
    if equation.name == "reshape":
        return bool(new_axes(equation.inputs[0].shape, equation.output.shape))
    return equation.name in ("permute_dims", "matrix_transpose")


def _is_complement(equation: Equation) -> bool:
    """1 - p, which is read more easily than a name for it."""
    if equation.name != "subtract" or equation.output.named:
        return False
    x, y = equation.inputs
    return isinstance(x, Literal) and not x.shape and isinstance(y, Variable)


def _in_tree(tree: Tree) -> list[Variable]:
    return [leaf for _, leaf in leaves(tree) if isinstance(leaf, Variable)]


def _shapes(equation: Equation) -> str:
    return ", ".join(shape_text(v) for v in equation.outputs)


def shape_text(variable: Variable | Literal) -> str:
    """The shape, and the type where that is not the usual one; nothing for a scalar.

    >>> shape_text(Variable(np.ones((2, 3)))), shape_text(Variable(np.float32(1)))
    ('(2, 3)', 'float32')
    """
    kind = "" if variable.dtype in (np.float64, None) else f" {variable.dtype}"
    return f"{variable.shape if variable.shape else ''}{kind}".strip()


def _aligned(lines: list[Line]) -> Iterable[str]:
    """The lines with their comments in a column, under the headings of the passes that they are."""
    width = max((len(line.code) for line in lines if line.comment and len(line.code) <= 60), default=0)
    passes = [(number, list(some)) for number, some in groupby(lines, key=lambda line: line.backward)]
    for position, (number, some) in enumerate(passes):
        last = position == len(passes) - 1
        if len(passes) > 1:
            yield f"    # {HEADINGS[number] if number or not (last and position) else 'update'}"
        for line in some:
            yield f"    {line.code:{width}}  # {line.comment}" if line.comment else f"    {line.code}"
        yield ""


HEADINGS = ("forward", "backward", "second order")
"""What the lines of each sweep are called."""


def _docstring(lines: Iterable[str]) -> str:
    whole = [re.sub(r"(?<=\d), (?=\d)", ",\u00a0", line) for line in lines]  # a shape stays in one line
    first, *rest = [
        part.replace("\u00a0", " ") for line in whole for part in (textwrap.wrap(line, 96) or [""])
    ]
    text = "\n".join(f"    {line}".rstrip() for line in rest)
    return f'    """{first}\n{text}\n    """'.replace("\\", "\\\\")


class _Shown(dict[str, str]):
    """Names in a docstring: `{0}` is the name of the result's leaf number 0, and so on."""

    def __init__(self, program: _Program) -> None:
        self.program = program

    def __missing__(self, key: str) -> str:
        names = self.program.names
        kind, number = re.fullmatch(r"(result|input|constant|name)(\d*)", key).groups()  # type: ignore[union-attr]
        if kind == "constant" and not number:
            return ", ".join(f"{names[c]} {shape_text(c)}".strip() for c in self.program.given)
        graph = self.program.graph
        of = {"result": graph.outputs, "input": graph.inputs}.get(kind, graph.constants)
        leaf = of[int(number)]
        if kind == "name" and isinstance(leaf, Variable):
            return names[leaf]
        name = self.program.texts[leaf].text if isinstance(leaf, Variable) else literal_text(leaf).text
        return f"{name} {shape_text(leaf)}".strip()


def _wrapped(opening: str, parts: list[str], closing: str) -> str:
    """A bracket and what is in it: in one line, or indented in several."""
    line = opening + ", ".join(parts) + closing
    if len(line) <= LONGEST + 10:
        return line
    rows = [""]
    for part in parts:
        if rows[-1] and len(rows[-1]) + len(part) > LONGEST:
            rows.append("")
        rows[-1] += f"{part}, "
    inside = "".join(f"    {row.rstrip()}\n" for row in rows)
    return f"{opening}\n{inside}{closing}"


def _spread(result: Tree, shown: Mapping[Any, str]) -> str:
    """The statement that returns a long result, in several lines."""
    if isinstance(result, dict):
        entries = [f"{k!r}: {_tree_text(part, shown, True)}" for k, part in result.items()]
        return _wrapped("return {", entries, "}")
    *first, last = result
    before = "".join(f"{_tree_text(part, shown, True)}, " for part in first)
    if isinstance(last, dict) and len(before) < LONGEST // 2:
        return f"return {before}" + _spread(last, shown).removeprefix("return ")
    return _wrapped("return (", [_tree_text(part, shown, True) for part in result], ")")


def _tree_text(tree: Tree, shown: Mapping[Any, str], within: bool = False) -> str:
    """A tree of results as an expression."""
    if isinstance(tree, (Variable, Literal)):
        return shown[tree]
    parts = None if tree is None else children(tree)
    if parts is None:
        return repr(tree)
    texts = [_tree_text(part, shown, True) for _, part in parts]
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {t}" for k, t in zip(tree, texts, strict=True)) + "}"
    if isinstance(tree, list):
        return f"[{', '.join(texts)}]"
    if type(tree) is not tuple:  # a class that the program does not know: what it is made of
        return (
            "{" + ", ".join(f"{n.lstrip('.')!r}: {t}" for (n, _), t in zip(parts, texts, strict=True)) + "}"
        )
    text = ", ".join(texts) + ("," if len(texts) == 1 else "")
    return f"({text})" if within else text
