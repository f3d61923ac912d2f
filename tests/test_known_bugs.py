"""Silent bugs that other libraries had or have: each as a permanent test that we do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import ops
from chainrule.errors import FreedGraphError, ModifiedError

rng = np.random.default_rng(0)


def leaf(*values: float) -> cr.Tensor:
    return cr.Tensor(np.array(values), requires_grad=True)


# einsum with broadcasting: the gradient had the shape of the broadcast operand (HIPS/autograd#376) --------


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("...ij,...jk->...ik", ((2, 1, 3, 4), (5, 4, 2))),
        ("...ij,...jk->...ik", ((3, 4), (2, 5, 4, 2))),
        ("...i,...i", ((2, 3), (3,))),
        ("...,...->...", ((2, 1), (3,))),
        ("a...,...b->ab...", ((2, 1, 3), (4, 3, 2))),
        ("ij,ij->ij", ((3, 1), (1, 4))),
        ("ij,ij->", ((3, 1), (3, 4))),
        ("i...->...", ((2, 3),)),
        ("...ii->...i", ((2, 3, 3),)),
    ],
)
def test_einsum_with_broadcasting(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    arrays = [rng.normal(size=shape) for shape in shapes]
    gradients = cr.grad(lambda *x: ops.sum(ops.einsum(subscripts, *x) ** 2), tuple(range(len(shapes))))(
        *arrays
    )
    assert [g.shape for g in gradients] == list(shapes)
    assert cr.check_grads(lambda *x: ops.einsum(subscripts, *x), tuple(arrays), order=2).error < 1e-5


# NaN in the branch that where did not take (HIPS/autograd#802) --------------------------------------------


@pytest.mark.parametrize(
    ("branch", "gradient"),
    [
        (ops.log, [0.0, 0.0, 0.5]),
        (ops.sqrt, [0.0, 0.0, 0.5 / np.sqrt(2)]),
        (lambda x: 1 / x, [0.0, 0.0, -0.25]),
        (lambda x: x**-1.5, [0.0, 0.0, -1.5 * 2**-2.5]),
        (lambda x: ops.log(ops.sqrt(x)), [0.0, 0.0, 0.25]),
        (lambda x: ops.exp(1 / x), [0.0, 0.0, -0.25 * np.exp(0.5)]),
        (lambda x: x / ops.abs(x), [0.0, 0.0, 0.0]),
    ],
)
def test_the_untaken_branch_of_where(branch: Any, gradient: list[float]) -> None:
    x = leaf(-1.0, 0.0, 2.0)
    with np.errstate(all="ignore"):
        y = ops.where(x > 0, branch(x), 0.0)
    ops.sum(y).backward()  # and no warning either
    np.testing.assert_allclose(x.grad.data, gradient, rtol=1e-15)


def test_the_untaken_branch_behind_other_operations() -> None:
    x = leaf(0.0, 4.0)
    with np.errstate(all="ignore"):
        y = ops.where(x > 0, 3.0 * ops.abs(-ops.sqrt(x)), x)
    ops.sum(y * y).backward()
    np.testing.assert_allclose(x.grad.data, [0.0, 9.0])


def test_the_second_derivative_behind_where() -> None:
    with np.errstate(all="ignore"):
        hessian = cr.hessian(lambda x: ops.sum(ops.where(x > 0, ops.log(x), x * x)))(
            np.array([-1.0, 0.0, 2.0])
        )
    np.testing.assert_allclose(hessian, np.diag([2.0, 2.0, -0.25]))


# The norm at 0: NaN, or a warning and NaN (HIPS/autograd#586) ---------------------------------------------


@pytest.mark.parametrize(
    "norm",
    [
        ops.norm,
        ops.vector_norm,
        lambda x: ops.vector_norm(x, ord=3),
        lambda x: ops.vector_norm(x, ord=1.5),
        lambda x: ops.hypot(x[0], x[1]),
        ops.std,
        lambda x: ops.norm(ops.reshape(x, shape=(1, 2))),
        lambda x: ops.sum(ops.norm(ops.stack([x, x]), axis=1)),
    ],
)
def test_the_norm_at_zero(norm: Any) -> None:
    x = leaf(0.0, 0.0)
    norm(x).backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0])


# A second backward that gives another answer (karpathy/micrograd#102) -------------------------------------


def test_a_second_backward_adds_the_same_gradient() -> None:
    a, b = leaf(-4.0), leaf(2.0)
    c = a * b + b**3
    d = ops.sum(ops.relu(c + a) + c * c)
    d.backward(retain_graph=True)
    first = a.grad.data.copy(), b.grad.data.copy()
    d.backward()
    # micrograd kept the gradients of inner nodes and added them up a second time.
    np.testing.assert_array_equal(a.grad.data, 2 * first[0])
    np.testing.assert_array_equal(b.grad.data, 2 * first[1])


def test_a_second_backward_without_the_graph_is_refused() -> None:
    x = leaf(3.0)
    y = ops.sum(x * x)
    y.backward()
    with pytest.raises(FreedGraphError, match="retain_graph"):
        y.backward()
    np.testing.assert_array_equal(x.grad.data, [6.0])


def test_two_results_of_one_graph_add_up() -> None:
    x = leaf(3.0)
    square = x * x
    ops.sum(square).backward(retain_graph=True)
    ops.sum(square * x).backward()
    np.testing.assert_array_equal(x.grad.data, [2 * 3 + 3 * 9])


# Shared values: counted once, or twice too often ----------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "gradient"),
    [
        (lambda x: x + x, 2.0),
        (lambda x: x * x, 6.0),
        (lambda x: x * x * x, 27.0),
        (lambda x: x / x, 0.0),
        (lambda x: x**x, 27 * (np.log(3) + 1)),
        (lambda x: ops.where(x > 0, x, x), 1.0),
        (lambda x: ops.maximum(x, x), 1.0),
        (lambda x: ops.concat([x, x, x]), 3.0),
        (lambda x: ops.stack([x, 2 * x]), 3.0),
        (lambda x: ops.einsum("i,i,i->", x, x, x), 27.0),
        (lambda x: ops.clip(x, x, x), 1.0),
    ],
)
def test_an_argument_that_is_given_twice(function: Any, gradient: float) -> None:
    x = leaf(3.0)
    ops.sum(function(x)).backward()
    np.testing.assert_allclose(x.grad.data, [gradient], rtol=1e-14)


def test_values_on_many_paths() -> None:
    x = leaf(0.9)
    y = x
    for _ in range(30):
        y = y + y  # 2 ** 30 paths: a sweep that follows each one never ends
    ops.sum(y).backward()
    np.testing.assert_array_equal(x.grad.data, [2.0**30])


def test_a_diamond_is_swept_in_order() -> None:
    x = leaf(2.0)
    a = x * x
    b = a * 3.0
    c = ops.exp(a) * b  # a is finished only when both have arrived
    ops.sum(c + a).backward()
    np.testing.assert_allclose(x.grad.data, [(3 * np.exp(4) + 12 * np.exp(4) + 1) * 4])


def test_gradients_of_different_leaves_share_no_memory() -> None:
    x, y = leaf(1.0), leaf(2.0)
    ops.sum(x + y).backward()
    x.grad.data[0] = 100.0
    assert y.grad.data[0] == 1.0


# A change in place between forward and backward -----------------------------------------------------------


def test_a_change_in_place_names_the_variable_and_both_lines() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1.0
    z = ops.sin(y)  # used here
    y.data *= 2.0  # changed here
    with pytest.raises(ModifiedError) as caught:
        ops.sum(z).backward()
    text = str(caught.value)
    assert "the input 'x' of sin(x)" in text
    assert "used at" in text.splitlines()[1]
    assert "z = ops.sin(y)" in text.splitlines()[1]
    assert "changed at" in text.splitlines()[2]
    assert "y.data *= 2.0" in text.splitlines()[2]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.data.__imul__(2.0) is None or setattr(x, "data", x.data),
        lambda x: setattr(x, "data", x.data.__iadd__(1.0)),
    ],
)
def test_a_change_of_the_data_of_a_leaf_is_seen(change: Any) -> None:
    x = leaf(1.0, 2.0)
    z = x * x
    change(x)
    with pytest.raises(ModifiedError, match="changed in place"):
        ops.sum(z).backward()


def test_an_update_of_the_weights_before_the_sweep_is_seen() -> None:
    w = leaf(1.0, 2.0)
    loss = ops.sum(w * w)
    with cr.no_grad():
        w -= 0.1
    with pytest.raises(ModifiedError, match="changed in place"):
        loss.backward()


def test_a_change_of_what_no_rule_needs_is_allowed() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1.0
    z = y + 3.0  # the sum keeps nothing
    y *= 2.0
    ops.sum(z * y).backward()
    np.testing.assert_allclose(x.grad.data, [4 * 1 + 6, 4 * 2 + 6])


# Others ---------------------------------------------------------------------------------------------------


def test_a_product_with_a_zero_keeps_the_gradient_of_the_zero() -> None:
    x = leaf(0.0, 2.0, 3.0)  # prod(x) / x is 0 / 0
    ops.prod(x).backward()
    np.testing.assert_array_equal(x.grad.data, [6.0, 0.0, 0.0])


def test_the_power_of_zero() -> None:
    x, y = leaf(0.0, 0.0), leaf(2.0, 0.0)  # y * x ** (y - 1) and x ** y * log(x)
    ops.sum(x**y).backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0])
    np.testing.assert_array_equal(y.grad.data, [0.0, 0.0])


def test_repeated_indices_add_up() -> None:
    x = leaf(1.0, 2.0, 3.0)  # g[key] += ... counts a repeated index once
    ops.sum(x[[0, 0, 2]]).backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 0.0, 1.0])


def test_ties_share_the_gradient() -> None:
    x = leaf(1.0, 1.0, 0.0)
    ops.max(x).backward()
    np.testing.assert_array_equal(x.grad.data, [0.5, 0.5, 0.0])


def test_a_bias_that_was_broadcast_gets_the_sum() -> None:
    W, b = rng.normal(size=(4, 3)), leaf(0.1, 0.2)
    x = cr.Tensor(rng.normal(size=(3, 2)))
    ops.sum(W @ x + b).backward()
    np.testing.assert_array_equal(b.grad.data, [4.0, 4.0])


def test_the_cross_entropy_of_certain_and_wrong_logits() -> None:
    x = cr.Tensor(np.array([[1e4, -1e4]]), requires_grad=True)  # log(softmax) is log(0)
    loss = ops.cross_entropy(x, np.array([1]))
    loss.backward()
    assert float(loss) == 2e4
    np.testing.assert_array_equal(x.grad.data, [[1.0, -1.0]])
