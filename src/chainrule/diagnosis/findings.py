"""From what was found to what is said: sentences in the user's names, the corrected line, and the proof."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis.comparison import relative_error
from chainrule.diagnosis.edits.factors import cancels
from chainrule.diagnosis.mistakes import CATALOGUE
from chainrule.diagnosis.problem import Problem, Traced
from chainrule.diagnosis.report import Finding
from chainrule.diagnosis.scene import Scene
from chainrule.diagnosis.search import Match
from chainrule.errors import ChainruleError
from chainrule.graph.derivation import Derivation, derive
from chainrule.graph.ir import Variable
from chainrule.trees import leaves

PROOF = 1e-8
"""A diagnosis is only given where its correction brings the relative error below this (in float64)."""


_FUSED = {
    "cross_entropy_of_logits": "softmax", "cross_entropy_of_labels": "softmax", "binary_cross_entropy": "sigmoid",
}  # fmt: skip
"""Cross-entropies that are recognised together with the activation before them."""


EQUALLY_LIKELY = 0.02
"""Two mistakes whose ranks differ by less are as likely as each other."""

TOLD_APART = (
    "At this one point other mistakes give the same numbers; another point, other sizes, or a function as the claim "
    "tells them apart."
)


class Convention(NamedTuple):
    """For which loss a claim is right: code, in words, and the factor."""

    code: str
    words: str
    factor: float


class Writer:
    """Findings about the parameters of one problem."""

    def __init__(self, problem: Problem, graph: Traced, scene: Scene, truth: Any, deadline: float) -> None:
        self.problem, self.graph, self.scene, self.truth, self.deadline = (
            problem,
            graph,
            scene,
            truth,
            deadline,
        )
        self._derivation: Derivation | None = None
        self._derived: dict[int, Any] | None = None

    # correct -------------------------------------------------------------------------------------------------------

    def correct(self, number: int) -> Finding:
        """A claim that is right; with a remark where people doubt it."""
        name = self.problem.names[number]
        error = relative_error(np.asarray(self.problem.claims[number], np.float64), self.truth[number])
        if self.problem.single and error > 1e-12:
            sentence = f"The difference of {error:.2g} is what float32 rounds."
            return Finding(name, "CR005", CATALOGUE["CR005"].title, sentence, "correct", error)
        remark = self._cancelled(self.graph.variables[number])
        if remark:
            return Finding(name, "CR001", CATALOGUE["CR001"].title, remark, "correct", error)
        return Finding(name, "CR000", CATALOGUE["CR000"].title, "", "correct", error)

    def _cancelled(self, variable: Variable) -> str:
        """Whether the last activation's derivative cancels with the loss's, for a parameter of the last layer."""
        scene = self.scene
        for site in scene.flow.sites.values():
            name = site.equation.name
            fused = _FUSED.get(name)
            if not fused and not (name in ("sigmoid", "softmax") and cancels(scene, site)):
                continue
            if self._reaches_directly(variable, site.equation.inputs[0]):
                function = fused or name
                return f"The derivative of the {function} does not appear: it cancels with that of the cross-entropy."
        return ""

    def _reaches_directly(self, variable: Variable, target: Any) -> bool:
        """Whether a parameter flows into a value through sums and products only."""
        pending, seen = [variable], {variable}
        while pending:
            for index, _ in self.scene.flow.uses.get(pending.pop(), ()):
                equation = self.scene.flow.sites[index].equation
                if equation.name not in (
                    "matmul",
                    "add",
                    "multiply",
                    "reshape",
                    "subtract",
                    "linear",
                    "affine",
                ):
                    continue
                if target in equation.outputs:
                    return True
                pending += [v for v in equation.outputs if v not in seen]
                seen.update(equation.outputs)
        return False

    # conventions ---------------------------------------------------------------------------------------------------

    def convention(self, factor: float, certain: bool) -> Convention | None:
        """The loss of which a multiple of the gradient is the gradient, if that number means something."""
        name = self.problem.name
        if abs(factor + 1) < 1e-7:
            words = (
                f"This is the gradient of -{name}: to make {name} smaller, add it instead of subtracting it."
            )
            return Convention("CR004", words, -1.0)
        if self.problem.single:
            near = [c for c in self.scene.constants.known if abs(c.value - abs(factor)) <= 1e-4 * c.value]
            factor = float(np.copysign(near[0].value, factor)) if near else factor
        constant = self.scene.constants.recognised(factor)
        if constant is None:
            if not certain:
                return None
            return Convention("CR002", f"This is the gradient of {factor:.6g} * {name}; no size in {name} explains the "
                              f"number.", factor)  # fmt: skip
        if constant.counts_rows and factor > 0:
            summed = "the sum instead of the mean" if factor > 1 else "the mean instead of the sum"
            return Convention(
                "CR003", f"This is the gradient of {summed}: {name} times {constant.words}.", factor
            )
        return Convention("CR002", f"This is the gradient of {name} times {constant.words}.", factor)

    def conventional(self, number: int, convention: Convention, error: float, after: float) -> Finding:
        """A claim that is the gradient of another multiple of the loss."""
        title = CATALOGUE[convention.code].title
        return Finding(
            self.problem.names[number], convention.code, title, convention.words, "convention", error, after
        )

    # wrong ---------------------------------------------------------------------------------------------------------

    def wrong(self, number: int, error: float, matches: list[Match], wrong: list[int]) -> Finding:
        """A claim that is wrong: with the likeliest mistake, if any reproduces it and its correction is proved."""
        name, variable = self.problem.names[number], self.graph.variables[number]
        correction, after = self._corrected(number)
        usable = [m for m in matches if after is not None and (after < PROOF or self.problem.single)]
        if not usable:
            return self._unknown(number, error, wrong)
        best = usable[0]
        codes = list(dict.fromkeys(m.code for m in best.meanings))
        code = "+".join(codes)
        title = ", and ".join(CATALOGUE[c].title for c in codes)
        sentence = "; and ".join(m.says for m in best.meanings)
        named = re.search(rf"(gradients? of|regulariser of) {re.escape(name)}(?!\w)", sentence)
        sentence = (
            f"{sentence[0].upper()}{sentence[1:]}." if named else f"In the gradient of {name}: {sentence}."
        )
        others = [m for m in usable[1:] if m.codes != best.codes]
        alternatives = dict.fromkeys((x.code, CATALOGUE[x.code].title) for m in others for x in m.meanings)
        site = next((s for s in best.sites if s is not None), None)
        reproduced = best.misses(variable)
        others_fit = tuple(a for a in alternatives if a[0] not in codes)[:4]
        proof = max(after or 0.0, reproduced)
        line = best.language.scene.line(site)
        if others_fit and len(best.language.trials) == 1:
            rival = others[0]
            if len(rival.meanings) == len(best.meanings) and rival.rank - best.rank < EQUALLY_LIKELY:
                return self._coinciding(number, error, [best, rival], line)
            sentence += f" {TOLD_APART}"
        return Finding(name, code, title, sentence, "wrong", error, proof, correction, others_fit, line)

    def _coinciding(self, number: int, error: float, rivals: list[Match], line: str | None) -> Finding:
        """What is said where two mistakes are as likely, and give the same numbers at the only point that is known."""
        name = self.problem.names[number]
        said = "; or ".join(f"{m.meanings[0].says} ({'+'.join(m.codes)})" for m in rivals)
        sentence = f"In the gradient of {name}, either of these gives the claimed numbers: {said}. "
        sentence += "Another point, other sizes, or a function as the claim tells them apart."
        codes = tuple((c, CATALOGUE[c].title) for m in rivals for c in m.codes)
        correction, after = self._corrected(number)
        return Finding(
            name,
            "CR092",
            CATALOGUE["CR092"].title,
            sentence,
            "undecided",
            error,
            after,
            correction,
            codes,
            line,
        )

    def _unknown(self, number: int, error: float, wrong: list[int]) -> Finding:
        name = self.problem.names[number]
        claim, truth = np.asarray(self.problem.claims[number], np.float64), self.truth[number]
        index = (
            tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(claim - truth))), truth.shape))
            if truth.size
            else ()
        )
        where = f" at {list(index)}" if index else ""
        sentence = f"The worst element{where} is {claim[index]:.6g} and should be {truth[index]:.6g}."
        right = [self.problem.names[i] for i in self.problem.claims if i not in wrong]
        if right:
            sentence += f" Right: {', '.join(right)}; so the mistake is in what these do not need."
        correction, _ = self._corrected(number)
        return Finding(name, "CR199", CATALOGUE["CR199"].title, sentence, "unknown", error, None, correction)

    # the correction ------------------------------------------------------------------------------------------------

    def lines_for(self, name: str) -> str | None:
        """The lines that compute the gradient of a value of the forward pass."""
        if self._derived is None:
            self._derive()
        return None if self._derivation is None else corrected_lines(self._derivation.source, name)

    def _corrected(self, number: int) -> tuple[str | None, float | None]:
        """The corrected lines, and the error of what they compute against the engine's gradient."""
        if self._derived is None:
            self._derive()
        if self._derivation is None or self._derived is None or number not in self._derived:
            return None, None
        after = relative_error(np.asarray(self._derived[number]), self.truth[number])
        return corrected_lines(self._derivation.source, self.problem.names[number]), after

    def _derive(self) -> None:
        """Derive the gradient, and run what was derived."""
        self._derived = {}
        problem = self.problem
        wanted = sorted({problem.paths[i][0] for i in problem.claims})
        try:
            with np.errstate(all="ignore"):
                self._derivation = derive(problem.loss, *problem.args, argnums=tuple(wanted))
                arrays = [a for a in problem.args if any(True for _ in leaves(a))]
                _, gradients = self._derivation.function(*arrays)
        except (ChainruleError, ValueError, TypeError):
            return
        for position, gradient in zip(wanted, gradients, strict=True):
            found = dict(leaves(gradient)) if not isinstance(gradient, np.ndarray) else {"": gradient}
            for i in problem.claims:
                at, path = problem.paths[i]
                if at == position and path in found:
                    self._derived[i] = found[path]


def corrected_lines(source: str, name: str) -> str | None:
    r"""The line that computes the gradient of a parameter, and those before it that it needs, if they are few.

    >>> corrected_lines("def f():\n    # backward\n    d_Z = D / 3   # (2,)\n    d_W = X.T @ d_Z", "W")
    'd_Z = D / 3\nd_W = X.T @ d_Z'
    """
    _, _, backward = source.partition("# backward\n")
    lines = {}
    for line in backward.splitlines():
        found = re.match(r"\s+(\w+) = (.*?)(?:\s{2,}#.*)?$", line)
        if found:
            lines[found[1]] = found[2]
    target = f"d_{name}"
    if target not in lines:
        return None
    needed, pending = [target], [target]
    while pending:
        for word in re.findall(r"\w+", lines[pending.pop()]):
            if word in lines and word not in needed:
                needed.append(word)
                pending.append(word)
    kept = [n for n in lines if n in needed] if len(needed) <= 8 else [target]
    return "\n".join(f"{n} = {lines[n]}" for n in kept)
