"""What people write, derived as a textbook would: no detour by slices, masks, ones, or numbers nobody wrote."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 4)), RNG.normal(size=5)
MASK = np.tril(np.ones((4, 4)))


def gates(a: Any) -> Any:
    i, f, g = 1 / (1 + np.exp(-a[:, :2])), np.tanh(a[:, 2:3]), np.sin(a[:, 3:])
    return (i * f * g).sum()


def masked(s: Any) -> Any:
    return np.tanh(np.where(MASK == 0, -1e9, s / 2)).sum()


def hinge(w: Any) -> Any:
    return 0.5 * np.dot(w, w) + np.mean(np.maximum(0, 1 - Y * (X @ w)))


def batch_mean(x: Any) -> Any:
    mean = 1.0 / 6 * np.sum(x, axis=0)
    return (mean**2).sum()


@pytest.mark.parametrize(
    ("f", "x", "wanted"),
    [
        (gates, X, "d_a = np.concatenate(["),
        (lambda x: ((x[1:] - x[:-1]) ** 2).sum(), Y, "placed(2 * D, np.s_[1:], (5,))"),
        (lambda x: (x[1, ...] * x[2]).sum(), X, "U1 = x[1]  "),
        (masked, X[:4], "np.where(C, -1e9, s / 2)"),
        (masked, X[:4], "d_s = np.where(C, 0, 1 - A * A) / 2"),
        (hinge, Y[:4], " + w  #"),
        (hinge, Y[:4], "np.heaviside(D, 0.5) * Y / 5"),
        (batch_mean, X, "mean = 1 / 6 * np.sum(x, axis=0)"),
        (lambda w: (X @ w).mean(), Y[:4], "d_w = X.T @ np.full(5, 1 / 5)"),
        (lambda x: sum(v * v for v in x), Y[:3], "2 * v3"),
        (lambda x: np.linalg.norm(x), Y, "d_x = x / np.where(value == 0, 1, value)"),
        (lambda x: np.linalg.norm(x, axis=1).sum(), X, "R = np.linalg.norm(x, axis=1)"),
        (lambda A: np.einsum("ij,ij->", A, A), X, "d_A = 2 * A"),
        (lambda x: (1 / (1 + np.exp(-1.7 * x))).sum(), Y, "sigmoid(1.7 * x)"),
        (lambda x: (1 / (1 + np.exp(1.7 * -x))).sum(), Y, "sigmoid("),
    ],
)
def test_a_derivation_reads_as_it_would_be_written(f: Callable[..., Any], x: Any, wanted: str) -> None:
    derivation = cr.derive(f, x)
    assert wanted in derivation.source, derivation.source
    for other in (x, x + 0.1, x[::-1].copy()):
        value, gradient = derivation.function(other)
        np.testing.assert_allclose(value, f(other), rtol=1e-12)
        np.testing.assert_allclose(gradient, cr.grad(f)(other), rtol=1e-10, atol=1e-13)


def test_a_condition_is_not_taken_for_a_number() -> None:
    direction = np.cos(X[:4])
    product = cr.derive(masked, X[:4], order=2).function(X[:4], direction)[2]
    np.testing.assert_allclose(product, cr.hvp(masked, (X[:4],), (direction,)), rtol=1e-10)


def test_zeros_are_not_what_another_array_happens_to_be() -> None:
    ones = np.ones(5)
    assert "1 - ones" not in str(cr.derive(lambda x: ((x + 0 * ones) ** 2 * ones).sum(), Y))


OTHER = np.array([-1.0, 2.0, 0.4, 5.0])
HERE = np.array([1.0, -2.0, 3.0, -0.5])


def changed(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        z = x * 1.0
        change(z)
        return (z * z * np.arange(4)).sum()

    return f


READS_VALUES = {
    "compress": lambda x: np.compress(x > 0, x).sum(),
    "extract": lambda x: np.extract(x > 0, x).sum(),
    "choose": lambda x: np.choose((x > 0).astype(int), [x, x * 2]).sum(),
    "place": changed(lambda z: np.place(z, z < 0, [0.0])),
    "putmask": changed(lambda z: np.putmask(z, z < 0, 0.0)),
    "put": changed(lambda z: np.put(z, np.argmax(z), 0.0)),
    "copyto": changed(lambda z: np.copyto(z, 0.0, where=z < 0)),
    "mask assigned": changed(lambda z: z.__setitem__(z < 0, 0.0)),
    "sum where": lambda x: np.sum(x, where=x > 0),
    "mean where": lambda x: np.mean(x, where=x > 0),
    "trim_zeros": lambda x: np.trim_zeros(np.maximum(x, 0)).sum(),
    "nanmean": lambda x: np.nanmean(np.where(x > 0, x, np.nan)),
    "nanvar": lambda x: np.nanvar(np.where(x > 0, x, np.nan)),
    "nanmedian": lambda x: np.nanmedian(np.where(x > 0, x, np.nan)),
    "digitize": lambda x: (x * np.digitize(x, [-1, 0, 1])).sum(),
    "searchsorted": lambda x: (x * np.searchsorted([-1, 0, 1], x)).sum(),
    "argmax": lambda x: x[np.argmax(x)] * 1.0,
    "insert": lambda x: (np.insert(x, np.argmax(x), 0.0) * np.arange(5)).sum(),
    "delete": lambda x: (np.delete(x, np.argmax(x)) * np.arange(3)).sum(),
    "roll": lambda x: (np.roll(x, np.argmax(x)) * np.arange(4)).sum(),
    "add.at": changed(lambda z: np.add.at(z, np.argsort(z)[:2], 1.0)),
    "plain array, traced index": lambda x: (cr.ops.take(np.arange(4.0), np.argsort(x)) * x).sum(),
    "index that wraps": lambda x: (cr.ops.take(np.arange(4.0), np.argsort(x) + 3, mode="wrap") * x).sum(),
    "along an axis": lambda x: (cr.ops.take_along_axis(np.arange(4.0), np.argsort(x)) * x).sum(),
    "into a plain array": lambda x: (cr.ops.index_update(np.zeros(4), 1.0, np.argmax(x)) * x).sum(),
    "onto a plain array": lambda x: (cr.ops.index_add(np.zeros(4), 1.0, np.argmax(x)) * x).sum(),
    "count": lambda x: x.sum() / np.count_nonzero(x > 0),
    "ldexp": lambda x: np.ldexp(x, x.astype(int)).sum(),
    "interp": lambda x: np.interp(x, [-2, 0, 1, 4], [1, 2, 0, 3.0]).sum(),
    "unwrap": lambda x: np.unwrap(x * 3).sum(),
    "allclose": lambda x: x.sum() if np.allclose(x, x) else x.prod(),
    "array_equal": lambda x: x.sum() if np.array_equal(x, OTHER) else x.prod(),
    "bincount": lambda x: np.bincount((x > 0).astype(int), weights=x, minlength=2)[0],
    "unique": lambda x: (np.unique(np.abs(x)) * np.arange(4)).sum(),
    "largest": lambda x: np.partition(x, -2)[-2:].sum(),
    "argpartition": lambda x: x[np.argpartition(x, -2)[-2:]].sum(),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: v**2, lambda v: v]).sum(),
}


@pytest.mark.parametrize("name", READS_VALUES)
def test_nothing_is_frozen_to_the_values_of_one_run(name: str) -> None:
    """What is derived at one point is right at another, or it is refused."""
    f = READS_VALUES[name]
    try:
        derivation = cr.derive(f, HERE)
    except cr.errors.UnsupportedError as error:
        refused = str(error)
    else:
        value, gradient = derivation.function(OTHER)
        np.testing.assert_allclose(value, f(OTHER), rtol=1e-12)
        np.testing.assert_allclose(gradient, cr.grad(f)(OTHER), rtol=1e-12)
        return
    assert re.search(r"\bline \d|has no derivative", refused)


def test_argnums_are_numbers() -> None:
    with pytest.raises(cr.errors.OptionError, match=r"argnums='x': give positions"):
        cr.derive(lambda x: x.sum(), Y, argnums="x")  # type: ignore[arg-type]
