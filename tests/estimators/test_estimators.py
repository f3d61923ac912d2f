"""The estimators beyond what scikit-learn checks of them: what MLPClassifier lacks, and native code."""

import pickle
import signal
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import nn
from chainrule.compiled import NativeLoop
from chainrule.errors import OptionError
from chainrule.estimators import NetworkClassifier, NetworkRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
FAST: dict[str, Any] = {
    "hidden_layer_sizes": (8,),
    "learning_rate_init": 0.02,
    "max_iter": 60,
    "random_state": 0,
}


def trained(**options: Any) -> NetworkClassifier:
    return NetworkClassifier(**FAST | options).fit(X, y)


# As scikit-learn's MLP ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"solver": "sgd", "learning_rate": "adaptive"},
        {"early_stopping": True},
        {"class_weight": "balanced"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_native_code_gives_the_same_network(options: dict[str, Any], dtype: Any) -> None:
    pytest.importorskip("llvmlite")
    rows, labels = X[20:].astype(dtype), y[20:]
    fits = [NetworkClassifier(**FAST | options, compile=choice).fit(rows, labels) for choice in ("no", "yes")]
    tolerance = 1e-9 if dtype is np.float64 else 1e-3
    np.testing.assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=tolerance)
    for w, v in zip(fits[0].coefs_, fits[1].coefs_, strict=True):
        assert w.dtype == v.dtype == dtype
        np.testing.assert_allclose(w, v, rtol=tolerance, atol=tolerance)


def test_an_unknown_way_to_compile_is_refused() -> None:
    with pytest.raises(OptionError, match="compile='perhaps': choose one of auto, yes, no"):
        trained(compile="perhaps")


def test_the_parameters_of_mlp_are_all_there_with_the_same_defaults() -> None:
    for ours, theirs in ((NetworkClassifier(), MLPClassifier()), (NetworkRegressor(), MLPRegressor())):
        assert theirs.get_params().items() <= ours.get_params().items() | {("callbacks", ())}


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "lbfgs"])
def test_every_solver_learns(solver: str) -> None:
    rate = {"sgd": 0.1, "adagrad": 0.1}.get(solver, 0.02)
    assert trained(solver=solver, learning_rate_init=rate).score(X, y) > 0.93


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive", "cosine"])
def test_schedules_of_the_rate(rate: str) -> None:
    model = trained(solver="sgd", learning_rate=rate, max_iter=100, n_iter_no_change=2, tol=1e-2)
    rates = np.array(model.history_["rate"])
    assert rates[0] == 0.02
    expected = {
        "constant": lambda: np.all(rates == 0.02),
        "invscaling": lambda: np.allclose(rates, 0.02 / np.sqrt(1 + 150 * np.arange(len(rates)))),
        "adaptive": lambda: rates[-1] < 1e-5 and np.all(np.isin((rates[1:] / rates[:-1]).round(6), [1, 0.2])),
        "cosine": lambda: rates[1] > rates[-1] > 0,
    }
    assert expected[rate]()


def test_early_stopping_keeps_the_best_weights_of_the_held_out_rows() -> None:
    model = trained(
        early_stopping=True, validation_fraction=0.3, max_iter=300, solver="sgd", n_iter_no_change=3
    )
    assert len(model.validation_scores_) == model.n_iter_ < 300
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None


def test_a_fit_that_ends_too_early_warns() -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=3 was reached"):
        trained(max_iter=3)


# What it lacks -----------------------------------------------------------------------------------------------


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    weights = np.arange(150) % 3
    options = FAST | {"batch_size": 1000, "shuffle": False, "max_iter": 20}
    weighted = NetworkClassifier(**options).fit(X, y, sample_weight=weights)
    copies = np.repeat(np.arange(150), weights)
    repeated = NetworkClassifier(**options).fit(X[copies], y[copies])
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)


def test_balanced_classes_find_the_rare_one() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(1, 1, (15, 2))])
    rare = np.arange(315) >= 300
    plain = NetworkClassifier(**FAST).fit(rows, rare)
    balanced = NetworkClassifier(class_weight="balanced", **FAST).fit(rows, rare)
    by_hand = NetworkClassifier(**FAST).fit(rows, rare, sample_weight=np.where(rare, 315 / 30, 315 / 600))
    assert plain.predict(rows)[rare].mean() < 0.4 < balanced.predict(rows)[rare].mean()
    np.testing.assert_allclose(balanced.predict_proba(rows), by_hand.predict_proba(rows), rtol=1e-9)


def test_activations_by_layer_and_dropout() -> None:
    model = trained(hidden_layer_sizes=(8, 6), activation=("gelu", "logistic"), dropout=0.2, max_iter=150)
    kinds = [type(module) for module in model.network_]
    assert kinds == [nn.Linear, nn.GELU, nn.Dropout, nn.Linear, nn.Sigmoid, nn.Dropout, nn.Linear]
    assert model.score(X, y) > 0.9
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue"], 200)
    return pd.DataFrame({"size": rng.normal(size=200), "colour": pd.Categorical(colour)})


