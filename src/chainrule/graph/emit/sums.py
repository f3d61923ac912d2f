r"""Sums and other reductions as formulas: `\sum_{i=1}^{150} y_i \log p_i`."""

from __future__ import annotations

import math

from chainrule.graph.emit.formula import (
    BIG,
    FRACTION,
    NEGATIVE,
    POWER,
    PRODUCT,
    SUM,
    WHOLE,
    Formula,
    bracketed,
    power,
    product,
)
from chainrule.graph.emit.formulas import Formulas, Index, Writer, aligned, is_array
from chainrule.graph.ir import Atom, Equation
from chainrule.rules.reduce import axes_of


def reduction(sign: str, mean: bool = False) -> Writer:
    """How a sum is written, or a reduction with another sign."""

    def write(w: Formulas, made: Equation, index: Index) -> Formula:
        (x,) = made.inputs
        if made.parameters.get("correction"):
            return w.indexed(w.called(made), index)
        return reduced(w, sign, x, _axes(made), index, bool(made.parameters.get("keepdims")), mean)

    return write


def _axes(made: Equation) -> tuple[int, ...]:
    return tuple(axes_of(made.parameters.get("axis"), len(made.inputs[0].shape)))


def reduced(
    w: Formulas, sign: str, x: Atom, axes: tuple[int, ...], index: Index, kept: bool, mean: bool = False
) -> Formula:
    """A sum sign, or another one, with its indices, in front of what it is taken of."""
    inner = _inside(w, x, axes, index, kept)
    body = w.of(x, inner)
    count = math.prod(x.shape[a] for a in axes)
    summed = [inner[a] for a in axes if inner[a]]
    if summed:
        body = _with_sign(sign, summed, count, body)
    return _mean(count, body) if mean else body


def _inside(w: Formulas, x: Atom, axes: tuple[int, ...], index: Index, kept: bool) -> tuple[str, ...]:
    """The index of what is summed: new letters for `axes`, for the others those of the sum's own element."""
    letters = iter(w.fresh(len(axes), index))
    outer = list(index) if index is not None else None
    found = []
    for axis, n in enumerate(x.shape):
        if axis in axes:
            found.append("" if n == 1 else next(letters))
            if outer is not None and kept:
                outer.pop(0)
        else:
            found.append("" if n == 1 else ":" if outer is None else outer[0])
            if outer is not None:
                outer.pop(0)
    return tuple(found)


def _with_sign(sign: str, summed: list[str], count: int, body: Formula) -> Formula:
    if body.holds == NEGATIVE and sign == r"\sum":
        return _with_sign(sign, summed, count, body.positive).negated()
    bounded = sign in (r"\sum", r"\prod") and len(summed) == 1
    below = f"{summed[0]}=1" if bounded else ",".join(summed)
    above = f"^{{{count}}}" if bounded else ""
    level = BIG if sign == r"\sum" else WHOLE
    return Formula(f"{sign}_{{{below}}}{above} {body.within(level)}", BIG)


def _mean(count: int, total: Formula) -> Formula:
    return total if count == 1 else product(Formula(rf"\frac{{1}}{{{count}}}", FRACTION), total)


def contraction(w: Formulas, made: Equation, index: Index) -> Formula:
    """An einsum: its subscripts are its indices."""
    terms, _, out = made.parameters["subscripts"].replace(" ", "").partition("->")
    operands = terms.split(",")
    subscripts = dict.fromkeys("".join(operands))
    given = index if index is not None and ":" not in index else None
    letters = dict(zip(out, given, strict=True)) if given else {}
    free = iter(w.fresh(len(subscripts), tuple(letters.values())))
    letters |= {c: next(free) for c in subscripts if c not in letters}
    factors = [
        w.of(a, tuple("" if n == 1 else letters[c] for c, n in zip(cs, a.shape, strict=True)))
        for cs, a in zip(operands, made.inputs, strict=True)
    ]
    body = factors[0]
    for factor in factors[1:]:
        body = product(body, factor)
    summed = [letters[c] for c in subscripts if c not in out]
    if summed:
        body = Formula(rf"\sum_{{{','.join(summed)}}} {body.within(BIG)}", BIG)
    if given or not out:
        return body
    whole = Formula(f"{bracketed(body.text)}_{{{''.join(letters[c] for c in out)}}}")
    return w.indexed(Formula(whole.text, FRACTION), index)


