"""`torch.save` and `torch.load`: PyTorch's .pt files, without ever running what is in them.

Files are interchangeable with PyTorch's, both ways: what is saved here, PyTorch loads with
``weights_only=True``, and here is loaded what PyTorch loads so. Tensors, parameters, numbers, text, bytes,
dtypes, sizes, devices, and lists, tuples, sets and dicts of them can be saved; everything else is refused,
with advice. Tensors that share memory share it again when they are loaded.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from chainrule.files import replacing
from chainrule.torch.archive import Archive, storage_identity, write
from chainrule.torch.dtypes import check_device
from chainrule.torch.errors import ArgumentError, SavedFileError
from chainrule.torch.unpickling import Reader, Storage

MAGIC = 0x1950A86A20F9469CFC6C
"""The first number in a file of PyTorch before 1.6."""

FileLike = str | os.PathLike[str] | IO[bytes]


def save(
    obj: Any,
    f: FileLike,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Save an object to a file in PyTorch's format.

    A path holds, at any moment, either what it held before or all of the new file.

    Parameters
    ----------
    obj
        Tensors, a `state_dict()`, and containers of such things.
    f
        A path, or a file that is open for writing bytes.
    pickle_module, pickle_protocol, _use_new_zipfile_serialization
        As PyTorch's; only what it does by default is done here.

    Raises SavedFileError (a RuntimeError) where the object holds something that could not be loaded safely.

    >>> from chainrule import torch
    >>> file = io.BytesIO()
    >>> save({"weight": torch.ones(2), "epoch": 3}, file)
    >>> load(io.BytesIO(file.getvalue()))
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    if pickle_protocol != 2 or not _use_new_zipfile_serialization or pickle_module is not None:
        raise ArgumentError(
            "torch.save writes zip archives with pickles of protocol 2 only, by its own writer"
        )
    if isinstance(f, (str, os.PathLike)):
        path = Path(f)
        try:
            with replacing(path) as file:
                write(file, obj, path.name.partition(".")[0] or "archive")
        except OSError as error:
            if not path.parent.is_dir():
                raise SavedFileError(f"Parent directory {path.parent} does not exist.") from error
            raise SavedFileError(f"{path} cannot be written: {error.strerror or error}") from error
    elif hasattr(f, "write"):
        content = io.BytesIO()
        write(content, obj, "archive")
        f.write(content.getbuffer())
    else:
        raise ArgumentError(
            f"expected a path or a file that is open for writing bytes, but got {type(f).__name__}"
        )


def load(
    f: FileLike,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Load what `torch.save` has saved, here or in PyTorch. No code that a file may hold is ever run.

    Parameters
    ----------
    f
        A path, or a file that is open for reading bytes and can seek.
    map_location
        ``"cpu"``, for a file with tensors of a GPU; also a dict of locations, or a function, which is not
        called: all tensors are on the CPU here.
    pickle_module
        Must be None: no pickle module is used.
    weights_only, mmap, pickle_load_args
        Accepted, as PyTorch's; they change nothing. Only weights are ever loaded, and always into memory.

    Raises UnsafeFileError (a pickle.UnpicklingError) for a file that asks for more, and says for what;
    SavedFileError (a RuntimeError) for a file that is damaged or foreign.
    """
    if pickle_module is not None:
        raise ArgumentError(
            "torch.load never uses a pickle module: it reads tensors and containers by itself"
        )
    if isinstance(f, (str, os.PathLike)):
        with Path(f).open("rb") as file:
            return _loaded(file, map_location)
    if not hasattr(f, "read"):
        raise ArgumentError(
            f"expected a path or a file that is open for reading bytes, but got {type(f).__name__}"
        )
    if not (hasattr(f, "seek") and hasattr(f, "tell")):
        raise ArgumentError(
            "torch.load needs a file that can seek; read it into io.BytesIO(file.read()) first"
        )
    return _loaded(f, map_location)


def _loaded(file: IO[bytes], map_location: Any) -> Any:
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    placed = _placing(map_location)
    if not isinstance(head, bytes):
        raise ArgumentError("torch.load needs a file that is open for reading bytes: open it with mode 'rb'")
    if head == b"PK\x03\x04":
        return Archive(file if not start else io.BytesIO(file.read())).read(placed)
    if not head:
        raise SavedFileError("the file is empty")
    return _Legacy(io.BytesIO(file.read()), placed).read()


def _placing(map_location: Any) -> Callable[[str], None]:
    """A function that refuses the locations that this `map_location` does not bring to the CPU."""
    if isinstance(map_location, (dict, type(None))):
        mapping = map_location or {}

        def place(location: str) -> None:
            target = str(mapping.get(location, location))
            if target != "cpu":
                raise SavedFileError(
                    f"Attempting to deserialize object on the device {target}, but chainrule.torch "
                    "computes on the CPU. "
                    "Please use torch.load with map_location=torch.device('cpu') to map your storages "
                    "to the CPU."
                )

        return place
    if not callable(map_location):
        check_device(map_location)
    return lambda location: None


class _Legacy:
    """A file of PyTorch before 1.6: pickles one after the other, and then the storages."""

    def __init__(self, stream: io.BytesIO, placed: Callable[[str], None]) -> None:
        self.stream, self.placed = stream, placed
        self.left = len(stream.getbuffer())
        self.storages: dict[str, Storage] = {}

    def read(self) -> Any:
        """The object that was saved."""
        try:
            magic = Reader(self.stream).read()
        except (SavedFileError, RecursionError) as error:
            raise SavedFileError("the file was not written by torch.save, or is damaged") from error
        if magic != MAGIC:
            raise SavedFileError(
                "the file was not written by torch.save: it is a plain pickle, which could run code and "
                "is not loaded"
            )
        for _ in ("protocol", "system"):
            Reader(self.stream).read()
        result = Reader(self.stream, self._storage).read()
        for key in Reader(self.stream).read():
            self._fill(key)
        return result

    def _storage(self, identity: Any) -> Storage:
        """The storage that a tensor refers to; its content comes later in the file."""
        kind, key, location, count = storage_identity(identity, 6)
        self.placed(location)
        if identity[5] is not None:
            raise SavedFileError("the file has views of storages, as PyTorch before 0.4 wrote them")
        if key not in self.storages:
            size = count * (1 if kind is None else kind.itemsize)
            self.left -= size
            if self.left < 0:
                raise SavedFileError(f"the storage {key!r} claims {size} bytes, more than the file can hold")
            self.storages[key] = Storage(np.zeros(size, np.uint8), kind)
        return Storage(self.storages[key].memory, kind)

    def _fill(self, key: Any) -> None:
        memory, kind = self.storages.get(key, (None, None)) if isinstance(key, str) else (None, None)
        if memory is None:
            raise SavedFileError(f"the file has a storage {str(key)[:40]!r} that no tensor uses")
        count = int.from_bytes(self.stream.read(8), "little", signed=True)
        content = self.stream.read(memory.nbytes)
        if count * (1 if kind is None else kind.itemsize) != memory.nbytes or len(content) != memory.nbytes:
            raise SavedFileError(f"the file is cut off: the storage {key!r} is not complete")
        memory[...] = np.frombuffer(content, np.uint8)
