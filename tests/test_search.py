"""`chainrule search`: which networks it tries, which it keeps, and that the best can be had again."""

import itertools
import json
import math
import shlex
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from chainrule.cli import main, program
from chainrule.data import load
from chainrule.errors import DivergedError, OptionError
from chainrule.train import Settings, TableTraining, load_model
from chainrule.train.searching import CHOICES, Deadline, Search, Trial, candidates


def search(epochs: int = 40, trials: int = 6, **given: Any) -> Search:
    return Search.prepare(load("iris"), "species", candidates(Settings(epochs=epochs), given, trials))


# what is tried --------------------------------------------------------------------------------------------------


def test_random_candidates_are_different_and_begin_with_the_usual_ones() -> None:
    tried = candidates(Settings(seed=3), {}, 20)
    assert tried[0] == Settings(seed=3)
    assert len(set(tried)) == 20
    assert tried == candidates(Settings(seed=3), {}, 20) != candidates(Settings(seed=4), {}, 20)
    assert all(one.hidden in CHOICES["hidden"] and one.seed == 3 for one in tried)
    assert {one.optimizer for one in tried} == set(CHOICES["optimizer"])


def test_what_is_given_alone_is_tried() -> None:
    tried = candidates(Settings(), {"hidden": [(3,)], "rate": [0.1, 0.2], "dropout": [0.0]}, 30)
    assert {one.hidden for one in tried} == {(3,)}
    assert {one.rate for one in tried} == {0.1, 0.2}
    assert {one.dropout for one in tried} == {0.0}


def test_few_combinations_are_all_tried_once() -> None:
    fixed = {
        "hidden": [(3,)],
        "activation": ["tanh"],
        "optimizer": ["sgd"],
        "dropout": [0.0],
        "weight_decay": [None],
    }
    assert sorted(one.rate for one in candidates(Settings(), fixed | {"rate": [0.1, 0.2]}, 30)) == [0.1, 0.2]


def test_a_grid_is_every_combination_each_optimizer_at_its_own_rate() -> None:
    tried = candidates(Settings(), {"optimizer": ["adam", "sgd"], "hidden": [(2,), ()]}, 10, "grid")
    assert [(one.optimizer, one.rate, one.hidden) for one in tried] == [
        ("adam", 0.01, (2,)), ("adam", 0.01, ()), ("sgd", 0.1, (2,)), ("sgd", 0.1, ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "trials", "how", "words"),
    [
        ({}, 0, "random", "--trials 0: it must be a whole number"),
        ({}, 5, "bayes", "--how bayes: choose random or grid"),
        ({"momentum": [1]}, 5, "random", "there is nothing to search in 'momentum'"),
        (
            {"rate": [0.1, 0.2, 0.3]},
            2,
            "grid",
            "the grid has 3 combinations: give fewer choices, or --trials 3",
        ),
        ({"rate": [0.0]}, 2, "random", "--rate 0.0: it must be a number above 0"),
        ({"activation": ["tan"]}, 2, "grid", "there is no activation 'tan'"),
    ],
)
def test_bad_choices_are_refused(given: dict[str, Any], trials: int, how: str, words: str) -> None:
    with pytest.raises(OptionError, match=words.replace("(", r"\(")):
        candidates(Settings(), given, trials, how)


# how they are compared --------------------------------------------------------------------------------------------


def test_the_better_half_goes_on() -> None:
    found = search(epochs=40, trials=8)
    assert found.rungs() == [(5, 8), (10, 4), (20, 2), (40, 1)]
    assert found.run() == "all"
    lengths = sorted(len(trial.training.history) for trial in found.trials)
    assert lengths == [5] * 4 + [10] * 2 + [20] + [40]
    losses = [trial.loss for trial in found.ranked()]
    assert losses == sorted(losses) and all(map(math.isfinite, losses))


@pytest.mark.parametrize(
    ("epochs", "trials", "rungs"),
    [
        (1, 9, [(1, 9)]),
        (200, 1, [(200, 1)]),
        (10, 20, [(5, 20), (10, 10)]),
        (7, 3, [(7, 3)]),
        (200, 2, [(100, 2), (200, 1)]),
    ],
)
def test_rungs(epochs: int, trials: int, rungs: list[tuple[int, int]]) -> None:
    assert search(epochs, trials).rungs() == rungs


def test_the_best_is_what_training_it_alone_gives() -> None:
    found = search(epochs=60, trials=8, dropout=[0.0, 0.2])
    found.run()
    kept = found.finish()
    alone = TableTraining.prepare(load("iris"), "species", found.best.settings)
    alone.fit()
    assert alone.kept is not None and kept.kept is not None and alone.kept.number == kept.kept.number
    for name, array in alone.network.state_dict().items():
        np.testing.assert_array_equal(array, kept.network.state_dict()[name])


