"""Long programs, written as many functions: what is computed many times, at other places, is one function.

A network that is unrolled over time steps repeats the same loops. Each equation becomes a function of the addresses
it works on; where the text of one exists already, that is called. This keeps the time of compilation short.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.graph.emit.llvm.code import BYTE, INDEX, POINTER, Code, Memory, Place, stored_type
from chainrule.graph.emit.llvm.memory import declare_apart

STATUS = ir.IntType(32)
MOST = 250
"""Up to so many equations are one function."""


class Part(Code):
    """The code of one equation, as a function of a table of addresses."""

    def __init__(self, function: Any, clock: Callable[[], int], assume_finite: bool) -> None:
        super().__init__(function, -1, clock, assume_finite)
        self.entries: dict[Any, Any] = {}

    def slot(self, number: int) -> Any:
        """The pointer in a slot, as an entry of the table."""
        return self._entry(number)

    def address(self, memory: Memory, place: Place, dtype: Any) -> Any:
        """The address of an element."""
        memory.used(self.clock())
        stored = stored_type(dtype)
        pointer = self._entry((memory, place.start * np.dtype(dtype).itemsize))
        return self.builder.gep(pointer, [self.index(place.index)], inbounds=True, source_etype=stored)

    def _entry(self, key: Any) -> Any:
        if key not in self.entries:
            with self._at_entry():
                place = self.builder.gep(
                    self.function.args[0], [self.index(len(self.entries))], source_etype=POINTER
                )
                self.entries[key] = self.builder.load(place, typ=POINTER)
        return self.entries[key]


class Parts:
    """The parts of a program, each text once."""

    def __init__(self, module: Any, clock: Callable[[], int], assume_finite: bool) -> None:
        self.module, self._clock, self._finite = module, clock, assume_finite
        self._known: dict[Any, str] = {}
        self._written: dict[Any, tuple[str, list[int]]] = {}
        self._open: Part | None = None
        self._count = 0

    @property
    def part(self) -> Part:
        """The part that is being written."""
        if self._open is None:
            function = ir.Function(self.module, ir.FunctionType(STATUS, [POINTER]), f"part_{self._count}")
            self._count += 1
            function.linkage = "internal"
            function.attributes.add("noinline")
            self._open = Part(function, self._clock, self._finite)
        return self._open

    def remembered(
        self,
        key: Any,
        addresses: list[tuple[Memory, int]],
        main: Callable[[], Code],
        write: Callable[[], None],
    ) -> None:
        """Write a part that depends on `key` and addresses only; or call the one that was written for that key."""
        self.close(main)
        key = key, tuple(addresses.index(a) for a in addresses), tuple(_same([m for m, _ in addresses]))
        if key not in self._written:
            write()
            entries = list(self.part.entries)
            self._written[key] = self.close(main), [addresses.index(e) for e in entries]
            return
        name, order = self._written[key]
        for memory, _ in addresses:
            memory.used(self._clock())
        if name:
            self._call(main(), name, [addresses[i] for i in order], may_fail=False)

    def close(self, main: Callable[[], Code]) -> str:
        """End the part that is being written, and call it, or its twin, from the main function; its name."""
        part, self._open = self._open, None
        if part is None:
            return ""
        name = str(part.function.name)
        if not part.entries:  # nothing was written
            del self.module.globals[name]
            return ""
        part.builder.ret(STATUS(0))
        text = str(part.function).replace(f"@{name}", "@", 1).replace(f'@"{name}"', "@", 1)
        memories = [k if isinstance(k, int) else k[0] for k in part.entries]
        key = text, tuple(_same(memories))
        if key in self._known:
            del self.module.globals[name]
            name = self._known[key]
        else:
            self._known[key] = name
            declare_apart(self.module, part.accesses)
        self._call(main(), name, list(part.entries), "ret i32 1" in text)
        return name

    def _call(self, main: Code, name: str, entries: list[Any], may_fail: bool) -> None:
        b = main.builder
        table = main.table(len(entries))
        for i, key in enumerate(entries):
            pointer = main.slot(key) if isinstance(key, int) else main.pointer(key[0])
            if not isinstance(key, int) and key[1]:
                pointer = b.gep(pointer, [INDEX(key[1])], source_etype=BYTE)
            b.store(pointer, b.gep(table, [INDEX(i)], source_etype=POINTER))
        status = b.call(self.module.globals[name], [table])
        if may_fail:
            main.return_if(b.icmp_unsigned("!=", status, STATUS(0)), 1)


def _same(things: list[Any]) -> list[int]:
    """For each, the first that is the same: what may overlap, and what cannot."""
    numbers = [id(t) for t in things]
    return [numbers.index(n) for n in numbers]
