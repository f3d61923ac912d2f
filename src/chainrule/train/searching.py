"""Searching for good settings: many networks on the same parts of a table, the worse ones stopped early.

Successive halving (Jamieson and Talwalkar 2016): all are trained for a few epochs, the better half for twice as many,
and so on, until the last few have all their epochs. A network goes on where it stopped, so that what the best one has
learned is, to the bit, what training it alone would have given.

Networks whose steps are native code are trained in threads, while the others, whose steps hold Python's lock, take
their turns: none knows of another, so that the result does not depend on it.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule import optim
from chainrule.data import Table
from chainrule.errors import DivergedError, OptionError
from chainrule.train.callbacks import Best, EarlyStopping
from chainrule.train.parts import Parts, split_table
from chainrule.train.settings import Settings, check_integer
from chainrule.train.tabular import TableTraining
from chainrule.train.training import Epoch

RUNGS = 4
"""At most so often are the networks compared, each time after twice as many epochs."""

LEAST = 5
"""Epochs before networks are compared for the first time."""

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "hidden": ((8,), (16,), (32,), (64,), (16, 16), (32, 32), (64, 32)),
    "activation": ("tanh", "relu", "silu", "gelu"),
    "optimizer": ("adam", "adamw", "sgd"),
    "rate": (),
    "dropout": (0.0, 0.0, 0.1, 0.3),
    "weight_decay": (None, 1e-4, 1e-3, 1e-2),
}
"""What is tried of each setting; of the rate, random ones from a third to three times the optimizer's own."""

HOW = ("random", "grid")


def candidates(
    base: Settings, given: Mapping[str, Sequence[Any]], trials: int, how: str = "random"
) -> list[Settings]:
    """Different settings to try: those of `base`, then others from what is `given` for each name, or from `CHOICES`.

    ``"random"`` draws `trials` of them by the seed of `base`; ``"grid"`` takes every combination of what is given.

    Raises:
        OptionError: an unknown name or value, no trials, or a grid of more combinations than trials.

    >>> [one.hidden for one in candidates(Settings(), {"hidden": [(4,), (8,)]}, 10, "grid")]
    [(4,), (8,)]
    """
    if how not in HOW:
        raise OptionError(f"--how {how}: choose {' or '.join(HOW)}")
    check_integer("trials", trials, 1)
    for name in given:
        if name not in CHOICES:
            raise OptionError(f"there is nothing to search in {name!r}: choose {', '.join(CHOICES)}")
    return _grid(base, given, trials) if how == "grid" else _random(base, given, trials)


def _grid(base: Settings, given: Mapping[str, Sequence[Any]], trials: int) -> list[Settings]:
    count = math.prod(len(values) for values in given.values())
    if count > trials:
        raise OptionError(f"the grid has {count} combinations: give fewer choices, or --trials {count}")
    return [
        _with(base, dict(zip(given, values, strict=True))) for values in itertools.product(*given.values())
    ]


def _random(base: Settings, given: Mapping[str, Sequence[Any]], trials: int) -> list[Settings]:
    rng = np.random.default_rng([base.seed, trials])
    choices = {name: tuple(given.get(name, values)) for name, values in CHOICES.items()}
    first = _with(base, {name: values[0] for name, values in given.items()})
    found = {first: None}
    # Where few combinations are given, they are soon all there.
    for _ in range(50 * trials):
        if len(found) == trials:
            break
        found[_drawn(base, choices, rng)] = None
    return list(found)


def _drawn(base: Settings, choices: Mapping[str, tuple[Any, ...]], rng: np.random.Generator) -> Settings:
    drawn = {name: values[rng.integers(len(values))] for name, values in choices.items() if values}
    if "rate" not in drawn:
        own = optim.rule(drawn["optimizer"]).rate
        drawn["rate"] = float(f"{own * 10 ** rng.uniform(-0.5, 0.5):.2g}")
    return replace(base, **drawn)


