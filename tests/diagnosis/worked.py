"""The worked examples of the catalogue: a program with a right gradient, and for each code the line that is wrong.

`page()` is the text of docs/why-is-my-gradient-wrong.md; every report in it is that of a run.
"""

import re
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis import Report, check, check_layer, check_step
from chainrule.diagnosis.mistakes import CATALOGUE, MISTAKES


class Program(NamedTuple):
    """A program whose gradient is right; `call` is what is reported."""

    title: str
    words: str
    source: str
    call: str


class Example(NamedTuple):
    """The line of a program that is replaced by a wrong one."""

    code: str
    program: str
    right: str
    wrong: str


DENSE = """
def loss(W1, b1, W2):
    A1 = 1 / (1 + np.exp(-(X @ W1 + b1)))
    Yhat = np.tanh(A1 @ W2)
    return 0.5 * ((Yhat - Y) ** 2).sum()

def gradient(W1, b1, W2):
    Z1 = X @ W1 + b1
    A1 = 1 / (1 + np.exp(-Z1))
    Yhat = np.tanh(A1 @ W2)
    d_Yhat = Yhat - Y
    d_Z2 = d_Yhat * (1 - Yhat**2)
    d_W2 = A1.T @ d_Z2
    d_A1 = d_Z2 @ W2.T
    d_Z1 = d_A1 * A1 * (1 - A1)
    d_W1 = X.T @ d_Z1
    d_b1 = d_Z1.sum(axis=0)
    return d_W1, d_b1, d_W2
"""

SOFTMAX = """
def loss(W):
    e = np.exp(X @ W)
    P = e / e.sum(axis=1, keepdims=True)
    return -(Labels * np.log(P)).sum() / len(X) + 0.05 * (W**2).sum()

def gradient(W):
    e = np.exp(X @ W)
    P = e / e.sum(axis=1, keepdims=True)
    d_Z = (P - Labels) / len(X)
    d_W = X.T @ d_Z + 0.1 * W
    return d_W
"""

BRIER = """
def loss(W):
    e = np.exp(X @ W)
    P = e / e.sum(axis=1, keepdims=True)
    return ((P - Labels) ** 2).sum()

def gradient(W):
    e = np.exp(X @ W)
    P = e / e.sum(axis=1, keepdims=True)
    d_P = 2 * (P - Labels)
    d_Z = P * (d_P - (d_P * P).sum(axis=1, keepdims=True))
    return X.T @ d_Z
"""

LOGISTIC = """
def loss(w, b):
    p = 1 / (1 + np.exp(-(X @ w + b)))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()

def gradient(w, b):
    p = 1 / (1 + np.exp(-(X @ w + b)))
    d_z = (p - y) / len(y)
    return X.T @ d_z, d_z.sum()
"""

RIDGE = """
def loss(w, b):
    return ((X @ w + b - y) ** 2).sum() + 0.1 * (w**2).sum()

def gradient(w, b):
    d = 2 * (X @ w + b - y)
    return X.T @ d + 0.2 * w, d.sum()
"""

SKIP = """
def forward(x, w):
    a = np.tanh(x @ w)
    return x + a, (x, w, a)

def backward(dout, cache):
    x, w, a = cache
    dz = dout * (1 - a**2)
    dx = dout + dz @ w.T
    return dx, x.T @ dz
"""

NORM = """
def forward(x, gamma, beta):
    std = np.sqrt(x.var(axis=0) + 1e-5)
    xhat = (x - x.mean(axis=0)) / std
    return gamma * xhat + beta, (xhat, std, gamma)

def backward(dout, cache):
    xhat, std, gamma = cache
    g = dout * gamma
    dx = (g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0)) / std
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)
"""

DROPOUT = """
def forward(x, w):
    mask = (np.random.rand(len(x), w.shape[1]) < 0.8) / 0.8
    a = np.tanh(x @ w)
    return a * mask, (x, w, a, mask)

def backward(dout, cache):
    x, w, a, mask = cache
    da = dout * mask
    dz = da * (1 - a**2)
    return dz @ w.T, x.T @ dz
"""

