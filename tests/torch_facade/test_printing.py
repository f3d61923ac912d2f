"""Printing: what PyTorch 2.13 printed, recorded, so that these tests run without it."""

import numpy as np
import pytest

from chainrule.torch import printing
from chainrule.torch.printing import parameter_text, text

NAMES = {"np": np, "f4": np.float32, "f8": np.float64, "inf": np.inf, "nan": np.nan}

RECORDED = (
    (
        "f4(8)",
        """\
tensor(8.)""",
    ),
    (
        "f8(8)",
        """\
tensor(8., dtype=torch.float64)""",
    ),
    (
        "f4([])",
        """\
tensor([])""",
    ),
    (
        "np.zeros((0, 3), f4)",
        """\
tensor([], size=(0, 3))""",
    ),
    (
        "np.zeros(0, np.int64)",
        """\
tensor([], dtype=torch.int64)""",
    ),
    (
        "np.zeros((2, 0), bool)",
        """\
tensor([], size=(2, 0), dtype=torch.bool)""",
    ),
    (
        "np.zeros((0, 1), np.complex64)",
        """\
tensor([], size=(0, 1), dtype=torch.complex64)""",
    ),
    (
        "f4([1, 2.5, -3])",
        """\
tensor([ 1.0000,  2.5000, -3.0000])""",
    ),
    (
        "f8([0.1, -22.25])",
        """\
tensor([  0.1000, -22.2500], dtype=torch.float64)""",
    ),
    (
        "f4([[1, 2], [3, 4]])",
        """\
tensor([[1., 2.],
        [3., 4.]])""",
    ),
    (
        "f4([1e-5, 1])",
        """\
tensor([1.0000e-05, 1.0000e+00])""",
    ),
    (
        "f4([1e9, 1])",
        """\
tensor([1.0000e+09, 1.0000e+00])""",
    ),
    (
        "f4([1, 2000])",
        """\
tensor([1.0000e+00, 2.0000e+03])""",
    ),
    (
        "f4([0.5, 1000])",
        """\
tensor([5.0000e-01, 1.0000e+03])""",
    ),
    (
        "f4(1e-5)",
        """\
tensor(1.0000e-05)""",
    ),
    (
        "f4([nan, 1])",
        """\
tensor([nan, 1.])""",
    ),
    (
        "f4([inf, -inf, nan])",
        """\
tensor([inf, -inf, nan])""",
    ),
    (
        "f4([inf, 1.5])",
        """\
tensor([   inf, 1.5000])""",
    ),
    (
        "f4([0, -0.0])",
        """\
tensor([0., -0.])""",
    ),
    (
        "f4([0, 0.25])",
        """\
tensor([0.0000, 0.2500])""",
    ),
    (
        "f4(1234567)",
        """\
tensor(1234567.)""",
    ),
    (
        "f4(12345.678)",
        """\
tensor(12345.6777)""",
    ),
    (
        "f4(nan)",
        """\
tensor(nan)""",
    ),
    (
        "np.float16([0.1, 65504])",
        """\
tensor([9.9976e-02, 6.5504e+04], dtype=torch.float16)""",
    ),
    (
        "np.array(True)",
        """\
tensor(True)""",
    ),
    (
        "np.array([True, False])",
        """\
tensor([ True, False])""",
    ),
    (
        "np.array([1, -20, 300])",
        """\
tensor([  1, -20, 300])""",
    ),
    (
        "np.array([[1], [-7]], np.int32)",
        """\
tensor([[ 1],
        [-7]], dtype=torch.int32)""",
    ),
    (
        "np.array(-3)",
        """\
tensor(-3)""",
    ),
    (
        "np.complex64([1 + 2j, -3.5j])",
        """\
tensor([1.+2.0000j, -0.-3.5000j])""",
    ),
    (
        "np.complex64([1 - 2j, 30])",
        """\
tensor([ 1.-2.j, 30.+0.j])""",
    ),
    (
        "np.complex64(1 - 1j)",
        """\
tensor(1.-1.j)""",
    ),
    (
        "np.complex128([nan + inf * 1j, -0.0 - 0.0j])",
        """\
tensor([nan+infj, -0.+0.j], dtype=torch.complex128)""",
    ),
    (
        "f4([0.5] * 12)",
        """\
tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,
        0.5000, 0.5000, 0.5000])""",
    ),
    (
        "np.arange(30)",
        """\
tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])""",
    ),
    (
        "f4([-1.5] * 11).reshape(1, 11)",
        """\
tensor([[-1.5000, -1.5000, -1.5000, -1.5000, -1.5000, -1.5000, -1.5000, -1.5000,
         -1.5000, -1.5000, -1.5000]])""",
    ),
    (
        "np.arange(12, dtype=f4).reshape(2, 2, 3) / 4",
        """\
tensor([[[0.0000, 0.2500, 0.5000],
         [0.7500, 1.0000, 1.2500]],

        [[1.5000, 1.7500, 2.0000],
         [2.2500, 2.5000, 2.7500]]])""",
    ),
    (
        "np.arange(8).reshape(2, 2, 2, 1)",
        """\
tensor([[[[0],
          [1]],

         [[2],
          [3]]],


        [[[4],
          [5]],

         [[6],
          [7]]]])""",
    ),
    (
        "np.arange(1001)",
        """\
tensor([   0,    1,    2,  ...,  998,  999, 1000])""",
    ),
    (
        "np.arange(1001, dtype=f4) / 8",
        """\
tensor([  0.0000,   0.1250,   0.2500,  ..., 124.7500, 124.8750, 125.0000])""",
    ),
    (
        "np.arange(2000, dtype=f4).reshape(10, 10, 20) - 999.5",
        """\
tensor([[[-999.5000, -998.5000, -997.5000,  ..., -982.5000, -981.5000,
          -980.5000],
         [-979.5000, -978.5000, -977.5000,  ..., -962.5000, -961.5000,
          -960.5000],
         [-959.5000, -958.5000, -957.5000,  ..., -942.5000, -941.5000,
          -940.5000],
         ...,
         [-859.5000, -858.5000, -857.5000,  ..., -842.5000, -841.5000,
          -840.5000],
         [-839.5000, -838.5000, -837.5000,  ..., -822.5000, -821.5000,
          -820.5000],
         [-819.5000, -818.5000, -817.5000,  ..., -802.5000, -801.5000,
          -800.5000]],

        [[-799.5000, -798.5000, -797.5000,  ..., -782.5000, -781.5000,
          -780.5000],
         [-779.5000, -778.5000, -777.5000,  ..., -762.5000, -761.5000,
          -760.5000],
         [-759.5000, -758.5000, -757.5000,  ..., -742.5000, -741.5000,
          -740.5000],
         ...,
         [-659.5000, -658.5000, -657.5000,  ..., -642.5000, -641.5000,
          -640.5000],
         [-639.5000, -638.5000, -637.5000,  ..., -622.5000, -621.5000,
          -620.5000],
         [-619.5000, -618.5000, -617.5000,  ..., -602.5000, -601.5000,
          -600.5000]],

        [[-599.5000, -598.5000, -597.5000,  ..., -582.5000, -581.5000,
          -580.5000],
         [-579.5000, -578.5000, -577.5000,  ..., -562.5000, -561.5000,
          -560.5000],
         [-559.5000, -558.5000, -557.5000,  ..., -542.5000, -541.5000,
          -540.5000],
         ...,
         [-459.5000, -458.5000, -457.5000,  ..., -442.5000, -441.5000,
          -440.5000],
         [-439.5000, -438.5000, -437.5000,  ..., -422.5000, -421.5000,
          -420.5000],
         [-419.5000, -418.5000, -417.5000,  ..., -402.5000, -401.5000,
          -400.5000]],

        ...,

        [[ 400.5000,  401.5000,  402.5000,  ...,  417.5000,  418.5000,
           419.5000],
         [ 420.5000,  421.5000,  422.5000,  ...,  437.5000,  438.5000,
           439.5000],
         [ 440.5000,  441.5000,  442.5000,  ...,  457.5000,  458.5000,
           459.5000],
         ...,
         [ 540.5000,  541.5000,  542.5000,  ...,  557.5000,  558.5000,
           559.5000],
         [ 560.5000,  561.5000,  562.5000,  ...,  577.5000,  578.5000,
           579.5000],
         [ 580.5000,  581.5000,  582.5000,  ...,  597.5000,  598.5000,
           599.5000]],

        [[ 600.5000,  601.5000,  602.5000,  ...,  617.5000,  618.5000,
           619.5000],
         [ 620.5000,  621.5000,  622.5000,  ...,  637.5000,  638.5000,
           639.5000],
         [ 640.5000,  641.5000,  642.5000,  ...,  657.5000,  658.5000,
           659.5000],
         ...,
         [ 740.5000,  741.5000,  742.5000,  ...,  757.5000,  758.5000,
           759.5000],
         [ 760.5000,  761.5000,  762.5000,  ...,  777.5000,  778.5000,
           779.5000],
         [ 780.5000,  781.5000,  782.5000,  ...,  797.5000,  798.5000,
           799.5000]],

        [[ 800.5000,  801.5000,  802.5000,  ...,  817.5000,  818.5000,
           819.5000],
         [ 820.5000,  821.5000,  822.5000,  ...,  837.5000,  838.5000,
           839.5000],
         [ 840.5000,  841.5000,  842.5000,  ...,  857.5000,  858.5000,
           859.5000],
         ...,
         [ 940.5000,  941.5000,  942.5000,  ...,  957.5000,  958.5000,
           959.5000],
         [ 960.5000,  961.5000,  962.5000,  ...,  977.5000,  978.5000,
           979.5000],
         [ 980.5000,  981.5000,  982.5000,  ...,  997.5000,  998.5000,
           999.5000]]])""",
    ),
    (
        "np.arange(1200).reshape(2, 600)",
        """\
tensor([[   0,    1,    2,  ...,  597,  598,  599],
        [ 600,  601,  602,  ..., 1197, 1198, 1199]])""",
    ),
    (
        "f8([1e-3] * 5)",
        """\
tensor([0.0010, 0.0010, 0.0010, 0.0010, 0.0010], dtype=torch.float64)""",
    ),
    (
        "np.arange(27).reshape(9, 3) * 1j",
        """\
tensor([[0.+0.j, 0.+1.j, 0.+2.j],
        [0.+3.j, 0.+4.j, 0.+5.j],
        [0.+6.j, 0.+7.j, 0.+8.j],
        [0.+9.j, 0.+10.j, 0.+11.j],
        [0.+12.j, 0.+13.j, 0.+14.j],
        [0.+15.j, 0.+16.j, 0.+17.j],
        [0.+18.j, 0.+19.j, 0.+20.j],
        [0.+21.j, 0.+22.j, 0.+23.j],
        [0.+24.j, 0.+25.j, 0.+26.j]], dtype=torch.complex128)""",
    ),
)

