"""The functions of the golden listings."""

from typing import Any

import numpy as np

from chainrule import ops

rng = np.random.default_rng(0)
X = rng.normal(size=(150, 4))
Y = np.eye(3)[rng.integers(0, 3, 150)]
y = rng.integers(0, 2, 150).astype(float)
labels = rng.integers(0, 3, 150)
student, package, placed = np.array([[8.0], [8.0]]), 4, 1
column = np.array([[0.9], [0.8], [0.7], [0.6]])
image = rng.normal(size=(6, 6))
images, targets = rng.normal(size=(5, 1, 8, 8)), rng.normal(size=(5, 2))


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
    """A 4-3-1 network with a tanh layer."""
    h = np.tanh(np.dot(X, W1) + b1)
    out = 1 / (1 + np.exp(-(h.dot(W2) + b2)))
    E = out - y[:, None]
    return 0.5 * np.mean(E**2)


def squared_error(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """A 2-2-1 linear regression, for one sample that is a column."""
    A1 = np.dot(W1.T, student) + b1
    yhat = np.dot(W2.T, A1) + b2
    return (package - yhat[0][0]) ** 2


def placement(params: dict[str, Any]) -> Any:
    """A 2-2-1 sigmoid classifier, for one sample that is a column, with its parameters in a dict."""
    A = student
    for layer in (1, 2):
        Z = np.dot(params[f"W{layer}"].T, A) + params[f"b{layer}"]
        A = 1 / (1 + np.exp(-Z))
    yhat = A[0][0]
    return -placed * np.log(yhat) - (1 - placed) * np.log(1 - yhat)


class Scalars:
    """A network of three numbers."""

    def forward(self, x: Any, w1: Any, w2: Any, b: Any) -> Any:
        self.z1 = w1 * x
        self.a1 = np.tanh(self.z1)
        self.z2 = w2 * self.a1 + b
        return np.tanh(self.z2)


def half_squared_error(w1: Any, w2: Any, b: Any) -> Any:
    prediction = Scalars().forward(1.5, w1, w2, b)
    return 0.5 * (prediction - 0.3) ** 2


def column_error(W1: Any, W2: Any) -> Any:
    """A 4-3-1 sigmoid network of one sample that is a column, without biases."""
    Z = W1.T @ column
    H = 1 / (1 + np.exp(-Z))
    O = H.T @ W2  # noqa: E741
    Y_cap = 1 / (1 + np.exp(-O))
    E = np.power(0 - Y_cap, 2)
    return E.sum()


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


def layer_normalised(W: Any, gamma: Any, beta: Any) -> Any:
    x = X @ W
    mu = x.mean(axis=-1, keepdims=True)
    var = ((x - mu) ** 2).mean(axis=-1, keepdims=True)
    xhat = (x - mu) / np.sqrt(var + 1e-5)
    out = gamma * xhat + beta
    return np.mean((out - Y) ** 2)


def logits_loss(w: Any, b: Any) -> Any:
    """Binary cross-entropy, written out so that nothing overflows."""
    z = X @ w + b
    return np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))


def labels_loss(W: Any, b: Any) -> Any:
    """Cross-entropy with class numbers."""
    scores = X @ W + b
    P = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return -np.log(P[np.arange(len(X)), labels]).mean()


def sliding(kernel: Any, bias: Any) -> Any:
    """A convolution as a sum of shifted images."""
    Z = bias
    for i in range(2):
        for j in range(2):
            Z = Z + kernel[i, j] * image[i : i + 5, j : j + 5]
    A = np.maximum(Z, 0)
    return (A.mean() - 1) ** 2


def convolved(kernel: Any, bias: Any) -> Any:
    Z = ops.convolution(images, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1)) + bias[:, None, None]
    A = np.maximum(Z, 0)
    scores = A.mean(axis=(2, 3))
    return np.mean((scores - targets) ** 2)


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
    "linear_2_2_1": (squared_error, tuple(weights((2, 2), (2, 1), (2, 1), (1, 1)))),
    "sigmoid_2_2_1": (
        placement,
        (
            {
                "W1": np.full((2, 2), 0.1),
                "b1": np.zeros((2, 1)),
                "W2": np.full((2, 1), 0.1),
                "b2": np.zeros((1, 1)),
            },
        ),
    ),
    "tanh_scalars": (half_squared_error, (0.7, -1.2, 0.4)),
    "sigmoid_4_3_1": (column_error, tuple(weights((4, 3), (3, 1)))),
    "tanh_4_3_1": (error, tuple(weights((4, 3), (3,), (3, 1), (1,)))),
    "softmax_cross_entropy": (softmax_loss, tuple(weights((4, 3), (3,)))),
    "labels_cross_entropy": (labels_loss, tuple(weights((4, 3), (3,)))),
    "logits_cross_entropy": (logits_loss, (*weights((4,)), 0.3)),
    "layer_normalised": (layer_normalised, tuple(weights((4, 3), (3,), (3,)))),
    "convolution_by_slices": (sliding, (*weights((2, 2)), 0.1)),
    "convolution": (convolved, tuple(weights((2, 1, 3, 3), (2,)))),
    "batch_normalised": (normalised, tuple(weights((4, 3), (3,), (3,)))),
    "recurrent": (recurrent, tuple(weights((3, 4), (3, 3)))),
    "relu_layers": (relu_loss, (layers,)),
}
