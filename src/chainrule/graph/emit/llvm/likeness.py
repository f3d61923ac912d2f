"""When two graphs become the same native code: the hash of all that it depends on."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Mapping
from functools import lru_cache
from types import EllipsisType
from typing import Any

import numpy as np

from chainrule.graph.emit.expansion import is_ours
from chainrule.graph.ir import Atom, Graph, Literal, Variable
from chainrule.primitives import Primitive

_PLAIN = (bool, int, float, complex, str, bytes, type(None), EllipsisType)
_UNREFERENCED = 2
"""The newest version of marshal's format whose bytes do not depend on which equal objects are one."""


class _UnknownError(Exception):
    """A part of a graph of which nobody knows when it equals another one."""


def likeness(graph: Graph) -> bytes | None:
    """A hash that two graphs have in common if they differ in the values of their arrays and in names only.

    None for a graph with parts that cannot be compared, such as a primitive of the user's own. Numbers that are
    written into the program are part of it, and whether values have names, since simplification keeps those.

    >>> import chainrule as cr
    >>> first, second = (cr.trace(lambda x: x * factor, np.ones(3)) for factor in (2.0, 3.0))
    >>> third = cr.trace(lambda other: other * 2.0, np.zeros(3))
    >>> likeness(first) == likeness(third), likeness(first) == likeness(second)
    (True, False)
    """
    numbers: dict[Variable, int] = {}
    for variable in (*graph.inputs, *graph.constants):
        numbers[variable] = len(numbers)
    try:
        given = tuple(_kind(v, numbers) for v in tuple(numbers)), len(graph.inputs)
        equations = []
        for equation in graph.equations:
            inputs = tuple([_atom(a, numbers) for a in equation.inputs])
            parameters = tuple([(n, _parameter(p, numbers)) for n, p in equation.parameters.items()])
            for variable in equation.outputs:
                numbers[variable] = len(numbers)
            outputs = tuple([_kind(v, numbers) for v in equation.outputs])
            equations.append((_primitive(equation.primitive), inputs, parameters, outputs))
        results = tuple([_atom(a, numbers) for a in graph.outputs])
    except _UnknownError:
        return None
    return hashlib.sha256(marshal.dumps((given, tuple(equations), results), _UNREFERENCED)).digest()


@lru_cache(maxsize=1024)
def _primitive(primitive: Primitive) -> tuple[Any, ...]:
    forward = primitive.forward
    if not is_ours(primitive):
        raise _UnknownError
    made_by = "" if forward is None else f"{forward.__module__}.{getattr(forward, '__qualname__', '')}"
    kind = primitive.elementwise, primitive.broadcasts, primitive.view, primitive.selects, primitive.outputs
    return primitive.text, made_by, *map(bool, kind)


def _kind(variable: Variable, numbers: Mapping[Variable, int]) -> tuple[Any, ...]:
    """Shape and type, and what simplification asks of a Variable."""
    of = variable.of
    role = variable.backward, variable.is_parameter, variable.is_input, bool(variable.hint)
    return (
        _array(variable),
        role,
        of is not None,
        bool(of and of.hint),
        -1 if of is None else numbers.get(of, -2),
    )


def _array(variable: Variable) -> tuple[Any, ...]:
    return tuple(map(int, variable.shape)), np.dtype(variable.dtype).str


def _atom(atom: Atom, numbers: Mapping[Variable, int]) -> Any:
    if isinstance(atom, Literal):
        return type(atom.number).__name__, repr(atom.number), tuple(map(int, atom.shape)), str(atom.dtype)
    return numbers[atom]


def _parameter(value: Any, numbers: Mapping[Variable, int]) -> tuple[Any, ...]:
    """A parameter, with the number of a Variable in its place; floats by their text, since nan is not nan."""
    if isinstance(value, Variable):
        return "variable", numbers[value]
    if type(value) in (tuple, list):
        return type(value).__name__, *[_parameter(part, numbers) for part in value]
    if isinstance(value, slice):
        return "slice", _parameter((value.start, value.stop, value.step), numbers)
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind != "O":
        return type(value).__name__, value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, np.dtype):
        return "dtype", value.str
    if isinstance(value, _PLAIN):
        return type(value).__name__, repr(value)
    if isinstance(value, type):
        return "type", f"{value.__module__}.{value.__qualname__}"
    raise _UnknownError
