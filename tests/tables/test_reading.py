"""Reading tables: dialects, large files, Parquet, arrays, DataFrames; each cell ends as what it says, or is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import data
from chainrule.data import Column, Form, csv_parts, frames, reading
from chainrule.errors import DataError

HEADER = ["größe", "preis", "ort"]
ROWS = [["1", "2.5", "Köln"], ["3", "", "Bonn"], ["-4", "1e3", "Aachen, Mitte"]]


def written(delimiter: str = ",", comma: bool = False, header: bool = True, end: str = "\n") -> str:
    rows = [HEADER, *ROWS] if header else ROWS
    cells = [[cell.replace(".", ",") if comma and i else cell for cell in row] for i, row in enumerate(rows)]
    return "".join(delimiter.join(f'"{c}"' if delimiter in c else c for c in row) + end for row in cells)


@pytest.mark.parametrize(
    ("text", "encoding", "how"),
    [
        (written(), "utf-8", ""),
        (written(), "utf-8-sig", ""),
        (written(end="\r\n"), "utf-8", ""),
        (written(";"), "utf-8", "separated by ';'"),
        (written("\t"), "utf-8", "separated by tab"),
        (written("|"), "utf-8", "separated by '|'"),
        (written(";", comma=True), "cp1252", "Windows-1252, separated by ';', decimal comma"),
        (written(";", comma=True), "utf-16", "UTF-16, separated by ';', decimal comma"),
        (written(header=False), "utf-8", "no header"),
    ],
)
def test_the_dialect_is_found_out_and_told(text: str, encoding: str, how: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    table = data.read_table(path)
    assert table.how == how
    names = ["column 1", "column 2", "column 3"] if "no header" in how else HEADER
    assert table.names == names
    assert np.array_equal(table.columns[0].values, [1, 3, -4])
    assert np.array_equal(table.columns[1].values, [2.5, np.nan, 1000], equal_nan=True)
    assert list(table.columns[2].values) == ["Köln", "Bonn", "Aachen, Mitte"]


def test_years_as_names_are_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("country,size,1990\nPeru,2,3.5\nChile,4,5.5\n")
    assert data.read_table(path).names == ["country", "size", "1990"]


def test_a_point_in_a_file_of_decimal_commas_is_never_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x;y\n" + "1,5;2\n" * 20 + "1.234;2\n")
    with pytest.raises(DataError, match=r"column x is 20 numbers and 1 other cell, line 22: '1.234'"):
        data.read_table(path)


def test_an_index_without_a_name_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",x\n0,1\n1,2\n")
    assert data.read_table(path).names == ["unnamed", "x"]


# What a column is.


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", " 2 ", "NA"], "numeric", [1, 2, np.nan]),
        (["yes", "no", ""], "boolean", [1, 0, np.nan]),
        (["True", "False", "True"], "boolean", [1, 0, 1]),
        (["a", "b", "?"], "category", ["a", "b", ""]),
        (["1_000", "2"], "category", ["1_000", "2"]),
        (["2024-02-29", "", "2023-01-01"], "date", ["2024-02-29", "NaT", "2023-01-01"]),
        (["2024-02-29T10:30:00Z", "2024-02-29 11:00"], "date", ["2024-02-29T10:30", "2024-02-29T11:00"]),
        (["31.01.2024", "01.02.2024"], "date", ["2024-01-31", "2024-02-01"]),
        (["31/01/2024", "01/02/2024"], "date", ["2024-01-31", "2024-02-01"]),
        (["01/31/2024", "01/02/2024"], "date", ["2024-01-31", "2024-01-02"]),
        (["2023-02-29", "2024-02-29"], "category", ["2023-02-29", "2024-02-29"]),
    ],
)
def test_the_kind_of_a_column(cells: list[str], kind: str, values: list[Any]) -> None:
    column = Column.from_cells("x", cells)
    assert column.kind == kind
    if kind == "date":
        assert np.array_equal(column.values, np.array(values, "datetime64[s]"), equal_nan=True)
    else:
        assert column.values.tolist() == pytest.approx(values, nan_ok=True) if kind != "category" else True
        assert kind != "category" or column.values.tolist() == values


def test_dates_that_could_be_months_stay_text_and_are_refused_where_dates_are_asked_for() -> None:
    cells = ["01/02/2024", "03/04/2024"]
    column = Column.from_cells("day", cells)
    assert column.kind == "category" and "could be day/month/year or month/day/year" in column.note
    with pytest.raises(
        DataError, match="could be day/month/year or month/day/year; write them as 2024-12-31"
    ):
        Column.from_cells("day", cells, Form("date"))


def test_numbers_with_a_few_other_cells_are_a_mistake_that_is_shown() -> None:
    cells = [*map(str, range(40)), "n.b.", "ca. 5", "7 g"]
    with pytest.raises(DataError) as caught:
        Column.from_cells("weight", cells)
    for part in ("weight is 40 numbers and 3 other cells", "row 41: 'n.b.', row 42: 'ca. 5', row 43: '7 g'"):
        assert part in str(caught.value)
    assert "--category weight" in str(caught.value) and "--numeric weight" in str(caught.value)
    lenient = Column.from_cells("weight", cells, Form("numeric", lenient=True))
    assert lenient.missing.sum() == 3 and lenient.note == "cells that are no numbers, taken as missing: 3"
    assert Column.from_cells("weight", cells, Form("category")).values[-1] == "7 g"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Form("numeric"), "column x should be numbers, but row 2: 'b'"),
        (Form("boolean", ("no", "yes")), "column x should be no or yes, but row 1: '1', row 2: 'b'"),
        (Form("date", ("year-month-day",)), r"column x should be dates \(year-month-day\), but row 1: '1'"),
        (Form("date"), "column x: its cells are no dates in one of the usual orders"),
    ],
)
def test_cells_that_do_not_fit_the_form_are_shown(form: Form, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Column.from_cells("x", ["1", "b"], form)


def test_values_go_to_text_and_back() -> None:
    for cells in (
        ["1.5", "2"],
        ["yes", "no"],
        ["31.01.2024", "01.02.2024"],
        ["2024-02-29 10:30:00", "2024-01-01"],
    ):
        column = Column.from_cells("x", cells)
        again = Column.from_cells("x", list(map(str, column.as_category().values)), column.form)
        assert again.values.tolist() == column.values.tolist()


# Large files.


def table_text(rows: int, delimiter: str = ",", comma: bool = False) -> str:
    numbers = [f"{i / 7:.5f}".replace(".", "," if comma else ".") for i in range(rows)]
    lines = [
        delimiter.join([n, "" if i % 5 else "NA", f"t{i % 3}", " yes" if i % 2 else "no"])
        for i, n in enumerate(numbers)
    ]
    return "\n".join([delimiter.join("abcd"), *lines]) + "\n"


def same(first: data.Table, second: data.Table) -> None:
    assert first.names == second.names
    for one, other in zip(first.columns, second.columns, strict=True):
        assert (one.kind, one.detail) == (other.kind, other.detail)
        np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize("comma", [False, True])
def test_polars_and_the_plain_reader_agree(
    comma: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(table_text(1000, ";" if comma else ",", comma))
    plain = data.read_table(path)
    monkeypatch.setattr(reading, "LARGE", 0)
    same(data.read_table(path), plain)
    parts = list(data.table_file(path).tables(300, {column.name: column.form for column in plain.columns}))
    assert [part.rows for part in parts] == [300, 300, 300, 100]
    same(data.Table.joined(parts), plain)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2", "line 501: 2 cells, but the header has 4"),
        ("1,2,3,4,5", "line 501: 5 cells, but the header has 4"),
        ("inf,,t0,no", "column a, line 501: 'inf' is not a finite number"),
        ("x,,t0,no", "column a is 1000 numbers and 1 other cell, line 501: 'x'"),
        ('"a\nb",,t0,no', "column a is 1000 numbers and 1 other cell, line 502: 'a.nb'"),
    ],
)
def test_mistakes_in_large_files_name_their_line(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE", 0)
    monkeypatch.setattr(csv_parts, "READ", 700)
    path = tmp_path / "a.csv"
    lines = table_text(1000).splitlines()
    path.write_text("\n".join([*lines[:500], line, *lines[500:]]) + "\n")
    with pytest.raises(DataError, match=message):
        data.read_table(path)


def test_without_polars_a_large_file_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(table_text(100))
    expected = data.read_table(path)

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(reading, "LARGE", 0)
    monkeypatch.setattr(frames, "find_spec", lambda name: None)
    monkeypatch.setattr(frames.importlib, "import_module", missing)
    same(data.read_table(path), expected)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r'pip install "chainrule\[tables\]"'):
        data.read_table(tmp_path / "a.parquet")


# Other files and objects.


def columns() -> dict[str, Any]:
    return {
        "x": np.array([1.5, np.nan, 3.0]),
        "n": np.array([1, 2, 3]),
        "zip": ["007", "", "100"],
        "day": ["2024-01-31", "2024-02-01", ""],
        "sold": np.array([True, False, True]),
        "when": np.array(["2024-01-31", "NaT", "2024-02-01"], "datetime64[ms]"),
    }


KINDS = ["numeric", "numeric", "category", "date", "boolean", "date"]


def test_a_dict_of_arrays() -> None:
    table = data.table_of(columns())
    assert [column.kind for column in table.columns] == KINDS
    assert data.table_of(table) is table


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_dataframes(library: str) -> None:
    frame = pytest.importorskip(library).DataFrame(columns())
    table = data.table_of(frame)
    assert [column.kind for column in table.columns] == KINDS
    for column, other in zip(table.columns, data.table_of(columns()).columns, strict=True):
        np.testing.assert_array_equal(column.values, other.values)


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polars = pytest.importorskip("polars")
    polars.DataFrame(columns()).write_parquet(tmp_path / "a.parquet")
    table = data.read_table(tmp_path / "a.parquet", forms={"n": Form("category")}, skip=["x"])
    assert [column.kind for column in table.columns] == ["category", *KINDS[2:]]
    (tmp_path / "b.parquet").write_bytes(b"PAR1 nothing more")
    for name, message in (("b", r"b\.parquet cannot be read"), ("c", "No such file")):
        with pytest.raises(DataError, match=message):
            data.read_table(tmp_path / f"{name}.parquet")


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.arange(6.0).reshape(3, 2), y=np.array([0, 1, 0]))
    table = data.read_table(tmp_path / "a.npz")
    assert table.names == ["x1", "x2", "y"] and table.rows == 3
    np.savez(tmp_path / "b.npz", size=np.arange(3), kind=np.array(["a", "b", "a"]))
    assert [column.kind for column in data.read_table(tmp_path / "b.npz").columns] == ["numeric", "category"]
    np.savez(tmp_path / "c.npz", a=np.array([{}], object))
    np.savez(tmp_path / "d.npz", a=np.arange(3), b=np.arange(4))
    (tmp_path / "e.npz").write_bytes(b"PK\x03\x04")
    for name, message in (
        ("c", "no .npz file of plain arrays"),
        ("d", "one and the same number"),
        ("e", "no .npz"),
    ):
        with pytest.raises(DataError, match=message):
            data.read_table(tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "need one and the same number of values"),
        ({"a": [1], "b": [1, 2]}, "need one and the same number of values"),
        ({"a": np.ones((2, 2))}, "column a has shape"),
        ({"a": np.array([1.0, np.inf])}, "column a, row 2: inf is not a finite number"),
        ({"a": np.array([1j])}, "column a is of type complex128"),
        (3, "int is no table: give a path, a DataFrame, or a dict"),
    ],
)
def test_objects_that_are_no_tables(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.table_of(given)


def test_addresses_folders_and_unknown_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="download it first"):
        data.read_table("https://example.org/a.csv")
    with pytest.raises(DataError, match="Is a directory"):
        data.read_table(tmp_path)
    (tmp_path / "a.csv").write_text("size,y\n1,2\n")
    with pytest.raises(DataError, match=r"a has no column 'sise' \(did you mean size\?\)"):
        data.read_table(tmp_path / "a.csv", skip=["sise"])
