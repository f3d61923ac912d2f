"""What one should know about a derivation, and the docstrings of derived functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable, variables_in
from chainrule.graph.stepping import is_shown
from chainrule.graph.tracing import Traced
from chainrule.lines import described_place
from chainrule.trees import leaves


def notes_on(first: Traced, again: Traced) -> tuple[str, ...]:
    """What is fixed in a trace, and would differ in another: `again` is a second one of the same call."""
    graph = again.graph
    found = (*_notes_on_shapes(graph), *_notes_on_inputs(graph))
    if _same_values(first, again):
        return found
    return (
        *found,
        f"{graph.name} gives another value each time it is run: its random numbers (or whatever it is that changes) "
        f"are fixed here to those of one run.",
    )


def notes_on_gradients(graph: Graph, by: Iterable[Variable]) -> tuple[str, ...]:
    """A note for each argument that the value does not depend on."""
    pairs = zip(by, (g for _, g in leaves(graph.result[1])), strict=True)
    zero = [v.hint for v, g in pairs if isinstance(g, Literal) and g.number == 0]
    return (f"The value does not depend on {', '.join(zero)}: that gradient is zero.",) if zero else ()


def note_on_changes(found: Traced) -> tuple[str, ...]:
    """A note where the function of a gradient changes something, which a derivation leaves out."""
    names = ", ".join(found.changes)
    return (
        (f"{found.graph.name} also changes {names} each time it is called, which is left out here.",)
        if names
        else ()
    )


def note_on_what_is_new(found: Traced) -> tuple[str, ...]:
    """A note where the call makes what a later one would find."""
    if not found.added:
        return ()
    return (
        f"This is the first call, which makes {', '.join(found.added)}. If a later call depends on it, call "
        f"{found.graph.name} once, and derive it then.",
    )


def _same_values(first: Traced, again: Traced) -> bool:
    pairs: list[tuple[Atom, Atom]] = list(zip(first.graph.outputs, again.graph.outputs, strict=False))
    fixed = [[c for c in found.graph.constants if not c.is_parameter] for found in (first, again)]
    pairs += zip(*fixed, strict=False)
    pairs += [
        (after, again.changes[name][1])
        for name, (_, after) in first.changes.items()
        if name in again.changes and not name.startswith("grad_")
    ]
    return all(_equal(a, b) for a, b in pairs)


def _equal(a: Atom, b: Atom) -> bool:
    one, other = np.asarray(a.value), np.asarray(b.value)
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" == other.dtype.kind)


def _notes_on_shapes(graph: Graph) -> tuple[str, ...]:
    """A note for each line that selects by value: how many elements it selects is fixed."""
    return tuple(
        f"How many elements are selected depends on values, and is fixed here, in {described_place(place)}."
        for place in dict.fromkeys(
            e.place for e in selections_by_value(graph, {*graph.constants, *graph.inputs})
        )
        if place is not None
    )


def selections_by_value(graph: Graph, fixed: Collection[Variable]) -> list[Equation]:
    """The equations whose result has as many elements as a mask, which is not one of `fixed`, is true in."""
    return [
        e
        for e in graph.equations
        if e.name == "nonzero"
        or any(v.dtype == bool and v not in fixed for p in e.parameters.values() for v in variables_in(p))
    ]


def _notes_on_inputs(graph: Graph) -> tuple[str, ...]:
    """A note for each integer input that no equation uses: it was read by what is no primitive."""
    used = {v for e in graph.equations for v in e.used()}
    return tuple(
        f"{v.hint} is not used in what was traced: if {graph.name} reads it, what was read is fixed here."
        for v in graph.inputs
        if v not in used and v.dtype.kind != "f"
    )


# docstrings: the program fills in names and shapes ------------------------------------------------------------


def summary_of_gradient(
    f: Callable[..., Any], graph: Graph, notes: Iterable[str], counts: tuple[int, int]
) -> list[str]:
    """The docstring of a derived gradient; `counts` are the numbers of gradients, and of second-order results."""
    gradients, seconds = counts
    what = "its gradient" if not seconds else "its first and second derivatives"
    lines = [f"The value of {graph.name} and {what}{_where(f, graph)}.", "", *_taken(graph)]
    several = "s" if gradients > 1 else ""
    first = ", ".join(f"{{result{i}}}" for i in range(1, 1 + gradients))
    lines.append(f"Returns {{result0}} and the gradient{several} {first}.")
    if seconds:
        second = ", ".join(f"{{result{i}}}" for i in range(1 + gradients, 1 + gradients + seconds))
        directions = [i for i, v in enumerate(graph.inputs) if v.hint.startswith("v_")]
        along = ", ".join(f"{{input{i}}}" for i in directions)
        lines[-1] = f"Returns {{result0}}, the gradient{several} {first}, and {second}: " + (
            f"the product of the Hessian with the direction {along}."
            if directions
            else "the second derivative."
        )
        if directions:
            lines.append(
                "Along that direction, v_Z is the change of a value Z, and d2_Z that of its cotangent d_Z."
            )
    return [*lines, *_escaped(notes)]


def summary_of_step(
    f: Callable[..., Any], graph: Graph, notes: Iterable[str], usage: Iterable[str], swept: bool
) -> list[str]:
    """The docstring of a function that is written as it is."""
    parts = ": forward pass, backward pass and update" if swept else ""
    lines = [f"What {graph.name} computes{parts}{_where(f, graph)}.", "", *_taken(graph)]
    shown = ", ".join(f"{{result{i}}}" for i in range(len(graph.outputs)))
    if shown:
        lines.append(f"Returns {shown}.")
    return [*lines, *_escaped(notes), *usage]


def _taken(graph: Graph) -> list[str]:
    inputs = ", ".join(f"{{input{i}}}" for i in range(len(graph.inputs)))
    lines = [f"Takes {inputs}."] if inputs else []
    parameters = [f"{{constant{i}}}" for i, c in enumerate(graph.constants) if c.is_parameter]
    if parameters:
        before = f"{inputs}; and by name " if inputs else "by name "
        lines = [f"Takes {before}{', '.join(parameters)}."]
    fixed = [i for i, c in enumerate(graph.constants) if is_shown(c)]
    if fixed and not parameters:
        lines.append("Was derived with the constants {constant}.")
    elif fixed:
        lines.append(f"Was derived with the constants {', '.join(f'{{constant{i}}}' for i in fixed)}.")
    return lines


def _where(f: Callable[..., Any], graph: Graph) -> str:
    code = getattr(f, "__code__", None)
    if code is None or graph.name == "f" or not Path(code.co_filename).is_file():  # but a cell, or typed in
        return ""
    return f" ({Path(code.co_filename).name}, line {code.co_firstlineno})"


def _escaped(notes: Iterable[str]) -> list[str]:
    return [note.replace("{", "{{").replace("}", "}}") for note in notes]  # they quote the user's lines
