"""What a function finds outside of its arguments: arrays and numbers in its globals, closures, and objects there.

A trace fixes them. So that a compiled function gives what the function itself would give, it looks whether the names
still stand for the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from chainrule.tensor import Tensor

_LIBRARIES = (str(Path(__file__).parent.parent), str(Path(np.__file__).parent))
_WATCHED = (np.ndarray, np.generic, Tensor, bool, int, float)
_OWN = ("chainrule", "numpy", "builtins")
MOST = 2000
"""So many names are watched; more would cost a call too much."""


class Name(NamedTuple):
    """A place outside of a function, and what was there: a variable, an element of a container, an attribute.

    `text` is how it is read from `owner`: `['rate']`, `.cell_contents`, `[0]`.
    """

    owner: Any
    text: str
    value: Any

    @property
    def place(self) -> tuple[int, str]:
        """The place, whatever is there."""
        return id(self.owner), self.text

    @property
    def now(self) -> Any:
        """What is there now; the class itself if nothing."""
        try:
            return _read(self.owner, self.text)
        except (KeyError, IndexError, AttributeError, ValueError):
            return Name


def _read(owner: Any, text: str) -> Any:
    return eval(f"owner{text}", {"owner": owner})


def names_outside(f: Callable[..., Any], *objects: Any) -> list[Name]:
    """Where `f`, and the user's functions that it calls, find arrays and numbers outside, or in objects it is given.

    >>> rate, layers = 0.5, {"scale": 2.0}
    >>> [(n.text, n.value) for n in names_outside(lambda x: x * rate * layers["scale"])]
    [("['rate']", 0.5), ("['layers']", {'scale': 2.0}), ("['scale']", 2.0)]
    """
    found: list[Name] = []
    seen: set[int] = set()
    _collect(f, found, seen)
    for each in objects:
        _within(each, found, seen)
    return found[:MOST]


def _collect(f: Any, found: list[Name], seen: set[int]) -> None:
    """The names of a function, of what it wraps, and of the object that it is a method of."""
    if id(f) in seen or len(found) > MOST:
        return
    seen.add(id(f))
    if hasattr(f, "__wrapped__"):
        _collect(f.__wrapped__, found, seen)
    if hasattr(f, "__func__"):
        _within(f.__self__, found, seen)
        f = f.__func__
    if not isinstance(f, FunctionType):
        seen.discard(id(f))
        _within(f, found, seen)
        return
    library = f.__code__.co_filename.startswith(_LIBRARIES)
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        if not library or name == "f":
            _note(cell, ".cell_contents", found, seen)
    for name in [] if library else dict.fromkeys(_names(f.__code__)):
        if name in f.__globals__:
            _note(f.__globals__, f"[{name!r}]", found, seen)


def _note(owner: dict[str, Any] | CellType | Any, text: str, found: list[Name], seen: set[int]) -> None:
    """Watch a place, and what is inside of what is there."""
    name = Name(owner, text, None)
    value = name.now
    name = name._replace(value=value)
    if isinstance(value, _WATCHED):
        found.append(name)
        if isinstance(value, Tensor):
            found.append(Name(value, "._data", value._data))
    elif isinstance(value, FunctionType) or hasattr(value, "__func__"):
        _collect(value, found, seen)
    elif not isinstance(value, (ModuleType, type)) and value is not Name:
        before = len(found)
        _within(value, found, seen)
        if len(found) > before:
            found.insert(before, name)


def _within(value: Any, found: list[Name], seen: set[int]) -> None:
    """Watch what is in a container or an object."""
    if id(value) in seen or len(found) > MOST:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        plain = [key for key in value if isinstance(key, (str, int))]
        for key in plain:
            _note(value, f"[{key!r}]", found, seen)
    elif isinstance(value, (list, tuple)):
        for i in range(len(value)):
            _note(value, f"[{i}]", found, seen)
    elif hasattr(value, "__dict__") or _slots(value):
        _within_object(value, found, seen)


def _within_object(value: Any, found: list[Name], seen: set[int]) -> None:
    """Watch the attributes of an object, and what its methods find outside."""
    if hasattr(value, "__wrapped__"):
        _collect(value.__wrapped__, found, seen)
    for key in [*getattr(value, "__dict__", ()), *_slots(value)]:
        _note(value, f".{key}" if key.isidentifier() else f".__dict__[{key!r}]", found, seen)
    for method in [m for kind in type(value).__mro__ for m in vars(kind).values()]:
        if isinstance(method, FunctionType):
            _collect(method, found, seen)


def _slots(value: Any) -> list[str]:
    """The attributes of an object of the user's that are in no dict."""
    found = []
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ()) if kind.__module__.split(".")[0] not in _OWN else ()
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            found.append(f"_{kind.__name__.lstrip('_')}{name}" if private else name)
    return [name for name in found if hasattr(value, name)]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
