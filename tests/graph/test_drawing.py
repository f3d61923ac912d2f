"""Pictures of graphs: boxes that do not overlap, lines that cross none, text that fits, and texts that others read."""

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import Case
from graph.networks import NETWORKS
from graph.test_derive_cases import ROWS, weighed

import chainrule as cr
from chainrule.errors import InputError
from chainrule.graph.emit import drawing
from chainrule.graph.emit.chain_rule import derivation
from chainrule.graph.emit.layout import layered
from chainrule.graph.emit.picture import picture
from chainrule.graph.ir import Graph

SVG = "{http://www.w3.org/2000/svg}"
NARROWEST, WIDEST = 0.55 * 12, 0.61 * 12
"""The widths of a character in the usual monospaced fonts."""


def derived(name: str) -> Graph:
    f, args = NETWORKS[name]
    return cr.derive(f, *args).graph


class Drawn(NamedTuple):
    """What was drawn: boxes as left, top, right, bottom; their texts; lines as points; and the size."""

    boxes: list[tuple[float, float, float, float]]
    texts: list[list[tuple[float, float, str]]]
    lines: list[list[tuple[float, float]]]
    back: int
    size: tuple[float, float]


def read(svg: str) -> Drawn:
    root = ET.fromstring(svg)
    (canvas,) = root.findall(f"{SVG}g[@transform]")
    boxes, texts, lines, back = [], [], [], 0
    for group in canvas:
        rect = group.find(f"{SVG}rect")
        if rect is None:
            back += group.get("class") == "flow"
            lines.append(list(points(group[0].get("d") or "")))
        else:
            x, y, width, height = (float(rect.get(n) or "") for n in ("x", "y", "width", "height"))
            boxes.append((x, y, x + width, y + height))
            found = group.findall(f"{SVG}text")
            texts.append(
                [(float(t.get("x") or ""), float(t.get("y") or ""), "".join(t.itertext())) for t in found]
            )
    width, height = (float(n) for n in (root.get("viewBox") or "").split()[2:])
    return Drawn(boxes, texts, lines, back, (width - 32, height - 32))


def points(path: str) -> Iterator[tuple[float, float]]:
    """Places along a path, dense enough that no box is between two."""
    at = (0.0, 0.0)
    for command, numbers in re.findall(r"([MLC])([-\d. ]+)", path):
        values = list(map(float, numbers.split()))
        ends = [at, *zip(values[::2], values[1::2], strict=True)]
        if command == "M":
            ends = [ends[1], ends[1]]
        t = np.linspace(0, 1, 40)[:, None]
        row = [np.array(p) for p in ends]
        while len(row) > 1:
            row = [(1 - t) * p + t * q for p, q in pairwise(row)]
        yield from map(tuple, row[0])
        at = ends[-1]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def inside(places: list[tuple[float, float]], box: tuple[float, ...]) -> bool:
    x, y = np.array(places).T
    within = (box[0] + 0.2 < x) & (x < box[2] - 0.2) & (box[1] + 0.2 < y) & (y < box[3] - 0.2)
    return bool(within.any())


def check_geometry(shown: Drawn) -> None:
    assert not [pair for pair in combinations(shown.boxes, 2) if overlap(*pair)]
    crossing = [(line, box) for line in shown.lines for box in shown.boxes if inside(line, box)]
    assert not crossing
    for left, top, right, bottom in shown.boxes:
        assert 0 <= left < right <= shown.size[0] + 1
        assert 0 <= top < bottom <= shown.size[1] + 1
    for box, rows in zip(shown.boxes, shown.texts, strict=True):
        assert rows[0][0] > box[0]
        for x, y, text in rows:
            assert x + len(text) * WIDEST <= box[2]
            assert box[1] < y < box[3] - 3
        assert all(below[1] - above[1] >= 14 for above, below in pairwise(rows))


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("name", NETWORKS)
def test_boxes_do_not_overlap_and_lines_cross_none(name: str, direction: str) -> None:
    graph = derived(name)
    shown = read(drawing.svg(graph, direction=direction))
    assert len(shown.boxes) == len(picture(graph).boxes)
    check_geometry(shown)


