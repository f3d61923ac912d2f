"""`derive`: the backward pass of a function, as NumPy source."""

from __future__ import annotations

import linecache
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainrule.errors import OptionError, OutputError
from chainrule.files import write_atomically
from chainrule.graph.differentiation import (
    differentiated,
    twice_differentiated,
    wanted_by,
    with_a_line_for_each,
)
from chainrule.graph.emit import chain_rule
from chainrule.graph.emit.numpy_source import Program, program
from chainrule.graph.ir import Graph, Literal, Variable
from chainrule.graph.notes import (
    note_on_changes,
    note_on_what_is_new,
    notes_on,
    notes_on_gradients,
    summary_of_gradient,
    summary_of_step,
)
from chainrule.graph.recognition import conditions, recognised
from chainrule.graph.stepping import settled, step_of, usage
from chainrule.graph.tracing import Traced, parameter_names, traced
from chainrule.operators import example_of
from chainrule.transforms import _scalar


class Derivation:
    """The value of a function and its gradient, as a program and as formulas.

    `print(derivation)` shows the program; of `derive(..., latex=True)`, the formulas. `.source` is the program's
    text, `.function` the function that this very text defines, `.graph` the Graph that it was written from,
    `.constants` the arrays that the traced function found outside of its arguments (`.function` has them already), and
    `.notes` what one should know about it. `.latex` are the formulas, with the chain rule written out; a notebook
    shows them.
    """

    def __init__(
        self, graph: Graph, written: Program, notes: tuple[str, ...], as_formulas: bool = False
    ) -> None:
        self.graph, self.source, self.notes = graph, written.source, notes
        self.constants = {name: variable.value for name, variable in written.constants.items()}
        self.function: Callable[..., Any] = _compiled(written, self.constants)
        self._as_formulas = as_formulas

    @property
    def latex(self) -> str:
        """The formulas, as an `align*` block of LaTeX."""
        return chain_rule.derivation(self.graph)

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write what `print` shows to a file; one that exists is only replaced with `force`.

        Raises OutputError where the file exists or cannot be written; then it is unchanged.
        """
        return written_anew(Path(path), f"{self}\n", force=force)

    def __str__(self) -> str:
        return self.latex if self._as_formulas else self.source.rstrip("\n")

    def _repr_latex_(self) -> str:
        return chain_rule.displayed(self.graph)

    def __repr__(self) -> str:
        return f"Derivation({self.graph.name}: {len(self.source.splitlines())} lines)"


def written_anew(path: Path, text: str, *, force: bool) -> Path:
    """Write a text to a file that does not exist yet, or with `force` to one that does; returns its path."""
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; give another name, or force to replace it")
    write_atomically(path, text.encode())
    return path


def _compiled(written: Program, constants: dict[str, Any]) -> Callable[..., Any]:
    file = f"<derived {written.name}>"
    scope: dict[str, Any] = {}
    exec(compile(written.source, file, "exec"), scope)
    # So that a traceback shows the derived lines.
    linecache.cache[file] = (len(written.source), None, written.source.splitlines(keepends=True), file)
    function = scope[written.name]
    function.__kwdefaults__ = constants  # partial would take time at each call
    return function  # type: ignore[no-any-return]


def derive(
    f: Callable[..., Any], /, *args: Any, argnums: int | tuple[int, ...] | None = None, order: int = 1,
    latex: bool = False, **kwargs: Any,
) -> Derivation:  # fmt: skip
    """The value of the scalar function `f` and its gradient as the source of a NumPy function.

    `args` and `kwargs` are arguments to trace `f` with: their shapes, and the branches `f` takes, are those that
    the source is for. `argnums` names the positional arguments to differentiate by (an object such as a module stands
    for the parameters in it); without it, all parameters that `f` uses, or else all arguments that have
    floating-point numbers. Parameters are the Tensors that need a gradient, wherever `f` finds them.

    The derived function takes the arrays among the arguments of `f` (what is fixed is left out), and by name the
    parameters. It returns the value and the gradient: a tuple of gradients for several arguments, of their structure;
    a dict for parameters. With `order=2` it also takes a direction, `v_x` of the shape of each `x`, and returns
    the product of the Hessian with it; for a single number it is the second derivative, and takes none.

    A training step (a function that takes a gradient itself, and returns something else than one number, or changes
    what it finds) is not differentiated again, but written as it is: forward pass, backward pass, update. What it
    changes (parameters, the state of an optimizer, attributes, its arguments) is taken and returned, by name.
    `argnums=()` writes any function as it is. With `latex`, printing shows formulas, with the chain rule written out.

    Raises UnsupportedError, with the user's line, for what cannot be traced, and InputError or ShapeError where
    `f` has no gradient. Nothing that `f` changes remains changed.

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
    >>> import numpy as np
    >>> value, d_x, product = derive(lambda x: (x**3).sum(), np.ones(2), order=2).function(
    ...     np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    >>> product
    array([ 6., 12.])
    """
    if order not in (1, 2):
        raise OptionError(f"derive(order={order!r}): the order of a derivative is 1 or 2")

    def finish(result: Any, took_gradient: bool, changed: bool) -> Any:
        as_it_is = argnums == () or (order == 1 and took_gradient and (changed or not _is_number(result)))
        return result if as_it_is else _scalar(f, result)

    first = traced(f, args, kwargs, None, finish)
    names = parameter_names(f, len(args))
    if argnums == () or (first.swept and (first.changed or not _is_number(first.graph.result))):
        return _as_it_is(f, names, first, settled(f, args, kwargs, first, finish), latex)
    again = traced(f, args, kwargs, None, finish)
    graph = recognised(again.graph)
    notes = (*notes_on(first, again), *conditions(graph), *note_on_changes(again))
    wanted = wanted_by(f, args, again, argnums)
    graph = differentiated(graph, wanted, order)
    notes += notes_on_gradients(graph, wanted.by)
    name = f"{graph.name}_and_gradient"
    if order == 2:
        graph, directions = twice_differentiated(graph, wanted)
        names += [f"v_{names[i]}" for i in wanted.positions][: len(graph.arguments[0]) - len(args)]
        name = f"{graph.name}_and_{'hessian_product' if directions else 'two_derivatives'}"
    graph = with_a_line_for_each(graph.with_(notes=notes), wanted.by)
    counts = (len(wanted.by), len(wanted.by) * (order - 1))
    written = program(graph, name, names, summary_of_gradient(f, graph, notes, counts))
    return Derivation(graph, written, notes, latex)


def _as_it_is(
    f: Callable[..., Any], names: list[str], first: Traced, found: Traced, latex: bool
) -> Derivation:
    """The derivation of a training step, or of a function that is to be written only."""
    graph = step_of(found)
    notes = (*notes_on(first, found), *conditions(graph), *note_on_what_is_new(found))
    graph = graph.with_(notes=notes)
    summary = summary_of_step(
        f, graph, notes, usage(graph, names, "train with" if found.swept else "repeat"), found.swept
    )
    return Derivation(graph, program(graph, graph.name, names, summary), notes, latex)


def _is_number(result: Any) -> bool:
    """Whether a result can be differentiated: it is one number, traced or not."""
    if isinstance(result, (Variable, Literal)):
        return result.shape == ()
    shape = getattr(example_of(result), "shape", None)
    return isinstance(result, (int, float)) if shape is None else math.prod(shape) == 1
