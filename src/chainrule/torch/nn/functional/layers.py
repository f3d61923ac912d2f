"""Linear maps, convolutions, patches and embeddings."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.autograd import no_grad
from chainrule.torch.errors import DimensionError, OperationError
from chainrule.torch.functions.indexed import check_range
from chainrule.torch.nn.functional.common import Numbers, batched, shown, tensor, tuple_of, unbatched
from chainrule.torch.tensors import is_symbolic


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """Input @ weight.T + bias."""
    x, w = input._data, weight._data
    if x.dtype != w.dtype:
        raise OperationError(
            f"mat1 and mat2 must have the same dtype, but got {input.dtype} and {weight.dtype}"
        )
    if w.ndim == 2 and x.ndim and x.shape[-1] != w.shape[1]:
        rows = x.size // x.shape[-1] if x.shape[-1] else 0
        raise OperationError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and {w.shape[1]}x{w.shape[0]})"
        )
    if w.ndim == 1:
        return ops.matmul(input, weight) if bias is None else ops.matmul(input, weight) + bias
    if bias is None:
        return shown(
            ops.matmul(input, ops.matrix_transpose(weight)),
            "MmBackward0" if x.ndim == 2 else "UnsafeViewBackward0",
        )
    return shown(ops.affine(input, weight, bias), "AddmmBackward0" if x.ndim == 2 else "ViewBackward0")


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """For each output, x1 @ weight[output] @ x2."""
    result = ops.einsum("...i,oij,...j->...o", input1, weight, input2)
    return shown(result, "ViewBackward0") if bias is None else shown(result + bias, "AddBackward0")


# convolution ---------------------------------------------------------------------------------------------


def _check_convolution(x: Any, weight: Any, bias: Any, count: int, groups: int, channels: int) -> None:
    if weight._data.ndim != count + 2:
        raise OperationError(f"expected a {count + 2}D weight, but got {weight._data.ndim}D")
    if x._data.dtype != weight._data.dtype:
        raise OperationError(f"Input type ({x.dtype}) and weight type ({weight.dtype}) should be the same")
    if bias is not None and bias._data.dtype != x._data.dtype:
        raise OperationError(f"Input type ({x.dtype}) and bias type ({bias.dtype}) should be the same")
    if groups <= 0:
        raise OperationError("non-positive groups is not supported")
    if weight._data.shape[0] % groups:
        raise OperationError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got "
            f"weight of size "
            f"{list(weight.shape)} instead"
        )
    if x._data.shape[1] != channels:
        raise OperationError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
            f"{channels} channels, but got {x._data.shape[1]} channels instead"
        )


def _with_bias(out: Any, bias: Any, count: int) -> Any:
    return out if bias is None else out + ops.reshape(bias, shape=(-1, *(1,) * count))


def _convolved(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, count: int
) -> Any:
    x, was_batched = batched(input, count, f"conv{count}d")
    _check_convolution(x, weight, bias, count, groups, weight._data.shape[1] * groups)
    strides, dilations = tuple_of(stride, count, "stride"), tuple_of(dilation, count, "dilation")
    kernel, space = weight._data.shape[2:], x._data.shape[2:]
    if isinstance(padding, str):
        x, paddings = _named_padding(x, padding, kernel, strides, dilations)
        space = x._data.shape[2:]
    else:
        paddings = tuple_of(padding, count, "padding")
    if min(dilations) <= 0:
        raise OperationError("dilation should be greater than zero")
    if min(strides) <= 0:
        raise OperationError("non-positive stride is not supported")
    if min(paddings) < 0:
        raise OperationError("negative padding is not supported")
    for n, k, p, d in zip(space, kernel, paddings, dilations, strict=True):
        if n + 2 * p < d * (k - 1) + 1:
            padded = " x ".join(str(m + 2 * q) for m, q in zip(space, paddings, strict=True))
            reach = " x ".join(str(e * (m - 1) + 1) for m, e in zip(kernel, dilations, strict=True))
            raise OperationError(
                f"Calculated padded input size per channel: ({padded}). Kernel size: ({reach}). Kernel size can't be "
                f"greater than actual input size"
            )
    out = ops.convolution(x, weight, stride=strides, padding=paddings, dilation=dilations, groups=groups)
    return shown(unbatched(_with_bias(out, bias, count), was_batched),
                 "ConvolutionBackward0" if was_batched else "SqueezeBackward1")  # fmt: skip


def _named_padding(
    x: Any, padding: str, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Any, tuple[int, ...]]:
    if padding == "valid":
        return x, (0,) * len(kernel)
    if padding != "same":
        raise OperationError(f"Invalid padding string: {padding!r}, should be one of 'valid', 'same'")
    if any(s != 1 for s in stride):
        raise OperationError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if all(t % 2 == 0 for t in total):
        return x, tuple(t // 2 for t in total)
    odd = [(0, 0), (0, 0), *((0, t % 2) for t in total)]
    return ops.pad(x, odd), tuple(t // 2 for t in total)


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Kernels slid over a signal of (batch, channels, length)."""
    return _convolved(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Kernels slid over images of (batch, channels, height, width)."""
    return _convolved(input, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Kernels slid over volumes of (batch, channels, depth, height, width)."""
    return _convolved(input, weight, bias, stride, padding, dilation, groups, 3)


def _transposed(
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
    count: int,
) -> Any:
    x, was_batched = batched(input, count, f"conv_transpose{count}d")
    _check_convolution(x, weight, bias, count, groups, weight._data.shape[0])
    strides, paddings = tuple_of(stride, count, "stride"), tuple_of(padding, count, "padding")
    dilations, extra = (
        tuple_of(dilation, count, "dilation"),
        tuple_of(output_padding, count, "output_padding"),
    )
    if any(e >= s and e >= d for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise OperationError(
            f"output padding must be smaller than either stride or dilation, but got output_padding: {extra}, "
            f"stride: {strides}, dilation: {dilations}"
        )
    space = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for n, s, p, d, k, e in zip(
            x._data.shape[2:], strides, paddings, dilations, weight._data.shape[2:], extra, strict=True
        )
    )
    if min(space) < 1:
        raise OperationError(
            f"Given input size per channel: {list(x._data.shape[2:])}. Calculated output size per channel: "
            f"{list(space)}. Output size is too small"
        )
    out = ops.convolution_transposed(
        x, weight, stride=strides, padding=paddings, dilation=dilations, groups=groups, space=space
    )
    return shown(unbatched(_with_bias(out, bias, count), was_batched),
                 "ConvolutionBackward0" if was_batched else "SqueezeBackward1")  # fmt: skip


def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:  # fmt: skip
    """The transpose of `conv1d`: what its gradient does to cotangents."""
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:  # fmt: skip
    """The transpose of `conv2d`."""
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 2)


