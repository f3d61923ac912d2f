"""Differences, integrals and statistics along a dimension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.errors import OperationError
from chainrule.torch.functions.elementwise import apply
from chainrule.torch.functions.joining import cat
from chainrule.torch.functions.products import matmul
from chainrule.torch.functions.reductions import mean, return_type, sum_, vector_norm_of
from chainrule.torch.functions.registry import dims_of, function, one_dim, tensor_argument
from chainrule.torch.functions.shapes import transpose
from chainrule.torch.graph import named
from chainrule.torch.tensors import Tensor


def part(x: Any, dim: int, piece: Any) -> Any:
    """The slices along a dimension that an index names."""
    return ops.getitem(x, (*(slice(None),) * dim, piece))


@function()
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The differences of neighbours along a dimension, taken `n` times."""
    if not tensor_argument(input, "diff")._data.ndim:
        raise OperationError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise OperationError(f"order must be non-negative but got {n}")
    axis = one_dim(dim, input._data.ndim)
    ends = [x for x in (prepend, input, append) if x is not None]
    for x in ends:
        if x._data.ndim != input._data.ndim:
            raise OperationError("diff expects prepend or append to be the same dimension as input")
    x = cat(ends, axis) if len(ends) > 1 else input
    for _ in range(min(n, x._data.shape[axis])):
        after, before = part(x, axis, slice(1, None)), part(x, axis, slice(None, -1))
        x = apply(ops.logical_xor if x._data.dtype == bool else ops.subtract, (after, before), {})
    return x if n else ops.positive(x)


def _steps(spacing: Any, length: int, kind: Any) -> Any:
    """The coordinates along a dimension, for a number or a tensor."""
    if isinstance(spacing, Tensor) and spacing._data.ndim:
        if spacing._data.shape[0] != length:
            raise OperationError(
                f"torch.gradient expected each spacing element to have {length} coordinates, but got "
                f"{spacing._data.shape[0]}"
            )
        return spacing._data.astype(kind)
    return np.arange(length, dtype=kind) * kind.type(
        spacing.item() if isinstance(spacing, Tensor) else spacing
    )


@function()
def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> Any:
    """The derivatives along dimensions, by differences of second order."""
    if edge_order not in (1, 2):
        raise OperationError("torch.gradient only supports edge_order=1 and edge_order=2.")
    spacing = 1 if spacing is None else spacing
    several = isinstance(spacing, (tuple, list))
    axes = dims_of(dim, tensor_argument(input, "gradient")._data.ndim)
    given = list(spacing) if several else [spacing] * len(axes)
    if len(given) != len(axes):
        raise OperationError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'dim', "
            f"got {len(given)} and {len(axes)}"
        )
    for axis in axes:
        if input._data.shape[axis] < edge_order + 1:
            raise OperationError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple(_derivative(input, s, axis, edge_order) for s, axis in zip(given, axes, strict=True))


def _derivative(x: Any, spacing: Any, axis: int, edge_order: int) -> Any:
    length = x._data.shape[axis]
    weights = np.zeros((length, length), x._data.dtype if x._data.dtype.kind == "f" else np.float64)
    places = _steps(spacing, length, weights.dtype)
    for i in range(1, length - 1):
        a, b = places[i] - places[i - 1], places[i + 1] - places[i]
        weights[i, i - 1 : i + 2] = -b / (a * (a + b)), (b - a) / (a * b), a / (b * (a + b))
    for edge, near, far, sign in ((0, 1, 2, 1), (-1, -2, -3, -1)):
        a = sign * (places[near] - places[edge])
        if edge_order == 1:
            weights[edge, near], weights[edge, edge] = sign / a, -sign / a
        else:
            b = sign * (places[far] - places[near])
            weights[edge, [edge, near, far]] = (
                -sign * (2 * a + b) / (a * (a + b)),
                sign * (a + b) / (a * b),
                -sign * a / (b * (a + b)),
            )
    moved = ops.moveaxis(x, axis, -1)
    return ops.moveaxis(matmul(moved, Tensor._wrapped(weights.T.copy())), -1, axis)


