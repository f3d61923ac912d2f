"""Every operation of PyTorch's own table that the façade has a name for."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real
from op_table import ENTRIES, Difference, check_entry, check_sample, reason_not_tried, samples

from chainrule import torch as ours

real.set_num_threads(1)
NAMED = [name for name in ENTRIES if reason_not_tried(name) is None]


@pytest.mark.parametrize("name", NAMED)
def test_entry(name: str) -> None:
    assert check_entry(ENTRIES[name]) > 0


def test_enough_entries_are_named() -> None:
    assert sum(ENTRIES[name].supports_autograd for name in NAMED) >= 300


# The comparison, compared with operations that are wrong.


def test_a_wrong_value_is_found() -> None:
    with pytest.raises(Difference, match="value"):
        check_sample(ENTRIES["sin"], ours.cos, next(samples(ENTRIES["sin"])))


def test_a_wrong_gradient_is_found() -> None:
    def constant_factor(x: ours.Tensor) -> ours.Tensor:
        return x * (x.detach().sin() / x.detach())

    with pytest.raises(Difference, match="gradient of input 0"):
        check_sample(ENTRIES["sin"], constant_factor, next(samples(ENTRIES["sin"])))


def test_a_wrong_second_gradient_is_found() -> None:
    class Sine(ours.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.slope = x.cos()
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.slope

    with pytest.raises(Difference, match="second gradient"):
        check_sample(ENTRIES["sin"], Sine.apply, next(samples(ENTRIES["sin"])))


def test_a_lost_gradient_is_found() -> None:
    def lost(x: ours.Tensor) -> ours.Tensor:
        return ours.from_numpy(np.sin(x.detach().numpy()))

    with pytest.raises(Difference, match="needs no gradient"):
        check_sample(ENTRIES["sin"], lost, next(samples(ENTRIES["sin"])))
