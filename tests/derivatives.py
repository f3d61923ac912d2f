"""The numbers that are compared with other libraries: the value of a function, and two derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from cases import Case

import chainrule as cr
from chainrule import ops
from chainrule.errors import IndependentWarning
from chainrule.functions.arrays import data_of
from chainrule.trees import leaves


class Derivatives(NamedTuple):
    """The results of a function, the gradient of their weighted sum, and a product of its Hessian."""

    values: list[Any]
    first: list[Any]
    second: list[Any]


def weights_for(shape: Sequence[int]) -> Any:
    """Numbers of an array's shape, so that each element of a result counts in its own way."""
    return np.cos(1.0 + np.arange(np.prod(shape, dtype=int))).reshape(tuple(shape))


def floats(result: Any) -> list[Any]:
    """The floating-point arrays among results that may be nested."""
    return [part for _, part in leaves(result) if getattr(getattr(part, "dtype", None), "kind", "i") == "f"]


def derivatives_of(function: Callable[..., Any], arrays: list[Any]) -> Derivatives:
    """By chainrule."""
    argnums = tuple(range(len(arrays)))

    def total(*values: Any) -> Any:
        return sum((ops.sum(r * weights_for(r.shape)) for r in floats(function(*values))), 0.0)

    def along(*values: Any) -> Any:
        return sum(
            ops.sum(g * weights_for(g.shape)) for g in without_warning(cr.grad(total, argnums), *values)
        )

    values = [np.asarray(data_of(r)) for r in floats(function(*map(cr.Tensor, arrays)))]
    first, second = (without_warning(cr.grad(f, argnums), *arrays) for f in (total, along))
    return Derivatives(values, list(first), list(second))


def gradients_in(case: Case, asarray: Callable[[Any], Any]) -> tuple[list[Any], list[Any]]:
    """The results and the gradients of a row whose arrays belong to another library."""
    inputs = [cr.Tensor(asarray(a), requires_grad=True) for a in case.drawn()]
    fixed = tuple(asarray(a) if isinstance(a, np.ndarray) and a.ndim else a for a in case.arguments)
    results = [r for _, r in leaves(case.called(case.filled(inputs, fixed))) if isinstance(r, cr.Tensor)]
    results = [r for r in results if "float" in str(r.dtype)]
    sum((ops.sum(r * r) for r in results), 0.0).backward()
    return [r.data for r in results], [None if t.grad is None else t.grad.data for t in inputs]


def assert_same_in(case: Case, asarray: Callable[[Any], Any]) -> None:
    """Another library's arrays give what NumPy's give, and stay that library's."""
    kind = type(asarray(np.ones(1)))
    for found, expected in zip(gradients_in(case, asarray), gradients_in(case, np.asarray), strict=True):
        assert len(found) == len(expected) > 0
        for f, e in zip(found, expected, strict=True):
            assert isinstance(f, kind) or (f is None and e is None)
            if e is not None:
                np.testing.assert_allclose(np.asarray(f), e, rtol=1e-9, atol=1e-12)


def without_warning(function: Callable[..., Any], *arguments: Any) -> Any:
    """That a derivative is zero because nothing depends on an argument is no news here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IndependentWarning)
        return function(*arguments)


def assert_equal(found: Derivatives, expected: Derivatives, tolerance: float = 1e-10) -> None:
    """Equal up to rounding, relative to the largest element of each array."""
    for name, ours, theirs in zip(Derivatives._fields, found, expected, strict=True):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            b = np.asarray(b)
            assert a.shape == b.shape
            scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=name)
