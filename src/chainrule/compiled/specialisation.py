"""A function compiled for one structure of arguments, one set of shapes and types, and what is fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.compiled.calling import Source, packed, unpack
from chainrule.compiled.state import State
from chainrule.compiled.surroundings import Name
from chainrule.graph.ir import Graph, Variable, valued
from chainrule.operators import data_of
from chainrule.trees import leaves, mapped
from chainrule.typing import Tree


class Specialisation:
    """A compiled graph, with a fast way to call it.

    `fast(args, kwargs)` answers NotImplemented where it is not for such arguments, or where it fails;
    `slow(args, kwargs)` takes arrays of any layout.
    """

    def __init__(
        self,
        graph: Graph,
        run: Callable[..., tuple[Any, ...]],
        names: list[Name],
        kinds: list[type],
        state: State,
        makers: Tree | None = None,
    ) -> None:
        self.graph, self.run, self.kinds, self.state = graph, run, kinds, state
        self.names = [name for name in names if not any(one.is_at(name) for one in state.kept)]
        self.fast: Callable[[tuple[Any, ...], dict[str, Any]], Any] = made_into(
            makers, state.around(self._written())
        )
        self.slow = made_into(makers, state.around(self._slow))

    def is_current(self) -> bool:
        """Whether the names outside of the function still stand for what they stood for."""
        return all(name.now is name.value for name in self.names) and all(one.fits for one in self.state.kept)

    def changed_numbers(self) -> list[Name]:
        """The names that stand for another float than they stood for."""
        return [
            name for name in self.names
            if isinstance(name.value, float) and isinstance(name.now, float) and name.now is not name.value
        ]  # fmt: skip

    def _slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tree:
        """The result, for arrays of any layout and numbers."""
        arrays: list[Any] = []

        def take(leaf: Any, value: Any) -> None:
            if isinstance(leaf, Variable):
                array = np.ascontiguousarray(data_of(value), leaf.dtype).reshape(leaf.shape)
                arrays.append(array.view(np.ndarray))

        mapped(take, self.graph.arguments, (args, kwargs))
        return self._result(self.run(arrays))

    def _result(self, outputs: tuple[Any, ...]) -> Tree:
        found = iter(outputs)

        def one(leaf: Any) -> Any:
            if not hasattr(leaf, "number") and not isinstance(leaf, Variable):
                return valued(leaf, {})
            array = next(found)
            return array if leaf.shape else array[()]

        return mapped(one, self.graph.result)

    def _written(self) -> Any:
        """The fast way, as source."""
        positional, keywords = self.graph.arguments
        source = Source()
        source.miss_if(f"len(args) != {len(positional)} or len(kwargs) != {len(keywords)}")
        for name in self.names:
            self._watch(source, name)
        arrays: list[str] = []
        kinds = iter(self.kinds)
        for i, tree in enumerate(positional):
            unpack(source, tree, f"args[{i}]", kinds, arrays)
        for key, tree in keywords.items():
            unpack(source, tree, f"kwargs[{key!r}]", kinds, arrays)
        enter = getattr(self.run, "entry", None)
        made = self._called(source, arrays) if enter is None else self._entered(source, arrays, enter)
        source.line(f"return {packed_in_order(source, self.graph.result, made)}")
        return source.function("fast", "args, kwargs")

    def _results(self) -> list[Any]:
        return [a for _, a in leaves(self.graph.result) if hasattr(a, "number") or isinstance(a, Variable)]

    def _entered(self, source: Source, arrays: list[str], enter: Callable[..., Any]) -> list[str]:
        """Enter native code, which checks the arrays itself; the names of the results."""
        # Its code and memory outlive a call, though another thread may end this specialisation meanwhile.
        kernel: Any = source.scope.setdefault("kernel", self.run)
        # The arrays themselves, so that changes in place are seen; one that is not contiguous is a miss.
        constants = [source.new(array, "constant") for array in kernel.found]
        made: list[str] = []
        empty = source.new(np.empty, "empty")
        for shape, dtype in kernel.results:
            made.append(source.new(prefix="out"))
            source.line(f"{made[-1]} = {empty}({shape!r}, {source.new(dtype, 'dtype')})")
        call = f"{source.new(enter, 'enter')}({', '.join([*arrays, *constants, *made])})"
        source.miss_if(f"{call} is not None")
        return made

    def _called(self, source: Source, arrays: list[str]) -> list[str]:
        """Call a function of a list of arrays; the names of the results."""
        for name, variable in zip(arrays, self.graph.inputs, strict=True):
            kind = source.new(np.dtype(variable.dtype), "dtype")
            source.miss_if(
                f"type({name}) is not ndarray or {name}.shape != {variable.shape!r} or {name}.dtype != {kind}"
            )
        made = [source.new(prefix="out") for _ in self._results()]
        target = f"{', '.join(made)}, = " if made else ""
        source.line(f"{target}{source.new(self.run, 'run')}([{', '.join(arrays)}])")
        return made

    @staticmethod
    def _watch(source: Source, name: Name) -> None:
        value = source.new(name.value, "known") if name.value is not None else "None"
        source.miss_if(f"{source.new(name.owner, 'owner')}{name.text} is not {value}")


def as_it_is(leaf: Any) -> Any:
    """The leaf of a result that is no façade's tensor."""
    return leaf


def made_into(makers: Tree | None, run: Callable[..., Any]) -> Callable[..., Any]:
    """`run(args, kwargs)`, with façade's tensors in its result where the makers say so."""
    if makers is None:
        return run

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = run(args, kwargs)
        if found is NotImplemented:
            return found
        return makers(found) if callable(makers) else mapped(lambda make, leaf: make(leaf), makers, found)

    return call


def packed_in_order(source: Source, tree: Tree, names: list[str]) -> str:
    """An expression for a result whose array leaves have names in order."""
    following = iter(names)
    placed: dict[int, str] = {}

    def one(leaf: Any) -> Any:
        if hasattr(leaf, "number") or isinstance(leaf, Variable):
            copy = _Place(leaf.shape)
            placed[id(copy)] = next(following)
            return copy
        return leaf

    return packed(source, mapped(one, tree), placed)


class _Place(Variable):
    """The place of an array in a result; one for each, also where the same array is returned twice."""

    __slots__ = ()

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(np.empty(shape))
