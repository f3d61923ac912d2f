"""Learning-rate schedulers under PyTorch's names, with its options and its order of operations.

Call `optimizer.step()` first and `scheduler.step()` after it.
"""

from typing import Any

from chainrule.torch.missing import missing_name
from chainrule.torch.optim.lr_scheduler.base import LRScheduler
from chainrule.torch.optim.lr_scheduler.chainable import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)  # fmt: skip
from chainrule.torch.optim.lr_scheduler.composed import ChainedScheduler, ReduceLROnPlateau, SequentialLR
from chainrule.torch.optim.lr_scheduler.cyclic import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR

_LRScheduler = LRScheduler
"""Its name in old programs."""

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR",
    "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR",
    "PolynomialLR", "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing_name(__name__, name, __all__)
