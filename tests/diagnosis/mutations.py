"""Mistakes, as rewritings of the source of a backward pass.

An operator looks at one node of the syntax tree and yields what may stand in its place, with the codes that name the
mistake and words for it. It knows the source and the shapes of the arrays that were there when the pass ran; it
knows nothing of graphs, and nothing of how mistakes are found.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SHAPES = ("CR301", "CR302", "CR303", "CR304")


class Edit(NamedTuple):
    """A node, by its mark, what stands in its place, the codes for it, and words."""

    mark: int
    new: ast.AST | list[ast.stmt]
    codes: frozenset[str]
    words: str
    line: int
    operator: str


@dataclass
class Scene:
    """What operators may look at: parents, the statement of a node, shapes of arrays, roles and pre-activations."""

    parents: dict[ast.AST, ast.AST]
    shapes: Mapping[str, tuple[int, ...]]
    square_shapes: Mapping[str, tuple[int, ...]]
    primals: frozenset[str]
    cotangents: frozenset[str]
    counts: frozenset[str]
    activations: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)

    def role(self, node: ast.AST, otherwise: str) -> str:
        return self.roles.get(ast.unparse(node), otherwise)

    def twins(self, name: str) -> Iterator[str]:
        """Other primals of the same shape; where there are none, those that a square draw makes equal."""
        found = [p for p in sorted(self.primals) if p != name and self._equal(self.shapes, p, name)]
        yield from found or [
            p for p in sorted(self.primals) if p != name and self._equal(self.square_shapes, p, name)
        ]

    def _equal(self, shapes: Mapping[str, tuple[int, ...]], one: str, other: str) -> bool:
        return one in shapes and other in shapes and shapes[one] == shapes[other]


Found = Iterator[tuple[ast.AST | list[ast.stmt], str, str]]
Operator = Callable[[Any, Scene], Found]
OPERATORS: dict[str, Operator] = {}


def operator(function: Operator) -> Operator:
    OPERATORS[function.__name__] = function
    return function


def edits(nodes: Iterator[ast.AST], scene: Scene) -> Iterator[Edit]:
    """Every edit of the given nodes by every operator."""
    for node in nodes:
        for name, look in OPERATORS.items():
            for new, codes, words in look(node, scene):
                yield Edit(node.mark, new, frozenset(codes.split()), words, _line(node, scene), name)  # type: ignore[attr-defined]


def _line(node: Any, scene: Scene) -> int:
    while not hasattr(node, "lineno"):
        node = scene.parents[node]
    return int(node.lineno)


# products ------------------------------------------------------------------------------------------------


class Factor(NamedTuple):
    """One factor of a product; or, if not `above`, one divisor."""

    node: ast.expr
    above: bool = True


def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def flattened(node: ast.expr) -> list[Factor]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return flattened(node.left) + flattened(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return [*flattened(node.left), Factor(node.right, above=False)]
    return [Factor(node)]


def product(factors: list[Factor]) -> ast.expr:
    factors = sorted(factors, key=lambda f: not f.above) if factors and not factors[0].above else factors
    result: ast.expr | None = None
    for factor in factors:
        if result is None:
            result = factor.node if factor.above else ast.BinOp(ast.Constant(1), ast.Div(), factor.node)
        else:
            result = ast.BinOp(result, ast.Mult() if factor.above else ast.Div(), factor.node)
    return result or ast.Constant(1.0)


def is_whole_product(node: ast.AST, scene: Scene) -> bool:
    """Whether a node is a product that is no part of a longer one."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div))):
        return False
    above = scene.parents[node]
    if not isinstance(above, ast.BinOp):
        return True
    return not (isinstance(above.op, ast.Mult) or (isinstance(above.op, ast.Div) and above.left is node))


def complement(node: ast.expr) -> ast.expr | None:
    """What x is in `1 - x`."""
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and ast.unparse(node.left) in ("1", "1.0")
    ):
        return node.right
    return None