@pytest.mark.parametrize("seed", range(20))
def test_any_graph_is_laid_out(seed: int) -> None:
    """The check itself, on graphs with long edges, many edges, and boxes of all sizes."""
    draw = np.random.default_rng(seed)

    def f(*inputs: Any) -> Any:
        values = list(inputs)
        for _ in range(25):
            i, j = draw.integers(0, len(values), 2)
            values.append(np.sin(values[i]) if i == j else values[i] * values[j])
        return sum(values)

    graph = cr.trace(f, *[1.0] * (1 + seed % 4))
    notes = {
        v: ["note " * int(draw.integers(0, 6))] * int(draw.integers(0, 4))
        for e in graph.equations
        for v in e.outputs
    }
    check_geometry(read(drawing.svg(graph, notes, direction="down" if seed % 2 else "right")))


def test_the_check_of_the_geometry_can_fail() -> None:
    shown = read(drawing.svg(derived("sigmoid_4_2_3")))
    for wrong in (
        shown._replace(boxes=[shown.boxes[0], *shown.boxes[:-1]]),
        shown._replace(lines=[[(b[0] + 1, b[1] + 1)] for b in shown.boxes]),
        shown._replace(texts=[[(x, y, text + "m" * 30) for x, y, text in rows] for rows in shown.texts]),
    ):
        with pytest.raises(AssertionError):
            check_geometry(wrong)


def test_a_box_has_name_shape_formula_notes_and_cotangent() -> None:
    graph = derived("sigmoid_4_2_3")
    hidden = next(v for e in graph.equations for v in e.outputs if v.hint == "H")
    back = next(v for e in graph.equations for v in e.outputs if v.of is hidden)
    shown = read(drawing.svg(graph, {hidden: "mean 0.5\nmax 1", back: ["norm 2"]}))
    (texts,) = [[t for _, _, t in rows] for rows in shown.texts if rows[0][2].startswith("H")]
    assert texts[0] == "H\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}(150, 2)"
    assert texts[1].startswith("sigmoid(")
    assert texts[2:4] == ["mean 0.5", "max 1"]
    assert texts[4].startswith("d_H = ") and texts[5] == "norm 2"


def test_cotangents_flow_where_parameters_are() -> None:
    shown = picture(derived("sigmoid_4_2_3"))
    names = [b.name for b in shown.boxes]
    back = {(names[a.source], names[a.target]) for a in shown.arrows if a.back}
    forward = {names[a.source] for a in shown.arrows if not a.back}
    assert forward == {"X", "Y"}
    assert {"W1", "W2", "H", "Yhat"} <= {source for source, _ in back}
    svg = read(drawing.svg(derived("sigmoid_4_2_3")))
    assert svg.back == len(back)
    assert "cotangents that flow back" in shown.described
    assert not any(a.back for a in picture(cr.trace(*_call("sigmoid_4_2_3"))).arrows)


def _call(name: str) -> tuple[Any, ...]:
    f, args = NETWORKS[name]
    return f, *args


@pytest.mark.parametrize("write", [drawing.svg, drawing.dot, drawing.mermaid])
def test_a_direction_that_is_none(write: Any) -> None:
    with pytest.raises(InputError, match="direction='up': expected 'down' or 'right'"):
        write(cr.trace(lambda x: x + 1, 1.0), direction="up")


def test_graphs_of_five_hundred_equations_are_laid_out_in_time() -> None:
    def long(x: Any, w: Any) -> Any:
        for _ in range(125):
            y = np.sin(x) * w
            x = y + x / 3
        return x.sum()

    graph = cr.derive(long, np.ones(4), 0.9).graph
    assert len(picture(graph).boxes) > 500
    start = time.perf_counter()
    drawing.svg(graph)
    assert time.perf_counter() - start < 2


def test_edges_too_many_for_lanes_go_straight() -> None:
    count = 300
    edges = [(i, j) for i in range(count) for j in range(i + 1, count)]
    start = time.perf_counter()
    layout = layered([(30.0, 20.0)] * count, edges)
    assert time.perf_counter() - start < 5
    assert len(layout.routes) == len(edges)


SPECIAL = [
    (lambda x: x, (1.0,)),
    (lambda: 3.0, ()),
    (lambda x: (x, 2.0, {"a": x + 1}), (np.ones(3),)),
    (lambda x: np.linalg.eigh(x @ x.T)[0].sum(), (np.ones((2, 2)),)),
    (lambda x: x * np.array([1.0, 2.0]) + np.arange(40.0).reshape(20, 2), (np.ones((20, 2)),)),
]


@pytest.mark.parametrize(("f", "args"), SPECIAL)
def test_small_and_strange_graphs(f: Any, args: tuple[Any, ...]) -> None:
    graph = cr.trace(f, *args)
    check_geometry(read(drawing.svg(graph)))
    check_dot(drawing.dot(graph))
    check_mermaid(drawing.mermaid(graph))


