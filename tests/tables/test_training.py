"""Training on tables: inputs of every kind, honest parts, baselines, streaming, continuing."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import data, nn, optim, train
from chainrule.data import Column, Summary, Table
from chainrule.errors import DataError, DivergedError, ModelFileError, OptionError
from chainrule.train import Epoch, Settings, TableTraining, streaming

rng = np.random.default_rng(0)


def mixed(rows: int = 600) -> Table:
    """A table of every kind of column, whose target depends on most of them."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=rows)
    city = draw.integers(0, 40, rows)
    sold = draw.integers(0, 2, rows).astype(bool)
    when = np.datetime64("2023-01-01") + draw.integers(0, 700, rows)
    y = 2 * x + np.sin(city) + 1.5 * sold + 0.1 * draw.normal(size=rows)
    x[::10] = np.nan
    cities = np.array([f"city {i}" for i in city])
    return data.table_of({"x": x, "city": cities, "sold": sold, "when": when, "y": y}, "mixed")


# Inputs.


def test_every_kind_of_column_becomes_inputs_that_a_network_learns_from() -> None:
    run = TableTraining.prepare(mixed(), "y", Settings(epochs=60, hidden=(16,)))
    preparation = run.parts.preparation
    assert [(f.kind, f.width) for f in preparation.features] == [
        ("numeric", 2), ("category", 1), ("boolean", 1), ("date", 5),
    ]  # fmt: skip
    assert preparation.dense == 8
    ((number, length),) = preparation.vectors
    assert number <= 41 and length == round(1.6 * (number - 1) ** 0.56)
    check = run.check_gradients()
    assert "0.tables.0" in check.errors and check.worst < 1e-6
    run.fit()
    evaluation = run.evaluate()
    network, (linear, guess) = evaluation.metrics["R²"], evaluation.baselines.values()
    assert network > 0.9 > linear["R²"] > guess["R²"]
    assert next(iter(evaluation.baselines)) == "linear model without city"
    assert next(iter(run.importance())) == "x"
    assert run.importance()["when"] < 0.1


def test_a_model_with_every_kind_of_column_is_the_same_from_its_file(tmp_path: Path) -> None:
    run = TableTraining.prepare(mixed(), "y", Settings(epochs=3, dropout=0.1))
    run.fit()
    train.save_model(run.model({}), tmp_path / "m.safetensors")
    model = train.load_model(tmp_path / "m.safetensors")
    assert model.preparation == run.parts.preparation
    np.testing.assert_array_equal(model.outputs(mixed()), run.model({}).outputs(mixed()))
    (prediction,) = model.predict([run.example_row()])
    assert prediction.value == pytest.approx(run.model({}).predictions(mixed())[1].value, rel=1e-12)


def test_dates_are_points_on_circles() -> None:
    days = np.array(["2024-01-01T00", "2024-01-08T00", "2024-01-01T12"], "datetime64[s]")
    feature = data.DateFeature.fit(Summary.of(Column("day", "date", days, ("year-month-day",))))
    assert feature.clock and feature.width == 7
    encoded = feature.encode(Column("day", "date", days))
    np.testing.assert_allclose((encoded[:, 1::2] ** 2 + encoded[:, 2::2] ** 2), 1)
    np.testing.assert_allclose(encoded[0, 3:5], encoded[1, 3:5], atol=1e-12)  # a week later
    np.testing.assert_allclose(encoded[2, 3:5], encoded[0, 3:5], atol=1e-12)  # the same day
    np.testing.assert_allclose(encoded[2, 5:7], -encoded[0, 5:7], atol=1e-9)  # noon
    missing = feature.encode(Column("day", "date", np.array(["NaT"], "datetime64[s]")))
    assert not missing.any()


def test_rare_categories_teach_the_input_of_all_others() -> None:
    texts = np.array(["a"] * 300 + ["b"] * 300 + ["c", "d"])
    feature = data.CategoryFeature.fit(Summary.of(Column("k", "category", texts)))
    assert feature == data.CategoryFeature("k", ("a", "b"), other=True)
    encoded = feature.encode(Column("k", "category", np.array(["a", "c", "never seen"])))
    assert encoded.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_a_hundred_thousand_categories_are_bounded() -> None:
    texts = np.array([f"k{i // 5}" for i in range(500_000)])
    feature = data.CategoryFeature.fit(Summary.of(Column("k", "category", texts)))
    assert (len(feature.categories), feature.other, feature.dimension) == (10_000, True, 50)


