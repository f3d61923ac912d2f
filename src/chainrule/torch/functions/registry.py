"""The public functions by name, and what all of them share: `out=`, NumPy's names of arguments, variants in place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.inplace import owner_of
from chainrule.primitives import names_of
from chainrule.torch.dtypes import BY_NUMPY, category
from chainrule.torch.errors import ArgumentError, DimensionError, OperationError
from chainrule.torch.tensors import Tensor

Function = Callable[..., Any]

PUBLIC: dict[str, Function] = {}
"""What `torch.name` gives."""
METHODS: dict[str, Any] = {}
"""What `tensor.name` gives."""
_NUMPY_NAMES = {
    "axis": "dim",
    "keepdims": "keepdim",
    "x": "input",
    "x1": "input",
    "x2": "other",
    "a": "input",
}


def function(
    *aliases: str, method: bool = True, inplace: bool = False, public: bool = True
) -> Callable[[Function], Function]:
    """Make a function public as `torch.name`, as a method of Tensor and, with `inplace`, as `tensor.name_`.

    A name that is also one of Python's is written with an underscore at the end, which is dropped.
    """

    def register(f: Function) -> Function:
        main = f.__name__.removesuffix("_")
        f.__name__ = f.__qualname__ = main
        plain = with_numpy_names(f)
        for name in (main, *aliases):
            if public:
                PUBLIC[name] = with_out(plain)
            if method:
                METHODS[name] = plain
            if inplace:
                METHODS[f"{name}_"] = in_place(plain, f"{name}_")
        return f

    return register


def with_numpy_names(f: Function) -> Function:
    """`f`, which also takes `axis` for `dim` and `keepdims` for `keepdim`."""
    accepted = names_of(f)
    renamed = {k: v for k, v in _NUMPY_NAMES.items() if v in accepted and k not in accepted}
    if "dim" not in accepted:
        return f

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {renamed.get(name, name): value for name, value in kwargs.items()}
        return f(*args, **kwargs)

    return call


def with_out(f: Function) -> Function:
    """`f`, which also takes `out`: a Tensor (or several) that the result is written into."""
    if "out" in names_of(getattr(f, "__wrapped__", f)):
        return f

    @functools.wraps(f)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return f(*args, **kwargs)
        _check_overlap(f.__name__, out, args)
        result = f(*args, **kwargs)
        if f.__name__ in _EXACT_OUT and isinstance(out, Tensor) and out._data.dtype != result._data.dtype:
            raise OperationError(
                f"{f.__name__} expects {result.dtype.title} tensor out, got: {out.dtype.title}"
            )
        return into(out, result)

    return call


def _check_overlap(name: str, out: Any, args: tuple[Any, ...]) -> None:
    inputs = [x for a in args for x in (a if isinstance(a, (tuple, list)) else (a,)) if isinstance(x, Tensor)]
    for o in out if isinstance(out, (tuple, list)) else (out,):
        if not isinstance(o, Tensor):
            continue
        if o._data.size and any(
            s == 0 and n > 1 for s, n in zip(o._data.strides, o._data.shape, strict=True)
        ):
            raise OperationError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                "location. Please clone() the tensor before performing the operation."
            )
        if name in _NO_OVERLAP and any(owner_of(o._data) is owner_of(x._data) for x in inputs):
            raise OperationError(
                "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
                "memory location. Please clone() the tensor before performing the operation."
            )


_EXACT_OUT = frozenset(
    {"multinomial", "bucketize", "searchsorted", "argsort", "nonzero", "gather", "complex", "polar"}
)
_NO_OVERLAP = frozenset(
    {"kthvalue", "masked_select", "index_select", "take", "cat", "gather", "msort", "index_add"}
)


def into(out: Any, result: Any) -> Any:
    """Write a result into `out`, which takes its shape."""
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise ArgumentError(f"out must be a tuple of {len(result)} Tensors")
        for o, r in zip(out, result, strict=True):
            if isinstance(o, Tensor) and o._data.dtype != r._data.dtype:
                raise OperationError(
                    f"Expected out tensor to have dtype {r.dtype}, but got {o.dtype} instead"
                )
        written = [into(o, r) for o, r in zip(out, result, strict=True)]
        return type(result)(*written) if hasattr(result, "_fields") else tuple(written)
    if not isinstance(out, Tensor):
        raise ArgumentError(f"argument 'out' must be Tensor, not {type(out).__name__}")
    if out.requires_grad or result.requires_grad:
        raise OperationError(
            "functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    if category(result._data.dtype) > category(out._data.dtype):
        raise OperationError(
            f"result type {BY_NUMPY[result._data.dtype].title} can't be cast to the desired output type "
            f"{out.dtype.title}"
        )
    if out._data.shape != result._data.shape:
        out._data = np.empty(result._data.shape, out._data.dtype)
    out._data[...] = result._data
    return out


def in_place(f: Function, name: str) -> Function:
    """The method that changes its Tensor to what `f` gives."""

    @functools.wraps(f)
    def change(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self._replace(lambda old: f(old, *args, **kwargs), name)

    change.__name__ = change.__qualname__ = name
    return change


# what every function asks of its arguments ------------------------------------------------------------------


def tensor_argument(value: Any, function: str, argument: str = "input", position: int = 1) -> Tensor:
    """`value`, which must be a Tensor."""
    if not isinstance(value, Tensor):
        raise ArgumentError(
            f"{function}(): argument '{argument}' (position {position}) must be Tensor, not {type(value).__name__}"
        )
    return value


def tensors_argument(values: Any, function: str) -> list[Tensor]:
    """A list or tuple of Tensors."""
    if isinstance(values, Tensor) or not isinstance(values, Sequence):
        raise ArgumentError(
            f"{function}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(values).__name__}"
        )
    return [tensor_argument(v, function, f"tensors[{i}]") for i, v in enumerate(values)]


def one_dim(dim: Any, count: int) -> int:
    """A dimension, counted from 0.

    >>> one_dim(-1, 3)
    2
    """
    if isinstance(dim, Tensor) or not hasattr(dim, "__index__") or isinstance(dim, bool):
        raise ArgumentError(f"argument 'dim' must be int, not {type(dim).__name__}")
    bound = max(count, 1)
    if not -bound <= dim < bound:
        raise DimensionError(
            f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})"
        )
    return int(dim) % bound


def dims_of(dim: Any, count: int) -> tuple[int, ...]:
    """The dimensions that a reduction goes over: all, where `dim` is None or empty.

    >>> dims_of(None, 2), dims_of((-1, 0), 3)
    ((0, 1), (2, 0))
    """
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(count))
    dims = tuple(one_dim(d, count) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    if len(set(dims)) != len(dims):
        raise OperationError(f"dim {dims[-1]} appears multiple times in the list of dims")
    return dims if count else ()


def sizes(values: tuple[Any, ...]) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` mean the same.

    >>> sizes((2, 3)), sizes(([2, 3],))
    ((2, 3), (2, 3))
    """
    found = values[0] if len(values) == 1 and isinstance(values[0], (tuple, list)) else values
    for n in found:
        if isinstance(n, bool) or not hasattr(n, "__index__"):
            raise ArgumentError(
                f"a size must be a tuple of ints, but found an element of type {type(n).__name__}"
            )
    return tuple(int(n) for n in found)
