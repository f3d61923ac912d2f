"""The training steps as a picture: a bar for each library and model, on a logarithmic scale."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

SHOWN = {
    "compiled-loop": ("chainrule, compiled loop", "#0b6e4f"),
    "compiled": ("chainrule, compiled call", "#2fa37c"),
    "facade-compiled": ("PyTorch style, compiled", "#5bb99a"),
    "chainrule": ("chainrule, eager", "#9ad1bd"),
    "jax-loop": ("JAX, fori_loop", "#8a5a00"),
    "jax": ("JAX, a call per step", "#c98a1b"),
    "numpy": ("NumPy by hand", "#7a7a7a"),
    "pytorch": ("PyTorch eager", "#b04a3a"),
}
MODELS = {"xor": "XOR 2-8-1", "iris": "Iris 4-16-3", "small": "20-64-10", "mnist": "784-128-10"}
WIDTH, LEFT, RIGHT, BAR, GAP = 860, 190, 70, 15, 34
FONT = 'font-family="system-ui, sans-serif" font-size="12"'


def picture(steps: Mapping[str, Any]) -> str:
    """An SVG of what was measured: one group of bars for each model, µs per step."""
    groups = [
        (title, {name: times[name] for name in SHOWN if name in times})
        for model, title in MODELS.items()
        if (times := steps.get(model, {}).get("microseconds"))
    ]
    if not groups:
        raise SystemExit("nothing was measured that the picture shows")
    scale = Scale([time for _, times in groups for time in times.values()])
    parts, top = [], 36
    for title, times in groups:
        parts.append(text(8, top + BAR * len(times) / 2 + 4, title, 'font-weight="bold"'))
        for name, time in times.items():
            parts.append(bar(top, time, scale, *SHOWN[name]))
            top += BAR + 2
        top += GAP - BAR
    return svg(
        [*lines(scale, top - 10), *parts, text(LEFT, 18, "µs per training step (logarithmic)")], top + 16
    )


class Scale:
    """From a time to a place, between powers of ten."""

    def __init__(self, times: Sequence[float]) -> None:
        self.first, self.last = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))

    def __call__(self, time: float) -> float:
        share = (math.log10(time) - self.first) / (self.last - self.first)
        return LEFT + 130 + share * (WIDTH - LEFT - 130 - RIGHT)


def bar(top: float, time: float, scale: Scale, title: str, colour: str) -> str:
    start, end = LEFT + 130, scale(time)
    shown = f"{time:.1f}" if time < 100 else f"{time:.0f}"
    return (
        text(start - 8, top + BAR - 4, title, 'text-anchor="end"')
        + f'<rect x="{start}" y="{top}" width="{end - start:.1f}" height="{BAR}" fill="{colour}"/>'
        + text(end + 5, top + BAR - 4, shown)
    )


def lines(scale: Scale, bottom: float) -> list[str]:
    found = []
    for power in range(scale.first, scale.last + 1):
        place = scale(10.0**power)
        found.append(f'<line x1="{place:.1f}" x2="{place:.1f}" y1="28" y2="{bottom}" stroke="#ddd"/>')
        found.append(text(place, bottom + 14, f"{10.0**power:g}", 'text-anchor="middle" fill="#666"'))
    return found


def text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {FONT} {more}>{escape(words)}</text>'


def svg(parts: Sequence[str], height: float) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )
