"""Schedulers that multiply the current rate, so that several of them can be used together."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from chainrule.torch.errors import ArgumentError, ValueOptionError
from chainrule.torch.optim.lr_scheduler.base import LRScheduler, checked_optimizer, state_of_function
from chainrule.torch.optim.optimizer import Optimizer

Lambdas = Callable[[int], float] | list[Callable[[int], float]]


class _Multiplying(LRScheduler):
    """A scheduler that is one factor for each epoch."""

    def _multiple(self) -> float:
        """What the rate is multiplied by in this epoch."""
        raise NotImplementedError

    def _share(self) -> float:
        """The rate of this epoch as a multiple of the first rate: the product of all factors."""
        raise NotImplementedError

    def get_lr(self) -> list[Any]:
        """The current rates times the factor."""
        self._warn_outside_step()
        multiple = self._multiple()
        return [rate * multiple for rate in self.current()]

    def _get_closed_form_lr(self) -> list[Any]:
        share = self._share()
        return [base * share for base in self.bases()]


class StepLR(_Multiplying):
    """Multiply by `gamma` every `step_size` epochs."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _multiple(self) -> float:
        """`gamma` at the end of each period."""
        return self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else 1.0

    def _share(self) -> float:
        """A power of `gamma`."""
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(_Multiplying):
    """Multiply by `gamma` at each of the `milestones`."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _multiple(self) -> float:
        """`gamma` for each milestone that is this epoch."""
        return self.gamma ** self.milestones.get(self.last_epoch, 0)

    def _share(self) -> float:
        """A power of `gamma`."""
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ConstantLR(_Multiplying):
    """`factor` times the rate, for `total_iters` epochs."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 <= factor <= 1:
            raise ValueOptionError(
                f"Constant multiplicative factor expected to be between 0 and 1, not {factor}."
            )
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _multiple(self) -> float:
        """Down at the start, up again at the end."""
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else 1.0

    def _share(self) -> float:
        """The factor or 1."""
        return 1.0 if self.last_epoch >= self.total_iters else self.factor


class LinearLR(_Multiplying):
    """From `start_factor` to `end_factor` times the rate, in equal steps over `total_iters` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueOptionError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal to 1, "
                f"not {start_factor}."
            )
        if not 0 <= end_factor <= 1:
            raise ValueOptionError(
                f"Ending multiplicative factor expected to be between 0 and 1, not {end_factor}."
            )
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _multiple(self) -> float:
        """The share of this epoch over that of the last."""
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)

    def _share(self) -> float:
        """On the line between the two factors."""
        done = min(self.total_iters, self.last_epoch) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done


class ExponentialLR(_Multiplying):
    """Multiply by `gamma` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _multiple(self) -> float:
        """`gamma`."""
        return 1.0 if self._is_initial else self.gamma

    def _share(self) -> float:
        """A power of `gamma`."""
        return self.gamma**self.last_epoch


class PolynomialLR(_Multiplying):
    """Fall to 0 over `total_iters` epochs, as a power of what is left."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _multiple(self) -> float:
        """The share of this epoch over that of the last."""
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        left, before = (1.0 - epoch / self.total_iters for epoch in (self.last_epoch, self.last_epoch - 1))
        return float((left / before) ** self.power)

    def _share(self) -> float:
        """A power of what is left."""
        return float((1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """Down to `eta_min` along a cosine, over `T_max` epochs; Loshchilov and Hutter (2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The height above `eta_min` times the quotient of two cosines; from 0 it has to be lifted."""
        self._warn_outside_step()
        lowest, epoch = self.eta_min, self.last_epoch
        if self._is_initial:
            return self.current()
        if self._step_count == 1 and epoch > 0:
            return self._get_closed_form_lr()
        if (epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            lift = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                rate + (base - lowest) * lift for rate, base in zip(self.current(), self.bases(), strict=True)
            ]
        factor = self._height(epoch) / self._height(epoch - 1)
        return [factor * (rate - lowest) + lowest for rate in self.current()]

    def _height(self, epoch: int) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def _get_closed_form_lr(self) -> list[Any]:
        height = self._height(self.last_epoch) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.bases()]


class LambdaLR(LRScheduler):
    """The first rate times a function of the epoch: one for all groups, or a list with one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Lambdas, last_epoch: int = -1) -> None:
        count = len(checked_optimizer(optimizer).param_groups)
        given = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * count
        if len(given) != count:
            raise ValueOptionError(f"Expected {count} lr_lambdas, but got {len(given)}")
        for function in given:
            if not callable(function):
                raise ArgumentError(f"lr_lambda should be a function, but got {type(function).__name__}")
        self.lr_lambdas: list[Callable[[int], float]] = given
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The first rates times the functions."""
        self._warn_outside_step()
        return [base * f(self.last_epoch) for f, base in zip(self.lr_lambdas, self.bases(), strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of the functions only the attributes of those that are objects."""
        state = super().state_dict()
        del state["lr_lambdas"]
        return state | {"lr_lambdas": [state_of_function(function) for function in self.lr_lambdas]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave; the functions are this scheduler's own."""
        own = self.lr_lambdas
        super().load_state_dict(state_dict)
        self.lr_lambdas = own
        for function, saved in zip(own, state_dict["lr_lambdas"], strict=True):
            if saved is not None:
                function.__dict__.update(saved)


class MultiplicativeLR(LambdaLR):
    """The current rate times a function of the epoch."""

    def get_lr(self) -> list[Any]:
        """The current rates times the functions; the first epoch keeps them."""
        self._warn_outside_step()
        if self._is_initial:
            return self.current()
        return [rate * f(self.last_epoch) for f, rate in zip(self.lr_lambdas, self.current(), strict=True)]
