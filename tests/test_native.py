"""Training as native code: the same as in NumPy, to rounding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import nn, ops, optim, train
from chainrule.data import Examples
from chainrule.errors import DataError, InputError, OptionError, UnsupportedError
from chainrule.tensor import Tensor
from chainrule.train import native, noise
from chainrule.train.network import table_network

pytest.importorskip("llvmlite")
rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(70, 4)), rng.integers(0, 3, 70)
WEIGHTS = rng.uniform(0.5, 2, 70)


def run_of(
    native_code: str, rule: str = "adam", weights: Any = None, dtype: Any = np.float64, **options: Any
) -> Any:
    model = nn.multilayer([4, 5, 3], "tanh", generator=0, dtype=dtype)
    optimizer = optim.Optimizer(model.parameters(), rule, rate=0.05, **options.pop("rule_options", {}))
    options = {"epochs": 4, "batch": 16, "order": np.random.default_rng(1)} | options
    examples = Examples(X.astype(dtype), LABELS, weights)
    return train.Training(model, examples, None, nn.cross_entropy, optimizer, compile=native_code, **options)


def assert_same(first: Any, second: Any, tolerance: float = 1e-12) -> None:
    for a, b in zip(first.history, second.history, strict=True):
        assert a.training_loss == pytest.approx(b.training_loss, rel=tolerance)
    for p, q in zip(first.optimizer.parameters, second.optimizer.parameters, strict=True):
        assert p.dtype == q.dtype
        np.testing.assert_allclose(p.data, q.data, rtol=tolerance, atol=tolerance)
    for s, t in zip(first.optimizer.states, second.optimizer.states, strict=True):
        assert s.keys() == t.keys()
        for name in s:
            np.testing.assert_allclose(s[name], t[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rule", optim.RULES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_every_rule_takes_the_same_steps(rule: str, dtype: Any, tolerance: float) -> None:
    runs = [run_of(choice, rule, dtype=dtype) for choice in ("no", "yes")]
    for run in runs:
        run.run()
    assert_same(*runs, tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {"weights": WEIGHTS},
        {"clip": 0.05},
        {"schedule": optim.schedule("cosine")},
        {"order": None, "batch": 70},
        {"batch": 100},
        {"rule": "sgd", "rule_options": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_of_a_run_mean_the_same(options: dict[str, Any]) -> None:
    runs = []
    for native_code in ("no", "yes"):
        order = {"order": np.random.default_rng(1)} if "order" not in options else {}
        runs.append(run_of(native_code, **options | order))
        runs[-1].run()
    assert_same(*runs)


def test_weights_that_a_callback_puts_back_are_taken_over() -> None:
    runs = []
    for native_code in ("no", "yes"):
        run = run_of(native_code)
        state = run.model.state_dict()
        run.run([lambda e, run=run, state=state: run.model.load_state_dict(state) if e.number == 2 else None])
        runs.append(run)
    assert_same(*runs)


def test_a_native_run_is_continued_to_the_same_bits(tmp_path: Path) -> None:
    whole, first, second = run_of("yes"), run_of("yes"), run_of("yes")
    whole.run()
    first.run([lambda epoch: epoch.number == 2])
    train.save_checkpoint(first, tmp_path / "a.safetensors")
    train.load_checkpoint(second, tmp_path / "a.safetensors")
    second.run()
    for p, q in zip(whole.optimizer.parameters, second.optimizer.parameters, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_after_training_the_weights_are_nobody_elses() -> None:
    run = run_of("yes")
    run.run()
    before = [p.data for p in run.optimizer.parameters]
    kept = [a.copy() for a in before]
    run.epochs = 6
    run.run()
    for a, b in zip(before, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_interrupted_run_has_the_weights_of_the_last_epoch() -> None:
    run, whole = run_of("yes"), run_of("yes", epochs=2)

    def interrupt(epoch: train.Epoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run([interrupt])
    whole.run()
    assert_same(run, whole)


@pytest.mark.parametrize("elements", [False, True], ids=["the Tensor", "its elements"])
def test_a_loss_that_sees_the_first_weights_for_ever_is_refused_or_done_in_numpy(
    elements: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "WORTH", 0.0)
    runs = {choice: run_of("no") for choice in ("no", "auto", "yes")}
    for choice, run in runs.items():
        weight = run.model[0].weight
        weight = weight.data if elements else weight

        def loss(output: Any, targets: Any, weight: Any = weight) -> Any:
            return nn.cross_entropy(output * weight[0, :3], targets)

        runs[choice] = train.Training(
            run.model,
            run.training,
            None,
            loss,
            run.optimizer,
            3,
            16,
            np.random.default_rng(1),
            compile=choice,
        )
    with pytest.raises(UnsupportedError, match="read it from the model"):
        runs["yes"].run()
    assert len(runs["auto"].run()) == len(runs["no"].run()) == 3
    assert runs["auto"]._native is None
    assert_same(runs["auto"], runs["no"], 0)


def test_a_step_that_llvm_cannot_compile_is_done_in_numpy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from chainrule.graph.emit.llvm import making

    def broken(*_: Any) -> bytes:
        raise RuntimeError("no such register")

    monkeypatch.setattr(native, "WORTH", 0.0)
    monkeypatch.setattr(making, "object_code", broken)
    monkeypatch.setattr(making, "_KNOWN", {})
    monkeypatch.setenv("CHAINRULE_CACHE", "no")
    runs = [run_of("no"), run_of("auto")]
    for run in runs:
        run.run()
    assert "could not be compiled: no such register" in caplog.text
    assert_same(*runs, 0)
    with pytest.raises(RuntimeError, match="no such register"):
        run_of("yes").run()


def test_a_penalty_that_reads_the_weights_from_the_model_is_right() -> None:
    runs = []
    for native_code in ("no", "yes"):
        run = run_of(native_code)
        model = run.model
        run = train.Training(
            model, run.training, None, lambda z, y, model=model: nn.cross_entropy(z, y) + (model[0].weight ** 2).sum(),
            run.optimizer, 3, 16, compile=native_code,
        )  # fmt: skip
        run.run()
        runs.append(run)
    assert_same(*runs)


def test_what_cannot_be_native_is_refused_with_the_reason_or_done_in_numpy() -> None:
    class Jittering(nn.Module):
        def __init__(self) -> None:
            self.inner, self.generator = nn.Linear(4, 3, generator=0), np.random.default_rng(0)

        def forward(self, x: Any) -> Any:
            return self.inner(x) + self.generator.normal()

    w = Tensor(np.zeros((4, 3)), requires_grad=True)

    class Stream:
        def batches(self, size: int, order: Any = None) -> Any:
            return Examples(X, LABELS).batches(size)

    plain = nn.multilayer([4, 5, 3], generator=0)
    for model, source, options, message in (
        (
            Jittering(),
            Examples(X, LABELS),
            {},
            "Jittering draws random numbers in a way that native code does not",
        ),
        (
            Sideways(),
            Examples(X, LABELS),
            {},
            r"Dropout\(0.5\) draws numbers of shape \(4, 2\), not some for each of 2",
        ),
        (lambda x: x @ w, Examples(X, LABELS), {}, "make it an nn.Module"),
        (plain, Stream(), {}, "its rows are not arrays in memory: Stream has no"),
        (plain, Examples(X, LABELS), {"accumulate": 2}, "accumulates gradients"),
    ):
        parameters = model.parameters() if isinstance(model, nn.Module) else [w]
        arguments = (model, source, None, nn.cross_entropy, optim.Optimizer(parameters), 2, 16)
        with pytest.raises(OptionError, match=message):
            train.Training(*arguments, compile="yes", **options)  # type: ignore[arg-type]
        assert len(train.Training(*arguments, **options).run()) == 2  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="compile='maybe': choose one of auto, yes, no"):
        run_of("maybe")


class Sideways(nn.Module):
    """Drops features of all rows alike, which is no matter of single rows."""

    def __init__(self) -> None:
        self.inner, self.dropout = nn.Linear(4, 3, generator=0), nn.Dropout(0.5, generator=0)

    def forward(self, x: Any) -> Any:
        return self.inner(ops.matrix_transpose(self.dropout(ops.matrix_transpose(x))))


@pytest.mark.parametrize("room", [1 << 20, 2000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dropout_draws_the_numbers_that_it_draws_in_numpy(
    room: int, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "MOST_BYTES", room)

    def run(compiled: str) -> train.Training:
        # Two layers that share a generator, and one of its own; the last mini-batch has fewer rows.
        model = nn.Sequential(
            *nn.multilayer([4, 12, 8, 3], "tanh", dropout=0.3, generator=0, dtype=dtype), nn.Dropout(0.1, 5)
        )
        data, optimizer = (
            Examples(X.astype(dtype), LABELS),
            optim.Optimizer(model.parameters(), "adam", rate=0.01),
        )
        order = np.random.default_rng(1)
        return train.Training(model, data, data, nn.cross_entropy, optimizer, 6, 16, order, compile=compiled)

    runs = run("yes"), run("no")
    for one in runs:
        one.run()
    assert runs[0].is_native
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    for mine, expected in zip(*(one.model.parameters() for one in runs), strict=True):  # type: ignore[attr-defined]
        np.testing.assert_allclose(mine.data, expected.data, rtol=tolerance, atol=tolerance)
    states = [
        [m.generator.bit_generator.state for m in one.model.modules() if isinstance(m, nn.Dropout)]
        for one in runs
    ]  # type: ignore[attr-defined]
    assert states[0] == states[1], "the next epoch goes on with the same numbers"


def test_a_module_with_dropout_is_looped_with_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "MOST_BYTES", 100)
    model = nn.multilayer([4, 6, 3], "tanh", dropout=0.2, generator=0)
    loop = train.loop(nn.cross_entropy, optim.Optimizer(model.parameters(), "adam", rate=0.05), model)
    losses = [loop.run((X, LABELS), epochs=10, batch_size=size, shuffle=0) for size in (8, 64, 8, 10_000)]
    assert [len(one) for one in losses] == [10 * -(-len(X) // size) for size in (8, 64, 8, 10_000)]
    assert losses[2].mean() < losses[0][:10].mean()


def test_learned_vectors_of_categories_train_as_in_numpy() -> None:
    draw = np.random.default_rng(0)
    rows = np.c_[draw.normal(size=(90, 2)), draw.integers(0, 20, 90), draw.integers(0, 30, 90)]
    data = Examples(rows, np.sin(rows[:, 2:3]) + rows[:, :1])
    runs = []
    for compiled in ("yes", "no"):
        model = table_network(
            (11, 8, 1), "tanh", dense=2, vectors=[(20, 4), (30, 5)], dropout=0.1, generator=0
        )
        optimizer = optim.Optimizer(model.parameters(), "adamw", rate=0.02)
        order = np.random.default_rng(0)
        runs.append(
            train.Training(
                model, data, None, nn.mean_squared_error, optimizer, 15, 16, order, compile=compiled
            )
        )
        runs[-1].run()
    assert runs[0]._native is not None
    assert runs[0]._native.loop._step(16).kernel.is_native, "nothing is left to NumPy"
    assert_same(*runs)


def test_a_number_of_a_category_that_is_not_there_is_an_error_in_native_code() -> None:
    model = table_network((3, 1), "tanh", dense=0, vectors=[(4, 3)], generator=0)
    optimizer = optim.Optimizer(model.parameters(), "sgd")
    data = Examples(np.full((8, 1), 4.0), np.ones((8, 1)))
    with pytest.raises(IndexError, match="out of bounds"):
        train.Training(model, data, None, nn.mean_squared_error, optimizer, 1, 8, compile="yes").run()


def test_native_code_is_chosen_by_the_amount_of_work() -> None:
    assert not native.Network().pays(run_of("no").optimizer, 100, 100, 100)
    assert native.Network().pays(run_of("no").optimizer, 100, 1, 1000)
    # As many steps, of more rows.
    assert [native.Network().pays(run_of("no").optimizer, 1000 * n, n, 1) for n in (1, 1000)] == [False, True]
    assert run_of("auto")._native is None
    assert run_of("auto", epochs=100_000)._native is not None


# train.loop ---------------------------------------------------------------------------------------------------


def squared(params: Any, x: Any, y: Any) -> Any:
    return ((np.tanh(x @ params["W"] + params["b"]) - y) ** 2).mean()


@pytest.mark.parametrize("rule", optim.RULES)
def test_a_function_of_parameters_is_trained_as_by_hand(rule: str) -> None:
    params = {"W": rng.normal(size=(4, 2)), "b": np.zeros(2)}
    y = rng.normal(size=(70, 2))
    fitting = train.loop(squared, rule, params, rate=0.05)
    losses = fitting.run((X, y), epochs=3, batch_size=32, shuffle=5)
    order, made = np.random.default_rng(5), optim.rule(rule)
    tensors = {name: Tensor(value, requires_grad=True) for name, value in params.items()}
    optimizer, expected = optim.Optimizer(tensors.values(), rule, rate=0.05), []
    for _ in range(3):
        drawn = order.permutation(70)
        for rows in (drawn[:32], drawn[32:64], drawn[64:]):
            optimizer.zero_grad()
            value = squared(tensors, X[rows], y[rows])
            value.backward()
            optimizer.step()
            expected.append(float(value.item()))
    assert made.title
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(fitting.params[name], tensor.data, rtol=1e-12)


def test_a_loop_goes_on_where_it_was_and_takes_other_data() -> None:
    start = {"W": np.zeros((4, 2)), "b": np.zeros(2)}
    y = rng.normal(size=(70, 2))
    once, twice = train.loop(squared, "adam", start), train.loop(squared, "adam", start)
    once.run((X, y), epochs=4, batch_size=35)
    twice.run((X, y), epochs=2, batch_size=35)
    twice.run((X.copy(), y), epochs=2, batch_size=35)
    np.testing.assert_array_equal(once.params["W"], twice.params["W"])
    np.testing.assert_array_equal(start["W"], 0)


def test_a_module_is_trained_in_place() -> None:
    runs = [run_of("no", epochs=3), run_of("no", epochs=3)]
    runs[0].run()
    run = runs[1]
    losses = train.loop(nn.cross_entropy, run.optimizer, run.model).run(
        (X, LABELS), epochs=3, batch_size=16, shuffle=np.random.default_rng(1)
    )
    assert losses.shape == (15,)
    for p, q in zip(runs[0].optimizer.parameters, run.optimizer.parameters, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12, atol=1e-14)


def test_loops_that_make_no_sense_are_refused() -> None:
    model = nn.Linear(4, 3)
    with pytest.raises(InputError, match=r"needs optim.Optimizer\(model.parameters"):
        train.loop(nn.cross_entropy, "adam", model)
    with pytest.raises(InputError, match="needs the name of an update rule"):
        train.loop(squared, optim.Optimizer(model.parameters()), {"W": X})
    with pytest.raises(OptionError, match="Adam has no option 'momentum'"):
        train.loop(squared, "adam", {"W": X}, momentum=0.9)
    with pytest.raises(OptionError, match="the learning rate must be a number above 0"):
        train.loop(squared, "adam", {"W": X}, rate=lambda step: 0.1)  # type: ignore[arg-type]
    for fitting in (
        train.loop(squared, "adam", {"W": X}),
        train.loop(nn.cross_entropy, optim.Optimizer(model.parameters()), model),
    ):
        with pytest.raises(OptionError, match="batch_size must be an integer of at least 1, not 0"):
            fitting.run((X, X), batch_size=0)
    with pytest.raises(DataError, match="one part is of type list; convert it with np.asarray"):
        train.loop(squared, "adam", {"W": X}).run((X.tolist(), X.tolist()))


# many epochs in one call, and code that is kept ------------------------------------------------------------------


class Watching:
    """A callback that notes how far the optimizer is when it is called."""

    def __init__(self, run: Any) -> None:
        self.run, self.steps = run, list[int]()

    def __call__(self, epoch: train.Epoch) -> bool:
        self.steps.append(self.run.optimizer.states[0]["step"])
        return epoch.number == 30


class Patient(Watching):
    """One that need not see the weights of each epoch."""

    def epochs_ahead(self) -> float:
        """All until the last."""
        return 30 - len(self.steps)


@pytest.mark.parametrize("batch", [14, 16, 70, 100])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
def test_many_epochs_in_one_call_are_those_one_by_one(batch: int, weights: Any) -> None:
    runs = [run_of("yes", epochs=40, batch=batch, weights=weights) for _ in range(2)]
    watching, patient = Watching(runs[0]), Patient(runs[1])
    for run, callback in zip(runs, (watching, patient), strict=True):
        run.run([callback])
        assert [epoch.number for epoch in run.history] == list(range(1, 31))
    steps = -(-70 // batch)
    assert watching.steps == [steps * number for number in range(1, 31)]
    assert patient.steps[-1] == 30 * steps
    assert len(set(patient.steps)) < 10
    assert_same(*runs, 0)
    seconds = [epoch.seconds for epoch in runs[1].history]
    assert seconds == sorted(seconds)


def test_a_rate_that_changes_every_epoch_is_that_of_each_epoch() -> None:
    runs = [run_of("yes", epochs=30, schedule=optim.schedule("cosine")) for _ in range(2)]
    for run, kind in zip(runs, (Watching, Patient), strict=True):
        run.run([kind(run)])
    assert_same(*runs, 0)
    assert [epoch.rate for epoch in runs[1].history] == [epoch.rate for epoch in runs[0].history]


def test_a_described_network_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.compiled import NativeLoop

    monkeypatch.setattr(native, "_NETWORKS", {})
    compiled: list[Any] = []
    compile_batch = NativeLoop._compiled
    monkeypatch.setattr(NativeLoop, "_compiled", lambda loop, b: compiled.append(b) or compile_batch(loop, b))
    runs = []
    for choice in ("yes", "yes", "auto"):
        runs.append(run_of(choice, described="mine", order=np.random.default_rng(1)))
        runs[-1].run()
        assert_same(runs[0], runs[-1], 0)
    assert runs[2].is_native
    assert len(compiled) == 2  # mini-batches of 16, and the last of 6
    for other in ({"described": "yours"}, {"clip": 0.1}, {"rule": "sgd"}, {"rule_options": {"beta1": 0.5}}):
        run_of("yes", **{"described": "mine"} | other).run()  # type: ignore[arg-type]
    assert len(compiled) == 10
    run_of("yes", described="mine", dtype=np.float32).run()  # a wrong description: the arrays tell
    run_of("yes", described="mine").run()
    assert len(compiled) == 14


def test_a_network_that_is_trained_again_is_one_of_a_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    optimizer = run_of("no").optimizer
    extent = 100, 10, 100
    assert not native.Network("mine").pays(optimizer, 100, 10, 1)
    assert not list(tmp_path.iterdir())  # too few steps to make a note
    network = native.Network("mine")
    assert [network.pays(optimizer, *extent) for _ in range(2)] == [False, True]
    assert native.Network("mine").pays(optimizer, *extent)  # as another process would ask
    assert not native.Network("other").pays(optimizer, *extent)
    assert not native.Network("mine").pays(optimizer, 100, 10, 1)
    few = native.Network("few")
    assert not any(few.pays(optimizer, 100, 100, 10) for _ in range(20))
