"""What both estimators share: the parameters of scikit-learn's MLP, fitting, stopping, state."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from chainrule import nn, ops, optim
from chainrule.errors import OptionError
from chainrule.estimators import likewise
from chainrule.estimators.inputs import checked_inputs, examples_of
from chainrule.modes import no_grad
from chainrule.optim.rules import typed_as
from chainrule.tensor import Tensor
from chainrule.train import Epoch, Training

ACTIVATIONS = {"logistic": "sigmoid"}
"""scikit-learn's names where they differ from those of `nn.ACTIVATIONS`."""

LARGEST_BATCH = 200
CHUNK = 4096
"""How many rows of a sparse matrix are dense at a time when predicting."""


def _goes_by_mini_batches(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError("solver='lbfgs' takes all rows in every step, and has no partial_fit")
    return True


class Network(CallbackSupportMixin, BaseEstimator):
    """The fitting of a network; subclasses say what the targets are."""

    # what subclasses say -----------------------------------------------------------------------------------

    def _encoded_targets(self, y: Any, classes: Any, reset: bool) -> NDArray[Any]:
        """The targets as the loss takes them; learns classes and the number of outputs."""
        raise NotImplementedError

    def _loss(self) -> Callable[..., Tensor]:
        """A function (output, targets, weights) that depends on nothing else: code compiled with it is kept."""
        raise NotImplementedError

    def _weights_of_classes(self, y: Any) -> NDArray[Any] | None:
        return None

    def _score_of(self, outputs: NDArray[Any], targets: NDArray[Any], weights: Any) -> float:
        raise NotImplementedError

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        return None

    # fitting -----------------------------------------------------------------------------------------------

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on `X` of shape (rows, features) and `y`; a row of weight 2 counts as two rows.

        With `warm_start`, training goes on from the weights of the last call. Its curves, its best loss and what it
        waits for an improvement begin anew; those of scikit-learn's MLP go on.
        """
        self._check_parameters()
        if self.solver == "lbfgs" and self.early_stopping:
            raise ValueError("solver='lbfgs' takes all rows in every step and has no early stopping")
        goes_on = bool(self.warm_start and hasattr(self, "network_"))
        X, targets, weights = self._checked(X, y, sample_weight, reset=not goes_on, classes=None)
        self._random = check_random_state(self.random_state)
        if not goes_on:
            self._new_network(X)
        self._forget_history()
        part, held_out = (
            self._split(X, targets, weights) if self.early_stopping else ((X, targets, weights), None)
        )
        if self.solver == "lbfgs":
            self._fit_lbfgs(*part)
        else:
            self._optimizer = self._new_optimizer()
            self._fit_steps(part, held_out)
        return self

    @available_if(_goes_by_mini_batches)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One pass over some rows; the state of the optimizer is kept from call to call.

        `classes` names all classes there will be, in the first call of a classifier; a regressor has none.
        """
        self._check_parameters()
        if self.early_stopping:
            raise ValueError(
                "partial_fit does one pass over some rows, of which early_stopping=True holds none out"
            )
        first = not hasattr(self, "network_")
        X, targets, weights = self._checked(X, y, sample_weight, reset=first, classes=classes)
        self._random = check_random_state(self.random_state)
        if first:
            self._new_network(X)
            self._forget_history()
        if not hasattr(self, "_optimizer"):
            self._optimizer = self._new_optimizer()
        run = self._training((X, targets, weights), epochs=1)
        self._note(run.run()[0])
        return self

    def _check_parameters(self) -> None:
        """Refuse what no training could mean; layers and update rules check the rest."""
        choices = {
            "solver": (*optim.RULES, "lbfgs"),
            "learning_rate": (*optim.SCHEDULES, "invscaling", "adaptive"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise OptionError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(known)}")
        if not self.alpha >= 0:
            raise OptionError(f"alpha={self.alpha!r}: the penalty on weights must be at least 0")
        if self.batch_size != "auto" and not self.batch_size >= 1:
            raise OptionError(f"batch_size={self.batch_size!r}: give 'auto' or a number of rows, at least 1")

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, classes: Any
    ) -> tuple[Any, NDArray[Any], NDArray[Any] | None]:
        """The inputs as a matrix, the targets, and the weights of rows; None where all rows count alike."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: give the values to learn"
            )
        X = checked_inputs(self, X, reset=reset)
        check_consistent_length(X, y)
        targets = self._encoded_targets(y, classes, reset)
        if targets.dtype.kind == "f":
            targets = targets.astype(X.dtype, copy=False)
        weights = self._weights_of_classes(y)
        if sample_weight is not None:
            given = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
            weights = given if weights is None else weights * given
        if weights is None:
            return X, targets, None
        weights = weights.astype(X.dtype, copy=False)
        kept = weights > 0
        return (X, targets, weights) if kept.all() else (X[kept], targets[kept], weights[kept])

    def _new_network(self, X: Any) -> None:
        hidden = self.hidden_layer_sizes
        hidden = [hidden] if isinstance(hidden, int | np.integer) else list(hidden)
        several = [self.activation] if isinstance(self.activation, str) else list(self.activation)
        names = several * len(hidden) if isinstance(self.activation, str) else several
        sizes = [X.shape[1], *hidden, self._outputs_needed()]
        self.network_ = nn.multilayer(
            sizes,
            [ACTIVATIONS.get(name, name) for name in names],
            dropout=self.dropout,
            generator=self._random.randint(np.iinfo(np.int32).max) if self.dropout else 0,
            dtype=X.dtype,
        )
        drawn = likewise.first_weights(self._random, sizes, names or several, X.dtype)
        for layer, (weight, bias) in zip(self._layers(), drawn, strict=True):
            layer.weight.data, layer.bias.data = weight, bias  # type: ignore[union-attr]
        self.n_layers_ = len(hidden) + 2

    def _outputs_needed(self) -> int:
        return int(self.n_outputs_)

    def _new_optimizer(self) -> optim.Optimizer:
        options: dict[str, Any] = {}
        if self.solver == "sgd" and self.momentum:
            options = {"momentum": self.momentum, "nesterov": bool(self.nesterovs_momentum)}
        elif self.solver in ("adam", "adamw"):
            options = {"beta1": self.beta_1, "beta2": self.beta_2, "epsilon": self.epsilon}
        return optim.Optimizer(
            self.network_.parameters(),
            likewise.RULES.get(self.solver) or optim.rule(self.solver),
            rate=float(self.learning_rate_init),
            **options,
        )

    def _forget_history(self) -> None:
        self.n_iter_ = self.t_ = 0
        self.loss_curve_: list[float] = []
        self.best_loss_: float | None = None if self.early_stopping else math.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_: float | None = None
        self.history_: dict[str, list[float]] = {"loss": [], "rate": [], "seconds": []}
        if self.early_stopping:
            self.history_["validation_score"] = []

    def _split(self, X: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
        """The rows to train on, and those held out to decide when to stop."""
        arrays = [X, targets, *([] if weights is None else [weights])]
        parts = train_test_split(
            *arrays,
            random_state=self._random,
            test_size=self.validation_fraction,
            stratify=self._strata(targets),
        )
        training, held_out = parts[::2], parts[1::2]
        if held_out[0].shape[0] < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {X.shape[0]} rows holds out less than two: raise "
                f"it, or switch early_stopping off"
            )
        return tuple([*training, None][:3]), tuple([*held_out, None][:3])

    def _training(self, part: tuple[Any, Any, Any], epochs: int) -> Training:
        rows = part[0].shape[0]
        batch = min(LARGEST_BATCH if self.batch_size == "auto" else self.batch_size, rows)
        return Training(
            self.network_,
            examples_of(*part),
            None,
            self._penalised_loss(),
            self._optimizer,
            epochs=epochs,
            batch=batch,
            order=likewise.Order(self._random) if self.shuffle else None,
            schedule=self._schedule(rows, epochs),
            compile=self.compile,
            described=self._described(part),
        )

    def _described(self, part: tuple[Any, Any, Any]) -> Any:
        """All that the network and its loss depend on, but for the numbers in it."""
        layers = tuple((type(module), repr(module)) for module in self.network_)
        arrays = tuple(None if array is None else (array.shape[1:], array.dtype) for array in part)
        return layers, self._loss(), self.alpha > 0, arrays

    def _penalised_loss(self) -> Penalised:
        return Penalised(self._loss(), self._layers(), {"alpha": float(self.alpha)} if self.alpha else {})

    def _schedule(self, rows: int, epochs: int) -> optim.Schedule:
        name = self._schedule_name()
        if name == "adaptive":
            return optim.schedule("constant")  # `_Stopping` lowers it
        if name == "invscaling":
            return lambda done: float(1 / (1 + round(done * epochs) * rows) ** self.power_t)
        return optim.schedule(name)

    def _schedule_name(self) -> str:
        """`learning_rate`, of which scikit-learn's own choices are not for Adam."""
        ignored = self.solver == "adam" and self.learning_rate in ("invscaling", "adaptive")
        return "constant" if ignored else self.learning_rate

    def _fit_steps(self, part: tuple[Any, Any, Any], held_out: tuple[Any, Any, Any] | None) -> None:
        run = self._training(part, self.max_iter)
        stopping = _Stopping(self, run, held_out)
        data = {"estimator": self, "X": part[0], "y": part[1]}
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(**data)

        def task(epoch: Epoch) -> bool:
            inner = context.subcontext(task_name="epoch")
            inner.call_on_fit_task_begin(**data)
            attributes = self._fitted_attributes
            return bool(inner.call_on_fit_task_end(**data, reconstruction_attributes=attributes))

        tasks = [task] if getattr(self, "_skl_callbacks", None) else []
        try:
            run.run([stopping, *self.callbacks, *tasks])
        except KeyboardInterrupt:
            warnings.warn(
                "training was interrupted; the weights are those of the last finished step", stacklevel=2
            )
        stopping.finish()
        context.call_on_fit_task_end(**data, reconstruction_attributes=self._fitted_attributes)

    def _fitted_attributes(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def _note(self, epoch: Epoch) -> None:
        self.n_iter_ += 1
        self.loss_ = epoch.training_loss
        self.loss_curve_.append(self.loss_)
        for name, value in (("loss", self.loss_), ("rate", epoch.rate), ("seconds", epoch.seconds)):
            self.history_[name].append(value)

    def _fit_lbfgs(self, X: Any, targets: Any, weights: Any) -> None:
        """All rows in every step, by SciPy's L-BFGS-B."""
        parameters, loss = self.network_.parameters(), self._penalised_loss()
        features = X if isinstance(X, np.ndarray) else X.toarray()
        sizes = np.cumsum([parameter.size for parameter in parameters])[:-1]

        def put(flat: NDArray[Any]) -> None:
            for parameter, values in zip(parameters, np.split(flat, sizes), strict=True):
                parameter.data = values.reshape(parameter.shape).astype(parameter.dtype)

        def value_and_gradient(flat: NDArray[Any]) -> tuple[float, NDArray[Any]]:
            put(flat)
            for parameter in parameters:
                parameter.grad = None
            value = loss(self.network_.train()(features), targets, weights)
            value.backward()
            gradients = [np.zeros(p.shape) if p.grad is None else p.grad.data for p in parameters]
            gradient = np.concatenate([g.ravel() for g in gradients]).astype(np.float64)
            self.loss_curve_.append(float(value.item()))
            return self.loss_curve_[-1], gradient

        start = np.concatenate([p.data.ravel() for p in parameters]).astype(np.float64)
        limits = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        found = minimize(value_and_gradient, start, method="L-BFGS-B", jac=True, options=limits)
        put(found.x)
        self.n_iter_, self.loss_, self.best_loss_ = int(found.nit), float(found.fun), float(found.fun)
        self.history_["loss"] = list(self.loss_curve_)
        if not found.success and found.status == 1:
            self._warn_not_converged()

    def _warn_not_converged(self) -> None:
        warnings.warn(
            f"max_iter={self.max_iter} was reached before the loss stopped falling; give a larger max_iter, or a "
            f"larger learning_rate_init than {self.learning_rate_init}",
            ConvergenceWarning,
            stacklevel=5,
        )

    # predicting --------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> NDArray[Any]:
        """The network's outputs, shape (rows, outputs)."""
        check_is_fitted(self)
        return self._outputs_of(checked_inputs(self, X, reset=False))

    def _outputs_of(self, X: Any) -> NDArray[Any]:
        network = self.network_
        network.eval()
        with no_grad(), np.errstate(over="ignore"):
            if isinstance(X, np.ndarray):
                out: NDArray[Any] = network(X).data
                return out
            starts = range(0, X.shape[0], CHUNK)
            return np.concatenate([network(X[i : i + CHUNK].toarray()).data for i in starts])

    # what scikit-learn's MLP shows ---------------------------------------------------------------------------

    def _layers(self) -> list[nn.Linear]:
        return [module for module in self.network_ if isinstance(module, nn.Linear)]

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """The matrices of the layers, shape (inputs, outputs) each."""
        return [layer.weight.data for layer in self._layers()]

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        """The biases of the layers."""
        return [layer.bias.data for layer in self._layers() if layer.bias is not None]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.categorical_features is None
        tags.input_tags.categorical = self.categorical_features is not None
        return tags


@dataclass(frozen=True, eq=False)
class Penalised:
    """A loss with half of alpha times the squared weights (not the biases), spread over the rows.

    Attributes:
        loss: the mean over a mini-batch, without the penalty.
        layers: those with weights.
        numbers: alpha; nothing for no penalty. Native code is called with it, so that it serves any alpha.
    """

    loss: Callable[..., Tensor]
    layers: list[nn.Linear]
    numbers: dict[str, float]

    def __call__(self, output: Any, targets: Any, weights: Any = None, alpha: Any = None) -> Tensor:
        """The mean over a mini-batch."""
        value = self.loss(output, targets, weights)
        if not self.numbers:
            return value
        half = 0.5 * (self.numbers["alpha"] if alpha is None else typed_as(output, alpha))
        factor = half / (len(targets) if weights is None else ops.sum(weights))
        for layer in self.layers:  # read here: a compiled step puts its own parameters into them
            value = value + factor * ops.sum(layer.weight * layer.weight)
        return value


class _Stopping:
    """The callback that decides when a fit ends, by scikit-learn's rule, and keeps the best weights."""

    def __init__(self, estimator: Network, run: Training, held_out: tuple[Any, Any, Any] | None) -> None:
        self.estimator, self.run, self.held_out = estimator, run, held_out
        self.waited, self.best, self.converged = 0, -math.inf, False
        self.state: dict[str, NDArray[Any]] | None = None

    def __call__(self, epoch: Epoch) -> bool:
        estimator = self.estimator
        estimator._note(epoch)
        estimator.t_ += self.rows
        merit = -epoch.training_loss if self.held_out is None else self._validation_score()
        self.waited = self.waited + 1 if merit < self.best + estimator.tol else 0
        if merit > self.best:
            self._keep(merit)
        if estimator.verbose:
            shown = "" if self.held_out is None else f", validation score {merit:.6f}"
            print(f"epoch {epoch.number}, loss {epoch.training_loss:.8f}{shown}")
        if self.waited > estimator.n_iter_no_change:
            self.converged = not self._lowered_rate()
            self.waited = 0
        return self.converged

    def epochs_ahead(self) -> float:
        """How many epochs pass before the training could end, or somebody looks at the weights."""
        return 1 if self.held_out else self.estimator.n_iter_no_change + 1 - self.waited

    @property
    def rows(self) -> int:
        """How many rows an epoch has."""
        return int(self.run.training.features.shape[0])  # type: ignore[attr-defined]

    def _validation_score(self) -> float:
        assert self.held_out is not None
        assert self.estimator.validation_scores_ is not None
        X, targets, weights = self.held_out
        score = self.estimator._score_of(self.estimator._outputs_of(X), targets, weights)
        self.estimator.validation_scores_.append(score)
        self.estimator.history_["validation_score"].append(score)
        return score

    def _keep(self, merit: float) -> None:
        self.best = merit
        if self.held_out is None:
            self.estimator.best_loss_ = -merit
        else:
            self.estimator.best_validation_score_ = merit
            self.state = self.estimator.network_.state_dict()

    def _lowered_rate(self) -> bool:
        """Whether training goes on at a fifth of the rate: learning_rate='adaptive'."""
        if self.estimator._schedule_name() != "adaptive" or self.run.rate <= 1e-6:
            return False
        self.run.rate /= 5
        return True

    def finish(self) -> None:
        """Restore the best weights, and warn where the loss was still falling."""
        if self.state is not None:
            self.estimator.network_.load_state_dict(self.state)
        if not self.converged and len(self.run.history) == self.run.epochs:
            self.estimator._warn_not_converged()
