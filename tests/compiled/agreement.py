"""Graphs of every row of the table of cases: its results with the gradient, and the gradient of the gradient."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from cases import CASES, Case
from graph.test_derive_cases import MAKERS, weighed

import chainrule as cr
from chainrule.errors import IndependentWarning
from chainrule.graph.ir import Graph, Literal, Variable
from chainrule.graph.simplification import simplified
from chainrule.trees import leaves

ROWS = [case for case in CASES if case.name not in MAKERS and any(d.shape is not None for d in case.draws)]
"""The rows with something to compute."""


def first(case: Case) -> Callable[..., Any]:
    """All results of the row's function, and the gradient of one number of which they are a part."""
    numbers = tuple(range(len(case.draws)))
    gradient = cr.value_and_grad(lambda *arrays: weighed(case(*arrays)), numbers)

    def f(*arrays: Any) -> Any:
        results = [part for _, part in leaves(case(*arrays)) if hasattr(part, "dtype")]
        return results, gradient(*arrays) if case.differentiable else None

    return f


def second(case: Case) -> Callable[..., Any]:
    """The gradient of one number of which the whole gradient is a part."""
    numbers = tuple(range(len(case.draws)))
    inner = cr.grad(lambda *arrays: weighed(case(*arrays)), numbers)
    return cr.grad(lambda *arrays: weighed(list(inner(*arrays))), numbers)


DIFFERENTIABLE = [case for case in ROWS if case.differentiable]
ORDERS = [(first, case) for case in ROWS] + [(second, case) for case in DIFFERENTIABLE]
"""All that there is to compare."""


def order_id(value: Any) -> str:
    """What is compared, in the name of a test."""
    return getattr(value, "__name__", None) or repr(value)


def traced(f: Callable[..., Any], arrays: list[Any]) -> tuple[Graph, list[Any]]:
    """The graph of a function as `compile` gives it to a backend, and what the function returns, leaf by leaf."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", IndependentWarning)
        graph = simplified(cr.trace(f, *arrays))
        result = f(*arrays)
    kept = [isinstance(leaf, (Variable, Literal)) for _, leaf in leaves(graph.result)]
    return graph, [leaf for keep, (_, leaf) in zip(kept, leaves(result), strict=True) if keep]


def assert_agree(found: Any, expected: Any, tolerance: float) -> None:
    """Each result is as it should be, relative to its largest element; NaN and infinity where they should be."""
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        f, e = np.asarray(f), np.asarray(e)
        assert f.shape == e.shape
        assert f.dtype == e.dtype
        if e.dtype.kind != "f":
            np.testing.assert_array_equal(f, e)
            continue
        size = np.abs(e[np.isfinite(e)]).max(initial=1.0)
        np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance * size)
