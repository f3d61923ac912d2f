"""The command line: what it prints, what it writes, how it refuses."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chainrule.cli import main, progress
from chainrule.cli import train as train_command
from chainrule.data import Table
from chainrule.errors import OptionError
from chainrule.train import Epoch, TableTraining


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def chainrule(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="chainrule")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A trained model of iris."""
    folder = tmp_path_factory.mktemp("model")
    assert chainrule("train", "iris", "--epochs", "40", "--out", str(folder)).exit_code == 0
    return str(folder / "iris.safetensors")


def test_train_tells_everything() -> None:
    result = chainrule("train", "iris", "--epochs", "40")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "iris · 150 rows · 4 features · 3 classes · network 4-8-3 · cross-entropy · Adam"
    assert re.fullmatch(
        r"gradients checked against finite differences: 4 of 4 parameters, worst relative error \de-\d+",
        lines[1],
    )
    shown = [line for line in lines if line.startswith("epoch")]
    assert len(shown) == 10
    assert re.fullmatch(r"epoch 40/40  loss \d\.\d{3}  validation accuracy \d\.\d{3}   \d+\.\d s", shown[-1])
    assert "kept the weights of epoch" in result.output
    heading = r"30 test rows +network +linear model +always setosa\naccuracy +0\.9\d\d +0\.\d{3} +0\.333\n"
    assert re.search(heading, result.output)
    assert "with a column shuffled, accuracy gets worse by: petal_" in result.output
    assert re.search(r"actual \\ predicted +setosa +versicolor +virginica\nsetosa +10 +0 +0\n", result.output)
    assert lines[-2] == "saved iris.safetensors and iris.svg (loss curve, ROC, importance)"
    assert lines[-1] == "predict with: chainrule predict iris.safetensors --row 5.1,3.5,1.4,0.2"
    assert sorted(path.name for path in Path().iterdir()) == ["iris.safetensors", "iris.svg"]


def test_the_command_to_predict_predicts() -> None:
    told = chainrule("train", "penguins", "--epochs", "3", "--out", "a folder").output.splitlines()[-1]
    assert told == (
        "predict with: chainrule predict 'a folder/penguins.safetensors' "
        "--row Torgersen,39.1,18.7,181,3750,male"
    )
    result = chainrule(
        "predict", "a folder/penguins.safetensors", "--row", "Torgersen,39.1,18.7,181,3750,male"
    )
    assert result.output.startswith("Adelie    Adelie 0.")


def test_predict_classes(model: str) -> None:
    result = chainrule("predict", model, "--row", "5.1,3.5,1.4,0.2", "--row", "6.7, 3.0, 5.2, 2.3")
    assert result.exit_code == 0
    first, second = result.output.splitlines()
    assert re.fullmatch(r"setosa    setosa 0\.9\d\d · versicolor 0\.\d{3} · virginica 0\.\d{3}", first)
    assert second.startswith("virginica    ")


def test_a_regression() -> None:
    network = "--hidden 8,8 --activation relu --optimizer sgd --rate 0.02"
    run = "--epochs 30 --batch 32 --seed 3 --validation 0.25 --save cars.safetensors"
    result = chainrule("train", "auto-mpg", *network.split(), *run.split())
    assert result.exit_code == 0, result.output
    assert "network 10-8-8-1 · squared error · SGD" in result.output
    assert "numeric   horsepower (6 missing): standardised, missing marked" in result.output
    assert re.search(r"80 test rows +network +linear model +always 2\d\.\d+, the mean\nMAE", result.output)
    assert Path("cars.svg").exists()
    result = chainrule("predict", "cars.safetensors", "--row", "8,307,,3504,12,70,usa")
    assert re.fullmatch(r"mpg 1\d\.?\d*\n", result.output)


def test_the_version() -> None:
    assert re.fullmatch(r"chainrule \d+\.\d+\.\d+\n", chainrule("--version").output)


def test_a_network_without_hidden_layer() -> None:
    assert "network 4-3 ·" in chainrule("train", "iris", "--hidden", "none", "--epochs", "1").output


