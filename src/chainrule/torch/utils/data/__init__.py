"""Datasets, samplers and the DataLoader: with a seed, batches come in the order in which PyTorch gives them.

>>> from chainrule import torch
>>> data = TensorDataset(torch.arange(6), torch.arange(6) ** 2)
>>> _ = torch.manual_seed(0)
>>> for x, y in DataLoader(data, batch_size=4, shuffle=True):
...     print(x.tolist(), y.tolist())
[0, 4, 3, 5] [0, 16, 9, 25]
[2, 1] [4, 1]
"""

from typing import Any

from chainrule.torch.missing import missing_name
from chainrule.torch.utils.data.batches import default_collate, default_convert
from chainrule.torch.utils.data.dataloader import DataLoader, get_worker_info
from chainrule.torch.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)  # fmt: skip
from chainrule.torch.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)  # fmt: skip

__all__ = [
    "BatchSampler", "ChainDataset", "ConcatDataset", "DataLoader", "Dataset", "IterableDataset",
    "RandomSampler", "Sampler", "SequentialSampler", "StackDataset", "Subset", "SubsetRandomSampler",
    "TensorDataset", "WeightedRandomSampler", "default_collate", "default_convert", "get_worker_info",
    "random_split",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing_name(__name__, name, __all__)
