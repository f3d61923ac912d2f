"""Tensors among the arguments of a NumPy function, however deep they lie in lists, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from sys import _getframe
from typing import Any

import numpy as np

from chainrule.errors import GradientLostError, UnsupportedError
from chainrule.inplace import note_change
from chainrule.lines import here, place
from chainrule.modes import recording
from chainrule.operators import Operators
from chainrule.tensor import Tensor


def name_of(function: Any) -> str:
    """A function as its user writes it.

    >>> name_of(np.linalg.inv), name_of(np.add), name_of(np.frompyfunc(len, 1, 1))
    ('np.linalg.inv', 'np.add', 'the ufunc len (vectorized)')
    """
    name: str = function.__name__
    if isinstance(function, np.ufunc):
        return f"np.{name}" if getattr(np, name, None) is function else f"the ufunc {name}"
    return f"{function.__module__}.{name}".replace("numpy", "np", 1)


def tensors_in(value: Any) -> Iterator[Any]:
    """The Tensors in nested lists, tuples and dicts."""
    if isinstance(value, Operators):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(tuple(value.values()))


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same lists, tuples and dicts with `change` applied to each Tensor in them."""
    if isinstance(value, Operators):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)([replaced(part, change) for part in value])
    if type(value) is dict:
        return {key: replaced(part, change) for key, part in value.items()}
    return value


def needs_gradient(value: Any) -> bool:
    """Whether a gradient must be able to flow back through one of the Tensors in `value`.

    >>> needs_gradient([1.0, (Tensor(2.0, requires_grad=True),)])
    True
    """
    return recording() and _one_needs(value)


def _one_needs(value: Any) -> bool:
    if isinstance(value, Operators):
        return bool(getattr(value, "requires_grad", True))
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not tuple and kind is not list:
        return False
    return any(_one_needs(part) for part in value)


def left_to_numpy(value: Any) -> bool:
    """Whether NumPy itself can do it: all Tensors hold arrays of NumPy, and none needs a gradient.

    >>> left_to_numpy([Tensor(2.0), 1.0])
    True
    """
    arrays = (np.ndarray, np.generic)
    return not needs_gradient(value) and all(isinstance(t._data, arrays) for t in tensors_in(value))


def plain(value: Any) -> Any:
    """`value` with the arrays in the place of their Tensors."""
    return replaced(value, _array_of)


def _array_of(tensor: Any) -> Any:
    if not isinstance(tensor, Tensor):
        raise UnsupportedError(f"a {type(tensor).__name__} stands for an array, but has no elements yet")
    # A Tensor without axes may hold a scalar; some functions of NumPy want an array.
    return np.asarray(tensor._data) if isinstance(tensor._data, np.generic) else tensor._data


def on_arrays(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """NumPy's own function on the plain arrays; the arrays of its result become Tensors."""
    kind = next((type(t) for t in tensors_in((args, kwargs))), Tensor)
    return as_tensors(function(*plain(args), **plain(kwargs)), kind)


def as_tensors(result: Any, kind: Any = Tensor) -> Any:
    """A result with Tensors of the class `kind` in the place of its arrays.

    >>> as_tensors((np.ones(2), "text"))
    (Tensor([1., 1.]), 'text')
    """
    if isinstance(result, (np.ndarray, np.generic)) and result.dtype.kind in "biufc":
        return kind._wrapped(result)
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(as_tensors(part, kind) for part in result))
    if type(result) in (list, tuple):
        return type(result)([as_tensors(part, kind) for part in result])
    return result


def check_no_gradient(name: str, array: Any, values: Any) -> None:
    """Raise GradientLostError if one of the `values` that are written into a plain array needs a gradient."""
    if needs_gradient(values):
        lost = GradientLostError(
            f"{name} would write a Tensor that needs a gradient into a plain array of shape "
            f"{np.shape(array)}, and its gradient would be lost\n  at {here()}\n"
            f"Use the result of the function itself (array = array + tensor instead of array += tensor), "
            f"or write into a Tensor, such as one made with np.zeros_like(tensor); if no gradient is "
            f"wanted, pass tensor.detach()."
        )
        lost.array = array
        raise lost


def written(array: Any) -> None:
    """Note that NumPy changed an array, which may be the memory of a Tensor."""
    note_change(array, place(_getframe(1)))
