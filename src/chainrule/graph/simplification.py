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

from chainrule.graph.factors import FACTORS, LARGEST, exact
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable, literal, variables_in
from chainrule.graph.rewriting import Builder, New, Rule, Rules, rewritten
from chainrule.graph.selections import SELECTIONS
from chainrule.graph.symbols import alias, by_hand, detached
from chainrule.rules import elementwise as e
from chainrule.rules.reduce import axes_of
from chainrule.rules.shape import broadcast_to, permute_dims, reshape


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
    numbers = [exact(a.number) for a in equation.inputs if isinstance(a, Literal)]
    if equation.name not in _EXACT or None in numbers or (equation.name == "divide" and numbers[1] == 0):
        return None
    found = Fraction(_EXACT[equation.name](*numbers))
    return found if max(abs(found.numerator), found.denominator) <= LARGEST else None


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


def _transposed_product(b: Builder, equation: Equation) -> New | None:
    """(a @ b).T is b.T @ a.T, whose transposes often cancel others."""
    (x,) = equation.inputs
    product = b.rewritable(x, "matmul")
    if product is None or b.uses[x] > 1 or any(len(a.shape) != 2 for a in product.inputs):
        return None
    if _positive(equation.parameters["axes"]) != (1, 0):
        return None
    parts = [b.make(permute_dims, a, like=equation.output, axes=(1, 0)) for a in product.inputs[::-1]]
    return New(product.primitive, tuple(parts), {})


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
    inner = b.definition(equation.inputs[0], "broadcast_to", "reshape")
    if inner is None or (inner.name == "reshape" and not _adds_leading_axes(inner)):
        return None
    return New(broadcast_to, inner.inputs, {"shape": equation.output.shape})


def _adds_leading_axes(made: Equation) -> bool:
    """Whether a reshape does what broadcasting does by itself."""
    lengths = list(made.output.shape)
    while lengths and lengths[0] == 1 and len(lengths) > len(made.inputs[0].shape):
        lengths.pop(0)
    return tuple(lengths) == made.inputs[0].shape


def _negated_twice(b: Builder, equation: Equation) -> Atom | New | None:
    """-(-x) is x; -(-2 * x) is 2 * x."""
    inner = b.definition(equation.inputs[0], "negative", "multiply")
    if inner is None or inner.name == "negative":
        return None if inner is None else inner.inputs[0]
    c, x = inner.inputs
    if inner.output.named or not isinstance(c, Literal) or isinstance(c.number, bool) or not c.number < 0:
        return None
    return New(e.multiply, (Literal(-c.number, c.shape, c.dtype), x), {})


# the backward pass only ------------------------------------------------------------------------------------


def _backward(rule: Rule) -> Rule:
    def applied(b: Builder, equation: Equation) -> Atom | New | None:
        return rule(b, equation) if equation.output.backward else None

    return applied


def _negative_of(b: Builder, equation: Equation) -> New | None:
    """The negative: -(a - b) is b - a; -(c * a) is (-c) * a."""
    (x,) = equation.inputs
    inner = b.rewritable(x, "subtract")
    if inner is not None:
        return New(e.subtract, inner.inputs[::-1], {})
    inner = b.rewritable(x, "multiply")
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
    negative = b.rewritable(y, "negative")
    if negative is not None:
        return New(e.subtract if equation.name == "add" else e.add, (x, negative.inputs[0]), {})
    negative = b.rewritable(x, "negative")
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


def _filled(_: Builder, equation: Equation) -> New | None:
    """Ones times c is c at every place."""
    out = equation.output
    for ones, other in (equation.inputs, equation.inputs[::-1]):
        if not isinstance(ones, Literal) or isinstance(ones.number, bool) or ones.number != 1:
            continue
        if ones.shape and isinstance(other, Variable) and other.dtype == out.dtype:
            return New(broadcast_to, (other,), {"shape": out.shape})
    return None


def _times_reciprocal(b: Builder, equation: Equation) -> New | None:
    """(1 / a) * x is x / a."""
    for atom, x in (equation.inputs, equation.inputs[::-1]):
        made = b.rewritable(atom, "divide")
        if made is None or b.uses[atom] > 1 or not isinstance(x, Variable):
            continue
        one, a = made.inputs
        if isinstance(one, Literal) and not one.shape and one.number == 1 and a.shape == atom.shape:
            return New(e.divide, (x, a), {})
    return None


def _number_last(_: Builder, equation: Equation) -> New | None:
    """4 + 2 * x is 2 * x + 4."""
    x, y = equation.inputs
    return New(e.add, (y, x), {}) if isinstance(x, Literal) and isinstance(y, Variable) else None


