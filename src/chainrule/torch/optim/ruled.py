"""RuledOptimizer: applies a pure update rule to all parameters, with its state under PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable
from sys import _getframe
from typing import Any, ClassVar

import numpy as np

from chainrule.inplace import note_change
from chainrule.lines import place
from chainrule.optim.rules import Update
from chainrule.tensor import Tensor as EngineTensor
from chainrule.torch.errors import MissingError, OperationError, ValueOptionError
from chainrule.torch.optim.optimizer import Group, Optimizer, evaluated, gradients, number, scalar
from chainrule.torch.tensors import Tensor, is_symbolic

Names = dict[str, str]


class RuledOptimizer(Optimizer):
    """An Optimizer whose step is an update rule: a subclass says which, and with which options.

    Attributes:
        arrays: what the rule calls the arrays of its state, and what PyTorch calls them.
        numbers: likewise for the numbers of the state, apart from the step.
        counts: whether the state has a ``"step"``.
        first_options: options of the rule that are other ones in a parameter's first step.
    """

    arrays: ClassVar[Names] = {}
    numbers: ClassVar[Names] = {}
    counts: ClassVar[bool] = True
    first_options: ClassVar[dict[str, Any]] = {}

    def rule_of(self, group: Group) -> tuple[Update, dict[str, Any]]:
        """The update rule for a group, and the options to call it with."""
        raise NotImplementedError

    def names_of(self, group: Group) -> Names:
        """The arrays that the state has with the options of this group."""
        return self.arrays

    def first(self, name: str, group: Group, data: np.ndarray) -> Tensor:
        """What an entry of the state starts as; zeros of the parameter's shape where nothing else is said."""
        return Tensor._wrapped(np.zeros_like(data))  # type: ignore[no-any-return]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change each parameter that has a gradient; returns the loss of `closure`, where one is given."""
        loss = evaluated(closure)
        where = place(_getframe(1))
        for group in self.param_groups:
            rule, options = self.rule_of(group)
            names, rate, sign = self.names_of(group), number(group["lr"]), group.get("maximize")
            for parameter, gradient in gradients(group["params"]):
                data = parameter._data
                gradient = -gradient if sign else gradient
                if names:
                    self._update(parameter, gradient, group, rule, names, rate, options)
                else:
                    data[...] = rule(data, gradient, {}, rate, **options)[0]
                note_change(data, where)
        return loss

    def _update(
        self,
        parameter: Any,
        gradient: np.ndarray,
        group: Group,
        rule: Update,
        names: Names,
        rate: float,
        options: dict[str, Any],
    ) -> None:
        """One step of a parameter that has a state."""
        data, state = parameter._data, self.state[parameter]
        if not all(theirs in state for theirs in names.values()):
            self._begin(state, names, group, data)
            options = options | self.first_options
        given: dict[str, Any] = {ours: state[theirs]._data for ours, theirs in names.items()}
        for ours, theirs in self.numbers.items():
            given[ours] = state[theirs]._data[()]
        if self.counts:
            counter = state["step"]._data
            given["step"] = int(counter) if type(counter) is np.ndarray else counter.astype(np.float64)
            counter += 1
        data[...], new = rule(data, gradient, given, rate, **options)
        for ours, theirs in names.items():
            array = new[ours]
            kept = type(array) is np.ndarray or is_symbolic(array)
            state[theirs]._data = array if kept else np.asarray(array)
        for ours, theirs in self.numbers.items():
            state[theirs]._data[...] = new[ours]

    def _begin(self, state: dict[str, Any], names: Names, group: Group, data: np.ndarray) -> None:
        if group.get("differentiable"):
            raise MissingError(
                f"{type(self).__name__}(differentiable=True): chainrule.torch does not record the steps "
                "of an "
                f"optimizer; write the step as operations on Tensors"
            )
        if data.dtype.kind != "f":
            raise OperationError(
                f"{type(self).__name__} does not support "
                f"{'complex' if data.dtype.kind == 'c' else 'integer'} parameters"
            )
        if self.counts:
            state.setdefault("step", scalar(0))
        for theirs in (*self.numbers.values(), *names.values()):
            if theirs not in state:
                state[theirs] = self.first(theirs, group, data)

    def _fitted(self, value: Any, owner: Any, name: str = "") -> Any:
        if name == "step" and isinstance(value, (int, float)):  # as old versions of PyTorch saved it
            return scalar(value)
        value = super()._fitted(value, owner, name)
        if name in self.arrays.values() and value._data.shape != owner._data.shape and self._same_shape:
            raise ValueOptionError(
                f"{name} in the loaded state dict has shape {list(value.shape)}, but its parameter has shape "
                f"{list(owner.shape)}"
            )
        return value

    _same_shape: ClassVar[bool] = True
    """Whether the arrays of the state have the shape of the parameter."""


def require(condition: bool, message: str) -> None:
    """Raise ValueError with that message unless the condition holds."""
    if not condition:
        raise ValueOptionError(message)


def check_options(*, foreach: bool | None = None, fused: bool | None = None, **options: Any) -> None:
    """Raise ValueError for an option out of range; `foreach` and `fused` change only how PyTorch computes."""
    if foreach and fused:
        raise OperationError("`fused` and `foreach` cannot be `True` together.")
    for name, value in options.items():
        if isinstance(value, EngineTensor):
            require(value._data.size == 1, f"Tensor {name} must be 1-element")
        require(number(value) >= 0, f"{_TITLES.get(name, f'Invalid {name} value')}: {number(value)}")


_TITLES = {"lr": "Invalid learning rate", "eps": "Invalid epsilon value"}


def check_betas(betas: tuple[Any, Any]) -> None:
    """Raise ValueError unless both are at least 0 and below 1, and of one kind."""
    require(
        isinstance(betas[0], EngineTensor) == isinstance(betas[1], EngineTensor),
        "betas must be either both floats or both Tensors",
    )
    for index, beta in enumerate(betas):
        require(0 <= number(beta) < 1, f"Invalid beta parameter at index {index}: {number(beta)}")
