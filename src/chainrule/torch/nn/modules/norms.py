"""Normalising modules."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chainrule.torch.errors import ValueOptionError
from chainrule.torch.nn import functional as F
from chainrule.torch.nn import init
from chainrule.torch.nn.modules.applied import REQUIRED, Applied
from chainrule.torch.nn.modules.lazy import Lazy
from chainrule.torch.nn.modules.module import Module
from chainrule.torch.nn.parameter import UninitializedParameter, empty
from chainrule.torch.tensors import Tensor, is_symbolic


class _RunningNorm(Module):
    """What BatchNorm and InstanceNorm share: parameters of the channels, and running statistics."""

    dims: ClassVar[tuple[int, ...]]
    weight: Any
    bias: Any
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any
    _version = 2

    def _begin(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track: bool, device: Any, dtype: Any,
        bias: bool,
    ) -> None:  # fmt: skip
        if eps <= 0:
            raise ValueOptionError(f"eps must be positive, but got {eps}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track
        self.register_parameter("weight", empty((num_features,), device, dtype) if affine else None)
        self.register_parameter("bias", empty((num_features,), device, dtype) if affine and bias else None)
        running = [empty((num_features,), device, dtype).data if track else None for _ in range(2)]
        self.register_buffer("running_mean", running[0])
        self.register_buffer("running_var", running[1])
        self.register_buffer("num_batches_tracked", Tensor._wrapped(np.array(0)) if track else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Begin the running statistics again."""
        if self.track_running_stats:
            self.running_mean._data[...] = 0
            self.running_var._data[...] = 1
            self.num_batches_tracked._data[...] = 0

    def reset_parameters(self) -> None:
        """Begin everything again."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input_dim(self, input: Any) -> None:
        if input._data.ndim not in self.dims:
            wanted = " or ".join(f"{n}D" for n in self.dims)
            raise ValueOptionError(f"expected {wanted} input (got {input._data.ndim}D input)")

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_RunningNorm):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self._begin(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Any) -> Any:
        """The input with mean 0 and variance 1 in each channel, scaled and shifted."""
        self._check_input_dim(input)
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked._data += 1
            if self.momentum is None:
                batches = self.num_batches_tracked._data
                factor = 1.0 / (batches if is_symbolic(batches) else float(batches))
        from_batch = self.training or (self.running_mean is None and self.running_var is None)
        follow = not self.training or self.track_running_stats
        return F.batch_norm(
            input, self.running_mean if follow else None, self.running_var if follow else None, self.weight, self.bias,
            from_batch, factor, self.eps,
        )  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """Each feature of a batch with mean 0 and variance 1."""

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Each channel of a batch of images with mean 0 and variance 1."""

    dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Each channel of a batch of volumes with mean 0 and variance 1."""

    dims = (5,)


class _LazyNorm(Lazy, _RunningNorm):
    """A norm that learns its number of channels from the first input."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(0, *args, **kwargs)
        for name in ("weight", "bias"):
            if getattr(self, name) is not None:
                setattr(self, name, UninitializedParameter())

    def has_uninitialized_params(self) -> bool:
        """Whether the number of channels is still unknown."""
        return not self.num_features

    def initialize_parameters(self, input: Any) -> None:
        """Take the number of channels of `input`."""
        self.num_features = input._data.shape[1]
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                parameter.materialize((self.num_features,))
        if self.track_running_stats:
            self.running_mean._data = np.zeros(self.num_features, self.running_mean._data.dtype)
            self.running_var._data = np.ones(self.num_features, self.running_var._data.dtype)
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """BatchNorm1d whose number of features is learnt from the first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """BatchNorm2d whose number of channels is learnt from the first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """BatchNorm3d whose number of channels is learnt from the first input."""

    cls_to_become = BatchNorm3d


class _InstanceNorm(_RunningNorm):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self._begin(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Any) -> Any:
        """Each channel of each sample with mean 0 and variance 1, scaled and shifted."""
        self._check_input_dim(input)
        single = input._data.ndim == self.dims[0]
        x = input.unsqueeze(0) if single else input
        out = F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, 0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip
        return out.squeeze(0) if single else out


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each signal with mean 0 and variance 1."""

    dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each image with mean 0 and variance 1."""

    dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each volume with mean 0 and variance 1."""

    dims = (4, 5)


class LayerNorm(Module):
    """The last dimensions of each sample with mean 0 and variance 1."""

    weight: Any
    bias: Any

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter(
            "weight", empty(self.normalized_shape, device, dtype) if elementwise_affine else None
        )
        self.register_parameter(
            "bias", empty(self.normalized_shape, device, dtype) if elementwise_affine and bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of 1 and biases of 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """The normalised input, scaled and shifted."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The shape."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """The last dimensions of each sample over the root of their mean square."""

    weight: Any

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter(
            "weight", empty(self.normalized_shape, device, dtype) if elementwise_affine else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Any) -> Any:
        """The normalised input, scaled."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The shape."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """The channels of each group of each sample with mean 0 and variance 1."""

    weight: Any
    bias: Any

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None,
        dtype: Any = None,
        *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueOptionError("num_channels must be divisible by num_groups")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.register_parameter("weight", empty((num_channels,), device, dtype) if affine else None)
        self.register_parameter("bias", empty((num_channels,), device, dtype) if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of 1 and biases of 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """The normalised input, scaled and shifted."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Applied):
    """x over a power of the mean square of the neighbouring channels."""

    function = F.local_response_norm
    options: ClassVar[dict[str, Any]] = {"size": REQUIRED, "alpha": 1e-4, "beta": 0.75, "k": 1.0}

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CosineSimilarity(Module):
    """The cosine of the angle between vectors."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Any, x2: Any) -> Any:
        """The cosines along `dim`."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of differences of vectors."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Any, x2: Any) -> Any:
        """The distances along the last dimension."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