RNN = """
def forward(x, h0, Wx, Wh):
    h = [h0]
    for t in range(len(x)):
        h.append(np.tanh(x[t] @ Wx + h[-1] @ Wh))
    return np.stack(h[1:]), (x, h, Wx, Wh)

def backward(dh, cache):
    x, h, Wx, Wh = cache
    dx, dWx, dWh, later = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), 0
    for t in reversed(range(len(x))):
        dz = (dh[t] + later) * (1 - h[t + 1] ** 2)
        dx[t] = Wx @ dz
        dWx += np.outer(x[t], dz)
        dWh += np.outer(h[t], dz)
        later = Wh @ dz
    return dx, later, dWx, dWh
"""

EMBEDDING = """
def forward(tokens, E):
    return E[tokens], (tokens, E)

def backward(dout, cache):
    tokens, E = cache
    dE = np.zeros_like(E)
    np.add.at(dE, tokens, dout)
    return dE
"""

POOL = """
def forward(x):
    out = x.reshape(len(x), -1, 2).max(axis=2)
    return out, (x, out)

def backward(dout, cache):
    x, out = cache
    pairs = x.reshape(len(x), -1, 2)
    share = pairs == out[:, :, None]
    return (share * dout[:, :, None]).reshape(x.shape)
"""

CORRELATION = """
def forward(x, kernel):
    out = np.zeros(len(x) - len(kernel) + 1)
    for i in range(len(out)):
        out[i] = x[i : i + len(kernel)] @ kernel
    return out, (x, kernel)

def backward(dout, cache):
    x, kernel = cache
    dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
    for i in range(len(dout)):
        dx[i : i + len(kernel)] += dout[i] * kernel
        dkernel += dout[i] * x[i : i + len(kernel)]
    return dx, dkernel
"""

KINK = """
def loss(w):
    return np.maximum(w, 0).sum()

def gradient(w):
    return (w > 0) * 0.5 + (w >= 0) * 0.5
"""

STEP = """
def loss(W, v):
    return ((np.tanh(X @ W) @ v - y) ** 2).mean()

def step(W, v):
    A = np.tanh(X @ W)
    d = 2 * (A @ v - y) / len(y)
    d_v = A.T @ d
    d_W = X.T @ (np.outer(d, v) * (1 - A**2))
    W = W - 0.1 * d_W
    v = v - 0.1 * d_v
    return W, v
"""

UNUSED = """
def predict(w, b):
    return w * 0.4 + b

def loss(w, b):
    return (predict(w, b) - 0.5) ** 2

def step(w, b):
    d = 2 * (predict(w, b) - 0.5)
    return w - 0.1 * d * 0.4, b - 0.1 * d
"""

CLAIMED, LAYER, UPDATED = (
    "check(loss, ({}), gradient)",
    "check_layer(forward, backward, {})",
    "check_step(loss, step, ({}))",
)
PROGRAMS = {
    "dense": Program(
        "A network of two layers", "Most mistakes can be made here.", DENSE, CLAIMED.format("W1, b1, W2")
    ),
    "shapes": Program(
        "Shapes", "The same program, with five hidden units.", DENSE, CLAIMED.format("V1, c1, V2")
    ),
    "square": Program(
        "As many rows as columns",
        "The same program, with four rows: then every product fits.",
        DENSE.replace("X", "Four").replace("Y)", "Targets)").replace("- Y\n", "- Targets\n"),
        CLAIMED.format("W1, b1, W2"),
    ),
    "logistic": Program("Logistic regression", "", LOGISTIC, CLAIMED.format("w, b")),
    "softmax": Program("Softmax, cross-entropy and weight decay", "", SOFTMAX, CLAIMED.format("Wide,")),
    "brier": Program("Softmax without cross-entropy", "", BRIER, CLAIMED.format("Wide,")),
    "ridge": Program("A regulariser", "", RIDGE, CLAIMED.format("w, b")),
    "skip": Program("A value that is used twice", "", SKIP, LAYER.format("x, Square")),
    "norm": Program("Normalisation", "", NORM, LAYER.format("x, (gamma, beta)")),
    "dropout": Program("Random numbers", "", DROPOUT, LAYER.format("x, Square")),
    "rnn": Program("Recurrence", "", RNN, LAYER.format("(x, h0), (Wx, Wh)")),
    "embedding": Program("Rows that are looked up", "", EMBEDDING, LAYER.format("tokens, E")),
    "pool": Program("A maximum", "", POOL, LAYER.format("Even")),
    "correlation": Program("Convolution", "", CORRELATION, LAYER.format("Signal, kernel")),
    "kink": Program("A kink", "", KINK, CLAIMED.format("np.array([0.0, 1.0]),")),
    "step": Program("The update", "", STEP, UPDATED.format("W1, v")),
    "unused": Program("Numbers instead of arrays", "", UNUSED, UPDATED.format("1.1, 0.7")),
}

