"""From LLVM's intermediate code to functions in memory: optimised for this machine, and kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from chainrule.errors import OutputError
from chainrule.files import write_atomically

FORMAT = 1
"""The format of what is kept on disk."""


@cache
def machine() -> Any:
    """The machine that runs this, as LLVM's target."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        opt=3, cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), reloc="pic",
        codemodel="default", jit=True,
    )  # fmt: skip


@cache
def _machine_key() -> bytes:
    parts = (FORMAT, llvmlite.__version__, llvm.llvm_version_info, llvm.get_process_triple())
    return repr((*parts, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())).encode()


def optimised(text: str) -> Any:
    """The module after LLVM's passes."""
    module = llvm.parse_assembly(text)
    # Unrolling and straight-line vectorisation double the time of compilation; what pays is unrolled by the emitter.
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization, options.slp_vectorization, options.loop_unrolling = True, False, False
    passes = llvm.create_pass_builder(machine(), options)
    passes.getModulePassManager().run(module, passes)
    return module


# the cache ---------------------------------------------------------------------------------------------------


def cache_folder() -> Path | None:
    """Where compiled code is kept: `CHAINRULE_CACHE`, or the user's folder for caches; None if that is "no"."""
    given = os.environ.get("CHAINRULE_CACHE")
    if given is not None:
        return None if given.lower() in ("", "0", "no", "off") else Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "chainrule"


def object_code(text: str, keep: bool = True) -> bytes:
    """The machine code of a module: from the cache, or compiled and, if possible, kept there.

    An entry begins with the hash of what follows; one that does not match is compiled again.
    """
    folder = cache_folder() if keep else None
    if folder is None:
        return _compiled(text)
    path = folder / f"{hashlib.sha256(_machine_key() + text.encode()).hexdigest()[:40]}.o"
    found = _read(path)
    if found is None:
        found = _compiled(text)
        _keep(path, found)
    return found


def _compiled(text: str) -> bytes:
    return bytes(machine().emit_object(optimised(text)))


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _keep(path: Path, code: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, hashlib.sha256(code).digest() + code)
    except (OSError, OutputError):
        pass  # a folder that cannot be written to costs the next start a compilation, and nothing else


class Library:
    """Machine code in memory; `address(name)` is that of one of its functions."""

    _linker: Any = None
    _count = 0

    def __init__(self, code: bytes, names: tuple[str, ...]) -> None:
        if Library._linker is None:
            machine()
            Library._linker = llvm.create_lljit_compiler(use_jit_link=False)
        Library._count += 1
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name in names:
            builder.export_symbol(name)
        self._tracker = builder.link(Library._linker, f"chainrule{Library._count}")
        self._names = names

    def address(self, name: str) -> int:
        """Where a function is."""
        return int(self._tracker[name])


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
