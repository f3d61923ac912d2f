"""Many training steps in one native call: rows are gathered, the step runs, and its loss is noted.

A step is a function `step(state, batch) -> (state, loss)`: `state` is a tree of all arrays that change (parameters, the
memory of the optimizer, counters), `batch` a tree of arrays with one row for each row of data that is drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.compiled.arguments import prepared
from chainrule.compiled.function import WITHOUT_LLVM, say_once, traced
from chainrule.errors import InputError, ShapeError, UnsupportedError
from chainrule.graph.ir import Graph
from chainrule.graph.simplification import simplified
from chainrule.graph.tracing import Traced, is_traced, name_of
from chainrule.operators import data_of
from chainrule.trees import leaves, mapped
from chainrule.typing import Tree

CHUNK = 0.1
"""Seconds after which a native call hands back, so that Ctrl-C and progress stay alive."""


class NativeLoop:
    """A training step that is run many times, natively; without llvmlite, as NumPy code.

    `step(state, batch)` returns the next state, of the same structure, shapes and types, and a scalar. `data` is a
    tree of arrays with the same number of rows, which a batch has some of. `kernels` is the memory of loops whose
    steps compute the same: the code by the size of batches, to which this loop adds what it compiles.

    >>> def step(w, batch):
    ...     x, y = batch
    ...     error = x @ w - y
    ...     return w - 0.1 * x.T @ error / len(y), (error**2).mean()
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> loop = NativeLoop(step, np.zeros(2), (x, x @ np.array([2.0, -1.0])))
    >>> losses = loop.run(np.tile(np.arange(3), 1000), batch_size=3)
    >>> losses.shape, loop.state.round(3)
    ((1000,), array([ 2., -1.]))
    """

    def __init__(
        self,
        step: Callable[..., Any],
        state: Tree,
        data: Tree,
        *,
        cache: bool = True,
        kernels: dict[int, Any] | None = None,
    ) -> None:
        self.step, self._cache = step, cache
        self._kernels = {} if kernels is None else kernels
        self._template = prepared(state)
        self._data = prepared(data)
        self._rows = _common_rows(self._data)
        arrays = [np.array(leaf, order="C") for _, leaf in leaves(self._template) if is_traced(leaf)]
        self._states = arrays, [np.empty_like(a) for a in arrays]
        self._live = self._tree(self._states[0]), self._tree(self._states[1])
        self._at_once = 1
        self._done = np.zeros(1, np.int64)
        self._steps: dict[int, _Step] = {}

    @property
    def state(self) -> Tree:
        """The state after the last finished step: copies."""
        return mapped(lambda leaf: leaf.copy() if is_traced(leaf) else leaf, self.live())

    @state.setter
    def state(self, state: Tree) -> None:
        """Go on from another state, of the same structure, shapes and types."""
        now = iter(self._states[int(self._done[0]) % 2])

        def copied(before: Any, leaf: Any) -> Any:
            if not is_traced(before):
                return leaf
            target, new = next(now), np.asarray(data_of(leaf))
            if new.shape != target.shape or not np.can_cast(new.dtype, target.dtype, "same_kind"):
                raise ShapeError(
                    f"the loop was made for a state with {target.dtype} {target.shape}, not {new.dtype} {new.shape}"
                )
            target[...] = new
            return before

        mapped(copied, self._template, prepared(state))

    def live(self) -> Tree:
        """The state without copies: its arrays are overwritten by the next run."""
        return self._live[int(self._done[0]) % 2]

    def _tree(self, arrays: list[np.ndarray]) -> Tree:
        found = iter(arrays)
        return mapped(lambda leaf: next(found) if is_traced(leaf) else leaf, self._template)

    @property
    def steps_done(self) -> int:
        """How many steps have been run."""
        return int(self._done[0])

    def run(self, order: np.ndarray, batch_size: int) -> np.ndarray:
        """Run `len(order) // batch_size` steps, on the rows that `order` names; returns the loss of each.

        Interrupted with Ctrl-C, the state is that after the last finished step.
        """
        order = self._checked(order, batch_size)
        return np.concatenate([np.empty(0, self._step(batch_size).loss), *self.chunks(order, batch_size)])

    def chunks(self, order: np.ndarray, batch_size: int, seconds: float = CHUNK) -> Iterator[np.ndarray]:
        """As `run`, but hands out the losses of about every tenth of a second."""
        order = self._checked(order, batch_size)
        steps = self._step(batch_size)
        first, total = 0, len(order) // batch_size
        while first < total:
            count = min(self._at_once, total - first)
            start = time.perf_counter()
            losses = steps.run(self._states, self._done, order[first * batch_size :], count)
            spent = max(time.perf_counter() - start, 1e-7)
            if count == self._at_once or spent > seconds:
                self._at_once = max(1, min(int(count * seconds / spent), 8 * count))
            first += count
            yield losses

    def once(self, order: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        """As `chunks`, for all rows that `order` names: those that fill no batch form a smaller one at the end.

        With the losses comes the number of rows of each.
        """
        whole = len(order) - len(order) % batch_size
        for part, size in ((order[:whole], batch_size), (order[whole:], len(order) - whole)):
            if len(part):
                yield from ((losses, size) for losses in self.chunks(part, size))

    def _checked(self, order: np.ndarray, batch_size: int) -> np.ndarray:
        order = np.ascontiguousarray(order, np.int64).reshape(-1)
        if not 0 < batch_size <= max(self._rows, 1):
            raise InputError(f"batch_size={batch_size}; the data has {self._rows} rows")
        if order.size and (order.min() < 0 or order.max() >= self._rows):
            raise InputError(
                f"the order names rows from {order.min()} to {order.max()}; the data has {self._rows} rows"
            )
        return order

    def _step(self, batch_size: int) -> _Step:
        if batch_size not in self._steps:
            self._steps[batch_size] = self._new_step(batch_size)
        return self._steps[batch_size]

    def _new_step(self, rows: int) -> _Step:
        kernel = self._kernels.get(rows)
        batch = mapped(lambda a: a[:rows] if is_traced(a) else a, self._data)
        if kernel is None or not _fits(kernel, (self._template, batch)):
            kernel = self._compiled(batch)
            if kernel.is_native:  # one that NumPy computes a part of has memory that two loops must not share
                self._kernels[rows] = kernel
        return _Step(kernel, self._data, rows)

    def _compiled(self, batch: Tree) -> Any:
        state = self._template
        graph = _pure(self.step, traced(self.step, (state, batch), {}))
        _check_step(self.step, graph, state)
        try:
            from chainrule.graph.emit.llvm import Kernel
        except ImportError:
            say_once(WITHOUT_LLVM)
            return _InNumpy(simplified(graph))
        row_bytes = [a[:1].nbytes for _, a in leaves(batch) if is_traced(a)]
        kernel = Kernel(graph, keep=self._cache, loop=row_bytes)
        kernel.forget()
        return kernel

    def constants(self, batch_size: int) -> list[np.ndarray]:
        """The arrays that the step found outside of its arguments; they stay as they are."""
        return list(self._step(batch_size).kernel.constants)

    def llvm(self, batch_size: int) -> str:
        """The LLVM code of the loop for batches of a size."""
        return str(self._step(batch_size).kernel.llvm())


class _InNumpy:
    """A step as NumPy code, with what a loop asks a kernel for; used where llvmlite is missing."""

    is_native, workspace = False, 0

    def __init__(self, graph: Graph) -> None:
        from chainrule.graph.emit.numpy_buffers import build

        self.inputs, self.constants = graph.inputs, [np.asarray(v.value) for v in graph.constants]
        self.results = [(v.shape, np.dtype(v.dtype)) for v in graph.outputs]
        self._run = build(graph)

    def run(self, arrays: list[np.ndarray]) -> None:
        """From the arrays of inputs and constants to those of the results, which follow them."""
        found = self._run(arrays[: len(self.inputs)])
        for target, result in zip(arrays[-len(found) :], found, strict=True):
            target[...] = result

    def llvm(self) -> str:
        """Refused: there is none."""
        raise InputError(
            "the loop runs as NumPy code, so there is no LLVM code to show: pip install 'chainrule[jit]'"
        )


class _Step:
    """The step for batches of one size, compiled."""

    def __init__(self, kernel: Any, data: Tree, rows: int) -> None:
        self.kernel, self.rows, self.loss = kernel, rows, kernel.results[-1][1]
        self.sources = [np.ascontiguousarray(a) for _, a in leaves(data) if is_traced(a)]
        self.batches = [np.empty((rows, *a.shape[1:]), a.dtype) for a in self.sources]
        self._slots: Any = None
        self._memory = np.empty(self.kernel.workspace + 64, np.uint8)

    def run(
        self,
        states: tuple[list[np.ndarray], list[np.ndarray]],
        done: np.ndarray,
        order: np.ndarray,
        count: int,
    ) -> np.ndarray:
        """Run some steps; `done` counts them."""
        losses = np.empty(count, self.loss)
        if self.kernel.is_native:
            self._natively(states, done, order, losses)
        else:
            self._one_by_one(states, done, order, losses)
        return losses

    def _natively(
        self,
        states: tuple[list[np.ndarray], list[np.ndarray]],
        done: np.ndarray,
        order: np.ndarray,
        losses: np.ndarray,
    ) -> None:
        if self._slots is None:
            tables = [
                self.kernel.slots(
                    [*states[i], *self.batches, *self.kernel.constants, *states[1 - i], losses], self._memory
                )
                for i in range(2)
            ]
            pointers = np.array([_address(a) for a in self.sources], np.uint64)
            self._slots = np.concatenate(tables), pointers
        tables, pointers = self._slots
        status = self.kernel.loop(
            _address(tables),
            _address(pointers),
            _address(order),
            _address(losses),
            _address(done),
            len(losses),
        )
        if status:
            raise IndexError("an index is out of bounds for the array that it is used on, in a compiled step")

    def _one_by_one(
        self,
        states: tuple[list[np.ndarray], list[np.ndarray]],
        done: np.ndarray,
        order: np.ndarray,
        losses: np.ndarray,
    ) -> None:
        """For a step that NumPy computes, or a part of it."""
        for i in range(len(losses)):
            rows = order[i * self.rows : (i + 1) * self.rows]
            now, following = states[done[0] % 2], states[1 - done[0] % 2]
            batch = [a[rows] for a in self.sources]
            self.kernel.run([*now, *batch, *self.kernel.constants, *following, losses[i : i + 1].reshape(())])
            done += 1


def _pure(step: Callable[..., Any], found: Traced) -> Graph:
    if found.changes or found.added:
        changed = ", ".join([*found.changes, *found.added])
        raise UnsupportedError(
            f"{name_of(step)} changes {changed}, which is not part of the state; a step of a loop returns all that it "
            f"changes"
        )
    return found.graph


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _common_rows(data: Tree) -> int:
    rows = {np.shape(leaf)[:1] for _, leaf in leaves(data) if is_traced(leaf)}
    if len(rows) != 1 or () in rows:
        raise ShapeError(
            f"the arrays of the data have {sorted(r[0] if r else 0 for r in rows)} rows; they must agree"
        )
    ((count,),) = rows
    return int(count)


def _fits(kernel: Any, arguments: Tree) -> bool:
    """Whether a kernel was compiled for arrays of these shapes and types."""
    given = [(np.shape(a), a.dtype) for _, a in leaves(arguments) if is_traced(a)]
    made_for = [(v.shape, np.asarray(v.value).dtype) for v in kernel.inputs]
    return given == made_for


def _check_step(step: Callable[..., Any], graph: Graph, state: Tree) -> None:
    """InputError where a step does not return its next state and a scalar."""
    name, result = name_of(step), graph.result
    if not isinstance(result, tuple) or len(result) != 2 or getattr(result[1], "shape", None) != ():
        raise InputError(f"{name} must return (state, loss), where the loss is a scalar")
    before = {path: leaf for path, leaf in leaves(state) if is_traced(leaf)}
    after = {path: leaf for path, leaf in leaves(result[0]) if hasattr(leaf, "value")}
    if before.keys() != after.keys():
        raise InputError(
            f"{name} was given a state with {', '.join(before)}, but returned {', '.join(after)}"
        )
    for path, leaf in before.items():
        new = np.asarray(after[path].value)
        if (new.shape, new.dtype) != (leaf.shape, leaf.dtype):
            raise ShapeError(
                f"{name} turned {path or 'its state'} from {leaf.dtype} {leaf.shape} into {new.dtype} {new.shape}"
            )
