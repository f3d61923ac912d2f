"""What a function keeps outside of its arguments: parameters, which are read at each call, and what it changes.

A training step that calls `backward` and `optimizer.step()` changes parameters, the memory of the optimizer and
counters. Its graph is made pure: they are inputs more, their new values results more, and a call puts them back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import _getframe
from typing import Any

import numpy as np

from chainrule.compiled.surroundings import Name
from chainrule.errors import UnsupportedError
from chainrule.graph.ir import Graph, Variable
from chainrule.graph.rewriting import without_dead
from chainrule.graph.surroundings import Held
from chainrule.graph.tracing import Traced
from chainrule.lines import Place, place
from chainrule.tensor import Tensor


class AddedError(UnsupportedError):
    """A function stores something where nothing was before: the memory that an optimizer makes in its first step."""


class Kept:
    """A place outside of a function that is read before each call, and written after it if the function changes it."""

    def __init__(self, variable: Variable, where: Tensor | Held) -> None:
        self.variable, self.where = variable, where
        self.tensor = where if isinstance(where, Tensor) else None
        self.kind = type(self.read())

    def read(self) -> Any:
        """What is there now."""
        if self.tensor is not None:
            return self.tensor._data
        assert isinstance(self.where, Held)
        cell = getattr(self.where.container, "cell", None)
        return self.where.container[self.where.key] if cell is None else cell.cell_contents

    def write(self, value: Any, where: Place) -> None:
        """Put a new value there, of the type of the old one; `where` is the line that has it computed."""
        if self.tensor is not None:
            self.tensor._take(value, where)
        else:
            assert isinstance(self.where, Held)
            self.where.put(np.asarray(value) if issubclass(self.kind, np.ndarray) else self.kind(value))

    @property
    def fits(self) -> bool:
        """Whether what is there now has the shape and type that was compiled for."""
        value = self.read()
        return (
            type(value) is self.kind
            and np.shape(value) == self.variable.shape
            and getattr(value, "dtype", self.variable.dtype) == self.variable.dtype
        )

    def is_at(self, name: Name) -> bool:
        """Whether a watched name is this place."""
        if self.tensor is not None:
            return name.owner is self.tensor and name.text == "._data"
        assert isinstance(self.where, Held)
        return is_at(self.where, name)


def is_at(held: Held, name: Name) -> bool:
    """Whether a watched name is the place where something is held."""
    container, key = held.container, held.key
    if hasattr(container, "cell"):
        return name.owner is container.cell
    holder = name.owner if isinstance(name.owner, (dict, list)) else getattr(name.owner, "__dict__", None)
    return holder is container and name.text in (f"[{key!r}]", f".{key}", f".__dict__[{key!r}]")


class State:
    """All that a function keeps outside: `kept` is read, and `changed` of it is written."""

    def __init__(self, kept: Sequence[Kept], changed: Sequence[Kept]) -> None:
        self.kept, self.changed = tuple(kept), tuple(changed)

    def read(self) -> tuple[Any, ...]:
        """The values now."""
        return tuple([one.read() for one in self.kept])

    def copied(self) -> tuple[Any, ...]:
        """The values now, which nothing that is done in their memory changes."""
        return tuple([np.array(value) if isinstance(value, np.ndarray) else value for value in self.read()])

    def write(self, values: Sequence[Any]) -> None:
        """The new values of what is changed."""
        where = place(_getframe(1))
        for one, value in zip(self.changed, values, strict=True):
            one.write(value, where)

    def parameters(self) -> tuple[Any, ...]:
        """The arrays of the Tensors now."""
        return tuple([one.read() for one in self.kept if one.tensor is not None])

    def put(self, values: Sequence[Any]) -> None:
        """Go back to what `read` gave."""
        where = place(_getframe(1))
        for one, value in zip(self.kept, values, strict=True):
            one.write(value, where)

    def around(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """`run(args, kwargs)` of the pure graph, with the state read before and written after."""
        if not self.kept:
            return run

        def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            found = run((*args, self.read()), kwargs)
            if found is NotImplemented:
                return found
            result, new = found
            self.write(new)
            return result

        return call


def made_pure(found: Traced) -> tuple[Graph, State]:
    """The graph with what is kept outside as a last argument, and its new values beside the result.

    Raises UnsupportedError for changes that a compiled function does not make.
    """
    graph = found.graph
    tensors = {variable: tensor for tensor, variable in found.parameters.values()}
    places: dict[Variable, Tensor | Held] = {**found.held, **tensors}
    for variable, where in places.items():
        if isinstance(where, Held) and isinstance(where.value, Tensor):
            places[variable] = where.value
    after = {before: new for before, new in found.changes.values() if before in places}
    needed = without_dead(graph.with_(result=(graph.result, list(after.values())))).constants
    for name, (before, _) in found.changes.items():
        if before in graph.inputs:
            raise UnsupportedError(
                f"{graph.name} changes its argument {name} in place, which compiled it would not do; return the new "
                f"array"
            )
        if before not in places and before in needed:  # one that is not needed is a gradient that was cleared
            raise UnsupportedError(
                f"{graph.name} adds to {name}, which was there before; let it begin with optimizer.zero_grad()"
            )
    if found.added:
        raise AddedError(
            f"{graph.name} stores {', '.join(found.added)}, where nothing was before, and compiled would not do it "
            f"again; return it instead"
        )
    kept = [Kept(v, places[v]) for v in dict.fromkeys(graph.constants) if v in places]
    if not kept:
        return graph, State((), ())
    changed = [one for one in kept if one.variable in after]
    positional, keywords = graph.arguments
    pure = graph.with_(
        arguments=((*positional, tuple(one.variable for one in kept)), keywords),
        constants=[c for c in graph.constants if c not in places],
        result=(graph.result, tuple(after[one.variable] for one in changed)),
    )
    return pure, State(kept, changed)
