"""docs/check.md shows what its examples print. `LISTINGS_WRITE=1` renews it."""

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest

from chainrule.errors import GradientMismatch

PAGE = Path(__file__).resolve().parents[2] / "docs" / "check.md"
EXAMPLE = re.compile(r"```python\n(.*?)```\n(\n```text\n(.*?)```\n)?", re.DOTALL)
SMALL = re.compile(r"→ (?:0|\d(?:\.\d+)?e-\d\d) when")


def shown(page: str, names: dict[str, Any]) -> str:
    """The page with what its examples print below them."""

    def renewed(example: re.Match[str]) -> str:
        printed = io.StringIO()
        above = page.count("\n", 0, example.start(1))
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * above + example[1], str(PAGE), "exec"), names)
        if not example[2]:
            return example[0]
        start = example.start(3) - example.start(0)
        return example[0][:start] + printed.getvalue() + example[0][example.end(3) - example.start(0) :]

    return EXAMPLE.sub(renewed, page)


def test_the_page_shows_what_its_examples_print() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    wanted = shown(page, names)
    if os.environ.get("LISTINGS_WRITE"):
        PAGE.write_text(wanted, encoding="utf-8")
        page = wanted
    assert len(EXAMPLE.findall(page)) == 6
    assert SMALL.sub("→ 0 when", page) == SMALL.sub("→ 0 when", wanted)
    with pytest.raises(GradientMismatch, match="CR105"):
        names["test_my_gradient"]()