def test_a_csv_file() -> None:
    rows = "\n".join(f'{x + 1.5},"{x % 3}, of three",{"yes" if x > 10 else "no"}' for x in range(20))
    Path("mine.csv").write_text(f"size,kind,large\n{rows}\n", encoding="utf-8")
    result = chainrule("train", "mine.csv", "--target", "large", "--epochs", "2")
    assert result.output.startswith("mine · 20 rows · 2 features · 2 classes · network 4-8-2 ·")
    assert result.output.endswith("--row '1.5,\"0, of three\"'\n")
    assert chainrule("predict", "mine.safetensors", "--row", '0,"0, of three"').exit_code == 0


def test_the_same_seed_gives_the_same_weights() -> None:
    contents = []
    for folder in ("a", "b"):
        chainrule("train", "iris", "--epochs", "4", "--seed", "7", "--out", folder)
        contents.append(Path(folder, "iris.safetensors").read_bytes())
    assert contents[0] == contents[1]


BAD_INPUT = [
    (["train", "iris", "--hidden", "0"], "--hidden 0: each layer needs a width from 1 to 65536"),
    (["train", "iris", "--hidden", "a,b"], "--hidden 'a,b': give the widths"),
    (["train", "iris", "--rate", "-1"], "--rate -1.0: it must be a number above 0"),
    (["train", "iris", "--rate", "fast"], "'fast' is neither a number nor auto"),
    (["train", "iris", "--epochs", "0"], "--epochs 0"),
    (["train", "iris", "--activation", "than"], "no activation 'than': choose one of tanh"),
    (["train", "iris", "--optimizer", "adma"], "no optimizer 'adma': choose one of sgd"),
    (["train", "iris", "--epoch", "3"], "--epochs"),
    (["train", "irsi"], "no data set 'irsi' (did you mean iris?): built in are iris, auto-mpg, penguins"),
    (["train", "none.csv", "--target", "x"], "none.csv cannot be read: No such file"),
    (["train", "iris", "--target", "specie"], "no column 'specie' (did you mean species?)"),
    (["train", "iris", "--out", "taken/inside"], "taken is a file, so nothing can be saved in it"),
    (["train", "iris", "--out", "taken"], "taken is a file, so nothing can be saved in it"),
    (["train", "iris", "--save", "a.pt"], "must end in .safetensors"),
    (["train", "iris", "--rate", "1e300", "--activation", "relu"], "try a smaller learning rate"),
    (["trian", "iris"], "no command 'trian' (did you mean train?)"),
    (["predict", "none.safetensors"], "there is no file none.safetensors"),
    (["predict", "taken"], "damaged or no model file at all"),
    (
        ["predict", "MODEL"],
        "give a file of rows, or the row to predict as --row VALUES, in this order: sepal_length,sepal_width",
    ),
    (["predict", "MODEL", "--row", "1,2"], "has 2 values, but the model needs 4: sepal_length"),
    (["predict", "MODEL", "--row", "1,2,3,x"], "column petal_width should be numbers, but row 1: 'x'"),
    (["predict", "MODEL", "--row", '1,2,3,"4'], "is no comma-separated text"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=[" ".join(case[0]) for case in BAD_INPUT])
def test_bad_input_is_refused_in_one_paragraph(model: str, arguments: list[str], message: str) -> None:
    Path("taken").write_text("no model", encoding="utf-8")
    result = chainrule(*(model if argument == "MODEL" else argument for argument in arguments))
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert "\n" not in result.output[result.output.index("Error: ") :].rstrip()
    assert [path.name for path in Path().iterdir()] == ["taken"]


def test_a_folder_that_cannot_be_written_is_found_before_training() -> None:
    Path("taken").write_text("", encoding="utf-8")
    assert "gradients checked" not in chainrule("train", "iris", "--out", "taken").output


def test_a_traceback_only_for_those_who_ask() -> None:
    result = chainrule("train", "iris", "--hidden", "0", "--traceback")
    assert isinstance(result.exception, OptionError)
    assert isinstance(chainrule("--traceback", "train", "iris", "--hidden", "0").exception, OptionError)


def test_too_little_memory_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(TableTraining, "prepare", exhausted)
    result = chainrule("train", "iris")
    assert result.exit_code == 2
    assert "more memory than there is" in result.output


def test_a_wrong_gradient_stops_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = TableTraining.prepare

    def planted(table: Table, target: str, settings: Any) -> TableTraining:
        run = prepare(table, target, settings)
        run.network.parameters()[2].register_hook(lambda g: g * 1.001)
        return run

    monkeypatch.setattr(TableTraining, "prepare", planted)
    result = chainrule("train", "iris")
    assert result.exit_code == 2
    assert "Error: the gradient of 2.weight differs from finite differences" in result.output
    assert "epoch" not in result.output
    assert list(Path().iterdir()) == []


def interrupted_at(number: int) -> Any:
    """A way to show progress that behaves as if Ctrl-C were pressed."""

    @contextmanager
    def show(*_: Any, **__: Any) -> Iterator[Any]:
        def callback(epoch: Epoch) -> None:
            if epoch.number == number:
                raise KeyboardInterrupt

        yield callback

    return show


def test_ctrl_c_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_command, "progress", interrupted_at(5))
    result = chainrule("train", "iris")
    assert result.exit_code == 130
    assert "interrupted after epoch 5 of 200; the best so far is saved" in result.output
    assert "continue with: chainrule train --resume iris.checkpoint.safetensors" in result.output
    assert chainrule("predict", "iris.safetensors", "--row", "5.1,3.5,1.4,0.2").exit_code == 0


