"""NaN and Inf without a word from NumPy, as in PyTorch.

`token = quieten(SILENCE)` before and `restore(token)` after an operation are `np.errstate(all="ignore")` at a third of
its cost, which every operation pays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from numpy._core.umath import _extobj_contextvar as _handling
except ImportError:  # a NumPy that keeps it elsewhere
    _handling = None  # type: ignore[assignment,misc]

SILENCE: Any
quieten: Any
restore: Any
if _handling is not None:
    with np.errstate(all="ignore"):
        SILENCE = _handling.get()
    quieten, restore = _handling.set, _handling.reset
else:
    SILENCE, quieten = "ignore", np.seterr

    def restore(token: Any) -> None:
        """Set NumPy's handling of floating-point errors to what it was."""
        np.seterr(**token)
