"""Update rules that PyTorch has beside those of `chainrule.optim`, in the same notation.

    update(parameter, gradient, state, rate, **options) -> (parameter, state)

Pure functions: nothing is changed in place. ``"step"`` in a state is the number of updates *before* this one,
and is counted by the caller; `mu_product`, `eta` and `mu` are numbers, all else are arrays.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.namespace import namespace_of
from chainrule.optim.rules import State, adagrad, typed_as


def decaying_adagrad(
    parameter: Any, gradient: Any, state: State, rate: float, *, rate_decay: float, **options: float
) -> tuple[Any, State]:
    """Adagrad whose rate falls with the number of steps.

    >>> import numpy as np
    >>> state = {"step": 1, "square": np.zeros(1)}
    >>> decaying_adagrad(np.ones(1), np.ones(1), state, 0.1, rate_decay=1.0)[0].round(6)
    array([0.95])
    """
    return adagrad(parameter, gradient, state, rate / (1 + state["step"] * rate_decay), **options)


def adadelta(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: float,
    *,
    decay: float,
    epsilon: float,
    weight_decay: float = 0.0,
) -> tuple[Any, State]:
    """Adadelta, Zeiler (2012): steps in the units of the parameter.

    >>> import numpy as np
    >>> state = {"square": np.zeros(1), "moved": np.zeros(1)}
    >>> adadelta(np.ones(1), np.ones(1), state, 1.0, decay=0.0, epsilon=1.0)[0].round(6)
    array([0.292893])
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    xp = namespace_of(parameter)
    square = decay * state["square"] + (1 - decay) * (gradient * gradient)
    change = xp.sqrt(state["moved"] + epsilon) / xp.sqrt(square + epsilon) * gradient
    moved = decay * state["moved"] + (1 - decay) * (change * change)
    return parameter - rate * change, {"square": square, "moved": moved}


