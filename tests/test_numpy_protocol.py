"""NumPy's functions on Tensors: values and gradients of each, options, refusals, and what is left alone."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy_examples import NUMBERS, ROWS, A, B, C, Row, V, changed, row
from numpy_table import DIFFERENTIABLE, PAGE, kind_of, kinds, page, same, supported

import chainrule as cr
from chainrule import numpy_protocol, ops
from chainrule.errors import (
    GradientLostError,
    GradientMismatch,
    InPlaceError,
    ModifiedError,
    ShapeError,
    UnsupportedError,
)  # fmt: skip
from chainrule.numpy_functions.arguments import name_of
from chainrule.numpy_functions.constants import CONSTANT
from chainrule.numpy_functions.ufuncs import UFUNCS

pytestmark = pytest.mark.filterwarnings("ignore::chainrule.errors.IndependentWarning")


def leaf(data: Any) -> cr.Tensor:
    return cr.Tensor(np.array(data), requires_grad=True)


def gradient(x: cr.Tensor) -> np.ndarray:
    assert x.grad is not None
    return np.asarray(x.grad.data)


# every function ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", ROWS, ids=[f"{i}-{r.name}" for i, r in enumerate(ROWS)])
def test_values_and_gradients_are_right(example: Row) -> None:
    assert kind_of(example)  # raises where a value or a gradient is wrong


@pytest.mark.parametrize("dtype", [np.float32, int, bool, complex])
@pytest.mark.filterwarnings("ignore")
def test_other_types_give_what_numpy_gives(dtype: Any) -> None:
    def run(example: Row, kind: Callable[..., Any], **options: Any) -> Any:
        return example.call(*(kind(a.astype(dtype), **options) for a in example.arrays))

    compared = 0
    for example in ROWS:
        try:
            expected = run(example, np.array)
        except (TypeError, ValueError):  # NumPy cannot do it
            continue
        found = run(example, cr.Tensor, requires_grad=dtype is np.float32)
        assert same(found, expected, tolerance=1e-3), f"{example.name} of {dtype.__name__}"
        compared += 1
    assert compared > 300


def test_the_table_of_functions_is_up_to_date() -> None:
    if not hasattr(np, "matvec"):
        pytest.skip("the table lists functions that this NumPy lacks")
    assert page() == PAGE.read_text(encoding="utf-8"), "run: python tests/numpy_table.py"


def test_there_are_at_least_200_functions() -> None:
    assert len(supported()) >= 200
    assert list(kinds().values()).count(DIFFERENTIABLE) >= 200


def test_every_name_in_the_tables_is_a_function_of_numpy() -> None:
    named = [*numpy_protocol.OURS, *CONSTANT]
    found = {*numpy_protocol.FUNCTIONS.values(), *numpy_protocol.CONSTANT_FUNCTIONS.values()}
    assert set(named) == found
    assert all(isinstance(ufunc, np.ufunc) for ufunc in UFUNCS)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda x: ops.sinc(x.detach()) + 0.0 * x, GradientMismatch),
        (lambda x: ops.sinc(x) * (1 + 1e-9), AssertionError),
        (lambda x: ops.astype(ops.sinc(x), np.float32), AssertionError),
        (lambda x: ops.sinc(x).data, AssertionError),
    ],
    ids=["gradient", "value", "type", "no gradient"],
)
def test_a_wrong_function_is_found(
    wrong: Callable[..., Any], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    example = row(np.sinc, A / 10)
    kind_of(example)
    monkeypatch.setitem(numpy_protocol.OURS, "sinc", wrong)
    monkeypatch.setattr(numpy_protocol, "_calls", {})
    with pytest.raises(error):
        assert kind_of(example) == DIFFERENTIABLE


def test_an_example_of_another_function_is_found() -> None:
    with pytest.raises(AssertionError, match=r"the example of np\.cos calls only \['np\.sin'\]"):
        kind_of(Row("np.cos", np.sin, (A,)))


# operators and methods -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operate",
    [
        operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, divmod,
        operator.pow, operator.matmul, operator.lt, operator.ge, operator.eq, operator.ne,
    ],
)  # fmt: skip
def test_an_array_on_the_left_of_an_operator(operate: Callable[..., Any]) -> None:
    left, right = np.abs(A[:3, :3]) + 0.5, np.abs(B[:3, :3])
    assert same(operate(left, cr.Tensor(right)), operate(left, right))
    if operate is not operator.matmul:
        assert same(operate(np.float64(1.5), cr.Tensor(right)), operate(1.5, right))


def test_an_array_times_a_tensor_is_recorded() -> None:
    W = leaf(A.T)
    np.sum(B @ W).backward()
    assert np.allclose(gradient(W), np.repeat(B.sum(axis=0)[:, None], 3, axis=1))


def test_methods_of_an_array() -> None:
    t = leaf(A)
    for method, args in [("cumsum", ()), ("cumprod", (1,)), ("take", ([0, 5],)), ("take", ([0, 1], 1))]:
        assert same(getattr(t, method)(*args), getattr(A, method)(*args))


def test_arguments_by_position_and_by_name() -> None:
    t, expected = leaf(A), A.sum(axis=0, keepdims=True)
    assert same(np.sum(t, 0, None, None, True), expected)
    assert same(np.sum(a=t, axis=np.int64(0), keepdims=True, where=True), expected)
    assert same(np.reshape(t, np.int64(12)), A.ravel())


def test_lists_of_tensors_become_one_tensor() -> None:
    t, u = leaf(A), leaf(B)
    assert same(np.stack([t, u.detach(), B]), np.stack([A, B, B]))
    assert same(np.concatenate((A, u), axis=1), np.concatenate((A, B), axis=1))
    assert same(np.array([t, [*u]], like=t), np.array([A, B]))
    assert same(np.zeros((2, 3), like=t), np.zeros((2, 3)))
    np.sum(np.block([[t, u], [B, t]]) ** 2).backward()
    assert np.allclose(gradient(t), 4 * A)
    assert np.allclose(gradient(u), 2 * B)


def test_a_conversion_to_integers_has_no_gradient() -> None:
    t = leaf(A)
    assert not t.astype(int).requires_grad
    assert not np.astype(t, bool).requires_grad
    assert np.astype(t, np.float32).requires_grad


def test_functions_of_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    for name in ("expit", "erf", "gammaln", "psi", "log_expit"):
        function = getattr(special, name)
        assert same(function(leaf(np.abs(A))), function(np.abs(A)))
        cr.check_grads(function, (np.abs(A),), order=2)
    with pytest.raises(UnsupportedError, match="the ufunc ndtr has no derivative"):
        special.ndtr(leaf(A))
    assert same(special.ndtr(cr.Tensor(A)), special.ndtr(A))


# methods and options of universal functions --------------------------------------------------------------


@pytest.mark.parametrize(
    "example",
    [
        *[row(u.reduce, A) for u in (np.add, np.multiply, np.maximum, np.minimum, np.logaddexp)],
        *[row(u.reduce, C, axis=(0, 2), keepdims=True) for u in (np.add, np.multiply, np.maximum)],
        row(np.add.reduce, A, None, initial=2.0), row(np.maximum.reduce, A, initial=0.3),
        row(np.add.reduce, A, dtype=np.float32), row(np.logical_and.reduce, A),
        row(np.logical_or.reduce, A, axis=1),
        row(np.add.accumulate, A), row(np.multiply.accumulate, A, axis=1), row(np.add.outer, V, A),
        row(np.power.outer, np.abs(A), V), row(np.add, A, B, dtype=np.float32), row(np.add, A, 1, order="F"),
        row(np.exp, A, where=True, casting="same_kind", subok=True), row(np.vecdot, A, B, axis=0),
    ],
    ids=lambda example: example.name,
)  # fmt: skip
def test_methods_and_options_of_universal_functions(example: Row) -> None:
    expected = example.call(*example.arrays)
    assert same(example.call(*map(leaf, example.arrays)), expected, tolerance=1e-6)
    if expected.dtype == np.float64:
        cr.check_grads(example.call, example.arrays, order=2)


def added(x: Any, y: Any, at: Any = np.add.at) -> Any:
    return changed(at, x, np.array([0, 2, 2, 0, 1]), y)


@pytest.mark.parametrize("at", [np.add.at, np.subtract.at])
def test_adding_at_indices_that_repeat(at: Callable[..., Any]) -> None:
    y = np.arange(20.0).reshape(5, 4)
    cr.check_grads(lambda x, y: added(x, y, at), (A, y), order=2)
    cr.check_grads(lambda x, y: added(x, y, at) ** 2, (A, V), order=2)
    assert same(added(leaf(A), y, at), added(A, y, at))


def test_other_changes_at_indices_need_tensors_without_a_gradient() -> None:
    t = cr.Tensor(A.copy())
    np.multiply.at(t, [0, 0], 2.0)
    np.negative.at(t, 1)
    assert np.allclose(t.data, A * np.array([[4.0], [-1.0], [1.0]]))
    assert t.version == 2


def test_a_tensor_takes_the_result() -> None:
    def doubled(x: Any) -> Any:
        y = x * 1.0
        assert np.add(y, y, out=y) is y
        z = np.zeros_like(y)
        np.cumsum(y * y, axis=1, out=z)
        np.multiply(z, y, z)
        parts = (np.zeros_like(y), None)
        fraction, _ = np.modf(z, out=parts)
        assert fraction is parts[0]
        np.sum(y, axis=0, out=z[0])
        return z + fraction

    assert same(doubled(leaf(A)), doubled(A))
    cr.check_grads(doubled, (A,), order=2)


def test_an_array_takes_a_result_that_needs_no_gradient() -> None:
    w, t = A.copy(), leaf(A)
    (t * t).sum().backward()
    before = w
    w -= 0.1 * t.grad
    assert w is before
    assert np.allclose(w, 0.8 * A)
    with cr.no_grad():
        w += t
        assert np.sum(t, axis=0, out=w[0]) is not t
    assert np.allclose(w[1:], 1.8 * A[1:])
    assert np.allclose(w[0], A.sum(axis=0))
    np.add(w, cr.Tensor(1.0), out=w, where=NUMBERS > 100)
    assert np.allclose(w[1:], 1.8 * A[1:])


def test_what_numpy_writes_is_known_to_the_sweep() -> None:
    w = np.ones(3)
    x, frozen = leaf([1.0, 2.0, 3.0]), cr.Tensor(w)
    for change in (
        lambda: operator.iadd(w, cr.Tensor(1.0)),
        lambda: np.copyto(frozen, 2.0),
        lambda: np.copyto(w, frozen * 2),
        lambda: np.add.at(w, 0, cr.Tensor(1.0)),
        lambda: np.sum(cr.Tensor(A), out=w[:1].reshape(())),
    ):
        y = x * frozen
        change()
        with pytest.raises(ModifiedError, match=r"changed at .*test_numpy_protocol"):
            y.sum().backward()


# refusals ------------------------------------------------------------------------------------------------

REFUSED: list[tuple[Callable[..., Any], str]] = [
    (np.fft.fft, r"np\.fft\.fft has no derivative here.*t\.detach\(\).*cr\.primitive"),
    (np.i0, r"np\.i0 has no derivative here"),
    (np.linalg.eigvals, r"nearest that has one: np\.linalg\.eigvalsh"),
    (lambda t: np.polymul(t, t), r"nearest that has one: np\.convolve"),
    (lambda t: np.nextafter(t, 1.0), r"np\.nextafter has no derivative here"),
    (
        lambda t: np.add(t, 1, where=t > 0),
        r"np\.add\(where=bool of shape \(3, 3\)\).*np\.where\(mask, x, other\)",
    ),
    (lambda t: np.add(t, 1, dtype=int), r"np\.add\(dtype='int64'\).*\.astype\(dtype\)"),
    (lambda t: np.add(t, 1, casting="unsafe"), r"np\.add\(casting='unsafe'\).*\.astype"),
    (lambda t: np.matmul(t, t, axes=[(0, 1)] * 3), r"np\.matmul\(axes="),
    (lambda t: np.add.reduce(t, where=t > 0), r"np\.add\.reduce\(where="),
    (np.fmax.reduce, r"np\.fmax\.reduce has no derivative here.*np\.maximum\.reduce"),
    (np.maximum.accumulate, r"np\.maximum\.accumulate has.*np\.add\.accumulate"),
    (lambda t: np.add.reduceat(t, [0, 1]), r"np\.add\.reduceat has.*np\.add\.reduce"),
    (lambda t: np.multiply.at(t * 1, 0, 2.0), r"np\.multiply\.at has.*np\.add\.at, np\.subtract\.at"),
    (
        lambda t: np.median(t, overwrite_input=True),
        r"np\.median\(overwrite_input=True\).*arguments: a, axis, keep",
    ),
    (lambda t: np.cov(t, aweights=[1, 2, 3]), r"np\.cov\(aweights=\[1, 2, 3\]\).*np\.average"),
    (lambda t: np.var(t, mean=0.0), r"np\.var\(mean=0\.0\).*it is computed"),
    (lambda t: np.linalg.eigh(t, "U"), r"np\.linalg\.eigh\(UPLO='U'\).*transpose the matrix"),
    (lambda t: np.interp(t[0], [0, 1], [0, 1], period=2), r"np\.interp\(period=2\).*np\.mod"),
    (lambda t: np.nan_to_num(t, copy=False), r"np\.nan_to_num\(copy=False\).*is a new Tensor"),
    (lambda t: np.pad(t, 1, "mean"), r"np\.pad\(mode='mean'\) has no derivative here; use constant, edge"),
    (lambda t: np.pad(t, 1, "linear_ramp", end_values=1), r"np\.pad\(end_values=1\)"),
    (lambda t: np.reshape(t, -1, order="A"), r"np\.reshape\(order='A'\).*order='C' or order='F'"),
    (lambda t: np.linalg.svd(t[:2]), r"full_matrices=False"),
    (lambda t: np.linalg.qr(t, "complete"), r"mode='reduced'"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message[:28] for _, message in REFUSED])
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_derivative_is_refused_only_where_one_is_needed(
    call: Callable[..., Any], message: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"(?s){message}"):
        call(leaf(A[:, :3]))
    try:
        expected = call(A[:, :3].copy())
    except (TypeError, ValueError):  # NumPy refuses it too
        return
    if "where" not in message:  # what is not chosen is uninitialized
        assert same(call(cr.Tensor(A[:, :3])), expected)
    with cr.no_grad():
        call(leaf(A[:, :3]))


LOST: list[tuple[Callable[..., Any], str]] = [
    (np.asarray, r"about to become a NumPy array"),
    (lambda t: np.array([t, t]), r"np\.stack"),
    (lambda t: np.array([t[0], 1.0], dtype=object).astype(float), r"np\.stack"),
    (lambda t: np.mean([t, t]), r"np\.stack"),
    (lambda t: np.vectorize(np.sin)(t), r"NumPy functions on the Tensor itself"),
    (lambda t: operator.setitem(np.zeros(3), slice(None), t), r"start from np\.zeros_like\(tensor\)"),
    (lambda t: operator.iadd(np.zeros(3), t), r"np\.add\(\.\.\., out=array\).*array = array \+ tensor"),
    (lambda t: np.exp(t, out=np.zeros(3)), r"np\.exp\(\.\.\., out=array\) .* of shape \(3,\)"),
    (lambda t: np.sum(t, out=np.zeros(())), r"np\.sum\(\.\.\., out=array\)"),
    (lambda t: np.sum(t, 0, None, np.zeros(())), r"np\.sum\(\.\.\., out=array\)"),
    (lambda t: np.add.at(np.zeros(3), [0, 1, 1], t), r"np\.add\.at would write .*np\.zeros_like\(tensor\)"),
    (lambda t: np.copyto(np.zeros(3), t), r"np\.copyto would write .*t\.detach\(\)|tensor\.detach\(\)"),
    (lambda t: np.full_like(np.zeros(3), t), r"np\.copyto would write"),
    (lambda t: np.put(np.zeros(3), [0, 1, 2], t), r"np\.put would write"),
    (lambda t: np.fill_diagonal(np.zeros((3, 3)), t), r"become a NumPy array"),
]


@pytest.mark.parametrize(("call", "message"), LOST, ids=[message[:28] for _, message in LOST])
def test_a_tensor_that_needs_a_gradient_never_becomes_an_array(
    call: Callable[..., Any], message: str
) -> None:
    with pytest.raises(GradientLostError, match=f"(?s){message}") as caught:
        call(leaf([1.0, 2.0, 3.0]))
    assert "test_numpy_protocol.py, line" in str(caught.value)
    call(cr.Tensor([1.0, 2.0, 3.0]))
    call(leaf([1.0, 2.0, 3.0]).detach())


def test_a_leaf_is_not_changed() -> None:
    for change in (
        lambda t: np.add.at(t, 0, 1.0),
        lambda t: np.copyto(t, 0.0),
        lambda t: np.exp(t, out=t),
        lambda t: np.cumsum(t, out=t),
    ):
        t = leaf([1.0, 2.0])
        with pytest.raises(InPlaceError, match=r"would change a leaf of shape \(2,\)"):
            change(t)
        assert t.tolist() == [1.0, 2.0]
        with cr.no_grad():
            change(t)
        assert t.tolist() != [1.0, 2.0]


def test_wrong_arguments_are_numpys_errors() -> None:
    t = leaf(A)
    with pytest.raises(TypeError, match="unexpected keyword"):
        np.sum(t, axes=0)
    with pytest.raises(ShapeError, match="conditions"):
        np.select([t > 0], [t, t])
    with pytest.raises(ZeroDivisionError, match="weights"):
        np.average(t[0], weights=np.array([1.0, -1.0, 1.0, -1.0]))


# what is left alone --------------------------------------------------------------------------------------


def test_tensors_without_a_gradient_have_all_of_numpy() -> None:
    t = cr.Tensor(A)
    assert same(np.fft.fft(t), np.fft.fft(A))
    assert same(np.histogram(t, bins=3), np.histogram(A, bins=3))
    assert same(np.quantile(t, 0.3, method="hazen"), np.quantile(A, 0.3, method="hazen"))
    assert same(np.std(t, where=NUMBERS > 1), np.std(A, where=NUMBERS > 1))
    assert same(np.maximum.accumulate(t), np.maximum.accumulate(A))
    assert same(np.linalg.svd(t), np.linalg.svd(A))
    out = cr.Tensor(np.zeros((3, 4)))
    assert np.add(t, 1.0, out=out, where=NUMBERS > 1) is out
    assert np.allclose(out.data, np.where(NUMBERS > 1, A + 1, 0))


def test_functions_of_plain_arrays_return_plain_arrays() -> None:
    assert type(np.exp(A)) is np.ndarray
    assert type(numpy_protocol.apply_ufunc(np.exp, "__call__", (A,), {})) is np.ndarray


def test_questions_about_a_tensor_get_plain_answers() -> None:
    t = leaf(A)
    assert np.shape(t) == (3, 4)
    assert np.ndim(t) == 2
    assert np.allclose(t, A) is True
    assert np.array_equal(t, B) is False
    assert np.result_type(t, np.float32) == np.float64
    assert not np.zeros_like(t).requires_grad
    assert np.arange(12)[np.argsort(t, axis=None)].shape == (12,)


def test_pythons_own_functions() -> None:
    t, s = leaf([1.0, 2.0, 3.0]), leaf(2.5)
    assert (float(s), int(s), bool(s), round(float(s * 2))) == (2.5, 2, True, 5)
    assert len(t) == 3
    assert [float(x) for x in t] == [1.0, 2.0, 3.0]
    assert 2.0 in t
    assert 5.0 not in t
    assert sum([t, t]).requires_grad
    assert max(t).requires_grad
    for convert in (float, int, bool):
        with pytest.raises(ShapeError):
            convert(t)
    with pytest.raises(TypeError):
        len(s)


def test_the_functions_are_named_as_they_are_written() -> None:
    assert name_of(np.linalg.norm) == "np.linalg.norm"
    assert name_of(np.fft.fft) == "np.fft.fft"
    assert name_of(np.arctan2) == "np.arctan2"
