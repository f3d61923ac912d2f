"""What a function reaches besides its arguments: the Tensors and numbers in closures, globals and objects.

A function may keep its parameters in a module, its momentum in an optimizer, a count in an attribute. They are
found by going from the function through what it refers to; what a call of it changes is its state.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path as Folder
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.naming import identifier
from chainrule.lines import is_own
from chainrule.tensor import Tensor
from chainrule.trees import rebuilt

MOST = 20_000
"""So many containers are looked into; a function that refers to more holds data rather than parameters."""

COPIED = 2**24
"""So many bytes of an array are copied, to be put back where a function changes it in place."""

NUMBERS = (bool, int, float, np.generic)
LEAVES = (Tensor, np.ndarray, *NUMBERS)
_FUNCTIONS = (FunctionType, MethodType, functools.partial)
_NOT_LOOKED_INTO = (str, bytes, type, ModuleType)
_PACKAGES = str(Folder(np.__file__).parents[1])
_LIBRARIES = (_PACKAGES, str(Folder(os.__file__).parent))
"""The folders of installed packages and of the standard library."""

Path = tuple[str, ...]

_UNNAMED = frozenset(("_parameters", "_buffers", "_modules"))
"""Where a module of PyTorch's style keeps what is called by the name of the module alone: `net.0.weight`."""


class Held(NamedTuple):
    """A value and where it is held: `container[key]`."""

    path: Path
    value: Any
    container: Any
    key: Any
    within: Held | None = None
    """What holds the container, where that is a tuple."""

    def put(self, value: Any) -> None:
        """Hold another value there; in a tuple, by holding another tuple."""
        if self.within is None or not isinstance(self.container, tuple):
            self.container[self.key] = value
            return
        parts = list(self.within.container[self.within.key])
        parts[self.key] = value
        self.within.put(rebuilt(self.container, parts))


class _Cell:
    """A variable of an enclosing function, as a container."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def __setitem__(self, _: Any, value: Any) -> None:
        self.cell.cell_contents = value


def held_by(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Held]:
    """All that a call of `f` can reach, each object once; Tensors, arrays and numbers wherever they are held."""
    seen: set[int] = set()
    pending = deque([Held((), f, None, None)])
    pending += [Held((str(name),), part, None, None) for name, part in (*enumerate(args), *kwargs.items())]
    while pending and len(seen) < MOST:
        held = pending.popleft()
        value = held.value
        if isinstance(value, LEAVES):
            yield held
        elif value is not None and not isinstance(value, _NOT_LOOKED_INTO) and id(value) not in seen:
            seen.add(id(value))
            yield held
            pending.extendleft(list(_parts(held))[::-1])


def _parts(held: Held) -> Iterator[Held]:
    path, value = held.path, held.value
    if isinstance(value, _FUNCTIONS):
        yield from _parts_of_function(value)
    elif isinstance(value, dict):
        # What an optimizer keeps for each Tensor is found under the number of the Tensor.
        names = (str(i) if isinstance(key, Tensor) else str(key) for i, key in enumerate(list(value)))
        yield from (
            Held((*path, name), value[key], value, key) for name, key in zip(names, list(value), strict=True)
        )
    elif isinstance(value, (list, tuple)):
        if not value or not isinstance(value[0], NUMBERS) or len(value) < 100:
            yield from (Held((*path, str(i)), part, value, i, held) for i, part in enumerate(value))
    elif not _is_foreign(type(value)):
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict):
            yield from (
                Held(path if name in _UNNAMED else (*path, name), part, attributes, name)
                for name, part in attributes.items()
            )
        call = inspect.getattr_static(type(value), "__call__", None)
        if isinstance(call, FunctionType) and not _is_library(type(value).__module__):
            yield from _parts_of_function(call)


def _parts_of_function(function: Any) -> Iterator[Held]:
    if isinstance(function, MethodType):
        yield Held((), function.__self__, None, None)
        yield Held((), function.__func__, None, None)
    elif isinstance(function, functools.partial):
        for part in (function.func, function.args, function.keywords):
            yield Held((), part, None, None)
    elif not _is_library(function.__code__.co_filename):
        if hasattr(function, "__wrapped__"):
            yield Held((), function.__wrapped__, None, None)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                yield Held((name,), cell.cell_contents, _Cell(cell), name)
            except ValueError:  # not assigned yet
                continue
        for name in dict.fromkeys(_names_in(function.__code__)):
            if name in function.__globals__:
                yield Held((name,), function.__globals__[name], function.__globals__, name)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


@functools.lru_cache(maxsize=4096)
def _is_library(name: str) -> bool:
    """Whether a file (or module) is no part of the user's program: its functions keep no parameters of theirs."""
    return is_own(name) or name.startswith(_LIBRARIES) or name.split(".")[0] in ("chainrule", "numpy")


