"""How the arguments of a compiled function are taken apart and its result is put together: as Python source.

The source is written for one structure of arguments, so that a call decides as little as possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.graph.ir import Literal, Variable
from chainrule.tensor import Tensor
from chainrule.trees import children, rebuilt
from chainrule.typing import Tree

MISS = NotImplemented
"""The answer where the arguments are not those that the source was written for."""


class Source:
    """The text of a function under construction, and the objects that it names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {
            "MISS": MISS,
            "ndarray": np.ndarray,
            "generic": np.generic,
            "asarray": np.asarray,
        }
        self._count = 0

    def new(self, value: Any = None, prefix: str = "v") -> str:
        """A name that is not taken; for an object, if one is given."""
        self._count += 1
        name = f"{prefix}{self._count}"
        if value is not None:
            self.scope[name] = value
        return name

    def line(self, text: str) -> None:
        """One more line."""
        self.lines.append(text)

    def miss_if(self, condition: str) -> None:
        """Give up where a condition holds."""
        self.line(f"if {condition}: return MISS")

    def function(self, name: str, parameters: str) -> Any:
        """The function; a missing key, element or attribute is a miss."""
        body = "\n        ".join(self.lines)
        text = (
            f"def {name}({parameters}):\n    try:\n        {body}\n"
            f"    except (KeyError, IndexError, AttributeError, ValueError): return MISS"
        )
        exec(text, self.scope)
        return self.scope[name]


def unpack(source: Source, tree: Tree, text: str, kinds: Iterator[type], found: list[str]) -> None:
    """Write how the traced leaves of `tree`, which is named `text`, are reached; their names are added to `found`.

    `kinds` are the types of the leaves in the call that was traced.
    """
    parts = None if tree is None else children(tree)
    if parts is None:
        _leaf(source, tree, text, kinds, found)
        return
    name = source.new()
    kind = source.new(type(tree), "type")
    source.line(f"{name} = {text}")
    counted = isinstance(tree, (dict, list, tuple))
    source.miss_if(f"type({name}) is not {kind}" + (f" or len({name}) != {len(parts)}" if counted else ""))
    keys = [f"[{source.new(k, 'key')}]" for k in tree] if isinstance(tree, dict) else [p for p, _ in parts]
    for key, (_, part) in zip(keys, parts, strict=True):
        unpack(source, part, name + key, kinds, found)


def _leaf(source: Source, leaf: Any, text: str, kinds: Iterator[type], found: list[str]) -> None:
    if isinstance(leaf, Variable):
        name, kind = source.new(prefix="x"), next(kinds)
        source.line(f"{name} = {text}")
        if issubclass(kind, Tensor):
            source.miss_if(f"type({name}) is not {source.new(kind, 'kind')} or {name}._node is not None")
            source.line(f"{name} = {name}._data")
        elif not leaf.shape and issubclass(kind, (np.ndarray, np.generic)):
            # What a call returned as a number of NumPy is given back to the next one.
            dtype = source.new(np.dtype(leaf.dtype), "dtype")
            source.line(f"if type({name}) is not ndarray:")
            source.line(f"    if not isinstance({name}, generic) or {name}.dtype != {dtype}: return MISS")
            source.line(f"    {name} = asarray({name})")
        elif not issubclass(kind, np.ndarray):
            source.miss_if(f"type({name}) is not {source.new(kind, 'kind')}")
            source.line(f"{name} = asarray({name}, {source.new(leaf.dtype, 'dtype')})")
        found.append(name)
    elif leaf is None or isinstance(leaf, (bool, str)):
        source.miss_if(f"{text} is not {leaf!r}" if not isinstance(leaf, str) else f"{text} != {leaf!r}")
    elif isinstance(leaf, int):
        name, fixed = source.new(), source.new(leaf, "fixed")
        source.line(f"{name} = {text}")
        source.miss_if(f"type({name}) is not {source.new(type(leaf), 'type')} or {name} != {fixed}")
    else:
        source.miss_if(f"{text} is not {source.new(leaf, 'fixed')}")


def packed(source: Source, tree: Tree, names: dict[int, str]) -> str:
    """An expression for a result whose leaves have the given names, by their identity."""
    if isinstance(tree, (Variable, Literal)):
        return names[id(tree)] if tree.shape else f"{names[id(tree)]}[()]"
    parts = None if tree is None else children(tree)
    if parts is None:
        return "None" if tree is None else source.new(tree, "fixed")
    texts = [packed(source, part, names) for _, part in parts]
    if type(tree) is dict:
        keys = [source.new(k, "key") for k in tree]
        return "{" + ", ".join(f"{k}: {t}" for k, t in zip(keys, texts, strict=True)) + "}"
    if type(tree) is list:
        return f"[{', '.join(texts)}]"
    if type(tree) is tuple:
        return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"
    return f"{source.new(rebuilt, 'rebuilt')}({source.new(tree, 'tree')}, [{', '.join(texts)}])"
