"""A graph as NumPy code that writes into arrays which are there already.

Every function of NumPy that can be told where to put its result is told so (`numpy_calls`). Where a value is no
longer needed, its memory serves the next one of its size; an elementwise operation writes over an operand that it
is the last to use. Views of such memory are made once. What NumPy cannot write into given memory runs as the
primitive does. Floating-point warnings are not given, as in all compiled code.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from contextvars import Context
from fractions import Fraction
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.graph.emit.expansion import expanded, is_ours
from chainrule.graph.emit.numpy_calls import (
    FORMULAS,
    REDUCTIONS,
    Steps,
    is_weak,
    ones_for,
    spelt,
    steps_of,
)
from chainrule.graph.ir import TAKEN, Atom, Equation, Graph, Literal, Variable, names_for, variables_in
from chainrule.typing import Array

Run: TypeAlias = Callable[[Sequence[Array]], tuple[Array, ...]]


def build(graph: Graph) -> Run:
    """A function that takes the arrays of `graph.inputs` and returns those of `graph.outputs`.

    The arrays must have the shapes and types of the inputs; the results are the caller's own, and no later call
    changes them. It may be called from several threads, and from within itself: each call in progress has memory
    of its own. Its source is its docstring.

    >>> import chainrule as cr
    >>> graph = cr.trace(lambda W, x: np.tanh(x @ W) * 2, np.ones((2, 3)), np.ones((1, 2)))
    >>> run = build(graph)
    >>> run([np.ones((2, 3)), np.ones((1, 2))])  # 2 tanh(2)
    (array([[1.92805516, 1.92805516, 1.92805516]]),)
    >>> print(run.__doc__)
    def run(inputs):
        try:
            memory = pool.pop()
        except IndexError:
            memory = new_memory()
        results = memory.quietly(work, inputs, memory.arrays)
        pool.append(memory)
        return results
    <BLANKLINE>
    def work(inputs, arrays):
        W, x, = inputs
        Z, = arrays
        x.dot(W, Z)
        tanh(Z, Z)
        value = multiply(Z, number0)
        return (value, )
    """
    program = _Program(expanded(graph))
    scope = program.scope | {"new_memory": program.memory, "pool": [program.memory()], "owned": _owned}
    exec(program.source, scope)
    run: Run = scope["run"]
    run.__doc__ = program.source
    return run


_RUN = """def run(inputs):
    try:
        memory = pool.pop()
    except IndexError:
        memory = new_memory()
    results = memory.quietly(work, inputs, memory.arrays)
    pool.append(memory)
    return results

def work(inputs, arrays):
    """

_OWN = {"run", "work", "inputs", "arrays", "results", "pool", "memory", "new_memory", "owned"}
"""Names that the written functions need themselves, beside those of NumPy."""


class _Memory(NamedTuple):
    """What one call works in: arrays, and a way to run without warnings of floating-point arithmetic."""

    quietly: Callable[..., Any]
    arrays: list[Any]


def _quiet_context() -> Callable[..., Any]:
    """A way to call a function with warnings off: to enter a context costs a tenth of what np.errstate does."""
    context = Context()
    context.run(np.seterr, all="ignore")
    return context.run


def _quiet_here(work: Callable[..., Any], *given: Any) -> Any:
    """Call a function with warnings off, in the context of the caller, which a user's own primitive may read."""
    with np.errstate(all="ignore"):
        return work(*given)


def _owned(result: Any, *inputs: Any) -> Any:
    """A result as an array that nobody else has."""
    shared = isinstance(result, np.ndarray) and (not result.flags.owndata or any(result is x for x in inputs))
    return result.copy() if shared else result


# the program ---------------------------------------------------------------------------------------------------


_VIEWS = {"matrix_transpose", "permute_dims", "reshape", "getitem"}


class _Block:
    """Memory for values of one size and type, one after the other."""

    def __init__(self, variable: Variable) -> None:
        self.size, self.dtype = variable.value.size, variable.dtype


class _View(NamedTuple):
    """An array on a block, or a view of an array that has a name: made once, together with the memory."""

    of: _Block | str
    made: Callable[[Any], Any]