D_Z1 = "    d_Z1 = d_A1 * A1 * (1 - A1)\n"
EXAMPLES = (
    Example("CR101", "dense", D_Z1, "    d_Z1 = d_A1\n"),
    Example("CR102", "dense", D_Z1, "    d_Z1 = d_A1 * A1 * A1 * (1 - A1)\n"),
    Example("CR103", "dense", D_Z1, "    d_Z1 = d_A1 * Z1 * (1 - Z1)\n"),
    Example("CR104", "dense", "(1 - Yhat**2)\n", "(1 - np.tanh(Yhat) ** 2)\n"),
    Example("CR105", "dense", D_Z1, "    d_Z1 = d_A1 * (1 - A1)\n"),
    Example("CR106", "dense", "    d_A1 = d_Z2 @ W2.T\n", "    d_A1 = d_Z2\n"),
    Example("CR107", "dense", "    d_W1 = X.T @ d_Z1\n", "    d_W1 = -X.T @ d_Z1\n"),
    Example("CR108", "dense", "    d_W2 = A1.T @ d_Z2\n", "    d_W2 = 2 * A1.T @ d_Z2\n"),
    Example("CR109", "dense", "    d_W1 = X.T @ d_Z1\n", "    d_W1 = d_Z1.T @ X\n"),
    Example("CR110", "dense", "    d_A1 = d_Z2 @ W2.T\n", "    d_A1 = d_Z2 @ W2\n"),
    Example("CR111", "dense", "    d_W2 = A1.T @ d_Z2\n", "    d_W2 = X.T @ d_Z2\n"),
    Example("CR112", "square", "    d_A1 = d_Z2 @ W2.T\n", "    d_A1 = d_Z2 * W2\n"),
    Example("CR113", "dense", "    d_b1 = d_Z1.sum(axis=0)\n", "    d_b1 = d_Z1[0]\n"),
    Example("CR114", "dense", "    d_b1 = d_Z1.sum(axis=0)\n", "    d_b1 = np.full(4, d_Z1.sum())\n"),
    Example("CR115", "dense", "    d_b1 = d_Z1.sum(axis=0)\n", "    d_b1 = d_Z1.mean(axis=0)\n"),
    Example("CR119", "dense", "    d_Yhat = Yhat - Y\n", "    d_Yhat = np.sign(Yhat - Y)\n"),
    Example("CR301", "shapes", "    d_W1 = X.T @ d_Z1\n", "    d_W1 = d_Z1.T @ X\n"),
    Example("CR302", "shapes", "    d_b1 = d_Z1.sum(axis=0)\n", "    d_b1 = d_Z1\n"),
    Example("CR303", "shapes", "    d_W2 = A1.T @ d_Z2\n", "    d_W2 = (A1.T @ d_Z2).ravel()\n"),
    Example("CR304", "shapes", "    d_W2 = A1.T @ d_Z2\n", "    d_W2 = d_Z2.sum(axis=0)\n"),
    Example("CR199", "dense", "    d_W1 = X.T @ d_Z1\n", "    d_W1 = np.cos(X.T @ d_Z1)\n"),
    Example("CR001", "logistic", "", ""),
    Example("CR002", "logistic", "    d_z = (p - y) / len(y)\n", "    d_z = 2 * (p - y) / len(y)\n"),
    Example("CR003", "logistic", "    d_z = (p - y) / len(y)\n", "    d_z = p - y\n"),
    Example("CR004", "logistic", "    d_z = (p - y) / len(y)\n", "    d_z = (y - p) / len(y)\n"),
    Example("CR118", "softmax", "(P - Labels) / len(X)\n", "(P - Labels) * P * (1 - P) / len(X)\n"),
    Example("CR125", "softmax", " + 0.1 * W\n", "\n"),
    Example("CR117", "brier", "P * (d_P - (d_P * P).sum(axis=1, keepdims=True))\n", "d_P * P * (1 - P)\n"),
    Example("CR126", "ridge", "0.2 * w, d.sum()\n", "0.1 * w, d.sum()\n"),
    Example("CR127", "ridge", "0.2 * w, d.sum()\n", "0.2 * w, d.sum() + 0.2 * b\n"),
    Example("CR116", "skip", "    dx = dout + dz @ w.T\n", "    dx = dz @ w.T\n"),
    Example("CR120", "norm", "(g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0)) / std\n", "g / std\n"),
    Example("CR121", "norm", "(g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0)) / std\n",
            "(g - dout.mean(axis=0) - xhat * (dout * xhat).mean(axis=0)) / std\n"),
    Example("CR122", "dropout", "    da = dout * mask\n", "    da = dout * (mask > 0)\n"),
    Example("CR123", "dropout", "    da = dout * mask\n", "    da = dout * (np.random.rand(*a.shape) < 0.8) / 0.8\n"),
    Example("CR124", "rnn", "(dh[t] + later)", "dh[t]"),
    Example("CR130", "embedding", "    np.add.at(dE, tokens, dout)\n", "    dE[tokens] += dout\n"),
    Example("CR128", "pool", "    share = pairs == out[:, :, None]\n", "    share = np.ones_like(pairs) / 2\n"),
    Example("CR129", "correlation", "    return dx, dkernel\n", "    return dx, dkernel[::-1]\n"),
    Example("CR090", "kink", "(w > 0) * 0.5 + (w >= 0) * 0.5\n", "(w >= 0) * 1.0\n"),
    Example("CR201", "step", "    d_W = X.T @ (np.outer(d, v)",
            "    v = v - 0.1 * d_v\n    d_W = X.T @ (np.outer(d, v)"),
    Example("CR202", "step", "    W = W - 0.1 * d_W\n", "    W = W - np.array([[0.1], [0.1], [0.1], [0.2]]) * d_W\n"),
    Example("CR203", "step", "    W = W - 0.1 * d_W\n", "    W = W + 0.1 * d_W\n"),
    Example("CR204", "step", "    W = W - 0.1 * d_W\n", ""),
    Example("CR205", "unused", "    return w * 0.4 + b\n", "    return w * 0.4\n"),
    Example("CR206", "step", "    W = W - 0.1 * d_W\n", "    seen.append(d_W)\n    W = W - 0.1 * sum(seen)\n"),
    Example("CR006", "step", "    v = v - 0.1 * d_v\n", "    v = v - 0.3 * d_v\n"),
    Example("CR007", "step", "    W = W - 0.1 * d_W\n", "    W = W - 0.1 * (d_W + 0.01 * W)\n"),
    Example("CR008", "step", "    W = W - 0.1 * d_W\n    v = v - 0.1 * d_v\n",
            "    W = W - 0.1 * d_W / (abs(d_W) + 1e-12)\n    v = v - 0.1 * d_v / (abs(d_v) + 1e-12)\n"),
)  # fmt: skip


