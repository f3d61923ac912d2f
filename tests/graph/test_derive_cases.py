"""Every row of the table of cases: the derived source, run where there is only NumPy, against the engine."""

import warnings
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case

import chainrule as cr
from chainrule.errors import IndependentWarning
from chainrule.graph import derive
from chainrule.tensor import Tensor

MAKERS = {
    "zeros",
    "ones",
    "empty",
    "full",
    "arange",
    "linspace",
    "eye",
    "isdtype",
    "shape_of",
    "data_of",
    "result_type",
}
"""They compute nothing from an array."""

ROWS = [case for case in CASES if case.name not in MAKERS and any(d.shape is not None for d in case.draws)]


def weighed(out: Any) -> Any:
    """One number of which all results are a part, each with a weight of its own."""
    parts = out if isinstance(out, (tuple, list)) else [out]
    total: Any = 0.0
    for part in parts:
        if isinstance(part, (np.ndarray, np.generic, Tensor)) and part.dtype.kind in "fib":
            weights = np.cos(np.arange(part.size)).reshape(part.shape)
            total = total + (part * weights).sum()
    return total


def run_alone(derivation: Any, arrays: list[Any]) -> Any:
    scope: dict[str, Any] = {}
    exec(derivation.source, scope)
    (function,) = (v for n, v in scope.items() if n == "f_and_gradient")
    return function(*arrays, **derivation.constants)


@pytest.mark.parametrize("case", ROWS, ids=repr)
def test_the_source_equals_the_engine(case: Case) -> None:
    arrays = [np.asarray(a, float) for a in case.drawn()]
    argnums = tuple(range(len(arrays)))

    def f(*args: Any) -> Any:
        return weighed(case(*args))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IndependentWarning)
        value, gradient = cr.value_and_grad(f, argnums)(*arrays)
    derivation = derive(f, *arrays, argnums=argnums)
    assert "chainrule" not in derivation.source
    found, derived = run_alone(derivation, arrays)
    np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-12)
    for expected, g in zip(gradient, derived, strict=True):
        assert np.shape(g) == np.shape(expected)
        np.testing.assert_allclose(g, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("case", ROWS, ids=repr)
def test_a_function_of_the_gradient_is_derived_too(case: Case) -> None:
    arrays = [np.asarray(a, float) for a in case.drawn()]
    argnums = tuple(range(len(arrays)))

    def f(*args: Any) -> Any:
        return weighed(list(cr.grad(lambda *inner: weighed(case(*inner)), argnums)(*args)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IndependentWarning)
        value, gradient = cr.value_and_grad(f, argnums)(*arrays)
        derivation = derive(f, *arrays, argnums=argnums)
    found, derived = run_alone(derivation, arrays)
    np.testing.assert_allclose(found, value, rtol=1e-11, atol=1e-11)
    for expected, g in zip(gradient, derived, strict=True):
        np.testing.assert_allclose(g, expected, rtol=1e-9, atol=1e-10)
