"""Random numbers: those that PyTorch 2.13 drew, recorded, so that these tests run without it."""

import copy
import pickle
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from chainrule.errors import ChainruleError
from chainrule.torch import random as R  # noqa: N812
from chainrule.torch.generator import Generator
from chainrule.torch.rounding import fma_double, fma_single

float32 = np.float32


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, float32)


def ramp(count: int) -> np.ndarray:
    return np.arange(count, dtype=float32) / float32(count)


# What is called after manual_seed(0), the CRC-32 of PyTorch's bytes, and its first two numbers.
RECORDED = (
    ("rand(5)", 0x4F2E9A73),  # 0.4962566, 0.7682218
    ("rand((3, 1000))", 0x84BEED59),  # 0.4962566, 0.7682218
    ("rand(7, np.float64)", 0xD2B33C34),  # 0.9700530018065531, 0.707819864399788
    ("rand(5, np.complex64)", 0xA6709A42),  # (0.4962566+0.7682218j), (0.08847743+0.13203049j)
    ("rand(9, np.float16)", 0x9139B431),  # 0.4963379, 0.7680664
    ("randn(1)", 0x8F43C39D),  # 1.5409961
    ("randn(15)", 0xE6F537F6),  # 1.5409961, -0.2934289
    ("randn(16)", 0x8901A57A),  # -1.1258398, -1.1523602
    ("randn(17)", 0xA09A670F),  # -1.1258398, -1.6959312
    ("randn((10, 100))", 0xC9069C66),  # -1.1258398, -1.1523602
    ("randn(10007)", 0x1AB9C23D),  # -1.1258398, -1.1523602
    ("randn(33, np.float16)", 0x322C8718),  # -1.1259766, -1.1523438
    ("randn(20, np.complex64)", 0x5618C231),  # (-0.796089-0.8148417j), (-0.17718582-0.30679864j)
    ("uniform_(zeros(64, 3), -0.125, 0.3)", 0xBDED20C3),  # 0.08590905, 0.20149428
    ("normal_(zeros(9, 3), 1.5, 0.02)", 0xC9D3E150),  # 1.4774832, 1.4769528
    ("normal_(zeros(5, 8).T)", 0xA3412725),  # 1.5409961, -0.7192576
    ("uniform_(zeros(4, 2, 3).transpose(2, 0, 1))", 0xA7073C68),  # 0.4962566, 0.13203049
    ("normal(2.0, 0.5, (3, 4))", 0x0237F6F3),  # 2.770498, 1.8532856
    ("normal(ramp(6), 0.1)", 0xF7F77B36),  # 0.15409961, 0.13732378
    ("normal(1.0, ramp(18))", 0x261FDA78),  # 1.0, 0.93597996
    ("normal(ramp(18), ramp(18))", 0xFF91DD50),  # 0.0, -0.008464459
    ("randint(0, 10, (3, 50))", 0x1C1BE47B),  # 4, 9
    ("randint(-5, 2**28, 50)", 0x6397219E),  # 1139187, 17684937
    ("randint(-(2**63), 2**63 - 1, 50)", 0x0BF13F43),  # 900450186894289455, 3969543146641149120
    ("randint(0, 100, 20, np.uint8)", 0xE2EDB98C),  # 44, 39
    ("randint(0, 2**24 + 9, 20, np.float32)", 0xCCFB3EA6),  # 8.324544e+06, 1.2887264e+07
    ("random_(np.zeros(20, np.int32))", 0xA99B4507),  # 209652396, 398764591
    ("random_(np.zeros(20, np.int64))", 0xC8DA91DA),  # 900450186894289455, 3969543146641149120
    ("random_(zeros(20))", 0xCB53597F),  # 8.325664e+06, 1.2888472e+07
    ("random_(np.zeros(20, np.int64), -(2**63))", 0x15046268),  # -8322921849960486353, -5253828890213626688
    ("random_(np.zeros(20, np.int8), 100)", 0xF2CA9DD6),  # 104, 103
    ("randperm(10)", 0x7042CF3F),  # 4, 1
    ("randperm(3000)", 0x8F7DCCAD),  # 44, 1272
    ("bernoulli_(zeros(100), 0.3)", 0x4760499F),  # 0.0, 0.0
    ("bernoulli_(zeros(3, 6), ramp(6))", 0x145CC607),  # 0.0, 0.0
    ("bernoulli(ramp(40))", 0xED115C65),  # 0.0, 0.0
    ("dropout_mask(zeros(5, 7), 0.5)", 0xD0B91183),  # 0.0, 0.0
    ("exponential_(zeros(50), 0.7)", 0x6BD04404),  # 5.0118947, 1.7576926
    ("cauchy_(zeros(50), 1.0, 2.0)", 0x8D77EFBB),  # 22.19546, 2.5295346
    ("log_normal_(zeros(51))", 0xE907FF2F),  # 59.263416, 1.51156
    ("geometric_(zeros(50), 0.2)", 0x27125B03),  # 1.0, 2.0
    ("trunc_normal_(zeros(50, 2))", 0xBB9BA2AD),  # -1.1258398, -1.1523602
    ("trunc_normal_(zeros(50), 0.0, 1.0, 1.0, 2.0)", 0x79C5C7A0),  # 1.9703746, 1.8369089
    ("poisson(ramp(9) * 40)", 0x3F5185BE),  # 0.0, 7.0
    ("multinomial(ramp(9), 4)", 0x9604E450),  # 6, 7
    ("multinomial(ramp(9), 1)", 0xA34DD6EE),  # 6
    ("multinomial(ramp(9), 20, True)", 0x2CF5A821),  # 8, 7
    ("multinomial(ramp(18).reshape(2, 9), 5, True)", 0x351C1AEF),  # 8, 7
)