def test_early_stopping_counts_across_rungs() -> None:
    settings = [Settings(epochs=400, patience=3, rate=rate) for rate in (0.01, 0.2)]
    found = Search.prepare(load("iris"), "species", settings)
    found.run()
    alone = TableTraining.prepare(load("iris"), "species", found.best.settings)
    alone.fit()
    assert len(found.best.training.history) == len(alone.history) < 400


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_network_that_diverges_is_last_and_no_obstacle() -> None:
    settings = [Settings(epochs=20, optimizer="sgd", rate=rate, task="regression") for rate in (1e9, 0.1)]
    found = Search.prepare(load("auto-mpg"), "mpg", settings)
    assert found.run() == "all"
    assert found.best.settings.rate == 0.1 and found.ranked()[-1].loss > 1e3
    only = Search.prepare(load("auto-mpg"), "mpg", settings[:1])
    only.trials[0].training.run.rate = 1e200
    with pytest.raises(DivergedError, match="the loss of every network became infinite"):
        only.run()


def test_when_the_time_is_over_the_best_so_far_stays() -> None:
    found = search(epochs=10_000, trials=4)
    assert found.run(seconds=0.05) == "time"
    assert math.isfinite(found.best.loss)
    assert sum(len(trial.training.history) for trial in found.trials) < 10_000
    assert found.finish().evaluate().metrics["accuracy"] > 0


def test_ctrl_c_keeps_the_best_so_far() -> None:
    found = search(epochs=40, trials=4)

    def interrupt(rung: int, done: int, trial: Trial) -> None:
        if (rung, done) == (2, 1):
            raise KeyboardInterrupt

    assert found.run(tell=interrupt) == "interrupted"
    assert math.isfinite(found.best.loss)
    assert found.finish().kept == found.best.best.epoch


