"""Names that somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A question naming the known names nearest to `given`, capitals aside; empty where none is near.

    >>> did_you_mean("irsi", ["iris", "auto-mpg"])
    ' (did you mean iris?)'
    >>> did_you_mean("zebra", ["iris", "auto-mpg"])
    ''
    """
    by_lower = {name.lower(): name for name in known}
    near = [by_lower[name] for name in get_close_matches(given.lower(), by_lower, n=2, cutoff=0.5)]
    return f" (did you mean {' or '.join(near)}?)" if near else ""
