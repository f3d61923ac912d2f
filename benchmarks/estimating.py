"""The scikit-learn estimators beside MLPClassifier and MLPRegressor: same network, same epochs, same rows."""

import csv
import warnings
from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from benchmarks.report import Finding

SEEDS = range(5)
NEVER = 10**6
"""So many epochs without progress before a fit ends: both do all that they are told to."""


class Task(NamedTuple):
    """Features and targets, the estimator's options, and the share of scikit-learn's time that is allowed."""

    data: Callable[[], tuple[Any, Any]]
    kind: str
    options: Mapping[str, Any]
    limit: float


def toy(name: str) -> Callable[[], tuple[Any, Any]]:
    def data() -> tuple[Any, Any]:
        from sklearn import datasets

        features, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
        return features, targets

    return data


def auto_mpg() -> tuple[Any, Any]:
    """The bundled table: its columns of numbers, the rows without missing values."""
    with (files("chainrule.data") / "tables" / "auto-mpg.csv").open() as lines:
        rows = [row[:7] for row in csv.reader(lines)][1:]
    table = np.array([row for row in rows if all(row)], float)
    return table[:, 1:], table[:, 0]


def images() -> tuple[Any, Any]:
    """Stand-in for 5000 images of digits: ten noisy patterns of 784 numbers."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 5000)
    return random.normal(size=(10, 784))[labels] + random.normal(size=(5000, 784), scale=6), labels


SMALL = {"hidden_layer_sizes": (100,), "max_iter": 200}
TASKS: Mapping[str, Task] = {
    "Iris": Task(toy("iris"), "classifier", SMALL, 1 / 4),
    "digits": Task(toy("digits"), "classifier", SMALL, 1 / 4),
    "breast cancer": Task(toy("breast_cancer"), "classifier", SMALL, 1 / 4),
    "Auto MPG": Task(auto_mpg, "regressor", SMALL, 1 / 4),
    "synthetic 5000x784": Task(images, "classifier", {"hidden_layer_sizes": (100,), "max_iter": 10}, 1 / 2),
}


def estimators() -> list[Finding]:
    """Seconds of a fit, ours / scikit-learn's in turns, the median over seeds; the mean score on held-out rows."""
    if find_spec("sklearn") is None:
        return [Finding("estimators", "scikit-learn is missing", "", None)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the epochs are over before the loss has settled
        return [measured(name, task) for name, task in TASKS.items()]


def measured(name: str, task: Task) -> Finding:
    runs = [one_seed(task, seed) for seed in SEEDS]
    auto, native = (median(run[i][0] / run[2][0] for run in runs) for i in range(2))
    seconds = [median(run[i][0] for run in runs) for i in (0, 2)]
    scores = [float(np.mean([run[i][1] for run in runs])) for i in (0, 2)]
    shown = (
        f"{auto:.2f} ({seconds[0]:.2f} s, scikit-learn {seconds[1]:.2f} s), compile='yes' {native:.2f}; "
        f"score {scores[0]:.3f}, scikit-learn {scores[1]:.3f}"
    )
    met = auto <= task.limit and scores[0] >= scores[1] - 0.01
    return Finding(f"fit {name}", shown, f"<= {task.limit:.2f}, score as good", met)


def one_seed(task: Task, seed: int) -> list[tuple[float, float]]:
    """Ours as it chooses, ours as native code, scikit-learn's."""
    from sklearn import neural_network
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    from chainrule import estimators as ours

    X, y = task.data()
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=seed)
    scaler = StandardScaler().fit(X)
    parts = scaler.transform(X), y, scaler.transform(X_test), y_test
    mine, theirs = {
        "classifier": (ours.NetworkClassifier, neural_network.MLPClassifier),
        "regressor": (ours.NetworkRegressor, neural_network.MLPRegressor),
    }[task.kind]
    options = {**task.options, "random_state": seed, "n_iter_no_change": NEVER}
    contestants = mine(**options), mine(**options, compile="yes"), theirs(**options)
    return [fitted(estimator, *parts) for estimator in contestants]


def fitted(estimator: Any, X: Any, y: Any, X_test: Any, y_test: Any) -> tuple[float, float]:
    """Seconds, and the score on held-out rows."""
    start = perf_counter()
    estimator.fit(X, y)
    return perf_counter() - start, float(estimator.score(X_test, y_test))
