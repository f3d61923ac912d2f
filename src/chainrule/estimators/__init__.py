"""Networks as scikit-learn estimators (`pip install "chainrule[sklearn]"`).

>>> from chainrule.estimators import NetworkClassifier
>>> from sklearn.datasets import load_iris
>>> X, y = load_iris(return_X_y=True)
>>> model = NetworkClassifier((16,), solver="lbfgs", alpha=0.1, max_iter=1000, random_state=0).fit(X, y)
>>> model.score(X, y) > 0.95
True
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        'chainrule.estimators needs scikit-learn 1.9 or newer: pip install "chainrule[sklearn]"'
    ) from error

from chainrule.estimators.classifier import NetworkClassifier
from chainrule.estimators.regressor import NetworkRegressor

__all__ = ["NetworkClassifier", "NetworkRegressor"]
