"""What a run and a prediction look like as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.train import Evaluation, Prediction


def metrics_table(evaluation: Evaluation, rows: int) -> str:
    """The metrics beside the baseline's.

    >>> print(metrics_table(Evaluation({"MAE": 2.0}, {"MAE": 6.5}, "always 23, the mean", None), 80))
    80 held-out rows    network    always 23, the mean
    MAE                   2.000                  6.500
    """
    header = [f"{rows} held-out rows", "network", evaluation.guess]
    body = [
        [name, f"{value:.3f}", f"{evaluation.baseline[name]:.3f}"]
        for name, value in evaluation.metrics.items()
    ]
    return aligned([header, *body])


def confusion_text(confusion: Any, classes: Sequence[str]) -> str:
    r"""The confusion table with its classes.

    >>> print(confusion_text([[5, 1], [0, 6]], ["no", "yes"]))
    actual \ predicted    no    yes
    no                     5      1
    yes                    0      6
    """
    header = ["actual \\ predicted", *classes]
    return aligned([header, *([name, *map(str, row)] for name, row in zip(classes, confusion, strict=True))])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "    ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


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
