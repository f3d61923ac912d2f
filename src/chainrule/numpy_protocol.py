"""NumPy's own functions on Tensors: `np.exp(t)`, `np.dot(X, W)`, `array @ t`, `np.add.at(t, i, v)`.

NumPy hands a call with a Tensor among its arguments to `__array_ufunc__` or `__array_function__`; from there
it reaches the same primitives as everything else. Where nothing needs a gradient, NumPy itself runs, with all
its options; where a gradient would be lost, an error names the function and the nearest thing to do.

>>> x = Tensor([0.0, 1.0], requires_grad=True)
>>> np.sum(np.exp(x) * np.array([1.0, 2.0])).backward()
>>> x.grad
Tensor([1.        , 5.43656366])
"""

from __future__ import annotations

import difflib
import inspect
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import UnsupportedError
from chainrule.functions.arrays import as_array
from chainrule.numpy_functions import (
    calculus, elementwise, indexing, linear_algebra, reductions, shapes, statistics
)  # fmt: skip
from chainrule.numpy_functions.arguments import (
    as_tensors, name_of, needs_gradient, on_arrays, plain, replaced, write_into_array
)  # fmt: skip
from chainrule.numpy_functions.constants import CONSTANT, NEAREST
from chainrule.numpy_functions.indexing import take as take
from chainrule.numpy_functions.reductions import cumprod as cumprod
from chainrule.numpy_functions.reductions import cumsum as cumsum
from chainrule.numpy_functions.ufuncs import (
    ACCUMULATIONS, ADDITIONS, CONSTANT_UFUNCS, REDUCTIONS, UFUNCS, of_scipy, outer
)  # fmt: skip
from chainrule.operators import Operators
from chainrule.tensor import Tensor

Function = Callable[..., Any]

_MODULES = (elementwise, reductions, statistics, shapes, indexing, linear_algebra, calculus)

OURS: dict[str, Function] = {name: ours for module in _MODULES for name, ours in module.FUNCTIONS.items()}
"""What stands for each function of NumPy, by its name."""


def _by_function(names: Any) -> dict[Any, str]:
    """The names by the functions that they name; a NumPy that lacks one is not asked for it."""
    found = {}
    for name in names:
        place = np.linalg if name.startswith("linalg.") else np
        function = getattr(place, name.removeprefix("linalg."), None)
        if function is not None:
            found[function] = name
    return found


FUNCTIONS = _by_function(OURS)
CONSTANT_FUNCTIONS = _by_function(CONSTANT)


# universal functions -------------------------------------------------------------------------------------


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `__array_ufunc__` does: a universal function, or one of its methods, with a Tensor somewhere."""
    if not options and method == "__call__":
        ours = UFUNCS.get(ufunc)
        if ours is not None:
            return ours(*inputs)
    if method == "at":
        return _at(ufunc, *inputs)
    return _with_options(ufunc, method, inputs, options)


def _with_options(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    outs = options.pop("out", ())
    name = name_of(ufunc) if method == "__call__" else f"{name_of(ufunc)}.{method}"
    masked = outs if options.get("where", True) is not True else ()
    if not needs_gradient((inputs, masked)) or ufunc in CONSTANT_UFUNCS:
        return _ufunc_on_arrays(getattr(ufunc, method), name, inputs, options, outs)
    for out in outs:
        if out is not None and not isinstance(out, Tensor):
            write_into_array(f"{name}(..., out=array)", out, inputs, _nothing)
    given = tuple(ops.copy(x) if any(x is o for o in outs) else x for x in inputs)
    results = _recorded_ufunc(ufunc, method, name, given, options)
    if not outs:
        return results
    several = results if isinstance(results, tuple) else (results,)
    filled = tuple(r if o is None else _filled(o, r, name) for o, r in zip(outs, several, strict=True))
    return filled if isinstance(results, tuple) else filled[0]


def _nothing() -> None:
    pass


def _filled(out: Any, result: Any, name: str) -> Any:
    return out._replace(lambda old: result, f"{name}(..., out=tensor)")


def _ufunc_on_arrays(
    call: Function, name: str, inputs: tuple[Any, ...], options: dict[str, Any], outs: tuple[Any, ...]
) -> Any:
    """NumPy itself: into arrays directly, into Tensors through a copy, so that the engine knows of it."""
    if not outs:
        return on_arrays(call, inputs, options)
    if all(isinstance(o, (np.ndarray, type(None))) for o in outs):
        results = [call(*plain(inputs), out=outs, **plain(options))]
        for out in outs:
            if out is not None:
                write_into_array(name, out, (), _nothing)
        return results[0]
    buffers = tuple(o.data.copy() if isinstance(o, Tensor) else o for o in outs)
    results = call(*plain(inputs), out=buffers, **plain(options))
    several = results if isinstance(results, tuple) else (results,)
    filled = tuple(_filled(o, r, name) if isinstance(o, Tensor) else r for o, r in zip(outs, several, strict=True))
    return filled if isinstance(results, tuple) else filled[0]


def _recorded_ufunc(ufunc: Any, method: str, name: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    ours = UFUNCS.get(ufunc) or of_scipy(ufunc)
    if ours is None:
        raise UnsupportedError(_unsupported(name, ufunc.__name__))
    if method == "reduce":
        return _reduce(ufunc, name, *inputs, **options)
    if method == "accumulate":
        return _accumulate(ufunc, name, *inputs, **options)
    if method == "outer" and ufunc.nin == 2:
        return outer(lambda *xs: _called(ours, name, xs, options), *inputs)
    if method != "__call__":
        raise UnsupportedError(f"{name} has no derivative here; use indexing and {name_of(ufunc)}.reduce")
    return _called(ours, name, inputs, options)


def _called(ours: Function, name: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The call of a universal function with options other than `out`."""
    dtype = options.get("dtype")
    if dtype is not None and np.dtype(dtype).kind == "f":
        inputs = tuple(ops.astype(as_array(x), dtype) for x in inputs)
    elif dtype is not None:
        raise UnsupportedError(f"{name}(dtype={np.dtype(dtype)}) has no derivative here; {_ADVICE['dtype']}")
    rest = {k: v for k, v in options.items() if k not in _HARMLESS and not _is_default(v, _DEFAULTS.get(k))}
    if not rest.keys() <= _names(ours):
        option = next(k for k in rest if k not in _names(ours))
        raise UnsupportedError(_refused(name, option, rest[option], ()))
    return ours(*inputs, **rest)


