"""Reductions, running reductions, and those that also say where."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.rules.shape import astype
from chainrule.torch.dtypes import BY_NUMPY, default_float, to_numpy_dtype
from chainrule.torch.errors import DimensionError, OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.registry import dims_of, function, one_dim, tensor_argument
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor


class ReturnType(tuple[Any, ...]):
    """Several results with names; shown as PyTorch shows them."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __new__(cls, *parts: Any) -> Any:
        """From the parts, in order."""
        return tuple.__new__(cls, parts)

    def __repr__(self) -> str:
        shown = ",\n".join(f"{name}={part!r}" for name, part in zip(self._fields, self, strict=True))
        return f"torch.return_types.{type(self).__name__}(\n{shown})"

    def __getattr__(self, name: str) -> Any:
        try:
            return self[self._fields.index(name)]
        except ValueError:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None


def return_type(name: str, *fields: str) -> Any:
    """A class of named results."""
    return type(name, (ReturnType,), {"__slots__": (), "_fields": fields})


def converted(input: Any, dtype: Any) -> Any:
    """The tensor in the type that a reduction is asked for."""
    if dtype is None:
        return input
    kind = to_numpy_dtype(dtype)
    return input if input._data.dtype == kind else apply(astype, (input,), {"dtype": kind})


def _reduced(name: str, primitive: Any, input: Any, dim: Any, keepdim: bool, shown: str, **how: Any) -> Any:
    axes = None if dim is None or dim == () or dim == [] else dims_of(dim, input._data.ndim)
    out = apply(primitive, (input,), {"axis": axes, "keepdims": keepdim, **how})
    return out if axes is None else named(out, shown)


@function()
def sum_(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of the elements, or over the dimensions `dim`.

    >>> from chainrule import torch
    >>> torch.tensor([[1, 2], [3, 4]]).sum(dim=0)
    tensor([4, 6])
    """
    input = converted(tensor_argument(input, "sum"), dtype)
    if input._data.dtype.kind in "biu" and dtype is None:
        return Tensor._wrapped(
            np.sum(input._data, axis=dims_of(dim, input._data.ndim), keepdims=keepdim, dtype=np.int64)
        )
    return _reduced("sum", ops.sum, input, dim, keepdim, "SumBackward1")


@function()
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean of the elements, or over the dimensions `dim`."""
    input = converted(tensor_argument(input, "mean"), dtype)
    if input._data.dtype.kind not in "fc":
        raise OperationError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {BY_NUMPY[input._data.dtype].title}"
        )
    if input._data.size == 0:
        return _reduced("sum", ops.sum, input, dim, keepdim, "MeanBackward1") * math.nan
    return _reduced("mean", ops.mean, input, dim, keepdim, "MeanBackward1")


@function()
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of the elements that are not NaN."""
    input = converted(tensor_argument(input, "nansum"), dtype)
    return sum_(_without_nan(input), dim, keepdim)


def _without_nan(input: Any) -> Any:
    return (
        input if input._data.dtype.kind != "f" else apply(ops.where, (np.isnan(input._data), 0.0, input), {})
    )


@function()
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean of the elements that are not NaN."""
    input = converted(tensor_argument(input, "nanmean"), dtype)
    if input._data.dtype.kind != "f":
        raise OperationError(
            f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype}"
        )
    count = np.sum(~np.isnan(input._data), axis=dims_of(dim, input._data.ndim), keepdims=keepdim)
    return sum_(_without_nan(input), dim, keepdim) / Tensor._wrapped(count.astype(input._data.dtype))


