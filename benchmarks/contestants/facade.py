"""chainrule.torch, eager: the text of the PyTorch contestant."""

from benchmarks.contestants import Contestant, torch_style
from benchmarks.models import Network, Scalar
from chainrule import torch


def scalar(model: Scalar) -> Contestant:
    return torch_style.scalar(model, torch)


def network(model: Network) -> Contestant:
    return torch_style.network(model, torch)
