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

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import UnsupportedError
from chainrule.numpy_functions import (
    calculus,
    changing,
    elementwise,
    indexing,
    linear_algebra,
    reductions,
    shapes,
    statistics,
)  # fmt: skip
from chainrule.numpy_functions.arguments import (
    as_tensors,
    check_no_gradient,
    left_to_numpy,
    name_of,
    needs_gradient,
    on_arrays,
    plain,
    replaced,
    written,
)  # fmt: skip
from chainrule.numpy_functions.constants import CONSTANT
from chainrule.numpy_functions.indexing import take as take
from chainrule.numpy_functions.reductions import cumprod as cumprod
from chainrule.numpy_functions.reductions import cumsum as cumsum
from chainrule.numpy_functions.refusals import refused_argument, refused_function
from chainrule.numpy_functions.ufunc_options import called_with_options, replaced_by
from chainrule.numpy_functions.ufuncs import UFUNCS
from chainrule.operators import Operators
from chainrule.tensor import Tensor

Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Keywords = dict[str, Any]

_MODULES = (calculus, changing, elementwise, indexing, linear_algebra, reductions, shapes, statistics)

OURS: dict[str, Function] = {name: ours for module in _MODULES for name, ours in module.FUNCTIONS.items()}
"""What stands for each function of NumPy, by its name."""

_ALWAYS = frozenset({"apply_along_axis", "apply_over_axes", "piecewise", *changing.FUNCTIONS})
"""Those that change an array, and those that call a function, whose Tensors are not among the arguments."""


def _by_function(names: Iterable[str]) -> dict[Any, str]:
    """The names by the functions that they name, as far as this NumPy has them."""
    found = {}
    for name in names:
        module = np.linalg if name.startswith("linalg.") else np
        function = getattr(module, name.removeprefix("linalg."), None)
        if function is not None:
            found[function] = name
    return found


FUNCTIONS = _by_function(OURS)
CONSTANT_FUNCTIONS = _by_function(CONSTANT)


def apply_ufunc(ufunc: Any, method: str, inputs: Arguments, options: Keywords) -> Any:
    """What `__array_ufunc__` does: a universal function, or one of its methods, with a Tensor somewhere."""
    if not options and method == "__call__":
        ours = UFUNCS.get(ufunc)
        if ours is not None:
            return ours(*inputs)
    return called_with_options(ufunc, method, inputs, options)


def apply_function(function: Any, args: Arguments, kwargs: Keywords) -> Any:
    """What `__array_function__` does: any other function of NumPy with a Tensor among its arguments."""
    call = _calls.get(function)
    if call is None:
        call = _calls[function] = Call(function)
    if len(args) <= call.leading:
        for name in kwargs:
            if name not in call.names:
                break
        else:
            if call.left_to_us(args, kwargs):
                try:
                    return call.ours(*args, **kwargs)
                except UnsupportedError:
                    pass  # NumPy can do it, unless something needs a gradient
    if call.direct and "out" not in kwargs and len(args) <= call.out_place:
        return on_arrays(function, args, kwargs)
    return call.carefully(args, kwargs)


