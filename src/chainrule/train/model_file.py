"""The model file: safetensors, with everything but the weights as JSON in its metadata.

Opening one never runs code. Every field is checked, and every array against the architecture, before it is
used, because the file may be damaged, foreign or hostile.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from chainrule import nn
from chainrule.data import CategoryFeature, ClassTarget, NumericFeature, NumericTarget, Preparation
from chainrule.errors import ModelFileError, OptionError
from chainrule.files import write_atomically
from chainrule.train.model import TableModel
from chainrule.train.record import Record

VERSION = 1
KEY = "chainrule"
"""The one key of the metadata: several would be written in an order that changes from run to run."""


def save_model(model: TableModel, path: str | Path) -> None:
    """Write a model to a file, atomically; equal models give equal bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    description = {
        "version": VERSION,
        "data": model.name,
        "network": {"sizes": model.sizes, "activation": model.activation},
        "features": [_described(feature) for feature in model.preparation.features],
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
    features = tuple(_feature(part) for part in record.records("features"))
    preparation = Preparation(features, _target(record.record("target")))
    sizes, activation = _architecture(record.record("network"), preparation)
    _require_fitting_arrays(file, name, sizes)
    network = nn.multilayer(sizes, activation, generator=0)
    network.load_state_dict(_arrays(file, name))
    return TableModel(
        record.text("data"),
        network,
        sizes,
        activation,
        preparation,
        record.numbers("metrics"),
        record.record("training").fields,
    )


def _description(file: Any, name: str) -> str:
    text = (file.metadata() or {}).get(KEY)
    if text is None:
        raise ModelFileError(
            f"{name} is a safetensors file, but not one that `chainrule train` saved: it does not describe "
            "the network and the table's columns"
        )
    return str(text)


def _check_version(record: Record) -> None:
    version = record.integer("version")
    if version > VERSION:
        raise ModelFileError(
            f"{record.file} has format {version}, but this chainrule reads up to {VERSION}: "
            "install a newer chainrule"
        )
    if version < 1:
        raise ModelFileError(f"{record.file} has format {version}, which never existed: the file is damaged")


def _feature(record: Record) -> NumericFeature | CategoryFeature:
    if _kind(record) == "numeric":
        return NumericFeature(record.text("name"), record.number("mean"), _scale(record))
    return CategoryFeature(record.text("name"), tuple(record.texts("categories")))


def _target(record: Record) -> NumericTarget | ClassTarget:
    if _kind(record) == "numeric":
        return NumericTarget(record.text("name"), record.number("mean"), _scale(record))
    return ClassTarget(record.text("name"), tuple(record.texts("classes")))


def _kind(record: Record) -> str:
    kind = record.text("kind")
    if kind not in ("numeric", "category"):
        raise ModelFileError(
            f"{record.file}: {record.place}kind should be numeric or category, but is {kind!r}"
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


def _require_fitting_arrays(file: Any, name: str, sizes: tuple[int, ...]) -> None:
    """Refuse arrays that are not those of the architecture, before any memory is allocated for it."""
    expected: dict[str, list[int]] = {}
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        expected |= {f"{2 * layer}.weight": [inputs, outputs], f"{2 * layer}.bias": [outputs]}
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
