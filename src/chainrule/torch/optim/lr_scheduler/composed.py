"""Schedulers made of others, one after the other or all at once, and the one that watches a metric."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Literal, SupportsFloat

from chainrule.torch.errors import ArgumentError, OperationError, ValueOptionError
from chainrule.torch.optim.lr_scheduler.base import (
    LRScheduler,
    checked_optimizer,
    set_value,
    values_of,
    warn_of_epoch,
)  # fmt: skip
from chainrule.torch.optim.optimizer import Optimizer, number


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric has not improved for more than `patience` epochs.

    Parameters
    ----------
    mode
        Whether lower (``"min"``) or higher values (``"max"``) are better.
    threshold, threshold_mode
        What counts as better: relative to the best value (``"rel"``) or by that much (``"abs"``).
    cooldown
        The epochs after a reduction in which nothing is counted.
    min_lr
        Below which the rate does not fall, for all groups or for each.
    eps
        Smaller changes of the rate are not made.

    >>> from chainrule.torch import optim, tensors
    >>> optimizer = optim.SGD([tensors.Tensor([1.0])], lr=1.0)
    >>> scheduler = ReduceLROnPlateau(optimizer, patience=0)
    >>> for loss in (2.0, 1.0, 1.5):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueOptionError(f"Factor should be < 1.0, not {factor}.")
        if mode not in ("min", "max"):
            raise ValueOptionError(f"mode {mode} is unknown! It is 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueOptionError(f"threshold mode {threshold_mode} is unknown! It is 'rel' or 'abs'")
        self.factor = factor
        self.optimizer = checked_optimizer(optimizer)
        count = len(optimizer.param_groups)
        given = list(min_lr) if isinstance(min_lr, (list, tuple)) else None
        if given is not None and len(given) != count:
            raise ValueOptionError(f"expected {count} min_lrs, got {len(given)}")
        self.default_min_lr = min_lr if given is None else None
        self.min_lrs: list[Any] = [min_lr] * count if given is None else given
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = values_of(optimizer, "lr")
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self._reset()

    def _reset(self) -> None:
        """Forget the best value and the counts."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Go on to the next epoch, with this value of the metric."""
        current = float(metrics)
        if epoch is not None:
            warn_of_epoch()
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = values_of(self.optimizer, "lr")

    @property
    def in_cooldown(self) -> bool:
        """Whether the rate was reduced so recently that nothing is counted."""
        return self.cooldown_counter > 0

    def _is_better(self, value: float, best: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        margin = (
            best * (1 + sign * self.threshold)
            if self.threshold_mode == "rel"
            else best + sign * self.threshold
        )
        return value > margin if sign > 0 else value < margin

    def _reduce_lr(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise OperationError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from when "
                    f"`ReduceLROnPlateau` was initialized ({len(self.min_lrs)}), usually due to a new "
                    "param group "
                    f"being added to the optimizer. Please modify the `min_lrs` field to match."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = float(number(group["lr"]))
            new = max(old * self.factor, least)
            if old - new > self.eps:
                set_value(group, "lr", new)


class _Composed(LRScheduler):
    """A scheduler that hands its steps on to others."""

    _schedulers: Sequence[LRScheduler]

    def _check(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> Optimizer:
        name = type(self).__name__
        if not schedulers:
            raise ValueOptionError(f"{name} expects at least one scheduler, but got no scheduler.")
        for number_of, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise ArgumentError(f"{name} at index {number_of} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueOptionError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional "
                    "kwargs to be "
                    f"specified when calling `step`, but got one at index {number_of} in the given "
                    "schedulers sequence."
                )
            if scheduler.optimizer is not (optimizer or schedulers[0].optimizer):
                raise ValueOptionError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {number_of} with another."
                )
        return optimizer or schedulers[0].optimizer

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, with the states of the schedulers."""
        state = super().state_dict()
        del state["_schedulers"]
        return state | {"_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        own = self._schedulers
        super().load_state_dict(state_dict)
        self._schedulers = own
        for scheduler, saved in zip(own, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(saved)


class ChainedScheduler(_Composed):
    """Several schedulers, all stepped in each epoch."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self.optimizer = self._check(optimizer, schedulers)
        self._schedulers = schedulers
        self._last_lr = values_of(self.optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Go on to the next epoch."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = values_of(self.optimizer, "lr")


class SequentialLR(_Composed):
    """Several schedulers, one after the other: each begins at its milestone."""

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueOptionError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the "
                "number of "
                f"milestone points, but got number of schedulers {len(schedulers)} and the number of "
                "milestones to be "
                f"equal to {len(milestones)}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        # Making the schedulers has already stepped each of them once: begin again, with the first one only.
        for group in optimizer.param_groups:
            set_value(group, "lr", group["initial_lr"])
        self.recursive_undo()
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def recursive_undo(self, sched: LRScheduler | None = None) -> None:
        """Take the schedulers inside one back by an epoch."""
        sched = self if sched is None else sched
        if isinstance(sched, _Composed):
            for inside in sched._schedulers:
                self.recursive_undo(inside)
        else:
            sched.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Go on to the next epoch."""
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index and self._milestones[index - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()
