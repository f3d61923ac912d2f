"""The first wrong number is found with its cause and line; healthy networks are left in peace."""

from typing import Any

import numpy as np
import pytest
from graph.networks import NETWORKS
from walkthrough.replaying import replay

import chainrule as cr
from chainrule.walkthrough import explain

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 3))
W = rng.normal(size=(3, 3))


def log_of_zero(A: Any) -> Any:
    return -np.sum(np.log(A))


def log_of_negative(A: Any) -> Any:
    B = A - 3
    return np.sum(np.log(B))


def zero_over_zero(A: Any) -> Any:
    norm = np.sum(A * A, axis=1, keepdims=True)
    return np.sum(A / norm)


def over_zero(a: Any) -> Any:
    return np.sum(1.0 / a)


def overflow(z: Any) -> Any:
    e = np.exp(z)
    return np.sum(e)


def softmax_overflow(z: Any) -> Any:
    e = np.exp(z)
    P = e / np.sum(e)
    return P[0]


def inf_minus_inf(z: Any) -> Any:
    big = np.exp(z)
    return big[0] - big[1] + 0 * z[0]


def slope_of_root(x: Any) -> Any:
    return np.sum(np.sqrt(x))


def root_of_negative(x: Any) -> Any:
    return np.sum(np.sqrt(x - 1))


def fraction_power(x: Any) -> Any:
    return np.sum(x**0.5 + x**-1.0)


def dead(W: Any) -> Any:
    Z = X @ W - 100
    A = np.maximum(Z, 0)
    return np.mean((A @ W - 1) ** 2)


def saturated(W: Any) -> Any:
    H = 1 / (1 + np.exp(-(X * X @ (W * W * 1e3 + 50))))
    return np.mean((H @ W) ** 2)


def saturated_tanh(W: Any) -> Any:
    H = np.tanh(X * X @ (W * W * 1e3 + 50))
    return np.mean((H @ W - 1) ** 2)


def softmax_of_one(W: Any) -> Any:
    e = np.exp(X @ W[:, :1])
    P = e / e.sum(axis=1, keepdims=True)
    return np.mean((P - 0.5) ** 2 * W[0])


def shifted_softmax(x: Any) -> Any:
    """The sum of a softmax is 1, whatever it is given."""
    e = np.exp(x)
    P = e / e.sum()
    return np.sum(P * 2.0) + np.sum(x**2)


def deep(W: Any, factor: float = 1.0, depth: int = 40) -> Any:
    h = X
    for _ in range(depth):
        h = h @ (W * factor)
    return np.mean((h - 1) ** 2)


ONES = np.ones((4, 3))
WITH_ZERO = np.where(np.eye(4, 3, k=-1) > 0, 0.0, 1.5)


