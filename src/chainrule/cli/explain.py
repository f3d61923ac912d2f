"""`chainrule explain`."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli.functions import load_call, numbers_of, user_errors
from chainrule.cli.program import traceback_option
from chainrule.errors import OptionError
from chainrule.graph.derivation import written_anew
from chainrule.walkthrough import Step, Walkthrough, explain

FORMATS = ("text", "markdown", "latex", "dot", "mermaid")


@click.command("explain")
@click.argument("function", metavar="FILE:FUNCTION")
@click.option(
    "--args",
    metavar="EXPRESSION",
    help='The arguments, as Python that can use all that is in FILE, and np: "W1, W2", "np.ones((3, 2)), 0.5". '
    "Without it, each parameter is what FILE has under its name.",
)
@click.option("--argnums", metavar="NUMBERS", help="Only the gradients of these arguments, such as 0 or 0,2.")
@click.option("--step", type=int, metavar="NUMBER", help="Only this step, with what it is computed from.")
@click.option(
    "--about", metavar="NAME", help="Only the steps that make or use this variable or its cotangent."
)
@click.option("--picture", metavar="FILE.svg", help="Also write a picture of the graph.")
@click.option("--force", is_flag=True, help="Replace a picture that exists.")
@click.option(
    "--format",
    "as_format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Of the output.",
)
@traceback_option
def command(
    function: str, args: str | None, argnums: str | None, step: int | None, about: str | None, picture: str | None,
    force: bool, as_format: str,
) -> None:  # fmt: skip
    """Explain FUNCTION of the Python file FILE: every number of its value and its gradient, step by step.

    The first NaN, Inf, exploding or vanishing cotangent is marked with its cause.
    """
    if step is not None and about is not None:
        raise OptionError("--step and --about cannot be given together: a step is about one equation")
    if picture is not None and not picture.endswith(".svg"):
        raise OptionError(f"--picture {picture}: the picture is SVG; give it a name that ends in .svg")
    called, given = load_call(function, args)
    with user_errors(function):
        walkthrough = explain(called, *given, argnums=numbers_of(argnums))
    shown: Walkthrough | Step = walkthrough
    if step is not None:
        shown = walkthrough.step(step)
    elif about is not None:
        shown = walkthrough.about(about)
    if picture is not None:
        click.echo(f"wrote {written_anew(Path(picture), walkthrough.picture(), force=force)}", err=True)
    _print(shown, as_format)


def _print(shown: Walkthrough | Step, as_format: str) -> None:
    if as_format in ("dot", "mermaid"):
        if isinstance(shown, Step):
            raise OptionError(f"--format {as_format} draws the whole graph; leave --step out")
        click.echo(shown.dot() if as_format == "dot" else shown.mermaid(), nl=False)
    elif as_format == "markdown":
        click.echo(shown.markdown(), nl=False)
    elif as_format == "latex":
        click.echo(shown.latex if isinstance(shown, Step) else shown.latex())
    else:
        shown.show()
