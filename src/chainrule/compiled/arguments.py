"""The arguments of a call of a compiled function: as they are traced, and when two calls share what was compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.compiled.specialisation import as_it_is
from chainrule.graph.tracing import is_traced
from chainrule.operators import Operators, data_of, example_of
from chainrule.tensor import Tensor
from chainrule.trees import children, leaves, mapped
from chainrule.typing import Tree


def prepared(tree: Tree) -> Tree:
    """The arguments as they are traced: plain arrays; floats of the precision that the arrays have."""
    dtypes = [example_of(leaf).dtype for _, leaf in leaves(tree) if hasattr(leaf, "dtype")]
    arrays = [dtype for dtype in dtypes if dtype.kind == "f"]
    real = np.result_type(*arrays) if arrays else np.dtype(float)

    def one(leaf: Any) -> Any:
        if isinstance(leaf, float) and not isinstance(leaf, np.generic):
            return np.asarray(leaf, real)
        if is_constant(leaf):
            return leaf
        return np.asarray(data_of(leaf)) if is_traced(leaf) else leaf

    return mapped(one, tree)


def key_of(tree: Tree) -> Any:
    """What the arguments of two calls have in common if they share a specialisation."""
    parts = None if tree is None else children(tree)
    if parts is not None:
        return (type(tree), *((name, key_of(part)) for name, part in parts))
    if isinstance(tree, float) and not isinstance(tree, np.generic):
        return float
    if is_traced(tree):
        array = example_of(tree)
        known = (tuple(array.shape), np.dtype(array.dtype).newbyteorder("=").str)
        return (*known, type(tree)) if isinstance(tree, Operators) else known
    if isinstance(tree, (bool, int, str, bytes, type(None))):
        return (type(tree), tree)
    return _Identity(tree)


def is_constant(leaf: Any) -> bool:
    """Whether a leaf is a façade's tensor around an array, from which no gradient is wanted."""
    return _is_of_a_facade(leaf) and leaf._node is None and type(leaf._data) is np.ndarray


def makers_of(result: Tree) -> Tree | None:
    """For each leaf of a result, what makes it of an array where it was a façade's tensor; None where none was."""
    if not any(_is_of_a_facade(leaf) for _, leaf in leaves(result)):
        return None
    return mapped(lambda leaf: leaf._wrapped if _is_of_a_facade(leaf) else as_it_is, result)


def without_history(leaf: Any) -> Any:
    """The leaf of an eager result as compiled code would return it."""
    if _is_of_a_facade(leaf):
        return leaf.detach()
    return data_of(leaf)


def _is_of_a_facade(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf._keeps_its_class


class _Identity:
    """An object that equals itself only."""

    __slots__ = ("of",)

    def __init__(self, of: Any) -> None:
        self.of = of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.of is self.of

    def __hash__(self) -> int:
        return id(self.of)

    def __repr__(self) -> str:
        return f"<{type(self.of).__name__}>"


def difference(before: Any, after: Any, path: str = "") -> str:
    """What changed between the arguments of two calls."""
    if before == after:
        return "the same shapes, but arrays or numbers outside of the function were replaced"
    nested = [
        isinstance(k, tuple) and k and isinstance(k[0], type) and all(_is_part(p) for p in k[1:])
        for k in (before, after)
    ]
    if all(nested) and len(before) == len(after):
        for (name, one), (_, other) in zip(before[1:], after[1:], strict=True):
            if one != other:
                return difference(one, other, path + name)
    return f"argument {path.removeprefix('[0]') or path} changed from {_described(before)} to {_described(after)}"


def _is_part(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str)


def _described(key: Any) -> str:
    if isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], tuple):
        return f"{np.dtype(key[1])} of shape {key[0]}"
    if isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], type):
        return repr(key[1])
    return repr(key)