def _product_with_vector(b: Builder, equation: Equation) -> New | None:
    """(a @ v[:, None])[..., 0] is a @ v."""
    key = equation.parameters["key"]
    product = b.rewritable(equation.inputs[0], "matmul")
    if product is None or not (isinstance(key, tuple) and key[0] is ... and key[1:] == (0,)):
        return None
    matrix, right = product.inputs
    if isinstance(right, Literal):
        return (
            New(product.primitive, (matrix, Literal(right.number, right.shape[:1], right.dtype)), {})
            if (len(right.shape) == 2 and right.shape[1] == 1)
            else None
        )
    column = b.rewritable(right, "reshape")
    if (
        column is None
        or len(column.inputs[0].shape) != 1
        or column.output.shape != (*column.inputs[0].shape, 1)
    ):
        return None
    return New(product.primitive, (matrix, column.inputs[0]), {})


def _contracted_with_number(b: Builder, equation: Equation) -> Atom | New | None:
    """A number in a contraction is a factor of it."""
    names, _, target = equation.parameters["subscripts"].partition("->")
    parts = [(n, a) for n, a in zip(names.split(","), equation.inputs, strict=True) if n or a.shape]
    factors = [a for a in equation.inputs if not a.shape]
    if not parts or not factors or not all(isinstance(a, Literal) for a in factors):
        return None
    out = equation.output
    subscripts = f"{','.join(n for n, _ in parts)}->{target}"
    whole = parts[0][1]
    if len(parts) > 1 or parts[0][0] != target:
        whole = b.make(equation.primitive, *(a for _, a in parts), like=out, subscripts=subscripts)
    for factor in factors:
        whole = b.make(e.multiply, factor, whole, like=out)
    same = whole.shape == out.shape and whole.value.dtype == out.dtype
    return whole if same and isinstance(whole, Variable) else None


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
    return [inner.inputs[0]] if inner.name == "broadcast_to" or _adds_leading_axes(inner) else []


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
    inner = b.rewritable(x, "broadcast_to")
    if inner is None or isinstance(inner.inputs[0], Literal):
        return None
    source = inner.inputs[0]
    shape = (1,) * (len(x.shape) - len(source.shape)) + source.shape
    axes = axes_of(equation.parameters["axis"], len(x.shape))
    stretched = {i for i, (n, m) in enumerate(zip(shape, x.shape, strict=True)) if n != m}
    if not stretched <= set(axes) or any(shape[i] != 1 for i in axes):
        return None
    count = math.prod(x.shape[i] for i in axes)
    if not count or source.value.dtype != out.dtype:  # the sum of nothing is 0, whatever was broadcast
        return None
    moved = b.make(reshape, source, like=out, shape=out.shape)
    return New(e.multiply, (Literal(count), moved), {})


def _overwritten(_: Builder, equation: Equation) -> Atom | None:
    """x[...] = y, which leaves nothing of x."""
    (_old, new), out, key = equation.inputs, equation.output, equation.parameters["key"]
    keys = key if isinstance(key, tuple) else (key,)
    if not all(k is ... or (isinstance(k, slice) and k == slice(None)) for k in keys):
        return None
    if isinstance(new, Literal):
        return Literal(new.number, out.shape, out.dtype)
    return new if (new.shape, new.dtype) == (out.shape, out.dtype) else None


_pass_on: tuple[Rule, ...] = (_relaid, _same)
TIDY: dict[str, tuple[Rule, ...]] = {
    "positive": (_same,), "copy": (_same,), "astype": (_relaid, _same), "detached": (_same,), "alias": (_same,),
    by_hand.name: (_same,),
    "reshape": (*_pass_on, _reshaped_twice), "broadcast_to": (*_pass_on, _broadcast_twice),
    "permute_dims": (_relaid, _transposed_twice), "matrix_transpose": (_relaid, _transpose),
    "negative": (_negated_twice,), "index_update": (_overwritten,),
    "add": (_neutral((0, 0), (1, 0)),), "subtract": (_neutral((1, 0)),),
    "multiply": (_neutral((0, 1), (1, 1)),), "divide": (_neutral((1, 1)),), "pow": (_neutral((1, 1)),),
    "": (_folded,),
}  # fmt: skip
_READABLE: dict[str, tuple[Rule, ...]] = {
    "negative": (_negative_of,), "getitem": (_product_with_vector,), "permute_dims": (_transposed_product,),
    "add": (_sum_with_negative, _number_last), "subtract": (_sum_with_negative, _less_nothing),
    "multiply": (_filled, _times_reciprocal), "contraction": (_contracted_with_number,),
    "sum": (_sum_of_broadcast,), "": (_without_broadcast,),
}  # fmt: skip
ALGEBRA: dict[str, tuple[Rule, ...]] = {
    name: (*SELECTIONS.get(name, ()), *FACTORS.get(name, ()), *_READABLE.get(name, ()))
    for name in SELECTIONS | FACTORS | _READABLE
}

# A copy protects from changes in place, which a graph has none of; the other two only matter to the reverse sweep.
FORWARD: dict[str, tuple[Rule, ...]] = {
    name: rules for name, rules in TIDY.items() if name not in (detached.name, alias.name, by_hand.name)
}
EVERYTHING: dict[str, tuple[Rule, ...]] = {
    name: (*TIDY.get(name, ()), *map(_backward, ALGEBRA.get(name, ()))) for name in TIDY | ALGEBRA
}
