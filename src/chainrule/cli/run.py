"""`chainrule run`."""

from __future__ import annotations

import sys
import traceback

import click

from chainrule.cli.program import TRACEBACK, traceback_option
from chainrule.errors import OptionError
from chainrule.programs import (
    FACADES,
    Cell,
    Comparison,
    Failure,
    Outcome,
    Program,
    read_program,
    run_and_compare,
    run_program,
)

SHOWN_DIFFERENCES = SHOWN_LINES = 5
FAILED = 1


@click.command("run")
@click.argument("file", metavar="FILE")
@click.option(
    "--compare", is_flag=True, help="Show where the output differs from that stored in the notebook."
)
@click.option(
    "--real", multiple=True, metavar="LIBRARY", help="Use torch or tensorflow itself; may be repeated."
)
@traceback_option
@click.pass_context
def command(ctx: click.Context, /, file: str, compare: bool, real: tuple[str, ...]) -> None:
    """Run FILE, a program (.py) or a notebook (.ipynb), without PyTorch and TensorFlow.

    `import torch` and `import tensorflow` give chainrule.torch and chainrule.tensorflow. The program runs in
    its own folder; figures are drawn, but not shown. Exit code 1 where a cell fails.
    """
    unknown = sorted(set(real) - FACADES.keys())
    if unknown:
        raise OptionError(f"--real {unknown[0]}: choose one of {', '.join(FACADES)}")
    program = read_program(file)
    outcomes = _compare(program, real) if compare else _run(program, real)
    last = outcomes[-1] if outcomes else None
    if last is not None and last.failure is not None:
        _tell_failure(last.failure, ctx)
        ctx.exit(FAILED)
    if last is not None and last.exit_code:
        ctx.exit(last.exit_code)
    if compare and not ctx.meta.get(_SAME):
        ctx.exit(FAILED)


_SAME = "chainrule.run.same"


def _tell_failure(failure: Failure, ctx: click.Context) -> None:
    sys.stdout.flush()
    if ctx.meta.get(TRACEBACK):
        click.echo("".join(traceback.format_exception(failure.error)), err=True, nl=False)
    click.echo(f"Error: {failure}", err=True)


# running --------------------------------------------------------------------------------------------------


def _run(program: Program, real: tuple[str, ...]) -> list[Outcome]:
    shown = _Shown(program.is_notebook)
    return run_program(program, real, echo=shown.echo, before=shown.begin, after=_after)


class _Shown:
    """Output as it comes; a notebook's cells have their number before it, if they print anything."""

    def __init__(self, with_numbers: bool) -> None:
        self.with_numbers, self.title = with_numbers, ""
        self.stream = sys.stdout  # while a cell runs, this is another one

    def begin(self, cell: Cell) -> None:
        self.title = f"[{cell.number}]\n" if self.with_numbers else ""

    def echo(self, text: str) -> None:
        click.echo(self.title + text, file=self.stream, nl=False)
        self.title = ""


def _after(outcome: Outcome) -> None:
    if outcome.output.text and not outcome.output.text.endswith("\n"):
        click.echo()
    for magic in outcome.skipped:
        click.echo(f"note: {outcome.cell.name}: skipped {magic!r}, which only Jupyter can do", err=True)


# comparing ------------------------------------------------------------------------------------------------


def _compare(program: Program, real: tuple[str, ...]) -> list[Outcome]:
    outcomes, comparisons = run_and_compare(program, real)
    if outcomes[-1].failure is not None:
        comparisons.pop()
    for comparison in comparisons:
        _tell_comparison(comparison)
    different = sum(not comparison.same for comparison in comparisons)
    click.echo(summary(comparisons))
    click.get_current_context().meta[_SAME] = not different
    return outcomes


def _tell_comparison(comparison: Comparison) -> None:
    line = verdict(comparison)
    if line:
        click.echo(f"{'✓' if comparison.same else '✗'} cell {comparison.cell.number}: {line}")
    for difference in comparison.differences[:SHOWN_DIFFERENCES]:
        for sign, text in (("-", difference.stored), ("+", difference.ours)):
            lines = text.splitlines()
            for part in lines[:SHOWN_LINES]:
                click.echo(f"    {sign} {part}")
            if len(lines) > SHOWN_LINES:
                click.echo(f"    {sign} … {len(lines) - SHOWN_LINES} more lines")
    more = len(comparison.differences) - SHOWN_DIFFERENCES
    if more > 0:
        click.echo(f"    and {more} more")


def verdict(comparison: Comparison) -> str:
    """What there is to say of a comparison; nothing where the cell shows nothing.

    >>> verdict(Comparison(Cell(1, "", ""), compared=7, random=2))
    'as stored; 2 random, not compared'
    """
    if not (comparison.compared or comparison.random or comparison.explanations or comparison.differences):
        return ""
    said = ["as stored" if comparison.same else "differs from what is stored (-)"]
    if comparison.rounded:
        said.append(f"{comparison.rounded} within rounding of the last digit")
    if comparison.random:
        said.append(f"{comparison.random} random, not compared")
    return "; ".join([*said, *comparison.explanations])


def summary(comparisons: list[Comparison]) -> str:
    """One line on all cells."""
    shown = [comparison for comparison in comparisons if verdict(comparison)]
    different = sum(not comparison.same for comparison in shown)
    explained = sum(comparison.same and bool(comparison.explanations) for comparison in shown)
    random = sum(comparison.same and bool(comparison.random) for comparison in shown)
    return (
        f"{len(shown)} outputs: {len(shown) - different} as stored ({explained} with an explanation, "
        f"{random} with unseeded random numbers), {different} different"
    )
