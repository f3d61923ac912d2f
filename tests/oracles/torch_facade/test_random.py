"""Random numbers: PyTorch, seeded alike, draws the same bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.torch import random as R  # noqa: N812
from chainrule.torch.generator import Generator

torch = pytest.importorskip("torch")

Draw = Callable[[int], Any]
KINDS = {
    np.dtype(name): getattr(torch, name)
    for name in (
        "float16", "float32", "float64", "complex64", "complex128",
        "int8", "int16", "int32", "int64", "uint8", "bool",
    )
}  # fmt: skip
SIZES = (0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 100, 1003)


def same(theirs: Any, ours: Any) -> bool:
    theirs = np.ascontiguousarray(theirs.numpy())
    return theirs.dtype == ours.dtype and theirs.shape == ours.shape and theirs.tobytes() == ours.tobytes()


def empty(kind: str, *shape: int) -> np.ndarray:
    return np.zeros(shape, kind)


def blank(kind: str, *shape: int) -> Any:
    return torch.zeros(shape, dtype=KINDS[np.dtype(kind)])


def seed(value: int) -> None:
    torch.manual_seed(value)
    R.manual_seed(value)


def states_agree() -> bool:
    return torch.get_rng_state().numpy().tobytes() == R.get_rng_state().numpy().tobytes()


@pytest.mark.parametrize("start", range(0, 51, 10))
def test_float32_and_integers_in_all_sizes_to_1000(start: int) -> None:
    """For each seed every tenth size, and for each size every tenth seed, in one stream."""
    for value in range(start, min(start + 10, 51)):
        seed(value)
        for size in range(1 + value % 10, 1001, 10):
            assert same(torch.rand(size), R.rand(size)), (value, size)
            assert same(torch.randn(size), R.randn(size)), (value, size)
            assert same(torch.randint(0, size, (size,)), R.randint(0, size, size)), (value, size)
            assert same(torch.randperm(size), R.randperm(size)), (value, size)
        assert states_agree()


def test_randn_from_a_fresh_seed_in_all_sizes_to_1000() -> None:
    for size in range(1, 1001):
        seed(size)
        assert same(torch.randn(size), R.randn(size)), size


@pytest.mark.parametrize("size", [10007, 300_000])
def test_large_arrays(size: int) -> None:
    seed(1)
    assert same(torch.randn(size), R.randn(size))
    assert same(torch.rand(size), R.rand(size))
    assert same(torch.randperm(size), R.randperm(size))
    assert same(torch.empty(size).uniform_(-0.3, 0.7), R.uniform_(empty("f4", size), -0.3, 0.7))


FLOATS = ("f2", "f4", "f8")
FILLED: list[tuple[str, tuple[Any, ...], tuple[str, ...]]] = [
    ("uniform_", (), (*FLOATS, "c8", "c16")),
    ("uniform_", (-1, 1), (*FLOATS, "c8")),
    ("uniform_", (-0.3, 0.3), FLOATS),
    ("uniform_", (0, 5.7), FLOATS),
    ("uniform_", (3, 3), FLOATS),
    ("normal_", (), (*FLOATS, "c8", "c16")),
    ("normal_", (1.3, 2.7), (*FLOATS, "c8")),
    ("normal_", (0, 0.02), FLOATS),
    ("normal_", (5.1, 0.0), FLOATS),
    ("bernoulli_", (0.3,), (*FLOATS, "i4", "b")),
    ("bernoulli_", (0.0,), ("f4",)),
    ("bernoulli_", (1.0,), ("f4",)),
    ("exponential_", (), FLOATS),
    ("exponential_", (0.3,), FLOATS),
    ("cauchy_", (), FLOATS),
    ("cauchy_", (3.1, 0.7), FLOATS),
    ("log_normal_", (), FLOATS),
    ("log_normal_", (0.1, 0.7), FLOATS),
    ("geometric_", (0.1,), (*FLOATS, "i8")),
    ("random_", (), (*FLOATS, "i1", "i2", "i4", "i8", "u1", "b")),
    ("random_", (0, 100), (*FLOATS, "i1", "i8", "u1")),
    ("random_", (0, None), (*FLOATS, "i1", "i2", "i4", "i8", "u1", "b")),
    ("random_", (-5, 2**28 - 5), ("i4", "i8", "f8")),
    ("random_", (-5, 2**28 - 6), ("i4", "i8", "f8")),
    ("random_", (-(2**63), None), ("i8",)),
    ("random_", (-(2**63), 2**63 - 1), ("i8",)),
    ("random_", (-100, 2**53), ("f8",)),
    ("random_", (-7, 2**24), ("f4",)),
]


@pytest.mark.parametrize(
    ("name", "arguments", "kind"), [(name, args, kind) for name, args, kinds in FILLED for kind in kinds]
)
def test_arrays_that_are_filled(name: str, arguments: tuple[Any, ...], kind: str) -> None:
    seed(7)
    for size in SIZES:
        ours = getattr(R, name)(empty(kind, size), *arguments)
        assert same(getattr(blank(kind, size), name)(*arguments), ours), size
    assert states_agree()


LAYOUTS: list[Callable[[Any], Any]] = [
    lambda x: x[:, :, 0].T,
    lambda x: x[::2, 1:, ::3],
    lambda x: x[0, 0, :1],
    lambda x: x.swapaxes(0, 2),
    lambda x: x.swapaxes(0, 1)[:, :1],
    lambda x: x[..., None].swapaxes(1, 3),
]


@pytest.mark.parametrize("layout", range(len(LAYOUTS)))
@pytest.mark.parametrize(
    "call", [("normal_",), ("uniform_", -1, 1), ("bernoulli_", 0.3), ("exponential_",), ("random_",)]
)
def test_views_are_filled_in_the_order_of_memory(layout: int, call: tuple[Any, ...]) -> None:
    name, *arguments = call
    seed(3)
    theirs, ours = blank("f4", 8, 5, 6), empty("f4", 8, 5, 6)
    getattr(LAYOUTS[layout](theirs), name)(*arguments)
    getattr(R, name)(LAYOUTS[layout](ours), *arguments)
    assert same(theirs, ours)
    assert states_agree()


rates = np.random.default_rng(0).random((5, 7))


@pytest.mark.parametrize("kind", FLOATS)
def test_parameters_that_are_arrays(kind: str) -> None:
    p = rates.astype(kind)
    t = torch.tensor(p)
    for value in range(5):
        seed(value)
        assert same(torch.bernoulli(t), R.bernoulli(p))
        assert same(torch.bernoulli(t.T), R.bernoulli(p.T))
        assert same(torch.empty(3, 5, 7).bernoulli_(t), R.bernoulli_(empty("f4", 3, 5, 7), p))
        assert same(torch.empty(7, 5).T.bernoulli_(t), R.bernoulli_(empty("f4", 7, 5).T, p))
        assert same(torch.normal(t, 0.7), R.normal(p, 0.7))
        assert same(torch.normal(0.7, t), R.normal(0.7, p))
        assert same(torch.normal(t[0], t), R.normal(p[0], p))
        assert same(torch.normal(t.T, t.T), R.normal(p.T, p.T))
        assert same(torch.poisson(t * 8), R.poisson(p * np.asarray(8, kind)))
        assert same(torch.poisson(t * 400), R.poisson(p * np.asarray(400, kind)))
        assert states_agree()


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize(("count", "replacement"), [(1, False), (3, False), (1, True), (6, True), (5, False)])
def test_multinomial(kind: str, count: int, replacement: bool) -> None:
    p = rates.astype(kind)
    for value in range(20):
        seed(value)
        for weights in (p, p[0], p.T):
            theirs = torch.multinomial(torch.tensor(weights), count, replacement)
            assert same(theirs, R.multinomial(weights, count, replacement))
        assert states_agree()


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize(
    "arguments",
    [(0, 1, -2, 2), (0, 0.02, -2, 2), (0, 1, -1, 1), (0, 1, 1, 2), (0, 1, 0.1, 0.3), (0, 0.02, -0.04, 0.04)],
)
def test_trunc_normal(arguments: tuple[float, ...], kind: str) -> None:
    init = torch.nn.init.trunc_normal_
    for value, shape in ((0, (40, 20)), (1, (3, 2))):
        seed(value)
        assert same(init(blank(kind, *shape), *arguments), R.trunc_normal_(empty(kind, *shape), *arguments))
        assert same(
            init(blank(kind, *shape).T, *arguments), R.trunc_normal_(empty(kind, *shape).T, *arguments)
        )
        assert states_agree()


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_dropout(p: float) -> None:
    seed(0)
    for turned in (False, True):
        x, y = torch.ones(7, 9), np.ones((7, 9), np.float32)
        dropped = torch.nn.functional.dropout(x.T if turned else x, p)
        assert same((dropped != 0).float(), R.dropout_mask(y.T if turned else y, p))
    assert states_agree()


STEPS: list[tuple[Draw, Draw]] = [
    (torch.rand, R.rand),
    (torch.randn, R.randn),
    (torch.randperm, R.randperm),
    (lambda n: torch.randn(n, dtype=torch.float64), lambda n: R.randn(n, np.float64)),
    (lambda n: torch.rand(n, dtype=torch.float64), lambda n: R.rand(n, np.float64)),
    (lambda n: torch.empty(2 * n)[::2].normal_(), lambda n: R.normal_(empty("f4", 2 * n)[::2])),
    (lambda n: torch.empty(n).log_normal_(), lambda n: R.log_normal_(empty("f4", n))),
    (lambda n: torch.randint(0, 2**40, (n,)), lambda n: R.randint(0, 2**40, n)),
]


@settings(max_examples=60)
@given(
    st.integers(-(2**63), 2**64 - 1),
    st.lists(
        st.tuples(st.sampled_from(STEPS), st.sampled_from([0, 1, 2, 3, 5, 15, 16, 17, 50, 700])), max_size=30
    ),
)
def test_interleaved_calls(value: int, steps: list[tuple[tuple[Draw, Draw], int]]) -> None:
    seed(value)
    assert torch.initial_seed() == R.initial_seed()
    for (theirs, ours), size in steps:
        assert same(theirs(size), ours(size))
        assert states_agree()
    resumed = torch.Generator()
    resumed.set_state(torch.from_numpy(R.get_rng_state().numpy()))
    ours = Generator().set_state(torch.get_rng_state().numpy())
    assert same(torch.randn(5, generator=resumed), R.randn(5, generator=ours))


def test_unseeded_generators_are_alike() -> None:
    assert same(torch.rand(9, generator=torch.Generator()), R.rand(9, generator=Generator()))
    assert torch.Generator().initial_seed() == Generator().initial_seed()
