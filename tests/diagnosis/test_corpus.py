"""The corpus is right, its mutants are wrong, and `check` tells them apart. `score.py` measures all of it."""

import ast
import inspect
import re
from typing import Any

import numpy as np
import pytest
from diagnosis import judging, planting, score, variants
from diagnosis.corpus import NETWORKS, Draw, Network, Planted
from diagnosis.mutations import OPERATORS
from diagnosis.planting import Program, distance, gradients, named, singles

import chainrule as cr
from chainrule.diagnosis.mistakes import CATALOGUE
from chainrule.trees import leaves

each_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
BY_NAME = {n.name: n for n in NETWORKS}


def moved(network: Network, args: Any, directions: dict[str, Any], step: float) -> float:
    for path, direction in directions.items():
        args = variants.replaced(args, path, dict(leaves(args))[path] + step * direction)
    return float(network.loss(*args))


# the networks ------------------------------------------------------------------------------------------------


def test_names_are_distinct() -> None:
    assert len(BY_NAME) == len(NETWORKS) >= 18


@each_network
@pytest.mark.parametrize("square", [False, True])
def test_the_hand_written_gradients_are_those_of_the_engine(network: Network, square: bool) -> None:
    for seed in range(3):
        args = network.arguments(seed, square)
        truth = named(cr.grad(network.loss, tuple(range(network.parameters)))(*args))
        for backward in (network.backward, *network.rewritten):
            found = named(network.claims(backward, args))
            assert found.keys() == truth.keys()
            assert max(distance(found[p], truth[p]) for p in truth) < 1e-9, backward.__name__


@each_network
def test_the_hand_written_gradients_are_those_of_central_differences(network: Network) -> None:
    rng = np.random.default_rng(5)
    args = network.arguments(3)
    found = named(network.claims(network.backward, args))
    for _ in range(3):
        directions = {path: rng.normal(size=value.shape) for path, value in found.items()}
        step = 1e-5
        quotient = (moved(network, args, directions, step) - moved(network, args, directions, -step)) / (
            2 * step
        )
        slope = sum(float((found[path] * directions[path]).sum()) for path in found)
        assert quotient == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_a_square_draw_has_one_size() -> None:
    draw = Draw(0, square=True)
    assert len({draw.size(), draw.size(7, 9), draw.size(2, 2)}) == 1
    assert {Draw(s).size(2, 4) for s in range(30)} == {2, 3, 4}


# the generator -----------------------------------------------------------------------------------------------


def one_layer_loss(W: Any, b: Any, X: Any, Y: Any) -> Any:
    A = 1 / (1 + np.exp(-(X @ W + b)))
    return 0.5 * ((A - Y) ** 2).sum()


def one_layer_backward(W: Any, b: Any, X: Any, Y: Any) -> Any:
    Z = X @ W + b
    A = 1 / (1 + np.exp(-Z))
    # backward
    dZ = (A - Y) * A * (1 - A)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
    return dW, db


def one_layer_draw(draw: Draw) -> Any:
    n, m, k = draw.size(4, 7), draw.size(2, 3), draw.size(2, 3)
    return draw.normal(m, k), draw.normal(k), draw.normal(n, m), draw.bits(n, k)


ONE_LAYER = Network(
    "one layer", one_layer_loss, one_layer_backward, one_layer_draw, 2, activations={"A": "Z"},
    planted=(Planted("CR119", "A - Y", "np.sign(A - Y)"),),
)  # fmt: skip


def lines(mutant: planting.Mutant) -> list[str]:
    """The lines of a mutant that the original has not."""
    original = ast.unparse(Program(mutant.network).tree).splitlines()
    return [line.strip() for line in mutant.source.splitlines() if line not in original]


