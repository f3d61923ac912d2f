"""Recognition and simplification: what a graph becomes, and that its value stays."""

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.graph.recognition import FORMULAS, recognised
from chainrule.graph.reverse import with_gradients
from chainrule.graph.rewriting import without_dead
from chainrule.graph.simplification import EVERYTHING, FORWARD, simplified
from chainrule.trees import mapped

Z = np.linspace(-3, 3, 12).reshape(3, 4) + 0.01
Y = np.eye(4)[[0, 2, 3]]
EXTREME = np.array([[-800.0, -40, -1, 40], [800, 0.5, 36, -36], [-0.5, 300, -300, 2]])
KNOWN = {
    name: getattr(np, name)
    for name in ("exp", "log", "log1p", "tanh", "sinh", "cosh", "maximum", "where", "logaddexp", "abs")
}
KNOWN |= {
    "sigmoid": cr.ops.sigmoid,
    "softplus": cr.ops.softplus,
    "relu": cr.ops.relu,
    "reciprocal": np.reciprocal,
}


def primitives(graph: cr.Graph) -> list[str]:
    return [e.name for e in graph.equations]


def spelt(formula: str) -> Any:
    return eval(f"lambda z, y=LABELS: {formula}", KNOWN | {"LABELS": Y})


def quietly(f: Any, *args: Any) -> Any:
    with np.errstate(all="ignore"):
        return f(*args)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_spelling_is_recognised_and_keeps_its_value(formula: str) -> None:
    graph = cr.trace(spelt(formula), Z)
    found = without_dead(recognised(graph))
    meant = re.findall(r"\w+(?=\()", FORMULAS[formula])[0].removeprefix("plain_")
    assert meant in primitives(found)
    assert len(primitives(found)) <= 2  # it, and a sign
    np.testing.assert_allclose(found(Z), graph(Z), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_derivative_of_a_recognised_function_is_that_of_its_spelling(formula: str) -> None:
    f = spelt(formula)
    derivation = cr.derive(lambda z: (f(z) * Z).sum(), Z)
    np.testing.assert_allclose(
        derivation.function(Z)[1], cr.grad(lambda z: (f(z) * Z).sum())(Z), rtol=1e-11, atol=1e-13
    )


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_recognised_form_is_finite_far_out_or_as_infinite_as_its_spelling(formula: str) -> None:
    f = spelt(formula)
    derivation = cr.derive(lambda z: (f(z) * Z).sum(), Z)
    value, g = quietly(derivation.function, EXTREME)
    expected, wanted = quietly(cr.value_and_grad(lambda z: (f(z) * Z).sum()), EXTREME)
    assert np.isfinite(value) or not np.isfinite(expected)
    assert (np.isfinite(g) | ~np.isfinite(wanted)).all()
    if not formula.startswith(str(np.e)):  # e ** 800 is infinite
        assert np.isfinite(value)
        assert np.isfinite(g).all()


RELU = [
    lambda z: np.maximum(z, 0), lambda z: np.maximum(0.0, z), lambda z: np.where(z > 0, z, 0),
    lambda z: np.where(z >= 0, z, 0), lambda z: np.where(z < 0, 0, z), lambda z: np.where(z <= 0, 0, z),
    lambda z: z * (z > 0), lambda z: cr.ops.relu(z), lambda z: z.clip(0), lambda z: (z + np.abs(z)) / 2,
]  # fmt: skip


@pytest.mark.parametrize("relu", RELU)
@pytest.mark.parametrize("then", [lambda a: a * 3, np.tanh, lambda a: a @ Z.T, lambda a: np.sqrt(a + 1e-300)])
def test_the_slope_of_every_relu_at_zero_is_the_engines(relu: Any, then: Any) -> None:
    z = np.array([[0.0, -0.0, 1, -1], [2, 0, -2, 0], [-3, 1, 0, -0.5]])
    derivation = cr.derive(lambda z: then(relu(z)).sum(), z)
    value, g = derivation.function(z)
    expected, wanted = cr.value_and_grad(lambda z: then(relu(z)).sum())(z)
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    np.testing.assert_allclose(g, wanted, rtol=1e-14)


def test_an_infinite_cotangent_does_not_pass_a_relu_that_is_off() -> None:
    def distance(z: Any) -> Any:
        return np.sqrt(np.maximum(z, 0)).sum()

    z = np.array([-1.0, 4.0])
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(cr.derive(distance, z).function(z)[1], cr.grad(distance)(z))
    assert "heaviside" not in cr.derive(distance, z).source
    assert "heaviside" in cr.derive(lambda z: np.maximum(z, 0) @ z, z).source


@pytest.mark.parametrize("relu", RELU[:6])
def test_what_a_relu_makes_of_nan_and_infinity_is_kept(relu: Any) -> None:
    z = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0])
    found = recognised(cr.trace(relu, z))
    assert "relu" in primitives(found)
    np.testing.assert_array_equal(found(z), relu(z))