def test_ctrl_c_before_anything_is_learned_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    found = search()
    monkeypatch.setattr(Trial, "train", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        found.run()


# at the same time -------------------------------------------------------------------------------------------------


def wide(jobs: int | None = None, **options: Any) -> Search:
    """Networks of which some are native code and some, because of dropout, are not."""
    given = {"dropout": [0.0, 0.2], "hidden": [(8,), (32,)], "activation": ["tanh", "relu"]}
    tried = [
        replace(one, compile="no" if one.dropout else "yes")
        for one in candidates(Settings(epochs=40), given, 8)
    ]
    found = Search.prepare(load("iris"), "species", tried)
    found.run(jobs=jobs, **options)
    return found


def test_threads_change_nothing() -> None:
    pytest.importorskip("llvmlite")
    told: dict[int, list[tuple[int, int, int]]] = {1: [], 4: []}
    serial, threaded = (
        wide(jobs, tell=lambda rung, done, trial, of=of: of.append((rung, done, trial.number)))
        for jobs, of in told.items()
    )
    assert {trial.training.run.is_native for trial in threaded.trials} == {True, False}
    assert told[1] == told[4] and len(told[1]) == 8 + 4 + 2 + 1
    for one, other in zip(serial.ranked(), threaded.ranked(), strict=True):
        assert (one.number, one.loss, len(one.training.history)) == (
            other.number, other.loss, len(other.training.history),
        )  # fmt: skip
        for name, array in one.training.network.state_dict().items():
            np.testing.assert_array_equal(array, other.training.network.state_dict()[name])


@pytest.mark.parametrize("jobs", [1, 4])
def test_only_native_networks_are_trained_in_threads(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    together, begun, train = threading.Barrier(2), itertools.count(), Trial.train

    def noted(trial: Trial, *options: Any) -> None:
        native = trial.training.run.is_native
        seen[native].add(threading.current_thread().name)
        if native and jobs > 1 and next(begun) < 2:
            together.wait(timeout=20)  # the first two are in here at once, or this fails
        train(trial, *options)

    monkeypatch.setattr(Trial, "train", noted)
    wide(jobs)
    main = threading.main_thread().name
    assert seen[False] == {main}
    assert seen[True] == {main} if jobs == 1 else main not in seen[True]


def test_ctrl_c_ends_the_threads_after_their_epoch() -> None:
    pytest.importorskip("llvmlite")

    def interrupt(rung: int, done: int, trial: Trial) -> None:
        raise KeyboardInterrupt

    tried = [
        Settings(epochs=1_000_000, patience=0, compile="yes", seed=3, rate=r) for r in (0.001, 0.01, 0.02)
    ]
    found = Search.prepare(load("iris"), "species", tried)
    found.trials[0].finished = True  # so that something is told at once
    start = time.perf_counter()
    assert found.run(tell=interrupt, jobs=3) == "interrupted"
    assert time.perf_counter() - start < 30
    lengths = [len(trial.training.history) for trial in found.trials]
    time.sleep(0.05)
    assert [len(trial.training.history) for trial in found.trials] == lengths, "nothing goes on"
    assert all(0 <= length < 200_000 for length in lengths)


@pytest.mark.parametrize("jobs", [0, -1, True, 1.5])
def test_a_number_of_jobs_that_is_none(jobs: Any) -> None:
    with pytest.raises(OptionError, match=f"--jobs {jobs}: it must be a whole number of at least 1"):
        search().run(jobs=jobs)


# the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(program.COMMANDS, "search", "")


def chainrule(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="chainrule")


@pytest.mark.usefixtures("_in_a_folder_of_its_own")
def test_the_command_that_it_tells_trains_the_same_file(tmp_path: Path) -> None:
    result = chainrule(
        "search", "penguins", "--trials", "6", "--epochs", "40", "--seed", "2", "--out", "found"
    )
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "penguins · 6 networks · 6 to epoch 10, 3 to epoch 20, 2 to epoch 40"
    assert lines[1].startswith("  category  island, sex (11 missing): ") and lines[2].startswith("  numeric")
    assert [line.split(":")[0] for line in lines[3:6]] == ["epoch 10", "epoch 20", "epoch 40"]
    assert "validation loss" in result.output and "test rows" in result.output
    saved = (tmp_path / "found/penguins.safetensors").read_bytes()
    assert load_model("found/penguins.safetensors").training["settings"]["seed"] == 2
    (told,) = (line.partition("with: ")[2] for line in lines if line.startswith("train it again"))
    again = chainrule(*shlex.split(told)[1:])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "found/penguins.safetensors").read_bytes() == saved


@pytest.mark.usefixtures("_in_a_folder_of_its_own")
def test_ctrl_c_saves_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    train = Trial.train

    def interrupted(trial: Trial, epochs: int, deadline: Deadline) -> None:
        if trial.number == 3:
            raise KeyboardInterrupt
        train(trial, epochs, deadline)

    monkeypatch.setattr(Trial, "train", interrupted)
    result = chainrule("search", "iris", "--trials", "5", "--epochs", "40")
    assert result.exit_code == 130
    assert "interrupted: the best so far is saved" in result.output
    assert "and 3 not trained" in result.output and "nan" not in result.output
    assert "train it to the end with: chainrule train iris" in result.output
    assert load_model("iris.safetensors").training["epochs"] == 10


@pytest.mark.usefixtures("_in_a_folder_of_its_own")
def test_json() -> None:
    choices = ["--hidden", "4", "--hidden", "none", "--rate", "0.01,0.1", "--how", "grid"]
    result = chainrule("search", "auto-mpg", "--epochs", "10", *choices, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["ended"] == "all" and told["part"] == "test" and len(told["trials"]) == 4
    losses = [trial["loss"] for trial in told["trials"]]
    assert losses == sorted(losses)
    assert {(tuple(trial["hidden"]), trial["rate"]) for trial in told["trials"]} == {
        ((4,), 0.01), ((), 0.01), ((4,), 0.1), ((), 0.1),
    }  # fmt: skip
    assert load_model(told["model"]).preparation.target.name == "mpg"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.csv"], "nothing.csv"),
        (["iris", "--trials", "0"], "--trials 0"),
        (["iris", "--seconds", "0"], "--seconds 0: it must be a number above 0"),
        (["iris", "--seconds", "nan"], "--seconds nan: it must be a number above 0"),
        (["iris", "--rate", "fast"], "--rate fast: give numbers separated by commas"),
        (["iris", "--hidden", "x"], "--hidden 'x'"),
        (["iris", "--activation", "tanh,foo"], "there is no activation 'foo'"),
        (["iris", "--jobs", "0"], "--jobs 0: it must be a whole number of at least 1"),
        (["iris", "--how", "all"], "--how all: choose random or grid"),
        (["iris", "--target", "colour"], "colour"),
        (["iris", "--out", "a", "--save", "b.safetensors"], "give either"),
    ],
)
@pytest.mark.usefixtures("_in_a_folder_of_its_own")
def test_bad_input_is_refused(arguments: list[str], words: str) -> None:
    result = chainrule("search", *arguments)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert not list(Path().iterdir())
