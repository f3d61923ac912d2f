"""Threads of native code: the pieces of a loop are done by several of them.

They begin with the loop and end with it. None lives on, so that a process can fork, and Python can end, as if there
were none.
"""

from __future__ import annotations

import ctypes
import os
import sys

from chainrule.errors import InputError
from chainrule.graph.emit.llvm.native import Library, object_code, once

MOST = 256
"""No more threads than that."""
SHARES = 8
"""A thread takes about an eighth of its share at a time: one that has to wait for a core holds up the others less."""

_TEXT = """
%task = type { ptr, ptr, i64, i64, i64 }

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)

define ptr @work(ptr %task) {
entry:
  %loop = load ptr, ptr %task
  %table_at = getelementptr %task, ptr %task, i64 0, i32 1
  %table = load ptr, ptr %table_at
  %count_at = getelementptr %task, ptr %task, i64 0, i32 2
  %count = load i64, ptr %count_at
  %some_at = getelementptr %task, ptr %task, i64 0, i32 3
  %some = load i64, ptr %some_at
  %next_at = getelementptr %task, ptr %task, i64 0, i32 4
  br label %take
take:
  %first = atomicrmw add ptr %next_at, i64 %some monotonic
  %is_left = icmp ult i64 %first, %count
  br i1 %is_left, label %run, label %leave
run:
  %end = add i64 %first, %some
  %last = call i64 @llvm.umin.i64(i64 %end, i64 %count)
  call i32 %loop(ptr %table, i64 %first, i64 %last)
  br label %take
leave:
  ret ptr null
}

define i32 @share(ptr %loop, ptr %table, i64 %count, i64 %threads) {
entry:
  %most = call i64 @llvm.umin.i64(i64 %count, i64 %threads)
  %alone = icmp ult i64 %most, 2
  br i1 %alone, label %all, label %several
all:
  call i32 %loop(ptr %table, i64 0, i64 %count)
  ret i32 0
several:
  %task = alloca %task
  %threads_at = alloca i64, i64 %most
  %parts = mul i64 %most, SHARES
  %whole = udiv i64 %count, %parts
  %some = call i64 @llvm.umax.i64(i64 %whole, i64 1)
  store ptr %loop, ptr %task
  %table_at = getelementptr %task, ptr %task, i64 0, i32 1
  store ptr %table, ptr %table_at
  %count_at = getelementptr %task, ptr %task, i64 0, i32 2
  store i64 %count, ptr %count_at
  %some_at = getelementptr %task, ptr %task, i64 0, i32 3
  store i64 %some, ptr %some_at
  %next_at = getelementptr %task, ptr %task, i64 0, i32 4
  store i64 0, ptr %next_at
  br label %begin
begin:
  %i = phi i64 [1, %several], [%following, %begun]
  %more = icmp ult i64 %i, %most
  br i1 %more, label %create, label %own
create:
  %thread_at = getelementptr i64, ptr %threads_at, i64 %i
  %status = call i32 @pthread_create(ptr %thread_at, ptr null, ptr @work, ptr %task)
  %refused = icmp ne i32 %status, 0
  br i1 %refused, label %own, label %begun ; the system has no more: the others do the work
begun:
  %following = add i64 %i, 1
  br label %begin
own:
  call ptr @work(ptr %task)
  br label %end
end:
  %j = phi i64 [1, %own], [%after, %join]
  %runs = icmp ult i64 %j, %i
  br i1 %runs, label %join, label %leave
join:
  %its_thread_at = getelementptr i64, ptr %threads_at, i64 %j
  %its_thread = load i64, ptr %its_thread_at
  call i32 @pthread_join(i64 %its_thread, ptr null)
  %after = add i64 %j, 1
  br label %end
leave:
  ret i32 0
}
""".replace("SHARES", str(SHARES))

_ALONE = """
define i32 @share(ptr %loop, ptr %table, i64 %count, i64 %threads) {
  call i32 %loop(ptr %table, i64 0, i64 %count)
  ret i32 0
}
"""


def threads() -> int:
    """How many threads a loop may have.

    That is the environment variable CHAINRULE_THREADS, else OMP_NUM_THREADS, else the number of cores that this process
    may use. Raises InputError if the first is no positive number.
    """
    given = os.environ.get("CHAINRULE_THREADS", "").strip()
    if given and (not given.isdecimal() or int(given) == 0):
        raise InputError(
            f"the environment variable CHAINRULE_THREADS is {given!r}; expected a number from 1 to {MOST}"
        )
    usual = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    for text in (given, usual):
        if text.isdecimal() and int(text):
            return min(int(text), MOST)
    return min(_cores(), MOST)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@once
def _library() -> Library:
    has_threads = sys.platform != "win32" and hasattr(ctypes.CDLL(None), "pthread_create")
    return Library(object_code(_TEXT if has_threads else _ALONE), ("share",))


def share() -> int:
    """Where the function is that has each thread do some pieces of a part: `i32 (part, table, count, threads)`."""
    return _library().address("share")
