"""Layers of networks in general."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.tensorflow import nn
from chainrule.tensorflow.arrays import elements
from chainrule.tensorflow.creation import cast
from chainrule.tensorflow.errors import InvalidArgumentError
from chainrule.tensorflow.keras import activations
from chainrule.tensorflow.keras.layers.base import Layer
from chainrule.tensorflow.tensors import convert


class Dense(Layer):
    """`activation(inputs @ kernel + bias)`.

    >>> Dense(3)(np.ones((2, 4))).shape
    TensorShape([2, 3])
    """

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        if units < 1:
            raise InvalidArgumentError(f"Dense needs at least one unit, but was given {units}")
        self.units, self.activation, self.use_bias = int(units), activations.get(activation), use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, input_shape: Any) -> None:
        """Make kernel and bias."""
        if not input_shape:
            raise InvalidArgumentError(f"{self.name} needs inputs with at least one axis")
        self.kernel = self.add_weight((input_shape[-1], self.units), self.kernel_initializer, name="kernel")
        if self.use_bias:
            self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias")

    def call(self, inputs: Any) -> Any:
        """The affine map, then the activation."""
        if inputs.shape[-1] != self.kernel.shape[0]:
            raise InvalidArgumentError(
                f"Input 0 of layer {self.name!r} is incompatible with the layer: expected axis -1 of "
                f"input shape to "
                f"have value {self.kernel.shape[0]}, but received input with shape {inputs.shape}"
            )
        out = ops.matmul(cast(inputs, self.kernel.dtype), self.kernel)
        return self.activation(out + self.bias if self.use_bias else out)


class Activation(Layer):
    """An activation as a layer of its own."""

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        """The activation."""
        return self.activation(inputs)


class ReLU(Layer):
    """The positive part."""

    def call(self, inputs: Any) -> Any:
        """The positive part."""
        return nn.relu(inputs)


class LeakyReLU(Layer):
    """The positive part, and a share of the negative one."""

    def __init__(self, negative_slope: float = 0.3, alpha: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.slope = negative_slope if alpha is None else alpha

    def call(self, inputs: Any) -> Any:
        """The two slopes."""
        return nn.leaky_relu(inputs, self.slope)


class Softmax(Layer):
    """Exponentials divided by their sum."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """The probabilities."""
        return nn.softmax(inputs, self.axis)


class Flatten(Layer):
    """The elements of each row along one axis."""

    def call(self, inputs: Any) -> Any:
        """Rows of vectors."""
        return ops.reshape(inputs, shape=(inputs.shape[0], math.prod(inputs.shape[1:])))


class Reshape(Layer):
    """The elements of each row in another shape."""

    def __init__(self, target_shape: Any, **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

    def call(self, inputs: Any) -> Any:
        """Rows of that shape."""
        return ops.reshape(inputs, shape=(inputs.shape[0], *self.target_shape))


class Dropout(Layer):
    """In training, a random share `rate` of the elements becomes 0."""

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        if not 0 <= rate <= 1:
            raise InvalidArgumentError(f"Invalid value received for argument `rate`: {rate}; expected 0 to 1")
        self.rate, self.seed = rate, seed

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The inputs, thinned out in training."""
        return nn.dropout(inputs, self.rate, seed=self.seed) if training else inputs


class Embedding(Layer):
    """A row of a table for each number."""

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
        input_length: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.shape, self.initializer = (input_dim, output_dim), embeddings_initializer

    def build(self, input_shape: Any) -> None:
        """Make the table."""
        self.embeddings = self.add_weight(self.shape, self.initializer, name="embeddings")

    def call(self, inputs: Any) -> Any:
        """The rows."""
        return ops.take(self.embeddings, elements(inputs).astype(np.int64), axis=0)


class Normalizing(Layer):
    """What normalisations share: a scale gamma and an offset beta for the last axis."""

    def __init__(
        self, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **options: Any
    ) -> None:
        super().__init__(**options)
        self.epsilon, self.center, self.scale = epsilon, center, scale

    def build(self, input_shape: Any) -> None:
        """Make gamma and beta."""
        length = (input_shape[-1],)
        self.gamma = self.add_weight(length, "ones", name="gamma") if self.scale else None
        self.beta = self.add_weight(length, "zeros", name="beta") if self.center else None

    def normalized(self, x: Any, mean: Any, variance: Any) -> Any:
        """The deviations from the mean in units of the deviation, scaled and moved."""
        return nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.epsilon)


class BatchNormalization(Normalizing):
    """Normalises over the rows of a batch; outside of training with the running mean and variance."""

    def __init__(self, momentum: float = 0.99, **options: Any) -> None:
        super().__init__(**options)
        self.momentum = momentum

    def build(self, input_shape: Any) -> None:
        """Make the weights and the running statistics."""
        super().build(input_shape)
        length = (input_shape[-1],)
        self.moving_mean = self.add_weight(length, "zeros", trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(length, "ones", trainable=False, name="moving_variance")

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The normalised inputs."""
        if not (training and self.trainable):
            return self.normalized(inputs, self.moving_mean, self.moving_variance)
        mean, variance = nn.moments(inputs, tuple(range(inputs.ndim - 1)))
        for running, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(self.momentum * running._data + (1 - self.momentum) * new._data)
        return self.normalized(inputs, mean, variance)


class LayerNormalization(Normalizing):
    """Normalises each row over its last axis."""

    def call(self, inputs: Any) -> Any:
        """The normalised inputs."""
        mean, variance = nn.moments(inputs, -1, keepdims=True)
        return self.normalized(inputs, mean, variance)


class Rescaling(Layer):
    """`inputs * scale + offset`."""

    def __init__(self, scale: float, offset: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    def call(self, inputs: Any) -> Any:
        """The rescaled inputs."""
        return cast(inputs, "float32") * self.scale + self.offset


class Lambda(Layer):
    """A function as a layer."""

    def __init__(self, function: Any, **options: Any) -> None:
        super().__init__(**options)
        self.function = function

    def call(self, inputs: Any) -> Any:
        """The function."""
        return self.function(inputs)


class Concatenate(Layer):
    """Several inputs joined along an axis."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """The inputs joined."""
        return ops.concat([convert(x) for x in inputs], axis=self.axis)


class Add(Layer):
    """The sum of several inputs."""

    def call(self, inputs: Any) -> Any:
        """The sum."""
        return sum(inputs[1:], inputs[0])


class Multiply(Layer):
    """The product of several inputs."""

    def call(self, inputs: Any) -> Any:
        """The product."""
        out = inputs[0]
        for x in inputs[1:]:
            out = out * x
        return out
