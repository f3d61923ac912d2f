"""A table's model as one graph: from its columns as numbers to what is predicted.

Only what a graph cannot hold stays outside: a text becomes the number of its category, and a date the days since
1970, before; the number of a class becomes its name after.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import nn, ops
from chainrule.data import (
    BooleanFeature,
    CategoryFeature,
    ClassTarget,
    DateFeature,
    Feature,
    NumericFeature,
    NumericTarget,
)
from chainrule.data.features import WEEK, YEAR
from chainrule.graph import Graph, trace
from chainrule.graph.ir import Variable
from chainrule.graph.naming import identifier
from chainrule.train import TableModel, Vectors

ROWS = 97
"""How many rows the graph is traced with; a number that a network hardly has as a width."""

Parts = dict[str, Any]


def prediction_graph(model: TableModel, rows: int = ROWS) -> Graph:
    """The graph of a model's prediction, with the preparation of its columns.

    It takes a dict of the columns, each of shape (rows, 1): float64 with NaN where a value is missing (of a column of
    yes and no 0 and 1, of a date the days since 1970), and for a category its number, int64: 1 for the first of
    `feature.categories`, 0 for any other. It returns the probabilities of the classes, shape (rows, classes), or the
    numbers in the target's unit, shape (rows,).

    >>> from chainrule.data import load
    >>> from chainrule.train import Settings, TableTraining
    >>> training = TableTraining.prepare(load("iris"), "species", Settings(epochs=1))
    >>> graph = prediction_graph(training.model({}))
    >>> [variable.hint for variable in graph.inputs], graph.outputs[0].shape
    (['sepal_length', 'sepal_width', 'petal_length', 'petal_width'], (97, 3))
    """
    features, target = model.preparation.features, model.preparation.target
    layers = list(model.network.eval())
    vectors = layers[0].tables if isinstance(layers[0], Vectors) else []
    network = nn.Sequential(*layers[bool(vectors) :])

    def predict(columns: Mapping[str, Any]) -> tuple[list[Parts], Any, Any]:
        parts = [PARTS[feature.kind](feature, columns[feature.name]) for feature in features]
        inputs = _inputs(features, parts, vectors)
        return parts, inputs, _decoded(target, network(inputs))

    graph = trace(predict, {feature.name: _example(feature, rows) for feature in features})
    parts, inputs, predicted = graph.result
    result = "probabilities" if isinstance(target, ClassTarget) else "predicted"
    # What a part of a column is called is known only here: all are made by the same few lines.
    for name, atom in chain(*(named.items() for named in parts), [("inputs", inputs), (result, predicted)]):
        if isinstance(atom, Variable) and not atom.is_input:
            atom.hint = name
    number = {"vectors": 0, "W": 0, "b": 0}
    for constant in graph.constants:
        if constant.is_parameter:
            is_vectors = any(np.shares_memory(constant.value, table.data) for table in vectors)
            letter = "vectors" if is_vectors else "W" if len(constant.shape) == 2 else "b"
            number[letter] += 1
            constant.hint = f"{letter}{number[letter]}"
    return graph.with_(name="forward", result=predicted)


def _example(feature: Feature, rows: int) -> NDArray[Any]:
    return np.zeros((rows, 1), np.int64 if isinstance(feature, CategoryFeature) else np.float64)


def _inputs(features: Sequence[Feature], parts: list[Parts], tables: Sequence[Any]) -> Any:
    """What the first layer takes: numbers as they are, then the vectors of embedded categories."""
    columns: list[Any] = []
    vectors: list[Any] = []
    for feature, named in zip(features, parts, strict=True):
        if isinstance(feature, CategoryFeature) and feature.dimension:
            (codes,) = named.values()
            vectors.append(tables[len(vectors)][codes[:, 0]])
        else:
            columns += named.values()
    return ops.concat([*columns, *vectors], axis=1)


def _decoded(target: ClassTarget | NumericTarget, outputs: Any) -> Any:
    if isinstance(target, ClassTarget):
        return ops.softmax(outputs, axis=-1)
    return outputs[:, 0] * target.scale + target.mean


# the parts of each kind of column, in the order of its inputs -------------------------------------------------


def _of_numbers(feature: NumericFeature, x: Any) -> Parts:
    return dict(_standardised(feature.name, x, feature.mean, feature.scale, feature.indicator))


def _of_two_words(feature: BooleanFeature, x: Any) -> Parts:
    return dict(_standardised(feature.name, x, 0.5, 0.5, feature.indicator))


def _standardised(name: str, x: Any, mean: float, scale: float, indicator: bool) -> Iterator[tuple[str, Any]]:
    missing = ops.isnan(x)
    yield f"scaled_{identifier(name)}", ops.where(missing, 0.0, (x - mean) / scale)
    if indicator:
        yield f"missing_{identifier(name)}", ops.astype(missing, np.float64)


def _of_dates(feature: DateFeature, x: Any) -> Parts:
    name, missing = identifier(feature.name), ops.isnan(x)
    parts = dict(_standardised(feature.name, x, feature.mean, feature.scale, feature.indicator))
    passed = ops.where(missing, 0.0, x)
    angles = {"year": passed / YEAR, "week": ops.floor(passed) / WEEK} | (
        {"day": passed} if feature.clock else {}
    )
    functions: dict[str, Callable[[Any], Any]] = {"sin": ops.sin, "cos": ops.cos}
    for period, angle in angles.items():
        for function, f in functions.items():
            parts[f"{function}_{period}_{name}"] = ops.where(missing, 0.0, f(2 * math.pi * angle))
    return parts


def _of_categories(feature: CategoryFeature, codes: Any) -> Parts:
    if feature.dimension:
        return {feature.name: codes}
    numbers = np.array([*range(1, 1 + len(feature.categories)), *([0] if feature.other else [])])
    return {f"is_{identifier(feature.name)}": ops.astype(codes == numbers, np.float64)}


PARTS: Mapping[str, Callable[[Any, Any], Parts]] = {
    "numeric": _of_numbers,
    "boolean": _of_two_words,
    "date": _of_dates,
    "category": _of_categories,
}
