"""The types that signatures speak of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

Shape: TypeAlias = tuple[int, ...]
DType: TypeAlias = Any
"""A NumPy data type, or that of another array library."""

Axis: TypeAlias = int | tuple[int, ...] | None

Rule: TypeAlias = Callable[..., Any]
"""A derivative rule: from what its parameters name to the cotangent of one input."""

Tree: TypeAlias = Any
"""Arrays nested in dicts, lists, tuples, named tuples and dataclasses."""


@runtime_checkable
class Array(Protocol):
    """What the core asks of an array of any library: an Array API array.

    >>> import numpy as np
    >>> isinstance(np.ones(2), Array), isinstance([1.0, 2.0], Array)
    (True, False)
    """

    @property
    def shape(self) -> Shape: ...

    @property
    def dtype(self) -> DType: ...

    def __getitem__(self, key: Any, /) -> Any: ...
