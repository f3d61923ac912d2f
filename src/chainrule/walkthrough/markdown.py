"""The account as Markdown with formulas of LaTeX, for notebooks and documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule.walkthrough.account import Account
from chainrule.walkthrough.mathematics import value_formula
from chainrule.walkthrough.numbers import array_lines
from chainrule.walkthrough.records import BACKWARD, FORWARD, SourceLine, StepData, WalkthroughData


def account_markdown(walkthrough: WalkthroughData[Any]) -> str:
    """A whole account."""
    lines = [f"#### {walkthrough.name}", ""]
    if walkthrough.first_wrong is not None:
        first, *rest = str(walkthrough.first_wrong).splitlines()
        lines += [
            f"**First wrong number:** {_inline(first)}{''.join(f' {_inline(r.strip())}' for r in rest)}",
            "",
        ]
    if walkthrough.given:
        lines += ["**Given**", ""]
        for name, value in walkthrough.given.items():
            lines += _equation(_symbol(walkthrough.account, name), name, value)
    for side in (FORWARD, BACKWARD):
        steps = [step for step in walkthrough.steps if step.side == side]
        if steps:
            lines += [f"**{side.capitalize()}**", "", *_grouped(steps)]
    lines += [f"*{note}*" for note in walkthrough.notes]
    return "\n".join(lines).rstrip() + "\n"


def step_markdown(step: StepData) -> str:
    """One step by itself, below the numbers that it is computed from."""
    through = f", through {_inline(step.through)}" if step.through else ""
    head = f"**Step {step.number}**, {step.side}{through}"
    place = ["", _inline(str(step.place))] if step.place else []
    inputs = [line for n, v in step.inputs.items() for line in _equation(_symbol(step.account, n), n, v)]
    return "\n".join([head, *place, "", *inputs, *_shown(step)]).rstrip() + "\n"


def _symbol(account: Account | None, name: str) -> str:
    return name if account is None else str(account.mathematics.symbols[account.by_name[name]])


def _grouped(steps: list[StepData]) -> Iterator[str]:
    last: SourceLine | None = None
    for step in steps:
        if step.place not in (None, last):
            last = step.place
            if last is not None and last.text:
                yield from (f"line {last.number}: {_inline(last.text)}", "")
        yield from _shown(step)


def _shown(step: StepData) -> list[str]:
    """A numbered formula with its value, which stands in the formula itself where it is small."""
    number = rf"\tag{{{step.number}}}"
    lines = _equation(step.latex, step.name, step.value, number)
    return [*lines, *([f"**{_escaped(step.remark)}**", ""] if step.remark else [])]


def _equation(formula: str, name: str, value: object, number: str = "") -> list[str]:
    shown = "" if isinstance(value, tuple) else value_formula(value)
    if shown and not formula.endswith(f"= {shown}"):
        formula = f"{formula} = {shown}"
    lines = [f"$${formula}{number}$$", ""]
    if shown:
        return lines
    parts = zip(name.rstrip(",").split(", "), value if isinstance(value, tuple) else (value,), strict=True)
    text = [line for part, array in parts for line in array_lines(part, array)]
    return [*lines, "```text", *text, "```", ""]


def _inline(text: str) -> str:
    """Code in a line of Markdown, whatever quotation marks there are in it."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "*_`$" else c for c in text)
