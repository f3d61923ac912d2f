"""Random programs in PyTorch: the same values, gradients and second derivatives, to 1e-8."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from derivatives import assert_equal, derivatives_of
from hypothesis import given, note, settings
from oracles.torch_names import TORCH, torch_derivatives
from random_programs import DRAWN, INPUTS, decoded, described, run

L = SimpleNamespace(**TORCH)


@given(DRAWN)
@settings(max_examples=300)
def test_random_programs_have_the_derivatives_of_pytorch(drawn: Any) -> None:
    program = decoded(drawn)
    note(described(program))
    theirs = torch_derivatives(lambda *x: run(program, x, L), INPUTS)
    # A steep program magnifies rounding: its second derivatives are sums of thousands of terms.
    assert_equal(derivatives_of(lambda *x: run(program, x), INPUTS), theirs, 1e-8)


def test_the_programs_use_what_pytorch_has() -> None:
    x = [torch.tensor(np.asarray(a)) for a in INPUTS]
    assert run(decoded([(i, i, i, i) for i in range(40)]), x, L).shape == ()
