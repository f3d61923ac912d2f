"""Graph: a function as a straight line of equations (a Wengert list), each one application of a primitive.

A value is a Variable (an input, a constant array, or the result of an equation) or a Literal, a number. Every
Variable has the value that it had when the function was traced; shapes and types are read from it.
"""

from __future__ import annotations

import keyword
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, ClassVar, TypeAlias

import numpy as np

from chainrule.errors import InputError
from chainrule.lines import Place
from chainrule.operators import data_of
from chainrule.primitives import Primitive, described
from chainrule.trees import leaves, mapped
from chainrule.typing import DType, Shape, Tree


class Variable:
    """An array of a graph: its value while tracing, the user's name for it, and where it is made.

    `of` is the Variable whose cotangent this is, if it is one; `backward` says that a reverse sweep made it, and
    which: the second is that of `order=2`. A parameter is a constant that the function changes, or is derived by.
    """

    __slots__ = ("backward", "hint", "is_input", "is_parameter", "of", "place", "value")

    def __init__(self, value: Any, hint: str = "", place: Place | None = None, backward: int = 0) -> None:
        self.value, self.hint, self.place, self.backward = value, hint, place, backward
        self.of: Variable | None = None
        self.is_input = self.is_parameter = False

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return self.value.dtype

    @property
    def named(self) -> bool:
        """Whether the user has a name for it, or for what it is the cotangent of."""
        return bool(self.hint) or (self.of is not None and bool(self.of.hint))

    def __repr__(self) -> str:
        return f"Variable({self.hint or '?'}: {described(self.value)})"


class Literal:
    """A number that is written into the program; with a shape, that number at every place of it.

    Ratios of integers are kept exact, as a Fraction, so that 2 / 300 is written as it is and not as 0.00666….
    Without a dtype it is weak, as Python's numbers are.
    """

    __slots__ = ("dtype", "number", "shape")

    def __init__(self, number: Any, shape: Shape = (), dtype: DType = None) -> None:
        self.number, self.shape, self.dtype = number, tuple(shape), dtype

    @property
    def value(self) -> Any:
        """The number as Python's or NumPy's arithmetic takes it."""
        number = float(self.number) if isinstance(self.number, Fraction) else self.number
        if self.dtype is None and not self.shape:
            return number
        return np.full(self.shape, number, self.dtype)

    @property
    def key(self) -> tuple[Any, ...]:
        """What two equal literals have in common."""
        return (type(self.number), repr(self.number), self.shape, str(self.dtype))

    def __repr__(self) -> str:
        shape = f", {self.shape}" if self.shape else ""
        return f"Literal({self.number}{shape})"


Atom: TypeAlias = Variable | Literal


class Equation:
    """One application of a primitive: outputs = primitive(inputs, parameters), and the user's line."""

    __slots__ = ("inputs", "outputs", "parameters", "place", "primitive")

    def __init__(
        self, primitive: Primitive, inputs: tuple[Atom, ...], parameters: dict[str, Any],
        outputs: tuple[Variable, ...], place: Place | None = None,
    ) -> None:  # fmt: skip
        self.primitive, self.inputs, self.parameters = primitive, inputs, parameters
        self.outputs, self.place = outputs, place

    @property
    def name(self) -> str:
        """What the primitive is known as: its name, unless a user's own is called as one of the engine's."""
        return self.primitive.known_as

    @property
    def output(self) -> Variable:
        """The only output."""
        (output,) = self.outputs
        return output

    def used(self) -> Iterator[Variable]:
        """The Variables that it needs, those in its parameters included."""
        for atom in self.inputs:
            if isinstance(atom, Variable):
                yield atom
        for value in self.parameters.values():
            yield from variables_in(value)

    def evaluate(self, values: Mapping[Variable, Any]) -> tuple[Any, ...]:
        """The outputs, for given values of the Variables it needs."""
        arrays = [values[a] if isinstance(a, Variable) else a.value for a in self.inputs]
        parameters = {n: replaced(p, lambda v: values[v]) for n, p in self.parameters.items()}
        out = self.primitive.evaluate(arrays, parameters)
        return tuple(out) if self.primitive.outputs else (out,)


def variables_in(parameter: Any) -> Iterator[Variable]:
    """The Variables in a parameter, such as an index."""
    if isinstance(parameter, Variable):
        yield parameter
    elif isinstance(parameter, (tuple, list)):
        for part in parameter:
            yield from variables_in(part)


def replaced(parameter: Any, replace: Callable[[Variable], Any]) -> Any:
    """A parameter with other things in the place of its Variables."""
    if isinstance(parameter, Variable):
        return replace(parameter)
    if type(parameter) in (tuple, list):
        return type(parameter)(replaced(part, replace) for part in parameter)
    return parameter


