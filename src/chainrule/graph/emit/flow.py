"""The way of cotangents through a graph that has a backward pass: from the value back to what it depends on."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.graph.ir import Equation, Graph, Variable
from chainrule.namespace import is_floating


def links(equation: Equation) -> list[Variable]:
    """The inputs of an equation that its rules send cotangents to."""
    if not equation.primitive.differentiable:
        return []
    count = len(equation.inputs)
    needed = equation.primitive.plan(count, (1 << count) - 1).needed
    found = (equation.inputs[i] for i in needed)
    return [a for a in found if isinstance(a, Variable) and is_floating(a.value)]


def is_whole(equation: Equation) -> bool:
    """Whether the rules for some inputs have the part of others in them, which get no cotangents of their own."""
    linked = links(equation)
    others = (a for a in equation.inputs if isinstance(a, Variable) and is_floating(a.value))
    return bool(linked) and any(a not in linked for a in others)


def forward_part(graph: Graph) -> list[Equation]:
    """The equations that no reverse sweep made."""
    return [e for e in graph.equations if not e.outputs[0].backward]


def differentiated_value(graph: Graph) -> Variable | None:
    """The number whose derivatives a graph computes; of a graph without a backward pass, its first result.

    None, where a training step does not return its loss.
    """
    outputs = [o for o in graph.outputs if isinstance(o, Variable)]
    sources = _sources(graph)
    if not sources:
        return outputs[0] if outputs else None
    for out in outputs:
        if not out.backward and out.value.size == 1 and sources <= _reaching(graph, [out]):
            return out
    return None


def flowing(graph: Graph) -> set[Variable]:
    """The values of the forward pass that a cotangent flows back through on its way to those that have one."""
    found, value = _sources(graph), differentiated_value(graph)
    if not found or value is None:
        return set()
    for equation in forward_part(graph):
        if found.intersection(links(equation)):
            found.update(v for v in equation.outputs if is_floating(v.value))
    return found & _reaching(graph, [value])


def _sources(graph: Graph) -> set[Variable]:
    """The inputs and constants that have a cotangent."""
    by = {v.of for e in graph.equations for v in e.outputs if v.backward == 1}
    return {v for v in (*graph.inputs, *graph.constants) if v in by}


def _reaching(graph: Graph, values: Iterable[Variable]) -> set[Variable]:
    reaching = set(values)
    for equation in reversed(forward_part(graph)):
        if reaching.intersection(equation.outputs):
            reaching.update(links(equation))
    return reaching
