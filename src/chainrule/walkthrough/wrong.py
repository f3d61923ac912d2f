"""The first wrong number of an account: where the first NaN or Inf is made, or a cotangent explodes or vanishes.

A NaN or Inf counts if the value or a gradient is not finite because of it: what a `where` leaves out does no harm. A
cotangent vanishes in one step where a function is flat at every place, or over many where its norm falls below
`VANISHING` times that of the cotangent of the network's last product, and explodes where it exceeds `EXPLODING` times
it. The comparison leaves out the loss, whose scale is free, and the parameters, whose gradients have the scale of the
data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.graph.ir import Equation, Variable
from chainrule.walkthrough.account import Account, arrives
from chainrule.walkthrough.causes import cause_of, flatness, places
from chainrule.walkthrough.numbers import norm, number
from chainrule.walkthrough.records import StepData, Wrong

EXPLODING, VANISHING = 1e4, 1e-8

_PRODUCTS = frozenset({"matmul", "linear", "affine", "contraction", "convolution"})


def first_wrong(account: Account, steps: Sequence[StepData]) -> Wrong | None:
    """The first wrong number; None where there is none."""
    cotangents = [w for w in (_flat(account, steps), _far_from_the_loss(account, steps)) if w is not None]
    first = min(cotangents, key=lambda wrong: wrong.step.number if wrong.step else 0, default=None)
    return _not_finite(account, steps) or first


# NaN and Inf -----------------------------------------------------------------------------------------------


def _not_finite(account: Account, steps: Sequence[StepData]) -> Wrong | None:
    """The first equation that makes a harmful number of good ones; or an array that is given with one."""
    definitions = {v: e for e in account.graph.equations for v in e.outputs}
    harmful = _harmful(account, definitions)
    given = next((v for v in account.given if v in harmful), None)
    if given is not None:
        return _located(given, account, None, f"{account.names[given]} is given with ")
    for equation in account.graph.equations:
        made = [v for v in equation.outputs if v in harmful]
        if made and not harmful.intersection(equation.used()):
            step = _step_with(made[0], account, steps, definitions)
            return _located(made[0], account, step, cause_of(equation, made[0], account))
    return None


def _located(variable: Variable, account: Account, step: StepData | None, cause: str) -> Wrong:
    value = np.asarray(account.values[variable])
    bad = ~np.isfinite(value)
    is_nan = bool(np.isnan(value).any())
    name = account.names.get(variable) or (step.name if step else "")
    if step is None:
        cause += f"{'NaN' if is_nan else 'Inf'}{places(bad)}"
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    return Wrong("nan" if is_nan else "inf", name, cause, step, at, int(bad.sum()))


def _harmful(account: Account, definitions: dict[Variable, Equation]) -> set[Variable]:
    """What is not finite and makes a result so."""
    found: set[Variable] = set()
    to_see = [o for o in account.graph.outputs if isinstance(o, Variable)]
    while to_see:
        variable = to_see.pop()
        if variable in found or _is_finite(account.values[variable]):
            continue
        found.add(variable)
        equation = definitions.get(variable)
        to_see += [] if equation is None else equation.used()
    return found


def _is_finite(value: Any) -> bool:
    return np.asarray(value).dtype.kind not in "fc" or bool(np.isfinite(value).all())


def _step_with(
    variable: Variable, account: Account, steps: Sequence[StepData], definitions: dict[Variable, Equation]
) -> StepData:
    """The step whose formula has the equation that makes a Variable in it."""
    stated = {v for part in account.parts for v in part.equation.outputs}

    def inside(equation: Equation) -> Iterator[Variable]:
        for used in equation.used():
            if used not in stated:
                yield used
                if used in definitions:
                    yield from inside(definitions[used])

    for part, step in zip(account.parts, steps, strict=True):
        if variable in part.equation.outputs or variable in inside(part.equation):
            return step
    return steps[-1]


# cotangents ------------------------------------------------------------------------------------------------


def _totals(account: Account, steps: Sequence[StepData]) -> dict[Variable, tuple[StepData, float]]:
    """The finished cotangent of each Variable: its step, and its norm."""
    found = {}
    for part, step in zip(account.parts, steps, strict=True):
        output = part.equation.outputs[0]
        if account.is_backward(output) and output.of is not None:
            found[output.of] = (step, norm(account.values[output]))
    return found


def _flat(account: Account, steps: Sequence[StepData]) -> Wrong | None:
    """A step through a function that is flat at every place."""
    totals = _totals(account, steps)
    users: dict[Variable, set[str]] = {}
    for equation in account.forward:
        for variable in equation.used():
            users.setdefault(variable, set()).add(equation.name)
    for part, step in zip(account.parts, steps, strict=True):
        if part.through is None or part.equation.primitive is not arrives:
            continue
        output = part.through.outputs[0]
        arrived = totals.get(output)
        if arrived is None or users.get(output, set()) <= {"sum", "mean"}:  # a penalty that is 0 is none
            continue
        why = flatness(part.through, account)
        if why and arrived[1] > 0 and norm(step.value) <= VANISHING * arrived[1]:
            return Wrong("vanishing", step.name, why, step, None, int(np.size(step.value)))
    return None


def _far_from_the_loss(account: Account, steps: Sequence[StepData]) -> Wrong | None:
    """A cotangent that has become small or large on its way through the network."""
    totals = _totals(account, steps)
    compared = _after_a_product(account, totals)
    if not compared:
        return None
    first, *others = compared
    start, reference = totals[first]
    for variable in others if reference else ():
        step, size = totals[variable]
        ratio = size / reference
        if ratio > EXPLODING or 0 < ratio < VANISHING:
            kind = "exploding" if ratio > 1 else "vanishing"
            cause = (
                f"the norm of {step.name} is {number(size)}, {ratio:.1e} times that of {start.name} in step "
                f"{start.number}{_strongest(account, steps, variable, first)}"
            )
            return Wrong(kind, step.name, cause, step, None, int(np.size(step.value)))
    return None


def _after_a_product(account: Account, active: Mapping[Variable, Any]) -> list[Variable]:
    """What the network computes with its data: products and all that depends on them, from the loss's side.

    Weights, and what is made of weights alone, have cotangents of another scale.
    """
    names = {e.name for e in account.forward}
    products = _PRODUCTS if names & _PRODUCTS else frozenset({"multiply"})
    computed: set[Variable] = set()
    last: dict[Variable, None] = {}
    for equation in account.forward:
        flowing = [a for a in equation.inputs if a in active]
        is_product = equation.name in products and len(flowing) > (equation.name not in _PRODUCTS)
        if is_product or computed.intersection(equation.used()):
            computed.update(equation.outputs)
        if is_product:
            last |= dict.fromkeys(v for v in equation.outputs if v in active)
    found = [v for v in active if v in computed]
    begin = next((i for i, v in enumerate(found) if v in last), len(found))
    return found[begin:]


def _strongest(account: Account, steps: Sequence[StepData], end: Variable, start: Variable) -> str:
    """The link between two cotangents that changes the norm most, on the way that carries most."""
    totals = _totals(account, steps)
    ways: dict[Variable, list[tuple[float, Variable, StepData]]] = {}
    for part, step in zip(account.parts, steps, strict=True):
        if part.equation.primitive is arrives and part.through is not None:
            to, made = (part.equation.parameters[n] for n in ("to", "made"))
            ways.setdefault(to, []).append((norm(step.value), made, step))
    links: list[tuple[float, StepData]] = []
    variable = end
    while variable is not start and variable in ways:
        size, made, step = max(ways[variable], key=lambda way: way[0])
        if made not in totals or not totals[made][1]:
            break
        links.append((size / totals[made][1], step))
        variable = made
    if not links:
        return ""
    grows = totals[end][1] > totals[start][1]
    factor, step = (max if grows else min)(links, key=lambda link: link[0])
    return f", {len(links)} links of the chain before; most in step {step.number}, {step.text}: {factor:.2g}-fold"
