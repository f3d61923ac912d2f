"""Copies between arrays that lie in memory along different axes, in square blocks that are turned in registers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from chainrule.graph.emit.llvm.code import Code, widest
from chainrule.graph.emit.llvm.products import vector_width
from chainrule.graph.emit.llvm.values import Value, View, size_of
from chainrule.typing import Shape

FEWEST = 64
"""From so many elements on, blocks pay. (Of 64 x 64 floats they take 0.6 of the time of single loads and stores, of
1000 x 1000 half of the time that strips of single ones take.)"""
SMALLEST, LARGEST = 4, 8
"""How long the side of a block may be; 16 would be as fast, and takes longer to compile."""


def copying(view: View, value: Value) -> float:
    """About how many instructions it takes to copy a value to a view."""
    return size_of(view.shape) * (2.0 if in_blocks(view, value) is None else 0.5)


def in_blocks(view: View, value: Value) -> Blocks | None:
    """The copy of a value to a view, in blocks; None where they lie alike, are small, or the value is a formula."""
    if not isinstance(value, View) or value.dtype != view.dtype or size_of(view.shape) < max(FEWEST, 1):
        return None
    across, along = view.order[-1], value.order[-1]
    if across == along or view.strides[across] != 1 or value.strides[along] != 1:
        return None
    longest = min(view.shape[across], view.shape[along], vector_width(view.dtype), LARGEST)
    side = 1 << longest.bit_length() - 1
    return Blocks(_of_bytes(view), _of_bytes(value), across, along, side) if side >= SMALLEST else None


def _of_bytes(view: View) -> View:
    """A view of truth values as one of bytes, which is what they are in memory."""
    if view.dtype != bool:
        return view
    return View(view.memory, np.uint8, view.shape, view.strides, view.offset)


class Blocks(NamedTuple):
    """A copy of `value`, whose neighbours lie along one axis, to `view`, whose neighbours lie across it."""

    view: View
    value: View
    across: int
    along: int
    side: int

    def loops(self) -> Iterator[tuple[float, Callable[[Code], None]]]:
        """What writes the loops over whole blocks, and those over what is left at the end of each of the two axes.

        Each comes with the share of all elements that it copies. Threads share them one after the other: what is left
        has other pieces than the blocks have.
        """
        counts = tuple(
            n // self.side if a in (self.across, self.along) else n for a, n in enumerate(self.view.shape)
        )
        yield size_of(counts) * self.side**2 / size_of(self.view.shape), partial(self._whole, counts)
        done = {axis: counts[axis] * self.side for axis in (self.across, self.along)}
        yield from self._left({self.across: done[self.across]}, {})
        yield from self._left({self.along: done[self.along]}, {self.across: done[self.across]})

    def _whole(self, counts: Shape, code: Code) -> None:
        # With `across` innermost, a few lines of the view are written at a time, each from end to end.
        order = [*(a for a in self.view.order if a not in (self.across, self.along)), self.along, self.across]
        code.nest(counts, order, lambda idx: self._block(code, idx), shared=widest(counts, order))

    def _block(self, code: Code, idx: Sequence[Any]) -> None:
        axes, view, value = (self.across, self.along), self.view, self.value
        corner = [code.times(i, self.side) if a in axes else i for a, i in enumerate(idx)]

        def place(of: View, axis: int, k: int) -> Any:
            return of.place(code, [code.plus(i, k) if a == axis else i for a, i in enumerate(corner)])

        rows = [
            code.vector_load(value.memory, place(value, self.across, k), value.dtype, self.side)
            for k in range(self.side)
        ]
        for k, column in enumerate(_columns(code.builder, rows)):
            code.vector_store(column, view.memory, place(view, self.along, k), view.dtype)

    def _left(
        self, first: dict[int, int], last: dict[int, int]
    ) -> Iterator[tuple[float, Callable[[Code], None]]]:
        """The copy one by one, from a first index along one axis, to below a last one along another."""
        lengths = tuple(last.get(a, n) - first.get(a, 0) for a, n in enumerate(self.view.shape))
        order = self.view.order

        def write(code: Code) -> None:
            def one(idx: Sequence[Any]) -> None:
                place = [code.plus(i, first.get(a, 0)) for a, i in enumerate(idx)]
                self.view.store(code, place, self.value.at(code, place))

            code.nest(lengths, order, one, shared=widest(lengths, order))

        if size_of(lengths):
            yield size_of(lengths) / size_of(self.view.shape), write


def _columns(builder: Any, rows: list[Any]) -> list[Any]:
    """The columns of a square block, given its rows.

    Row and column of each element exchange one bit of their numbers at a time: of two rows whose numbers differ in
    that bit, each hands the other a half of its elements.
    """
    side, kind = len(rows), ir.VectorType(ir.IntType(32), len(rows))
    for bit in (1 << b for b in range(side.bit_length() - 1)):
        low = ir.Constant(kind, [side + (c ^ bit) if c & bit else c for c in range(side)])
        high = ir.Constant(kind, [side + c if c & bit else c ^ bit for c in range(side)])
        for r in (r for r in range(side) if not r & bit):
            pair = rows[r], rows[r + bit]
            rows[r], rows[r + bit] = (builder.shuffle_vector(*pair, mask) for mask in (low, high))
    return rows
