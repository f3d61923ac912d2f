"""Experiments in backpropagation by hand, done with the engine, to the last digit."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import data


def iris() -> tuple[Any, Any]:
    """Measurements (150, 4) and one-hot species (150, 3), in the order of the table."""
    *measurements, species = data.load("iris").columns
    one_hot = species.values[:, None] == np.unique(species.values)
    return np.stack([column.values for column in measurements], axis=1), one_hot.astype(float)


def forward(W1: Any, W2: Any, X: Any) -> Any:
    hidden = 1 / (1 + np.exp(-(X @ W1)))
    return 1 / (1 + np.exp(-(hidden @ W2)))


def test_one_step_of_a_sigmoid_network_on_iris() -> None:
    X, Y = iris()
    np.random.seed(10)
    W1, W2 = np.random.normal(scale=0.5, size=(4, 2)), np.random.normal(scale=0.5, size=(2, 3))

    def loss(W1: Any, W2: Any) -> Any:
        # The mean is over the 450 entries of Y here, and not over the 150 flowers.
        return ((forward(W1, W2, X) - Y) ** 2).sum() / (2 * Y.size)

    before, (g1, g2) = cr.value_and_grad(loss, argnums=(0, 1))(W1, W2)
    after = loss(W1 - 0.1 * g1, W2 - 0.1 * g2)
    assert abs(before - 0.13761957836254335) < 1e-15
    assert abs(after - 0.13730616116287855) < 1e-15


def test_the_gradient_by_hand_is_the_engines() -> None:
    X, Y = iris()
    rng = np.random.default_rng(0)
    W1, W2 = rng.normal(size=(4, 2)), rng.normal(size=(2, 3))
    hidden = 1 / (1 + np.exp(-(X @ W1)))
    out = 1 / (1 + np.exp(-(hidden @ W2)))
    delta = (out - Y) * out * (1 - out) / len(X)
    by_hand = X.T @ (delta @ W2.T * hidden * (1 - hidden)), hidden.T @ delta

    def loss(W1: Any, W2: Any) -> Any:
        return ((forward(W1, W2, X) - Y) ** 2).sum() / (2 * len(X))

    for ours, theirs in zip(cr.grad(loss, argnums=(0, 1))(W1, W2), by_hand, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)
