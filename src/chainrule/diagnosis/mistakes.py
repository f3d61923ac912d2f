"""The catalogue: the mistakes that people make in gradients, each with its code, name and worked example.

A mistake in one function's derivative is a wrong rule, in the notation of `chainrule.rules`:

    mistake("CR103", "tanh(x)", "…", x=lambda g, x: g * (1 - x * x))

says what is written, wrongly, in the place of the rule of tanh. A mistake in how rules are put together (a path
left out, a factor too many) has no rule of its own: it is made by a generator in `chainrule.diagnosis.edits`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule.primitives import Primitive, parse
from chainrule.rules.neural import root_of_variance
from chainrule.rules.reduce import count_over, spread


class Entry(NamedTuple):
    """One kind of mistake: a stable code, its name, and an example: what is written, and what is right."""

    code: str
    title: str
    written: str = ""
    right: str = ""


_ENTRIES = (
    # correct, though doubted
    Entry("CR000", "correct"),
    Entry("CR001", "correct: the activation's derivative cancels", "d_Z = (P - Y) / N", "d_Z = (P - Y) / N"),
    Entry("CR002", "correct for the loss times a constant", "d_Yhat = Yhat - Y", "d_Yhat = 2 * (Yhat - Y)"),
    Entry("CR003", "correct for the sum instead of the mean", "d_W = X.T @ (P - Y)", "d_W = X.T @ (P - Y) / N"),
    Entry("CR004", "correct with the opposite sign", "W += rate * X.T @ (Y - P)", "W -= rate * X.T @ (P - Y)"),
    Entry("CR005", "correct within the precision of float32"),
    Entry("CR006", "correct, at a rate of its own", "b -= 0.1 * d_b", "W -= 0.01 * d_W"),
    Entry("CR007", "correct, with weight decay", "W -= rate * (d_W + decay * W)", "W -= rate * d_W"),
    Entry("CR008", "right in direction; an adaptive rule hides the size", "W -= rate * d_W / (abs(d_W) + eps)"),
    Entry("CR009", "correct but for a guard", "d_Z = P - Y", "loss = -(Y * log(P + 1e-12)).sum()"),
    Entry("CR010", "correct within the precision of finite differences"),
    Entry("CR090", "cannot tell: the loss has a kink here", "d_Z = d_A * (Z >= 0)", "d_Z = d_A * (Z > 0)"),
    Entry("CR092", "cannot tell: several mistakes coincide at this point"),
    # the formula
    Entry("CR101", "missing activation derivative", "d_Z = d_A", "d_Z = d_A * A * (1 - A)"),
    Entry("CR102", "extra factor", "d_W1 = X.T @ (d_H * H * H * (1 - H))", "d_W1 = X.T @ (d_H * H * (1 - H))"),
    Entry("CR103", "derivative at the wrong value", "d_Z = d_A * Z * (1 - Z)", "d_Z = d_A * A * (1 - A)"),
    Entry("CR104", "derivative of an already activated value", "d_Z = d_A * dsigmoid(A)", "d_Z = d_A * dsigmoid(Z)"),
    Entry("CR105", "part of a derivative lost", "d_Z = d_A * (1 - A)", "d_Z = d_A * A * (1 - A)"),
    Entry("CR106", "missing factor", "d_gamma = d_out.sum(0)", "d_gamma = (d_out * Zhat).sum(0)"),
    Entry("CR107", "wrong sign", "d_Yhat = Y - Yhat", "d_Yhat = Yhat - Y"),
    Entry("CR108", "constant factor in one place", "d_Z = P - Y", "d_Z = (P - Y) / N"),
    Entry("CR109", "transposed", "d_W = d_Z.T @ X", "d_W = X.T @ d_Z"),
    Entry("CR110", "missing transpose", "d_H = d_Z @ W", "d_H = d_Z @ W.T"),
    Entry("CR111", "wrong operand", "d_W2 = X.T @ d_Z2", "d_W2 = H.T @ d_Z2"),
    Entry("CR112", "elementwise product for a matrix product, or the reverse", "d_H = d_Z * W", "d_H = d_Z @ W.T"),
    Entry("CR113", "batch not summed", "d_b = d_Z[0]", "d_b = d_Z.sum(axis=0)"),
    Entry("CR114", "summed over the wrong axes", "d_b = d_Z.sum()", "d_b = d_Z.sum(axis=0)"),
    Entry("CR115", "averaged in one parameter, summed in another", "d_b = d_Z.mean(axis=0)", "d_b = d_Z.sum(axis=0)"),
    Entry("CR116", "missing path", "d_x = d_F", "d_x = d_F + d_out"),
    Entry("CR117", "only the diagonal of the softmax's Jacobian", "d_Z = d_P * P * (1 - P)",
          "d_Z = P * (d_P - (d_P * P).sum(-1, keepdims=True))"),
    Entry("CR118", "softmax derivative on top of the cross-entropy's", "d_Z = (P - Y) * P * (1 - P)", "d_Z = P - Y"),
    Entry("CR119", "gradient of another loss", "d_Z = P - Y", "d_Z = (P - Y) * P * (1 - P)"),
    Entry("CR120", "normalisation with its mean or variance held constant", "d_x = d_xhat / std",
          "d_x = (d_xhat - mean(d_xhat) - xhat * mean(d_xhat * xhat)) / std"),
    Entry("CR121", "gamma outside of the mean terms", "d_x = gamma * (d_y - mean(d_y) - xhat * mean(d_y * xhat)) / std",
          "d_xhat = d_y * gamma; d_x = (d_xhat - mean(d_xhat) - xhat * mean(d_xhat * xhat)) / std"),
    Entry("CR122", "dropout's mask missing, misplaced, or wrongly scaled", "d_H = d_D", "d_H = d_D * mask / keep"),
    Entry("CR123", "different random noise forward and backward", "d_sigma = d_z * randn()", "d_sigma = d_z * eps"),
    Entry("CR124", "truncated through time", "d_h = d_out[t]", "d_h = d_out[t] + d_h_next"),
    Entry("CR125", "regulariser omitted", "d_W = X.T @ d_Z", "d_W = X.T @ d_Z + decay * W"),
    Entry("CR126", "regulariser with a wrong factor", "d_W = X.T @ d_Z + 2 * decay * W", "d_W = X.T @ d_Z + decay * W"),
    Entry("CR127", "regulariser where the loss has none", "d_b = d_Z.sum(0) + decay * b", "d_b = d_Z.sum(0)"),
    Entry("CR128", "gradient of a maximum at the wrong places", "d_x[...] = d_out", "d_x[argmax] = d_out"),
    Entry("CR129", "flipped kernel", "d_K = convolve(x, d_y)[::-1]", "d_K = correlate(x, d_y)"),
    Entry("CR130", "repeated indices not accumulated", "d_E[tokens] = d_x", "np.add.at(d_E, tokens, d_x)"),
    Entry("CR131", "stride or padding forgotten", "d_x = d_padded", "d_x = d_padded[p:-p]"),
    Entry("CR199", "wrong, and none of the known mistakes"),
    # the update
    Entry("CR201", "a weight that was updated already", "W2 -= rate * d_W2; d_H = d_Z @ W2.T",
          "d_H = d_Z @ W2.T; W2 -= rate * d_W2"),
    Entry("CR202", "unequal rates inside one parameter", "W[0] -= 0.001 * d_W[0]; W[1] -= 0.01 * d_W[1]",
          "W -= rate * d_W"),
    Entry("CR203", "ascent: the step makes the loss larger", "W += rate * d_W", "W -= rate * d_W"),
    Entry("CR204", "parameter never moves", "W1 -= rate * d_W1", "W1 -= rate * d_W1; b1 -= rate * d_b1"),
    Entry("CR205", "parameter moves, though the loss does not depend on it", "w2 -= rate * d_w2", "z2 = w2 * a1 + b"),
    Entry("CR206", "gradients accumulated over steps", "d_W += X.T @ d_Z", "d_W = X.T @ d_Z"),
    # shapes
    Entry("CR301", "shape: transposed", "d_W of shape (3, 4)", "d_W of shape (4, 3)"),
    Entry("CR302", "shape: not summed over the batch", "d_b = d_Z", "d_b = d_Z.sum(axis=0)"),
    Entry("CR303", "shape: flattened, or with an extra axis", "d_W of shape (12,)", "d_W of shape (4, 3)"),
    Entry("CR304", "shape: another one"),
)  # fmt: skip
CATALOGUE = {entry.code: entry for entry in _ENTRIES}
"""Every code with its title and example."""


class Mistake(NamedTuple):
    """A wrong rule of one function: what is said about it, in the names of its inputs and output."""

    code: str
    name: str
    says: str
    rules: dict[str, Callable[..., Any]]

    def primitive(self, right: Primitive) -> Primitive:
        """The primitive with the wrong rule."""
        return Primitive(
            right.text, right.rules | self.rules, right.forward, elementwise=right.elementwise,
            broadcasts=right.broadcasts, outputs=right.outputs,
        )  # fmt: skip


MISTAKES: dict[str, list[Mistake]] = {}
"""The wrong rules by the name of the function."""


def mistake(code: str, text: str, says: str, /, **rules: Callable[..., Any]) -> None:
    """Enter a wrong rule. In `says`, {x}, {y} and {out} stand for what the user calls the inputs and the result."""
    name = parse(text).name
    Primitive(
        text, rules, forward=lambda *_, **__: None
    )  # the contract: a rule asks only for what it can have
    MISTAKES.setdefault(name, []).append(Mistake(code, name, says, rules))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


mistake("CR103", "sigmoid(x)", "the sigmoid's derivative, a(1 - a), is taken of the pre-activation {x}, not of {out}",
        x=lambda g, x: g * x * (1 - x))  # fmt: skip
mistake("CR104", "sigmoid(x)", "the sigmoid's derivative is taken of {out}, which is activated already",
        x=lambda g, out: g * _sigmoid(out) * (1 - _sigmoid(out)))  # fmt: skip
mistake("CR105", "sigmoid(x)", "of the sigmoid's derivative {out} * (1 - {out}), the factor {out} is lost",
        x=lambda g, out: g * (1 - out))  # fmt: skip
mistake("CR105", "sigmoid(x)", "of the sigmoid's derivative {out} * (1 - {out}), the factor 1 - {out} is lost",
        x=lambda g, out: g * out)  # fmt: skip
mistake("CR107", "sigmoid(x)", "the sigmoid's derivative at {out} is taken as {out} * (1 + {out})",
        x=lambda g, out: g * out * (1 + out))  # fmt: skip
mistake("CR103", "sigmoid(x)", "the derivative of tanh, 1 - {out}**2, is used for the sigmoid",
        x=lambda g, out: g * (1 - out * out))  # fmt: skip
mistake("CR103", "tanh(x)", "the derivative of tanh, 1 - a**2, is taken of the pre-activation {x}, not of {out}",
        x=lambda g, x: g * (1 - x * x))  # fmt: skip
mistake("CR104", "tanh(x)", "the derivative of tanh is taken of {out}, which is activated already",
        x=lambda g, out: g * (1 - np.tanh(out) ** 2))  # fmt: skip
mistake("CR105", "tanh(x)", "the derivative of tanh, 1 - {out}**2, is written without the square",
        x=lambda g, out: g * (1 - out))  # fmt: skip
mistake("CR105", "tanh(x)", "of the derivative of tanh, 1 - {out}**2, only {out}**2 is there",
        x=lambda g, out: g * out * out)  # fmt: skip
mistake("CR105", "tanh(x)", "the derivative of tanh, 1 - {out}**2, is written (1 - {out})**2",
        x=lambda g, out: g * (1 - out) ** 2)  # fmt: skip
mistake("CR107", "tanh(x)", "the derivative of tanh, 1 - {out}**2, is written with a plus",
        x=lambda g, out: g * (1 + out * out))  # fmt: skip
mistake("CR103", "tanh(x)", "the sigmoid's derivative, {out} * (1 - {out}), is used for tanh",
        x=lambda g, out: g * out * (1 - out))  # fmt: skip
mistake("CR103", "relu(x)", "the mask of the ReLU is taken from the gradient, not from {x}",
        x=lambda g, xp: xp.where(g > 0, g, xp.zeros_like(g)))  # fmt: skip
mistake("CR107", "relu(x)", "the mask of the ReLU is reversed: the gradient passes where {x} is negative",
        x=lambda g, out, xp: xp.where(out > 0, xp.zeros_like(g), g))  # fmt: skip
mistake("CR103", "relu(x)", "the sigmoid's derivative, {out} * (1 - {out}), is used for the ReLU",
        x=lambda g, out: g * out * (1 - out))  # fmt: skip
mistake("CR103", "relu(x)", "the derivative of tanh, 1 - {out}**2, is used for the ReLU",
        x=lambda g, out: g * (1 - out * out))  # fmt: skip
mistake("CR103", "softplus(x)", "the derivative of softplus, sigmoid({x}), is taken at {out}",
        x=lambda g, out: g * _sigmoid(out))  # fmt: skip
mistake("CR105", "pow(x, y)", "the exponent is not lowered: the derivative of {x}**n is n * {x}**(n - 1)",
        x=lambda g, x, y: g * y * x**y)  # fmt: skip
mistake("CR106", "pow(x, y)", "the base {x} is left out of the derivative of its power",
        x=lambda g, y, xp: g * y * xp.ones_like(g))  # fmt: skip
mistake("CR106", "squared_error(d, *, mean)", "{d} is left out of the derivative of its square",
        d=lambda g, d, mean, xp: 2 * g / (d.size if mean else 1) * xp.ones_like(d))  # fmt: skip
mistake("CR105", "log(x)", "the derivative of log is 1 / {x}, not {x}", x=lambda g, x: g * x)
mistake("CR105", "divide(x, y)", "in the derivative of a quotient by {y}, the square is lost: it is -{x} / {y}**2",
        y=lambda g, x, y: -g * x / y)  # fmt: skip
mistake("CR105", "sqrt(x)", "the derivative of the root is 1 / (2 * sqrt({x})), not 1 / (2 * {x})",
        x=lambda g, x: 0.5 * g / x)  # fmt: skip

# softmax and cross-entropy ---------------------------------------------------------------------------------------

mistake("CR117", "softmax(x, *, axis=-1)", "only the diagonal of the softmax's Jacobian is used: {out} * (1 - {out})",
        x=lambda g, out: g * out * (1 - out))  # fmt: skip
mistake("CR117", "softmax(x, *, axis=-1)", "of the softmax's Jacobian, only diag({out}) is used",
        x=lambda g, out: g * out)  # fmt: skip
mistake("CR114", "softmax(x, *, axis=-1)", "in the softmax's derivative, the sum goes over the wrong axis",
        x=lambda g, out, axis, xp: out * (g - xp.sum(g * out, axis=-1 - axis % out.ndim if out.ndim > 1 else None,
                                                     keepdims=True)))  # fmt: skip
mistake("CR114", "softmax(x, *, axis=-1)", "in the softmax's derivative, the sum goes over all axes",
        x=lambda g, out, xp: out * (g - xp.sum(g * out)))  # fmt: skip
mistake("CR105", "softmax(x, *, axis=-1)", "in the softmax's derivative, the sum lacks the factor {out}",
        x=lambda g, out, axis, xp: out * (g - xp.sum(g, axis=axis, keepdims=True)))  # fmt: skip
mistake("CR117", "log_softmax(x, *, axis=-1)", "of the log-softmax's Jacobian, only the diagonal is used",
        x=lambda g, out, xp: g * (1 - xp.exp(out)))  # fmt: skip


def _with_softmax(difference: Any, p: Any, axis: int, xp: Any) -> Any:
    """A cotangent taken through the softmax's Jacobian once more."""
    return p * (difference - xp.sum(difference * p, axis=axis, keepdims=True))


