"""`tf.keras.optimizers`: update rules with Keras' formulas and defaults, and schedules of learning rates."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.errors import IndependentWarning
from chainrule.optim.rules import typed_as
from chainrule.tensorflow.arrays import elements, is_symbolic
from chainrule.tensorflow.errors import InvalidArgumentError, missing
from chainrule.tensorflow.tensors import Tensor, Variable

Array = Any
State = dict[str, Array]


class LearningRateSchedule:
    """A learning rate that depends on the number of steps taken."""

    def __call__(self, step: Any) -> float:
        """The rate of a step."""
        raise NotImplementedError


class ExponentialDecay(LearningRateSchedule):
    """The rate times `decay_rate` to the power of step / decay_steps."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False
    ) -> None:
        self.rate, self.steps, self.decay, self.staircase = (
            initial_learning_rate,
            decay_steps,
            decay_rate,
            staircase,
        )

    def __call__(self, step: Any) -> float:
        """The rate of a step."""
        share = int(step) / self.steps
        return float(self.rate * self.decay ** (math.floor(share) if self.staircase else share))


class schedules:  # noqa: N801
    """`tf.keras.optimizers.schedules`."""

    LearningRateSchedule, ExponentialDecay = LearningRateSchedule, ExponentialDecay


class Optimizer:
    """Changes variables by their gradients; each rule gives the step, which is subtracted.

    >>> w = Variable([1.0, 2.0])
    >>> SGD(0.5).apply_gradients([(Tensor([1.0, 1.0], dtype="float32"), w)])
    >>> w.numpy()
    array([0.5, 1.5], dtype=float32)
    """

    slots: tuple[str, ...] = ()
    """The arrays that the rule keeps for each variable."""

    def __init__(
        self, learning_rate: Any, *, clipnorm: float | None = None, clipvalue: float | None = None,
        weight_decay: float | None = None, name: str | None = None, lr: Any = None,
    ) -> None:  # fmt: skip
        self._rate = learning_rate if lr is None else lr
        self.clipnorm, self.clipvalue, self.weight_decay = clipnorm, clipvalue, weight_decay
        self.name = name or type(self).__name__
        self.iterations = Variable(0, trainable=False, name="iterations", dtype="int64")
        self._states: dict[int, tuple[Variable, State]] = {}

    @property
    def learning_rate(self) -> Any:
        """The rate of the next step."""
        return Variable(self._current_rate(), trainable=False, name="learning_rate")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._rate = value if isinstance(value, LearningRateSchedule) else float(value)

    lr = learning_rate

    def _current_rate(self) -> float:
        return float(
            self._rate(self.iterations) if isinstance(self._rate, LearningRateSchedule) else self._rate
        )

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]], **options: Any) -> None:
        """Take a step with pairs of a gradient and its variable."""
        pairs = list(grads_and_vars)
        known = [(g, v) for g, v in pairs if g is not None]
        names = [v.name for g, v in pairs if g is None]
        if not known:
            raise InvalidArgumentError(
                f"No gradients provided for any variable: {', '.join(names) or 'none given'}."
            )
        if names:
            warnings.warn(
                f"Gradients do not exist for variables {names} when minimizing the loss",
                IndependentWarning,
                stacklevel=2,
            )
        rate = self._current_rate()
        self.iterations.assign_add(1)
        for g, variable in known:
            if not isinstance(variable, Variable):
                raise InvalidArgumentError(f"an optimizer changes variables, but was given {variable!r:.60}")
            self._step(elements(g) if isinstance(g, Tensor) else np.asarray(g), variable, rate)

    def _step(self, g: Array, variable: Variable, rate: float) -> None:
        if self.clipvalue is not None:
            g = np.clip(g, -self.clipvalue, self.clipvalue)
        if self.clipnorm is not None:
            g = g * min(1.0, self.clipnorm / max(float(np.linalg.norm(g)), 1e-12))
        _, state = self._states.setdefault(id(variable), (variable, self._new_state(variable)))
        w = variable._data
        if self.weight_decay:
            w = w - w * self.weight_decay * rate
        step = self.iterations._data if is_symbolic(self.iterations._data) else int(self.iterations)
        variable.assign((w - self.step(g, state, rate, step)).astype(w.dtype))

    def _new_state(self, variable: Variable) -> State:
        return {name: np.zeros_like(variable._data) for name in self.slots}

    def step(self, g: Array, state: State, rate: float, t: int) -> Array:
        """What is subtracted in step `t`, counted from 1."""
        raise NotImplementedError

    def minimize(self, loss: Any, var_list: Any, tape: Any = None) -> None:
        """One step: the gradient of a function, or of a tensor recorded by `tape`."""
        from chainrule.tensorflow.tape import GradientTape

        variables = list(var_list() if callable(var_list) else var_list)
        if tape is None:
            with GradientTape() as tape:
                tape.watch(variables)
                loss = loss()
        self.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    def get_config(self) -> dict[str, Any]:
        """The settings."""
        return {"name": self.name, "learning_rate": self._rate}


