"""The rarer ways to call a universal function: with `out=` and other options, and its methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import UnsupportedError
from chainrule.functions.arrays import as_array
from chainrule.numpy_functions.arguments import (
    check_no_gradient,
    left_to_numpy,
    name_of,
    needs_gradient,
    on_arrays,
    plain,
    written,
)  # fmt: skip
from chainrule.numpy_functions.elementwise import of_type
from chainrule.numpy_functions.refusals import refused_argument, refused_function, refused_method
from chainrule.numpy_functions.ufuncs import (
    ACCUMULATIONS,
    ADDITIONS,
    CONSTANT_UFUNCS,
    REDUCTIONS,
    UFUNCS,
    of_scipy,
    outer,
)  # fmt: skip
from chainrule.tensor import Tensor

Function = Callable[..., Any]
Options = dict[str, Any]


def called_with_options(ufunc: Any, method: str, inputs: tuple[Any, ...], options: Options) -> Any:
    """Any call of a universal function or of one of its methods with a Tensor somewhere."""
    name = name_of(ufunc) if method == "__call__" else f"{name_of(ufunc)}.{method}"
    if method == "at":
        return _at(ufunc, name, *inputs)
    outs = options.pop("out", ())
    unmasked = options.get("where", True) is True
    if ufunc in CONSTANT_UFUNCS or left_to_numpy((inputs, () if unmasked else outs)):
        return _by_numpy(getattr(ufunc, method), name, inputs, options, outs)
    for out in outs:
        if isinstance(out, np.ndarray):
            check_no_gradient(f"{name}(..., out=array)", out, inputs)
    inputs = tuple(ops.copy(x) if any(x is out for out in outs) else x for x in inputs)
    return _put_into(outs, _recorded(ufunc, method, name, inputs, options), name)


def _put_into(outs: tuple[Any, ...], results: Any, name: str) -> Any:
    """The results, or the Tensors that were given to take them."""
    if not outs:
        return results
    several = results if isinstance(results, tuple) else (results,)
    filled = tuple(r if o is None else replaced_by(o, r, name) for o, r in zip(outs, several, strict=True))
    return filled if isinstance(results, tuple) else filled[0]


def replaced_by(out: Any, result: Any, name: str) -> Any:
    """The Tensor `out` with the elements and the history of `result`; an array is `result` already."""
    return out._replace(lambda old: result, f"{name}(..., out=tensor)") if isinstance(out, Tensor) else result


def _by_numpy(call: Function, name: str, inputs: Any, options: Options, outs: tuple[Any, ...]) -> Any:
    """NumPy itself: into arrays directly, into Tensors by way of a copy, so that the engine knows of it."""
    if not outs:
        return on_arrays(call, inputs, options)
    buffers = tuple(np.array(out._data) if isinstance(out, Tensor) else out for out in outs)
    results = call(*plain(inputs), out=buffers, **plain(options))
    for out in outs:
        written(out)
    return _put_into(outs, results, name)


def _recorded(ufunc: Any, method: str, name: str, inputs: tuple[Any, ...], options: Options) -> Any:
    ours = UFUNCS.get(ufunc) or of_scipy(ufunc)
    if ours is None:
        raise UnsupportedError(refused_function(name, [u.__name__ for u in UFUNCS]))
    if method == "reduce":
        return _reduce(ufunc, name, *inputs, **options)
    if method == "accumulate":
        return _accumulate(ufunc, name, *inputs, **options)
    if method == "outer":
        return outer(lambda x, y: _called(ours, name, (x, y), options), *inputs)
    if method == "reduceat":
        raise UnsupportedError(refused_method(name, [f"{name_of(u)}.reduce" for u in REDUCTIONS]))
    return _called(ours, name, inputs, options)


_HARMLESS = ("dtype", "order", "subok")
_DEFAULTS = {"where": True, "casting": "same_kind"}


def _called(ours: Function, name: str, inputs: tuple[Any, ...], options: Options) -> Any:
    dtype = options.get("dtype")
    if dtype is not None:
        if np.dtype(dtype).kind != "f":
            raise UnsupportedError(refused_argument(name, "dtype", np.dtype(dtype).name))
        inputs = tuple(ops.astype(as_array(x), dtype) for x in inputs)
    rest = {
        k: v
        for k, v in options.items()
        if k not in _HARMLESS and (k not in _DEFAULTS or v is not _DEFAULTS[k])
    }
    for option in rest.keys() - inspect.signature(ours).parameters.keys():
        raise UnsupportedError(refused_argument(name, option, rest[option]))
    return ours(*inputs, **rest)


# methods -------------------------------------------------------------------------------------------------


def _reduce(
    ufunc: Any, name: str, array: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    if ufunc not in REDUCTIONS:
        raise UnsupportedError(refused_method(name, [f"{name_of(u)}.reduce" for u in REDUCTIONS]))
    if where is not True:
        raise UnsupportedError(refused_argument(name, "where", where))
    reduce, join = REDUCTIONS[ufunc]
    out = reduce(of_type(array, dtype), axis=axis, keepdims=keepdims)
    return out if initial is None else join(out, initial)


def _accumulate(ufunc: Any, name: str, array: Any, axis: int = 0, dtype: Any = None) -> Any:
    if ufunc not in ACCUMULATIONS:
        raise UnsupportedError(refused_method(name, [f"{name_of(u)}.accumulate" for u in ACCUMULATIONS]))
    return ACCUMULATIONS[ufunc](of_type(array, dtype), axis=axis)


def _at(ufunc: Any, name: str, target: Any, key: Any, *values: Any) -> None:
    if not isinstance(target, Tensor):
        check_no_gradient(name, target, values)
        ufunc.at(target, plain(key), *plain(values))
        written(target)
    elif not needs_gradient((target, values)):
        target._replace(lambda old: _changed_at(ufunc, old, key, values), name)
    elif ufunc in ADDITIONS:
        target._replace(lambda old: ADDITIONS[ufunc](old, *values, key), name)
    else:
        raise UnsupportedError(refused_method(name, [f"{name_of(u)}.at" for u in ADDITIONS]))


def _changed_at(ufunc: Any, copied: Any, key: Any, values: tuple[Any, ...]) -> Any:
    ufunc.at(copied._data, plain(key), *plain(values))
    return copied
