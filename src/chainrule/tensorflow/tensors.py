"""Tensor and Variable: the engine's Tensor with TensorFlow's attributes, types and printing.

Operations are recorded only while a tape is; `tapes` keeps the list of those that do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from sys import _getframe
from typing import Any, Protocol, Self

import numpy as np

from chainrule import namespace, ops
from chainrule.backward import Node
from chainrule.lines import Place, described_place, place
from chainrule.operators import Operators
from chainrule.primitives import Primitive
from chainrule.tensor import Tensor as EngineTensor
from chainrule.tensorflow.arrays import array_of, below, elements, fits, is_symbolic, shown
from chainrule.tensorflow.dtypes import DType, TensorShape, as_dtype
from chainrule.tensorflow.errors import ConversionError, InvalidArgumentError, StateError

_engine_apply = EngineTensor._apply


class Recorder(Protocol):
    """What a tape is to the tensors."""

    def note_read(self, variable: Variable) -> None:
        """A variable was used while the tape was recording."""


tapes: ContextVar[tuple[Recorder, ...]] = ContextVar("tapes", default=())
"""The tapes that are recording, the outermost first."""


class Tensor(EngineTensor):
    """An array that cannot be changed, with TensorFlow's methods; `tf.constant` makes one.

    >>> from chainrule import tensorflow as tf
    >>> tf.constant([1.0, 2.0]) * 3
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([3., 6.], dtype=float32)>
    """

    __slots__ = ("_origin",)
    _keeps_its_class = True

    _origin: tuple[str, Place]
    """The variable that this was computed from while no tape was recording, and where."""

    def __init__(self, data: Any, requires_grad: bool = False, *, dtype: Any = None) -> None:
        super().__init__(array_of(data, dtype), requires_grad)

    @staticmethod
    def _apply(primitive: Primitive, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        """Apply a primitive, recorded if a tape is recording."""
        recording = tapes.get()
        if not recording:
            return _unrecorded(primitive, inputs, parameters)
        values = list(inputs)
        for i, x in enumerate(values):
            if isinstance(x, Variable):
                for tape in recording:
                    tape.note_read(x)
                values[i] = Tensor._wrapped(x._data, x._node)
        return _engine_apply(primitive, tuple(values), parameters)

    # attributes ----------------------------------------------------------------------------------------

    @property
    def shape(self) -> TensorShape:
        """The lengths of the axes."""
        return TensorShape(self._data.shape)

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return as_dtype(self._data.dtype)

    @property
    def device(self) -> str:
        """The device, as TensorFlow names a CPU."""
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    def get_shape(self) -> TensorShape:
        """The lengths of the axes."""
        return self.shape

    def numpy(self) -> Any:
        """The elements as a NumPy array or scalar of its own."""
        if is_symbolic(self._data):
            return self._data.detach()  # NumPy's functions take it, and it stays traced
        return self._data.copy()[()] if isinstance(self._data, np.ndarray) else self._data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._data, dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """An operator between an array and a tensor gives a tensor; any other function of NumPy an array."""
        operator = _OPERATORS.get(ufunc)
        if method == "__call__" and not options and operator is not None:
            return operator(*inputs)
        return getattr(ufunc, method)(*(_plain(x) for x in inputs), **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*_plain(args), **{name: _plain(value) for name, value in kwargs.items()})

    # operators -----------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return binary("AddV2", ops.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return binary("AddV2", ops.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return binary("Sub", ops.subtract, self, other)

    def __rsub__(self, other: Any) -> Any:
        return binary("Sub", ops.subtract, other, self)

    def __mul__(self, other: Any) -> Any:
        return binary("Mul", ops.multiply, self, other)

    def __rmul__(self, other: Any) -> Any:
        return binary("Mul", ops.multiply, other, self)

    def __truediv__(self, other: Any) -> Any:
        return binary("RealDiv", true_divide, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return binary("RealDiv", true_divide, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return binary("FloorDiv", ops.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return binary("FloorDiv", ops.floor_divide, other, self)

    def __mod__(self, other: Any) -> Any:
        return binary("FloorMod", ops.remainder, self, other)

    def __rmod__(self, other: Any) -> Any:
        return binary("FloorMod", ops.remainder, other, self)

    def __pow__(self, other: Any) -> Any:
        return binary("Pow", ops.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return binary("Pow", ops.pow, other, self)

    def __matmul__(self, other: Any) -> Any:
        return binary("MatMul", matrix_product, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return binary("MatMul", matrix_product, other, self)

    def __lt__(self, other: Any) -> Any:
        return binary("Less", ops.less, self, other)

    def __le__(self, other: Any) -> Any:
        return binary("LessEqual", ops.less_equal, self, other)

    def __gt__(self, other: Any) -> Any:
        return binary("Greater", ops.greater, self, other)

    def __ge__(self, other: Any) -> Any:
        return binary("GreaterEqual", ops.greater_equal, self, other)

    def __eq__(self, other: object) -> Any:
        return False if other is None else binary("Equal", ops.equal, self, other)

    def __ne__(self, other: object) -> Any:
        return True if other is None else binary("NotEqual", ops.not_equal, self, other)

    __hash__ = Operators.__hash__

    # a tensor does not change: x += 1 makes a new one
    def __iadd__(self, other: Any) -> Any:
        return self + other

    def __isub__(self, other: Any) -> Any:
        return self - other

    def __imul__(self, other: Any) -> Any:
        return self * other

    def __itruediv__(self, other: Any) -> Any:
        return self / other

    def __ifloordiv__(self, other: Any) -> Any:
        return self // other

    def __imod__(self, other: Any) -> Any:
        return self % other

    def __ipow__(self, other: Any) -> Any:
        return self**other

    def __imatmul__(self, other: Any) -> Any:
        return self @ other

    def __setitem__(self, key: Any, value: Any) -> None:
        raise ConversionError(
            f"'{type(self).__name__}' object does not support item assignment: a tensor does not change. "
            f"Make a new "
            f"one with tf.tensor_scatter_nd_update or tf.where, or use a tf.Variable and its assign"
        )

    # printing ------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype.name}, numpy={shown(self._data)}>"

    def __str__(self) -> str:
        text = str(self._data)
        return f"tf.Tensor({below(text)}, shape={self.shape}, dtype={self.dtype.name})"

    def __format__(self, specification: str) -> str:
        return format(self.numpy(), specification)


EagerTensor = Tensor


class Variable(Tensor):
    """A tensor that can be changed, and that tapes watch.

    >>> v = Variable(3.0)
    >>> v.assign_sub(1.0)
    <tf.Variable 'Variable:0' shape=() dtype=float32, numpy=2.0>
    """

    __slots__ = ("name", "trainable")

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool = True,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        dtype: Any = None,
        shape: Any = None,
        **unused: Any,
    ) -> None:
        if initial_value is None:
            raise InvalidArgumentError("tf.Variable needs an initial value, as in tf.Variable(0.0)")
        value = initial_value() if callable(initial_value) else initial_value
        self._data = np.array(convert(value, dtype)._data)
        self._node = Node.leaf(self._data.shape, self._data.dtype) if self._data.dtype.kind == "f" else None
        self._view = None
        self.name, self.trainable = f"{name or 'Variable'}:0", trainable

    @classmethod
    def _wrapped(cls, data: Any, node: Node | None = None) -> Any:
        """What the engine makes from a variable is a tensor."""
        return Tensor._wrapped(data, node)

    def value(self) -> Tensor:
        """The present elements as a tensor."""
        return identity(self)

    read_value = value

    def assign(
        self, value: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> Self:
        """Replace the elements."""
        new = convert(value, self.dtype)._data
        if new.shape != self._data.shape:
            raise InvalidArgumentError(
                f"Cannot assign value to variable '{self.name}': Shape mismatch. The variable shape "
                f"{self.shape}, and "
                f"the assigned value shape {TensorShape(new.shape)} are incompatible."
            )
        # A new array: what a tape has kept of the old elements stays as it was.
        self._data = new.as_it_is_now() if is_symbolic(new) else np.array(new)
        return self

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> Self:
        """Add to the elements."""
        return self.assign(self._data + _matching(self, delta))

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> Self:
        """Subtract from the elements."""
        return self.assign(self._data - _matching(self, delta))

    def _refuse(self, other: Any, operator: str, method: str) -> Any:
        raise StateError(
            f"`variable {operator}= value` with `tf.Variable`s is not supported. Use `{method}` to modify "
            f"the "
            f"variable, or `out = variable {operator} value` if you need to get a new output Tensor."
        )

    def __iadd__(self, other: Any) -> Any:
        return self._refuse(other, "+", "variable.assign_add(value)")

    def __isub__(self, other: Any) -> Any:
        return self._refuse(other, "-", "variable.assign_sub(value)")

    def __imul__(self, other: Any) -> Any:
        return self._refuse(other, "*", "variable.assign(variable * value)")

    def __itruediv__(self, other: Any) -> Any:
        return self._refuse(other, "/", "variable.assign(variable / value)")

    def __repr__(self) -> str:
        return (
            f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}, "
            f"numpy={shown(self._data)}>"
        )

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return format(self.item(), specification) if specification else repr(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        return Variable(self._data, self.trainable, name=self.name.removesuffix(":0"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self._data, self.trainable, self.name.removesuffix(":0"))


def _rebuilt(data: Any, trainable: bool, name: str) -> Variable:
    return Variable(data, trainable, name=name)


namespace.register(Tensor, ops)
namespace.register(Variable, ops)


# applying without a tape ---------------------------------------------------------------------------------


def _unrecorded(primitive: Primitive, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
    out = primitive.evaluate([x._data if isinstance(x, Tensor) else x for x in inputs], parameters)
    if primitive.outputs:
        return tuple(Tensor._wrapped(part) for part in out)
    result = Tensor._wrapped(out)
    for x in inputs:
        if isinstance(x, Variable):
            result._origin = (x.name, place(_getframe(1)))
    return result


def origin(tensor: Tensor) -> str | None:
    """Where a tensor was computed from a variable while no tape was recording; None for other tensors."""
    found = getattr(tensor, "_origin", None)
    return (
        None
        if found is None
        else f"it was computed from the variable {found[0]!r} at {described_place(found[1])}"
    )


def identity(x: Any) -> Tensor:
    """A tensor of the same elements, through which gradients flow."""
    found: Tensor = ops.positive(convert(x))
    return found


# conversion ----------------------------------------------------------------------------------------------


def convert(value: Any, dtype: Any = None) -> Tensor:
    """A value as a tensor: Python's floats become float32, its integers int32; NumPy's keep their type.

    Raises ConversionError where elements would lose their fraction or do not fit `dtype`.
    """
    kind = None if dtype is None else as_dtype(dtype)
    if isinstance(value, Tensor):
        if kind is not None and value.dtype != kind:
            raise InvalidArgumentError(
                f"Tensor conversion requested dtype {kind.name} for Tensor with dtype {value.dtype.name}: "
                f"{value!r}; convert it with tf.cast"
            )
        return value
    if isinstance(value, (list, tuple)) and _holds_tensors(value):
        parts = [convert(part, dtype) for part in value]
        return ops.stack(parts)  # type: ignore[no-any-return]
    return Tensor._wrapped(array_of(value, kind))


def _holds_tensors(values: Sequence[Any]) -> bool:
    return any(isinstance(v, Tensor) or (isinstance(v, (list, tuple)) and _holds_tensors(v)) for v in values)


def _matching(variable: Variable, delta: Any) -> Any:
    return convert(delta, variable.dtype)._data


def binary(name: str, operation: Callable[[Any, Any], Any], x: Any, y: Any) -> Any:
    """A function of two tensors of one type; a number or an array beside a tensor takes its type."""
    if isinstance(x, Tensor):
        y = _beside(x, y)
    elif isinstance(y, Tensor):
        x = _beside(y, x)
    else:
        x = convert(x)
        y = _beside(x, y)
    _check_types(name, x, y)
    return operation(x, y)


_HOLDS: dict[type, str] = {int: "ifuc", float: "fc"}
"""The kinds of types beside which a number of Python stays as it is."""


def _beside(tensor: Tensor, value: Any) -> Any:
    """A number as it is, if the tensor's type can hold it; anything else as a tensor."""
    kind = tensor._data.dtype.kind
    if isinstance(value, Tensor) or kind in _HOLDS.get(type(value), ""):
        return value
    if isinstance(value, (np.ndarray, np.generic)) and not fits(value.dtype, tensor._data.dtype, 1):
        return convert(value)
    return convert(value, tensor.dtype)


