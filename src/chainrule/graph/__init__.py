"""Functions as graphs, and what is made from them: the backward pass as NumPy source."""

from chainrule.graph.derivation import Derivation, derive
from chainrule.graph.emit import drawing
from chainrule.graph.ir import Graph
from chainrule.graph.tracing import trace

__all__ = ["Derivation", "Graph", "derive", "drawing", "trace"]
