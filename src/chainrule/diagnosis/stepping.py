"""Code that updates parameters, called as a function: from parameters to how far each of them moves.

Whatever the step keeps (velocities in a closure, counters, the parameters of an object) is as it was after each call,
so that every call begins at the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any

import numpy as np

from chainrule.diagnosis.holding import Holding, Path, arrays_in, short_names
from chainrule.diagnosis.problem import as_array
from chainrule.errors import InputError
from chainrule.graph.surroundings import Snapshot
from chainrule.graph.tracing import leaf_names, name_of, parameter_names
from chainrule.primitives import described
from chainrule.trees import children, leaves, mapped


class Step:
    """A step and its loss as functions of the parameters' arrays.

    `names` and `values` are those of the parameters; `loss(*arrays, *data)` is the loss, and `moved(arrays)` calls the
    step.
    """

    def __init__(self, loss: Any, step: Any, params: Any, data: Any) -> None:
        for part, name in ((loss, "loss"), (step, "step")):
            if not callable(part):
                raise InputError(f"check_step: {name} is {described(part)}, which is no function")
        self._loss, self._step = loss, step
        self.name, self.step_name = name_of(loss), name_of(step)
        self.data = tuple(map(_array, data if type(data) is tuple else (data,)))
        self.holding = Holding(params) if _is_object(params) else None
        self.params = params
        self.values: list[Any]
        self.functions = (loss, step)
        if self.holding is not None:
            held = {p: np.asarray(a) for p, a in arrays_in(params, numbers=True).items()}
            self._hold(held, [p for p, a in held.items() if a.dtype.kind == "f"])
            self._hold(held, self._parameters())
        else:
            self.params = mapped(_array, params)
            self.names = leaf_names(loss, self.spread(self.params), {})
            self.values = [leaf for _, leaf in leaves(self.params)]
        self._refuse_bad()

    def _hold(self, held: dict[Path, Any], paths: list[Path]) -> None:
        self.paths = paths
        self.names = list(short_names(paths, set()).values())
        self.values = [held[p] for p in paths]

    def _parameters(self) -> list[Path]:
        """Where an object has its parameters: what a step moves, and what is called alike."""
        moves = self.moved(self.values)
        moved = [i for i, move in enumerate(moves) if np.any(move)]
        memory = {self.paths[i] for i in moved if self._is_memory(i, moves)}
        moving = {self.paths[i] for i in moved} - memory
        alike = {p[-1].rstrip("0123456789_") for p in moving} | {"W", "w", "b", "weights", "bias"}
        return [
            p for p in self.paths if p in moving or (p[-1].rstrip("0123456789_") in alike and p not in memory)
        ]

    def _is_memory(self, number: int, moves: list[Any]) -> bool:
        """Whether the step keeps something of its own there, such as a velocity.

        The loss does not depend on it, and it moves arrays of its own shape, each element by its own. A single number
        does that too if it is a parameter that the loss should depend on; so it must also fade from step to step.
        """
        value = np.asarray(self.values[number])
        first = np.zeros(value.shape)
        first.reshape(-1)[:1] = 0.5 + np.abs(value).max(initial=0.0)
        try:
            with np.errstate(all="ignore"):
                elsewhere = self._nudged(number, np.full(value.shape, first.max(initial=0.0)))
                if float(self.loss(elsewhere, self.data)) != float(self.loss(self.values, self.data)):
                    return False
                after = self.moved(self._nudged(number, first))
        except Exception:  # it is no memory that must have the values it has
            return False
        changed = [a != b for a, b in zip(after, moves, strict=True)]
        touched = [c for i, c in enumerate(changed) if i != number and np.any(c)]
        if not touched or any(np.shape(c) != value.shape or np.any(c & (first == 0)) for c in touched):
            return False
        return value.size > 1 or bool(np.any(changed[number]))

    def _nudged(self, number: int, by: Any) -> list[Any]:
        """The values with something added to one of them."""
        return [value + by if i == number else value for i, value in enumerate(self.values)]

    def _refuse_bad(self) -> None:
        if not self.values:
            raise InputError(f"check_step: no parameters were found in {described(self.params)}")
        for name, value in zip(self.names, self.values, strict=True):
            array = np.asarray(value)
            if array.dtype.kind in "iub" and self.holding is None:
                raise InputError(
                    f"check_step: {name} is {described(value)}, and only floating-point numbers have gradients; "
                    f"convert it with .astype(float)"
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                index = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
                raise InputError(f"check_step: {name} is {array[tuple(index)]} at {index}; give it numbers")

    def spread(self, params: Any) -> tuple[Any, ...]:
        """The parameters as the first arguments of loss and step: a tuple is several arguments, all else is one."""
        return params if type(params) is tuple else (params,)

    def rebuilt(self, arrays: Sequence[Any]) -> Any:
        """The parameters as they were given, with other arrays."""
        if self.holding is not None:
            return self.holding.copied(dict(zip(self.paths, arrays, strict=True)))
        found = iter(arrays)
        return mapped(lambda _: next(found), self.params)

    def loss(self, arrays: Sequence[Any], data: Sequence[Any]) -> Any:
        """The loss at these parameters, for these data."""
        params = self.rebuilt(arrays)
        if self._is_method(self._loss):
            return getattr(params, self._loss.__name__)(*data)
        return self._loss(*self.spread(params), *data)

    def _is_method(self, function: Any) -> bool:
        return self.holding is not None and getattr(function, "__self__", None) is self.params

    def data_names(self) -> list[str]:
        """What the loss calls its data."""
        before = 0 if self._is_method(self._loss) else len(self.spread(self.params))
        return parameter_names(self._loss, before + len(self.data))[before:]

    # stepping ----------------------------------------------------------------------------------------------

    def moved(self, arrays: Sequence[Any], data: Sequence[Any] | None = None) -> list[Any]:
        """How far each parameter moves in one step, from the state that the step is in."""
        return self.walk([arrays], data)[0]

    def walk(self, points: Sequence[Sequence[Any]], data: Sequence[Any] | None = None) -> list[list[Any]]:
        """How far each parameter moves in steps at several points, one after the other."""
        given = self.data if data is None else data
        with self._unchanged(given):
            return [self._once(arrays, given) for arrays in points]

    @contextmanager
    def _unchanged(self, data: Sequence[Any]) -> Iterator[None]:
        snapshot, state = Snapshot(self._step, tuple(data), {}), np.random.get_state()
        np.random.seed(0)
        try:
            with np.errstate(all="ignore"):
                yield
        finally:
            snapshot.restore()
            np.random.set_state(state)

    def _once(self, arrays: Sequence[Any], data: Sequence[Any]) -> list[Any]:
        before = [np.array(a) for a in arrays]
        params = self.rebuilt([np.array(a, v.dtype) if isinstance(v, np.ndarray) else float(a)
                               for a, v in zip(arrays, self.values, strict=True)])  # fmt: skip
        copies = mapped(lambda a: np.array(a) if isinstance(a, np.ndarray) else a, tuple(data))
        if self._is_method(self._step):
            returned = getattr(params, self._step.__name__)(*copies)
        else:
            returned = self._step(*self.spread(params), *copies)
        after = self._after(params, returned)
        for name, old, new in zip(self.names, before, after, strict=True):
            if np.shape(new) != old.shape:
                turned = "; transposed it would fit" if np.shape(new) == old.shape[::-1] else ""
                raise InputError(
                    f"check_step: {self.step_name} made {name} of shape {np.shape(new)} from one of shape "
                    f"{old.shape}{turned}"
                )
        return [
            np.asarray(o, np.float64) - np.asarray(n, np.float64) for o, n in zip(before, after, strict=True)
        ]

    def _after(self, params: Any, returned: Any) -> list[Any]:
        """The parameters after a step: what it returned, if that has their structure; else what it was given."""
        if self.holding is not None:
            held = arrays_in(params, numbers=True)
            return [as_array(held[p]) for p in self.paths]
        for candidate in self._candidates(returned):
            found = _alike(self.params, candidate)
            if found is not None:
                return found
        changed = [_array(leaf) for _, leaf in leaves(params)]
        if returned is None or not isinstance(returned, (tuple, list, dict)):
            return changed
        names = ", ".join(self.names)
        what = f"{type(returned).__name__} of {len(returned)}: {', '.join(map(described, children_of(returned)))}"
        raise InputError(
            f"check_step: {self.step_name} returned a {what}; expected the parameters in the structure in which they "
            f"are given ({names}), or None where the step changes their arrays in place"
        )

    def _candidates(self, returned: Any) -> Iterator[Any]:
        """What was returned may be the parameters; or begin with them; or be one array for one parameter."""
        if returned is None:
            return
        yield returned
        if type(self.params) is tuple:
            if len(self.params) == 1:
                yield (returned,)
            if isinstance(returned, (tuple, list)):
                yield tuple(returned[: len(self.params)])
                if returned and isinstance(returned[0], (tuple, list)):
                    yield tuple(returned[0])
        elif isinstance(returned, (tuple, list)) and returned:
            yield returned[0]


def children_of(tree: Any) -> list[Any]:
    """The parts of a tuple, list or dict."""
    return [part for _, part in children(tree) or []]


def _array(value: Any) -> Any:
    """An array of any library as NumPy's; all else as it is, lists of numbers too."""
    if isinstance(value, np.generic) and value.dtype.kind == "f":
        return float(value)
    return as_array(value) if not isinstance(value, (list, tuple)) else value


