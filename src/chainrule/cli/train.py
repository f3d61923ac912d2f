"""`chainrule train`."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from textwrap import indent
from typing import Any

import click

from chainrule import nn, optim
from chainrule.cli.program import INTERRUPTED, traceback_option
from chainrule.cli.progress import progress
from chainrule.cli.report import (
    columns_table,
    confusion_text,
    csv_line,
    folds_table,
    importance_text,
    metrics_table,
    metrics_with_doubt,
)
from chainrule.data import BUILT_IN, ClassTarget, built_in_file, is_path, open_table, table_file, table_name
from chainrule.errors import ModelFileError, OptionError
from chainrule.files import write_atomically
from chainrule.train import (
    Evaluation,
    OutputFiles,
    Settings,
    TableTraining,
    TensorBoard,
    averaged,
    checkpoint_settings,
    config_text,
    hidden_sizes,
    output_files,
    read_config,
    settings_of,
    without_test,
)

EPILOG = "Built-in tables: " + "; ".join(f"{name}: {table.title}" for name, table in BUILT_IN.items()) + "."

STREAMED = 512 << 20
"""Bytes of a file from which its rows stay on disk."""

CHECKPOINT = ".checkpoint.safetensors"

JOB = ("data", "target", "stream")
"""What a configuration says beside the settings."""


def _number_or(kind: str) -> Callable[[Any, Any, str | None], float | str | None]:
    def read(_: Any, __: Any, text: str | None) -> float | str | None:
        if text is None:
            return None
        try:
            return float(text)
        except ValueError:
            if kind == "file" or text == kind:
                return text
            raise click.BadParameter(f"{text!r} is neither a number nor {kind}") from None

    return read


def _names(_: Any, __: Any, text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(next(csv.reader([text], skipinitialspace=True), []))


RATES = ", ".join(f"{name} {rule.rate:g}" for name, rule in optim.RULES.items())

OPTIONS: dict[str, tuple[str, Any, str]] = {
    "--target": ("COLUMN", str, "The column to predict; a built-in table has one."),
    "--header": (
        "CHOICE",
        str,
        "Whether the first line has the columns' names: yes, no, or auto, found out.  [default: auto]",
    ),
    "--task": ("NAME", str, "classification or regression.  [default: by the target]"),
    "--numeric": ("COLUMNS", _names, "Columns to take as numbers, and what is none there as missing."),
    "--category": ("COLUMNS", _names, "Columns to take as categories."),
    "--date": ("COLUMNS", _names, "Columns to take as dates."),
    "--leave-out": ("COLUMNS", _names, "Columns not to use."),
    "--hidden": ("WIDTHS", str, "Widths of the hidden layers, such as 8,8, or none.  [default: 8]"),
    "--activation": ("NAME", str, f"Between layers: {', '.join(nn.ACTIVATIONS)}.  [default: tanh]"),
    "--dropout": ("SHARE", float, "Share of hidden values that are dropped while training.  [default: 0]"),
    "--optimizer": ("NAME", str, f"Update rule: {', '.join(optim.RULES)}.  [default: adam]"),
    "--rate": (
        "RATE",
        _number_or("auto"),
        f"Learning rate; auto searches one.  [default: by optimizer, {RATES}]",
    ),
    "--schedule": ("NAME", str, f"Of the rate: {', '.join(optim.SCHEDULES)}.  [default: constant]"),
    "--weight-decay": ("RATE", float, "Pull of the weights to 0.  [default: the optimizer's own]"),
    "--class-weight": ("balanced", str, "Let all classes count alike, however many rows they have."),
    "--epochs": ("NUMBER", int, "Passes over the rows.  [default: 200]"),
    "--batch": ("ROWS", int, "Rows in a mini-batch.  [default: 16, more for thousands of rows]"),
    "--patience": (
        "EPOCHS",
        int,
        "Stop after so many without a lower validation loss; 0 for never.  [default: 50]",
    ),
    "--validation": (
        "PART",
        _number_or("file"),
        "Fraction of the rows, or a file of rows, that chooses the epoch to keep.  [default: 0.2]",
    ),
    "--test": (
        "PART",
        _number_or("file"),
        "Fraction of the rows, or a file of rows, that only measures the result.  [default: 0.2]",
    ),
    "--folds": ("NUMBER", int, "Measure by cross-validation of so many folds."),
    "--compile": ("CHOICE", str, "Steps as native code: auto, where it pays; yes; no.  [default: auto]"),
    "--seed": ("NUMBER", int, "Of everything random: the same seed, the same result.  [default: 0]"),
}
"""The options that `Settings` has, and the target: what stands for the value, how it is read, what it means."""

READ_BY_CLICK = (str, int, float)


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, (metavar, read, text) in reversed(OPTIONS.items()):
        how = {"type": read} if read in READ_BY_CLICK else {"callback": read}
        command = click.option(name, metavar=metavar, help=text, **how)(command)
    return command


@dataclass
class Job:
    """What is to be trained, where its files go, and how it is told."""

    data: str
    target: str | None
    settings: Settings
    stream: bool
    files: OutputFiles
    every: int
    say: Callable[[str], object]
    resume: str | None = None
    board: TensorBoard | None = None

    @property
    def origin(self) -> dict[str, Any]:
        """What a checkpoint keeps, to make this job again."""
        return {
            "data": self.data,
            "target": self.target,
            "stream": self.stream,
            "every": self.every,
            "settings": asdict(self.settings),
        }


@click.command("train", epilog=EPILOG)
@click.argument("data", metavar="DATA", required=False)
@_with_options
@click.option("--stream", is_flag=True, help="Leave the rows on disk, for files larger than memory.")
@click.option("--out", metavar="FOLDER", help="Where the model and its pictures go.  [default: here]")
@click.option(
    "--save", metavar="FILE", help="The model's file, ending in .safetensors; the pictures go beside it."
)
@click.option(
    "--checkpoint-every", type=click.IntRange(min=1), metavar="EPOCHS", help="Write a checkpoint so often."
)
@click.option("--resume", metavar="FILE", help="Continue the run of a checkpoint, to the same bits.")
@click.option("--config", metavar="FILE", help="A TOML file with these options; those given here come first.")
@click.option("--write-config", metavar="FILE", help="Write such a file with the options of this run.")
@click.option("--tensorboard", metavar="FOLDER", help="Write what TensorBoard shows, a folder for each run.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
@traceback_option
@click.pass_context
def command(
    ctx: click.Context, /, as_json: bool, resume: str | None, tensorboard: str | None, **given: Any
) -> None:
    """Train a network on DATA: a built-in table by name, or a .csv, .parquet or .npz file with --target COLUMN."""
    say: Callable[[str], object] = (lambda text: None) if as_json else click.echo
    options = {name: value for name, value in given.items() if value is not None and value is not False}
    job = _resumed(resume, options, say) if resume else _new(options, say)
    job.board = TensorBoard(tensorboard) if tensorboard else None
    training, folds = _prepared(job)
    _introduce(job, training)
    interrupted = _fitted(job, training, quiet=as_json)
    evaluation, importance = training.evaluate(), training.importance()
    total = averaged(folds, evaluation) if folds else None
    training.save(job.files, evaluation, importance, total)
    evaluation = total or evaluation
    if not interrupted:
        job.files.checkpoint.unlink(missing_ok=True)
    if as_json:
        click.echo(json.dumps(_as_json(job, training, evaluation, importance, folds), ensure_ascii=False))
    else:
        _report(training, evaluation, importance, folds, interrupted)
        _tell_files(job, training, interrupted)
    if interrupted:
        ctx.exit(INTERRUPTED)


# what is to be done ----------------------------------------------------------------------------------------------


def _new(options: dict[str, Any], say: Callable[[str], object]) -> Job:
    if "hidden" in options:
        options["hidden"] = hidden_sizes(options["hidden"])
    if "config" in options:
        options = read_config(options["config"], JOB) | options
    known = [f.name for f in fields(Settings)]
    settings = settings_of({name: value for name, value in options.items() if name in known})
    data, target, stream = options.get("data"), options.get("target"), bool(options.get("stream"))
    if not isinstance(data, str) or not isinstance(target, str | None):
        raise OptionError(
            f"say what to train on: a file, or one of the built-in tables {', '.join(BUILT_IN)}"
        )
    files = output_files(table_name(data), options.get("out"), options.get("save"))
    if "write_config" in options:
        job = {"data": data, "target": target, "stream": stream or None}
        write_atomically(Path(options["write_config"]), config_text(job | vars(settings)).encode())
    return Job(data, target, settings, stream, files, options.get("checkpoint_every", 0), say)


def _resumed(path: str, options: dict[str, Any], say: Callable[[str], object]) -> Job:
    others = sorted(options.keys() - {"data"})
    if others:
        names = ", ".join("--" + name.replace("_", "-") for name in others)
        raise OptionError(f"--resume continues a run as it began: it takes no {names}")
    if not path.endswith(CHECKPOINT):
        raise OptionError(f"--resume {path}: a checkpoint's name ends in {CHECKPOINT}")
    saved = checkpoint_settings(path)
    try:
        data, target = saved["data"], saved["target"]
        settings, every, stream = settings_of(saved["settings"]), int(saved["every"]), bool(saved["stream"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(
            f"{path} does not say what was trained: it is no checkpoint of `chainrule train`"
        ) from error
    # Beside the checkpoint, whatever it says: a file from elsewhere must not choose where to write.
    files = output_files(
        "", None, Path(path).with_name(Path(path).name.removesuffix(CHECKPOINT) + ".safetensors")
    )
    return Job(options.get("data", data), target, settings, stream, files, every, say, resume=path)


def _prepared(job: Job) -> tuple[TableTraining, list[Evaluation]]:
    """The training, and what cross-validation said, if it was asked for."""
    settings, folds = job.settings, []
    if _is_streamed(job):
        file = table_file(job.data, settings.has_header) if is_path(job.data) else built_in_file(job.data)
        how, target = file.how, job.target or (BUILT_IN[job.data].target if job.data in BUILT_IN else None)
        if target is None:
            known = ", ".join(file.names)
            raise OptionError(f"{job.data}: say which column to predict: its columns are {known}")
        training = TableTraining.streamed(file, target, settings)
    else:
        table, target = open_table(
            job.data, job.target, settings.forms, settings.leave_out, settings.has_header
        )
        how = table.how
        if settings.folds:
            folds = _cross_validated(job, TableTraining.folds(table, target, settings))
            settings = without_test(settings)
        training = TableTraining.prepare(table, target, settings)
    if how:
        job.say(f"read as: {how}")
    training.checkpoint, training.checkpoint_every = job.files.checkpoint, job.every
    training.origin = job.origin
    if job.resume:
        training.resume(job.resume)
    return training, folds


def _is_streamed(job: Job) -> bool:
    path = Path(job.data)
    return job.stream or (is_path(job.data) and path.is_file() and path.stat().st_size >= STREAMED)


def _cross_validated(job: Job, runs: Any) -> list[Evaluation]:
    found = []
    for number, run in enumerate(runs, start=1):
        run.find_rate()
        if run.fit():
            raise KeyboardInterrupt
        found.append(run.evaluate())
        shown = f"{run.task.score_name} {found[-1].metrics[run.task.score_name]:.3f}"
        job.say(f"fold {number}/{job.settings.folds}  {shown}  ({len(run.history)} epochs)")
    return found


def _fitted(job: Job, training: TableTraining, quiet: bool) -> bool:
    """Train, and show it; returns whether it was interrupted."""
    score = training.task.score_name
    with progress(training.settings.epochs, score, quiet) as show:
        if job.board is None:
            return training.fit([show])
        job.board.model, job.board.score_name = training.network, score
        job.board.texts = {
            "network": training.summary(),
            # Four spaces make a line code in Markdown.
            "settings": indent(config_text(asdict(training.settings)), "    "),
        }
        with job.board as board:
            return training.fit([board, show])


# what is told ----------------------------------------------------------------------------------------------------


def _introduce(job: Job, training: TableTraining) -> None:
    job.say(training.summary())
    for line in columns_table(training.parts):
        job.say(line)
    for note in training.parts.notes:
        job.say(note)
    job.say(str(training.check_gradients()))
    if job.resume:
        job.say(f"continued after epoch {len(training.history)} of {job.resume}")
        return
    rate = training.find_rate()
    if rate is not None:
        job.say(f"rate {rate:g}: of those tried, the loss fell most with it")


def _report(
    training: TableTraining,
    evaluation: Evaluation,
    importance: dict[str, float],
    folds: list[Evaluation],
    interrupted: bool,
) -> None:
    assert training.kept is not None
    done, planned = len(training.history), training.settings.epochs
    if interrupted:
        click.echo(f"interrupted after epoch {done} of {planned}; the best so far is saved")
    elif done < planned:
        click.echo(
            f"stopped after epoch {done}: no lower validation loss in {training.settings.patience} epochs"
        )
    lowest = f"the lowest validation loss, {training.kept.validation_loss:.3g}"
    click.echo(f"kept the weights of epoch {training.kept.number}, with {lowest}\n")
    if folds:
        click.echo(folds_table(folds) + "\n")
    else:
        click.echo(metrics_table(evaluation) + "\n")
    if evaluation.part == "validation":
        click.echo(
            "these rows chose the epoch, so the figures flatter; --test 0.2 keeps rows that choose nothing\n"
        )
    if evaluation.confusion is not None and isinstance(training.parts.preparation.target, ClassTarget):
        click.echo(confusion_text(evaluation.confusion, training.parts.preparation.target.classes) + "\n")
    click.echo(importance_text(importance, training.task.score_name) + "\n")


def _tell_files(job: Job, training: TableTraining, interrupted: bool) -> None:
    kind = "ROC" if isinstance(training.parts.preparation.target, ClassTarget) else "predicted against true"
    click.echo(f"saved {job.files.model} and {job.files.curve} (loss curve, {kind}, importance)")
    if job.board and not job.board.failed:
        click.echo(f"see the run with: tensorboard --logdir {shlex.quote(str(job.board.folder))}")
    if interrupted:
        again = ["chainrule", "train", "--resume", str(job.files.checkpoint)]
        again += ["--tensorboard", str(job.board.folder)] if job.board else []
        click.echo(f"continue with: {shlex.join(again)}")
    row = shlex.quote(csv_line(training.example_row()))
    click.echo(f"predict with: chainrule predict {shlex.quote(str(job.files.model))} --row {row}")


def _as_json(
    job: Job,
    training: TableTraining,
    evaluation: Evaluation,
    importance: dict[str, float],
    folds: list[Evaluation],
) -> dict[str, Any]:
    assert training.kept is not None
    return {
        "model": str(job.files.model),
        "picture": str(job.files.curve),
        "rows": training.parts.rows,
        "sizes": training.sizes,
        "epochs": len(training.history),
        "kept_epoch": training.kept.number,
        "rate": training.run.rate,
        "part": evaluation.part,
        "metrics": metrics_with_doubt(evaluation.metrics),
        "baselines": {name: metrics_with_doubt(values) for name, values in evaluation.baselines.items()},
        "folds": [metrics_with_doubt(fold.metrics) for fold in folds],
        "importance": importance,
        "left_out": dict(training.parts.preparation.left_out),
        "notes": training.parts.notes,
    }