@pytest.mark.parametrize(
    ("f", "args", "kind", "cause", "name", "line"),
    [
        (log_of_zero, (WITH_ZERO,), "inf", "log of 0: A is 0 at [1, 0] (3 of 12 places)", "L", "np.log(A)"),
        (log_of_negative, (ONES,), "nan", "log of a negative number: B is -2", "L", "np.log(B)"),
        (zero_over_zero, (np.zeros((2, 2)),), "nan", "0 / 0: norm is 0 at [0, 0]", "Q", "A / norm"),
        (over_zero, (np.array([1.0, 0.0]),), "inf", "division by 0: a is 0 at [1]", "Q", "1.0 / a"),
        (overflow, (np.array([1.0, 800.0]),), "inf", "exp(800) overflows: z is 800 at [1]", "e", "np.exp(z)"),
        (softmax_overflow, (np.array([1.0, 900.0]),), "inf", "exp(900) overflows", "e", "np.exp(z)"),
        (inf_minus_inf, (np.array([800.0, 900.0]),), "inf", "exp(800) overflows", "big", "np.exp(z)"),
        (slope_of_root, (np.array([4.0, 0.0]),), "inf", "division by 0: R is 0 at [1]", "d_x", "np.sqrt(x)"),
        (root_of_negative, (np.zeros(2),), "nan", "sqrt of a negative number: D is -1 at [0]", "R", "np.sqrt"),
        (fraction_power, (np.array([0.0, 1.0]),), "inf", "0 to a negative power: x is 0 at [0]", "", "x**0.5"),
        (dead, (W,), "vanishing", "dead ReLU: all of Z is negative", "d_Z", "np.maximum(Z, 0)"),
        (saturated, (W,), "vanishing", "saturated sigmoid: H is exactly 1 in 12 of 12 places", "", "H = 1 / (1"),
        (saturated_tanh, (W,), "vanishing", "saturated tanh: H is exactly 1 in 12 of 12 places", "", "H = np.tanh"),
        (softmax_of_one, (W,), "vanishing", "softmax along an axis of length 1 is always 1", "", "P = e / e.sum"),
        (lambda W: deep(W, 3.0), (np.eye(3),), "exploding", "times that of", "", "h @ (W * factor)"),
        (lambda W: deep(W, 0.5), (np.eye(3),), "vanishing", "times that of", "", "h @ (W * factor)"),
    ],
)  # fmt: skip
def test_a_planted_wrong_number_is_found(
    f: Any, args: Any, kind: str, cause: str, name: str, line: str
) -> None:
    walkthrough = explain(f, *args)
    replay(walkthrough)
    wrong = walkthrough.first_wrong
    assert wrong is not None
    assert (wrong.kind, wrong.place is not None) == (kind, True)
    assert cause in wrong.cause
    assert wrong.place is not None
    assert line in wrong.place.text
    assert wrong.step in walkthrough.steps
    assert wrong.step is not None
    assert wrong.cause in wrong.step.remark
    assert not name or wrong.name == name
    assert wrong.cause in str(walkthrough)
    assert [step for step in walkthrough if step.remark] == [wrong.step]
    if wrong.indices is not None:
        assert not np.isfinite(walkthrough.values[wrong.name][wrong.indices])
        before = [s for s in walkthrough if s.number < wrong.step.number]
        assert all(np.isfinite(step.value).all() for step in before)


@pytest.mark.parametrize(
    ("f", "x", "kind", "cause"),
    [
        (lambda x: np.sum(np.arcsin(x)), [0.5, 2.0], "nan", "asin of a number outside of its domain: x is 2"),
        (lambda x: np.sum(np.log1p(x)), [-2.0], "nan", "log1p of a number below -1: x is -2"),
        (lambda x: np.sum(np.log1p(x)), [-1.0], "inf", "log1p of -1: x is -1"),
        (lambda x: x @ x, [1e200, 1.0], "inf", "matmul overflows: x has numbers as large as 1e+200"),
        (lambda x: np.prod(x * x), [1e100, 1e100], "inf", "prod overflows: P has numbers as large as 1e+200"),
        (lambda x: np.sum(x * 1e300), [1.0, 1e10], "inf", "1e+10 * 1e+300 overflows: x is 1e+10 at [1]"),
        (lambda x: np.sum(x**1.5), [1.0, -2.0], "nan", "a negative number to a fractional power: x is -2"),
        (lambda x: np.sqrt(np.sum(x**2)), [0.0, 0.0], "inf", "division by 0: value is 0"),
        (lambda x: np.sum(x / np.std(x)), [1.0, 1.0], "inf", "division by 0: std is 0"),
        (lambda x: np.sum(x + np.inf), [1.0], "inf", "add of x, inf gives Inf"),
    ],
)
def test_the_cause_is_told(f: Any, x: Any, kind: str, cause: str) -> None:
    wrong = explain(f, np.array(x)).first_wrong
    assert wrong is not None
    assert wrong.kind == kind
    assert wrong.cause.startswith(cause)


def test_what_is_given_with_a_wrong_number_is_named() -> None:
    data = X.copy()
    data[2, 1] = np.nan

    wrong = explain(lambda W: np.sum((data @ W) ** 2), W).first_wrong
    assert wrong is not None
    assert (wrong.kind, wrong.step, wrong.indices, wrong.count) == ("nan", None, (2, 1), 1)
    assert wrong.cause == "data is given with NaN at [2, 1]"


