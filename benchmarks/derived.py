"""The function that `derive` writes against one that a person wrote: a 4-2-3 sigmoid network on 150 rows."""

from typing import Any

import numpy as np

from benchmarks.measure import alternate, microseconds, ratio
from benchmarks.report import Finding

MOST = 1.10
SECONDS = 4.0
ROWS = 150


def derived_speed() -> list[Finding]:
    """Value and gradient, at the same arrays; refused where the two disagree."""
    import chainrule as cr

    draw = np.random.default_rng(0)
    X, Y = draw.normal(size=(ROWS, 4)), np.eye(3)[draw.integers(0, 3, ROWS)]
    weights = draw.normal(size=(4, 2)), draw.normal(size=(2, 3))

    def loss(W1: Any, W2: Any) -> Any:
        H = 1 / (1 + np.exp(-(X @ W1)))
        Yhat = 1 / (1 + np.exp(-(H @ W2)))
        return ((Yhat - Y) ** 2).sum() / (2 * len(X))

    derived = cr.derive(loss, *weights).function
    if not agree(derived(*weights), by_hand(*weights, X, Y)):
        return [Finding("derived 4-2-3 network", "disagrees with the one by hand", "", False)]
    steps = {"derived": lambda: derived(*weights), "by hand": lambda: by_hand(*weights, X, Y)}
    timings = alternate(steps, SECONDS)
    share = ratio(timings, "derived", "by hand")
    measured = f"{share:.2f} ({microseconds(timings, 'derived'):.1f} µs)"
    return [Finding("derived 4-2-3 network / by hand", measured, f"<= {MOST:.2f}", share <= MOST)]


def by_hand(W1: Any, W2: Any, X: Any, Y: Any) -> Any:
    """As one would write it for speed and no more: exp may overflow, with a warning."""
    H = 1 / (1 + np.exp(-(X @ W1)))
    Yhat = 1 / (1 + np.exp(-(H @ W2)))
    D = Yhat - Y
    loss = (D**2).sum() / (2 * len(X))
    d_O = D / len(X) * Yhat * (1 - Yhat)
    d_W2 = H.T @ d_O
    d_Z = d_O @ W2.T * H * (1 - H)
    return loss, (X.T @ d_Z, d_W2)


def agree(first: Any, second: Any) -> bool:
    """Whether two values and gradients are equal to rounding."""
    (value, gradient), (other, others) = first, second
    return np.isclose(value, other, rtol=1e-12) and all(
        np.allclose(a, b, rtol=1e-10, atol=1e-14) for a, b in zip(gradient, others, strict=True)
    )
