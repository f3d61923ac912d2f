"""Linear models as baselines: ridge regression in closed form, softmax regression by a bound on its curvature."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.train.tasks import softmax

PENALTY = 1.0
"""Of the squared weights, as is usual for standardised inputs; the bias has none."""

MOST_ROWS = 50_000
"""More rows would hardly change so few weights."""

STEPS, TOLERANCE = 300, 1e-6


def ridge(features: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Weights of the linear function of least squared error, the bias last: shape (inputs + 1, outputs).

    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> ridge(x, 3 * x + 1).round(1)
    array([[3.],
           [1.]])
    """
    inputs = with_bias(features)
    return np.linalg.solve(_curvature(inputs), inputs.T @ targets)


def softmax_regression(features: NDArray[Any], labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Weights of a linear softmax model, the bias last: shape (inputs + 1, classes).

    The curvature of the loss is at most half that of least squares (Böhning 1992), so each step solves with one and
    the same matrix, and never overshoots; momentum as Nesterov (1983).

    >>> x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> weights = softmax_regression(x, np.array([0, 0, 1, 1]), 2)
    >>> (with_bias(x) @ weights).argmax(1)
    array([0, 0, 1, 1])
    """
    inputs, wanted = with_bias(features), np.eye(classes)[labels]
    inverse = np.linalg.inv(_curvature(inputs, 0.5))
    penalty = PENALTY * _penalised(inputs.shape[1])[:, None]
    weights = ahead = np.zeros((inputs.shape[1], classes))
    for step in range(STEPS):
        slope = inputs.T @ (softmax(inputs @ ahead) - wanted) + penalty * ahead
        before, weights = weights, ahead - inverse @ slope
        ahead = weights + step / (step + 3) * (weights - before)
        if np.abs(slope).max() < TOLERANCE * len(inputs):
            break
    return weights


def with_bias(features: NDArray[Any]) -> NDArray[Any]:
    """The inputs and a column of ones."""
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _curvature(inputs: NDArray[Any], factor: float = 1.0) -> NDArray[Any]:
    # A trace on the bias too, so that the matrix can be solved whatever the columns are.
    diagonal = PENALTY * _penalised(inputs.shape[1]) + 1e-9 * len(inputs)
    curvature: NDArray[Any] = factor * inputs.T @ inputs + np.diag(diagonal)
    return curvature


def _penalised(count: int) -> NDArray[Any]:
    return np.append(np.ones(count - 1), 0.0)
