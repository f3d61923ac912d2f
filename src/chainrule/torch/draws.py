"""Filling arrays with random numbers: the three samplers that all others are made of.

Numbers go into an array in the order of its memory. PyTorch draws them one by one, from 32 or 64 random bits
each, in float64, and rounds to the array's type. The exceptions: `uniform_` computes in float32 unless the
array is of float64; 16 or more normal numbers in one block of memory are made 16 at a time from 16 uniform
ones, in the array's precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chainrule.torch.errors import MissingError, OperationError
from chainrule.torch.generator import Generator, default_generator
from chainrule.torch.rounding import each, fma, fma_double, log_single, sin_cos_single

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = int | Sequence[int]


# where the numbers go ------------------------------------------------------------------------------------


def require(condition: bool, message: str) -> None:
    """Raise OperationError, unless the condition holds."""
    if not condition:
        raise OperationError(message)


def check_kind(x: Array, kinds: str, what: str) -> None:
    """Raise MissingError, unless an array is of one of the kinds (NumPy's letters)."""
    if x.dtype.kind not in kinds:
        raise MissingError(
            f"{what} is not implemented for tensors of {x.dtype.name}: it takes floating-point ones"
        )


def memory_order(x: Array) -> list[int]:
    """The axes from the one with the largest steps in memory to that with the smallest."""
    require(
        all(step or length <= 1 for step, length in zip(x.strides, x.shape, strict=True)) or not x.size,
        "more than one element of the written-to tensor refers to a single memory location: clone() it first",
    )
    return sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))


def put(x: Array, values: Array) -> Array:
    """Write values into an array, in the order of its memory."""
    ordered = x if x.flags.c_contiguous else x.transpose(memory_order(x))
    with np.errstate(over="ignore"):  # a number may be too large for the array's type: it is infinite there
        if x.dtype == np.float16:  # PyTorch gets there by way of float32
            values = values.astype(np.float32, copy=False)
        ordered[...] = values.reshape(ordered.shape)
    return x


def _real_parts(x: Array) -> Array:
    """A complex array as a real one with a last axis for the two parts: PyTorch's `view_as_real`."""
    return x[..., None].view(np.float64 if x.dtype == np.complex128 else np.float32)


def empty(shape: Shape, dtype: Any) -> Array:
    """An array that waits to be filled."""
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    for size in sizes:
        require(size >= 0, f"Trying to create tensor with negative dimension {size}: {list(sizes)}")
    return np.empty(sizes, dtype)


# uniform -------------------------------------------------------------------------------------------------


def uniform_(x: Array, low: float = 0.0, high: float = 1.0, generator: Generator | None = None) -> Array:
    """Fill with numbers from [low, high)."""
    check_kind(x, "fc", "uniform_")
    require(low <= high, f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}")
    if x.dtype.kind == "c":
        uniform_(_real_parts(x), low, high, generator)
        return x
    limit = float(np.finfo(x.dtype).max)
    require(
        -limit <= low and high <= limit, f"the bounds {low} and {high} are out of range for {x.dtype.name}"
    )
    require(high - low <= limit, f"uniform_ expects to-from <= {limit}, but found to={high} and from={low}")
    kind = np.float64 if x.dtype == np.float64 else np.float32
    drawn = (generator or default_generator).uniform(x.size, kind)
    if (low, high) != (0.0, 1.0):
        drawn = fma(drawn, kind(high) - kind(low), kind(low), kind)
    values = drawn.astype(x.dtype, copy=False)
    # Rounded up to what is excluded.
    excluded = values == x.dtype.type(high)
    return put(x, np.where(excluded, x.dtype.type(low), values) if excluded.any() else values)


# normal --------------------------------------------------------------------------------------------------

_BLOCK = 1 << 15
"""So many numbers are transformed at once: few enough for the processor's cache."""


def _polar(pairs: Array) -> tuple[Array, Array]:
    """Box and Muller's transform of rows of 8 + 8 uniform numbers: 8 normal ones, and 8 more."""
    u, turn = 1 - pairs[:, :8], pairs[:, 8:]
    radius: Array
    sin: Array
    cos: Array
    if pairs.dtype == np.float32:
        radius = np.sqrt(np.float32(-2) * log_single(u))
        sin, cos = sin_cos_single(np.float32(2 * math.pi) * turn)
    else:
        angle = (2 * math.pi * turn).ravel()
        radius = np.sqrt(-2 * each(math.log, u.ravel(), np.log)).reshape(u.shape)
        sin, cos = (each(f, angle, g).reshape(u.shape) for f, g in ((math.sin, np.sin), (math.cos, np.cos)))
    return radius * cos, radius * sin


