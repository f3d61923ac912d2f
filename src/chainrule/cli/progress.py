"""How a training run shows how far it is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from chainrule.train.training import Callback, Epoch

LINES, SECONDS = 10, 10.0
"""Where the output is no terminal, so many lines for a run, and one at least so often."""


@contextmanager
def progress(epochs: int, score_name: str, quiet: bool = False) -> Iterator[Callback]:
    """A callback that shows each epoch while the body runs, or, `quiet`, nothing."""
    if quiet:
        yield lambda epoch: None
        return
    shown = _bar(epochs, score_name) if sys.stdout.isatty() else _lines(epochs, score_name)
    with shown as callback:
        yield callback


@contextmanager
def networks_bar(total: int, quiet: bool = False) -> Iterator[Callable[[], object]]:
    """A function to call after each network; on a terminal it moves a bar, which is gone at the end."""
    if quiet or not sys.stdout.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("networks"), MofNCompleteColumn(), BarColumn(20), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("search", total=total)
        yield lambda: bar.advance(task)


def described(epoch: Epoch, score_name: str) -> str:
    """Loss, metric and time of an epoch.

    >>> described(Epoch(3, 9, 0.25, 0.5, 0.975, 1.52), "accuracy")
    'loss 0.250  validation accuracy 0.975   1.5 s'
    """
    loss = f"{epoch.training_loss:.3f}" if epoch.training_loss >= 0.001 else f"{epoch.training_loss:.0e}"
    score = "" if epoch.score is None else f"  validation {score_name} {epoch.score:.3f}"
    return f"loss {loss}{score}   {epoch.seconds:.1f} s"


def _remaining(epoch: Epoch, rates: set[float]) -> str:
    """The rate, once it has changed, and the time that is left."""
    rates.add(epoch.rate)
    rate = f"  rate {epoch.rate:.2g}" if len(rates) > 1 and not math.isnan(epoch.rate) else ""
    left = epoch.seconds / epoch.number * (epoch.epochs - epoch.number)
    return rate + (f"  {left:.0f} s left" if left >= 1 else "")


@contextmanager
def _lines(epochs: int, score_name: str) -> Iterator[Callback]:
    every, shown = max(1, epochs // LINES), 0.0

    def show(epoch: Epoch) -> None:
        nonlocal shown
        if epoch.number % every == 0 or epoch.number == epochs or epoch.seconds - shown >= SECONDS:
            click.echo(f"epoch {epoch.number}/{epochs}  {described(epoch, score_name)}")
            shown = epoch.seconds

    yield show


@contextmanager
def _bar(epochs: int, score_name: str) -> Iterator[Callback]:
    # rich takes as long to import as a small network to train, and only a terminal needs it.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(20), TextColumn("{task.fields[state]}"))
    with Progress(*columns) as bar:
        task, rates = bar.add_task("training", total=epochs, state=""), set[float]()

        def show(epoch: Epoch) -> None:
            bar.update(
                task, completed=epoch.number, state=described(epoch, score_name) + _remaining(epoch, rates)
            )

        yield show
