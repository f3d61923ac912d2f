"""Layers, activations, losses and first weights: networks as modules over the engine.

>>> from chainrule import nn
>>> nn.multilayer([4, 8, 3], "relu", generator=0)
Sequential(
  0: Linear(4, 8)
  1: ReLU()
  2: Linear(8, 3)
)
"""

from chainrule.nn.activations import (
    ACTIVATIONS,
    GELU,
    Activation,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    activation,
)
from chainrule.nn.initializers import (
    INITIALIZERS,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    initializer,
)
from chainrule.nn.layers import Dropout, Linear, Sequential, multilayer
from chainrule.nn.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    mean_squared_error,
    one_hot,
    weighted_mean,
)
from chainrule.nn.module import Module

__all__ = [
    "ACTIVATIONS",
    "GELU",
    "INITIALIZERS",
    "Activation",
    "Dropout",
    "Identity",
    "LeakyReLU",
    "Linear",
    "Module",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "activation",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "initializer",
    "mean_squared_error",
    "multilayer",
    "one_hot",
    "weighted_mean",
]
