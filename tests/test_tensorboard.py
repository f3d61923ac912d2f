"""The event files that TensorBoard reads, read back byte by byte."""

import json
import math
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from chainrule import data, train
from chainrule.cli import main
from chainrule.cli import train as train_command
from chainrule.errors import OptionError, OutputError
from chainrule.train import Epoch, Settings, TableTraining, TensorBoard

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")


def crc32c(content: bytes) -> int:
    """Castagnoli's checksum as TensorFlow masks it, written from its definition."""
    register = 0xFFFFFFFF
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    register ^= 0xFFFFFFFF
    return (((register >> 15) | (register << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def events(folder: Path) -> Iterator[Any]:
    """All events, in the order in which TensorBoard reads them: file by file, by their names."""
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,), (check,) = struct.unpack("<Q", content[:8]), struct.unpack("<I", content[8:12])
            assert check == crc32c(content[:8])
            record, content = content[12 : 12 + length], content[12 + length :]
            assert struct.unpack("<I", content[:4]) == (crc32c(record),)
            yield event_pb2.Event.FromString(record)
            content = content[4:]


def shown(folder: Path) -> dict[str, dict[int, float]]:
    """The curves that TensorBoard draws: a run that starts at a step replaces what was there from that step on."""
    found: dict[str, dict[int, float]] = {}
    for event in events(folder):
        if event.session_log.status == event_pb2.SessionLog.START:
            found = {
                name: {s: v for s, v in curve.items() if s < event.step} for name, curve in found.items()
            }
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def iris(epochs: int = 5, **settings: Any) -> TableTraining:
    return TableTraining.prepare(data.load("iris"), "species", Settings(epochs=epochs, **settings))


def test_the_curves_are_those_of_the_history(tmp_path: Path) -> None:
    training = iris(6, schedule="cosine")
    with TensorBoard(tmp_path, score_name="accuracy") as board:
        training.fit([board])
    curves = shown(tmp_path)
    assert curves.keys() == {"loss/training", "loss/validation", "rate", "validation/accuracy"}
    for name, of in {
        "loss/training": lambda e: e.training_loss,
        "loss/validation": lambda e: e.validation_loss,
        "rate": lambda e: e.rate,
        "validation/accuracy": lambda e: e.score,
    }.items():
        expected = {epoch.number: np.float32(of(epoch)) for epoch in training.history}
        assert curves[name] == pytest.approx(expected, rel=1e-6)
    assert len(set(curves["rate"].values())) == 6


@pytest.mark.parametrize("compiled", ["no", "yes"])
def test_the_histograms_count_every_parameter(tmp_path: Path, compiled: str) -> None:
    training = iris(50, compile=compiled)
    with TensorBoard(tmp_path, training.network) as board:
        training.fit([board])
    counted: dict[str, dict[int, Any]] = {}
    for event in events(tmp_path):
        for value in event.summary.value:
            if value.HasField("histo"):
                counted.setdefault(value.tag, {})[event.step] = value.histo
    last = dict(training.run.model.named_parameters())
    assert counted.keys() == {f"parameters/{name}" for name in last}
    for name, parameter in last.items():
        histograms = counted[f"parameters/{name}"]
        assert list(histograms) == [1, *range(3, 50, 3), 50]
        assert all(h.num == sum(h.bucket) == parameter.size for h in histograms.values())
        assert len({h.sum_squares for h in histograms.values()}) == len(histograms), "they learn"


def test_the_settings_are_text(tmp_path: Path) -> None:
    training = iris(1)
    with TensorBoard(tmp_path, texts={"settings": "    rate = 0.01\n"}) as board:
        training.fit([board])
    texts = {
        v.tag: v.tensor.string_val[0] for e in events(tmp_path) for v in e.summary.value if v.tensor.dtype
    }
    assert texts == {"settings/text_summary": b"    rate = 0.01\n"}


def test_a_run_without_validation_has_no_such_curve(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    board(Epoch(1, 2, 0.5, math.nan, None, 0.1))
    board(Epoch(2, 2, 0.25, math.nan, None, 0.2))
    assert shown(tmp_path) == {"loss/training": {1: 0.5, 2: 0.25}}, "the last epoch is there without close()"
    board.close()
    board.close()


def test_nothing_is_written_before_the_first_epoch(tmp_path: Path) -> None:
    with TensorBoard(tmp_path / "runs" / "a"):
        pass
    assert not list(tmp_path.iterdir())


def test_two_runs_of_one_second_have_files_of_their_own(tmp_path: Path) -> None:
    for loss in (1.0, 2.0):
        with TensorBoard(tmp_path) as board:
            board(Epoch(1, 1, loss, math.nan, None, 0.0))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file is a file, so nothing can be saved in it: give a folder"):
        TensorBoard(tmp_path / "file")


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX.record_writer", None)
    with pytest.raises(OptionError, match=r'needs tensorboardX: pip install "chainrule\[tensorboard\]"'):
        TensorBoard(tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_fit_takes_it_for_any_module(tmp_path: Path) -> None:
    from chainrule import nn, optim

    x = np.linspace(-1, 1, 20)[:, None]
    model = nn.Linear(1, 1, generator=0)
    with TensorBoard(tmp_path, model) as board:
        history = train.fit(
            model,
            data.Examples(x, 3 * x),
            loss=nn.mean_squared_error,
            optimizer=optim.Optimizer(model.parameters(), "sgd", rate=0.5),
            epochs=4,
            callbacks=[board],
        )
    assert list(shown(tmp_path)["loss/training"]) == [epoch.number for epoch in history] == [1, 2, 3, 4]


# the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def chainrule(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="chainrule")


@pytest.mark.usefixtures("_in_a_folder_of_its_own")
def test_the_command_writes_the_run_and_trains_the_same_bytes() -> None:
    assert chainrule("train", "penguins", "--epochs", "8").exit_code == 0
    before = Path("penguins.safetensors").read_bytes()
    result = chainrule("train", "penguins", "--epochs", "8", "--tensorboard", "runs/a b")
    assert result.exit_code == 0, result.output
    assert "see the run with: tensorboard --logdir 'runs/a b'" in result.output
    assert Path("penguins.safetensors").read_bytes() == before
    assert list(shown(Path("runs/a b"))["validation/accuracy"]) == list(range(1, 9))
    texts = [
        v.tensor.string_val[0] for e in events(Path("runs/a b")) for v in e.summary.value if v.tensor.dtype
    ]
    assert texts[0].startswith("penguins · 344 rows".encode()) and b"    epochs = 8\n" in texts[1]


@pytest.mark.usefixtures("_in_a_folder_of_its_own")
def test_a_run_that_is_continued_goes_on_at_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def interrupted(*_: Any, **__: Any) -> Iterator[Any]:
        def callback(epoch: Epoch) -> None:
            if epoch.number == 7:
                raise KeyboardInterrupt

        yield callback

    run = ["train", "iris", "--epochs", "12", "--tensorboard", "runs"]
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "progress", interrupted)
        result = chainrule(*run)
    assert result.exit_code == 130
    (told,) = (line for line in result.output.splitlines() if line.startswith("continue with: "))
    # As if it had been killed two epochs later than its last checkpoint.
    (first,) = Path("runs").iterdir()
    with TensorBoard("runs") as board:
        for number in (8, 9):
            board(Epoch(number, 12, -1.0, math.nan, None, 0.0))
    again = chainrule(*told.removeprefix("continue with: chainrule ").split(), "--json")
    assert again.exit_code == 0, again.output
    history = shown(Path("runs"))
    assert list(history["loss/training"]) == list(range(1, 13))
    assert all(value > 0 for value in history["loss/training"].values())
    assert first.exists() and json.loads(again.stdout)["epochs"] == 12


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.usefixtures("_in_a_folder_of_its_own")
def test_a_full_disk_is_told_once_and_the_training_goes_on() -> None:
    script = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
        "from chainrule.cli import main\n"
        "main(['train', 'iris', '--epochs', '300', '--compile', 'no', '--tensorboard', 'runs'])"
    )
    run = subprocess.run(
        [sys.executable, "-B", "-X", "dev", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == "runs: what TensorBoard shows is not written any more: File too large\n"
    assert "saved iris.safetensors" in run.stdout and "see the run with" not in run.stdout


def test_a_folder_that_cannot_be_made_any_more_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with TensorBoard(tmp_path / "runs") as board:
        (tmp_path / "runs").touch()  # somebody makes a file of that name
        for number in (1, 2):
            board(Epoch(number, 2, 0.5, math.nan, None, 0.1))
    assert board.failed
    (message,) = caplog.messages
    assert "what TensorBoard shows is not written any more: nothing can be written to the folder" in message
