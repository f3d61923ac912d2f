"""Changes in place: right gradients, or a refusal that names what was changed and where."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors


def start() -> cr.Tensor:
    return cr.Tensor(np.array([1.0, 2.0, 3.0, 4.0]), requires_grad=True)


def assigned(a: cr.Tensor, b: cr.Tensor) -> None:
    a[1:3] = b[:2] * 2


def added_to_a_slice(a: cr.Tensor, b: cr.Tensor) -> None:
    a[1:] += b[0]


def changed_through_a_view(a: cr.Tensor, b: cr.Tensor) -> None:
    view = a[1:3]
    view *= b[2:]


def changed_through_a_view_of_a_view(a: cr.Tensor, b: cr.Tensor) -> None:
    square = a.reshape(2, 2)
    column = square.T[1]
    column += b[:2] * b[0]


def seen_through_a_view(a: cr.Tensor, b: cr.Tensor) -> None:
    view = a[:2]
    a *= b
    a[2:] = view + view


def two_views_overlap(a: cr.Tensor, b: cr.Tensor) -> None:
    left, right = a[:3], a[1:]
    left *= b[:3]
    right -= left * 2


def repeated_indices(a: cr.Tensor, b: cr.Tensor) -> None:
    a[np.array([0, 0, 2])] = b[:3] * 3


def boolean_mask(a: cr.Tensor, b: cr.Tensor) -> None:
    a[a.data > 2.5] = b[:1]


def whole(a: cr.Tensor, b: cr.Tensor) -> None:
    a /= b
    a **= 2
    a -= b


def from_itself(a: cr.Tensor, b: cr.Tensor) -> None:
    a[1:] = a[:-1] * 3 + b[1:]


CHANGES = [
    assigned, added_to_a_slice, changed_through_a_view, changed_through_a_view_of_a_view, seen_through_a_view,
    two_views_overlap, repeated_indices, boolean_mask, whole, from_itself,
]  # fmt: skip


def program(change: Callable[..., None]) -> Callable[..., object]:
    def run(x: object, y: object) -> object:
        a = x * 1.0 if isinstance(x, cr.Tensor) else cr.Tensor(x * 1.0)
        change(a, y if isinstance(y, cr.Tensor) else cr.Tensor(y))
        return a * a

    return run


@pytest.mark.parametrize("change", CHANGES)
def test_gradients_are_right_in_both_orders(change: Callable[..., None]) -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 1.5, -1.0, 2.0])
    assert cr.check_grads(program(change), (x, y), order=2).error < 1e-5


@pytest.mark.parametrize("change", CHANGES)
def test_values_are_numpys(change: Callable[..., None]) -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 1.5, -1.0, 2.0])
    a, plain = cr.Tensor(x * 1.0), x * 1.0
    change(a, cr.Tensor(y))
    if change is boolean_mask:
        plain[plain > 2.5] = y[:1]
    else:
        change(plain, y)
    np.testing.assert_array_equal(a.data, plain)


def test_a_leaf_that_needs_a_gradient_is_not_changed() -> None:
    x = start()
    with pytest.raises(errors.InPlaceError, match=r"\+= would change a leaf of shape \(4,\)"):
        x += 1
    with pytest.raises(errors.InPlaceError, match="leaf"):
        x[0] = 1.0
    view = x[:2]
    with pytest.raises(errors.InPlaceError, match="leaf"):
        view *= 2
    assert x.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_under_no_grad_it_is() -> None:
    x = start()
    with cr.no_grad():
        x += 1
    assert x.tolist() == [2.0, 3.0, 4.0, 5.0] and x.requires_grad and x.is_leaf


def modify_by_operator(y: cr.Tensor) -> None:
    y += 1


def modify_by_index(y: cr.Tensor) -> None:
    y[0] = 0.0


def modify_through_a_view(y: cr.Tensor) -> None:
    view = y[1:]
    view *= 2


def modify_data(y: cr.Tensor) -> None:
    y.data *= 2


def modify_detached(y: cr.Tensor) -> None:
    alias = y.detach()
    alias += 1


@pytest.mark.parametrize(
    "modify", [modify_by_operator, modify_by_index, modify_through_a_view, modify_data, modify_detached]
)
def test_a_residual_changed_since_is_refused_by_name_and_line(modify: Callable[..., None]) -> None:
    x = start()
    y = x * 2
    z = y * y
    modify(y)
    with pytest.raises(
        errors.ModifiedError, match=r"(?s)multiply\(x, y\).*line \d+: z = y \* y.*changed at .*line"
    ):
        z.sum().backward()


def test_memory_that_a_rule_needs_is_refused_as_pytorch_does() -> None:
    a, b = start() * 1.0, start()
    a[1:] = a[:-1] * b[1:]
    with pytest.raises(errors.ModifiedError, match="a\\[1:\\] = a"):
        a.sum().backward()


def test_a_change_of_what_no_rule_needs_is_left_alone() -> None:
    x = start()
    y = x * 2
    z = y + 1
    y *= 5
    z.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2.0] * 4


def test_a_parameter_changed_between_forward_and_backward() -> None:
    w = start()
    loss = (w * w).sum()
    with cr.no_grad():
        w -= 0.1
    with pytest.raises(errors.ModifiedError, match="w -= 0.1"):
        loss.backward()


def test_a_change_before_the_use_is_left_alone() -> None:
    w = start()
    with cr.no_grad():
        w -= 1
    (w * w).sum().backward()
    assert w.grad is not None and w.grad.tolist() == [0.0, 2.0, 4.0, 6.0]


def test_version_counts_changes() -> None:
    x = cr.Tensor(np.zeros(2))
    x += 1
    x[0] = 3.0
    assert (x.version, x[:1].version, cr.Tensor(np.zeros(2)).version) == (2, 2, 0)


def test_shapes_and_types_stay() -> None:
    x = cr.Tensor(np.zeros(2))
    with pytest.raises(errors.ShapeError, match=r"shape \(2,\) would give shape \(3, 2\)"):
        x += np.ones((3, 2))
    whole_numbers = cr.Tensor(np.arange(2))
    with pytest.raises(errors.InputError, match="int64"):
        whole_numbers += 0.5
    assert x.tolist() == [0.0, 0.0] and whole_numbers.tolist() == [0, 1]


def test_a_constant_that_receives_a_tensor_needs_a_gradient_from_then_on() -> None:
    x = start()
    buffer = cr.Tensor(np.zeros(4))
    for i in range(4):
        buffer[i] = x[i] * i
    assert buffer.requires_grad
    buffer.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 1.0, 2.0, 3.0]