def test_summaries_in_parts_are_those_of_the_whole() -> None:
    values = rng.normal(1e6, 1, 1000)
    values[::7] = np.nan
    whole = Summary.of(Column("x", "numeric", values))
    parts = Summary.of(Column("x", "numeric", values[:10]))
    for start in range(10, 1000, 90):
        parts.add(Column("x", "numeric", values[start : start + 90]))
    assert parts.missing == whole.missing and (parts.low, parts.high) == (whole.low, whole.high)
    assert parts.mean == pytest.approx(np.nanmean(values), rel=1e-14)
    assert parts.deviation == pytest.approx(np.nanstd(values), rel=1e-10)


def test_vectors_of_categories_have_the_right_gradient() -> None:
    layer = train.Vectors(1, [(3, 2), (4, 1)], generator=0)
    x = np.array([[0.5, 2, 0], [1.0, 2, 3], [2.0, 0, 1]])
    out = layer(x)
    np.testing.assert_array_equal(out.data[:, 1:3], layer.tables[0].data[[2, 2, 0]])
    np.testing.assert_array_equal(out.data[:, 3:], layer.tables[1].data[[0, 3, 1]])
    check = train.check_parameters(lambda: (layer(x) ** 2).sum(), dict(layer.named_parameters()))
    assert check.worst < 1e-8


def test_columns_can_be_forced() -> None:
    settings = Settings(category=("x",), leave_out=("z",), numeric=("y",))
    assert {name: form.kind for name, form in settings.forms.items()} == {"x": "category", "y": "numeric"}
    with pytest.raises(OptionError, match="column x is given to --numeric and to --leave-out"):
        Settings(numeric=("x",), leave_out=("x",))


# Parts.


def test_the_parts_are_disjoint_and_statistics_come_from_the_first(tmp_path: Path) -> None:
    table = Table(
        "t", (Column("x", "numeric", np.arange(100.0) ** 2), Column("y", "numeric", np.arange(100.0)))
    )
    parts = train.TableTraining.prepare(table, "y", Settings()).parts
    assert parts.test is not None
    feature, target = parts.preparation.features[0], parts.preparation.target
    assert isinstance(feature, data.NumericFeature) and isinstance(target, data.NumericTarget)
    rows = [
        target.decode(part.targets).round().astype(int)
        for part in (parts.sample, parts.validation, parts.test)
    ]
    assert [len(part) for part in rows] == [60, 20, 20]
    assert sorted(np.concatenate(rows)) == list(range(100))
    assert feature.mean == pytest.approx((rows[0] ** 2).mean())


def test_parts_can_be_files_and_must_have_the_columns(tmp_path: Path) -> None:
    table = data.load("iris")
    (tmp_path / "held.csv").write_text(
        "species,petal_width,petal_length,sepal_width,sepal_length\nsetosa,.2,1.4,3.5,5\n"
    )
    run = TableTraining.prepare(table, "species", Settings(validation=str(tmp_path / "held.csv"), test=0.0))
    assert (run.parts.training_rows, run.parts.validation.rows, run.parts.test) == (150, 1, None)
    (tmp_path / "bad.csv").write_text("species,petal_width\nsetosa,.2\n")
    with pytest.raises(DataError, match="bad has no column 'sepal_length'"):
        TableTraining.prepare(table, "species", Settings(test=str(tmp_path / "bad.csv")))


def test_every_row_is_tested_once_in_cross_validation() -> None:
    runs = list(TableTraining.folds(data.load("penguins"), "species", Settings(folds=4)))
    assert sum(run.parts.test.rows for run in runs if run.parts.test) == 344
    assert all(len(np.unique(run.parts.test.targets)) == 3 for run in runs if run.parts.test)


def test_balanced_weights_let_classes_count_alike() -> None:
    table = Table.from_cells(
        "t", ["x", "y"], [[str(i), "rare" if i % 10 == 0 else "often"] for i in range(100)]
    )
    sample = TableTraining.prepare(table, "y", Settings(class_weight="balanced")).parts.sample
    assert sample.weights is not None
    sums = [sample.weights[sample.targets == label].sum() for label in (0, 1)]
    assert sums[0] == pytest.approx(sums[1])
    assert sample.weights.mean() == pytest.approx(1)
    with pytest.raises(DataError, match="the target mpg is an amount and has no classes"):
        TableTraining.prepare(data.load("auto-mpg"), "mpg", Settings(class_weight="balanced"))


