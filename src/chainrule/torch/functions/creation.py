"""Making tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.rules.shape import astype
from chainrule.tensor import Tensor as EngineTensor
from chainrule.torch.dtypes import (
    check_device,
    default_complex,
    default_float,
    to_numpy_dtype,
)  # fmt: skip
from chainrule.torch.dtypes import dtype as torch_dtype
from chainrule.torch.errors import ArgumentError, OperationError, ValueOptionError
from chainrule.torch.functions.registry import function, sizes, tensor_argument
from chainrule.torch.tensors import Tensor, is_symbolic


def made(data: Any, requires_grad: bool = False, device: Any = None) -> Any:
    """A leaf around an array."""
    if device is not None:
        check_device(device)
    tensor = Tensor._wrapped(data)
    if requires_grad:
        tensor.requires_grad = True
    return tensor


def array_of(data: Any, dtype: Any) -> np.ndarray:
    """The array that `torch.tensor(data, dtype=dtype)` holds: numbers get the default types."""
    wanted = None if dtype is None else to_numpy_dtype(dtype)
    if isinstance(data, EngineTensor):
        return np.asarray(data._data, wanted)
    if isinstance(data, (np.ndarray, np.generic)):
        return _checked(np.asarray(data, wanted))
    if isinstance(data, (list, tuple)):
        data = _without_tensors(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueOptionError(f"expected sequences of equal length at every depth: {error}") from error
    _checked(array)
    if wanted is None and not isinstance(data, (np.ndarray, np.generic)) and not _holds_arrays(data):
        wanted = {
            "f": default_float(),
            "c": default_complex(),
            "i": np.dtype(np.int64),
            "u": np.dtype(np.int64),
        }.get(array.dtype.kind)
        wanted = default_float() if array.size == 0 and array.dtype == np.float64 else wanted
    return array if wanted is None else array.astype(wanted, copy=False)


def _holds_arrays(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic))


def _without_tensors(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_without_tensors(part) for part in data]
    return data._data if isinstance(data, EngineTensor) and not data.is_traced else data


def _checked(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biufc":
        if array.dtype.kind in "US":
            raise ValueOptionError(
                f"too many dimensions 'str': a tensor holds numbers, not {str(array)[:40]!r}"
            )
        raise ArgumentError(
            "can't convert np.ndarray of type numpy.object_. The only supported types are: float64, float32, "
            "float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
        )
    return array


@function(method=False)
def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Any:
    """A tensor of the numbers in `data`, copied: float32 for floats, int64 for ints, NumPy's type for arrays.

    >>> tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    if is_symbolic(data) or (isinstance(data, Tensor) and is_symbolic(data._data)):
        return _of_symbol(data, dtype, requires_grad, device)
    return made(np.array(array_of(data, dtype)), requires_grad, device)


def _of_symbol(data: Any, dtype: Any, requires_grad: bool, device: Any) -> Any:
    """A tensor of an array that is traced."""
    joined = Tensor._joined(data)
    if dtype is not None and to_numpy_dtype(dtype) != joined._data.dtype:
        joined = Tensor._apply(astype, (joined,), {"dtype": to_numpy_dtype(dtype)})
    return made(joined._data, True, device) if requires_grad else joined


@function("asarray", method=False)
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """`data` as a tensor, on the same memory where that is possible."""
    if isinstance(data, Tensor):
        return data if dtype is None or to_numpy_dtype(dtype) == data._data.dtype else data.to(dtype)
    if is_symbolic(data):
        return _of_symbol(data, dtype, False, device)
    return made(array_of(data, dtype), False, device)


@function(method=False)
def from_numpy(ndarray: Any) -> Any:
    """A tensor on the memory of an array.

    >>> from_numpy(np.array([1.0, 2.0]))
    tensor([1., 2.], dtype=torch.float64)
    """
    if is_symbolic(ndarray):
        return _of_symbol(ndarray, None, False, None)
    if not isinstance(ndarray, np.ndarray):
        raise ArgumentError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return made(_checked(ndarray))


@function(method=False)
def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A number as a tensor of the default type."""
    return made(
        np.asarray(s, default_float() if dtype is None else to_numpy_dtype(dtype)), requires_grad, device
    )


def _shape(size: tuple[Any, ...], named: Any) -> tuple[int, ...]:
    found = sizes(size) if named is None else sizes((named,))
    for n in found:
        if n < 0:
            raise OperationError(f"Trying to create tensor with negative dimension {n}: {list(found)}")
    return found


def _kind(dtype: Any) -> np.dtype[Any]:
    return default_float() if dtype is None else to_numpy_dtype(dtype)


@function(method=False)
def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **how: Any) -> Any:
    """Zeros.

    >>> zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return made(np.zeros(_shape(size, how.pop("size", None)), _kind(dtype)), requires_grad, device)


@function(method=False)
def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **how: Any) -> Any:
    """Ones."""
    return made(np.ones(_shape(size, how.pop("size", None)), _kind(dtype)), requires_grad, device)


@function(method=False)
def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **how: Any) -> Any:
    """A tensor whose elements have no particular value (here: zeros)."""
    return made(np.zeros(_shape(size, how.pop("size", None)), _kind(dtype)), requires_grad, device)


@function(method=False)
def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **how: Any,
) -> Any:
    """A tensor in which every element is `fill_value`; of its type, where none is given."""
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    kind = array_of(value, None).dtype if dtype is None else to_numpy_dtype(dtype)
    return made(np.full(_shape((size,), None), value, kind), requires_grad, device)


