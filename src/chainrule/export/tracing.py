"""The graph of what is to be exported."""

from __future__ import annotations

from typing import Any

from chainrule.errors import InputError
from chainrule.graph import Graph, trace
from chainrule.nn import Module


def traced(module: Module | Graph, example: tuple[Any, ...]) -> Graph:
    """The graph of a module's prediction on an example of its inputs, or the graph that is given.

    The module's dropout and its like are switched off for the trace, and afterwards as they were.

    Raises:
        InputError: no module and no graph, or a module without an example.
    """
    if isinstance(module, Graph):
        return module
    if not isinstance(module, Module):
        raise InputError(
            f"an nn.Module, a graph (chainrule.trace) or a TableModel can be exported, not {type(module).__name__}"
        )
    if not example:
        raise InputError(
            f"to export a {type(module).__name__}, give an example of its input too: its shape is not known"
        )
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        return trace(module, *example)
    finally:
        for part in training:
            part.training = True
