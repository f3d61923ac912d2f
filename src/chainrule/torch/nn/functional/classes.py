"""Losses of predicted classes and of sequences of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.dtypes import BY_NUMPY
from chainrule.torch.errors import DimensionError, OperationError, ValueOptionError
from chainrule.torch.functions.indexed import check_range
from chainrule.torch.nn.functional.common import legacy_reduction, reduced, shown, tensor
from chainrule.torch.tensors import is_symbolic


def cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """The cross-entropy of softmax(input) and targets: class numbers, or probabilities of every class."""
    if size_average is not None or reduce is not None:
        reduction = legacy_reduction(size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise OperationError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    x, labels = input._data, target._data
    axis = 1 if x.ndim > 1 else 0
    traced = is_symbolic(labels)
    if labels.shape == x.shape and x.ndim and labels.dtype.kind not in "iub":
        if ignore_index >= 0:
            raise OperationError("ignore_index is not supported for floating point target")
        return _of_probabilities(input, target, weight, reduction, label_smoothing, axis)
    if (
        weight is None and reduction == "mean" and x.ndim == 2 and not label_smoothing
        and labels.ndim == 1 and labels.dtype.kind == "i" and 0 < labels.size == x.shape[0]
        and (ignore_index < -x.shape[1] if traced
             else ignore_index < 0 <= np.minimum.reduce(labels) and np.maximum.reduce(labels) < x.shape[1])
    ):  # fmt: skip
        if traced:  # a label that is to be ignored is out of bounds too, where the compiled function gives up
            labels = check_range(labels, x.shape[1], "cross_entropy")
        return shown(ops.cross_entropy_of_labels(input, labels=labels), "NllLossBackward0")
    logarithms = ops.log_softmax(input, axis=axis)
    if not label_smoothing:
        return nll_loss(logarithms, target, weight, None, ignore_index, None, reduction)
    return _smoothed(logarithms, target, weight, ignore_index, reduction, label_smoothing, axis)


def _channel_weights(weight: Any, count: int, axis: int) -> Any:
    return weight if axis == 0 else ops.reshape(weight, shape=(-1, *(1,) * (count - 2)))


def _of_probabilities(
    input: Any, target: Any, weight: Any, reduction: str, label_smoothing: float, axis: int
) -> Any:
    classes = input._data.shape[axis]
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / classes
    values = ops.log_softmax(input, axis=axis) * target
    if weight is not None:
        values = values * _channel_weights(weight, input._data.ndim, axis)
    losses = -ops.sum(values, axis=axis)
    if reduction == "mean":
        return shown(ops.sum(losses) / float(input._data.size // classes or 1), "DivBackward1")
    return reduced(losses, reduction)


def _smoothed(
    logarithms: Any,
    target: Any,
    weight: Any,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    axis: int,
) -> Any:
    labels, classes = target._data, logarithms._data.shape[axis]
    kept = labels != ignore_index
    found = nll_loss(logarithms, target, weight, None, ignore_index, None, reduction)
    scaled = (
        logarithms if weight is None else logarithms * _channel_weights(weight, logarithms._data.ndim, axis)
    )
    even = ops.where(kept, -ops.sum(scaled, axis=axis), tensor(np.zeros((), logarithms._data.dtype)))
    if reduction == "mean":
        if weight is None:
            count = (
                tensor(kept.sum().astype(even._data.dtype))
                if is_symbolic(kept)
                else float(np.count_nonzero(kept))
            )
            even = ops.sum(even) / count
        else:
            even = ops.sum(even) / ops.sum(_weights_of(weight, labels, kept))
    else:
        even = reduced(even, reduction)
    return shown(found * (1.0 - label_smoothing) + even * (label_smoothing / classes), "AddBackward0")


def _weights_of(weight: Any, labels: np.ndarray, kept: np.ndarray) -> Any:
    """The weight of each label; 0 for those that are ignored."""
    taken = ops.getitem(weight, np.where(kept, labels, 0))
    return ops.where(kept, taken, tensor(np.zeros((), weight._data.dtype)))


def nll_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Minus the input at the label of each sample: with logarithms of probabilities, the cross-entropy."""
    if size_average is not None or reduce is not None:
        reduction = legacy_reduction(size_average, reduce, reduction)
    x, labels = input._data, target._data
    _check_labels(x, labels, ignore_index)
    _check_weight(weight, x)
    axis = 1 if x.ndim > 1 else 0
    kept = labels != ignore_index
    safe = np.where(kept, labels, 0)
    if is_symbolic(safe):
        safe = check_range(safe, x.shape[axis], "nll_loss")
    losses = -_at_labels(input, safe, axis)
    zero = tensor(np.zeros((), x.dtype))
    if weight is not None:
        weights = _weights_of(weight, labels, kept)
        losses = ops.where(kept, losses * weights, zero)
        total = ops.sum(weights)
    else:
        losses = losses if not is_symbolic(kept) and kept.all() else ops.where(kept, losses, zero)
        total = tensor(kept.sum().astype(x.dtype)) if is_symbolic(kept) else float(np.count_nonzero(kept))
    name = "NllLossBackward0" if x.ndim < 3 else "NllLoss2DBackward0"
    if reduction != "mean":
        return shown(reduced(losses, reduction), name)
    return shown(_quotient(ops.sum(losses), total), name)


def _quotient(total: Any, count: Any) -> Any:
    """A mean; NaN where nothing counts."""
    return total * float("nan") if isinstance(count, float) and count == 0 else total / count


def _at_labels(input: Any, labels: np.ndarray, axis: int) -> Any:
    if axis == 0:
        return ops.getitem(input, labels)
    mesh: list[Any] = list(np.indices(labels.shape, sparse=True))
    return ops.getitem(input, (mesh[0], labels, *mesh[1:]))


