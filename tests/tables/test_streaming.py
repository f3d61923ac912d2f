"""Streams: rows are stored once, in memory or in a file, and train the same network as those that are read again."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import data
from chainrule.data import Column, Examples, StoredRows, Table, csv_parts, reading, stored
from chainrule.errors import DataError
from chainrule.train import Settings, TableTraining, streaming

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in (("PART", 100), ("BUFFER", 150), ("HELD", 60)):
        monkeypatch.setattr(streaming, name, rows)
    monkeypatch.setattr(reading, "LARGE", 0)


def written(folder: Path, rows: int = 1000, **cells: str) -> Path:
    """A file of every kind of column, with missing values; `cells` replaces those of row 700."""
    draw = np.random.default_rng(3)
    lines = []
    for i in range(rows):
        row = {
            "x": "" if i % 13 == 5 else f"{draw.normal():.4f}",
            "city": f"town {i * i % 23}",
            "open": ("yes", "no", "")[i % 3],
            "day": f"2024-0{i % 9 + 1}-{i % 27 + 1:02}",
            "y": "" if i % 50 == 7 else f"{i * i % 23 + i % 3 + draw.normal():.3f}",
        } | (cells if i == 700 else {})
        lines.append(",".join(row.values()))
    path = folder / "stream.csv"
    path.write_text("\n".join(["x,city,open,day,y", *lines]) + "\n")
    return path


def run_on(path: Path, **options: Any) -> TableTraining:
    settings = Settings(**{"epochs": 3, "batch": 32, **options})
    return TableTraining.streamed(data.table_file(path), "y", settings)


def same(one: TableTraining, other: TableTraining, tolerance: float = 0.0) -> None:
    for name, value in one.network.state_dict().items():
        np.testing.assert_allclose(value, other.network.state_dict()[name], rtol=tolerance, atol=tolerance)
    losses = [[epoch.training_loss for epoch in run.history] for run in (one, other)]
    np.testing.assert_allclose(*losses, rtol=tolerance)


def note_of(run: TableTraining) -> str:
    return run.parts.notes[-1]


def test_rows_in_memory_in_a_file_and_read_again_train_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    in_memory = run_on(path)
    assert "are kept in 0 MB of memory" in note_of(in_memory)
    monkeypatch.setattr(stored, "IN_MEMORY", 5_000)
    in_a_file = run_on(path)
    assert "are kept in a temporary file in" in note_of(in_a_file)
    monkeypatch.setattr(stored, "SPARED", 1 << 60)
    read_again = run_on(path)
    assert "the file is read again for each epoch: " in note_of(read_again)
    assert "MB of room left" in note_of(read_again)
    for run in (in_memory, in_a_file, read_again):
        run.fit()
        assert run.history[-1].training_loss < run.history[0].training_loss
    same(in_a_file, in_memory)
    same(read_again, in_memory)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    monkeypatch.setattr(stored, "_write", full)
    run = run_on(written(tmp_path))
    assert "cannot be written to: No space left on device" in note_of(run)
    assert len(list(run.parts.training.batches(32))) > 10


def test_a_file_that_grew_since_it_was_first_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "BUFFER", 10_000)
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    monkeypatch.setattr(stored, "SPARED", 1 << 60)
    path = written(tmp_path)
    run = run_on(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, *lines[1:]]) + "\n")
    with pytest.raises(DataError, match="stream.csv has more rows now than when it was first read"):
        run.fit()


def test_texts_without_end_are_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_TEXTS", 10)
    run = run_on(written(tmp_path))
    assert "read again for each epoch: column city has more than 10 different texts" in note_of(run)


def test_stored_rows_are_those_of_the_tables() -> None:
    def table(start: int) -> Table:
        i = np.arange(start, start + 50)
        texts = np.array(["", *(f"t{n}" for n in range(start, start + 20))])
        return Table(
            "t",
            (
                Column("x", "numeric", np.where(i % 7 == 0, np.nan, i / 3)),
                Column.of_texts("k", (texts, i % 20)),
                Column("d", "date", np.datetime64("2024-01-01", "s") + i * 86_400, ("year-month-day",)),
                Column("y", "category", np.array(["no", "yes"])[i % 2]),
            ),
        )

    tables, rows = [table(0), table(50), table(7)], StoredRows()
    for one in tables:
        rows.add(one)
    preparation = data.Preparation.fit(tables, "y")
    for found, one in zip(rows.examples(preparation), tables, strict=True):
        expected = preparation.examples_of(one)
        np.testing.assert_array_equal(found.features, expected.features)
        np.testing.assert_array_equal(found.targets, expected.targets)


def test_a_temporary_file_that_lost_rows_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    table = data.table_of({"x": np.arange(50.0), "y": np.arange(50.0) % 7})
    rows = StoredRows()
    rows.add(table)
    assert rows._file is not None
    rows._file.truncate(10)
    with pytest.raises(DataError, match="the temporary file in .* has lost rows"):
        next(rows.examples(data.Preparation.fit([table], "y", "regression")))


# Native steps.


@pytest.mark.parametrize("buffer", [150, 10_000])
@pytest.mark.parametrize(
    "options", [{}, {"class_weight": "balanced", "task": "classification"}, {"dropout": 0.2}]
)
def test_native_steps_train_a_stream_as_numpy_does(
    options: dict[str, Any], buffer: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(streaming, "BUFFER", buffer)
    path = written(tmp_path)
    target = "open" if "task" in options else "y"
    runs = [
        TableTraining.streamed(
            data.table_file(path), target, Settings(epochs=4, batch=48, compile=how, **options)
        )
        for how in ("yes", "no")
    ]
    for run in runs:
        run.fit()
    assert [run.run.is_native for run in runs] == [True, False]
    same(*runs, tolerance=1e-9)


def test_a_stream_in_its_own_order_has_full_batches_and_a_last_one(tmp_path: Path) -> None:
    stream = run_on(written(tmp_path)).parts.training
    assert isinstance(stream, data.WindowedSource)
    window = stream.window(64)
    assert window.examples.rows <= 100 + 150 + 64
    seen = [window.examples.take(places) for places in window.portions(None)]
    assert all(part.rows % 64 == 0 for part in seen[:-1])
    assert sum(part.rows for part in seen) == stream.rows == window.total
    rows = np.concatenate([part.features for part in seen])
    np.testing.assert_array_equal(rows, np.concatenate([part.features for part in stream.parts()]))


def test_examples_are_a_window_of_themselves() -> None:
    examples = Examples(np.arange(6.0)[:, None], np.arange(6))
    window = examples.window(4)
    (places,) = window.portions(np.random.default_rng(0))
    assert sorted(places) == list(range(6))
    assert window.examples is examples


# Parts of text.


@pytest.mark.parametrize(
    "cell",
    ["NA", "n/a", " ", "?", "None", "nan", "-nan", " 2.5", "2.5 ", "1e3", "+7", ".5", "5.", "1e-400", "NaN"],
)
def test_a_cell_is_the_same_number_in_both_readers(
    cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, x=cell)
    forms = {column.name: column.form for column in data.read_table(path).columns}
    tables = []
    for large in (0, 1 << 40):
        monkeypatch.setattr(reading, "LARGE", large)
        tables.append(Table.joined(list(data.table_file(path).tables(90, forms))))
    for one, other in zip(tables[0].columns, tables[1].columns, strict=True):
        assert one.kind == other.kind
        np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"x": "oops"}, "column x should be numbers, but line 702: 'oops'"),
        ({"x": "1_000"}, "column x should be numbers, but line 702: '1_000'"),
        ({"x": "inf"}, "column x, line 702: 'inf' is not a finite number"),
        ({"x": "1,2"}, "line 702: 6 cells, but the header has 5"),
        ({"open": "maybe"}, "column open should be no or yes, but line 702: 'maybe'"),
        ({"day": "2024-13-01"}, r"column day should be dates \(year-month-day\), but line 702: '2024-13-01'"),
    ],
)
@pytest.mark.parametrize("block", [300, 1 << 23])
def test_a_mistake_in_a_part_of_numbers_names_line_and_cell(
    cells: dict[str, str], message: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_parts, "READ", block)
    with pytest.raises(DataError, match=message):
        run_on(written(tmp_path, **cells))


def test_quotes_are_left_to_the_plain_reader_from_there_on(tmp_path: Path) -> None:
    path = written(tmp_path, city='"town, with a comma"')
    parts = list(data.table_file(path).tables(100))
    assert [part.rows for part in parts] == [100] * 10
    assert parts[7].column("city").values[0] == "town, with a comma"


def test_a_stream_of_many_rows_needs_bounded_memory(tmp_path: Path) -> None:
    """The peak of a process that trains on 17 MB of text and on 67 MB, stored in a file, differs by little."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process is read from /proc")
    program = """
import sys
from chainrule import data, train
from chainrule.data import stored
from chainrule.train import streaming
stored.IN_MEMORY = 1 << 20
streaming.PART, streaming.BUFFER, streaming.HELD = 10_000, 20_000, 5_000
run = train.TableTraining.streamed(data.table_file(sys.argv[1]), "x9", train.Settings(epochs=1, compile="no"))
assert "temporary file" in run.parts.notes[-1], run.parts.notes
run.fit()
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(run.parts.rows, peak)
"""
    block = "\n".join(
        ",".join(f"{v:.4f}" for v in row) for row in np.random.default_rng(0).normal(size=(20_000, 10))
    )
    peaks = []
    for copies in (11, 44):
        path = tmp_path / f"{copies}.csv"
        path.write_text(",".join(f"x{i}" for i in range(10)) + "\n" + f"{block}\n" * copies)
        done = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
        )
        rows, peak = map(int, done.stdout.split())
        assert rows == 20_000 * copies
        peaks.append(peak / 2**10)
    assert peaks[1] - peaks[0] < 20, f"MB: {peaks}"
    assert peaks[1] < 600