def _with(base: Settings, values: Mapping[str, Any]) -> Settings:
    """Settings with others; a rate that is not among them is the optimizer's own."""
    own = {"rate": None} if "optimizer" in values else {}
    return replace(base, **{**own, **values})


class Deadline:
    """When a search ends: after some seconds, or now, because somebody wants it to."""

    def __init__(self, seconds: float | None = None) -> None:
        self._at = math.inf if seconds is None else time.perf_counter() + seconds

    @property
    def is_over(self) -> bool:
        """Whether it is past."""
        return time.perf_counter() >= self._at

    def now(self) -> None:
        """End what goes on."""
        self._at = -math.inf


@dataclass(eq=False)
class Trial:
    """One of the networks that are compared.

    Attributes:
        number: in the order of the candidates, from 1.
        training: what trains it; `best` has its best epoch so far and the weights of that.
        finished: whether it will not learn any more: all epochs, early stopping, or a loss that became infinite.
    """

    number: int
    training: TableTraining
    best: Best = field(init=False)
    finished: bool = False

    def __post_init__(self) -> None:
        self.best = Best(self.training.network)
        patience = self.training.settings.patience
        self._stopping = EarlyStopping(patience) if patience else None

    @property
    def settings(self) -> Settings:
        """What is tried."""
        return self.training.settings

    @property
    def loss(self) -> float:
        """The lowest validation loss so far; infinite before the first epoch."""
        return math.inf if self.best.epoch is None else self.best.epoch.validation_loss

    @property
    def score(self) -> float:
        """The metric at that epoch."""
        score = self.best.epoch.score if self.best.epoch else None
        return math.nan if score is None else score

    @property
    def seconds(self) -> float:
        """How long it has been trained."""
        return self.training.history[-1].seconds if self.training.history else 0.0

    @property
    def parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(parameter.size for parameter in self.training.network.parameters())

    def train(self, epochs: int, deadline: Deadline) -> None:
        """Go on to so many epochs, or until the time is over."""

        def ends(epoch: Epoch) -> bool:
            self.finished = epoch.number >= self.settings.epochs or (
                self._stopping is not None and self._stopping(epoch)
            )
            return self.finished or epoch.number >= epochs or deadline.is_over

        try:
            self.training.run.run([self.best, ends])
        except DivergedError:
            self.finished = True


