"""The native loop around a kernel: gather rows, run, let the outputs be the next inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from chainrule.graph.emit.llvm.code import BYTE, INDEX, POINTER

STATUS = ir.IntType(32)


class Layout:
    """Which slots of a kernel hold the batch and the loss, and how long the rows are, in bytes."""

    def __init__(
        self, states: int, rows: int, row_bytes: Sequence[int], slots: int, loss: int, loss_bytes: int
    ) -> None:
        self.states, self.rows, self.row_bytes, self.slots = states, rows, row_bytes, slots
        self.loss, self.loss_bytes = loss, loss_bytes


def write_loop(module: Any, kernel: str, layout: Layout) -> str:
    """Add `status loop(tables, sources, order, losses, done, count)` to a module; returns its name.

    `tables` holds the kernel's slots twice: state 0 into state 1, and back. `done` says how many steps were run, and so
    which state is the newest.
    """
    name = "loop"
    function = ir.Function(module, ir.FunctionType(STATUS, [POINTER] * 5 + [INDEX]), name)
    tables, sources, order, losses, done, count = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    step, stop, after = (function.append_basic_block(n) for n in ("step", "stop", "after"))
    entry = b.block
    b.cbranch(b.icmp_signed(">", count, INDEX(0)), step, stop)
    b.position_at_end(step)
    i = b.phi(INDEX)
    i.add_incoming(INDEX(0), entry)
    finished = b.load(done, typ=INDEX)
    parity = b.and_(finished, INDEX(1))
    slots = b.gep(tables, [b.mul(parity, INDEX(layout.slots))], source_etype=POINTER)
    first = b.gep(order, [b.mul(i, INDEX(layout.rows))], source_etype=INDEX)
    for number, length in enumerate(layout.row_bytes):
        source = b.load(b.gep(sources, [INDEX(number)], source_etype=POINTER), typ=POINTER)
        target = b.load(b.gep(slots, [INDEX(layout.states + number)], source_etype=POINTER), typ=POINTER)
        _gather(function, b, source, target, first, layout.rows, length)
    loss = b.gep(losses, [b.mul(i, INDEX(layout.loss_bytes))], source_etype=BYTE)
    b.store(loss, b.gep(slots, [INDEX(layout.loss)], source_etype=POINTER))
    status = b.call(module.globals[kernel], [slots])
    b.cbranch(b.icmp_unsigned("==", status, STATUS(0)), after, stop)
    b.position_at_end(after)
    b.store(b.add(finished, INDEX(1)), done)
    following = b.add(i, INDEX(1))
    i.add_incoming(following, after)
    b.cbranch(b.icmp_signed("<", following, count), step, stop)
    b.position_at_end(stop)
    answer = b.phi(STATUS)
    answer.add_incoming(STATUS(0), entry)
    answer.add_incoming(status, status.parent)
    answer.add_incoming(STATUS(0), after)
    b.ret(answer)
    return name


def _gather(function: Any, b: Any, source: Any, target: Any, order: Any, rows: int, length: int) -> None:
    """Copy the rows that `order` names."""
    if not length or not rows:
        return
    copy = function.module.globals.get("llvm.memcpy.p0.p0.i64")
    if copy is None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, INDEX, ir.IntType(1)])
        copy = ir.Function(function.module, kind, "llvm.memcpy.p0.p0.i64")
    before = b.block
    block, after = function.append_basic_block("row"), function.append_basic_block("gathered")
    b.branch(block)
    b.position_at_end(block)
    r = b.phi(INDEX)
    r.add_incoming(INDEX(0), before)
    row = b.load(b.gep(order, [r], source_etype=INDEX), typ=INDEX)
    start = b.gep(source, [b.mul(row, INDEX(length))], source_etype=BYTE)
    b.call(
        copy,
        [b.gep(target, [b.mul(r, INDEX(length))], source_etype=BYTE), start, INDEX(length), ir.IntType(1)(0)],
    )
    following = b.add(r, INDEX(1))
    r.add_incoming(following, block)
    b.cbranch(b.icmp_unsigned("<", following, INDEX(rows)), block, after)
    b.position_at_end(after)
