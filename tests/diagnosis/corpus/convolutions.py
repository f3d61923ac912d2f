"""Convolutions with loops and as matrix products, and max-pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from .network import Draw, Network, Planted

# convolution with loops ------------------------------------------------------------------------------------

STRIDE, PAD = 2, 1


def conv_loss(w: Any, b: Any, x: Any, target: Any) -> Any:
    xp = np.pad(x, ((0, 0), (PAD, PAD), (PAD, PAD)))
    F, _, K, _ = w.shape
    size = (xp.shape[1] - K) // STRIDE + 1
    total = 0.0
    for f in range(F):
        for i in range(size):
            for j in range(size):
                window = xp[:, i * STRIDE : i * STRIDE + K, j * STRIDE : j * STRIDE + K]
                out = np.sum(window * w[f]) + b[f]
                total = total + 0.5 * (out - target[f, i, j]) ** 2
    return total


def conv_backward(w: Any, b: Any, x: Any, target: Any) -> Any:
    xp = np.pad(x, ((0, 0), (PAD, PAD), (PAD, PAD)))
    F, _, K, _ = w.shape
    size = (xp.shape[1] - K) // STRIDE + 1
    out = np.zeros((F, size, size))
    for f in range(F):
        for i in range(size):
            for j in range(size):
                window = xp[:, i * STRIDE : i * STRIDE + K, j * STRIDE : j * STRIDE + K]
                out[f, i, j] = np.sum(window * w[f]) + b[f]
    # backward
    dout = out - target
    dw = np.zeros_like(w)
    db = np.zeros_like(b)
    dxp = np.zeros_like(xp)
    for f in range(F):
        for i in range(size):
            for j in range(size):
                window = xp[:, i * STRIDE : i * STRIDE + K, j * STRIDE : j * STRIDE + K]
                dw[f] += window * dout[f, i, j]
                db[f] += dout[f, i, j]
                dxp[:, i * STRIDE : i * STRIDE + K, j * STRIDE : j * STRIDE + K] += w[f] * dout[f, i, j]
    dx = dxp[:, PAD:-PAD, PAD:-PAD]
    return dw, db, dx


def conv_by_windows(w: Any, b: Any, x: Any, target: Any) -> Any:
    K = w.shape[-1]
    xp = np.pad(x, ((0, 0), (PAD, PAD), (PAD, PAD)))
    windows = np.lib.stride_tricks.sliding_window_view(xp, (K, K), axis=(1, 2))[:, ::STRIDE, ::STRIDE]
    dout = np.einsum("cijkl,fckl->fij", windows, w) + b[:, None, None] - target
    spread = np.zeros((x.shape[0], *(n + 2 * PAD for n in x.shape[1:])))
    for k in range(K):
        for m in range(K):
            reached = np.einsum("fij,fc->cij", dout, w[:, :, k, m])
            spread[:, k : k + STRIDE * dout.shape[1] : STRIDE, m : m + STRIDE * dout.shape[2] : STRIDE] += (
                reached
            )
    return np.einsum("cijkl,fij->fckl", windows, dout), dout.sum((1, 2)), spread[:, 1:-1, 1:-1]


def draw_conv(draw: Draw) -> Any:
    filters, channels, kernel = draw.size(2, 3), draw.size(1, 2), 3
    side = 5
    size = (side + 2 * PAD - kernel) // STRIDE + 1
    w = draw.normal(filters, channels, kernel, kernel)
    return w, draw.normal(filters), draw.normal(channels, side, side), draw.normal(filters, size, size)


# two convolutions along one axis, as matrix products (im2col) -----------------------------------------------


def columns(x: Any, k: int) -> Any:
    return np.stack([x[i : i + k] for i in range(len(x) - k + 1)])


def signal_loss(k1: Any, k2: Any, x: Any, y: Any) -> Any:
    h = np.tanh(columns(x, len(k1)) @ k1)
    out = columns(h, len(k2)) @ k2
    return np.mean((out - y) ** 2)


def signal_backward(k1: Any, k2: Any, x: Any, y: Any) -> Any:
    cols1 = columns(x, len(k1))
    z = cols1 @ k1
    h = np.tanh(z)
    cols2 = columns(h, len(k2))
    out = cols2 @ k2
    # backward
    dout = 2 * (out - y) / len(y)
    dk2 = cols2.T @ dout
    dcols = np.outer(dout, k2)
    dh = np.zeros_like(h)
    for i in range(len(out)):
        dh[i : i + len(k2)] += dcols[i]
    dz = dh * (1 - h**2)
    dk1 = cols1.T @ dz
    return dk1, dk2


def signal_by_convolve(k1: Any, k2: Any, x: Any, y: Any) -> Any:
    h = np.tanh(np.correlate(x, k1, "valid"))
    error = np.correlate(h, k2, "valid") - y
    dh = np.convolve(2 * error / len(y), k2)
    return np.correlate(x, dh * (1 - h * h), "valid"), np.correlate(h, 2 * error / len(y), "valid")


def draw_signal(draw: Draw) -> Any:
    k1, k2, n = draw.size(3, 4), draw.size(2, 3), 9
    return draw.normal(k1), draw.normal(k2), draw.normal(n + k1 + k2 - 2, scale=1), draw.normal(n, scale=1)


# max-pooling between two linear maps -------------------------------------------------------------------------


def pool_loss(W1: Any, W2: Any, X: Any, Y: Any) -> Any:
    H = X @ W1
    pooled = H.reshape(len(X), -1, 2).max(axis=2)
    return np.sum((pooled @ W2 - Y) ** 2) / len(X)


def pool_backward(W1: Any, W2: Any, X: Any, Y: Any) -> Any:
    H = X @ W1
    pairs = H.reshape(len(X), -1, 2)
    pooled = pairs.max(axis=2)
    out = pooled @ W2
    # backward
    dout = 2 * (out - Y) / len(X)
    dW2 = pooled.T @ dout
    dpooled = dout @ W2.T
    mask = pairs == pooled[:, :, None]
    dpairs = dpooled[:, :, None] * mask
    dH = dpairs.reshape(H.shape)
    dW1 = X.T @ dH
    return dW1, dW2


def pool_with_argmax(W1: Any, W2: Any, X: Any, Y: Any) -> Any:
    H = X @ W1
    dH = np.zeros_like(H)
    winners = H.reshape(len(X), -1, 2).argmax(2) + 2 * np.arange(H.shape[1] // 2)
    pooled = np.take_along_axis(H, winners, 1)
    np.put_along_axis(dH, winners, (pooled @ W2 - Y) @ W2.T, 1)
    return 2 / len(X) * (X.T @ dH), 2 / len(X) * (pooled.T @ (pooled @ W2 - Y))


def draw_pool(draw: Draw) -> Any:
    n, m, h, k = draw.size(3, 6), draw.size(2, 5), draw.size(2, 3), draw.size(2, 3)
    return draw.normal(m, 2 * h), draw.normal(h, k), draw.normal(n, m, scale=1), draw.normal(n, k, scale=1)


NETWORKS = (
    Network(
        "convolution with loops", conv_loss, conv_backward, draw_conv, 3, rewritten=(conv_by_windows,),
        planted=(
            Planted("CR129", "dw[f] += window * dout[f, i, j]", "dw[f] += window[:, ::-1, ::-1] * dout[f, i, j]"),
            Planted("CR131", "dw[f] += window * dout[f, i, j]",
                    "window = xp[:, i : i + K, j : j + K]\ndw[f] += window * dout[f, i, j]"),
            Planted("CR129", "w[f] * dout[f, i, j]", "w[f][:, ::-1, ::-1] * dout[f, i, j]"),
            Planted(
                "CR130 CR116",
                "dxp[:, i * STRIDE : i * STRIDE + K, j * STRIDE : j * STRIDE + K] += w[f] * dout[f, i, j]",
                "dxp[:, i * STRIDE : i * STRIDE + K, j * STRIDE : j * STRIDE + K] = w[f] * dout[f, i, j]",
            ),
            Planted(
                "CR131",
                "dxp[:, i * STRIDE : i * STRIDE + K, j * STRIDE : j * STRIDE + K] += w[f] * dout[f, i, j]",
                "dxp[:, i : i + K, j : j + K] += w[f] * dout[f, i, j]",
            ),
            Planted("CR131", "dxp[:, PAD:-PAD, PAD:-PAD]", "dxp[:, : -2 * PAD, : -2 * PAD]"),
            Planted("CR131", "dxp[:, PAD:-PAD, PAD:-PAD]", "dxp[:, 2 * PAD :, 2 * PAD :]"),
            Planted("CR130 CR113 CR114", "db[f] += dout[f, i, j]", "db[f] = dout[f, i, j]"),
            Planted("CR109", "dw[f] += window * dout[f, i, j]",
                    "dw[f] += window.transpose(0, 2, 1) * dout[f, i, j]"),
        ),
    ),
    Network(
        "two convolutions as matrix products", signal_loss, signal_backward, draw_signal, 2,
        activations={"h": "z"}, rewritten=(signal_by_convolve,),
        planted=(
            Planted("CR129", "dcols = np.outer(dout, k2)", "dcols = np.outer(dout, k2[::-1])"),
            Planted("CR129", "dk2 = cols2.T @ dout", "dk2 = (cols2.T @ dout)[::-1]"),
            Planted("CR130 CR116", "dh[i : i + len(k2)] += dcols[i]", "dh[i : i + len(k2)] = dcols[i]"),
        ),
    ),
    Network(
        "max-pooling", pool_loss, pool_backward, draw_pool, 2, rewritten=(pool_with_argmax,), mean_over=(2, 3),
        planted=(
            Planted("CR128", "dpooled[:, :, None] * mask", "dpooled[:, :, None] * np.ones_like(pairs)"),
            Planted("CR128", "dpooled[:, :, None] * mask", "dpooled[:, :, None] * np.array([1.0, 0.0])"),
            Planted("CR128", "dpooled[:, :, None] * mask", "dpooled[:, :, None] * np.ones_like(pairs) / 2"),
            Planted("CR128", "pairs == pooled[:, :, None]", "pairs == pairs.min(axis=2, keepdims=True)"),
        ),
    ),
)  # fmt: skip
