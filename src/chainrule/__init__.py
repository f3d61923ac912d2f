"""chainrule: backpropagation that you can read, check and run at full speed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule import errors, ops
from chainrule import numpy_protocol as _numpy_protocol  # noqa: F401  # lets np.exp(tensor) reach us
from chainrule.checking import check_grads
from chainrule.modes import detect_anomaly, enable_grad, no_grad
from chainrule.primitives import primitive
from chainrule.tensor import Tensor
from chainrule.transforms import elementwise_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

if TYPE_CHECKING:
    from chainrule.compiled import compile
    from chainrule.diagnosis import (
        assert_gradients,
        assert_layer,
        assert_step,
        check,
        check_layer,
        check_step,
    )
    from chainrule.graph import Derivation, Graph, derive, trace
    from chainrule.walkthrough import Step, Walkthrough, explain

__version__ = "0.1.0"

__all__ = [
    "Derivation", "Graph", "Step", "Tensor", "Walkthrough", "assert_gradients", "assert_layer", "assert_step",
    "check", "check_grads", "check_layer", "check_step", "compile", "derive", "detect_anomaly", "elementwise_grad",
    "enable_grad", "errors", "explain", "grad", "hessian", "hvp", "jacobian", "jvp", "no_grad", "ops", "primitive",
    "trace", "value_and_grad", "vjp",
]  # fmt: skip

_LATER = {
    "compiled": ("compile",),
    "diagnosis": ("assert_gradients", "assert_layer", "assert_step", "check", "check_layer", "check_step"),
    "graph": ("Derivation", "Graph", "derive", "trace"),
    "walkthrough": ("Step", "Walkthrough", "explain"),
}
"""What is imported when it is first asked for: gradients alone need none of it."""


def __getattr__(name: str) -> Any:
    for package, names in _LATER.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"chainrule.{package}"), name)
            return value
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
