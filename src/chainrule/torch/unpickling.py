"""The pickles inside .pt files, read by a table of what is allowed: no pickle can run code here.

`Reader` is a small machine for the instructions that tensors, numbers, text and containers need. A pickle can
name what `NAMES` lists; another name, or another instruction, is refused before anything is made of it.
`pickling` writes the same instructions.
"""

from __future__ import annotations

import math
import pickletools
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import numpy as np

from chainrule.torch.dtypes import ALL, Size, device, dtype
from chainrule.torch.errors import SavedFileError, UnsafeFileError
from chainrule.torch.nn.parameter import Parameter
from chainrule.torch.tensors import Tensor, as_kind


class Storage(NamedTuple):
    """The memory that tensors are views of: bytes, and the type of their elements (None: any)."""

    memory: np.ndarray
    kind: dtype | None


class StorageType(NamedTuple):
    """PyTorch's class of storages of one type of elements."""

    kind: dtype | None


class Call(NamedTuple):
    """A name that may be called, with what it does here."""

    name: str
    function: Callable[..., Any]


# what a pickle may name ----------------------------------------------------------------------------------


def _tensor(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    flags: Any = None,
) -> Any:
    """A view of a storage."""
    if not isinstance(storage, Storage) or storage.kind is None:
        raise SavedFileError("a tensor in the file has no storage")
    if hooks or flags:
        raise UnsafeFileError(
            f"a tensor in the file has {'hooks' if hooks else f'the flags {flags}'}, which are not read"
        )
    return _view(storage.memory, storage.kind.dtype, offset, size, stride, bool(requires_grad))


def _untyped_tensor(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    kind: Any,
    flags: Any = None,
) -> Any:
    if not isinstance(storage, Storage) or not isinstance(kind, dtype):
        raise SavedFileError("a tensor in the file has no storage or no type")
    return _tensor(Storage(storage.memory, kind), offset, size, stride, requires_grad, hooks, flags)


def _view(
    memory: np.ndarray, kind: np.dtype[Any], offset: Any, size: Any, stride: Any, requires_grad: bool
) -> Any:
    numbers = (
        (offset, *size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else ("no tuples",)
    )
    if len(numbers) % 2 == 0 or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
        raise SavedFileError(f"a tensor in the file has the size {size}, stride {stride} and offset {offset}")
    try:
        if not math.prod(size):
            array = np.zeros(size, kind)
        else:
            width = kind.itemsize
            array = np.ndarray(
                size, kind, memory, offset * width, tuple(n * width for n in stride)
            )  # checks the bounds
    except (ValueError, TypeError, OverflowError) as error:
        raise SavedFileError(
            f"a tensor of size {size}, stride {stride} and offset {offset} does not fit into its storage of "
            f"{memory.nbytes} bytes"
        ) from error
    tensor = Tensor._wrapped(array)
    if requires_grad:
        tensor.requires_grad = True
    return tensor


def _parameter(data: Any, requires_grad: Any = True, hooks: Any = None) -> Any:
    if not isinstance(data, Tensor) or hooks:
        raise SavedFileError("a parameter in the file is no tensor, or has hooks")
    return as_kind(Parameter, data.detach(), bool(requires_grad))


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise UnsafeFileError(f"the file asks to encode as {encoding!r}; bytes in a pickle are latin1")
    return text.encode("latin-1")


def _checked_keys(keys: Any) -> Any:
    """Keys whose hashes are harmless: numbers, text, and tuples of them."""
    for key in keys:
        for part in key if type(key) is tuple else (key,):
            if not isinstance(part, (str, bytes, int, float, complex, dtype, device, type(None))):
                raise UnsafeFileError(
                    f"the file has a {type(part).__name__} as the key of a dict or in a set"
                )
    return keys


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    found = OrderedDict[Any, Any]()
    for pair in pairs:
        found[_checked_keys([pair[0]])[0]] = pair[1]
    return found


_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v3": _untyped_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": lambda lengths=(): Size(_integers(lengths)),
    "torch.device": lambda *where: device(*where),
    "collections.OrderedDict": _ordered,
    "collections.Counter": lambda counts=(): Counter(_checked_keys(dict(counts))),
    "_codecs.encode": _encoded,
    "builtins.set": lambda items=(): set(_checked_keys(items)),
    "builtins.frozenset": lambda items=(): frozenset(_checked_keys(items)),
    "builtins.complex": lambda real=0.0, imaginary=0.0: complex(real, imaginary),
    "builtins.bytearray": lambda *content: bytearray(_content(*content)),
}  # fmt: skip


