"""Models of one layer, and the smallest networks, written with numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .network import Draw, Network, Planted


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def linear_loss(w: Any, b: Any, X: Any, y: Any) -> Any:
    error = X @ w + b - y
    return np.mean(error**2)


def linear_backward(w: Any, b: Any, X: Any, y: Any) -> Any:
    error = X @ w + b - y
    # backward
    dw = 2 * X.T @ error / len(y)
    db = 2 * error.sum() / len(y)
    return dw, db


def linear_by_sample(w: Any, b: Any, X: Any, y: Any) -> Any:
    dw, db = np.zeros_like(w), 0.0
    for row, target in zip(X, y, strict=True):
        residual = target - (row * w).sum() - b
        dw += -2 * residual * row
        db += -2 * residual
    return dw / len(X), db / len(X)


def linear_normal_equations(w: Any, b: Any, X: Any, y: Any) -> Any:
    n = len(X)
    return 2 / n * (X.T @ X @ w + X.sum(0) * b - X.T @ y), 2 * (X.mean(0) @ w + b - y.mean())


def draw_regression(draw: Draw) -> Any:
    n, m = draw.size(4, 8), draw.size()
    return draw.normal(m), draw.normal(), draw.normal(n, m, scale=1), draw.normal(n, scale=1)


RATE = 0.3


def ridge_loss(w: Any, b: Any, X: Any, y: Any) -> Any:
    m = y.size
    predictions = np.dot(X, w) + b
    return ((predictions - y) ** 2).sum() / (2 * m) + RATE / 2 * (w**2).sum()


def ridge_backward(w: Any, b: Any, X: Any, y: Any) -> Any:
    m = y.size
    predictions = np.dot(X, w) + b
    # backward
    delta = (predictions - y) / m
    grad_w = np.dot(X.T, delta) + RATE * w
    grad_b = np.sum(delta)
    return grad_w, grad_b


def ridge_expanded(w: Any, b: Any, X: Any, y: Any) -> Any:
    grad_w = np.array([((X @ w + b - y) * X[:, j]).mean() + RATE * w[j] for j in range(X.shape[1])])
    return grad_w, (X @ w - y).mean() + b


def lasso_loss(w: Any, X: Any, y: Any) -> Any:
    return np.mean((X @ w - y) ** 2) / 2 + RATE * np.abs(w).sum()


def lasso_backward(w: Any, X: Any, y: Any) -> Any:
    error = X @ w - y
    # backward
    grad = X.T @ error / len(y) + RATE * np.sign(w)
    return (grad,)


def lasso_by_column(w: Any, X: Any, y: Any) -> Any:
    return ((X * (X @ w - y)[:, None]).mean(0) + np.where(w > 0, RATE, -RATE),)


def draw_lasso(draw: Draw) -> Any:
    w, _, X, y = draw_regression(draw)
    return w, X, y


def logistic_loss(w: Any, b: Any, X: Any, y: Any) -> Any:
    p = 1 / (1 + np.exp(-(X @ w + b)))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def logistic_backward(w: Any, b: Any, X: Any, y: Any) -> Any:
    p = 1 / (1 + np.exp(-(X @ w + b)))
    # backward
    dw = X.T @ (p - y) / len(y)
    db = np.mean(p - y)
    return dw, db


def logistic_by_the_chain_rule(w: Any, b: Any, X: Any, y: Any) -> Any:
    z = X @ w + b
    p = sigmoid(z)
    # backward
    dp = (-y / p + (1 - y) / (1 - p)) / len(y)
    dz = dp * p * (1 - p)
    dw = X.T @ dz
    db = dz.sum()
    return dw, db


def draw_logistic(draw: Draw) -> Any:
    w, b, X, y = draw_regression(draw)
    return w, b, X, draw.bits(len(y))


def softmax_loss(W: Any, b: Any, X: Any, labels: Any) -> Any:
    scores = X @ W + b
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = e / e.sum(axis=1, keepdims=True)
    return -np.log(probs[np.arange(len(X)), labels]).mean()


def softmax_backward(W: Any, b: Any, X: Any, labels: Any) -> Any:
    n = X.shape[0]
    scores = X @ W + b
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = e / e.sum(axis=1, keepdims=True)
    # backward
    dscores = probs.copy()
    dscores[np.arange(n), labels] -= 1
    dscores /= n
    dW = X.T @ dscores
    db = dscores.sum(axis=0)
    return dW, db


def softmax_by_class(W: Any, b: Any, X: Any, labels: Any) -> Any:
    scores = X @ W + b
    P = np.exp(scores) / np.exp(scores).sum(1)[:, None]
    dW, db = np.empty_like(W), np.empty_like(b)
    for k in range(W.shape[1]):
        surprise = (labels == k) - P[:, k]
        dW[:, k] = -(surprise[:, None] * X).mean(0)
        db[k] = -surprise.mean()
    return dW, db


def softmax_by_jacobian(W: Any, b: Any, X: Any, labels: Any) -> Any:
    dW, db = np.zeros_like(W), np.zeros_like(b)
    for x, label in zip(X, labels, strict=True):
        p = np.exp(x @ W + b)
        p /= p.sum()
        jacobian = np.diag(p) - np.outer(p, p)
        upstream = np.zeros_like(p)
        upstream[label] = -1 / p[label]
        dz = jacobian @ upstream
        dW += np.outer(x, dz) / len(X)
        db += dz / len(X)
    return dW, db


def draw_softmax(draw: Draw) -> Any:
    n, m, k = draw.size(4, 8), draw.size(), draw.size(3, 5)
    return draw.normal(m, k), draw.normal(k), draw.normal(n, m, scale=1), draw.labels(n, k)


def probabilities_loss(W: Any, X: Any, Y: Any) -> Any:
    Z = X @ W
    P = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)
    return 0.5 * np.sum((P - Y) ** 2)


def probabilities_backward(W: Any, X: Any, Y: Any) -> Any:
    Z = X @ W
    P = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)
    # backward
    dP = P - Y
    dZ = P * (dP - np.sum(dP * P, axis=1, keepdims=True))
    return (X.T @ dZ,)


def probabilities_by_jacobian(W: Any, X: Any, Y: Any) -> Any:
    dW = np.zeros_like(W)
    for x, y in zip(X, Y, strict=True):
        e = np.exp(x @ W)
        p = e / e.sum()
        dW += np.outer(x, (np.diag(p) - p[:, None] * p) @ (p - y))
    return (dW,)


def draw_probabilities(draw: Draw) -> Any:
    n, m, k = draw.size(4, 8), draw.size(), draw.size(3, 5)
    return draw.normal(m, k), draw.normal(n, m, scale=1), draw.one_hot(n, k)


def svm_loss(W: Any, X: Any, labels: Any) -> Any:
    n = X.shape[0]
    scores = np.dot(X, W)
    correct = scores[np.arange(n), labels][:, None]
    margins = np.maximum(0, scores - correct + 1)
    return (margins.sum() - n) / n + RATE * np.sum(W * W)


def svm_backward(W: Any, X: Any, labels: Any) -> Any:
    n = X.shape[0]
    scores = X.dot(W)
    correct = scores[np.arange(n), labels][:, None]
    margins = np.maximum(0, scores - correct + 1)
    # backward
    mask = (margins > 0).astype(float)
    mask[np.arange(n), labels] = 0
    mask[np.arange(n), labels] = -mask.sum(axis=1)
    dW = X.T.dot(mask) / n + 2 * RATE * W
    return (dW,)


def svm_by_sample(W: Any, X: Any, labels: Any) -> Any:
    dW = np.zeros_like(W)
    for x, label in zip(X, labels, strict=True):
        for k in range(W.shape[1]):
            if k != label and x @ W[:, k] - x @ W[:, label] + 1 > 0:
                dW[:, k] += x
                dW[:, label] -= x
    return (dW / len(X) + RATE * (W + W),)


def draw_svm(draw: Draw) -> Any:
    W, _, X, labels = draw_softmax(draw)
    return W, X, labels


def scalar_loss(w1: Any, w2: Any, b: Any, x: Any, t: Any) -> Any:
    return 0.5 * (np.tanh(w2 * np.tanh(w1 * x) + b) - t) ** 2


def scalar_backward(w1: Any, w2: Any, b: Any, x: Any, t: Any) -> Any:
    a1 = math.tanh(w1 * x)
    y = math.tanh(w2 * a1 + b)
    # backward
    grad_w1 = x * (1 - a1**2) * w2 * (y - t) * (1 - y**2)
    grad_w2 = a1 * (y - t) * (1 - y**2)
    grad_b = (y - t) * (1 - y**2)
    return grad_w1, grad_w2, grad_b


def scalar_with_cosh(w1: Any, w2: Any, b: Any, x: Any, t: Any) -> Any:
    z1 = w1 * x
    z2 = w2 * math.tanh(z1) + b
    delta2 = (math.tanh(z2) - t) / math.cosh(z2) ** 2
    delta1 = delta2 * w2 / math.cosh(z1) ** 2
    return delta1 * x, delta2 * math.tanh(z1), delta2


def draw_scalar(draw: Draw) -> Any:
    return tuple(draw.normal() + 0.2 for _ in range(5))


def factors_loss(U: Any, V: Any, R: Any, known: Any) -> Any:
    E = (R - U @ V.T) * known
    return (E**2).sum() + RATE * ((U**2).sum() + (V**2).sum())


def factors_backward(U: Any, V: Any, R: Any, known: Any) -> Any:
    E = (R - U @ V.T) * known
    # backward
    dU = -2 * E @ V + 2 * RATE * U
    dV = -2 * E.T @ U + 2 * RATE * V
    return dU, dV


def factors_by_entry(U: Any, V: Any, R: Any, known: Any) -> Any:
    dU, dV = 2 * RATE * U, 2 * RATE * V
    for i, j in zip(*np.nonzero(known), strict=True):
        error = U[i] @ V[j] - R[i, j]
        dU[i] += 2 * error * V[j]
        dV[j] += 2 * error * U[i]
    return dU, dV


def draw_factors(draw: Draw) -> Any:
    n, m, k = draw.size(3, 6), draw.size(3, 6), draw.size(2, 4)
    return draw.normal(n, k), draw.normal(m, k), draw.normal(n, m, scale=1), draw.bits(n, m)


NETWORKS = (
    Network(
        "linear regression", linear_loss, linear_backward, draw_regression, 2, mean_over=(2, 3),
        rewritten=(linear_by_sample, linear_normal_equations),
        planted=(
            Planted("CR119", "dw = 2 * X.T @ error / len(y)", "dw = X.T @ np.sign(error) / len(y)"),
        ),
    ),
    Network(
        "ridge regression", ridge_loss, ridge_backward, draw_regression, 2, rewritten=(ridge_expanded,),
        roles={"RATE * w": "CR125"},
        planted=(
            Planted("CR126", "np.dot(X.T, delta) + RATE * w", "np.dot(X.T, delta) + 2 * RATE * w"),
            Planted("CR127", "np.sum(delta)", "np.sum(delta) + RATE * b"),
            Planted("CR119", "(predictions - y) / m", "np.sign(predictions - y) / m"),
        ),
    ),
    Network(
        "lasso", lasso_loss, lasso_backward, draw_lasso, 1, rewritten=(lasso_by_column,),
        roles={"RATE * np.sign(w)": "CR125"},
        planted=(Planted("CR126", "RATE * np.sign(w)", "2 * RATE * np.sign(w)"),),
    ),
    Network(
        "logistic regression", logistic_loss, logistic_backward, draw_logistic, 2, mean_over=(2, 3),
        rewritten=(logistic_by_the_chain_rule,),
        planted=(
            Planted("CR119 CR102", "p - y", "(p - y) * p * (1 - p)"),
            Planted("CR119", "p - y", "np.sign(p - y)"),
        ),
    ),
    Network(
        "logistic regression, long", logistic_loss, logistic_by_the_chain_rule, draw_logistic, 2,
        activations={"p": "z"}, rewritten=(logistic_backward,), mean_over=(2, 3),
        planted=(
            Planted("CR119", "dp = (-y / p + (1 - y) / (1 - p)) / len(y)", "dp = (p - y) / len(y)"),
            Planted("CR119", "dp = (-y / p + (1 - y) / (1 - p)) / len(y)", "dp = 2 * (p - y) / len(y)"),
        ),
    ),
    Network(
        "softmax regression", softmax_loss, softmax_backward, draw_softmax, 2, mean_over=(2, 3),
        rewritten=(softmax_by_class, softmax_by_jacobian),
        planted=(
            Planted("CR118", "dscores /= n", "dscores *= probs * (1 - probs) / n"),
            Planted("CR119", "dscores = probs.copy()", "dscores = scores.copy()"),
            Planted("CR118", "dscores /= n",
                    "dscores = probs * (dscores - (dscores * probs).sum(axis=1, keepdims=True)) / n"),
        ),
    ),
    Network(
        "softmax with squared error", probabilities_loss, probabilities_backward, draw_probabilities, 1,
        rewritten=(probabilities_by_jacobian,),
        planted=(
            Planted("CR117", "P * (dP - np.sum(dP * P, axis=1, keepdims=True))", "dP * P * (1 - P)"),
            Planted("CR119 CR101", "P * (dP - np.sum(dP * P, axis=1, keepdims=True))", "dP"),
        ),
    ),
    Network(
        "support vector machine", svm_loss, svm_backward, draw_svm, 1, rewritten=(svm_by_sample,),
        roles={"2 * RATE * W": "CR125"},
        planted=(
            Planted("CR116", "mask[np.arange(n), labels] = -mask.sum(axis=1)", "pass"),
            Planted("CR126 CR108", "2 * RATE * W", "RATE * W"),
            Planted("CR126", "2 * RATE * W", "4 * RATE * W"),
        ),
    ),
    Network(
        "tanh network of numbers", scalar_loss, scalar_backward, draw_scalar, 3, rewritten=(scalar_with_cosh,),
    ),
    Network(
        "matrix factors", factors_loss, factors_backward, draw_factors, 2, rewritten=(factors_by_entry,),
        roles={"2 * RATE * U": "CR125", "2 * RATE * V": "CR125"},
        planted=(
            Planted("CR126", "2 * RATE * U", "4 * RATE * U"),
            Planted("CR126 CR108", "2 * RATE * V", "RATE * V"),
        ),
    ),
)  # fmt: skip
