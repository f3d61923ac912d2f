"""`torch.linalg`: the last two dimensions are matrices, those before them a batch."""

from __future__ import annotations

from chainrule.torch.functions.linear import EXPORTED, LinAlgError

__all__ = ["LinAlgError", *EXPORTED]

globals().update(EXPORTED)
