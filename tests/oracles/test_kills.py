"""Runs that are killed at random moments and continued end with the files of a run that was not killed."""

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chainrule import train
from chainrule.train.checkpoint import _opened

CHAINRULE = [sys.executable, "-u", "-m", "chainrule", "train"]
BEGIN = ["penguins", "--epochs", "150", "--checkpoint-every", "1", "--dropout", "0.1", "--schedule", "cosine"]
KILLS, PROCESSES, THROUGH = 56, 2, 1 << 30
LONGEST = 0.4
"""Seconds to a kill; the training takes about twice as long."""


def finished(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith(".")
    }


def arguments(folder: Path) -> list[str]:
    checkpoint = folder / "penguins.checkpoint.safetensors"
    return ["--resume", str(checkpoint)] if checkpoint.exists() else [*BEGIN, "--out", str(folder)]


def epochs_done(folder: Path) -> int:
    """How far the checkpoint is; whatever is there under its name must be whole."""
    checkpoint = folder / "penguins.checkpoint.safetensors"
    if is_through(folder):
        return THROUGH
    return len(_opened(checkpoint)[0].list("history")) if checkpoint.exists() else 0


def is_through(folder: Path) -> bool:
    """Whether all was saved, which is when the checkpoint is removed."""
    names = {path.name for path in folder.iterdir()}
    return "penguins.safetensors" in names and "penguins.checkpoint.safetensors" not in names


def kill_and_continue(folder: Path, reference: dict[str, bytes], kills: int, seed: int) -> list[int]:
    """Kill a run until it has been killed so often, or is through; returns how far it was each time."""
    draw, progress = random.Random(seed), []
    while len(progress) < kills and not is_through(folder):
        with subprocess.Popen([*CHAINRULE, *arguments(folder)], stdout=subprocess.PIPE, text=True) as process:
            # Most kills fall into the training and the saving after it, some into what comes before.
            if draw.random() < 0.85:
                _wait_for_training(process)
            try:
                process.wait(timeout=draw.uniform(0, LONGEST))
                break
            except subprocess.TimeoutExpired:
                process.kill()
        progress.append(epochs_done(folder))
        for name, content in finished(folder).items():
            assert "checkpoint" in name or content == reference[name], f"{name} is half-written"
    return progress


def _wait_for_training(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("gradients checked"):
            return


def one_after_another(folder: Path, reference: dict[str, bytes], kills: int, seed: int) -> list[list[int]]:
    """Runs in folders of their own, each killed and in the end left alone, until there were enough kills."""
    told: list[list[int]] = []
    while sum(map(len, told)) < kills:
        place = folder / f"{seed}-{len(told)}"
        place.mkdir()
        told.append(kill_and_continue(place, reference, 6, 1000 * seed + len(told)))
        if not is_through(place):
            subprocess.run([*CHAINRULE, *arguments(place)], stdout=subprocess.DEVNULL, check=True)
        assert finished(place) == reference
        assert sorted(path.name for path in place.iterdir()) == sorted(reference), "what kills left is gone"
    return told


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run([*CHAINRULE, *BEGIN, "--out", str(folder)], stdout=subprocess.DEVNULL, check=True)
    assert sorted(finished(folder)) == ["penguins.safetensors", "penguins.svg"]
    assert train.load_model(folder / "penguins.safetensors").training["epochs"] > 60
    return finished(folder)


def test_killed_runs_end_as_those_that_were_not(tmp_path: Path, reference: dict[str, bytes]) -> None:
    start = time.perf_counter()
    with ThreadPoolExecutor(PROCESSES) as pool:
        runs = [
            pool.submit(one_after_another, tmp_path, reference, KILLS // PROCESSES, seed)
            for seed in range(PROCESSES)
        ]
        told = [one for run in runs for one in run.result()]
    assert sum(map(len, told)) >= 50
    # A kill loses no more than the work since the last checkpoint.
    assert all(progress == sorted(progress) for progress in told)
    assert len({epoch for progress in told for epoch in progress}) > 15, "the kills came at different moments"
    print(f"{sum(map(len, told))} kills in {time.perf_counter() - start:.0f} s: {told}")
