"""The methods of Tensor: conversions, changes in place, and every function that is a method too."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import UnsupportedError
from chainrule.inplace import owner_of
from chainrule.lines import here
from chainrule.rules.shape import astype
from chainrule.torch.dtypes import (
    boolean,
    category,
    check_device,
    complex64,
    complex128,
    device,
    dtype,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    to_numpy_dtype,
    uint8,
)  # fmt: skip
from chainrule.torch.errors import ArgumentError, OperationError
from chainrule.torch.functions import registry
from chainrule.torch.functions.elementwise import positive, pow_
from chainrule.torch.functions.indexed import where_method
from chainrule.torch.functions.products import matmul
from chainrule.torch.functions.shapes import adjoint, reversed_dims, squeeze, unsqueeze
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor, is_symbolic


def converted(self: Tensor, kind: np.dtype[Any]) -> Any:
    """The tensor in another type; itself, where it is of that type already."""
    if self._data.dtype == kind:
        return self
    return Tensor._apply(astype, (self,), {"dtype": kind})


def to(self: Tensor, *args: Any, copy: bool = False, **how: Any) -> Any:
    """The tensor in another type (a dtype, or that of another tensor); the device is the CPU."""
    wanted = how.get("dtype")
    for value in (*args, how.get("other"), how.get("device")):
        if isinstance(value, Tensor):
            wanted = value.dtype
        elif isinstance(value, dtype) or value in (float, int, complex):
            wanted = value
        elif isinstance(value, (str, device)):
            check_device(value)
        elif value is not None and not isinstance(value, bool):
            raise ArgumentError(
                f"to() received an invalid combination of arguments - got {type(value).__name__}"
            )
    out = self if wanted is None else converted(self, to_numpy_dtype(wanted))
    return self.clone() if copy and out is self else out


def _caster(kind: dtype) -> Any:
    def cast(self: Tensor, memory_format: Any = None) -> Any:
        return converted(self, kind.dtype)

    cast.__doc__ = f"The tensor as {kind!r}."
    return cast


CASTS = {
    "half": float16, "float": float32, "double": float64, "char": int8, "short": int16, "int": int32, "long": int64,
    "byte": uint8, "bool": boolean, "cfloat": complex64, "cdouble": complex128,
}  # fmt: skip


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the type, or the tensor in another type."""
    return f"torch.{self.dtype.title}Tensor" if dtype is None else converted(self, to_numpy_dtype(dtype))


def tolist(self: Tensor) -> Any:
    """The elements as nested Python lists."""
    return self._data.tolist()


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Any:
    """Take over the elements of another tensor, which is broadcast and converted."""
    src = src if isinstance(src, Tensor) else Tensor._wrapped(np.asarray(src))
    if np.broadcast_shapes(src._data.shape, self._data.shape) != self._data.shape:
        raise OperationError(
            f"The size of tensor a {list(self.shape)} must match the size of tensor b {list(src.shape)}"
        )

    def change(old: Any) -> Any:
        value = converted(src, self._data.dtype)
        return named(ops.broadcast_to(value, shape=self._data.shape), "CopyBackwards")

    return self._replace(change, "copy_")


def fill_(self: Tensor, value: Any) -> Any:
    """Set every element to a number, or to that of a 0-d tensor."""
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise OperationError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value._data.ndim} dimensions."
            )
        return self._replace(
            lambda old: ops.broadcast_to(converted(value, self._data.dtype), shape=self._data.shape), "fill_"
        )
    if isinstance(value, (int, float)) and category(np.asarray(value).dtype) > 2:
        raise OperationError(f"value cannot be converted to type {self.dtype}")
    return self._replace(lambda old: fill(old, value), "fill_")


def fill(self: Tensor, value: Any) -> Any:
    """A tensor of the same shape in which every element is `value`."""
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise OperationError(
                f"fill only supports 0-dimension value tensor but got tensor with {value._data.ndim} dimensions."
            )
        return ops.broadcast_to(converted(value, self._data.dtype), shape=self._data.shape)
    if not self.requires_grad:
        return Tensor._wrapped(np.full(self._data.shape, value, self._data.dtype))
    return ops.index_update(self, value, ...)


def zero_(self: Tensor) -> Any:
    """Set every element to 0."""
    return self._replace(lambda old: fill(old, 0), "zero_")


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Any:
    """Set the elements of the main diagonal."""
    index = np.arange(min(self._data.shape))
    self[(index,) * self._data.ndim] = fill_value
    return self


def set_(self: Tensor, source: Tensor) -> Any:
    """Show the memory of another tensor."""
    self._data = source._data
    return self


def resize_(self: Tensor, *size: Any) -> Any:
    """Change the shape; new elements are 0."""
    wanted = registry.sizes(size)
    if is_symbolic(self._data):
        raise UnsupportedError(f"resize_ is not traced\n  at {here()}\nUse view, or make a new tensor.")
    self._data = np.resize(self._data, wanted) if self._data.size else np.zeros(wanted, self._data.dtype)
    return self


