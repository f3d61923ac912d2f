"""Printing: PyTorch's `repr`, character for character."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.torch import printing
from chainrule.torch.printing import parameter_text, text

torch = pytest.importorskip("torch")

SHAPES = (
    (), (1,), (3,), (20,), (100,), (1000,), (1001,), (2, 3), (3, 20), (1, 50), (0,), (0, 3), (2, 0, 3),
    (2, 3, 4), (1, 1, 1), (40, 40), (7, 200), (200, 7), (6, 6, 40), (2, 2, 2, 2), (11, 3, 50), (1, 2000),
    (2000, 1), (5, 1, 300),
)  # fmt: skip
KINDS = ("f2", "f4", "f8", "c8", "c16", "b", "i1", "i4", "i8", "u1")
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"precision": 2},
    {"precision": 0},
    {"profile": "short"},
    {"profile": "full"},
    {"linewidth": 40},
    {"linewidth": 200, "edgeitems": 1, "threshold": 10},
    {"sci_mode": True},
    {"sci_mode": False},
    {"edgeitems": 0, "threshold": 50},
    {"edgeitems": 5, "threshold": 0},
)


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    yield
    torch.set_printoptions(profile="default")
    printing.set_printoptions(profile="default")


def numbers(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of one scale or of many, integers, zeros, infinities, nan."""
    x = np.asarray(random.normal(size=shape))
    some = random.random(shape) < 0.3
    return np.asarray(
        [
            lambda: x,
            lambda: abs(x),
            lambda: x * 10.0 ** random.integers(-12, 12),
            lambda: x * 10.0 ** random.integers(-40, 40),
            lambda: x * 10.0 ** random.integers(-6, 6, shape),
            lambda: np.rint(x * 10.0 ** random.integers(0, 12)),
            lambda: np.where(some, np.nan, x),
            lambda: np.where(some, np.sign(x) * np.inf, np.rint(x * 5)),
            lambda: np.where(some, 0, x * 10.0 ** random.integers(-6, 6)),
            lambda: x * 0,
            lambda: np.full(shape, np.nan),
        ][random.integers(11)]()
    )


def elements(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        x = numbers(random, shape)
        if kind in ("c8", "c16"):
            return np.asarray(x + 1j * numbers(random, shape)).astype(kind)
        if kind in ("f2", "f4", "f8", "b"):
            return x.astype(kind)
        limits = np.iinfo(kind)
        return np.clip(np.nan_to_num(x), limits.min // 2, limits.max // 2).astype(kind)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_many_scales(kind: str, options: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    torch.set_printoptions(**options)
    printing.set_printoptions(**options)
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    for shape in SHAPES:
        for _ in range(2):
            x = elements(random, shape, kind)
            assert text(x) == repr(torch.tensor(x))


@settings(max_examples=300)
@given(
    st.lists(st.floats(width=32) | st.integers(-(10**9), 10**9), min_size=1, max_size=30),
    st.sampled_from(["f4", "f8"]),
)
def test_any_numbers(values: list[float], kind: str) -> None:
    x = np.array(values, kind)
    assert text(x) == repr(torch.tensor(x))


def test_what_stands_behind_the_numbers() -> None:
    random = np.random.default_rng(1)
    for shape in SHAPES[:9] * 10:
        leaf = torch.tensor(elements(random, shape, random.choice(["f4", "f8", "c8"])), requires_grad=True)
        for tensor in (leaf, leaf * 2, torch.exp(leaf), leaf.sum()):
            name = None if tensor.is_leaf else type(tensor.grad_fn).__name__
            data = tensor.detach().numpy()
            assert text(data, requires_grad=tensor.requires_grad, grad_fn=name) == repr(tensor)
        parameter = torch.nn.Parameter(leaf.detach())
        assert parameter_text(leaf.detach().numpy()) == repr(parameter)
