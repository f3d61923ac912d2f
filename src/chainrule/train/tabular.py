"""A network for a table: from columns to a trained model, step by step, so that each step can be shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import nn, optim
from chainrule.data import Table, TableFile
from chainrule.errors import ModelFileError
from chainrule.files import write_atomically
from chainrule.train.callbacks import Best, EarlyStopping
from chainrule.train.charts import importance_bars, quality
from chainrule.train.checkpoint import Snapshot, load_checkpoint, save_checkpoint
from chainrule.train.files import OutputFiles, make_folder
from chainrule.train.gradients import GradientCheck, check_parameters
from chainrule.train.importance import permutation_importance
from chainrule.train.linear import MOST_ROWS, ridge, softmax_regression, with_bias
from chainrule.train.model import TableModel, outputs_of
from chainrule.train.model_file import save_model
from chainrule.train.network import table_network
from chainrule.train.parts import Parts, fold_parts, split_table
from chainrule.train.picture import loss_curve, page
from chainrule.train.rates import search_rate
from chainrule.train.settings import AUTO, Settings, require_affordable
from chainrule.train.streaming import stream_parts
from chainrule.train.tasks import Classification, Evaluation, Regression, task_of
from chainrule.train.training import Callback, Epoch, Training

BEST = "best."


@dataclass(eq=False)
class TableTraining:
    """The training of a network on a table; made by `prepare`, then `check_gradients`, `fit`, `evaluate`, `model`.

    Everything random comes from the seed of the settings: the same seed, table and settings give the same
    model, bit for bit.

    >>> from chainrule.data import load
    >>> training = TableTraining.prepare(load("iris"), "species", Settings(epochs=20))
    >>> training.summary()
    'iris · 150 rows · 4 features · 3 classes · network 4-8-3 · cross-entropy · Adam'
    >>> interrupted = training.fit()
    >>> len(training.history), training.evaluate().metrics["accuracy"] > 0.8
    (20, True)
    """

    name: str
    settings: Settings
    parts: Parts
    task: Classification | Regression
    network: nn.Sequential
    sizes: tuple[int, ...]
    run: Training
    kept: Epoch | None = None
    checkpoint: Path | None = None
    checkpoint_every: int = 0
    origin: dict[str, Any] = field(default_factory=dict)
    _resumed: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def prepare(cls, table: Table, target: str, settings: Settings) -> TableTraining:
        """Split the table, fit the encodings on the training part, draw the first weights.

        Raises:
            DataError: a table that cannot be learnt from.
        """
        return cls.of_parts(table.name, split_table(table, target, settings), settings)

    @classmethod
    def streamed(cls, file: TableFile, target: str, settings: Settings) -> TableTraining:
        """The same for a file whose training part stays on disk.

        Raises:
            DataError: a file that cannot be learnt from.
        """
        return cls.of_parts(file.name, stream_parts(file, target, settings), settings)

    @classmethod
    def folds(cls, table: Table, target: str, settings: Settings) -> Iterator[TableTraining]:
        """A training for each fold of cross-validation, which is its test part."""
        return (cls.of_parts(table.name, parts, settings) for parts in fold_parts(table, target, settings))

    @classmethod
    def of_parts(cls, name: str, parts: Parts, settings: Settings) -> TableTraining:
        """A training on parts that are already split."""
        _, weights, order = (np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(3))
        preparation = parts.preparation
        task = task_of(preparation.target)
        sizes = (preparation.inputs, *settings.hidden, task.outputs)
        require_affordable(sizes, preparation.vectors)
        network = table_network(
            sizes,
            settings.activation,
            dense=preparation.dense,
            vectors=preparation.vectors,
            dropout=settings.dropout,
            generator=weights,
        )
        run = Training(
            network,
            parts.training,
            parts.validation,
            task.loss,
            settings.new_optimizer(network.parameters()),
            settings.epochs,
            settings.batch_for(parts.training_rows),
            order,
            task.score,
            optim.schedule(settings.schedule),
            compile=settings.compile,
        )
        return cls(name, settings, parts, task, network, sizes, run)

    @property
    def history(self) -> list[Epoch]:
        """The epochs so far."""
        return self.run.history

    def summary(self) -> str:
        """One line: the table, the network, the loss, the optimizer."""
        count = len(self.parts.preparation.features)
        return " · ".join(
            (
                self.name,
                f"{self.parts.rows} rows",
                f"{count} feature{'s'[: count != 1]}",
                self.task.describe(),
                "network " + "-".join(str(size) for size in self.sizes),
                self.task.loss_name,
                optim.rule(self.settings.optimizer).title,
            )
        )

    def check_gradients(self) -> GradientCheck:
        """Compare the gradient of every parameter, on the first mini-batch, with finite differences.

        Raises:
            GradientMismatch: they differ.
        """
        part = self.parts.sample.take(slice(0, self.run.batch))
        parameters = dict(self.network.named_parameters())
        # Dropout would draw anew for each difference.
        self.network.eval()
        return check_parameters(lambda: self.task.loss(self.network(part.features), *part[1:]), parameters)

    def find_rate(self) -> float | None:
        """The rate, where it is to be searched; None where it is given."""
        if self.settings.rate != AUTO:
            return None
        rate = search_rate(
            self.network,
            self.parts.training,
            self.task.loss,
            lambda rate: self.settings.new_optimizer(self.network.parameters(), rate),
            self.run.batch,
            self.settings.seed,
        )
        self.run.rate = self.run.optimizer.rate = rate
        return rate

    def fit(self, callbacks: Iterable[Callback] = ()) -> bool:
        """Train, and keep the weights of the epoch with the lowest validation loss.

        Returns whether Ctrl-C ended it early; before the first epoch is done there is nothing to keep, and
        KeyboardInterrupt is raised as usual.

        Raises:
            DivergedError: the loss became infinite or NaN.
        """
        best, interrupted = self._best(), False
        snapshot = Snapshot(self.run)
        stopping = self._stopping()
        if stopping.waited < stopping.patience:
            try:
                self.run.run(
                    [best, snapshot, stopping, lambda epoch: self._save_now(epoch, best), *callbacks]
                )
            except KeyboardInterrupt:
                if best.epoch is None:
                    raise
                interrupted = True
                snapshot.restore()
                self._save_checkpoint(best)
        best.restore()
        self.kept = best.epoch
        return interrupted

    def _best(self) -> Best:
        """The best epoch so far, of a run that is continued too."""
        best = Best(self.network)
        if self.history:
            best.epoch = min(self.history, key=lambda epoch: epoch.loss)
            best.state = {
                name.removeprefix(BEST): a for name, a in self._resumed.items() if name.startswith(BEST)
            }
        return best

    def _stopping(self) -> EarlyStopping:
        """Early stopping, as far as it had waited in a run that is continued."""
        stopping = EarlyStopping(self.settings.patience or self.settings.epochs + 1)
        for epoch in self.history:
            stopping(epoch)
        return stopping

    # checkpoints ---------------------------------------------------------------------------------------------

    def _save_now(self, epoch: Epoch, best: Best) -> None:
        if self.checkpoint_every and epoch.number % self.checkpoint_every == 0:
            self._save_checkpoint(best)

    def _save_checkpoint(self, best: Best) -> None:
        if self.checkpoint is not None:
            arrays = {BEST + name: value for name, value in best.state.items()}
            state = self.origin | {"fingerprint": self.parts.fingerprint}
            make_folder(self.checkpoint.parent)
            save_checkpoint(self.run, self.checkpoint, arrays=arrays, settings=state)

    def resume(self, path: str | Path) -> None:
        """Continue from a checkpoint, to the same bits as if the run had not ended there.

        Raises:
            ModelFileError: the checkpoint is damaged, or of another run or other data; this run is unchanged.
        """
        arrays, state = load_checkpoint(self.run, path)
        if state.get("fingerprint") != self.parts.fingerprint:
            raise ModelFileError(
                f"{path}: the data are not those that the run began with, so it cannot go on"
            )
        wanted = {BEST + name: value.shape for name, value in self.network.state_dict().items()}
        if {name: value.shape for name, value in arrays.items()} != wanted:
            raise ModelFileError(f"{path}: the best weights so far are not in it, so it is damaged")
        self._resumed = arrays

    # results ---------------------------------------------------------------------------------------------------

    def evaluate(self) -> Evaluation:
        """Metrics on the test part, beside the baselines'; without one, on the part that chose the epoch."""
        part = self.parts.test or self.parts.validation
        output = outputs_of(self.network, part.features)
        guess, guessed = self.task.guess(part.rows)
        baselines = {self._linear_name(): self._linear_outputs(part.features), guess: guessed}
        return Evaluation(
            "test" if self.parts.test else "validation",
            part.rows,
            self.task.metrics(output, part.targets),
            {name: self.task.metrics(outputs, part.targets) for name, outputs in baselines.items()},
            self.task.confusion(output, part.targets),
            output,
            part.targets,
        )

    def _linear_name(self) -> str:
        vectors = [f.name for f in self.parts.preparation.features if getattr(f, "dimension", 0)]
        return "linear model" + (f" without {', '.join(vectors)}" if vectors else "")

    def _linear_outputs(self, features: Any) -> Any:
        """Of a linear model of the inputs that are numbers, fitted on the training part."""
        dense, sample = self.parts.preparation.dense, self.parts.sample.take(slice(MOST_ROWS))
        inputs = sample.features[:, :dense]
        if isinstance(self.task, Classification):
            weights = softmax_regression(inputs, sample.targets, self.task.outputs)
        else:
            weights = ridge(inputs, sample.targets)
        return with_bias(features[:, :dense]) @ weights

    def importance(self) -> dict[str, float]:
        """By how much the score gets worse without each column, on the rows of `evaluate`."""
        part = self.parts.test or self.parts.validation
        return permutation_importance(
            lambda features: outputs_of(self.network, features), self.parts.preparation, part, self.task
        )

    def model(self, metrics: Mapping[str, float], part: str = "test") -> TableModel:
        """The trained model, with its `metrics` on a part of the rows, as it is saved."""
        return TableModel(
            self.name,
            self.network,
            self.sizes,
            self.settings.activation,
            self.parts.preparation,
            dict(metrics),
            {
                "settings": asdict(self.settings),
                "rate": self.run.rate,
                "epochs": len(self.history),
                "kept epoch": self.kept.number if self.kept else 0,
                "rows": self.parts.rows,
                "metrics of": part,
            },
        )

    def save(
        self,
        files: OutputFiles,
        evaluation: Evaluation,
        importance: Mapping[str, float],
        total: Evaluation | None = None,
    ) -> None:
        """Write the model and the pictures; a checkpoint of this run is no longer needed then.

        The metrics that are saved are those of `total`, of cross-validation, where there is one.

        Raises:
            OutputError: a file cannot be written.
        """
        title = f"{self.name}, network {'-'.join(str(size) for size in self.sizes)}"
        pictures = [
            loss_curve(self.history, title, self.task.loss_name, self.kept),
            quality(evaluation, self.task),
            importance_bars(importance, self.task.score_name),
        ]
        make_folder(files.model.parent)
        write_atomically(files.curve, page(pictures).encode())
        told = total or evaluation
        save_model(self.model(told.metrics, told.part), files.model)

    def example_row(self) -> list[str]:
        """The cells of a row that `TableModel.predict` takes: the first of the training part that lacks none."""
        return list(self.parts.example)
