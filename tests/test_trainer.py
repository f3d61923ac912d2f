"""The trainer beyond the plain loop: weights, accumulation, clipping, schedules, sources, checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from chainrule import nn, optim, train
from chainrule.data import Examples, Mixture
from chainrule.errors import DataError, InputError, ModelFileError, OptionError
from chainrule.tensor import Tensor

rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
Y = rng.normal(size=(30, 2))
WEIGHTS = rng.integers(0, 4, 30).astype(float)


def network(outputs: int = 3, dropout: float = 0.0) -> nn.Sequential:
    return nn.multilayer([4, 5, outputs], "tanh", dropout=dropout, generator=0)


def run_of(
    examples: Examples, loss: Any = nn.cross_entropy, *, dropout: float = 0.0, rule: str = "adam", **options: Any
) -> train.Training:  # fmt: skip
    model = network(2 if loss is nn.mean_squared_error else 3, dropout)
    optimizer = optim.Optimizer(model.parameters(), rule, rate=0.05)
    options = {"epochs": 6, "batch": 7, "order": np.random.default_rng(1)} | options
    return train.Training(model, examples, None, loss, optimizer, **options)


def weights_of(run: train.Training) -> list[Any]:
    return [np.array(p.data) for p in run.optimizer.parameters]


# Weights of rows.


@pytest.mark.parametrize(
    ("loss", "output", "target"),
    [
        (nn.cross_entropy, rng.normal(size=(30, 3)), LABELS),
        (nn.cross_entropy, rng.normal(size=(30, 3)), rng.dirichlet(np.ones(3), 30)),
        (nn.mean_squared_error, rng.normal(size=(30, 2)), Y),
        (nn.binary_cross_entropy_with_logits, rng.normal(size=(30, 1)), (LABELS > 0)[:, None].astype(float)),
    ],
)
def test_a_row_of_weight_two_counts_as_two_rows(loss: Callable[..., Any], output: Any, target: Any) -> None:
    copies = np.repeat(np.arange(30), WEIGHTS.astype(int))
    x, y = Tensor(output, requires_grad=True), Tensor(output, requires_grad=True)
    weighted, repeated = loss(x, target, WEIGHTS), loss(y[copies], target[copies])
    weighted.backward()
    repeated.backward()
    assert float(weighted.item()) == pytest.approx(float(repeated.item()), rel=1e-13)
    np.testing.assert_allclose(x.grad.data, y.grad.data, rtol=1e-12, atol=1e-15)


def test_the_training_loss_is_the_weighted_mean_over_all_rows() -> None:
    run = run_of(Examples(X, LABELS, WEIGHTS), epochs=1, order=None)
    run.optimizer.step = lambda: None  # type: ignore[method-assign]  # so that all batches see one model
    (epoch,) = run.run()
    whole = nn.cross_entropy(run.model(X), LABELS, WEIGHTS)
    assert epoch.training_loss == pytest.approx(float(whole.item()), rel=1e-12)


# Steps.


@pytest.mark.parametrize("weights", [None, WEIGHTS + 0.5])
def test_accumulated_batches_are_one_large_batch(weights: Any) -> None:
    examples = Examples(X, LABELS, weights)
    small = run_of(examples, rule="sgd", batch=4, accumulate=3)
    large = run_of(examples, rule="sgd", batch=12)
    small.run(), large.run()
    for a, b in zip(weights_of(small), weights_of(large), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_clipped_step_is_as_long_as_the_limit_and_keeps_its_direction() -> None:
    def moved(**options: Any) -> Any:
        run = run_of(Examples(X, LABELS), rule="sgd", batch=30, epochs=1, **options)
        before = weights_of(run)
        run.run()
        return np.concatenate([(b - a).ravel() for a, b in zip(before, weights_of(run), strict=True)])

    free, clipped = moved(), moved(clip=0.01)
    assert np.linalg.norm(clipped) == pytest.approx(0.05 * 0.01, rel=1e-12)
    np.testing.assert_allclose(clipped / np.linalg.norm(clipped), free / np.linalg.norm(free), rtol=1e-10)
    np.testing.assert_array_equal(moved(clip=1e6), free)


@pytest.mark.parametrize("name", optim.SCHEDULES)
def test_schedules_start_at_most_at_the_rate_and_stay_above_zero(name: str) -> None:
    run = run_of(Examples(X, LABELS), epochs=20, schedule=optim.schedule(name))
    rates = [epoch.rate for epoch in run.run()]
    assert min(rates) > 0
    assert max(rates) <= 0.05 * (1 + 1e-12)
    assert rates[-1] <= rates[0] or name == "constant"
    assert (len(set(rates)) == 1) == (name == "constant")


@pytest.mark.parametrize("options", [{"clip": 0}, {"clip": -1.0}, {"accumulate": 0}])
def test_amounts_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(options))} must be"):
        run_of(Examples(X, LABELS), **options)


def test_what_is_no_source_and_what_is_no_optimizer_is_refused() -> None:
    run = run_of(Examples(X, LABELS))
    with pytest.raises(DataError, match=r"training part is of type tuple; give data.Examples"):
        train.fit(run.model, (X, LABELS), loss=run.loss, optimizer=run.optimizer)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"optimizer must be an optim.Optimizer.* not 'adam'"):
        train.fit(run.model, run.training, loss=run.loss, optimizer="adam")  # type: ignore[arg-type]


def test_early_stopping_ends_the_training_and_the_best_weights_can_be_restored() -> None:
    run = run_of(Examples(X, LABELS), epochs=500)
    run.validation = Examples(X[:5], (LABELS[:5] + 1) % 3)  # what is learnt makes it worse
    best, stop = train.Best(run.model), train.EarlyStopping(patience=4)  # type: ignore[arg-type]
    history = run.run([best, stop])
    assert best.epoch is not None
    assert len(history) == best.epoch.number + 4
    best.restore()
    assert train.evaluate(run.model, run.validation, run.loss)[0] == best.epoch.validation_loss


# Sources.


def test_a_mixture_goes_through_every_source_and_draws_by_share() -> None:
    sources = [Examples(np.full((n, 1), float(i)), np.full(n, i)) for i, n in enumerate((40, 400))]
    parts = list(Mixture(sources, shares=[1, 3]).batches(2, np.random.default_rng(0)))
    counts = np.bincount([int(part.targets[0]) for part in parts])
    assert counts[0] >= 20 and counts[1] >= 200
    assert 2.2 < counts[1] / counts[0] < 4


def test_a_mixture_without_rows_or_shares_is_refused() -> None:
    rows, none = Examples(X, LABELS), Examples(X[:0], LABELS[:0])
    for sources, shares in (([], None), ([rows], [0.0]), ([rows], [1.0, 2.0]), ([rows, none], None)):
        with pytest.raises(DataError, match="mixture"):
            Mixture(sources, shares)  # type: ignore[arg-type]


def test_any_object_with_batches_is_a_source() -> None:
    class Stream:
        def batches(self, size: int, order: Any = None) -> Any:
            return Examples(X, LABELS).batches(size)

    streamed, plain = run_of(Stream(), order=None), run_of(Examples(X, LABELS), order=None)  # type: ignore[arg-type]
    streamed.run(), plain.run()
    for a, b in zip(weights_of(streamed), weights_of(plain), strict=True):
        np.testing.assert_array_equal(a, b)


# Checkpoints.


@pytest.mark.parametrize("rule", optim.RULES)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_resumed_run_ends_with_the_same_bits(rule: str, dropout: float, tmp_path: Path) -> None:
    options: dict[str, Any] = {"dropout": dropout, "rule": rule, "schedule": optim.schedule("cosine")}
    whole, first, second = (run_of(Examples(X, LABELS), **options) for _ in range(3))
    whole.run()
    first.run([lambda epoch: epoch.number == 3])
    train.save_checkpoint(first, tmp_path / "a.safetensors", arrays={"best": X}, settings={"name": "ü"})
    second.model.load_state_dict({n: v + 1 for n, v in second.model.state_dict().items()})  # type: ignore
    arrays, settings = train.load_checkpoint(second, tmp_path / "a.safetensors")
    assert settings == {"name": "ü"}
    np.testing.assert_array_equal(arrays["best"], X)
    assert len(second.run()) == 6
    assert [(e.number, e.training_loss, e.rate) for e in second.history] == [
        (e.number, e.training_loss, e.rate) for e in whole.history
    ]
    for a, b in zip(weights_of(second), weights_of(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_function_with_parameters_can_be_continued_too(tmp_path: Path) -> None:
    def new() -> train.Training:
        w = Tensor(np.zeros((4, 2)), requires_grad=True)
        optimizer = optim.Optimizer([w], "sgd", rate=0.1, momentum=0.9)
        return train.Training(lambda x: x @ w, Examples(X, Y), None, nn.mean_squared_error, optimizer, 6)  # type: ignore

    whole, first, second = new(), new(), new()
    whole.run()
    first.run([lambda epoch: epoch.number == 2])
    train.save_checkpoint(first, tmp_path / "a.safetensors")
    train.load_checkpoint(second, tmp_path / "a.safetensors")
    second.run()
    np.testing.assert_array_equal(weights_of(second)[0], weights_of(whole)[0])


def _changed(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        (key,) = file.metadata()
        record = json.loads(file.metadata()[key])
    change(record, arrays)
    save_file(arrays, path, {key: json.dumps(record)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, a: r.update(version=99), "checkpoint format 99"),
        (lambda r, a: r.pop("rate"), "rate is missing"),
        (lambda r, a: r.update(history=[[1, 2]]), "an epoch in its history"),
        (lambda r, a: r["history"][0].__setitem__(2, "low"), "training_loss of an epoch"),
        (lambda r, a: r["generators"]["order"].update(state={"state": -1, "inc": 1}), "generator 'order'"),
        (lambda r, a: r["generators"].clear(), "its random generators differ"),
        (lambda r, a: a.pop("model.0.weight"), "checkpoint of another run"),
        (lambda r, a: a.pop("optimizer.0.mean"), "checkpoint of another run"),
        (lambda r, a: a.update({"model.0.weight": np.ones((4, 6))}), "checkpoint of another run"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_run_unchanged(
    change: Callable[[dict[str, Any], dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    first, second = run_of(Examples(X, LABELS)), run_of(Examples(X, LABELS))
    first.run([lambda epoch: epoch.number == 2])
    train.save_checkpoint(first, tmp_path / "a.safetensors")
    _changed(tmp_path / "a.safetensors", change)
    before, state = weights_of(second), second.order.bit_generator.state  # type: ignore[union-attr]
    with pytest.raises(ModelFileError, match=message):
        train.load_checkpoint(second, tmp_path / "a.safetensors")
    assert second.history == [] and second.order.bit_generator.state == state  # type: ignore[union-attr]
    assert second.optimizer.states[0]["step"] == 0
    for a, b in zip(weights_of(second), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    run = run_of(Examples(X, LABELS))
    (tmp_path / "text.safetensors").write_text("no")
    save_file({"a": X}, tmp_path / "other.safetensors")
    for name, message in (("text", "damaged"), ("other", "no checkpoint"), ("missing", "damaged, missing")):
        with pytest.raises(ModelFileError, match=message):
            train.load_checkpoint(run, tmp_path / f"{name}.safetensors")
