"""tf.*, tf.math, tf.nn, tf.linalg, tf.random: values against NumPy, gradients against central differences."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import tensorflow as tf

X = np.array([[0.3, -1.2, 2.0], [1.5, 0.7, -0.4]])
POSITIVE = np.abs(X) + 0.1


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _replaced(x: Any) -> Any:
    out = x.copy()
    out[0, 1] = 9
    return out


_erf = np.vectorize(math.erf)

# name, function, the same in NumPy, argument
SMOOTH: list[tuple[str, Callable[..., Any], Callable[..., Any], Any]] = [
    ("exp", tf.exp, np.exp, X),
    ("log", tf.math.log, np.log, POSITIVE),
    ("log1p", tf.math.log1p, np.log1p, POSITIVE),
    ("sqrt", tf.sqrt, np.sqrt, POSITIVE),
    ("rsqrt", tf.math.rsqrt, lambda x: x**-0.5, POSITIVE),
    ("square", tf.square, np.square, X),
    ("sigmoid", tf.sigmoid, _sigmoid, X),
    ("tanh", tf.tanh, np.tanh, X),
    ("sin", tf.sin, np.sin, X),
    ("erf", tf.math.erf, _erf, X),
    ("softplus", tf.math.softplus, lambda x: np.log1p(np.exp(x)), X),
    ("log_sigmoid", tf.math.log_sigmoid, lambda x: np.log(_sigmoid(x)), X),
    ("pow", lambda x: tf.pow(x, 3.0), lambda x: x**3, X),
    ("divide_no_nan", lambda x: tf.math.divide_no_nan(x, x + 1.0), lambda x: x / (x + 1), X),
    ("squared_difference", lambda x: tf.math.squared_difference(x, 2.0), lambda x: (x - 2) ** 2, X),
    ("clip_by_value", lambda x: tf.clip_by_value(x, -1.0, 1.0), lambda x: np.clip(x, -1, 1), X),
    ("where", lambda x: tf.where(x > 0, x * x, 3.0 * x), lambda x: np.where(x > 0, x * x, 3 * x), X),
    ("maximum", lambda x: tf.maximum(x, 0.5), lambda x: np.maximum(x, 0.5), X),
    ("reduce_sum", lambda x: tf.reduce_sum(x, axis=1), lambda x: x.sum(1), X),
    ("reduce_mean", lambda x: tf.reduce_mean(x, axis=[0, 1]), np.mean, X),
    ("reduce_mean keepdims", lambda x: tf.reduce_mean(x, 0, True), lambda x: x.mean(0, keepdims=True), X),
    ("reduce_max", lambda x: tf.reduce_max(x, axis=-1), lambda x: x.max(-1), X),
    ("reduce_prod", tf.reduce_prod, np.prod, X),
    ("reduce_std", tf.math.reduce_std, np.std, X),
    ("reduce_variance", tf.math.reduce_variance, np.var, X),
    ("reduce_logsumexp", tf.reduce_logsumexp, lambda x: np.log(np.exp(x).sum()), X),
    ("cumsum", lambda x: tf.cumsum(x, 1, True, True), lambda x: np.cumsum(x[:, ::-1], 1)[:, ::-1] - x, X),
    ("matmul", lambda x: tf.matmul(x, x, transpose_b=True), lambda x: x @ x.T, X),
    ("tensordot", lambda x: tf.tensordot(x, x, 2), lambda x: (x * x).sum(), X),
    ("tensordot axes", lambda x: tf.tensordot(x, x, [[1], [1]]), lambda x: x @ x.T, X),
    ("einsum", lambda x: tf.einsum("ij,kj->ik", x, x), lambda x: x @ x.T, X),
    ("norm", tf.norm, np.linalg.norm, X),
    ("l2_normalize", lambda x: tf.nn.l2_normalize(x, 1), lambda x: x / np.linalg.norm(x, axis=1)[:, None], X),
    ("det", lambda x: tf.linalg.det(x @ tf.transpose(x)), lambda x: np.linalg.det(x @ x.T), X),
    ("inv", lambda x: tf.linalg.inv(x @ tf.transpose(x)), lambda x: np.linalg.inv(x @ x.T), X),
    ("solve", lambda x: tf.linalg.solve(x @ tf.transpose(x), x), lambda x: np.linalg.solve(x @ x.T, x), X),
    ("svd", lambda x: tf.linalg.svd(x)[0], lambda x: np.linalg.svd(x)[1], X),
    ("trace", lambda x: tf.linalg.trace(x @ tf.transpose(x)), lambda x: np.trace(x @ x.T), X),
    ("matvec", lambda x: tf.linalg.matvec(x, x[0]), lambda x: x @ x[0], X),
    ("reshape", lambda x: tf.reshape(x, (3, -1)), lambda x: x.reshape(3, 2), X),
    ("transpose", tf.transpose, np.transpose, X),
    ("concat", lambda x: tf.concat([x, 2.0 * x], 1), lambda x: np.concatenate([x, 2 * x], 1), X),
    ("stack", lambda x: tf.stack([x, x], axis=1), lambda x: np.stack([x, x], 1), X),
    ("unstack", lambda x: tf.unstack(x)[1], lambda x: x[1], X),
    ("split", lambda x: tf.split(x, [1, 2], axis=1)[1], lambda x: x[:, 1:], X),
    ("split equal", lambda x: tf.split(x, 3, axis=1)[2], lambda x: x[:, 2:], X),
    ("expand_dims", lambda x: tf.squeeze(tf.expand_dims(x, 0), 0) * 2.0, lambda x: 2 * x, X),
    ("tile", lambda x: tf.tile(x, [2, 1]), lambda x: np.tile(x, (2, 1)), X),
    ("repeat", lambda x: tf.repeat(x, 2, axis=1), lambda x: np.repeat(x, 2, 1), X),
    ("reverse", lambda x: tf.reverse(x, [0]), lambda x: x[::-1], X),
    ("roll", lambda x: tf.roll(x, 1, 1), lambda x: np.roll(x, 1, 1), X),
    ("pad", lambda x: tf.pad(x, [[1, 0], [0, 2]]), lambda x: np.pad(x, [(1, 0), (0, 2)]), X),
    ("pad reflect", lambda x: tf.pad(x, [[0, 0], [1, 1]], "REFLECT"),
     lambda x: np.pad(x, [(0, 0), (1, 1)], "reflect"), X),
    ("broadcast_to", lambda x: tf.broadcast_to(x, (2, 2, 3)), lambda x: np.broadcast_to(x, (2, 2, 3)), X),
    ("gather", lambda x: tf.gather(x, [2, 0, 2], axis=1), lambda x: x[:, [2, 0, 2]], X),
    ("gather_nd", lambda x: tf.gather_nd(x, [[0, 1], [1, 2]]), lambda x: x[[0, 1], [1, 2]], X),
    ("boolean_mask", lambda x: tf.boolean_mask(x, x > 0), lambda x: x[x > 0], X),
    ("scatter update", lambda x: tf.tensor_scatter_nd_update(x, [[0, 1]], [9.0]), _replaced, X),
    ("sort", lambda x: tf.sort(x, direction="DESCENDING"), lambda x: -np.sort(-x), X),
    ("add_n", lambda x: tf.add_n([x, x, x * x]), lambda x: 2 * x + x * x, X),
    ("clip_by_norm", lambda x: tf.clip_by_norm(x, 1.0), lambda x: x / np.linalg.norm(x), X),
    ("relu", tf.nn.relu, lambda x: np.maximum(x, 0), X),
    ("relu6", tf.nn.relu6, lambda x: np.clip(x, 0, 6), X),
    ("leaky_relu", tf.nn.leaky_relu, lambda x: np.where(x > 0, x, 0.2 * x), X),
    ("elu", tf.nn.elu, lambda x: np.where(x > 0, x, np.expm1(x)), X),
    ("selu", tf.nn.selu, lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)), X),
    ("gelu", tf.nn.gelu, lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2, X),
    ("gelu tanh", lambda x: tf.nn.gelu(x, True),
     lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), X),
    ("silu", tf.nn.silu, lambda x: x * _sigmoid(x), X),
    ("softmax", tf.nn.softmax, _softmax, X),
    ("log_softmax", tf.nn.log_softmax, lambda x: np.log(_softmax(x)), X),
    ("l2_loss", tf.nn.l2_loss, lambda x: (x * x).sum() / 2, X),
    ("moments", lambda x: tf.nn.moments(x, 0)[1], lambda x: x.var(0), X),
    ("softmax cross-entropy", lambda x: tf.nn.softmax_cross_entropy_with_logits([[0.0, 1.0, 0.0]] * 2, x),
     lambda x: -np.log(_softmax(x))[:, 1], X),
    ("sparse cross-entropy", lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits([2, 0], x),
     lambda x: -np.log(_softmax(x))[[0, 1], [2, 0]], X),
    ("sigmoid cross-entropy", lambda x: tf.nn.sigmoid_cross_entropy_with_logits([[1.0, 0.0, 1.0]] * 2, x),
     lambda x: -np.log(np.where([True, False, True], _sigmoid(x), 1 - _sigmoid(x))), X),
]  # fmt: skip


@pytest.mark.parametrize(("function", "reference", "x"), [c[1:] for c in SMOOTH], ids=[c[0] for c in SMOOTH])
def test_values_and_gradients(function: Any, reference: Any, x: np.ndarray) -> None:
    t = tf.Variable(x, dtype="float64")
    with tf.GradientTape() as tape:
        out = function(t)
    expected = np.asarray(reference(x))
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-12)
    assert out.shape == expected.shape
    weight = np.cos(np.arange(expected.size)).reshape(expected.shape)
    g = (
        tape.gradient(out, t, output_gradients=tf.constant(weight))
        if function(t).requires_grad is False
        else None
    )
    numeric = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-6
        numeric[i] = ((reference(x + step) - reference(x - step)) * weight).sum() / 2e-6
    np.testing.assert_allclose(g, numeric, rtol=1e-5, atol=1e-7)


CONSTANT = [
    (lambda: tf.zeros((2, 2)), np.zeros((2, 2), np.float32)),
    (lambda: tf.ones(3, tf.int32), np.ones(3, np.int32)),
    (lambda: tf.fill((2,), 7), np.array([7, 7], np.int32)),
    (lambda: tf.eye(2), np.eye(2, dtype=np.float32)),
    (lambda: tf.zeros_like([1, 2]), np.zeros(2, np.int32)),
    (lambda: tf.ones_like([1.0], dtype="float64"), np.ones(1)),
    (lambda: tf.range(3), np.arange(3, dtype=np.int32)),
    (lambda: tf.range(1.0, 2.0, 0.5), np.array([1.0, 1.5], np.float32)),
    (lambda: tf.linspace(0.0, 1.0, 3), np.array([0.0, 0.5, 1.0], np.float32)),
    (lambda: tf.one_hot([0, 2], 3, axis=0), np.array([[1, 0], [0, 0], [0, 1]], np.float32)),
    (lambda: tf.shape(tf.zeros((2, 3))), np.array([2, 3], np.int32)),
    (lambda: tf.size([1, 2]), np.array(2, np.int32)),
    (lambda: tf.rank([[1]]), np.array(2, np.int32)),
    (lambda: tf.argmax([[1.0, 5.0], [3.0, 2.0]], axis=1), np.array([1, 0])),
    (lambda: tf.argmin([3.0, 1.0]), np.array(1)),
    (lambda: tf.cast([1.7, -1.7], tf.int32), np.array([1, -1], np.int32)),
    (lambda: tf.equal([1, 2], [1, 3]), np.array([True, False])),
    (lambda: tf.logical_not([True, False]), np.array([False, True])),
    (lambda: tf.where([False, True]), np.array([[1]])),
    (lambda: tf.reduce_all([True, False]), np.array(False)),
    (lambda: tf.reduce_sum([1, 2, 3]), np.array(6, np.int32)),
    (lambda: tf.reduce_mean([1, 2]), np.array(1, np.int32)),
    (lambda: tf.reduce_prod([2, 3]), np.array(6, np.int32)),
    (lambda: tf.math.count_nonzero([1, 0, 2]), np.array(2)),
    (lambda: tf.argsort([3.0, 1.0, 2.0]), np.array([1, 2, 0], np.int32)),
    (lambda: tf.unique([3, 1, 3])[1], np.array([0, 1, 0], np.int32)),
    (lambda: tf.searchsorted([1.0, 3.0], [2.0]), np.array([1], np.int32)),
    (lambda: tf.meshgrid([1, 2], [3])[0], np.array([[1, 2]], np.int32)),
    (lambda: tf.math.confusion_matrix([0, 1, 1], [0, 1, 0]), np.array([[1, 0], [1, 1]], np.int32)),
    (lambda: tf.linalg.diag([1.0, 2.0]), np.diag([1.0, 2.0]).astype(np.float32)),
    (lambda: tf.round([0.5, 1.5, 2.6]), np.array([0.0, 2.0, 3.0], np.float32)),
    (lambda: tf.math.floormod(-1, 3), np.array(2, np.int32)),
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), CONSTANT, ids=range(len(CONSTANT)))
def test_what_has_no_gradient(make: Any, expected: np.ndarray) -> None:
    found = make()
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape


BAD = [
    (lambda: tf.exp([1, 2]), ValueError, "exp needs floating-point numbers, but was given int32"),
    (lambda: tf.reduce_sum([True]), TypeError, "cannot reduce bool"),
    (lambda: tf.matmul([1.0], [1.0]), ValueError, "matmul needs matrices"),
    (lambda: tf.matmul([[1.0, 2.0]], [[1.0, 2.0]]), ValueError, "Matrix size-incompatible"),
    (lambda: tf.reshape([1, 2, 3], (2, 2)), ValueError, "3 values, but the requested shape has 4"),
    (lambda: tf.concat([[1], [1.0]], 0), ValueError, "tensors of one type are needed"),
    (lambda: tf.constant([1.0, 2.0]) + tf.constant([1.0, 2.0, 3.0]), ValueError, "do not broadcast"),
    (lambda: tf.nn.sparse_softmax_cross_entropy_with_logits([5], [[1.0, 2.0]]), ValueError, "label value of 5"),
    (lambda: tf.nn.sparse_softmax_cross_entropy_with_logits([[0.0, 1.0]], [[1.0, 2.0]]), ValueError, "class numbers"),
    (lambda: tf.random.uniform((2,), dtype=tf.int32), ValueError, "Must specify maxval"),
    (lambda: tf.nn.conv2d(tf.zeros((1, 4, 4, 1)), tf.zeros((3, 3, 2, 1)), 1, "SAME"), ValueError, "needs images"),
    (lambda: tf.nn.conv2d(tf.zeros((1, 2, 2, 1)), tf.zeros((3, 3, 1, 1)), 1, "VALID"), ValueError, "larger than"),
    (lambda: tf.nn.max_pool2d(tf.zeros((1, 4, 4, 1)), 2, 2, "half"), ValueError, "expected 'same' or 'valid'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), BAD, ids=[case[2] for case in BAD])
def test_bad_arguments_are_named(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def _convolution(x: np.ndarray, w: np.ndarray, stride: int) -> np.ndarray:
    count = (x.shape[1] - w.shape[0]) // stride + 1
    out = np.zeros((len(x), count, count, w.shape[3]))
    for i in range(count):
        for j in range(count):
            part = x[:, i * stride : i * stride + w.shape[0], j * stride : j * stride + w.shape[1]]
            out[:, i, j] = np.einsum("nhwc,hwcf->nf", part, w)
    return out


@pytest.mark.parametrize(("stride", "padding"), [(1, "VALID"), (2, "VALID"), (1, "SAME"), (2, "SAME")])
def test_convolution(stride: int, padding: str) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 6, 6, 3)), rng.normal(size=(3, 3, 3, 4))
    # With 6 elements, stride 2 needs one more at the end, stride 1 one at both ends.
    around = [(0, 0), *[((1, 1) if stride == 1 else (0, 1)) if padding == "SAME" else (0, 0)] * 2, (0, 0)]
    expected = _convolution(np.pad(x, around), w, stride)
    filters = tf.Variable(w)
    with tf.GradientTape() as tape:
        out = tf.nn.conv2d(x, filters, stride, padding)
    np.testing.assert_allclose(out, expected, rtol=1e-10)
    g = tape.gradient(out, filters).numpy()
    step = np.zeros_like(w)
    step[1, 2, 0, 3] = 1.0
    assert g[1, 2, 0, 3] == pytest.approx(_convolution(np.pad(x, around), step, stride).sum())


def test_pooling() -> None:
    x = tf.Variable(np.arange(16.0).reshape(1, 4, 4, 1))
    with tf.GradientTape() as tape:
        out = tf.nn.max_pool2d(x, 2, 2, "VALID")
    assert out.numpy().ravel().tolist() == [5, 7, 13, 15]
    assert np.flatnonzero(tape.gradient(out, x)).tolist() == [5, 7, 13, 15]
    assert tf.nn.avg_pool2d(x, 2, 2, "VALID").numpy().ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert tf.nn.avg_pool2d(x, 3, 1, "SAME").numpy()[0, 0, 0, 0] == np.mean([0, 1, 4, 5])
    assert tf.nn.max_pool2d(-x, 3, 2, "SAME").shape == (1, 2, 2, 1)


def test_random_numbers_come_from_the_seed() -> None:
    tf.random.set_seed(3)
    first = [tf.random.normal((2, 3)), tf.random.uniform((4,), 1, 2), tf.random.shuffle(tf.range(5))]
    tf.random.set_seed(3)
    again = [tf.random.normal((2, 3)), tf.random.uniform((4,), 1, 2), tf.random.shuffle(tf.range(5))]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[0].dtype == tf.float32
    assert ((first[1].numpy() >= 1) & (first[1].numpy() < 2)).all()
    assert sorted(first[2].numpy()) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(tf.random.normal((3,), seed=5), tf.random.normal((3,), seed=5))


def test_the_distributions_are_what_they_say() -> None:
    tf.random.set_seed(0)
    x = tf.random.normal((10_000,), mean=2.0, stddev=3.0).numpy()
    assert (x.mean(), x.std()) == pytest.approx((2, 3), abs=0.1)
    assert np.abs(tf.random.truncated_normal((10_000,)).numpy()).max() <= 2
    n = tf.random.uniform((1000,), 0, 3, dtype=tf.int32).numpy()
    assert set(n.tolist()) == {0, 1, 2}
    drawn = tf.random.categorical([[0.0, math.log(3)]], 10_000).numpy()
    assert drawn.mean() == pytest.approx(0.75, abs=0.03)
    kept = tf.nn.dropout(tf.ones((10_000,)), 0.25).numpy()
    assert set(np.round(3 * kept).tolist()) == {0.0, 4.0}
    assert kept.mean() == pytest.approx(1, abs=0.03)


def test_clipping_several_gradients_together() -> None:
    clipped, norm = tf.clip_by_global_norm([tf.constant([3.0]), None, tf.constant([4.0])], 1.0)
    assert norm == 5.0
    assert [None if c is None else round(float(c[0]), 6) for c in clipped] == [0.6, None, 0.8]


def test_functions_run_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    @tf.function
    def double(x: Any) -> Any:
        return 2 * x

    @tf.function(jit_compile=True)
    def triple(x: Any) -> Any:
        return 3 * x

    with tf.device("/CPU:0"):
        assert double(tf.constant(2)) == 4
        assert triple(tf.constant(2)) == 6
    assert tf.executing_eagerly()
    tf.print("loss:", tf.constant([1.0, 2.0]))
    assert capsys.readouterr().err == "loss: [1. 2.]\n"
    with pytest.raises(AttributeError, match=r"chainrule\.primitive"):
        tf.custom_gradient(double)
