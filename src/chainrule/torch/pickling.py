"""The pickles inside .pt files, written: what `unpickling` and PyTorch's `weights_only` loader can read."""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.torch import dtypes
from chainrule.torch.dtypes import BY_NUMPY, Size, device, dtype
from chainrule.torch.errors import SavedFileError
from chainrule.torch.nn.parameter import Parameter, UninitializedParameter
from chainrule.torch.tensors import Tensor


class Writer:
    """Writes one pickle, protocol 2.

    `storage_key(tensor)` stores the memory of a tensor; it returns the key, the place of the first element,
    the strides, and the number of elements of the storage.

    >>> pickle.loads(Writer(None).written({"a": (1, None), "b": b"x"}))
    {'a': (1, None), 'b': b'x'}
    """

    def __init__(self, storage_key: Callable[[Tensor], tuple[str, int, tuple[int, ...], int]] | None) -> None:
        self.storage_key = storage_key
        self.out = bytearray(b"\x80\x02")
        self.memo: dict[int, tuple[int, Any]] = {}

    def written(self, value: Any) -> bytes:
        """The pickle of an object.

        Raises SavedFileError for what cannot be read again without running code.
        """
        try:
            self.write(value)
        except RecursionError as error:
            raise SavedFileError("what is to be saved is nested too deeply") from error
        return bytes(self.out + b".")

    def write(self, value: Any) -> None:
        """Write one value."""
        known = self.memo.get(id(value))
        if known is not None:
            self.out += b"j" + struct.pack("<I", known[0])
            return
        kind = type(value)
        if kind in _WRITERS:
            _WRITERS[kind](self, value)
        elif isinstance(value, Tensor) and not isinstance(value, UninitializedParameter):
            self._tensor(value)
        elif isinstance(value, np.generic) and value.dtype.kind in "biufc":
            self.write(value.item())
        else:
            raise SavedFileError(_refusal(value))

    def call(self, name: str, *arguments: Any) -> None:
        """The result of calling one of the names."""
        self.name(name)
        self._tuple(arguments)
        self.out += b"R"

    def name(self, full: str) -> None:
        """One of the names."""
        module, _, name = full.rpartition(".")
        self.out += f"c{module}\n{name}\n".encode()

    def remember(self, value: Any) -> None:
        """Let the value be referred to where it comes again."""
        self.memo[id(value)] = len(self.memo), value
        self.out += b"r" + struct.pack("<I", len(self.memo) - 1)

    def _text(self, value: str) -> None:
        encoded = value.encode("utf-8", "surrogatepass")
        self.out += b"X" + struct.pack("<I", len(encoded)) + encoded

    def _tuple(self, values: tuple[Any, ...]) -> None:
        self.out += b"("
        for value in values:
            self.write(value)
        self.out += b"t"

    def _list(self, values: list[Any]) -> None:
        self.out += b"]"
        self.remember(values)
        self.out += b"("
        for value in values:
            self.write(value)
        self.out += b"e"

    def _items(self, values: dict[Any, Any]) -> None:
        self.out += b"("
        for key, value in values.items():
            self.write(key)
            self.write(value)
        self.out += b"u"

    def _dict(self, values: dict[Any, Any]) -> None:
        self.out += b"}"
        self.remember(values)
        self._items(values)

    def _ordered(self, values: OrderedDict[Any, Any]) -> None:
        self.call("collections.OrderedDict")
        self.remember(values)
        self._items(values)
        metadata = getattr(values, "_metadata", None)
        if metadata is not None:
            self.write({"_metadata": metadata})
            self.out += b"b"

    def _tensor(self, tensor: Tensor) -> None:
        if self.storage_key is None:
            raise SavedFileError("a tensor cannot be written here")
        if isinstance(tensor, Parameter):
            self.name("torch._utils._rebuild_parameter")
            self.out += b"("
            self._view(tensor, False)
            self.write(bool(tensor.requires_grad))
            self.write(OrderedDict())
            self.out += b"tR"
        else:
            self._view(tensor, bool(tensor.requires_grad))
        self.remember(tensor)

    def _view(self, tensor: Tensor, requires_grad: bool) -> None:
        assert self.storage_key is not None
        kind = BY_NUMPY[tensor._data.dtype]
        untyped = kind in UNTYPED
        key, offset, strides, count = self.storage_key(tensor)
        self.name("torch._utils._rebuild_tensor_v3" if untyped else "torch._utils._rebuild_tensor_v2")
        self.out += b"(("
        self._text("storage")
        self.name("torch.storage.UntypedStorage" if untyped else f"torch.{kind.title}Storage")
        for value in (key, "cpu", count * kind.itemsize if untyped else count):
            self.write(value)
        self.out += b"tQ"
        for value in (offset, tuple(tensor._data.shape), strides, requires_grad, OrderedDict()):
            self.write(value)
        if untyped:
            self.write(kind)
        self.out += b"tR"


UNTYPED = (dtypes.uint16, dtypes.uint32, dtypes.uint64)
"""The types that came after PyTorch had given up classes of storages."""


def _number(writer: Writer, value: float) -> None:
    writer.out += pickle.dumps(value, 2)[2:-1]


_WRITERS: dict[type, Callable[[Writer, Any], None]] = {
    type(None): _number,
    bool: _number,
    int: _number,
    float: _number,
    complex: lambda w, value: w.call("builtins.complex", value.real, value.imag),
    str: Writer._text,
    bytes: lambda w, value: w.call("_codecs.encode", value.decode("latin-1"), "latin1"),
    bytearray: lambda w, value: w.call("builtins.bytearray", bytes(value)),
    tuple: Writer._tuple,
    list: Writer._list,
    dict: Writer._dict,
    OrderedDict: Writer._ordered,
    Counter: lambda w, value: w.call("collections.Counter", dict(value)),
    set: lambda w, value: w.call("builtins.set", list(value)),
    Size: lambda w, value: w.call("torch.Size", tuple(value)),
    device: lambda w, value: w.call("torch.device", str(value)),
    dtype: lambda w, value: w.name(repr(value)),
}  # fmt: skip


def _refusal(value: Any) -> str:
    kind = type(value)
    what = f"torch.save was given a {kind.__module__}.{kind.__qualname__}"
    if hasattr(value, "state_dict"):
        return f"{what}: save its state_dict() instead, which can be loaded without running code"
    if isinstance(value, np.ndarray):
        return f"{what}: make it a tensor with torch.from_numpy first"
    return f"{what}, and saves tensors, numbers, text, bytes, and containers of them: convert it first"
