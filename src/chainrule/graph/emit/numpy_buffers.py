"""A graph as NumPy code that writes into arrays which are there already.

Every function of NumPy that can be told where to put its result is told so. Where a value is no longer needed, its
memory serves the next one of its size; an elementwise operation writes over an operand that it is the last to
use. Transposes and slices of such memory are made once. What NumPy cannot write into given memory runs as the
primitive does. Floating-point warnings are not given, as in all compiled code.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.graph.emit.expansion import expanded, is_ours
from chainrule.graph.ir import TAKEN, Atom, Equation, Graph, Literal, Variable, names_for, variables_in
from chainrule.rules.reduce import axes_of, count_over
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
            arrays = pool.pop()
        except IndexError:
            arrays = memory()
        W, x, = inputs
        Z, A, = arrays
        with errstate(all='ignore'):
            dot(x, W, Z)
            tanh(Z, A)
            value = multiply(A, number0)
        results = (value, )
        pool.append(arrays)
        return results
    """
    program = _Program(expanded(graph))
    scope = program.scope | {"memory": program.memory, "pool": [program.memory()], "errstate": np.errstate}
    scope["owned"] = _owned
    exec(program.source, scope)
    run: Run = scope["run"]
    run.__doc__ = program.source
    return run


_OWN = {"run", "inputs", "arrays", "pool", "memory", "errstate", "owned"}
"""Names that the written function needs itself, beside those of NumPy."""


def _owned(result: Any, *inputs: Any) -> Any:
    """A result as an array that nobody else has."""
    shared = isinstance(result, np.ndarray) and (not result.flags.owndata or any(result is x for x in inputs))
    return result.copy() if shared else result


# how a primitive is written ----------------------------------------------------------------------------------


class Steps(NamedTuple):
    """Calls of NumPy: the first leaves a value in `out` (or returns it, if `to` is empty), the others change it.

    `over` says that `out` may be the memory of an input.
    """

    first: str
    others: tuple[str, ...] = ()
    over: bool = False


_FORMULAS = {
    "sigmoid": Steps(
        "negative({x}{to})", ("exp({out}, {out})", "add({out}, {one}, {out})", "divide({one}, {out}, {out})"), True
    ),
    "relu": Steps("maximum({x}, {zeros}, out={place})", (), True),
    "reciprocal": Steps("divide({one}, {x}{to})", (), True),
    "softplus": Steps(
        "absolute({x}{to})",
        (
            "negative({out}, {out})", "exp({out}, {out})", "log1p({out}, {out})",
            "add(maximum({x}, {zero}), {out}, {out})",
        ),
    ),
}  # fmt: skip
"""Functions of floats, made of NumPy's."""

_POWERS = {2: "square", 1: "positive", 0.5: "sqrt", -1: "reciprocal"}
"""What ** does with these exponents, and np.pow does not."""

_REDUCTIONS = {"sum": "add", "mean": "add", "prod": "multiply", "max": "maximum", "min": "minimum"}
BRANCHES_PAY = 1000
"""From so many elements on, branches that nobody can predict cost more than three more calls."""
_VIEWS = {"matrix_transpose", "permute_dims", "reshape", "getitem"}


def _steps(equation: Equation) -> Steps | None:
    """The calls for an equation; None for what cannot be written into given memory, or need not."""
    if equation.primitive.outputs or not is_ours(equation.primitive):
        return None
    special = _SPECIAL.get(equation.name)
    if special is not None:
        found = special(equation)
        if found is not None:
            return found
    if not equation.output.shape:
        return None
    if equation.name in _FORMULAS:
        return _FORMULAS[equation.name] if _is_real(*equation.inputs) else None
    ufunc = _ufunc(equation)
    if ufunc is None:
        return None
    arguments = ", ".join(f"{{{n}}}" for n in equation.primitive.inputs)
    # A place without its name costs less; only np.maximum and np.minimum insist on it.
    place = ", out={place}" if ufunc in (np.maximum, np.minimum) else "{to}"
    return Steps(f"{ufunc.__name__}({arguments}{place})", (), True)


def _ufunc(equation: Equation) -> Any:
    """NumPy's universal function that computes an elementwise equation, to the very same type."""
    found = getattr(np, equation.name, None)
    if not (
        isinstance(found, np.ufunc) and equation.primitive.elementwise and found.nin == len(equation.inputs)
    ):
        return None
    try:
        made = found.resolve_dtypes((*map(_kind, equation.inputs), None))[-1]
    except TypeError:
        return None
    return found if made == equation.output.dtype else None