def test_early_stopping_keeps_the_best_and_says_when() -> None:
    run = TableTraining.prepare(data.load("auto-mpg"), "mpg", Settings(patience=5, rate=0.05, epochs=500))
    run.fit()
    assert run.kept is not None
    assert len(run.history) == run.kept.number + 5


# Baselines and metrics, beside scikit-learn's.


def test_linear_models_are_those_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x, labels = rng.normal(size=(200, 5)), rng.integers(0, 3, 200)
    x[:, 0] += labels
    theirs = linear.LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(x, labels)
    ours = train.softmax(np.c_[x, np.ones(200)] @ train.softmax_regression(x, labels, 3))
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=1e-3)
    y = x @ rng.normal(size=5) + 3
    weights = train.ridge(x, y[:, None])
    fitted = linear.Ridge(alpha=1.0).fit(x, y)
    np.testing.assert_allclose(weights[:-1, 0], fitted.coef_, rtol=1e-6)
    assert weights[-1, 0] == pytest.approx(fitted.intercept_, rel=1e-6)


def test_a_linear_model_of_separable_or_repeated_columns_is_finite() -> None:
    x = np.repeat(np.linspace(-1, 1, 20)[:, None], 3, axis=1)
    weights = train.softmax_regression(x, (x[:, 0] > 0).astype(int), 2)
    assert np.isfinite(weights).all()
    assert ((np.c_[x, np.ones(20)] @ weights).argmax(1) == (x[:, 0] > 0)).all()


def test_metrics_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for _ in range(20):
        labels, shares = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50).round(1)
        shares = (shares + 0.01) / (shares + 0.01).sum(1, keepdims=True)
        assert train.area_under_roc(labels == 1, shares[:, 1]) == pytest.approx(
            metrics.roc_auc_score(labels == 1, shares[:, 1])
        )
        assert train.log_loss(labels, shares) == pytest.approx(metrics.log_loss(labels, shares))
        assert train.balanced_accuracy(labels, shares.argmax(1)) == pytest.approx(
            metrics.balanced_accuracy_score(labels, shares.argmax(1))
        )
    assert math.isnan(train.area_under_roc([True, True], [0.1, 0.2]))


# The rate.


def test_the_rate_search_finds_the_order_of_magnitude_and_leaves_the_model() -> None:
    x = rng.normal(size=(400, 3))
    model = nn.Linear(3, 1, generator=0)
    before = model.state_dict()

    def search(scale: float) -> float:
        examples = data.Examples(scale * x, (x @ np.array([1.0, 2.0, 3.0]))[:, None])
        new = lambda rate: optim.Optimizer(model.parameters(), "sgd", rate=rate)  # noqa: E731
        return train.search_rate(model, examples, nn.mean_squared_error, new, 16)

    assert search(1.0) in (0.03, 0.1, 0.3)
    assert search(10.0) <= 0.003
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(DivergedError, match="at every learning rate"):
        search(1e200)


# Streaming.


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PART", 100)
    monkeypatch.setattr(streaming, "BUFFER", 150)
    monkeypatch.setattr(streaming, "HELD", 60)


def csv_of(folder: Path, rows: int = 1000) -> Path:
    lines = [f"{i},{(i * 37) % 101},{'abc'[i % 3]},{(i * 37) % 101 * 2 + i % 3}" for i in range(rows)]
    (folder / "long.csv").write_text("\n".join(["id,x,k,y", *lines]) + "\n")
    return folder / "long.csv"


@pytest.mark.usefixtures("small_parts")
def test_a_stream_gives_every_training_row_once_and_no_other(tmp_path: Path) -> None:
    run = TableTraining.streamed(data.table_file(csv_of(tmp_path)), "y", Settings(epochs=1))
    parts = run.parts
    assert parts.test is not None
    assert dict(parts.preparation.left_out) == {"id": "it counts the rows"}
    assert parts.rows == 1000 and 540 < parts.training_rows < 660
    assert parts.validation.rows == parts.test.rows == 60  # a sample of them

    def epoch(order: Any) -> np.ndarray:
        found = list(parts.training.batches(16, order))
        assert all(part.rows == 16 for part in found[:-1])
        return np.concatenate([np.c_[part.features, part.targets] for part in found])

    plain, first, again, other = (epoch(o) for o in (None, *map(np.random.default_rng, (0, 0, 1))))
    assert len(plain) == parts.training_rows
    for rows in (first, other):
        assert sorted(map(tuple, rows)) == sorted(map(tuple, plain))
        assert not np.array_equal(rows, plain)
    np.testing.assert_array_equal(first, again)
    place = {row: i for i, row in enumerate(map(tuple, plain))}
    moved = [abs(place[row] - i) for i, row in enumerate(map(tuple, first))]
    assert np.mean(moved) > 40, "rows move within the window"