def _transform(uniform: Array, mean: float, std: float) -> Array:
    """Normal numbers from uniform ones, whose count is a multiple of 16."""
    kind = uniform.dtype.type
    out = np.empty_like(uniform).reshape(-1, 16)
    rows = uniform.reshape(-1, 16)
    for start in range(0, len(rows), _BLOCK // 16):
        part = slice(start, start + _BLOCK // 16)
        out[part, :8], out[part, 8:] = _polar(rows[part])
    plain = out.reshape(-1)
    # The addition turns -0 into 0, as multiplying by 1 and adding 0 does.
    return plain + kind(0) if (mean, std) == (0.0, 1.0) else fma(plain, kind(std), kind(mean), kind)


def _normal_block(x: Array, mean: float, std: float, generator: Generator) -> Array:
    """At least 16 normal numbers; where they are no multiple of 16, the last 16 are drawn anew."""
    kind = np.float64 if x.dtype == np.float64 else np.float32
    whole = x.size // 16 * 16
    # In float16, the numbers that would be drawn anew are not drawn at first.
    uniform = generator.uniform(whole if x.dtype == np.float16 else x.size, kind)
    values = np.empty(x.size, x.dtype)
    values[:whole] = _transform(uniform[:whole], mean, std)
    if whole < x.size:
        values[-16:] = _transform(generator.uniform(16, kind), mean, std)
    return put(x, values)


def normals(count: int, generator: Generator) -> NDArray[np.float64]:
    """Standard normal numbers drawn one by one: of each pair, the second is kept for the next call."""
    head = [] if generator.next_normal is None or not count else [generator.next_normal]
    pairs = (count - len(head) + 1) // 2
    uniform = generator.uniform(2 * pairs)
    radius = np.sqrt(-2 * each(math.log1p, -uniform[1::2], np.log1p))
    angle = 2 * math.pi * uniform[::2]
    both = np.stack([radius * each(math.cos, angle, np.cos), radius * each(math.sin, angle, np.sin)], axis=1)
    drawn = np.concatenate([head, both.ravel()])
    if count:
        generator.next_normal = float(drawn[count]) if len(drawn) > count else None
    return drawn[:count]


def normal_(x: Array, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Array:
    """Fill with normally distributed numbers."""
    check_kind(x, "fc", "normal_")
    require(std >= 0.0, f"normal expects std >= 0.0, but found std {std}")
    if x.dtype.kind == "c":
        normal_(_real_parts(x), mean, std / math.sqrt(2), generator)
        return x
    source = generator or default_generator
    if x.size >= 16 and x.flags.c_contiguous:
        return _normal_block(x, mean, std, source)
    return put(x, fma_double(normals(x.size, source), std, mean))


# integers ------------------------------------------------------------------------------------------------


def _digits(kind: np.dtype[Any]) -> int:
    """So many bits an integer may have to be sure of a place in a floating-point type."""
    return int(np.finfo(kind).nmant) + 1


def _as_represented(low: int, high: int, kind: np.dtype[Any]) -> tuple[int, int]:
    """The bounds, moved inwards until their neighbours inside are numbers of a floating-point type."""
    first, last = int(kind.type(low + 1)), int(kind.type(high - 1))
    if first < low:
        low = first + (1 << (abs(low + 1).bit_length() - _digits(kind)))
    if last >= high:
        high = last - (1 << (abs(high - 1).bit_length() - _digits(kind)))
    return low, high


def largest(kind: np.dtype[Any]) -> int:
    """The largest number that `random_` draws without an upper bound."""
    if kind.kind == "f":
        return 1 << _digits(kind)
    return 1 if kind.kind == "b" else min(int(np.iinfo(kind).max), 2**63 - 1)


def _check_bounds(low: int, high: int, kind: np.dtype[Any]) -> None:
    least = (
        -float(np.finfo(kind).max) if kind.kind == "f" else 0 if kind.kind == "b" else int(np.iinfo(kind).min)
    )
    most = -least if kind.kind == "f" else largest(kind)
    for name, value in (("from", low), ("to - 1", high - 1)):
        require(least <= value <= most, f"{name} is out of bounds for {kind.name}: it is {value}")


def random_(
    x: Array, low: int | None = None, high: int | None = None, generator: Generator | None = None
) -> Array:
    """Fill with integers from [low, high), or up to the largest that the type has a place for."""
    check_kind(x, "fiub", "random_")
    source, kind = generator or default_generator, x.dtype
    if low is None and high is None:
        long = kind in (np.dtype(np.int64), np.dtype(np.float64))
        bits = (source.long_words if long else source.words)(x.size)
        return put(x, bits % np.uint64(largest(kind) + 1))
    low = 0 if low is None else int(low)
    if high is None and low == -(2**63):
        return put(x, source.long_words(x.size).view(np.int64))
    high = largest(kind) + 1 if high is None else int(high)
    require(low < high, f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if kind.kind == "f":
        _check_bounds(low, high, kind)
        low, high = _as_represented(low, high, kind)
        require(low < high, f"random_ found no number of {kind.name} from {low} to {high}")
    _check_bounds(low, high, kind)
    bits = (source.long_words if high - low >= 1 << 28 else source.words)(x.size)
    offset = np.uint64(low % 2**64)  # adding it wraps, as it should
    return put(x, (bits % np.uint64(high - low) + offset).view(np.int64))
