"""Writing files so that none is ever half-written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from chainrule.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows, where what a killed process left stays
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when the body has written it all.

    What a process that was killed while it wrote to `path` has left is removed. Raises OSError where the file cannot
    be written; what was at `path` before is unchanged then.
    """
    _remove_abandoned(path)
    # In the same folder, because a rename across file systems is a copy.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with _claimed(temporary):
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its path holds, at any moment, either what it held before or all of `content`.

    Raises OutputError where it cannot be written; what was there before is unchanged.
    """
    try:
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def _claimed(temporary: Path) -> Iterator[None]:
    """A new file that `_remove_abandoned` lets live while the body runs.

    A lock says so, and not the process's number in the name: that is given out again, and counts in its container only.
    """
    if fcntl is None:
        yield
        return
    handle = _locked(temporary)
    try:
        yield
    finally:
        os.close(handle)


def _locked(temporary: Path) -> int:
    while True:
        handle = os.open(temporary, os.O_CREAT | os.O_RDWR, 0o666)
        with suppress(OSError):  # a file system without locks, where nothing is taken for abandoned
            fcntl.flock(handle, fcntl.LOCK_EX)
        # It may have been removed before it was locked.
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files of `path` that no process holds any more."""
    if fcntl is None:
        return
    ours = re.compile(rf"\.{re.escape(path.name)}\.\d+-[0-9a-f]{{8}}\.part")
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if ours.fullmatch(entry.name):
                _remove_if_free(entry.path)


def _remove_if_free(temporary: str) -> None:
    with suppress(OSError):
        handle = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(temporary)
        finally:
            os.close(handle)
