"""Matrix products with wrong transposes, and sums over the wrong axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from chainrule.diagnosis.edits.candidates import (
    Candidate,
    Meaning,
    everywhere,
    generator,
    in_words,
    later,
)
from chainrule.diagnosis.scene import Scene
from chainrule.diagnosis.sweep import Contributions, Site, Values

_Way: TypeAlias = "tuple[str, str, Callable[[Any, Any, Any], Any]]"


def _products(position: int) -> Iterator[_Way]:
    """Ways to write the gradient of one operand of x @ y wrongly: code, words, formula of (g, x, y)."""
    turned = ((False, False), (True, False), (False, True), (True, True))
    for (first, second), g_is_first in product(turned, (True, False)):
        if (first, second, g_is_first) == ((False, True, True) if position == 0 else (True, False, False)):
            continue

        def formula(
            g: Any, x: Any, y: Any, a: bool = first, b: bool = second, first_g: bool = g_is_first
        ) -> Any:
            other = y if position == 0 else x
            left, right = (g, other) if first_g else (other, g)
            return (left.mT if a else left) @ (right.mT if b else right)

        whole = (first, second, g_is_first) == (
            (False, True, False) if position == 0 else (True, False, True)
        )
        yield ("CR109", "the product is transposed", formula) if whole else (
            "CR110", "a matrix is transposed that should not be, or the reverse", formula)  # fmt: skip
    elementwise = "an elementwise product is taken for the matrix product"
    yield "CR112", elementwise, lambda g, x, y: g * (y if position == 0 else x)
    yield "CR112", elementwise, lambda g, x, y: g * (y if position == 0 else x).mT
    yield "CR106", "the other operand is left out", lambda g, x, y: g
    yield "CR106", "the other operand is left out", lambda g, x, y: g.mT
    yield "CR106", "what arrives from above is left out", lambda g, x, y: y if position == 0 else x
    yield "CR106", "what arrives from above is left out", lambda g, x, y: (y if position == 0 else x).mT


def _vector_products(site: Site, position: int) -> Iterator[_Way]:
    """As `_products`, for a matrix times a vector or the reverse."""
    x, y = site.equation.inputs
    if len(x.shape) == 2 and position == 0:
        yield "CR109", "the outer product is transposed", lambda g, x, y: np.outer(y, g)
        yield "CR112", "an elementwise product is taken for the outer product", lambda g, x, y: g * y + 0 * x
    elif len(y.shape) == 2 and position == 1:
        yield "CR109", "the outer product is transposed", lambda g, x, y: np.outer(g, x)
        yield "CR112", "an elementwise product is taken for the outer product", lambda g, x, y: g * x + 0 * y
    elif len(x.shape) == 2:
        yield "CR106", "the matrix is left out", lambda g, x, y: g
        yield "CR110", "the matrix is not transposed", lambda g, x, y: x @ g
        yield (
            "CR112",
            "an elementwise product is taken for the matrix product",
            lambda g, x, y: np.diag(x) * g,
        )
    elif len(y.shape) == 2:
        yield "CR106", "the matrix is left out", lambda g, x, y: g
        yield "CR110", "the matrix is not transposed", lambda g, x, y: g @ y
        yield (
            "CR112",
            "an elementwise product is taken for the matrix product",
            lambda g, x, y: np.diag(y) * g,
        )


@generator
def wrong_products(scene: Scene) -> Iterator[Candidate]:
    """Matrix products without their transposes, in the wrong order, or taken elementwise."""
    for group in scene.each_group():
        site = scene.leading(group)
        if site.equation.name != "matmul":
            continue
        shapes = [len(a.shape) for a in site.equation.inputs]
        for position in site.positions:
            ways = _products(position) if min(shapes) >= 2 else _vector_products(site, position)
            for number, (code, words, formula) in enumerate(ways):

                def override(
                    at: Site, g: Any, values: Values, formula: Any = formula, position: int = position
                ) -> Contributions:
                    found = at.raw(g, values)
                    made = formula(g, *at.arrays(values))
                    found[position] = np.broadcast_to(made, at.equation.inputs[position].shape)
                    return at.fit(found, g)

                says = f"in the gradient of {scene.name(site.equation.inputs[position])}, {words}"
                yield Candidate(
                    everywhere(scene, group, override),
                    Meaning(code, in_words(group, says), 1.0 + 0.01 * number + later(group)), site,
                )  # fmt: skip


def _reductions(shape: Any) -> Iterator[tuple[str, str, Callable[[Any], Any]]]:
    """Ways to bring a cotangent to the shape of a broadcast input that are wrong."""
    yield "CR114", "summed over all axes", lambda raw: np.full(shape, raw.sum())
    yield "CR114", "summed over the wrong axis", lambda raw: raw.sum(-1).reshape(shape)
    yield (
        "CR115",
        "averaged, not summed",
        lambda raw: raw.mean(_broadcast_axes(raw.shape, shape)).reshape(shape),
    )
    yield "CR115", "averaged over all axes", lambda raw: np.full(shape, raw.mean())
    yield "CR113", "that of the first row only, not summed over the batch", lambda raw: _one_of(raw, shape, 0)
    yield "CR113", "that of the last row only, not summed over the batch", lambda raw: _one_of(raw, shape, -1)


def _broadcast_axes(wide: Any, shape: Any) -> tuple[int, ...]:
    extra = len(wide) - len(shape)
    return (*range(extra), *(i + extra for i, n in enumerate(shape) if n != wide[i + extra]))


def _one_of(raw: Any, shape: Any, place: int) -> Any:
    axes = _broadcast_axes(raw.shape, shape)
    return raw[tuple(place if i in axes else slice(None) for i in range(raw.ndim))].reshape(shape)


@generator
def wrong_sums(scene: Scene) -> Iterator[Candidate]:
    """What arrives at a value that was broadcast is reduced in another way than by its sum."""
    for group in scene.each_group():
        site = scene.leading(group)
        primitive = site.equation.primitive
        if not primitive.broadcasts or primitive.outputs:
            continue
        for position in site.positions:
            shape = site.equation.inputs[position].shape
            if shape == site.equation.output.shape or (not primitive.elementwise and position == 0):
                continue
            if not primitive.elementwise and len(shape) >= len(site.equation.output.shape):
                continue
            for number, (code, words, reduce) in enumerate(_reductions(shape)):

                def override(
                    at: Site, g: Any, values: Values, reduce: Any = reduce, position: int = position
                ) -> Contributions:
                    found = at.raw(g, values)
                    found[position] = reduce(np.broadcast_to(found[position], at.equation.output.shape))
                    return at.fit(found, g)

                says = f"the gradient of {scene.name(site.equation.inputs[position])} is {words}"
                yield Candidate(
                    everywhere(scene, group, override),
                    Meaning(code, in_words(group, says), 0.8 + 0.01 * number + later(group)), site,
                )  # fmt: skip