@pytest.mark.parametrize("columns", ["from_dtype", ["colour"], [1], [False, True]], ids=repr)
def test_columns_of_categories(columns: Any) -> None:
    table = frame()
    target = (table["colour"] == "red") * 3.0 + table["size"]
    options = FAST | {"max_iter": 300}
    model = NetworkRegressor(categorical_features=columns, **options).fit(table, target)
    assert model.score(table, target) > 0.95
    assert list(model.feature_names_in_) == ["size", "colour"]
    new = pd.DataFrame({"size": [0.0], "colour": ["violet"]})
    assert np.isfinite(model.predict(new)).all()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(new.rename(columns={"size": "length"}))


def test_strings_without_categorical_features_are_refused() -> None:
    with pytest.raises(ValueError, match="could not convert string"):
        NetworkRegressor().fit(frame(), np.zeros(200))
    with pytest.raises(ValueError, match="'from_dtype', or a list of columns"):
        NetworkRegressor(categorical_features="all").fit(frame(), np.arange(200.0))


def test_partial_fit_goes_on_where_it_was() -> None:
    model, whole = NetworkClassifier(**FAST), NetworkClassifier(**FAST | {"max_iter": 5})
    for _ in range(5):
        model.partial_fit(X, y, classes=[0, 1, 2])
    whole.fit(X, y)
    assert model.n_iter_ == 5
    assert len(model.history_["loss"]) == 5
    assert model.loss_curve_[-1] == pytest.approx(whole.loss_curve_[-1], rel=0.05)
    with pytest.raises(ValueError, match="not those of the first call"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes \[7\] that are not among those known"):
        model.partial_fit(X[:2], [7, 0])


def test_warm_start_goes_on_from_the_weights() -> None:
    model = trained(max_iter=30, warm_start=True)
    before = model.loss_
    assert model.fit(X, y).loss_curve_[0] < before * 1.1
    assert trained(max_iter=30).fit(X, y).loss_curve_[0] > 2 * before


def test_callbacks_see_every_epoch_and_can_end_the_training() -> None:
    seen: list[float] = []
    model = trained(callbacks=[lambda e: seen.append(e.training_loss), lambda e: e.number == 4])
    assert seen == model.loss_curve_
    assert model.n_iter_ == 4


def test_an_interrupted_fit_keeps_what_it_has_learnt() -> None:
    def interrupt(epoch: Any) -> None:
        if epoch.number == 30:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="training was interrupted"):
        model = trained(callbacks=[interrupt])
    assert model.n_iter_ == 30
    np.testing.assert_array_equal(model.coefs_[0], trained(max_iter=30).coefs_[0])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
def test_native_code_can_be_interrupted_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    trained(compile="yes")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    start = time.perf_counter()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.4)
        with pytest.warns(UserWarning, match="training was interrupted"):
            model = trained(compile="yes", max_iter=10**8, n_iter_no_change=10**8)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.perf_counter() - start < 10
    assert model.n_iter_ > 0
    assert model.score(X, y) > 0.9


def test_a_series_of_fits_is_the_same_whatever_was_fitted_before() -> None:
    pytest.importorskip("llvmlite")
    variants: list[dict[str, Any]] = [
        {},
        {"alpha": 1.0},
        {"activation": "tanh"},
        {"beta_1": 0.5},
        {"hidden_layer_sizes": (8, 8)},
        {"learning_rate_init": 0.1},
        {"class_weight": {0: 2.0, 1: 1.0, 2: 1.0}},
        {"batch_size": 40},
        {"dropout": 0.2},
        {"dropout": 0.25},
    ]
    for options in [*variants, *variants]:
        series, alone = trained(compile="yes", **options), trained(compile="no", **options)
        np.testing.assert_allclose(series.coefs_[0], alone.coefs_[0], rtol=1e-7, atol=1e-9)


