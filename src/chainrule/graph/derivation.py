"""`derive`: the backward pass of a function, as NumPy source."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import InputError, OutputError
from chainrule.files import write_atomically
from chainrule.graph.emit.expressions import array_text
from chainrule.graph.emit.numpy_source import Program, program
from chainrule.graph.ir import Equation, Graph, Variable, variables_in
from chainrule.graph.recognition import recognised
from chainrule.graph.reverse import with_gradients
from chainrule.graph.simplification import simplified
from chainrule.graph.symbols import detached
from chainrule.graph.tracing import name_of, parameter_names, trace
from chainrule.lines import described_place
from chainrule.transforms import _scalar
from chainrule.trees import leaves, mapped
from chainrule.typing import Tree


class Derivation:
    """The value of a function and its gradient, as a program.

    `print(derivation)` shows it. `.source` is the text, `.function` the function that this very text defines,
    `.graph` the Graph that it was written from, `.constants` the arrays that the traced function found outside of
    its arguments (`.function` has them already), and `.notes` what one should know about it.
    """

    def __init__(self, graph: Graph, written: Program, notes: tuple[str, ...]) -> None:
        self.graph, self.source, self.notes = graph, written.source, notes
        self.constants = {name: variable.value for name, variable in written.constants.items()}
        self.function: Callable[..., Any] = _compiled(written, self.constants)

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the source to a file; one that exists is only replaced with `force`.

        Raises OutputError where the file exists or cannot be written; then it is unchanged.
        """
        path = Path(path)
        if path.exists() and not force:
            raise OutputError(f"{path} exists already; give another name, or force=True to replace it")
        write_atomically(path, self.source.encode())
        return path

    def __str__(self) -> str:
        return self.source.rstrip("\n")

    def __repr__(self) -> str:
        return f"Derivation({self.graph.name}: {len(self.source.splitlines())} lines)"


def _compiled(written: Program, constants: dict[str, Any]) -> Callable[..., Any]:
    file = f"<derived {written.name}>"
    scope: dict[str, Any] = {}
    exec(compile(written.source, file, "exec"), scope)
    # So that a traceback shows the derived lines.
    linecache.cache[file] = (len(written.source), None, written.source.splitlines(keepends=True), file)
    function = scope[written.name]
    return partial(function, **constants) if constants else function


def derive(
    f: Callable[..., Any], /, *args: Any, argnums: int | tuple[int, ...] | None = None, **kwargs: Any
) -> Derivation:
    """The value of the scalar function `f` and its gradient as the source of a NumPy function.

    `args` and `kwargs` are arguments to trace `f` with: their shapes, and the branches `f` takes, are those that
    the source is for. `argnums` names the positional arguments to differentiate by; without it, all that have
    floating-point numbers. The derived function takes the arrays among the arguments of `f` (what is fixed is left
    out), and returns the value and the gradient: a tuple of gradients for several arguments, of their structure.

    Raises UnsupportedError, with the user's line, for what cannot be traced, and InputError or ShapeError where
    `f` has no gradient.

    >>> print(derive(lambda x: x**2 + 4 * x, 3.0))
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def f_and_gradient(x):
        \"\"\"The value of f and its gradient.
    <BLANKLINE>
        Takes x.
        Returns value and the gradient d_x.
        \"\"\"
        # forward
        value = x ** 2 + 4 * x
    <BLANKLINE>
        # backward
        d_x = 2 * x + 4
    <BLANKLINE>
        return value, d_x
    """
    positions = _positions(f, args, argnums)
    graph, notes = _traced(f, args, kwargs)
    by = [leaf for i in positions for leaf in _variables(graph.arguments[0][i]) if leaf.dtype.kind == "f"]
    if not by:
        raise InputError(
            f"{name_of(f)} is to be derived by argument {', '.join(map(str, positions))}, which has no "
            f"floating-point numbers; write 3.0 for 3, or convert with .astype(float)"
        )
    graph, cotangents = with_gradients(recognised(graph), by)
    trees = [mapped(lambda leaf: cotangents.get(leaf), graph.arguments[0][i]) for i in positions]
    gradient = trees[0] if isinstance(argnums, int) or (argnums is None and len(trees) == 1) else tuple(trees)
    graph = simplified(graph.with_(result=(graph.result, gradient), notes=notes))
    graph = _with_a_line_for_each(graph, by)
    written = program(
        graph, f"{graph.name}_and_gradient", parameter_names(f, len(args)), _summary(f, graph, notes)
    )
    return Derivation(graph, written, notes)


