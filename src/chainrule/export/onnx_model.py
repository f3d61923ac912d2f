"""ONNX models of networks and of whole tables' models, for onnxruntime and whatever else reads that format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from chainrule.data import BooleanFeature, CategoryFeature, ClassTarget, Feature
from chainrule.data.cells import MISSING
from chainrule.errors import InputError, OutputError, ShapeError
from chainrule.export.operators import OPERATORS, written
from chainrule.export.pipeline import prediction_graph
from chainrule.export.tracing import traced
from chainrule.export.values import Nodes, Value
from chainrule.graph import Graph
from chainrule.graph.emit.expansion import COMPOUND, expanded
from chainrule.graph.ir import Atom, Equation, Literal, Variable, all_names, replaced
from chainrule.nn import Module
from chainrule.train import TableModel

OPSET, ML_OPSET, FORMAT = 20, 4, 10
"""The versions of ONNX's operators, of those for tables, and of the file format: what onnxruntime 1.18 reads."""

ROWS = "rows"

MOST_BYTES = 2**31
"""A file of protocol buffers, as ONNX's is, cannot be larger."""


def onnx(module: Module | Graph | TableModel, *example: Any) -> Any:
    """The ONNX model (`onnx.ModelProto`) of a prediction, its weights included; needs ``chainrule[onnx]``.

    Of a module, with an example of its input; of a graph (`chainrule.trace`) as it is. Inputs have the names of the
    arguments, and their first axis any length if the graph is the same for another. Of a model that `chainrule train`
    saved, the whole pipeline: an input of shape (rows, 1) for each column, float64 numbers (NaN where one is missing;
    of a date the days since 1970) or texts (``""`` where one is missing; spelt as in training, without spaces around
    them; of yes and no, any other word counts as missing). Its outputs are ``label`` and ``probabilities`` of classes,
    or ``value``, the number in its unit. The metadata has the columns and classes.

    Where onnxruntime has an operator in float32 alone (erf, the inverse functions, convolutions), float64 values are
    rounded on their way through it.

    Raises:
        UnsupportedError: it uses a primitive that has no ONNX form here; the message has its line.
        InputError: onnx is not installed; or no module, graph or model.

    >>> from chainrule import nn
    >>> model = onnx(nn.Sequential(nn.Linear(2, 3, generator=0), nn.Tanh()), np.ones((5, 2)))
    >>> [node.op_type for node in model.graph.node]
    ['MatMul', 'Add', 'Tanh', 'Identity']
    """
    _require_onnx()
    if isinstance(module, TableModel):
        return _of_table(module)
    graph = traced(module, example)
    model = _of_graph(graph, fixed=True)
    if isinstance(module, Module):
        flexible = _of_graph(graph, fixed=False)
        return flexible if flexible is not None and _works_for_more_rows(module, example, model) else model
    return model


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise InputError('export to ONNX needs the package onnx: pip install "chainrule[onnx]"') from error


def _works_for_more_rows(module: Module, example: tuple[Any, ...], model: Any) -> bool:
    """Whether one row more gives the same nodes and arrays."""
    more = [
        np.concatenate([array, array[:1]]) if np.ndim(array) else array for array in map(np.asarray, example)
    ]
    try:
        other = _of_graph(traced(module, tuple(more)), fixed=True)
    except (ShapeError, ValueError):
        return False
    parts = [(list(m.graph.node), list(m.graph.initializer)) for m in (model, other)]
    return parts[0] == parts[1]


def _of_graph(graph: Graph, fixed: bool) -> Any:
    """The model of a graph, whose first axes have fixed lengths, or any."""
    nodes = Nodes()
    names = all_names(graph)
    given = {v: Value(nodes, nodes.free_name(names[v]), v.dtype) for v in graph.inputs}
    outputs = write(nodes, graph, given)
    named = [nodes.node("Identity", o, name="output") for o in outputs]
    rows = [v.shape[0] for v in graph.inputs if v.shape]
    common = rows[0] if rows and len(set(rows)) == 1 and not fixed else None
    shapes = [o.shape for o in graph.outputs]

    def shape_of(shape: tuple[int, ...]) -> list[Any]:
        return [ROWS, *shape[1:]] if shape and common is not None and shape[0] == common else list(shape)

    return _model(
        nodes,
        graph.name,
        [(value, shape_of(v.shape)) for v, value in given.items()],
        [(value, shape_of(shape)) for value, shape in zip(named, shapes, strict=True)],
        {},
    )


