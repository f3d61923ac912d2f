"""Pooling, padding, resizing and dropout modules."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.torch.errors import ValueOptionError
from chainrule.torch.nn import functional as F
from chainrule.torch.nn.functional.common import tuple_of
from chainrule.torch.nn.modules.applied import REQUIRED, Applied
from chainrule.torch.nn.modules.module import Module


class _MaxPool(Applied):
    kernel_size: Any
    stride: Any
    options: ClassVar[dict[str, Any]] = {
        "kernel_size": REQUIRED, "stride": None, "padding": 0, "dilation": 1, "return_indices": False,
        "ceil_mode": False,
    }  # fmt: skip
    shown: ClassVar[tuple[str, ...] | None] = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stride = self.kernel_size if self.stride is None else self.stride


class MaxPool1d(_MaxPool):
    """The maximum of each window of signals."""

    function = F.max_pool1d


class MaxPool2d(_MaxPool):
    """The maximum of each window of images."""

    function = F.max_pool2d


class MaxPool3d(_MaxPool):
    """The maximum of each window of volumes."""

    function = F.max_pool3d


class _MaxUnpool(Module):
    count: ClassVar[int]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = tuple_of(kernel_size, self.count)
        self.stride = tuple_of(kernel_size if stride is None else stride, self.count)
        self.padding = tuple_of(padding, self.count)

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """Each element put back where the maximum was found."""
        function = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[self.count - 1]
        return function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        """The windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The partial inverse of MaxPool1d."""

    count = 1


class MaxUnpool2d(_MaxUnpool):
    """The partial inverse of MaxPool2d."""

    count = 2


class MaxUnpool3d(_MaxUnpool):
    """The partial inverse of MaxPool3d."""

    count = 3


class AvgPool1d(Applied):
    """The mean of each window of signals."""

    kernel_size: Any
    stride: Any
    padding: Any
    function = F.avg_pool1d
    options: ClassVar[dict[str, Any]] = {
        "kernel_size": REQUIRED,
        "stride": None,
        "padding": 0,
        "ceil_mode": False,
        "count_include_pad": True,
    }
    shown: ClassVar[tuple[str, ...] | None] = ("kernel_size", "stride", "padding")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stride = tuple_of(self.kernel_size if self.stride is None else self.stride, 1)
        self.kernel_size, self.padding = tuple_of(self.kernel_size, 1), tuple_of(self.padding, 1)


class AvgPool2d(Applied):
    """The mean of each window of images."""

    kernel_size: Any
    stride: Any
    function = F.avg_pool2d
    options: ClassVar[dict[str, Any]] = AvgPool1d.options | {"divisor_override": None}
    shown: ClassVar[tuple[str, ...] | None] = AvgPool1d.shown

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stride = self.kernel_size if self.stride is None else self.stride


class AvgPool3d(AvgPool2d):
    """The mean of each window of volumes."""

    function = F.avg_pool3d


class _LPPool(Applied):
    options: ClassVar[dict[str, Any]] = {
        "norm_type": REQUIRED,
        "kernel_size": REQUIRED,
        "stride": None,
        "ceil_mode": False,
    }

    def extra_repr(self) -> str:
        """The windows."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The p-norm of each window of signals."""

    function = F.lp_pool1d


class LPPool2d(_LPPool):
    """The p-norm of each window of images."""

    function = F.lp_pool2d


class LPPool3d(_LPPool):
    """The p-norm of each window of volumes."""

    function = F.lp_pool3d


class AdaptiveAvgPool1d(Applied):
    """The means of a given number of windows."""

    function = F.adaptive_avg_pool1d
    options: ClassVar[dict[str, Any]] = {"output_size": REQUIRED}


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """The means of a given number of windows of images."""

    function = F.adaptive_avg_pool2d


class AdaptiveAvgPool3d(AdaptiveAvgPool1d):
    """The means of a given number of windows of volumes."""

    function = F.adaptive_avg_pool3d


class AdaptiveMaxPool1d(Applied):
    """The maxima of a given number of windows."""

    function = F.adaptive_max_pool1d
    options: ClassVar[dict[str, Any]] = {"output_size": REQUIRED, "return_indices": False}
    shown: ClassVar[tuple[str, ...] | None] = ("output_size",)


class AdaptiveMaxPool2d(AdaptiveMaxPool1d):
    """The maxima of a given number of windows of images."""

    function = F.adaptive_max_pool2d


class AdaptiveMaxPool3d(AdaptiveMaxPool1d):
    """The maxima of a given number of windows of volumes."""

    function = F.adaptive_max_pool3d


