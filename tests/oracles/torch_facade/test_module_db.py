"""Every module that chainrule.torch.nn names, on the inputs of PyTorch's own table of modules."""

from __future__ import annotations

import pytest
import torch as real
from module_table import ABSENT, ENTRIES, check_entry, check_errors

from chainrule.torch import nn

real.set_num_threads(1)


def test_what_is_absent_is_listed() -> None:
    assert {name for name in ENTRIES if name not in nn.__all__} == set(ABSENT)


@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in ABSENT])
def test_module(name: str) -> None:
    assert check_entry(name) > 0


@pytest.mark.parametrize(
    "name",
    [n for n, info in ENTRIES.items() if info.module_error_inputs_func is not None and n not in ABSENT],
)
def test_wrong_arguments(name: str) -> None:
    assert check_errors(name) > 0
