"""HIPS autograd as an oracle: values, gradients and second derivatives of every row that it has, to 1e-10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as anp
import autograd.scipy.special as special
import numpy as np
import pytest
from cases import CASES, Case
from derivatives import Derivatives, assert_equal, derivatives_of, weights_for

# what autograd calls it, where that is not the word of today's NumPy --------------------------------------

OLD_NAMES = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "pow": "power",
    "concat": "concatenate",
    "permute_dims": "transpose",
    "remainder": "mod",
    "limit": "clip",
    "p_norm": "linalg.norm",
    "contraction": "einsum",
}
AUTOGRAD: dict[str, Callable[..., Any]] = {
    "getitem": lambda x, key: x[key],
    "matrix_transpose": lambda x: anp.swapaxes(x, -1, -2),
    "permute_dims": lambda x, axes: anp.transpose(x, axes),
    "transpose": lambda x, axes=None: anp.transpose(x, axes),
    "var": lambda x, correction=0, **how: anp.var(x, ddof=correction, **how),
    "asarray": lambda x: x * 1,
    "std": lambda x, correction=0, **how: anp.std(x, ddof=correction, **how),
    "copy": lambda x: x * 1,
    "where": anp.where,
    "sigmoid": special.expit,
    "logit": special.logit,
    "erf": special.erf,
    "erfinv": special.erfinv,
    "lgamma": special.gammaln,
    "digamma": special.digamma,
    "polygamma": lambda x, n: special.polygamma(n, x),
    "logsumexp": special.logsumexp,
    "concatenate": lambda *arrays: anp.concatenate(arrays),
    "stacked": lambda *arrays: anp.stack(arrays),
    "take": lambda x, i: x.reshape(-1)[i],
    "relu": lambda x: anp.maximum(x, 0.0),
    "cumulative_sum": lambda x, axis=0: anp.cumsum(x, axis=axis),
    "linear": lambda x, w, b: anp.dot(x, w) + b,
    "mean_squared_error": lambda x, y: anp.mean((x - y) ** 2),
    "contraction": lambda *x, subscripts: anp.einsum(subscripts, *x),
    "tile": anp.tile,
    "vecdot": lambda x, y, axis=-1: anp.sum(x * y, axis=axis),
    "softplus": lambda x: anp.logaddexp(0.0, x),
    "softmax": lambda x, axis=-1: anp.exp(x) / anp.sum(anp.exp(x), axis=axis, keepdims=True),
    "cross_entropy_of_logits": lambda x, y, axis=-1: (
        -anp.sum(y * (x - special.logsumexp(x, axis=axis, keepdims=True)), axis=axis)
    ),
    "degrees": anp.rad2deg,
    "radians": anp.deg2rad,
}


def theirs(name: str) -> Callable[..., Any] | None:
    if name in AUTOGRAD:
        return AUTOGRAD[name]
    place: Any = anp
    for part in OLD_NAMES.get(name, name).split("."):
        place = getattr(place, part, None) or getattr(anp.linalg, part, None)
    return place


# Functions for which it has no derivative.
MISSING = {
    "copysign",
    "heaviside",
    "positive",
    "cbrt",
    "fmod",
    "limit",
    "cumulative_prod",
    "vector_norm",
    "matrix_norm",
    "nansum",
    "nanmean",
    "broadcast_arrays",
    "median",
    "quantile",
    "unstack",
    "flip",
    "meshgrid",
    "matrix_power",
    "qr",
    "tall_qr",
    "svdvals",
    "lstsq",
    "multi_dot",
    "astype",
    "cofactors",
    "split",
    "array_split",
    "slogdet",
    "take_along_axis",
}
NUMBERS = "takes no ends that are arrays, or only one end"
STRETCH = "does not sum over axes along which an argument was stretched"
REPEATED = "refuses an index that an operand repeats"
KEYWORD = "has no such argument"
# Rows that it refuses, or for which its derivative is wrong; each with the reason.
NOT_IN_AUTOGRAD = {
    "clip-3x4,[-0.5],[0.7]": NUMBERS,
    "clip-2x3,2x1,3": NUMBERS,
    "clip-3x4-min=0.0": NUMBERS,
    "clip-3x4-max=0": NUMBERS,
    "clip-3": NUMBERS,
    "cumulative_sum-2x3-axis=-1-include_initial=True": KEYWORD,
    "nan_to_num-3-nan=1.0-posinf=2.0-neginf=-2.0": KEYWORD,
    "where-3-([[True],[False]])-0.0": STRETCH,
    "cross-3x2,3x1-axis=0": STRETCH,
    "solve-2x3x3,3x2": STRETCH,
    "solve-3x3,2x3x2": STRETCH,
    "permute_dims-2x3x4-axes=(-1,0,-2)": "wrong for axes counted from the end",
    **{f"prod-{key}": "divides by the elements, and so by 0" for key in ("[0.0,2.0,3.0]", "[0.0,2.0,0.0]")},
    "broadcast_to-3x1-shape=(2,3,4)": KEYWORD,
    "broadcast_to-()-shape=(2,2)": KEYWORD,
    "roll-2x3-shift=(1,2)-axis=(0,1)": "takes one axis",
    "concat-2x3,2-axis=None": "takes one axis",
    "norm-2x3x4-axis=(0,2)": "takes one axis",
    "norm-2x3-ord=1-axis=0-keepdims=True": "takes ord > 1",
    "tile-2x3-2": "wrong for fewer repetitions than axes",
    "tile-2x3-(2,1,2)": "as above",
    "repeat-2x3-([1,0,3])-axis=-1": "takes one number of repetitions",
    **{
        f"pad-{key}": "pads with zeros only"
        for key in (
            "3-1",
            "2x3-(1,2)-constant_values=5.0",
            *(f"3x4-((1,2),(0,3))-mode='{m}'" for m in ("edge", "reflect", "symmetric", "wrap")),
        )
    },
    "rot90-2x3x4-axes=(2,0)": KEYWORD,
    "trace-2x3x4-offset=1-axis1=1-axis2=2": KEYWORD,
    **{
        f"diagonal-{key}": "has the last two axes only"
        for key in ("3x4", "4x3-offset=-2", "2x3x4-offset=1-axis1=-1-axis2=0")
    },
    "diag-3x4-k=1": "takes square matrices",
    "trace-3x4": "takes square matrices",
    **{
        f"take-{key}": KEYWORD
        for key in (
            "3x4-([2,2,0])-axis=1",
            "3x4-1-axis=-1",
            "4-([-5,7,1])-mode='wrap'",
            "4-([-5,7,1])-mode='clip'",
        )
    },
    "sort-2x3x4-axis=1": "sorts vectors only",
    "outer-3,2x2": "takes vectors only",
    "pinv-4x3-rtol=1e-10": KEYWORD,
    **{
        f"einsum-{key}": REPEATED
        for key in ("3x3-'ii'", "3x3-'ii->i'", "3x3x2,2x4-'iij,jk->ik'", "2x3x2-'iji->j'")
    },
}


def autograd_derivatives(function: Callable[..., Any], arrays: list[Any]) -> Derivatives:
    argnums = tuple(range(len(arrays)))

    def results(*inputs: Any) -> list[Any]:
        found = function(*inputs)
        found = found if isinstance(found, (list, tuple)) else [found]
        return [r for r in found if anp.result_type(r).kind == "f"]

    def total(*inputs: Any) -> Any:
        return sum(anp.sum(r * weights_for(anp.shape(r))) for r in results(*inputs))

    def along(*inputs: Any) -> Any:
        return sum(anp.sum(g * weights_for(anp.shape(g))) for g in autograd.grad(total, argnums)(*inputs))

    values = [np.asarray(r) for r in results(*arrays)]
    return Derivatives(
        values, list(autograd.grad(total, argnums)(*arrays)), list(autograd.grad(along, argnums)(*arrays))
    )


pytestmark = pytest.mark.filterwarnings("ignore:Output seems independent of input:UserWarning")

COMPARED = [
    c for c in CASES
    if c.differentiable and c.draws and theirs(c.name) and c.call is None
    and c.name not in MISSING and f"{c}" not in NOT_IN_AUTOGRAD
]  # fmt: skip


@pytest.mark.parametrize("case", COMPARED, ids=repr)
def test_derivatives_are_those_of_autograd(case: Case) -> None:
    def function(*inputs: Any) -> Any:
        return theirs(case.name)(*case.filled(inputs), **case.parameters)

    arrays = case.drawn()
    assert_equal(derivatives_of(case, arrays), autograd_derivatives(function, arrays))


def test_at_least_eighty_functions_are_compared() -> None:
    assert len({c.name for c in COMPARED}) >= 80