WITH_OPTIONS = (
    (
        "np.pi * np.arange(4)",
        "precision=2",
        """\
tensor([0.00, 3.14, 6.28, 9.42], dtype=torch.float64)""",
    ),
    (
        "f4([1e-7, 2])",
        "sci_mode=False",
        """\
tensor([0.0000, 2.0000])""",
    ),
    (
        "f4([1, 2])",
        "sci_mode=True",
        """\
tensor([1.0000e+00, 2.0000e+00])""",
    ),
    (
        "f4([0.5, 2])",
        "sci_mode=True, precision=1",
        """\
tensor([5.0e-01, 2.0e+00])""",
    ),
    (
        "np.arange(10)",
        "threshold=5",
        """\
tensor([0, 1, 2,  ..., 7, 8, 9])""",
    ),
    (
        "np.arange(10)",
        "threshold=5, edgeitems=1",
        """\
tensor([0,  ..., 9])""",
    ),
    (
        "np.arange(10)",
        "threshold=5, edgeitems=0",
        """\
tensor([...], size=(10,))""",
    ),
    (
        "np.arange(10).reshape(5, 2)",
        "threshold=5, edgeitems=0",
        """\
tensor([...], size=(5, 2))""",
    ),
    (
        "np.arange(20)",
        "linewidth=30",
        """\
tensor([ 0,  1,  2,  3,  4,
         5,  6,  7,  8,  9,
        10, 11, 12, 13, 14,
        15, 16, 17, 18, 19])""",
    ),
    (
        "np.arange(20)",
        "linewidth=5, threshold=5",
        """\
tensor([ 0,
         1,
         2,
         ...,
        17,
        18,
        19])""",
    ),
    (
        "np.arange(2000, dtype=f4) / 3",
        'profile="short"',
        """\
tensor([0.00e+00, 3.33e-01,  ..., 6.66e+02, 6.66e+02])""",
    ),
    (
        "f4([1.25])",
        "precision=0",
        """\
tensor([1])""",
    ),
)


