"""How many planted mistakes `check` names, and how often it is wrong: tables, and the mistakes it confuses.

    python tests/diagnosis/score.py [--quick] [--seeds 3] [--limit 1] [--only NETWORK]

Exit status 1 where single mistakes are named in less than 95 % or rightly in less than 97 %, pairs in less than
60 % or 90 %, or a right gradient is called wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path[:0] = [p for p in (str(Path(__file__).resolve().parent.parent),) if p not in sys.path]
for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402
from diagnosis import judging, planting, variants  # noqa: E402
from diagnosis.corpus import NETWORKS  # noqa: E402
from diagnosis.judging import Row  # noqa: E402

DIAGNOSED = ("planted", "equivalent", "wrong", "unproved", "silent")
LEAST = {"single": (0.95, 0.97), "pair": (0.60, 0.90)}
STYLES = ("data", "closed")
Job = tuple[int, str, int, int]
"""The number of a network, a kind, a seed, and how many mutants by each operator."""


def rows(job: Job, only: int | None = None) -> Iterator[Row]:
    """The checks of one job; with `only`, that one alone."""
    number, kind, seed, _ = job
    network = NETWORKS[number]
    if kind == "variant":
        for k, variant in enumerate(variants.variants(network)):
            args = network.arguments((7, seed, k), square=k % 3 == 2)
            if only not in (None, k) or (
                "differences" in variant.words and variants.error(network, variant.backward, args) > 1e-9
            ):  # there was a kink within a step
                continue
            yield judging.judged_variant(network, variant, args, style(seed + k), reproducer(job, k))
        return
    for k, mutant in enumerate(mutants(job)):
        if only in (None, k):
            how = "arrays" if kind == "arrays" else style(seed + k)
            yield judging.judged_mutant(mutant, (11, seed, k), how, reproducer(job, k), kind)


def style(k: int) -> str:
    """Mostly the data are arguments; they may also be what the loss closes over."""
    return "closed" if k % 4 == 3 else "data"


def mutants(job: Job) -> list[planting.Mutant]:
    number, kind, seed, limit = job
    network = NETWORKS[number]
    if kind == "pair":
        return planting.pairs(network, 2 * limit, seed)
    if kind == "shape":
        found = planting.misshapen(network)
        order = np.random.default_rng(seed).permutation(len(found))
        return [found[k] for k in order[:limit]]
    found = planting.singles(network, limit, seed)
    if kind == "arrays":
        order = np.random.default_rng(seed).permutation(len(found))
        return [found[k] for k in order[: 4 * limit]]
    return found


def reproducer(job: Job, k: int) -> str:
    return f"python tests/diagnosis/score.py --show {','.join(map(str, job))},{k}"


def shown(text: str) -> None:
    """One check, with the source of the mutant and the report."""
    *parts, k = text.split(",")
    job: Job = (int(parts[0]), parts[1], int(parts[2]), int(parts[3]))
    network, index = NETWORKS[job[0]], int(k)
    how = "arrays" if job[1] == "arrays" else style(job[2] + index)
    if job[1] == "variant":
        variant = list(variants.variants(network))[index]
        backward, args = variant.backward, network.arguments((7, job[2], index), square=index % 3 == 2)
        print(network.name, "|", variant.words)
    else:
        mutant = mutants(job)[index]
        backward, args = mutant.backward, network.arguments((11, job[2], index), mutant.square)
        print(f"{mutant.source}\n\n{network.name} | {mutant.words}")
        print({path: sorted(codes) for path, codes in mutant.codes.items()})
    print(judging.asked(network, backward, args, how)[1])
    for row in rows(job, index):
        print(row)


def worked(job: Job) -> list[Row]:
    return list(rows(job))


# tables --------------------------------------------------------------------------------------------------------


def shares(found: Iterable[Row]) -> tuple[float, float]:
    """The share of mistakes that got a diagnosis, and the share of diagnoses that are right."""
    counts = Counter(r.outcome for r in found)
    diagnosed = sum(counts[o] for o in DIAGNOSED)
    right = counts["planted"] + counts["equivalent"]
    return diagnosed / max(counts.total(), 1), right / max(diagnosed, 1)


def table(found: list[Row]) -> Iterator[str]:
    outcomes = (*DIAGNOSED, "undecided", "error")
    yield f"{'code':14s} {'all':>5s}" + "".join(f" {o:>10s}" for o in outcomes) + "   named   right"
    for code in [*sorted({r.code for r in found}), ""]:
        part = [r for r in found if code in (r.code, "")]
        counts = Counter(r.outcome for r in part)
        named, right = shares(part)
        yield (
            f"{code or 'all':14s} {len(part):5d}"
            + "".join(f" {counts[o]:10d}" for o in outcomes)
            + (f"  {named:6.1%}  {right:6.1%}")
        )


def confusions(found: list[Row], most: int) -> Iterator[str]:
    """Of what went wrong, the most frequent, each with an example and the command that shows it."""
    bad = [r for r in found if r.outcome not in ("planted", "equivalent")]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in bad:
        groups.setdefault((row.code, row.outcome, row.operator), []).append(row)
    for (code, outcome, operator), part in sorted(groups.items(), key=lambda g: -len(g[1]))[:most]:
        row = part[0]
        yield f"{len(part):4d} × {code} {outcome} ({operator}): {row.network}: {row.words}\n         said {row.said}"
        yield f"         {row.reproduce}"


def synonyms(found: list[Row]) -> Iterator[str]:
    """What was said in place of what was planted, and reproduces the mutant at every point."""
    counts = Counter(
        (r.code, " ".join(sorted({s.split(": ")[1] for s in r.said.split("; ")}))) for r in found
    )
    if counts:
        yield "equivalent: " + ", ".join(
            f"{n} × {planted} → {said}" for (planted, said), n in counts.most_common()
        )


def summary(kind: str, found: list[Row], most: int) -> Iterator[str]:
    seconds = [r.seconds for r in found] or [0.0]
    slowest = max(found, key=lambda r: r.seconds)
    time_taken = (
        f"{statistics.median(seconds):.2f} s median, {max(seconds):.2f} s at most ({slowest.network})"
    )
    yield f"\n== {kind}: {len(found)} checks, {time_taken}"
    if kind == "variant":
        counts = Counter(r.outcome for r in found)
        yield ", ".join(f"{outcome} {counts[outcome]}" for outcome in ("right", "unsure", "error", "alarm"))
        for row in [r for r in found if r.outcome != "right"][:most]:
            yield f"  {row.outcome}: {row.network}: {row.words}: {row.said}\n         {row.reproduce}"
        return
    yield from table(found)
    yield from synonyms([r for r in found if r.outcome == "equivalent"])
    yield from confusions(found, most)
    alarmed = [r for r in found if r.alarms]
    yield f"right parameters beside wrong ones that were called wrong: {len(alarmed)}"
    for row in alarmed[:most]:
        yield f"  {row.network}: {row.words}: {', '.join(row.alarms)}\n         {row.reproduce}"


def failures(by_kind: dict[str, list[Row]]) -> list[str]:
    """Which of the requirements are not met."""
    found = []
    for kind, (least_named, least_right) in LEAST.items():
        named, right = shares(by_kind.get(kind, []))
        if by_kind.get(kind) and (named < least_named or right < least_right):
            required = f"{least_named:.0%} and {least_right:.0%} required"
            found.append(f"{kind}: {named:.1%} named, {right:.1%} of these right; {required}")
    alarms = sum(bool(r.alarms) for part in by_kind.values() for r in part)
    errors = sum(r.outcome == "error" for part in by_kind.values() for r in part)
    for count, what in ((alarms, "false alarms"), (errors, "checks that raised")):
        found += [f"{count} {what}; none allowed"] if count else []
    return found


def jobs(options: argparse.Namespace) -> list[Job]:
    chosen = [k for k, n in enumerate(NETWORKS) if not options.only or options.only in n.name]
    seeds = range(options.first, options.first + (1 if options.quick else options.seeds))
    kinds = options.kinds.split(",")
    return [(k, kind, seed, options.limit) for seed in seeds for kind in kinds for k in reversed(chosen)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--limit", type=int, default=1, help="mutants by each operator in each network")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--only", default="", help="networks whose names contain this")
    parser.add_argument("--kinds", default="single,pair,shape,arrays,variant")
    parser.add_argument("--most", type=int, default=12, help="how many confusions are listed")
    parser.add_argument("--show", help="one check: network,kind,seed,limit,number")
    parser.add_argument(
        "--seconds", type=float, default=judging.SECONDS, help="how long one check may search"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    judging.SECONDS = options.seconds
    if options.show:
        shown(options.show)
        return 0
    begun, by_kind = time.perf_counter(), {}
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:
        for found in pool.imap_unordered(worked, jobs(options)):
            for row in found:
                by_kind.setdefault(row.kind, []).append(row)
    for kind in options.kinds.split(","):
        if by_kind.get(kind):
            print(*summary(kind, by_kind[kind], options.most), sep="\n")
    print(f"\n{time.perf_counter() - begun:.0f} s")
    for failure in failures(by_kind):
        print("FAILED", failure)
    return bool(failures(by_kind))


if __name__ == "__main__":
    sys.exit(main())
