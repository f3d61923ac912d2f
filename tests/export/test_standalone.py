"""The NumPy program of a model, run where chainrule cannot be imported, says what `chainrule predict` says."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trained_tables import Attention, cells_of, mixed_table, trained

import chainrule as cr
from chainrule import nn
from chainrule.data import BUILT_IN, load
from chainrule.errors import InputError, UnsupportedError
from chainrule.export import numpy_source
from chainrule.train import TableModel

WITHOUT_CHAINRULE = """
import importlib.util, json, sys
sys.path[:] = [p for p in sys.path if importlib.util.find_spec("chainrule") is None or "site-packages" not in p] + [
    p for p in sys.path if "site-packages" in p]
class Nothing:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in ("chainrule", "safetensors"):
            raise ImportError(name + " must not be imported")
sys.meta_path.insert(0, Nothing())
scope = {"__name__": "exported"}
exec(compile(open(sys.argv[1], encoding="utf-8").read(), "exported", "exec"), scope)
columns = json.load(sys.stdin)
shares = scope["probabilities"](columns).tolist() if "probabilities" in scope else None
print(json.dumps([list(scope["predict"](columns)), shares]))
"""


def elsewhere(model: TableModel, rows: list[list[str]], folder: Path) -> tuple[list[object], object]:
    """What the program predicts in another process, for rows of text cells."""
    path = folder / "predict.py"
    path.write_text(numpy_source(model), encoding="utf-8")
    columns = dict(zip(model.preparation.names, map(list, zip(*rows, strict=True)), strict=True))
    run = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_CHAINRULE, str(path)],
        input=json.dumps(columns), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    values, shares = json.loads(run.stdout)
    return values, shares


def compare(model: TableModel, rows: list[list[str]], folder: Path) -> None:
    values, shares = elsewhere(model, rows, folder)
    expected = model.predict(rows)
    if shares is None:
        np.testing.assert_allclose(values, [one.value for one in expected], rtol=1e-12, atol=1e-12)
    else:
        assert values == [one.value for one in expected]
        wanted = [list(one.probabilities.values()) for one in expected]
        np.testing.assert_allclose(shares, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_tables(name: str, tmp_path: Path) -> None:
    table = load(name)
    model = trained(table, BUILT_IN[name].target)
    rows = cells_of(table, model.preparation.names)
    holes = [
        ["NA" if (i + j) % 5 == 0 else cell for j, cell in enumerate(row)] for i, row in enumerate(rows[:30])
    ]
    unknown = [["7" if cell[:1].isdigit() else "elsewhere" for cell in rows[0]], ["?"] * len(rows[0])]
    compare(model, rows + holes + unknown, tmp_path)


@pytest.mark.parametrize(
    ("target", "hidden", "activation"),
    [
        ("price", (8,), "gelu"),
        ("price", (), "tanh"),
        ("colour", (40, 40), "leakyrelu"),
        ("member\\?", (4,), "silu"),
    ],
)
def test_every_kind_of_column(target: str, hidden: tuple[int, ...], activation: str, tmp_path: Path) -> None:
    table = mixed_table()
    model = trained(table, target, hidden=hidden, activation=activation)
    assert model.preparation.vectors
    rows = cells_of(table, model.preparation.names)
    holes = [[""] * len(rows[0]), [*rows[1][:1], "nowhere", *rows[1][2:]]]
    compare(model, rows + holes, tmp_path)


def test_names_cannot_write_code_into_the_program() -> None:
    bad = 'x"""\n\\"""; raise SystemExit #'
    model = trained(load("iris"), "species")
    features = tuple(replace(f, name=f"{f.name}{bad}") for f in model.preparation.features)
    target = replace(model.preparation.target, name=bad, classes=tuple(f"{c}'{bad}" for c in "abc"))
    preparation = replace(model.preparation, features=features, target=target)
    scope: dict[str, object] = {}
    exec(numpy_source(replace(model, name=bad, preparation=preparation)), scope)
    (found,) = scope["predict"]({f.name: [1.0] for f in features})  # type: ignore[operator]
    assert found in target.classes  # type: ignore[union-attr]


def test_numbers_and_none_are_cells_too() -> None:
    model = trained(load("auto-mpg"), "mpg")
    scope: dict[str, object] = {}
    exec(numpy_source(model), scope)
    row = ["8", "307", "NA", "3504", "12", "70", "usa"]
    given = [8, np.float64(307), None, 3504, 12.0, "70", "usa"]
    columns = {name: [cell] for name, cell in zip(model.preparation.names, given, strict=True)}
    (found,) = scope["predict"](columns)  # type: ignore[operator]
    np.testing.assert_allclose(found, model.predict([row])[0].value, rtol=1e-12)


# any module ---------------------------------------------------------------------------------------------------


def test_any_module() -> None:
    x, module = np.random.default_rng(0).normal(size=(2, 5, 6)), Attention()
    scope: dict[str, object] = {}
    exec(numpy_source(module, x), scope)
    assert module.training and module.drop.training
    expected = module.eval()(cr.Tensor(x)).data
    np.testing.assert_allclose(scope["forward"](x), expected, rtol=1e-12)  # type: ignore[operator]


def test_any_graph() -> None:
    graph = cr.trace(lambda p, y: {"sum": p["W"] @ y, "twice": 2 * y}, {"W": np.eye(3) + 1}, np.ones(3))
    scope: dict[str, object] = {}
    exec(numpy_source(graph), scope)
    found = scope["forward"]({"W": np.eye(3)}, np.arange(3.0))  # type: ignore[operator]
    assert found["sum"].tolist() == [0, 1, 2] and found["twice"].tolist() == [0, 2, 4]


def test_large_and_special_arrays_come_back_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    for array in (
        rng.normal(size=(40, 50)), rng.normal(size=(3, 4, 30)).astype(np.float32), np.array([np.nan, -np.inf, -0.0]),
        np.empty((0, 3)), np.array(2.5), np.arange(2000), rng.normal(size=2000).astype(">f8"),
    ):  # fmt: skip
        module = Offset(array)
        source = numpy_source(module, np.zeros_like(array))
        scope: dict[str, object] = {}
        exec(source, scope)
        found = scope["forward"](np.zeros_like(array))  # type: ignore[operator]
        np.testing.assert_array_equal(found, np.zeros_like(array) + array)
        assert max(map(len, source.splitlines())) < 160


class Offset(nn.Module):
    def __init__(self, array: np.ndarray) -> None:
        self.offset = cr.Tensor(array, requires_grad=array.dtype.kind == "f")

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x + self.offset


def test_what_cannot_be_exported_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"an nn.Module, a graph \(chainrule.trace\) or a TableModel .* not int"
    ):
        numpy_source(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="to export a Linear, give an example of its input"):
        numpy_source(nn.Linear(2, 3))


def test_a_primitive_of_the_users_own_is_not_taken_for_ours() -> None:
    square = cr.primitive("square(x)", forward=lambda x: x + 100, x=lambda g: g)
    graph = cr.trace(lambda x: square(x), np.ones(3))
    with pytest.raises(
        UnsupportedError, match=r"square is a primitive of your own.*\n  at .*test_standalone.py, line"
    ):
        numpy_source(graph)
