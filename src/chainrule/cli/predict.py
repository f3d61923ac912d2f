"""`chainrule predict`."""

from __future__ import annotations

import csv

import click

from chainrule.cli.program import traceback_option
from chainrule.cli.report import prediction_text
from chainrule.errors import OptionError
from chainrule.train import TableModel, load_model


@click.command("predict")
@click.argument("model", metavar="MODEL")
@click.option(
    "--row",
    "rows",
    multiple=True,
    metavar="VALUES",
    help="The values of a row's columns, separated by commas, such as 5.1,3.5,1.4,0.2; may be repeated.",
)
@traceback_option
def command(model: str, rows: tuple[str, ...]) -> None:
    """Predict with MODEL, a .safetensors file that `chainrule train` saved."""
    trained = load_model(model)
    _require_rows(trained, rows)
    for prediction in trained.predict([_cells(row) for row in rows]):
        click.echo(prediction_text(prediction, trained.preparation.target.name))


def _require_rows(model: TableModel, rows: tuple[str, ...]) -> None:
    if not rows:
        raise OptionError(
            f"give the row to predict as --row VALUES, in this order: {','.join(model.preparation.names)}"
        )


def _cells(row: str) -> list[str]:
    try:
        # The same quoting as in a CSV file, because a category may contain a comma.
        return next(csv.reader([row], strict=True), [""])
    except csv.Error as error:
        raise OptionError(f"the row {row!r} is no comma-separated text: {error}") from None
