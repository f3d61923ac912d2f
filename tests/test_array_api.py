"""Tensors may hold the arrays of any library of the Array API: here, of one that has nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import CASES, FUNCTIONS, Case
from derivatives import assert_same_in

import chainrule as cr
from chainrule import ops

strict = pytest.importorskip("array_api_strict", minversion="2.3.1")

# Rows that need more than the standard; each with the reason.
BEYOND_THE_STANDARD = {
    "pow-3-([2,3,0])": "integers and floats are not mixed",
    "pow-3-([1,2,3])": "integers and floats are not mixed",
    "astype-3-dtype=float64": "the row names the type of NumPy",
    "view_update-4,2-part=<lambda>": "parts are no views",
}
NAMES_BEYOND_THE_STANDARD = {"median": "the shares of neighbours are NumPy's", "quantile": "the same"}

ROWS = [
    c for c in CASES if c.kind in ("smooth", "rough") and c.draws
    and repr(c) not in BEYOND_THE_STANDARD and c.name not in NAMES_BEYOND_THE_STANDARD
]  # fmt: skip


@pytest.fixture(autouse=True)
def newest_standard() -> Iterator[None]:
    with strict.ArrayAPIStrictFlags(api_version="2024.12"):
        yield


@pytest.mark.parametrize("case", ROWS, ids=repr)
def test_a_strict_array_gives_what_an_array_of_numpy_gives(case: Case) -> None:
    assert_same_in(case, strict.asarray)


def test_the_differentiable_functions_of_the_standard_are_all_there() -> None:
    assert {c.name for c in ROWS} >= {
        n for n in IN_THE_STANDARD if hasattr(strict, n) or hasattr(strict.linalg, n)
    }
    assert FUNCTIONS.keys() >= IN_THE_STANDARD


# fmt: off
IN_THE_STANDARD = {
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "broadcast_arrays",
        "broadcast_to",
    "cholesky", "clip", "concat", "copysign", "cos", "cosh", "cross", "cumulative_prod", "cumulative_sum",
        "det",
    "diagonal", "divide", "eigh", "exp", "expand_dims", "expm1", "flip", "hypot", "inv", "log", "log10",
        "log1p",
    "log2", "logaddexp", "matmul", "matrix_norm", "matrix_power", "matrix_transpose", "max", "maximum",
        "mean",
    "meshgrid", "min", "minimum", "moveaxis", "multiply", "negative", "outer", "permute_dims", "pinv",
        "positive",
    "pow", "prod", "qr", "reciprocal", "remainder", "repeat", "reshape", "roll", "sin", "sinh", "slogdet",
        "solve",
    "sort", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "svd", "svdvals", "take",
    "take_along_axis", "tan", "tanh", "tensordot", "tile", "trace", "tril", "triu", "unstack", "var",
        "vecdot",
    "vector_norm", "where",
}
# fmt: on


def test_a_network_is_trained_on_strict_arrays() -> None:
    rng = np.random.default_rng(0)
    x, y = strict.asarray(rng.normal(size=(8, 3))), strict.asarray(rng.normal(size=(8, 1)))
    w = cr.Tensor(strict.asarray(rng.normal(size=(3, 1))), requires_grad=True)

    def loss(w: Any) -> Any:
        return ops.mean((ops.tanh(cr.Tensor(x) @ w) - cr.Tensor(y)) ** 2)

    losses = []
    for _ in range(50):
        value = loss(w)
        value.backward()
        losses.append(float(value))
        w = cr.Tensor(w.data - 0.1 * w.grad.data, requires_grad=True)
    assert losses[-1] < losses[0]
    assert isinstance(w.data, type(x))