@function()
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The product of the elements, or over one dimension."""
    input = converted(tensor_argument(input, "prod"), dtype)
    axes = None if dim is None else one_dim(dim, input._data.ndim)
    if input._data.dtype.kind in "biu" and dtype is None:
        axis: Any = axes if input._data.ndim else None
        return Tensor._wrapped(np.prod(input._data, axis=axis, keepdims=keepdim, dtype=np.int64))
    return apply(ops.prod, (input,), {"axis": axes if input._data.ndim else None, "keepdims": keepdim})


def _spread(name: str, primitive: Any) -> Any:
    def f(
        input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
    ) -> Any:
        input = tensor_argument(input, name)
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if input._data.dtype.kind not in "fc":
            raise OperationError(f"{name} and std only support floating point and complex dtypes")
        correction = 1 if correction is None and unbiased is not False else correction or 0
        axes = dims_of(dim, input._data.ndim)
        if math.prod(input._data.shape[a] for a in axes) - correction <= 0:
            total = sum_(input, dim, keepdim)
            return named(total * math.nan, f"{name.title()}Backward0")
        return apply(primitive, (input,), {"axis": axes, "keepdims": keepdim, "correction": correction})

    f.__name__ = f.__qualname__ = name
    title = "variance" if name == "var" else "standard deviation"
    f.__doc__ = f"The {title}, divided by n - correction (1 by default)."
    return f


var, std = _spread("var", ops.var), _spread("std", ops.std)
function()(var)
function()(std)


@function()
def var_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """Variance and mean."""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@function()
def std_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """Standard deviation and mean."""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def _truth(name: str, primitive: Any) -> Any:
    def f(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        axes = dims_of(dim, tensor_argument(input, name)._data.ndim)
        return apply(primitive, (input,), {"axis": axes, "keepdims": keepdim})

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"Whether {name} of the elements {'are' if name == 'all' else 'is'} true."
    return f


all_, any_ = _truth("all", ops.all), _truth("any", ops.any)
function()(all_)
function()(any_)


# extremes ------------------------------------------------------------------------------------------------


def check_not_empty(name: str, input: Tensor, dim: Any) -> None:
    """Raise if there is nothing to find an extreme of."""
    if input._data.size:
        return
    if dim is None:
        raise OperationError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction "
            "dim with the "
            f"'dim' argument."
        )
    for d in dims_of(dim, input._data.ndim):
        if input._data.shape[d] == 0:
            raise DimensionError(f"{name}(): Expected reduction dim {d} to have non-zero size.")


def at_indices(input: Any, indices: np.ndarray, dim: int) -> Any:
    """The elements at indices (which keep the dimension `dim`), each line with its own."""
    if not input._data.ndim:
        return apply(ops.positive, (input,), {})
    mesh = np.ogrid[tuple(slice(n) for n in indices.shape)]
    key = tuple(indices if i == dim else m for i, m in enumerate(mesh))
    return ops.getitem(input, key)


def pair(
    name: str, input: Any, indices: np.ndarray, dim: int, keepdim: bool, shown: str | None = None
) -> Any:
    """Values and indices; the indices given keep the dimension."""
    values = at_indices(input, indices, dim)
    if not keepdim and input._data.ndim:
        values, indices = ops.squeeze(values, axis=dim), indices.squeeze(dim)
    named(values, shown or f"{name.title()}Backward0")
    return _PAIRS[name](values, Tensor._wrapped(indices.astype(np.int64, copy=False)))


_PAIRS = {
    name: return_type(name, "values", "indices")
    for name in ("max", "min", "median", "nanmedian", "mode", "sort", "topk", "kthvalue", "cummax", "cummin")
}


def _extreme(name: str, primitive: Any, pick: Any, between: Any) -> Any:
    def f(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        tensor_argument(input, name)
        if isinstance(dim, Tensor):
            return named(apply(between, (input, dim), {}), f"{name.title()}imumBackward0")
        check_not_empty(name, input, dim)
        if dim is None:
            return named(
                apply(primitive, (input,), {"axis": None, "keepdims": False}), f"{name.title()}Backward1"
            )
        axis = one_dim(dim, input._data.ndim)
        indices = pick(input._data, axis=axis if input._data.ndim else None, keepdims=True)
        return pair(name, input, indices, axis, keepdim)

    def other(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        return f(input, dim if other is None else other, keepdim)

    other.__name__ = other.__qualname__ = name
    other.__doc__ = f"The {name}imum of all elements, over one dimension (with indices), or of two tensors."
    return other


max_ = _extreme("max", ops.max, np.argmax, ops.maximum)
min_ = _extreme("min", ops.min, np.argmin, ops.minimum)
function()(max_)
function()(min_)


def _extremes(name: str, primitive: Any) -> Any:
    def f(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        check_not_empty(name, tensor_argument(input, name), dim)
        axes = dims_of(dim, input._data.ndim)
        return named(
            apply(primitive, (input,), {"axis": axes, "keepdims": keepdim}), f"{name.title()}Backward0"
        )

    f.__name__ = f.__qualname__ = name
    f.__doc__ = "The extreme over dimensions; ties share the gradient."
    return f


amax, amin = _extremes("amax", ops.max), _extremes("amin", ops.min)
function()(amax)
function()(amin)

_MinMax = return_type("aminmax", "min", "max")


@function()
def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False) -> Any:
    """Minimum and maximum."""
    return _MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def _arg(name: str, pick: Any) -> Any:
    def f(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        data = tensor_argument(input, name)._data
        check_not_empty(name, input, dim)
        axis = None if dim is None else one_dim(dim, data.ndim)
        return Tensor._wrapped(pick(data, axis=axis if data.ndim else None, keepdims=keepdim))

    f.__name__ = f.__qualname__ = name
    f.__doc__ = "The index of the extreme: of the flattened tensor, or along one dimension."
    return f


argmax, argmin = _arg("argmax", np.argmax), _arg("argmin", np.argmin)
function()(argmax)
function()(argmin)


# running reductions --------------------------------------------------------------------------------------


def _running(name: str, primitive: Any, plain: Any) -> Any:
    def f(input: Tensor, dim: int, *, dtype: Any = None) -> Any:
        input = converted(tensor_argument(input, name), dtype)
        axis = one_dim(dim, input._data.ndim)
        if input._data.dtype.kind in "biu" and dtype is None:
            return Tensor._wrapped(
                plain(input._data, axis=axis if input._data.ndim else None, dtype=np.int64).reshape(
                    input._data.shape
                )
            )
        if not input._data.ndim:
            return apply(ops.positive, (input,), {})
        return named(primitive(input, axis=axis), f"{name.title()}Backward0")

    f.__name__ = f.__qualname__ = name
    f.__doc__ = "Running results along a dimension."
    return f


cumsum = _running("cumsum", ops.cumulative_sum, np.cumsum)
cumprod = _running("cumprod", ops.cumulative_prod, np.cumprod)
function(inplace=True)(cumsum)
function(inplace=True)(cumprod)


def _running_extreme(name: str, accumulate: Any, compare: Any) -> Any:
    def f(input: Tensor, dim: int) -> Any:
        data = tensor_argument(input, name)._data
        axis = one_dim(dim, data.ndim)
        if not data.ndim:
            return pair(name, input, np.zeros((), np.int64), 0, True)
        extreme = accumulate(data, axis=axis)
        place = np.arange(data.shape[axis]).reshape([-1 if i == axis else 1 for i in range(data.ndim)])
        # The last place so far that attains the extreme.
        attains = (data == extreme) | (np.isnan(data) if data.dtype.kind == "f" else False)
        indices = np.maximum.accumulate(np.where(attains, place, -1), axis=axis)
        return pair(name, input, indices, axis, True)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = "The extremes so far along a dimension, and where they are."
    return f


cummax = _running_extreme("cummax", np.maximum.accumulate, np.greater_equal)
cummin = _running_extreme("cummin", np.minimum.accumulate, np.less_equal)
function()(cummax)
function()(cummin)


@function()
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Any:
    """log(sum(exp(input))) over dimensions, without overflow."""
    tensor_argument(input, "logsumexp")
    if input._data.dtype.kind in "biu":
        input = converted(input, BY_NUMPY[default_float()])
    axes = dims_of(dim, input._data.ndim)
    if not input._data.size:
        return sum_(input.exp(), dim, keepdim).log()
    return apply(ops.logsumexp, (input,), {"axis": axes, "keepdims": keepdim})


def _soft(name: str, primitive: Any) -> Any:
    def f(input: Tensor, dim: int, *, dtype: Any = None) -> Any:
        input = converted(tensor_argument(input, name), dtype)
        if input._data.dtype.kind not in "fc":
            raise OperationError(
                f'"{name}_lastdim_kernel_impl" not implemented for {BY_NUMPY[input._data.dtype].title!r}'
            )
        axis = one_dim(dim, input._data.ndim)
        if not input._data.ndim:
            return ops.reshape(apply(primitive, (ops.reshape(input, shape=(1,)),), {"axis": 0}), shape=())
        if not input._data.size:
            return apply(ops.positive, (input,), {})
        return apply(primitive, (input,), {"axis": axis})

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"{name} along a dimension."
    return f


softmax, log_softmax = _soft("softmax", ops.softmax), _soft("log_softmax", ops.log_softmax)
function()(softmax)
function()(log_softmax)


@function()
def count_nonzero(input: Tensor, dim: Any = None) -> Any:
    """How many elements are not zero."""
    return Tensor._wrapped(np.count_nonzero(input._data, axis=dims_of(dim, input._data.ndim)))


@function()
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The norm of all elements, or over dimensions."""
    input = converted(tensor_argument(input, "norm"), dtype)
    if p == "nuc":
        axes = dims_of(dim, input._data.ndim)
        return ops.matrix_norm(input, axis=(axes[0], axes[1]), keepdims=keepdim, ord="nuc")
    order = 2.0 if p in ("fro", None) else float(p)
    if order == 0:
        return sum_(apply(ops.abs, (apply(ops.sign, (input,), {}),), {}), dim, keepdim)
    return named(
        vector_norm_of(input, order, dims_of(dim, input._data.ndim), keepdim),
        f"{'LinalgVector' if p == 'fro' else ''}NormBackward1",
    )


def vector_norm_of(input: Any, order: float, axes: tuple[int, ...], keepdim: bool) -> Any:
    """The norm of vectors along axes."""
    if (not input._data.size and order in (math.inf, -math.inf)) or (order < 0 and not input._data.size):
        raise OperationError(f"linalg.vector_norm cannot compute the {order} norm on an empty tensor")
    return ops.vector_norm(input, axis=axes, keepdims=keepdim, ord=order)


@function()
def dist(input: Tensor, other: Tensor, p: float = 2) -> Any:
    """The norm of the difference."""
    return norm(tensor_argument(input, "dist") - tensor_argument(other, "dist", "other", 2), p)