@pytest.fixture(autouse=True)
def default_options():
    printing.set_printoptions(profile="default")
    yield
    printing.set_printoptions(profile="default")


@pytest.mark.parametrize(("data", "expected"), RECORDED, ids=[row[0] for row in RECORDED])
def test_the_text_is_that_of_pytorch(data: str, expected: str) -> None:
    assert text(np.asarray(eval(data, NAMES))) == expected


@pytest.mark.parametrize(("data", "options", "expected"), WITH_OPTIONS)
def test_the_text_with_options(data: str, options: str, expected: str) -> None:
    with printing.printoptions(**eval(f"dict({options})")):
        assert text(np.asarray(eval(data, NAMES))) == expected
    assert printing.get_printoptions()["threshold"] == 1000


def test_default_types_are_not_told() -> None:
    double = {"default_dtype": np.dtype(np.float64), "default_complex": np.dtype(np.complex128)}
    assert text(np.ones(1), **double) == "tensor([1.])"
    assert text(np.ones(1, np.complex128), **double) == "tensor([1.+0.j])"
    assert text(np.ones(1, np.float32), **double) == "tensor([1.], dtype=torch.float32)"


def test_gradients() -> None:
    x = np.float32([1.25, 2])
    assert text(x, requires_grad=True) == "tensor([1.2500, 2.0000], requires_grad=True)"
    assert text(x, requires_grad=True, grad_fn="MulBackward0") == (
        "tensor([1.2500, 2.0000], grad_fn=<MulBackward0>)"
    )
    assert parameter_text(x, requires_grad=False) == "Parameter containing:\ntensor([1.2500, 2.0000])"
    assert text(x, prefix="Batch(") == "Batch([1.2500, 2.0000])"


