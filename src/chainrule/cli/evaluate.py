"""`chainrule evaluate`."""

from __future__ import annotations

import json

import click

from chainrule.cli.program import traceback_option
from chainrule.cli.report import confusion_text, metrics_table, metrics_with_doubt, unknown_text
from chainrule.data import ClassTarget, Table
from chainrule.train import load_model
from chainrule.train.applying import evaluate_model, model_tables


@click.command("evaluate")
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA")
@click.option(
    "--header",
    metavar="CHOICE",
    help="Whether the first line of DATA has the columns' names: yes, no, or auto.  [default: as for the training]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON, and nothing else.")
@traceback_option
def command(model: str, data: str, header: str | None, as_json: bool) -> None:
    """Measure MODEL, a .safetensors file that `chainrule train` saved, on the rows of DATA, which have the target."""
    trained = load_model(model)
    table = Table.joined(list(model_tables(trained, data, with_target=True, header=header)))
    evaluation = evaluate_model(trained, table)
    if as_json:
        told = {"rows": evaluation.rows, "metrics": metrics_with_doubt(evaluation.metrics)}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for line in unknown_text(trained.preparation.unknown(table)):
        click.echo(line, err=True)
    if evaluation.rows < table.rows:
        click.echo(f"rows without {trained.preparation.target.name} left out: {table.rows - evaluation.rows}")
    click.echo(metrics_table(evaluation))
    if evaluation.confusion is not None and isinstance(trained.preparation.target, ClassTarget):
        click.echo("\n" + confusion_text(evaluation.confusion, trained.preparation.target.classes))
