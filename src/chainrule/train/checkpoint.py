"""Checkpoints: a training run on disk, between two epochs, so that it can be continued to the same bits.

A checkpoint is a safetensors file: the arrays of the model and of the optimizer, and as JSON the history and the
state of every random generator. Reading one never runs code, and every field is checked before anything changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from chainrule.errors import ModelFileError, OptimizerStateError, StateError
from chainrule.files import write_atomically
from chainrule.nn import Module
from chainrule.train.record import Record
from chainrule.train.training import Epoch, Training

KEY, VERSION = "chainrule checkpoint", 1
MODEL, OPTIMIZER, EXTRA = "model.", "optimizer.", "extra."


def save_checkpoint(
    run: Training,
    path: str | Path,
    *,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write the state of a run to a file, atomically: a crash at any moment leaves the last whole one.

    `arrays` and `settings` (JSON values) are kept with it, for the caller.

    Raises:
        OutputError: the file cannot be written; what was there is unchanged.
    """
    optimizer = run.optimizer.state_dict()
    numbers = {name: value for name, value in optimizer.items() if not isinstance(value, np.ndarray)}
    description = {
        "version": VERSION,
        "rate": run.rate,
        "optimizer": numbers,
        "history": [
            [None if isinstance(x, float) and x != x else x for x in astuple(e)] for e in run.history
        ],
        "generators": {name: _plain(g.bit_generator.state) for name, g in _generators(run)},
        "settings": dict(settings or {}),
    }
    content = (
        {MODEL + name: value for name, value in _model_state(run).items()}
        | {OPTIMIZER + name: value for name, value in optimizer.items() if name not in numbers}
        | {EXTRA + name: value for name, value in (arrays or {}).items()}
    )
    contiguous = {name: np.ascontiguousarray(value) for name, value in content.items()}
    write_atomically(Path(path), save(contiguous, {KEY: json.dumps(description)}))


