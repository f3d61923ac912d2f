"""The targets, and how results are printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import Timings, microseconds, ratio

SUBJECT = "chainrule"
FLOOR = "numpy"
TARGETS: Mapping[tuple[str, str], float] = {
    **{(model, "pytorch"): 1 / 3 for model in ("scalar", "xor", "iris", "small")},
    **{(model, "mygrad"): 1 / 2 for model in ("scalar", "xor", "iris", "small")},
    ("mnist", "pytorch"): 1.0,
}


@dataclass(frozen=True)
class Finding:
    """One measured property beside what it should be; ``met`` is None where nothing could be compared."""

    title: str
    measured: str
    target: str
    met: bool | None


def verdict(met: bool | None) -> str:
    return {True: "met", False: "MISSED", None: "-"}[met]


def step_table(title: str, model: str, timings: Timings) -> str:
    """µs per step of each contestant; the subject's time relative to it, and that of the floor."""
    rows = [("", "µs/step", f"{SUBJECT}/it", "target", "", f"{FLOOR}/it")]
    for name in timings:
        times = f"{microseconds(timings, name):.1f}", *comparison(model, name, timings)
        rows.append((name, *times, relative(FLOOR, name, timings)))
    return f"{title}\n{table(rows)}"


def comparison(model: str, peer: str, timings: Timings) -> tuple[str, str, str]:
    measured, target = relative(SUBJECT, peer, timings), TARGETS.get((model, peer))
    if target is None or not measured:
        return measured, "", ""
    return measured, f"<= {target:.2f}", verdict(ratio(timings, SUBJECT, peer) <= target)


def relative(name: str, peer: str, timings: Timings) -> str:
    return f"{ratio(timings, name, peer):.2f}" if name in timings and name != peer else ""


def finding_table(findings: Sequence[Finding]) -> str:
    rows = [("", "measured", "target", "")]
    rows += [(each.title, each.measured, each.target, verdict(each.met)) for each in findings]
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, below their headings; columns of numbers to the right."""
    columns = [aligned(column) for column in zip(*rows, strict=True)]
    return "\n".join("  " + "  ".join(row).rstrip() for row in zip(*columns, strict=True))


def aligned(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    is_numeric = all(cell.replace(".", "").isdigit() for cell in column[1:] if cell)
    return [cell.rjust(width) if is_numeric else cell.ljust(width) for cell in column]


def as_data(model: str, timings: Timings) -> Mapping[str, object]:
    """One model's results for a JSON file."""
    step_times = {name: microseconds(timings, name) for name in timings}
    if SUBJECT not in timings:
        return {"microseconds": step_times}
    ratios = {peer: ratio(timings, SUBJECT, peer) for peer in timings if peer != SUBJECT}
    met = {peer: ratios[peer] <= TARGETS[model, peer] for peer in ratios if (model, peer) in TARGETS}
    return {"microseconds": step_times, "ratios": ratios, "met": met}
