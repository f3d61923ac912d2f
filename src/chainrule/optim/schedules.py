"""How the learning rate changes in the course of a training."""

from __future__ import annotations

import math
from collections.abc import Callable

from chainrule.errors import OptionError

Schedule = Callable[[float], float]
"""The factor on the learning rate, by how much of the training is done: from 0 to below 1."""

SCHEDULES: dict[str, Schedule] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,  # Loshchilov and Hutter (2017), one period
    "exponential": lambda done: 0.01**done,
    "steps": lambda done: 0.1 ** int(3 * done),
    "warmup-cosine": lambda done: (
        0.1 + 9 * done if done < 0.1 else (1 + math.cos(math.pi * (done - 0.1) / 0.9)) / 2
    ),
}


def schedule(name: str) -> Schedule:
    """The schedule of that name.

    Raises:
        OptionError: there is none of that name; the message lists those that there are.

    >>> [round(schedule("cosine")(done), 3) for done in (0, 0.5, 0.75)]
    [1.0, 0.5, 0.146]
    """
    if name.lower() not in SCHEDULES:
        raise OptionError(f"there is no schedule {name!r}: choose one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name.lower()]
