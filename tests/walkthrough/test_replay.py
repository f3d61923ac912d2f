"""Every printed number is computed from those printed before it; and the last ones are the engine's."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cases import Case
from graph.networks import NETWORKS
from graph.test_derive_cases import ROWS, weighed
from hypothesis import given, settings
from random_programs import DRAWN, INPUTS, decoded, run
from walkthrough.replaying import replay

import chainrule as cr
from chainrule import nn
from chainrule.errors import IndependentWarning
from chainrule.trees import leaves
from chainrule.walkthrough import Walkthrough, explain

rng = np.random.default_rng(3)


def gradients(walkthrough: Walkthrough) -> list[Any]:
    """The cotangents of all that is given, in its order."""
    return list(walkthrough.gradients.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_replayed_and_ends_with_the_gradient(name: str) -> None:
    f, args = NETWORKS[name]
    walkthrough = explain(f, *args)
    replay(walkthrough)
    _, expected = cr.value_and_grad(f, tuple(range(len(args))))(*args)
    found = gradients(walkthrough)
    wanted = [g for _, g in leaves(expected)]
    assert len(found) == len(wanted)
    for g, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(g, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", ROWS, ids=repr)
def test_every_primitive_is_replayed(case: Case) -> None:
    arrays = [np.asarray(a, float) for a in case.drawn()]

    def f(*args: Any) -> Any:
        return weighed(case(*args))

    walkthrough = explain(f, *arrays)
    replay(walkthrough)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IndependentWarning)
        expected = cr.grad(f, tuple(range(len(arrays))))(*arrays)
    for i, g in enumerate(expected, 1):
        found = walkthrough.gradients.get(f"args{i}", np.zeros(g.shape))
        np.testing.assert_allclose(found, g, rtol=1e-9, atol=1e-10)


@dataclass
class Layer:
    W: Any
    b: Any


W, x = rng.normal(size=(3, 3)), rng.normal(size=3)


def several_uses(x: Any) -> Any:
    y = x * x + np.sin(x)
    return np.sum(y * x + y / (1 + x**2))


def nested(params: Any) -> Any:
    h = x
    for name in ("first", "second"):
        h = np.tanh(params[name].W @ h + params[name].b)
    return (h**2).sum()


def broadcast(a: Any, b: Any, c: Any) -> Any:
    return ((a * b + c) ** 2).mean()


def several_results(A: Any) -> Any:
    w, V = np.linalg.eigh(A + A.T)
    return np.sum(w**3) + V[0, 0] ** 2


def keywords(x: Any, *, scale: Any, power: int = 2) -> Any:
    return np.sum(scale * x**power)


def penalty(W: Any) -> Any:
    """A gradient of a gradient."""
    g = cr.grad(lambda V: np.sum(np.tanh(V @ x)))(W)
    return np.sum(g**2)


def indexed(x: Any) -> Any:
    y = np.zeros_like(x)
    y[1:] = x[:-1] * 2
    y[0] += x[2] ** 2
    return np.sum(y * x[::-1])


@pytest.mark.parametrize(
    ("f", "args", "kwargs"),
    [
        (several_uses, (x,), {}),
        (nested, ({"first": Layer(W, x), "second": Layer(W.T * 0.5, x)},), {}),
        (broadcast, (rng.normal(size=(4, 1)), rng.normal(size=3), 0.5), {}),
        (several_results, (W,), {}),
        (keywords, (x,), {"scale": 2.5, "power": 3}),
        (indexed, (x,), {}),
        (penalty, (W,), {}),
        (lambda x: np.sum(np.where(x > 0, x, x * 0.1)) + x.max(), (x,), {}),
        (lambda W: np.sum(np.concatenate([W, W.T]) @ x), (W,), {}),
        (lambda x: (x - x.mean()) @ (x - x.mean()) / x.std(), (x,), {}),
    ],
)
def test_all_of_python_is_replayed(f: Any, args: Any, kwargs: Any) -> None:
    walkthrough = explain(f, *args, **kwargs)
    replay(walkthrough)
    assert any(step.side == "backward" for step in walkthrough)
    g = cr.grad(lambda *a: f(*a, **kwargs), tuple(range(len(args))))(*args)
    wanted = [part for _, part in leaves(g)]
    found = gradients(walkthrough)
    for one, other in zip(found, wanted, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    assert len(found) >= len(wanted)


def test_single_precision_is_replayed_in_single_precision() -> None:
    f, args = NETWORKS["softmax_cross_entropy"]
    X = rng.normal(size=(5, 4)).astype(np.float32)
    walkthrough = explain(
        lambda W, b: np.mean(np.tanh(X @ W + b) ** 2), *(a.astype(np.float32) for a in args)
    )
    replay(walkthrough)
    assert {step.dtype for step in walkthrough} == {np.dtype(np.float32)}
    assert callable(f)


def test_the_parameters_of_a_module_are_explained() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    X, labels = rng.normal(size=(6, 4)), np.array([0, 1, 1, 0, 1, 0])

    def loss(X: Any) -> Any:
        return nn.cross_entropy(network(X), labels)

    walkthrough = explain(loss, X)
    replay(walkthrough)
    loss(X).backward()
    found = gradients(walkthrough)
    for parameter in network.parameters():
        assert any(
            g.shape == parameter.shape and np.allclose(g, parameter.grad, rtol=1e-10, atol=1e-14)
            for g in found
        )


@settings(max_examples=40, deadline=None)
@given(DRAWN)
def test_random_programs_are_replayed_and_healthy(drawn: list[tuple[int, int, int, int]]) -> None:
    program = decoded(drawn)

    def f(*inputs: Any) -> Any:
        return run(program, inputs)

    walkthrough = explain(f, *INPUTS)
    replay(walkthrough)
    assert walkthrough.first_wrong is None or walkthrough.first_wrong.kind in ("exploding", "vanishing")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IndependentWarning)
        expected = cr.grad(f, tuple(range(len(INPUTS))))(*INPUTS)
    for i, g in enumerate(expected, 1):
        found = walkthrough.gradients.get(f"inputs{i}", np.zeros(g.shape))
        np.testing.assert_allclose(found, g, rtol=1e-9, atol=1e-9)
