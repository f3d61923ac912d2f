"""The functions of the golden listings."""

from typing import Any

import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(150, 4))
Y = np.eye(3)[rng.integers(0, 3, 150)]
y = rng.integers(0, 2, 150).astype(float)


def parabola(x: Any) -> Any:
    return x**2 + 4 * x


def log_loss(w: Any, b: Any) -> Any:
    p = 1 / (1 + np.exp(-(X @ w + b)))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def loss(W1: Any, W2: Any) -> Any:
    H = 1 / (1 + np.exp(-(X @ W1)))
    Yhat = 1 / (1 + np.exp(-(H @ W2)))
    return ((Yhat - Y) ** 2).sum() / (2 * len(X))


def error(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """A 4-3-1 network."""
    h = np.tanh(np.dot(X, W1) + b1)
    out = 1 / (1 + np.exp(-(h.dot(W2) + b2)))
    E = out - y[:, None]
    return 0.5 * np.mean(E**2)


def softmax_loss(W: Any, b: Any) -> Any:
    Z = X @ W + b
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    return -np.sum(Y * np.log(P)) / len(X)


def normalised(W: Any, gamma: Any, beta: Any) -> Any:
    """A layer with batch normalisation."""
    Z = X @ W
    Zhat = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-5)
    out = gamma * Zhat + beta
    return np.sum(out**2)


def recurrent(Wx: Any, Wh: Any) -> Any:
    h = np.zeros(3)
    for x in X[:3]:
        h = np.tanh(Wx @ x + Wh @ h)
    return np.sum(h**2)


def relu_loss(params: Any) -> Any:
    A = X
    for layer in params[:-1]:
        A = np.maximum(A @ layer["W"] + layer["b"], 0)
    Yhat = A @ params[-1]["W"] + params[-1]["b"]
    return np.mean((Yhat - Y) ** 2)


def weights(*shapes: tuple[int, ...]) -> list[Any]:
    draw = np.random.default_rng(1)
    return [draw.normal(size=shape) for shape in shapes]


layers = [
    {"W": w, "b": b} for w, b in zip(weights((4, 5), (5, 6), (6, 3)), weights((5,), (6,), (3,)), strict=True)
]
NETWORKS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "parabola": (parabola, (3.0,)),
    "log_loss": (log_loss, (*weights((4,)), 0.3)),
    "sigmoid_4_2_3": (loss, tuple(weights((4, 2), (2, 3)))),
    "tanh_4_3_1": (error, tuple(weights((4, 3), (3,), (3, 1), (1,)))),
    "softmax_cross_entropy": (softmax_loss, tuple(weights((4, 3), (3,)))),
    "batch_normalised": (normalised, tuple(weights((4, 3), (3,), (3,)))),
    "recurrent": (recurrent, tuple(weights((3, 4), (3, 3)))),
    "relu_layers": (relu_loss, (layers,)),
}
