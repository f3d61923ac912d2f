"""Kernel: a compiled graph that runs on arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.emit.expansion import expanded
from chainrule.graph.emit.llvm.entry import entry
from chainrule.graph.emit.llvm.indexing import OUT_OF_BOUNDS
from chainrule.graph.emit.llvm.likeness import likeness
from chainrule.graph.emit.llvm.native import Library, address_of, blas, cache_folder, object_code, optimised
from chainrule.graph.emit.llvm.program import Called, Lowered
from chainrule.graph.emit.llvm.repeating import Layout, write_loop
from chainrule.graph.emit.llvm.values import View
from chainrule.graph.emit.llvm.writers import lowered
from chainrule.graph.ir import Graph, all_names, text
from chainrule.typing import Array

_LOOP = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 5, ctypes.c_int64)
_SEGMENT = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)

MOST = 64
"""So much code is remembered in memory, so that a function that is made anew, as in each fit, is not compiled anew."""


class _Made(NamedTuple):
    """What is made of a graph: it depends on no value of its arrays."""

    lowered: Lowered
    text: str
    library: Library | None
    addresses: dict[str, int]


_KNOWN: dict[Hashable, _Made] = {}
"""By likeness of the graph and the options; the code that was used last is at the end."""


class Kernel:
    """A compiled graph: called with arrays for its inputs, it returns fresh arrays for its outputs.

    The arrays must be C-contiguous and have the shapes and types that the graph was traced with. Constants are
    read at each call.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        keep: bool = True,
        assume_finite: bool = False,
        loop: Sequence[int] | None = None,
    ) -> None:
        self.graph = expanded(graph)
        self.results = [(tuple(a.shape), np.asarray(a.value).dtype) for a in self.graph.outputs]
        made = self._made(keep, assume_finite, None if loop is None else tuple(loop))
        self.lowered, self.text, self.library, self.addresses = made
        self.constants = [np.ascontiguousarray(c.value) for c in self.graph.constants]
        self.entry = self._entry() if self.is_native else None

    def _made(self, keep: bool, assume_finite: bool, loop: tuple[int, ...] | None) -> _Made:
        """The code; that of an earlier graph if it is the same program."""
        like = likeness(self.graph)
        key = None if like is None else (like, keep, assume_finite, loop, cache_folder())
        if key in _KNOWN:
            _KNOWN[key] = made = _KNOWN.pop(key)
            return made
        made = self._new(keep, assume_finite, loop)
        if key is not None and all(isinstance(step, str) for step in made.lowered.steps):
            _KNOWN[key] = made
            while len(_KNOWN) > MOST:
                _KNOWN.pop(next(iter(_KNOWN)))
        return made

    def _new(self, keep: bool, assume_finite: bool, loop: tuple[int, ...] | None) -> _Made:
        written = lowered(self.graph, "kernel", assume_finite)
        names = tuple(s for s in written.steps if isinstance(s, str))
        if loop is not None and len(written.steps) == len(names) == 1:
            names += (write_loop(written.module, names[0], self._layout(loop, written.slots)),)
        text = str(written.module)
        library = Library(object_code(text, keep), names) if names else None
        addresses = {n: library.address(n) for n in names} if library else {}
        return _Made(written._replace(module=None), text, library, addresses)

    def _layout(self, row_bytes: Sequence[int], slots: int) -> Layout:
        states = len(self.results) - 1
        rows = self.graph.inputs[states].shape[0] if row_bytes else 0
        loss = len(self.graph.inputs) + len(self.graph.constants) + states
        return Layout(states, rows, row_bytes, slots, loss, self.results[-1][1].itemsize)

    def loop(self, *arguments: int) -> int:
        """Run many steps; see `write_loop`."""
        return int(_LOOP(self.addresses["loop"])(*arguments))

    def _entry(self) -> Any:
        """The kernel as a built-in function of all its arrays; None where there is none."""
        workspace = np.empty(self.lowered.workspace + 64, np.uint8)
        slots = np.zeros(self.lowered.slots, np.uint64)
        slots[-3:] = (aligned(workspace), *blas())
        self._kept = workspace, slots
        (step,) = self.lowered.steps
        assert isinstance(step, str)
        inputs = [np.asarray(v.value) for v in self.graph.inputs]
        total = len(inputs) + len(self.constants) + len(self.results)
        return entry(self.addresses[step], [*inputs, *self.constants], slots, total)

    @property
    def is_native(self) -> bool:
        """Whether a call is one native segment, without NumPy in between."""
        return len(self.lowered.steps) == 1 and isinstance(self.lowered.steps[0], str)

    def __call__(self, arrays: Sequence[Array]) -> tuple[Any, ...]:
        """The outputs for given inputs."""
        outputs = tuple(np.empty(shape, dtype) for shape, dtype in self.results)
        constants = [np.ascontiguousarray(c.value) for c in self.graph.constants]
        self.run([*(np.ascontiguousarray(a) for a in arrays), *constants, *outputs])
        return outputs

    def run(self, arguments: Sequence[np.ndarray]) -> None:
        """Run on the inputs, constants and outputs, in that order."""
        workspace = np.empty(self.lowered.workspace + 64, np.uint8)
        slots = self.slots(arguments, workspace)
        for step in self.lowered.steps:
            if isinstance(step, str):
                status = _SEGMENT(self.addresses[step])(slots.ctypes.data)
                if status == OUT_OF_BOUNDS:
                    raise IndexError("an index is out of bounds for the array that it is used on")
            else:
                _call(step, arguments, workspace)

    def slots(self, arguments: Sequence[np.ndarray], workspace: np.ndarray) -> np.ndarray:
        """The pointers that the native code reads."""
        slots = np.zeros(self.lowered.slots, np.uint64)
        for i, array in enumerate(arguments):
            slots[i] = address_of(array)
        slots[len(arguments) : len(arguments) + 3] = (aligned(workspace), *blas())
        return slots

    def report(self) -> str:
        """Each equation and what it has become; the share of the work, estimated; the memory."""
        names = all_names(self.graph)
        total = sum(note.work for note in self.lowered.report) or 1
        lines = [
            (text(equation, names), f"{note.work / total:4.0%}" if note.work else "", note.how)
            for equation, note in zip(self.graph.equations, self.lowered.report, strict=True)
        ]
        width = max((len(line[0]) for line in lines), default=0)
        segments = sum(isinstance(s, str) for s in self.lowered.steps)
        return "\n".join(
            [
                f"{self.graph.name}: {segments} native segment{'s' * (segments != 1)}, "
                f"{self.lowered.workspace} bytes of memory for intermediate arrays",
                *(f"  {line:{width}}  {share:4}  {how}" for line, share, how in lines),
            ]
        )

    def llvm(self, optimize: bool = False) -> str:
        """The LLVM code, as it was emitted or as LLVM made it."""
        return str(optimised(self.text)) if optimize else self.text


def aligned(workspace: np.ndarray) -> int:
    """The first address in the workspace that is a multiple of 64."""
    return -(-address_of(workspace) // 64) * 64


def _call(step: Called, arguments: Sequence[np.ndarray], workspace: np.ndarray) -> None:
    """Let NumPy compute an equation on the memory of the kernel."""
    start = aligned(workspace) - address_of(workspace)

    def array(view: View) -> np.ndarray:
        memory, size = view.memory, view.dtype.itemsize
        if memory.slot is not None:
            whole = arguments[memory.slot].reshape(-1)
        else:
            first = start + memory.offset
            whole = workspace[first : first + memory.size].view(view.dtype)
        return np.lib.stride_tricks.as_strided(
            whole[view.offset :], view.shape, [s * size for s in view.strides]
        )

    found = step.equation.evaluate({v: array(view) for v, view in step.inputs.items()})
    for view, value in zip(step.outputs, found, strict=True):
        array(view)[...] = value
