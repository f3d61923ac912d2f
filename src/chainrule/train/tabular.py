"""A network for a table: from columns to a trained model, step by step, so that each step can be shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from chainrule import nn, optim
from chainrule.data import (
    CategoryFeature,
    Examples,
    NumericFeature,
    Preparation,
    Table,
    split_rows,
    target_kind,
)
from chainrule.errors import DataError
from chainrule.files import write_atomically
from chainrule.train.callbacks import Best
from chainrule.train.files import OutputFiles
from chainrule.train.gradients import GradientCheck, check_parameters
from chainrule.train.loop import Callback, Epoch, fit
from chainrule.train.model import TableModel, outputs_of
from chainrule.train.model_file import save_model
from chainrule.train.picture import loss_curve
from chainrule.train.settings import Settings, require_affordable
from chainrule.train.tasks import Classification, Evaluation, Regression, task_of

TREATMENTS = {NumericFeature: "the training part's mean", CategoryFeature: "a category of its own"}


@dataclass(eq=False)
class TableTraining:
    """The training of a network on a table; made by `prepare`, then `check_gradients`, `fit`, `model`.

    Everything random comes from the seed of the settings: the same seed, table and settings give the same
    model, bit for bit.

    >>> from chainrule.data import load
    >>> run = TableTraining.prepare(load("iris"), "species", Settings(epochs=20))
    >>> run.summary()
    'iris · 150 rows · 4 features · 3 classes · network 4-8-3 · cross-entropy · Adam'
    >>> interrupted = run.fit()
    >>> len(run.history), run.evaluate().metrics["accuracy"] > 0.8
    (20, True)
    """

    table: Table
    settings: Settings
    preparation: Preparation
    task: Classification | Regression
    network: nn.Sequential
    sizes: tuple[int, ...]
    training: Examples
    validation: Examples
    order: np.random.Generator
    dropped: int
    history: list[Epoch] = field(default_factory=list)
    kept: Epoch | None = None

    @classmethod
    def prepare(cls, table: Table, target: str, settings: Settings) -> TableTraining:
        """Split the table, fit the encodings on the training part, draw the first weights.

        Raises:
            DataError: a table that cannot be learnt from.
        """
        # One stream for each purpose, so that for example other layers leave the split as it was.
        splitting, weights, order = (
            np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(3)
        )
        complete = _with_known_target(table, target)
        kind = target_kind(complete.column(target))
        labels = complete.column(target).as_category().values if kind.kind == "category" else None
        rows = split_rows(complete.rows, settings.validation, splitting, labels)
        part = complete.take(rows.training)
        preparation = Preparation.fit(part, kind.fit(part.column(target)))
        task = task_of(preparation.target)
        sizes = (preparation.inputs, *settings.hidden, task.outputs)
        require_affordable(sizes)
        return cls(
            table=table,
            settings=settings,
            preparation=preparation,
            task=task,
            network=nn.multilayer(sizes, settings.activation, generator=weights),
            sizes=sizes,
            training=preparation.examples_of(part),
            validation=preparation.examples_of(complete.take(rows.validation)),
            order=order,
            dropped=table.rows - complete.rows,
        )

    def summary(self) -> str:
        """One line: the table, the network, the loss, the optimizer."""
        return " · ".join(
            (
                self.table.name,
                f"{self.table.rows} rows",
                f"{len(self.preparation.features)} features",
                self.task.describe(),
                "network " + "-".join(str(size) for size in self.sizes),
                self.task.loss_name,
                optim.rule(self.settings.optimizer).title,
            )
        )

    def notes(self) -> Iterator[str]:
        """What was done about missing values, in sentences."""
        if self.dropped:
            yield f"rows without {self.preparation.target.name} left out: {self.dropped}"
        for kind, treatment in TREATMENTS.items():
            names = [feature.name for feature in self.preparation.features if isinstance(feature, kind)]
            missing = {name: int(self.table.column(name).missing.sum()) for name in names}
            counts = ", ".join(f"{name} {count}" for name, count in missing.items() if count)
            if counts:
                yield f"missing values taken as {treatment}: {counts}"

    def check_gradients(self) -> GradientCheck:
        """Compare the gradient of every parameter, on the first mini-batch, with finite differences.

        Raises:
            GradientMismatch: they differ.
        """
        part = self.training.take(slice(0, self.settings.batch))
        parameters = dict(self.network.named_parameters())
        return check_parameters(lambda: self.task.loss(self.network(part.features), part.targets), parameters)

    def fit(self, callbacks: Iterable[Callback] = ()) -> bool:
        """Train, and keep the weights of the epoch with the lowest validation loss.

        Returns whether Ctrl-C ended it early; before the first epoch is done there is nothing to keep, and
        KeyboardInterrupt is raised as usual.

        Raises:
            DivergedError: the loss became infinite or NaN.
        """
        best = Best(self.network)
        interrupted = False
        try:
            self._fit([self.history.append, best, *callbacks])
        except KeyboardInterrupt:
            if best.epoch is None:
                raise
            interrupted = True
        best.restore()
        self.kept = best.epoch
        return interrupted

    def _fit(self, callbacks: list[Callback]) -> None:
        settings = self.settings
        fit(
            self.network,
            self.training,
            self.validation,
            loss=self.task.loss,
            optimizer=optim.Optimizer(self.network.parameters(), settings.optimizer, rate=settings.rate),
            epochs=settings.epochs,
            batch=settings.batch,
            generator=self.order,
            score=self.task.score,
            callbacks=callbacks,
        )

    def evaluate(self) -> Evaluation:
        """Metrics on the held-out rows, with the baseline's."""
        output = outputs_of(self.network, self.validation.features)
        return self.task.evaluate(output, self.validation.targets, self.training.targets)

    def model(self, metrics: dict[str, float]) -> TableModel:
        """The trained model, with its `metrics`, as it is saved."""
        return TableModel(
            self.table.name,
            self.network,
            self.sizes,
            self.settings.activation,
            self.preparation,
            metrics,
            asdict(self.settings) | {"kept epoch": self.kept.number if self.kept else 0},
        )

    def save(self, files: OutputFiles, evaluation: Evaluation) -> None:
        """Write the model and the loss curve.

        Raises:
            OutputError: a file cannot be written.
        """
        save_model(self.model(evaluation.metrics), files.model)
        title = f"{self.table.name}, network {'-'.join(str(size) for size in self.sizes)}"
        curve = loss_curve(self.history, title, self.task.loss_name, self.kept)
        write_atomically(files.curve, curve.encode())

    def example_row(self) -> list[str]:
        """The cells of a row of the table that lacks none, as `TableModel.predict` takes them."""
        columns = [self.table.column(name) for name in self.preparation.names]
        complete = np.flatnonzero(~np.any([column.missing for column in columns], axis=0))
        row = int(complete[0]) if complete.size else 0
        return [str(column.as_category().take([row]).values[0]) for column in columns]


def _with_known_target(table: Table, target: str) -> Table:
    missing = table.column(target).missing
    if missing.all():
        raise DataError(f"{table.name}: target {target} has no values")
    return table.take(~missing) if missing.any() else table
