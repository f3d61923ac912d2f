"""What PyTorch keeps under `torch.utils`: `data`, and the handle of a hook."""

from typing import Any

from chainrule.torch.missing import missing_name
from chainrule.torch.utils import data, hooks

__all__ = ["data", "hooks"]


def __getattr__(name: str) -> Any:
    raise missing_name(__name__, name, __all__)
