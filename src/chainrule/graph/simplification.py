"""The algebra that makes a traced program readable. Each rule keeps the value.

The rules of TIDY only leave out what does nothing; they apply to the user's own lines too. Those of ALGEBRA also
write a formula differently, and apply to the backward pass only: what the user wrote stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable, literal, variables_in
from chainrule.graph.rewriting import Builder, New, Rule, Rules, rewritten
from chainrule.graph.symbols import detached
from chainrule.rules import elementwise as e
from chainrule.rules.reduce import axes_of
from chainrule.rules.reduce import sum as sum_
from chainrule.rules.shape import broadcast_to, permute_dims, reshape

LARGEST = 10**6
"""Up to here, integers in a factor are kept exact."""


def simplified(graph: Graph, rules: Rules | None = None) -> Graph:
    """The graph with the rules applied until nothing changes any more."""
    for _ in range(8):
        before = [(eq.name, eq.inputs) for eq in graph.equations]
        graph = rewritten(graph, EVERYTHING if rules is None else rules)
        if [(eq.name, eq.inputs) for eq in graph.equations] == before:
            break
    return graph


# what does nothing -----------------------------------------------------------------------------------------


def _same(_: Builder, equation: Equation) -> Atom | None:
    """An input that has the value already."""
    (x, *_rest), out = equation.inputs, equation.output
    return x if isinstance(x, Variable) and (x.shape, x.dtype) == (out.shape, out.dtype) else None


def _relaid(_: Builder, equation: Equation) -> Atom | None:
    """A number at every place, in another shape."""
    (x,), out = equation.inputs, equation.output
    if isinstance(x, Literal) and (x.dtype is None or x.dtype == out.dtype):
        return Literal(x.number, out.shape, out.dtype)
    return None


def _folded(b: Builder, equation: Equation) -> Atom | None:
    """What is made of numbers only is one; of exact ones, an exact one."""
    if not all(isinstance(a, Literal) for a in equation.inputs) or equation.primitive.outputs:
        return None
    if not equation.inputs or any(True for p in equation.parameters.values() for _ in variables_in(p)):
        return None
    out = equation.output
    exact = _exactly(equation)
    if exact is not None and out.dtype.kind == "f":
        return literal(exact, out.shape, out.dtype)
    value = out.value
    if value.size and (value == value.flat[0]).all():
        return literal(value.flat[0].item(), out.shape, out.dtype)
    if value.size == 0:
        return None
    constant = Variable(value)
    b.constants.append(constant)
    return constant


_EXACT: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y, "subtract": lambda x, y: x - y, "multiply": lambda x, y: x * y,
    "divide": lambda x, y: Fraction(x) / y, "negative": lambda x: -x,
}  # fmt: skip


def _exactly(equation: Equation) -> Any:
    numbers = [_exact(a.number) for a in equation.inputs if isinstance(a, Literal)]
    if equation.name not in _EXACT or None in numbers or (equation.name == "divide" and numbers[1] == 0):
        return None
    found = Fraction(_EXACT[equation.name](*numbers))
    return found if max(abs(found.numerator), found.denominator) <= LARGEST else None


def _exact(number: Any) -> Fraction | None:
    if isinstance(number, (int, Fraction)) and not isinstance(number, bool):
        return Fraction(number)
    if isinstance(number, float) and abs(number) <= LARGEST and (64 * number).is_integer():
        return Fraction(number) if number or math.copysign(1, number) == 1 else None  # -0.0 is no Fraction
    return None


def _neutral(*pairs: tuple[int, int]) -> Rule:
    """Operations with a number that changes nothing: (which input, which number)."""

    def rule(_: Builder, equation: Equation) -> Atom | None:
        out = equation.output
        for which, number in pairs:
            neutral, other = equation.inputs[which], equation.inputs[1 - which]
            if (
                not isinstance(neutral, Literal)
                or isinstance(neutral.number, bool)
                or neutral.number != number
            ):
                continue
            if isinstance(other, Variable) and (other.shape, other.dtype) == (out.shape, out.dtype):
                return other
        return None

    return rule


def _transposed_twice(b: Builder, equation: Equation) -> Atom | New | None:
    axes = _positive(equation.parameters["axes"])
    if axes == tuple(range(len(axes))):
        return equation.inputs[0]
    inner = b.definition(equation.inputs[0], "permute_dims")
    if inner is None:
        return None
    before = _positive(inner.parameters["axes"])
    return New(permute_dims, inner.inputs, {"axes": tuple(before[a] for a in axes)})


def _positive(axes: Any) -> tuple[int, ...]:
    return tuple(int(a) % len(axes) for a in axes)


def _transpose(_: Builder, equation: Equation) -> New:
    *front, last, end = range(len(equation.output.shape))
    return New(permute_dims, equation.inputs, {"axes": (*front, end, last)})


def _reshaped_twice(b: Builder, equation: Equation) -> New | None:
    shape = equation.output.shape
    inner = b.definition(equation.inputs[0], "reshape")
    if inner is not None:
        return New(reshape, inner.inputs, {"shape": shape})
    return None if equation.parameters["shape"] == shape else New(reshape, equation.inputs, {"shape": shape})


def _broadcast_twice(b: Builder, equation: Equation) -> New | None:
    inner = b.definition(equation.inputs[0], "broadcast_to")
    return None if inner is None else New(broadcast_to, inner.inputs, {"shape": equation.output.shape})


def _negated_twice(b: Builder, equation: Equation) -> Atom | None:
    inner = b.definition(equation.inputs[0], "negative")
    return None if inner is None else inner.inputs[0]


# the backward pass only ------------------------------------------------------------------------------------


def _backward(rule: Rule) -> Rule:
    def applied(b: Builder, equation: Equation) -> Atom | New | None:
        return rule(b, equation) if equation.output.backward else None

    return applied


def _inner(b: Builder, atom: Atom, *names: str) -> Equation | None:
    """How an unnamed value of the backward pass was made: it may be written differently."""
    found = b.definition(atom, *names, named=False)
    return found if found is not None and found.output.backward else None


def _negative_of(b: Builder, equation: Equation) -> New | None:
    """The negative: -(a - b) is b - a; -(c * a) is (-c) * a."""
    (x,) = equation.inputs
    inner = _inner(b, x, "subtract")
    if inner is not None:
        return New(e.subtract, inner.inputs[::-1], {})
    inner = _inner(b, x, "multiply")
    if inner is not None:
        for i, atom in enumerate(inner.inputs):
            if isinstance(atom, Literal) and not isinstance(atom.number, bool):
                changed = list(inner.inputs)
                changed[i] = Literal(-atom.number, atom.shape, atom.dtype)
                return New(inner.primitive, tuple(changed), {})
    return None


def _sum_with_negative(b: Builder, equation: Equation) -> New | None:
    """Signs in a sum: a + -b is a - b; -a + b is b - a; a - -b is a + b."""
    x, y = equation.inputs
    negative = _inner(b, y, "negative")
    if negative is not None:
        return New(e.subtract if equation.name == "add" else e.add, (x, negative.inputs[0]), {})
    negative = _inner(b, x, "negative")
    if negative is not None and equation.name == "add":
        return New(e.subtract, (y, negative.inputs[0]), {})
    return None


def _less_nothing(_: Builder, equation: Equation) -> New | None:
    x, y = equation.inputs
    if (
        isinstance(x, Literal)
        and x.number == 0
        and isinstance(y, Variable)
        and y.shape == equation.output.shape
    ):
        return New(e.negative, (y,), {})
    return None


def _split(b: Builder, atom: Atom) -> tuple[Any, Atom | None]:
    """A value as a number times a rest; None for the rest of a number alone."""
    if isinstance(atom, Literal):
        exact = _exact(atom.number)
        return (atom.number if exact is None else exact), None
    inner = _inner(b, atom, "multiply", "divide", "negative")
    if inner is None:
        return Fraction(1), atom
    if inner.name == "negative":
        return Fraction(-1), inner.inputs[0]
    x, y = inner.inputs
    if isinstance(y, Literal) and isinstance(x, Variable):
        factor = _split(b, y)[0]
        return (_ratio(1, factor) if inner.name == "divide" else factor), x
    if isinstance(x, Literal) and isinstance(y, Variable) and inner.name == "multiply":
        return _split(b, x)[0], y
    return Fraction(1), atom


def _ratio(x: Any, y: Any) -> Any:
    if isinstance(x, (int, Fraction)) and isinstance(y, (int, Fraction)):
        return Fraction(x) / y if y else math.inf
    return float(x) / float(y) if y else math.inf


def _gathered(b: Builder, equation: Equation) -> Atom | New | None:
    """The numbers of a product in one factor: 2 * (g / 300) * a is a * g / 150."""
    out, (x, y) = equation.output, equation.inputs
    if out.dtype.kind != "f" or any(isinstance(a, Literal) and isinstance(a.number, bool) for a in (x, y)):
        return None
    (c, rest_x), (d, rest_y) = _split(b, x), _split(b, y)
    if rest_x is None and (rest_y is None or equation.name == "divide"):
        return None
    factor = _ratio(c, d) if equation.name == "divide" else _number(c * d)
    if (rest_x is x and rest_y is y) or not math.isfinite(factor) or factor == 0:
        return None
    if rest_x is None or rest_y is None:
        rest = rest_x if rest_y is None else rest_y
    else:
        rest = b.make(equation.primitive, rest_x, rest_y, like=out)
    if rest is None or rest.shape != out.shape or rest.value.dtype != out.dtype:
        return None
    return _scaled(b, rest, factor, equation)


def _number(factor: Any) -> Any:
    """An exact factor as long as its integers are small."""
    small = isinstance(factor, Fraction) and max(abs(factor.numerator), factor.denominator) <= LARGEST
    return factor if small or not isinstance(factor, Fraction) else float(factor)


def _scaled(b: Builder, rest: Atom, factor: Any, equation: Equation) -> Atom | New | None:
    """`factor * rest`, as it is written: over an integer, or times a number."""
    if factor == 1:
        return rest
    if factor == -1:
        return New(e.negative, (rest,), {})
    if isinstance(factor, Fraction) and factor.denominator != 1:
        top, bottom = factor.numerator, factor.denominator
        if top < 0:
            return New(e.negative, (_over(b, rest, -factor, equation.output),), {})
        if top != 1:
            rest = b.make(e.multiply, Literal(top), rest, like=equation.output)
        found = New(e.divide, (rest, Literal(bottom)), {})
    else:
        found = New(e.multiply, (literal(factor), rest), {})
    same = found.primitive is equation.primitive and all(
        a is c or (isinstance(a, Literal) and isinstance(c, Literal) and a.key == c.key)
        for a, c in zip(found.inputs, equation.inputs, strict=True)
    )
    return None if same else found


def _over(b: Builder, rest: Atom, factor: Fraction, like: Variable) -> Atom:
    top = rest if factor.numerator == 1 else b.make(e.multiply, Literal(factor.numerator), rest, like=like)
    return b.make(e.divide, top, Literal(factor.denominator), like=like)


def _common_factor(b: Builder, equation: Equation) -> Atom | New | None:
    """One factor for a sum: a / n + b / n is (a + b) / n."""
    out, (x, y) = equation.output, equation.inputs
    (c, rest_x), (d, rest_y) = _split(b, x), _split(b, y)
    if rest_x is None or rest_y is None or abs(c) != abs(d) or abs(c) == 1 or rest_x is x or rest_y is y:
        return None
    if rest_x.shape != out.shape or rest_y.shape != out.shape or out.dtype.kind != "f":
        return None
    plus = (c == d) == (equation.name == "add")
    total = b.make(e.add if plus else e.subtract, rest_x, rest_y, like=out)
    found = _scaled(b, total, c, equation)
    return found if isinstance(found, New) else None


def _filled(_: Builder, equation: Equation) -> New | None:
    """Ones times c is c at every place."""
    out = equation.output
    for ones, other in (equation.inputs, equation.inputs[::-1]):
        if not isinstance(ones, Literal) or isinstance(ones.number, bool) or ones.number != 1:
            continue
        if ones.shape and isinstance(other, Variable) and other.dtype == out.dtype:
            return New(broadcast_to, (other,), {"shape": out.shape})
    return None


def _number_last(_: Builder, equation: Equation) -> New | None:
    """4 + 2 * x is 2 * x + 4."""
    x, y = equation.inputs
    return New(e.add, (y, x), {}) if isinstance(x, Literal) and isinstance(y, Variable) else None


def _product_with_vector(b: Builder, equation: Equation) -> New | None:
    """(a @ v[:, None])[..., 0] is a @ v."""
    key = equation.parameters["key"]
    product = _inner(b, equation.inputs[0], "matmul")
    if product is None or not (isinstance(key, tuple) and key[0] is ... and key[1:] == (0,)):
        return None
    column = _inner(b, product.inputs[1], "reshape")
    if (
        column is None
        or len(column.inputs[0].shape) != 1
        or column.output.shape != (*column.inputs[0].shape, 1)
    ):
        return None
    return New(product.primitive, (product.inputs[0], column.inputs[0]), {})


def _without_broadcast(b: Builder, equation: Equation) -> New | None:
    """An elementwise operation broadcasts by itself: no broadcast_to, no reshape to (1, 1), no array of ones."""
    if not equation.primitive.elementwise or len(equation.inputs) < 2:
        return None
    for i, atom in enumerate(equation.inputs):
        for other in _narrower(b, atom):
            inputs = (*equation.inputs[:i], other, *equation.inputs[i + 1 :])
            if _fits(inputs, atom, other, equation.output):
                return New(equation.primitive, inputs, equation.parameters)
    return None


def _narrower(b: Builder, atom: Atom) -> list[Atom]:
    """The same elements, before they were broadcast."""
    if isinstance(atom, Literal):
        return [Literal(atom.number)] if atom.shape or atom.dtype is not None else []
    inner = b.definition(atom, "broadcast_to", "reshape", named=False)
    if inner is None:
        return []
    x = inner.inputs[0]
    if inner.name == "broadcast_to":
        return [x]
    lengths = list(atom.shape)
    while lengths and lengths[0] == 1:
        lengths.pop(0)
    return [x] if tuple(lengths) == x.shape else []


def _fits(inputs: tuple[Atom, ...], old: Atom, new: Atom, out: Variable) -> bool:
    try:
        shape = np.broadcast_shapes(*(a.shape for a in inputs))
    except ValueError:
        return False
    if shape != out.shape:
        return False
    if isinstance(new, Variable) or (isinstance(old, Literal) and old.dtype is None):
        return True
    return bool(_type_of(inputs) == _type_of(tuple(old if a is new else a for a in inputs)))


def _type_of(atoms: tuple[Atom, ...]) -> Any:
    try:
        return np.result_type(*(a.value if not a.shape else np.empty(0, a.value.dtype) for a in atoms))
    except TypeError:
        return None


def _sum_of_broadcast(b: Builder, equation: Equation) -> New | None:
    """The sum of what was broadcast along the axes summed over is a multiple."""
    (x,), out = equation.inputs, equation.output
    inner = _inner(b, x, "broadcast_to")
    if inner is None or isinstance(inner.inputs[0], Literal):
        return None
    source = inner.inputs[0]
    shape = (1,) * (len(x.shape) - len(source.shape)) + source.shape
    axes = axes_of(equation.parameters["axis"], len(x.shape))
    stretched = {i for i, (n, m) in enumerate(zip(shape, x.shape, strict=True)) if n != m}
    if not stretched <= set(axes) or any(shape[i] != 1 for i in axes):
        return None
    count = math.prod(x.shape[i] for i in axes)
    moved = b.make(reshape, source, like=out, shape=out.shape)
    return New(e.multiply, (Literal(count), moved), {})


def _sum_of_scaled(b: Builder, equation: Equation) -> New | None:
    """The number of a scaled array is taken out of its sum."""
    (x,), out = equation.inputs, equation.output
    factor, rest = _split(b, x)
    if rest is None or rest is x or rest.shape != x.shape or rest.value.dtype != out.dtype:
        return None
    total = b.make(sum_, rest, like=out, **equation.parameters)
    found = _scaled(b, total, factor, equation)
    return found if isinstance(found, New) else None


def _chosen_twice(b: Builder, equation: Equation) -> New | None:
    """where(not c, x, y) is where(c, y, x); where(c, where(c, x, _), y) is where(c, x, y)."""
    condition, x, y = equation.inputs
    inverse = _inner(b, condition, "logical_not", "bitwise_invert")
    if inverse is not None and inverse.inputs[0].value.dtype == bool:
        return New(e.where, (inverse.inputs[0], y, x), {})
    for i, part in ((1, x), (2, y)):
        taken = _in_branch(b, condition, i, part)
        if taken is not None and np.broadcast_shapes(condition.shape, taken.shape) == equation.output.shape:
            return New(e.where, (condition, taken, y) if i == 1 else (condition, x, taken), {})
        inner = _inner(b, part, "where")
        if inner is not None and inner.inputs[0] is condition:
            inputs = (condition, inner.inputs[1], y) if i == 1 else (condition, x, inner.inputs[2])
            shapes = [a.shape for a in inputs]
            if np.broadcast_shapes(*shapes) == equation.output.shape:
                return New(e.where, inputs, {})
    return None


def _in_branch(b: Builder, condition: Atom, i: int, part: Atom) -> Atom | None:
    """A product in a branch, of which a factor was chosen by the same condition."""
    made = _inner(b, part, "multiply", "divide", "negative")
    if made is None:
        return None
    chosen = [_inner(b, a, "where") for a in made.inputs]
    if made.name == "divide":  # a divisor may be guarded by its where
        chosen[1] = None
    inputs = [
        a if c is None or c.inputs[0] is not condition else c.inputs[i]
        for a, c in zip(made.inputs, chosen, strict=True)
    ]
    if all(x is y for x, y in zip(inputs, made.inputs, strict=True)):
        return None
    taken = b.make(made.primitive, *inputs, like=made.output)
    same = taken.value.dtype == made.output.dtype and taken.shape == made.output.shape
    return taken if same else None


def _sum_of_branches(b: Builder, equation: Equation) -> New | None:
    """where(c, x, 0) + where(c, 0, y) is where(c, x, y)."""
    first, second = (_inner(b, a, "where") for a in equation.inputs)
    if first is None or second is None or first.inputs[0] is not second.inputs[0]:
        return None
    condition, x, nothing = first.inputs
    _, zero, y = second.inputs
    if not (_is_zero(nothing) and _is_zero(zero)):
        x, y, nothing, zero = zero, nothing, y, x
    if not (_is_zero(nothing) and _is_zero(zero)):
        return None
    fits = np.broadcast_shapes(condition.shape, x.shape, y.shape) == equation.output.shape
    return New(e.where, (condition, x, y), {}) if fits else None


def _is_zero(atom: Atom) -> bool:
    return isinstance(atom, Literal) and not isinstance(atom.number, bool) and atom.number == 0


_pass_on: tuple[Rule, ...] = (_relaid, _same)
TIDY: dict[str, tuple[Rule, ...]] = {
    "positive": (_same,), "copy": (_same,), "astype": (_relaid, _same), "detached": (_same,),
    "reshape": (*_pass_on, _reshaped_twice), "broadcast_to": (*_pass_on, _broadcast_twice),
    "permute_dims": (_relaid, _transposed_twice), "matrix_transpose": (_relaid, _transpose),
    "negative": (_negated_twice,),
    "add": (_neutral((0, 0), (1, 0)),), "subtract": (_neutral((1, 0)),),
    "multiply": (_neutral((0, 1), (1, 1)),), "divide": (_neutral((1, 1)),), "pow": (_neutral((1, 1)),),
    "": (_folded,),
}  # fmt: skip
ALGEBRA: dict[str, tuple[Rule, ...]] = {
    "negative": (_negative_of,), "getitem": (_product_with_vector,),
    "add": (_sum_of_branches, _sum_with_negative, _common_factor, _number_last),
    "subtract": (_sum_with_negative, _less_nothing, _common_factor),
    "multiply": (_gathered, _filled), "divide": (_gathered,), "sum": (_sum_of_broadcast, _sum_of_scaled),
    "where": (_chosen_twice,), "": (_without_broadcast,),
}  # fmt: skip

# A copy protects from changes in place, which a graph has none of; `detached` only matters to the reverse sweep.
FORWARD: dict[str, tuple[Rule, ...]] = {name: rules for name, rules in TIDY.items() if name != detached.name}
EVERYTHING: dict[str, tuple[Rule, ...]] = {
    name: (*TIDY.get(name, ()), *map(_backward, ALGEBRA.get(name, ()))) for name in TIDY | ALGEBRA
}
