"""The account in colours, with rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chainrule.walkthrough.text import Line

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "title": "bold", "place": "dim italic", "number": "dim", "formula": "bold", "value": "cyan", "remark": "bold red",
}  # fmt: skip


def show(lines: Iterable[Line], console: Console | None = None) -> None:
    """Print lines in the styles of their segments; no line is broken, so that columns stay below each other."""
    from rich.console import Console
    from rich.text import Text

    console = Console() if console is None else console
    for line in lines:
        text = Text.assemble(*((part, STYLES.get(style, "")) for part, style in line))
        text.rstrip()
        console.print(text, soft_wrap=True, highlight=False)
