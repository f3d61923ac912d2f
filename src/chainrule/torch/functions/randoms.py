"""Random tensors: PyTorch's own numbers for a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch import random
from chainrule.torch.dtypes import default_float, to_numpy_dtype
from chainrule.torch.errors import OperationError
from chainrule.torch.functions.creation import made
from chainrule.torch.functions.registry import METHODS, function, sizes
from chainrule.torch.tensors import Tensor


def _kind(dtype: Any) -> np.dtype[Any]:
    return default_float() if dtype is None else to_numpy_dtype(dtype)


@function(method=False)
def rand(
    *size: Any,
    generator: Any = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
    **how: Any,
) -> Any:
    """Uniform between 0 and 1."""
    shape = sizes(size or (how.get("size", ()),))
    return made(random.rand(shape, _kind(dtype), generator), requires_grad, device)


@function(method=False)
def randn(
    *size: Any,
    generator: Any = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
    **how: Any,
) -> Any:
    """Normal with mean 0 and standard deviation 1."""
    shape = sizes(size or (how.get("size", ()),))
    return made(random.randn(shape, _kind(dtype), generator), requires_grad, device)


@function(method=False)
def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Any = None, dtype: Any = None,
    requires_grad: bool = False, device: Any = None,
) -> Any:  # fmt: skip
    """Integers from `low` (0, if one bound is given) to `high`, not included."""
    if size is None:
        size, high = (high, None) if isinstance(high, (tuple, list)) else (size, high)
    if high is None:
        low, high = 0, low
    if low >= high:
        raise OperationError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    kind = np.dtype(np.int64) if dtype is None else to_numpy_dtype(dtype)
    return made(random.randint(low, high, sizes((size,)), kind, generator), requires_grad, device)


@function(method=False)
def randperm(
    n: int, *, generator: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Any:
    """The integers from 0 to n - 1 in random order."""
    kind = np.dtype(np.int64) if dtype is None else to_numpy_dtype(dtype)
    return made(random.randperm(n, kind, generator), requires_grad, device)


@function(method=False)
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    requires_grad: bool = False,
    **how: Any,
) -> Any:
    """Normal with means and standard deviations that are numbers or tensors."""
    given = (mean, std)
    mean, std = (v._data if isinstance(v, Tensor) else v for v in (mean, std))
    if np.min(std, initial=0) < 0:
        raise OperationError("normal expects all elements of std >= 0.0")
    shape = None if size is None else sizes((size,))
    out = made(
        random.normal(mean, std, shape, None if dtype is None and shape is None else _kind(dtype), generator),
        requires_grad,
    )
    return next((_independent(v, out) for v in given if isinstance(v, Tensor) and v.requires_grad), out)


def _independent(input: Tensor, out: Tensor) -> Any:
    """`out`, whose gradient by `input` is 0."""
    return ops.index_update(ops.broadcast_to(input, shape=out._data.shape), out, ...)


@function()
def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None) -> Any:
    """0 or 1, with the given probabilities of 1."""
    if p is not None:
        return made(random.bernoulli(np.full(input._data.shape, p, input._data.dtype), generator))
    if input._data.dtype.kind != "f":
        raise OperationError(
            f"bernoulli: expected a floating-point tensor of probabilities, but got {input.dtype}"
        )
    if input._data.size and not ((input._data >= 0) & (input._data <= 1)).all():
        raise OperationError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    out = made(random.bernoulli(input._data, generator))
    return _independent(input, out) if input.requires_grad else out


@function()
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Any:
    """Indices drawn with the given weights."""
    return made(random.multinomial(input._data, num_samples, replacement, generator))


@function(method=False)
def poisson(input: Tensor, generator: Any = None) -> Any:
    """Poisson with the given rates."""
    return made(random.poisson(input._data, generator))


def _like(name: str, make: Any) -> None:
    def f(input: Tensor, *, dtype: Any = None, **how: Any) -> Any:
        return make(input._data.shape, dtype=input.dtype if dtype is None else dtype, **how)

    f.__name__ = f.__qualname__ = f"{name}_like"
    f.__doc__ = f"As `torch.{name}`, of the shape and type of a tensor."
    function(method=False)(f)


_like("rand", rand)
_like("randn", randn)


@function(method=False)
def randint_like(input: Tensor, low: int, high: Any = None, *, dtype: Any = None, **how: Any) -> Any:
    """As `torch.randint`, of the shape and type of a tensor."""
    return randint(low, high, input._data.shape, dtype=input.dtype if dtype is None else dtype, **how)


def _sampler(name: str) -> Any:
    fill = getattr(random, name)

    def method(self: Tensor, *args: Any, generator: Any = None, **how: Any) -> Any:
        names = {"to": "high", "from": "low", "from_": "low"}
        if name == "random_" and len(args) == 1:
            how["high"], args = args[0], ()
        plain = [a._data if isinstance(a, Tensor) else a for a in args]
        options = {names.get(k, k): v._data if isinstance(v, Tensor) else v for k, v in how.items()}

        def change(old: Tensor) -> Tensor:
            values = np.array(self._data)
            fill(values, *plain, generator=generator, **options)
            return made(values)  # type: ignore[no-any-return]

        return self._replace(change, "random")

    method.__name__ = name
    method.__doc__ = f"Fill with random numbers, in place: `{name}`."
    return method


for _name in (
    "uniform_",
    "normal_",
    "random_",
    "bernoulli_",
    "exponential_",
    "log_normal_",
    "cauchy_",
    "geometric_",
):
    if hasattr(random, _name):
        METHODS[_name] = _sampler(_name)
