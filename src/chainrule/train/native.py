"""Training steps as native code: the loss, its gradient and the update of a run, many steps in one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import ops
from chainrule.compiled import NativeLoop
from chainrule.data import Examples
from chainrule.errors import OptionError, UnsupportedError
from chainrule.nn import Module
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor
from chainrule.transforms import value_and_grad

COMPILE = ("auto", "yes", "no")
WORTH = 0.3
"""Seconds that must be saved before code is compiled for it: about what compiling takes, which is paid once for a
network and a size of mini-batches, since code is kept."""

_THROUGH_THE_MODEL = (
    "In native code the parameters are replaced in the model: a loss that uses one should read it from the model "
    "(model.weight) each time it is called."
)


def pays(optimizer: Optimizer, steps: int) -> bool:
    """Whether `steps` steps in NumPy lose more time beside their arithmetic than compiling them takes.

    It is reckoned, not measured, so that the same run is always done in the same way.
    """
    tensors, numbers = len(optimizer.parameters), sum(p.size for p in optimizer.parameters)
    lost = 2e-5 + 4e-5 * tensors + 2e-8 * numbers
    return find_spec("llvmlite") is not None and steps * lost > WORTH


def obstacle(model: Any, training: Any, accumulate: int) -> str | None:
    """Why a run cannot be native code, if it cannot."""
    if not isinstance(model, Module):
        return "its model is a function, whose parameters native code cannot replace: make it an nn.Module"
    if not isinstance(training, Examples):
        return "its rows are not in memory"
    if accumulate > 1:
        return "it accumulates gradients"
    random = [m for m in model.modules() if any(isinstance(v, np.random.Generator) for v in vars(m).values())]
    if any(getattr(module, "share", 1) for module in random):
        return f"{type(random[0]).__name__} draws random numbers, which native code does not"
    if find_spec("llvmlite") is None:
        return 'native code needs llvmlite: pip install "chainrule[jit]"'
    return None


class NativeSteps:
    """The steps of one run, compiled.

    While it trains, the arrays of the parameters are those that the native code writes to; `finish` ends that.
    """

    def __init__(
        self,
        model: Module,
        training: Examples,
        loss: Callable[..., Tensor],
        optimizer: Optimizer,
        clip: float | None,
    ) -> None:
        self.model, self.optimizer, self.training = model, optimizer, training
        step = _step(model, loss, optimizer, clip)
        data = {"features": training.features, "targets": training.targets}
        if training.weights is not None:
            data["weights"] = training.weights
        self.loop = NativeLoop(step, self._state(), data)
        self._prepared: set[int] = set()
        self._shown: list[Any] = []

    def epoch(self, batch: int, order: np.random.Generator | None) -> float:
        """Train on every row once; returns the mean loss."""
        drawn, parts = self._drawn(order), 0.0
        weights, start = self.training.weights, 0
        for losses, size in self._trained(drawn, batch):
            stop = start + len(losses) * size
            amounts: Any = (
                size if weights is None else weights[drawn[start:stop]].reshape(-1, size).sum(axis=1)
            )
            parts, start = parts + float(np.sum(losses * amounts, dtype=np.float64)), stop
        return parts / self.training.amount

    def losses(self, batch: int, order: np.random.Generator | None) -> list[NDArray[Any]]:
        """Train on every row once; returns the loss of each step."""
        return [losses for losses, _ in self._trained(self._drawn(order), batch)]

    def _drawn(self, order: np.random.Generator | None) -> NDArray[np.int64]:
        rows = self.training.rows
        return np.arange(rows) if order is None else order.permutation(rows)

    def _trained(self, drawn: NDArray[np.int64], batch: int) -> list[tuple[NDArray[Any], int]]:
        """The losses of the steps, in order, with the rows of each: the last mini-batch may have fewer."""
        self.prepare(batch)
        self._take_over()
        try:
            return list(self.loop.once(drawn, batch))
        finally:
            self._show()

    def prepare(self, batch: int) -> None:
        """Compile the steps for mini-batches of a size, and for a smaller last one.

        Raises UnsupportedError for a loss that reaches the parameters by another way than through the model: it would
        see old ones.
        """
        rows = self.training.rows
        sizes = {min(batch, rows), rows % batch} - {0} - self._prepared
        arrays = [parameter.data for parameter in self.optimizer.parameters]
        self.model.train()
        for size in sizes:
            try:
                with np.errstate(all="ignore"):
                    constants = self.loop.constants(size)
            except UnsupportedError as error:
                raise UnsupportedError(f"{error}\n{_THROUGH_THE_MODEL}") from error
            if any(np.may_share_memory(constant, array) for constant in constants for array in arrays):
                raise UnsupportedError(
                    f"the loss uses the elements of a parameter that it did not find in the model, and would see its "
                    f"first values for ever.\n{_THROUGH_THE_MODEL}"
                )
            self._prepared.add(size)

    def finish(self) -> None:
        """Give the parameters and the optimizer arrays of their own."""
        state = self.loop.state
        self._hand_out(state)
        self._shown = []

    # the state, in the loop and in the model -----------------------------------------------------------------

    def _take_over(self) -> None:
        """Put the model's state into the loop, unless it is that of the loop: somebody may have changed it."""
        now = [parameter.data for parameter in self.optimizer.parameters]
        if len(now) != len(self._shown) or any(a is not b for a, b in zip(now, self._shown, strict=True)):
            self.model.train()
            self.loop.state = self._state()
        else:
            self.loop.live()["rate"][...] = self.optimizer.rate

    def _show(self) -> None:
        """Let the model have the arrays of the loop, so that an epoch costs no copy."""
        self._hand_out(self.loop.live())
        self._shown = [parameter.data for parameter in self.optimizer.parameters]

    def _hand_out(self, state: dict[str, Any]) -> None:
        for parameter, array in zip(self.optimizer.parameters, state["parameters"], strict=True):
            parameter.data = array
        self.optimizer.states = [
            {name: int(value) if name == "step" else value for name, value in one.items()}
            for one in state["states"]
        ]

    def _state(self) -> dict[str, Any]:
        optimizer = self.optimizer
        return {
            "parameters": [parameter.data for parameter in optimizer.parameters],
            "states": [counted(state) for state in optimizer.states],
            "rate": np.asarray(optimizer.rate, np.float64),
        }


