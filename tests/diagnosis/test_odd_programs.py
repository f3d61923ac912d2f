"""Backward passes that are in no corpus: right ones are passed, and mistakes in loops and offsets are named."""

from typing import Any

import numpy as np
import pytest

from chainrule.diagnosis import check

rng = np.random.default_rng(21)
X, COUNTS, OFFSET = rng.normal(size=(15, 3)), rng.poisson(2, 15).astype(float), rng.random(15)
STACK, TARGET = rng.normal(size=(8, 4)), rng.normal(size=(8, 4))
STEPS, LABELS = rng.normal(size=(5, 4)), np.array([0, 2, 1, 1, 0])


def poisson(w: Any, b: Any) -> Any:
    eta = X @ w + b + OFFSET
    return (np.exp(eta) - COUNTS * eta).sum()


@pytest.mark.parametrize(("offset", "expected"), [(OFFSET, "CR000"), (0.0, "CR103")])
def test_a_forgotten_offset_is_named(offset: Any, expected: str) -> None:
    def by_hand(w: Any, b: Any) -> Any:
        d = np.exp(X @ w + b + offset) - COUNTS
        return X.T @ d, d.sum()

    report = check(poisson, (0.3 * rng.normal(size=3), 0.2), by_hand)
    assert [f.code for f in report.findings] == [expected, expected]
    assert expected == "CR000" or "without OFFSET" in report.findings[0].sentence


def stacked(weights: Any) -> Any:
    a = STACK
    for W in weights:
        a = np.tanh(a @ W)
    return ((a - TARGET) ** 2).sum()


@pytest.mark.parametrize(("shift", "expected"), [(0, "CR000"), (-1, "CR111")])
def test_the_weight_of_another_layer_is_named(shift: int, expected: str) -> None:
    def by_hand(weights: Any) -> Any:
        values = [STACK]
        for W in weights:
            values.append(np.tanh(values[-1] @ W))
        d, found = 2 * (values[-1] - TARGET), [None] * 3
        for k in (2, 1, 0):
            dz = d * (1 - values[k + 1] ** 2)
            found[k] = values[k].T @ dz
            d = dz @ weights[k + shift].T
        return (found,)

    report = check(stacked, ([rng.normal(size=(4, 4)) for _ in range(3)],), by_hand)
    assert [f.code for f in report.findings] == [expected, expected, "CR000"]


def chain_of_labels(W: Any, A: Any) -> Any:
    """The negative logarithm of the probability of a sequence of labels in a linear chain (a CRF)."""
    E = STEPS @ W
    alpha = E[0]
    for t in range(1, 5):
        alpha = E[t] + np.log(np.exp(alpha[:, None] + A).sum(axis=0))
    score = E[np.arange(5), LABELS].sum() + A[LABELS[:-1], LABELS[1:]].sum()
    return np.log(np.exp(alpha).sum()) - score


@pytest.mark.parametrize(("counted", "expected"), [(True, "CR000"), (False, "CR116")])
def test_a_forward_and_backward_recursion_is_followed(counted: bool, expected: str) -> None:
    def by_hand(W: Any, A: Any) -> Any:
        E = STEPS @ W
        ahead, behind = [E[0]], [np.zeros(3)]
        for t in range(1, 5):
            ahead.append(E[t] + np.log(np.exp(ahead[-1][:, None] + A).sum(0)))
        for t in range(4, 0, -1):
            behind.insert(0, np.log(np.exp(A + E[t] + behind[0]).sum(1)))
        total = np.log(np.exp(ahead[-1]).sum())
        dE = np.exp(np.array(ahead) + np.array(behind) - total)
        dA = sum(np.exp(ahead[t - 1][:, None] + A + E[t] + behind[t] - total) for t in range(1, 5))
        dE[np.arange(5), LABELS] -= 1
        if counted:
            np.add.at(dA, (LABELS[:-1], LABELS[1:]), -1)
        return STEPS.T @ dE, dA

    report = check(chain_of_labels, (rng.normal(size=(4, 3)), rng.normal(size=(3, 3))), by_hand)
    assert [f.code for f in report.findings] == ["CR000", expected]


@pytest.mark.parametrize(("kept", "expected"), [(1.0, "CR000"), (0.0, "CR124")])
def test_gates_cut_off_from_all_earlier_steps_are_named(kept: float, expected: str) -> None:
    def gated(Wz: Any, Wn: Any, b: Any) -> Any:
        h = b
        for x in STEPS:
            z = 1 / (1 + np.exp(-(x @ Wz + h)))
            n = np.tanh(x @ Wn + h)
            h = (1 - z) * n + z * h
        return (h**2).sum()

    def by_hand(Wz: Any, Wn: Any, b: Any) -> Any:
        h, past = b, []
        for x in STEPS:
            z = 1 / (1 + np.exp(-(x @ Wz + h)))
            n = np.tanh(x @ Wn + h)
            past.append((x, h, z, n))
            h = (1 - z) * n + z * h
        d, dWz, dWn = 2 * h, np.zeros_like(Wz), np.zeros_like(Wn)
        for x, before, z, n in reversed(past):
            dz, dn = d * (before - n) * z * (1 - z), d * (1 - z) * (1 - n**2)
            dWz += np.outer(x, dz)
            dWn += np.outer(x, dn)
            d = kept * (dz + dn + d * z)
        return dWz, dWn, None

    given = (rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=3))
    assert [f.code for f in check(gated, given, by_hand).findings] == [expected, expected]
