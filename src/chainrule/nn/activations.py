"""Elementwise functions as modules; `ACTIVATIONS` is the table of their names."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from chainrule import ops
from chainrule.errors import OptionError
from chainrule.nn.module import Module
from chainrule.tensor import Tensor


class Activation(Module):
    """An elementwise function between two layers: output shape and dtype are those of the input.

    A subclass names its `function` and the `initializer` that suits the weights in front of it.

    >>> import numpy as np
    >>> Tanh()(np.array([0.0]))
    array([0.])
    """

    function: ClassVar[staticmethod[[Any], Tensor]]
    initializer: ClassVar[str] = "glorot-uniform"

    def forward(self, x: Any) -> Tensor:
        """The function's value at every element of `x`."""
        return self.function(x)


def _identity(x: Any) -> Tensor:
    out: Tensor = ops.positive(x)
    return out


def _leaky_relu(x: Any) -> Tensor:
    # 0.01, the slope of Maas, Hannun and Ng (2013), who proposed it.
    out: Tensor = ops.where(x > 0, x, 0.01 * x)
    return out


def _silu(x: Any) -> Tensor:
    out: Tensor = x * ops.sigmoid(x)
    return out


def _gelu(x: Any) -> Tensor:
    out: Tensor = 0.5 * x * (1 + ops.erf(x / math.sqrt(2)))
    return out


class Identity(Activation):
    """x: hidden layers without a function between them, so the network is linear."""

    function = staticmethod(_identity)


class Tanh(Activation):
    """The hyperbolic tangent, between -1 and 1."""

    function = staticmethod(ops.tanh)


class Sigmoid(Activation):
    """1 / (1 + exp(-x)), between 0 and 1."""

    function = staticmethod(ops.sigmoid)


class Softplus(Activation):
    """log(1 + exp(x)), a smooth ReLU."""

    function = staticmethod(ops.softplus)
    initializer = "he-normal"


class ReLU(Activation):
    """max(x, 0)."""

    function = staticmethod(ops.relu)
    initializer = "he-normal"


class LeakyReLU(Activation):
    """x where it is positive, else 0.01 x."""

    function = staticmethod(_leaky_relu)
    initializer = "he-normal"


class SiLU(Activation):
    """x · sigmoid(x), also called swish."""

    function = staticmethod(_silu)
    initializer = "he-normal"


class GELU(Activation):
    """x · Φ(x) with the normal distribution function Φ, not its tanh approximation."""

    function = staticmethod(_gelu)
    initializer = "he-normal"


ACTIVATIONS: dict[str, type[Activation]] = {
    kind.__name__.lower(): kind for kind in (Tanh, ReLU, Sigmoid, Softplus, LeakyReLU, SiLU, GELU, Identity)
}


def activation(choice: str) -> type[Activation]:
    """The activation class of that name (``"tanh"``, ``"relu"`` …; capitals do not matter).

    Raises:
        OptionError: there is none of that name; the message lists those that there are.
    """
    if choice.lower() not in ACTIVATIONS:
        raise OptionError(f"there is no activation {choice!r}: choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[choice.lower()]
