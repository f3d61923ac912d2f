"""Tensor: construction, gradients, Python's protocols, and what it refuses."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors


def leaf(*values: float) -> cr.Tensor:
    return cr.Tensor(np.array(values), requires_grad=True)


def test_wraps_the_array_without_copying() -> None:
    array = np.ones(3)
    assert cr.Tensor(array).data is array


def test_takes_lists_numbers_and_tensors() -> None:
    assert cr.Tensor([[1.0, 2.0]]).shape == (1, 2)
    assert cr.Tensor(3.0).shape == ()
    assert cr.Tensor(cr.Tensor([1.0])).tolist() == [1.0]
    assert cr.Tensor([1, 2], dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    "value",
    [
        "text",
        object(),
        {"a": 1.0},
        None,
        np.array(["a"]),
        np.array([None]),
        np.array(["2020-01-01"], "M8[D]"),
    ],
)
def test_refuses_what_is_no_array(value: object) -> None:
    with pytest.raises(errors.InputError, match="holds numbers"):
        cr.Tensor(value)


def test_refuses_ragged_lists() -> None:
    with pytest.raises(errors.ShapeError, match="unequal lengths"):
        cr.Tensor([[1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("data", "advice"),
    [(np.arange(3), "astype"), (3, "3.0 for 3"), (np.array([1j]), "complex"), (True, "astype")],
)
def test_only_floats_need_gradients(data: object, advice: str) -> None:
    with pytest.raises(errors.InputError, match=advice):
        cr.Tensor(data, requires_grad=True)


def test_gradients_accumulate_in_leaves() -> None:
    x = leaf(1.0, 2.0)
    for _ in range(2):
        (x * x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [4.0, 8.0]
    x.grad = None
    assert x.grad is None


def test_gradients_of_two_leaves_share_no_memory() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    g = np.ones(2)
    (x + y).backward(g)
    assert x.grad is not None and y.grad is not None
    x.grad.data *= 5
    assert y.grad.tolist() == [1.0, 1.0]
    assert g.tolist() == [1.0, 1.0]


def test_a_gradient_is_no_view_of_the_data() -> None:
    keep = cr.primitive("keep_data(x, y)", forward=lambda x, y: x * 1.0, x=lambda y: y)
    x, y = leaf(1.0), np.array([7.0])
    keep(x, y).sum().backward()
    assert x.grad is not None
    x.grad.data[0] = 0.0
    assert y[0] == 7.0


def test_backward_of_a_leaf_is_its_cotangent() -> None:
    x = cr.Tensor(2.0, requires_grad=True)
    x.backward()
    assert x.grad is not None and float(x.grad) == 1.0


def test_setting_grad_checks_the_shape() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(errors.ShapeError, match=r"\(3,\).*\(2,\)"):
        x.grad = np.ones(3)
    with pytest.raises(errors.BackwardError, match="needs no gradient"):
        cr.Tensor(1.0).grad = 1.0


def test_interior_gradients_are_kept_on_request() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad is not None and y.grad.tolist() == [6.0, 12.0]
    assert (x * 2).grad is None


def test_detach_shares_memory_and_stops_the_gradient() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).detach()
    assert not y.requires_grad
    assert np.shares_memory(x.detach().data, x.data)


def test_numpy_refuses_to_lose_a_gradient() -> None:
    x = leaf(1.0)
    for convert in (x.numpy, lambda: np.asarray(x), lambda: np.array([x, x])):
        with pytest.raises(errors.GradientLostError, match="detach"):
            convert()
    assert x.detach().numpy() is not None
    assert np.asarray(cr.Tensor([1.0])).tolist() == [1.0]


def test_assigning_a_tensor_into_a_plain_array_is_refused() -> None:
    plain = np.zeros(2)
    with pytest.raises(errors.GradientLostError, match="zeros_like"):
        plain[:1] = leaf(1.0)


def test_assigning_a_single_element_into_a_plain_array_is_refused_too() -> None:
    plain = np.zeros(2)
    with pytest.raises((errors.GradientLostError, ValueError)) as caught:
        plain[0] = cr.Tensor(1.0, requires_grad=True)
    reasons = [caught.value, caught.value.__cause__]
    assert any(isinstance(reason, errors.GradientLostError) for reason in reasons)
    plain[0] = cr.Tensor(3.0)
    plain[1] = float(cr.Tensor(4.0, requires_grad=True))
    assert plain.tolist() == [3.0, 4.0]


def test_complex_constants_have_parts() -> None:
    z = cr.Tensor(np.array([1 + 2j]))
    assert z.real.tolist() == [1.0] and z.conj().tolist() == [1 - 2j]


def test_numbers_of_a_single_element() -> None:
    x = leaf(2.5)
    assert (float(x), int(x), bool(x), x.item(), f"{x:.1f}") == (2.5, 2, True, 2.5, "2.5")
    assert range(10)[cr.Tensor(3)] == 3
    with pytest.raises(errors.ShapeError, match="one element"):
        leaf(1.0, 2.0).item()
    with pytest.raises(errors.ShapeError, match="ambiguous"):
        bool(leaf(1.0, 2.0))
    with pytest.raises(errors.InputError, match="integer"):
        range(10)[cr.Tensor(3.0)]


def test_length_iteration_and_membership() -> None:
    x = leaf(1.0, 2.0)
    assert len(x) == 2
    first, second = x
    (first * second).backward()
    assert x.grad is not None and x.grad.tolist() == [2.0, 1.0]
    assert 2.0 in x and 3.0 not in x
    with pytest.raises(errors.InputError, match="no length"):
        len(cr.Tensor(1.0))


def test_repr_shows_values_type_and_history() -> None:
    x = cr.Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    assert repr(x) == "Tensor([1., 2.], dtype=float32, requires_grad=True)"
    assert repr(x * 2) == "Tensor([2., 4.], dtype=float32, from=multiply(x, y))"
    assert repr(cr.Tensor([1, 2])) == "Tensor([1, 2])"


def test_requires_grad_of_a_computed_tensor_cannot_be_cleared() -> None:
    x = leaf(1.0)
    with pytest.raises(errors.BackwardError, match="detach"):
        (x * 2).requires_grad = False
    x.requires_grad = False
    assert not (x * 2).requires_grad


def test_leaves_can_be_copied_and_pickled_but_computed_tensors_cannot() -> None:
    x = leaf(1.0, 2.0)
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.requires_grad and other.tolist() == [1.0, 2.0] and other.data is not x.data
    for convert in (copy.deepcopy, pickle.dumps):
        with pytest.raises(errors.InputError, match="detach"):
            convert(x * 2)


def test_data_keeps_its_type_and_may_change_its_shape() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(errors.InputError, match="float64"):
        x.data = np.ones(2, np.float32)
    x.data = np.ones(3)
    x.sum().backward()
    assert x.grad is not None and x.grad.shape == (3,)


def test_python_numbers_are_weak() -> None:
    x = cr.Tensor(np.ones(2, np.float32), requires_grad=True)
    y = 2 * x + 1.5 - x / 3
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype == np.float32


def test_a_gradient_has_the_type_of_its_leaf() -> None:
    x = cr.Tensor(np.ones(2, np.float32), requires_grad=True)
    (x * np.ones(2)).sum().backward()
    assert x.grad is not None and x.grad.dtype == np.float32


def test_nothing_is_left_to_the_cycle_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = cr.ops.exp(x) * x
        watched = [weakref.ref(y), weakref.ref(y._node), weakref.ref(x)]
        y.sum().backward()
        del x, y
        assert [w() for w in watched] == [None, None, None]
    finally:
        gc.enable()


def test_residuals_are_freed_by_the_sweep() -> None:
    x = leaf(1.0, 2.0)
    kept = cr.ops.exp(x)
    watched = weakref.ref(kept.data)
    loss = (kept * 2).sum()
    del kept
    assert watched() is not None
    loss.backward()
    assert watched() is None


def test_mixing_shapes_restates_the_call() -> None:
    with pytest.raises(
        errors.ShapeError, match=r"multiply\(x: float64 of shape \(2,\), y: float64 of shape \(3,\)\)"
    ):
        leaf(1.0, 2.0) * np.ones(3)
    with pytest.raises(errors.ShapeError, match="2 columns.* 3 rows"):
        leaf(1.0, 2.0) @ np.ones((3, 2))
    with pytest.raises(errors.ShapeError, match=r"6 elements\) cannot be reshaped to \(4,\)"):
        cr.Tensor(np.ones((2, 3))).reshape(4)
    with pytest.raises(errors.InputError, match=r"add\(x: float64 of shape \(1,\), y: <U1 of shape \(1,\)\)"):
        leaf(1.0) + np.array(["a"])
    with pytest.raises(errors.InputError, match=r"bitwise_and\(x: float64"):
        leaf(1.0) & np.array([True])
    with pytest.raises(np.linalg.LinAlgError, match=r"inv\(x: float64 of shape \(2, 2\)\): Singular"):
        cr.ops.inv(cr.Tensor(np.ones((2, 2))))
    with pytest.raises(IndexError, match=r"getitem\(x: float64 of shape \(1,\), key=5\)"):
        leaf(1.0)[5]
    with pytest.raises(errors.InputError, match="'text' of type builtins.str"):
        leaf(1.0) + "text"
    with pytest.raises(errors.ContractError, match="takes no argument 'dim'; it is sum"):
        cr.ops.sum(leaf(1.0), dim=0)
    with pytest.raises(errors.ShapeError, match="axis=3"):
        cr.ops.sum(leaf(1.0), axis=3)
