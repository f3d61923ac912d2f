"""Optimizers under PyTorch's names, options and defaults, and `lr_scheduler`.

The update rules are pure functions: those that `chainrule.optim` has too are its own, the others are in
`formulas`.

>>> from chainrule import torch
>>> w = torch.tensor([1.0], requires_grad=True)
>>> optimizer = torch.optim.SGD([w], lr=0.1)
>>> w.square().sum().backward()
>>> optimizer.step()
>>> w
tensor([0.8000], requires_grad=True)
"""

from typing import Any

from chainrule.torch.missing import missing_name
from chainrule.torch.optim import lr_scheduler
from chainrule.torch.optim.adaptive import Adafactor, Adam, Adamax, AdamW, NAdam, RAdam
from chainrule.torch.optim.algorithms import ASGD, SGD, Adadelta, Adagrad, RMSprop, Rprop
from chainrule.torch.optim.lbfgs import LBFGS
from chainrule.torch.optim.optimizer import Optimizer

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam",
    "Optimizer", "RAdam", "RMSprop", "Rprop", "lr_scheduler",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing_name(__name__, name, __all__)