def _content(content: Any = b"", encoding: Any = "latin1") -> bytes:
    """What a bytearray is made of; not its length, which could be any."""
    return content if type(content) is bytes else _encoded(content, encoding)


def _integers(values: Any) -> tuple[int, ...]:
    if not all(type(value) is int for value in values):
        raise SavedFileError(f"a size in the file is {values}")
    return tuple(values)


NAMES: dict[str, Any] = {name: Call(name, function) for name, function in _CALLS.items()}
NAMES |= {repr(kind): kind for kind in ALL} | {
    f"torch.{kind.title}Storage": StorageType(kind) for kind in ALL
}
NAMES |= {"torch.storage.UntypedStorage": StorageType(None), "torch.UntypedStorage": StorageType(None)}


def named(module: str, name: str) -> Any:
    """What a name in a pickle stands for.

    Raises UnsafeFileError for a name that is not allowed.

    >>> named("torch", "float32")
    torch.float32
    """
    module = {"__builtin__": "builtins"}.get(module, module)
    full = f"{module}.{name}"
    if full in NAMES:
        return NAMES[full]
    if module == "torch" and name.endswith("Storage"):
        raise UnsafeFileError(
            f"the file holds elements of the type {name.removesuffix('Storage')}, which NumPy does not have"
        )
    whole = module.startswith("torch.nn.modules") or module == "__main__"
    advice = (
        "It seems to hold a whole module; load it where it was made and save module.state_dict() instead."
        if whole else
        "Save a state_dict(), or containers of tensors, numbers and text."
    )  # fmt: skip
    raise UnsafeFileError(
        f"the file asks for {full}, and chainrule.torch.load makes nothing but tensors, numbers, text "
        "and containers: "
        f"nothing was run. {advice}"
    )


# reading -------------------------------------------------------------------------------------------------

