"""Lowering: a graph of simple primitives on its way to native functions, with static shapes.

Each value is a View of memory or a formula (Lazy) that is written where it is used. Native code runs in segments:
between two of them, an equation without native code is computed by NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from llvmlite import ir

from chainrule.graph.emit.expansion import is_ours
from chainrule.graph.emit.llvm.code import POINTER, Code, Memory, has_type
from chainrule.graph.emit.llvm.elements import converted, literal
from chainrule.graph.emit.llvm.memory import declare_apart, place
from chainrule.graph.emit.llvm.moves import MOVES
from chainrule.graph.emit.llvm.parts import MOST, Parts
from chainrule.graph.emit.llvm.values import Lazy, Value, View, layout, size_of, strides_of
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable
from chainrule.typing import Shape

STATUS = ir.IntType(32)
WORTH_STORING = 3
"""A formula that costs more is not written twice."""
LONGEST = 150
"""A formula that costs more is not made part of another one."""


class Called(NamedTuple):
    """An equation that NumPy computes between two native segments."""

    equation: Equation
    inputs: dict[Variable, View]
    outputs: tuple[View, ...]


class Note(NamedTuple):
    """What an equation has become, and about how many instructions it takes."""

    how: str
    work: float


class Lowered(NamedTuple):
    """What a graph has become: a module with the native segments, and the steps of a call in order."""

    module: Any
    steps: tuple[str | Called, ...]
    workspace: int
    slots: int
    report: tuple[Note, ...]


class Slots:
    """Which pointer the kernel finds where: inputs, constants, outputs, the workspace, the two products of BLAS."""

    def __init__(self, inputs: int, constants: int, outputs: int) -> None:
        self.inputs, self.constants, self.outputs = inputs, constants, outputs
        self.workspace = inputs + constants + outputs
        self.single, self.double = self.workspace + 1, self.workspace + 2
        self.count = self.workspace + 3


class Lowering:
    """One graph on its way to native code; `writers` has one for each primitive, and one for those left under ""."""

    def __init__(
        self, graph: Graph, name: str, writers: Mapping[str, Writer], assume_finite: bool = False
    ) -> None:
        self.graph, self.name, self.writers, self.assume_finite = graph, name, writers, assume_finite
        self.module = ir.Module(name)
        self.slots = Slots(len(graph.inputs), len(graph.constants), len(graph.outputs))
        self.clock = 0
        long = len(graph.equations) > MOST
        self.parts = Parts(self.module, lambda: self.clock, assume_finite) if long else None
        self.steps: list[str | Called] = []
        self.codes: list[Code] = []
        self.memories: list[Memory] = []
        self.values: dict[Variable, Value] = {}
        self.packed: dict[Any, View] = {}
        self.report: list[Note] = []
        for i, variable in enumerate((*graph.inputs, *graph.constants)):
            self.values[variable] = self.argument(i, variable.dtype, variable.shape)
        self.results = self._result_views()
        self.consumers: dict[Variable, list[Equation]] = {}
        for equation in graph.equations:
            for variable in equation.used():
                self.consumers.setdefault(variable, []).append(equation)

    def _result_views(self) -> dict[Variable, View]:
        """The first output that each Variable is, as its memory."""
        views: dict[Variable, View] = {}
        for i, atom in enumerate(self.graph.outputs):
            if isinstance(atom, Variable) and atom not in self.values and atom not in views:
                views[atom] = self.argument(self._output_slot(i), atom.dtype, atom.shape)
        return views

    def _output_slot(self, i: int) -> int:
        return self.slots.inputs + self.slots.constants + i

    # memory --------------------------------------------------------------------------------------------------

    def argument(self, slot: int, dtype: Any, shape: Shape) -> View:
        """A C-contiguous array that the kernel is given."""
        dtype = np.dtype(dtype)
        memory = Memory(size_of(shape) * dtype.itemsize, slot)
        return View(memory, dtype, shape, strides_of(shape, range(len(shape))))

    def new(self, dtype: Any, shape: Shape, order: Sequence[int] | None = None) -> View:
        """An array in the workspace."""
        dtype = np.dtype(dtype)
        memory = Memory(size_of(shape) * dtype.itemsize)
        self.memories.append(memory)
        return View(memory, dtype, shape, strides_of(shape, layout(shape) if order is None else order))

    def destination(self, variable: Variable) -> View:
        """Where the value of a Variable is to be written."""
        view = self.results.get(variable) or self.new(variable.dtype, variable.shape)
        self.values[variable] = view
        return view

    def fill(self, view: View, value: Value) -> None:
        """Write all elements of a value."""
        code = self.code

        def one(idx: tuple[Any, ...]) -> None:
            view.store(code, idx, converted(code, value.at(code, idx), value.dtype, view.dtype))

        code.nest(view.shape, view.order, one)

    def stored(self, value: Value, order: Sequence[int] | None = None) -> View:
        """The value in memory."""
        if isinstance(value, View):
            return value
        view = self.new(value.dtype, value.shape, value.order if order is None else order)
        self.fill(view, value)
        return view

    def stored_atom(self, atom: Atom) -> View:
        """An atom in memory; it stays there for its next use."""
        view = self.stored(self.value(atom))
        if isinstance(atom, Variable):
            self.values[atom] = view
        return view

    def packed_as(self, view: View, order: Sequence[int]) -> View:
        """A copy of a view with its axes in another order; made once."""
        key = (view.memory, view.offset, view.strides, view.shape, tuple(order))
        if key not in self.packed:
            self.packed[key] = copy = self.new(view.dtype, view.shape, order)
            self.fill(copy, view)
        return self.packed[key]

    def variants(self, view: View) -> list[View]:
        """The view, and the copies of it that exist."""
        same = (view.memory, view.offset)
        found = [view]
        for (memory, offset, strides, shape, _), copy in self.packed.items():
            if (memory, offset) != same or sorted(zip(strides, shape, strict=True)) != sorted(
                zip(view.strides, view.shape, strict=True)
            ):
                continue
            axes = [
                list(zip(strides, shape, strict=True)).index(p)
                for p in zip(view.strides, view.shape, strict=True)
            ]
            if len(set(axes)) == len(axes):
                found.append(copy.with_(view.shape, [copy.strides[a] for a in axes]))
        return found

    # values --------------------------------------------------------------------------------------------------

    @property
    def code(self) -> Code:
        """The native code that is being written."""
        return self.segment() if self.parts is None else self.parts.part

    def segment(self) -> Code:
        """The native segment that is being written."""
        if not self.steps or isinstance(self.steps[-1], Called):
            name = f"{self.name}_{len(self.codes)}"
            function = ir.Function(self.module, ir.FunctionType(STATUS, [POINTER]), name)
            self.codes.append(Code(function, self.slots.workspace, lambda: self.clock, self.assume_finite))
            self.steps.append(name)
        return self.codes[-1]

    def value(self, atom: Atom) -> Value:
        """What an input of an equation is."""
        return literal(atom) if isinstance(atom, Literal) else self.values[atom]

    def once(self, atom: Atom, uses: int) -> Value:
        """What an input is, in memory if its formula is too long to be repeated."""
        value = self.value(atom)
        if isinstance(value, Lazy) and uses > size_of(value.shape) and value.cost > WORTH_STORING:
            return self.stored_atom(atom)
        return value

    # the program -----------------------------------------------------------------------------------------------

    def run(self) -> Lowered:
        """Write all equations."""
        for clock, equation in enumerate(self.graph.equations):
            self.clock = clock
            if not self._natively(equation):
                self._by_numpy(equation)
            self._end_part()
            self.report.append(self._note(equation))
        self.clock += 1
        self._write_results()
        self._end_part()
        for code in self.codes:
            code.builder.ret(ir.Constant(STATUS, 0))
        size = place(m for m in self.memories if m.first >= 0)
        accesses = [access for code in self.codes for access in code.accesses]
        declare_apart(self.module, accesses)
        return Lowered(self.module, tuple(self.steps), size, self.slots.count, tuple(self.report))

    def _end_part(self) -> None:
        if self.parts is not None:
            self.parts.close(self.segment)

    def _natively(self, equation: Equation) -> bool:
        """Write an equation as native code, if there is any for it."""
        atoms = (*equation.outputs, *(a for a in equation.inputs if isinstance(a, Variable)))
        known = is_ours(equation.primitive) and not equation.primitive.outputs
        if not known or not all(has_type(v.dtype) for v in atoms):
            return False
        write = self.writers.get(equation.name) or self.writers[""]
        return write(self, equation)

    def _note(self, equation: Equation) -> Note:
        out = equation.outputs[0]
        value = self.values[out]
        if self.steps and isinstance(self.steps[-1], Called) and self.steps[-1].equation is equation:
            return Note("computed by NumPy", 0)
        if isinstance(value, Lazy):
            return Note("written into the loops that use it", 0)
        sizes = [size_of(a.shape) for a in (*equation.inputs, out)]
        work = float(math.prod(sizes) ** 0.5) if equation.name == "matmul" else float(max(sizes))
        if equation.name in MOVES and value.memory.first < self.clock:
            return Note("another view of the same memory", 0)
        place = "result" if value.memory.slot is not None else f"{value.memory.size} bytes"
        order = "".join(f" axis {a}" for a in value.order) if len(value.shape) > 1 else ""
        return Note(f"loops; {place}" + (f", in the order{order}" if order else ""), work)

    def bind(self, equation: Equation, value: Value) -> None:
        """Let the output of an equation be `value`; write it to memory where that pays."""
        out = equation.output
        if out in self.results and not isinstance(value, View):
            self.fill(self.destination(out), value)
            return
        self.values[out] = value
        if isinstance(value, Lazy) and self._is_worth_storing(out, value):
            self.stored_atom(out)

    def _is_worth_storing(self, out: Variable, value: Lazy) -> bool:
        uses = self.consumers.get(out, [])
        return value.cost > LONGEST or (len(uses) > 1 and value.cost > WORTH_STORING)

    def _by_numpy(self, equation: Equation) -> None:
        needed = {v: self.stored_atom(v) for v in equation.used()}
        self._end_part()
        outputs = tuple(
            self.results.get(v) or self.new(v.dtype, v.shape, range(len(v.shape))) for v in equation.outputs
        )
        for view in (*needed.values(), *outputs):
            view.memory.used(self.clock)
        self.values.update(zip(equation.outputs, outputs, strict=True))
        self.steps.append(Called(equation, needed, outputs))

    def _write_results(self) -> None:
        """The outputs that are not written yet: inputs, numbers, and values that are returned twice."""
        for i, atom in enumerate(self.graph.outputs):
            value = self.value(atom)
            view = self.argument(self._output_slot(i), value.dtype, value.shape)
            if not (isinstance(value, View) and value.memory.slot == self._output_slot(i)):
                self.fill(view, value)


Writer: TypeAlias = Callable[[Lowering, Equation], bool]
"""Writes an equation, or answers False if it has no native code for it."""
