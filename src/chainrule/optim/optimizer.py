"""Optimizer: one update rule applied to a list of parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import InputError, OptimizerStateError, OptionError
from chainrule.optim.rules import Rule, State, rule
from chainrule.tensor import Tensor

RANGES: dict[str, tuple[float, float]] = {
    "momentum": (0, math.inf),
    "dampening": (0, math.inf),
    "weight_decay": (0, math.inf),
    "beta1": (0, 1),
    "beta2": (0, 1),
    "decay": (0, 1),
    "epsilon": (0, math.inf),
}
"""Allowed values of the rules' numeric options: from the first bound on, and below the second."""


class Optimizer:
    """Changes parameters by an update rule and the gradients that `backward` left in them.

    Args:
        parameters: Tensors that require a gradient.
        name: the update rule, one of `RULES`, or a `Rule` of your own.
        rate: the learning rate; None is the rule's own. May be changed between steps.
        options: the rule's options, such as ``momentum=0.9``.

    A parameter whose gradient is None is left as it is, and so is its state.

    Raises:
        OptionError: unknown rule or option, or a value out of range.
        InputError: no parameters, or something that is no Tensor requiring a gradient.

    >>> weight = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    >>> optimizer = Optimizer([weight], "sgd", rate=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    array([0., 0.])
    """

    read_at_each_call: ClassVar[tuple[str, ...]] = ("rate",)
    """What a compiled step reads at each call, as it does the parameters."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        name: str | Rule = "adam",
        *,
        rate: float | None = None,
        **options: Any,
    ) -> None:
        self.rule = rule(name)
        self.parameters = _checked_parameters(parameters)
        self.rate = checked_rate(self.rule.rate if rate is None else rate)
        self.options = _checked_options(self.rule.title, self.rule.options, options)
        self.states: list[State] = [self.rule.first_state(one.data, self.options) for one in self.parameters]

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for position, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                parameter.data, self.states[position] = self.rule.update(
                    parameter.data, parameter.grad.data, self.states[position], self.rate, **self.options
                )

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next `backward` starts afresh."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The rate and copies of all states: arrays, and numbers of steps, by ``"0.mean"`` and the like."""
        entries = {
            f"{position}.{name}": value if name == "step" else np.array(value)
            for position, state in enumerate(self.states)
            for name, value in state.items()
        }
        return {"rate": self.rate} | entries

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` of an optimizer of the same kind gave; unchanged on failure.

        Raises:
            OptimizerStateError: a name or shape differs from this optimizer's.
        """
        expected = self.state_dict()
        if saved.keys() != expected.keys():
            raise OptimizerStateError(_name_problem(self.rule.title, set(expected), set(saved)))
        for name, value in expected.items():
            if np.shape(saved[name]) != np.shape(value):
                shapes = f"{np.shape(saved[name])} in the saved state, but {np.shape(value)} here"
                raise OptimizerStateError(f"{name} has shape {shapes}")
        self.rate = checked_rate(saved["rate"])
        for position, state in enumerate(self.states):
            self.states[position] = {
                name: _like(value, saved[f"{position}.{name}"]) for name, value in state.items()
            }

    def __repr__(self) -> str:
        options = "".join(f", {name}={value}" for name, value in self.options.items())
        return f"Optimizer({self.rule.title}, {len(self.parameters)} parameters, rate={self.rate}{options})"


def _like(value: Any, saved: Any) -> Any:
    return np.array(saved, dtype=value.dtype) if isinstance(value, np.ndarray) else int(saved)


def _checked_parameters(parameters: Iterable[Tensor]) -> list[Tensor]:
    found = list(parameters)
    if not found:
        raise InputError("an Optimizer needs at least one parameter; was given none")
    for position, parameter in enumerate(found):
        if not isinstance(parameter, Tensor) or not parameter.requires_grad:
            raise InputError(
                f"parameter {position} given to the Optimizer is {type(parameter).__name__}: "
                "it must be a Tensor with requires_grad=True"
            )
    return found


def checked_rate(rate: Any) -> float:
    """A learning rate as a number; OptionError for anything else.

    >>> checked_rate(1), checked_rate(np.float32(0.5))
    (1.0, 0.5)
    """
    if not isinstance(rate, int | float | np.number) or not 0 < rate < math.inf:
        raise OptionError(f"the learning rate must be a number above 0, not {rate!r} (0.01 is a usual start)")
    return float(rate)


def _checked_options(title: str, defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        if name not in defaults:
            raise OptionError(f"{title} has no option {name!r}: it has {', '.join(defaults)}")
        low, high = RANGES.get(name, (0, 2))
        if not isinstance(value, int | float) or not low <= value < high:
            raise OptionError(f"{title}: {name} must be at least {low} and below {high}, not {value!r}")
    if given.get("nesterov") and not given.get("momentum"):
        raise OptionError(f"{title}: nesterov needs a momentum above 0, such as momentum=0.9")
    return defaults | given


def _name_problem(title: str, expected: set[str], given: set[str]) -> str:
    lacking = ", ".join(sorted(expected - given)) or "nothing"
    unknown = ", ".join(sorted(given - expected)) or "nothing"
    return (
        f"the saved state does not fit this {title} optimizer: it lacks {lacking}, and {unknown} is unknown"
    )
