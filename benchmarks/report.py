"""The targets, and how results are printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import Timings, microseconds, ratio

SUBJECT = "chainrule"
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
    """µs per step of each contestant, and the subject's time relative to it."""
    rows = [("", "µs/step", f"{SUBJECT}/it", "target", "")]
    for name in timings:
        rows.append((name, f"{microseconds(timings, name):.1f}", *comparison(model, name, timings)))
    return f"{title}\n{table(rows)}"


def comparison(model: str, peer: str, timings: Timings) -> tuple[str, str, str]:
    if SUBJECT not in timings or peer == SUBJECT:
        return "", "", ""
    measured, target = ratio(timings, SUBJECT, peer), TARGETS.get((model, peer))
    if target is None:
        return f"{measured:.2f}", "", ""
    return f"{measured:.2f}", f"<= {target:.2f}", verdict(measured <= target)


def finding_table(findings: Sequence[Finding]) -> str:
    rows = [("", "measured", "target", "")]
    rows += [(each.title, each.measured, each.target, verdict(each.met)) for each in findings]
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  " + "  ".join(map(aligned, row, widths)).rstrip() for row in rows)


def aligned(cell: str, width: int) -> str:
    is_number = cell.replace(".", "").isdigit()
    return cell.rjust(width) if is_number else cell.ljust(width)


def as_data(model: str, timings: Timings) -> Mapping[str, object]:
    """One model's results for a JSON file."""
    step_times = {name: microseconds(timings, name) for name in timings}
    if SUBJECT not in timings:
        return {"microseconds": step_times}
    ratios = {peer: ratio(timings, SUBJECT, peer) for peer in timings if peer != SUBJECT}
    met = {peer: ratios[peer] <= TARGETS[model, peer] for peer in ratios if (model, peer) in TARGETS}
    return {"microseconds": step_times, "ratios": ratios, "met": met}
