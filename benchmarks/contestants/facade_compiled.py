"""chainrule.torch, compiled: the text of the PyTorch contestant, whose step is given to `cr.compile`."""

import llvmlite  # noqa: F401  # without it, this contestant is skipped

import chainrule as cr
from benchmarks.contestants import Contestant, torch_style
from benchmarks.models import Network, Scalar
from chainrule import torch


def scalar(model: Scalar) -> Contestant:
    return torch_style.scalar(model, torch, cr.compile)


def network(model: Network) -> Contestant:
    return torch_style.network(model, torch, cr.compile)
