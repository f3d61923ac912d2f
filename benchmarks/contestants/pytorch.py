"""PyTorch, eager, the way its tutorials write a training step."""

import torch

from benchmarks.contestants import Contestant, torch_style
from benchmarks.models import Network, Scalar

torch.set_num_threads(1)


def scalar(model: Scalar) -> Contestant:
    return torch_style.scalar(model, torch)


def network(model: Network) -> Contestant:
    return torch_style.network(model, torch)
