"""tf.data: pipelines."""

from typing import Any

import numpy as np
import pytest

from chainrule import tensorflow as tf

Dataset = tf.data.Dataset


def listed(dataset: Any) -> list[Any]:
    return [np.asarray(element).tolist() for element in dataset]


def test_slices_in_batches() -> None:
    x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    dataset = Dataset.from_tensor_slices((x, y)).batch(2)
    assert len(dataset) == 3
    assert [(a.shape.as_list(), b.numpy().tolist()) for a, b in dataset] == [
        ([2, 2], [0, 1]),
        ([2, 2], [2, 3]),
        ([1, 2], [4]),
    ]
    assert len(Dataset.from_tensor_slices((x, y)).batch(2, drop_remainder=True)) == 2
    first = next(iter(Dataset.from_tensor_slices({"x": x, "y": y})))
    assert first["x"].numpy().tolist() == [0.0, 1.0]
    assert next(iter(Dataset.from_tensor_slices([1.5]))).dtype == tf.float32


PIPELINES = [
    (lambda: Dataset.range(5), [0, 1, 2, 3, 4], 5),
    (lambda: Dataset.range(2, 8, 3), [2, 5], 2),
    (lambda: Dataset.range(5).map(lambda x: x * x), [0, 1, 4, 9, 16], 5),
    (lambda: Dataset.range(5).filter(lambda x: x % 2 == 0), [0, 2, 4], -2),
    (lambda: Dataset.range(2).repeat(2), [0, 1, 0, 1], 4),
    (lambda: Dataset.range(2).repeat().take(5), [0, 1, 0, 1, 0], 5),
    (lambda: Dataset.range(5).skip(3), [3, 4], 2),
    (lambda: Dataset.range(5).take(-1), [0, 1, 2, 3, 4], 5),
    (lambda: Dataset.range(2).concatenate(Dataset.range(3)), [0, 1, 0, 1, 2], 5),
    (lambda: Dataset.range(4).batch(2).unbatch(), [0, 1, 2, 3], -2),
    (lambda: Dataset.range(3).prefetch(tf.data.AUTOTUNE).cache(), [0, 1, 2], 3),
    (lambda: Dataset.from_tensors([1, 2]), [[1, 2]], 1),
    (lambda: Dataset.from_generator(lambda: iter([1.0, 2.0]), output_types=tf.float32), [1.0, 2.0], -2),
    (lambda: Dataset.range(4).batch(3), [[0, 1, 2], [3]], 2),
]


@pytest.mark.parametrize(("make", "expected", "count"), PIPELINES, ids=range(len(PIPELINES)))
def test_pipelines(make: Any, expected: list[Any], count: int) -> None:
    dataset = make()
    assert listed(dataset) == expected
    assert listed(dataset) == expected
    assert dataset.cardinality().numpy() == count


def test_elements_together_and_numbered() -> None:
    pairs = Dataset.zip(Dataset.range(3), Dataset.range(5))
    assert [(int(a), int(b)) for a, b in pairs] == [(0, 0), (1, 1), (2, 2)]
    assert len(pairs) == 3
    numbered = Dataset.from_tensor_slices([5.0, 6.0]).enumerate(start=1)
    assert [(int(i), float(x)) for i, x in numbered] == [(1, 5.0), (2, 6.0)]
    added = Dataset.from_tensor_slices(([1, 2], [3, 4])).map(lambda a, b: a + b)
    assert listed(added) == [4, 6]
    assert Dataset.range(5).reduce(0, lambda state, x: state + int(x)) == 10
    assert list(Dataset.range(2).as_numpy_iterator()) == [0, 1]


def test_shuffling() -> None:
    tf.random.set_seed(0)
    dataset = Dataset.range(20).shuffle(20)
    first, second = listed(dataset), listed(dataset)
    assert sorted(first) == list(range(20))
    assert first != second
    assert len(dataset) == 20
    fixed = Dataset.range(20).shuffle(20, reshuffle_each_iteration=False)
    assert listed(fixed) == listed(fixed)
    assert listed(Dataset.range(20).shuffle(20, seed=1)) == listed(Dataset.range(20).shuffle(20, seed=1))
    # An element can come at most a buffer too early.
    assert all(place >= value - 3 for place, value in enumerate(listed(Dataset.range(20).shuffle(4))))


def test_bad_data_sets_are_named() -> None:
    with pytest.raises(ValueError, match=r"equally many rows, but they have \[2, 3\]"):
        Dataset.from_tensor_slices(([1, 2], [1, 2, 3]))
    with pytest.raises(ValueError, match="tensors with rows"):
        Dataset.from_tensor_slices(1.0)
    with pytest.raises(ValueError, match="infinite"):
        len(Dataset.range(2).repeat())
    with pytest.raises(ValueError, match="unknown length"):
        len(Dataset.range(2).filter(lambda x: x > 0))
