"""Changes in place: right gradients, or a refusal that names what was changed and where."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.inplace import changes, seal


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


@pytest.mark.parametrize("modify", [modify_by_operator, modify_by_index, modify_through_a_view])
def test_a_change_that_is_recorded_harms_no_earlier_residual(modify: Callable[..., None]) -> None:
    x = start()
    y = x * 2
    z = y * y
    modify(y)
    z.sum().backward(retain_graph=True)
    assert x.grad is not None and x.grad.tolist() == [8.0, 16.0, 24.0, 32.0]
    z.sum().backward()
    assert x.grad.tolist() == [16.0, 32.0, 48.0, 64.0]


@pytest.mark.parametrize("modify", [modify_data, modify_detached])
@pytest.mark.parametrize("earlier", [modify_by_operator, lambda y: None])
def test_a_residual_changed_behind_the_record_is_refused_by_name_and_line(
    modify: Callable[..., None], earlier: Callable[..., None]
) -> None:
    x = start()
    y = x * 2
    z = y * y
    earlier(y)
    modify(y)
    y *= 2
    with pytest.raises(
        errors.ModifiedError, match=r"(?s)multiply\(x, y\).*line \d+: z = y \* y.*changed at .*line"
    ):
        z.sum().backward()


def test_what_nothing_needs_is_not_kept() -> None:
    def kept(total: cr.Tensor) -> int:
        return len(changes[id(total.data)].replaced)

    x = start()
    total = x * 0.0
    for _ in range(10):
        total += x
    assert kept(total) == 0
    view = total[1:]
    total += x
    total[0] = x[1]
    assert kept(total) == 2 and view.tolist() == [22.0, 33.0, 44.0]
    del view
    total += x
    assert kept(total) == 2
    number = id(total.data)
    del total
    gc.collect()
    assert number not in changes


def test_only_changed_elements_are_kept() -> None:
    buffer = start() * np.ones((100, 4))
    for i in range(1, 100):
        buffer[i] = np.sin(buffer[i - 1])
    assert sum(one.elements.size for one in changes[id(buffer.data)].replaced) == 99 * 4
    buffer.sum().backward()


@pytest.mark.parametrize("order", ["C", "F"])
def test_residuals_in_memory_of_any_order(order: Any) -> None:
    x = np.asarray(np.arange(24.0).reshape(2, 3, 4) / 24, order=order).transpose(1, 0, 2)

    def program(x: Any) -> Any:
        z = np.exp(x)
        y = np.sin(z[::-1, :, ::2])
        z[:, 0] *= 2
        z /= z.sum(axis=-1, keepdims=True)
        return y.sum() + (z * z).sum()

    assert cr.check_grads(program, (x,), order=2).error < 1e-6


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


# plain arrays, of whose changes nobody tells the engine ---------------------------------------------------------


def test_a_plain_array_that_a_program_goes_on_changing() -> None:
    def program(x: Any) -> Any:
        step, total = np.zeros(3), 0.0
        for i in range(3):
            step += i
            total = total + (x * step).sum() + np.einsum("i,i->", step, x) + np.where(step > 1, x, 0.0).sum()
        return total

    x = np.ones(3)
    np.testing.assert_array_equal(cr.grad(program)(x), [9.0, 9.0, 9.0])
    assert cr.check_grads(program, (x,), order=2).error < 1e-6


def scaled(array: Any) -> None:
    array *= 2


def one_element(array: Any) -> None:
    array[-1, -1] += 1e-9


def shuffled(array: Any) -> None:
    array[:] = array[np.random.default_rng(0).permutation(len(array))]


LARGE = [
    np.random.default_rng(1).normal(size=(60, 60)).astype(dtype).transpose(axes)
    for dtype in ("f8", "f4") for axes in ((0, 1), (1, 0))
] + [np.random.default_rng(1).normal(size=(120, 120))[::2, 1::2]]  # fmt: skip


@pytest.mark.parametrize("change", [scaled, one_element, shuffled])
@pytest.mark.parametrize("array", LARGE, ids=lambda a: f"{a.dtype}{a.strides}")
def test_a_large_plain_array_that_was_changed_is_refused(array: Any, change: Callable[..., None]) -> None:
    array = array.copy("K")
    x = cr.Tensor(np.ones(array.shape[1], array.dtype), requires_grad=True)
    unchanged = array @ x
    unchanged.sum().backward()
    y = array @ x
    before = seal(array)
    change(array)
    if array.dtype == np.float64 or change is not one_element:
        assert seal(array) != before
        with pytest.raises(errors.ModifiedError, match=r"(?s)of shape \(60, 60\).*matmul.*y = array @ x"):
            y.sum().backward()


def test_a_large_plain_array_that_no_rule_needs_may_change() -> None:
    x, array = cr.Tensor(np.ones((60, 60)), requires_grad=True), np.ones((60, 60))
    y = x + array
    array *= 2
    y.sum().backward()
    assert x.grad is not None and x.grad.data.min() == 1.0


@pytest.mark.parametrize("shape", [(0,), (), (1,), (3, 0), (509, 8), (1, 5000), (5000,)])
def test_the_seal_of_an_array_of_any_shape(shape: tuple[int, ...]) -> None:
    for dtype in (bool, np.int8, np.int32, np.float16, np.float32, np.float64, np.complex128):
        array = np.ones(shape, dtype)
        assert seal(array) == seal(array.copy())
        for index in {0, array.size // 2, array.size - 1} if array.size else ():
            other = array.copy()
            other.reshape(-1)[index] = 0
            assert seal(other) != seal(array)
