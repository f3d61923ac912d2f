"""Limiting the length of a gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from chainrule.tensor import Tensor


def clip_norm(parameters: Iterable[Tensor], limit: float) -> float:
    """Shorten the gradients of all parameters together to Euclidean length `limit`; returns the length before.

    Gradients that are shorter stay as they are; so do those that are not finite, which no factor could mend.

    >>> weight = Tensor(np.zeros(2), requires_grad=True)
    >>> (weight * np.array([3.0, 4.0])).sum().backward()
    >>> clip_norm([weight], 1.0), weight.grad.data
    (5.0, array([0.6, 0.8]))
    """
    gradients = [parameter.grad.data for parameter in parameters if parameter.grad is not None]
    length = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients))
    if limit < length < math.inf:
        for gradient in gradients:
            gradient *= limit / length
    return length
