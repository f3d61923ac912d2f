"""Candidates: what a generator of mistakes yields, and what generators have in common.

An exact candidate is one Edit of the true sweep. A family is an Edit for each number c, in which gradients are
linear; c is solved for, and `judge` must find a meaning for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.diagnosis.scene import Group, Scene
from chainrule.diagnosis.sweep import Contributions, Edit, Site, Values
from chainrule.graph.ir import Variable


class Meaning(NamedTuple):
    """What a candidate says: code, the part of a sentence, and how likely a person makes it (small first)."""

    code: str
    says: str
    rank: float


Judge: TypeAlias = "Callable[[float], Meaning | None]"

Family: TypeAlias = "Callable[[float], Edit]"


class Candidate(NamedTuple):
    """A possible mistake: an edit with its meaning, or a family of them with its judge."""

    edit: Edit | None
    meaning: Meaning | None
    site: Site | None = None
    family: Family | None = None
    judge: Judge | None = None


Generator: TypeAlias = "Callable[[Scene], Iterator[Candidate]]"

GENERATORS: list[Generator] = []

"""All generators, the likelier mistakes first."""


def generator(function: Generator) -> Generator:
    """Enter a generator."""
    GENERATORS.append(function)
    return function


def everywhere(scene: Scene, group: Group, override: Callable[[Site, Any, Values], Contributions]) -> Edit:
    """An edit of all sites of a group."""
    return Edit({site.index: override for site in scene.sites(group)})


def in_words(group: Group, text: str) -> str:
    """What is said of a group: whether it is about one run of a line only."""
    return text if group.whole else f"{text}, in one run of this line only"


def later(group: Group) -> float:
    """Mistakes in one run of a line are less likely than in the line."""
    return 0.0 if group.whole else 5.0


LINEAR = frozenset({
    "negative", "positive", "copy", "astype", "detached", "add", "subtract", "multiply", "divide", "matmul",
    "reshape", "permute_dims", "matrix_transpose", "flip", "roll", "getitem", "where", "index_update",
})  # fmt: skip


def is_activation(site: Site) -> bool:
    """Whether a site applies a function of one argument that keeps the shape, and is not linear."""
    equation = site.equation
    if equation.name in LINEAR or equation.primitive.outputs or len(site.positions) != 1:
        return False
    return equation.inputs[site.positions[0]].shape == equation.output.shape


def function_name(site: Site) -> str:
    """What a function is called in a sentence."""
    name = site.equation.name
    return {"relu": "ReLU", "pow": "power", "sqrt": "root", "abs": "absolute value"}.get(name, name)


def used_forward(scene: Scene, variable: Variable) -> bool:
    """Whether any equation of the forward pass uses a value."""
    return any(variable in e.used() for e in scene.equations)


def sigmoid_of(z: Any) -> Any:
    """The sigmoid."""
    return 1 / (1 + np.exp(-z))


def softmax_of(z: Any) -> Any:
    """The softmax along the last axis."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
