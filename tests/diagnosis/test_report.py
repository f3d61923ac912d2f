"""Reports as text, HTML and JSON."""

import json
from typing import Any

import numpy as np

from chainrule.diagnosis import Finding, Report, check


def loss(W: Any) -> Any:
    return np.sum(np.tanh(W) ** 2)


def report() -> Report:
    W = np.array([[0.1, 0.2], [0.3, -0.4]])
    return check(loss, (W,), (2 * np.tanh(W),))


def test_the_text_names_parameter_code_proof_and_correction() -> None:
    text = str(report())
    first, sentence, *rest = text.splitlines()
    assert first.startswith("✗ W: CR101 missing activation derivative   relative error 0.1")
    assert "when corrected" in first
    assert sentence.strip() == "In the gradient of W: the derivative of the tanh at `np.tanh(W)` is missing."
    assert any("d_W = " in line for line in rest)


def test_json_has_all_fields() -> None:
    content = json.loads(report().to_json())
    assert content["ok"] is False
    (finding,) = content["findings"]
    assert finding["parameter"] == "W" and finding["code"] == "CR101" and finding["error_after"] < 1e-8


def test_html_shows_the_same_and_is_escaped() -> None:
    finding = Finding("W", "CR111", "wrong operand", "X < Y & Z", "wrong", 0.5, 1e-16, "d_W = X.T @ (A < 0)")
    shown = Report([finding])._repr_html_()
    assert shown.startswith("<table") and "<b>CR111</b>" in shown
    assert "X &lt; Y &amp; Z" in shown and "(A &lt; 0)" in shown and "X < Y" not in shown
    assert "<b>CR101</b>" in report()._repr_html_()


def test_a_right_report_is_short() -> None:
    W = np.array([0.5])
    assert str(check(loss, (W,), (2 * np.tanh(W) * (1 - np.tanh(W) ** 2),))) == "✓ W: CR000 correct"


def finding(parameter: str, correction: str | None, error: float = 1.0, code: str = "CR105") -> Finding:
    said = f"In the gradient of {parameter}: a factor is lost."
    return Finding(parameter, code, "part lost", said, "wrong", error, error / 1e9, correction)


def test_one_mistake_in_several_gradients_is_said_once() -> None:
    findings = [
        finding("W1", "d_Z = P - Y\nd_W1 = X.T @ d_Z"),
        Finding("b", "CR000", "correct", "", "correct", 0.0),
        finding("b1", "d_Z = P - Y\nd_b1 = np.sum(d_Z)", 3.0),
        finding("W2", "d_W2 = 1", code="CR104"),
    ]
    report = Report(findings)
    assert str(report).splitlines() == [
        "✗ W1, b1: CR105 part lost   relative error 3 → 3e-09 when corrected",
        "    In the gradients of W1 and b1: a factor is lost.",
        "        d_Z = P - Y",
        "        d_W1 = X.T @ d_Z",
        "        d_b1 = np.sum(d_Z)",
        "✓ b: CR000 correct",
        "✗ W2: CR104 part lost   relative error 1 → 1e-09 when corrected",
        "    In the gradient of W2: a factor is lost.",
        "        d_W2 = 1",
    ]
    assert "<code>W1, b1</code>" in report._repr_html_()
    assert [f["parameter"] for f in json.loads(report.to_json())["findings"]] == ["W1", "b", "b1", "W2"]


def test_corrections_that_use_a_name_for_different_values_stay_apart() -> None:
    text = str(Report([finding("a", "d = 1\nd_a = d"), finding("b", "d = 2\nd_b = d")]))
    assert [line.strip() for line in text.splitlines()[2:]] == ["d = 1", "d_a = d", "d = 2", "d_b = d"]


def test_long_sentences_are_wrapped() -> None:
    long = Finding("W", "CR199", "unknown", "word " * 60, "unknown", 0.5)
    assert max(map(len, str(Report([long], notes=("note " * 50,))).splitlines())) <= 116
