"""`gradcheck` and `gradgradcheck`: central differences against the gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.torch.autograd.functional import derivatives_of
from chainrule.torch.autograd.modes import enable_grad, no_grad
from chainrule.torch.autograd.sweeps import grad
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.tensors import Tensor


class GradcheckError(OperationError):
    """A gradient differs from central differences."""


def _tensors(values: Any) -> tuple[Any, ...]:
    found = values if isinstance(values, (tuple, list)) else (values,)
    return tuple(v for v in found if isinstance(v, Tensor))


def _numerical(
    func: Callable[..., Any], inputs: tuple[Any, ...], x: Any, number: int, eps: float
) -> np.ndarray:
    """The derivatives of output `number` by all elements of `x`, which is changed and restored: (elements, output)."""
    columns = []
    with no_grad():
        for index in np.ndindex(x._data.shape):
            ends = []
            before = x._data[index]
            for step in (eps, -eps):
                x._data[index] = before + step
                ends.append(np.array(_tensors(func(*inputs))[number]._data, dtype=float))
            x._data[index] = before
            columns.append((ends[0] - ends[1]) / (2 * eps))
    return np.array(columns).reshape(x._data.size, -1)


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, **others: Any,
) -> bool:  # fmt: skip
    """Whether the gradients of `func` agree with central differences, for inputs that require gradients.

    >>> from chainrule import torch
    >>> x = torch.tensor([0.5, 2.0], dtype=torch.double, requires_grad=True)
    >>> torch.autograd.gradcheck(torch.sin, (x,))
    True
    """
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    wanted = [x for x in _tensors(inputs) if x.requires_grad]
    if not wanted:
        raise ValueOptionError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have "
            "requires_grad=True."
        )
    for i, x in enumerate(wanted):
        if x._data.dtype != np.float64:
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point. This check will "
                "likely fail.",
                stacklevel=2,
            )
    try:
        outputs = _tensors(func(*inputs))
        if not any(o.requires_grad for o in outputs):
            raise GradcheckError(
                "gradcheck expects at least one output to require a gradient, but none does: the function is "
                "not differentiable, or its gradients are lost."
            )
        for number, out in enumerate(outputs):
            if out.requires_grad:
                _compare(func, inputs, wanted, out, number, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _compare(
    func: Callable[..., Any],
    inputs: tuple[Any, ...],
    wanted: list[Any],
    out: Any,
    number: int,
    eps: float,
    atol: float,
    rtol: float,
) -> None:
    analytical = derivatives_of(out, tuple(wanted), False, False)
    for i, x in enumerate(wanted):
        expected = _numerical(func, inputs, x, number, eps)
        found = analytical[i]._data.reshape(-1, x._data.size).T
        if not np.allclose(found, expected, rtol, atol):
            raise GradcheckError(
                f"Jacobian mismatch for output {number} with respect to input "
                f"{i},\nnumerical:{expected}\nanalytical:{found}\n"
            )


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, raise_exception: bool = True, **others: Any,
) -> bool:  # fmt: skip
    """Whether the second derivatives of `func` agree with central differences of the first."""
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    outputs = [o for o in _tensors(func(*inputs)) if o.requires_grad]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = [
            Tensor._wrapped(rng.normal(size=o._data.shape).astype(o._data.dtype)).requires_grad_()
            for o in outputs
        ]
    seeds = list(_tensors(grad_outputs))
    count = len(inputs)

    def gradients(*args: Any) -> Any:
        with enable_grad():  # also where the differences are taken
            results = [o for o in _tensors(func(*args[:count])) if o.requires_grad]
            wanted = [x for x in _tensors(args[:count]) if x.requires_grad]
            found = grad(results, wanted, list(args[count:]), create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients, (*inputs, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception
    )
