"""Whether a network's gradients are the derivatives of its loss, asked before training.

Central differences of the loss, in the precision of the parameters. Parameters of up to 64 elements are
checked one by one, larger ones along 8 random directions, each of which contains every element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import GradientMismatch
from chainrule.modes import no_grad
from chainrule.tensor import Tensor

ELEMENTS, DIRECTIONS = 64, 8


@dataclass(frozen=True)
class GradientCheck:
    """The relative error of each parameter's gradient, by the parameter's name."""

    errors: dict[str, float]

    @property
    def worst(self) -> float:
        """The largest of the relative errors."""
        return max(self.errors.values())

    def __str__(self) -> str:
        count = len(self.errors)
        return (
            f"gradients checked against finite differences: {count} of {count} parameters, "
            f"worst relative error {self.worst:.0e}".replace("e-0", "e-")
        )


def check_parameters(
    loss: Callable[[], Tensor], parameters: Mapping[str, Tensor], seed: int = 0
) -> GradientCheck:
    """Compare the gradient of `loss()` by each of the parameters with central differences.

    The relative error is that of the vector of derivatives; elements whose derivative is no more than
    rounding noise cannot make it fail. Gradients that were there are forgotten.

    Raises:
        GradientMismatch: naming the parameter, the direction and both values.

    >>> weight = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    >>> str(check_parameters(lambda: (weight * weight).sum(), {"weight": weight}))[:56]
    'gradients checked against finite differences: 1 of 1 par'
    """
    for parameter in parameters.values():
        parameter.grad = None
    loss().backward()
    errors = {name: _error(loss, name, parameter, seed) for name, parameter in parameters.items()}
    for parameter in parameters.values():
        parameter.grad = None
    return GradientCheck(errors)


def _error(loss: Callable[[], Tensor], name: str, parameter: Tensor, seed: int) -> float:
    gradient = np.zeros_like(parameter.data) if parameter.grad is None else parameter.grad.data
    analytic = np.array([float(np.sum(gradient * direction)) for direction in _directions(parameter, seed)])
    tolerance = float(np.finfo(parameter.dtype).eps) ** (1 / 3)
    # A kink (ReLU) within the step falsifies the difference, not the gradient: look again from nearer by.
    for step in (tolerance, tolerance / 64):
        numeric, noise = _differences(loss, parameter, seed, step)
        scale = max(np.linalg.norm(analytic), np.linalg.norm(numeric), noise / tolerance)
        error = float(np.linalg.norm(analytic - numeric) / scale)
        if error <= tolerance:
            return error
    raise _mismatch(name, parameter, analytic, numeric)


def _mismatch(
    name: str, parameter: Tensor, analytic: NDArray[Any], numeric: NDArray[Any]
) -> GradientMismatch:
    worst = int(np.argmax(np.abs(analytic - numeric)))
    if parameter.size <= ELEMENTS:
        where = f"at {tuple(map(int, np.unravel_index(worst, parameter.shape)))}"
    else:
        where = f"along random direction {worst}"
    return GradientMismatch(
        f"the gradient of {name} differs from finite differences: {where} the engine has "
        f"{analytic[worst]:.10g}, and the difference quotient is {numeric[worst]:.10g}"
    )


def _directions(parameter: Tensor, seed: int) -> Iterator[NDArray[Any]]:
    """One at a time, because all of them together would be many times the parameter's memory."""
    if parameter.size <= ELEMENTS:
        yield from np.eye(parameter.size, dtype=parameter.dtype).reshape(-1, *parameter.shape)
        return
    generator = np.random.default_rng(seed)
    for _ in range(DIRECTIONS):
        random = generator.normal(size=parameter.shape)
        yield np.asarray(random / np.linalg.norm(random.ravel()), parameter.dtype)


def _differences(
    loss: Callable[[], Tensor], parameter: Tensor, seed: int, step: float
) -> tuple[NDArray[Any], float]:
    """Difference quotients along the directions, and the size of the rounding noise in all of them."""
    values, original = [], parameter.data
    try:
        for direction in _directions(parameter, seed):
            values.append([_loss_at(loss, parameter, original + sign * step * direction) for sign in (1, -1)])
    finally:
        parameter.data = original
    pairs = np.array(values)
    noise = float(np.finfo(parameter.dtype).eps * np.abs(pairs).max() / step * np.sqrt(len(pairs)))
    return (pairs[:, 0] - pairs[:, 1]) / (2 * step), max(noise, float(np.finfo(np.float64).tiny))


def _loss_at(loss: Callable[[], Tensor], parameter: Tensor, value: Any) -> float:
    parameter.data = value
    with no_grad():
        return float(loss().item())
