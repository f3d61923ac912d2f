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