def _kind(atom: Atom) -> Any:
    """A type, or Python's own class for a number that takes the type of what is beside it."""
    return type(atom.value) if _is_weak(atom) else atom.dtype or np.dtype(float)


def _is_weak(atom: Atom) -> bool:
    return isinstance(atom, Literal) and atom.dtype is None and not atom.shape


def _is_real(*atoms: Atom) -> bool:
    """Whether they are arrays of floats, or all of doubles, for which BLAS has functions."""
    return {str(a.dtype) for a in atoms} in ({"float32"}, {"float64"})


def _power(equation: Equation) -> Steps | None:
    x, y = equation.inputs
    usual = _POWERS.get(y.number) if _is_weak(y) and isinstance(y, Literal) else None
    if usual is None or not _is_real(x) or not equation.output.shape:
        return None
    return Steps(f"{usual}({{x}}{{to}})", (), True)


def _product(equation: Equation) -> Steps | None:
    x, y, out = *equation.inputs, equation.output
    if max(len(x.shape), len(y.shape)) < 3 and _is_real(
        x, y, out
    ):  # np.dot costs half of what np.matmul does
        return Steps("dot({x}, {y}{to})")
    return Steps("matmul({x}, {y}{to})") if out.shape and _is_real(x, y, out) else None


def _reduction(equation: Equation) -> Steps | None:
    (x,), out, how = equation.inputs, equation.output, equation.parameters
    axes, ufunc = axes_of(how["axis"], len(x.shape)), _REDUCTIONS[equation.name]
    if not _is_real(x, out) or not x.value.size:
        return None
    if equation.name == "mean" and not out.shape:
        return Steps(f"add_reduce({{x}}, None) / {count_over(x.shape, axes)}")
    divided = (f"divide({{out}}, {count_over(x.shape, axes)}, {{out}})",) if equation.name == "mean" else ()
    if ufunc == "add" and len(x.shape) == 2 and len(axes) == 1:
        # A product with ones is a sum, in half of the time.
        return Steps("dot({ones}, {x}{to})" if axes == (0,) else "dot({x}, {ones}{to})", divided)
    axis = None if len(axes) == len(x.shape) else axes
    return Steps(f"{ufunc}_reduce({{x}}, {axis}, None, {{place}}, {how['keepdims']})", divided)


def _ones(equation: Equation) -> Array:
    """What a matrix is multiplied with, from the left or from the right, to be summed over one of its axes."""
    (x,), how = equation.inputs, equation.parameters
    axes = axes_of(how["axis"], len(x.shape))
    count = count_over(x.shape, axes)
    shape = (1, count) if axes == (0,) else (count, 1)
    return np.ones(shape if how["keepdims"] else count, equation.output.dtype)


def _selection(equation: Equation) -> Steps | None:
    """Large arrays, or 0: without the branch at each element of np.where, by the bits of the condition."""
    (condition, x, y), out = equation.inputs, equation.output
    is_zero = isinstance(y, Literal) and y.number == 0 and not math.copysign(1, y.number) < 0
    same = (
        isinstance(condition, Variable)
        and isinstance(x, Variable)
        and condition.shape == x.shape == out.shape
    )
    if not (
        is_zero and same and _is_real(x, out) and condition.dtype == bool and out.value.size >= BRANCHES_PAY
    ):
        return None
    bits = {4: "int32", 8: "int64"}[out.dtype.itemsize]
    return Steps(
        "{new}",
        (
            f"negative({{condition}}.view(int8), {{out}}.view({bits}))",
            f"bitwise_and({{x}}.view({bits}), {{out}}.view({bits}), {{out}}.view({bits}))",
        ),
    )


def _spread(equation: Equation) -> Steps | None:
    return Steps("positive({x}, {new})") if _is_real(*equation.inputs, equation.output) else None


def _joined(equation: Equation) -> Steps | None:
    if not _is_real(*equation.inputs, equation.output):
        return None
    name = "stack" if equation.name == "stacked" else equation.name
    return Steps(f"{name}(({{inputs}}, ), {equation.parameters['axis']}{{to}})")


_SPECIAL: Mapping[str, Callable[[Equation], Steps | None]] = {
    "pow": _power, "matmul": _product, "broadcast_to": _spread, "where": _selection, "concatenate": _joined,
    "stacked": _joined,
} | dict.fromkeys(_REDUCTIONS, _reduction)  # fmt: skip


