"""The functions of neural networks that need a rule of their own: for stability, or to keep less."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.namespace import NUMPY
from chainrule.primitives import elementwise, primitive, several
from chainrule.rules.linalg import product_left, product_right
from chainrule.rules.reduce import spread
from chainrule.typing import Axis


def _sigmoid(x: Any, xp: Any) -> Any:
    # exp(-x) overflows to inf for very negative x, and 1 / inf is the right answer, 0.
    if xp is NUMPY:
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-x))
    return 1 / (1 + xp.exp(-x))


sigmoid = elementwise("sigmoid(x)", forward=_sigmoid, x=lambda g, out: g * out * (1 - out))
logit = elementwise("logit(x)", forward=lambda x, xp: xp.log(x) - xp.log1p(-x),
                                x=lambda g, x: g / (x * (1 - x)))  # fmt: skip
softplus = elementwise(
    "softplus(x)", forward=lambda x, xp: xp.maximum(x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x))),
    x=lambda g, x, xp: g * xp.sigmoid(x),
)  # fmt: skip
relu = elementwise(
    "relu(x)", forward=lambda x, xp: np.maximum(x, 0) if xp is NUMPY else xp.maximum(x, xp.zeros_like(x)),
    x=lambda g, out, xp: xp.where(out > 0, g, 0.0),
)  # fmt: skip


def _shifted(x: Any, axis: Any, xp: Any) -> Any:
    """The elements less their maximum, so that no exponential overflows."""
    if not math.prod(x.shape):  # of nothing, there is no maximum
        return x
    return x - xp.max(x, axis=axis, keepdims=True)


def _columns(x: Any, axis: Any, xp: Any) -> Any:
    """Many short rows of an array of NumPy's as columns, less their maxima; None for any other array.

    Reductions over the first axis are vectorised, those over a few elements are not: it takes half the time.
    """
    if xp is not NUMPY or axis not in (-1, 1) or len(x.shape) != 2 or not 0 < x.shape[1] <= 16 < x.shape[0]:
        return None
    if x.dtype.kind != "f":
        return None
    z = x.T.copy()
    z -= np.maximum.reduce(z, axis=0)
    return z


def _softmax(x: Any, xp: Any, axis: Any) -> Any:
    z = _columns(x, axis, xp)
    if z is not None:
        np.exp(z, out=z)
        z /= np.add.reduce(z, axis=0)
        return np.ascontiguousarray(z.T)
    e = xp.exp(_shifted(x, axis, xp))
    return e / xp.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, xp: Any, axis: Any) -> Any:
    z = _columns(x, axis, xp)
    if z is not None:
        z -= np.log(np.add.reduce(np.exp(z), axis=0))
        return np.ascontiguousarray(z.T)
    z = _shifted(x, axis, xp)
    return z - xp.log(xp.sum(xp.exp(z), axis=axis, keepdims=True))


def _logsumexp(x: Any, xp: Any, axis: Any, keepdims: bool) -> Any:
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    with np.errstate(divide="ignore"):
        out = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else xp.reshape(out, xp.sum(x, axis=axis).shape)


def _logsumexp_rule(g: Any, x: Any, out: Any, axis: Any, x_shape: Any, xp: Any) -> Any:
    out = xp.where(out == -math.inf, xp.zeros_like(out), out)
    return spread(g, x_shape, axis, xp) * xp.exp(x - spread(out, x_shape, axis, xp))


softmax = primitive("softmax(x, *, axis=-1)", forward=_softmax,
    x=lambda g, out, axis, xp: out * (g - xp.sum(g * out, axis=axis, keepdims=True)))  # fmt: skip
log_softmax = primitive("log_softmax(x, *, axis=-1)", forward=_log_softmax,
    x=lambda g, out, axis, xp: g - xp.exp(out) * xp.sum(g, axis=axis, keepdims=True))  # fmt: skip
logsumexp = primitive("logsumexp(x, *, axis=None, keepdims=False)", forward=_logsumexp, x=_logsumexp_rule)


def _cross_entropy(x: Any, y: Any, xp: Any, axis: int) -> Any:
    return -xp.sum(y * xp.log_softmax(x, axis=axis), axis=axis)


def _cross_entropy_rule(g: Any, x: Any, y: Any, axis: int, xp: Any) -> Any:
    weight = xp.sum(y, axis=axis, keepdims=True)
    return xp.expand_dims(g, axis=axis) * (xp.softmax(x, axis=axis) * weight - y)


cross_entropy_of_logits = primitive(
    "cross_entropy_of_logits(x, y, *, axis=-1)", forward=_cross_entropy, x=_cross_entropy_rule,
    y=lambda g, x, axis, xp: -xp.expand_dims(g, axis=axis) * xp.log_softmax(x, axis=axis),
)  # fmt: skip


def _negative_log_likelihood(x: Any, xp: Any, labels: Any) -> Any:
    if xp is NUMPY and labels.ndim == 1:  # twice as fast as the general way
        return np.add.reduce(x[np.arange(labels.size), labels]) / -labels.size
    return -xp.mean(xp.take_along_axis(x, labels[..., None], axis=-1))


def _negative_log_likelihood_rule(g: Any, x_shape: Any, labels: Any, xp: Any) -> Any:
    if xp is NUMPY:
        x_bar = np.zeros(x_shape, g.dtype)
        x_bar.reshape(-1, x_shape[-1])[np.arange(labels.size), labels.reshape(-1)] = g / -labels.size
        return x_bar
    share = xp.broadcast_to(g / -labels.size, labels.shape)
    return xp.scatter_add(share, key=(*np.indices(labels.shape), labels), shape=x_shape)


negative_log_likelihood = primitive(
    "negative_log_likelihood(x, *, labels)", forward=_negative_log_likelihood, x=_negative_log_likelihood_rule
)
"""The mean of -x at the labels, along the last axis: with x = log_softmax(z), the cross-entropy."""


def _cross_entropy_of_labels(x: Any, xp: Any, labels: Any) -> Any:
    z = _columns(x, -1, xp)
    if z is None or labels.ndim != 1:
        return xp.negative_log_likelihood(xp.log_softmax(x, axis=-1), labels=labels)
    taken = np.add.reduce(z[labels, np.arange(labels.size)])
    return (np.add.reduce(np.log(np.add.reduce(np.exp(z), axis=0))) - taken) / labels.size


def _cross_entropy_of_labels_rule(g: Any, x: Any, labels: Any, xp: Any) -> Any:
    """The softmax less 1 at the labels, over their number."""
    share = xp.softmax(x, axis=-1)
    if xp is not NUMPY:
        return share * (g / labels.size) + _negative_log_likelihood_rule(g, x.shape, labels, xp)
    share[(*np.indices(labels.shape), labels) if labels.ndim != 1 else (np.arange(labels.size), labels)] -= 1
    share *= g / labels.size
    return share


cross_entropy_of_labels = primitive(
    "cross_entropy_of_labels(x, *, labels)", forward=_cross_entropy_of_labels, x=_cross_entropy_of_labels_rule
)
"""The mean cross-entropy of softmax(x) and class numbers, along the last axis."""


def _linear(x: Any, w: Any, b: Any, xp: Any) -> Any:
    out = xp.matmul(x, w)
    if xp is NUMPY and out.shape[-1:] == b.shape and out.dtype == b.dtype:
        out += b
        return out
    return out + b


linear = primitive(
    "linear(x, w, b)", forward=_linear, broadcasts=True,
    x=lambda g, x_shape, w, xp: product_left(g, x_shape, w, xp),
    w=lambda g, x, w_shape, xp: product_right(g, x, w_shape, xp), b=lambda g: g,
)  # fmt: skip
"""x @ w + b, without a temporary array."""


def _affine(x: Any, w: Any, b: Any, xp: Any) -> Any:
    return _linear(x, w.mT, b, xp)


def _affine_weights(g: Any, x: Any, xp: Any) -> Any:
    return xp.reshape(g, (-1, g.shape[-1])).mT @ xp.reshape(x, (-1, x.shape[-1]))


affine = primitive(
    "affine(x, w, b)",
    forward=_affine,
    broadcasts=True,
    x=lambda g, w: g @ w,
    w=_affine_weights,
    b=lambda g: g,
)
"""x @ w.T + b: a layer whose weights have a row for each output."""

handed_on = several("handed_on(*arrays)", forward=lambda *arrays: arrays, arrays=lambda g, index: g[index])
"""The arrays as they are, through one place where all their cotangents can be seen together."""


def _mean_squared_error(x: Any, y: Any, xp: Any) -> Any:
    d = x - y
    return xp.mean(d * d)


mean_squared_error = primitive(
    "mean_squared_error(x, y)", forward=_mean_squared_error, broadcasts=True,
    x=lambda g, x, y: _twice_mean(g, x - y), y=lambda x_bar: -x_bar,
)  # fmt: skip


def _twice_mean(g: Any, difference: Any) -> Any:
    return (g * 2 / math.prod(difference.shape)) * difference


def root_of_variance(x: Any, axis: Axis, eps: float, xp: Any) -> Any:
    """The root of the variance along an axis, with `eps` added to it."""
    d = x - xp.mean(x, axis=axis, keepdims=True)
    return xp.sqrt(xp.mean(d * d, axis=axis, keepdims=True) + eps)


def _standardized(x: Any, xp: Any, axis: Axis, eps: float) -> Any:
    d = x - xp.mean(x, axis=axis, keepdims=True)
    return d / xp.sqrt(xp.mean(d * d, axis=axis, keepdims=True) + eps)


def _standardized_rule(g: Any, x: Any, out: Any, axis: Axis, eps: float, xp: Any) -> Any:
    """What remains of `g` without its mean and without its part along `out`: both were normalised away."""
    along = out * xp.mean(g * out, axis=axis, keepdims=True)
    return (g - xp.mean(g, axis=axis, keepdims=True) - along) / root_of_variance(x, axis, eps, xp)


standardized = primitive("standardized(x, *, axis=-1, eps=1e-5)", forward=_standardized, x=_standardized_rule)
"""x less its mean, over the root of its variance plus eps: the step that all normalising layers share."""