def cross_entropy(w: Formulas, made: Equation, index: Index) -> Formula:
    """The cross-entropy of logits with a distribution."""
    x, y = made.inputs
    axis = tuple(axes_of(made.parameters["axis"], len(x.shape)))
    inner = _inside(w, x, axis, index, False)
    log = Formula(rf"\log {_known(w, 'softmax', x, inner).text}", PRODUCT)
    body = product(w.of(y, aligned(inner, y.shape)), log, r" \odot " * (":" in inner))
    summed = [inner[a] for a in axis if inner[a]]
    return _with_sign(r"\sum", summed, x.shape[axis[0]], body).negated() if summed else body.negated()


def binary_cross_entropy(w: Formulas, made: Equation, index: Index) -> Formula:
    """The cross-entropy of one logit for each element."""
    z = made.inputs[0]
    p, target = _known(w, "sigmoid", z, aligned(index, z.shape)), w.part(made, 1, index)
    sign = r" \odot " if is_array(made.output, index) else ""
    log = Formula(rf"\log {p.text}", PRODUCT)
    other = Formula(rf"\log (1 - {p.text})", PRODUCT)
    no_target = Formula(f"1 - {target.within(BIG)}", SUM)
    text = f"{product(target, log, sign).text} + {product(no_target, other, sign).text}"
    return Formula(text, SUM).negated()


def _known(w: Formulas, name: str, x: Atom, index: Index) -> Formula:
    """A function of a value; by the symbol of the result, where that has one."""
    for v, made in w.definitions.items():
        if made.name == name and made.inputs[0] is x and v in w.named:
            return w.of(v, index)
    called = {"sigmoid": r"\sigma", "softmax": r"\operatorname{softmax}"}[name]
    if name == "sigmoid":
        return Formula(called + bracketed(w.of(x, index).text))
    return w.indexed(Formula(called + bracketed(w.of(x).text)), index)


def of_labels(log: bool) -> Writer:
    """The mean over all rows of minus the element, or its logarithm, that the row's label chooses."""

    def write(w: Formulas, made: Equation, index: Index) -> Formula:
        (x,), labels = made.inputs, made.parameters["labels"]
        rows = tuple(w.fresh(len(x.shape) - 1, None))
        label = str(w.named[labels].at(*rows)) if labels in w.named else w.of(labels, rows).text
        place = (*rows, ",", label)
        chosen = Formula(rf"\log {_known(w, 'softmax', x, place).text}", PRODUCT) if log else w.of(x, place)
        count = math.prod(x.shape[:-1])
        return _mean(count, _with_sign(r"\sum", list(rows), count, chosen) if rows else chosen).negated()

    return write


def squared_error(w: Formulas, made: Equation, index: Index) -> Formula:
    """The sum or the mean of squares."""
    (d,) = made.inputs
    inner = _inside(w, d, tuple(range(len(d.shape))), None, False)
    summed, count = [i for i in inner if i], math.prod(d.shape)
    body = power(w.of(d, inner), "2", False)
    total = _with_sign(r"\sum", summed, count, body) if summed else body
    return _mean(count, total) if made.parameters["mean"] else total


def mean_squared_error(w: Formulas, made: Equation, index: Index) -> Formula:
    """The mean of the squares of differences."""
    x, y = made.inputs
    shape = x.shape if len(x.shape) >= len(y.shape) else y.shape
    letters = tuple(w.fresh(len(shape), None))
    right = w.of(y, aligned(letters, y.shape)).within(BIG)
    body = Formula(f"({w.of(x, aligned(letters, x.shape)).within(SUM)} - {right})^2", POWER)
    if letters:
        body = _with_sign(r"\sum", list(letters), math.prod(shape), body)
    return _mean(math.prod(shape), body)
