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

_TEXT = """
%task = type { ptr, ptr, i64, i64 }

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i64 @llvm.umin.i64(i64, i64)

define ptr @work(ptr %task) {
  %loop = load ptr, ptr %task
  %table_at = getelementptr %task, ptr %task, i64 0, i32 1
  %table = load ptr, ptr %table_at
  %first_at = getelementptr %task, ptr %task, i64 0, i32 2
  %first = load i64, ptr %first_at
  %last_at = getelementptr %task, ptr %task, i64 0, i32 3
  %last = load i64, ptr %last_at
  call i32 %loop(ptr %table, i64 %first, i64 %last)
  ret ptr null
}

define i32 @share(ptr %loop, ptr %table, i64 %count, i64 %threads) {
entry:
  %shares = call i64 @llvm.umin.i64(i64 %count, i64 %threads)
  %alone = icmp ult i64 %shares, 2
  br i1 %alone, label %all, label %several
all:
  call i32 %loop(ptr %table, i64 0, i64 %count)
  ret i32 0
several:
  %tasks = alloca %task, i64 %shares
  %threads_at = alloca i64, i64 %shares
  br label %begin
begin:
  %i = phi i64 [1, %several], [%next, %begun]
  %next = add i64 %i, 1
  %first_whole = mul i64 %count, %i
  %first = udiv i64 %first_whole, %shares
  %last_whole = mul i64 %count, %next
  %last = udiv i64 %last_whole, %shares
  %task = getelementptr %task, ptr %tasks, i64 %i
  store ptr %loop, ptr %task
  %table_at = getelementptr %task, ptr %task, i64 0, i32 1
  store ptr %table, ptr %table_at
  %first_at = getelementptr %task, ptr %task, i64 0, i32 2
  store i64 %first, ptr %first_at
  %last_at = getelementptr %task, ptr %task, i64 0, i32 3
  store i64 %last, ptr %last_at
  %thread_at = getelementptr i64, ptr %threads_at, i64 %i
  %status = call i32 @pthread_create(ptr %thread_at, ptr null, ptr @work, ptr %task)
  %refused = icmp ne i32 %status, 0
  br i1 %refused, label %instead, label %begun
instead: ; the system has no more threads: this one does it
  call ptr @work(ptr %task)
  store ptr null, ptr %task
  br label %begun
begun:
  %begin_more = icmp ult i64 %next, %shares
  br i1 %begin_more, label %begin, label %own
own:
  %own_last = udiv i64 %count, %shares
  call i32 %loop(ptr %table, i64 0, i64 %own_last)
  br label %end
end:
  %j = phi i64 [1, %own], [%following, %ended]
  %following = add i64 %j, 1
  %its_task = getelementptr %task, ptr %tasks, i64 %j
  %its_loop = load ptr, ptr %its_task
  %is_done = icmp eq ptr %its_loop, null
  br i1 %is_done, label %ended, label %join
join:
  %its_thread_at = getelementptr i64, ptr %threads_at, i64 %j
  %its_thread = load i64, ptr %its_thread_at
  call i32 @pthread_join(i64 %its_thread, ptr null)
  br label %ended
ended:
  %end_more = icmp ult i64 %following, %shares
  br i1 %end_more, label %end, label %leave
leave:
  ret i32 0
}
"""

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
