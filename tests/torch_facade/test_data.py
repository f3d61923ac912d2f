"""Datasets, samplers, DataLoader: what they give, in which order, and what they refuse."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chainrule import torch
from chainrule.torch.errors import ArgumentError, OperationError
from chainrule.torch.utils import data
from chainrule.torch.utils.data import DataLoader, TensorDataset


class Squares(data.Dataset[int]):
    """A dataset that notes what was asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[int] = []

    def __getitem__(self, index: int) -> int:
        self.asked.append(index)
        return index * index

    def __len__(self) -> int:
        return self.count


class Counting(data.IterableDataset[int]):
    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count))

    def __len__(self) -> int:
        return self.count


def listed(loader: Any) -> list[Any]:
    return [batch.tolist() for batch in loader]


# Recorded from PyTorch 2.13 after torch.manual_seed(0): two passes over ten samples in batches of four.
SHUFFLED = [[[6, 7, 1, 4], [2, 0, 9, 8], [3, 5]], [[2, 4, 7, 0], [8, 9, 5, 3], [6, 1]]]
SPLIT = [[4, 0, 5], [3, 2, 6, 1]]


def test_shuffled_batches_come_in_pytorchs_order() -> None:
    torch.manual_seed(0)
    loader = DataLoader(torch.arange(10), batch_size=4, shuffle=True)
    assert [listed(loader), listed(loader)] == SHUFFLED
    torch.manual_seed(0)
    rows = DataLoader(TensorDataset(torch.arange(10)), batch_size=4, shuffle=True)
    assert [[batch[0].tolist() for batch in rows] for _ in range(2)] == SHUFFLED


def test_a_generator_of_its_own_leaves_the_default_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2).tolist()
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(0)
    order = listed(DataLoader(torch.arange(10), batch_size=10, shuffle=True, generator=generator))
    assert sorted(order[0]) == list(range(10))
    assert torch.rand(2).tolist() == expected
    generator.manual_seed(0)
    assert listed(DataLoader(torch.arange(10), batch_size=10, shuffle=True, generator=generator)) == order


