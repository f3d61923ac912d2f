"""Layers of sequences: (rows, steps, features)."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.tensorflow.creation import zeros
from chainrule.tensorflow.errors import InvalidArgumentError
from chainrule.tensorflow.keras import activations
from chainrule.tensorflow.keras.layers.base import Layer


class Recurrent(Layer):
    """What recurrent layers share: a kernel for inputs, one for the state, and the loop over the steps."""

    gates = 1
    states = 1

    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, recurrent_activation: Any = "sigmoid",
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.units, self.use_bias, self.go_backwards = units, use_bias, go_backwards
        self.activation, self.gate = activations.get(activation), activations.get(recurrent_activation)
        self.return_sequences, self.return_state = return_sequences, return_state
        self.initializers = (kernel_initializer, recurrent_initializer, bias_initializer)

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        if len(input_shape) != 3:
            raise InvalidArgumentError(
                f"Input 0 of layer {self.name!r} is incompatible with the layer: expected ndim=3 (rows, "
                f"steps, features), found ndim={len(input_shape)}. Full shape received: {input_shape}"
            )
        width = self.gates * self.units
        of_kernel, of_recurrent, of_bias = self.initializers
        self.kernel = self.add_weight((input_shape[-1], width), of_kernel, name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, width), of_recurrent, name="recurrent_kernel")
        self.bias = self.add_weight(self.bias_shape(width), of_bias, name="bias") if self.use_bias else None

    def bias_shape(self, width: int) -> tuple[int, ...]:
        """The shape of the bias."""
        return (width,)

    def step(self, x: Any, states: list[Any]) -> list[Any]:
        """The states after a step; the first of them is the output."""
        raise NotImplementedError

    def affine(self, x: Any, h: Any) -> Any:
        """The inputs of all gates."""
        z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel)
        return z + self.bias if self.bias is not None else z

    def part(self, z: Any, number: int) -> Any:
        """The columns of one gate."""
        return z[..., number * self.units : (number + 1) * self.units]

    def call(self, inputs: Any, initial_state: Any = None, training: bool = False) -> Any:
        """The output of the last step, or of all steps; with `return_state`, also the states."""
        start = initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
        if initial_state is None:
            start = [zeros((inputs.shape[0], self.units), inputs.dtype)] * self.states
        states, outputs = list(start), []
        steps = range(inputs.shape[1])
        for i in reversed(steps) if self.go_backwards else steps:
            states = self.step(inputs[:, i], states)
            outputs.append(states[0])
        out = ops.stack(outputs, axis=1) if self.return_sequences else outputs[-1]
        return [out, *states] if self.return_state else out


class SimpleRNN(Recurrent):
    """h = activation(x W + h U + b)."""

    def step(self, x: Any, states: list[Any]) -> list[Any]:
        """The next h."""
        return [self.activation(self.affine(x, states[0]))]


class LSTM(Recurrent):
    """Long short-term memory, with the gates in the order input, forget, candidate, output.

    >>> import numpy as np
    >>> LSTM(5)(np.zeros((2, 3, 4))).shape
    TensorShape([2, 5])
    """

    gates, states = 4, 2

    def __init__(self, units: int, unit_forget_bias: bool = True, **options: Any) -> None:
        super().__init__(units, **options)
        self.unit_forget_bias = unit_forget_bias

    def build(self, input_shape: Any) -> None:
        """Make the weights; the bias of the forget gate starts at 1."""
        super().build(input_shape)
        if self.bias is not None and self.unit_forget_bias:
            values = self.bias.numpy()
            values[self.units : 2 * self.units] = 1.0
            self.bias.assign(values)

    def step(self, x: Any, states: list[Any]) -> list[Any]:
        """The next h and c."""
        h, c = states
        z = self.affine(x, h)
        i, f, o = (self.gate(self.part(z, n)) for n in (0, 1, 3))
        c = f * c + i * self.activation(self.part(z, 2))
        return [o * self.activation(c), c]


class GRU(Recurrent):
    """Gated recurrent unit; the reset gate acts after the product with the state, as in Keras' default."""

    gates = 3

    def bias_shape(self, width: int) -> tuple[int, ...]:
        """One bias for the inputs and one for the state."""
        return (2, width)

    def step(self, x: Any, states: list[Any]) -> list[Any]:
        """The next h."""
        (h,) = states
        a, b = ops.matmul(x, self.kernel), ops.matmul(h, self.recurrent_kernel)
        if self.bias is not None:
            a, b = a + self.bias[0], b + self.bias[1]
        z, r = (self.gate(self.part(a, n) + self.part(b, n)) for n in (0, 1))
        candidate = self.activation(self.part(a, 2) + r * self.part(b, 2))
        return [z * h + (1.0 - z) * candidate]


class Bidirectional(Layer):
    """A recurrent layer in both directions, its outputs joined."""

    def __init__(self, layer: Recurrent, merge_mode: str = "concat", **options: Any) -> None:
        super().__init__(**options)
        if merge_mode != "concat" or layer.return_state:
            raise InvalidArgumentError(
                "Bidirectional joins outputs only: merge_mode='concat', return_state=False"
            )
        self.forward_layer = layer
        kind, of_weights = type(layer), ("kernel_initializer", "recurrent_initializer", "bias_initializer")
        self.backward_layer = kind(
            layer.units, activation=layer.activation, recurrent_activation=layer.gate,
            use_bias=layer.use_bias, return_sequences=layer.return_sequences, go_backwards=True,
            **dict(zip(of_weights, layer.initializers, strict=True)),
        )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        """Both outputs."""
        there, back = self.forward_layer(inputs), self.backward_layer(inputs)
        return ops.concat(
            [there, ops.flip(back, axis=1) if self.forward_layer.return_sequences else back], axis=-1
        )
