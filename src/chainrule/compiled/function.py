"""`compile`: a function that runs as native code."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chainrule.compiled.arguments import difference, is_constant, key_of, makers_of, prepared, without_history
from chainrule.compiled.specialisation import Specialisation
from chainrule.compiled.state import AddedError, State, is_at, made_pure
from chainrule.compiled.surroundings import Name, names_outside
from chainrule.compiled.verification import agree, verify
from chainrule.errors import InputError, UnsupportedError
from chainrule.graph.ir import Graph, Literal
from chainrule.graph.notes import selections_by_value
from chainrule.graph.rewriting import REREAD
from chainrule.graph.simplification import simplified
from chainrule.graph.stepping import settled
from chainrule.graph.surroundings import Held, Path, Snapshot, numbers_read
from chainrule.graph.tracing import State as Outside
from chainrule.graph.tracing import Traced, is_traced, name_of
from chainrule.graph.tracing import traced as trace_once
from chainrule.lines import described_place
from chainrule.namespace import is_array
from chainrule.operators import Operators, example_of
from chainrule.tensor import Tensor
from chainrule.trees import leaves, mapped

logger = logging.getLogger("chainrule")

BACKENDS = {"llvm": "llvm", "numpy": "numpy_buffers", "jax": "jax_function"}
"""What writes the code, and the module of `graph.emit` that does it."""
WITHOUT_LLVM = "chainrule[jit] is not installed: compiled functions run as NumPy code, several times slower"
MANY = 5
"""After so many compilations in a row, without a call that needed none, there is a warning."""
KEPT = 32
"""How many specialisations a function keeps."""


def compile(  # noqa: A001  # the public name
    f: Callable[..., Any], *, backend: str | None = None, assume_finite: bool = False, cache: bool = True
) -> Compiled:
    """The same function as native code: same arguments, same results.

    `f` is traced at its first call, and again for each new set of shapes, types and fixed arguments (integers,
    strings, objects): arrays and floats are its inputs. What `f` does beside computing (printing, appending to a
    list) is done while it is traced, which is twice, and not again. Arrays that `f` finds outside of its arguments
    are read at each call, and a name that stands for another array or number has `f` compiled again, but for floats
    once only, unless a branch depends on them: from then on they are read at each call, as the rate of an optimizer
    is from the beginning. What `f` computes from arrays with NumPy alone is computed once. It works on all that can be
    traced: functions of trees, `value_and_grad(f)`, modules, and whole training steps: the parameters of a module are
    read at each call, and what `f` changes outside of its arguments (parameters, the memory of an optimizer, counters)
    is changed at each call; `.grad` is left as it was. Inside of another transform it is `f` itself.

    `backend` is "llvm" (needs llvmlite), "numpy" or "jax"; None takes LLVM where llvmlite is installed, and NumPy
    otherwise. With `assume_finite`, the code may be wrong where NaN or infinity occur. `cache=False` keeps nothing
    on disk; the folder of the cache can be chosen with the environment variable CHAINRULE_CACHE.
    CHAINRULE_VERIFY=1 compares the first call of each specialisation with `f` itself.

    Raises UnsupportedError, with the user's line, for what cannot be traced, and for a function that finds other
    numbers each time it is run, such as random ones; InputError for an unknown backend.

    >>> fast = compile(lambda x: np.tanh(x) ** 2 + x.sum())
    >>> fast(np.array([0.0, 1.0]))
    array([1.       , 1.5800257])
    """
    if backend is not None and backend not in BACKENDS:
        raise InputError(
            f"compile: backend={backend!r}; expected one of {', '.join(map(repr, BACKENDS))}, or None"
        )
    if not callable(f):
        raise InputError(f"compile: expected a function, but was given {type(f).__name__}")
    return Compiled(f, backend, assume_finite, cache)


class Compiled:
    """A compiled function; made by `compile`."""

    def __init__(self, f: Callable[..., Any], backend: str | None, assume_finite: bool, cache: bool) -> None:
        functools.update_wrapper(self, f, updated=())
        self.function = f
        self._backend, self._finite, self._cache = backend, assume_finite, cache
        self._known: dict[Any, Specialisation] = {}
        self._fast: Callable[..., Any] = _missing
        self._lock = threading.RLock()
        self._in_a_row: list[Any] = []
        self._varying: list[Name] = []
        self._fixed: set[tuple[int, str]] = set()
        self._began = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives for these arguments."""
        result = self._fast(args, kwargs)
        return result if result is not NotImplemented else self._dispatched(args, kwargs)

    # the slower ways ---------------------------------------------------------------------------------------

    def _dispatched(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for _, leaf in leaves((args, kwargs)):
            if isinstance(leaf, Operators) and not is_constant(leaf):
                return self.function(*args, **kwargs)
            if is_array(leaf) and not is_traced(leaf):
                say_once(
                    f"{name_of(self.function)} was given an array of type {leaf.dtype}, for which there is no compiled "
                    f"code: it runs as it is"
                )
                return self.function(*args, **kwargs)
        with self._lock:
            try:
                found, is_new = self._specialisation(args, kwargs)
            except AddedError:
                if self._began:
                    raise
                self._began = True  # the first call of a step makes the memory that later ones find
                return mapped(without_history, self.function(*args, **kwargs))
            # After a compilation the next call comes here again, and so ends the row of compilations.
            self._fast = _missing if is_new else found.fast
        verifying = is_new and os.environ.get("CHAINRULE_VERIFY", "0") not in ("", "0")
        before = found.state.copied() if verifying else ()
        result = found.fast(args, kwargs)
        if result is NotImplemented:
            try:
                result = found.slow(args, kwargs)
            except IndexError:  # it says what is wrong, if anything is
                return mapped(without_history, self.function(*args, **kwargs))
        if verifying:
            self._verify(found.state, before, args, kwargs, result)
        return result

    def _verify(self, state: State, before: tuple[Any, ...], args: Any, kwargs: Any, result: Any) -> None:
        """Compare with the function itself, run from the same state, which is then put back."""
        after, parameters = state.copied(), tuple(np.array(p) for p in state.parameters())
        state.put(before)
        snapshot = Snapshot(self.function, args, kwargs)

        @functools.wraps(self.function)
        def with_parameters(*args: Any, **kwargs: Any) -> Any:
            return self.function(*args, **kwargs), state.parameters()

        try:
            verify(with_parameters, args, kwargs, (result, parameters))
        finally:
            snapshot.restore()
            state.put(after)

    def _specialisation(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Specialisation, bool]:
        key = key_of((args, kwargs))
        found = self._known.get(key)
        if found is not None and found.is_current():
            self._in_a_row.clear()
            return found, False
        self._count(key)
        if found is not None:
            self._varying += [name for name in found.changed_numbers() if name.place not in self._fixed]
        self._known[key] = made = self._compiled(args, kwargs)
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return made, True

    def _count(self, key: Any) -> None:
        self._in_a_row.append(key)
        if len(self._in_a_row) != MANY:
            return
        changes = difference(self._in_a_row[-2], self._in_a_row[-1])
        warnings.warn(
            f"{name_of(self.function)} was compiled {MANY} times in a row: {changes}. Each new shape, and each new "
            f"value of an argument that is neither an array nor a float, is compiled for; pad arrays to one shape, "
            f"or pass numbers that vary as arrays or floats.",
            RuntimeWarning,
            stacklevel=5,
        )

    def _compiled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Specialisation:
        start = time.perf_counter()
        leaf_values = [leaf for _, leaf in leaves((args, kwargs))]
        names = names_outside(self.function, *(leaf for leaf in leaf_values if not is_traced(leaf)))
        args, given = prepared((args, kwargs))
        results: list[Any] = []
        token = REREAD.set(frozenset(id(n.value) for n in names if isinstance(n.value, np.ndarray)))
        try:
            graph, state = made_pure(self._traced(args, given, results))
        finally:
            REREAD.reset(token)
        kinds = [type(leaf) for leaf in leaf_values if is_traced(leaf)]
        after = len(kinds) - sum(is_traced(leaf) for _, leaf in leaves(given))
        kinds[after:after] = [
            one.kind for one in state.kept
        ]  # between positional arguments and those by name
        run, backend = self._built(graph)
        made = Specialisation(graph, run, names, kinds, state, makers_of(results[-1]))
        if backend == "llvm":
            run.forget()  # type: ignore[attr-defined]
        shapes = ", ".join(str(v.shape) for v in graph.inputs)
        logger.debug(
            "%s compiled for shapes %s by %s in %.3f s",
            name_of(self.function),
            shapes,
            backend,
            time.perf_counter() - start,
        )
        return made

    def _traced(self, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Any]) -> Traced:
        """The trace, with the numbers outside as inputs that are known to vary, where that computes the same."""

        def has_changed(held: Held) -> bool:
            return any(is_at(held, name) for name in self._varying)

        f = self.function
        numbers = numbers_read(f, args, kwargs, has_changed)
        if numbers:
            try:
                found = traced(f, args, kwargs, results, numbers)
                if not self._varying or gives_the_same(found, trace_once(f, args, kwargs)):
                    return found
            except Exception as error:  # a branch, a table, a function of Python reads one
                logger.debug("%s is compiled for each value of a number: %s", name_of(f), error)
            if self._varying:
                self._fixed.update(name.place for name in self._varying)
                self._varying.clear()
                return self._traced(args, kwargs, results)
        return traced(f, args, kwargs, results)

    def _built(self, graph: Graph) -> tuple[Callable[..., Any], str]:
        """The code for a graph, and what wrote it: the fallback where LLVM is missing or fails."""
        chosen = self._backend or "llvm"
        if chosen != "llvm":
            return import_module(f"chainrule.graph.emit.{BACKENDS[chosen]}").build(simplified(graph)), chosen
        try:
            kernel = import_module("chainrule.graph.emit.llvm").build(
                graph, keep=self._cache, assume_finite=self._finite
            )
        except ImportError as error:
            if self._backend == "llvm":
                raise InputError(
                    "compile: backend='llvm' needs llvmlite: pip install 'chainrule[jit]'"
                ) from error
            say_once(WITHOUT_LLVM)
        except InputError:
            raise
        except Exception as error:
            if self._backend == "llvm":
                raise
            say_once(f"LLVM could not compile {name_of(self.function)}, which runs as NumPy code: {error}")
        else:
            return kernel, "llvm"
        return import_module("chainrule.graph.emit.numpy_buffers").build(simplified(graph)), "numpy"

    # what was made ---------------------------------------------------------------------------------------------

    def llvm(self, optimize: bool = False) -> str:
        """The LLVM code of the newest specialisation; with `optimize`, after LLVM's passes."""
        return str(self._kernel().llvm(optimize))

    def report(self) -> str:
        """What was made of the newest specialisation: loops, layouts, memory, what NumPy computes, and the times.

        They are measured now, in about a tenth of a second, on the arrays of the first call.
        """
        return str(self._kernel().report())

    def _kernel(self) -> Any:
        run = self._newest().run
        if not hasattr(run, "llvm"):
            raise InputError(f"{name_of(self.function)} does not run as LLVM code, so there is none to show")
        return run

    def _newest(self) -> Specialisation:
        if not self._known:
            raise InputError(
                f"{name_of(self.function)} was not called yet, so nothing is compiled: call it first"
            )
        return list(self._known.values())[-1]

    def __repr__(self) -> str:
        return f"compiled({name_of(self.function)})"


