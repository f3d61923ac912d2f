"""`trace`: from a function to its Graph."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.errors import GradientLostError, InputError, UnsupportedError
from chainrule.graph.emit import helpers
from chainrule.graph.ir import TAKEN, Atom, Graph, Literal, Variable
from chainrule.graph.naming import identifier
from chainrule.graph.recording import ChangedInPlaceError, Trace, current, symbol_in
from chainrule.graph.reverse import inner_sweep
from chainrule.graph.surroundings import NUMBERS, Held, Path, Snapshot, names_of
from chainrule.graph.symbols import Symbol
from chainrule.lines import here
from chainrule.modes import TRACE, TRANSFORM, switched
from chainrule.namespace import is_array
from chainrule.operators import data_of, example_of
from chainrule.primitives import described
from chainrule.tensor import Tensor
from chainrule.trees import children, leaves, mapped, rebuilt
from chainrule.typing import Tree


class Traced(NamedTuple):
    """What came of tracing a function.

    `changes` has, by name, each value that lives outside of the function and is changed by it: the Variable it was
    and the one it becomes. `parameters` are the Tensors that need a gradient, `swept` says whether one was taken,
    and `changed` whether there are changes, or a traced value was stored where another value stood; `added` are the
    places where nothing stood before, and `held` the places of the Variables that were found.
    """

    graph: Graph
    changes: dict[str, tuple[Variable, Atom]]
    parameters: dict[str, tuple[Tensor, Variable]]
    state: State
    swept: bool
    changed: bool
    added: tuple[str, ...]
    held: dict[Variable, Held]


class State(NamedTuple):
    """Where a function keeps what it changes: paths to arrays and numbers, and Tensors whose `.grad` stays."""

    paths: frozenset[Path]
    accumulating: frozenset[int] | None
    numbers: frozenset[Path] = frozenset()
    """Where numbers are that are traced, though the function does not change them."""


Finish: TypeAlias = "Callable[[Any, bool, bool], Any]"
"""From the result of a traced function, whether it took a gradient, and whether it changed anything, to the result."""


def trace(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Graph:
    """The Graph of `f`, found by calling it once with Symbols in the place of its arrays and floats.

    Arguments are arrays, numbers, or trees of them; everything else (integers, strings, None, objects) is passed
    as it is and stays fixed, and so do the arrays that `f` finds outside of its arguments. The Tensors that it finds,
    such as the parameters of a module, become constants of their name. All of Python works inside `f` as long as no
    branch depends on a traced value. What `f` changes outside of itself is as before afterwards.

    Raises UnsupportedError, with the user's line, for what cannot be traced.

    >>> print(trace(lambda W, x: np.tanh(x @ W), np.ones((2, 3)), np.ones(2)))
    f(W: float64 (2, 3), x: float64 (2,))
      Z = matmul(x, W)    # float64 (3,)
      value = tanh(Z)     # float64 (3,)
      return value
    """
    found = traced(f, args, kwargs)
    used = {v for e in found.graph.equations for v in e.used()} | {
        v for v in found.graph.outputs if isinstance(v, Variable)
    }
    return found.graph.with_(constants=[c for c in found.graph.constants if c in used])


def traced(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], state: State | None = None,
    finish: Finish | None = None,
) -> Traced:  # fmt: skip
    """`trace`, and what the function changes outside of itself; `state` is what a first trace found to be changed."""
    _check_call(f, args, kwargs)
    if current.get() is not None:
        raise UnsupportedError(f"a function cannot be traced while another one is\n  at {here()}")
    state = state or State(frozenset(), None)
    for _ in range(MOST_ARRAYS):
        try:
            return _traced_once(f, args, kwargs, state, finish)
        except ChangedInPlaceError as found:
            state = state._replace(paths=state.paths | found.paths)
    raise UnsupportedError(f"{name_of(f)} changes more than {MOST_ARRAYS} arrays in place")


MOST_ARRAYS = 1000
"""So many arrays of its own may a function change in place."""


def _traced_once(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], state: State, finish: Finish | None
) -> Traced:
    snapshot = Snapshot(f, args, kwargs)
    run = _Run(f, args, kwargs, snapshot, state)
    token = current.set(run.trace)
    try:
        return run.traced(finish)
    except GradientLostError as error:  # the state of the function, which is no Symbol yet
        path = run.trace.paths.get(id(error.array))
        if path is None:
            raise
        raise ChangedInPlaceError(str(error), path) from None
    except ValueError as error:
        if isinstance(error.__cause__, UnsupportedError):  # NumPy's own words for what a Symbol refused
            raise error.__cause__ from None
        raise
    finally:
        run.trace.release()
        snapshot.restore()
        current.reset(token)


def _check_call(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not callable(f):
        raise InputError(
            f"a function is to be traced, but was given {described(f)} of type {type(f).__name__}; give the function "
            f"and what to call it with: derive(f, x), not derive(f(x))"
        )
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):  # some builtins have none
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise InputError(
            f"{name_of(f)}{signature} cannot be called with {len(args) + len(kwargs)} arguments: {error}; give one "
            f"example for each, such as derive({', '.join([name_of(f), *signature.parameters])})"
        ) from None


class _Run:
    """One call of a function that is traced."""

    def __init__(
        self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], snapshot: Snapshot,
        state: State,
    ) -> None:  # fmt: skip
        self.f, self.args, self.kwargs = f, args, kwargs
        self.snapshot, self.state = snapshot, state
        self.trace = Trace(inner_sweep)
        self.names = leaf_names(f, args, kwargs)
        self.arguments = _with_variables((args, kwargs), iter(self.names))
        self.held: dict[Path, Variable] = {}
        self.gradients: dict[Path, Variable] = {}
        self.stored = False

    def traced(self, finish: Finish | None) -> Traced:
        """Call the function, with Symbols for its arguments and for what it finds."""
        made, arguments = self.trace, self.arguments
        called = mapped(self._given, arguments, (self.args, self.kwargs))
        self._adopt_what_is_found()
        with switched(on=TRANSFORM | TRACE):  # derivatives that are taken inside are traced too
            result = self.f(*called[0], **called[1])
        changes, state = self._changes(called)
        for path, variable in self.held.items():  # data that are traced, and stay as they are
            variable.is_parameter = (
                isinstance(self.snapshot.before[path].value, Tensor) or variable.hint in changes
            )
        added = [
            ".".join(path) for path, held in self.snapshot.now().items()
            if path not in self.snapshot.before and symbol_in(held.value) is not None
            and type(held.container) is not list
        ]  # fmt: skip
        swept, changed = bool(made.swept), bool(changes) or self.stored
        if finish is not None:
            result = finish(result, swept, changed)
        result = mapped(lambda leaf: _result(made, leaf), result)
        made.check_constants()
        parameters = {
            e.variable.hint: (e.tensor, e.variable)
            for e in made.adopted
            if e.variable.is_parameter and e.node
        }
        graph = Graph(name_of(self.f), arguments, made.constants, made.equations, result)
        held = {variable: self.snapshot.before[path] for path, variable in self.held.items()}
        return Traced(graph, changes, parameters, state, swept, changed, tuple(sorted(added)), held)

    def _given(self, leaf: Any, value: Any) -> Any:
        """The Symbol for an argument; a Tensor that needs a gradient is itself one from now on."""
        if not isinstance(leaf, Variable):
            return leaf
        leaf.is_input = True
        if not isinstance(value, Tensor):
            return self.trace.symbol(leaf)
        if value._node is not None and value._node.plan is None:
            self.trace.adopt(value, leaf.hint, given=leaf)
            return value
        return value._joined(self.trace.symbol(leaf)) if value._keeps_its_class else self.trace.symbol(leaf)

    def _adopt_what_is_found(self) -> None:
        """Make Symbols of the Tensors that need a gradient, and of what a first trace found to be changed."""
        before = self.snapshot.before
        paths = self.state.paths | self.state.numbers
        leaves_found = [
            path for path, held in before.items() if isinstance(held.value, Tensor) and held.value.is_leaf
        ]
        wanted = [p for p in leaves_found if before[p].value._node is not None or p in paths]
        names = names_of(
            {p: self.snapshot.best_path(before[p].value) for p in wanted},
            {*self.names, *TAKEN, *helpers.NAMES},
        )
        for path in wanted:
            self.held[path] = self.trace.adopt(before[path].value, names[path])
            self._begin_gradient(path, before[path].value)
        plain = [p for p in before if p in paths and not isinstance(before[p].value, Tensor)]
        owners = {
            p: next((names[q] for q in wanted if before[q].value is self.snapshot.owner(p)), "")
            for p in plain
        }
        proposed = {p: (f"{p[-1]}_{owners[p]}",) if owners[p] else p for p in plain}
        names = names_of(proposed, {*self.names, *names.values(), *TAKEN, *helpers.NAMES})
        for path in plain:
            variable = self.held[path] = Variable(np.array(before[path].value), names[path])
            variable.is_parameter = True
            if path in self.state.numbers and type(before[path].value) is float:
                self.trace.numbers.add(variable)
            self.trace.constants.append(variable)
            before[path].put(self.trace.symbol(variable))
        self.trace.paths = {
            id(array): path for path, held in before.items()
            if type(array := getattr(held.value, "_data", held.value)) is np.ndarray
            and held.container is not None and path not in paths
        }  # fmt: skip

        self.trace.floating = [
            path for path, held in before.items()
            if type(held.value) is np.ndarray and held.value.dtype.kind == "f"
            and held.container is not None and path not in paths
        ]  # fmt: skip

    def _begin_gradient(self, path: Path, tensor: Tensor) -> None:
        """Begin with the gradient that is there already: a program that never clears it adds to it."""
        entry = self.trace.adopted[-1]
        if entry.node is None or tensor._node is None:
            return
        before = None if entry.node.watch is None else entry.node.watch.grad
        accumulating = self.state.accumulating
        if before is None if accumulating is None else id(tensor) not in accumulating:
            return
        values = np.zeros(tensor.shape) if before is None else np.asarray(before._data)
        gradient = Variable(np.array(values, entry.variable.dtype), f"grad_{entry.variable.hint}")
        gradient.is_parameter = True
        self.trace.constants.append(gradient)
        self.gradients[path] = gradient
        tensor._node.watched().grad = self.trace.like(tensor, gradient)

    # what the call has changed -------------------------------------------------------------------------------

    def _changes(self, called: Any) -> tuple[dict[str, tuple[Variable, Atom]], State]:
        changes = dict(self._changed_arguments(called))
        now, paths, accumulating = self.snapshot.now(), set(), set()
        for path, held in self.snapshot.before.items():
            variable = self.held.get(path)
            if isinstance(held.value, Tensor) and symbol_in(held.value) is not None and variable is not None:
                atom = self.trace.atom(held.value)
                if atom is not variable:
                    changes[variable.hint] = (variable, atom)
                gradient = held.value.grad
                if gradient is not None:
                    accumulating.add(id(held.value))
                    initial = self.gradients.get(path)
                    if initial is not None and (after := self.trace.atom(gradient)) is not initial:
                        changes[initial.hint] = (initial, after)
            elif path in now and self._is_changed(held, now[path].value):
                paths.add(path)
                self.stored = self._is_stored(path, now[path].value) or self.stored
                if variable is not None:
                    changes[variable.hint] = (variable, _result(self.trace, now[path].value))
        for entry in self.trace.adopted:  # those that were met, but are nowhere to be found
            atom, name = self.trace.atom(entry.tensor), entry.variable.hint
            if entry.variable.is_parameter and atom is not entry.variable and name not in changes:
                changes[name] = (entry.variable, atom)
        return changes, self.state._replace(
            paths=self.state.paths | paths, accumulating=frozenset(accumulating)
        )

    def _is_changed(self, held: Held, value: Any) -> bool:
        """Whether there is something else now than before the call, or than what was put there for it."""
        put = self.held.get(held.path) if held.path in self.state.numbers else None
        if put is not None and isinstance(value, Symbol) and self.trace.atom(value) is put:
            return False
        return _differs(held.value, value) or self.snapshot.altered(held.value)

    def _is_stored(self, path: Path, value: Any) -> bool:
        """Whether a traced value was stored; a Tensor that is not traced means that its array has to be."""
        if isinstance(value, Tensor) and symbol_in(value) is None and not value._keeps_its_class:
            raise ChangedInPlaceError("an array was replaced by a Tensor", path)
        return symbol_in(value) is not None

    def _changed_arguments(self, called: Any) -> Iterator[tuple[str, tuple[Variable, Atom]]]:
        after = dict(leaves(called))
        for path, variable in leaves(self.arguments):
            if isinstance(variable, Variable) and path in after:
                atom = _result(self.trace, after[path])
                if atom is not variable and isinstance(atom, (Variable, Literal)):
                    yield variable.hint, (variable, atom)


def _differs(before: Any, after: Any) -> bool:
    """Whether another array or number stands where one stood."""
    if before is after or not isinstance(after, (Tensor, np.ndarray, *NUMBERS)):
        return False
    return isinstance(after, Tensor) or not np.array_equal(before, after)


def name_of(f: Callable[..., Any]) -> str:
    """The name of a function; `f` for one that has none."""
    f = f.func if isinstance(f, functools.partial) else f
    name = getattr(f, "__name__", None) or type(f).__name__
    return name if name.isidentifier() else "f"


def is_traced(leaf: Any) -> bool:
    """Whether an argument becomes a Symbol: arrays and floats do, all else is fixed."""
    return isinstance(leaf, float) or (
        is_array(leaf) and getattr(example_of(leaf).dtype, "kind", "f") in "fiub"
    )


def _with_variables(tree: Tree, names: Any) -> Tree:
    """The arguments with a new Variable for each leaf that is traced; what is no tree of them stays whole."""
    parts = None if tree is None else children(tree)
    if parts is not None:
        return rebuilt(tree, [_with_variables(part, names) for _, part in parts])
    if tree is None:
        return None
    name = next(names)
    # A view of its own: the same array may also be found outside, where it is a constant.
    return Variable(np.asarray(data_of(tree)).view(), name) if is_traced(tree) else tree


def leaf_names(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """A name for every leaf of the arguments: the parameter's, or the key or field where that says enough."""
    paths: list[tuple[str, str]] = []
    for parameter, tree in [*zip(parameter_names(f, len(args)), args, strict=True), *kwargs.items()]:
        paths += [(parameter, path) for path, _ in leaves(tree)]
    candidates = [_short_names(parameter, path) for parameter, path in paths]
    for level in range(2):
        short = [c[level] for c in candidates]
        if len(set(short)) == len(short):
            return short
    return [c[-1] for c in candidates]


