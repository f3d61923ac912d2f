"""`check_step`: the mistake in code that shows its gradient only in how it updates the parameters."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any

import numpy as np

from chainrule.diagnosis.checker import examined
from chainrule.diagnosis.comparison import relative_error
from chainrule.diagnosis.mistakes import CATALOGUE
from chainrule.diagnosis.movement import Memory, Movement, adaptive_rate, patterns, rates_in_words, remembered
from chainrule.diagnosis.problem import Problem, fresh
from chainrule.diagnosis.report import Finding, Report
from chainrule.diagnosis.stepping import Step, written_rates
from chainrule.diagnosis.written import writable
from chainrule.errors import InputError
from chainrule.trees import leaves, mapped

QUICK, MINIMUM = 1.5, 0.5
"""So many seconds are first spent on each rate that may be the right one, and at least on any."""


ACCUMULATED = (
    "The second step moves {} by the sum of both gradients: they are added up from step to step. Begin each "
    "step with a gradient of zero."
)
DIRECTED = (
    "Every element moves against its gradient. Of the gradient's size, an adaptive rule shows nothing in one step; "
    "check the gradient itself with check."
)


def check_step(
    loss: Callable[..., Any], step: Callable[..., Any], params: Any, *, rate: float | None = None, data: Any = (),
    seconds: float = 10.0, seed: int = 0, tolerance: float | None = None, mute: tuple[str, ...] = (),
) -> Report:  # fmt: skip
    """Which mistake is in code that updates parameters: the claimed gradient is how far they move, over the rate.

    `params` are the parameters as both functions take them: a tuple is several arguments, an array or a tree of arrays
    is one, and an object is one whose arrays are found in its attributes. `data` are the arguments that follow. `step`
    returns the parameters that come after one step, or changes in place what it is given; `loss` is what it should
    make smaller. Both may be methods of the object. Without `rate`, that is the ratio of movement and gradient where
    these are proportional, or else a number that is written in the step.

    The step is called at the given parameters and at random ones, and several times in a row: momentum and weight
    decay are recognised, and of an adaptive rule (Adam, RMSprop) the direction is checked. All that it changes is put
    back.

    Raises InputError for parameters without gradients, and for a step that returns something else or is random.

    >>> X, y = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]]), np.array([1.0, 0.0, 2.0])
    >>> def loss(w, b):
    ...     return ((X @ w + b - y) ** 2).mean()
    >>> def step(w, b):
    ...     error = X @ w + b - y
    ...     return w - 0.1 * 2 * X.T @ error / 3, b + 0.1 * 2 * error.mean()
    >>> report = check_step(loss, step, (np.array([0.5, -0.5]), 0.1))
    >>> [(f.parameter, f.code) for f in report.findings]
    [('w', 'CR000'), ('b', 'CR203')]
    """
    checked = _StepCheck(
        Step(loss, step, params, data), rate, seed, tolerance, tuple(mute), time.monotonic() + seconds
    )
    report = checked.report()
    return report if report.ok else checked.by_rows() or report


class _StepCheck:
    """One call of `check_step`."""

    def __init__(
        self,
        step: Step,
        rate: float | None,
        seed: int,
        tolerance: float | None,
        mute: tuple[str, ...],
        deadline: float,
    ) -> None:
        self.step, self.given_rate, self.seed, self.tolerance, self.mute = step, rate, seed, tolerance, mute
        self.deadline = deadline
        self.rng = np.random.default_rng(seed)
        self.single = any(getattr(v, "dtype", None) == np.float32 for v in step.values)
        self.notes: list[str] = []
        self.findings: dict[int, Finding] = {}
        self.rate = rate

    # what is observed --------------------------------------------------------------------------------------

    def report(self) -> Report:
        self._observe()
        active = [i for i in range(len(self.movements)) if not self._stuck_or_free(i)]
        if active:
            self._judge(active)
        ordered = [self.findings[i] for i in sorted(self.findings)]
        return Report(ordered, tuple(dict.fromkeys(self.notes)), None, len(self.points), self.mute)

    def _observe(self) -> None:
        """Steps and gradients at the given point and at random ones, and several steps in a row."""
        step = self.step
        first, again = step.moved(step.values), step.moved(step.values)
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True)):
            raise InputError(
                f"check_step: {step.step_name} moves the parameters differently each time it is called; draw the "
                f"random numbers (or the batch) outside, and pass them with data="
            )
        self.points = [(list(step.values), step.data)]
        moves, gradients = [first], [self._gradient(*self.points[0])]
        for _ in range(4):
            point = self._another_point()
            try:
                moved = step.moved(*point)
                gradient = self._gradient(*point)
            except Exception:
                continue
            if all(np.isfinite(a).all() for a in (*moved, *gradient)):
                self.points.append(point)
                moves.append(moved)
                gradients.append(gradient)
            if len(self.points) == 3:
                break
        values = [p for p, _ in self.points]
        self.movements = [
            Movement(
                name, [v[i] for v in values], [m[i] for m in moves], [g[i] for g in gradients], self.single
            )
            for i, name in enumerate(step.names)
        ]
        self.memory = self._memories(first)

    def _another_point(self) -> tuple[list[Any], tuple[Any, ...]]:
        """Random parameters, and other data of the same kind."""
        everything = [*self.step.values, *(leaf for _, leaf in leaves(self.step.data))]
        found = fresh(dict(enumerate(everything)), self.rng)
        values = iter([found.get(i, v) for i, v in enumerate(everything)])
        arrays = [next(values) for _ in self.step.values]
        return arrays, mapped(lambda _: next(values), self.step.data)

    def _gradient(self, arrays: list[Any], data: tuple[Any, ...]) -> list[Any]:
        count = len(arrays)
        problem = self._problem(
            list(range(count)), lambda *all_: tuple(np.zeros(np.shape(a)) for a in all_[:count]), arrays, data
        )
        return [problem.gradient({})[i] for i in range(count)]

    def _problem(self, numbers: list[int], claims: Any, arrays: Any = None, data: Any = None) -> Problem:
        """The core's problem: the loss as a function of the parameters' arrays and the data."""
        step, count = self.step, len(self.step.values)
        arrays, data = (self.step.values, self.step.data) if arrays is None else (arrays, data)

        def loss(*given: Any) -> Any:
            return step.loss(given[:count], given[count:])

        def claimed(*given: Any) -> tuple[Any, ...]:
            found = claims(*given)
            return (
                *(found[i] if i in numbers else None for i in range(count)),
                *(None for _ in given[count:]),
            )

        loss.__name__ = step.name
        loss.__signature__ = Signature([Parameter(n, Parameter.POSITIONAL_OR_KEYWORD) for n in self._names()])  # type: ignore[attr-defined]
        return Problem(writable(loss, *step.functions, step.params), (*arrays, *data), claimed)

    def _names(self) -> list[str]:
        step = self.step
        names = [*step.names]
        for name in step.data_names():
            while name in names:
                name += "_"
            names.append(name)
        return names

    def _memories(self, first: list[Any]) -> dict[int, Memory]:
        if len(self.points) < 2:
            return {}
        step = self.step
        other = self.points[1][0]
        try:
            alike = step.walk([step.values] * 3)
            apart = step.walk([step.values, other])
            alone = step.moved(other)
        except Exception:
            return {}
        found = {}
        for i in range(len(first)):
            memory = remembered([m[i] for m in alike], (apart[0][i], apart[1][i]), alone[i])
            if memory is not None:
                found[i] = memory
        return found

    # what needs no search ----------------------------------------------------------------------------------

    def _say(
        self, number: int, code: str, sentence: str, verdict: str, error: float, after: float | None = None
    ) -> None:
        name = self.movements[number].name
        correction = (
            f"{name} = {name} - rate * d_{name}"
            if verdict == "wrong" and code in ("CR203", "CR204")
            else None
        )
        self.findings[number] = Finding(
            name, code, CATALOGUE[code].title, sentence, verdict, error, after, correction
        )

    def _stuck_or_free(self, number: int) -> bool:
        """Parameters that never move, or move for no reason."""
        m = self.movements[number]
        if m.rests and m.is_free:
            self._say(
                number, "CR000", "It does not move, and the loss does not depend on it.", "correct", 0.0
            )
        elif m.rests:
            self._say(
                number,
                "CR204",
                f"{m.name} is never updated, though its gradient is not zero.",
                "wrong",
                relative_error(np.zeros_like(m.gradients[0]), m.gradients[0]),
            )
        elif m.is_free:
            sentence = (
                f"{m.name} is updated, but {self.step.name} does not depend on it: its gradient is zero."
            )
            self._say(number, "CR205", sentence, "wrong", relative_error(m.moves[0], m.gradients[0]))
        return m.rests or m.is_free

    def _judge(self, active: list[int]) -> None:
        adaptive = adaptive_rate([self.movements[i] for i in active])
        if adaptive is not None and not all(self.movements[i].rate() for i in active):
            for i in active:
                self._adaptive(i)
            rule = f"An adaptive rule (Adam, RMSprop or the like) with a rate of {adaptive:.4g}"
            self.notes.append(f"{rule}: every first step has this size.")
            return
        self._recall(active)
        ratios = {i: r / self._first(i) for i in active if (r := self.movements[i].rate()) is not None}
        self.rate = self._rate(ratios)
        for i in active:
            if i in ratios and self.rate:
                self._proportional(i, ratios[i])
            elif (decayed := self.movements[i].decayed()) is not None:
                self._decayed(i, *decayed)
        rest = [i for i in active if i not in self.findings]
        if rest:
            self._search(rest, ratios)
        for i, memory in self.memory.items():
            if memory.kind == "accumulation" and i in active and self.findings[i].ok:
                self._accumulated(i)

    def _accumulated(self, number: int) -> None:
        """Each step is the sum of all gradients so far; what the movements hold is the new part of each."""
        m = self.movements[number]
        new, gradient = m.moves[1], m.gradients[1]
        rate = float(new @ gradient) / float(gradient @ gradient)
        error, after = (relative_error(move / rate, gradient) for move in (m.moves[0] + new, new))
        self._say(number, "CR206", ACCUMULATED.format(m.name), "wrong", error, after)

    def _first(self, number: int) -> float:
        return self.memory[number].first if number in self.memory else 1.0

    def _recall(self, active: list[int]) -> None:
        for memory in dict.fromkeys(self.memory[i] for i in active if i in self.memory):
            if memory.kind in ("momentum", "Nesterov"):
                kind = "Nesterov's momentum" if memory.kind == "Nesterov" else "Momentum"
                self.notes.append(
                    f"{kind} of {memory.number:.6g}: of each step, the new gradient's part is checked."
                )
            elif memory.kind == "schedule":
                self.notes.append(
                    f"The rate changes from step to step, by a factor {memory.number:.6g} after the first."
                )

    def _adaptive(self, number: int) -> None:
        m = self.movements[number]
        known = m.gradients != 0
        against = int(((np.sign(m.moves) != np.sign(m.gradients)) & known).sum())
        if not against:
            self._say(number, "CR008", DIRECTED, "convention", 0.0)
        elif against == int(known.sum()):
            self._say(
                number, "CR203", f"{m.name} moves up its gradient: {self.step.name} grows.", "wrong", 2.0
            )
        else:
            sentence = f"{against} of {int(known.sum())} elements of {m.name} move up their gradient."
            self.findings[number] = Finding(
                m.name, "CR199", CATALOGUE["CR199"].title, sentence, "unknown", 1.0
            )

    def _rate(self, ratios: dict[int, float]) -> float | None:
        """The rate that most parameters have; the given one, if one is given."""
        if self.given_rate is not None:
            return self.given_rate
        sizes = [abs(r) for r in ratios.values()]
        if not sizes:
            return None
        counts = [sum(abs(r - s) <= 1e-6 * s for s in sizes) for r in sizes]
        rate = sizes[int(np.argmax(counts))]
        short = float(f"{rate:.6g}")
        rate = short if abs(short - rate) <= 1e-9 * rate else rate
        alike = [self.movements[i].name for i, r in ratios.items() if abs(abs(r) - rate) <= 1e-6 * rate]
        self.notes.append(f"The rate is {rate:.6g}, inferred from how {' and '.join(alike[:3])} moved.")
        return rate

    def _proportional(self, number: int, ratio: float) -> None:
        """A parameter that moves along its gradient: down, up, or at a rate of its own."""
        assert self.rate is not None
        m = self.movements[number]
        error = relative_error(m.moves[0] / self.rate / self._first(number), m.gradients[0])
        after = relative_error(m.moves[0] / ratio / self._first(number), m.gradients[0])
        if ratio < 0:
            uphill = f"{m.name} moves up its gradient, at a rate of {-ratio:.6g}"
            sentence = f"{uphill}: the step makes {self.step.name} larger."
            self._say(number, "CR203", sentence, "wrong", 2.0, after)
        elif abs(ratio - self.rate) <= 1e-6 * self.rate:
            self._say(number, "CR000", "", "correct", after)
        elif self.given_rate is None:
            times = ratio / self.rate
            sentence = f"{m.name} learns at {ratio:.6g}, {times:.6g} times the rate of the others."
            if any(abs(max(times, 1 / times) - n) < 1e-6 * n for n in self._lengths()):
                sentence += f" {max(times, 1 / times):.6g} is a length of the data: "
                sentence += "is one gradient summed, and another averaged?"
            self._say(number, "CR006", sentence, "convention", error, after)

    def _lengths(self) -> set[int]:
        return {n for d in self.step.data if isinstance(d, np.ndarray) for n in d.shape if n > 1}

    def _decayed(self, number: int, rate: float, decay: float) -> None:
        m = self.movements[number]
        if self.rate is not None and abs(rate - self.rate) > 1e-6 * self.rate:
            return
        if self.rate is None:
            self.rate = rate
            self.notes.append(f"The rate is {rate:.6g}.")
        after = relative_error(m.moves[0] / rate - decay * m.values[0], m.gradients[0])
        whole = f"{self.step.name} + {decay / 2:.6g} * ({m.name}**2).sum()"
        sentence = f"Weight decay of {decay:.6g}: this is the gradient of {whole}."
        self._say(
            number, "CR007", sentence, "convention", relative_error(m.moves[0] / rate, m.gradients[0]), after
        )

    # the search --------------------------------------------------------------------------------------------

    def _search(self, rest: list[int], ratios: dict[int, float]) -> None:
        """Let the core explain what is not along the gradient, at each rate that it may have been divided by."""
        candidates = self._candidates(ratios)
        best: dict[int, tuple[Finding, float]] = {}
        for rate in candidates:
            self._improve(best, rest, rate, ratios, min(QUICK, self._left() / len(candidates)))
        for i, (finding, rate) in best.items():
            unequal = self._unequal(i, rate, ratios, candidates) if finding.verdict == "unknown" else None
            best[i] = unequal or finding, rate
        for rate in candidates:
            if any(f.verdict == "unknown" for f, _ in best.values()) and self._left() > QUICK:
                self._improve(best, rest, rate, ratios, self._left() / len(candidates))
        self.findings |= {i: f for i, (f, _) in best.items()}
        if self.rate is None and best:
            rates = sorted({rate for f, rate in best.values()})
            self.rate = rates[0]
            self.notes.append(
                f"The rate is taken to be {', '.join(f'{r:.6g}' for r in rates)}, a number of {self.step.step_name}."
            )

    def _improve(
        self,
        best: dict[int, tuple[Finding, float]],
        rest: list[int],
        rate: float,
        ratios: dict[int, float],
        seconds: float,
    ) -> None:
        """Search at another rate, unless everything is explained; keep what explains more."""
        if all(i in best and _badness(best[i][0]) <= 1 for i in rest):
            return
        for i, finding in self._at_rates(rest, dict.fromkeys(rest, rate), ratios, seconds).items():
            if i not in best or _badness(finding) < _badness(best[i][0]):
                best[i] = finding, rate

    def _candidates(self, ratios: dict[int, float]) -> list[float]:
        if self.given_rate is not None:
            return [self.given_rate]
        found = [] if self.rate is None else [self.rate]
        found += [abs(r) for r in ratios.values()]
        written = [abs(r) for r in written_rates(self.step._step)]
        kept: list[float] = []
        for r in [*found, *sorted(written, key=lambda r: r > 1 or r == 0.5)]:
            if all(abs(r - k) > 1e-6 * k for k in kept):
                kept.append(r)
        return kept[:5] or [self._median()]

    def _median(self) -> float:
        ratios = np.concatenate(
            [(m.moves[0] / m.gradients[0])[m.gradients[0] != 0] for m in self.movements if not m.is_free]
        )
        rate = float(np.median(np.abs(ratios[ratios != 0]))) if ratios.any() else 1.0
        self.notes.append(f"No rate was found; it is taken to be {rate:.4g}. Give it with rate=.")
        return rate

    def _at_rates(
        self, rest: list[int], rates: dict[int, Any], ratios: dict[int, float], seconds: float
    ) -> dict[int, Finding]:
        """What the core says of some parameters if these are the rates; those along the gradient have their own."""
        step, count = self.step, len(self.step.values)
        divisors = {i: abs(r) * self._first(i) for i, r in ratios.items()}
        divisors |= {i: r * self._first(i) for i, r in rates.items()}

        def claims(*given: Any) -> list[Any]:
            moved = step.moved(given[:count], given[count:])
            return [m / divisors.get(i, 1.0) for i, m in enumerate(moved)]

        known = sorted({*rest, *ratios})
        report = examined(
            self._problem(known, claims), seconds, self.seed, self._tolerance(rest, divisors), self.mute
        )
        by_name = dict(zip([self.step.names[i] for i in known], report.findings, strict=True))
        self.notes += [n for n in report.notes if n not in self.notes]
        return {i: _as_update(by_name[step.names[i]], self.step.name) for i in rest}

    def _left(self) -> float:
        return max(MINIMUM, self.deadline - time.monotonic())

    def _tolerance(self, rest: list[int], divisors: dict[int, Any]) -> float | None:
        """Movements are differences of parameters: what rounding these loses is no mistake."""
        if self.tolerance is not None:
            return self.tolerance
        lost = [self.movements[i].room / (np.abs(self.movements[i].moves[0]).max() or 1.0) for i in rest]
        return max(1e-5 if self.single else 1e-8, *lost)

    # unequal rates within one parameter --------------------------------------------------------------------

    def _unequal(
        self, number: int, rate: float, ratios: dict[int, float], candidates: list[float]
    ) -> Finding | None:
        """Rates that differ within a parameter: seen at once, or behind another mistake."""
        m = self.movements[number]
        rates = m.rates()
        if rates is not None:
            after = relative_error(m.moves[0] / rates.ravel(), m.gradients[0])
            error = relative_error(m.moves[0] / (self.rate or float(np.median(rates))), m.gradients[0])
            return Finding(
                m.name,
                "CR202",
                CATALOGUE["CR202"].title,
                rates_in_words(m.name, rates),
                "wrong",
                error,
                after,
            )
        for pattern in patterns(m.shape, candidates):
            if self._left() <= MINIMUM:
                return None
            found = self._at_rates([number], {number: pattern}, ratios, QUICK)[number]
            if _badness(found) <= 2 and found.verdict in ("wrong", "correct"):
                codes = [c for c in found.code.split("+") if c != "CR000"] + ["CR202"]
                title = ", and ".join(CATALOGUE[c].title for c in codes)
                sentence = " ".join(filter(None, [found.sentence, rates_in_words(m.name, pattern)]))
                error = relative_error(m.moves[0] / rate, m.gradients[0])
                after = found.error if found.error_after is None else found.error_after
                found = replace(found, code="+".join(codes), title=title, sentence=sentence)
                return replace(found, verdict="wrong", error=error, error_after=after)
        return None

    # updates after each row --------------------------------------------------------------------------------

    def by_rows(self) -> Report | None:
        """The report on one row of the data, where steps from row to row are what the whole step does."""
        step = self.step
        lengths = {len(d) for d in step.data if isinstance(d, np.ndarray) and d.ndim}
        if len(lengths) != 1 or lengths == {1}:
            return None
        count = lengths.pop()

        def row(i: int) -> tuple[Any, ...]:
            return tuple(d[i : i + 1] if isinstance(d, np.ndarray) and d.ndim else d for d in step.data)

        try:
            whole = step.moved(step.values)
            arrays = [np.asarray(v, float) for v in step.values]
            for i in range(count):
                arrays = [a - m for a, m in zip(arrays, step.moved(arrays, row(i)), strict=True)]
        except Exception:
            return None
        walked = [np.asarray(v) - a for v, a in zip(step.values, arrays, strict=True)]
        if any(relative_error(w, m) > 1e-7 for w, m in zip(walked, whole, strict=True)):
            return None
        step.data = row(0)
        one = _StepCheck(
            step, self.given_rate, self.seed, self.tolerance, self.mute, self.deadline + 5
        ).report()
        return replace(
            one,
            notes=(
                f"The parameters are updated after each of the {count} rows; one row is checked.",
                *one.notes,
            ),
        )


def _badness(finding: Finding) -> int:
    """How little a finding explains: 0 for a right gradient, then by the number of mistakes; unknown last."""
    if finding.verdict == "unknown":
        return 100
    return (
        0 if finding.verdict == "correct" else finding.code.count("+") + (2 if "CR108" in finding.code else 1)
    )


def _as_update(finding: Finding, loss: str) -> Finding:
    """A gradient of the opposite sign is, in an update, a step uphill."""
    if finding.code == "CR004":
        sentence = f"{finding.parameter} moves up its gradient: the step makes {loss} larger."
        return replace(
            finding, code="CR203", title=CATALOGUE["CR203"].title, sentence=sentence, verdict="wrong"
        )
    return finding