def names() -> dict[str, Any]:
    """The data and parameters of the programs."""
    rng = np.random.default_rng(0)
    drawn = rng.normal
    return {
        "np": np, "check": check, "check_layer": check_layer, "check_step": check_step, "seen": [],
        "X": drawn(size=(6, 4)), "Y": drawn(size=(6, 4)), "y": np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0]),
        "Labels": np.eye(3)[[0, 2, 1, 1, 0, 2]], "Four": drawn(size=(4, 4)), "Targets": drawn(size=(4, 4)),
        "W1": drawn(size=(4, 4)), "b1": drawn(size=4), "W2": drawn(size=(4, 4)), "V1": drawn(size=(4, 5)),
        "c1": drawn(size=5), "V2": drawn(size=(5, 4)), "Wide": drawn(size=(4, 3)), "w": drawn(size=4), "b": 0.37,
        "v": drawn(size=4), "x": drawn(size=(5, 4)), "Square": drawn(size=(4, 4)), "gamma": drawn(size=4),
        "beta": drawn(size=4), "h0": drawn(size=4), "Wx": drawn(size=(4, 4)), "Wh": drawn(size=(4, 4)),
        "tokens": np.array([0, 2, 2, 1, 0]), "E": drawn(size=(3, 4)), "Even": drawn(size=(3, 6)),
        "Signal": drawn(size=8), "kernel": drawn(size=3),
    }  # fmt: skip


