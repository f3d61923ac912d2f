"""Sorting, and what comes of it: ranks, medians, quantiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.functions.shape import expand_dims
from chainrule.torch.errors import DimensionError, OperationError
from chainrule.torch.functions.reductions import at_indices, check_not_empty, pair, sum_
from chainrule.torch.functions.registry import function, one_dim, tensor_argument
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor


def order_of(data: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """The indices that sort, stably; NaN are larger than every number."""
    if not data.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(data, axis=dim, kind="stable")
    turned = np.flip(data, dim)
    return np.flip(data.shape[dim] - 1 - np.argsort(turned, axis=dim, kind="stable"), dim)


@function()
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The elements in order, and where they were."""
    axis = one_dim(dim, tensor_argument(input, "sort")._data.ndim)
    return pair("sort", input, order_of(input._data, axis, descending), axis, True)


@function()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The indices that sort."""
    axis = one_dim(dim, tensor_argument(input, "argsort")._data.ndim)
    return Tensor._wrapped(order_of(input._data, axis, descending))


@function()
def msort(input: Tensor) -> Any:
    """The elements in order along the first dimension."""
    return sort(input, 0)[0]


@function()
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest elements, and where they are."""
    axis = one_dim(dim, tensor_argument(input, "topk")._data.ndim)
    if not 0 <= k <= (input._data.shape[axis] if input._data.ndim else 1):
        raise OperationError("selected index k out of range")
    order = order_of(input._data, axis, largest)
    return pair("topk", input, order if not order.ndim else np.take(order, range(k), axis), axis, True)


@function()
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest element, and where it is."""
    axis = one_dim(dim, tensor_argument(input, "kthvalue")._data.ndim)
    if not input._data.size and input._data.ndim and not input._data.shape[axis]:
        raise DimensionError(f"kthvalue(): Expected reduction dim {axis} to have non-zero size.")
    if not 1 <= k <= (input._data.shape[axis] if input._data.ndim else 1):
        raise OperationError("kthvalue(): selected number k out of range for dimension")
    order = order_of(input._data, axis, False)
    return pair("kthvalue", input, order if not order.ndim else np.take(order, [k - 1], axis), axis, keepdim)


def _middle(data: np.ndarray, axis: int, ignore_nan: bool) -> np.ndarray:
    """The index of the lower median along an axis, which is kept; of a NaN, where there is one."""
    if not data.ndim:
        return np.zeros((), np.int64)
    order = np.argsort(data, axis=axis, kind="stable")
    missing = np.isnan(data) if data.dtype.kind == "f" else np.zeros(data.shape, bool)
    count = data.shape[axis] - missing.sum(axis, keepdims=True)
    middle = np.maximum(count - 1, 0) // 2
    index = np.take_along_axis(order, middle, axis)
    if not ignore_nan:
        index = np.where(missing.any(axis, keepdims=True), missing.argmax(axis, keepdims=True), index)
    return index


def _median(name: str, ignore_nan: bool) -> Any:
    def f(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        tensor_argument(input, name)
        if dim is None:
            flat = ops.reshape(input, shape=(-1,))
            if not flat._data.size:
                return named(sum_(flat) * math.nan, f"{name.title()}Backward0")
            return named(
                ops.squeeze(at_indices(flat, _middle(flat._data, 0, ignore_nan), 0), axis=0),
                f"{name.title()}Backward0",
            )
        axis = one_dim(dim, input._data.ndim)
        check_not_empty(name, input, dim)
        return pair(
            name, input, _middle(input._data, axis, ignore_nan), axis, keepdim, f"{name.title()}Backward1"
        )

    f.__name__ = f.__qualname__ = name
    f.__doc__ = "The middle element, the lower of two; along a dimension, with its index."
    return f


median, nanmedian = _median("median", False), _median("nanmedian", True)
function()(median)
function()(nanmedian)


@function()
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element (the smallest of several), and the last place where it is."""
    data = tensor_argument(input, "mode")._data
    axis = one_dim(dim, data.ndim)
    check_not_empty("mode", input, dim)
    if not data.ndim:
        return pair("mode", input, np.zeros((), np.int64), 0, keepdim)
    lines = np.moveaxis(data, axis, -1)
    found = np.empty(lines.shape[:-1], np.int64)
    for place in np.ndindex(found.shape):
        values, counts = np.unique(lines[place], return_counts=True)
        found[place] = np.flatnonzero(lines[place] == values[counts.argmax()])[-1]
    return pair("mode", input, np.expand_dims(found, axis), axis, keepdim)