def _alike(tree: Any, other: Any) -> list[Any] | None:
    """The leaves of another tree, if it has the structure of the first."""
    parts, found = children(tree), children(other)
    if parts is None:
        array = as_array(other)
        return [array] if found is None and isinstance(array, (np.ndarray, float, np.generic)) else None
    if found is None or len(found) != len(parts) or isinstance(tree, dict) != isinstance(other, dict):
        return None
    if isinstance(tree, dict) and dict(found).keys() != dict(parts).keys():
        return None
    by_name = dict(found)
    pairs = [
        (p, by_name[n]) if isinstance(tree, dict) else (p, f)
        for (n, p), (_, f) in zip(parts, found, strict=True)
    ]
    rows = [_alike(a, b) for a, b in pairs]
    return None if any(r is None for r in rows) else [leaf for row in rows for leaf in row or ()]


def _is_object(params: Any) -> bool:
    """Whether parameters are held in attributes: it is no array, number or tree of them."""
    return (
        children(params) is None and not isinstance(as_array(params), (np.ndarray, float, int, np.generic))
        and hasattr(params, "__dict__")
    )  # fmt: skip


# the numbers that a step is written with ------------------------------------------------------------------


def written_rates(step: Callable[..., Any]) -> list[float]:
    """Numbers in the code, the defaults and the surroundings of a step that may be its rate.

    >>> def step(w, rate=0.5):
    ...     return w - rate * w - 0.01
    >>> written_rates(step)
    [0.5, 0.01]
    """
    from chainrule.graph.surroundings import held_by

    code = getattr(getattr(step, "__func__", step), "__code__", None)
    found: list[float] = [v for v in getattr(step, "__defaults__", None) or () if type(v) is float]
    found += [float(h.value) for h in held_by(step, (), {}) if isinstance(h.value, float)]
    if isinstance(code, CodeType):
        found += [c for c in code.co_consts if type(c) is float]
    return [v for v in dict.fromkeys(found) if 0 < abs(v) < 10]
