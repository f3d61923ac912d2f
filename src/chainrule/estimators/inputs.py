"""What an estimator is given, as arrays: categories encoded, sparse rows made dense one mini-batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names, _check_n_features, validate_data

from chainrule.data import Examples

FLOATS = (np.float64, np.float32)
CATEGORIES = (nw.Categorical, nw.Enum, nw.String, nw.Boolean, nw.Object)


def checked_inputs(estimator: Any, X: Any, *, reset: bool) -> Any:
    """The inputs as a float matrix, or a CSR one; `reset` learns the columns, else they are compared.

    Raises ValueError, in scikit-learn's words, for what is no such matrix.
    """
    if estimator.categorical_features is None:
        return validate_data(estimator, X, accept_sparse="csr", dtype=FLOATS, reset=reset)
    _check_feature_names(estimator, X, reset=reset)
    _check_n_features(estimator, X, reset=reset)
    if reset:
        estimator.encoder_ = _encoder(X, estimator.categorical_features).fit(X)
    return check_array(estimator.encoder_.transform(X), dtype=FLOATS, estimator=estimator)


def _encoder(X: Any, categorical: Any) -> ColumnTransformer:
    """One-hot for the columns of categories; one that was not seen in training gives zeros only."""
    columns = categorical
    if isinstance(categorical, str):
        if categorical != "from_dtype":
            raise ValueError(
                f"categorical_features={categorical!r}: give 'from_dtype', or a list of columns (names, positions or a "
                f"mask)"
            )
        schema = nw.from_native(X, eager_only=True).schema
        columns = [name for name, kind in schema.items() if kind in CATEGORIES]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("categories", encoder, columns)], remainder="passthrough", sparse_threshold=0)


class SparseExamples(NamedTuple):
    """Examples with a CSR matrix of features, of which only a mini-batch at a time is dense."""

    features: Any
    targets: NDArray[Any]
    weights: NDArray[Any] | None = None

    def batches(self, size: int, order: np.random.Generator | None = None) -> Iterator[Examples]:
        """The mini-batches of one epoch; `order` shuffles the rows."""
        count = self.features.shape[0]
        rows = np.arange(count) if order is None else order.permutation(count)
        for start in range(0, count, size):
            some = rows[start : start + size]
            weights = None if self.weights is None else self.weights[some]
            yield Examples(self.features[some].toarray(), self.targets[some], weights)


def examples_of(X: Any, targets: NDArray[Any], weights: NDArray[Any] | None) -> Examples | SparseExamples:
    """Examples of dense or sparse features."""
    return Examples(X, targets, weights) if isinstance(X, np.ndarray) else SparseExamples(X, targets, weights)
