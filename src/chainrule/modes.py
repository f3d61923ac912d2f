"""Modes: whether operations are recorded, whether they are checked for NaN and Inf.

The mode is a context variable, so threads, tasks and free-threaded Python don't disturb each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

RECORD = 1
"""Operations on Tensors that need gradients are recorded."""
ANOMALY = 2
"""Every value and cotangent is checked for NaN and Inf."""
TRANSFORM = 4
"""A transform is under way: the gradients that it asks for may themselves be differentiated."""

mode: ContextVar[int] = ContextVar("mode", default=RECORD)


@contextmanager
def switched(on: int = 0, off: int = 0) -> Iterator[None]:
    """Run the body with the flags `on` set and the flags `off` cleared."""
    token = mode.set((mode.get() | on) & ~off)
    try:
        yield
    finally:
        mode.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Do not record: results in the body need no gradient. Also usable as a decorator.

    >>> import chainrule as cr
    >>> x = cr.Tensor(2.0, requires_grad=True)
    >>> with cr.no_grad():
    ...     (x * x).requires_grad
    False
    """
    with switched(off=RECORD):
        yield


@contextmanager
def enable_grad() -> Iterator[None]:
    """Record again, inside `no_grad`.

    >>> import chainrule as cr
    >>> x = cr.Tensor(2.0, requires_grad=True)
    >>> with cr.no_grad(), cr.enable_grad():
    ...     (x * x).requires_grad
    True
    """
    with switched(on=RECORD):
        yield


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise AnomalyError at the first NaN or Inf, naming the operation, its operands and its line.

    >>> import numpy as np, chainrule as cr
    >>> x = cr.Tensor(np.array([1.0, 0.0]), requires_grad=True)
    >>> with np.errstate(divide="ignore"), cr.detect_anomaly():
    ...     np.log(x)
    Traceback (most recent call last):
        ...
    chainrule.errors.AnomalyError: log(x) gave -inf at [1]...
    """
    with switched(on=ANOMALY):
        yield


def recording() -> bool:
    """Whether operations are recorded here.

    >>> recording()
    True
    """
    return bool(mode.get() & RECORD)
