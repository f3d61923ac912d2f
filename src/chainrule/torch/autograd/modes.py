"""Whether operations are recorded, and checked for NaN: context managers that are decorators too."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Self

from chainrule import modes
from chainrule.modes import ANOMALY, RECORD


class _Mode:
    """Flags of the engine's mode, set and cleared for a while."""

    on: ClassVar[int] = 0
    off: ClassVar[int] = 0

    def __init__(self) -> None:
        self._tokens: list[Any] = []

    def _flags(self) -> int:
        return (modes.mode.get() | self.on) & ~self.off

    def __enter__(self) -> Self:
        self._tokens.append(modes.mode.set(self._flags()))
        return self

    def __exit__(self, *_: object) -> None:
        modes.mode.reset(self._tokens.pop())

    def clone(self) -> _Mode:
        """A new one of the same kind, for a function that may call itself."""
        return type(self)()

    def __call__(self, function: Callable[..., Any]) -> Any:
        if inspect.isgeneratorfunction(function):
            return self._over_generator(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return call

    def _over_generator(self, function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            iterator = function(*args, **kwargs)
            while True:
                with self.clone():
                    try:
                        value = next(iterator)
                    except StopIteration as end:
                        return end.value
                yield value

        return generate


class _Bare(type):
    """Lets `@no_grad` be written without parentheses, as PyTorch does."""

    def __call__(cls, function: Any = None) -> Any:
        made = super().__call__()
        return made if function is None else made(function)


class no_grad(_Mode, metaclass=_Bare):
    """Do not record: results need no gradient."""

    off = RECORD


class enable_grad(_Mode, metaclass=_Bare):
    """Record again, inside `no_grad`."""

    on = RECORD


class inference_mode(_Mode):
    """Do not record (or do, if `mode` is False)."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = mode

    def __new__(cls, mode: Any = True) -> Any:
        """A mode; or, of a function, the function that runs in it."""
        return cls()(mode) if callable(mode) else super().__new__(cls)

    def _flags(self) -> int:
        return modes.mode.get() & ~RECORD if self.mode else modes.mode.get() | RECORD

    def clone(self) -> _Mode:
        """Another one with the same choice."""
        return type(self)(self.mode)


class set_grad_enabled(_Mode):
    """Record or not, from now on, or inside a `with`."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = mode
        self._before = modes.mode.get()
        modes.mode.set(self._flags())

    def _flags(self) -> int:
        flags = modes.mode.get()
        return flags | RECORD if self.mode else flags & ~RECORD

    def __enter__(self) -> Self:
        modes.mode.set(self._flags())
        return self

    def __exit__(self, *_: object) -> None:
        modes.mode.set(self._before)

    def clone(self) -> _Mode:
        """Another one with the same choice."""
        return type(self)(self.mode)

    def __call__(self, function: Callable[..., Any]) -> Any:
        """The function, run in this mode; what follows the definition is not."""
        modes.mode.set(self._before)
        return super().__call__(function)


class set_detect_anomaly(_Mode):
    """Check every value and every gradient for NaN and Inf, from now on, or inside a `with`."""

    def __init__(self, mode: bool = True, check_nan: bool = True) -> None:
        super().__init__()
        self.mode = mode
        self._before = modes.mode.get()
        modes.mode.set(self._flags())

    def _flags(self) -> int:
        flags = modes.mode.get()
        return flags | ANOMALY if self.mode else flags & ~ANOMALY

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        modes.mode.set(self._before)


class detect_anomaly(_Mode):
    """Check every value and every gradient for NaN and Inf inside a `with`."""

    on = ANOMALY

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__()


def is_grad_enabled() -> bool:
    """Whether operations are recorded here.

    >>> is_grad_enabled()
    True
    """
    return modes.recording()


def is_inference_mode_enabled() -> bool:
    """Whether operations are not recorded here."""
    return not modes.recording()
