"""Textbook functions that were spelt out become one equation again, with the textbook derivative.

`FORMULAS` is a table of spellings: `1 / (1 + exp(-z))` is the sigmoid. In a spelling, a number stands for itself
and a name for any value, the same at every place; sums, products and maxima may be written in either order. A graph
is gone through from its beginning, so what a spelling is made of has been recognised before. What goes along an
axis (softmax, cross-entropy, normalisation) is in `along_axes`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.graph import textbook
from chainrule.graph.along_axes import ALONG_AXES, softmax_spelt_out
from chainrule.graph.ir import Atom, Equation, Graph, Literal, Variable
from chainrule.graph.rewriting import Builder, New, Rule, rewritten
from chainrule.graph.simplification import FORWARD
from chainrule.primitives import Primitive
from chainrule.rules import neural
from chainrule.rules.elementwise import exp, negative, tanh
from chainrule.rules.index import getitem
from chainrule.rules.reduce import sum as sum_

FORMULAS = {
    f"{math.e} ** z": "exp(z)",
    "1 / (1 + exp(-z))": "sigmoid(z)",
    "1 / (1 + exp(z))": "sigmoid(-z)",
    "(1 + exp(-z)) ** -1": "sigmoid(z)",
    "reciprocal(1 + exp(-z))": "sigmoid(z)",
    "exp(z) / (1 + exp(z))": "sigmoid(z)",
    "0.5 * (1 + tanh(0.5 * z))": "sigmoid(z)",
    "0.5 * (1 + tanh(z / 2))": "sigmoid(z)",
    "(1 + tanh(z / 2)) / 2": "sigmoid(z)",
    "(1 + tanh(0.5 * z)) / 2": "sigmoid(z)",
    "0.5 + 0.5 * tanh(0.5 * z)": "sigmoid(z)",
    "(exp(z) - exp(-z)) / (exp(z) + exp(-z))": "tanh(z)",
    "(1 - exp(-2 * z)) / (1 + exp(-2 * z))": "tanh(z)",
    "(exp(2 * z) - 1) / (exp(2 * z) + 1)": "tanh(z)",
    "2 / (1 + exp(-2 * z)) - 1": "tanh(z)",
    "1 - 2 / (1 + exp(2 * z))": "tanh(z)",
    "2 * sigmoid(2 * z) - 1": "tanh(z)",
    "sinh(z) / cosh(z)": "tanh(z)",
    "maximum(z, 0)": "relu(z, spelling='maximum')",
    "where(z > 0, z, 0)": "relu(z, spelling='>')",
    "where(z >= 0, z, 0)": "relu(z, spelling='>=')",
    "where(z < 0, 0, z)": "relu(z, spelling='<')",
    "where(z <= 0, 0, z)": "plain_relu(z)",
    "z * (z > 0)": "plain_relu(z)",
    "log(1 + exp(z))": "softplus(z)",
    "log1p(exp(z))": "softplus(z)",
    "logaddexp(z, 0)": "softplus(z)",
    "relu(z) + softplus(-abs(z))": "softplus(z)",
    "z + softplus(-z)": "softplus(z)",
    "log(sigmoid(z))": "log_sigmoid(z)",
    "log(1 - sigmoid(z))": "-softplus(z)",
    "log1p(-sigmoid(z))": "-softplus(z)",
    "softplus(z) - y * z": "binary_cross_entropy(z, y)",
    "relu(z) - y * z + softplus(-abs(z))": "binary_cross_entropy(z, y)",
    "(1 - y) * z + softplus(-z)": "binary_cross_entropy(z, y)",
}

_MADE: dict[str, Primitive] = {
    "exp": exp, "negative": negative, "tanh": tanh, "sigmoid": neural.sigmoid, "softplus": neural.softplus,
    "plain_relu": neural.relu, "relu": textbook.relu_as_spelt, "log_sigmoid": textbook.log_sigmoid,
    "binary_cross_entropy": textbook.binary_cross_entropy,
}  # fmt: skip
"""What the right sides of the table are made of."""


class Call(NamedTuple):
    """A pattern: a primitive applied to patterns, with parameters."""

    name: str
    parts: tuple[Pattern, ...]
    parameters: tuple[tuple[str, Any], ...] = ()


Pattern: TypeAlias = "Call | float | str"
Found: TypeAlias = "dict[str, Atom]"

_OPERATORS: dict[type, str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "pow",
    ast.Gt: "greater", ast.GtE: "greater_equal", ast.Lt: "less", ast.LtE: "less_equal",
}  # fmt: skip
_COMMUTE = {"add", "multiply", "maximum", "logaddexp"}


def pattern(formula: str) -> Pattern:
    """A spelling as a pattern.

    >>> pattern("1 + z")
    Call(name='add', parts=(1, 'z'), parameters=())
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
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            given = tuple((str(k.arg), ast.literal_eval(k.value)) for k in keywords)
            return Call(name, tuple(_pattern(a) for a in arguments), given)
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


