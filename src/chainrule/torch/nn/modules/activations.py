"""Activation modules."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np

from chainrule import ops
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.nn import functional as F
from chainrule.torch.nn import init
from chainrule.torch.nn.modules.applied import REQUIRED, Applied
from chainrule.torch.nn.modules.module import Module
from chainrule.torch.nn.parameter import empty


class ReLU(Applied):
    """max(0, x)."""

    inplace: bool
    options: ClassVar[dict[str, Any]] = {"inplace": False}

    def forward(self, input: Any) -> Any:
        """max(0, x)."""
        return F.relu(input, self.inplace)


class ReLU6(Applied):
    """x limited to the range from 0 to 6."""

    function = F.relu6
    options: ClassVar[dict[str, Any]] = {"inplace": False}


class RReLU(Applied):
    """Leaky ReLU with slopes drawn at random while training."""

    function = F.rrelu
    options: ClassVar[dict[str, Any]] = {"lower": 1.0 / 8, "upper": 1.0 / 3, "inplace": False}

    def forward(self, input: Any) -> Any:
        """X above 0, a slope times x below."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Threshold(Applied):
    """x above the threshold, the value elsewhere."""

    function = F.threshold
    options: ClassVar[dict[str, Any]] = {"threshold": REQUIRED, "value": REQUIRED, "inplace": False}


class Hardtanh(Applied):
    """x limited to a range."""

    function = F.hardtanh
    options: ClassVar[dict[str, Any]] = {"min_val": -1.0, "max_val": 1.0, "inplace": False}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for old, new in (("min_value", "min_val"), ("max_value", "max_val")):
            if old in kwargs:
                warnings.warn(
                    f"keyword argument `{old}` is deprecated and rename to `{new}`",
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
        super().__init__(*args, **kwargs)
        if not self.max_val > self.min_val:
            raise AssertionError("max_val must be greater than min_val")


class Sigmoid(Applied):
    """1 / (1 + exp(-x))."""

    function = F.sigmoid


class Tanh(Applied):
    """The hyperbolic tangent."""

    function = F.tanh


class Hardsigmoid(Applied):
    """(x + 3) / 6, limited to the range from 0 to 1."""

    function = F.hardsigmoid
    options: ClassVar[dict[str, Any]] = {"inplace": False}
    shown: ClassVar[tuple[str, ...] | None] = ("inplace",)

    def extra_repr(self) -> str:
        """Nothing."""
        return ""


class Hardswish(Hardsigmoid):
    """x times Hardsigmoid."""

    function = F.hardswish


class SiLU(Applied):
    """x sigmoid(x)."""

    function = F.silu
    options: ClassVar[dict[str, Any]] = {"inplace": False}


class Mish(Applied):
    """x tanh(softplus(x))."""

    function = F.mish
    options: ClassVar[dict[str, Any]] = {"inplace": False}


class ELU(Applied):
    """x above 0, alpha (exp(x) - 1) below."""

    function = F.elu
    options: ClassVar[dict[str, Any]] = {"alpha": 1.0, "inplace": False}


class CELU(Applied):
    """x above 0, alpha (exp(x / alpha) - 1) below."""

    function = F.celu
    options: ClassVar[dict[str, Any]] = {"alpha": 1.0, "inplace": False}


class SELU(Applied):
    """The scaled ELU under which activations keep mean 0 and variance 1."""

    function = F.selu
    options: ClassVar[dict[str, Any]] = {"inplace": False}


class GLU(Applied):
    """The first half times the sigmoid of the second."""

    function = F.glu
    options: ClassVar[dict[str, Any]] = {"dim": -1}


class GELU(Applied):
    """x times the probability that a normal number is below it."""

    function = F.gelu
    options: ClassVar[dict[str, Any]] = {"approximate": "none"}


class Hardshrink(Applied):
    """x; 0 where its size is at most lambd."""

    function = F.hardshrink
    options: ClassVar[dict[str, Any]] = {"lambd": 0.5}

    def extra_repr(self) -> str:
        """The bound."""
        return str(self.lambd)


class Softshrink(Hardshrink):
    """x moved towards 0 by lambd."""

    function = F.softshrink


class LeakyReLU(Applied):
    """x above 0, negative_slope x below."""

    function = F.leaky_relu
    options: ClassVar[dict[str, Any]] = {"negative_slope": 0.01, "inplace": False}


class LogSigmoid(Applied):
    """log(sigmoid(x))."""

    function = F.logsigmoid


class Softplus(Applied):
    """log(1 + exp(beta x)) / beta."""

    function = F.softplus
    options: ClassVar[dict[str, Any]] = {"beta": 1.0, "threshold": 20.0}


class PReLU(Module):
    """Leaky ReLU with a trained slope: one for all, or one for each channel."""

    weight: Any

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = empty((num_parameters,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all slopes to the first value."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        """X above 0, weight x below."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The number of slopes."""
        return f"num_parameters={self.num_parameters}"


class Softsign(Applied):
    """x / (1 + |x|)."""

    function = F.softsign


class Tanhshrink(Applied):
    """x - tanh(x)."""

    function = F.tanhshrink


class Softmax(Applied):
    """Exponentials over their sum along dim."""

    function = F.softmax
    options: ClassVar[dict[str, Any]] = {"dim": None}


class Softmin(Applied):
    """Softmax of -x."""

    function = F.softmin
    options: ClassVar[dict[str, Any]] = {"dim": None}


class LogSoftmax(Applied):
    """The logarithm of Softmax."""

    function = F.log_softmax
    options: ClassVar[dict[str, Any]] = {"dim": None}


class Softmax2d(Module):
    """Softmax over the channels of images."""

    def forward(self, input: Any) -> Any:
        """Exponentials over their sum along the channels."""
        if input._data.ndim not in (3, 4):
            raise ValueOptionError(
                f"Softmax2d: expected input to be 3D or 4D, got {input._data.ndim}D instead"
            )
        return F.softmax(input, -3)


class Flatten(Applied):
    """Several dimensions as one."""

    options: ClassVar[dict[str, Any]] = {"start_dim": 1, "end_dim": -1}

    def forward(self, input: Any) -> Any:
        """The dimensions from start_dim to end_dim as one."""
        shape = input._data.shape
        first, last = self.start_dim % max(len(shape), 1), self.end_dim % max(len(shape), 1)
        if first == last and shape:
            return input
        if first > last:
            raise OperationError("flatten() has invalid args: start_dim cannot come after end_dim")
        size = int(np.prod(shape[first : last + 1]))
        return ops.reshape(input, shape=(*shape[:first], size, *shape[last + 1 :]))


class Unflatten(Applied):
    """One dimension as several."""

    options: ClassVar[dict[str, Any]] = {"dim": REQUIRED, "unflattened_size": REQUIRED}

    def forward(self, input: Any) -> Any:
        """The dimension dim in the given shape."""
        shape, place = input._data.shape, self.dim % input._data.ndim
        return ops.reshape(input, shape=(*shape[:place], *self.unflattened_size, *shape[place + 1 :]))