def _cross_entropy_mistakes(text: str, targets: Callable[..., Any], wide: Callable[..., Any]) -> None:
    """The wrong rules of a cross-entropy; `targets(…)` are the one-hot rows, `wide(g)` what each row weighs."""

    def rule(formula: Callable[..., Any]) -> Callable[..., Any]:
        def with_labels(g: Any, x: Any, labels: Any, xp: Any) -> Any:
            y = targets(labels, x)
            return wide(g, labels) * formula(xp.softmax(x, axis=-1), y, x, -1, xp)

        def with_rows(g: Any, x: Any, y: Any, axis: int, xp: Any) -> Any:
            return xp.expand_dims(g, axis=axis) * formula(xp.softmax(x, axis=axis), y, x, axis, xp)

        return with_labels if "labels" in parse(text).parameters else with_rows

    for code, says, formula in (
        ("CR118", "softmax and cross-entropy together give P - Y, and this is multiplied by P * (1 - P) once more",
         lambda p, y, x, axis, xp: (p - y) * p * (1 - p)),
        ("CR118", "softmax and cross-entropy together give P - Y; this goes through the softmax's Jacobian once more",
         lambda p, y, x, axis, xp: _with_softmax(p - y, p, axis, xp)),
        ("CR117", "only the diagonal of the softmax's Jacobian is used, so that -Y * (1 - P) comes out, not P - Y",
         lambda p, y, x, axis, xp: -y * (1 - p)),
        ("CR101", "the softmax's derivative is missing: -Y / P is the derivative by P, not by {x}",
         lambda p, y, x, axis, xp: -y / p),
        ("CR105", "the targets are not subtracted: softmax and cross-entropy together give P - Y",
         lambda p, y, x, axis, xp: p),
        ("CR105", "only the targets are there: softmax and cross-entropy together give P - Y",
         lambda p, y, x, axis, xp: -y),
        ("CR111", "the targets are subtracted from {x}, not from softmax({x})", lambda p, y, x, axis, xp: x - y),
        ("CR107", "softmax and cross-entropy together give P - Y, not P + Y", lambda p, y, x, axis, xp: p + y),
    ):  # fmt: skip
        mistake(code, text, says, x=rule(formula))


