"""Adam and its family: PyTorch's names and options. For `foreach` and its like, see `algorithms`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chainrule.optim import rules
from chainrule.optim.rules import Update
from chainrule.tensor import Tensor as EngineTensor
from chainrule.torch.optim import formulas
from chainrule.torch.optim.optimizer import Group, number, scalar
from chainrule.torch.optim.ruled import Names, RuledOptimizer, check_betas, check_options, require
from chainrule.torch.tensors import Tensor

Options = dict[str, Any]
Betas = tuple[Any, Any]


def _moments(group: Group) -> Options:
    """The options that the whole family has."""
    beta1, beta2 = group["betas"]
    return {
        "beta1": number(beta1),
        "beta2": number(beta2),
        "epsilon": group["eps"],
        "weight_decay": group["weight_decay"],
    }


class Adam(RuledOptimizer):
    """Adam, Kingma and Ba (2015); `amsgrad` as Reddi, Kale and Kumar (2018).

    >>> weight = Tensor([1.0]).requires_grad_()
    >>> optimizer = Adam([weight], lr=0.5)
    >>> (3 * weight).sum().backward()
    >>> optimizer.step()  # the first step is the rate, whatever the size of the gradient
    >>> weight.tolist(), list(optimizer.state[weight])
    ([0.5], ['step', 'exp_avg', 'exp_avg_sq'])
    """

    arrays: ClassVar[Names] = {"mean": "exp_avg", "square": "exp_avg_sq", "peak": "max_exp_avg_sq"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_options(foreach=foreach, fused=fused, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        if foreach and not capturable:
            for name, value in (("lr", lr), ("betas[0]", betas[0]), ("betas[1]", betas[1])):
                require(
                    not isinstance(value, EngineTensor),
                    f"{name} as a Tensor is not supported for capturable=False and foreach=True",
                )
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
                "maximize": maximize, "foreach": foreach, "capturable": capturable,
                "differentiable": differentiable, "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """Adam of `chainrule.optim`, or AdamW where the weight decay is decoupled."""
        rule: Update = rules.adamw if group["decoupled_weight_decay"] else rules.adam
        return rule, _moments(group) | {"amsgrad": group["amsgrad"]}

    def names_of(self, group: Group) -> Names:
        """The largest mean square so far is kept with `amsgrad` only."""
        return self.arrays if group["amsgrad"] else _WITHOUT_PEAK


_WITHOUT_PEAK = {ours: theirs for ours, theirs in Adam.arrays.items() if ours != "peak"}


class AdamW(Adam):
    """Adam with decoupled weight decay, Loshchilov and Hutter (2019)."""

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip


class Adamax(RuledOptimizer):
    """Adamax, Kingma and Ba (2015), section 7.1."""

    arrays: ClassVar[Names] = {"mean": "exp_avg", "largest": "exp_inf"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_options(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
                "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """Adamax."""
        return formulas.adamax, _moments(group)


class NAdam(RuledOptimizer):
    """NAdam, Dozat (2016): Adam with Nesterov's momentum."""

    arrays: ClassVar[Names] = {"mean": "exp_avg", "square": "exp_avg_sq"}
    numbers: ClassVar[Names] = {"mu_product": "mu_product"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize, "foreach": foreach, "capturable": capturable,
                "differentiable": differentiable,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """NAdam."""
        return formulas.nadam, _moments(group) | {
            "momentum_decay": group["momentum_decay"],
            "decoupled": group["decoupled_weight_decay"],
        }

    def first(self, name: str, group: Group, data: np.ndarray) -> Tensor:
        """The product of the momenta starts at 1."""
        return scalar(1) if name == "mu_product" else super().first(name, group, data)


class RAdam(RuledOptimizer):
    """RAdam, Liu et al. (2020)."""

    arrays: ClassVar[Names] = {"mean": "exp_avg", "square": "exp_avg_sq"}

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                "foreach": foreach, "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """RAdam."""
        return formulas.radam, _moments(group) | {"decoupled": group["decoupled_weight_decay"]}


class Adafactor(RuledOptimizer):
    """Adafactor, Shazeer and Stern (2018)."""

    arrays: ClassVar[Names] = {"rows": "row_var", "columns": "col_var", "variance": "variance"}
    _same_shape = False

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_options(lr=lr, weight_decay=weight_decay)
        require(beta2_decay <= 0, f"beta2_decay should be <= 0 but is: {beta2_decay}")
        require(eps[0] is None or eps[0] >= 0, f"epsilon1 should be >= 0 but is: {eps[0]}")
        require(eps[1] >= 0, f"epsilon2 should be >= 0 but is: {eps[1]}")
        require(d >= 1, f"Clipping threshold d should be >= 1 but is: {d}")
        super().__init__(
            params,
            {
                "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
                "foreach": foreach, "maximize": maximize,
            },
        )  # fmt: skip

    def rule_of(self, group: Group) -> tuple[Update, Options]:
        """Adafactor."""
        smallest, smallest_scale = group["eps"]
        return formulas.adafactor, {
            "square_decay": group["beta2_decay"],
            "smallest": smallest,
            "smallest_scale": smallest_scale,
            "clipping": group["d"],
            "weight_decay": group["weight_decay"],
        }

    def first(self, name: str, group: Group, data: np.ndarray) -> Tensor:
        """Mean squares of the rows, of the columns, or of the elements."""
        shape = list(data.shape)
        if name != "variance":
            shape[-1 if name == "row_var" else -2] = 1
        return Tensor._wrapped(np.zeros(shape, data.dtype))  # type: ignore[no-any-return]

    def _update(
        self, parameter: Any, gradient: np.ndarray, group: Group, rule: Update, names: Names, *rest: Any
    ) -> None:
        wanted = ("rows", "columns") if parameter._data.ndim > 1 else ("variance",)
        super()._update(parameter, gradient, group, rule, {name: names[name] for name in wanted}, *rest)
