"""From a traced scalar function to the graph of its value and gradient, and of its second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import InputError, OptionError
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable
from chainrule.graph.reverse import swept, with_gradients
from chainrule.graph.rewriting import without_dead
from chainrule.graph.simplification import EVERYTHING, simplified
from chainrule.graph.surroundings import held_by
from chainrule.graph.symbols import detached
from chainrule.graph.tracing import Traced, name_of
from chainrule.trees import leaves, mapped
from chainrule.typing import Tree

Argnums = int | tuple[int, ...] | None


class Wanted(NamedTuple):
    """What to differentiate by: a tree of Variables, as the gradient is returned, and the positions it comes from."""

    tree: Tree
    positions: tuple[int, ...]

    @property
    def by(self) -> list[Variable]:
        """The Variables with gradients."""
        return [v for _, v in leaves(self.tree) if isinstance(v, Variable) and v.dtype.kind == "f"]


def wanted_by(f: Callable[..., Any], args: tuple[Any, ...], found: Traced, argnums: Argnums) -> Wanted:
    """What `argnums` says: arguments, the parameters inside of one; None is all parameters, or else all arguments."""
    used = set(without_dead(found.graph).constants)
    parameters = {name: v for name, (_, v) in found.parameters.items() if v in used}
    if argnums is None and parameters:
        return Wanted(parameters, ())
    positions = _positions(f, args, argnums)
    trees = [_tree_at(i, args, found, parameters) for i in positions]
    alone = isinstance(argnums, int) or (argnums is None and len(trees) == 1)
    wanted = Wanted(trees[0] if alone else tuple(trees), positions)
    if not wanted.by:
        raise InputError(
            f"{name_of(f)} is to be derived by argument {', '.join(map(str, positions))}, which has no "
            f"floating-point numbers; write 3.0 for 3, or convert with .astype(float)"
        )
    return wanted


def _tree_at(position: int, args: tuple[Any, ...], found: Traced, parameters: dict[str, Variable]) -> Tree:
    """An argument's Variables; of an object such as a module, its parameters by name."""
    tree = found.graph.arguments[0][position]
    if any(isinstance(leaf, Variable) for _, leaf in leaves(tree)):
        return mapped(
            lambda leaf: leaf if isinstance(leaf, Variable) and leaf.dtype.kind == "f" else None, tree
        )
    inside = {id(held.value) for held in held_by(name_of, (args[position],), {})}
    return {name: v for name, v in parameters.items() if id(found.parameters[name][0]) in inside}


def _positions(f: Callable[..., Any], args: tuple[Any, ...], argnums: Argnums) -> tuple[int, ...]:
    if argnums is None:
        floating = (i for i, tree in enumerate(args) if any(_is_floating(leaf) for _, leaf in leaves(tree)))
        return tuple(floating) or (0,)
    wanted = [argnums] if isinstance(argnums, int) else list(argnums)
    for i in wanted:
        if not isinstance(i, int):
            raise OptionError(f"argnums={argnums!r}: give positions of arguments, such as 0 or (0, 1)")
        if not -len(args) <= i < len(args):
            raise InputError(f"{name_of(f)} is to be derived by argument {i}, but was given {len(args)}")
    return tuple(i % len(args) for i in wanted)


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, float) or getattr(getattr(leaf, "dtype", None), "kind", "") == "f"


BETWEEN = {name: rules for name, rules in EVERYTHING.items() if name != detached.name}
"""The rules after the first of two sweeps: what has no history has none in the second either."""


def differentiated(graph: Graph, wanted: Wanted, order: int) -> Graph:
    """The graph of the value and the gradient; `order` is that of the derivatives which are wanted at last."""
    graph, cotangents = with_gradients(graph, wanted.by)
    gradient = mapped(lambda v: cotangents[v], wanted.tree)
    return simplified(graph.with_(result=(graph.result, gradient)), EVERYTHING if order == 1 else BETWEEN)


def twice_differentiated(graph: Graph, wanted: Wanted) -> tuple[Graph, list[Variable]]:
    """The graph of the value, the gradient and the second derivatives along a direction, and the Variables of that.

    By a single number, the direction is 1, and no Variable.
    """
    by = wanted.by
    gradients = [g for _, g in leaves(graph.result[1])]
    alone = len(by) == 1 and by[0].shape == ()
    directions: dict[Variable, Atom] = {v: Literal(1, (), v.dtype) if alone else _direction(v) for v in by}
    graph, second = swept(graph, zip(gradients, directions.values(), strict=True), by, order=2)
    products = mapped(lambda v: second[v], wanted.tree)
    made = [v for v in directions.values() if isinstance(v, Variable)]
    return simplified(_taking(graph, wanted, directions).with_(result=(*graph.result, products))), made


def _direction(v: Variable) -> Variable:
    direction = Variable(np.ones(v.shape, v.dtype), f"v_{v.hint}")
    direction.is_input = True
    return direction


def _taking(graph: Graph, wanted: Wanted, directions: dict[Variable, Atom]) -> Graph:
    """The graph that takes directions too: behind the arguments, or by name for parameters."""
    positional, keywords = graph.arguments
    for i in wanted.positions:
        tree = mapped(
            lambda leaf: directions.get(leaf) if isinstance(leaf, Variable) else None, positional[i]
        )
        if any(isinstance(leaf, Variable) for _, leaf in leaves(tree)):
            positional = (*positional, tree)
    if not wanted.positions:
        keywords = keywords | {v.hint: v for v in directions.values() if isinstance(v, Variable)}
    return graph.with_(arguments=(positional, keywords))


def with_a_line_for_each(graph: Graph, by: list[Variable]) -> Graph:
    """The graph in which each derivative is a Variable of its own: `d_x = y` where it is an input, or a number."""
    equations = list(graph.equations)

    def own(leaf: Any, variable: Variable, order: int) -> Any:
        if isinstance(leaf, Variable) and leaf.of is variable and leaf.backward == order:
            return leaf
        alias = Variable(np.asarray(leaf.value), "", None, backward=order)
        alias.of = variable
        later = (i for i, e in enumerate(equations) if e.outputs[0].backward > order)
        equations.insert(next(later, len(equations)), Equation(detached, (leaf,), {}, (alias,)))
        return alias

    value, *derivatives = graph.result
    for order, tree in enumerate(derivatives, 1):
        wanted = iter(by)
        derivatives[order - 1] = mapped(lambda leaf: own(leaf, next(wanted), order), tree)  # noqa: B023
    return graph.with_(equations=equations, result=(value, *derivatives))