# the program ---------------------------------------------------------------------------------------------------


class _Block:
    """Memory for values of one size and type, one after the other."""

    def __init__(self, variable: Variable) -> None:
        self.size, self.dtype = variable.value.size, variable.dtype


class _Program:
    """One graph on its way to source."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        made = [(v, e.name) for e in graph.equations for v in e.outputs]
        taken = {*TAKEN, *_OWN, *dir(np), *(f"{n}_reduce" for n in _REDUCTIONS.values())}
        taken |= {f"{how}_{e.name}" for e in graph.equations for how in ("plain", "evaluate")}
        self.names = names_for([*graph.inputs, *graph.constants], made, graph, taken)
        self.scope: dict[str, Any] = {self.names[c]: c.value for c in graph.constants}
        self.results = {o for o in graph.outputs if isinstance(o, Variable)}
        self.steps = {e: _steps(e) for e in graph.equations}
        self.needed_until = self._needed_until()
        self.ending: dict[int, list[Variable]] = {}
        for variable, end in self.needed_until.items():
            self.ending.setdefault(end, []).append(variable)
        self.blocks: dict[Atom, _Block] = {}
        self.free: list[_Block] = []
        self.fixed: dict[Variable, _Block | Equation] = {}
        self.samples: dict[Atom, Any] = {}
        self.returned: dict[Variable, str] = {}
        self.lines = [line for i, e in enumerate(graph.equations) for line in self._written(i, e)]
        self.source = self._whole()
        self.samples.clear()

    def _needed_until(self) -> dict[Variable, int]:
        """The last equation that needs the memory of a value: of what may be a view of it, too."""
        last = dict.fromkeys(self.results, len(self.graph.equations))
        for i, equation in reversed(list(enumerate(self.graph.equations))):
            end = max(last.setdefault(v, i) for v in equation.outputs)
            makes_its_own = self.steps[equation] is not None or equation.primitive.elementwise
            for variable in equation.used():
                last[variable] = max(last.get(variable, 0), i if makes_its_own else end)
        return last

    def _whole(self) -> str:
        inputs, fixed = (
            "".join(self.names[v] + ", " for v in variables) for variables in (self.graph.inputs, self.fixed)
        )
        lines = ["try:", "    arrays = pool.pop()", "except IndexError:", "    arrays = memory()"]
        lines += [f"{names}= {given}" for names, given in ((inputs, "inputs"), (fixed, "arrays")) if names]
        lines += ["with errstate(all='ignore'):", *(f"    {line}" for line in self.lines or ["pass"])]
        # What is returned is copied before the memory is another call's.
        results = "".join(self._returned(o) + ", " for o in self.graph.outputs)
        lines += [f"results = ({results})", "pool.append(arrays)", "return results"]
        return "\n    ".join(["def run(inputs):", *lines]) + "\n"

    def memory(self) -> list[Any]:
        """The arrays that one call works in, in the order of `fixed`: whole ones and views of them."""
        blocks: dict[_Block, Any] = {}
        arrays: dict[Atom, Any] = {}
        for variable, source in self.fixed.items():
            if isinstance(source, Equation):
                arrays[variable] = source.primitive.plain(arrays[source.inputs[0]], **source.parameters)
            else:
                if source not in blocks:
                    blocks[source] = np.empty(source.size, source.dtype)
                arrays[variable] = blocks[source].reshape(variable.shape)
        return list(arrays.values())

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
        name, to = self.names[out], ""
        if out.shape and out not in self.results:
            to = f", {name}"
            block = self.blocks[out] = self._block(i, equation, steps.over)
            self.fixed[out], self.samples[out] = block, np.empty(out.shape, out.dtype)
        self.returned[out] = name
        parts = self._parts(equation, in_place=bool(to))
        first, *others = (step.format(**parts) for step in (steps.first, *steps.others))
        for line in (first, *others):
            self._import(line)
        if first == name:  # the memory itself, which the others fill
            return others
        return [first if to else f"{name} = {first}", *others]

    def _block(self, i: int, equation: Equation, over: bool) -> _Block:
        """Memory for a result: that of an operand which is not needed any more, or what is free, or new."""
        out = equation.output
        for atom in equation.inputs if over else ():
            ends = isinstance(atom, Variable) and atom in self.blocks and self.needed_until[atom] <= i
            if ends and (atom.shape, atom.dtype) == (out.shape, out.dtype):
                return self.blocks.pop(atom)
        for block in self.free:
            if (block.size, block.dtype) == (out.value.size, out.dtype):
                self.free.remove(block)
                return block
        return _Block(out)

    def _is_fixed_view(self, equation: Equation) -> bool:
        """Whether the result is a view of memory that stays: it is made together with it, not at each call."""
        dynamic = any(True for p in equation.parameters.values() for _ in variables_in(p))
        if equation.name not in _VIEWS or dynamic or equation.inputs[0] not in self.samples:
            return False
        array = self.samples[equation.inputs[0]]
        view = equation.primitive.plain(array, **equation.parameters)
        if not isinstance(view, np.ndarray) or not np.may_share_memory(array, view):
            return False
        self.fixed[equation.output], self.samples[equation.output] = equation, view
        return True

    def _called(self, equation: Equation) -> str:
        """The line of what runs as the primitive does."""
        names = [self.names[v] for v in equation.outputs]
        inputs = [self._operand(a, equation) for a in equation.inputs]
        primitive = equation.primitive
        if equation.name == "permute_dims":
            text = f"{inputs[0]}.transpose({equation.parameters['axes']})"
        elif primitive.elementwise and not equation.parameters:
            text = f"{self._bound(primitive.plain, f'plain_{primitive.name}')}({', '.join(inputs)})"
        else:
            given = ", ".join(f"{n!r}: {self._parameter(p)}" for n, p in equation.parameters.items())
            evaluate = self._bound(primitive.evaluate, f"evaluate_{primitive.name}")
            text = f"{evaluate}(({''.join(x + ', ' for x in inputs)}), {{{given}}})"
        for name, variable in zip(names, equation.outputs, strict=True):
            self.returned[variable] = f"owned({', '.join([name, *inputs])})"
        return f"{', '.join(names)}{', ' if primitive.outputs else ''} = {text}".replace(",  =", ", =")

    # what stands in a line -----------------------------------------------------------------------------------

    def _parts(self, equation: Equation, in_place: bool) -> dict[str, str]:
        """What the placeholders of steps stand for."""
        out, name = equation.output, self.names[equation.output]
        operands = [self._operand(a, equation) for a in equation.inputs]
        parts = {"inputs": ", ".join(operands)} | dict(zip(equation.primitive.inputs, operands, strict=False))
        parts |= {"out": name, "to": f", {name}" if in_place else "", "place": name if in_place else "None"}
        if equation.name in ("broadcast_to", "where"):
            parts["new"] = name if in_place else f"empty({out.shape}, {self._bound(out.dtype, 'dtype')})"
        if equation.name in _FORMULAS:
            parts |= {n: self._number(v, out.dtype) for n, v in (("zero", 0), ("one", 1))}
        if equation.name == "relu":  # np.maximum branches at each element where one operand is a number
            parts["zeros"] = self._bound(np.zeros(out.shape, out.dtype), "zeros")
        if equation.name in ("sum", "mean"):
            parts["ones"] = self._bound(_ones(equation), "ones")
        return parts

    def _operand(self, atom: Atom, equation: Equation) -> str:
        """An input as it stands in a line: a name, or the name of a number."""
        if isinstance(atom, Variable):
            return self.names[atom]
        others = [a for a in equation.inputs if a is not atom]
        if not equation.primitive.elementwise or not others:
            return self._bound(atom.value, "number")
        if _is_weak(atom):
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
            used = {*self.scope, *self.names.values()}
            name = next(f"{name}{k}" for k in itertools.count() if f"{name}{k}" not in used)
        self.scope[name] = value
        return name

    def _import(self, line: str) -> None:
        """Let the program know NumPy's functions that a line calls."""
        for called in re.findall(r"(?<![.\w])\w+(?=\()|\bint\d+\b", line):
            if called not in self.scope:
                reduced = called.removesuffix("_reduce")
                self.scope[called] = (
                    getattr(np, reduced) if reduced == called else getattr(np, reduced).reduce
                )


def _same_number(x: Any, y: Any) -> bool:
    """Whether two are the same array, to the last bit, or the same Python number."""
    if type(x) is not type(y) or not isinstance(x, (np.ndarray, float, int)):
        return False
    x, y = np.asarray(x), np.asarray(y)
    return (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
