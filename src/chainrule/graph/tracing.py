"""`trace`: from a function to its Graph."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import UnsupportedError
from chainrule.graph.ir import Graph, Literal, Variable
from chainrule.graph.naming import identifier
from chainrule.graph.symbols import Symbol, Trace, current
from chainrule.lines import here
from chainrule.namespace import is_array
from chainrule.operators import data_of
from chainrule.tensor import Tensor
from chainrule.trees import children, leaves, mapped, rebuilt
from chainrule.typing import Tree


def trace(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Graph:
    """The Graph of `f`, found by calling it once with Symbols in the place of its arrays and floats.

    Arguments are arrays, numbers, or trees of them; everything else (integers, strings, None, objects) is passed
    as it is and stays fixed, and so does what `f` finds outside of its arguments. All of Python works inside `f`
    as long as no branch depends on a traced value.

    Raises UnsupportedError, with the user's line, for what cannot be traced.

    >>> print(trace(lambda W, x: np.tanh(x @ W), np.ones((2, 3)), np.ones(2)))
    f(W: float64 (2, 3), x: float64 (2,))
      Z = matmul(x, W)    # float64 (3,)
      value = tanh(Z)     # float64 (3,)
      return value
    """
    if current.get() is not None:
        raise UnsupportedError(f"a function cannot be traced while another one is\n  at {here()}")
    made = Trace()
    names = leaf_names(f, args, kwargs)
    arguments = _with_variables((args, kwargs), iter(names))
    inputs = [leaf for _, leaf in leaves(arguments) if isinstance(leaf, Variable)]
    for variable in inputs:
        variable.is_input = True
    symbols = {v: made.symbol(v) for v in inputs}
    called = mapped(lambda leaf: symbols[leaf] if isinstance(leaf, Variable) else leaf, arguments)
    token = current.set(made)
    try:
        result = f(*called[0], **called[1])
        result = mapped(lambda leaf: _result(made, leaf), result)
        made.check_constants()
    except ValueError as error:
        if isinstance(error.__cause__, UnsupportedError):  # NumPy's own words for what a Symbol refused
            raise error.__cause__ from None
        raise
    finally:
        current.reset(token)
    used = {v for e in made.equations for v in e.used()} | {
        leaf for _, leaf in leaves(result) if isinstance(leaf, Variable)
    }
    return Graph(name_of(f), arguments, [c for c in made.constants if c in used], made.equations, result)


def name_of(f: Callable[..., Any]) -> str:
    """The name of a function; `f` for one that has none."""
    name = getattr(f, "__name__", None) or type(f).__name__
    return name if name.isidentifier() else "f"


def is_traced(leaf: Any) -> bool:
    """Whether an argument becomes a Symbol: arrays and floats do, all else is fixed."""
    return isinstance(leaf, float) or (is_array(leaf) and getattr(leaf.dtype, "kind", "f") in "fiub")


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
    if isinstance(leaf, Symbol) or is_array(leaf) or isinstance(leaf, (bool, int, float)):
        atom = made.atom(leaf)
        return Literal(leaf, (), np.asarray(leaf).dtype) if type(leaf) in (bool, int, float) else atom
    return leaf.data if isinstance(leaf, Tensor) else leaf
