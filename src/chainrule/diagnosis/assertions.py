"""Assertions for tests: the report of a check is the message with which they fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.diagnosis.checker import check
from chainrule.diagnosis.layers import check_layer
from chainrule.diagnosis.report import Report
from chainrule.diagnosis.steps import check_step
from chainrule.errors import GradientMismatch


def assert_gradients(
    loss: Callable[..., Any], args: Any, claimed: Any, *, seconds: float = 10.0, seed: int = 0,
    tolerance: float | None = None, mute: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Nothing, if the claimed gradient is right; see `check` for the arguments.

    The gradient of another multiple of the loss fails; where that is meant, `mute` its code: `mute=("CR002",)`.

    Raises GradientMismatch, an AssertionError, with the report.

    >>> import numpy as np
    >>> w = np.array([1.0, 2.0])
    >>> assert_gradients(lambda w: (w**3).sum(), w, 3 * w**2)
    >>> assert_gradients(lambda w: (w**3).sum(), w, w**2, mute=("CR002",))
    >>> assert_gradients(lambda w: (w**3).sum(), w, lambda w: 3 * w**3)
    Traceback (most recent call last):
    chainrule.errors.GradientMismatch: the gradient is wrong
    ✗ w: CR105 part of a derivative lost   relative error 1.7 → 0 when corrected
        In the gradient of w: the exponent is not lowered: the derivative of w**n is n * w**(n - 1).
            d_w = 3 * w ** 2
        fits as well: CR102 extra factor
    """
    options: dict[str, Any] = {"seconds": seconds, "seed": seed, "tolerance": tolerance, "mute": mute}
    report = check(loss, args, claimed, **options)
    exact = all(f.verdict != "convention" or f.code in mute for f in report.findings)
    _raise_unless(report.ok and exact, report, "the gradient is wrong")


def assert_layer(
    forward: Any, backward: Callable[..., Any] | None = None, inputs: Any = (), params: Any = None, *,
    seconds: float = 10.0, seed: int = 0, tolerance: float | None = None, mute: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Nothing, if the backward pass of a layer is right; see `check_layer` for the arguments.

    Raises GradientMismatch, an AssertionError, with the report.

    >>> import numpy as np
    >>> assert_layer(lambda x: (np.tanh(x), x), lambda dout, x: dout * (1 - np.tanh(x) ** 2), np.ones((2, 3)))
    """
    options: dict[str, Any] = {"seconds": seconds, "seed": seed, "tolerance": tolerance, "mute": mute}
    report = check_layer(forward, backward, inputs, params, **options)
    _raise_unless(report.ok, report, "the backward pass is wrong")


def assert_step(
    loss: Callable[..., Any], step: Callable[..., Any], params: Any, *, rate: float | None = None, data: Any = (),
    seconds: float = 10.0, seed: int = 0, tolerance: float | None = None, mute: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Nothing, if a step goes down the gradient; see `check_step` for the arguments.

    Momentum, weight decay, rates of their own and adaptive rules pass.

    Raises GradientMismatch, an AssertionError, with the report.

    >>> import numpy as np
    >>> assert_step(lambda w: (w**2).sum(), lambda w: w - 0.1 * 2 * w, np.ones(3))
    """
    options: dict[str, Any] = {"seconds": seconds, "seed": seed, "tolerance": tolerance, "mute": mute}
    report = check_step(loss, step, params, rate=rate, data=data, **options)
    _raise_unless(report.ok, report, "the update is wrong")


def _raise_unless(right: bool, report: Report, words: str) -> None:
    if not right:
        raise GradientMismatch(f"{words}\n{report}")
