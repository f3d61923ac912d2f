"""How much worse a model predicts without a column: its values shuffled among the rows (Breiman 2001)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Examples, Preparation
from chainrule.train.tasks import Task

MOST_ROWS, REPEATS = 2000, 5


def permutation_importance(
    outputs: Callable[[NDArray[Any]], NDArray[Any]],
    preparation: Preparation,
    examples: Examples,
    task: Task,
    seed: int = 0,
) -> dict[str, float]:
    """By how much the score gets worse when a column is shuffled, by column, the most important first.

    All inputs that a column became are shuffled together; the mean of five times, on at most 2000 rows.
    """
    generator = np.random.default_rng(seed)
    part = examples.take(slice(MOST_ROWS))
    score = task.score(outputs(part.features), part.targets)
    worse = {}
    for feature, place in preparation.places():
        scores = []
        for _ in range(REPEATS):
            shuffled = part.features.copy()
            shuffled[:, place] = shuffled[generator.permutation(part.rows), place]
            scores.append(task.score(outputs(shuffled), part.targets))
        worse[feature.name] = task.better * (score - float(np.mean(scores)))
    return dict(sorted(worse.items(), key=lambda item: -item[1]))