def _formula(spelling: str, meaning: str) -> tuple[str, Rule]:
    wanted, meant = pattern(spelling), pattern(meaning)
    assert isinstance(wanted, Call)
    assert isinstance(meant, Call)

    def rule(b: Builder, equation: Equation) -> New | None:
        for found in match_equation(b, wanted, equation, {}):
            z, out = found["z"], equation.output
            if isinstance(z, Variable) and (z.shape, z.dtype) == (out.shape, out.dtype):
                inputs = tuple(_made(b, part, found, out) for part in meant.parts)
                return New(_MADE[meant.name], inputs, dict(meant.parameters))
        return None

    return wanted.name, rule


def _made(b: Builder, meant: Pattern, found: Found, like: Variable) -> Atom:
    """The value that a pattern stands for."""
    if isinstance(meant, str):
        return found[meant]
    assert isinstance(meant, Call)
    inputs = (_made(b, part, found, like) for part in meant.parts)
    return b.make(_MADE[meant.name], *inputs, like=like, **dict(meant.parameters))


# two terms that are the logarithms of p and of 1 - p -------------------------------------------------------


class Weighed(NamedTuple):
    """`factor * weight * log(sigmoid(z))`, or with -z where it is flipped; no weight is 1.

    `over` is the reduction of that to a sum or a mean, if there is one.
    """

    factor: float
    weight: Atom | None
    z: Atom
    flipped: bool
    over: tuple[Primitive, dict[str, Any]] | None = None


def _weighed(b: Builder, atom: Atom) -> Weighed | None:
    made = b.definition(atom, "negative", "multiply", "matmul", "sum", "mean", "log_sigmoid", "softplus")
    if made is None or made.name in ("log_sigmoid", "softplus"):
        return None if made is None else _log_of_probability(b, made)
    if made.name in ("multiply", "matmul"):
        return _product(b, made)
    inner = _weighed(b, made.inputs[0])
    if inner is None or made.name == "negative":
        return None if inner is None else inner._replace(factor=-inner.factor)
    return None if inner.over else inner._replace(over=(made.primitive, made.parameters))


def _product(b: Builder, made: Equation) -> Weighed | None:
    for weight, log in (made.inputs, made.inputs[::-1]):
        inner = _weighed(b, log)
        if inner is None or inner.weight is not None or inner.over is not None:
            continue
        if isinstance(weight, Literal):
            return inner._replace(factor=weight.number * inner.factor)
        opposite = b.definition(weight, "negative")
        sign = 1 if opposite is None else -1
        found = inner._replace(weight=opposite.inputs[0] if opposite else weight, factor=sign * inner.factor)
        if made.name == "multiply":
            return found
        return (
            found._replace(over=(sum_, dict(sum_.defaults)))
            if len(weight.shape) == len(log.shape) == 1
            else None
        )
    return None


def _log_of_probability(b: Builder, made: Equation) -> Weighed:
    (z,) = made.inputs
    flipped = made.name == "softplus"  # -log(sigmoid(-z))
    opposite = b.definition(z, "negative")
    if opposite is not None:
        z, flipped = opposite.inputs[0], not flipped
    return Weighed(-1 if made.name == "softplus" else 1, None, z, flipped)


def _binary_cross_entropy(b: Builder, equation: Equation) -> New | None:
    """The sum y * log(p) + (1 - y) * log(1 - p), with any signs, is a binary cross-entropy, negated."""
    first, second = (_weighed(b, atom) for atom in equation.inputs)
    if first is None or second is None or first.z is not second.z or first.flipped == second.flipped:
        return None
    if equation.name == "subtract":
        second = second._replace(factor=-second.factor)
    yes, no = (second, first) if first.flipped else (first, second)
    y, sign = _label(b, yes, no)
    z, out = yes.z, equation.output
    if y is None or yes.over != no.over or z.dtype != out.dtype:
        return None
    if np.broadcast_shapes(y.shape, z.shape) != z.shape or (yes.over is None and z.shape != out.shape):
        return None
    primitive, inputs, parameters = New(textbook.binary_cross_entropy, (z, y), {})
    if yes.over is not None:
        each = b.make(primitive, *inputs, like=out)
        primitive, inputs, parameters = New(yes.over[0], (each,), yes.over[1])
    if sign < 0:
        return New(primitive, inputs, parameters)
    return New(negative, (b.make(primitive, *inputs, like=out, **parameters),), {})


