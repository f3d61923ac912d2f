"""From LLVM's intermediate code to functions in memory: optimised for this machine, and kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar, TypeVar

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from chainrule.graph.emit.keeping import keep_as, kept

FORMAT = 1
"""The format of what is kept on disk."""

_TARGET = {"opt": 3, "reloc": "pic", "codemodel": "default", "jit": True}
_PASSES = {"speed_level": 2, "loop_vectorization": True, "slp_vectorization": False, "loop_unrolling": False}
"""Unrolling and straight-line vectorisation double the time of compilation; what pays is unrolled by the emitter."""
_ATTRIBUTES = ("nounwind",)
"""Nothing here throws, and tables for unwinding would have to be registered with the process."""

_LOCK = RLock()
"""LLVM is used by one thread at a time: modules, the linker and what they free."""

if hasattr(os, "register_at_fork"):  # a child in which nobody would ever let go of the lock could not compile
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)

_PACKAGE = Path(__file__).parents[3]
_ENGINE = ("*.py", "rules/*.py", "functions/*.py", "graph/**/*.py")
"""The source that decides which code a traced graph becomes."""
_LOADED = time.time()


Result = TypeVar("Result")


def once(make: Callable[[], Result]) -> Callable[[], Result]:
    """A function that answers with what `make` made for whoever asked first: two threads never make two."""
    made: list[Result] = []

    def one() -> Result:
        if not made:
            with _LOCK:
                if not made:
                    made.append(make())
        return made[0]

    return one


@once
def machine() -> Any:
    """The machine that runs this, as LLVM's target."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, **_TARGET)


@cache
def _machine_key() -> bytes:
    made_by = FORMAT, _TARGET, _PASSES, _ATTRIBUTES, llvmlite.__version__, llvm.llvm_version_info
    made_for = llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return repr((made_by, made_for)).encode()


def optimised(text: str) -> str:
    """The code after LLVM's passes."""
    with _LOCK:
        return str(_optimised(text))


def _optimised(text: str) -> Any:
    """A module of its own context, which no other thread uses."""
    module = llvm.parse_assembly(text, llvm.create_context())
    for function in module.functions:
        for attribute in () if function.is_declaration else _ATTRIBUTES:
            function.add_function_attribute(attribute)
    options = llvm.create_pipeline_tuning_options()
    for name, value in _PASSES.items():
        setattr(options, name, value)
    passes = llvm.create_pass_builder(machine(), options)
    passes.getModulePassManager().run(module, passes)
    return module


# the cache ---------------------------------------------------------------------------------------------------


def object_code(text: str, keep: bool = True) -> bytes:
    """The machine code of a module: from the cache, or compiled and, if possible, kept there."""
    key = code_key(text)
    found = kept(key) if keep else None
    if found is None:
        found = _compiled(text)
        if keep:
            keep_as(key, found)
    return found


def _compiled(text: str) -> bytes:
    with _LOCK:
        return bytes(machine().emit_object(_optimised(text)))


def code_key(text: str) -> str:
    """The name under which the machine code of a module is kept: of all that decides what LLVM makes."""
    return _name(_machine_key() + text.encode(), "o")


def graph_key(*parts: bytes) -> str | None:
    """The name under which it is kept what a graph has become; `parts` are all that this depends on but the engine.

    None where the source of the engine cannot be read, or is not that which runs.
    """
    engine = _engine_key()
    return None if engine is None else _name(b"\0".join((_machine_key(), engine, *parts)), "graph")


def _name(content: bytes, ending: str) -> str:
    return f"{hashlib.sha256(content).hexdigest()[:40]}.{ending}"


@cache
def _engine_key() -> bytes | None:
    """The source of the engine, and the libraries that it asks."""
    found = hashlib.sha256(repr((np.__version__, sys.version, blas() != (0, 0))).encode())
    try:
        files = sorted(path for pattern in _ENGINE for path in _PACKAGE.glob(pattern))
        if not files or any(path.stat().st_mtime >= _LOADED for path in files):
            return None
        for path in files:
            content = path.read_bytes()
            found.update(f"{path.relative_to(_PACKAGE)} {len(content)} ".encode() + content)
    except OSError:
        return None
    return found.digest()


class Library:
    """Machine code in memory; `address(name)` is that of one of its functions."""

    _numbers = count(1)
    _trackers: ClassVar[dict[int, Any]] = {}
    """What frees the code of each library. Held here alone, so that the garbage collector, which runs in any thread and
    in the middle of a link, never finds one."""
    _unused: ClassVar[deque[int]] = deque()
    """The numbers of libraries that are no more: they are freed with the next link."""

    def __init__(self, code: bytes, names: tuple[str, ...]) -> None:
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name in names:
            builder.export_symbol(name)
        self._number = next(Library._numbers)
        with _LOCK:
            while Library._unused:
                Library._trackers.pop(Library._unused.popleft()).close()
            Library._trackers[self._number] = builder.link(_linker(), f"chainrule{self._number}")

    def __del__(self) -> None:
        if getattr(self, "_number", None) in self._trackers:
            self._unused.append(self._number)

    def address(self, name: str) -> int:
        """Where a function is."""
        return int(Library._trackers[self._number][name])


@once
def _linker() -> Any:
    machine()
    # The older linker of LLVM puts code and constants at places of their own. In a process with large libraries these
    # can be further apart than 32 bits say, and then it aborts the process. Windows has no other.
    return llvm.create_lljit_compiler(use_jit_link=sys.platform != "win32")


# what native code calls ----------------------------------------------------------------------------------------


@cache
def blas() -> tuple[int, int]:
    """The addresses of cblas_sgemm and cblas_dgemm with 64-bit integers in NumPy's own library; zeros without."""
    try:
        library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    except OSError:
        return 0, 0
    for form in ("scipy_cblas_{}gemm64_", "cblas_{}gemm64_"):
        if all(hasattr(library, form.format(letter)) for letter in "sd"):
            single, double = (
                ctypes.cast(getattr(library, form.format(letter)), ctypes.c_void_p).value for letter in "sd"
            )
            return single or 0, double or 0
    return 0, 0


def address_of(array: np.ndarray) -> int:
    """Where the elements of an array are."""
    return int(array.__array_interface__["data"][0])