def _check_types(name: str, x: Any, y: Any) -> None:
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x._data.dtype != y._data.dtype:
        raise InvalidArgumentError(
            f"cannot compute {name} as input #1(zero-based) was expected to be a {x.dtype.title} tensor "
            f"but is a {y.dtype.title} tensor [Op:{name}]; convert one of them with tf.cast"
        )


def true_divide(x: Any, y: Any) -> Any:
    """The quotient; of integers in float64, of 8 and 16 bits in float32."""
    kind = (x if isinstance(x, Tensor) else y)._data.dtype
    if kind.kind in "iu":
        wide = np.float64 if kind.itemsize > 2 else np.float32
        x, y = (ops.astype(v, wide) if isinstance(v, Tensor) else v for v in (x, y))
    return ops.divide(x, y)


def matrix_product(x: Any, y: Any) -> Any:
    """The product of matrices, or of stacks of them."""
    x, y = convert(x), convert(y)
    if x.ndim < 2 or y.ndim < 2:
        raise InvalidArgumentError(
            f"matmul needs matrices, but was given shapes {x.shape} and {y.shape}; a vector becomes a "
            f"column with tf.reshape(v, (-1, 1)), and tf.tensordot multiplies vectors"
        )
    if x.shape[-1] != y.shape[-2]:
        raise InvalidArgumentError(
            f"Matrix size-incompatible: In[0]: {list(x.shape)}, In[1]: {list(y.shape)} [Op:MatMul]: the "
            f"first has {x.shape[-1]} columns, the second {y.shape[-2]} rows"
        )
    return ops.matmul(x, y)


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return elements(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(part) for part in value)
    return value


_OPERATORS: dict[Any, Callable[..., Any]] = {
    np.add: lambda x, y: binary("AddV2", ops.add, x, y),
    np.subtract: lambda x, y: binary("Sub", ops.subtract, x, y),
    np.multiply: lambda x, y: binary("Mul", ops.multiply, x, y),
    np.true_divide: lambda x, y: binary("RealDiv", true_divide, x, y),
    np.power: lambda x, y: binary("Pow", ops.pow, x, y),
    np.matmul: lambda x, y: binary("MatMul", matrix_product, x, y),
    np.less: lambda x, y: binary("Less", ops.less, x, y),
    np.less_equal: lambda x, y: binary("LessEqual", ops.less_equal, x, y),
    np.greater: lambda x, y: binary("Greater", ops.greater, x, y),
    np.greater_equal: lambda x, y: binary("GreaterEqual", ops.greater_equal, x, y),
    np.equal: lambda x, y: binary("Equal", ops.equal, x, y),
    np.not_equal: lambda x, y: binary("NotEqual", ops.not_equal, x, y),
}
