"""The page of mistakes is what the catalogue and the runs of its examples say. `LISTINGS_WRITE=1` renews it."""

import os
from pathlib import Path

import pytest
from diagnosis.worked import EXAMPLES, PROGRAMS, Example, page, reported

from chainrule.diagnosis.mistakes import CATALOGUE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "why-is-my-gradient-wrong.md"
WITHOUT = {"CR000", "CR005", "CR009", "CR010", "CR092", "CR131"}
"""Codes that have no example: right without a remark or within a precision, and what no single line shows."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.code)
def test_an_example_is_what_its_code_says(example: Example) -> None:
    report = reported(example)
    found = {code for f in report.findings for code in f.code.split("+")}
    assert example.code in found
    assert found - {example.code} <= {"CR000", "CR001"}, "one line, one mistake"
    assert all(
        f.error_after is not None and f.error_after < 1e-8 for f in report.findings if f.verdict == "wrong"
    ) or example.code in ("CR304", "CR204", "CR205")  # shapes and movements are seen, not corrected


@pytest.mark.parametrize("key", [k for k in PROGRAMS if k not in ("kink",)])
def test_the_programs_are_right_without_a_wrong_line(key: str) -> None:
    report = reported(Example("", key, "", ""))
    assert {f.verdict for f in report.findings} == {"correct"}


def test_every_code_has_an_example() -> None:
    assert {e.code for e in EXAMPLES} | WITHOUT >= CATALOGUE.keys()
    assert len({e.code for e in EXAMPLES}) == len(EXAMPLES)


def test_the_page_is_what_the_examples_say() -> None:
    wanted = page()
    if os.environ.get("LISTINGS_WRITE"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == wanted