def write(nodes: Nodes, graph: Graph, given: Mapping[Variable, Value]) -> list[Value]:
    """Add the nodes of a graph; returns its outputs, from the values of its inputs.

    Raises:
        UnsupportedError: a primitive that has no ONNX form here.
    """
    graph = expanded(graph, COMPOUND - OPERATORS.keys())
    names, values = all_names(graph), dict(given)
    known = {constant: constant.value for constant in graph.constants}

    def value_of(atom: Atom) -> Value:
        if isinstance(atom, Literal):
            return nodes.constant(np.asarray(atom.value))
        if atom not in values:
            values[atom] = nodes.constant(known[atom], names.get(atom, ""))
        return values[atom]

    def index(part: Any) -> Value:
        found = value_of(part) if isinstance(part, Variable) else nodes.constant(np.asarray(part, np.int64))
        return found.to(np.int64)

    for equation in graph.equations:
        if known.keys() >= set(equation.used()):  # a transposed weight
            known.update(zip(equation.outputs, equation.evaluate(known), strict=True))
            continue
        fixed = {n: replaced(p, lambda v: known.get(v, v)) for n, p in equation.parameters.items()}
        step = Equation(equation.primitive, equation.inputs, fixed, equation.outputs, equation.place)
        inputs = [value_of(atom) for atom in step.inputs]
        values[step.outputs[0]] = written(nodes, step, inputs, index)
    return [value_of(output) for output in graph.outputs]


def _model(
    nodes: Nodes, name: str, inputs: Iterable[tuple[Value, list[Any]]], outputs: Iterable[tuple[Value, list[Any]]],
    metadata: Mapping[str, str],
) -> Any:  # fmt: skip
    from onnx import checker, helper

    def described(value: Value, shape: list[Any]) -> Any:
        text = value.dtype == np.dtype(object)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype("O") if text else value.dtype)
        return helper.make_tensor_value_info(value.name, kind, shape)

    graph = helper.make_graph(
        nodes.nodes,
        name,
        [described(*given) for given in inputs],
        [described(*result) for result in outputs],
        [array for _, array in nodes.arrays.values()],
    )
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(
        graph, opset_imports=imports, ir_version=FORMAT, producer_name="chainrule",
        producer_version=version("chainrule"),
    )  # fmt: skip
    helper.set_model_props(model, dict(metadata))
    if model.ByteSize() >= MOST_BYTES:
        raise OutputError(
            f"the ONNX model has {model.ByteSize():,} bytes, and a file of ONNX fewer than {MOST_BYTES:,}"
        )
    checker.check_model(model)
    return model


# a model of a table ---------------------------------------------------------------------------------------------


def _of_table(model: TableModel) -> Any:
    graph, nodes = prediction_graph(model), Nodes()
    features, target = model.preparation.features, model.preparation.target
    inputs, given = [], {}
    for feature, variable in zip(features, graph.inputs, strict=True):
        # An input has the name of its column, whatever that is.
        raw = Value(nodes, nodes.free_name(feature.name), _KINDS[feature.kind])
        inputs.append(raw)
        given[variable] = READERS[feature.kind](nodes, feature, raw)
    (predicted,) = write(nodes, graph, given)
    if isinstance(target, ClassTarget):
        number = nodes.node("ArgMax", predicted, axis=1, keepdims=0).seen_as(np.int64)
        classes = nodes.constant(np.array(target.classes, object), "classes")
        outputs: list[tuple[Value, list[Any]]] = [
            (nodes.node("Gather", classes, number, name="label"), [ROWS]),
            (nodes.node("Identity", predicted, name="probabilities"), [ROWS, len(target.classes)]),
        ]
    else:
        outputs = [(nodes.node("Identity", predicted, name="value"), [ROWS])]
    return _model(nodes, "prediction", [(raw, [ROWS, 1]) for raw in inputs], outputs, _metadata(model))


def _metadata(model: TableModel) -> dict[str, str]:
    target = model.preparation.target
    columns = [
        {"name": f.name, "kind": f.kind, "made of it": f.treatment} for f in model.preparation.features
    ]
    described = {
        "data": model.name,
        "target": target.name,
        "columns": json.dumps(columns, ensure_ascii=False),
    }
    if isinstance(target, ClassTarget):
        described["classes"] = json.dumps(list(map(str, target.classes)), ensure_ascii=False)
    return described


def _as_it_is(nodes: Nodes, feature: Feature, raw: Value) -> Value:
    return raw


def _numbered(nodes: Nodes, feature: CategoryFeature, raw: Value) -> Value:
    """The number of each text's category: 0 for any other; missing values are one where training had some."""
    numbers = {name: number for number, name in enumerate(feature.categories, start=1)}
    if "" in numbers:
        numbers = dict.fromkeys(_missing_spellings(), numbers[""]) | numbers
    return nodes.node(
        "LabelEncoder", raw, domain="ai.onnx.ml", keys_strings=list(numbers), values_int64s=list(numbers.values()),
        default_int64=0,
    ).seen_as(np.int64)  # fmt: skip


def _yes_or_no(nodes: Nodes, feature: BooleanFeature, raw: Value) -> Value:
    found = nodes.node(
        "LabelEncoder", raw, domain="ai.onnx.ml", keys_strings=list(feature.words), values_floats=[0.0, 1.0],
        default_float=float("nan"),
    )  # fmt: skip
    return found.seen_as(np.float32).to(np.float64)


def _missing_spellings() -> set[str]:
    return {spelling for word in MISSING for spelling in (word, word.upper(), word.title(), "NaN")}


_KINDS = {"numeric": np.float64, "date": np.float64, "category": object, "boolean": object}

READERS: Mapping[str, Callable[[Nodes, Any, Value], Value]] = {
    "numeric": _as_it_is,
    "date": _as_it_is,
    "category": _numbered,
    "boolean": _yes_or_no,
}
