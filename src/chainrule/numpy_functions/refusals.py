"""What is said where a derivative is missing: which function or argument, and the nearest thing to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from chainrule.primitives import described

_ADVICE = {
    "UPLO": "the lower triangle is read; transpose the matrix first",
    "aweights": "write it out with np.average(..., weights=...)",
    "casting": "convert with .astype(dtype) first",
    "copy": "the result is a new Tensor; assign it",
    "dtype": "convert the result with .astype(dtype)",
    "fweights": "repeat the observations with np.repeat first",
    "hermitian": "leave it out, or use np.linalg.eigh",
    "initial": "join it to the result with np.add, np.maximum, ...",
    "mean": "leave it out; it is computed",
    "out": "use the result",
    "period": "reduce x to one period with np.mod first",
    "weights": "multiply by the weights first",
    "where": "choose with np.where(mask, x, other) before or after",
}

_NEAREST = {
    "fft.fft": "np.dot with the matrix of the transform",
    "histogram": "np.bincount(np.digitize(x.detach(), edges), weights)",
    "linalg.eig": "np.linalg.eigh, for symmetric matrices",
    "linalg.eigvals": "np.linalg.eigvalsh, for symmetric matrices",
    "nextafter": "np.positive",
    "polyfit": "np.linalg.lstsq(np.vander(x, degree + 1), y)",
    "polymul": "np.convolve",
    "union1d": "np.unique(np.concatenate([x, y]))",
}
"""What comes nearest to a function that is not supported, where its name does not tell."""

_WAY_OUT = "If no gradient is wanted, pass t.detach() instead of the Tensor t."


def refused_argument(name: str, argument: str, value: Any, supported: Iterable[str] = ()) -> str:
    """Why an argument of a supported function is refused.

    >>> refused_argument("np.add", "where", False).splitlines()[0]
    'np.add(where=False) has no derivative here: choose with np.where(mask, x, other) before or after.'
    """
    advice = _ADVICE.get(argument, "leave the argument out")
    names = ", ".join(sorted(supported))
    return (
        f"{name}({argument}={described(value)}) has no derivative here: {advice}."
        f"{f' Supported arguments: {names}.' if names else ''}\n{_WAY_OUT}"
    )


def refused_method(name: str, supported: Iterable[str]) -> str:
    """Why a method of a universal function is refused.

    >>> refused_method("np.fmax.at", ["np.add.at"]).splitlines()[0]
    'np.fmax.at has no derivative here. Those that have one: np.add.at.'
    """
    return f"{name} has no derivative here. Those that have one: {', '.join(sorted(supported))}.\n{_WAY_OUT}"


def refused_function(name: str, known: Iterable[str]) -> str:
    """Why a function is refused.

    >>> refused_function("np.polymul", []).splitlines()[0]
    'np.polymul has no derivative here. The nearest that has one: np.convolve.'
    """
    short = name.removeprefix("np.")
    near = _NEAREST.get(short) or ", ".join(f"np.{n}" for n in difflib.get_close_matches(short, known, n=3))
    return (
        f"{name} has no derivative here.{f' The nearest that has one: {near}.' if near else ''}\n{_WAY_OUT}\n"
        f"Otherwise write it with functions that are supported (docs/numpy.md lists them), or declare it and "
        f"its rule with cr.primitive."
    )
