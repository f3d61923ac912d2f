"""Parameters and buffers: the tensors that belong to a module."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.torch.dtypes import check_device, default_float, to_numpy_dtype
from chainrule.torch.errors import OperationError
from chainrule.torch.tensors import Tensor


class Parameter(Tensor):
    """A leaf that a module finds by itself when it is assigned to one of its attributes.

    >>> from chainrule import torch
    >>> torch.nn.Parameter(torch.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        self._data = np.zeros(0, default_float()) if data is None else data._data
        self._node = self._view = None
        if requires_grad:
            self.requires_grad = True

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        found = memo.get(id(self))
        if found is None:
            found = memo[id(self)] = type(self)(Tensor._wrapped(self._data.copy()), self.requires_grad)
        return found


class Buffer(Tensor):
    """A tensor that belongs to a module, is saved with it, and is not trained."""

    __slots__ = ()

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        self._data = np.zeros(0, default_float()) if data is None else data._data
        self._node = self._view = None
        self.persistent = persistent


def empty(shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> Parameter:
    """A Parameter of that shape, which is about to be initialised."""
    check_device(device)
    if any(n < 0 for n in shape):
        raise OperationError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return Parameter(
        Tensor._wrapped(np.zeros(shape, default_float() if dtype is None else to_numpy_dtype(dtype)))
    )


def uninitialized(values: Any) -> bool:
    """Whether a parameter of a lazy module still waits for its shape."""
    return isinstance(values, UninitializedParameter)


class UninitializedParameter(Parameter):
    """A parameter whose shape a lazy module learns from its first input."""

    __slots__ = ()

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(None, False)
        self._data = self._data.astype(dtype.dtype if dtype is not None else self._data.dtype)
        self.requires_grad = requires_grad

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Take a shape, and become a Parameter."""
        kept = self.requires_grad
        self.requires_grad = False
        self._data = np.zeros(tuple(shape), dtype.dtype if dtype is not None else self._data.dtype)
        self.__class__ = Parameter  # type: ignore[assignment]
        self.__dict__.clear()
        self.requires_grad = kept

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return "<UninitializedParameter>"


__all__ = ["Buffer", "Parameter", "UninitializedParameter"]
