"""The functions that NumPy lacks, as source to be written into a derived program where it uses them.

Short ones are written here; the special functions are the library's own text, with what it refers to.
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
    e = np.exp(np.minimum(z, 40.0))  # above 40, e / (1 + e) is 1, and exp may overflow
    return e / (1 + e)
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
    "log_sigmoid": '''
def log_sigmoid(z):
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))
''',
    "binary_cross_entropy": '''
def binary_cross_entropy(z, y):  # -(y * log(p) + (1 - y) * log(1 - p)) with p = sigmoid(z)
    return np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
''',
    "cross_entropy": '''
def cross_entropy(z, y, axis=-1):
    return -np.sum(y * log_softmax(z, axis), axis=axis)
''',
    "p_norm": '''
def p_norm(x, axis=None, keepdims=False, ord=2):
    if ord == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)
''',
    "windows": '''
def windows(x, kernel, stride, padding, dilation):  # what a kernel sees: (batch, channels, *places, *kernel)
    stride, padding, dilation = (np.broadcast_to(n, len(kernel)) for n in (stride, padding, dilation))
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    seen = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(2, x.ndim)))
    return seen[(..., *(slice(None, None, n) for n in (*stride, *dilation)))]
''',
    "convolution": '''
def convolution(x, w, stride=1, padding=0, dilation=1, groups=1):
    seen = windows(x, w.shape[2:], stride, padding, dilation)
    axes = [1, *range(2 - w.ndim, 0)], [1, *range(2, w.ndim)]
    pairs = zip(np.split(seen, groups, axis=1), np.split(w, groups))
    return np.moveaxis(np.concatenate([np.tensordot(s, k, axes) for s, k in pairs], axis=-1), -1, 1)
''',
    "convolution_weights": '''
def convolution_weights(x, g, kernel, stride=1, padding=0, dilation=1, groups=1):
    seen = windows(x, kernel, stride, padding, dilation)
    seen = seen[(slice(None), slice(None), *(slice(n) for n in g.shape[2:]))]
    axes = [0, *range(2, g.ndim)]
    pairs = zip(np.split(g, groups, axis=1), np.split(seen, groups, axis=1))
    return np.concatenate([np.tensordot(d, s, (axes, axes)) for d, s in pairs])
''',
    "convolution_transposed": '''
def convolution_transposed(g, w, space, stride=1, padding=0, dilation=1, groups=1):
    stride, padding, dilation = (np.broadcast_to(n, len(space)) for n in (stride, padding, dilation))
    whole = [n + 2 * p for n, p in zip(space, padding)]
    out = np.zeros((len(g), w.shape[1] * groups, *whole), np.result_type(g, w))
    for offset in np.ndindex(*w.shape[2:]):
        pairs = zip(np.split(g, groups, axis=1), np.split(w[(..., *offset)], groups))
        part = np.concatenate([np.tensordot(d, k, (1, 0)) for d, k in pairs], axis=-1)
        steps = zip(offset, dilation, g.shape[2:], stride)
        key = [slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in steps]
        out[(..., *key)] += np.moveaxis(part, -1, 1)
    return out[(..., *(slice(p, p + n) for n, p in zip(space, padding)))]
''',
    "placed": '''
def placed(g, key, shape):  # zeros, with g at its place
    out = np.zeros(shape, np.result_type(g))
    out[key] = g
    return out
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
    "polygamma": special.polygamma, "patches": convolution._patches, "patches_added": convolution._patches_added,
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
