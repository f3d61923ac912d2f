"""NetworkClassifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array

from chainrule import nn
from chainrule.estimators.base import Network
from chainrule.tensor import Tensor


def _cross_entropy(output: Any, targets: Any, weights: Any) -> Tensor:
    """The mean over rows; of several labels a row, their sum."""
    if targets.ndim == 1:
        return nn.cross_entropy(output, targets, weights)
    each = nn.binary_cross_entropy_with_logits(output, targets, weights)
    return each if targets.shape[1] == 1 else each * targets.shape[1]


class NetworkClassifier(ClassifierMixin, Network):
    """A neural network that tells classes apart, or labels rows with several at once; scikit-learn's interface.

    Parameters mean what they mean in scikit-learn's `MLPClassifier`, and the same `random_state` gives the same network
    to rounding: first weights, order of rows, steps, and the epoch that is the last. What that lacks:

    - `activation`: any of `nn.ACTIVATIONS`, or one for each hidden layer;
    - `solver`: any of `optim.RULES`, or "lbfgs";
    - `learning_rate`: "constant", "invscaling", "adaptive" (as there, where "adam" has no use for the last two), or any
      of `optim.SCHEDULES`;
    - `dropout`: the share of hidden values that is zeroed in each step;
    - `class_weight`: "balanced", or a dict of weights by class; rows count by the weight of their class;
    - `categorical_features`: columns to encode one-hot, as names, positions or a mask, or "from_dtype" for those of
      a DataFrame that are no numbers; a category that was not seen in training gives zeros;
    - `callbacks`: each is called with every `train.Epoch`; one that returns True ends the training;
    - `compile`: whether steps are native code: "yes", "no", or "auto", where that saves time: in long fits, and from
      the second fit of a network on (folds, seeds, a grid), which finds the code in the process. The result is the same
      to rounding; with "yes" or "no", the same seed gives the same bits.

    After `fit`: `classes_`, `coefs_`, `intercepts_`, `n_iter_`, `loss_`, `loss_curve_`, `best_loss_`,
    `validation_scores_`, as there; `history_` (a dict of lists, one entry an epoch) and
    `network_` (the `nn.Sequential`).

    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array(["low", "low", "high", "high"])
    >>> model = NetworkClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> model.predict([[0.2], [2.7]]).tolist()
    ['low', 'high']
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        class_weight: Any = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        categorical_features: Any = None,
        callbacks: Any = (),
        compile: str = "auto",  # noqa: A002  # as in `Training`
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.class_weight = class_weight
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.categorical_features = categorical_features
        self.callbacks = callbacks
        self.compile = compile

    # targets -----------------------------------------------------------------------------------------------

    def _encoded_targets(self, y: Any, classes: Any, reset: bool) -> NDArray[Any]:
        check_classification_targets(y)
        if type_of_target(y, input_name="y").startswith("multilabel"):
            return self._encoded_labels(y, reset)
        y = column_or_1d(y, warn=True)
        found = np.unique(y)
        if reset:
            self._learn_classes(found, classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={list(classes)} are not those of the first call, {list(self.classes_)}"
            )
        unknown = np.setdiff1d(found, self.classes_)
        if unknown.size:
            raise ValueError(
                f"y has classes {unknown.tolist()} that are not among those known: {self.classes_.tolist()}"
            )
        codes: NDArray[Any] = np.searchsorted(self.classes_, y)
        return codes if len(self.classes_) > 2 else codes[:, None].astype(np.float64)

    def _learn_classes(self, found: NDArray[Any], classes: Any) -> None:
        self._several_labels = False
        self.classes_ = found if classes is None else np.unique(classes)
        if len(self.classes_) < 2:
            raise ValueError(
                f"NetworkClassifier can't train when only one class is present: y is {self.classes_[0]} in every row"
            )
        self.n_outputs_ = 1 if len(self.classes_) == 2 else len(self.classes_)

    def _encoded_labels(self, y: Any, reset: bool) -> NDArray[Any]:
        """Rows of zeros and ones, a column for each label."""
        labels = check_array(y, accept_sparse=True, dtype=np.float64)
        labels = labels if isinstance(labels, np.ndarray) else labels.toarray()
        if reset:
            self._several_labels = True
            self.classes_, self.n_outputs_ = np.arange(labels.shape[1]), labels.shape[1]
        if not self._several_labels or labels.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {labels.shape[1]} labels a row, unlike the first call's")
        return labels

    def _weights_of_classes(self, y: Any) -> NDArray[Any] | None:
        if self.class_weight is None:
            return None
        weights: NDArray[Any] = compute_sample_weight(self.class_weight, y)
        return weights

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        return targets if self.n_outputs_ == 1 else None  # as scikit-learn's MLP

    def _loss(self) -> Callable[..., Tensor]:
        return _cross_entropy

    def _score_of(self, outputs: NDArray[Any], targets: NDArray[Any], weights: Any) -> float:
        several = targets.ndim == 2
        right = ((outputs > 0) == targets).all(axis=1) if several else outputs.argmax(axis=1) == targets
        return float(np.average(right, weights=weights))

    # predicting --------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row, shape (rows,); with several labels a row, zeros and ones."""
        outputs = self._outputs(X)
        if self._several_labels:
            labels: NDArray[Any] = (outputs > 0).astype(int)
            return labels
        chosen = outputs.argmax(axis=1) if self.n_outputs_ > 1 else (outputs[:, 0] > 0).astype(int)
        predicted: NDArray[Any] = self.classes_[chosen]
        return predicted

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class (or label), shape (rows, classes), in the order of `classes_`."""
        probabilities: NDArray[Any] = np.exp(self.predict_log_proba(X))
        return probabilities

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """The logarithms of the probabilities, also where those are too small for a number."""
        outputs = self._outputs(X)
        if self._several_labels:
            logs: NDArray[Any] = -np.logaddexp(0, -outputs)
            return logs
        if self.n_outputs_ == 1:
            outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
        logs = outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True)
        return logs

    def __sklearn_tags__(self) -> Any:
        """Several labels a row are supported."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
