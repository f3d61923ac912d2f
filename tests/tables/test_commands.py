"""`train`, `predict`, `evaluate` and `describe` on tables of one's own, as a person uses them."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chainrule.cli import main, program
from chainrule.cli import train as train_command
from chainrule.train import Epoch, load_model

CSV = "kunde;alter;ort;seit;aktiv;umsatz\n" + "".join(
    f"{i};{20 + i * 7 % 50},5;{'Köln' if i % 3 else 'Bonn'};{1 + i % 28:02}.{1 + i % 12:02}.2024;"
    f"{'ja' if i % 2 else 'nein'};{(i * 7 % 50) * 3 + 10 * (i % 2)},25\n"
    for i in range(1, 121)
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("evaluate", "describe"):
        monkeypatch.setitem(program.COMMANDS, name, "a command")


def chainrule(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="chainrule")


def succeeds(*arguments: str) -> str:
    result = chainrule(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def trained(*options: str) -> str:
    Path("kunden.csv").write_bytes(CSV.encode("cp1252"))
    return succeeds("train", "kunden.csv", "--target", "umsatz", "--epochs", "30", *options)


def test_a_table_from_a_spreadsheet_is_read_told_trained_and_predicted() -> None:
    output = trained("--hidden", "16", "--rate", "0.03")
    lines = output.splitlines()
    assert lines[0] == "read as: Windows-1252, separated by ';', decimal comma"
    assert lines[1].startswith("kunden · 120 rows · 4 features · target umsatz · network 9-16-1 ·")
    assert lines[2:7] == [
        "  numeric   alter: standardised",
        "  category  ort: 2 categories, one input each",
        "  date      seit: days, season, weekday",
        "  boolean   aktiv: -1 or 1",
        "  left out  kunde: it counts the rows",
    ]
    assert re.search(r"24 test rows +network +linear model +always \d+\.\d+, the mean", output)
    told = shlex.split(lines[-1].removeprefix("predict with: chainrule "))
    assert told == ["predict", "kunden.safetensors", "--row", "27.5,Köln,02.02.2024,ja"]
    assert succeeds(*told).startswith("umsatz ")


def test_predictions_of_a_file() -> None:
    trained()
    rows = [line.rsplit(";", 1)[0] for line in CSV.splitlines()]
    Path("neu.csv").write_text("\n".join([*rows, "7;33,5;Ulm;01.02.2024;ja"]) + "\n", encoding="utf-8")
    result = chainrule("predict", "kunden.safetensors", "neu.csv", "--out", "out.csv")
    assert "wrote out.csv: 121 predictions of umsatz" in result.output
    assert "ort: not known from training, taken as other: 'Ulm'" in result.output
    with Path("out.csv").open(encoding="utf-8") as file:
        predictions = list(csv.DictReader(file))
    model = load_model("kunden.safetensors")
    assert float(predictions[0]["umsatz"]) == pytest.approx(
        float(model.predict([["27.5", "Köln", "02.02.2024", "ja"]])[0].value), rel=1e-9
    )


def test_probabilities_of_a_file() -> None:
    succeeds("train", "iris", "--epochs", "40")
    lines = succeeds("predict", "iris.safetensors", "iris", "--proba").splitlines()
    assert len(lines) == 151
    assert lines[0] == "species," + ",".join(
        f"probability of {n}" for n in ("setosa", "versicolor", "virginica")
    )
    name, *shares = lines[1].split(",")
    assert name == "setosa" and sum(map(float, shares)) == pytest.approx(1, abs=1e-5)


def test_evaluation_is_that_of_training_on_the_same_rows() -> None:
    rows = Path(sys.modules["chainrule.data"].__file__ or "").parent / "tables" / "penguins.csv"
    header, *lines = rows.read_text(encoding="utf-8").splitlines()
    Path("a.csv").write_text("\n".join([header, *lines[::2]]), encoding="utf-8")
    Path("b.csv").write_text("\n".join([header, *lines[1::2]]), encoding="utf-8")
    told = json.loads(
        succeeds("train", "a.csv", "--target", "species", "--test", "b.csv", "--epochs", "9", "--json")
    )
    measured = json.loads(succeeds("evaluate", "a.safetensors", "b.csv", "--json"))
    assert measured["metrics"] == pytest.approx(told["metrics"])
    assert told["part"] == "test" and measured["rows"] == 172
    assert "172 given rows" in succeeds("evaluate", "a.safetensors", "b.csv")


def test_a_model_describes_itself_and_gives_back_its_configuration() -> None:
    trained("--dropout", "0.2", "--leave-out", "ort")
    text = succeeds("describe", "kunden.safetensors")
    for part in (
        "trained on  kunden",
        "umsatz, a number",
        "7-8-1, tanh, 73 parameters",
        "kunde was left out: it counts",
        "training    rate 0.01, epochs 30, kept epoch ",
    ):
        assert part in text, text
    first = Path("kunden.safetensors").read_bytes()
    Path("again.toml").write_text(succeeds("describe", "kunden.safetensors", "--config"), encoding="utf-8")
    succeeds("train", "kunden.csv", "--target", "umsatz", "--config", "again.toml")
    assert Path("kunden.safetensors").read_bytes() == first


def test_a_configuration_is_written_and_the_command_line_comes_first() -> None:
    trained("--hidden", "4,3", "--write-config", "a.toml")
    output = succeeds("train", "--config", "a.toml", "--epochs", "2")
    assert "network 9-4-3-1" in output and "epoch 2/2" in output


def test_folds_measure_every_row_once() -> None:
    output = succeeds("train", "penguins", "--folds", "3", "--epochs", "10")
    assert len(re.findall(r"^fold \d/3  accuracy", output, re.MULTILINE)) == 3
    assert re.search(
        r"mean of 3 folds ± deviation +network +linear model +guess\naccuracy +0\.\d{3} ± 0\.\d{3}", output
    )
    table = re.search(
        r"Adelie +(\d+) +(\d+) +(\d+)\nChinstrap +(\d+) +(\d+) +(\d+)\nGentoo +(\d+) +(\d+) +(\d+)", output
    )
    assert table and sum(map(int, table.groups())) == 344
    assert load_model("penguins.safetensors").training["metrics of"] == "3 folds"


def test_without_a_test_part_it_says_what_the_figures_are() -> None:
    output = succeeds("train", "iris", "--test", "0", "--epochs", "3")
    assert "30 validation rows" in output
    assert "these rows chose the epoch, so the figures flatter" in output


def interrupted_at(number: int) -> Any:
    @contextmanager
    def show(*_: Any, **__: Any) -> Iterator[Any]:
        def callback(epoch: Epoch) -> None:
            if epoch.number == number:
                raise KeyboardInterrupt

        yield callback

    return show


@pytest.mark.parametrize(
    "options",
    [[], ["--rate", "auto", "--dropout", "0.3"], ["--folds", "2"], ["--stream"], ["--compile", "yes"]],
)
def test_what_ctrl_c_ended_is_continued_to_the_same_bytes(
    options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("kunden.csv").write_text(CSV, encoding="utf-8")
    run = ["train", "kunden.csv", "--target", "umsatz", "--epochs", "12", *options]
    succeeds(*run)
    whole = {name: Path(name).read_bytes() for name in ("kunden.safetensors", "kunden.svg")}
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "progress", interrupted_at(7))
        result = chainrule(*run)
    assert result.exit_code == 130
    assert "interrupted after epoch 7 of 12; the best so far is saved" in result.output
    told = next(line for line in result.output.splitlines() if line.startswith("continue with: "))
    output = succeeds(*told.removeprefix("continue with: chainrule ").split())
    assert "continued after epoch 7 of kunden.checkpoint.safetensors" in output
    assert {name: Path(name).read_bytes() for name in whole} == whole
    assert not Path("kunden.checkpoint.safetensors").exists()


def bad(text: str | bytes, *arguments: str, status: int = 2) -> str:
    Path("bad.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = {path.name for path in Path().iterdir()}
    result = chainrule("train", "bad.csv", *arguments)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    assert {path.name for path in Path().iterdir()} == before, "nothing is half-written"
    return result.output


NUMBERS = "".join(f"{i * 1.5},{i % 7}\n" for i in range(40))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", [], "bad.csv is empty"),
        ("\n\n  \n", [], "bad.csv is empty"),
        ("x,y\n", [], "bad.csv has a header, but no rows"),
        ("x,y\n1,2\n3\n", [], "bad.csv, line 3: 1 cell, but the header has 2"),
        ("x,x\n1,2\n", [], "the header names 'x' twice"),
        ("x,y\n" + NUMBERS, ["--target", "z"], "bad has no column 'z': its columns are x, y"),
        ("x,y\n" + NUMBERS, [], "bad.csv: say which column to predict: its columns are x, y"),
        ("x,y\n" + NUMBERS.replace(",", ",a"), ["--target", "y", "--task", "regression"], "y is no column of numbers"),
        ("x,y\n" + "".join(f"{i},5\n" for i in range(30)), ["--target", "y"], "y has only one class, '5'"),
        ("x,y\n" + "".join(f"{i},\n" for i in range(30)), ["--target", "y"], "target y has no values"),
        ("x,y\n" + "".join(f",{i}\n" for i in range(30)), ["--target", "y"], "(x: it has no values)"),
        ("x,y\n" + NUMBERS + "a,1\nb,2\nc,3\n", ["--target", "y"], "3 other cells, line 42: 'a', line 43: 'b'"),
        ("x,y\n" + NUMBERS + "inf,1\n", ["--target", "y"], "column x, line 42: 'inf' is not a finite number"),
        ("x,y\n" + NUMBERS + "1e300,1\n", ["--target", "y"], "column x, line 42: '1e300' is beyond 1e+100"),
        ("x,y\n" + NUMBERS + "1,1e307\n", ["--target", "y"], "column y, line 42: '1e307' is beyond 1e+100"),
        ('x,y\n1,"2\n' + NUMBERS, ["--target", "y"], "line 2: a cell begins with a quotation mark, and no other ends"),
        ('x,y\n1,"2"3\n' + NUMBERS, ["--target", "y"], "line 2: text follows a quotation mark that ends a cell"),
        ("x,y\n" + "a" * 200_000 + ",2\n", ["--target", "y"], "line 2: a cell has more than 131,072 characters"),
        ("x,y\n" + "".join(f"{i},c{i}\n" for i in range(30)), ["--target", "y"],
         "hold out others: 30: each of the 30 classes has one row only"),
        ("d,y\n" + "".join(f"{i % 12 + 1:02}/{i % 11 + 1:02}/2024,{i}\n" for i in range(40)), ["--target", "y"],
         "(d: its values all differ; dates that could be"),
        ("1990,1991\n" + NUMBERS, ["--target", "1991"], "--header yes takes it for the names"),
        ("x,y\n" + NUMBERS, ["--target", "y", "--task", "regression", "--class-weight", "balanced"],
         "y is an amount and has no classes; leave the option out"),
        (b"x,y\n\x81\x8d,1\n", ["--target", "y"], "is no text in UTF-8, UTF-16 or Windows-1252"),
        (b"PK\x03\x04\x00\x00", ["--target", "y"], "is no text: byte 4 is zero"),
        ("x,y\n" + NUMBERS, ["--target", "y", "--numeric", "w"], "bad has no column 'w'"),
        ("x,y\n" + NUMBERS, ["--target", "y", "--rate", "quick"], "'quick' is neither a number nor auto"),
        ("x,y\n" + NUMBERS, ["--target", "y", "--validation", "none.csv"], "none.csv cannot be read: No such file"),
        ("x,y\n" + NUMBERS, ["--target", "y", "--resume", "x.checkpoint.safetensors"], "it takes no --target"),
        ("x,y\n" + NUMBERS, ["--resume", "x.checkpoint.safetensors"], "x.checkpoint.safetensors is damaged, missing"),
        ("x,y\n" + NUMBERS, ["--resume", "x.safetensors"], "a checkpoint's name ends in .checkpoint.safetensors"),
        ("x,y\n" + NUMBERS, ["--config", "none.toml"], "--config none.toml cannot be read"),
        ("x,y\n" + NUMBERS, ["--target", "y", "--folds", "50"], "40 rows are too few for 50 folds"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_with_the_place(text: str | bytes, options: list[str], message: str) -> None:
    assert message in bad(text, *options)


def test_addresses_and_folders() -> None:
    Path("folder.csv").mkdir()
    for name in ("book.xlsx", "a.csv.gz", "a.json"):
        Path(name).write_bytes(b"PK")
    for place, message in (
        ("https://example.org/a.csv", "download it first"),
        ("folder.csv", "Is a directory"),
        (".", "Is a directory"),
        ("..", "Is a directory"),
        ("-", "- is no file but a stream, which can be read only once: save it first"),
        ("book.xlsx", "book.xlsx is a spreadsheet: save its sheet as CSV, and give that file"),
        ("a.csv.gz", "a.csv.gz is compressed: unpack it first, and give that file"),
        ("a.json", "a.json is no table of text: save it as CSV or Parquet, and give that file"),
        ("none.zip", "none.zip cannot be read: No such file or directory"),
    ):
        result = chainrule("train", place, "--target", "y")
        assert result.exit_code == 2 and message in result.output
    assert sorted(path.name for path in Path().iterdir()) == ["a.csv.gz", "a.json", "book.xlsx", "folder.csv"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
def test_a_pipe_is_told_to_be_one() -> None:
    os.mkfifo("pipe.csv")
    result = chainrule("train", "pipe.csv", "--target", "y")
    assert result.exit_code == 2 and "pipe.csv is no file but a stream" in result.output
    script = f"cat /dev/null | {shlex.quote(sys.executable)} -m chainrule train /dev/stdin --target y"
    run = subprocess.run(script, shell=True, capture_output=True, text=True, check=False)
    assert run.returncode == 2 and "/dev/stdin is no file but a stream" in run.stderr


def test_figures_have_no_negative_zero_and_one_feature_is_one() -> None:
    Path("a.csv").write_text("x,y\n" + "".join(f"{i * 1.5},{i % 7 / 3}\n" for i in range(60)))
    output = succeeds("train", "a.csv", "--target", "y", "--epochs", "1")
    assert "a · 60 rows · 1 feature · target y" in output
    assert not re.search(r"-0\.000\b", output)
    assert '"R²": ' in succeeds("evaluate", "a.safetensors", "a.csv", "--json")


def test_a_hundred_thousand_categories_train() -> None:
    rows = "".join(f"k{i % 100_000},{i % 5}.5\n" for i in range(120_000))
    Path("many.csv").write_text("k,y\n" + rows)
    output = chainrule("train", "many.csv", "--target", "y", "--epochs", "1").output
    assert "no column is left beside the target y (k: all of its values are rare)" in output


def test_what_is_refused_leaves_no_folder() -> None:
    pytest.importorskip("tensorboardX")
    places = ["--out", "new/models", "--tensorboard", "new/runs"]
    assert chainrule("train", "iris", "--target", "petal", *places).exit_code == 2
    assert chainrule("search", "iris", "--target", "petal", *places[:2]).exit_code == 2
    assert not list(Path().iterdir())
    succeeds("train", "iris", "--epochs", "2", "--checkpoint-every", "1", *places)
    assert sorted(path.name for path in Path("new/models").iterdir()) == ["iris.safetensors", "iris.svg"]
    assert len(list(Path("new/runs").iterdir())) == 1
    Path("file").touch()
    output = chainrule("train", "iris", "--out", "file/models").output
    assert "file is a file, so nothing can be saved in it: give a folder" in output


def test_a_full_disk_leaves_what_was_there() -> None:
    succeeds("train", "iris", "--epochs", "2")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    script = (
        "import resource, signal, sys\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "from chainrule.cli import main\nmain(['train', 'iris', '--epochs', '3'])"
    )
    run = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and "cannot be written: File too large" in run.stderr, run.stderr
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_two_runs_that_write_the_same_file_leave_one_whole() -> None:
    command = [
        sys.executable,
        "-m",
        "chainrule",
        "train",
        "iris",
        "--epochs",
        "40",
        "--checkpoint-every",
        "1",
    ]
    runs = [subprocess.Popen([*command, "--seed", str(i)], stdout=subprocess.DEVNULL) for i in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert load_model("iris.safetensors").training["settings"]["seed"] in (0, 1)
    assert sorted(path.name for path in Path().iterdir()) == ["iris.safetensors", "iris.svg"]


def test_training_needs_neither_polars_nor_scikit_learn() -> None:
    script = (
        "import sys\nfrom chainrule.cli import main\n"
        "main(['train', 'penguins', '--epochs', '1'], standalone_mode=False)\n"
        "print(sorted({'polars', 'narwhals', 'sklearn', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("name", "target", "score", "least"),
    [("iris", "species", "accuracy", 0.9), ("regression", "mpg", "R²", 0.8), ("classification", "Class", "AUC", 0.75),
     ("nn_data", "y", "R²", 0.9)],
)  # fmt: skip
def test_the_notebooks_tables_train_with_one_command(
    shared: Path, name: str, target: str, score: str, least: float
) -> None:
    told = json.loads(
        succeeds("train", str(shared / f"notebooks/data/{name}.csv"), "--target", target, "--json")
    )
    assert told["metrics"][score] > least
    assert Path(f"{name}.svg").stat().st_size > 1000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_a_streamed_file_takes_bounded_memory() -> None:
    rows = "".join(
        f"{i % 997 / 7:.4f},{i % 101},{'abc'[i % 3]},{i % 997 / 7 + i % 3:.4f}\n" for i in range(400_000)
    )
    Path("long.csv").write_text("x,n,k,y\n" + rows)
    script = (
        "from chainrule.cli import main\n"
        "main(['train', 'long.csv', '--target', 'y', '--stream', '--epochs', '1'], standalone_mode=False)\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "streamed in parts of 50,000 rows" in run.stdout
    # Not getrusage: what a process inherits from the one that started it counts there.
    megabytes = int(run.stdout.split()[-1]) / 1024
    assert megabytes < 600, megabytes
