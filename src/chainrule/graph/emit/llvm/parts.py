"""Parts of a program that are functions of their own, of a table of the addresses that they work on.

Two kinds of code are written so. In a long program, such as a network that is unrolled over time steps, each equation
is a part, and where the text of one exists already, that is called: this keeps the time of compilation short. And loops
that are worth several threads are a part, which each thread runs from one piece of the work to another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from chainrule.graph.emit.llvm.code import BYTE, INDEX, POINTER, Code, Memory, Place, stored_type
from chainrule.graph.emit.llvm.memory import declare_apart

STATUS = ir.IntType(32)
MOST = 250
"""Up to so many equations are one function."""


class Part(Code):
    """A function under construction: `status part(void** table, first, last)`.

    If it is shared, `first` and `last` say which of the pieces of its loops are to be done, of `count` in all.
    """

    def __init__(
        self, function: Any, clock: Callable[[], int], assume_finite: bool, is_shared: bool = False
    ) -> None:
        super().__init__(function, -1, clock, assume_finite)
        self.entries: dict[Any, Any] = {}
        self.is_shared = is_shared
        self.count = 0

    def pieces(self, count: int, body: Callable[[Any], Any], rest: Callable[[], Any] | None = None) -> None:
        """Loops whose passes are independent of each other: those of one thread."""
        if not self.is_shared:
            super().pieces(count, body, rest)
            return
        b, (_, first, last) = self.builder, self.function.args
        total = count + (rest is not None)
        assert self.count in (0, total), "the loops of a shared part have the same pieces"
        self.count = total
        if rest is None:
            self.between(first, last, body)
            return
        end = self.intrinsic("umin", last, self.index(count))
        with b.if_then(b.icmp_unsigned("<", first, end)):
            self.between(first, end, body)
        with b.if_then(b.icmp_unsigned("==", last, self.index(total))):
            rest()

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


class Done(NamedTuple):
    """A part that is written: its name, how many pieces threads share (0 if none), whether it may fail."""

    name: str
    pieces: int
    may_fail: bool


class Parts:
    """The parts of a program, each text once. `share` and `threads` are slots of the kernel."""

    def __init__(
        self, module: Any, clock: Callable[[], int], assume_finite: bool, share: int, threads: int
    ) -> None:
        self.module, self._clock, self._finite = module, clock, assume_finite
        self._share, self._threads = share, threads
        self._known: dict[Any, Done] = {}
        self._written: dict[Any, tuple[Done | None, list[int]]] = {}
        self._open: Part | None = None
        self._count = 0

    def part(self, is_shared: bool = False) -> Part:
        """The part that is being written; a new one, if there is none."""
        if self._open is None:
            kind = ir.FunctionType(STATUS, [POINTER, INDEX, INDEX])
            function = ir.Function(self.module, kind, f"part_{self._count}")
            self._count += 1
            function.linkage = "internal"
            function.attributes.add("noinline")
            self._open = Part(function, self._clock, self._finite, is_shared)
        return self._open

    def remembered(
        self,
        key: Any,
        addresses: list[tuple[Memory, int]],
        main: Callable[[], Code],
        write: Callable[[Code], None],
        is_shared: bool,
    ) -> Done | None:
        """Write a part that depends on `key` and addresses only; or call the one that was written for that key."""
        self.close(main)
        key = key, tuple(addresses.index(a) for a in addresses), tuple(_same([m for m, _ in addresses]))
        if key not in self._written:
            part = self.part(is_shared)
            write(part)
            entries = list(part.entries)
            done = self.close(main)
            self._written[key] = done, [addresses.index(e) for e in entries]
            return done
        done, order = self._written[key]
        for memory, _ in addresses:
            memory.used(self._clock())
        if done:
            self._call(main(), done, [addresses[i] for i in order])
        return done

    def close(self, main: Callable[[], Code]) -> Done | None:
        """End the part that is being written, and call it, or its twin, from the main function."""
        part, self._open = self._open, None
        if part is None:
            return None
        name = str(part.function.name)
        if not part.entries:  # nothing was written
            del self.module.globals[name]
            return None
        part.builder.ret(STATUS(0))
        text = str(part.function).replace(f"@{name}", "@", 1).replace(f'@"{name}"', "@", 1)
        memories = [k if isinstance(k, int) else k[0] for k in part.entries]
        key = text, part.count, tuple(_same(memories))
        if key in self._known:
            del self.module.globals[name]
        else:
            self._known[key] = Done(name, part.count, "ret i32 1" in text)
            # What is used by one equation is alive at the same time, so that different memories do not overlap.
            declare_apart(self.module, part.accesses, lambda one, other: one is other)
        self._call(main(), self._known[key], list(part.entries))
        return self._known[key]

    def _call(self, main: Code, done: Done, entries: list[Any]) -> None:
        b = main.builder
        table = main.table(len(entries))
        for i, key in enumerate(entries):
            pointer = main.slot(key) if isinstance(key, int) else main.pointer(key[0])
            if not isinstance(key, int) and key[1]:
                pointer = b.gep(pointer, [INDEX(key[1])], source_etype=BYTE)
            b.store(pointer, b.gep(table, [INDEX(i)], source_etype=POINTER))
        function = self.module.globals[done.name]
        if done.pieces > 1:
            threads = b.ptrtoint(main.slot(self._threads), INDEX)
            main.call_at(main.slot(self._share), STATUS, function, table, INDEX(done.pieces), threads)
            return
        status = b.call(function, [table, INDEX(0), INDEX(done.pieces)])
        if done.may_fail:
            main.return_if(b.icmp_unsigned("!=", status, STATUS(0)), 1)


def _same(things: list[Any]) -> list[int]:
    """For each, the first that is the same: what may overlap, and what cannot."""
    numbers = [id(t) for t in things]
    return [numbers.index(n) for n in numbers]
