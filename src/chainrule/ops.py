"""The public functions of arrays, under their Array API names: every primitive, once.

They take Tensors, arrays and numbers alike. With a Tensor among the arguments the result is a Tensor, and
recorded; with plain arrays only, it is a plain array. This module is also what `xp` stands for when a rule
runs on Tensors, which is how a backward pass is itself differentiated.

>>> import numpy as np, chainrule as cr
>>> x = cr.Tensor([0.0, 1.0], requires_grad=True)
>>> cr.ops.sigmoid(x).sum().backward()
>>> x.grad
Tensor([0.25      , 0.19661193])
"""

# ruff: noqa: I001, RUF022 - the imports are the list of what is offered, laid out to be read
from __future__ import annotations

# fmt: off

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy import (
    bool_ as bool,
)
from numpy import (
    complex64, complex128, e, finfo, float32, float64, iinfo, inf, int8, int16, int32, int64, isdtype, nan,
    newaxis, pi, uint8, uint16, uint32, uint64,
)

from chainrule import namespace, operators
from chainrule.functions.arrays import as_array as asarray
from chainrule.functions.arrays import data_of, empty_like, full_like, ones_like, shape_of, zeros_like
from chainrule.functions.elementwise import astype, clip, degrees, nan_to_num, radians
from chainrule.functions.index import getitem, index_add, index_update, take, take_along_axis
from chainrule.functions.linalg import (
    cholesky, cross, dot, eigvalsh, einsum, inner, kron, lstsq, matrix_norm, matrix_power, multi_dot, norm, outer,
    qr, svd, svdvals, tensordot, vecdot, vector_norm,
)
from chainrule.functions.neural import cross_entropy, one_hot
from chainrule.functions.reduce import cumulative_prod, cumulative_sum, median, nanmean, nansum, quantile
from chainrule.functions.shape import (
    array_split, broadcast_arrays, concat, diag, diagonal, expand_dims, meshgrid, moveaxis, pad, repeat, rot90,
    split, squeeze, stack, swapaxes, tile, trace, transpose, unstack,
)
from chainrule.operators import Operators
from chainrule.primitives import Primitive
from chainrule.rules.convolution import (
    convolution, convolution_transposed, convolution_weights, patches, patches_added,
)
from chainrule.rules.elementwise import (
    abs, acos, acosh, add, asin, asinh, atan, atan2, atanh, bitwise_and, bitwise_invert, bitwise_left_shift,
    bitwise_or, bitwise_right_shift, bitwise_xor, cbrt, ceil, copysign, cos, cosh, digamma, divide, equal, erf,
    erfinv, exp, exp2, expm1, floor, floor_divide, fmax, fmin, fmod, greater, greater_equal, heaviside, hypot,
    isfinite, isinf, isnan, less, less_equal, lgamma, log, log1p, log2, log10, logaddexp, logaddexp2, logical_and,
    logical_not, logical_or, logical_xor, maximum, minimum, multiply, negative, nextafter, not_equal, polygamma,
    positive, pow, reciprocal, remainder, round, sign, signbit, sin, sinc, sinh, sqrt, square, subtract, tan, tanh,
    trunc, where,
)
from chainrule.rules.index import argsort, nonzero, scatter_add, searchsorted, sort, view_update
from chainrule.rules.linalg import (
    cofactors, contraction, det, eigh, inv, matmul, pinv, slogdet, solve,
)
from chainrule.rules.neural import (
    affine, cross_entropy_of_labels, cross_entropy_of_logits, handed_on, linear, log_softmax, logit, logsumexp,
    mean_squared_error,
    negative_log_likelihood, relu, sigmoid, softmax, softplus, standardized,
)
from chainrule.rules.reduce import all, any, argmax, argmin, count_nonzero, max, mean, min, prod, std, sum, var
from chainrule.rules.shape import broadcast_to, copy, flip, matrix_transpose, permute_dims, reshape, roll, tril, triu
from chainrule.tensor import Tensor
# fmt: on


