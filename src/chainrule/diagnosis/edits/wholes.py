"""Mistakes in a whole gradient: transposed, exchanged, regularised; and gradients of another loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from chainrule.diagnosis.edits.candidates import (
    Candidate,
    Meaning,
    generator,
    sigmoid_of,
    softmax_of,
)
from chainrule.diagnosis.scene import Scene
from chainrule.diagnosis.sweep import Edit, Values
from chainrule.graph.ir import Variable


@generator
def finished_gradients(scene: Scene) -> Iterator[Candidate]:
    """Gradients that are transposed, flipped, exchanged, or have a regulariser that the loss has not."""
    for variable in scene.flow.by:
        name, shape = scene.name(variable), variable.shape
        if len(shape) == 2 and shape[0] == shape[1] > 1:
            yield Candidate(
                Edit(changes={variable: lambda g, values: g.T}),
                Meaning("CR109", f"the gradient of {name} is transposed", 0.2),
            )
        if len(shape) == 1 and shape[0] > 1:
            backwards = Edit(changes={variable: lambda g, values: g[::-1]})
            yield Candidate(backwards, Meaning("CR129", f"the gradient of {name} is flipped", 1.5))
        if len(shape) >= 2:
            yield from _turned(variable, name)
        elif len(shape) == 1 and shape[0] > 2:
            yield Candidate(
                Edit(changes={variable: lambda g, values: g[::-1]}),
                Meaning("CR129", f"the gradient of {name} is flipped", 1.5),
            )
        for other in scene.flow.by:
            if other is not variable and other.shape == shape and other in scene.swept.totals:
                yield _exchanged(scene, variable, other)
        yield from _regularised(scene, variable)


def _turned(variable: Variable, name: str) -> Iterator[Candidate]:
    count = len(variable.shape)
    trailing = (slice(None),) * (count - 2) + (slice(None, None, -1),) * 2
    if count >= 2 and (count > 2 or min(variable.shape) > 1):
        yield Candidate(
            Edit(changes={variable: lambda g, values: g[trailing]}),
            Meaning("CR129", f"the gradient of {name} is flipped along its last two axes", 1.5),
        )
    if count > 2 and variable.shape[-1] == variable.shape[-2]:
        yield Candidate(
            Edit(changes={variable: lambda g, values: g.swapaxes(-1, -2)}),
            Meaning("CR109", f"the gradient of {name} is transposed in its last two axes", 1.5),
        )


def _exchanged(scene: Scene, variable: Variable, other: Variable) -> Candidate:
    def instead(g: Any, values: Values) -> Any:
        return scene.truth(values)[other]

    says = f"the gradient of {scene.name(other)} is given as that of {scene.name(variable)}"
    return Candidate(Edit(changes={variable: instead}), Meaning("CR111", says, 2.8))


def _regularised(scene: Scene, variable: Variable) -> Iterator[Candidate]:
    name = scene.name(variable)
    own = any(
        all(v in scene.regularising for v in scene.flow.sites[i].equation.outputs)
        for i, _ in scene.flow.uses.get(variable, ())
    )
    for shape, slope in (("", lambda x: x), ("sign of ", np.sign)):

        def with_part(factor: float, slope: Any = slope) -> Edit:
            return Edit(changes={variable: lambda g, values: g + factor * slope(values[variable])})

        def judge(factor: float, shape: str = shape) -> Meaning | None:
            constant = scene.constants.recognised(factor)
            if constant is None and abs(abs(factor) - 1) > 1e-9:
                return None
            words = f"{factor:.6g} times {shape}{name}"
            if own:
                return Meaning(
                    "CR126",
                    f"{words} too much: the regulariser of {name} has another factor in the loss",
                    1.7,
                )
            return Meaning(
                "CR127",
                f"{words} is added to the gradient of {name}, which the loss does not regularise",
                1.0,
            )

        yield Candidate(None, None, None, with_part, judge)


_LOSSES: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ("the squared error", lambda p, y: p - y),
    ("the binary cross-entropy", lambda p, y: (p - y) / (p * (1 - p))),
    ("the cross-entropy", lambda p, y: -y / p),
    ("the absolute error", lambda p, y: np.sign(p - y)),
    ("the hinge loss", lambda p, y: -y * (y * p < 1)),
    ("the sigmoid with cross-entropy", lambda p, y: sigmoid_of(p) - y),
    ("the softmax with cross-entropy", lambda p, y: softmax_of(p) - y),
    ("the squared error times the sigmoid's derivative", lambda p, y: (p - y) * p * (1 - p)),
    (
        "the squared error after a sigmoid",
        lambda p, y: (sigmoid_of(p) - y) * sigmoid_of(p) * (1 - sigmoid_of(p)),
    ),
    ("the squared error after a softmax", lambda p, y: softmax_of(p) - y),
    ("the cubed error", lambda p, y: (p - y) ** 2),
)

"""Derivatives of losses by the prediction p for the target y, up to a constant factor."""


@generator
def other_losses(scene: Scene) -> Iterator[Candidate]:
    """The derivative of another loss in the place of this one's."""
    for variable, target in _predictions(scene):
        for number, (words, slope) in enumerate(_LOSSES):

            def instead(factor: float, slope: Any = slope, v: Any = variable, target: Any = target) -> Edit:
                return Edit(changes={v: lambda g, values: factor * slope(values[v], target(values))})

            judge = partial(_judged_loss, scene, words, 2.2 + 0.01 * number)
            yield Candidate(None, None, scene.flow.made_at.get(variable), instead, judge)


def _judged_loss(scene: Scene, words: str, rank: float, factor: float) -> Meaning | None:
    constant = scene.constants.recognised(factor)
    if abs(abs(factor) - 1) > 1e-9 and constant is None:
        return None
    scale = "" if factor == 1 else f", times {factor:.6g}"
    return Meaning("CR119", f"this is the gradient of another loss: that of {words}{scale}", rank)


def _predictions(scene: Scene) -> Iterator[tuple[Variable, Callable[[Values], Any]]]:
    """Values that meet a target on the way to the loss, with the target."""
    data = [
        v for v in (*scene.graph.inputs, *scene.graph.constants, *scene.made_by)
        if v not in scene.parameters and v.value.ndim and not scene.depends_on_parameters(v)
    ]  # fmt: skip
    for variable in scene.flow.made_at:
        if variable.shape == () or variable.dtype.kind != "f":
            continue
        for target in data:
            if target.shape == variable.shape and _meets(scene, variable, target):
                yield variable, partial(_value_of, target)
            elif target.dtype.kind in "iu" and target.shape == variable.shape[:-1]:
                yield variable, partial(_rows_of, target, variable.shape[-1])


def _value_of(target: Variable, values: Values) -> Any:
    return values[target]


def _rows_of(target: Variable, classes: int, values: Values) -> Any:
    return np.eye(classes)[values[target]]


def _meets(scene: Scene, variable: Variable, target: Variable) -> bool:
    """Whether a target is used behind a value, and not to compute it."""
    seen: set[Variable] = {variable}
    for index in range(len(scene.equations)):
        equation = scene.equations[index]
        if seen.intersection(equation.used()):
            if target in equation.used() or any(
                u not in seen and _comes_from(scene, u, target) for u in equation.used()
            ):
                return True
            seen.update(equation.outputs)
    return False


def _comes_from(scene: Scene, variable: Variable, source: Variable) -> bool:
    equation = scene.made_by.get(variable)
    return equation is not None and source in equation.used() and not scene.depends_on_parameters(variable)
