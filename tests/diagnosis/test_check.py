"""What `check` says of gradients written by hand, right and wrong, and of bad input."""

from typing import Any

import numpy as np
import pytest

from chainrule.diagnosis import check
from chainrule.errors import InputError

rng = np.random.default_rng(0)
X = rng.normal(size=(12, 4))
Y = np.eye(3)[rng.integers(0, 3, 12)]
PARAMETERS = (rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=(5, 3)), rng.normal(size=3))
NAMES = ("W1", "b1", "W2", "b2")


def loss(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    H = 1 / (1 + np.exp(-(X @ W1 + b1)))
    Z2 = H @ W2 + b2
    e = np.exp(Z2 - Z2.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    return -np.sum(Y * np.log(P)) / len(X)


def backward(mistake: str = "") -> Any:
    """The gradient of `loss` by hand, with a mistake in it."""

    def slope(H: Any, Z1: Any) -> Any:
        return {
            "no slope": np.ones_like(H), "slope at Z1": Z1 * (1 - Z1), "lost H": 1 - H, "times H": H * H * (1 - H),
        }.get(mistake, H * (1 - H))  # fmt: skip

    def gradient(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        Z1 = X @ W1 + b1
        H = 1 / (1 + np.exp(-Z1))
        e = np.exp(H @ W2 + b2)
        P = e / e.sum(axis=1, keepdims=True)
        d_Z2 = (P - Y) / len(X)
        if mistake == "softmax twice":
            d_Z2 = d_Z2 * P * (1 - P)
        d_Z1 = (d_Z2 @ W2.T) * slope(H, Z1)
        d_b1 = d_Z1.mean(axis=0) if mistake == "mean" else d_Z1.sum(axis=0)
        d_b2 = np.full(3, d_Z2.max()) if mistake == "nonsense" else d_Z2.sum(axis=0)
        d_W1 = -(X.T @ d_Z1) if mistake == "sign" else X.T @ d_Z1
        return d_W1, d_b1, H.T @ d_Z2, d_b2

    return gradient


def codes(report: Any) -> dict[str, str]:
    return {f.parameter: f.code for f in report.findings}


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        ("", {"W1": "CR000", "b1": "CR000", "W2": "CR001", "b2": "CR001"}),
        ("no slope", {"W1": "CR101", "b1": "CR101", "W2": "CR001", "b2": "CR001"}),
        ("slope at Z1", {"W1": "CR103", "b1": "CR103", "W2": "CR001", "b2": "CR001"}),
        ("lost H", {"W1": "CR105", "b1": "CR105", "W2": "CR001", "b2": "CR001"}),
        ("times H", {"W1": "CR102", "b1": "CR102", "W2": "CR001", "b2": "CR001"}),
        ("softmax twice", {"W1": "CR118", "b1": "CR118", "W2": "CR118", "b2": "CR118"}),
        ("mean", {"W1": "CR000", "b1": "CR115", "W2": "CR001", "b2": "CR001"}),
        ("sign", {"W1": "CR107", "b1": "CR000", "W2": "CR001", "b2": "CR001"}),
    ],
)
@pytest.mark.parametrize("form", ["function", "arrays"])
def test_the_mistake_is_named_and_proved(mistake: str, expected: dict[str, str], form: str) -> None:
    gradient = backward(mistake)
    report = check(loss, PARAMETERS, gradient if form == "function" else gradient(*PARAMETERS))
    assert codes(report) == expected
    assert report.ok == (mistake == "")
    for finding in report.findings:
        if not finding.ok:
            assert finding.error > 1e-2
            assert finding.error_after is not None and finding.error_after < 1e-8
            assert finding.correction is not None and f"d_{finding.parameter} = " in finding.correction


def test_a_gradient_that_no_mistake_explains_is_only_called_wrong() -> None:
    report = check(loss, PARAMETERS, backward("nonsense"), seconds=1.0)
    finding = report.findings[3]
    assert (finding.code, finding.verdict, finding.error_after) == ("CR199", "unknown", None)
    assert [f.code for f in report.findings[:3]] == ["CR000", "CR000", "CR001"]
    assert "Right: W1, b1, W2" in finding.sentence


def test_two_mistakes_are_both_named() -> None:
    def gradient(*parameters: Any) -> Any:
        d_W1, d_b1, d_W2, d_b2 = backward("no slope")(*parameters)
        return d_W1, d_b1, -d_W2, d_b2

    assert codes(check(loss, PARAMETERS, gradient)) == {
        "W1": "CR101",
        "b1": "CR101",
        "W2": "CR107",
        "b2": "CR001",
    }

    def opposite(*parameters: Any) -> Any:
        d_W1, d_b1, d_W2, d_b2 = backward("lost H")(*parameters)
        return -d_W1, -d_b1, d_W2, d_b2

    found = check(loss, PARAMETERS, opposite).findings[0]
    assert set(found.code.split("+")) == {"CR105", "CR107"}


@pytest.mark.parametrize(
    ("factor", "code"), [(12.0, "CR003"), (2.0, "CR002"), (0.5, "CR002"), (-1.0, "CR004"), (0.377, "CR002")]
)
def test_a_multiple_of_the_gradient_is_that_of_another_loss(factor: float, code: str) -> None:
    report = check(loss, PARAMETERS, lambda *p: tuple(factor * g for g in backward()(*p)))
    assert report.ok
    assert set(codes(report).values()) == {code}
    assert all(f.verdict == "convention" for f in report.findings)


def test_other_orders_of_arithmetic_are_no_mistakes() -> None:
    def looped(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        total = [np.zeros_like(p) for p in (W1, b1, W2, b2)]
        for x, y in zip(X, Y, strict=True):
            H = np.array([1 / (1 + np.exp(-(x @ W1[:, j] + b1[j]))) for j in range(5)])
            P = np.exp(H @ W2 + b2) / np.exp(H @ W2 + b2).sum()
            d_Z1 = W2 @ (P - y) * H * (1 - H)
            for t, g in zip(total, (np.outer(x, d_Z1), d_Z1, np.outer(H, P - y), P - y), strict=True):
                t += g / len(X)
        return tuple(total)

    assert check(loss, PARAMETERS, looped).ok


def test_a_gradient_that_cancels_to_zero_is_right_whatever_rounding_leaves() -> None:
    def normalised(b: Any) -> Any:
        Z = X + b
        return np.sum(((Z - Z.mean(axis=0)) / Z.std(axis=0)) ** 3)

    assert check(normalised, (np.ones(4),), (np.array([1e-16, -3e-16, 0.0, 2e-16]),)).ok
    assert not check(normalised, (np.ones(4),), (np.array([1e-3, 0.0, 0.0, 0.0]),), seconds=0.5).ok


def test_float32_is_not_taken_for_a_mistake() -> None:
    short = tuple(g.astype(np.float32) for g in backward()(*PARAMETERS))
    report = check(loss, PARAMETERS, short)
    assert report.ok and set(codes(report).values()) == {"CR005"}
    wrong = tuple(g.astype(np.float32) for g in backward("no slope")(*PARAMETERS))
    assert codes(check(loss, PARAMETERS, wrong))["W1"] == "CR101"


def test_a_convention_at_a_kink_is_undecided() -> None:
    def relu_loss(w: Any) -> Any:
        return np.sum(np.maximum(w, 0) * np.array([1.0, 2.0, 3.0]))

    w = np.array([0.0, 1.0, -1.0])
    for claimed in (0.0, 1.0, 0.3):
        finding = check(relu_loss, (w,), (np.array([claimed, 2.0, 0.0]),)).findings[0]
        assert (finding.code, finding.verdict) == ("CR090", "undecided")
    assert not check(relu_loss, (w,), (np.array([2.0, 2.0, 0.0]),), seconds=0.5).ok


@pytest.mark.parametrize(
    ("shaped", "code"),
    [
        (lambda d: (d[0].T, *d[1:]), "CR301"),
        (lambda d: (d[0].ravel(), *d[1:]), "CR303"),
        (lambda d: (d[0], d[1][None], *d[2:]), "CR303"),
        (lambda d: (d[0], np.ones((12, 7)), *d[2:]), "CR304"),
    ],
)
def test_wrong_shapes_are_findings(shaped: Any, code: str) -> None:
    found = [f for f in check(loss, PARAMETERS, shaped(backward()(*PARAMETERS))).findings if not f.ok]
    assert [f.code for f in found] == [code]
    assert (found[0].error_after is not None) == (code != "CR304")


def test_a_gradient_that_was_not_summed_over_the_batch() -> None:
    def squares(b: Any) -> Any:
        return np.sum((X - b) ** 2)

    finding = check(squares, (np.ones(4),), (-2 * (X - 1),)).findings[0]
    assert finding.code == "CR302" and ".sum(axis=0)" in str(finding.correction)


# bad input -----------------------------------------------------------------------------------------------


def parabola(w: Any) -> Any:
    return np.sum(w**2)


def test_values_that_are_not_finite_are_named() -> None:
    finding = check(parabola, (np.ones(3),), (np.array([2.0, np.nan, 2.0]),)).findings[0]
    assert finding.verdict == "unknown" and "nan at [1]" in finding.sentence
    finding = check(lambda w: np.sum(np.log(w)), (np.array([1.0, 0.0]),), (np.ones(2),)).findings[0]
    assert finding.verdict == "undecided" and "inf at [1]" in finding.sentence


@pytest.mark.parametrize(
    ("args", "claimed", "message"),
    [
        ((np.arange(3),), (np.ones(3),), "convert it with .astype"),
        ((np.ones(3),), (np.ones(3), np.ones(3)), "has one argument"),
        ((np.ones(3),), (None,), "nothing is claimed"),
        (({"a": np.ones(3)},), ({"b": np.ones(3)},), r"lacks \['a'\]"),
    ],
)
def test_claims_that_do_not_fit_the_arguments_are_refused(args: Any, claimed: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(lambda w: np.sum((w["a"] if isinstance(w, dict) else w) ** 2), args, claimed)


def test_a_loss_that_is_random_is_refused_with_the_line() -> None:
    draw = np.random.default_rng(0)

    def noisy(w: Any) -> Any:
        noise = draw.normal(size=3)
        return np.sum((w + noise) ** 2)

    with pytest.raises(InputError, match=r"another value each time(.|\n)*\(w \+ noise\)"):
        check(noisy, (np.ones(3),), (np.ones(3),))


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    with pytest.raises(ValueError, match="a gradient is that of a scalar"):
        check(lambda w: w**2, (np.ones(3),), (np.ones(3),))


def test_a_loss_with_a_branch_is_compared_without_a_diagnosis() -> None:
    def branching(w: Any) -> Any:
        return np.sum(w**2) if w[0] > 0 else np.sum(w)

    right, wrong = (check(branching, (np.ones(3),), (c * np.ones(3),)) for c in (2.0, 3.0))
    assert right.ok and not wrong.ok
    assert "No mistake was searched for" in right.notes[0]


def test_trees_keep_their_names_and_what_is_not_claimed_is_skipped() -> None:
    def of_tree(parameters: Any, x: Any) -> Any:
        return np.sum((x @ parameters["W"] + parameters["b"]) ** 2)

    parameters = {"W": rng.normal(size=(4, 2)), "b": rng.normal(size=2)}
    d = 2 * (X @ parameters["W"] + parameters["b"])
    claimed = {"b": d.mean(axis=0), "W": None}
    found = codes(check(of_tree, (parameters, X), (claimed, None)))
    assert list(found) == ["b"] and found["b"] in ("CR003", "CR115")
    report = check(of_tree, (parameters, X), ({"b": d.sum(axis=0), "W": X.T @ d}, None))
    assert codes(report) == {"W": "CR000", "b": "CR000"}


def test_the_arguments_are_not_changed_even_by_a_claimed_function_that_changes_them() -> None:
    def careless(w: Any) -> Any:
        w *= 2
        return (w,)

    w = np.ones(3)
    assert check(parabola, (w,), careless).ok
    assert (w == 1).all()


def test_a_function_that_knows_one_point_only_counts_there() -> None:
    H = X @ np.ones((4, 2))

    def linear(W: Any) -> Any:
        return np.sum((X @ W) ** 2 * X[:, :1])

    report = check(linear, (np.ones((4, 2)),), lambda W: (X.T @ (2 * H * X[:, :1]) + 0 * W,), seconds=1.0)
    assert report.ok and report.notes


def test_a_point_at_which_all_is_equal_does_not_hide_a_mistake() -> None:
    def network(W: Any, v: Any) -> Any:
        return np.sum((np.tanh(X[:, :2] @ W) @ v - Y[:, 0]) ** 2)

    def transposed(W: Any, v: Any) -> Any:
        A = np.tanh(X[:, :2] @ W)
        d = 2 * (A @ v - Y[:, 0])
        return (X[:, :2].T @ (np.outer(d, v) * (1 - A**2))).T, A.T @ d

    report = check(network, (rng.normal(size=(2, 2)), np.ones(2)), transposed)
    assert codes(report)["W"] == "CR109"


def test_tensors_of_the_facades_are_taken_as_arrays() -> None:
    import chainrule.torch as torch

    w = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert check(parabola, (w,), (2 * w,)).ok


def test_muted_codes_are_not_reported() -> None:
    report = check(loss, PARAMETERS, backward("mean"), mute=("CR115",))
    assert report.ok and "CR115" not in str(report)


def test_a_function_that_cannot_be_called_with_the_arguments() -> None:
    def loss(W: Any, b: Any) -> Any:
        return ((W @ b) ** 2).sum()

    def by_hand(W: Any, b: Any) -> Any:
        return 2 * np.outer(W @ b, b), 2 * W.T @ (W @ b)

    W, b = np.arange(6.0).reshape(3, 2), np.ones(2)
    assert check(loss, (W, b), by_hand).ok
    with pytest.raises(
        InputError, match=r"loss\(.*1 argument: missing.*a list, which is one argument.*\(W, b\)"
    ):
        check(loss, [W, b], by_hand)
    with pytest.raises(InputError, match=r"\(b\) cannot be called with 2 arguments: too many"):
        check(loss, (W, b), lambda b: b)


def test_a_parameter_of_ones_is_moved_to_other_points() -> None:
    def cubes(w: Any) -> Any:
        return (w**3).sum()

    wrong = check(cubes, (np.ones(3),), lambda w: 3 * w)
    right = check(cubes, (np.ones(3),), lambda w: 3 * w**2)
    assert (wrong.ok, right.ok) == (False, True)
    assert not right.notes