def _one_hot(labels: Any, x: Any) -> Any:
    return np.eye(x.shape[-1])[labels]


_cross_entropy_mistakes("cross_entropy_of_logits(x, y, *, axis=-1)", _one_hot, lambda g, _: g)
_cross_entropy_mistakes("cross_entropy_of_labels(x, *, labels)", _one_hot, lambda g, labels: g / labels.size)

mistake("CR118", "binary_cross_entropy(z, y)",
        "sigmoid and cross-entropy together give P - Y, and this is multiplied by P * (1 - P) once more",
        z=lambda g, z, y: g * (_sigmoid(z) - y) * _sigmoid(z) * (1 - _sigmoid(z)))  # fmt: skip

# normalisation ---------------------------------------------------------------------------------------------------


class Normalised(NamedTuple):
    """What the rule of a normalisation is made of: the cotangent, the result, the deviation to divide by, means."""

    g: Any
    out: Any
    s: Any
    mean: Callable[[Any], Any]
    total: Callable[[Any], Any]


def _of_standardized(formula: Callable[[Normalised], Any]) -> Callable[..., Any]:
    def rule(g: Any, x: Any, out: Any, axis: Any, eps: Any, xp: Any) -> Any:
        s = root_of_variance(x, axis, eps, xp)
        return formula(_normalised(g, out, s, axis, 0))

    return rule


