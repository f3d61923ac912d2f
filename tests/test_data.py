"""Tables: reading, the built-in ones, splitting, and the way from columns to arrays."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from chainrule.data import (
    BUILT_IN,
    CategoryFeature,
    ClassTarget,
    Column,
    NumericFeature,
    NumericTarget,
    Preparation,
    Summary,
    Table,
    load,
    open_table,
    read_table,
    split_rows,
    target_kind,
)
from chainrule.errors import DataError, OptionError


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "rows", "kinds", "missing"),
    [
        ("iris", 150, "nnnnc", 0),
        ("auto-mpg", 398, "nnnnnnnc", 6),
        ("penguins", 344, "ccnnnnc", 19),
    ],
)
def test_the_built_in_tables(name: str, rows: int, kinds: str, missing: int) -> None:
    table = load(name)
    assert (table.name, table.rows) == (name, rows)
    assert "".join(column.kind[0] for column in table.columns) == kinds
    assert sum(int(column.missing.sum()) for column in table.columns) == missing


def test_every_built_in_table_has_a_source_and_a_target() -> None:
    sources = (files("chainrule.data") / "tables" / "SOURCES.md").read_text(encoding="utf-8")
    for name, table in BUILT_IN.items():
        assert f"`{name}.csv`" in sources
        assert open_table(name)[1] == table.target


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("irsi", r"no data set 'irsi' \(did you mean iris\?\): built in are iris, auto-mpg, penguins"),
        ("Penguin", r"did you mean penguins\?"),
        ("zebra", r"no data set 'zebra': built in are"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_table(name)


def test_a_csv_file(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeffage, colour ,"weight, kg"\r\n3,grey,4.5\r\n\r\nNA,"dark, black",\r\n')
    table = read_table(path)
    assert (table.name, table.names) == ("table", ["age", "colour", "weight, kg"])
    assert np.array_equal(table.column("age").values, [3, np.nan], equal_nan=True)
    assert list(table.column("colour").values) == ["grey", "dark, black"]
    assert list(table.column("weight, kg").missing) == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "a header, but no rows"),
        ("a,b\n1,2\n3\n", r"table.csv, line 3: 1 cell, but the header has 2"),
        ("a,b\n1,2,3\n", r"table.csv, line 2: 3 cells, but the header has 2"),
        ("a,a\n1,2\n", "names 'a' twice"),
        ("a,\n1,2\n", "column 2 of the header has no name"),
        ("a,b\n1,2\n\n3,inf\n", "column b, line 4: 'inf' is not a finite number"),
        ("a,b\n1,1e999\n", "'1e999' is not a finite number"),
        (b"a,b\n\x81,2\n", r"is no text in UTF-8, UTF-16 or Windows-1252 \(byte 4\)"),
        (b"a,b\n\0,2\n", r"is no text: byte 4 is zero"),
        ('a,b\n1,"2\n', "line 2: a cell begins with a quotation mark, and no other ends it"),
    ],
)
def test_a_bad_csv_file_names_itself_and_the_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert "table.csv" in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv cannot be read: No such file"):
        open_table(str(tmp_path / "none.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        open_table(str(tmp_path / "folder.csv"))


def test_a_file_needs_a_target(tmp_path: Path) -> None:
    path = write(tmp_path, "age,colour\n1,grey\n2,black\n")
    assert open_table(str(path), "colour")[1] == "colour"
    with pytest.raises(DataError, match="say which column to predict: its columns are age, colour"):
        open_table(str(path))
    with pytest.raises(DataError, match=r"no column 'color' \(did you mean colour\?\)"):
        open_table(str(path), "color")


def test_columns_with_nothing_or_underscores_are_categories() -> None:
    assert Column.from_cells("empty", ["", "NA"]).kind == "category"
    assert Column.from_cells("code", ["1_0", "2"]).kind == "category"


def test_splitting_is_a_partition_fixed_by_the_seed() -> None:
    first, second, other = (split_rows(103, 0.25, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert sorted([*first.training, *first.validation]) == list(range(103))
    assert len(first.validation) == 26
    assert np.array_equal(first.training, second.training)
    assert not np.array_equal(first.training, other.training)


def test_splitting_takes_as_much_of_each_class() -> None:
    labels = np.repeat(["a", "b", "c"], [70, 25, 5])
    validation = split_rows(100, 0.2, np.random.default_rng(0), labels).validation
    assert [int((labels[validation] == name).sum()) for name in "abc"] == [14, 5, 1]


def test_a_class_of_one_row_is_trained_on() -> None:
    split = split_rows(11, 0.5, np.random.default_rng(0), ["a"] * 10 + ["b"])
    assert 10 in split.training
    assert len(split.validation) == 5


def test_at_least_one_row_is_held_out() -> None:
    assert len(split_rows(3, 0.01, np.random.default_rng(0)).validation) == 1
    assert len(split_rows(3, 0.99, np.random.default_rng(0)).training) == 1


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_to_split(rows: int) -> None:
    with pytest.raises(DataError, match="too few"):
        split_rows(rows, 0.2, np.random.default_rng(0))


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(OptionError, match="between 0 and 1"):
        split_rows(10, fraction, np.random.default_rng(0))


def test_statistics_come_from_the_training_part_only() -> None:
    table = Table.from_cells("t", ["x", "kind", "y"], [["1", "a", "0"], ["3", "b", "2"], ["500", "c", "900"]])
    training = table.take([0, 1])
    preparation = Preparation.fit([training], "y", "regression")
    assert preparation.features == (NumericFeature("x", 2.0, 1.0), CategoryFeature("kind", ("a", "b")))
    held_out = preparation.examples_of(table.take([2]))
    assert np.array_equal(held_out.features, [[498, 0, 0]])  # a category unseen in training: zeros
    assert np.array_equal(held_out.targets, [[899]])


def test_missing_values() -> None:
    table = Table.from_cells("t", ["x", "kind", "y"], [["1", "a", "p"], ["", "?", "q"], ["3", "b", "p"]])
    preparation = Preparation.fit([table], "y")
    features = preparation.features_of(table)
    assert list(features[:, 0]) == [-1, 0, 1]  # the mean
    assert list(features[:, 1]) == [0, 1, 0]  # marked
    assert np.array_equal(features[:, 2:], [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def summary(name: str, kind: str, values: list[object]) -> Summary:
    return Summary.of(Column(name, kind, np.array(values)))  # type: ignore[arg-type]


def test_a_constant_column_is_centred_only() -> None:
    assert NumericFeature.fit(summary("x", "numeric", [7.0, 7.0])).scale == 1.0


def test_columns_that_say_nothing_are_left_out_with_the_reason() -> None:
    table = Table.from_cells("t", ["x", "same", "none", "y"], [["1", "a", "", "p"], ["2", "a", "?", "q"]])
    preparation = Preparation.fit([table], "y")
    assert dict(preparation.left_out) == {"same": "it has one value only", "none": "it has no values"}
    with pytest.raises(
        DataError, match=r"no column is left beside the target y \(same: it has one value only"
    ):
        Preparation.fit([table.without("x")], "y")


def test_targets_of_two_numbers_are_classes() -> None:
    two = summary("y", "numeric", [0.0, 1.0, 1.0])
    assert target_kind(two) is ClassTarget
    assert target_kind(two, "regression") is NumericTarget
    assert target_kind(summary("y", "numeric", [0.0, 1.0, 2.0])) is NumericTarget
    assert target_kind(summary("y", "numeric", [0.0, 1.0, 2.0] * 20)) is ClassTarget
    assert ClassTarget.fit(two).classes == ("0", "1")
    assert ClassTarget.fit(two).counts == (1, 2)


def test_classes_of_numbers_are_in_the_order_of_their_size() -> None:
    assert ClassTarget.fit(summary("y", "numeric", [10.0, 9.0, 2.0])).classes == ("2", "9", "10")


def test_targets_encode_and_decode() -> None:
    column = Column("y", "numeric", np.array([10.0, 20.0, 30.0]))
    target = NumericTarget.fit(Summary.of(column))
    assert np.allclose(target.decode(target.encode(column)), column.values, rtol=1e-15)
    classes = ClassTarget("y", ("b", "a"))
    assert list(classes.encode(Column("y", "category", np.array(["a", "b"])))) == [1, 0]
    with pytest.raises(DataError, match="'c' is not one of b, a"):
        classes.encode(Column("y", "category", np.array(["a", "c"])))


def test_targets_without_anything_to_learn() -> None:
    with pytest.raises(DataError, match="only one class, 'a'"):
        ClassTarget.fit(summary("y", "category", ["a", "a"]))
    with pytest.raises(DataError, match="y is 3 in every row"):
        NumericTarget.fit(summary("y", "numeric", [3.0, 3.0]))
    with pytest.raises(DataError, match="y is no column of numbers"):
        NumericTarget.fit(summary("y", "category", ["a", "b"]))


def test_a_table_of_nothing_but_the_target() -> None:
    table = Table.from_cells("t", ["y"], [["1"], ["2"], ["3"]])
    with pytest.raises(DataError, match="no column is left beside the target y"):
        Preparation.fit([table], "y")


def test_rows_for_a_prediction() -> None:
    table = Table.from_cells("t", ["x", "kind", "y"], [["1", "a", "p"], ["3", "b", "q"]])
    preparation = Preparation.fit([table], "y")
    features = preparation.features_of(preparation.table_of([["1", " b "], ["", "a"]]))
    assert np.array_equal(features, [[-1, 0, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["1"], r"the row '1' has 1 values, but the model needs 2: x, kind"),
        (["1", "a", "b"], "has 3 values"),
        (["one", "a"], "column x should be numbers, but row 1: 'one'"),
        (["inf", "a"], "column x, row 1: 'inf' is not a finite number"),
    ],
)
def test_rows_that_do_not_fit(row: list[str], message: str) -> None:
    table = Table.from_cells("t", ["x", "kind", "y"], [["1", "a", "p"], ["3", "b", "q"]])
    preparation = Preparation.fit([table], "y")
    with pytest.raises(DataError, match=message):
        preparation.table_of([row])


def test_categories_that_training_did_not_know_are_told_and_count_as_other() -> None:
    table = Table.from_cells("t", ["x", "kind", "y"], [["1", "a", "p"], ["3", "b", "q"]])
    preparation = Preparation.fit([table], "y")
    rows = preparation.table_of([["1", "bb"], ["1", ""], ["1", "a"]])
    assert preparation.unknown(rows) == {"kind": ["", "bb"]}
    assert np.array_equal(preparation.features_of(rows)[:, 1:], [[0, 0], [0, 0], [1, 0]])
