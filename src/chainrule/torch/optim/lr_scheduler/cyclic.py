"""Schedulers that rise and fall: cycles, one cycle, and warm restarts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

from chainrule.torch.errors import ValueOptionError
from chainrule.torch.optim.lr_scheduler.base import (
    LRScheduler,
    checked_optimizer,
    for_each_group,
    set_value,
    state_of_function,
)  # fmt: skip
from chainrule.torch.optim.optimizer import Group, Optimizer, number


class _MomentumCycling(LRScheduler):
    """A scheduler that can move the momentum (or Adam's first beta) against the rate."""

    cycle_momentum: bool
    use_beta1: bool

    def _begin_momentum(self, highest: Any, lowest: Any, last_epoch: int) -> tuple[list[float], list[float]]:
        """Note the range of the momentum in the groups, and begin with the highest."""
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueOptionError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        self.use_beta1 = "betas" in defaults
        maxima = for_each_group("max_momentum", self.optimizer, highest)
        minima = for_each_group("base_momentum", self.optimizer, lowest)
        if last_epoch == -1:
            for group, most, least in zip(self.optimizer.param_groups, maxima, minima, strict=True):
                self._set_momentum(group, most)
                group["max_momentum"], group["base_momentum"] = most, least
        return maxima, minima

    def _set_momentum(self, group: Group, momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(_MomentumCycling):
    """Up and down between two rates, again and again; Smith (2017).

    Parameters
    ----------
    base_lr, max_lr
        The lower and the upper rate, for all groups or for each.
    step_size_up, step_size_down
        The steps on the way up and down.
    mode
        ``"triangular"``; ``"triangular2"``, whose height is halved each cycle; ``"exp_range"``, whose height
        is ``gamma**step``. Instead of these, `scale_fn`, of the cycle or of the step (`scale_mode`).
    cycle_momentum
        Whether the momentum moves the other way, between `max_momentum` and `base_momentum`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        lower = for_each_group("base_lr", optimizer, base_lr)
        self.max_lrs = for_each_group("max_lr", optimizer, max_lr)
        if mode not in _HEIGHTS and scale_fn is None:
            raise ValueOptionError(
                f"mode is invalid and scale_fn is None: mode must be one of {', '.join(_HEIGHTS)}, not "
                f"{mode!r}"
            )
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = (
            scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        )
        if last_epoch == -1:
            for rate, group in zip(lower, optimizer.param_groups, strict=True):
                set_value(group, "lr", rate)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.max_momentums, self.base_momentums = self._begin_momentum(
                max_momentum, base_momentum, last_epoch
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lower

    def scale_fn(self, x: float) -> float:
        """The height of the cycle number `x`, or at step `x`."""
        return (
            _HEIGHTS[self.mode](x, self.gamma) if self._scale_fn_custom is None else self._scale_fn_custom(x)
        )

    def get_lr(self) -> list[Any]:
        """On the way up or down; sets the momentum too."""
        self._warn_outside_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            ranges = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, least, most in ranges:
                self._set_momentum(group, most - (most - least) * height)
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [number(low) + (number(high) - number(low)) * height for low, high in pairs]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of a `scale_fn` only the attributes of an object."""
        state = super().state_dict()
        return state | {"_scale_fn_custom": state_of_function(state.pop("_scale_fn_custom"))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave; the `scale_fn` is this scheduler's own."""
        own, saved = self._scale_fn_custom, state_dict.get("_scale_fn_custom")
        super().load_state_dict(state_dict)
        self._scale_fn_custom = own
        if own is not None and saved is not None:
            own.__dict__.update(saved)


_HEIGHTS: dict[str, Callable[[float, float], float]] = {
    "triangular": lambda cycle, gamma: 1.0,
    "triangular2": lambda cycle, gamma: 1 / 2.0 ** (cycle - 1),
    "exp_range": lambda step, gamma: gamma**step,
}


def _along_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


def _along_line(start: float, end: float, share: float) -> float:
    return (end - start) * share + start


_ANNEALING = {"cos": _along_cosine, "linear": _along_line}


class OneCycleLR(_MomentumCycling):
    """Up once and far down; Smith and Topin (2019). Stepped after every batch.

    Parameters
    ----------
    max_lr
        The highest rate, for all groups or for each. The first is ``max_lr / div_factor``, the last that over
        `final_div_factor`.
    total_steps
        How many steps there are in all; or `epochs` times `steps_per_epoch`.
    pct_start
        The part of the steps on the way up.
    anneal_strategy
        ``"cos"`` or ``"linear"``.
    three_phase
        Whether it takes as many steps down again as up, and only then goes to the end.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        self.total_steps = _all_steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueOptionError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in _ANNEALING:
            raise ValueOptionError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._schedule_phases = list(_phases(pct_start * self.total_steps, self.total_steps, three_phase))
        self._anneal_func_type = anneal_strategy
        highest = for_each_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                group["initial_lr"] = rate / div_factor
                group["max_lr"] = rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(max_momentum, base_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """On the way through one of the phases; sets the momentum too."""
        self._warn_outside_step()
        if self.last_epoch > self.total_steps:
            raise ValueOptionError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        start, phase = self._phase()
        share = (self.last_epoch - start) / (phase["end_step"] - start)
        between, groups = _ANNEALING[self._anneal_func_type], self.optimizer.param_groups
        if self.cycle_momentum:
            for group in groups:
                self._set_momentum(
                    group, between(group[phase["start_momentum"]], group[phase["end_momentum"]], share)
                )
        return [
            between(number(group[phase["start_lr"]]), number(group[phase["end_lr"]]), share)
            for group in groups
        ]

    def _phase(self) -> tuple[float, dict[str, Any]]:
        """The phase of this step, and where it starts."""
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if self.last_epoch <= phase["end_step"]:
                return start, phase
            start = phase["end_step"]
        return start, self._schedule_phases[-1]


def _all_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    counts = {"total_steps": total_steps} if total_steps is not None else {
        "epochs": epochs, "steps_per_epoch": steps_per_epoch,
    }  # fmt: skip
    if None in counts.values():
        raise ValueOptionError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    for name, value in counts.items():
        if not isinstance(value, int) or value <= 0:
            raise ValueOptionError(f"Expected positive integer {name}, but got {value}")
    return math.prod(value for value in counts.values() if value is not None)


def _phases(up: float, total: int, three_phase: bool) -> Iterator[dict[str, Any]]:
    """Each phase by its last step and the names of what it goes from and to."""
    ends = [up - 1, 2 * up - 2, total - 1] if three_phase else [up - 1, total - 1]
    rates = ["initial_lr", "max_lr", *(["initial_lr"] if three_phase else []), "min_lr"]
    momenta = ["max_momentum", "base_momentum", "max_momentum", "max_momentum"]
    for i, end in enumerate(ends):
        yield {
            "end_step": end,
            "start_lr": rates[i],
            "end_lr": rates[i + 1],
            "start_momentum": momenta[i],
            "end_momentum": momenta[i + 1],
        }


class CosineAnnealingWarmRestarts(LRScheduler):
    """Waves of the cosine, each `T_mult` times as long as the one before; Loshchilov and Hutter (2017).

    Parameters
    ----------
    T_0
        The epochs of the first wave.
    eta_min
        The rate at the end of a wave.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueOptionError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueOptionError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueOptionError(
                f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}"
            )
        self.T_0 = self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """On the present wave."""
        self._warn_outside_step()
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.bases()]

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next epoch, or to an epoch that may be a fraction, as between batches."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        elif epoch < 0:
            raise ValueOptionError(f"Expected non-negative epoch, but got {epoch}")
        else:
            self._go_to(epoch)
        self.last_epoch = math.floor(epoch)
        with self._inside_step():
            rates = self.get_lr()
        self._set(rates)

    def _go_to(self, epoch: float) -> None:
        if epoch < self.T_0:
            self.T_cur, self.T_i = epoch, self.T_0
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            waves = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**waves - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**waves
