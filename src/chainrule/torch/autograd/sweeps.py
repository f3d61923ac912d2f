"""`torch.autograd.backward` and `torch.autograd.grad`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.torch.errors import ArgumentError, OperationError, ValueOptionError
from chainrule.torch.functions.joining import stack
from chainrule.torch.sweeping import seed_of, swept
from chainrule.torch.tensors import Tensor


def _several(values: Any) -> tuple[Any, ...]:
    several: tuple[Any, ...] = (values,) if isinstance(values, Tensor) else tuple(values)
    return several


def _cotangents(tensors: tuple[Any, ...], given: Any) -> tuple[Any, ...]:
    if given is None:
        return (None,) * len(tensors)
    cotangents = _several(given)
    if len(cotangents) != len(tensors):
        raise OperationError(f"got {len(tensors)} tensors and {len(cotangents)} gradients")
    return cotangents


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    grad_variables: Any = None, inputs: Any = None,
) -> None:  # fmt: skip
    """Sweep back from several tensors and add to the `.grad` of every leaf."""
    tensors = _several(tensors)
    retain = create_graph if retain_graph is None else retain_graph
    for i, (tensor, g) in enumerate(zip(tensors, _cotangents(tensors, grad_tensors), strict=True)):
        if not isinstance(tensor, Tensor):
            raise ArgumentError(f"backward(): expected a Tensor, but was given {type(tensor).__name__}")
        if tensor._current_node() is None:
            raise OperationError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        tensor.backward(g, retain or i < len(tensors) - 1, create_graph, inputs)


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of (the sum of) the outputs by the inputs.

    >>> from chainrule import torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.grad(x**2, x)
    (tensor(6.),)
    """
    outputs, inputs = _several(outputs), _several(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueOptionError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    cotangents = _cotangents(outputs, grad_outputs)
    if is_grads_batched:
        rows = [
            grad(outputs, inputs, [c[i] for c in cotangents], True, create_graph, True, True, False, True)
            for i in range(cotangents[0]._data.shape[0])
        ]
        return tuple(stack(list(parts)) for parts in zip(*rows, strict=True))
    retain = create_graph if retain_graph is None else retain_graph
    found: list[Any] = [None] * len(inputs)
    for i, (out, g) in enumerate(zip(outputs, cotangents, strict=True)):
        if not isinstance(out, Tensor) or out._current_node() is None:
            raise OperationError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        arrived = swept(out, seed_of(out, g), inputs, create_graph, retain or i < len(outputs) - 1)
        found = [a if b is None else b if a is None else a + b for a, b in zip(found, arrived, strict=True)]
    return _complete(found, inputs, allow_unused, materialize_grads)


def _complete(
    found: list[Any], inputs: Sequence[Tensor], allow_unused: bool | None, zeros: bool
) -> tuple[Any, ...]:
    if zeros:
        return tuple(
            Tensor._wrapped(np.zeros_like(x._data)) if g is None else g
            for g, x in zip(found, inputs, strict=True)
        )
    if not allow_unused and any(g is None for g in found):
        raise OperationError(
            f"One of the differentiated Tensors (number {[g is None for g in found].index(True)}) appears to "
            "not have been "
            f"used in the graph. Set allow_unused=True if this is the desired behavior."
        )
    return tuple(found)
