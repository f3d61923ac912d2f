"""`check_step`: what is said of code that shows only its update; among it, the scripts of five notebooks."""

import copy
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule.torch as facade
from chainrule.diagnosis import Report, check_step
from chainrule.errors import InputError

Array = Any


def codes(report: Report) -> dict[str, str]:
    return {f.parameter: f.code for f in report.findings}


SEEN = {"CR203", "CR204", "CR205"}
"""What is seen in the movement itself; there is no claimed gradient to correct."""


def proved(report: Report) -> bool:
    wrong = [f for f in report.findings if f.verdict == "wrong" and f.code not in SEEN]
    return all(f.error_after is not None and f.error_after < 1e-8 for f in wrong)


def sentence(report: Report, name: str) -> str:
    return next(f.sentence for f in report.findings if f.parameter == name)


# notebook 001: one sample at a time, W2 updated first, the rows of W1 at different rates --------------------


def start(seed: int | None = None) -> dict[str, Array]:
    shapes = {"W1": (2, 2), "b1": (2, 1), "W2": (2, 1), "b2": (1, 1)}
    if seed is None:
        return {n: np.full(s, 0.1 if n[0] == "W" else 0.0) for n, s in shapes.items()}
    rng = np.random.default_rng(seed)
    return {n: rng.normal(size=s) for n, s in shapes.items()}


def predicted(p: dict[str, Array], X: Array) -> tuple[Array, Array]:
    A1 = np.dot(p["W1"].T, X) + p["b1"]
    return A1, np.dot(p["W2"].T, A1) + p["b2"]


def squared_error(p: dict[str, Array], X: Array, y: Any) -> Array:
    return ((y - predicted(p, X)[1]) ** 2).sum()


def regression_step(p: dict[str, Array], X: Array, y: Any) -> None:
    A1, out = predicted(p, X)
    twice = 2 * (y - out[0][0])
    for unit in range(2):
        p["W2"][unit][0] += 0.001 * twice * A1[unit][0]
    p["b2"][0][0] += 0.01 * twice
    for unit, rate in ((0, 0.001), (1, 0.01)):
        for feature in range(2):
            p["W1"][unit][feature] += rate * twice * p["W2"][unit][0] * X[feature][0]
        p["b1"][unit][0] += 0.01 * twice * p["W2"][unit][0]


Column = np.array([[6.0], [10.0]])


@pytest.mark.parametrize("seed", [None, 1])
def test_the_regression_of_the_notebook(seed: int | None) -> None:
    given = start(seed)
    before = copy.deepcopy(given)
    report = check_step(squared_error, regression_step, given, data=(Column, 6.0), seconds=40)
    found = codes(report)
    assert found == {"W1": "CR109+CR201+CR202", "b1": "CR201", "W2": "CR000", "b2": "CR006"}
    assert proved(report) and not report.ok
    assert "transposed" in sentence(report, "W1")
    assert "W2 was updated already (with a rate of 0.001)" in sentence(report, "b1")
    assert "Row 1 of W1 learns at 0.01, 10 times the rate of row 0." in sentence(report, "W1")
    assert all(np.array_equal(given[n], before[n]) for n in given)


def probability(p: dict[str, Array], X: Array) -> tuple[Array, Array]:
    A1 = 1 / (1 + np.exp(np.dot(p["W1"].T, X) + p["b1"]))
    return A1, 1 / (1 + np.exp(np.dot(p["W2"].T, A1) + p["b2"]))


def cross_entropy(p: dict[str, Array], X: Array, y: Any) -> Array:
    _, out = probability(p, X)
    return (-y * np.log(out) - (1 - y) * np.log(1 - out)).sum()


def classification_step(p: dict[str, Array], X: Array, y: Any) -> None:
    A1, out = probability(p, X)
    error = y - out[0][0]
    W2 = p["W2"].copy()
    p["W2"] = p["W2"] + 0.001 * error * A1
    p["b2"] = p["b2"] + 0.01 * error
    for unit in range(2):
        for feature in range(2):
            p["W1"][unit][feature] += 0.001 * error * W2[unit][0] * (1 - A1[unit][0]) * X[feature][0]
        p["b1"][unit][0] += 0.01 * error * W2[unit][0] * (1 - A1[unit][0])


def test_the_classification_of_the_notebook_climbs() -> None:
    report = check_step(cross_entropy, classification_step, start(1), data=(Column / 10, 1.0), seconds=40)
    assert codes(report) == {"W1": "CR105+CR109", "b1": "CR105", "W2": "CR203", "b2": "CR203"}
    assert proved(report)
    assert "the factor A1 is lost" in sentence(report, "b1")


# notebook 002: the forward pass uses w1 where the backward pass has w2 --------------------------------------


