"""Which memory was changed in place, and when.

Nothing is paid for it in the forward pass: a change notes the memory it touched and its place in the order
of operations; the reverse sweep compares that with the operations whose residuals live in that memory.
"""

from __future__ import annotations

import weakref
from itertools import count
from typing import Any

import numpy as np

from chainrule.lines import Place

next_order = count(1).__next__
"""The order of operations and changes, over all threads."""


class Change:
    """The last change of a piece of memory: its owner, its place in the order, how many, and where."""

    __slots__ = ("order", "owner", "version", "where")

    order: int
    where: Place

    def __init__(self, owner: weakref.ref[np.ndarray]) -> None:
        self.owner = owner
        self.version = 0


changes: dict[int, Change] = {}
"""By the id of the array that owns the memory; an entry leaves with its owner."""

latest = [0]
"""The place of the last change of all: what was recorded after it needs no comparison."""


def owner_of(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory that `array` is a view of.

    >>> a = np.zeros(3)
    >>> owner_of(a[1:]) is a
    True
    """
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def note_change(array: Any, where: Place) -> None:
    """Note that the memory of `array` was changed in place just now, at `where`."""
    if not isinstance(array, np.ndarray):
        return
    owner = owner_of(array)
    key = id(owner)
    change = changes.get(key)
    if change is None:
        change = changes[key] = Change(weakref.ref(owner, lambda _: changes.pop(key, None)))
    change.order = latest[0] = next_order()
    change.version += 1
    change.where = where


def change_since(array: np.ndarray, order: int) -> Change | None:
    """The change of the memory of `array` after the operation number `order`, if there was one."""
    change = changes.get(id(array if array.base is None else owner_of(array)))
    return change if change is not None and change.order > order else None


def version(array: Any) -> int:
    """How often the memory of `array` was changed in place."""
    change = changes.get(id(owner_of(array))) if isinstance(array, np.ndarray) else None
    return change.version if change else 0
