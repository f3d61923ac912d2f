"""What is checked: a loss, the point, and the claimed gradient, read from what the user gave and found fault with."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis.guards import without_guards
from chainrule.diagnosis.written import writable
from chainrule.errors import ChainruleError, IndependentWarning, InputError
from chainrule.graph.ir import Graph, Variable
from chainrule.graph.recognition import recognised, with_activations
from chainrule.graph.tracing import leaf_names, name_of, trace
from chainrule.lines import described_place
from chainrule.operators import Operators, data_of
from chainrule.primitives import described
from chainrule.transforms import _scalar, value_and_grad
from chainrule.trees import children, leaves, mapped
from chainrule.typing import Tree

Arrays = dict[int, Any]
"""Arrays by the number of the leaf of the arguments that they belong to."""


def as_array(value: Any) -> Any:
    """An array, number or tensor of another library as NumPy's; anything else as it is.

    >>> as_array([1.0, 2.0]), as_array("mean")
    (array([1., 2.]), 'mean')
    """
    if isinstance(value, (np.ndarray, float)):
        return value
    if isinstance(value, Operators):
        return np.asarray(data_of(value))
    if hasattr(value, "detach"):
        value = value.detach()
        value = value.cpu() if hasattr(value, "cpu") else value
    if hasattr(value, "numpy") and hasattr(value, "shape"):
        return np.asarray(value.numpy())
    if isinstance(value, (list, tuple, np.generic)):
        return np.asarray(value)
    return value


def _check_call(function: Callable[..., Any], given: tuple[Any, ...], args: Any) -> None:
    """Raise InputError for a function that cannot be called with the arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return
    try:
        signature.bind(*given)
    except TypeError as error:
        advice = "" if type(args) is tuple else f"; args is a {type(args).__name__}, which is one argument"
        raise InputError(
            f"check: {name_of(function)}{signature} cannot be called with {len(given)} "
            f"argument{'' if len(given) == 1 else 's'}: {error}{advice}. For several arguments, args is a tuple: "
            f"({', '.join(signature.parameters)})"
        ) from None


