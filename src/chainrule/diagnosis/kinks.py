"""Kinks: points at which a loss has one derivative on one side and another on the other."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from chainrule.diagnosis.comparison import relative_error
from chainrule.diagnosis.mistakes import CATALOGUE
from chainrule.diagnosis.report import Finding
from chainrule.diagnosis.search import Trial
from chainrule.diagnosis.sweep import Contributions, Edit, Flow, Site, Swept, Values
from chainrule.graph.ir import Variable

MOST = 6
"""Of so many kinks at one point, every combination of sides is looked at."""

_SIDES: dict[str, tuple[Any, ...]] = {
    "relu": (lambda x: x == 0, lambda x: x != 0),
    "abs": (lambda x: x == 0, lambda x: x != 0),
}
"""Functions of one argument with a kink at 0."""


class Kinks:
    """The gradients on the sides of a kink: the least and the largest value of each element."""

    def __init__(self, low: dict[Variable, Any], high: dict[Variable, Any], where: str) -> None:
        self.low, self.high, self.where = low, high, where

    def covers(self, variable: Variable, trial: Trial) -> bool:
        """Whether a claim lies between the one-sided gradients."""
        if variable not in self.low:
            return False
        room = trial.tolerances[variable]
        claim = trial.claims[variable]
        return bool(((claim >= self.low[variable] - room) & (claim <= self.high[variable] + room)).all())

    def finding(self, name: str, variable: Variable, trial: Trial, truth: Any) -> Finding:
        """What is said about a claim at a kink."""
        claim, low, high = trial.claims[variable], self.low[variable], self.high[variable]
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(claim - truth))), claim.shape))
        at = f" at {list(index)}" if index else ""
        sentence = (
            f"The loss has a kink exactly here ({self.where}): the derivative by {name}{at} is {low[index]:.6g} on "
            f"one side and {high[index]:.6g} on the other, and {claim[index]:.6g} is claimed. Ask at another point."
        )
        return Finding(
            name, "CR090", CATALOGUE["CR090"].title, sentence, "undecided", relative_error(claim, truth)
        )


def one_sided(flow: Flow, values: Values, swept: Swept) -> Kinks:
    """The gradients with each kink at this point taken to one side and to the other."""
    tied = [(s, sides) for s in flow.sites.values() if (sides := _sides(s, values))]
    if not tied:
        return Kinks({}, {}, "")
    true = swept.gradients()
    low, high = {v: g.copy() for v, g in true.items()}, {v: g.copy() for v, g in true.items()}
    for choice in product((0, 1), repeat=min(len(tied), MOST)):
        edit = Edit({s.index: sides[c] for (s, sides), c in zip(tied, choice, strict=False)})
        for v, g in swept.edited(edit).items():
            low[v], high[v] = np.minimum(low[v], g), np.maximum(high[v], g)
    changed = {v for v in low if (low[v] != high[v]).any()}
    name = tied[0][0].equation.name
    return Kinks({v: low[v] for v in changed}, {v: high[v] for v in changed}, f"in {name}")


def _sides(site: Site, values: Values) -> Any:
    """The rules for the two sides of a site that is at its kink; None for one that is not."""
    name, arrays = site.equation.name, site.arrays(values)
    if name in _SIDES:
        tie = np.asarray(arrays[0]) == 0
        slopes = (0.0, 1.0) if name == "relu" else (-1.0, 1.0)
        return [_with_slopes(tie, s) for s in slopes] if tie.any() else None
    if name in ("maximum", "minimum"):
        tie = np.asarray(arrays[0] == arrays[1])
        return [_with_shares(tie, s) for s in (0.0, 1.0)] if tie.any() else None
    if name in ("max", "min"):
        axis = site.equation.parameters["axis"]
        extreme = (
            arrays[0].max(axis=axis, keepdims=True)
            if name == "max"
            else arrays[0].min(axis=axis, keepdims=True)
        )
        tie = arrays[0] == extreme
        several = tie.sum(axis=axis, keepdims=True) > 1
        return (
            [_with_choice(tie & several, tie & ~several, axis, s) for s in (0, 1)] if several.any() else None
        )
    return None


def _with_slopes(tie: Any, slope: float) -> Any:
    def override(site: Site, g: Any, values: Values) -> Contributions:
        found = site.pull(g, values)
        found[0] = np.where(tie, g * slope, found[0])
        return found

    return override


def _with_shares(tie: Any, share: float) -> Any:
    def override(site: Site, g: Any, values: Values) -> Contributions:
        found = site.raw(g, values)
        for position, part in ((0, share), (1, 1 - share)):
            if found[position] is not None:
                found[position] = np.where(tie, g * part, found[position])
        return site.fit(found, g)

    return override


def _with_choice(tied: Any, alone: Any, axis: Any, side: int) -> Any:
    """All of the cotangent to the first, or to the last, of the elements that tie."""

    def override(site: Site, g: Any, values: Values) -> Contributions:
        found = site.pull(g, values)
        count = tied.sum(axis=axis, keepdims=True)
        whole = found[0] * np.where(tied, count, 1)
        order = np.cumsum(tied, axis=axis) if axis is not None else np.cumsum(tied).reshape(tied.shape)
        chosen = tied & (order == (1 if side == 0 else count))
        found[0] = np.where(tied, np.where(chosen, whole, 0.0), found[0])
        return found

    return override