def test_ctrl_c_before_there_is_anything_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TableTraining, "fit", interrupt)
    result = chainrule("train", "iris")
    assert result.exit_code == 130
    assert "interrupted; nothing was saved" in result.output
    assert list(Path().iterdir()) == []


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with progress.progress(2, "accuracy") as show:
        for number in (1, 2):
            show(Epoch(number, 2, 0.5, 0.6, 0.9, 0.1))
    output = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", capsys.readouterr().out)
    assert "epoch 2/2 ━━━━━━━━━━━━━━━━━━━━ loss 0.500  validation accuracy 0.900   0.1 s" in output


def test_plain_lines_are_ten_and_more_where_epochs_are_slow(capsys: pytest.CaptureFixture[str]) -> None:
    def lines(epochs: int, seconds: float) -> list[str]:
        with progress.progress(1000, "accuracy") as show:
            for number in range(1, epochs + 1):
                show(Epoch(number, 1000, 0.5, 0.6, 0.9, number * seconds))
        return [line.split()[1] for line in capsys.readouterr().out.splitlines()]

    assert lines(1000, 0.001) == [f"{i}00/1000" for i in range(1, 11)]
    assert lines(12, 2.5) == ["4/1000", "8/1000", "12/1000"]


def test_a_terminal_sees_how_many_networks_are_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.networks_bar(3) as advance:
        advance()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with progress.networks_bar(3, quiet=True) as advance:
        advance()
    assert capsys.readouterr().out == ""
    with progress.networks_bar(3) as advance:
        advance()
        advance()
    assert re.search(r"networks \S*2/3", re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", capsys.readouterr().out))


def test_a_long_run_shows_what_is_left_and_a_rate_that_changes() -> None:
    rates: set[float] = set()
    assert progress._remaining(Epoch(1, 4, 0.5, 0.6, 0.9, 2.0, 0.1), rates) == "  6 s left"
    assert progress._remaining(Epoch(2, 4, 0.5, 0.6, 0.9, 4.0, 0.05), rates) == "  rate 0.05  4 s left"
    assert progress._remaining(Epoch(4, 4, 0.5, 0.6, 0.9, 8.0, 0.05), rates) == "  rate 0.05"


def test_help_names_the_commands_the_tables_and_the_choices() -> None:
    result = chainrule("--help")
    assert result.exit_code == 0
    assert re.search(r"train +Train a network on a table\.", result.output)
    text = " ".join(chainrule("train", "--help").output.split())
    for word in ("iris: three species", "tanh, relu", "adamw", "[default: 200]", "adam 0.01"):
        assert word in text


def test_help_needs_neither_rich_nor_safetensors() -> None:
    script = (
        "import sys\nfrom chainrule.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(sorted({'rich', 'safetensors', 'chainrule.train'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert run.stdout.endswith("[]\n")


def test_the_program_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-W", "error", "-m", "chainrule"]
    run = subprocess.run(
        [*command, "train", "iris", "--epochs", "20"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert run.stderr == ""
    assert "epoch 20/20" in run.stdout
    told = run.stdout.splitlines()[-1].removeprefix("predict with: chainrule ")
    run = subprocess.run(
        [*command, *told.split()], capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert run.stdout.startswith("setosa ")
    run = subprocess.run(
        [*command, "train", "irsi"], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("Error: there is no data set 'irsi'")
