"""Gathering, scattering, and writing slices at indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.errors import DimensionError, OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.indexed import check_range, index_array, lead
from chainrule.torch.functions.registry import function, one_dim, tensor_argument
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor


def along_key(places: np.ndarray, dim: int) -> tuple[Any, ...]:
    """The index of which `places` is the part for a dimension, and the other parts count."""
    mesh = np.ogrid[tuple(slice(n) for n in places.shape)]
    return tuple(places if i == dim else m for i, m in enumerate(mesh))


def _line_indices(name: str, input: Tensor, dim: int, index: Any, source: Any) -> tuple[np.ndarray, int]:
    """The checked index of gather and scatter, and the dimension."""
    data = tensor_argument(input, name)._data
    axis = one_dim(dim, data.ndim)
    places = tensor_argument(index, name, "index", 3)._data
    if places.size and places.dtype not in (np.int64, np.int32):
        raise OperationError(f"{name}(): Expected dtype int64 for index")
    if places.size == 0:
        return places, axis
    if max(places.ndim, 1) != max(data.ndim, 1):
        raise OperationError(
            "Index tensor must have the same number of dimensions as "
            + ("input" if source is None else "self")
            + " tensor"
        )
    shape = data.shape or (1,)
    limits = [n for i, n in enumerate(shape)]
    for i, n in enumerate(places.shape or (1,)):
        if n > limits[i] and i != axis:
            raise OperationError(
                f"Size does not match at dimension {i} expected index {list(places.shape)} to be no larger "
                f"than self {list(data.shape)} apart from dimension {axis}"
            )
        if isinstance(source, Tensor) and n > (source._data.shape or (1,))[i]:
            raise OperationError(
                f"Expected index {list(places.shape)} to be no larger than src {list(source.shape)}"
            )
    return check_range(places, shape[axis], name, OperationError), axis


@function()
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Any:
    """out[i][j] = input[index[i][j]][j] for dim = 0, and so on."""
    places, axis = _line_indices("gather", input, dim, index, None)
    if not places.size:
        return ops.getitem(ops.reshape(input, shape=(-1,)), places.astype(np.intp))
    x = input if input._data.ndim else ops.reshape(input, shape=(1,))
    out = ops.getitem(x, along_key(places.reshape(places.shape or (1,)), axis))
    return named(out if places.ndim else ops.reshape(out, shape=()), "GatherBackward0")


def _source(name: str, input: Tensor, places: np.ndarray, src: Any) -> Any:
    """The part of the source that is used."""
    if not isinstance(src, Tensor):
        return Tensor._wrapped(np.full(places.shape, src, input._data.dtype))
    if src._data.dtype != input._data.dtype:
        raise OperationError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if (src._data.shape or (1,)) == places.shape:
        return src
    src = src if src._data.ndim else ops.reshape(src, shape=(1,))
    return ops.getitem(src, tuple(slice(n) for n in places.shape))


def _scattered(name: str, input: Tensor, dim: int, index: Any, src: Any, how: Any) -> Any:
    places, axis = _line_indices(name, input, dim, index, src)
    if not places.size:
        return apply(ops.positive, (input,), {})
    shape = input._data.shape
    x = input if shape else ops.reshape(input, shape=(1,))
    places = places.reshape(places.shape or (1,))
    values = _source(name, x, places, src)
    values = values if values._data.ndim else ops.reshape(values, shape=(1,))
    out = how(x, values, along_key(places, axis))
    return named(
        out if shape else ops.reshape(out, shape=()),
        "".join(p.title() for p in name.split("_")) + "Backward0",
    )


def _put(x: Any, values: Any, key: Any) -> Any:
    return ops.index_update(x, values, key)


def _added(x: Any, values: Any, key: Any) -> Any:
    return x + ops.scatter_add(values, key=key, shape=x._data.shape)


def _multiplied(x: Any, values: Any, key: Any) -> Any:
    return reduced_into(x, values, key, "prod", True)


@function(inplace=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Any:
    """The elements of `src` written to input[index[i][j]][j] for dim = 0, and so on."""
    src = value if src is None else src
    if reduce not in (None, "add", "multiply"):
        raise OperationError("reduce argument must be either add or multiply.")
    how = {None: _put, "add": _added, "multiply": _multiplied}[reduce]
    return _scattered("scatter", input, dim, index, src, how)


@function(inplace=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:
    """The elements of `src` added to input[index[i][j]][j] for dim = 0, and so on."""
    tensor_argument(src, "scatter_add", "src", 4)
    return _scattered("scatter_add", input, dim, index, src, _added)


def reduced_into(x: Any, values: Any, key: Any, reduce: str, include_self: bool) -> Any:
    """`x`, into whose elements at `key` values are reduced."""
    shape = x._data.shape
    counts = np.zeros(shape, x._data.dtype)
    np.add.at(counts, key, 1)
    hit = counts > 0
    if reduce in ("sum", "mean"):
        start = x if include_self else apply(ops.where, (hit, 0.0, x), {})
        total = start + ops.scatter_add(values, key=key, shape=shape)
        if reduce == "sum":
            return total
        number = np.maximum(counts + include_self, 1) if include_self else np.maximum(counts, 1)
        return total / Tensor._wrapped(number)
    return _groupwise(x, values, key, reduce, include_self, hit, counts)


def _groupwise(
    x: Any, values: Any, key: Any, reduce: str, include_self: bool, hit: np.ndarray, counts: np.ndarray
) -> Any:
    """Products and extremes over groups: the members of each group are laid out along a new dimension."""
    shape = x._data.shape
    most = int(counts.max(initial=0))
    flat = np.ravel_multi_index(
        np.broadcast_arrays(*(k % n for k, n in zip(key, shape, strict=True))), shape
    ).reshape(-1)
    order = np.argsort(flat, kind="stable")
    rank = np.empty(flat.size, np.intp)
    groups = flat[order]
    rank[order] = np.arange(flat.size) - np.searchsorted(groups, groups)
    neutral = {"prod": 1.0, "amax": -np.inf, "amin": np.inf}[reduce]
    size = x._data.size
    table = ops.index_update(
        Tensor._wrapped(np.full((size, most), neutral, x._data.dtype)),
        ops.reshape(values, shape=(-1,)),
        (flat, rank),
    )
    own = ops.reshape(x, shape=(-1, 1))
    if not include_self:
        own = apply(ops.where, (hit.reshape(-1, 1), neutral, own), {})
    table = ops.concat([own, table], axis=1)
    primitive = {"prod": ops.prod, "amax": ops.max, "amin": ops.min}[reduce]
    return ops.reshape(apply(primitive, (table,), {"axis": 1, "keepdims": False}), shape=shape)


@function(inplace=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Any:
    """The elements of `src` reduced into input[index[i][j]][j]: by sum, prod, mean, amax or amin."""
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise OperationError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    tensor_argument(src, "scatter_reduce", "src", 4)
    return _scattered(
        "scatter_reduce", input, dim, index, src, lambda x, v, k: reduced_into(x, v, k, reduce, include_self)
    )


# along one dimension, whole slices -----------------------------------------------------------------------


def _slices(name: str, input: Tensor, dim: int, index: Any) -> tuple[Any, Any, int]:
    """The tensor with a dimension at least, the index into it, and the dimension."""
    tensor_argument(input, name)
    places = np.atleast_1d(index_array(index, name))
    if places.ndim > 1:
        raise DimensionError(f"{name}(): Index is supposed to be a vector, but got dim: {places.ndim}")
    axis = one_dim(dim, input._data.ndim)
    x = input if input._data.ndim else ops.reshape(input, shape=(1,))
    check_range(np.where(places < 0, places + x._data.shape[axis], places), x._data.shape[axis], name)
    return x, (*lead(axis), places), axis


def _sliced(name: str, input: Tensor, dim: int, index: Any, source: Any, how: Any) -> Any:
    x, key, axis = _slices(name, input, dim, index)
    if isinstance(source, Tensor):
        if source._data.dtype != input._data.dtype:
            raise OperationError(
                f"{name}(): self and source expected to have the same dtype, but got (self) {input.dtype} and "
                f"(source) {source.dtype}"
            )
        expected = (*x._data.shape[:axis], key[-1].size, *x._data.shape[axis + 1 :])
        if source._data.ndim == 0:
            source = ops.reshape(source, shape=(1,) * len(expected))
        if tuple(source._data.shape) != expected:
            kind = (
                DimensionError
                if source._data.ndim != len(expected) and name != "index_add"
                else OperationError
            )
            raise kind(
                f"{name}(): the source has shape {list(source.shape)}, but the indexed part has {list(expected)}"
            )
    out = how(x, source, key)
    return named(ops.reshape(out, shape=input._data.shape) if not input._data.ndim else out,
                 "".join(p.title() for p in name.split("_")) + "Backward0")  # fmt: skip


@function(inplace=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Any:
    """Alpha times the slices of `source` added at the given indices along a dimension."""
    tensor_argument(source, "index_add", "source", 4)
    return _sliced(
        "index_add", input, dim, index, source, lambda x, s, k: _added(x, s if alpha == 1 else s * alpha, k)
    )


@function(inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Any:
    """The slices of `source` written at the given indices along a dimension."""
    tensor_argument(source, "index_copy", "source", 4)
    return _sliced("index_copy", input, dim, index, source, _put)


@function(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Any:
    """`value` written at the given indices along a dimension."""
    if isinstance(value, Tensor) and value._data.ndim:
        raise OperationError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value._data.ndim} "
            "dimension(s)."
        )
    x, key, _ = _slices("index_fill", input, dim, index)
    out = ops.index_update(x, value, key)
    return out if input._data.ndim else ops.reshape(out, shape=())


@function(inplace=True)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Any:
    """The slices of `source` reduced into those at the given indices: by prod, mean, amax or amin."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise OperationError(
            f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}."
        )

    def how(x: Any, s: Any, key: Any) -> Any:
        mesh = list(np.ogrid[tuple(slice(n) for n in s._data.shape)])
        axis = len(key) - 1
        mesh[axis] = key[-1].reshape(mesh[axis].shape)
        return reduced_into(x, s, tuple(np.broadcast_arrays(*mesh)), reduce, include_self)

    return _sliced("index_reduce", input, dim, index, source, how)


