"""Strides and padding that are forgotten in the backward pass of a convolution."""

from typing import Any

import numpy as np
import pytest

from chainrule.diagnosis import check

rng = np.random.default_rng(0)
K, STRIDE, PAD = 3, 2, 1


def loss(x: Any, w: Any) -> Any:
    padded = np.pad(x, PAD)
    out = np.stack([(padded[i : i + K] * w).sum() for i in range(0, len(padded) - K + 1, STRIDE)])
    return (out**2).sum()


def gradient(x: Any, w: Any, near: bool = False, part: slice = slice(PAD, -PAD), read: int = STRIDE) -> Any:
    padded, d_padded, d_w = np.pad(x, PAD), np.zeros(len(x) + 2 * PAD), np.zeros(K)
    for i, start in enumerate(range(0, len(padded) - K + 1, STRIDE)):
        d = 2 * (padded[start : start + K] * w).sum()
        place = i if near else start
        d_padded[place : place + K] += d * w
        d_w += d * padded[i * read : i * read + K]
    return d_padded[part], d_w


@pytest.mark.parametrize(
    ("mistake", "parameter"),
    [
        ({"near": True}, "x"),
        ({"part": slice(0, -2 * PAD)}, "x"),
        ({"part": slice(2 * PAD, None)}, "x"),
        ({"read": 1}, "w"),
    ],
    ids=["stride", "first", "last", "windows"],
)
def test_a_forgotten_stride_or_padding_is_named(mistake: dict[str, Any], parameter: str) -> None:
    args = rng.normal(size=9), rng.normal(size=K)
    report = check(loss, args, lambda x, w: gradient(x, w, **mistake))
    found = {f.parameter: f.code for f in report.findings}
    assert found == {"x": "CR000", "w": "CR000"} | {parameter: "CR131"}
    assert all(f.error_after is None or f.error_after < 1e-8 for f in report.findings)


def test_the_right_gradient_is_right() -> None:
    assert check(loss, (rng.normal(size=9), rng.normal(size=K)), gradient).ok
