"""What is said of a name that PyTorch may have and chainrule.torch has not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from chainrule.torch.errors import MissingNameError


def missing_name(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error to raise for `name`, with the nearest names that are there.

    >>> missing_name("chainrule.torch.nn", "Liner", ["Linear", "ReLU"])
    MissingNameError("chainrule.torch.nn has no 'Liner'; the nearest names are Linear")
    """
    if name.startswith("__"):
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    near = difflib.get_close_matches(name, [k for k in known if not k.startswith("_")], 3)
    return MissingNameError(
        f"{module} has no {name!r}" + (f"; the nearest names are {', '.join(near)}" if near else "")
    )