@pytest.mark.parametrize(
    ("operator", "code", "line"),
    [
        ("factor_left_out", "CR101", "dZ = A - Y"),
        ("factor_left_out", "CR105", "dZ = (A - Y) * (1 - A)"),
        ("factor_left_out", "CR105", "dZ = (A - Y) * A"),
        ("derivative_at_another_value", "CR103", "dZ = (A - Y) * Z * (1 - Z)"),
        ("factor_too_many", "CR102", "dZ = (A - Y) * A * (1 - A) * A"),
        ("sign", "CR107", "dW = -(X.T @ dZ)"),
        ("constant_factor", "CR108", "db = dZ.sum(axis=0) * 2"),
        ("sum_over_the_batch", "CR115", "db = np.mean(dZ, axis=0)"),
        ("result_transposed", "CR109", "dW = (X.T @ dZ).T"),
        ("transpose_forgotten", "CR110", "dW = X @ dZ"),
        ("elementwise_product", "CR112", "dW = X.T * dZ"),
        ("sum_over_the_batch", "CR114", "db = np.sum(dZ, axis=1)"),
        ("planted", "CR119", "dZ = np.sign(A - Y) * A * (1 - A)"),
    ],
)
def test_an_operator_writes_its_mistake(operator: str, code: str, line: str) -> None:
    found = [m for m in singles(ONE_LAYER) if m.operator == operator and lines(m) == [line]]
    assert len(found) == 1
    assert all(code in codes for codes in found[0].codes.values())


def test_only_the_gradients_that_are_wrong_have_codes() -> None:
    (only_b,) = (m for m in singles(ONE_LAYER) if lines(m) == ["db = dZ.sum(axis=0) * 2"])
    assert only_b.codes == {"[1]": frozenset({"CR108"})}


def test_one_factor_on_all_gradients_is_a_convention() -> None:
    (ascent,) = (m for m in singles(ONE_LAYER) if lines(m) == ["dZ = -((A - Y) * A * (1 - A))"])
    (twice,) = (m for m in singles(ONE_LAYER) if lines(m) == ["dZ = (A - Y) * A * (1 - A) * 2"])
    assert set(ascent.codes.values()) == {frozenset({"CR004"})}
    assert set(twice.codes.values()) == {frozenset({"CR002", "CR003"})}


def test_the_forward_part_stays_as_it_is() -> None:
    for mutant in singles(ONE_LAYER):
        assert "Z = X @ W + b" in mutant.source and "A = 1 / (1 + np.exp(-Z))" in mutant.source


def test_shapes_that_are_wrong_are_mutants_of_their_own() -> None:
    found = {tuple(lines(m)): m for m in planting.misshapen(ONE_LAYER)}
    unsummed = found[("db = dZ",)]
    assert {"CR113", "CR302"} <= unsummed.codes["[1]"]
    assert not any("CR302" in codes for m in singles(ONE_LAYER) for codes in m.codes.values())


def test_a_planted_text_that_is_not_there_is_refused() -> None:
    network = Network(
        "x", one_layer_loss, one_layer_backward, one_layer_draw, 2, planted=(Planted("CR1", "q", "r"),)
    )
    with pytest.raises(ValueError, match="no 'q' in the backward pass"):
        singles(network)


@each_network
def test_every_planted_mistake_is_wrong(network: Network) -> None:
    program = Program(network)
    planted = list(program.planted())
    assert len(planted) == len(network.planted)
    assert len(list(planting.valid(program, planted))) == len(planted)


def test_every_operator_finds_something_and_names_it_by_the_catalogue() -> None:
    edits = [edit for network in NETWORKS for edit in Program(network).edits()]
    codes = {code for edit in edits for code in edit.codes}
    assert {edit.operator for edit in edits} == {*OPERATORS, "planted"}
    assert codes <= set(CATALOGUE) and len(codes) >= 32


@each_network
def test_mutants_are_wrong_and_their_source_can_be_read(network: Network) -> None:
    for mutant in singles(network, limit=1):
        args = network.arguments(77, mutant.square)
        truth, found = (
            named(network.claims(network.backward, args)),
            gradients(network, mutant.backward, args),
        )
        assert found is not None
        errors = {path: distance(found[path], truth[path]) for path in truth}
        assert all(errors[path] < 1e-9 for path in truth if path not in mutant.codes)
        assert any(errors[path] > 1e-9 for path in mutant.codes)
        assert inspect.getsource(mutant.backward).startswith(f"def {network.backward.__name__}")


def test_pairs_are_two_mistakes_at_different_lines() -> None:
    found = planting.pairs(BY_NAME["residual block"], 6)
    assert len(found) == 6
    for mutant in found:
        one, other = mutant.edits
        assert one.line != other.line
        planted = one.codes | other.codes | {"CR002", "CR003", "CR004"}
        assert all(codes <= planted for codes in mutant.codes.values())


