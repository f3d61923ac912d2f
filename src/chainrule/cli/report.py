"""What a run and a prediction look like as text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.train import Evaluation, Parts, Prediction

SHOWN = 8
"""How many columns are named in one line."""

WIDTH = 120
"""Characters of the widest table."""


def columns_table(parts: Parts) -> Iterator[str]:
    """What is made of the columns, in lines; none where all are numbers and complete, which is what one expects."""
    preparation = parts.preparation
    groups: dict[tuple[str, str], list[str]] = {}
    for feature in preparation.features:
        lacking = parts.missing.get(feature.name, 0)
        mark = ", missing marked" if getattr(feature, "indicator", False) else ""
        shown = f"{feature.name} ({lacking} missing)" if lacking else feature.name
        groups.setdefault((feature.kind, feature.treatment + mark), []).append(shown)
    for name, reason in preparation.left_out:
        groups.setdefault(("left out", reason), []).append(name)
    if list(groups) != [("numeric", "standardised")]:
        width = max(len(kind) for kind, _ in groups)
        for (kind, treatment), names in groups.items():
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            yield f"  {kind.ljust(width)}  {', '.join(names[:SHOWN])}{more}: {treatment}"
    if parts.dropped:
        yield f"rows without {preparation.target.name} left out: {parts.dropped}"


def metrics_table(evaluation: Evaluation) -> str:
    """The metrics beside the baselines'.

    >>> metrics, baselines = {"MAE": 2.0}, {"always 23, the mean": {"MAE": 6.5}}
    >>> print(metrics_table(Evaluation("test", 80, metrics, baselines, None, np.empty(0), np.empty(0))))
    80 test rows    network    always 23, the mean
    MAE               2.000                  6.500
    """
    header = [f"{evaluation.rows} {evaluation.part} rows", "network", *evaluation.baselines]
    body = [
        [name, *(_figure(values[name]) for values in (evaluation.metrics, *evaluation.baselines.values()))]
        for name in evaluation.metrics
    ]
    return aligned([header, *body])


def _figure(value: float) -> str:
    """A metric to three decimals, without a minus before 0.

    >>> _figure(-0.0001), _figure(math.nan)
    ('0.000', 'nan')
    """
    return f"{round(value, 3) + 0:.3f}"


def folds_table(folds: Sequence[Evaluation]) -> str:
    """Mean and standard deviation of the metrics over the folds; the guess differs by fold."""
    names = ["network", "linear model", "guess"]
    header = [f"mean of {len(folds)} folds ± deviation", *names]
    columns = [[fold.metrics, *fold.baselines.values()] for fold in folds]
    body = [
        [name, *(_spread([one[i][name] for one in columns]) for i in range(len(names)))]
        for name in folds[0].metrics
    ]
    return aligned([header, *body])


def _spread(values: Sequence[float]) -> str:
    return f"{_figure(float(np.mean(values)))} ± {np.std(values, ddof=1):.3f}"


def importance_text(importance: Mapping[str, float], score: str) -> str:
    """The most important columns on one line.

    >>> importance_text({"weight": 2.5, "year": 1.25}, "MAE")
    'with a column shuffled, MAE gets worse by: weight 2.5 · year 1.25'
    """
    shown = " · ".join(f"{name} {value:.3g}" for name, value in list(importance.items())[:SHOWN])
    return f"with a column shuffled, {score} gets worse by: {shown}"


def metrics_with_doubt(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """The metrics for JSON, which has no NaN: None where one is not defined."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def confusion_text(confusion: Any, classes: Sequence[str]) -> str:
    r"""The confusion table with its classes; where that is too wide to be read, the most frequent mistakes.

    >>> print(confusion_text([[5, 1], [0, 6]], ["no", "yes"]))
    actual \ predicted    no    yes
    no                     5      1
    yes                    0      6
    """
    header = ["actual \\ predicted", *classes]
    table = aligned([header, *([name, *map(str, row)] for name, row in zip(classes, confusion, strict=True))])
    return table if table.index("\n") <= WIDTH else _mistakes_text(np.asarray(confusion), classes)


def _mistakes_text(confusion: Any, classes: Sequence[str]) -> str:
    """The pairs of classes that are confused most often.

    >>> print(_mistakes_text(np.array([[5, 1, 0], [0, 6, 0], [2, 0, 1]]), ["cat", "dog", "fox"]))
    most frequent mistakes    rows
    fox taken for cat            2
    cat taken for dog            1
    """
    wrong = confusion * (1 - np.eye(len(classes), dtype=int))
    pairs = [np.unravel_index(i, wrong.shape) for i in np.argsort(-wrong, axis=None, kind="stable")[:SHOWN]]
    rows = [[f"{classes[a]} taken for {classes[p]}", f"{wrong[a, p]}"] for a, p in pairs if wrong[a, p]]
    return aligned([["most frequent mistakes", "rows"], *rows]) if rows else "no row was mistaken"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "    ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def aligned_left(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, all to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def unknown_text(unknown: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Notes on categories that training did not know.

    >>> list(unknown_text({"island": ["Java", ""]}))
    ["island: not known from training, taken as other: 'Java', nothing"]
    """
    for name, texts in unknown.items():
        shown = ", ".join(repr(text) if text else "nothing" for text in texts[:5])
        more = f" and {len(texts) - 5} more" if len(texts) > 5 else ""
        yield f"{name}: not known from training, taken as other: {shown}{more}"


def csv_line(cells: Sequence[Any]) -> str:
    """Cells as a line of a CSV file, without its end.

    >>> csv_line(["27.5", "Rome, Italy"])
    '27.5,"Rome, Italy"'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def prediction_text(prediction: Prediction, target: str) -> str:
    """A prediction on one line.

    >>> prediction_text(Prediction("yes", {"no": 0.25, "yes": 0.75}), "spam")
    'yes    no 0.250 · yes 0.750'
    >>> prediction_text(Prediction(23.456), "mpg")
    'mpg 23.46'
    """
    if not prediction.probabilities:
        return f"{target} {prediction.value:.4g}"
    shares = " · ".join(f"{name} {share:.3f}" for name, share in prediction.probabilities.items())
    return f"{prediction.value}    {shares}"
