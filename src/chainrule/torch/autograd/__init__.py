"""Gradients on request, functions with gradients of their own, and modes."""

from __future__ import annotations

from chainrule.torch.autograd import function as function
from chainrule.torch.autograd import functional as functional
from chainrule.torch.autograd.checks import GradcheckError, gradcheck, gradgradcheck
from chainrule.torch.autograd.function import Function, FunctionCtx
from chainrule.torch.autograd.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)  # fmt: skip
from chainrule.torch.autograd.sweeps import backward, grad
from chainrule.torch.tensors import Tensor as Variable

__all__ = [
    "Function", "FunctionCtx", "GradcheckError", "Variable", "backward", "detect_anomaly", "enable_grad", "function",
    "functional", "grad", "gradcheck", "gradgradcheck", "inference_mode", "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip
