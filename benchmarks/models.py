"""What is trained: seeded data, initial parameters and the learning rate of every model, all float32."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Scalar:
    """Minimise ``x**2 + 4*x``, starting at 0."""

    name: str = "scalar"
    rate: float = 0.1

    @property
    def title(self) -> str:
        return "scalar x² + 4x"

    def parameters(self) -> list[Array]:
        return [np.zeros((), dtype=np.float32)]


@dataclass(frozen=True)
class Network:
    """Two layers, biases, and the mean of the loss over the batch.

    ``"squared error"`` has sigmoid outputs and targets (rows, outputs) of 0 and 1; ``"cross-entropy"``
    has softmax outputs, and the labels (rows,) that ``one_hot`` (rows, outputs) spells out.
    """

    name: str
    sizes: tuple[int, int, int]
    rows: int
    hidden: Literal["tanh", "relu"]
    loss: Literal["squared error", "cross-entropy"]
    rate: float = 0.1

    @property
    def title(self) -> str:
        return f"{self.name} {'-'.join(map(str, self.sizes))}, {self.rows} rows, {self.hidden}, {self.loss}"

    @cached_property
    def _random(self) -> dict[str, Array]:
        random = np.random.default_rng(20)
        inputs, hidden, outputs = self.sizes
        return {
            "inputs": random.normal(size=(self.rows, inputs)).astype(np.float32),
            "labels": random.integers(outputs, size=self.rows),
            "W1": (random.normal(size=(inputs, hidden)) / np.sqrt(inputs)).astype(np.float32),
            "b1": random.normal(scale=0.1, size=hidden).astype(np.float32),
            "W2": (random.normal(size=(hidden, outputs)) / np.sqrt(hidden)).astype(np.float32),
            "b2": random.normal(scale=0.1, size=outputs).astype(np.float32),
        }

    @cached_property
    def inputs(self) -> Array:
        if self.name == "xor":
            return np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
        return self._random["inputs"]

    @cached_property
    def labels(self) -> Array:
        return self._random["labels"]

    @cached_property
    def targets(self) -> Array:
        return np.array([[0], [1], [1], [0]], dtype=np.float32)

    @cached_property
    def one_hot(self) -> Array:
        return np.eye(self.sizes[-1], dtype=np.float32)[self.labels]

    def parameters(self) -> list[Array]:
        """Fresh copies of ``W1`` (inputs, hidden), ``b1``, ``W2`` (hidden, outputs) and ``b2``."""
        return [self._random[name].copy() for name in ("W1", "b1", "W2", "b2")]


Model: TypeAlias = Scalar | Network

MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Scalar(),
        Network("xor", (2, 8, 1), 4, "tanh", "squared error"),
        Network("iris", (4, 16, 3), 32, "tanh", "cross-entropy"),
        Network("iris-150", (4, 2, 3), 150, "tanh", "cross-entropy"),
        Network("small", (20, 64, 10), 64, "relu", "cross-entropy"),
        Network("mnist", (784, 128, 10), 128, "relu", "cross-entropy"),
    )
}
