"""The catalogue: every wrong rule is wrong, is found where it is planted by hand, and has a title and an example."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.diagnosis import check
from chainrule.diagnosis.mistakes import CATALOGUE, MISTAKES, mistake
from chainrule.errors import ContractError

rng = np.random.default_rng(3)
X = rng.normal(size=(9, 4))
T = rng.normal(size=(9, 3))


def test_codes_are_unique_and_titled() -> None:
    assert all(code == entry.code and entry.title for code, entry in CATALOGUE.items())
    wrong = [e for c, e in CATALOGUE.items() if "CR100" < c < "CR400" and c not in ("CR199", "CR304")]
    assert all(e.written and e.right and e.written != e.right for e in wrong)


def test_every_wrong_rule_has_a_code_of_the_catalogue() -> None:
    assert {m.code for found in MISTAKES.values() for m in found} <= CATALOGUE.keys()


def test_a_wrong_rule_that_asks_for_what_it_cannot_have_is_refused() -> None:
    with pytest.raises(ContractError):
        mistake("CR103", "tanh(x)", "never entered", x=lambda g, y: g * y)
    assert all(m.says != "never entered" for m in MISTAKES["tanh"])


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], dict[str, list[Callable[[Any, Any], Any]]]]] = {
    "sigmoid": (sigmoid, {
        "CR101": [lambda z, a: np.ones_like(a)],
        "CR103": [lambda z, a: z * (1 - z), lambda z, a: 1 - a * a],
        "CR104": [lambda z, a: sigmoid(a) * (1 - sigmoid(a))],
        "CR105": [lambda z, a: a, lambda z, a: 1 - a],
        "CR102": [lambda z, a: (a * (1 - a)) ** 2, lambda z, a: a * a * (1 - a)],
        "CR107": [lambda z, a: -a * (1 - a), lambda z, a: a * (1 + a)],
    }),
    "tanh": (np.tanh, {
        "CR101": [lambda z, a: np.ones_like(a)],
        "CR103": [lambda z, a: 1 - z * z, lambda z, a: a * (1 - a)],
        "CR104": [lambda z, a: 1 - np.tanh(a) ** 2],
        "CR105": [lambda z, a: 1 - a, lambda z, a: a * a],
        "CR107": [lambda z, a: 1 + a * a],
    }),
    "relu": (lambda z: np.maximum(z, 0), {
        "CR101": [lambda z, a: np.ones_like(a)],
        "CR102": [lambda z, a: a],
        "CR107": [lambda z, a: (z < 0).astype(float)],
    }),
}  # fmt: skip
PLANTED = [(n, c, f) for n, (_, wrong) in ACTIVATIONS.items() for c, found in wrong.items() for f in found]


@pytest.mark.parametrize(("name", "code", "slope"), PLANTED)
def test_a_wrong_activation_derivative_is_named(
    name: str, code: str, slope: Callable[[Any, Any], Any]
) -> None:
    function = ACTIVATIONS[name][0]

    def loss(W: Any, b: Any, V: Any) -> Any:
        return 0.5 * np.sum((function(X @ W + b) @ V - T) ** 2)

    def gradient(W: Any, b: Any, V: Any) -> Any:
        Z = X @ W + b
        A = function(Z)
        d = A @ V - T
        d_Z = (d @ V.T) * slope(Z, A)
        return X.T @ d_Z, d_Z.sum(axis=0), A.T @ d

    parameters = (rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=(5, 3)))
    report = check(loss, parameters, gradient)
    assert [f.code for f in report.findings] == [code, code, "CR000"]


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("code", "jacobian"),
    [
        ("CR117", lambda g, p: g * p * (1 - p)),
        ("CR117", lambda g, p: g * p),
        ("CR114", lambda g, p: p * (g - np.sum(g * p))),
        ("CR101", lambda g, p: g),
    ],
)
def test_a_wrong_softmax_is_named(code: str, jacobian: Callable[[Any, Any], Any]) -> None:
    def loss(W: Any) -> Any:
        return np.sum((softmax(X @ W) - T) ** 2)

    def gradient(W: Any) -> Any:
        P = softmax(X @ W)
        return (X.T @ jacobian(2 * (P - T), P),)

    (finding,) = check(loss, (rng.normal(size=(4, 3)),), gradient).findings
    assert finding.code == code


def normalised(x: Any, gamma: Any) -> Any:
    return gamma * ((x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5))


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("CR120", lambda g, xhat, std: g / std),
        ("CR120", lambda g, xhat, std: (g - g.mean(axis=0)) / std),
        ("CR120", lambda g, xhat, std: (g - xhat * (g * xhat).mean(axis=0)) / std),
        ("CR108", lambda g, xhat, std: (g - g.sum(axis=0) - xhat * (g * xhat).sum(axis=0)) / std),
    ],
)
def test_a_wrong_normalisation_is_named(code: str, rule: Callable[[Any, Any, Any], Any]) -> None:
    target = rng.normal(size=(9, 4))

    def loss(x: Any, gamma: Any) -> Any:
        return np.sum((normalised(x, gamma) - target) ** 2)

    def gradient(x: Any, gamma: Any) -> Any:
        std = np.sqrt(x.var(axis=0) + 1e-5)
        xhat = (x - x.mean(axis=0)) / std
        d = 2 * (gamma * xhat - target)
        return rule(d * gamma, xhat, std), (d * xhat).sum(axis=0)

    report = check(loss, (rng.normal(size=(9, 4)), rng.uniform(0.5, 2, 4)), gradient)
    assert [f.code for f in report.findings] == [code, "CR000"]


def recurrent_gradient(Wx: Any, Wh: Any, truncated: bool = False, last_only: bool = False) -> Any:
    states = [np.zeros(3)]
    for x in X[:4]:
        states.append(np.tanh(Wx @ x + Wh @ states[-1]))
    d_Wx, d_Wh, d_h = np.zeros_like(Wx), np.zeros_like(Wh), 2 * states[-1]
    for t in range(3, -1, -1):
        d_z = d_h * (1 - states[t + 1] ** 2)
        d_Wx = np.outer(d_z, X[t]) + (0 if last_only else d_Wx)
        d_Wh = np.outer(d_z, states[t]) + d_Wh
        d_h = 0 * d_z if truncated else Wh.T @ d_z
    return d_Wx, d_Wh


def recurrent_loss(Wx: Any, Wh: Any) -> Any:
    h = np.zeros(3)
    for x in X[:4]:
        h = np.tanh(Wx @ x + Wh @ h)
    return np.sum(h**2)


@pytest.mark.parametrize(
    ("mistakes", "codes"),
    [
        ({}, ["CR000", "CR000"]),
        ({"truncated": True}, ["CR124", "CR124"]),
        ({"last_only": True}, ["CR113", "CR000"]),
    ],
)
def test_mistakes_in_a_loop_are_made_in_every_run(mistakes: dict[str, bool], codes: list[str]) -> None:
    parameters = (rng.normal(size=(3, 4)), rng.normal(size=(3, 3)))
    report = check(recurrent_loss, parameters, lambda Wx, Wh: recurrent_gradient(Wx, Wh, **mistakes))
    assert [f.code for f in report.findings] == codes


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("CR125", lambda g, W, b: (g[0] - 0.2 * W, g[1])),
        ("CR126", lambda g, W, b: (g[0] + 0.2 * W, g[1])),
        ("CR127", lambda g, W, b: (g[0], g[1] + 0.2 * b)),
        ("CR115", lambda g, W, b: (g[0], g[1] / len(X))),
        ("CR114", lambda g, W, b: (g[0], np.full(3, g[1].sum()))),
        ("CR107", lambda g, W, b: (g[0], -g[1])),
    ],
)
def test_regularisers_and_sums(code: str, change: Callable[..., Any]) -> None:
    def loss(W: Any, b: Any) -> Any:
        return np.sum((X @ W + b - T) ** 2) + 0.1 * np.sum(W**2)

    def gradient(W: Any, b: Any) -> Any:
        d = 2 * (X @ W + b - T)
        return change((X.T @ d + 0.2 * W, d.sum(axis=0)), W, b)

    report = check(loss, (rng.normal(size=(4, 3)), rng.normal(size=3)), gradient)
    assert [f.code for f in report.findings if f.code != "CR000"] == [code]


def test_repeated_rows_that_are_overwritten() -> None:
    tokens = np.array([0, 2, 2, 1, 0])
    target = rng.normal(size=(5, 3))

    def loss(E: Any) -> Any:
        return np.sum((E[tokens] - target) ** 2)

    def gradient(E: Any) -> Any:
        d_E = np.zeros_like(E)
        d_E[tokens] = 2 * (E[tokens] - target)
        return (d_E,)

    (finding,) = check(loss, (rng.normal(size=(4, 3)),), gradient).findings
    assert finding.code == "CR130"


def test_a_weight_that_was_updated_too_early() -> None:
    def loss(W: Any, V: Any) -> Any:
        return 0.5 * np.sum((np.tanh(X @ W) @ V - T) ** 2)

    def gradient(W: Any, V: Any) -> Any:
        A = np.tanh(X @ W)
        d = A @ V - T
        d_V = A.T @ d
        return X.T @ ((d @ (V - 0.05 * d_V).T) * (1 - A**2)), d_V

    report = check(loss, (rng.normal(size=(4, 5)), rng.normal(size=(5, 3))), gradient)
    assert [f.code for f in report.findings] == ["CR201", "CR000"]
    assert "0.05" in report.findings[0].sentence


def test_a_skip_connection_whose_path_is_lost() -> None:
    def loss(W: Any, V: Any) -> Any:
        H = X @ W
        return np.sum((H + np.tanh(H @ V)) ** 3)

    def gradient(W: Any, V: Any) -> Any:
        H = X @ W
        A = np.tanh(H @ V)
        d = 3 * (H + A) ** 2
        d_Z = d * (1 - A**2)
        return X.T @ (d_Z @ V.T), H.T @ d_Z

    report = check(loss, (rng.normal(size=(4, 3)), rng.normal(size=(3, 3))), gradient)
    assert [f.code for f in report.findings] == ["CR116", "CR000"]