class Problem:
    """A loss with the arguments at which its gradient is claimed.

    `names` has the user's name for each leaf of the arguments, `values` their arrays in float64, `claims` what is
    claimed for some of them. `single` says that float32 was used, so that errors of its precision are no mistakes.
    """

    def __init__(self, loss: Callable[..., Any], args: Any, claimed: Any) -> None:
        if not callable(loss):
            raise InputError(
                f"check(loss, args, claimed): the loss is {described(loss)}, which is no function"
            )
        self.loss, self.name = writable(loss), name_of(loss)
        given = args if type(args) is tuple else (args,)
        self.given = mapped(as_array, given)
        self.paths = [(i, path) for i, tree in enumerate(self.given) for path, _ in leaves(tree)]
        self.names = leaf_names(loss, self.given, {})
        self.function = claimed if callable(claimed) else None
        for function in filter(None, (self.loss, self.function)):
            _check_call(function, self.given, args)
        self.claims = self.paired(self.function(*self.copied()) if self.function else claimed)
        found = [leaf for _, leaf in leaves(self.given)]
        claims = self.claims.values()
        self.single = any(_is_short(a) for a in [*claims, *(found[i] for i in self.claims)])
        self.args = mapped(_in_double, self.given)
        self.values: Arrays = dict(enumerate(leaf for _, leaf in leaves(self.args)))
        self._check_claims()

    def copied(self, values: Arrays | None = None) -> tuple[Any, ...]:
        """The arguments, which a function may change without harm; with other values where they are given."""
        numbers = iter(range(10**9))

        def copy(leaf: Any) -> Any:
            value = leaf if values is None else values.get(next(numbers), leaf)
            if isinstance(value, np.ndarray) and isinstance(leaf, np.ndarray):
                return value.astype(leaf.dtype)
            return value

        return tuple(mapped(copy, self.given))

    def with_values(self, values: Arrays) -> tuple[Any, ...]:
        """The arguments in float64 with other arrays for some leaves."""
        numbers = iter(range(10**9))
        return tuple(mapped(lambda leaf: values.get(next(numbers), leaf), self.args))

    # claims ----------------------------------------------------------------------------------------------------

    def paired(self, claimed: Any) -> Arrays:
        """The claimed arrays by the number of the leaf; those that are None are left out."""
        count = len(self.given)
        whole = claimed
        if count == 1 and type(claimed) is tuple and len(claimed) != 1 and children(self.given[0]) is None:
            raise InputError(
                f"check: {self.name} has one argument, so one gradient is claimed, but it is a tuple of {len(claimed)}"
            )
        if count == 1 and not (
            type(claimed) is tuple and len(claimed) == 1 and type(self.given[0]) is not tuple
        ):
            whole = (claimed,)
        if not isinstance(whole, (tuple, list)) or len(whole) != count:
            what = f"{len(whole)} parts" if isinstance(whole, (tuple, list)) else described(whole)
            raise InputError(
                f"check: {self.name} has {count} arguments, so the claimed gradient is a tuple of {count} (None for "
                f"what is not claimed), but it is {what}"
            )
        claims: Arrays = {}
        numbers = iter(range(10**9))
        for i, (tree, part) in enumerate(zip(self.given, whole, strict=True)):
            self._pair(tree, part, f"argument {i}", numbers, claims)
        if not claims:
            raise InputError("check: nothing is claimed; every part of the claimed gradient is None")
        return claims

    def _pair(self, tree: Tree, claimed: Any, path: str, numbers: Any, claims: Arrays) -> None:
        parts = None if tree is None else children(tree)
        if tree is None:
            return
        if parts is None:
            number = next(numbers)
            if claimed is not None:
                claims[number] = np.asarray(as_array(claimed))
            return
        found = dict(children(claimed) or []) if claimed is not None else {}
        if claimed is not None:
            missing = [n for n, _ in parts if n not in found]
            extra = [n for n in found if n not in dict(parts)]
            if missing or extra:
                words = [f"lacks {', '.join(missing)}"] if missing else []
                words += [f"has {', '.join(extra)}, which the argument has not"] if extra else []
                raise InputError(
                    f"check: the claimed gradient has another structure than the arguments: at {path} it "
                    f"{' and '.join(words)} (None for what is not claimed)"
                )
        for name, part in parts:
            self._pair(part, found.get(name), path + name, numbers, claims)

    def _check_claims(self) -> None:
        for number, claim in self.claims.items():
            value = np.asarray(self.values[number])
            if value.dtype.kind != "f":
                raise InputError(
                    f"check: {self.names[number]} is {described(value)}, and only floating-point numbers have "
                    f"gradients; convert it with .astype(float), or claim None for it"
                )
            if claim.dtype.kind not in "fiub":
                raise InputError(
                    f"check: the claimed gradient of {self.names[number]} is {described(claim)}; expected numbers of "
                    f"shape {value.shape}"
                )

    def claims_at(self, values: Arrays) -> Arrays | None:
        """What the user's function claims at other values; None where it fails or has other shapes there."""
        if self.function is None:
            return None
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self.paired(self.function(*self.copied(values)))
        except Exception:
            return None
        same = found.keys() == self.claims.keys() and all(
            found[i].shape == c.shape for i, c in self.claims.items()
        )
        return found if same else None

    def moved(self, number: int, place: tuple[int, ...], by: float) -> float:
        """The loss with one element of a leaf moved."""
        value = np.array(self.values[number], np.float64)
        value[place] += by
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = as_array(self.loss(*self.with_values({number: value if value.ndim else value[()]})))
        return float(np.asarray(found).reshape(()))

    # the truth -------------------------------------------------------------------------------------------------

    def checked_value(self) -> float:
        """The loss; raises if it gives another value when it is called again."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                first, again = (np.asarray(as_array(self.loss(*self.copied()))) for _ in range(2))
            except ChainruleError:
                raise
            except Exception:
                return float("nan")  # it may want Tensors; the engine will tell
        if first.dtype.kind in "fiu" and not np.array_equal(first, again, equal_nan=True):
            where = self._where_random()
            raise InputError(
                f"check: {self.name} gives another value each time it is called ({first.flat[0]:.6g}, then "
                f"{again.flat[0]:.6g}), so it has no gradient to compare with{where}\nDraw the random numbers outside, "
                f"and pass them as an argument, or seed the generator inside of {self.name}."
            )
        return float(first.flat[0]) if first.dtype.kind in "fiu" and first.size == 1 else float("nan")

    def _where_random(self) -> str:
        try:
            one, two = (trace(self.loss, *self.with_values({})) for _ in range(2))
        except Exception:
            return ""
        for a, b in zip(one.constants, two.constants, strict=False):
            if not np.array_equal(a.value, b.value, equal_nan=a.dtype.kind == "f"):
                used = next((e.place for e in one.equations if a in e.used() and e.place), None)
                named = f" ({a.hint})" if a.hint else ""
                return "" if used is None else f"\n  random numbers{named} enter at {described_place(used)}"
        return ""

    def gradient(self, values: Arrays) -> Arrays:
        """The engine's gradient at a point, by the leaves that are claimed."""
        numbers = list(self.claims)

        def of_leaves(*arrays: Any) -> Any:
            return self.loss(*self.with_values(values | dict(zip(numbers, arrays, strict=True))))

        of_leaves.__name__ = self.name
        at = [np.asarray((self.values | values)[i]) for i in numbers]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", IndependentWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            _, found = value_and_grad(of_leaves, tuple(range(len(numbers))))(*at)
        return {i: np.asarray(data_of(g)) for i, g in zip(numbers, found, strict=True)}