def conv_transpose3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:  # fmt: skip
    """The transpose of `conv3d`."""
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 3)


def unfold(
    input: Any, kernel_size: Numbers, dilation: Numbers = 1, padding: Numbers = 0, stride: Numbers = 1
) -> Any:
    """The patches of images, one column for each: (batch, channels × kernel, places)."""
    x, was_batched = batched(input, 2, "unfold")
    kernel = tuple_of(kernel_size, 2)
    found = ops.patches(
        x,
        kernel=kernel,
        stride=tuple_of(stride, 2),
        padding=tuple_of(padding, 2),
        dilation=tuple_of(dilation, 2),
    )
    count, channels = x._data.shape[:2]
    rows = channels * kernel[0] * kernel[1]
    out = ops.reshape(found, shape=(count, rows, found._data.shape[-2] * found._data.shape[-1]))
    return shown(unbatched(out, was_batched), "Im2ColBackward0")


def fold(
    input: Any,
    output_size: Numbers,
    kernel_size: Numbers,
    dilation: Numbers = 1,
    padding: Numbers = 0,
    stride: Numbers = 1,
) -> Any:
    """The sum of patches, put where `unfold` takes them from."""
    x = input if input._data.ndim == 3 else ops.expand_dims(input, axis=0)
    space, kernel = tuple_of(output_size, 2), tuple_of(kernel_size, 2)
    steps, around, apart = tuple_of(stride, 2), tuple_of(padding, 2), tuple_of(dilation, 2)
    places = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(space, kernel, steps, around, apart, strict=True)
    )
    count, rows, columns = x._data.shape
    if rows % (kernel[0] * kernel[1]) or columns != places[0] * places[1]:
        raise OperationError(
            f"Given output_size={space}, kernel_size={kernel}, dilation={apart}, padding={around}, "
            f"stride={steps}, expected "
            f"size of input's dimension 1 to be divisible by {kernel[0] * kernel[1]} and dimension 2 to match the "
            f"calculated number of sliding blocks {places[0]} * {places[1]} = {places[0] * places[1]}, but "
            f"got input of "
            f"size {list(input.shape)}"
        )
    apart_again = ops.reshape(x, shape=(count, rows // (kernel[0] * kernel[1]), *kernel, *places))
    out = ops.patches_added(apart_again, stride=steps, padding=around, dilation=apart, space=space)
    return shown(unbatched(out, input._data.ndim == 3), "Col2ImBackward0")


# embeddings ----------------------------------------------------------------------------------------------


def embedding(
    input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Any:  # fmt: skip
    """The rows of `weight` that the integers in `input` name; the row `padding_idx` gets no gradient."""
    index = input._data
    if index.dtype.kind not in "iu":
        raise OperationError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{input.dtype} instead"
        )
    if weight._data.ndim != 2:
        raise OperationError("'weight' must be 2-D")
    rows = weight._data.shape[0]
    if is_symbolic(index):
        index = check_range(index, rows, "embedding")
    elif index.size and not 0 <= index.min() <= index.max() < rows:
        raise DimensionError(f"index out of range in self: indices must be from 0 to {rows - 1}")
    if max_norm is not None:
        _limit_norms(weight, np.unique(index), max_norm, norm_type)
    out = ops.getitem(weight, index)
    if scale_grad_by_freq:
        frequency = np.bincount(index.reshape(-1), minlength=rows)[index][..., None].astype(
            weight._data.dtype
        )
        out = _scaled_gradient(out, 1.0 / np.maximum(frequency, 1))
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError("padding_idx must be within num_embeddings")
        padded = (index == padding_idx % rows)[..., None]
        if is_symbolic(padded) or padded.any():
            out = ops.where(padded, out.detach(), out)
    return shown(out, "EmbeddingBackward0")


def _scaled_gradient(x: Any, factor: Any) -> Any:
    """`x` itself, whose cotangent is multiplied by `factor`."""
    return x.detach() + (x - x.detach()) * tensor(factor)


def _limit_norms(weight: Any, rows: np.ndarray, max_norm: float, norm_type: float) -> None:
    """As PyTorch does, shorten the rows that are looked up, in place."""
    values = weight._data[rows]
    lengths = np.linalg.norm(values, norm_type, axis=1)
    long = lengths > max_norm
    if long.any():
        with no_grad():
            weight[rows[long]] = tensor(values[long] * (max_norm / (lengths[long] + 1e-7))[:, None])


def embedding_bag(
    input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Any = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Any:  # fmt: skip
    """The sum, mean or maximum of the embeddings of each bag."""
    if mode not in ("sum", "mean", "max"):
        raise OperationError("mode has to be one of sum, mean or max")
    index, ends = _bags(input._data, offsets, include_last_offset)
    weights = None if per_sample_weights is None else ops.reshape(per_sample_weights, shape=(-1, 1))
    if weights is not None and mode != "sum":
        raise OperationError(
            "per_sample_weights was not None, but per_sample_weights is only supported for mode='sum'"
        )
    rows = embedding(tensor(index), weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    rows = rows if weights is None else rows * weights
    padding = None if padding_idx is None else padding_idx % weight._data.shape[0]
    kept = np.ones(index.shape, bool) if padding is None else index != padding
    parts = []
    for start, end in pairwise(ends):
        own = np.arange(start, end)[kept[start:end]]
        if not own.size:
            parts.append(tensor(np.zeros(weight._data.shape[1], weight._data.dtype)))
            continue
        bag = ops.getitem(rows, own)
        parts.append(ops.max(bag, axis=0) if mode == "max" else getattr(ops, mode)(bag, axis=0))
    return shown(ops.stack(parts, axis=0), "EmbeddingBagBackward0")


def _bags(index: np.ndarray, offsets: Any, include_last: bool) -> tuple[np.ndarray, list[int]]:
    if index.ndim == 2:
        if offsets is not None:
            raise OperationError(
                "if input is 2D, then offsets has to be None, as input is treated as a mini-batch"
            )
        return index.reshape(-1), [i * index.shape[1] for i in range(index.shape[0] + 1)]
    if offsets is None:
        raise OperationError("offsets has to be a 1D Tensor but got None")
    ends = [int(i) for i in offsets._data]
    return index, ends if include_last else [*ends, index.size]


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Zeros with a one at the place that each integer names."""
    labels = tensor._data
    if labels.dtype != np.int64:
        raise OperationError("one_hot is only applicable to index tensor of type LongTensor.")
    if is_symbolic(labels) and num_classes != -1:
        rows = np.eye(num_classes, dtype=np.int64)
        return type(tensor)._wrapped(ops.getitem(rows, check_range(labels, num_classes, "one_hot")))
    if labels.size and labels.min() < 0:
        raise OperationError("Class values must be non-negative.")
    if num_classes == -1:
        if not labels.size:
            raise OperationError("Can not infer total number of classes from empty tensor.")
        num_classes = int(labels.max()) + 1
    elif labels.size and labels.max() >= num_classes:
        raise OperationError("Class values must be smaller than num_classes.")
    return type(tensor)._wrapped((labels[..., None] == np.arange(num_classes)).astype(np.int64))
