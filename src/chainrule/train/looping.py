"""`loop`: training as one native call after another, for a function of parameters or a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import optim
from chainrule.compiled import NativeLoop
from chainrule.data import Examples
from chainrule.errors import DataError, InputError, OptionError
from chainrule.namespace import is_array
from chainrule.nn import Module
from chainrule.optim import Optimizer, Rule
from chainrule.optim.optimizer import checked_rate
from chainrule.train.native import NativeSteps, counted
from chainrule.train.training import check_amount
from chainrule.transforms import value_and_grad
from chainrule.trees import leaves, mapped
from chainrule.typing import Tree


def loop(
    loss: Callable[..., Any],
    optimizer: str | Optimizer,
    params: Tree | Module,
    *,
    rate: float | None = None,
    **options: Any,
) -> Loop | ModuleLoop:
    """Many training steps in one native call: batching, shuffling, gradient and update.

    Without `chainrule[jit]`, each step is a call of NumPy code.

    `loss(params, *batch)` is a scalar function of a tree of arrays, and `optimizer` the name of an update rule, with
    its `rate` and `options`. Or `params` is an `nn.Module`, `loss` a function (output, targets), and `optimizer` an
    `Optimizer` of its parameters. `loop.run(data, …)` trains; it returns the loss of each step.

    Raises OptionError for an unknown rule, or a rate or batch size that is none; DataError for data that are no
    arrays; UnsupportedError for a loss that cannot be traced.

    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> fitting = loop(lambda w, x, y: ((x @ w - y) ** 2).mean(), "sgd", np.zeros((1, 1)), rate=0.5)
    >>> losses = fitting.run((x, 3 * x), epochs=50, batch_size=10, shuffle=0)
    >>> losses.shape, fitting.params.round(3)
    ((200,), array([[3.]]))
    """
    if isinstance(params, Module):
        if not isinstance(optimizer, Optimizer):
            raise InputError(
                f"train.loop of a module needs optim.Optimizer(model.parameters(), …), not {optimizer!r}"
            )
        return ModuleLoop(loss, optimizer, params)
    if not isinstance(optimizer, str):
        raise InputError(
            f"train.loop of a function needs the name of an update rule ({', '.join(optim.RULES)}), not {optimizer!r}"
        )
    rule = optim.rule(optimizer)
    unknown = options.keys() - rule.options.keys()
    if unknown:
        raise OptionError(f"{rule.title} has no option {min(unknown)!r}: it has {', '.join(rule.options)}")
    return Loop(loss, rule, params, rule.rate if rate is None else rate, rule.options | options)


class Loop:
    """The native training of a function of parameters; made by `loop`."""

    def __init__(
        self, loss: Callable[..., Any], rule: Rule, params: Tree, rate: float, options: dict[str, Any]
    ) -> None:
        params = mapped(np.asarray, params)
        states = [counted(rule.first_state(p, options)) for _, p in leaves(params)]
        self._state = {"params": params, "states": states, "rate": np.asarray(checked_rate(rate), np.float64)}
        self._step = _step(loss, rule, options)
        self._native: NativeLoop | None = None
        self._data: tuple[Any, ...] = ()

    @property
    def params(self) -> Tree:
        """The parameters after the last finished step."""
        return (self._native.state if self._native else self._state)["params"]

    def run(
        self,
        data: Any,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: int | np.random.Generator | None = None,
    ) -> NDArray[Any]:
        """Train on `data`, an array or a tuple of arrays of equal length; returns the loss of each step.

        `shuffle` is a seed or a generator for the order of rows; None keeps it. Rows that do not fill a batch
        form a smaller one at the end of each epoch. After Ctrl-C the parameters are those of the last finished step.
        """
        check_amount("batch_size", batch_size)
        data = tuple(data) if isinstance(data, tuple | list) else (data,)
        for part in data:
            if not is_array(part):
                raise DataError(
                    f"loop.run takes data as arrays, such as (X, y), but one part is of type {type(part).__name__}; "
                    f"convert it with np.asarray"
                )
        if self._native is None or len(data) != len(self._data) or any(map(_is_other, data, self._data)):
            state = self._state if self._native is None else self._native.state
            self._native, self._data = NativeLoop(self._step, state, data), data
        order = None if shuffle is None else np.random.default_rng(shuffle)
        losses = [part for _ in range(epochs) for part in self._epoch(self._native, order, batch_size)]
        return np.concatenate(losses) if losses else np.empty(0)

    def _epoch(
        self, native: NativeLoop, order: np.random.Generator | None, size: int
    ) -> list[NDArray[Any]]:  # fmt: skip
        rows = len(self._data[0])
        drawn = np.arange(rows) if order is None else order.permutation(rows)
        return [losses for losses, _ in native.once(drawn, min(size, rows))]


def _is_other(new: Any, old: Any) -> bool:
    return new is not old


def _step(loss: Callable[..., Any], rule: Rule, options: dict[str, Any]) -> Callable[..., Any]:
    def step(state: dict[str, Any], batch: tuple[Any, ...]) -> tuple[dict[str, Any], Any]:
        cost, gradient = value_and_grad(loss)(state["params"], *batch)
        gradients, states = iter(g for _, g in leaves(gradient)), iter(state["states"])
        after: list[Any] = []

        def updated(parameter: Any) -> Any:
            new, memory = rule.update(parameter, next(gradients), next(states), state["rate"], **options)
            after.append(memory)
            return new

        params = mapped(updated, state["params"])
        return {"params": params, "states": after, "rate": state["rate"]}, cost

    return step


class ModuleLoop:
    """The native training of a module; made by `loop`."""

    def __init__(self, loss: Callable[..., Any], optimizer: Optimizer, model: Module) -> None:
        self.loss, self.optimizer, self.params = loss, optimizer, model
        self._steps: NativeSteps | None = None

    def run(
        self,
        data: Any,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: int | np.random.Generator | None = None,
    ) -> NDArray[Any]:
        """Train on `data`, features and targets of equal length; returns the loss of each step."""
        check_amount("batch_size", batch_size)
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise DataError("train.loop of a module takes data=(features, targets), or with weights of rows")
        examples = Examples(*data)
        size, steps = min(batch_size, examples.rows), self._steps
        other = steps is None or any(map(_is_other, examples, steps.window.examples))
        if steps is None or other or size > steps.training.rows:
            window = examples.window(size)
            self._steps = steps = NativeSteps(self.params, window, self.loss, self.optimizer, None)
        order = None if shuffle is None else np.random.default_rng(shuffle)
        losses: list[NDArray[Any]] = []
        try:
            for _ in range(epochs):
                losses += steps.losses(size, order)
        finally:
            steps.finish()
        return np.concatenate(losses) if losses else np.empty(0)
