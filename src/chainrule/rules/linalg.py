"""Linear algebra. Everything acts on the last one or two axes; the axes before them are a batch.

The derivatives of the decompositions are those collected by Giles (2008), "Collected matrix derivative
results for forward and reverse mode algorithmic differentiation", and Walter and Lehmann (2018),
"Algorithmic differentiation of linear algebra functions".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.namespace import NUMPY
from chainrule.primitives import primitive, several
from chainrule.typing import Shape

# products ------------------------------------------------------------------------------------------------


def product_left(g: Any, x_shape: Shape, y: Any, xp: Any) -> Any:
    """The cotangent of x in x @ y, before it is summed over broadcast batch axes."""
    if len(y.shape) == 1:
        return xp.expand_dims(g, axis=-1) * y
    if len(x_shape) == 1:
        return (y @ xp.expand_dims(g, axis=-1))[..., 0]
    return g @ y.mT


def product_right(g: Any, x: Any, y_shape: Shape, xp: Any) -> Any:
    """The cotangent of y in x @ y, before it is summed over broadcast batch axes."""
    if len(y_shape) == 1:
        g = xp.expand_dims(g, axis=-1)
        return g * x if len(x.shape) == 1 else (x.mT @ g)[..., 0]
    if len(x.shape) == 1:
        return xp.expand_dims(x, axis=-1) * xp.expand_dims(g, axis=-2)
    if len(y_shape) == 2 < len(x.shape):  # one matrix for a whole batch: one product instead of many
        rows = math.prod(x.shape[:-1])
        x, g = xp.reshape(x, (rows, x.shape[-1])), xp.reshape(g, (rows, g.shape[-1]))
    return x.mT @ g


matmul = primitive("matmul(x, y)", broadcasts=True, x=product_left, y=product_right)


def _contraction(g: Any, operands: tuple[Any, ...], index: int, subscripts: str, xp: Any) -> Any:
    """The contraction of the cotangent with all other operands, over the indices that this one lacks."""
    inputs, output = subscripts.split("->")
    names = inputs.split(",")
    others = [n for i, n in enumerate(names) if i != index]
    arrays = [a for i, a in enumerate(operands) if i != index]
    return xp.contraction(g, *arrays, subscripts=f"{','.join([output, *others])}->{names[index]}")


def _einsum(*operands: Any, xp: Any, subscripts: str) -> Any:
    if xp is NUMPY or hasattr(xp.module, "einsum"):
        return xp.own("einsum")(subscripts, *operands)
    return xp.asarray(np.einsum(subscripts, *(np.from_dlpack(o) for o in operands)))


contraction = primitive("contraction(*operands, subscripts)", forward=_einsum, operands=_contraction)
"""einsum in which no operand repeats an index, every index has one length, and each index of an operand is
also in the output or in another operand. `chainrule.functions.linalg.einsum` brings the others to this form."""

# inverses and determinants -------------------------------------------------------------------------------

inv = primitive("inv(x)", x=lambda g, out: -(out.mT @ g @ out.mT))


def _solve_right(g: Any, x: Any, y_shape: Shape, xp: Any) -> Any:
    if len(y_shape) == 1:
        return xp.solve(x.mT, xp.expand_dims(g, axis=-1))[..., 0]
    return xp.solve(x.mT, g)


def _solve_left(y_bar: Any, out: Any, y_shape: Shape, xp: Any) -> Any:
    if len(y_shape) == 1:
        return -xp.expand_dims(y_bar, axis=-1) * xp.expand_dims(out, axis=-2)
    return -(y_bar @ out.mT)


solve = primitive("solve(x, y)", broadcasts=True, x=_solve_left, y=_solve_right)


def _cofactors(x: Any, xp: Any) -> Any:
    """The derivative of det: det(x) inv(x).mT, also where x is singular and has no inverse."""
    plain = x if xp is NUMPY else np.from_dlpack(x)
    u, s, vh = np.linalg.svd(plain)
    count = s.shape[-1]
    if not count:
        return xp.zeros_like(x)
    others = np.stack([np.prod(np.delete(s, i, axis=-1), axis=-1) for i in range(count)], axis=-1)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    out = sign[..., None, None] * ((u * others[..., None, :]) @ vh)
    return out if xp is NUMPY else xp.asarray(out)


def _cofactors_rule(g: Any, x: Any, xp: Any) -> Any:
    inverse = xp.inv(x).mT
    along = xp.sum(g * inverse, axis=(-2, -1), keepdims=True)
    return xp.expand_dims(xp.det(x), axis=(-2, -1)) * (along * inverse - inverse @ g.mT @ inverse)


cofactors = primitive("cofactors(x)", forward=_cofactors, x=_cofactors_rule)
det = primitive("det(x)", x=lambda g, x, xp: xp.expand_dims(g, axis=(-2, -1)) * xp.cofactors(x))
slogdet = several("slogdet(x)", forward=lambda x, xp: tuple(xp.own("slogdet")(x)),
    x=lambda g, x, xp: None if g[1] is None else xp.expand_dims(g[1], axis=(-2, -1)) * xp.inv(x).mT)  # fmt: skip


def _cholesky_rule(g: Any, out: Any, xp: Any) -> Any:
    product = xp.tril(out.mT @ g)
    half = product - 0.5 * _diagonal_part(product, xp)
    back = xp.solve(out.mT, xp.solve(out.mT, half.mT).mT)
    return 0.5 * (back + back.mT)


cholesky = primitive("cholesky(x)", forward=lambda x, xp: xp.own("cholesky")(x), x=_cholesky_rule)


def _identity(x: Any, xp: Any) -> Any:
    return xp.eye(x.shape[-1], dtype=x.dtype)


def _diagonal_part(x: Any, xp: Any) -> Any:
    return x * _identity(x, xp)


# decompositions ------------------------------------------------------------------------------------------


def _or_zeros(g: Any, like: Any, xp: Any) -> Any:
    return xp.zeros_like(like) if g is None else g


def _inverse_of(difference: Any, xp: Any) -> Any:
    """1 / (v_j - v_i), and 0 where they are equal: there, no direction of the vectors is distinguished."""
    same = difference == 0
    return xp.where(same, xp.zeros_like(difference), 1 / xp.where(same, xp.ones_like(difference), difference))


def _qr_rule(g: Any, out: tuple[Any, Any], xp: Any) -> Any:
    """Of the reduced decomposition of a matrix with at least as many rows as columns."""
    q, r = out
    g_q, g_r = _or_zeros(g[0], q, xp), _or_zeros(g[1], r, xp)
    m = r @ g_r.mT - g_q.mT @ q
    symmetric = xp.tril(m) + xp.tril(m, k=-1).mT
    return xp.solve(r, (g_q + q @ symmetric).mT).mT


tall_qr = several("tall_qr(x)", forward=lambda x, xp: tuple(xp.own("qr")(x)), x=_qr_rule)


def _eigh_rule(g: Any, out: tuple[Any, Any], xp: Any) -> Any:
    values, vectors = out
    inner = xp.zeros_like(vectors) if g[0] is None else xp.expand_dims(g[0], axis=-2) * _identity(vectors, xp)
    if g[1] is not None:
        difference = xp.expand_dims(values, axis=-2) - xp.expand_dims(values, axis=-1)
        inner = inner + _inverse_of(difference, xp) * (vectors.mT @ g[1])
    back = vectors @ inner @ vectors.mT
    return 0.5 * (back + back.mT)  # the input counts as symmetric, whichever triangle is read


eigh = several("eigh(x)", forward=lambda x, xp: tuple(xp.own("eigh")(x)), x=_eigh_rule)


def _svd_rule(g: Any, out: tuple[Any, Any, Any], xp: Any) -> Any:
    u, s, vh = out
    v = vh.mT
    g_u, g_s, g_v = _or_zeros(g[0], u, xp), _or_zeros(g[1], s, xp), _or_zeros(g[2], vh, xp).mT
    if g[0] is None and g[2] is None:
        return (u * xp.expand_dims(g_s, axis=-2)) @ vh
    row, column = xp.expand_dims(s, axis=-2), xp.expand_dims(s, axis=-1)
    # Not row² - column²: with one rounding for both, as XLA computes it, that is not 0 on the diagonal.
    f = _inverse_of((row - column) * (row + column), xp)
    from_u = f * (u.mT @ g_u - g_u.mT @ u) * row
    from_v = column * (f * (v.mT @ g_v - g_v.mT @ v))
    core = u @ (from_u + from_v + xp.expand_dims(g_s, axis=-2) * _identity(from_u, xp)) @ vh
    outside_u = (g_u - u @ (u.mT @ g_u)) / row @ vh
    outside_v = (u / row) @ (g_v - v @ (v.mT @ g_v)).mT
    return core + outside_u + outside_v


thin_svd = several(
    "thin_svd(x)", forward=lambda x, xp: tuple(xp.own("svd")(x, full_matrices=False)), x=_svd_rule
)


def _pinv_rule(g: Any, x: Any, out: Any, xp: Any) -> Any:
    """Golub and Pereyra (1973), for matrices whose rank does not change nearby."""
    rows, columns = x @ out, out @ x
    outside_rows = (out @ out.mT @ g @ (_identity(rows, xp) - rows)).mT
    outside_columns = ((_identity(columns, xp) - columns) @ g @ out.mT @ out).mT
    return -(out.mT @ g @ out.mT) + outside_rows + outside_columns


pinv = primitive("pinv(x, *, rtol=None)", forward=lambda x, xp, rtol: _pinv(x, xp, rtol), x=_pinv_rule)


def _pinv(x: Any, xp: Any, rtol: float | None) -> Any:
    return xp.own("pinv")(x) if rtol is None else xp.own("pinv")(x, rtol=rtol)
