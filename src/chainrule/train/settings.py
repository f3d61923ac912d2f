"""What a training run is told: the options of `chainrule train`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chainrule import nn, optim
from chainrule.errors import OptionError

MAX_WIDTH = 65_536
MAX_PARAMETERS = 100_000_000
"""With Adam, their gradients and copies that is about 5 GB."""


@dataclass(frozen=True)
class Settings:
    """How a network for a table is built and trained; checked when it is made.

    Attributes:
        hidden: widths of the hidden layers; empty for none.
        activation: a name of `nn.ACTIVATIONS`.
        optimizer: a name of `optim.RULES`; `rate` None is its own first rate.
        epochs, batch: passes over the training part, rows in a mini-batch.
        seed: of the split, the first weights and the order of rows.
        validation: the fraction of rows held out.

    Raises:
        OptionError: a value out of range; the message names it and what is expected.

    >>> Settings(optimizer="sgd").rate
    0.1
    >>> Settings(hidden=(8, 0))
    Traceback (most recent call last):
        ...
    chainrule.errors.OptionError: --hidden 8,0: each layer needs a width from 1 to 65536; none means no layer
    """

    hidden: tuple[int, ...] = (8,)
    activation: str = "tanh"
    optimizer: str = "adam"
    rate: float | None = None
    epochs: int = 200
    batch: int = 16
    seed: int = 0
    validation: float = 0.2

    def __post_init__(self) -> None:
        _check_hidden(self.hidden)
        nn.activation(self.activation)
        rule = optim.rule(self.optimizer)
        if self.rate is None:
            object.__setattr__(self, "rate", rule.rate)
        _check_range("rate", self.rate, 0, math.inf, "0.01 is a usual start")
        _check_range("validation", self.validation, 0, 1, "0.2 holds out a fifth of the rows")
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            _check_integer(name, getattr(self, name), least)


def require_affordable(sizes: Sequence[int]) -> None:
    """Refuse a network of more parameters than training on a CPU can be meant with.

    Raises:
        OptionError: naming the number of parameters.

    >>> require_affordable((4, 8, 3))
    """
    count = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    if count > MAX_PARAMETERS:
        raise OptionError(
            f"--hidden: a network {'-'.join(map(str, sizes))} has {count:,} parameters, and "
            f"{MAX_PARAMETERS:,} is the limit; give smaller widths"
        )


def hidden_sizes(text: str) -> tuple[int, ...]:
    """The widths of hidden layers as written on the command line: ``8,8``, or ``none``.

    Raises:
        OptionError: something that is no whole number.

    >>> hidden_sizes("8, 4"), hidden_sizes("none")
    ((8, 4), ())
    """
    if text.strip().lower() == "none":
        return ()
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise OptionError(
            f"--hidden {text!r}: give the widths of the hidden layers as whole numbers separated by commas, "
            "such as 8,8, or none for no hidden layer"
        ) from None


def _check_hidden(hidden: tuple[int, ...]) -> None:
    if not all(isinstance(width, int) and 1 <= width <= MAX_WIDTH for width in hidden):
        widths = ",".join(str(width) for width in hidden)
        raise OptionError(
            f"--hidden {widths}: each layer needs a width from 1 to {MAX_WIDTH}; none means no layer"
        )


def _check_range(name: str, value: Any, low: float, high: float, hint: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
        limits = f"above {low}" if high == math.inf else f"between {low} and {high}"
        raise OptionError(f"--{name} {value}: it must be a number {limits}; {hint}")


def _check_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(f"--{name} {value}: it must be a whole number of at least {least}")
