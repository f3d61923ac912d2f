"""`chainrule export`: what it writes, and what it refuses."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from trained_tables import cells_of, trained

from chainrule.cli import main, program
from chainrule.data import load
from chainrule.train import TableModel, save_model


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(program.COMMANDS, "export", "")


@pytest.fixture
def model(tmp_path: Path) -> TableModel:
    found = trained(load("penguins"), "species")
    save_model(found, tmp_path / "penguins.safetensors")
    return found


def chainrule(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="chainrule")


def test_numpy_predicts_what_the_command_does(model: TableModel, tmp_path: Path) -> None:
    result = chainrule("export", "penguins.safetensors", "--to", "numpy")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "wrote penguins.py: penguins, network 14-8-3",
        "use it with: from penguins import predict; predict({'island': […], 'bill_length_mm': […], …})",
    ]
    rows = cells_of(load("penguins"), model.preparation.names)
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([model.preparation.names, *rows])
    told = chainrule("predict", "penguins.safetensors", "rows.csv").stdout.splitlines()[1:]
    scope: dict[str, object] = {}
    exec((tmp_path / "penguins.py").read_text(encoding="utf-8"), scope)
    columns = dict(zip(model.preparation.names, map(list, zip(*rows, strict=True)), strict=True))
    assert scope["predict"](columns) == told  # type: ignore[operator]


def test_onnx_is_a_file_that_onnxruntime_opens(model: TableModel) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    result = chainrule("export", "penguins.safetensors", "--to", "onnx", "--out", "p.onnx")
    assert result.exit_code == 0, result.output
    session = onnxruntime.InferenceSession("p.onnx", providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == model.preparation.names
    assert [(one.name, one.shape) for one in session.get_outputs()] == [
        ("label", ["rows"]),
        ("probabilities", ["rows", 3]),
    ]
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == [
        "Adelie",
        "Chinstrap",
        "Gentoo",
    ]
    row = ["Dream", "", "18.2", "193", "3775", "female"]
    cells = {
        feature.name: np.array([[cell]], object)
        if feature.kind == "category"
        else np.array([[float(cell or "nan")]])
        for feature, cell in zip(model.preparation.features, row, strict=True)
    }
    label, shares = session.run(None, cells)
    (expected,) = model.predict([row])
    assert label.tolist() == [expected.value]
    np.testing.assert_allclose(shares[0], list(expected.probabilities.values()), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["penguins.safetensors", "--to", "pickle"], "there is no such form: choose numpy or onnx"),
        (["penguins.safetensors", "--to", "numpi"], "did you mean numpy?"),
        (["penguins.safetensors"], "Missing option '--to'"),
        (["nothing.safetensors", "--to", "numpy"], "there is no file nothing.safetensors"),
        (["penguins.safetensors", "--to", "numpy", "--out", "there.py"], "there.py exists already"),
        (["penguins.safetensors", "--to", "numpy", "--out", "folder"], "folder is a folder"),
        (["penguins.safetensors", "--to", "numpy", "--out", "no/where.py"], "cannot be written"),
        (["there.py", "--to", "onnx"], "there.py is damaged or no model file at all"),
    ],
)
def test_bad_input_is_refused(model: TableModel, arguments: list[str], words: str) -> None:
    Path("there.py").write_text("before")
    Path("folder").mkdir()
    result = chainrule("export", *arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert sorted(path.name for path in Path().iterdir()) == ["folder", "penguins.safetensors", "there.py"]
    assert Path("there.py").read_text() == "before"


def test_force_replaces(model: TableModel) -> None:
    Path("there.py").write_text("before")
    result = chainrule("export", "penguins.safetensors", "--to", "numpy", "--out", "there.py", "--force")
    assert result.exit_code == 0, result.output
    assert Path("there.py").read_text(encoding="utf-8").startswith('"""Predicts species, one of 3 classes')


def test_without_onnx_it_says_how_to_install_it(model: TableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = chainrule("export", "penguins.safetensors", "--to", "onnx")
    assert result.exit_code == 2 and 'pip install "chainrule[onnx]"' in result.output
    assert [path.name for path in Path().iterdir()] == ["penguins.safetensors"]
