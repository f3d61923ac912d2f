"""Functions of one number as LLVM instructions that vectorise: `FUNCTIONS[name](builder, x)`.

A value is of the type float or double, and so is the result. There is no call and no branch in them. They do not
need, and do not bear, fast-math flags on their instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.graph.emit.llvm_functions import elementary
from chainrule.graph.emit.llvm_functions.scalars import DOUBLE, SINGLE, Scalar

__all__ = ["FUNCTIONS"]


def _on_values(function: Callable[..., Scalar]) -> Callable[..., Any]:
    def emit(builder: Any, *values: Any) -> Any:
        form = SINGLE if values[0].type == SINGLE.real else DOUBLE
        return function(*(Scalar(builder, value, form) for value in values)).value

    return emit


_NAMES = "exp exp2 expm1 log log1p log2 log10 sinh cosh tanh sigmoid softplus sin cos erf pow"
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: _on_values(getattr(elementary, name)) for name in _NAMES.split()
}
"""By the name of the primitive: from a builder and one value (two for pow) to the value of the function."""
