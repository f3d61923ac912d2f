"""GradientTape: what to record, and the reverse sweep over what was recorded."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from functools import partial
from typing import Any, Self

import numpy as np

from chainrule import ops
from chainrule.backward import Node, Watch
from chainrule.errors import IndependentWarning
from chainrule.inplace import next_order
from chainrule.lines import place, position
from chainrule.tensor import Tensor as EngineTensor
from chainrule.tensor import sweep_from
from chainrule.tensorflow.errors import ConversionError, InvalidArgumentError, StateError
from chainrule.tensorflow.tensors import Tensor, Variable, convert, origin, tapes
from chainrule.trees import leaves, mapped


class UnconnectedGradients(Enum):
    """What `gradient` gives where the target does not depend on a source."""

    NONE = "none"
    ZERO = "zero"


class GradientTape:
    """Records the operations of its body, to compute gradients from them afterwards.

    `persistent` allows more than one call of `gradient`. Trainable variables are watched when they are used;
    a constant is watched if `watch` is told to.

    >>> x = Variable(3.0)
    >>> with GradientTape() as tape:
    ...     y = x**2 + 4 * x
    >>> tape.gradient(y, x)
    <tf.Tensor: shape=(), dtype=float32, numpy=10.0>
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent, self._watches_variables = persistent, watch_accessed_variables
        self.reset()

    # recording -----------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget what was recorded."""
        self._spans: list[list[float]] = []
        self._watched: dict[Node, Any] = {}
        self._used = False
        if self._is_recording():
            self._begin()

    def __enter__(self) -> Self:
        if self._is_recording():
            raise StateError("Tape is still recording: this tape has been entered already")
        tapes.set((*tapes.get(), self))
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_recording():
            self._stop()

    def _is_recording(self) -> bool:
        return any(tape is self for tape in tapes.get())

    def _begin(self) -> None:
        self._spans.append([next_order(), float("inf")])

    def _stop(self) -> None:
        tapes.set(tuple(tape for tape in tapes.get() if tape is not self))
        self._spans[-1][1] = next_order()

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Do not record the operations of the body."""
        if not self._is_recording():
            raise StateError("Tape is not recording, so there is nothing to stop")
        position = tapes.get()
        self._stop()
        try:
            yield
        finally:
            tapes.set(position)
            self._begin()

    def note_read(self, variable: Variable) -> None:
        """A variable was used: watch it."""
        if self._watches_variables and variable.trainable and variable._node is not None:
            self._watched[variable._node] = variable

    def watch(self, tensor: Any) -> None:
        """Record also what is computed from these tensors, or from a structure of tensors."""
        for _, t in leaves(tensor):
            _checked_source(t)
            if not t.dtype.is_floating:
                _warn(f"the dtype of a watched tensor must be floating (e.g. tf.float32), got {t.dtype!r}")
                continue
            if t._node is None:
                t._node = Node.leaf(t._data.shape, t._data.dtype)
            self._watched[t._node] = t

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables that the tape watches."""
        return tuple(v for v in self._watched.values() if isinstance(v, Variable))

    def _recorded(self, node: Node) -> bool:
        return any(start < node.order < stop for start, stop in self._spans)

    # gradients -----------------------------------------------------------------------------------------

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
    ) -> Any:
        """The derivatives of the sum of `target` by each of the `sources`, in their structure.

        `output_gradients` weights the elements of the target. Where the target does not depend on a source,
        the answer is None, and a warning says why; with `unconnected_gradients="zero"` it is zero.
        """
        nothing = UnconnectedGradients(unconnected_gradients)
        self._use("gradient")
        inputs = [source for _, source in leaves(sources)]
        targets = [_checked_target(t) for _, t in leaves(target)]
        weights: list[Any] = [None] * len(targets)
        if output_gradients is not None:
            weights = []
            mapped(lambda _, g: weights.append(g), target, output_gradients)
        found = self._swept(targets, weights, [_checked_source(s) for s in inputs])
        filled = [self._filled(targets, s, found.get(id(s)), nothing) for s in inputs]
        parts = iter(filled)
        return mapped(lambda _: next(parts), sources)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
        parallel_iterations: Any = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The derivatives of each element of `target`, of shape (*target shape, *source shape)."""
        nothing = UnconnectedGradients(unconnected_gradients)
        self._use("jacobian")
        target = _checked_target(target)
        inputs = [_checked_source(source) for _, source in leaves(sources)]
        units = np.eye(target.size, dtype=target._data.dtype).reshape(target.size, *target._data.shape)
        rows = [self._swept([target], [Tensor._wrapped(unit)], inputs) for unit in units]
        filled = iter([self._stacked(target, s, rows, nothing) for s in inputs])
        return mapped(lambda _: next(filled), sources)

    def batch_jacobian(
        self, target: Any, source: Any,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
        parallel_iterations: Any = None, experimental_use_pfor: bool = True,
    ) -> Any:  # fmt: skip
        """The derivatives of each row of `target` by the same row of `source`."""
        if target.shape[:1] != source.shape[:1]:
            raise InvalidArgumentError(
                f"batch_jacobian needs rows in pairs, not shapes {target.shape}, {source.shape}"
            )
        full = self.jacobian(target, source, unconnected_gradients)
        if full is None:
            return None
        rows = np.arange(target.shape[0])
        between = (slice(None),) * (target.ndim - 1)
        return ops.stack([full[(int(i), *between, int(i))] for i in rows])

    def _use(self, name: str) -> None:
        if self._used and not self._persistent:
            raise StateError(
                f"A non-persistent GradientTape can only be used to compute one set of gradients (or "
                f"jacobians): "
                f"{name} was called for the second time. Write tf.GradientTape(persistent=True)"
            )
        self._used = True
        if self._is_recording() and not self._persistent:
            self._stop()

    def _swept(self, targets: list[Tensor], weights: list[Any], sources: list[Tensor]) -> dict[int, Any]:
        """The cotangents by the identity of the source."""
        records = bool(tapes.get())
        nodes = {s._node: s for s in sources if s._node is not None and self._watches(s)}
        ends, found = _Ends(self, nodes), dict[int, Any]()
        for target, g in zip(targets, weights, strict=True):
            if target._node is None or not (target._node in nodes or self._recorded(target._node)):
                continue
            # Rules run on the engine's own Tensors, which mix types as NumPy does.
            start = EngineTensor._wrapped(target._data, target._node)
            seed = np.ones_like(target._data) if g is None else _seed(g, target)
            with _passing_by(nodes) as seen:
                swept = sweep_from(start, target._node, seed, ends, None, records, True)
            for node, value in (swept | seen).items():
                if node in nodes:
                    key = id(nodes[node])
                    found[key] = found[key] + value if key in found else value
        return {key: _as_tensor(value) for key, value in found.items()}

    def _watches(self, source: Tensor) -> bool:
        return source._node in self._watched or (source._node is not None and self._recorded(source._node))

    def _filled(self, targets: list[Tensor], source: Tensor, g: Any, nothing: UnconnectedGradients) -> Any:
        if g is not None:
            return g
        if nothing is UnconnectedGradients.ZERO:
            return Tensor._wrapped(np.zeros_like(source._data))
        _warn(f"the gradient by {_named(source)} is None: {self._reason(targets, source)}")
        return None

    def _stacked(
        self, target: Tensor, source: Tensor, rows: list[dict[int, Any]], nothing: UnconnectedGradients
    ) -> Any:
        if not any(id(source) in row for row in rows):
            empty = None if rows else Tensor._wrapped(np.zeros_like(source._data))
            filled = self._filled([target], source, empty, nothing)
            return (
                filled if filled is None else ops.broadcast_to(filled, shape=(*target.shape, *source.shape))
            )
        zero = Tensor._wrapped(np.zeros_like(source._data))
        stacked = ops.stack([row.get(id(source), zero) for row in rows])
        return ops.reshape(stacked, shape=(*target.shape, *source.shape))

    # why it is None ------------------------------------------------------------------------------------

    def _reason(self, targets: list[Tensor], source: Tensor) -> str:
        if not source.dtype.is_floating:
            return (
                f"its type is {source.dtype.name}, and integers have no derivatives; make it 3.0 instead of 3"
            )
        if isinstance(source, Variable):
            unwatched = self._reason_of_variable(source)
            if unwatched:
                return unwatched
        elif not self._watches(source):
            return self._reason_of_tensor(source)
        nodes = [target._node for target in targets]
        if all(node is None or not self._recorded(node) for node in nodes):
            return (
                "the target was computed outside of the tape, or by nothing that the tape watches; move its "
                "computation into the with block"
            )
        return (
            "the target does not depend on it in what the tape recorded; note that .numpy(), NumPy's "
            "functions, integers and functions such as tf.argmax and tf.round break the path"
        )

    def _reason_of_variable(self, variable: Variable) -> str | None:
        if variable._node in self._watched:
            return None
        if not variable.trainable:
            return "the variable is not trainable; call tape.watch(variable) first"
        if not self._watches_variables:
            return "the tape does not watch variables by itself; call tape.watch(variable) first"
        return "the variable was not used while the tape was recording"

    def _reason_of_tensor(self, source: Tensor) -> str:
        came_from = origin(source)
        if came_from is not None:
            return (
                f"it is no variable any more, but a tensor: {came_from}. Change a variable with assign, "
                f"assign_sub or assign_add, so that it stays a variable"
            )
        if source._node is not None and source._node.plan is not None:
            return (
                f"it was computed before the tape began, at {source._node.line}; call tape.watch on it first"
            )
        return (
            "it is a constant, which the tape does not watch; call tape.watch on it first, or use tf.Variable"
        )


@contextmanager
def _passing_by(nodes: Mapping[Node, Any]) -> Iterator[dict[Node, Any]]:
    """Note the cotangents of the computed ones among the sources: the sweep goes on behind them."""
    seen: dict[Node, Any] = {}
    before = {node: node.watch for node in nodes if node.plan is not None}
    for node in before:
        node.watch = Watch(retains=False)
        node.watch.hooks = (partial(seen.__setitem__, node),)
    try:
        yield seen
    finally:
        for node, watch in before.items():
            node.watch = watch


class _Ends(Collection[Node]):
    """Where a sweep ends: at leaves that are sources, and at whatever was not computed under the tape."""

    def __init__(self, tape: GradientTape, sources: Mapping[Node, Any]) -> None:
        self.tape, self.sources = tape, sources

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, Node):
            return False
        return node in self.sources if node.plan is None else not self.tape._recorded(node)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)


def _as_tensor(value: Any) -> Tensor:
    found = (
        Tensor._wrapped(value._data, value._node)
        if isinstance(value, EngineTensor) and not value.is_traced
        else Tensor._wrapped(value)
    )
    return found


def _seed(g: Any, target: Tensor) -> Any:
    weight = convert(g, target.dtype)
    if weight.shape != target.shape:
        raise InvalidArgumentError(
            f"output_gradients has shape {weight.shape}, but the target {target.shape}"
        )
    return EngineTensor._wrapped(weight._data, weight._node)


def _checked_target(target: Any) -> Tensor:
    if not isinstance(target, Tensor):
        raise ConversionError(f"the target of a gradient must be a tensor, but was given {target!r:.60}")
    return target


def _checked_source(source: Any) -> Tensor:
    if not isinstance(source, Tensor):
        raise ConversionError(
            f"Passed in object {source!r:.60} of type {type(source).__name__!r}, not tf.Tensor or tf.Variable"
        )
    return source


def _named(source: Tensor) -> str:
    if isinstance(source, Variable):
        return f"the variable {source.name!r} of shape {source.shape}"
    return f"a tensor of shape {source.shape}"


def _warn(text: str) -> None:
    file, line, _ = position(place(sys._getframe(1)))
    warnings.warn_explicit(text, IndependentWarning, file, line)