def _shape_change(f: Any, name: str) -> Any:
    def change(self: Tensor, *args: Any) -> Any:
        new = f(self, *args)
        self._data, self._node = new._data, new._node
        return self

    change.__doc__ = f"`{name}` in place."
    return change


def storage_offset(self: Tensor) -> Any:
    """How many elements of the memory lie before the first one shown."""
    memory = owner_of(self._data)
    before = self._data.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return before // self._data.itemsize if self._data.size else 0


def stride(self: Tensor, dim: int | None = None) -> Any:
    """How many elements lie between neighbours along each dimension."""
    found = tuple(s // self._data.itemsize for s in self._data.strides)
    return found if dim is None else found[dim]


def apply_(self: Tensor, callable: Any) -> Any:
    """Replace every element by what a Python function makes of it."""
    self._data[...] = np.vectorize(callable, otypes=[self._data.dtype])(self._data)
    return self


def share_memory_(self: Tensor) -> Any:
    """The tensor itself."""
    return self


def _operand(other: Any) -> Any:
    """What stands beside an operator: an array, such as a residual in a rule, counts as a tensor."""
    return Tensor._wrapped(other) if isinstance(other, np.ndarray) else other


def _matmul(self: Tensor, other: Any) -> Any:
    if type(other) is Tensor or isinstance(other, Tensor):
        a, b = self._data, other._data
        if a.ndim == 2 and b.ndim == 2 and a.dtype == b.dtype and a.shape[1] == b.shape[0]:  # the usual case
            out = Tensor._apply(ops.matmul, (self, other), {})
            return out if out._node is None else named(out, "MmBackward0")
    return matmul(self, _operand(other))


def _power(self: Tensor, other: Any) -> Any:
    if type(other) is int or type(other) is float:
        return Tensor._apply(ops.pow, (self, other), {})
    return pow_(self, _operand(other))


METHODS: dict[str, Any] = {
    "to": to, "type": type_, "tolist": tolist, "copy_": copy_, "fill_": fill_, "fill": fill, "zero_": zero_,
    "fill_diagonal_": fill_diagonal_, "set_": set_, "resize_": resize_, "stride": stride, "apply_": apply_,
    "where": where_method, "share_memory_": share_memory_,
    "dim": lambda self: self._data.ndim, "ndimension": lambda self: self._data.ndim,
    "numel": lambda self: self._data.size, "nelement": lambda self: self._data.size,
    "element_size": lambda self: self._data.itemsize, "type_as": lambda self, other: converted(self, other._data.dtype),
    "cpu": lambda self, memory_format=None: self, "cuda": lambda self, *_, **__: check_device("cuda"),
    "contiguous": lambda self, memory_format=None: self if self._data.flags.c_contiguous else self.clone(),
    "is_contiguous": lambda self, memory_format=None: self._data.flags.c_contiguous,
    "storage_offset": storage_offset,
    "data_ptr": lambda self: self._data.__array_interface__["data"][0],
    "get_device": lambda self: -1, "is_floating_point": lambda self: self._data.dtype.kind == "f",
    "is_complex": lambda self: self._data.dtype.kind == "c", "is_signed": lambda self: self._data.dtype.kind in "ifc",
    "is_inference": lambda self: False, "is_conj": lambda self: False, "is_neg": lambda self: False,
    "is_nonzero": lambda self: bool(self), "is_set_to": lambda self, other: self._data is other._data,
    "is_same_size": lambda self, other: self._data.shape == other._data.shape,
    "is_pinned": lambda self, device=None: False, "pin_memory": lambda self, device=None: self,
    "is_shared": lambda self: False,
    "squeeze_": _shape_change(squeeze, "squeeze"), "unsqueeze_": _shape_change(unsqueeze, "unsqueeze"),
    "t_": _shape_change(lambda x: reversed_dims(x, "TBackward0"), "t"),
    "__matmul__": _matmul,
    "__rmatmul__": lambda self, other: matmul(_operand(other), self),
    "__rsub__": lambda self, other: named(Tensor._apply(ops.subtract, (other, self), {}), "RsubBackward1"),
    "__pow__": _power,
    "__rpow__": lambda self, other: named(Tensor._apply(ops.pow, (other, self), {}), "PowBackward1"),
    "__rdiv__": lambda self, other: self.reciprocal() * other, "__pos__": lambda self: positive(self),
}  # fmt: skip

for _name, _kind in CASTS.items():
    METHODS[_name] = _caster(_kind)
for _name, _method in (registry.METHODS | METHODS).items():
    setattr(Tensor, _name, _method)

PROPERTIES = {
    "T": lambda self: reversed_dims(self, "PermuteBackward0"),
    "mT": lambda self: self.transpose(-2, -1),
    "H": lambda self: adjoint(self),
    "mH": lambda self: self.transpose(-2, -1),
    "ndim": lambda self: self._data.ndim,
}
for _name, _getter in PROPERTIES.items():
    setattr(Tensor, _name, property(_getter))
