"""Files and objects that torch.save and torch.load refuse: damaged ones, and those that would run code."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import torch
from chainrule.torch.errors import SavedFileError, UnsafeFileError
from chainrule.torch.serialization import load, save
from chainrule.torch.unpickling import NAMES, Reader, StorageType


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    save(value, file)
    return file.getvalue()


def again(value: Any) -> Any:
    return load(io.BytesIO(saved(value)))


class Model:
    def state_dict(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Model(), r"Model: save its state_dict\(\) instead"),
        (np.ones(2), "numpy.ndarray: make it a tensor with torch.from_numpy first"),
        (len, "builtin_function_or_method"),
        ({"f": lambda: 1}, "function, and saves tensors"),
        (type("Row", (dict,), {})(), "Row, and saves tensors"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(value: Any, message: str) -> None:
    with pytest.raises(SavedFileError, match=message):
        saved(value)


def test_depth_has_an_end() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SavedFileError, match="nested too deeply"):
        saved(deep)
    turning: tuple[Any, ...] = ([],)
    turning[0].append(turning)
    found = again(turning)
    assert found[0][0][0] is found[0]


def test_numbers_of_numpy_become_pythons() -> None:
    found = again({"loss": np.float64(0.5), "n": np.int32(3), "ok": np.bool_(True)})
    assert found == {"loss": 0.5, "n": 3, "ok": True}
    assert [type(value) for value in found.values()] == [float, int, bool]


def archive_of(pickled: bytes, storages: dict[str, bytes] | None = None, **options: Any) -> bytes:
    """A .pt file with that pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, content in (storages or {}).items():
            archive.writestr(f"archive/data/{name}", content)
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()


