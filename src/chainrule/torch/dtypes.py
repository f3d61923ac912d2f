"""Element types, sizes and devices, and the rules by which PyTorch promotes element types."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, SupportsIndex, overload

import numpy as np

from chainrule.operators import Operators
from chainrule.torch.errors import ArgumentError, OperationError


class dtype:
    """An element type. NumPy takes it wherever it takes one of its own.

    >>> float32, float32.is_floating_point, float32.itemsize, np.zeros(2, float32).dtype
    (torch.float32, True, 4, dtype('float32'))
    """

    __slots__ = ("_name", "dtype", "is_complex", "is_floating_point", "is_signed", "itemsize", "title")

    def __init__(self, name: str, kind: Any, title: str) -> None:
        self._name, self.title = name, title
        self.dtype: np.dtype[Any] = np.dtype(kind)
        self.is_floating_point = self.dtype.kind == "f"
        self.is_complex = self.dtype.kind == "c"
        self.is_signed = self.dtype.kind in "ifc"
        self.itemsize = self.dtype.itemsize

    @property
    def kind(self) -> str:
        """NumPy's letter for the category of the type."""
        return self.dtype.kind

    def to_complex(self) -> dtype:
        """The complex type of the same precision."""
        return complex128 if self.itemsize == 8 else complex64

    def to_real(self) -> dtype:
        """The real type of the same precision."""
        return {complex64: float32, complex128: float64}.get(self, self)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            not isinstance(other, dtype) and isinstance(other, np.dtype) and self.dtype == other
        )

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> str:
        return self._name


float16 = half = dtype("float16", np.float16, "Half")
float32 = dtype("float32", np.float32, "Float")
float64 = double = dtype("float64", np.float64, "Double")
complex64 = cfloat = dtype("complex64", np.complex64, "ComplexFloat")
complex128 = cdouble = dtype("complex128", np.complex128, "ComplexDouble")
int8 = dtype("int8", np.int8, "Char")
int16 = short = dtype("int16", np.int16, "Short")
int32 = dtype("int32", np.int32, "Int")
int64 = long = dtype("int64", np.int64, "Long")
uint8 = dtype("uint8", np.uint8, "Byte")
uint16 = dtype("uint16", np.uint16, "UInt16")
uint32 = dtype("uint32", np.uint32, "UInt32")
uint64 = dtype("uint64", np.uint64, "UInt64")
boolean = dtype("bool", np.bool_, "Bool")

ALL = (
    float16, float32, float64, complex64, complex128, int8, int16, int32, int64, uint8, uint16, uint32, uint64, boolean,
)  # fmt: skip
BY_NUMPY: dict[np.dtype[Any], dtype] = {d.dtype: d for d in ALL}
PYTHON_TYPES: dict[Any, dtype] = {bool: boolean, int: int64}

_default = [float32]


def get_default_dtype() -> dtype:
    """The type of floating-point tensors that are made without one.

    >>> get_default_dtype()
    torch.float32
    """
    return _default[0]


def set_default_dtype(d: dtype) -> None:
    """Set the type of floating-point tensors that are made without one."""
    if not (isinstance(d, dtype) and d.is_floating_point):
        raise ArgumentError(f"the default dtype must be a floating-point type, but was given {d!r}")
    _default[0] = d


def default_float() -> np.dtype[Any]:
    """NumPy's name of the default type."""
    return _default[0].dtype


def default_complex() -> np.dtype[Any]:
    """The complex type with the precision of the default type."""
    return _default[0].to_complex().dtype


def to_numpy_dtype(kind: Any) -> np.dtype[Any]:
    """The NumPy type that a `dtype=` argument means.

    >>> to_numpy_dtype(float64), to_numpy_dtype(float)
    (dtype('float64'), dtype('float64'))
    """
    if isinstance(kind, dtype):
        return kind.dtype
    if kind is float:
        return np.dtype(np.float64)
    if kind in PYTHON_TYPES:
        return PYTHON_TYPES[kind].dtype
    if kind is complex:
        return np.dtype(np.complex128)
    raise ArgumentError(f"dtype must be a torch.dtype, such as torch.float32, but was given {kind!r}")


# promotion -----------------------------------------------------------------------------------------------

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def category(kind: np.dtype[Any]) -> int:
    """0 for bool, 1 for integers, 2 for floating-point, 3 for complex numbers."""
    return _CATEGORY[kind.kind]


def promoted(first: np.dtype[Any], second: np.dtype[Any]) -> np.dtype[Any]:
    """The type of the result of two tensors of the same standing: the higher category decides.

    >>> promoted(np.dtype("int64"), np.dtype("float32"))
    dtype('float32')
    """
    if first == second:
        return first
    a, b = category(first), category(second)
    if a == b:
        common = np.promote_types(first, second)
        return common if category(common) == a else np.dtype(np.int64)
    high, low = (first, second) if a > b else (second, first)
    if {a, b} == {2, 3}:
        return np.promote_types(high, low)
    return high