def _like(input: Tensor, dtype: Any) -> np.dtype[Any]:
    tensor_argument(input, "like")
    return input._data.dtype if dtype is None else to_numpy_dtype(dtype)


@function(method=False)
def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **how: Any
) -> Any:
    """Zeros of the shape and type of `input`."""
    return made(np.zeros(input._data.shape, _like(input, dtype)), requires_grad, device)


@function(method=False)
def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **how: Any
) -> Any:
    """Ones of the shape and type of `input`."""
    return made(np.ones(input._data.shape, _like(input, dtype)), requires_grad, device)


@function(method=False)
def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **how: Any
) -> Any:
    """A tensor of the shape and type of `input` whose elements have no particular value."""
    return made(np.zeros(input._data.shape, _like(input, dtype)), requires_grad, device)


@function(method=False)
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **how: Any,
) -> Any:
    """A tensor of the shape and type of `input` in which every element is `fill_value`."""
    return made(np.full(input._data.shape, fill_value, _like(input, dtype)), requires_grad, device)


def _new(name: str) -> Any:
    make = {"zeros": zeros, "ones": ones, "empty": empty}[name]

    def new(self: Tensor, *size: Any, dtype: Any = None, **how: Any) -> Any:
        return make(*size, dtype=self.dtype if dtype is None else dtype, **how)

    new.__name__ = f"new_{name}"
    new.__doc__ = f"As `torch.{name}`, of the type of this tensor."
    return new


for _name in ("zeros", "ones", "empty"):
    function(public=False)(_new(_name))


@function(public=False)
def new_full(input: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, **how: Any) -> Any:
    """As `torch.full`, of the type of this tensor."""
    return full(size, fill_value, dtype=input.dtype if dtype is None else dtype, **how)


@function(public=False)
def new_tensor(input: Tensor, data: Any, *, dtype: Any = None, **how: Any) -> Any:
    """As `torch.tensor`, of the type of this tensor."""
    return tensor(data, dtype=input.dtype if dtype is None else dtype, **how)


@function(method=False)
def arange(
    start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **how: Any,
) -> Any:  # fmt: skip
    """The numbers from `start` to `end` (not included) in steps of `step`.

    >>> arange(5), arange(1, 2.5, 0.5)
    (tensor([0, 1, 2, 3, 4]), tensor([1.0000, 1.5000, 2.0000]))
    """
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, (Tensor, np.generic)) else v for v in (start, end, step))
    if step == 0:
        raise OperationError("step must be nonzero")
    if (end - start) * step < 0:
        raise OperationError("upper bound and lower bound inconsistent with step sign")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise OperationError(f"unsupported range: {start} -> {end}")
    whole = all(isinstance(v, int) for v in (start, end, step))
    kind = to_numpy_dtype(dtype) if dtype is not None else np.dtype(np.int64) if whole else default_float()
    if kind.kind in "iu" and not whole:
        start, end, step = int(start), int(end), int(step)
    count = math.ceil((end - start) / step)
    return made((start + step * np.arange(count)).astype(kind), requires_grad, device)


@function(method=False)
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **how: Any,
) -> Any:
    """`steps` numbers from `start` to `end`, both included."""
    if steps < 0:
        raise OperationError("number of steps must be non-negative")
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    kind = _kind(dtype)
    # From both ends to the middle, in the type of the result, as PyTorch computes it.
    if kind.kind == "f" and steps > 1:
        first, last = kind.type(start), kind.type(end)
        step = kind.type((last - first) / kind.type(steps - 1))
        index = np.arange(steps).astype(kind)
        half = steps // 2
        values = np.where(
            np.arange(steps) < half, first + step * index, last - step * (steps - 1 - index)
        ).astype(kind)
    else:
        values = np.linspace(start, end, steps).astype(kind)
    return made(values, requires_grad, device)


@function(method=False)
def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, **how: Any) -> Any:
    """Powers of `base` with exponents from `start` to `end`."""
    exponents = linspace(start, end, steps, dtype=dtype, **how)
    return made((base ** exponents._data.astype(np.float64)).astype(exponents._data.dtype))


@function(method=False)
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **how: Any,
) -> Any:
    """Ones on the diagonal, zeros elsewhere."""
    if n < 0 or (m is not None and m < 0):
        raise OperationError(f"n must be greater or equal to 0, got {n}")
    return made(np.eye(n, m, dtype=_kind(dtype)), requires_grad, device)


@function(method=False)
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, **how: Any) -> Any:
    """The indices of the lower triangle of a matrix: rows, and columns."""
    return made(
        np.stack(np.tril_indices(row, offset, col)).astype(to_numpy_dtype(dtype) if dtype else np.int64)
    )


@function(method=False)
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, **how: Any) -> Any:
    """The indices of the upper triangle of a matrix: rows, and columns."""
    return made(
        np.stack(np.triu_indices(row, offset, col)).astype(to_numpy_dtype(dtype) if dtype else np.int64)
    )


@function(method=False)
def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **how: Any) -> Any:
    """A tensor of that size; its elements have no particular value."""
    return empty(size, dtype=dtype, **how)


def number(value: Any) -> Any:
    """A 0-d tensor or NumPy scalar as a Python number."""
    return value.item() if isinstance(value, (EngineTensor, np.generic)) else value


def is_dtype(value: Any) -> bool:
    """Whether a value can stand for an element type."""
    return isinstance(value, torch_dtype) or value in (float, int, bool, complex)