def numbers_step(w1: float, w2: float, b: float, x: float, y: float) -> tuple[float, float, float]:
    z1 = w1 * x
    z2 = w1 * math.tanh(z1) + b
    grad_b = (math.tanh(z2) - y) * (1 - math.tanh(z2) ** 2)
    grad_w1 = x * (1 - math.tanh(z1) ** 2) * w2 * grad_b
    return w1 - 0.01 * grad_w1, w2 - 0.01 * math.tanh(z1) * grad_b, b - 0.01 * grad_b


def numbers_loss(w1: Array, w2: Array, b: Array, x: Array, y: Array) -> Array:
    return 0.5 * (np.tanh(w1 * np.tanh(w1 * x) + b) - y) ** 2


@pytest.mark.parametrize("point", [(1.1, 0.7, 1.0), (1.0, 1.0, 1.0)])
def test_a_weight_that_the_loss_does_not_depend_on_is_updated(point: Any) -> None:
    report = check_step(numbers_loss, numbers_step, point, data=(0.4, 0.5))
    found = codes(report)
    assert found["w2"] == "CR205" and found["b"] == "CR000"
    assert "CR116" in found["w1"].split("+") and proved(report)
    assert (
        sentence(report, "w2")
        == "w2 is updated, but numbers_loss does not depend on it: its gradient is zero."
    )


# right steps of many kinds ----------------------------------------------------------------------------------

rng = np.random.default_rng(0)
X, y = rng.normal(size=(8, 3)), rng.normal(size=8)
Point = rng.normal(size=3), 0.3


def loss(w: Array, b: Array, X: Array, y: Array) -> Array:
    return ((X @ w + b - y) ** 2).mean()


def gradient(w: Array, b: Array, X: Array, y: Array) -> tuple[Array, Array]:
    error = X @ w + b - y
    return 2 * X.T @ error / len(y), 2 * error.mean()


def descent(w: Array, b: Array, X: Array, y: Array) -> tuple[Array, Array]:
    dw, db = gradient(w, b, X, y)
    return w - 0.1 * dw, b - 0.1 * db


class Rule:
    """A step with a memory: momentum, Nesterov's, Adam, accumulation, a schedule."""

    def __init__(self, kind: str) -> None:
        self.kind, self.count = kind, 0
        self.first: list[Array] = [np.zeros(3), 0.0]
        self.second: list[Array] = [np.zeros(3), 0.0]

    def step(self, w: Array, b: Array, X: Array, y: Array) -> tuple[Array, Array]:
        found = gradient(w, b, X, y)
        self.count += 1
        keep = {"momentum": 0.9, "nesterov": 0.9, "accumulating": 1.0}.get(self.kind, 0.0)
        self.first = [keep * v + g for v, g in zip(self.first, found, strict=True)]
        moves = self.first
        if self.kind == "nesterov":
            moves = [g + 0.9 * v for g, v in zip(found, self.first, strict=True)]
        if self.kind == "adam":
            self.second = [0.999 * s + 0.001 * g**2 for s, g in zip(self.second, found, strict=True)]
            scale = 1 - 0.999**self.count
            moves = [g / (np.sqrt(s / scale) + 1e-8) for g, s in zip(found, self.second, strict=True)]
        rate = 0.1 / self.count if self.kind == "decreasing" else 0.1
        return w - rate * moves[0], b - rate * moves[1]


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("plain", "The rate is 0.1, inferred from how w and b moved"), ("momentum", "Momentum of 0.9"),
        ("nesterov", "Nesterov's momentum of 0.9"), ("decreasing", "changes from step to step, by a factor 0.5"),
    ],
)  # fmt: skip
def test_right_rules_are_right(kind: str, note: str) -> None:
    rule = Rule(kind)
    report = check_step(loss, rule.step, Point, data=(X, y))
    assert codes(report) == {"w": "CR000", "b": "CR000"}
    assert any(note in n for n in report.notes), report.notes
    assert rule.count == 0 and not rule.first[0].any()
    assert check_step(loss, rule.step, Point, data=(X, y), rate=0.1).ok


def test_of_an_adaptive_rule_the_direction_is_checked() -> None:
    report = check_step(loss, Rule("adam").step, Point, data=(X, y))
    assert report.ok and set(codes(report).values()) == {"CR008"}

    def climbing(w: Array, b: Array, X: Array, y: Array) -> Any:
        dw, db = gradient(w, b, X, y)
        return w + 0.1 * np.sign(dw), b - 0.1 * np.sign(db)

    assert codes(check_step(loss, climbing, Point, data=(X, y))) == {"w": "CR203", "b": "CR008"}


