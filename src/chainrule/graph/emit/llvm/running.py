"""Running the steps of a kernel: native segments, and what NumPy computes between them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.graph.emit.llvm.indexing import OUT_OF_BOUNDS
from chainrule.graph.emit.llvm.native import address_of, blas
from chainrule.graph.emit.llvm.program import Called
from chainrule.graph.emit.llvm.threads import share
from chainrule.graph.emit.llvm.values import View

_SEGMENT = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)


def memory_for(workspace: int) -> np.ndarray:
    """Memory for so many bytes of intermediate arrays, wherever it begins."""
    return np.empty(workspace + 64, np.uint8)


def fixed_slots(workspace: np.ndarray, threads: int) -> tuple[int, ...]:
    """The slots that `Slots.FIXED` names."""
    return _aligned(workspace), *blas(), share(), threads


def _aligned(workspace: np.ndarray) -> int:
    """The first address in the workspace that is a multiple of 64."""
    return -(-address_of(workspace) // 64) * 64


def run_step(
    step: str | Called, addresses: Mapping[str, int], slots: np.ndarray, arguments: Sequence[np.ndarray],
    workspace: np.ndarray,
) -> None:  # fmt: skip
    """Run a native segment, or an equation through NumPy."""
    if not isinstance(step, str):
        _by_numpy(step, arguments, workspace)
    elif _SEGMENT(addresses[step])(slots.ctypes.data) == OUT_OF_BOUNDS:
        raise IndexError("an index is out of bounds for the array that it is used on")


def _by_numpy(step: Called, arguments: Sequence[np.ndarray], workspace: np.ndarray) -> None:
    """Let NumPy compute an equation on the memory of the kernel."""
    start = _aligned(workspace) - address_of(workspace)

    def array(view: View) -> np.ndarray:
        memory, size = view.memory, view.dtype.itemsize
        if memory.slot is not None:
            whole = arguments[memory.slot].reshape(-1)
        else:
            first = start + memory.offset
            whole = workspace[first : first + memory.size].view(view.dtype)
        return np.lib.stride_tricks.as_strided(
            whole[view.offset :], view.shape, [s * size for s in view.strides]
        )

    found = step.equation.evaluate({v: array(view) for v, view in step.inputs.items()})
    for view, value in zip(step.outputs, found, strict=True):
        array(view)[...] = value
