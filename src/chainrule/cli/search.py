"""`chainrule search`."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from chainrule.cli.program import INTERRUPTED, traceback_option
from chainrule.cli.progress import networks_bar
from chainrule.cli.report import columns_table, csv_line, metrics_table, metrics_with_doubt
from chainrule.cli.train import OPTIONS, READ_BY_CLICK
from chainrule.data import open_table, table_name
from chainrule.errors import OptionError
from chainrule.train import OutputFiles, Settings, hidden_sizes, output_files, settings_of
from chainrule.train.searching import CHOICES, HOW, Search, Trial, candidates

AS_IN_TRAIN = (
    "--target", "--header", "--task", "--numeric", "--category", "--date", "--leave-out", "--schedule",
    "--class-weight", "--epochs", "--batch", "--patience", "--validation", "--test", "--seed",
)  # fmt: skip
"""The options that mean here what they mean in `chainrule train`."""

SHOWN = 10


def _choices(read: Callable[[str], Any]) -> Callable[[Any, Any, str | None], tuple[Any, ...] | None]:
    def callback(_: Any, parameter: click.Parameter, text: str | None) -> tuple[Any, ...] | None:
        try:
            return None if text is None else tuple(read(part.strip()) for part in text.split(","))
        except ValueError:
            raise OptionError(f"{parameter.opts[0]} {text}: give numbers separated by commas") from None

    return callback


def _or_none(text: str) -> float | None:
    return None if text == "none" else float(text)


SEARCHED: dict[str, tuple[Callable[[str], Any], str]] = {
    "--activation": (str, "Activations to try, such as tanh,relu."),
    "--optimizer": (str, "Update rules to try, such as adam,sgd."),
    "--rate": (float, "Learning rates to try, such as 0.001,0.01.  [default: around the optimizer's own]"),
    "--dropout": (float, "Shares of hidden values to drop, such as 0,0.2."),
    "--weight-decay": (_or_none, "Pulls of the weights to 0, such as none,0.001."),
}


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, (read, text) in reversed(SEARCHED.items()):
        command = click.option(name, metavar="CHOICES", callback=_choices(read), help=text)(command)
    command = click.option(
        "--hidden",
        metavar="WIDTHS",
        multiple=True,
        help="Hidden layers to try, such as 16,16; may be repeated.",
    )(command)
    for name in reversed(AS_IN_TRAIN):
        metavar, reader, text = OPTIONS[name]
        how = {"type": reader} if reader in READ_BY_CLICK else {"callback": reader}
        command = click.option(name, metavar=metavar, help=text, **how)(command)
    return command


@click.command("search")
@click.argument("data", metavar="DATA")
@_with_options
@click.option("--trials", type=int, default=20, show_default=True, help="How many networks to try.")
@click.option("--seconds", type=float, metavar="SECONDS", help="Stop after so long, with the best so far.")
@click.option(
    "--how", default=HOW[0], show_default=True, help="random, or grid: every combination of the choices."
)
@click.option(
    "--jobs",
    type=int,
    metavar="NUMBER",
    help="Networks of native code that are trained at once.  [default: CHAINRULE_THREADS, or the number of cores]",
)
@click.option("--out", metavar="FOLDER", help="Where the best model and its pictures go.  [default: here]")
@click.option("--save", metavar="FILE", help="The best model's file, ending in .safetensors.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
@traceback_option
@click.pass_context
def command(ctx: click.Context, /, data: str, **options: Any) -> None:
    """Try many networks on DATA, a table as for `chainrule train`, and save the best of them.

    All learn from the same rows, and the validation part compares them: after a few epochs the better half goes on, and
    so on. The test part measures the best alone. Ctrl-C keeps the best so far.
    """
    # NaN is neither below nor above 0.
    if options["seconds"] is not None and not options["seconds"] > 0:
        raise OptionError(f"--seconds {options['seconds']:g}: it must be a number above 0")
    as_json = options.pop("as_json")
    say: Callable[[str], object] = (lambda _: None) if as_json else click.echo
    search, files, how = _prepared(data, options)
    if how:
        say(f"read as: {how}")
    say(f"{search.trials[0].training.name} · {len(search.trials)} networks · {_plan(search)}")
    for line in columns_table(search.trials[0].training.parts):
        say(line)
    with networks_bar(sum(count for _, count in search.rungs()), quiet=as_json) as advance:
        ended = search.run(options["seconds"], _telling(search, say, advance), options["jobs"])
    _tell_result(search, files, data, options["target"], ended, as_json)
    if ended == "interrupted":
        ctx.exit(INTERRUPTED)


def _prepared(data: str, options: dict[str, Any]) -> tuple[Search, OutputFiles, str]:
    """The search, where its files go, and how the table was read."""
    known = {f.name for f in fields(Settings)} - CHOICES.keys()
    base = settings_of(
        {name: value for name, value in options.items() if name in known and value is not None}
    )
    given = {name: options[name] for name in CHOICES if options.get(name)}
    if "hidden" in given:
        given["hidden"] = tuple(hidden_sizes(text) for text in given["hidden"])
    tried = candidates(base, given, options["trials"], options["how"])
    files = output_files(table_name(data), options["out"], options["save"])
    table, target = open_table(data, options["target"], base.forms, base.leave_out, base.has_header)
    options["target"] = target
    return Search.prepare(table, target, tried), files, table.how


# what is told -------------------------------------------------------------------------------------------------


def _plan(search: Search) -> str:
    return ", ".join(f"{count} to epoch {epochs}" for epochs, count in search.rungs())


def _telling(
    search: Search, say: Callable[[str], object], advance: Callable[[], object]
) -> Callable[[int, int, Trial], None]:
    """A line for each rung, when its last network is done."""
    rungs = search.rungs()

    def tell(rung: int, done: int, trial: Trial) -> None:
        epochs, count = rungs[rung - 1]
        advance()
        if done == count:
            best = search.best
            say(f"epoch {epochs}: {count} networks; best {_score(best)} with {described(best.settings)}")

    return tell


def _score(trial: Trial) -> str:
    return f"validation {trial.training.task.score_name} {trial.score:.3f}"


def described(settings: Settings) -> str:
    """What is tried, in one line.

    >>> described(Settings(hidden=(16, 16), dropout=0.1))
    '16,16 tanh, adam 0.01, dropout 0.1'
    """
    hidden = ",".join(map(str, settings.hidden)) or "none"
    parts = [f"{hidden} {settings.activation}", f"{settings.optimizer} {settings.rate:g}"]
    if settings.dropout:
        parts.append(f"dropout {settings.dropout:g}")
    if settings.weight_decay is not None:
        parts.append(f"weight decay {settings.weight_decay:g}")
    return ", ".join(parts)


def ranking(search: Search, most: int = SHOWN) -> str:
    """The networks that were trained as a table, the best first."""
    trained = [trial for trial in search.ranked() if trial.finished or trial.training.history]
    score = search.best.training.task.score_name
    rows = [["", "validation loss", score, "epochs", "parameters", "seconds", "network"]]
    for place, trial in enumerate(trained[:most], start=1):
        known = math.isfinite(trial.loss)
        quality = [f"{trial.loss:.4f}", f"{trial.score:.3f}"] if known else ["infinite", ""]
        size = [f"{len(trial.training.history)}", f"{trial.parameters}", f"{trial.seconds:.2f}"]
        rows.append([f"{place}", *quality, *size, described(trial.settings)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([*(cell.rjust(n) for cell, n in zip(row[:-1], widths, strict=False)), row[-1]])
        for row in rows
    ]
    rest = {"more": len(trained) - most, "not trained": len(search.trials) - len(trained)}
    return "\n".join(lines + [f"and {count} {what}" for what, count in rest.items() if count > 0])


def train_command(data: str, target: str, settings: Settings, save: Path) -> str:
    """The command that trains the same network to the same bits.

    >>> train_command("cars.csv", "price", Settings(hidden=(16,), seed=3), Path("cars.safetensors"))
    'chainrule train cars.csv --target price --hidden 16 --rate 0.01 --seed 3 --save cars.safetensors'
    """
    words = ["chainrule", "train", data, "--target", target]
    for one in fields(Settings):
        value = getattr(settings, one.name)
        if value != one.default and value is not None:
            words += ["--" + one.name.replace("_", "-"), _as_option(value)]
    return shlex.join([*words, "--save", str(save)])


def _as_option(value: Any) -> str:
    return (csv_line(value) or "none") if isinstance(value, tuple) else str(value)


def _tell_result(
    search: Search, files: OutputFiles, data: str, target: str, ended: str, as_json: bool
) -> None:
    training, best = search.finish(), search.best
    evaluation, importance = training.evaluate(), training.importance()
    training.save(files, evaluation, importance)
    again = train_command(data, target, best.settings, files.model)
    if as_json:
        result = {
            "model": str(files.model), "ended": ended, "command": again, "part": evaluation.part,
            "metrics": metrics_with_doubt(evaluation.metrics), "trials": [_as_json(one) for one in search.ranked()],
        }  # fmt: skip
        click.echo(json.dumps(result, ensure_ascii=False, indent=2))
        return
    if ended != "all":
        click.echo(
            f"{'interrupted' if ended == 'interrupted' else 'the time is over'}: the best so far is saved"
        )
    click.echo(f"\n{ranking(search)}\n")
    click.echo(f"{metrics_table(evaluation)}\n")
    click.echo(f"saved {files.model} and {files.curve}")
    click.echo(f"{'train it again' if best.finished else 'train it to the end'} with: {again}")


def _as_json(trial: Trial) -> dict[str, Any]:
    settings = {name: getattr(trial.settings, name) for name in CHOICES}
    shown = {"loss": trial.loss if math.isfinite(trial.loss) else None}
    shown[trial.training.task.score_name] = trial.score if math.isfinite(trial.score) else None
    history = trial.training.history
    return (
        shown | {"epochs": len(history), "seconds": trial.seconds, "parameters": trial.parameters} | settings
    )
