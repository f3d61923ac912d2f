"""`tf.keras.layers`."""

from __future__ import annotations

from typing import Any

from chainrule.tensorflow.errors import missing
from chainrule.tensorflow.keras.layers.base import KerasTensor, Layer
from chainrule.tensorflow.keras.layers.core import (
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Lambda,
    LayerNormalization,
    LeakyReLU,
    Multiply,
    ReLU,
    Rescaling,
    Reshape,
    Softmax,
)  # fmt: skip
from chainrule.tensorflow.keras.layers.images import (
    AveragePooling2D,
    Conv2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)  # fmt: skip
from chainrule.tensorflow.keras.layers.recurrent import GRU, LSTM, Bidirectional, SimpleRNN

MaxPool2D, AvgPool2D = MaxPooling2D, AveragePooling2D


def Input(
    shape: Any = None, batch_size: int | None = None, dtype: Any = None, name: Any = None
) -> KerasTensor:
    """An input of a model: rows of the given shape."""
    return KerasTensor((batch_size, *((shape,) if isinstance(shape, int) else shape)))


class InputLayer(Layer):
    """Says which shape the rows of a Sequential model have."""

    def __init__(self, shape: Any = None, input_shape: Any = None, **options: Any) -> None:
        super().__init__(input_shape=shape if input_shape is None else input_shape, **options)


__all__ = [
    "GRU", "LSTM", "Activation", "Add", "AveragePooling2D", "AvgPool2D", "BatchNormalization",
    "Bidirectional", "Concatenate", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten",
    "GlobalAveragePooling2D", "GlobalMaxPooling2D", "Input", "InputLayer", "KerasTensor", "Lambda", "Layer",
    "LayerNormalization", "LeakyReLU", "MaxPool2D", "MaxPooling2D", "Multiply", "ReLU", "Rescaling",
    "Reshape", "SimpleRNN", "Softmax",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    missing("tf.keras.layers", name, globals())
