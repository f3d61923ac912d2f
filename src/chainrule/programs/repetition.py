"""Running a notebook and comparing it, with further runs to find out what is random in it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from chainrule.errors import ProgramError
from chainrule.programs.cells import Program
from chainrule.programs.comparison import Comparison, compared
from chainrule.programs.execution import Outcome, run_program
from chainrule.programs.uncalled import uncalled_methods, with_call

SEEDS = (0, 1, 2)
"""The first run's, and those of the runs that tell what is random: two may agree in a digit by chance."""


def run_and_compare(program: Program, real: Collection[str] = ()) -> tuple[list[Outcome], list[Comparison]]:
    """Run a notebook and compare each cell's output with the stored one.

    The runs after the first are made only if there is something left to explain.

    Raises ProgramError for a program without stored output.
    """
    if all(cell.stored is None for cell in program.cells):
        raise ProgramError(f"{program.path} has no stored output to compare with")
    runs: list[list[Outcome]] = []
    for seed in SEEDS:
        runs.append(run_program(program, real, seed=seed))
        found = _compared(runs)
        if all(comparison.same for comparison in found):
            return runs[0], found
    return runs[0], _explained_by_calls(program, real, runs, found)


def _compared(runs: list[list[Outcome]]) -> list[Comparison]:
    first, *others = runs
    return [
        compared(
            outcome.cell,
            outcome.output,
            [other[i].output for other in others if i < len(other)],
        )
        for i, outcome in enumerate(first)
    ]


def _explained_by_calls(
    program: Program, real: Collection[str], runs: list[list[Outcome]], found: list[Comparison]
) -> list[Comparison]:
    """Differences that vanish once a method is called that a cell only names."""
    for cell, expression in uncalled_methods(runs[0]):
        changed = with_call(program, cell, expression)
        again = _compared([run_program(changed, real, seed=seed) for seed in SEEDS[:2]])
        why = f"once {expression} in cell {cell.number}, which calls nothing, is {expression}()"
        found = [
            replace(new, explanations=(*new.explanations, why)) if new.same and not old.same else old
            for old, new in zip(found, again, strict=False)
        ] + found[len(again) :]
    return found
