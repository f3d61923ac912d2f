"""`tf.keras.activations`: activation functions, also by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.tensorflow.errors import InvalidArgumentError, missing
from chainrule.tensorflow.nn import elu as elu
from chainrule.tensorflow.nn import gelu as gelu
from chainrule.tensorflow.nn import leaky_relu as leaky_relu
from chainrule.tensorflow.nn import relu as relu
from chainrule.tensorflow.nn import selu as selu
from chainrule.tensorflow.nn import sigmoid as sigmoid
from chainrule.tensorflow.nn import softmax as softmax
from chainrule.tensorflow.nn import softplus as softplus
from chainrule.tensorflow.nn import swish as swish
from chainrule.tensorflow.nn import tanh as tanh
from chainrule.tensorflow.tensors import convert


def linear(x: Any) -> Any:
    """The argument itself."""
    return x


def exponential(x: Any) -> Any:
    """The exponential function."""
    return ops.exp(convert(x))


def softsign(x: Any) -> Any:
    """X / (1 + |x|)."""
    x = convert(x)
    return x / (1 + abs(x))


def hard_sigmoid(x: Any) -> Any:
    """X / 6 + 1/2, limited to the range from 0 to 1."""
    return ops.clip(convert(x) / 6 + 0.5, 0.0, 1.0)


BY_NAME: dict[str, Callable[[Any], Any]] = {
    "elu": elu, "exponential": exponential, "gelu": gelu, "hard_sigmoid": hard_sigmoid,
    "leaky_relu": leaky_relu, "linear": linear, "relu": relu, "selu": selu, "sigmoid": sigmoid,
    "silu": swish, "softmax": softmax, "softplus": softplus, "softsign": softsign, "swish": swish,
    "tanh": tanh,
}  # fmt: skip


def get(identifier: Any) -> Callable[[Any], Any]:
    """The function of a name; None means none, and a function itself.

    >>> get("tanh") is tanh, get(None) is linear
    (True, True)
    """
    if identifier is None:
        return linear
    if callable(identifier):
        return identifier  # type: ignore[no-any-return]
    if identifier not in BY_NAME:
        raise InvalidArgumentError(f"there is no activation {identifier!r}; there are {', '.join(BY_NAME)}")
    return BY_NAME[identifier]


def __getattr__(name: str) -> Any:
    missing("tf.keras.activations", name, globals())
