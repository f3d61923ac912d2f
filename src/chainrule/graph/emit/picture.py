"""What is drawn of a graph: boxes for its values, arrows for what they are computed from, and back for cotangents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from chainrule.errors import UnsupportedError
from chainrule.graph.emit.expressions import Text, Writer, array_text
from chainrule.graph.emit.flow import flowing, forward_part, links
from chainrule.graph.emit.numpy_source import shape_text
from chainrule.graph.ir import TAKEN, Equation, Graph, Variable, names_for, text

Notes: TypeAlias = "Mapping[Variable, str | Sequence[str]]"
"""Lines to be printed in the boxes of Variables."""


class Box(NamedTuple):
    """A value: its kind (input, constant, value, result), its name, and the lines below that."""

    kind: str
    name: str
    shape: str
    lines: tuple[str, ...]
    cotangent: tuple[str, ...]

    @property
    def whole(self) -> str:
        """All that it says."""
        head = f"{self.name}  {self.shape}".rstrip()
        return "\n".join([head, *self.lines, *self.cotangent])


class Arrow(NamedTuple):
    """From a box to one that is computed from it, by their numbers; `back` says that a cotangent returns."""

    source: int
    target: int
    back: bool


class Picture(NamedTuple):
    """The boxes in order of computation, and the arrows."""

    name: str
    boxes: list[Box]
    arrows: list[Arrow]

    @property
    def described(self) -> str:
        """The picture in a sentence."""
        inputs = [b.name for b in self.boxes if b.kind == "input"]
        results = [b.name for b in self.boxes if b.kind == "result"]
        back = ", and the cotangents that flow back" if any(a.back for a in self.arrows) else ""
        return f"How {' and '.join(results) or self.name} is computed from {', '.join(inputs) or 'nothing'}{back}."


def picture(graph: Graph, notes: Notes | None = None, names: Mapping[Variable, str] | None = None) -> Picture:
    """The picture of a graph: a box for each input, constant and equation of its forward part.

    The backward part is drawn into it: the cotangent of a value stands in the value's box. `notes` are lines for the
    boxes; those for a cotangent stand there too. `names` are the names of Variables, where they shall have others
    than in `print(graph)`.
    """
    return _Drawing(graph, notes or {}, names).picture()


class _Drawing:
    """One graph on its way to a picture."""

    def __init__(self, graph: Graph, notes: Notes, names: Mapping[Variable, str] | None) -> None:
        self.graph, self.notes = graph, notes
        self.forward = forward_part(graph)
        self.cotangents = _cotangents(graph)
        used = {v for e in self.forward for v in e.used()} | set(graph.outputs)
        self.inlined = {
            c: t for c in graph.constants if not c.hint and (t := array_text(c.value)) is not None
        }
        self.given = [
            *graph.inputs,
            *(c for c in graph.constants if c in used and c not in self.inlined),
        ]
        self.names = dict(names) if names is not None else self._names()
        self.formulas = self._formulas()

    def picture(self) -> Picture:
        results = set(self.graph.outputs)
        made = [("result" if results & {*e.outputs} else "value", e.outputs, e) for e in self.forward]
        given = [("input" if v in self.graph.inputs else "constant", (v,), None) for v in self.given]
        all_boxes: list[tuple[str, tuple[Variable, ...], Equation | None]] = [*given, *made]
        number = {v: i for i, (_, variables, _) in enumerate(all_boxes) for v in variables}
        boxes = [self._box(kind, variables, e) for kind, variables, e in all_boxes]
        on_the_way = flowing(self.graph)
        # A cotangent that an update uses is in the box of its value.
        number |= {c: number[v] for v, c in self.cotangents.items() if v in number}
        arrows: dict[tuple[int, int], bool] = {}
        for equation in self.forward:
            target = number[equation.outputs[0]]
            for v in equation.used():
                if v in number:
                    back = v in links(equation) and v in on_the_way and bool(on_the_way & {*equation.outputs})
                    arrows[number[v], target] = back or arrows.get((number[v], target), False)
        return Picture(self.graph.name, boxes, [Arrow(s, t, back) for (s, t), back in arrows.items()])

    def _names(self) -> dict[Variable, str]:
        """Names as in `print(graph)`, for the values that are drawn only."""
        made = [
            (v, e.name)
            for e in self.graph.equations
            for v in e.outputs
            if not v.backward or self.cotangents.get(v.of) is v
        ]
        given = [c for c in self.graph.constants if c not in self.inlined]
        return names_for([*self.graph.inputs, *given], made, self.graph, TAKEN)

    def _formulas(self) -> dict[Variable, str]:
        """The right side of the equation of each Variable, in NumPy; what has no name is written out."""
        texts = {v: Text(n) for v, n in self.names.items()}
        texts |= {c: Text(t) for c, t in self.inlined.items()}
        writer, found = Writer(texts), {}
        for equation in self.graph.equations:
            try:
                made = writer.expression(equation)
            except UnsupportedError:  # a primitive that stands for no NumPy, such as a marker
                names = {v: texts[v].text for v in equation.used()} | dict.fromkeys(equation.outputs, "")
                made = Text(text(equation, names).partition(" = ")[2])
            for v in equation.outputs:
                found[v] = made.text
                # What nobody reads need not be written on and on.
                texts.setdefault(v, made if len(made.text) < 200 else Text("…"))
        return found

    def _box(self, kind: str, variables: tuple[Variable, ...], made: Equation | None) -> Box:
        lines = [self.formulas[variables[0]]] if made is not None else []
        for v in variables:
            lines += _noted(self.notes.get(v, ()))
        back = []
        for c in (self.cotangents[v] for v in variables if v in self.cotangents):
            back += [f"{self.names[c]} = {self.formulas[c]}" if c in self.names else self.formulas[c]]
            back += _noted(self.notes.get(c, ()))
        name = ", ".join(self.names[v] for v in variables)
        return Box(kind, name, ", ".join(filter(None, map(shape_text, variables))), tuple(lines), tuple(back))


def _cotangents(graph: Graph) -> dict[Variable | None, Variable]:
    """The cotangent of each Variable that has one in the backward part."""
    made = (v for e in graph.equations for v in e.outputs)
    return {v.of: v for v in made if v.backward and v.of is not None and not v.of.backward}


def _noted(note: str | Iterable[str]) -> list[str]:
    return note.splitlines() if isinstance(note, str) else list(note)
