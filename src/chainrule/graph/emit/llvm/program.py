"""Lowering: a graph of simple primitives on its way to native functions, with static shapes.

Each value is a View of memory or a formula (Lazy) that is written where it is used. Native code runs in segments:
between two of them, an equation without native code is computed by NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from llvmlite import ir

from chainrule.graph.emit.expansion import is_ours
from chainrule.graph.emit.llvm.code import POINTER, Code, Memory, has_type, widest
from chainrule.graph.emit.llvm.elements import converted, literal
from chainrule.graph.emit.llvm.memory import declare_apart, place
from chainrule.graph.emit.llvm.moves import MOVES
from chainrule.graph.emit.llvm.parts import MOST, Done, Parts
from chainrule.graph.emit.llvm.products import vector_width
from chainrule.graph.emit.llvm.stamps import BEGIN, Stamps
from chainrule.graph.emit.llvm.turning import in_blocks
from chainrule.graph.emit.llvm.values import Lazy, Recipe, Value, View, layout, recipe_of, size_of, strides_of
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable
from chainrule.typing import Shape

STATUS = ir.IntType(32)
WORTH_STORING = 3
"""A formula that costs more is not written twice."""
LONGEST = 150
"""A formula that costs more is not made part of another one."""
WORTH_THREADS = 200_000
"""From so many nanoseconds on, loops are shared among threads. To begin and to end a thread takes 15,000 to 20,000 on
an idle machine, and more on a busy one."""
UNIT = 0.3
"""About how many nanoseconds a vector of elements takes for each unit of its cost (measured: 0.2 to 0.35 in a cache of
one core, twice as much outside of it)."""
CACHE = 2**20
"""Arrays of more bytes are not in a cache of one core."""


class Called(NamedTuple):
    """An equation that NumPy computes between two native segments."""

    equation: Equation
    inputs: dict[Variable, View]
    outputs: tuple[View, ...]


class Lowered(NamedTuple):
    """What a graph has become: a module with the native segments, the steps in order, a note on each equation."""

    module: Any
    steps: tuple[str | Called, ...]
    workspace: int
    slots: int
    notes: tuple[str, ...]


class Slots:
    """Which pointer the kernel finds where: inputs, constants, outputs, and then what `FIXED` names."""

    FIXED = ("workspace", "single", "double", "share", "threads")
    """Memory for intermediate arrays, the two products of BLAS, what shares loops among threads, and among how many."""

    def __init__(self, inputs: int, constants: int, outputs: int) -> None:
        self.inputs, self.constants, self.outputs = inputs, constants, outputs
        first = inputs + constants + outputs
        self.workspace, self.single, self.double, self.share, self.threads = range(first, first + 5)
        self.count = first + len(self.FIXED)


class Lowering:
    """One graph on its way to native code; `writers` has one for each primitive, and one for those left under "".

    With `stamps`, the code notes the time after each equation, in the memory of one more slot.
    """

    def __init__(
        self, graph: Graph, name: str, writers: Mapping[str, Writer], assume_finite: bool = False,
        stamps: Stamps | None = None,
    ) -> None:  # fmt: skip
        self.graph, self.name, self.writers, self.assume_finite = graph, name, writers, assume_finite
        self.module = ir.Module(name)
        self.slots = Slots(len(graph.inputs), len(graph.constants), len(graph.outputs))
        self.clock = 0
        self.is_long = len(graph.equations) > MOST
        self.parts = Parts(
            self.module, lambda: self.clock, assume_finite, self.slots.share, self.slots.threads
        )
        self.steps: list[str | Called] = []
        self.codes: list[Code] = []
        self.memories: list[Memory] = []
        self.values: dict[Variable, Value] = {}
        self.packed: dict[Any, View] = {}
        self.notes: list[str] = []
        self.stamps = stamps
        self.means: dict[int, str] = {}
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

        def one_by_one(code: Code) -> None:
            def one(idx: Sequence[Any]) -> None:
                view.store(code, idx, converted(code, value.at(code, idx), value.dtype, view.dtype))

            code.nest(view.shape, view.order, one, shared=widest(view.shape, view.order))

        blocks = in_blocks(view, value)
        for number, (share, write) in enumerate([(1.0, one_by_one)] if blocks is None else blocks.loops()):
            recipe = recipe_of((value.dtype.str, number), view, value) if self.is_long else None
            if recipe is not None:
                self.remembered(recipe, write, work_of(value) * share)
                continue
            with self.shared(work_of(value) * share) as code:
                write(code)

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
        return self.parts.part() if self.is_long else self.segment()

    @contextmanager
    def shared(self, work: float) -> Iterator[Code]:
        """The code for loops of about so many nanoseconds: a part that threads share, if they are worth it."""
        if not is_worth_threads(work):
            yield self.code
            return
        self.parts.close(self.segment)
        yield self.parts.part(is_shared=True)
        self._note_threads(self.parts.close(self.segment))

    def remembered(self, recipe: Recipe, write: Callable[[Code], None], work: float) -> None:
        """Write loops that depend on a recipe only as a part; where there is one of this recipe, call that."""
        key, views = recipe
        addresses = [(view.memory, view.offset * view.dtype.itemsize) for view in views]
        is_shared = is_worth_threads(work)
        self._note_threads(self.parts.remembered(key, addresses, self.segment, write, is_shared))

    def _note_threads(self, done: Done | None) -> None:
        if done is not None and done.pieces > 1:
            self.means[self.clock] = "loops for several threads"

    def segment(self) -> Code:
        """The native segment that is being written."""
        if not self.steps or isinstance(self.steps[-1], Called):
            name = f"{self.name}_{len(self.codes)}"
            function = ir.Function(self.module, ir.FunctionType(STATUS, [POINTER]), name)
            if self.is_long:  # hundreds of calls and no loop: there is nothing to optimise
                function.attributes.add("noinline")
                function.attributes.add("optnone")
            self.codes.append(Code(function, self.slots.workspace, lambda: self.clock, self.assume_finite))
            self.steps.append(name)
            self._stamp(BEGIN)
        return self.codes[-1]

    def _stamp(self, number: int) -> None:
        if self.stamps is not None and self.steps and isinstance(self.steps[-1], str):
            self.stamps.write(self.codes[-1], self.slots.count, number)

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
            self.parts.close(self.segment)
            self.notes.append(self._note(equation))
            self._stamp(clock)
        self.clock += 1
        self._write_results()
        self.parts.close(self.segment)
        self._stamp(self.clock)
        for code in self.codes:
            code.builder.ret(ir.Constant(STATUS, 0))
        size = place(m for m in self.memories if m.first >= 0)
        accesses = [access for code in self.codes for access in code.accesses]
        declare_apart(self.module, accesses)
        return Lowered(self.module, tuple(self.steps), size, self.slots.count, tuple(self.notes))

    def _natively(self, equation: Equation) -> bool:
        """Write an equation as native code, if there is any for it."""
        atoms = (*equation.outputs, *(a for a in equation.inputs if isinstance(a, Variable)))
        known = is_ours(equation.primitive) and not equation.primitive.outputs
        if not known or not all(has_type(v.dtype) for v in atoms):
            return False
        write = self.writers.get(equation.name) or self.writers[""]
        return write(self, equation)

    def _note(self, equation: Equation) -> str:
        """What an equation has become."""
        out = equation.outputs[0]
        value = self.values[out]
        if self.steps and isinstance(self.steps[-1], Called) and self.steps[-1].equation is equation:
            return "computed by NumPy"
        if isinstance(value, Lazy):
            return "written into the loops that use it"
        if equation.name in MOVES and value.memory.first < self.clock:
            return "another view of the same memory"
        place = "result" if value.memory.slot is not None else f"{value.memory.size} bytes"
        order = "".join(f" axis {a}" for a in value.order) if len(value.shape) > 1 else ""
        return f"{self.means.get(self.clock, 'loops')}; {place}" + (f", in the order{order}" if order else "")

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
        self.parts.close(self.segment)
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


def is_worth_threads(work: float) -> bool:
    """Whether loops of about so many nanoseconds are shared."""
    return work >= WORTH_THREADS


def work_of(value: Value) -> float:
    """About how many nanoseconds it takes to compute all elements of a value."""
    size = size_of(value.shape)
    slowly = 2 if size * value.dtype.itemsize > CACHE else 1
    return slowly * UNIT * size * (value.cost + 1) / vector_width(value.dtype)


Writer: TypeAlias = Callable[[Lowering, Equation], bool]
"""Writes an equation, or answers False if it has no native code for it."""
