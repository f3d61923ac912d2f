"""The notebooks in examples/ run from first to last cell and print what is stored in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from chainrule.cli import main

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_is_stored_in_it(notebook: Path) -> None:
    done = CliRunner().invoke(main, ["run", "--compare", str(notebook)])
    assert done.exit_code == 0, done.output
    assert ", 0 different" in done.output


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 5
