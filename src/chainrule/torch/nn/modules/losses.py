"""Loss modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from chainrule.torch.errors import ValueOptionError
from chainrule.torch.nn import functional as F
from chainrule.torch.nn.functional.common import legacy_reduction
from chainrule.torch.nn.functional.losses import check_delta
from chainrule.torch.nn.modules.applied import Applied

_OLD = {"size_average": None, "reduce": None}


class _Loss(Applied):
    """A function of predictions and targets; weights are buffers, everything else is an attribute."""

    function: ClassVar[Callable[..., Any]]
    reduction: str
    options: ClassVar[dict[str, Any]] = _OLD | {"reduction": "mean"}
    buffers_: ClassVar[tuple[str, ...]] = ("weight", "pos_weight")
    shown: ClassVar[tuple[str, ...] | None] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.buffers_:
            if name in self.options:
                value = self.__dict__.pop(name, None)
                self._buffers.pop(name, None)
                self.register_buffer(name, value)
        old = [self.__dict__.pop(name, None) for name in _OLD]
        self.reduction = legacy_reduction(old[0], old[1], self.reduction)

    def forward(self, *inputs: Any) -> Any:
        """The loss of predictions and targets."""
        given = {name: getattr(self, name) for name in self.options if name not in _OLD}
        return type(self).function(*inputs, **given)


class L1Loss(_Loss):
    """The absolute difference."""

    function = F.l1_loss


class MSELoss(_Loss):
    """The squared difference.

    >>> from chainrule import torch
    >>> torch.nn.MSELoss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    """

    function = F.mse_loss


class SmoothL1Loss(_Loss):
    """Half the squared difference near 0, the absolute difference beyond."""

    function = F.smooth_l1_loss
    options: ClassVar[dict[str, Any]] = _Loss.options | {"beta": 1.0}


class HuberLoss(_Loss):
    """Half the squared difference up to delta, linear beyond."""

    function = F.huber_loss
    options: ClassVar[dict[str, Any]] = {"reduction": "mean", "delta": 1.0}

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        check_delta(delta)
        super().__init__(reduction, delta)


class CrossEntropyLoss(_Loss):
    """The cross-entropy of the softmax of the predictions and the targets."""

    function = F.cross_entropy
    options: ClassVar[dict[str, Any]] = {
        "weight": None, "size_average": None, "ignore_index": -100, "reduce": None, "reduction": "mean",
        "label_smoothing": 0.0,
    }  # fmt: skip

    def forward(self, *inputs: Any) -> Any:
        """The loss of logits and targets."""
        input, target = inputs
        return F.cross_entropy(
            input, target, self.weight, None, self.ignore_index, None, self.reduction, self.label_smoothing
        )


class NLLLoss(_Loss):
    """Minus the prediction at the label: the cross-entropy of logarithms of probabilities."""

    function = F.nll_loss
    options: ClassVar[dict[str, Any]] = {
        "weight": None,
        "size_average": None,
        "ignore_index": -100,
        "reduce": None,
        "reduction": "mean",
    }


class NLLLoss2d(NLLLoss):
    """The old name of NLLLoss for images."""


class KLDivLoss(_Loss):
    """The divergence of two distributions."""

    function = F.kl_div
    options: ClassVar[dict[str, Any]] = _Loss.options | {"log_target": False}


class BCELoss(_Loss):
    """The cross-entropy of probabilities and targets."""

    function = F.binary_cross_entropy
    options: ClassVar[dict[str, Any]] = {"weight": None} | _Loss.options


class BCEWithLogitsLoss(_Loss):
    """The cross-entropy of sigmoid(prediction) and targets."""

    function = F.binary_cross_entropy_with_logits
    options: ClassVar[dict[str, Any]] = {"weight": None} | _Loss.options | {"pos_weight": None}


class PoissonNLLLoss(_Loss):
    """The negative log-likelihood of counts."""

    function = F.poisson_nll_loss
    options: ClassVar[dict[str, Any]] = {
        "log_input": True, "full": False, "size_average": None, "eps": 1e-8, "reduce": None, "reduction": "mean",
    }  # fmt: skip


class GaussianNLLLoss(_Loss):
    """The negative log-likelihood of normal targets."""

    function = F.gaussian_nll_loss
    options: ClassVar[dict[str, Any]] = {"full": False, "eps": 1e-6, "reduction": "mean"}

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(full, eps, reduction)


class HingeEmbeddingLoss(_Loss):
    """Distances of pairs that belong together, and margins of pairs that do not."""

    function = F.hinge_embedding_loss
    options: ClassVar[dict[str, Any]] = {"margin": 1.0} | _Loss.options


class MarginRankingLoss(_Loss):
    """Which of two inputs should be larger, by a margin."""

    function = F.margin_ranking_loss
    options: ClassVar[dict[str, Any]] = {"margin": 0.0} | _Loss.options


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target input))."""

    function = F.soft_margin_loss


class CosineEmbeddingLoss(_Loss):
    """The cosine of pairs that belong together and of pairs that do not."""

    function = F.cosine_embedding_loss
    options: ClassVar[dict[str, Any]] = {"margin": 0.0} | _Loss.options


class MultiMarginLoss(_Loss):
    """The right class against every other, by a margin."""

    function = F.multi_margin_loss
    options: ClassVar[dict[str, Any]] = {"p": 1, "margin": 1.0, "weight": None} | _Loss.options

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.p not in (1, 2):
            raise ValueOptionError("only p == 1 and p == 2 supported")


class MultiLabelMarginLoss(_Loss):
    """The right classes against all others, by a margin."""

    function = F.multilabel_margin_loss


class MultiLabelSoftMarginLoss(_Loss):
    """The binary cross-entropy of each class, averaged over the classes."""

    function = F.multilabel_soft_margin_loss
    options: ClassVar[dict[str, Any]] = {"weight": None} | _Loss.options


class TripletMarginLoss(_Loss):
    """An anchor nearer to the positive example than to the negative, by a margin."""

    function = F.triplet_margin_loss
    options: ClassVar[dict[str, Any]] = {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False} | _Loss.options

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.margin <= 0:
            raise ValueOptionError(
                f"TripletMarginLoss: expected margin to be greater than 0, got {self.margin} instead"
            )


class TripletMarginWithDistanceLoss(_Loss):
    """TripletMarginLoss with a distance of one's own."""

    function = F.triplet_margin_with_distance_loss
    options: ClassVar[dict[str, Any]] = {
        "distance_function": None,
        "margin": 1.0,
        "swap": False,
        "reduction": "mean",
    }

    def __init__(
        self,
        *,
        distance_function: Any = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(distance_function, margin, swap, reduction)
        if margin <= 0:
            raise ValueOptionError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.distance_function = distance_function or F.pairwise_distance


class CTCLoss(_Loss):
    """Connectionist temporal classification."""

    function = F.ctc_loss
    options: ClassVar[dict[str, Any]] = {"blank": 0, "reduction": "mean", "zero_infinity": False}
