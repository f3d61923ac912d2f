"""The operations of PyTorch's own table: compiled, each gives what it gives eager, or is refused with its line."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_table import ENTRIES, Untried, converted, flat, operation, reason_not_tried, samples, with_ours

import chainrule as cr
from chainrule import torch as ours
from chainrule.errors import UnsupportedError

NAMED = [name for name in ENTRIES if reason_not_tried(name) is None]
RANDOM = frozenset({
    "bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial", "normal", "normal/in_place",
    "normal/number_mean", "rand_like", "randint", "randint_like", "randn", "randn_like", "uniform",
    "nn.functional.fractional_max_pool2d", "nn.functional.fractional_max_pool3d",
    "nn.functional.multi_head_attention_forward", "nn.functional.rrelu",
})  # fmt: skip
"""What draws random numbers, if only in its first sample."""

REFUSED = RANDOM | {
    "as_strided", "as_strided/partial_views", "as_strided_copy", "cholesky_inverse", "cholesky_solve", "cummax",
    "cummin", "frexp", "linalg.eigh", "linalg.eigvalsh", "linalg.pinv/hermitian", "logdet", "matrix_exp", "mode",
    "nextafter", "nn.functional.adaptive_max_pool1d", "nn.functional.adaptive_max_pool2d",
    "nn.functional.adaptive_max_pool3d", "nn.functional.gaussian_nll_loss",
}  # fmt: skip
"""What reads values, so that no graph can hold it."""


def placed(value: Any, change: Callable[[Any], Any]) -> Any:
    """An argument with other tensors in it."""
    if isinstance(value, ours.Tensor):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[placed(part, change) for part in value])
    if isinstance(value, (list, tuple)):
        return type(value)(placed(part, change) for part in value)
    return {k: placed(v, change) for k, v in value.items()} if isinstance(value, dict) else value


def with_gradient(op: Any, sample: Any, every: bool) -> tuple[Callable[..., Any], list[Any]]:
    """A function of tensors that gives an operation's results and gradients, and the tensors.

    Those are all, or only those that need gradients; the others are constants then.
    """
    leaves: list[Any] = []
    memory: dict[Any, Any] = {}
    arguments = (
        converted((sample.input, *sample.args), leaves, memory),
        converted(sample.kwargs, leaves, memory),
    )
    found: dict[int, Any] = {id(leaf): leaf.requires_grad_(False) for leaf in leaves}
    if every:
        placed(arguments, lambda tensor: found.setdefault(id(tensor), tensor))
    run, wrapper = operation(op), with_ours(op.gradcheck_wrapper)

    def f(*tensors: Any) -> Any:
        given = {key: tensor.detach().clone() for key, tensor in zip(found, tensors, strict=True)}
        wanted = [given[id(leaf)].requires_grad_() for leaf in leaves]
        args, kwargs = placed(arguments, lambda tensor: given.get(id(tensor), tensor))
        parts = [part for part in flat(wrapper(run, *args, **kwargs)) if isinstance(part, ours.Tensor)]
        total = sum(
            (weighed(part) for part in parts if part.requires_grad), ours.zeros((), dtype=ours.float64)
        )
        gradients: Any = ()
        if total.requires_grad:
            gradients = ours.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)
        return [part.detach() for part in parts], list(gradients)

    return f, list(found.values())


def weighed(part: Any) -> Any:
    return (part * ours.from_numpy(np.cos(1.0 + np.arange(part.numel()))).reshape(part.shape)).sum()


def compare(op: Any, sample: Any, every: bool) -> None:
    f, tensors = with_gradient(op, sample, every)
    expected = flat(f(*[tensor.clone() for tensor in tensors]))
    # The NumPy backend compiles in no time; native code is compared with it elsewhere.
    found = flat(cr.compile(f, backend="numpy")(*[tensor.clone() for tensor in tensors]))
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        tolerance = 1e-5 if theirs._data.dtype.itemsize < 8 else 1e-10
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=tolerance, atol=tolerance)


def outcome(op: Any, sample: Any) -> str:
    """Whether an operation is compiled, or refused where all its tensors, or those that need gradients, are traced."""
    for every in (True, False):
        try:
            compare(op, sample, every)
        except UnsupportedError:
            continue
        return "compiled"
    return "refused"


@pytest.mark.parametrize("name", NAMED)
def test_compiled_as_eager_or_refused(name: str) -> None:
    op = ENTRIES[name]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for sample in samples(op):
            try:
                assert outcome(op, sample) == ("refused" if name in REFUSED else "compiled")
            except Untried:
                continue
            return
