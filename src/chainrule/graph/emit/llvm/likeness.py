"""When two graphs become the same native code: what it depends on, in a form that can be looked up."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import EllipsisType
from typing import Any

import numpy as np

from chainrule.graph.ir import Atom, Graph, Literal, Variable

_PLAIN = (bool, int, float, complex, str, bytes, type(None), EllipsisType)


class _UnknownError(Exception):
    """A parameter of which nobody knows when it equals another one."""


def likeness(graph: Graph) -> Hashable | None:
    """What two graphs have in common if they differ in the values of their arrays and in names only.

    None for a graph with parameters that cannot be compared.

    >>> import chainrule as cr
    >>> first, second = (cr.trace(lambda x: x * factor, np.ones(3)) for factor in (2.0, 3.0))
    >>> third = cr.trace(lambda other: other * 2.0, np.zeros(3))
    >>> likeness(first) == likeness(third), likeness(first) == likeness(second)
    (True, False)
    """
    numbers: dict[Variable, int] = {}
    for variable in (*graph.inputs, *graph.constants):
        numbers[variable] = len(numbers)
    given = tuple(_kind(v) for v in numbers), len(graph.inputs)
    try:
        equations = []
        for equation in graph.equations:
            inputs = tuple(_atom(a, numbers) for a in equation.inputs)
            parameters = tuple((name, _key(value, numbers)) for name, value in equation.parameters.items())
            for variable in equation.outputs:
                numbers[variable] = len(numbers)
            equations.append((equation.primitive, inputs, parameters, tuple(map(_kind, equation.outputs))))
        return given, tuple(equations), tuple(_atom(a, numbers) for a in graph.outputs)
    except _UnknownError:
        return None


def _kind(variable: Variable) -> Hashable:
    return tuple(variable.shape), np.dtype(variable.dtype).str


def _atom(atom: Atom, numbers: Mapping[Variable, int]) -> Hashable:
    return atom.key if isinstance(atom, Literal) else numbers[atom]


def _key(value: Any, numbers: Mapping[Variable, int]) -> Hashable:
    """A parameter, with the number of a Variable in its place; floats by their text, since nan is not nan."""
    if isinstance(value, Variable):
        return Variable, numbers[value]
    if isinstance(value, (tuple, list)):
        return type(value), *(_key(part, numbers) for part in value)
    if isinstance(value, slice):
        return slice, _key((value.start, value.stop, value.step), numbers)
    if isinstance(value, (np.ndarray, np.generic)):
        return type(value), value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, np.dtype):
        return np.dtype, value.str
    if isinstance(value, _PLAIN):
        return type(value), repr(value)
    if isinstance(value, type):
        return value
    raise _UnknownError