# right gradients in other words --------------------------------------------------------------------------------


@each_network
def test_variants_are_right(network: Network) -> None:
    found = list(variants.variants(network))
    assert len(found) >= 12
    for variant in found:
        args = network.arguments(8)
        true_parts, parts = (named(network.claims(f, args)) for f in (network.backward, variant.backward))
        truth = np.concatenate([true_parts[path].ravel() for path in true_parts])
        claimed = np.concatenate([parts[path].ravel() for path in true_parts])
        if variant.convention:
            claimed = claimed * float(truth @ truth) / float(truth @ claimed)
        least = 1e-4 if "single precision" in variant.words else 1e-8
        assert distance(claimed, truth) < least, variant.words


# what check says of them -----------------------------------------------------------------------------------------

QUICK = ("logistic regression", "two layers, sigmoid, squared error", "batch normalisation, in one formula")


@pytest.mark.parametrize("name", QUICK)
def test_right_gradients_are_never_called_wrong(name: str) -> None:
    network = BY_NAME[name]
    for variant in variants.variants(network):
        row = judging.judged_variant(network, variant, network.arguments(4), "data", variant.words)
        assert row.outcome == "right", row


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("style", ["data", "closed"])
def test_a_sample_of_mistakes_is_named(name: str, style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "SECONDS", 3.0)
    rows = [
        judging.judged_mutant(m, 5, style, m.words, "single") for m in singles(BY_NAME[name], limit=1, seed=1)
    ]
    named_, right = score.shares(rows)
    assert not [r for r in rows if r.alarms]
    assert named_ >= 0.9 and right >= 0.95, [r for r in rows if r.outcome not in ("planted", "equivalent")]


# the score ---------------------------------------------------------------------------------------------------------


def row(outcome: str, kind: str = "single", alarms: tuple[str, ...] = ()) -> judging.Row:
    return judging.Row("a", kind, "CR101", "words", "operator", outcome, "said", alarms, 0.1, "command")


def test_shares_count_what_was_named_and_what_was_right() -> None:
    rows = [
        row(o) for o in ("planted", "equivalent", "wrong", "silent", "undecided", "error", "error", "error")
    ]
    assert score.shares(rows) == (0.5, 0.5)


def test_the_score_fails_where_it_must() -> None:
    good = [row("planted")] * 100
    assert score.failures({"single": good}) == []
    assert re.search(
        "single: 90.0% named", score.failures({"single": good[:90] + [row("undecided")] * 10})[0]
    )
    assert re.search("90.0% of these right", score.failures({"single": good[:90] + [row("wrong")] * 10})[0])
    assert score.failures({"pair": [row("planted", "pair")] * 70 + [row("undecided", "pair")] * 30}) == []
    assert "1 false alarms" in score.failures({"variant": [row("alarm", "variant", ("W",))]})[0]


def test_a_diagnosis_without_proof_is_not_right() -> None:
    said = judging.Verdict("wrong", frozenset({"CR101"}), proved=False)
    assert judging.ruled({"W": said}, {"W": frozenset({"CR101"})}) == "unproved"
    assert score.shares([row("unproved"), row("planted")]) == (1.0, 0.5)


def verdicts(**given: tuple[str, str]) -> dict[str, judging.Verdict]:
    return {k: judging.Verdict(v, frozenset(c.split("+")), True) for k, (v, c) in given.items()}


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (("wrong", "CR101"), "planted"), (("wrong", "CR102"), "named"), (("wrong", "CR101+CR107"), "named"),
        (("unknown", "CR199"), "undecided"), (("undecided", "CR092"), "undecided"), (("correct", "CR000"), "silent"),
    ],
)  # fmt: skip
def test_a_report_is_ruled_by_its_worst_parameter(said: tuple[str, str], outcome: str) -> None:
    wrong = {"W": frozenset({"CR101"}), "b": frozenset({"CR108"})}
    assert judging.ruled(verdicts(W=said, b=("wrong", "CR108")), wrong) == outcome


def test_no_answer_for_a_wrong_parameter_is_silence() -> None:
    assert judging.ruled({}, {"W": frozenset({"CR101"})}) == "silent"