@pytest.mark.parametrize(("call", "checksum"), RECORDED, ids=[row[0] for row in RECORDED])
def test_the_numbers_are_those_of_pytorch(call: str, checksum: int) -> None:
    R.manual_seed(0)
    drawn = eval(f"R.{call}", {"R": R, "np": np, "zeros": zeros, "ramp": ramp})
    assert zlib.crc32(np.ascontiguousarray(drawn).tobytes()) == checksum


def test_normal_numbers_in_float64_are_those_of_the_c_library() -> None:
    R.manual_seed(0)
    few, many = R.randn(3, np.float64), R.randn(17, np.float64)
    np.testing.assert_allclose(
        few, [1.5409961082440433, -0.2934289057609464, -2.1787893820745574], rtol=1e-15
    )
    np.testing.assert_allclose(
        many[:16:5],
        [-0.8840250045832653, 0.7335283685272841, -0.4484158047114511, -0.7498915228391941],
        rtol=1e-15,
    )


def test_calls_of_different_kinds_in_one_stream() -> None:
    R.manual_seed(42)
    drawn = [R.randn(3), R.rand(2), R.randn(2), R.randperm(4), R.randn(20), R.randn(1)]
    assert [float(x[-1]) for x in drawn] == [
        0.23446236550807953,
        0.13318592309951782,
        -2.466057062149048,
        1.0,
        1.1789509057998657,
        0.36228621006011963,
    ]


@pytest.mark.parametrize(
    ("seed", "first"),
    [
        (0, 0.4962566),
        (1, 0.7576316),
        (-1, 0.9937994),
        (4294967297, 0.7576316),
        (9223372036854775808, 0.4962566),
        (-9223372036854775808, 0.4962566),
        (18446744073709551615, 0.9937994),
    ],
)
def test_seeds_of_64_bits(seed: int, first: float) -> None:
    assert R.manual_seed(seed) is R.default_generator
    assert R.rand(1)[0] == float32(first)
    assert R.initial_seed() == seed % 2**64


def test_a_new_seed_cannot_be_foreseen() -> None:
    assert R.seed() == R.initial_seed() != R.seed()


def test_a_generator_starts_as_pytorchs_does() -> None:
    generator = Generator()
    assert generator.initial_seed() == 67280421310721
    assert R.rand(1, generator=generator)[0] == float32(0.26729524)
    assert generator.device.type == "cpu"
    assert repr(generator) == "<torch.Generator seed=67280421310721>"


