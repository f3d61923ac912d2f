"""The same `random_state` gives the network of scikit-learn's MLP, to rounding, after any number of epochs."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.neural_network import MLPClassifier, MLPRegressor

from chainrule.estimators import NetworkClassifier, NetworkRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.default_rng(0)
X = rng.normal(size=(130, 5))
THREE = np.digitize(X @ rng.normal(size=5) + rng.normal(scale=0.3, size=130), [-1, 1])
TWO = np.where(X[:, 0] * X[:, 1] > 0, "yes", "no")
LABELS = np.stack([X[:, 0] > 0, X[:, 1] > X[:, 2]], 1).astype(int)
NUMBER = X[:, 0] ** 2 - X[:, 1]
NUMBERS = np.stack([NUMBER, X[:, 3]], 1)
KINDS: dict[str, tuple[Any, Any, Any]] = {
    "three classes": (NetworkClassifier, MLPClassifier, THREE),
    "two classes": (NetworkClassifier, MLPClassifier, TWO),
    "labels": (NetworkClassifier, MLPClassifier, LABELS),
    "number": (NetworkRegressor, MLPRegressor, NUMBER),
    "numbers": (NetworkRegressor, MLPRegressor, NUMBERS),
}


def assert_equal(ours: Any, theirs: Any, tolerance: float = 1e-6) -> None:
    assert ours.n_iter_ == theirs.n_iter_
    for name in ("coefs_", "intercepts_"):
        for mine, other in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


def fitted(kind: str, rows: Any = X, calls: int = 1, ours: Any = None, **options: Any) -> tuple[Any, Any]:
    options = {"hidden_layer_sizes": (7,), "learning_rate_init": 0.01, "batch_size": 50} | options
    mine, other, targets = KINDS[kind]
    pair = mine(**options | (ours or {})), other(**options)
    for model in pair * calls:
        model.fit(rows, targets)
    return pair


@pytest.mark.parametrize("epochs", [1, 5, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_after_any_number_of_epochs(kind: str, epochs: int) -> None:
    ours, theirs = fitted(kind, max_iter=epochs, random_state=epochs)
    assert_equal(ours, theirs)
    if kind != "numbers":  # of several, the loss reported there is a mean, and the gradient that of the sum
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(
        *(model.predict(X) if "number" in kind else model.predict_proba(X) for model in (ours, theirs)),
        rtol=1e-5,
    )


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("sizes", [(), (3,), (6, 4, 3)], ids=str)
def test_every_activation_and_depth(activation: str, sizes: tuple[int, ...]) -> None:
    assert_equal(
        *fitted("three classes", activation=activation, hidden_layer_sizes=sizes, max_iter=5, random_state=2)
    )


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["three classes", "two classes", "number"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_ends_at_the_same_epoch(kind: str, early_stopping: bool, solver: str) -> None:
    options: dict[str, Any] = {
        "early_stopping": early_stopping,
        "max_iter": 300,
        "tol": 1e-3,
        "n_iter_no_change": 3,
    }
    rate = 0.03 if solver == "adam" else 0.05
    ours, theirs = fitted(kind, solver=solver, learning_rate_init=rate, random_state=4, **options)
    assert 5 < theirs.n_iter_ < 300
    assert_equal(ours, theirs)
    assert ours.best_loss_ == pytest.approx(theirs.best_loss_)
    if early_stopping:
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1},
        {"learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
        {"learning_rate": "invscaling"},
        {"alpha": 3.0},
        {"alpha": 0.0, "shuffle": False},
        {"batch_size": "auto"},
        {"batch_size": 65},
    ],
    ids=str,
)
def test_every_option_means_the_same(options: dict[str, Any]) -> None:
    assert_equal(*fitted("three classes", max_iter=30, random_state=1, **options))


@pytest.mark.parametrize(
    "options", [{}, {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05}], ids=str
)
def test_native_code_too(options: dict[str, Any]) -> None:
    pytest.importorskip("llvmlite")
    settings: dict[str, Any] = {"max_iter": 30, "random_state": 1, "n_iter_no_change": 3}
    assert_equal(*fitted("three classes", ours={"compile": "yes"}, **settings | options))


def test_from_a_random_state_that_goes_on() -> None:
    ours, theirs = (
        model(max_iter=3, random_state=np.random.RandomState(3))
        for model in (NetworkClassifier, MLPClassifier)
    )
    for _ in range(2):
        ours.fit(X, TWO), theirs.fit(X, TWO)
    assert_equal(ours, theirs)


def test_warm_start_and_partial_fit() -> None:
    assert_equal(*fitted("number", calls=3, max_iter=4, random_state=0, warm_start=True))
    ours, theirs = NetworkClassifier(random_state=0), MLPClassifier(random_state=0)
    for model in (ours, theirs):
        for rows in (slice(0, 60), slice(60, 130)):
            model.partial_fit(X[rows], TWO[rows], classes=["no", "yes"])
    for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)


def test_weights_of_rows() -> None:
    weights = rng.uniform(0.5, 2, 130)
    options: dict[str, Any] = {
        "hidden_layer_sizes": (7,),
        "max_iter": 20,
        "batch_size": 50,
        "random_state": 0,
    }
    assert_equal(
        NetworkClassifier(**options).fit(X, THREE, weights), MLPClassifier(**options).fit(X, THREE, weights)
    )


def test_sparse_rows() -> None:
    assert_equal(*fitted("three classes", rows=csr_matrix(X), max_iter=10, random_state=0))


def test_float32() -> None:
    assert_equal(*fitted("number", rows=X.astype(np.float32), max_iter=5, random_state=0), tolerance=1e-4)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_losses_of_regression(loss: str) -> None:
    options: dict[str, Any] = {"loss": loss, "max_iter": 20, "random_state": 0, "hidden_layer_sizes": (6,)}
    counts = np.round(np.exp(X[:, 0]))
    assert_equal(NetworkRegressor(**options).fit(X, counts), MLPRegressor(**options).fit(X, counts))


@pytest.mark.parametrize("kind", ["three classes", "number"])
def test_lbfgs_starts_at_the_same_weights(kind: str) -> None:
    ours, theirs = fitted(kind, solver="lbfgs", max_iter=8, random_state=0)
    assert_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(24))
def test_any_options_together(seed: int) -> None:
    draw = np.random.default_rng(seed)

    def one_of(*choices: Any) -> Any:
        return choices[draw.integers(len(choices))]

    options = {
        "hidden_layer_sizes": one_of((), (5,), (6, 3), 7),
        "activation": one_of("relu", "tanh", "logistic", "identity"),
        "solver": one_of("adam", "sgd"),
        "alpha": one_of(0.0, 1e-4, 0.5),
        "batch_size": one_of("auto", 10, 16, 100),
        "learning_rate": one_of("constant", "invscaling", "adaptive"),
        "learning_rate_init": one_of(1e-3, 1e-2),
        "max_iter": one_of(1, 7, 40, 150),
        "shuffle": one_of(True, True, False),
        "random_state": seed,
        "tol": one_of(0.0, 1e-4, 1e-2),
        "momentum": one_of(0.0, 0.5, 0.9),
        "nesterovs_momentum": one_of(True, False),
        "early_stopping": one_of(True, False, False),
        "n_iter_no_change": one_of(1, 5, 10),
        "beta_1": one_of(0.9, 0.5),
    }
    kind, choices = one_of("three classes", "two classes", "labels", "number"), ["no", "auto"]
    if find_spec("llvmlite"):
        choices.append("yes")
    assert_equal(*fitted(kind, ours={"compile": one_of(*choices)}, **options), tolerance=1e-9)
