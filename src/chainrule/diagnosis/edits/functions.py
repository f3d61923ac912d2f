"""Mistakes in the derivative of one function: of an activation, a product, a normalisation, a cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.diagnosis.edits.candidates import (
    Candidate,
    Meaning,
    everywhere,
    function_name,
    generator,
    in_words,
    is_activation,
    later,
    sigmoid_of,
    softmax_of,
)
from chainrule.diagnosis.mistakes import MISTAKES, held_constant
from chainrule.diagnosis.scene import Scene
from chainrule.diagnosis.sweep import Contributions, Edit, Site, Values
from chainrule.graph.ir import Variable
from chainrule.primitives import names_of


@generator
def wrong_rules(scene: Scene) -> Iterator[Candidate]:
    """The wrong rules of the catalogue."""
    for group in scene.each_group():
        site = scene.leading(group)
        for number, mistake in enumerate(MISTAKES.get(site.equation.name, ())):
            wrong = mistake.primitive(site.equation.primitive)

            def override(at: Site, g: Any, values: Values, wrong: Any = wrong) -> Contributions:
                return at.pull(g, values, primitive=wrong)

            inputs = dict(zip(wrong.inputs, map(scene.name, site.equation.inputs), strict=False))
            says = mistake.says.format_map(inputs | {"out": scene.name(site.equation.outputs[0])})
            rank = 1.0 + 0.1 * number + later(group)
            yield Candidate(
                everywhere(scene, group, override), Meaning(mistake.code, in_words(group, says), rank), site
            )


@generator
def missing_derivatives(scene: Scene) -> Iterator[Candidate]:
    """The cotangent goes through an activation as it is."""
    for group in scene.each_group():
        site = scene.leading(group)
        if not is_activation(site):
            continue

        def straight(at: Site, g: Any, values: Values) -> Contributions:
            found: Contributions = [None] * len(at.equation.inputs)
            found[at.positions[0]] = g
            return found

        says = f"the derivative of the {function_name(site)} at {scene.name(site.equation.output)} is missing"
        yield Candidate(
            everywhere(scene, group, straight),
            Meaning("CR101", in_words(group, says), 0.5 + later(group)),
            site,
        )


@generator
def derivatives_at_wrong_values(scene: Scene) -> Iterator[Candidate]:
    """The derivative of an activation taken at its output instead of its input, or the reverse, or activated twice."""
    for group in scene.each_group():
        site = scene.leading(group)
        if not is_activation(site) or not site.equation.primitive.elementwise:
            continue
        name, out = site.equation.inputs[site.positions[0]], site.equation.output
        asked = names_of(site.equation.primitive.rules[site.equation.primitive.inputs[site.positions[0]]])
        by_output = "out" in asked

        def swapped(at: Site, g: Any, values: Values) -> Contributions:
            x, y = at.arrays(values)[at.positions[0]], at.out(values)
            return at.pull(g, values, arrays={at.positions[0]: y}, out=x)

        def twice(at: Site, g: Any, values: Values) -> Contributions:
            arrays = at.arrays(values)
            arrays[at.positions[0]] = at.out(values)
            again = at.equation.primitive.evaluate(arrays, dict(at.equation.parameters))
            return at.pull(g, values, arrays={at.positions[0]: at.out(values)}, out=again)

        function = function_name(site)
        taken, right = (name, out) if by_output else (out, name)
        says = f"the derivative of the {function}, a formula in {scene.name(right)}, is taken at {scene.name(taken)}"
        code = "CR103" if by_output else "CR104"
        yield Candidate(
            everywhere(scene, group, swapped), Meaning(code, in_words(group, says), 2 + later(group)), site
        )
        says = f"the derivative of the {function} is taken of {scene.name(out)}, which is activated already"
        yield Candidate(
            everywhere(scene, group, twice), Meaning("CR104", in_words(group, says), 2 + later(group)), site
        )


@generator
def derivatives_without_a_term(scene: Scene) -> Iterator[Candidate]:
    """The derivative of an activation taken at a part of its input: a bias or an offset is forgotten."""
    for group in scene.each_group():
        sites, site = scene.sites(group), scene.leading(group)
        if not is_activation(site) or not site.equation.primitive.elementwise:
            continue
        place = site.positions[0]
        sums = [scene.made_by.get(s.equation.inputs[place]) for s in sites]  # type: ignore[arg-type]
        if not all(e is not None and e.name in ("add", "subtract") for e in sums):
            continue
        for kept in (0, 1):
            terms = {s.index: e.inputs[kept] for s, e in zip(sites, sums, strict=True) if e is not None}

            def partly(at: Site, g: Any, values: Values, terms: Any = terms) -> Contributions:
                term, x = terms[at.index], at.arrays(values)[at.positions[0]]
                whole = np.broadcast_to(values[term] if isinstance(term, Variable) else term.value, x.shape)
                arrays = at.arrays(values)
                arrays[at.positions[0]] = whole
                out = at.equation.primitive.evaluate(arrays, dict(at.equation.parameters))
                return at.pull(g, values, arrays={at.positions[0]: whole}, out=out)

            first = next(e for e in sums if e is not None)
            lost, name = scene.name(first.inputs[1 - kept]), scene.name(site.equation.inputs[place])
            says = f"the derivative of the {function_name(site)} is taken at {name} without {lost}"
            yield Candidate(
                everywhere(scene, group, partly),
                Meaning("CR103", in_words(group, says), 2.7 + later(group)),
                site,
            )


@generator
def missing_factors(scene: Scene) -> Iterator[Candidate]:
    """A product or quotient whose other operand is forgotten."""
    for group in scene.each_group():
        site = scene.leading(group)
        if site.equation.name not in ("multiply", "divide"):
            continue
        for position in site.positions:
            other = site.equation.inputs[1 - position]
            if site.equation.name == "divide" and position == 1:
                continue

            def without(at: Site, g: Any, values: Values, position: int = position) -> Contributions:
                found = at.raw(g, values)
                for place in (0, 1) if at.equation.inputs[0] is at.equation.inputs[1] else (position,):
                    found[place] = g
                return at.fit(found, g)

            masked = isinstance(other, Variable) and scene.is_mask(other)
            code = "CR122" if masked else "CR106"
            verb = "division by" if site.equation.name == "divide" else "factor"
            into = scene.name(site.equation.inputs[position])
            says = f"the {verb} {scene.name(other)} is missing in the gradient of {into}"
            says = f"dropout's mask {scene.name(other)} is missing" if masked else says
            yield Candidate(
                everywhere(scene, group, without),
                Meaning(code, in_words(group, says), 1.5 + later(group)),
                site,
            )


@generator
def cotangents_left_out(scene: Scene) -> Iterator[Candidate]:
    """A derivative that is not multiplied by what arrives from above."""
    for group in scene.each_group():
        site = scene.leading(group)
        if site.equation.name in ("add", "subtract", "negative") or site.equation.primitive.outputs:
            continue

        def alone(at: Site, g: Any, values: Values) -> Contributions:
            return at.pull(np.ones_like(g), values)

        name = scene.name(site.equation.output)
        says = f"what arrives at {name} from above is left out: its derivative stands alone"
        yield Candidate(
            everywhere(scene, group, alone), Meaning("CR106", in_words(group, says), 2.4 + later(group)), site
        )


SPLIT: dict[str, tuple[Callable[..., Any], ...]] = {
    "sigmoid": (lambda g, a, p: g * p * (1 - a), lambda g, a, p: g * a * (1 - p)),
    "tanh": (lambda g, a, p: g * (1 - a * p),),
    "softmax": (lambda g, a, p: p * (g - (g * a).sum(-1, keepdims=True)),
                lambda g, a, p: a * (g - (g * p).sum(-1, keepdims=True))),
}  # fmt: skip

"""Derivatives that name the output a twice: with another value p in one of the two places."""


@generator
def half_replaced(scene: Scene) -> Iterator[Candidate]:
    """A derivative that is taken at the output in one place, and at another value in the other."""
    for group in scene.each_group():
        sites = scene.sites(group)
        out = tuple(s.equation.output for s in sites)
        for formula in SPLIT.get(sites[0].equation.name, ()):
            for series in scene.aligned(group, sites):
                if series == out or any(a.shape != b.shape for a, b in zip(series, out, strict=True)):
                    continue
                instead = {s.index: v for s, v in zip(sites, series, strict=True)}

                def override(
                    at: Site, g: Any, values: Values, formula: Any = formula, instead: Any = instead
                ) -> Contributions:
                    found: Contributions = [None] * len(at.equation.inputs)
                    found[at.positions[0]] = formula(g, at.out(values), values[instead[at.index]])
                    return found

                function, used, right = (
                    function_name(sites[0]),
                    scene.series_name(series),
                    scene.series_name(out),
                )
                says = f"in the derivative of the {function}, {used} stands in one of the places of {right}"
                meaning = Meaning("CR111", in_words(group, says), 3.2 + later(group))
                yield Candidate(Edit({s.index: override for s in sites}), meaning, sites[0])


@generator
def gamma_outside(scene: Scene) -> Iterator[Candidate]:
    """A normalisation whose scale is missing in the terms of mean and variance, or multiplied after them."""
    for group in scene.each_group():
        site = scene.leading(group)
        if not site.equation.name.startswith("standardized") or site.equation.name not in MISTAKES:
            continue
        for index, position in scene.flow.uses.get(site.equation.output, ()):
            using = scene.flow.sites[index].equation
            scale = using.inputs[1 - position] if using.name == "multiply" else None
            if not isinstance(scale, Variable):
                continue

            def outside(at: Site, g: Any, values: Values, scale: Any = scale) -> Contributions:
                found = at.pull(g / values[scale], values)
                return [None if c is None else c * values[scale] for c in found]

            def unscaled(at: Site, g: Any, values: Values, scale: Any = scale) -> Contributions:
                bare = g / values[scale]
                whole, less = (
                    at.pull(bare, values),
                    at.pull(bare, values, primitive=held_constant(at.equation.primitive)),
                )
                right = at.pull(g, values, primitive=held_constant(at.equation.primitive))
                parts = zip(right, whole, less, strict=True)
                return [None if c is None else c + (w - s) for c, w, s in parts]

            name = scene.name(scale)
            ways = (
                (outside, f"{name} is multiplied by after the terms of the mean and the variance"),
                (unscaled, f"{name} is missing in the terms of the mean and the variance"),
            )
            for override, says in ways:
                yield Candidate(
                    everywhere(scene, group, override), Meaning("CR121", says, 1.8 + later(group)), site
                )


@generator
def replaced_probabilities(scene: Scene) -> Iterator[Candidate]:
    """A cross-entropy in whose derivative, p - y, another value stands for p, or is multiplied with it."""
    for group in scene.each_group():
        sites = scene.sites(group)
        weigh = _WEIGHTS.get(sites[0].equation.name)
        if weigh is None:
            continue
        logits = [s.equation.inputs[0] for s in sites]
        for series in scene.aligned(group, sites):
            if any(a.shape != b.shape for a, b in zip(series, logits, strict=True)):
                continue
            instead, used = (
                {s.index: v for s, v in zip(sites, series, strict=True)},
                scene.series_name(series),
            )
            for times in (False, True):

                def override(
                    at: Site,
                    g: Any,
                    values: Values,
                    times: bool = times,
                    instead: Any = instead,
                    weigh: Any = weigh,
                ) -> Contributions:
                    found, other = at.pull(g, values), values[instead[at.index]]
                    p = (sigmoid_of if at.equation.name == "binary_cross_entropy" else softmax_of)(
                        at.arrays(values)[0]
                    )
                    found[0] = found[0] + weigh(g, at, values) * ((p * other if times else other) - p)
                    return found

                code, words = ("CR102", "is multiplied with") if times else ("CR111", "stands for")
                says = f"{used} {words} the probabilities before the targets are subtracted"
                yield Candidate(
                    Edit({s.index: override for s in sites}),
                    Meaning(code, in_words(group, says), 3.3),
                    sites[0],
                )


_WEIGHTS: dict[str, Callable[[Any, Site, Values], Any]] = {
    "cross_entropy_of_logits": lambda g, at, values: np.expand_dims(g, at.equation.parameters["axis"]),
    "cross_entropy_of_labels": lambda g, at, values: (
        g * at.arrays(values)[0].shape[-1] / at.arrays(values)[0].size
    ),
    "binary_cross_entropy": lambda g, at, values: g,
}

"""What each row of a cross-entropy's derivative is multiplied by."""
