"""Recognition of what goes along an axis: softmax, cross-entropy, squared error, normalisation.

A table of formulas cannot say it: whether a sum broadcasts back along the axis that it went over depends on shapes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.ir import Atom, Equation, Literal, Variable
from chainrule.graph.rewriting import Builder, New, Rule
from chainrule.graph.textbook import (
    cross_entropy_of_distribution,
    squared_error,
    standardized_by,
    standardized_with_margin,
)
from chainrule.rules import neural
from chainrule.rules.elementwise import add, divide, negative, sqrt, subtract
from chainrule.rules.index import getitem
from chainrule.rules.reduce import axes_of, count_over, kept_shape, mean, var
from chainrule.rules.reduce import sum as sum_
from chainrule.typing import Axis

CROSS_ENTROPIES = ("cross_entropy_of_logits", "binary_cross_entropy")


def _unspread(b: Builder, atom: Atom) -> Atom:
    """A value before axes of length 1 were added to it."""
    while (made := b.definition(atom, "reshape", "getitem")) is not None:
        inner = made.inputs[0]
        if made.name == "getitem" and not _only_adds_axes(made.parameters["key"]):
            break
        if [n for n in inner.shape if n != 1] != [n for n in atom.shape if n != 1]:
            break
        atom = inner
    return atom


def _only_adds_axes(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return all(p is None or p is ... or (isinstance(p, slice) and p == slice(None)) for p in parts)


def _broadcasts_back(total: Atom, shape: tuple[int, ...], axis: Axis) -> bool:
    """Whether the total over an axis of an array stands beside that axis again."""
    axes = axes_of(axis, len(shape))
    leading = axes == tuple(range(len(axes)))  # what is left broadcasts back by itself
    return total.shape == kept_shape(shape, axis) or (leading and total.shape == shape[len(axes) :])


def _axis_of_total(b: Builder, total: Atom, x: Atom, *names: str) -> Any:
    """The axis of a reduction of `x` that broadcasts back; None if it does not."""
    source = _unspread(b, total)
    made = b.definition(source, *names)
    if made is None or made.inputs[0] is not x or 0 in x.shape:  # nothing has no maximum
        return None
    count, axis = len(x.shape), made.parameters["axis"]
    if not _broadcasts_back(total, x.shape, axis):
        return None
    axes = axes_of(axis, count)
    return (axes[0] - count if axes[0] == count - 1 else axes[0]) if len(axes) == 1 else axes


# softmax ---------------------------------------------------------------------------------------------------


def _unshifted(b: Builder, x: Atom, axis: Any) -> Atom:
    """The z that `x` is without its maximum."""
    less = b.definition(x, "subtract")
    if less is None:
        return x
    z, top = less.inputs
    along = _axis_of_total(b, top, z, "max")
    same = along is not None and set(axes_of(along, len(z.shape))) >= set(axes_of(axis, len(z.shape)))
    return z if same else x


def softmax_spelt_out(b: Builder, equation: Equation) -> New | None:
    """A softmax: exp(z) / sum(exp(z)), with or without the maximum subtracted first."""
    e, total = equation.inputs
    made = b.definition(e, "exp")
    axis = None if made is None else _axis_of_total(b, total, e, "sum")
    if made is None or axis is None:
        return None
    return New(neural.softmax, (_unshifted(b, made.inputs[0], axis),), {"axis": axis})


def _log_softmax(b: Builder, equation: Equation) -> New | None:
    """The logarithm of a softmax, or of elements of it."""
    (x,) = equation.inputs
    inner = b.definition(x, "softmax")
    if inner is not None:
        return New(neural.log_softmax, inner.inputs, inner.parameters)
    chosen = b.definition(x, "getitem")
    inner = None if chosen is None else b.definition(chosen.inputs[0], "softmax")
    if chosen is None or inner is None:
        return None
    logs = b.make(neural.log_softmax, *inner.inputs, like=equation.output, **inner.parameters)
    return New(getitem, (logs,), chosen.parameters)


def _log_softmax_spelt(b: Builder, equation: Equation) -> New | None:
    """The logarithm of a softmax, spelt out: z - log(sum(exp(z))), or z - logsumexp(z)."""
    x, total = equation.inputs
    log = b.definition(total, "log")
    if log is not None:
        e = b.definition(_unspread(b, log.inputs[0]), "sum")
        made = None if e is None else b.definition(e.inputs[0], "exp")
        if e is None or made is None or made.inputs[0] is not x:
            return None
        axis = _axis_of_total(b, log.inputs[0], e.inputs[0], "sum")
    else:
        axis = _axis_of_total(b, total, x, "logsumexp")
    return None if axis is None else New(neural.log_softmax, (_unshifted(b, x, axis),), {"axis": axis})


def _logsumexp(b: Builder, equation: Equation) -> New | None:
    """log(sum(exp(z)))."""
    total = b.definition(equation.inputs[0], "sum")
    made = None if total is None else b.definition(total.inputs[0], "exp")
    return (
        None
        if total is None or made is None or 0 in made.output.shape
        else New(neural.logsumexp, made.inputs, total.parameters)
    )


def _logsumexp_shifted(b: Builder, equation: Equation) -> New | None:
    """M + log(sum(exp(z - m))), where m is the maximum of z."""
    for top, total in (equation.inputs, equation.inputs[::-1]):
        made = b.definition(total, "logsumexp")
        if made is None or top.shape != total.shape:
            continue
        (x,), axis = made.inputs, made.parameters["axis"]
        z, highest = _unshifted(b, x, axis), b.definition(_unspread(b, top), "max")
        if z is x or highest is None or highest.inputs[0] is not z:
            continue
        if axes_of(highest.parameters["axis"], len(z.shape)) == axes_of(axis, len(z.shape)):
            return New(neural.logsumexp, (z,), made.parameters)
    return None


# cross-entropy ---------------------------------------------------------------------------------------------


def _sums_to_one(b: Builder, y: Atom, axis: int) -> bool:
    """Whether labels are a constant, or chosen rows of the identity, and sum to 1 along the axis."""
    chosen = b.definition(y, "getitem")
    if chosen is not None:
        rows, key = chosen.inputs[0], chosen.parameters["key"]
        labels = isinstance(key, Variable) and key.dtype.kind in "iu"
        last = axis % len(y.shape) == len(y.shape) - 1
        return labels and last and isinstance(rows, Variable) and _is_identity(b, rows)
    return isinstance(y, Variable) and b.is_constant(y) and bool((y.value.sum(axis=axis) == 1).all())


def _is_identity(b: Builder, rows: Variable) -> bool:
    return (
        b.is_constant(rows) and len(rows.shape) == 2 and np.array_equal(rows.value, np.eye(len(rows.value)))
    )


def _cross_entropies(b: Builder, z: Atom, y: Atom, axis: int, like: Variable) -> Atom:
    """The cross-entropy of each row."""
    if _sums_to_one(b, y, axis):
        return b.make(cross_entropy_of_distribution, z, y, like=like, axis=axis)
    return b.make(neural.cross_entropy_of_logits, z, y, like=like, axis=axis)


def _cross_entropy(b: Builder, equation: Equation) -> Atom | New | None:
    """The sum of y * log_softmax(z) is a cross-entropy, negated; a mean over everything is one over its count."""
    product = b.definition(equation.inputs[0], "multiply")
    if product is None or equation.parameters["keepdims"]:
        return None
    for y, logs in (product.inputs, product.inputs[::-1]):
        made, sign = b.definition(logs, "log_softmax"), -1
        opposite = b.definition(logs, "negative")
        if opposite is not None:
            made, sign = b.definition(opposite.inputs[0], "log_softmax"), 1
        if made is None or y.shape != made.inputs[0].shape or not isinstance(made.parameters["axis"], int):
            continue
        count, axis = len(y.shape), made.parameters["axis"]
        over, whole = axes_of(equation.parameters["axis"], count), tuple(range(count))
        if over not in (axes_of(axis, count), whole) or (equation.name == "mean" and over != whole):
            continue
        found = _cross_entropies(b, made.inputs[0], y, axis, equation.output)
        if over == whole and count > 1:
            found = b.make(sum_, found, like=equation.output)
        if equation.name == "mean":
            found = b.make(divide, found, Literal(count_over(y.shape, None)), like=equation.output)
        return New(negative, (found,), {}) if sign < 0 else found
    return None


def _chosen_by_labels(b: Builder, equation: Equation) -> New | None:
    """log_softmax(z)[arange(N), labels] is a cross-entropy with rows of the identity, negated."""
    logs, key = b.definition(equation.inputs[0], "log_softmax"), equation.parameters["key"]
    if logs is None or not isinstance(key, tuple) or len(key) != 2:
        return None
    (z,), axis = logs.inputs, logs.parameters["axis"]
    if len(z.shape) != 2 or axis not in (-1, 1) or not _counts(b, key[0], z.shape[0]):
        return None
    found = _of_labels(b, z, key[1], equation.output)
    return None if found is None else New(negative, (found,), {})


def _counts(b: Builder, part: Any, length: int) -> bool:
    """Whether a part of an index is 0, 1, 2, … in any case."""
    if isinstance(part, Variable):
        part = part.value if b.is_constant(part) else ()
    return isinstance(part, (range, list, np.ndarray)) and np.array_equal(part, np.arange(length))


def _of_labels(b: Builder, z: Atom, labels: Any, like: Variable) -> Atom | None:
    """The cross-entropy of each row with class numbers."""
    if not isinstance(labels, Variable) or labels.dtype.kind not in "iu" or labels.shape != z.shape[:1]:
        return None
    identity = Variable(np.eye(z.shape[1], dtype=z.dtype))
    b.constants.append(identity)
    one_hot = b.make(getitem, identity, like=like, key=labels)
    assert isinstance(one_hot, Variable)
    one_hot.hint = one_hot.hint or "one_hot"
    return _cross_entropies(b, z, one_hot, -1, like)


def _mean_of_labels(b: Builder, equation: Equation) -> New | None:
    """The mean cross-entropy with class numbers, in terms of that with rows of the identity."""
    (z,) = equation.inputs
    if equation.name == "negative_log_likelihood":
        logs = b.definition(z, "log_softmax")
        if logs is None or logs.parameters["axis"] not in (-1, 1):
            return None
        (z,) = logs.inputs
    if len(z.shape) != 2:
        return None
    found = _of_labels(b, z, equation.parameters["labels"], equation.output)
    return None if found is None else New(mean, (found,), {})


def _sign_outside(b: Builder, equation: Equation) -> New | None:
    """The mean of cross-entropies that were negated, with the sign in front."""
    inner = b.definition(equation.inputs[0], "negative")
    if inner is None or b.definition(inner.inputs[0], *CROSS_ENTROPIES) is None:
        return None
    total = b.make(equation.primitive, inner.inputs[0], like=equation.output, **equation.parameters)
    return New(negative, (total,), {})


# squared error and normalisation ----------------------------------------------------------------------------


def _squared(b: Builder, atom: Atom) -> Atom | None:
    """What was squared."""
    made = b.definition(atom, "pow", "square", "multiply")
    if made is None:
        return None
    x, *rest = made.inputs
    two = made.name == "pow" and isinstance(rest[0], Literal) and rest[0].number == 2
    return x if made.name == "square" or two or (made.name == "multiply" and rest[0] is x) else None


def _squared_error(b: Builder, equation: Equation) -> New | None:
    """The sum or the mean of the squares of all elements of a difference."""
    d = _squared(b, equation.inputs[0])
    whole = d is not None and axes_of(equation.parameters["axis"], len(d.shape)) == tuple(range(len(d.shape)))
    if d is None or not d.shape or not whole or equation.parameters["keepdims"]:
        return None
    return _of_difference(b, d, equation)


def _of_difference(b: Builder, d: Atom, equation: Equation) -> New | None:
    if b.definition(d, "subtract") is None or d.value.dtype.kind != "f":
        return None
    return New(squared_error, (d,), {"mean": equation.name == "mean"})


def _squared_norm(b: Builder, equation: Equation) -> New | None:
    """The square of the norm of a difference is the sum of its squares."""
    x, *rest = equation.inputs
    squares = (
        equation.name == "square"
        or rest[0] is x
        or (equation.name == "pow" and isinstance(rest[0], Literal) and rest[0].number == 2)
    )
    norm = b.definition(x, "p_norm") if squares else None
    if norm is None or norm.parameters["ord"] != 2 or equation.output.shape:
        return None
    return _of_difference(b, norm.inputs[0], equation)


class Variance(NamedTuple):
    """The variance of `x` along an axis: the sum of squares over their number less `correction`."""

    x: Atom
    axis: Axis
    correction: float


def _mean_of(b: Builder, atom: Atom) -> tuple[Atom, Axis, float] | None:
    """What a value is the sum of, along which axis, and by what it was divided."""
    made = b.definition(_unspread(b, atom), "mean", "divide", "multiply")
    if made is None or any(0 in a.shape for a in made.inputs):
        return None
    if made.name == "mean":
        axis = made.parameters["axis"]
        return made.inputs[0], axis, count_over(made.inputs[0].shape, axis)
    orders = [made.inputs, made.inputs[::-1]] if made.name == "multiply" else [made.inputs]
    for total, number in orders:
        inner = b.definition(total, "sum")
        if inner is not None and isinstance(number, Literal) and number.number:
            by = number.number if made.name == "divide" else 1 / number.number
            return inner.inputs[0], inner.parameters["axis"], by
    return None


def _centred(b: Builder, atom: Atom) -> tuple[Atom, Axis] | None:
    """The x, and the axis, of x less its mean."""
    less = b.definition(atom, "subtract")
    found = None if less is None else _mean_of(b, less.inputs[1])
    if less is None or found is None or found[0] is not less.inputs[0]:
        return None
    (x, total), axis = less.inputs, found[1]
    exact = abs(found[2] / count_over(x.shape, axis) - 1) < 1e-15
    return (x, axis) if exact and _broadcasts_back(total, x.shape, axis) else None


def _variance(b: Builder, atom: Atom) -> Variance | None:
    """How a value is a variance."""
    atom = _unspread(b, atom)
    made = b.definition(atom, "var")
    if made is not None:
        return Variance(made.inputs[0], made.parameters["axis"], made.parameters["correction"])
    found = _mean_of(b, atom)
    d = None if found is None else _squared(b, found[0])
    known = None if d is None else _centred(b, d)
    if found is None or known is None:
        return None
    x, axis = known
    if axes_of(axis, len(x.shape)) != axes_of(found[1], len(x.shape)):
        return None
    return Variance(x, axis, round(count_over(x.shape, axis) - found[2], 9))


def _deviation(b: Builder, atom: Atom) -> tuple[Variance, bool] | None:
    """How a value is the root of a variance (and a number), or one over it."""
    atom = _unspread(b, atom)
    made = b.definition(atom, "std", "sqrt", "pow", "divide", "reciprocal")
    if made is None:
        return None
    if made.name == "std":
        return Variance(made.inputs[0], made.parameters["axis"], made.parameters["correction"]), False
    if made.name == "sqrt":
        known = _variance_and_number(b, made.inputs[0])
        return None if known is None else (known, False)
    return _power_of_variance(b, made)


def _power_of_variance(b: Builder, made: Equation) -> tuple[Variance, bool] | None:
    x, *rest = made.inputs
    number = {"divide": x, "reciprocal": None, "pow": rest[0] if rest else None}[made.name]
    exponent = number.number if isinstance(number, Literal) else None
    if made.name == "pow" and exponent in (0.5, -0.5):
        known = _variance_and_number(b, x)
        return None if known is None else (known, exponent < 0)
    if (made.name, exponent) not in (("divide", 1), ("reciprocal", None), ("pow", -1)):
        return None
    inner = _deviation(b, rest[0] if made.name == "divide" else x)
    return None if inner is None else (inner[0], not inner[1])


def _variance_and_number(b: Builder, atom: Atom) -> Variance | None:
    atom = _unspread(b, atom)
    made = b.definition(atom, "add")
    for variance, number in (made.inputs, made.inputs[::-1]) if made is not None else ():
        if isinstance(number, Literal) and (known := _variance(b, variance)) is not None:
            return known
    return _variance(b, atom)


def _standardized(b: Builder, equation: Equation) -> New | None:
    """Values less their mean, over the root of its variance."""
    for d, s in (equation.inputs, equation.inputs[::-1])[: 2 if equation.name == "multiply" else 1]:
        centred = _centred(b, d)
        if centred is None or d.shape != equation.output.shape or not isinstance(s, Variable):
            continue
        x, axis = centred
        found, margin = _deviation(b, s), None
        if found is None and equation.name == "divide":
            found, margin = _deviation_and_number(b, s)
        if found is None or found[0].x is not x or found[1] != (equation.name == "multiply"):
            continue
        axes, count = axes_of(axis, len(x.shape)), len(x.shape)
        if axes_of(found[0].axis, count) != axes or not _broadcasts_back(s, x.shape, axis):
            continue
        how = {"axis": axis if axis is not None else axes, "correction": found[0].correction}
        if margin is not None:
            _called(margin, "std")
            _called(s, "scale")
            return New(standardized_with_margin, (d, s, x, margin), how)
        if not found[1]:
            _called(s, "std")
        return New(standardized_by, (d, s, x), how | {"inverse": found[1]})
    return None


def _deviation_and_number(b: Builder, atom: Atom) -> tuple[tuple[Variance, bool] | None, Variable | None]:
    made = b.definition(atom, "add")
    for std, number in (made.inputs, made.inputs[::-1]) if made is not None else ():
        found = _deviation(b, std)
        if isinstance(number, Literal) and found is not None and not found[1] and isinstance(std, Variable):
            return found, std
    return None, None


def _called(variable: Variable, name: str) -> None:
    """The textbook's name for a value for which the user has none."""
    variable.hint = variable.hint or name


