"""Convolutions and their transposes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from chainrule.torch.errors import ValueOptionError
from chainrule.torch.nn import functional as F
from chainrule.torch.nn import init
from chainrule.torch.nn.functional.common import tuple_of
from chainrule.torch.nn.modules.lazy import Lazy
from chainrule.torch.nn.modules.module import Module
from chainrule.torch.nn.parameter import UninitializedParameter, empty


class _Convolution(Module):
    """What all convolutions share."""

    count: ClassVar[int]
    transposed: ClassVar[bool] = False
    weight: Any
    bias: Any
    padding: Any

    def _begin(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
        output_padding: Any, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        if groups <= 0:
            raise ValueOptionError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueOptionError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueOptionError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueOptionError(
                    f"Invalid padding string '{padding}', should be one of {{'same', 'valid'}}"
                )
            if padding == "same" and any(s != 1 for s in tuple_of(stride, self.count)):
                raise ValueOptionError("padding='same' is not supported for strided convolutions")
        modes = ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueOptionError(
                f"padding_mode must be one of {set(modes)}, but got padding_mode='{padding_mode}'"
            )
        self.in_channels, self.out_channels, self.groups, self.padding_mode = (
            in_channels,
            out_channels,
            groups,
            padding_mode,
        )
        self.kernel_size, self.stride = tuple_of(kernel_size, self.count), tuple_of(stride, self.count)
        self.padding = padding if isinstance(padding, str) else tuple_of(padding, self.count)
        self.dilation, self.output_padding = (
            tuple_of(dilation, self.count),
            tuple_of(output_padding, self.count),
        )
        lazy = isinstance(self, Lazy)
        self.weight = (
            UninitializedParameter(dtype=dtype) if lazy else empty(self._weight_shape(), device, dtype)
        )
        if bias:
            self.bias = empty((out_channels,), device, dtype)
        else:
            self.register_parameter("bias", None)
        if not lazy:
            self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        first, second = (
            (self.in_channels, self.out_channels)
            if self.transposed
            else (self.out_channels, self.in_channels)
        )
        return (first, second // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight._data.shape[1:])
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def _around(self) -> list[int]:
        """The widths of a padding that is not of zeros, as `F.pad` takes them."""
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            pairs = [(t // 2, t - t // 2) for t in totals]
        elif self.padding == "valid":
            pairs = [(0, 0)] * self.count
        else:
            pairs = [(int(p), int(p)) for p in self.padding]
        return [n for pair in reversed(pairs) for n in pair]

    def extra_repr(self) -> str:
        """The sizes, and what is not usual."""
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        zeros, ones = (0,) * self.count, (1,) * self.count
        if self.padding != zeros:
            text += (
                f", padding={self.padding!r}"
                if not isinstance(self.padding, str)
                else f", padding={self.padding}"
            )
        if self.dilation != ones:
            text += f", dilation={self.dilation}"
        if self.output_padding != zeros:
            text += f", output_padding={self.output_padding}"
        text += f", groups={self.groups}" * (self.groups != 1) + ", bias=False" * (self.bias is None)
        return text + f", padding_mode={self.padding_mode}" * (self.padding_mode != "zeros")


class _Conv(_Convolution):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._begin(in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode,
                    device, dtype)  # fmt: skip

    def forward(self, input: Any) -> Any:
        """The kernels slid over the input."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._around(), mode=self.padding_mode), 0
        function = (F.conv1d, F.conv2d, F.conv3d)[self.count - 1]
        return function(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """Kernels slid over signals."""

    count = 1


class Conv2d(_Conv):
    """Kernels slid over images.

    >>> from chainrule import torch
    >>> torch.nn.Conv2d(1, 4, 3)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 4, 6, 6])
    """

    count = 2


class Conv3d(_Conv):
    """Kernels slid over volumes."""

    count = 3


class _ConvTranspose(_Convolution):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise ValueOptionError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._begin(in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
                    padding_mode, device, dtype)  # fmt: skip

    def forward(self, input: Any, output_size: Any = None) -> Any:
        """The transpose of the convolution; `output_size` chooses among the sizes that it may come from."""
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.count - 1]
        return function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, input: Any, output_size: Any) -> tuple[int, ...]:
        wanted = tuple(int(n) for n in output_size)[-self.count :]
        space = input._data.shape[-self.count :]
        smallest = tuple(
            (n - 1) * s - 2 * int(p) + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                space, self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        )
        largest = tuple(n + s - 1 for n, s in zip(smallest, self.stride, strict=True))
        if len(wanted) != self.count or any(
            not a <= w <= b for a, w, b in zip(smallest, wanted, largest, strict=True)
        ):
            raise ValueOptionError(
                f"requested an output size of {list(wanted)}, but valid sizes range from {list(smallest)} to "
                f"{list(largest)} (for an input of {list(space)})"
            )
        return tuple(w - n for w, n in zip(wanted, smallest, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """The transpose of Conv1d."""

    count = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of Conv2d."""

    count = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of Conv3d."""

    count = 3


class _LazyConvolution(Lazy, _Convolution):
    """A convolution that learns its number of channels from the first input."""

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(0, 0, kernel_size, *args, **kwargs)
        self.out_channels = out_channels
        if self.bias is not None:
            self.bias = UninitializedParameter(dtype=kwargs.get("dtype"))

    def initialize_parameters(self, input: Any, *args: Any) -> None:
        """Take the shapes that fit to `input`."""
        dims = input._data.ndim
        if dims not in (self.count + 1, self.count + 2):
            raise ValueOptionError(
                f"Expected {self.count + 1}D or {self.count + 2}D input to {type(self).__name__}, but got {dims}D"
            )
        self.in_channels = input._data.shape[-self.count - 1]
        if self.in_channels % self.groups:
            raise ValueOptionError("in_channels must be divisible by groups")
        self.weight.materialize(self._weight_shape())
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class LazyConv1d(_LazyConvolution, Conv1d):
    """Conv1d whose number of channels is learnt from the first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConvolution, Conv2d):
    """Conv2d whose number of channels is learnt from the first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConvolution, Conv3d):
    """Conv3d whose number of channels is learnt from the first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvolution, ConvTranspose1d):
    """ConvTranspose1d whose number of channels is learnt from the first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvolution, ConvTranspose2d):
    """ConvTranspose2d whose number of channels is learnt from the first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvolution, ConvTranspose3d):
    """ConvTranspose3d whose number of channels is learnt from the first input."""

    cls_to_become = ConvTranspose3d
