"""What went wrong in a cell, in the words of the person who wrote it."""

from __future__ import annotations

import linecache
import traceback
from dataclasses import dataclass
from pathlib import Path

from chainrule.programs.cells import Cell, Program

_PACKAGES = {
    "cv2": "opencv-python",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Modules whose package has another name."""


@dataclass(frozen=True)
class Failure:
    """An exception that ended a cell: a sentence, the program's own lines that led to it, and itself."""

    message: str
    lines: tuple[str, ...]
    error: BaseException

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  at {line}" for line in self.lines)])


def failure_of(error: BaseException, cell: Cell, program: Program) -> Failure:
    """Describe an exception by the lines of the program that it passed through."""
    places = [
        _place(frame.filename, frame.lineno or 0, program)
        for frame in traceback.extract_tb(error.__traceback__)
        if program.owns(frame.filename)
    ]
    if isinstance(error, SyntaxError) and error.filename == cell.name:
        places.append(_place(cell.name, error.lineno or 0, program))
    kind = type(error).__name__
    return Failure(f"{_where(cell, program)}: {kind}: {_explained(error, program)}", tuple(places), error)


def _place(file: str, line: int, program: Program) -> str:
    return f"{_name(file, program)}, line {line}: {linecache.getline(file, line).strip()}"


def _where(cell: Cell, program: Program) -> str:
    return cell.name if program.is_notebook else program.path.name


def _name(file: str, program: Program) -> str:
    return file if program.is_notebook and ", cell " in file else Path(file).name


def _explained(error: BaseException, program: Program) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    if isinstance(error, ModuleNotFoundError) and error.name and "which answers for" not in text:
        module = error.name.partition(".")[0]
        package = _PACKAGES.get(module, module)
        return f"{text}; the program needs it. Install it with: python -m pip install {package}"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no file {str(error.filename)!r}; the program was run in {program.folder}"
    return text
