"""Module: an object that finds the variables in its attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule.tensorflow.tensors import Variable


class Module:
    """The base of models and layers; `trainable_variables` lists what is in its attributes, at any depth.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.w, self.b = Variable(1.0), Variable(0.0, trainable=False)
    >>> len(Line().variables), len(Line().trainable_variables)
    (2, 1)
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """The name; that of the class if none was given."""
        return getattr(self, "_name", None) or type(self).__name__.lower()

    @property
    def variables(self) -> list[Variable]:
        """All variables, each once."""
        return [part for part in parts_of(self) if isinstance(part, Variable)]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that are trained."""
        return [v for v in self.variables if v.trainable]

    @property
    def submodules(self) -> list[Module]:
        """The modules inside this one."""
        return [part for part in parts_of(self) if isinstance(part, Module) and part is not self]


def parts_of(root: Module) -> list[Any]:
    """The variables and modules in the attributes of a module, in the order in which they are met."""
    seen: dict[int, Any] = {}
    for part in _walk(root, seen):
        seen.setdefault(id(part), part)
    return [part for part in seen.values() if isinstance(part, (Variable, Module))]


def _walk(value: Any, seen: dict[int, Any]) -> Iterator[Any]:
    if id(value) in seen:
        return
    if isinstance(value, (Variable, Module)):
        yield value
    inner: Any = ()
    if isinstance(value, Module):
        seen[id(value)] = value
        inner = [part for name, part in vars(value).items() if name not in getattr(value, "_not_parts", ())]
    elif isinstance(value, (list, tuple)):
        inner = value
    elif isinstance(value, dict):
        inner = value.values()
    for part in inner:
        yield from _walk(part, seen)
