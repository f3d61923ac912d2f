"""What scikit-learn's MLP does in its own way, so that the same `random_state` gives the same network here.

Its first weights, its order of rows, and where its update rules put the rate and epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule.namespace import namespace_of
from chainrule.optim import Rule
from chainrule.optim.rules import State, typed_as


def first_weights(
    random: np.random.RandomState, sizes: Sequence[int], activations: Sequence[str], dtype: DTypeLike
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """For each layer its matrix and its bias, drawn in this order, uniform in ±sqrt(6 / (inputs + outputs)).

    Glorot and Bengio (2010); 2 stands for 6 where the logistic function follows, and after it at the output.

    >>> [(w.shape, b.shape) for w, b in first_weights(np.random.RandomState(0), [4, 8, 3], ["relu"], float)]
    [((4, 8), (8,)), ((8, 3), (3,))]
    """
    functions = [*activations, *activations[-1:]][: len(sizes) - 1] or ["identity"]
    for (inputs, outputs), function in zip(pairwise(sizes), functions, strict=True):
        bound = math.sqrt((2 if function == "logistic" else 6) / (inputs + outputs))
        weight = random.uniform(-bound, bound, (inputs, outputs))
        yield weight.astype(dtype), random.uniform(-bound, bound, outputs).astype(dtype)


class Order(np.random.Generator):
    """The order of rows, epoch after epoch: each shuffles that of the epoch before.

    >>> order = Order(np.random.RandomState(0))
    >>> sorted(order.permutation(4).tolist()), sorted(order.permutation(4).tolist())
    ([0, 1, 2, 3], [0, 1, 2, 3])
    """

    def __init__(self, random: np.random.RandomState) -> None:
        super().__init__(random._bit_generator)
        self.drawing, self.rows = random, np.arange(0)

    def permutation(self, x: int) -> NDArray[np.int64]:  # type: ignore[override]
        """The rows of the next epoch."""
        drawn = np.arange(x)
        self.drawing.shuffle(drawn)
        self.rows = drawn if len(self.rows) != x else self.rows[drawn]
        return self.rows


def sgd(
    parameter: Any, gradient: Any, state: State, rate: Any, *, momentum: float = 0.0, nesterov: bool = False
) -> tuple[Any, State]:
    """`optim.sgd` with the rate inside the velocity: after a lower rate, earlier steps count as they were.

    >>> sgd(np.array([1.0]), np.array([2.0]), {"velocity": np.array([-1.0])}, 0.5, momentum=0.5)
    (array([-0.5]), {'velocity': array([-1.5])})
    """
    step = typed_as(parameter, rate) * gradient
    if not momentum:
        return parameter - step, state
    velocity = momentum * state["velocity"] - step
    return parameter + (momentum * velocity - step if nesterov else velocity), {"velocity": velocity}


def adam(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: Any,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Any, State]:
    """`optim.adam` with epsilon added before the bias is corrected, the shorter form in Kingma and Ba (2015).

    >>> state = {"step": 0, "mean": np.zeros(1), "square": np.zeros(1)}
    >>> adam(np.array([1.0]), np.array([5.0]), state, 0.1)[0].round(6)
    array([0.9])
    """
    step = state["step"] + 1
    mean = beta1 * state["mean"] + (1 - beta1) * gradient
    square = beta2 * state["square"] + (1 - beta2) * (gradient * gradient)
    factor = typed_as(parameter, rate * (1 - beta2**step) ** 0.5 / (1 - beta1**step))
    updated = parameter - factor * mean / (namespace_of(parameter).sqrt(square) + epsilon)
    return updated, {"step": step, "mean": mean, "square": square}


RULES = {
    "sgd": Rule("SGD", sgd, 0.001, ("velocity",), only_with=(("velocity", "momentum"),)),
    "adam": Rule("Adam", adam, 0.001, ("mean", "square"), counts=True),
}
"""The solvers that scikit-learn has too."""
