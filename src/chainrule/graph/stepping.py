"""A training step as a graph: what a function returns, and what it changes, whether in arguments or in objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from typing import Any

import numpy as np

from chainrule.errors import InputError, UnsupportedError
from chainrule.graph.emit.expressions import array_text
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable, replaced
from chainrule.graph.rewriting import without_dead
from chainrule.graph.simplification import simplified
from chainrule.graph.tracing import Finish, Traced, name_of, traced
from chainrule.trees import leaves
from chainrule.typing import Tree

Changes = dict[str, tuple[Variable, Atom]]


def settled(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], first: Traced, finish: Finish
) -> Traced:
    """The trace in which all that the step changes is an input: `first` found what that is."""
    found = first
    for _ in range(4):
        again = traced(f, args, kwargs, found.state, finish)
        if again.state == found.state:
            return again
        found = again
    raise UnsupportedError(
        f"{name_of(f)} changes more each time it is called, so that its state has no end; make what it needs before, "
        f"and let it change that"
    )


def step_of(found: Traced) -> Graph:
    """The graph of a step: it returns what the function does, and the new state by name where it has one."""
    changes = _lasting(found.graph, found.changes)
    given = {leaf for _, leaf in leaves(found.graph.arguments)}
    returned = {leaf for leaf in found.graph.outputs if isinstance(leaf, Variable)}
    state = {
        name: after
        for name, (before, after) in changes.items()
        if not (before in given and after in returned)  # changed in place, and returned
    }
    graph, state = _with_one_counter(found.graph, changes, state)
    graph = simplified(graph.with_(result=(graph.result, state)))
    result, state = graph.result
    if result is None and not state:
        raise InputError(
            f"{graph.name} returned None and changes nothing, so there is nothing to derive; does it miss a return "
            f"statement?"
        )
    _name_what_is_new(graph, result, {name: (changes[name][0], after) for name, after in state.items()})
    return graph.with_(result=(result, state) if state and result is not None else state or result)


def _with_one_counter(
    graph: Graph, changes: Changes, state: dict[str, Atom]
) -> tuple[Graph, dict[str, Atom]]:
    """Counts that begin at the same number and grow alike are one: an optimizer counts for each parameter."""
    made = {v: e for e in graph.equations for v in e.outputs}
    groups: dict[Any, list[str]] = {}
    for name, after in state.items():
        before, equation = changes[name][0], made.get(after) if isinstance(after, Variable) else None
        if (
            equation is not None
            and equation.name == "add"
            and before.shape == ()
            and before.dtype.kind in "iu"
        ):
            others = [a.key for a in equation.inputs if isinstance(a, Literal)]
            if before in equation.inputs and others:
                groups.setdefault((int(before.value), *others), []).append(name)
    same: dict[Variable, Variable] = {}
    for names in groups.values():
        for name in names[1:]:
            same[changes[name][0]] = changes[names[0]][0]
            state = {n: after for n, after in state.items() if n != name}
        if len(names) > 1:
            first = changes[names[0]][0]
            first.hint = _common(names, graph)
            state = {first.hint if n == names[0] else n: after for n, after in state.items()}
            changes[first.hint] = changes[names[0]]
    return _with_replaced(graph, same), state


def _with_replaced(graph: Graph, same: Mapping[Variable, Variable]) -> Graph:
    equations = [
        Equation(
            e.primitive, tuple(same.get(a, a) if isinstance(a, Variable) else a for a in e.inputs),
            {n: replaced(p, lambda v: same.get(v, v)) for n, p in e.parameters.items()}, e.outputs, e.place,
        )
        for e in graph.equations
    ]  # fmt: skip
    return graph.with_(equations=equations)


def _common(names: list[str], graph: Graph) -> str:
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    name = "".join(letters[0] for letters in same).rstrip("_bW") or "count"
    return name + "s" if name in {graph.name, *(v.hint for v in (*graph.inputs, *graph.constants))} else name


def _lasting(graph: Graph, changes: Changes) -> Changes:
    """The changes that matter to a later call: what is written anew each time, or only counts, is left out."""
    given = {leaf for _, leaf in leaves(graph.arguments)}
    kept = {
        name
        for name, (before, after) in changes.items()
        if before in given or (before.dtype.kind == "f" and before in _needed(graph, after))
    }
    while True:
        needed = _needed(graph, (graph.result, [changes[name][1] for name in kept]))
        more = kept | {name for name, (before, _) in changes.items() if before in needed}
        if more == kept:
            return {name: change for name, change in changes.items() if name in kept}
        kept = more


def _needed(graph: Graph, result: Tree) -> set[Variable]:
    return set(without_dead(graph.with_(result=result)).constants)


def _name_what_is_new(graph: Graph, result: Tree, state: Changes) -> None:
    """Let the new value of W be called new_W, where the user has no name for it that differs from W."""
    made = {v: e for e in graph.equations for v in e.outputs}
    hints = {v.hint for v in (*graph.inputs, *graph.constants)}
    for before, after in (*state.values(), *_same_structure(graph, result), *_steps_of(graph, made)):
        if isinstance(after, Variable) and after in made and (not after.hint or after.hint in hints):
            after.hint, after.of = f"new_{before.hint}", None


def _same_structure(graph: Graph, result: Tree) -> Iterator[tuple[Variable, Any]]:
    """The arguments, all or one that is a tree, with the results of their structure."""
    positional = graph.arguments[0]
    trees = [result, *(result if isinstance(result, (tuple, list)) else ())]
    for wanted in (positional, *(tree for tree in positional if not isinstance(tree, Variable))):
        one = dict(leaves(wanted))
        for other in (dict(leaves(tree)) for tree in trees):
            if one.keys() == other.keys() and all(_alike(one[path], other[path]) for path in one):
                yield from ((one[path], other[path]) for path in one if isinstance(one[path], Variable))
                break


def _steps_of(graph: Graph, made: Mapping[Variable, Equation]) -> Iterator[tuple[Variable, Variable]]:
    """The inputs with those results that are the input plus or minus something."""
    for after in graph.outputs:
        equation = made.get(after) if isinstance(after, Variable) else None
        if equation is not None and equation.name in ("add", "subtract"):
            before = equation.inputs[0]
            if isinstance(before, Variable) and before.is_input and _alike(before, equation.output):
                yield before, equation.output


def _alike(a: Any, b: Any) -> bool:
    if not (isinstance(a, Variable) and isinstance(b, (Variable, Literal))):
        return not isinstance(a, Variable) and not isinstance(b, (Variable, Literal))
    return a.shape == b.shape and np.dtype(a.dtype).kind == "f"


def usage(graph: Graph, parameters: list[str], purpose: str) -> list[str]:
    """The loop that repeats a step, where what it returns can be given to it again.

    The program fills in the names of the constants.
    """
    keywords = [f"{name}={name}" for name, tree in graph.arguments[1].items() if _has_variables(tree)]
    keywords += [f"{{name{i}}}={{name{i}}}" for i, c in enumerate(graph.constants) if is_shown(c)]
    state = graph.result if _is_state(graph, graph.result) else None
    if isinstance(graph.result, tuple) and len(graph.result) == 2 and _is_state(graph, graph.result[1]):
        state = graph.result[1]
    given = [n for n, tree in zip(parameters, graph.arguments[0], strict=True) if _has_variables(tree)]
    if state is not None:
        given = [name for name in given if name not in state]
        hint = (
            graph.result[0].hint
            if state is not graph.result and isinstance(graph.result[0], Variable)
            else ""
        )
        target = "state" if state is graph.result else f"{hint or 'value'}, state"
        return _loop(purpose, f"{target} = {graph.name}({', '.join([*given, '**state', *keywords])})")
    count = _renewed(graph)
    if count:
        targets = parameters[:count]
        return _loop(purpose, f"{', '.join(targets)} = {graph.name}({', '.join([*given, *keywords])})")
    return []


def _loop(purpose: str, line: str) -> list[str]:
    return ["", f"To {purpose} it:", "", "    for _ in range(1000):", f"        {line}"]


def _is_state(graph: Graph, tree: Tree) -> bool:
    known = {v.hint for v in (*graph.constants, *graph.arguments[0]) if isinstance(v, Variable)}
    return isinstance(tree, dict) and bool(tree) and known.issuperset(tree)


def _renewed(graph: Graph) -> int:
    """How many of the first arguments the result is, renewed."""
    positional, result = graph.arguments[0], graph.result
    for count in range(1, len(positional) + 1):
        wanted = dict(leaves(positional[0] if count == 1 else positional[:count]))
        found = dict(leaves(result))
        if wanted.keys() == found.keys() and all(_is_new(wanted[path], found[path]) for path in wanted):
            return count
    return 0


def _is_new(before: Any, after: Any) -> bool:
    return isinstance(before, Variable) and isinstance(after, Variable) and after.hint == f"new_{before.hint}"


def is_shown(constant: Variable) -> bool:
    """Whether a constant that is no parameter has to be given to the program."""
    return not constant.is_parameter and (bool(constant.hint) or array_text(constant.value) is None)


def _has_variables(tree: Tree) -> bool:
    return any(isinstance(leaf, Variable) for _, leaf in leaves(tree))
