"""``python -m benchmarks``: training steps side by side, then import time, long chains, memory and size."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.agreement import Disagreement, check_agreement
from benchmarks.contestants import MODULES, available, build
from benchmarks.measure import alternate
from benchmarks.models import MODELS, Model
from benchmarks.other import OTHERS
from benchmarks.picture import picture
from benchmarks.report import Finding, as_data, comparison_table, finding_table, step_table


def main() -> None:
    options = parse()
    contestants = [name for name in options.peers if is_available(name)]
    steps = {name: measure_model(MODELS[name], contestants, options.seconds) for name in options.models}
    findings = measure_others(options.others)
    if options.picture:
        options.picture.write_text(picture(steps))
    if options.json:
        results = {"steps": steps, "others": [asdict(finding) for finding in findings]}
        options.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    if any("refused" in step for step in steps.values()):
        raise SystemExit("some models were not timed, because the contestants do not agree")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--peers", nargs="*", choices=MODULES, default=list(MODULES), help="who takes part")
    parser.add_argument("--others", nargs="*", choices=OTHERS, default=list(OTHERS), help="besides the steps")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each model, divided among all (10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the training steps there, as SVG")
    return parser.parse_args()


def is_available(name: str) -> bool:
    reason = available(name)
    if reason is not None:
        print(f"{name} is skipped: {reason}")
    return reason is None


def measure_model(model: Model, names: Sequence[str], seconds: float) -> Mapping[str, object]:
    try:
        check_agreement(model, {name: build(name, model, steps=1) for name in names})
    except Disagreement as refusal:
        print(f"\n{model.title}\n  refused: {refusal}", flush=True)
        return {"refused": str(refusal)}
    contestants = {name: build(name, model) for name in names}
    calls = alternate({name: each.step for name, each in contestants.items()}, seconds)
    timings = {name: [each / contestants[name].steps for each in times] for name, times in calls.items()}
    print(f"\n{step_table(model.title, timings)}\n\n{comparison_table(model.name, timings)}", flush=True)
    return as_data(model.name, timings)


def measure_others(names: Sequence[str]) -> list[Finding]:
    if not names:
        return []
    reason = available("chainrule")
    if reason is not None:
        print(f"\nimport time, chain, memory and size are skipped: {reason}")
        return []
    findings = [finding for name in names for finding in measure_other(name)]
    print(f"\n{finding_table(findings)}")
    return findings


def measure_other(name: str) -> list[Finding]:
    try:
        return OTHERS[name]()
    except ChildProcessError as failure:
        return [Finding(name, f"failed: {failure}", "", False)]


if __name__ == "__main__":
    main()
