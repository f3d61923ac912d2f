"""Tensors among the arguments of a NumPy function, however deep they lie in lists, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.errors import GradientLostError, UnsupportedError
from chainrule.inplace import note_change
from chainrule.lines import here
from chainrule.modes import recording
from chainrule.operators import Operators
from chainrule.tensor import Tensor


def name_of(function: Any) -> str:
    """A function as its user writes it.

    >>> name_of(np.linalg.inv), name_of(np.add)
    ('np.linalg.inv', 'np.add')
    """
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}".replace("numpy", "np", 1)


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
    return recording() and any(getattr(t, "requires_grad", True) for t in tensors_in(value))


def plain(value: Any) -> Any:
    """`value` with the arrays in the place of their Tensors."""
    return replaced(value, _array_of)


def _array_of(tensor: Any) -> Any:
    if not isinstance(tensor, Tensor):
        raise UnsupportedError(f"a {type(tensor).__name__} stands for an array, but has no elements yet")
    return tensor.data


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


def write_into_array(name: str, array: Any, values: Any, write: Callable[[], object]) -> Any:
    """Let NumPy write `values` into a plain array, unless that would lose their gradient."""
    if needs_gradient(values):
        raise GradientLostError(
            f"{name} would write a Tensor that needs a gradient into a plain array of shape {np.shape(array)}, "
            f"and its gradient would be lost\n  at {here()}\nUse the result of the function itself (array = "
            f"array + tensor instead of array += tensor), or write into a Tensor, such as one made with "
            f"np.zeros_like(tensor); if no gradient is wanted, pass tensor.detach()."
        )
    write()
    note_change(array, here())
    return array
