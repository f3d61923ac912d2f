"""chainrule.tensorflow: the spelling of TensorFlow over the engine of chainrule.

>>> from chainrule import tensorflow as tf
>>> x = tf.Variable(0.0)
>>> for _ in range(10):
...     with tf.GradientTape() as tape:
...         y = x**2 + 4 * x
...     _ = x.assign_sub(0.1 * tape.gradient(y, x))
>>> x
<tf.Variable 'Variable:0' shape=() dtype=float32, numpy=-1.7852516>
"""

from __future__ import annotations

import sys as _sys
from collections.abc import Callable as _Callable
from collections.abc import Iterator as _Iterator
from contextlib import contextmanager as _contextmanager
from typing import TYPE_CHECKING
from typing import Any as _Any

from chainrule.tensorflow import creation as _creation
from chainrule.tensorflow import dtypes as dtypes
from chainrule.tensorflow import elementwise as _elementwise
from chainrule.tensorflow import errors as errors
from chainrule.tensorflow import linalg as linalg
from chainrule.tensorflow import math as math
from chainrule.tensorflow import nn as nn
from chainrule.tensorflow import random as random
from chainrule.tensorflow import reductions as _reductions
from chainrule.tensorflow import shapes as _shapes
from chainrule.tensorflow.dtypes import DType as DType
from chainrule.tensorflow.dtypes import TensorShape as TensorShape
from chainrule.tensorflow.dtypes import as_dtype as as_dtype
from chainrule.tensorflow.linalg import einsum as einsum
from chainrule.tensorflow.linalg import global_norm as global_norm
from chainrule.tensorflow.linalg import matmul as matmul
from chainrule.tensorflow.linalg import norm as norm
from chainrule.tensorflow.linalg import tensordot as tensordot
from chainrule.tensorflow.modules import Module as Module
from chainrule.tensorflow.tape import GradientTape as GradientTape
from chainrule.tensorflow.tape import UnconnectedGradients as UnconnectedGradients
from chainrule.tensorflow.tensors import EagerTensor as EagerTensor
from chainrule.tensorflow.tensors import Tensor as Tensor
from chainrule.tensorflow.tensors import Variable as Variable
from chainrule.tensorflow.tensors import identity as identity

if TYPE_CHECKING:
    from chainrule.tensorflow import data as data
    from chainrule.tensorflow import keras as keras

__version__ = "2.20.0+chainrule"

newaxis = None

_LATER = {"data": "data", "keras": "keras"}
"""Packages that are imported when they are first asked for."""
_ELSEWHERE = {
    "initializers": "initializers",
    "losses": "losses",
    "metrics": "metrics",
    "optimizers": "optimizers",
}
"""Names that stand for a package of `tf.keras`."""

_TYPES = (
    "float16", "half", "float32", "float64", "double", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "uint32", "uint64", "complex64", "complex128",
)  # fmt: skip
_ELEMENTWISE = (
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "divide",
    "equal", "exp", "floor", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_not",
    "logical_or", "maximum", "minimum", "multiply", "negative", "not_equal", "pow", "round", "sigmoid",
    "sign", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "truediv",
)  # fmt: skip
_REDUCTIONS = tuple(_reductions.TABLE)[:8]
_FUNCTIONS = {
    _creation: (
        "cast", "constant", "convert_to_tensor", "eye", "fill", "is_tensor", "linspace", "one_hot", "ones",
        "ones_like", "range", "rank", "shape", "size", "stop_gradient", "zeros", "zeros_like",
    ),
    _elementwise: ("add_n", "clip_by_value", "where"),
    _reductions: ("argmax", "argmin", "cumsum"),
    _shapes: (
        "argsort", "boolean_mask", "broadcast_to", "concat", "expand_dims", "gather", "gather_nd",
        "meshgrid", "pad", "repeat", "reshape", "reverse", "roll", "searchsorted", "sort", "split",
        "squeeze", "stack", "tensor_scatter_nd_update", "tile", "transpose", "unique", "unstack",
    ),
}  # fmt: skip

globals().update({name: getattr(dtypes, name) for name in _TYPES} | {"bool": dtypes.boolean})
globals().update({name: getattr(math, name) for name in (*_ELEMENTWISE, *_REDUCTIONS)})
for _module, _names in _FUNCTIONS.items():
    globals().update({name: getattr(_module, name) for name in _names})


def function(func: _Any = None, **options: _Any) -> _Any:
    """The function itself: here everything runs at once, and nothing is compiled."""
    return func if func is not None else lambda f: f


def executing_eagerly() -> _Any:
    """Yes."""
    return True


@_contextmanager
def device(device_name: _Any) -> _Iterator[None]:
    """There is one device."""
    yield


def print(*inputs: _Any, output_stream: _Any = None, end: str = "\n", sep: str = " ") -> None:
    """Print the elements of tensors; to the standard error stream, as TensorFlow does."""
    texts = [str(value._data) if isinstance(value, Tensor) else str(value) for value in inputs]
    stream = output_stream if hasattr(output_stream, "write") else _sys.stderr
    stream.write(sep.join(texts) + end)


def custom_gradient(f: _Callable[..., _Any]) -> _Any:
    """Not there: a rule of one's own is a primitive of chainrule."""
    errors.missing("tf", "custom_gradient (declare the rule with chainrule.primitive)", {})


def clip_by_norm(t: _Any, clip_norm: float, axes: _Any = None) -> _Any:
    """The tensor, shortened to a norm of at most `clip_norm`."""
    length = norm(t, axis=axes, keepdims=axes is not None)
    return t * (clip_norm / math.maximum(length, clip_norm))


def clip_by_global_norm(t_list: _Any, clip_norm: float, use_norm: _Any = None) -> _Any:
    """Tensors shortened by one factor to a common norm of at most `clip_norm`, and the norm before."""
    length = global_norm(t_list) if use_norm is None else use_norm
    factor = clip_norm / math.maximum(length, clip_norm)
    return [None if t is None else t * factor for t in t_list], length


def __getattr__(name: str) -> _Any:
    from importlib import import_module

    if name in _LATER:
        return import_module(f"chainrule.tensorflow.{name}")
    if name in _ELSEWHERE:
        return import_module(f"chainrule.tensorflow.keras.{name}")
    errors.missing("chainrule.tensorflow", name, globals() | _LATER | _ELSEWHERE)
