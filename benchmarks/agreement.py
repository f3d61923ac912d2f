"""Refuse to compare contestants that do not compute the same training step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.contestants import Contestant
from benchmarks.models import Array, Model

STEPS = 3
TOLERANCE = 1e-3


class Disagreement(Exception):
    """Two contestants train differently, so their times mean nothing beside each other."""


@dataclass(frozen=True)
class Outcome:
    """The loss of each step, and how far each parameter moved from its initial value."""

    losses: list[float]
    moves: list[Array]


def check_agreement(model: Model, contestants: Mapping[str, Contestant]) -> None:
    """Run ``STEPS`` steps of each; raise `Disagreement` unless losses and parameters are the first one's.

    Parameters are compared by how far they moved, because small steps leave even a wrong update close
    to the right parameters.
    """
    outcomes = {name: outcome(model, name, contestant) for name, contestant in contestants.items()}
    reference_name, reference = next(iter(outcomes.items()))
    for name, other in outcomes.items():
        differences = [difference(np.asarray(other.losses), np.asarray(reference.losses))]
        differences += [difference(*pair) for pair in zip(other.moves, reference.moves, strict=True)]
        if not max(differences) < TOLERANCE:
            shown = ", ".join(f"{each:.1e}" for each in differences)
            raise Disagreement(
                f"{model.name}: after {STEPS} steps {name} differs from {reference_name}, relative to the "
                f"largest change, by {shown} (losses, then each parameter); allowed is {TOLERANCE:.0e}"
            )


def outcome(model: Model, name: str, contestant: Contestant) -> Outcome:
    losses = [number(model, name, contestant.step()) for _ in range(STEPS)]
    moves = []
    for before, after in zip(model.parameters(), contestant.parameters(), strict=True):
        if after.dtype != np.float32 or after.shape != before.shape:
            raise Disagreement(f"{model.name}: {name} left a parameter as {after.dtype} {after.shape}")
        moves.append(after.astype(np.float64) - before)
    return Outcome(losses, moves)


def number(model: Model, name: str, loss: Any) -> float:
    """The number in a loss of any of the libraries, if it was computed in float32."""
    if not str(loss.dtype).endswith("float32"):
        raise Disagreement(f"{model.name}: {name} computes the loss in {loss.dtype}")
    return float(loss.item())


def difference(mine: Array, theirs: Array) -> float:
    """The largest difference, relative to the largest element of ``theirs``."""
    return float(np.abs(mine - theirs).max() / np.abs(theirs).max())
