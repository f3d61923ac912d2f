"""`chainrule derive`: the backward pass of a function in a file, as NumPy source or as formulas."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli.functions import load_call, numbers_of, user_errors
from chainrule.cli.program import traceback_option


@click.command("derive")
@click.argument("function", metavar="FILE:FUNCTION")
@click.option(
    "--args", "arguments", metavar="EXPRESSIONS", help="What to call it with, such as 'W1, W2' or '3.0'."
)
@click.option(
    "--argnums", metavar="NUMBERS", help="By which arguments, such as 0 or 0,1; 'none' for as it is."
)
@click.option("--order", type=click.IntRange(1, 2), default=1, help="2 for the second derivatives too.")
@click.option("--latex", is_flag=True, help="The derivation as formulas, in LaTeX.")
@click.option("--save", metavar="PATH", help="Write to this file.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@traceback_option
def command(
    function: str,
    arguments: str | None,
    argnums: str | None,
    order: int,
    latex: bool,
    save: str | None,
    force: bool,
) -> None:
    """Write the value and the gradient of FUNCTION in FILE as a NumPy program that imports nothing else.

    A training step is written as it is: forward pass, backward pass, update.
    """
    from chainrule.graph.derivation import derive, written_anew

    f, args = load_call(function, arguments)
    with user_errors(function):
        derivation = derive(f, *args, argnums=numbers_of(argnums), order=order)
    text = derivation.latex if latex else derivation.source
    if save is None:
        click.echo(text.rstrip("\n"))
    else:
        click.echo(f"wrote {written_anew(Path(save), text, force=force)}")
