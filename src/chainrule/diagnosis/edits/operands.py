"""Rules that are given another value than the right one: an operand, a cotangent, an updated weight."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
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
    used_forward,
)
from chainrule.diagnosis.scene import Group, Scene, Series
from chainrule.diagnosis.sweep import Contributions, Edit, Site, Values
from chainrule.graph.ir import Variable
from chainrule.primitives import names_of


@generator
def wrong_operands(scene: Scene) -> Iterator[Candidate]:
    """A residual that is replaced by another value of the same shape."""
    for group in scene.each_group():
        sites = scene.sites(group)
        primitive = sites[0].equation.primitive
        if primitive.variadic or primitive.outputs:
            continue
        for position in scene.leading(group).positions:
            asked = names_of(primitive.rules[primitive.inputs[position]])
            some = [s for s in sites if position in s.positions]
            for source in [
                -1 if n == "out" else primitive.inputs.index(n)
                for n in asked
                if n == "out" or n in primitive.inputs
            ]:
                yield from _replaced_operands(scene, group, some, position, source)


def _replaced_operands(
    scene: Scene, group: Group, sites: list[Site], position: int, source: int
) -> Iterator[Candidate]:
    atoms = [s.equation.output if source < 0 else s.equation.inputs[source] for s in sites]
    if not all(isinstance(a, Variable) for a in atoms):
        return
    yield from _shifted_operands(scene, group, sites, position, source)
    turns = (False, True) if sites[0].equation.name == "matmul" and len(atoms[0].shape) == 2 else (False,)
    for series, turned in product(scene.aligned(group, sites), turns):
        shapes = [v.shape[::-1] if turned else v.shape for v in series]
        if (list(series) == atoms and not turned) or shapes != [a.shape for a in atoms]:
            continue
        override = partial(
            _with_operand, dict(zip([s.index for s in sites], series, strict=True)), turned, position, source
        )
        meaning = _operand_meaning(scene, group, sites[0], series, atoms, position)
        if turned:
            meaning = meaning._replace(rank=meaning.rank + 0.2)
        yield Candidate(Edit({s.index: override for s in sites}), meaning, sites[0])


def _with_operand(
    instead: dict[int, Variable], turned: bool, position: int, source: int, at: Site, g: Any, values: Values
) -> Contributions:
    """The contributions of a site, that to one input with another residual."""
    other, inputs = values[instead[at.index]], at.equation.inputs
    other = other.mT if turned else other
    if source >= 0 and inputs[source] is inputs[position]:
        return at.pull(g, values, arrays={source: other, position: other})  # x * x
    found = at.pull(g, values)
    changes = {"out": other} if source < 0 else {"arrays": {source: other}}
    found[position] = at.pull(g, values, **changes)[position]
    return found


@generator
def wrong_numerators(scene: Scene) -> Iterator[Candidate]:
    """The derivative of a quotient by its denominator, with another value for the numerator."""
    for group in scene.each_group():
        sites, site = scene.sites(group), scene.leading(group)
        if site.equation.name != "divide" or 1 not in site.positions:
            continue
        right = tuple(s.equation.inputs[0] for s in sites)
        for series in scene.aligned(group, sites):
            if series == right or any(v.shape != a.shape for v, a in zip(series, right, strict=True)):
                continue
            instead = dict(zip([s.index for s in sites], series, strict=True))

            def override(at: Site, g: Any, values: Values, instead: Any = instead) -> Contributions:
                found, (_, y) = at.raw(g, values), at.arrays(values)
                found[1] = -g * values[instead[at.index]] / (y * y)
                return at.fit(found, g)

            into, used = scene.name(site.equation.inputs[1]), scene.series_name(series)
            says = f"in the gradient of {into}, {used} is used in the place of {scene.name(right[0])}"
            yield Candidate(Edit({s.index: override for s in sites}),
                            Meaning("CR111", in_words(group, says), 2.9 + later(group)), site)  # fmt: skip


def _shifted_operands(
    scene: Scene, group: Group, sites: list[Site], position: int, source: int
) -> Iterator[Candidate]:
    """In each run of a loop, the operand of the run before or after."""
    every = [scene.equations[i] for i in group.equations]
    atoms = [e.output if source < 0 else e.inputs[source] for e in every if source < len(e.inputs)]
    if len(set(atoms)) < 2 or len(atoms) < len(every) or len({a.shape for a in atoms}) > 1:
        return
    shifts = [a for a in atoms if isinstance(a, Variable)]
    if len(shifts) < len(atoms):
        return
    for by, word in ((-1, "before"), (1, "after")):
        shifted = dict(zip(group.equations, shifts[by:] + shifts[:by], strict=True))
        override = partial(_with_operand, shifted, False, position, source)
        into, used = scene.name(sites[0].equation.inputs[position]), scene.name(atoms[-1])
        says = f"in the gradient of {into}, {used} of the run of the loop {word} is used"
        yield Candidate(Edit({s.index: override for s in sites}), Meaning("CR111", says, 2.6), sites[0])


def _operand_meaning(
    scene: Scene, group: Group, site: Site, series: Series, atoms: list[Any], position: int
) -> Meaning:
    used, right = scene.series_name(series), scene.series_name(tuple(atoms))
    into = scene.name(site.equation.inputs[position])
    rank = 2.5 + later(group) - (0.3 if series[0].hint or series[0].is_input else 0.0)
    if is_activation(site):
        masked = scene.made_by.get(series[0])
        if masked is not None and any(isinstance(a, Variable) and scene.is_mask(a) for a in masked.inputs):
            function = function_name(site)
            return Meaning("CR122", f"the derivative of the {function} is taken at {used}, after dropout's mask, "
                           f"not at {right}", rank)  # fmt: skip
        says = f"the derivative of the {function_name(site)} is taken at {used}, not at {right}"
        return Meaning("CR103", in_words(group, says), rank + 0.5)
    if not used_forward(scene, series[0]) and not scene.depends_on_parameters(atoms[0]):
        return Meaning("CR123", f"{used} is used backward, where {right} was used forward", rank - 1)
    if any(isinstance(a, Variable) and scene.is_mask(a) for a in (series[0], atoms[0])):
        return Meaning("CR122", f"{used} is used in the place of {right} in the gradient of {into}", rank)
    return Meaning(
        "CR111", in_words(group, f"in the gradient of {into}, {used} is used in the place of {right}"), rank
    )


@generator
def flipped_operands(scene: Scene) -> Iterator[Candidate]:
    """A kernel that is used in reverse."""
    for group in scene.each_group():
        site = scene.leading(group)
        if site.equation.name not in ("matmul", "multiply"):
            continue
        for position in site.positions:
            kernel = site.equation.inputs[1 - position]
            if (
                not isinstance(kernel, Variable)
                or not kernel.shape
                or kernel not in scene.from_parameters_only
            ):
                continue

            def override(at: Site, g: Any, values: Values, position: int = position) -> Contributions:
                found = at.pull(g, values)
                turned = np.flip(at.arrays(values)[1 - position])
                found[position] = at.pull(g, values, arrays={1 - position: turned})[position]
                return found

            says = f"{scene.name(kernel)} is flipped in the gradient of {scene.name(site.equation.inputs[position])}"
            yield Candidate(
                everywhere(scene, group, override), Meaning("CR129", in_words(group, says), 2.6), site
            )


@generator
def other_cotangents(scene: Scene) -> Iterator[Candidate]:
    """The gradient of another value, one further towards the loss, in the place of that of a result."""
    for group in scene.each_group():
        sites, site = scene.sites(group), scene.leading(group)
        if site.equation.primitive.outputs:
            continue
        for series in scene.aligned(group, sites):
            if not all(_is_behind(scene, v, s) for v, s in zip(series, sites, strict=True)):
                continue
            instead = {s.index: v for s, v in zip(sites, series, strict=True)}
            for position in site.positions:

                def override(
                    at: Site, g: Any, values: Values, position: int = position, instead: Any = instead
                ) -> Contributions:
                    found, other = at.pull(g, values), values.arrived(instead[at.index])
                    found[position] = at.pull(other, values)[position]
                    return found

                yield Candidate(Edit({s.index: override for s in sites}),
                                _cotangent_meaning(scene, group, site, series, position), site)  # fmt: skip


def _is_behind(scene: Scene, variable: Variable, site: Site) -> bool:
    """Whether a value of the shape of a site's result is made after it, and has a gradient."""
    made = scene.flow.made_at.get(variable)
    return made is not None and made.index > site.index and variable.shape == site.equation.output.shape


