"""Files of a training run: where they go, and writing them so that nothing is ever half-written."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from chainrule.errors import OptionError, OutputError


class OutputFiles(NamedTuple):
    """The files that a training run writes."""

    model: Path
    curve: Path
    checkpoint: Path


def output_files(name: str, folder: str | Path | None = None, save: str | Path | None = None) -> OutputFiles:
    """Where the model and the loss curve of a run go, after making sure that they can be written there.

    Args:
        name: of the table; the files are ``name.safetensors`` and ``name.svg``.
        folder: where they go, made when the first is written; None is the current folder.
        save: the model's own path instead; the curve goes beside it.

    Raises:
        OptionError: both `folder` and `save`, or a `save` that does not end in .safetensors.
        OutputError: the folder cannot be written to, or a file's place is taken by a folder.
    """
    if folder is not None and save is not None:
        raise OptionError(f"give either the folder {folder} or the file {save} to save to, not both")
    model = Path(folder or ".") / f"{name}.safetensors" if save is None else Path(save)
    if model.suffix != ".safetensors":
        raise OptionError(f"the model's file must end in .safetensors, but {str(model)!r} does not")
    files = OutputFiles(model, model.with_suffix(".svg"), model.with_suffix(".checkpoint.safetensors"))
    require_writable(model.parent)
    for path in files:
        if path.is_dir():
            raise OutputError(f"{path} is a folder, so no file of that name can be written")
    return files


def require_writable(folder: Path) -> None:
    """Make sure that files can be written to a folder, or to the nearest that is there of those it lies in.

    Raises:
        OutputError: they cannot.
    """
    there = next((place for place in (folder, *folder.parents) if place.exists()), Path())
    if not there.is_dir():
        raise OutputError(f"{there} is a file, so nothing can be saved in it: give a folder")
    try:
        # Permission bits do not tell (root, read-only mounts, full disks); writing does.
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise _not_writable(folder, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, unless it is there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from error


def _not_writable(folder: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"nothing can be written to the folder {folder} ({reason}): choose another")
