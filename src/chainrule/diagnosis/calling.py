"""How the two halves of a layer that somebody wrote are called, and where what they compute is found."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis.holding import (
    Holding,
    Path,
    arrays_in,
    is_gradient_name,
    is_gradient_of,
    short_names,
)
from chainrule.diagnosis.problem import as_array
from chainrule.errors import ChainruleError, InputError
from chainrule.graph.tracing import name_of, parameter_names
from chainrule.namespace import is_array
from chainrule.operators import Operators
from chainrule.primitives import described
from chainrule.trees import leaves, mapped

RATES = frozenset({"learning_rate", "lr", "eta", "rate", "alpha", "step_size", "learn_rate", "stepsize"})
"""What people call the rate in a backward pass that updates the parameters at once."""

_CACHES = ("cache", "saved", "memory", "residual", "context", "ctx", "tape", "stash", "store")


class Style(NamedTuple):
    """How `backward` is called.

    `outputs` is how many outputs `forward` returns (None: one that is no tuple), `rest` what follows their cotangents:
    `cache`, `rate`, or the name of an argument of `forward`.
    """

    outputs: int | None
    rest: tuple[str, ...]


class Pulled(NamedTuple):
    """One run of the forward pass, with what the backward pass needs; `cotangents` are random ones for the outputs."""

    outputs: Any
    rest: tuple[Any, ...]
    backward: Callable[..., Any]
    owner: Any
    cotangents: tuple[Any, ...] = ()


class Layer:
    """The two halves of a layer; `moving` are the arguments that have gradients, `held` the parameters it holds."""

    def __init__(self, forward: Any, backward: Any, inputs: Any, params: Any) -> None:
        self._forward, self._backward, thing = _halves(forward, backward)
        self.functions = (self._forward, self._backward)
        self.name = name_of(self._forward)
        self.holding = None if thing is None else Holding(thing)
        given, extra = _as_list(inputs), [] if params is None else _as_list(params)
        self.inputs = len(given)
        self.arguments = [as_array(a) if _is_array_like(a) else a for a in (*given, *extra)]
        self.names = parameter_names(self._forward, len(self.arguments))
        self.notes: list[str] = []
        self.held: dict[Path, Path | None] = {}
        self.noise = 1
        """The state of `np.random` in which backward is called; that for forward is 0."""
        self._lonely: list[Path] = []
        self._returned: Callable[[Any], dict[Any, Any]]
        self.moving = [i for i, a in enumerate(self.arguments) if _has_gradient(a)]
        self._refuse_bad()
        self.style = self._styled()
        self._match()

    def _refuse_bad(self) -> None:
        for i in self.moving:
            bad = ~np.isfinite(np.asarray(self.arguments[i]))
            if bad.any():
                index = [int(n) for n in np.argwhere(bad)[0]]
                raise InputError(
                    f"check_layer: {self.names[i]} is {self.arguments[i][tuple(index)]} at {index}; give it numbers"
                )

    # calling -----------------------------------------------------------------------------------------------

    def run(self, arguments: list[Any], held: dict[Path, Any]) -> Pulled:
        """The forward pass, of a copy of the layer."""
        owner, (forward, backward) = None, self.functions
        if self.holding is not None:
            owner = self.holding.copied(held)
            forward, backward = (_bound(owner, f) for f in self.functions)
        with _same_randomness():
            result = forward(*arguments)
        outputs, rest = self._split(result, arguments)
        return Pulled(outputs, rest, backward, owner)

    def _split(self, result: Any, arguments: list[Any]) -> tuple[Any, tuple[Any, ...]]:
        count, names = self.style
        outputs = result if count is None else result[0] if count == 1 else tuple(result[:count])
        known = dict(zip(self.names, arguments, strict=True)) | {
            "cache": result[-1] if type(result) in (tuple, list) else None
        }
        return outputs, tuple(1.0 if name == "rate" else known[name] for name in names)

    def tried(self, arguments: list[Any], rng: np.random.Generator) -> Pulled:
        """One run on plain arrays, with random cotangents; refused where what comes out is no array."""
        run = self.run(copy.deepcopy(arguments), {})
        return run._replace(cotangents=tuple(self._cotangent(leaf, rng) for _, leaf in leaves(run.outputs)))

    def _cotangent(self, output: Any, rng: np.random.Generator) -> Any:
        array = as_array(output)
        if not isinstance(array, (np.ndarray, float, np.generic)) or np.asarray(array).dtype.kind != "f":
            raise InputError(
                f"check_layer: {self.name} returned {described(output)}; expected an array of floating-point numbers, "
                f"or a tuple of them and of what backward needs"
            )
        array = np.asarray(array)
        return rng.normal(size=array.shape).astype(array.dtype)

    def gradients(self, run: Pulled, cotangents: Any) -> tuple[Any, ...]:
        """What the backward pass claims, for each moving argument and each parameter that is held."""
        before = {} if run.owner is None else {p: np.array(a) for p, a in arrays_in(run.owner).items()}
        found = self._returned(self._pulled(run, cotangents))
        after = {} if run.owner is None else arrays_in(run.owner)
        for path, gradient in self.held.items():
            if gradient is not None:
                found[path] = after.get(gradient)
            elif path not in found:
                found[path] = before[path] - after[path]  # the update was made at once, with a rate of 1
        return tuple(found.get(key) for key in (*self.moving, *self.held))

    def _pulled(self, run: Pulled, cotangents: Any) -> Any:
        """What backward returns for these cotangents."""
        several = self.style.outputs not in (None, 1)
        with _same_randomness(self.noise):
            return run.backward(*(cotangents if several else [cotangents]), *run.rest)

    # which of what is returned belongs to which argument ---------------------------------------------------

    def _match(self) -> None:
        """Find out what backward returns and where the layer keeps its gradients, from one run."""
        if self.holding is not None:
            self._find_held()
        self._assign(self._pulled(*self._drawn(0)))
        if not self.moving and not self.held:
            raise InputError(
                f"check_layer: {name_of(self._backward)} returned no gradient, and none was found in the layer; return "
                f"them, or keep that of self.W as self.dW"
            )
        self.draws_again = self._differs(partial(self._claims, 0, 2), partial(self._claims, 0))
        self.unused = self._unused()

    def _drawn(self, seed: int) -> tuple[Pulled, Any]:
        """A run, and random cotangents in the tree of its outputs."""
        run = self.tried(self.arguments, np.random.default_rng(seed))
        cotangents = iter(run.cotangents)
        return run, mapped(lambda _: next(cotangents), run.outputs)

    def _claims(self, seed: int, state: int = 1, without: int | None = None) -> tuple[Any, ...]:
        """What is claimed, with backward's own random numbers in another state, or one output's cotangent changed."""
        run, cotangents = self._drawn(seed)
        if without is not None:
            cotangents = tuple(
                mapped(lambda g: -g, c) if i == without else c for i, c in enumerate(cotangents)
            )
        self.noise = state
        return self.gradients(run, cotangents)

    def _differs(self, *calls: Callable[[], tuple[Any, ...]]) -> bool:
        one, other = (call() for call in calls)
        return any(
            not np.array_equal(as_array(a), as_array(b))
            for a, b in zip(one, other, strict=True)
            if a is not None
        )

    def _unused(self) -> list[str]:
        """The cotangents of outputs that make no difference."""
        count = self.style.outputs
        if count in (None, 1):
            return []
        names = parameter_names(self._backward, count or 0)
        same = partial(self._claims, 0)
        return [n for i, n in enumerate(names) if not self._differs(same, partial(self._claims, 0, 1, i))]

    def _find_held(self) -> None:
        assert self.holding is not None
        before = self.holding.arrays()
        run, cotangents = self._drawn(0)
        fresh = {p: np.array(a) for p, a in arrays_in(run.owner).items()}
        self._pulled(run, cotangents)
        after = arrays_in(run.owner)
        lonely = []
        for path, array in before.items():
            gradient = next((p for p in after if p != path and is_gradient_of(p, path)), None)
            if gradient is not None:
                self.held[path] = gradient
            elif any(is_gradient_of(path, p) for p in before):
                continue
            elif "rate" in self.style.rest and path in fresh and not np.array_equal(fresh[path], after[path]):
                self.held[path] = None
            elif self._matters(path, array):
                lonely.append(path)
        self._lonely = lonely
        if self.held:
            pairs = [
                f"{'.'.join(p)} ({'its update' if g is None else '.'.join(g)})" for p, g in self.held.items()
            ]
            self.notes.append(f"Parameters found in the layer, with their gradients: {', '.join(pairs)}.")

    def _matters(self, path: Path, array: Any) -> bool:
        """Whether the output depends on an array that the layer holds."""
        assert self.holding is not None
        try:
            moved = self.run(
                copy.deepcopy(self.arguments), {path: array + 0.1 * (np.abs(array).max(initial=0.0) or 1.0)}
            ).outputs
            same = self.run(copy.deepcopy(self.arguments), {}).outputs
        except Exception:
            return False
        pairs = zip(leaves(moved), leaves(same), strict=False)
        return any(not np.array_equal(as_array(a), as_array(b)) for (_, a), (_, b) in pairs)

    def _assign(self, returned: Any) -> None:
        """Say to which arguments the parts of what was returned belong."""
        lonely = self._lonely
        if isinstance(returned, dict):
            keys = {name: self._key(name, lonely) for name in returned}
            unknown = [n for n, k in keys.items() if k is None]
            if unknown:
                raise InputError(
                    f"check_layer: {name_of(self._backward)} returned gradients named {', '.join(map(str, returned))}, "
                    f"and {', '.join(map(str, unknown))} is none of {', '.join(self.names)}"
                )
            self._keep(list(keys.values()), lonely)
            self._returned = lambda r: {keys[n]: g for n, g in r.items()}
            return
        parts = _as_list(returned) if returned is not None else []
        places = self._positions(parts, lonely)
        self._keep(places, lonely)
        self._returned = lambda r: dict(zip(places, _as_list(r), strict=False)) if r is not None else {}

    def _keep(self, places: list[Any], lonely: list[Path]) -> None:
        """Check what is returned, say what is not."""
        missing = [self.names[i] for i in self.moving if i not in places]
        self.held |= {p: p for p in lonely if p in places}
        silent = [".".join(p) for p in lonely if p not in places]
        self.held = {p: (None if p in places else g) for p, g in self.held.items()}
        if silent:
            self.notes.append(
                f"No gradient was found for {', '.join(silent)}, though the output depends on it; the gradient of "
                f"self.W is looked for as self.dW, self.grad_W, self.grads['W'] and the like."
            )
        if missing and (places or self.held):
            self.notes.append(f"{name_of(self._backward)} returns no gradient for {', '.join(missing)}.")

    def _key(self, name: Any, lonely: list[Path]) -> Any:
        for i, own in enumerate(self.names):
            if name == own or is_gradient_name(str(name), own):
                return i
        return next((p for p in lonely if name == p[-1] or is_gradient_name(str(name), p[-1])), None)

    def _positions(self, parts: list[Any], lonely: list[Path]) -> list[Any]:
        count, everything = len(parts), range(len(self.arguments))
        if not parts and self.held:
            return []
        floats = [i for i in everything if i in self.moving or isinstance(self.arguments[i], float)]
        for candidates in (self.moving, [*self.moving, *lonely], list(everything), floats):
            if len(candidates) == count:
                self._refuse_integers(candidates, parts)
                return [i if p is not None else -1 for i, p in zip(candidates, parts, strict=True)]
        shapes = [np.shape(as_array(p)) for p in parts]
        wanted = [np.shape(self.arguments[i]) for i in self.moving]
        if 0 < count < len(wanted) and shapes == wanted[:count]:
            return self.moving[:count]
        raise InputError(self._miscounted(parts))

    def _refuse_integers(self, candidates: list[Any], parts: list[Any]) -> None:
        for i, part in zip(candidates, parts, strict=True):
            if type(i) is int and part is not None and i not in self.moving:
                value = self.arguments[i]
                if not isinstance(value, float):
                    raise InputError(
                        f"check_layer: {name_of(self._backward)} returned a gradient for {self.names[i]}, which is "
                        f"{described(value)}; only floating-point numbers have gradients: convert it with "
                        f".astype(float), or return None for it"
                    )
                self.moving = sorted({*self.moving, i})

    def _miscounted(self, parts: list[Any]) -> str:
        wanted = [f"{self.names[i]} {np.shape(self.arguments[i])}" for i in self.moving]
        fitting = []
        for part in parts:
            shape = np.shape(as_array(part))
            names = [self.names[i] for i in self.moving if np.shape(self.arguments[i]) == shape]
            turned = [self.names[i] for i in self.moving if np.shape(self.arguments[i]) == shape[::-1]]
            says = (
                f"that of {' or '.join(names)}"
                if names
                else f"that of {turned[0]}, transposed"
                if turned
                else "none of them"
            )
            fitting.append(f"  {shape}: the shape is {says}")
        return "\n".join([
            f"check_layer: {name_of(self._backward)} returned {len(parts)} gradients, but {self.name} takes "
            f"{len(self.moving)} arrays that have gradients: {', '.join(wanted)}", *fitting,
            "Return one for each, in the order of the arguments (None for what is not wanted).",
        ])  # fmt: skip

    # names for the report ----------------------------------------------------------------------------------

    def held_values(self) -> list[Any]:
        """The arrays of the parameters that the layer holds."""
        arrays = {} if self.holding is None else self.holding.arrays()
        return [arrays[p] for p in self.held]

    def held_names(self) -> list[str]:
        """What the parameters that the layer holds are called."""
        return list(short_names(self.held, set(self.names)).values())

    def cotangent_names(self, count: int, taken: list[str]) -> list[str]:
        """What the cotangents of the outputs are called: as in backward."""
        names = parameter_names(self._backward, 1 if self.style.outputs in (None, 1) else count)
        if len(names) != count:
            names = [f"{names[0]}{i + 1}" for i in range(count)]
        return [n if n not in taken else f"{n}_" for n in names]

    def rows(self, arguments: list[Any]) -> int:
        """How many rows the first input has."""
        return int(np.shape(as_array(arguments[0]))[0])

    # the style ---------------------------------------------------------------------------------------------

    def _styled(self) -> Style:
        owner = None if self.holding is None else self.holding.copied()
        forward = self._forward if owner is None else _bound(owner, self._forward)
        try:
            with _same_randomness():
                result = forward(*copy.deepcopy(self.arguments))
        except ChainruleError:
            raise
        except Exception as error:
            shapes = ", ".join(f"{n} {_shown(a)}" for n, a in zip(self.names, self.arguments, strict=True))
            raise InputError(
                f"check_layer: {self.name} fails on the given inputs ({shapes}): {error}"
            ) from error
        required, optional = _positional(self._backward)
        several = type(result) in (tuple, list) or hasattr(result, "_fields")
        for count, cache in self._counts(result, required) if several else [(None, False)]:
            rest = self._rest([*required, *optional], len(required), count or 1, cache)
            if rest is not None:
                return Style(count, rest)
        what = f"{len(result)} values" if several else f"{described(result)} alone"
        raise InputError(
            f"check_layer: {name_of(self._backward)}({', '.join(required)}) cannot be called with what {self.name} "
            f"returns, {what}; expected one cotangent for each output, then the cache that {self.name} returns last, "
            f"or arguments with the names that {self.name} gives them: {', '.join(self.names)}"
        )

    def _counts(self, result: Any, required: list[str]) -> Iterator[tuple[int, bool]]:
        """How many of what forward returned are outputs, and whether the last is a cache; the likeliest first."""
        cached = len(required) > 1 and any(word in required[-1].lower() for word in _CACHES)
        outputs = all(_is_array_like(part) for part in result)
        likely = [(len(result), False), (len(result) - 1, True)]
        yield from likely if self.holding is not None and outputs and not cached else likely[::-1]

    def _rest(self, names: list[str], required: int, count: int, cache: bool) -> tuple[str, ...] | None:
        """What to pass behind `count` cotangents; None where it cannot be known."""
        if count < 1 or len(names) < count:
            return None
        found: list[str] = []
        for place, name in enumerate(names[count:], count):
            if cache and "cache" not in found:
                found.append("cache")
            elif name in self.names:
                found.append(name)
            elif name in RATES and (place < required or self.holding is not None):
                found.append("rate")
            elif place >= required:
                break
            elif not cache and len(names) - count == len(self.arguments):
                return tuple(self.names)
            else:
                return None
        return tuple(found) if not cache or "cache" in found else None


def _halves(forward: Any, backward: Any) -> tuple[Any, Any, Any]:
    """The two functions, and the object that they are methods of."""
    if isinstance(forward, type):
        raise InputError(
            f"check_layer: {forward.__name__} is a class; give an object of it: {forward.__name__}(…)"
        )
    if backward is None:
        methods = [getattr(forward, name, None) for name in ("forward", "backward")]
        if not all(callable(m) for m in methods):
            raise InputError(
                f"check_layer: give forward and backward, or an object that has both; {described(forward)} has not"
            )
        forward, backward = methods
    for half, name in ((forward, "forward"), (backward, "backward")):
        if not callable(half):
            raise InputError(f"check_layer: {name} is {described(half)}, which is no function")
    return forward, backward, getattr(forward, "__self__", None)


def _bound(owner: Any, method: Any) -> Any:
    """The method of a copy of the object that it is a method of."""
    return getattr(owner, method.__name__) if hasattr(method, "__self__") else method


def _positional(function: Any) -> tuple[list[str], list[str]]:
    """The names of the positional parameters without a default, and with one."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]
    required = [p.name for p in found if p.default is inspect.Parameter.empty]
    return required, [p.name for p in found if p.default is not inspect.Parameter.empty]


def _as_list(given: Any) -> list[Any]:
    """A tuple or list of arrays as a list; a list of numbers is one array."""
    if isinstance(given, dict):
        return list(given.values())
    if isinstance(given, tuple) or (
        isinstance(given, list) and given and not isinstance(given[0], (int, float, list))
    ):
        return list(given)
    return [given]


def _is_array_like(value: Any) -> bool:
    return is_array(value) or isinstance(value, (Operators, list)) or hasattr(value, "detach") or (
        hasattr(value, "numpy") and hasattr(value, "shape")
    )  # fmt: skip


def _has_gradient(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _shown(value: Any) -> str:
    return "None" if value is None else described(value)


@contextmanager
def _same_randomness(seed: int = 0) -> Iterator[None]:
    """The random numbers of `np.random` are the same in every run, and are as they were afterwards."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
