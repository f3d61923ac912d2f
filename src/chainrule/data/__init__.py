"""Tables and how they become arrays: reading, splitting, standardising, one-hot encoding.

>>> from chainrule import data
>>> table, target = data.open_table("auto-mpg")
>>> {column.name: int(column.missing.sum()) for column in table.columns if column.missing.any()}
{'horsepower': 6}
"""

from chainrule.data.builtin import BUILT_IN, built_in_file, is_path, load, open_table, table_name
from chainrule.data.dialect import Dialect, dialect_of
from chainrule.data.examples import Examples, Mixture, Source, Window, WindowedSource
from chainrule.data.features import BooleanFeature, CategoryFeature, DateFeature, Feature, NumericFeature
from chainrule.data.preparation import Preparation, identifiers, with_known_target
from chainrule.data.reading import TableFile, in_form, read_table, require_columns, table_file, table_of
from chainrule.data.splitting import Split, fold_numbers, split_rows
from chainrule.data.stored import StoredRows
from chainrule.data.summaries import Summary, summarise
from chainrule.data.table import Column, Form, Table
from chainrule.data.targets import ClassTarget, NumericTarget, Target, target_kind

__all__ = [
    "BUILT_IN",
    "BooleanFeature",
    "CategoryFeature",
    "ClassTarget",
    "Column",
    "DateFeature",
    "Dialect",
    "Examples",
    "Feature",
    "Form",
    "Mixture",
    "NumericFeature",
    "NumericTarget",
    "Preparation",
    "Source",
    "Split",
    "StoredRows",
    "Summary",
    "Table",
    "TableFile",
    "Target",
    "Window",
    "WindowedSource",
    "built_in_file",
    "dialect_of",
    "fold_numbers",
    "identifiers",
    "in_form",
    "is_path",
    "load",
    "open_table",
    "read_table",
    "require_columns",
    "split_rows",
    "summarise",
    "table_file",
    "table_name",
    "table_of",
    "target_kind",
    "with_known_target",
]
