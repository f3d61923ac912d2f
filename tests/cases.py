"""One row and more for each primitive and each public function of `chainrule.ops`.

A row says how a function is called and with what: `R(3, 4)` is an array of that shape to be drawn and to be
differentiated by, anything else is passed as it is. The word it starts with says what is known of it:

- `smooth`: its formula holds for complex numbers too, so derivatives are compared with the complex step;
- `rough`: it has kinks, or its reference knows only real numbers; the draw keeps away from the kinks;
- `flat`: constant between jumps, so its derivative is zero;
- `plain`: it has no derivative.

`keeps` declares the arrays that stay alive when all inputs need gradients, and `like` the forward function
in plain NumPy where NumPy has none of that name. `at` rows fix values and gradients at particular points.
"""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

import chainrule.rules
from chainrule import ops
from chainrule.primitives import Primitive
from chainrule.tensor import Tensor

Shape = tuple[int, ...]
inf, nan = math.inf, math.nan

PRIMITIVES: dict[str, Primitive] = {
    value.name: value
    for module in pkgutil.iter_modules(chainrule.rules.__path__)
    for value in vars(import_module(f"chainrule.rules.{module.name}")).values()
    if isinstance(value, Primitive)
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: value
    for name, value in vars(ops).items()
    if callable(value) and not isinstance(value, type) and not name.startswith("_") and name != "wraps"
}


# what is drawn -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """An argument of some shape to be drawn and differentiated by."""

    shape: Shape
    draw: Callable[[np.random.Generator, Shape], Any]
    values: tuple[float, ...] = ()

    def __str__(self) -> str:
        return (
            str(list(self.values)).replace(" ", "") if self.values else "x".join(map(str, self.shape)) or "()"
        )


def _maker(draw: Callable[[np.random.Generator, Shape], Any]) -> Callable[..., Draw]:
    return lambda *shape: Draw(shape, draw)


def _apart(rng: np.random.Generator, shape: Shape) -> Any:
    size = math.prod(shape)
    return (rng.permutation(size) * 0.3 - size * 0.15 + rng.uniform(0.02, 0.1, size)).reshape(shape)


def _beside_halves(rng: np.random.Generator, shape: Shape) -> Any:
    return rng.integers(-3, 4, shape) + 0.5 * rng.integers(0, 2, shape) + rng.uniform(0.1, 0.4, shape)


def _definite(rng: np.random.Generator, shape: Shape) -> Any:
    root = rng.normal(size=shape)
    return root @ root.mT + shape[-1] * np.eye(shape[-1])


def _regular(rng: np.random.Generator, shape: Shape) -> Any:
    return rng.normal(size=shape) + 2 * np.eye(*shape[-2:])


R = _maker(lambda rng, shape: rng.normal(size=shape))
POSITIVE = _maker(lambda rng, shape: rng.uniform(0.5, 2.0, shape))
OVER_ONE = _maker(lambda rng, shape: rng.uniform(1.2, 3.0, shape))
INSIDE = _maker(lambda rng, shape: rng.uniform(-0.9, 0.9, shape))
SHARE = _maker(lambda rng, shape: rng.uniform(0.1, 0.9, shape))
NONZERO = _maker(lambda rng, shape: rng.uniform(0.3, 1.5, shape) * rng.choice([-1.0, 1.0], shape))
BESIDE_HALVES = _maker(_beside_halves)
"""Neither near an integer nor near a half."""
APART = _maker(_apart)
"""No two elements are close, and none is close to zero."""
DEFINITE = _maker(_definite)
REGULAR = _maker(_regular)


def P(*values: float) -> Draw:  # noqa: N802
    """These values, repeated to fill a shape."""
    return Draw((len(values),), lambda _, shape: np.resize(np.array(values), shape), values)


