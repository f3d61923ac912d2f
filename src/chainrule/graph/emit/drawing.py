"""The picture of a graph as SVG, and as text for Graphviz and Mermaid, which lay it out themselves.

Where the graph has a backward pass, it is drawn into the forward one: each box names the cotangent of its value, and
each edge that a cotangent goes back along has a second arrow.
"""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.errors import InputError
from chainrule.graph.emit.picture import Arrow, Box, Notes, picture
from chainrule.graph.emit.svg import drawn
from chainrule.graph.ir import Graph, Variable

__all__ = ["dot", "mermaid", "picture", "svg"]

COTANGENT = "#d55e00"
_FILLS = {"input": "#e3f0fa", "constant": "#f1f3f5", "value": "#ffffff", "result": "#e5f5ee"}
_LINES = {"input": "#0072b2", "constant": "#66727f", "value": "#66727f", "result": "#00805a"}
_DIRECTIONS = {"down": ("TB", "TD"), "right": ("LR", "LR")}


def svg(
    graph: Graph,
    notes: Notes | None = None,
    *,
    direction: str = "down",
    names: Mapping[Variable, str] | None = None,
) -> str:
    """The picture of a graph as SVG, which browsers, notebooks and documents show.

    `notes` are lines to be printed in the boxes of Variables, such as their values; those for a cotangent stand in
    the box of the value whose cotangent it is. `direction` is "down" or "right"; `names` are names for all Variables,
    where they shall have others than in `print(graph)`. Raises InputError for another direction.

    >>> import chainrule as cr
    >>> svg(cr.trace(lambda x: x**2 + 4 * x, 3.0)).startswith("<svg")
    True
    """
    _checked(direction)
    return drawn(picture(graph, notes, names), direction == "right")


Graph._drawn = svg


def dot(
    graph: Graph,
    notes: Notes | None = None,
    *,
    direction: str = "down",
    names: Mapping[Variable, str] | None = None,
) -> str:
    r"""The picture in the language of Graphviz; arguments and errors are those of `svg`.

    >>> import chainrule as cr
    >>> print(dot(cr.trace(lambda x: x**2, 3.0)))
    digraph "f" {
      rankdir=TB;
      node [shape=box, style="filled,rounded", fontname="monospace", fontsize=11];
      n0 [label="x\l", fillcolor="#e3f0fa", color="#0072b2"];
      n1 [label="value\lx ** 2\l", fillcolor="#e5f5ee", color="#00805a"];
      n0 -> n1;
    }
    <BLANKLINE>
    """
    rank, _ = _checked(direction)
    shown = picture(graph, notes, names)
    lines = [
        f"digraph {_quoted(shown.name)} {{",
        f"  rankdir={rank};",
        '  node [shape=box, style="filled,rounded", fontname="monospace", fontsize=11];',
        *(_dot_box(i, box) for i, box in enumerate(shown.boxes)),
        *(line for arrow in shown.arrows for line in _dot_arrows(arrow)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _dot_box(number: int, box: Box) -> str:
    # Each line ends in \l: it stands at the left.
    label = "".join(_quoted(line)[1:-1] + r"\l" for line in box.whole.splitlines())
    return f'  n{number} [label="{label}", fillcolor="{_FILLS[box.kind]}", color="{_LINES[box.kind]}"];'


def _dot_arrows(arrow: Arrow) -> list[str]:
    forward = f"  n{arrow.source} -> n{arrow.target};"
    back = f'  n{arrow.target} -> n{arrow.source} [color="{COTANGENT}", style=dashed, constraint=false];'
    return [forward, back] if arrow.back else [forward]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def mermaid(
    graph: Graph,
    notes: Notes | None = None,
    *,
    direction: str = "down",
    names: Mapping[Variable, str] | None = None,
) -> str:
    """The picture in the language of Mermaid, which GitHub and many editors show; arguments and errors as of `svg`.

    >>> import chainrule as cr
    >>> print(mermaid(cr.trace(lambda x: x**2, 3.0)))
    flowchart TD
      n0["x"]:::input
      n1["value<br/>x ** 2"]:::result
      n0 --> n1
      classDef input fill:#e3f0fa,stroke:#0072b2,color:#1f2933
      classDef constant fill:#f1f3f5,stroke:#66727f,color:#1f2933
      classDef value fill:#ffffff,stroke:#66727f,color:#1f2933
      classDef result fill:#e5f5ee,stroke:#00805a,color:#1f2933
    <BLANKLINE>
    """
    _, way = _checked(direction)
    shown = picture(graph, notes, names)
    links = [f"  n{a.source} --> n{a.target}" for a in shown.arrows]
    back = [f"  n{a.target} -.-> n{a.source}" for a in shown.arrows if a.back]
    numbers = ",".join(str(len(links) + i) for i in range(len(back)))
    lines = [
        f"flowchart {way}",
        *(f'  n{i}["{_entities(box.whole)}"]:::{box.kind}' for i, box in enumerate(shown.boxes)),
        *links,
        *back,
        *([f"  linkStyle {numbers} stroke:{COTANGENT}"] if back else ()),
        *(f"  classDef {k} fill:{_FILLS[k]},stroke:{_LINES[k]},color:#1f2933" for k in _FILLS),
    ]
    return "\n".join(lines) + "\n"


def _entities(text: str) -> str:
    """Text in a quoted label: signs that Mermaid or HTML reads otherwise are written by their numbers."""
    return "<br/>".join(
        "".join(f"#{ord(c)};" if c in '"#&<>`\\|' else c for c in line) for line in text.splitlines()
    )


def _checked(direction: str) -> tuple[str, str]:
    if direction not in _DIRECTIONS:
        raise InputError(f"direction={direction!r}: expected 'down' or 'right'")
    return _DIRECTIONS[direction]
