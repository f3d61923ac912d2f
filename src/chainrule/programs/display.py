"""How a cell shows a value, and how the program's output is collected."""

from __future__ import annotations

import io
from collections.abc import Callable
from pprint import pformat
from typing import Any


class Output(io.TextIOBase):
    """What a cell prints and shows. It stands for `sys.stdout` while the cell runs.

    A data frame is also noted as comma-separated text, the form in which some exported notebooks keep it.
    """

    encoding = "utf-8"

    def __init__(self, echo: Callable[[str], None] | None = None) -> None:
        self.parts: list[str] = []
        self.tables: dict[int, str] = {}
        self.echo = echo

    @classmethod
    def of(cls, text: str) -> Output:
        """The output of a cell that printed a text."""
        output = cls()
        output.write(text)
        return output

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Note a piece of output."""
        self.parts.append(text)
        if self.echo is not None:
            self.echo(text)
        return len(text)

    def show_all(self, *values: Any) -> None:
        """Note several values: the function `display`."""
        for value in values:
            self.show(value)

    def show(self, value: Any) -> None:
        """Note a value as Jupyter shows it."""
        if self.parts and not self.parts[-1].endswith("\n"):
            self.write("\n")
        if _is_table(value):
            self.tables[len(self.parts)] = value.to_csv()
        self.write(text_of(value) + "\n")

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.parts)

    @property
    def text_with_tables(self) -> str:
        """All of it, with data frames as comma-separated text."""
        return "".join(self.tables.get(i, part) for i, part in enumerate(self.parts))


def _is_table(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_csv")


def text_of(value: Any) -> str:
    """A value as Jupyter shows it: long lists, tuples and dicts over several lines.

    >>> text_of({"b": 1, "a": [2.0]})
    "{'b': 1, 'a': [2.0]}"
    """
    if type(value) in (dict, list, set, tuple):
        return pformat(value, sort_dicts=False)
    return repr(value)
