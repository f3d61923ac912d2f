"""Reading the rows that a saved model is to predict or to be measured on."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.data import BUILT_IN, Table, built_in_file, require_columns, table_file, with_known_target
from chainrule.errors import DataError
from chainrule.train.model import TableModel
from chainrule.train.settings import has_header
from chainrule.train.tasks import Evaluation

PART = 50_000
"""Rows in memory at a time."""


def model_tables(
    model: TableModel, data: str, *, with_target: bool = False, header: str | None = None
) -> Iterator[Table]:
    """The rows of a file, or of a built-in table, in parts, with the columns that a model needs.

    Whether the file has a header, ``"yes"``, ``"no"`` or ``"auto"``, is as for the training, unless `header` says it.

    Raises:
        DataError: a column is missing, or a cell cannot be read as it was in training.
    """
    target = model.preparation.target
    forms = model.forms | ({target.name: target.form} if with_target else {})
    file = built_in_file(data) if data in BUILT_IN else table_file(data, has_header(header or model.header))
    require_columns(file, forms)
    empty = True
    for table in file.tables(PART, forms, [name for name in file.names if name not in forms]):
        empty = False
        yield table
    if empty:
        raise DataError(f"{data} has a header, but no rows of data")


def evaluate_model(model: TableModel, table: Table) -> Evaluation:
    """A model's metrics on a table's rows that have the target, beside the guess of the training part.

    Raises:
        DataError: no row has the target, or one is of a class that the model does not know.
    """
    task, target = model.task, model.preparation.target
    complete = with_known_target(table, target.name)
    if not complete.rows:
        raise DataError(f"{table.name}: target {target.name} has no values")
    targets, outputs = target.encode(complete.column(target.name)), model.outputs(complete)
    guess, guessed = task.guess(complete.rows)
    return Evaluation(
        "given",
        complete.rows,
        task.metrics(outputs, targets),
        {guess: task.metrics(guessed, targets)},
        task.confusion(outputs, targets),
        outputs,
        targets,
    )
