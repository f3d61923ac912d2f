"""What is no mistake: guards that a derivation leaves out, finite differences; and what one point cannot tell apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.diagnosis import check
from chainrule.diagnosis.report import Report
from chainrule.errors import InputError

rng = np.random.default_rng(4)
X = rng.normal(size=(20, 4))
LABELS = rng.integers(0, 3, 20)
Y = np.eye(3)[LABELS]
W, V = rng.normal(size=(4, 5)), 3 * rng.normal(size=(5, 3))


def codes(report: Report) -> list[str]:
    return [f.code for f in report.findings]


# guards ------------------------------------------------------------------------------------------------------------


def softmax(Z: Any) -> Any:
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


GUARDED: dict[str, Callable[[Any], Any]] = {
    "added": lambda P: -(Y * np.log(P + 1e-9)).sum() / 20,
    "bound": lambda P: -(Y * np.log(np.maximum(P, 1e-7))).sum() / 20,
    "limits": lambda P: -(Y * np.log(np.clip(P, 1e-7, 1 - 1e-7))).mean() * 3,
}


@pytest.mark.parametrize("guard", GUARDED)
def test_a_derivation_that_leaves_out_a_guard_is_no_mistake(guard: str) -> None:
    def loss(W: Any, V: Any) -> Any:
        return GUARDED[guard](softmax(np.tanh(X @ W) @ V))

    def by_hand(W: Any, V: Any, times: float = 1.0) -> Any:
        H = np.tanh(X @ W)
        d = times * (softmax(H @ V) - Y) / 20
        return X.T @ (d @ V.T * (1 - H**2)), H.T @ d

    report = check(loss, (6 * W, 6 * V), by_hand)
    assert report.ok and set(codes(report)) <= {"CR000", "CR001", "CR009"}
    assert "CR009" in codes(report)
    summed = check(loss, (6 * W, 6 * V), lambda W, V: by_hand(W, V, 20.0))
    assert summed.ok and set(codes(summed)) <= {"CR002", "CR003"}


def test_a_mistake_beside_a_guard_is_found() -> None:
    def loss(W: Any, V: Any) -> Any:
        return GUARDED["added"](softmax(np.tanh(X @ W) @ V))

    def without_slope(W: Any, V: Any) -> Any:
        H = np.tanh(X @ W)
        d = (softmax(H @ V) - Y) / 20
        return X.T @ (d @ V.T), H.T @ d

    assert codes(check(loss, (6 * W, 6 * V), without_slope)) == ["CR101", "CR009"]


# finite differences ------------------------------------------------------------------------------------------------


def classified(W: Any, V: Any) -> Any:
    Z = np.tanh(X @ W) @ V
    Z = Z - Z.max(axis=1, keepdims=True)
    logs = Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))
    return -logs[np.arange(20), LABELS].mean()


def differences(scheme: str, step: float) -> tuple[Any, ...]:
    arrays = [W.copy(), V.copy()]
    found = [np.zeros_like(a) for a in arrays]
    for array, gradient in zip(arrays, found, strict=True):
        for place in np.ndindex(array.shape):
            at = array[place]
            array[place] = at + step
            up = classified(*arrays)
            array[place] = at - step if scheme == "central" else at
            gradient[place] = (up - classified(*arrays)) / (2 * step if scheme == "central" else step)
            array[place] = at
    return tuple(found)


@pytest.mark.parametrize(
    ("scheme", "step"),
    [
        ("central", 1e-3),
        ("central", 2e-4),
        ("central", 1e-8),
        ("forward", 1e-4),
        ("forward", 1e-6),
        ("forward", 1e-8),
    ],
)
def test_finite_differences_are_recognised(scheme: str, step: float) -> None:
    report = check(classified, (W, V), differences(scheme, step))
    assert report.ok and set(codes(report)) <= {"CR000", "CR001", "CR010"}
    assert any(scheme in f.sentence for f in report.findings if f.code == "CR010")


@pytest.mark.parametrize("size", [1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("mistake", ["scaled", "decayed", "one element", "random"])
def test_a_small_mistake_is_not_taken_for_finite_differences(mistake: str, size: float) -> None:
    true_W, true_V = cr.grad(classified, argnums=(0, 1))(W, V)
    one = np.zeros_like(W)
    one[1, 2] = true_W[1, 2]
    wrong = {
        "scaled": true_W, "decayed": W, "one element": one, "random": true_W * rng.normal(size=W.shape)
    }[mistake]  # fmt: skip
    report = check(classified, (W, V), (true_W + size * wrong, true_V), seconds=1.0)
    assert not report.ok and report.findings[0].verdict in ("wrong", "unknown")


# what one point, or one size, cannot tell apart ------------------------------------------------------------------


def square_loss(W: Any, b: Any, X: Any, Y: Any) -> Any:
    return ((np.tanh(X @ W + b) - Y) ** 2).mean()


def test_equal_lengths_are_told_apart_at_another_batch_size() -> None:
    given = (rng.normal(size=(5, 5)), rng.normal(size=5), rng.normal(size=(5, 5)), rng.normal(size=(5, 5)))

    def by_width(W: Any, b: Any, X: Any, Y: Any) -> Any:
        A = np.tanh(X @ W + b)
        d = 2 * (A - Y) / Y.size * (1 - A**2)
        return X.T @ d / W.shape[1], d.sum(axis=0), None, None

    of_function = check(square_loss, given, by_width).findings[0]
    assert (of_function.code, of_function.alternatives) == ("CR108", ())
    of_arrays = check(square_loss, given, by_width(*given)).findings[0]
    assert of_arrays.alternatives and "another point" in of_arrays.sentence.lower()


# intermediate values -----------------------------------------------------------------------------------------------


def two_layers(W: Any, V: Any) -> Any:
    Z1 = X @ W
    H = np.tanh(Z1)
    Z2 = H @ V
    return ((Z2 - Y) ** 2).sum()


def test_the_first_wrong_intermediate_value_is_named() -> None:
    H = np.tanh(X @ W)
    dZ2 = 2 * (H @ V - Y)
    dH = dZ2 @ V.T
    dZ1 = dH * (1 - H)
    report = check(
        two_layers, (W, V), (X.T @ dZ1, H.T @ dZ2), intermediates={"dZ1": dZ1, "H": H, "dH": dH, "dZ2": dZ2}
    )
    assert codes(report) == ["CR105", "CR000"]
    assert "The first value that is wrong is dZ1" in report.notes[0]
    assert "right before it: H, dZ2, dH" in report.notes[0] and "d_Z1 = " in report.notes[0]
    wrong_H = check(two_layers, (W, V), (X.T @ dZ1, H.T @ dZ2), intermediates={"H": H + 1, "grad_Z2": dZ2})
    assert "first value that is wrong is H," in wrong_H.notes[0]


def test_intermediate_values_that_are_unknown_are_refused() -> None:
    with pytest.raises(InputError, match="'dQ'.*H"):
        check(two_layers, (W, V), (W, V), intermediates={"dQ": W})
    with pytest.raises(InputError, match="expected shape"):
        check(two_layers, (W, V), (W, V), intermediates={"dH": W})


def test_a_mistake_in_a_number_is_not_excused_by_a_step_that_happens_to_fit() -> None:
    x, y = np.arange(6.0), 0.7 * np.arange(6.0)

    def loss(b: Any) -> Any:
        return ((b * x - y) ** 2).mean()

    def claim(b: Any) -> Any:
        return 2 * ((b * x - y) * x).mean() + 0.01 * (x**2).mean()

    report = check(loss, (0.3,), (claim(0.3),), seconds=3.0)
    assert not report.ok
    forward = (loss(0.3 + 1e-7) - loss(0.3)) / 1e-7
    assert check(loss, (0.3,), (forward,), seconds=3.0).ok
