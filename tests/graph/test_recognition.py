"""Losses and normalisation in the spellings that people use: recognised, equal in value and gradient, and stable."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.graph.recognition import recognised
from chainrule.graph.rewriting import without_dead

rng = np.random.default_rng(4)
Z = rng.normal(size=(5, 3))
SQUARE = rng.normal(size=(4, 4))
Y = rng.integers(0, 2, (5, 3)).astype(float)
ONE_HOT = np.eye(3)[[0, 2, 1, 1, 0]]
LABELS = np.array([0, 2, 1, 1, 0])
N = len(Z)
y = Y[:, 0].copy()
EXTREME = np.array([[800.0, -800, 3], [-800, -700, -750], [0, 40, 800], [36, -36, 1], [800, 800, -800]])


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def names(f: Callable[..., Any], z: Any) -> list[str]:
    with np.errstate(all="ignore"):
        return [e.name for e in without_dead(recognised(cr.trace(f, z))).equations]


def assert_derived(f: Callable[..., Any], z: Any) -> None:
    derivation = cr.derive(f, z)
    for point in (z, z + 0.3):
        value, g = derivation.function(point)
        expected, wanted = cr.value_and_grad(f)(point)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(g, wanted, rtol=1e-10, atol=1e-13)


def named_probability(z: Any) -> Any:
    p = sigmoid(z)
    loss = -np.mean(Y * np.log(p) + (1 - Y) * np.log(1 - p))
    return loss


BINARY: list[Callable[..., Any]] = [
    named_probability,
    lambda z: (-Y * np.log(sigmoid(z)) - (1 - Y) * np.log(1 - sigmoid(z))).mean(),
    lambda z: -(Y * np.log(sigmoid(z)) + (1 - Y) * np.log1p(-sigmoid(z))).sum() / N,
    lambda z: -((1.0 - Y) * np.log(1.0 - sigmoid(z)) + np.log(sigmoid(z)) * Y).mean(),
    lambda z: np.mean(-(Y * np.log(sigmoid(z))) - (1 - Y) * np.log(1 - sigmoid(z))),
    lambda z: (Y * -np.log(sigmoid(z)) + (1 - Y) * -np.log(1 - sigmoid(z))).sum(axis=1).mean(),
    lambda z: np.mean(np.maximum(z, 0) - z * Y + np.log1p(np.exp(-np.abs(z)))),
    lambda z: np.mean(np.maximum(z, 0) - z * Y + np.log(1 + np.exp(-abs(z)))),
    lambda z: np.mean(np.logaddexp(0, z) - Y * z),
    lambda z: np.mean(np.log(1 + np.exp(z)) - z * Y),
    lambda z: np.mean((1 - Y) * z + np.log(1 + np.exp(-z))),
    lambda z: -np.mean(Y * cr.ops.log(cr.ops.sigmoid(z)) + (1 - Y) * cr.ops.log(1 - cr.ops.sigmoid(z))),
    lambda z: -(1 * np.log(sigmoid(z)) + (1 - 1) * np.log(1 - sigmoid(z))).sum(),
    lambda z: (-0 * np.log(sigmoid(z)) - (1 - 0) * np.log(1 - sigmoid(z))).sum(),
    lambda z: -(np.sum(Y * np.log(sigmoid(z))) + np.sum((1 - Y) * np.log(1 - sigmoid(z)))) / N,
    lambda z: -(y @ np.log(sigmoid(z[:, 0])) + np.dot(1 - y, np.log(1 - sigmoid(z[:, 0])))) / N,
]


@pytest.mark.parametrize("f", BINARY)
def test_a_binary_cross_entropy_is_recognised(f: Callable[..., Any]) -> None:
    assert "binary_cross_entropy" in names(f, Z)
    assert_derived(f, Z)
    value, g = cr.derive(f, Z).function(EXTREME)
    assert np.isfinite(value)
    assert np.isfinite(g).all()


def test_the_derivative_of_a_binary_cross_entropy_is_p_less_y() -> None:
    source = cr.derive(named_probability, Z).source
    assert "p = sigmoid(z)" in source
    assert "d_z = (p - Y) / 15" in source


@pytest.mark.parametrize(
    "f",
    [
        lambda z: -np.mean(Y * np.log(sigmoid(z) + 1e-10) + (1 - Y) * np.log(1 - sigmoid(z) + 1e-10)),
        lambda z: -np.mean(Y * np.log(np.clip(sigmoid(z), 1e-7, 1)) + (1 - Y) * np.log(1 - sigmoid(z))),
        lambda z: -np.mean(Y * np.log(sigmoid(z)) - (1 - Y) * np.log(1 - sigmoid(z))),
        lambda z: -np.mean(Y * np.log(sigmoid(z)) + (2 - Y) * np.log(1 - sigmoid(z))),
        lambda z: -np.mean(Y * np.log(sigmoid(z)) + (1 - Y) * np.log(sigmoid(z))),
        lambda z: -np.mean(Y * np.log(sigmoid(z)) + (1 - Y) * np.log(1 - sigmoid(2 * z))),
        lambda z: -np.mean(2 * Y * np.log(sigmoid(z)) + (1 - Y) * np.log(1 - sigmoid(z))),
        lambda z: -np.mean(Y * np.log(1 - sigmoid(z)) + Y * np.log(sigmoid(z))),
        lambda z: (
            -np.mean(Y[:, :1] * np.log(sigmoid(z[:, 0])) + (1 - Y[:, :1]) * np.log(1 - sigmoid(z[:, 0])))
        ),
        lambda z: (-3 * np.log(sigmoid(z)) + 2 * np.log(1 - sigmoid(z))).sum(),
    ],
)
def test_what_looks_like_a_binary_cross_entropy_is_left(f: Callable[..., Any]) -> None:
    assert "binary_cross_entropy" not in names(f, Z)
    assert_derived(f, Z)


CATEGORICAL: list[Callable[..., Any]] = [
    lambda z: -np.sum(ONE_HOT * np.log(softmax(z))) / N,
    lambda z: -(ONE_HOT * np.log(softmax(z))).sum(axis=1).mean(),
    lambda z: -np.mean(ONE_HOT * np.log(softmax(z))),
    lambda z: (-ONE_HOT * np.log(softmax(z))).sum(1).mean(),
    lambda z: np.mean(np.sum(ONE_HOT * -np.log(softmax(z)), axis=-1)),
    lambda z: -np.log(softmax(z)[np.arange(N), LABELS]).mean(),
    lambda z: -np.log(softmax(z)[range(N), LABELS]).sum() / N,
    lambda z: np.sum(-np.log(softmax(z)[list(range(N)), LABELS])) / N,
    lambda z: -np.log(softmax(z))[np.arange(N), LABELS].mean(),
    lambda z: -np.mean(cr.ops.log_softmax(z)[np.arange(N), LABELS]),
    lambda z: cr.ops.cross_entropy(z, LABELS),
    lambda z: cr.ops.negative_log_likelihood(cr.ops.log_softmax(z), labels=LABELS),
    lambda z: -np.mean(np.sum(ONE_HOT * (z - np.log(np.exp(z).sum(axis=1, keepdims=True))), axis=1)),
    lambda z: -np.mean(np.sum(ONE_HOT * (z - np.log(np.exp(z).sum(1))[:, None]), axis=1)),
]


@pytest.mark.parametrize("f", CATEGORICAL)
def test_a_cross_entropy_is_recognised(f: Callable[..., Any]) -> None:
    assert "cross_entropy_of_logits" in names(f, Z)
    assert_derived(f, Z)
    derivation = cr.derive(f, Z)
    assert "scatter_add" not in derivation.source
    assert "sum(ONE_HOT" not in derivation.source
    value, g = derivation.function(EXTREME)
    assert np.isfinite(value)
    assert np.isfinite(g).all()


def test_labels_may_be_an_argument() -> None:
    def f(z: Any, labels: Any) -> Any:
        P = softmax(z)
        return -np.log(P[np.arange(N), labels]).mean()

    derivation = cr.derive(f, Z, LABELS, argnums=0)
    assert "one_hot = np.eye(3)[labels]" in derivation.source
    assert "d_z = (P - one_hot) / 5" in derivation.source
    others = LABELS[::-1].copy()
    value, g = derivation.function(Z, others)
    expected, wanted = cr.value_and_grad(f)(Z, others)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(g, wanted, rtol=1e-12, atol=1e-15)


def test_the_element_type_of_a_cross_entropy_with_labels_stays() -> None:
    derivation = cr.derive(lambda z: cr.ops.cross_entropy(z, LABELS), Z.astype(np.float32))
    value, g = derivation.function(Z.astype(np.float32))
    assert (np.asarray(value).dtype, g.dtype) == (np.float32, np.float32)


def test_a_cross_entropy_says_what_its_derivative_holds_for() -> None:
    weights = ONE_HOT * 2

    def of_one_hot(z: Any) -> Any:
        return -np.sum(ONE_HOT * np.log(softmax(z)))

    def of_weights(z: Any) -> Any:
        return -np.sum(weights * np.log(softmax(z)))

    def of_argument(z: Any, Y: Any) -> Any:
        return -np.sum(Y * np.log(softmax(z)))

    assert "Holds for ONE_HOT whose rows sum to 1." in cr.derive(of_one_hot, Z).source
    assert "Holds for" not in cr.derive(of_weights, Z).source
    assert_derived(of_weights, Z)
    other = cr.derive(of_argument, Z, ONE_HOT, argnums=0)
    assert "Holds for" not in other.source
    np.testing.assert_allclose(
        other.function(Z, weights)[1], cr.grad(of_argument)(Z, weights), rtol=1e-11, atol=1e-14
    )
    both = cr.derive(of_argument, Z, ONE_HOT + 0.1)
    for found, wanted in zip(
        both.function(Z, ONE_HOT + 0.1)[1], cr.grad(of_argument, (0, 1))(Z, ONE_HOT + 0.1), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    "f",
    [
        lambda z: -np.log(softmax(z)[np.arange(3), LABELS[:3]]).mean(),  # the first rows only
        lambda z: -np.log(softmax(z)[LABELS, LABELS]).mean(),
        lambda z: -np.log(softmax(z)[:, 0]).mean(),
        lambda z: -np.log(softmax(z) + 1e-9)[np.arange(N), LABELS].mean(),
        lambda z: -np.mean(ONE_HOT[:, :1] * np.log(softmax(z))),
        lambda z: -np.sum(ONE_HOT * np.log(softmax(z)), axis=0).prod(),
    ],
)
def test_what_looks_like_a_cross_entropy_is_left(f: Callable[..., Any]) -> None:
    assert "cross_entropy_of_logits" not in names(f, Z)
    assert_derived(f, Z)


def test_a_total_beside_the_wrong_axis_makes_no_softmax() -> None:
    e = np.exp
    for f in (
        lambda z: e(z) / e(z).sum(axis=0)[:, None],
        lambda z: e(z) / e(z).sum(axis=1),
        lambda z: e(z) / e(z).sum(axis=1)[None, :],
        lambda z: np.log(e(z - z.max(axis=1)) / e(z - z.max(axis=1)).sum(axis=0)[:, None]),
    ):
        assert not {"softmax", "log_softmax"} & set(names(lambda z: weighed(f(z)), SQUARE))  # noqa: B023
        assert_derived(lambda z: weighed(f(z)), SQUARE)  # noqa: B023


LOGSUMEXP: list[Callable[..., Any]] = [
    lambda z: np.log(np.exp(z).sum(axis=1)).sum(),
    lambda z: (z.max(axis=1) + np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1))).sum(),
    lambda z: (
        z.max(1, keepdims=True) + np.log(np.sum(np.exp(z - z.max(1, keepdims=True)), 1, keepdims=True))
    ).sum(),
    lambda z: np.log(np.sum(np.exp(z))),
]


@pytest.mark.parametrize("f", LOGSUMEXP)
def test_a_logsumexp_is_recognised(f: Callable[..., Any]) -> None:
    found = names(f, Z)
    assert "logsumexp" in found
    assert "max" not in found
    assert_derived(f, Z)
    value, g = cr.derive(f, Z).function(EXTREME)
    assert np.isfinite(value)
    assert np.isfinite(g).all()


# squared error ----------------------------------------------------------------------------------------------

SQUARED: list[Callable[..., Any]] = [
    lambda z: ((z - Y) ** 2).mean(),
    lambda z: np.mean(np.square(Y - z)),
    lambda z: 0.5 * ((z - Y) * (z - Y)).sum() / N,
    lambda z: np.sum((z - Y) ** 2, axis=(0, 1)) / 2,
    lambda z: np.linalg.norm(z - Y) ** 2,
    lambda z: np.linalg.norm(z - Y) * np.linalg.norm(z - Y) / N,
    lambda z: 0.5 * np.square(np.linalg.norm(Y - z)),
]


@pytest.mark.parametrize("f", SQUARED)
def test_a_squared_error_is_recognised(f: Callable[..., Any]) -> None:
    assert names(f, Z).count("squared_error") == 1
    assert_derived(f, Z)
    assert np.isfinite(cr.derive(f, Z).function(Y)[1]).all()  # where a norm has a kink


@pytest.mark.parametrize(
    "f",
    [
        lambda z: ((z - Y) ** 3).mean(),
        lambda z: ((z - Y) * (z + Y)).sum(),
        lambda z: ((z - Y) ** 2).sum(axis=1).max(),
        lambda z: np.linalg.norm(z - Y),
        lambda z: (np.linalg.norm(z - Y, axis=1) ** 2).sum(),
        lambda z: np.linalg.norm(z - Y, 1) ** 2,
        lambda z: (z**2).sum(),
    ],
)
def test_what_is_no_squared_error_is_left(f: Callable[..., Any]) -> None:
    assert "squared_error" not in names(f, Z)
    assert_derived(f, Z)


# normalisation ----------------------------------------------------------------------------------------------


def weighed(out: Any) -> Any:
    return (out * np.cos(np.arange(out.size)).reshape(out.shape)).sum()


def in_steps(x: Any) -> Any:
    mu = x.sum(axis=0) / N
    centred = x - mu
    var = (centred**2).sum(axis=0) / N
    return centred / np.sqrt(var + 1e-5)


def of_rows_in_steps(x: Any) -> Any:
    mu = x.mean(axis=-1, keepdims=True)
    var = ((x - mu) ** 2).mean(axis=-1, keepdims=True)
    return (x - mu) * (var + 1e-5) ** -0.5


def of_channels(x: Any) -> Any:
    x = x.reshape(5, 3, 1, 1) * np.arange(1, 9).reshape(2, 4)
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    return (x - mean[None, :, None, None]) / np.sqrt(var + 1e-3)[None, :, None, None]


NORMALISED: list[Callable[..., Any]] = [
    in_steps, of_rows_in_steps, of_channels,
    lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5),
    lambda x: (x - np.mean(x, 0)) / (np.var(x, 0) + 1e-5) ** 0.5,
    lambda x: (x - x.mean(0)) / x.std(0),
    lambda x: (x - x.mean(0)) / x.std(0, ddof=1),
    lambda x: (x - x.mean(0, keepdims=True)) / np.sqrt(1e-5 + x.var(0, keepdims=True)),
    lambda x: (x - x.mean(axis=1)[:, None]) / np.sqrt(x.var(axis=1) + 1e-5)[:, None],
    lambda x: (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1)[:, None] + 1e-5),
    lambda x: (x - x.mean(0)) * (1 / np.sqrt(x.var(0) + 1e-5)),
    lambda x: 1 / np.sqrt(x.var(0) + 1e-5) * (x - x.mean(0)),
    lambda x: (x - x.mean()) / np.sqrt(x.var() + 1e-5),
    lambda x: (x - x.mean(0)) / np.sqrt(np.mean((x - x.mean(0)) ** 2, 0) + 1e-5),
    lambda x: (x - x.mean(0)) / np.sqrt(np.square(x - x.mean(0)).sum(0) / (N - 1) + 1e-5),
    lambda x: cr.ops.standardized(x, axis=0, eps=1e-3),
    lambda x: cr.ops.standardized(x),
]  # fmt: skip
MARGIN: list[Callable[..., Any]] = [
    lambda x: (x - x.mean(0)) / (x.std(0) + 1e-8),
    lambda x: (x - x.mean(axis=1, keepdims=True)) / (x.std(axis=1, keepdims=True) + 1e-5),
    lambda x: (x - x.mean(0)) / (1e-5 + np.sqrt(np.var(x, axis=0))),
]


@pytest.mark.parametrize("f", [*NORMALISED, *MARGIN])
def test_normalisation_is_recognised(f: Callable[..., Any]) -> None:
    found = names(lambda x: weighed(f(x)), Z)
    assert ("standardized_with_margin" if f in MARGIN else "standardized_by") in found
    assert_derived(lambda x: weighed(f(x)), Z)
    # What it is made of is used elsewhere too.
    assert_derived(lambda x: weighed(f(x) * 2) + weighed(x.mean(0) - x.var(0)), Z)
    assert_derived(lambda x: weighed(f(x * x)), 1e3 * Z)


@pytest.mark.parametrize("f", NORMALISED[:4])
def test_the_derivative_of_a_normalisation_has_three_terms(f: Callable[..., Any]) -> None:
    backward = cr.derive(lambda x: weighed(f(x)), Z).source.split("# backward")[1]
    assert backward.count("np.mean(") == 2
    assert "np.var" not in backward


def test_values_without_any_variance_are_normalised_to_zero() -> None:
    constant = np.ones((5, 3)) * [1, 2, 3]
    for f in (NORMALISED[3], *MARGIN[:1]):
        _, g = cr.derive(lambda x: weighed(f(x)), Z).function(constant)  # noqa: B023
        np.testing.assert_allclose(g, cr.grad(lambda x: weighed(f(x)))(constant), rtol=1e-11, atol=1e-9)  # noqa: B023


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x - x.mean(axis=1)) / np.sqrt(x.var(axis=1) + 1e-5),  # n×n: rows against columns
        lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=1) + 1e-5),
        lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5),
        lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var() + 1e-5),
        lambda x: (x - x.max(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5),
        lambda x: (x + x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5),
        lambda x: (x - x.mean(axis=0)) / (x.var(axis=0) + 1e-5),
        lambda x: (x - x.mean(axis=0)) / (2 * x).std(axis=0),
        lambda x: (x - x.sum(axis=0) / 3) / np.sqrt(x.var(axis=0) + 1e-5),
        lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) * 2 + 1e-5),
        lambda x: (x - 4 / x.sum(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5),
        lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0)[:, None] + 1e-5),
        lambda x: (x - x.mean(axis=0)[:, None]) / np.sqrt(x.var(axis=0) + 1e-5),
        lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1),
        lambda x: (x - x.mean(axis=0)) / np.sqrt(4 / ((x - x.mean(axis=0)) ** 2).sum(axis=0) + 1e-5),
        lambda x: (x.mean(axis=0) - x) / np.sqrt(x.var(axis=0) + 1e-5),
        lambda x: x / np.sqrt((x**2).mean(axis=0) + 1e-5),
    ],
)
def test_what_looks_like_a_normalisation_is_left(f: Callable[..., Any]) -> None:
    assert not [n for n in names(lambda x: weighed(f(x)), SQUARE) if n.startswith("standardized")]
    assert_derived(lambda x: weighed(f(x)), SQUARE)


def test_an_epsilon_that_is_learned_keeps_its_gradient() -> None:
    def f(x: Any, eps: Any) -> Any:
        return weighed((x - x.mean(0)) / np.sqrt(x.var(0) + eps))

    found = cr.derive(f, Z, 0.1).function(Z, 0.1)[1]
    for a, b in zip(found, cr.grad(f, (0, 1))(Z, 0.1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)


SECOND = [
    *BINARY,
    *CATEGORICAL,
    *LOGSUMEXP,
    *SQUARED,
    *(lambda x, f=f: weighed(f(x)) for f in (*NORMALISED, *MARGIN)),
]


@pytest.mark.parametrize("f", SECOND)
def test_what_is_recognised_has_its_second_derivative(f: Callable[..., Any]) -> None:
    v = np.cos(np.arange(Z.size)).reshape(Z.shape)
    found = cr.derive(f, Z, order=2).function(Z, v)[-1]
    np.testing.assert_allclose(found, np.tensordot(cr.hessian(f)(Z), v, 2), rtol=1e-8, atol=1e-11)
    squares = cr.derive(lambda z: (cr.grad(f)(z) ** 2).sum(), Z).function(Z)[1]
    np.testing.assert_allclose(
        squares, cr.grad(lambda z: (cr.grad(f)(z) ** 2).sum())(Z), rtol=1e-8, atol=1e-10
    )
