"""Modules that apply one function with the options that they were made with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from chainrule.torch.nn.modules.module import Module

REQUIRED = inspect.Parameter.empty


class Applied(Module):
    """`function(input, **options)`; a subclass says which function, and which options with which defaults.

    The options are attributes of the module, and `shown` are those that its text shows.
    """

    function: ClassVar[Callable[..., Any]]
    options: ClassVar[dict[str, Any]] = {}
    shown: ClassVar[tuple[str, ...] | None] = None

    def __init_subclass__(cls, **how: Any) -> None:
        super().__init_subclass__(**how)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind, default=default) for name, default in cls.options.items()]
        cls._signature = inspect.Signature(parameters)
        own = cls.__dict__.get("__init__")
        if own is None or own.__code__.co_flags & inspect.CO_VARARGS:
            cls.__signature__ = cls._signature  # type: ignore[attr-defined]

    _signature: ClassVar[inspect.Signature] = inspect.Signature()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}.__init__() {error}") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            setattr(self, name, value)

    def forward(self, input: Any) -> Any:
        """The function of `input`."""
        return type(self).function(input, **{name: getattr(self, name) for name in self.options})

    def extra_repr(self) -> str:
        """The options; `inplace` only where it is true."""
        names = self.shown if self.shown is not None else tuple(n for n in self.options if n != "inplace")
        parts = [f"{name}={getattr(self, name)!r}" for name in names]
        if getattr(self, "inplace", False) and (self.shown is None or "inplace" not in self.shown):
            parts.append("inplace=True")
        return ", ".join(parts)
