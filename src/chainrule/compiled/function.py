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

from chainrule.compiled.specialisation import Specialisation
from chainrule.compiled.state import State, made_pure
from chainrule.compiled.surroundings import names_outside
from chainrule.compiled.verification import verify
from chainrule.errors import InputError, UnsupportedError
from chainrule.graph.ir import Graph, Literal
from chainrule.graph.simplification import simplified
from chainrule.graph.stepping import settled
from chainrule.graph.surroundings import Snapshot
from chainrule.graph.tracing import Traced, is_traced, name_of
from chainrule.graph.tracing import traced as trace_once
from chainrule.namespace import is_array
from chainrule.operators import Operators, data_of
from chainrule.trees import children, leaves, mapped
from chainrule.typing import Tree

logger = logging.getLogger("chainrule")

BACKENDS = {"llvm": "llvm", "numpy": "numpy_buffers", "jax": "jax_function"}
"""What writes the code, and the module of `graph.emit` that does it."""
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
    are read at each call, and a name that stands for another array or number has `f` compiled again; what `f`
    computes from them with NumPy alone is computed once. It works on all that can be traced: functions of trees,
    `value_and_grad(f)`, modules, and whole training steps: the parameters of a module are read at each call, and what
    `f` changes outside of its arguments (parameters, the memory of an optimizer, counters) is changed at each call;
    `.grad` is left as it was. Inside of another transform it is `f` itself.

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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives for these arguments."""
        result = self._fast(args, kwargs)
        return result if result is not NotImplemented else self._dispatched(args, kwargs)

    # the slower ways ---------------------------------------------------------------------------------------

    def _dispatched(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for _, leaf in leaves((args, kwargs)):
            if isinstance(leaf, Operators):
                return self.function(*args, **kwargs)
            if is_array(leaf) and not is_traced(leaf):
                _say_once(
                    f"{name_of(self.function)} was given an array of type {leaf.dtype}, for which there is no compiled "
                    f"code: it runs as it is"
                )
                return self.function(*args, **kwargs)
        with self._lock:
            found, is_new = self._specialisation(args, kwargs)
            # After a compilation the next call comes here again, and so ends the row of compilations.
            self._fast = _missing if is_new else found.fast
        before = found.state.read()
        result = found.fast(args, kwargs)
        if result is NotImplemented:
            try:
                result = found.slow(args, kwargs)
            except IndexError:
                return self.function(*args, **kwargs)  # which says what is wrong
        if is_new and os.environ.get("CHAINRULE_VERIFY", "0") not in ("", "0"):
            self._verify(found.state, before, args, kwargs, result)
        return result

    def _verify(self, state: State, before: tuple[Any, ...], args: Any, kwargs: Any, result: Any) -> None:
        """Compare with the function itself, run from the same state, which is then put back."""
        after, parameters = state.read(), state.parameters()
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
        key = _key((args, kwargs))
        found = self._known.get(key)
        if found is not None and found.is_current():
            self._in_a_row.clear()
            return found, False
        self._count(key)
        self._known[key] = made = self._compiled(args, kwargs)
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return made, True

    def _count(self, key: Any) -> None:
        self._in_a_row.append(key)
        if len(self._in_a_row) != MANY:
            return
        changes = _difference(self._in_a_row[-2], self._in_a_row[-1])
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
        graph, state = made_pure(traced(self.function, args, given))
        kinds = [type(leaf) for leaf in leaf_values if is_traced(leaf)]
        after = len(kinds) - sum(is_traced(leaf) for _, leaf in leaves(given))
        kinds[after:after] = [
            one.kind for one in state.kept
        ]  # between positional arguments and those by name
        graph = simplified(graph)
        run, backend = self._built(graph)
        made = Specialisation(graph, run, names, kinds, state)
        shapes = ", ".join(str(v.shape) for v in graph.inputs)
        logger.debug(
            "%s compiled for shapes %s by %s in %.3f s",
            name_of(self.function),
            shapes,
            backend,
            time.perf_counter() - start,
        )
        return made

    def _built(self, graph: Graph) -> tuple[Callable[..., Any], str]:
        """The code for a graph, and what wrote it: the fallback where LLVM is missing or fails."""
        chosen = self._backend or "llvm"
        if chosen != "llvm":
            return import_module(f"chainrule.graph.emit.{BACKENDS[chosen]}").build(graph), chosen
        try:
            kernel = import_module("chainrule.graph.emit.llvm").build(
                graph, keep=self._cache, assume_finite=self._finite
            )
        except ImportError as error:
            if self._backend == "llvm":
                raise InputError(
                    "compile: backend='llvm' needs llvmlite: pip install 'chainrule[jit]'"
                ) from error
            _say_once(
                "chainrule[jit] is not installed: compiled functions run as NumPy code, several times slower"
            )
        except Exception as error:
            if self._backend == "llvm":
                raise
            _say_once(f"LLVM could not compile {name_of(self.function)}, which runs as NumPy code: {error}")
        else:
            return kernel, "llvm"
        return import_module("chainrule.graph.emit.numpy_buffers").build(graph), "numpy"

    # what was made ---------------------------------------------------------------------------------------------

    def llvm(self, optimize: bool = False) -> str:
        """The LLVM code of the newest specialisation; with `optimize`, after LLVM's passes."""
        return str(self._kernel().llvm(optimize))

    def report(self) -> str:
        """What was made of the newest specialisation: loops, layouts, memory, and what NumPy computes."""
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
def _say_once(text: str) -> None:
    logger.warning(text)


