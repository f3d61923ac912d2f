"""Whether a file has a header: what was found out can be overruled, everywhere a file is read."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chainrule import data
from chainrule.cli import main
from chainrule.errors import DataError, OptionError
from chainrule.train import Settings, TableTraining, load_model

WORDS = "".join(f"{'red' if i % 3 else 'blue'},{'big' if i % 2 else 'small'}\n" for i in range(60))
YEARS = "1990,1991\n" + "".join(f"{i},{i * i % 17 + 0.5}\n" for i in range(60))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.csv").write_text(WORDS)
    Path("years.csv").write_text(YEARS)


def chainrule(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments], prog_name="chainrule")


def succeeds(*arguments: str) -> str:
    result = chainrule(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = chainrule(*arguments)
    assert result.exit_code == 2, result.output
    return result.output


def test_a_table_of_words_has_no_header_if_one_says_so() -> None:
    assert data.read_table("words.csv").names == ["blue", "small"]
    table = data.read_table("words.csv", header=False)
    assert table.names == ["column 1", "column 2"] and table.rows == 60
    assert table.how == "no header, as told"


def test_numbers_are_names_if_one_says_so() -> None:
    assert data.read_table("years.csv").how == "no header"
    table = data.read_table("years.csv", header=True)
    assert table.names == ["1990", "1991"] and table.rows == 60
    assert table.how == "a header, as told"


def test_a_file_that_names_its_columns_cannot_have_none() -> None:
    pl = pytest.importorskip("polars")
    pl.DataFrame({"a": [1.0, 2.0]}).write_parquet("a.parquet")
    with pytest.raises(
        DataError, match="a.parquet names its columns itself: only a file of text can have no header"
    ):
        data.read_table("a.parquet", header=False)
    assert data.read_table("a.parquet", header=True).names == ["a"]


def test_a_name_that_was_taken_for_data_is_told() -> None:
    output = refused("train", "years.csv", "--target", "1991", "--leave-out", "1990")
    assert "its first line was taken for data, and --header yes takes it for the names" in output
    assert "first line" not in refused(
        "train", "years.csv", "--target", "x", "--leave-out", "x", "--header", "no"
    )


@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_training_and_what_follows_read_alike(stream: list[str]) -> None:
    output = succeeds(
        "train",
        "words.csv",
        "--target",
        "column 2",
        "--header",
        "no",
        "--epochs",
        "3",
        "--compile",
        "no",
        *stream,
    )
    assert "read as: no header, as told" in output and "words · 60 rows" in output
    assert load_model("words.safetensors").header == "no"
    assert len(succeeds("predict", "words.safetensors", "words.csv").splitlines()) == 61
    assert "60 given rows" in succeeds("evaluate", "words.safetensors", "words.csv")
    assert 'header = "no"' in succeeds("describe", "words.safetensors", "--config")


def test_a_file_to_predict_may_be_written_otherwise() -> None:
    succeeds("train", "years.csv", "--target", "1991", "--header", "yes", "--epochs", "2", "--compile", "no")
    assert len(succeeds("predict", "years.safetensors", "years.csv").splitlines()) == 61
    for command in ("predict", "evaluate"):
        output = refused(command, "years.safetensors", "years.csv", "--header", "auto")
        assert "years has no column '1990'" in output and "--header yes" in output


def test_files_of_rows_that_choose_and_measure() -> None:
    output = succeeds(
        "train", "years.csv", "--target", "1991", "--header", "yes", "--epochs", "2", "--compile", "no",
        "--validation", "years.csv", "--test", "years.csv",
    )  # fmt: skip
    assert "60 test rows" in output


def test_search_and_the_command_that_it_tells() -> None:
    output = succeeds(
        "search",
        "words.csv",
        "--target",
        "column 2",
        "--header",
        "no",
        "--trials",
        "2",
        "--epochs",
        "5",
        "--dropout",
        "0.1",
    )
    assert output.startswith("read as: no header, as told\nwords · 2 networks")
    assert "--header no" in output.splitlines()[-1]


def test_another_word_is_refused() -> None:
    succeeds("train", "iris", "--epochs", "1", "--compile", "no")
    for command in (["train", "words.csv", "--target", "small"], ["predict", "iris.safetensors", "iris.csv"]):
        assert "--header maybe: choose auto or yes or no" in refused(*command, "--header", "maybe")
    with pytest.raises(OptionError, match="--header maybe"):
        Settings(header="maybe")


def test_in_python() -> None:
    table, target = data.open_table("words.csv", "column 1", header=False)
    assert TableTraining.prepare(table, target, Settings(epochs=1, header="no")).parts.rows == 60
