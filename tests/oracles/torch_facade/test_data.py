"""The order of samples, and what batches are made of, as in PyTorch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import torch as ours
from chainrule.torch.utils import data as our_data

torch = pytest.importorskip("torch")
their_data = torch.utils.data

Make = Callable[[Any, Any], Any]
RANDOM: dict[str, Make] = {
    "shuffled": lambda t, d: [b.tolist() for b in d.DataLoader(t.arange(23), batch_size=4, shuffle=True)],
    "shuffled rows": lambda t, d: [b.tolist() for (b,) in d.DataLoader(d.TensorDataset(t.arange(9)), 2, True)],
    "shuffled parts": lambda t, d: [
        b.tolist()
        for part in d.random_split(d.TensorDataset(t.arange(17)), [0.5, 0.3, 0.2])
        for (b,) in d.DataLoader(part, batch_size=3, shuffle=True, drop_last=True)
    ],
    "its own generator": lambda t, d: [
        b.tolist() for b in d.DataLoader(t.arange(9), shuffle=True, generator=t.Generator().manual_seed(5))
    ],
    "broken off": lambda t, d: [next(iter(d.DataLoader(t.arange(9), shuffle=True))).tolist() for _ in range(3)],
    "in order, which draws too": lambda t, d: [b.tolist() for b in d.DataLoader(t.arange(4))],
    "one by one": lambda t, d: [x.tolist() for x in d.DataLoader(t.arange(9), batch_size=None, shuffle=True)],
    "replacement": lambda t, d: list(d.RandomSampler(range(9), replacement=True, num_samples=75)),
    "more than there are": lambda t, d: list(d.RandomSampler(range(5), num_samples=17)),
    "as many as there are": lambda t, d: list(d.RandomSampler(range(5), num_samples=10)),
    "a subset": lambda t, d: list(d.SubsetRandomSampler([4, 7, 9, 11])),
    "weights": lambda t, d: list(d.WeightedRandomSampler([0.1, 0.9, 0.4, 0.7], 20)),
    "weights without replacement": lambda t, d: list(d.WeightedRandomSampler([0.1, 0.9, 0.4, 0.7], 3, False)),
    "a split": lambda t, d: [list(part.indices) for part in d.random_split(range(11), [3, 8])],
    "a sampler of its own": lambda t, d: [
        b.tolist() for b in d.DataLoader(t.arange(9), sampler=d.SubsetRandomSampler([1, 5, 8]), batch_size=2)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("seed", [0, 42])
def test_the_order_and_what_was_drawn_for_it(name: str, seed: int) -> None:
    results = []
    for library, data in ((ours, our_data), (torch, their_data)):
        library.manual_seed(seed)
        results.append([RANDOM[name](library, data), RANDOM[name](library, data), library.rand(3).tolist()])
    assert results[0] == results[1]


def described(value: Any) -> Any:
    if isinstance(value, (torch.Tensor, ours.Tensor)):
        return value.tolist(), str(value.dtype)
    if isinstance(value, dict):
        return {key: described(part) for key, part in value.items()}
    return (type(value), [described(part) for part in value]) if type(value) in (list, tuple) else value


@pytest.mark.parametrize(
    "batch",
    [
        [1, 2], [True, False], [1, 2.5], [1.5, 2], ["a", "b"], [b"a"], [(1, "a"), (2, "b")], [[1, 2], [3, 4]],
        [{"a": 1, "b": [1.5]}, {"a": 2, "b": [2.5]}], [np.float32(1), np.float32(2)], [np.int8(1), np.int8(2)],
        [np.ones((2, 2)), np.zeros((2, 2))], [np.array(1.5), np.array(2.5)], [(), ()], [{}, {}],
    ],
    ids=repr,
)  # fmt: skip
def test_batches(batch: list[Any]) -> None:
    assert described(our_data.default_collate(batch)) == described(their_data.default_collate(batch))
    assert described(our_data.default_convert(batch)) == described(their_data.default_convert(batch))


@pytest.mark.parametrize("name", [n for n in our_data.__all__ if n not in ("Sampler", "StackDataset")])
def test_signatures(name: str) -> None:
    theirs, mine = (inspect.signature(getattr(d, name)).parameters for d in (their_data, our_data))
    if name != "DataLoader":
        assert list(mine) == list(theirs)
    else:
        assert list(mine.items()) and [(p.name, p.default) for p in mine.values()] == [
            (p.name, p.default) for p in theirs.values()
        ]