def _of_standardized_by(formula: Callable[[Normalised], Any]) -> Callable[..., Any]:
    def rule(g: Any, out: Any, s: Any, axis: Any, correction: Any, inverse: Any) -> Any:
        return formula(_normalised(g, out, 1 / s if inverse else s, axis, correction))

    return rule


def _normalised(g: Any, out: Any, s: Any, axis: Any, correction: float) -> Normalised:
    total = partial(np.sum, axis=axis, keepdims=True)
    return Normalised(g, out, s, lambda a: np.mean(a, axis=axis, keepdims=True), total)


_NORMALISATIONS = (
    ("standardized(x, *, axis=-1, eps=1e-5)", _of_standardized),
    ("standardized_by(d, s, x, *, axis, correction=0, inverse=False)", _of_standardized_by),
)
_FORMULAS: tuple[tuple[str, str, Callable[[Normalised], Any]], ...] = (
    ("CR120", "mean and variance are held constant: they depend on {x}, too", lambda n: n.g / n.s),
    ("CR120", "the mean is held constant: it depends on {x}, too", lambda n: (n.g - n.out * n.mean(n.g * n.out)) / n.s),
    ("CR120", "the variance is held constant: it depends on {x}, too", lambda n: (n.g - n.mean(n.g)) / n.s),
    ("CR108", "the terms of mean and variance are sums where they should be means",
     lambda n: (n.g - n.total(n.g) - n.out * n.total(n.g * n.out)) / n.s),
    ("CR108", "the term of the mean is a sum where it should be a mean",
     lambda n: (n.g - n.total(n.g) - n.out * n.mean(n.g * n.out)) / n.s),
    ("CR108", "the term of the variance is a sum where it should be a mean",
     lambda n: (n.g - n.mean(n.g) - n.out * n.total(n.g * n.out)) / n.s),
    ("CR106", "the division by the standard deviation is missing",
     lambda n: n.g - n.mean(n.g) - n.out * n.mean(n.g * n.out)),
    ("CR106", "in the term of the variance, the factor {out} is missing",
     lambda n: (n.g - n.mean(n.g) - n.mean(n.g * n.out)) / n.s),
    ("CR106", "in the mean of the term of the variance, the factor {out} is missing",
     lambda n: (n.g - n.mean(n.g) - n.out * n.mean(n.g)) / n.s),
    ("CR107", "the sign of the term of the mean is wrong",
     lambda n: (n.g + n.mean(n.g) - n.out * n.mean(n.g * n.out)) / n.s),
    ("CR107", "the sign of the term of the variance is wrong",
     lambda n: (n.g - n.mean(n.g) + n.out * n.mean(n.g * n.out)) / n.s),
    ("CR111", "the division is by the variance, not by the standard deviation",
     lambda n: (n.g - n.mean(n.g) - n.out * n.mean(n.g * n.out)) / n.s**2),
)  # fmt: skip
for _text, _rule_of in _NORMALISATIONS:
    for _code, _says, _formula in _FORMULAS:
        mistake(_code, _text, _says, x=_rule_of(_formula))


