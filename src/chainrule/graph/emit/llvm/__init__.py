"""Graphs as native code, through LLVM: `build(graph)`. Needs llvmlite."""

from chainrule.graph.emit.llvm.kernel import Kernel
from chainrule.graph.ir import Graph


def build(graph: Graph, *, keep: bool = True, assume_finite: bool = False) -> Kernel:
    """The graph as native code: from arrays for its inputs to fresh arrays for its outputs.

    With `keep`, the code is kept on disk; with `assume_finite` it may be wrong for NaN and infinities.
    """
    return Kernel(graph, keep=keep, assume_finite=assume_finite)


__all__ = ["Kernel", "build"]
