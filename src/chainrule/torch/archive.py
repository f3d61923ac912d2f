"""The zip archives that .pt files are: a pickle and the storages, uncompressed, at multiples of 64 bytes."""

from __future__ import annotations

import io
import math
import os
import struct
import sys
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from chainrule.inplace import owner_of
from chainrule.torch.dtypes import dtype
from chainrule.torch.errors import SavedFileError
from chainrule.torch.pickling import Writer
from chainrule.torch.tensors import Tensor
from chainrule.torch.unpickling import Reader, Storage, StorageType

ALIGNMENT = 64
FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, so that the same tensors make the same file."""


class Memory:
    """The storages of what is being saved: each piece of memory once, whatever tensors show of it."""

    def __init__(self) -> None:
        self.keys: dict[tuple[int, str], tuple[str, np.ndarray]] = {}
        self.kept: list[np.ndarray] = []

    def key_of(self, tensor: Tensor) -> tuple[str, int, tuple[int, ...], int]:
        """The key of a tensor's storage, its offset and strides in it, and the length of the storage."""
        array = tensor._data
        whole = _whole(array)
        if whole is None:  # save a copy of what is seen
            array = np.array(array, order="C")
            whole = array.reshape(-1).view(np.uint8)
        self.kept.append(whole)  # an id is one memory's own only as long as that lives
        key, _ = self.keys.setdefault((_address(whole), array.dtype.str), (str(len(self.keys)), whole))
        width = array.dtype.itemsize
        offset = (_address(array) - _address(whole)) // width if array.size else 0
        return key, offset, tuple(stride // width for stride in _strides(array)), whole.nbytes // width


def _whole(array: np.ndarray) -> np.ndarray | None:
    """The bytes of all the memory that an array is a view of; None where it is no view PyTorch could have."""
    owner, width = owner_of(array), array.dtype.itemsize
    vector = owner.reshape(-1, order="A")
    if (
        not owner.size
        or _address(vector) != _address(owner)
        or owner.nbytes % width
        or not array.dtype.isnative
    ):
        return None
    distances = (*array.strides, _address(array) - _address(owner))
    return None if any(n < 0 or n % width for n in distances) else vector.view(np.uint8)


def _strides(array: np.ndarray) -> tuple[int, ...]:
    """The strides in bytes; of an empty array those that PyTorch gives it."""
    if array.size:
        return array.strides
    lengths = [max(n, 1) for n in array.shape]
    return tuple(array.dtype.itemsize * math.prod(lengths[i + 1 :]) for i in range(array.ndim))


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def write(file: IO[bytes], value: Any, name: str) -> None:
    """Write an object to an open file, under the folder `name` inside the archive."""
    memory = Memory()
    pickled = Writer(memory.key_of).written(value)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, f"{name}/data.pkl", pickled)
        _add(archive, f"{name}/.format_version", b"1")
        _add(archive, f"{name}/.storage_alignment", str(ALIGNMENT).encode())
        _add(archive, f"{name}/byteorder", sys.byteorder.encode())
        for key, whole in memory.keys.values():
            _add(archive, f"{name}/data/{key}", memoryview(whole))  # type: ignore[arg-type]
        _add(archive, f"{name}/version", b"3\n")


def _add(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    entry = zipfile.ZipInfo(name, FIRST_DAY)
    entry.external_attr = 0o600 << 16
    assert archive.fp is not None
    start = archive.fp.tell() + 30 + len(name.encode()) + 4
    padding = -start % ALIGNMENT
    entry.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    archive.writestr(entry, content)


class Archive:
    """An archive that is being read. Nothing of it is ever written to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0, os.SEEK_END)
        self.size = self.left = file.tell()
        try:
            self.zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, OverflowError, struct.error, NotImplementedError) as error:
            raise SavedFileError(
                f"the file is cut off or damaged, and cannot be read as a zip archive: {error}"
            ) from error
        names = [entry.filename for entry in self.zip.infolist()]
        found = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(set(names)) != len(names) or len(found) != 1:
            raise SavedFileError(
                "the file is a zip archive, but was not written by torch.save: "
                + ("it has entries of the same name" if found else "it has no data.pkl")
            )
        self.folder = found[0].removesuffix("data.pkl")
        if f"{self.folder}constants.pkl" in names:
            raise SavedFileError(
                "the file is a TorchScript program, written by torch.jit.save; it holds code, which is "
                "not loaded"
            )
        order = self.entry("byteorder") if f"{self.folder}byteorder" in names else sys.byteorder.encode()
        if order not in (b"little", b"big"):
            raise SavedFileError(f"the file has its bytes in the order {order[:20]!r}")
        self.swapped = order.decode() != sys.byteorder
        self.storages: dict[tuple[str, dtype | None], np.ndarray] = {}

    def entry(self, name: str) -> bytes:
        """The content of one entry."""
        full = self.folder + name
        try:
            info = self.zip.getinfo(full)
        except KeyError:
            raise SavedFileError(f"the file is damaged: it has no entry {full!r}") from None
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise SavedFileError(
                f"the entry {full!r} is compressed or encrypted, which torch.save never does"
            )
        self.left -= info.file_size
        if info.compress_size != info.file_size or self.left < 0:  # also of entries that overlap
            raise SavedFileError(
                f"the entry {full!r} claims {info.file_size} bytes, more than the file can hold"
            )
        try:
            content = self.zip.read(info)
        except (
            zipfile.BadZipFile,
            EOFError,
            OSError,
            ValueError,
            RuntimeError,
            NotImplementedError,
            zlib.error,
        ) as error:
            raise SavedFileError(f"the entry {full!r} is damaged: {error}") from error
        if len(content) != info.file_size:
            raise SavedFileError(f"the entry {full!r} is cut off")
        return content

    def storage(self, key: str, kind: dtype | None, count: int) -> Storage:
        """The storage with that key, of `count` elements."""
        width = 1 if kind is None else kind.itemsize
        known = self.storages.get((key, kind)) if self.swapped else self.storages.get((key, None))
        if known is None:
            known = np.frombuffer(self.entry(f"data/{key}"), np.uint8).copy()
            if self.swapped and kind is not None:
                known = known[: len(known) // width * width].view(kind.dtype).byteswap().view(np.uint8)
            self.storages[key, kind if self.swapped else None] = known
        if count * width > known.nbytes:
            raise SavedFileError(
                f"the storage {key!r} has {known.nbytes} bytes, but should have {count} elements of "
                f"{width} bytes"
            )
        return Storage(known, kind)

    def read(self, placed: Any) -> Any:
        """The object that was saved. `placed(location)` refuses locations that there are not."""

        def persistent(identity: Any) -> Storage:
            kind, key, location, count = storage_identity(identity, 5)
            placed(location)
            return self.storage(key, kind, count)

        return Reader(io.BytesIO(self.entry("data.pkl")), persistent).read()


def storage_identity(identity: Any, length: int) -> tuple[dtype | None, str, str, int]:
    """The type, key, location and number of elements of a storage that a pickle refers to."""
    wanted = (str, StorageType, str, str, int)
    if (
        type(identity) is not tuple
        or len(identity) != length
        or not all(isinstance(part, kind) for part, kind in zip(identity, wanted, strict=False))
        or identity[0] != "storage"
        or identity[4] < 0
    ):
        raise SavedFileError(f"the file is damaged: it refers to {str(identity)[:80]} for a storage")
    return identity[1].kind, *identity[2:5]
