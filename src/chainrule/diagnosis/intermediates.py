"""Intermediate values that the user computed: the first of them that is wrong, in the order of computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis.comparison import relative_error
from chainrule.diagnosis.holding import is_gradient_name
from chainrule.diagnosis.problem import as_array
from chainrule.diagnosis.sweep import Swept
from chainrule.errors import InputError
from chainrule.graph.ir import Variable
from chainrule.primitives import described


class Step(NamedTuple):
    """A value that both passes compute, in their order: forward, then backward from the loss."""

    name: str
    order: int
    variable: Variable
    truth: Any
    backward: bool


class Deviation(NamedTuple):
    """The first intermediate value that is wrong, and how many before it are right."""

    name: str
    variable: Variable
    backward: bool
    error: float
    right: tuple[str, ...]


def first_deviation(given: Mapping[str, Any], swept: Swept, tolerance: float) -> Deviation | None:
    """The first of the given values that is not what the two passes compute; None where all are right.

    A name is that of a value of the forward pass (`H`), or of its gradient (`dH`, `d_H`, `grad_H`, `delta_H`).
    Raises InputError for a name that stands for neither, and for another shape.
    """
    found = sorted(
        (_closest(name, np.asarray(as_array(a)), swept) for name, a in given.items()),
        key=lambda f: f[0].order,
    )
    right: list[str] = []
    for step, error in found:
        if not error <= tolerance:
            return Deviation(step.name, step.variable, step.backward, error, tuple(right))
        right.append(step.name)
    return None


def _closest(name: str, array: Any, swept: Swept) -> tuple[Step, float]:
    """What a name stands for (of several runs of a loop, that which it is nearest to), and the relative error."""
    steps = list(_called(name, swept))
    fitting = [s for s in steps if np.shape(s.truth) == array.shape]
    if not steps:
        known = sorted({v.hint for e in swept.flow.graph.equations for v in e.outputs if v.hint})
        raise InputError(
            f"check: intermediates has {name!r}, which {swept.flow.graph.name} does not compute; its values are "
            f"{', '.join(known) or 'not named'}, and their gradients are called as d_H, dH or grad_H"
        )
    if not fitting:
        raise InputError(
            f"check: intermediates[{name!r}] is {described(array)}; expected shape {steps[-1].truth.shape}"
        )
    errors = [relative_error(array, s.truth) for s in fitting]
    best = int(np.argmin(errors))
    return fitting[best], errors[best]


def _called(name: str, swept: Swept) -> Iterator[Step]:
    equations = swept.flow.graph.equations
    for index, equation in enumerate(equations):
        for variable in equation.outputs:
            total = swept.totals.get(variable)
            if variable.hint == name:
                yield Step(name, index, variable, swept.values[variable], False)
            elif total is not None and variable.hint and is_gradient_name(name, variable.hint):
                yield Step(name, 2 * len(equations) - index, variable, np.asarray(total), True)
