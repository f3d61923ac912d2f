"""`chainrule predict`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import click

from chainrule.cli.program import traceback_option
from chainrule.cli.report import csv_line, prediction_text, unknown_text
from chainrule.data import ClassTarget, Table
from chainrule.errors import OptionError, OutputError
from chainrule.files import replacing
from chainrule.train import TableModel, load_model
from chainrule.train.applying import model_tables


@click.command("predict")
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA", required=False)
@click.option(
    "--row",
    "rows",
    multiple=True,
    metavar="VALUES",
    help="The values of a row's columns, separated by commas, such as 5.1,3.5,1.4,0.2; may be repeated.",
)
@click.option(
    "--header",
    metavar="CHOICE",
    help="Whether the first line of DATA has the columns' names: yes, no, or auto.  [default: as for the training]",
)
@click.option("--proba", is_flag=True, help="Also the probability of each class.")
@click.option("--out", metavar="FILE", help="Write the predictions of DATA to a CSV file.")
@traceback_option
def command(
    model: str, data: str | None, rows: tuple[str, ...], header: str | None, proba: bool, out: str | None
) -> None:
    """Predict with MODEL, a .safetensors file that `chainrule train` saved, for the rows of DATA, or for --row.

    For DATA, a line is written for each row, in order. DATA needs the columns that the model was trained on, and may
    have others.
    """
    trained = load_model(model)
    if data is None:
        if out is not None:
            raise OptionError("--out takes the predictions of a file: give its path after the model's")
        _predict_rows(trained, rows)
    elif rows:
        raise OptionError("give rows either as --row or in a file, not both")
    else:
        _predict_file(trained, model_tables(trained, data, header=header), proba, out)


def _predict_rows(model: TableModel, rows: tuple[str, ...]) -> None:
    if not rows:
        raise OptionError(
            f"give a file of rows, or the row to predict as --row VALUES, in this order: "
            f"{','.join(model.preparation.names)}"
        )
    table = model.preparation.table_of([_cells(row) for row in rows])
    for line in unknown_text(model.preparation.unknown(table)):
        click.echo(line, err=True)
    for prediction in model.predictions(table):
        click.echo(prediction_text(prediction, model.preparation.target.name))


def _predict_file(model: TableModel, tables: Iterator[Table], proba: bool, out: str | None) -> None:
    target = model.preparation.target
    if proba and not isinstance(target, ClassTarget):
        raise OptionError(f"--proba: {target.name} is a number, and has no probabilities")
    unknown: dict[str, list[str]] = {}
    lines = _lines(model, tables, proba, unknown)
    if out is None:
        for line in lines:
            click.echo(line)
    else:
        count = _write(lines, Path(out)) - 1
        click.echo(f"wrote {out}: {count} predictions of {target.name}")
    for note in unknown_text(unknown):
        click.echo(note, err=True)


def _lines(
    model: TableModel, tables: Iterator[Table], proba: bool, unknown: dict[str, list[str]]
) -> Iterator[str]:
    """The lines of the CSV file, the header first; what training did not know is added to `unknown`."""
    target = model.preparation.target
    classes = [f"probability of {name}" for name in target.classes] if isinstance(target, ClassTarget) else []
    header = [target.name, *(classes if proba else [])]
    for number, table in enumerate(tables):
        if not number:
            yield csv_line(header)
        for name, texts in model.preparation.unknown(table).items():
            unknown[name] = sorted({*unknown.get(name, ()), *texts})
        for one in model.predictions(table):
            value = one.value if isinstance(one.value, str) else f"{one.value:.10g}"
            shares = [f"{share:.6f}" for share in one.probabilities.values()] if proba else []
            yield csv_line([value, *shares])


def _write(lines: Iterator[str], path: Path) -> int:
    count = 0
    try:
        with replacing(path) as file:
            for count, line in enumerate(lines, start=1):  # noqa: B007
                file.write(f"{line}\n".encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    return count


def _cells(row: str) -> list[str]:
    try:
        # The same quoting as in a CSV file, because a category may contain a comma.
        return next(csv.reader([row], strict=True), [""])
    except csv.Error as error:
        raise OptionError(f"the row {row!r} is no comma-separated text: {error}") from None