def test_weight_decay_is_named() -> None:
    def step(w: Array, b: Array, X: Array, y: Array) -> Any:
        dw, db = gradient(w, b, X, y)
        return w - 0.1 * (dw + 0.01 * w), b - 0.1 * db

    report = check_step(loss, step, Point, data=(X, y))
    assert report.ok and codes(report) == {"w": "CR007", "b": "CR000"}
    assert "Weight decay of 0.01" in sentence(report, "w")


def test_a_rate_of_its_own_is_said() -> None:
    def step(w: Array, b: Array, X: Array, y: Array) -> Any:
        dw, db = gradient(w, b, X, y)
        return w - 0.1 * dw, b - 0.5 * db

    report = check_step(loss, step, Point, data=(X, y))
    assert report.ok and codes(report) == {"w": "CR000", "b": "CR006"}
    assert sentence(report, "b") == "b learns at 0.5, 5 times the rate of the others."


def test_an_update_after_each_row_is_right() -> None:
    def epoch(w: Array, b: Array, X: Array, y: Array) -> Any:
        for i in range(len(y)):
            w, b = descent(w, b, X[i : i + 1], y[i : i + 1])
        return w, b

    report = check_step(loss, epoch, Point, data=(X, y))
    assert codes(report) == {"w": "CR000", "b": "CR000"}
    assert any("after each of the 8 rows" in note for note in report.notes)


def test_a_loop_over_samples_that_adds_up_is_right() -> None:
    def step(w: Array, b: Array, X: Array, y: Array) -> Any:
        dw, db = np.zeros(3), 0.0
        for i in range(len(y)):
            error = X[i] @ w + b - y[i]
            dw, db = dw + 2 * error * X[i], db + 2 * error
        return w - 0.1 * dw / len(y), b - 0.1 * db / len(y)

    assert check_step(loss, step, Point, data=(X, y)).ok


def test_the_rate_may_be_given_and_then_a_factor_is_a_convention() -> None:
    report = check_step(loss, descent, Point, data=(X, y), rate=0.1 / 8)
    assert report.ok and codes(report) == {"w": "CR003", "b": "CR003"}


def test_what_follows_the_parameters_is_let_go() -> None:
    report = check_step(loss, lambda *given: (*descent(*given), loss(*given)), Point, data=(X, y))
    assert codes(report) == {"w": "CR000", "b": "CR000"}


def test_tensors_of_other_libraries_are_arrays() -> None:
    report = check_step(
        loss, descent, (facade.tensor(Point[0]), 0.3), data=(facade.tensor(X), facade.tensor(y))
    )
    assert codes(report) == {"w": "CR000", "b": "CR000"}


def test_single_precision_is_no_mistake() -> None:
    given = Point[0].astype(np.float32), np.float32(0.3)
    assert check_step(loss, descent, given, data=(X.astype(np.float32), y.astype(np.float32))).ok


# wrong steps ------------------------------------------------------------------------------------------------


def stepped(rates: Any, of_b: float = 0.1) -> Callable[..., Any]:
    def step(w: Array, b: Array, X: Array, y: Array) -> Any:
        dw, db = gradient(w, b, X, y)
        return w - rates * dw, b - of_b * db

    return step


@pytest.mark.parametrize(
    ("step", "expected", "words"),
    [
        (stepped(-0.1, -0.1), {"w": "CR203", "b": "CR203"}, "w moves up its gradient"),
        (stepped(-0.1), {"w": "CR203", "b": "CR000"}, "w moves up its gradient, at a rate of 0.1"),
        (stepped(0.0), {"w": "CR204", "b": "CR000"}, "w is never updated"),
        (stepped(np.array([0.1, 0.1, 0.3])), {"w": "CR202", "b": "CR000"}, "Element [2] of w learns at 0.3, 3 times"),
        (Rule("accumulating").step, {"w": "CR206", "b": "CR206"}, "the sum of both gradients"),
    ],
)  # fmt: skip
def test_mistakes_of_the_update(step: Any, expected: dict[str, str], words: str) -> None:
    report = check_step(loss, step, Point, data=(X, y))
    assert codes(report) == expected and not report.ok and proved(report)
    assert words in sentence(report, "w")


def test_the_summed_one_among_averaged_ones_is_suspected() -> None:
    assert "8 is a length of the data" in sentence(check_step(loss, stepped(0.8), Point, data=(X, y)), "b")


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def test_where_nothing_is_right_the_rate_is_read_from_the_step() -> None:
    def logistic(w: Array, b: Array) -> Array:
        return ((sigmoid(X @ w + b) - y) ** 2).mean()

    def step(w: Array, b: Array) -> Any:
        error = 2 * (sigmoid(X @ w + b) - y) / len(y)
        return w - 0.3 * X.T @ error, b - 0.3 * error.sum()

    report = check_step(logistic, step, Point)
    assert codes(report) == {"w": "CR101", "b": "CR101"} and proved(report)
    assert any("0.3" in note for note in report.notes)


