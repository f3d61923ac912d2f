"""Update rules: pure functions of a parameter, its gradient and the rule's state.

    update(parameter, gradient, state, rate, **options) -> (parameter, state)

They are Array API code without side effects, so the same text runs on NumPy arrays, on other array libraries
and on Symbols, and can be traced and compiled into the training step. A state is a dict: arrays of the
parameter's shape, and for some rules ``"step"``, the number of updates so far.

Names and formulas are PyTorch's (`torch.optim`), so that trajectories agree; the sources are in each rule.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.errors import OptionError
from chainrule.namespace import namespace_of

State = dict[str, Any]
Update = Callable[..., tuple[Any, State]]


def typed_as(parameter: Any, number: Any) -> Any:
    """A number in the type of the parameter, where it is an array: compiled steps have rates and counts as arrays."""
    return (
        number if isinstance(number, int | float) else namespace_of(parameter).astype(number, parameter.dtype)
    )


def sgd(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: Any,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    dampening: float = 0.0,
) -> tuple[Any, State]:
    """Stochastic gradient descent; momentum as Sutskever et al. (2013).

    `dampening` is the part of each gradient that does not enter the velocity.

    >>> import numpy as np
    >>> sgd(np.array([1.0]), np.array([2.0]), {}, 0.1)
    (array([0.8]), {})
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    if not momentum:
        return parameter - typed_as(parameter, rate) * gradient, state
    velocity = momentum * state["velocity"] + (gradient * (1 - dampening) if dampening else gradient)
    direction = gradient + momentum * velocity if nesterov else velocity
    return parameter - typed_as(parameter, rate) * direction, {"velocity": velocity}


def adam(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: Any,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> tuple[Any, State]:
    """Adam, Kingma and Ba (2015); weight decay is added to the gradient (an L2 penalty).

    `amsgrad` divides by the largest mean square so far, Reddi, Kale and Kumar (2018).

    >>> import numpy as np
    >>> state = {"step": 0, "mean": np.zeros(1), "square": np.zeros(1)}
    >>> parameter, state = adam(np.array([1.0]), np.array([5.0]), state, 0.1)
    >>> parameter.round(6), state["step"]  # the first step is the rate, whatever the gradient's size
    (array([0.9]), 1)
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    step = state["step"] + 1
    mean = beta1 * state["mean"] + (1 - beta1) * gradient
    square = beta2 * state["square"] + (1 - beta2) * (gradient * gradient)
    xp, new = namespace_of(parameter), {"step": step, "mean": mean, "square": square}
    if amsgrad:
        square = new["peak"] = xp.maximum(state["peak"], square)
    scale = xp.sqrt(square) / typed_as(parameter, (1 - beta2**step) ** 0.5) + epsilon
    return parameter - typed_as(parameter, rate / (1 - beta1**step)) * (mean / scale), new


def adamw(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: Any,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
    amsgrad: bool = False,
) -> tuple[Any, State]:
    """Adam with decoupled weight decay, Loshchilov and Hutter (2019).

    >>> import numpy as np
    >>> state = {"step": 0, "mean": np.zeros(1), "square": np.zeros(1)}
    >>> adamw(np.array([1.0]), np.array([0.0]), state, 0.1)[0]  # no gradient, decay alone
    array([0.999])
    """
    decayed = parameter * typed_as(parameter, 1 - rate * weight_decay)
    return adam(decayed, gradient, state, rate, beta1=beta1, beta2=beta2, epsilon=epsilon, amsgrad=amsgrad)


def rmsprop(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: Any,
    *,
    decay: float = 0.99,
    epsilon: float = 1e-8,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    centered: bool = False,
) -> tuple[Any, State]:
    """RMSprop, Tieleman and Hinton's lecture 6e (2012); `decay` is PyTorch's `alpha`.

    `centered` divides by the standard deviation of the gradient, not its root mean square, Graves (2013).

    >>> import numpy as np
    >>> rmsprop(np.array([1.0]), np.array([2.0]), {"square": np.zeros(1)}, 0.01)[0].round(6)
    array([0.9])
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    square = variance = decay * state["square"] + (1 - decay) * (gradient * gradient)
    new = {"square": square}
    if centered:
        mean = new["mean"] = decay * state["mean"] + (1 - decay) * gradient
        variance = square - mean * mean
    direction = gradient / (namespace_of(parameter).sqrt(variance) + epsilon)
    if momentum:
        direction = new["velocity"] = momentum * state["velocity"] + direction
    return parameter - typed_as(parameter, rate) * direction, new


def adagrad(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: Any,
    *,
    epsilon: float = 1e-10,
    weight_decay: float = 0.0,
) -> tuple[Any, State]:
    """Adagrad, Duchi, Hazan and Singer (2011).

    >>> import numpy as np
    >>> adagrad(np.array([1.0]), np.array([2.0]), {"square": np.zeros(1)}, 0.1)[0].round(6)
    array([0.9])
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    square = state["square"] + gradient * gradient
    scale = namespace_of(parameter).sqrt(square) + epsilon
    return parameter - typed_as(parameter, rate) * (gradient / scale), {"square": square}


@dataclass(frozen=True)
class Rule:
    """An update rule with what its state starts as.

    Attributes:
        title: its name as people write it.
        update: the pure function.
        rate: a first learning rate that suits small networks on standardised inputs.
        zeros: the entries of the state that start as zeros of the parameter's shape and type.
        counts: whether the state has a ``"step"``.
        only_with: entries that there are only with an option, and that option.
    """

    title: str
    update: Update
    rate: float
    zeros: tuple[str, ...]
    counts: bool = False
    only_with: tuple[tuple[str, str], ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The options that `update` takes, with their defaults."""
        parameters = inspect.signature(self.update).parameters.values()
        return {option.name: option.default for option in parameters if option.kind is option.KEYWORD_ONLY}

    def first_state(self, parameter: Any, options: Mapping[str, Any]) -> State:
        """The state before the first update of `parameter`: no velocity without momentum, and the like."""
        absent = {name for name, option in self.only_with if not options.get(option)}
        names = [name for name in self.zeros if name not in absent]
        state: State = {"step": 0} if self.counts else {}
        return state | {name: namespace_of(parameter).zeros_like(parameter) for name in names}


VELOCITY, PEAK, MEAN = ("velocity", "momentum"), ("peak", "amsgrad"), ("mean", "centered")

RULES: dict[str, Rule] = {
    "sgd": Rule("SGD", sgd, 0.1, ("velocity",), only_with=(VELOCITY,)),
    "adam": Rule("Adam", adam, 0.01, ("mean", "square", "peak"), counts=True, only_with=(PEAK,)),
    "adamw": Rule("AdamW", adamw, 0.01, ("mean", "square", "peak"), counts=True, only_with=(PEAK,)),
    "rmsprop": Rule("RMSprop", rmsprop, 0.01, ("square", "mean", "velocity"), only_with=(MEAN, VELOCITY)),
    "adagrad": Rule("Adagrad", adagrad, 0.1, ("square",)),
}


def rule(name: str | Rule) -> Rule:
    """The update rule of that name (``"sgd"``, ``"adam"`` …; capitals do not matter), or `name` itself if it is a rule.

    Raises:
        OptionError: there is none of that name; the message lists those that there are.

    >>> rule("adam").title
    'Adam'
    """
    if isinstance(name, Rule):
        return name
    if name.lower() not in RULES:
        raise OptionError(f"there is no optimizer {name!r}: choose one of {', '.join(RULES)}")
    return RULES[name.lower()]
