"""Making tensors, and converting them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.tensorflow.arrays import elements, is_symbolic
from chainrule.tensorflow.dtypes import as_dtype, numpy_dtype
from chainrule.tensorflow.errors import InvalidArgumentError
from chainrule.tensorflow.tensors import Tensor, convert, identity


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Tensor:
    """A tensor of these elements; with `shape`, in that shape (one element fills it).

    >>> constant([1, 2, 3])
    <tf.Tensor: shape=(3,), dtype=int32, numpy=array([1, 2, 3], dtype=int32)>
    """
    if isinstance(value, Tensor) and dtype is not None and value.dtype != as_dtype(dtype):
        value = value._data
    tensor = convert(value, dtype)
    if not isinstance(value, Tensor):
        tensor = Tensor._wrapped(np.array(tensor._data))  # of its own: the array may be changed later
    if shape is None:
        return tensor
    wanted = shape_of(shape)
    if tensor.size == 1:
        return Tensor._wrapped(np.full(wanted, tensor._data.reshape(())))
    if tensor.size != int(np.prod(wanted)):
        raise InvalidArgumentError(f"constant: {tensor.size} elements do not fill shape {wanted}")
    return Tensor._wrapped(tensor._data.reshape(wanted))


def convert_to_tensor(value: Any, dtype: Any = None, dtype_hint: Any = None, name: Any = None) -> Tensor:
    """A value as a tensor; a variable as the tensor of its present elements."""
    tensor = convert(value, dtype)
    return identity(tensor) if type(tensor) is not Tensor else tensor


def shape_of(shape: Any) -> tuple[int, ...]:
    """A `shape=` argument: a length, a sequence of lengths or a tensor of them.

    >>> shape_of(3), shape_of([2, 3])
    ((3,), (2, 3))
    """
    if isinstance(shape, Tensor):
        shape = shape.numpy()
    return tuple(int(n) for n in np.atleast_1d(np.asarray(shape, dtype=np.int64)))


def zeros(shape: Any, dtype: Any = "float32", name: Any = None) -> Tensor:
    """Zeros."""
    return Tensor._wrapped(np.zeros(shape_of(shape), numpy_dtype(dtype)))


def ones(shape: Any, dtype: Any = "float32", name: Any = None) -> Tensor:
    """Ones."""
    return Tensor._wrapped(np.ones(shape_of(shape), numpy_dtype(dtype)))


def fill(dims: Any, value: Any, name: Any = None) -> Tensor:
    """One value everywhere."""
    return Tensor._wrapped(np.full(shape_of(dims), convert(value)._data))


def zeros_like(input: Any, dtype: Any = None, name: Any = None) -> Tensor:
    """Zeros of the shape and type of another tensor."""
    data = convert(input)._data
    return Tensor._wrapped(np.zeros(data.shape, numpy_dtype(dtype) or data.dtype))


def ones_like(input: Any, dtype: Any = None, name: Any = None) -> Tensor:
    """Ones of the shape and type of another tensor."""
    data = convert(input)._data
    return Tensor._wrapped(np.ones(data.shape, numpy_dtype(dtype) or data.dtype))


def eye(num_rows: int, num_columns: int | None = None, dtype: Any = "float32", name: Any = None) -> Tensor:
    """The identity matrix."""
    return Tensor._wrapped(np.eye(num_rows, num_columns, dtype=numpy_dtype(dtype)))


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: Any = None) -> Tensor:
    """Numbers at equal distances, without the limit.

    >>> range(3)
    <tf.Tensor: shape=(3,), dtype=int32, numpy=array([0, 1, 2], dtype=int32)>
    """
    first, last = (0, start) if limit is None else (start, limit)
    numbers = [v.item() if isinstance(v, Tensor) else v for v in (first, last, delta)]
    values = np.arange(*numbers)
    kind = numpy_dtype(dtype) or (np.float32 if values.dtype.kind == "f" else np.int32)
    return Tensor._wrapped(values.astype(kind))


def linspace(start: Any, stop: Any, num: int, name: Any = None, axis: int = 0) -> Tensor:
    """Numbers at equal distances, both ends included."""
    kind = convert(start)._data.dtype
    values = np.linspace(np.asarray(start), np.asarray(stop), int(num), axis=axis)
    return Tensor._wrapped(values.astype(kind if kind.kind == "f" else np.float64))


def one_hot(
    indices: Any, depth: int, on_value: Any = 1, off_value: Any = 0, axis: int = -1, dtype: Any = "float32",
    name: Any = None,
) -> Tensor:  # fmt: skip
    """A new axis on which the element at the index is `on_value`, and the others `off_value`.

    >>> one_hot([1, 0], 2)
    <tf.Tensor: shape=(2, 2), dtype=float32, numpy=
    array([[0., 1.],
           [1., 0.]], dtype=float32)>
    """
    hot = np.expand_dims(elements(convert(indices)), -1) == np.arange(int(depth))
    return Tensor._wrapped(
        np.where(np.moveaxis(hot, -1, axis), on_value, off_value).astype(numpy_dtype(dtype))
    )


def cast(x: Any, dtype: Any, name: Any = None) -> Tensor:
    """The elements in another type; the gradient flows between floating-point types."""
    x, kind = convert(x), as_dtype(dtype).dtype
    if x._data.dtype.kind == "f" and kind.kind == "f":
        return ops.astype(x, kind)  # type: ignore[no-any-return]
    return Tensor._wrapped(x._data.astype(kind))


def shape(input: Any, out_type: Any = "int32", name: Any = None) -> Tensor:
    """The lengths of the axes, as a tensor."""
    return Tensor._wrapped(np.array(convert(input)._data.shape, numpy_dtype(out_type)))


def size(input: Any, out_type: Any = "int32", name: Any = None) -> Tensor:
    """The number of elements, as a tensor."""
    return Tensor._wrapped(np.array(convert(input).size, numpy_dtype(out_type)))


def rank(input: Any, name: Any = None) -> Tensor:
    """The number of axes, as a tensor."""
    return Tensor._wrapped(np.array(convert(input).ndim, np.int32))


def is_tensor(x: Any) -> bool:
    """Whether something is a tensor or a variable."""
    return isinstance(x, Tensor)


def stop_gradient(input: Any, name: Any = None) -> Tensor:
    """The same elements, as a constant."""
    data = convert(input)._data
    return Tensor._wrapped(data.detach() if is_symbolic(data) else data)