def _combined(high: np.dtype[Any] | None, low: np.dtype[Any] | None) -> np.dtype[Any] | None:
    """The type of operands of which the first kind stands above the second."""
    if high is None or low is None:
        return high if low is None else low
    if category(low) <= category(high):
        return high
    if category(high) == 2:
        return BY_NUMPY[high].to_complex().dtype
    return promoted(high, low)


def type_of_number(value: Any) -> np.dtype[Any]:
    """The type that a Python number is taken for."""
    if isinstance(value, (bool, np.bool_)):
        return boolean.dtype
    if isinstance(value, (int, np.integer)):
        return int64.dtype
    return default_float() if isinstance(value, (float, np.floating)) else default_complex()


_ARRAYS: Any = (np.ndarray, Operators)


def result_type_of(operands: Iterable[Any]) -> np.dtype[Any]:
    """The type of a result: of tensors with dimensions, unless those without, or numbers, are of a higher category.

    The operands are arrays and Python numbers.

    >>> result_type_of([np.ones(2, np.int64), 2.5]), result_type_of([np.ones(2, np.float32), np.array(2.5)])
    (dtype('float32'), dtype('float32'))
    """
    standing: list[np.dtype[Any] | None] = [None, None, None]
    for value in operands:
        place = 2 if not isinstance(value, _ARRAYS) else 0 if value.ndim else 1
        kind = type_of_number(value) if place == 2 else value.dtype
        before = standing[place]
        standing[place] = kind if before is None else promoted(before, kind)
    kind = _combined(standing[0], _combined(standing[1], standing[2]))
    assert kind is not None
    return kind


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The type that two types are promoted to.

    >>> promote_types(int64, float16)
    torch.float16
    """
    return BY_NUMPY[promoted(type1.dtype, type2.dtype)]


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether PyTorch converts from one type to another in place.

    >>> can_cast(float64, float32), can_cast(float32, int64)
    (True, False)
    """
    if category(from_.dtype) == 1 and not from_.is_signed:
        return to is not boolean
    if category(from_.dtype) == 1 and not to.is_signed and to is not boolean:
        return category(to.dtype) != 1
    return category(from_.dtype) <= category(to.dtype)


# Size, device, finfo -------------------------------------------------------------------------------------


class Size(tuple[int, ...]):
    """The lengths of a tensor's dimensions.

    >>> Size((2, 3)), Size((2, 3)).numel(), Size((2, 3, 4))[1:]
    (torch.Size([2, 3]), 6, torch.Size([3, 4]))
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice[Any, Any, Any]) -> Size: ...
    def __getitem__(self, key: Any) -> Any:
        found = tuple.__getitem__(self, key)
        return Size(found) if isinstance(key, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size(tuple(self) + tuple(other))

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"


class device:
    """Where a tensor lives: on the CPU, always.

    >>> device("cpu")
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        name, _, number = str(type).partition(":")
        if name not in ("cpu", "meta") and not name.startswith(("cuda", "mps", "xpu")):
            raise OperationError(
                f"Expected one of cpu, cuda, mps, xpu device type at start of device string: {type}"
            )
        self.type, self.index = name, int(number) if number else index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"


CPU = device("cpu")


def check_device(where: Any) -> None:
    """Raise OperationError unless the device is the CPU."""
    if where is not None and (where if isinstance(where, device) else device(where)).type != "cpu":
        raise OperationError(f"chainrule.torch computes on the CPU; there is no device {where!s}")


class finfo:
    """The limits of a floating-point type.

    >>> finfo(float64).eps
    2.220446049250313e-16
    """

    def __init__(self, type: dtype | None = None) -> None:
        kind = type or get_default_dtype()
        if not (kind.is_floating_point or kind.is_complex):
            raise ArgumentError(f"torch.finfo() requires a floating point input type, but was given {kind}")
        info = np.finfo(kind.dtype)
        self.bits, self.dtype = int(info.bits), repr(kind).removeprefix("torch.")
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = float(info.resolution)


class iinfo:
    """The limits of an integer type.

    >>> iinfo(int8).max
    127
    """

    def __init__(self, type: dtype) -> None:
        if category(type.dtype) != 1:
            raise ArgumentError(f"torch.iinfo() requires an integer input type, but was given {type}")
        info = np.iinfo(type.dtype)
        self.bits, self.dtype = int(info.bits), repr(type).removeprefix("torch.")
        self.max, self.min = int(info.max), int(info.min)


class Layout:
    """The layout of a tensor in memory."""

    def __repr__(self) -> str:
        return "torch.strided"


STRIDED = Layout()
