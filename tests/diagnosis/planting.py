"""Mutants: backward passes with mistakes in them, what they change, and which codes name that."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import itertools
import linecache
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from diagnosis.corpus import Network
from diagnosis.mutations import SHAPES, Edit, Scene, edits

from chainrule.trees import leaves

MARKER = "# backward"
TOLERANCE = 1e-7
"""Relative difference from which a gradient is wrong. Between this and rounding, a mutant is left out."""
POINTS = (101, 102)
"""Seeds of the arguments for which a mutant must be wrong."""
_numbers = itertools.count()


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a tuple of gradients by their paths, the order of dicts aside."""
    return {path: np.asarray(leaf, dtype=float) for path, leaf in leaves(tree)}


def distance(claimed: Any, truth: Any) -> float:
    """The largest difference, relative to the largest element; infinity for other shapes and for NaN."""
    if np.shape(claimed) != np.shape(truth):
        return np.inf
    scale = max(float(np.abs(truth).max(initial=0)), 1e-300)
    difference = float(np.abs(claimed - truth).max(initial=0)) / scale
    return difference if np.isfinite(difference) else np.inf


class Program:
    """The source of a backward pass: its syntax tree, every node marked, and the nodes that may be mutated."""

    def __init__(self, network: Network) -> None:
        self.network = network
        parts = [textwrap.dedent(inspect.getsource(s)) for s in (*network.sources, network.backward)]
        self.text = "\n\n".join(parts)
        self.tree = ast.parse(self.text)
        for mark, node in enumerate(ast.walk(self.tree)):
            node.mark = mark  # type: ignore[attr-defined]
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.markers = [k for k, line in enumerate(self.text.splitlines(), 1) if line.strip() == MARKER]

    @cached_property
    def functions(self) -> list[ast.FunctionDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)]

    def start(self, function: ast.FunctionDef) -> float:
        """The line after which a function is its backward part."""
        inside = [k for k in self.markers if function.lineno <= k <= (function.end_lineno or 0)]
        return (
            inside[0] if inside else np.inf if function.name in ("forward", "__init__") else function.lineno
        )

    def open_nodes(self) -> Iterator[ast.AST]:
        """The nodes of the backward part; those of an index are none of its formulas."""
        for function in self.functions:
            for statement in function.body:
                if statement.lineno > self.start(function):
                    yield from _outside_of_indices(statement)

    @cached_property
    def names(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names of primals, and those of cotangents, as the backward part sees them.

        Primals have their value before it begins, or are what its loops go over. What a loop of the forward part
        left behind, the value of its last turn, is neither; nor is a sum that has not come to its end.
        """
        primals, stale, later = set[str](), set[str](), set[str]()
        sums = {
            n.target.id
            for n in ast.walk(self.tree)
            if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)
        }
        for function in self.functions:
            primals |= {a.arg for a in function.args.args} - {"dout"}
            for node in ast.walk(function):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    if node.lineno > self.start(function):
                        (primals if self._is_unpacked(node) else later).add(node.id)
                    else:
                        (stale if self._is_in_loop(node) else primals).add(node.id)
        unpacked = {n for f in self.functions for n in _loop_targets(f, self.start(f))}
        primals = (primals - stale) | unpacked
        return frozenset(primals), frozenset(later - primals - stale - sums)

    def _above(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def _is_in_loop(self, node: ast.AST) -> bool:
        return any(isinstance(above, ast.For) for above in self._above(node))

    def _is_unpacked(self, node: ast.AST) -> bool:
        """Whether a name is a target of `x, h = xs[t], hs[t]`: values that were kept."""
        above = list(self._above(node))
        if isinstance(above[0], ast.Tuple) and isinstance(above[1], ast.Assign):
            values = above[1].value
            return isinstance(values, ast.Tuple) and all(isinstance(v, ast.Subscript) for v in values.elts)
        return False

    def values(self, square: bool) -> dict[str, Any]:
        """What the local names of the backward pass stand for when it ends."""
        name, found = self.network.backward.__name__, {}

        def watch(frame: Any, event: str, _: Any) -> None:
            if event == "return" and frame.f_code.co_name == name:
                found.update(frame.f_locals)

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            self.network.backward(*self.network.arguments(0, square))
        finally:
            sys.setprofile(before)
        return found

    @cached_property
    def scene(self) -> Scene:
        generic, square = self.values(square=False), self.values(square=True)
        module = vars(sys.modules[self.network.backward.__module__])
        counts = {n for n, v in generic.items() if isinstance(v, int)}
        counts |= {n for n, v in module.items() if n.isupper() and isinstance(v, (int, float))}
        return Scene(
            self.parents, _shapes(generic), _shapes(square), self.names[0] - counts, self.names[1] - counts,
            frozenset(counts), self.network.activations, self.network.roles,
        )  # fmt: skip

    def edits(self) -> list[Edit]:
        """All edits by the operators, and those that are planted by hand."""
        return [*edits(self.open_nodes(), self.scene), *self.planted()]

    def planted(self) -> Iterator[Edit]:
        for planted in self.network.planted:
            (old,) = ast.parse(planted.old).body
            sought = (
                old.value if isinstance(old, ast.Expr) and not planted.old.startswith("np.add.at") else old
            )
            new: Any = ast.parse(planted.new).body
            if isinstance(sought, ast.expr):
                new = new[0].value
            found = [node for node in self.open_nodes() if ast.dump(node) == ast.dump(sought)]
            if not found:
                raise ValueError(f"{self.network.name}: no {planted.old!r} in the backward pass")
            yield Edit(
                found[0].mark, new, frozenset(planted.codes.split()),  # type: ignore[attr-defined]
                f"{planted.old} → {planted.new}", found[0].lineno, "planted",  # type: ignore[attr-defined]
            )  # fmt: skip

    def rewritten(self, changes: Iterable[Edit]) -> str:
        """The source with some nodes replaced."""
        new = {edit.mark: edit.new for edit in changes}
        return ast.unparse(ast.fix_missing_locations(_Replacing(new).visit(copy.deepcopy(self.tree))))

    def compiled(self, text: str) -> Callable[..., Any]:
        """The backward pass that a source defines; `inspect` finds its lines."""
        filename = f"<mutant {next(_numbers)}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        backward = self.network.backward
        space = dict(vars(sys.modules[backward.__module__]))
        exec(compile(text, filename, "exec", flags=0, dont_inherit=True), space)
        return space[backward.__name__]  # type: ignore[no-any-return]


def _outside_of_indices(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, part in ast.iter_fields(node):
        if not (isinstance(node, ast.Subscript) and name == "slice"):
            for child in part if isinstance(part, list) else [part]:
                if isinstance(child, ast.AST):
                    yield from _outside_of_indices(child)


def _loop_targets(function: ast.FunctionDef, start: float) -> Iterator[str]:
    for loop in ast.walk(function):
        if isinstance(loop, ast.For) and loop.lineno > start:
            yield from (n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name))


def _shapes(values: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {n: np.shape(v) for n, v in values.items() if isinstance(v, (np.ndarray, float))}


class _Replacing(ast.NodeTransformer):
    def __init__(self, new: dict[int, Any]) -> None:
        self.new = new

    def visit(self, node: ast.AST) -> Any:
        if getattr(node, "mark", None) in self.new:
            return copy.deepcopy(self.new[node.mark])  # type: ignore[attr-defined]
        return self.generic_visit(node)


# mutants ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Mutant:
    """A wrong backward pass: the edits, the compiled function, the draw it is for, and the codes for each parameter.

    `codes` has the parameters whose gradients are wrong, by path, each with the codes that name what was planted.
    """

    network: Network
    edits: tuple[Edit, ...]
    backward: Callable[..., Any]
    source: str
    square: bool
    codes: dict[str, frozenset[str]]

    @property
    def operator(self) -> str:
        return " + ".join(edit.operator for edit in self.edits)

    @property
    def words(self) -> str:
        return "; ".join(edit.words for edit in self.edits)

    @property
    def planted(self) -> str:
        """The first code of the mistake, for tables."""
        return "+".join(sorted({min(codes) for codes in self.codes.values()}))


def gradients(network: Network, backward: Callable[..., Any], args: Any) -> dict[str, Any] | None:
    """What a backward pass returns, by path; None where it fails or is not finite."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = named(network.claims(backward, args))
        except Exception:  # a mutated program may fail in any way: it is then no mutant
            return None
    return found if all(np.isfinite(v).all() for v in found.values()) else None


@functools.cache
def _point(network: Network, seed: int, square: bool) -> tuple[Any, dict[str, Any]]:
    args = network.arguments(seed, square)
    return args, named(network.claims(network.backward, args))


def point(network: Network, seed: int, square: bool) -> tuple[Any, dict[str, Any]]:
    """Arguments, which a mutant may change, and the true gradients there."""
    args, truth = _point(network, seed, square)
    return copy.deepcopy(args), truth


def effect(network: Network, backward: Callable[..., Any], square: bool) -> dict[str, float] | None:
    """For each parameter the least distance from the truth at two points; None where the pass fails.

    A shape that is wrong at one of them counts as infinitely far.
    """
    least: dict[str, float] = {}
    for seed in POINTS:
        args, truth = point(network, seed, square)
        found = gradients(network, backward, args)
        if found is None or set(found) != set(truth):
            return None
        for path, value in truth.items():
            error, before = distance(found[path], value), least.get(path)
            least[path] = (
                error if before is None else min(error, before) if np.inf not in (error, before) else np.inf
            )
    return least


def common_ratio(network: Network, backward: Callable[..., Any], square: bool) -> float | None:
    """The one number by which all gradients are the true ones multiplied, if there is one."""
    ratios = set()
    for seed in POINTS:
        args, truth = point(network, seed, square)
        found = gradients(network, backward, args)
        assert found is not None
        one = np.concatenate([truth[p].ravel() for p in truth])
        other = np.concatenate([found[p].ravel() for p in truth])
        ratio = float(other @ one / (one @ one))
        if distance(other, ratio * one) > 1e-9 or ratio == 0:
            return None
        ratios.add(round(ratio, 9))
    return ratios.pop() if len(ratios) == 1 else 0.0


def conventions(network: Network, backward: Callable[..., Any], square: bool) -> frozenset[str]:
    """The codes of the convention that a backward pass follows, if it is right but for one factor."""
    ratio = common_ratio(network, backward, square)
    if ratio is None:
        return frozenset()
    return frozenset({"CR004"} if ratio == -1 else {"CR002", "CR003"})


def wrong(least: dict[str, float] | None) -> set[str]:
    return {path for path, error in (least or {}).items() if error > TOLERANCE}


def doubtful(least: dict[str, float]) -> bool:
    """Whether a difference is neither rounding nor plain to see."""
    return any(1e-10 < error <= TOLERANCE for error in least.values())


def mutant(program: Program, changes: tuple[Edit, ...], shapes: bool = False) -> Mutant | None:
    """The mutant of some edits, at random sizes or, where it needs them, at square ones.

    None where it fails, or is right. With `shapes`, only mutants whose gradients have wrong shapes.
    """
    network = program.network
    try:
        text = program.rewritten(changes)
        backward = program.compiled(text)
    except (SyntaxError, ValueError):
        return None
    for square in (False, True):
        least = effect(network, backward, square)
        if least is None or not wrong(least) or doubtful(least):
            continue
        misshapen = {path for path in least if least[path] == np.inf}
        if bool(misshapen) != shapes:
            continue
        codes = expected(program, changes, backward, square, least)
        return Mutant(network, changes, backward, text, square, codes) if codes else None
    return None


def expected(
    program: Program, changes: tuple[Edit, ...], backward: Callable[..., Any], square: bool, least: dict[str, float]
) -> dict[str, frozenset[str]]:  # fmt: skip
    network = program.network
    convention = frozenset() if np.inf in least.values() else conventions(network, backward, square)
    parts = [(edit.codes, _alone(program, edit, square)) for edit in changes] if len(changes) > 1 else []
    found = {}
    for path in wrong(least):
        codes = [c for c, touched in parts if path in touched] or [edit.codes for edit in changes]
        found[path] = convention or frozenset().union(*codes, SHAPES if least[path] == np.inf else ())
    return found


def _alone(program: Program, edit: Edit, square: bool) -> set[str]:
    backward = program.compiled(program.rewritten((edit,)))
    return wrong(effect(program.network, backward, square))


def valid(program: Program, found: Iterable[Edit], shapes: bool = False) -> Iterator[Mutant]:
    """The mutants of those edits that make one, each edit alone."""
    return (m for edit in found if (m := mutant(program, (edit,), shapes)) is not None)


def singles(network: Network, limit: int | None = None, seed: int = 0) -> list[Mutant]:
    """Mutants with one mistake: all that are planted by hand, and `limit` by each operator, drawn with the seed."""
    program, rng = Program(network), np.random.default_rng(seed)
    groups: dict[str, list[Edit]] = {}
    for edit in program.edits():
        groups.setdefault(edit.operator, []).append(edit)
    chosen: list[Mutant] = []
    for name, group in groups.items():
        shuffled = group if limit is None else [group[k] for k in rng.permutation(len(group))]
        chosen += itertools.islice(valid(program, shuffled), None if name == "planted" else limit)
    return chosen


def misshapen(network: Network) -> list[Mutant]:
    """Mutants whose gradients have wrong shapes."""
    program = Program(network)
    return list(valid(program, program.edits(), shapes=True))


def pairs(network: Network, count: int, seed: int = 0) -> list[Mutant]:
    """Mutants with two mistakes, at different lines."""
    program, rng = Program(network), np.random.default_rng((1, seed))
    alone = [m.edits[0] for m in singles(network, 2, seed)]
    found: list[Mutant] = []
    for _ in range(20 * count):
        if len(found) == count or len(alone) < 2:
            break
        one, other = (alone[k] for k in rng.choice(len(alone), 2, replace=False))
        both = mutant(program, (one, other)) if one.line != other.line else None
        if both is not None and all(_alone(program, e, both.square) for e in (one, other)):
            found.append(both)
    return found