def _check_quantile(name: str, input: Tensor, q: Any, share: np.ndarray, interpolation: str) -> None:
    if input._data.dtype.char not in "fd":
        raise OperationError(f"{name}() input tensor must be either float or double dtype")
    if isinstance(q, Tensor) and q._data.dtype != input._data.dtype:
        raise OperationError(f"{name}() q tensor must be same dtype as the input tensor")
    if share.ndim > 1:
        raise OperationError(f"{name}() q must be a scalar or 1D tensor")
    if not ((share >= 0) & (share <= 1)).all():
        raise OperationError(f"{name}() q must be in the range [0, 1] but got {share}")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise OperationError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if not input._data.size:
        raise OperationError(f"{name}() input tensor must be non-empty")


def _quantile(name: str, ignore_nan: bool) -> Any:
    def f(
        input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Any:
        tensor_argument(input, name)
        share = np.asarray(q._data if isinstance(q, Tensor) else q, input._data.dtype)
        _check_quantile(name, input, q, share, interpolation)
        if dim is None:
            shape = (1,) * input._data.ndim
            out = along(ops.reshape(input, shape=(-1,)), share, 0, interpolation, ignore_nan)
            return out if not keepdim else ops.reshape(out, shape=(*share.shape, *shape))
        axis = one_dim(dim, input._data.ndim)
        out = along(
            input if input._data.ndim else ops.reshape(input, shape=(1,)),
            share,
            axis,
            interpolation,
            ignore_nan,
        )
        return out if not keepdim or not input._data.ndim else expand_dims(out, axis=axis + share.ndim)

    def along(x: Any, share: np.ndarray, axis: int, interpolation: str, ignore_nan: bool) -> Any:
        x = ops.moveaxis(x, axis, -1)
        data = x._data
        order = np.argsort(data, axis=-1, kind="stable")
        missing = np.isnan(data).sum(-1)
        count = (
            np.maximum(data.shape[-1] - missing, 1) if ignore_nan else np.full(missing.shape, data.shape[-1])
        )
        rank = share.reshape((*share.shape, *(1,) * missing.ndim)) * (count - 1)
        if not ignore_nan:
            rank = np.where(missing > 0, data.shape[-1] - 1, rank)
        rounding: Any = {"lower": np.floor, "higher": np.ceil, "nearest": np.round}.get(interpolation)
        rank = rank if rounding is None else rounding(rank)
        low, high = np.floor(rank).astype(int), np.ceil(rank).astype(int)
        weight = np.where(low == high, 0.0, 0.5) if interpolation == "midpoint" else rank - low
        below, above = (_ranked(x, order, r) for r in (low, high))
        kind = data.dtype
        return below + Tensor._wrapped(weight.astype(kind)) * (above - below)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = "The value below which a share `q` of the elements lies."
    return f


def _ranked(x: Any, order: np.ndarray, rank: np.ndarray) -> Any:
    """The elements of the given ranks in each line."""
    lead = order.shape[:-1]
    extra = rank.ndim - len(lead)
    where = np.take_along_axis(
        np.broadcast_to(order, (*rank.shape[:extra], *order.shape)), rank[..., None], -1
    )[..., 0]
    mesh = np.ogrid[tuple(slice(n) for n in rank.shape)][extra:] if lead else []
    return ops.getitem(x, (*mesh, where))


quantile, nanquantile = _quantile("quantile", False), _quantile("nanquantile", True)
function()(quantile)
function()(nanquantile)
