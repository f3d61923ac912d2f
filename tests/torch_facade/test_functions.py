"""Functions of torch where their conventions differ from NumPy's. Expected values are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import torch

X = torch.tensor([[3.0, 1.0, 2.0], [4.0, 4.0, 0.0]])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (torch.arange(1, 2.5, 0.5), [1.0, 1.5, 2.0]),
        (torch.linspace(0, 1, 3), [0.0, 0.5, 1.0]),
        (torch.full((2,), 7), [7, 7]),
        (torch.zeros_like(X, dtype=torch.int64)[0], [0, 0, 0]),
        (X.std(), 1.632993),  # divided by n - 1
        (X.var(0, unbiased=False), [0.25, 2.25, 1.0]),
        (X.median(), 2.0),  # the lower of two
        (X.median(dim=1).indices, [2, 0]),
        (X.argmax(), 3),
        (X.max(1).indices, [0, 0]),
        (X.topk(2).values, [[3.0, 2.0], [4.0, 4.0]]),
        (X.kthvalue(2).values, [2.0, 4.0]),
        (torch.mode(torch.tensor([2, 1, 2, 1, 3])).values, 1),
        (X.cummax(1).indices, [[0, 0, 0], [0, 1, 1]]),  # the last that attains it
        (torch.quantile(X, 0.25, dim=1), [1.5, 2.0]),
        (torch.round(torch.tensor([0.5, 1.5, -0.5])), [0.0, 2.0, -0.0]),
        (torch.div(torch.tensor([-7, 7]), 2, rounding_mode="trunc"), [-3, 3]),
        (torch.tensor([-7, 7]) // 2, [-4, 3]),
        (torch.fmod(torch.tensor([-7, 7]), 3), [-1, 1]),
        (torch.tensor([-7, 7]) % 3, [2, 1]),
        (torch.gather(X, 1, torch.tensor([[0, 2], [1, 2]])), [[3.0, 2.0], [4.0, 0.0]]),
        (torch.zeros(3).scatter(0, torch.tensor([0, 2]), torch.tensor([1.0, 2.0])), [1.0, 0.0, 2.0]),
        (torch.zeros(2).scatter_add(0, torch.tensor([0, 0]), torch.ones(2)), [2.0, 0.0]),
        (torch.ones(2).index_add(0, torch.tensor([1, 1]), torch.ones(2)), [1.0, 3.0]),
        (torch.zeros(2).index_put((torch.tensor([1]),), torch.tensor([5.0])), [0.0, 5.0]),
        (X.masked_fill(X > 2, -1), [[-1.0, 1.0, 2.0], [-1.0, -1.0, 0.0]]),
        (X.masked_select(X > 3), [4.0, 4.0]),
        (torch.nonzero(X == 4), [[1, 0], [1, 1]]),
        (torch.where(X > 2, X, 0.0).sum(), 11.0),
        (torch.einsum("ij,ij->i", X, X), [14.0, 32.0]),
        (torch.addmm(torch.ones(2, 2), X, X.T, beta=2), [[16.0, 18.0], [18.0, 34.0]]),
        (torch.baddbmm(torch.ones(1, 1, 1), torch.ones(1, 1, 2), torch.ones(1, 2, 1)), [[[3.0]]]),
        (torch.outer(torch.ones(2), torch.arange(2.0)), [[0.0, 1.0], [0.0, 1.0]]),
        (torch.linalg.det(torch.eye(2) * 3), 9.0),
        (torch.linalg.solve(torch.eye(2) * 2, torch.ones(2)), [0.5, 0.5]),
        (torch.special.expit(torch.zeros(1)), [0.5]),
    ],
)
def test_values(found: torch.Tensor, expected: object) -> None:
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), rtol=1e-6)


def test_the_largest_of_a_dimension_gets_the_whole_gradient_and_equal_ones_share_it() -> None:
    x = torch.tensor([4.0, 4.0, 0.0], requires_grad=True)
    x.max(dim=0).values.backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0]
    x.grad = None
    x.max().backward()
    assert x.grad.tolist() == [0.5, 0.5, 0.0]
    x.grad = None
    x.amax(0).backward()
    assert x.grad.tolist() == [0.5, 0.5, 0.0]


def test_a_bound_that_is_reached_lets_the_gradient_pass() -> None:
    x = torch.tensor([-1.0, 0.0, 1.0], requires_grad=True)
    x.clamp(min=0).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0]


def test_chunks_and_splits() -> None:
    x = torch.arange(5)
    assert [c.tolist() for c in x.chunk(2)] == [[0, 1, 2], [3, 4]]
    assert [c.tolist() for c in x.split([1, 4])] == [[0], [1, 2, 3, 4]]
    assert [c.tolist() for c in x.tensor_split(2)] == [[0, 1, 2], [3, 4]]
    assert torch.cat([x[:1], x[3:]]).tolist() == [0, 3, 4]
    assert torch.stack([x, x], dim=1).shape == (5, 2)
    assert [m.tolist() for m in torch.meshgrid(x[:2], x[:1])] == [[[0], [1]], [[0], [0]]]


def test_one_dimensional_lists_have_no_matrix_product_of_other_types() -> None:
    with pytest.raises(RuntimeError, match="same dtype"):
        torch.ones(2, 2) @ torch.ones(2, 2, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"2x2 and 3x2"):
        torch.ones(2, 2) @ torch.ones(3, 2)


def test_random_functions_follow_the_seed() -> None:
    torch.manual_seed(0)
    first = torch.rand(2, 2), torch.randn(3), torch.randint(10, (3,)), torch.randperm(4)
    torch.manual_seed(0)
    again = torch.rand(2, 2), torch.randn(3), torch.randint(10, (3,)), torch.randperm(4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    np.testing.assert_allclose(first[0].numpy()[0], [0.49625659, 0.76822180], rtol=1e-6)


def test_programs_that_ask_for_cuda_get_an_answer() -> None:
    assert torch.cuda.is_available() is False
    assert torch.device("cuda" if torch.cuda.is_available() else "cpu") == torch.device("cpu")
