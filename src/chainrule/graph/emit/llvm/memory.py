"""Where the intermediate arrays lie: memory that is no longer needed is used again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.graph.emit.llvm.code import Memory

ALIGNMENT = 64


def place(memories: Iterable[Memory]) -> int:
    """Give each part of the workspace its offset; returns the size of the workspace in bytes.

    Parts that are used at the same time do not overlap.
    """
    placed: list[Memory] = []
    for memory in sorted(memories, key=lambda m: (m.first, -m.size)):
        busy = sorted((m for m in placed if m.last >= memory.first), key=lambda m: m.offset)
        memory.offset = _first_gap(busy, _rounded(memory.size))
        placed.append(memory)
        for constant in memory.offsets:
            constant.constant = memory.offset
    return max((m.offset + _rounded(m.size) for m in placed), default=0)


def _rounded(size: int) -> int:
    return -(-max(size, 1) // ALIGNMENT) * ALIGNMENT


def _first_gap(busy: Sequence[Memory], size: int) -> int:
    start = 0
    for memory in busy:
        if memory.offset - start >= size:
            break
        start = max(start, memory.offset + _rounded(memory.size))
    return start


def _overlap(a: Memory, b: Memory) -> bool:
    if a.slot is not None or b.slot is not None:
        return a is b
    return a.offset < b.offset + _rounded(b.size) and b.offset < a.offset + _rounded(a.size)


def declare_apart(module: Any, accesses: Sequence[tuple[Any, Memory]]) -> None:
    """Tell the optimiser which loads and stores cannot meet: those of memories without a byte in common."""
    memories = list(dict.fromkeys(memory for _, memory in accesses))
    domain = module.add_metadata(["chainrule"])
    scope = {m: module.add_metadata([f"memory {i}", domain]) for i, m in enumerate(memories)}
    own = {m: module.add_metadata([scope[m]]) for m in memories}
    others = {m: module.add_metadata([scope[o] for o in memories if not _overlap(m, o)]) for m in memories}
    for instruction, memory in accesses:
        instruction.set_metadata("alias.scope", own[memory])
        instruction.set_metadata("noalias", others[memory])
