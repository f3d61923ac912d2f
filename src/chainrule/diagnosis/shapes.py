"""Claimed gradients of another shape than their parameter: what they are after the obvious repair."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from chainrule.diagnosis.comparison import relative_error
from chainrule.diagnosis.mistakes import CATALOGUE
from chainrule.diagnosis.report import Finding


def shape_finding(name: str, claim: Any, truth: Any, tolerance: float) -> Finding:
    """What is said about a claim that has another shape than the true gradient."""
    repairs = [
        (code, words, fix, relative_error(array, truth)) for code, words, fix, array in _repairs(claim, truth)
    ]
    if not repairs:
        sentence = f"The claimed gradient of {name} has shape {claim.shape}, the parameter {truth.shape}."
        return Finding(name, "CR304", CATALOGUE["CR304"].title, sentence, "wrong", float("inf"))
    code, words, fix, error = min(repairs, key=lambda r: r[-1])
    right = error <= tolerance
    sentence = f"The claimed gradient of {name} has shape {claim.shape}, the parameter {truth.shape}. {words}"
    sentence += ", it is the true one." if right else f", its relative error is {error:.2g}."
    return Finding(name, code, CATALOGUE[code].title, sentence, "wrong", float("inf"), error if right else None,
                   f"d_{name} = d_{name}{fix}" if right else None)  # fmt: skip


def _repairs(claim: Any, truth: Any) -> Iterator[tuple[str, str, str, Any]]:
    """Code, words, the repair as source, and the claim after it."""
    shape = truth.shape
    if claim.ndim >= 2 and claim.T.shape == shape:
        yield "CR301", "Transposed", ".T", claim.T
    if claim.ndim >= 2 and claim.swapaxes(-1, -2).shape == shape and claim.ndim > 2:
        yield "CR301", "With its last two axes exchanged", ".swapaxes(-1, -2)", claim.swapaxes(-1, -2)
    for count in range(1, claim.ndim - len(shape) + 1 if claim.ndim > len(shape) else claim.ndim + 1):
        for axes in combinations(range(claim.ndim), count):
            summed = claim.sum(axis=axes)
            if summed.shape == shape and any(claim.shape[a] > 1 for a in axes):
                axis = axes[0] if count == 1 else axes
                yield "CR302", f"Summed over axis {axis}", f".sum(axis={axis})", summed
            kept = claim.sum(axis=axes, keepdims=True)
            if kept.shape == shape and any(claim.shape[a] > 1 for a in axes):
                axis = axes[0] if count == 1 else axes
                yield "CR302", f"Summed over axis {axis}", f".sum(axis={axis}, keepdims=True)", kept
    if claim.size == truth.size:
        yield "CR303", f"Reshaped to {shape}", f".reshape{shape}", claim.reshape(shape)
        yield (
            "CR303",
            f"Reshaped to {shape[::-1]} and transposed",
            f".reshape{shape[::-1]}.T",
            claim.reshape(shape[::-1]).T,
        )
    try:
        if np.broadcast_shapes(claim.shape, shape) == shape:
            yield "CR304", f"Broadcast to {shape}", "", np.broadcast_to(claim, shape)
    except ValueError:
        pass