class Graph:
    """A traced function: inputs, constants, equations, and the result.

    `print(graph)` shows one equation per line with shape and type, a notebook its picture; `graph(*arrays)` runs it, on
    arguments of the same structure as those it was traced with.

    >>> import numpy as np, chainrule as cr
    >>> graph = cr.trace(lambda x: x**2 + 4 * x, 3.0)
    >>> print(graph)
    f(x: float64 ())
      S = pow(x, 2)         # float64 ()
      P = multiply(4, x)    # float64 ()
      value = add(S, P)     # float64 ()
      return value
    >>> float(graph(5.0))
    45.0
    """

    _drawn: ClassVar[Callable[[Graph], str]]
    """`emit.drawing` assigns its `svg` to it."""

    def __init__(
        self, name: str, arguments: tuple[tuple[Tree, ...], dict[str, Tree]], constants: Iterable[Variable],
        equations: Iterable[Equation], result: Tree, notes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.name, self.arguments, self.result, self.notes = name, arguments, result, notes
        self.constants, self.equations = tuple(constants), tuple(equations)
        self.inputs = tuple(leaf for _, leaf in leaves(arguments) if isinstance(leaf, Variable))

    @property
    def outputs(self) -> tuple[Atom, ...]:
        """The leaves of the result."""
        return tuple(leaf for _, leaf in leaves(self.result) if isinstance(leaf, (Variable, Literal)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result for other arguments, of the same structure and shapes."""
        values: dict[Variable, Any] = {c: c.value for c in self.constants}

        def bind(leaf: Any, value: Any) -> None:
            if isinstance(leaf, Variable):
                values[leaf] = _fitting(data_of(value), leaf)

        mapped(bind, self.arguments, (args, kwargs))
        for equation in self.equations:
            values.update(zip(equation.outputs, equation.evaluate(values), strict=True))
        return mapped(lambda leaf: valued(leaf, values), self.result)

    def with_(self, **changes: Any) -> Graph:
        """A graph with other equations, constants, result or notes."""
        parts = {
            n: getattr(self, n) for n in ("name", "arguments", "constants", "equations", "result", "notes")
        }
        return Graph(**parts | changes)

    def __str__(self) -> str:
        from_names = all_names(self)
        lines = [f"{text(e, from_names)}|# {' '.join(_typed(v) for v in e.outputs)}" for e in self.equations]
        width = max((line.index("|") for line in lines), default=0)
        head = ", ".join(f"{from_names[v]}: {_typed(v)}" for v in self.inputs)
        given = [f"  {from_names[v]}: constant {_typed(v)}" for v in self.constants]
        result = mapped(lambda leaf: _Bare(shown(leaf, from_names)), self.result)
        body = ["  " + line.replace("|", " " * (width - line.index("|") + 4), 1) for line in lines]
        return "\n".join([f"{self.name}({head})", *given, *body, f"  return {result!r}"])

    def __repr__(self) -> str:
        return f"Graph({self.name}: {len(self.inputs)} inputs, {len(self.equations)} equations)"

    def _repr_svg_(self) -> str:
        return self._drawn()


class _Bare(str):
    """Text that stands in a printed tree without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _fitting(value: Any, leaf: Variable) -> Any:
    if np.shape(value) != leaf.shape:
        raise InputError(
            f"the graph was traced with an array of shape {leaf.shape} here, not {np.shape(value)}"
        )
    return np.asarray(value, leaf.dtype) if isinstance(value, (int, float, list)) else value


def valued(leaf: Any, values: Mapping[Variable, Any]) -> Any:
    """What a leaf of the result stands for."""
    return values[leaf] if isinstance(leaf, Variable) else leaf.value if isinstance(leaf, Literal) else leaf


def _typed(variable: Variable) -> str:
    return f"{variable.dtype} {variable.shape}"


def text(equation: Equation, names: Mapping[Variable, str]) -> str:
    """An equation in one line: `H = sigmoid(Z)`."""
    defaults = equation.primitive.defaults
    arguments = [shown(a, names) for a in equation.inputs]
    for name, value in equation.parameters.items():
        if not (name in defaults and value is defaults[name]):
            arguments.append(f"{name}={shown(value, names)}")
    targets = ", ".join(names[v] for v in equation.outputs)
    return f"{targets} = {equation.primitive.name}({', '.join(arguments)})"


def shown(value: Any, names: Mapping[Variable, str]) -> str:
    """An input or a parameter as it is printed in an equation."""
    if isinstance(value, Variable):
        return names[value]
    if isinstance(value, Literal):
        number = str(value.number)
        return f"full({value.shape}, {number})" if value.shape else number
    if isinstance(value, (tuple, list)) and value and any(True for _ in variables_in(value)):
        return "(" + "".join(shown(part, names) + ", " for part in value).rstrip() + ")"
    return repr(value)


# names -----------------------------------------------------------------------------------------------------

_TEXTBOOK = {
    "Z": "matmul add linear affine contraction convolution",
    "A": "sigmoid tanh relu softmax softplus standardized standardized_by standardized_with_margin erf",
    "D": "subtract", "E": "exp exp2 expm1", "L": "log log1p log2 log10 log_softmax log_sigmoid logsumexp",
    "S": "sum pow square cumulative_sum", "P": "multiply prod cumulative_prod", "Q": "divide reciprocal",
    "M": "max min maximum minimum", "R": "sqrt cbrt p_norm", "mu": "mean", "var": "var", "std": "std",
    "mask": "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not isnan",
    "order": "argsort", "index": "argmax argmin nonzero searchsorted",
}  # fmt: skip
TEXTBOOK = {name: letter for letter, names in _TEXTBOOK.items() for name in names.split()}
"""What a value that has no name of the user's is called, by the primitive that made it."""

TAKEN = {*keyword.kwlist, *keyword.softkwlist, "np", "range", "len", "tuple", "type"}
"""Names that the written program needs itself."""


def all_names(graph: Graph) -> dict[Variable, str]:
    """A name for every Variable of a graph."""
    made = [(v, e.name) for e in graph.equations for v in e.outputs]
    return names_for([*graph.inputs, *graph.constants], made, graph, TAKEN)


def names_for(
    given: Iterable[Variable], made: Iterable[tuple[Variable, str]], graph: Graph, taken: Iterable[str]
) -> dict[Variable, str]:
    """Names: the user's, `d_` and a name for a cotangent, textbook letters for the rest; each once.

    Where one name stands for several values (in a loop), they are numbered.
    """
    made = list(made)
    wanted = {v: v.hint or "C" for v in given}
    outputs = {o: graph.name for o in graph.outputs[:1] if isinstance(o, Variable)}
    prefixes = dict(made)
    for variable, primitive in made:
        if variable.of is None:
            wanted[variable] = (
                variable.hint or _value_name(outputs.get(variable)) or TEXTBOOK.get(primitive, "U")
            )
    names = _numbered(wanted, set(taken))
    cotangents = {}
    for variable, _ in made:
        prefix, of = cotangent_of(variable)
        if of is not None:
            known = names.get(of) or of.hint or TEXTBOOK.get(prefixes.get(of, ""), "U")
            cotangents[variable] = variable.hint or prefix + known
    return names | _numbered(cotangents, {*taken, *names.values()})


def cotangent_of(variable: Variable) -> tuple[str, Variable | None]:
    """What a cotangent is called in front of the name of a value, and the value.

    In the second sweep, the cotangent of d_Z is the change of Z along the direction, and that of Z the change of d_Z.
    """
    of = variable.of
    if variable.backward < 2 or of is None:
        return "d_", of
    return ("v_", of.of) if of.of is not None else ("d2_", of)


def _value_name(name: str | None) -> str:
    """A function's own name for its value, where that is one: that of a loss."""
    is_one = name is not None and any(
        word in name for word in ("loss", "cost", "error", "energy", "objective")
    )
    return name if name is not None and is_one else "" if name is None else "value"


def _numbered(wanted: dict[Variable, str], taken: set[str]) -> dict[Variable, str]:
    """A name for each: as wanted by the only one that wants it, or else with a number behind it.

    An input keeps its name in any case, and so does the only value that the user calls so.
    """
    counts = Counter(wanted.values())
    called = Counter(name for v, name in wanted.items() if v.hint)
    kept = {v for v, name in wanted.items() if v.is_input or v.is_parameter or (v.hint and called[name] == 1)}
    used = set(taken) | {wanted[v] for v in kept}
    names: dict[Variable, str] = {}
    numbers = Counter[str]()
    for variable, name in wanted.items():
        found = name
        if name in taken and counts[name] == 1 and name + "_" not in used:
            found = name + "_"
        elif variable not in kept or name in taken or name in names.values():
            while (found == name and counts[name] > 1) or found in used:
                numbers[name] += 1
                found = f"{name}{'_' if name[-1:].isdigit() else ''}{numbers[name]}"
        names[variable] = found
        used.add(found)
    return names


def literal(value: Any, shape: Shape = (), dtype: DType = None) -> Literal:
    """A Literal of a number, exact where it is an integer or a ratio of small ones."""
    if isinstance(value, Fraction) and value.denominator == 1:
        value = int(value)
    if (
        isinstance(value, float)
        and value.is_integer()
        and abs(value) < 2**53
        and math.copysign(1, value) == 1
    ):
        value = int(value) if dtype is not None else value
    return Literal(value, shape, dtype)
