"""Which memory was changed in place, when, and what stood there before.

Nothing is paid for it in the forward pass: a change notes the memory it touched and its place in the order
of operations; the reverse sweep compares that with the operations whose residuals live in that memory, and
takes back what was changed since.
"""

from __future__ import annotations

import weakref
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from chainrule.lines import Place
from chainrule.typing import Shape

next_order = count(1).__next__
"""The order of operations and changes, over all threads."""


class Part(NamedTuple):
    """Where the elements of a view lie in the memory that it is a view of, without holding that memory."""

    offset: int
    shape: Shape
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    low: int
    high: int

    @classmethod
    def of(cls, array: np.ndarray, owner: np.ndarray) -> Part:
        """The part of `owner` that `array` shows; `low` and `high` bound its bytes."""
        start = _address(owner)
        low, high = byte_bounds(array)
        return cls(
            _address(array) - start, array.shape, array.strides, array.dtype, low - start, high - start
        )

    def within(self, memory: np.ndarray) -> np.ndarray:
        """The same part of other bytes."""
        return np.ndarray(self.shape, self.dtype, memory.data, self.offset, self.strides)

    def meets(self, other: Part) -> bool:
        """Whether the bytes of two parts may overlap."""
        return self.low < other.high and other.low < self.high


class Replaced(NamedTuple):
    """The elements of a part before a change, with its place in the order."""

    order: int
    part: Part
    elements: np.ndarray


class Change:
    """The changes of a piece of memory: its owner; the last one's place in the order and line; how many.

    `replaced` has what can be taken back; `final` is the place of the last change that cannot.
    """

    __slots__ = ("final", "order", "owner", "replaced", "version", "where")

    order: int
    where: Place

    def __init__(self, owner: weakref.ref[np.ndarray]) -> None:
        self.owner = owner
        self.version = self.final = 0
        self.replaced: list[Replaced] = []


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


def note_change(array: Any, where: Place, before: np.ndarray | None = None, *, final: bool = True) -> None:
    """Note that `array` was changed in place just now, at `where`.

    With the elements that it had `before`, in an array that nobody changes, the change can be taken back; a change
    that is not `final` needs none, because no residual lives in that memory.
    """
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
    if before is not None:
        change.replaced.append(Replaced(change.order, Part.of(array, owner), before))
    elif final:
        change.final = change.order
        if change.replaced:
            change.replaced = []


def change_since(array: np.ndarray, order: int) -> Change | None:
    """The change of the memory of `array` after the operation number `order`, if there was one."""
    change = changes.get(id(array if array.base is None else owner_of(array)))
    return change if change is not None and change.order > order else None


def elements_at(array: np.ndarray, order: int, change: Change) -> np.ndarray:
    """The elements that `array` had at a place in the order, where no `final` change came later.

    >>> a = np.zeros(3)
    >>> before, order = a.copy(), next_order()
    >>> a += 1
    >>> note_change(a, None, before)
    >>> elements_at(a[1:], order, change_since(a, order)), a
    (array([0., 0.]), array([1., 1., 1.]))
    """
    owner = owner_of(array)
    part = Part.of(array, owner)
    since = [one for one in change.replaced if one.order > order and one.part.meets(part)]
    if not since:
        return array
    memory = _bytes_of(owner)
    for one in reversed(since):
        one.part.within(memory)[...] = one.elements
    return part.within(memory)


# arrays of the caller, whose changes nobody tells us -----------------------------------------------------------

COPIED = 8192
"""So many bytes of an array are copied; a larger one is sealed."""

Seals = tuple[tuple[np.ndarray, int], ...]
"""Arrays, each with what `seal` made of its elements."""


def protected(
    kept: tuple[Any, ...], given: tuple[tuple[int, int], ...], inputs: tuple[Any, ...]
) -> tuple[tuple[Any, ...], Seals]:
    """The residuals, with the plain arrays among the inputs copied if they are small, and sealed if they are large.

    `given` has the place of each residual that is an input, and its number; of a variadic primitive it is all of them.

    >>> small, large = np.zeros(2), np.zeros(2000)
    >>> (copy, same), ((sealed, _),) = protected((small, large), ((0, 0), (1, 1)), (small, large))
    >>> copy is small, same is large, sealed is large
    (False, True, True)
    """
    safe: list[Any] = list(kept)
    seals: Seals = ()
    for place, number in given:
        array = inputs[number]
        if type(kept[place]) is tuple:
            safe[place], more = protected(kept[place], tuple((i, i) for i in range(len(inputs))), inputs)
            seals += more
        elif type(array) is np.ndarray:
            if array.nbytes <= COPIED:
                safe[place] = array.copy("K")
            else:
                seals += ((array, seal(array)),)
    return tuple(safe), seals


def seal(array: np.ndarray) -> int:
    """A number that changes with every element, and where elements change places.

    >>> a = np.arange(3000.0)
    >>> before = seal(a)
    >>> a[[1, 2]] = a[[2, 1]]
    >>> seal(a) == before
    False
    """
    whole = array if array.flags.c_contiguous else array.T if array.flags.f_contiguous else array.copy()
    words = whole.reshape(-1).view(np.uint8)
    end = words.size - words.size % (8 * _ROW)
    sums = np.add.reduce(words[:end].view(np.uint64).reshape(-1, _ROW), axis=0)
    return hash((sums.tobytes(), words[end:].tobytes()))


_ROW = 509
"""Prime, so that elements of the same place in two rows of an array are not added to the same sum."""


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _bytes_of(owner: np.ndarray) -> np.ndarray:
    """A copy of the bytes of an array that owns its memory, in their order there."""
    by_stride = owner.transpose(sorted(range(owner.ndim), key=lambda axis: -owner.strides[axis]))
    return by_stride.copy().reshape(-1).view(np.uint8)


def version(array: Any) -> int:
    """How often the memory of `array` was changed in place."""
    change = changes.get(id(owner_of(array))) if isinstance(array, np.ndarray) else None
    return change.version if change else 0
