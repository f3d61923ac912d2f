"""What PyTorch calls our functions, and how its words for their parameters are translated."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from derivatives import Derivatives, weights_for

F = torch.nn.functional


def as_torch(value: Any) -> Any:
    """Arrays among the arguments as PyTorch's."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(as_torch, value))
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) and value.ndim else value


def torch_derivatives(function: Callable[..., Any], arrays: list[Any]) -> Derivatives:
    inputs = [torch.tensor(a, requires_grad=True) for a in arrays]
    values = [v for v in flat(function(*inputs)) if v.is_floating_point()]
    first = gradients_of(sum((v * torch.from_numpy(weights_for(v.shape))).sum() for v in values), inputs)
    second = gradients_of(sum((g * torch.from_numpy(weights_for(g.shape))).sum() for g in first), inputs)
    return Derivatives(*([t.detach().numpy(force=True) for t in part] for part in (values, first, second)))


def flat(result: Any) -> list[Any]:
    return [result] if isinstance(result, torch.Tensor) else [v for part in result for v in flat(part)]


def gradients_of(total: Any, inputs: list[Any]) -> list[Any]:
    if not total.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def same(name: str) -> Callable[..., Any]:
    """PyTorch's function of that name, with its words for parameters."""
    place = next(p for p in (torch, torch.linalg, torch.special, torch.Tensor) if hasattr(p, name))
    return lambda *x, **how: getattr(place, name)(*x, **renamed(how))


def renamed(how: dict[str, Any]) -> dict[str, Any]:
    words = {"axis": "dim", "keepdims": "keepdim", "axes": "dims"}
    return {words.get(k, k): v for k, v in how.items()}


