"""Code: loops, loads, stores and constants over llvmlite's builder; and the memory that they use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from chainrule.typing import Shape

INDEX, BYTE, BIT, POINTER = ir.IntType(64), ir.IntType(8), ir.IntType(1), ir.PointerType()
SUM_FLAGS = ("reassoc", "contract")
"""A sum may be taken in another order, and with fused products; nothing else is loosened."""

_TYPES = {"f4": ir.FloatType(), "f8": ir.DoubleType(), "b1": BIT}


def has_type(dtype: Any) -> bool:
    """Whether there is native code for elements of a type: float32, float64, bool and all integers."""
    dtype = np.dtype(dtype)
    return dtype.isnative and (dtype.str[1:] in _TYPES or dtype.kind in "iu")


def type_of(dtype: Any) -> Any:
    """The LLVM type of a value of a NumPy type, in a register."""
    dtype = np.dtype(dtype)
    return _TYPES.get(dtype.str[1:]) or ir.IntType(8 * dtype.itemsize)


class Memory:
    """A block of memory: an argument of the kernel (`slot`), or a part of the workspace, which is placed at the end.

    `first` and `last` are the steps of the program in which it is used; memory that is no longer used is used
    again.
    """

    __slots__ = ("first", "last", "offset", "offsets", "size", "slot")

    def __init__(self, size: int, slot: int | None = None) -> None:
        self.size, self.slot = size, slot
        self.first, self.last = -1, -1
        self.offset = 0
        self.offsets: list[Any] = []

    def used(self, step: int) -> None:
        """Note a step of the program in which it is used."""
        self.first = step if self.first < 0 else self.first
        self.last = step


class Place(NamedTuple):
    """Where an element is in its memory: an index, from a start that is known."""

    index: Any
    start: int = 0


class Code:
    """One native function under construction: `status kernel(void** slots)`."""

    def __init__(
        self, function: Any, workspace: int, clock: Callable[[], int], assume_finite: bool = False
    ) -> None:
        self.function, self.module = function, function.module
        self.entry = function.append_basic_block("entry")
        self.builder = ir.IRBuilder(self.entry)
        body = function.append_basic_block("body")
        self.leave = self.builder.branch(body)
        self.builder.position_at_end(body)
        self.workspace, self.clock, self.assume_finite = workspace, clock, assume_finite
        self._pointers: dict[Memory, Any] = {}
        self._slots: dict[int, Any] = {}
        self.accesses: list[tuple[Any, Memory]] = []
        self._table: Any = None
        self._room = 0

    # constants ---------------------------------------------------------------------------------------------

    def index(self, i: Any) -> Any:
        """An index as an LLVM value."""
        return ir.Constant(INDEX, int(i)) if isinstance(i, (int, np.integer)) else i

    def constant(self, number: Any, dtype: Any) -> Any:
        """A number as an LLVM value of a NumPy type."""
        dtype = np.dtype(dtype)
        value = np.asarray(number).astype(dtype).item()
        if dtype.kind == "f":
            return ir.Constant(type_of(dtype), value)
        return ir.Constant(type_of(dtype), int(value))

    # indices: Python's integers as long as they are known -----------------------------------------------------

    def plus(self, a: Any, b: Any) -> Any:
        """The sum of two indices."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if isinstance(a, int) and a == 0:
            return b
        if isinstance(b, int) and b == 0:
            return a
        return self.builder.add(self.index(a), self.index(b), flags=("nsw",))

    def times(self, a: Any, factor: int) -> Any:
        """An index times a number."""
        if isinstance(a, int):
            return a * factor
        if factor in (0, 1):
            return a if factor else 0
        return self.builder.mul(a, self.index(factor), flags=("nsw",))

    def dot(self, idx: Sequence[Any], strides: Sequence[int], start: int = 0) -> Any:
        """The place of an element."""
        place: Any = 0
        for i, stride in zip(idx, strides, strict=True):
            place = self.plus(place, self.times(i, stride))
        return self.plus(place, start)

    def place(self, idx: Sequence[Any], strides: Sequence[int], start: int) -> Place:
        """The place of an element of a view."""
        return Place(self.dot(idx, strides), start)

    # memory --------------------------------------------------------------------------------------------------

    def slot(self, number: int) -> Any:
        """The pointer in a slot."""
        if number not in self._slots:
            with self._at_entry():
                place = self.builder.gep(self.function.args[0], [self.index(number)], source_etype=POINTER)
                self._slots[number] = self.builder.load(place, typ=POINTER)
        return self._slots[number]

    @contextmanager
    def _at_entry(self) -> Iterator[None]:
        block = self.builder.block
        self.builder.position_before(self.leave)
        yield
        self.builder.position_at_end(block)

    def pointer(self, memory: Memory) -> Any:
        """The start of a block of memory."""
        memory.used(self.clock())
        found = self._pointers.get(memory)
        if found is not None:
            return found
        if memory.slot is not None:
            found = self.slot(memory.slot)
        else:
            base, offset = self.slot(self.workspace), ir.Constant(INDEX, 0)
            memory.offsets.append(offset)
            with self._at_entry():
                found = self.builder.gep(base, [offset], inbounds=True, source_etype=BYTE)
        self._pointers[memory] = found
        return found

    def address(self, memory: Memory, place: Place, dtype: Any) -> Any:
        """The address of an element."""
        index = self.index(self.plus(place.index, place.start))
        return self.builder.gep(self.pointer(memory), [index], inbounds=True, source_etype=stored_type(dtype))

    def load(self, memory: Memory, place: Place, dtype: Any) -> Any:
        """An element of memory."""
        address = self.address(memory, place, dtype)
        if np.dtype(dtype) == bool:
            value = self._noted(self.builder.load(address, typ=BYTE, align=1), memory)
            return self.builder.icmp_unsigned("!=", value, ir.Constant(BYTE, 0))
        return self._noted(
            self.builder.load(address, typ=type_of(dtype), align=np.dtype(dtype).itemsize), memory
        )

    def store(self, value: Any, memory: Memory, place: Place, dtype: Any) -> None:
        """Write an element of memory."""
        address = self.address(memory, place, dtype)
        if np.dtype(dtype) == bool:
            value = self.builder.zext(value, BYTE)
        self._noted(self.builder.store(value, address, align=np.dtype(dtype).itemsize), memory)

    def vector_load(self, memory: Memory, place: Place, dtype: Any, width: int) -> Any:
        """So many neighbouring elements."""
        address = self.address(memory, place, dtype)
        kind = ir.VectorType(type_of(dtype), width)
        return self._noted(self.builder.load(address, typ=kind, align=np.dtype(dtype).itemsize), memory)

    def vector_store(self, value: Any, memory: Memory, place: Place, dtype: Any) -> None:
        """Write neighbouring elements."""
        address = self.address(memory, place, dtype)
        self._noted(self.builder.store(value, address, align=np.dtype(dtype).itemsize), memory)

    def table(self, length: int) -> Any:
        """Room for the addresses that a part is called with."""
        if length > self._room:
            with self._at_entry():
                self._table = self.builder.alloca(POINTER, size=ir.Constant(INDEX, 2 * length))
            self._room = 2 * length
        return self._table

    def _noted(self, instruction: Any, memory: Memory) -> Any:
        self.accesses.append((instruction, memory))
        return instruction

    # functions and loops -------------------------------------------------------------------------------------

    def call(self, name: str, *arguments: Any, returns: Any = None) -> Any:
        """Call an intrinsic or a function of the C library, overloaded by the type of its first argument."""
        kind = arguments[0].type if returns is None else returns
        function = self.module.globals.get(name)
        if function is None:
            signature = ir.FunctionType(kind, [a.type for a in arguments])
            function = ir.Function(self.module, signature, name)
        return self.builder.call(function, arguments)

    def call_at(self, pointer: Any, returns: Any, *arguments: Any) -> Any:
        """Call the function at an address."""
        kind = ir.FunctionType(returns, [a.type for a in arguments])
        return self.builder.call(_Typed(pointer, kind), arguments)

    def intrinsic(self, name: str, *arguments: Any, returns: Any = None) -> Any:
        """Call `llvm.name` for the type of its arguments."""
        return self.call(f"llvm.{name}.{_suffix(arguments[0].type)}", *arguments, returns=returns)

    def loop(self, count: int, body: Callable[..., Any], start: Sequence[Any] = ()) -> list[Any]:
        """For i in range(count): carried = body(i, *carried); the last of what is carried."""
        if count == 0:
            return list(start)
        if count == 1:
            return list(body(0, *start) or ())
        return self.between(self.index(0), self.index(count), body, start)

    def between(
        self, first: Any, last: Any, body: Callable[..., Any], start: Sequence[Any] = ()
    ) -> list[Any]:
        """The same for i from `first` to below `last`, values that leave something to do."""
        b, before = self.builder, self.builder.block
        block = self.function.append_basic_block("loop")
        b.branch(block)
        b.position_at_end(block)
        i = b.phi(INDEX)
        i.add_incoming(first, before)
        carried = [b.phi(value.type) for value in start]
        for phi, value in zip(carried, start, strict=True):
            phi.add_incoming(value, before)
        results = list(body(i, *carried) or ())
        following = b.add(i, ir.Constant(INDEX, 1), flags=("nuw", "nsw"))
        i.add_incoming(following, b.block)
        for phi, value in zip(carried, results, strict=True):
            phi.add_incoming(value, b.block)
        after = self.function.append_basic_block("after")
        b.cbranch(b.icmp_unsigned("<", following, last), block, after)
        b.position_at_end(after)
        return results

    def pieces(self, count: int, body: Callable[[Any], Any], rest: Callable[[], Any] | None = None) -> None:
        """For i in range(count): body(i), and then rest(): none depends on another, so that threads may share them."""
        self.loop(count, body)
        if rest is not None:
            rest()

    def nest(
        self, shape: Shape, order: Sequence[int], body: Callable[..., Any], start: Sequence[Any] = (),
        shared: int | None = None,
    ) -> list[Any]:  # fmt: skip
        """Loops over all axes, the last of `order` innermost; body(idx, *carried), idx in the order of the axes.

        Threads may share the axis `shared`: nothing is carried along it.
        """
        idx: list[Any] = [0] * len(shape)

        def level(depth: int, carried: Sequence[Any]) -> Sequence[Any]:
            if depth == len(order):
                return body(tuple(idx), *carried) or ()

            def inner(i: Any, *values: Any) -> Sequence[Any]:
                idx[order[depth]] = i
                return level(depth + 1, values)

            if order[depth] == shared and shape[shared] > 1:
                self.pieces(shape[shared], inner)
                return ()
            return self.loop(shape[order[depth]], inner, carried)

        return list(level(0, list(start))) if math.prod(shape) else list(start)

    def return_if(self, condition: Any, status: int) -> None:
        """Leave the kernel with a status."""
        with self.builder.if_then(condition, likely=False):
            self.builder.ret(ir.Constant(ir.IntType(32), status))


class _Typed:
    """A pointer as a function of a known type, for llvmlite's builder."""

    def __init__(self, pointer: Any, kind: Any) -> None:
        self.pointer, self.function_type, self.calling_convention = pointer, kind, ""
        self.type, self.attributes = pointer.type, ir.FunctionAttributes()

    def get_reference(self) -> str:
        return str(self.pointer.get_reference())

    @property
    def return_value(self) -> Any:
        return ir.ReturnValue(self, self.function_type.return_type)


def widest(shape: Shape, order: Sequence[int]) -> int | None:
    """The axis that threads share: the outermost with as many pieces as do for many threads, or else the longest.

    >>> widest((3, 512, 7), (0, 1, 2)), widest((), ())
    (1, None)
    """
    return max(order, key=lambda a: min(shape[a], 64), default=None)


def stored_type(dtype: Any) -> Any:
    """The LLVM type of an element in memory."""
    return BYTE if np.dtype(dtype).kind == "b" else type_of(dtype)


def _suffix(kind: Any) -> str:
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{_suffix(kind.element)}"
    return {"float": "f32", "double": "f64"}.get(str(kind), str(kind))
