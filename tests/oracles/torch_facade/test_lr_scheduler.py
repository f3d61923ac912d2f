"""Every scheduler beside PyTorch's, for 60 epochs, with its state."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.torch import optim
from chainrule.torch.optim import lr_scheduler
from chainrule.torch.tensors import Tensor

torch = pytest.importorskip("torch")

Make = Callable[[Any, Any], Any]
SCHEDULERS: dict[str, Make] = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda epoch: 0.95**epoch),
    "lambdas": lambda s, o: s.LambdaLR(o, [lambda epoch: 0.95**epoch, lambda epoch: 1 / (1 + epoch)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.9 + epoch / 1000),
    "step": lambda s, o: s.StepLR(o, 7, gamma=0.3),
    "multistep": lambda s, o: s.MultiStepLR(o, [3, 8, 8, 30]),
    "constant": lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=9),
    "linear": lambda s, o: s.LinearLR(o, start_factor=0.1, end_factor=0.7, total_iters=20),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.93),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 13, eta_min=0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, T_mult=2, eta_min=0.01),
    "restarts of one length": lambda s, o: s.CosineAnnealingWarmRestarts(o, 7),
    "polynomial": lambda s, o: s.PolynomialLR(o, total_iters=31, power=1.5),
    "triangles": lambda s, o: s.CyclicLR(o, 0.01, 0.3, step_size_up=5, step_size_down=9),
    "shrinking triangles": lambda s, o: s.CyclicLR(o, [0.01, 0.1], [0.3, 0.4], 6, mode="triangular2"),
    "exponential range": lambda s, o: s.CyclicLR(
        o, 0.01, 0.3, 6, mode="exp_range", gamma=0.97, cycle_momentum=False
    ),
    "own cycle": lambda s, o: s.CyclicLR(o, 0.01, 0.3, 6, scale_fn=lambda x: 1 / x, scale_mode="cycle"),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=61),
    "one cycle in three phases": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.2], epochs=8, steps_per_epoch=8, three_phase=True, anneal_strategy="linear", pct_start=0.25
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 6), s.ExponentialLR(o, 0.9)]),
    "sequence": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 20), s.ExponentialLR(o, 0.9), s.CosineAnnealingLR(o, 10)], [10, 30]
    ),
    "plateau": lambda s, o: s.ReduceLROnPlateau(o, patience=2, factor=0.5, cooldown=1, min_lr=[0.01, 0.001]),
    "plateau of a maximum": lambda s, o: s.ReduceLROnPlateau(
        o, "max", patience=1, threshold_mode="abs", threshold=0.2
    ),
}  # fmt: skip
OPTIMIZERS = {"SGD": {"momentum": 0.9}, "Adam": {}}


def optimizers(name: str = "SGD", rates: Any = (0.2, 0.5)) -> tuple[Any, Any]:
    def groups(make: Callable[[], Any]) -> list[dict[str, Any]]:
        return [{"params": [make()], "lr": rate} for rate in rates]

    ours = getattr(optim, name)(groups(lambda: Tensor([1.0]).requires_grad_()), **OPTIMIZERS[name])
    theirs = getattr(torch.optim, name)(groups(lambda: torch.ones(1, requires_grad=True)), **OPTIMIZERS[name])
    return ours, theirs


def options_of(optimizer: Any) -> list[Any]:
    names = ("lr", "momentum", "betas", "initial_lr")
    return [np.hstack([group[name] for name in names if name in group]) for group in optimizer.param_groups]


def step(scheduler: Any, metric: float) -> None:
    scheduler.optimizer.step()
    if type(scheduler).__name__ == "ReduceLROnPlateau":
        scheduler.step(metric)
    else:
        scheduler.step()


def comparable(state: Any) -> Any:
    """A state without what is an object of one library only."""
    if isinstance(state, dict):
        left_out = ("_scale_fn_ref", "anneal_func")
        return {name: comparable(value) for name, value in state.items() if name not in left_out}
    if isinstance(state, float):
        return pytest.approx(state, rel=1e-12, abs=1e-15)
    return [comparable(value) for value in state] if isinstance(state, list) else state


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")
def test_sixty_epochs_are_those_of_pytorch(name: str, optimizer: str) -> None:
    pair = optimizers(optimizer)
    ours, theirs = (
        SCHEDULERS[name](s, o) for s, o in zip((lr_scheduler, torch.optim.lr_scheduler), pair, strict=True)
    )
    metrics = np.random.default_rng(0).normal(size=60)
    for metric in metrics:
        np.testing.assert_allclose(options_of(pair[0]), options_of(pair[1]), rtol=1e-12, atol=1e-15)
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)
        step(ours, metric)
        step(theirs, metric)
    assert (
        list(ours.state_dict()) == list(comparable(theirs.state_dict())) or "_last_lr" in theirs.state_dict()
    )
    assert ours.state_dict() == comparable(theirs.state_dict())


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")
def test_pytorchs_saved_state_continues_here(name: str) -> None:
    ours, theirs = optimizers()
    theirs = SCHEDULERS[name](torch.optim.lr_scheduler, theirs)
    for metric in np.sin(np.arange(23)):
        step(theirs, metric)
    ours = SCHEDULERS[name](lr_scheduler, ours)
    ours.load_state_dict(theirs.state_dict())
    for group, other in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups, strict=True):
        group.update({key: value for key, value in other.items() if key != "params"})
    for metric in np.cos(np.arange(10)):
        step(ours, metric)
        step(theirs, metric)
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)


@pytest.mark.parametrize(
    "name", ["step", "cosine", "exponential", "linear", "polynomial", "multistep", "constant"]
)
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
def test_going_to_an_epoch(name: str) -> None:
    ours, theirs = (
        SCHEDULERS[name](s, o)
        for s, o in zip((lr_scheduler, torch.optim.lr_scheduler), optimizers(), strict=True)
    )
    for scheduler in (ours, theirs):
        scheduler.optimizer.step()
        scheduler.step(11)
    assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)


@pytest.mark.parametrize("epoch", [0.5, 3.75, 4, 30.25])
def test_restarts_at_a_fraction_of_an_epoch(epoch: float) -> None:
    for name in ("restarts", "restarts of one length"):
        ours, theirs = (
            SCHEDULERS[name](s, o)
            for s, o in zip((lr_scheduler, torch.optim.lr_scheduler), optimizers(), strict=True)
        )
        ours.step(epoch)
        theirs.step(epoch)
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)


@pytest.mark.parametrize("name", [*lr_scheduler.__all__])
def test_signatures(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(s, name)) for s in (lr_scheduler, torch.optim.lr_scheduler))
    for parameter, other in zip(ours.parameters.values(), theirs.parameters.values(), strict=True):
        assert (parameter.name, parameter.default) == (other.name, other.default)


def test_every_scheduler_is_there() -> None:
    assert set(lr_scheduler.__all__) == set(torch.optim.lr_scheduler.__all__)


MISTAKES: dict[str, Make] = {
    "no optimizer": lambda s, o: s.StepLR(3, 1),
    "too few lambdas": lambda s, o: s.LambdaLR(o, [lambda e: 1.0]),
    "no function": lambda s, o: s.MultiplicativeLR(o, 0.9),
    "a large factor": lambda s, o: s.ConstantLR(o, 2.0),
    "a start of 0": lambda s, o: s.LinearLR(o, 0.0),
    "an end above 1": lambda s, o: s.LinearLR(o, 0.5, 1.5),
    "T_0 of 0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "T_mult of 0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 0),
    "eta_min that is text": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 1, "low"),
    "an unknown mode": lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="square"),
    "too many rates": lambda s, o: s.CyclicLR(o, [0.1, 0.2, 0.3], 0.4),
    "no steps": lambda s, o: s.OneCycleLR(o, 0.1),
    "negative steps": lambda s, o: s.OneCycleLR(o, 0.1, total_steps=-1),
    "negative epochs": lambda s, o: s.OneCycleLR(o, 0.1, epochs=-1, steps_per_epoch=2),
    "a whole start": lambda s, o: s.OneCycleLR(o, 0.1, total_steps=3, pct_start=2),
    "an unknown strategy": lambda s, o: s.OneCycleLR(o, 0.1, total_steps=3, anneal_strategy="square"),
    "a factor of 1": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "an unknown direction": lambda s, o: s.ReduceLROnPlateau(o, mode="up"),
    "an unknown threshold": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="up"),
    "too many minima": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "no schedulers": lambda s, o: s.SequentialLR(o, [], []),
    "no schedulers to chain": lambda s, o: s.ChainedScheduler([]),
    "a plateau in a chain": lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
    "too few milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1), s.StepLR(o, 2)], []),
    "resuming without a rate": lambda s, o: s.StepLR(o, 1, last_epoch=3),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_the_same_errors(name: str) -> None:
    ours, theirs = optimizers()
    with pytest.raises(Exception) as expected:  # noqa: PT011 - the type is the question
        MISTAKES[name](torch.optim.lr_scheduler, theirs)
    with pytest.raises(expected.type) as found:
        MISTAKES[name](lr_scheduler, ours)
    assert len(str(found.value)) >= min(len(str(expected.value)) - 20, 100)


def test_the_wrong_order_of_steps_warns() -> None:
    ours, _ = optimizers()
    scheduler = lr_scheduler.StepLR(ours, 3)
    with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before"):
        scheduler.step()
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def test_a_rate_that_is_a_tensor_is_filled() -> None:
    rate = Tensor([0.5])
    optimizer = optim.SGD([Tensor([1.0]).requires_grad_()], lr=rate)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25
    assert scheduler.get_last_lr()[0].item() == 0.25