def reported(example: Example) -> Report:
    """The report on a program with the wrong line in it."""
    program, scope = PROGRAMS[example.program], names()
    if program.source.count(example.right) != 1 and example.right:
        raise ValueError(f"{example.code}: {example.right!r} is not once in the program")
    source = program.source.replace(example.right, example.wrong) if example.right else program.source
    if example.program == "step":
        scope["W1"] = scope["Wide"]
        scope["v"] = scope["v"][:3]
    exec(compile(source, "example.py", "exec"), scope)
    call = f"{program.call[:-1]}, seconds=2)" if example.code == "CR199" else program.call
    return eval(call, scope)  # type: ignore[no-any-return]


HEAD = """# Why is my gradient wrong?

<!-- Made by tests/diagnosis/test_catalogue_page.py: do not edit. LISTINGS_WRITE=1 renews it. -->

These are the mistakes that `check`, `check_layer` and `check_step` know by name. Each has a code that stays the same.
Find yours by its code, or by the line that looks like yours: a line with `-` is the mistake, one with `+` is how the
program above has it. Every report is that of a run with the mistake in it; of several findings the first is shown.
[Checking a gradient](check.md) says how to read a report.

| codes | what they are about |
|---|---|
| CR0xx | right, though people doubt it; or nothing can be told |
| CR1xx | the formula of the gradient |
| CR2xx | the update of the parameters |
| CR3xx | shapes |
"""


def page() -> str:
    """The page, with every example run."""
    parts = [HEAD, _index()]
    for key, program in PROGRAMS.items():
        examples = [e for e in EXAMPLES if e.program == key]
        parts.append(f"## {program.title}\n")
        if program.words:
            parts.append(f"{program.words}\n")
        shown_already = key in ("shapes", "square")
        if not shown_already:
            parts.append(f"```text\n{program.source.strip()}\n```\n")
        parts += [_section(e) for e in examples]
    return "\n".join([*parts, _rules()])


def _index() -> str:
    rows = [f"| [{e.code}](#{e.code.lower()}) | {CATALOGUE[e.code].title} |" for e in sorted(EXAMPLES)]
    return "\n".join(["| code | name |", "|---|---|", *rows, ""])


def _section(example: Example) -> str:
    entry = CATALOGUE[example.code]
    lines = [f'<a id="{example.code.lower()}"></a>\n', f"### {example.code} {entry.title}\n"]
    if example.right:
        removed = [f"- {line.strip()}" for line in example.wrong.splitlines() if line.strip()]
        added = [f"+ {line.strip()}" for line in example.right.splitlines() if line.strip()]
        lines.append("\n".join(["```diff", *removed, *added, "```\n"]))
    return "\n".join([*lines, f"```text\n{_told(example)}\n```\n"])


def _told(example: Example) -> str:
    """The findings with the code; small errors are shown as such, since their last digits differ between machines."""
    report = reported(example)
    found = [f for f in report.findings if example.code in f.code.split("+")]
    if not found:
        raise ValueError(f"{example.code} is not what is found: {report!r}")
    text = "\n".join(str(f) for f in (found if len(found) == 1 else found[:1]))
    return re.sub(r"(\d(\.\d+)?e-\d\d|0)(?= when corrected)", "< 1e-8", text)


def _rules() -> str:
    """The wrong rules, by function."""
    lines = ["## Wrong derivatives of single functions\n",
             "What people write in the place of a function's derivative. `x` is what goes in, `out` what comes out.\n",
             "| code | what is wrong | in the derivative of |", "|---|---|---|"]  # fmt: skip
    rows: dict[tuple[str, str], list[str]] = {}
    for name, mistakes in MISTAKES.items():
        for m in mistakes:
            says = re.sub(r"\{(\w+)\}", r"`\1`", m.says).replace("|", "\\|").replace("**", "\\*\\*")
            rows.setdefault((m.code, says), []).append(f"`{name}`")
    lines += [f"| {code} | {says} | {', '.join(names)} |" for (code, says), names in rows.items()]
    return "\n".join([*lines, ""])
