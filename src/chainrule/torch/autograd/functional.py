"""`torch.autograd.functional`: derivatives of functions of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.modes import RECORD, switched
from chainrule.rules.elementwise import positive
from chainrule.torch.autograd.sweeps import grad
from chainrule.torch.errors import ArgumentError, OperationError
from chainrule.torch.functions.joining import stack
from chainrule.torch.tensors import Tensor

Function = Callable[..., Any]


def _tuple_of(values: Any, name: str) -> tuple[bool, tuple[Any, ...]]:
    """Whether several were given, and all of them."""
    several = isinstance(values, (tuple, list))
    found = tuple(values) if several else (values,)
    for i, value in enumerate(found):
        if not isinstance(value, Tensor):
            raise ArgumentError(
                f"The {name} must be a Tensor or a tuple of Tensors, but element {i} is of type {type(value).__name__}"
            )
    return several, found


def _inputs(inputs: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    """New leaves, or, to be differentiated again, aliases with the history of the inputs."""
    if create_graph:
        return tuple(positive(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs)
    return tuple(x.detach().requires_grad_() for x in inputs)


def _finished(values: tuple[Any, ...], several: bool, create_graph: bool) -> Any:
    found = values if create_graph else tuple(v.detach() for v in values)
    return found if several else found[0]


def _zeros(x: Any) -> Any:
    return Tensor._wrapped(np.zeros_like(x._data))


def _gradients(
    outputs: Any, inputs: Any, cotangents: Any, strict: bool, create_graph: bool
) -> tuple[Any, ...]:
    """The gradients, with zeros where nothing depends on an input (an error, if `strict`)."""
    pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    if strict and len(pairs) < len(outputs):
        raise OperationError(
            "Output of the user-provided function is independent of all the inputs. This is not allowed in strict mode."
        )
    if not pairs:
        return tuple(_zeros(x) for x in inputs)
    found = grad([o for o, _ in pairs], inputs, [c for _, c in pairs], True, create_graph, allow_unused=True)
    if strict and any(g is None for g in found):
        raise OperationError(
            "The output of the user-provided function is independent of input "
            f"{[g is None for g in found].index(True)}. This is not allowed in strict mode."
        )
    return tuple(_zeros(x) if g is None else g for g, x in zip(found, inputs, strict=True))


def _called(func: Function, inputs: tuple[Any, ...]) -> tuple[bool, tuple[Any, ...]]:
    return _tuple_of(func(*inputs), "outputs of the user-provided function")


def _cotangents(v: Any, like: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if v is None:
        if len(like) != 1 or like[0]._data.size != 1:
            raise OperationError(
                f"The vector v can only be None if the {what} a single Tensor with a single element."
            )
        return (Tensor._wrapped(np.ones_like(like[0]._data)),)
    _, found = _tuple_of(v, "v")
    if len(found) != len(like):
        raise OperationError(f"v is a tuple of invalid length: should be {len(like)} but got {len(found)}.")
    for i, (a, b) in enumerate(zip(found, like, strict=True)):
        if a._data.shape != b._data.shape:
            raise OperationError(
                f"v has invalid size: entry {i} should be {list(b.shape)} but got {list(a.shape)}."
            )
    return found


def vjp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of `func`, and the product of `v` with the Jacobian."""
    several, given = _tuple_of(inputs, "inputs")
    with switched(on=RECORD):
        leaves = _inputs(given, create_graph)
        many, outputs = _called(func, leaves)
        cotangents = _cotangents(v, outputs, "user-provided function returns")
        found = _gradients(outputs, leaves, cotangents, strict, create_graph)
    return _finished(outputs, many, create_graph), _finished(found, several, create_graph)


def jvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of `func`, and the product of the Jacobian with `v`: the VJP of the VJP."""
    _, given = _tuple_of(inputs, "inputs")
    with switched(on=RECORD):
        leaves = _inputs(given, create_graph)
        tangents = _cotangents(v, leaves, "input to the user-provided function is")
        many, outputs = _called(func, leaves)
        seeds = tuple(_zeros(o).requires_grad_() for o in outputs)
        pulled = _gradients(outputs, leaves, seeds, strict, True)
        found = _gradients(pulled, seeds, tangents, False, create_graph)
    return _finished(outputs, many, create_graph), _finished(found, many, create_graph)


def jacobian(
    func: Function, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """All derivatives of `func`: of shape (*output, *input), for tuples a tuple of each output's tuples.

    >>> from chainrule import torch
    >>> torch.autograd.functional.jacobian(lambda x: x**2, torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    several, given = _tuple_of(inputs, "inputs")
    with switched(on=RECORD):
        leaves = _inputs(given, create_graph)
        many, outputs = _called(func, leaves)
        rows = []
        for out in outputs:
            parts = derivatives_of(out, leaves, strict, create_graph)
            rows.append(_finished(parts, several, create_graph))
    return tuple(rows) if many else rows[0]


def derivatives_of(out: Any, inputs: tuple[Any, ...], strict: bool, create_graph: bool) -> tuple[Any, ...]:
    """All derivatives of one output: one sweep for each of its elements."""
    rows = []
    for index in np.ndindex(out._data.shape):
        basis = np.zeros_like(out._data)
        basis[index] = 1
        rows.append(_gradients((out,), inputs, (Tensor._wrapped(basis),), strict, create_graph))
    shape = out._data.shape
    if not rows:
        return tuple(Tensor._wrapped(np.zeros((*shape, *x._data.shape), x._data.dtype)) for x in inputs)
    return tuple(
        stack([row[i] for row in rows]).reshape((*shape, *x._data.shape)) for i, x in enumerate(inputs)
    )


def _scalar(func: Function) -> Function:
    def checked(*args: Any) -> Any:
        out = func(*args)
        if not isinstance(out, Tensor) or out._data.size != 1:
            raise OperationError(
                "The Tensor returned by the function given to hessian should contain a single element"
            )
        return out.reshape(())

    return checked


def hessian(
    func: Function, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The second derivatives of a function with one element."""
    several, _ = _tuple_of(inputs, "inputs")
    scalar = _scalar(func)

    def gradient(*args: Any) -> Any:
        found = jacobian(scalar, args, create_graph=True, strict=strict)
        return found if several else found[0]

    return jacobian(gradient, inputs, create_graph, strict)


def vhp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a function with one element, and the product of `v` with its Hessian."""
    several, given = _tuple_of(inputs, "inputs")
    with switched(on=RECORD):
        leaves = _inputs(given, create_graph)
        vectors = _cotangents(v, leaves, "input to the user-provided function is")
        out = _scalar(func)(*leaves)
        first = _gradients((out,), leaves, (Tensor._wrapped(np.ones_like(out._data)),), strict, True)
        found = _gradients(first, leaves, vectors, strict, create_graph)
    return _finished((out,), False, create_graph), _finished(found, several, create_graph)


def hvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a function with one element, and the product of its Hessian, which is symmetric, with `v`."""
    return vhp(func, inputs, v, create_graph, strict)