def shifted(z: Any) -> Any:
    return np.exp(z - z.max(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), ["softmax"]),
        (lambda z: np.exp(z) / np.exp(z).sum(axis=1)[:, None], ["softmax"]),
        (lambda z: shifted(z) / shifted(z).sum(axis=1, keepdims=True), ["softmax"]),
        (lambda z: np.exp(z - np.max(z)) / np.sum(np.exp(z - np.max(z)), axis=0), ["softmax"]),
        (lambda z: np.exp(z - np.max(z)) / np.sum(np.exp(z - np.max(z)), axis=0, keepdims=True), ["softmax"]),
        (lambda z: np.exp(z) / np.exp(z).sum(), ["softmax"]),
        (lambda z: np.log(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)), ["log_softmax"]),
        (lambda z: z - np.log(np.exp(z).sum(axis=1, keepdims=True)), ["log_softmax"]),
        (lambda z: z - cr.ops.logsumexp(z, axis=1, keepdims=True), ["log_softmax"]),
        (lambda z: -np.mean(np.sum(Y * np.log(cr.ops.softmax(z)), axis=1)), ["cross_entropy_of_logits", "mean"]),
        (lambda z: -np.sum(np.log(cr.ops.softmax(z)) * Y) / 3, ["cross_entropy_of_logits", "sum", "divide"]),
    ],
)  # fmt: skip
def test_what_goes_along_an_axis_is_recognised(f: Any, wanted: list[str]) -> None:
    graph = cr.trace(f, Z)
    found = without_dead(recognised(graph))
    assert primitives(found) == wanted
    np.testing.assert_allclose(found(Z), graph(Z), rtol=1e-13)


def test_a_recognised_form_is_more_stable_than_what_was_written() -> None:
    def loss(z: Any) -> Any:
        P = shifted(z) / shifted(z).sum(axis=1, keepdims=True)
        return -np.sum(Y * np.log(P))

    value, g = cr.derive(loss, Z).function(Z * 500)
    assert np.isfinite(value)
    assert np.isfinite(g).all()


def test_what_only_looks_alike_is_left() -> None:
    assert "sigmoid" not in primitives(recognised(cr.trace(lambda z: 1 / (2 + np.exp(-z)), Z)))
    assert "sigmoid" not in primitives(recognised(cr.trace(lambda z, u: np.exp(z) / (1 + np.exp(u)), Z, Z)))
    wrong_axis = cr.trace(lambda z: np.exp(z) / np.exp(z).sum(axis=0), Z[:, :3])
    np.testing.assert_allclose(recognised(wrong_axis)(Z[:, :3]), wrong_axis(Z[:, :3]))
    square = np.exp(Z[:, :3])  # the sums of the rows divide the columns
    crossed = cr.trace(lambda z: np.exp(z) / np.exp(z).sum(axis=1), Z[:, :3])
    np.testing.assert_allclose(recognised(crossed)(Z[:, :3]), square / square.sum(axis=1))