class _Program:
    """One graph on its way to source."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        made = [(v, e.name) for e in graph.equations for v in e.outputs]
        taken = {*TAKEN, *_OWN, *dir(np), *(f"{n}_reduce" for n in REDUCTIONS.values())}
        taken |= {f"{how}_{e.name}" for e in graph.equations for how in ("plain", "evaluate")}
        self.names = names_for([*graph.inputs, *graph.constants], made, graph, taken)
        self.scope: dict[str, Any] = {self.names[c]: c.value for c in graph.constants}
        self.results = {o for o in graph.outputs if isinstance(o, Variable)}
        self.steps = {e: steps_of(e) for e in graph.equations}
        self.needed_until = self._needed_until()
        self.ending: dict[int, list[Variable]] = {}
        for variable, end in self.needed_until.items():
            self.ending.setdefault(end, []).append(variable)
        self.blocks: dict[Atom, _Block] = {}
        self.free: list[_Block] = []
        self.fixed: dict[str, _View] = {}
        self.samples: dict[str, Any] = {}
        self.views: dict[str, str] = {}
        self.returned: dict[Variable, str] = {}
        self.lines = [line for i, e in enumerate(graph.equations) for line in self._written(i, e)]
        self.source = self._whole()
        self.samples.clear()

    def _needed_until(self) -> dict[Variable, int]:
        """The last equation that needs the memory of a value: of what may be a view of it, too."""
        last = dict.fromkeys(self.results, len(self.graph.equations))
        for i, equation in reversed(list(enumerate(self.graph.equations))):
            end = max(last.setdefault(v, i) for v in equation.outputs)
            # An elementwise primitive of the user's may return its input, as one that only turns gradients does.
            is_known = is_ours(equation.primitive)
            makes_its_own = self.steps[equation] is not None or (is_known and equation.primitive.elementwise)
            for variable in equation.used():
                last[variable] = max(last.get(variable, 0), i if makes_its_own else end)
        return last

    def _whole(self) -> str:
        inputs = "".join(self.names[v] + ", " for v in self.graph.inputs)
        fixed = "".join(f"{name}, " for name in self.fixed)
        lines = [f"{names}= {given}" for names, given in ((inputs, "inputs"), (fixed, "arrays")) if names]
        lines += [f"{name} = {name}[()]" for name in self._numbers()]
        # What is returned is copied before the memory is another call's.
        results = "".join(self._returned(o) + ", " for o in self.graph.outputs)
        return _RUN + "\n    ".join([*lines, *self.lines, f"return ({results})"]) + "\n"

    def _numbers(self) -> list[str]:
        """Inputs without axes that meet only such: NumPy's arithmetic of scalars is faster than that of arrays."""
        others = (e for e in self.graph.equations if e.outputs[0].shape or not e.primitive.elementwise)
        needed = {v for e in others for v in e.used()}
        return [self.names[v] for v in self.graph.inputs if not v.shape and v not in needed]

    def memory(self) -> _Memory:
        """What one call works in; the arrays are in the order of `fixed`."""
        arrays: dict[_Block | str, Any] = {}
        for name, (of, made) in self.fixed.items():
            if isinstance(of, _Block) and of not in arrays:
                arrays[of] = np.empty(of.size, of.dtype)
            arrays[name] = made(arrays[of])
        calls_others = any(not is_ours(e.primitive) for e in self.graph.equations)
        return _Memory(
            _quiet_here if calls_others else _quiet_context(), [arrays[name] for name in self.fixed]
        )

    # one equation --------------------------------------------------------------------------------------------

    def _written(self, i: int, equation: Equation) -> list[str]:
        """The lines of an equation; after it, the memory of what ends here is free."""
        steps = self.steps[equation]
        if steps is not None:
            lines = self._in_place(i, equation, steps)
        else:
            lines = [] if self._is_fixed_view(equation) else [self._called(equation)]
        self.free += [self.blocks.pop(v) for v in self.ending.get(i, ()) if v in self.blocks]
        return lines

    def _in_place(self, i: int, equation: Equation, steps: Steps) -> list[str]:
        """The calls that leave a result in memory that is there; for what is returned, in new memory."""
        out = equation.output
        in_place = bool(out.shape) and out not in self.results
        if in_place:
            self._place(i, equation, steps.over)
        name = self.returned[out] = self.names[out]
        parts = self._parts(equation, steps.first, in_place)
        first, *others = (self._ready(step.format(**parts)) for step in (steps.first, *steps.others))
        if first == name:  # the memory itself, which the others fill
            return others
        return [first if in_place else f"{name} = {first}", *others]

    def _place(self, i: int, equation: Equation, over: bool) -> None:
        """Memory for a result: that of an operand which is not needed any more, or what is free, or new."""
        out = equation.output
        for atom in equation.inputs if over else ():
            ends = isinstance(atom, Variable) and atom in self.blocks and self.needed_until[atom] <= i
            if isinstance(atom, Variable) and ends and (atom.shape, atom.dtype) == (out.shape, out.dtype):
                # The very same array: of another one on this memory, NumPy would ask how the two overlap.
                self.blocks[out], self.names[out] = self.blocks.pop(atom), self.names[atom]
                return
        size = (out.value.size, out.dtype)
        block = next((b for b in self.free if (b.size, b.dtype) == size), None)
        if block is None:
            block = _Block(out)
        else:
            self.free.remove(block)
        self.blocks[out] = block
        self._keep(
            self.names[out], _View(block, methodcaller("reshape", out.shape)), np.empty(out.shape, out.dtype)
        )

    def _keep(self, name: str, view: _View, sample: Any) -> None:
        self.fixed[name], self.samples[name] = view, sample

    def _is_fixed_view(self, equation: Equation) -> bool:
        """Whether the result is a view of memory that stays: it is made together with it, not at each call."""
        dynamic = any(True for p in equation.parameters.values() for _ in variables_in(p))
        if equation.name not in _VIEWS or dynamic or not isinstance(equation.inputs[0], Variable):
            return False
        made = partial(equation.primitive.plain, **equation.parameters)
        return self._is_kept(self.names[equation.output], _View(self.names[equation.inputs[0]], made))

    def _is_kept(self, name: str, view: _View) -> bool:
        """Whether a view is one of memory that stays; it is kept with it, then."""
        sample = self.samples.get(view.of) if isinstance(view.of, str) else None
        seen = None if sample is None else view.made(sample)
        if not isinstance(seen, np.ndarray) or not np.may_share_memory(sample, seen):
            return False
        self._keep(name, view, seen)
        return True

    def _called(self, equation: Equation) -> str:
        """The line of what runs as the primitive does."""
        names = [self.names[v] for v in equation.outputs]
        inputs = [self._operand(a, equation) for a in equation.inputs]
        parameters = {n: self._parameter(p) for n, p in equation.parameters.items()}
        primitive, method = equation.primitive, spelt(equation)
        if method is not None:
            text = method.format(x=inputs[0], **parameters)
        elif primitive.elementwise and not parameters:
            text = f"{self._bound(primitive.plain, f'plain_{primitive.name}')}({', '.join(inputs)})"
        else:
            given = ", ".join(f"{n!r}: {p}" for n, p in parameters.items())
            evaluate = self._bound(primitive.evaluate, f"evaluate_{primitive.name}")
            text = f"{evaluate}(({''.join(x + ', ' for x in inputs)}), {{{given}}})"
        for name, variable in zip(names, equation.outputs, strict=True):
            self.returned[variable] = f"owned({', '.join([name, *inputs])})"
        return f"{', '.join(names)}{', ' if primitive.outputs else ''} = {text}".replace(",  =", ", =")

    # what stands in a line -----------------------------------------------------------------------------------

    def _parts(self, equation: Equation, first: str, in_place: bool) -> dict[str, str]:
        """What the placeholders of steps stand for, of which the first is given."""
        out, name = equation.output, self.names[equation.output]
        operands = [self._operand(a, equation) for a in equation.inputs]
        parts = {"inputs": ", ".join(operands)} | dict(zip(equation.primitive.inputs, operands, strict=False))
        parts |= {"out": name, "to": f", {name}" if in_place else "", "place": name if in_place else "None"}
        if equation.name in ("broadcast_to", "where"):
            parts["new"] = name if in_place else f"empty({out.shape}, {self._bound(out.dtype, 'dtype')})"
        if equation.name in FORMULAS:
            parts |= {n: self._number(v, out.dtype) for n, v in (("zero", 0), ("one", 1))}
        if equation.name == "relu":  # np.maximum branches at each element where one operand is a number
            parts["zeros"] = self._bound(np.zeros(out.shape, out.dtype), "zeros")
        if "{ones}" in first:
            parts["ones"] = self._bound(ones_for(equation), "ones")
            parts["flat"] = (
                operands[0] if len(equation.inputs[0].shape) == 1 else f"{operands[0]}.reshape(-1)"
            )
        return parts

    def _operand(self, atom: Atom, equation: Equation) -> str:
        """An input as it stands in a line: a name, or the name of a number."""
        if isinstance(atom, Variable):
            return self.names[atom]
        others = [a for a in equation.inputs if a is not atom]
        if not equation.primitive.elementwise or not others:
            return self._bound(atom.value, "number")
        if is_weak(atom):
            real = [a.dtype for a in others if a.shape and a.dtype is not None and a.dtype.kind == "f"]
            return self._number(atom.value, real[0]) if real else self._bound(atom.value, "number")
        fits = np.broadcast_shapes(*(a.shape for a in others)) == equation.output.shape
        return self._number(atom.number, atom.dtype) if fits else self._bound(atom.value, "number")

    def _number(self, number: Any, dtype: Any) -> str:
        """A number as an array, which NumPy need not convert at each call."""
        return self._bound(
            np.asarray(float(number) if isinstance(number, Fraction) else number, dtype), "number"
        )

    def _parameter(self, value: Any) -> str:
        """A parameter: its name, or an expression of those in it that are computed."""
        if isinstance(value, Variable):
            return self.names[value]
        if not any(True for _ in variables_in(value)):
            return self._bound(value, "fixed")
        parts = "".join(f"{self._parameter(part)}, " for part in value)
        return f"[{parts}]" if isinstance(value, list) else f"({parts})"

    def _returned(self, atom: Atom) -> str:
        if isinstance(atom, Literal):
            name = self._bound(atom.value, "number")
            return f"{name}.copy()" if isinstance(atom.value, np.ndarray) else name
        return self.returned.get(atom, f"{self.names[atom]}.copy()")

    def _bound(self, value: Any, name: str) -> str:
        """A name for an object, of the program's own: equal numbers share one."""
        for known, other in self.scope.items():
            if other is value or (known.startswith(name) and _same_number(value, other)):
                return known
        if name in ("number", "fixed", "ones", "zeros", "dtype"):
            name = self._unused(name)
        self.scope[name] = value
        return name

    def _ready(self, line: str) -> str:
        """A line with the views that stay in the place of those it would make; NumPy's functions are made known."""

        def kept(found: re.Match[str]) -> str:
            text, of, method, how = found[0], *found.groups()
            if text not in self.views:
                name = self._unused(f"{of}_{'flat' if how == '-1' else how}_")
                made = methodcaller(method, -1 if how == "-1" else getattr(np, how))
                self.views[text] = name if self._is_kept(name, _View(of, made)) else text
            return self.views[text]

        line = re.sub(r"\b(\w+)\.(view|reshape)\((int\d+|-1)\)", kept, line)
        for called in re.findall(r"(?<![.\w])\w+(?=\()|\bint\d+\b", line):
            if called not in self.scope:
                reduced = called.removesuffix("_reduce")
                known = getattr(np, reduced)
                self.scope[called] = known if reduced == called else known.reduce
        return line

    def _unused(self, name: str) -> str:
        """A name with the first number behind it that makes it new."""
        used = {*self.scope, *self.names.values(), *self.fixed}
        return next(n for n in map(f"{name}{{}}".format, itertools.count()) if n not in used)


def _same_number(x: Any, y: Any) -> bool:
    """Whether two are the same array, to the last bit, or the same Python number."""
    if type(x) is not type(y) or not isinstance(x, (np.ndarray, float, int)):
        return False
    x, y = np.asarray(x), np.asarray(y)
    return (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
