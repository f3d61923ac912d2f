"""Element types and shapes, as TensorFlow names and prints them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.tensorflow.errors import ConversionError


class DType:
    """An element type. NumPy takes it wherever it takes one of its own.

    >>> float32, str(float32), float32 == "float32", np.zeros(2, float32).dtype
    (tf.float32, "<dtype: 'float32'>", True, dtype('float32'))
    """

    __slots__ = ("dtype", "name", "title")

    def __init__(self, name: str, kind: Any, title: str = "") -> None:
        self.name, self.title = name, title or name
        self.dtype: np.dtype[Any] = np.dtype(kind)

    @property
    def as_numpy_dtype(self) -> Any:
        """The class of NumPy's scalars of this type."""
        return self.dtype.type

    @property
    def is_floating(self) -> bool:
        """Whether the type is a floating-point type."""
        return self.dtype.kind == "f"

    @property
    def is_integer(self) -> bool:
        """Whether the type is an integer type."""
        return self.dtype.kind in "iu"

    @property
    def is_bool(self) -> bool:
        """Whether the type is that of truth values."""
        return self.dtype.kind == "b"

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def min(self) -> Any:
        """The least number."""
        return np.iinfo(self.dtype).min if self.is_integer else np.finfo(self.dtype).min

    @property
    def max(self) -> Any:
        """The greatest number."""
        return np.iinfo(self.dtype).max if self.is_integer else np.finfo(self.dtype).max

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        try:
            return other is not None and np.dtype(other) == self.dtype  # type: ignore[call-overload]
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)


float16 = half = DType("float16", np.float16, "half")
float32 = DType("float32", np.float32, "float")
float64 = double = DType("float64", np.float64, "double")
int8, int16, int32, int64 = (DType(f"int{n}", f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (DType(f"uint{n}", f"uint{n}") for n in (8, 16, 32, 64))
complex64, complex128 = DType("complex64", np.complex64), DType("complex128", np.complex128)
boolean = DType("bool", np.bool_)

_ALL = (
    float16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, complex64,
    complex128, boolean,
)  # fmt: skip
_BY_NUMPY = {kind.dtype: kind for kind in _ALL}
_PYTHON: dict[Any, DType] = {float: float32, int: int32, bool: boolean, complex: complex128}


def as_dtype(kind: Any) -> DType:
    """The element type that a name, a class of Python or NumPy, or a NumPy type means.

    >>> as_dtype("float64"), as_dtype(float), as_dtype(np.int64)
    (tf.float64, tf.float32, tf.int64)
    """
    if isinstance(kind, DType):
        return kind
    if kind in _PYTHON:
        return _PYTHON[kind]
    try:
        return _BY_NUMPY[np.dtype(kind)]
    except (TypeError, KeyError):
        raise ConversionError(f"{kind!r} is no type of numbers that chainrule.tensorflow has") from None


def numpy_dtype(kind: Any) -> np.dtype[Any] | None:
    """The NumPy type that a `dtype=` argument means; None for None."""
    return None if kind is None else as_dtype(kind).dtype


class TensorShape(tuple[int, ...]):
    """The lengths of the axes.

    >>> shape = TensorShape((2, 3))
    >>> shape, str(shape), shape[0], shape == [2, 3], shape[1:]
    (TensorShape([2, 3]), '(2, 3)', 2, True, TensorShape([3]))
    """

    __slots__ = ()

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self)

    ndims = rank

    def as_list(self) -> list[int]:
        """The lengths as a list."""
        return list(self)

    def num_elements(self) -> int:
        """The number of elements."""
        return int(np.prod(self))

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return TensorShape(found) if isinstance(key, slice) else found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, tuple)) and tuple(self) == tuple(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        return f"TensorShape({list(self)})"

    def __str__(self) -> str:
        return str(tuple(self))
