"""`check`: a claimed gradient is compared, explained, and the explanation proved."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from chainrule.backward import first_bad
from chainrule.diagnosis.comparison import common_factor, noise, relative_error, scale_of
from chainrule.diagnosis.differences import LARGEST_ERROR, SMALL_ERROR, Differences, recognised_differences
from chainrule.diagnosis.findings import Writer
from chainrule.diagnosis.intermediates import first_deviation
from chainrule.diagnosis.kinks import one_sided
from chainrule.diagnosis.mistakes import CATALOGUE
from chainrule.diagnosis.problem import Arrays, Problem, Traced, fresh, traced
from chainrule.diagnosis.report import Finding, Report
from chainrule.diagnosis.resizing import with_other_rows
from chainrule.diagnosis.scene import Scene
from chainrule.diagnosis.search import Language, Match, Outcome, Search, Trial
from chainrule.diagnosis.shapes import shape_finding
from chainrule.diagnosis.sweep import Flow, values_at
from chainrule.errors import ChainruleError
from chainrule.graph.ir import Variable

TOLERANCE = {False: 1e-8, True: 1e-5}
"""The relative error up to which a claim is right, by whether float32 was used."""


def check(
    loss: Callable[..., Any], args: Any, claimed: Any, *, seconds: float = 10.0, seed: int = 0,
    tolerance: float | None = None, mute: tuple[str, ...] = (), intermediates: Mapping[str, Any] | None = None,
) -> Report:  # fmt: skip
    """Which mistake is in a gradient that was derived by hand.

    `loss` is a function to one number, of plain NumPy or of anything that the engine differentiates; `args` is the
    tuple of its arguments (arrays, numbers, or trees of them). `claimed` has the tree of `args`, with the claimed
    gradient in the place of each array and None for what is not claimed; or it is a function of the same arguments
    that computes that tree, and is then also called at random points, which tells mistakes apart that coincide at
    one. The search for a mistake ends after about `seconds`. `tolerance` is the relative error that counts as right
    (1e-8, for float32 1e-5; what rounding explains is never an error); `mute` has the codes not to report.
    `intermediates` are values that you computed on the way, by the names of the loss's values and of their gradients
    (`{"H": H, "dZ2": dZ2}`): the report says which is the first one that is wrong.

    Raises InputError for arguments without gradients, for a claim of another structure, and for a loss that is no
    scalar or is random.

    >>> X, y = np.eye(3), np.array([1.0, 0.0, 1.0])
    >>> def loss(w):
    ...     return ((np.tanh(X @ w) - y) ** 2).sum()
    >>> w = np.array([0.1, -0.2, 0.3])
    >>> a = np.tanh(X @ w)
    >>> report = check(loss, (w,), (X.T @ (2 * (a - y)),))
    >>> report.findings[0].code, report.findings[0].title
    ('CR101', 'missing activation derivative')
    """
    started = time.monotonic()
    problem = Problem(loss, args, claimed)
    left = seconds - (time.monotonic() - started)
    return examined(problem, left, seed, tolerance, tuple(mute), intermediates=intermediates)


def examined(
    problem: Problem, seconds: float, seed: int, tolerance: float | None, mute: tuple[str, ...], *,
    conventions: bool = True, intermediates: Mapping[str, Any] | None = None,
) -> Report:  # fmt: skip
    """The report on a problem; without `conventions`, a gradient times a number is as wrong as any other."""
    deadline = time.monotonic() + seconds
    problem.checked_value()
    check = _Check(problem, deadline, seed, tolerance, mute, conventions)
    check.intermediates = intermediates or {}
    return check.report()


class _Check:
    """One call of `check`."""

    def __init__(
        self, problem: Problem, deadline: float, seed: int, tolerance: float | None, mute: tuple[str, ...],
        conventions: bool, *, resizes: bool = True,
    ) -> None:  # fmt: skip
        self.problem, self.deadline, self.mute, self.conventions = problem, deadline, mute, conventions
        self.rng = np.random.default_rng(seed)
        self.tolerance = TOLERANCE[problem.single] if tolerance is None else tolerance
        self.truth = problem.gradient({})
        self.notes: list[str] = []
        self.findings: dict[int, Finding] = {}
        self.stopped: str | None = None
        self.points, self.resizes = 1, resizes
        self.intermediates: Mapping[str, Any] = {}
        self.outcome: dict[int, list[Match]] = {}

    def report(self) -> Report:
        for number in self.problem.claims:
            finding = self._unusable(number)
            if finding is not None:
                self.findings[number] = finding
        rest = [i for i in self.problem.claims if i not in self.findings]
        if rest:
            self._compare(rest)
        ordered = [self.findings[i] for i in sorted(self.findings)]
        return Report(ordered, tuple(self.notes), self.stopped, self.points, self.mute)

    # what cannot be compared --------------------------------------------------------------------------------------

    def _unusable(self, number: int) -> Finding | None:
        name, claim, truth = self.problem.names[number], self.problem.claims[number], self.truth[number]
        bad = first_bad(truth)
        if bad is not None:
            sentence = f"The true gradient of {name} is {bad}: the loss has no derivative at this point."
            title = "cannot tell: the true gradient is not finite"
            return Finding(name, "CR090", title, sentence, "undecided", float("nan"))
        if claim.shape != truth.shape:
            return shape_finding(name, claim, truth, self.tolerance)
        bad = first_bad(claim)
        if bad is not None:
            sentence = f"The claimed gradient of {name} is {bad}; the true one is finite."
            return Finding(name, "CR199", "wrong: not a finite number", sentence, "unknown", float("inf"))
        return None

    # comparing ------------------------------------------------------------------------------------------------------

    def _compare(self, numbers: list[int]) -> None:
        found = self._followed(numbers)
        if found is None:
            self._without_graph(numbers)
            return
        graph, flows = found
        flow = flows[0]
        variables = {i: graph.variables[i] for i in numbers}
        points = self._points(graph, flow, variables)
        if self.intermediates:
            self._localise(points[0], graph, variables)
        wrong = {
            i for i in numbers for p in points if not p.trial.matches(variables[i], p.truth[variables[i]])
        }
        if not wrong:
            self._all_correct(numbers, points, flow, graph)
            return
        bare = _without_guards(graph, points, variables)
        conventional = self._convention(numbers, points, points, graph, flow)
        if not conventional and not (bare and self._convention(numbers, points, bare, graph, flow)):
            excused = self._excused(wrong, points, bare, variables)
            flows += [Flow(each, list(variables.values())) for each in graph.bare if bare]
            self._explain(numbers, wrong - excused, points, graph, flows)

    def _followed(self, numbers: list[int]) -> tuple[Traced, list[Flow]] | None:
        """The graphs whose sweep agrees with the engine, that in the person's language first."""
        try:
            graph = traced(self.problem)
        except ChainruleError as error:
            self.notes.append(f"No mistake was searched for: {str(error).splitlines()[0]}")
            return None
        flows = []
        for each in graph.graphs:
            flow = Flow(each, [graph.variables[i] for i in numbers])
            found = flow.at(values_at(each, {v: v.value for v in each.inputs})).gradients()
            worst = max(relative_error(found[graph.variables[i]], self.truth[i]) for i in numbers)
            if worst < 1e-6 or self._within_noise(
                flow, found, {graph.variables[i]: self.truth[i] for i in numbers}
            ):
                flows.append(flow)
        if flows:
            return graph, flows
        self.notes.append(
            "No mistake was searched for: what was traced does not reproduce the engine's gradient."
        )
        return None

    def _within_noise(self, flow: Flow, found: Any, truth: Any) -> bool:
        values = values_at(flow.graph, {v: v.value for v in flow.graph.inputs})
        floor = noise(flow, values, found, False, self.rng)
        return all(np.abs(found[v] - truth[v]).max(initial=0.0) <= floor[v] for v in truth)

    def _without_graph(self, numbers: list[int]) -> None:
        for i in numbers:
            error = relative_error(self.problem.claims[i], self.truth[i])
            verdict = "correct" if error <= self.tolerance else "unknown"
            code, title = ("CR000", "correct") if verdict == "correct" else ("CR199", "wrong")
            sentence = (
                ""
                if verdict == "correct"
                else "The loss could not be followed, so that no mistake can be named."
            )
            self.findings[i] = Finding(self.problem.names[i], code, title, sentence, verdict, error)

    def _points(self, graph: Traced, flow: Flow, variables: dict[int, Variable]) -> list[_Point]:
        """The user's point; and, where the claim is a function, random ones."""
        inputs = {v: self.problem.values[i] for i, v in graph.variables.items()}
        points = [
            self._point(
                flow, inputs, {variables[i]: self.problem.claims[i] for i in variables}, self.truth, variables
            )
        ]
        for _ in range(4 if self.problem.function else 0):
            moved = fresh({i: self.problem.values[i] for i in graph.variables}, self.rng)
            claims = self.problem.claims_at(moved)
            if claims is None:
                continue
            if all(np.array_equal(claims[i], c) for i, c in self.problem.claims.items()):
                self.notes.append(
                    "The claimed function gives the same arrays at every point; one point was compared."
                )
                break
            try:
                truth = self.problem.gradient(moved)
            except ChainruleError:
                continue
            values = {v: moved.get(i, self.problem.values[i]) for i, v in graph.variables.items()}
            arrays = [a for i in variables for a in (claims[i], truth[i])]
            if all(np.isfinite(a).all() for a in arrays):
                points.append(
                    self._point(flow, values, {variables[i]: claims[i] for i in variables}, truth, variables)
                )
            if len(points) == 3:
                break
        self.points = len(points)
        return points

    def _point(
        self, flow: Flow, inputs: dict[Variable, Any], claims: dict[Variable, Any], truth: Arrays,
        variables: dict[int, Variable],
    ) -> _Point:  # fmt: skip
        values = values_at(flow.graph, inputs)
        swept = flow.at(values)
        true = {v: np.asarray(truth[i], np.float64) for i, v in variables.items()}
        claims = {v: np.asarray(c, np.float64) for v, c in claims.items()}
        floor = noise(flow, values, swept.gradients(), self.problem.single, self.rng)
        tolerances = {
            v: max(self.tolerance * (float(np.abs(true[v]).max(initial=0.0)) or 1e-300), floor[v])
            for v in claims
        }
        return _Point(Trial(values, swept, claims, tolerances), true, inputs)

    def _all_correct(self, numbers: list[int], points: list[_Point], flow: Flow, graph: Traced) -> None:
        writer = self._writer(graph, flow, points)
        for i in numbers:
            self.findings[i] = writer.correct(i)

    def _writer(self, graph: Traced, flow: Flow, points: list[_Point]) -> Writer:
        scene = Scene(flow, points[0].trial.values, points[0].trial.claims)
        return Writer(self.problem, graph, scene, self.truth, self.deadline)

    def _localise(self, point: _Point, graph: Traced, variables: dict[int, Variable]) -> None:
        """Note which of the user's intermediate values is the first that is wrong."""
        plain = Flow(graph.graphs[-1], list(variables.values()))
        found = first_deviation(
            self.intermediates, plain.at(values_at(plain.graph, point.inputs)), self.tolerance
        )
        if found is None:
            self.notes.append(f"Right: {', '.join(self.intermediates)}.")
            return
        right = f" (right before it: {', '.join(found.right)})" if found.right else ""
        note = f"The first value that is wrong is {found.name}, relative error {found.error:.2g}{right}."
        if found.backward:
            lines = self._writer(graph, Flow(graph.graphs[0], plain.by), [point]).lines_for(
                found.variable.hint
            )
            note += f" It should be\n{lines}" if lines else ""
        self.notes.append(note)

    # conventions ----------------------------------------------------------------------------------------------------

    def _convention(
        self, numbers: list[int], points: list[_Point], truths: list[_Point], graph: Traced, flow: Flow
    ) -> bool:
        """Whether everything that is claimed is the gradient of the loss times one number that means something."""
        if not self.conventions or len(numbers) < len(self.problem.claims):
            return False
        factors = [common_factor(p.trial.claims, p.truth, p.trial.tolerances) for p in truths]
        known = [f for f in factors if f is not None]
        if len(known) < len(points) or not np.allclose(
            known, known[0], rtol=1e-3 if self.problem.single else 1e-6
        ):
            return False
        factor = known[0]
        if abs(factor - 1) < 1e-6:
            return False
        writer = self._writer(graph, flow, points)
        elements = sum(self.truth[i].size for i in numbers)
        meaning = writer.convention(factor, certain=len(points) > 1 or elements > 3)
        if meaning is None:
            return False
        for i in numbers:
            error = relative_error(self.problem.claims[i], self.truth[i])
            after = relative_error(self.problem.claims[i] / factor, truths[0].truth[graph.variables[i]])
            self.findings[i] = writer.conventional(i, meaning, error, after)
        return True

    # what is no mistake -----------------------------------------------------------------------------------------------

    def _excused(
        self, wrong: set[int], points: list[_Point], bare: list[_Point], variables: dict[int, Variable]
    ) -> set[int]:
        """The claims that leave out a guard only, or are finite differences."""
        guarded, differences = set(), dict[int, Differences]()
        for i in wrong:
            v = variables[i]
            if bare and all(p.trial.matches(v, p.truth[v]) for p in bare):
                self.findings[i] = self._without_guard(i, bare[0].truth[v])
                guarded.add(i)
            elif found := self._by_differences(i, [(p.trial.claims[v], p.truth[v]) for p in points]):
                differences[i] = found
        return guarded | self._enough(differences)

    def _enough(self, differences: dict[int, Differences]) -> set[int]:
        """Those that are no coincidence: of one or two elements, some step comes near to almost any mistake."""
        sizes = Counter[Differences]()
        for i, found in differences.items():
            sizes[found] += int(np.size(self.problem.claims[i]))
        kept = {i for i, f in differences.items() if sizes[f] > 2 or self.findings[i].error < SMALL_ERROR}
        for i in differences.keys() - kept:
            del self.findings[i]
        return kept

    def _without_guard(self, number: int, bare: Any) -> Finding:
        claim, name = np.asarray(self.problem.claims[number], np.float64), self.problem.names[number]
        sentence = (
            f"{self.problem.name} has a guard against infinity (a tiny number that is added, or that bounds a value), "
            f"and the claim leaves it out: without it, this is the gradient."
        )
        error, after = relative_error(claim, self.truth[number]), relative_error(claim, bare)
        return Finding(name, "CR009", CATALOGUE["CR009"].title, sentence, "convention", error, after)

    def _by_differences(
        self, number: int, pairs: list[tuple[Any, Any]], *, roughly: bool = False
    ) -> Differences | None:
        """The finite differences that a claim is found to be, which is then said."""
        errors = [relative_error(claim, truth) for claim, truth in pairs]
        if max(errors) > LARGEST_ERROR:
            return None
        deadline = max(self.deadline, time.monotonic() + 0.5) if roughly else time.monotonic() + 1.0
        (claim, truth), value = pairs[0], np.asarray(self.problem.values[number])
        found = recognised_differences(
            claim, truth, value, partial(self.problem.moved, number), deadline, roughly=roughly
        )
        if found is None:
            return None
        name, title = self.problem.names[number], CATALOGUE["CR010"].title
        sentence = f"The error is that of {found}."
        self.findings[number] = Finding(name, "CR010", title, sentence, "correct", errors[0])
        return found

    # explaining -----------------------------------------------------------------------------------------------------

    def _explain(
        self, numbers: list[int], wrong: set[int], points: list[_Point], graph: Traced, flows: list[Flow]
    ) -> None:
        """Search at a point where something is wrong, a random one if there is; confirm at the others."""
        variables = {i: graph.variables[i] for i in numbers}
        kinks = one_sided(flows[0], points[0].trial.values, points[0].trial.swept)
        for i in sorted(wrong):
            at_user = points[0].trial.matches(variables[i], points[0].truth[variables[i]])
            elsewhere = all(p.trial.matches(variables[i], p.truth[variables[i]]) for p in points[1:])
            if not at_user and elsewhere and kinks.covers(variables[i], points[0].trial):
                self.findings[i] = kinks.finding(
                    self.problem.names[i], variables[i], points[0].trial, self.truth[i]
                )
        wrong = {i for i in wrong if i not in self.findings}
        ordered = points[1:] + points[:1]
        here = next((p for p in ordered if any(p.wrong(variables[i]) for i in wrong)), points[0])
        searched = [here, *(p for p in points if p is not here)]
        scene = Scene(flows[0], here.trial.values, here.trial.claims)
        correct = [variables[i] for i in numbers if i not in wrong and i not in self.findings]
        search = Search([variables[i] for i in wrong], correct, self.deadline)
        outcome = (
            search.run(_language(flow, searched, 0.5 * i) for i, flow in enumerate(flows))
            if wrong
            else Outcome()
        )
        self.stopped = outcome.stopped
        self.outcome = {i: outcome.matches.get(variables[i], []) for i in wrong}
        self._tell_apart()
        writer = Writer(self.problem, graph, scene, self.truth, self.deadline)
        if self._only_elsewhere(wrong, variables, points, outcome):
            wrong = set()
        for i in numbers:
            if i in wrong:
                matches = self.outcome[i]
                pairs = [(p.trial.claims[variables[i]], p.truth[variables[i]]) for p in points]
                if not matches and self._by_differences(i, pairs, roughly=True):
                    continue
                error = max(relative_error(claim, truth) for claim, truth in pairs)
                self.findings[i] = writer.wrong(i, error, matches, sorted(wrong))
            elif i not in self.findings:
                self.findings[i] = writer.correct(i)

    def _tell_apart(self) -> None:
        """Where several mistakes fit, keep those that also fit at another batch size."""
        ambiguous = {i for i, matches in self.outcome.items() if len({m.codes for m in matches}) > 1}
        left = self.deadline - time.monotonic()
        other = with_other_rows(self.problem, self.rng) if ambiguous and self.resizes and left > 0 else None
        if other is None:
            return
        again = _Check(other, self.deadline, 0, self.tolerance, (), self.conventions, resizes=False)
        try:
            again.report()
        except ChainruleError:
            return
        for i in ambiguous:
            fitting = {m.codes for m in again.outcome.get(i, [])}
            kept = [m for m in self.outcome[i] if m.codes in fitting]
            self.outcome[i] = kept or self.outcome[i]

    def _only_elsewhere(
        self, wrong: set[int], variables: dict[int, Variable], points: list[_Point], outcome: Outcome
    ) -> bool:
        """Whether a claim is right at the given point and unexplained elsewhere: it may know that point only."""
        if not wrong or any(points[0].wrong(variables[i]) for i in wrong) or outcome.matches:
            return False
        self.notes.append(
            "The claimed function is right at the given point, but not at others; does it use values that were "
            "computed at the given point? Only the given point counts."
        )
        return True


