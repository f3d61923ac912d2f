"""Whether `check` named what was planted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnosis.corpus import Network
from diagnosis.mutations import SHAPES
from diagnosis.planting import TOLERANCE, Mutant, distance, named
from diagnosis.variants import Variant

from chainrule import diagnosis
from chainrule.graph.tracing import leaf_names
from chainrule.trees import leaves

SECONDS = 10.0
PROOF = 1e-8
UNNAMED = ("CR199",)
"""Codes that say that something is wrong without saying what."""


@dataclass(frozen=True)
class Verdict:
    """What a report says of one parameter."""

    verdict: str
    codes: frozenset[str]
    proved: bool


@dataclass(frozen=True)
class Row:
    """One check: what it was given, what it answered, and how that is judged.

    `outcome` is planted, equivalent, wrong (a diagnosis that is neither), unproved (its correction does not bring
    the error below 1e-8), silent (a wrong gradient passed as right), undecided, or error; for right gradients:
    right, unsure or alarm. `alarms` are parameters whose gradients were right and called wrong.
    """

    network: str
    kind: str
    code: str
    words: str
    operator: str
    outcome: str
    said: str
    alarms: tuple[str, ...]
    seconds: float
    reproduce: str


def bound(network: Network, args: Any, style: str) -> tuple[Callable[..., Any], Any]:
    """The loss and its arguments: all of them, or (`style` is "closed") the parameters alone, the data closed over."""
    if style != "closed":
        return network.loss, args
    data = args[network.parameters :]
    code = network.loss.__code__
    parameters = ", ".join(code.co_varnames[: network.parameters])
    space = {"whole": network.loss, "data": data}
    exec(f"def loss({parameters}):\n    return whole({parameters}, *data)\n", space)
    return space["loss"], args[: network.parameters]  # type: ignore[return-value]


def claim(network: Network, backward: Callable[..., Any], args: Any, style: str) -> Any:
    """What is claimed: a function of the arguments that `bound` gives, or arrays (`style` is "arrays")."""
    rest = len(args) - network.parameters
    if style == "arrays":
        return network.claims(backward, args) + (None,) * rest
    if style == "closed":
        return lambda *parameters: network.claims(backward, parameters + args[network.parameters :])
    return lambda *given: network.claims(backward, given) + (None,) * rest


def asked(
    network: Network, backward: Callable[..., Any], args: Any, style: str
) -> tuple[dict[str, Verdict], Any]:
    """The verdicts of `check` by the path of the parameter, and its report."""
    loss, given = bound(network, args, style)
    with np.errstate(all="ignore"):
        report = diagnosis.check(loss, given, claim(network, backward, args, style), seconds=SECONDS)
    names = leaf_names(loss, given, {})
    by_name: dict[str, Verdict] = {}
    for finding in report.findings:
        before = by_name.get(finding.parameter)
        codes = frozenset(finding.code.replace("+", " ").split()) | (before.codes if before else frozenset())
        proved = finding.error_after is not None and finding.error_after < PROOF
        by_name[finding.parameter] = Verdict(finding.verdict, codes, proved)
    paths = [path for path, _ in leaves(given)]
    return {p: by_name[n] for p, n in zip(paths, names, strict=True) if n in by_name}, report


def ruled(verdicts: Mapping[str, Verdict], wrong: Mapping[str, frozenset[str]]) -> str:
    """The outcome for the parameters that are wrong, each with the codes that were planted."""
    said = [verdicts.get(path, Verdict("correct", frozenset(), False)) for path in wrong]
    if any(v.verdict == "correct" for v in said):
        return "silent"
    if any(v.verdict in ("unknown", "undecided") or v.codes <= set(UNNAMED) for v in said):
        return "undecided"
    if not all(v.proved or v.codes <= set(SHAPES) for v in said):  # a wrong shape needs no proof
        return "unproved"
    planted = all(v.codes <= wrong[path] for path, v in zip(wrong, said, strict=True))
    return "planted" if planted else "named"


def equivalent(
    mutant: Mutant, verdicts: Mapping[str, Verdict], codes: Mapping[str, frozenset[str]], style: str
) -> bool:
    """Whether a diagnosis that was not planted comes again, proved, at three fresh points with other shapes."""
    for seed in (301, 302, 303):
        args = mutant.network.arguments(seed, mutant.square)
        again, _ = asked(mutant.network, mutant.backward, args, style)
        for path in codes:
            if codes[path] >= verdicts[path].codes:
                continue
            if path not in again or again[path].codes != verdicts[path].codes or not again[path].proved:
                return False
    return True


def codes_at(mutant: Mutant, args: Any) -> dict[str, frozenset[str]]:
    """The parameters that are wrong for these arguments: the sizes decide how far a mistake reaches."""
    truth = named(mutant.network.claims(mutant.network.backward, args))
    found = named(mutant.network.claims(mutant.backward, args))
    everything = frozenset[str]().union(*mutant.codes.values())
    return {p: mutant.codes.get(p, everything) for p in truth if distance(found[p], truth[p]) > TOLERANCE}


def judged_mutant(mutant: Mutant, seed: Any, style: str, reproduce: str, kind: str) -> Row:
    network, args = mutant.network, mutant.network.arguments(seed, mutant.square)
    begun = time.perf_counter()
    try:
        verdicts, _ = asked(network, mutant.backward, args, style)
    except Exception as error:
        said, outcome, alarms, seconds = f"{type(error).__name__}: {error}"[:300], "error", (), 0.0
    else:
        seconds = time.perf_counter() - begun
        codes = codes_at(mutant, args)
        outcome = ruled(verdicts, codes)
        if outcome == "named":
            outcome = "equivalent" if equivalent(mutant, verdicts, codes, style) else "wrong"
        calm = sorted(verdicts.keys() - codes.keys())
        alarms = tuple(p for p in calm if verdicts[p].verdict in ("wrong", "unknown"))
        said = "; ".join(f"{p}: {'+'.join(sorted(verdicts[p].codes))}" for p in codes if p in verdicts)
    return Row(
        network.name, kind, mutant.planted, mutant.words, mutant.operator, outcome, said, alarms, seconds, reproduce
    )  # fmt: skip


def judged_variant(network: Network, variant: Variant, args: Any, style: str, reproduce: str) -> Row:
    begun = time.perf_counter()
    try:
        verdicts, _ = asked(network, variant.backward, args, style)
    except Exception as error:
        outcome, alarms, said = "error", (), f"{type(error).__name__}: {error}"[:300]
    else:
        truth = named(network.claims(network.backward, args))
        alarms = tuple(p for p in truth if p in verdicts and verdicts[p].verdict in ("wrong", "unknown"))
        right = all(as_it_should(verdicts[p], variant.convention) for p in truth if p in verdicts)
        outcome = "alarm" if alarms else "right" if right and len(verdicts) == len(truth) else "unsure"
        said = "; ".join(f"{p}: {v.verdict} {'+'.join(sorted(v.codes))}" for p, v in verdicts.items())
    return Row(
        network.name, "variant", variant.words, variant.words, "", outcome, said, alarms,
        time.perf_counter() - begun, reproduce,
    )  # fmt: skip


def as_it_should(verdict: Verdict, convention: frozenset[str]) -> bool:
    if convention:
        return verdict.verdict == "convention" and verdict.codes <= convention
    return verdict.verdict == "correct"
