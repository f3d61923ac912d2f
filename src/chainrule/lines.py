"""Which line of the user's program is being executed."""

from __future__ import annotations

import linecache
import os
import sys
from itertools import islice
from opcode import opmap
from pathlib import Path
from types import CodeType, FrameType
from typing import TypeAlias

import numpy as np

Place: TypeAlias = tuple[CodeType, int]
"""A code object and the offset of an instruction in it: cheap to note, resolved only when asked for."""

_own: dict[str, bool] = {}
_inside = tuple(str(Path(module).parent) + os.sep for module in (__file__, np.__file__))
"""This package, and NumPy, which calls us back: neither is the user's program."""


def place(frame: FrameType) -> Place:
    """The innermost instruction outside this package and NumPy, from `frame` up."""
    while True:
        code = frame.f_code
        own = _own.get(code.co_filename)
        if own is None:
            own = _own[code.co_filename] = code.co_filename.startswith(_inside)
        above = frame.f_back
        if not own or above is None:
            return code, frame.f_lasti
        frame = above


def is_own(file: str) -> bool:
    """Whether a file is this package's or NumPy's.

    >>> is_own(np.__file__), is_own("model.py")
    (True, False)
    """
    return file.startswith(_inside)


def stores_an_element(frame: FrameType) -> bool:
    """Whether `frame` is executing an assignment like ``a[i] = v``."""
    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == opmap["STORE_SUBSCR"]


def here() -> str:
    """The user's line that is being executed, as it appears in messages."""
    return described_place(place(sys._getframe(1)))


def position(where: Place) -> tuple[str, int, int]:
    """File, line and column of a place; lines from 1, columns from 0."""
    code, instruction = where
    line, _, column, _ = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    return code.co_filename, line or code.co_firstlineno, column or 0


def described_place(where: Place) -> str:
    """A place as it appears in messages: file, line, and the text of the line where it can be read.

    >>> described_place((compile("x = 1", "typed-in", "exec"), 0))
    'typed-in, line 1'
    """
    file, line, _ = position(where)
    text = linecache.getline(file, line).strip()
    return f"{file}, line {line}" + (f": {text}" if text else "")