def counted(state: dict[str, Any]) -> dict[str, Any]:
    """A state with its number of steps as an array, exact in float64."""
    return {name: np.asarray(v, np.float64) if name == "step" else v for name, v in state.items()}


def _step(model: Module, loss: Callable[..., Tensor], optimizer: Optimizer, clip: float | None) -> Any:
    """The pure step: from the state and a mini-batch to the next state and the loss."""
    places = list(_places(model, optimizer.parameters))

    def step(state: dict[str, Any], batch: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        def value(parameters: list[Any]) -> Any:
            with _replaced(places, parameters):
                output = model(batch["features"])
                weights = (batch["weights"],) if "weights" in batch else ()
                return loss(output, batch["targets"], *weights)

        parameters, rate = state["parameters"], state["rate"]
        cost, gradients = value_and_grad(value)(parameters)
        gradients = gradients if clip is None else _clipped(gradients, clip)
        updated = [
            optimizer.rule.update(p, g, s, rate, **optimizer.options)
            for p, g, s in zip(parameters, gradients, state["states"], strict=True)
        ]
        following = {"parameters": [p for p, _ in updated], "states": [s for _, s in updated], "rate": rate}
        return following, cost

    return step


def _clipped(gradients: Sequence[Any], limit: float) -> list[Any]:
    """What `clip_norm` does, as one expression."""
    length = ops.sqrt(sum(ops.sum(g * g) for g in gradients))
    shorten = ops.logical_and(length > limit, ops.isfinite(length))
    factor = ops.where(shorten, limit / length, 1.0)
    return [g * factor for g in gradients]


# parameters as arguments -----------------------------------------------------------------------------------

Place = tuple[Any, Any]
"""What holds a Tensor, and under which name or key."""


def _places(model: Module, parameters: Sequence[Tensor]) -> Iterator[list[Place]]:
    """Where each parameter stands in the model; a shared one at several places."""
    found: dict[int, list[Place]] = {id(parameter): [] for parameter in parameters}
    for module in model.modules():
        _look(vars(module), found)
    for parameter in parameters:
        if not found[id(parameter)]:
            raise OptionError("a parameter of the optimizer is not part of the model")
        yield found[id(parameter)]


def _look(holder: Any, found: dict[int, list[Place]]) -> None:
    entries = holder.items() if isinstance(holder, dict) else enumerate(holder)
    for key, value in entries:
        if isinstance(value, Tensor) and id(value) in found:
            found[id(value)].append((holder, key))
        elif isinstance(value, dict | list):
            _look(value, found)


@contextmanager
def _replaced(places: Sequence[Sequence[Place]], parameters: Sequence[Any]) -> Iterator[None]:
    """Put other Tensors into the model while the body runs."""
    before = [[holder[key] for holder, key in some] for some in places]
    try:
        for some, parameter in zip(places, parameters, strict=True):
            for holder, key in some:
                holder[key] = parameter
        yield
    finally:
        for some, tensors in zip(places, before, strict=True):
            for (holder, key), tensor in zip(some, tensors, strict=True):
                holder[key] = tensor


def checked(compile: str) -> str:  # noqa: A002  # the public name
    """One of `COMPILE`, or an OptionError."""
    if compile not in COMPILE:
        raise OptionError(f"compile={compile!r}: choose one of {', '.join(COMPILE)}")
    return compile


def steps_of(rows: int, batch: int, epochs: int) -> int:
    """How many steps a run has."""
    return epochs * math.ceil(rows / batch)