@pytest.mark.parametrize("kind", ["csv", "plain.csv", "parquet", "npz"])
def test_every_file_is_read_from_a_row_on(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"a.{kind}"
    x = np.arange(1000.0)
    if kind == "npz":
        np.savez(path, x=x, y=-x)
    elif kind == "parquet":
        pytest.importorskip("polars").DataFrame({"x": x, "y": -x}).write_parquet(path)
    else:
        path.write_text("x,y\n" + "".join(f"{i},{-i}\n" for i in range(1000)))
    monkeypatch.setattr(csv_parts, "READ", 300)
    monkeypatch.setattr(reading, "LARGE", 1 << 40 if kind == "plain.csv" else 0)
    for start in (0, 1, 250, 999, 1000):
        parts = list(data.table_file(path).tables(100, start=start))
        assert [part.rows for part in parts[:-1]] == [100] * len(parts[:-1])
        found = np.concatenate([part.column("x").values for part in parts]) if parts else np.empty(0)
        np.testing.assert_array_equal(found, x[start:])


def test_a_parquet_file_streams_too(tmp_path: Path) -> None:
    table = data.read_table(written(tmp_path))
    frame = {
        c.name: [v.item() if v == v else None for v in c.values] for c in table.columns if c.kind != "date"
    }
    path = tmp_path / "a.parquet"
    pytest.importorskip("polars").DataFrame(frame, strict=False).write_parquet(path)
    run = run_on(path)
    run.fit()
    assert run.history[-1].training_loss < run.history[0].training_loss
