"""NetworkRegressor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array

from chainrule import nn, ops
from chainrule.errors import OptionError
from chainrule.estimators.base import Network
from chainrule.tensor import Tensor

# The mean over rows of the sum over their targets, as scikit-learn's MLP descends it (what that reports is a mean).


def _half_squared_error(output: Any, targets: Any, weights: Any) -> Tensor:
    loss: Tensor = 0.5 * targets.shape[1] * nn.mean_squared_error(output, targets, weights)
    return loss


def _summed(each: Any, weights: Any) -> Tensor:
    loss: Tensor = each.shape[1] * nn.weighted_mean(each, weights)
    return loss


def _absolute_error(output: Any, targets: Any, weights: Any) -> Tensor:
    return _summed(ops.abs(output - targets), weights)


def _huber(output: Any, targets: Any, weights: Any) -> Tensor:
    """Squared within 1 of the target, and absolute beyond, Huber (1964)."""
    error = ops.abs(output - targets)
    return _summed(ops.where(error < 1, 0.5 * error * error, error - 0.5), weights)


def _poisson(output: Any, targets: Any, weights: Any) -> Tensor:
    """The negative log-likelihood of counts of mean exp(output), without what does not depend on it."""
    return _summed(ops.exp(output) - targets * output, weights)


LOSSES = {
    "squared_error": _half_squared_error,
    "absolute_error": _absolute_error,
    "huber": _huber,
    "poisson": _poisson,
}


def _r_squared(actual: NDArray[Any], predicted: NDArray[Any], weights: Any) -> float:
    """The mean over the targets of R²; of one that is constant, 1 if it is found and else 0, as in scikit-learn."""
    error = np.average((actual - predicted) ** 2, axis=0, weights=weights)
    variance = np.average(
        (actual - np.average(actual, axis=0, weights=weights)) ** 2, axis=0, weights=weights
    )
    constant = variance == 0
    scores = np.where(constant, error == 0, 1 - error / np.where(constant, 1, variance))
    return float(scores.mean())


class NetworkRegressor(RegressorMixin, Network):
    """A neural network that predicts one number a row, or several; scikit-learn's interface.

    Parameters mean what they mean in scikit-learn's `MLPRegressor`, and the same `random_state` gives the same network
    to rounding: first weights, order of rows, steps, and the epoch that is the last. (Of several targets a row, the
    loss here is the sum that both descend; there, a mean is reported.) What that lacks:

    - `activation`: any of `nn.ACTIVATIONS`, or one for each hidden layer;
    - `solver`: any of `optim.RULES`, or "lbfgs";
    - `learning_rate`: "constant", "invscaling", "adaptive" (as there, where "adam" has no use for the last two), or any
      of `optim.SCHEDULES`;
    - `dropout`: the share of hidden values that is zeroed in each step;
    - `loss`: "squared_error", "poisson" (as there), "absolute_error" or "huber";
    - `categorical_features`: columns to encode one-hot, as names, positions or a mask, or "from_dtype" for those of
      a DataFrame that are no numbers; a category that was not seen in training gives zeros;
    - `callbacks`: each is called with every `train.Epoch`; one that returns True ends the training;
    - `compile`: whether steps are native code: "yes", "no", or "auto", where that saves time: in long fits, and from
      the second fit of a network on (folds, seeds, a grid), which finds the code in the process. The result is the same
      to rounding; with "yes" or "no", the same seed gives the same bits.

    After `fit`: `coefs_`, `intercepts_`, `n_iter_`, `loss_`, `loss_curve_`, `best_loss_`, `validation_scores_`, as
    there; `history_` (a dict of lists, one entry an epoch) and `network_` (the `nn.Sequential`).

    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> model = NetworkRegressor((16,), "tanh", solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2)
    >>> round(float(model.predict([[0.5]])[0]), 1)
    0.2
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        loss: str = "squared_error",
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
        self.loss = loss
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

    def _encoded_targets(self, y: Any, classes: Any, reset: bool) -> NDArray[Any]:
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
        targets = y.astype(np.float64) if y.dtype.kind != "f" else y
        several: NDArray[Any] = targets[:, None] if targets.ndim == 1 else targets
        if self.loss not in LOSSES:
            raise OptionError(f"loss={self.loss!r}: choose one of {', '.join(LOSSES)}")
        if self.loss == "poisson" and several.min() < 0:
            raise ValueError(f"loss='poisson' is for counts, and y has {several.min()}")
        if reset:
            self.n_outputs_, self._flat = several.shape[1], targets.ndim == 1
        elif several.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {several.shape[1]} values a row, unlike the first call's {self.n_outputs_}"
            )
        return several

    def _loss(self) -> Callable[..., Tensor]:
        return LOSSES[self.loss]

    def _score_of(self, outputs: NDArray[Any], targets: NDArray[Any], weights: Any) -> float:
        return _r_squared(targets, self._means(outputs), weights)

    def _means(self, outputs: NDArray[Any]) -> NDArray[Any]:
        means: NDArray[Any] = np.exp(outputs) if self.loss == "poisson" else outputs
        return means

    def predict(self, X: Any) -> NDArray[Any]:
        """The predicted numbers, shape (rows,), or (rows, outputs) if `y` had several."""
        means = self._means(self._outputs(X))
        return means.reshape(len(means)) if self._flat else means

    def __sklearn_tags__(self) -> Any:
        """Several values a row are supported."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