PROGRAMS: list[Any] = [
    lambda z: z.T.T.sum(),
    lambda z: -(1 * z - Y).sum(),
    lambda z: (z * 2 / 3 * 6).sum(),
    lambda z: ((z - Y) ** 2).sum() / 6,
    lambda z: np.mean(z, axis=0).sum(),
    lambda z: (z.reshape(2, 6).reshape(12) ** 2).sum(),
    lambda z: np.broadcast_to(z.sum(), (5, 7)).sum(),
    lambda z: (z - z.mean(axis=1, keepdims=True)).prod(),
    lambda z: np.where(z > 0, z * z, -z).sum(),
    lambda z: (z.copy() + 0 * Y).sum() + np.sum(z) * np.sum(z),
    lambda z: (np.exp(-z) - np.exp(-z)).sum() + np.tanh(z).sum(),
    lambda z: np.concatenate([z, z[:1]]).sum() + np.einsum("ij,ij->", z, z),
    lambda z: (z @ np.ones(4) - Y[:, 0]).var() + np.log(z.max(axis=1)[:, None] - z + 1).mean(),
    lambda z: (Y / (2 - z / 4) / 3 - z / 3).sum(),
    lambda z: ((z.T @ Y).T ** 2).sum() + (z @ z.T)[0, 1],
    lambda z: z[:2, 0][0] * z[1][2] + z[2] @ z[0] + z[1] @ z[1],
    lambda z: (np.maximum(z, 0) @ np.arange(4.0)).sum() + np.sqrt(np.maximum(z, 1)).sum(),
    lambda z: cr.ops.sigmoid(z)[0, 0] + np.log(cr.ops.sigmoid(z)[1:, 2]).sum() * 1.5,
    lambda z: (z * 3 / 2).sum() + np.reshape(z.sum(), (1, 1))[0, 0] * 2,
]


@pytest.mark.parametrize("f", PROGRAMS)
@pytest.mark.parametrize("name", ["every", *EVERYTHING])
def test_each_rule_keeps_the_value(f: Any, name: str) -> None:
    graph = simplified(cr.trace(f, Z), FORWARD)
    whole, cotangents = with_gradients(graph, graph.inputs)
    whole = whole.with_(result=(graph.result, mapped(lambda v: cotangents[v], graph.arguments[0])))
    found = simplified(whole, EVERYTHING if name == "every" else {name: EVERYTHING[name]})
    for a, b in zip(found(Z), whole(Z), strict=True):
        np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-13, atol=1e-14)


def test_simplifying_writes_nothing_twice_and_nothing_dead() -> None:
    def f(z: Any) -> Any:
        np.cos(z)
        return (np.exp(z) * np.exp(z)).sum()

    assert primitives(simplified(cr.trace(f, Z), FORWARD)) == ["exp", "multiply", "sum"]


def test_numbers_are_gathered_and_stay_exact() -> None:
    source = cr.derive(lambda z: ((z - Y) ** 2).sum() / (2 * 150), Z).source
    assert "d_z = D / 150" in source
    source = cr.derive(lambda z: -3 * (2 * z).sum() / 4, Z).source
    assert "d_z = np.full((3, 4), -3 / 2)" in source


CONVERSIONS = np.array([np.inf, -np.inf, np.nan, 700, -700, 36.5, -36.5, 800, -800, 0.0, 1e-300])