def _without_guards(graph: Traced, points: list[_Point], variables: dict[int, Variable]) -> list[_Point]:
    """The points with the gradients of the loss without its guards; none where there is no guard."""
    if not graph.bare:
        return []
    flow, found = Flow(graph.bare[0], list(variables.values())), []
    for point in points:
        values = values_at(flow.graph, point.inputs)
        swept = flow.at(values)
        truth = swept.gradients()
        if not all(np.isfinite(g).all() for g in truth.values()):
            return []
        found.append(
            _Point(Trial(values, swept, point.trial.claims, point.trial.tolerances), truth, point.inputs)
        )
    return found


def _language(flow: Flow, points: list[_Point], unlikely: float) -> Language:
    """The search's view of the points in one of the graphs."""
    trials = [p.narrowed(flow) for p in points]
    scene = Scene(flow, trials[0].values, trials[0].claims)
    for trial in trials:
        scene.also_at(trial.values, trial.claims)
    return Language(scene, trials, unlikely)


class _Point:
    """A trial together with the truth there, and what the inputs are."""

    def __init__(self, trial: Trial, truth: dict[Variable, Any], inputs: dict[Variable, Any]) -> None:
        self.trial, self.truth, self.inputs = trial, truth, inputs

    def wrong(self, variable: Variable) -> bool:
        """Whether the claim for a parameter is wrong here."""
        return not self.trial.matches(variable, self.truth[variable])

    def narrowed(self, flow: Flow) -> Trial:
        """The trial for explanations: these must come much closer to a claim than the truth does."""
        tolerances = {}
        for v, claim in self.trial.claims.items():
            gap = float(np.abs(claim - self.truth[v]).max(initial=0.0))
            wide = self.trial.tolerances[v] * max(
                1.0, scale_of(claim, self.truth[v]) / (scale_of(0.0, self.truth[v]) or 1.0)
            )
            tolerances[v] = min(wide, 1e-3 * gap) if self.wrong(v) else wide
        values = values_at(flow.graph, self.inputs)
        return Trial(values, flow.at(values), self.trial.claims, tolerances)
