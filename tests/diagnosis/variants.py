"""Right gradients in other words: derived in another way, rewritten, in other conventions, of less precision."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from diagnosis.corpus import Network
from diagnosis.planting import Program, distance, named

from chainrule.trees import leaves, mapped

Backward = Callable[..., Any]


class Variant(NamedTuple):
    """A right backward pass. `convention` has the codes that may name the convention it follows, if it has one."""

    words: str
    backward: Backward
    convention: frozenset[str] = frozenset()


class Commuted(ast.NodeTransformer):
    """a * b as b * a, and a + b as b + a."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, (ast.Mult, ast.Add)):
            node.left, node.right = node.right, node.left
        return node


class Transcribed(ast.NodeTransformer):
    """a @ b as np.dot(a, b), 1 - a as -(a - 1), a / b as a * (1 / b), a ** 2 as a * a."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        a, b = ast.unparse(node.left), ast.unparse(node.right)
        if isinstance(node.op, ast.MatMult):
            return ast.parse(f"np.dot({a}, {b})", mode="eval").body
        if isinstance(node.op, ast.Sub):
            return ast.parse(f"-(({b}) - ({a}))", mode="eval").body
        if isinstance(node.op, ast.Div):
            return ast.parse(f"({a}) * (1 / ({b}))", mode="eval").body
        if isinstance(node.op, ast.Pow) and b == "2":
            return ast.parse(f"({a}) * ({a})", mode="eval").body
        return node


class Expanded(ast.NodeTransformer):
    """a * (b - c) as a * b - a * c, and (a + b) / c as a / c + b / c."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Mult) and self.is_sum(node.right):
            a, b, c = node.left, node.right.left, node.right.right  # type: ignore[attr-defined]
            return ast.BinOp(ast.BinOp(a, ast.Mult(), b), node.right.op, ast.BinOp(a, ast.Mult(), c))  # type: ignore[attr-defined]
        if isinstance(node.op, ast.Div) and self.is_sum(node.left):
            a, b, c = node.left.left, node.left.right, node.right  # type: ignore[attr-defined]
            return ast.BinOp(ast.BinOp(a, ast.Div(), c), node.left.op, ast.BinOp(b, ast.Div(), c))  # type: ignore[attr-defined]
        return node

    def is_sum(self, node: ast.AST) -> bool:
        return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))


def rewritten(network: Network, rewriting: type[ast.NodeTransformer]) -> Backward:
    program = Program(network)
    tree = rewriting().visit(copy.deepcopy(program.tree))
    return program.compiled(ast.unparse(ast.fix_missing_locations(tree)))


def scaled(network: Network, by: Callable[[Any], float]) -> Backward:
    """All gradients multiplied by one number, which may depend on the arguments."""
    return lambda *args: mapped(lambda g: by(args) * g, network.claims(network.backward, args))


def rows(args: Any) -> int:
    """The number of samples, or what is most like it: the longest axis of the last argument that has one."""
    return next((max(np.shape(a)) for a in reversed(args) if np.ndim(a) > 0), 3)


def averaged_over_samples(network: Network) -> Backward:
    """The mean of the gradients of the samples, one at a time."""

    def backward(*args: Any) -> Any:
        count = len(args[network.mean_over[0]])
        each = [
            network.claims(
                network.backward,
                tuple(a[k : k + 1] if i in network.mean_over else a for i, a in enumerate(args)),
            )
            for k in range(count)
        ]
        return mapped(lambda *gs: sum(gs) / count, *each)

    return backward


def by_differences(network: Network) -> Backward:
    """Differences of fourth order."""
    weights = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
    step = 3e-4

    def backward(*args: Any) -> Any:
        paths = [path for path, _ in leaves(args[: network.parameters])]

        def derivative(path: str) -> Any:
            value = np.asarray(dict(leaves(args))[path], dtype=float)
            result = np.zeros(value.shape)
            for index in np.ndindex(value.shape):
                for k, weight in weights:
                    moved = value.copy()
                    moved[index] += k * step
                    result[index] += weight / step * network.loss(*replaced(args, path, moved))
            return result

        found = iter([derivative(path) for path in paths])
        return mapped(lambda _: next(found), args[: network.parameters])

    return backward


def replaced(args: Any, path: str, value: Any) -> Any:
    paths = iter([p for p, _ in leaves(args)])
    return mapped(lambda leaf: value if next(paths) == path else leaf, args)


def in_single_precision(network: Network) -> Backward:
    """Everything computed in float32."""

    def short(leaf: Any) -> Any:
        return np.float32(leaf) if np.asarray(leaf).dtype.kind == "f" else leaf

    def backward(*args: Any) -> Any:
        return mapped(np.float32, network.claims(network.backward, mapped(short, args)))

    return backward


def rounded(network: Network) -> Backward:
    """Computed in float64, and kept as float32."""
    return lambda *args: mapped(np.float32, network.claims(network.backward, args))


def variants(network: Network) -> Iterator[Variant]:
    """All right backward passes of a network."""
    yield Variant("as it is", network.backward)
    for other in network.rewritten:
        yield Variant(f"derived in another way ({other.__name__})", other)
    for rewriting in (Commuted, Transcribed, Expanded):
        yield Variant(rewriting.__name__.lower(), rewritten(network, rewriting))
    if network.mean_over:
        yield Variant("the mean over single samples", averaged_over_samples(network))
    yield Variant("differences of fourth order", by_differences(network))
    yield Variant("in single precision", in_single_precision(network))
    yield Variant("rounded to single precision", rounded(network))
    constants = frozenset({"CR002", "CR003"})
    yield Variant("times 2", scaled(network, lambda _: 2.0), constants)
    yield Variant("times ½", scaled(network, lambda _: 0.5), constants)
    yield Variant("times the number of samples", scaled(network, lambda args: float(rows(args))), constants)
    yield Variant("divided by the number of samples", scaled(network, lambda args: 1 / rows(args)), constants)
    yield Variant("ascent", scaled(network, lambda _: -1.0), frozenset({"CR004"}))


def error(network: Network, backward: Backward, args: Any) -> float:
    """The largest distance of a parameter's gradient from that of the network's own backward pass."""
    truth = named(network.claims(network.backward, args))
    found = named(network.claims(backward, args))
    return max(distance(found[path], truth[path]) for path in truth)
