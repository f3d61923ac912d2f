"""The model file: safetensors, with everything but the weights as JSON in its metadata.

Opening one never runs code. Every field is checked, and every array against the architecture, before it is
used, because the file may be damaged, foreign or hostile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from chainrule import nn
from chainrule.data import (
    BooleanFeature,
    CategoryFeature,
    ClassTarget,
    DateFeature,
    Feature,
    Form,
    NumericFeature,
    NumericTarget,
    Preparation,
)
from chainrule.data.cells import ORDERS
from chainrule.errors import ModelFileError, OptionError
from chainrule.files import write_atomically
from chainrule.train.model import TableModel
from chainrule.train.network import table_network
from chainrule.train.record import Record

VERSION = 2
KEY = "chainrule"
"""The one key of the metadata: several would be written in an order that changes from run to run."""


def save_model(model: TableModel, path: str | Path) -> None:
    """Write a model to a file, atomically; equal models give equal bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    description = {
        "version": VERSION,
        "made by": f"chainrule {version('chainrule')}",
        "data": model.name,
        "network": {
            "sizes": model.sizes,
            "activation": model.activation,
            "dropout": any(isinstance(layer, nn.Dropout) for layer in model.network),
        },
        "features": [_described(feature) for feature in model.preparation.features],
        "left out": dict(model.preparation.left_out),
        "target": _described(model.preparation.target),
        # R² of a single row is undefined, and JSON has no NaN.
        "metrics": {name: value for name, value in model.metrics.items() if math.isfinite(value)},
        "training": model.training,
    }
    content = save(model.network.state_dict(), {KEY: json.dumps(description, ensure_ascii=False)})
    write_atomically(Path(path), content)


def load_model(path: str | Path) -> TableModel:
    """Read a model from a file that `save_model` wrote.

    Raises:
        ModelFileError: the file is missing, damaged, foreign, or of a newer version.
    """
    path = Path(path)
    _require_file(path)
    try:
        with safe_open(path, framework="numpy") as file:
            return _read(file, str(path))
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path} is damaged or no model file at all ({error}); expected is a .safetensors file that "
            "`chainrule train` saved"
        ) from error


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise ModelFileError(
            f"{path} is a folder; expected is a .safetensors file that `chainrule train` saved"
        )
    if not path.exists():
        raise ModelFileError(
            f"there is no file {path}: give the .safetensors file that `chainrule train` saved "
            "(it prints the path at the end)"
        )


def _described(part: Any) -> dict[str, Any]:
    return {"kind": part.kind} | asdict(part)


def _read(file: Any, name: str) -> TableModel:
    record = Record.parse(_description(file, name), name)
    _check_version(record)
    preparation = _preparation(record)
    network = record.record("network")
    sizes, activation = _architecture(network, preparation)
    dropout = network.truth("dropout")
    _require_fitting_arrays(file, name, sizes, preparation, dropout)
    layers = table_network(
        sizes,
        activation,
        dense=preparation.dense,
        vectors=preparation.vectors,
        dropout=0.5 * dropout,  # its share has no effect in prediction
        generator=0,
    )
    layers.load_state_dict(_arrays(file, name))
    return TableModel(
        record.text("data"),
        layers,
        sizes,
        activation,
        preparation,
        record.numbers("metrics"),
        record.record("training").fields,
    )


def _preparation(record: Record) -> Preparation:
    features = tuple(_feature(part) for part in record.records("features"))
    target, left_out = _target(record.record("target")), record.record("left out")
    names = [target.name, *(feature.name for feature in features)]
    if len(set(names)) != len(names):
        raise ModelFileError(f"{record.file}: a column is there twice among {', '.join(names)[:200]}")
    return Preparation(features, target, tuple((name, left_out.text(name)) for name in left_out.fields))


def _description(file: Any, name: str) -> str:
    text = (file.metadata() or {}).get(KEY)
    if text is None:
        raise ModelFileError(
            f"{name} is a safetensors file, but not one that `chainrule train` saved: it does not describe "
            "the network and the table's columns"
        )
    return str(text)


def _check_version(record: Record) -> None:
    found = record.integer("version")
    if found > VERSION:
        raise ModelFileError(
            f"{record.file} has format {found}, but this chainrule reads {VERSION}: install a newer chainrule"
        )
    if found < VERSION:
        raise ModelFileError(
            f"{record.file} has format {found}, but this chainrule reads {VERSION}: train it again"
        )


def _numeric_feature(record: Record) -> Feature:
    return NumericFeature(
        record.text("name"), record.number("mean"), _scale(record), record.truth("indicator")
    )


