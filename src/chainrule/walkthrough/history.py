"""The account of a Tensor's history: the reverse sweep from it.

A Node keeps the arrays that its rules ask for, and nothing else. Its equation is built again with these; where an
array was not kept, only its shape is known, and no rule looks at it. So the backward pass is whole, and begins with
the values that were kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np

from chainrule.backward import Node, sweep
from chainrule.errors import BackwardError, InputError
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable, all_names
from chainrule.graph.naming import identifier, name_of_array, stored_at
from chainrule.primitives import Plan
from chainrule.tensor import Tensor
from chainrule.walkthrough.account import Account, account_of_sweep


def account_of_history(tensor: Tensor, frame: FrameType) -> tuple[Account, list[Variable]]:
    """The account of the reverse sweep from a Tensor, and its leaves; names are those of the frame that asks.

    Raises InputError for a Tensor without a history, and BackwardError for one of several numbers, or whose history
    was freed or changed.
    """
    node = tensor._current_node()
    if node is None or node.plan is None:
        raise InputError(
            "explain(tensor): the Tensor has no history, because it was not computed from a Tensor that requires a "
            "gradient; explain what was computed from it"
        )
    value = np.asarray(tensor._data)
    if value.size != 1:
        raise BackwardError(
            f"explain(tensor): the reverse sweep starts from one number, and the Tensor has shape {value.shape}; "
            f"explain its sum or one element"
        )
    sweep(node, np.ones(value.shape, value.dtype), retain=True)  # refuses what was freed or changed
    return _History(node, value, frame).account()


class _History:
    """The Nodes that lead to one of them, as a graph."""

    def __init__(self, last: Node, value: np.ndarray, frame: FrameType) -> None:
        self.frame = frame
        self.nodes = _in_order(last)
        self.known: dict[Node, Any] = {last: value} | {n: t._data for n, (_, t) in _tensors(frame).items()}
        self.kept: set[Variable] = set()
        self._constants: dict[Any, Variable] = {}
        names = {n: name for n, (name, _) in _tensors(frame).items()}
        for node in self.nodes:
            self._note_values(node)
        self.variables: dict[Node, tuple[Variable, ...]] = {
            n: tuple(self._outputs(n)) if n.shape is None else (self._variable(n, names),) for n in self.nodes
        }
        self.last = last

    def account(self) -> tuple[Account, list[Variable]]:
        equations = [self._equation(n) for n in self.nodes if n.plan is not None and not _is_pick(n)]
        leaves = [v for n, (v, *_) in self.variables.items() if n.plan is None]
        graph = Graph(
            "tensor", ((), {}), [*leaves, *self._constants.values()], equations, self._of(self.last)
        )
        for variable, name in all_names(graph).items():
            variable.hint = variable.hint or name
        return account_of_sweep(graph, leaves, self.kept), leaves

    # values ----------------------------------------------------------------------------------------------------

    def _note_values(self, node: Node) -> None:
        """What a Node keeps are values of it and of its parents."""
        if node.plan is None or node.kept is None:
            return
        parents = dict(zip(node.plan.needed, node.parents, strict=True))
        for name, value in zip(_slots(node.plan), node.kept, strict=True):
            kind = node.plan.primitive.kind(name)
            if kind == -1:
                self.known.setdefault(node, value)
            elif node.plan.primitive.variadic and kind is not None:
                self.known |= {p: value[i] for i, p in parents.items() if p not in self.known}
            elif kind in parents:
                self.known.setdefault(parents[kind], value)

    def _variable(self, node: Node, names: dict[Node, str]) -> Variable:
        found = self.known.get(node)
        value = np.asarray(_unknown(node.shape, node.dtype) if found is None else found).view()
        stored = stored_at(*node.where).names if node.where is not None else ()
        hint = names.get(node, "") or (stored[0] if len(stored) == 1 else "")
        variable = Variable(value, hint, node.where)
        if found is not None:
            self.kept.add(variable)
        return variable

    def _outputs(self, node: Node) -> Iterator[Variable]:
        """The results of a primitive that has several: those that were used have a Node each."""
        picked = {n.kept[0]: n for n in self.nodes if _is_pick(n) and n.parents[0] is node and n.kept}
        count = next(n.kept[1] for n in picked.values() if n.kept)
        values = self.known.get(node)
        for i in range(count):
            pick = picked.get(i)
            if values is not None:
                value = np.asarray(values[i]).view()
            else:
                value = _unknown(pick.shape, pick.dtype) if pick is not None else _unknown((), np.float64)
            variable = Variable(value, "", node.where)
            if values is not None:
                self.kept.add(variable)
            yield variable

    # equations -------------------------------------------------------------------------------------------------

    def _equation(self, node: Node) -> Equation:
        plan = node.plan
        assert plan is not None
        primitive = plan.primitive
        kept = dict(zip(_slots(plan), node.kept or (), strict=True))
        parents = dict(zip(plan.needed, node.parents, strict=True))
        inputs = tuple(
            self._of(parents[i]) if i in parents else self._given(plan, i, kept) for i in range(_count(plan))
        )
        parameters = {n: value for n, value in kept.items() if n in primitive.parameters}
        return Equation(primitive, inputs, parameters, self.variables[node], node.where)

    def _of(self, node: Node) -> Variable:
        """The Variable of a Node."""
        if _is_pick(node) and node.kept:
            return self.variables[node.parents[0]][int(node.kept[0])]
        return self.variables[node][0]

    def _given(self, plan: Plan, index: int, kept: dict[str, Any]) -> Atom:
        """An input that is no Tensor with a gradient: a constant, if it was kept."""
        primitive = plan.primitive
        name = primitive.inputs[0 if primitive.variadic else index]
        value = kept.get(name)
        value = value[index] if primitive.variadic and value is not None else value
        if value is None:
            shape = kept.get(f"{name}_shape", ())
            return Variable(_unknown(shape[index] if primitive.variadic and shape else shape, np.float64))
        if np.ndim(value) == 0:
            weak = type(value) in (bool, int, float)
            return Literal(value) if weak else Literal(value.item(), (), value.dtype)
        # The engine keeps copies of small arrays: they are told by their elements.
        array = np.asarray(value)
        key = (array.shape, array.dtype, array.tobytes())
        known = self._constants.get(key)
        if known is None:
            name = name_of_array(value, self.frame) or name_of_array(value, self.frame, _equal)
            known = self._constants[key] = Variable(array.view(), name)
            self.kept.add(known)
        return known


def _equal(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray) or one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))


def _in_order(last: Node) -> list[Node]:
    """The Nodes that lead to one, in the order in which they were made."""
    found, to_see = {last}, [last]
    while to_see:
        for parent in to_see.pop().parents:
            if parent not in found:
                found.add(parent)
                to_see.append(parent)
    return sorted(found, key=lambda node: node.order)


def _tensors(frame: FrameType) -> dict[Node, tuple[str, Tensor]]:
    """The Tensors that the user's variables and the modules among them hold, by their Nodes."""
    found: dict[Node, tuple[str, Tensor]] = {}
    for name, value in {**frame.f_globals, **frame.f_locals}.items():
        named = getattr(value, "named_parameters", None) if not isinstance(value, type) else None
        pairs = [(name, value)] if isinstance(value, Tensor) else named() if callable(named) else ()
        for path, tensor in pairs:
            node = tensor._node
            if node is not None:
                found.setdefault(node, (identifier(path), tensor))
    return found


def _slots(plan: Plan) -> list[str]:
    """The names of what a plan keeps, in its order."""
    primitive = plan.primitive
    asked = (n for _, names, _ in primitive.calls(plan.needed) for n in names if primitive.keeps(n))
    return list(dict.fromkeys(asked))


def _count(plan: Plan) -> int:
    """How many inputs a plan is for."""
    primitive = plan.primitive
    if not primitive.variadic:
        return primitive.arity
    return next(key.bit_length() - 1 for key, known in primitive.plans.items() if known is plan)


def _is_pick(node: Node) -> bool:
    """Whether a Node stands for one result of a primitive that has several."""
    return node.plan is not None and len(node.parents) == 1 and node.parents[0].shape is None


def _unknown(shape: Any, dtype: Any) -> np.ndarray:
    """An array of which only the shape is known."""
    return np.broadcast_to(np.zeros((), dtype), shape)
