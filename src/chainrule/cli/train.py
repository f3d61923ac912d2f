"""`chainrule train`."""

from __future__ import annotations

import csv
import io
import shlex
from typing import Any

import click

from chainrule import nn, optim
from chainrule.cli.program import INTERRUPTED, traceback_option
from chainrule.cli.progress import progress
from chainrule.cli.report import confusion_text, metrics_table
from chainrule.data import BUILT_IN, ClassTarget, open_table
from chainrule.train import Evaluation, OutputFiles, Settings, TableTraining, hidden_sizes, output_files

EPILOG = "Built-in tables: " + "; ".join(f"{name}: {table.title}" for name, table in BUILT_IN.items()) + "."


@click.command("train", epilog=EPILOG)
@click.argument("data", metavar="DATA")
@click.option("--target", metavar="COLUMN", help="The column to predict; a built-in table has one.")
@click.option(
    "--hidden",
    default=",".join(map(str, Settings.hidden)),
    show_default=True,
    metavar="WIDTHS",
    help="Widths of the hidden layers, such as 8,8; none for no hidden layer.",
)
@click.option(
    "--activation",
    default=Settings.activation,
    show_default=True,
    metavar="NAME",
    help=f"Function between layers: {', '.join(nn.ACTIVATIONS)}.",
)
@click.option(
    "--optimizer",
    default=Settings.optimizer,
    show_default=True,
    metavar="NAME",
    help=f"Update rule: {', '.join(optim.RULES)}.",
)
@click.option(
    "--rate",
    type=float,
    help="Learning rate.  [default: by optimizer, "
    + ", ".join(f"{name} {rule.rate:g}" for name, rule in optim.RULES.items())
    + "]",
)
@click.option("--epochs", type=int, default=Settings.epochs, show_default=True, help="Passes over the rows.")
@click.option("--batch", type=int, default=Settings.batch, show_default=True, help="Rows in a mini-batch.")
@click.option(
    "--seed",
    type=int,
    default=Settings.seed,
    show_default=True,
    help="Of everything random; the same seed gives the same result.",
)
@click.option(
    "--validation",
    type=float,
    default=Settings.validation,
    show_default=True,
    help="Fraction of the rows that is held out.",
)
@click.option("--out", metavar="FOLDER", help="Where the model and the loss curve go.  [default: here]")
@click.option(
    "--save", metavar="FILE", help="The model's file, ending in .safetensors; the curve goes beside it."
)
@traceback_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    data: str,
    target: str | None,
    hidden: str,
    out: str | None,
    save: str | None,
    **options: Any,
) -> None:
    """Train a network on DATA: a built-in table by name, or a CSV file with --target COLUMN."""
    settings = Settings(hidden=hidden_sizes(hidden), **options)
    table, target = open_table(data, target)
    files = output_files(table.name, out, save)
    run = TableTraining.prepare(table, target, settings)
    _introduce(run)
    with progress(settings.epochs, run.task.score_name) as show:
        interrupted = run.fit([show])
    evaluation = run.evaluate()
    _report(run, evaluation, interrupted)
    run.save(files, evaluation)
    _tell_files(run, files)
    if interrupted:
        ctx.exit(INTERRUPTED)


def _introduce(run: TableTraining) -> None:
    click.echo(run.summary())
    for note in run.notes():
        click.echo(note)
    click.echo(str(run.check_gradients()))


def _report(run: TableTraining, evaluation: Evaluation, interrupted: bool) -> None:
    assert run.kept is not None
    if interrupted:
        click.echo(
            f"interrupted after epoch {len(run.history)} of {run.settings.epochs}; the best so far is saved"
        )
    lowest = f"the lowest validation loss, {run.kept.validation_loss:.3g}"
    click.echo(f"kept the weights of epoch {run.kept.number}, with {lowest}\n")
    click.echo(metrics_table(evaluation, run.validation.rows) + "\n")
    if evaluation.confusion is not None and isinstance(run.preparation.target, ClassTarget):
        click.echo(confusion_text(evaluation.confusion, run.preparation.target.classes) + "\n")


def _tell_files(run: TableTraining, files: OutputFiles) -> None:
    click.echo(f"saved {files.model} and {files.curve} (loss curve)")
    click.echo(
        f"predict with: chainrule predict {shlex.quote(str(files.model))} --row {_quoted(run.example_row())}"
    )


def _quoted(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return shlex.quote(text.getvalue())
