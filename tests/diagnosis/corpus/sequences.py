"""Recurrent layers, self-attention, embeddings, and a variational autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from .network import Draw, Network, Planted


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


# a recurrent network that is judged by its last state ------------------------------------------------------


def rnn_loss(Wx: Any, Wh: Any, b: Any, Wy: Any, xs: Any, y: Any) -> Any:
    h = np.zeros((xs.shape[1], len(b)))
    for x in xs:
        h = np.tanh(x @ Wx + h @ Wh + b)
    return 0.5 * np.mean((h @ Wy - y) ** 2)


def rnn_backward(Wx: Any, Wh: Any, b: Any, Wy: Any, xs: Any, y: Any) -> Any:
    T, N, _ = xs.shape
    hs = [np.zeros((N, len(b)))]
    for t in range(T):
        hs.append(np.tanh(xs[t] @ Wx + hs[t] @ Wh + b))
    predictions = hs[T] @ Wy
    # backward
    dout = (predictions - y) / N
    dWy = hs[T].T @ dout
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = np.outer(dout, Wy)
    for t in reversed(range(T)):
        dz = dh * (1 - hs[t + 1] ** 2)
        dWx += xs[t].T @ dz
        dWh += hs[t].T @ dz
        db += dz.sum(axis=0)
        dh = dz @ Wh.T
    return dWx, dWh, db, dWy


def rnn_forwards(Wx: Any, Wh: Any, b: Any, Wy: Any, xs: Any, y: Any) -> Any:
    """By forward accumulation: the derivatives of the state are carried along with it."""
    N, H = xs.shape[1], len(b)
    h = np.zeros((N, H))
    by_Wx, by_Wh, by_b = np.zeros((N, H, *Wx.shape)), np.zeros((N, H, *Wh.shape)), np.zeros((N, H, H))
    unit = np.eye(H)
    for x in xs:
        new = np.tanh(x @ Wx + h @ Wh + b)
        slope = 1 - new**2
        by_Wx = np.einsum("nkij,kh->nhij", by_Wx, Wh) + np.einsum("ni,hj->nhij", x, unit)
        by_Wh = np.einsum("nkij,kh->nhij", by_Wh, Wh) + np.einsum("ni,hj->nhij", h, unit)
        by_b = np.einsum("nkj,kh->nhj", by_b, Wh) + unit
        by_Wx, by_Wh, by_b = (
            by_Wx * slope[:, :, None, None],
            by_Wh * slope[:, :, None, None],
            by_b * slope[:, :, None],
        )
        h = new
    dout = (h @ Wy - y) / N
    g = np.outer(dout, Wy)
    by_weights = (np.einsum("nh,nhij->ij", g, carried) for carried in (by_Wx, by_Wh))
    return *by_weights, np.einsum("nh,nhj->j", g, by_b), h.T @ dout


def draw_rnn(draw: Draw) -> Any:
    T, n, m, h = draw.size(3, 4), draw.size(3, 6), draw.size(2, 4), draw.size(2, 4)
    parameters = draw.normal(m, h), draw.normal(h, h), draw.normal(h), draw.normal(h)
    return *parameters, draw.normal(T, n, m, scale=1), draw.normal(n, scale=1)


# a recurrent network that predicts a symbol at each step ---------------------------------------------------


def chars_loss(params: Any, inputs: Any, targets: Any) -> Any:
    h = np.zeros(len(params["bh"]))
    loss = 0.0
    for i, t in zip(inputs, targets, strict=True):
        h = np.tanh(params["Wxh"][:, i] + params["Whh"] @ h + params["bh"])
        y = params["Why"] @ h + params["by"]
        loss = loss - (y[t] - np.log(np.sum(np.exp(y))))
    return loss


def chars_backward(params: Any, inputs: Any, targets: Any) -> Any:
    Wxh, Whh, Why = params["Wxh"], params["Whh"], params["Why"]
    xs, hs, ps = {}, {-1: np.zeros(len(params["bh"]))}, {}
    for t in range(len(inputs)):
        xs[t] = np.zeros(Wxh.shape[1])
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + params["bh"])
        y = Why @ hs[t] + params["by"]
        ps[t] = np.exp(y) / np.sum(np.exp(y))
    # backward
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(params["bh"]), np.zeros_like(params["by"])
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += np.outer(dy, hs[t])
        dby += dy
        dh = Why.T @ dy + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        dbh += dhraw
        dWxh += np.outer(dhraw, xs[t])
        dWhh += np.outer(dhraw, hs[t - 1])
        dhnext = Whh.T @ dhraw
    return {"Wxh": dWxh, "Whh": dWhh, "Why": dWhy, "bh": dbh, "by": dby}


def chars_stacked(params: Any, inputs: Any, targets: Any) -> Any:
    h, states = np.zeros(len(params["bh"])), []
    for i in inputs:
        states.append(h)
        h = np.tanh(params["Wxh"][:, i] + params["Whh"] @ h + params["bh"])
    before, after = np.array(states), np.array([*states[1:], h])
    Y = after @ params["Why"].T + params["by"]
    P = np.exp(Y) / np.exp(Y).sum(1, keepdims=True) - np.eye(Y.shape[1])[targets]
    direct, raw = P @ params["Why"], np.zeros_like(after)
    later = np.zeros(len(h))
    for t in range(len(after) - 1, -1, -1):
        raw[t] = (1 - after[t]) * (1 + after[t]) * (direct[t] + later)
        later = raw[t] @ params["Whh"]
    X = np.eye(params["Wxh"].shape[1])[inputs]
    return {"Wxh": raw.T @ X, "Whh": raw.T @ before, "Why": P.T @ after, "bh": raw.sum(0), "by": P.sum(0)}


def draw_chars(draw: Draw) -> Any:
    T, v, h = draw.size(4, 5), draw.size(3, 5), draw.size(2, 4)
    params = {
        "Wxh": draw.normal(h, v), "Whh": draw.normal(h, h), "Why": draw.normal(v, h),
        "bh": draw.normal(h), "by": draw.normal(v),
    }  # fmt: skip
    return params, draw.labels(T, v), draw.labels(T, v)


# LSTM --------------------------------------------------------------------------------------------------------


def lstm_loss(W: Any, U: Any, b: Any, xs: Any, target: Any) -> Any:
    H = len(b) // 4
    h = np.zeros(H)
    c = np.zeros(H)
    for x in xs:
        z = W @ x + U @ h + b
        i, f = sigmoid(z[:H]), sigmoid(z[H : 2 * H])
        o, g = sigmoid(z[2 * H : 3 * H]), np.tanh(z[3 * H :])
        c = f * c + i * g
        h = o * np.tanh(c)
    return 0.5 * np.sum((h - target) ** 2)


def lstm_backward(W: Any, U: Any, b: Any, xs: Any, target: Any) -> Any:
    H = len(b) // 4
    h, c, cache = np.zeros(H), np.zeros(H), []
    for x in xs:
        z = W @ x + U @ h + b
        i, f, o = sigmoid(z[:H]), sigmoid(z[H : 2 * H]), sigmoid(z[2 * H : 3 * H])
        g = np.tanh(z[3 * H :])
        c_next = f * c + i * g
        tc = np.tanh(c_next)
        cache.append((x, h, c, tc, i, f, o, g))
        h, c = o * tc, c_next
    # backward
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dh, dc = h - target, np.zeros(H)
    for x, h_prev, c_prev, tc, i, f, o, g in reversed(cache):
        do = dh * tc
        dc = dc + dh * o * (1 - tc**2)
        di = dc * g
        df = dc * c_prev
        dg = dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
        dW += np.outer(dz, x)
        dU += np.outer(dz, h_prev)
        db += dz
        dh = U.T @ dz
        dc = dc * f
    return dW, dU, db


def lstm_by_gate(W: Any, U: Any, b: Any, xs: Any, target: Any) -> Any:
    H = len(b) // 4
    gates = [slice(k * H, k * H + H) for k in range(4)]
    states, h, c = [], np.zeros(H), np.zeros(H)
    for x in xs:
        values = [
            act(W[s] @ x + U[s] @ h + b[s]) for s, act in zip(gates, (sigmoid,) * 3 + (np.tanh,), strict=True)
        ]
        states.append((x, h, c, values))
        c = values[1] * c + values[0] * values[3]
        h = values[2] * np.tanh(c)
    grads = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dh, dc = h - target, np.zeros(H)
    for x, h_before, c_before, (i, f, o, g) in states[::-1]:
        c_after = f * c_before + i * g
        dc = dc + dh * o / np.cosh(c_after) ** 2
        into_i, into_f = dc * g * (i - i**2), dc * c_before * (f - f**2)
        raw = into_i, into_f, dh * np.tanh(c_after) * (o - o**2), dc * i * (1 - g) * (1 + g)
        for s, d in zip(gates, raw, strict=True):
            grads[0][s] += d[:, None] * x
            grads[1][s] += d[:, None] * h_before
            grads[2][s] += d
        dh, dc = sum(d @ U[s] for s, d in zip(gates, raw, strict=True)), dc * f
    return grads


def draw_lstm(draw: Draw) -> Any:
    T, m, h = draw.size(3, 4), draw.size(2, 4), draw.size(2, 3)
    W, U = draw.normal(4 * h, m), draw.normal(4 * h, h)
    return W, U, draw.normal(4 * h), draw.normal(T, m, scale=1), draw.normal(h, scale=1)


# GRU --------------------------------------------------------------------------------------------------------


def gru_loss(Wz: Any, Uz: Any, Wr: Any, Ur: Any, Wn: Any, Un: Any, xs: Any, target: Any) -> Any:
    h = np.zeros(len(target))
    for x in xs:
        z = 1 / (1 + np.exp(-(Wz @ x + Uz @ h)))
        r = 1 / (1 + np.exp(-(Wr @ x + Ur @ h)))
        n = np.tanh(Wn @ x + Un @ (r * h))
        h = (1 - z) * h + z * n
    return ((h - target) ** 2).sum()


def gru_backward(Wz: Any, Uz: Any, Wr: Any, Ur: Any, Wn: Any, Un: Any, xs: Any, target: Any) -> Any:
    hs, zs, rs, ns = [np.zeros(len(target))], [], [], []
    for x in xs:
        zs.append(sigmoid(Wz @ x + Uz @ hs[-1]))
        rs.append(sigmoid(Wr @ x + Ur @ hs[-1]))
        ns.append(np.tanh(Wn @ x + Un @ (rs[-1] * hs[-1])))
        hs.append((1 - zs[-1]) * hs[-1] + zs[-1] * ns[-1])
    # backward
    dWz, dUz, dWr, dUr, dWn, dUn = (np.zeros_like(p) for p in (Wz, Uz, Wr, Ur, Wn, Un))
    dh = 2 * (hs[-1] - target)
    for t in range(len(xs) - 1, -1, -1):
        x, h, z, r, n = xs[t], hs[t], zs[t], rs[t], ns[t]
        dn = dh * z
        dz = dh * (n - h)
        dh_next = dh * (1 - z)
        dan = dn * (1 - n**2)
        dWn += np.outer(dan, x)
        dUn += np.outer(dan, r * h)
        drh = Un.T @ dan
        dr = drh * h
        dh_next = dh_next + drh * r
        daz = dz * z * (1 - z)
        dar = dr * r * (1 - r)
        dWz += np.outer(daz, x)
        dUz += np.outer(daz, h)
        dWr += np.outer(dar, x)
        dUr += np.outer(dar, h)
        dh = dh_next + Uz.T @ daz + Ur.T @ dar
    return dWz, dUz, dWr, dUr, dWn, dUn


def draw_gru(draw: Draw) -> Any:
    T, m, h = 3, draw.size(2, 3), draw.size(2, 3)
    parameters = [draw.normal(h, m if k % 2 == 0 else h) for k in range(6)]
    return *parameters, draw.normal(T, m, scale=1), draw.normal(h, scale=1)


# self-attention ----------------------------------------------------------------------------------------------


def attention_loss(Wq: Any, Wk: Any, Wv: Any, X: Any, Y: Any) -> Any:
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    S = Q @ K.T / np.sqrt(Wq.shape[1])
    A = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
    return 0.5 * np.sum((A @ V - Y) ** 2)


def attention_backward(Wq: Any, Wk: Any, Wv: Any, X: Any, Y: Any) -> Any:
    root = np.sqrt(Wq.shape[1])
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    S = Q @ K.T / root
    A = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
    out = A @ V
    # backward
    dout = out - Y
    dV = A.T @ dout
    dA = dout @ V.T
    dS = A * (dA - (dA * A).sum(axis=1, keepdims=True))
    dQ = dS @ K / root
    dK = dS.T @ Q / root
    dWq = X.T @ dQ
    dWk = X.T @ dK
    dWv = X.T @ dV
    return dWq, dWk, dWv


def attention_by_row(Wq: Any, Wk: Any, Wv: Any, X: Any, Y: Any) -> Any:
    dWq, dWk, dWv = np.zeros_like(Wq), np.zeros_like(Wk), np.zeros_like(Wv)
    scale = Wq.shape[1] ** -0.5
    for x, y in zip(X, Y, strict=True):
        a = np.exp(scale * (X @ Wk @ (x @ Wq)))
        a /= a.sum()
        error = a @ X @ Wv - y
        ds = scale * ((np.diag(a) - np.outer(a, a)) @ (X @ Wv @ error))
        dWv += np.outer(a @ X, error)
        dWq += np.outer(x, ds @ X @ Wk)
        dWk += np.outer(ds @ X, x @ Wq)
    return dWq, dWk, dWv


def draw_attention(draw: Draw) -> Any:
    n, m, d, v = draw.size(3, 5), draw.size(2, 5), draw.size(2, 4), draw.size(2, 4)
    parameters = draw.normal(m, d), draw.normal(m, d), draw.normal(m, v)
    return *parameters, draw.normal(n, m, scale=1), draw.normal(n, v, scale=1)


# an embedding whose rows are used more than once --------------------------------------------------------------


def embedding_loss(E: Any, W: Any, tokens: Any, y: Any) -> Any:
    bag = E[tokens].mean(axis=1)
    p = 1 / (1 + np.exp(-(bag @ W)))
    return np.sum(-y * np.log(p) - (1 - y) * np.log(1 - p))


def embedding_backward(E: Any, W: Any, tokens: Any, y: Any) -> Any:
    bag = E[tokens].mean(axis=1)
    p = sigmoid(bag @ W)
    # backward
    dz = p - y
    dW = bag.T @ dz
    dbag = np.outer(dz, W)
    drows = np.repeat(dbag[:, None, :], tokens.shape[1], axis=1) / tokens.shape[1]
    dE = np.zeros_like(E)
    np.add.at(dE, tokens, drows)
    return dE, dW


def embedding_with_counts(E: Any, W: Any, tokens: Any, y: Any) -> Any:
    counts = np.stack([np.bincount(row, minlength=len(E)) for row in tokens]) / tokens.shape[1]
    p = sigmoid(counts @ E @ W)
    return np.outer(counts.T @ (p - y), W), E.T @ counts.T @ (p - y)


def draw_embedding(draw: Draw) -> Any:
    n, length, vocabulary, d = draw.size(3, 5), draw.size(3, 4), draw.size(3, 5), draw.size(2, 4)
    tokens = draw.labels((n, length), vocabulary)
    tokens[:, 0] = tokens[0, -1]
    return draw.normal(vocabulary, d), draw.normal(d), tokens, draw.bits(n)


# a variational autoencoder -----------------------------------------------------------------------------------


def vae_loss(params: Any, X: Any, noise: Any, other_noise: Any) -> Any:
    h = np.tanh(X @ params["We"] + params["be"])
    mu = h @ params["Wmu"]
    logvar = h @ params["Wlv"]
    z = mu + np.exp(0.5 * logvar) * noise
    R = 1 / (1 + np.exp(-(z @ params["Wd"] + params["bd"])))
    reconstruction = -np.sum(X * np.log(R) + (1 - X) * np.log(1 - R))
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar))
    return (reconstruction + kl) / len(X)


def vae_backward(params: Any, X: Any, noise: Any, other_noise: Any) -> Any:
    N = len(X)
    a = X @ params["We"] + params["be"]
    h = np.tanh(a)
    mu = h @ params["Wmu"]
    logvar = h @ params["Wlv"]
    std = np.exp(0.5 * logvar)
    z = mu + std * noise
    R = sigmoid(z @ params["Wd"] + params["bd"])
    # backward
    dlogits = (R - X) / N
    dWd = z.T @ dlogits
    dbd = dlogits.sum(axis=0)
    dz = dlogits @ params["Wd"].T
    dmu = dz + mu / N
    dlogvar = dz * noise * 0.5 * std + 0.5 * (np.exp(logvar) - 1) / N
    dWmu = h.T @ dmu
    dWlv = h.T @ dlogvar
    dh = dmu @ params["Wmu"].T + dlogvar @ params["Wlv"].T
    da = dh * (1 - h**2)
    dWe = X.T @ da
    dbe = da.sum(axis=0)
    return {"We": dWe, "be": dbe, "Wmu": dWmu, "Wlv": dWlv, "Wd": dWd, "bd": dbd}


def vae_by_sample(params: Any, X: Any, noise: Any, other_noise: Any) -> Any:
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    for x, eps in zip(X, noise, strict=True):
        h = np.tanh(x @ params["We"] + params["be"])
        mu, logvar = h @ params["Wmu"], h @ params["Wlv"]
        z = mu + eps * np.sqrt(np.exp(logvar))
        r = sigmoid(z @ params["Wd"] + params["bd"])
        dr = (1 - x) / (1 - r) - x / r
        dz = params["Wd"] @ (dr * r * (1 - r))
        dlogvar = (dz * (z - mu) + np.exp(logvar) - 1) / 2
        da = (params["Wmu"] @ (dz + mu) + params["Wlv"] @ dlogvar) * (1 - h) * (1 + h)
        shares = {
            "We": np.outer(x, da), "be": da, "Wmu": np.outer(h, dz + mu), "Wlv": np.outer(h, dlogvar),
            "Wd": np.outer(z, dr * r * (1 - r)), "bd": r - x,
        }  # fmt: skip
        for name, share in shares.items():
            grads[name] += share / len(X)
    return grads


def draw_vae(draw: Draw) -> Any:
    n, m, h, k = draw.size(3, 6), draw.size(3, 5), draw.size(2, 4), draw.size(2, 3)
    params = {
        "We": draw.normal(m, h), "be": draw.normal(h), "Wmu": draw.normal(h, k), "Wlv": draw.normal(h, k),
        "Wd": draw.normal(k, m), "bd": draw.normal(m),
    }  # fmt: skip
    return params, draw.bits(n, m), draw.normal(n, k, scale=1), draw.normal(n, k, scale=1)


NETWORKS = (
    Network(
        "recurrent network", rnn_loss, rnn_backward, draw_rnn, 4, rewritten=(rnn_forwards,),
        planted=(
            Planted("CR124", "dh = dz @ Wh.T", "dh = np.zeros_like(dz)"),
            Planted("CR124", "range(T)", "range(T - 1, T)"),
            Planted("CR124", "range(T)", "range(T - 2, T)"),
            Planted("CR106", "dh * (1 - hs[t + 1] ** 2)", "(1 - hs[t + 1] ** 2)"),
            Planted("CR103 CR111", "1 - hs[t + 1] ** 2", "1 - hs[t] ** 2"),
            Planted("CR111", "hs[t].T @ dz", "hs[t + 1].T @ dz"),
            Planted("CR108", "dWx += xs[t].T @ dz", "dWx += xs[t].T @ dz / T"),
        ),
        roles={"1 - hs[t + 1] ** 2": "CR101"},
    ),
    Network(
        "symbols, one after another", chars_loss, chars_backward, draw_chars, 1, rewritten=(chars_stacked,),
        roles={"dhnext": "CR124 CR116", "1 - hs[t] * hs[t]": "CR101"},
        planted=(
            Planted("CR124 CR116", "dhnext = Whh.T @ dhraw", "pass"),
            Planted("CR110", "dhnext = Whh.T @ dhraw", "dhnext = Whh @ dhraw"),
            Planted("CR111", "np.outer(dhraw, hs[t - 1])", "np.outer(dhraw, hs[t])"),
            Planted("CR118", "dy[targets[t]] -= 1", "dy[targets[t]] -= 1\ndy *= ps[t] * (1 - ps[t])"),
            Planted("CR116 CR124", "dh = Why.T @ dy + dhnext", "dh = dhnext if t < len(inputs) - 1 else Why.T @ dy"),
        ),
    ),
    Network(
        "LSTM", lstm_loss, lstm_backward, draw_lstm, 3, rewritten=(lstm_by_gate,),
        activations={"i": "z", "f": "z", "o": "z"}, roles={"dc": "CR116 CR124"},
        planted=(
            Planted("CR124", "dh = U.T @ dz", "dh = np.zeros(H)"),
            Planted("CR124 CR116", "dc = dc * f", "dc = np.zeros(H)"),
            Planted("CR106", "dc = dc * f", "pass"),
            Planted("CR101", "dh * o * (1 - tc**2)", "dh * o"),
            Planted("CR101", "dg * (1 - g**2)", "dg"),
            Planted("CR111", "dc * c_prev", "dc * tc"),
            Planted("CR111", "np.outer(dz, h_prev)", "np.outer(dz, o * tc)"),
        ),
    ),
    Network(
        "gated recurrent unit", gru_loss, gru_backward, draw_gru, 6,
        roles={"drh * r": "CR116", "Uz.T @ daz": "CR116", "Ur.T @ dar": "CR116", "dh_next": "CR116 CR124"},
        planted=(
            Planted("CR124", "dh = dh_next + Uz.T @ daz + Ur.T @ dar", "dh = np.zeros_like(dh)"),
            Planted("CR116", "dh = dh_next + Uz.T @ daz + Ur.T @ dar", "dh = dh_next"),
            Planted("CR111", "np.outer(dan, r * h)", "np.outer(dan, h)"),
        ),
    ),
    Network(
        "self-attention", attention_loss, attention_backward, draw_attention, 3, rewritten=(attention_by_row,),
        planted=(
            Planted("CR117", "A * (dA - (dA * A).sum(axis=1, keepdims=True))", "dA * A * (1 - A)"),
            Planted("CR101", "A * (dA - (dA * A).sum(axis=1, keepdims=True))", "dA"),
            Planted("CR110", "dK = dS.T @ Q / root", "dK = dS @ Q / root"),
            Planted("CR108", "root", "(root * root)"),
            Planted("CR111", "dQ = dS @ K / root", "dQ = dS @ Q / root"),
            Planted("CR110", "dV = A.T @ dout", "dV = A @ dout"),
        ),
    ),
    Network(
        "embedding", embedding_loss, embedding_backward, draw_embedding, 2, rewritten=(embedding_with_counts,),
        planted=(
            Planted("CR130", "np.add.at(dE, tokens, drows)", "dE[tokens] += drows"),
            Planted("CR130", "np.add.at(dE, tokens, drows)", "dE[tokens] = drows"),
            Planted("CR108", "np.repeat(dbag[:, None, :], tokens.shape[1], axis=1) / tokens.shape[1]",
                    "np.repeat(dbag[:, None, :], tokens.shape[1], axis=1)"),
        ),
    ),
    Network(
        "variational autoencoder", vae_loss, vae_backward, draw_vae, 1,
        activations={"h": "a"}, rewritten=(vae_by_sample,), mean_over=(1, 2, 3),
        roles={"mu / N": "CR116 CR125", "0.5 * (np.exp(logvar) - 1) / N": "CR116 CR125"},
        planted=(
            Planted("CR123", "dz * noise * 0.5 * std", "dz * other_noise * 0.5 * std"),
            Planted("CR119", "dlogits = (R - X) / N", "dlogits = 2 * (R - X) * R * (1 - R) / N"),
            Planted("CR116", "dlogvar = dz * noise * 0.5 * std + 0.5 * (np.exp(logvar) - 1) / N",
                    "dlogvar = 0.5 * (np.exp(logvar) - 1) / N"),
            Planted("CR105 CR116", "0.5 * (np.exp(logvar) - 1) / N", "0.5 * np.exp(logvar) / N"),
        ),
    ),
)  # fmt: skip
