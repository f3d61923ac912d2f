"""What an array is while code is written: a view of memory, or a formula for its elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from chainrule.graph.emit.llvm.code import Code, Memory, Place
from chainrule.typing import Shape


class View:
    """A strided window of memory; strides and offset count elements."""

    __slots__ = ("dtype", "memory", "offset", "shape", "strides")
    cost = 1

    def __init__(
        self, memory: Memory, dtype: Any, shape: Shape, strides: Sequence[int], offset: int = 0
    ) -> None:
        self.memory, self.dtype, self.shape = memory, np.dtype(dtype), tuple(shape)
        self.strides, self.offset = tuple(strides), offset

    def at(self, code: Code, idx: Sequence[Any]) -> Any:
        """The element at an index."""
        return code.load(self.memory, self.place(code, idx), self.dtype)

    def place(self, code: Code, idx: Sequence[Any]) -> Place:
        """Where an element is in the memory."""
        return code.place(idx, self.strides, self.offset)

    def store(self, code: Code, idx: Sequence[Any], value: Any) -> None:
        """Write the element at an index."""
        code.store(value, self.memory, self.place(code, idx), self.dtype)

    def with_(self, shape: Shape, strides: Sequence[int], offset: int = 0) -> View:
        """Another window of the same memory; `offset` is added."""
        return View(self.memory, self.dtype, shape, strides, self.offset + offset)

    @property
    def recipe(self) -> Recipe:
        """The view itself."""
        return ("view", self.dtype.str, self.shape, self.strides), (self,)

    @property
    def order(self) -> tuple[int, ...]:
        """The axes from the one with the longest stride to the one whose elements are neighbours."""
        return tuple(sorted(range(len(self.shape)), key=lambda a: (-abs(self.strides[a]), a)))

    def reshaped(self, shape: Shape) -> View | None:
        """The same elements in another shape; None if no strides say that."""
        strides = reshaped_strides(self.shape, self.strides, shape)
        return None if strides is None else self.with_(shape, strides)


class Lazy:
    """A formula for the elements; `cost` estimates the operations for one, `recipe` says what it computes of what."""

    __slots__ = ("at", "cost", "dtype", "order", "recipe", "shape")

    def __init__(
        self, dtype: Any, shape: Shape, at: Callable[[Code, Sequence[Any]], Any], cost: int,
        order: tuple[int, ...] | None = None, recipe: Recipe | None = None,
    ) -> None:  # fmt: skip
        self.dtype, self.shape, self.at, self.cost = np.dtype(dtype), tuple(shape), at, cost
        self.recipe = recipe
        self.order = order if order is not None else layout(self.shape)


Value: TypeAlias = View | Lazy

Recipe: TypeAlias = tuple[Hashable, tuple[View, ...]]
"""What is computed, and of which views: where only the memory of these differs, the code is the same."""


def recipe_of(what: Hashable, *parts: Value) -> Recipe | None:
    """The recipe for what is made of values; None where one of them has none."""
    recipes = [part.recipe for part in parts]
    if None in recipes:
        return None
    known = [recipe for recipe in recipes if recipe is not None]
    return (what, *(key for key, _ in known)), tuple(view for _, views in known for view in views)


def layout(shape: Shape) -> tuple[int, ...]:
    """The axes in the order of memory: as they are, but the longest last where the last one is short.

    >>> layout((32, 3)), layout((32, 64))
    ((1, 0), (0, 1))
    """
    axes = tuple(range(len(shape)))
    if not shape or shape[-1] >= 32:
        return axes
    longest = max(axes, key=lambda a: (shape[a], a))
    return (*(a for a in axes if a != longest), longest)


def strides_of(shape: Shape, order: Sequence[int]) -> tuple[int, ...]:
    """The strides of an array whose axes lie in memory in a given order.

    >>> strides_of((2, 3), (0, 1)), strides_of((2, 3), (1, 0))
    ((3, 1), (1, 2))
    """
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def reshaped_strides(old: Shape, strides: Sequence[int], new: Shape) -> tuple[int, ...] | None:
    """The strides of a view in another shape; None where the elements are not evenly spaced.

    >>> reshaped_strides((4, 6), (6, 1), (4, 2, 3)), reshaped_strides((4, 6), (1, 4), (24,))
    ((6, 3, 1), None)
    """
    source = [(n, s) for n, s in zip(old, strides, strict=True) if n != 1]
    found: list[int] = [0] * len(new)
    position = 0
    wanted = [a for a, n in enumerate(new) if n != 1]
    while wanted:
        axes: list[int] = []
        count = 1
        group: list[tuple[int, int]] = []
        have = 1
        while not axes or count != have:
            if count <= have and wanted:
                axes.append(wanted.pop(0))
                count *= new[axes[-1]]
            elif position < len(source):
                group.append(source[position])
                have *= source[position][0]
                position += 1
            else:
                return None
        if any(s != n2 * s2 for (_, s), (n2, s2) in pairwise(group)):
            return None
        step = group[-1][1]
        for axis in reversed(axes):
            found[axis] = step
            step *= new[axis]
    return tuple(found)


def broadcast(value: Value, shape: Shape) -> Value:
    """The value at every place of a shape that it is broadcast to."""
    if value.shape == tuple(shape):
        return value
    extra = len(shape) - len(value.shape)
    axes = [i for i, n in enumerate(value.shape) if n == shape[i + extra]]
    if isinstance(value, View):
        strides = [0] * len(shape)
        for i in axes:
            strides[i + extra] = value.strides[i]
        return value.with_(shape, strides)
    kept = set(axes)

    def at(code: Code, idx: Sequence[Any]) -> Any:
        return value.at(code, tuple(idx[i + extra] if i in kept else 0 for i in range(len(value.shape))))

    return Lazy(value.dtype, shape, at, value.cost, recipe=recipe_of(("broadcast", tuple(shape)), value))


def permuted(value: Value, axes: Sequence[int]) -> Value:
    """The axes in another order."""
    shape = tuple(value.shape[a] for a in axes)
    if isinstance(value, View):
        return value.with_(shape, [value.strides[a] for a in axes])
    back = [list(axes).index(i) for i in range(len(axes))]
    order = tuple(back[a] for a in value.order)
    return Lazy(
        value.dtype, shape, lambda code, idx: value.at(code, tuple(idx[b] for b in back)), value.cost, order,
        recipe_of(("permuted", tuple(axes)), value),
    )  # fmt: skip


def size_of(shape: Shape) -> int:
    """The number of elements."""
    return math.prod(shape)
