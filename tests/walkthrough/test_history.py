"""The account of a Tensor that has been computed already."""

import numpy as np
import pytest
from cases import Case
from graph.test_derive_cases import ROWS, weighed
from walkthrough.replaying import replay

import chainrule as cr
from chainrule import Tensor, nn, torch
from chainrule.errors import BackwardError, FreedGraphError, InputError, ModifiedError
from chainrule.walkthrough import explain

rng = np.random.default_rng(1)
X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))


def parameters() -> tuple[Tensor, Tensor]:
    return (
        Tensor(rng.normal(size=(3, 4)), requires_grad=True),
        Tensor(rng.normal(size=(4, 2)), requires_grad=True),
    )


def test_the_reverse_sweep_from_a_tensor_is_explained() -> None:
    W1, W2 = parameters()
    H = cr.ops.tanh(X @ W1)
    loss = ((H @ W2 - Y) ** 2).sum()
    walkthrough = explain(loss)
    replay(walkthrough)
    assert walkthrough.name == "the history of loss"
    assert all(step.side == "backward" for step in walkthrough)
    loss.backward()  # nothing was freed
    np.testing.assert_allclose(walkthrough.values["d_W1"], W1.grad, rtol=1e-12)
    np.testing.assert_allclose(walkthrough.values["d_W2"], W2.grad, rtol=1e-12)
    (step,) = [step for step in walkthrough if step.of == "H"]
    assert step.through == "Z2 = matmul(H, W2)" or "matmul(H, W2)" in step.through
    assert step.place is not None
    assert step.place.text.startswith("loss = ((H @ W2")
    assert {"W2", "X", "H", "loss"} <= walkthrough.given.keys()


def test_what_is_printed_of_it_is_known() -> None:
    W1, W2 = parameters()
    a = (X @ W1).sum(axis=0)
    b = (a * 2 + 1).mean() + (a @ W2).sum() - W1[0, 0]
    walkthrough = explain(b)
    replay(walkthrough)
    b.backward()
    np.testing.assert_allclose(walkthrough.values["d_W1"], W1.grad, rtol=1e-12)
    assert walkthrough._repr_markdown_()
    assert walkthrough.latex()
    assert str(walkthrough.about("W1"))
    assert walkthrough.picture().startswith("<svg")
    assert "sum" in walkthrough.dot()


@pytest.mark.parametrize("case", ROWS, ids=repr)
def test_every_primitive_has_a_history(case: Case) -> None:
    tensors = [Tensor(np.asarray(a, float), requires_grad=True) for a in case.drawn()]
    out = weighed(case(*tensors))
    if not isinstance(out, Tensor) or not out.requires_grad:
        return  # it has no derivative
    walkthrough = explain(out)
    replay(walkthrough)
    out.backward()
    gradients = [t.grad for t in tensors if t.grad is not None]
    for found, expected in zip(walkthrough.gradients.values(), gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_the_parameters_of_a_module_have_their_names() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    loss = ((network(X) - Y) ** 2).mean()
    walkthrough = explain(loss)
    replay(walkthrough)
    loss.backward()
    for name, parameter in network.named_parameters():
        short = "_" + name.replace(".", "_") if name[0].isdigit() else name.replace(".", "_")
        np.testing.assert_allclose(walkthrough.gradients[short], parameter.grad, rtol=1e-12)


def test_tensors_of_the_facade_have_a_history_too() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 2))
    loss = torch.nn.functional.mse_loss(network(torch.tensor(X).float()), torch.tensor(Y).float())
    walkthrough = explain(loss)
    replay(walkthrough)
    loss.backward()
    assert list(walkthrough.gradients) == ["_0_weight", "_0_bias", "_2_weight", "_2_bias"]
    for g, parameter in zip(walkthrough.gradients.values(), network.parameters(), strict=True):
        np.testing.assert_allclose(g, parameter.grad.numpy(), rtol=1e-4, atol=1e-7)


def test_a_vanishing_cotangent_is_found_in_a_history() -> None:
    W1, W2 = parameters()
    A = cr.ops.relu(X @ W1 - 100.0)
    walkthrough = explain(((A @ W2 - Y) ** 2).mean())
    assert walkthrough.first_wrong is not None
    assert walkthrough.first_wrong.cause.startswith("dead ReLU: all")


def test_what_has_no_history_is_refused() -> None:
    W1, _ = parameters()
    with pytest.raises(InputError, match="has no history"):
        explain(W1)
    with pytest.raises(InputError, match="has no history"):
        explain(Tensor(X).sum())
    with pytest.raises(BackwardError, match=r"the Tensor has shape \(5, 4\); explain its sum"):
        explain(X @ W1)
    with pytest.raises(InputError, match="was given a Tensor and arguments"):
        explain((X @ W1).sum(), W1)
    freed = ((X @ W1) ** 2).sum()
    freed.backward()
    with pytest.raises(FreedGraphError):
        explain(freed)
    changed = X @ W1
    total = (changed**2).sum()
    changed.data += 1
    with pytest.raises(ModifiedError):
        explain(total)