def over_axes(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction over several axes of a function that takes one: the axes are merged into one first."""

    def reduced(x: Any, axis: Any = None, keepdims: bool = False, **how: Any) -> Any:
        count = x.dim()
        axes = (
            range(count)
            if axis is None
            else [a % count for a in ((axis,) if isinstance(axis, int) else axis)]
        )
        rest = [i for i in range(count) if i not in axes]
        merged = x.permute([*rest, *axes]).reshape(*(x.shape[i] for i in rest), -1)
        out = reduce(merged, -1, **how)
        return out.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else out

    return reduced


def padded(x: Any, width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
    pairs = np.broadcast_to(width, (x.dim(), 2)).tolist()
    flat = [n for pair in reversed(pairs) for n in pair]
    if mode == "constant":
        return F.pad(x, flat, value=constant_values)
    names = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}
    return F.pad(x[None, None], flat, mode=names[mode])[0, 0]


def repeated(x: Any, repeats: Any, axis: int | None = None) -> Any:
    return torch.repeat_interleave(x, torch.as_tensor(repeats), dim=axis)


def put(x: Any, y: Any, key: Any) -> Any:
    out = x.clone()
    out[key] = y
    return out


def put_more(x: Any, y: Any, key: Any) -> Any:
    key = key if isinstance(key, tuple) else (torch.as_tensor(key) if isinstance(key, list) else key,)
    if any(isinstance(k, torch.Tensor) for k in key):
        return x.index_put(key, y, accumulate=True)
    return put(x, x[key] + y, key)


def softmax(x: Any, axis: Any = -1) -> Any:
    return (
        torch.softmax(x, axis) if isinstance(axis, int) else torch.softmax(x.reshape(-1), 0).reshape(x.shape)
    )


def taken(x: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    if axis is None:
        x, axis = x.reshape(-1), 0
    last = x.shape[axis] - 1
    indices = {
        "raise": indices,
        "wrap": indices % (last + 1),
        "clip": torch.as_tensor(indices).clamp(0, last),
    }[mode]
    return x[(slice(None),) * (axis % x.dim()) + (indices,)]


def gathered(x: Any, indices: Any, axis: int | None = -1) -> Any:
    return torch.take_along_dim(x, indices % (x.numel() if axis is None else x.shape[axis]), axis)


def soft_cross_entropy(x: Any, y: Any, axis: int = -1) -> Any:
    return -(y * F.log_softmax(x, dim=axis)).sum(dim=axis)


def cross_entropy(x: Any, y: Any, axis: int = -1) -> Any:
    if y.is_floating_point():
        return soft_cross_entropy(x, y, axis).mean()
    return F.cross_entropy(x.movedim(axis, 1), y)


def split(x: Any, sections: Any, axis: int = 0) -> Any:
    return torch.tensor_split(x, sections, dim=axis)


def norm(x: Any, **how: Any) -> Any:
    return torch.linalg.norm(x, **renamed(how))


def squeezed(x: Any, axis: Any = None) -> Any:
    return x.squeeze() if axis is None else x.squeeze(axis)


def unsqueezed(x: Any, axis: Any) -> Any:
    for a in (axis,) if isinstance(axis, int) else axis:
        x = x.unsqueeze(a)
    return x


def rolled(x: Any, shift: Any, axis: Any = None) -> Any:
    return torch.roll(x, shift, dims=axis)


def with_first(running: Any, start: float) -> Callable[..., Any]:
    def run(x: Any, axis: int = 0, include_initial: bool = False) -> Any:
        out = running(x, dim=axis)
        return (
            torch.cat([torch.full_like(out.narrow(axis, 0, 1), start), out], axis) if include_initial else out
        )

    return run


def matrix_norm(x: Any, **how: Any) -> Any:
    return torch.linalg.matrix_norm(x, **renamed(how))


def least_squares(x: Any, y: Any) -> Any:
    """By the pseudoinverse: the lstsq of PyTorch has no gradient for wide matrices."""
    solution = torch.linalg.pinv(x) @ y
    error = ((y - x @ solution) ** 2).sum(dim=0)
    tall = x.shape[0] > x.shape[1]
    return solution, (error.reshape(-1) if tall else torch.zeros(0, dtype=x.dtype)), torch.linalg.svdvals(x)


# fmt: off
SAME_NAME = [
    "negative", "positive", "reciprocal", "square", "sqrt", "remainder", "fmod", "pow", "exp", "expm1",
    "exp2", "log", "log1p", "log2", "log10", "logaddexp", "logaddexp2", "sin", "cos", "tan", "asin", "acos",
    "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "hypot", "sinc", "abs", "sign",
    "floor", "ceil", "trunc", "copysign", "fmax", "fmin", "clip", "where", "nan_to_num", "erf", "erfinv",
    "lgamma", "digamma", "sigmoid", "logit", "relu", "nansum", "moveaxis", "swapaxes", "matmul", "inner",
    "tensordot", "einsum", "kron", "vector_norm", "multi_dot", "matrix_power", "inv", "det", "slogdet",
    "svdvals",
]
# fmt: on

TORCH: dict[str, Callable[..., Any]] = {
    **{name: same(name) for name in SAME_NAME},
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "maximum": lambda x, y: torch.maximum(torch.as_tensor(x), torch.as_tensor(y)),
    "minimum": lambda x, y: torch.minimum(torch.as_tensor(x), torch.as_tensor(y)),
    "softplus": F.softplus,
    "degrees": torch.rad2deg,
    "radians": torch.deg2rad,
    "permute_dims": lambda x, axes: x.permute(axes),
    "transpose": lambda x, axes=None: x.permute(axes or (2, 1, 0)),
    "polygamma": lambda x, n: torch.special.polygamma(n, x),
    "round": lambda x, decimals=0: x.round(decimals=decimals),
    "cbrt": lambda x: x.sign() * x.abs() ** (1 / 3),
    "limit": torch.clamp,
    "finite": torch.nan_to_num,
    "floor_divide": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "mean": lambda x, axis=None, keepdims=False: x.mean(dim=axis, keepdim=keepdims) if axis != () else x * 1,
    "sum": over_axes(lambda x, axis: x.sum(dim=axis)),
    "prod": over_axes(lambda x, axis: x.prod(dim=axis)),
    "max": over_axes(lambda x, axis: x.amax(dim=axis)),
    "min": over_axes(lambda x, axis: x.amin(dim=axis)),
    "var": over_axes(lambda x, axis, correction=0: x.var(dim=axis, correction=correction)),
    "std": over_axes(lambda x, axis, correction=0: x.std(dim=axis, correction=correction)),
    "logsumexp": over_axes(torch.logsumexp),
    "softmax": softmax,
    "median": over_axes(lambda x, axis: torch.quantile(x, 0.5, dim=axis)),
    "log_softmax": lambda x, axis=-1: torch.log_softmax(x, axis),
    "nanmean": over_axes(torch.nanmean),
    "quantile": lambda x, q, axis=None, keepdims=False, method="linear": torch.quantile(
        x, torch.as_tensor(q, dtype=x.dtype), dim=axis, keepdim=keepdims, interpolation=method
    ),
    "cross_entropy": cross_entropy,
    "cross_entropy_of_logits": soft_cross_entropy,
    "negative_log_likelihood": lambda x, labels: F.nll_loss(x.movedim(-1, 1), labels),
    "mean_squared_error": lambda x, y: F.mse_loss(*torch.broadcast_tensors(x, y)),
    "linear": lambda x, w, b: F.linear(x, w.mT) + b,
    "affine": F.linear,
    "convolution": lambda x, w, **how: getattr(F, f"conv{w.dim() - 2}d")(x, w, **how),
    "cumulative_sum": with_first(torch.cumsum, 0.0),
    "cumulative_prod": with_first(torch.cumprod, 1.0),
    "p_norm": lambda x, axis=None: torch.linalg.vector_norm(x, dim=axis),
    "norm": norm,
    "matrix_norm": matrix_norm,
    "reshape": lambda x, shape: x.reshape(shape),
    "matrix_transpose": lambda x: x.mT,
    "expand_dims": unsqueezed,
    "squeeze": squeezed,
    "broadcast_to": lambda x, shape: x.expand(shape),
    "broadcast_arrays": torch.broadcast_tensors,
    "concat": lambda arrays, axis=0: torch.cat(
        [a.reshape(-1) for a in arrays] if axis is None else arrays, axis or 0
    ),
    "concatenate": lambda *arrays: torch.cat(arrays),
    "stack": lambda arrays, axis=0: torch.stack(arrays, axis),
    "stacked": lambda *arrays: torch.stack(arrays),
    "unstack": lambda x, axis=0: x.unbind(axis),
    "split": split,
    "array_split": split,
    "roll": rolled,
    "tile": lambda x, times: x.tile(times),
    "repeat": repeated,
    "pad": padded,
    "flip": lambda x, axis=None: x.flip(tuple(range(x.dim())) if axis is None else axis),
    "rot90": lambda x, k=1, axes=(0, 1): torch.rot90(x, k, axes),
    "triu": lambda x, k=0: x.triu(k),
    "tril": lambda x, k=0: x.tril(k),
    "diag": lambda x, k=0: torch.diag(x, k),
    "diagonal": lambda x, offset=0, axis1=0, axis2=1: x.diagonal(offset, axis1, axis2),
    "trace": lambda x, offset=0, axis1=0, axis2=1: x.diagonal(offset, axis1, axis2).sum(dim=-1),
    "meshgrid": lambda *x, indexing="xy": torch.meshgrid(*x, indexing=indexing),
    "copy": torch.clone,
    "astype": lambda x, dtype: x.to(torch.float64),
    "asarray": lambda x: x * 1,
    "getitem": lambda x, key: x[key],
    "take": taken,
    "take_along_axis": gathered,
    "index_update": put,
    "index_add": put_more,
    "scatter_add": lambda x, key, shape: put_more(torch.zeros(shape, dtype=x.dtype), x, key),
    "sort": lambda x, axis=-1: x.sort(dim=axis).values,
    "dot": lambda x, y: (
        torch.tensordot(x, y, ([-1], [max(y.dim() - 2, 0)])) if x.dim() and y.dim() else x * y
    ),
    "outer": lambda x, y: torch.outer(x.reshape(-1), y.reshape(-1)),
    "vecdot": lambda x, y, axis=-1: (x * y).sum(dim=axis),
    "tensordot": lambda x, y, axes=2: torch.tensordot(x, y, dims=axes),
    "contraction": lambda *x, subscripts: torch.einsum(subscripts, *x),
    "cross": lambda x, y, axis=-1: torch.linalg.cross(*torch.broadcast_tensors(x, y), dim=axis),
    "qr": torch.linalg.qr,
    "tall_qr": torch.linalg.qr,
    "lstsq": least_squares,
    "pinv": lambda x, rtol=None: torch.linalg.pinv(x),
    "solve": torch.linalg.solve,
    "cofactors": lambda x: torch.linalg.det(x)[..., None, None] * torch.linalg.inv(x).mT,
}
