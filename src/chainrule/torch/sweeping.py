"""Where a reverse sweep starts, and the gradients of inputs that depend on one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.backward import Watch
from chainrule.tensor import Tensor as EngineTensor
from chainrule.tensor import sweep_from
from chainrule.torch.errors import ArgumentError, OperationError


def seed_of(tensor: EngineTensor, gradient: Any) -> Any:
    """The cotangent to start a sweep from: the one given, or 1 for a single element."""
    if gradient is None:
        if tensor._data.size != 1:
            raise OperationError("grad can be implicitly created only for scalar outputs")
        return np.ones_like(tensor._data)
    if not isinstance(gradient, EngineTensor):
        raise ArgumentError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
    if gradient._data.shape != tensor._data.shape:
        raise OperationError(
            f"Mismatch in shape: grad_output[0] has a shape of {gradient.shape} and output[0] has a shape of "
            f"{tensor.shape}."
        )
    if gradient._data.dtype != tensor._data.dtype:
        return ops.astype(gradient, tensor._data.dtype)
    return gradient


def swept(
    out: EngineTensor,
    seed: Any,
    inputs: Sequence[EngineTensor],
    create_graph: bool,
    retain_graph: bool | None,
) -> list[Any]:
    """The gradients of `inputs`, which may depend on one another, in one sweep; None where nothing arrived."""
    start = out._current_node()
    assert start is not None
    watches = []
    for tensor in inputs:
        node = tensor._current_node()
        if node is None:
            raise OperationError("One of the differentiated Tensors does not require grad")
        watches.append(node.watched())
    found: dict[int, Any] = {id(watch): None for watch in watches}
    before = [watch.retains for watch in watches]

    def deposit(watch: Watch, g: Any) -> None:
        if id(watch) in found:
            known = found[id(watch)]
            if not isinstance(g, EngineTensor) or g.is_traced:
                g = out._wrapped(g.copy())
            found[id(watch)] = g if known is None else known + g

    try:
        for watch in watches:
            watch.retains = True
        with np.errstate(all="ignore"):
            sweep_from(out, start, seed, (), deposit, create_graph, retain_graph)
    finally:
        for watch, retains in zip(watches, before, strict=True):
            watch.retains = retains
    return [found[id(watch)] for watch in watches]
