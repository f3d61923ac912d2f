"""How numbers and arrays are shown: small arrays whole, large ones by a summary and a corner."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.typing import Shape

DIGITS, LARGE = 6, 1e5
"""Significant digits of a number, and from where on they have no room for a fraction."""

WHOLE, COLUMNS, ROWS = 24, 6, 8
"""An array of at most so many elements, columns and rows is shown whole."""

CORNER = (2, 4)
"""The rows and columns that are shown of a larger one."""

ULPS = 4
"""A number this close to a shorter one differs from it by rounding only."""


def number(value: Any) -> str:
    """A number with six significant digits; with more where a fraction would otherwise look like an integer.

    >>> [number(x) for x in (9.0, 1 / 3, 1e-12, 0.1 + 0.2, 0.99999999, 123456789.5, -0.0, True)]
    ['9', '0.333333', '1e-12', '0.3', '0.99999999', '1.23457e+08', '0', 'True']
    """
    rounding = ULPS * np.finfo(array.dtype).eps if (array := np.asarray(value)).dtype.kind in "fc" else 0.0
    value = array.item()
    if isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, complex):
        return f"{number(value.real)}{'+' if value.imag >= 0 else '-'}{number(abs(value.imag))}j"
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    for digits in range(DIGITS, 18):
        text = f"{value:.{digits}g}"
        if abs(value) >= LARGE or "." in text or abs(float(text) - value) <= rounding * abs(value):
            break
    return text


def array_lines(name: str, array: Any) -> list[str]:
    r"""An array in lines: its numbers, or its shape, range, mean and norm above a corner of it.

    >>> array_lines("x", np.array([0.5, 2.0]))
    ['[0.5 2]']
    >>> print("\n".join(array_lines("W", np.array([[0.25, -3.0], [10.0, 4.0]]))))
    [[ 0.25 -3]
     [10     4]]
    >>> print("\n".join(array_lines("X", np.arange(300.0).reshape(50, 6))))
    (50, 6): 0 to 299, mean 149.5, norm 2992.5
    X[:2, :4] = [[0 1 2 3]
                 [6 7 8 9]]
    """
    array = np.asarray(array)
    if array.ndim == 0:
        return [number(array)]
    if is_small(array):
        return _grid(array)
    if not array.size or (array == array.flat[0]).all():
        return [summary(array)]
    key, corner = _corner(array)
    head = f"{name}[{key}] = "
    first, *rest = _grid(corner)
    return [summary(array), head + first, *(" " * len(head) + line for line in rest)]


def is_small(array: Any) -> bool:
    """Whether an array is shown whole."""
    array = np.asarray(array)
    if array.size > WHOLE or not array.size:
        return False
    rows = math.prod(array.shape[:-1]) if array.ndim > 1 else 1
    return array.ndim == 0 or (array.shape[-1] <= (COLUMNS if array.ndim > 1 else ROWS) and rows <= ROWS)


def summary(array: Any, digits: int = DIGITS) -> str:
    """The shape, and what the numbers are like: the range, the mean, the norm; the one number that all of them are.

    >>> summary(np.ones((3, 2))), summary(np.array([True, False])), summary(np.array([np.nan, 1, np.inf]))
    ('(3, 2): 1 everywhere', '(2,): 1 of 2 True', '(3,): 1 NaN, 1 Inf, else 1 everywhere')
    """
    array = np.asarray(array)
    kind = "" if array.dtype in (np.float64, np.bool_) else f" {array.dtype}"
    head = f"{array.shape}{kind}: "
    if array.size == 0:
        return f"{array.shape}{kind}, empty"
    if array.dtype == bool:
        return f"{head}{int(array.sum())} of {array.size} True"
    finite = array[np.isfinite(array)]
    odd = _odd(array)
    if odd and not finite.size:
        return head + odd
    return head + (f"{odd}, else " if odd else "") + _range(finite, digits)


def _odd(array: np.ndarray) -> str:
    counts = {"NaN": int(np.isnan(array).sum()), "Inf": int(np.isinf(array).sum())}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _range(finite: np.ndarray, digits: int) -> str:
    def rounded(value: Any) -> str:
        return number(float(f"{float(value):.{digits}g}"))

    if finite.dtype.kind == "c":
        return f"norm {rounded(norm(finite))}"
    lowest, highest = finite.min(), finite.max()
    if lowest == highest:
        return f"{number(lowest)} everywhere"
    shown = number if digits == DIGITS else rounded  # what is nearly 1 is not 1
    with np.errstate(over="ignore"):
        mean = finite.mean(dtype=np.float64)
    return f"{shown(lowest)} to {shown(highest)}, mean {rounded(mean)}, norm {rounded(norm(finite))}"


def norm(array: Any) -> float:
    """The Euclidean norm, which overflows only where it is itself too large.

    >>> norm(np.array([3e200, 4e200]))
    5e+200
    """
    sizes = np.abs(np.asarray(array)).astype(np.float64)
    largest = float(sizes.max(initial=0))
    return largest * float(np.linalg.norm(sizes / largest)) if largest and math.isfinite(largest) else largest


def _corner(array: np.ndarray) -> tuple[str, np.ndarray]:
    """The first elements, and the index that takes them."""
    if array.ndim == 1:
        return f":{CORNER[1]}", array[: CORNER[1]]
    leading = (0,) * (array.ndim - 2)
    parts, key = [str(i) for i in leading], list(leading)
    for length, most in zip(array.shape[-2:], CORNER, strict=True):
        parts.append(f":{most}" if length > most else ":")
        key.append(slice(most))  # type: ignore[arg-type]
    if parts[-1] == ":":
        parts.pop()
    return ", ".join(parts) or ":", array[tuple(key)]


def _grid(array: np.ndarray) -> list[str]:
    """The numbers of an array in brackets, aligned in columns."""
    texts = [number(x) for x in array.flat]
    if array.ndim == 1:
        return [f"[{' '.join(texts)}]"]
    columns = array.shape[-1]
    rows = [texts[i : i + columns] for i in range(0, len(texts), columns)]
    aligned = zip(*(_by_points(column) for column in zip(*rows, strict=True)), strict=True)
    return _bracketed([" ".join(row) for row in aligned], array.shape[:-1])


def _by_points(texts: Sequence[str]) -> list[str]:
    """A column of numbers with their decimal points below each other.

    >>> _by_points(["-12.5", "3", "0.25"])
    ['-12.5 ', '  3   ', '  0.25']
    """
    parts = [[*re.split(r"(?=[.e])", text, maxsplit=1), ""] for text in texts]
    before, after = (max(len(part[i]) for part in parts) for i in range(2))
    return [part[0].rjust(before) + part[1].ljust(after) for part in parts]


def _bracketed(lines: list[str], shape: Shape) -> list[str]:
    """NumPy's brackets around rows."""
    found = []
    for i, line in enumerate(lines):
        opens, closes = _boundaries(i, shape), _boundaries(i + 1, shape)
        found.append(" " * (len(shape) - opens) + "[" * (opens + 1) + line + "]" * (closes + 1))
    return found


def _boundaries(row: int, shape: Shape) -> int:
    """How many of the outer axes begin anew at a row.

    >>> [_boundaries(row, (2, 3)) for row in range(4)]
    [2, 0, 0, 1]
    """
    count, size = 0, 1
    for length in reversed(shape):
        size *= length
        if row % size:
            break
        count += 1
    return count