class Traced(NamedTuple):
    """The graphs of a loss, and which of their inputs each leaf of the arguments is.

    People write derivatives at different levels: that of a whole cross-entropy, that of its logarithms, or that of
    every operation. So there is a graph for each: everything recognised, the activations only, nothing. `bare` has
    these without guards such as the number in log(p + 1e-12), if there are any.
    """

    graphs: tuple[Graph, ...]
    variables: dict[int, Variable]
    bare: tuple[Graph, ...] = ()


def traced(problem: Problem) -> Traced:
    """The graphs of the loss."""

    def scalar(*args: Any) -> Any:
        return _scalar(problem.loss, problem.loss(*args))

    scalar.__name__ = problem.name
    scalar.__wrapped__ = problem.loss  # type: ignore[attr-defined]  # its parameters have the names of the loss's
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        graph = trace(scalar, *problem.args)
        bare = without_guards(graph)
        graphs, unguarded = _in_languages(graph), () if bare is None else _in_languages(bare)
    found = [leaf for _, leaf in leaves(graph.arguments[0])]
    variables = {i: leaf for i, leaf in enumerate(found) if isinstance(leaf, Variable)}
    return Traced(graphs, variables, unguarded)


def _in_languages(graph: Graph) -> tuple[Graph, ...]:
    return recognised(graph), with_activations(graph), graph


def _is_short(value: Any) -> bool:
    return getattr(value, "dtype", np.dtype(float)) in (np.float32, np.float16)


def _in_double(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if value.dtype.kind == "f" else value.copy()
    return value


# fresh points ----------------------------------------------------------------------------------------------------


def fresh(values: Arrays, rng: np.random.Generator) -> Arrays:
    """Other arrays of the same kind: integers and labels are drawn from those observed, signs are kept."""
    return {i: _another(v, rng) for i, v in values.items() if isinstance(v, (np.ndarray, float))}


def _another(value: Any, rng: np.random.Generator) -> Any:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return rng.permutation(array.ravel()).reshape(array.shape) if array.size > 1 else array
    if np.isin(array, (0.0, 1.0, -1.0)).all() and len(np.unique(array)) > 1:
        return rng.permutation(array, axis=0)  # labels, one-hot rows, masks
    if array.size > 1 and len(np.unique(array)) == 2 and 0.0 in array:
        return rng.permutation(array, axis=0)  # a mask that is scaled
    size = float(np.sqrt(np.mean(array**2))) if array.size else 0.0
    if array.size and (array > 0).all():
        drawn = array * rng.uniform(0.6, 1.4, array.shape)
        if array.ndim > 1 and np.allclose(array.sum(-1), 1.0):
            drawn /= drawn.sum(-1, keepdims=True)  # probabilities
    else:
        drawn = 0.5 * array + (size or 0.5) * rng.normal(size=array.shape)
    return drawn if isinstance(value, np.ndarray) else float(drawn)
