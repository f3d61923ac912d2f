"""TensorBoard: a callback that writes what it draws, in the event files of `tensorboardX`.

No thread writes in the background, as one does in that package's `SummaryWriter`: where a disk is full, the training
is told, and does not wait for ever.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from chainrule.errors import OptionError, OutputError
from chainrule.nn import Module
from chainrule.train.files import make_folder, require_writable
from chainrule.train.training import Epoch

HISTOGRAMS = 20
"""About how often in a run the parameters are counted into histograms: that takes longer than a small epoch."""

BINS = 30

EVERY = 2.0
"""Seconds after which what was written can be seen by others."""


class TensorBoard:
    """A callback that writes a run into a folder that TensorBoard shows: ``tensorboard --logdir FOLDER``.

    For each epoch, the training and validation loss, the rate and the metric; for about `HISTOGRAMS` epochs, the
    distribution of each parameter of `model`; once, `texts` by their names. A run that is continued from a checkpoint
    goes on in the same folder: what an earlier one wrote of the same epochs is replaced.

    Attributes:
        folder: where the event file goes; made with the first epoch. Each run needs its own.
        model: whose parameters are counted; None for none.
        score_name: what the metric is called.
        texts: notes by their names, such as the settings of the run, in Markdown.

    Raises:
        OptionError: tensorboardX is not there.
        OutputError: the folder cannot be written to; also later, when the disk is full.

    >>> import tempfile
    >>> from chainrule import data, nn, optim, train
    >>> table, target = data.open_table("iris")
    >>> training = train.TableTraining.prepare(table, target, train.Settings(epochs=3))
    >>> with tempfile.TemporaryDirectory() as folder, TensorBoard(folder, training.network) as board:
    ...     interrupted = training.fit([board])
    ...     files = [path.name[:20] for path in Path(folder).iterdir()]
    >>> files
    ['events.out.tfevents.']
    """

    def __init__(
        self,
        folder: str | Path,
        model: Module | None = None,
        *,
        score_name: str = "score",
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.model = Path(folder), model
        self.score_name, self.texts = score_name, dict(texts or {})
        self._library = _library()
        require_writable(self.folder)
        self._events: Any = None
        self._flushed = 0.0

    def __call__(self, epoch: Epoch) -> None:
        """Write what is known of an epoch."""
        try:
            if self._events is None:
                self._begin(epoch.number)
            for summary in self._summaries(epoch):
                self._write(epoch.number, summary=summary)
            if epoch.number == epoch.epochs or time.perf_counter() - self._flushed > EVERY:
                self._flush()
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Write the rest, and close the file."""
        if self._events is None:
            return
        try:
            self._events.close()
        except OSError as error:
            raise self._refused(error) from error
        self._events = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what is written ------------------------------------------------------------------------------------------

    def _summaries(self, epoch: Epoch) -> Iterator[Any]:
        numbers = {
            "loss/training": epoch.training_loss,
            "loss/validation": epoch.validation_loss,
            f"validation/{self.score_name}": epoch.score,
            "rate": epoch.rate,
        }
        for name, value in numbers.items():
            if value is not None and not math.isnan(value):
                yield self._library.summary.scalar(name, value)
        if self.model is not None and _is_counted(epoch):
            for name, parameter in self.model.named_parameters():
                if parameter.size:
                    yield self._library.summary.histogram(f"parameters/{name}", parameter.data, BINS)

    # the file -------------------------------------------------------------------------------------------------

    def _begin(self, step: int) -> None:
        make_folder(self.folder)
        # Its name has the second in which it begins: two runs need more to tell them apart.
        own = f".{os.getpid()}.{time.perf_counter_ns()}"
        self._events = self._library.event_file_writer.EventsWriter(
            str(self.folder.absolute() / "events"), own
        )
        # From here on this run counts, whatever another has written into the folder.
        log = self._library.proto.event_pb2.SessionLog
        self._write(step, session_log=log(status=log.START))
        for name, text in self.texts.items():
            self._write(step, summary=self._library.summary.text(name, text))
        self._flush()

    def _write(self, step: int, **content: Any) -> None:
        event = self._library.proto.event_pb2.Event(wall_time=time.time(), step=step, **content)
        self._events.write_event(event)

    def _flush(self) -> None:
        self._events.flush()
        self._flushed = time.perf_counter()

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.folder}: what TensorBoard shows cannot be written: {error.strerror or error}"
        )


def _is_counted(epoch: Epoch) -> bool:
    every = math.ceil(epoch.epochs / HISTOGRAMS)
    return epoch.number % every == 0 or epoch.number in (1, epoch.epochs)


def _library() -> Any:
    """The package tensorboardX, which takes longer to import than a small network to train."""
    try:
        import tensorboardX.event_file_writer
        import tensorboardX.proto.event_pb2
        import tensorboardX.summary
    except ImportError as error:
        raise OptionError('TensorBoard needs tensorboardX: pip install "chainrule[tensorboard]"') from error
    return tensorboardX