# rows ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """One way to call one function; itself a function of what is drawn."""

    kind: str
    name: str
    arguments: tuple[Any, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    keeps: str | None = None
    like: Callable[..., Any] | None = None
    call: Callable[..., Any] | None = None

    @property
    def differentiable(self) -> bool:
        return self.kind != "plain"

    @property
    def draws(self) -> list[Draw]:
        """What is drawn, in order."""
        return list(_draws(self.arguments))

    def drawn(self, dtype: Any = np.float64, shapes: Iterable[Shape] = ()) -> list[Any]:
        """An array for each draw, always the same; of its own shape or of those given."""
        rng = np.random.default_rng(len(self.name))
        given = iter(shapes)
        return [np.asarray(d.draw(rng, next(given, d.shape)), dtype) for d in self.draws]

    def filled(self, arrays: Iterable[Any], arguments: tuple[Any, ...] | None = None) -> tuple[Any, ...]:
        """The arguments (or others in their place) with arrays in the place of draws."""
        return _filled(self.arguments if arguments is None else arguments, iter(arrays))  # type: ignore[no-any-return]

    def __call__(self, *arrays: Any) -> Any:
        return self.called(self.filled(arrays))

    def called(self, arguments: tuple[Any, ...]) -> Any:
        """The function under test: that of `ops`, or a primitive that is used inside only."""
        function = self.call or FUNCTIONS.get(self.name) or PRIMITIVES[self.name]
        return function(*arguments, **self.parameters)

    def expected(self, *arrays: Any) -> Any:
        """The same in plain NumPy."""
        function = self.like or next(getattr(m, self.name) for m in (np, np.linalg) if hasattr(m, self.name))
        return function(*self.filled(arrays), **self.parameters)

    def __repr__(self) -> str:
        shapes = [",".join(map(str, self.draws))]
        fixed = [_brief(a) for a in self.arguments if not isinstance(a, (Draw, list))]
        return "-".join(
            [self.name, *shapes, *fixed, *(f"{k}={_brief(v)}" for k, v in self.parameters.items())]
        )


def _draws(tree: Any) -> Iterator[Draw]:
    if isinstance(tree, Draw):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _draws(part)


def _filled(tree: Any, arrays: Iterator[Any]) -> Any:
    if isinstance(tree, Draw):
        return next(arrays)
    return type(tree)(_filled(part, arrays) for part in tree) if isinstance(tree, (list, tuple)) else tree


def _brief(value: Any) -> str:
    text = getattr(value, "__name__", None) or repr(value)
    return "".join(text.split()).removeprefix("array")[:40]


def _kind(kind: str) -> Callable[..., Case]:
    def row(
        name: str, *arguments: Any, keeps: str | None = None, like: Callable[..., Any] | None = None,
        call: Callable[..., Any] | None = None, **parameters: Any,
    ) -> Case:  # fmt: skip
        return Case(kind, name, arguments, parameters, keeps, like, call)

    return row


smooth, rough, flat, plain = map(_kind, ("smooth", "rough", "flat", "plain"))


# formulas in plain NumPy ---------------------------------------------------------------------------------


def each(function: Callable[[float], float]) -> Callable[..., Any]:
    """A function of one number, for arrays."""
    return lambda x: np.array([function(float(v)) for v in x.ravel()], x.dtype).reshape(x.shape)


def of_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of an array and an axis, for one that gives the result of a reduction."""
    return lambda x, axis=None, keepdims=False: function(x, axis=axis, keepdims=keepdims)


def normal_quantile(y: float) -> float:
    return NormalDist().inv_cdf((y + 1) / 2) / math.sqrt(2)


def digamma(x: float) -> float:
    """By its asymptotic series, far enough to the right: DLMF 5.11.2."""
    shift = sum(1 / (x + k) for k in range(30))
    u = x + 30
    return math.log(u) - 1 / (2 * u) - 1 / (12 * u**2) + 1 / (120 * u**4) - 1 / (252 * u**6) - shift


def polygamma(x: Any, n: int) -> Any:
    """Its series, of which Euler and Maclaurin give the rest: DLMF 5.15.1, 2.10.1."""

    def at(v: float) -> float:
        total = sum((v + k) ** -(n + 1) for k in range(2000))
        u = v + 2000
        rest = u**-n / n + u ** -(n + 1) / 2 + (n + 1) * u ** -(n + 2) / 12
        return (-1) ** (n + 1) * math.factorial(n) * (total + rest)

    return each(at)(x)


def softmax(x: Any, axis: Any = -1) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


def variance(x: Any, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    d = x - x.mean(axis=axis, keepdims=True)
    count = x.size // (x.sum(axis=axis).size or 1)
    return (d * d).sum(axis=axis, keepdims=keepdims) / (count - correction)


def euclidean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))


def cross_entropy(x: Any, y: Any, axis: int = -1) -> Any:
    return -(y * np.log(softmax(x, axis))).sum(axis=axis)


def cross_entropy_of_labels(x: Any, labels: Any) -> Any:
    return -np.log(np.take_along_axis(softmax(x), labels[..., None], axis=-1)).mean()


def scattered(x: Any, key: Any, shape: Shape) -> Any:
    out = np.zeros(shape, x.dtype)
    np.add.at(out, key, x)
    return out


def assigned(x: Any, y: Any, key: Any) -> Any:
    out = x.copy()
    out[key] = y
    return out


def added(x: Any, y: Any, key: Any) -> Any:
    out = x.copy()
    np.add.at(out, key, y)
    return out


def taken_along(x: Any, indices: Any, axis: int | None = -1) -> Any:
    return np.take_along_axis(x, indices, axis=axis)


def least_squares(x: Any, y: Any) -> Any:
    solution, residuals, rank, values = np.linalg.lstsq(x, y)
    return solution, residuals, int(rank), values


def standardized(x: Any, axis: Any = -1, eps: float = 1e-5) -> Any:
    d = x - x.mean(axis=axis, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=axis, keepdims=True) + eps)


def places(kernel: Shape, space: Shape, stride: Shape, padding: Shape, dilation: Shape) -> tuple[Any, ...]:
    """Which elements of the padded space a kernel covers: an index of shape (*kernel, *places)."""
    found = []
    for n, k, s, p, d in zip(space, kernel, stride, padding, dilation, strict=True):
        found.append(np.arange(k)[:, None] * d + np.arange((n + 2 * p - d * (k - 1) - 1) // s + 1) * s)
    count = len(found)
    spread = [
        tuple(slice(None) if i % count == axis else None for i in range(2 * count)) for axis in range(count)
    ]
    return (..., *(f[s] for f, s in zip(found, spread, strict=True)))


def patches(x: Any, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Any:
    width = [(0, 0), (0, 0), *((p, p) for p in padding)]
    return np.pad(x, width)[places(kernel, x.shape[2:], stride, padding, dilation)]


def patches_added(x: Any, stride: Shape, padding: Shape, dilation: Shape, space: Shape) -> Any:
    count = len(space)
    out = np.zeros((*x.shape[:2], *(n + 2 * p for n, p in zip(space, padding, strict=True))), x.dtype)
    np.add.at(out, places(x.shape[2 : 2 + count], space, stride, padding, dilation), x)
    return out[(..., *(slice(p, p + n) for n, p in zip(space, padding, strict=True)))]


def letters(count: int) -> tuple[str, str]:
    """Names for the axes of a kernel, and for those of its places."""
    return "klm"[:count], "pqr"[:count]


def convolution(x: Any, w: Any, groups: int = 1, **where: Any) -> Any:
    k, p = letters(w.ndim - 2)
    inputs, weights = np.split(patches(x, w.shape[2:], **where), groups, axis=1), np.split(w, groups)
    return np.concat(
        [np.einsum(f"bc{k}{p},oc{k}->bo{p}", *pair) for pair in zip(inputs, weights, strict=True)], axis=1
    )


def convolution_transposed(y: Any, w: Any, groups: int = 1, **where: Any) -> Any:
    k, p = letters(w.ndim - 2)
    pairs = zip(np.split(y, groups, axis=1), np.split(w, groups), strict=True)
    found = [np.einsum(f"bo{p},oc{k}->bc{k}{p}", *pair) for pair in pairs]
    return patches_added(np.concat(found, axis=1), **where)


def convolution_weights(x: Any, y: Any, groups: int = 1, **where: Any) -> Any:
    k, p = letters(y.ndim - 2)
    pairs = zip(np.split(patches(x, **where), groups, axis=1), np.split(y, groups, axis=1), strict=True)
    return np.concat([np.einsum(f"bc{k}{p},bo{p}->oc{k}", *pair) for pair in pairs])


def symmetric(x: Any) -> Any:
    return (x + x.mT) / 2


# the table -----------------------------------------------------------------------------------------------

# fmt: off
ELEMENTWISE = [
    smooth("add", R(3, 4), R(3, 4), keeps=""),
    smooth("add", R(3, 1), R(4)),
    smooth("add", R(3), 2.5),
    smooth("subtract", R(3, 4), R(3, 4), keeps=""),
    smooth("subtract", 1.0, R(2, 3)),
    smooth("multiply", R(3, 4), R(3, 4), keeps="x y"),
    smooth("multiply", R(2, 3), -2),
    smooth("divide", R(3, 4), NONZERO(3, 4), keeps="y out"),
    smooth("divide", 1, NONZERO(3)),
    smooth("divide", R(3), 4.0),
    smooth("negative", R(3, 4), keeps=""),
    smooth("positive", R(3, 4), keeps=""),
    smooth("reciprocal", NONZERO(3, 4), keeps="out"),
    smooth("square", R(3, 4), keeps="x"),
    smooth("sqrt", POSITIVE(3, 4), keeps="out"),
    smooth("cbrt", POSITIVE(3, 4), keeps="out", like=lambda x: x ** (1 / 3)),
    rough("cbrt", NONZERO(3, 4)),
    flat("floor_divide", P(7.5, -7.5, 3.2, -0.7), P(2.0, -1.0, 2.0, -2.0), keeps=""),
    rough("remainder", P(7.5, -7.5, 3.2, -0.7), P(2.0, -1.0, 2.0, -2.0), keeps="x y"),
    rough("remainder", P(7.5, -7.5, 3.2), 2.0),
    rough("fmod", P(7.5, -7.5, 3.2, -0.7), P(2.0, -1.0, 2.0, -2.0), keeps="x y"),
    smooth("pow", POSITIVE(3, 4), R(3, 4), keeps="x y out"),
    smooth("pow", POSITIVE(3, 1), R(4)),
    smooth("pow", R(3), 3),
    smooth("pow", R(3), 2.0),
    smooth("pow", R(3), 1),
    smooth("pow", R(3), 0),
    smooth("pow", NONZERO(3), -2.0),
    smooth("pow", POSITIVE(3), 2.5),
    smooth("pow", POSITIVE(3), -0.5),
    smooth("pow", NONZERO(4), np.array([2.0, 3.0, -1.0, 0.0])),
    smooth("pow", NONZERO(3), np.array([2, 3, 0])),
    smooth("pow", 2.0, R(3)),
    smooth("pow", np.array([1, 2, 3]), R(3)),
    smooth("exp", R(3, 4), keeps="out"),
    smooth("expm1", R(3, 4), keeps="out"),
    smooth("exp2", R(3, 4), keeps="out", like=lambda x: 2.0 ** x),
    smooth("log", POSITIVE(3, 4), keeps="x"),
    smooth("log1p", POSITIVE(3, 4), keeps="x"),
    smooth("log2", POSITIVE(3, 4), keeps="x"),
    smooth("log10", POSITIVE(3, 4), keeps="x"),
    smooth("logaddexp", R(3, 4), R(3, 4), keeps="x y out", like=lambda x, y: np.log(np.exp(x) + np.exp(y))),
    smooth("logaddexp2", R(3, 4), R(3, 4), keeps="x y out", like=lambda x, y: np.log2(2.0**x + 2.0**y)),
    smooth("sin", R(3, 4), keeps="x"),
    smooth("cos", R(3, 4), keeps="x"),
    smooth("tan", INSIDE(3, 4), keeps="out"),
    smooth("asin", INSIDE(3, 4), keeps="x"),
    smooth("acos", INSIDE(3, 4), keeps="x"),
    smooth("atan", R(3, 4), keeps="x"),
    rough("atan2", NONZERO(3, 4), NONZERO(3, 4), keeps="y x"),
    smooth("sinh", R(3, 4), keeps="x"),
    smooth("cosh", R(3, 4), keeps="x"),
    smooth("tanh", R(3, 4), keeps="out"),
    smooth("asinh", R(3, 4), keeps="x"),
    smooth("acosh", OVER_ONE(3, 4), keeps="x"),
    smooth("atanh", INSIDE(3, 4), keeps="x"),
    smooth("hypot", R(3, 4), NONZERO(3, 4), keeps="x y out", like=lambda x, y: np.sqrt(x * x + y * y)),
    smooth("sinc", R(3, 4), keeps="x out"),
    rough("abs", NONZERO(3, 4), keeps="x"),
    flat("sign", NONZERO(3, 4), keeps=""),
    flat("floor", BESIDE_HALVES(3, 4), keeps=""),
    flat("ceil", BESIDE_HALVES(3, 4), keeps=""),
    flat("trunc", BESIDE_HALVES(3, 4), keeps=""),
    flat("round", BESIDE_HALVES(3, 4), keeps=""),
    flat("round", P(1.234, -5.678), decimals=1),
    flat("round", P(123.4, -567.8), decimals=-1),
    rough("copysign", NONZERO(3, 4), NONZERO(3, 4), keeps="x y"),
    rough("heaviside", NONZERO(3, 4), R(3, 4), keeps="x"),
    rough("heaviside", np.array([0.0, -1.0, 1.0, 0.0]), R(4)),
    rough("maximum", R(3, 4), R(3, 4), keeps="x y"),
    rough("maximum", NONZERO(3, 4), 0),
    rough("minimum", R(3, 4), R(3, 4), keeps="x y"),
    rough("minimum", 0.0, NONZERO(3, 4)),
    rough("fmax", R(3, 4), R(3, 4), keeps="x y"),
    rough("fmax", np.array([nan, 1.0, nan]), R(3)),
    rough("fmin", R(3, 4), R(3, 4), keeps="x y"),
    rough("fmin", R(3), np.array([nan, 1.0, nan])),
    rough("limit", R(3, 4), P(-0.5), P(0.5), keeps="x low high", like=np.clip),
    rough("clip", R(3, 4), -0.5, 0.5),
    rough("clip", R(3, 4), P(-0.5), P(0.7)),
    rough("clip", NONZERO(3, 4), min=0.0),
    rough("clip", NONZERO(3, 4), max=0),
    smooth("clip", R(3), like=lambda x: +x),
    rough("clip", R(2, 3), NONZERO(2, 1), OVER_ONE(3)),
    smooth("where", np.array([True, False, True]), R(2, 3), R(2, 3), keeps="condition"),
    smooth("where", np.array([[True], [False]]), R(3), 0.0),
    smooth("where", np.array([True, False]), 1.0, R(2)),
    rough("finite", R(3, 4), keeps="x", like=np.nan_to_num),
    rough("nan_to_num", R(3, 4)),
    rough("nan_to_num", R(3), nan=1.0, posinf=2.0, neginf=-2.0),
    rough("erf", R(3, 4), keeps="x", like=each(math.erf)),
    rough("erfinv", INSIDE(3, 4), keeps="out", like=each(normal_quantile)),
    rough("lgamma", POSITIVE(3, 4), keeps="x", like=each(math.lgamma)),
    rough("lgamma", P(-0.5, -1.7, 12.0), like=each(math.lgamma)),
    rough("digamma", POSITIVE(3, 4), keeps="x", like=each(digamma)),
    rough("polygamma", POSITIVE(3, 4), keeps="x", like=polygamma, n=1),
    rough("polygamma", POSITIVE(3), like=polygamma, n=2),
    smooth("sigmoid", R(3, 4), keeps="out", like=lambda x: 1 / (1 + np.exp(-x))),
    smooth("logit", SHARE(3, 4), keeps="x", like=lambda x: np.log(x / (1 - x))),
    smooth("softplus", R(3, 4), keeps="x", like=lambda x: np.log(1 + np.exp(x))),
    rough("relu", NONZERO(3, 4), keeps="out", like=lambda x: np.maximum(x, 0)),
    smooth("degrees", R(3), like=lambda x: x * 180 / math.pi),
    smooth("radians", R(3), like=lambda x: x * math.pi / 180),
    rough("astype", R(3), dtype=np.float64, keeps="", like=lambda x, dtype: x.astype(dtype)),
    plain("astype", BESIDE_HALVES(3), np.int64, like=lambda x, dtype: x.astype(dtype)),
    smooth("copy", R(3, 4), keeps=""),
]

LOGIC = [
    *[plain(name, NONZERO(3, 4), NONZERO(3, 1)) for name in (
        "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "nextafter",
        "logical_and", "logical_or", "logical_xor")],
    *[plain(name, np.array([6, 3]), np.array([[1], [2]])) for name in (
        "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift")],
    plain("bitwise_invert", np.array([6, -3])),
    plain("bitwise_invert", np.array([True, False])),
    plain("logical_not", P(0.0, 2.0)),
    *[plain(name, P(0.0, -0.0, nan, inf, -inf, 1.0)) for name in ("isfinite", "isinf", "isnan", "signbit")],
]

REDUCTIONS = [
    *[smooth(name, R(2, 3, 4), **how) for name in ("sum", "mean", "prod") for how in (
        {}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)},
        {"axis": (-1, 0), "keepdims": True},
        {"axis": ()}, {"keepdims": True})],
    *[smooth(name, R()) for name in ("sum", "mean", "prod")],
    *[smooth(name, R(0, 3), axis=0) for name in ("sum", "prod")],
    *[smooth(name, R(2, 0)) for name in ("sum", "prod")],
    smooth("sum", R(3), keeps=""),
    smooth("mean", R(3), keeps=""),
    smooth("prod", R(3), keeps="x"),
    smooth("prod", P(0.0, 2.0, 3.0)),
    smooth("prod", P(0.0, 2.0, 0.0)),
    *[rough(name, APART(2, 3, 4), **how) for name in ("max", "min") for how in (
        {}, {"axis": 1}, {"axis": (0, -1), "keepdims": True})],
    rough("max", APART(3), keeps="x out"),
    rough("min", APART(3), keeps="x out"),
    rough("max", R()),
    *[smooth(name, R(2, 3, 4), like=like, **how)
      for name, like in (("var", variance), ("std", lambda x, **how: np.sqrt(variance(x, **how))))
      for how in ({}, {"axis": 1}, {"axis": (0, 2), "correction": 1, "keepdims": True},
                  {"axis": -1, "correction": 0.5})],
    smooth("var", R(4), keeps="x", like=variance),
    smooth("std", R(4), keeps="x out", like=lambda x: np.sqrt(variance(x))),
    *[smooth("logsumexp", R(2, 3), like=logsumexp, **how) for how in (
        {}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}, {"axis": -1, "keepdims": True})],
    smooth("logsumexp", R(3), keeps="x out", like=logsumexp),
    smooth("softmax", R(3), keeps="out", like=softmax),
    smooth("softmax", R(2, 3), axis=0, like=softmax),
    smooth("softmax", R(2, 3), axis=(0, 1), like=softmax),
    smooth("log_softmax", R(3), keeps="out", like=lambda x: np.log(softmax(x))),
    smooth("log_softmax", R(2, 3), axis=0, like=lambda x, axis: np.log(softmax(x, axis))),
    smooth("standardized", R(5), keeps="x out", like=standardized),
    smooth("standardized", R(2, 3, 4), axis=(0, 2), eps=0.01, like=standardized),
    smooth("cross_entropy_of_logits", R(2, 3), SHARE(2, 3), keeps="x y", like=cross_entropy),
    smooth("cross_entropy_of_logits", R(2, 3), SHARE(2, 3), axis=0, like=cross_entropy),
    smooth("cross_entropy", R(2, 3), SHARE(2, 3), like=lambda x, y: cross_entropy(x, y).mean()),
    smooth("cross_entropy", R(2, 3), np.array([2, 0]),
           like=lambda x, y: cross_entropy(x, np.eye(3, dtype=x.dtype)[y]).mean()),
    smooth("cross_entropy", R(2, 3, 4), np.array([[2, 0, 1, 1]] * 2), axis=1,
           like=lambda x, y, axis: cross_entropy(np.moveaxis(x, 1, -1), np.eye(3, dtype=x.dtype)[y]).mean()),
    smooth("cross_entropy_of_labels", R(2, 3), labels=np.array([2, 0]), keeps="x", like=cross_entropy_of_labels),
    smooth("cross_entropy_of_labels", R(2, 2, 3), labels=np.array([[2, 0], [1, 1]]), like=cross_entropy_of_labels),
    smooth("cross_entropy_of_labels", R(18, 3), labels=np.arange(18) % 3, like=cross_entropy_of_labels),
    smooth("softmax", R(18, 2), like=softmax),
    smooth("log_softmax", R(18, 2), like=lambda x: np.log(softmax(x))),
    smooth("negative_log_likelihood", R(2, 3), labels=np.array([2, 0]), keeps="",
           like=lambda x, labels: -x[[0, 1], labels].mean()),
    smooth("negative_log_likelihood", R(2, 2, 3), labels=np.array([[2, 0], [1, 1]]),
           like=lambda x, labels: -np.take_along_axis(x, labels[..., None], -1).mean()),
    smooth("mean_squared_error", R(2, 3), R(2, 3), keeps="x y", like=lambda x, y: ((x - y) ** 2).mean()),
    smooth("mean_squared_error", R(2, 3), R(2, 1), like=lambda x, y: ((x - y) ** 2).mean()),
    smooth("cumulative_sum", R(4), axis=0, keeps=""),
    smooth("cumulative_sum", R(4)),
    smooth("cumulative_sum", R(2, 3), axis=-1, include_initial=True),
    smooth("cumulative_prod", R(5), axis=0, keeps="x"),
    smooth("cumulative_prod", R(5)),
    smooth("cumulative_prod", P(2.0, 0.0, 3.0, 0.0, 4.0)),
    smooth("cumulative_prod", R(2, 3), axis=0, include_initial=True),
    *[smooth("p_norm", R(2, 3), axis=axis, like=euclidean) for axis in (None, 1, (0, 1))],
    smooth("p_norm", R(3), keeps="x out", like=euclidean),
    *[rough("vector_norm", APART(2, 3), ord=p, axis=1) for p in (2, 1, 3, 0.5, -1, inf, -inf)],
    rough("vector_norm", APART(2, 3)),
    rough("vector_norm", APART(2, 3), axis=(0, 1), keepdims=True),
    plain("vector_norm", NONZERO(2, 3), ord=0, axis=0),
    *[rough("matrix_norm", APART(2, 3, 4), ord=p) for p in ("fro", "nuc", 1, -1, 2, -2, inf, -inf)],
    rough("matrix_norm", APART(3, 2, 4), keepdims=True),
    rough("norm", APART(2, 3)),
    rough("norm", APART(2, 3, 4), axis=(0, 2)),
    rough("norm", APART(2, 3), ord="nuc"),
    rough("norm", APART(2, 3), ord=1, axis=0, keepdims=True),
    rough("norm", APART(4), ord=3),
    *[rough("median", APART(*shape), **how) for shape, how in (
        ((5,), {}), ((2, 3, 4), {"axis": 1}), ((2, 3, 4), {"axis": (0, 2), "keepdims": True}),
        ((2, 4), {"axis": -1}))],
    *[rough("quantile", APART(2, 7), q, **how) for q, how in (
        (0.3, {}), (0.25, {"axis": 1}), ([0.1, 0.5, 1.0], {"axis": 1, "keepdims": True}),
        *[(0.4, {"axis": 1, "method": m}) for m in ("linear", "lower", "higher", "midpoint", "nearest")])],
    *[rough(name, R(2, 3), **how) for name in ("nansum", "nanmean")
      for how in ({}, {"axis": 1, "keepdims": True})],
    *[plain(name, P(0.0, 1.0, 2.0), **how) for name in ("any", "all", "argmax", "argmin", "count_nonzero")
      for how in ({}, {"axis": 0}, {"axis": 0, "keepdims": True})],
]

SHAPES = [
    smooth("reshape", R(2, 6), shape=(3, 4), keeps=""),
    smooth("reshape", R(2, 6), shape=(3, -1)),
    smooth("reshape", R(2, 6), shape=-1),
    smooth("permute_dims", R(2, 3, 4), axes=(2, 0, 1), keeps=""),
    smooth("permute_dims", R(2, 3, 4), axes=(-1, 0, -2)),
    smooth("matrix_transpose", R(2, 3, 4), keeps=""),
    smooth("transpose", R(2, 3, 4)),
    smooth("transpose", R(2, 3, 4), axes=(1, 0, 2)),
    smooth("moveaxis", R(2, 3, 4), 0, -1),
    smooth("moveaxis", R(2, 3, 4), (0, 1), (-1, 0)),
    smooth("swapaxes", R(2, 3, 4), 0, -1),
    smooth("expand_dims", R(2, 3), axis=1),
    smooth("expand_dims", R(2, 3), axis=(0, -1)),
    smooth("squeeze", R(1, 2, 1)),
    smooth("squeeze", R(1, 2, 1), axis=-1),
    smooth("squeeze", R(1, 2, 1), axis=(0, 2)),
    smooth("broadcast_to", R(3, 1), shape=(2, 3, 4), keeps=""),
    smooth("broadcast_to", R(), shape=(2, 2)),
    smooth("broadcast_arrays", R(3, 1), R(4)),
    smooth("concatenate", R(2, 3), R(1, 3), keeps="", like=lambda *arrays: np.concat(arrays)),
    smooth("concat", [R(2, 3), R(1, 3), R(0, 3)]),
    smooth("concat", [R(2, 3), R(2, 1)], axis=-1),
    smooth("concat", [R(2, 3), R(2)], axis=None),
    smooth("stacked", R(2, 3), R(2, 3), keeps="", like=lambda *arrays: np.stack(arrays)),
    smooth("stack", [R(2, 3), R(2, 3)], axis=1),
    smooth("stack", [R(2, 3), R(2, 3)], axis=-1),
    smooth("unstack", R(2, 3)),
    smooth("unstack", R(2, 3), axis=-1),
    smooth("split", R(4, 6), 3, axis=1),
    smooth("split", R(6), [1, 4]),
    smooth("array_split", R(7), 3),
    smooth("flip", R(2, 3), keeps=""),
    smooth("flip", R(2, 3), axis=0),
    smooth("flip", R(2, 3, 4), axis=(0, -1)),
    smooth("roll", R(5), shift=2, keeps=""),
    smooth("roll", R(2, 3), shift=-1, axis=1),
    smooth("roll", R(2, 3), shift=(1, 2), axis=(0, 1)),
    smooth("tile", R(2, 3), 2),
    smooth("tile", R(2, 3), (2, 1, 2)),
    smooth("tile", R(3), (2, 2)),
    smooth("repeat", R(2, 3), 2),
    smooth("repeat", R(2, 3), 2, axis=1),
    smooth("repeat", R(2, 3), np.array([1, 0, 3]), axis=-1),
    *[smooth("pad", R(3, 4), ((1, 2), (0, 3)), mode=mode)
      for mode in ("constant", "edge", "reflect", "symmetric", "wrap")],
    smooth("pad", R(3), 1),
    smooth("pad", R(2, 3), (1, 2), constant_values=5.0),
    *[smooth("rot90", R(2, 3), k=k) for k in (0, 1, 2, 3, -1)],
    smooth("rot90", R(2, 3, 4), axes=(2, 0)),
    smooth("triu", R(3, 4), keeps=""),
    smooth("triu", R(2, 3, 4), k=1),
    smooth("tril", R(3, 4), keeps=""),
    smooth("tril", R(4, 3), k=-1),
    smooth("diagonal", R(3, 4)),
    smooth("diagonal", R(4, 3), offset=-2),
    smooth("diagonal", R(2, 3, 4), offset=1, axis1=-1, axis2=0),
    smooth("diag", R(3)),
    smooth("diag", R(3), k=-2),
    smooth("diag", R(3, 4), k=1),
    smooth("trace", R(3, 4), like=np.trace),
    smooth("trace", R(2, 3, 4), offset=1, axis1=1, axis2=2, like=np.trace),
    smooth("meshgrid", R(2), R(3)),
    smooth("meshgrid", R(2), R(3), R(4), indexing="ij"),
]

rows, columns = np.array([[0], [2]]), np.array([1, 1, 0])
mask = np.array([[True, False, True, False], [False, False, True, True], [True, True, False, False]])
KEYS: list[tuple[Shape, Any]] = [
    ((4,), 1), ((4,), -1), ((4,), slice(1, 3)), ((5,), slice(None, None, -2)), ((5,), slice(4, 0, -3)),
    ((4,), ...),
    ((4,), None), ((3, 4), (slice(None), 1)), ((3, 4), (..., 0)), ((3, 4), (None, 1, None, slice(None, 2))),
    ((2, 3, 4), (0, ..., slice(1, None, 2))), ((4,), np.array([0, 0, 3, 0])),
    ((4,), np.array([[0, 1], [1, -1]])),
    ((3, 4), (rows, columns)), ((3, 4), (slice(None), columns)), ((3, 4), mask),
    ((3, 4), np.array([True, False, True])),
    ((2, 3, 4), (0, slice(None), columns)), ((2, 3, 4), (np.array([0, 1, 1]), slice(None), columns)),
    ((2, 3, 4), (np.array([1, 1]), np.array([2, 2]))), ((3, 4), (np.array([True, False, True]), 1)),
    ((3, 4), np.ix_([0, 2], [1, 1])), ((4,), np.array([], int)), ((4,), slice(2, 2)), ((), ()), ((), None),
    ((), ...),
    ((4,), np.zeros(4, bool)), ((3,), np.array(True)), ((4,), [0, 0, 1]),
    ((3, 4), ([0, 0], slice(None, None, -1))),
]
INDEXING = [
    *[smooth("getitem", R(*shape), key=key, like=lambda x, key: x[key]) for shape, key in KEYS],
    smooth("getitem", R(4), key=slice(1, 3), keeps="", like=lambda x, key: x[key]),
    smooth("getitem", R(4), key=np.array([0, 0]), call=lambda x, key: x[ops.asarray(key)],
           like=lambda x, key: x[key]),
    smooth("scatter_add", R(3), key=(np.array([0, 2, 0]),), shape=(4,), keeps="", like=scattered),
    smooth("scatter_add", R(2), key=(slice(1, 3),), shape=(4,), like=scattered),
    smooth("index_update", R(4), R(2), key=slice(1, 3), keeps="", like=assigned),
    smooth("index_update", R(3, 4), R(4), key=1, like=assigned),
    smooth("index_update", R(3, 4), R(), key=(slice(None), 0), like=assigned),
    smooth("index_update", R(3, 4), R(1, 1, 4), key=slice(0, 2), like=assigned),
    smooth("index_update", R(4), R(3), key=np.array([2, 0, 2]), like=assigned),
    smooth("index_update", R(4), R(), key=np.array([2, 0, 2]), like=assigned),
    smooth("index_update", R(3, 4), R(6), key=mask, like=assigned),
    smooth("index_update", R(3, 4), 0.0, key=mask, like=assigned),
    smooth("index_update", R(3, 4), R(2, 3), key=(rows, columns), like=assigned),
    smooth("index_update", np.zeros((2, 3)), R(3), key=(..., 1, slice(None)),
           like=lambda x, y, key: assigned(x + 0 * y, y, key)),
    smooth("index_add", R(4), R(3), key=np.array([2, 0, 2]), like=added),
    smooth("index_add", R(4), R(), key=np.array([2, 0, 2]), like=added),
    smooth("index_add", R(3, 4), R(4), key=slice(0, 2), like=added),
    smooth("index_add", R(3, 4), R(6), key=mask, like=added),
    smooth("take", R(3, 4), np.array([[0, 5], [5, -1]])),
    smooth("take", R(3, 4), np.array([2, 2, 0]), axis=1),
    smooth("take", R(3, 4), 1, axis=-1),
    smooth("take", R(4), np.array([-5, 7, 1]), mode="wrap"),
    smooth("take", R(4), np.array([-5, 7, 1]), mode="clip"),
    smooth("take_along_axis", R(2, 3), np.array([[0, 0, 2, 1], [1, 2, 2, 0]]), axis=1, like=taken_along),
    smooth("take_along_axis", R(2, 3), np.array([[1, 0, 1]]), axis=0, like=taken_along),
    smooth("take_along_axis", R(2, 3), np.array([5, 0, 0]), axis=None, like=taken_along),
    smooth("take_along_axis", R(1, 3), np.array([[0, 1], [2, 2]]), like=taken_along),
    rough("sort", APART(5), keeps="x"),
    rough("sort", APART(2, 3, 4), axis=1),
    plain("argsort", APART(2, 5)),
    plain("argsort", APART(2, 5), axis=0),
    plain("searchsorted", P(1.0, 2.0, 3.0), P(0.5, 2.0, 9.0)),
    plain("searchsorted", P(1.0, 2.0, 3.0), P(0.5, 2.0, 9.0), side="right"),
    plain("nonzero", P(0.0, 1.0, 2.0)),
    smooth("view_update", R(4), R(2), part=lambda x: x[1:3], keeps="",
           call=lambda x, y, part: _changed_view(x, y, part),
           like=lambda x, y, part: assigned(x, x[1:3] * y, slice(1, 3))),
]


def _changed_view(x: Any, y: Any, part: Any) -> Any:
    whole = Tensor(ops.copy(x)) if isinstance(y, Tensor) and not isinstance(x, Tensor) else ops.copy(x)
    view = part(whole)
    view *= y
    return whole


def _squares(*arrays: Any) -> Any:
    """What does not depend on the signs of vectors, which a decomposition is free to choose."""
    return tuple(a * a for a in arrays)


PRODUCTS = [
    smooth("matmul", R(3, 4), R(4, 2), keeps="x y"),
    smooth("matmul", R(4), R(4)),
    smooth("matmul", R(4), R(4, 2)),
    smooth("matmul", R(3, 4), R(4)),
    smooth("matmul", R(2, 3, 4), R(4, 2)),
    smooth("matmul", R(2, 3, 4), R(4)),
    smooth("matmul", R(4), R(2, 4, 3)),
    smooth("matmul", R(3, 4), R(2, 4, 3)),
    smooth("matmul", R(2, 1, 3, 4), R(5, 4, 2)),
    smooth("matmul", R(0, 4), R(4, 2)),
    smooth("matmul", R(3, 0), R(0, 2)),
    smooth("affine", R(3, 4), R(2, 4), R(2), keeps="x w", like=lambda x, w, b: x @ w.T + b),
    smooth("affine", R(4), R(2, 4), R(2), like=lambda x, w, b: x @ w.T + b),
    smooth("affine", R(2, 3, 4), R(2, 4), R(2), like=lambda x, w, b: x @ w.T + b),
    smooth("handed_on", R(3), R(2, 2), keeps="", like=lambda *arrays: arrays),
    smooth("linear", R(3, 4), R(4, 2), R(2), keeps="x w", like=lambda x, w, b: x @ w + b),
    smooth("linear", R(4), R(4, 2), R(2), like=lambda x, w, b: x @ w + b),
    smooth("linear", R(2, 3, 4), R(4, 2), R(), like=lambda x, w, b: x @ w + b),
    *[smooth("dot", R(*x), R(*y)) for x, y in (
        ((), (3,)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((2, 3, 4), (4,)), ((2, 3), (2, 3, 4)),
        ((2, 4), ()))],
    *[smooth("inner", R(*x), R(*y)) for x, y in (((), (3,)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3)),
      ((2, 5, 3), (3,)))],
    smooth("outer", R(3), R(2, 2)),
    smooth("vecdot", R(2, 3), R(3), like=lambda x, y: (x * y).sum(axis=-1)),
    smooth("vecdot", R(3, 2), R(3, 1), axis=0, like=lambda x, y, axis: (x * y).sum(axis=axis)),
    smooth("tensordot", R(2, 3, 4), R(3, 4, 5)),
    smooth("tensordot", R(2, 3), R(3, 4), axes=1),
    smooth("tensordot", R(2), R(3), axes=0),
    smooth("tensordot", R(2, 3, 4), R(4, 2), axes=((0, -1), (1, 0))),
    *[smooth("einsum", subscripts, *(R(*s) for s in shapes), like=np.einsum) for subscripts, shapes in (
        ("ij,jk->ik", ((2, 3), (3, 4))), ("ij,jk", ((2, 3), (3, 4))), ("i,i", ((3,), (3,))),
         ("ii", ((3, 3),)),
        ("ii->i", ((3, 3),)), ("ij->ji", ((2, 3),)), ("ij->", ((2, 3),)), ("ij->j", ((2, 3),)),
         ("i,j->ij", ((2,), (3,))),
        ("...ij,...jk->...ik", ((2, 1, 3, 4), (5, 4, 2))), ("...i,i->...", ((2, 3, 4), (4,))),
         ("...,...", ((2, 3), (3,))),
        ("ij,ij->i", ((2, 3), (1, 3))), ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
         ("iij,jk->ik", ((3, 3, 2), (2, 4))),
        ("ij,k->i", ((2, 3), (4,))), ("iji->j", ((2, 3, 2),)),
         ("b i d, b j d -> b i j", ((2, 3, 4), (2, 5, 4))),
        ("...j->j...", ((2, 3, 4),)), (",i->i", ((), (3,))), ("i...->...", ((2, 3),)),
         ("ij,jk,i->ik", ((1, 3), (3, 2), (4,))))],
    smooth("contraction", R(2, 3), R(3, 4), subscripts="ij,jk->ik", keeps="operands",
           like=lambda *operands, subscripts: np.einsum(subscripts, *operands)),
    smooth("kron", R(2, 3), R(3, 2)),
    smooth("kron", R(2), R(2, 3)),
    smooth("cross", R(2, 3), R(2, 3)),
    smooth("cross", R(3, 2), R(3, 1), axis=0),
    smooth("multi_dot", [R(2, 3), R(3, 4), R(4, 2)], like=lambda arrays: arrays[0] @ arrays[1] @ arrays[2]),
    *[smooth("matrix_power", REGULAR(3, 3), n) for n in (1, 2, 3, 5, -1, -2)],
    plain("matrix_power", REGULAR(2, 3, 3), 0),
    smooth("matrix_power", REGULAR(2, 3, 3), 3),
]

DECOMPOSITIONS = [
    smooth("inv", REGULAR(3, 3), keeps="out"),
    smooth("inv", REGULAR(2, 3, 3)),
    smooth("solve", REGULAR(3, 3), R(3, 2), keeps="x out"),
    smooth("solve", REGULAR(3, 3), R(3)),
    smooth("solve", REGULAR(2, 3, 3), R(3, 2)),
    smooth("solve", REGULAR(3, 3), R(2, 3, 2)),
    smooth("det", REGULAR(3, 3), keeps="x"),
    smooth("det", REGULAR(2, 3, 3)),
    smooth("det", REGULAR(1, 1)),
    smooth("cofactors", REGULAR(3, 3), keeps="x", like=lambda x: np.linalg.det(x)[..., None,
           None] * np.linalg.inv(x).mT),
    rough("slogdet", REGULAR(3, 3), keeps="x"),
    rough("slogdet", REGULAR(2, 3, 3)),
    rough("cholesky", DEFINITE(3, 3), keeps="out", call=lambda x: ops.cholesky(symmetric(x)),
          like=lambda x: np.linalg.cholesky(symmetric(x))),
    rough("cholesky", DEFINITE(2, 3, 3), call=lambda x, upper: ops.cholesky(symmetric(x), upper=upper),
          upper=True),
    *[rough("qr", REGULAR(*shape), like=np.linalg.qr) for shape in ((3, 3), (4, 3), (3, 5), (2, 4, 2))],
    rough("tall_qr", REGULAR(4, 3), keeps="out", like=np.linalg.qr),
    rough("eigh", DEFINITE(3, 3), keeps="out", call=lambda x: _squares(*ops.eigh(symmetric(x))),
          like=lambda x: _squares(*np.linalg.eigh(symmetric(x)))),
    rough("eigvalsh", DEFINITE(2, 3, 3), call=lambda x: ops.eigvalsh(symmetric(x))),
    *[rough("svd", REGULAR(*shape), call=lambda x: _squares(*ops.svd(x, full_matrices=False)),
            like=lambda x: _squares(*np.linalg.svd(x, full_matrices=False)))
                for shape in ((3, 3), (4, 3), (3, 4), (2, 3, 2))],
    rough("svd", REGULAR(3, 3), call=lambda x: _products(*ops.svd(x)),
          like=lambda x: _products(*np.linalg.svd(x))),
    rough("svd", REGULAR(4, 3), compute_uv=False),
    rough("thin_svd", REGULAR(4, 3), keeps="out", call=lambda x: _products(*PRIMITIVES["thin_svd"](x)),
          like=lambda x: _products(*np.linalg.svd(x, full_matrices=False))),
    rough("svdvals", REGULAR(2, 3, 4)),
    *[rough("pinv", REGULAR(*shape)) for shape in ((3, 3), (4, 3), (3, 4), (2, 4, 3))],
    rough("pinv", REGULAR(4, 3), keeps="x out", rtol=1e-10),
    rough("lstsq", REGULAR(5, 3), R(5), like=least_squares),
    rough("lstsq", REGULAR(5, 3), R(5, 2), like=least_squares),
    rough("lstsq", REGULAR(3, 5), R(3), like=least_squares),
]


def _products(u: Any, s: Any, vh: Any) -> Any:
    """What mixes the vectors of both sides, and yet does not depend on their signs."""
    return (u * s[..., None, :]) @ vh, u[..., :, :1] * vh[..., :1, :]


small = {"stride": (1,), "padding": (0,), "dilation": (1,)}
deep = {"stride": (1, 2, 1), "padding": (0, 1, 0), "dilation": (1, 1, 1)}
wide = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
CONVOLUTIONS = [
    smooth("convolution", R(2, 3, 5), R(4, 3, 2), **small, keeps="x w", like=convolution),
    smooth("convolution", R(2, 4, 5, 5), R(6, 2, 2, 2), **wide, groups=2, like=convolution),
    smooth("convolution", R(1, 2, 2, 3, 2), R(2, 1, 2, 2, 1), **deep, groups=2, like=convolution),
    smooth("convolution_transposed", R(2, 4, 4), R(4, 3, 2), **small, space=(5,), keeps="y w",
           like=convolution_transposed),
    smooth("convolution_transposed", R(2, 6, 3, 3), R(6, 2, 2, 2), **wide, groups=2, space=(5, 5),
           like=convolution_transposed),
    smooth("convolution_weights", R(2, 3, 5), R(2, 4, 4), **small, kernel=(2,), keeps="x y",
           like=convolution_weights),
    smooth("convolution_weights", R(2, 4, 5, 5), R(2, 6, 3, 3), **wide, groups=2, kernel=(2, 2),
           like=convolution_weights),
    smooth("patches", R(2, 3, 5), kernel=(2,), **small, keeps="", like=patches),
    smooth("patches", R(2, 3, 5, 5), kernel=(2, 2), **wide, like=patches),
    smooth("patches_added", R(2, 3, 2, 4), **small, space=(5,), keeps="", like=patches_added),
    smooth("patches_added", R(2, 3, 2, 2, 3, 3), **wide, space=(5, 5), like=patches_added),
]

MAKING = [
    smooth("asarray", R(3)),
    plain("asarray", [1.0, 2.0]),
    *[plain(name, R(2, 3)) for name in ("zeros_like", "ones_like")],
    plain("zeros_like", R(2, 3), dtype=np.int64),
    plain("empty_like", R(0, 3)),
    plain("full_like", R(2, 3), 7.0),
    *[plain(name, (2, 3)) for name in ("zeros", "ones")],
    plain("empty", (0, 3)),
    plain("full", (2, 3), 7.0),
    plain("arange", 1, 7, 2),
    plain("linspace", 0.0, 1.0, 5),
    plain("eye", 3, 4, k=1),
    plain("one_hot", np.array([[1], [0]]), 3, like=lambda labels, classes: np.eye(classes)[labels]),
    plain("shape_of", R(2, 3), like=np.shape),
    plain("data_of", R(2, 3), like=lambda x: x),
    plain("result_type", np.ones(2, np.float32), 2.0, call=lambda *x: np.ones(1, ops.result_type(*x)),
          like=lambda *x: np.ones(1, np.result_type(*x))),
    plain("isdtype", np.dtype(np.float32), "real floating"),
]
# fmt: on

CASES = [*ELEMENTWISE, *LOGIC, *REDUCTIONS, *SHAPES, *INDEXING, *PRODUCTS, *DECOMPOSITIONS]
CASES += [*CONVOLUTIONS, *MAKING]


# particular points ---------------------------------------------------------------------------------------


class At(NamedTuple):
    """A function at a point where derivatives go wrong: its value, and the gradient of its sum."""

    name: str
    arguments: tuple[Any, ...]
    value: Any
    gives: tuple[Any, ...]
    second: tuple[Any, ...] | None
    parameters: dict[str, Any]

    def __call__(self, *arguments: Any) -> Any:
        return FUNCTIONS[self.name](*arguments, **self.parameters)

    def __repr__(self) -> str:
        return f"{self.name}{self.arguments}".replace(" ", "")[:60]


def at(
    name: str,
    *arguments: Any,
    value: Any = None,
    gives: tuple[Any, ...],
    second: tuple[Any, ...] | None = None,
    **parameters: Any,
) -> At:
    """`gives` has the gradient by each argument, None where it is fixed; `second`, sums of the Hessian."""
    return At(name, arguments, value, gives, second, parameters)


pi2 = math.pi**2
singular = [[1.0, 2.0], [2.0, 4.0]]
rank_one = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]]
# fmt: off
POINTS = [
    # No overflow, no underflow to NaN.
    at("sigmoid", [-1e3, 0.0, 1e3], value=[0, 0.5, 1], gives=([0, 0.25, 0],), second=([0, 0, 0],)),
    at("softplus", [-1e3, 0.0, 1e3], value=[0, math.log(2), 1e3], gives=([0, 0.5, 1],),
       second=([0, 0.25, 0],)),
    at("tanh", [-1e3, 0.0, 1e3], value=[-1, 0, 1], gives=([0, 1, 0],), second=([0, 0, 0],)),
    at("erf", [-1e3, 0.0, 1e3], value=[-1, 0, 1], gives=([0, 2 / math.sqrt(math.pi), 0],)),
    at("logaddexp", [1e3, -1e3], [-1e3, -1e3], value=[1e3, -1e3 + math.log(2)], gives=([1, 0.5], [0, 0.5])),
    at("logaddexp", [-inf, -inf], [-inf, 0.0], value=[-inf, 0], gives=([0, 0], [0, 1])),
    at("logaddexp2", [2e3, -inf], [-2e3, -inf], value=[2e3, -inf], gives=([1, 0], [0, 0])),
    at("logsumexp", [1e3, 1e3, -1e3], value=1e3 + math.log(2), gives=([0.5, 0.5, 0],), second=([0, 0, 0],)),
    at("logsumexp", [-1e3, -1e3], value=-1e3 + math.log(2), gives=([0.5, 0.5],)),
    at("logsumexp", [-inf, 0.0], value=0, gives=([0, 1],), second=([0, 0],)),
    at("logsumexp", [-inf, -inf], value=-inf, gives=([0, 0],)),
    at("softmax", [1e3, -1e3], value=[1, 0], gives=([0, 0],)),
    at("softmax", [0.0, -inf], value=[1, 0], gives=([0, 0],)),
    at("log_softmax", [1e3, -1e3], value=[0, -2e3], gives=([-1, 1],)),
    at("cross_entropy", [[1e3, -1e3]], [0], value=0, gives=([[0, 0]], None), second=([[0, 0]], None)),
    at("cross_entropy", [[1e3, -1e3]], [1], value=2e3, gives=([[1, -1]], None)),
    at("cross_entropy", [[1e3, -1e3]], [[0.5, 0.5]], value=1e3, gives=([[0.5, -0.5]], [[0, 2e3]])),
    at("logit", [1e-300, 0.5], value=[math.log(1e-300), 0], gives=([1e300, 4],)),
    at("hypot", [3e200], [4e200], value=[5e200], gives=([0.6], [0.8])),
    at("expm1", [1e-20], value=[1e-20], gives=([1],)),
    at("log1p", [1e-20], value=[1e-20], gives=([1],)),
    # Norms and deviations where they have a kink: 0 is among the subgradients.
    at("abs", [0.0, -0.0, 2.0], value=[0, 0, 2], gives=([0, 0, 1],), second=([0, 0, 0],)),
    at("hypot", 0.0, 0.0, value=0, gives=(0, 0)),
    at("atan2", [0.0, 0.0, 1.0], [0.0, -1.0, 0.0], value=[0, math.pi, math.pi / 2], gives=([0, -1, 0], [0, 0, -1])),
    at("norm", [0.0, 0.0], value=0, gives=([0, 0],)),
    at("norm", [[0.0, 0.0], [3.0, 4.0]], axis=1, value=[0, 5], gives=([[0, 0], [0.6, 0.8]],)),
    at("norm", [[0.0, 0.0]], value=0, gives=([[0, 0]],), ord="fro"),
    *[at("vector_norm", [0.0, 0.0], value=0, gives=([0, 0],), ord=p) for p in (1, 2, 3, 1.5)],
    at("vector_norm", [0.0, 4.0], value=4, gives=([0, 1],), ord=3),
    at("std", [2.0, 2.0, 2.0], value=0, gives=([0, 0, 0],)),
    at("std", [[2.0, 2.0], [0.0, 2.0]], axis=1, value=[0, 1], gives=([[0, 0], [-0.5, 0.5]],)),
    at("var", [2.0, 2.0], value=0, gives=([0, 0],), second=([0, 0],)),
    # Powers of zero.
    at("pow", [0.0, 0.0, 0.0], 2, value=[0, 0, 0], gives=([0, 0, 0], None), second=([2, 2, 2], None)),
    at("pow", 0.0, 1, value=0, gives=(1, None), second=(0, None)),
    at("pow", 0.0, 0, value=1, gives=(0, None), second=(0, None)),
    at("pow", [0.0] * 5, [0.0, 1.0, 2.0, 3.0, 2.5], value=[1, 0, 0, 0, 0], gives=([0, 1, 0, 0, 0], [0] * 5)),
    at("pow", [0.0] * 5, np.array([0, 1, 2, 3, 4]), value=[1, 0, 0, 0, 0], gives=([0, 1, 0, 0, 0], None),
       second=([0, 0, 2, 0, 0], None)),
    at("pow", [-2.0, -2.0], [3.0, -1.0], value=[-8, -0.5], gives=([12, -0.25], None)),
    at("pow", 0.0, [0.0, 2.0], value=[1, 0], gives=(None, [0, 0])),
    at("square", 0.0, value=0, gives=(0,), second=(2,)),
    # A product of which factors are zero.
    at("prod", [0.0, 2.0, 3.0], value=0, gives=([6, 0, 0],), second=([5, 3, 2],)),
    at("prod", [0.0, 0.0, 3.0], value=0, gives=([0, 0, 0],), second=([3, 3, 0],)),
    at("prod", [0.0, 0.0, 0.0], value=0, gives=([0, 0, 0],), second=([0, 0, 0],)),
    at("cumulative_prod", [0.0, 2.0, 0.0], value=[0, 0, 0], gives=([3, 0, 0],)),
    # Ties share.
    at("max", [1.0, 3.0, 3.0], value=3, gives=([0, 0.5, 0.5],)),
    at("min", [[1.0, 1.0], [0.0, 2.0]], axis=1, value=[1, 0], gives=([[0.5, 0.5], [1, 0]],)),
    at("max", [-inf, -inf], value=-inf, gives=([0.5, 0.5],)),
    at("maximum", [1.0, 2.0, 3.0], 2.0, value=[2, 2, 3], gives=([0, 0.5, 1], 1.5)),
    at("minimum", [1.0, 2.0, 3.0], 2.0, value=[1, 2, 2], gives=([1, 0.5, 0], 1.5)),
    at("fmax", [2.0, nan], [2.0, 1.0], value=[2, 1], gives=([0.5, 0], [0.5, 1])),
    at("fmin", [2.0, 1.0], [2.0, nan], value=[2, 1], gives=([0.5, 1], [0.5, 0])),
    at("vector_norm", [3.0, -3.0, 1.0], value=3, gives=([0.5, -0.5, 0],), ord=inf),
    at("sort", [2.0, 1.0, 1.0], value=[1, 1, 2], gives=([1, 1, 1],)),
    at("median", [2.0, 1.0, 1.0, 0.0], value=1, gives=([0, 0.5, 0.5, 0],)),
    # The value is NaN, and neither side is taken.
    at("maximum", [nan, 1.0], [1.0, nan], value=[nan, nan], gives=([0, 0], [0, 0])),
    at("minimum", [nan, 1.0], [1.0, nan], value=[nan, nan], gives=([0, 0], [0, 0])),
    at("max", [nan, 1.0], value=nan, gives=([0, 0],)),
    # Ends and corners: the derivative inside (PyTorch's convention), except relu, where it is 0.
    at("clip", [-1.0, -0.5, 0.0, 0.5, 1.0], -0.5, 0.5, value=[-0.5, -0.5, 0, 0.5, 0.5],
       gives=([0, 1, 1, 1, 0], None, None)),
    at("clip", [-1.0, -0.5, 0.0, 0.5, 1.0], [-0.5], [0.5], gives=([0, 1, 1, 1, 0], [1], [1])),
    at("clip", [nan, 2.0], 0.0, 1.0, value=[nan, 1], gives=([0, 0], None, None)),
    at("relu", [0.0, -1.0, 1.0], value=[0, 0, 1], gives=([0, 0, 1],)),
    at("sign", 0.0, value=0, gives=(0,)),
    at("heaviside", [0.0, 1.0], [0.3, 0.3], value=[0.3, 1], gives=([0, 0], [1, 0])),
    at("copysign", [1.0, -1.0, 0.0], [-0.0, 2.0, -1.0], value=[-1, 1, 0], gives=([-1, -1, 0], [0, 0, 0])),
    at("nan_to_num", [nan, inf, 1.0], value=[0, np.finfo(float).max, 1], gives=([0, 0, 1],)),
    at("nansum", [nan, 1.0], value=1, gives=([0, 1],)),
    at("nanmean", [nan, 1.0, 2.0], value=1.5, gives=([0, 0.5, 0.5],)),
    at("remainder", [1.0], [0.1], value=[1.0 % 0.1], gives=([1], [-9])),
    at("fmod", [-1.0], [0.1], value=[math.fmod(-1.0, 0.1)], gives=([1], [9])),
    # Formulas that cancel near zero.
    at("sinc", [0.0, 1e-9], value=[1, 1], gives=([0, -pi2 * 1e-9 / 3],), second=([-pi2 / 3, -pi2 / 3],)),
    at("sinc", [1e200], gives=([0],)),
    at("sinc", [1e-3], gives=([-pi2 * 1e-3 / 3 + pi2**2 * 1e-9 / 30 - pi2**3 * 1e-15 / 840],)),
    # Matrices without an inverse.
    at("det", singular, value=0, gives=([[4, -2], [-2, 1]],)),
    at("det", rank_one, value=0, gives=([[0, 0, 0], [0, 0, 0], [0, 0, 0]],)),
    at("det", [[0.0]], value=0, gives=([[1]],)),
    # Repeated values, as long as only the values are used.
    at("eigvalsh", [[2.0, 0.0], [0.0, 2.0]], value=[2, 2], gives=([[1, 0], [0, 1]],)),
    at("svdvals", [[2.0, 0.0], [0.0, 2.0]], value=[2, 2], gives=([[1, 0], [0, 1]],)),
    at("matrix_norm", [[0.0, 0.0], [0.0, 0.0]], value=0, gives=([[0, 0], [0, 0]],)),
    # Elements that are taken more than once.
    at("getitem", [1.0, 2.0, 3.0], gives=([2, 0, 1],), key=[0, 0, 2]),
    at("take", [1.0, 2.0, 3.0], [0, 0, 2], gives=([2, 0, 1], None)),
    at("repeat", [1.0, 2.0], [3, 0], value=[1, 1, 1], gives=([3, 0], None)),
    at("index_update", [1.0, 2.0, 3.0], [5.0, 6.0, 7.0], value=[5, 2, 7], gives=([0, 1, 0], [1, 0, 1]),
       key=[0, 2, 2]),
    at("index_add", [1.0, 2.0, 3.0], [5.0, 6.0, 7.0], value=[6, 2, 16], gives=([1, 1, 1], [1, 1, 1]),
       key=[0, 2, 2]),
    # The cotangent of zero that a selection gives to the other branch stays zero.
    at("where", [True, False], [inf, 1.0], [1.0, nan], value=[inf, nan], gives=(None, [1, 0], [0, 1])),
]
# fmt: on
