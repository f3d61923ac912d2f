"""The tables that ship with the package; `tables/SOURCES.md` says where they come from."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from chainrule.suggestions import did_you_mean
from chainrule.data.table import Table
from chainrule.errors import DataError


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


def load(name: str) -> Table:
    """The built-in table of that name.

    Raises:
        DataError: there is none; the message names the nearest, and all.

    >>> table = load("iris")
    >>> table.rows, table.names[-1]
    (150, 'species')
    """
    if name not in BUILT_IN:
        raise DataError(
            f"there is no data set {name!r}{did_you_mean(name, BUILT_IN)}: built in are "
            f"{', '.join(BUILT_IN)}; for a table of your own give the path of a .csv file"
        )
    with as_file(files("chainrule.data") / "tables" / f"{name}.csv") as path:
        return Table.from_csv(path, name)


def open_table(source: str, target: str | None = None) -> tuple[Table, str]:
    """A table and its target column: a built-in one by name, or the CSV file at a path.

    Raises:
        DataError: no such table or column, a file that cannot be read, or a file without a `target`.

    >>> table, target = open_table("penguins")
    >>> table.rows, target
    (344, 'species')
    """
    if source in BUILT_IN:
        table, target = load(source), target or BUILT_IN[source].target
    elif source.lower().endswith(".csv") or Path(source).is_file():
        table = Table.from_csv(source)
    else:
        table = load(source)
    if target is None:
        raise DataError(f"{source}: say which column to predict; its columns are {', '.join(table.names)}")
    return table, table.column(target).name
