"""Networks of two and three layers, in the styles of courses, blogs and notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np

from .network import Draw, Network, Planted


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z: Any) -> Any:
    return sigmoid(z) * (1 - sigmoid(z))


# two layers, sigmoid, squared error: one line for each value ----------------------------------------------


def sigmoid_loss(weights_1: Any, weights_2: Any, x: Any, y: Any) -> Any:
    hidden = 1 / (1 + np.exp(-np.dot(x, weights_1)))
    output = 1 / (1 + np.exp(-np.dot(hidden, weights_2)))
    return ((output - y) ** 2).sum() / (2 * len(y))


def sigmoid_backward(weights_1: Any, weights_2: Any, x: Any, y: Any) -> Any:
    N = len(y)
    hidden_in = np.dot(x, weights_1)
    hidden = sigmoid(hidden_in)
    output_in = np.dot(hidden, weights_2)
    output = sigmoid(output_in)
    # backward
    output_error = output - y
    output_delta = output_error * output * (1 - output)
    hidden_error = np.dot(output_delta, weights_2.T)
    hidden_delta = hidden_error * hidden * (1 - hidden)
    weights_2_update = np.dot(hidden.T, output_delta) / N
    weights_1_update = np.dot(x.T, hidden_delta) / N
    return weights_1_update, weights_2_update


def sigmoid_by_sample(weights_1: Any, weights_2: Any, x: Any, y: Any) -> Any:
    d1, d2 = np.zeros_like(weights_1), np.zeros_like(weights_2)
    for row, target in zip(x, y, strict=True):
        z = row @ weights_1
        h = sigmoid(z)
        o = sigmoid(h @ weights_2)
        delta = (target - o) * (o**2 - o)
        d2 += h[:, None] * delta
        d1 += row[:, None] * ((weights_2 @ delta) * sigmoid_prime(z))
    return d1 / len(x), d2 / len(x)


def draw_sigmoid(draw: Draw) -> Any:
    n, m, h, k = draw.size(4, 8), draw.size(), draw.size(3, 6), draw.size(2, 4)
    return draw.normal(m, h), draw.normal(h, k), draw.normal(n, m, scale=1), draw.one_hot(n, k)


# two layers, tanh, binary cross-entropy: samples in columns -----------------------------------------------


def tanh_loss(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
    m = X.shape[1]
    A1 = np.tanh(np.dot(W1, X) + b1)
    A2 = 1 / (1 + np.exp(-(np.dot(W2, A1) + b2)))
    return -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m


def tanh_backward(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
    m = X.shape[1]
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    Z2 = np.dot(W2, A1) + b2
    A2 = sigmoid(Z2)
    # backward
    dZ2 = A2 - Y
    dW2 = np.dot(dZ2, A1.T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = np.dot(W2.T, dZ2) * (1 - A1**2)
    dW1 = np.dot(dZ1, X.T) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return dW1, db1, dW2, db2


def tanh_in_rows(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
    rows = X.T
    z1 = rows @ W1.T + b1.ravel()
    p = sigmoid(np.tanh(z1) @ W2.T + b2.ravel())
    dp = ((1 - Y.T) / (1 - p) - Y.T / p) / len(rows)
    dz2 = p * (1 - p) * dp
    dz1 = dz2 @ W2 / np.cosh(z1) ** 2
    return (rows.T @ dz1).T, dz1.sum(0)[:, None], (np.tanh(z1).T @ dz2).T, dz2.sum(0)[:, None]


def draw_tanh(draw: Draw) -> Any:
    n, m, h = draw.size(4, 8), draw.size(), draw.size(3, 6)
    X, Y = draw.normal(m, n, scale=1), draw.bits(1, n)
    return draw.normal(h, m), draw.normal(h, 1), draw.normal(1, h), draw.normal(1, 1), X, Y


# two layers, ReLU, cross-entropy, weight decay: parameters in a dict ----------------------------------------

DECAY = 0.2


def relu_loss(params: Any, X: Any, labels: Any) -> Any:
    hidden = np.maximum(0, np.dot(X, params["W1"]) + params["b1"])
    scores = np.dot(hidden, params["W2"]) + params["b2"]
    scores = scores - scores.max(axis=1, keepdims=True)
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    decay = 0.5 * DECAY * (np.sum(params["W1"] ** 2) + np.sum(params["W2"] ** 2))
    return -log_probs[np.arange(len(labels)), labels].mean() + decay


def relu_backward(params: Any, X: Any, labels: Any) -> Any:
    N = len(labels)
    W1, b1 = params["W1"], params["b1"]
    W2, b2 = params["W2"], params["b2"]
    z1 = X.dot(W1) + b1
    hidden = np.maximum(0, z1)
    scores = hidden.dot(W2) + b2
    exp_scores = np.exp(scores)
    probs = exp_scores / exp_scores.sum(axis=1, keepdims=True)
    # backward
    grads = {}
    dscores = probs.copy()
    dscores[np.arange(N), labels] -= 1
    dscores = dscores / N
    grads["W2"] = hidden.T.dot(dscores) + DECAY * W2
    grads["b2"] = np.sum(dscores, axis=0)
    dhidden = dscores.dot(W2.T)
    dz1 = dhidden * (z1 > 0)
    grads["W1"] = X.T.dot(dz1) + DECAY * W1
    grads["b1"] = np.sum(dz1, axis=0)
    return grads


def relu_with_one_hot(params: Any, X: Any, labels: Any) -> Any:
    z1 = X @ params["W1"] + params["b1"]
    Y = np.eye(len(params["b2"]))[labels]
    s = np.maximum(z1, 0) @ params["W2"] + params["b2"]
    P = np.exp(s - s.max())
    P = P / P.sum(1, keepdims=True)
    G = (P * Y.sum(1, keepdims=True) - Y) / Y.sum()
    dz1 = np.where(z1 > 0, G @ params["W2"].T, 0.0)
    return {
        "W1": np.einsum("ni,nj->ij", X, dz1) + DECAY * params["W1"],
        "b1": np.ones(len(X)) @ dz1,
        "W2": np.einsum("ni,nj->ij", np.maximum(z1, 0), G) + DECAY * params["W2"],
        "b2": np.ones(len(X)) @ G,
    }


def draw_relu(draw: Draw) -> Any:
    n, m, h, k = draw.size(4, 8), draw.size(), draw.size(3, 6), draw.size(3, 5)
    params = {"W1": draw.normal(m, h), "b1": draw.normal(h), "W2": draw.normal(h, k), "b2": draw.normal(k)}
    return params, draw.normal(n, m, scale=1), draw.labels(n, k)


# three layers, leaky ReLU, squared error -------------------------------------------------------------------

SLOPE = 0.1


def leaky_loss(W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any, X: Any, Y: Any) -> Any:
    Z1 = X @ W1 + b1
    A1 = np.where(Z1 > 0, Z1, SLOPE * Z1)
    Z2 = A1 @ W2 + b2
    A2 = np.where(Z2 > 0, Z2, SLOPE * Z2)
    P = A2 @ W3 + b3
    return np.sum((P - Y) ** 2) / len(X)


def leaky_backward(W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any, X: Any, Y: Any) -> Any:
    Z1 = X @ W1 + b1
    A1 = np.where(Z1 > 0, Z1, SLOPE * Z1)
    Z2 = A1 @ W2 + b2
    A2 = np.where(Z2 > 0, Z2, SLOPE * Z2)
    P = A2 @ W3 + b3
    # backward
    dP = 2 * (P - Y) / len(X)
    dW3 = A2.T @ dP
    db3 = dP.sum(0)
    dA2 = dP @ W3.T
    dZ2 = dA2 * np.where(Z2 > 0, 1, SLOPE)
    dW2 = A1.T @ dZ2
    db2 = dZ2.sum(0)
    dA1 = dZ2 @ W2.T
    dZ1 = dA1 * np.where(Z1 > 0, 1, SLOPE)
    dW1 = X.T @ dZ1
    db1 = dZ1.sum(0)
    return dW1, db1, dW2, db2, dW3, db3


def leaky_in_a_loop(*args: Any) -> Any:
    *parameters, X, Y = args
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    inputs, A = [], X
    for number, (W, b) in enumerate(layers):
        inputs.append(A)
        Z = A @ W + b
        A = Z if number == len(layers) - 1 else np.maximum(Z, SLOPE * Z)
    G, grads = (A - Y) * 2.0 / X.shape[0], []
    for (W, _), A in zip(reversed(layers), reversed(inputs), strict=True):
        grads[:0] = [(G.T @ A).T, G.sum(axis=0)]
        G = (G @ W.T) * np.where(A > 0, 1.0, SLOPE)
    return tuple(grads)


def draw_leaky(draw: Draw) -> Any:
    n, m, h, j, k = draw.size(4, 8), draw.size(), draw.size(3, 6), draw.size(3, 6), draw.size(2, 4)
    weights = draw.normal(m, h), draw.normal(h), draw.normal(h, j), draw.normal(j), draw.normal(j, k)
    return *weights, draw.normal(k), draw.normal(n, m, scale=1), draw.normal(n, k, scale=1)


# three layers, sigmoid and tanh, softmax with cross-entropy ----------------------------------------------


def deep_loss(W1: Any, W2: Any, W3: Any, X: Any, Y: Any) -> Any:
    a1 = sigmoid(X @ W1)
    a2 = np.tanh(a1 @ W2)
    z3 = a2 @ W3
    probs = np.exp(z3) / np.exp(z3).sum(axis=1, keepdims=True)
    return -np.sum(Y * np.log(probs)) / Y.shape[0]


def deep_backward(W1: Any, W2: Any, W3: Any, X: Any, Y: Any) -> Any:
    z1 = X @ W1
    a1 = sigmoid(z1)
    z2 = a1 @ W2
    a2 = np.tanh(z2)
    z3 = a2 @ W3
    probs = np.exp(z3) / np.exp(z3).sum(axis=1, keepdims=True)
    # backward
    delta3 = (probs - Y) / Y.shape[0]
    delta2 = (delta3 @ W3.T) * (1 - a2 * a2)
    delta1 = (delta2 @ W2.T) * sigmoid_prime(z1)
    return X.T @ delta1, a1.T @ delta2, a2.T @ delta3


def deep_by_sample(W1: Any, W2: Any, W3: Any, X: Any, Y: Any) -> Any:
    grads = [np.zeros_like(W) for W in (W1, W2, W3)]
    for x, y in zip(X, Y, strict=True):
        a1 = sigmoid(W1.T @ x)
        a2 = np.tanh(W2.T @ a1)
        p = np.exp(W3.T @ a2)
        p /= p.sum()
        upstream = -(y / p) / len(X)
        d3 = (np.diag(p) - np.outer(p, p)) @ upstream
        d2 = (W3 @ d3) * (1 + a2) * (1 - a2)
        d1 = (W2 @ d2) * a1 * (1 - a1)
        for grad, a, d in zip(grads, (x, a1, a2), (d1, d2, d3), strict=True):
            grad += np.outer(a, d)
    return tuple(grads)


def draw_deep(draw: Draw) -> Any:
    n, m, h, j, k = draw.size(4, 8), draw.size(), draw.size(3, 6), draw.size(3, 6), draw.size(3, 5)
    X, Y = draw.normal(n, m, scale=1), draw.one_hot(n, k)
    return draw.normal(m, h), draw.normal(h, j), draw.normal(j, k), X, Y


# a residual block ----------------------------------------------------------------------------------------


def residual_loss(W1: Any, W2: Any, W3: Any, X: Any, y: Any) -> Any:
    h = np.tanh(X @ W1)
    r = h + np.tanh(h @ W2)
    out = r @ W3
    return np.mean((out[:, 0] - y) ** 2)


def residual_backward(W1: Any, W2: Any, W3: Any, X: Any, y: Any) -> Any:
    z1 = X @ W1
    h = np.tanh(z1)
    z2 = h @ W2
    f = np.tanh(z2)
    r = h + f
    out = r @ W3
    # backward
    dout = 2 * (out - y[:, None]) / len(y)
    dW3 = r.T @ dout
    dr = dout @ W3.T
    dz2 = dr * (1 - f**2)
    dW2 = h.T @ dz2
    dh = dr + dz2 @ W2.T
    dz1 = dh * (1 - h**2)
    dW1 = X.T @ dz1
    return dW1, dW2, dW3


def residual_by_paths(W1: Any, W2: Any, W3: Any, X: Any, y: Any) -> Any:
    h = np.tanh(X @ W1)
    f = np.tanh(h @ W2)
    g = np.outer((h + f) @ W3[:, 0] - y, W3[:, 0]) / (0.5 * len(y))
    skip = X.T @ (g * (1 - h**2))
    through = X.T @ (((g - g * f**2) @ W2.T) * (1 - h**2))
    return skip + through, h.T @ (g - g * f**2), 2 * ((h + f).T @ ((h + f) @ W3 - y[:, None])) / y.size


def draw_residual(draw: Draw) -> Any:
    n, m, h = draw.size(4, 8), draw.size(), draw.size(3, 5)
    X, y = draw.normal(n, m, scale=1), draw.normal(n, scale=1)
    return draw.normal(m, h), draw.normal(h, h), draw.normal(h, 1), X, y


# an autoencoder that uses its weights twice -----------------------------------------------------------------


def tied_loss(W: Any, b: Any, c: Any, X: Any) -> Any:
    code = sigmoid(X @ W + b)
    R = code @ W.T + c
    return 0.5 * np.mean(np.sum((R - X) ** 2, axis=1))


def tied_backward(W: Any, b: Any, c: Any, X: Any) -> Any:
    Z = X @ W + b
    code = sigmoid(Z)
    R = code @ W.T + c
    # backward
    dR = (R - X) / X.shape[0]
    dc = dR.sum(axis=0)
    dcode = dR @ W
    dZ = dcode * code * (1 - code)
    db = dZ.sum(axis=0)
    dW = X.T @ dZ + dR.T @ code
    return dW, db, dc


def tied_by_use(W: Any, b: Any, c: Any, X: Any) -> Any:
    total = [np.zeros_like(W), np.zeros_like(b), np.zeros_like(c)]
    for x in X:
        code = sigmoid(x @ W + b)
        surprise = W @ code + c - x
        inner = (surprise @ W) * (code - code**2)
        total[0] += np.outer(surprise, code) + np.outer(x, inner)
        total[1] += inner
        total[2] += surprise
    return tuple(t / len(X) for t in total)


def draw_tied(draw: Draw) -> Any:
    n, m, h = draw.size(4, 8), draw.size(3, 6), draw.size(2, 4)
    return draw.normal(m, h), draw.normal(h), draw.normal(m), draw.normal(n, m, scale=1)


NETWORKS = (
    Network(
        "two layers, sigmoid, squared error", sigmoid_loss, sigmoid_backward, draw_sigmoid, 2,
        activations={"hidden": "hidden_in", "output": "output_in"}, mean_over=(2, 3),
        rewritten=(sigmoid_by_sample,),
        planted=(
            Planted("CR119", "output_error = output - y", "output_error = np.sign(output - y)"),
            Planted("CR119", "output_error = output - y", "output_error = -y / output + (1 - y) / (1 - output)"),
            Planted("CR201", "hidden_error = np.dot(output_delta, weights_2.T)",
                    "weights_2 = weights_2 - 0.1 * np.dot(hidden.T, output_delta) / N\n"
                    "hidden_error = np.dot(output_delta, weights_2.T)"),
        ),
    ),
    Network(
        "two layers, tanh, binary cross-entropy", tanh_loss, tanh_backward, draw_tanh, 4,
        activations={"A1": "Z1", "A2": "Z2"}, rewritten=(tanh_in_rows,),
        planted=(
            Planted("CR119 CR102", "dZ2 = A2 - Y", "dZ2 = (A2 - Y) * A2 * (1 - A2)"),
            Planted("CR201", "dZ1 = np.dot(W2.T, dZ2) * (1 - A1**2)",
                    "W2 = W2 - 0.05 * dW2\ndZ1 = np.dot(W2.T, dZ2) * (1 - A1**2)"),
        ),
    ),
    Network(
        "two layers, ReLU, cross-entropy, decay", relu_loss, relu_backward, draw_relu, 1,
        activations={"hidden": "z1"}, rewritten=(relu_with_one_hot,),
        roles={"DECAY * W1": "CR125", "DECAY * W2": "CR125"},
        planted=(
            Planted("CR126", "DECAY * W1", "2 * DECAY * W1"),
            Planted("CR126", "DECAY * W2", "2 * DECAY * W2"),
            Planted("CR127", "np.sum(dscores, axis=0)", "np.sum(dscores, axis=0) + DECAY * b2"),
            Planted("CR127", "np.sum(dz1, axis=0)", "np.sum(dz1, axis=0) + DECAY * b1"),
            Planted("CR118", "dscores = dscores / N", "dscores = dscores * probs * (1 - probs) / N"),
            Planted("CR201", "dhidden = dscores.dot(W2.T)",
                    "W2 = W2 - 0.01 * grads['W2']\ndhidden = dscores.dot(W2.T)"),
            Planted("CR103 CR105 CR102", "dhidden * (z1 > 0)", "dhidden * hidden"),
        ),
    ),
    Network(
        "three layers, leaky ReLU, squared error", leaky_loss, leaky_backward, draw_leaky, 6,
        activations={"A1": "Z1", "A2": "Z2"}, rewritten=(leaky_in_a_loop,), mean_over=(6, 7),
        planted=(
            Planted("CR105", "np.where(Z2 > 0, 1, SLOPE)", "(Z2 > 0)"),
            Planted("CR105", "np.where(Z1 > 0, 1, SLOPE)", "(Z1 > 0)"),
            Planted("CR103", "np.where(Z1 > 0, 1, SLOPE)", "np.where(Z1 > 0, Z1, SLOPE * Z1)"),
            Planted("CR201", "dA1 = dZ2 @ W2.T", "W2 = W2 - 0.1 * dW2\ndA1 = dZ2 @ W2.T"),
            Planted("CR119", "2 * (P - Y) / len(X)", "np.sign(P - Y) / len(X)"),
        ),
    ),
    Network(
        "three layers, sigmoid and tanh, cross-entropy", deep_loss, deep_backward, draw_deep, 3,
        sources=(sigmoid_prime,), activations={"a1": "z1", "a2": "z2"}, rewritten=(deep_by_sample,),
        mean_over=(3, 4),
        planted=(
            Planted("CR118", "(probs - Y) / Y.shape[0]", "(probs - Y) * probs * (1 - probs) / Y.shape[0]"),
            Planted("CR119", "(probs - Y) / Y.shape[0]", "(z3 - Y) / Y.shape[0]"),
            Planted("CR104", "sigmoid_prime(z1)", "sigmoid_prime(a1)"),
            Planted("CR103", "sigmoid_prime(z1)", "z1 * (1 - z1)"),
        ),
    ),
    Network(
        "residual block", residual_loss, residual_backward, draw_residual, 3,
        activations={"h": "z1", "f": "z2"}, rewritten=(residual_by_paths,), mean_over=(3, 4),
    ),
    Network(
        "autoencoder with tied weights", tied_loss, tied_backward, draw_tied, 3,
        activations={"code": "Z"}, rewritten=(tied_by_use,), mean_over=(3,),
    ),
)  # fmt: skip