def _cotangent_meaning(scene: Scene, group: Group, site: Site, series: Series, position: int) -> Meaning:
    into, used = scene.name(site.equation.inputs[position]), scene.series_name(series)
    right = scene.name(site.equation.output)
    made = scene.flow.made_at[series[0]]
    if is_activation(made):
        function = function_name(made)
        says = f"the gradient of {into} is computed from that of {used}, without the derivative of the {function}"
        return Meaning("CR101", in_words(group, says), 1.9 + later(group))
    says = f"the gradient of {into} is computed from that of {used}, not from that of {right}"
    return Meaning("CR111", in_words(group, says), 3.0 + later(group))


@generator
def updated_weights(scene: Scene) -> Iterator[Candidate]:
    """Weights that were moved along their claimed gradient before the gradients of earlier layers were computed."""
    moved = [v for v, claim in scene.claims.items() if claim.shape == v.shape]
    using = {v: _reading(scene, v) for v in moved}
    several = [v for v in moved if using[v]]
    for variables in [[v] for v in several] + ([several] if len(several) > 1 else []):
        indices = [i for v in variables for i in using[v]]
        name = scene.name(variables[0]) if len(variables) == 1 else "every weight"

        def stepped(factor: float, variables: Any = variables, indices: Any = indices) -> Edit:
            return Edit({i: partial(_with_moved, scene, variables, factor) for i in indices})

        yield Candidate(None, None, scene.flow.sites[indices[0]], stepped, partial(_judged_update, name))


