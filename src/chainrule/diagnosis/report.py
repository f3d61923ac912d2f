"""What `check` found: a finding for each parameter, as text, HTML and JSON."""

from __future__ import annotations

import html
import json
import math
import re
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

MARKS = {"correct": "✓", "convention": "✓", "wrong": "✗", "unknown": "✗", "undecided": "?"}
"""How a verdict begins its line."""


@dataclass(frozen=True)
class Finding:
    """What is said about one parameter.

    `verdict` is correct, convention (correct for another loss, which the sentence names), wrong (with the mistake
    `code`), unknown (wrong, and no mistake that is known) or undecided. `error` is the relative error of the claimed
    gradient: the largest difference over the largest element of the true one; `error_after` that of what the
    correction computes. `alternatives` are the codes and titles of mistakes that fit as well at every tested point.
    """

    parameter: str
    code: str
    title: str
    sentence: str
    verdict: str
    error: float
    error_after: float | None = None
    correction: str | None = None
    alternatives: tuple[tuple[str, str], ...] = ()
    place: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is known to be wrong."""
        return self.verdict not in ("wrong", "unknown") and self.code != "CR092"

    def __str__(self) -> str:
        head = f"{MARKS[self.verdict]} {self.parameter}: {self.code} {self.title}"
        proof = "" if self.error_after is None else f" → {self.error_after:.1g} when corrected"
        lines = [head if self.code == "CR000" else f"{head}   relative error {self.error:.2g}{proof}"]
        if self.sentence:
            lines.append(_indented(_wrapped(self.sentence)))
        if self.correction and not self.ok:
            lines.append(_indented(self.correction, 8))
        if self.alternatives:
            fits = ", ".join(f"{c} {t}" for c, t in self.alternatives)
            lines.append(_indented(_wrapped(f"fits as well: {fits}")))
        return "\n".join(lines)


def _indented(text: str, by: int = 4) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())


def _wrapped(text: str) -> str:
    """Sentences in lines that fit on a page."""
    lines = (
        textwrap.wrap(line, 112, break_long_words=False, break_on_hyphens=False) for line in text.splitlines()
    )
    return "\n".join(part for line in lines for part in line or [""])


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, those of one mistake in the gradients of several parameters as one.

    >>> said = "In the gradient of %s: the sign is flipped."
    >>> print(*joined(Finding(name, "CR104", "sign", said % name, "wrong", 2.0) for name in "ab"))
    ✗ a, b: CR104 sign   relative error 2
        In the gradients of a and b: the sign is flipped.
    """
    groups: dict[Any, list[Finding]] = {}
    for one in findings:
        said = one.sentence.removeprefix(f"{_OF}{one.parameter}")
        groups.setdefault((one.code, one.verdict, one.title, one.alternatives, said), []).append(one)
    return [_as_one(group) for group in groups.values()]


_OF = "In the gradient of "


def _as_one(group: list[Finding]) -> Finding:
    first, names = group[0], [one.parameter for one in group]
    if len(group) == 1:
        return first
    several = f"In the gradients of {', '.join(names[:-1])} and {names[-1]}"
    proofs = [one.error_after for one in group if one.error_after is not None]
    return replace(
        first,
        parameter=", ".join(names),
        sentence=re.sub(rf"^{_OF}{re.escape(names[0])}", lambda _: several, first.sentence),
        error=max((one.error for one in group), key=lambda error: (math.isnan(error), error)),
        error_after=max(proofs, default=None),
        correction=_as_one_program([one.correction for one in group if one.correction]) or None,
    )


def _as_one_program(corrections: list[str]) -> str:
    """The assignments of several programs, each once; all of them where a name stands for different values."""
    lines = [line for correction in corrections for line in correction.splitlines()]
    once = list(dict.fromkeys(lines))
    names = {line.partition(" = ")[0] for line in once}
    return "\n".join(once if len(names) == len(once) else lines)


@dataclass(frozen=True)
class Report:
    """The findings for all parameters; `print(report)` shows them, one mistake that is seen in several as one.

    `ok` is True where nothing is wrong: the claimed gradient is correct, correct up to a stated convention, or
    cannot be told from a correct one. `notes` say what one should know about the check itself; `stopped` is None,
    or why the search ended before everything was tried.
    """

    findings: list[Finding]
    notes: tuple[str, ...] = ()
    stopped: str | None = None
    points: int = 1
    muted: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(f.ok or f.code in self.muted for f in self.findings)

    def _shown(self) -> list[Finding]:
        return joined(f for f in self.findings if f.code not in self.muted)

    def __str__(self) -> str:
        shown = [str(f) for f in self._shown()]
        said = [_wrapped(f"note: {note}") for note in self.notes]
        return "\n".join([*shown, *said, *([f"stopped: {self.stopped}"] if self.stopped else [])])

    def __repr__(self) -> str:
        return f"Report({', '.join(f'{f.parameter}: {f.code}' for f in self.findings)})"

    def to_json(self) -> str:
        """The report as JSON: findings with all their fields, `ok`, `notes`, `stopped`."""
        content: dict[str, Any] = {
            "ok": self.ok, "findings": [asdict(f) for f in self.findings], "notes": list(self.notes),
            "stopped": self.stopped, "points": self.points,
        }  # fmt: skip
        return json.dumps(content, indent=2, ensure_ascii=False)

    def _repr_html_(self) -> str:
        rows = "".join(_row(f) for f in self._shown())
        said = "".join(f"<p>{html.escape(note)}</p>" for note in (*self.notes, *filter(None, [self.stopped])))
        head = "".join(
            f"<th style='text-align:left'>{h}</th>" for h in ("", "parameter", "finding", "relative error")
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{said}"


def _row(finding: Finding) -> str:
    mark = MARKS[finding.verdict]
    proof = "" if finding.error_after is None else f" → {finding.error_after:.1g}"
    text = f"<b>{finding.code}</b> {html.escape(finding.title)}"
    if finding.sentence:
        text += f"<br>{html.escape(finding.sentence)}"
    if finding.correction and not finding.ok:
        text += f"<pre style='margin:0'>{html.escape(finding.correction)}</pre>"
    cells = (mark, f"<code>{html.escape(finding.parameter)}</code>", text, f"{finding.error:.2g}{proof}")
    return (
        "<tr>" + "".join(f"<td style='text-align:left;vertical-align:top'>{c}</td>" for c in cells) + "</tr>"
    )