def _areas(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> Any:
    axis = one_dim(dim, tensor_argument(y, name)._data.ndim)
    if not y._data.ndim:
        raise OperationError(f"{name}: the input must have at least one dimension")
    pairs = part(y, axis, slice(1, None)) + part(y, axis, slice(None, -1))
    if x is None:
        return pairs * (0.5 * dx), axis
    if not x._data.ndim:
        raise OperationError("trapezoid: the scalar x is not allowed; use dx")
    steps = diff(x) if x._data.ndim == 1 else diff(x, dim=dim if x._data.ndim == y._data.ndim else -1)
    if x._data.ndim == 1:
        if x._data.shape[0] != y._data.shape[axis]:
            raise OperationError(
                f"There must be one `x` value for each sample point, got {x._data.shape[0]} and {y._data.shape[axis]}"
            )
        steps = ops.reshape(steps, shape=tuple(-1 if i == axis else 1 for i in range(y._data.ndim)))
    return pairs * steps * 0.5, axis


@function("trapz")
def trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The integral along a dimension, by the trapezoidal rule."""
    areas, axis = _areas("trapezoid", y, x, dx, dim)
    return sum_(areas, axis - y._data.ndim)


@function()
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The running integral along a dimension."""
    areas, axis = _areas("cumulative_trapezoid", y, x, dx, dim)
    return ops.cumulative_sum(areas, axis=axis - y._data.ndim)


@function()
def logcumsumexp(input: Tensor, dim: int) -> Any:
    """Running logarithms of sums of exponentials, without overflow: by doubling steps of logaddexp."""
    axis = one_dim(dim, tensor_argument(input, "logcumsumexp")._data.ndim)
    if not input._data.ndim:
        return apply(ops.positive, (input,), {})
    x, step = input, 1
    while step < input._data.shape[axis]:
        joined = apply(
            ops.logaddexp, (part(x, axis, slice(step, None)), part(x, axis, slice(None, -step))), {}
        )
        x = cat([part(x, axis, slice(step)), joined], axis)
        step *= 2
    return named(x if x is not input else apply(ops.positive, (x,), {}), "LogcumsumexpBackward0")


@function()
def cov(input: Tensor, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The covariances of the rows."""
    if tensor_argument(input, "cov")._data.ndim > 2:
        raise OperationError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input._data.ndim} dimensions"
        )
    if input._data.dtype == bool:
        raise OperationError("cov(): bool dtype is not supported for input")
    x = input if input._data.ndim == 2 else ops.reshape(input, shape=(1, -1))
    weights = _weights(x, fweights, aweights)
    if weights is None:
        count, total = x._data.shape[1], None
        center = x - mean(x, 1, True)
        scale: Any = max(count - correction, 0)
    else:
        total = sum_(weights)
        center = x - sum_(x * weights, 1, True) / total
        scale = total - correction * (
            sum_(weights * aweights) / total if aweights is not None and correction else 1
        )
    right = transpose(center if weights is None else center * weights, 0, 1)
    product = matmul(center, right) / scale
    return ops.squeeze(product) if x._data.shape[0] == 1 else product


def _weights(x: Any, fweights: Any, aweights: Any) -> Any:
    for name, w, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        if w is None:
            continue
        if w._data.ndim > 1:
            raise OperationError(
                f"cov(): expected {name} to have one or fewer dimensions but got {name} with {w._data.ndim} dimensions"
            )
        if w._data.dtype.kind not in kinds:
            raise OperationError(
                f"cov(): expected {name} to have {'integral' if kinds == 'iu' else 'floating point'} dtype but "
                f"got {name} with {w.dtype.title} dtype"
            )
        if w._data.size != x._data.shape[1]:
            raise OperationError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got "
                f"{w._data.size} != {x._data.shape[1]}"
            )
        if (w._data < 0).any():
            raise OperationError(f"cov(): {name} cannot be negative")
    if fweights is None:
        return aweights
    return ops.astype(fweights, x._data.dtype) if aweights is None else fweights * aweights


@function()
def corrcoef(input: Tensor) -> Any:
    """The correlations of the rows."""
    if tensor_argument(input, "corrcoef")._data.ndim > 2:
        raise OperationError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input._data.ndim} dimensions"
        )
    c = cov(input)
    if not c._data.ndim:
        return c / c
    spread = apply(ops.sqrt, (ops.diagonal(c),), {})
    return c / ops.expand_dims(spread, axis=1) / ops.expand_dims(spread, axis=0)


@function(method=False)
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Any:
    """The p-norms of the differences of all pairs of rows."""
    a, b = tensor_argument(x1, "cdist", "x1"), tensor_argument(x2, "cdist", "x2", 2)
    for name, x in (("X1", a), ("X2", b)):
        if x._data.ndim < 2:
            raise OperationError(f"cdist only supports at least 2D tensors, {name} got: {x._data.ndim}D")
    if a._data.shape[-1] != b._data.shape[-1]:
        raise OperationError(
            f"X1 and X2 must have the same number of columns. X1: {a._data.shape[-1]} X2: {b._data.shape[-1]}"
        )
    if p < 0:
        raise OperationError("cdist only supports non-negative p values")
    gaps = ops.expand_dims(a, axis=-2) - ops.expand_dims(b, axis=-3)
    return named(_distance(gaps, p), "CdistBackward0")


def _distance(gaps: Any, p: float) -> Any:
    if p == 0:
        return sum_(apply(ops.abs, (apply(ops.sign, (gaps,), {}),), {}), -1)
    if not gaps._data.shape[-1]:
        return sum_(gaps, -1)
    return vector_norm_of(gaps, float(p), (gaps._data.ndim - 1,), False)


@function(inplace=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Any:
    """Slices along a dimension, scaled down to the norm `maxnorm` where theirs is larger."""
    axis = one_dim(dim, tensor_argument(input, "renorm")._data.ndim)
    if input._data.ndim < 2:
        raise OperationError(f"renorm: input needs at least 2 dimensions, got {input._data.ndim} dimensions")
    if p <= 0:
        raise OperationError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise OperationError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    others = tuple(i for i in range(input._data.ndim) if i != axis)
    size = vector_norm_of(input, float(p), others, True)
    large = size._data > maxnorm
    scale = apply(ops.where, (large, maxnorm / (size + 1e-7), 1.0), {})
    return input * scale


@function(method=False)
def polar(abs: Tensor, angle: Tensor) -> Any:
    """Complex numbers from lengths and angles; they have no gradient here."""
    return Tensor._wrapped((abs._data * np.exp(1j * angle._data)).astype(abs.dtype.to_complex().dtype))


@function(method=False)
def complex_(real: Tensor, imag: Tensor) -> Any:
    """Complex numbers from their parts; they have no gradient here."""
    if real._data.dtype != imag._data.dtype:
        raise OperationError(
            f"Expected object of scalar type {real.dtype.title} but got scalar type {imag.dtype.title} for "
            "second argument"
        )
    if real._data.dtype.kind != "f":
        raise OperationError(
            f"Expected both inputs to be Half, Float or Double tensors but got {real.dtype.title} and "
            f"{imag.dtype.title}"
        )
    return Tensor._wrapped((real._data + 1j * imag._data).astype(real.dtype.to_complex().dtype))


_FREXP = return_type("frexp", "mantissa", "exponent")


@function()
def frexp(input: Tensor) -> Any:
    """Mantissas in [0.5, 1) and exponents of two."""
    mantissa, exponent = np.frexp(tensor_argument(input, "frexp")._data)
    # The exponent is constant between its jumps, so the mantissa's derivative is a power of two.
    scaled = input * Tensor._wrapped(np.ldexp(np.ones_like(mantissa), -exponent))
    return _FREXP(scaled, Tensor._wrapped(exponent.astype(np.int32)))


@function()
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements fall into each of `bins` intervals of equal width."""
    data = tensor_argument(input, "histc")._data
    if bins <= 0:
        raise OperationError("bins must be > 0")
    low, high = (
        (float(data.min(initial=math.inf)), float(data.max(initial=-math.inf)))
        if min == max and data.size
        else (min, max)
    )
    if low > high:
        raise OperationError("max must be larger than min")
    low, high = (low - 1, high + 1) if low == high else (low, high)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise OperationError(f"range of [{low}, {high}] is not finite")
    return Tensor._wrapped(np.histogram(data, bins, (low, high))[0].astype(data.dtype))