def test_the_helper_for_the_sigmoid_is_exact_everywhere_and_quiet() -> None:
    function = cr.derive(lambda z: (1 / (1 + np.exp(-z)) * np.arange(1, 12)).sum(), np.zeros(11)).function
    scope = dict(function.__globals__)
    z = np.concatenate([np.linspace(-700, 700, 100001), CONVERSIONS])
    with np.errstate(under="ignore"):
        found = scope["sigmoid"](z)
    np.testing.assert_allclose(found, cr.ops.sigmoid(z), rtol=1e-15, atol=1e-305)
    short = z.astype(np.float32)
    assert scope["sigmoid"](short).dtype == np.float32
    np.testing.assert_allclose(scope["sigmoid"](short), cr.ops.sigmoid(short), rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_every_element_type_stays(kind: Any) -> None:
    def f(z: Any) -> Any:
        return (np.maximum(1 / (1 + np.exp(-z)), 0.25) ** 2).sum() / 3 + (z - z.mean(0)).std() * 2

    z = (Z * 3).astype(kind)
    value, g = cr.derive(f, z).function(z)
    expected, wanted = cr.value_and_grad(f)(z)
    assert (np.asarray(value).dtype, g.dtype) == (np.asarray(expected).dtype, wanted.dtype) == (kind, kind)
    np.testing.assert_allclose(g, wanted, rtol=20 * float(np.finfo(kind).eps), atol=float(np.finfo(kind).eps))


AWKWARD: list[tuple[Any, Any]] = [
    (lambda z: np.sum(np.broadcast_to(z.sum(), (0, 3))) + z.sum(), np.array([np.inf, 1.0])),
    (lambda z: (z * 1e-160 * 1e-160).sum(), np.full(2, 1e200)),
    (lambda z: (z * np.float32(1e-30) * np.float32(1e-30)).sum(), np.full(2, 1e30, np.float32)),
    (lambda z: np.log(np.sum(np.exp(z))), np.empty(0)),
    (lambda z: (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)).sum(), np.empty((3, 0))),
    (lambda z: (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)).sum(), np.empty((0, 3))),
    (lambda z: ((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)).sum(), np.empty((3, 0))),
    (lambda z: ((z - 1) ** 2).sum(), np.empty(0)),
    (lambda z: 1 / (1 + np.exp(-z)), 0.5),
    (lambda z: np.maximum(z, 0) ** 2, np.array(0.0)),
    (lambda z: (z / np.inf + z / np.inf).sum(), np.ones(2)),
    (lambda z: (z[None, :] * z[:, None]).sum() / 9, np.arange(3.0)),
    (lambda z: np.stack([z[0] * 2, z[1] ** 2]).sum() + z[-1] + z[0], np.arange(2.0)),
    (lambda z: (z[0, 0] * z[1, 1] - z[0, 1] * z[1, 0]) + z[0] @ z[1], np.arange(4.0).reshape(2, 2)),
    (lambda z: (z[::-1] * np.arange(3)).sum() + (z[::2] ** 2).sum(), np.arange(3.0)),
    (lambda z: ((z.T @ np.ones((3, 2))).T ** 2).sum() + (z.T @ z).T[0, 1], np.arange(12.0).reshape(3, 4)),
]


@pytest.mark.parametrize(("f", "z"), AWKWARD)
def test_awkward_values_and_shapes_are_kept(f: Any, z: Any) -> None:
    value, g = quietly(lambda: cr.derive(f, z).function(z))
    expected, wanted = quietly(cr.value_and_grad(f), z)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(g, wanted, rtol=1e-13)
    assert np.shape(g) == np.shape(wanted)


def test_elements_that_are_all_there_are_stacked() -> None:
    source = cr.derive(lambda z: z[0, 0] * z[1, 1] - z[0, 1] * z[1, 0], np.eye(2)).source
    assert "d_z = np.array([[U2, -U4], [-U3, U1]])" in source
    assert "placed" in cr.derive(lambda z: z[0] * z[1], np.arange(3.0)).source


def test_the_transpose_of_a_product_is_a_product() -> None:
    source = cr.derive(lambda z: ((z.T @ Z) ** 2).sum(), Z).source
    assert "d_z = Z @ (2 * Z1).T" in source  # the user's Z keeps its name