@functools.cache
def say_once(text: str) -> None:
    """Log a warning, the first time."""
    logger.warning(text)


def _missing(args: Any, kwargs: Any) -> Any:
    """The fast way of a function that has none yet."""
    return NotImplemented


def traced(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Any] | None = None,
    numbers: frozenset[Path] = frozenset(),
) -> Traced:  # fmt: skip
    """The trace of `f`, with all that it changes; numbers of Python in its result stay what they are.

    What `f` returned while it was traced is added to `results`; `numbers` are where floats are that it is not fixed to.

    Raises UnsupportedError where a second run of `f` finds other numbers: they would be fixed to those of one run.
    """
    results = [] if results is None else results
    start = Outside(frozenset(), None, numbers)

    def noted(result: Any, *_: Any) -> Any:
        results.append(result)
        return result

    found = trace_once(f, args, kwargs, start, noted)
    if found.changes or found.state.paths:
        found = settled(f, args, kwargs, found, noted)
        start = found.state
    _check_selections(found.graph)
    if _fixed(found.graph) != _fixed(_traced_on_other_values(f, args, kwargs, start)):
        raise UnsupportedError(
            f"{name_of(f)} finds other numbers each time it is run (random ones, a counter, or values of its "
            f"arguments that it reads behind the trace's back), and compiled they would be fixed to those of one run; "
            f"draw them outside and pass them as arguments"
        )
    plain_types = (bool, int, float)
    result = mapped(
        lambda leaf, plain: plain if type(plain) in plain_types else leaf, found.graph.result, results[-1]
    )
    return found._replace(graph=found.graph.with_(result=result))


