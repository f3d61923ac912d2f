"""What a function finds outside of its arguments: the arrays and numbers in its globals and closures.

A trace fixes them. So that a compiled function gives what the function itself would give, it looks whether the names
still stand for the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np

from chainrule.tensor import Tensor

_WATCHED = (np.ndarray, np.generic, Tensor, bool, int, float)


class Name:
    """A name of a global variable, or the cell of a closure, and what it stood for."""

    __slots__ = ("cell", "name", "scope", "value")

    def __init__(self, scope: dict[str, Any] | None, name: str, cell: CellType | None, value: Any) -> None:
        self.scope, self.name, self.cell, self.value = scope, name, cell, value

    @property
    def now(self) -> Any:
        """What it stands for now; the class itself if nothing."""
        if self.scope is not None:
            return self.scope.get(self.name, Name)
        try:
            return self.cell.cell_contents  # type: ignore[union-attr]
        except ValueError:
            return Name


def names_outside(f: Callable[..., Any]) -> list[Name]:
    """The names of arrays and numbers that `f`, and the user's functions that it calls, find outside.

    >>> rate = 0.5
    >>> [(n.name, n.value) for n in names_outside(lambda x: x * rate)]
    [('rate', 0.5)]
    """
    found: list[Name] = []
    _collect(f, found, set())
    return found


def _collect(f: Any, found: list[Name], seen: set[int]) -> None:
    if id(f) in seen:
        return
    seen.add(id(f))
    inner = getattr(f, "__wrapped__", None)
    if inner is not None:
        _collect(inner, found, seen)
    if hasattr(f, "__func__"):
        f = f.__func__
    if not isinstance(f, FunctionType):
        return
    library = f.__module__ is not None and f.__module__.partition(".")[0] in ("chainrule", "numpy")
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        if not library or name == "f":
            _note(Name(None, name, cell, None), found, seen)
    for name in [] if library else dict.fromkeys(_names(f.__code__)):
        if name in f.__globals__:
            _note(Name(f.__globals__, name, None, None), found, seen)


def _note(name: Name, found: list[Name], seen: set[int]) -> None:
    name.value = name.now
    if isinstance(name.value, _WATCHED):
        found.append(name)
    elif callable(name.value):
        _collect(name.value, found, seen)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
