"""Recognition and simplification: what a graph becomes, and that its value stays."""

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
KNOWN = {
    name: getattr(np, name)
    for name in ("exp", "log", "log1p", "tanh", "sinh", "cosh", "maximum", "where", "logaddexp")
}
KNOWN |= {"sigmoid": cr.ops.sigmoid, "reciprocal": np.reciprocal}


def primitives(graph: cr.Graph) -> list[str]:
    return [e.name for e in graph.equations]


def spelt(formula: str) -> Any:
    return eval(f"lambda z: {formula}", KNOWN)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_spelling_is_recognised_and_keeps_its_value(formula: str) -> None:
    graph = cr.trace(spelt(formula), Z)
    found = without_dead(recognised(graph))
    assert primitives(found) == [FORMULAS[formula].name]
    np.testing.assert_allclose(found(Z), graph(Z), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_derivative_of_a_recognised_function_is_that_of_its_spelling(formula: str) -> None:
    f = spelt(formula)
    derivation = cr.derive(lambda z: (f(z) * Z).sum(), Z)
    np.testing.assert_allclose(
        derivation.function(Z)[1], cr.grad(lambda z: (f(z) * Z).sum())(Z), rtol=1e-11, atol=1e-13
    )


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
