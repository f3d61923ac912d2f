"""Gradients kept in bounds, and parameters as one vector."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from sys import _getframe
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.inplace import note_change
from chainrule.lines import place
from chainrule.torch.errors import OperationError
from chainrule.torch.tensors import Tensor, is_symbolic


def _all_of(parameters: Any) -> list[Any]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def _gradients(parameters: Any) -> list[Any]:
    return [p.grad for p in _all_of(parameters) if p.grad is not None]


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """The norm of the norms of several tensors."""
    arrays = [t._data for t in _all_of(tensors)]
    if not arrays:
        return Tensor._wrapped(np.array(0.0, np.float32))
    norms = np.stack([np.linalg.norm(a.reshape(-1), float(norm_type)).astype(a.dtype) for a in arrays])
    total = np.linalg.norm(norms, float(norm_type)).astype(norms.dtype)
    if error_if_nonfinite and not np.isfinite(total):
        raise OperationError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so "
            f"it cannot be "
            f"clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            f"`error_if_nonfinite=False`"
        )
    return Tensor._wrapped(total)


def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Make all gradients shorter by one factor, so that `total_norm` becomes `max_norm` at most."""
    total = total_norm._data
    if is_symbolic(total):
        factor = np.minimum(float(max_norm) / (total.astype(np.float64) + 1e-6), 1.0)
    else:
        factor = np.float64(min(float(max_norm) / (float(total) + 1e-6), 1.0))
    for g in _gradients(parameters):
        g._data *= factor.astype(g._data.dtype)
        note_change(g._data, place(_getframe(1)))


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Limit the norm of all gradients together, in place; returns what it was."""
    parameters = _all_of(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_norm(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Any:
    """The old name of `clip_grad_norm_`."""
    warnings.warn(
        "torch.nn.utils.clip_grad_norm is now deprecated in favor of torch.nn.utils.clip_grad_norm_.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Limit each element of all gradients, in place."""
    for g in _gradients(parameters):
        np.clip(g._data, -float(clip_value), float(clip_value), out=g._data)
        note_change(g._data, place(_getframe(1)))


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All parameters as one vector, through which gradients flow."""
    return ops.concat([ops.reshape(p, shape=(-1,)) for p in parameters], axis=0)


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """The elements of a vector as the data of the parameters."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec)}")
    start = 0
    for p in parameters:
        end = start + p._data.size
        p.data = Tensor._wrapped(vec._data[start:end].reshape(p._data.shape))
        start = end