@function(inplace=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Any:
    """`values` written (or added) at an index given as one tensor per dimension."""
    key = tuple(slice(None) if i is None else i._data for i in indices)
    if len(key) > input._data.ndim:
        raise DimensionError(f"too many indices for tensor of dimension {input._data.ndim} (got {len(key)})")
    if values._data.dtype != input._data.dtype:
        raise OperationError(
            f"Index put requires the source and destination dtypes match, got {input.dtype.title} for the "
            f"destination and {values.dtype.title} for the source."
        )
    out = ops.index_add(input, values, key) if accumulate else ops.index_update(input, values, key)
    return named(out, "IndexPutBackward0")


@function(inplace=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Any:
    """The elements of `source` written (or added) at indices into the flattened tensor."""
    places = tensor_argument(index, "put", "index", 2)._data
    if places.dtype != np.int64:
        raise OperationError("put_(): Expected a long tensor for index, but got " + repr(index.dtype))
    if source._data.dtype != input._data.dtype:
        raise OperationError("put_(): self and source expected to have the same dtype")
    if source._data.size != places.size:
        raise OperationError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"{source._data.size} and {places.size}"
        )
    check_range(np.where(places < 0, places + input._data.size, places), input._data.size, "put_")
    flat, values = ops.reshape(input, shape=(-1,)), ops.reshape(source, shape=(-1,))
    how = _added if accumulate else _put
    return ops.reshape(how(flat, values, (places.reshape(-1),)), shape=input._data.shape)
