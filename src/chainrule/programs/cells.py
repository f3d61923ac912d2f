"""A program as a sequence of cells: a notebook's, or the one cell that a script is."""

from __future__ import annotations

import json
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.errors import ProgramError


@dataclass(frozen=True)
class Cell:
    """A piece of code, where it stands, and the output that is stored with it.

    `number` is the number that Jupyter shows when the cells are run from the top. `stored` is the text that
    an earlier run printed and showed; None where the notebook keeps nothing of an earlier run.
    """

    number: int
    source: str
    name: str
    stored: str | None = None


@dataclass(frozen=True)
class Program:
    """A file of cells."""

    path: Path
    cells: tuple[Cell, ...]

    @property
    def is_notebook(self) -> bool:
        """Whether cells show the value of their last expression, as Jupyter's do."""
        return self.path.suffix == ".ipynb"

    @property
    def folder(self) -> Path:
        """The folder that the program runs in."""
        return self.path.resolve().parent

    def owns(self, file: str) -> bool:
        """Whether code in `file` is the program's: a cell, or a module in its folder that is not installed there."""
        if file in {cell.name for cell in self.cells}:
            return True
        if not Path(file).is_absolute():
            return False  # such as "<string>"
        path = Path(file).resolve()
        libraries = (sys.prefix, sys.base_prefix, Path(__file__).resolve().parent.parent)
        return path.is_relative_to(self.folder) and not any(path.is_relative_to(place) for place in libraries)


def read_program(path: str | Path) -> Program:
    """Read a `.py` or `.ipynb` file. Raises ProgramError where it cannot be read as one."""
    path = Path(path)
    if path.suffix not in (".py", ".ipynb"):
        raise ProgramError(f"{path} is neither a program (.py) nor a notebook (.ipynb)")
    try:
        cells = _notebook_cells(path) if path.suffix == ".ipynb" else (_script(path),)
    except FileNotFoundError:
        raise ProgramError(f"there is no file {path}") from None
    except OSError as error:
        raise ProgramError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, SyntaxError) as error:
        raise ProgramError(f"{path} is no text in its encoding: {error}") from None
    return Program(path, cells)


def _script(path: Path) -> Cell:
    with tokenize.open(path) as file:  # heeds a declared encoding
        return Cell(1, file.read(), str(path.resolve()))


def _notebook_cells(path: Path) -> tuple[Cell, ...]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ProgramError(
            f"{path} is no notebook: it is not JSON, at line {error.lineno}, column {error.colno} "
            f"({error.msg})"
        ) from None
    cells = notebook.get("cells", notebook.get("worksheets")) if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ProgramError(f"{path} is JSON, but no notebook: it has no list of cells")
    if "cells" not in notebook:
        raise ProgramError(
            f"{path} is a notebook of an old format; convert it with: "
            f"jupyter nbconvert --to notebook {path.name}"
        )
    code = [cell for cell in map(_checked(path), cells) if cell["cell_type"] == "code"]
    return tuple(
        Cell(number, _text(cell["source"]), f"{path.name}, cell {number}", _stored(cell))
        for number, cell in enumerate(code, 1)
    )


def _checked(path: Path) -> Any:
    def checked(cell: Any) -> dict[str, Any]:
        if not isinstance(cell, dict) or not {"cell_type", "source"} <= cell.keys():
            raise ProgramError(f"{path} is no notebook: one of its cells lacks a type or a source")
        return cell

    return checked


def _text(lines: Any) -> str:
    r"""The format allows a text or a list of lines.

    >>> _text(["x = 1\n", "x"])
    'x = 1\nx'
    """
    return lines if isinstance(lines, str) else "".join(lines)


def _stored(cell: dict[str, Any]) -> str | None:
    """What a cell's stored outputs say as text; what went to stderr is left out."""
    outputs = cell.get("outputs") or []
    if not outputs and cell.get("execution_count") is None:
        return None
    return "\n".join(part for part in map(_output_text, outputs) if part)


def _output_text(output: dict[str, Any]) -> str:
    if output.get("output_type") == "stream":
        return _text(output.get("text", "")) if output.get("name") != "stderr" else ""
    data = output.get("data", {})
    return "" if "image/png" in data else _text(data.get("text/plain", ""))
