"""Training steps as native code: the loss, its gradient and the update of a run, many steps in one call."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import ops
from chainrule.compiled import NativeLoop
from chainrule.compiled.loop import CHUNK
from chainrule.data import Window, WindowedSource
from chainrule.errors import OptionError, UnsupportedError
from chainrule.graph.emit.keeping import keep_as, kept
from chainrule.nn import Module
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor
from chainrule.train.noise import Noise, calls_of
from chainrule.transforms import value_and_grad

COMPILE = ("auto", "yes", "no")
WORTH, KEPT = 0.05, 0.01
"""Seconds that must be saved, for each parameter, before code is compiled for a size of mini-batches, or taken from
disk: what that was measured to take. It is paid once for a network in a process, since code is kept."""

_THROUGH_THE_MODEL = (
    "In native code the parameters are replaced in the model: a loss that uses one should read it from the model "
    "(model.weight) each time it is called."
)


def obstacle(model: Any, training: Any, accumulate: int) -> str | None:
    """Why a run cannot be native code, if it cannot."""
    if not isinstance(model, Module):
        return "its model is a function, whose parameters native code cannot replace: make it an nn.Module"
    if not isinstance(training, WindowedSource):
        return f"its rows are not arrays in memory: {type(training).__name__} has no method `window`"
    if accumulate > 1:
        return "it accumulates gradients"
    if find_spec("llvmlite") is None:
        return 'native code needs llvmlite: pip install "chainrule[jit]"'
    try:
        calls_of(model, training.window(1).examples)
    except UnsupportedError as error:
        return str(error)
    return None


class Network:
    """Networks that are all alike: the native code of their steps, and what training them in NumPy has cost so far.

    What is worth compiling is reckoned, not measured. A network that is trained for a second time is most often one
    of a series (folds, seeds, a grid, a program that is run again), whose code pays even where one run would not
    earn it; and then it is on disk. So a note on disk tells later processes that a network was trained.

    Attributes:
        kernels: the native code, by the size of mini-batches.
        lost: seconds beside the arithmetic that runs in NumPy took.
    """

    SERIES = 10

    def __init__(self, described: str = "") -> None:
        self._note = f"{hashlib.sha256(described.encode()).hexdigest()[:40]}.trained"
        self._earlier: bool | None = None if described else False
        self.kernels: dict[int, Any] = {}
        self.lost = 0.0

    def pays(self, optimizer: Optimizer, rows: int, batch: int, epochs: int) -> bool:
        """Whether a run should be native code: it is there, or saves more than it costs; if not, the run is noted."""
        missing = len(optimizer.parameters) * len(sizes_of(rows, batch) - self.kernels.keys())
        lost = steps_of(rows, batch, epochs) * _lost(optimizer, min(batch, rows))
        expected = self.lost + lost * (self.SERIES if self.lost else 1)
        if expected > WORTH * missing or (expected > KEPT * missing and self._was_trained()):
            return True
        self.lost += lost
        return False

    def _was_trained(self) -> bool:
        """Whether an earlier process trained such a network; a wrong answer would cost time, and nothing else."""
        if self._earlier is None:
            self._earlier = kept(self._note) is not None
            if not self._earlier:
                keep_as(self._note, b"")
        return self._earlier


def _lost(optimizer: Optimizer, batch: int) -> float:
    """Seconds that a step in NumPy takes longer, within a third of what was measured with Adam, for 1 to 4 layers.

    Operations cost time by their number, and those on activations and in updates also by their elements.
    """
    numbers = sum(parameter.size for parameter in optimizer.parameters)
    return len(optimizer.parameters) * (2.2e-5 + 4e-8 * batch) + 8e-9 * numbers


MOST = 16  # arrays of the size of the network and a mini-batch are kept with the code
_NETWORKS: dict[Hashable, Network] = {}
"""By all that their steps depend on; that which was used last is at the end."""


def network_of(described: Hashable, optimizer: Optimizer, clip: float | None) -> Network:
    """What is known of the networks of which a description of model and loss is true; None describes none."""
    if described is None:
        return Network()
    key = described, optimizer.rule, *sorted(optimizer.options.items()), clip
    found = _NETWORKS.pop(key, None)
    _NETWORKS[key] = found = found or Network(re.sub(" at 0x[0-9a-f]+", "", repr(key)))
    for oldest in list(_NETWORKS)[:-MOST]:
        _NETWORKS.pop(oldest, None)
    return found


def sizes_of(rows: int, batch: int) -> set[int]:
    """The sizes of the mini-batches of an epoch."""
    return {min(batch, rows), rows % batch} - {0}


class NativeSteps:
    """The steps of one run, compiled.

    While it trains, the arrays of the parameters are those that the native code writes to; `finish` ends that.
    The code is found in, and kept by, `network`.
    """

    def __init__(
        self,
        model: Module,
        window: Window,
        loss: Callable[..., Tensor],
        optimizer: Optimizer,
        clip: float | None,
        network: Network | None = None,
    ) -> None:
        self.model, self.optimizer, self.window = model, optimizer, window
        self._numbers: dict[str, float] = getattr(loss, "numbers", {})
        calls = calls_of(model, window.examples)
        self.noise = Noise(calls, window.examples, window.size) if calls else None
        self.training = training = self.noise.examples if self.noise else window.examples
        step = _step(model, loss, optimizer, clip, self.noise)
        data: dict[str, Any] = {"features": training.features, "targets": training.targets}
        if training.weights is not None:
            data["weights"] = training.weights
        if self.noise:
            data["noise"] = self.noise.drawn
        self.network = Network() if network is None else network
        self.loop = NativeLoop(step, self._state(), data, kernels=self.network.kernels)
        self._prepared: set[int] = set()
        self._shown: list[Any] = []
        self._pace = math.inf  # seconds for an epoch
        self._at_once = window.stays and self.noise is None

    @property
    def most_epochs(self) -> int:
        """How many take about a tenth of a second, so that Ctrl-C and progress stay alive."""
        return max(1, int(CHUNK / self._pace)) if self._at_once else 1

    def epochs(self, count: int, batch: int, order: np.random.Generator | None) -> list[float]:
        """Train on every row `count` times, at most `most_epochs`; returns the mean loss of each."""
        if not self._at_once:
            return [self._epoch(batch, order)]
        start = time.perf_counter()
        drawn = [places for _ in range(count) for places in self.window.portions(order)]
        losses = np.concatenate([part for part, _ in self._trained(drawn, batch)]).reshape(count, -1)
        self._pace = (time.perf_counter() - start) / count
        sums = (losses * self._amounts(drawn, batch)).sum(axis=1, dtype=np.float64)
        means: list[float] = (sums / self.training.amount).tolist()
        return means

    def _epoch(self, batch: int, order: np.random.Generator | None) -> float:
        """Train on every row once, portion by portion; returns the mean loss."""
        total = amount = 0.0
        for places in self._portions(batch, order):
            losses = np.concatenate([part for part, _ in self._trained([places], batch)])
            amounts = self._amounts([places], batch)
            total += float((losses * amounts).sum(dtype=np.float64))
            amount += float(amounts.sum())
        return total / amount

    def _amounts(self, drawn: Sequence[NDArray[np.int64]], batch: int) -> NDArray[Any]:
        """How much the rows of each step count."""
        rows, weights = len(drawn[0]), self.training.weights
        starts = np.arange(0, rows, batch)
        if weights is None:
            return np.minimum(batch, rows - starts)
        amounts: NDArray[Any] = np.add.reduceat(weights[np.stack(drawn)], starts, axis=1)
        return amounts

    def losses(self, batch: int, order: np.random.Generator | None) -> list[NDArray[Any]]:
        """Train on every row once; returns the loss of each step."""
        portions = self._portions(batch, order)
        return [losses for places in portions for losses, _ in self._trained([places], batch)]

    def _portions(self, batch: int, order: np.random.Generator | None) -> Iterator[NDArray[np.int64]]:
        """The rows of an epoch, in the order to train on them, each portion made ready when it is asked for."""
        for places in self.window.portions(order):
            yield from [places] if self.noise is None else self.noise.portions(places, batch)

    def _trained(self, drawn: list[NDArray[np.int64]], batch: int) -> list[tuple[NDArray[Any], int]]:
        """The losses of the steps, in order, with the rows of each: the last mini-batch may have fewer."""
        self.prepare(batch)
        self._take_over()
        if self.training.rows % batch == 0:
            drawn = [np.concatenate(drawn)]
        try:
            return [part for rows in drawn for part in self.loop.once(rows, batch)]
        finally:
            self._show()

    def prepare(self, batch: int) -> None:
        """Compile the steps for mini-batches of a size, and for a smaller last one.

        Raises UnsupportedError for a loss that reaches the parameters by another way than through the model: it would
        see old ones.
        """
        sizes = sizes_of(self.window.total, batch) - self._prepared
        if not sizes:
            return
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
            "numbers": {name: np.asarray(value, np.float64) for name, value in self._numbers.items()},
        }


def counted(state: dict[str, Any]) -> dict[str, Any]:
    """A state with its number of steps as an array, exact in float64."""
    return {name: np.asarray(v, np.float64) if name == "step" else v for name, v in state.items()}


def _step(
    model: Module,
    loss: Callable[..., Tensor],
    optimizer: Optimizer,
    clip: float | None,
    noise: Noise | None = None,
) -> Any:
    """The pure step: from the state and a mini-batch to the next state and the loss."""
    places = list(_places(model, optimizer.parameters))

    def step(state: dict[str, Any], batch: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        def value(parameters: list[Any]) -> Any:
            with _replaced(places, parameters), noise.given(batch["noise"]) if noise else nullcontext():
                output = model(batch["features"])
                weights = (batch["weights"],) if "weights" in batch else ()
                return loss(output, batch["targets"], *weights, **state["numbers"])

        parameters, rate = state["parameters"], state["rate"]
        cost, gradients = value_and_grad(value)(parameters)
        gradients = gradients if clip is None else _clipped(gradients, clip)
        updated = [
            optimizer.rule.update(p, g, s, rate, **optimizer.options)
            for p, g, s in zip(parameters, gradients, state["states"], strict=True)
        ]
        following = {"parameters": [p for p, _ in updated], "states": [s for _, s in updated]}
        return state | following, cost

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