def squared(node: ast.expr | None) -> ast.expr | None:
    """What x is in `x ** 2` or `x * x`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and ast.unparse(node.right) == "2":
        return node.left
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and same(node.left, node.right):
        return node.left
    return None


def same(one: ast.AST, other: ast.AST) -> bool:
    return ast.dump(one) == ast.dump(other)


def is_count(node: ast.expr, scene: Scene) -> bool:
    """Whether it is a number: a constant, a length, a named size or coefficient."""
    text = ast.unparse(node)
    return isinstance(node, ast.Constant) or text.startswith("len(") or ".shape[" in text or text.endswith(".size") or (
        isinstance(node, ast.Name) and (node.id in scene.counts)
    )  # fmt: skip


def comes_from_above(node: ast.expr, scene: Scene) -> bool:
    """Whether a cotangent is in it. Nobody forgets that."""
    return any(isinstance(n, ast.Name) and n.id in scene.cotangents for n in ast.walk(node))


def sigmoid_pair(factors: list[Factor]) -> tuple[int, int] | None:
    """The places of `a` and `1 - a` among factors."""
    for j, factor in enumerate(factors):
        inside = complement(factor.node)
        for i, other in enumerate(factors):
            if inside is not None and i != j and same(inside, other.node):
                return i, j
    return None


def without(factors: list[Factor], *places: int) -> ast.expr:
    return product([f for k, f in enumerate(factors) if k not in places])


def is_slope(node: ast.expr) -> bool:
    """Whether a factor is by itself the derivative of an activation: 1 - a², z > 0, where(z > 0, …), f_prime(z)."""
    text = ast.unparse(node)
    return squared(complement(node)) is not None or isinstance(node, ast.Compare) or (
        isinstance(node, ast.Call) and ("np.where(" in text or "prime" in text)
    )  # fmt: skip


@operator
def factor_left_out(node: ast.AST, scene: Scene) -> Found:
    if not is_whole_product(node, scene):
        return
    factors = flattened(node)  # type: ignore[arg-type]
    pair = sigmoid_pair(factors)
    if pair is not None:
        yield without(factors, *pair), scene.role(factors[pair[0]].node, "CR101"), "derivative left out"
        for k in pair:
            words = f"only {ast.unparse(factors[k].node)} left out of the derivative"
            yield without(factors, k), "CR105", words
    carried = [f for f in factors if comes_from_above(f.node, scene)]
    carried = carried or [f for f in factors if not is_count(f.node, scene)][:1]
    for k, factor in enumerate(factors):
        if k not in (pair or ()) and len(factors) > 1:
            constant = "CR126 CR108" if scene.role(node, "") == "CR125" else "CR108"
            code = constant if is_count(factor.node, scene) else "CR101" if is_slope(factor.node) else "CR106"
            if factor not in carried or code != "CR106":
                words = f"{ast.unparse(factor.node)} left out"
                yield without(factors, k), scene.role(factor.node, code), words


@operator
def derivative_at_another_value(node: ast.AST, scene: Scene) -> Found:
    """`a * (1 - a)` with another value in both places."""
    if not is_whole_product(node, scene):
        return
    factors = flattened(node)  # type: ignore[arg-type]
    pair = sigmoid_pair(factors)
    if pair is None:
        return
    value = factors[pair[0]].node
    for other, codes in other_values(value, "sigmoid", scene):
        new = list(factors)
        new[pair[0]] = Factor(other)
        new[pair[1]] = Factor(ast.BinOp(ast.Constant(1), ast.Sub(), other))
        yield product(new), codes, f"derivative at {ast.unparse(other)}"


@operator
def tanh_derivative_at_another_value(node: ast.AST, scene: Scene) -> Found:
    """`1 - a**2` with another value, or without a part."""
    value = squared(complement(node)) if isinstance(node, ast.expr) else None
    if value is None:
        return
    a = ast.unparse(value)
    yield parsed(f"1 - {a}"), "CR105", "square left out"
    yield parsed(f"{a} ** 2"), "CR105", "1 - left out"
    for other, codes in other_values(value, "np.tanh", scene):
        yield parsed(f"1 - ({ast.unparse(other)}) ** 2"), codes, f"derivative at {ast.unparse(other)}"


def other_values(value: ast.expr, activation: str, scene: Scene) -> Iterator[tuple[ast.expr, str]]:
    name = ast.unparse(value)
    written = {"sigmoid": f"(1 / (1 + np.exp(-{name})))"}.get(activation, f"{activation}({name})")
    yield parsed(written), "CR104"
    before = scene.activations.get(name)
    if before in scene.shapes and scene.shapes[before] == scene.shapes.get(name):
        yield parsed(before), "CR103"
    for twin in scene.twins(name):
        if twin in scene.activations:
            yield parsed(twin), "CR103 CR111"


@operator
def factor_too_many(node: ast.AST, scene: Scene) -> Found:
    if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
        return
    shape = scene.shapes.get(node.targets[0].id)
    for name in sorted(scene.primals):
        if shape is not None and shape == scene.shapes.get(name):
            value = ast.BinOp(node.value, ast.Mult(), parsed(name))
            yield [_assigned(node, value)], "CR102", f"{node.targets[0].id} multiplied by {name}"


def _assigned(node: Any, value: ast.expr) -> ast.stmt:
    new = copy.copy(node)
    new.value = value
    return new  # type: ignore[no-any-return]


# signs and constants ---------------------------------------------------------------------------------------


def written(node: ast.AST, scene: Scene) -> bool:
    """Whether a node is the value of an assignment, or one of the values that are returned."""
    above = scene.parents[node]
    if isinstance(above, (ast.Assign, ast.AugAssign)):
        return above.value is node and not isinstance(node, (ast.Tuple, ast.Dict, ast.Constant))
    return isinstance(above, ast.Tuple) and isinstance(scene.parents[above], ast.Return)


def is_new_array(node: ast.AST) -> bool:
    return "zeros" in ast.unparse(node) or "copy" in ast.unparse(node)


@operator
def sign(node: ast.AST, scene: Scene) -> Found:
    if isinstance(node, ast.expr) and written(node, scene) and not is_new_array(node):
        yield ast.UnaryOp(ast.USub(), node), "CR107", f"{ast.unparse(node)} negated"


@operator
def sign_of_one_term(node: ast.AST, scene: Scene) -> Found:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and not is_count(node.left, scene):
        new = ast.BinOp(node.left, ast.Sub(), node.right)
        yield new, "CR107", f"sign of {ast.unparse(node.right)}"


@operator
def constant_factor(node: ast.AST, scene: Scene) -> Found:
    if not (isinstance(node, ast.expr) and written(node, scene)) or is_new_array(node):
        return
    for number in ("2", "0.5"):
        yield ast.BinOp(node, ast.Mult(), parsed(number)), "CR108", f"{ast.unparse(node)} times {number}"
    for count in sorted(scene.counts & {"N", "n", "m", "T"}):
        for op in (ast.Mult(), ast.Div()):
            yield ast.BinOp(node, op, parsed(count)), "CR108 CR115", f"{ast.unparse(node)} with {count}"


# matrix products -------------------------------------------------------------------------------------------


def operands(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """The two factors of a matrix product, as `a @ b`, `np.dot(a, b)`, `a.dot(b)`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return node.left, node.right
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.dot":
        return node.args[0], node.args[1]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "dot":
        return node.func.value, node.args[0]
    return None


