"""The targets, and how results are printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import Timings, microseconds, ratio

FLOOR = "numpy"
SMALL = ("scalar", "xor", "iris", "small")
NETWORKS = ("xor", "iris", "small", "mnist")


def targets(subject: str, peer: str, *most: float) -> Mapping[tuple[str, str, str], float]:
    """For each of `NETWORKS`, how much of the peer's time is allowed."""
    return {(name, subject, peer): limit for name, limit in zip(NETWORKS, most, strict=True)}


TARGETS: Mapping[tuple[str, str, str], float] = {
    **{(model, "chainrule", "pytorch"): 1 / 3 for model in SMALL},
    **{(model, "chainrule", "mygrad"): 1 / 2 for model in SMALL},
    ("mnist", "chainrule", "pytorch"): 1.0,
    **targets("compiled", "jax", 0.5, 0.5, 0.8, 1.0),
    **targets("compiled-loop", "jax-loop", 0.4, 0.3, 0.8, 1.0),
    **targets("compiled-loop", "numpy", 0.05, 0.1, 0.4, 0.9),
    **targets("compiled-loop", "pytorch", 0.01, 0.01, 0.05, 0.7),
    **targets("compiled-numpy", "numpy", 1.1, 1.1, 1.1, 1.1),
    ("iris-150", "compiled-loop", "numpy"): 0.08,
}
"""By model, whose time is divided, and by whose."""


@dataclass(frozen=True)
class Finding:
    """One measured property beside what it should be; ``met`` is None where nothing could be compared."""

    title: str
    measured: str
    target: str
    met: bool | None


def verdict(met: bool | None) -> str:
    return {True: "met", False: "MISSED", None: "-"}[met]


def step_table(title: str, timings: Timings) -> str:
    """µs per step of each contestant, the fastest first, and relative to the floor."""
    rows = [("", "µs/step", f"/{FLOOR}")]
    for name in sorted(timings, key=lambda name: microseconds(timings, name)):
        rows.append((name, f"{microseconds(timings, name):.2f}", relative(name, FLOOR, timings)))
    return f"{title}\n{table(rows)}"


def comparison_table(model: str, timings: Timings) -> str:
    """Each ratio that has a target."""
    rows = [("", "time / time", "target", "")]
    for (_, subject, peer), limit in targets_of(model, timings).items():
        share = ratio(timings, subject, peer)
        rows.append((f"{subject} / {peer}", f"{share:.3f}", f"<= {limit:.2f}", verdict(share <= limit)))
    return table(rows)


def targets_of(model: str, timings: Timings) -> Mapping[tuple[str, str, str], float]:
    """The targets of a model among those who took part."""
    return {
        key: limit
        for key, limit in TARGETS.items()
        if key[0] == model and key[1] in timings and key[2] in timings
    }


def relative(name: str, peer: str, timings: Timings) -> str:
    return f"{ratio(timings, name, peer):.2f}" if peer in timings and name != peer else ""


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
    shares = {key: ratio(timings, *key[1:]) for key in targets_of(model, timings)}
    return {
        "microseconds": {name: microseconds(timings, name) for name in timings},
        "ratios": {f"{subject} / {peer}": share for (_, subject, peer), share in shares.items()},
        "met": {f"{key[1]} / {key[2]}": share <= TARGETS[key] for key, share in shares.items()},
    }
