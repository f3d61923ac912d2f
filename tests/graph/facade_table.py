"""Modules and losses in PyTorch's style, each with a batch, for comparing a compiled step with the eager one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule import torch
from chainrule.torch import nn

F = nn.functional


class Row(NamedTuple):
    """How a module is made, its loss, and a batch in float64."""

    module: Callable[[], Any]
    loss: Callable[[Any, Any], Any]
    inputs: Any
    targets: Any


def numbers(*shape: int, seed: int = 0) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def labels(*shape: int, classes: int = 3) -> Any:
    return torch.from_numpy(np.random.default_rng(1).integers(0, classes, size=shape))


def choices(*shape: int) -> Any:
    return labels(*shape, classes=2).double()


def dense(*between: Callable[[], Any], outputs: int = 3) -> Callable[[], Any]:
    return lambda: nn.Sequential(nn.Linear(4, 5), *(make() for make in between), nn.Linear(5, outputs))


class Recurrent(nn.Module):
    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.cells = kind(3, 5, batch_first=True, **options)
        self.out = nn.Linear(10 if options.get("bidirectional") else 5, 2)

    def forward(self, x: Any) -> Any:
        return self.out(self.cells(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(8, 2, bias=False, batch_first=True), nn.LayerNorm(8)

    def forward(self, x: Any) -> Any:
        return self.norm(x + self.attention(x, x, x, need_weights=False)[0]).mean(1)


class Residual(nn.Module):
    """A block whose convolutions have no bias, which a normalisation would cancel."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return (x + self.second(F.relu(self.norm(self.first(x))))).flatten(1)[:, :3]


X, IMAGES, SEQUENCES, WORDS = numbers(6, 4), numbers(5, 2, 4, 4), numbers(4, 6, 3), labels(5, 3, classes=7)
mse, cross_entropy = nn.MSELoss(), nn.CrossEntropyLoss()

ROWS: dict[str, Row] = {
    "linear": Row(dense(nn.Tanh), mse, X, numbers(6, 3)),
    "relu": Row(dense(nn.ReLU), cross_entropy, X, labels(6)),
    "activations": Row(dense(nn.SiLU, nn.LeakyReLU, nn.PReLU, nn.ELU), nn.SmoothL1Loss(), X, numbers(6, 3)),
    "gelu": Row(dense(nn.GELU, nn.Softplus), nn.HuberLoss(), X, numbers(6, 3)),
    "smoothed": Row(dense(nn.Sigmoid), nn.CrossEntropyLoss(label_smoothing=0.1), X, labels(6)),
    "ignored": Row(dense(nn.Hardtanh), nn.CrossEntropyLoss(ignore_index=1), X, labels(6)),
    "probabilities": Row(dense(nn.ReLU6), cross_entropy, X, torch.softmax(numbers(6, 3), dim=1)),
    "nll": Row(lambda: nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=1)), nn.NLLLoss(), X, labels(6)),
    "kl": Row(lambda: nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=1)), nn.KLDivLoss(reduction="batchmean"), X,
              torch.softmax(numbers(6, 3), dim=1)),
    "logits": Row(dense(nn.Tanh, outputs=1), nn.BCEWithLogitsLoss(), X, choices(6, 1)),
    "bce": Row(lambda: nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), nn.BCELoss(), X, choices(6, 1)),
    "layer norm": Row(dense(lambda: nn.LayerNorm(5)), nn.L1Loss(), X, numbers(6, 3)),
    "batch norm": Row(lambda: nn.Sequential(nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)),
                      mse, X, numbers(6, 3)),
    "mean of batches": Row(lambda: nn.Sequential(nn.BatchNorm1d(4, momentum=None), nn.Linear(4, 3)), mse, X,
                           numbers(6, 3)),
    "dropout": Row(lambda: dense(nn.Dropout)().eval(), mse, X, numbers(6, 3)),
    "convolution": Row(lambda: nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                                             nn.Linear(12, 3)), cross_entropy, IMAGES, labels(5)),
    "residual": Row(Residual, cross_entropy, IMAGES, labels(5)),
    "dilated": Row(lambda: nn.Sequential(nn.Conv1d(4, 4, 3, groups=2, dilation=2), nn.Flatten(), nn.Linear(16, 2)),
                   mse, numbers(5, 4, 8), numbers(5, 2)),
    "transposed": Row(lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2, stride=2), nn.AdaptiveAvgPool2d(1),
                                            nn.Flatten()), mse, IMAGES, numbers(5, 3)),
    "embedding": Row(lambda: nn.Sequential(nn.Embedding(7, 4, padding_idx=0), nn.Flatten(), nn.Linear(12, 3)),
                     cross_entropy, WORDS, labels(5)),
    "group norm": Row(lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(32, 2)), mse,
                      numbers(5, 4, 8), numbers(5, 2)),
    "lstm": Row(lambda: Recurrent(nn.LSTM), mse, SEQUENCES, numbers(4, 2)),
    "two lstms": Row(lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True), mse, SEQUENCES, numbers(4, 2)),
    "gru": Row(lambda: Recurrent(nn.GRU), mse, SEQUENCES, numbers(4, 2)),
    "attention": Row(Attention, mse, numbers(3, 5, 8), numbers(3, 8)),
}  # fmt: skip
