"""TensorBoard: a callback that writes what it draws, in event files, by `tensorboardX`.

No thread writes in the background, as one does in that package's `SummaryWriter`, which waits for ever where a disk is
full.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from chainrule.errors import OptionError, OutputError
from chainrule.nn import Module
from chainrule.train.files import make_folder, require_writable
from chainrule.train.training import Epoch

logger = logging.getLogger("chainrule")

HISTOGRAMS = 20
"""About how often in a run the parameters are counted into histograms: that takes longer than a small epoch."""

BINS = 30

EVERY = 2.0
"""Seconds after which what was written can be seen by others."""


class TensorBoard:
    """A callback that writes a run into a folder that TensorBoard shows: ``tensorboard --logdir FOLDER``.

    For each epoch, the training and validation loss, the rate and the metric; for about `HISTOGRAMS` epochs, the
    distribution of each parameter of `model`; once, `texts` by their names. A run that is continued from a checkpoint
    goes on in the same folder: what an earlier one wrote of the same epochs is replaced. What cannot be written while
    a network is trained, because the disk is full, does not end the training: a warning is logged, once, and nothing
    more is written.

    Attributes:
        folder: where the event file goes; made with the first epoch. Each run needs its own.
        model: whose parameters are counted; None for none.
        score_name: what the metric is called.
        texts: notes by their names, such as the settings of the run, in Markdown.
        failed: whether something could not be written.

    Raises:
        OptionError: tensorboardX is not there.
        OutputError: the folder cannot be written to.

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
        self.failed = False
        self._records: Any = None
        self._flushed = 0.0

    def __call__(self, epoch: Epoch) -> None:
        """Write what is known of an epoch."""
        if self.failed:
            return
        try:
            if self._records is None:
                self._begin(epoch.number)
            for summary in self._summaries(epoch):
                self._write(epoch.number, summary=summary)
            if epoch.number == epoch.epochs or time.perf_counter() - self._flushed > EVERY:
                self._flush()
        except (OSError, OutputError) as error:
            self._give_up(error)

    def close(self) -> None:
        """Write the rest, and close the file."""
        records, self._records = self._records, None
        try:
            if records is not None:
                records.close()
        except OSError as error:
            self._give_up(error)

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
        # Two runs that begin in the same second, on machines that share the folder, have files of their own.
        own = f"{time.time():.0f}.{platform.node()}.{os.getpid()}.{time.perf_counter_ns()}"
        path = self.folder.absolute() / f"events.out.tfevents.{own}"
        self._records = self._library.record_writer.RecordWriter(str(path))
        self._write(step=0, file_version="brain.Event:2")
        # From here on this run counts, whatever another has written into the folder.
        log = self._library.proto.event_pb2.SessionLog
        self._write(step, session_log=log(status=log.START))
        for name, text in self.texts.items():
            self._write(step, summary=self._library.summary.text(name, text))
        self._flush()

    def _write(self, step: int, **content: Any) -> None:
        event = self._library.proto.event_pb2.Event(wall_time=time.time(), step=step, **content)
        self._records.write(event.SerializeToString())

    def _flush(self) -> None:
        self._records.flush()
        self._flushed = time.perf_counter()

    def _give_up(self, error: OSError | OutputError) -> None:
        self.failed, records, self._records = True, self._records, None
        with suppress(OSError):
            if records is not None:
                records.close()
        reason = getattr(error, "strerror", None) or error
        logger.warning("%s: what TensorBoard shows is not written any more: %s", self.folder, reason)


def _is_counted(epoch: Epoch) -> bool:
    every = math.ceil(epoch.epochs / HISTOGRAMS)
    return epoch.number % every == 0 or epoch.number in (1, epoch.epochs)


def _library() -> Any:
    """The package tensorboardX, which takes longer to import than a small network to train."""
    try:
        import tensorboardX.proto.event_pb2
        import tensorboardX.record_writer
        import tensorboardX.summary
    except ImportError as error:
        raise OptionError('TensorBoard needs tensorboardX: pip install "chainrule[tensorboard]"') from error
    return tensorboardX
