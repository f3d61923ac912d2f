"""Arrays from whatever tensors are made of, and as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.operators import example_of
from chainrule.tensor import Tensor as EngineTensor
from chainrule.tensorflow.dtypes import as_dtype
from chainrule.tensorflow.errors import ConversionError, InvalidArgumentError

_DEFAULTS = {"f": np.float32, "i": np.int32}


def array_of(value: Any, dtype: Any = None) -> Any:
    """A value as an array: Python's floats become float32, its integers int32; NumPy's keep their type."""
    kind = None if dtype is None else as_dtype(dtype).dtype
    if isinstance(value, EngineTensor) and not value.is_traced:
        value = value._data
    if is_symbolic(value):
        return value if kind is None or kind == example_of(value).dtype else value.astype(kind)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidArgumentError(
            f"Can't convert non-rectangular Python sequence to Tensor: {error}"
        ) from None
    if array.dtype.kind not in "biufc":
        raise ConversionError(
            f"Attempt to convert a value ({str(value)[:60]!r}) with an unsupported type ({type(value)}) "
            f"to a Tensor; tensors of chainrule.tensorflow hold numbers only"
        )
    if kind is None:
        if not hasattr(value, "dtype") and array.dtype.kind in _DEFAULTS:
            array = array.astype(_DEFAULTS[array.dtype.kind])
        return array
    if not fits(array.dtype, kind, array.size):
        raise ConversionError(
            f"Cannot convert {str(value)[:60]} to EagerTensor of dtype {as_dtype(kind).name}"
        )
    return array.astype(kind, copy=False)


def is_symbolic(value: Any) -> bool:
    """Whether a value is a Symbol, which stands for an array while a function is traced."""
    return isinstance(value, EngineTensor) and value.is_traced


def elements(tensor: Any) -> Any:
    """The elements of a tensor as an array; what is traced stays so."""
    return tensor._data if is_symbolic(tensor._data) else np.asarray(tensor._data)


def fits(given: np.dtype[Any], wanted: np.dtype[Any], size: int) -> bool:
    """Whether elements of one type can become those of another without losing what they say.

    >>> fits(np.dtype(np.int64), np.dtype(np.float32), 1), fits(np.dtype(np.float32), np.dtype(np.int64), 1)
    (True, False)
    """
    order = "biufc"
    same = given.kind == wanted.kind or {given.kind, wanted.kind} == {"i", "u"}
    return same or size == 0 or (given.kind != "b" and order.index(given.kind) < order.index(wanted.kind))


def shown(data: Any) -> str:
    """The elements, as they stand in the repr of a tensor."""
    return below(repr(data)) if data.shape else str(data)


def below(text: str) -> str:
    """Text of several lines begins on a line of its own."""
    return f"\n{text}" if "\n" in text else text
