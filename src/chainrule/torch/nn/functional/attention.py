"""Attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.torch.errors import OperationError
from chainrule.torch.nn.functional.common import tensor
from chainrule.torch.nn.functional.dropouts import dropout
from chainrule.torch.nn.functional.layers import linear
from chainrule.torch.tensors import is_symbolic


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """softmax(query keyᵀ scale + mask) value; a boolean mask is true where a query may look."""
    if enable_gqa:
        times = query._data.shape[-3] // key._data.shape[-3]
        key, value = ops.repeat(key, times, axis=-3), ops.repeat(value, times, axis=-3)
    if is_causal:
        if attn_mask is not None:
            raise OperationError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
            )
        attn_mask = tensor(np.tri(query._data.shape[-2], key._data.shape[-2], dtype=bool))
    factor = 1 / math.sqrt(query._data.shape[-1]) if scale is None else scale
    weights = _weights(query, key, attn_mask, factor)
    return ops.matmul(dropout(weights, dropout_p) if dropout_p else weights, value)


def _weights(query: Any, key: Any, mask: Any, factor: float) -> Any:
    scores = ops.matmul(query * factor, ops.matrix_transpose(key))
    if mask is None:
        return ops.softmax(scores, axis=-1)
    if mask._data.dtype != bool:
        return ops.softmax(scores + mask, axis=-1)
    nothing = tensor(np.asarray(-np.inf, scores._data.dtype))
    # A query that may look nowhere gets zeros, not the NaN of a softmax of infinities.
    blind = ~mask._data.any(axis=-1, keepdims=True)
    if not is_symbolic(blind) and not blind.any():
        return ops.softmax(ops.where(mask._data, scores, nothing), axis=-1)
    weights = ops.softmax(ops.where(mask._data | blind, scores, nothing), axis=-1)
    return ops.where(blind, tensor(np.zeros((), scores._data.dtype)), weights)


def _projections(
    query: Any,
    key: Any,
    value: Any,
    in_proj_weight: Any,
    in_proj_bias: Any,
    separate: tuple[Any, Any, Any] | None,
) -> tuple[Any, Any, Any]:
    size = query._data.shape[-1]
    parts = [slice(i * size, (i + 1) * size) for i in range(3)]
    weights = separate or tuple(ops.getitem(in_proj_weight, p) for p in parts)
    biases = [None] * 3 if in_proj_bias is None else [ops.getitem(in_proj_bias, p) for p in parts]
    if separate is None and query is key and key is value:
        together = linear(query, in_proj_weight, in_proj_bias)
        q, k, v = (ops.getitem(together, (..., p)) for p in parts)
        return q, k, v
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    return q, k, v


def _with_row(x: Any, row: Any, batch: int) -> Any:
    """One more key (or value), the same for every sample, at the end of (length, batch, size)."""
    shape = (1, batch, x._data.shape[-1])
    row = ops.broadcast_to(row, shape=shape) if row is not None else tensor(np.zeros(shape, x._data.dtype))
    return ops.concat([x, row], axis=0)


def _float_mask(mask: Any, dtype: Any) -> Any:
    """A mask to be added: a boolean one is true where a query may *not* look."""
    if mask is None or mask._data.dtype != bool:
        return mask
    return tensor(np.where(mask._data, np.asarray(-np.inf, dtype), np.asarray(0, dtype)))


def _wider(mask: Any, extra: int) -> Any:
    if mask is None or not extra:
        return mask
    return ops.pad(mask, [(0, 0)] * (mask._data.ndim - 1) + [(0, extra)])


def _masks(
    attn_mask: Any, key_padding_mask: Any, heads: int, shape: tuple[int, int, int], dtype: Any, extra: int
) -> Any:
    """Both masks as one of (batch, heads or 1, targets, sources), or None."""
    batch, targets, sources = shape
    mask = _float_mask(attn_mask, dtype)
    if mask is not None:
        wanted = {2: (targets, sources), 3: (batch * heads, targets, sources)}.get(mask._data.ndim)
        if mask._data.shape != wanted:
            raise OperationError(
                f"The shape of the {mask._data.ndim}D attn_mask is {list(mask.shape)}, but should be "
                f"{[targets, sources]} or {[batch * heads, targets, sources]}."
            )
        mask = _wider(mask, extra)
        mask = ops.reshape(
            mask, shape=(1, 1, targets, -1) if mask._data.ndim == 2 else (batch, heads, targets, -1)
        )
    padding = _wider(_float_mask(key_padding_mask, dtype), extra)
    if padding is None:
        return mask
    padding = ops.reshape(padding, shape=(batch, 1, 1, -1))
    return padding if mask is None else mask + padding


def multi_head_attention_forward(
    query: Any, key: Any, value: Any, embed_dim_to_check: int, num_heads: int, in_proj_weight: Any, in_proj_bias: Any,
    bias_k: Any, bias_v: Any, add_zero_attn: bool, dropout_p: float, out_proj_weight: Any, out_proj_bias: Any,
    training: bool = True, key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Any = None, k_proj_weight: Any = None,
    v_proj_weight: Any = None, static_k: Any = None, static_v: Any = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Several attentions side by side, of (length, batch, size) or (length, size): the result and the weights."""
    single = query._data.ndim == 2
    if single:
        query, key, value = _one_batch(query, key, value)
        key_padding_mask = None if key_padding_mask is None else ops.expand_dims(key_padding_mask, axis=0)
    targets, batch, size = query._data.shape
    if size != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {size}")
    if is_causal and attn_mask is None:
        raise OperationError("Need attn_mask if specifying the is_causal hint.")
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projections(query, key, value, in_proj_weight, in_proj_bias, separate)
    sources, extra = key._data.shape[0], 0
    if bias_k is not None and bias_v is not None:
        k, v, extra = _with_row(k, bias_k, batch), _with_row(v, bias_v, batch), extra + 1
    if add_zero_attn:
        k, v, extra = _with_row(k, None, batch), _with_row(v, None, batch), extra + 1
    mask = _masks(attn_mask, key_padding_mask, num_heads, (batch, targets, sources), query._data.dtype, extra)
    q, k, v = (_heads(x, num_heads) for x in (q, k, v))
    weights = _weights(q, k, mask, 1 / math.sqrt(size // num_heads))
    used = dropout(weights, dropout_p) if training and dropout_p else weights
    mixed = ops.permute_dims(ops.matmul(used, v), axes=(2, 0, 1, 3))
    out = linear(ops.reshape(mixed, shape=(targets, batch, size)), out_proj_weight, out_proj_bias)
    shown_weights = None
    if need_weights:
        shown_weights = ops.mean(used, axis=1) if average_attn_weights else used
    if single:
        out = ops.reshape(out, shape=(targets, size))
        shown_weights = None if shown_weights is None else ops.getitem(shown_weights, 0)
    return out, shown_weights


def _one_batch(query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
    """A batch of one; the same Tensor stays the same Tensor, so that its projections are done together."""
    made: dict[int, Any] = {}
    for x in (query, key, value):
        if id(x) not in made:
            made[id(x)] = ops.expand_dims(x, axis=1)
    return made[id(query)], made[id(key)], made[id(value)]


def _heads(x: Any, heads: int) -> Any:
    """(length, batch, size) as (batch, heads, length, size of a head)."""
    length, batch, size = x._data.shape
    return ops.permute_dims(ops.reshape(x, shape=(length, batch, heads, size // heads)), axes=(1, 2, 0, 3))
