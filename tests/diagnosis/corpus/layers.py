"""Layers: normalisation, dropout, and a network built of classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .network import Draw, Network, Planted

EPS = 1e-5


# batch normalisation, step by step ----------------------------------------------------------------------


def batchnorm_loss(x: Any, gamma: Any, beta: Any, target: Any) -> Any:
    mu = x.mean(axis=0)
    var = ((x - mu) ** 2).mean(axis=0)
    xhat = (x - mu) / np.sqrt(var + EPS)
    out = gamma * xhat + beta
    return 0.5 * np.sum((out - target) ** 2)


def batchnorm_backward(x: Any, gamma: Any, beta: Any, target: Any) -> Any:
    N = x.shape[0]
    mu = x.mean(axis=0)
    xmu = x - mu
    var = (xmu**2).mean(axis=0)
    ivar = 1 / np.sqrt(var + EPS)
    xhat = xmu * ivar
    out = gamma * xhat + beta
    # backward
    dout = out - target
    dbeta = dout.sum(axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * xmu, axis=0) * -0.5 * ivar**3
    dmu = -np.sum(dxhat * ivar, axis=0)
    dx = dxhat * ivar + dvar * 2 * xmu / N + dmu / N
    return dx, dgamma, dbeta


def batchnorm_short(x: Any, gamma: Any, beta: Any, target: Any) -> Any:
    N = len(x)
    std = np.sqrt(x.var(axis=0) + EPS)
    xhat = (x - x.mean(axis=0)) / std
    out = gamma * xhat + beta
    # backward
    dout = out - target
    dgamma = (dout * xhat).sum(axis=0)
    dbeta = dout.sum(axis=0)
    dx = gamma / (N * std) * (N * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


def batchnorm_by_jacobian(x: Any, gamma: Any, beta: Any, target: Any) -> Any:
    N = len(x)
    dx, dgamma, dbeta = np.empty_like(x), np.empty_like(gamma), np.empty_like(beta)
    for j in range(x.shape[1]):
        std = np.sqrt(x[:, j].var() + EPS)
        xhat = (x[:, j] - x[:, j].mean()) / std
        jacobian = (np.eye(N) - 1 / N - np.outer(xhat, xhat) / N) / std
        dout = gamma[j] * xhat + beta[j] - target[:, j]
        dx[:, j], dgamma[j], dbeta[j] = gamma[j] * (jacobian @ dout), dout @ xhat, dout.sum()
    return dx, dgamma, dbeta


def draw_batchnorm(draw: Draw) -> Any:
    n, d = draw.size(4, 8), draw.size(2, 5)
    return draw.normal(n, d, scale=1), draw.positive(d), draw.normal(d), draw.normal(n, d, scale=1)


# a network with batch normalisation -----------------------------------------------------------------------


def normalised_loss(W1: Any, gamma: Any, beta: Any, W2: Any, X: Any, y: Any) -> Any:
    Z = X @ W1
    Zhat = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + EPS)
    A = np.tanh(gamma * Zhat + beta)
    return np.mean((A @ W2 - y) ** 2)


def normalised_backward(W1: Any, gamma: Any, beta: Any, W2: Any, X: Any, y: Any) -> Any:
    N = len(X)
    Z = X @ W1
    sd = np.sqrt(Z.var(axis=0) + EPS)
    Zhat = (Z - Z.mean(axis=0)) / sd
    S = gamma * Zhat + beta
    A = np.tanh(S)
    predictions = A @ W2
    # backward
    dout = 2 * (predictions - y) / N
    dW2 = A.T @ dout
    dS = np.outer(dout, W2) * (1 - A**2)
    dgamma = (dS * Zhat).sum(axis=0)
    dbeta = dS.sum(axis=0)
    dZhat = dS * gamma
    dZ = (dZhat - dZhat.mean(axis=0) - Zhat * (dZhat * Zhat).mean(axis=0)) / sd
    dW1 = X.T @ dZ
    return dW1, dgamma, dbeta, dW2


def normalised_with_centred_inputs(W1: Any, gamma: Any, beta: Any, W2: Any, X: Any, y: Any) -> Any:
    N = len(X)
    C = (X - X.mean(axis=0)) @ W1
    variance = (C * C).sum(axis=0) / N + EPS
    Zhat = C * variance**-0.5
    A = np.tanh(Zhat * gamma + beta)
    dS = ((A @ W2 - y) / (N / 2))[:, None] * W2 * (1 - A) * (1 + A)
    dC = dS * gamma * variance**-0.5 - C * (dS * gamma * C).sum(axis=0) / N * variance**-1.5
    dW1 = (X - X.mean(axis=0)).T @ dC
    return dW1, np.einsum("nd,nd->d", dS, Zhat), dS.sum(0), A.T @ (A @ W2 - y) * 2 / N


def draw_normalised(draw: Draw) -> Any:
    n, m, h = draw.size(5, 8), draw.size(2, 5), draw.size(3, 5)
    parameters = draw.normal(m, h), draw.positive(h), draw.normal(h), draw.normal(h)
    return *parameters, draw.normal(n, m, scale=1), draw.normal(n, scale=1)


# layer normalisation -------------------------------------------------------------------------------------


def layernorm_loss(W: Any, gamma: Any, beta: Any, X: Any, Y: Any) -> Any:
    H = X @ W
    mean = H.mean(axis=1, keepdims=True)
    var = H.var(axis=1, keepdims=True)
    out = (H - mean) / np.sqrt(var + EPS) * gamma + beta
    return ((out - Y) ** 2).sum() / len(X)


def layernorm_backward(W: Any, gamma: Any, beta: Any, X: Any, Y: Any) -> Any:
    H = X @ W
    rstd = 1 / np.sqrt(H.var(axis=1, keepdims=True) + EPS)
    norm = (H - H.mean(axis=1, keepdims=True)) * rstd
    out = norm * gamma + beta
    # backward
    dout = 2 * (out - Y) / len(X)
    dbeta = dout.sum(0)
    dgamma = (dout * norm).sum(0)
    dnorm = dout * gamma
    dH = dnorm - dnorm.mean(1, keepdims=True) - norm * (dnorm * norm).mean(1, keepdims=True)
    dH = dH * rstd
    dW = X.T @ dH
    return dW, dgamma, dbeta


def layernorm_by_sample(W: Any, gamma: Any, beta: Any, X: Any, Y: Any) -> Any:
    dW, dgamma, dbeta = np.zeros_like(W), np.zeros_like(gamma), np.zeros_like(beta)
    for x, target in zip(X, Y, strict=True):
        h = x @ W
        d = len(h)
        spread = np.sqrt(((h - h.mean()) ** 2).mean() + EPS)
        norm = (h - h.mean()) / spread
        dout = (norm * gamma + beta - target) * 2 / len(X)
        jacobian = (np.eye(d) - np.full((d, d), 1 / d) - np.outer(norm, norm) / d) / spread
        dW += np.outer(x, jacobian.T @ (dout * gamma))
        dgamma += dout * norm
        dbeta += dout
    return dW, dgamma, dbeta


def draw_layernorm(draw: Draw) -> Any:
    n, m, h = draw.size(3, 7), draw.size(2, 5), draw.size(3, 6)
    X, Y = draw.normal(n, m, scale=1), draw.normal(n, h, scale=1)
    return draw.normal(m, h), draw.positive(h), draw.normal(h), X, Y


# dropout ---------------------------------------------------------------------------------------------------

KEEP = 0.8


def dropout_loss(W1: Any, b1: Any, W2: Any, X: Any, y: Any, mask: Any, other_mask: Any) -> Any:
    h = sigmoid(X @ W1 + b1)
    d = h * mask / KEEP
    p = sigmoid(d @ W2)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def dropout_backward(W1: Any, b1: Any, W2: Any, X: Any, y: Any, mask: Any, other_mask: Any) -> Any:
    z = X @ W1 + b1
    h = sigmoid(z)
    d = h * mask / KEEP
    p = sigmoid(d @ W2)
    # backward
    dlogit = (p - y) / len(y)
    dW2 = d.T @ dlogit
    dd = np.outer(dlogit, W2)
    dh = dd * mask / KEEP
    dz = dh * h * (1 - h)
    dW1 = X.T @ dz
    db1 = dz.sum(axis=0)
    return dW1, db1, dW2


def dropout_by_sample(W1: Any, b1: Any, W2: Any, X: Any, y: Any, mask: Any, other_mask: Any) -> Any:
    grads = [np.zeros_like(W1), np.zeros_like(b1), np.zeros_like(W2)]
    for x, target, kept in zip(X, y, mask, strict=True):
        h = sigmoid(W1.T @ x + b1)
        miss = sigmoid((h * kept / KEEP) @ W2) - target
        inner = miss * W2 * kept * sigmoid(W1.T @ x + b1) / KEEP * sigmoid(-(W1.T @ x + b1))
        for grad, share in zip(grads, (np.outer(x, inner), inner, miss * h * kept / KEEP), strict=True):
            grad += share / len(X)
    return tuple(grads)


def draw_dropout(draw: Draw) -> Any:
    n, m, h = draw.size(4, 8), draw.size(2, 5), draw.size(3, 6)
    parameters = draw.normal(m, h), draw.normal(h), draw.normal(h)
    return *parameters, draw.normal(n, m, scale=1), draw.bits(n), draw.bits(n, h), draw.bits(n, h)


# a network built of layer objects ---------------------------------------------------------------------------


class Linear:
    def __init__(self, W: Any, b: Any) -> None:
        self.W, self.b = W, b

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout: Any) -> Any:
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class Sigmoid:
    def forward(self, z: Any) -> Any:
        self.out = 1 / (1 + np.exp(-z))
        return self.out

    def backward(self, dout: Any) -> Any:
        return dout * self.out * (1 - self.out)


class MeanSquaredError:
    def forward(self, prediction: Any, target: Any) -> Any:
        self.difference = prediction - target
        return (self.difference**2).mean()

    def backward(self) -> Any:
        return 2 * self.difference / self.difference.size


def objects_loss(params: Any, X: Any, Y: Any) -> Any:
    (W1, b1), (W2, b2) = params
    layers = [Linear(W1, b1), Sigmoid(), Linear(W2, b2), Sigmoid()]
    for layer in layers:
        X = layer.forward(X)
    return MeanSquaredError().forward(X, Y)


def objects_backward(params: Any, X: Any, Y: Any) -> Any:
    layers = [Linear(*params[0]), Sigmoid(), Linear(*params[1]), Sigmoid()]
    for layer in layers:
        X = layer.forward(X)
    error = MeanSquaredError()
    error.forward(X, Y)
    # backward
    grad = error.backward()
    for layer in reversed(layers):
        grad = layer.backward(grad)
    return [(layers[0].dW, layers[0].db), (layers[2].dW, layers[2].db)]


def objects_by_hand(params: Any, X: Any, Y: Any) -> Any:
    (W1, b1), (W2, b2) = params
    H = 1 / (1 + np.exp(-(X @ W1 + b1)))
    P = 1 / (1 + np.exp(-(H @ W2 + b2)))
    D2 = 2 / Y.size * (P - Y) * P * (1 - P)
    D1 = D2 @ W2.T * H * (1 - H)
    return [(X.T @ D1, np.sum(D1, 0)), (H.T @ D2, np.sum(D2, 0))]


def draw_objects(draw: Draw) -> Any:
    n, m, h, k = draw.size(4, 8), draw.size(), draw.size(3, 6), draw.size(2, 4)
    params = [(draw.normal(m, h), draw.normal(h)), (draw.normal(h, k), draw.normal(k))]
    return params, draw.normal(n, m, scale=1), draw.bits(n, k)


NETWORKS = (
    Network(
        "batch normalisation, step by step", batchnorm_loss, batchnorm_backward, draw_batchnorm, 3,
        rewritten=(batchnorm_short, batchnorm_by_jacobian),
        roles={"dvar * 2 * xmu / N": "CR120", "dmu / N": "CR120", "ivar": "CR106 CR120"},
        planted=(Planted("CR120", "dx = dxhat * ivar + dvar * 2 * xmu / N + dmu / N", "dx = dxhat * ivar"),),
    ),
    Network(
        "batch normalisation, in one formula", batchnorm_loss, batchnorm_short, draw_batchnorm, 3,
        rewritten=(batchnorm_backward, batchnorm_by_jacobian),
        roles={"dbeta": "CR120", "xhat * dgamma": "CR120"},
        planted=(
            Planted("CR121", "gamma / (N * std) * (N * dout - dbeta - xhat * dgamma)",
                    "1 / (N * std) * (gamma * N * dout - dbeta - xhat * dgamma)"),
            Planted("CR120", "N * dout - dbeta - xhat * dgamma", "N * dout - dbeta"),
            Planted("CR120", "N * dout - dbeta - xhat * dgamma", "N * dout - xhat * dgamma"),
            Planted("CR120", "N * dout - dbeta - xhat * dgamma", "N * dout"),
        ),
    ),
    Network(
        "network with batch normalisation", normalised_loss, normalised_backward, draw_normalised, 4,
        activations={"A": "S"}, rewritten=(normalised_with_centred_inputs,),
        roles={"dZhat.mean(axis=0)": "CR120", "Zhat * (dZhat * Zhat).mean(axis=0)": "CR120"},
        planted=(
            Planted("CR120", "dZhat - dZhat.mean(axis=0) - Zhat * (dZhat * Zhat).mean(axis=0)", "dZhat"),
            Planted("CR121", "(dZhat - dZhat.mean(axis=0) - Zhat * (dZhat * Zhat).mean(axis=0)) / sd",
                    "(dZhat - dS.mean(axis=0) - Zhat * (dS * Zhat).mean(axis=0)) / sd"),
        ),
    ),
    Network(
        "layer normalisation", layernorm_loss, layernorm_backward, draw_layernorm, 3,
        rewritten=(layernorm_by_sample,), mean_over=(3, 4),
        roles={"dnorm.mean(1, keepdims=True)": "CR120",
               "norm * (dnorm * norm).mean(1, keepdims=True)": "CR120"},
        planted=(
            Planted("CR120", "dnorm - dnorm.mean(1, keepdims=True) - norm * (dnorm * norm).mean(1, keepdims=True)",
                    "dnorm"),
            Planted("CR121", "dnorm - dnorm.mean(1, keepdims=True) - norm * (dnorm * norm).mean(1, keepdims=True)",
                    "dnorm - dout.mean(1, keepdims=True) - norm * (dout * norm).mean(1, keepdims=True)"),
        ),
    ),
    Network(
        "dropout", dropout_loss, dropout_backward, draw_dropout, 3, rewritten=(dropout_by_sample,),
        activations={"h": "z"}, roles={"mask": "CR122", "mask / KEEP": "CR122"}, mean_over=(3, 4, 5, 6),
        planted=(
            Planted("CR122", "dh = dd * mask / KEEP", "dh = dd"),
            Planted("CR123", "dh = dd * mask / KEEP", "dh = dd * other_mask / KEEP"),
            Planted("CR122", "dz = dh * h * (1 - h)", "dz = dh * d * (1 - d)"),
        ),
    ),
    Network(
        "network of layer objects", objects_loss, objects_backward, draw_objects, 1,
        sources=(Linear, Sigmoid, MeanSquaredError), activations={"self.out": ""},
        rewritten=(objects_by_hand,), mean_over=(1, 2),
    ),
)  # fmt: skip