_VIEWS = ("permute_dims", "matrix_transpose", "reshape", "getitem")


def _reading(scene: Scene, variable: Variable) -> list[int]:
    """The sites whose rules read a value, or a view of it."""
    found: list[int] = []
    for index, _ in scene.flow.uses.get(variable, ()):
        equation = scene.equations[index]
        if equation.name in _VIEWS:
            found += _reading(scene, equation.output)
        elif not equation.primitive.outputs and not equation.primitive.variadic:
            found.append(index)
    return found


def _with_moved(
    scene: Scene, variables: list[Variable], factor: float, at: Site, g: Any, values: Values
) -> Contributions:
    claims = scene.claims_at(values)
    moved = {v: values[v] + factor * claims[v] for v in variables}
    arrays = {}
    for place, atom in enumerate(at.equation.inputs):
        other = _moved_view(scene, atom, moved, values)
        if other is not None:
            arrays[place] = other
    return at.pull(g, values, arrays=arrays)


def _moved_view(scene: Scene, atom: Any, moved: dict[Variable, Any], values: Values) -> Any:
    """What a value, or a view of it, is after the move; None where it did not move."""
    if atom in moved:
        return moved[atom]
    made = scene.made_by.get(atom)
    if made is None or made.name not in _VIEWS:
        return None
    before = _moved_view(scene, made.inputs[0], moved, values)
    if before is None:
        return None
    assert isinstance(made.inputs[0], Variable)
    (after,) = made.evaluate({**values, made.inputs[0]: before})
    return after


def _judged_update(name: str, factor: float) -> Meaning | None:
    if not -10 < factor < -1e-9:
        return None
    return Meaning("CR201", f"{name} was updated already (with a rate of {-factor:.4g}) when used in the gradients of "
                   f"earlier layers", 4.0)  # fmt: skip
