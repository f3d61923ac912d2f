"""SGD and the optimizers that adapt to the size of the gradients: PyTorch's names and options.

`foreach`, `fused` and `capturable` choose between PyTorch's implementations; here there is one, and they
change nothing. `maximize` climbs instead of descending. `differentiable=True` is refused.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chainrule.optim import rules
from chainrule.optim.rules import Update
from chainrule.torch.optim import formulas
from chainrule.torch.optim.optimizer import Group, number, scalar
from chainrule.torch.optim.ruled import Names, RuledOptimizer, check_options, require
from chainrule.torch.tensors import Tensor

Options = dict[str, Any]


class SGD(RuledOptimizer):
    """Stochastic gradient descent, with momentum as Sutskever et al. (2013).

    >>> weight = Tensor([1.0]).requires_grad_()
    >>> SGD([weight], lr=0.1, momentum=0.9)
    SGD (
    Parameter Group 0
        dampening: 0
        differentiable: False
        foreach: None
        fused: None
        lr: 0.1
        maximize: False
        momentum: 0.9
        nesterov: False
        weight_decay: 0
    )
    """

    arrays: ClassVar[Names] = {"velocity": "momentum_buffer"}
    counts = False
    first_options: ClassVar[Options] = {"dampening": 0}  # the first velocity is the whole gradient

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_options(foreach=foreach, fused=fused, lr=lr, momentum=momentum, weight_decay=weight_decay)
        require(
            not nesterov or (momentum > 0 and dampening == 0),
            "Nesterov momentum requires a momentum and zero dampening",
        )
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
                "differentiable": differentiable, "fused": fused,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """SGD of `chainrule.optim`."""
        return rules.sgd, {
            "momentum": group["momentum"],
            "nesterov": group["nesterov"],
            "weight_decay": number(group["weight_decay"]),
            "dampening": group["dampening"],
        }

    def names_of(self, group: Group) -> Names:
        """A velocity, where there is momentum."""
        return self.arrays if group["momentum"] else {}


class RMSprop(RuledOptimizer):
    """RMSprop, Tieleman and Hinton's lecture 6e (2012); `centered` as Graves (2013)."""

    arrays: ClassVar[Names] = {"square": "square_avg", "mean": "grad_avg", "velocity": "momentum_buffer"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
                "maximize": maximize, "differentiable": differentiable,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """RMSprop of `chainrule.optim`."""
        return rules.rmsprop, {
            "decay": group["alpha"],
            "epsilon": group["eps"],
            "momentum": group["momentum"],
            "weight_decay": group["weight_decay"],
            "centered": group["centered"],
        }

    def names_of(self, group: Group) -> Names:
        """A mean where it is centered, a velocity where there is momentum."""
        absent = {"mean": not group["centered"], "velocity": not group["momentum"]}
        return {ours: theirs for ours, theirs in self.arrays.items() if not absent.get(ours)}


class Adagrad(RuledOptimizer):
    """Adagrad, Duchi, Hazan and Singer (2011)."""

    arrays: ClassVar[Names] = {"square": "sum"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_options(foreach=foreach, fused=fused, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
                      initial_accumulator_value=initial_accumulator_value, eps=eps)  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
                "maximize": maximize, "differentiable": differentiable, "fused": fused,
            },
        )  # fmt: skip
        for group in self.param_groups:  # PyTorch's Adagrad has its state from the start
            for parameter in group["params"]:
                self._begin(self.state[parameter], self.arrays, group, parameter._data)

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """Adagrad, with a rate that may decay."""
        return formulas.decaying_adagrad, {
            "rate_decay": group["lr_decay"],
            "epsilon": group["eps"],
            "weight_decay": group["weight_decay"],
        }

    def first(self, name: str, group: Group, data: np.ndarray) -> Tensor:
        """The sum of squares starts at `initial_accumulator_value`."""
        return Tensor._wrapped(np.full_like(data, group["initial_accumulator_value"]))  # type: ignore[no-any-return]


class Adadelta(RuledOptimizer):
    """Adadelta, Zeiler (2012)."""

    arrays: ClassVar[Names] = {"square": "square_avg", "moved": "acc_delta"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(lr=lr, eps=eps, weight_decay=weight_decay)
        require(0 <= rho <= 1, f"Invalid rho value: {rho}")
        super().__init__(
            params,
            {
                "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """Adadelta."""
        return formulas.adadelta, {
            "decay": group["rho"],
            "epsilon": group["eps"],
            "weight_decay": group["weight_decay"],
        }


class Rprop(RuledOptimizer):
    """Rprop, Riedmiller and Braun (1993): each element has a step size, changed by its gradient's sign."""

    arrays: ClassVar[Names] = {"previous": "prev", "size": "step_size"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(lr=lr)
        require(0 < etas[0] < 1 < etas[1], f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """Rprop."""
        (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
        return formulas.rprop, {"shrink": shrink, "grow": grow, "smallest": smallest, "largest": largest}

    def first(self, name: str, group: Group, data: np.ndarray) -> Tensor:
        """The first step sizes are the learning rate."""
        value = number(group["lr"]) if name == "step_size" else 0
        return Tensor._wrapped(np.full_like(data, value))  # type: ignore[no-any-return]


class ASGD(RuledOptimizer):
    """Averaged stochastic gradient descent, Polyak and Juditsky (1992); the average is ``state[p]["ax"]``."""

    arrays: ClassVar[Names] = {"average": "ax"}
    numbers: ClassVar[Names] = {"eta": "eta", "mu": "mu"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_options(lr=lr, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
                "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
                "capturable": capturable,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """Averaged descent."""
        return formulas.asgd, {
            "decay": group["lambd"],
            "power": group["alpha"],
            "start": group["t0"],
            "weight_decay": group["weight_decay"],
        }

    def first(self, name: str, group: Group, data: np.ndarray) -> Tensor:
        """The rate and the weight of the average start as numbers."""
        if name == "ax":
            return super().first(name, group, data)
        return scalar(number(group["lr"]) if name == "eta" else 1)