class Planted:
    """Unpickling makes a file, unless it is refused."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_that_would_run_code_does_not(tmp_path: Path, protocol: int, old: bool) -> None:
    pickled = pickle.dumps({"a": [Planted(tmp_path / "planted")]}, protocol)
    content = legacy_of(pickled) if old else archive_of(pickled)
    with pytest.raises(pickle.UnpicklingError, match=r"mkdir, and .* nothing was run|instruction") as error:
        load(io.BytesIO(content))
    assert not (tmp_path / "planted").exists()
    assert isinstance(error.value, UnsafeFileError)
    pickle.loads(pickled)
    assert (tmp_path / "planted").exists(), "the pickle was harmless all along"


def code(text: str, *values: Any) -> bytes:
    """A pickle of instructions: the letters, with the values in their places."""
    return b"\x80\x02" + text.encode("latin-1")


STORAGE = "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ"


def tensor_code(
    offset: str = "K\0", size: str = "K\x04\x85", stride: str = "K\x01\x85", tail: str = "\x89}"
) -> bytes:
    return code(f"ctorch._utils\n_rebuild_tensor_v2\n({STORAGE}{offset}{size}{stride}{tail}tR.")


def load_code(pickled: bytes) -> Any:
    return load(io.BytesIO(archive_of(pickled, {"0": np.arange(4, dtype=np.float32).tobytes()})))


def test_the_code_of_these_tests_makes_a_tensor() -> None:
    assert load_code(tensor_code()).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (code("cbuiltins\neval\nX\x01\0\0\x001\x85R."), "asks for builtins.eval"),
        (code("cbuiltins\ngetattr\n."), "asks for builtins.getattr"),
        (code("c__builtin__\n__import__\n."), "asks for builtins.__import__"),
        (code("ctorch.nn.modules.linear\nLinear\n."), "seems to hold a whole module"),
        (code("c__main__\nNet\n."), r"__main__.Net.*save module.state_dict\(\) instead"),
        (code("ctorch\nBFloat16Storage\n."), "BFloat16, which NumPy does not have"),
        (code("ctorch\nload\n."), "asks for torch.load"),
        (code("ctorch.storage\n_load_from_bytes\n."), "_load_from_bytes"),
        (code("cchainrule.torch.serialization\nload\n."), "chainrule.torch.serialization.load"),
        (code("(X\x01\0\0\x00xibuiltins\nlist\n."), "instruction INST"),
        (code("ctorch\nFloatStorage\n)\x81."), "instruction NEWOBJ"),
        (code("ctorch\nFloatStorage\n)R."), "calls StorageType"),
        (code("ctorch\nSize\n(tR)R."), "calls .*Size"),
        (code("}}b."), "sets attributes of a dict"),
        (code("ccollections\nOrderedDict\n)R}X\x05\0\0\0itemsK\x01sb."), "sets attributes of a OrderedDict"),
        (code("ccollections\nOrderedDict\n}b."), "sets attributes of a Call"),
        (tensor_code()[:-1] + b"}b.", "sets attributes of a Tensor"),
        (code("}((K\x01ttK\x01s."), "a tuple as the key"),
        (code("c__builtin__\nset\n]](ae\x85R."), "damaged|list as the key"),
        (code("ccollections\nCounter\n}(K\x01t(K\x02ttR."), "damaged"),
        (code("c_codecs\nencode\nX\x01\0\0\x00aX\x04\0\0\x00utf8\x86R."), "asks to encode as 'utf8'"),
        (code("c_codecs\nencode\nX\x01\0\0\x00aX\x05\0\0\x00idna8\x86R."), "asks to encode as 'idna8'"),
        (code("c__builtin__\nbytearray\n\x8a\x08\0\0\0\0\0\0\0\x10\x85R."), "asks to encode"),
        (code("K\x01Q."), "refers to 1 for a storage"),
        (code("(X\x07\0\0\0storageK\x01K\x01K\x01K\x01tQ."), "for a storage"),
        (
            code(STORAGE.replace("K\x04t", "K\x05t") + "."),
            "has 16 bytes, but should have 5 elements of 4 bytes",
        ),
        (code(STORAGE.replace("K\x04t", "J\xff\xff\xff\xfft") + "."), "for a storage"),
        (code(STORAGE.replace("\x000X", "\x009X") + "."), "no entry 'archive/data/9'"),
        (
            code(STORAGE.replace("X\x01\0\0\x000", "X\x05\0\0\x00../..") + "."),
            r"no entry 'archive/data/\.\./\.\.'",
        ),
        (tensor_code(offset="K\x01"), "does not fit into its storage of 16 bytes"),
        (tensor_code(size="K\x05\x85"), "does not fit"),
        (tensor_code(stride="K\x02\x85"), "does not fit"),
        (tensor_code(offset="J\xff\xff\xff\xff"), "offset -1"),
        (tensor_code(stride="J\xff\xff\xff\xff\x85"), r"stride \(-1,\)"),
        (tensor_code(size="J\xff\xff\xff\x7f\x85"), "does not fit"),
        (
            tensor_code(size="\x8a\x08\0\0\0\0\0\0\0\x10J\xff\xff\xff\x7f\x86", stride="K\0K\0\x86"),
            "does not fit",
        ),
        (tensor_code(size="K\x02K\x02\x86"), r"size \(2, 2\), stride \(1,\)"),
        (tensor_code(size="]"), "the size"),
        (tensor_code(size="G?\xf0\0\0\0\0\0\0\x85"), r"size \(1.0,\)"),
        (tensor_code(tail="\x89}K\x01K\x01s"), "has hooks"),
        (tensor_code(tail="\x89}}X\x04\0\0\0conj\x88s"), "has the flags"),
        (code("ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\0))tR."), "has no storage"),
        (code("ctorch._utils\n_rebuild_parameter\nK\x01\x88}\x87R."), "a parameter in the file is no tensor"),
        (code("ctorch\ndevice\nX\x03\0\0\0abc\x85R."), "abc"),
        (code("ctorch\nSize\nX\x01\0\0\x00a\x85\x85R."), "a size in the file"),
        (code("r\xff\xff\xff\xff."), "damaged"),
        (code("K\x01r\xff\xff\xff\xffj\xfe\xff\xff\xff."), "damaged"),
        (code("\x8b\xff\xff\xff\x7f."), "damaged"),
        (code("X\xff\xff\xff\x7fabc."), "damaged"),
        (code("K\x01a."), "damaged"),
        (code("K\x01K\x02K\x03s."), "damaged"),
        (code("t."), "a mark is missing"),
        (code("R."), "stack is empty"),
        (code("."), "damaged"),
        (code("K\x01"), "damaged|no end"),
        (b"", "damaged|no end"),
        (b"hello", "damaged"),
    ],
)
def test_hostile_and_damaged_pickles(pickled: bytes, message: str) -> None:
    with pytest.raises((SavedFileError, UnsafeFileError, RuntimeError), match=message):
        load_code(pickled)


def test_nothing_but_these_errors_comes_out_of_damaged_pickles() -> None:
    value = {"w": [(1, 2.5, "text", b"x"), {3}], "o": OrderedDict(a=1), "t": torch.float32, "n": 2**70}
    with zipfile.ZipFile(io.BytesIO(saved(value))) as archive:
        good = archive.read("archive/data.pkl")
    random = np.random.default_rng(0)
    refused = 0
    for n in range(len(good)):
        with pytest.raises((SavedFileError, UnsafeFileError)):
            Reader(io.BytesIO(good[:n])).read()
        for byte in random.integers(0, 256, 8, np.uint8):
            try:
                Reader(io.BytesIO(good[:n] + bytes([byte]) + good[n + 1 :])).read()
            except (SavedFileError, UnsafeFileError):
                refused += 1
    assert refused > 4 * len(good)


def test_a_file_that_is_cut_off() -> None:
    content = saved({"w": torch.arange(10.0), "n": [1, 2]})
    for n in range(0, len(content), 7):
        with pytest.raises((SavedFileError, UnsafeFileError)):
            load(io.BytesIO(content[:n]))


def changed(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


def central(field: int, form: str, value: int) -> bytes:
    """A file whose directory tells something else of the storage than there is."""
    content = bytearray(saved(torch.arange(10.0)))
    place = content.rindex(b"archive/data/0") - 46
    struct.pack_into(form, content, place + field, value)
    return bytes(content)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"", "the file is empty"),
        (lambda: b"hello, world", "not written by torch.save, or is damaged"),
        (lambda: pickle.dumps({"a": 1}), "a plain pickle, which could run code"),
        (lambda: b"PK\x03\x04 and no more", "cut off or damaged"),
        (lambda: archive_of(code("N."), compression=zipfile.ZIP_DEFLATED), "compressed or encrypted"),
        (lambda: changed(saved(1), b"data.pkl", b"data.txt"), "it has no data.pkl"),
        (lambda: changed(saved(torch.ones(1)), b"\0\0\x80?", b"\0\0\x80@"), "is damaged: Bad CRC"),
        (lambda: changed(saved(1), b"little", b"middle"), "is damaged: Bad CRC"),
        (lambda: central(24, "<I", 2**31), "claims 2147483648 bytes, more than the file can hold"),
        (lambda: central(20, "<I", 2**30), "more than the file can hold"),
        (lambda: central(8, "<H", 1), "compressed or encrypted"),
        (lambda: central(42, "<I", 64), "is damaged"),
        (lambda: archive_of(code("N."), {"../../x": b""}) + b"", None),
    ],
)
def test_hostile_and_damaged_archives(make: Any, message: str | None) -> None:
    if message is None:  # an entry that nobody asks for is never read, and never written anywhere
        assert load(io.BytesIO(make())) is None
        return
    with pytest.raises((SavedFileError, UnsafeFileError), match=message):
        load(io.BytesIO(make()))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_entries_of_the_same_name_and_programs_are_refused() -> None:
    for name, message in (
        ("archive/data.pkl", "entries of the same name"),
        ("archive/constants.pkl", "TorchScript"),
    ):
        file = io.BytesIO(saved(1))
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, code("N."))
        file.seek(0)
        with pytest.raises(SavedFileError, match=message):
            load(file)


def test_storages_that_overlap_cannot_fill_the_memory() -> None:
    count, size = 50, 4096
    pickled = (
        b"\x80\x02("
        + b"".join(
            code(f"({STORAGE[1:]}")[2:].replace(b"X\x01\0\0\x000", b"X\x02\0\0\0%02d" % i)
            for i in range(count)
        )
        + b"l."
    )
    content = archive_of(pickled, {f"{i:02d}": b"" for i in range(count)} | {"99": bytes(size)})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        target = archive.getinfo("archive/data/99")
    directory = bytearray(content)
    for i in range(count):  # every entry points to the one large piece
        place = content.rindex(b"archive/data/%02d" % i) - 46
        struct.pack_into("<III", directory, place + 16, target.CRC, size, size)
        struct.pack_into("<I", directory, place + 42, target.header_offset)
    with pytest.raises(SavedFileError, match=r"more than the file can hold|is damaged"):
        load(io.BytesIO(bytes(directory)))


def test_bytes_of_the_other_order() -> None:
    values = np.arange(4, dtype=np.float32)
    content = archive_of(tensor_code(), {"0": values.astype(">f4").tobytes()})
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("archive/byteorder", b"big")
    file.seek(0)
    assert load(file).tolist() == values.tolist()


def test_tensors_of_a_gpu_need_a_place() -> None:
    pickled = changed(tensor_code(), b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0")
    content = archive_of(pickled, {"0": bytes(16)})
    with pytest.raises(RuntimeError, match=r"device cuda:0.*map_location=torch.device\('cpu'\)"):
        load(io.BytesIO(content))
    for place in ("cpu", torch.device("cpu"), {"cuda:0": "cpu"}, lambda storage, location: storage):
        assert load(io.BytesIO(content), map_location=place).tolist() == [0, 0, 0, 0]


# files of PyTorch before 1.6 -----------------------------------------------------------------------------


def legacy_of(pickled: bytes, storages: bytes = b"", keys: tuple[str, ...] = ()) -> bytes:
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return b"".join(pickle.dumps(part, 2) for part in head) + pickled + pickle.dumps(list(keys), 2) + storages


LEGACY_TENSOR = tensor_code().replace(b"K\x04tQ", b"K\x04NtQ")


def test_an_old_file() -> None:
    content = struct.pack("<q4f", 4, 1, 2, 3, 4)
    assert load(io.BytesIO(legacy_of(LEGACY_TENSOR, content, ("0",)))).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            legacy_of(LEGACY_TENSOR, struct.pack("<q3f", 4, 1, 2, 3), ("0",)),
            "cut off: the storage '0' is not complete",
        ),
        (legacy_of(LEGACY_TENSOR, struct.pack("<q4f", 5, 1, 2, 3, 4), ("0",)), "is not complete"),
        (legacy_of(LEGACY_TENSOR, b"", ("1",)), "storage '1' that no tensor uses"),
        (
            legacy_of(LEGACY_TENSOR.replace(b"K\x04NtQ", b"J\xff\xff\xff\x7fNtQ")),
            "more than the file can hold",
        ),
        (legacy_of(LEGACY_TENSOR.replace(b"K\x04NtQ", b"K\x04K\x01tQ")), "before 0.4"),
        (pickle.dumps(0x1950A86A20F9469CFC6C, 2), "damaged|no end"),
    ],
)
def test_damaged_old_files(content: bytes, message: str) -> None:
    with pytest.raises(SavedFileError, match=message):
        load(io.BytesIO(content))


def test_the_names_are_few() -> None:
    functions = {name for name, value in NAMES.items() if callable(getattr(value, "function", None))}
    assert functions == {
        "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter", "torch.Size", "torch.device", "collections.OrderedDict",
        "collections.Counter", "_codecs.encode", "builtins.set", "builtins.frozenset", "builtins.complex",
        "builtins.bytearray",
    }  # fmt: skip
    assert all(isinstance(NAMES[name], (StorageType, torch.dtype)) for name in set(NAMES) - functions)
