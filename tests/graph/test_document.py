"""The page about derivations shows what its examples print. `LISTINGS_WRITE=1` renews it."""

import contextlib
import io
import os
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "derive.md"
EXAMPLE = re.compile(r"```python\n(.*?)```\n(\n```text\n(.*?)```\n)?", re.DOTALL)


def shown(page: str) -> str:
    """The page with what its examples print in the blocks below them."""
    names = {"__name__": "__main__"}

    def renewed(example: re.Match[str]) -> str:
        printed = io.StringIO()
        above = page.count("\n", 0, example.start(1))
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * above + example[1], str(PAGE), "exec"), names)
        return example[0].replace(example[3], printed.getvalue()) if example[2] else example[0]

    return EXAMPLE.sub(renewed, page)


def test_the_page_shows_what_its_examples_print() -> None:
    page = PAGE.read_text(encoding="utf-8")
    wanted = shown(page).replace(f"{PAGE}", PAGE.name)
    if os.environ.get("LISTINGS_WRITE"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert len(EXAMPLE.findall(page)) >= 8
    assert page == wanted
