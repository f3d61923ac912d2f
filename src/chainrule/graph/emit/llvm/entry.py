"""A native kernel as a built-in function of Python: no conversion of arguments, no attribute is looked up.

The function is given array objects and reads their fields where `struct PyArrayObject` has them (NumPy's stable
ABI). It answers None, or NotImplemented where an array is not what the kernel was compiled for, or the kernel failed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from chainrule.graph.emit.llvm.native import Library, address_of, object_code, once

_HEADER = 16
_FIELDS = {"data": 0, "nd": 8, "dimensions": 16, "descr": 40, "flags": 48}
"""Where the fields of an array object are, from the end of the object's header."""
_CONTIGUOUS_AND_ALIGNED = 0x1 | 0x100
_FASTCALL = 0x80

_TEXT = f"""
define ptr @enter(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %table_at = getelementptr i8, ptr %self, i64 {_HEADER + _FIELDS["data"]}
  %table = load ptr, ptr %table_at
  %slots_at = getelementptr i64, ptr %table, i64 1
  %slots = load ptr, ptr %slots_at
  %checked_at = getelementptr i64, ptr %table, i64 2
  %checked = load i64, ptr %checked_at
  %type_at = getelementptr i64, ptr %table, i64 3
  %type = load ptr, ptr %type_at
  %total_at = getelementptr i64, ptr %table, i64 7
  %total = load i64, ptr %total_at
  %expected = getelementptr i64, ptr %table, i64 8
  %right_count = icmp eq i64 %count, %total
  br i1 %right_count, label %more, label %wrong
more:
  %i = phi i64 [0, %entry], [%next, %stored]
  %place = phi ptr [%expected, %entry], [%next_place, %stored]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %run, label %argument
argument:
  %object_at = getelementptr ptr, ptr %arguments, i64 %i
  %object = load ptr, ptr %object_at
  %must = icmp ult i64 %i, %checked
  br i1 %must, label %check_type, label %stored
check_type:
  %object_type_at = getelementptr i8, ptr %object, i64 8
  %object_type = load ptr, ptr %object_type_at
  %same_type = icmp eq ptr %object_type, %type
  br i1 %same_type, label %check_fields, label %wrong
check_fields:
  %descr_at = getelementptr i8, ptr %object, i64 {_HEADER + _FIELDS["descr"]}
  %descr = load ptr, ptr %descr_at
  %wanted_descr = load ptr, ptr %place
  %same_descr = icmp eq ptr %descr, %wanted_descr
  %nd_at = getelementptr i8, ptr %object, i64 {_HEADER + _FIELDS["nd"]}
  %nd_short = load i32, ptr %nd_at
  %nd = zext i32 %nd_short to i64
  %wanted_nd_at = getelementptr i64, ptr %place, i64 1
  %wanted_nd = load i64, ptr %wanted_nd_at
  %same_nd = icmp eq i64 %nd, %wanted_nd
  %flags_at = getelementptr i8, ptr %object, i64 {_HEADER + _FIELDS["flags"]}
  %flags = load i32, ptr %flags_at
  %kept_flags = and i32 %flags, {_CONTIGUOUS_AND_ALIGNED}
  %good_flags = icmp eq i32 %kept_flags, {_CONTIGUOUS_AND_ALIGNED}
  %good_1 = and i1 %same_descr, %same_nd
  %good = and i1 %good_1, %good_flags
  %wanted_lengths = getelementptr i64, ptr %place, i64 2
  %lengths_at = getelementptr i8, ptr %object, i64 {_HEADER + _FIELDS["dimensions"]}
  %lengths = load ptr, ptr %lengths_at
  br i1 %good, label %axes, label %wrong
axes:
  %axis = phi i64 [0, %check_fields], [%next_axis, %axis_right]
  %all_axes = icmp eq i64 %axis, %nd
  br i1 %all_axes, label %shape_right, label %check_axis
check_axis:
  %length_at = getelementptr i64, ptr %lengths, i64 %axis
  %length = load i64, ptr %length_at
  %wanted_at = getelementptr i64, ptr %wanted_lengths, i64 %axis
  %wanted = load i64, ptr %wanted_at
  %same_length = icmp eq i64 %length, %wanted
  br i1 %same_length, label %axis_right, label %wrong
axis_right:
  %next_axis = add i64 %axis, 1
  br label %axes
shape_right:
  %after_place = getelementptr i64, ptr %wanted_lengths, i64 %nd
  br label %stored
stored:
  %next_place = phi ptr [%place, %argument], [%after_place, %shape_right]
  %data_at = getelementptr i8, ptr %object, i64 {_HEADER + _FIELDS["data"]}
  %data = load ptr, ptr %data_at
  %slot = getelementptr ptr, ptr %slots, i64 %i
  store ptr %data, ptr %slot
  %next = add i64 %i, 1
  br label %more
run:
  %kernel = load ptr, ptr %table
  %status = call i32 %kernel(ptr %slots)
  %fine = icmp eq i32 %status, 0
  br i1 %fine, label %right, label %wrong
right:
  br label %leave
wrong:
  br label %leave
leave:
  %answer_number = phi i64 [4, %right], [5, %wrong]
  %answer_at = getelementptr i64, ptr %table, i64 %answer_number
  %answer = load ptr, ptr %answer_at
  %own_at = getelementptr i64, ptr %table, i64 6
  %own = load ptr, ptr %own_at
  call void %own(ptr %answer)
  ret ptr %answer
}}
"""


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)
    )  # fmt: skip


@cache
def _is_readable() -> bool:
    """Whether array objects look as expected here: looked up in one whose fields are known."""
    if object.__basicsize__ != _HEADER:
        return False
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    start = id(array) + _HEADER

    def field(name: str, kind: Any) -> Any:
        return kind.from_address(start + _FIELDS[name]).value

    lengths = field("dimensions", ctypes.c_void_p)
    return (
        ctypes.c_void_p.from_address(id(array) + 8).value == id(np.ndarray)
        and field("data", ctypes.c_void_p) == address_of(array)
        and field("nd", ctypes.c_int) == 2
        and (ctypes.c_int64 * 2).from_address(lengths)[:] == [2, 3]
        and field("descr", ctypes.c_void_p) == id(array.dtype)
        and field("flags", ctypes.c_int) & _CONTIGUOUS_AND_ALIGNED == _CONTIGUOUS_AND_ALIGNED
    )


_new_function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)


@once
def _library() -> tuple[Library, Any]:
    library = Library(object_code(_TEXT), ("enter",))
    method = _Method(b"kernel", library.address("enter"), _FASTCALL, b"A compiled function of arrays.")
    return library, method


def entry(
    kernel: int, checked: Sequence[np.ndarray], slots: np.ndarray, total: int
) -> Callable[..., Any] | None:
    """A function of `total` arrays that checks those like `checked`, the first ones, and runs the kernel at an address.

    None where array objects are not laid out as they are known to be.
    """
    if not _is_readable():
        return None
    api = ctypes.pythonapi
    own = ctypes.cast(api.Py_IncRef, ctypes.c_void_p).value
    words = [
        kernel,
        address_of(slots),
        len(checked),
        id(np.ndarray),
        id(None),
        id(NotImplemented),
        own,
        total,
    ]
    for array in checked:
        words += [id(np.dtype(array.dtype)), array.ndim, *array.shape]
    table = np.array(words, np.uint64)
    _, method = _library()
    return _new_function(ctypes.addressof(method), table, None)  # type: ignore[no-any-return]