def _boolean_feature(record: Record) -> Feature:
    words = _different(record, "words", 2, 2)
    return BooleanFeature(record.text("name"), words, record.truth("indicator"))


def _date_feature(record: Record) -> Feature:
    order = record.text("order")
    if order not in ORDERS:
        raise ModelFileError(f"{record.file}: {record.place}order is no order of dates: {order[:40]!r}")
    span = record.number("mean"), _scale(record)
    return DateFeature(record.text("name"), order, *span, record.truth("clock"), record.truth("indicator"))


def _category_feature(record: Record) -> Feature:
    categories, dimension = _different(record, "categories", 0), record.integer("dimension")
    if not 0 <= dimension <= 1024:
        raise ModelFileError(
            f"{record.file}: {record.place}dimension should be from 0 to 1024, but is {dimension}"
        )
    return CategoryFeature(record.text("name"), categories, record.truth("other"), dimension)


FEATURES = {
    "numeric": _numeric_feature,
    "boolean": _boolean_feature,
    "date": _date_feature,
    "category": _category_feature,
}


def _feature(record: Record) -> Feature:
    return FEATURES[_kind(record, FEATURES)](record)


def _target(record: Record) -> NumericTarget | ClassTarget:
    if _kind(record, ("numeric", "category")) == "numeric":
        return NumericTarget(record.text("name"), record.number("mean"), _scale(record))
    classes, counts = _different(record, "classes", 2), tuple(record.integers("counts"))
    if len(counts) != len(classes) or min(counts) < 0:
        raise ModelFileError(f"{record.file}: {record.place}counts should be one number for each class")
    read = record.record("read")
    detail = tuple(read.texts("detail"))
    kind = _kind(read, FEATURES)
    if (kind == "boolean" and len(detail) != 2) or (
        kind == "date" and detail[:1] not in {(o,) for o in ORDERS}
    ):
        raise ModelFileError(f"{record.file}: {read.place}detail does not say how the target is read")
    return ClassTarget(record.text("name"), classes, counts, Form(kind, detail))  # type: ignore[arg-type]


def _different(record: Record, name: str, least: int, most: int | None = None) -> tuple[str, ...]:
    texts = tuple(record.texts(name))
    if len(set(texts)) != len(texts) or len(texts) < least or (most is not None and len(texts) > most):
        raise ModelFileError(
            f"{record.file}: {record.place}{name} should be different texts, at least {least}"
        )
    return texts


def _kind(record: Record, known: Iterable[str]) -> str:
    kind = record.text("kind")
    if kind not in known:
        raise ModelFileError(
            f"{record.file}: {record.place}kind should be one of {', '.join(known)}, but is {kind[:40]!r}"
        )
    return kind


def _scale(record: Record) -> float:
    scale = record.number("scale")
    if not scale > 0:
        raise ModelFileError(f"{record.file}: {record.place}scale should be above 0, but is {scale}")
    return scale


def _architecture(record: Record, preparation: Preparation) -> tuple[tuple[int, ...], str]:
    sizes, activation = tuple(record.integers("sizes")), record.text("activation")
    target = preparation.target
    ends = (preparation.inputs, len(target.classes) if isinstance(target, ClassTarget) else 1)
    if len(sizes) < 2 or min(sizes) < 1 or (sizes[0], sizes[-1]) != ends:
        raise ModelFileError(
            f"{record.file}: the network's sizes are {list(sizes)}, but its columns and target need "
            f"{ends[0]} inputs and {ends[1]} outputs"
        )
    try:
        nn.activation(activation)
    except OptionError as error:
        raise ModelFileError(f"{record.file}: {error}") from None
    return sizes, activation


def _require_fitting_arrays(
    file: Any, name: str, sizes: tuple[int, ...], preparation: Preparation, dropout: bool
) -> None:
    """Refuse arrays that are not those of the architecture, before any memory is allocated for it."""
    vectors = preparation.vectors
    expected = {f"0.tables.{i}": list(size) for i, size in enumerate(vectors)}
    first, step = int(bool(vectors)), 3 if dropout else 2
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        place = first + step * layer
        expected |= {f"{place}.weight": [inputs, outputs], f"{place}.bias": [outputs]}
    found = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
    if {key: list(part.get_shape()) for key, part in found.items()} != expected:
        raise ModelFileError(f"{name}: the arrays in it are not those of a network of sizes {list(sizes)}")
    if any(part.get_dtype() != "F64" for part in found.values()):
        raise ModelFileError(f"{name}: its arrays should all be float64 (F64)")


def _arrays(file: Any, name: str) -> dict[str, NDArray[Any]]:
    arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise ModelFileError(f"{name}: {key} contains NaN or infinity, so the file is damaged")
    return arrays
