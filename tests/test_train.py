"""The training loop, the gradient check, metrics, settings, files and the loss curve."""

import json
import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from chainrule import errors, nn, ops, optim, train
from chainrule.cli.report import confusion_text
from chainrule.data import Examples, Table, load, open_table
from chainrule.errors import DataError, GradientMismatch, ModelFileError, OptionError, ShapeError
from chainrule.files import write_atomically
from chainrule.tensor import Tensor
from chainrule.train import Epoch, Settings, TableTraining
from chainrule.train.charts import importance_bars
from chainrule.train.files import make_folder
from chainrule.train.picture import Scale, loss_curve, ticks


def line_examples(rows: int = 20) -> Examples:
    x = np.linspace(-1, 1, rows)[:, None]
    return Examples(x, 3 * x + 1)


def fitted(**options: Any) -> tuple[nn.Module, list[Epoch]]:
    model, part = nn.Linear(1, 1, generator=0), line_examples()
    optimizer = optim.Optimizer(model.parameters(), "sgd", rate=options.pop("rate", 0.3))
    history = train.fit(model, part, part, loss=nn.mean_squared_error, optimizer=optimizer, **options)
    return model, history


def run_of(name: str = "iris", **settings: Any) -> TableTraining:
    return TableTraining.prepare(*open_table(name), Settings(**settings))


# The loop.


def test_fit_finds_a_line() -> None:
    model, history = fitted(epochs=60, generator=0)
    assert np.allclose(model.state_dict()["weight"], 3, atol=1e-6)
    assert [epoch.number for epoch in history] == list(range(1, 61))
    assert history[-1].training_loss < history[0].training_loss
    assert history[-1].score is None


def test_every_row_is_used_once_an_epoch() -> None:
    seen: list[float] = []

    def loss(output: Tensor, target: Any) -> Tensor:
        seen.extend(target.ravel())
        return nn.mean_squared_error(output, target)

    model, part = nn.Linear(1, 1, generator=0), line_examples(10)
    optimizer = optim.Optimizer(model.parameters(), "sgd", rate=0.01)
    train.fit(model, part, part, loss=loss, optimizer=optimizer, epochs=1, batch=4, generator=0)
    assert sorted(seen[:10]) == sorted(part.targets.ravel())


def test_modes_of_the_model_while_training_and_measuring() -> None:
    modes: list[bool] = []

    class Watched(nn.Linear):
        def forward(self, x: Any) -> Tensor:
            modes.append(self.training)
            return super().forward(x)

    model, part = Watched(1, 1, generator=0), line_examples(4)
    optimizer = optim.Optimizer(model.parameters(), "sgd", rate=0.01)
    train.fit(model, part, part, loss=nn.mean_squared_error, optimizer=optimizer, epochs=1, batch=2)
    assert modes == [True, True, False]


def test_a_callback_can_end_the_training() -> None:
    numbers: list[int] = []
    callbacks: list[Callable[[Epoch], object]] = [
        lambda e: e.number == 3,
        lambda e: numbers.append(e.number),
    ]
    _, history = fitted(epochs=50, callbacks=callbacks)
    assert len(history) == 3
    assert numbers == [1, 2, 3]


def test_a_loss_that_explodes_says_what_to_do() -> None:
    with pytest.raises(
        errors.DivergedError, match=r"became (inf|nan) in epoch \d+.*smaller learning rate than 1e\+06"
    ):
        fitted(epochs=500, rate=1e6)


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch": 0}, {"epochs": 1.5}, {"batch": True}])
def test_amounts_below_one_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="must be an integer of at least 1"):
        fitted(**options)


def test_a_part_without_rows_is_refused() -> None:
    model, part = nn.Linear(1, 1), line_examples()
    optimizer = optim.Optimizer(model.parameters())
    with pytest.raises(DataError, match="validation part has no rows"):
        train.fit(model, part, part.take(slice(0)), loss=nn.mean_squared_error, optimizer=optimizer)


# The gradient check.


