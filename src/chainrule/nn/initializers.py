"""First weights of a layer, drawn from an explicit generator.

Both families keep the variance of what flows through the layers even. Glorot and Bengio, "Understanding the
difficulty of training deep feedforward neural networks" (2010), for functions that are about linear at 0; He,
Zhang, Ren and Sun, "Delving deep into rectifiers" (2015), for those that are zero on one side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule.errors import OptionError

Initializer = Callable[[np.random.Generator, tuple[int, int], DTypeLike], NDArray[Any]]


def glorot_uniform(
    generator: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike = float
) -> NDArray[Any]:
    """Uniform in ±sqrt(6 / (inputs + outputs)), as an array of `shape` (inputs, outputs).

    >>> weights = glorot_uniform(np.random.default_rng(0), (3, 3))
    >>> weights.shape, bool(abs(weights).max() <= 1)
    ((3, 3), True)
    """
    bound = math.sqrt(6 / sum(shape))
    return generator.uniform(-bound, bound, shape).astype(dtype)


def glorot_normal(
    generator: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike = float
) -> NDArray[Any]:
    """Normal with standard deviation sqrt(2 / (inputs + outputs)), as an array of `shape`."""
    return generator.normal(0.0, math.sqrt(2 / sum(shape)), shape).astype(dtype)


def he_uniform(
    generator: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike = float
) -> NDArray[Any]:
    """Uniform in ±sqrt(6 / inputs), as an array of `shape` (inputs, outputs)."""
    bound = math.sqrt(6 / shape[0])
    return generator.uniform(-bound, bound, shape).astype(dtype)


def he_normal(
    generator: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike = float
) -> NDArray[Any]:
    """Normal with standard deviation sqrt(2 / inputs), as an array of `shape` (inputs, outputs)."""
    return generator.normal(0.0, math.sqrt(2 / shape[0]), shape).astype(dtype)


INITIALIZERS: dict[str, Initializer] = {
    function.__name__.replace("_", "-"): function
    for function in (glorot_uniform, glorot_normal, he_uniform, he_normal)
}


def initializer(choice: str | Initializer) -> Initializer:
    """The initialiser of that name (``"glorot-uniform"``), or `choice` itself where it is a function.

    Raises:
        OptionError: there is none of that name; the message lists those that there are.
    """
    if not isinstance(choice, str):
        return choice
    if choice not in INITIALIZERS:
        raise OptionError(f"there is no initializer {choice!r}: choose one of {', '.join(INITIALIZERS)}")
    return INITIALIZERS[choice]