@pytest.mark.parametrize(
    ("calls", "checksum"),
    [
        ([], 0xE2922ED1),
        ([3], 0x906277CE),
        ([3, 1], 0x0A02E497),
        ([3, 20], 0xD0425988),
        ([1000], 0x7A31DDBD),
        ([616, 16], 0x6274D6F8),
    ],
)
def test_states_are_stored_as_pytorchs(calls: list[int], checksum: int) -> None:
    R.manual_seed(5)
    for count in calls:
        R.randn(count)
    assert zlib.crc32(R.get_rng_state().numpy().tobytes()) == checksum


COPIES: list[Callable[[Generator], Generator]] = [
    copy.deepcopy,
    Generator.clone_state,
    lambda g: pickle.loads(pickle.dumps(g)),
    lambda g: Generator().set_state(g.get_state()),
]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("before", [0, 3, 16, 624, 1000])
def test_copies_continue_alike(copied: Callable[[Generator], Generator], before: int) -> None:
    generator = Generator().manual_seed(9)
    R.randn(before, generator=generator)
    other = copied(generator)
    for count in (1, 40, 700):
        np.testing.assert_array_equal(R.randn(count, generator=generator), R.randn(count, generator=other))


def test_fork_rng_undoes_what_is_drawn_inside() -> None:
    R.manual_seed(1)
    expected = R.rand(3)
    R.manual_seed(1)
    with R.fork_rng():
        R.randn(5)
    np.testing.assert_array_equal(R.rand(3), expected)
    with R.fork_rng(enabled=False):
        R.manual_seed(1)
    np.testing.assert_array_equal(R.rand(3), expected)


def test_samplers_fill_views_in_place() -> None:
    base = zeros(4, 6)
    assert R.uniform_(base[:, ::2], 1.0, 2.0) is not None
    assert (base[:, ::2] >= 1).all()
    assert not base[:, 1::2].any()


def test_nothing_is_drawn_for_empty_arrays_and_certain_dropout() -> None:
    R.manual_seed(0)
    state = R.get_rng_state().numpy()
    assert R.randn(0).shape == R.randperm(0).shape == (0,)
    assert R.rand((2, 0)).shape == (2, 0)
    assert R.dropout_mask(zeros(4), 0.0).all()
    assert not R.dropout_mask((4,), 1.0).any()
    np.testing.assert_array_equal(R.get_rng_state().numpy(), state)


def test_numbers_that_a_type_has_no_place_for_are_infinite() -> None:
    assert np.isinf(R.log_normal_(np.zeros(4, np.float16), 50.0, 0.1)).all()
    assert np.isinf(R.log_normal_(zeros(4), 1000.0, 0.1)).all()


def test_truncation_warns_where_little_is_left() -> None:
    with pytest.warns(UserWarning, match="more than 2 std"):
        assert (R.trunc_normal_(zeros(5), 5.0, 1.0) <= 2).all()


