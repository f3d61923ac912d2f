"""The functions that NumPy lacks, as source to be written into a derived program where it uses them.

Short ones are written here; the special functions and the convolutions are the library's own text, with what it
refers to.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

from chainrule import special
from chainrule.rules import convolution

_WRITTEN = {
    "sigmoid": '''
def sigmoid(z):
    with np.errstate(over="ignore"):  # exp(-z) may be inf, and 1 / inf is 0
        return 1 / (1 + np.exp(-z))
''',
    "relu": '''
def relu(z):
    return np.maximum(z, 0)
''',
    "softplus": '''
def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
''',
    "softmax": '''
def softmax(z, axis=-1):
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)
''',
    "log_softmax": '''
def log_softmax(z, axis=-1):
    z = z - np.max(z, axis=axis, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))
''',
    "logsumexp": '''
def logsumexp(z, axis=None, keepdims=False):
    top = np.max(z, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        out = np.log(np.sum(np.exp(z - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis)
''',
    "cross_entropy": '''
def cross_entropy(z, y, axis=-1):
    return -np.sum(y * log_softmax(z, axis), axis=axis)
''',
    "standardized": '''
def standardized(x, axis=-1, eps=1e-05):
    d = x - np.mean(x, axis=axis, keepdims=True)
    return d / np.sqrt(np.mean(d * d, axis=axis, keepdims=True) + eps)
''',
    "p_norm": '''
def p_norm(x, axis=None, keepdims=False, ord=2):
    if ord == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)
''',
    "scatter_add": '''
def scatter_add(g, key, shape):
    out = np.zeros(shape, np.result_type(g))
    np.add.at(out, key, g)
    return out
''',
    "index_update": '''
def index_update(x, y, key):
    out = np.array(x)
    out[key] = y
    return out
''',
    "cofactors": '''
def cofactors(x):  # det(x) * inv(x).mT, also where x has no inverse
    u, s, vh = np.linalg.svd(x)
    others = [np.prod(np.delete(s, i, axis=-1), axis=-1) for i in range(s.shape[-1])]
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return sign[..., None, None] * ((u * np.stack(others, axis=-1)[..., None, :]) @ vh)
''',
}  # fmt: skip
_TAKEN: dict[str, Callable[..., Any]] = {
    "erf": special.erf, "erfinv": special.erfinv, "lgamma": special.lgamma, "digamma": special.digamma,
    "polygamma": special.polygamma, "convolution": convolution._convolution,
    "convolution_transposed": convolution._convolution_transposed,
    "convolution_weights": convolution._convolution_weights, "patches": convolution._patches,
    "patches_added": convolution._patches_added,
}  # fmt: skip
NAMES = frozenset((*_WRITTEN, *_TAKEN))


def used_in(source: str) -> list[str]:
    """The helpers that a program calls, those that they call before them."""
    found: dict[str, None] = {}

    def visit(text: str) -> None:
        for name in re.findall(r"(?<![\w.])(\w+)\(", text):
            if name in _WRITTEN and name not in found:
                visit(_WRITTEN[name].split(":", 1)[1])
            if name in NAMES:
                found.setdefault(name)

    visit(source)
    return list(found)


def written(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The import lines and the source of helpers."""
    imports: dict[str, None] = {}
    parts: dict[str, None] = {}
    for name in names:
        if name in _WRITTEN:
            parts.setdefault(_WRITTEN[name].strip())
        else:
            lines, texts = _taken(name)
            imports |= dict.fromkeys(lines)
            parts |= dict.fromkeys(texts)
    return list(imports), list(parts)


@cache
def _taken(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The library's own text of a function, with all that it refers to before it; without annotations."""
    imports: dict[str, None] = {}
    texts: dict[str, str] = {}

    def visit(function: FunctionType, called: str) -> None:
        texts[called] = ""  # a function may refer to itself
        tree = _Plain(called).visit(ast.parse(textwrap.dedent(inspect.getsource(function))))
        wanted = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for needed in sorted(wanted & function.__globals__.keys()):
            value = function.__globals__[needed]
            value = getattr(value, "__wrapped__", value)
            if needed in texts or needed == "np":
                continue
            if isinstance(value, ModuleType):
                imports[f"import {value.__name__}"] = None
            elif isinstance(value, FunctionType):
                visit(value, needed)
            elif isinstance(value, type):
                imports[f"from {value.__module__} import {needed}"] = None
            else:
                texts[needed] = f"{needed} = {value!r}"
        text = texts.pop(called, "") or ast.unparse(tree)
        texts[called] = text

    visit(getattr(_TAKEN[name], "__wrapped__", _TAKEN[name]), name)  # type: ignore[arg-type]
    return tuple(imports), tuple(texts.values())


class _Plain(ast.NodeTransformer):
    """A function without annotations and decorators, under another name, raising Python's own errors."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns, node.decorator_list = self.name, None, []
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            argument.annotation = None
        if ast.get_docstring(node):
            node.body = node.body[1:]
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name("ValueError", node.ctx) if node.id == "ShapeError" else node
