"""Modes: whether operations are recorded, whether they are checked for NaN and Inf.

The mode is a context variable, so threads, tasks and free-threaded Python don't disturb each other.
"""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar, Token

RECORD = 1
"""Operations on Tensors that need gradients are recorded."""
ANOMALY = 2
"""Every value and cotangent is checked for NaN and Inf."""
TRANSFORM = 4
"""A transform is under way: the gradients that it asks for may themselves be differentiated."""
TRACE = 8
"""A function is traced: Symbols may be met."""

mode: ContextVar[int] = ContextVar("mode", default=RECORD)


class switched(ContextDecorator):  # noqa: N801 - read as a function
    """Run the body with the flags `on` set and the flags `off` cleared; also usable as a decorator.

    >>> with switched(off=RECORD):
    ...     recording()
    False
    """

    def __init__(self, on: int = 0, off: int = 0) -> None:
        self.on, self.off = on, off
        self.tokens: list[Token[int]] = []

    def _recreate_cm(self) -> switched:
        return switched(self.on, self.off)  # one for each call of a decorated function

    def __enter__(self) -> None:
        self.tokens.append(mode.set((mode.get() | self.on) & ~self.off))

    def __exit__(self, *_: object) -> None:
        mode.reset(self.tokens.pop())


def no_grad() -> switched:
    """Do not record: results in the body need no gradient. Also usable as a decorator.

    >>> import chainrule as cr
    >>> x = cr.Tensor(2.0, requires_grad=True)
    >>> with cr.no_grad():
    ...     (x * x).requires_grad
    False
    """
    return switched(off=RECORD)


def enable_grad() -> switched:
    """Record again, inside `no_grad`.

    >>> import chainrule as cr
    >>> x = cr.Tensor(2.0, requires_grad=True)
    >>> with cr.no_grad(), cr.enable_grad():
    ...     (x * x).requires_grad
    True
    """
    return switched(on=RECORD)


def detect_anomaly() -> switched:
    """Raise AnomalyError at the first NaN or Inf, naming the operation, its operands and its line.

    >>> import numpy as np, chainrule as cr
    >>> x = cr.Tensor(np.array([1.0, 0.0]), requires_grad=True)
    >>> with np.errstate(divide="ignore"), cr.detect_anomaly():  # doctest: +ELLIPSIS
    ...     np.log(x)
    Traceback (most recent call last):
        ...
    chainrule.errors.AnomalyError: log(x) gave -inf at [1]...
    """
    return switched(on=ANOMALY)


def recording() -> bool:
    """Whether operations are recorded here.

    >>> recording()
    True
    """
    return bool(mode.get() & RECORD)
