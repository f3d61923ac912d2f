"""Tables and how they become arrays: reading, splitting, standardising, one-hot encoding.

>>> from chainrule import data
>>> table, target = data.open_table("auto-mpg")
>>> {column.name: int(column.missing.sum()) for column in table.columns if column.missing.any()}
{'horsepower': 6}
"""

from chainrule.data.builtin import BUILT_IN, load, open_table
from chainrule.data.examples import Examples, Mixture, Source
from chainrule.data.preparation import (
    CategoryFeature,
    ClassTarget,
    NumericFeature,
    NumericTarget,
    Preparation,
    target_kind,
)
from chainrule.data.splitting import Split, split_rows
from chainrule.data.table import Column, Table

__all__ = [
    "BUILT_IN",
    "CategoryFeature",
    "ClassTarget",
    "Column",
    "Examples",
    "Mixture",
    "NumericFeature",
    "NumericTarget",
    "Preparation",
    "Source",
    "Split",
    "Table",
    "load",
    "open_table",
    "split_rows",
    "target_kind",
]
