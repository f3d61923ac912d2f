"""The operators and array methods, once, for every class that stands for an array.

Tensor needs the primitives, and the primitives need Tensor. So an operator is defined here in terms of
`self._ops`, and `chainrule.ops` closes the loop by assigning itself to it; `chainrule.numpy_protocol` does
the same for the functions of NumPy.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Operators:
    """The operators, methods and protocols of an array, in terms of the namespace `_ops`."""

    __slots__ = ()
    __array_priority__ = 1000
    is_traced: ClassVar[bool] = False
    """Whether its operations are written down, and its values cannot be read."""
    _ops: ClassVar[Any]
    _numpy: ClassVar[Any]
    _data: Any

    def _values(self) -> Any:
        """The array, for what reads its values; refused by what has none yet."""
        return self._data

    @staticmethod
    def _apply(primitive: Any, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        """Apply a primitive of which at least one input is of this class."""
        raise TypeError(f"{primitive} cannot be applied to {inputs}")

    # arithmetic
    def __add__(self, other: Any) -> Any:
        return self._apply(self._ops.add, (self, other), {})

    def __radd__(self, other: Any) -> Any:
        return self._apply(self._ops.add, (other, self), {})

    def __sub__(self, other: Any) -> Any:
        return self._apply(self._ops.subtract, (self, other), {})

    def __rsub__(self, other: Any) -> Any:
        return self._apply(self._ops.subtract, (other, self), {})

    def __mul__(self, other: Any) -> Any:
        return self._apply(self._ops.multiply, (self, other), {})

    def __rmul__(self, other: Any) -> Any:
        return self._apply(self._ops.multiply, (other, self), {})

    def __truediv__(self, other: Any) -> Any:
        return self._apply(self._ops.divide, (self, other), {})

    def __rtruediv__(self, other: Any) -> Any:
        return self._apply(self._ops.divide, (other, self), {})

    def __floordiv__(self, other: Any) -> Any:
        return self._apply(self._ops.floor_divide, (self, other), {})

    def __rfloordiv__(self, other: Any) -> Any:
        return self._apply(self._ops.floor_divide, (other, self), {})

    def __mod__(self, other: Any) -> Any:
        return self._apply(self._ops.remainder, (self, other), {})

    def __rmod__(self, other: Any) -> Any:
        return self._apply(self._ops.remainder, (other, self), {})

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, other: Any) -> Any:
        return self._apply(self._ops.pow, (self, other), {})

    def __rpow__(self, other: Any) -> Any:
        return self._apply(self._ops.pow, (other, self), {})

    def __matmul__(self, other: Any) -> Any:
        return self._apply(self._ops.matmul, (self, other), {})

    def __rmatmul__(self, other: Any) -> Any:
        return self._apply(self._ops.matmul, (other, self), {})

    def __neg__(self) -> Any:
        return self._apply(self._ops.negative, (self,), {})

    def __pos__(self) -> Any:
        return self._apply(self._ops.positive, (self,), {})

    def __abs__(self) -> Any:
        return self._apply(self._ops.abs, (self,), {})

    def __round__(self, digits: int = 0) -> Any:
        return self._ops.round(self, decimals=digits)

    # comparison and logic
    def __lt__(self, other: Any) -> Any:
        return self._apply(self._ops.less, (self, other), {})

    def __le__(self, other: Any) -> Any:
        return self._apply(self._ops.less_equal, (self, other), {})

    def __gt__(self, other: Any) -> Any:
        return self._apply(self._ops.greater, (self, other), {})

    def __ge__(self, other: Any) -> Any:
        return self._apply(self._ops.greater_equal, (self, other), {})

    def __eq__(self, other: object) -> Any:
        return self._apply(self._ops.equal, (self, other), {})

    def __ne__(self, other: object) -> Any:
        return self._apply(self._ops.not_equal, (self, other), {})

    __hash__ = object.__hash__

    def __and__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_and, (self, other), {})

    def __rand__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_and, (other, self), {})

    def __or__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_or, (self, other), {})

    def __ror__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_or, (other, self), {})

    def __xor__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_xor, (self, other), {})

    def __rxor__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_xor, (other, self), {})

    def __lshift__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_left_shift, (self, other), {})

    def __rlshift__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_left_shift, (other, self), {})

    def __rshift__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_right_shift, (self, other), {})

    def __rrshift__(self, other: Any) -> Any:
        return self._apply(self._ops.bitwise_right_shift, (other, self), {})

    def __invert__(self) -> Any:
        return self._apply(self._ops.bitwise_invert, (self,), {})

    # indexing and protocols
    def __getitem__(self, key: Any) -> Any:
        return self._ops.getitem(self, key=key)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return self._ops

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return self._numpy.apply_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self._numpy.apply_function(function, args, kwargs)

    # the methods of a NumPy array
    @property
    def T(self) -> Any:
        """The array with its axes in reverse order."""
        return self._ops.transpose(self)

    @property
    def mT(self) -> Any:
        """The array with its last two axes exchanged."""
        return self._ops.matrix_transpose(self)

    def transpose(self, *axes: Any) -> Any:
        """Permute the axes; without arguments, reverse them."""
        return self._ops.transpose(self, _one(axes) if axes else None)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Exchange two axes."""
        return self._ops.swapaxes(self, axis1=axis1, axis2=axis2)

    def reshape(self, *shape: Any) -> Any:
        """The same elements in another shape; one length may be -1."""
        return self._ops.reshape(self, shape=_one(shape))

    def ravel(self) -> Any:
        """All elements along one axis."""
        return self._ops.reshape(self, shape=(-1,))

    def flatten(self) -> Any:
        """All elements along one axis, copied."""
        return self._ops.copy(self.ravel())

    def squeeze(self, axis: Any = None) -> Any:
        """Without the axes of length 1 (or without those given)."""
        return self._ops.squeeze(self, axis=axis)

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The sum over `axis`."""
        return self._ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The mean over `axis`."""
        return self._ops.mean(self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The product over `axis`."""
        return self._ops.prod(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The maximum over `axis`; ties share the cotangent."""
        return self._ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The minimum over `axis`; ties share the cotangent."""
        return self._ops.min(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
        """The variance over `axis`, divided by n - ddof."""
        return self._ops.var(self, axis=axis, correction=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
        """The standard deviation over `axis`."""
        return self._ops.std(self, axis=axis, correction=ddof, keepdims=keepdims)

    def cumsum(self, axis: Any = None) -> Any:
        """Running sums along `axis`; of all elements without one."""
        return self._numpy.cumsum(self, axis)

    def cumprod(self, axis: Any = None) -> Any:
        """Running products along `axis`; of all elements without one."""
        return self._numpy.cumprod(self, axis)

    def any(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Whether any element is true."""
        return self._ops.any(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Whether all elements are true."""
        return self._ops.all(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The index of the maximum."""
        return self._ops.argmax(self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The index of the minimum."""
        return self._ops.argmin(self, axis=axis, keepdims=keepdims)

    def argsort(self, axis: int = -1) -> Any:
        """The indices that sort along `axis`."""
        return self._ops.argsort(self, axis=axis)

    def dot(self, other: Any) -> Any:
        """NumPy's dot product."""
        return self._ops.dot(self, other)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """The elements limited to the range from `min` to `max`."""
        return self._ops.clip(self, min, max)

    def round(self, decimals: int = 0) -> Any:
        """The elements rounded; the derivative is zero."""
        return self._ops.round(self, decimals=decimals)

    def take(self, indices: Any, axis: int | None = None) -> Any:
        """The elements (or slices along `axis`) at `indices`."""
        return self._numpy.take(self, indices, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Any:
        """Each element (or slice along `axis`) repeated."""
        return self._ops.repeat(self, repeats=repeats, axis=axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """The diagonal of the plane of two axes."""
        return self._ops.diagonal(self, offset=offset, axis1=axis1, axis2=axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """The sum of the diagonal."""
        return self._ops.trace(self, offset=offset, axis1=axis1, axis2=axis2)

    def astype(self, dtype: Any, *, copy: bool = True) -> Any:
        """The elements converted to another type."""
        return self._ops.astype(self, dtype=dtype)

    def nonzero(self) -> Any:
        """The indices of the elements that are not zero, one array per axis."""
        return self._ops.nonzero(self)

    def copy(self) -> Any:
        """A copy that the gradient flows through."""
        return self._ops.copy(self)


def data_of(x: Any) -> Any:
    """The plain array behind a Tensor, to read its values; anything else as it is.

    While a function is traced there are no values to read, and this is refused: what is computed from them would
    be fixed to those of one run.

    >>> data_of([1.0])
    [1.0]
    """
    return x._values() if isinstance(x, Operators) else x


def example_of(x: Any) -> Any:
    """The plain array behind a Tensor, for its shape and type alone, or to hand it on; anything else as it is.

    >>> example_of([1.0])
    [1.0]
    """
    return x._data if isinstance(x, Operators) else x


def _one(values: tuple[Any, ...]) -> Any:
    """`t.reshape(2, 3)` and `t.reshape((2, 3))` mean the same."""
    return values[0] if len(values) == 1 and not isinstance(values[0], int) else values