def test_another_penalty_or_rate_needs_no_new_code(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    trained(compile="yes", alpha=0.5)

    def refuse(*_: Any) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(NativeLoop, "_compiled", refuse)
    for options in ({"alpha": 2.0}, {"learning_rate_init": 0.1}, {"alpha": 1e-3, "random_state": 3}):
        native, eager = (trained(compile=choice, **options) for choice in ("yes", "no"))
        np.testing.assert_allclose(native.coefs_[0], eager.coefs_[0], rtol=1e-8, atol=1e-10)
    with pytest.raises(AssertionError, match="compiled again"):
        trained(compile="yes", alpha=0.0)


class Recorder:
    """A callback of scikit-learn's protocol."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.scores: list[float] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.events.append("setup")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> bool:
        self.events.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and len(self.scores) == 3


def test_scikit_learns_callbacks() -> None:
    recorder = Recorder()
    model = NetworkClassifier(**FAST).set_callbacks(recorder).fit(X, y)
    assert model.n_iter_ == 3
    assert recorder.events == ["setup", "begin fit", *["begin epoch", "end epoch"] * 3, "end fit", "teardown"]
    assert recorder.scores[-1] == model.score(X, y)


def test_sparse_rows_give_the_same_network() -> None:
    dense, sparse = (
        trained(batch_size=20),
        NetworkClassifier(**FAST | {"batch_size": 20}).fit(csr_matrix(X), y),
    )
    np.testing.assert_allclose(dense.predict_proba(X), sparse.predict_proba(csr_matrix(X)), rtol=1e-9)


def test_several_labels_and_several_targets() -> None:
    rows, labels = make_multilabel_classification(100, 5, n_classes=3, random_state=0)
    rows = StandardScaler().fit_transform(rows)
    model = NetworkClassifier(**FAST | {"max_iter": 800}).fit(rows, labels)
    assert model.predict(rows).shape == model.predict_proba(rows).shape == (100, 3)
    assert (model.predict(rows) == labels).mean() > 0.9
    regressor = NetworkRegressor(**FAST).fit(X, np.stack([X[:, 0], -X[:, 1]], 1))
    assert regressor.predict(X).shape == (150, 2)


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_losses_that_bear_outliers(loss: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    target = 2 * x[:, 0] + np.where(np.arange(200) % 10 == 0, 30, 0)
    options = FAST | {"hidden_layer_sizes": (), "max_iter": 400}
    robust, plain = (
        NetworkRegressor(loss=kind, **options).fit(x, target) for kind in (loss, "squared_error")
    )
    assert abs(robust.predict([[0.0]])[0]) < 0.7 < 2 < abs(plain.predict([[0.0]])[0])


# In scikit-learn's tools ---------------------------------------------------------------------------------------


def test_pickles_clones_pipelines_and_searches() -> None:
    model = trained()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    again.partial_fit(X, y)
    assert not hasattr(clone(model), "network_")
    pipeline = make_pipeline(StandardScaler(), NetworkClassifier(**FAST))
    assert cross_val_score(pipeline, *load_breast_cancer(return_X_y=True), cv=3).mean() > 0.94
    search = GridSearchCV(
        NetworkRegressor(**FAST), {"activation": ["tanh", "relu"], "alpha": [0.0, 1.0]}, cv=2
    )
    diabetes, target = load_diabetes(return_X_y=True)
    search.fit(diabetes[:100] * 20, (target[:100] - 150) / 70)
    assert set(search.best_params_) == {"activation", "alpha"}


def test_float32_stays_float32() -> None:
    model = NetworkClassifier(**FAST).fit(X.astype(np.float32), y)
    assert model.coefs_[0].dtype == model.predict_proba(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("native_code", ["no", "yes"])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.1}, {"early_stopping": True}], ids=str)
def test_the_same_seed_gives_the_same_bits(options: dict[str, Any], native_code: str) -> None:
    if native_code == "yes":
        pytest.importorskip("llvmlite")
    options = options | {"compile": native_code}
    first, second = trained(**options), trained(**options)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), trained(**options, random_state=1).predict_proba(X))


def test_probabilities_too_small_for_a_number_have_logarithms() -> None:
    model = trained()
    logs = model.predict_log_proba(X * 1e4)
    assert np.isfinite(logs).all()
    assert logs.min() < -1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "newton"}, "solver='newton': choose one of sgd"),
        ({"learning_rate": "fast"}, "learning_rate='fast': choose one of constant"),
        ({"alpha": -1.0}, "alpha=-1.0: the penalty"),
        ({"alpha": float("nan")}, "alpha=nan: the penalty"),
        ({"batch_size": 0}, "batch_size=0: give 'auto'"),
        ({"activation": "swoosh"}, "no activation 'swoosh'"),
        ({"activation": ("relu", "relu")}, "1 hidden layers need as many activations"),
        ({"dropout": 1.0}, r"Dropout\(1.0\): the share"),
        ({"max_iter": 0}, "epochs must be an integer of at least 1"),
        ({"hidden_layer_sizes": (0,)}, "a size must be an integer of at least 1"),
        ({"learning_rate_init": -1}, "the learning rate must be a number above 0"),
        ({"solver": "lbfgs", "early_stopping": True}, "has no early stopping"),
    ],
)
def test_parameters_that_make_no_sense_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises((OptionError, ValueError), match=message):
        trained(**options)


def test_rows_that_make_no_sense_are_named() -> None:
    for rows, labels, weights, message in (
        (X, y, np.zeros(150), "at least one non-zero"),
        (X, y, -np.ones(150), "[Nn]egative"),
        (X, np.zeros(150), None, "only one class"),
        (X, y[:9], None, "inconsistent numbers of samples"),
    ):
        with pytest.raises(ValueError, match=message):
            NetworkClassifier(**FAST).fit(rows, labels, sample_weight=weights)
