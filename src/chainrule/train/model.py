"""TableModel: a trained network with everything that is needed to predict from a table's cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import nn
from chainrule.data import ClassTarget, Preparation
from chainrule.modes import no_grad


@dataclass(frozen=True)
class Prediction:
    """What a model says of one row: a class with all classes' probabilities, or a number without any."""

    value: str | float
    probabilities: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TableModel:
    """A network with the encoding of its table's columns.

    Attributes:
        name: of the table.
        sizes, activation: the network's architecture.
        metrics: on the held-out rows, when it was trained.
        training: the settings of the run, and the epoch that was kept.
    """

    name: str
    network: nn.Sequential
    sizes: tuple[int, ...]
    activation: str
    preparation: Preparation
    metrics: dict[str, float]
    training: dict[str, Any]

    def predict(self, rows: Sequence[Sequence[str]]) -> list[Prediction]:
        """Predictions for rows of text cells, in the order of `preparation.names`.

        Raises:
            DataError: a row that does not fit the columns.
        """
        if not rows:
            return []
        output = outputs_of(self.network, self.preparation.features_of(self.preparation.table_of(rows)))
        target = self.preparation.target
        if isinstance(target, ClassTarget):
            return [_class_prediction(target.classes, row) for row in _softmax(output)]
        return [Prediction(float(value)) for value in target.decode(output)]


def outputs_of(network: nn.Module, features: NDArray[Any]) -> NDArray[Any]:
    """A network's outputs, shape (rows, inputs) to (rows, outputs), in prediction mode, unrecorded."""
    network.eval()
    with no_grad():
        output: NDArray[Any] = network(features).data
    return output


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    # The largest logit becomes 0, so that no exponential overflows.
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[Any] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares


def _class_prediction(classes: Sequence[str], probabilities: NDArray[Any]) -> Prediction:
    shares = {name: float(share) for name, share in zip(classes, probabilities, strict=True)}
    return Prediction(classes[int(np.argmax(probabilities))], shares)
