"""Native code: the engine's numbers for every row of the table of cases, and for random programs.

Here in float64 with the gradient; in float32, and with second derivatives, in the oracles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import Case
from compiled.agreement import ORDERS, assert_agree, first, traced
from hypothesis import given, settings
from random_programs import INPUTS, OF_EVERY_LENGTH, decoded, run

import chainrule as cr

pytest.importorskip("llvmlite")
llvm = pytest.importorskip("chainrule.graph.emit.llvm")


@pytest.mark.parametrize("case", [case for order, case in ORDERS if order is first], ids=repr)
def test_every_row_and_its_gradient_are_as_eager(case: Case) -> None:
    arrays = case.drawn()
    graph, expected = traced(first(case), arrays)
    compiled = llvm.build(graph, keep=False)
    for _ in range(2):  # the second call finds what the first one left in memory
        assert_agree(compiled(arrays), expected, 1e-12)


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError):
        assert_agree([np.float64(1 + 1e-11)], [np.float64(1)], 1e-12)


@settings(max_examples=60)
@given(OF_EVERY_LENGTH)
def test_random_programs_and_their_gradients(drawn: Any) -> None:
    program = decoded(drawn)
    f = cr.value_and_grad(lambda *inputs: run(program, inputs), tuple(range(len(INPUTS))))
    graph, expected = traced(f, INPUTS)
    assert_agree(llvm.build(graph, keep=False)(INPUTS), expected, 1e-12)


def special(dtype: Any) -> Any:
    """NaN, infinities, zeros of both signs, subnormal, large and usual numbers."""
    limits = np.finfo(dtype)
    small, large = limits.smallest_subnormal, limits.max
    return np.array(
        [np.nan, np.inf, -np.inf, 0.0, -0.0, small, -small, 40 * small, large, -large, 1.0, -2.5, 0.5, 7.0],
        dtype,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["maximum", "minimum", "add", "multiply", "divide", "remainder", "copysign", "fmax",
                                  "fmin", "less", "equal", "not_equal", "greater_equal"])  # fmt: skip
def test_two_operands_with_nan_and_infinity(name: str, dtype: Any) -> None:
    x, y = np.meshgrid(special(dtype), special(dtype))
    graph, expected = traced(lambda x, y: getattr(cr.ops, name)(x, y), [x, y])
    (found,) = llvm.build(graph, keep=False)([x, y])
    np.testing.assert_array_equal(found, expected[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["abs", "sign", "floor", "ceil", "trunc", "square", "sqrt", "reciprocal", "isnan",
                                  "isinf", "isfinite", "signbit", "negative", "round", "relu"])  # fmt: skip
def test_one_operand_with_nan_and_infinity(name: str, dtype: Any) -> None:
    x = special(dtype)
    graph, expected = traced(lambda x: getattr(cr.ops, name)(x), [x])
    (found,) = llvm.build(graph, keep=False)([x])
    np.testing.assert_array_equal(found, expected[0])


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "any", "all", "argmax", "argmin",
                                  "count_nonzero", "cumulative_sum", "cumulative_prod"])  # fmt: skip
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(40, 3), (3, 40), (7, 5), (1, 4), (9, 2000)])
def test_reductions_along_each_axis(name: str, axis: int, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    x[0, 1] = np.nan
    for values in (x, np.nan_to_num(x), np.rint(np.nan_to_num(x) * 3).astype(int), np.nan_to_num(x) > 0):
        if values.dtype == bool and name in ("mean",):
            continue
        graph, expected = traced(lambda v: getattr(cr.ops, name)(v, axis=axis), [values])
        assert_agree(llvm.build(graph, keep=False)([values]), expected, 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(
    ("x", "y"),
    [((5, 7), (7, 3)), ((64, 20), (20, 64)), ((33, 17), (17, 100)), ((150, 4), (4, 2)), ((7,), (7, 40)),
     ((40, 7), (7,)), ((9,), (9,)), ((6, 33, 5), (5, 18)), ((2, 1, 4, 5), (3, 5, 6)), ((0, 4), (4, 3)),
     ((3, 0), (0, 5)), ((1, 1), (1, 1))],
)  # fmt: skip
def test_products_of_all_layouts(x: tuple[int, ...], y: tuple[int, ...], dtype: Any) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(-4, 5, s).astype(dtype) for s in (x, y))
    turned = [np.swapaxes(v, -1, -2).copy() if v.ndim > 1 else v for v in (a, b)]

    def f(a: Any, b: Any, at: Any, bt: Any) -> Any:
        mt = [np.swapaxes(v, -1, -2) if v.ndim > 1 else v for v in (at, bt)]
        return a @ b, mt[0] @ b, a @ mt[1], np.tanh(mt[0] * 0.1) @ np.tanh(mt[1] * 0.1)

    graph, expected = traced(f, [a, b, *turned])
    assert_agree(
        llvm.build(graph, keep=False)([a, b, *turned]), expected, 1e-12 if dtype != np.float32 else 1e-5
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_cut_to_integers_natively(dtype: Any) -> None:
    """What an index is made of; numbers that no integer is near become the least, as NumPy has it on x86."""
    x = np.array([1.9, -1.9, 0.0, -0.0, 3e9, -(2.0**62), -(2.0**63)], dtype)
    fast = cr.compile(lambda x: cr.ops.astype(x, np.int64), cache=False)
    np.testing.assert_array_equal(fast(x), x.astype(np.int64), strict=True)
    beyond = np.array([2.0**63, 1e30, -1e30, np.inf, -np.inf, np.nan, -np.nan], dtype)
    assert beyond.shape == x.shape, "compiled already, for numbers that are no reason for a warning"
    np.testing.assert_array_equal(fast(beyond), np.full(7, np.iinfo(np.int64).min))
    assert "computed by NumPy" not in str(fast.report())