class Network:
    """An object with methods; `late` uses W2 after it was updated."""

    def __init__(self, late: bool) -> None:
        seeded = np.random.default_rng(3)
        self.W1, self.b1 = seeded.normal(size=(3, 4)), np.zeros(4)
        self.W2, self.b2 = seeded.normal(size=(4, 1)), np.zeros(1)
        self.rate, self.late, self.losses = 0.05, late, list[float]()

    def predict(self, X: Array) -> Array:
        self.h = np.tanh(X @ self.W1 + self.b1)
        return (self.h @ self.W2 + self.b2)[:, 0]

    def loss(self, X: Array, y: Array) -> Array:
        return ((self.predict(X) - y) ** 2).mean()

    def train(self, X: Array, y: Array) -> None:
        d = 2 * (self.predict(X) - y)[:, None] / len(y)
        before = self.W2.copy()
        self.W2 -= self.rate * self.h.T @ d
        self.b2 -= self.rate * d.sum(axis=0)
        dh = d @ (self.W2 if self.late else before).T * (1 - self.h**2)
        self.W1 -= self.rate * X.T @ dh
        self.b1 -= self.rate * dh.sum(axis=0)
        self.losses.append(float(self.loss(X, y)))


@pytest.mark.parametrize(("late", "code"), [(False, "CR000"), (True, "CR201")])
def test_an_object_that_trains_itself(late: bool, code: str) -> None:
    network = Network(late)
    before = copy.deepcopy(vars(network))
    report = check_step(network.loss, network.train, network, data=(X, y))
    assert codes(report) == {"W1": code, "b1": code, "W2": "CR000", "b2": "CR000"} and proved(report)
    assert vars(network).keys() == before.keys() and not network.losses
    assert all(np.array_equal(before[n], vars(network)[n]) for n in ("W1", "b1", "W2", "b2"))


# what cannot be checked -------------------------------------------------------------------------------------


def random(w: Array, b: Array, X: Array, y: Array) -> Any:
    rows = np.random.default_rng().integers(0, 8, 3)
    return descent(w, b, X[rows], y[rows])


@pytest.mark.parametrize(
    ("step", "point", "message"),
    [
        (random, Point, r"moves the parameters differently each time.*data="),
        (lambda w, b, X, y: (w[None], b), Point, r"made w of shape \(1, 3\) from one of shape \(3,\)"),
        (lambda w, b, X, y: {"w": w, "b": b}, Point, r"returned a dict of 2.*\(w, b\)"),
        (lambda w, b, X, y: (w,), Point, r"returned a tuple of 1.*or None where the step changes"),
        (descent, (np.arange(3), 0.3), r"w is int64 of shape \(3,\).*astype"),
        (descent, (np.array([1.0, np.nan, 2.0]), 0.3), r"w is nan at \[1\]"),
        (3.0, Point, r"step is 3.0, which is no function"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_said(step: Any, point: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_step(loss, step, point, data=(X, y))
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)


class WithVelocity:
    """A linear model whose steps have momentum; `slip` is what a mistake multiplies the gradient with."""

    def __init__(self, size: int = 3, slip: float = 1.0, stray: bool = False) -> None:
        rng = np.random.default_rng(3)
        self.X = rng.normal(size=(20, size))
        self.y = self.X @ np.arange(1.0, size + 1)
        self.w, self.w2, self.velocity = np.full(size, 0.2), np.full(size, 0.3), np.zeros(size)
        self.slip, self.stray = slip, stray

    def loss(self) -> Any:
        return ((self.X @ self.w - self.y) ** 2).mean()

    def train(self) -> None:
        gradient = self.slip * 2 * self.X.T @ (self.X @ self.w - self.y) / len(self.X)
        self.velocity = 0.9 * self.velocity - 0.1 * gradient
        self.w = self.w + self.velocity
        if self.stray:
            self.w2 = self.w2 - 0.1 * gradient


@pytest.mark.parametrize("size", [1, 3])
def test_the_memory_of_a_step_is_no_parameter(size: int) -> None:
    model = WithVelocity(size)
    found = check_step(model.loss, model.train, model)
    assert found.ok and "velocity" not in str(found)
    assert (found.findings[0].parameter, found.findings[0].code) == ("w", "CR000")


def test_beside_a_memory_mistakes_are_found() -> None:
    model = WithVelocity(slip=-1.0)
    assert {f.parameter: f.code for f in check_step(model.loss, model.train, model).findings}["w"] == "CR203"
    model = WithVelocity(stray=True)
    codes = {f.parameter: f.code for f in check_step(model.loss, model.train, model).findings}
    assert codes == {"w": "CR000", "w2": "CR205"}
