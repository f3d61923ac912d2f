"""chainrule: backpropagation that you can read, check and run at full speed."""

from __future__ import annotations

from chainrule import errors, ops
from chainrule import numpy_protocol as _numpy_protocol  # noqa: F401  # lets np.exp(tensor) reach us
from chainrule.checking import check_grads
from chainrule.graph import Derivation, Graph, derive, trace
from chainrule.modes import detect_anomaly, enable_grad, no_grad
from chainrule.primitives import primitive
from chainrule.tensor import Tensor
from chainrule.transforms import elementwise_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from chainrule.walkthrough import Step, Walkthrough, explain

__version__ = "0.1.0"

__all__ = [
    "Derivation", "Graph", "Step", "Tensor", "Walkthrough", "check_grads", "derive", "detect_anomaly",
    "elementwise_grad", "enable_grad", "errors", "explain", "grad", "hessian", "hvp", "jacobian", "jvp", "no_grad", "ops", "primitive", "trace", "value_and_grad",
    "vjp",
]  # fmt: skip
