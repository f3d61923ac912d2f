"""Tools around modules and their parameters."""

from __future__ import annotations

from typing import Any

from chainrule.torch.missing import missing_name
from chainrule.torch.nn.utils import rnn as rnn
from chainrule.torch.nn.utils.gradients import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm",
    "parameters_to_vector", "rnn", "vector_to_parameters",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing_name(__name__, name, __all__)
