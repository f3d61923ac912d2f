"""The times that native code notes while it runs, for the report on a kernel."""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import numpy as np

from chainrule.graph.emit.llvm.code import INDEX, Code

BEGIN = -1
"""The number of a stamp at the beginning of a native segment."""


class Stamps:
    """Code that reads the machine's counter into memory; `numbers` says what each stamp is the end of."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._last: Any = None

    def write(self, code: Code, slot: int, number: int) -> None:
        """Note the time at this place, unless nothing was written since the last time; `slot` has the memory."""
        here = code.builder.block, len(code.builder.block.instructions)
        if here == self._last:
            return
        is_intel = llvm.get_process_triple().startswith(("x86_64", "i"))
        ticks = code.call("llvm.readcyclecounter" if is_intel else "llvm.readsteadycounter", returns=INDEX)
        place = code.builder.gep(code.slot(slot), [INDEX(len(self.numbers))], source_etype=INDEX)
        code.builder.store(ticks, place)
        self.numbers.append(number)
        self._last = code.builder.block, len(code.builder.block.instructions)

    def spent(self, ticks: np.ndarray) -> dict[int, int]:
        """The ticks of each equation, by its number, for what one run has noted."""
        found: dict[int, int] = {}
        for i, number in enumerate(self.numbers):
            if number != BEGIN:
                found[number] = found.get(number, 0) + int(ticks[i] - ticks[i - 1])
        return found