def gives_the_same(found: Traced, plain: Traced) -> bool:
    """Whether two traces of a call have the same results, in the same types."""
    results = list(zip(found.graph.outputs, plain.graph.outputs, strict=True))
    if any(isinstance(one, Literal) != isinstance(other, Literal) for one, other in results):
        return False  # a number of Python is returned as it is
    both = found.changes.keys() & plain.changes.keys()
    after = [(found.changes[name][1], plain.changes[name][1]) for name in both]
    return all(
        np.asarray(one.value).dtype == np.asarray(other.value).dtype and agree(other.value, one.value)
        for one, other in (*results, *after)
    )


def _traced_on_other_values(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], state: Outside
) -> Graph:
    """A second trace: on the same elements in the opposite order, if `f` takes them so."""

    def turned(leaf: Any) -> Any:
        if not is_traced(leaf):
            return leaf
        array = example_of(leaf)
        other = array.reshape(-1)[::-1].reshape(array.shape).copy()
        return leaf._wrapped(other) if isinstance(leaf, Tensor) else other

    other_args, other_kwargs = mapped(turned, (args, kwargs))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return trace_once(f, other_args, other_kwargs, state).graph
    except Exception:
        return trace_once(f, args, kwargs, state).graph


def _check_selections(graph: Graph) -> None:
    """Raise UnsupportedError where the number of elements depends on values: compiled, shapes are fixed."""
    for equation in selections_by_value(graph, graph.constants):
        if equation.name in ("nonzero", "getitem"):
            where = described_place(equation.place) if equation.place is not None else "an unknown line"
            raise UnsupportedError(
                f"{graph.name} selects as many elements as a condition is true for\n  at {where}\nCompiled, shapes "
                f"are fixed: use np.where(condition, x, 0), which keeps the shape."
            )


def _fixed(graph: Graph) -> list[Any]:
    """The numbers that a trace has fixed: literals, and arrays that were not found but made."""
    literals = [a.key for e in graph.equations for a in e.inputs if isinstance(a, Literal)]
    return [*literals, *((c.shape, c.value.tobytes()) for c in graph.constants)]
