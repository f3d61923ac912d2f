"""The account as lines of text. Each line is made of segments, whose style a terminal can show."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from chainrule.walkthrough.numbers import array_lines, is_small
from chainrule.walkthrough.records import BACKWARD, FORWARD, SourceLine, StepData, WalkthroughData

Segment: TypeAlias = tuple[str, str]
"""A text and its style: title, place, number, formula, value, remark, or none."""

Line: TypeAlias = list[Segment]

WIDEST = 44
"""A longer formula has its value below it."""

LONGEST = 100
"""A longer formula, such as a sum of many cotangents, is broken."""


def plain(lines: Iterable[Line]) -> str:
    """Lines without styles."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def account_lines(walkthrough: WalkthroughData[Any]) -> list[Line]:
    """A whole account: what is given, the forward pass, the backward pass."""
    files = {step.place.file for step in walkthrough.steps if step.place}
    file = Path(next(iter(files))).name if len(files) == 1 else ""
    shown = "" if file.startswith("<") else f"    {file}".rstrip()  # "<stdin>" is no file
    lines: list[Line] = [[(walkthrough.name, "title"), (shown, "place")]]
    wrong = walkthrough.first_wrong
    if wrong is not None:
        first, *rest = str(wrong).splitlines()
        lines += [[(f"first wrong number: {first}", "remark")], *([(line, "place")] for line in rest)]
    texts = [step.text for step in walkthrough.steps]
    width = max((len(t) for t in texts if len(t) <= WIDEST), default=0)
    if walkthrough.given:
        lines += [[], [("given", "title")]]
        lines += _named(walkthrough.given)
    for side in (FORWARD, BACKWARD):
        steps = [step for step in walkthrough.steps if step.side == side]
        if steps:
            lines += [[], [(side, "title")], *_grouped(steps, width, with_file=not file)]
    return [*lines, *([(f"note: {note}", "remark")] for note in walkthrough.notes)]


def _grouped(steps: list[StepData], width: int, with_file: bool) -> Iterable[Line]:
    """Steps under the lines of the program that they belong to; a sum of cotangents belongs to none."""
    last = None
    for step in steps:
        place = step.place
        if place not in (None, last):
            last = place
            if place.text:
                yield [(f"  {_shown(place, with_file)}", "place")]
        yield from _aligned(str(step.number), step.text, step.values, width, step.remark)


def _named(values: Mapping[str, Any]) -> list[Line]:
    """Given values by their names."""
    width = max(map(len, values), default=0)
    return [line for n, value in values.items() for line in _aligned("", n, {n: value}, width, "")]


def _shown(place: SourceLine, with_file: bool) -> str:
    return str(place) if with_file else f"line {place.number}: {place.text}"


def _aligned(number: str, text: str, values: Mapping[str, Any], width: int, remark: str) -> list[Line]:
    """A formula with its value in the column beside it."""
    first, *rest = _broken(text)
    head: Line = [(f"{number:>4}  ", "number"), (first, "formula")]
    shown = _value_lines(text, values)
    lines = [head, *([("      ", ""), (line, "formula")] for line in rest)]
    if shown and len(text) <= width:
        head += [(" " * (width - len(text) + 2), ""), (shown.pop(0), "value")]
    lines += [[(" " * (width + 8), ""), (line, "value")] for line in shown]
    return [*lines, *([[(f"      ! {remark}", "remark")]] if remark else [])]


def _value_lines(text: str, values: Mapping[str, Any]) -> list[str]:
    """The lines of a value; what is only another name for a large array is not shown again."""
    lines: list[str] = []
    if re.fullmatch(r"\w+ = [^\W\d]\w*", text) and not all(map(is_small, values.values())):
        return ["the same"]
    for name, value in values.items():
        head = f"{name} = " if len(values) > 1 else "= " if is_small(value) else ""
        first, *rest = array_lines(name, value)
        lines += [head + first, *(" " * len(head) + line for line in rest)]
    return [] if len(lines) == 1 and text.endswith(" " + lines[0]) else lines


def step_lines(step: StepData) -> list[Line]:
    """One step by itself: the formula, the numbers that it is computed from, and the result."""
    through = f" through {step.through}" if step.through else ""
    head = f"step {step.number}, {step.side}{through}"
    place = f"    {step.place}" if step.place else ""
    lines: list[Line] = [[(head, "title")], *([[(place, "place")]] if place else []), []]
    lines += [[("      ", ""), (part, "formula")] for part in _broken(step.text)]
    if step.remark:
        lines.append([(f"      ! {step.remark}", "remark")])
    return [*lines, [], *_named(dict(step.inputs) | step.values)]


def _broken(formula: str) -> list[str]:
    """A formula in lines."""
    return textwrap.wrap(formula, LONGEST, subsequent_indent="    ", break_long_words=False)