def test_a_right_gradient_passes_in_both_precisions() -> None:
    for dtype, limit in ((np.float64, 1e-8), (np.float32, 5e-3)):
        weight = Tensor(np.linspace(0.5, 2, 6, dtype=dtype).reshape(2, 3), requires_grad=True)
        check = train.check_parameters(lambda w=weight: ops.sum(ops.exp(w)), {"weight": weight})
        assert check.worst < limit


@pytest.mark.parametrize("size", [3, 200])
@pytest.mark.parametrize("wrong", [lambda g: -g, lambda g: g * 1.001, lambda g: g * 0, lambda g: g[::-1]])
def test_a_wrong_gradient_fails(size: int, wrong: Callable[[Any], Any]) -> None:
    weight = Tensor(np.linspace(0.5, 2, size), requires_grad=True)
    weight.register_hook(wrong)
    with pytest.raises(GradientMismatch, match="the gradient of weight differs from finite differences"):
        train.check_parameters(lambda: ops.sum(weight**3), {"weight": weight})
    assert np.array_equal(weight.data, np.linspace(0.5, 2, size))


def test_one_wrong_element_is_named() -> None:
    weight = Tensor(np.ones((2, 3)), requires_grad=True)
    weight.register_hook(lambda g: g + np.array([[0, 0, 0], [0, 1e-3, 0]]))
    with pytest.raises(GradientMismatch, match=r"at \(1, 1\) the engine has 3.001, and .* 3.0"):
        train.check_parameters(lambda: ops.sum(weight**3), {"weight": weight})


def test_a_kink_within_the_step_is_no_mistake() -> None:
    weight = Tensor(np.array([3e-6, 1.0, -1.0]), requires_grad=True)
    assert train.check_parameters(lambda: ops.sum(ops.relu(weight)), {"weight": weight}).worst < 1e-5


def test_a_parameter_that_the_loss_does_not_use_has_a_gradient_of_zero() -> None:
    used, unused = (Tensor(np.ones(2), requires_grad=True) for _ in range(2))
    check = train.check_parameters(lambda: ops.sum(used**2), {"used": used, "unused": unused})
    assert check.errors["unused"] == 0
    assert used.grad is None


# Metrics.