@pytest.mark.usefixtures("small_parts")
def test_a_stream_learns_as_well_as_memory_and_continues_to_the_same_bits(tmp_path: Path) -> None:
    path = csv_of(tmp_path)
    settings = Settings(epochs=8, rate=0.02)

    def new() -> TableTraining:
        run = TableTraining.streamed(data.table_file(path), "y", settings)
        run.checkpoint, run.checkpoint_every = tmp_path / "c.safetensors", 1
        return run

    whole, first, second = new(), new(), new()
    whole.fit()
    assert whole.evaluate().metrics["R²"] > 0.98

    def interrupt(epoch: Epoch) -> None:
        if epoch.number == 3:
            raise KeyboardInterrupt

    assert first.fit([interrupt])
    second.resume(tmp_path / "c.safetensors")
    second.fit()
    assert len(second.history) == 8 and second.kept is not None and whole.kept is not None
    assert second.kept.number == whole.kept.number
    for name, value in second.network.state_dict().items():
        np.testing.assert_array_equal(value, whole.network.state_dict()[name])


@pytest.mark.usefixtures("small_parts")
def test_a_mistake_far_down_in_a_stream_names_its_line(tmp_path: Path) -> None:
    path = csv_of(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:700], "700,oops,a,1", *lines[700:]]) + "\n")
    with pytest.raises(DataError, match=r"column x should be numbers, but line 701: 'oops'; .* --numeric x"):
        TableTraining.streamed(data.table_file(path), "y", Settings())
    run = TableTraining.streamed(data.table_file(path), "y", Settings(numeric=("x",)))
    assert run.parts.rows == 1001


def test_what_needs_all_rows_in_memory_is_refused_for_a_stream(tmp_path: Path) -> None:
    file = data.table_file(csv_of(tmp_path))
    for settings in (Settings(folds=3), Settings(test="other.csv")):
        with pytest.raises(OptionError, match="--stream: parts are fractions of the one file"):
            TableTraining.streamed(file, "y", settings)


# Continuing.


def test_a_checkpoint_of_other_data_or_another_run_is_refused(tmp_path: Path) -> None:
    def new(name: str = "iris", **settings: Any) -> TableTraining:
        return TableTraining.prepare(*data.open_table(name), Settings(epochs=4, **settings))

    run = new()
    run.checkpoint, run.checkpoint_every = tmp_path / "c.safetensors", 2
    run.fit()
    with pytest.raises(ModelFileError, match="the data are not those that the run began with"):
        new(seed=1).resume(run.checkpoint)
    with pytest.raises(ModelFileError, match="the checkpoint of another run"):
        new(hidden=(4,)).resume(run.checkpoint)


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": -0.1}, {"dropout": 1.0}, {"weight_decay": -1.0}, {"schedule": "slow"}, {"class_weight": "even"},
        {"task": "ranking"}, {"folds": 1}, {"patience": -1}, {"test": 1.0}, {"validation": 0.6, "test": 0.5},
        {"rate": "fast"}, {"epochs": "many"}, {"leave_out": (1,)},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Settings(**settings)


def test_settings_go_to_a_file_and_back(tmp_path: Path) -> None:
    settings = Settings(hidden=(8, 4), rate="auto", leave_out=('a "b"', "ü"), weight_decay=1e-4, test="a.csv")
    (tmp_path / "a.toml").write_text(train.config_text(vars(settings)), encoding="utf-8")
    assert train.settings_of(train.read_config(tmp_path / "a.toml")) == settings
    (tmp_path / "b.toml").write_text("epoch = 3\n")
    with pytest.raises(OptionError, match=r"no option 'epoch' \(did you mean epochs"):
        train.read_config(tmp_path / "b.toml")
    (tmp_path / "c.toml").write_text("epochs = \n")
    with pytest.raises(OptionError, match="no TOML file"):
        train.read_config(tmp_path / "c.toml")
    for wrong in ({"hidden": 8}, {"activation": 3}, {"hidden": [8.5]}):
        with pytest.raises(OptionError):
            train.settings_of(wrong)
