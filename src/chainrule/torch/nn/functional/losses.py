"""Losses of real-valued predictions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.errors import ArgumentError, OperationError, ValueOptionError
from chainrule.torch.nn.functional.activations import logsigmoid, pairwise_distance
from chainrule.torch.nn.functional.common import check_reduction, legacy_reduction, reduced, shown, tensor
from chainrule.torch.tensors import is_symbolic


def _warn_of_sizes(input: Any, target: Any) -> None:
    if input._data.shape != target._data.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            f"likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def _weighted(values: Any, weight: Any, reduction: str) -> Any:
    """The losses times their weights; a mean is divided by the sum of the weights."""
    if weight is None:
        return reduced(values, reduction)
    if weight._data.shape != values._data.shape:
        raise ValueOptionError("Inputs and weights must have the same size.")
    weighted = values * weight
    return ops.sum(weighted) / ops.sum(weight) if reduction == "mean" else reduced(weighted, reduction)


def mse_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """The squared difference."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    _warn_of_sizes(input, target)
    if weight is None and reduction == "mean" and input._data.dtype == target._data.dtype:
        return ops.mean_squared_error(input, target)
    difference = input - target
    return shown(_weighted(difference * difference, weight, reduction), "MseLossBackward0")


def l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """The absolute difference."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    _warn_of_sizes(input, target)
    return _weighted(ops.abs(input - target), weight, reduction)


def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    """Half the squared difference over beta where that is below beta, the absolute difference less beta / 2 beyond."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    _warn_of_sizes(input, target)
    if beta < 0:
        raise OperationError("smooth_l1_loss does not support negative values for beta.")
    difference = input - target
    size = ops.abs(difference)
    if beta == 0:
        return reduced(size, reduction)
    near = difference * difference * (0.5 / beta)
    return shown(
        reduced(ops.where(size._data < beta, near, size - 0.5 * beta), reduction), "SmoothL1LossBackward0"
    )


def check_delta(delta: Any) -> None:
    """Raise TypeError unless `delta` is a number."""
    if isinstance(delta, bool) or not isinstance(delta, (int, float)):
        raise ArgumentError(f"delta must be a float or int, got: {type(delta)}")


def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """Half the squared difference up to delta, linear beyond."""
    check_delta(delta)
    _warn_of_sizes(input, target)
    if delta <= 0:
        raise OperationError("huber_loss does not support non-positive values for delta.")
    difference = input - target
    size = ops.abs(difference)
    values = ops.where(
        size._data <= delta, difference * difference * 0.5, (size - 0.5 * delta) * float(delta)
    )
    return shown(_weighted(values, weight, reduction), "HuberLossBackward0")


def kl_div(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    """The divergence of the distribution exp(input) from that of the target."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    if log_target:
        values = ops.exp(target) * (target - input)
    else:
        zero = target._data == 0
        with np.errstate(invalid="ignore"):
            logarithm = ops.log(ops.where(zero, tensor(np.ones((), target._data.dtype)), target))
        values = (
            ops.where(zero, tensor(np.zeros((), target._data.dtype)), target * logarithm) - target * input
        )
    if reduction == "batchmean":
        return ops.sum(values) / float(input._data.shape[0] if input._data.ndim else 1)
    return reduced(values, reduction)


def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """The cross-entropy of probabilities and targets; logarithms are at least -100."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise ValueOptionError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            f"Please ensure they have the same size."
        )
    # Of what is traced, a probability outside gives NaN.
    if not is_symbolic(input._data) and not np.all((input._data >= 0) & (input._data <= 1)):
        raise OperationError("all elements of input should be between 0 and 1")
    values = -(target * _bounded_log(input) + (1.0 - target) * _bounded_log(1.0 - input))
    if weight is not None:
        values = values * weight
    return shown(reduced(values, reduction), "BinaryCrossEntropyBackward0")


