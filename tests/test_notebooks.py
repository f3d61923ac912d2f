"""The five notebooks run unchanged on the façades, and every deterministic output comes out as it is stored."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chainrule.programs import Comparison, Outcome, Program, read_program, run_and_compare, run_program

BOOKS = {
    "000_autograd_and_iris": 13,
    "001_scratch_and_torch": 20,
    "002_tanh_autograd_tape": 18,
    "003_torch_tasks": 12,
    "004_forward_backward": 6,
}
"""The notebooks, and how many of their cells have an output to compare."""

NEEDS = {
    "000_autograd_and_iris": ("pandas", "seaborn", "sklearn"),
    "001_scratch_and_torch": ("pandas",),
    "002_tanh_autograd_tape": ("pandas",),
    "003_torch_tasks": ("matplotlib", "pandas"),
}


@pytest.fixture
def folder(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEABORN_DATA", str(shared / "notebooks" / "data"))
    return shared / "notebooks"


def opened(folder: Path, name: str) -> Program:
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module, reason=f"the notebook {name} imports {module}")
    return read_program(folder / f"{name}.ipynb")


@pytest.mark.parametrize(("name", "outputs"), BOOKS.items())
def test_a_notebook_comes_out_as_it_is_stored(folder: Path, name: str, outputs: int) -> None:
    program = opened(folder, name)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    outcomes, comparisons = run_and_compare(program)
    assert len(outcomes) == len(program.cells)
    assert [str(outcome.failure) for outcome in outcomes if outcome.failure] == []
    assert [comparison for comparison in comparisons if not comparison.same] == []
    assert sum(_says_something(comparison) for comparison in comparisons) == outputs
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def _says_something(comparison: Comparison) -> bool:
    return bool(comparison.compared or comparison.random or comparison.explanations)


NUMBERS = {
    "000_autograd_and_iris": ["tensor(8.)", "0.13761957836254335", "0.13730616116287855"],
    "001_scratch_and_torch": [
        "20.73126980566457", "2.0545530212110226", "0.6360127678472741", "0.6737719306590967", "0.6761120722558788",
        "0.6897878299995169", "0.6897828587514063",
    ],
    "002_tanh_autograd_tape": [
        "-0.3658543527126312", "Z: 760.0, x: 8.399999618530273", "Z: 173.2857208251953, x: 8.406291961669922",
    ],
    "003_torch_tasks": [
        "0.04233689606189728", "w: 2.1490650177001953", "8.151883125305176", "0.7306660413742065", "12.450013160705566",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_that_must_come_out(folder: Path, name: str) -> None:
    text = "".join(outcome.output.text for outcome in run_program(opened(folder, name)))
    # Sums over many rows may round differently with another BLAS: all but their last digits.
    missing = [number for number in NUMBERS[name] if not re.search(_all_but_the_last_digit(number), text)]
    assert missing == []


def _all_but_the_last_digit(number: str) -> str:
    return re.escape(number if number.endswith(")") or len(number) > 25 else number[:-1])


def test_gradient_descent_on_the_tape(folder: Path) -> None:
    path = _numbers(_last(opened(folder, "002_tanh_autograd_tape"), "x.assign_sub").output.text)
    # The stored numbers come from a GPU, which rounds differently.
    assert path[-1] == pytest.approx(-1.7852517, rel=2e-7)


def test_the_gradient_of_the_sum_once_it_is_computed(folder: Path) -> None:
    program = opened(folder, "000_autograd_and_iris")
    called = [
        replace(cell, source="z.backward()") if cell.source == "z.backward" else cell
        for cell in program.cells[:11]
    ]
    assert sum(cell.source == "z.backward()" for cell in called) == 1
    text = run_program(replace(program, cells=tuple(called)))[-1].output.text
    assert _numbers(text)[:9] == [16, 33, 5, 56, 85, 33, 161, 120, 56]


RESUMED = [
    ("sum(diff*diff)", "W.fill_(1.897617)\n    b.fill_(0.70098984)", 1e-6),
    ("torch.log(p+tol)", "W.fill_(-1.6294)\n    b.fill_(1.6334)", 2e-4),
]


@pytest.mark.parametrize(("mark", "start", "tolerance"), RESUMED, ids=["linear", "logistic"])
def test_training_resumed_from_the_first_printed_step(
    folder: Path, mark: str, start: str, tolerance: float
) -> None:
    """The notebooks start from random numbers; from the first weights that they print, the losses must follow."""
    program = opened(folder, "002_tanh_autograd_tape")
    position, cell = next((i, c) for i, c in enumerate(program.cells) if mark in c.source)
    loop = f"with torch.no_grad():\n    {start}\n" + cell.source.replace("range(100)", "range(9)")
    if "W=torch.randn" in loop:  # this cell makes its weights itself
        made, _, rest = cell.source.replace("range(100)", "range(9)").partition("tol=")
        loop = f"{made}with torch.no_grad():\n    {start}\ntol={rest}"
    cells = (*program.cells[:position], replace(cell, source=loop))
    outcome = run_program(replace(program, cells=cells))[-1]
    assert outcome.failure is None
    losses = [float(found) for found in re.findall(r"Loss: ([\d.]+)", outcome.output.text)]
    stored = [float(found) for found in re.findall(r"Loss: ([\d.]+),", cell.stored or "")][1:]
    count = min(len(losses), len(stored))
    assert count >= 8
    assert losses[:count] == pytest.approx(stored[:count], rel=tolerance)


def _last(program: Program, mark: str) -> Outcome:
    return next(o for o in run_program(program) if mark in o.cell.source)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d*", text)]
