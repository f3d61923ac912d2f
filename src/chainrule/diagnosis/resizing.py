"""The same problem with another number of rows, at which mistakes that coincide at one size are told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, combinations

import numpy as np

from chainrule.diagnosis.problem import Arrays, Problem, fresh
from chainrule.errors import ChainruleError

MORE = 3
"""So many rows are added."""


def with_other_rows(problem: Problem, rng: np.random.Generator) -> Problem | None:
    """The problem at another batch size; None where the arguments have no batch, or the claim is no function.

    The batch is a leading length that arguments without a claimed gradient share. Where the functions refuse when it
    is changed in all of them, one after the other is left as it was.
    """
    if problem.function is None:
        return None
    for numbers in _shared_rows(problem):
        values = {i: _longer(problem.values[i]) for i in numbers}
        values |= {i: v for i, v in fresh(problem.values | values, rng).items() if i in numbers}
        try:
            with np.errstate(all="ignore"):
                other = Problem(problem.loss, problem.copied(values), problem.function)
                found = other.checked_value()
        except (ChainruleError, ValueError, IndexError, TypeError):
            continue
        same = {i: c.shape for i, c in other.claims.items()} == {
            i: c.shape for i, c in problem.claims.items()
        }
        if same and np.isfinite(found):
            return other
    return None


def _shared_rows(problem: Problem) -> Iterator[tuple[int, ...]]:
    """The arguments that may have a row for each sample: all of one length, then all but one or two."""
    data: Arrays = {
        i: v for i, v in problem.values.items()
        if i not in problem.claims and isinstance(v, np.ndarray) and v.ndim and len(v) > 1
    }  # fmt: skip
    for length, _ in Counter(len(v) for v in data.values()).most_common():
        every = [i for i, v in data.items() if len(v) == length]
        fewer = (combinations(every, n) for n in range(len(every), max(len(every) - 3, 0), -1))
        yield from chain.from_iterable(fewer)


def _longer(value: np.ndarray) -> np.ndarray:
    return value[np.arange(len(value) + MORE) % len(value)]
