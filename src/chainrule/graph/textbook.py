"""What a textbook differentiates as a whole, and NumPy has no name for: primitives of graphs only.

`recognition` puts them in the place of equations that were spelt out. Some compute just what the user wrote (their
last step, on the same inputs), and only their rule differs: it is that of the whole.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.primitives import elementwise, primitive
from chainrule.rules.neural import cross_entropy_of_logits
from chainrule.rules.reduce import axes_of, count_over
from chainrule.typing import Axis

# functions of logits ---------------------------------------------------------------------------------------

log_sigmoid = elementwise(
    "log_sigmoid(z)", forward=lambda z, xp: xp.minimum(z, xp.zeros_like(z)) - xp.log1p(xp.exp(-xp.abs(z))),
    z=lambda g, z, xp: g * (1 - xp.sigmoid(z)),
)  # fmt: skip


def _binary_cross_entropy(z: Any, y: Any, xp: Any) -> Any:
    # In this order: for y = 1, the first two terms cancel exactly, and the small third one is not lost.
    return xp.maximum(z, xp.zeros_like(z)) - z * y + xp.log1p(xp.exp(-xp.abs(z)))


binary_cross_entropy = elementwise(
    "binary_cross_entropy(z, y)", forward=_binary_cross_entropy,
    z=lambda g, z, y, xp: g * (xp.sigmoid(z) - y), y=lambda g, z: -g * z,
)  # fmt: skip
"""-(y log p + (1 - y) log(1 - p)) with p = sigmoid(z)."""

cross_entropy_of_distribution = primitive(
    "cross_entropy_of_logits(x, y, *, axis=-1, total=1)",
    forward=lambda x, y, axis, total: cross_entropy_of_logits(x, y, axis=axis),
    x=lambda g, x, y, axis, xp: xp.expand_dims(g, axis=axis) * (xp.softmax(x, axis=axis) - y),
)
"""The cross-entropy with a y that sums to 1 along the axis, and is no function of anything."""

# ReLU, whose spellings differ in their slope at 0, and in what they make of NaN ------------------------------

RELU: dict[str, tuple[str, float]] = {
    "maximum": ("np.maximum({z}, 0)", 0.5), ">": ("np.where({z} > 0, {z}, 0)", 0),
    ">=": ("np.where({z} >= 0, {z}, 0)", 1), "<": ("np.where({z} < 0, 0, {z})", 1),
}  # fmt: skip
"""The spellings: as source, and the slope at 0."""


def _relu(x: Any, spelling: str, xp: Any) -> Any:
    zero = xp.zeros_like(x)
    if spelling == "maximum":
        return xp.maximum(x, zero)
    if spelling == "<":
        return xp.where(x < 0, zero, x)
    return xp.where(x > 0 if spelling == ">" else x >= 0, x, zero)


def _relu_rule(g: Any, x: Any, spelling: str, xp: Any) -> Any:
    slope, zero = RELU[spelling][1], xp.zeros_like(g)
    if slope == 0.5:
        return xp.where(x == 0, 0.5 * g, xp.where(x > 0, g, zero))
    return xp.where(x >= 0 if slope else x > 0, g, zero)


relu_as_spelt = elementwise("relu(x, *, spelling)", forward=_relu, x=_relu_rule)

# quadratic errors and normalisation --------------------------------------------------------------------------


def _squared_error(d: Any, mean: bool, xp: Any) -> Any:
    return (xp.mean if mean else xp.sum)(d * d)


squared_error = primitive(
    "squared_error(d, *, mean)", forward=_squared_error,
    d=lambda g, d, mean, d_shape: 2 * g * d / (math.prod(d_shape) if mean else 1),
)  # fmt: skip
"""The sum, or the mean, of the squares of differences."""


def _without_mean_and_part(g: Any, along: Any, out: Any, axis: Axis, correction: float, xp: Any) -> Any:
    """The cotangent less its mean and its part along the deviations: both were normalised away."""
    count, ndim = count_over(g.shape, axis), len(g.shape)
    # What is left of leading axes broadcasts back by itself.
    how = {"axis": axis, "keepdims": axes_of(axis, ndim) != tuple(range(len(axes_of(axis, ndim))))}
    part = xp.mean(g * out, **how) if correction == 0 else xp.sum(g * out, **how) / (count - correction)
    return g - xp.mean(g, **how) - along * part


def _standardized_rule(
    g: Any, out: Any, s: Any, axis: Axis, correction: float, inverse: bool, xp: Any
) -> Any:
    total = _without_mean_and_part(g, out, out, axis, correction, xp)
    return total * s if inverse else total / s


standardized_by = primitive(
    "standardized_by(d, s, x, *, axis, correction=0, inverse=False)", broadcasts=True,
    forward=lambda d, s, x, axis, correction, inverse: d * s if inverse else d / s, x=_standardized_rule,
)  # fmt: skip
"""d / s (inverse: d * s), where d is x less its mean, and s the root of its variance, which may have a small number
added (inverse: one over it). The rule for x is that of the whole; there is none for what is made of x."""


def _standardized_with_margin_rule(
    g: Any, out: Any, d: Any, s: Any, std: Any, axis: Axis, correction: float, xp: Any
) -> Any:
    # All elements equal: the deviation has a kink there, and 0 is among its subgradients, as in `std`.
    along = d / xp.where(std == 0, xp.ones_like(std), std)
    return _without_mean_and_part(g, along, out, axis, correction, xp) / s


standardized_with_margin = primitive(
    "standardized_with_margin(d, s, x, std, *, axis, correction=0)", broadcasts=True,
    forward=lambda d, s, x, std, axis, correction: d / s, x=_standardized_with_margin_rule,
)  # fmt: skip
"""As `standardized_by`, where s is the standard deviation with a small number added."""
