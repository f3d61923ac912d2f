"""The search for the edit of the true sweep that reproduces what is claimed: one edit, then two."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from chainrule.diagnosis.comparison import scale_of
from chainrule.diagnosis.edits import GENERATORS, POOLED, Candidate, Meaning
from chainrule.diagnosis.scene import Scene
from chainrule.diagnosis.sweep import Edit, Site, Swept, Values
from chainrule.errors import ChainruleError
from chainrule.graph.ir import Variable

Gradients = Mapping[Variable, Any]


@dataclass
class Trial:
    """A point at which claims are known: the sweep, the claims, and how far a claim may be from what it is."""

    values: Values
    swept: Swept
    claims: Gradients
    tolerances: Mapping[Variable, float]

    def matches(self, variable: Variable, gradient: Any) -> bool:
        """Whether a gradient is what is claimed."""
        claim = self.claims[variable]
        return gradient.shape == claim.shape and bool(
            np.abs(gradient - claim).max(initial=0.0) <= self.tolerances[variable]
        )


ENOUGH = 1.0
"""After so many seconds, an explanation is not compared with less likely ones any more."""


class Language(NamedTuple):
    """One of the graphs of a loss as the search sees it: the first of `trials` finds, the others confirm.

    `unlikely` is more, the less of what people know by name was recognised in it.
    """

    scene: Scene
    trials: list[Trial]
    unlikely: float = 0.0


@dataclass
class Match:
    """An edit that reproduces the claims of some parameters; `breaks` are claims that it does not leave right."""

    meanings: tuple[Meaning, ...]
    edit: Edit
    sites: tuple[Site | None, ...]
    language: Language
    explains: frozenset[Variable]
    breaks: frozenset[Variable] = frozenset()

    @property
    def codes(self) -> tuple[str, ...]:
        """Which mistakes it consists of."""
        return tuple(m.code for m in self.meanings)

    @property
    def rank(self) -> float:
        """How unlikely it is."""
        same = len(self.meanings) > 1 and len(set(self.codes)) == 1  # one mistake that is made in two places
        return sum(m.rank for m in self.meanings) + 100 * (len(self.meanings) - 1) - 1.5 * same

    def misses(self, variable: Variable) -> float:
        """The relative error of the gradient with the mistake in it against what is claimed."""
        trial = self.language.trials[0]
        found = self.language.scene.flow.at(trial.values, self.edit).gradients()[variable]
        size = scale_of(trial.claims[variable], trial.swept.totals.get(variable, 0.0))
        gap = float(np.abs(found - trial.claims[variable]).max(initial=0.0))
        return gap / size if size else gap


@dataclass
class Outcome:
    """What a search found: for each parameter the matches, likeliest first; and why it stopped, if it did."""

    matches: dict[Variable, list[Match]] = field(default_factory=dict)
    stopped: str | None = None


_IMPOSSIBLE = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    ChainruleError,
    np.linalg.LinAlgError,
)
"""What an edit raises that makes no sense where it is tried: shapes that do not fit."""


class Search:
    """The search for edits that explain the wrong claims and leave the correct ones as they are."""

    def __init__(self, wrong: Iterable[Variable], correct: Iterable[Variable], deadline: float) -> None:
        self.wrong, self.correct = frozenset(wrong), frozenset(correct)
        self.deadline = deadline
        self.stopped: str | None = None

    def run(self, languages: Iterable[Language]) -> Outcome:
        """Single edits in each language; of single runs of loops; then pairs for what is left unexplained."""
        matches: list[Match] = []
        known: list[Language] = []
        for language in languages:
            known.append(language)
            matches += self._singles(language)
            if self._explained(matches) or self._late():
                break
        for language in known:
            if not self._explained(matches, broken=True) and not self._late():
                language.scene.singly = True
                matches += self._singles(language)
                language.scene.singly = False
        outcome = Outcome(self._assigned(matches))
        missing = self.wrong - outcome.matches.keys()
        for language in known:
            if missing and not self._late():
                doubtful = {v for v, found in outcome.matches.items() if found[0].breaks}
                pairs = self._assigned(self._pairs(language, matches, missing | doubtful))
                for variable, found in pairs.items():
                    if variable in missing or (variable in doubtful and not found[0].breaks):
                        outcome.matches[variable] = found
                missing = self.wrong - outcome.matches.keys()
        outcome.stopped = self.stopped if missing else None
        return outcome

    def _explained(self, matches: list[Match], broken: bool = False) -> bool:
        """Whether every wrong claim is explained, by edits that break no right one unless that is allowed."""
        return self.wrong <= frozenset().union(*(m.explains for m in matches if broken or not m.breaks))

    def _late(self) -> bool:
        if time.monotonic() > self.deadline:
            self.stopped = "the time was up before everything was tried; give it more with seconds="
        return self.stopped is not None

    # one edit --------------------------------------------------------------------------------------------------

    def _singles(self, language: Language) -> Iterator[Match]:
        """Every candidate; where that takes long, only until everything is explained."""
        begun, explained = time.monotonic(), frozenset[Variable]()
        for generate in GENERATORS:
            for candidate in generate(language.scene):
                for match in self._tried(language, candidate, language.trials[0].swept, self.wrong, ()):
                    explained |= match.explains if not match.breaks else frozenset()
                    yield match
                if self._late():
                    return
            if explained == self.wrong and time.monotonic() - begun > ENOUGH:
                return

    def _tried(
        self,
        language: Language,
        candidate: Candidate,
        swept: Swept,
        wanted: frozenset[Variable],
        before: tuple[Match, ...],
    ) -> Iterator[Match]:
        """The matches of a candidate on top of those before."""
        try:
            resolved = list(self._resolved(language, candidate, swept, wanted))
        except _IMPOSSIBLE:
            return
        for edit, meaning, explains, changed in resolved:
            whole = edit
            for match in before:
                whole = match.edit | whole
            if before:
                changed = {**swept.gradients(), **changed}
            breaks = frozenset(
                p for p in self.correct & changed.keys() if not language.trials[0].matches(p, changed[p])
            )
            if all(self._confirmed(whole, explains, other) for other in language.trials[1:]):
                meanings = (*(m for match in before for m in match.meanings), meaning)
                sites = (*(s for match in before for s in match.sites), candidate.site)
                yield Match(meanings, whole, sites, language, explains, breaks)

    def _resolved(
        self, language: Language, candidate: Candidate, swept: Swept, wanted: frozenset[Variable]
    ) -> Iterator[tuple[Edit, Meaning, frozenset[Variable], Gradients]]:
        if candidate.edit is not None and candidate.meaning is not None:
            if not language.scene.flow.reached(candidate.edit) & wanted:
                return
            changed = swept.edited(candidate.edit)
            explains = frozenset(
                p for p in wanted & changed.keys() if language.trials[0].matches(p, changed[p])
            )
            if explains:
                yield candidate.edit, candidate.meaning, explains, changed
        elif candidate.family is not None and candidate.judge is not None:
            yield from self._solved(language, candidate, swept, wanted)

    def _solved(
        self, language: Language, candidate: Candidate, swept: Swept, wanted: frozenset[Variable]
    ) -> Iterator[tuple[Edit, Meaning, frozenset[Variable], Gradients]]:
        """The members of a family that reproduce a claim: gradients are linear in the factor."""
        assert candidate.family is not None
        assert candidate.judge is not None
        if not language.scene.flow.reached(candidate.family(1.0)) & wanted:
            return
        none, one = swept.edited(candidate.family(0.0)), swept.edited(candidate.family(1.0))
        factors = {
            p: self._factor(language.trials[0], p, none[p], one[p]) for p in wanted & none.keys() & one.keys()
        }
        for factor in dict.fromkeys(f for f in factors.values() if f is not None):
            alike = [
                p
                for p, f in factors.items()
                if f is not None and abs(f - factor) <= 1e-6 * abs(factor) + 1e-10
            ]
            meaning = candidate.judge(factor)
            evidence = sum(none[p].size for p in alike) * len(language.trials)  # a rate is any number
            if meaning is None or (meaning.code == "CR201" and evidence < 4):
                continue
            changed = {p: none[p] + factor * (one[p] - none[p]) for p in none}
            yield candidate.family(factor), meaning, frozenset(alike), changed

    def _factor(self, trial: Trial, variable: Variable, none: Any, one: Any) -> float | None:
        claim = trial.claims[variable]
        if none.shape != claim.shape:
            return None
        direction, gap = one - none, claim - none
        size = float((direction * direction).sum())
        if not size > 0:
            return None
        factor = float((gap * direction).sum()) / size
        factor = round(factor) if abs(factor - round(factor)) < 1e-9 else factor
        return float(factor) if trial.matches(variable, none + factor * direction) else None

    def _confirmed(self, edit: Edit, explains: frozenset[Variable], other: Trial) -> bool:
        try:
            found = other.swept.edited(edit)
        except _IMPOSSIBLE:
            return False
        return all(p in found and other.matches(p, found[p]) for p in explains)

    # which match explains which parameter ------------------------------------------------------------------------

    def _assigned(self, matches: list[Match]) -> dict[Variable, list[Match]]:
        """For each parameter its matches: those that explain the most parameters and break none come first."""
        chosen: dict[Variable, list[Match]] = {}
        remaining = set(self.wrong)
        while remaining:
            fitting = [m for m in matches if m.explains & remaining]
            if not fitting:
                break
            fitting.sort(
                key=lambda m: (-len(m.explains & remaining), len(m.breaks), m.rank + m.language.unlikely)
            )
            best = fitting[0]
            covered = best.explains & remaining
            alike = [m for m in fitting if covered <= m.explains and len(m.breaks) == len(best.breaks)]
            for variable in covered:
                chosen[variable] = alike
            remaining -= covered
        return chosen

    # two edits ---------------------------------------------------------------------------------------------------

    def _pairs(self, language: Language, singles: list[Match], missing: frozenset[Variable]) -> list[Match]:
        """Pairs of edits that explain parameters that no single edit does; the likelier kinds of pairs first."""
        found: list[Match] = []
        for first, second in self._kinds_of_pairs(language, singles):
            for match in first:
                if self._late():
                    return found
                try:
                    swept = Swept(language.scene.flow, language.trials[0].values, match.edit)
                except _IMPOSSIBLE:
                    continue
                for candidate in second:
                    found += self._tried(language, candidate, swept, missing, (match,))
            if found and frozenset().union(*(m.explains for m in found)) >= missing:
                return found
        return found

    def _kinds_of_pairs(
        self, language: Language, singles: list[Match]
    ) -> Iterator[tuple[list[Match], list[Candidate]]]:
        everything = [(g.__name__, c) for g in GENERATORS for c in g(language.scene)]
        partly = sorted(
            (m for m in singles if m.language is language and not m.breaks), key=lambda m: m.rank
        )[:12]
        families = [c for _, c in everything if c.family is not None]
        exact = [c for _, c in everything if c.edit is not None and c.meaning is not None]
        pooled = {g.__name__ for g in POOLED}
        common = [
            c for name, c in everything if name not in pooled and c.edit is not None and c.meaning is not None
        ]
        yield partly, [c for _, c in everything]
        yield [_alone(language, c) for c in common], families
        yield [_alone(language, c) for c in exact], families
        yield [_alone(language, c) for c in common], common
        yield [_alone(language, c) for c in common], exact


def _alone(language: Language, candidate: Candidate) -> Match:
    assert candidate.edit is not None
    assert candidate.meaning is not None
    return Match((candidate.meaning,), candidate.edit, (candidate.site,), language, frozenset())
