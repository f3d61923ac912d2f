"""Reductions: one result for all elements, or for those along some axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.tensorflow.arrays import is_symbolic
from chainrule.tensorflow.dtypes import numpy_dtype
from chainrule.tensorflow.errors import ConversionError
from chainrule.tensorflow.tensors import Tensor, convert

Operation = Callable[..., Any]


def axis_of(axis: Any) -> Any:
    """An `axis=` argument as the engine takes it.

    >>> axis_of([0, 1]), axis_of(-1), axis_of(None)
    ((0, 1), -1, None)
    """
    if isinstance(axis, Tensor):
        axis = axis.numpy()
    if axis is None or np.ndim(axis) == 0:
        return None if axis is None else int(axis)
    return tuple(int(a) for a in axis)


def _reduction(name: str, operation: Operation, kinds: str) -> Operation:
    def function(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None) -> Any:
        x = convert(input_tensor)
        if x._data.dtype.kind not in kinds:
            raise ConversionError(
                f"{function.__name__} cannot reduce {x.dtype.name}; convert it with tf.cast"
            )
        return operation(x, axis=axis_of(axis), keepdims=keepdims)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`tf.math.{name}` over `axis`, or over all elements."
    return function


def _sum(x: Tensor, *, axis: Any, keepdims: bool) -> Any:
    total = ops.sum(x, axis=axis, keepdims=keepdims)
    # NumPy adds small integers up in a wider type; TensorFlow keeps the type.
    return total if total._data.dtype == x._data.dtype else Tensor._wrapped(total._data.astype(x._data.dtype))


def _mean(x: Tensor, *, axis: Any, keepdims: bool) -> Any:
    if x._data.dtype.kind == "f":
        return ops.mean(x, axis=axis, keepdims=keepdims)
    # The mean of integers is an integer there, rounded down.
    whole = np.floor(np.mean(x._data, axis=axis, keepdims=keepdims))
    return Tensor._wrapped(np.asarray(whole).astype(x._data.dtype))


def _product(x: Tensor, *, axis: Any, keepdims: bool) -> Any:
    product = ops.prod(x, axis=axis, keepdims=keepdims)
    return (
        product
        if product._data.dtype == x._data.dtype
        else Tensor._wrapped(product._data.astype(x._data.dtype))
    )


TABLE: dict[str, Operation] = {
    name: _reduction(name, operation, kinds)
    for name, operation, kinds in (
        ("reduce_sum", _sum, "iufc"), ("reduce_mean", _mean, "iuf"), ("reduce_prod", _product, "iufc"),
        ("reduce_max", ops.max, "iuf"), ("reduce_min", ops.min, "iuf"), ("reduce_any", ops.any, "b"),
        ("reduce_all", ops.all, "b"), ("reduce_logsumexp", ops.logsumexp, "f"), ("reduce_std", ops.std, "f"),
        ("reduce_variance", ops.var, "f"), ("reduce_euclidean_norm", ops.vector_norm, "f"),
    )
}  # fmt: skip
"""Each function by its name in `tf.math`."""


def argmax(input: Any, axis: Any = 0, output_type: Any = "int64", name: Any = None) -> Tensor:
    """The index of the maximum along an axis: by default the first.

    >>> argmax([1.0, 3.0, 2.0])
    <tf.Tensor: shape=(), dtype=int64, numpy=1>
    """
    return _index(np.argmax, input, axis, output_type)


def argmin(input: Any, axis: Any = 0, output_type: Any = "int64", name: Any = None) -> Tensor:
    """The index of the minimum along an axis: by default the first."""
    return _index(np.argmin, input, axis, output_type)


def _index(function: Operation, x: Any, axis: Any, kind: Any) -> Tensor:
    found = function(convert(x)._data, axis=0 if axis is None else axis_of(axis))
    return Tensor._wrapped(found.astype(numpy_dtype(kind)))


def count_nonzero(input: Any, axis: Any = None, keepdims: bool = False, dtype: Any = "int64") -> Tensor:
    """How many elements are not zero."""
    found = np.count_nonzero(convert(input)._data, axis=axis_of(axis), keepdims=keepdims)
    return Tensor._wrapped((found if is_symbolic(found) else np.asarray(found)).astype(numpy_dtype(dtype)))


def cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: Any = None) -> Any:
    """Running sums along an axis; `exclusive` without the element itself, `reverse` from the end."""
    x = convert(x)
    ordered = ops.flip(x, axis=axis) if reverse else x
    total = ops.cumulative_sum(ordered, axis=axis)
    total = total - ordered if exclusive else total
    return ops.flip(total, axis=axis) if reverse else total
