"""How each primitive is written as calls of NumPy that leave their result in given memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.emit.expansion import is_ours
from chainrule.graph.ir import Atom, Equation, Literal, Variable
from chainrule.rules.reduce import axes_of, count_over
from chainrule.typing import Array


class Steps(NamedTuple):
    """Calls of NumPy: the first leaves a value in `out` (or returns it, if `to` is empty), the others change it.

    `over` says that `out` may be the memory of an input.
    """

    first: str
    others: tuple[str, ...] = ()
    over: bool = False


FORMULAS = {
    "sigmoid": Steps(
        "negative({x}{to})", ("exp({out}, {out})", "add({out}, {one}, {out})", "divide({one}, {out}, {out})"), True
    ),
    "relu": Steps("maximum({x}, {zeros}, out={place})", (), True),
    "reciprocal": Steps("divide({one}, {x}{to})", (), True),
    "softplus": Steps(
        "absolute({x}{to})",
        (
            "negative({out}, {out})", "exp({out}, {out})", "log1p({out}, {out})",
            "add(maximum({x}, {zero}), {out}, {out})",
        ),
    ),
}  # fmt: skip
"""Functions of floats, made of NumPy's."""

_POWERS = {2: "square", 1: "positive", 0.5: "sqrt", -1: "reciprocal"}
"""What ** does with these exponents, and np.pow does not."""

REDUCTIONS = {"sum": "add", "mean": "add", "prod": "multiply", "max": "maximum", "min": "minimum"}
BRANCHES_PAY = 1000
"""From so many elements on, branches that nobody can predict cost more than three more calls."""
DOT_SUMS = 1000
"""Up to so many elements, a product with ones is a sum of all of them in a third of the time, and as exact."""


def steps_of(equation: Equation) -> Steps | None:
    """The calls for an equation; None for what cannot be written into given memory, or need not."""
    if equation.primitive.outputs or not is_ours(equation.primitive):
        return None
    special = _SPECIAL.get(equation.name)
    if special is not None:
        found = special(equation)
        if found is not None:
            return found
    if not equation.output.shape:
        return None
    if equation.name in FORMULAS:
        return FORMULAS[equation.name] if _is_real(*equation.inputs) else None
    ufunc = _ufunc(equation)
    if ufunc is None:
        return None
    arguments = ", ".join(f"{{{n}}}" for n in equation.primitive.inputs)
    # A place without its name costs less; only np.maximum and np.minimum insist on it.
    place = ", out={place}" if ufunc in (np.maximum, np.minimum) else "{to}"
    return Steps(f"{ufunc.__name__}({arguments}{place})", (), True)


def _ufunc(equation: Equation) -> Any:
    """NumPy's universal function that computes an elementwise equation, to the very same type."""
    found = getattr(np, equation.name, None)
    if not (
        isinstance(found, np.ufunc) and equation.primitive.elementwise and found.nin == len(equation.inputs)
    ):
        return None
    try:
        made = found.resolve_dtypes((*map(_kind, equation.inputs), None))[-1]
    except TypeError:
        return None
    return found if made == equation.output.dtype else None


def _kind(atom: Atom) -> Any:
    """A type, or Python's own class for a number that takes the type of what is beside it."""
    return type(atom.value) if is_weak(atom) else atom.dtype or np.dtype(float)


def is_weak(atom: Atom) -> bool:
    """Whether it is a number that takes the type of what is beside it."""
    return isinstance(atom, Literal) and atom.dtype is None and not atom.shape


def _is_real(*atoms: Atom) -> bool:
    """Whether they are arrays of floats, or all of doubles, for which BLAS has functions."""
    return {str(a.dtype) for a in atoms} in ({"float32"}, {"float64"})


def _power(equation: Equation) -> Steps | None:
    x, y = equation.inputs
    usual = _POWERS.get(y.number) if is_weak(y) and isinstance(y, Literal) else None
    if usual is None or not _is_real(x):
        return None
    return Steps(f"{usual}({{x}}{{to}})", (), True)