def _log_of_part(b: Builder, equation: Equation) -> New | None:
    """The logarithm of elements of a sigmoid, or of 1 less them."""
    (p,) = equation.inputs
    rest = next(matches(b, Call("subtract", (1, "p")), p, {}), None)
    x = p if rest is None else rest["p"]
    keys = []
    while (chosen := b.definition(x, "getitem")) is not None:
        keys.append(chosen.parameters)
        x = chosen.inputs[0]
    made = b.definition(x, "sigmoid")
    if made is None or not keys:
        return None
    (z,) = made.inputs
    for parameters in keys[::-1]:
        z = b.make(getitem, z, like=equation.output, **parameters)
    if rest is None:
        return New(textbook.log_sigmoid, (z,), {})
    return New(negative, (b.make(neural.softplus, z, like=equation.output),), {})


def _label(b: Builder, yes: Weighed, no: Weighed) -> tuple[Atom | None, float]:
    """The y of a binary cross-entropy, and the sign of the sum; None if it is none."""
    if yes.weight is None and no.weight is None:  # the label is a number
        sign = yes.factor + no.factor
        is_label = abs(sign) == 1 and 0 <= yes.factor / sign <= 1
        return (Literal(yes.factor / sign) if is_label else None), sign
    if yes.weight is None or no.weight is None or yes.factor != no.factor or abs(yes.factor) != 1:
        return None, 0
    others = (yes.weight, no.weight), (no.weight, yes.weight)
    exact = all(w.dtype is not None and w.dtype.kind in "fi" for w in (yes.weight, no.weight))
    complement = any(any(matches(b, Call("subtract", (1, "y")), q, {"y": p})) for p, q in others)
    return (yes.weight if exact and complement else None), yes.factor


def _either_way(_: Builder, equation: Equation) -> Atom | None:
    """A choice between two values that have turned out to be the same."""
    x, y = equation.inputs[1:]
    same = (
        isinstance(x, Variable)
        and x is y
        and (x.shape, x.dtype) == (equation.output.shape, equation.output.dtype)
    )
    return x if same else None


RULES: dict[str, list[Rule]] = {name: list(rules) for name, rules in FORWARD.items()}
for _name, _rule in (
    *[_formula(spelling, meaning) for spelling, meaning in FORMULAS.items()],
    ("log", _log_of_part), ("add", _binary_cross_entropy), ("subtract", _binary_cross_entropy),
    ("where", _either_way), *ALONG_AXES,
):  # fmt: skip
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


_OF_LOSSES = ("log_sigmoid", "-softplus", "binary_cross_entropy")
_ACTIVATIONS: dict[str, list[Rule]] = {name: list(rules) for name, rules in FORWARD.items()}
for _name, _rule in (
    *[
        _formula(spelling, meaning)
        for spelling, meaning in FORMULAS.items()
        if not meaning.startswith(_OF_LOSSES)
    ],
    *[(name, rule) for name, rule in ALONG_AXES if rule is softmax_spelt_out],
):
    _ACTIVATIONS.setdefault(_name, []).append(_rule)


def with_activations(graph: Graph) -> Graph:
    """The graph with activations as one equation each, and losses as they were spelt out."""
    for _ in range(2):
        graph = rewritten(graph, _ACTIVATIONS, keep_dead=True)
    return graph


def conditions(graph: Graph) -> tuple[str, ...]:
    """What the constants of a recognised graph must be like for its derivatives to hold."""
    found: dict[str, None] = {}
    for equation in graph.equations:
        y = equation.inputs[1] if equation.primitive is textbook.cross_entropy_of_distribution else None
        if isinstance(y, Variable) and y.hint and y in graph.constants:
            axis = equation.parameters["axis"]
            rows = len(y.shape) == 2 and axis in (-1, 1)
            what = "whose rows sum to 1" if rows else f"that sums to 1 along axis {axis}"
            found[f"Holds for {y.hint} {what}."] = None
    return tuple(found)