def is_operand(node: ast.AST, scene: Scene) -> bool:
    above = scene.parents[node]
    if isinstance(above, ast.Attribute) and above.attr == "T":
        return is_operand(above, scene)
    if isinstance(above, ast.Call) and ast.unparse(above.func) == "np.outer":
        return node in above.args
    return node in (operands(above) or ()) or (isinstance(above, ast.Attribute) and above.attr == "dot")


@operator
def result_transposed(node: ast.AST, scene: Scene) -> Found:
    if operands(node) is not None and written(node, scene):
        yield ast.Attribute(node, "T"), "CR109", f"{ast.unparse(node)} transposed"  # type: ignore[arg-type]


@operator
def transpose_forgotten(node: ast.AST, scene: Scene) -> Found:
    if isinstance(node, ast.Attribute) and node.attr == "T" and is_operand(node, scene):
        yield node.value, "CR110", f"{ast.unparse(node)} without .T"


@operator
def transpose_too_many(node: ast.AST, scene: Scene) -> Found:
    above = scene.parents.get(node)
    if isinstance(node, ast.Name) and operands(above) and node in operands(above):  # type: ignore[arg-type, operator]
        yield ast.Attribute(node, "T"), "CR110", f"{node.id} with .T"


@operator
def wrong_operand(node: ast.AST, scene: Scene) -> Found:
    if isinstance(node, ast.Name) and node.id in scene.primals and is_operand(node, scene):
        for twin in scene.twins(node.id):
            yield parsed(twin), "CR111", f"{twin} in place of {node.id}"


