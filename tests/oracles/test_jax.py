"""JAX as an oracle: values, gradients and second derivatives of every row that it has, to 1e-10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case
from derivatives import Derivatives, assert_equal, assert_same_in, derivatives_of, weights_for

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")
jnp = jax.numpy

# what JAX calls it, where that is not NumPy's word ---------------------------------------------------------


def cross_entropy(x: Any, y: Any, axis: int = -1) -> Any:
    return -(y * jax.nn.log_softmax(x, axis=axis)).sum(axis=axis)


def mean_cross_entropy(x: Any, y: Any, axis: int = -1) -> Any:
    if y.dtype.kind == "i":
        y = jax.nn.one_hot(y, x.shape[axis], axis=axis)
    return cross_entropy(x, y, axis).mean()


def convolution(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int = 1) -> Any:
    pairs = [(p, p) for p in padding]
    return jax.lax.conv_general_dilated(
        x, w, stride, pairs, rhs_dilation=dilation, feature_group_count=groups, precision="highest"
    )


def start_with(running: Any, start: float) -> Callable[..., Any]:
    def run(x: Any, axis: int = 0, include_initial: bool = False) -> Any:
        out = running(x, axis=axis)
        first = jnp.full_like(jnp.take(out, jnp.array([0]), axis=axis), start)
        return jnp.concatenate([first, out], axis=axis) if include_initial else out

    return run


def put(x: Any, y: Any, key: Any) -> Any:
    return jnp.asarray(x).at[indices(key)].set(y)


def indices(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(indices, key))
    return np.asarray(key) if isinstance(key, list) else key


def nearest(x: Any, decimals: int = 0) -> Any:
    return jnp.round(x, decimals)


JAX: dict[str, Callable[..., Any]] = {
    "limit": jnp.clip,
    "finite": jnp.nan_to_num,
    "round": nearest,
    "cross_entropy_of_logits": cross_entropy,
    "cross_entropy": mean_cross_entropy,
    "copy": lambda x: x * 1,
    "asarray": lambda x: x * 1,
    "sinc": jnp.sinc,
    "astype": lambda x, dtype: x.astype(dtype),
    "erf": jax.scipy.special.erf,
    "erfinv": jax.scipy.special.erfinv,
    "lgamma": jax.scipy.special.gammaln,
    "digamma": jax.scipy.special.digamma,
    "logit": jax.scipy.special.logit,
    "polygamma": lambda x, n: jax.scipy.special.polygamma(n, x),
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "logsumexp": jax.nn.logsumexp,
    "p_norm": jnp.linalg.norm,
    "vector_norm": jnp.linalg.vector_norm,
    "linear": lambda x, w, b: x @ w + b,
    "mean_squared_error": lambda x, y: ((x - y) ** 2).mean(),
    "negative_log_likelihood": lambda x, labels: -jnp.take_along_axis(x, labels[..., None], -1).mean(),
    "cumulative_sum": start_with(jnp.cumsum, 0.0),
    "cumulative_prod": start_with(jnp.cumprod, 1.0),
    "concatenate": lambda *arrays: jnp.concatenate(arrays),
    "stacked": lambda *arrays: jnp.stack(arrays),
    "getitem": lambda x, key: x[indices(key)],
    "index_update": put,
    "convolution": convolution,
    "index_add": lambda x, y, key: x.at[indices(key)].add(y),
    "scatter_add": lambda x, key, shape: jnp.zeros(shape, x.dtype).at[key].add(x),
    "contraction": lambda *x, subscripts: jnp.einsum(subscripts, *x),
    "trace": jnp.trace,
    "matrix_norm": jnp.linalg.matrix_norm,
    "tall_qr": jnp.linalg.qr,
    "multi_dot": jnp.linalg.multi_dot,
    "take": lambda x, i, mode=None, **how: jnp.take(
        x, i % x.size if mode is None and "axis" not in how else i, mode=mode, **how
    ),
    "cofactors": lambda x: jnp.linalg.det(x)[..., None, None] * jnp.linalg.inv(x).mT,
    "transpose": lambda x, axes=None: jnp.transpose(x, axes),
    "flip": jnp.flip,
    "norm": jnp.linalg.norm,
    "solve": jnp.linalg.solve,
    "vecdot": lambda x, y, axis=-1: (x * y).sum(axis=axis),
}

# Rows that JAX has not, or differently; each with the reason.
NOT_IN_JAX = {
    "quantile-2x7-axis=1-keepdims=True": "takes no list of shares",
    "permute_dims-2x3x4-axes=(-1,0,-2)": "does not count axes from the end",
    "index_update-3x4,1x1x4-key=slice(0,2,None)": "takes no value with more axes than there is room for",
    "lstsq-3x5,3": "gives residuals where NumPy gives none",
}
NOT_STORED = {"view_update": "parts of JAX's arrays are no views"}


def theirs(name: str) -> Callable[..., Any] | None:
    if name in JAX:
        return JAX[name]
    return next((getattr(place, name) for place in (jnp, jnp.linalg) if hasattr(place, name)), None)


# how it is compared --------------------------------------------------------------------------------------


def jax_derivatives(function: Callable[..., Any], arrays: list[Any]) -> Derivatives:
    argnums = tuple(range(len(arrays)))

    def results(*inputs: Any) -> list[Any]:
        return [r for r in jax.tree.leaves(function(*inputs)) if jnp.asarray(r).dtype.kind == "f"]

    def total(*inputs: Any) -> Any:
        return sum((r * weights_for(r.shape)).sum() for r in results(*inputs))

    def along(*inputs: Any) -> Any:
        return sum((g * weights_for(g.shape)).sum() for g in jax.grad(total, argnums)(*inputs))

    @jax.jit  # once for all: three times as fast as one compilation for each operation
    def everything(*inputs: Any) -> Any:
        return results(*inputs), jax.grad(total, argnums)(*inputs), jax.grad(along, argnums)(*inputs)

    return Derivatives(*([np.asarray(a) for a in part] for part in everything(*arrays)))


COMPARED = [
    c
    for c in CASES
    if c.differentiable and c.draws and theirs(c.name) and c.call is None and repr(c) not in NOT_IN_JAX
]


@pytest.mark.parametrize("case", COMPARED, ids=repr)
def test_derivatives_are_those_of_jax(case: Case) -> None:
    def function(*inputs: Any) -> Any:
        return theirs(case.name)(*case.filled(inputs), **case.parameters)

    arrays = case.drawn()
    assert_equal(derivatives_of(case, arrays), jax_derivatives(function, arrays))


# JAX's arrays as those of our Tensors -----------------------------------------------------------------------

STORED = {c.name: c for c in CASES if c.kind in ("smooth", "rough") and c.draws and c.name not in NOT_STORED}


@pytest.mark.parametrize("case", STORED.values(), ids=repr)
def test_tensors_may_hold_arrays_of_jax(case: Case) -> None:
    assert_same_in(case, jnp.asarray)


def test_at_least_eighty_functions_are_compared() -> None:
    assert len({c.name for c in COMPARED}) >= 80