def adamax(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: float,
    *,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float = 0.0,
) -> tuple[Any, State]:
    """Adamax, Kingma and Ba (2015), section 7.1: Adam with the largest gradient for the root mean square.

    >>> import numpy as np
    >>> state = {"step": 0, "mean": np.zeros(1), "largest": np.zeros(1)}
    >>> adamax(np.ones(1), np.full(1, 5.0), state, 0.1, beta1=0.9, beta2=0.9, epsilon=0.0)[0]
    array([0.9])
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    xp = namespace_of(parameter)
    mean = beta1 * state["mean"] + (1 - beta1) * gradient
    largest = xp.maximum(beta2 * state["largest"], xp.abs(gradient) + epsilon)
    parameter = parameter - typed_as(parameter, rate / (1 - beta1 ** (state["step"] + 1))) * (mean / largest)
    return parameter, {"mean": mean, "largest": largest}


def nadam(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: float,
    *,
    beta1: float,
    beta2: float,
    epsilon: float,
    momentum_decay: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> tuple[Any, State]:
    """NAdam, Dozat (2016): Adam that looks ahead, as Nesterov's momentum does.

    >>> import numpy as np
    >>> state = {"step": 0, "mean": np.zeros(1), "square": np.zeros(1), "mu_product": 1.0}
    >>> options = dict(beta1=0.9, beta2=0.999, epsilon=0.0, momentum_decay=0.004)
    >>> nadam(np.ones(1), np.ones(1), state, 0.1, **options)[0].round(4)
    array([0.8944])
    """
    if weight_decay and decoupled:
        parameter = parameter * (1 - rate * weight_decay)
    elif weight_decay:
        gradient = gradient + weight_decay * parameter
    step = state["step"] + 1
    mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (n * momentum_decay)) for n in (step, step + 1))
    product = state["mu_product"] * mu  # in its own precision, which is float32 in PyTorch's state
    mean = beta1 * state["mean"] + (1 - beta1) * gradient
    square = beta2 * state["square"] + (1 - beta2) * (gradient * gradient)
    scale = namespace_of(parameter).sqrt(square / (1 - beta2**step)) + epsilon
    of_gradient = rate * (1 - mu) / (1 - float(product))
    of_mean = rate * mu_next / (1 - float(product) * mu_next)
    parameter = parameter - of_gradient * (gradient / scale) - of_mean * (mean / scale)
    return parameter, {"mean": mean, "square": square, "mu_product": product}


def radam(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: float,
    *,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> tuple[Any, State]:
    """RAdam, Liu et al. (2020): Adam that adapts only once the mean square can be trusted.

    >>> import numpy as np
    >>> state = {"step": 0, "mean": np.zeros(1), "square": np.zeros(1)}
    >>> radam(np.ones(1), np.full(1, 5.0), state, 0.1, beta1=0.9, beta2=0.999, epsilon=0.0)[0]
    array([0.5])
    """
    if weight_decay and decoupled:
        parameter = parameter * (1 - rate * weight_decay)
    elif weight_decay:
        gradient = gradient + weight_decay * parameter
    step = state["step"] + 1
    mean = beta1 * state["mean"] + (1 - beta1) * gradient
    square = beta2 * state["square"] + (1 - beta2) * (gradient * gradient)
    direction = mean * (rate / (1 - beta1**step))
    bias = 1 - beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / bias
    if length > 5:  # from here on the variance of the adaptive rate is finite and small
        share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        direction = direction * (math.sqrt(bias * share) / (namespace_of(parameter).sqrt(square) + epsilon))
    return parameter - direction, {"mean": mean, "square": square}


def rprop(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: float,
    *,
    shrink: float,
    grow: float,
    smallest: float,
    largest: float,
) -> tuple[Any, State]:
    """Rprop, Riedmiller and Braun (1993): the sign of the gradient decides; `rate` was the first step size.

    >>> import numpy as np
    >>> state = {"previous": np.array([1.0, 1.0]), "size": np.array([0.1, 0.1])}
    >>> options = dict(shrink=0.5, grow=1.2, smallest=0.0, largest=1.0)  # it waits where the sign changed
    >>> rprop(np.zeros(2), np.array([3.0, -3.0]), state, 0.1, **options)[0]
    array([-0.12, 0.  ])
    """
    xp = namespace_of(parameter)
    agreement, size = gradient * state["previous"], state["size"]
    turned = agreement < 0
    size = xp.where(turned, size * shrink, xp.where(agreement > 0, size * grow, size))
    size = xp.clip(size, smallest, largest)
    gradient = xp.where(turned, xp.zeros_like(gradient), gradient)
    return parameter - xp.sign(gradient) * size, {"previous": gradient, "size": size}


def asgd(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: float,
    *,
    decay: float,
    power: float,
    start: float,
    weight_decay: float = 0.0,
) -> tuple[Any, State]:
    """Averaged stochastic gradient descent, Polyak and Juditsky (1992); the state keeps the average.

    >>> import numpy as np
    >>> state = {"step": 0, "eta": 0.1, "mu": 1.0, "average": np.zeros(1)}
    >>> asgd(np.ones(1), np.ones(1), state, 0.1, decay=0.0, power=0.75, start=1e6)[1]["average"]
    array([0.9])
    """
    if weight_decay:
        gradient = gradient + weight_decay * parameter
    eta, mu, step = float(state["eta"]), float(state["mu"]), state["step"] + 1
    parameter = parameter * (1 - decay * eta) - eta * gradient
    average = parameter if mu == 1 else state["average"] + (parameter - state["average"]) * mu
    eta = rate / (1 + decay * rate * step) ** power
    return parameter, {"average": average, "eta": eta, "mu": 1 / max(1, step - start)}


def adafactor(
    parameter: Any,
    gradient: Any,
    state: State,
    rate: float,
    *,
    square_decay: float,
    smallest: float | None,
    smallest_scale: float,
    clipping: float,
    weight_decay: float = 0.0,
) -> tuple[Any, State]:
    """Adafactor, Shazeer and Stern (2018): of a matrix, only the mean squares of rows and columns are kept.

    `smallest` bounds the root mean squares from below; None is the precision of the parameter's type.

    >>> import numpy as np
    >>> options = dict(square_decay=-0.8, smallest=0.0, smallest_scale=1e-3, clipping=1.0)
    >>> adafactor(np.ones(1), np.ones(1), {"step": 0, "variance": np.zeros(1)}, 0.1, **options)[0]
    array([0.9])
    """
    xp, step = namespace_of(parameter), state["step"] + 1
    smallest = float(xp.finfo(parameter.dtype).eps) if smallest is None else smallest
    share = step**square_decay
    scale = max(smallest_scale, _root_mean_square(parameter)) * min(rate, step**-0.5)
    if weight_decay:
        parameter = parameter * (1 - rate * weight_decay)
    square, new = gradient * gradient, dict[str, Any]()
    if gradient.ndim > 1:
        new["rows"] = rows = _mixed(state["rows"], xp.mean(square, axis=-1, keepdims=True), share)
        new["columns"] = columns = _mixed(state["columns"], xp.mean(square, axis=-2, keepdims=True), share)
        variance = rows @ columns / xp.clip(xp.mean(rows, axis=-2, keepdims=True), smallest, None)
    else:
        new["variance"] = variance = _mixed(state["variance"], square, share)
    change = gradient / xp.sqrt(xp.clip(variance, smallest * smallest, None))
    return parameter - change * (scale / max(1.0, _root_mean_square(change) / clipping)), new


def _mixed(old: Any, new: Any, share: float) -> Any:
    return old + (new - old) * share


def _root_mean_square(values: Any) -> float:
    return float(namespace_of(values).mean(values * values) ** 0.5)