def load_checkpoint(run: Training, path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Put the state in a file into a run that was made as the saved one was; returns its `arrays` and `settings`.

    Raises:
        ModelFileError: the file is missing, damaged, or of another kind of run; the run is unchanged.

    >>> import tempfile
    >>> from chainrule import data, nn, optim
    >>> def new():
    ...     model, order = nn.Linear(1, 1, generator=0), np.random.default_rng(0)
    ...     x = np.linspace(-1, 1, 20)[:, None]
    ...     optimizer = optim.Optimizer(model.parameters(), "adam")
    ...     return Training(model, data.Examples(x, 3 * x), None, nn.mean_squared_error, optimizer, 4, order=order)
    >>> whole, first, second = new(), new(), new()
    >>> _ = whole.run(), first.run([lambda epoch: epoch.number == 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(first, Path(folder) / "half.safetensors")
    ...     _ = load_checkpoint(second, Path(folder) / "half.safetensors")
    >>> _ = second.run()
    >>> bool(second.model.weight.data == whole.model.weight.data)
    True
    """
    record, arrays = _opened(Path(path))
    history, rate = [_epoch(values, record) for values in record.list("history")], record.number("rate")
    settings = record.record("settings").fields
    states = _generator_states(run, record)
    _restore(run, record, arrays)
    for generator, state in states:
        generator.bit_generator.state = state
    run.history, run.rate = history, rate
    return _under(EXTRA, arrays), settings


def checkpoint_settings(path: str | Path) -> dict[str, Any]:
    """The `settings` of a checkpoint: what is needed to make the run that it can be loaded into.

    Raises:
        ModelFileError: the file is missing, damaged, or no checkpoint.
    """
    return _opened(Path(path))[0].record("settings").fields


def _opened(path: Path) -> tuple[Record, dict[str, NDArray[Any]]]:
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise ModelFileError(f"{path} is a safetensors file, but no checkpoint of a training")
            record = Record.parse(text, str(path))
            _check_version(record)
            return record, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is damaged, missing or no checkpoint ({error})") from error


class Snapshot:
    """The state of a run after its last whole epoch, in memory; a callback, for what ends in the middle of one.

    What has happened since, an interrupt leaves half done: `restore` undoes it.
    """

    def __init__(self, run: Training) -> None:
        self.run = run
        self._take()

    def __call__(self, epoch: Epoch) -> None:
        """Remember the state after an epoch."""
        self._take()

    def _take(self) -> None:
        run = self.run
        self._model, self._optimizer = _model_state(run), run.optimizer.state_dict()
        self._generators = [(g, g.bit_generator.state) for _, g in _generators(run)]
        self._epochs, self._rate = len(run.history), run.rate

    def restore(self) -> None:
        """Put that state back."""
        run = self.run
        _load_model_state(run, self._model)
        run.optimizer.load_state_dict(self._optimizer)
        for generator, state in self._generators:
            generator.bit_generator.state = state
        del run.history[self._epochs :]
        run.rate = self._rate


def _restore(run: Training, record: Record, arrays: dict[str, NDArray[Any]]) -> None:
    """Both or neither of model and optimizer."""
    optimizer, before = run.optimizer, run.optimizer.state_dict()
    try:
        optimizer.load_state_dict(_under(OPTIMIZER, arrays) | record.record("optimizer").fields)
        _load_model_state(run, _under(MODEL, arrays))
    except (OptimizerStateError, StateError) as error:
        optimizer.load_state_dict(before)
        raise ModelFileError(f"{record.file} is the checkpoint of another run: {error}") from error


def _check_version(record: Record) -> None:
    version = record.integer("version")
    if version != VERSION:
        raise ModelFileError(f"{record.file} has checkpoint format {version}; this chainrule reads {VERSION}")


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _epoch(values: Any, record: Record) -> Epoch:
    names = [f.name for f in fields(Epoch)]
    if not isinstance(values, list) or len(values) != len(names):
        raise ModelFileError(f"{record.file}: an epoch in its history is not {len(names)} values: {values!r}")
    known = dict(zip(names, values, strict=True))
    for name, value in known.items():
        if value is None and name != "score":
            known[name] = float("nan")
        elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ModelFileError(f"{record.file}: {name} of an epoch in its history is {value!r}, no number")
    return Epoch(**known)


# the model ---------------------------------------------------------------------------------------------------


def _model_state(run: Training) -> dict[str, NDArray[Any]]:
    if isinstance(run.model, Module):
        return run.model.state_dict()
    return {str(i): np.array(parameter.data) for i, parameter in enumerate(run.optimizer.parameters)}


def _load_model_state(run: Training, state: dict[str, NDArray[Any]]) -> None:
    if isinstance(run.model, Module):
        run.model.load_state_dict(state)
        return
    expected = _model_state(run)
    shapes = {name: (value.shape, value.dtype) for name, value in expected.items()}
    if shapes != {name: (value.shape, value.dtype) for name, value in state.items()}:
        raise StateError("its parameters have other shapes or types")
    for i, parameter in enumerate(run.optimizer.parameters):
        parameter.data = state[str(i)]


# random generators -----------------------------------------------------------------------------------------


def _generators(run: Training) -> Iterator[tuple[str, np.random.Generator]]:
    """Every generator of the run by name: the order of rows, and those of layers such as dropout."""
    if run.order is not None:
        yield "order", run.order
    if isinstance(run.model, Module):
        for i, module in enumerate(run.model.modules()):
            for name, value in vars(module).items():
                if isinstance(value, np.random.Generator):
                    yield f"module {i} {name}", value


def _plain(state: Any) -> Any:
    """The state of a generator as JSON; arrays become lists."""
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state


def _generator_states(run: Training, record: Record) -> list[tuple[np.random.Generator, Any]]:
    saved, generators = record.record("generators").fields, dict(_generators(run))
    if saved.keys() != generators.keys():
        raise ModelFileError(f"{record.file} is the checkpoint of another run: its random generators differ")
    for name, generator in generators.items():
        trial = type(generator.bit_generator)()
        try:
            trial.state = saved[name]
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise ModelFileError(f"{record.file}: the state of its generator {name!r} is damaged") from error
    return [(generator, saved[name]) for name, generator in generators.items()]
