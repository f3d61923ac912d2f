"""A picture as SVG, laid out and written here, so that nothing has to be installed to see a graph."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from html import escape
from itertools import pairwise

from chainrule.graph.emit.layout import Layout, Point, layered
from chainrule.graph.emit.picture import Arrow, Box, Picture

MARGIN, PADDING, LINE, SIZE = 16.0, 10.0, 17.0, 12.0
HEADING = 30.0
CHARACTER = 0.625 * SIZE
"""The widest of the usual monospaced fonts is 0.61 em wide."""
LONGEST = 46
"""A longer line in a box is cut; the box's tooltip has it whole."""
GAP = 2 * "\N{NO-BREAK SPACE}"
"""Of several spaces, SVG keeps one; of those that do not break, all."""
APART, HEAD = 4.0, 5.0
"""Half the distance between an arrow and the one back, and the length of its head."""
STYLE = """
.chainrule { color-scheme: light dark; font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.chainrule .paper { fill: #ffffff; } .chainrule text { fill: #1f2933; }
.chainrule .name { font-weight: 600; } .chainrule .shape, .chainrule .note { fill: #5b6772; }
.chainrule .back { fill: #b34700; } .chainrule rect { stroke: #66727f; fill: #ffffff; }
.chainrule .input rect { fill: #e3f0fa; stroke: #0072b2; } .chainrule .constant rect { fill: #f1f3f5; }
.chainrule .result rect { fill: #e5f5ee; stroke: #00805a; stroke-width: 1.6; }
.chainrule path { fill: none; stroke: #66727f; stroke-width: 1.3; }
.chainrule path.head { fill: #66727f; stroke: none; }
.chainrule .flow path { stroke: #d55e00; stroke-dasharray: 5 3; } .chainrule .flow path.head { fill: #d55e00; }
@media (prefers-color-scheme: dark) {
.chainrule .paper { fill: #15191e; } .chainrule text { fill: #e6e9ec; }
.chainrule .shape, .chainrule .note { fill: #a3adb8; } .chainrule .back { fill: #ff9d5c; }
.chainrule rect { fill: #20262d; stroke: #8794a1; } .chainrule .input rect { fill: #12303f; stroke: #4fb0e5; }
.chainrule .constant rect { fill: #2a3038; } .chainrule .result rect { fill: #12352a; stroke: #3cc79a; }
.chainrule path { stroke: #8794a1; } .chainrule path.head { fill: #8794a1; }
.chainrule .flow path { stroke: #ff9d5c; } .chainrule .flow path.head { fill: #ff9d5c; }
}"""