_HARMLESS = frozenset({"dtype", "order", "subok"})
_DEFAULTS = {"where": True, "casting": "same_kind"}


def _reduce(
    ufunc: Any, name: str, a: Any, axis: Any = 0, dtype: Any = None, *, keepdims: bool = False, initial: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    if ufunc not in REDUCTIONS:
        raise UnsupportedError(_unsupported(name, ufunc.__name__))
    if where is not True:
        raise UnsupportedError(_refused(name, "where", where, ()))
    reduce, join = REDUCTIONS[ufunc]
    out = reduce(elementwise.of_type(a, dtype), axis=axis, keepdims=keepdims)
    return out if initial is None else join(out, initial)


def _accumulate(ufunc: Any, name: str, array: Any, axis: int = 0, dtype: Any = None) -> Any:
    if ufunc not in ACCUMULATIONS:
        raise UnsupportedError(f"{name} has no derivative here; np.add.accumulate and np.multiply.accumulate have")
    return ACCUMULATIONS[ufunc](elementwise.of_type(array, dtype), axis=axis)


def _at(ufunc: Any, target: Any, key: Any, *values: Any) -> None:
    name = f"{name_of(ufunc)}.at"
    if not isinstance(target, Tensor):
        write_into_array(name, target, values, lambda: ufunc.at(target, plain(key), *plain(values)))
    elif not needs_gradient((target, values)):
        target._replace(lambda old: _changed_at(ufunc, old, key, values), name)
    elif ufunc in ADDITIONS:
        target._replace(lambda old: ADDITIONS[ufunc](old, *values, key), name)
    else:
        raise UnsupportedError(f"{name} has no derivative here; np.add.at and np.subtract.at have")


def _changed_at(ufunc: Any, copied: Any, key: Any, values: tuple[Any, ...]) -> Any:
    ufunc.at(copied.data, plain(key), *plain(values))
    return copied


# other functions -----------------------------------------------------------------------------------------


class Call:
    """How a call of one of NumPy's functions becomes a call of ours; made when it is first called."""

    __slots__ = ("accepted", "constant", "function", "leading", "name", "names", "ours", "theirs")

    def __init__(self, function: Any) -> None:
        name = FUNCTIONS.get(function) or CONSTANT_FUNCTIONS.get(function)
        self.function, self.name = function, name_of(function)
        self.constant = function in CONSTANT_FUNCTIONS
        self.ours = OURS.get(name) if name else None
        self.theirs: Any = None
        self.leading, self.names, self.accepted = -1, frozenset[str](), frozenset[str]()
        if self.ours is not None:
            mine = inspect.signature(self.ours)
            self.theirs = _signature(function) or mine
            self.leading = _leading(mine, self.theirs)
            self.accepted, self.names = frozenset(mine.parameters), _names(self.ours)

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that ours takes; the others must have their default values."""
        given = self.theirs.bind(*args, **kwargs)
        for name, value in list(given.arguments.items()):
            parameter = self.theirs.parameters[name]
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                self._check_extra(value)
            elif name not in self.accepted:
                if not _is_default(value, parameter.default):
                    raise UnsupportedError(_refused(self.name, name, value, self.names))
                del given.arguments[name]
        return given.args, given.kwargs

    def _check_extra(self, extra: dict[str, Any]) -> None:
        open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(self.ours).parameters.values())  # type: ignore[arg-type]  # fmt: skip
        for name, value in extra.items():
            if not open_ended and name not in self.accepted:
                raise UnsupportedError(_refused(self.name, name, value, self.names))

    def without_out(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """The array for the result, which may be given by position, and the other arguments."""
        theirs = _signature(self.function)
        if "out" in kwargs or theirs is None or "out" not in theirs.parameters:
            return kwargs.get("out"), args, {k: v for k, v in kwargs.items() if k != "out"}
        given = theirs.bind(*args, **kwargs)
        out = given.arguments.pop("out", None)
        return out, given.args, given.kwargs


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:  # written in C, and of a NumPy that does not say
        return None


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _leading(mine: inspect.Signature, theirs: inspect.Signature) -> int:
    """How many positional arguments mean the same in both signatures."""
    count = 0
    for ours, numpys in zip(mine.parameters.values(), theirs.parameters.values(), strict=False):
        if ours.kind is numpys.kind is inspect.Parameter.VAR_POSITIONAL:
            return sys.maxsize
        if ours.name != numpys.name or ours.kind not in _POSITIONAL or numpys.kind not in _POSITIONAL:
            break
        count += 1
    return count


def _names(ours: Function) -> frozenset[str]:
    """The arguments that may be given by name."""
    keywords = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return frozenset(p.name for p in inspect.signature(ours).parameters.values() if p.kind in keywords)


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and not isinstance(value, np.ndarray) and value == default)


_calls: dict[Any, Call] = {}


def apply_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `__array_function__` does: any other function of NumPy with a Tensor among its arguments."""
    call = _calls.get(function)
    if call is None:
        call = _calls[function] = Call(function)
    if len(args) <= call.leading:
        for name in kwargs:
            if name not in call.names:
                break
        else:
            try:
                return call.ours(*args, **kwargs)  # type: ignore[misc]
            except UnsupportedError:
                pass  # unless something needs a gradient, NumPy can do it
    return _carefully(call, args, kwargs)


def _carefully(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call with arguments that are not all ours, or of a function that is not."""
    out, args, kwargs = call.without_out(args, kwargs)
    if out is not None:
        return _into(call, out, args, kwargs)
    if call.ours is None:
        if not call.constant and needs_gradient((args, kwargs)):
            raise UnsupportedError(_unsupported(call.name, call.name.removeprefix("np.")))
        return on_arrays(call.function, args, kwargs)
    try:
        args_of_ours, kwargs_of_ours = call.bound(args, kwargs)
        return call.ours(*args_of_ours, **kwargs_of_ours)
    except UnsupportedError:
        if call.constant or not needs_gradient((args, kwargs)):
            return on_arrays(call.function, args, kwargs)
        raise


def _into(call: Call, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function with `out=`: a Tensor takes the result with its history, an array only without one."""
    if isinstance(out, Tensor):
        args, kwargs = replaced((args, kwargs), lambda t: ops.copy(t) if t is out else t)
        return _filled(out, as_tensors(apply_function(call.function, args, kwargs)), call.name)
    needing = () if call.constant else (args, kwargs)
    return write_into_array(
        f"{call.name}(..., out=array)", out, needing, lambda: call.function(*plain(args), out=out, **plain(kwargs))
    )


# refusals ------------------------------------------------------------------------------------------------

_ADVICE = {
    "UPLO": "the lower triangle is read; transpose the matrix first",
    "casting": "convert with .astype(dtype) first",
    "copy": "the result is a new Tensor; assign it",
    "dtype": "convert the result with .astype(dtype)",
    "hermitian": "leave it out, or use np.linalg.eigh",
    "initial": "join it to the result with np.add, np.maximum, ...",
    "mean": "leave it out; it is computed",
    "method": "use method='linear'",
    "out": "use the result",
    "period": "reduce x to one period with np.mod first",
    "where": "choose with np.where(mask, x, other) before or after",
    "weights": "multiply by the weights first",
    "fweights": "repeat the observations with np.repeat first",
    "aweights": "use np.average(..., weights=...) to write it out",
}


def _refused(name: str, option: str, value: Any, names: Any) -> str:
    shown = "..." if hasattr(value, "shape") else repr(value)
    supported = f"\nSupported arguments: {', '.join(sorted(names))}." if names else ""
    return (
        f"{name}({option}={shown}) has no derivative here; {_ADVICE.get(option, 'leave the argument out')}. "
        f"{_WAY_OUT}{supported}"
    )


_WAY_OUT = "If no gradient is wanted, pass t.detach() instead of the Tensor t."


def _unsupported(name: str, short: str) -> str:
    known = [*FUNCTIONS.values(), *CONSTANT_FUNCTIONS.values(), *(u.__name__ for u in UFUNCS)]
    near = difflib.get_close_matches(short, known, n=3, cutoff=0.6)
    nearest = NEAREST.get(short) or ", ".join(f"np.{n}" for n in near)
    return (
        f"{name} has no derivative here.{f' The nearest that has one: {nearest}.' if nearest else ''}\n{_WAY_OUT} "
        f"Otherwise write it with supported functions (docs/numpy.md lists them), or declare it with cr.primitive."
    )


Operators._numpy = sys.modules[__name__]
