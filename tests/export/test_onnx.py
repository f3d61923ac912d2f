"""What onnxruntime computes with an exported model is what chainrule computes."""

import json
import sys
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from trained_tables import Attention, cells_of, mixed_table, trained

import chainrule as cr
from chainrule import nn, ops
from chainrule.data import BUILT_IN, Table, load
from chainrule.data.summaries import days
from chainrule.errors import InputError, UnsupportedError
from chainrule.export import onnx as exported
from chainrule.export.operators import OPERATORS
from chainrule.export.values import IN_SINGLE
from chainrule.train import TableModel

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(model: Any, inputs: dict[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)  # type: ignore[no-any-return]


# every primitive ----------------------------------------------------------------------------------------------


def model_or_refusal(graph: Any) -> Any:
    try:
        return exported(graph)
    except UnsupportedError as refusal:
        return str(refusal)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", [case for case in CASES if case.draws], ids=repr)
def test_every_case_row_agrees_or_is_refused(case: Case, dtype: Any) -> None:
    arrays = case.drawn(dtype)
    try:
        graph = cr.trace(lambda *xs: case(*xs), *arrays)
    except UnsupportedError:
        pytest.skip("cannot be traced")
    model = model_or_refusal(graph)
    if isinstance(model, str):
        name = model.split()[0]
        assert "cannot be exported to ONNX\n  at " in model and "line" in model
        assert name not in OPERATORS or model.startswith(
            ("getitem with several arrays", "softmax over several axes")
        )
        return
    given = dict(zip([i.name for i in model.graph.input], arrays, strict=True))
    single = any(node.op_type in IN_SINGLE for node in model.graph.node)
    tolerance = 1e-5 if dtype == np.float32 or single else 1e-12
    for found, wanted in zip(run(model, given), leaves_of(graph(*arrays)), strict=True):
        assert found.shape == np.shape(wanted) and found.dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def leaves_of(tree: Any) -> list[Any]:
    return [leaf for part in tree for leaf in leaves_of(part)] if isinstance(tree, tuple | list) else [tree]


SPECIAL = np.array(
    [0.0, -0.0, 1e-12, -1e-12, 0.5, -0.5, 1.0, -1.0, 30.0, -30.0, 700.0, -700.0, np.inf, -np.inf, np.nan]
)
HARD = (
    "log1p",
    "expm1",
    "softplus",
    "sigmoid",
    "relu",
    "tanh",
    "abs",
    "isfinite",
    "cbrt",
    "square",
    "sign",
    "trunc",
)


@pytest.mark.parametrize("name", HARD)
def test_limits_and_special_values(name: str) -> None:
    x = np.maximum(SPECIAL, -1) if name == "log1p" else SPECIAL
    with np.errstate(all="ignore"):
        graph = cr.trace(getattr(ops, name), x)
        wanted = graph(x)
    (found,) = run(exported(graph), {graph.inputs[0].hint: x})
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


@pytest.mark.parametrize("name", ["max", "min", "sum", "mean", "softmax", "logsumexp", "argmax"])
def test_reductions_of_large_numbers(name: str) -> None:
    x = np.array([[1000.0, -1000.0, 999.0], [-1e300, 3.0, 2.0]])
    graph = cr.trace(lambda x: getattr(ops, name)(x, axis=-1), x)
    (found,) = run(exported(graph), {"x": x})
    np.testing.assert_allclose(found, graph(x), rtol=1e-13)


# modules ------------------------------------------------------------------------------------------------------


def test_a_module_takes_any_number_of_rows() -> None:
    network = nn.multilayer([4, 8, 3], "gelu", dropout=0.3, generator=0)
    model = exported(network, np.ones((5, 4)))
    x = np.random.default_rng(0).normal(size=(11, 4))
    (found,) = run(model, {"x": x})
    np.testing.assert_allclose(found, network.eval()(cr.Tensor(x)).data, rtol=1e-6)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "rows"


def test_a_module_that_depends_on_the_number_of_rows_has_it_fixed() -> None:
    x = np.random.default_rng(0).normal(size=(5, 6))
    attention = Attention()
    model = exported(attention, x)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 5
    (found,) = run(model, {"x": x})
    np.testing.assert_allclose(found, attention.eval()(cr.Tensor(x)).data, rtol=1e-12)


class Picture(nn.Module):
    """A convolution, a largest value of each window, a layer."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.kernels = cr.Tensor(rng.normal(size=(4, 3, 3, 3)).astype(np.float32), requires_grad=True)
        self.last = nn.Linear(4 * 4 * 4, 2, generator=0, dtype=np.float32)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        seen = ops.relu(ops.convolution(x, self.kernels, stride=(1, 1), padding=(1, 1), dilation=(1, 1)))
        largest = ops.max(
            ops.patches(seen, kernel=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1)), axis=(2, 3)
        )
        return self.last(ops.reshape(largest, (x.shape[0], -1)))


def test_a_network_of_pictures() -> None:
    model = exported(Picture(), np.zeros((2, 3, 8, 8), np.float32))
    x = np.random.default_rng(1).normal(size=(7, 3, 8, 8)).astype(np.float32)
    (found,) = run(model, {"x": x})
    np.testing.assert_allclose(found, Picture()(cr.Tensor(x)).data, rtol=1e-4, atol=1e-5)


def test_refusals_name_the_primitive_and_its_line() -> None:
    graph = cr.trace(lambda x: ops.cumulative_prod(x, axis=0), np.ones(3))
    with pytest.raises(
        UnsupportedError, match=r"cumulative_prod cannot be exported to ONNX\n  at .*test_onnx.py, line"
    ):
        exported(graph)
    with pytest.raises(InputError, match="an nn.Module, a graph"):
        exported("iris")  # type: ignore[arg-type]


def test_a_primitive_of_the_users_own_is_not_taken_for_ours() -> None:
    square = cr.primitive("square(x)", forward=lambda x: x + 100, x=lambda g: g)
    graph = cr.trace(lambda x: square(x), np.ones(3))
    with pytest.raises(UnsupportedError, match="square cannot be exported to ONNX"):
        exported(graph)


def test_without_onnx_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r'pip install "chainrule\[onnx\]"'):
        exported(nn.Linear(2, 2), np.ones((1, 2)))


# whole tables' models ---------------------------------------------------------------------------------------------


def cells_for_onnx(model: TableModel, table: Table) -> dict[str, Any]:
    """A table's columns as the inputs of the ONNX model: numbers and texts."""
    found = {}
    for feature in model.preparation.features:
        column = table.column(feature.name)
        if feature.kind == "date":
            values = np.where(column.missing, np.nan, days(column.values))
        elif feature.kind == "numeric":
            values = column.values
        else:
            values = column.as_category().values.astype(object)
        found[feature.name] = values[:, None]
    return found


def compare(model: TableModel, rows: list[list[str]]) -> Any:
    made, table = exported(model), model.preparation.table_of(rows)
    results = run(made, cells_for_onnx(model, table))
    expected = model.predictions(table)
    if len(results) == 2:
        assert results[0].tolist() == [one.value for one in expected]
        wanted = [list(one.probabilities.values()) for one in expected]
        np.testing.assert_allclose(results[1], wanted, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_allclose(results[0], [one.value for one in expected], rtol=1e-5)
    return made


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_tables(name: str) -> None:
    model = trained(load(name), BUILT_IN[name].target)
    rows = cells_of(load(name), model.preparation.names)
    holes = [
        ["" if (i + j) % 5 == 0 else cell for j, cell in enumerate(row)] for i, row in enumerate(rows[:40])
    ]
    unknown = [["7" if cell[:1].isdigit() else "elsewhere" for cell in rows[0]], [""] * len(rows[0])]
    made = compare(model, rows + holes + unknown)
    metadata = {entry.key: entry.value for entry in made.metadata_props}
    assert [column["name"] for column in json.loads(metadata["columns"])] == model.preparation.names
    assert metadata["target"] == BUILT_IN[name].target
    if "classes" in metadata:
        assert json.loads(metadata["classes"]) == list(model.preparation.target.classes)  # type: ignore[union-attr]


@pytest.mark.parametrize("activation", nn.ACTIVATIONS)
def test_every_kind_of_column_and_activation(activation: str) -> None:
    for target in ("price", "colour"):
        model = trained(mixed_table(), target, hidden=(6,), activation=activation)
        rows = cells_of(mixed_table(), model.preparation.names)
        compare(model, [*rows, [""] * len(rows[0]), [rows[1][0], "nowhere", *rows[1][2:]]])


def test_other_spellings_of_missing_are_missing() -> None:
    model = trained(load("penguins"), "species")
    row = {
        f.name: np.array([[5.0 if f.kind == "numeric" else "female"]], object)
        for f in model.preparation.features
    }
    row = {name: array if name in ("island", "sex") else array.astype(float) for name, array in row.items()}
    made = exported(model)
    shares = [
        run(made, row | {"sex": np.array([[text]], object)})[1] for text in ("", "NA", "NaN", "?", "female")
    ]
    assert all((share == shares[0]).all() for share in shares[:4]) and (shares[4] != shares[0]).any()