def held_constant(right: Primitive) -> Primitive:
    """A normalisation whose mean and variance are constants."""
    return MISTAKES[right.name][0].primitive(right)


# places ----------------------------------------------------------------------------------------------------------


def _assigned(g: Any, x_shape: Any, key: Any) -> Any:
    out = np.zeros(x_shape, np.result_type(g))
    out[key] = g
    return out


mistake("CR130", "getitem(x, *, key)", "rows of {x} that are taken several times keep the last gradient only; "
        "gradients of the same row must be added", x=lambda g, x_shape, key: _assigned(g, x_shape, key))  # fmt: skip
for _extreme in ("max", "min"):
    _text = f"{_extreme}(x, *, axis=None, keepdims=False)"
    mistake("CR128", _text, f"the gradient of the {_extreme}imum goes to every element, not only to that one",
            x=lambda g, x_shape, axis, xp: spread(g, x_shape, axis, xp))  # fmt: skip
    mistake("CR128", _text, f"the gradient of the {_extreme}imum is shared by all elements, as that of a mean",
            x=lambda g, x_shape, axis, xp: spread(g / count_over(x_shape, axis), x_shape, axis, xp))  # fmt: skip


for _extreme, _other in (("max", "smallest"), ("min", "largest")):
    mistake("CR128", f"{_extreme}(x, *, axis=None, keepdims=False)",
            f"the gradient of the {_extreme}imum goes to the {_other} element",
            x=lambda g, x, x_shape, axis, xp, out: _to_opposite(g, x, out, x_shape, axis, xp))  # fmt: skip


