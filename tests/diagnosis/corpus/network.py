"""What the corpus is made of: a loss, a backward pass that somebody derived by hand, and how to draw arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arguments = tuple[Any, ...]


class Draw:
    """Random sizes and arrays; with `square`, every size that is drawn is the same number."""

    def __init__(self, seed: Any, square: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.common = int(self.rng.integers(3, 6)) if square else None

    def size(self, low: int = 2, high: int = 6) -> int:
        return self.common or int(self.rng.integers(low, high + 1))

    def normal(self, *shape: int, scale: float = 0.7) -> Any:
        return scale * self.rng.normal(size=shape) if shape else float(scale * self.rng.normal())

    def positive(self, *shape: int) -> Any:
        return self.rng.uniform(0.5, 1.5, shape)

    def labels(self, rows: int, classes: int) -> Any:
        return self.rng.integers(0, classes, rows)

    def one_hot(self, rows: int, classes: int) -> Any:
        return np.eye(classes)[self.labels(rows, classes)]

    def bits(self, *shape: int) -> Any:
        """Zeros and ones, both of them present."""
        found = self.rng.integers(0, 2, shape).astype(float)
        found.flat[0], found.flat[-1] = 0.0, 1.0
        return found


@dataclass(frozen=True)
class Planted:
    """A mistake written by hand: in the backward pass, `new` stands where `old` stood.

    `old` is one expression or one statement; `new` is an expression or any number of statements. `codes` are
    those that name the mistake.
    """

    codes: str
    old: str
    new: str


@dataclass(frozen=True, eq=False)
class Network:
    """A loss of parameters and data, and its hand-written gradient by the parameters.

    The first `parameters` arguments are differentiated. In the source of `backward`, what follows the comment
    "# backward" is the part that may be mutated; `sources` names further functions and classes that belong to it.
    `activations` maps the name of an activated value to that of its pre-activation, `roles` the source of a
    factor or a term to the code for leaving it out. `rewritten` are other right derivations of the same gradient.
    `mean_over` are the numbers of the arguments that have one row for each sample, where the loss is the mean of
    the samples' losses.
    """

    name: str
    loss: Callable[..., Any]
    backward: Callable[..., Any]
    draw: Callable[[Draw], Arguments]
    parameters: int
    sources: tuple[Any, ...] = ()
    activations: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    planted: tuple[Planted, ...] = ()
    rewritten: tuple[Callable[..., Any], ...] = ()
    mean_over: tuple[int, ...] = ()

    def arguments(self, seed: Any, square: bool = False) -> Arguments:
        return self.draw(Draw(seed, square))

    def claims(self, backward: Callable[..., Any], args: Arguments) -> Arguments:
        """What a backward pass returns, as a tuple with one tree for each parameter."""
        found = backward(*args)
        return found if isinstance(found, tuple) else (found,)