def attention(Q: Any, K: Any) -> Any:
    mask = np.where(np.tri(4) > 0, 0.0, -np.inf)
    S = Q @ K.T / np.sqrt(3.0) + mask
    e = np.exp(S - S.max(axis=1, keepdims=True))
    A = e / e.sum(axis=1, keepdims=True)
    return np.mean((A @ X) ** 2)


def masked_log(x: Any) -> Any:
    return np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0))


def unguarded_log(x: Any) -> Any:
    return np.sum(np.where(x > 0, np.log(x), 0.0))


def large_targets(W: Any) -> Any:
    return np.mean((X @ W - 1e5) ** 2)


def unscaled_inputs(W: Any, V: Any) -> Any:
    return np.mean((np.maximum(X * 1e4 @ W, 0) @ V - 1) ** 2)


def perfect(W: Any) -> Any:
    return np.mean((X @ W - X @ W) ** 2) + np.mean(np.maximum(X @ W - 100, 0))


def hinge(W: Any) -> Any:
    return np.mean(np.maximum(1 - 100 * (X @ W) * np.sign(X @ W), 0)) + 0.1 * np.sum(W**2)


def zero_last_layer(W: Any, V: Any) -> Any:
    return np.mean((np.tanh(X @ W) @ V - 1) ** 2)


def he_network(*layers: Any) -> Any:
    A = X
    for layer in layers:
        A = np.maximum(A @ layer, 0)
    return 1000 * np.mean((A - 1) ** 2)


def long_recurrence(U: Any, V: Any) -> Any:
    h = np.zeros((4, 3))
    for _ in range(50):
        h = np.tanh(X @ U + h @ V)
    return np.sum(h**2)


HE = [rng.normal(size=s) * np.sqrt(2 / s[0]) for s in [(3, 32), *[(32, 32)] * 20, (32, 3)]]
ORTHOGONAL = np.linalg.qr(W)[0]
HEALTHY: dict[str, tuple[Any, tuple[Any, ...]]] = NETWORKS | {
    "attention": (attention, (X, X[::-1].copy())),
    "masked_log": (masked_log, (np.array([1.0, -2.0, 0.0]),)),
    "unguarded_log": (unguarded_log, (np.array([1.0, -2.0, 0.0]),)),
    "large_targets": (large_targets, (W,)),
    "unscaled_inputs": (unscaled_inputs, (W, W)),
    "perfect": (perfect, (W,)),
    "hinge": (hinge, (W,)),
    "shifted_softmax": (shifted_softmax, (np.array([0.5, 1.0]),)),
    "zero_last_layer": (zero_last_layer, (W, np.zeros((3, 1)))),
    "he_network": (he_network, tuple(HE)),
    "long_recurrence": (long_recurrence, (W * 0.1, ORTHOGONAL * 0.95)),
    "spelt_out_sigmoid": (lambda z: np.sum(1 / (1 + np.exp(-z)) * z), (np.array([-3.0, 2.0]),)),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_has_no_wrong_number(name: str) -> None:
    f, args = HEALTHY[name]
    walkthrough = explain(f, *args)
    assert walkthrough.first_wrong is None
    assert not any(step.remark for step in walkthrough)
    assert "first wrong number" not in str(walkthrough)


def test_the_account_is_of_the_numbers_that_the_engine_gives() -> None:
    """The recognised sigmoid would be stable where the one that was written is not."""

    def spelt(z: Any) -> Any:
        return np.sum(1 / (1 + np.exp(-z)))

    z = np.array([-800.0, 1.0])
    with np.errstate(over="ignore", invalid="ignore"):
        expected = cr.grad(spelt)(z)
    walkthrough = explain(spelt, z)
    np.testing.assert_array_equal(walkthrough.values["d_z"], expected)
    assert (walkthrough.first_wrong is not None) == (not np.isfinite(expected).all())


def test_ties_of_a_maximum_are_shared_as_the_engine_shares_them() -> None:
    def f(z: Any) -> Any:
        return np.sum(np.maximum(z, 0))

    z = np.array([0.0, 1.0])
    np.testing.assert_array_equal(explain(f, z).values["d_z"], cr.grad(f)(z))