def drawn(shown: Picture, sideways: bool = False) -> str:
    """The SVG of a picture: top to bottom, or left to right."""
    sizes = [size_of(box) for box in shown.boxes]
    edges = [(arrow.source, arrow.target) for arrow in shown.arrows]
    layout = layered([size[::-1] for size in sizes] if sideways else sizes, edges)
    if sideways:
        layout = _turned(layout)
    width, height = layout.extent.along + 2 * MARGIN, layout.extent.across + 2 * MARGIN
    legend = any(arrow.back for arrow in shown.arrows)
    width, height = max(width, 250.0 if legend else 0.0), height + (HEADING if legend else 0.0)
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} class="chainrule" role="img">',
        f"<title>{_escaped(shown.name)}</title>",
        f"<desc>{_escaped(shown.described)}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" style="stroke: none"/>',
        f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">',
        *_arrows(shown.arrows, layout, sizes, sideways),
        *(_box(box, at, size) for box, at, size in zip(shown.boxes, layout.centres, sizes, strict=True)),
        "</g>",
        *(_legend(height) if legend else ()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def size_of(box: Box) -> tuple[float, float]:
    """The width and the height of a box, its lines being in a monospaced font.

    >>> size_of(Box("input", "X", "(150, 4)", (), ()))
    (102.5, 37.0)
    """
    longest = max(_length(line) for line in [_head(box), *map(_cut, (*box.lines, *box.cotangent))])
    lines = 1 + len(box.lines) + len(box.cotangent)
    return longest * CHARACTER + 2 * PADDING, lines * LINE + 2 * PADDING


def _head(box: Box) -> str:
    return f"{_cut(box.name)}  {box.shape}" if box.shape else _cut(box.name)


def _length(line: str) -> int:
    """The width of a text in characters; those of East Asian scripts are twice as wide."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _turned(layout: Layout) -> Layout:
    """The layout with its layers from left to right."""

    def turn(point: Point) -> Point:
        return Point(point.across, point.along)

    routes = [[(turn(a), turn(b)) for a, b in route] for route in layout.routes]
    return Layout([turn(c) for c in layout.centres], routes, turn(layout.extent))


# arrows ------------------------------------------------------------------------------------------------------


def _arrows(
    arrows: list[Arrow], layout: Layout, sizes: list[tuple[float, float]], sideways: bool
) -> Iterator[str]:
    """Forward arrows, and beside them, dashed and in another colour, those of the cotangents."""
    ends = _ends(arrows, layout, sizes, sideways)
    for arrow, route, (start, end) in zip(arrows, layout.routes, ends, strict=True):
        aside = APART if arrow.back else 0.0
        points = _shifted(route, start, end, sideways)
        yield f'<g class="edge">{_line(points, -aside, sideways, False)}</g>'
        if arrow.back:
            yield f'<g class="flow">{_line(points, aside, sideways, True)}</g>'


def _ends(
    arrows: list[Arrow], layout: Layout, sizes: list[tuple[float, float]], sideways: bool
) -> list[tuple[float, float]]:
    """How far from the middle of its boxes each arrow begins and ends: they keep the order they come in."""
    found = [[0.0, 0.0] for _ in arrows]
    for side, of in ((0, "source"), (1, "target")):
        groups: dict[int, list[int]] = {}
        for i, arrow in enumerate(arrows):
            groups.setdefault(getattr(arrow, of), []).append(i)
        for box, group in groups.items():
            # What leaves a box for the same lane shares its line.
            toward = {
                i: round(_place(layout.routes[i][1 if side == 0 else -2][1 - side], sideways), 3)
                for i in group
            }
            places = sorted(set(toward.values()))
            width = sizes[box][1 if sideways else 0] - 2 * PADDING
            step = min(24.0, width / len(places))
            for i in group:
                found[i][side] = (places.index(toward[i]) - (len(places) - 1) / 2) * step
    return [(start, end) for start, end in found]


def _place(point: Point, sideways: bool) -> float:
    return point.across if sideways else point.along


def _shifted(
    route: list[tuple[Point, Point]], start: float, end: float, sideways: bool
) -> list[tuple[Point, Point]]:
    offsets = [start, *[0.0] * (len(route) - 2), end]
    return [
        (_moved(a, by, sideways), _moved(b, by, sideways)) for (a, b), by in zip(route, offsets, strict=True)
    ]


def _moved(point: Point, by: float, sideways: bool) -> Point:
    return Point(point.along, point.across + by) if sideways else Point(point.along + by, point.across)


def _line(route: list[tuple[Point, Point]], aside: float, sideways: bool, back: bool) -> str:
    """A smooth line along a route, and its head."""
    pieces = [(_moved(a, aside, sideways), _moved(b, aside, sideways)) for a, b in route]
    start, end = pieces[0][0], pieces[-1][1]
    path = [f"M{_xy(start)}"]
    for (_, before), (after, _) in pairwise(pieces):
        x, y = (before.along + after.along) / 2, (before.across + after.across) / 2
        bends = (Point(x, before.across), Point(x, after.across)) if sideways else (
            Point(before.along, y), Point(after.along, y)
        )  # fmt: skip
        path.append(f"L{_xy(before)} C{_xy(bends[0])} {_xy(bends[1])} {_xy(after)}")
    path.append(f"L{_xy(end)}")
    tip, sign = (start, -1.0) if back else (end, 1.0)
    return f'<path d="{" ".join(path)}"/>{_head_of(tip, sign, sideways)}'


def _head_of(tip: Point, sign: float, sideways: bool) -> str:
    half = HEAD * 0.6
    base = [(-sign * HEAD, -half), (-sign * HEAD, half)]
    corners = [
        (tip.along + f, tip.across + s) if sideways else (tip.along + s, tip.across + f) for f, s in base
    ]
    return f'<path class="head" d="M{_xy(tip)} L{_xy(Point(*corners[0]))} L{_xy(Point(*corners[1]))}Z"/>'


def _xy(point: Point) -> str:
    return f"{point.along:.1f} {point.across:.1f}"


# boxes -------------------------------------------------------------------------------------------------------


def _box(box: Box, at: Point, size: tuple[float, float]) -> str:
    left, top = at.along - size[0] / 2, at.across - size[1] / 2
    x, y = f"{left + PADDING:.1f}", top + PADDING + LINE * 0.72
    shape = f'<tspan class="shape" font-weight="400">{GAP}{_escaped(box.shape)}</tspan>' if box.shape else ""
    rows = [f'<text class="name" x="{x}" y="{y:.1f}">{_escaped(_cut(box.name))}{shape}</text>']
    styled = [
        *((line, "line" if i == 0 else "note") for i, line in enumerate(box.lines)),
        *((line, "back") for line in box.cotangent),
    ]
    for i, (line, style) in enumerate(styled, 1):
        shown = _escaped(_cut(line)).replace("  ", GAP)
        rows.append(f'<text class="{style}" x="{x}" y="{y + i * LINE:.1f}">{shown}</text>')
    rectangle = f'<rect x="{left:.1f}" y="{top:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" rx="5"/>'
    return f'<g class="{box.kind}"><title>{_escaped(box.whole)}</title>{rectangle}{"".join(rows)}</g>'


def _legend(height: float) -> Iterator[str]:
    y = height - HEADING / 2
    yield f'<g class="edge"><path d="M{MARGIN:.0f} {y:.1f} h24"/></g>'
    yield f'<text class="note" x="{MARGIN + 30:.0f}" y="{y + 4:.1f}">value</text>'
    yield f'<g class="flow"><path d="M{MARGIN + 84:.0f} {y:.1f} h24"/></g>'
    yield f'<text class="note" x="{MARGIN + 114:.0f}" y="{y + 4:.1f}">cotangent</text>'


def _escaped(text: str) -> str:
    """Text as XML takes it: control characters have no place in it."""
    return escape(
        "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") else "�" for c in text)
    )
