"""The tables that ship with the package; `tables/SOURCES.md` says where they come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from chainrule.data.reading import (
    STANDARD_INPUT,
    TableFile,
    read_file,
    read_table,
    require_columns,
    table_file,
)
from chainrule.data.table import Form, Table, nearest
from chainrule.errors import DataError
from chainrule.suggestions import did_you_mean


class BuiltIn(NamedTuple):
    """A table in the package: what it is, and the column that is usually predicted."""

    title: str
    target: str


BUILT_IN = {
    "iris": BuiltIn("three species of iris, by the sizes of their flowers", "species"),
    "auto-mpg": BuiltIn("fuel consumption of cars of 1970 to 1982, with missing values", "mpg"),
    "penguins": BuiltIn(
        "three species of penguin, by measures, island and sex, with missing values", "species"
    ),
}


def load(name: str, forms: Mapping[str, Form] | None = None, skip: Collection[str] = ()) -> Table:
    """The built-in table of that name.

    Raises:
        DataError: there is none; the message names the nearest, and all.

    >>> table = load("iris")
    >>> table.rows, table.names[-1]
    (150, 'species')
    """
    return read_table(_path(name), name, forms, skip)


def built_in_file(name: str) -> TableFile:
    """The built-in table of that name as a file that is read in parts.

    Raises:
        DataError: there is none.
    """
    return table_file(_path(name))


def _path(name: str) -> Path:
    if name not in BUILT_IN:
        raise DataError(
            f"there is no data set {name!r}{did_you_mean(name, BUILT_IN)}: built in are "
            f"{', '.join(BUILT_IN)}; for a table of your own give the path of its file, such as {name}.csv"
        )
    return Path(str(files("chainrule.data"))) / "tables" / f"{name}.csv"


def open_table(
    source: str,
    target: str | None = None,
    forms: Mapping[str, Form] | None = None,
    skip: Collection[str] = (),
    header: bool | None = None,
) -> tuple[Table, str]:
    """A table and its target column: a built-in one by name, or the file at a path, with or without a `header`.

    All but `source` and `target` as in `read_table`.

    Raises:
        DataError: no such table or column, a file that cannot be read, or a file without a `target`.

    >>> table, target = open_table("penguins")
    >>> table.rows, target
    (344, 'species')
    """
    if is_path(source):
        file = table_file(source, header)
        require_columns(file, [] if target is None else [target])
        table = read_file(file, None, forms, skip)
    else:
        table, target = load(source, forms, skip), target or BUILT_IN[source].target
    if target is None:
        raise DataError(f"{source}: say which column to predict{nearest('', table.names)}")
    return table, table.column(target).name


def table_name(source: str) -> str:
    """What the table of a source is called: a built-in one by its name, a file without folder and ending.

    >>> table_name("iris"), table_name("data/cars.csv")
    ('iris', 'cars')
    """
    return (Path(source).stem or "table") if is_path(source) else source


def is_path(source: str) -> bool:
    """Whether a source is meant as a path, and not as the name of a built-in table."""
    return source not in BUILT_IN and (
        source == STANDARD_INPUT
        or Path(source).suffix != ""
        or "/" in source
        or "\\" in source
        or Path(source).exists()
    )