def test_metrics_of_labels() -> None:
    assert train.accuracy([1, 2, 3], [1, 2, 0]) == pytest.approx(2 / 3)
    assert train.confusion_table([0, 0, 1, 2], [0, 1, 1, 0], 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_metrics_of_numbers() -> None:
    actual, predicted = [1.0, 2.0, 4.0], [1.0, 3.0, 2.0]
    assert train.mean_absolute_error(actual, predicted) == 1
    assert train.root_mean_squared_error(actual, predicted) == pytest.approx(math.sqrt(5 / 3))
    assert train.r_squared(actual, predicted) == pytest.approx(1 - 5 / (14 / 3))
    assert math.isnan(train.r_squared([2.0, 2.0], [1.0, 2.0]))


@pytest.mark.parametrize("metric", ["accuracy", "mean_absolute_error", "r_squared"])
def test_metrics_refuse_what_would_broadcast(metric: str) -> None:
    for predicted in (np.ones((3, 1)), np.ones(2)):
        with pytest.raises(ShapeError, match=metric):
            getattr(train, metric)(np.ones(3), predicted)
    with pytest.raises(ShapeError, match="at least one element"):
        getattr(train, metric)([], [])


# Settings.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": (0,)}, "--hidden 0: each layer needs a width from 1"),
        ({"hidden": (8, -1)}, "--hidden 8,-1"),
        ({"hidden": (100_000,)}, "from 1 to 65536"),
        ({"activation": "than"}, "no activation 'than'"),
        ({"optimizer": "adma"}, "no optimizer 'adma'"),
        ({"rate": 0.0}, "--rate 0.0: it must be a number above 0"),
        ({"rate": math.inf}, "--rate inf"),
        ({"rate": math.nan}, "--rate nan"),
        ({"epochs": 0}, "--epochs 0: it must be a whole number of at least 1"),
        ({"batch": 2.5}, "--batch 2.5"),
        ({"seed": -1}, "--seed -1: it must be a whole number of at least 0"),
        ({"validation": 1.0}, "--validation 1.0: it must be a number above 0 and below 1"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Settings(**settings)


def test_hidden_layers_as_text() -> None:
    assert train.hidden_sizes("8,8") == (8, 8)
    assert train.hidden_sizes("None") == ()
    for text in ("", "a,b", "8,", "8.5"):
        with pytest.raises(OptionError, match="such as 8,8, or none for no hidden layer"):
            train.hidden_sizes(text)


def test_a_network_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(OptionError, match="4-65536-65536-3 has 4,295,"):
        run_of(hidden=(65536, 65536))


# Tables.


def test_iris_is_learnt_by_all_seeds() -> None:
    accuracies = []
    for seed in range(3):
        run = run_of(seed=seed, epochs=50)
        run.fit()
        accuracies.append(run.evaluate().metrics["accuracy"])
    assert np.mean(accuracies) > 0.94


def test_auto_mpg_is_learnt_better_than_its_mean() -> None:
    run = run_of("auto-mpg", epochs=30)
    assert run.summary() == (
        "auto-mpg · 398 rows · 7 features · target mpg · network 10-8-1 · squared error · Adam"
    )
    assert {name: count for name, count in run.parts.missing.items() if count} == {"horsepower": 6}
    run.fit()
    evaluation = run.evaluate()
    assert evaluation.metrics["R²"] > 0.85
    *_, guess = evaluation.baselines.values()
    assert evaluation.metrics["MAE"] < guess["MAE"] / 2
    assert evaluation.confusion is None


def test_penguins_have_categories_and_missing_values() -> None:
    run = run_of("penguins", epochs=10)
    assert run.sizes == (14, 8, 3)
    assert run.parts.missing["sex"] == 11
    run.fit()
    evaluation = run.evaluate()
    assert evaluation.metrics["accuracy"] > 0.95
    assert list(evaluation.baselines) == ["linear model", "always Adelie"]
    assert evaluation.confusion is not None
    assert run.parts.test is not None
    assert evaluation.confusion.sum() == run.parts.test.rows == 69


@pytest.mark.parametrize("name", ["iris", "auto-mpg"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_every_gradient_is_checked_before_training(name: str, activation: str) -> None:
    check = run_of(name, hidden=(8, 8), activation=activation).check_gradients()
    assert len(check.errors) == 6
    assert check.worst < 1e-6
    assert "6 of 6 parameters, worst relative error" in str(check)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for seed in (1, 1, 2):
        run = run_of("penguins", epochs=5, seed=seed)
        run.fit()
        run.save(train.output_files("a", tmp_path), run.evaluate(), run.importance())
        contents.append((tmp_path / "a.safetensors").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_other_layers_leave_the_split_as_it_was() -> None:
    small, large = run_of(hidden=(2,)), run_of(hidden=(30, 30))
    assert np.array_equal(small.parts.validation.features, large.parts.validation.features)


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    run = run_of("auto-mpg", epochs=30, rate=0.05)
    run.fit()
    assert run.kept is not None
    assert run.kept.validation_loss == min(epoch.validation_loss for epoch in run.history)
    loss, _ = train.evaluate(run.network, run.parts.validation, run.task.loss)
    assert loss == run.kept.validation_loss


def test_an_interrupt_keeps_the_best_so_far() -> None:
    def interrupt(epoch: Epoch) -> None:
        if epoch.number == 4:
            raise KeyboardInterrupt

    run = run_of(epochs=50)
    assert run.fit([interrupt]) is True
    assert len(run.history) == 4
    assert run.kept == min(run.history, key=lambda epoch: epoch.validation_loss)
    loss, _ = train.evaluate(run.network, run.parts.validation, run.task.loss)
    assert loss == run.kept.validation_loss


def test_an_interrupt_before_the_first_epoch_is_one() -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    run = run_of()
    run.run.loss = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.fit()


def test_rows_without_target_are_left_out() -> None:
    cells = [["1", "2"], ["2", "4.5"], ["3", ""], ["4", "8"], ["5", "10"]]
    run = TableTraining.prepare(Table.from_cells("t", ["x", "y"], cells), "y", Settings(epochs=1))
    assert run.parts.test is not None
    assert run.parts.training_rows + run.parts.validation.rows + run.parts.test.rows == 4
    assert run.parts.dropped == 1


def test_a_target_without_values() -> None:
    table = Table.from_cells("t", ["x", "y"], [["1", ""], ["2", "NA"]])
    with pytest.raises(DataError, match="target y has no values"):
        TableTraining.prepare(table, "y", Settings())


def test_the_example_row_is_complete() -> None:
    assert run_of().example_row() == ["5.1", "3.5", "1.4", "0.2"]
    assert run_of("penguins").example_row() == ["Torgersen", "39.1", "18.7", "181", "3750", "male"]


# Model files.


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = run_of("penguins", epochs=5)
    run.fit()
    files = train.output_files("penguins", tmp_path_factory.mktemp("model"))
    run.save(files, run.evaluate(), run.importance())
    return files.model


ROWS = [["Biscoe", "", "18", "190", "3500", ""], ["Dream", "48", "18", "195", "3700", "female"]]


def test_a_saved_model_predicts_as_the_one_in_memory(saved: Path) -> None:
    run = run_of("penguins", epochs=5)
    run.fit()
    model = train.load_model(saved)
    assert model.predict(ROWS) == run.model({}).predict(ROWS)
    assert model.metrics == run.evaluate().metrics
    assert run.kept is not None
    assert model.training["kept epoch"] == run.kept.number
    assert sum(model.predict(ROWS)[0].probabilities.values()) == pytest.approx(1)
    assert model.predict([]) == []


def test_a_regression_predicts_in_the_targets_unit(tmp_path: Path) -> None:
    run = run_of("auto-mpg", epochs=20)
    run.fit()
    path = tmp_path / "m.safetensors"
    train.save_model(run.model(run.evaluate().metrics), path)
    (prediction,) = train.load_model(path).predict([["8", "307", "130", "3504", "12", "70", "usa"]])
    assert prediction.probabilities == {}
    assert 10 < float(prediction.value) < 25


def test_a_metric_that_is_not_defined_is_left_out(tmp_path: Path) -> None:
    run = run_of("auto-mpg", epochs=1)
    train.save_model(run.model({"MAE": 1.0, "R²": math.nan}), tmp_path / "m.safetensors")
    assert train.load_model(tmp_path / "m.safetensors").metrics == {"MAE": 1.0}


def described(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["chainrule"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def changed(path: Path, target: Path, keys: tuple[Any, ...], value: Any) -> Path:
    """A copy of a model file in which one field of the description is another."""
    description, arrays = described(path)
    place = description
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    save_file(arrays, target, {"chainrule": json.dumps(description)})
    return target


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("version",), 3, "has format 3, but this chainrule reads 2: install a newer"),
        (("version",), 1, "has format 1, but this chainrule reads 2: train it again"),
        (("version",), "1", "version in its description should be an integer, but is '1'"),
        (("network",), None, "network in its description should be an object"),
        (("network", "sizes"), [14, 8, 4], r"sizes are \[14, 8, 4\], but its columns and target need 14"),
        (("network", "sizes"), [14, -8, 3], r"sizes are \[14, -8, 3\]"),
        (("network", "sizes"), [14, 10**12, 3], "the arrays in it are not those of a network"),
        (("network", "sizes"), [14, 8, True], r"network.sizes\[2\] in its description should be an integer"),
        (("network", "sizes"), "10", "should be a list"),
        (("network", "activation"), "os.system", "no activation 'os.system'"),
        (("features",), [], "sizes are"),
        (("features", 1, "mean"), "0", r"features\[1\].mean in its description should be a finite number"),
        (("features", 1, "mean"), math.nan, "finite number, but is nan"),
        (("features", 1, "mean"), 10**400, "finite number, but is 1000"),
        (("features", 1, "scale"), 0, r"features\[1\].scale should be above 0"),
        (
            ("features", 0, "kind"),
            "pickle",
            r"features\[0\].kind should be one of numeric, boolean, date, category",
        ),
        (("features", 0, "categories"), [1], r"features\[0\].categories\[0\] in its .* should be text"),
        (("features", 0, "categories"), ["a", "a"], r"features\[0\].categories should be different"),
        (("features", 0, "dimension"), 10**9, "dimension should be from 0 to 1024"),
        (("features", 0, "dimension"), 4, "but its columns and target need 15 inputs"),
        (("features", 0, "other"), 1, "features.0..other in its description should be true or false"),
        (("features", 0, "name"), "species", "a column is there twice"),
        (("network", "dropout"), True, "the arrays in it are not those of a network"),
        (("left out",), {"a": 1}, "left out.a in its description should be text"),
        (("target", "counts"), [1], "counts should be one number for each class"),
        (("target", "classes"), ["a", "b", "c", "d"], "counts should be one number for each class"),
        (("target",), {"kind": "category"}, "target.classes is missing in its description"),
        (("metrics", "accuracy"), "high", "metrics.accuracy in its description should be a finite"),
        (("training",), [], "training in its description should be an object"),
    ],
)
def test_a_description_that_is_wrong_names_the_field(
    saved: Path, tmp_path: Path, keys: tuple[Any, ...], value: Any, message: str
) -> None:
    path = changed(saved, tmp_path / "changed.safetensors", keys, value)
    with pytest.raises(ModelFileError, match=message) as caught:
        train.load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", '{"version": 1e999}', "9" * 5000])
def test_hostile_json_is_refused(saved: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "hostile.safetensors"
    save_file(described(saved)[1], path, {"chainrule": text})
    with pytest.raises(ModelFileError, match=r"hostile\.safetensors"):
        train.load_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a | {"0.weight": np.full_like(a["0.weight"], np.nan)}, "0.weight contains NaN"),
        (lambda a: {k: v.astype(np.float32) for k, v in a.items()}, "should all be float64"),
        (lambda a: {k: v for k, v in a.items() if k != "0.bias"}, "are not those of a network"),
        (lambda a: a | {"0.weight": a["0.weight"].T.copy()}, "are not those of a network"),
        (lambda a: a | {"extra": np.ones(1)}, "are not those of a network"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    saved: Path,
    tmp_path: Path,
    change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]],
    message: str,
) -> None:
    description, arrays = described(saved)
    path = tmp_path / "arrays.safetensors"
    save_file(change(arrays), path, {"chainrule": json.dumps(description)})
    with pytest.raises(ModelFileError, match=message):
        train.load_model(path)


def test_foreign_and_missing_files_are_refused(saved: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": np.ones(2)}, foreign)
    with pytest.raises(ModelFileError, match="not one that `chainrule train` saved"):
        train.load_model(foreign)
    with pytest.raises(ModelFileError, match=r"there is no file .*none\.safetensors"):
        train.load_model(tmp_path / "none.safetensors")
    with pytest.raises(ModelFileError, match="is a folder"):
        train.load_model(tmp_path)
    for content in (b"", b"x", b"PK\x03\x04" * 100, b"\xff" * 64):
        foreign.write_bytes(content)
        with pytest.raises(ModelFileError, match="damaged or no model file at all"):
            train.load_model(foreign)


def test_damaged_files_never_raise_anything_else(saved: Path, tmp_path: Path) -> None:
    content, generator = saved.read_bytes(), np.random.default_rng(0)
    path = tmp_path / "damaged.safetensors"
    refused = 0
    for number in range(400):
        damaged = bytearray(content[: generator.integers(len(content))] if number % 4 == 0 else content)
        for _ in range(generator.integers(1, 4)):
            if damaged:
                damaged[generator.integers(len(damaged))] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            train.load_model(path)
        except ModelFileError:
            refused += 1
    assert refused > 100


# Places and writing.


def test_places_of_the_files(tmp_path: Path) -> None:
    assert train.output_files("iris", tmp_path / "new" / "folder").curve == tmp_path / "new/folder/iris.svg"
    assert train.output_files("iris", save=tmp_path / "a.safetensors").curve == tmp_path / "a.svg"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "iris.svg").mkdir()
    with pytest.raises(errors.OutputError, match="file is a file, so nothing can be saved in it"):
        train.output_files("iris", tmp_path / "file")
    with pytest.raises(errors.OutputError, match="file is a file, so nothing can be saved in it"):
        train.output_files("iris", tmp_path / "file" / "inside")
    with pytest.raises(errors.OutputError, match="nothing can be written to the folder .*: choose another"):
        make_folder(tmp_path / "file" / "inside")
    with pytest.raises(errors.OutputError, match=r"iris\.svg is a folder"):
        train.output_files("iris", tmp_path)
    with pytest.raises(OptionError, match=r"must end in \.safetensors"):
        train.output_files("iris", save=tmp_path / "model.pt")
    with pytest.raises(OptionError, match="not both"):
        train.output_files("iris", tmp_path, tmp_path / "a.safetensors")


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.svg"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.OutputError, match=r"a\.svg cannot be written: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# The picture.


def epochs(losses: list[float]) -> list[Epoch]:
    return [Epoch(n, len(losses), loss, 1.2 * loss, None, 0.0) for n, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    "losses",
    [[1.0], [2.0, 2.0], [0.0, 0.0], [3.0, 0.1, 1e-9], [1.0, 0.5], [1 / n for n in range(1, 5000)]],
    ids=["one epoch", "constant", "zero", "steep", "flat", "long"],
)
def test_the_loss_curve_is_a_picture_within_its_frame(losses: list[float]) -> None:
    history = epochs(losses)
    picture = loss_curve(history, "a < b & c", "loss", history[-1])
    root = ElementTree.fromstring(picture)
    name = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{name}title") == "a < b & c"
    words = [element.text for element in root.iter(f"{name}text")]
    assert {"training", "validation", "epoch", "a < b & c"} <= set(words)
    for line in root.iter(f"{name}polyline"):
        points = np.array([pair.split(",") for pair in line.attrib["points"].split()], float)
        assert ((points >= 0) & (points <= [760, 460])).all()
    assert len(picture) < 60_000


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (Scale(0, 1, 0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (Scale(1, 200, 0, 1), [50, 100, 150, 200]),
        (Scale(0.045, 1.3, 0, 1, True), [0.05, 0.1, 0.2, 0.5, 1]),
        (Scale(2e-4, 0.9, 0, 1, True), [3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3]),
        (Scale(1e-12, 1.0, 0, 1, True), [1e-12, 1e-9, 1e-6, 1e-3, 1.0]),
    ],
)
def test_ticks_are_round_numbers(scale: Scale, expected: list[float]) -> None:
    assert ticks(scale) == pytest.approx(expected)


def test_a_run_saves_both_files(tmp_path: Path) -> None:
    run = TableTraining.prepare(load("iris"), "species", Settings(epochs=2))
    run.fit()
    assert run.kept is not None
    run.kept = replace(run.kept, number=1)
    files = train.output_files("iris", tmp_path)
    run.save(files, run.evaluate(), run.importance())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["iris.safetensors", "iris.svg"]
    assert "kept: epoch 1" in files.curve.read_text(encoding="utf-8")


def test_a_picture_of_one_epoch_shows_both_losses() -> None:
    picture = train.loss_curve([train.Epoch(1, 1, 0.5, 0.6, None, 0.0)], "a" * 200)
    dots = ElementTree.fromstring(picture).findall("{http://www.w3.org/2000/svg}circle")
    assert len(dots) == 2 and dots[0].get("cy") != dots[1].get("cy")
    assert "a" * 73 not in picture.partition("<rect")[2]


def test_long_names_in_a_picture_stay_apart_and_every_character_is_valid() -> None:
    names = [f"a measurement with a long \x01 name of sensor {i}" for i in (1, 2)]
    picture = importance_bars(dict.fromkeys(names, 0.5), "accuracy")
    texts = [
        one.text or "" for one in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert len({text for text in texts if text.startswith("a measure")}) == 2


def test_a_confusion_table_too_wide_to_read_becomes_a_list_of_mistakes() -> None:
    classes = [f"a class with a long name, {i}" for i in range(20)]
    confusion = 5 * np.eye(20, dtype=int)
    confusion[3, 7], confusion[7, 3] = 4, 1
    lines = confusion_text(confusion, classes).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "most frequent mistakes",
        f"{classes[3]} taken for {classes[7]}",
        f"{classes[7]} taken for {classes[3]}",
    ]
    assert confusion_text(np.eye(20, dtype=int), classes) == "no row was mistaken"
    assert len(confusion_text(confusion[:10, :10], list("abcdefghij")).splitlines()) == 11
