"""How good a model is, as pictures: ROC curves of classes, predicted against true numbers, columns by importance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.train.metrics import area_under_roc
from chainrule.train.picture import (
    BOTTOM,
    GRID,
    HEIGHT,
    INK,
    LEFT,
    MUTED,
    PEN,
    RIGHT,
    TOP,
    TRAINING,
    VALIDATION,
    WIDTH,
    Scale,
    element,
    frame,
    segment,
    shortened,
    text,
    ticks,
    vertical_axis,
)
from chainrule.train.tasks import Classification, Evaluation, Regression, softmax

COLORS = (TRAINING, VALIDATION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette."""

MOST_CURVES, MOST_POINTS, MOST_BARS = 7, 400, 12

SQUARE = HEIGHT - BOTTOM - TOP
"""Both axes of these pictures have the same length, so that their diagonal is one."""


def quality(evaluation: Evaluation, task: Classification | Regression) -> str:
    """The picture that fits the task: ROC curves, or predicted against true values."""
    if isinstance(task, Classification):
        return roc(evaluation.targets, softmax(evaluation.outputs), task.target.classes, evaluation.part)
    actual, predicted = (task.target.decode(values) for values in (evaluation.targets, evaluation.outputs))
    return predicted_against_true(actual, predicted, task.target.name, evaluation.part)


def roc(targets: NDArray[Any], shares: NDArray[Any], classes: Sequence[str], part: str = "test") -> str:
    """For each class, how many of its rows are found by how many false alarms; of two classes, the second.

    >>> roc(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), ["no", "yes"]).startswith("<svg")
    True
    """
    chosen = [1] if len(classes) == 2 else list(range(len(classes)))
    curves = [i for i in chosen if 0 < int((targets == i).sum()) < len(targets)]
    x, y = Scale(0, 1, LEFT, LEFT + SQUARE), Scale(0, 1, HEIGHT - BOTTOM, TOP)
    parts = [*frame("ROC", f"on the {part} part: rows of the class that are found, by false alarms")]
    parts += _square(x, y, "false alarms", "found")
    for place, i in enumerate(curves[:MOST_CURVES]):
        color, positive = COLORS[place], targets == i
        alarms, found = _rates(positive, shares[:, i])
        points = " ".join(f"{x(a):.1f},{y(f):.1f}" for a, f in zip(alarms, found, strict=True))
        parts.append(element("polyline", points=points, fill="none", stroke=color, **PEN))
        label = f"{shortened(classes[i], 28)} · area {area_under_roc(positive, shares[:, i]):.3f}"
        parts += _legend(place, label, color)
    if len(curves) > MOST_CURVES:
        parts.append(
            text(LEFT + SQUARE + 40, TOP + 20 + 24 * MOST_CURVES, f"and {len(curves) - MOST_CURVES} more")
        )
    return "\n".join([*parts, "</svg>\n"])


def predicted_against_true(
    actual: NDArray[Any], predicted: NDArray[Any], name: str, part: str = "test"
) -> str:
    """A point for each row: what is true, and what is predicted; on the diagonal both are the same.

    >>> predicted_against_true(np.array([1.0, 2.0]), np.array([1.5, 2.0]), "mpg").startswith("<svg")
    True
    """
    low, high = (float(f([actual.min(), predicted.min(), actual.max(), predicted.max()])) for f in (min, max))
    margin = 0.04 * (high - low) or 1.0
    x = Scale(low - margin, high + margin, LEFT, LEFT + SQUARE)
    y = Scale(low - margin, high + margin, HEIGHT - BOTTOM, TOP)
    parts = [*frame(f"{name}: predicted and true", f"on the {part} part, a point for each row")]
    parts += _square(x, y, "true", "predicted")
    stride = math.ceil(len(actual) / MOST_POINTS)
    for a, p in zip(actual[::stride].tolist(), predicted[::stride].tolist(), strict=True):
        parts.append(element("circle", cx=x(a), cy=y(p), r=3.2, fill=TRAINING, fill_opacity="0.55"))
    return "\n".join([*parts, "</svg>\n"])


def importance_bars(importance: Mapping[str, float], score: str) -> str:
    """A bar for each column, the longest first.

    >>> importance_bars({"petal_length": 0.4, "sepal_width": -0.01}, "accuracy").startswith("<svg")
    True
    """
    shown = list(importance.items())[:MOST_BARS]
    longest = max([value for _, value in shown] + [1e-12])
    low = min([value for _, value in shown] + [0.0])
    x = Scale(max(low, -longest), longest, 250, WIDTH - 90)
    parts = [
        *frame("Importance of the columns", f"how much worse the {score} gets when a column is shuffled")
    ]
    step = (HEIGHT - TOP - 20) / max(len(shown), 1)
    for place, (name, value) in enumerate(shown):
        middle = TOP + step * (place + 0.5)
        start, end = sorted((x(0.0), x(max(value, x.low))))
        height = min(22.0, step - 4)
        parts.append(
            element("rect", x=start, y=middle - height / 2, width=end - start, height=height, fill=TRAINING)
        )
        parts.append(text(x.start - 14, middle + 4.5, shortened(name, 26), text_anchor="end", fill=INK))
        parts.append(text(end + 8, middle + 4.5, f"{value:.3g}"))
    return "\n".join([*parts, segment(x(0.0), TOP, x(0.0), HEIGHT - 20, MUTED), "</svg>\n"])


def _rates(positive: NDArray[Any], scores: NDArray[Any]) -> tuple[list[float], list[float]]:
    """False alarms and finds by falling threshold; rows of equal score come together."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    found, alarms = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
    kept = np.unique(np.linspace(0, len(last) - 1, min(len(last), MOST_POINTS)).astype(int))
    return ([0.0, *(alarms[kept] / alarms[-1]).tolist()], [0.0, *(found[kept] / found[-1]).tolist()])


def _square(x: Scale, y: Scale, x_name: str, y_name: str) -> Iterator[str]:
    narrow = [line.replace(f'x2="{WIDTH - RIGHT}"', f'x2="{x.end}"') for line in vertical_axis(y)]
    yield from narrow
    bottom = HEIGHT - BOTTOM
    for value in ticks(x):
        yield segment(x(value), bottom, x(value), TOP, GRID)
        yield text(x(value), bottom + 22, f"{value:.6g}", text_anchor="middle")
    yield segment(x.start, y.start, x.end, y.end, MUTED, stroke_dasharray="3 4")
    yield text((x.start + x.end) / 2, HEIGHT - 14, x_name, text_anchor="middle")
    yield text(LEFT, TOP - 12, y_name)


def _legend(place: int, label: str, color: str) -> Iterator[str]:
    at_x, at_y = LEFT + SQUARE + 40, TOP + 16 + 24 * place
    yield segment(at_x, at_y, at_x + 22, at_y, color, **PEN)
    yield text(at_x + 30, at_y + 4.5, label, fill=INK)
