"""Where the intermediate arrays lie: memory that is no longer needed is used again."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chainrule.graph.emit.llvm.code import Memory

ALIGNMENT = 64


def place(memories: Iterable[Memory]) -> int:
    """Give each part of the workspace its offset; returns the size of the workspace in bytes.

    Parts that are used at the same time do not overlap.
    """
    busy: list[tuple[int, int, int]] = []
    """Where those that are still used begin and end, and when they are used last; in the order of their places."""
    total = 0
    for memory in sorted(memories, key=lambda m: (m.first, -m.size)):
        size = _rounded(memory.size)
        busy = [taken for taken in busy if taken[2] >= memory.first]
        memory.offset = _first_gap(busy, size)
        insort(busy, (memory.offset, memory.offset + size, memory.last))
        total = max(total, memory.offset + size)
        for constant in memory.offsets:
            constant.constant = memory.offset
    return total


def _rounded(size: int) -> int:
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT


def _first_gap(busy: Sequence[tuple[int, int, int]], size: int) -> int:
    start = 0
    for first, end, _ in busy:
        if first - start >= size:
            break
        start = max(start, end)
    return start


def overlap(a: Memory, b: Memory) -> bool:
    """Whether two memories that are placed have a byte in common."""
    if a.slot is not None or b.slot is not None:
        return a is b
    return a.offset < b.offset + _rounded(b.size) and b.offset < a.offset + _rounded(a.size)


def declare_apart(
    module: Any, accesses: Sequence[tuple[Any, Memory]], may_meet: Callable[[Memory, Memory], bool] = overlap
) -> None:
    """Tell the optimiser which loads and stores cannot meet: those of memories without a byte in common."""
    memories = list(dict.fromkeys(memory for _, memory in accesses))
    domain = module.add_metadata(["chainrule"])
    scope = {m: module.add_metadata([f"memory {i}", domain]) for i, m in enumerate(memories)}
    own = {m: module.add_metadata([scope[m]]) for m in memories}
    others = {m: module.add_metadata([scope[o] for o in memories if not may_meet(m, o)]) for m in memories}
    for instruction, memory in accesses:
        instruction.set_metadata("alias.scope", own[memory])
        instruction.set_metadata("noalias", others[memory])