class _FractionalMaxPool(Applied):
    output_ratio: Any
    count: ClassVar[int]
    options: ClassVar[dict[str, Any]] = {
        "kernel_size": REQUIRED, "output_size": None, "output_ratio": None, "return_indices": False,
        "_random_samples": None,
    }  # fmt: skip
    shown: ClassVar[tuple[str, ...] | None] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("_random_samples", self.__dict__.pop("_random_samples", None))
        if (self.output_size is None) == (self.output_ratio is None):
            raise ValueOptionError(
                f"{type(self).__name__} requires specifying either an output size, or a pooling ratio"
            )
        if self.output_ratio is not None:
            ratios = (
                self.output_ratio
                if isinstance(self.output_ratio, tuple)
                else (self.output_ratio,) * self.count
            )
            if not all(0 < r < 1 for r in ratios):
                raise ValueOptionError(f"output_ratio must be between 0 and 1 (got {ratios})")
            self.output_ratio = ratios


class FractionalMaxPool2d(_FractionalMaxPool):
    """The maxima of windows at random places of images."""

    function, count = F.fractional_max_pool2d, 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The maxima of windows at random places of volumes."""

    function, count = F.fractional_max_pool3d, 3


# padding -------------------------------------------------------------------------------------------------


class _Pad(Module):
    count: ClassVar[int]
    mode: ClassVar[str] = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = tuple_of(padding, 2 * self.count)

    def forward(self, input: Any) -> Any:
        """The input with its borders."""
        dims, count = input._data.ndim, self.count
        if self.mode == "circular" and dims not in (count + 1, count + 2):
            raise ValueOptionError(f"expected {count + 1}D or {count + 2}D input (got {dims}D input)")
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        """The input with borders of one value."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The widths and the value."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


def _pads(base: type, what: str, mode: str = "constant") -> list[type]:
    """The modules for signals, images and volumes."""
    return [
        type(
            f"{what}{n}d",
            (base,),
            {"count": n, "mode": mode, "__doc__": f"{what} of {n} dimensions.", "__module__": __name__},
        )
        for n in (1, 2, 3)
    ]


ConstantPad1d, ConstantPad2d, ConstantPad3d = _pads(_ConstantPad, "ConstantPad")
ZeroPad1d, ZeroPad2d, ZeroPad3d = _pads(_ZeroPad, "ZeroPad")
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = _pads(_Pad, "ReflectionPad", "reflect")
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = _pads(_Pad, "ReplicationPad", "replicate")
CircularPad1d, CircularPad2d, CircularPad3d = _pads(_Pad, "CircularPad", "circular")


# resizing ------------------------------------------------------------------------------------------------


class Upsample(Applied):
    """Images resized."""

    scale_factor: Any

    options: ClassVar[dict[str, Any]] = {
        "size": None, "scale_factor": None, "mode": "nearest", "align_corners": None, "recompute_scale_factor": None,
    }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.scale_factor, tuple):
            self.scale_factor = tuple(float(f) for f in self.scale_factor)
        elif self.scale_factor:
            self.scale_factor = float(self.scale_factor)

    def forward(self, input: Any) -> Any:
        """The input resized."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        """The size or the factor, and the mode."""
        which = "size" if self.scale_factor is None else "scale_factor"
        return f"{which}={getattr(self, which)!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Images resized by repeating the nearest element."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Images resized linearly, with the corners aligned."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Applied):
    """Channels moved into space."""

    function = F.pixel_shuffle
    options: ClassVar[dict[str, Any]] = {"upscale_factor": REQUIRED}


class PixelUnshuffle(Applied):
    """Space moved into channels."""

    function = F.pixel_unshuffle
    options: ClassVar[dict[str, Any]] = {"downscale_factor": REQUIRED}


class ChannelShuffle(Applied):
    """The channels of groups taken in turn."""

    function = F.channel_shuffle
    options: ClassVar[dict[str, Any]] = {"groups": REQUIRED}


class Unfold(Applied):
    """The patches of images as columns."""

    function = F.unfold
    options: ClassVar[dict[str, Any]] = {"kernel_size": REQUIRED, "dilation": 1, "padding": 0, "stride": 1}


class Fold(Applied):
    """The sum of patches, put where Unfold takes them from."""

    function = F.fold
    options: ClassVar[dict[str, Any]] = {
        "output_size": REQUIRED,
        "kernel_size": REQUIRED,
        "dilation": 1,
        "padding": 0,
        "stride": 1,
    }


# dropout -------------------------------------------------------------------------------------------------


class _Dropout(Applied):
    options: ClassVar[dict[str, Any]] = {"p": 0.5, "inplace": False}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not 0 <= self.p <= 1:
            raise ValueOptionError(f"dropout probability has to be between 0 and 1, but got {self.p}")

    def forward(self, input: Any) -> Any:
        """The input with zeros at random while training, and the input itself otherwise."""
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Each element set to 0 with probability p while training."""

    function = F.dropout


class Dropout1d(_Dropout):
    """Whole channels of signals set to 0 with probability p while training."""

    function = F.dropout1d


class Dropout2d(_Dropout):
    """Whole channels of images set to 0 with probability p while training."""

    function = F.dropout2d


class Dropout3d(_Dropout):
    """Whole channels of volumes set to 0 with probability p while training."""

    function = F.dropout3d


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance of the output of SELU."""

    function = F.alpha_dropout


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels."""

    function = F.feature_alpha_dropout
