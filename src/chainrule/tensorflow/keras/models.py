"""`tf.keras.models`: Model and Sequential."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.tensorflow.errors import InvalidArgumentError, StateError, missing
from chainrule.tensorflow.keras.layers import InputLayer
from chainrule.tensorflow.keras.layers.base import KerasTensor, Layer
from chainrule.tensorflow.keras.training import Training
from chainrule.tensorflow.tensors import convert


class Model(Training, Layer):
    """A layer that can be trained: a subclass with `call`, or `Model(inputs, outputs)` of layers' results.

    >>> from chainrule.tensorflow.keras.layers import Dense, Input
    >>> x = Input((4,))
    >>> Model(x, Dense(2)(Dense(3)(x))).count_params()
    23
    """

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Model(inputs, outputs) makes a functional model."""
        return super().__new__(Functional if cls is Model and (args or "inputs" in options) else cls)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.stop_training = False

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return [part for part in vars(self).values() if isinstance(part, Layer)]

    def build(self, input_shape: Any) -> None:
        """Nothing: the layers are built when they are called."""

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its place."""
        if index is not None:
            return self.layers[index]
        found = [layer for layer in self.layers if layer.name == name]
        if not found:
            raise InvalidArgumentError(
                f"No such layer: {name}; there are {[layer.name for layer in self.layers]}"
            )
        return found[0]

    def summary(self, print_fn: Any = print, **unused: Any) -> None:
        """Print the layers with their numbers of weights."""
        if not self.variables and not self.built:
            raise StateError(
                f"This model has not yet been built; call it on data, or {self.name}.build(input_shape)"
            )
        line, count = "=" * 65, sum(v.size for v in self.variables)
        trained = sum(v.size for v in self.trainable_variables)
        print_fn(f'Model: "{self.name}"\n{line}\n{"Layer (type)":<45}{"Param #":<20}\n{line}')
        for layer in self.layers:
            own = sum(v.size for v in layer.variables)
            print_fn(f"{f'{layer.name} ({type(layer).__name__})':<45}{own:<20,}")
        print_fn(f"{line}\nTotal params: {count:,}\nTrainable params: {trained:,}")
        print_fn(f"Non-trainable params: {count - trained:,}")


class Functional(Model):
    """A model of the layers between inputs and outputs."""

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self._inputs, self._outputs = inputs, outputs
        self._order: list[Layer] = []
        for output in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
            self._visit(output, set())
        self.built = True

    def _visit(self, tensor: KerasTensor, seen: set[int]) -> None:
        for source in _list(tensor.inputs):
            self._visit(source, seen)
        if tensor.layer is not None and tensor.layer not in self._order:
            self._order.append(tensor.layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order in which they compute."""
        return self._order

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Compute the outputs."""
        known = {id(symbol): convert(x) for symbol, x in zip(_list(self._inputs), _list(inputs), strict=True)}
        if isinstance(self._outputs, (list, tuple)):
            return [self._computed(output, known, training) for output in self._outputs]
        return self._computed(self._outputs, known, training)

    def _computed(self, symbol: KerasTensor, known: dict[int, Any], training: bool) -> Any:
        if id(symbol) not in known:
            if symbol.layer is None:
                raise InvalidArgumentError(f"Graph disconnected: {symbol!r} is no input of the model")
            several = isinstance(symbol.inputs, (list, tuple))
            values = [self._computed(source, known, training) for source in _list(symbol.inputs)]
            known[id(symbol)] = symbol.layer(values if several else values[0], training=training)
        return known[id(symbol)]


class Sequential(Model):
    """Layers one after the other.

    >>> from chainrule.tensorflow.keras.layers import Dense
    >>> model = Sequential([Dense(3, activation="relu", input_shape=(4,)), Dense(1)])
    >>> model.count_params(), model(np.ones((5, 4))).shape
    (19, TensorShape([5, 1]))
    """

    def __init__(self, layers: Any = (), name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self._stack: list[Layer] = []
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return self._stack

    def add(self, layer: Any) -> None:
        """Add a layer at the end."""
        if isinstance(layer, (KerasTensor, InputLayer)):
            self.given_shape = layer.shape[1:] if isinstance(layer, KerasTensor) else layer.given_shape
            return
        if not isinstance(layer, Layer):
            raise InvalidArgumentError(f"Sequential takes layers, but was given {layer!r:.60}")
        if not self._stack and self.given_shape is None:
            self.given_shape = layer.given_shape
        self._stack.append(layer)
        if self.given_shape is not None:
            self.build((None, *self.given_shape))

    def pop(self) -> None:
        """Remove the last layer."""
        self._stack.pop()

    def build(self, input_shape: Any) -> None:
        """Build the layers, by computing them for two rows of zeros."""
        lengths = tuple(input_shape)[1:]
        if None not in lengths:
            self.call(convert(np.zeros((2, *lengths), np.float32)))
            self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The layers one after the other."""
        for layer in self._stack:
            inputs = layer(inputs, training=training)
        return inputs


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def clone_model(model: Any) -> Any:
    """Not there: make the model again instead."""
    missing("tf.keras.models", "clone_model (make the model again)", {})


def __getattr__(name: str) -> Any:
    missing("tf.keras.models", name, globals())
