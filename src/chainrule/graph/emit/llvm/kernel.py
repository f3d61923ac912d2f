"""Kernel: a compiled graph that runs on arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.graph.emit.llvm.entry import entry
from chainrule.graph.emit.llvm.making import Source, made_of
from chainrule.graph.emit.llvm.native import address_of, optimised
from chainrule.graph.emit.llvm.program import Slots
from chainrule.graph.emit.llvm.report import report
from chainrule.graph.emit.llvm.running import fixed_slots, memory_for, run_step
from chainrule.graph.emit.llvm.threads import threads
from chainrule.graph.ir import Graph
from chainrule.typing import Array

_LOOP = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 5, ctypes.c_int64)


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
        self.source = Source(graph, assume_finite, None if loop is None else tuple(loop))
        self.inputs = graph.inputs
        made = made_of(self.source, keep)
        self.steps, self.workspace, self._slots, self.results, constants, self.library, self.addresses = made
        self.threads = threads()
        self.found = [graph.constants[c].value if isinstance(c, int) else c for c in constants]
        self.constants = [np.ascontiguousarray(array) for array in self.found]
        self.entry = self._entry() if self.is_native else None

    @property
    def graph(self) -> Graph:
        """The equations that the code is written from."""
        return self.source.graph

    def forget(self) -> None:
        """Let go of the arrays that the trace of the graph has computed: the graph shows zeros in their place."""
        self.source.forget()

    def loop(self, *arguments: int) -> int:
        """Run many steps; see `write_loop`."""
        return int(_LOOP(self.addresses["loop"])(*arguments))

    def _entry(self) -> Any:
        """The kernel as a built-in function of all its arrays; None where there is none."""
        workspace = memory_for(self.workspace)
        slots = np.zeros(self._slots, np.uint64)
        slots[-len(Slots.FIXED) :] = fixed_slots(workspace, self.threads)
        self._kept = workspace, slots
        (step,) = self.steps
        assert isinstance(step, str)
        inputs = [np.asarray(v.value) for v in self.inputs]
        total = len(inputs) + len(self.constants) + len(self.results)
        return entry(self.addresses[step], [*inputs, *self.constants], slots, total)

    @property
    def is_native(self) -> bool:
        """Whether a call is one native segment, without NumPy in between."""
        return len(self.steps) == 1 and isinstance(self.steps[0], str)

    def __call__(self, arrays: Sequence[Array]) -> tuple[Any, ...]:
        """The outputs for given inputs."""
        outputs = tuple(np.empty(shape, dtype) for shape, dtype in self.results)
        constants = [np.ascontiguousarray(array) for array in self.found]
        self.run([*(np.ascontiguousarray(a) for a in arrays), *constants, *outputs])
        return outputs

    def run(self, arguments: Sequence[np.ndarray]) -> None:
        """Run on the inputs, constants and outputs, in that order."""
        workspace = memory_for(self.workspace)
        slots = self.slots(arguments, workspace)
        for step in self.steps:
            run_step(step, self.addresses, slots, arguments, workspace)

    def slots(self, arguments: Sequence[np.ndarray], workspace: np.ndarray) -> np.ndarray:
        """The pointers that the native code reads."""
        slots = np.zeros(self._slots, np.uint64)
        for i, array in enumerate(arguments):
            slots[i] = address_of(array)
        slots[len(arguments) : len(arguments) + len(Slots.FIXED)] = fixed_slots(workspace, self.threads)
        return slots

    def report(self) -> str:
        """Each equation, what it has become, and how long it takes: measured on a copy of the code."""
        return report(self.source, self.threads)

    def llvm(self, optimize: bool = False) -> str:
        """The LLVM code, as it was emitted or as LLVM made it."""
        return optimised(self.source.text) if optimize else self.source.text
