"""Files go both ways: what is saved here PyTorch loads, and what PyTorch saves is loaded here."""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict
from typing import Any

import numpy as np
import pytest

from chainrule import torch as ours
from chainrule.torch.errors import SavedFileError, UnsafeFileError
from chainrule.torch.serialization import load, save

torch = pytest.importorskip("torch")


def from_pytorch(value: Any, old: bool = False) -> Any:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not old)
    file.seek(0)
    return load(file)


def to_pytorch(value: Any) -> Any:
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def plain(value: Any) -> Any:
    """A value with lists for its tensors, of either library."""
    if isinstance(value, (torch.Tensor, ours.Tensor)):
        title = "Parameter" if type(value).__name__ == "Parameter" else "Tensor"
        return (
            title,
            value.tolist(),
            str(value.dtype),
            tuple(value.shape),
            value.stride() if value.numel() else (),
            value.requires_grad,
        )
    if isinstance(value, dict):
        return type(value).__name__, [(plain(key), plain(part)) for key, part in value.items()]
    if type(value) in (list, tuple):
        return type(value).__name__, [plain(part) for part in value]
    return repr(value)


def values(library: Any) -> dict[str, Any]:
    """The same values in either library."""
    base = library.arange(12.0).reshape(3, 4)
    return {
        "base": base, "row": base[1], "column": base[:, 2], "turned": base.T,
        "number": library.tensor(3), "empty": library.zeros(0, 3), "leaf": library.ones(2, requires_grad=True),
        "bools": library.tensor([True, False]), "half": library.ones(2, dtype=library.float16),
        "double": library.ones(2, dtype=library.float64), "complex": library.ones(2, dtype=library.complex64),
        "bytes": library.tensor([1, 255], dtype=library.uint8), "long": library.tensor([2**62]),
        "kind": library.float32, "size": library.Size([2, 3]), "device": library.device("cpu"),
        "set": {1}, "raw": b"a\xff", "array": bytearray(b"ab"), "c": 1 + 2j, "big": -(2**70),
        "tuple": (1, (2, 3, 4, 5), ()),
        "nothing": None, "flags": [True, False], "text": "σ′", "numbers": [0, -1, 70000, 1.5, float("inf")],
        "counter": Counter("aab"), "ordered": OrderedDict(b=[1, {}], a="x"), 3: {(1, "a"): "key"},
    }  # fmt: skip


NEW_KINDS = ("uint16", "uint32", "uint64")


@pytest.mark.parametrize("old", [False, True])
def test_what_pytorch_saves_is_loaded_here(old: bool) -> None:
    assert plain(from_pytorch(values(torch), old)) == plain(values(torch)) == plain(values(ours))
    for name in NEW_KINDS:
        tensor = torch.tensor([1, 2], dtype=getattr(torch, name))
        assert plain(from_pytorch(tensor)) == plain(tensor)


def test_what_is_saved_here_pytorch_loads() -> None:
    assert plain(to_pytorch(values(ours))) == plain(values(torch))
    for name in NEW_KINDS:
        tensor = ours.tensor([1, 2], dtype=getattr(ours, name))
        assert plain(to_pytorch(tensor)) == plain(tensor)


def test_a_tensor_wider_than_its_memory() -> None:
    wide = torch.ones(3, 1).expand(3, 4)
    found = from_pytorch(wide)
    assert plain(to_pytorch(found)) == plain(found) == plain(wide)
    assert found.stride() == (1, 0)


def test_memory_is_shared_after_either_way() -> None:
    for found in (
        from_pytorch(values(torch)),
        from_pytorch(values(torch), old=True),
        to_pytorch(values(ours)),
    ):
        found["base"].data[1, 2] = 99.0
        assert found["row"][2].item() == found["column"][1].item() == found["turned"][2, 1].item() == 99.0


def test_a_module_and_its_optimizer() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(module.parameters(), amsgrad=True)
    for _ in range(2):
        optimizer.zero_grad()
        module(torch.randn(5, 3)).sum().backward()
        optimizer.step()
    checkpoint = {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 2}
    found = from_pytorch(checkpoint)
    assert plain(found) == plain(checkpoint)
    assert plain(found["model"]._metadata) == plain(checkpoint["model"]._metadata)
    back = to_pytorch(found)
    module.load_state_dict(back["model"])
    optimizer.load_state_dict(back["optimizer"])
    assert plain(optimizer.state_dict()) == plain(checkpoint["optimizer"])


def test_an_optimizer_goes_on_in_the_other_library() -> None:
    start = np.array([1.0, -2.0])
    theirs = torch.tensor(start, requires_grad=True)
    first = torch.optim.RMSprop([theirs], centered=True, momentum=0.5)
    weight = ours.from_numpy(start.copy()).requires_grad_()
    second = ours.optim.RMSprop([weight], centered=True, momentum=0.5)

    def step(tensor: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        (tensor**4).sum().backward()
        optimizer.step()

    for _ in range(3):
        step(theirs, first)
    saved = from_pytorch({"w": theirs, "o": first.state_dict()})
    weight.data.copy_(saved["w"].detach())
    second.load_state_dict(saved["o"])
    for _ in range(3):
        step(weight, second)
        step(theirs, first)
    np.testing.assert_allclose(weight.tolist(), theirs.tolist(), rtol=1e-12)
    first.load_state_dict(to_pytorch(second.state_dict()))
    step(weight, second)
    step(theirs, first)
    np.testing.assert_allclose(weight.tolist(), theirs.tolist(), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: torch.nn.Linear(2, 1),
            UnsafeFileError,
            r"torch.nn.modules.linear.Linear.*save module.state_dict",
        ),
        (lambda: torch.ones(2, dtype=torch.bfloat16), UnsafeFileError, "BFloat16, which NumPy does not have"),
        (lambda: torch.ones(2).to_sparse(), UnsafeFileError, "_rebuild_sparse_tensor"),
        (lambda: {"array": np.ones(2)}, UnsafeFileError, "numpy"),
        (
            lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
            UnsafeFileError,
            "_rebuild_qtensor|QInt8",
        ),
        (lambda: torch.complex(torch.ones(2), torch.ones(2)).conj(), UnsafeFileError, "has the flags"),
        (lambda: torch.empty(2, device="meta"), UnsafeFileError, "_rebuild_meta_tensor_no_storage"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*quantize:DeprecationWarning", "ignore::UserWarning")
def test_what_is_not_loaded(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_pytorch(make())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::UserWarning")
def test_a_program_is_not_loaded() -> None:
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(lambda x: x * 2, torch.ones(1)), file)
    file.seek(0)
    with pytest.raises(SavedFileError, match="TorchScript"):
        load(file)


def test_pytorch_refuses_what_is_refused_here() -> None:
    pickled = pickle.dumps(len, 2)
    for library in (torch.load, load):
        with pytest.raises((pickle.UnpicklingError, RuntimeError)):
            library(io.BytesIO(pickled))


def test_a_file_for_memory_mapping(tmp_path: Any) -> None:
    path = tmp_path / "model.pt"
    save({"w": ours.arange(1000.0)}, path)
    assert torch.load(path, mmap=True, weights_only=True)["w"].sum().item() == 499500.0