def _product(equation: Equation) -> Steps | None:
    x, y, out = *equation.inputs, equation.output
    if not _is_real(x, y, out):
        return None
    if max(len(x.shape), len(y.shape)) < 3:  # the method costs a third of what np.matmul does
        return Steps("{x}.dot({y}{to})")
    return Steps("matmul({x}, {y}{to})") if out.shape else None


def _reduction(equation: Equation) -> Steps | None:
    (x,), out, how = equation.inputs, equation.output, equation.parameters
    axes, ufunc = axes_of(how["axis"], len(x.shape)), REDUCTIONS[equation.name]
    if not _is_real(x, out) or not x.value.size:
        return None
    count = count_over(x.shape, axes)
    if ufunc == "add" and not out.shape:
        total = "{flat}.dot({ones})" if x.value.size <= DOT_SUMS else "add_reduce({x}, None)"
        return Steps(f"{total} / {count}" if equation.name == "mean" else total)
    divided = (f"divide({{out}}, {count}, {{out}})",) if equation.name == "mean" else ()
    if ufunc == "add" and len(x.shape) == 2 and len(axes) == 1:
        # A product with ones is a sum, in half of the time.
        return Steps("{ones}.dot({x}{to})" if axes == (0,) else "{x}.dot({ones}{to})", divided)
    axis = None if len(axes) == len(x.shape) else axes
    return Steps(f"{ufunc}_reduce({{x}}, {axis}, None, {{place}}, {how['keepdims']})", divided)


def ones_for(equation: Equation) -> Array:
    """What an array is multiplied with, from the left or from the right, to be summed."""
    (x,), how = equation.inputs, equation.parameters
    axes = axes_of(how["axis"], len(x.shape))
    count = count_over(x.shape, axes)
    shape = (1, count) if axes == (0,) else (count, 1)
    return np.ones(shape if how["keepdims"] and x.shape else count, equation.output.dtype)


def _selection(equation: Equation) -> Steps | None:
    """Large arrays, or 0: without the branch at each element of np.where, by the bits of the condition."""
    (condition, x, y), out = equation.inputs, equation.output
    is_zero = isinstance(y, Literal) and y.number == 0 and not math.copysign(1, y.number) < 0
    same = (
        isinstance(condition, Variable)
        and isinstance(x, Variable)
        and condition.shape == x.shape == out.shape
    )
    if not (
        is_zero and same and _is_real(x, out) and condition.dtype == bool and out.value.size >= BRANCHES_PAY
    ):
        return None
    bits = {4: "int32", 8: "int64"}[out.dtype.itemsize]
    return Steps(
        "{new}",
        (
            f"negative({{condition}}.view(int8), {{out}}.view({bits}))",
            f"bitwise_and({{x}}.view({bits}), {{out}}.view({bits}), {{out}}.view({bits}))",
        ),
    )


def _spread(equation: Equation) -> Steps | None:
    return Steps("positive({x}, {new})") if _is_real(*equation.inputs, equation.output) else None


def _joined(equation: Equation) -> Steps | None:
    if not _is_real(*equation.inputs, equation.output):
        return None
    name = "stack" if equation.name == "stacked" else equation.name
    return Steps(f"{name}(({{inputs}}, ), {equation.parameters['axis']}{{to}})")


_SPECIAL: Mapping[str, Callable[[Equation], Steps | None]] = {
    "pow": _power, "matmul": _product, "broadcast_to": _spread, "where": _selection, "concatenate": _joined,
    "stacked": _joined,
} | dict.fromkeys(REDUCTIONS, _reduction)  # fmt: skip


def spelt(equation: Equation) -> str | None:
    """A method of NumPy's for what is a view, or has memory of its own; None where there is none."""
    how = equation.parameters
    if equation.name == "permute_dims":
        axes = how["axes"]
        return "{x}.T" if tuple(axes) == tuple(range(len(axes)))[::-1] else f"{{x}}.transpose({axes})"
    if equation.name == "matrix_transpose":
        return "{x}.mT"
    if equation.name == "getitem" and _picks_rows(how["key"]):
        return "{x}.take({key}, 0)"
    return None


def _picks_rows(key: Any) -> bool:
    return (
        isinstance(key, Variable)
        and bool(key.shape)
        and np.can_cast(key.dtype, np.intp)
        and key.dtype != bool
    )
