"""From a traced graph to machine code: found in memory or on disk under what the graph is, or else written anew.

What is found needs no simplification, no lowering and no compilation, which together take ten times as long as the
trace. It is data only (numbers, text, machine code), and what does not match its hash is made anew.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Hashable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.emit.expansion import expanded
from chainrule.graph.emit.keeping import cache_folder, keep_as, kept
from chainrule.graph.emit.llvm.likeness import likeness
from chainrule.graph.emit.llvm.native import (
    Library,
    code_key,
    graph_key,
    object_code,
)
from chainrule.graph.emit.llvm.program import Called, Lowered
from chainrule.graph.emit.llvm.repeating import Layout, write_loop
from chainrule.graph.emit.llvm.writers import lowered
from chainrule.graph.ir import Graph, Variable
from chainrule.graph.simplification import simplified
from chainrule.typing import Shape

MOST = 64
"""So much code is remembered in memory, so that a function that is made anew, as in each fit, is not compiled anew."""


class Made(NamedTuple):
    """What is made of a graph: it depends on no value of its arrays.

    `results` are the shapes and types of the outputs. `constants` are the arrays that the code reads beside the
    inputs: positions among those that the graph has, and arrays that were made of numbers in it.
    """

    steps: tuple[str | Called, ...]
    workspace: int
    slots: int
    results: tuple[tuple[Shape, Any], ...]
    constants: tuple[int | np.ndarray, ...]
    library: Library | None
    addresses: dict[str, int]


_KNOWN: dict[Hashable, Made] = {}
"""By likeness of the graph and the options; the code that was used last is at the end."""


class Source:
    """A traced graph, and how code is written from it: with a loop around it for rows of so many bytes, if given."""

    def __init__(self, traced: Graph, assume_finite: bool, row_bytes: tuple[int, ...] | None) -> None:
        self.traced, self.assume_finite, self.row_bytes = traced, assume_finite, row_bytes
        self._has_values = True

    @cached_property
    def graph(self) -> Graph:
        """The simple equations that are written."""
        if not self._has_values:
            _recall(self.traced)
            self._has_values = True
        return expanded(simplified(self.traced))

    def forget(self) -> None:
        """Let go of the arrays that the trace has computed, of which there are more than the code has at a time."""
        _forget(self.traced)
        if "graph" in self.__dict__:
            _forget(self.graph)
        self._has_values = False

    @cached_property
    def lowered(self) -> Lowered:
        """The program in loops."""
        return self._written[0]

    @cached_property
    def text(self) -> str:
        """The LLVM code."""
        return self._written[1]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The functions of the code."""
        return self._written[2]

    @cached_property
    def _written(self) -> tuple[Lowered, str, tuple[str, ...]]:
        written = lowered(self.graph, "kernel", self.assume_finite)
        names = tuple(s for s in written.steps if isinstance(s, str))
        if self.row_bytes is not None and len(written.steps) == len(names) == 1:
            names += (write_loop(written.module, names[0], self._layout(self.row_bytes, written.slots)),)
        return written._replace(module=None), str(written.module), names

    def _layout(self, row_bytes: tuple[int, ...], slots: int) -> Layout:
        states = len(self.results) - 1
        rows = self.graph.inputs[states].shape[0] if row_bytes else 0
        loss = len(self.graph.inputs) + len(self.graph.constants) + states
        return Layout(states, rows, row_bytes, slots, loss, self.results[-1][1].itemsize)

    @property
    def results(self) -> tuple[tuple[Shape, Any], ...]:
        """The shapes and types of the outputs."""
        return tuple((tuple(a.shape), np.asarray(a.value).dtype) for a in self.graph.outputs)

    @property
    def constants(self) -> tuple[int | np.ndarray, ...]:
        """The arrays that the code reads beside the inputs, as in `Made`."""
        places = {constant: i for i, constant in enumerate(self.traced.constants)}
        return tuple(places.get(c, c.value) for c in self.graph.constants)


def _forget(graph: Graph) -> None:
    """Leave shapes and types of what the equations have computed."""
    for equation in graph.equations:
        for variable in equation.outputs:
            variable.value = np.broadcast_to(np.zeros((), variable.dtype), variable.shape)


def _recall(graph: Graph) -> None:
    """Compute it again, from the inputs and constants."""
    values: dict[Variable, Any] = {v: v.value for v in (*graph.inputs, *graph.constants)}
    with np.errstate(all="ignore"):
        for equation in graph.equations:
            values.update(zip(equation.outputs, map(np.asarray, equation.evaluate(values)), strict=True))
    for variable, value in values.items():
        variable.value = value


def made_of(source: Source, keep: bool) -> Made:
    """The code of a graph; that of an earlier one, of this process or another, if it is the same program."""
    like = likeness(source.traced)
    options = source.assume_finite, source.row_bytes
    key = None if like is None else (like, options, keep, cache_folder())
    made = _KNOWN.pop(key, None)
    if made is None:
        name = graph_key(repr(options).encode(), like) if like is not None and keep else None
        made = (_read(name) if name else None) or _written(source, keep, name)
    if key is not None and all(isinstance(step, str) for step in made.steps):
        _KNOWN[key] = made
        for oldest in list(_KNOWN)[:-MOST]:
            _KNOWN.pop(oldest, None)
    return made


def _written(source: Source, keep: bool, name: str | None) -> Made:
    text, program = source.text, source.lowered
    code = object_code(text, keep) if source.names else b""
    made = Made(program.steps, program.workspace, program.slots, source.results, source.constants, None, {})
    made = _linked(made, code, source.names)
    if name is not None and all(isinstance(step, str) for step in program.steps):
        keep_as(name, _entry(made, code_key(text)))
    return made


def _linked(made: Made, code: bytes, names: tuple[str, ...]) -> Made:
    """What was made, with its machine code in memory."""
    library = Library(code, names) if names else None
    return made._replace(library=library, addresses={n: library.address(n) for n in names} if library else {})


# on disk -----------------------------------------------------------------------------------------------------------


def _entry(made: Made, code: str) -> bytes:
    """What is kept of a graph: all but the machine code, and the name of that."""
    parts = {
        "steps": made.steps,
        "workspace": made.workspace,
        "slots": made.slots,
        "results": [(shape, dtype.str) for shape, dtype in made.results],
        "constants": [c if isinstance(c, int) else _packed(c) for c in made.constants],
        "names": list(made.addresses),
        "code": code,
    }
    return json.dumps(parts).encode()


def _read(name: str) -> Made | None:
    """What is kept under a name; None where nothing is, or not all of it."""
    entry = kept(name)
    if entry is None:
        return None
    parts = json.loads(entry)
    code = kept(parts["code"]) if parts["names"] else b""
    if code is None:
        return None
    results = tuple((tuple(shape), np.dtype(dtype)) for shape, dtype in parts["results"])
    constants = tuple(c if isinstance(c, int) else _unpacked(c) for c in parts["constants"])
    made = Made(tuple(parts["steps"]), parts["workspace"], parts["slots"], results, constants, None, {})
    return _linked(made, code, tuple(parts["names"]))


def _packed(array: np.ndarray) -> tuple[Any, ...]:
    return array.shape, array.dtype.str, b64encode(array.tobytes()).decode()


def _unpacked(packed: list[Any]) -> np.ndarray:
    shape, dtype, content = packed
    return np.frombuffer(bytearray(b64decode(content)), dtype).reshape(shape)
