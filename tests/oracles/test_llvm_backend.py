"""Native code against the engine, in full: float32, second derivatives, and the code for long programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import Case
from compiled.agreement import ORDERS, assert_agree, first, order_id, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import INPUTS, NUMBERS, decoded, run

import chainrule as cr

pytest.importorskip("llvmlite")
llvm = pytest.importorskip("chainrule.graph.emit.llvm")
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda d: d.__name__)
@pytest.mark.parametrize(("order", "case"), ORDERS, ids=order_id)
def test_every_row_is_as_eager(order: Any, case: Case, dtype: Any) -> None:
    arrays = case.drawn(dtype)
    graph, expected = traced(order(case), arrays)
    assert_agree(llvm.build(graph, keep=False)(arrays), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("case", [case for order, case in ORDERS if order is first], ids=repr)
def test_every_row_written_in_parts(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm.program, "MOST", 0)
    arrays = case.drawn()
    graph, expected = traced(first(case), arrays)
    assert_agree(llvm.build(graph, keep=False)(arrays), expected, 1e-12)


LONG = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=5, max_size=60)


@settings(max_examples=300)
@given(LONG)
def test_random_programs_and_their_gradients(drawn: Any) -> None:
    program = decoded(drawn)
    f = cr.value_and_grad(lambda *inputs: run(program, inputs), tuple(range(len(INPUTS))))
    graph, expected = traced(f, INPUTS)
    assert_agree(llvm.build(graph, keep=False)(INPUTS), expected, 1e-10)
