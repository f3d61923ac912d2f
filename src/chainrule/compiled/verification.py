"""Comparing the first call of a compiled function with the function itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError
from chainrule.graph.tracing import name_of
from chainrule.namespace import is_array
from chainrule.operators import data_of
from chainrule.trees import leaves

TOLERANCE = {"f2": 1e-2, "f4": 1e-4, "f8": 1e-9}
"""Relative to the largest element: rounding, and what a few hundred operations make of it."""


class CompiledMismatch(ChainruleError, AssertionError):
    """A compiled function does not give what the function itself gives."""


def verify(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
    """Run `f` and compare.

    Raises CompiledMismatch with the first part of the result that differs.
    """
    expected = list(leaves(f(*args, **kwargs)))
    found = list(leaves(result))
    same = [p for p, _ in expected] == [p for p, _ in found]
    for (path, want), (_, have) in zip(expected, found, strict=False):
        same = same and agree(data_of(want), have)
        if not same:
            raise CompiledMismatch(
                f"the compiled {name_of(f)} gives another result{' at ' + path if path else ''} than the function "
                f"itself; please report this. Without CHAINRULE_VERIFY this is not checked."
            )


def agree(want: Any, have: Any) -> bool:
    """Whether two leaves of results are equal, up to rounding."""
    if not is_array(want) and not isinstance(want, (bool, int, float)):
        return bool(want is have or want == have)
    want, have = np.asarray(want), np.asarray(have)
    if want.shape != have.shape:
        return False
    if want.dtype.kind not in "fc":
        return bool(np.array_equal(want, have))
    finite = np.isfinite(want)
    scale = np.abs(want[finite]).max(initial=1)
    limit = TOLERANCE.get(want.dtype.str[1:], 1e-9) * scale
    return bool(np.allclose(want, have, rtol=0, atol=limit, equal_nan=True))