def _standardized_layer(b: Builder, equation: Equation) -> New:
    """The primitive of normalising layers, in the steps of a textbook."""
    (x,), out = equation.inputs, equation.output
    axis, eps = equation.parameters["axis"], equation.parameters["eps"]
    d = b.make(subtract, x, b.make(mean, x, like=out, axis=axis, keepdims=True), like=out)
    variance = b.make(var, x, like=out, axis=axis, keepdims=True)
    s = b.make(sqrt, b.make(add, variance, Literal(eps), like=out), like=out)
    if isinstance(s, Variable):
        _called(s, "std")
    return New(divide, (d, s), {})


ALONG_AXES: tuple[tuple[str, Rule], ...] = (
    ("divide", softmax_spelt_out), ("log", _log_softmax), ("log", _logsumexp), ("subtract", _log_softmax_spelt),
    ("add", _logsumexp_shifted), ("sum", _cross_entropy), ("mean", _cross_entropy), ("getitem", _chosen_by_labels),
    ("cross_entropy_of_labels", _mean_of_labels), ("negative_log_likelihood", _mean_of_labels),
    ("sum", _sign_outside), ("mean", _sign_outside),
    ("sum", _squared_error), ("mean", _squared_error), ("square", _squared_norm), ("pow", _squared_norm),
    ("multiply", _squared_norm), ("divide", _standardized), ("multiply", _standardized),
    ("standardized", _standardized_layer),
)  # fmt: skip
