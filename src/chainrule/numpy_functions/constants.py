"""NumPy's functions whose results have no derivative: integers, booleans, types, and texts.

They run on the plain arrays, whatever their arguments, even where a Tensor needs a gradient.
"""

from __future__ import annotations

CONSTANT = frozenset({
    # questions about an array
    "shape", "ndim", "size", "result_type", "can_cast", "common_type", "min_scalar_type", "iscomplex",
    "iscomplexobj", "isreal", "isrealobj", "may_share_memory", "shares_memory", "array_repr", "array_str",
    "array2string", "einsum_path", "linalg.matrix_rank",
    # comparisons
    "all", "any", "allclose", "isclose", "array_equal", "array_equiv", "isin", "isposinf", "isneginf",
    # indices and counts
    "argmax", "argmin", "nanargmax", "nanargmin", "argsort", "argpartition", "argwhere", "nonzero",
    "flatnonzero", "searchsorted", "digitize", "lexsort", "count_nonzero", "unravel_index",
    "ravel_multi_index", "ix_", "tril_indices_from", "triu_indices_from", "diag_indices_from",
    "packbits", "unpackbits",
    # arrays of which only the shape is taken, and constants between their jumps
    "zeros_like", "ones_like", "empty_like", "angle",
    # files
    "save", "savez", "savez_compressed", "savetxt",
})  # fmt: skip
