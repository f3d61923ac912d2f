"""Trees: arrays nested in dicts, lists, tuples, named tuples and dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from chainrule.errors import InputError
from chainrule.typing import Tree

_leaf_types: set[type] = set()
"""The types that were found to be leaves: whether a value is one depends on its type alone."""


def children(tree: Tree) -> list[tuple[str, Tree]] | None:
    """The parts of a tree with the names by which they are reached; None for a leaf.

    >>> children({"w": 1.0})
    [("['w']", 1.0)]
    """
    if type(tree) in _leaf_types:
        return None
    if isinstance(tree, dict):
        return [(f"[{key!r}]", value) for key, value in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(f".{name}", getattr(tree, name)) for name in tree._fields]
    if isinstance(tree, (list, tuple)):
        return [(f"[{i}]", value) for i, value in enumerate(tree)]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [(f".{f.name}", getattr(tree, f.name)) for f in dataclasses.fields(tree) if f.init]
    _leaf_types.add(type(tree))
    return None


def rebuilt(tree: Tree, parts: list[Tree]) -> Tree:
    """A tree of the same kind with other parts.

    >>> rebuilt({"w": 1.0}, [2.0])
    {'w': 2.0}
    """
    if isinstance(tree, dict):
        return type(tree)(zip(tree, parts, strict=True))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*parts)
    if isinstance(tree, (list, tuple)):
        return type(tree)(parts)
    names = [f.name for f in dataclasses.fields(tree) if f.init]
    return dataclasses.replace(tree, **dict(zip(names, parts, strict=True)))


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a tree, each with its path; None counts as no leaf.

    >>> list(leaves({"w": [1.0, None]}))
    [("['w'][0]", 1.0)]
    """
    if tree is None:
        return
    parts = children(tree)
    if parts is None:
        yield path, tree
        return
    for name, part in parts:
        yield from leaves(part, path + name)


def mapped(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """`function` applied to each leaf, with the leaves at the same place of the other trees.

    Raises InputError where another tree has another structure.

    >>> mapped(lambda a, b: a + b, {"w": 1.0, "b": (2.0, None)}, {"w": 10.0, "b": (20.0, None)})
    {'w': 11.0, 'b': (22.0, None)}
    """
    if tree is None:
        return None
    parts = children(tree)
    if parts is None:
        return function(tree, *others)
    rest = [children(other) for other in others]
    for other, found in zip(others, rest, strict=True):
        if found is None or [n for n, _ in found] != [n for n, _ in parts]:
            raise InputError(
                f"expected a tree with the parts {', '.join(n for n, _ in parts)}, but was given "
                f"{type(other).__name__}{'' if found is None else ' with ' + ', '.join(n for n, _ in found)}"
            )
    columns = [[part for _, part in found or ()] for found in rest]
    return rebuilt(
        tree, [mapped(function, part, *(c[i] for c in columns)) for i, (_, part) in enumerate(parts)]
    )
