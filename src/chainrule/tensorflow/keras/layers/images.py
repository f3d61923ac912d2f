"""Layers of images: (rows, height, width, channels)."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.tensorflow import nn
from chainrule.tensorflow.keras import activations
from chainrule.tensorflow.keras.layers.base import Layer


class Conv2D(Layer):
    """The convolution of images with `filters` filters.

    >>> import numpy as np
    >>> Conv2D(8, 3, padding="same")(np.zeros((1, 5, 5, 2))).shape
    TensorShape([1, 5, 5, 8])
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.filters, self.size, self.strides = filters, nn.pair(kernel_size), nn.pair(strides)
        self.padding, self.activation, self.use_bias = padding, activations.get(activation), use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, input_shape: Any) -> None:
        """Make kernel and bias."""
        shape = (*self.size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel")
        if self.use_bias:
            self.bias = self.add_weight((self.filters,), self.bias_initializer, name="bias")

    def call(self, inputs: Any) -> Any:
        """The convolution, then the activation."""
        out = nn.conv2d(inputs, self.kernel, self.strides, self.padding)
        return self.activation(out + self.bias if self.use_bias else out)


class _Pooling(Layer):
    def __init__(
        self, pool_size: Any = (2, 2), strides: Any = None, padding: str = "valid", **options: Any
    ) -> None:
        super().__init__(**options)
        self.pool_size, self.padding = nn.pair(pool_size), padding
        self.strides = self.pool_size if strides is None else nn.pair(strides)


class MaxPooling2D(_Pooling):
    """The greatest element of each window."""

    def call(self, inputs: Any) -> Any:
        """The maxima."""
        return nn.max_pool2d(inputs, self.pool_size, self.strides, self.padding)


class AveragePooling2D(_Pooling):
    """The mean of each window."""

    def call(self, inputs: Any) -> Any:
        """The means."""
        return nn.avg_pool2d(inputs, self.pool_size, self.strides, self.padding)


class GlobalAveragePooling2D(Layer):
    """The mean of each channel."""

    def call(self, inputs: Any) -> Any:
        """The means."""
        return ops.mean(inputs, axis=(1, 2))


class GlobalMaxPooling2D(Layer):
    """The maximum of each channel."""

    def call(self, inputs: Any) -> Any:
        """The maxima."""
        return ops.max(inputs, axis=(1, 2))