def _bounded_log(x: Any) -> Any:
    """log(x), at least -100; its slope is 1 over x, or over 1e-12 where x is smaller."""
    data = x._data
    positive = np.maximum(data, np.asarray(1e-12, data.dtype))
    with np.errstate(divide="ignore"):
        floor = np.maximum(np.log(data), -100.0).astype(data.dtype, copy=False)
    # Where x is that small, the value is the bounded logarithm and the slope PyTorch's.
    tiny = tensor(floor) + (x - x.detach()) / tensor(positive)
    return ops.where(data >= 1e-12, ops.log(ops.where(data >= 1e-12, x, tensor(positive))), tiny)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:  # fmt: skip
    """The cross-entropy of sigmoid(input) and targets, without overflow."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise ValueOptionError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    rest = (1.0 - target) * input
    if pos_weight is None:
        values = rest + ops.softplus(-input)
    else:
        values = rest + (1.0 + (pos_weight - 1.0) * target) * ops.softplus(-input)
    if weight is not None:
        values = values * weight
    return shown(reduced(values, reduction), "BinaryCrossEntropyWithLogitsBackward0")


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: Any = None, eps: float = 1e-8,
    reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """The negative log-likelihood of counts of which `input` is the rate, or its logarithm."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    values = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        large = target._data > 1
        count = ops.where(large, target, tensor(np.ones((), target._data.dtype)))
        stirling = count * ops.log(count) - count + ops.log(count * (2 * math.pi)) * 0.5
        values = values + ops.where(large, stirling, tensor(np.zeros((), stirling._data.dtype)))
    return reduced(values, reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """The negative log-likelihood of targets with mean `input` and variance `var`."""
    if isinstance(var, float):
        if var < 0:
            raise ValueOptionError("var has negative entry/entries")
        var = tensor(np.full(input._data.shape, var, input._data.dtype))
    elif np.any(var._data < 0):
        raise ValueOptionError("var has negative entry/entries")
    if var._data.shape != input._data.shape:
        if input._data.shape[:-1] == var._data.shape:
            var = ops.expand_dims(var, axis=-1)
        elif var._data.ndim != input._data.ndim or sorted(_other_lengths(var, input)) != [1]:
            raise ValueOptionError("var is of incorrect size")
    # The bound has no part in the gradient: below it, the gradient is that of the bound's value.
    bounded = var + tensor(np.maximum(var._data, np.asarray(eps, var._data.dtype)) - var._data)
    difference = input - target
    values = (ops.log(bounded) + difference * difference / bounded) * 0.5
    if full:
        values = values + 0.5 * math.log(2 * math.pi)
    return reduced(values, reduction)


def _other_lengths(x: Any, y: Any) -> list[int]:
    """The lengths of x that are not those of y."""
    return [n for n, m in zip(x._data.shape, y._data.shape, strict=True) if n != m]


# margins -------------------------------------------------------------------------------------------------


def _positive(x: Any) -> Any:
    """max(0, x), with the slope 1 at 0: PyTorch's clamp_min."""
    return shown(ops.where(x._data >= 0, x, tensor(np.zeros((), x._data.dtype))), "ClampMinBackward0")


def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """The input where the target is 1, max(0, margin - input) where it is -1."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    zero = tensor(np.zeros((), input._data.dtype))
    apart = ops.where(target._data == 1, zero, _positive(float(margin) - input))
    near = ops.where(target._data == -1, zero, input)
    return reduced(apart + near, reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, -target (input1 - input2) + margin)."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if not input1._data.ndim == input2._data.ndim == target._data.ndim:
        raise OperationError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(_positive(-target * (input1 - input2) + float(margin)), reduction)


def soft_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """log(1 + exp(-target input))."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    return shown(reduced(ops.softplus(-target * input), reduction), "SoftMarginLossBackward0")


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if target._data.ndim not in (0, 1) or input1._data.ndim != target._data.ndim + 1:
        raise OperationError(
            f"{target._data.ndim}D target tensor expects {target._data.ndim + 1}D input tensors, but found inputs with "
            f"sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    eps = 1e-12
    squares = (ops.sum(input1 * input1, axis=-1) + eps) * (ops.sum(input2 * input2, axis=-1) + eps)
    cosine = ops.sum(input1 * input2, axis=-1) / ops.sqrt(squares)
    zero = tensor(np.zeros((), cosine._data.dtype))
    same = ops.where(target._data == 1, 1.0 - cosine, zero)
    other = ops.where(target._data == -1, _positive(cosine - float(margin)), zero)
    return reduced(same + other, reduction)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """The mean over the other classes of max(0, margin - x[target] + x[class])ᵖ."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueOptionError("only p == 1 and p == 2 supported")
    if weight is not None and weight._data.ndim != 1:
        raise ValueOptionError("weight must be one-dimensional")
    single = input._data.ndim < 2
    if input._data.ndim > 2 or 0 in input._data.shape[1 if not single else 0 :]:
        raise OperationError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    x = ops.reshape(input, shape=(1, -1)) if single else input
    labels = target._data.reshape(-1)
    if labels.dtype.kind not in "iu":
        raise OperationError(f"expected scalar type Long but found {target.dtype.title}")
    if labels.size != x._data.shape[0] or target._data.ndim > 1:
        raise OperationError(
            f"target tensor should be 1-D with size equal to the input batch size. Expected target size "
            f"[{x._data.shape[0]}], but got {list(target.shape)}"
        )
    rows = np.arange(x._data.shape[0])
    taken = ops.expand_dims(ops.getitem(x, (rows, labels)), axis=1)
    apart = x - taken + float(margin)
    others = np.ones(x._data.shape, bool)
    others[rows, labels] = False
    values = ops.where(others & (apart._data > 0), apart, tensor(np.zeros((), x._data.dtype)))
    if p == 2:
        values = values * values
    if weight is not None:
        values = values * ops.expand_dims(ops.getitem(weight, labels), axis=1)
    losses = ops.sum(values, axis=1) / float(x._data.shape[1])
    losses = ops.reshape(losses, shape=()) if single and target._data.ndim == 0 else losses
    return shown(reduced(losses, reduction), "MultiMarginLossBackward0")


def multilabel_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """Every class among the targets (up to the first -1) against every other class."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    single = input._data.ndim < 2
    if input._data.ndim > 2 or 0 in input._data.shape[1 if not single else 0 :]:
        raise OperationError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    x = ops.reshape(input, shape=(1, -1)) if single else input
    if target._data.size != x._data.size:
        raise OperationError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    if target._data.dtype.kind not in "iu":
        raise OperationError(f"expected scalar type Long but found {target.dtype.title}")
    labels = target._data.reshape(x._data.shape)
    count, classes = labels.shape
    # Pairs of a listed class and one that is not listed, for each sample.
    listed = np.logical_and.accumulate(labels >= 0, axis=1)
    among = np.zeros(labels.shape, bool)
    sample, place = np.nonzero(listed)
    among[sample, labels[sample, place]] = True
    chosen = ops.getitem(x, (np.arange(count)[:, None], np.where(listed, labels, 0)))
    apart = 1.0 - (ops.expand_dims(chosen, axis=2) - ops.expand_dims(x, axis=1))
    pairs = listed[:, :, None] & ~among[:, None, :]
    values = ops.where(pairs & (apart._data > 0), apart, tensor(np.zeros((), x._data.dtype)))
    losses = ops.sum(values, axis=(1, 2)) / float(classes)
    losses = ops.reshape(losses, shape=()) if single else losses
    return shown(reduced(losses, reduction), "MultilabelMarginLossBackward0")


def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """The binary cross-entropy of each class, averaged over the classes."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    values = -(target * logsigmoid(input) + (1.0 - target) * logsigmoid(-input))
    if weight is not None:
        values = values * weight
    return reduced(ops.mean(values, axis=-1), reduction)


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """How much nearer than the negative example the positive one fails to be, by the margin."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if margin <= 0:
        raise ValueOptionError(f"margin must be greater than 0, got {margin}")
    return _triplet(
        lambda a, b: pairwise_distance(a, b, p, eps), anchor, positive, negative, margin, swap, reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *, distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """`triplet_margin_loss` with a distance of one's own."""
    if margin <= 0:
        raise ValueOptionError(f"margin must be greater than 0, got {margin}")
    return _triplet(
        distance_function or pairwise_distance, anchor, positive, negative, margin, swap, reduction
    )


def _triplet(
    distance: Callable[[Any, Any], Any],
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float,
    swap: bool,
    reduction: str,
) -> Any:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return reduced(_positive(near - far + float(margin)), reduction)
