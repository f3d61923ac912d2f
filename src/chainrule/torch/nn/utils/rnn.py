"""Sequences of several lengths: padded, and packed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from chainrule import ops
from chainrule.torch.errors import OperationError, ValueOptionError
from chainrule.torch.tensors import Tensor


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None


class PackedSequence(_Packed):
    """The elements of a batch of sequences, step by step: at each step those that have not ended."""

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        """Make one; the order that undoes the sorting is found by itself."""
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The elements converted."""
        return type(self)(self.data.to(*args, **kwargs), *self[1:])

    def float(self) -> PackedSequence:
        """The elements as float32."""
        return type(self)(self.data.float(), *self[1:])

    def double(self) -> PackedSequence:
        """The elements as float64."""
        return type(self)(self.data.double(), *self[1:])

    @property
    def is_cuda(self) -> bool:
        """Whether it is on a GPU: never."""
        return False


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes another; None of None."""
    return None if permutation is None else Tensor._wrapped(np.argsort(permutation._data, kind="stable"))


def packed_data(padded: Any, batch_sizes: Any) -> Any:
    """The elements of (steps, batch, …) that belong to sequences, step by step."""
    sizes = batch_sizes._data
    steps = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.concatenate([np.arange(n) for n in sizes]) if len(sizes) else np.zeros(0, np.int64)
    return ops.getitem(padded, (steps, rows))


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> Any:
    """Pack a padded batch of sequences, of which `lengths` gives the lengths."""
    counts = np.asarray(lengths._data if isinstance(lengths, Tensor) else lengths, np.int64)
    x = ops.swapaxes(input, axis1=0, axis2=1) if batch_first else input
    if counts.size != x._data.shape[1]:
        raise OperationError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {counts.size} (batch_size={x._data.shape[1]})"
        )
    if counts.min(initial=1) <= 0:
        raise OperationError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    order = None
    if not enforce_sorted:
        places = np.argsort(-counts, kind="stable")
        order, counts = Tensor._wrapped(places), counts[places]
        x = ops.take(x, places, axis=1)
    elif np.any(counts[1:] > counts[:-1]):
        raise OperationError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this "
            "requirement if you do "
            "not need ONNX exportability."
        )
    sizes = Tensor._wrapped((counts[None, :] > np.arange(counts[0])[:, None]).sum(axis=1))
    return PackedSequence(packed_data(x, sizes), sizes, order)


def pad_packed_sequence(
    sequence: Any, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """The padded batch of a packed one, and the lengths."""
    sizes = sequence.batch_sizes._data
    steps = len(sizes)
    if total_length is not None and total_length < steps:
        raise ValueOptionError(
            f"Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {steps}"
        )
    count = int(sizes[0])
    at = np.repeat(np.arange(steps), sizes)
    rows = np.concatenate([np.arange(n) for n in sizes])
    shape = (total_length or steps, count, *sequence.data._data.shape[1:])
    filled = Tensor._wrapped(np.full(shape, padding_value, sequence.data._data.dtype))
    out = ops.index_update(filled, sequence.data, (at, rows))
    lengths = (sizes[None, :] > np.arange(count)[:, None]).sum(axis=1)
    if sequence.unsorted_indices is not None:
        places = sequence.unsorted_indices._data
        out, lengths = ops.take(out, places, axis=1), lengths[places]
    return ops.swapaxes(out, axis1=0, axis2=1) if batch_first else out, Tensor._wrapped(lengths)


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Sequences of several lengths as one tensor, the shorter ones filled up."""
    if padding_side not in ("left", "right"):
        raise OperationError(f"Expected `padding_side` to be one of left or right, but got {padding_side}.")
    tensors = list(sequences)
    longest = max(t._data.shape[0] for t in tensors)
    rows = []
    for t in tensors:
        missing = longest - t._data.shape[0]
        width = [(0, missing) if padding_side == "right" else (missing, 0)] + [(0, 0)] * (t._data.ndim - 1)
        rows.append(ops.pad(t, width, constant_values=padding_value) if missing else t)
    return ops.stack(rows, axis=0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of a padded batch."""
    x = padded_sequences if batch_first else ops.swapaxes(padded_sequences, axis1=0, axis2=1)
    return [ops.getitem(x, (i, slice(int(n)))) for i, n in enumerate(lengths._data)]


def pack_sequence(sequences: Iterable[Any], enforce_sorted: bool = True) -> Any:
    """Pack sequences of several lengths."""
    tensors = list(sequences)
    lengths = [t._data.shape[0] for t in tensors]
    return pack_padded_sequence(pad_sequence(tensors), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: Any) -> list[Any]:
    """The sequences of a packed batch."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip
