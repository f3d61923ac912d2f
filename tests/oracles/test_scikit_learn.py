"""scikit-learn's own checks of estimators, all of them."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainrule.estimators import NetworkClassifier, NetworkRegressor


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([NetworkClassifier(), NetworkRegressor()])
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)
