"""`torch.special`: special functions, most of them under two names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.functions.elementwise import apply, operands
from chainrule.torch.functions.registry import PUBLIC, tensor_argument, with_out
from chainrule.torch.tensors import Tensor

_ALIASES = {
    "digamma": "digamma", "psi": "digamma", "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "exp2": "exp2",
    "expit": "sigmoid", "expm1": "expm1", "gammaln": "lgamma", "log1p": "log1p", "logit": "logit",
    "logsumexp": "logsumexp", "multigammaln": "mvlgamma", "polygamma": "polygamma", "round": "round", "sinc": "sinc",
    "softmax": "softmax", "log_softmax": "log_softmax", "xlogy": "xlogy",
}  # fmt: skip
globals().update({name: PUBLIC[main] for name, main in _ALIASES.items()})


def _entr(input: Tensor) -> Any:
    """-x log x; 0 at 0, and -inf below."""
    x = tensor_argument(input, "special.entr")
    inside = apply(ops.where, (x._data > 0, x, 1.0), {})
    outside = np.where(np.isnan(x._data), np.nan, np.where(x._data == 0, 0.0, -np.inf)).astype(
        inside._data.dtype
    )
    return apply(ops.where, (x._data > 0, -inside * apply(ops.log, (inside,), {}), outside), {})


def _ndtr(input: Tensor) -> Any:
    """The share of the normal distribution below x."""
    return 0.5 * (1 + apply(ops.erf, (tensor_argument(input, "special.ndtr") * math.sqrt(0.5),), {}))


def _ndtri(input: Tensor) -> Any:
    """The point below which a share of the normal distribution lies."""
    return math.sqrt(2) * apply(ops.erfinv, (2 * tensor_argument(input, "special.ndtri") - 1,), {})


def _xlog1py(input: Any, other: Any) -> Any:
    """Input * log(1 + other), and 0 where input is 0."""
    operands("xlog1py", input, other)
    zero = np.equal(input._data if isinstance(input, Tensor) else input, 0)
    other = (
        other if isinstance(other, Tensor) else Tensor._wrapped(np.asarray(float(other), input._data.dtype))
    )
    zero = zero & ~np.isnan(other._data)
    log = apply(ops.log1p, (apply(ops.where, (zero, 0.0, other), {}),), {})
    return apply(ops.where, (zero, 0.0, input * log), {})


entr, ndtr, ndtri, xlog1py = (with_out(f) for f in (_entr, _ndtr, _ndtri, _xlog1py))
