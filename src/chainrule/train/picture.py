"""The loss curve as a picture: SVG, written by hand, so that nothing heavy is needed to look at a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from chainrule.train.training import Epoch

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 76, 28, 104, 62
INK, MUTED, GRID = "#1f2933", "#66727f", "#e4e8ec"
# Blue and vermilion of Okabe and Ito's palette stay apart for colour-blind eyes.
TRAINING, VALIDATION = "#0072b2", "#d55e00"
FONTS = "Inter, Segoe UI, Helvetica Neue, DejaVu Sans, Arial, sans-serif"
PEN: dict[str, str | float] = {"stroke_width": "2.2", "stroke_linejoin": "round", "stroke_linecap": "round"}
UNPRINTABLE = {code: "�" for code in range(32) if chr(code) not in "\t\n\r"}
"""Characters that XML cannot have."""

MAX_POINTS = 1000
"""More epochs than that are thinned out: a screen shows no more, and the file stays small."""


class Scale(NamedTuple):
    """From values to positions: linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The position of a value."""
        low, high, at = (
            (math.log(self.low), math.log(self.high), math.log(max(value, self.low)))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return self.start + (self.end - self.start) * (at - low) / (high - low)


def loss_curve(history: Sequence[Epoch], title: str, loss: str = "loss", kept: Epoch | None = None) -> str:
    """An SVG picture of training and validation loss by epoch.

    Args:
        history: at least one epoch.
        title: the heading.
        loss: what the loss is, such as ``cross-entropy``.
        kept: the epoch whose weights were kept; it is marked.

    >>> epochs = [Epoch(n, 3, 1 / n, 1.1 / n, None, 0.0) for n in (1, 2, 3)]
    >>> loss_curve(epochs, "iris").startswith("<svg")
    True
    """
    x, y = _scales(history)
    described = f"{loss} by epoch" + (", logarithmic scale" if y.logarithmic else "")
    parts = [
        *frame(title, described),
        *vertical_axis(y),
        *_horizontal_axis(x),
        _line(history, x, y, "training_loss", TRAINING),
        _line(history, x, y, "validation_loss", VALIDATION),
        *(_mark(kept, x, y) if kept else ()),
        *_legend(),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _scales(history: Sequence[Epoch]) -> tuple[Scale, Scale]:
    losses = [loss for epoch in history for loss in (epoch.training_loss, epoch.validation_loss)]
    low, high = min(losses), max(losses)
    # A loss that falls by more than a decade is a flat line at the bottom of a linear axis.
    logarithmic = low > 0 and high / low > 8
    if logarithmic:
        low, high = low / 1.15, high * 1.15
    else:
        low, high = min(0.0, low), high * 1.05 if high > 0 else 1.0
    last = max(history[-1].number, 2)
    return Scale(1, last, LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM, TOP, logarithmic)


def ticks(scale: Scale, count: int = 6) -> list[float]:
    """About `count` round numbers within a scale: multiples of 1, 2 or 5 times a power of ten.

    >>> ticks(Scale(0, 1, 0, 100))
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(Scale(0.02, 1.2, 0, 100, logarithmic=True))
    [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    """
    return _logarithmic_ticks(scale, count) if scale.logarithmic else _linear_ticks(scale, count)


def _linear_ticks(scale: Scale, count: int) -> list[float]:
    rough = (scale.high - scale.low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(multiple for multiple in (1, 2, 5, 10) if multiple * power >= rough * 0.999)
    first, last = math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _logarithmic_ticks(scale: Scale, count: int) -> list[float]:
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        values = [float(f"{multiple}e{power}") for power in powers for multiple in multiples]
        within = [value for value in values if scale.low <= value <= scale.high]
        if len(within) <= count + 2:
            return within
    return within[:: math.ceil(len(within) / count)]


# what every picture is made of -----------------------------------------------------------------------------------


def element(name: str, content: str | None = None, /, **attributes: str | float) -> str:
    """An SVG element; the underscores of attribute names stand for hyphens."""
    shown = "".join(f' {key.replace("_", "-")}="{_number(value)}"' for key, value in attributes.items())
    if content is None:
        return f"<{name}{shown}/>"
    return f"<{name}{shown}>{escape(content.translate(UNPRINTABLE))}</{name}>"


def _number(value: str | float) -> str:
    # A tenth of a pixel is finer than any screen.
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def page(pictures: Sequence[str]) -> str:
    """Pictures below one another, as one."""
    height = HEIGHT * len(pictures)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    placed = [one.replace("<svg ", f'<svg y="{HEIGHT * i}" ', 1) for i, one in enumerate(pictures)]
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{"".join(placed)}</svg>\n'


def text(x: float, y: float, content: str, **attributes: str | float) -> str:
    """Words at a place."""
    style: dict[str, str | float] = {"font_size": 13, "fill": MUTED}
    return element("text", content, x=x, y=y, **(style | attributes))


def shortened(name: str, most: int) -> str:
    """A name of at most so many characters: of a longer one the beginning and the end, which tell it from others.

    >>> shortened("measurement of sensor 17", 16), shortened("weight", 16)
    ('measurem…nsor 17', 'weight')
    """
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[-end:]}"


def segment(x1: float, y1: float, x2: float, y2: float, color: str, **attributes: str | float) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=color, **attributes)


def frame(title: str, described: str) -> Iterator[str]:
    """The beginning of a picture, with its heading."""
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONTS}" role="img">'
    yield element("title", title)
    yield element("rect", width=WIDTH, height=HEIGHT, fill="#ffffff")
    yield text(LEFT, 34, shortened(title, 72), font_size=18, font_weight="600", fill=INK)
    yield text(LEFT, 56, described)


def _horizontal_axis(x: Scale) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    yield segment(LEFT, bottom, WIDTH - RIGHT, bottom, MUTED)
    for value in _epoch_ticks(x):
        yield segment(x(value), bottom, x(value), bottom + 5, MUTED)
        yield text(x(value), bottom + 22, f"{value:,.0f}", text_anchor="middle")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "epoch", text_anchor="middle")


def _epoch_ticks(x: Scale) -> list[float]:
    """Whole numbers, the first epoch among them, without those that would touch its label."""
    return [1.0, *(tick for tick in ticks(x, 8) if tick.is_integer() and tick > 1 + (x.high - 1) / 25)]


def vertical_axis(y: Scale) -> Iterator[str]:
    """Lines across the picture, with their values."""
    for value in ticks(y):
        yield segment(LEFT, y(value), WIDTH - RIGHT, y(value), GRID)
        yield text(LEFT - 10, y(value) + 4.5, f"{value:.6g}", text_anchor="end")


def _line(history: Sequence[Epoch], x: Scale, y: Scale, name: str, color: str) -> str:
    stride = math.ceil(len(history) / MAX_POINTS)
    shown = [*history[:-1:stride], history[-1]]
    if len(shown) == 1:
        return element("circle", cx=x(shown[0].number), cy=y(getattr(shown[0], name)), r=3, fill=color)
    points = " ".join(f"{x(epoch.number):.1f},{y(getattr(epoch, name)):.1f}" for epoch in shown)
    return element("polyline", points=points, fill="none", stroke=color, **PEN)


def _mark(kept: Epoch, x: Scale, y: Scale) -> Iterator[str]:
    at_x, at_y = x(kept.number), y(kept.validation_loss)
    # The label stands above the plot, where no curve can cross it.
    yield segment(at_x, TOP - 4, at_x, HEIGHT - BOTTOM, MUTED, stroke_dasharray="3 4")
    yield element("circle", cx=at_x, cy=at_y, r=5, fill="#ffffff", stroke=VALIDATION, stroke_width=2.2)
    label = f"kept: epoch {kept.number}, {kept.validation_loss:.3g}"
    anchor = "start" if at_x < LEFT + 80 else "end" if at_x > WIDTH - RIGHT - 80 else "middle"
    yield text(at_x, TOP - 12, label, fill=INK, text_anchor=anchor)


def _legend() -> Iterator[str]:
    for at, name, color in ((WIDTH - 228, "training", TRAINING), (WIDTH - 122, "validation", VALIDATION)):
        yield segment(at, 52, at + 22, 52, color, **PEN)
        yield text(at + 30, 56, name, fill=INK)