# fmt: off
__all__ = [
    "abs", "acos", "acosh", "add", "affine", "all", "any", "arange", "argmax", "argmin", "argsort",
    "array_split", "asarray", "asin", "asinh", "astype", "atan", "atan2", "atanh", "bitwise_and",
    "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bool",
    "broadcast_arrays", "broadcast_to", "cbrt", "ceil", "cholesky", "clip", "cofactors", "complex128",
    "complex64", "concat", "contraction", "convolution", "convolution_transposed", "convolution_weights",
    "copy", "copysign", "cos", "cosh", "count_nonzero", "cross", "cross_entropy",
    "cross_entropy_of_labels", "cross_entropy_of_logits",
    "cumulative_prod", "cumulative_sum", "data_of", "degrees", "det", "diag",
    "diagonal", "digamma", "divide", "dot", "e", "eigh", "eigvalsh", "einsum", "empty", "empty_like",
    "equal", "erf", "erfinv", "exp", "exp2", "expand_dims", "expm1", "eye", "finfo", "flip", "float32",
    "float64", "floor", "floor_divide", "fmax", "fmin", "fmod", "full", "full_like", "getitem", "greater",
    "greater_equal", "handed_on", "heaviside", "hypot", "iinfo", "index_add", "index_update", "inf",
    "inner", "int16", "int32", "int64", "int8", "inv", "isdtype", "isfinite", "isinf", "isnan", "kron",
    "less", "less_equal", "lgamma", "linear", "linspace", "log", "log10", "log1p", "log2", "log_softmax",
    "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor", "logit",
    "logsumexp", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_transpose", "max", "maximum",
    "mean", "mean_squared_error", "median", "meshgrid", "min", "minimum", "moveaxis", "multi_dot",
    "multiply", "nan", "nan_to_num", "nanmean", "nansum", "negative", "negative_log_likelihood",
    "newaxis", "nextafter", "nonzero", "norm", "not_equal", "one_hot", "ones", "ones_like", "outer",
    "pad", "patches", "patches_added", "permute_dims", "pi", "pinv", "polygamma", "positive", "pow",
    "prod", "qr", "quantile", "radians", "reciprocal", "relu", "remainder", "repeat", "reshape",
    "result_type", "roll", "rot90", "round", "scatter_add", "searchsorted", "shape_of", "sigmoid", "sign",
    "signbit", "sin", "sinc", "sinh", "slogdet", "softmax", "softplus", "solve", "sort", "split", "sqrt",
    "square", "squeeze", "stack", "standardized", "std", "subtract", "sum", "svd", "svdvals", "swapaxes",
    "take", "take_along_axis", "tan", "tanh", "tensordot", "tile", "trace", "transpose", "tril", "triu",
    "trunc", "uint16", "uint32", "uint64", "uint8", "unstack", "var", "vecdot", "vector_norm",
    "view_update", "where", "zeros", "zeros_like",
]
# fmt: on

_MADE_OF_PRIMITIVES = {
    f"chainrule.functions.{name}" for name in ("elementwise", "index", "linalg", "neural", "reduce", "shape")
}


def _made(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """NumPy's function that makes an array, making a Tensor."""

    @wraps(function)
    def make(*args: Any, **kwargs: Any) -> Tensor:
        return Tensor(function(*args, **kwargs))

    return make


zeros, ones, empty, full = _made(np.zeros), _made(np.ones), _made(np.empty), _made(np.full)
arange, linspace, eye = _made(np.arange), _made(np.linspace), _made(np.eye)


def result_type(*values: Any) -> Any:
    """The type that the arguments are promoted to."""
    return np.result_type(*(operators.example_of(v) for v in values))


Operators._ops = sys.modules[__name__]
namespace.register(Tensor, sys.modules[__name__])

namespace.extensions.update(
    {
        name: value
        for name, value in list(vars(sys.modules[__name__]).items())
        if isinstance(value, Primitive) or getattr(value, "__module__", "") in _MADE_OF_PRIMITIVES
    }
)
