"""Copies between arrays that lie along different axes: in blocks, with all that is left over at their ends."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr

llvm = pytest.importorskip("chainrule.graph.emit.llvm")
from chainrule.graph.emit.llvm import program, turning  # noqa: E402

SHAPES = [(8, 8), (64, 64), (64, 10), (9, 17), (37, 53), (4, 16), (3, 40), (1, 100), (200, 301), (0, 100)]
DTYPES = [np.float32, np.float64, np.int64, np.int32, np.int16, np.uint8, bool]


def drawn(shape: tuple[int, ...], dtype: Any) -> Any:
    bits = np.random.default_rng(sum(shape)).integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
    return (bits % 2).view(bool)[..., 0] if dtype is bool else bits.view(dtype)[..., 0]


def turned(x: Any, axes: tuple[int, ...]) -> Any:
    kernel = llvm.build(cr.trace(lambda x: cr.ops.permute_dims(x, axes=axes), x), keep=False)
    return kernel([x])[0], kernel.llvm(False)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_element_arrives_bit_by_bit(shape: tuple[int, ...], dtype: Any) -> None:
    x = drawn(shape, dtype)
    found, text = turned(x, (1, 0))
    assert found.shape == shape[::-1]
    assert found.tobytes() == x.T.tobytes()
    if min(shape) >= 8:
        assert re.search(r"shufflevector <[48] x", text)


@pytest.mark.parametrize("shape", [(9, 17), (64, 11), (37, 53), (16, 16)], ids=str)
def test_loops_that_threads_share_copy_each_element_once(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    loops = turning.Blocks.loops

    def noted(self: Any) -> Any:
        for share, write in loops(self):
            shares.append(share)
            yield share, write

    monkeypatch.setattr(turning.Blocks, "loops", noted)
    monkeypatch.setattr(program, "WORTH_THREADS", 0)
    _, text = turned(drawn(shape, np.float64), (1, 0))
    assert sum(shares) == pytest.approx(1)
    assert len(shares) == text.count("define internal") == 1 + sum(n % 4 > 0 for n in shape)


@pytest.mark.parametrize("axes", [(0, 2, 1), (2, 1, 0), (1, 2, 0), (1, 0, 2), (2, 0, 1)], ids=str)
def test_more_axes(axes: tuple[int, ...]) -> None:
    x = drawn((5, 19, 26), np.float32)
    found, _ = turned(x, axes)
    assert found.tobytes() == x.transpose(axes).tobytes()


def test_a_part_of_an_array_is_turned_alone() -> None:
    x = drawn((40, 50), np.int64)

    def f(x: Any) -> Any:
        return cr.ops.permute_dims(x[3:36, 5:], axes=(1, 0))

    found = llvm.build(cr.trace(f, x), keep=False)([x])[0]
    np.testing.assert_array_equal(found, x[3:36, 5:].T)