# text for other programs -------------------------------------------------------------------------------------

STRING = r'"(?:[^"\\\n]|\\[\\"l])*"'
ATTRIBUTE = rf"[a-z]+=(?:{STRING}|[a-z]+|\d+)"
DOT_LINES = rf"""
  (?: rankdir=(TB|LR);
    | node\ \[{ATTRIBUTE}(?:,\ {ATTRIBUTE})*\];
    | n\d+\ \[{ATTRIBUTE}(?:,\ {ATTRIBUTE})*\];
    | n\d+\ ->\ n\d+(?:\ \[{ATTRIBUTE}(?:,\ {ATTRIBUTE})*\])?;
  )"""


def check_dot(text: str) -> None:
    """The grammar of what we write: a part of Graphviz's."""
    head, *lines, last, end = text.split("\n")
    assert re.fullmatch(rf"digraph {STRING} \{{", head)
    assert (last, end) == ("}", "")
    assert not [line for line in lines if not re.fullmatch(DOT_LINES, line.strip(), re.VERBOSE)]
    declared = set(re.findall(r"^  (n\d+) \[", text, re.MULTILINE))
    used = {n for pair in re.findall(r"^  (n\d+) -> (n\d+)", text, re.MULTILINE) for n in pair}
    assert used <= declared


def check_mermaid(text: str) -> None:
    lines = text.split("\n")
    assert re.fullmatch(r"flowchart (TD|LR)", lines[0])
    node = r'n\d+\["(?:[^"#<>&`\\|]|#\d+;|<br/>)*"\]:::(input|constant|value|result)'
    link = r"n\d+ (-->|-\.->) n\d+"
    style = r"linkStyle [\d,]+ stroke:#\w{6}|classDef \w+ fill:#\w{6},stroke:#\w{6},color:#\w{6}"
    assert not [line for line in lines[1:-1] if not re.fullmatch(rf"  (?:{node}|{link}|{style})", line)]
    links = len(re.findall(link, text))
    assert all(int(n) < links for found in re.findall(r"linkStyle ([\d,]+)", text) for n in found.split(","))


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("name", NETWORKS)
def test_dot_and_mermaid_are_well_formed(name: str, direction: str) -> None:
    graph = derived(name)
    check_dot(drawing.dot(graph, direction=direction))
    check_mermaid(drawing.mermaid(graph, direction=direction))


@pytest.mark.parametrize("case", ROWS, ids=repr)
def test_every_primitive_is_drawn(case: Case) -> None:
    arrays = [np.asarray(a, float) for a in case.drawn()]
    graph = cr.derive(lambda *args: weighed(case(*args)), *arrays, argnums=tuple(range(len(arrays)))).graph
    assert len(ET.fromstring(drawing.svg(graph)).findall(f".//{SVG}rect")) == 1 + len(picture(graph).boxes)
    check_dot(drawing.dot(graph))
    check_mermaid(drawing.mermaid(graph))
    assert derivation(graph).count("&=") >= len(graph.inputs)


NASTY = 'a < b & "c" \\ #1; `d` | [e] {f} \x07 end\n漢字 ünïcode -->'


def test_text_that_means_something_to_others_is_escaped() -> None:
    graph = cr.trace(lambda x: np.exp(x), 1.0)
    (x,) = graph.inputs
    (out,) = graph.equations[0].outputs
    names = {x: "x<y>&\"'", out: "<script>"}
    svg = drawing.svg(graph, {x: NASTY}, names=names)
    shown = read(svg)
    check_geometry(shown)
    assert shown.texts[0][0][2] == "x<y>&\"'"
    assert [t for _, _, t in shown.texts[0][1:]] == [*NASTY.replace("\x07", "�").split("\n")]
    assert "<script" not in svg
    check_dot(drawing.dot(graph, {x: NASTY}, names=names))
    check_mermaid(drawing.mermaid(graph, {x: NASTY}, names=names))


def test_a_notebook_shows_the_picture() -> None:
    graph = derived("parabola")
    assert graph._repr_svg_() == drawing.svg(graph)


def test_a_picture_says_what_it_is_to_those_who_do_not_see_it() -> None:
    root = ET.fromstring(drawing.svg(derived("sigmoid_4_2_3")))
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "loss"
    assert (root.findtext(f"{SVG}desc") or "").startswith("How loss is computed from W1, W2")
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