ints, wide = np.zeros(3, np.int64), np.broadcast_to(zeros(3), (2, 3))
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: R.uniform_(zeros(3), 2.0, 1.0), RuntimeError, "from=2.0 > to=1.0"),
    (lambda: R.uniform_(zeros(3), 0.0, 1e300), RuntimeError, "out of range for float32"),
    (lambda: R.uniform_(zeros(3), -3e38, 3e38), RuntimeError, "to-from"),
    (lambda: R.rand(3, np.int64), NotImplementedError, "uniform_ is not implemented for tensors of int64"),
    (lambda: R.rand((2, -1)), RuntimeError, "negative dimension -1"),
    (lambda: R.randn(3, np.bool_), NotImplementedError, "normal_ is not implemented for tensors of bool"),
    (lambda: R.normal_(zeros(3), 0.0, -1.0), RuntimeError, "std >= 0.0, but found std -1"),
    (lambda: R.normal(1.0, -ramp(3)), RuntimeError, "all elements of std >= 0.0"),
    (lambda: R.normal(ramp(2), ramp(3)), RuntimeError, "do not fit together"),
    (lambda: R.normal(1.0, 2.0), RuntimeError, "needs a size"),
    (lambda: R.bernoulli_(zeros(3), 2.0), RuntimeError, "p to be in"),
    (lambda: R.bernoulli(ramp(3) * 9), RuntimeError, "all probabilities"),
    (lambda: R.bernoulli(ints), NotImplementedError, "bernoulli"),
    (lambda: R.bernoulli_(zeros(3), ramp(2)), RuntimeError, "cannot be expanded"),
    (lambda: R.exponential_(zeros(3), -1.0), RuntimeError, "lambda > 0.0"),
    (lambda: R.exponential_(ints), RuntimeError, "int64 cannot hold it"),
    (lambda: R.cauchy_(zeros(3), 0.0, -1.0), RuntimeError, "sigma > 0.0"),
    (lambda: R.cauchy_(ints), RuntimeError, "int64 cannot hold it"),
    (lambda: R.geometric_(zeros(3), 2.0), RuntimeError, "p to be in"),
    (lambda: R.log_normal_(zeros(3), 0.0, -1.0), RuntimeError, "std > 0.0"),
    (lambda: R.log_normal_(ints), NotImplementedError, "log_normal_"),
    (lambda: R.randint(3, 3, 2), RuntimeError, "from=3 >= to=3"),
    (lambda: R.randint(0, 300, 2, np.uint8), RuntimeError, "to - 1 is out of bounds for uint8: it is 299"),
    (lambda: R.randint(-1, 30, 2, np.uint8), RuntimeError, "from is out of bounds for uint8"),
    (lambda: R.randint(0, 10**6, 2, np.float16), RuntimeError, "out of bounds for float16"),
    (lambda: R.randint(0, 2, 2, np.complex64), NotImplementedError, "complex64"),
    (lambda: R.randperm(-1), RuntimeError, "non-negative"),
    (lambda: R.randperm(3000, np.uint8), RuntimeError, "cannot be told apart in uint8"),
    (lambda: R.poisson(-ramp(3)), RuntimeError, "non-negative"),
    (lambda: R.multinomial(-ramp(3), 1), RuntimeError, "element < 0"),
    (lambda: R.multinomial(ramp(3) + np.inf, 1, True), RuntimeError, "nan"),
    (lambda: R.multinomial(ramp(3), 4), RuntimeError, "cannot sample 4 of 3"),
    (lambda: R.multinomial(zeros(3), 2), RuntimeError, "sum of probabilities <= 0"),
    (lambda: R.multinomial(ramp(3), 0), RuntimeError, "n_sample <= 0"),
    (lambda: R.multinomial(ints + 1, 1), RuntimeError, "got int64"),
    (lambda: R.multinomial(zeros(1, 1, 1), 1), RuntimeError, "1 or 2 dimensions"),
    (lambda: R.uniform_(wide), RuntimeError, "single memory location"),
    (lambda: R.manual_seed(2**64), ValueError, "Overflow"),
    (lambda: Generator().manual_seed(3.5), RuntimeError, "expected an int as seed, but got float"),
    (lambda: Generator().set_state(zeros(5056)), TypeError, "ByteTensor"),
    (lambda: Generator().set_state(np.zeros(7, np.uint8)), RuntimeError, "5056 bytes but found 7"),
    (lambda: Generator().set_state(np.zeros(5056, np.uint8)), RuntimeError, "Invalid mt19937 state"),
    (lambda: Generator("cuda"), RuntimeError, "cuda"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED)
def test_bad_arguments_are_refused(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert isinstance(caught.value, ChainruleError)


def test_a_fused_operation_in_float32_rounds_once() -> None:
    # Just below the middle of two numbers; float64 has only the middle itself.
    a, b = float32([1 + 2**-23, -1 - 2**-23]), float32(2**-24 - 2**-47)
    c = float32([1 + 2**-23, -1 - 2**-23])
    np.testing.assert_array_equal(fma_single(a, b, c), c)
    np.testing.assert_array_equal(
        (a.astype(float) * float(b) + c).astype(float32), c + np.sign(c) * float32(2**-23)
    )


def test_a_fused_operation_in_float64_rounds_once() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 500))
    c = np.where(
        random.random(500) < 0.5,
        -a * b * (1 + random.integers(-4, 5, 500) * 2.0**-52),
        random.normal(size=500),
    )
    exact = [float(Fraction(x) * Fraction(y) + Fraction(z)) for x, y, z in zip(a, b, c, strict=True)]
    np.testing.assert_array_equal(fma_double(a, b, c), exact)
