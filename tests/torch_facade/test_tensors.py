"""Tensors of chainrule.torch: types, memory, changes in place, printing. Expected values are PyTorch's."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from chainrule import torch


def test_numbers_get_the_default_types() -> None:
    assert torch.tensor([1.0]).dtype is torch.float32
    assert torch.tensor([1]).dtype is torch.int64
    assert torch.tensor([True]).dtype is torch.bool
    assert torch.tensor(np.array([1.0])).dtype is torch.float64
    assert torch.tensor([]).dtype is torch.float32
    assert torch.tensor([torch.tensor(1.0), 2.0]).tolist() == [1.0, 2.0]


def test_the_default_type_can_be_set() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert (torch.ones(1).dtype, (torch.arange(2) / 2).dtype) == (torch.float64, torch.float64)
    finally:
        torch.set_default_dtype(torch.float32)
    with pytest.raises(TypeError, match="floating-point"):
        torch.set_default_dtype(torch.int64)


INT, FLOAT, DOUBLE = torch.ones(2, dtype=torch.int32), torch.ones(2), torch.ones(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("result", "dtype"),
    [
        (INT + FLOAT, torch.float32),
        (torch.arange(2) + FLOAT, torch.float32),
        (INT + 2.5, torch.float32),
        (INT / 2, torch.float32),
        (INT + 2, torch.int32),
        (INT.to(torch.uint8) + INT.to(torch.int8), torch.int16),
        (FLOAT + DOUBLE, torch.float64),
        (FLOAT + torch.tensor(1.0, dtype=torch.float64), torch.float32),
        (INT + torch.tensor(1.0, dtype=torch.float64), torch.float64),
        (torch.tensor(1.0) * 2, torch.float32),
        ((FLOAT > 0) + 1, torch.int64),
        ((FLOAT > 0).sum(), torch.int64),
        (INT.sum(), torch.int64),
        (INT.exp(), torch.float32),
        (torch.where(FLOAT > 0, 1, 2.5), torch.float32),
        (torch.cat([INT, FLOAT]), torch.float32),
    ],
)
def test_types_are_promoted_as_in_pytorch(result: torch.Tensor, dtype: object) -> None:
    assert result.dtype is dtype


def test_a_mean_of_integers_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Got: Long"):
        torch.arange(3).mean()


def test_numpy_shares_memory() -> None:
    array = np.zeros(2)
    tensor = torch.from_numpy(array)
    tensor[0] = 5
    array[1] = 7
    assert tensor.tolist() == [5.0, 7.0]
    assert tensor.numpy() is array
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        torch.ones(2, requires_grad=True).numpy()


def test_elements_and_slices_are_views() -> None:
    x = torch.zeros(2, 3)
    x[0, 1].fill_(5)
    x[1].add_(1)
    x[:, 2] *= 10
    row = x[0]
    row[0] = -1
    assert x.tolist() == [[-1, 5, 0], [1, 1, 10]]
    assert x[0, 1].shape == torch.Size([])


def test_a_change_of_a_view_reaches_the_gradient() -> None:
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    y[1].mul_(5)
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 10.0, 2.0]


def test_integers_come_before_lists_in_an_index() -> None:
    x = torch.arange(24).reshape(2, 3, 4)
    assert x[0, :, [0, 2]].shape == (3, 2)
    assert x[:, torch.tensor(1)].shape == (2, 4)
    assert x[torch.tensor([True, False])].shape == (1, 3, 4)
    assert x[..., None, 0].shape == (2, 3, 1)
    x[1, :, [0, 2]] = torch.zeros(3, 2, dtype=torch.int64)
    assert x[1, :, 2].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda x: x[2], IndexError),
        (lambda x: x[0, 0, 0], IndexError),
        (lambda x: x[::-1], ValueError),
        (lambda x: x[1.5], TypeError),
        (lambda x: x.sum(2), IndexError),
        (lambda x: x.view(4), RuntimeError),
        (lambda x: x + torch.ones(7), RuntimeError),
        (lambda x: x @ torch.ones(7), RuntimeError),
        (lambda x: x.item(), RuntimeError),
        (lambda x: bool(x), RuntimeError),
        (lambda x: len(x[0, 0]), TypeError),
        (lambda x: x.long() - x.bool() - (x.bool() - x.bool()), RuntimeError),
        (lambda x: x.long().add_(0.5), RuntimeError),
        (lambda x: torch.sin(1.0), TypeError),
        (lambda x: x.to("cuda"), RuntimeError),
        (lambda x: torch.tensor([[1], [1, 2]]), ValueError),
        (lambda x: x.unknown_method(), AttributeError),
    ],
)
def test_errors_have_pytorchs_types(wrong: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        wrong(torch.ones(2, 3))


def test_a_missing_name_names_its_neighbours() -> None:
    with pytest.raises(AttributeError, match=r"no 'signmoid'.*sigmoid"):
        torch.signmoid  # noqa: B018


def test_data_and_grad() -> None:
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    w.data -= 0.5 * w.grad
    assert w.tolist() == [0.0, 0.0]
    assert w.grad.tolist() == [2.0, 4.0]
    w.grad.data.zero_()
    (w * 3).sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]
    w.grad = None
    assert w.grad is None
    with pytest.raises(RuntimeError, match="different size"):
        w.grad = torch.ones(3)


def test_a_leaf_cannot_be_changed_while_recording() -> None:
    w = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError):
        w += 1
    with torch.no_grad():
        w += 1
    assert w.tolist() == [2.0, 2.0]
    assert w.requires_grad


def test_changes_in_place_return_the_tensor() -> None:
    x = torch.tensor([-2.0, 3.0])
    assert x.clamp_(min=0) is x
    assert x.add_(1).mul_(2).sub_(torch.ones(2)).tolist() == [1.0, 7.0]
    assert x.copy_(torch.tensor([1, 2])).tolist() == [1.0, 2.0]
    assert x.zero_().tolist() == [0.0, 0.0]
    assert x.unsqueeze_(0).shape == (1, 2)


def test_out_is_filled() -> None:
    out = torch.empty(2)
    assert torch.add(torch.ones(2), 1, out=out) is out
    assert out.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.add(torch.ones(2), 1, out=torch.empty(2, dtype=torch.int64))


def test_numpys_names_of_arguments() -> None:
    x = torch.ones(2, 3)
    assert torch.sum(x, axis=1, keepdims=True).shape == (2, 1)
    assert x.mean(axis=0).shape == (3,)


def test_named_results() -> None:
    values, indices = torch.tensor([[1.0, 3.0], [4.0, 2.0]]).max(dim=1)
    assert (values.tolist(), indices.tolist()) == ([3.0, 4.0], [1, 0])
    found = torch.sort(torch.tensor([3, 1, 2]), descending=True)
    assert found.values.tolist() == [3, 2, 1]
    assert repr(found) == ("torch.return_types.sort(\nvalues=tensor([3, 2, 1]),\nindices=tensor([0, 2, 1]))")


PRINTED = [
    (lambda x: x, "tensor([1., 2.], requires_grad=True)"),
    (lambda x: x**2, "tensor([1., 4.], grad_fn=<PowBackward0>)"),
    (lambda x: x * 2, "tensor([2., 4.], grad_fn=<MulBackward0>)"),
    (lambda x: 1 - x, "tensor([ 0., -1.], grad_fn=<RsubBackward1>)"),
    (lambda x: x.sum(), "tensor(3., grad_fn=<SumBackward0>)"),
    (lambda x: x.sum(0), "tensor(3., grad_fn=<SumBackward1>)"),
    (lambda x: x.mean(), "tensor(1.5000, grad_fn=<MeanBackward0>)"),
    (lambda x: x[0], "tensor(1., grad_fn=<SelectBackward0>)"),
    (lambda x: x[:1], "tensor([1.], grad_fn=<SliceBackward0>)"),
    (lambda x: x @ x, "tensor(5., grad_fn=<DotBackward0>)"),
    (lambda x: torch.ones(1, 2) @ x, "tensor([3.], grad_fn=<MvBackward0>)"),
    (
        lambda x: x.reshape(2, 1) @ x.reshape(1, 2),
        "tensor([[1., 2.],\n        [2., 4.]], grad_fn=<MmBackward0>)",
    ),
    (lambda x: x.sigmoid(), "tensor([0.7311, 0.8808], grad_fn=<SigmoidBackward0>)"),
    (lambda x: x.double(), "tensor([1., 2.], dtype=torch.float64, grad_fn=<ToCopyBackward0>)"),
    (lambda x: x.detach(), "tensor([1., 2.])"),
    (lambda x: x.long(), "tensor([1, 2])"),
    (lambda x: x.view(2, 1).T, "tensor([[1., 2.]], grad_fn=<PermuteBackward0>)"),
]


@pytest.mark.parametrize(("make", "text"), PRINTED, ids=[text[:40] for _, text in PRINTED])
def test_tensors_are_printed_as_by_pytorch(make: object, text: str) -> None:
    assert repr(make(torch.tensor([1.0, 2.0], requires_grad=True))) == text


def test_grad_fn_is_an_object_with_a_name() -> None:
    y = torch.ones(1, requires_grad=True) ** 2
    assert y.grad_fn.name() == "PowBackward0"
    assert repr(y.grad_fn).startswith("<PowBackward0 object at 0x")
    assert y.grad_fn.next_functions[0][0].name() == "AccumulateGrad"
    assert torch.ones(1).grad_fn is None


def test_sizes() -> None:
    x = torch.zeros(2, 3)
    assert repr(x.size()) == "torch.Size([2, 3])"
    assert (x.size(0), x.shape[1], x.numel(), x.dim(), x.ndim) == (2, 3, 6, 2, 2)
    assert x.stride() == (3, 1)
    assert x.T.is_contiguous() is False


def test_copies_and_pickles() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    x.sum().backward()
    for again in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert again.requires_grad
        assert again.tolist() == x.tolist()
        assert again is not x
    assert copy.deepcopy(x).grad.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="created explicitly"):
        copy.deepcopy(x * 2)


def test_nothing_is_said_of_nan_and_inf() -> None:  # warnings are errors in these tests
    x = torch.tensor([-1.0, 0.0, 1e30], requires_grad=True)
    y = x.log() + 1 / x + x.exp() + x.sqrt()
    y.sum().backward()
    assert x.grad.isnan().any()
