"""`check` with tensors of PyTorch, of TensorFlow's façade and of PyTorch's as arguments and claims."""

from typing import Any

import numpy as np
import pytest

from chainrule.diagnosis import check

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
W, b = rng.normal(size=(3, 2)), rng.normal(size=2)


def loss(W: Any, b: Any) -> Any:
    return ((np.tanh(X @ W + b) - Y) ** 2).sum()


def codes(report: Any) -> list[str]:
    return [f.code for f in report.findings]


def test_gradients_of_pytorch_are_right() -> None:
    torch = pytest.importorskip("torch")
    parameters = [torch.tensor(a, requires_grad=True) for a in (W, b)]
    value = ((torch.tanh(torch.tensor(X) @ parameters[0] + parameters[1]) - torch.tensor(Y)) ** 2).sum()
    value.backward()
    assert codes(check(loss, tuple(parameters), tuple(p.grad for p in parameters))) == ["CR000", "CR000"]


def test_a_mistake_written_with_pytorch_is_named() -> None:
    torch = pytest.importorskip("torch")

    def by_hand(W: Any, b: Any) -> Any:
        x, y, w, c = (torch.as_tensor(np.asarray(a)) for a in (X, Y, W, b))
        d = 2 * (torch.tanh(x @ w + c) - y)
        return x.T @ d, d.sum(0)

    assert codes(check(loss, (torch.tensor(W), torch.tensor(b)), by_hand)) == ["CR101", "CR101"]


def test_float32_gradients_of_pytorch_are_right_within_their_precision() -> None:
    torch = pytest.importorskip("torch")
    short = [torch.tensor(a, dtype=torch.float32, requires_grad=True) for a in (W, b)]
    x, y = (torch.tensor(a, dtype=torch.float32) for a in (X, Y))
    ((torch.tanh(x @ short[0] + short[1]) - y) ** 2).sum().backward()
    report = check(loss, tuple(short), tuple(p.grad for p in short))
    assert report.ok and set(codes(report)) <= {"CR000", "CR005"}


@pytest.mark.parametrize("library", ["torch", "tensorflow"])
def test_tensors_of_the_facades_are_taken_as_arrays(library: str) -> None:
    if library == "torch":
        import chainrule.torch as torch

        made = [torch.tensor(a, dtype=torch.float64) for a in (W, b)]
        claims = [torch.tensor(a, dtype=torch.float64) for a in claimed()]
    else:
        import chainrule.tensorflow as tf

        made = [tf.constant(a) for a in (W, b)]
        claims = [tf.constant(a) for a in claimed()]
    assert codes(check(loss, tuple(made), tuple(claims))) == ["CR000", "CR107"]


def claimed() -> tuple[Any, Any]:
    """The gradient by W, and that by b with the wrong sign."""
    A = np.tanh(X @ W + b)
    d = 2 * (A - Y) * (1 - A**2)
    return X.T @ d, -d.sum(axis=0)