def _short_names(parameter: str, path: str) -> tuple[str, str, str]:
    """Names for a leaf, shortest first: W, W1 (in the first of a list), params_layers_0_W."""
    whole = identifier(parameter + path)
    parts = re.findall(r"\[[^\]]*\]|\.\w+", path)
    if not parts or parts[-1].strip("[]").isdigit():
        return whole, whole, whole
    key = identifier(parts[-1])
    if key[:1] == "_" and parts[-1][2:3].isdigit():  # the key "1"
        return whole, whole, whole
    numbers = [p.strip("[]") for p in parts if p.strip("[]").isdigit()]
    numbered = key + str(int(numbers[-1]) + 1) if numbers else key
    return (key, numbered, whole) if key.isidentifier() else (whole, whole, whole)


def parameter_names(f: Callable[..., Any], count: int) -> list[str]:
    """What `f` calls its first `count` positional arguments.

    >>> parameter_names(lambda x, *rest: None, 3)
    ['x', 'rest1', 'rest2']
    """
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    return names + [f"{rest}{i + 1}" for i in range(count - len(names))]


def _result(made: Trace, leaf: Any) -> Any:
    if is_array(leaf) or isinstance(leaf, (bool, int, float)):
        atom = made.atom(leaf)
        return Literal(leaf, (), np.asarray(leaf).dtype) if type(leaf) in (bool, int, float) else atom
    return leaf
