"""torch.save and torch.load: what comes back, and how files are written; `test_unsafe_files` has the rest."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import torch
from chainrule.torch import optim
from chainrule.torch.errors import ArgumentError, SavedFileError
from chainrule.torch.nn.parameter import Parameter
from chainrule.torch.serialization import load, save
from chainrule.torch.unpickling import NAMES


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    save(value, file)
    return file.getvalue()


def again(value: Any) -> Any:
    return load(io.BytesIO(saved(value)))


PLAIN: list[Any] = [
    None, True, False, 0, -1, 255, 65536, -(2**31), 2**70, -(2**2100), 1.5, float("inf"), 1 + 2j, "", "text",
    "σ′ \ud800", b"\x00\xff", bytearray(b"ab"), (), (1,), (1, 2, 3, 4), [], [1, [2, [3]]], {}, {"a": {1: (2.0, None)}},
    {1, 2}, OrderedDict(b=1, a=2), Counter("aab"), torch.float32, torch.int64, torch.bool, torch.Size([2, 3]),
    torch.device("cpu"),
]  # fmt: skip


@pytest.mark.parametrize(
    "value", PLAIN, ids=lambda value: repr(value)[:30].encode("ascii", "replace").decode()
)
def test_plain_values_come_back(value: Any) -> None:
    found = again(value)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("kind", sorted(k for k in NAMES if isinstance(NAMES[k], type(torch.float32))))
def test_every_type_of_elements(kind: str) -> None:
    tensor = torch.Tensor._wrapped(np.array([[0, 1, 2], [3, 4, 5]]).astype(NAMES[kind].dtype))
    found = again(tensor)
    assert found.dtype is NAMES[kind]
    assert found.tolist() == tensor.tolist()


def test_tensors_of_every_shape() -> None:
    for tensor in (torch.tensor(3.0), torch.zeros(0, 3), torch.ones(2, 1, 3), torch.ones(3, 1).expand(3, 4)):
        found = again(tensor)
        assert found.shape == tensor.shape
        assert found.tolist() == tensor.tolist()


def test_parameters_and_gradients() -> None:
    weight = Parameter(torch.ones(2))
    found = again(
        {"w": weight, "fixed": Parameter(torch.ones(1), requires_grad=False), "leaf": weight.detach() * 2}
    )
    assert type(found["w"]) is Parameter
    assert [found[name].requires_grad for name in found] == [True, False, False]
    computed = again(weight * 2)
    assert computed.is_leaf
    assert computed.requires_grad


def test_views_share_memory_again() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    content = saved(
        {"base": base, "row": base[1], "column": base[:, 2], "turned": base.T, "copy": base.clone()}
    )
    found = load(io.BytesIO(content))
    assert found["turned"].stride() == (1, 4)
    found["base"][1, 2] = 99.0
    assert found["row"][2].item() == found["column"][1].item() == found["turned"][2, 1].item() == 99.0
    assert found["copy"][1, 2].item() == 6.0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert [name for name in archive.namelist() if "/data/" in name] == [
            "archive/data/0",
            "archive/data/1",
        ]
    once_more = again(found)  # what was loaded shares memory when it is saved, too
    once_more["base"][1, 2] = -1.0
    assert once_more["row"][2].item() == -1.0


def test_the_same_object_twice_is_one_object() -> None:
    tensor, part = torch.ones(2), [1]
    found = again({"a": tensor, "b": tensor, "c": part, "d": part})
    assert found["a"] is found["b"]
    assert found["c"] is found["d"]
    loop: list[Any] = []
    loop.append(loop)
    assert again(loop)[0][0][0][0].__class__ is list


def test_arrays_that_pytorch_could_not_view_are_copied() -> None:
    numbers = np.arange(6.0)
    for array in (numbers[::-1], np.broadcast_to(numbers, (2, 6)), numbers.view(np.int64)[::2]):
        assert again(torch.Tensor._wrapped(array)).tolist() == array.tolist()
    both = again([torch.Tensor._wrapped(numbers), torch.Tensor._wrapped(numbers.view(np.int64))])
    assert both[1]._data.dtype == np.int64
    assert both[0].tolist() == numbers.tolist()


def test_an_optimizer_continues_from_a_file(tmp_path: Path) -> None:
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = optim.Adam([weight], amsgrad=True)
    scheduler = optim.lr_scheduler.MultiStepLR(optimizer, [2])

    def steps(w: Any, o: Any, s: Any) -> list[float]:
        for _ in range(3):
            o.zero_grad()
            (w**4).sum().backward()
            o.step()
            s.step()
        return w.tolist()  # type: ignore[no-any-return]

    steps(weight, optimizer, scheduler)
    path = tmp_path / "run.pt"
    save({"w": weight, "o": optimizer.state_dict(), "s": scheduler.state_dict()}, path)
    found = load(path)
    other = optim.Adam([found["w"]], amsgrad=True)
    other.load_state_dict(found["o"])
    second = optim.lr_scheduler.MultiStepLR(other, [2])
    second.load_state_dict(found["s"])
    assert steps(found["w"], other, second) == steps(weight, optimizer, scheduler)


def test_a_state_dict_keeps_its_metadata() -> None:
    state = OrderedDict(weight=torch.ones(1))
    state._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    assert again(state)._metadata == {"": {"version": 1}}


def test_the_same_content_makes_the_same_file_and_entries_are_aligned() -> None:
    value = {"w": torch.arange(5.0), "n": 1}
    assert saved(value) == saved(value)
    content = saved(value)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            start = entry.header_offset + 30 + len(entry.filename) + len(entry.extra)
            assert start % 64 == 0
            assert entry.compress_type == zipfile.ZIP_STORED


# files and places ----------------------------------------------------------------------------------------


def test_paths_are_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save(torch.ones(2), str(path))
    with pytest.raises(SavedFileError, match=r"torch\.save was given a"):
        save({"a": torch.zeros(2), "b": object()}, path)
    assert load(path).tolist() == [1, 1]
    assert os.listdir(tmp_path) == ["model.pt"]
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "model/data.pkl"
    with pytest.raises(RuntimeError, match=r"Parent directory .*nowhere does not exist"):
        save(1, tmp_path / "nowhere" / "model.pt")
    with pytest.raises(RuntimeError, match="cannot be written"):
        save(1, tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.pt")


def test_open_files() -> None:
    file = io.BytesIO(b"head" + saved([1, 2]))
    file.seek(4)
    assert load(file) == [1, 2]
    with pytest.raises(ArgumentError, match="open for writing bytes, but got int"):
        save(1, 3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="open for reading bytes, but got int"):
        load(3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="open it with mode 'rb'"):
        load(io.StringIO("text"))  # type: ignore[arg-type]


def test_options() -> None:
    content = saved(1)
    assert load(io.BytesIO(content), "cpu", weights_only=False, mmap=False) == 1
    assert load(io.BytesIO(content), torch.device("cpu")) == 1
    with pytest.raises(RuntimeError, match="cuda"):
        load(io.BytesIO(content), "cuda:0")
    with pytest.raises(ArgumentError, match="never uses a pickle module"):
        load(io.BytesIO(content), pickle_module=pickle)
    with pytest.raises(ArgumentError, match="protocol 2 only"):
        save(1, io.BytesIO(), pickle_protocol=4)
