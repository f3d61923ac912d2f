"""Textbook functions that were spelt out become one equation again, with the textbook derivative.

`FORMULAS` is a table of spellings: `1 / (1 + exp(-z))` is the sigmoid. In a spelling, a number stands for itself
and a name for any value, the same at every place; sums, products and maxima may be written in either order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable
from chainrule.graph.rewriting import Builder, New, Rule, rewritten
from chainrule.graph.simplification import FORWARD
from chainrule.primitives import Primitive
from chainrule.rules import neural
from chainrule.rules.elementwise import negative, tanh
from chainrule.rules.reduce import axes_of, kept_shape
from chainrule.rules.reduce import sum as sum_

FORMULAS: dict[str, Primitive] = {
    "1 / (1 + exp(-z))": neural.sigmoid,
    "(1 + exp(-z)) ** -1": neural.sigmoid,
    "reciprocal(1 + exp(-z))": neural.sigmoid,
    "exp(z) / (1 + exp(z))": neural.sigmoid,
    "0.5 * (1 + tanh(0.5 * z))": neural.sigmoid,
    "0.5 * (1 + tanh(z / 2))": neural.sigmoid,
    "(1 + tanh(z / 2)) / 2": neural.sigmoid,
    "(exp(z) - exp(-z)) / (exp(z) + exp(-z))": tanh,
    "(1 - exp(-2 * z)) / (1 + exp(-2 * z))": tanh,
    "(exp(2 * z) - 1) / (exp(2 * z) + 1)": tanh,
    "2 / (1 + exp(-2 * z)) - 1": tanh,
    "2 * sigmoid(2 * z) - 1": tanh,
    "sinh(z) / cosh(z)": tanh,
    "maximum(z, 0)": neural.relu,
    "where(z > 0, z, 0)": neural.relu,
    "where(z >= 0, z, 0)": neural.relu,
    "where(z < 0, 0, z)": neural.relu,
    "where(z <= 0, 0, z)": neural.relu,
    "z * (z > 0)": neural.relu,
    "log(1 + exp(z))": neural.softplus,
    "log1p(exp(z))": neural.softplus,
    "logaddexp(z, 0)": neural.softplus,
}


class Call(NamedTuple):
    """A pattern: a primitive applied to patterns."""

    name: str
    parts: tuple[Pattern, ...]


Pattern: TypeAlias = "Call | float | str"
Found: TypeAlias = "dict[str, Atom]"

_OPERATORS: dict[type, str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "pow",
    ast.Gt: "greater", ast.GtE: "greater_equal", ast.Lt: "less", ast.LtE: "less_equal",
}  # fmt: skip
_COMMUTE = {"add", "multiply", "maximum", "logaddexp"}


def pattern(formula: str) -> Pattern:
    """A spelling as a pattern.

    >>> pattern("1 + exp(z)")
    Call(name='add', parts=(1, Call(name='exp', parts=('z',))))
    """
    return _pattern(ast.parse(formula, mode="eval").body)


def _pattern(node: ast.expr) -> Pattern:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Call("negative", (_pattern(operand),))
        case ast.BinOp(left=left, op=op, right=right):
            return Call(_OPERATORS[type(op)], (_pattern(left), _pattern(right)))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return Call(_OPERATORS[type(op)], (_pattern(left), _pattern(right)))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return Call(name, tuple(_pattern(a) for a in arguments))
        case ast.Name(id=name):
            return name
    raise ValueError(f"no spelling of a formula: {ast.unparse(node)}")


def matches(b: Builder, wanted: Pattern, atom: Atom, found: Found) -> Iterator[Found]:
    """The ways in which a value was computed as the pattern says: what its names stand for."""
    if isinstance(wanted, str):
        if found.get(wanted, atom) is atom:
            yield found | {wanted: atom}
    elif not isinstance(wanted, Call):
        if isinstance(atom, Literal) and not isinstance(atom.number, bool) and atom.number == wanted:
            yield found
    else:
        equation = b.definition(atom)
        if equation is not None:
            yield from match_equation(b, wanted, equation, found)


def match_equation(b: Builder, wanted: Call, equation: Equation, found: Found) -> Iterator[Found]:
    """The ways in which an equation is what the pattern says."""
    inputs = equation.inputs
    if wanted.name == "negative" and equation.name == "multiply":  # -1 * z
        wanted = Call("multiply", (-1, wanted.parts[0]))
    if equation.name != wanted.name or len(inputs) != len(wanted.parts):
        return
    orders = [inputs, inputs[::-1]] if wanted.name in _COMMUTE else [inputs]
    for order in orders:
        ways = [found]
        for part, atom in zip(wanted.parts, order, strict=True):
            ways = [way for known in ways for way in matches(b, part, atom, known)]
        yield from ways


def _formula(formula: str, primitive: Primitive) -> tuple[str, Rule]:
    wanted = pattern(formula)
    assert isinstance(wanted, Call)

    def rule(b: Builder, equation: Equation) -> New | None:
        for found in match_equation(b, wanted, equation, {}):
            z, out = found["z"], equation.output
            if isinstance(z, Variable) and (z.shape, z.dtype) == (out.shape, out.dtype):
                return New(primitive, (z,), {})
        return None

    return wanted.name, rule


# along an axis: softmax and what is made of it -------------------------------------------------------------


def _axis_of_total(b: Builder, total: Atom, x: Atom) -> Any:
    """The axis of a sum of `x` that is divided by, or subtracted, so that it broadcasts back; None if it does not."""
    spread = b.definition(total, "reshape", "getitem")
    if spread is not None:
        key = spread.parameters.get("key")
        parts = key if isinstance(key, tuple) else (key,)
        if spread.name == "getitem" and not all(p is None or p is ... or p == slice(None) for p in parts):
            return None
    made = b.definition(spread.inputs[0] if spread is not None else total, "sum", "logsumexp", "max")
    if made is None or made.inputs[0] is not x:
        return None
    count, axis = len(x.shape), made.parameters["axis"]
    axes = axes_of(axis, count)
    leading = spread is None and axes == tuple(range(len(axes)))  # what is left broadcasts back by itself
    if total.shape != kept_shape(x.shape, axis) and not leading:
        return None
    return (axes[0] - count if axes[0] == count - 1 else axes[0]) if len(axes) == 1 else axes


def _unshifted(b: Builder, x: Atom, axis: Any) -> Atom:
    """The z that `x` is without its maximum."""
    less = b.definition(x, "subtract")
    if less is None:
        return x
    z, top = less.inputs
    along = _axis_of_total(b, top, z)
    same = along is not None and set(axes_of(along, len(z.shape))) >= set(axes_of(axis, len(z.shape)))
    return z if same and b.definition(_source(b, top), "max") is not None else x


def _source(b: Builder, atom: Atom) -> Atom:
    spread = b.definition(atom, "reshape", "getitem")
    return atom if spread is None else spread.inputs[0]


def _softmax(b: Builder, equation: Equation) -> New | None:
    """A softmax: exp(z) / sum(exp(z)), with or without the maximum subtracted first."""
    e, total = equation.inputs
    made = b.definition(e, "exp")
    axis = None if made is None else _axis_of_total(b, total, e)
    if made is None or axis is None or b.definition(_source(b, total), "sum") is None:
        return None
    return New(neural.softmax, (_unshifted(b, made.inputs[0], axis),), {"axis": axis})


def _log_softmax(b: Builder, equation: Equation) -> New | None:
    """The logarithm of a softmax."""
    inner = b.definition(equation.inputs[0], "softmax")
    return None if inner is None else New(neural.log_softmax, inner.inputs, inner.parameters)


def _log_softmax_spelt(b: Builder, equation: Equation) -> New | None:
    """The logarithm of a softmax, spelt out: z - log(sum(exp(z))), or z - logsumexp(z)."""
    x, total = equation.inputs
    log = b.definition(total, "log")
    if log is not None:
        e = b.definition(_source(b, log.inputs[0]), "sum")
        made = None if e is None else b.definition(e.inputs[0], "exp")
        if e is None or made is None or made.inputs[0] is not x:
            return None
        axis = _axis_of_total(b, log.inputs[0], e.inputs[0])
    else:
        axis = _axis_of_total(b, total, x) if b.definition(_source(b, total), "logsumexp") else None
    return None if axis is None else New(neural.log_softmax, (_unshifted(b, x, axis),), {"axis": axis})


def _cross_entropy(b: Builder, equation: Equation) -> New | None:
    """The sum of y * log_softmax(z) is a cross-entropy, negated."""
    product = b.definition(equation.inputs[0], "multiply")
    if product is None:
        return None
    for y, logs in (product.inputs, product.inputs[::-1]):
        made = b.definition(logs, "log_softmax")
        if made is None or y.shape != made.inputs[0].shape or not isinstance(made.parameters["axis"], int):
            continue
        count, axis = len(y.shape), made.parameters["axis"]
        over = axes_of(equation.parameters["axis"], count)
        if over not in (axes_of(axis, count), tuple(range(count))) or equation.parameters["keepdims"]:
            continue
        each = b.make(neural.cross_entropy_of_logits, made.inputs[0], y, like=equation.output, axis=axis)
        if len(over) == count > 1:
            each = b.make(sum_, each, like=equation.output)
        return New(negative, (each,), {})
    return None


def _sign_outside(b: Builder, equation: Equation) -> New | None:
    """The mean of cross-entropies that were negated, with the sign in front."""
    inner = b.definition(equation.inputs[0], "negative")
    if inner is None or b.definition(inner.inputs[0], "cross_entropy_of_logits") is None:
        return None
    total = b.make(equation.primitive, inner.inputs[0], like=equation.output, **equation.parameters)
    return New(negative, (total,), {})


_along_axes: tuple[tuple[str, Rule], ...] = (
    ("divide", _softmax), ("log", _log_softmax), ("subtract", _log_softmax_spelt), ("sum", _cross_entropy),
    ("sum", _sign_outside), ("mean", _sign_outside),
)  # fmt: skip
RULES: dict[str, list[Rule]] = {name: list(rules) for name, rules in FORWARD.items()}
for _name, _rule in (*[_formula(f, p) for f, p in FORMULAS.items()], *_along_axes):
    RULES.setdefault(_name, []).append(_rule)


def recognised(graph: Graph) -> Graph:
    """The graph with spelt-out functions as one equation each.

    What a formula was made of is still there if the user named it, or something else needs it.
    """
    for _ in range(4):
        count = len(graph.equations)
        graph = rewritten(graph, RULES, keep_dead=True)
        if len(graph.equations) == count:
            break
    return graph
