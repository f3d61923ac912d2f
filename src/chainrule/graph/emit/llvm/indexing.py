"""Indices that are arrays: reading, adding and writing elements at places that are known only at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.graph.emit.llvm.code import INDEX, Code
from chainrule.graph.emit.llvm.elements import converted
from chainrule.graph.emit.llvm.values import View, broadcast, size_of
from chainrule.typing import Shape

OUT_OF_BOUNDS = 1
"""The status of a kernel that met an index which its array does not have."""


class Places:
    """An index of integers, slices and integer arrays: which element of the indexed array each result is.

    As in NumPy, the axes of the arrays stand where the arrays stand if these are neighbours, and first otherwise.
    """

    def __init__(self, key: Any, shape: Shape, views: dict[Any, View]) -> None:
        self.shape = shape
        parts = list(key) if isinstance(key, tuple) else [key]
        if not any(p is ... for p in parts):
            parts.append(...)
        where = next(i for i, p in enumerate(parts) if p is ...)
        named = sum(1 for p in parts if p is not None and p is not ...)
        parts[where : where + 1] = [slice(None)] * (len(shape) - named)
        is_array = [p is not None and not isinstance(p, slice) for p in parts]
        arrays = [
            views[p] if p in views else int(p) for p in parts if p is not None and not isinstance(p, slice)
        ]
        self.arrays = arrays
        self.common = np.broadcast_shapes(*(a.shape for a in arrays if isinstance(a, View)))
        places = [i for i, found in enumerate(is_array) if found]
        together = places == list(range(places[0], places[-1] + 1))
        self.result: list[int] = []
        self.steps: list[Any] = []
        self.first = 0
        if not together:
            self.result += self.common
        numbers = iter(range(len(arrays)))
        for i, part in enumerate(parts):
            if is_array[i]:
                if together and i == places[0]:
                    self.first = len(self.result)
                    self.result += self.common
                self.steps.append(next(numbers))
            elif part is None:
                self.result.append(1)
            else:
                start, stop, step = part.indices(shape[len(self.steps)])
                self.steps.append((len(self.result), start, step))
                self.result.append(len(range(start, stop, step)))

    def check(self, code: Code) -> None:
        """Leave the kernel if an index is out of bounds."""
        for axis, step in enumerate(self.steps):
            array = self.arrays[step] if isinstance(step, int) else None
            if isinstance(array, View):
                self._check(code, array, self.shape[axis])

    def _check(self, code: Code, view: View, length: int) -> None:
        b = code.builder

        def wider(idx: tuple[Any, ...], wrong: Any) -> list[Any]:
            i = converted(code, view.at(code, idx), view.dtype, np.int64)
            moved = b.add(i, code.index(length))
            outside = b.icmp_unsigned(">=", moved, code.index(2 * length))
            return [b.or_(wrong, b.zext(outside, INDEX))]

        (wrong,) = code.nest(view.shape, view.order, wider, [code.index(0)])
        code.return_if(b.icmp_unsigned("!=", wrong, code.index(0)), OUT_OF_BOUNDS)

    def at(self, code: Code, idx: Sequence[Any]) -> list[Any]:
        """The index in the indexed array of the result's element `idx`."""
        within = idx[self.first : self.first + len(self.common)]
        return [
            self._array_index(code, self.arrays[s], within, self.shape[axis])
            if isinstance(s, int)
            else code.plus(code.times(idx[s[0]], s[2]), s[1])
            for axis, s in enumerate(self.steps)
        ]

    def _array_index(self, code: Code, array: Any, within: Sequence[Any], length: int) -> Any:
        if isinstance(array, int):
            return array % length
        b = code.builder
        whole = broadcast(array, self.common)
        i = converted(code, whole.at(code, within), array.dtype, np.int64)
        return b.select(b.icmp_signed("<", i, code.index(0)), b.add(i, code.index(length)), i)


def is_supported(key: Any, views: dict[Any, View]) -> bool:
    """Whether an index is one of integers, slices and integer arrays (no masks, no lists)."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        p is None or p is ... or (isinstance(p, (slice, int, np.integer)) and not isinstance(p, bool))
        or (p in views and views[p].dtype.kind in "iu" and size_of(views[p].shape) > 0)
        for p in parts if not isinstance(p, (list, np.ndarray))
    ) and not any(isinstance(p, (list, np.ndarray)) for p in parts)  # fmt: skip