def _missing(args: Any, kwargs: Any) -> Any:
    """The fast way of a function that has none yet."""
    return NotImplemented


def traced(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Traced:
    """The trace of `f`, with all that it changes; numbers of Python in its result stay what they are.

    Raises UnsupportedError where a second run of `f` finds other numbers: they would be fixed to those of one run.
    """
    again = _traced_on_other_values(f, args, kwargs)
    results: list[Any] = []

    def noted(result: Any, *_: Any) -> Any:
        results.append(result)
        return result

    found = trace_once(f, args, kwargs, None, noted)
    if found.changes or found.state.paths:
        found = settled(f, args, kwargs, found, noted)
        again = found.graph
    if _fixed(found.graph) != _fixed(again):
        raise UnsupportedError(
            f"{name_of(f)} finds other numbers each time it is run (random ones, a counter, or values of its "
            f"arguments that it reads behind the trace's back), and compiled they would be fixed to those of one run; "
            f"draw them outside and pass them as arguments"
        )
    numbers = (bool, int, float)
    result = mapped(
        lambda leaf, plain: plain if type(plain) in numbers else leaf, found.graph.result, results[-1]
    )
    return found._replace(graph=found.graph.with_(result=result))


def _traced_on_other_values(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Graph:
    """A second trace: on the same elements in the opposite order, if `f` takes them so."""

    def turned(leaf: Any) -> Any:
        return leaf.reshape(-1)[::-1].reshape(leaf.shape).copy() if is_traced(leaf) else leaf

    other_args, other_kwargs = mapped(turned, (args, kwargs))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return trace_once(f, other_args, other_kwargs).graph
    except Exception:
        return trace_once(f, args, kwargs).graph


def _fixed(graph: Graph) -> list[Any]:
    """The numbers that a trace has fixed: literals, and arrays that were not found but made."""
    literals = [a.key for e in graph.equations for a in e.inputs if isinstance(a, Literal)]
    return [*literals, *((c.shape, c.value.tobytes()) for c in graph.constants)]


# arguments -------------------------------------------------------------------------------------------------------


def prepared(tree: Tree) -> Tree:
    """The arguments as they are traced: plain arrays; floats of the precision that the arrays have."""
    arrays = [leaf.dtype for _, leaf in leaves(tree) if hasattr(leaf, "dtype") and leaf.dtype.kind == "f"]
    real = np.result_type(*arrays) if arrays else np.dtype(float)

    def one(leaf: Any) -> Any:
        if isinstance(leaf, float) and not isinstance(leaf, np.generic):
            return np.asarray(leaf, real)
        return np.asarray(data_of(leaf)) if is_traced(leaf) else leaf

    return mapped(one, tree)


def _key(tree: Tree) -> Any:
    """What the arguments of two calls have in common if they share a specialisation."""
    parts = None if tree is None else children(tree)
    if parts is not None:
        return (type(tree), *((name, _key(part)) for name, part in parts))
    if isinstance(tree, float) and not isinstance(tree, np.generic):
        return float
    if is_traced(tree):
        return (tuple(tree.shape), np.dtype(tree.dtype).newbyteorder("=").str)
    if isinstance(tree, (bool, int, str, bytes, type(None))):
        return (type(tree), tree)
    return _Identity(tree)


class _Identity:
    """An object that equals itself only."""

    __slots__ = ("of",)

    def __init__(self, of: Any) -> None:
        self.of = of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.of is self.of

    def __hash__(self) -> int:
        return id(self.of)

    def __repr__(self) -> str:
        return f"<{type(self.of).__name__}>"


def _difference(before: Any, after: Any, path: str = "") -> str:
    """What changed between the arguments of two calls."""
    if before == after:
        return "the same shapes, but arrays or numbers outside of the function were replaced"
    nested = [
        isinstance(k, tuple) and k and isinstance(k[0], type) and all(_is_part(p) for p in k[1:])
        for k in (before, after)
    ]
    if all(nested) and len(before) == len(after):
        for (name, one), (_, other) in zip(before[1:], after[1:], strict=True):
            if one != other:
                return _difference(one, other, path + name)
    return f"argument {path.removeprefix('[0]') or path} changed from {_described(before)} to {_described(after)}"


def _is_part(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str)


def _described(key: Any) -> str:
    if isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], tuple):
        return f"{np.dtype(key[1])} of shape {key[0]}"
    if isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], type):
        return repr(key[1])
    return repr(key)
