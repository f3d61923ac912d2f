"""`z.backward` without parentheses names a method and calls nothing.

Where a notebook says so and its stored output comes from a call, the notebook is run once more with the
call made: if the output is then the stored one, that explains the difference.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from chainrule.programs.cells import Cell, Program
from chainrule.programs.execution import Outcome


def uncalled_methods(outcomes: list[Outcome]) -> list[tuple[Cell, str]]:
    """The cells that end by naming a method, with that expression."""
    found = []
    for outcome in outcomes:
        expression = _last_attribute(outcome.cell.source)
        if expression is not None and outcome.output.text.startswith("<bound method"):
            found.append((outcome.cell, expression))
    return found


def _last_attribute(source: str) -> str | None:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return None
    last = body[-1] if body else None
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Attribute):
        return ast.unparse(last.value)
    return None


def with_call(program: Program, cell: Cell, expression: str) -> Program:
    """The program with the method called.

    >>> from pathlib import Path
    >>> cell = Cell(1, "z.backward", "a.ipynb, cell 1")
    >>> with_call(Program(Path("a.ipynb"), (cell,)), cell, "z.backward").cells[0].source
    'z.backward()'
    """
    called = replace(cell, source=f"{expression}()".join(cell.source.rsplit(expression, 1)))
    return replace(program, cells=tuple(called if other is cell else other for other in program.cells))