def _is_foreign(kind: type) -> bool:
    """Whether a class is an installed package's and none of ours: its objects hold no Tensors."""
    if kind.__module__ == "__main__":  # the program that is running, even where a package started it
        return False
    file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    return file.startswith(_PACKAGES) and not any(
        base.__module__.startswith("chainrule") for base in kind.__mro__
    )


def numbers_read(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], also: Callable[[Held], bool]
) -> frozenset[Path]:
    """Where `f` finds floats that may differ at each call.

    Those are what a class says so of in `read_at_each_call`, a tuple of names of attributes, and `also`.
    """
    everything = list(held_by(f, args, kwargs))
    declared = {
        (id(vars(held.value)), name)
        for held in everything
        for name in getattr(type(held.value), "read_at_each_call", ())
    }
    return frozenset(
        path for path, held in _leaves_of(everything).items()
        if isinstance(held.value, float) and ((id(held.container), held.key) in declared or also(held))
    )  # fmt: skip


class Snapshot:
    """What the containers that a function reaches hold before a call, to be put back after it."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = (f, args, kwargs)
        everything = list(held_by(f, args, kwargs))
        self.before = _leaves_of(everything)
        self.tensors = [(held.path, held.value) for held in everything if isinstance(held.value, Tensor)]
        self._containers = [
            (parts, parts.copy()) for held in everything if (parts := _changeable(held.value)) is not None
        ]
        self._variables = [h for h in everything if isinstance(h.container, _Cell) or _is_scope(h.container)]
        self._data = {id(tensor): tensor._data for _, tensor in self.tensors}
        self._contents = _Contents([*self._data.values(), *(held.value for held in everything)])

    def now(self) -> dict[Path, Held]:
        """What is reached at present, by its path; each Tensor once."""
        return _leaves_of(held_by(*self._call))

    def restore(self) -> None:
        """Put everything back."""
        for container, saved in self._containers:
            if _is_unchanged(container, saved):
                continue
            if isinstance(container, dict):
                container.clear()
                container.update(saved)
            else:
                container[:] = saved
        for held in self._variables:
            held.put(held.value)
        for _, tensor in self.tensors:
            tensor._data = self._data[id(tensor)]
        self._contents.restore()

    def altered(self, value: Any) -> bool:
        """Whether an array, or that of a Tensor, has other elements than before."""
        if isinstance(value, Tensor):
            before = self._data[id(value)]
            return value._data is not before or self._contents.altered(before)
        return self._contents.altered(value)

    def best_path(self, tensor: Tensor) -> Path:
        """Where a Tensor has its name: in a module rather than at a place of a list of parameters."""
        paths = [path for path, other in self.tensors if other is tensor]
        return min(paths, key=lambda path: path[-1].isdigit())

    def owner(self, path: Path) -> Tensor | None:
        """The Tensor that a value belongs to: `optimizer.states[0]` are those of `optimizer.parameters[0]`."""
        for other, tensor in self.tensors:
            if len(path) > 2 and other[:-2] == path[:-3] and other[-1] == path[-2]:
                return tensor
        return None


class _Contents:
    """The elements of arrays: small ones are copied, large ones cannot be written to until they are restored."""

    def __init__(self, values: Iterable[Any]) -> None:
        arrays = {id(value): value for value in values if type(value) is np.ndarray}.values()
        self._copies = {id(a): (a, a.copy()) for a in arrays if a.nbytes <= COPIED}
        self._locked = [a for a in arrays if a.nbytes > COPIED and a.flags.writeable]
        for array in self._locked:
            array.flags.writeable = False

    def altered(self, array: Any) -> bool:
        known = self._copies.get(id(array))
        return known is not None and not np.array_equal(*known, equal_nan=array.dtype.kind in "fc")

    def restore(self) -> None:
        for array, copy in self._copies.values():
            if self.altered(array):
                array[...] = copy
        for array in self._locked:
            array.flags.writeable = True


def _leaves_of(found: Iterable[Held]) -> dict[Path, Held]:
    by_path: dict[Path, Held] = {}
    tensors: set[int] = set()
    for held in found:
        if isinstance(held.value, LEAVES) and id(held.value) not in tensors:
            by_path.setdefault(held.path, held)
            if isinstance(held.value, Tensor):
                tensors.add(id(held.value))
    return by_path


def _is_unchanged(container: Any, saved: Any) -> bool:
    pairs = zip(container, saved, strict=False)
    if len(container) != len(saved) or not all(a is b for a, b in pairs):
        return False
    if isinstance(container, list):
        return True
    return all(a is b for a, b in zip(container.values(), saved.values(), strict=True))


def _changeable(value: Any) -> Any:
    """The dict or list that holds the parts of a value."""
    if isinstance(value, (dict, list)):
        return value
    attributes = None if isinstance(value, (*LEAVES, *_FUNCTIONS)) else getattr(value, "__dict__", None)
    return attributes if isinstance(attributes, dict) else None


def _is_scope(container: Any) -> bool:
    """Whether a container is the global variables of a module: only what is used of them is put back."""
    return isinstance(container, dict) and "__builtins__" in container


def names_of(paths: dict[Path, Path], taken: set[str]) -> dict[Path, str]:
    """A name for each key, after its path, of which none is in `taken`: as short as tells them apart.

    >>> net = [("net", "0", "weight"), ("net", "0", "bias"), ("net", "2", "weight")]
    >>> list(names_of({path: path for path in net}, set()).values())
    ['W1', 'b1', 'W2']
    >>> net = [("net", "hidden", "weight"), ("net", "out", "weight"), ("net", "scale")]
    >>> list(names_of({path: path for path in net}, set()).values())
    ['hidden_weight', 'out_weight', 'scale']
    """
    others = list(paths.values())
    layers = list(dict.fromkeys(path[:-1] for path in others if path[-1] in _LETTERS))
    numbered = all(layer and layer[-1].isdigit() for layer in layers)
    names: dict[Path, str] = {}
    for key, path in paths.items():
        if numbered and len(layers) > 1 and path[-1] in _LETTERS:
            names[key] = f"{_LETTERS[path[-1]]}{layers.index(path[:-1]) + 1}"
        elif sum(other[-1] == path[-1] for other in others) == 1 and not path[-1].isdigit():
            names[key] = path[-1]
        else:
            names[key] = "_".join(_shortest(path, others))
    return _distinct(names, taken)


_LETTERS = {"weight": "W", "bias": "b"}
"""What the parameters of numbered layers are called in textbooks."""


def _shortest(parts: Path, others: list[Path]) -> Path:
    """The shortest ending that no other path has."""
    for count in range(2, len(parts)):
        if sum(p[-count:] == parts[-count:] for p in others) == 1 and not parts[-count].isdigit():
            return parts[-count:]
    return parts


def _distinct(names: dict[Path, str], taken: set[str]) -> dict[Path, str]:
    used, found = set(taken), {}
    for path, name in names.items():
        name = identifier(name)
        while name in used:
            name += "_"
        used.add(name)
        found[path] = name
    return found