class Call:
    """How a call of one of NumPy's functions becomes a call of ours; made when it is first called.

    `leading` is the number of positional arguments that mean the same in both, `names` are those that ours
    takes as keywords: a call with no others is passed on as it is.
    """

    __slots__ = (
        "always",
        "constant",
        "direct",
        "function",
        "leading",
        "name",
        "names",
        "ours",
        "out_place",
        "theirs",
    )

    def __init__(self, function: Any) -> None:
        key = FUNCTIONS.get(function, "")
        self.function, self.name = function, name_of(function)
        self.ours: Function = OURS.get(key, self._unsupported)
        self.always, self.constant = key in _ALWAYS, function in CONSTANT_FUNCTIONS
        mine = _parameters(self.ours) if key else {}
        self.theirs = _parameters(function) or mine
        self.names = frozenset(n for n, p in mine.items() if p.kind in _NAMED)
        self.leading = _leading(list(mine.values()), list(self.theirs.values())) if key else -1
        self.direct = self.constant and not key
        self.out_place = list(self.theirs).index("out") if "out" in self.theirs else sys.maxsize

    def left_to_us(self, args: Arguments, kwargs: Keywords) -> bool:
        """Whether it is ours that must be called: NumPy's would lose a gradient, or a change of a Tensor."""
        for x in args:  # most often, this is seen at once
            if isinstance(x, Tensor) and x._node is not None:
                return True
        return self.always or not left_to_numpy((args, kwargs))

    def carefully(self, args: Arguments, kwargs: Keywords) -> Any:
        """A call with arguments that are not all ours, or of a function that is not."""
        out = kwargs.get("out")
        if "out" in kwargs:
            kwargs = {name: value for name, value in kwargs.items() if name != "out"}
        elif len(args) > self.out_place:
            given = self._bound(args, kwargs)
            out = given.arguments.pop("out", None)
            args, kwargs = given.args, given.kwargs
        if out is not None:
            return self._into(out, args, kwargs)
        if self.direct or not self.left_to_us(args, kwargs):
            return on_arrays(self.function, args, kwargs)
        try:
            given = self._supported(args, kwargs)
            return self.ours(*given.args, **given.kwargs)
        except UnsupportedError:
            if needs_gradient((args, kwargs)) and not self.constant:
                raise
        return on_arrays(self.function, args, kwargs)

    def _into(self, out: Any, args: Arguments, kwargs: Keywords) -> Any:
        """A call with `out=`: a Tensor takes the result with its history, an array only without one."""
        if isinstance(out, Tensor):
            args, kwargs = replaced((args, kwargs), lambda t: ops.copy(t) if t is out else t)
            return replaced_by(out, as_tensors(apply_function(self.function, args, kwargs)), self.name)
        if not self.constant:
            check_no_gradient(f"{self.name}(..., out=array)", out, (args, kwargs))
        self.function(*plain(args), out=out, **plain(kwargs))
        written(out)
        return out

    def _bound(self, args: Arguments, kwargs: Keywords) -> inspect.BoundArguments:
        return inspect.Signature(list(self.theirs.values())).bind(*args, **kwargs)

    def _supported(self, args: Arguments, kwargs: Keywords) -> inspect.BoundArguments:
        """The arguments that ours takes; the others must have their default values."""
        if self.leading < 0:
            self._unsupported()
        mine = _parameters(self.ours)
        given = self._bound(args, kwargs)
        for name, value in list(given.arguments.items()):
            theirs = self.theirs[name]
            if theirs.kind is _EXTRA:
                self._check_extra(value, mine)
            elif name not in mine:
                if not _is_default(value, theirs.default):
                    raise UnsupportedError(refused_argument(self.name, name, value, mine))
                del given.arguments[name]
        return given

    def _check_extra(self, extra: Keywords, mine: dict[str, inspect.Parameter]) -> None:
        if not any(p.kind is _EXTRA for p in mine.values()):
            for name in extra.keys() - mine.keys():
                raise UnsupportedError(refused_argument(self.name, name, extra[name], mine))

    def _unsupported(self, *args: Any, **kwargs: Any) -> Any:
        known = [*FUNCTIONS.values(), *(ufunc.__name__ for ufunc in UFUNCS)]
        raise UnsupportedError(refused_function(self.name, known))


_calls: dict[Any, Call] = {}

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_EXTRA = inspect.Parameter.VAR_KEYWORD


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    """The parameters of a function; none where it is written in C and does not say."""
    try:
        return dict(inspect.signature(function).parameters)
    except ValueError:
        return {}


def _leading(mine: list[inspect.Parameter], theirs: list[inspect.Parameter]) -> int:
    for count, (ours, numpys) in enumerate(zip(mine, theirs, strict=False)):
        if ours.kind is numpys.kind is inspect.Parameter.VAR_POSITIONAL:
            return sys.maxsize
        if ours.name != numpys.name or ours.kind not in _POSITIONAL or numpys.kind not in _POSITIONAL:
            return count
    return min(len(mine), len(theirs))


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (
        type(value) is type(default) and not hasattr(value, "shape") and value == default
    )


Operators._numpy = sys.modules[__name__]
