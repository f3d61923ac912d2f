"""The arrays that an object holds: parameters in attributes, dicts and lists, and where their gradients are kept."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from chainrule.diagnosis.problem import as_array
from chainrule.errors import InputError
from chainrule.graph.surroundings import Held, held_by, names_of
from chainrule.primitives import described

Path: TypeAlias = "tuple[str, ...]"
"""Where an array is: `("layers", "0", "W")` for `net.layers[0].W`."""


class Holding:
    """An object as it was given; every call is made on a copy of it, so that it stays as it is."""

    def __init__(self, thing: Any) -> None:
        try:
            self._thing = copy.deepcopy(thing)
        except Exception as error:
            raise InputError(
                f"{described(thing)} of type {type(thing).__name__} cannot be copied ({error}), and it must stay as it "
                f"is while it is called at other values; leave what cannot be copied out of it"
            ) from error

    def copied(self, values: Mapping[Path, Any] | None = None) -> Any:
        """A copy of the object, with other arrays at some paths."""
        thing = copy.deepcopy(self._thing)
        if values:
            held = found_in(thing)
            for path, value in values.items():
                same = held[path].value
                for other in held.values():
                    if other.value is same:
                        other.put(value)
        return thing

    def arrays(self) -> dict[Path, Any]:
        """The arrays of floating-point numbers in it, each once."""
        return arrays_in(self._thing)


def found_in(thing: Any) -> dict[Path, Held]:
    """Every array and number that an object holds, by its path."""
    found: dict[Path, Held] = {}
    for held in held_by(thing, (), {}):
        if held.container is not None:
            found.setdefault(held.path, held)
    return found


def arrays_in(thing: Any, *, numbers: bool = False) -> dict[Path, Any]:
    """The arrays (and Python's numbers, where wanted) that an object holds, each once, as NumPy's.

    >>> class Layer:
    ...     def __init__(self):
    ...         self.params = {"W": np.ones((2, 2))}
    ...         self.rate = 0.1
    >>> list(arrays_in(Layer()))
    [('params', 'W')]
    """
    found: dict[Path, Any] = {}
    seen: set[int] = set()
    for path, held in found_in(thing).items():
        value = as_array(held.value)
        number = numbers and isinstance(held.value, float)
        if (
            isinstance(held.value, (list, tuple, dict))
            or id(held.value) in seen
            or not (number or (isinstance(value, np.ndarray) and value.dtype.kind == "f"))
        ):
            continue
        seen.add(id(held.value))
        found[path] = value
    return found


def short_names(paths: Any, taken: set[str]) -> dict[Path, str]:
    """What arrays at these paths are called: as short as tells them apart.

    >>> list(short_names([("params", "W1"), ("layers", "0", "b")], set()).values())
    ['W1', 'b']
    """
    return names_of({path: path for path in paths}, taken)


_CONTAINER = re.compile(
    r"_?(d|d_?params?|d_?weights?|g|grads?|gradients?|grad_?params?|derivatives?)_?$", re.IGNORECASE
)


def is_gradient_of(gradient: Path, parameter: Path) -> bool:
    """Whether an array is called as the gradient of another: dW, grad_W, W_grad, grads["W"], W.grad.

    >>> [is_gradient_of(("dW",), ("W",)), is_gradient_of(("grads", "W"), ("params", "W"))]
    [True, True]
    >>> is_gradient_of(("layers", "0", "dW"), ("layers", "1", "W"))
    False
    """
    if len(gradient) > 1 and _CONTAINER.match(gradient[-1]) and not gradient[-1].isdigit():
        holder = gradient[:-1]
        if parameter == holder or (
            parameter[:-1] == holder and parameter[-1] in ("data", "value", "values", "val", "w")
        ):
            return True
    if len(gradient) > 1 and _CONTAINER.match(gradient[-2]):
        near = gradient[:-2] in (parameter[:-1], parameter[:-2])
        if near and (gradient[-1] == parameter[-1] or is_gradient_name(gradient[-1], parameter[-1])):
            return True
    return gradient[:-1] == parameter[:-1] and is_gradient_name(gradient[-1], parameter[-1])


def is_gradient_name(gradient: str, parameter: str) -> bool:
    """Whether a name says that something is the gradient of a parameter.

    >>> [is_gradient_name(g, "W1") for g in ("dW1", "d_W1", "grad_W1", "W1_grad", "dL_dW1", "dW2")]
    [True, True, True, True, True, False]
    """
    name = re.escape(parameter.lstrip("_"))
    before = r"_?(d|grads?_?(of_)?|gradients?_?(of_)?|del_?|delta_?|nabla_?|g_|d[A-Za-z]*_?d)_?"
    after = r"_?(grads?|gradients?|bar|_d)_?"
    return bool(re.fullmatch(rf"{before}{name}|_?{name}{after}", gradient))
