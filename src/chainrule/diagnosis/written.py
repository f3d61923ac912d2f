"""Functions that make an array of zeros and write results into it, as loops over samples, time or places do.

A plain array cannot take up a traced value. So while such a function is differentiated, the `np.zeros` of the user's
module (and its like) makes an array that can; afterwards it is NumPy's again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from types import FunctionType
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.graph.recording import current
from chainrule.graph.surroundings import held_by
from chainrule.graph.symbols import Symbol
from chainrule.lines import is_own
from chainrule.tensor import Tensor
from chainrule.trees import leaves

_MAKERS = ("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like")
_COLLECTORS = ("array", "asarray")


def writable(function: Callable[..., Any], *others: Any) -> Callable[..., Any]:
    """The function, which may write what is computed from Tensors into arrays that it makes; and so may `others`.

    >>> import chainrule as cr
    >>> def doubled(x):
    ...     out = np.zeros(3)
    ...     for i in range(3):
    ...         out[i] = 2 * x[i]
    ...     return out.sum()
    >>> cr.grad(writable(doubled))(np.ones(3))
    array([2., 2., 2.])
    """
    scopes: list[dict[str, Any]] = []

    def followed(*args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(leaf, Tensor) for _, leaf in leaves((args, kwargs))):
            return function(*args, **kwargs)
        scopes[:] = scopes or _scopes(function, others)
        with _substituted(scopes):
            return function(*args, **kwargs)

    return update_wrapper(followed, function)


def _scopes(function: Any, others: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The global variables of every function of the user's that a call may reach."""
    found: dict[int, dict[str, Any]] = {}
    for held in held_by(function, others, {}):
        methods = [f for kind in type(held.value).__mro__ for f in vars(kind).values()]
        for each in (held.value, getattr(held.value, "__func__", None), *methods):
            if isinstance(each, FunctionType) and not is_own(each.__code__.co_filename):
                found[id(each.__globals__)] = each.__globals__
    return list(found.values())


@contextmanager
def _substituted(scopes: list[dict[str, Any]]) -> Iterator[None]:
    """While it lasts, NumPy makes arrays that traced values can be written into."""
    changed = [(scope, n, v) for scope in scopes for n, v in scope.items() if v is np or _is_maker(v)]
    for scope, name, value in changed:
        scope[name] = _NUMPY if value is np else getattr(_NUMPY, value.__name__)
    try:
        yield
    finally:
        for scope, name, value in changed:
            scope[name] = value


def _is_maker(value: Any) -> bool:
    return getattr(value, "__name__", "") in (*_MAKERS, *_COLLECTORS) and value is getattr(np, value.__name__)


class _Numpy:
    """NumPy, except that arrays of floating-point numbers are made as Tensors."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def _making(name: str) -> Callable[..., Any]:
    def make(*args: Any, **kwargs: Any) -> Any:
        made = getattr(np, name)(*args, **kwargs)
        if isinstance(made, Tensor) or made.dtype.kind != "f":
            return made
        return Tensor(made) if current.get() is None else Symbol._wrapped(made)

    return make


def _collecting(name: str) -> Callable[..., Any]:
    def collect(values: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(values, (list, tuple)) and any(isinstance(leaf, Tensor) for _, leaf in leaves(values)):
            return _stacked(values)
        return getattr(np, name)(values, *args, **kwargs)

    return collect


def _stacked(values: Any) -> Any:
    """A Tensor of nested lists of Tensors and numbers."""
    if not isinstance(values, (list, tuple)):
        return values
    return ops.stack([p if isinstance(p, Tensor) else np.asarray(p, float) for p in map(_stacked, values)])


_NUMPY = _Numpy()
for _name in _MAKERS:
    setattr(_NUMPY, _name, _making(_name))
for _name in _COLLECTORS:
    setattr(_NUMPY, _name, _collecting(_name))
