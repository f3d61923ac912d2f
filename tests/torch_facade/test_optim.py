"""Optimizers: groups, states, hooks, saving; the formulas are compared with PyTorch's in the oracles."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from chainrule import torch
from chainrule.errors import ModifiedError
from chainrule.torch import optim
from chainrule.torch.errors import ArgumentError, MissingError, OperationError, ValueOptionError

NAMES = [name for name in optim.__all__ if name not in ("Optimizer", "lr_scheduler")]
SPECIAL: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9, "dampening": 0.5}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("LBFGS", {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 2}),
]


def parameters() -> list[Any]:
    return [
        torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True),
        torch.tensor(2.0, requires_grad=True),
    ]


def descend(optimizer: Any, params: list[Any], steps: int) -> list[float]:
    """Some steps toward 1, with the losses on the way."""

    def closure() -> Any:
        optimizer.zero_grad()
        loss = sum((((p - 1) ** 2).sum() for p in params[1:]), ((params[0] - 1) ** 4).sum())
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(steps)]


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_falls(name: str) -> None:
    params = parameters()
    kept = [p._data for p in params]
    losses = descend(getattr(optim, name)(params), params, 20)
    assert losses[-1] < losses[0]
    assert all(p._data is data for p, data in zip(params, kept, strict=True)), "parameters change in place"
    assert all(p.dtype == torch.float32 for p in params)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "LBFGS"])
def test_maximize_climbs(name: str) -> None:
    params = parameters()
    losses = descend(getattr(optim, name)(params, lr=1e-3, maximize=True), params, 20)
    assert losses[-1] > losses[0]


@pytest.mark.parametrize(("name", "options"), [(name, {}) for name in NAMES] + SPECIAL)
def test_a_saved_state_continues_exactly(name: str, options: dict[str, Any]) -> None:
    params = parameters()
    first = getattr(optim, name)(params, **options)
    descend(first, params, 3)
    others = [p.detach().clone().requires_grad_() for p in params]
    second = getattr(optim, name)(others, **options)
    second.load_state_dict(first.state_dict())
    assert descend(first, params, 5) == descend(second, others, 5)
    assert repr(first) == repr(second)


def test_loading_copies_and_keeps_the_type_of_the_parameter() -> None:
    params = parameters()
    first = optim.Adam(params)
    descend(first, params, 1)
    wide = [p.detach().double().requires_grad_() for p in params]
    second = optim.Adam(wide)
    saved = first.state_dict()
    second.load_state_dict(saved)
    assert second.state[wide[0]]["exp_avg"].dtype == torch.float64
    assert second.state[wide[0]]["step"].dtype == torch.float32
    before = saved["state"][0]["exp_avg"].tolist()
    descend(second, wide, 1)
    assert saved["state"][0]["exp_avg"].tolist() == before


def test_a_number_of_steps_as_old_files_have_it() -> None:
    params = parameters()
    optimizer = optim.Adam(params)
    descend(optimizer, params, 2)
    saved = optimizer.state_dict()
    saved["state"] = {key: {**state, "step": 2} for key, state in saved["state"].items()}
    optimizer.load_state_dict(saved)
    descend(optimizer, params, 1)
    assert optimizer.state[params[0]]["step"].item() == 3


def test_states_that_do_not_fit_are_refused_and_change_nothing() -> None:
    params = parameters()
    optimizer = optim.Adam(params)
    descend(optimizer, params, 1)
    good = optimizer.state_dict()
    groups = good["param_groups"]
    bad: list[tuple[Any, str]] = [
        ({"state": {}}, "'param_groups' is missing"),
        ({"state": {}, "param_groups": groups * 2}, "different number of parameter groups"),
        (
            {"state": {}, "param_groups": [{**groups[0], "params": [0]}]},
            "group 0 has 1 parameters there and 2",
        ),
        (
            {"state": {0: {"step": 1, "exp_avg": torch.ones(3)}}, "param_groups": groups},
            r"exp_avg .* shape \[3\]",
        ),
    ]
    for saved, message in bad:
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(saved)
    assert optimizer.state[params[0]]["step"].item() == 1


def test_groups_have_options_of_their_own() -> None:
    slow, fast = parameters()
    optimizer = optim.SGD([{"params": slow, "lr": 0.0}], lr=0.5)
    optimizer.add_param_group({"params": [fast]})
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.5]
    before = slow.tolist()
    (slow.sum() + fast).backward()
    optimizer.step()
    assert slow.tolist() == before
    assert fast.item() == 1.5
    optimizer.param_groups[1]["lr"] = torch.tensor(1.0)
    optimizer.step()
    assert fast.item() == 0.5


def test_names_are_kept() -> None:
    weight, bias = parameters()
    optimizer = optim.SGD([("weight", weight), ("bias", bias)])
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    assert "bias" not in repr(optimizer)


def test_a_parameter_without_gradient_stays() -> None:
    used, unused = parameters()
    optimizer = optim.Adam([used, unused])
    used.sum().backward()
    optimizer.step()
    assert unused.item() == 2.0
    assert unused not in optimizer.state


def test_zero_grad() -> None:
    (weight, _), optimizer = parameters(), None
    optimizer = optim.SGD([weight])
    weight.sum().backward()
    gradient = weight.grad
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert np.shares_memory(weight.grad._data, gradient._data)
    optimizer.zero_grad()
    assert weight.grad is None


def test_a_graph_from_before_the_step_is_refused() -> None:
    (weight, _) = parameters()
    loss = (weight * weight).sum()
    weight.grad = torch.ones(2, 2)
    optim.SGD([weight]).step()
    with pytest.raises(ModifiedError, match=r"optim\.SGD"):
        loss.backward()


def test_hooks() -> None:
    (weight, _), seen = parameters(), []
    optimizer = optim.SGD([weight], lr=1.0)
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before")),
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after")),
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("saving")),
        optimizer.register_state_dict_post_hook(lambda o, saved: saved | {"note": 1}),
        optimizer.register_load_state_dict_pre_hook(
            lambda o, saved: seen.append(f"note {saved.pop('note')}")
        ),
        optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded")),
    ]
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == ["before", "after", "saving", "note 1", "loaded"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert len(seen) == 5


def test_a_hook_may_replace_the_closure() -> None:
    (weight, _) = parameters()
    optimizer = optim.SGD([weight])
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((lambda: 7,), {}))
    assert optimizer.step() == 7
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(ArgumentError, match=r"None or a pair \(args, kwargs\), but got 3"):
        optimizer.step()


def test_an_optimizer_of_ones_own() -> None:
    class Sign(optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.state[p]["calls"] = self.state[p].get("calls", 0) + 1
                        p.add_(p.grad.sign(), alpha=-group["lr"])

    (weight, _), seen = parameters(), []
    optimizer = Sign([weight], lr=0.5)
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    weight.sum().backward()
    optimizer.step()
    assert weight.tolist() == [[0.5, -2.5], [0.0, 2.5]]
    assert optimizer.state_dict()["state"] == {0: {"calls": 1}}
    assert seen == [1]
    assert repr(optimizer) == "Sign (\nParameter Group 0\n    lr: 0.5\n)"


def test_copies_are_independent() -> None:
    params = parameters()
    optimizer = optim.Adam(params)
    descend(optimizer, params, 1)
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        theirs = other.param_groups[0]["params"]
        before = [p.tolist() for p in params]
        descend(other, theirs, 1)
        assert [p.tolist() for p in params] == before
        assert other.state[theirs[0]]["step"].item() == 2


def test_the_default_type_is_that_of_the_counters() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        weight = torch.tensor([1.0], requires_grad=True)
        optimizer = optim.NAdam([weight])
        weight.sum().backward()
        optimizer.step()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {str(value.dtype) for value in optimizer.state[weight].values()} == {"torch.float64"}


def test_lbfgs_finds_the_bottom_of_a_curved_valley() -> None:
    x = torch.tensor([-1.5, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        return loss

    assert closure().item() > 6
    optimizer.step(closure)
    assert x.tolist() == pytest.approx([1, 1], abs=1e-5)
    assert optimizer.step(closure).item() < 1e-9


def test_a_line_search_in_a_flat_place_ends() -> None:
    x = torch.tensor([0.0], requires_grad=True)
    optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe")

    def closure() -> Any:
        x.grad = torch.ones(1)  # a gradient that is no gradient of the loss
        return torch.tensor(1.0)

    optimizer.step(closure)
    assert math.isfinite(x.item())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: optim.SGD([]), ValueOptionError, "empty parameter list"),
        (lambda p: optim.SGD([{"params": {p}}]), ArgumentError, "ordered collections"),
        (lambda p: optim.SGD([1.0]), ArgumentError, "one of the params is float"),
        (
            lambda p: optim.SGD([p * 2]),
            ValueOptionError,
            r"can't optimize a non-leaf Tensor \(one of shape \(2, 2\)",
        ),
        (lambda p: optim.SGD([p], lr=-1), ValueOptionError, "Invalid learning rate: -1"),
        (lambda p: optim.SGD([p], lr=math.nan), ValueOptionError, "Invalid learning rate: nan"),
        (lambda p: optim.SGD([p], nesterov=True), ValueOptionError, "Nesterov momentum requires a momentum"),
        (lambda p: optim.SGD([p], foreach=True, fused=True), OperationError, "cannot be `True` together"),
        (lambda p: optim.Adam([p], eps=-1.0), ValueOptionError, "Invalid epsilon value: -1.0"),
        (lambda p: optim.LBFGS([{"params": [p]}, {"params": []}]), ValueOptionError, "per-parameter options"),
        (lambda p: optim.SGD([p]).add_param_group([p]), ArgumentError, "param_group must be a dict"),
        (lambda p: optim.Optimizer([p], {}).step(), NotImplementedError, r"defines no step\(\)"),
        (lambda p: optim.LBFGS([p]).step(), ArgumentError, "needs a closure"),
        (lambda p: optim.LBFGS([p]).step(lambda: None), ArgumentError, "must return the loss"),
        (lambda p: optim.LBFGS([p], line_search_fn="armijo").step(lambda: p.sum()), OperationError, "armijo"),
    ],
)
def test_mistakes(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(parameters()[0])


def test_what_has_no_step_here_says_so() -> None:
    weight = torch.ones(2, requires_grad=True)
    weight.grad = torch.ones(2)
    with pytest.raises(MissingError, match="does not record the steps"):
        optim.Adam([weight], differentiable=True).step()
    whole = torch.ones(2, dtype=torch.int64)
    whole.grad = torch.ones(2, dtype=torch.int64)
    with pytest.raises(OperationError, match="Adam does not support integer parameters"):
        optim.Adam([whole]).step()
    with pytest.raises(AttributeError, match=r"torch\.optim has no 'RMSProp'; the nearest names are RMSprop"):
        _ = optim.RMSProp
    with pytest.raises(AttributeError, match="has no 'SparseAdam'"):
        _ = optim.SparseAdam
    with pytest.raises(AttributeError, match="lr_scheduler has no 'CosineLR'"):
        _ = optim.lr_scheduler.CosineLR


def test_the_same_parameter_twice_warns() -> None:
    weight = torch.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([weight, weight])
    with pytest.raises(ValueError, match="appear in more than one parameter group"):
        optim.SGD([{"params": weight}, {"params": weight}])


def test_schedulers_change_the_groups() -> None:
    weight = torch.ones(1, requires_grad=True)
    optimizer = optim.SGD([{"params": weight, "lr": 1.0}, {"params": torch.ones(1), "lr": 0.1}])
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    rates = []
    for _ in range(5):
        rates.append(scheduler.get_last_lr())
        optimizer.step()
        scheduler.step()
    assert rates == [[1.0, 0.1], [1.0, 0.1], [0.5, 0.05], [0.5, 0.05], [0.25, 0.025]]
    other = optim.lr_scheduler.StepLR(optimizer, 3)
    other.load_state_dict(scheduler.state_dict())
    assert (other.step_size, other.last_epoch) == (2, 5)


def test_stepping_a_scheduler_first_warns_once() -> None:
    optimizer = optim.SGD([torch.ones(1)])
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()
