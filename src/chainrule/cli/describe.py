"""`chainrule describe`."""

from __future__ import annotations

import click

from chainrule.cli.program import traceback_option
from chainrule.cli.report import aligned_left
from chainrule.data import ClassTarget
from chainrule.train import TableModel, config_text, load_model


@click.command("describe")
@click.argument("model", metavar="MODEL")
@click.option(
    "--config", is_flag=True, help="Print the settings it was trained with, as `train --config` reads them."
)
@traceback_option
def command(model: str, config: bool) -> None:
    """Say what MODEL is, a .safetensors file that `chainrule train` saved."""
    trained = load_model(model)
    settings = trained.training.get("settings")
    if config:
        click.echo(config_text(settings if isinstance(settings, dict) else {}), nl=False)
        return
    click.echo(aligned_left(_facts(trained)))
    click.echo("\ncolumns")
    click.echo(aligned_left([["  " + f.name, f.kind, f.treatment] for f in trained.preparation.features]))
    for name, reason in trained.preparation.left_out:
        click.echo(f"  {name} was left out: {reason}")


def _facts(model: TableModel) -> list[list[str]]:
    target, told = model.preparation.target, model.training
    kind = f"{len(target.classes)} classes: {', '.join(target.classes[:12])}" if isinstance(target, ClassTarget) else (
        f"a number, {target.mean:.4g} ± {target.scale:.4g} in training"
    )  # fmt: skip
    count = sum(parameter.size for parameter in model.network.parameters())
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in model.metrics.items())
    shown = ", ".join(f"{key} {value}" for key, value in told.items() if key != "settings")
    return [
        ["trained on", model.name],
        ["predicts", f"{target.name}, {kind}"],
        ["network", f"{'-'.join(map(str, model.sizes))}, {model.activation}, {count:,} parameters"],
        ["metrics", metrics],
        ["training", shown[:400]],
    ]