def _with_a_line_for_each(graph: Graph, by: list[Variable]) -> Graph:
    """The graph in which each gradient is a Variable of its own: `d_x = y` where it is an input, or a number."""
    wanted, aliases = iter(by), []

    def own(leaf: Any) -> Any:
        variable = next(wanted)
        if isinstance(leaf, Variable) and leaf.of is variable:
            return leaf
        alias = Variable(np.asarray(leaf.value), "", None, backward=True)
        alias.of = variable
        aliases.append(Equation(detached, (leaf,), {}, (alias,)))
        return alias

    value, gradient = graph.result
    gradient = mapped(own, gradient)
    return graph.with_(equations=[*graph.equations, *aliases], result=(value, gradient))


def _positions(
    f: Callable[..., Any], args: tuple[Any, ...], argnums: int | tuple[int, ...] | None
) -> list[int]:
    if argnums is None:
        return [i for i, tree in enumerate(args) if any(_is_floating(leaf) for _, leaf in leaves(tree))] or [
            0
        ]
    wanted = [argnums] if isinstance(argnums, int) else list(argnums)
    for i in wanted:
        if not -len(args) <= i < len(args):
            raise InputError(f"{name_of(f)} is to be derived by argument {i}, but was given {len(args)}")
    return [i % len(args) for i in wanted]


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, float) or getattr(getattr(leaf, "dtype", None), "kind", "") == "f"


def _traced(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Graph, tuple[str, ...]]:
    """The graph of `f`, and what a second run of it says."""

    def scalar(*args: Any, **kwargs: Any) -> Any:
        return _scalar(f, f(*args, **kwargs))

    scalar.__name__ = name_of(f)
    scalar.__wrapped__ = f  # type: ignore[attr-defined]  # its parameters have the names of f's
    graph, again = trace(scalar, *args, **kwargs), trace(scalar, *args, **kwargs)
    values = [np.asarray(g.outputs[0].value) for g in (graph, again)]
    notes = (*_notes_on_shapes(graph), *_notes_on_inputs(graph))
    if np.array_equal(values[0], values[1], equal_nan=values[0].dtype.kind == "f"):
        return graph, notes
    return graph, (
        *notes,
        f"{name_of(f)} gives another value each time it is run: its random numbers (or whatever it is that changes) "
        f"are fixed here to those of one run.",
    )


def _notes_on_shapes(graph: Graph) -> tuple[str, ...]:
    """A note for each line that selects by value: how many elements it selects is fixed."""
    fixed = {*graph.constants, *graph.inputs}
    places = [
        e.place
        for e in graph.equations
        for p in e.parameters.values()
        if any(v not in fixed and v.dtype == bool for v in variables_in(p))
    ]
    places += [e.place for e in graph.equations if e.name == "nonzero"]
    return tuple(
        f"How many elements are selected depends on values, and is fixed here, in {described_place(place)}."
        for place in dict.fromkeys(places)
        if place is not None
    )


def _notes_on_inputs(graph: Graph) -> tuple[str, ...]:
    """A note for each integer input that no equation uses: it was read by what is no primitive."""
    used = {v for e in graph.equations for v in e.used()}
    return tuple(
        f"{v.hint} is not used in what was traced: if {graph.name} reads it, what was read is fixed here."
        for v in graph.inputs
        if v not in used and v.dtype.kind != "f"
    )


def _variables(tree: Tree) -> list[Variable]:
    return [leaf for _, leaf in leaves(tree) if isinstance(leaf, Variable)]


def _summary(f: Callable[..., Any], graph: Graph, notes: tuple[str, ...]) -> list[str]:
    """What the derived function's docstring says; the program fills in names and shapes."""
    inputs = ", ".join(f"{{input{i}}}" for i in range(len(graph.inputs)))
    gradients = ", ".join(f"{{result{i}}}" for i in range(1, len(graph.outputs)))
    code = getattr(f, "__code__", None)
    known = code is not None and not code.co_filename.startswith("<") and graph.name != "f"
    where = (
        f" ({Path(code.co_filename).name}, line {code.co_firstlineno})" if known and code is not None else ""
    )
    lines = [f"The value of {graph.name} and its gradient{where}.", "", f"Takes {inputs}."]
    if any(c.hint or array_text(c.value) is None for c in graph.constants):
        lines.append("Was derived with the constants {constant}.")
    several = "s" if len(graph.outputs) > 2 else ""
    lines.append(f"Returns {{result0}} and the gradient{several} {gradients}.")
    escaped = [note.replace("{", "{{").replace("}", "}}") for note in notes]  # they quote the user's lines
    return [*lines, *escaped]
