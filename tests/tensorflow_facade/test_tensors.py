"""Tensors and variables: their types, their printing, how they are converted."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from chainrule import tensorflow as tf
from chainrule.errors import ChainruleError

PRINTED = [
    (
        lambda: tf.constant(3.0),
        "<tf.Tensor: shape=(), dtype=float32, numpy=3.0>",
        "tf.Tensor(3.0, shape=(), dtype=float32)",
    ),
    (lambda: tf.constant(4), "<tf.Tensor: shape=(), dtype=int32, numpy=4>", "tf.Tensor(4, shape=(), dtype=int32)"),
    (
        lambda: tf.constant([2.0, 3.0, 4.0]),
        "<tf.Tensor: shape=(3,), dtype=float32, numpy=array([2., 3., 4.], dtype=float32)>",
        "tf.Tensor([2. 3. 4.], shape=(3,), dtype=float32)",
    ),
    (
        lambda: tf.constant([[1, 2], [3, 4]]),
        "<tf.Tensor: shape=(2, 2), dtype=int32, numpy=\narray([[1, 2],\n       [3, 4]], dtype=int32)>",
        "tf.Tensor(\n[[1 2]\n [3 4]], shape=(2, 2), dtype=int32)",
    ),
    (
        lambda: tf.constant(True),
        "<tf.Tensor: shape=(), dtype=bool, numpy=True>",
        "tf.Tensor(True, shape=(), dtype=bool)",
    ),
    (
        lambda: tf.Variable(0.0),
        "<tf.Variable 'Variable:0' shape=() dtype=float32, numpy=0.0>",
        "<tf.Variable 'Variable:0' shape=() dtype=float32, numpy=0.0>",
    ),
    (
        lambda: tf.Variable([1.0, 2.0], name="w"),
        "<tf.Variable 'w:0' shape=(2,) dtype=float32, numpy=array([1., 2.], dtype=float32)>",
        "<tf.Variable 'w:0' shape=(2,) dtype=float32, numpy=array([1., 2.], dtype=float32)>",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("made", "representation", "text"), PRINTED, ids=[case[2] for case in PRINTED])
def test_printing_is_tensorflows(made: Any, representation: str, text: str) -> None:
    assert repr(made()) == representation
    assert str(made()) == text


def test_a_scalar_in_a_format_string_is_its_number() -> None:
    assert f"{tf.constant(0.5)} {tf.constant(0.5):.3f}" == "0.5 0.500"


TYPES = [
    (1.0, tf.float32),
    (1, tf.int32),
    (True, tf.bool),
    ([1, 2.5], tf.float32),
    (np.float64(1), tf.float64),
    (np.arange(3), tf.int64),
    (np.ones(2, np.float16), tf.float16),
]


@pytest.mark.parametrize(("value", "kind"), TYPES, ids=[repr(case[0]) for case in TYPES])
def test_which_type_a_value_becomes(value: Any, kind: Any) -> None:
    assert tf.constant(value).dtype == kind
    assert tf.convert_to_tensor(value).dtype is kind


def test_a_dtype_may_be_a_name_a_class_or_a_type() -> None:
    for kind in ("float64", float, np.float64, tf.float64):
        assert tf.constant(1, dtype=kind).dtype.name in ("float64", "float32")
    assert (str(tf.float32), repr(tf.float32)) == ("<dtype: 'float32'>", "tf.float32")
    assert tf.float32.is_floating
    assert tf.int32.is_integer
    assert tf.int8.max == 127
    assert pickle.loads(pickle.dumps(tf.int8)) is tf.int8
    with pytest.raises(TypeError, match="no type of numbers"):
        tf.constant(1, dtype="flaot32")


def test_the_shape_prints_and_compares_as_tensorflows() -> None:
    shape = tf.zeros((2, 3)).shape
    assert repr(shape) == "TensorShape([2, 3])"
    assert str(shape) == "(2, 3)"
    assert shape == (2, 3)
    assert shape == [2, 3]
    assert shape != [3]
    assert shape.as_list() == [2, 3]
    assert shape.num_elements() == 6
    assert shape.rank == 2


def test_numbers_and_arrays_take_the_type_of_the_tensor_beside_them() -> None:
    x = tf.constant([1.0, 2.0])
    for result in (
        x + 1,
        2 * x,
        x / 2,
        1 - x,
        x + np.array([1.0, 2.0]),
        np.array([1, 2]) * x,
        np.float64(2) * x,
    ):
        assert isinstance(result, tf.Tensor)
        assert result.dtype == tf.float32
    assert (tf.constant(7) / tf.constant(2)).dtype == tf.float64
    assert (tf.constant(7) // 2).numpy() == 3


def test_types_are_never_mixed_silently() -> None:
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"expected to be a int32 tensor but is a float tensor \[Op:AddV2\]",
    ):
        tf.constant(1) + tf.constant(1.0)
    with pytest.raises(TypeError, match=r"Cannot convert 0\.5 to EagerTensor of dtype int32"):
        tf.constant(1) + 0.5
    with pytest.raises(TypeError, match=r"Cannot convert \[1\.5\] to EagerTensor of dtype int32"):
        tf.constant([1.5], dtype=tf.int32)
    with pytest.raises(ValueError, match="requested dtype float64 for Tensor with dtype float32"):
        tf.convert_to_tensor(tf.constant(1.0), dtype=tf.float64)
    assert tf.cast(tf.constant(1), tf.float32) + tf.constant(1.0) == 2.0


def test_what_cannot_become_a_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match="non-rectangular"):
        tf.constant([[1.0], [1.0, 2.0]])
    with pytest.raises(TypeError, match="unsupported type"):
        tf.constant("text")
    with pytest.raises(TypeError, match="unsupported type"):
        tf.constant(None)


def test_constant_fills_a_shape_and_owns_its_memory() -> None:
    assert tf.constant(2.0, shape=(2, 2)).numpy().tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert tf.constant([1, 2, 3, 4], shape=(2, 2)).shape == (2, 2)
    with pytest.raises(ValueError, match="do not fill"):
        tf.constant([1, 2, 3], shape=(2, 2))
    array = np.zeros(2)
    t = tf.constant(array)
    array[0] = 5
    assert t.numpy().tolist() == [0.0, 0.0]


def test_tensors_in_lists_are_stacked_and_keep_their_gradient() -> None:
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.convert_to_tensor([x * x, 3.0 * x]))
    assert tape.gradient(y, x) == 7.0


def test_a_tensor_does_not_change() -> None:
    x = y = tf.constant([1.0, 2.0])
    with pytest.raises(TypeError, match="does not support item assignment"):
        x[0] = 3.0
    x += 1.0
    x *= 2.0
    assert x.numpy().tolist() == [4.0, 6.0]
    assert y.numpy().tolist() == [1.0, 2.0]
    y.numpy()[0] = 7.0
    assert y.numpy().tolist() == [1.0, 2.0]


def test_a_variable_changes_with_assign() -> None:
    v = tf.Variable([1.0, 2.0])
    assert v.assign([3.0, 4.0]) is v
    v.assign_add([1.0, 1.0])
    v.assign_sub(tf.constant([0.5, 0.5]))
    assert v.numpy().tolist() == [3.5, 4.5]
    with pytest.raises(ValueError, match=r"Shape mismatch.*\(2,\).*\(3,\)"):
        v.assign([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="Cannot convert"):
        tf.Variable(1).assign_add(0.5)
    with pytest.raises(RuntimeError, match=r"Use `variable.assign_sub\(value\)`"):
        v -= 1.0


def test_results_of_variables_are_tensors() -> None:
    v = tf.Variable(2.0, trainable=False, name="size")
    assert (v.name, v.trainable) == ("size:0", False)
    assert type(v + 1.0) is tf.Tensor
    assert type(v.value()) is tf.Tensor
    assert type(tf.convert_to_tensor(v)) is tf.Tensor
    assert tf.is_tensor(v)
    assert tf.Variable(lambda: 3.0) == 3.0
    with pytest.raises(ValueError, match="initial value"):
        tf.Variable()


def test_copies_of_variables_are_their_own() -> None:
    v = tf.Variable([1.0], name="w")
    for other in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        other.assign([5.0])
        assert other.name == "w:0"
        assert v.numpy().tolist() == [1.0]


def test_numpy_functions_give_arrays_and_operators_tensors() -> None:
    x = tf.Variable([1.0, 4.0])
    assert type(np.sqrt(x)) is np.ndarray
    assert type(np.mean(x)) is np.float32
    assert np.asarray(x).tolist() == [1.0, 4.0]
    assert isinstance(np.array([1.0, 2.0], np.float32) * x, tf.Tensor)
    assert np.concatenate([x, [1.0]]).tolist() == [1.0, 4.0, 1.0]


def test_a_missing_name_is_named_with_the_nearest() -> None:
    for find, message in (
        (lambda: tf.reduce_meen, "chainrule.tensorflow has no reduce_meen; the nearest are reduce_mean"),
        (lambda: tf.nn.relu_7, "tf.nn has no relu_7; the nearest are relu"),
        (lambda: tf.keras.layers.Dens, "tf.keras.layers has no Dens; the nearest"),
        (lambda: tf.keras.applications, "tf.keras has no applications"),
        (lambda: tf.random.gamma, "tf.random has no gamma"),
        (lambda: tf.math.erfcx, "tf.math has no erfcx"),
        (lambda: tf.data.Dataest, "tf.data has no Dataest; the nearest is Dataset"),
        (lambda: tf.keras.losses.MSEE, "tf.keras.losses has no MSEE"),
    ):
        with pytest.raises(AttributeError, match=message) as caught:
            find()
        assert isinstance(caught.value, ChainruleError)
