"""Modules that take the shapes of their parameters from the first input."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.torch.errors import OperationError
from chainrule.torch.nn.modules.module import Module
from chainrule.torch.nn.parameter import UninitializedParameter


class Lazy(Module):
    """Waits for the first input, and then becomes an ordinary module."""

    cls_to_become: ClassVar[type | None] = None

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter still waits for its shape."""
        return any(isinstance(p, UninitializedParameter) for p in self._parameters.values())

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Take the shapes that fit to the arguments."""
        raise OperationError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The forward pass; before the first one, the parameters take their shapes."""
        if self.has_uninitialized_params():
            self.initialize_parameters(*args, **kwargs)
            self.become()
        return Module.__call__(self, *args, **kwargs)  # its class may be another one by now

    def become(self) -> None:
        """From now on, be the ordinary module."""
        if self.cls_to_become is not None and not self.has_uninitialized_params():
            self.__class__ = self.cls_to_become
