"""Which array library an array belongs to, and that library's functions under one set of names.

A derivative rule is Array API code: it calls `xp.cos(x)` and never asks which library `x` is from. For a
plain array, `xp` is a `Library`: the library's own function where there is one, else the forward function
that chainrule defines for it (`xp.erf`). For a Tensor, `xp` is `chainrule.ops`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from chainrule.errors import InputError

NUMPY_TYPES = frozenset({np.ndarray, np.float64, np.float32, np.bool_, np.int64, np.int32, int, float, bool})
"""The types that a NumPy function takes as they are; the engine's fast path asks no further."""

SCALARS = (bool, int, float, complex)

extensions: dict[str, Any] = {}
"""What `chainrule.ops` offers, by name; filled by it. A `Library` answers from here first."""


class Library:
    """The functions of one array library; each is looked up once.

    >>> import numpy as np
    >>> float(Library(np).permute_dims(np.eye(2), (1, 0))[0, 0])
    1.0
    """

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._find(name)
        setattr(self, name, found)
        return found

    def _find(self, name: str) -> Any:
        extension = extensions.get(name)
        if extension is not None:
            return getattr(extension, "forward_in", lambda _: extension)(self)
        return self.own(name)

    def own(self, name: str) -> Any:
        """The library's function of that name, also from its linear algebra."""
        for place in (self.module, getattr(self.module, "linalg", None), getattr(self.module, "fft", None)):
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(f"{self!r} has no function {name!r}")

    def __repr__(self) -> str:
        return f"Library({getattr(self.module, '__name__', self.module)})"


NUMPY = Library(np)

_by_type: dict[type, Any] = {np.ndarray: NUMPY} | dict.fromkeys(
    (np.float64, np.float32, np.bool_, np.int64, np.int32, *SCALARS), NUMPY
)
_by_module: dict[int, Library] = {id(np): NUMPY}


def register(kind: type, namespace: Any) -> None:
    """Let arrays of the class `kind` belong to `namespace`."""
    _by_type[kind] = namespace


def namespace_of(*arrays: Any) -> Any:
    """The namespace of the first argument that is no Python scalar; NumPy's if all are.

    Raises InputError for an object that is no array.

    >>> namespace_of(2.0, np.ones(3))
    Library(numpy)
    """
    for array in arrays:
        kind = type(array)
        if kind not in SCALARS:
            return _by_type.get(kind) or _discover(array)
    return NUMPY


def _discover(array: Any) -> Any:
    kind = type(array)
    if isinstance(array, (np.ndarray, np.generic)):
        library: Any = NUMPY
    elif hasattr(array, "__array_namespace__"):
        library = _library_of(array.__array_namespace__())
    else:
        raise InputError(
            f"expected an array, a Tensor or a number, but was given {_shown(array)} of type "
            f"{kind.__module__}.{kind.__qualname__}; convert it first, for example with np.asarray(...)"
        )
    register(kind, library)
    return library


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _library_of(module: ModuleType) -> Any:
    return _by_module.setdefault(id(module), Library(module))


def is_floating(array: Any) -> bool:
    """Whether the elements of an array of any library are real floating-point numbers, which have gradients.

    >>> is_floating(np.ones(2, np.float32)), is_floating(np.arange(2)), is_floating(np.ones(2, complex))
    (True, False, False)
    """
    kind = getattr(array.dtype, "kind", None)
    return kind == "f" if kind else bool(namespace_of(array).isdtype(array.dtype, "real floating"))


def is_array(value: Any) -> bool:
    """Whether `value` is an array of any library (a Tensor included), and no Python scalar.

    >>> is_array(np.ones(2)), is_array(np.float64(1)), is_array(1.0), is_array("text")
    (True, True, False, False)
    """
    return isinstance(value, (np.ndarray, np.generic)) or (
        hasattr(value, "__array_namespace__") and not isinstance(value, type)
    )