def test_what_does_not_fit_into_the_line_comes_below() -> None:
    six = "tensor([1.2500, 1.2500, 1.2500, 1.2500, 1.2500, 1.2500]"
    seven = six[:-1] + ", 1.2500]"
    assert text(np.full(6, 1.25, np.float32), requires_grad=True) == f"{six}, requires_grad=True)"
    assert text(np.full(7, 1.25, np.float32), requires_grad=True) == f"{seven},\n       requires_grad=True)"
    assert text(np.full(6, 1.25), grad_fn="MulBackward0") == (
        f"{six}, dtype=torch.float64,\n       grad_fn=<MulBackward0>)"
    )
    assert text(np.full(7, 1.25), grad_fn="MulBackward0") == (
        f"{seven},\n       dtype=torch.float64, grad_fn=<MulBackward0>)"
    )


def test_options_are_kept_until_they_are_set_again() -> None:
    printing.set_printoptions(precision=2, sci_mode=False)
    printing.set_printoptions(linewidth=40)
    assert printing.get_printoptions() == {
        "precision": 2,
        "threshold": 1000,
        "edgeitems": 3,
        "linewidth": 40,
        "sci_mode": None,
    }
    printing.set_printoptions(profile="full", precision=1)
    assert printing.get_printoptions()["threshold"] == np.inf
    assert text(np.float32([0.25])) == "tensor([0.2])"