def test_random_split() -> None:
    torch.manual_seed(0)
    parts = data.random_split(range(7), [3, 4])
    assert [list(part.indices) for part in parts] == SPLIT
    assert [len(part) for part in data.random_split(range(10), [0.5, 0.3, 0.2])] == [5, 3, 2]
    assert [len(part) for part in data.random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        data.random_split(range(2), [0.9, 0.1])
    with pytest.raises(ValueError, match=r"lengths \[3, 3\] sum up to 6, and the dataset has 7"):
        data.random_split(range(7), [3, 3])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        data.random_split(range(7), [1.5, -0.5])


def test_batches_in_order() -> None:
    assert listed(DataLoader(range(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert listed(DataLoader(range(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert len(DataLoader(range(5), batch_size=2)) == 3
    assert len(DataLoader(range(5), batch_size=2, drop_last=True)) == 2
    assert list(DataLoader(range(3), batch_size=None)) == [0, 1, 2]
    assert listed(DataLoader(range(5), sampler=[4, 0], batch_size=2)) == [[4, 0]]
    assert listed(DataLoader(range(5), batch_sampler=[[1], [2, 3]])) == [[1], [2, 3]]
    assert len(DataLoader(range(5), batch_size=None)) == 5


def test_samples_are_loaded_when_asked_for() -> None:
    dataset = Squares(6)
    batches = iter(DataLoader(dataset, batch_size=2))
    assert next(batches).tolist() == [0, 1]
    assert dataset.asked == [0, 1]


def test_streams() -> None:
    assert listed(DataLoader(Counting(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert listed(DataLoader(Counting(4), batch_size=2)) == [[0, 1], [2, 3]]
    assert listed(DataLoader(Counting(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(DataLoader(Counting(3), batch_size=None)) == [0, 1, 2]
    assert len(DataLoader(Counting(5), batch_size=2)) == 3
    assert len(DataLoader(Counting(5), batch_size=2, drop_last=True)) == 2
    assert len(DataLoader(Counting(5), batch_size=None)) == 5
    assert list(Counting(2) + Counting(3)) == [0, 1, 0, 1, 2]
    assert len(Counting(2) + Counting(3)) == 5


def test_gradients_flow_through_a_batch() -> None:
    weights = torch.ones(4, 2, requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(weights), batch_size=3):
        (2 * batch).sum().backward()
    assert weights.grad.tolist() == [[2.0, 2.0]] * 4


def test_a_batch_does_not_share_memory_with_the_dataset() -> None:
    rows = torch.zeros(4, 2)
    (batch,) = next(iter(DataLoader(TensorDataset(rows), batch_size=4)))
    batch += 1
    assert rows.sum().item() == 0


def test_datasets_of_datasets() -> None:
    both = Squares(3) + Squares(2)
    assert [both[i] for i in range(5)] == [0, 1, 4, 0, 1]
    assert both[-1] == 1
    assert len(both) == 5
    assert both.cumulative_sizes == [3, 5]
    with pytest.raises(IndexError, match="index 5 is out of range for a dataset of length 5"):
        both[5]
    with pytest.raises(ValueError, match="index -6"):
        both[-6]
    part = data.Subset(Squares(10), [7, 3, 5])
    assert (part[1], part.__getitems__([0, 2]), len(part)) == (9, [49, 25], 3)
    inner = data.Subset(part, [2, 0])
    assert listed(DataLoader(inner, batch_size=2)) == [[25, 49]]
    pair = data.StackDataset(Squares(3), range(3))
    assert (pair[2], len(pair)) == ((4, 2), 3)
    assert data.StackDataset(a=Squares(3), b=range(3))[1] == {"a": 1, "b": 1}
    x, y = TensorDataset(torch.arange(4), torch.ones(4, 2))[1:3]
    assert (x.tolist(), y.shape) == ([1, 2], (2, 2))
    rows = data.Subset(TensorDataset(torch.arange(4) * 10), [3, 1])
    assert [batch[0].tolist() for batch in DataLoader(rows, batch_size=2)] == [[30, 10]]


def test_samplers() -> None:
    assert list(data.SequentialSampler(range(3))) == [0, 1, 2]
    assert sorted(data.RandomSampler(range(5))) == [0, 1, 2, 3, 4]
    assert len(list(data.RandomSampler(range(3), num_samples=8))) == 8
    drawn = list(data.RandomSampler(range(3), replacement=True, num_samples=70))
    assert len(drawn) == 70
    assert set(drawn) == {0, 1, 2}
    assert sorted(data.SubsetRandomSampler([5, 7])) == [5, 7]
    assert set(data.WeightedRandomSampler([0.0, 1.0, 0.0], 4)) == {1}
    assert sorted(data.WeightedRandomSampler([1.0, 1.0], 2, replacement=False)) == [0, 1]
    batches = data.BatchSampler(data.SequentialSampler(range(5)), 2, drop_last=True)
    assert (list(batches), len(batches)) == ([[0, 1], [2, 3]], 2)


Pair = namedtuple("Pair", "x y")


def test_collating() -> None:
    collate = data.default_collate
    assert collate([1, 2]).dtype == torch.int64
    assert collate([True, False]).dtype == torch.bool
    assert collate([1.5, 2.5]).dtype == torch.float64
    assert collate([np.float32(1.5), np.float32(2)]).dtype == torch.float32
    assert collate([np.ones(2), np.zeros(2)]).tolist() == [[1, 1], [0, 0]]
    assert collate(["a", "b"]) == ["a", "b"]
    x, names = collate([(torch.ones(2), "a"), (torch.zeros(2), "b")])
    assert (x.tolist(), names) == ([[1, 1], [0, 0]], ("a", "b"))
    pair = collate([Pair(1, [2, 3]), Pair(4, [5, 6])])
    assert isinstance(pair, Pair)
    assert (pair.x.tolist(), [part.tolist() for part in pair.y]) == ([1, 4], [[2, 5], [3, 6]])
    ordered = collate([OrderedDict(b=1, a=2.0), OrderedDict(b=3, a=4.0)])
    assert isinstance(ordered, OrderedDict)
    assert list(ordered) == ["b", "a"]
    with pytest.raises(ArgumentError, match=r"found <class 'object'>: give the DataLoader a collate_fn"):
        collate([object()])
    with pytest.raises(OperationError, match=r"got \[2\] at entry 0 and \[3\] at entry 1"):
        collate([torch.ones(2), torch.ones(3)])
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        collate([(1, 2), (1,)])
    assert data.default_convert(np.ones(2)).tolist() == [1, 1]
    assert data.default_convert({"a": (np.ones(1), "text")})["a"][1] == "text"
    assert listed(DataLoader(range(4), batch_size=2, collate_fn=lambda batch: torch.tensor(sum(batch)))) == [
        1,
        5,
    ]


def test_workers_are_accepted_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"num_workers=2.*loads all samples in this process"):
        loader = DataLoader(range(3), batch_size=3, num_workers=2, persistent_workers=True, prefetch_factor=2)
    assert listed(loader) == [[0, 1, 2]]
    assert data.get_worker_info() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shuffle": True, "sampler": [0]}, "sampler option is mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "batch_size=None option disables auto-batching"),
        ({"batch_size": 0}, "batch_size should be a positive integer value, but got batch_size=0"),
        ({"batch_size": 2.0}, "but got batch_size=2.0"),
        ({"num_workers": -1}, "num_workers option should be non-negative"),
        ({"timeout": -1}, "timeout option should be non-negative"),
        ({"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
        ({"prefetch_factor": 2}, "prefetch_factor option needs num_workers > 0"),
    ],
)
def test_options_that_exclude_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataLoader(range(3), **options)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DataLoader(Counting(3), shuffle=True), ValueError, "expected unspecified shuffle option"),
        (lambda: DataLoader(Counting(3), sampler=[0]), ValueError, "expected unspecified sampler option"),
        (lambda: DataLoader(iter([1])), TypeError, "has no len"),
        (lambda: DataLoader([], shuffle=True), ValueError, "but got num_samples=0"),
        (lambda: TensorDataset(torch.ones(2), torch.ones(3)), AssertionError, "their lengths are 2, 3"),
        (lambda: data.StackDataset(), ValueError, "At least one dataset"),
        (lambda: data.StackDataset([1], [1, 2]), ValueError, "their lengths are 1, 2"),
        (lambda: data.ConcatDataset([]), AssertionError, "should not be an empty iterable"),
        (lambda: data.ConcatDataset([Counting(1)]), AssertionError, "does not support IterableDataset"),
        (lambda: data.RandomSampler([1], replacement=1), TypeError, "should be a boolean value"),
        (
            lambda: data.WeightedRandomSampler([1.0], 0),
            ValueError,
            "num_samples should be a positive integer",
        ),
        (lambda: data.WeightedRandomSampler([[1.0]], 1), ValueError, r"1d sequence .* \(1, 1\)"),
        (lambda: data.BatchSampler([1], 1, drop_last=1), ValueError, "drop_last should be a boolean"),
        (lambda: data.Dataset()[0], NotImplementedError, "defines no __getitem__"),
        (
            lambda: data.DistributedSampler,
            AttributeError,
            "data has no 'DistributedSampler'",
        ),
        (lambda: iter(data.IterableDataset()), NotImplementedError, "defines no __iter__"),
    ],
)
def test_mistakes(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