def _to_opposite(g: Any, x: Any, out: Any, x_shape: Any, axis: Any, xp: Any) -> Any:
    """The cotangent at the smallest elements, where the largest were taken, or the reverse."""
    largest, smallest = xp.max(x, axis=axis, keepdims=True), xp.min(x, axis=axis, keepdims=True)
    taken_is_largest = xp.all(xp.reshape(out, largest.shape) == largest)
    return spread(g, x_shape, axis, xp) * (x == (smallest if taken_is_largest else largest))


def _to_one(g: Any, x_shape: Any, axis: Any, xp: Any, place: int) -> Any:
    merged = np.zeros(x_shape)
    axes = tuple(range(len(x_shape))) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    key = tuple(place if i in {a % len(x_shape) for a in axes} else slice(None) for i in range(len(x_shape)))
    merged[key] = 1
    return spread(g, x_shape, axis, xp) * merged


for _extreme in ("max", "min"):
    _text = f"{_extreme}(x, *, axis=None, keepdims=False)"
    mistake("CR128", _text, f"the gradient of the {_extreme}imum goes to the first element",
            x=lambda g, x_shape, axis, xp: _to_one(g, x_shape, axis, xp, 0))  # fmt: skip
    mistake("CR128", _text, f"the gradient of the {_extreme}imum goes to the last element",
            x=lambda g, x_shape, axis, xp: _to_one(g, x_shape, axis, xp, -1))  # fmt: skip

_convolution = "convolution(x, w, *, stride, padding, dilation, groups=1)"


def _flipped(w: Any) -> Any:
    return w[(slice(None), slice(None), *(slice(None, None, -1),) * (w.ndim - 2))]


mistake("CR129", _convolution, "the kernel is flipped in the gradient of {x}",
        x=lambda g, x_shape, w, stride, padding, dilation, groups, xp: xp.convolution_transposed(
            g, _flipped(w), stride=stride, padding=padding, dilation=dilation, groups=groups,
            space=x_shape[2:]))  # fmt: skip
mistake("CR129", _convolution, "the gradient of the kernel is flipped",
        w=lambda g, x, w_shape, stride, padding, dilation, groups, xp: _flipped(xp.convolution_weights(
            x, g, stride=stride, padding=padding, dilation=dilation, groups=groups, kernel=w_shape[2:])))  # fmt: skip