@dataclass(eq=False)
class Search:
    """Networks for the same parts of a table, compared by their validation loss.

    >>> from chainrule.data import load
    >>> tried = candidates(Settings(epochs=20), {"hidden": [(2,), (8,)]}, 4, "grid")
    >>> found = Search.prepare(load("iris"), "species", tried)
    >>> found.run()
    'all'
    >>> len(found.ranked()), found.best.settings.hidden
    (2, (8,))
    """

    trials: list[Trial]
    ended: str = ""

    @classmethod
    def prepare(cls, table: Table, target: str, settings: Sequence[Settings]) -> Search:
        """Split the table once, and make the networks; the test part is not used in the search.

        Raises:
            DataError: a table that cannot be learnt from.
            OptionError: a network of too many parameters.
        """
        return cls.of_parts(table.name, split_table(table, target, settings[0]), settings)

    @classmethod
    def of_parts(cls, name: str, parts: Parts, settings: Sequence[Settings]) -> Search:
        """The search on parts that are already split."""
        made = (TableTraining.of_parts(name, parts, one) for one in settings)
        return cls([Trial(number, training) for number, training in enumerate(made, start=1)])

    def rungs(self) -> list[tuple[int, int]]:
        """After how many epochs how many networks go on: numbers of epochs, and of networks that get there."""
        epochs, count = self.trials[0].settings.epochs, len(self.trials)
        halvings = min(RUNGS - 1, int(math.log2(count)), max(0, int(math.log2(max(epochs / LEAST, 1)))))
        return [
            (math.ceil(epochs / 2**left), math.ceil(count / 2 ** (halvings - left)))
            for left in range(halvings, -1, -1)
        ]

    def run(
        self,
        seconds: float | None = None,
        tell: Callable[[int, int, Trial], object] = lambda *_: None,
        jobs: int | None = None,
    ) -> str:
        """Train, for at most so many seconds; returns how it ended: ``"all"``, ``"time"`` or ``"interrupted"``.

        `tell(rung, done, trial)` is called after each network of each rung, in their order. `jobs` networks are trained
        at once; None is as many as native code may have threads (`CHAINRULE_THREADS`, or the cores). After Ctrl-C,
        what the networks have learned so far stays; before any has, KeyboardInterrupt is raised as usual.
        """
        if jobs is not None:
            check_integer("jobs", jobs, 1)
        try:
            self.ended = "all" if self._climb(Deadline(seconds), tell, jobs) else "time"
        except KeyboardInterrupt:
            if not math.isfinite(self.best.loss):
                raise
            self.ended = "interrupted"
        if not math.isfinite(self.best.loss):
            raise DivergedError(
                "the loss of every network became infinite: give smaller rates, such as --rate 0.001"
            )
        return self.ended

    def _climb(self, deadline: Deadline, tell: Callable[[int, int, Trial], object], jobs: int | None) -> bool:
        """All rungs, one after the other; returns whether the time sufficed."""
        for rung, (epochs, count) in enumerate(self.rungs(), start=1):
            going = self.ranked()[:count]
            # Closed when `tell` is interrupted, so that no thread goes on.
            with closing(self._trained(going, epochs, deadline, jobs)) as trained:
                for done, trial in enumerate(trained, start=1):
                    tell(rung, done, trial)
            if deadline.is_over:
                break
        return not deadline.is_over or all(trial.finished for trial in self.ranked()[:count])

    def _trained(
        self, trials: Sequence[Trial], epochs: int, deadline: Deadline, jobs: int | None
    ) -> Generator[Trial]:
        """Train some to so many epochs, those of native code in threads; hands out each when it is done, in order."""
        running: dict[Trial, Future[None]] = {}
        jobs = jobs or _cores(trials)
        with ThreadPoolExecutor(jobs) as threads:
            try:
                for trial in trials if jobs > 1 else ():
                    if not trial.finished and not deadline.is_over and _is_native(trial):
                        running[trial] = threads.submit(self._go_on, trial, epochs, deadline)
                for trial in trials:
                    if trial in running:
                        running[trial].result()
                    else:
                        self._go_on(trial, epochs, deadline)
                    yield trial
            except BaseException:
                # Each ends after the epoch that it is in.
                deadline.now()
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _go_on(self, trial: Trial, epochs: int, deadline: Deadline) -> None:
        # One network is trained, however short the time.
        if not trial.finished and not (deadline.is_over and math.isfinite(self.best.loss)):
            trial.train(epochs, deadline)

    def ranked(self) -> list[Trial]:
        """The networks, that of the lowest validation loss first; untrained ones in order."""
        return sorted(self.trials, key=lambda trial: (trial.loss, trial.number))

    @property
    def best(self) -> Trial:
        """The first of `ranked`."""
        return self.ranked()[0]

    def finish(self) -> TableTraining:
        """The training of the best network, with the weights of its best epoch, to be evaluated and saved."""
        best = self.best
        best.best.restore()
        best.training.kept = best.best.epoch
        return best.training


def _is_native(trial: Trial) -> bool:
    """Whether its steps are native code, which is compiled here: that holds Python's lock, and gains by no thread."""
    run = trial.training.run
    run.prepare()
    return run.is_native


def _cores(trials: Sequence[Trial]) -> int:
    """How many of them may be trained at once."""
    if not any(trial.training.run.is_native for trial in trials):
        return 1
    # Only native code, and what it needs, is imported for this.
    from chainrule.graph.emit.llvm.threads import threads

    return threads()