_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset({
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "SHORT_BINSTRING", "BINSTRING",
})  # fmt: skip
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Reader:
    """Reads one pickle from a stream of bytes.

    `persistent(id)` returns what is stored outside of the pickle.

    >>> import io, pickle
    >>> Reader(io.BytesIO(pickle.dumps({"a": [1, 2.5]}, 2))).read()
    {'a': [1, 2.5]}
    """

    def __init__(self, stream: IO[bytes], persistent: Callable[[Any], Any] | None = None) -> None:
        self.stream, self.persistent = stream, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def read(self) -> Any:
        """The object.

        Raises UnsafeFileError for a name or an instruction that is not allowed, SavedFileError for a damaged
        pickle.
        """
        try:
            while letter := self.stream.read(1):
                opcode = _INSTRUCTIONS.get(letter)
                if opcode is None:
                    raise SavedFileError(
                        f"the pickle in the file is damaged: there is no instruction {letter!r}"
                    )
                if opcode.name == "STOP":
                    return self.stack.pop()
                self._run(opcode)
        except (
            ValueError,
            TypeError,
            IndexError,
            KeyError,
            AttributeError,
            struct.error,
            OverflowError,
        ) as error:
            if isinstance(error, (SavedFileError, UnsafeFileError)):
                raise
            raise SavedFileError(f"the pickle in the file is damaged: {error}") from error
        raise SavedFileError("the pickle in the file has no end")

    def _run(self, opcode: pickletools.OpcodeInfo) -> None:
        name = opcode.name
        if name not in _ALLOWED:
            raise UnsafeFileError(f"the pickle in the file has the instruction {name}, which is not allowed")
        if name == "GLOBAL":  # read here, because pickletools would decode escapes in it, as no pickle does
            self.stack.append(named(self._line(), self._line()))
            return
        argument = None if opcode.arg is None else opcode.arg.reader(self.stream)
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self.stack.append(self._last(_TUPLES[name]))
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)

    def _line(self) -> str:
        line = self.stream.readline()
        if not line.endswith(b"\n"):
            raise SavedFileError("the pickle in the file is damaged: a name has no end")
        return line[:-1].decode()

    def _last(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise SavedFileError("the pickle in the file is damaged: its stack is empty")
        found = tuple(self.stack[-count:])
        del self.stack[-count:]
        return found

    def _since_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                found = self.stack[index + 1 :]
                del self.stack[index:]
                return found
        raise SavedFileError("the pickle in the file is damaged: a mark is missing")

    def _remember(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise SavedFileError(
                f"the pickle in the file is damaged: it appends to a {type(target).__name__}"
            )
        target.extend(items)

    def _add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise SavedFileError(f"the pickle in the file is damaged: it adds to a {type(target).__name__}")
        target.update(_checked_keys(items))

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter) or len(items) % 2:
            raise SavedFileError(
                f"the pickle in the file is damaged: it sets items of a {type(target).__name__}"
            )
        target.update(zip(_checked_keys(items[::2]), items[1::2], strict=True))

    def _call(self) -> None:
        call, arguments = self._last(2)
        if not isinstance(call, Call) or type(arguments) is not tuple:
            raise UnsafeFileError(f"the pickle in the file calls {str(call)[:60]}, which is not allowed")
        self.stack.append(call.function(*arguments))

    def _build(self) -> None:
        """The attributes of an object: only the `_metadata` of a state_dict has any."""
        (state,) = self._last(1)
        target = self.stack[-1]
        if type(target) is not OrderedDict or type(state) is not dict or set(state) - {"_metadata"}:
            raise UnsafeFileError(
                f"the pickle in the file sets attributes of a {type(target).__name__}, which is not allowed"
            )
        target.__dict__.update(state)

    def _persistent(self) -> None:
        (identity,) = self._last(1)
        if self.persistent is None:
            raise UnsafeFileError("the pickle in the file refers to storages where there are none")
        self.stack.append(self.persistent(identity))


_ACTIONS: dict[str, Callable[[Reader, Any], Any]] = {
    "MARK": lambda r, _: r.stack.append(_MARK),
    "POP": lambda r, _: r.stack.pop(),
    "POP_MARK": lambda r, _: r._since_mark(),
    "TUPLE": lambda r, _: r.stack.append(tuple(r._since_mark())),
    "LIST": lambda r, _: r.stack.append(r._since_mark()),
    "APPEND": lambda r, _: r._extend([*r._last(1)]),
    "APPENDS": lambda r, _: r._extend(r._since_mark()),
    "ADDITEMS": lambda r, _: r._add(r._since_mark()),
    "FROZENSET": lambda r, _: r.stack.append(frozenset(_checked_keys(r._since_mark()))),
    "SETITEM": lambda r, _: r._set([*r._last(2)]),
    "SETITEMS": lambda r, _: r._set(r._since_mark()),
    "STACK_GLOBAL": lambda r, _: r.stack.append(named(*map(str, r._last(2)))),
    "REDUCE": lambda r, _: r._call(),
    "BUILD": lambda r, _: r._build(),
    "BINPERSID": lambda r, _: r._persistent(),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), lambda r, index: r._remember(index)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda r, index: r.stack.append(r.memo[index])),
}

_INSTRUCTIONS = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_ALLOWED = {"PROTO", "FRAME", "GLOBAL", *_VALUES, *_CONSTANTS, *_EMPTY, *_TUPLES, *_ACTIONS}