class SGD(Optimizer):
    """Gradient descent, with momentum where asked for."""

    slots = ("momentum",)

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **options: Any
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum, self.nesterov = momentum, nesterov

    def step(self, g: Array, state: State, rate: float, t: int) -> Array:
        """Rate g, or the velocity."""
        if not self.momentum:
            return rate * g
        m = state["momentum"] = self.momentum * state["momentum"] + rate * g
        return self.momentum * m + rate * g if self.nesterov else m


class Adam(Optimizer):
    """Running means of the gradient and of its square (Kingma and Ba, 2014)."""

    slots = ("m", "v")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        amsgrad: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **options)
        if amsgrad:
            raise InvalidArgumentError("amsgrad is not there; use Adam without it")
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def step(self, g: Array, state: State, rate: float, t: Any) -> Array:
        """The corrected mean over the root of the mean square."""
        m = state["m"] = state["m"] + (1 - self.beta_1) * (g - state["m"])
        v = state["v"] = state["v"] + (1 - self.beta_2) * (g * g - state["v"])
        root = np.sqrt if is_symbolic(t) else math.sqrt
        alpha = typed_as(m, rate * root(1 - self.beta_2**t) / (1 - self.beta_1**t))
        return alpha * m / (np.sqrt(v) + self.epsilon)


class AdamW(Adam):
    """Adam whose weights also shrink in every step."""

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, **options: Any) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **options)


class RMSprop(Optimizer):
    """The gradient over the root of the running mean of its square."""

    slots = ("v", "momentum")

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
        centered: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **options)
        if centered:
            raise InvalidArgumentError("centered=True is not there; use RMSprop without it")
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon

    def step(self, g: Array, state: State, rate: float, t: int) -> Array:
        """The gradient in units of its usual size."""
        v = state["v"] = self.rho * state["v"] + (1 - self.rho) * g * g
        change = rate * g / np.sqrt(v + self.epsilon)
        if not self.momentum:
            return change
        m = state["momentum"] = self.momentum * state["momentum"] + change
        return m


class Adagrad(Optimizer):
    """The gradient over the root of the sum of its squares so far."""

    slots = ("sum",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.start, self.epsilon = initial_accumulator_value, epsilon

    def _new_state(self, variable: Variable) -> State:
        return {"sum": np.full_like(variable._data, self.start)}

    def step(self, g: Array, state: State, rate: float, t: int) -> Array:
        """The gradient in units of all of them."""
        total = state["sum"] = state["sum"] + g * g
        return rate * g / np.sqrt(total + self.epsilon)


BY_NAME: dict[str, type[Any]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}


def get(identifier: Any) -> Optimizer:
    """The optimizer of a name."""
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]
    name = str(identifier).lower()
    if name not in BY_NAME:
        raise InvalidArgumentError(f"there is no optimizer {identifier!r}; there are {', '.join(BY_NAME)}")
    found: Optimizer = BY_NAME[name]()
    return found


def __getattr__(name: str) -> Any:
    missing("tf.keras.optimizers", name, globals())