@operator
def cotangent_of_another_value(node: ast.AST, scene: Scene) -> Found:
    """In the gradient of one parameter, dA1 where dZ1 belongs."""
    if not (isinstance(node, ast.Name) and node.id in scene.cotangents and is_operand(node, scene)):
        return
    for other in sorted(scene.cotangents - {node.id}):
        if other in scene.shapes and scene.shapes[other] == scene.shapes.get(node.id):
            yield parsed(other), "CR101 CR111", f"{other} in place of {node.id}"


@operator
def wrong_factor(node: ast.AST, scene: Scene) -> Found:
    """A primal in a product replaced by another of its shape, unless it belongs to a derivative."""
    if not is_whole_product(node, scene):
        return
    factors = flattened(node)  # type: ignore[arg-type]
    pair = sigmoid_pair(factors) or ()
    for k, factor in enumerate(factors):
        if (
            k not in pair
            and isinstance(factor.node, ast.Name)
            and factor.node.id in scene.primals - scene.counts
        ):
            for twin in scene.twins(factor.node.id):
                new = [*factors[:k], Factor(parsed(twin), factor.above), *factors[k + 1 :]]
                yield product(new), "CR111", f"{twin} in place of {factor.node.id}"


@operator
def elementwise_product(node: ast.AST, scene: Scene) -> Found:
    both = operands(node)
    if both is not None:
        yield ast.BinOp(both[0], ast.Mult(), both[1]), "CR112", f"{ast.unparse(node)} element by element"


@operator
def operand_left_out(node: ast.AST, scene: Scene) -> Found:
    both = operands(node)
    if both is not None and isinstance(scene.parents[node], (ast.Assign, ast.BinOp)):
        for kept, left_out in (both, both[::-1]):
            if not comes_from_above(left_out, scene):
                yield kept, "CR106", f"{ast.unparse(left_out)} left out of the matrix product"


# sums --------------------------------------------------------------------------------------------------------


def reduction(node: ast.AST) -> tuple[str, str, str] | None:
    """The name, the array and the further arguments of `x.sum(axis=0)` or `np.sum(x, axis=0)`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return None
    name, where = node.func.attr, ast.unparse(node.func.value)
    if name not in ("sum", "mean"):
        return None
    arguments = [ast.unparse(a) for a in node.args] + [
        f"{k.arg}={ast.unparse(k.value)}" for k in node.keywords
    ]
    return (
        (name, arguments[0], ", ".join(arguments[1:]))
        if where == "np"
        else (name, where, ", ".join(arguments))
    )


@operator
def sum_over_the_batch(node: ast.AST, scene: Scene) -> Found:
    found = reduction(node)
    if found is None:
        return
    name, array, rest = found
    if name == "mean":
        yield (
            parsed(f"np.sum({', '.join(filter(None, (array, rest)))})"),
            "CR115 CR108",
            "summed, not averaged",
        )
        return
    yield parsed(f"np.mean({', '.join(filter(None, (array, rest)))})"), "CR115 CR108", "averaged, not summed"
    yield parsed(array), "CR113", "not summed"
    if rest:
        yield parsed(f"np.sum({array})"), "CR114", "summed over everything"
        if "0" in rest or "1" in rest:
            other = rest.translate(str.maketrans("01", "10"))
            yield parsed(f"np.sum({array}, {other})"), "CR114", "summed over another axis"


@operator
def term_left_out(node: ast.AST, scene: Scene) -> Found:
    if not isinstance(node, ast.BinOp):
        return
    if isinstance(node.op, ast.Add):
        yield node.left, scene.role(node.right, "CR116"), f"{ast.unparse(node.right)} left out"
        yield node.right, scene.role(node.left, "CR116"), f"{ast.unparse(node.left)} left out"
    if isinstance(node.op, ast.Sub) and ast.unparse(node.right) in scene.roles:
        yield node.left, scene.role(node.right, ""), f"{ast.unparse(node.right)} left out"


@operator
def only_the_last_kept(node: ast.AST, scene: Scene) -> Found:
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name):
        new = ast.Assign([node.target], node.value, lineno=node.lineno)
        yield [new], "CR116 CR124 CR113", f"{node.target.id} not accumulated"
