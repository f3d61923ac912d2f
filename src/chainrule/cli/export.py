"""`chainrule export`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import click

from chainrule.cli.program import traceback_option
from chainrule.errors import OptionError, OutputError
from chainrule.files import write_atomically
from chainrule.suggestions import did_you_mean
from chainrule.train import TableModel, load_model


@click.command("export")
@click.argument("model", metavar="MODEL")
@click.option("--to", "form", metavar="FORM", required=True, help="numpy or onnx.")
@click.option("--out", metavar="FILE", help="Where it goes.  [default: beside MODEL, ending in .py or .onnx]")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@traceback_option
def command(model: str, form: str, out: str | None, force: bool) -> None:
    """Write MODEL, a .safetensors file that `chainrule train` saved, for programs that do without chainrule.

    What is written takes the columns as they are in a table, with missing values and unknown categories, and predicts
    what `chainrule predict` does: numpy is a Python program that needs NumPy only, onnx a file for onnxruntime.
    """
    if form not in FORMS:
        raise OptionError(
            f"--to {form}: there is no such form{did_you_mean(form, FORMS)}: choose numpy or onnx"
        )
    suffix, content, usage = FORMS[form]
    trained = load_model(model)
    path = Path(model).with_suffix(suffix) if out is None else Path(out)
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the path of a file in it")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; give another name with --out, or --force to replace it")
    write_atomically(path, content(trained))
    click.echo(f"wrote {path}: {trained.name}, network {'-'.join(map(str, trained.sizes))}")
    click.echo(f"use it with: {usage(trained, path)}")


def _numpy(model: TableModel) -> bytes:
    from chainrule.export import numpy_source

    return numpy_source(model).encode()


def _onnx(model: TableModel) -> bytes:
    from chainrule.export import onnx

    content: bytes = onnx(model).SerializeToString()
    return content


def _in_python(model: TableModel, path: Path) -> str:
    name = path.stem if path.stem.isidentifier() else "…"
    columns = ", ".join(f"{column!r}: […]" for column in model.preparation.names[:2])
    return f"from {name} import predict; predict({{{columns}{', …' * (len(model.preparation.names) > 2)}}})"


def _in_onnxruntime(model: TableModel, path: Path) -> str:
    return f"onnxruntime.InferenceSession({shlex.quote(str(path))!r}).run(None, columns)"


FORMS: dict[str, tuple[str, Callable[[TableModel], bytes], Callable[[TableModel, Path], str]]] = {
    "numpy": (".py", _numpy, _in_python),
    "onnx": (".onnx", _onnx, _in_onnxruntime),
}
"""Each form's file ending, what is written, and how it is used."""
