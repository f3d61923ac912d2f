"""LRScheduler: sets the learning rates of an optimizer's groups, epoch by epoch."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.tensor import Tensor as EngineTensor
from chainrule.torch.errors import ArgumentError, MissingOptionError, ValueOptionError
from chainrule.torch.optim.optimizer import Group, Optimizer, number
from chainrule.torch.tensors import Tensor


class LRScheduler:
    """The base of all schedulers; a subclass defines `get_lr`, which returns the new rate of each group.

    Parameters
    ----------
    optimizer
        Whose groups are changed. Their first rates are kept under ``"initial_lr"``.
    last_epoch
        The epoch before the first; -1 starts anew, another number resumes.

    >>> from chainrule.torch import optim
    >>> optimizer = optim.SGD([Tensor([1.0])], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr(), optimizer.param_groups[0]["lr"]
    ([0.5], 0.5)
    """

    _get_lr_called_within_step = False
    _is_initial = False
    _step_count: int
    _last_lr: list[Any]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(optimizer)
        for number_of, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _own(group["lr"]))
            elif "initial_lr" not in group:
                raise MissingOptionError(
                    f"param 'initial_lr' is not specified in param_groups[{number_of}] when resuming "
                    "scheduler with "
                    f"last_epoch >= 0: load the optimizer's saved state first, or leave last_epoch at -1"
                )
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        """Set the rates of the first epoch."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Any]:
        """The rates of this epoch, computed from those of the one before."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr()")

    def get_last_lr(self) -> list[Any]:
        """The rates that were set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch. An `epoch` to go to is deprecated."""
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. You should call them "
                "in the opposite "
                "order: `optimizer.step()` before `lr_scheduler.step()`. Failure to do this will result "
                "in PyTorch "
                "skipping the first value of the learning rate schedule.",
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed = getattr(self, "_get_closed_form_lr", None)
        with self._inside_step():
            rates = self.get_lr() if epoch is None or closed is None else closed()
        self._set(rates)

    def _set(self, rates: list[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_value(group, "lr", rate)
        self._last_lr = values_of(self.optimizer, "lr")

    @contextmanager
    def _inside_step(self) -> Iterator[None]:
        self._get_lr_called_within_step = True
        try:
            yield
        finally:
            self._get_lr_called_within_step = False

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                stacklevel=3,
            )

    def current(self) -> list[float]:
        """The rates of the groups, as numbers."""
        return [number(group["lr"]) for group in self.optimizer.param_groups]

    def bases(self) -> list[float]:
        """The first rates of the groups, as numbers."""
        return [number(base) for base in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.__dict__.update(state_dict)


def checked_optimizer(optimizer: Any) -> Optimizer:
    """`optimizer`; raises TypeError where it is none."""
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def values_of(optimizer: Optimizer, name: str) -> list[Any]:
    """An option of all groups; of Tensors, copies."""
    return [_own(group[name]) for group in optimizer.param_groups]


def set_value(group: Group, name: str, value: Any) -> None:
    """Set an option of a group; a Tensor is filled, so that it stays the same one."""
    if isinstance(group[name], EngineTensor):
        group[name]._data[...] = number(value)
    else:
        group[name] = value


def for_each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group, from a list of them or from one for all."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [_own(value) for _ in range(count)]
    if len(value) != count:
        raise ValueOptionError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
            f"param_groups has {count}."
        )
    return [_own(one) for one in value]


def state_of_function(function: Callable[..., Any] | None) -> dict[str, Any] | None:
    """What can be saved of a callable: the attributes of an object, nothing of a function."""
    return None if function is None or isinstance(function, types.FunctionType) else dict(function.__dict__)


def warn_of_epoch() -> None:
    """Say that `step(epoch)` is deprecated."""
    warnings.warn(
        "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
        "possible. Please use "
        "`scheduler.step()` to step the scheduler.",
        stacklevel=3,
    )


def _own(value: Any) -> Any:
    return Tensor._wrapped(np.array(value._data)) if isinstance(value, EngineTensor) else value