def _check_weight(weight: Any, x: np.ndarray) -> None:
    if weight is None:
        return
    classes = x.shape[1 if x.ndim > 1 else 0]
    if weight._data.shape != (classes,):
        raise OperationError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list(weight.shape)}"
        )
    if weight._data.dtype != x.dtype:
        raise OperationError(f"expected scalar type {BY_NUMPY[x.dtype].title} but found {weight.dtype.title}")


def _check_labels(x: np.ndarray, labels: np.ndarray, ignore_index: int) -> None:
    if labels.dtype.kind not in "iu":
        raise OperationError(f"expected scalar type Long but found {labels.dtype}: labels are class numbers")
    wanted = () if x.ndim == 1 else (x.shape[0], *x.shape[2:])
    if labels.shape != wanted and not (x.ndim == 1 and labels.shape == (1,)):
        if x.ndim > 1 and labels.shape[:1] != x.shape[:1]:
            raise ValueOptionError(
                f"Expected input batch_size ({x.shape[0]}) to match target batch_size "
                f"({labels.shape[0] if labels.ndim else 'none'})."
            )
        raise OperationError(f"Expected target size {list(wanted)}, got {list(labels.shape)}")
    if is_symbolic(labels):  # out of bounds where they are used
        return
    classes = x.shape[1 if x.ndim > 1 else 0]
    wrong = labels[(labels != ignore_index) & ((labels < 0) | (labels >= classes))]
    if wrong.size:
        raise DimensionError(f"Target {wrong.flat[0]} is out of bounds.")


def ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:  # fmt: skip
    """Connectionist temporal classification: minus the log-probability of all alignments of each target.

    As in PyTorch, the gradient is that with respect to the input of the log-softmax that `log_probs` is expected
    to come from.
    """
    single = log_probs._data.ndim == 2
    probs = ops.reshape(log_probs, shape=(log_probs._data.shape[0], 1, -1)) if single else log_probs
    steps, count, _ = probs._data.shape
    inputs, lengths = _lengths(input_lengths), _lengths(target_lengths)
    if inputs.size != count or lengths.size != count:
        raise OperationError(
            f"input_lengths and target_lengths must have one entry for each of the {count} samples"
        )
    if inputs.max(initial=0) > steps:
        raise OperationError(
            f"Expected input_lengths to have value at most {steps}, but got value {inputs.max()}"
        )
    labels = _extended(targets._data, lengths, count, blank)
    losses = _ctc(probs, labels, inputs, lengths, blank)
    # PyTorch's gradient has the softmax's part in it already: exp(log_probs) g, for the steps that count.
    taken = np.arange(steps)[:, None] < inputs[None, :]
    whole = ops.sum(
        ops.where(taken[:, :, None], ops.exp(probs), tensor(np.zeros((), probs._data.dtype))), axis=(0, 2)
    )
    losses = losses + (whole - whole.detach())
    if zero_infinity:
        losses = ops.where(np.isinf(losses._data), tensor(np.zeros((), losses._data.dtype)), losses)
    if reduction == "mean":
        return ops.mean(losses / tensor(np.maximum(lengths, 1).astype(losses._data.dtype)))
    return ops.reshape(losses, shape=()) if single and reduction == "none" else reduced(losses, reduction)


def _lengths(lengths: Any) -> np.ndarray:
    data = lengths._data if hasattr(lengths, "_data") else lengths
    return np.atleast_1d(np.asarray(data)).astype(np.int64)


def _extended(targets: np.ndarray, lengths: np.ndarray, count: int, blank: int) -> np.ndarray:
    """The labels of each sample, with a blank before, between and after them."""
    rows = np.full((count, 2 * int(lengths.max(initial=0)) + 1), blank)
    start = 0
    for row, length in enumerate(lengths):
        own = targets[row] if targets.ndim == 2 else targets[start : start + length]
        rows[row, 1 : 2 * length : 2] = own[:length]
        start += length
    return rows


def _ctc(probs: Any, labels: np.ndarray, inputs: np.ndarray, lengths: np.ndarray, blank: int) -> Any:
    """The forward recursion of Graves et al. (2006), section 4.1, on logarithms."""
    count, width = labels.shape
    dtype = probs._data.dtype
    # A finite stand-in for log 0, so that no difference of infinities arises.
    nothing = np.asarray(-1e30 if dtype == np.float64 else -1e20, dtype)
    emitted = ops.take_along_axis(probs, labels[None], axis=2)
    skips = np.zeros(labels.shape, bool)
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    starts = np.arange(width)[None, :] < np.minimum(2 * lengths + 1, 2)[:, None]
    gap = tensor(np.full((count, 1), nothing))
    alpha = ops.where(starts, ops.getitem(emitted, 0), tensor(nothing))
    for step in range(1, emitted._data.shape[0]):
        before = (
            ops.concat([gap, ops.getitem(alpha, (slice(None), slice(-1)))], axis=1)
            if width > 1
            else tensor(nothing)
        )
        total = ops.logaddexp(alpha, before)
        if width > 2:
            earlier = ops.concat([gap, gap, ops.getitem(alpha, (slice(None), slice(-2)))], axis=1)
            total = ops.logaddexp(total, ops.where(skips, earlier, tensor(nothing)))
        alpha = ops.where((step < inputs)[:, None], ops.getitem(emitted, step) + total, alpha)
    rows = np.arange(count)
    last = ops.getitem(alpha, (rows, 2 * lengths))
    previous = ops.where(
        lengths > 0, ops.getitem(alpha, (rows, np.maximum(2 * lengths - 1, 0))), tensor(nothing)
    )
    losses = -ops.logaddexp(last, previous)
    return ops.where(losses._data > -nothing / 2, tensor(np.asarray(np.inf, dtype)), losses)
