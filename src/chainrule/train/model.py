"""TableModel: a trained network with everything that is needed to predict from a table's cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import nn
from chainrule.data import ClassTarget, Form, Preparation, Table
from chainrule.modes import no_grad
from chainrule.train.tasks import Classification, Regression, softmax, task_of

CHUNK = 8192
"""Rows that go through a network at once: their hidden values stay in the cache, and in bounds."""


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
        metrics: on rows that were held out, when it was trained.
        training: the settings of the run, and the epoch that was kept.
    """

    name: str
    network: nn.Sequential
    sizes: tuple[int, ...]
    activation: str
    preparation: Preparation
    metrics: dict[str, float]
    training: dict[str, Any]

    @property
    def task(self) -> Classification | Regression:
        """What the network was trained for."""
        return task_of(self.preparation.target)

    @property
    def forms(self) -> dict[str, Form]:
        """How the cells of each column are read."""
        return {feature.name: feature.form for feature in self.preparation.features}

    @property
    def header(self) -> str:
        """Whether the file of the training was said to have a header; ``"auto"`` where nothing was said."""
        settings = self.training.get("settings")
        said = settings.get("header") if isinstance(settings, dict) else None
        return said if said in ("yes", "no") else "auto"

    def outputs(self, table: Table) -> NDArray[Any]:
        """The network's outputs for a table's rows, shape (rows, outputs).

        Raises:
            DataError: a column is missing.
        """
        starts = range(0, table.rows, CHUNK)
        parts = [table.take(np.arange(i, min(i + CHUNK, table.rows))) for i in starts]
        return np.concatenate(
            [outputs_of(self.network, self.preparation.features_of(part)) for part in parts]
        )

    def predict(self, rows: Sequence[Sequence[str]]) -> list[Prediction]:
        """Predictions for rows of text cells, in the order of `preparation.names`.

        Raises:
            DataError: a row that does not fit the columns.
        """
        return self.predictions(self.preparation.table_of(rows)) if rows else []

    def predictions(self, table: Table) -> list[Prediction]:
        """Predictions for a table's rows.

        Raises:
            DataError: a column is missing.
        """
        output, target = self.outputs(table), self.preparation.target
        if isinstance(target, ClassTarget):
            return [_class_prediction(target.classes, row) for row in softmax(output)]
        return [Prediction(float(value)) for value in target.decode(output)]


def outputs_of(network: nn.Module, features: NDArray[Any]) -> NDArray[Any]:
    """A network's outputs, shape (rows, inputs) to (rows, outputs), in prediction mode, unrecorded."""
    network.eval()
    with no_grad():
        output: NDArray[Any] = network(features).data
    return output


def _class_prediction(classes: Sequence[str], probabilities: NDArray[Any]) -> Prediction:
    shares = {name: float(share) for name, share in zip(classes, probabilities, strict=True)}
    return Prediction(classes[int(np.argmax(probabilities))], shares)
