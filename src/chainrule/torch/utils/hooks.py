"""The handle that registering a hook returns."""

from chainrule.torch.graph import RemovableHandle

__all__ = ["RemovableHandle"]
